#!/usr/bin/env python3
"""Rules about the source that no compiler knows: lint.py [CHECK...]

    arrows   who may include whom (the folders' order, and which library belongs where)
    layout   blanks, header guards
    width    no line beyond 100 columns
    paths    no path of somebody's machine in a file of ours
    tables   rows of the .def tables are in their order, and there once

Without words all but width are run, over the files of the source tree, $top_srcdir. Each check
prints FILE:LINE: what is wrong.
"""
import os
import re
import sys

TOP = os.environ.get("top_srcdir", ".")

# Folder: folders that it may include. The longest prefix of a path decides; tests may all.
ARROWS = {
    "vm/include": [],
    "vm/def": [],
    "vm/base": ["vm/include"],
    "vm/core": ["vm/include", "vm/def", "vm/base"],
    "vm/load": ["vm/include", "vm/def", "vm/base", "vm/core"],
    "vm/text": ["vm/include", "vm/def", "vm/base", "vm/core"],
    "vm/rt": ["vm/include", "vm/def", "vm/base", "vm/core", "vm/load"],
    "vm/interp": ["vm/include", "vm/def", "vm/base", "vm/core", "vm/load", "vm/rt"],
    "vm/jit": ["vm/include", "vm/def", "vm/base", "vm/core", "vm/load", "vm/rt"],
    "vm/llvm": ["vm/include", "vm/def", "vm/base", "vm/core", "vm/load", "vm/rt", "vm/native"],
    "vm/native": ["vm/include", "vm/def", "vm/base", "vm/core", "vm/load", "vm/rt"],
    "vm/wasi": ["vm/include", "vm/def", "vm/base"],
    "vm/plugin": ["vm/include", "vm/def", "vm/base"],
    "vm/capi": ["vm/include"],
    "plugins": ["vm/include"],
    "plugins/storage": ["vm/include"],
    "rpc": [],
    "daemon": ["vm/include", "rpc", "plugins/storage"],
    "client/cli": [],
    "client/wasmedgectl": ["client/cli", "rpc"],
    "client/wasmedge": ["client/cli", "vm/include"],
    "client/tools": ["client/cli", "client/wasmedge", "vm/include"],
    "client/node": ["vm/include"],
}
# Header of a library: folders that may include it.
LIBRARIES = {
    r"jansson\.h": ["rpc", "daemon", "client/wasmedgectl", "client/tools", "plugins"],
    r"microhttpd\.h": ["daemon"],
    r"uv\.h": ["daemon"],
    r"sqlite3\.h": ["daemon", "plugins/storage"],
    r"jpeglib\.h": ["plugins/image"],
    r"turbojpeg\.h": ["plugins/image"],
    r"png\.h": ["plugins/image"],
    r"nettle/.*": ["daemon", "rpc", "vm/native", "plugins"],
    r"curl/.*": ["client/wasmedgectl"],
    r"llvm-c/.*": ["vm/llvm"],
    r"check\.h": [],
}
WIDTH = 100
# Folders of work trees and generated files that a source folder may also hold.
NOT_OURS = re.compile(r"(^|/)(\.git|_?build[^/]*|_inst|autom4te\.cache|m4|__pycache__|run)(/|$)")
GENERATED = {"configure", "configure~", "aclocal.m4", "config.h.in", "config.h.in~", "Makefile.in"}


class Report:
    def __init__(self):
        self.found = []

    def add(self, path, line, text):
        self.found.append("%s:%d: %s" % (path, line, text))


def source_files():
    """Paths of our files, relative to the top, sorted."""
    out = []
    for folder, folders, files in os.walk(TOP):
        below = os.path.relpath(folder, TOP)
        below = "" if below == "." else below + "/"
        folders[:] = [f for f in folders if not NOT_OURS.search(below + f)]
        out += [below + f for f in files if f not in GENERATED]
    return sorted(out)


def text_of(path):
    """The file's text, or None for what is not text."""
    with open(os.path.join(TOP, path), "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def lines_of(path):
    text = text_of(path)
    return [] if text is None else text.split("\n")


# --- arrows -----------------------------------------------------------------------------------


def folder_of(path):
    """The row of ARROWS that a path belongs to, or None."""
    rows = [row for row in ARROWS if path.startswith(row + "/")]
    return max(rows, key=len) if rows else None


def resolve(path, name):
    """Where an #include "name" leads: the order of the compiler's search."""
    for base in (os.path.dirname(path), "", "vm/include"):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.exists(os.path.join(TOP, candidate)):
            return candidate
    return None


def check_quoted(path, number, name, row, report):
    target = resolve(path, name)
    if target is None:
        if name not in ("config.h", "vm/native/build.h"):
            report.add(path, number, 'no file "%s" in the source tree' % name)
        return
    reached = folder_of(target)
    if reached != row and reached not in ARROWS[row]:
        report.add(path, number, "%s must not include %s (%s)" %
                   (row, name, reached or os.path.dirname(target)))


def check_library(path, number, name, row, report):
    for pattern, folders in LIBRARIES.items():
        allowed = any(path.startswith(folder + "/") for folder in folders)
        if re.fullmatch(pattern, name) and not allowed:
            report.add(path, number, "%s must not use <%s>" % (row, name))


def check_arrows(report):
    include = re.compile(r'\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
    for path in source_files():
        row = folder_of(path)
        if row is None or not path.endswith((".c", ".h", ".def", ".S")):
            continue
        for number, line in enumerate(lines_of(path), 1):
            found = include.match(line)
            if found and found.group(1):
                check_quoted(path, number, found.group(1), row, report)
            elif found:
                check_library(path, number, found.group(2), row, report)


# --- layout -----------------------------------------------------------------------------------


def check_layout(report):
    for path in source_files():
        text = text_of(path)
        if text is None or not path.endswith((".c", ".h", ".def", ".S", ".py", ".sh", ".inc")):
            continue
        if text and not text.endswith("\n"):
            report.add(path, text.count("\n") + 1, "no newline at the end")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                report.add(path, number, "blanks at the end of the line")
        # Tables in the form of a header are included more than once, and say so.
        if path.endswith(".h") and not re.search("#pragma once|The includer defines", text):
            report.add(path, 1, "no #pragma once")


def check_width(report):
    for path in source_files():
        if not path.endswith((".c", ".h", ".py", ".sh")):
            continue
        for number, line in enumerate(lines_of(path), 1):
            if len(line.expandtabs(8)) > WIDTH:
                report.add(path, number, "wider than %d columns" % WIDTH)


# --- paths ------------------------------------------------------------------------------------


def check_paths(report):
    # Written so that this line is not one of them.
    machine = re.compile(r"(?<![\w./$)}~-])/(?:wor[k]|roo[t]|tmp/[bh])(?:/|-)\w")
    for path in source_files():
        for number, line in enumerate(lines_of(path), 1):
            if machine.search(line):
                report.add(path, number, "path of a machine: %s" % line.strip()[:60])


# --- tables -----------------------------------------------------------------------------------


def check_opcodes(report):
    """Ascending codes within a section, which a comment at the line's start opens; none twice."""
    path = "vm/def/opcode.def"
    row = re.compile(r"OP\((\w+),\s*(0x[0-9a-f]+),\s*(0x[0-9a-f]+),")
    seen, last = {}, (-1, -1)
    for number, line in enumerate(lines_of(path), 1):
        if line.startswith("/*"):
            last = (-1, -1)
        found = row.match(line)
        if not found:
            continue
        code = (int(found.group(2), 16), int(found.group(3), 16))
        if code in seen:
            report.add(path, number, "%s has the code of line %d" % (found.group(1), seen[code]))
        if code <= last:
            report.add(path, number, "%s is out of order" % found.group(1))
        seen[code] = number
        last = code


def check_names(report):
    """No first argument twice in the tables that are lists of names."""
    for path, macro in (("vm/include/vm/status.def", "STATUS"), ("vm/include/vm/trap.def", "TRAP"),
                        ("vm/include/vm/feature.def", "FEATURE"),
                        ("vm/include/vm/limits.def", "LIMIT"), ("vm/def/opcode.def", "OP")):
        seen = {}
        for number, line in enumerate(lines_of(path), 1):
            found = re.match(macro + r"\((\w+)\s*,", line)
            if not found:
                continue
            if found.group(1) in seen:
                report.add(path, number, "%s is there already, in line %d" %
                           (found.group(1), seen[found.group(1)]))
            seen[found.group(1)] = number


def check_tables(report):
    check_opcodes(report)
    check_names(report)


CHECKS = {"arrows": check_arrows, "layout": check_layout, "width": check_width,
          "paths": check_paths, "tables": check_tables}
# One line too wide is no reason to call a build broken: that is for "make lint" to say.
OF_MAKE_CHECK = ["arrows", "layout", "paths", "tables"]


def main():
    failed = 0
    names = sys.argv[1:] or OF_MAKE_CHECK
    for name in names:
        if name not in CHECKS:
            sys.exit("no check %r; there are %s" % (name, ", ".join(CHECKS)))
        report = Report()
        CHECKS[name](report)
        for line in report.found:
            print(line)
        print("%s: %s" % (name, "%d found" % len(report.found) if report.found else "clean"))
        failed += bool(report.found)
    print("%d passed, %d failed, 0 skipped" % (len(names) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
