#!/usr/bin/env python3
"""Sends the examples of the OpenAPI document to a daemon, in their order; see rpc/openapi.h.

Where Python has jsonschema, each JSON reply is also held against the schema that the document
gives for it. Every operation has to have an example that succeeds.
"""

import base64
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests", "http"))
try:
    import harness
except ImportError as error:
    print(f"skipped: {error}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
try:
    import jsonschema
except ImportError:
    jsonschema = None
    print("replies are not checked against schemas: Python has no jsonschema package")

passed = failed = 0


def contains(found, expected):
    """Objects may have more members; everything else is equal."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and contains(found[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(
            contains(*pair) for pair in zip(found, expected))
    return type(found) is type(expected) and found == expected


def remember(variables, reply):
    files = reply.get("files")
    nested = files[0] if isinstance(files, list) and len(files) == 1 else {}
    for name in ("id", "digest", "href"):
        value = reply.get(name, nested.get(name))
        if isinstance(value, str):
            variables[name] = value


def complaints(document, operation, example, reply, variables):
    """What is wrong with a reply, in words."""
    if reply.status != example["status"]:
        yield f"status {reply.status}, not {example['status']}: {reply.body[:300]}"
        return
    media = reply.headers.get("Content-Type", "").split(";")[0]
    content = operation["responses"][str(reply.status)].get("content", {})
    if media not in content and (media or content) and reply.body:
        yield f"{media or 'no media type'} is not announced: {sorted(content)}"
    if "expect_text" in example and reply.body != example["expect_text"].encode():
        yield f"body {reply.body[:300]}"
    if not media.endswith("json"):
        return
    value = json.loads(reply.body)
    if isinstance(value, dict):
        remember(variables, value)
    if "expect" in example and not contains(value, example["expect"]):
        yield f"expected {json.dumps(example['expect'])}, found {reply.body[:600]}"
    schema = content.get(media, {}).get("schema")
    if jsonschema and schema:
        root = dict(schema, components=document["components"])
        for error in jsonschema.Draft202012Validator(root).iter_errors(value):
            yield f"not a {schema['$ref']}: {error.message} at {list(error.absolute_path)}"


def send(daemon, example, variables):
    target = re.sub(r"\{(\w+)\}", lambda m: variables.get(m[1], m[0]), example["target"])
    body = None
    if "body" in example:
        body = json.dumps(example["body"]).encode()
    if "body_base64" in example:
        body = base64.b64decode(example["body_base64"])
    return daemon.request(example["method"], target, body, example.get("headers"))


def main():
    global passed, failed
    daemon = harness.Daemon()
    try:
        daemon.start()
        document = daemon.request("GET", "/v1/openapi.json").json()
        operations = [o for item in document["paths"].values() for o in item.values()]
        examples = sorted(((e, o) for o in operations for e in o["x-examples"]),
                          key=lambda pair: pair[0]["x-order"])
        succeeded = set()
        variables = {}
        for example, operation in examples:
            reply = send(daemon, example, variables)
            wrong = list(complaints(document, operation, example, reply, variables))
            for text in wrong:
                print(f"FAILED {example['x-order']} {operation['operationId']}"
                      f" {example['target']}: {text}")
            if wrong:
                failed += 1
            else:
                passed += 1
                if example["status"] < 300:
                    succeeded.add(operation["operationId"])
        for operation in operations:
            if operation["operationId"] not in succeeded:
                failed += 1
                print(f"FAILED {operation['operationId']}: no example succeeded")
    finally:
        daemon.clean()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main())
