#!/usr/bin/env python3
"""What an inference costs over HTTP: infer_http.py [--rounds N]

The network of tests/plugins/nn/models.py on TensorFlow Lite, asked over one connection in
binary and in JSON, in turns with /livez, which is what HTTP and this client cost alone. The
operation itself, in the plug-in's process, is what /metrics says. Then a million numbers.
"""
import argparse
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))
FIELD = "Inference-Header-Content-Length"


def message(method, target, body=b"", *fields):
    head = ["%s %s HTTP/1.1" % (method, target), "Host: localhost",
            "Content-Length: %d" % len(body), *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def exchange(sock, data):
    """Microseconds, and the reply."""
    start = time.perf_counter()
    sock.sendall(data)
    reply = sock.recv(1 << 20)
    head, _, body = reply.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += sock.recv(1 << 20)
    elapsed = 1e6 * (time.perf_counter() - start)
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(reply.decode(errors="replace"))
    return elapsed, body


def operation_us(daemon, plugin):
    """Sum and count of the operations so far."""
    name = 'wasmedged_plugin_operation_seconds_%s{plugin="%s"}'
    found = {}
    for line in daemon.request("GET", "/metrics").body.decode().splitlines():
        for what in ("sum", "count"):
            if line.startswith(name % (what, plugin)):
                found[what] = float(line.split()[-1])
    return 1e6 * found["sum"], found["count"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".", help="build folder")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--model", choices=("network", "wide"), default="network")
    options = parser.parse_args()
    os.environ["top_builddir"] = options.build
    import harness
    import test_models as models

    plugin = "wasmedge_tensorflowlite"
    with tempfile.TemporaryDirectory() as folder:
        maker = os.path.join(HERE, "..", "plugins", "nn", "models.py")
        subprocess.run([sys.executable, maker, folder], check=True)
        made = {n: open(os.path.join(folder, options.model + "." + n), "rb").read()
                for n in ("tflite", "in")}
    config = "[plugin.%s]\nlibrary = %s\n" % (plugin, models.libraries())
    with models.Service(path=models.REAL, config=config) as daemon:
        stored = models.put_ok(daemon, "m", made["tflite"])
        tensor = {k: stored["inputs"][0][k] for k in ("name", "datatype", "shape")}
        floats = struct.unpack("<%df" % (len(made["in"]) // 4), made["in"])
        binary = json.dumps({"inputs": [dict(tensor, parameters={
            "binary_data_size": len(made["in"])})],
            "parameters": {"binary_data_output": True}}).encode()
        text = json.dumps({"inputs": [dict(tensor, data=floats)]}).encode()
        asked = {"livez": message("GET", "/livez"),
                 "binary": message("POST", "/v1/models/m/infer", binary + made["in"],
                                   "%s: %d" % (FIELD, len(binary))),
                 "json": message("POST", "/v1/models/m/infer", text)}
        times = {name: [] for name in asked}
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(daemon.socket_path)
        before = operation_us(daemon, plugin)
        for round_ in range(options.rounds):
            for name, data in asked.items():
                times[name].append(exchange(sock, data)[0])
        after = operation_us(daemon, plugin)
        operation = (after[0] - before[0]) / (after[1] - before[1])
        print("the operation, as the daemon waits for it: %.0f us on average" % operation)
        for name, data in asked.items():
            print("%-7s %6d bytes  median %5.0f us  least %5.0f us" % (
                name, len(data), statistics.median(times[name]), min(times[name])))
    with models.Service() as daemon:
        models.put_ok(daemon, "m", models.affine(1000))
        values = ["%.6f" % ((k * 7919 % 1000003) / 1000003) for k in range(1000000)]
        text = ('{"inputs":[{"name":"x","shape":[1000,1000],"datatype":"FP32","data":[%s]}],'
                '"outputs":[{"name":"sum"}]}' % ",".join(values)).encode()
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(daemon.socket_path)
        data = message("POST", "/v1/models/m/infer", text)
        print("a million numbers as JSON, %d bytes: least %.0f ms" % (
            len(text), min(exchange(sock, data)[0] for _ in range(10)) / 1000))
    del harness


if __name__ == "__main__":
    main()
