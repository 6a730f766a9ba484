#!/usr/bin/env python3
"""Make valid WebAssembly modules at random, for comparing engines and tiers.

    generate.py [--profile all|raw|large|node] SEED OUT.wasm
    generate.py [--profile all|raw|large|node] --many FIRST COUNT FOLDER

--many writes FOLDER/seed-N.wasm for COUNT seeds. The same seed and profile make the same module.

    all   every feature that the VM runs. What a NaN looks like is never seen by integer code: it is
          replaced before its bits or its sign can be, so that results agree but for the payloads
          of NaNs that are results themselves
    raw   the same without that care, for code that makes canonical NaNs
    large as all, with one function more, of a megabyte that does nothing: the compiler takes less
          pains with large modules
    node  what Node 20 runs; exported functions take and give numbers only, and there are two more:
          "reset", as below, and "digest", FNV-1a of the first page of memory 0

Every call and every turn of a loop burns fuel of the module's own, which runs out with a trap; the
exported function "reset" fills it up. Exported functions are "f0", "f1" and so on; memories,
tables and globals are exported too, as "m0", "t0", "g0" and so on, imported ones included. Imports
are all from "env".

The generator leans on what makes translators wrong: values that stay on the stack across blocks,
branches that carry several values, locals written while older copies are pending, constants in
every operand position, deep stacks, counted loops over memory that run out of it, many parameters.
"""
import argparse
import random
import struct

import opcodes
from opcodes import leb, section, sleb, vec

I32, I64, F32, F64, V128 = (bytes([code]) for code in (0x7f, 0x7e, 0x7d, 0x7c, 0x7b))
FUNCREF, EXTERNREF = b"\x70", b"\x6f"
NUMBERS = (I32, I64, F32, F64)
PLAIN = NUMBERS + (V128,)
LETTERS = {"i": I32, "l": I64, "f": F32, "d": F64, "v": V128}
PAGE = 65536
FUEL = 700
LARGE_BYTES = 1 << 20

NODE_FEATURES = {"MVP", "SATURATING_FLOAT_TO_INT", "SIGN_EXTENSION", "MULTI_VALUE", "SIMD",
                 "REFERENCE_TYPES", "BULK_MEMORY", "TAIL_CALL"}
ALL_FEATURES = NODE_FEATURES | {"EXTENDED_CONST", "FUNCTION_REFERENCES", "MULTI_MEMORY", "MEMORY64",
                                "RELAXED_SIMD"}

OPS = opcodes.read()
NAN = {F32: (b"\x43" + struct.pack("<I", 0x7fc00000), OPS["F32_EQ"].bytes),
       F64: (b"\x44" + struct.pack("<Q", 0x7ff8000000000000), OPS["F64_EQ"].bytes)}
NAN_LANES = {"F32X4": (struct.pack("<I", 0x7fc00000) * 4, OPS["F32X4_NE"].bytes),
             "F64X2": (struct.pack("<Q", 0x7ff8000000000000) * 2, OPS["F64X2_NE"].bytes)}
COMPARISONS = ("EQ", "NE", "LT", "GT", "LE", "GE")
# Lanes of another kind in, float lanes out: these show what a NaN looks like.
OTHER_LANES = ("CONVERT", "DEMOTE", "PROMOTE")


def is_nullable_ref(wanted):
    return wanted in (FUNCREF, EXTERNREF) or wanted[:1] == b"\x63"


class Features:
    """The rows of the opcode table that a profile may use, by what they are good for."""

    def __init__(self, names):
        rows = [op for op in OPS.values() if op.feature in names and op.is_plain]
        plain = [op for op in rows if op.imm in ("NONE", "LANE", "SHUFFLE")]
        memory = [op for op in rows if op.imm in ("MEMARG", "MEMARG_LANE")]
        self.names = names
        self.making = {wanted: [op for op in plain if op.result == letter and not op.traps]
                       for letter, wanted in LETTERS.items()}
        self.trapping = {wanted: [op for op in plain if op.result == letter and op.traps]
                         for letter, wanted in LETTERS.items()}
        self.loads = {wanted: [op for op in memory if op.result == letter]
                      for letter, wanted in LETTERS.items()}
        self.stores = [op for op in memory if op.result == ""]
        self.lanes = {shape: [op for op in plain if op.symbol.startswith(shape + "_") and
                              set(op.operands) == {"v"} and op.result == "v"
                              and op.symbol.split("_")[1] not in COMPARISONS + OTHER_LANES]
                      for shape in NAN_LANES}

    def have(self, name):
        return name in self.names


class Function:
    """One body. code() of a type leaves one value of it on the stack."""

    def __init__(self, module, params, results):
        self.module = module
        self.rng = module.rng
        self.params = params
        self.results = results
        self.locals = [self.rng.choice(module.local_types) for _ in range(self.rng.randrange(1, 8))]
        self.types = list(params) + self.locals
        # The counter bounds all loops of the function together.
        self.counter = self.new_local(I32)
        self.spares = {}
        self.labels = []  # types that a branch to the label takes, innermost last
        self.budget = self.rng.randrange(20, 170)

    # --- helpers

    def chance(self, probability):
        return self.rng.random() < probability

    def new_local(self, wanted):
        """A local that random code does not see."""
        self.locals.append(wanted)
        return len(self.params) + len(self.locals) - 1

    def spare(self, wanted):
        if wanted not in self.spares:
            self.spares[wanted] = self.new_local(wanted)
        return self.spares[wanted]

    def local_of(self, wanted):
        choices = [i for i, t in enumerate(self.types) if t == wanted]
        return self.rng.choice(choices) if choices else None

    def codes(self, types):
        return b"".join(self.code(t) for t in types)

    def constant(self, wanted):
        rng = self.rng
        if wanted == I32:
            return b"\x41" + sleb(rng.choice([0, 1, -1, 2, 7, 31, 32, 255, -128, 32767, 32768,
                                              -32769, 2**31 - 1, -2**31,
                                              rng.randrange(-2**31, 2**31)]))
        if wanted == I64:
            return b"\x42" + sleb(rng.choice([0, 1, -1, 63, 64, 40000, 2**31, 2**32, -2**31 - 1,
                                              2**63 - 1, -2**63, rng.randrange(-2**63, 2**63)]))
        if wanted == V128:
            return OPS["V128_CONST"].bytes + self.lanes()
        if wanted in NAN:
            value = rng.choice([0.0, -0.0, 1.0, -1.5, 0.5, 2.0**31, -2.0**31, 2.0**63, 1e30, 1e-30,
                                1e-40, 3.4028234663852886e38, float("inf"), -float("inf"),
                                rng.uniform(-1000, 1000),
                                rng.uniform(-1, 1) * 2.0**rng.randrange(70)])
            return b"\x43" + struct.pack("<f", value) if wanted == F32 else (
                b"\x44" + struct.pack("<d", value))
        return self.reference(wanted)

    def lanes(self):
        rng = self.rng
        choice = rng.randrange(5)
        if choice == 0:
            return struct.pack("<4f", *(rng.choice([0.0, -0.0, 1.5, -2.0**31, 1e30, 1e-40,
                                                    float("inf"), rng.uniform(-99, 99)])
                                        for _ in range(4)))
        if choice == 1:
            return struct.pack("<2d", *(rng.choice([0.0, -0.0, 2.0**63, -1.5, 1e300, 1e-310,
                                                    -float("inf"), rng.uniform(-99, 99)])
                                        for _ in range(2)))
        if choice == 2:
            return bytes(rng.choice([0, 1, 0x7f, 0x80, 0xff]) for _ in range(16))
        return rng.choice([bytes(16), b"\xff" * 16]) if choice == 3 else rng.randbytes(16)

    def reference(self, wanted):
        """A constant reference: a null, or a function."""
        module = self.module
        if wanted == EXTERNREF:
            return b"\xd0" + EXTERNREF
        if wanted == FUNCREF:
            if self.chance(0.3):
                return b"\xd0" + FUNCREF
            return b"\xd2" + leb(self.rng.randrange(module.func_count))
        if wanted[:1] == b"\x64" or self.chance(0.8):
            return module.reference_to(wanted[1:])
        return b"\xd0" + wanted[1:]

    def canonical(self, wanted):
        """Code that replaces a NaN on the stack, a scalar one, by the canonical one."""
        if not self.module.scrub or wanted not in NAN:
            return b""
        constant, equals = NAN[wanted]
        get = b"\x20" + leb(self.spare(wanted))
        return b"\x22" + leb(self.spare(wanted)) + constant + get + get + equals + b"\x1b"

    def canonical_lanes(self, shape):
        if not self.module.scrub:
            return b""
        constant, differs = NAN_LANES[shape]
        spare = leb(self.spare(V128))
        return (b"\x21" + spare + OPS["V128_CONST"].bytes + constant + b"\x20" + spare +
                b"\x20" + spare + b"\x20" + spare + differs + OPS["V128_BITSELECT"].bytes)

    # --- expressions

    def code(self, wanted):
        self.budget -= 1
        if self.budget <= 0 or self.chance(0.15):
            return self.leaf(wanted)
        if wanted in PLAIN:
            makers = [self.plain] * 5 + [self.load, self.block, self.if_else, self.select,
                                         self.tee, self.call, self.odd, self.loop, self.table]
            if wanted == V128:
                makers += [self.lane_chain] * 2
        else:
            makers = [self.leaf, self.block, self.if_else, self.select, self.tee, self.call,
                      self.table_get]
        return self.rng.choice(makers)(wanted)

    def leaf(self, wanted):
        local = self.local_of(wanted)
        if local is not None and self.chance(0.7):
            return b"\x20" + leb(local)
        found = self.module.globals_of(wanted)
        if found and self.chance(0.15):
            return b"\x23" + leb(self.rng.choice(found))
        return self.constant(wanted)

    def plain(self, wanted):
        """An instruction of operands and a result, nothing else."""
        features = self.module.features
        rows = features.making[wanted]
        if self.chance(0.04) and features.trapping[wanted]:
            rows = features.trapping[wanted]
        op = self.rng.choice(rows)
        code = b"".join(self.code(LETTERS[letter]) + self.scrubbed(op, at)
                        for at, letter in enumerate(op.operands))
        code += op.bytes + self.immediate(op)
        shape = op.symbol.split("_")[0]
        if shape in NAN_LANES and op.result == "v":
            code += self.canonical_lanes(shape)
        return code

    def scrubbed(self, op, at):
        """What makes an operand's NaN canonical, if the instruction shows its bits or sign."""
        letter = op.operands[at]
        shows = (op.symbol.endswith("COPYSIGN") and at == 1) or op.result not in "fd"
        if letter not in "fd" or not shows or op.symbol.split("_")[-1] in COMPARISONS:
            return b""
        return self.canonical(LETTERS[letter])

    def immediate(self, op):
        if op.imm == "LANE":
            return bytes([self.rng.randrange(16 >> op.width)])
        if op.imm == "SHUFFLE":
            return bytes(self.rng.randrange(32) for _ in range(16))
        return b""

    def lane_chain(self, _):
        """Float lanes through several instructions, whose NaNs nobody looks at in between."""
        shape = self.rng.choice(sorted(NAN_LANES))
        return self.lane_expression(shape, self.rng.randrange(1, 4)) + self.canonical_lanes(shape)

    def lane_expression(self, shape, depth):
        self.budget -= 1
        if depth == 0 or self.budget <= 0:
            return self.code(V128)
        op = self.rng.choice(self.module.features.lanes[shape])
        return b"".join(self.lane_expression(shape, depth - 1) if i == 0 or self.chance(0.4)
                        else self.leaf(V128) for i in range(len(op.operands))) + op.bytes

    def address(self, memory, mask=0x3fff):
        """An address, nearly always one near the start or the end of the memory."""
        is_64 = self.module.memories[memory].is_64
        wanted = I64 if is_64 else I32
        if self.chance(0.02):
            near = (PAGE * self.rng.choice([1, 1, 1, 2, 3]) -
                    self.rng.choice([0, 1, 2, 4, 8, 15, 16, 17, 33]))
            return (b"\x42" if is_64 else b"\x41") + sleb(near)
        code = self.code(wanted)
        if self.chance(0.985):
            code += (b"\x42" if is_64 else b"\x41") + sleb(mask) + (b"\x83" if is_64 else b"\x71")
        return code

    def memarg(self, op, memory):
        rng = self.rng
        offset = rng.randrange(0, 64)
        if self.chance(0.012):
            large = [100, 65535, 65536, 2**31, 2**32 - 1]
            if self.module.memories[memory].is_64:
                large += [2**32, 2**63, 2**64 - 1]
            offset = rng.choice(large)
        align = rng.randrange(0, op.width + 1)
        if memory == 0:
            return leb(align) + leb(offset)
        return leb(align | 0x40) + leb(memory) + leb(offset)

    def load(self, wanted):
        op = self.rng.choice(self.module.features.loads[wanted])
        memory = self.module.pick_memory()
        code = self.address(memory)
        if op.imm == "MEMARG_LANE":
            code += self.code(V128)
        return code + op.bytes + self.memarg(op, memory) + self.lane_of(op)

    def lane_of(self, op):
        return bytes([self.rng.randrange(16 >> op.width)]) if op.imm == "MEMARG_LANE" else b""

    def select(self, wanted):
        code = self.code(wanted) + self.code(wanted) + self.code(I32)
        if wanted not in PLAIN or self.chance(0.3):
            return code + b"\x1c\x01" + wanted
        return code + b"\x1b"

    def tee(self, wanted):
        local = self.local_of(wanted)
        return self.code(wanted) + (b"\x22" + leb(local) if local is not None else b"")

    def odd(self, wanted):
        """Sizes, growth, tests of references."""
        rng, module = self.rng, self.module
        memory = module.pick_memory()
        address = I64 if module.memories[memory].is_64 else I32
        table = rng.randrange(len(module.tables))
        index = I64 if module.tables[table].is_64 else I32
        choice = rng.randrange(8)
        if choice == 0 and wanted == address:
            return b"\x3f" + leb(memory)
        if choice == 1 and wanted == address:
            small = b"\x42" if address == I64 else b"\x41"
            return small + sleb(rng.choice([0, 0, 1, 1, 2, -1])) + b"\x40" + leb(memory)
        if choice == 2 and wanted == index:
            return OPS["TABLE_SIZE"].bytes + leb(table)
        if choice == 3 and wanted == index:
            small = b"\x42" if index == I64 else b"\x41"
            return (self.code(module.tables[table].element) + small +
                    sleb(rng.choice([0, 1, 2, 1000, -1])) + OPS["TABLE_GROW"].bytes + leb(table))
        if choice <= 5 and wanted == I32:
            return self.code(rng.choice(module.nullable_refs)) + b"\xd1"
        return self.plain(wanted)

    def table_index(self, table):
        """An index of a table, nearly always one inside."""
        described = self.module.tables[table]
        small = b"\x42" if described.is_64 else b"\x41"
        if self.chance(0.7):
            return small + sleb(self.rng.randrange(described.size))
        code = self.code(I64 if described.is_64 else I32)
        if self.chance(0.95):
            code += small + b"\x03" + (b"\x83" if described.is_64 else b"\x71")
        return code

    def table_get(self, wanted):
        tables = [i for i, t in enumerate(self.module.tables) if t.element == wanted]
        if not tables:
            return self.leaf(wanted)
        table = self.rng.choice(tables)
        return self.table_index(table) + b"\x25" + leb(table)

    # --- calls

    def callee(self, results):
        """A function made earlier with such results, or None."""
        choices = [i for i in self.module.callable if self.module.types_of(i)[1] == results]
        return self.rng.choice(choices) if choices else None

    def call(self, wanted):
        index = self.callee([wanted])
        return self.call_of(index) if index is not None else self.leaf(wanted)

    def call_of(self, index, tail=False):
        """Arguments and a call of a function: directly, through a table or a reference."""
        module, rng = self.module, self.rng
        params, results = module.types_of(index)
        number = module.type_index(params, results)
        code = self.codes(params)
        choice = rng.random()
        if choice < 0.2 and module.features.have("FUNCTION_REFERENCES"):
            target = (b"\xd2" + leb(index) if self.chance(0.85) else
                      self.code(b"\x63" + sleb(number)))
            return code + target + (b"\x15" if tail else b"\x14") + leb(number)
        tables = [i for i, t in enumerate(module.tables) if t.is_callable]
        if choice < 0.5 and tables:
            table = module.main_table if self.chance(0.9) else rng.choice(tables)
            target = self.table_index(table)
            if table == module.main_table and self.chance(0.93):
                target = b"\x41" + sleb(index)
            return code + target + (b"\x13" if tail else b"\x11") + leb(number) + leb(table)
        return code + (b"\x12" if tail else b"\x10") + leb(index)

    # --- structured control

    def block(self, wanted):
        self.labels.append([wanted])
        body = self.statements() + self.code(wanted) + self.maybe_br_if(wanted)
        self.labels.pop()
        return b"\x02" + wanted + body + b"\x0b"

    def maybe_br_if(self, wanted):
        """br_if with the value to a label that wants one of its type: it stays if not taken."""
        depths = [i for i, types in enumerate(reversed(self.labels)) if types == [wanted]]
        if depths and self.chance(0.5):
            return self.code(I32) + b"\x0d" + leb(self.rng.choice(depths))
        return b""

    def if_else(self, wanted):
        condition = self.code(I32)
        self.labels.append([wanted])
        first = self.statements() + self.code(wanted)
        second = self.code(wanted) + self.maybe_br_if(wanted)
        if self.chance(0.15):
            second = self.leave() or second
        self.labels.pop()
        return condition + b"\x04" + wanted + first + b"\x05" + second + b"\x0b"

    def again(self):
        """Whether the loop goes on: an i32."""
        counter = leb(self.counter)
        return (b"\x20" + counter + b"\x41\x01\x6a\x22" + counter +
                b"\x41" + sleb(self.rng.randrange(3, 40)) + b"\x48")

    def loop(self, wanted):
        self.labels.append([])
        body = self.module.burn + self.statements()
        self.labels.pop()
        self.labels.append([])
        value = self.code(wanted)
        self.labels.pop()
        return b"\x03" + wanted + body + self.again() + b"\x0d\x00" + value + b"\x0b"

    def table(self, wanted):
        """br_table with a value out of nested blocks."""
        return self.branch_table([wanted], True)

    def branch_table(self, types, keep):
        rng = self.rng
        depth = rng.randrange(1, 5)
        kind = self.module.block_type((), types)
        for _ in range(depth):
            self.labels.append(list(types))
        body = self.codes(types) + self.code(I32)
        targets = [rng.randrange(depth) for _ in range(rng.choice([0, 1, 2, 5, 12]))]
        body += b"\x0e" + vec([leb(t) for t in targets]) + leb(rng.randrange(depth))
        for _ in range(depth):
            self.labels.pop()
            body = b"\x02" + kind + body + b"\x0b"
            # Below the next block's end the values are used up and made anew.
            if self.chance(0.5):
                body += b"\x1a" * len(types) + b"".join(self.constant(t) for t in types)
        return body if keep else body + b"\x1a" * len(types)

    # --- statements

    def statements(self):
        return b"".join(self.statement() for _ in range(self.rng.randrange(0, 4)))

    def statement(self):
        self.budget -= 1
        if self.budget <= 0:
            return b""
        makers = [self.set_local, self.set_local, self.store, self.store, self.set_global,
                  self.drop, self.branch, self.jumps, self.many, self.turning, self.pile,
                  self.sweep, self.bulk, self.tables, self.call_statement, self.test_reference]
        return self.rng.choice(makers)()

    def set_local(self):
        local = self.rng.randrange(len(self.types))
        return self.code(self.types[local]) + b"\x21" + leb(local)

    def set_global(self):
        index, wanted = self.rng.choice(self.module.mutable_globals)
        return self.code(wanted) + b"\x24" + leb(index)

    def store(self):
        op = self.rng.choice(self.module.features.stores)
        memory = self.module.pick_memory()
        wanted = LETTERS[op.operands[1]]
        return (self.address(memory) + self.code(wanted) + self.canonical(wanted) + op.bytes +
                self.memarg(op, memory) + self.lane_of(op))

    def drop(self):
        return self.code(self.rng.choice(self.module.local_types)) + b"\x1a"

    def call_statement(self):
        index = self.rng.choice(self.module.callable) if self.module.callable else None
        if index is None:
            return b""
        return self.call_of(index) + self.take(self.module.types_of(index)[1])

    def take(self, types):
        """Values off the stack, into locals and globals."""
        code = b""
        for wanted in reversed(types):
            local = self.local_of(wanted)
            found = self.module.globals_of(wanted, mutable=True)
            if found and (local is None or self.chance(0.5)):
                code += b"\x24" + leb(self.rng.choice(found))
            else:
                code += b"\x21" + leb(local) if local is not None else b"\x1a"
        return code

    def leave(self):
        """An unconditional transfer, with the values its label wants."""
        index = self.callee(self.results)
        if index is not None and self.chance(0.2) and self.module.features.have("TAIL_CALL"):
            return self.call_of(index, tail=True)
        depth = self.rng.randrange(len(self.labels))
        values = self.codes(self.labels[-1 - depth])
        if depth == len(self.labels) - 1:
            return values + b"\x0f"
        return values + (b"\x00" if self.chance(0.05) else b"\x0c" + leb(depth))

    def branch(self):
        self.labels.append([])
        body = self.statements() + self.code(I32) + b"\x0d" + leb(0) + self.statements()
        if self.chance(0.3):
            body += self.code(I32) + b"\x04\x40" + self.leave_from_if() + b"\x0b"
        self.labels.pop()
        return b"\x02\x40" + body + b"\x0b"

    def leave_from_if(self):
        self.labels.append([])
        code = self.leave()
        self.labels.pop()
        return code

    def jumps(self):
        """br_table out of nested blocks that all want the same, on top of values below."""
        return self.branch_table(self.rng.choice([[], [I32], [I64, F64], [I32] * 3]), False)

    def many(self):
        """A block with parameters and several results, left by br_if with all of them."""
        types = [self.rng.choice(PLAIN) for _ in range(self.rng.randrange(1, 4))]
        kind = self.module.block_type(types, types)
        values = self.codes(types)
        self.labels.append(list(types))
        body = self.statements() + self.code(I32) + b"\x0d\x00" + self.statements()
        self.labels.pop()
        return values + b"\x02" + kind + body + b"\x0b" + self.take(types)

    def turning(self):
        """A loop that carries values round on the stack."""
        types = [self.rng.choice(NUMBERS) for _ in range(self.rng.randrange(1, 4))]
        kind = self.module.block_type(types, types)
        values = self.codes(types)
        step = {I32: b"\x6a", I64: b"\x7c", F32: b"\x92", F64: b"\xa0"}[types[-1]]
        self.labels.append(list(types))
        body = self.module.burn + self.statements() + self.code(types[-1]) + step
        body += self.again() + b"\x0d\x00"
        self.labels.pop()
        return values + b"\x03" + kind + body + b"\x0b" + self.take(types)

    def pile(self):
        """A deep stack of pending locals and constants, added up from the top."""
        height = self.rng.choice([3, 10, 70, 130])
        if self.budget < 20:
            height = 3
        code = b"".join(self.leaf(I32) for _ in range(height))
        local = self.local_of(I32)
        if local is not None:
            code += self.constant(I32) + b"\x21" + leb(local)
        return code + b"\x6a" * (height - 1) + self.take([I32])

    def sweep(self):
        """A counted loop over memory, as compilers like to widen: sometimes beyond its end."""
        rng, module = self.rng, self.module
        memory = module.pick_memory()
        is_64 = module.memories[memory].is_64
        number, add, less, multiply, mask = (
            (b"\x42", b"\x7c", b"\x54", b"\x7e", b"\x83") if is_64 else
            (b"\x41", b"\x6a", b"\x49", b"\x6c", b"\x71"))
        index = self.new_local(I64 if is_64 else I32)
        get = b"\x20" + leb(index)
        load = rng.choice([op for op in module.features.loads[rng.choice(NUMBERS + (V128,))]
                           if op.imm == "MEMARG"])
        wanted = LETTERS[load.result]
        store = rng.choice([op for op in module.features.stores
                            if op.imm == "MEMARG" and LETTERS[op.operands[1]] == wanted])
        scale = rng.choice([1, 1 << store.width, 1 << load.width, 3])
        turns = rng.choice([3, 16, 33, 200])
        if self.chance(0.08):
            start = max(0, (PAGE - rng.randrange(0, turns * scale + 1)) // scale)
        else:
            start = rng.randrange(0, 64)
        first = number + sleb(start)
        bound = number + sleb(start + turns)
        if self.chance(0.3):  # a bound that only the running program knows
            bound = (self.leaf(I64 if is_64 else I32) + number + sleb(turns) + mask +
                     number + sleb(start) + add)
        place = get + (number + sleb(scale) + multiply if scale != 1 else b"")
        value = place + load.bytes + self.memarg(load, memory)
        other = self.leaf(wanted)
        combine = {I32: b"\x6a", I64: b"\x85", F32: b"\x94", F64: b"\xa0",
                   V128: OPS["V128_XOR"].bytes}[wanted]
        body = (place + value + other + combine + self.canonical(wanted) + store.bytes +
                self.memarg(store, memory))
        sums = self.local_of(wanted)
        if sums is not None and self.chance(0.4):  # a sum, instead of a copy
            body = b"\x20" + leb(sums) + value + combine + b"\x21" + leb(sums)
        step = rng.choice([1, 1, 1, 2])
        again = get + number + sleb(step) + add + b"\x22" + leb(index) + bound + less
        return (module.burn + first + b"\x21" + leb(index) + b"\x03\x40" + body + again +
                b"\x0d\x00\x0b")

    def length(self, is_64):
        rng = self.rng
        return (b"\x42" if is_64 else b"\x41") + sleb(
            rng.choice([0, 1, 5, 16, 100, 300, 2**17 if self.chance(0.1) else 64]))

    def bulk(self):
        """Bulk memory: copies, fills, segments."""
        module, rng = self.module, self.rng
        to, source = module.pick_memory(), module.pick_memory()
        to_64, source_64 = module.memories[to].is_64, module.memories[source].is_64
        choice = rng.randrange(4)
        if choice == 0:
            return (self.address(to) + self.code(I32) + self.length(to_64) +
                    OPS["MEMORY_FILL"].bytes + leb(to))
        if choice == 1:
            return (self.address(to) + self.address(source) + self.length(to_64 and source_64) +
                    OPS["MEMORY_COPY"].bytes + leb(to) + leb(source))
        segment = rng.randrange(len(module.data))
        if choice == 2 and self.chance(0.15):
            return OPS["DATA_DROP"].bytes + leb(segment)
        start = b"\x41" + sleb(rng.choice([0, 0, 1, 7, 60]))
        count = b"\x41" + sleb(rng.choice([0, 1, 9, 33, 70]))
        return (self.address(to) + start + count + OPS["MEMORY_INIT"].bytes + leb(segment) +
                leb(to))

    def tables(self):
        """Table instructions."""
        module, rng = self.module, self.rng
        table = rng.randrange(len(module.tables))
        described = module.tables[table]
        small = b"\x42" if described.is_64 else b"\x41"
        count = sleb(rng.choice([0, 1, 1, 2, 2, 3, 40 if self.chance(0.2) else 4]))
        start = small + b"\x00" if self.chance(0.7) else self.table_index(table)
        choice = rng.randrange(5)
        if choice == 0:
            return self.table_index(table) + self.code(described.element) + b"\x26" + leb(table)
        if choice == 1:
            return (start + self.code(described.element) + small + count +
                    OPS["TABLE_FILL"].bytes + leb(table))
        if choice == 2:
            other = rng.choice([i for i, t in enumerate(module.tables)
                                if t.element == described.element])
            both = b"\x42" if described.is_64 and module.tables[other].is_64 else b"\x41"
            source = b"\x42" if module.tables[other].is_64 else b"\x41"
            return (start + source + sleb(rng.choice([0, 0, 1])) + both + count +
                    OPS["TABLE_COPY"].bytes + leb(table) + leb(other))
        segments = [i for i, element in enumerate(module.elems) if element == described.element]
        if not segments:
            return b""
        segment = rng.choice(segments)
        if choice == 3 and self.chance(0.15):
            return OPS["ELEM_DROP"].bytes + leb(segment)
        return (start + b"\x41" + sleb(rng.choice([0, 0, 1])) + b"\x41" +
                sleb(rng.choice([0, 1, 2])) + OPS["TABLE_INIT"].bytes + leb(segment) + leb(table))

    def test_reference(self):
        """br_on_null, br_on_non_null and ref.as_non_null."""
        module = self.module
        if not module.features.have("FUNCTION_REFERENCES"):
            return self.drop()
        wanted = self.rng.choice([FUNCREF] + module.typed_refs)
        heap = wanted[1:] if wanted != FUNCREF else FUNCREF
        choice = self.rng.randrange(6)
        if choice == 0:
            value = self.code(wanted) if self.chance(0.2) else module.reference_to(heap)
            return value + b"\xd4\x1a"
        self.labels.append([] if choice <= 3 else [b"\x64" + heap])
        if choice <= 3:
            code = (b"\x02\x40" + self.statements() + self.code(wanted) + b"\xd5\x00\x1a" +
                    self.statements() + b"\x0b")
        else:
            other = module.reference_to(heap)
            code = (b"\x02\x64" + heap + self.code(wanted) + b"\xd6\x00" + self.statements() +
                    other + b"\x0b\x1a")
        self.labels.pop()
        return code

    def body(self):
        self.labels.append(list(self.results))
        code = self.statements() + self.codes(self.results)
        groups = [leb(1) + t for t in self.locals]
        return vec(groups) + self.module.burn + code + b"\x0b"


class Memory:
    def __init__(self, rng, is_64, imported):
        self.is_64 = is_64
        self.imported = imported
        self.max = rng.randrange(1, 4)

    def type(self):
        return (b"\x05" if self.is_64 else b"\x01") + leb(1) + leb(self.max)


class Table:
    def __init__(self, element, size, is_64, imported):
        self.element = element
        self.size = size
        self.is_64 = is_64
        self.imported = imported
        self.is_callable = element == FUNCREF or element[:1] == b"\x63"

    def type(self):
        return self.element + (b"\x05" if self.is_64 else b"\x01") + leb(self.size) + leb(
            self.size + 4)


class Module:
    """Everything but the bodies is decided first; bodies then refer to all of it."""

    def __init__(self, seed, profile):
        self.rng = random.Random("%s %d" % (profile, seed))
        self.is_node = profile == "node"
        self.is_large = profile == "large"
        self.scrub = profile != "raw"
        self.features = Features(NODE_FEATURES if self.is_node else ALL_FEATURES)
        self.types = []
        self.imports = []
        self.functions = []  # (type number)
        self.callable = []   # those that bodies may call directly: no recursion that way
        self.typed_refs = []
        self.plan_functions()
        self.plan_globals()
        self.plan_memories()
        self.plan_tables()

    # --- types

    def type_index(self, params, results):
        entry = (tuple(params), tuple(results))
        if entry not in self.types:
            self.types.append(entry)
        return self.types.index(entry)

    def block_type(self, params, results):
        if not params and len(results) <= 1:
            return results[0] if results else b"\x40"
        return sleb(self.type_index(params, results))

    def types_of(self, function):
        params, results = self.types[self.functions[function]]
        return list(params), list(results)

    def number_of_ref(self, wanted):
        """The type number in "(ref null? N)": small ones only, so one byte."""
        return wanted[1]

    def functions_of_type(self, number):
        return [i for i, n in enumerate(self.functions) if n == number]

    def reference_to(self, heap):
        """A non-null reference: ref.func of a function that fits."""
        fitting = (range(self.func_count) if heap == FUNCREF else
                   self.functions_of_type(heap[0]))
        return b"\xd2" + leb(self.rng.choice(list(fitting)))

    # --- the plan

    def some_types(self, count, choices):
        return [self.rng.choice(choices) for _ in range(count)]

    def plan_functions(self):
        rng = self.rng
        choices = NUMBERS if self.is_node else PLAIN + (FUNCREF, EXTERNREF)
        weighted = list(NUMBERS) * 3 + list(choices)
        if not self.is_node:
            for _ in range(rng.randrange(0, 3)):
                params = self.some_types(rng.choice([0, 1, 2, 9]), weighted)
                results = self.some_types(rng.choice([0, 1, 1, 3]), weighted)
                number = self.type_index(params, results)
                self.imports.append((b"\x00" + leb(number), "f"))
                self.callable.append(len(self.functions))
                self.functions.append(number)
        self.first_defined = len(self.functions)
        for _ in range(rng.randrange(3, 9)):
            params = self.some_types(rng.choice([0, 1, 1, 2, 2, 3, 4, 7, 20]), weighted)
            results = self.some_types(rng.choice([1, 1, 1, 1, 2, 3, 0 if not self.is_node else 1,
                                                  6]), weighted)
            self.functions.append(self.type_index(params, results))
        if self.features.have("FUNCTION_REFERENCES"):
            # Typed references to a few of the types; their numbers take one byte.
            numbers = sorted({n for n in self.functions if n < 64})
            self.typed_refs = [b"\x63" + bytes([n]) for n in rng.sample(numbers,
                                                                         min(2, len(numbers)))]
        self.func_count = len(self.functions)
        self.nullable_refs = [FUNCREF, EXTERNREF] + self.typed_refs
        self.local_types = list(NUMBERS) * 3 + [V128] * 2 + self.nullable_refs

    def plan_globals(self):
        rng = self.rng
        self.globals = []  # (type, mutable), imported ones first
        if not self.is_node:
            for _ in range(rng.randrange(0, 3)):
                entry = (rng.choice(PLAIN), rng.random() < 0.7)
                self.imports.append((b"\x03" + entry[0] + bytes([entry[1]]), "g"))
                self.globals.append(entry)
        self.imported_globals = len(self.globals)
        self.globals += [(t, True) for t in PLAIN + (FUNCREF, EXTERNREF)]
        self.globals += [(rng.choice(NUMBERS), False) for _ in range(2)]
        self.mutable_globals = [(i, t) for i, (t, mutable) in enumerate(self.globals) if mutable]
        self.fuel_global = len(self.globals)
        fuel = leb(self.fuel_global)
        self.burn = (b"\x23" + fuel + b"\x41\x01\x6b\x24" + fuel + b"\x23" + fuel +
                     b"\x45\x04\x40\x00\x0b")

    def globals_of(self, wanted, mutable=False):
        return [i for i, (t, m) in enumerate(self.globals) if t == wanted and (m or not mutable)]

    def plan_memories(self):
        rng = self.rng
        count = 1 if self.is_node else rng.choice([1, 1, 1, 2, 3])
        self.memories = [Memory(rng, not self.is_node and rng.random() < 0.25,
                                not self.is_node and rng.random() < 0.15) for _ in range(count)]
        self.memories.sort(key=lambda memory: not memory.imported)
        self.imports += [(b"\x02" + memory.type(), "m") for memory in self.memories
                         if memory.imported]
        self.data = [rng.randbytes(64), rng.randbytes(9)]  # passive ones

    def pick_memory(self):
        return 0 if self.rng.random() < 0.7 else self.rng.randrange(len(self.memories))

    def plan_tables(self):
        rng = self.rng
        self.tables = [Table(FUNCREF, self.func_count + 2, False, False),
                       Table(FUNCREF, 4, not self.is_node and rng.random() < 0.5,
                             not self.is_node and rng.random() < 0.3),
                       Table(EXTERNREF, 5, False, not self.is_node and rng.random() < 0.2)]
        self.tables += [Table(ref, 4, rng.random() < 0.2, False) for ref in self.typed_refs]
        main = self.tables[0]
        self.tables.sort(key=lambda table: not table.imported)
        self.main_table = self.tables.index(main)
        self.imports += [(b"\x01" + table.type(), "t") for table in self.tables if table.imported]
        # Segments: the main table's, active; a passive one of all functions; a passive one of
        # expressions; and one that only declares.
        self.elems = [FUNCREF, FUNCREF, FUNCREF] + self.typed_refs

    # --- sections

    def constant_expression(self, wanted):
        rng = self.rng
        if wanted in (I32, I64) and self.features.have("EXTENDED_CONST") and rng.random() < 0.3:
            first, second = (b"\x41", I32) if wanted == I32 else (b"\x42", I64)
            op = rng.choice([0x6a, 0x6b, 0x6c] if second == I32 else [0x7c, 0x7d, 0x7e])
            return (first + sleb(rng.randrange(-2**30, 2**30)) + first +
                    sleb(rng.randrange(-99, 99)) + bytes([op]) + b"\x0b")
        if wanted in (FUNCREF, EXTERNREF) or wanted[:1] == b"\x63":
            heap = wanted if wanted in (FUNCREF, EXTERNREF) else wanted[1:]
            return b"\xd0" + heap + b"\x0b"
        zero = {I32: b"\x41\x00", I64: b"\x42\x00", F32: b"\x43" + bytes(4),
                F64: b"\x44" + bytes(8), V128: OPS["V128_CONST"].bytes + bytes(16)}
        if wanted in (I32, I64) and rng.random() < 0.5:
            return zero[wanted][:1] + sleb(rng.randrange(-1000, 1000)) + b"\x0b"
        return zero[wanted] + b"\x0b"

    def elem_section(self):
        functions = [leb(i) for i in range(self.func_count)]
        main = leb(self.main_table)
        segments = [b"\x02" + main + b"\x41\x00\x0b\x00" + vec(functions),
                    b"\x01\x00" + vec(functions),
                    b"\x05\x70" + vec([b"\xd2\x00\x0b", b"\xd0\x70\x0b", b"\xd2" + functions[-1] +
                                       b"\x0b"])]
        for ref in self.typed_refs:
            fitting = self.functions_of_type(self.number_of_ref(ref))
            segments.append(b"\x05" + ref + vec([b"\xd2" + leb(i) + b"\x0b" for i in fitting]))
        segments.append(b"\x03\x00" + vec(functions))
        return vec(segments)

    def data_section(self):
        segments = [b"\x01" + vec([bytes([b]) for b in data]) for data in self.data]
        for index, memory in enumerate(self.memories):
            where = (b"\x42" if memory.is_64 else b"\x41") + b"\x00\x0b"
            segments.append(b"\x02" + leb(index) + where + leb(256) + self.rng.randbytes(256))
        return vec(segments)

    def export_section(self, first):
        def export(name, kind, index):
            return leb(len(name)) + name.encode() + bytes([kind]) + leb(index)
        count = self.func_count - self.first_defined
        exports = [export("f%d" % i, 0, first + i) for i in range(count)]
        exports += [export("m%d" % i, 2, i) for i in range(len(self.memories))]
        exports += [export("t%d" % i, 1, i) for i in range(len(self.tables))]
        exports += [export("g%d" % i, 3, i) for i in range(len(self.globals))]
        after = self.func_count + (count if self.is_node else 0)
        exports.append(export("reset", 0, after))
        if self.is_node:
            exports.append(export("digest", 0, after + 1))
        return vec(exports)

    def quiet(self, index):
        """The body of a function that calls another and makes the NaNs among its results
        canonical: one that was read from memory may be signalling, which not every host hands on
        as it is."""
        params, results = self.types_of(index)
        first = len(params)
        code = b"".join(b"\x20" + leb(i) for i in range(first)) + b"\x10" + leb(index)
        for i in reversed(range(len(results))):
            code += b"\x21" + leb(first + i)
        for i, wanted in enumerate(results):
            get = b"\x20" + leb(first + i)
            code += get
            if wanted in NAN:
                constant, equals = NAN[wanted]
                code += constant + get + get + equals + b"\x1b"
        return vec([leb(1) + t for t in results]) + code + b"\x0b"

    def bodies(self):
        """Bodies, with the type numbers of all functions."""
        numbers = self.functions[self.first_defined:]
        bodies = []
        for index in range(self.first_defined, self.func_count):
            params, results = self.types_of(index)
            bodies.append(Function(self, params, results).body())
            self.callable.append(index)
        if self.is_node:
            numbers = numbers * 2
            bodies += [self.quiet(index) for index in range(self.func_count)]
        bodies.append(b"\x00\x41" + sleb(FUEL) + b"\x24" + leb(self.fuel_global) + b"\x0b")
        numbers = numbers + [self.type_index([], [])]
        if self.is_node:
            bodies.append(DIGEST)
            numbers.append(self.type_index([], [I32]))
        if self.is_large:
            bodies.append(b"\x00" + b"\x01" * LARGE_BYTES + b"\x0b")
            numbers.append(self.type_index([], []))
        return numbers, [leb(len(body)) + body for body in bodies]

    def bytes(self):
        numbers, bodies = self.bodies()
        first = self.func_count if self.is_node else self.first_defined
        types = [b"\x60" + vec(list(p)) + vec(list(r)) for p, r in self.types]
        # Imports in the order of the index spaces; names do not matter, but all differ.
        imports = [b"\x03env" + leb(len(name + str(i))) + (name + str(i)).encode() + described
                   for i, (described, name) in enumerate(self.imports)]
        globals_ = [t + bytes([mutable]) + self.constant_expression(t)
                    for t, mutable in self.globals[self.imported_globals:]]
        globals_.append(I32 + b"\x01\x41\x01\x0b")
        return (b"\x00asm\x01\x00\x00\x00" + section(1, vec(types)) + section(2, vec(imports)) +
                section(3, vec([leb(n) for n in numbers])) +
                section(4, vec([t.type() for t in self.tables if not t.imported])) +
                section(5, vec([m.type() for m in self.memories if not m.imported])) +
                section(6, vec(globals_)) + section(7, self.export_section(first)) +
                section(9, self.elem_section()) + section(12, leb(2 + len(self.memories))) +
                section(10, vec(bodies)) + section(11, self.data_section()))


# FNV-1a, 32 bits, of the first page of memory 0.
DIGEST = (b"\x01\x02\x7f\x41" + b"\xc5\xbb\xf2\x88\x78" + b"\x21\x00\x03\x40"
          b"\x20\x00\x20\x01\x2d\x00\x00\x73\x41\x93\x83\x80\x08\x6c\x21\x00"
          b"\x20\x01\x41\x01\x6a\x22\x01\x41\x80\x80\x04\x47\x0d\x00\x0b\x20\x00\x0b")


def write(seed, profile, path):
    with open(path, "wb") as out:
        out.write(Module(seed, profile).bytes())


def main():
    parser = argparse.ArgumentParser(description="Make valid WebAssembly modules at random.")
    parser.add_argument("--profile", choices=["all", "raw", "large", "node"], default="all")
    parser.add_argument("--many", action="store_true", help="FIRST COUNT FOLDER")
    parser.add_argument("words", nargs="+", metavar="SEED OUT.wasm")
    args = parser.parse_args()
    if len(args.words) != (3 if args.many else 2):
        parser.error("expected FIRST COUNT FOLDER" if args.many else "expected SEED OUT.wasm")
    if not args.many:
        write(int(args.words[0]), args.profile, args.words[1])
        return
    first, count = int(args.words[0]), int(args.words[1])
    for seed in range(first, first + count):
        write(seed, args.profile, "%s/seed-%d.wasm" % (args.words[2], seed))


if __name__ == "__main__":
    main()
