"""Runs guests of plug-ins with wasmedge: for the tests in the folders here.

    from plugintest import guest, main, run
"""
import os
import re
import subprocess
import sys
import time
import traceback

BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
PLUGINS = os.path.join(BUILD, "plugins", ".libs")
TIMEOUT_S = 60


class Done:
    """How a run ended."""

    def __init__(self, process, seconds):
        self.code = process.returncode
        self.out = process.stdout.decode()
        self.err = process.stderr.decode()
        self.seconds = seconds

    def is_(self, code, out=None):
        """Ended with that code and, when given, that output."""
        assert self.code == code, "exit code %d, expected %d; stderr: %s" % (
            self.code, code, self.err)
        assert out is None or self.out == out, "output %r, expected %r" % (self.out, out)
        return self

    def says(self, *patterns):
        """Standard error matches each of them."""
        for pattern in patterns:
            assert re.search(pattern, self.err), "no %r in %r" % (pattern, self.err)
        return self


def run(*words, program="wasmedge", stdin=b"", ignores_pipes=False, **variables):
    """Run a program of the build, with the plug-ins of the build and more variables."""
    env = dict(os.environ, WASMEDGE_PLUGIN_PATH=PLUGINS, **variables)
    start = time.monotonic()
    process = subprocess.run([os.path.join(BUILD, program), *words], input=stdin,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S,
                             env=env, check=False, restore_signals=not ignores_pipes)
    return Done(process, time.monotonic() - start)


def start(*words, program="wasmedge"):
    """The same, still running."""
    return subprocess.Popen([os.path.join(BUILD, program), *words], stdin=subprocess.DEVNULL,
                            env=dict(os.environ, WASMEDGE_PLUGIN_PATH=PLUGINS))


def guest(folder, name=None):
    """The file of a guest of tests/plugins/FOLDER, which is called as the folder by default."""
    return os.path.join(BUILD, "tests", "plugins", folder, (name or folder) + ".wasm")


def main(tests, needs):
    """Run the functions whose name begins with test_, or those named on the command line; skip
    all of them when a file that they need was not built. One that returns a text was skipped for
    that reason."""
    names = sys.argv[1:] or sorted(name for name in tests if name.startswith("test_"))
    missing = [path for path in needs if not os.path.exists(path)]
    if missing:
        print("SKIP: there is no %s" % missing[0])
        print("0 passed, 0 failed, %d skipped" % len(names))
        sys.exit(77)
    failed = skipped = 0
    for name in names:
        try:
            reason = tests[name]()
            if reason:
                print("SKIP %s: %s" % (name, reason))
                skipped += 1
        except Exception:  # each failure is shown, and the others run
            print("FAIL %s" % name)
            traceback.print_exc(file=sys.stdout)
            failed += 1
    print("%d passed, %d failed, %d skipped" % (len(names) - failed - skipped, failed, skipped))
    sys.exit(1 if failed else 0)
