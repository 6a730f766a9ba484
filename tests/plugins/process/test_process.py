#!/usr/bin/env python3
"""wasmedge_process: guests run what the options allow, and nothing that they started stays."""
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from plugintest import guest, main, run, start  # noqa: E402

PROCESS = guest("process")


def allowed(*words, options=()):
    """Run the guest, which may run everything."""
    return run("--allow-command-all", *options, PROCESS, *words)


def sh(script, *words):
    return ("name", "sh", "arg", "-c", "arg", script) + words


def denied(name):
    return ('Permission denied: Command "%s" is not in the white list. Please use '
            '--allow-command=%s or --allow-command-all to add "%s" command into the white list.\n'
            % (name, name, name))


def test_nothing_is_allowed_by_itself():
    run(PROCESS, "name", "true", "run", "code", "outlen", "errlen", "err").is_(
        0, "run -1\n-1\n0\n%d\n[%s]\n" % (len(denied("true")), denied("true")))
    run(PROCESS, "run", "err").is_(0, "run -1\n[%s]\n" % denied(""))


def test_what_is_named_is_allowed():
    options = ("--allow-command", "true", "--allow-command=/bin/sh")
    run(*options, PROCESS, "name", "true", "run", "errlen").is_(0, "run 0\n0\n")
    run(*options, PROCESS, "name", "/bin/sh", "arg", "-c", "arg", "exit 3", "run").is_(0, "run 3\n")
    for name in ("sh", "false", "/bin/true", "tru", "true ", "./true", "../bin/sh"):
        run(*options, PROCESS, "name", name, "run", "err").is_(
            0, "run -1\n[%s]\n" % denied(name))
    run("--plugin-option", "wasmedge_process.allow=true sh", PROCESS,
        *sh("exit 4", "run")).is_(0, "run 4\n")
    run("--plugin-option", "wasmedge_process.allow_all=yes", PROCESS,
        *sh("exit 5", "run")).is_(0, "run 5\n")


def test_exit_codes_are_signed_bytes():
    for code, want in ((0, 0), (1, 1), (127, 127), (128, -128), (255, -1)):
        allowed(*sh("exit %d" % code, "run", "code")).is_(0, "run %d\n%d\n" % (want, want))
    allowed(*sh("kill -TERM $$", "run")).is_(0, "run %d\n" % (128 + 15 - 256))
    allowed("code", "outlen", "errlen", "out").is_(0, "-1\n0\n0\n[]\n")


def test_output_is_kept_until_the_next_run():
    allowed(*sh("echo out; echo err >&2", "run", "out", "err", "name", "x", "out", "name", "true",
                "run", "out", "outlen", "errlen")).is_(
        0, "run 0\n[out\n]\n[err\n]\n[out\n]\nrun 0\n[]\n0\n0\n")


def test_a_run_resets_what_the_next_one_is_given():
    allowed(*sh("cat; echo $X", "in", "input", "env", "X", "1", "timeout", "5000", "run", "out")
            + ("run", "err") + sh("cat; echo -$X-", "run", "out")).is_(
        0, "run 0\n[input1\n]\nrun -1\n[%s]\nrun 0\n[--\n]\n" % denied(""))
    # a timeout is reset too: the second run takes longer than the first one may
    allowed("timeout", "1", *sh("sleep 9", "run"), *sh("sleep 0.2", "run")).is_(
        0, "run 110\nrun 0\n")


def test_name_is_replaced_and_arguments_are_added():
    allowed("name", "fal", "name", "echo", "arg", "a b", "arg", "", "arg", "$HOME", "run",
            "out").is_(0, "run 0\n[a b  $HOME\n]\n")


def test_child_has_only_the_variables_it_was_given():
    allowed("name", "env", "env", "A", "1", "env", "B", "x=y", "run", "out").is_(
        0, "run 0\n[A=1\nB=x=y\n]\n")
    allowed("name", "env", "run", "out").is_(0, "run 0\n[]\n")


def test_variables_that_load_code_need_more_than_a_name():
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "GCONV_PATH"):
        run("--allow-command=true", PROCESS, "name", "true", "env", name, "/x", "run").is_(
            134, "").says("this variable loads code.*allow_all")
    allowed("name", "true", "env", "LD_LIBRARY_PATH", "/nowhere", "run").is_(0, "run 0\n")


def test_large_input_and_output_do_not_block():
    # the command writes more than a pipe holds before it reads anything
    allowed("fill", "3000000", "fill", "500000",
            *sh("head -c 2000000 /dev/zero; head -c 300000 /dev/zero >&2; cat", "run", "sum",
                "errlen")).is_(0, "run 0\n5500000 %d\n300000\n" % (3500000 * ord("a")))
    # nor one that does not read at all
    allowed("fill", "3000000", "name", "true", "run").is_(0, "run 0\n")
    allowed("name", "cat", "run", "outlen").is_(0, "run 0\n0\n")


def test_input_can_be_read_again_by_name():
    allowed("in", "text", *sh("cat /dev/stdin /dev/stdin", "run", "out")).is_(
        0, "run 0\n[texttext]\n")


def test_timeout_kills_the_whole_group():
    with tempfile.TemporaryDirectory() as folder:
        mark = os.path.join(folder, "pid")
        script = "sleep 1000 & echo $! > %s; echo begun; wait" % mark
        done = allowed("timeout", "500", *sh(script, "run", "code", "out")).is_(
            0, "run 110\n110\n[begun\n]\n")
        assert 0.45 < done.seconds < 30, done.seconds
        assert is_gone(int(open(mark, encoding="ascii").read()))


def is_gone(pid):
    """Ends soon, or is nobody's zombie."""
    for _ in range(1000):
        try:
            with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_nothing_outlives_its_run():
    with tempfile.TemporaryDirectory() as folder:
        mark = os.path.join(folder, "pid")
        # the sleeper holds the pipes
        done = allowed(*sh("sleep 1000 & echo $! > %s; echo text" % mark, "run", "out")).is_(
            0, "run 0\n[text\n]\n")
        assert done.seconds < 30, done.seconds
        assert is_gone(int(open(mark, encoding="ascii").read()))


def test_a_command_ends_with_the_program():
    with tempfile.TemporaryDirectory() as folder:
        mark = os.path.join(folder, "pid")
        program = start("--allow-command-all", PROCESS,
                        *sh("echo $$ > %s.new; mv %s.new %s; exec sleep 1000" % (mark, mark, mark),
                            "run"))
        while not os.path.exists(mark) and program.poll() is None:
            time.sleep(0.01)
        program.kill()
        program.wait()
        assert is_gone(int(open(mark, encoding="ascii").read()))


def test_guests_time_limit_ends_the_command():
    with tempfile.TemporaryDirectory() as folder:
        mark = os.path.join(folder, "pid")
        done = allowed("timeout", "1000000", *sh("echo $$ > %s; exec sleep 1000" % mark, "run"),
                       options=("--time-limit", "500")).is_(134, "")
        done.says("deadline|stopped while command \"sh\"", "--time-limit 500")
        assert 0.45 < done.seconds < 30, done.seconds
        assert is_gone(int(open(mark, encoding="ascii").read()))


def test_output_is_bounded():
    limit = ("--plugin-option", "wasmedge_process.output_bytes_max=100KiB")
    allowed(*sh("head -c 102400 /dev/zero", "run", "outlen"), options=limit).is_(
        0, "run 0\n102400\n")
    allowed(*sh("head -c 102000 /dev/zero; head -c 401 /dev/zero >&2", "run"),
            options=limit).is_(134, "").says("more than 102400 bytes", "output_bytes_max")
    done = allowed(*sh("yes", "run"), options=limit).is_(134, "")
    assert done.seconds < 30, done.seconds


def test_what_cannot_be_started_says_why():
    allowed("name", "no-such-command-here", "run", "err").is_(
        0, 'run -1\n[Command "no-such-command-here" cannot be run: No such file or directory\n]\n')
    with tempfile.NamedTemporaryFile(prefix="no-program-") as file:
        allowed("name", file.name, "run", "err").is_(
            0, 'run -1\n[Command "%s" cannot be run: Permission denied\n]\n' % file.name)


def test_child_gets_three_descriptors_and_fresh_signals():
    # 3 is the folder that ls reads
    allowed("name", "ls", "arg", "/proc/self/fd", "run", "out").is_(0, "run 0\n[0\n1\n2\n3\n]\n")
    out = run("--allow-command-all", PROCESS, "name", "cat", "arg", "/proc/self/status", "run",
              "out", ignores_pipes=True).is_(0).out
    masks = dict(re.findall(r"^(Sig\w+):\t([0-9a-f]+)$", out, re.MULTILINE))
    for mask in ("SigBlk", "SigIgn"):  # the first 31; the C library has two of its own
        assert int(masks[mask], 16) & 0x7fffffff == 0, (mask, masks[mask])


def test_child_is_alone_in_its_session():
    script = "set -- $(cat /proc/$$/stat); test $1 = $5 && test $1 = $6 && echo alone"
    allowed(*sh(script, "run", "out")).is_(0, "run 0\n[alone\n]\n")


def test_addresses_outside_of_the_memory_trap():
    for what, text in (("name", "name of a command"), ("arg", "argument of a command"),
                       ("env", "name of a variable"), ("value", "value of a variable"),
                       ("in", "input of a command")):
        allowed("far", what).is_(134, "").says(text + ": .* outside of the memory")
    for what in ("out", "err"):
        words = sh("echo x; echo y >&2", "run", "far", what)
        allowed(*words).is_(134, "run 0\n").says("buffer for the output: 2 bytes")


def test_numbers_of_a_guest_are_its_own():
    """Many steps in one program: nothing is lost or kept too long (leak checkers look here)."""
    words = []
    for i in range(20):
        words += ["name", "echo", "arg", str(i), "env", "I", str(i), "in", "x" * i, "run", "out"]
    allowed(*words).is_(0, "".join("run 0\n[%d\n]\n" % i for i in range(20)))


main(globals(), [PROCESS])
