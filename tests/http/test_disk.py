"""A full disk: uploads are refused with 507, calls go on, and all is well once there is room."""
import os
import random
import subprocess
import tempfile

from harness import CALC, Daemon, Skip, WASM, check, equal, main, module, problem, wait_for


def big(number):
    return module([("f", [], [], [], b"")],
                  custom=[("n%d" % number, random.Random(number).randbytes(1000000))])


class Tmpfs:
    """A small file system of its own, where that is allowed."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="wasmedged-disk-")
        mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", self.path]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            os.rmdir(self.path)
            raise Skip("a small tmpfs needs root and the right to mount")
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)
        os.rmdir(self.path)


def test_disk_full(_):
    with Tmpfs() as path:
        d = Daemon(["store.directory=" + path + "/store", "store.free_space_floor=256KiB"])
        d.start()
        try:
            digest = d.upload(CALC, "demo/calc:1")
            with open(path + "/ballast", "wb") as file:
                file.write(bytes(22 << 20))
            stored = []
            reply = None
            for number in range(100):
                reply = d.request("POST", "/v1/modules", big(number), WASM)
                if reply.status != 201:
                    break
                stored.append(reply.json()["digest"])
            problem(reply, 507, "disk-full")
            check(stored, "some went in before")
            # what is there stays, and runs
            equal(d.request("GET", "/v1/modules/" + stored[-1]).status, 200)
            equal(d.invoke("demo/calc:1", "add", [40, 2]).json()["results"][0]["value"], 42)
            # filled by others, to the last byte
            with open(path + "/filler", "wb") as file:
                try:
                    while True:
                        file.write(bytes(65536))
                        file.flush()
                except OSError:
                    pass
            problem(d.request("POST", "/v1/modules", big(1000), WASM), 507, "disk-full")
            equal(d.invoke(digest, "add", [1, 2]).json()["results"][0]["value"], 3)
            equal(d.request("GET", "/livez").status, 200)
            os.unlink(path + "/filler")
            os.unlink(path + "/ballast")
            wait_for(lambda: d.request("POST", "/v1/modules", big(2000), WASM).status == 201, 5,
                     "room again")
            wait_for(lambda: d.request("GET", "/readyz").status == 200, 5, "readiness")
        finally:
            equal(d.stop(), 0, d.log())
            d.clean()


if __name__ == "__main__":
    main(globals())
