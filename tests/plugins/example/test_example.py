#!/usr/bin/env python3
"""wasmedged-plugin(7): its example is the file, is built as it says, and runs.

UPDATE_PAGE=1 puts the file into the page of the source tree.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from plugintest import BUILD, SOURCE, guest, main, run  # noqa: E402

GUEST = guest("example")
EXAMPLE = os.path.join(SOURCE, "plugins", "example", "example.c")
PAGE = os.path.join(SOURCE, "man", "wasmedged-plugin.7")
HEADER = os.path.join(SOURCE, "vm", "include", "vm", "plugin.h")
BEGIN, END = '.\\" Begin: plugins/example/example.c\n', '.\\" End.\n'


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def as_mdoc(source):
    """The lines of a display that shows them as they are."""
    out = [".Bd -literal"]
    for line in source.rstrip("\n").split("\n"):
        for char, escape in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("`", "\\(ga"),
                             ("^", "\\(ha"), ("~", "\\(ti")):
            line = line.replace(char, escape)
        out.append("\\&" + line if line.startswith(".") else line)
    return "\n".join(out + [".Ed", ""])


def test_page_shows_the_file():
    page = read(PAGE)
    before, rest = page.split(BEGIN)
    shown, after = rest.split(END)
    want = as_mdoc(read(EXAMPLE))
    if os.environ.get("UPDATE_PAGE"):
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(before + BEGIN + want + END + after)
        shown = want
    assert shown == want, "run this test with UPDATE_PAGE=1 to put %s into the page" % EXAMPLE


def test_formatted_page_has_every_line():
    if shutil.which("mandoc") is None:
        return
    text = subprocess.run(["mandoc", "-Tutf8", "-Owidth=200", PAGE], stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    text = re.sub(".\b", "", text)  # bold and underlined
    shown = [re.sub(r"\s+", "", line) for line in text.split("\n")]
    at = -1
    for line in read(EXAMPLE).split("\n"):
        squeezed = re.sub(r"\s+", "", line)
        assert not squeezed or squeezed in shown[at + 1:], "not shown: %s" % line
        at = shown.index(squeezed, at + 1) if squeezed else at


def test_page_names_everything_of_the_header():
    header, page = read(HEADER), read(PAGE)
    names = set(re.findall(r"^(vm_plugin_\w+)\(", header, re.MULTILINE))
    names |= set(re.findall(r"^#define (vm_plugin_\w+)\(", header, re.MULTILINE))
    names |= set(re.findall(r"\b(VM_PLUGIN_(?:TEXT|BOOL|UINT|SIZE|LIST|SANDBOX|PRIVATE|ABI))\b",
                            header))
    assert len(names) > 20, names
    missing = {name for name in names if not re.search(r"\b%s\b" % name, page)}
    assert not missing, missing


def pkg_config(stage, *words):
    """What an installed pkg-config file would say, with stage as the prefix."""
    os.makedirs(os.path.join(stage, "lib", "pkgconfig"))
    text = read(os.path.join(BUILD, "vm", "wasmedged.pc"))
    text = re.sub(r"^prefix=.*", "prefix=" + stage, text, flags=re.MULTILINE)
    text = re.sub(r"^exec_prefix=.*", "exec_prefix=" + stage, text, flags=re.MULTILINE)
    text = re.sub(r"^libdir=.*", "libdir=%s/lib" % stage, text, flags=re.MULTILINE)
    text = re.sub(r"^includedir=.*", "includedir=%s/include" % stage, text, flags=re.MULTILINE)
    with open(os.path.join(stage, "lib", "pkgconfig", "wasmedged.pc"), "w",
              encoding="utf-8") as file:
        file.write(text)
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(stage, "lib", "pkgconfig"))
    return [subprocess.run(["pkg-config", word, "wasmedged"], stdout=subprocess.PIPE, check=True,
                           env=env).stdout.decode().strip() for word in words]


def test_example_is_built_out_of_the_tree_and_runs():
    with tempfile.TemporaryDirectory() as stage:
        os.makedirs(os.path.join(stage, "include", "wasmedged", "vm"))
        for name in os.listdir(os.path.dirname(HEADER)):
            shutil.copy(os.path.join(os.path.dirname(HEADER), name),
                        os.path.join(stage, "include", "wasmedged", "vm"))
        source = os.path.join(stage, "example.c")
        shutil.copy(EXAMPLE, source)
        flags, folder = pkg_config(stage, "--cflags", "--variable=plugindir")
        assert folder == os.path.join(stage, "lib", "wasmedge"), folder
        os.makedirs(folder)
        subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-O2", "-fPIC", "-shared",
                        "-Wall", "-Wextra", "-Werror", *shlex.split(flags), source, "-o",
                        os.path.join(folder, "example.so")], check=True)
        run("--plugin-path", folder, GUEST, "a b", "Hello, world").is_(
            0, "A B\nHELLO, WORLD\n2\n")
        assert "example" in run("plugins", "--plugin-path", folder).is_(0).out


def test_example_of_the_tree_runs():
    run(GUEST, "quiet").is_(0, "QUIET\n1\n")


main(globals(), [GUEST, os.path.join(BUILD, "plugins", ".libs", "example.so")])
