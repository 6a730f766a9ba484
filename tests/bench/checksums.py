#!/usr/bin/env python3
"""Every benchmark kernel computes the same natively and in the runner."""
import os
import sys

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
    native = run.Native(folder)
    ours = run.Wasmedge(folder, os.path.join(BUILD, "wasmedge"))
    failed = 0
    for kernel in kernels:
        try:
            want, got = native.run(kernel, ROUNDS)[0], ours.run(kernel, ROUNDS)[0]
        except run.Wrong as wrong:
            want, got = str(wrong), None
        if want != got:
            failed += 1
            print("%s: run(%d) is %s natively, %s in the runner" % (kernel, ROUNDS, want, got))
    print("%d passed, %d failed, 0 skipped" % (len(kernels) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
