"""WASI commands: JSON, forms, raw bodies; streams, files, limits."""
import json
import re

from harness import (CALC, CAT, FLOOD, JSON, SOURCE, STREAMS, b64, check, equal, main,
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


if __name__ == "__main__":
    main(globals())
