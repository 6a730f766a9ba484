#!/usr/bin/env python3
"""Pictures through the daemon: POST /v1/plugins/wasmedge_image/decode, good and damaged ones.

What pixels come out is tested beside the plug-in. IMAGE_MUTATIONS is how many damaged pictures are
sent (100000 in check-long).
"""
import http.client
import json
import os
import random
import struct
import zlib

import harness
from harness import BUILD, SOURCE, Daemon, Reply, Skip, check, equal, problem, wait_for

PLUGINS = os.path.join(BUILD, "plugins", ".libs")
SEEDS = os.path.join(SOURCE, "tests", "fuzz", "corpus", "image")
MUTATIONS = int(os.environ.get("IMAGE_MUTATIONS", "400"))
DECODE = "/v1/plugins/wasmedge_image/decode"
MEDIA = ["image/jpeg", "image/png"]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows):
    """An RGB picture of 8 bits; rows as bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) +
            chunk(b"IEND", b""))


RED = png(2, 2, [b"\xff\0\0" * 2] * 2)


def decode(d, picture, query="", accept="application/octet-stream", media="image/png"):
    return d.request("POST", DECODE + query, picture, {"Content-Type": media, "Accept": accept},
                     timeout=60)


def available(d):
    return d.request("GET", "/v1/plugins/wasmedge_image", timeout=60).status == 200


def test_pixels_come_back_raw_and_as_json(d):
    reply = decode(d, RED, "?layout=rgb8&width=4&height=1")
    equal((reply.status, reply.body), (200, b"\xff\0\0" * 4), reply)
    equal(reply.headers["Content-Type"], "application/octet-stream")
    equal(json.loads(reply.headers["Plugin-Result"])["width"], 4)
    reply = decode(d, RED, "?layout=bgr8", accept="application/json")
    equal(reply.status, 200, reply)
    equal(reply.json()["output"]["source"]["format"], "png")
    reply = decode(d, RED, "?layout=png&width=8&height=8", accept="image/png")
    equal((reply.status, reply.body[:8]), (200, b"\x89PNG\r\n\x1a\n"), reply)


def test_what_is_wrong_is_a_problem(d):
    problem(decode(d, RED[:-20], "?layout=rgb8"), 422, "data-invalid")
    problem(decode(d, b"", "?layout=rgb8"), 422, "data-invalid")
    problem(decode(d, RED, "?layout=cmyk"), 400, "bad-request")
    problem(decode(d, RED, "?colour=red"), 400, "bad-query")
    problem(decode(d, RED, media="image/gif"), 415, "unsupported-media-type")


def test_a_bomb_is_refused_before_it_is_decoded(d):
    head = struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)
    bomb = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
            chunk(b"IDAT", zlib.compress(b"\0" * 10000000)) + chunk(b"IEND", b""))
    reply = decode(d, bomb, "?layout=rgb8&width=1&height=1")
    check(reply.status in (413, 422), reply)


def damaged(rng, picture):
    data = bytearray(picture)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(data))
        way = rng.randrange(4)
        if way == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            data[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        elif way == 2:
            del data[at:at + rng.randrange(1, 16)]
        else:
            data[at:at] = data[rng.randrange(len(data)):][:rng.randrange(1, 16)]
        if not data:
            return b"\0"
    return bytes(data)


def repaired(data):
    """Of a PNG: the checksums of its chunks made right, so that the damage gets further in."""
    out, at = data[:8], 8
    while at + 12 <= len(data):
        size = struct.unpack(">I", data[at:at + 4])[0]
        if size > len(data) - at - 12:
            break
        out += chunk(data[at + 4:at + 8], data[at + 8:at + 8 + size])
        at += 12 + size
    return out + data[at:]


def seed(name):
    """A seed of the fuzz target, whose first byte is not the picture's."""
    with open(os.path.join(SEEDS, name), "rb") as file:
        return file.read()[1:]


def test_damaged_pictures_are_decoded_or_refused(d):
    rng = random.Random(20)
    seeds = [seed(name) for name in sorted(os.listdir(SEEDS))]
    connection = d.connection(timeout=60)
    seen = {}
    level = descriptors = None
    for number in range(MUTATIONS):
        if number == MUTATIONS // 4:
            level, descriptors = d.memory_kib(), d.descriptors()
        picture = damaged(rng, rng.choice(seeds))
        if picture.startswith(b"\x89PNG") and rng.randrange(2):
            picture = repaired(picture)
        connection.request("POST", DECODE + "?layout=rgb8&width=16&height=16", picture,
                           {"Content-Type": rng.choice(MEDIA),
                            "Accept": "application/octet-stream"})
        response = connection.getresponse()
        reply = Reply(response.status, response.headers, response.read())
        seen[reply.status] = seen.get(reply.status, 0) + 1
        if reply.status == 200:
            equal(len(reply.body), 16 * 16 * 3)
        else:
            check(reply.status in (413, 422), number, reply)
            equal(reply.headers["Content-Type"], "application/problem+json")
            check(json.loads(reply.body)["detail"], reply)
    connection.close()
    check(seen.get(422, 0) > 0 and seen.get(200, 0) > 0, seen)
    print("of %d damaged pictures: %s" % (MUTATIONS, seen))
    # a sanitizer keeps freed memory for a while
    growth = 262144 if os.environ.get("SANITIZED") == "yes" else 16384
    check(d.memory_kib() < level + growth, "memory", level, d.memory_kib())
    wait_for(lambda: d.descriptors() <= descriptors + 2, 10, "descriptors to be closed")


def main():
    if not os.path.exists(os.path.join(PLUGINS, "wasmedge_image.so")):
        print("0 passed, 0 failed, 1 skipped: wasmedge_image is not built")
        return
    harness.main(globals(), ["plugins.path=" + PLUGINS, "plugins.forbidden=" + " ".join(
        ("wasmedge_tensorflow", "wasmedge_tensorflowlite", "wasi_nn"))])


if __name__ == "__main__":
    main()
