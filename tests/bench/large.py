#!/usr/bin/env python3
"""Write a large module for measuring compilers: large.py OUT.wasm [FUNCTIONS]

20,000 functions of 250 bytes on average make 5 MB of code, shaped like what C compilers write:
arithmetic over locals, loads and stores at an offset from a pointer, conditions, counted loops,
calls of other functions and through a table. The same arguments make the same module; it can be
run ("run" calls all functions), though what it computes means nothing.
"""
import random
import struct
import sys

FUNCTIONS = 20000
BYTES_EACH = 250
I32, I64, F64 = b"\x7f", b"\x7e", b"\x7c"
TYPES = [((I32, I32), I32), ((I32, I64), I64), ((I32, F64), F64)]
PARAMS = 2
LOCALS = [I32, I32, I32, I64, I64, F64, F64]  # behind the parameters
COUNTER = PARAMS + 2
BINARY = {I32: [0x6a, 0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x76],
          I64: [0x7c, 0x7d, 0x7e, 0x83, 0x84, 0x85, 0x86, 0x88], F64: [0xa0, 0xa1, 0xa2, 0xa3]}
COMPARE = {I32: [0x46, 0x47, 0x48, 0x49, 0x4a, 0x4e], I64: [0x51, 0x52, 0x53, 0x54],
           F64: [0x61, 0x63, 0x64]}
LOAD = {I32: (0x28, 2), I64: (0x29, 3), F64: (0x2b, 3)}
STORE = {I32: (0x36, 2), I64: (0x37, 3), F64: (0x39, 3)}
MASK = b"\x41\xff\xff\x03\x71"  # keeps pointers in the first page


def leb(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def sleb(value):
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value & 0x7f]))


def vec(items):
    return leb(len(items)) + b"".join(items)


def section(number, body):
    return bytes([number]) + leb(len(body)) + body


class Function:
    def __init__(self, rng, index, count):
        self.rng = rng
        self.index = index
        self.count = count
        self.params, self.result = TYPES[index % len(TYPES)]
        self.types = list(self.params) + LOCALS

    def local(self, wanted):
        return leb(self.rng.choice([i for i, t in enumerate(self.types)
                                    if t == wanted and i != COUNTER]))

    def constant(self, wanted):
        rng = self.rng
        if wanted == F64:
            return b"\x44" + struct.pack("<d", rng.choice([0.5, 1.0, 2.0, 3.25]))
        return (b"\x41" if wanted == I32 else b"\x42") + sleb(rng.choice([1, 2, 4, 8, 255, 65535,
                                                                         rng.randrange(10000)]))

    def pointer(self):
        return b"\x20" + self.local(I32) + MASK

    def value(self, wanted, depth):
        choice = self.rng.random()
        if depth == 0 or choice < 0.25:
            return b"\x20" + self.local(wanted)
        if choice < 0.4:
            return self.constant(wanted)
        if choice < 0.55:
            op, align = LOAD[wanted]
            return (self.pointer() + bytes([op, align]) +
                    leb(self.rng.randrange(0, 64) << align))
        if choice < 0.6 and wanted == I32:
            return self.condition(depth - 1)
        return (self.value(wanted, depth - 1) + self.value(wanted, depth - 1) +
                bytes([self.rng.choice(BINARY[wanted])]))

    def condition(self, depth):
        kind = self.rng.choice([I32, I32, I64, F64])
        return (self.value(kind, depth) + self.value(kind, depth) +
                bytes([self.rng.choice(COMPARE[kind])]))

    def call(self):
        """A function of the first half of those before it in its group of 40, so that chains of
        calls are short."""
        place = self.index % 40
        if place < 2:
            return b""
        target = self.index - place + self.rng.randrange(0, place // 2)
        params, result = TYPES[target % len(TYPES)]
        code = b"".join(self.value(t, 1) for t in params)
        if self.rng.random() < 0.1:
            code += b"\x41" + sleb(target) + b"\x11" + leb(target % len(TYPES)) + b"\x00"
        else:
            code += b"\x10" + leb(target)
        return code + b"\x21" + self.local(result)

    def statement(self, depth):
        rng = self.rng
        choice = rng.random()
        wanted = rng.choice([I32, I32, I32, I64, F64])
        if choice < 0.45:
            return self.value(wanted, 3) + b"\x21" + self.local(wanted)
        if choice < 0.62:
            op, align = STORE[wanted]
            return (self.pointer() + self.value(wanted, 2) + bytes([op, align]) +
                    leb(rng.randrange(0, 64) << align))
        if choice < 0.75 and depth > 0:
            return (self.condition(1) + b"\x04\x40" + self.statement(depth - 1) + b"\x05" +
                    self.statement(depth - 1) + b"\x0b")
        if choice < 0.85 and depth == 2:
            counter = leb(COUNTER)
            return (b"\x41" + sleb(rng.randrange(2, 9)) + b"\x21" + counter + b"\x03\x40" +
                    self.statement(1) + self.statement(1) + b"\x20" + counter +
                    b"\x41\x01\x6b\x22" + counter + b"\x0d\x00\x0b")
        return self.call()

    def body(self):
        code = b""
        while len(code) < BYTES_EACH - 30:
            code += self.statement(2)
        code += self.value(self.result, 2)
        return vec([b"\x01" + t for t in LOCALS]) + code + b"\x0b"


def run_all(count):
    """(func (export "run")): calls every 40th function, which call the others."""
    zero = {I32: b"\x41\x07", I64: b"\x42\x07", F64: b"\x44" + bytes(8)}
    code = b""
    for index in range(39, count, 40):
        code += b"".join(zero[t] for t in TYPES[index % len(TYPES)][0]) + b"\x10" + leb(index)
        code += b"\x1a"
    return b"\x00" + code + b"\x0b"


def module(count):
    rng = random.Random(count)
    bodies = [Function(rng, index, count).body() for index in range(count)] + [run_all(count)]
    types = [b"\x60" + vec(list(params)) + vec([result]) for params, result in TYPES]
    types.append(b"\x60\x00\x00")
    numbers = [leb(i % len(TYPES)) for i in range(count)] + [leb(len(TYPES))]
    return (b"\0asm\x01\0\0\0" + section(1, vec(types)) + section(3, vec(numbers)) +
            section(4, b"\x01\x70\x00" + leb(count)) + section(5, b"\x01\x00\x02") +
            section(7, b"\x01\x03run\x00" + leb(count)) +
            section(9, b"\x01\x00\x41\x00\x0b" + vec([leb(i) for i in range(count)])) +
            section(10, vec([leb(len(body)) + body for body in bodies])))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) == 3 else FUNCTIONS
    with open(sys.argv[1], "wb") as out:
        out.write(module(count))


if __name__ == "__main__":
    main()
