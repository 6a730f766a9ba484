#!/usr/bin/env python3
"""Schemas describe what encoders write and what parsers take.

Needs the jsonschema package; without it, everything is reported as skipped.
"""

import json
import os
import subprocess
import sys

passed = failed = 0


def check(name, ok, why=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {why}")


def done(skipped=0):
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


def load():
    program = os.path.join(os.environ.get("top_builddir", "."), "tests/rpc/samples")
    return json.loads(subprocess.run([program], check=True, capture_output=True).stdout)


try:
    import jsonschema
except ImportError:
    print("skipped: Python has no jsonschema package")
    done(skipped=1)

data = load()
document = data["openapi"]
schemas = document["components"]["schemas"]


def validator(name):
    # References are "#/components/schemas/...", so the schema needs the components beside it.
    root = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(root)


def why(name, value):
    error = next(validator(name).iter_errors(value), None)
    return error.message if error else ""


for name, schema in schemas.items():
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        check(f"schema {name}", True)
    except jsonschema.SchemaError as error:
        check(f"schema {name}", False, error.message)

for sample in data["samples"]:
    name = sample["schema"]
    check(f"sample of {name}", not why(name, sample["value"]), why(name, sample["value"]))

# The bodies of examples that succeed are what the schema of the operation's body says.
for path, item in document["paths"].items():
    for operation in item.values():
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        for example in operation["x-examples"]:
            if "body" in example and example["status"] < 300:
                name = schema["$ref"].rsplit("/", 1)[1]
                reason = why(name, example["body"])
                check(f"example {example['x-order']} of {path}", not reason, reason)

DIGEST = "sha256:" + "0" * 64
ACCEPTED = [
    ("InvokeRequest", {"function": "f"}),
    ("InvokeRequest", {"function": "f", "args": [1, "0x1", None, 0.5], "limits": {"fuel": 1}}),
    ("Argument", {"type": "i64", "value": "1"}),
    ("Argument", {"lanes": "i32x4", "value": [1, "2", 3, 4]}),
    ("Argument", {"type": "v128", "bytes": "00112233445566778899aabbccddeeff"}),
    ("RunRequest", {}),
    ("RunRequest", {"files": [{"path": "/a", "base64": "AA=="}], "stdin": {"text": ""}}),
    ("TagRequest", {"digest": DIGEST}),
    ("Ref", "demo/app"),
    ("Ref", "demo/app:V1"),
    ("Ref", DIGEST),
]
REFUSED = [
    ("InvokeRequest", {}),
    ("InvokeRequest", {"function": "f", "arg": []}),
    ("InvokeRequest", {"function": "f", "limits": {"time_ms": 0}}),
    ("InvokeRequest", {"function": "f", "limits": {"time": 1}}),
    ("Argument", True),
    ("Argument", {"type": "i32"}),
    ("Argument", {"type": "i32", "value": 1, "bits": "0x1"}),
    ("Argument", {"bytes": "00"}),
    ("RunRequest", {"stdin": {}}),
    ("RunRequest", {"stdin": {"text": "", "base64": ""}}),
    ("RunRequest", {"files": [{"path": "a", "text": ""}]}),
    ("RunRequest", {"env": {"A=B": ""}}),
    ("TagRequest", {"digest": "demo/app"}),
    ("Ref", "demo"),
    ("Ref", "Demo/app"),
    ("Answer", {"id": "x", "outcome": "fine", "usage": {}}),
]
for name, value in ACCEPTED:
    check(f"{name} {value}", not why(name, value), why(name, value))
for name, value in REFUSED:
    check(f"{name} {value}", why(name, value), "accepted")
done()
