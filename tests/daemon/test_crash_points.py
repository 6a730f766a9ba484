"""The store's process ends at its n-th change of a file, for each n: what is left is legal.

Each operation of crash_store is run again and again with crash_shim preloaded, which ends it at
the first, the second, ... write, flush, truncation, renaming or removal, until one run comes to its
end. After each the catalogue has to open, to be whole, to have all that had been acknowledged, and
either all of the last change or nothing of it. Every second write is ended in its middle.

CRASH_EVERY (23) takes only every so-many-th n, from another one for each operation; 1 takes all.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("top_builddir", ".")
HERE = os.path.join(BUILD, "tests", "daemon")
PROGRAM = os.path.join(HERE, "crash_store")
SHIM = os.path.abspath(os.path.join(HERE, ".libs", "crash_shim.so"))
EVERY = int(os.environ.get("CRASH_EVERY", "23"))
SECONDS_MAX = 1200
POINTS_MAX = 5000


def call(*words, **more):
    return subprocess.run([PROGRAM, *words], capture_output=True, timeout=60, text=True, **more)


def at_point(operation, folder, point):
    environment = dict(os.environ, LD_PRELOAD=SHIM, CRASH_AT=str(point),
                       CRASH_TORN=str(point % 2),
                       ASAN_OPTIONS="verify_asan_link_order=0:detect_leaks=0")
    return call("run", operation, folder, env=environment)


def try_point(operation, template, folder, point):
    """Returns whether the operation came to its end, and what is wrong or ''."""
    shutil.copytree(template, folder)
    try:
        run = at_point(operation, folder, point)
        if run.returncode not in (0, -signal.SIGKILL):
            return True, "ended with %d: %s" % (run.returncode, run.stderr)
        found = call("verify", operation, folder, run.stdout)
        return run.returncode == 0, found.stderr if found.returncode != 0 else ""
    finally:
        shutil.rmtree(folder)


def try_all(operation, first, place, end):
    """Returns how many points there were, and a list of what was wrong."""
    template = os.path.join(place, operation)
    os.mkdir(template, 0o700)
    wrong = []
    prepared = call("prepare", operation, template)
    if prepared.returncode != 0:
        return 0, [prepared.stderr]
    tried = 0
    for point in range(first, POINTS_MAX, EVERY):
        tried += 1
        ended, why = try_point(operation, template, os.path.join(place, "run"), point)
        if why:
            wrong.append("%s, point %d: %s" % (operation, point, why.strip()))
        if ended or time.monotonic() > end:
            break
    if tried < 2:
        wrong.append("%s: it was never ended" % operation)
    if not ended:
        wrong.append("%s: the time is up at point %d" % (operation, point))
    return tried, wrong


def main():
    passed = failed = 0
    end = time.monotonic() + SECONDS_MAX
    wanted = sys.argv[1:] or call().stdout.split()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="wasmedged-points-", dir=memory) as place:
        for number, operation in enumerate(wanted):
            tried, wrong = try_all(operation, 1 + number % EVERY, place, end)
            print("%s: ended at %d points" % (operation, tried - 1))
            for why in wrong:
                print("FAIL", why)
            failed += len(wrong)
            passed += tried - len(wrong)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    sys.exit(1 if failed or not passed else 0)


main()
