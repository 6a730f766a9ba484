#!/usr/bin/env python3
"""wasi_logging: what a guest logs arrives as lines on its streams."""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from plugintest import guest, main, run  # noqa: E402

LOGGING = guest("logging")
HEAD = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] "


def lines(text, *wanted):
    """The text is these lines, each behind a date."""
    got = text.split("\n")
    assert got[-1] == "" and len(got) == len(wanted) + 1, text
    for line, want in zip(got, wanted):
        assert re.fullmatch(HEAD + re.escape(want), line), "%r, expected %r" % (line, want)


def test_levels_have_names():
    words = []
    for level in range(6):
        words += [str(level), "", "message %d" % level]
    done = run(LOGGING, *words).is_(0)
    assert done.err == "", done.err
    assert done.out.endswith("end\n")
    lines(done.out[:-4], "[trace] message 0", "[debug] message 1", "[info] message 2",
          "[warning] message 3", "[error] message 4", "[critical] message 5")


def test_contexts_choose_the_stream():
    done = run(LOGGING, "2", "", "a", "2", "stdout", "b", "4", "stderr", "c", "2", "fyi", "d",
               "2", "stderr2", "e", "2", "stdoutx", "").is_(0)
    lines(done.out[:-4], "[info] a", "[info] b")
    lines(done.err, "[error] c", "[info] fyi: d", "[info] stderr2: e", "[info] stdoutx: ")


def test_a_context_is_no_file():
    path = "/tmp/wasi-logging-%d" % os.getpid()
    done = run(LOGGING, "2", path, "text").is_(0, "end\n")
    lines(done.err, "[info] %s: text" % path)
    assert not os.path.exists(path)


def test_long_messages_are_whole():
    done = run(LOGGING, "2", "", "LONG", "2", "y" * 5000, "LONG").is_(0)
    lines(done.out[:-4], "[info] " + 10000 * "x")
    lines(done.err, "[info] " + 5000 * "y" + ": " + 10000 * "x")


def test_unknown_level_traps():
    run(LOGGING, "6", "", "x").is_(134, "").says("there is no level 6")
    run(LOGGING, "-1", "", "x").is_(134, "").says("there is no level 4294967295")


def test_programs_without_wasi_log_too():
    def section(number, data):
        return bytes([number, len(data)]) + data

    def text(word):
        return bytes([len(word)]) + word

    # (memory 1) (data (i32.const 0) "hi"); _start is log(4, 0, 0, 0, 2), and the second function
    # log(4, 0, 1, 0, 2), whose context is "h"
    call = b"\x41\x04\x41\x00\x41%c\x41\x00\x41\x02\x10\x00\x0b"
    bodies = [b"\0" + call % 0, b"\0" + call % 1]
    module = (b"\0asm\1\0\0\0" + section(1, b"\x02\x60\5\x7f\x7f\x7f\x7f\x7f\0\x60\0\0") +
              section(2, b"\1" + text(b"wasi:logging/logging") + text(b"log") + b"\0\0") +
              section(3, b"\2\1\1") + section(5, b"\1\0\1") +
              section(7, b"\2" + text(b"_start") + b"\0\1" + text(b"f") + b"\0\2") +
              section(10, b"\2" + b"".join(text(body) for body in bodies)) +
              section(11, b"\1\0\x41\0\x0b" + text(b"hi")))
    with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
        file.write(module)
        file.flush()
        lines(run(file.name).is_(0).out, "[error] hi")
        lines(run("--reactor", file.name, "f").is_(0, "").err, "[error] h: hi")


def test_addresses_outside_of_the_memory_trap():
    run(LOGGING, "far", "0", "-").is_(134, "").says("log: context: 9 bytes at 0x7fffffff")
    run(LOGGING, "far", "1", "-").is_(134, "").says("log: message: 4294967295 bytes at")


main(globals(), [LOGGING])
