#!/usr/bin/env python3
"""wasmedged-api(7) names every operation, parameter, problem, scope and limit, and no other."""

import json
import os
import re
import subprocess
import sys

passed = failed = 0


def check(name, ok):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}")


program = os.path.join(os.environ.get("top_builddir", "."), "tests/rpc/samples")
data = json.loads(subprocess.run([program], check=True, capture_output=True).stdout)
page = os.path.join(os.environ.get("top_srcdir", "."), "man/wasmedged-api.7")
with open(page, encoding="utf-8") as file:
    text = file.read()

# ".It Ic POST /v1/modules", parameters as ".It Cm limit", problems as ".It Li bad-json"
operations = set(re.findall(r"^\.It Ic ([A-Z]+ /\S*)$", text, re.M))
want = set()
for path, item in data["openapi"]["paths"].items():
    for method, operation in item.items():
        want.add(f"{method.upper()} {path}")
for name in sorted(want | operations):
    check(f"operation {name}", name in want and name in operations)


def section(title):
    found = re.search(rf"^\.Sh {title}$(.*?)(?=^\.Sh |\Z)", text, re.M | re.S)
    return found.group(1) if found else ""


problems = set(re.findall(r"^\.It Li (\S+)", section("PROBLEMS"), re.M))
for name in sorted(set(data["problems"]) | problems):
    check(f"problem {name}", name in data["problems"] and name in problems)
scopes = set(re.findall(r"^\.It Li (\S+)", section("AUTHENTICATION"), re.M))
for name in sorted(set(data["scopes"]) | scopes):
    check(f"scope {name}", name in data["scopes"] and name in scopes)
for name in data["limits"]:
    check(f"limit {name}", re.search(rf"^\.It Cm {name}$", text, re.M))
for path, item in data["openapi"]["paths"].items():
    for operation in item.values():
        for parameter in operation["parameters"]:
            if parameter["in"] == "query":
                check(f"{path} {parameter['name']}", f"Cm {parameter['name']}" in text)

print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(1 if failed else 0)
