#!/usr/bin/env python3
"""The first call after a restart, with native code in the cache: first_call.py [MODULE FUNCTION]

Uploads the module, waits for its native code, and then restarts the daemon again and again. The
clock runs from sending the first call, on a connection that is there, to the end of its answer;
the second call says what of that is not loading. Without a module: calc.wasm and its add.
"""
import argparse
import http.client
import json
import os
import statistics
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))

COMPILED_S = 60


def call(connection, digest, function, args):
    """Milliseconds; everything but the exchange is done beforehand."""
    body = json.dumps({"function": function, "args": args})
    start = time.perf_counter()
    connection.request("POST", "/v1/modules/%s/invoke" % digest, body,
                       {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    elapsed = time.perf_counter() - start
    if reply.status != 200:
        sys.exit("%d: %s" % (reply.status, text))
    return 1000 * elapsed


def get(connection, target):
    connection.request("GET", target)
    return connection.getresponse().read().decode()


def wait_for_code(daemon, digest):
    end = time.monotonic() + COMPILED_S
    while time.monotonic() < end:
        if daemon.request("GET", "/v1/modules/" + digest).json()["compile"]["state"] == "ready":
            return
        time.sleep(0.2)
    sys.exit("no native code after %d s" % COMPILED_S)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".", help="build folder")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("module", nargs="?")
    parser.add_argument("function", nargs="?", default="add")
    parser.add_argument("args", nargs="*", type=int)
    options = parser.parse_args()
    os.environ["top_builddir"] = options.build
    library = os.path.join(options.build, "vm", "llvm", ".libs", "libwasmedge-llvm.so")
    os.environ.setdefault("WASMEDGE_LLVM_LIBRARY", os.path.abspath(library))
    import harness  # looks at top_builddir

    path = options.module or os.path.join(options.build, "tests", "guests", "calc.wasm")
    args = options.args if options.module else [2, 40]
    with open(path, "rb") as file:
        module = file.read()
    daemon = harness.Daemon()
    try:
        digest = daemon.start().upload(module)
        daemon.invoke(digest, options.function, args)
        wait_for_code(daemon, digest)
        samples = []
        for _ in range(options.rounds):
            daemon.stop()
            daemon.start()
            connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
            get(connection, "/livez")
            samples.append((call(connection, digest, options.function, args),
                            call(connection, digest, options.function, args)))
            metrics = dict(line.rsplit(" ", 1) for line in get(connection, "/metrics").splitlines()
                           if line.startswith("wasmedged_"))
            if float(metrics["wasmedged_cache_hits_total"]) == 0:
                sys.exit("the call was interpreted")
            code = float(metrics["wasmedged_artifact_bytes"])
            connection.close()
    finally:
        daemon.clean()
    first, second = zip(*samples)
    print("%s: %d bytes, native code %d bytes" % (os.path.basename(path), len(module), code))
    print("first call: least %.2f ms, median %.2f ms; second: least %.2f ms, median %.2f ms" % (
        min(first), statistics.median(first), min(second), statistics.median(second)))


if __name__ == "__main__":
    main()
