"""kill -9 while clients upload and tag: what was acknowledged is there afterwards, whole.

Rounds: 5, or as many as CRASH_ROUNDS says.
"""
import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import threading
import time

from harness import JSON, WASM, check, const, equal, main, module, I32

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
CLIENTS = 8


class Client(threading.Thread):
    """Uploads modules of its own and moves one tag, until its daemon dies."""

    def __init__(self, d, number, start):
        super().__init__()
        self.d, self.number, self.next = d, number, start
        self.acknowledged = {}  # digest -> bytes
        self.tags = []          # digests that the tag was acknowledged to point at, in order
        self.attempted = None   # what it may point at without our knowing

    def run(self):
        connection = self.d.connection(unix=self.number % 2 == 0)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                self.step(connection)

    def step(self, connection):
        self.next += 1
        padding = random.randbytes(random.choice((10, 1000, 300000)))
        data = module([("f%d" % self.next, [], [I32], [], const(self.next))],
                      custom=[("client%d" % self.number, padding)])
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        connection.request("POST", "/v1/modules", data, WASM)
        reply = connection.getresponse()
        reply.read()
        if reply.status not in (200, 201):
            return
        self.acknowledged[digest] = data
        self.attempted = digest
        connection.request("PUT", "/v1/tags/crash/c%d/t" % self.number,
                           json.dumps({"digest": digest}), JSON)
        reply = connection.getresponse()
        reply.read()
        if reply.status in (200, 201):
            self.tags.append(digest)


def verify(d, client):
    for digest, data in client.acknowledged.items():
        reply = d.request("GET", "/v1/modules/" + digest, headers={"Accept": "application/wasm"})
        equal(reply.status, 200, "acknowledged module", digest, reply)
        check(reply.body == data, "bytes of", digest)
    if client.attempted is None:
        return
    reply = d.request("GET", "/v1/tags/crash/c%d/t" % client.number)
    if not client.tags:
        check(reply.status in (200, 404), reply)
        return
    equal(reply.status, 200, reply)
    check(reply.json()["digest"] in (client.tags[-1], client.attempted), "tag of", client.number)


def test_kill_9(d):
    random.seed(9)
    total = 0
    starts = [k * 1000000 for k in range(CLIENTS)]
    for _ in range(ROUNDS):
        clients = [Client(d, k, starts[k]) for k in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(random.uniform(0.005, 0.5))
        d.stop(signal.SIGKILL)
        for client in clients:
            client.join()
        began = time.monotonic()
        d.start()
        check(time.monotonic() - began < 5, "start took", time.monotonic() - began)
        for client in clients:
            verify(d, client)
            starts[client.number] = client.next
            total += len(client.acknowledged)
    check(total > 0, "nothing was acknowledged in any round")
    print("%d rounds, %d modules acknowledged, none lost" % (ROUNDS, total))


if __name__ == "__main__":
    main(globals())
