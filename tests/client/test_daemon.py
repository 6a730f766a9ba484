"""wasmedgectl against the daemon itself: every verb as a person would use it."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests", "http"))
from harness import (BUILD, CALC, CAT, FLOOD, I32, STREAMS, TICK, Daemon, Skip,  # noqa: E402
                     check, const, equal, main, module, wait_for)

PROGRAM = os.path.join(BUILD, "wasmedgectl")
GUESTS = os.path.join(BUILD, "tests", "guests")


class Done:
    def __init__(self, done):
        self.code, self.out = done.returncode, done.stdout
        self.err = done.stderr.decode(errors="replace")

    def text(self):
        return self.out.decode()

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}, stdout {self.out[:400]!r}, stderr {self.err[:800]!r}"


def environment(d):
    return dict(os.environ, WASMEDGED_HOST="unix:" + d.socket_path, XDG_CONFIG_HOME=d.folder,
                HOME=d.folder)


def ctl(d, *args, stdin=b"", code=0, err=""):
    done = Done(subprocess.run([PROGRAM, *args], input=stdin, capture_output=True, timeout=60,
                               env=environment(d), check=False))
    equal(done.code, code, "wasmedgectl", *args, done)
    check(err in done.err, "wasmedgectl", *args, "expected", repr(err), "in", done)
    return done


def write(d, name, content):
    path = os.path.join(d.folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def push(d, content, tag):
    return ctl(d, "module", "push", write(d, "module.wasm", content), "--tag", tag).text().strip()


def guest(d, name):
    path = os.path.join(GUESTS, name + ".wasm")
    if not os.path.exists(path):
        raise Skip("no compiler for guest programs")
    ctl(d, "module", "push", path, "--tag", f"guest/{name}:1")
    return f"guest/{name}:1"


def small(number):
    """A module that no other test uploads."""
    return module([(f"client{number}", [], [I32], [], const(number))])


def test_service(d):
    check("lives" in ctl(d, "ping").text(), "ping")
    check("wasmedged " in ctl(d, "version").text(), "version")
    equal(ctl(d, "openapi").json()["openapi"], "3.1.0")
    equal(ctl(d, "version", "-o", "json").json()["name"], "wasmedged")


def test_doctor_finds_nothing_wrong(d):
    done = ctl(d, "doctor")
    check("wrong" not in done.text() and "rights" in done.text(), done)
    document = ctl(d, "doctor", "-o", "json").json()
    check(document["ok"] and len(document["checks"]) >= 6, document)
    ctl(d, "doctor", "--host", f"http://127.0.0.1:{d.port}")


def test_doctor_says_what_to_do(d):
    done = ctl(d, "doctor", "--host", "unix:/nonexistent/socket", code=7)
    check("start the daemon" in done.text(), done)
    ctl(d, "doctor", "--host", "unix:" + write(d, "plain", b""), code=7)


def test_push_list_inspect_get(d):
    path = write(d, "calc.wasm", CALC)
    digest = ctl(d, "module", "push", path, "--tag", "demo/calc:1").text().strip()
    check(digest.startswith("sha256:"), digest)
    check("known already" in ctl(d, "module", "push", path).err, "a second upload")
    equal(ctl(d, "module", "push", "-", stdin=CALC).text().strip(), digest)
    listing = ctl(d, "module", "ls")
    check(listing.text().startswith("DIGEST") and digest[:19] in listing.text(), listing)
    names = ctl(d, "module", "ls", "-o", "name", "--tag", "demo/calc").text().split()
    check(digest in names, names)
    equal(ctl(d, "module", "ls", "-o", "name", "--export", "no such export").text(), "")
    for ref in ("demo/calc:1", digest, digest[:19], digest[7:19]):
        equal(ctl(d, "module", "inspect", ref, "-o", "name").text().strip(), digest, ref)
    shown = ctl(d, "module", "inspect", "demo/calc:1").text()
    check("func   add (i32 i32) -> (i32)" in shown and "memory memory 1 or more" in shown, shown)
    out = os.path.join(d.folder, "fetched.wasm")
    ctl(d, "module", "get", "demo/calc:1", "-O", out)
    with open(out, "rb") as file:
        equal(file.read(), CALC)
    equal(ctl(d, "module", "get", digest, "-O", "-").out, CALC)
    check(not os.path.exists(out + ".part"), "a partial file stays")
    ctl(d, "module", "get", digest, "-O", "/dev/null")
    check(not os.path.isfile("/dev/null"), "a device was replaced by a file")
    ctl(d, "module", "get", "demo/none", "-O", out + "2", code=3)
    check(not os.path.exists(out + "2"), "a file of nothing")


def test_push_refused(d):
    ctl(d, "module", "push", write(d, "bad.wasm", CALC[:100]), code=1, err="module-malformed")
    ctl(d, "module", "push", write(d, "empty.wasm", b""), code=1, err="empty-module")
    path = write(d, "new.wasm", small(1))
    ctl(d, "module", "push", path, "--tag", "demo/new:1", "--new")
    ctl(d, "module", "push", path, "--tag", "demo/new:1", "--new", code=5)
    ctl(d, "module", "push", path, "--tag", "Not A Tag", code=1, err="400")


def test_validate(d):
    equal(ctl(d, "validate", write(d, "ok.wasm", CALC)).text(), "valid\n")
    ctl(d, "validate", write(d, "bad.wasm", CALC[:-3]), code=1, err="module-malformed")
    ctl(d, "validate", "-", stdin=b"hello", code=1, err="magic")


def test_rm(d):
    push(d, small(2), "demo/gone:1")
    ctl(d, "module", "rm", "demo/gone:1", code=5, err="--force")
    ctl(d, "module", "rm", "demo/gone:1", "--force")
    ctl(d, "module", "rm", "demo/gone:1", code=3)


def test_native_code(d):
    push(d, CALC, "demo/native:1")
    ctl(d, "module", "artifacts", "demo/native:1", "--rm", "x", code=2, err="takes an id")
    ctl(d, "module", "artifacts", "demo/native:1", "--rm", "99999", code=3)
    ctl(d, "module", "compile", "demo/missing:1", code=3)
    ctl(d, "module", "compile", "demo/native:1", "--level", "some", code=1)
    if not os.path.exists(os.environ.get("WASMEDGE_LLVM_LIBRARY", "")):
        ctl(d, "module", "compile", "demo/native:1", "--wait", code=1)
        return
    equal(ctl(d, "module", "compile", "demo/native:1", "--wait").text(), "ready\n")
    equal(ctl(d, "module", "compile", "demo/native:1").text(), "ready\n")
    equal(ctl(d, "module", "compile", "demo/native:1", "--metered", "-w").text(), "ready\n")
    table = ctl(d, "module", "artifacts", "demo/native:1").text()
    check("plain" in table and "metered" in table and "best" in table, table)
    check("native    ready" in ctl(d, "module", "inspect", "demo/native:1").text())
    first = ctl(d, "module", "artifacts", "demo/native:1", "-o", "name").text().split()
    equal(len(first), 2)
    ctl(d, "module", "artifacts", "demo/native:1", "--rm", first[0])
    equal(ctl(d, "module", "artifacts", "demo/native:1", "-o", "name").text().split(), first[1:])
    ctl(d, "module", "artifacts", "demo/native:1", "--rm", "all")
    equal(ctl(d, "module", "artifacts", "demo/native:1", "-o", "json").json()["items"], [])


def test_tags(d):
    one, two = push(d, small(3), "demo/one:1"), push(d, small(4), "demo/two:1")
    ctl(d, "tag", "set", "demo/app:stable", "demo/one:1", "--if-match", "none")
    ctl(d, "tag", "set", "demo/app:stable", "demo/two:1", "--if-match", "none", code=5)
    ctl(d, "tag", "set", "demo/app:stable", two, "--if-match", one)
    ctl(d, "tag", "set", "demo/app:stable", two[7:25], "--if-match", one, code=5)
    equal(ctl(d, "tag", "get", "demo/app:stable", "-o", "name").text().strip(), two)
    check("demo/app:stable" in ctl(d, "tag", "ls", "demo/app", "-o", "name").text().split(), "ls")
    history = ctl(d, "tag", "history", "demo/app").text()
    check(one[:19] in history and two[:19] in history, history)
    ctl(d, "tag", "rm", "demo/app:stable", "--if-match", one, code=5)
    ctl(d, "tag", "rm", "demo/app:stable")
    ctl(d, "tag", "get", "demo/app:stable", code=3)


def test_invoke(d):
    push(d, CALC, "demo/calc:1")

    def call(*args, **more):
        return ctl(d, "invoke", "demo/calc:1", *args, **more).text()
    equal(call("add", "2", "40"), "42\n")
    equal(call("add", "-2", "0x10"), "14\n")
    equal(call("add64", "9223372036854775807", "1"), "-9223372036854775808\n")
    equal(call("add64", "18446744073709551615", "0", "--exact"), "-1\t0xffffffffffffffff\n")
    for text in ("0.1", "-0.0", "inf", "-inf", "nan:0x200001", "65536", "1e-45"):
        equal(call("same_f32", text), text + "\n")
    for text in ("0.1", "5e-324", "nan:0x8000000000001", "-nan"):
        equal(call("same_f64", text), text + "\n")
    equal(float(call("same_f32", "16777217.0000001")), 16777218)  # one rounding, not two
    equal(call("same_v128", '{"bytes":"000102030405060708090a0b0c0d0e0f"}', "--lanes", "i16x8"),
          "i16x8 256 770 1284 1798 2312 2826 3340 3854\n")
    equal(call("same_funcref", "null"), "null\n")
    equal(call("two"), "1\n2\n")
    equal(ctl(d, "invoke", "demo/calc:1", "add", "2", "40", "-o", "json").json()["results"],
          [{"type": "i32", "value": 42}])


def test_invoke_refused(d):
    push(d, CALC, "demo/calc:1")

    def refused(code, err, *args):
        ctl(d, "invoke", *args, code=code, err=err)
    refused(1, "argument-count", "demo/calc:1", "add", "1")
    refused(1, "argument-type", "demo/calc:1", "add", "1", "x")
    refused(1, "argument-range", "demo/calc:1", "add", "1", "4294967296")
    refused(3, "function-not-found", "demo/calc:1", "nothing")
    refused(3, "module-not-found", "demo/none", "add")
    refused(2, "is not UTF-8", "demo/calc:1", "\udcff")


def test_traps_and_limits(d):
    push(d, CALC, "demo/calc:1")
    ctl(d, "invoke", "demo/calc:1", "div", "1", "0", code=134,
        err="trap: integer divide by zero (integer-divide-by-zero)\n  #0 div (function 1) at 0x")
    ctl(d, "invoke", "demo/calc:1", "recurse", code=134, err="call-stack-exhausted")
    start = time.monotonic()
    ctl(d, "invoke", "demo/calc:1", "spin", "--time", "100ms", code=124, err="deadline-exceeded")
    check(time.monotonic() - start < 5, "the deadline came late")
    ctl(d, "invoke", "demo/calc:1", "spin", "--fuel", "1000", code=134, err="out-of-fuel")
    ctl(d, "invoke", "demo/calc:1", "spin", "--timeout", "200ms", code=124, err="no reply within")
    done = ctl(d, "invoke", "demo/calc:1", "div", "1", "0", "-o", "json", code=134)
    equal(done.json()["outcome"], "trapped")


def running(d):
    return ctl(d, "top", "-o", "json").json()["items"]


def test_interrupt_stops_the_guest(d):
    push(d, CALC, "demo/calc:1")
    wait_for(lambda: not running(d), 10, "an idle daemon")
    process = subprocess.Popen([PROGRAM, "invoke", "demo/calc:1", "spin"], env=environment(d),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: running(d), 10, "the call")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    equal(process.returncode, 130, err)
    wait_for(lambda: not running(d), 5, "the end of the call")


def test_push_text(d):
    text = b'(func (export "f") (result i32) (i32.const 7))'
    path = write(d, "module.wat", text)
    ctl(d, "validate", path)
    ctl(d, "module", "push", path, "--tag", "demo/text:1")
    equal(ctl(d, "invoke", "demo/text:1", "f").text().strip(), "7")
    ctl(d, "module", "push", "-", stdin=text)
    ctl(d, "module", "push", write(d, "bad.wat", b"(fun)"), code=1, err="line 1, column 2")


def test_run(d):
    push(d, STREAMS, "demo/streams:1")
    push(d, CAT, "demo/cat:1")
    done = ctl(d, "run", "demo/streams:1", code=3)
    equal((done.out, done.err), (b"out", "err\n"))
    for data in (b"hello\n", b"", b"\0\xff\xfe\n", "gr\u00fc\u00df".encode()):
        equal(ctl(d, "run", "demo/cat:1", "--stdin", "-", stdin=data).out, data)
        equal(ctl(d, "run", "demo/cat:1", "-i", write(d, "input", data)).out, data)
        equal(ctl(d, "run", "demo/cat:1", "--raw", "-i", "-", stdin=data).out, data)
    big = bytes(range(256)) * 2000
    equal(ctl(d, "run", "demo/cat:1", "--raw", "-i", write(d, "input", big)).out, big)
    # more than the stream of its events keeps: nothing is missing, or there twice
    equal(ctl(d, "run", "demo/cat:1", "-i", write(d, "input", big)).out, big)
    equal(ctl(d, "run", "demo/cat:1", stdin=b"not asked for").out, b"")
    ctl(d, "run", "demo/streams:1", "--raw", code=3)
    push(d, CALC, "demo/calc:1")
    ctl(d, "run", "demo/calc:1", code=1, err="not-a-command")


def test_run_shows_output_as_it_comes(d):
    push(d, TICK, "demo/tick:1")
    with subprocess.Popen([PROGRAM, "run", "demo/tick:1", "--time", "10s"], env=environment(d),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        equal(process.stdout.readline(), b"tick\n")
        check(running(d), "the run goes on")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        equal((process.returncode, out), (130, b""), err)
    wait_for(lambda: not running(d), 5, "the end of the run")


def test_run_is_stopped(d):
    push(d, TICK, "demo/tick:1")
    push(d, FLOOD, "demo/flood:1")
    done = ctl(d, "run", "demo/tick:1", "--time", "200ms", code=124, err="deadline-exceeded")
    equal(done.out, b"tick\n")
    ctl(d, "run", "demo/tick:1", "--raw", "--time", "200ms", code=124)
    done = ctl(d, "run", "demo/flood:1", "--time", "200ms", "--stdout-bytes", "2048", code=124,
               err="stdout was cut: 2048 of")
    equal(done.out, b"x" * 2048)


def test_run_with_arguments(d):
    ref = guest(d, "args")
    for raw in ([], ["--raw"]):
        out = ctl(d, "run", ref, *raw, "--env", "A=b c", "-e", "E=", "--", "-x", "two words").text()
        check("argv[1]=-x\nargv[2]=two words\n" in out and "env A=b c\n" in out, out)


def test_run_with_files(d):
    ref = guest(d, "files")
    source = write(d, "in.txt", b"hello")
    target = os.path.join(d.folder, "collected")
    os.mkdir(target)
    ctl(d, "run", ref, "--file", "/in.txt=" + source, "--collect", "/x.txt", "--out", target,
        "--", "upper", "/in.txt", "/x.txt")
    equal(os.listdir(target), ["x.txt"])
    with open(os.path.join(target, "x.txt"), "rb") as file:
        equal(file.read(), b"HELLO")


def test_jobs(d):
    push(d, STREAMS, "demo/streams:1")
    identifier = ctl(d, "run", "demo/streams:1", "--async", "-o", "name").text().strip()
    check(identifier.startswith("inv_"), identifier)
    done = ctl(d, "job", "wait", identifier, code=3)
    equal((done.out, done.err), (b"out", "err\n"))
    equal(ctl(d, "job", "status", identifier, "-o", "name").text(), "exited\n")
    done = ctl(d, "job", "logs", identifier)
    equal((done.out, done.err), (b"out", "err\n"))
    done = ctl(d, "job", "logs", "-f", identifier)
    equal((done.out, done.err), (b"out", "err\n"))
    events = [json.loads(line)["event"]
              for line in ctl(d, "job", "events", identifier, "-o", "json").text().splitlines()]
    equal(events, ["queued", "started", "stdout", "stderr", "result"])
    check(identifier in ctl(d, "job", "ls", "-o", "name", "--state", "exited").text(), "job ls")
    ctl(d, "job", "status", "inv_nothing", code=3, err="invocation-not-found")
    ctl(d, "job", "wait", "inv_nothing", code=3)
    push(d, CALC, "demo/calc:1")
    note = ctl(d, "invoke", "demo/calc:1", "add64", "1", "2", "--async")
    check("job wait " + note.text().strip() in note.err, note)
    equal(ctl(d, "job", "wait", note.text().strip()).text(), "3\n")


def test_job_followed_and_cancelled(d):
    push(d, TICK, "demo/tick:1")
    identifier = ctl(d, "run", "demo/tick:1", "--async", "-o", "name").text().strip()
    process = subprocess.Popen([PROGRAM, "job", "logs", "-f", identifier], env=environment(d),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal(process.stdout.readline(), b"tick\n")
    ctl(d, "job", "cancel", identifier)
    process.communicate(timeout=10)
    equal(process.returncode, 0)
    ctl(d, "job", "wait", identifier, code=130, err="the job was cancelled")


def test_kv(d):
    first = ctl(d, "kv", "put", "app", "users/1", "Ann", err="stored, 3 B").text()
    equal(ctl(d, "kv", "get", "app", "users/1").out, b"Ann")
    reply = d.unix("GET", "/v1/kv/app/users/1")
    equal((reply.body, reply.headers["Content-Type"]), (b"Ann", "text/plain; charset=utf-8"))
    second = ctl(d, "kv", "put", "app", "users/1", "-5", "--if-revision", first.strip(),
                 err="replaced").text()
    check(int(second) > int(first), first, second)
    ctl(d, "kv", "put", "app", "users/1", "x", "--if-revision", first.strip(), code=5,
        err='entity tag "%s"' % second.strip())
    ctl(d, "kv", "put", "app", "users/1", "x", "--new", code=5)
    ctl(d, "kv", "put", "app", "short", "x", "--ttl", "1h", "--type", "text/x",
        err="expires 2")
    path = write(d, "value", b"\0\1\2")
    ctl(d, "kv", "put", "app", "hex:00ff", "--file", path)
    ctl(d, "kv", "put", "app", "-", "--file", "-", stdin=b"from a pipe")
    equal(ctl(d, "kv", "get", "app", "-").out, b"from a pipe")
    out = os.path.join(d.folder, "got")
    equal(ctl(d, "kv", "get", "app", "hex:00FF", "-O", out).out, b"")
    with open(out, "rb") as file:
        equal(file.read(), b"\0\1\2")
    names = ctl(d, "kv", "ls", "app", "-o", "name").text().split()
    equal(names, ["hex:00ff", "-", "short", "users/1"])
    equal(ctl(d, "kv", "ls", "app", "us", "-o", "name").text(), "users/1\n")
    equal(ctl(d, "kv", "ls", "app", "hex:00", "-o", "name").text(), "hex:00ff\n")
    lines = ctl(d, "kv", "ls", "app").text().splitlines()
    check(lines[0].split() == ["KEY", "SIZE", "REVISION", "STORED", "EXPIRES", "TYPE"], lines)
    check(lines[3].split()[0] == "short" and lines[3].endswith("text/x"), lines)
    equal(ctl(d, "kv", "ls", "app", "-o", "json").json()["items"][0]["size"], 3)
    equal(ctl(d, "__complete", "key", "app").text(), "short\nusers/1\n")
    ctl(d, "kv", "rm", "app", "users/1", "--if-revision", "1", code=5)
    ctl(d, "kv", "rm", "app", "users/1")
    ctl(d, "kv", "rm", "app", "users/1", code=3, err="no value under the key")
    ctl(d, "kv", "get", "app", "users/1", code=3)
    # keys that no path can hold
    for key in ("..", "/", "a//b", "a/./b", "\t", "hex:"):
        word = key if key != "hex:" else "hex:" + key.encode().hex()
        ctl(d, "kv", "put", "odd", word, key)
        equal(ctl(d, "kv", "get", "odd", word).text(), key)
    check("hex:6865783a" in ctl(d, "kv", "ls", "odd", "-o", "name").text().split(), "hex:")
    ctl(d, "kv", "get", "odd", "hex:0g", code=2, err="expected hexadecimal digits")
    ctl(d, "kv", "put", "odd", "a", code=2, err="give either a VALUE or --file FILE")
    ctl(d, "kv", "put", "odd", "a", "b", "--file", path, code=2, err="give either")
    ctl(d, "kv", "put", "odd/x", "a", "b", code=1, err="a namespace has 1 to 64")


def test_kv_as_guests_in_rust(d):
    for kind, text, stored in (("bool", "true", "0100000001000000"),
                               ("char", "a", "0100000061000000"),
                               ("i8", "-2", "01000000fe000000"),
                               ("i16", "-2", "010000002f753977"),
                               ("u8", "100", "0100000064000000"),
                               ("i32", "1234567890", "02000000e62a1f4849000000"),
                               ("i64", "9223372036854775807", None), ("u64", "7", None),
                               ("f32", "1.5", None), ("f64", "-0.1", None),
                               ("string", "h\u00e9", None), ("i32-vector", "[1,-2]", None)):
        ctl(d, "kv", "put", "storage", kind, text, "--encode", kind)
        equal(ctl(d, "kv", "get", "storage", kind, "--decode", kind).text(), text + "\n")
        if stored is not None:
            equal(ctl(d, "kv", "get", "storage", kind).out.hex(), stored, kind)
    ctl(d, "kv", "put", "storage", "b", "a\nb", "--encode", "bytes")
    equal(ctl(d, "kv", "get", "storage", "b", "-d", "bytes").out, b"a\nb")
    ctl(d, "kv", "get", "storage", "i16", "-d", "i64", code=1,
        err="the value is no i64 of a guest: i64 has 8 bytes, the value has 2")
    ctl(d, "kv", "get", "storage", "i16", "-d", "u16", code=2, err="expected one of string bool")
    ctl(d, "kv", "put", "storage", "i8", "300", "-e", "i8", code=2, err="300 does not fit i8")


def test_completion_asks_the_daemon(d):
    push(d, CALC, "demo/calc:1")
    check("demo/calc:1" in ctl(d, "__complete", "ref").text().split(), "refs")
    check("add64" in ctl(d, "__complete", "function", "demo/calc:1").text().split(), "functions")
    equal(ctl(d, "__complete", "function", "demo/none").out, b"")
    equal(ctl(d, "__complete", "ref", "--host", "unix:/nonexistent").out, b"")


def make_token(d, name, scopes):
    """The file of a new secret, and the line for the daemon's file of tokens."""
    lines = subprocess.run([os.path.join(BUILD, "wasmedged"), "--new-token", name, scopes],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    secret, line = [text for text in lines if not text.startswith("#")]
    return write(d, name + ".token", secret.encode() + b"\n"), line


def test_tokens(d):
    reader, reader_line = make_token(d, "reader", "modules:read")
    caller, caller_line = make_token(d, "caller", "modules:read,modules:write,invoke")
    tokens = write(d, "tokens", f"{reader_line}\n{caller_line}\n".encode())
    os.chmod(tokens, 0o600)
    strict = Daemon(["auth.tcp=token", "auth.tokens_file=" + tokens])
    host = f"http://127.0.0.1:{strict.port}"
    path = write(d, "calc.wasm", CALC)
    try:
        strict.start()
        ctl(d, "-H", host, "module", "ls", code=4, err="--token-file")
        wrong = write(d, "no.token", b"wsm_wrong")
        ctl(d, "-H", host, "module", "ls", "--token-file", wrong, code=4)
        ctl(d, "-H", host, "--token-file", reader, "module", "ls")
        ctl(d, "-H", host, "--token-file", reader, "module", "push", path, code=4, err="scope")
        ctl(d, "-H", host, "--token-file", caller, "module", "push", path, "-t", "a/b:1")
        ctl(d, "context", "set", "strict", "-H", host, "--token-file", caller)
        equal(ctl(d, "--context", "strict", "invoke", "a/b:1", "add", "2", "40").text(), "42\n")
        done = ctl(d, "doctor", "-H", host, code=4)
        check("give a token with --token-file" in done.text(), done)
        done = ctl(d, "doctor", "--context", "strict")
        check("other users may have access" in done.text(), done)
    finally:
        strict.stop()
        strict.clean()


def test_over_tcp(d):
    push(d, CALC, "demo/calc:1")
    host = f"http://127.0.0.1:{d.port}"
    equal(ctl(d, "-H", host, "invoke", "demo/calc:1", "add", "2", "40").text(), "42\n")


main(globals())
