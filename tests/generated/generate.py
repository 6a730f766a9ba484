#!/usr/bin/env python3
"""Make valid WebAssembly modules at random, for comparing engines.

    generate.py SEED OUT.wasm
    generate.py --many FIRST COUNT FOLDER    FOLDER/seed-N.wasm for COUNT seeds

The modules are deterministic: what a NaN looks like never reaches a result (it is replaced before
its bits or its sign can be seen), and every loop and call burns fuel, which runs out with a trap;
the exported function "reset" fills it up. Each exported function takes and gives numbers only.

The generator leans on what makes translators wrong: values that stay on the stack across blocks,
branches that carry several values, locals written while older copies are pending, constants in
every operand position, deep stacks.
"""
import random
import struct
import sys

I32, I64, F32, F64, V128 = 0x7f, 0x7e, 0x7d, 0x7c, 0x7b
NUMBERS = (I32, I64, F32, F64)
PAGES = 1
FUEL = 3000
FUEL_GLOBAL = 4
# FNV-1a, 32 bits, of the whole memory.
DIGEST = (b"\x01\x02\x7f\x41" + b"\xc5\xbb\xf2\x88\x78" + b"\x21\x00\x03\x40"
          b"\x20\x00\x20\x01\x2d\x00\x00\x73\x41\x93\x83\x80\x08\x6c\x21\x00"
          b"\x20\x01\x41\x01\x6a\x22\x01\x41\x80\x80\x04\x47\x0d\x00\x0b\x20\x00\x0b")
BURN = b"\x23\x04\x41\x01\x6b\x24\x04\x23\x04\x45\x04\x40\x00\x0b"


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


# Opcodes by result and operands; those that can trap are rarer.
BINARY = {
    I32: [(range(0x6a, 0x6d), I32), (range(0x71, 0x79), I32), (range(0x46, 0x50), I32),
          (range(0x51, 0x5b), I64), (range(0x5b, 0x61), F32), (range(0x61, 0x67), F64)],
    I64: [(range(0x7c, 0x7f), I64), (range(0x83, 0x8b), I64)],
    F32: [(range(0x92, 0x98), F32)],
    F64: [(range(0xa0, 0xa6), F64)],
}
DIVISION = {I32: range(0x6d, 0x71), I64: range(0x7f, 0x83)}
UNARY = {
    I32: [(0x45, I32), (0x50, I64), (0x67, I32), (0x68, I32), (0x69, I32), (0xa7, I64),
          (0xc0, I32), (0xc1, I32)],
    I64: [(0x79, I64), (0x7a, I64), (0x7b, I64), (0xac, I32), (0xad, I32), (0xc2, I64),
          (0xc3, I64), (0xc4, I64)],
    F32: [(code, F32) for code in (0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x91)] +
         [(0xb2, I32), (0xb3, I32), (0xb4, I64), (0xb5, I64), (0xb6, F64), (0xbe, I32)],
    F64: [(code, F64) for code in (0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f)] +
         [(0xb7, I32), (0xb8, I32), (0xb9, I64), (0xba, I64), (0xbb, F32), (0xbf, I64)],
}
TRUNCATE = {I32: [(0xa8, F32), (0xa9, F32), (0xaa, F64), (0xab, F64)],
            I64: [(0xae, F32), (0xaf, F32), (0xb0, F64), (0xb1, F64)]}
SATURATE = {I32: [(0, F32), (1, F32), (2, F64), (3, F64)],
            I64: [(4, F32), (5, F32), (6, F64), (7, F64)]}
LOADS = {I32: [(0x28, 2), (0x2c, 0), (0x2d, 0), (0x2e, 1), (0x2f, 1)],
         I64: [(0x29, 3), (0x30, 0), (0x31, 0), (0x32, 1), (0x33, 1), (0x34, 2), (0x35, 2)],
         F32: [(0x2a, 2)], F64: [(0x2b, 3)]}
STORES = {I32: [(0x36, 2), (0x3a, 0), (0x3b, 1)],
          I64: [(0x37, 3), (0x3c, 0), (0x3d, 1), (0x3e, 2)],
          F32: [(0x38, 2)], F64: [(0x39, 3)]}
NAN = {F32: (0x43, struct.pack("<I", 0x7fc00000), 0x5c),
       F64: (0x44, struct.pack("<Q", 0x7ff8000000000000), 0x62)}
# Vector instructions of two vectors (integer lanes, so that no NaN is made), and of one.
VECTOR_BINARY = ([35 + i for i in range(30)] + [78, 79, 80, 81, 14, 101, 102]
                 + list(range(110, 122)) + [123, 130, 133, 134] + list(range(142, 148))
                 + list(range(149, 154)) + [155] + list(range(156, 160)) + [174, 177, 181]
                 + list(range(182, 187)) + list(range(188, 192)) + [206, 209, 213]
                 + list(range(214, 224)))
VECTOR_BINARY = [code for code in VECTOR_BINARY if code not in (116, 117)]
VECTOR_UNARY = [77, 96, 97, 98, 124, 125, 126, 127, 128, 129, 135, 136, 137, 138, 160, 161, 167,
                168, 169, 170, 192, 193, 199, 200, 201, 202]
VECTOR_SHIFT = [107, 108, 109, 139, 140, 141, 171, 172, 173, 203, 204, 205]
VECTOR_TO_I32 = [83, 99, 100, 131, 132, 163, 164, 195, 196]


class Function:
    """One body. code() of a type leaves one value of it on the stack."""

    def __init__(self, rng, params, results, module):
        self.rng = rng
        self.params = params
        self.results = results
        self.module = module
        self.locals = [rng.choice(NUMBERS + (V128,)) for _ in range(rng.randrange(1, 8))]
        self.types = list(params) + self.locals
        # The counter bounds all loops of the function together.
        self.counter = len(self.types)
        self.locals.append(I32)
        self.labels = []  # (types of the label), innermost last
        self.budget = rng.randrange(20, 160)

    def local_of(self, wanted):
        choices = [i for i, t in enumerate(self.types) if t == wanted]
        return self.rng.choice(choices) if choices else None

    def constant(self, wanted):
        rng = self.rng
        if wanted == I32:
            return b"\x41" + sleb(rng.choice([0, 1, -1, 2, 31, 32, 255, -128, 32767, 32768, -32769,
                                              2**31 - 1, -2**31, rng.randrange(-2**31, 2**31)]))
        if wanted == I64:
            return b"\x42" + sleb(rng.choice([0, 1, -1, 63, 64, 40000, 2**31, -2**31 - 1, 2**63 - 1,
                                              -2**63, rng.randrange(-2**63, 2**63)]))
        if wanted == V128:
            return b"\xfd\x0c" + rng.randbytes(16)
        value = rng.choice([0.0, -0.0, 1.0, -1.5, 0.5, 2.0**31, -2.0**31, 2.0**63, 1e30, 1e-30,
                            float("inf"), -float("inf"), rng.uniform(-1000, 1000)])
        if wanted == F32:
            return b"\x43" + struct.pack("<f", value)
        return b"\x44" + struct.pack("<d", value)

    def canonical(self, wanted):
        """Code that replaces a NaN on the stack by the canonical one."""
        op, bits, differs = NAN[wanted]
        spare = self.module.spare(self, wanted)
        return (b"\x22" + leb(spare) + bytes([op]) + bits + b"\x20" + leb(spare) + b"\x20" +
                leb(spare) + bytes([differs - 1]) + b"\x1b")

    def address(self):
        code = self.code(I32)
        if self.rng.random() < 0.95:
            code += b"\x41" + sleb(0x3fff) + b"\x71"
        return code

    def memarg(self, align):
        offset = self.rng.choice([0, 0, 4, 100, 65535, 2**31])
        if self.rng.random() < 0.9:
            offset = self.rng.randrange(0, 64)
        return leb(self.rng.randrange(0, align + 1)) + leb(offset)

    # --- expressions

    def code(self, wanted):
        self.budget -= 1
        if self.budget <= 0 or self.rng.random() < 0.15:
            return self.leaf(wanted)
        makers = [self.leaf, self.binary, self.binary, self.unary, self.load, self.block,
                  self.if_else, self.select, self.tee, self.call, self.odd, self.loop]
        if wanted == V128:
            makers = [self.leaf, self.vector, self.vector, self.block, self.if_else, self.select,
                      self.tee]
        return self.rng.choice(makers)(wanted)

    def leaf(self, wanted):
        local = self.local_of(wanted)
        if local is not None and self.rng.random() < 0.7:
            return b"\x20" + leb(local)
        if wanted in NUMBERS and self.rng.random() < 0.1:
            return b"\x23" + leb(NUMBERS.index(wanted))
        return self.constant(wanted)

    def binary(self, wanted):
        codes, operand = self.rng.choice(BINARY[wanted])
        op = self.rng.choice(list(codes))
        if wanted in DIVISION and self.rng.random() < 0.08:
            op, operand = self.rng.choice(list(DIVISION[wanted])), wanted
        left, right = self.code(operand), self.code(operand)
        if op in (0x98, 0xa6):  # copysign: the sign of a NaN must not be seen
            right += self.canonical(operand)
        return left + right + bytes([op])

    def unary(self, wanted):
        op, operand = self.rng.choice(UNARY[wanted])
        return self.code(operand) + bytes([op])

    def odd(self, wanted):
        """Conversions that trap or saturate, bits of floats, lanes, sizes."""
        choice = self.rng.randrange(6)
        if wanted in TRUNCATE and choice == 0:
            op, operand = self.rng.choice(TRUNCATE[wanted])
            return self.code(operand) + bytes([op])
        if wanted in TRUNCATE and choice <= 2:
            op, operand = self.rng.choice(SATURATE[wanted])
            return self.code(operand) + b"\xfc" + leb(op)
        if wanted in TRUNCATE and choice == 3:
            operand, op = (F32, 0xbc) if wanted == I32 else (F64, 0xbd)
            return self.code(operand) + self.canonical(operand) + bytes([op])
        if wanted == I32 and choice == 4:
            return self.code(V128) + b"\xfd" + leb(self.rng.choice(VECTOR_TO_I32))
        if wanted == I32 and choice == 5:
            return b"\x3f\x00"
        if wanted == I64:
            return self.code(V128) + b"\xfd\x1d" + bytes([self.rng.randrange(2)])
        return self.leaf(wanted)

    def vector(self, _):
        choice = self.rng.randrange(6)
        if choice <= 1:
            return (self.code(V128) + self.code(V128) + b"\xfd" +
                    leb(self.rng.choice(VECTOR_BINARY)))
        if choice == 2:
            return self.code(V128) + b"\xfd" + leb(self.rng.choice(VECTOR_UNARY))
        if choice == 3:
            return (self.code(V128) + self.code(I32) + b"\xfd" +
                    leb(self.rng.choice(VECTOR_SHIFT)))
        if choice == 4:
            return self.code(I32) + b"\xfd" + leb(self.rng.choice([15, 16, 17]))
        return self.address() + b"\xfd\x00" + self.memarg(4)

    def load(self, wanted):
        op, align = self.rng.choice(LOADS[wanted])
        return self.address() + bytes([op]) + self.memarg(align)

    def select(self, wanted):
        return self.code(wanted) + self.code(wanted) + self.code(I32) + b"\x1b"

    def tee(self, wanted):
        local = self.local_of(wanted)
        return self.code(wanted) + (b"\x22" + leb(local) if local is not None else b"")

    def call(self, wanted):
        return self.module.call(self, wanted) or self.leaf(wanted)

    def block(self, wanted):
        self.labels.append([wanted])
        body = self.statements() + self.code(wanted) + self.maybe_br_if(wanted)
        self.labels.pop()
        return b"\x02" + bytes([wanted]) + body + b"\x0b"

    def maybe_br_if(self, wanted):
        """br_if with the value to a label that wants one of its type: it stays if not taken."""
        depths = [i for i, types in enumerate(reversed(self.labels)) if types == [wanted]]
        if depths and self.rng.random() < 0.5:
            return self.code(I32) + b"\x0d" + leb(self.rng.choice(depths))
        return b""

    def if_else(self, wanted):
        condition = self.code(I32)
        self.labels.append([wanted])
        first = self.statements() + self.code(wanted)
        second = self.code(wanted) + self.maybe_br_if(wanted)
        if self.rng.random() < 0.15:
            second = self.leave() or second
        self.labels.pop()
        return condition + b"\x04" + bytes([wanted]) + first + b"\x05" + second + b"\x0b"

    def loop(self, wanted):
        self.labels.append([])
        body = BURN + self.statements()
        self.labels.pop()
        again = (b"\x20" + leb(self.counter) + b"\x41\x01\x6a\x22" + leb(self.counter) +
                 b"\x41" + sleb(self.rng.randrange(3, 40)) + b"\x48\x0d\x00")
        self.labels.append([])
        value = self.code(wanted)
        self.labels.pop()
        return b"\x03" + bytes([wanted]) + body + again + value + b"\x0b"

    # --- statements

    def statements(self):
        return b"".join(self.statement() for _ in range(self.rng.randrange(0, 4)))

    def statement(self):
        self.budget -= 1
        if self.budget <= 0:
            return b""
        return self.rng.choice([self.set_local, self.set_local, self.store, self.set_global,
                                self.drop, self.branch, self.table, self.many, self.pile])()

    def set_local(self):
        local = self.rng.randrange(len(self.types))
        return self.code(self.types[local]) + b"\x21" + leb(local)

    def set_global(self):
        wanted = self.rng.choice(NUMBERS)
        return self.code(wanted) + b"\x24" + leb(NUMBERS.index(wanted))

    def store(self):
        wanted = self.rng.choice(NUMBERS)
        op, align = self.rng.choice(STORES[wanted])
        value = self.code(wanted) + (self.canonical(wanted) if wanted in NAN else b"")
        return self.address() + value + bytes([op]) + self.memarg(align)

    def drop(self):
        return self.code(self.rng.choice(NUMBERS + (V128,))) + b"\x1a"

    def leave(self):
        """An unconditional transfer, with the values its label wants."""
        depth = self.rng.randrange(len(self.labels))
        types = self.labels[-1 - depth]
        values = b"".join(self.code(t) for t in types)
        if depth == len(self.labels) - 1:
            return values + b"\x0f"
        return values + (b"\x00" if self.rng.random() < 0.05 else b"\x0c" + leb(depth))

    def branch(self):
        self.labels.append([])
        body = self.statements() + self.code(I32) + b"\x0d" + leb(0) + self.statements()
        if self.rng.random() < 0.3:
            body += self.code(I32) + b"\x04\x40" + self.leave_from_if() + b"\x0b"
        self.labels.pop()
        return b"\x02\x40" + body + b"\x0b"

    def leave_from_if(self):
        self.labels.append([])
        code = self.leave()
        self.labels.pop()
        return code

    def table(self):
        """br_table out of nested blocks that all want the same, on top of values below."""
        types = self.rng.choice([[], [I32], [I64, F64], [I32, I32, I32]])
        depth = self.rng.randrange(1, 5)
        kind = self.module.block_type(types)
        for _ in range(depth):
            self.labels.append(list(types))
        body = b"".join(self.code(t) for t in types) + self.code(I32)
        targets = [self.rng.randrange(depth) for _ in range(self.rng.randrange(0, 6))]
        body += b"\x0e" + vec([leb(t) for t in targets]) + leb(self.rng.randrange(depth))
        for _ in range(depth):
            self.labels.pop()
            body = b"\x02" + kind + body + b"\x0b"
            # Below the next block's end the values are used up and made anew.
            if self.rng.random() < 0.5:
                body += b"\x1a" * len(types) + b"".join(self.constant(t) for t in types)
        return body + b"\x1a" * len(types)

    def many(self):
        """A block with parameters and several results, left by br_if with all of them."""
        types = [self.rng.choice(NUMBERS) for _ in range(self.rng.randrange(1, 4))]
        kind = self.module.block_type(types, types)
        values = b"".join(self.code(t) for t in types)
        self.labels.append(list(types))
        body = self.statements() + self.code(I32) + b"\x0d\x00" + self.statements()
        self.labels.pop()
        stores = b"".join(b"\x24" + leb(NUMBERS.index(t)) for t in reversed(types))
        return values + b"\x02" + kind + body + b"\x0b" + stores

    def pile(self):
        """A deep stack of pending locals and constants, added up from the top."""
        height = self.rng.choice([3, 10, 70, 130])
        if self.budget < 20:
            height = 3
        code = b"".join(self.leaf(I32) for _ in range(height))
        local = self.local_of(I32)
        if local is not None:
            code += self.constant(I32) + b"\x21" + leb(local)
        return code + b"\x6a" * (height - 1) + b"\x24\x00"

    def body(self):
        self.labels.append(list(self.results))
        code = self.statements() + b"".join(self.code(t) for t in self.results)
        for wanted in self.results:
            self.module.check_result(wanted)
        groups = [leb(1) + bytes([t]) for t in self.locals]
        # Floats that are results are made canonical by the caller of the comparison.
        return vec(groups) + BURN + code + b"\x0b"


def quiet(index, params, results):
    """The body of a function that calls another and makes the NaNs among its results canonical:
    one that was read from memory may be signalling, which not every host hands on as it is."""
    code = b"".join(b"\x20" + leb(i) for i in range(len(params))) + b"\x10" + leb(index)
    first = len(params)
    for i in reversed(range(len(results))):
        code += b"\x21" + leb(first + i)
    for i, wanted in enumerate(results):
        get = b"\x20" + leb(first + i)
        code += get
        if wanted in NAN:
            op, bits, differs = NAN[wanted]
            code += bytes([op]) + bits + get + get + bytes([differs - 1]) + b"\x1b"
    return vec([leb(1) + bytes([t]) for t in results]) + code + b"\x0b"


class Module:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.types = []
        self.functions = []  # (params, results)

    def type_index(self, params, results):
        entry = (tuple(params), tuple(results))
        if entry not in self.types:
            self.types.append(entry)
        return self.types.index(entry)

    def block_type(self, results, params=()):
        if not params and len(results) <= 1:
            return bytes([results[0] if results else 0x40])
        return sleb(self.type_index(params, results))

    def spare(self, function, wanted):
        """A local of the type that nothing else uses."""
        key = "spare_%x" % wanted
        if not hasattr(function, key):
            function.locals.append(wanted)
            setattr(function, key, len(function.params) + len(function.locals) - 1)
        return getattr(function, key)

    def check_result(self, wanted):
        assert wanted in NUMBERS

    def call(self, function, wanted):
        """Call a function made earlier, directly or through the table."""
        choices = [i for i, (_, results) in enumerate(self.functions) if results == [wanted]]
        if not choices:
            return None
        index = self.rng.choice(choices)
        params = self.functions[index][0]
        code = b"".join(function.code(t) for t in params)
        if self.rng.random() < 0.7:
            return code + b"\x10" + leb(index)
        table = function.code(I32) if self.rng.random() < 0.1 else b"\x41" + sleb(index)
        return code + table + b"\x11" + leb(self.type_index(params, [wanted])) + b"\x00"

    def bytes(self):
        rng = self.rng
        bodies = []
        indices = []
        for _ in range(rng.randrange(3, 9)):
            params = [rng.choice(NUMBERS) for _ in range(rng.randrange(0, 5))]
            results = [rng.choice(NUMBERS) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
            body = Function(rng, params, results, self).body()
            bodies.append(leb(len(body)) + body)
            indices.append(leb(self.type_index(params, results)))
            self.functions.append((params, results))
        count = len(bodies)
        for index, (params, results) in enumerate(self.functions):
            body = quiet(index, params, results)
            bodies.append(leb(len(body)) + body)
            indices.append(leb(self.type_index(params, results)))
        reset = b"\x00\x41" + sleb(FUEL) + b"\x24" + leb(FUEL_GLOBAL) + b"\x0b"
        bodies.append(leb(len(reset)) + reset)
        indices.append(leb(self.type_index([], [])))
        bodies.append(leb(len(DIGEST)) + DIGEST)
        indices.append(leb(self.type_index([], [I32])))
        types = [b"\x60" + vec([bytes([t]) for t in p]) + vec([bytes([t]) for t in r])
                 for p, r in self.types]
        zero = {I32: b"\x41\x00", I64: b"\x42\x00",
                F32: b"\x43" + bytes(4), F64: b"\x44" + bytes(8)}
        globals_ = [bytes([t, 1]) + zero[t] + b"\x0b" for t in NUMBERS]
        globals_.append(b"\x7f\x01\x41\x01\x0b")
        exports = [leb(len(b"f%d" % i)) + b"f%d" % i + b"\x00" + leb(count + i)
                   for i in range(count)]
        exports.append(b"\x05reset\x00" + leb(2 * count))
        exports.append(b"\x06digest\x00" + leb(2 * count + 1))
        exports.append(b"\x06memory\x02\x00")
        return (b"\x00asm\x01\x00\x00\x00" + section(1, vec(types)) + section(3, vec(indices)) +
                section(4, b"\x01\x70\x00" + leb(count + 2)) +
                section(5, b"\x01\x01" + leb(PAGES) + leb(PAGES)) +
                section(6, vec(globals_)) + section(7, vec(exports)) +
                section(9, b"\x01\x00\x41\x00\x0b" + vec([leb(i) for i in range(count)])) +
                section(10, vec(bodies)) +
                section(11, b"\x01\x00\x41\x00\x0b" + leb(256) + rng.randbytes(256)))


def write(seed, path):
    with open(path, "wb") as out:
        out.write(Module(seed).bytes())


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--many":
        first, count = int(sys.argv[2]), int(sys.argv[3])
        for seed in range(first, first + count):
            write(seed, "%s/seed-%d.wasm" % (sys.argv[4], seed))
    elif len(sys.argv) == 3:
        write(int(sys.argv[1]), sys.argv[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
