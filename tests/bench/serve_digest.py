#!/usr/bin/env python3
"""Requests a second of the SHA-256 of a body: a guest under wasmedged, a plain C server, in turns.

    serve_digest.py --build DIR [--kib 64] [--seconds 5] [--rounds 3] [--connections 16]

The guest (tests/guests/digest.c) is run anew for each request, by the raw form of "run", as native
code; digestd computes the same in the same C. Prints medians of the rounds, and the ratio.
"""
import argparse
import contextlib
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request

sys.dont_write_bytecode = True
import serve  # of this folder

COMPILED_S = 60
TYPE = "application/octet-stream"
SCRIPT = """local file = io.open("%s", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.headers["Accept"] = "application/octet-stream"
"""


def digest_of(url, body):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": TYPE, "Accept": TYPE})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode()


def wait_until_native(base):
    """The module's own page says how far its compilation is."""
    end = time.monotonic() + COMPILED_S
    while time.monotonic() < end:
        with urllib.request.urlopen(base, timeout=10) as response:
            if '"ready"' in json.dumps(json.load(response)):
                return True
        time.sleep(0.2)
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".", help="build folder")
    parser.add_argument("--kib", type=int, default=64, help="of the body")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    args = parser.parse_args()
    guest = os.path.join(args.build, "tests", "guests", "digest.wasm")
    body = bytes(i * 7 & 0xff for i in range(args.kib * 1024))

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        invoke = serve.start_wasmedged(stack, folder, args.build, guest, serve.free_port())
        base = invoke.rsplit("/", 1)[0]
        port = serve.free_port()
        plain = os.path.abspath(os.path.join(args.build, "tests", "bench", "digestd"))
        stack.enter_context(serve.running([plain, str(port)], port))
        urls = {"wasmedged": base + "/run", "digestd": "http://127.0.0.1:%d/" % port}
        script, data = os.path.join(folder, "post.lua"), os.path.join(folder, "body")
        with open(data, "wb") as file:
            file.write(body)
        with open(script, "w") as file:
            file.write(SCRIPT % data)
        for url in urls.values():
            got = digest_of(url, body)
            if got != hashlib.sha256(body).hexdigest():
                sys.exit("%s: %r is not the digest" % (url, got))
        if not wait_until_native(base):
            print("no native code after %d s: wasmedged interprets" % COMPILED_S)
        samples = {name: [] for name in urls}
        for _ in range(args.rounds):
            for name, url in urls.items():
                samples[name].append(serve.load(url, script, args))
    rates = {name: statistics.median(r[0] for r in rounds) for name, rounds in samples.items()}
    for name, rounds in samples.items():
        print("%-10s %8.0f requests/s, p50 %6.2f ms, p99 %6.2f ms %s" % (
            name, rates[name], statistics.median(r[1] for r in rounds),
            statistics.median(r[2] for r in rounds), " ".join(r[3] for r in rounds).strip()))
    print("ratio      %8.2f" % (rates["wasmedged"] / rates["digestd"]))


if __name__ == "__main__":
    main()
