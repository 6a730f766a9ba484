"""The service itself: health, descriptions, tokens, reload, drain, the service manager, options."""
import base64
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import (BUILD, CALC, CAT, JSON, WASM, Daemon, check, equal, main, problem,
                     wait_for)

try:
    import jsonschema
except ImportError:
    jsonschema = None


@contextlib.contextmanager
def daemon(sets=(), config="", **options):
    other = Daemon(sets, config)
    try:
        yield other.start(**options)
    finally:
        other.clean()


def wasmedged(*arguments):
    return subprocess.run([os.path.join(BUILD, "wasmedged"), *arguments], capture_output=True,
                          text=True, timeout=20, env=dict(os.environ, HOME="/"))


# --- what it says about itself ----------------------------------------------------------------


def test_health_and_version(d):
    equal(d.request("GET", "/livez").json()["status"], "ok")
    ready = d.request("GET", "/readyz?verbose").json()
    equal(ready["status"], "ready")
    check(all(c["ok"] for c in ready["checks"]), ready)
    version = d.request("GET", "/v1/version").json()
    equal((version["name"], version["tiers"][0]), ("wasmedged", "interp"))


def test_metrics(d):
    digest = d.upload(CALC)
    d.invoke(digest, "add", [1, 2])
    text = d.request("GET", "/metrics").body.decode()
    for line in ('wasmedged_invocations_total{outcome="returned"', "wasmedged_workers{",
                 "wasmedged_queue_depth 0", "wasmedged_build_info{",
                 'wasmedged_http_requests_total{route="MODULE_INVOKE"'):
        check(line in text, line)
    check(digest[7:20] not in text, "no digests in metrics")


def test_problems_explain_themselves(d):
    document = problem(d.request("GET", "/v1/nothing"), 404, "not-found")
    equal(d.request("GET", document["type"], headers={"Accept": "application/json"}).status, 200)
    reply = d.request("GET", document["type"], headers={"Accept": "text/plain"})
    check(reply.headers["Content-Type"].startswith("text/plain"), reply)
    problem(d.request("GET", "/problems/nothing"), 404, "problem-not-found")


def contains(found, expected):
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            k in found and contains(found[k], v) for k, v in expected.items())
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(
            contains(f, e) for f, e in zip(found, expected))
    return found == expected


def validate(document, operation, reply):
    """Check a JSON reply against the schema of its status, where the library is there."""
    described = operation["responses"].get(str(reply.status)) or operation["responses"].get(
        "default")
    check(described, operation["operationId"], "does not document", reply.status)
    content = described.get("content", {}).get(reply.headers.get_content_type())
    if jsonschema is None or not content or "schema" not in content:
        return
    schema = dict(content["schema"], components=document["components"])
    jsonschema.validate(reply.json(), schema)


def remember(names, reply):
    with contextlib.suppress(ValueError):
        value = json.loads(reply.body)
        if isinstance(value, dict):
            files = value.get("files")
            if isinstance(files, list) and len(files) == 1:
                value = dict(value, **files[0])
            names.update((k, v) for k, v in value.items() if isinstance(v, str))


def test_examples_of_the_description(_):
    with daemon() as d:
        document = d.request("GET", "/v1/openapi.json").json()
        examples = []
        for path in document["paths"].values():
            for operation in path.values():
                if isinstance(operation, dict):
                    examples += [(e, operation) for e in operation.get("x-examples", [])]
        check(len(examples) > 30, "examples", len(examples))
        names = {}
        for example, operation in sorted(examples, key=lambda e: e[0]["x-order"]):
            body = example.get("body_base64")
            body = json.dumps(example["body"]) if "body" in example else (
                base64.b64decode(body) if body is not None else None)
            target = example["target"]
            for name in ("id", "digest", "href"):
                target = target.replace("{%s}" % name, names.get(name, "{%s}" % name))
            reply = d.request(example["method"], target, body, example.get("headers"))
            said = "%s %s" % (example["method"], target)
            equal(reply.status, example["status"], said, reply)
            if "expect" in example:
                check(contains(reply.json(), example["expect"]), said, reply)
            if "expect_text" in example:
                equal(reply.body.decode(), example["expect_text"], said)
            validate(document, operation, reply)
            remember(names, reply)


# --- who may what -----------------------------------------------------------------------------


def new_token(d, token_id, scopes, extra=""):
    """Make a token, append its line to the file; returns the secret."""
    made = wasmedged("--new-token", token_id, scopes)
    equal(made.returncode, 0, made.stderr)
    line = next(l for l in made.stdout.splitlines() if l.startswith(token_id + " "))
    secret = next(w for w in made.stdout.split() if len(w) > 40 and w not in line.split())
    with open(os.open(d.tokens, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
        file.write(line + extra + "\n")
    return secret


@contextlib.contextmanager
def guarded_daemon():
    folder = tempfile.mkdtemp(prefix="wasmedged-")
    tokens = os.path.join(folder, "tokens")
    d = Daemon(["auth.tcp=token", "auth.tokens_file=" + tokens], folder=folder)
    d.owns_folder = True
    d.tokens = tokens
    try:
        yield d
    finally:
        d.clean()


OPERATIONS = [  # method, target, scope that is needed
    ("GET", "/v1/modules", "modules:read"),
    ("GET", "/v1/modules/a/b", "modules:read"),
    ("POST", "/v1/validate", "modules:read"),
    ("GET", "/v1/tags", "modules:read"),
    ("GET", "/v1/tags/a/b", "modules:read"),
    ("GET", "/v1/tags/a/b/c", "modules:read"),
    ("POST", "/v1/modules", "modules:write"),
    ("PUT", "/v1/modules/sha256:" + "0" * 64, "modules:write"),
    ("DELETE", "/v1/modules/sha256:" + "0" * 64, "modules:write"),
    ("PUT", "/v1/tags/a/b/c", "modules:write"),
    ("DELETE", "/v1/tags/a/b/c", "modules:write"),
    ("POST", "/v1/modules/a/b/invoke", "invoke"),
    ("POST", "/v1/modules/a/b/run", "invoke"),
    ("GET", "/v1/invocations", "invoke"),
    ("GET", "/v1/invocations/inv_x", "invoke"),
    ("DELETE", "/v1/invocations/inv_x", "invoke"),
    ("GET", "/v1/invocations/inv_x/events", "invoke"),
    ("GET", "/v1/kv/app", "kv:read"),
    ("GET", "/v1/kv/app/a", "kv:read"),
    ("PUT", "/v1/kv/app/a", "kv:write"),
    ("DELETE", "/v1/kv/app/a", "kv:write"),
    ("GET", "/v1/plugins", "plugins"),
    ("GET", "/v1/plugins/a", "plugins"),
    ("POST", "/v1/plugins/a/b", "plugins"),
    ("GET", "/v1/models", "models:read"),
    ("GET", "/v1/models/m", "models:read"),
    ("PUT", "/v1/models/m", "models:write"),
    ("DELETE", "/v1/models/m", "models:write"),
    ("POST", "/v1/models/m/infer", "infer"),
    ("GET", "/v2/models/m", "models:read"),
    ("POST", "/v2/models/m/infer", "infer"),
    ("GET", "/v2", None),
    ("GET", "/v2/health/ready", None),
    ("GET", "/v1/activity", "admin"),
    ("GET", "/metrics", "admin"),
    ("GET", "/livez", None),
    ("GET", "/readyz", None),
    ("GET", "/v1/version", None),
    ("GET", "/v1/openapi.json", None),
    ("GET", "/problems/not-found", None),
]


def test_scope_matrix(_):
    with guarded_daemon() as d:
        scopes = ["modules:read", "modules:write", "invoke", "plugins", "kv:read", "kv:write",
                  "models:read", "models:write",
                  "infer", "admin", "*"]
        secrets = {s: new_token(d, "t%d" % k, s) for k, s in enumerate(scopes)}
        d.start()
        for method, target, needed in OPERATIONS:
            reply = d.request(method, target)
            if needed is None:
                check(reply.status not in (401, 403), method, target, reply)
            else:
                problem(reply, 401, "unauthenticated")
                check("Bearer" in reply.headers["WWW-Authenticate"], reply.headers)
            for scope, secret in secrets.items():
                reply = d.request(method, target, headers={"Authorization": "Bearer " + secret})
                allowed = needed is None or scope in (needed, "*") or scope == "admin"
                if scope == "admin" and needed not in (None, "admin"):
                    allowed = reply.status != 403  # what admin includes is the table's to say
                equal(reply.status not in (401, 403), allowed, method, target, scope, reply)
        # the Unix socket needs no token
        equal(d.unix("GET", "/v1/modules").status, 200)


def test_tokens_may_be_narrow(_):
    with guarded_daemon() as d:
        secret = new_token(d, "narrow", "invoke:demo/*", " time=100ms,output_bytes=16B -")
        d.start()
        d.unix("POST", "/v1/modules?tag=demo/calc:1", CALC, WASM)
        d.unix("POST", "/v1/modules?tag=other/calc:1", CALC, WASM)
        headers = dict(JSON, Authorization="Bearer " + secret)
        call = '{"function":"add","args":[1,2]}'
        equal(d.request("POST", "/v1/modules/demo/calc:1/invoke", call, headers).status, 200)
        problem(d.request("POST", "/v1/modules/other/calc:1/invoke", call, headers), 403,
                "forbidden")
        began = time.monotonic()
        reply = d.request("POST", "/v1/modules/demo/calc:1/invoke", '{"function":"spin"}',
                          headers)
        equal(reply.json()["trap"]["code"], "deadline-exceeded")
        check(time.monotonic() - began < 5, "the token's limit counts")
        # an invocation belongs to who started it
        place = d.unix("POST", "/v1/modules/demo/calc:1/invoke", call,
                       dict(JSON, Prefer="respond-async")).headers["Location"]
        problem(d.request("GET", place, headers=headers), 404, "invocation-not-found")
        equal(d.unix("GET", place).status, 200)


def test_wrong_tokens(_):
    with guarded_daemon() as d:
        d.sets.append("auth.failures_per_minute=5")
        new_token(d, "a", "*")
        d.start()
        for value in ("", "Basic YTpi", "Bearer", "Bearer ", "Bearer a b"):
            problem(d.request("GET", "/v1/modules", headers={"Authorization": value}), 401,
                    "unauthenticated")
        replies = [d.request("GET", "/v1/modules", headers={"Authorization": "Bearer " + "x" * 43})
                   for _ in range(8)]
        problem(replies[0], 401, "unauthenticated")
        document = problem(replies[-1], 429, "rate-limited")
        check(int(replies[-1].headers["Retry-After"]) >= 1 and document["retryable"], "wait")


# --- signals ----------------------------------------------------------------------------------


def test_reload_is_all_or_nothing(_):
    config = "[limits]\ntime = 30s\n[log]\naccess = %s\n"
    with daemon(config=config % "none") as d:
        d.upload(CALC, "demo/calc:1")

        def reload(text):
            with open(d.config_path, "w") as file:
                file.write(text)
            before = d.log().count("msg=\"settings reloaded\"") + d.log().count(
                "the settings are as before")
            d.process.send_signal(signal.SIGHUP)
            wait_for(lambda: d.log().count("msg=\"settings reloaded\"") + d.log().count(
                "the settings are as before") > before, what="the reload")

        reload("[limits]\ntime = 80ms\n")
        equal(d.invoke("demo/calc:1", "spin").json()["trap"]["code"], "deadline-exceeded")
        reload("[limits]\ntime = 20s\nnonsense = 1\n")
        check("the settings are as before" in d.log(), d.log())
        began = time.monotonic()
        d.invoke("demo/calc:1", "spin")
        check(time.monotonic() - began < 5, "the old limit still counts")
        equal(d.request("GET", "/livez").status, 200)


def test_drain_finishes_what_runs(_):
    with daemon() as d:
        d.upload(CALC, "demo/calc:1")
        replies = []

        def call():
            replies.append(d.invoke("demo/calc:1", "spin", limits={"time_ms": 700}))

        callers = [threading.Thread(target=call) for _ in range(2)]
        for caller in callers:
            caller.start()
        wait_for(lambda: d.request("GET", "/v1/activity").json()["running"] == 2, what="calls")
        kept = d.connection()
        kept.request("GET", "/livez")
        kept.getresponse().read()
        d.process.send_signal(signal.SIGTERM)
        status = d.process.wait(10)
        for caller in callers:
            caller.join()
        equal(status, 0, d.log())
        equal([r.json()["outcome"] for r in replies], ["limited"] * 2)
        check(not os.path.exists(d.socket_path), "the socket is gone")
        check(not os.path.exists(os.path.join(d.folder, "store", "catalog.db-wal")) or
              os.path.getsize(os.path.join(d.folder, "store", "catalog.db-wal")) == 0, "log folded")
        d.process = None


def test_drain_cancels_what_takes_too_long(_):
    for sets, signals in ((["limits.drain_timeout=300ms"], 1), ([], 2)):
        with daemon(sets) as d:
            d.upload(CALC, "demo/calc:1")
            replies = []
            caller = threading.Thread(
                target=lambda: replies.append(d.invoke("demo/calc:1", "spin")))
            caller.start()
            wait_for(lambda: d.request("GET", "/v1/activity").json()["running"] == 1,
                     what="the call")
            began = time.monotonic()
            for _ in range(signals):
                d.process.send_signal(signal.SIGTERM)
                time.sleep(0.1)
            equal(d.process.wait(10), 0, d.log())
            check(time.monotonic() - began < 5, "took", time.monotonic() - began)
            caller.join()
            equal(replies[0].json()["outcome"], "cancelled")
            d.process = None


def test_what_a_crash_leaves_is_lost(_):
    with daemon() as d:
        d.upload(CALC, "demo/calc:1")
        place = d.invoke("demo/calc:1", "spin", headers={"Prefer": "respond-async"}).headers[
            "Location"]
        done = d.invoke("demo/calc:1", "add", [1, 2], {"Prefer": "respond-async"}).headers[
            "Location"]
        wait_for(lambda: d.request("GET", done).json()["state"] == "returned", what="the end")
        time.sleep(0.2)
        d.stop(signal.SIGKILL)
        d.start()
        equal(d.request("GET", place).json()["state"], "lost")
        found = d.request("GET", done).json()
        equal((found["state"], found["result"]["results"][0]["value"]), ("returned", 3))
        events = d.request("GET", done + "/events").body
        check(b"event: result" in events, events)
        equal(d.invoke("demo/calc:1", "add", [20, 22]).json()["results"][0]["value"], 42)


# --- sockets and the service manager ----------------------------------------------------------


def test_output_that_is_not_kept_any_more_is_gone(_):
    d = Daemon()
    d.start()
    try:
        d.upload(CAT, "demo/cat:1")
        reply = d.request("POST", "/v1/modules/demo/cat:1/run", b'{"stdin":{"text":"x"}}',
                          dict(JSON, Prefer="respond-async"))
        equal(reply.status, 202, reply)
        place = reply.headers["Location"]
        wait_for(lambda: d.request("GET", place + "/stdout").status == 200, 5, "its end")
        equal(d.request("GET", place + "/stdout").body, b"x")
        problem(d.request("GET", place + "/files/none"), 404, "file-not-found")
        d.stop()
        d.start()
        for part in ("/stdout", "/stderr", "/files/none"):
            found = problem(d.request("GET", place + part), 410, "output-gone")
            check("exited" in found["detail"] and place in found["detail"], found)
        equal(d.request("GET", place).json()["result"]["stdout"], {"text": "x"})
        problem(d.request("GET", "/v1/invocations/inv_00000000000000000000000000/stdout"), 404,
                "invocation-not-found")
    finally:
        d.clean()


def test_a_dead_socket_is_replaced_a_living_one_is_not(_):
    with daemon() as d:
        d.stop(signal.SIGKILL)
        check(os.path.exists(d.socket_path), "the socket was left")
        d.start()
        other = Daemon([])
        try:
            other.socket_path = d.socket_path
            ended = subprocess.run(other.command(), capture_output=True, text=True, timeout=20)
            equal(ended.returncode, 1, ended.stderr)
            check("listens at" in ended.stderr, ended.stderr)
        finally:
            other.clean()
        equal(d.unix("GET", "/livez").status, 200)
        equal(os.stat(d.socket_path).st_mode & 0o777, 0o660)


class Manager:
    """The service manager's end of sd_notify."""

    def __init__(self):
        self.path = tempfile.mktemp(prefix="notify-")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(10)

    def expect(self, text):
        while True:
            message = self.sock.recv(4096).decode()
            if text in message:
                return message

    def close(self):
        self.sock.close()
        os.unlink(self.path)


def test_the_service_manager_hears_of_everything(_):
    manager = Manager()
    try:
        environment = dict(os.environ, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="200000")
        with daemon(env=environment) as d:
            manager.expect("READY=1")
            manager.expect("WATCHDOG=1")
            d.process.send_signal(signal.SIGHUP)
            manager.expect("RELOADING=1")
            manager.expect("READY=1")
            manager.expect("WATCHDOG=1")
            d.process.send_signal(signal.SIGTERM)
            manager.expect("STOPPING=1")
            equal(d.process.wait(10), 0)
            d.process = None
    finally:
        manager.close()


LAUNCHER = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="api-unix:api-tcp")
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_sockets_of_the_service_manager_are_used(_):
    d = Daemon()
    listeners = [socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", d.port))]
    listeners[0].bind(d.socket_path)
    listeners[0].listen()
    # numbers above those that the sockets are to have
    passed = [fcntl.fcntl(sock, fcntl.F_DUPFD, 20) for sock in listeners]
    try:
        with open(d.log_path, "ab") as log:
            d.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER] + [str(f) for f in passed] + d.command(),
                pass_fds=passed, stdout=log, stderr=log)
        wait_for(lambda: "msg=ready" in d.log(), 15, "the start")
        equal(d.request("GET", "/livez").status, 200, d.log())
        equal(d.unix("GET", "/v1/modules").status, 200)
        equal(d.stop(), 0)
        check(os.path.exists(d.socket_path), "the manager's socket stays")
    finally:
        for sock in listeners:
            sock.close()
        for number in passed:
            os.close(number)
        d.clean()


# --- options ----------------------------------------------------------------------------------


def test_options(_):
    equal(wasmedged("--version").stdout.split()[0], "wasmedged")
    check("--set" in wasmedged("--help").stdout, "help")
    for arguments in (["--nonsense"], ["argument"], ["--new-token", "x"]):
        equal(wasmedged(*arguments).returncode, 2, arguments)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("[limits]\ntime = 5s\n")
        file.flush()
        equal(wasmedged("-t", "-c", file.name).returncode, 0)
        printed = wasmedged("--print-config", "-c", file.name, "--set", "log.level=debug")
        check("time = 5s" in printed.stdout and "level = debug" in printed.stdout, printed)
        file.write("tiem = 5s\n")
        file.flush()
        refused = wasmedged("-t", "-c", file.name)
        equal(refused.returncode, 2)
        check(file.name + ":3" in refused.stderr, refused.stderr)
    equal(wasmedged("-t", "-c", "/nonexistent.conf").returncode, 2)
    equal(wasmedged("-t", "--set", "no.such=1").returncode, 2)


def test_tcp_without_tokens_has_to_be_spelled_out(_):
    address = ["--set", "listen.tcp=127.0.0.1:1"]
    equal(wasmedged("-t", *address).returncode, 2)
    equal(wasmedged("-t", *address, "--set", "auth.tcp=none").returncode, 0)


if __name__ == "__main__":
    main(globals())
