#!/usr/bin/env python3
"""A module of loops over memory, as text: generate_loops.py SEED > FILE.wat

Every loop is of the kind that the compiler makes in two versions: one block, addresses that change
by a constant, a test at the end. Starts and bounds come from globals, so that nothing is known when
the module is compiled. Most loops stay inside memory; the others run into its end, below address
0, or past 2^32, and must leave behind exactly what they wrote before. All end: at a trap, if not
before, since at least one address of each goes through all of memory.
"""
import random
import sys

PAGE = 65536
FUNCTIONS = 24

# type, bytes, load, store
KINDS = [
    ("i32", 1, "i32.load8_u", "i32.store8"),
    ("i32", 1, "i32.load8_s", "i32.store8"),
    ("i32", 2, "i32.load16_u", "i32.store16"),
    ("i32", 4, "i32.load", "i32.store"),
    ("i64", 4, "i64.load32_s", "i64.store32"),
    ("i64", 8, "i64.load", "i64.store"),
    ("f32", 4, "f32.load", "f32.store"),
    ("f64", 8, "f64.load", "f64.store"),
]

OPERATORS = {
    "i32": ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "shr_s", "rotl"],
    "i64": ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "rotl"],
    "f32": ["add", "sub", "mul", "min", "max"],
    "f64": ["add", "sub", "mul", "max"],
}


class Loop:
    def __init__(self, rng, number, pages):
        self.rng = rng
        self.number = number
        self.size = pages * PAGE
        self.globals = []

    def opaque(self, value):
        """An i32 that the compiler does not know."""
        self.globals.append(value & 0xFFFFFFFF)
        return f"(global.get $g{self.number}_{len(self.globals) - 1})"

    def start(self, step, runs):
        """An address to start from: mostly so that all runs fit, else near some edge."""
        way = (runs - 1) * step
        low, high = max(0, -way), self.size - 64 - max(0, way)
        choice = self.rng.random()
        if choice < 0.6 and low <= high:
            return self.rng.randint(low, high)
        edge = self.rng.choice([0, self.size, self.size - way, -way, 2 ** 32 - 1])
        return edge + self.rng.randint(-40, 40)

    def counter(self, runs):
        """Start, step and test (with its bound) of a counter, for about as many runs."""
        rng = self.rng
        step = rng.choice([1, 1, 1, 2, 3, 4, 8, 12, -1, -1, -2, -4, -5])
        first = rng.choice([0, 0, rng.randint(-100, 100), rng.randint(0, 2 ** 32 - 1),
                            2 ** 31 - runs, 2 ** 32 - runs // 2])
        last = first + runs * step
        if rng.random() < 0.2:
            last += rng.randint(-3, 3)
        names = ["lt_u", "le_u", "lt_s", "le_s"] if step > 0 else ["gt_u", "ge_u", "gt_s", "ge_s"]
        name = rng.choice(["ne", "ne", "ne"] + names)
        return first, step, name, last

    def body(self, pointers):
        """Accesses through the pointers, and a sum of what they load."""
        rng = self.rng
        lines = []
        for _ in range(rng.randint(1, 4)):
            kind = rng.choice(KINDS)
            other = rng.choice([k for k in KINDS if k[0] == kind[0]])
            type_, _, load, _ = kind
            offset, at = rng.choice([0, 0, 4, 16, 1000]), rng.choice([0, 0, 8, 20])
            source, target = rng.choice(pointers), rng.choice(pointers)
            value = f"({load} offset={offset} (local.get {source}))"
            operator = rng.choice(OPERATORS[type_])
            if rng.random() < 0.3:
                index = f"(i32.add (local.get {source}) (i32.const {rng.randint(-64, 64)}))"
                value = f"({type_}.{operator} {value} ({load} {index}))"
            else:
                value = f"({type_}.{operator} {value} ({type_}.const {rng.randint(1, 9)}))"
            if type_ in ("f32", "f64"):  # which NaN it is differs from tier to tier
                value = (f"(select (local.tee $new_{type_} {value}) ({type_}.const 1.5) "
                         f"({type_}.eq (local.get $new_{type_}) (local.get $new_{type_})))")
            if rng.random() < 0.7:
                lines.append(f"({other[3]} offset={at} (local.get {target}) {value})")
            elif type_ == "i32":
                operator = rng.choice(["add", "xor"])
                lines.append(f"(local.set $sum (i32.{operator} (local.get $sum) {value}))")
            elif type_ == "i64":
                lines.append(f"(local.set $sum (i32.add (local.get $sum) (i32.wrap_i64 {value})))")
            else:
                lines.append(f"(local.set ${type_} {value})")
        return lines

    def text(self):
        rng = self.rng
        runs = rng.choice([1, 2, 7, 8, 9, 31, 33, 100, 257])
        first, step, name, last = self.counter(runs)
        pointers = ["$p", "$q"][: rng.randint(1, 2)]
        out = [f'(func (export "f{self.number}") (result i32 f32 f64)',
               "(local $c i32) (local $p i32) (local $q i32) (local $sum i32)",
               "(local $f32 f32) (local $f64 f64) (local $end i32)",
               "(local $new_f32 f32) (local $new_f64 f64)",
               f"(local.set $c {self.opaque(first)})",
               f"(local.set $end {self.opaque(last)})"]
        ups = []
        for pointer in pointers:
            by = rng.choice([1, 2, 4, 4, 8, 8, 16, -4, -8, -1, 24])
            out.append(f"(local.set {pointer} {self.opaque(self.start(by, runs))})")
            ups.append(f"(local.set {pointer} (i32.add (local.get {pointer}) (i32.const {by})))")
        # Every loop ends, if not by its counter: the first pointer leaves memory in the end.
        first_touch = "(i32.store8 (local.get $p) (i32.load8_u (local.get $p)))"
        out.append("(loop $again")
        out += [first_touch] + self.body(pointers) + ups
        out.append(f"(local.set $c (i32.add (local.get $c) (i32.const {step})))")
        out.append(f"(br_if $again (i32.{name} (local.get $c) (local.get $end))))")
        out.append("(local.get $sum) (local.get $f32) (local.get $f64))")
        return "\n  ".join(out)


def main():
    rng = random.Random(int(sys.argv[1]))
    pages = rng.choice([1, 1, 2])
    loops = [Loop(rng, i, pages) for i in range(FUNCTIONS)]
    texts = [loop.text() for loop in loops]
    data = "".join(f"\\{rng.randint(0, 255):02x}" for _ in range(4096))
    print("(module")
    print(f'(memory (export "memory") {pages})')
    print(f'(data (i32.const 0) "{data}")')
    print(f'(data (i32.const {pages * PAGE - 4096}) "{data}")')
    for loop in loops:
        for i, value in enumerate(loop.globals):
            print(f"(global $g{loop.number}_{i} (mut i32) (i32.const {value}))")
    print("\n".join(texts))
    print(")")


if __name__ == "__main__":
    main()
