"""Modules and tags: upload, put, validate, list, inspect, fetch, delete."""
import hashlib
import json

from harness import (CALC, CAT, JSON, STREAMS, WASM, b64, check, equal, main, module, multipart,
                     problem, const, I32)


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def small(number):
    """A module that no other test uploads."""
    return module([("f%d" % number, [], [I32], [], const(number))])


def test_upload_tells_what_the_module_is(d):
    reply = d.request("POST", "/v1/modules?tag=demo/calc:1", CALC, WASM)
    equal(reply.status, 201, reply)
    info = reply.json()
    equal(info["digest"], digest_of(CALC))
    equal(info["size"], len(CALC))
    equal(info["created"], True)
    equal(info["tag"], "demo/calc:1")
    check("simd" in info["features"], info)
    exports = {e["name"]: e for e in info["exports"]}
    equal(exports["add"], {"name": "add", "kind": "func", "params": ["i32", "i32"],
                           "results": ["i32"]})
    equal(exports["memory"], {"name": "memory", "kind": "memory", "min": 1})
    equal(reply.headers["Location"], "/v1/modules/" + info["digest"])
    equal(reply.headers["ETag"], '"%s"' % info["digest"])


def test_upload_again_is_200(d):
    d.upload(CALC)
    reply = d.request("POST", "/v1/modules", CALC, WASM)
    equal(reply.status, 200, reply)
    equal(reply.json()["created"], False)
    check(any(e["name"] == "add" for e in reply.json()["exports"]), reply)


def test_upload_in_chunks(d):
    reply = d.request("POST", "/v1/modules", iter([STREAMS[:5], STREAMS[5:50], STREAMS[50:]]),
                      WASM)  # without a length the client sends chunks
    equal(reply.status, 201, reply)
    equal(reply.json()["digest"], digest_of(STREAMS))
    equal(reply.json()["imports"][0]["name"], "fd_write")


def test_upload_as_form(d):
    data = small(1)
    reply = d.request("POST", "/v1/modules", multipart([("module", "a.wasm", data)]),
                      {"Content-Type": 'multipart/form-data; boundary="----test-boundary"'})
    equal(reply.status, 201, reply)
    equal(reply.json()["digest"], digest_of(data))
    for parts in ([], [("other", None, data)], [("module", None, data)] * 2):
        reply = d.request("POST", "/v1/modules", multipart(parts),
                          {"Content-Type": "multipart/form-data; boundary=----test-boundary"})
        problem(reply, 400, "bad-multipart")


WAT = {"Content-Type": "text/wat"}
ADD = '''(module (func $add (export "add") (param i32 i32) (result i32)
  (i32.add (local.get 0) (local.get 1)))
  (func $"\u00e4" (export "trap") (unreachable)))'''


def test_upload_as_text(d):
    reply = d.request("POST", "/v1/modules?tag=demo/text:1", ADD.encode(), WAT)
    equal(reply.status, 201, reply)
    digest = reply.json()["digest"]
    binary = d.request("GET", "/v1/modules/" + digest, headers={"Accept": "application/wasm"}).body
    equal(binary[:8], b"\0asm\1\0\0\0")
    equal(digest, digest_of(binary))
    equal(reply.json()["size"], len(binary))
    equal(d.invoke("demo/text:1", "add", [2, 40]).json()["results"][0]["value"], 42)
    frames = d.invoke("demo/text:1", "trap").json()["trap"]["backtrace"]
    equal(frames[0]["name"], "\u00e4")
    # known as text and as the bytes that it stands for
    equal(d.request("POST", "/v1/modules", ADD.encode(), WAT).status, 200)
    equal(d.request("POST", "/v1/modules", binary, WASM).status, 200)
    # the digest of what is sent is that of the text
    promise = b64(hashlib.sha256(ADD.encode()).digest())
    headers = dict(WAT, **{"Content-Digest": "sha-256=:%s:" % promise})
    equal(d.request("POST", "/v1/modules", ADD.encode(), headers).status, 200)


def test_errors_in_text_have_line_and_column(d):
    text = b"(module\n  (func (i32.adx)))"
    document = problem(d.request("POST", "/v1/modules", text, WAT), 422, "module-malformed")
    place = document["errors"][0]
    equal((place["line"], place["column"], place["offset"]), (2, 10, 17))
    check("i32.adx" in document["detail"], document)
    verdict = d.request("POST", "/v1/validate", text, WAT).json()
    equal((verdict["valid"], verdict["line"], verdict["column"]), (False, 2, 10))
    # what is well-formed and not valid is told as of a binary
    problem(d.request("POST", "/v1/modules", b"(func (result i32))", WAT), 422, "module-invalid")
    problem(d.request("POST", "/v1/modules", b"\xff", WAT), 422, "module-malformed")
    problem(d.request("POST", "/v1/modules", b"", WAT), 422, "empty-module")
    problem(d.request("PUT", "/v1/modules/sha256:" + "0" * 64, b"(module)", WAT), 415,
            "unsupported-media-type")


def test_native_code_of_others_is_listed_and_ignored(d):
    data = module([("f", [], [I32], [], const(1))], custom=[("wasmedge", b"\x7fELF")])
    reply = d.request("POST", "/v1/modules", data, WASM)
    equal(reply.json()["ignored_sections"], ["wasmedge"])


def test_content_digest_is_verified(d):
    data = small(2)
    good = "sha-256=:%s:" % b64(hashlib.sha256(data).digest())
    bad = "sha-256=:%s:" % b64(hashlib.sha256(b"x").digest())
    problem(d.request("POST", "/v1/modules", data, dict(WASM, **{"Content-Digest": bad})), 400,
            "body-digest")
    problem(d.request("POST", "/v1/modules", data, dict(WASM, **{"Content-Digest": "sha-256=x"})),
            400, "bad-header")
    equal(d.request("POST", "/v1/modules", data, dict(WASM, **{"Content-Digest": good})).status,
          201)


def test_put_by_digest(d):
    data = small(3)
    target = "/v1/modules/" + digest_of(data)
    problem(d.request("PUT", target, small(4), WASM), 422, "digest-mismatch")
    equal(d.request("PUT", target, data, WASM).status, 201)
    reply = d.request("PUT", target, data, WASM)
    equal((reply.status, reply.body), (204, b""))
    problem(d.request("PUT", "/v1/modules/sha256:12", data, WASM), 400, "bad-ref")


def test_refused_modules(d):
    problem(d.request("POST", "/v1/modules", b"", WASM), 422, "empty-module")
    document = problem(d.request("POST", "/v1/modules", CALC[:-3], WASM), 422,
                       "module-malformed")
    check("offset" in document["errors"][0], document)
    problem(d.request("POST", "/v1/modules", b"hello, this is text", WASM), 422,
            "module-malformed")
    wrong = module([("f", [], [I32], [], b"\x42\x01")])
    document = problem(d.request("POST", "/v1/modules", wrong, WASM), 422, "module-invalid")
    equal(document["errors"][0]["function"], 0, document)
    problem(d.request("POST", "/v1/modules", CALC, JSON), 415, "unsupported-media-type")
    problem(d.request("POST", "/v1/modules", CALC), 415, "unsupported-media-type")
    problem(d.request("POST", "/v1/modules?tag=Not/Valid", CALC, WASM), 400, "bad-query")
    problem(d.request("POST", "/v1/modules?what=1", CALC, WASM), 400, "bad-query")
    reply = d.raw(b"POST /v1/modules HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/wasm\r\nConnection: close\r\n\r\n")
    check(reply.startswith(b"HTTP/1.1 411 "), reply)


def test_too_large_a_module_is_refused_before_its_body(d):
    reply = d.raw(b"POST /v1/modules HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/wasm\r\nContent-Length: 1073741824\r\n"
                  b"Expect: 100-continue\r\n\r\n")
    check(reply.startswith(b"HTTP/1.1 413 "), reply)
    check(b"100 Continue" not in reply, reply)


def test_validate_stores_nothing(d):
    data = small(5)
    reply = d.request("POST", "/v1/validate", data, WASM)
    equal((reply.status, reply.json()["valid"]), (200, True))
    problem(d.request("GET", "/v1/modules/" + digest_of(data)), 404, "module-not-found")
    verdict = d.request("POST", "/v1/validate", CALC[:40], WASM).json()
    equal((verdict["valid"], verdict["code"]), (False, "module-malformed"))
    verdict = d.request("POST", "/v1/validate", b"", WASM).json()
    equal(verdict["valid"], False)


def test_inspect_and_fetch(d):
    digest = d.upload(CALC, "demo/calc:1")
    info = d.request("GET", "/v1/modules/demo/calc:1").json()
    equal((info["digest"], info["size"]), (digest, len(CALC)))
    check("demo/calc:1" in info["tags"], info)
    for ref in ("demo/calc:1", digest, "demo%2Fcalc:1"):
        reply = d.request("GET", "/v1/modules/" + ref, headers={"Accept": "application/wasm"})
        equal((reply.status, reply.body == CALC), (200, True), ref)
        equal(reply.headers["Content-Type"], "application/wasm")
    part = {"Accept": "application/wasm", "Range": "bytes=4-7"}
    reply = d.request("GET", "/v1/modules/" + digest, headers=part)
    equal((reply.status, reply.body), (206, CALC[4:8]))
    equal(reply.headers["Content-Range"], "bytes 4-7/%d" % len(CALC))
    part["Range"] = "bytes=100000-"
    problem(d.request("GET", "/v1/modules/" + digest, headers=part), 416,
            "range-not-satisfiable")
    etag = {"If-None-Match": '"%s"' % digest}
    equal(d.request("GET", "/v1/modules/" + digest, headers=etag).status, 304)
    problem(d.request("GET", "/v1/modules/" + digest, headers={"Accept": "image/png"}), 406,
            "not-acceptable")
    head = d.request("HEAD", "/v1/modules/" + digest, headers={"Accept": "application/wasm"})
    equal((head.status, head.body, head.headers["Content-Length"]), (200, b"", str(len(CALC))))


def test_list_in_pages(d):
    digests = {d.upload(small(100 + k)) for k in range(7)}
    seen, target, pages = [], "/v1/modules?limit=3", 0
    while target:
        reply = d.request("GET", target)
        equal(reply.status, 200, reply)
        page = reply.json()
        check(len(page["items"]) <= 3, page)
        seen += [m["digest"] for m in page["items"]]
        cursor = page.get("next_cursor")
        if cursor:
            check('rel="next"' in reply.headers["Link"], reply.headers)
        target = cursor and "/v1/modules?limit=3&cursor=" + cursor
        pages += 1
    equal(len(seen), len(set(seen)), "no module twice")
    check(digests <= set(seen) and pages >= 3, "all modules once")
    problem(d.request("GET", "/v1/modules?cursor=AAAA"), 400, "bad-query")
    problem(d.request("GET", "/v1/modules?cursor=" + "A" * 500), 400, "bad-query")


def test_list_with_filters(d):
    d.upload(CALC, "demo/calc:1")
    d.upload(CAT, "filter/cat:1")

    def listed(query):
        return [m["digest"] for m in d.request("GET", "/v1/modules?" + query).json()["items"]]

    equal(listed("export=same_v128"), [digest_of(CALC)])
    equal(listed("tag=filter"), [digest_of(CAT)])
    check(digest_of(CAT) in listed("import=wasi_snapshot_preview1"), "imports")
    check(digest_of(CALC) in listed("feature=simd"), "features")
    check(digest_of(CAT) not in listed("feature=simd"), "features")
    problem(d.request("GET", "/v1/modules?feature=warp-drive"), 400, "bad-query")


def put_tag(d, tag, digest, **headers):
    return d.request("PUT", "/v1/tags/" + tag, json.dumps({"digest": digest}),
                     dict(JSON, **{k.replace("_", "-"): v for k, v in headers.items()}))


def test_tags(d):
    one, two = d.upload(small(6)), d.upload(small(7))
    equal(put_tag(d, "tags/a/x", one).status, 201)
    reply = put_tag(d, "tags/a/x", two)
    equal((reply.status, reply.json()["digest"]), (200, two))
    equal(reply.headers["ETag"], '"%s"' % two)
    equal(put_tag(d, "tags/a/x", one, If_Match='"%s"' % two).status, 200)
    problem(put_tag(d, "tags/a/x", one, If_Match='"%s"' % two), 412, "precondition-failed")
    problem(put_tag(d, "tags/a/x", one, If_None_Match="*"), 412, "precondition-failed")
    problem(put_tag(d, "tags/a/nothing", one, If_Match="*"), 412, "precondition-failed")
    equal(put_tag(d, "tags/a/y", one, If_None_Match="*").status, 201)
    problem(put_tag(d, "tags/a/x", "sha256:" + "0" * 64), 404, "module-not-found")
    problem(put_tag(d, "tags/a/x", "sha256:12"), 400, "bad-ref")
    reply = d.request("PUT", "/v1/tags/tags/a/x", "{}", JSON)
    problem(reply, 400, "bad-request")
    equal(d.request("GET", "/v1/tags/tags/a/x").json()["digest"], one)
    equal(d.request("GET", "/v1/tags/tags/a/x",
                    headers={"If-None-Match": '"%s"' % one}).status, 304)
    equal([t["tag"] for t in d.request("GET", "/v1/tags/tags/a").json()["tags"]], ["x", "y"])
    changes = d.request("GET", "/v1/tags/tags/a?history=true").json()["history"]
    equal([(c["tag"], c.get("old"), c.get("new")) for c in changes if c["tag"] == "x"],
          [("x", two, one), ("x", one, two), ("x", None, one)])
    equal([t["tag"] for t in d.request("GET", "/v1/tags?prefix=tags/a:y").json()["items"]], ["y"])
    equal(d.request("DELETE", "/v1/tags/tags/a/y").status, 204)
    problem(d.request("GET", "/v1/tags/tags/a/y"), 404, "tag-not-found")
    problem(d.request("DELETE", "/v1/tags/tags/a/y"), 404, "tag-not-found")
    problem(d.request("GET", "/v1/tags/tags/none"), 404, "tag-not-found")
    problem(d.request("GET", "/v1/tags/tags/BAD"), 400, "bad-ref")


def test_list_of_tags_in_pages(d):
    digest = d.upload(small(8))
    for k in range(5):
        put_tag(d, "paged/n%d/t" % k, digest)
    seen, cursor = [], ""
    while True:
        page = d.request("GET", "/v1/tags?limit=2&prefix=paged/n" + cursor).json()
        seen += [t["name"] for t in page["items"]]
        if "next_cursor" not in page:
            break
        cursor = "&cursor=" + page["next_cursor"]
    equal(seen, ["n0", "n1", "n2", "n3", "n4"])


def test_upload_with_tag_under_a_condition(d):
    first = dict(WASM, **{"If-None-Match": "*"})
    equal(d.request("POST", "/v1/modules?tag=cond/a:1", small(9), first).status, 201)
    problem(d.request("POST", "/v1/modules?tag=cond/a:1", small(10), first), 412,
            "precondition-failed")
    problem(d.request("GET", "/v1/modules/" + digest_of(small(10))), 404, "module-not-found")


def test_delete(d):
    digest = d.upload(small(11), "gone/a:1")
    problem(d.request("DELETE", "/v1/modules/" + digest), 409, "module-in-use")
    equal(d.invoke(digest, "f11").json()["results"][0]["value"], 11)
    equal(d.request("DELETE", "/v1/modules/%s?force=true" % digest).status, 204)
    problem(d.invoke(digest, "f11"), 404, "module-not-found")
    problem(d.request("GET", "/v1/tags/gone/a/1"), 404, "tag-not-found")
    problem(d.request("DELETE", "/v1/modules/" + digest), 404, "module-not-found")
    equal(d.request("POST", "/v1/modules", small(11), WASM).status, 201)


def test_unknown_paths_and_methods(d):
    problem(d.request("GET", "/v1/nothing"), 404, "not-found")
    problem(d.request("GET", "/v1/modules/"), 404, "not-found")
    reply = d.request("PATCH", "/v1/modules")
    problem(reply, 405, "method-not-allowed")
    check("POST" in reply.headers["Allow"], reply.headers)


if __name__ == "__main__":
    main(globals())
