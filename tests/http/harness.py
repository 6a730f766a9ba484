"""A daemon of its own for each test script, and what the scripts share.

A script defines functions named test_*, and ends with harness.main(globals()). Each test gets a
running Daemon; the last line of output is the tally.
"""
import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.environ.get("top_builddir", os.getcwd())
SOURCE = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
START_S = 20
WASM = {"Content-Type": "application/wasm"}
JSON = {"Content-Type": "application/json"}


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


class Check(AssertionError):
    """A check that did not hold."""


def check(condition, *said):
    if not condition:
        raise Check(" ".join(str(s) for s in said))


def equal(found, expected, *said):
    check(found == expected, *said, "expected", repr(expected), "found", repr(found)[:600])


# --- HTTP -------------------------------------------------------------------------------------


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:500])


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Daemon:
    """wasmedged in a folder of its own, on a Unix socket and a loopback port."""

    def __init__(self, sets=(), config="", folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix="wasmedged-")
        self.owns_folder = folder is None
        self.socket_path = os.path.join(self.folder, "api.sock")
        self.config_path = os.path.join(self.folder, "wasmedged.conf")
        self.log_path = os.path.join(self.folder, "log")
        self.port = free_port()
        self.sets = list(sets)
        self.process = None
        with open(self.config_path, "w") as file:
            file.write(config)

    def command(self):
        sets = ["listen.unix=" + self.socket_path, "listen.tcp=127.0.0.1:%d" % self.port,
                "store.directory=" + os.path.join(self.folder, "store"),
                "store.free_space_floor=0"]
        if not any(s.startswith("auth.") for s in self.sets):
            sets.append("auth.tcp=none")
        command = [os.path.join(BUILD, "wasmedged"), "-c", self.config_path]
        for setting in sets + self.sets:
            command += ["--set", setting]
        return command

    def start(self, **options):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, **options)
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Check("the daemon ended with", self.process.returncode, self.log())
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.unix("GET", "/livez", timeout=2).status == 200:
                    return self
            time.sleep(0.01)
        raise Check("the daemon does not answer", self.log())

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Returns the exit status; None when it had to be killed."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self.process = None
        return status

    def clean(self):
        self.stop(signal.SIGKILL)
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()[-4000:]

    def memory_kib(self):
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith("VmRSS"):
                    return int(line.split()[1])

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def connection(self, unix=False, timeout=20):
        if unix:
            return UnixConnection(self.socket_path, timeout)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, target, body=None, headers=None, unix=False, timeout=20):
        connection = self.connection(unix, timeout)
        try:
            connection.request(method, target, body, headers or {})
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def unix(self, method, target, body=None, headers=None, timeout=20):
        return self.request(method, target, body, headers, True, timeout)

    def upload(self, module, tag=None):
        target = "/v1/modules" + ("?tag=" + tag if tag else "")
        reply = self.request("POST", target, module, WASM)
        check(reply.status in (200, 201), "upload:", reply)
        return reply.json()["digest"]

    def invoke(self, ref, function, args=(), headers=None, **more):
        body = dict(function=function, args=list(args), **more)
        return self.request("POST", "/v1/modules/%s/invoke" % ref, json.dumps(body),
                            dict(JSON, **(headers or {})))

    def raw(self, data, unix=False, timeout=5, half_close=False):
        """Send bytes, return all that comes back until the other side closes, or b'' in time."""
        sock = self.open(unix, timeout)
        with sock:
            with contextlib.suppress(OSError):
                sock.sendall(data)
                if half_close:
                    sock.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(OSError):
                while True:
                    piece = sock.recv(65536)
                    if not piece:
                        break
                    received += piece
            return received

    def open(self, unix=False, timeout=5):
        if unix:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            sock.connect(self.socket_path)
        else:
            sock = socket.create_connection(("127.0.0.1", self.port), timeout)
        return sock


def slack_kib(kib):
    """How much more memory may be resident: a sanitizer keeps what was freed for a while."""
    with open(os.path.join(BUILD, "wasmedged"), "rb") as file:
        return kib + (1 << 19 if b"__asan_init" in file.read() else 0)


def problem(reply, status, code):
    """The reply is this problem; returns the document."""
    equal(reply.status, status, reply)
    equal(reply.headers["Content-Type"], "application/problem+json", reply)
    document = reply.json()
    equal(document["code"], code, reply)
    equal(document["status"], status, reply)
    equal(document["type"], "/problems/" + code, reply)
    return document


def wait_for(condition, seconds=5, what="the condition"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise Check("waited %s s for %s" % (seconds, what))


# --- modules ----------------------------------------------------------------------------------

I32, I64, F32, F64, V128, FUNCREF = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B, 0x70


def leb(number):
    out = bytearray()
    while True:
        byte = number & 0x7F
        number >>= 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def signed(number):
    out = bytearray()
    while True:
        byte = number & 0x7F
        number >>= 7
        if (number == 0 and not byte & 0x40) or (number == -1 and byte & 0x40):
            return bytes(out + bytes([byte]))
        out.append(byte | 0x80)


def vector(items):
    return leb(len(items)) + b"".join(items)


def name(text):
    data = text if isinstance(text, bytes) else text.encode()
    return leb(len(data)) + data


def section(number, content):
    return bytes([number]) + leb(len(content)) + content


def functype(params, results):
    return b"\x60" + vector([bytes([t]) for t in params]) + vector([bytes([t]) for t in results])


def module(functions=(), imports=(), memory=None, data=(), custom=()):
    """A binary: functions are (export or None, params, results, locals, code without end),
    imports are (module, name, params, results), data are (offset, bytes)."""
    types = [functype(i[2], i[3]) for i in imports] + [functype(f[1], f[2]) for f in functions]
    out = b"\0asm\1\0\0\0" + section(1, vector(types))
    if imports:
        out += section(2, vector([name(m) + name(n) + b"\0" + leb(k)
                                  for k, (m, n, _, _) in enumerate(imports)]))
    out += section(3, vector([leb(len(imports) + k) for k in range(len(functions))]))
    if memory is not None:
        out += section(5, vector([b"\0" + leb(memory)]))
    exports = [name(f[0]) + b"\0" + leb(len(imports) + k)
               for k, f in enumerate(functions) if f[0] is not None]
    if memory is not None:
        exports.append(name("memory") + b"\2\0")
    out += section(7, vector(exports))
    bodies = []
    for _, _, _, local_types, code in functions:
        body = vector([b"\1" + bytes([t]) for t in local_types]) + code + b"\x0b"
        bodies.append(leb(len(body)) + body)
    out += section(10, vector(bodies))
    if data:
        out += section(11, vector([b"\0\x41" + signed(at) + b"\x0b" + leb(len(d)) + d
                                   for at, d in data]))
    for custom_name, content in custom:
        out += section(0, name(custom_name) + content)
    return out


def const(number):
    return b"\x41" + signed(number)


def get(index):
    return b"\x20" + leb(index)


def call(index):
    return b"\x10" + leb(index)


LOOP_FOREVER = b"\x03\x40\x0c\x00\x0b"
UNREACHABLE = b"\x00"

# add and its relatives, a trap, a loop, recursion, memory growth, and values of every type
CALC = module([
    ("add", [I32, I32], [I32], [], get(0) + get(1) + b"\x6a"),
    ("div", [I32, I32], [I32], [], get(0) + get(1) + b"\x6d"),
    ("add64", [I64, I64], [I64], [], get(0) + get(1) + b"\x7c"),
    ("same_f32", [F32], [F32], [], get(0)),
    ("same_f64", [F64], [F64], [], get(0)),
    ("same_v128", [V128], [V128], [], get(0)),
    ("same_funcref", [FUNCREF], [FUNCREF], [], get(0)),
    ("spin", [], [], [], LOOP_FOREVER),
    ("recurse", [], [], [], call(8)),
    ("unreachable", [], [], [], UNREACHABLE),
    ("grow", [I32], [I32], [], get(0) + b"\x40\x00"),
    ("two", [], [I32, I64], [], const(1) + b"\x42\x02"),
    ("", [], [I32], [], const(7)),
], memory=1)

WASI = "wasi_snapshot_preview1"
FD_WRITE = (WASI, "fd_write", [I32] * 4, [I32])
FD_READ = (WASI, "fd_read", [I32] * 4, [I32])
PROC_EXIT = (WASI, "proc_exit", [I32], [])
STORE = b"\x36\x02\x00"
LOAD = b"\x28\x02\x00"


def iovec(at, pointer, length):
    return const(at) + const(pointer) + STORE + const(at + 4) + const(length) + STORE


def write_fd(fd, pointer, length, function=0):
    """Code that writes memory to a descriptor and drops the result."""
    return (iovec(0, pointer, length) + const(fd) + const(0) + const(1) + const(8) +
            call(function) + b"\x1a")


# writes "out" and "err\n", exits with 3
STREAMS = module(
    [("_start", [], [], [],
      write_fd(1, 64, 3) + write_fd(2, 80, 4) + const(3) + call(1))],
    [FD_WRITE, PROC_EXIT], memory=1, data=[(64, b"out"), (80, b"err\n")])

# writes 1 KiB of 'x' to standard output, forever
FLOOD = module(
    [("_start", [], [], [], b"\x03\x40" + write_fd(1, 1024, 1024) + b"\x0c\x00\x0b")],
    [FD_WRITE], memory=1, data=[(1024, b"x" * 1024)])

# writes "tick\n" and then loops forever
TICK = module(
    [("_start", [], [], [], write_fd(1, 64, 5) + LOOP_FOREVER)],
    [FD_WRITE], memory=1, data=[(64, b"tick\n")])

# copies standard input to standard output
CAT = module(
    [("_start", [], [], [],
      b"\x02\x40\x03\x40" + iovec(0, 1024, 4096) +
      const(0) + const(0) + const(1) + const(8) + call(1) +
      b"\x0d\x01" +                            # br_if out on an error
      const(8) + LOAD + b"\x45\x0d\x01" +      # end of file
      const(0) + const(1024) + STORE + const(4) + const(8) + LOAD + STORE +
      const(1) + const(0) + const(1) + const(8) + call(0) + b"\x1a\x0c\x00\x0b\x0b")],
    [FD_WRITE, FD_READ], memory=1)


# --- running ----------------------------------------------------------------------------------


def multipart(parts, boundary="----test-boundary"):
    """parts are (name, filename or None, bytes)."""
    out = b""
    for part_name, filename, content in parts:
        head = 'Content-Disposition: form-data; name="%s"' % part_name
        if filename is not None:
            head += '; filename="%s"' % filename
        out += ("--%s\r\n%s\r\n\r\n" % (boundary, head)).encode() + content + b"\r\n"
    return out + ("--%s--\r\n" % boundary).encode()


def b64(data):
    return base64.b64encode(data).decode()


def main(names, sets=(), config=""):
    """Run the tests of a script, all against one daemon, and print the tally."""
    wanted = sys.argv[1:]
    tests = [(n, t) for n, t in names.items()
             if n.startswith("test_") and (not wanted or n in wanted)]
    passed = failed = skipped = 0
    daemon = Daemon(sets, config)
    try:
        daemon.start()
        for test_name, test in tests:
            try:
                test(daemon)
                passed += 1
            except Skip as reason:
                skipped += 1
                print("skip %s: %s" % (test_name, reason))
            except Exception as error:
                failed += 1
                print("FAIL %s: %s" % (test_name, error))
                if not isinstance(error, Check):
                    traceback.print_exc(file=sys.stdout)
                if daemon.process.poll() is not None:
                    print("the daemon ended with", daemon.process.returncode)
                    print(daemon.log())
                    daemon.start()
        status = daemon.stop()
        if status != 0:
            failed += 1
            print("FAIL the daemon ended with %s\n%s" % (status, daemon.log()))
    finally:
        daemon.clean()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    sys.exit(1 if failed or not tests else 0)
