"""Messages that two parties could read in two ways, slow senders, oversized ones: exact bytes in,
exact answers out."""
import re
import time

from harness import CALC, check, equal, main, slack_kib, wait_for

HOST = b"Host: localhost\r\n"
SLOW = ["limits.header_timeout=600ms", "limits.body_timeout=600ms", "limits.idle_timeout=1s",
        "limits.body_bytes=64KiB"]


def first_line(d, data):
    return d.raw(data).split(b"\r\n")[0]


def statuses(received):
    return re.findall(rb"HTTP/1\.1 (\d\d\d) ", received)


def refused(d, data, status=b"400", by_library=False):
    """Refused with that status, and the connection ends: nothing behind it is answered. What the
    HTTP library refuses itself it may answer with its header written twice."""
    follow = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    received = d.raw(data + follow)
    equal(set(statuses(received)), {status}, data, received)
    if not by_library:
        equal(len(statuses(received)), 1, data, received)
    head = received.split(b"\r\n\r\n")[0].lower()
    check(b"connection: close" in head, data, received)


def test_framing_conflicts(d):
    for headers in [
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Content-Length: 5\r\nContent-Length: 5\r\n",
            b"Transfer-Encoding: xchunked\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: identity\r\n"]:
        for connection in (b"", b"Connection: keep-alive\r\n"):
            refused(d, b"POST /v1/validate HTTP/1.1\r\n" + HOST + connection +
                    b"Content-Type: application/wasm\r\n" + headers + b"\r\n")
    refused(d, b"POST /v1/validate HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")
    for length, status in [(b"5, 5", b"400"), (b"+5", b"400"), (b"0x5", b"400"), (b"-1", b"400"),
                           (b"99999999999999999999999", b"413")]:
        refused(d, b"POST /v1/validate HTTP/1.1\r\n" + HOST + b"Content-Length: " + length +
                b"\r\n\r\n", status, by_library=True)


def test_hosts(d):
    refused(d, b"GET /livez HTTP/1.1\r\n\r\n")
    refused(d, b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n")
    for host in (b"evil.example", b"localhost.evil.example", b"a@localhost", b"localhost:port",
                 b"local host", b"localhost/x", b"", b"[::1", b"localhost:123456"):
        refused(d, b"GET /livez HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    for host in (b"localhost", b"LOCALHOST:1", b"127.0.0.1:80", b"[::1]:80", b"192.0.2.1"):
        equal(first_line(d, b"GET /livez HTTP/1.1\r\nHost: " + host +
                         b"\r\nConnection: close\r\n\r\n"), b"HTTP/1.1 200 OK", host)
    equal(first_line(d, b"GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\n"
                     b"Connection: close\r\n\r\n"), b"HTTP/1.1 200 OK")
    refused(d, b"GET http://127.0.0.1/livez HTTP/1.1\r\n" + HOST + b"\r\n")


def test_targets(d):
    for target in (b"/livez%00", b"/%00", b"/livez%", b"/livez%2", b"/livez%zz", b"/v1/../livez",
                   b"/%2e%2e/livez", b"/.%2E/livez", b"/./livez", b"/a/..", b"/livez%0a",
                   b"/livez%0d%0aX:y", b"/liv\x01ez", b"/liv\xe9z", b"livez", b"*",
                   b"ftp://localhost/livez", b"/livez#x", b"/livez?a=%00", b"/livez?a=%"):
        refused(d, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    equal(first_line(d, b"GET /v1%2fversion HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"),
          b"HTTP/1.1 404 Not Found")
    equal(first_line(d, b"GET //livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"),
          b"HTTP/1.1 404 Not Found")


def test_header_fields(d):
    for field in (b"A b: c\r\n", b"A(b): c\r\n", b"X: a\x01b\r\n", b"X: a\x7fb\r\n"):
        refused(d, b"GET /livez HTTP/1.1\r\n" + HOST + field + b"\r\n")
    refused(d, b"GET /livez HTTP/1.1\r\n" + HOST + b"".join(
        b"X-%d: y\r\n" % k for k in range(100)) + b"\r\n", b"431")
    refused(d, b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 70000 + b"\r\n\r\n", b"431")
    refused(d, b"GET /" + b"y" * 70000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", b"414")
    refused(d, b"GET /livez HTTP/1.1\r\n" + HOST + b"Expect: something\r\n\r\n", b"417")


def test_what_the_library_cannot_see_is_never_a_second_message(d):
    for data in (b"GET /livez HTTP/1.1\nHost: localhost\n\n",
                 b"GET /livez HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
                 b"GET /livez HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
                 b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        received = d.raw(data, timeout=2)
        check(len(statuses(received)) <= 1, data, received)


def test_pipelined_requests_are_answered_in_order(d):
    one = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /v1/version HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    received = d.raw(one * 3 + last)
    equal(statuses(received), [b"200"] * 4, received)
    check(b'"wasmedged"' in received.split(b"\r\n\r\n")[-1], received)


def test_bodies_that_nobody_asked_for(d):
    refused(d, b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc", b"413")
    refused(d, b"DELETE /v1/tags/a/b/c HTTP/1.1\r\n" + HOST +
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"413")


def post(length, extra=b""):
    return (b"POST /v1/modules/a/b/invoke HTTP/1.1\r\n" + HOST +
            b"Content-Type: application/json\r\n" + length + extra + b"\r\n")


def test_oversized_bodies(d):
    refused(d, post(b"Content-Length: 65537\r\n"), b"413")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    received = d.raw(post(b"Transfer-Encoding: chunked\r\n") + chunk * 17 + b"0\r\n\r\n")
    check(received.startswith(b"HTTP/1.1 413"), received)
    before = d.memory_kib()
    for _ in range(20):
        d.raw(post(b"Transfer-Encoding: chunked\r\n") + chunk * 200 + b"0\r\n\r\n")
    check(d.memory_kib() < before + slack_kib(4096), "memory stays level", before, d.memory_kib())


def test_bad_chunks(d):
    for body in (b"zz\r\nabc\r\n", b"fffffffffffffffff\r\n", b"-1\r\n", b"3\r\nabcX\r\n",
                 b"3;x=" + b"y" * 20000 + b"\r\nabc\r\n0\r\n\r\n"):
        received = d.raw(post(b"Transfer-Encoding: chunked\r\n") + body, timeout=3)
        check(len(statuses(received)) <= 1 and b"HTTP/1.1 200" not in received, body,
              received)


def drip(d, start, piece, seconds=4):
    """Send a start and then a byte every 50 ms; returns seconds until cut, and what came back."""
    sock = d.open()
    began = time.monotonic()
    sock.sendall(start)
    sock.settimeout(0.05)
    received = b""
    with sock:
        while time.monotonic() < began + seconds:
            try:
                data = sock.recv(4096)
                if not data:
                    return time.monotonic() - began, received
                received += data
            except TimeoutError:
                pass
            except ConnectionError:
                return time.monotonic() - began, received
            try:
                sock.sendall(piece)
            except OSError:
                pass
    return None, received


def test_slow_senders_are_cut(d):
    for start, piece in [
            (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: ", b"y"),
            (b"G", b"E"),
            (post(b"Content-Length: 1000\r\n"), b" "),
            (post(b"Transfer-Encoding: chunked\r\n"), b"1\r\n \r\n")]:
        seconds, received = drip(d, start, piece)
        check(seconds is not None and 0.5 < seconds < 2, start, seconds)
        check(received.startswith(b"HTTP/1.1 408 "), start, received)


def test_idle_connections_are_closed(d):
    sock = d.open()
    with sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
        check(b"200 OK" in sock.recv(4096), "answer")
        began = time.monotonic()
        equal(sock.recv(4096), b"")
        check(time.monotonic() - began < 4, "closed in time")


def test_others_are_served_while_many_are_slow(d):
    sockets = [d.open() for _ in range(200)]
    for sock in sockets:
        sock.sendall(b"GET /livez HTTP/1.1\r\nX: ")
    worst = 0
    for _ in range(50):
        began = time.monotonic()
        equal(d.request("GET", "/livez").status, 200)
        worst = max(worst, time.monotonic() - began)
    check(worst < 0.5, "slowest answer", worst)
    for sock in sockets:
        sock.close()
    wait_for(lambda: d.descriptors() < 60, what="closed connections")


def test_a_body_that_ends_early(d):
    digest = d.upload(CALC)
    data = (b"POST /v1/modules/%s/invoke HTTP/1.1\r\n" % digest.encode() + HOST +
            b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
    received = d.raw(data, half_close=True)
    check(b"HTTP/1.1 200" not in received, received)


if __name__ == "__main__":
    main(globals(), SLOW)
