"""WASI commands: JSON, forms, raw bodies; streams, files, limits."""
import json
import re

from harness import (CALC, CAT, FLOOD, JSON, SOURCE, STREAMS, TICK, b64, check, equal, main,
                     multipart, problem, slack_kib, wait_for)

RAW = {"Content-Type": "application/octet-stream"}
OCTETS = {"Accept": "application/octet-stream"}


def run(d, ref, body=None, headers=None):
    return d.request("POST", "/v1/modules/%s/run" % ref, json.dumps(body or {}),
                     dict(JSON, **(headers or {})))


def note(d):
    """A command that writes /note.txt, from the examples of the API."""
    import base64
    import os
    with open(os.path.join(SOURCE, "rpc", "routes.def")) as file:
        text = file.read()
    lines = re.search(r"#define NOTE \\\n((?:\t\".*\n)+)", text).group(1)
    return d.upload(base64.b64decode("".join(re.findall('"([^"]*)"', lines))), "demo/note:1")


def test_streams_and_exit_code(d):
    d.upload(STREAMS, "demo/streams:1")
    reply = run(d, "demo/streams:1")
    equal(reply.status, 200, reply)
    answer = reply.json()
    equal((answer["outcome"], answer["exit_code"]), ("exited", 3))
    equal((answer["stdout"], answer["stderr"]), ({"text": "out"}, {"text": "err\n"}))
    equal((reply.headers["Wasm-Outcome"], reply.headers["Wasm-Exit-Code"]), ("exited", "3"))


def test_standard_input_in_three_forms(d):
    d.upload(CAT, "demo/cat:1")
    text = "hello \u00e4\n" * 3000
    equal(run(d, "demo/cat:1", {"stdin": {"text": text}}).json()["stdout"], {"text": text})
    data = bytes(range(256)) * 40
    equal(run(d, "demo/cat:1", {"stdin": {"base64": b64(data)}}).json()["stdout"],
          {"base64": b64(data)})
    equal(run(d, "demo/cat:1").json()["stdout"], {"text": ""})
    reply = d.request("POST", "/v1/modules/demo/cat:1/run?arg=-x&env=A=b", data,
                      dict(RAW, **OCTETS))
    equal((reply.status, reply.body == data), (200, True))
    equal(reply.headers["Content-Type"], "application/octet-stream")
    equal(reply.headers["Wasm-Exit-Code"], "0")
    form = multipart([("stdin", None, data), ("spec", None, b'{"args":["-x"]}')])
    reply = d.request("POST", "/v1/modules/demo/cat:1/run", form, {
        "Content-Type": "multipart/form-data; boundary=----test-boundary",
        "Accept": "application/octet-stream"})
    equal((reply.status, reply.body == data), (200, True))


def test_output_is_cut_at_the_limit(d):
    d.upload(FLOOD, "demo/flood:1")
    answer = run(d, "demo/flood:1", {"limits": {"time_ms": 100, "stdout_bytes": 1500}}).json()
    equal((answer["outcome"], answer["trap"]["code"]), ("limited", "deadline-exceeded"))
    equal(answer["stdout"]["text"], "x" * 1500)
    check(answer["stdout"]["truncated"] and answer["stdout"]["size"] > 1500, "truncated")


def test_files_are_collected_and_fetched(d):
    note(d)
    reply = run(d, "demo/note:1", {"collect": ["/*.txt"],
                                   "files": [{"path": "/in/b.txt", "text": "b"}]})
    files = reply.json()["files"]
    equal([(f["path"], f["size"]) for f in files], [("/note.txt", 6)])
    equal(d.request("GET", files[0]["href"]).body, b"noted\n")
    part = d.request("GET", files[0]["href"], headers={"Range": "bytes=1-2"})
    equal((part.status, part.body), (206, b"ot"))
    problem(d.request("GET", files[0]["href"] + ".no"), 404, "file-not-found")
    form = multipart([("spec", None, b'{"collect":["/**"]}'), ("file", "/in/a.txt", b"aaa")])
    reply = d.request("POST", "/v1/modules/demo/note:1/run", form,
                      {"Content-Type": "multipart/form-data; boundary=----test-boundary"})
    equal([f["path"] for f in reply.json()["files"]], ["/in/a.txt", "/note.txt"])


def test_refused_requests(d):
    d.upload(CAT, "demo/cat:1")
    d.upload(CALC, "demo/calc:1")
    target = "/v1/modules/demo/cat:1/run"
    form = {"Content-Type": "multipart/form-data; boundary=----test-boundary"}
    problem(run(d, "demo/calc:1"), 422, "not-a-command")
    problem(run(d, "demo/cat:1", {"what": 1}), 400, "bad-request")
    problem(run(d, "demo/cat:1", {"files": [{"path": "../x", "text": ""}]}), 400, "bad-request")
    problem(run(d, "demo/cat:1", {"stdin": {"base64": "?"}}), 400, "bad-request")
    problem(d.request("POST", target, b"x", {"Content-Type": "text/plain"}), 415,
            "unsupported-media-type")
    problem(d.request("POST", target + "?time_ms=x", b"x", RAW), 400, "bad-query")
    for parts in ([("what", None, b"")], [("stdin", None, b"")] * 2,
                  [("file", "../etc", b"")], [("file", None, b"")]):
        problem(d.request("POST", target, multipart(parts), form), 400, "bad-multipart")
    problem(d.request("POST", target, b"--wrong\r\n", form), 400, "bad-multipart")
    problem(d.request("POST", target, multipart([("spec", None, b"{")]), form), 400, "bad-json")
    problem(run(d, "demo/cat:1", headers={"Accept": "image/png"}), 406, "not-acceptable")


def test_asynchronous_output_is_kept(d):
    d.upload(STREAMS, "demo/streams:1")
    place = run(d, "demo/streams:1", headers={"Prefer": "respond-async"}).headers["Location"]
    wait_for(lambda: d.request("GET", place).json()["state"] == "exited", what="the end")
    equal(d.request("GET", place + "/stdout").body, b"out")
    equal(d.request("GET", place + "/stderr").body, b"err\n")
    equal(d.request("GET", place + "/stderr", headers={"Range": "bytes=-2"}).body, b"r\n")
    equal(d.request("GET", place).json()["result"]["exit_code"], 3)


def test_many_big_outputs_leave_no_memory_behind(d):
    d.upload(FLOOD, "demo/flood:1")
    body = {"limits": {"time_ms": 20, "stdout_bytes": 1 << 20}}
    for _ in range(3):
        run(d, "demo/flood:1", body)
    before = d.memory_kib()
    for _ in range(30):
        run(d, "demo/flood:1", body)
    check(d.memory_kib() < before + slack_kib(8192), before, d.memory_kib())


def events_of(data):
    found = []
    for block in data.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


EVENTS = {"Accept": "text/event-stream", "Content-Type": "application/json"}


def test_events_stream_as_they_come(d):
    d.upload(STREAMS, "demo/streams:1")
    reply = run(d, "demo/streams:1", {}, EVENTS)
    equal((reply.status, reply.headers["Content-Type"]), (200, "text/event-stream"))
    found = events_of(reply.body)
    equal([name for name, _ in found][:2], ["queued", "started"])
    equal(found[-1][0], "result")
    equal(found[-1][1]["id"], found[0][1]["id"])
    equal(found[-1][1]["stdout"], {"text": "out"})
    equal("".join(data["text"] for name, data in found if name == "stdout"), "out")
    # preferences are for those who come back; pretty printing does not break lines
    reply = d.request("POST", "/v1/modules/demo/streams:1/run?pretty", b"{}",
                      dict(EVENTS, Prefer="respond-async"))
    equal((reply.status, events_of(reply.body)[-1][0]), (200, "result"))
    # the module is refused when it comes to run: the stream has begun, and says so at its end
    d.upload(CALC, "demo/calc:1")
    reply = run(d, "demo/calc:1", {}, EVENTS)
    equal(reply.status, 200)
    name, data = events_of(reply.body)[-1]
    equal((name, data["trap"]["code"]), ("result", "not-a-command"))
    # what is known before is a problem as ever
    problem(run(d, "demo/none:1", {}, EVENTS), 404, "module-not-found")


def test_leaving_the_stream_cancels(d):
    d.upload(TICK, "demo/tick:1")
    body = b'{"limits":{"time_ms":20000}}'
    head = (b"POST /v1/modules/demo/tick:1/run HTTP/1.1\r\nHost: localhost\r\n"
            b"Accept: text/event-stream\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body))
    sockets = []
    for number in range(6):  # some of them run, the others wait
        sock = d.open()
        sock.sendall(head + body)
        sockets.append(sock)
        data = b""
        while (b"event: queued" if number else b"event: stdout") not in data:
            data += sock.recv(65536)
        check(b"result" not in data, "it has not ended")
    active = d.unix("GET", "/v1/activity").json()
    equal(active["running"] + active["queued"], 6)
    for sock in sockets:
        sock.close()

    def none_is_left():
        active = d.unix("GET", "/v1/activity").json()
        return active["running"] + active["queued"] == 0
    wait_for(none_is_left, 5, "the end of what nobody follows")


if __name__ == "__main__":
    main(globals())
