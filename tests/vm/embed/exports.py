"""The shared library exports what the public headers declare, and nothing else."""

import os
import re
import subprocess
import sys

source = os.environ["top_srcdir"]
library = os.path.join(os.environ["top_builddir"], ".libs", "libwasmedge.so")


def declared():
    """Names of the functions that the headers mark VM_EXPORT."""
    names = set()
    folder = os.path.join(source, "vm/include/vm")
    for header in sorted(os.listdir(folder)):
        if not header.endswith(".h"):
            continue
        with open(os.path.join(folder, header), encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/|^#(?:[^\n]*\\\n)*[^\n]*$", "", f.read(), flags=re.S | re.M)
        for declaration in re.findall(r"\bVM_EXPORT\b([^;{]*)", text):
            names.add(re.search(r"\b(\w+)\s*\(", declaration).group(1))
    return names


def exported():
    """Names that the library defines for others, with the version node they belong to."""
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    symbols = [line.split()[-1] for line in lines if line.split()[-2] != "A"]
    return dict(symbol.split("@@") if "@@" in symbol else (symbol, "") for symbol in symbols)


def main():
    if not os.path.exists(library):
        print("SKIP: no shared library was built")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    have, want = exported(), declared()
    # What sanitizers and profilers add is not ours.
    have = {name: node for name, node in have.items() if not name.startswith("_")}
    failures = ["exported, but in no public header: " + name for name in sorted(have.keys() - want)]
    failures += ["declared, but not exported: " + name for name in sorted(want - have.keys())]
    failures += [f"{name} has version {node!r}, expected WASMEDGED_0"
                 for name, node in sorted(have.items()) if name in want and node != "WASMEDGED_0"]
    print("\n".join(failures))
    print(f"{len(want & have.keys())} passed, {len(failures)} failed, 0 skipped")
    return 1 if failures or not want else 0


sys.exit(main())
