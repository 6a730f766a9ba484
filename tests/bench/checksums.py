#!/usr/bin/env python3
"""Every benchmark kernel computes the same natively and in the runner, on each of its tiers."""
import os
import sys
import tempfile

sys.dont_write_bytecode = True
import run  # of this folder

ROUNDS = 16
BUILD = os.environ.get("top_builddir", ".")
SOURCE = os.environ.get("top_srcdir", ".")


def main():
    folder = os.path.join(BUILD, "tests", "bench", "kernels")
    kernels = sorted(name[:-2] for name in os.listdir(os.path.join(SOURCE, "tests", "bench",
                                                                   "kernels"))
                     if name.endswith(".c") and name not in ("native.c", "fixed.c"))
    if not os.path.exists(os.path.join(folder, kernels[0] + ".wasm")):
        print("the kernels are not built: no C compiler for WebAssembly")
        print("0 passed, 0 failed, %d skipped" % len(kernels))
        return 77
    scratch = tempfile.TemporaryDirectory()
    native, *ours = [engine for engine in run.engines_of(BUILD, scratch.name)[1]
                     if isinstance(engine, (run.Native, run.Wasmedge, run.WasmedgeNative))]
    if len(ours) == 1:
        print("no compiler for native code here: the kernels are interpreted only")
    failed = 0
    for kernel in kernels:
        want = native.run(kernel, ROUNDS)[0]
        for engine in ours:
            try:
                got = engine.run(kernel, ROUNDS)[0]
            except run.Wrong as wrong:
                got = str(wrong)
            if want != got:
                failed += 1
                print("%s: run(%d) is %s natively, %s with %s" % (kernel, ROUNDS, want, got,
                                                                  engine.name))
    print("%d passed, %d failed, 0 skipped" % (len(kernels) * len(ours) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
