"""Values under keys: over HTTP, by the plug-in's operations, and by guests of the same caller.

The loop of kills has 4 rounds, or as many as CRASH_ROUNDS says.
"""
import base64
import contextlib
import http.client
import json
import os
import random
import signal
import struct
import subprocess
import tempfile
import threading
import time

from harness import (BUILD, Daemon, I32, I64, JSON, Skip, WASM, check, const, call, equal, main,
                     module, problem, wait_for)

PLUGINS = os.path.join(BUILD, "plugins", ".libs")
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "4"))
TEXT = {"Content-Type": "text/plain"}
SETS = ["plugins.path=" + PLUGINS]
HAS_PLUGIN = os.path.exists(os.path.join(PLUGINS, "wasmedge_storage.so"))


def put(d, path, value, headers=None, **more):
    return d.request("PUT", "/v1/kv/" + path, value, headers, **more)


def get(d, path, headers=None, **more):
    return d.request("GET", "/v1/kv/" + path, None, headers, **more)


def delete(d, path, headers=None):
    return d.request("DELETE", "/v1/kv/" + path, None, headers)


def keys(d, query):
    return [item["key"] for item in get(d, query).json()["items"]]


def test_a_value_is_kept_with_its_type(d):
    reply = put(d, "t/a", b"one\n", {"Content-Type": 'text/plain; charset="utf-8"'})
    equal(reply.status, 201, reply)
    equal(reply.headers["Location"], "/v1/kv/t/a")
    stored = reply.json()
    equal((stored["namespace"], stored["key"], stored["size"], stored["created"]),
          ("t", "a", 4, True))
    equal(reply.headers["ETag"], '"%d"' % stored["revision"])
    found = get(d, "t/a")
    equal((found.status, found.body), (200, b"one\n"))
    equal(found.headers["Content-Type"], 'text/plain; charset="utf-8"')
    equal(found.headers["ETag"], reply.headers["ETag"])
    equal(found.headers["X-Content-Type-Options"], "nosniff")
    equal(found.headers["Content-Security-Policy"], "sandbox")
    equal(found.headers["Kv-Expires-At"], None)

    again = put(d, "t/a", b"two")
    equal((again.status, again.json()["created"]), (200, False))
    check(again.json()["revision"] > stored["revision"], again)
    found = get(d, "t/a")
    equal((found.body, found.headers["Content-Type"]), (b"two", "application/octet-stream"))


def test_heads_and_ranges(d):
    put(d, "t/range", b"0123456789", TEXT)
    reply = d.request("HEAD", "/v1/kv/t/range")
    equal((reply.status, reply.headers["Content-Length"], reply.body), (200, "10", b""))
    reply = get(d, "t/range", {"Range": "bytes=2-4"})
    equal((reply.status, reply.body, reply.headers["Content-Range"]),
          (206, b"234", "bytes 2-4/10"))
    problem(get(d, "t/range", {"Range": "bytes=10-"}), 416, "range-not-satisfiable")


def test_no_bytes_are_a_value(d):
    equal(put(d, "t/empty", b"").status, 201)
    reply = get(d, "t/empty")
    equal((reply.status, reply.body), (200, b""))


def test_missing_values(d):
    document = problem(get(d, "t/missing"), 404, "key-not-found")
    equal(document["detail"], 'there is no value under the key "missing" in namespace t')
    problem(delete(d, "t/missing"), 404, "key-not-found")
    equal(get(d, "never").json(), {"items": []})


def test_deleted_values_are_gone(d):
    put(d, "t/gone", b"x")
    equal(delete(d, "t/gone").status, 204)
    problem(get(d, "t/gone"), 404, "key-not-found")


def test_conditions(d):
    problem(put(d, "t/cas", b"1", {"If-Match": "*"}), 412, "precondition-failed")
    problem(put(d, "t/cas", b"1", {"If-Match": '"1"'}), 412, "precondition-failed")
    first = put(d, "t/cas", b"1", {"If-None-Match": "*"})
    equal(first.status, 201, first)
    problem(put(d, "t/cas", b"2", {"If-None-Match": "*"}), 412, "precondition-failed")
    tag = first.headers["ETag"]
    second = put(d, "t/cas", b"2", {"If-Match": '"0", %s' % tag})
    equal(second.status, 200, second)
    document = problem(put(d, "t/cas", b"3", {"If-Match": tag}), 412, "precondition-failed")
    equal(document["detail"], "the value has the entity tag " + second.headers["ETag"])
    problem(put(d, "t/cas", b"3", {"If-Match": "W/" + second.headers["ETag"]}), 412,
            "precondition-failed")
    problem(delete(d, "t/cas", {"If-Match": tag}), 412, "precondition-failed")
    equal(get(d, "t/cas").body, b"2")
    equal(put(d, "t/cas", b"3", {"If-Match": "*"}).status, 200)
    problem(put(d, "t/cas", b"4", {"If-Match": "unquoted"}), 400, "bad-header")
    now = get(d, "t/cas")
    equal(get(d, "t/cas", {"If-None-Match": now.headers["ETag"]}).status, 304)
    equal(get(d, "t/cas", {"If-None-Match": tag}).status, 200)
    problem(get(d, "t/cas", {"If-Match": tag}), 412, "precondition-failed")
    equal(delete(d, "t/cas", {"If-Match": now.headers["ETag"]}).status, 204)
    # a revision never comes again
    third = put(d, "t/cas", b"1").json()["revision"]
    check(third > int(now.headers["ETag"].strip('"')))


def test_values_expire(d):
    reply = put(d, "t/short?ttl=1ms", b"x")
    equal(reply.status, 201, reply)
    check(reply.headers["Kv-Expires-At"].endswith("Z"), reply.headers)
    wait_for(lambda: get(d, "t/short").status == 404, what="the value to expire")
    check("short" not in keys(d, "t?prefix=sh"), "expired keys are not listed")
    for ttl, seconds in (("90", 90), ("30s", 30), ("10m", 600), ("2h", 7200), ("7d", 604800)):
        before = time.time()
        reply = put(d, "t/ttl?ttl=" + ttl, b"x")
        text = reply.json()["expires_at"]
        equal(reply.headers["Kv-Expires-At"], text)
        at = time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        check(abs(at - before - seconds) < 60, ttl, text)
    equal(get(d, "t/ttl").headers["Kv-Expires-At"], text)
    for ttl in ("", "0", "-1", "1w", "s", "99999999999999999999", "36601d"):
        problem(put(d, "t/ttl?ttl=" + ttl, b"x"), 400, "bad-query")


def test_keys_of_all_kinds(d):
    for path, key in (("k/a/b/c", "a/b/c"), ("k/a%2Fd", "a/d"), ("k/%C3%A4%20%3F", "\u00e4 ?"),
                      ("k/" + "x" * 512, "x" * 512)):
        equal(put(d, path, key.encode()).json()["key"], key)
        equal(get(d, path).body, key.encode())
    equal(get(d, "k/612f64?encoding=hex").body, b"a/d")
    reply = put(d, "k/00FF2F2e?encoding=hex", b"bytes")
    equal(reply.json()["key"], {"hex": "00ff2f2e"})
    equal(reply.headers["Location"], "/v1/kv/k/00FF2F2e?encoding=hex")
    equal(d.request("GET", reply.headers["Location"]).body, b"bytes")
    equal(keys(d, "k"), [{"hex": "00ff2f2e"}, "a/b/c", "a/d", "x" * 512, "\u00e4 ?"])
    equal(keys(d, "k?prefix=00f0&encoding=hex"), [])
    equal(keys(d, "k?prefix=00ff&encoding=hex"), [{"hex": "00ff2f2e"}])
    equal(delete(d, "k/00ff2f2e?encoding=hex").status, 204)
    for path in ("k/" + "x" * 513, "k/0g?encoding=hex", "k/000?encoding=hex", ".k/a", "a~b/a",
                 "n" * 65 + "/a"):
        problem(put(d, path, b"x"), 400, "bad-key")
    problem(get(d, ".k"), 400, "bad-key")
    problem(put(d, "k/a%00b", b"x"), 400, "bad-target")


def test_pages(d):
    wanted = ["p%03d/%s" % (n, "k" * (n * 37 % 480)) for n in range(25)]
    for key in random.Random(1).sample(wanted, len(wanted)):
        equal(put(d, "pages/" + key if not key.endswith("/") else
                  "pages/%s?encoding=hex" % key.encode().hex(), b"12345").status, 201)
    found = []
    target = "/v1/kv/pages?limit=7"
    while target:
        reply = d.request("GET", target)
        page = reply.json()
        found += page["items"]
        target = None
        if "next_cursor" in page:
            equal(len(page["items"]), 7)
            target = "/v1/kv/pages?limit=7&cursor=" + page["next_cursor"]
            link = reply.headers["Link"]
            check(link is None or link == '<%s>; rel="next"' % target, link)
    equal([item["key"] for item in found], wanted)
    equal({item["size"] for item in found}, {5})
    equal(len(keys(d, "pages?prefix=p01")), 10)
    problem(get(d, "pages?cursor=made-up"), 400, "bad-query")
    problem(get(d, "pages?limit=1001"), 400, "bad-query")


def test_limits(_):
    d = Daemon(["limits.value_bytes=64KiB"]).start()
    try:
        equal(put(d, "t/a", bytes(65536)).status, 201)
        problem(put(d, "t/b", bytes(65537)), 413, "body-too-large")
        chunked = iter([bytes(40000), bytes(40000)])
        with contextlib.suppress(OSError):  # it may be cut off before all was sent
            problem(d.request("PUT", "/v1/kv/t/b", chunked), 413, "body-too-large")
        equal(get(d, "t/b").status, 404)
        problem(put(d, "t/a", b"x", {"Content-Type": "nonsense"}), 400, "bad-header")
        problem(put(d, "t/a", b"x", {"Content-Type": "a/b; c=" + "d" * 300}), 400, "bad-header")
    finally:
        d.clean()


def test_callers_have_namespaces_of_their_own(_):
    d = Daemon(["auth.tcp=token"])
    d.sets.append("auth.tokens_file=" + os.path.join(d.folder, "tokens"))
    secrets = {}
    with open(os.path.join(d.folder, "tokens"), "w") as file:
        os.chmod(file.name, 0o600)
        for name, scopes in (("one", "kv:read,kv:write"), ("two", "kv:read,kv:write"),
                             ("reader", "kv:read"), ("narrow", "kv:write:app-*,kv:read")):
            text = subprocess.run([os.path.join(BUILD, "wasmedged"), "--new-token", name, scopes],
                                  capture_output=True, check=True, text=True).stdout
            words = text.split()
            line = next(part for part in text.splitlines() if part.startswith(name + " "))
            secrets[name] = {"Authorization": "Bearer " + next(
                word for word in words if len(word) > 30 and word not in line.split())}
            file.write(line + "\n")
    try:
        d.start()
        equal(put(d, "app/a", b"one's", secrets["one"]).status, 201)
        problem(get(d, "app/a", secrets["two"]), 404, "key-not-found")
        problem(delete(d, "app/a", secrets["two"]), 404, "key-not-found")
        equal(get(d, "app", secrets["two"]).json()["items"], [])
        equal(get(d, "app/a", secrets["one"]).body, b"one's")
        equal(d.unix("GET", "/v1/kv/app/a").status, 404)
        problem(put(d, "app/a", b"x", secrets["reader"]), 403, "forbidden")
        equal(get(d, "app/a", secrets["reader"]).status, 404)
        equal(put(d, "app-1/a", b"x", secrets["narrow"]).status, 201)
        document = problem(put(d, "other/a", b"x", secrets["narrow"]), 403, "forbidden")
        equal(document["detail"], "narrow lacks the scope kv:write for other")
    finally:
        d.clean()


def test_values_outlive_the_daemon(_):
    d = Daemon().start()
    try:
        tag = put(d, "t/a", b"kept", TEXT).headers["ETag"]
        equal(d.stop(), 0)
        d.start()
        reply = get(d, "t/a")
        equal((reply.body, reply.headers["ETag"], reply.headers["Content-Type"]),
              (b"kept", tag, "text/plain"))
    finally:
        d.clean()


def test_a_damaged_file_concerns_nobody_else(_):
    d = Daemon()
    os.mkdir(os.path.join(d.folder, "store"))
    path = os.path.join(d.folder, "store", "kv.db")
    with open(path, "w") as file:
        file.write("this is no database\n" * 1000)
    try:
        d.start()
        document = problem(get(d, "t/a"), 503, "not-ready")
        check("kv.db" in document["detail"], document)
        equal(d.request("GET", "/readyz").status, 200)
        os.unlink(path)
        equal(put(d, "t/a", b"x").status, 201)  # and it is looked at again
    finally:
        d.clean()


def add_one(d, path, connection):
    """Read, add, write if nobody was faster; until that goes well."""
    while True:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read()
        if reply.status == 404:
            value, headers = 0, {"If-None-Match": "*"}
        else:
            value, headers = int(body), {"If-Match": reply.headers["ETag"]}
        connection.request("PUT", path, str(value + 1), headers)
        reply = connection.getresponse()
        reply.read()
        if reply.status in (200, 201):
            return
        equal(reply.status, 412)


def test_no_update_is_lost(d):
    failures = []

    def work():
        connection = d.connection()
        try:
            for _ in range(25):
                add_one(d, "/v1/kv/t/counter", connection)
        except Exception as error:  # shown by the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [])
    equal(get(d, "t/counter").body, b"200")


class Writer(threading.Thread):
    """Stores growing numbers under keys of its own, until its daemon dies."""

    def __init__(self, d, number, start):
        super().__init__()
        self.d, self.number, self.next = d, number, start
        self.acknowledged = {}

    def run(self):
        connection = self.d.connection(unix=False)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                self.next += 1
                path = "/v1/kv/crash/w%d/%d" % (self.number, self.next % 20)
                connection.request("PUT", path, b"%d " % self.next * random.choice((1, 3000)))
                reply = connection.getresponse()
                reply.read()
                if reply.status in (200, 201):
                    self.acknowledged[path] = self.next


def test_nothing_acknowledged_is_lost_by_a_kill(_):
    d = Daemon()
    starts = [0] * 4
    try:
        for _ in range(ROUNDS):
            d.start()
            writers = [Writer(d, number, starts[number]) for number in range(4)]
            for writer in writers:
                writer.start()
            time.sleep(random.uniform(0.05, 0.4))
            d.stop(signal.SIGKILL)
            for writer in writers:
                writer.join()
            d.start()
            for writer in writers:
                starts[writer.number] = writer.next
                for path, number in writer.acknowledged.items():
                    body = d.request("GET", path).body.split()
                    # the one that was under way when the daemon died may be there instead
                    check(int(body[0]) in (number, writer.next), path, body[:1], number)
                    equal(len(set(body)), 1)
            check(any(writer.acknowledged for writer in writers), "some was acknowledged")
            equal(d.stop(), 0)
    finally:
        d.clean()


def test_a_full_disk(_):
    path = tempfile.mkdtemp(prefix="wasmedged-disk-")
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        os.rmdir(path)
        raise Skip("a small tmpfs needs root and the right to mount")
    d = Daemon(["store.directory=" + path + "/store"])
    try:
        d.start()
        equal(put(d, "t/first", b"kept").status, 201)
        with contextlib.suppress(OSError), open(path + "/filler", "wb") as file:
            while True:
                file.write(bytes(65536))
                file.flush()
        reply = None
        for number in range(100):
            reply = put(d, "t/k%d" % number, bytes(100000))
            if reply.status != 201:
                break
        problem(reply, 507, "disk-full")
        equal(get(d, "t/first").body, b"kept")
        os.unlink(path + "/filler")
        wait_for(lambda: put(d, "t/second", bytes(100000)).status == 201, seconds=30,
                 what="room")
    finally:
        d.clean()
        subprocess.run(["umount", "-l", path], check=True)
        os.rmdir(path)


# --- the same values by the plug-in ---------------------------------------------------------

KEY = b"0123456789abcdef0123456789abcdef"
NATIVE = "wasmedge_native"
GUEST = module(
    [("store", [I32], [], [], const(0) + call(0) + b"\x20\x00" + call(1) + call(2)),
     ("load", [], [I32], [], const(0) + call(3) + call(4) + call(5))],
    imports=[(NATIVE, "wasmedge_storage_beginStoreTx", [I32], []),
             (NATIVE, "wasmedge_storage_storeI32", [I32], []),
             (NATIVE, "wasmedge_storage_endStoreTx", [], []),
             (NATIVE, "wasmedge_storage_beginLoadTx", [I32], []),
             (NATIVE, "wasmedge_storage_loadI32", [], [I32]),
             (NATIVE, "wasmedge_storage_endLoadTx", [], [])],
    memory=1, data=[(0, KEY)])


@contextlib.contextmanager
def daemon_with_plugins(*sets):
    if not HAS_PLUGIN:
        raise Skip("the plug-in wasmedge_storage was not built")
    d = Daemon(SETS + list(sets)).start()
    try:
        yield d
    finally:
        d.clean()


def operate(d, operation, value=None, **members):
    body = {"input": members}
    if value is not None:
        body["buffers"] = [{"base64": base64.b64encode(value).decode()}]
    return d.request("POST", "/v1/plugins/wasmedge_storage/" + operation, json.dumps(body), JSON)


def test_guests_and_clients_share_values(_):
    with daemon_with_plugins() as d:
        d.upload(GUEST, "demo/guest:1")
        reply = d.invoke("demo/guest:1", "store", [-7])
        equal(reply.json()["outcome"], "returned", reply)
        equal(keys(d, "storage"), [KEY.decode()])
        equal(get(d, "storage/" + KEY.decode()).body, struct.pack("<i", -7))
        put(d, "storage/" + KEY.decode(), struct.pack("<i", 41))
        equal(d.invoke("demo/guest:1", "load").json()["results"], [{"type": "i32", "value": 41}])
        # another caller's guest has other values
        body = json.dumps({"function": "load", "args": []})
        answer = d.unix("POST", "/v1/modules/demo/guest:1/invoke", body, JSON).json()
        equal(answer["outcome"], "trapped", answer)
        check('beginLoadTx: there is no value under the key "%s"' % KEY.decode()
              in answer["trap"]["message"], answer)


def test_guests_meet_the_limits(_):
    with daemon_with_plugins("limits.value_bytes=1KiB") as d:
        loop = (const(0) + call(0) + b"\x03\x40" + const(1) + call(1) +
                b"\x20\x00" + const(1) + b"\x6b\x22\x00\x0d\x00\x0b" + call(2))
        guest = module([("fill", [I32], [], [], loop)],
                       imports=[(NATIVE, "wasmedge_storage_beginStoreTx", [I32], []),
                                (NATIVE, "wasmedge_storage_storeI32", [I32], []),
                                (NATIVE, "wasmedge_storage_endStoreTx", [], [])],
                       memory=1, data=[(0, KEY)])
        d.upload(guest, "demo/fill:1")
        equal(d.invoke("demo/fill:1", "fill", [256]).json()["outcome"], "returned")
        answer = d.invoke("demo/fill:1", "fill", [257]).json()
        check("at most 1024 bytes (value_bytes_max)" in answer["trap"]["message"], answer)
    with daemon_with_plugins("limits.memory_pages=3", "limits.table_elements=0",
                             "limits.files_bytes=0") as d:
        d.upload(guest, "demo/fill:1")
        answer = d.invoke("demo/fill:1", "fill", [200000]).json()
        equal(answer["outcome"], "limited", answer)
        check("exceeds the program's memory limit" in answer["trap"]["message"], answer)
        equal(get(d, "storage/" + KEY.decode()).status, 404)


def test_operations(_):
    with daemon_with_plugins() as d:
        reply = operate(d, "put", b"\0value", namespace="app", key={"hex": "00ff"},
                        content_type="text/x", ttl_ms=3600000, if_absent=True)
        equal(reply.status, 200, reply)
        entry = reply.json()["output"]
        equal((entry["key"], entry["size"], entry["created"], entry["content_type"]),
              ({"hex": "00ff"}, 6, True, "text/x"))
        over_http = get(d, "app/00ff?encoding=hex")
        equal((over_http.body, over_http.headers["Content-Type"]), (b"\0value", "text/x"))
        equal(over_http.headers["Kv-Expires-At"], entry["expires_at"])
        reply = operate(d, "get", namespace="app", key={"base64": "AP8="})
        equal(base64.b64decode(reply.json()["buffers"][0]["base64"]), b"\0value")
        equal(reply.json()["output"]["revision"], entry["revision"])
        problem(operate(d, "put", b"x", namespace="app", key={"hex": "00ff"}, if_absent=True), 409,
                "conflict")
        problem(operate(d, "put", b"x", namespace="app", key={"hex": "00ff"},
                        if_revision=entry["revision"] + 1), 409, "conflict")
        reply = operate(d, "put", b"x", namespace="app", key={"hex": "00ff"},
                        if_revision=entry["revision"])
        equal(reply.json()["output"]["created"], False)
        for number in range(5):
            operate(d, "put", b"", namespace="list", key="k%d" % number)
        page = operate(d, "list", namespace="list", prefix="k", limit=3).json()["output"]
        equal([item["key"] for item in page["items"]], ["k0", "k1", "k2"])
        page = operate(d, "list", namespace="list", limit=3,
                       cursor=page["next_cursor"]).json()["output"]
        equal([item["key"] for item in page["items"]], ["k3", "k4"])
        check("next_cursor" not in page, page)
        equal(operate(d, "delete", namespace="list", key="k0").status, 200)
        problem(operate(d, "delete", namespace="list", key="k0"), 404, "operand-not-found")
        problem(operate(d, "get", namespace="list", key="k0"), 404, "operand-not-found")


BAD_OPERATIONS = (
    ("get", None, {"namespace": "a"}, "key: expected this member"),
    ("get", None, {"key": "a"}, "namespace: expected this member"),
    ("get", None, {"namespace": "a", "key": 1}, "key: expected a text"),
    ("get", None, {"namespace": "a", "key": {"hex": "0"}}, "key: expected a text"),
    ("get", None, {"namespace": "a", "key": {"hex": "00", "base64": "AA=="}}, "key: expected"),
    ("get", None, {"namespace": "a", "key": {"base64": "A"}}, "key: expected a text"),
    ("get", None, {"namespace": "a", "key": "b", "ttl_ms": 1}, "unknown member ttl_ms"),
    ("get", None, {"namespace": "a/b", "key": "b"}, "a namespace has 1 to 64 characters"),
    ("get", None, {"namespace": "a", "key": ""}, "the key has 0 bytes"),
    ("get", None, {"namespace": "a", "key": "k" * 513}, "the key has 513 bytes"),
    ("put", None, {"namespace": "a", "key": "b"}, "expected the value in one buffer"),
    ("put", b"", {"namespace": "a", "key": "b", "ttl_ms": 0}, "ttl_ms: expected a number from 1"),
    ("put", b"", {"namespace": "a", "key": "b", "content_type": "a\u00e4"}, "the type has to be"),
    ("put", b"", {"namespace": "a", "key": "b", "if_absent": 1}, "if_absent: expected true"),
    ("put", b"", {"namespace": "a", "key": "b", "if_absent": True, "if_revision": 1},
     "if_revision and if_absent exclude one another"),
    ("list", None, {"namespace": "a", "limit": 1001}, "limit: expected a number from 1 to 1000"),
    ("list", None, {"namespace": "a", "cursor": "x"}, "cursor: expected the next_cursor"),
)


def test_operations_say_what_is_wrong(_):
    with daemon_with_plugins() as d:
        for operation, value, members, message in BAD_OPERATIONS:
            document = problem(operate(d, operation, value, **members), 400, "bad-request")
            check(message in document["detail"], operation, members, document["detail"])


main(globals())
