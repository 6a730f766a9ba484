"""Calls of functions: values, errors, limits, asynchronous ones, cancelling, events."""
import http.client
import json
import select
import socket
import time

from harness import (CALC, CAT, JSON, TICK, WASM, Reply, check, equal, main, module, problem,
                     wait_for, I32, const)

ASYNC = {"Prefer": "respond-async"}


def results(reply):
    equal(reply.status, 200, reply)
    answer = reply.json()
    equal(answer["outcome"], "returned", reply)
    return [r["value"] for r in answer["results"]]


def upload(d):
    return d.upload(CALC, "demo/calc:1")


def test_values_there_and_back(d):
    upload(d)
    for function, args, expected in [
            ("add", [2, 40], [42]),
            ("add", ["0xffffffff", 1], [0]),
            ("add", [4294967295, -1], [-2]),
            ("add64", ["9223372036854775807", 1], ["-9223372036854775808"]),
            ("add64", [{"type": "i64", "value": "1"}, "-2"], ["-1"]),
            ("same_f32", ["nan:0x200000"], ["nan:0x200000"]),
            ("same_f32", [0.1], [0.1]),
            ("same_f64", ["-inf"], ["-inf"]),
            ("same_f64", ["0x1.8p3"], [12]),
            ("same_funcref", [None], [None]),
            ("two", [], [1, "2"]),
            ("", [], [7])]:
        equal(results(d.invoke("demo/calc:1", function, args)), expected, function, args)
    reply = d.invoke("demo/calc:1", "same_v128",
                     [{"lanes": "i32x4", "value": ["1", "2", "3", "-1"]}], lanes="i16x8")
    equal(reply.json()["results"][0]["bytes"], "010000000200000003000000ffffffff")


def test_answer_says_how_it_went(d):
    upload(d)
    reply = d.invoke("demo/calc:1", "add", [1, 2], exact=True)
    answer = reply.json()
    equal(reply.headers["Wasm-Outcome"], "returned")
    check("exec;dur=" in reply.headers["Server-Timing"], reply.headers)
    check(answer["id"].startswith("inv_"), answer)
    equal(answer["results"], [{"type": "i32", "value": 3, "bits": "0x00000003"}])
    check(answer["usage"]["peak_pages"] == 1 and "fuel" not in answer["usage"], answer)
    answer = d.invoke("demo/calc:1", "add", [1, 2], limits={"fuel": 1000}).json()
    check(0 < answer["usage"]["fuel"] < 20, answer)


def test_pretty(d):
    upload(d)
    body = json.dumps({"function": "add", "args": [1, 2]})
    reply = d.request("POST", "/v1/modules/demo/calc:1/invoke?pretty", body, JSON)
    check(b"\n  " in reply.body and reply.json()["outcome"] == "returned", reply)


def test_traps_and_limits_are_outcomes(d):
    upload(d)
    for function, args, limits, outcome, code in [
            ("div", [1, 0], {}, "trapped", "integer-divide-by-zero"),
            ("div", [-2147483648, -1], {}, "trapped", "integer-overflow"),
            ("unreachable", [], {}, "trapped", "unreachable"),
            ("recurse", [], {}, "trapped", "call-stack-exhausted"),
            ("spin", [], {"time_ms": 30}, "limited", "deadline-exceeded"),
            ("spin", [], {"fuel": 10000}, "limited", "out-of-fuel")]:
        reply = d.invoke("demo/calc:1", function, args, limits=limits)
        equal(reply.status, 200, reply)
        answer = reply.json()
        equal((answer["outcome"], answer["trap"]["code"]), (outcome, code), function)
        equal(reply.headers["Wasm-Outcome"], outcome)
        check(answer["trap"]["backtrace"], answer)


def test_memory_limit(d):
    upload(d)
    equal(results(d.invoke("demo/calc:1", "grow", [3], limits={"memory_pages": 4})), [1])
    equal(results(d.invoke("demo/calc:1", "grow", [4], limits={"memory_pages": 4})), [-1])
    reply = d.invoke("demo/calc:1", "grow", [0], limits={"memory_pages": 0})
    equal(reply.json()["outcome"], "limited", reply)


def test_every_call_has_an_instance_of_its_own(d):
    upload(d)
    for _ in range(5):
        equal(results(d.invoke("demo/calc:1", "grow", [1])), [1])


def test_deadline_is_kept(d):
    upload(d)
    for time_ms in (10, 100, 300):
        began = time.monotonic()
        reply = d.invoke("demo/calc:1", "spin", limits={"time_ms": time_ms})
        took_ms = (time.monotonic() - began) * 1000
        equal(reply.json()["trap"]["code"], "deadline-exceeded")
        check(time_ms <= took_ms + 1 and took_ms < time_ms + 500, "took", took_ms)


def test_wrong_calls(d):
    upload(d)
    target = "/v1/modules/demo/calc:1/invoke"

    def refused(body, status, code, pointer=None):
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        document = problem(d.request("POST", target, text, JSON), status, code)
        if pointer is not None:
            equal(document["errors"][0]["pointer"], pointer, document)

    refused({"function": "nothing"}, 422, "function-not-found")
    refused({"function": "memory"}, 422, "function-not-found")
    refused({"function": "add", "args": [1]}, 422, "argument-count")
    refused({"function": "add", "args": [1, 2, 3]}, 422, "argument-count")
    refused({"function": "add"}, 422, "argument-count")
    refused({"function": "add", "args": [1, "forty"]}, 422, "argument-type", "/args/1")
    refused({"function": "add", "args": [1, 1.5]}, 422, "argument-type", "/args/1")
    refused({"function": "add", "args": [1, 4294967296]}, 422, "argument-range", "/args/1")
    refused({"function": "add64", "args": ["18446744073709551616", 1]}, 422, "argument-range")
    refused({"function": "add64", "args": [9007199254740993, 1]}, 400, "bad-request", "/args/0")
    refused({"function": "add", "args": [1, {"type": "f32", "value": 1}]}, 422, "argument-type")
    refused({"function": "same_funcref", "args": [1]}, 422, "argument-type")
    refused({"function": "add", "arguments": [1, 2]}, 400, "bad-request")
    refused({"args": []}, 400, "bad-request")
    refused([], 400, "bad-request")
    refused("", 400, "bad-json")
    refused("{", 400, "bad-json")
    refused('{"function":"add","function":"add"}', 400, "bad-json")
    refused('{"function":"add"} x', 400, "bad-json")
    refused(b'{"function":"\xff"}', 400, "bad-json")
    refused('{"function":"add","args":[1e400,1]}', 400, "bad-json")
    refused('{"function":"add","args":' + "[" * 100 + "]" * 100 + "}", 400, "bad-json")
    refused('{"function":"add","args":' + "[" * 100000 + "]" * 100000 + "}", 400, "bad-json")
    refused('{"function":"add","args":[%s]}' % ",".join(["1"] * 20000), 422, "argument-count")
    problem(d.request("POST", target, "{}", WASM), 415, "unsupported-media-type")
    problem(d.request("POST", "/v1/modules/demo/none:1/invoke", "{}", JSON), 404,
            "module-not-found")
    problem(d.request("POST", "/v1/modules/sha256:%s/invoke" % ("0" * 64),
                      '{"function":"f"}', JSON), 404, "module-not-found")


def test_missing_imports_are_named(d):
    digest = d.upload(module([("f", [], [I32], [], const(1))],
                             [("env", "missing_function", [], [])]))
    document = problem(d.invoke(digest, "f"), 422, "import-missing")
    check("missing_function" in document["detail"], document)


def test_asynchronous(d):
    upload(d)
    reply = d.invoke("demo/calc:1", "add", [2, 40], ASYNC)
    equal(reply.status, 202, reply)
    record = reply.json()
    check(record["state"] in ("queued", "running", "returned"), record)
    equal((record["kind"], record["function"]), ("invoke", "add"))
    equal(reply.headers["Location"], "/v1/invocations/" + record["id"])

    def ended():
        found = d.request("GET", "/v1/invocations/" + record["id"]).json()
        return found if found["state"] == "returned" else None

    found = wait_for(ended, what="the end")
    equal(found["result"]["results"][0]["value"], 42)
    equal(found["result"]["id"], record["id"])
    reply = d.request("POST", "/v1/modules/demo/calc:1/invoke",
                      '{"function":"add","args":[1,2],"async":true}', JSON)
    equal(reply.status, 202)
    reply = d.request("DELETE", "/v1/invocations/" + record["id"])
    equal((reply.status, reply.json()["state"]), (200, "returned"))


def test_asynchronous_refusals_show_in_the_record(d):
    upload(d)
    record = d.invoke("demo/calc:1", "add", ["x", 1], ASYNC).json()

    def ended():
        found = d.request("GET", "/v1/invocations/" + record["id"]).json()
        return found if "result" in found else None

    found = wait_for(ended, what="the end")
    equal(found["state"], "trapped")
    equal(found["result"]["trap"]["code"], "argument-type")


def test_waiting_for_a_while(d):
    upload(d)
    equal(d.invoke("demo/calc:1", "add", [1, 2], {"Prefer": "wait=5"}).status, 200)
    reply = d.invoke("demo/calc:1", "spin", (), {"Prefer": "respond-async, wait=1"},
                     limits={"time_ms": 1500})
    equal(reply.status, 202, reply)
    place = "/v1/invocations/" + reply.json()["id"]
    wait_for(lambda: d.request("GET", place).json()["state"] == "limited", what="the deadline")


def test_cancelling(d):
    upload(d)
    record = d.invoke("demo/calc:1", "spin", (), ASYNC).json()
    place = "/v1/invocations/" + record["id"]
    wait_for(lambda: d.request("GET", place).json()["state"] == "running", what="the start")
    running = d.request("GET", "/v1/activity").json()
    check(record["id"] in [i["id"] for i in running["items"]], running)
    equal(d.request("DELETE", place).status, 202)
    found = wait_for(lambda: [r for r in [d.request("GET", place).json()]
                              if r["state"] == "cancelled"], what="the end")[0]
    equal(found["result"]["outcome"], "cancelled")
    equal(d.request("GET", "/v1/activity").json()["items"], [])


def test_invocation_list(d):
    upload(d)
    ids = [d.invoke("demo/calc:1", "add", [1, k], ASYNC).json()["id"] for k in range(5)]

    def listed():
        seen, cursor = [], ""
        while True:
            page = d.request("GET", "/v1/invocations?limit=2&state=returned" + cursor).json()
            seen += [i["id"] for i in page["items"]]
            if "next_cursor" not in page:
                equal(len(seen), len(set(seen)), "no invocation twice")
                return seen
            cursor = "&cursor=" + page["next_cursor"]

    # the list is the store's, which hears of the end a moment later
    wait_for(lambda: set(ids) <= set(listed()), what="all in the list")
    problem(d.request("GET", "/v1/invocations?state=sleeping"), 400, "bad-query")
    problem(d.request("GET", "/v1/invocations/inv_nothing"), 404, "invocation-not-found")


def events_of(d, place, headers=None):
    """All events up to the end of the stream, as (id, name, data)."""
    text = d.request("GET", place + "/events", headers=headers).body.decode()
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if fields:
            found.append((int(fields.get("id", 0)), fields["event"], json.loads(fields["data"])))
    return found


def test_events(d):
    d.upload(TICK, "demo/tick:1")
    reply = d.request("POST", "/v1/modules/demo/tick:1/run", '{"limits":{"time_ms":300}}',
                      dict(JSON, **ASYNC))
    place = "/v1/invocations/" + reply.json()["id"]
    found = events_of(d, place)
    equal([e[1] for e in found], ["queued", "started", "stdout", "result"])
    equal([e[0] for e in found], [1, 2, 3, 4])
    equal(found[2][2], {"text": "tick\n"})
    equal(found[3][2]["outcome"], "limited")
    equal([e[1] for e in events_of(d, place, {"Last-Event-ID": "2"})], ["stdout", "result"])
    equal(d.request("GET", place + "/stdout").body, b"tick\n")
    equal(d.request("GET", place + "/stderr").body, b"")


def test_followers_that_leave(d):
    upload(d)
    record = d.invoke("demo/calc:1", "spin", (), ASYNC).json()
    place = "/v1/invocations/" + record["id"]
    before = d.descriptors()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", d.port)) as sock:
            sock.sendall(b"GET %s/events HTTP/1.1\r\nHost: localhost\r\n\r\n" % place.encode())
            received = b""
            while b"event: started" not in received:
                received += sock.recv(4096)
    wait_for(lambda: d.descriptors() <= before + 1, what="closed connections")
    equal(d.request("GET", place).json()["state"], "running")
    d.request("DELETE", place)


def test_a_client_that_leaves_cancels(d):
    upload(d)
    body = b'{"function":"spin"}'
    head = (b"POST /v1/modules/demo/calc:1/invoke HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
    for unix in (False, True):
        for way in ("close", "reset", "half-close"):
            sock = d.open(unix)
            sock.sendall(head + body)
            wait_for(lambda: d.request("GET", "/v1/activity").json()["running"] == 1,
                     what="the start")
            if way == "half-close":
                sock.shutdown(socket.SHUT_WR)
            else:
                if way == "reset" and not unix:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    b"\1\0\0\0\0\0\0\0")
                sock.close()
            wait_for(lambda: d.request("GET", "/v1/activity").json()["running"] == 0, 2,
                     "the end after " + way)
            if way == "half-close":
                # who still listens hears of it, unless the library saw the end first
                received = sock.recv(65536)
                check(received == b"" or b'"cancelled"' in received, received)
                sock.close()


def test_queue_full_is_429(d):
    upload(d)
    d.upload(CAT, "demo/cat:1")
    sockets = []
    body = b'{"function":"spin","limits":{"time_ms":5000}}'
    for _ in range(40):
        sock = d.open(timeout=30)
        sock.sendall(b"POST /v1/modules/demo/calc:1/invoke HTTP/1.1\r\nHost: localhost\r\n"
                     b"Connection: close\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        sockets.append(sock)
    refused = answered = 0
    # the refused are answered at once, the others when their time is over
    first = select.select(sockets, [], [], 30)[0][0]
    sockets.remove(first)
    response = http.client.HTTPResponse(first)
    response.begin()
    reply = Reply(response.status, response.headers, response.read())
    first.close()
    document = problem(reply, 429, "queue-full")
    after = reply.headers.get_all("Retry-After")
    check(document["retryable"] and len(after) == 1 and 1 <= int(after[0]) <= 60, after)
    # what needs no worker goes on meanwhile
    equal(d.request("GET", "/livez").status, 200)
    equal(d.request("GET", "/v1/modules").status, 200)
    for sock in sockets:
        data = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            data += piece
        refused += data.startswith(b"HTTP/1.1 429 ")
        answered += data.startswith(b"HTTP/1.1 200 ")
        sock.close()
    equal(refused + answered, 39)
    check(answered >= 8, refused, answered)
    equal(results(d.invoke("demo/calc:1", "add", [1, 2])), [3])


if __name__ == "__main__":
    main(globals(), ["limits.queue_length=8", "workers.count=8"])
