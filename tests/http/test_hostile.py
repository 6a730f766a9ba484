"""Bad input of all kinds: the daemon answers, stays up, and its memory returns to its level."""
import json
import os
import random
import resource
import socket
import threading

from harness import (CALC, CAT, FLOOD, JSON, Skip, WASM, check, equal, main, module, problem,
                     slack_kib, wait_for, I32, const)

SEED = 20261122


def settle(d):
    """Resident memory when nothing is going on."""
    d.request("GET", "/livez")
    return d.memory_kib()


def test_random_and_damaged_modules(d):
    random.seed(SEED)
    for data in (CALC, CAT, FLOOD):
        for _ in range(60):
            damaged = bytearray(data)
            for _ in range(random.randint(1, 4)):
                damaged[random.randrange(8, len(damaged))] = random.randrange(256)
            verdict = d.request("POST", "/v1/validate", bytes(damaged), WASM)
            equal(verdict.status, 200, verdict)
            check(verdict.json()["valid"] in (True, False), verdict)
        for length in range(0, len(data), 7):
            verdict = d.request("POST", "/v1/validate", data[:length], WASM)
            equal((verdict.status, verdict.json()["valid"]), (200, length == 8), length)
    for _ in range(60):
        data = b"\0asm\1\0\0\0" + random.randbytes(random.randint(1, 2000))
        reply = d.request("POST", "/v1/modules", data, WASM)
        check(reply.status in (200, 201, 422), reply)


def test_damaged_guests_run_or_trap(d):
    """What still validates after damage may do anything but harm."""
    random.seed(SEED + 1)
    for data in (CALC, CAT):
        for _ in range(60):
            damaged = bytearray(data)
            damaged[random.randrange(60, len(damaged))] = random.randrange(256)
            reply = d.request("POST", "/v1/modules", bytes(damaged), WASM)
            if reply.status not in (200, 201):
                continue
            digest = reply.json()["digest"]
            limits = {"time_ms": 50, "memory_pages": 20}
            for export in reply.json()["exports"][:4]:
                if export["kind"] == "func" and not export["params"]:
                    reply = d.invoke(digest, export["name"], limits=limits)
                    check(reply.status in (200, 422), reply)
            reply = d.request("POST", "/v1/modules/%s/run" % digest,
                              json.dumps({"limits": limits}), JSON)
            check(reply.status in (200, 422), reply)


def test_random_json(d):
    random.seed(SEED + 2)
    d.upload(CALC, "demo/calc:1")
    good = json.dumps({"function": "add", "args": [1, {"type": "i32", "value": "2"}],
                       "limits": {"time_ms": 10}, "exact": True, "lanes": "i8x16"}).encode()
    for _ in range(400):
        damaged = bytearray(good)
        for _ in range(random.randint(1, 3)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        reply = d.request("POST", "/v1/modules/demo/calc:1/invoke", bytes(damaged), JSON)
        check(reply.status in (200, 400, 422), damaged, reply)


def test_many_names(d):
    d.upload(CALC, "demo/calc:1")
    body = json.dumps({"function": "add", "args": [1, 2],
                       **{"m%d" % k: k for k in range(100000)}})
    problem(d.request("POST", "/v1/modules/demo/calc:1/invoke", body, JSON), 400, "bad-request")


def test_random_requests(d):
    random.seed(SEED + 3)
    good = (b"POST /v1/modules/demo/calc:1/invoke?pretty=true HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: 32\r\n\r\n"
            b'{"function":"add","args":[1,22]}')
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(random.randint(1, 5)):
            damaged[random.randrange(len(damaged))] = random.choice(b"\r\n\0 :%/\xff09aZ")
        d.raw(bytes(damaged), timeout=2, half_close=True)
    equal(d.request("GET", "/livez").status, 200)


def test_memory_returns_to_its_level(d):
    big = module([("f", [], [I32], [], const(1))], memory=1,
                 data=[(0, bytes(1000)) for _ in range(2000)])

    def burst():
        def one(number):
            d.request("POST", "/v1/validate", big, WASM)
            d.request("POST", "/v1/modules", b"\0asm" + bytes([number]) * 1000000, WASM)
            d.request("POST", "/v1/modules/demo/calc:1/invoke", b"[" * 1000000, JSON)
            d.invoke("demo/calc:1", "grow", [1000])
            d.invoke("demo/calc:1", "recurse")
        threads = [threading.Thread(target=one, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    d.upload(CALC, "demo/calc:1")
    for _ in range(3):
        burst()
    before = settle(d)
    for _ in range(8):
        burst()
    after = settle(d)
    check(after < before + slack_kib(16384), "KiB before and after:", before, after)


def test_idle_connections_are_small(d):
    """10,000 of them fit into 150 MB together with the daemon itself."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(os.environ.get("IDLE_CONNECTIONS", "1000"))
    if limit[1] < wanted + 100:
        raise Skip("%d connections need more descriptors than %d" % (wanted, limit[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    connections = []
    before = d.memory_kib()
    try:
        for _ in range(wanted):
            connections.append(d.open())
            connections[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            check(b" 200 " in connections[-1].recv(4096))
        after = d.memory_kib()
        each = (after - before) * 1024 / wanted
        print("%d idle connections: %.1f MB, %d bytes each" % (wanted, after * 1.024e-3, each))
        check((after - before) * 1024 < wanted * 14000 + slack_kib(1024) * 1024, each)
    finally:
        for sock in connections:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_clients_that_vanish(d):
    d.upload(CALC, "demo/calc:1")
    before = d.descriptors()
    body = b'{"function":"spin","limits":{"time_ms":3000}}'
    head = (b"POST /v1/modules/demo/calc:1/invoke HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
    for _ in range(5):
        sockets = []
        for k in range(20):
            sock = d.open()
            sock.sendall((head + body)[:len(head) + (k * 7) % len(body) + 1] if k % 2
                         else head + body)
            sockets.append(sock)
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
    wait_for(lambda: d.descriptors() <= before + 2, 5, "closed connections")
    wait_for(lambda: not d.request("GET", "/v1/activity").json()["items"], 5, "no guests left")


if __name__ == "__main__":
    main(globals())
