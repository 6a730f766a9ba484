#!/usr/bin/env python3
"""Requests a second of add with a fresh instance each, wasmedged against node, in turns.

    serve.py --build DIR [--seconds 5] [--rounds 3] [--connections 64]

Both parse the same JSON; wrk (one thread) posts it over keep-alive connections of loopback TCP.
Prints the median of the rounds for requests a second, p50 and p99, and the ratio.
"""
import argparse
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
BODY = '{"function":"add","args":[2,40]}'
WRK_SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
""" % BODY
CONFIG = """[listen]
unix = {folder}/api.sock
tcp = 127.0.0.1:{port}
[auth]
tcp = none
[store]
directory = {folder}/store
"""
START_S = 15
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(port, process):
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    sys.exit("%s does not answer on port %d" % (process.args[0], port))


@contextlib.contextmanager
def running(command, port, **options):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    try:
        wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(20)


def post(url, body, content_type):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def load(url, script, args):
    """Requests a second, p50 and p99 in milliseconds, failures."""
    text = subprocess.run(["wrk", "-t1", "-c%d" % args.connections, "-d%ds" % args.seconds,
                           "--latency", "-s", script, url], stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", text).group(1))
    tail = {q: float(n) * MILLISECONDS[unit] for q, n, unit in
            re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", text)}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    lost = re.search(r"Socket errors: (.*)", text)
    return rate, tail["50"], tail["99"], (bad.group(0) if bad else "") + \
        (lost.group(0) if lost else "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".", help="build folder")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    for program in ("wrk", "node"):
        if shutil.which(program) is None:
            sys.exit("%s is needed for this" % program)
    module = os.path.join(args.build, "tests", "guests", "calc.wasm")
    daemon = os.path.abspath(os.path.join(args.build, "wasmedged"))
    samples = {"wasmedged": [], "node": []}

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ports = {"wasmedged": free_port(), "node": free_port()}
        config = os.path.join(folder, "wasmedged.conf")
        script = os.path.join(folder, "post.lua")
        with open(config, "w") as file:
            file.write(CONFIG.format(folder=folder, port=ports["wasmedged"]))
        with open(script, "w") as file:
            file.write(WRK_SCRIPT)
        stack.enter_context(running([daemon, "-c", config], ports["wasmedged"],
                                    stderr=subprocess.DEVNULL))
        stack.enter_context(running(["node", os.path.join(HERE, "serve.mjs"), module,
                                     str(ports["node"])], ports["node"]))
        base = "http://127.0.0.1:%d" % ports["wasmedged"]
        with open(module, "rb") as file:
            post(base + "/v1/modules?tag=bench/calc:1", file.read(), "application/wasm")
        urls = {"wasmedged": base + "/v1/modules/bench/calc:1/invoke",
                "node": "http://127.0.0.1:%d/" % ports["node"]}
        for url in urls.values():
            if b"42" not in post(url, BODY.encode(), "application/json"):
                sys.exit("%s: no 42 in the answer" % url)
        for _ in range(args.rounds):
            for name, url in urls.items():
                samples[name].append(load(url, script, args))

    rates = {}
    for name, rounds in samples.items():
        rates[name] = statistics.median(r[0] for r in rounds)
        print("%-10s %8.0f requests/s, p50 %6.2f ms, p99 %6.2f ms %s" % (
            name, rates[name], statistics.median(r[1] for r in rounds),
            statistics.median(r[2] for r in rounds), " ".join(r[3] for r in rounds).strip()))
    print("ratio      %8.2f" % (rates["wasmedged"] / rates["node"]))


if __name__ == "__main__":
    main()
