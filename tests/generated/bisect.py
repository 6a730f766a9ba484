#!/usr/bin/env python3
"""Find the function whose native code is wrong.

    bisect.py [--build DIR] [--tier native|interp] [--metered] [--level fast|best]
              [--call NAME[,INTEGER...]] [--plant FUNCTION] FILE.wasm

The module does something else on the tier than on the interpreter: in the calls that
tests/generated/steps makes, or in the one of --call. Its functions are shared out over two halves
(split.py), one of which runs on the tier, until one function is left that makes the difference. If
the difference goes away when functions are apart (because it takes inlining, say), it says so.

--plant puts a wrong body in place of a function's on the tier: a test of this program.
"""
import argparse
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import split

TIMEOUT_S = 120


class Search:
    def __init__(self, args):
        self.args = args
        self.program = os.path.join(args.build, "tests", "generated", "steps")
        with open(args.file, "rb") as file:
            self.module = split.Module(file.read())
        self.folder = tempfile.TemporaryDirectory()
        self.runs = 0

    def steps(self, files, tier):
        """What the module does; how it crashed counts too."""
        command = [self.program, "--bare", *tier]
        if self.args.call:
            command += ["--call", self.args.call]
        self.runs += 1
        try:
            done = subprocess.run(command + files, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return "took too long"
        if done.returncode > 0:
            sys.exit("%s: %s" % (" ".join(command + files), done.stderr.decode().strip()))
        return "signal %d" % -done.returncode if done.returncode < 0 else done.stdout.decode()

    def tier(self):
        words = ["--tier", self.args.tier, "--level", self.args.level]
        return words + (["--metered"] if self.args.metered else [])

    def write(self, stem, data):
        path = os.path.join(self.folder.name, stem + ".wasm")
        with open(path, "wb") as file:
            file.write(data)
        return path

    def planted(self):
        if self.args.plant is None:
            return {}
        return {self.args.plant: b"\0\0\x0b"}  # unreachable

    def mixed(self, functions):
        """What it does when those functions run on the tier."""
        everything = set(range(self.module.first_defined, self.module.count))
        near = self.write("near", self.module.near(everything - functions))
        wrong = {f: body for f, body in self.planted().items() if f in functions}
        far = self.write("far", self.module.far(functions, wrong))
        return self.steps([near, far], self.tier())

    def find(self):
        """Functions that together make the difference, as few as can be told; None: no
        difference."""
        functions = list(range(self.module.first_defined, self.module.count))
        want = self.mixed(set())
        if self.mixed(set(functions)) == want:
            return None
        while len(functions) > 1:
            middle = len(functions) // 2
            for half in (functions[:middle], functions[middle:]):
                if self.mixed(set(half)) != want:
                    functions = half
                    break
            else:
                return functions
        return functions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.environ.get("top_builddir", "."))
    parser.add_argument("--tier", default="native", choices=["native", "interp"])
    parser.add_argument("--metered", action="store_true")
    parser.add_argument("--level", default="best", choices=["fast", "best"])
    parser.add_argument("--call")
    parser.add_argument("--plant", type=int)
    parser.add_argument("file")
    args = parser.parse_args()

    search = Search(args)
    found = search.find()
    if found is None:
        whole = search.steps([args.file], search.tier())
        same = whole == search.steps([args.file], ["--tier", "interp"])
        print("no difference" if same else
              "the difference goes away when functions are compiled apart")
        return 1
    if len(found) > 1:
        print("these functions differ together only: %s" % " ".join(map(str, found)))
        return 1
    print("function %d (%d runs)" % (found[0], search.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
