#!/usr/bin/env python3
"""The runner as its users meet it: a process, its streams and its exit code."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.environ.get("top_builddir", ".")
SOURCE = os.environ.get("top_srcdir", ".")
PROGRAM = os.path.abspath(os.path.join(BUILD, "wasmedge"))
GUESTS = os.path.abspath(os.path.join(BUILD, "tests", "guests"))
PLUGINS = os.path.abspath(os.path.join(BUILD, "plugins", ".libs"))
# What the static program hands over to; not there where wasmedge is one dynamic program.
WHOLE = os.path.abspath(os.path.join(BUILD, "client", "wasmedge", "wasmedge"))
TIMEOUT_S = 60


class Done:
    """How a run of the program ended."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout.decode()
        self.err = process.stderr.decode()

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


def run(*words, stdin=b"", env=None, program=PROGRAM):
    return Done(subprocess.run([program, *words], input=stdin, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=TIMEOUT_S, env=env, check=False))


def guest(name):
    return os.path.join(GUESTS, name + ".wasm")


# --- modules by hand --------------------------------------------------------------------------


def section(number, *entries):
    """A section of a vector of entries; all lengths here are below 128."""
    body = bytes([len(entries)]) + b"".join(entries)
    return bytes([number, len(body)]) + body


def name(text):
    return bytes([len(text)]) + text.encode()


def body(code):
    return bytes([len(code) + 2, 0]) + code + b"\x0b"


HEADER = b"\0asm\x01\0\0\0"
I32_TO_I32 = b"\x60\x01\x7f\x01\x7f"
NO_VALUES = b"\x60\x00\x00"

# (func (export "inc") (param i32) (result i32)) that adds 1
LIBRARY = (HEADER + section(1, I32_TO_I32) + section(3, b"\0") +
           section(7, name("inc") + b"\0\0") + section(10, body(b"\x20\0\x41\x01\x6a")))
# imports lib.inc, exports "twice", which calls it two times
IMPORTER = (HEADER + section(1, I32_TO_I32) +
            section(2, name("lib") + name("inc") + b"\0\0") + section(3, b"\0") +
            section(7, name("twice") + b"\0\x01") + section(10, body(b"\x20\0\x10\0\x10\0")))
# i32.extend8_s
SIGN_EXTENDER = (HEADER + section(1, I32_TO_I32) + section(3, b"\0") +
                 section(7, name("extend") + b"\0\0") + section(10, body(b"\x20\0\xc0")))
# i32.add where an i64 is on the stack
INVALID = (HEADER + section(1, I32_TO_I32) + section(3, b"\0") +
           section(10, body(b"\x20\0\x42\x01\x6a")))
# a start function that traps
BAD_START = (HEADER + section(1, NO_VALUES) + section(3, b"\0") + b"\x08\x01\0" +
             section(10, body(b"\0")))
# _start with a parameter: a function to call, not a command
TYPED_START = (HEADER + section(1, I32_TO_I32) + section(3, b"\0") +
               section(7, name("_start") + b"\0\0") + section(10, body(b"\x20\0\x41\x0a\x6c")))
# an export whose name is an escape sequence, which traps
RUDE_NAME = (HEADER + section(1, NO_VALUES) + section(3, b"\0") +
             section(7, name("\x1b[31m") + b"\0\0") + section(10, body(b"\0")))
# _initialize sets a global to 5, "get" returns it
INITIALIZER = (HEADER + section(1, NO_VALUES, b"\x60\x00\x01\x7f") + section(3, b"\0", b"\x01") +
               section(6, b"\x7f\x01\x41\x00\x0b") +
               section(7, name("_initialize") + b"\0\0", name("get") + b"\0\x01") +
               section(10, body(b"\x41\x05\x24\0"), body(b"\x23\0")))


class Folder:
    """A temporary folder with files in it."""

    def __init__(self, **files):
        self.folder = tempfile.TemporaryDirectory()
        self.path = self.folder.name
        for stem, data in files.items():
            with open(self[stem], "wb") as file:
                file.write(data)

    def __getitem__(self, stem):
        return os.path.join(self.path, stem + ".wasm")

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.folder.cleanup()


# --- what is tested ---------------------------------------------------------------------------


def test_command_prints_and_ends_with_0():
    run(guest("hello")).is_(0, "hello, world\n")
    run("run", guest("hello")).is_(0, "hello, world\n")


def test_guest_gets_its_words_and_only_the_environment_it_was_given():
    done = run("--env", "A=1", "--env=B=x=y", guest("args"), "a b", "--env", "-v", "--",
               env={"SECRET": "1"})
    done.is_(0, "argv[0]=args.wasm\nargv[1]=a b\nargv[2]=--env\nargv[3]=-v\nargv[4]=--\n"
                "env A=1\nenv B=x=y\n")


def test_streams_are_the_guests():
    run(guest("jsonfmt"), stdin=b'[1, {"a":null}]').is_(0, '[1,{"a":null}]\n')
    run(guest("jsonfmt"), stdin=b"[1,]").is_(1).says("expected a value")
    data = bytes(range(256)) * 1000
    done = subprocess.run([PROGRAM, guest("cat")], input=data, stdout=subprocess.PIPE,
                          timeout=TIMEOUT_S, check=True)
    assert done.stdout == data


def test_exit_code_of_the_guest_is_ours():
    run(guest("exit"), "7").is_(7, "exiting with 7\n")
    run(guest("exit"), "0").is_(0)
    run(guest("exit"), "255").is_(255)
    run(guest("exit"), "256").is_(255, "exiting with 256\n")
    run(guest("exit"), "-1").is_(255)


def test_function_is_called_with_typed_arguments():
    calc = guest("calc")
    run("--reactor", calc, "add", "2", "40").is_(0, "42\n")
    run(calc, "add", "-1", "4294967295").is_(0, "-2\n")  # without _start the option is implied
    run(calc, "add64", "9223372036854775807", "1").is_(0, "-9223372036854775808\n")
    run(calc, "addf32", "0.1", "0.2").is_(0, "0.3\n")
    run(calc, "addf64", "0.1", "0.2").is_(0, "0.30000000000000004\n")
    run(calc, "addf64", "-inf", "inf").is_(0)
    run(calc, "fib", "15").is_(0, "610\n")


def test_wrong_arguments_are_refused_before_anything_runs():
    calc = guest("calc")
    run(calc, "add", "1").is_(1, "").says(r"function add expects 2 argument\(s\), got 1")
    run(calc, "add", "1", "2", "3").is_(1, "").says("got 3")
    run(calc, "add", "1", "x").is_(1, "").says(
        "invalid argument 'x' for parameter 2 of function add: expected i32")
    run(calc, "add", "4294967296", "0").is_(1, "").says("parameter 1.*out of range for i32")
    run(calc, "nope").is_(1, "").says('"nope" not found in the module export list')
    run(calc, "memory").is_(1, "").says("not found")
    run("--reactor", calc).is_(1, "").says("function name is required")


def test_start_with_parameters_is_a_function():
    with Folder(start=TYPED_START) as files:
        run(files["start"], "4").is_(0, "40\n")
        run(files["start"]).is_(1, "").says("expects 1 argument")


def test_initialize_runs_first():
    with Folder(module=INITIALIZER) as files:
        run(files["module"], "get").is_(0, "5\n")
        run(files["module"], "_initialize").is_(0, "")


def test_trap_has_code_134_and_a_backtrace():
    run(guest("calc"), "div", "1", "0").is_(134, "").says(
        "trap: integer divide by zero", r"0: function \d+ <divide> at 0x[0-9a-f]+")
    run(guest("trap"), "outer", "1").is_(134).says(
        r"0: .*<inner>.*\n.*1: .*<middle>.*\n.*2: .*<outer>")
    run(guest("trap"), "peek", "4294967295").is_(134).says("out of bounds memory access")
    run(guest("trap"), "to_int", "nan").is_(134).says("invalid conversion to integer")
    run(guest("trap"), "indirect", "1").is_(134)
    run(guest("trap"), "recurse", "0").is_(134).says("call stack exhausted", "more")
    run(guest("recurse")).is_(134).says("call stack exhausted")


def test_names_of_the_module_cannot_reach_the_terminal_raw():
    with Folder(rude=RUDE_NAME) as files:
        done = run(files["rude"], "\x1b[31m").is_(134)
        assert "\x1b" not in done.err, done.err
        done.says(r"\\x1b\[31m")
        done = run("parse", files["rude"]).is_(0)
        assert "\x1b" not in done.out, done.out


def test_time_limit_stops_the_guest():
    for words in ((guest("loop"),), ("--reactor", guest("loop"), "spin"),
                  ("--reactor", guest("loop"), "fill"), (guest("nap"),)):
        start = time.monotonic()
        run("--time-limit", "100", *words).is_(134).says("deadline exceeded",
                                                         "stopped by --time-limit 100")
        assert 0.09 < time.monotonic() - start < 5
    run("--time-limit", "60000", guest("hello")).is_(0, "hello, world\n")
    run("--time-limit", "0", guest("hello")).is_(0)


def test_gas_limit_stops_the_guest():
    run("--gas-limit", "100000", guest("loop")).is_(134).says("out of fuel",
                                                              "stopped by --gas-limit 100000")
    run("--gas-limit", "0", guest("calc"), "add", "1", "2").is_(134)
    run("--gas-limit", "10000000000", guest("calc"), "add", "1", "2").is_(0, "3\n")


def test_statistics_are_printed_when_asked_for():
    done = run("--enable-all-statistics", guest("calc"), "fib", "10").is_(0, "55\n")
    done.says("Total execution time: [0-9]+ ns", "instructions count: [0-9]+", "Gas costs: [0-9]+",
              "Instructions per second")
    counts = [int(re.search(r"Gas costs: (\d+)", run("--enable-gas-measuring", guest("calc"),
                                                    "fib", n).is_(0).err).group(1))
              for n in ("10", "10", "11")]
    assert counts[0] == counts[1] < counts[2], counts
    done = run("--enable-time-measuring", guest("calc"), "fib", "10").is_(0)
    assert "Gas" not in done.err
    assert run(guest("calc"), "fib", "10").err == ""


def test_memory_page_limit_bounds_growth_and_start():
    run("--memory-page-limit", "20", guest("hog")).is_(0, "20 pages\n")
    run("--memory-page-limit", "1", guest("hog")).is_(1).says("pages|memory")


def test_folders_are_seen_only_as_given():
    with Folder() as files:
        with open(os.path.join(files.path, "in.txt"), "w") as file:
            file.write("text\n")
        os.mkdir(os.path.join(files.path, "sub"))
        run("--dir", "/box:" + files.path, guest("files"), "list", "/box").is_(
            0, "in.txt\nsub/\n")
        run("--dir", ":" + files.path, guest("files"), "upper", "/in.txt", "/out.txt").is_(0)
        with open(os.path.join(files.path, "out.txt")) as file:
            assert file.read() == "TEXT\n"
        read_only = "/:%s:readonly" % files.path
        run("--dir", read_only, guest("cat"), "/in.txt").is_(0, "text\n")
        run("--dir", read_only, guest("files"), "copy", "/in.txt", "/new.txt").is_(1)
        assert not os.path.exists(os.path.join(files.path, "new.txt"))
        sub = "/:" + os.path.join(files.path, "sub")
        run("--dir", sub, guest("cat"), "/../in.txt").is_(1)
        run(guest("cat"), os.path.join(files.path, "in.txt")).is_(1)
        run("--dir", "/:" + os.path.join(files.path, "missing"), guest("hello")).is_(1).says(
            "missing")


def test_modules_can_be_linked():
    with Folder(library=LIBRARY, importer=IMPORTER) as files:
        importer = files["importer"]
        run("--module", "lib:" + files["library"], importer, "twice", "5").is_(0, "7\n")
        run(importer, "twice", "5").is_(1).says("missing or incompatible import", "lib", "inc")
        run("--module", "lib:" + files["nothing"], importer, "twice", "5").is_(1).says(
            "nothing.wasm: .*cannot open")


# --- plug-ins -----------------------------------------------------------------------------------


def importer(module, function, type_=b"\x60\x02\x7f\x7f\x00"):
    """A module that imports one function, of two i32 by default, and exports it as "f"."""
    return (HEADER + section(1, type_) + section(2, name(module) + name(function) + b"\0\0") +
            section(7, name("f") + b"\0\0"))


def test_plugins_are_found_where_they_are_told():
    with Folder(loud=importer("demo", "shout")) as files:
        loud = files["loud"]
        nowhere = {"WASMEDGE_PLUGIN_PATH": "/nowhere"}
        for env, words in (({"WASMEDGE_PLUGIN_PATH": PLUGINS}, ()),
                           ({}, ("--plugin-path", PLUGINS)),
                           (nowhere, ("--plugin-path=/x:" + PLUGINS,))):
            run(*words, loud, "f", "0", "0", env=dict(os.environ, **env)).is_(134).says(
                "text: 0 bytes at 0x0 are outside of the memory")
        run("--plugin-path=/nowhere", loud, "f", "0", "0").is_(1).says("missing or incompatible")
        run("--plugin-path", PLUGINS, "--forbidden-plugin", "other", "--forbidden-plugin",
            "example", loud, "f", "0", "0").is_(1).says("missing or incompatible")


def test_plugins_are_not_loaded_without_need():
    with Folder(library=LIBRARY) as files:
        traced = run("--plugin-path", PLUGINS, files["library"], "inc", "1",
                     env=dict(os.environ, LD_DEBUG="files"))
        traced.is_(0, "2\n")
        assert "example.so" not in traced.err
        # an option is checked even so
        run("--plugin-option", "nothing.x=1", files["library"], "inc", "1").is_(1, "").says(
            "wasmedge: --plugin-option: option x is for plug-in nothing, which is not installed")


def test_plugin_options_are_strict():
    with Folder(process=importer("wasmedge_process", "wasmedge_process_add_arg")) as files:
        process = files["process"]
        at = ("--plugin-path", PLUGINS)
        for words, text in ((("--plugin-option", "x"), "expected NAME.OPTION=VALUE"),
                            (("--plugin-option", "a.b"), "expected NAME.OPTION=VALUE"),
                            (("--plugin-option", "a=b.c"), "expected NAME.OPTION=VALUE"),
                            (("--plugin-option", ".b=c"), "expected NAME.OPTION=VALUE"),
                            (("--plugin-option", "A.b=c"), "expected NAME.OPTION=VALUE"),
                            (("--allow-command", "a b"), "a name without blanks"),
                            (("--allow-command", ""), "a name without blanks"),
                            (("--plugin-option", "wasmedge_process.x=1"),
                             "--plugin-option: plug-in wasmedge_process has no option x"),
                            (("--plugin-option", "wasmedge_process.output_bytes_max=1 KB"),
                             "--plugin-option: option output_bytes_max .* has to be a number")):
            run(*at, *words, process, "f", "0", "0").is_(1, "").says(text)
        run("--plugin-path=/nowhere", "--allow-command", "ls", process, "f", "0", "0").is_(
            1).says("--allow-command: option allow is for plug-in wasmedge_process, which is not")
        run(*at, "--forbidden-plugin", "wasmedge_process", "--allow-command", "ls", process, "f",
            "0", "0").is_(0).says("plug-in wasmedge_process: a guest called a function of it: "
                                  "it is forbidden")


def test_failed_links_name_the_plugin():
    with Folder(name_=importer("demo", "whisper"), type_=importer("demo", "count"),
                absent=importer("wasmedge_image", "x", b"\x60\x00\x02\x7f\x7f"),
                nobody=importer("nobody", "x")) as files:
        at = ("--plugin-path", PLUGINS)
        run(*at, files["name_"], "f", "0", "0").is_(1).says(
            "import 0 \"demo\" \"whisper\"",
            "wasmedge: imports from demo are for the plug-in example, whose version 1.0.0 has no "
            "function whisper")
        run(*at, files["type_"], "f", "0", "0").is_(1).says(
            r"are for the plug-in example, whose count is \(\) -> \(i32\)")
        run("--plugin-path=/nowhere", files["absent"], "f").is_(1).says(
            "imports from wasmedge_image are for the plug-in wasmedge_image: it is not installed")
        done = run(*at, files["nobody"], "f", "0", "0").is_(1)
        assert "plug-in" not in done.err, done.err


def test_plugins_are_listed():
    with tempfile.TemporaryDirectory() as folder:
        for stem, content in (("example", read(os.path.join(PLUGINS, "example.so"))),
                              ("broken", b"not an object"), ("rude", b"\x7fELF\x1b[31m")):
            write(os.path.join(folder, stem + ".so"), content)
        path = os.path.join(folder, "example.so")
        rows = run("plugins", "--plugin-path", folder).is_(0).out.split("\n")
        assert rows[0].split() == ["NAME", "VERSION", "MODULES", "PATH", "WHY", "NOT"], rows
        assert rows[1].split()[:4] == ["broken", "-", "-", os.path.join(folder, "broken.so")], rows
        assert len(rows[1].split()) > 4, rows
        assert rows[2].split() == ["example", "1.0.0", "demo", path], rows
        listed = json.loads(run("plugins", "--json", "--plugin-path", folder).is_(0).out)
        assert listed[1] == {
            "name": "example", "version": "1.0.0", "summary": "Makes texts loud",
            "modules": ["demo"], "operations": ["shout"], "path": path, "why_not": None}, listed
        assert listed[0]["version"] is None and listed[0]["why_not"], listed
        assert run("--plugin-path", folder, "-v").is_(0).out.split("\n")[1:] == [
            '%s (plugin "example") version 1.0.0' % path, ""]
        listed = json.loads(run("plugins", "--json", "--plugin-path", folder,
                                "--forbidden-plugin=example").is_(0).out)
        assert [row["why_not"] for row in listed][1] == "it is forbidden", listed
        assert json.loads(run("plugins", "--json", "--plugin-path=/nowhere").is_(0).out) == []


def test_failures_before_the_call_have_code_1():
    with Folder(start=BAD_START, empty=b"", cut=HEADER + b"\x01", junk=b"not wasm at all",
                invalid=INVALID) as files:
        run(files["start"]).is_(1).says("unreachable")
        run(files["empty"]).is_(1)
        run(files["cut"]).is_(1).says("at 0x")
        run(files["junk"]).is_(1).says("not a WebAssembly binary")
        run(files["invalid"]).is_(1).says("does not validate", "i32", "i64")
        run(files["nothing"]).is_(1).says("nothing.wasm: .*No such file")
        run(files.path).is_(1).says("Is a directory")


def test_validate_tells_good_from_bad():
    with Folder(good=LIBRARY, bad=INVALID) as files:
        run("validate", files["good"]).is_(0, files["good"] + ": valid\n")
        done = run("validate", files["good"], files["bad"]).is_(1, files["good"] + ": valid\n")
        done.says(r"bad.wasm: .*function 0.*at 0x1d")


TEXT = b"""(module (func $add (export "add") (param $a i32) (param i32) (result i32)
  (i32.add (local.get $a) (local.get 1)))
  (func $broken (export "trap") (unreachable)))"""


def test_text_is_run_and_turned_into_a_binary():
    with Folder() as files:
        text, binary = os.path.join(files.path, "add.wat"), os.path.join(files.path, "add.wasm")
        with open(text, "wb") as file:
            file.write(TEXT)
        run("--reactor", text, "add", "2", "40").is_(0, "42\n")
        run(text, "trap").is_(134).says("unreachable", "<broken>")
        run("validate", text).is_(0, text + ": valid\n")
        run("wat2wasm", text).is_(0, "")
        with open(binary, "rb") as file:
            check_magic = file.read(8)
        assert check_magic == b"\0asm\1\0\0\0", check_magic
        run(binary, "add", "2", "40").is_(0, "42\n")
        other = os.path.join(files.path, "other")
        run("wat2wasm", binary, other).is_(0, "")
        with open(other, "rb") as one, open(binary, "rb") as two:
            assert one.read() == two.read()


def test_errors_in_text_have_their_place():
    with Folder() as files:
        text, out = os.path.join(files.path, "bad.wat"), os.path.join(files.path, "bad.wasm")
        for source, said in [(b"(func\n  (i32.adx))", "line 2, column 4: .*i32.adx"),
                             (b"(func (result i32))", "function 0"), (b"(func", "has no end")]:
            with open(text, "wb") as file:
                file.write(source)
            run(text).is_(1).says(said)
            run("wat2wasm", text, out).is_(1).says(said)
            assert not os.path.exists(out)


def test_features_can_be_switched_off():
    with Folder(module=SIGN_EXTENDER) as files:
        module = files["module"]
        run(module, "extend", "255").is_(0, "-1\n")
        run("--disable-sign-extension-operators", module, "extend", "255").is_(1).says("sign")
        run("validate", "--wasm-1", module).is_(1)
        run("validate", module, "--wasm-2").is_(0)


def test_parse_lists_the_module():
    with Folder(importer=IMPORTER) as files:
        done = run("parse", files["importer"]).is_(0)
        for part in ("Imports: 1", "func   lib.inc: (i32) -> (i32)", "Exports: 1",
                     "func   twice: (i32) -> (i32)", "Sections: 5", "code [1]"):
            assert part in done.out, "no %r in %s" % (part, done.out)
    with Folder(module=SIGN_EXTENDER) as files:
        assert "1.0: sign-extension\n" in run("parse", files["module"]).is_(0).out


def test_command_line_is_strict():
    for option in ("-v", "--version"):
        assert re.match(r"wasmedge version \d+\.\d+\.\d+\n", run(option).is_(0).out)
    assert re.fullmatch(r"wasmedge version \d+\.\d+\.\d+\n",
                        run("--plugin-path=/nowhere", "-v").is_(0).out)
    assert "--memory-page-limit" in run("--help").is_(0).out
    assert "--memory-page-limit" in run("run", "-h").is_(0).out
    run("--bogus", guest("hello")).is_(1, "").says("--bogus")
    run("--tier", "fast", guest("hello")).is_(1, "").says("expected best, interp or native")
    run("compile", "--level", "most", guest("hello"), "x").is_(1).says("expected fast or best")
    run("compile", "--cpu", "z80", guest("hello"), "x").is_(1).says("x86-64-v3")
    run("compile", "--metered", "--relaxed-traps", guest("hello"), "x").is_(1).says("relaxed")
    run("compile", guest("hello")).is_(1)
    run("--tier", "interp", guest("hello")).is_(0)
    run("--force-interpreter", guest("hello")).is_(0)
    run("--env", "NOVALUE", guest("hello")).is_(1, "").says("NAME=VALUE")
    run().is_(1, "")
    run("parse").is_(1, "")
    run("completion", "csh").is_(1).says("bash zsh fish")


# --- native code ------------------------------------------------------------------------------


class Native:
    """A folder for compiled files, and a key of its own."""

    def __init__(self, umask=0o022):
        self.folder = Folder()
        self.state = os.path.join(self.folder.path, "state")
        self.key = os.path.join(self.state, "wasmedge", "key")
        self.env = dict(os.environ, XDG_STATE_HOME=self.state)
        self.umask = umask

    def run(self, *words):
        return run(*words, env=self.env)

    def compile(self, stem, *options, module=None):
        """Compile a guest; returns the compiled file."""
        out = self.folder[stem]
        self.run("compile", "--level", "fast", *options, module or guest(stem), out).is_(0, "")
        return out

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.folder.__exit__(*args)


def has_compiler():
    with Native() as native:
        return native.run("compile", "--level", "fast", guest("calc"),
                          native.folder["calc"]).code == 0


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def native_test_compiled_file_is_the_module_with_a_section():
    with Native() as native:
        calc = native.compile("calc")
        original, compiled = read(guest("calc")), read(calc)
        assert compiled.startswith(original)
        assert compiled[len(original):][6:].startswith(b"\x10wasmedged.native\x01")
        native.run("validate", calc).is_(0)
        done = native.run("parse", calc).is_(0)
        assert "custom wasmedged.native" in done.out and "level fast" in done.out, done.out
        native.run("--verbose", calc, "fib", "20").is_(0, "6765\n").says(
            "runs as native code of the file")
        assert native.run(calc, "fib", "20").is_(0, "6765\n").err == ""
        native.run(calc, "div", "1", "0").is_(134).says("integer divide by zero", "<divide>")
        native.run("compile", "--level", "best", calc, calc).is_(0)  # again, in place
        assert read(calc).startswith(original) and read(calc).count(b"wasmedged.native") == 1
        native.run("--verbose", calc, "fib", "20").is_(0, "6765\n").says("runs as native code")
        assert os.listdir(native.folder.path) == ["calc.wasm", "state"] or sorted(
            os.listdir(native.folder.path)) == ["calc.wasm", "state"]


def native_test_tier_is_as_asked_for():
    with Native() as native:
        calc = native.compile("calc")
        for words in (("--tier", "interp"), ("--force-interpreter",),
                      ("--tier", "native", "--force-interpreter")):
            done = native.run("--verbose", *words, calc, "fib", "20").is_(0, "6765\n")
            assert "native" not in done.err, done.err
        native.run("--verbose", "--tier", "native", calc, "fib", "20").is_(0, "6765\n").says(
            "native code of the file")
        plain = guest("calc")
        native.run("--verbose", plain, "fib", "20").is_(0, "6765\n").says(
            "the file has no native code", "is interpreted")
        native.run("--verbose", "--tier", "native", plain, "fib", "20").is_(0, "6765\n").says(
            "runs as native code compiled now")


def native_test_metered_code_counts_as_the_interpreter_does():
    def cost(native, path, *words):
        done = native.run("--verbose", "--enable-gas-measuring", *words, path, "fib", "17").is_(
            0, "1597\n")
        return int(re.search(r"Gas costs: (\d+)", done.err).group(1)), done.err
    with Native() as native:
        plain, metered = native.compile("calc"), native.compile("calc", "--metered")
        metered = native.folder["metered"]
        native.run("compile", "--metered", guest("calc"), metered).is_(0)
        want, _ = cost(native, plain, "--tier", "interp")
        got, said = cost(native, metered)
        assert "runs as native code of the file" in said, said
        assert got == want, "%d counted natively, %d interpreted" % (got, want)
        native.run("compile", "--level", "fast", guest("calc"), plain).is_(0)
        _, said = cost(native, plain)
        assert "is interpreted" in said and "--metered" in said, said
        native.run("--gas-limit", "100", metered, "fib", "30").is_(134).says("out of fuel")


def native_test_key_is_the_users_alone():
    with Native() as native:
        calc = native.compile("calc")
        assert os.stat(native.key).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(native.key)).st_mode & 0o777 == 0o700
        assert len(read(native.key)) == 32
        assert os.listdir(os.path.dirname(native.key)) == ["key"]
        os.chmod(native.key, 0o640)
        native.run("--verbose", calc, "add", "1", "2").is_(0, "3\n").says("mode is 640",
                                                                         "is interpreted")
        native.run("compile", guest("calc"), calc).is_(1, "").says("mode is 640")
        os.chmod(native.key, 0o600)
        write(native.key, b"short")
        native.run("--verbose", calc, "add", "1", "2").is_(0, "3\n").says("expected a file of 32")
        write(native.key, bytes(32))
        native.run("--verbose", calc, "add", "1", "2").is_(0, "3\n").says("is interpreted")
        os.unlink(native.key)
        os.symlink("/dev/zero", native.key)
        native.run("--verbose", calc, "add", "1", "2").is_(0, "3\n").says("is interpreted")
        os.unlink(native.key)
        native.run("--verbose", calc, "add", "1", "2").is_(0, "3\n").says("is interpreted")
        assert not os.path.exists(native.key), "running made a key"
        assert native.run(calc, "add", "1", "2").is_(0, "3\n").err == ""


def native_test_processes_agree_on_the_first_key():
    with Native() as native:
        started = [subprocess.Popen([PROGRAM, "compile", "--level", "fast", guest("calc"),
                                     native.folder["calc%d" % i]], env=native.env)
                   for i in range(4)]
        for process in started:
            assert process.wait(TIMEOUT_S) == 0
        for i in range(4):
            native.run("--verbose", native.folder["calc%d" % i], "add", "1", "2").is_(
                0, "3\n").says("runs as native code of the file")


def native_test_damaged_code_is_not_run():
    with Native() as native:
        calc = native.compile("calc")
        start, good = len(read(guest("calc"))), read(calc)
        for at in range(start + 24, len(good), (len(good) - start) // 97 + 1):
            bad = bytearray(good)
            bad[at] ^= 1 << at % 8
            write(calc, bytes(bad))
            native.run("--verbose", calc, "add", "1", "2").is_(0, "3\n").says("is interpreted")
        write(calc, good[:-1])
        native.run(calc, "add", "1", "2").is_(1)  # the section is longer than the file
        changed = bytearray(good)  # the module is another: swap a function's name in it
        at = good.index(b"addf32")
        changed[at:at + 6] = b"bddf32"
        write(calc, bytes(changed))
        native.run("--verbose", calc, "add", "1", "2").is_(0, "3\n").says("is interpreted")


def native_test_failed_compilation_leaves_nothing():
    with Native() as native:
        out = native.folder["out"]
        write(native.folder["bad"], INVALID)
        native.run("compile", native.folder["bad"], out).is_(1).says("does not validate")
        assert not os.path.exists(out)
        native.run("compile", guest("calc"), os.path.join(native.folder.path, "no", "out")).is_(
            1).says("no/out")
        native.run("compile", native.folder["missing"], out).is_(1).says("No such file")
        no_home = {"PATH": os.environ.get("PATH", "")}
        run("compile", guest("calc"), out, env=no_home).is_(1).says("XDG_STATE_HOME")
        assert not os.path.exists(out)


def native_test_wasi_commands_and_libraries_run_natively():
    with Native() as native, Folder(library=LIBRARY, importer=IMPORTER) as files:
        hello = native.compile("hello")
        native.run("--verbose", hello).is_(0, "hello, world\n").says("runs as native code")
        library = native.compile("library", module=files["library"])
        importer = native.compile("importer", module=files["importer"])
        for one in (library, files["library"]):
            for other in (importer, files["importer"]):
                native.run("--module", "lib:" + one, other, "twice", "5").is_(0, "7\n")


def native_test_time_limit_stops_native_code():
    with Native() as native:
        loop = native.compile("loop")
        start = time.monotonic()
        native.run("--time-limit", "100", "--reactor", loop, "spin").is_(134).says(
            "deadline exceeded")
        assert 0.09 < time.monotonic() - start < 5


def test_lost_output_is_a_failure():
    with open("/dev/full", "w") as full:
        code = subprocess.run([PROGRAM, "parse", guest("calc")], stdout=full,
                              stderr=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False).returncode
    assert code == 1, code


def options_of_help():
    found = set()
    for words in (("--help",), ("compile", "--help"), ("validate", "--help"), ("parse", "--help"),
                  ("wat2wasm", "--help"), ("completion", "--help"), ("plugins", "--help")):
        found |= set(re.findall(r"^\s+(?:-\w, )?--([\w-]+)", run(*words).is_(0).out, re.MULTILINE))
    return found


def test_manual_page_has_exactly_the_options_and_verbs_of_the_table():
    with open(os.path.join(SOURCE, "man", "wasmedge.1")) as file:
        page = file.read()
    described = set(re.findall(r"^\.It (?:Fl v , )?Fl Fl ([\w-]+)", page, re.MULTILINE))
    described = {option.replace("\\-", "-") for option in described}
    known = options_of_help()
    assert known - described == set(), "not in the manual page: %s" % (known - described)
    assert described - known == set(), "only in the manual page: %s" % (described - known)
    verbs = set(re.findall(r"^  (\w+) ", run("--help").out, re.MULTILINE))
    assert verbs, "no verbs in --help"
    for verb in verbs:
        assert re.search(r"^\.It Ic %s\b" % verb, page, re.MULTILINE), "no verb %s" % verb


def test_completion_scripts_are_understood():
    script = run("completion", "bash").is_(0).out
    subprocess.run(["bash", "-n"], input=script.encode(), timeout=TIMEOUT_S, check=True)
    for shell in ("zsh", "fish"):
        assert "memory-page-limit" in run("completion", shell).is_(0).out


# --- the static program and the whole one -------------------------------------------------------


class Alone:
    """A copy of the static program where the whole one is not found; or is, with_whole."""

    def __init__(self, with_whole=False, env=None):
        self.folder = tempfile.TemporaryDirectory()
        self.program = os.path.join(self.folder.name, "wasmedge")
        self.env = env
        shutil.copy(PROGRAM, self.program)
        if with_whole:
            os.makedirs(os.path.join(self.folder.name, "client", "wasmedge"))
            os.symlink(WHOLE, os.path.join(self.folder.name, "client", "wasmedge", "wasmedge"))

    def run(self, *words, **kwargs):
        return run(*words, program=self.program, **dict({"env": self.env}, **kwargs))

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.folder.cleanup()


def is_installed(alone):
    """Would the copy find a whole program where this build is going to be installed?"""
    return alone.run("plugins").code == 0


def static_test_what_needs_no_libraries_needs_no_other_program():
    with Alone() as alone, Folder(library=LIBRARY) as files:
        alone.run(guest("hello")).is_(0, "hello, world\n")
        alone.run(files["library"], "inc", "1").is_(0, "2\n")
        alone.run("--module", "lib:" + files["library"], files["library"], "inc", "1").is_(0)
        alone.run("/dev/stdin", "inc", "1", stdin=LIBRARY).is_(0, "2\n")
        alone.run("validate", guest("hello")).is_(0)
        assert alone.run("parse", guest("hello")).is_(0).out == run("parse", guest("hello")).out
        alone.run("completion", "bash").is_(0)
        assert alone.run("--help").is_(0).out == run("--help").out
        assert alone.run("compile", "--help").is_(0).out == run("compile", "--help").out
        alone.run("--bad-option").is_(1).says("bad-option")


def static_test_missing_whole_program_is_named():
    with Alone() as alone, Folder(loud=importer("demo", "shout")) as files:
        if is_installed(alone):
            return "the whole program is installed on this machine"
        words = (("plugins",), ("-v",), ("compile", guest("hello"), files["out"]),
                 ("--tier", "native", guest("hello")), (files["loud"], "f", "0", "0"),
                 ("--plugin-option", "a.b=c", guest("hello")))
        for line in words:
            done = alone.run(*line)
            done.is_(1).says(r"/wasmedge cannot be run \(No such file or directory\)")
            assert "hello" not in done.out, done.out
        assert alone.run("--version").out == run("--version").out.splitlines(True)[0]
        assert not os.path.exists(files["out"])
    return None


def static_test_whole_program_takes_over_where_it_is_needed():
    with Alone(with_whole=True, env=dict(os.environ, WASMEDGE_PLUGIN_PATH=PLUGINS)) as both, \
            Folder(loud=importer("demo", "shout"), library=LIBRARY) as files:
        assert PLUGINS in both.run("-v").is_(0).out
        assert "example" in both.run("plugins").is_(0).out
        for words, stdin in (((files["loud"],), b""), (("/dev/stdin",), read(files["loud"])),
                             (("--module", "lib:/dev/stdin", files["loud"]), LIBRARY)):
            done = both.run("--verbose", *words, "f", "0", "0", stdin=stdin)
            done.is_(134).says("text: 0 bytes at 0x0 are outside of the memory")
            # what was said before is said once
            assert done.err.count("loud.wasm: the file has no native code") == (
                words[-1] == files["loud"]), done.err


def native_static_test_compiler_is_in_the_whole_program():
    with Native() as native, Alone(with_whole=True, env=native.env) as both:
        done = both.run("--verbose", "--tier", "native", guest("hello")).is_(
            0, "hello, world\n").says("compiled now")
        assert done.err.count("has no native code") == 1, done.err
        both.run("--tier", "native", "/dev/stdin", stdin=read(guest("hello"))).is_(
            0, "hello, world\n")
        # one module has its code, the other has to be compiled
        both.run("--verbose", "--tier", "native", "--module", "calc:" + guest("calc"),
                 native.compile("hello")).is_(0, "hello, world\n").says(
                     "hello.wasm: runs as native code of the file",
                     "calc.wasm: runs as native code compiled now")


def native_static_test_native_code_runs_in_the_static_program():
    with Native() as native, Alone(env=native.env) as alone:
        calc, loop, files = (native.compile(stem) for stem in ("calc", "loop", "files"))
        alone.run("--verbose", "--tier", "native", calc, "fib", "20").is_(0, "6765\n").says(
            "runs as native code of the file")
        alone.run(calc, "div", "1", "0").is_(134).says("integer divide by zero", "<divide>")
        start = time.monotonic()
        alone.run("--time-limit", "100", "--reactor", loop, "spin").is_(134).says(
            "deadline exceeded")
        assert 0.09 < time.monotonic() - start < 5
        os.mkdir(native.folder["box"])
        write(os.path.join(native.folder["box"], "in.txt"), b"text\n")
        alone.run("--dir", "/:" + native.folder["box"], files, "upper", "/in.txt",
                  "/out.txt").is_(0)
        assert read(os.path.join(native.folder["box"], "out.txt")) == b"TEXT\n"


def main():
    tests = [(n, f) for n, f in sorted(globals().items()) if n.startswith("test_")]
    if not os.path.exists(guest("hello")):
        print("the guest programs are not built: no C compiler for WebAssembly")
        print("0 passed, 0 failed, %d skipped" % len(tests))
        return 77
    natives = [(n, f) for n, f in sorted(globals().items()) if n.startswith("native_test_")]
    passed = failed = skipped = 0
    if os.path.exists(WHOLE):
        tests += [(n, f) for n, f in sorted(globals().items()) if n.startswith("static_test_")]
        natives += [(n, f) for n, f in sorted(globals().items())
                    if n.startswith("native_static_test_")]
    if has_compiler():
        tests += natives
    else:
        print("no compiler for native code here: %d tests are skipped" % len(natives))
        skipped = len(natives)
    for test_name, test in tests:
        try:
            reason = test()
        except Exception:  # whatever it is, the other tests go on
            failed += 1
            print("%s\n%s" % (test_name, traceback.format_exc()))
            continue
        if reason is None:
            passed += 1
        else:
            skipped += 1
            print("SKIP: %s: %s" % (test_name, reason))
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
