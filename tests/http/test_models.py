#!/usr/bin/env python3
"""Models and inference over HTTP, in the form of the open inference protocol.

Most is asked of tests/plugins/models/wasi_nn.c, which stands for the real plug-in: its models say
in a line what they do. MODEL_MUTATIONS is how many damaged models are sent (100000 in check-long),
MODEL_KILLS how often the daemon is killed while models are sent.
"""
import hashlib
import json
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

import harness
from harness import BUILD, JSON, SOURCE, Check, Daemon, Skip, check, equal, problem, wait_for

PLUGINS = os.path.join(BUILD, "tests", "plugins", "models", ".libs")
REAL = os.path.join(BUILD, "plugins", ".libs")
BYTES = {"Content-Type": "application/octet-stream"}
MUTATIONS = int(os.environ.get("MODEL_MUTATIONS", "100"))
KILLS = int(os.environ.get("MODEL_KILLS", "3"))
LONG = 60


class Service:
    """A daemon with plug-ins of a folder, and settings of its own."""

    def __init__(self, *sets, path=PLUGINS, folder=None, config=""):
        self.daemon = Daemon(["plugins.path=" + path] + list(sets), config, folder)

    def __enter__(self):
        return self.daemon.start()

    def __exit__(self, *error):
        self.daemon.clean()


def affine(columns=2, scale=1.0, offset=0.0):
    return b"\x08affine %d %g %g\n" % (columns, scale, offset)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put(d, name, data, query="", **headers):
    return d.request("PUT", "/v1/models/%s%s" % (name, query), data,
                     dict(BYTES, **{k.replace("_", "-"): v for k, v in headers.items()}),
                     timeout=LONG)


def put_ok(d, name, data):
    reply = put(d, name, data)
    check(reply.status in (200, 201), reply)
    return reply.json()


def x(values, columns=2, **more):
    rows = len(values) // columns
    return dict(name="x", datatype="FP32", shape=[rows, columns], data=values, **more)


def infer(d, name, body, path="/v1/models/%s/infer", headers=None, timeout=LONG):
    data = body if isinstance(body, bytes) else json.dumps(body)
    return d.request("POST", path % name, data, dict(JSON, **(headers or {})), timeout=timeout)


def outputs(reply):
    equal(reply.status, 200, reply)
    return {o["name"]: o for o in reply.json()["outputs"]}


def ask(d, name, values, columns=2):
    """y of these values."""
    reply = infer(d, name, {"inputs": [x(values, columns)], "outputs": [{"name": "y"}]})
    return outputs(reply)["y"]["data"]


def metric(d, line):
    for found in d.request("GET", "/metrics").body.decode().splitlines():
        if found.startswith("wasmedged_" + line + " "):
            return int(float(found.split()[-1]))
    raise Check("no metric " + line)


# --- the catalogue ----------------------------------------------------------------------------


def test_a_model_is_kept_and_described(_):
    data = affine(3)
    with Service() as d:
        reply = put(d, "first", data)
        equal(reply.status, 201, reply)
        equal(reply.headers["ETag"], '"%s"' % digest(data))
        equal(reply.headers["Location"], "/v1/models/first")
        stored = reply.json()
        equal(stored["inputs"], [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}])
        equal(stored["outputs"][1], {"name": "sum", "datatype": "FP64", "shape": [1]})
        for key, value in dict(name="first", format="onnx", plugin="wasi_nn", size=len(data),
                               digest=digest(data), state="ready", created=True).items():
            equal(stored[key], value, key)
        again = put(d, "first", data)
        equal((again.status, again.json()["created"]), (200, False), again)
        del stored["created"]
        found = d.request("GET", "/v1/models/first").json()
        equal({**found, "created_at": 0}, {**stored, "created_at": 0})
        reply = d.request("GET", "/v1/models/first", headers={"Accept": BYTES["Content-Type"]})
        equal((reply.body, reply.headers["Content-Type"]), (data, BYTES["Content-Type"]))
        reply = d.request("GET", "/v1/models/first",
                          headers={"Accept": BYTES["Content-Type"], "Range": "bytes=1-6"})
        equal((reply.status, reply.body), (206, b"affine"))
        reply = d.request("GET", "/v1/models/first",
                          headers={"If-None-Match": '"%s"' % digest(data)})
        equal(reply.status, 304)
        equal(metric(d, "store_models"), 1)
        d.stop()
        d.start()
        equal(d.request("GET", "/v1/models/first").json()["digest"], digest(data))
        equal(ask(d, "first", [1, 2, 3], 3), [1, 2, 3])
        equal(d.request("DELETE", "/v1/models/first").status, 204)
        problem(d.request("DELETE", "/v1/models/first"), 404, "model-not-found")
        problem(infer(d, "first", {"inputs": [x([1, 2, 3], 3)]}), 404, "model-not-found")
        equal(metric(d, "store_models"), 0)


def test_models_are_listed_in_pages(_):
    with Service() as d:
        for name in ("c", "a", "b"):
            put_ok(d, name, affine())
        names, target = [], "/v1/models?limit=2"
        while target:
            page = d.request("GET", target).json()
            names += [m["name"] for m in page["items"]]
            cursor = page.get("next_cursor")
            target = cursor and "/v1/models?limit=2&cursor=" + cursor
        equal(names, ["a", "b", "c"])
        problem(d.request("GET", "/v1/models?cursor=abc"), 400, "bad-query")


def test_conditions_hold_or_nothing_changes(_):
    one, two = affine(2, 1), affine(2, 2)
    etag = {n: '"%s"' % digest(n) for n in (one, two)}
    with Service() as d:
        problem(put(d, "m", one, If_Match=etag[one]), 412, "precondition-failed")
        equal(put(d, "m", one, If_None_Match="*").status, 201)
        problem(put(d, "m", two, If_None_Match="*"), 412, "precondition-failed")
        problem(put(d, "m", two, If_Match=etag[two]), 412, "precondition-failed")
        equal(put(d, "m", two, If_Match=etag[one]).status, 200)
        problem(put(d, "m", two, If_Match="sha256"), 400, "bad-header")
        equal(ask(d, "m", [1, 2]), [2, 4])
        problem(d.request("DELETE", "/v1/models/m", headers={"If-Match": etag[one]}), 412,
                "precondition-failed")
        equal(d.request("DELETE", "/v1/models/m", headers={"If-Match": etag[two]}).status, 204)


def test_what_is_no_model_is_refused(_):
    with Service("limits.model_bytes=2KiB") as d:
        problem(put(d, "m", b""), 422, "model-invalid")
        found = problem(put(d, "m", b"neither"), 422, "model-invalid")
        check("?format=" in found["detail"], found)
        found = problem(put(d, "m", b"\x08affine no\n"), 422, "model-invalid")
        check("offset 1" in found["detail"], found)
        problem(put(d, "m", b"xaffine 2 1 0\n", "?format=onnx"), 422, "model-invalid")
        problem(put(d, "m", b"x" * 2049, "?format=onnx"), 413, "body-too-large")
        problem(put(d, "m", affine(), "?format=pickle"), 400, "bad-query")
        problem(put(d, "m", affine(), Content_Type="text/plain"), 415, "unsupported-media-type")
        found = problem(put(d, "m", affine(), "?format=tflite"), 501, "plugin-unavailable")
        check("wasmedge_tensorflowlite" in found["detail"], found)
        problem(put(d, "m", b"\0\0\0\0TFL3"), 501, "plugin-unavailable")
        problem(put(d, "m", affine(), Content_Type="application/x-graphdef"), 501,
                "plugin-unavailable")
        for name in (".m", "m%20", "a%2Fb", "n" * 129):
            problem(put(d, name, affine()), 404, "model-not-found")
        equal(put(d, "n" * 128, affine(), Content_Type="application/x-onnx").status, 201)


def test_a_full_disk_is_said_before_the_body(_):
    with Service("store.free_space_floor=1TiB") as d:
        problem(put(d, "m", affine()), 507, "disk-full")


def test_without_its_plug_in_a_model_waits(_):
    folder = tempfile.mkdtemp(prefix="wasmedged-")
    with Service(folder=folder) as d:
        put_ok(d, "m", affine())
    with Service("plugins.enabled=no", folder=folder) as d:
        found = d.request("GET", "/v1/models/m").json()
        equal(found["state"], "unavailable", found)
        check("why_not" in found and "inputs" in found, found)
        problem(infer(d, "m", {"inputs": [x([1, 2])]}), 501, "plugin-unavailable")
        problem(d.request("GET", "/v2/models/m/ready"), 501, "plugin-unavailable")
        d.stop()
    d.owns_folder = True
    d.clean()


# --- inference --------------------------------------------------------------------------------


def test_tensors_as_json(_):
    with Service() as d:
        put_ok(d, "m", affine(2, 0.5, 1))
        reply = infer(d, "m", {
            "id": "seven", "inputs": [dict(x([[1, 2], ["3", -0.0]]), shape=[2, 2])],
            "outputs": [{"name": "sum"}, {"name": "y"}, {"name": "text"}]})
        found = reply.json()
        equal((found["model_name"], found["id"], found["model_version"]),
              ("m", "seven", digest(affine(2, 0.5, 1))), reply)
        equal([o["name"] for o in found["outputs"]], ["sum", "y", "text"], reply)
        found = outputs(reply)
        equal(found["y"], {"name": "y", "datatype": "FP32", "shape": [2, 2],
                           "data": [1.5, 2, 2.5, 1]})
        equal(found["sum"], {"name": "sum", "datatype": "FP64", "shape": [1], "data": [6]})
        equal(found["text"]["data"], ["\x08affine 2 0.5 1\n"])
        reply = infer(d, "m", {"inputs": [x(["inf", "nan"])], "outputs": [{"name": "y"}]})
        equal(outputs(reply)["y"]["data"], ["inf", "nan"])
        check(b'"id"' not in reply.body, reply)
        reply = infer(d, "m", {"inputs": [dict(x([]), shape=[0, 2])],
                               "outputs": [{"name": "y"}]})
        equal((outputs(reply)["y"]["shape"], outputs(reply)["y"]["data"]), ([0, 2], []))


def test_tensors_as_bytes(_):
    values = struct.pack("<4f", 1, 2, 3, 4)
    head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2],
                                   "parameters": {"binary_data_size": 16}}],
                       "outputs": [{"name": "sum", "parameters": {"binary_data": False}},
                                   {"name": "half"}, {"name": "y"}],
                       "parameters": {"binary_data_output": True}}).encode()
    field = "Inference-Header-Content-Length"
    with Service() as d:
        put_ok(d, "m", affine(2, 2))
        reply = infer(d, "m", head + values, headers={field: str(len(head)), **BYTES})
        equal(reply.status, 200, reply)
        equal(reply.headers["Content-Type"], BYTES["Content-Type"])
        size = int(reply.headers[field])
        found = json.loads(reply.body[:size])["outputs"]
        equal(found[0]["data"], [10])
        equal([o["parameters"]["binary_data_size"] for o in found[1:]], [2, 16])
        equal(reply.body[size:], b"\0\0" + struct.pack("<4f", 2, 4, 6, 8))
        for length in ("x", "", "-1", "1" * 19):
            problem(infer(d, "m", head + values, headers={field: length}), 400, "bad-header")
        problem(infer(d, "m", head + values, headers={field: "100000"}), 400, "bad-header")
        problem(infer(d, "m", head + values), 400, "bad-json")
        for wrong in (values[:-1], values + b"!"):
            problem(infer(d, "m", head + wrong, headers={field: str(len(head))}), 422,
                    "tensor-mismatch")


MISMATCHES = [  # what is changed in a good request, where the complaint points
    (lambda r: r["inputs"][0].update(name="w"), "/inputs/0/name"),
    (lambda r: r["inputs"][0].update(datatype="FP64"), "/inputs/0/datatype"),
    (lambda r: r["inputs"][0].update(shape=[1, 3], data=[1, 2, 3]), "/inputs/0/shape"),
    (lambda r: r["inputs"][0].update(shape=[2], data=[1, 2]), "/inputs/0/shape"),
    (lambda r: r["inputs"][0].update(data=[1, "two"]), "/inputs/0/data/1"),
    (lambda r: r["inputs"][0].update(data=[1]), "/inputs/0/data"),
    (lambda r: r["inputs"][0].update(data=[1, 1e39]), "/inputs/0/data/1"),
    (lambda r: r.update(inputs=[]), "/inputs"),
    (lambda r: r["inputs"].append(x([1, 2])), "/inputs/1/name"),
    (lambda r: r.update(outputs=[{"name": "z"}]), "/outputs/0/name"),
]


def test_what_does_not_fit_is_pointed_at(_):
    with Service() as d:
        put_ok(d, "m", affine())
        for change, pointer in MISMATCHES:
            request = {"inputs": [x([1, 2])], "outputs": [{"name": "y"}]}
            change(request)
            found = problem(infer(d, "m", request), 422, "tensor-mismatch")
            equal(found["errors"][0]["pointer"], pointer, found)
        found = problem(infer(d, "m", {"inputs": [x([1, 2])]}), 422, "tensor-mismatch")
        check("binary_data" in found["detail"], found)  # half, FP16, cannot be JSON
        problem(infer(d, "m", {"inputs": [dict(x([1, 2]), shape=[1 << 60, 2])]}), 413,
                "body-too-large")
        problem(infer(d, "m", b'{"inputs":[{"data":[1,2'), 400, "bad-json")
        problem(infer(d, "m", {"inputs": [], "input": 1}), 400, "bad-request")
        problem(infer(d, "m", b"{}", headers={"Content-Type": "text/plain"}), 415,
                "unsupported-media-type")


def test_the_protocols_own_paths(_):
    data = affine()
    with Service() as d:
        put_ok(d, "m", data)
        equal(d.request("GET", "/v2").json()["extensions"], ["binary_tensor_data"])
        equal(d.request("GET", "/v2/health/live").json()["live"], True)
        equal(d.request("GET", "/v2/health/ready").json()["ready"], True)
        found = d.request("GET", "/v2/models/m").json()
        equal((found["name"], found["versions"], found["platform"], found["inputs"][0]["name"]),
              ("m", [digest(data)], "onnx_onnxv1", "x"))
        equal(d.request("GET", "/v2/models/m/ready").json(), {"name": "m", "ready": True})
        request = {"inputs": [x([1, 2])], "outputs": [{"name": "y"}], "model_name": "m"}
        equal(outputs(infer(d, "m", request, "/v2/models/%s/infer"))["y"]["data"], [1, 2])
        version = "/v2/models/m/versions/" + digest(data)
        equal(d.request("GET", version).json(), found)
        equal(d.request("GET", version + "/ready").status, 200)
        equal(outputs(infer(d, "m", request, "/v2/models/%s/versions/" + digest(data) +
                            "/infer"))["y"]["data"], [1, 2])
        for other in ("1", digest(b"")):
            path = "/v2/models/m/versions/" + other
            for reply in (d.request("GET", path), d.request("GET", path + "/ready"),
                          d.request("POST", path + "/infer", json.dumps(request), JSON),
                          d.request("GET", "/v2/models/n")):
                found = problem(reply, 404, "model-not-found")
                equal(found["error"], found["detail"], "what clients of the protocol look for")
        equal(d.request("GET", "/v2/nothing").json()["code"], "not-found")
        check("error" not in d.request("GET", "/v1/models/n").json(), "outside of /v2")


def test_a_model_that_was_put_out_is_loaded_again(_):
    with Service("plugins.processes=1") as d:
        for k in range(5):  # the plug-in keeps two
            put_ok(d, "m%d" % k, affine(2, k + 1))
        before = metric(d, "model_loads_total")
        for round_ in range(2):
            for k in range(5):
                equal(ask(d, "m%d" % k, [1, 2]), [k + 1, 2 * (k + 1)])
        check(8 <= metric(d, "model_loads_total") - before <= 10, "loads")


def test_many_at_a_time(_):
    with Service("plugins.threads=8") as d:
        for k in range(4):
            put_ok(d, "m%d" % k, affine(2, k))
        failures = []

        def work(seed):
            pick = random.Random(seed)
            for _ in range(40):
                k, v = pick.randrange(4), pick.randrange(100)
                try:
                    equal(ask(d, "m%d" % k, [v, 1]), [v * k, k])
                except Exception as error:
                    failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(failures, [])


def test_a_crash_costs_one_request(_):
    with Service() as d:
        put_ok(d, "m", affine())
        wanted = {"outputs": [{"name": "y"}]}
        for _ in range(3):
            problem(infer(d, "m", dict(wanted, inputs=[x([-1001, 0])])), 502, "plugin-crashed")
            equal(ask(d, "m", [1, 2]), [1, 2])
        problem(infer(d, "m", dict(wanted, inputs=[x([-1003, 0])])), 502, "plugin-crashed")


def test_time_and_departure_end_an_inference(_):
    with Service("limits.time=1s", "plugins.processes=1") as d:
        put_ok(d, "m", affine())
        stuck = {"inputs": [x([-1002, 0])], "outputs": [{"name": "y"}]}
        began = time.monotonic()
        problem(infer(d, "m", stuck), 502, "plugin-crashed")
        check(time.monotonic() - began < 30, "it took", time.monotonic() - began)
    with Service("limits.time=1h", "plugins.time=1h", "plugins.processes=1") as d:
        put_ok(d, "m", affine())
        body = json.dumps(stuck).encode()
        sock = d.open()
        sock.sendall(b"POST /v1/models/m/infer HTTP/1.1\r\nHost: localhost\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.2)
        sock.close()
        equal(ask(d, "m", [1, 2]), [1, 2])


def test_a_model_is_replaced_while_it_infers(_):
    with Service("plugins.threads=8") as d:
        put_ok(d, "m", affine(2, 1))
        ended = threading.Event()
        failures = []

        def work():
            while not ended.is_set():
                reply = infer(d, "m", {"inputs": [x([1, 2])], "outputs": [{"name": "y"}]})
                if reply.status != 409 and (reply.status != 200 or outputs(
                        reply)["y"]["data"] not in ([1, 2], [3, 6])):
                    failures.append(reply)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for k in range(20):
            put_ok(d, "m", affine(2, 3 if k % 2 == 0 else 1))
            equal(ask(d, "m", [1, 2]), [3, 6] if k % 2 == 0 else [1, 2], "a stale one")
        ended.set()
        for thread in threads:
            thread.join()
        equal(failures, [])


# --- the client -------------------------------------------------------------------------------


def ctl(d, *words, data=None):
    """Exit code, output, complaints."""
    program = os.path.join(BUILD, "wasmedgectl")
    env = {**os.environ, "WASMEDGED_HOST": "unix:" + d.socket_path}
    done = subprocess.run([program, *words], input=data, capture_output=True, env=env,
                          timeout=LONG)
    return done.returncode, done.stdout, done.stderr.decode()


def test_the_client_does_all_of_it(_):
    with Service() as d, tempfile.TemporaryDirectory() as folder:
        def file(name, data):
            with open(os.path.join(folder, name), "wb") as out:
                out.write(data)
            return out.name

        model, data = file("m", affine(2, 2)), file("x", struct.pack("<4f", 1, 2, 3, 4))
        code, out, said = ctl(d, "model", "put", "m", model)
        equal((code, out.decode().strip()), (0, digest(affine(2, 2))), said)
        code, _, said = ctl(d, "model", "put", "m", model, "--new")
        check(code == 5 and "precondition-failed" in said, code, said)
        equal(ctl(d, "model", "ls", "-o", "name")[1], b"m\n")
        code, out, said = ctl(d, "model", "inspect", "m")
        check(code == 0 and b"  x FP32 [? 2]\n" in out and b"  sum FP64 [1]\n" in out, out, said)
        code, out, said = ctl(d, "model", "infer", "m", "x=" + data, "--want", "y", "--want", "sum")
        check(code == 0 and b"[2, 2]  2 4 6 8\n" in out and b"[1]     10" in out, out, said)
        code, out, said = ctl(d, "model", "infer", "m", "x=" + data, "--want", "y", "-O", "-")
        equal((code, out), (0, struct.pack("<4f", 2, 4, 6, 8)), said)
        name = os.path.join(folder, "y")
        code, out, said = ctl(d, "model", "infer", "m", "x=" + data, "--want", "y", "-O", name)
        with open(name, "rb") as made:
            equal((code, made.read()), (0, struct.pack("<4f", 2, 4, 6, 8)), said)
        code, out, said = ctl(d, "model", "infer", "m", "x=" + data, "-O", "-")
        check(code == 2 and "--want" in said, code, said)
        request = json.dumps({"inputs": [x([1, 2])], "outputs": [{"name": "y"}]}).encode()
        code, out, said = ctl(d, "model", "infer", "m", "-", "-o", "json", data=request)
        equal(json.loads(out)["outputs"][0]["data"], [2, 4], said)
        for words, code, what in (
                (["x=" + data, "--shape", "x=1x2"], 1, "tensor-mismatch"),
                (["x=" + data, "--shape", "x=2x"], 2, "--shape"),
                (["x=" + data, "--shape", "x=4x1"], 1, "/inputs/0/shape"),
                (["x=" + data, "--datatype", "x=FLOAT"], 2, "FLOAT"),
                (["w=" + data], 2, "no input w"), (["x=" + folder + "/none"], 1, "none"),
                (["x=" + data, "more"], 2, "INPUT=FILE")):
            got, _, said = ctl(d, "model", "infer", "m", *words)
            check(got == code and what in said, words, "got", got, said)
        equal(ctl(d, "__complete", "model")[1], b"m\n")
        equal(ctl(d, "model", "rm", "m")[0], 0)
        equal(ctl(d, "model", "rm", "m")[0], 3)


# --- damage and crashes of the daemon ---------------------------------------------------------


def test_damage_in_the_catalogue_is_told_and_repaired(_):
    with Service() as d:
        put_ok(d, "m", affine())
        put_ok(d, "row", affine(3))
        d.stop()
        catalogue = sqlite3.connect(os.path.join(d.folder, "store", "catalog.db"))
        with catalogue:
            catalogue.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE digest = ?",
                              [hashlib.sha256(affine()).digest()])
            catalogue.execute("UPDATE model SET info = '{}' WHERE name = 'row'")
        catalogue.close()
        d.start()
        equal(d.request("GET", "/v1/models/row").json()["state"], "damaged")
        problem(d.request("GET", "/v1/models/m", headers={"Accept": BYTES["Content-Type"]}), 500,
                "internal")
        for name, columns in (("m", 2), ("row", 3)):
            body = {"inputs": [x([1] * columns, columns)], "outputs": [{"name": "y"}]}
            problem(infer(d, name, body), 500, "internal")
            put_ok(d, name, affine(columns))
            equal(ask(d, name, [1] * columns, columns), [1] * columns)


def test_what_was_acknowledged_survives_kill_9(_):
    pick = random.Random(1)
    known = {}
    with Service() as d:
        for _ in range(KILLS):
            ended = threading.Event()

            def send(first):
                k = first
                while not ended.is_set():
                    name, data = "m%d" % (k % 40), affine(2, k)
                    try:
                        # A name is one thread's, so that the order of its models is known.
                        reply = put(d, name, data)
                    except OSError:
                        return
                    if reply.status in (200, 201):
                        known[name] = data
                    k += 4

            threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(pick.uniform(0.2, 0.6))
            d.stop(signal.SIGKILL)
            ended.set()
            for thread in threads:
                thread.join()
            d.start()
            for name, data in known.items():
                reply = d.request("GET", "/v1/models/" + name,
                                  headers={"Accept": BYTES["Content-Type"]})
                equal(reply.status, 200, name, reply)
                equal(reply.headers["ETag"], '"%s"' % digest(reply.body))
                # What was not acknowledged may be there, when it is newer.
                check(float(reply.body.split()[2]) >= float(data.split()[2]), name, reply)
        check(known, "nothing was acknowledged")


# --- the real libraries -----------------------------------------------------------------------


def libraries():
    """Where tests/plugins/libraries.py keeps them."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("WASMEDGED_LIBRARIES") or os.path.join(cache, "wasmedged", "libraries")


def real(kind, plugin, library):
    """A small network, whose output for a known input is known."""
    if not os.path.exists(os.path.join(REAL, plugin + ".so")):
        raise Skip("no plug-in " + plugin)
    if not os.path.exists(os.path.join(libraries(), library)):
        raise Skip("no %s; tests/plugins/libraries.py fetches it" % library)
    with tempfile.TemporaryDirectory() as folder:
        maker = os.path.join(SOURCE, "tests", "plugins", "nn", "models.py")
        subprocess.run([sys.executable, maker, folder], check=True)
        made = {name: open(os.path.join(folder, "network." + name), "rb").read()
                for name in (kind, "in", "out")}
    wanted = struct.unpack("<%df" % (len(made["out"]) // 4), made["out"])
    with Service(path=REAL, config="[plugin.%s]\nlibrary = %s\n" % (plugin, libraries())) as d:
        reply = put(d, "real", made[kind])
        equal(reply.status, 201, reply, d.log())
        described = reply.json()
        equal(described["plugin"], plugin)
        tensor = described["inputs"][0]
        shape = [max(n, 1) for n in tensor["shape"]]
        request = {"inputs": [dict(name=tensor["name"], datatype="FP32", shape=shape,
                                   parameters={"binary_data_size": len(made["in"])})],
                   "parameters": {"binary_data_output": True}}
        head = json.dumps(request).encode()
        field = "Inference-Header-Content-Length"
        reply = infer(d, "real", head + made["in"], headers={field: str(len(head))})
        equal(reply.status, 200, reply, d.log())
        found = struct.unpack("<%df" % len(wanted), reply.body[int(reply.headers[field]):])
        check(all(abs(f - w) < 1e-5 for f, w in zip(found, wanted)), found, wanted)
        request = {"inputs": [dict(name=tensor["name"], datatype="FP32", shape=shape,
                                   data=struct.unpack("<%df" % (len(made["in"]) // 4),
                                                      made["in"]))]}
        name = described["outputs"][0]["name"]
        as_json = outputs(infer(d, "real", request))[name]["data"]
        equal(struct.pack("<%df" % len(wanted), *as_json),
              struct.pack("<%df" % len(found), *found), "the same, as JSON")
        problem(infer(d, "real", {"inputs": [dict(request["inputs"][0], shape=[1] + shape)]}),
                422, "tensor-mismatch")
        damage(d, made[kind], MUTATIONS // 4)


def damage(d, data, count):
    """Damaged models are refused, or asked; whatever they do, the daemon goes on."""
    pick = random.Random(2)
    seen = {}
    for _ in range(count):
        bad = bytearray(data)
        for _ in range(pick.randint(1, 8)):
            bad[pick.randrange(len(bad))] = pick.randrange(256)
        if pick.random() < 0.2:
            del bad[pick.randrange(len(bad)):]
        reply = put(d, "damaged", bytes(bad) or b"\0")
        check(reply.status in (200, 201, 422, 501, 502), reply)
        seen[reply.status] = seen.get(reply.status, 0) + 1
    equal(d.request("GET", "/livez").status, 200)
    return seen


def test_tensorflow_lite(_):
    real("tflite", "wasmedge_tensorflowlite", "libtensorflowlite_c.so")


def test_tensorflow(_):
    real("pb", "wasmedge_tensorflow", "libtensorflow_cc.so.2")


def test_onnx(_):
    real("onnx", "wasi_nn", "libonnxruntime.so.1")


def test_damaged_models_of_the_double(_):
    with Service() as d:
        seen = damage(d, affine(), MUTATIONS)
        check(422 in seen and 502 not in seen, seen)


if __name__ == "__main__":
    harness.main(globals())
