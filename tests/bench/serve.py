#!/usr/bin/env python3
"""Requests a second of add with a fresh instance each: wasmedged, node, and workerd, in turns.

    serve.py --build DIR [--workerd PROGRAM] [--seconds 5] [--rounds 3] [--connections 64]

All parse the same JSON; wrk (one thread) posts it over keep-alive connections of loopback TCP.
Prints the median of the rounds for requests a second, p50 and p99, and the ratios. workerd (the
npm package of that name) takes part when it is on the path or named.
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
WORKERD_CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")]
);
const worker :Workerd.Worker = (
  modules = [(name = "serve.mjs", esModule = embed "serve.mjs"),
             (name = "calc.wasm", wasm = embed "calc.wasm")],
  compatibilityDate = "2026-01-01"
);
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


def start_wasmedged(stack, folder, build, module, port):
    """Start it with the module stored, and return the URL to post to."""
    config = os.path.join(folder, "wasmedged.conf")
    with open(config, "w") as file:
        file.write(CONFIG.format(folder=folder, port=port))
    daemon = os.path.abspath(os.path.join(build, "wasmedged"))
    stack.enter_context(running([daemon, "-c", config], port, stderr=subprocess.DEVNULL))
    base = "http://127.0.0.1:%d" % port
    with open(module, "rb") as file:
        post(base + "/v1/modules?tag=bench/calc:1", file.read(), "application/wasm")
    return base + "/v1/modules/bench/calc:1/invoke"


def start_node(stack, module, port):
    stack.enter_context(running(["node", os.path.join(HERE, "serve.mjs"), module, str(port)],
                                port))
    return "http://127.0.0.1:%d/" % port


def start_workerd(stack, folder, program, module, port):
    config = os.path.join(folder, "workerd.capnp")
    with open(config, "w") as file:
        file.write(WORKERD_CONFIG.format(port=port))
    shutil.copy(os.path.join(HERE, "serve.workerd.mjs"), os.path.join(folder, "serve.mjs"))
    shutil.copy(module, os.path.join(folder, "calc.wasm"))
    stack.enter_context(running([program, "serve", config], port))
    return "http://127.0.0.1:%d/" % port


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".", help="build folder")
    parser.add_argument("--workerd", default=shutil.which("workerd"), help="its program")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    for program in ("wrk", "node"):
        if shutil.which(program) is None:
            sys.exit("%s is needed for this" % program)
    module = os.path.join(args.build, "tests", "guests", "calc.wasm")

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        urls = {"wasmedged": start_wasmedged(stack, folder, args.build, module, free_port()),
                "node": start_node(stack, module, free_port())}
        if args.workerd:
            urls["workerd"] = start_workerd(stack, folder, args.workerd, module, free_port())
        script = os.path.join(folder, "post.lua")
        with open(script, "w") as file:
            file.write(WRK_SCRIPT)
        samples = {name: [] for name in urls}
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
    for name in list(rates)[1:]:
        print("ratio to %-8s %6.2f" % (name, rates["wasmedged"] / rates[name]))


if __name__ == "__main__":
    main()
