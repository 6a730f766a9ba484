#!/usr/bin/env python3
"""wasmedge_storage: guests through every function of both modules, errors included."""
import os
import re
import shutil
import sqlite3
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from plugintest import guest, main, run  # noqa: E402

STORAGE = guest("storage")
OLDER = guest("storage", "older")
BOTH = (STORAGE, OLDER)
FOLDER = tempfile.mkdtemp(prefix="test-storage-")
PATH = os.path.join(FOLDER, "storage.db")


def go(words, program=STORAGE, path=PATH):
    return run(program, *words.split(), STORAGE_INTERFACE_DB_PATH=path)


def stored(key, path=PATH):
    """The bytes in the file under a key of a guest."""
    db = sqlite3.connect(path)
    rows = db.execute("SELECT tenant, ns, value FROM entry WHERE key = ?",
                      (key.encode().ljust(32, b"\0"),)).fetchall()
    db.close()
    assert len(rows) == 1, rows
    assert rows[0][:2] == (b"", b"storage"), rows
    return rows[0][2]


def test_numbers_are_stored_little_endian():
    for program in BOTH:
        go("key numbers begin store store32 -2 store64 -3 store32 0x01020304 end store",
           program).is_(0, "")
        assert stored("numbers") == struct.pack("<iqi", -2, -3, 0x01020304)
        go("key numbers begin load load32 load64 load32 end load", program).is_(
            0, "-2\n-3\n16909060\n")


def test_both_modules_share_values():
    go("key shared begin store store32 7 end store", STORAGE).is_(0)
    go("key shared begin load load32 end load", OLDER).is_(0, "7\n")


def test_keys_are_random_uuids():
    for program in BOTH:
        out = go("uuid uuid", program).is_(0).out.split()
        assert out[1::2] == ["kept", "kept"] and out[0] != out[2], out
        for key in out[::2]:
            assert re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", key), key


def test_nothing_is_a_value():
    go("key empty begin store end store begin load end load").is_(0, "")
    assert stored("empty") == b""
    go("key empty begin load load32").is_(134).says(r"loadI32: 4 bytes at 0 are behind the end of "
                                                    r"the value of key 656d707479(00)+.*has 0")


def test_a_value_is_replaced_as_a_whole():
    go("key over begin store store64 1 end store begin store store32 2 end store").is_(0)
    assert stored("over") == struct.pack("<i", 2)


def test_what_is_not_ended_is_not_stored():
    go("key half begin store store32 1 end store begin store store32 2").is_(0)
    assert stored("half") == struct.pack("<i", 1)
    go("key half begin store store32 2 begin load load32").is_(0, "1\n")


def test_a_transaction_goes_on_behind_its_end():
    go("key on begin store store32 1 end store store32 2 end store").is_(0)
    assert stored("on") == struct.pack("<ii", 1, 2)
    go("key on begin load load32 end load load32 load32").is_(0, "1\n1\n2\n")


def test_two_programs_at_once_have_their_own_transactions():
    go("key mine begin store store32 1").is_(0)
    go("store32 2").is_(134).says("storeI32: beginStoreTx has to be called before")


def test_large_values():
    go("key large begin store fill 500000 end store begin load load64").is_(0, "4294967297\n")
    assert stored("large") == struct.pack("<i", 1) * 500000


def test_values_of_sixteen_mib_at_most():
    go("key huge begin store fill 4194304 end store").is_(0)
    assert len(stored("huge")) == 16 * 1024 * 1024
    go("key huge begin store fill 4194305").is_(134).says(
        r"storeI32: a value has at most 16777216 bytes \(value_bytes_max\)")


def test_missing_keys_are_named():
    words = "key 0123456789abcdef0123456789abcdef begin load"
    for program in BOTH:
        go(words, program).is_(134, "").says(
            'beginLoadTx: there is no value under the key "0123456789abcdef0123456789abcdef"')
    go("key x begin load").is_(134, "").says("the key 78" + "00" * 31)


def test_the_end_of_a_value():
    go("key short begin store store32 5 end store").is_(0)
    go("key short begin load load64").is_(134, "").says("loadI64: 8 bytes at 0 are behind")
    go("key short begin load load32 load32").is_(134, "5\n").says("loadI32: 4 bytes at 4 .*has 4")


def test_calls_out_of_order_trap():
    for program in BOTH:
        for words, message in (
                ("store32 1", "storeI32: beginStoreTx has to be called before"),
                ("store64 1", "storeI64: beginStoreTx has to be called before"),
                ("end store", "endStoreTx: beginStoreTx has to be called before"),
                ("load32", "loadI32: beginLoadTx has to be called before"),
                ("load64", "loadI64: beginLoadTx has to be called before"),
                ("end load", "endLoadTx: beginLoadTx has to be called before"),
                ("key a begin store load32", "loadI32: beginLoadTx has to be called before"),
                ("key a begin store end store begin load store32 1",
                 "storeI32: beginStoreTx has to be called before")):
            go(words, program).is_(134, "").says(message)


def test_keys_outside_of_the_memory_trap():
    for program in BOTH:
        for at in ("0xffffffff", "0xfffffff0", "0x7fffffff"):
            go("at %s begin store" % at, program).is_(134, "").says(
                "beginStoreTx: the 32 bytes of a key at %s are outside of the memory" % at)
            go("at %s begin load" % at, program).is_(134, "").says(
                "beginLoadTx: the 32 bytes of a key at %s are outside" % at)
            go("at %s uuid" % at, program).is_(134, "").says(
                "createUUID: the 33 bytes of a key and its end at %s are outside" % at)


def test_a_file_that_cannot_be_used():
    go("key a begin store end store", path="/nowhere/at/all").is_(134, "").says(
        "endStoreTx: /nowhere/at/all: cannot open it: No such file or directory")
    path = os.path.join(FOLDER, "text")
    with open(path, "w", encoding="ascii") as file:
        file.write("this is no database\n" * 100)
    go("key a begin load", path=path).is_(134, "").says("beginLoadTx: .*text: ")


def test_a_folder_is_a_place():
    place = os.path.join(FOLDER, "place")
    os.mkdir(place)
    go("key a begin store store32 1 end store", path=place).is_(0)
    assert stored("a", os.path.join(place, "storage.db")) == struct.pack("<i", 1)


try:
    main(globals(), [STORAGE, OLDER, os.path.join(os.environ.get("top_builddir", "."), "plugins",
                                                  ".libs", "wasmedge_storage.so")])
finally:
    shutil.rmtree(FOLDER)
