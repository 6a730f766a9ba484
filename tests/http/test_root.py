"""Started as root: the daemon becomes the user that its settings name, and stays him."""
import grp
import os
import pwd
import stat
import subprocess

from harness import CALC, Check, Daemon, Skip, check, equal, main

USER = "nobody"


def need_root():
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        raise Skip("there is no user " + USER) from None


def status(d):
    with open("/proc/%d/status" % d.process.pid) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def owner(path):
    found = os.stat(path)
    return found.st_uid, found.st_gid


class Place(Daemon):
    """Its folder may be entered by others, as /run and /var/lib may."""

    def __init__(self, *sets):
        super().__init__(list(sets))
        os.chmod(self.folder, 0o755)
        self.store = os.path.join(self.folder, "store")


def refused(d, *words):
    try:
        d.start()
    except Check as why:
        for word in words:
            check(word in str(why), "expected", repr(word), "in", str(why))
    else:
        raise Check("the daemon started")
    finally:
        d.clean()


def test_the_daemon_becomes_the_user(_):
    user = need_root()
    d = Place("service.user=" + USER)
    d.start()
    try:
        found = status(d)
        for line, number in (("Uid", user.pw_uid), ("Gid", user.pw_gid)):
            equal(found[line].split(), [str(number)] * 4, line)
        equal(set(map(int, found["Groups"].split())),
              set(os.getgrouplist(USER, user.pw_gid)), "groups")
        for line in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            equal(int(found[line], 16), 0, line)
        equal(found["NoNewPrivs"], "1")
        d.upload(CALC, "demo/calc:1")
        equal(d.invoke("demo/calc:1", "add", [2, 40]).json()["results"][0]["value"], 42)
        equal(owner(d.store), (user.pw_uid, user.pw_gid), "the folder of the catalogue")
        equal(owner(d.store + "/catalog.db"), (user.pw_uid, user.pw_gid), "the catalogue")
        equal(owner(d.socket_path), (user.pw_uid, user.pw_gid), "the socket")
        equal(stat.S_IMODE(os.stat(d.socket_path).st_mode), 0o660)
        metrics = d.unix("GET", "/metrics").body.decode()
        check("wasmedged_process_open_fds" in metrics, "it cannot look at itself any more")
        equal(d.stop(), 0)
        d.start()
        equal(d.invoke("demo/calc:1", "add", [2, 3]).json()["results"][0]["value"], 5)
    finally:
        d.clean()


def test_numbers_and_a_group_are_taken(_):
    need_root()
    group = grp.getgrnam("daemon").gr_gid
    d = Place("service.user=54321", "service.group=daemon")
    d.start()
    try:
        found = status(d)
        equal(found["Uid"].split(), ["54321"] * 4)
        equal(found["Gid"].split(), [str(group)] * 4)
        equal(found["Groups"].split(), [str(group)])
    finally:
        d.clean()


def test_what_cannot_be_is_refused(_):
    need_root()
    refused(Place("service.user=no-such-user"), "no-such-user", "the system knows none")
    refused(Place("service.user=" + USER, "service.group=no-such-group"), "no-such-group")
    refused(Place("service.user=54321"), "does not know user 54321", "set group")
    refused(Place("service.user=root"), "another than root")
    refused(Place("service.group=daemon"), "[service] group is set")


def test_a_folder_of_another_user_is_refused_clearly(_):
    user = need_root()
    d = Place("service.user=" + USER)
    os.mkdir(d.store, 0o700)
    refused(d, d.store, "user %d may not work in this folder" % user.pw_uid, "chown -R")


def test_only_root_may_become_another_user(_):
    need_root()
    d = Place("service.user=daemon")
    os.chown(d.folder, 54321, 54321)
    found = subprocess.run(d.command(), capture_output=True, timeout=20, user=54321, group=54321,
                           extra_groups=[])
    d.clean()
    equal(found.returncode, 1)
    check(b"only root may become daemon" in found.stderr, found.stderr)


def test_root_is_warned_of_himself(_):
    need_root()
    d = Daemon()
    d.start()
    try:
        check("running as root; set service.user" in d.log(), d.log())
    finally:
        d.clean()


main(globals())
