#!/usr/bin/env python3
"""Plug-ins in the daemon: what is told of them, their operations over HTTP and for guests, and the
processes that run these, which may do as they like at nobody's cost but their own request's.

Most of it is asked of tests/plugins/sandbox/trial.c, which misbehaves as told. PLUGIN_CRASHES is
how many crashes there are beside healthy traffic (1000 in check-long).
"""
import json
import os
import signal
import subprocess
import tempfile
import threading
import time

import harness
from harness import (BUILD, I32, JSON, Daemon, b64, check, const, equal, get, problem,
                     slack_kib, wait_for)

CRASHES = int(os.environ.get("PLUGIN_CRASHES", "100"))
FOLDERS = ":".join(os.path.abspath(os.path.join(BUILD, *folder))
                   for folder in (("plugins", ".libs"), ("tests", "plugins", "sandbox", ".libs")))
SETS = ["plugins.path=" + FOLDERS]
LONG = 60
with open(os.path.join(BUILD, "wasmedged-plugin"), "rb") as program:
    IS_SANITIZED = b"__asan_init" in program.read()


class Service:
    """A daemon with settings of its own."""

    def __init__(self, *sets, config=""):
        self.daemon = Daemon(SETS + list(sets), config)

    def __enter__(self):
        return self.daemon.start()

    def __exit__(self, *error):
        self.daemon.clean()


def call(d, operation, value=None, buffers=(), plugin="trial", timeout=LONG, **headers):
    body = {"input": value or {}, "buffers": list(buffers)}
    return d.request("POST", "/v1/plugins/%s/%s" % (plugin, operation), json.dumps(body),
                     dict(JSON, **headers), timeout=timeout)


def output(reply):
    equal(reply.status, 200, reply)
    return reply.json()["output"]


def children(d):
    """The daemon's processes of plug-ins: pid -> state."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as file:
                name, rest = file.read().rsplit(")", 1)
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if int(parent) == d.process.pid:
            found[int(pid)] = state
    return found


def metric(d, line):
    for found in d.request("GET", "/metrics").body.decode().splitlines():
        if found.startswith("wasmedged_" + line + " "):
            return float(found.split()[-1])
    return 0


def pid_of(d, **value):
    return output(call(d, "who", value))["pid"]


# --- what there is ----------------------------------------------------------------------------


def test_plugins_are_listed_and_described(d):
    listed = {p["name"]: p for p in d.request("GET", "/v1/plugins", timeout=LONG).json()["items"]}
    equal(sorted(listed), list(listed), "in order of names")
    example = listed["example"]
    equal((example["version"], example["available"]), ("1.0.0", True))
    check("why_not" not in example, example)
    demo = example["modules"][0]
    equal(demo["name"], "demo")
    equal(demo["functions"][0], {"name": "shout", "kind": "func", "params": ["i32", "i32"],
                                 "results": []})
    shout = example["operations"][0]
    equal((shout["name"], shout["http"], shout["sandboxed"]), ("shout", True, False))
    equal((shout["input_media"], shout["output_media"]), (["text/plain"], ["text/plain"]))
    equal(shout["input_schema"], {"type": "object"})
    trial = d.request("GET", "/v1/plugins/trial", timeout=LONG).json()
    equal(trial, listed["trial"])
    operations = {o["name"]: o for o in trial["operations"]}
    check(not operations["secret"]["http"] and operations["echo"]["sandboxed"], trial)
    check("input_media" not in operations["echo"], "any buffers")
    equal(operations["who"]["input_media"], [], "no buffers")
    equal(trial["options"][1], {"name": "count", "type": "uint", "default": "1",
                                "summary": "A number"})
    problem(d.request("GET", "/v1/plugins/nothing"), 404, "plugin-not-found")
    problem(d.request("GET", "/v1/plugins/" + "x" * 900), 404, "plugin-not-found")


def test_wasmedge_process_takes_a_setting(d):
    """It lets guests run programs: nobody gets it by forgetting a setting."""
    listed = {p["name"]: p for p in d.request("GET", "/v1/plugins", timeout=LONG).json()["items"]}
    check("wasmedge_process" not in listed or not listed["wasmedge_process"]["available"], listed)
    if not os.path.exists(os.path.join(BUILD, "plugins", ".libs", "wasmedge_process.so")):
        return
    with Service("plugins.allowed=wasmedge_process", "plugins.forbidden=example") as other:
        check(other.request("GET", "/v1/plugins/wasmedge_process").json()["modules"], "allowed")
        reply = other.request("GET", "/v1/plugins/example")
        check(reply.status == 404 or not reply.json()["available"], "forbidden", reply)


def test_options_are_strict(_):
    def refused(said, *sets, config=""):
        for arguments in ([], ["-t"]):
            d = Daemon(SETS + list(sets), config)
            try:
                ended = subprocess.run(d.command() + arguments, capture_output=True, text=True,
                                       timeout=LONG)
                check(ended.returncode != 0, "started with", said)
                check(said in ended.stderr, said, "is not in", ended.stderr)
            finally:
                d.clean()

    refused("wasmedged.conf:3: plug-in trial has no option colour",
            config="[plugin.trial]\n\ncolour = red\n")
    refused("wasmedged.conf:2: option count of plug-in trial has to be a decimal number",
            config="[plugin.trial]\ncount = many\n")
    refused("--set: option a is for plug-in moon, which is not installed", "plugin.moon.a=1")
    with Service("plugin.trial.start=missing", config="[plugin.trial]\ncount = 7\n") as d:
        told = d.request("GET", "/v1/plugins/trial", timeout=LONG).json()
        equal((told["available"], told["why_not"]), (False, "the moon is missing"))


def test_without_plugins_guests_can_still_be_uploaded(_):
    with Service("plugins.enabled=no") as d:
        equal(d.request("GET", "/v1/plugins").json(), {"items": []})
        module = harness.module(
            [("go", [], [I32], [], const(7))],
            [("wasi_ephemeral_nn", "init_execution_context", [I32, I32], [I32])], memory=1)
        equal(d.invoke(d.upload(module), "go").json()["outcome"], "returned")


# --- operations over HTTP -----------------------------------------------------------------------


def test_an_operation_takes_and_gives_json(d):
    reply = call(d, "echo", {"a": [1, "two"]}, [{"base64": b64(b"\0\1")}, {"text": "three"}])
    equal(output(reply), {"a": [1, "two"]})
    equal([b["base64"] for b in reply.json()["buffers"]], [b64(b"\0\1"), b64(b"three")])
    equal(call(d, "shout", plugin="example", buffers=[{"text": "ah"}]).json()["buffers"],
          [{"base64": b64(b"AH"), "media_type": "text/plain"}])
    equal(output(d.request("POST", "/v1/plugins/trial/echo")), {}, "no body asks for nothing")
    reply = d.request("POST", "/v1/plugins/trial/echo?pretty", b"{}", JSON)
    check(b"\n  " in reply.body, reply)


def test_many_and_large_buffers(d):
    reply = call(d, "echo", buffers=[{"text": "x" * i} for i in range(64)])
    equal([len(b["base64"]) for b in reply.json()["buffers"]],
          [(i + 2) // 3 * 4 for i in range(64)])
    problem(call(d, "echo", buffers=[{"text": ""}] * 65), 400, "bad-request")
    data = os.urandom(7 << 20)
    reply = d.request("POST", "/v1/plugins/trial/any", data,
                      {"Content-Type": "image/x-anything", "Accept": "application/octet-stream"},
                      timeout=LONG)
    equal(reply.status, 200, reply)
    check(reply.body == data, "the same bytes")


def test_an_operation_takes_and_gives_bytes(d):
    text = {"Content-Type": "text/plain", "Accept": "text/plain"}

    def ask(query, body=b"hello", headers=text):
        return d.request("POST", "/v1/plugins/trial/text" + query, body, headers)

    reply = ask("?times=3&loud&ratio=-0.5&tags=a&tags=b%20c&name=%C3%A9&sizes=1&sizes=2")
    equal((reply.status, reply.body), (200, b"hello"), reply)
    equal(reply.headers["Content-Type"], "text/plain")
    equal(json.loads(reply.headers["Plugin-Result"]),
          {"times": 3, "loud": True, "ratio": -0.5, "tags": ["a", "b c"], "name": "é",
           "sizes": [1, 2]})
    equal(ask("?media_type=text/x-loud").headers["Content-Type"], "text/x-loud",
          "what the operation says")
    equal(ask("?name=" + "x" * 1500).headers["Plugin-Result"], None, "too long for a field")
    reply = ask("", headers={"Content-Type": "text/plain; charset=utf-8"})
    equal(reply.json()["buffers"][0]["base64"], b64(b"hello"), "JSON unless bytes are preferred")
    for query in ("?moon=1", "?times=x", "?times=1.5", "?ratio=1e999", "?ratio=", "?loud=maybe",
                  "?times=1&times=2", "?sizes=x", "?deep=1", "?times=99999999999999999999"):
        problem(ask(query), 400, "bad-query")
    problem(ask("", headers={"Content-Type": "image/png"}), 415, "unsupported-media-type")
    problem(ask("", headers=dict(text, Accept="image/png")), 406, "not-acceptable")
    problem(d.request("POST", "/v1/plugins/trial/who", b"x", text), 415, "unsupported-media-type")
    problem(d.request("POST", "/v1/plugins/trial/echo?a=1", b"{}", JSON), 400, "bad-query")


def test_bad_requests(d):
    def ask(body):
        return d.request("POST", "/v1/plugins/trial/echo", body, JSON)

    problem(ask(b"{"), 400, "bad-json")
    for body in (b"[]", b'{"inputs":{}}', b'{"input":[]}', b'{"buffers":{}}', b'{"buffers":[1]}',
                 b'{"buffers":[{}]}', b'{"buffers":[{"base64":"A"}]}',
                 b'{"buffers":[{"base64":"","text":""}]}'):
        problem(ask(body), 400, "bad-request")
    problem(call(d, "nothing"), 404, "operation-not-found")
    problem(call(d, "secret"), 404, "operation-not-found")
    problem(call(d, "a", plugin="nothing"), 404, "plugin-not-found")
    problem(d.request("PUT", "/v1/plugins/trial/echo", b"{}", JSON), 405, "method-not-allowed")
    with Service("limits.body_bytes=1KiB") as other:
        problem(other.request("POST", "/v1/plugins/trial/any", b"x" * 1025,
                              {"Content-Type": "a/b"}), 413, "body-too-large")


def test_each_failure_is_a_problem(d):
    for operation in ("fail", "fail-here"):
        for status, code, word in ((400, "bad-request", "argument"), (422, "data-invalid", "data"),
                                   (404, "operand-not-found", "not-found"),
                                   (409, "conflict", "conflict"), (422, "data-too-large", "limit"),
                                   (501, "plugin-unavailable", "unsupported"),
                                   (503, "out-of-memory", "nomem"), (500, "internal", "io")):
            document = problem(call(d, operation, {"status": word}), status, code)
            check(document["detail"].startswith("as asked: " + word), document)


def test_a_token_says_which_plugins(_):
    folder = tempfile.mkdtemp(prefix="wasmedged-")
    d = Daemon(SETS + ["auth.tcp=token", "auth.tokens_file=" + os.path.join(folder, "tokens")],
               folder=folder)
    d.owns_folder = True
    secrets = {}
    with open(os.open(os.path.join(folder, "tokens"), os.O_WRONLY | os.O_CREAT, 0o600),
              "w") as file:
        for name, scope in (("all", "plugins"), ("one", "plugins:trial"),
                            ("none", "invoke,modules:write")):
            made = subprocess.run([os.path.join(BUILD, "wasmedged"), "--new-token", name, scope],
                                  capture_output=True, text=True, check=True).stdout
            line = next(l for l in made.splitlines() if l.startswith(name + " "))
            file.write(line + "\n")
            secrets[name] = next(w for w in made.split() if w.startswith("wsm_"))
    try:
        d.start()
        for name, plugin, status in (("all", "trial", 200), ("all", "example", 200),
                                     ("one", "trial", 200), ("one", "example", 403),
                                     ("none", "trial", 403)):
            bearer = {"Authorization": "Bearer " + secrets[name]}
            equal(d.request("GET", "/v1/plugins/" + plugin, None, bearer).status, status)
            operation = "shout" if plugin == "example" else "who"
            reply = call(d, operation, plugin=plugin, buffers=[{"text": "x"}] *
                         (plugin == "example"), **bearer)
            equal(reply.status, status, name, plugin, reply)
            if operation == "who" and status == 200:
                equal(output(reply)["tenant"], name, "on whose behalf")
        equal(output(call(d, "here", Authorization="Bearer " + secrets["all"]))["tenant"], "all")
        bearer = {"Authorization": "Bearer " + secrets["none"]}
        ref = d.request("POST", "/v1/modules", guest_module(),
                        dict(harness.WASM, **bearer)).json()["digest"]
        answer = d.request("POST", "/v1/modules/%s/run" % ref, b"{}", dict(JSON, **bearer)).json()
        equal(json.loads(answer["stdout"]["text"])["tenant"], "none", "guests, too")
    finally:
        d.clean()


def test_wasmedgectl(d):
    program = os.path.join(BUILD, "wasmedgectl")

    def ctl(*arguments, code=0, given=b""):
        ended = subprocess.run([program, "--host", "unix:" + d.socket_path, *arguments],
                               capture_output=True, input=given, timeout=LONG)
        equal(ended.returncode, code, arguments, ended.stderr)
        return ended.stdout.decode()

    check("example" in ctl("plugin", "ls", "-o", "name").split(), "plugin ls")
    check("shout (i32 i32) -> ()" in ctl("plugin", "inspect", "example"), "plugin inspect")
    equal(ctl("plugin", "call", "example", "shout", "-", "-O", "-", given=b"hello"), "HELLO")
    equal(json.loads(ctl("plugin", "call", "trial", "echo", "--set", "a=1", "--set", "b=x")),
          {"a": 1, "b": "x"})
    out = os.path.join(d.folder, "out")
    told = ctl("plugin", "call", "trial", "text", "-", "--type", "text/plain", "--set", "times=3",
               "-O", out, given=b"abc")
    equal(json.loads(told), {"times": 3})
    with open(out, "rb") as file:
        equal(file.read(), b"abc")
    check("not written" not in ctl("plugin", "call", "trial", "who"), "plugin call")
    ctl("plugin", "call", "trial", "who", "-O", out + "2", code=1)
    check(not os.path.exists(out + "2"), "no file without a buffer")
    ctl("plugin", "call", "trial", "nothing", code=3)
    ctl("plugin", "call", "trial", "echo", "--set", "a", code=2)
    check("shout" in ctl("__complete", "operation", "example"), "completion")
    ctl("image", "decode", "/nowhere", code=1)


# --- guests -------------------------------------------------------------------------------------

def guest_module():
    functions = [("crash", [], [I32], [], harness.call(0)),
                 ("wait", [I32], [I32], [], get(0) + harness.call(1)),
                 ("_start", [], [], [I32],
                  const(128) + const(512) + harness.call(2) + b"\x21\x00" +
                  const(0) + const(128) + harness.STORE + const(4) + get(0) + harness.STORE +
                  const(1) + const(0) + const(1) + const(8) + harness.call(3) + b"\x1a")]
    return harness.module(functions, [
        ("trial", "crash", [], [I32]), ("trial", "wait", [I32], [I32]),
        ("trial", "who", [I32, I32], [I32]), harness.FD_WRITE], memory=1)


def test_guests_use_plugins(d):
    ref = d.upload(guest_module())
    reply = d.request("POST", "/v1/modules/%s/run" % ref, b"{}", JSON)
    answer = reply.json()
    equal(answer["outcome"], "exited", answer)
    told = json.loads(answer["stdout"]["text"])
    equal((told["parent"], told["tenant"]), (d.process.pid, "anonymous"),
          "in a process of the sandbox, for whom the daemon says")
    equal(d.invoke(ref, "wait", [1]).json()["results"][0]["value"], 0)
    status = d.invoke(ref, "crash").json()
    equal(status["outcome"], "returned", "a crash is a failure of the operation", status)
    check(status["results"][0]["value"] != 0, status)
    equal(d.invoke(ref, "wait", [1]).json()["outcome"], "returned", "and the next one works")


def test_a_guest_that_is_stopped_does_not_wait(d):
    ref = d.upload(guest_module())
    began = time.monotonic()
    answer = d.invoke(ref, "wait", [20000], limits={"time_ms": 100}).json()
    equal(answer["outcome"], "limited", answer)
    equal(answer["trap"]["code"], "deadline-exceeded", answer)
    check(time.monotonic() - began < 10, "at once")


def test_imports_of_another_type_are_refused(d):
    module = harness.module([("go", [], [], [], b"")], [("trial", "wait", [], [])])
    reply = d.request("POST", "/v1/modules", module, harness.WASM)
    check(reply.status in (200, 201), "it is a valid module", reply)
    problem(d.invoke(reply.json()["digest"], "go"), 422, "import-missing")


# --- processes that misbehave ---------------------------------------------------------------------


def test_processes_have_no_rights(d):
    if IS_SANITIZED:
        raise harness.Skip("a sanitizer needs rights of its own")
    told = output(call(d, "rights"))
    for right in ("socket", "unix", "write", "tmpfile", "unlink", "fork", "exec", "kill", "tgkill",
                  "ptrace", "memfd", "owner", "limit", "orphan"):
        check(told[right] != 0, right, "was possible", told)
    equal(told["library"], 0, "libraries can be read", told)
    if "no Landlock" not in d.log():
        check(told["passwd"] != 0, "other files cannot", told)
    with open("/proc/%d/status" % pid_of(d)) as file:
        status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    equal(status["Seccomp"].strip(), "2")
    equal(status["NoNewPrivs"].strip(), "1")


def test_a_crash_costs_one_request(d):
    for how, said in (("segv", "Segmentation fault"), ("abort", "Aborted"), ("exit", "status 7")):
        before = pid_of(d)
        document = problem(call(d, "crash", {"how": how}), 502, "plugin-crashed")
        check(document["retryable"], document)
        if not IS_SANITIZED:
            check(said in document["detail"], document)
        check(pid_of(d) != before or len(children(d)) > 1, "another process")
    check(metric(d, 'plugin_crashes_total{plugin="trial",reason="signal"}') >= 2 or IS_SANITIZED,
          "counted")
    check("Segmentation fault" in d.log() or IS_SANITIZED, "logged")


def test_what_takes_too_long_is_ended(_):
    with Service("plugins.time=300ms", "plugins.processes=1") as d:
        before = pid_of(d)
        for operation in ("hang", "wait"):
            document = problem(call(d, operation, {"ms": 60000}), 502, "plugin-crashed")
            check("not done within" in document["detail"], document)
        check(pid_of(d) != before, "another process")
        check(before not in children(d), "no zombie")
        equal(metric(d, 'plugin_crashes_total{plugin="trial",reason="time"}'), 2)


def test_memory_is_bounded(_):
    if IS_SANITIZED:
        raise harness.Skip("a sanitizer needs terabytes of address space")
    with Service("plugins.memory=256MiB", "plugins.bytes=1MiB") as d:
        document = problem(call(d, "grow"), 503, "out-of-memory")
        check(int(document["detail"].split()[-2]) < 256, document)
        problem(call(d, "fill", {"bytes": 2 << 20}), 422, "data-too-large")
        problem(d.request("POST", "/v1/plugins/trial/any", b"x" * (2 << 20),
                          {"Content-Type": "a/b"}), 422, "data-too-large")
        equal(output(call(d, "who"))["parent"], d.process.pid, "all that is no crash")
        equal(metric(d, 'plugin_crashes_total{plugin="trial",reason="signal"}'), 0)


LIES = ("size", "short", "length", "buffers", "buffer", "json", "array", "status", "message",
        "serial", "truncated", "noise", "empty", "closed")


def test_lies_are_found_out(_):
    with Service("plugins.processes=1", "plugins.time=5s") as d:
        for how in LIES:
            document = problem(call(d, "lie", {"how": how}), 502, "plugin-crashed")
            check("in time" not in document["detail"], how, document)
            equal(output(call(d, "echo", {"after": how})), {"after": how})
            problem(call(d, "crash", {"how": "exit"}), 502, "plugin-crashed")  # serials anew
        # One that says it twice is found out by whoever comes next, or before.
        call(d, "lie", {"how": "twice"})
        call(d, "echo")
        equal(output(call(d, "echo", {"after": "twice"})), {"after": "twice"})
        check(metric(d, 'plugin_crashes_total{plugin="trial",reason="nonsense"}') >= 10, "counted")


def test_what_a_process_says_is_logged_harmlessly(_):
    with Service() as d:
        equal(call(d, "talk", {"times": 3}).status, 200)
        check("a plug-in says" in d.log() and "line 0" in d.log(), d.log())
        check("\033" not in d.log(), "no control characters")
        problem(call(d, "talk", {"times": 1000}), 502, "plugin-crashed")


def test_one_that_does_not_start_is_left_alone(_):
    with Service("plugin.trial.start=crash") as d:
        document = problem(call(d, "who"), 502, "plugin-crashed")
        starts = metric(d, 'plugin_starts_total{plugin="trial"}')
        for _ in range(20):
            document = problem(call(d, "who"), 502, "plugin-crashed")
        check("tried again in" in document["detail"], document)
        check(metric(d, 'plugin_starts_total{plugin="trial"}') <= starts + 2, "not each time")
        told = d.request("GET", "/v1/plugins/trial").json()
        equal(told["available"], False, told)
        equal(call(d, "here").status, 200, "what is done in the daemon works")
        wait_for(lambda: not children(d), 5, "no zombie")
    with Service("plugin.trial.start=slow", "plugins.start_time=200ms") as d:
        document = problem(call(d, "who"), 502, "plugin-crashed")
        check("not ready within" in document["detail"], document)
        wait_for(lambda: not children(d), 5, "no zombie")
    with Service("plugins.helper=/nowhere/at-all") as d:
        document = problem(call(d, "who"), 502, "plugin-crashed")
        check("/nowhere/at-all" in document["detail"], document)
    with Service("plugins.helper=/bin/true") as d:
        problem(call(d, "who"), 502, "plugin-crashed")


# --- which process, and how long ----------------------------------------------------------------


def test_a_model_stays_in_one_process(_):
    with Service("plugins.processes=3") as d:
        homes = {m: {output(call(d, "who", {"model": m}))["pid"] for _ in range(5)}
                 for m in ("a", "b", "c")}
        check(all(len(pids) == 1 for pids in homes.values()), homes)
        equal(len(set.union(*homes.values())), 3, "each has one for itself", homes)
        equal(len(children(d)), 3)


def test_who_finds_none_waits_in_line(_):
    with Service("plugins.processes=1", "plugins.threads=4", "limits.time=20s") as d:
        pid_of(d)
        done = []
        threads = [threading.Thread(target=lambda: done.append(call(d, "wait", {"ms": 100})))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal([r.status for r in done], [200] * 8, done)
        equal(len({output(r)["pid"] for r in done}), 1)
    with Service("plugins.processes=1", "limits.time=500ms") as d:
        ref = d.upload(guest_module())
        pid_of(d)
        busy = threading.Thread(target=d.invoke, args=(ref, "wait", [450]))
        replies = []
        busy.start()
        threads = [threading.Thread(target=lambda: replies.append(call(d, "wait", {"ms": 400})))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads + [busy]:
            thread.join()
        for reply in replies:
            check(reply.status in (200, 429, 502), reply)
        check(any(reply.status != 200 for reply in replies), replies)
    with Service("plugins.processes=1", "limits.time=1s") as d:
        ref = d.upload(guest_module())
        pid = pid_of(d)
        busy = threading.Thread(target=d.invoke, args=(ref, "wait", [900]))
        busy.start()
        time.sleep(0.05)  # usually it is the guest's by then; if not, all is well, too
        reply = call(d, "wait", {"ms": 400})
        busy.join()
        check(reply.status in (200, 429), "its time went by in the line", reply)
        equal(wait_for(lambda: call(d, "who").status == 200 and pid_of(d)), pid,
              "nothing was ended")


def test_idle_processes_end(_):
    with Service("plugins.idle_time=100ms") as d:
        pid = pid_of(d)
        wait_for(lambda: not children(d), 10, "the process to end")
        equal(metric(d, 'plugin_processes{plugin="trial"}'), 0)
        equal(sum(metric(d, 'plugin_crashes_total{plugin="trial",reason="%s"}' % r)
                  for r in ("signal", "exit", "time")), 0, "that is no crash")
        check(pid_of(d) != pid, "another one, when it is needed")


def test_one_that_dies_while_it_is_idle_costs_nothing(d):
    for _ in range(5):
        pid = pid_of(d)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: children(d).get(pid, "Z") == "Z", what="its end")
        output(call(d, "who"))
    wait_for(lambda: "Z" not in children(d).values(), 5, "no zombie")


def test_they_end_with_the_daemon(_):
    for number in (signal.SIGTERM, signal.SIGKILL):
        with Service() as d:
            pid = pid_of(d)
            d.stop(number)
            wait_for(lambda: not os.path.exists("/proc/%d" % pid), 10, "the process to end")


def test_a_drain_waits_and_then_cancels(_):
    with Service("limits.drain_timeout=10s") as d:
        replies = []
        thread = threading.Thread(target=lambda: replies.append(call(d, "wait", {"ms": 700})))
        pid_of(d)
        thread.start()
        wait_for(lambda: metric(d, 'plugin_operations_total{plugin="trial",result="done"}') >= 1)
        time.sleep(0.1)
        equal(d.stop(), 0)
        thread.join()
        equal(replies[0].status, 200, "what had begun was finished", replies)
    with Service("limits.drain_timeout=0") as d:
        pid_of(d)
        thread = threading.Thread(target=lambda: replies.append(call(d, "wait", {"ms": 20000})))
        began = time.monotonic()
        thread.start()
        wait_for(lambda: d.request("GET", "/metrics").body.count(b'route="PLUGIN_CALL"') > 0)
        time.sleep(0.2)
        equal(d.stop(), 0)
        thread.join()
        check(time.monotonic() - began < 15, "it did not wait for the operation")


def test_clients_that_leave(_):
    with Service("plugins.processes=2", "plugins.threads=8") as d:
        pid_of(d)
        descriptors = d.descriptors()
        body = json.dumps({"input": {"ms": 20000}}).encode()
        head = ("POST /v1/plugins/trial/wait HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                "application/json\r\nContent-Length: %d\r\n\r\n" % len(body)).encode()
        for _ in range(12):
            sock = d.open()
            sock.sendall(head + body)
            time.sleep(0.02)
            sock.close()
        began = time.monotonic()
        output(call(d, "who"))
        check(time.monotonic() - began < 15, "processes are free again")
        stopped = 'plugin_operations_total{plugin="trial",result="stopped"}'
        wait_for(lambda: metric(d, stopped) >= 10, 10, "all were given up")
        wait_for(lambda: "Z" not in children(d).values(), 5, "no zombie")
        wait_for(lambda: d.descriptors() <= descriptors + 6, 10, "descriptors")


def test_crashes_beside_healthy_traffic(_):
    with Service("plugins.processes=4", "plugins.threads=8", "log.level=error") as d:
        ref = d.upload(guest_module())
        for _ in range(8):
            call(d, "crash")
            output(call(d, "echo"))
        descriptors = d.descriptors()
        memory = d.memory_kib()
        failures, healthy, is_over = [], [0], threading.Event()

        def crash(count):
            for _ in range(count):
                reply = call(d, "crash")
                if reply.status != 502:
                    failures.append(reply)

        def work():
            while not is_over.is_set():
                reply = d.invoke(ref, "wait", [0])
                other = d.request("POST", "/v1/plugins/example/shout", b"a",
                                  {"Content-Type": "text/plain"})
                if reply.json().get("outcome") != "returned" or other.status != 200:
                    failures.append((reply, other))
                healthy[0] += 1

        def echo():
            while not is_over.is_set():
                reply = call(d, "echo", {"n": healthy[0]})
                if reply.status != 200:
                    failures.append(reply)

        threads = [threading.Thread(target=crash, args=(CRASHES // 2,)) for _ in range(2)]
        others = [threading.Thread(target=work), threading.Thread(target=echo)]
        for thread in threads + others:
            thread.start()
        for thread in threads:
            thread.join()
        is_over.set()
        for thread in others:
            thread.join()
        equal(failures, [], "only those who crashed")
        check(healthy[0] > 0, "others worked")
        wait_for(lambda: d.descriptors() <= descriptors + 9, 10, "descriptors")
        check(len(children(d)) <= 4, children(d))
        wait_for(lambda: "Z" not in children(d).values(), 5, "no zombie")
        check(d.memory_kib() < memory + slack_kib(16384), memory, d.memory_kib())
        check(metric(d, 'plugin_starts_total{plugin="trial"}') >= CRASHES // 2, "replaced")


if __name__ == "__main__":
    harness.main(globals(), SETS)
