#!/usr/bin/env python3
"""Time the kernels: native, wasmedge on each of its tiers, and other engines, in one run.

    run.py --build DIR [--kernels a,b] [--repeat 5] [--target-ms 60] [--markdown]

A native run calibrates each kernel's count of rounds. Then the engines take turns, so that a
machine that slows down slows all of them; medians are compared. Engines that are much slower get
fewer rounds, and their times are scaled. All checksums have to be those of the native run.
The time of an interpreter is that of the whole process, start and translation included; that of
wasmedge's native code and of node's is that of the calls alone, compiled before.
"""
import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 300


class Wrong(Exception):
    """An engine failed, or computed something else."""


def finished(command, environment=None):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=TIMEOUT_S, env=environment, check=False)
    if result.returncode != 0:
        raise Wrong("%s: exit code %d: %s" % (" ".join(command), result.returncode,
                                              result.stderr.decode(errors="replace").strip()))
    return result


def output_of(command, environment=None):
    return finished(command, environment).stdout.decode()


def timed(command):
    """Output and wall time in nanoseconds of a process."""
    start = time.monotonic_ns()
    text = output_of(command)
    return text, time.monotonic_ns() - start


class Native:
    name = "native"
    share = 1  # of the rounds: one in so many

    def __init__(self, folder):
        self.folder = folder

    def run(self, kernel, count):
        checksum, elapsed = output_of([os.path.join(self.folder, kernel + ".native"),
                                       str(count)]).split()
        return int(checksum), int(elapsed)


class Wasmedge:
    name = "interp"
    share = 1

    def __init__(self, folder, program):
        self.folder = folder
        self.program = program

    def run(self, kernel, count):
        text, elapsed = timed([self.program, "--tier", "interp", "--reactor",
                               os.path.join(self.folder, kernel + ".wasm"), "run", str(count)])
        return int(text) & 0xffffffff, elapsed


class WasmedgeNative:
    """Kernels compiled ahead by "wasmedge compile", which here has a key of its own."""
    share = 1

    def __init__(self, folder, program, scratch, name, compile_options, run_options):
        self.folder = folder
        self.program = program
        self.scratch = scratch
        self.name = name
        self.compile_options = compile_options
        self.run_options = run_options
        self.environment = dict(os.environ, XDG_STATE_HOME=scratch)
        self.compiled = {}

    def path_of(self, kernel):
        if kernel not in self.compiled:
            out = os.path.join(self.scratch, "%s-%s.wasm" % (kernel, self.name.replace(" ", "-")))
            output_of([self.program, "compile", *self.compile_options,
                       os.path.join(self.folder, kernel + ".wasm"), out], self.environment)
            self.compiled[kernel] = out
        return self.compiled[kernel]

    def run(self, kernel, count):
        result = finished([self.program, "--verbose", "--enable-time-measuring", "--reactor",
                           *self.run_options, self.path_of(kernel), "run", str(count)],
                          self.environment)
        notes = result.stderr.decode(errors="replace")
        if "runs as native code" not in notes:
            raise Wrong("%s: %s does not run as native code: %s" % (self.name, kernel, notes))
        elapsed = re.search(r"Total execution time: (\d+) ns", notes)
        return int(result.stdout) & 0xffffffff, int(elapsed.group(1))


class WasmInterp:
    """Debian's wabt: runs exports without arguments, so the count is written into the module."""
    name = "wasm-interp"
    share = 16
    place_of_count = b"\xed\x5e\xde\xc0"

    def __init__(self, folder, program):
        self.folder = folder
        self.program = program

    def run(self, kernel, count):
        with open(os.path.join(self.folder, kernel + ".wasm"), "rb") as file:
            module = file.read()
        if module.count(self.place_of_count) != 1:
            raise Wrong("%s.wasm has no place for its count" % kernel)
        with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
            file.write(module.replace(self.place_of_count, count.to_bytes(4, "little")))
            file.flush()
            text, elapsed = timed([self.program, "--run-all-exports", file.name])
        found = re.search(r"^run_fixed\(\) => i32:(\d+)$", text, re.MULTILINE)
        if not found:
            raise Wrong("%s: wasm-interp says %r" % (kernel, text))
        return int(found.group(1)), elapsed


class Node:
    share = 1

    def __init__(self, folder, program, name, flags):
        self.folder = folder
        self.program = program
        self.name = name
        self.flags = flags

    def run(self, kernel, count):
        text = output_of([self.program, *self.flags, os.path.join(HERE, "kernel.mjs"),
                          os.path.join(self.folder, kernel + ".wasm"), str(count)])
        checksum, elapsed = text.split()
        return int(checksum), int(elapsed)


def has_compiler(program, kernel, scratch):
    command = [program, "compile", "--level", "fast", kernel, os.path.join(scratch, "probe.wasm")]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env=dict(os.environ, XDG_STATE_HOME=scratch), timeout=TIMEOUT_S,
                          check=False).returncode == 0


def engines_of(build, scratch):
    folder = os.path.join(build, "tests", "bench", "kernels")
    engines = [Native(folder)]
    program = os.path.join(build, "wasmedge")
    if os.path.exists(program):
        engines.append(Wasmedge(folder, program))
        if has_compiler(program, os.path.join(folder, "gcd.wasm"), scratch):
            engines += [
                WasmedgeNative(folder, program, scratch, "best", [], []),
                WasmedgeNative(folder, program, scratch, "fast", ["--level", "fast"], []),
                WasmedgeNative(folder, program, scratch, "metered", ["--metered"],
                               ["--gas-limit", "18446744073709551614"])]
    if shutil.which("wasm-interp"):
        engines.append(WasmInterp(folder, "wasm-interp"))
    if shutil.which("node"):
        engines.append(Node(folder, "node", "node baseline", ["--liftoff-only"]))
        engines.append(Node(folder, "node", "node optimised", ["--no-liftoff"]))
    return folder, engines


def calibrated_count(native, kernel, target_ns):
    """A count of rounds that takes about the target, a multiple of 16."""
    count = 16
    while True:
        elapsed = max(native.run(kernel, count)[1], 1)
        if elapsed >= target_ns / 4 or count >= 1 << 28:
            return max(16, int(count * target_ns / elapsed) // 16 * 16)
        count *= 4


def measure(kernel, engines, repeat, target_ns):
    """Median nanoseconds of each engine for the same work."""
    native = engines[0]
    count = calibrated_count(native, kernel, target_ns)
    wanted = {}
    times = {engine.name: [] for engine in engines}
    for engine in engines:
        part = count // engine.share
        if part not in wanted:
            wanted[part] = native.run(kernel, part)[0]
    for _ in range(repeat):
        for engine in engines:
            part = count // engine.share
            if engine.share > 1 and len(times[engine.name]) >= 3:
                continue
            checksum, elapsed = engine.run(kernel, part)
            if checksum != wanted[part]:
                raise Wrong("%s: %s(%d) is %d natively, %d here" %
                            (engine.name, kernel, part, wanted[part], checksum))
            times[engine.name].append(elapsed * count / part)
    return {name: statistics.median(values) for name, values in times.items()}


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(rows, names, markdown):
    """Lines: per kernel the native milliseconds, and how many times longer the others took."""
    others = names[1:]
    header = ["kernel", "native ms"] + others
    body = [[kernel, "%.1f" % (row["native"] / 1e6)] +
            ["%.2f" % (row[name] / row["native"]) for name in others] for kernel, row in rows]
    means = ["geometric mean", ""] + [
        "%.2f" % geometric_mean([row[name] / row["native"] for _, row in rows])
        for name in others]
    lines = [header] + body + [means]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    left, right = ("| ", " |") if markdown else ("", "")
    gap = " | " if markdown else "  "
    out = []
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])]
        out.append(left + gap.join(cells) + right)
        if markdown and line is header:
            out.append("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".", help="build folder")
    parser.add_argument("--kernels", help="names, separated by commas; default: all")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each engine")
    parser.add_argument("--target-ms", type=float, default=60, help="of a native run")
    parser.add_argument("--engines", help="names, separated by commas, besides native")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    parser.add_argument("--json", action="store_true", help="the medians as JSON instead")
    args = parser.parse_args()

    scratch = tempfile.TemporaryDirectory()
    folder, engines = engines_of(args.build, scratch.name)
    if args.engines:
        chosen = args.engines.split(",")
        engines = [e for e in engines if e.name == "native" or e.name in chosen]
    kernels = args.kernels.split(",") if args.kernels else sorted(
        name[:-5] for name in os.listdir(folder) if name.endswith(".wasm"))
    rows = []
    for kernel in kernels:
        print("%s ..." % kernel, file=sys.stderr, flush=True)
        try:
            rows.append((kernel, measure(kernel, engines, args.repeat, args.target_ms * 1e6)))
        except Wrong as wrong:
            sys.exit(str(wrong))
    if args.json:
        print(json.dumps(dict(rows), indent=1))
    else:
        print("\n".join(table(rows, [e.name for e in engines], args.markdown)))


if __name__ == "__main__":
    main()
