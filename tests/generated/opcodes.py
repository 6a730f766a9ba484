"""The instructions of vm/def/opcode.def, and the encodings of the binary format."""
import os
import re

ROW = re.compile(r'^OP\((\w+),\s*0x(\w+),\s*0x(\w+),\s*"([^"]*)",\s*(\w+),\s*(\w+),\s*(\d+),'
                 r'\s*(\w+),\s*([^)]*)\)', re.MULTILINE)
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "vm", "def",
                     "opcode.def")


def leb(value):
    out = bytearray()
    while True:
        byte = value & 0x7f
        value >>= 7
        if value:
            out.append(byte | 0x80)
        else:
            out.append(byte)
            return bytes(out)


def sleb(value):
    out = bytearray()
    while True:
        byte = value & 0x7f
        value >>= 7
        if (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def vec(items):
    return leb(len(items)) + b"".join(items)


def section(number, body):
    return bytes([number]) + leb(len(body)) + body


class Op:
    """A row. operands and result are letters: i l f d v, a for an address; "" for no result."""

    def __init__(self, symbol, prefix, code, text, imm, sig, width, feature, flags):
        self.symbol = symbol
        self.text = text
        self.bytes = bytes([int(code, 16)]) if prefix == "00" else (
            bytes([int(prefix, 16)]) + leb(int(code, 16)))
        self.imm = imm
        self.is_plain = sig != "poly"
        self.operands, self.result = sig.split("_") if self.is_plain else ("", "")
        self.width = int(width)
        self.feature = feature
        self.traps = "OPF_TRAP" in flags


def read(path=TABLE):
    """All rows, by symbol."""
    with open(path, encoding="utf-8") as file:
        rows = [Op(*row) for row in ROW.findall(file.read())]
    if len(rows) < 400:
        raise ValueError("%s: only %d rows of the expected form" % (path, len(rows)))
    return {op.symbol: op for op in rows}
