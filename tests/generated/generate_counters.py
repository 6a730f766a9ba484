#!/usr/bin/env python3
"""A module of loops over static arrays, as text: generate_counters.py SEED > FILE.wat

Counters start at constants, negative ones mostly, as compilers to wasm make them: they end at
zero, and are added, modulo 2^32, to where an array ends. The counter itself is used too, and in
other ways, within the loop and behind it.
"""
import random
import sys

FUNCTIONS = 24
SIZE = 65536


def address(rng, low, high):
    """Where a counter of [low, high) has to be added to stay in memory, and the offset."""
    base = rng.randint(1024, 8192)
    if low < 0:
        inside = (base - low) & 0xFFFFFFFF
        return inside, rng.choice([0, 0, 8, 1040, 4096])
    return base & ~7, rng.choice([0, 0, 1024, 2000])


def function(rng, number):
    step = rng.choice([1, 2, 4, 8, 8, 12, 24])
    runs = rng.choice([1, 3, 8, 17, 64, 257])
    first = -step * runs
    end = 0
    if rng.random() < 0.3:
        shift = rng.randint(-5000, 5000)
        first, end = first + shift, shift
    if rng.random() < 0.1:
        runs, first, end = 3, 2 ** 31 - step, 2 ** 31 + 2 * step
    lines = []
    for _ in range(rng.randint(1, 3)):
        into, into_offset = address(rng, first, end)
        from_, from_offset = address(rng, first, end)
        bits = rng.choice(["8", "16", ""])
        load = f"i32.load{bits}_u" if bits else "i32.load"
        mask = "" if abs(first) < 60000 and abs(end) < 60000 else "i32.const 0x3fff i32.and"
        lines.append(f"local.get $c i32.const {into} i32.add {mask}"
                     f" local.get $c i32.const {from_} i32.add {mask}"
                     f" {load} offset={from_offset} local.get $sum i32.add"
                     f" i32.store{bits} offset={into_offset}")
    use = rng.choice(["local.get $c i32.xor", "i32.const 7 i32.rotl local.get $c i32.add",
                      "local.get $c i32.const 3 i32.shr_s i32.sub",
                      "local.get $c i32.const 1 i32.or i32.add"])
    test = rng.choice(["local.tee $c br_if $again",
                       f"local.tee $c i32.const {end} i32.ne br_if $again",
                       f"local.tee $c i32.const {end} i32.lt_s br_if $again"])
    if end != 0 and "tee $c br_if" in test or end >= 2 ** 31:
        test = f"local.tee $c i32.const {end} i32.ne br_if $again"
    body = "\n    ".join(lines)
    return f"""(func (export "f{number}") (result i32 i32)
  (local $c i32) (local $sum i32) (local $outer i32)
  (loop $more
    i32.const {first} local.set $c
    (loop $again
    {body}
    local.get $sum {use} local.set $sum
    local.get $c i32.const {step} i32.add {test})
    local.get $outer i32.const 1 i32.add local.tee $outer i32.const {rng.randint(1, 3)} i32.lt_u
    br_if $more)
  local.get $sum local.get $c)"""


def main():
    rng = random.Random(int(sys.argv[1]))
    data = "".join(f"\\{rng.randint(0, 255):02x}" for _ in range(16384))
    print(f'(module (memory (export "memory") {SIZE // 65536})')
    print(f'(data (i32.const 0) "{data}")')
    print("\n".join(function(rng, i) for i in range(FUNCTIONS)))
    print(")")


if __name__ == "__main__":
    main()
