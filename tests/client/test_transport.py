"""wasmedgectl against servers that misbehave in ways the real daemon cannot be made to.

A small server on a unix socket answers with bytes that each case scripts: broken, endless, slow,
full of terminal escapes. What the daemon itself does is tested with the daemon.
"""
import base64
import hashlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

program = os.path.abspath(os.path.join(os.environ.get("top_builddir", "."), "wasmedgectl"))
passed = failed = skipped = 0
DIGEST = "sha256:" + "ab" * 32


def check(name, ok, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {name}: {detail}")


class Server:
    """Accepts connections and lets `answer(head, body, connection)` reply to each request."""

    def __init__(self, folder, answer):
        self.path = os.path.join(folder, "socket")
        self.answer = answer
        self.requests = []
        self.closed = threading.Event()  # a client went away while it was waiting
        self.socket = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket.bind(self.path)
        self.socket.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        data = b""
        with connection:
            try:
                while True:
                    head, data = self.read_head(connection, data)
                    if head is None:
                        return
                    body, data = self.read_body(connection, head, data)
                    self.requests.append((head, body))
                    if self.answer(head, body, connection) is False:
                        return
            except OSError:
                return

    @staticmethod
    def read_head(connection, data):
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None, b""
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        return head.decode(), data

    @staticmethod
    def read_body(connection, head, data):
        fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip()
                  for line in head.split("\r\n")[1:]}
        if fields.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fields.get("transfer-encoding") == "chunked":
            while not data.endswith(b"0\r\n\r\n"):
                data += connection.recv(65536)
            return data, b""
        length = int(fields.get("content-length", "0"))
        while len(data) < length:
            data += connection.recv(65536)
        return data[:length], data[length:]

    def close(self):
        self.socket.close()


def reply(status, body=b"", kind="application/json", fields=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"{fields}\r\n").encode() + body


def event(number, name, data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), data)


def ended(answer, *events):
    """The stream of a run: these events, and the answer in the end."""
    text = b"".join(event(i + 1, *each) for i, each in enumerate(events))
    return reply(200, text + event(len(events) + 1, "result", answer), "text/event-stream")


def problem(status, code, detail, **more):
    return reply(status, {"type": "/problems/" + code, "title": "T", "status": status,
                          "code": code, "detail": detail, **more}, "application/problem+json")


class Run:
    def __init__(self, folder, answer, *args, environment=None, stdin=b"", host=True):
        """answer: bytes for every request, or a function of (head, body, connection)."""
        def fixed(head, body, connection):
            connection.sendall(answer)
            return answer.startswith(b"HTTP/1.1")
        self.server = Server(folder, fixed if isinstance(answer, bytes) else answer)
        start = time.monotonic()
        env = dict(os.environ, XDG_CONFIG_HOME=folder, HOME=folder, **(environment or {}))
        env.pop("WASMEDGED_HOST", None)
        where = ["--host", "unix:" + self.server.path] if host else []
        done = subprocess.run([program, *where, *args], input=stdin,
                              capture_output=True, timeout=30, env=env, check=False)
        self.took = time.monotonic() - start
        self.code, self.out = done.returncode, done.stdout
        self.err = done.stderr.decode(errors="replace")
        self.server.close()

    def expect(self, name, code, err="", out=None):
        ok = self.code == code and err in self.err and (out is None or self.out == out)
        check(name, ok, f"exit {self.code} (want {code}), stdout {self.out[:300]!r}, "
                        f"stderr {self.err[:600]!r} (want {err!r} in it)")


def test_statuses(folder):
    cases = [(400, "bad-json", 1), (401, "unauthenticated", 4), (403, "forbidden", 4),
             (404, "module-not-found", 3), (409, "module-in-use", 5),
             (412, "precondition-failed", 5), (422, "function-not-found", 3),
             (422, "argument-type", 1), (428, "precondition-required", 5),
             (429, "queue-full", 6), (500, "internal", 1), (503, "draining", 6),
             (504, "x", 124), (507, "disk-full", 6)]
    for status, code, want in cases:
        run = Run(folder, problem(status, code, "the reason"), "module", "inspect", "a/b")
        run.expect(f"{status} {code}", want, f"the reason ({status} {code})")
    run = Run(folder, problem(404, "module-not-found", "module demo/app:1 is not known"),
              "module", "inspect", "demo/app:1")
    run.expect("a problem is one line and a hint", 3,
               "wasmedgectl: module demo/app:1 is not known (404 module-not-found)\n"
               "  hint: wasmedgectl module ls lists")
    run = Run(folder, reply(429, {"code": "queue-full", "detail": "full"},
                            "application/problem+json", "Retry-After: 7\r\n"),
              "module", "inspect", "a/b")
    run.expect("Retry-After is passed on", 6, "try again in 7 s")
    run = Run(folder, problem(422, "argument-type", "no", errors=[
        {"pointer": "/args/1", "detail": "not a number"},
        {"offset": 4711, "function": 12, "detail": "i32.add"}]), "module", "inspect", "a/b")
    run.expect("places are listed", 1, "  at /args/1: not a number\n"
               "  function 12: offset 0x1267: i32.add\n")


def test_broken_replies(folder):
    cases = [
        ("garbage", b"\x00\x01garbage\r\n\r\n", 7, ""),
        ("an empty reply", b"", 7, ""),
        ("a truncated body", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":", 7, ""),
        ("a bad chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 7, ""),
        ("bad JSON", reply(200, b"{"), 1, "bad JSON"),
        ("not an object", reply(200, b"[1,2]"), 0, ""),
        ("duplicate members", reply(200, b'{"a":1,"a":2}'), 1, "bad JSON"),
        ("deep JSON", reply(200, b"[" * 100000), 1, "bad JSON"),
        ("HTML", reply(502, b"<html>", "text/html"), 1, "status 502 and no explanation"),
        ("a redirect", reply(302, b"", fields="Location: http://example.invalid/\r\n"), 1,
         "status 302"),
        ("a problem that is none", reply(404, b"[]", "application/problem+json"), 3, "status 404"),
        ("a huge error", reply(500, b"x" * 2000000), 1, "more than"),
        ("many header fields", reply(200, b"{}", fields="X: y\r\n" * 100), 1, "header"),
        ("no status", b"HTTP/0.9\r\n\r\n", 7, ""),
    ]
    for name, answer, code, err in cases:
        def send(head, body, connection, answer=answer):
            connection.sendall(answer)
            return False
        Run(folder, send, "module", "inspect", "a/b").expect(name, code, err)


def test_slow_servers(folder):
    def silent(head, body, connection):
        connection.recv(1)
        return False

    def dripping(head, body, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.1)
        return False
    for name, answer in (("silent", silent), ("dripping", dripping)):
        run = Run(folder, answer, "module", "inspect", "a/b", "--timeout", "300ms")
        run.expect(f"{name}: the timeout", 124, "no reply within 300 ms")
        check(f"{name}: in time", run.took < 3, run.took)
    missing = subprocess.run([program, "ping", "--host", "unix:" + folder + "/nothing"],
                             capture_output=True, timeout=20, check=False)
    check("nobody there", missing.returncode == 7, missing)


def test_escapes(folder):
    evil = "\x1b[2J\x1b]0;owned\x07 \u009b31m \u202e back\r\nline"
    run = Run(folder, problem(404, "module-\x1bnot", evil), "module", "inspect", "a/b")
    run.expect("a problem cannot steer the terminal", 3,
               "\\x1b[2J\\x1b]0;owned\\x07 \\u009b31m \\u202e back\\r\\nline")
    check("no escape got through", "\x1b" not in run.err and "\u009b" not in run.err, run.err)
    listing = {"items": [{"digest": DIGEST, "size": 5, "tags": [evil], "created_at": evil}]}
    run = Run(folder, reply(200, listing), "module", "ls")
    check("nor a table", run.code == 0 and b"\x1b" not in run.out and b"\\x1b[2J" in run.out,
          run.out)
    answer = {"id": "inv_1", "outcome": "trapped", "trap": {
        "code": "unreachable", "message": evil, "backtrace": [{"name": evil, "function": 1}]}}
    run = Run(folder, reply(200, answer), "invoke", "a/b", "f")
    check("nor a trap", run.code == 134 and "\x1b" not in run.err, run.err)


def run_on_terminal(args):
    """Exit code and output of a program whose standard output is a terminal."""
    main, child = pty.openpty()
    process = subprocess.Popen([program, *args], stdout=child, stderr=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, env=dict(os.environ, COLUMNS="60"))
    os.close(child)
    out = b""
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(main)
    return process.wait(20), out.replace(b"\r\n", b"\n")


def test_guest_output(folder):
    answer = ended({"id": "i", "outcome": "exited", "exit_code": 3,
                    "stdout": {"text": "\x1b[31mred\x1b[0m\n\tx\n"},
                    "stderr": {"base64": "AP8K"}})

    def send(head, body, connection):
        connection.sendall(answer)
    run = Run(folder, answer, "run", "a/b")
    run.expect("bytes pass to a pipe, the exit code is the guest's", 3,
               out=b"\x1b[31mred\x1b[0m\n\tx\n")
    check("binary output is decoded", run.err.encode("utf-8", "replace").startswith(b"\x00"),
          run.err)
    server = Server(folder, send)
    code, out = run_on_terminal(["run", "a/b", "--host", "unix:" + server.path])
    server.close()
    check("a terminal gets text", code == 3 and out == b"\\x1b[31mred\\x1b[0m\n\tx\n", out)

    nul = b'{"id":"i","outcome":"exited","exit_code":0,"stdout":{"text":"a\\u0000b"}}'
    Run(folder, ended(nul), "run", "a/b").expect("NUL in text", 0, out=b"a\0b")
    cut = {"id": "i", "outcome": "exited", "exit_code": 0,
           "stdout": {"text": "abc", "truncated": True, "size": 1000}}
    Run(folder, ended(cut), "run", "a/b").expect("a cut is mentioned", 0,
                                                 "3 of 1000 bytes", b"abc")
    bad = {"id": "i", "outcome": "exited", "exit_code": 0, "stdout": {"base64": "%%%"}}
    Run(folder, ended(bad), "run", "a/b").expect("bad base64", 1, "not base64")


def test_live_output(folder):
    def said(text):
        return {"id": "i", "outcome": "exited", "exit_code": 0, "stdout": {"text": text},
                "stderr": {"text": "!"}}
    pieces = [("queued", {}), ("stdout", {"text": "a"}), ("stderr", {"text": "!"}),
              ("stdout", {"base64": "Yg=="})]
    run = Run(folder, ended(said("ab"), *pieces), "run", "a/b")
    run.expect("what came in pieces is shown once", 0, "!", b"ab")
    check("standard error, too", run.err == "!", run.err)
    Run(folder, ended(said("abcd"), *pieces), "run", "a/b").expect(
        "the rest comes from the answer", 0, out=b"abcd")
    # an event is missing between the pieces: what comes after it is not shown before the end
    gap = ended(said("axyb"), *pieces).replace(b"id: 4\nevent: stdout", b"id: 7\nevent: stdout")
    Run(folder, gap, "run", "a/b").expect("a gap is filled from the answer", 0, out=b"axyb")
    stream = reply(200, event(1, "stdout", {"text": "a"}), "text/event-stream")
    Run(folder, stream, "run", "a/b").expect("a stream without its end", 7, "broke off", b"a")
    Run(folder, ended(b"nonsense"), "run", "a/b").expect("an answer that is none", 7, "broke off")
    Run(folder, ended({"outcome": "trapped", "trap": {"code": "not-a-command", "message": "m"}}),
        "run", "a/b").expect("a late refusal", 1, "m (422 not-a-command)")
    Run(folder, ended(said("ab")), "run", "a/b", "-o", "json").expect(
        "programs get the answer only", 1)


def test_raw(folder):
    def chunked(trailer):
        return (b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                b"Transfer-Encoding: chunked\r\nTrailer: Wasm-Outcome\r\n\r\n"
                b"3\r\na\x00b\r\n0\r\n" + trailer + b"\r\n")
    run = Run(folder, chunked(b"Wasm-Outcome: exited\r\nWasm-Exit-Code: 9\r\n"),
              "run", "a/b", "--raw", "--env", "A=b c", "--time", "2s", "--", "-x", "y&z")
    run.expect("trailers give the exit code", 9, out=b"a\0b")
    head = run.server.requests[0][0].split("\r\n")[0]
    check("arguments travel in the query", head == "POST /v1/modules/a/b:latest/run?arg=-x&"
          "arg=y%26z&env=A%3Db%20c&time_ms=2000 HTTP/1.1", head)
    run = Run(folder, chunked(b"Wasm-Outcome: trapped\r\n"), "run", "a/b", "--raw")
    run.expect("a trap", 134, "trapped", b"a\0b")
    run = Run(folder, chunked(b""), "run", "a/b", "--raw")
    run.expect("no outcome is a failure", 1, "does not say")
    run = Run(folder, chunked(b"Wasm-Outcome: exited\r\nWasm-Exit-Code: 0\r\n"),
              "run", "a/b", "--raw", "--stdin", "-", stdin=b"input")
    check("standard input is sent as it comes",
          run.code == 0 and b"input" in run.server.requests[0][1], run.server.requests)


def test_interrupt(folder):
    got = threading.Event()

    def hang(head, body, connection):
        got.set()
        if connection.recv(1) == b"":
            server.closed.set()
        return False
    server = Server(folder, hang)
    for args in (["invoke", "a/b", "spin"], ["run", "a/b"]):
        got.clear()
        server.closed.clear()
        process = subprocess.Popen([program, *args, "--host", "unix:" + server.path],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        got.wait(10)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        took = time.monotonic() - start
        check(f"Ctrl-C ends {args[0]} with 130", process.returncode == 130, process.returncode)
        check(f"{args[0]}: at once", took < 0.5, took)
        check(f"{args[0]}: the connection is closed", server.closed.wait(5))
        check(f"{args[0]}: and it is said", b"interrupted" in err, err)
    server.close()


def test_lists(folder):
    pages = []

    def page(head, body, connection):
        pages.append(head.split(" ")[1])
        n = len(pages)
        items = [{"digest": f"sha256:{n:064x}", "size": n}]
        connection.sendall(reply(200, {"items": items, "next_cursor": f"c/{n}"}))
    run = Run(folder, page, "module", "ls", "--limit", "3", "-o", "name")
    run.expect("a list ends at the limit", 0,
               out="".join(f"sha256:{n:064x}\n" for n in (1, 2, 3)).encode())
    check("cursors are followed",
          pages == ["/v1/modules?limit=3", "/v1/modules?limit=2&cursor=c%2F1",
                    "/v1/modules?limit=1&cursor=c%2F2"], pages)
    run = Run(folder, reply(200, {"items": [], "next_cursor": "for ever"}), "module", "ls")
    run.expect("a page without items ends the list", 0)
    exact = b'{ "items":[ {"digest":"x","n":1.0} ],\n  "unknown":9007199254740993 }'
    Run(folder, reply(200, exact), "module", "ls", "-o", "json").expect(
        "json is the server's document, byte by byte", 0, out=exact + b"\n")


def test_prefixes(folder):
    items = [{"digest": "sha256:" + "ab" * 32}, {"digest": "sha256:" + "ab" * 31 + "00"},
             {"digest": "sha256:" + "cd" * 32}]

    def answer(head, body, connection):
        target = head.split(" ")[1]
        connection.sendall(reply(200, {"items": items} if "limit" in target
                                 else {"digest": target.rsplit("/", 1)[1], "size": 1}))
    run = Run(folder, answer, "module", "inspect", "cdcdcdcdcdcd", "-o", "name")
    check("a unique beginning of a digest is enough", run.out.strip().endswith(b"cd" * 32), run.out)
    run = Run(folder, answer, "module", "inspect", "sha256:cdcdcdcdcdcdcd")
    check("also with its prefix", run.code == 0, run.err)
    Run(folder, answer, "module", "inspect", "abababababab").expect(
        "an ambiguous one is not", 2, "2 modules have a digest that begins with")
    Run(folder, answer, "module", "inspect", "123412341234").expect(
        "an unknown one", 3, "no module")
    Run(folder, answer, "module", "inspect", "cdcdcdcdcdc").expect("a short one", 2)
    Run(folder, answer, "module", "inspect", "../../etc").expect("a path is no name", 2)


def test_collect(folder):
    target = os.path.join(folder, "out")
    os.mkdir(target)
    os.symlink(folder, os.path.join(target, "link"))

    def with_path(path, href="/v1/invocations/i/files/x"):
        def answer(head, body, connection):
            if head.startswith("GET"):
                connection.sendall(reply(200, b"content", "application/octet-stream"))
            else:
                connection.sendall(ended({"id": "i", "outcome": "exited", "exit_code": 0,
                                          "files": [{"path": path, "href": href}]}))
        return answer
    args = ("run", "a/b", "--collect", "/**", "--out", target)
    Run(folder, with_path("/a/b/r.txt"), *args).expect("a file is collected", 0)
    with open(os.path.join(target, "a/b/r.txt"), "rb") as file:
        check("its content is right", file.read() == b"content")
    for path in ("/../evil", "/a/../../evil", "/link/evil", "/.", "/", "", "/a/..",
                 "/" + "x" * 300):
        Run(folder, with_path(path), *args).expect(f"{path!r} stays out", 1)
    check("nothing got out", not os.path.exists(os.path.join(folder, "evil")))
    for href in ("http://example.invalid/", "//example.invalid/v1/", "/v1/x y", "/v1/\r\nX: y", ""):
        Run(folder, with_path("/f", href), *args).expect(f"address {href!r}", 1,
                                                         "no proper address")


def test_upload(folder):
    module = os.path.join(folder, "app.wasm")
    with open(module, "wb") as file:
        file.write(b"\0asm" + b"x" * 3000000)
    done = reply(201, {"digest": DIGEST, "size": 3000004, "created": True, "tag": "a/b:1"})
    run = Run(folder, done, "module", "push", module, "--tag", "a/b:1", "--new")
    run.expect("an upload prints the digest", 0, "stored, 2.9 MiB, tagged a/b:1",
               (DIGEST + "\n").encode())
    head, body = run.server.requests[0]
    check("whole, with its length",
          len(body) == 3000004 and "Content-Length: 3000004" in head, head)
    check("with the tag and the precondition",
          head.startswith("POST /v1/modules?tag=a/b:1 ".replace("/b", "%2Fb"))
          and "If-None-Match: *" in head, head)
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    check("with the digest that its bytes have",
          f"Content-Digest: sha-256=:{digest}:\r\n" in head + "\r\n", head)
    check("no progress bar without a terminal", "\r" not in run.err, run.err)
    run = Run(folder, done, "module", "push", "-", stdin=b"\0asm123")
    head = run.server.requests[0][0].lower()
    check("standard input is sent in chunks, without a digest",
          run.code == 0 and "chunked" in head and "content-digest" not in head, run.err)
    run = Run(folder, reply(200, {"valid": True}), "validate", module)
    check("what is to be validated has its digest, too",
          run.code == 0 and f"Content-Digest: sha-256=:{digest}:" in run.server.requests[0][0],
          run.err)
    Run(folder, done, "module", "push", folder).expect("a folder is no module", 1, "is a folder")
    Run(folder, done, "module", "push", folder + "/no").expect("no such file", 1, "No such file")

    def early(head, body, connection):
        return False

    class Refusing(Server):
        def serve(self, connection):
            with connection:
                connection.recv(100)
                connection.sendall(problem(413, "body-too-large", "at most 1 MiB"))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
    server = Refusing(folder, early)
    run = subprocess.run([program, "module", "push", module, "--host", "unix:" + server.path],
                         capture_output=True, timeout=30, check=False)
    check("an early refusal is understood",
          run.returncode == 1 and b"at most 1 MiB (413 body-too-large)" in run.stderr, run)
    server.close()


def test_events(folder):
    seen = []

    def answer(head, body, connection):
        if "/events" not in head:
            connection.sendall(reply(200, {"id": "i", "state": "exited", "result": {
                "outcome": "exited", "exit_code": 4, "stdout": {"text": "end\n"}}}))
            return
        seen.append([line for line in head.split("\r\n") if line.startswith("Last-Event-ID")])
        first = (b"id: 1\nevent: started\ndata: {}\n\n"
                 b"id: 2\nevent: stdout\ndata: {\"text\":\"a\\n\"}\n\n")
        second = (b"id: 3\nevent: stderr\ndata: {\"base64\":\"YgoA\"}\n\n"
                  b"id: 4\nevent: result\ndata: {}\n\n")
        stream = first if len(seen) == 1 else second
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + stream)
        return False
    run = Run(folder, answer, "job", "logs", "i", "-f")
    run.expect("logs are followed over a broken connection", 0, "b\n\0", b"a\n")
    check("from where it broke", seen == [[], ["Last-Event-ID: 2"]], seen)
    seen.clear()
    Run(folder, answer, "job", "wait", "i").expect("wait ends as the job did", 4, out=b"end\n")
    seen.clear()
    run = Run(folder, answer, "job", "events", "i", "-o", "json")
    lines = [json.loads(line) for line in run.out.splitlines()]
    check("events are JSON lines", [line["event"] for line in lines] ==
          ["started", "stdout", "stderr", "result"] and lines[1]["data"] == {"text": "a\n"}, lines)
    run = Run(folder, problem(404, "invocation-not-found", "no"), "job", "wait", "i")
    run.expect("an unknown job", 3, "invocation-not-found")


def test_tokens(folder):
    token = os.path.join(folder, "token")
    with open(token, "w", encoding="ascii") as file:
        file.write("s3cret\n")

    def shown(run):
        return [line for line in run.server.requests[0][0].split("\r\n") if "uthoriz" in line]
    ok = reply(200, {"status": "ok"})
    run = Run(folder, ok, "ping", "--token-file", token)
    check("a token is shown", shown(run) == ["Authorization: Bearer s3cret"], shown(run))
    run = Run(folder, ok, "ping", "-v", "--token-file", token)
    check("but not to the eye", "s3cret" not in run.err and "GET" in run.err, run.err)
    with open(token, "w", encoding="ascii") as file:
        file.write("bad\x01token\n")
    run = Run(folder, ok, "ping", "--token-file", token)
    run.expect("a token with control characters is refused", 2, "the token")
    run = Run(folder, ok, "ping", environment={"http_proxy": "http://127.0.0.1:1"})
    run.expect("proxies of the environment are not used", 0)


def test_contexts(folder):
    env = dict(os.environ, XDG_CONFIG_HOME=folder)
    env.pop("WASMEDGED_HOST", None)
    path = os.path.join(folder, "wasmedged", "contexts.json")

    def ctl(*args):
        return subprocess.run([program, *args], capture_output=True, env=env, timeout=20,
                              text=True, check=False)
    check("a context needs a host", ctl("context", "set", "x").returncode == 2)
    check("a name is plain", ctl("context", "set", "a/b", "--host", "unix:/x").returncode == 2)
    token = os.path.join(folder, "ctx-token")
    with open(token, "w", encoding="ascii") as file:
        file.write("of-context")
    ctl("context", "set", "one", "--host", f"unix:{folder}/socket", "--token-file", token)
    ctl("context", "set", "two", "--host", "http://localhost:1")
    check("the file is ours alone", os.stat(path).st_mode & 0o777 == 0o600)
    listing = ctl("context", "ls").stdout
    check("the first is current", "*  one" in listing and "   two" in listing, listing)
    check("the token itself is not in the file", "of-context" not in open(path).read())
    run = Run(folder, reply(200, {}), "ping", host=False)
    check("the current context gives host and token", run.code == 0 and
          "Bearer of-context" in run.server.requests[0][0], run.err)
    run = Run(folder, reply(200, {}), "ping")
    check("its token goes to its host only",
          run.code == 0 and "Bearer" not in run.server.requests[0][0], run.err)
    check("use", ctl("context", "use", "two").returncode == 0 and
          "*  two" in ctl("context", "ls").stdout)
    check("an unknown one", ctl("context", "use", "three").returncode == 3 and
          ctl("ping", "--context", "three").returncode == 2)
    check("rm", ctl("context", "rm", "two").returncode == 0 and
          "two" not in ctl("context", "ls").stdout)
    os.chmod(path, 0o666)
    bad = ctl("context", "ls")
    check("a file others can write is refused", bad.returncode == 1 and "chmod 600" in bad.stderr)
    os.chmod(path, 0o600)
    for text in ("{", "[]", '{"contexts":{"x":{}}}', '{"current":5}', '{"a":1,"a":2}'):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        check(f"refused: {text}", ctl("context", "ls").returncode == 1)
    os.unlink(path)


def test_usage():
    for args in ([], ["nonsense"], ["module"], ["invoke", "a/b"],
                 ["run", "a/b", "--env", "novalue"],
                 ["ping", "--host", "ftp://x"], ["ping", "--host", "http://user@x"],
                 ["ping", "--timeout", "-5"], ["ping", "--timeout", "5x"], ["ping", "-o", "xml"],
                 ["run", "a/b", "--collect", "/x"], ["invoke", "a/b", "f", "{bad json"],
                 ["run", "a/b", "--raw", "--file", "/a=b"], ["invoke", "a/b", "f", "--fuel", "x"]):
        done = subprocess.run([program, *args], capture_output=True, timeout=20, check=False)
        check(f"usage: {args}", done.returncode == 2 and done.stderr.startswith(b"wasmedgectl: "),
              done)
    full = subprocess.run(f"{program} --help >/dev/full", shell=True, capture_output=True,
                          timeout=20, check=False)
    check("a full disk is noticed", full.returncode == 1 and b"cannot write" in full.stderr, full)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for test in (test_statuses, test_broken_replies, test_slow_servers, test_escapes,
                     test_guest_output, test_live_output, test_raw, test_interrupt,
                     test_lists, test_prefixes, test_collect, test_upload, test_events,
                     test_tokens, test_contexts):
            test(folder)
    test_usage()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
