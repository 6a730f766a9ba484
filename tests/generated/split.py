"""Make two modules of one, so that some of its functions can run on another tier than the rest.

Both halves have all functions, under the same indices. In each half the functions that belong to
the other are stubs, which make a tail call through the table "split.out": entry k is function k of
the other half. Whoever instantiates them fills both tables from the exports "split.f0",
"split.f1" and so on. The near half has the memories, tables and globals of the module; the far half
imports them from "split". No index changes: the tables come behind all others, and what was defined
is imported in its order.

What differs from the module: a segment that is dropped in one half can still be used in the other;
functions that the module's host sees as callers are those of the half they are in; and calls
between the halves cost fuel.
"""
from opcodes import leb, section, vec

FUNCREF = 0x70
END = 0x0b
KINDS = {"table": 1, "memory": 2, "global": 3}
# Bytes behind the opcodes of constant expressions: a count, or LEB128 numbers.
CONSTANTS = {0x41: "leb", 0x42: "leb", 0x43: 4, 0x44: 8, 0x23: "leb", 0xd2: "leb", 0xd0: "leb",
             0x6a: 0, 0x6b: 0, 0x6c: 0, 0x7c: 0, 0x7d: 0, 0x7e: 0}


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def leb(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def raw(self, skip):
        """The bytes that the function skip moves over."""
        start = self.at
        skip()
        return self.data[start:self.at]

    def skip_valtype(self):
        if self.byte() in (0x63, 0x64):
            self.leb()

    def skip_limits(self):
        flags = self.leb()
        self.leb()
        if flags & 1:
            self.leb()

    def skip_tabletype(self):
        self.skip_valtype()
        self.skip_limits()

    def skip_globaltype(self):
        self.skip_valtype()
        self.byte()

    def skip_expr(self):
        while True:
            op = self.byte()
            if op == END:
                return
            if op == 0xfd:
                if self.leb() != 12:
                    raise ValueError("a constant expression that split.py does not know")
                self.take(16)
            elif CONSTANTS.get(op) == "leb":
                self.leb()
            else:
                self.take(CONSTANTS[op])


class Module:
    def __init__(self, data):
        self.sections = {}
        reader = Reader(data)
        if reader.take(8) != b"\0asm\x01\0\0\0":
            raise ValueError("not a module")
        while reader.at < len(data):
            number = reader.byte()
            contents = reader.take(reader.leb())
            if number != 0:
                self.sections[number] = contents
        if 8 in self.sections:
            raise ValueError("a module with a start function cannot be split")
        self.read_types()
        self.read_imports()
        self.functions = self.imported + self.numbers(3)
        self.bodies = self.vector(10, lambda r: r.take(r.leb()))
        self.first_defined = len(self.imported)
        self.count = len(self.functions)
        self.tables = self.vector(4, self.read_table)
        self.memories = self.vector(5, lambda r: r.raw(r.skip_limits))
        self.globals = self.vector(6, self.read_global)

    def vector(self, number, read):
        reader = Reader(self.sections.get(number, b"\0"))
        return [read(reader) for _ in range(reader.leb())]

    def numbers(self, number):
        return self.vector(number, lambda reader: reader.leb())

    @staticmethod
    def read_table(reader):
        if reader.data[reader.at] != 0x40:
            return reader.raw(reader.skip_tabletype)
        reader.take(2)
        kind = reader.raw(reader.skip_tabletype)
        reader.skip_expr()
        return kind

    @staticmethod
    def read_global(reader):
        kind = reader.raw(reader.skip_globaltype)
        reader.skip_expr()
        return kind

    def read_types(self):
        def read(reader):
            if reader.byte() != 0x60:
                raise ValueError("a type section that split.py does not know")
            params = [reader.raw(reader.skip_valtype) for _ in range(reader.leb())]
            results = [reader.raw(reader.skip_valtype) for _ in range(reader.leb())]
            return params, results
        self.types = self.vector(1, read)

    def read_imports(self):
        self.imports = []   # as they are
        self.imported = []  # type numbers of functions
        self.import_counts = {1: 0, 2: 0, 3: 0}

        def read(reader):
            start = reader.at
            reader.take(reader.leb())
            reader.take(reader.leb())
            kind = reader.byte()
            if kind == 0:
                self.imported.append(reader.leb())
            else:
                {1: reader.skip_tabletype, 2: reader.skip_limits, 3: reader.skip_globaltype}[kind]()
                self.import_counts[kind] += 1
            self.imports.append(reader.data[start:reader.at])
        self.vector(2, read)

    # --- halves

    def stub(self, function):
        """A body that calls the same function of the other half."""
        number = self.functions[function]
        params = b"".join(b"\x20" + leb(i) for i in range(len(self.types[number][0])))
        table = self.import_counts[1] + len(self.tables)
        return (b"\0" + params + b"\x41" + sleb_of(function) + b"\x13" + leb(number) + leb(table) +
                b"\x0b")

    def code(self, mine, replaced):
        bodies = []
        for index, body in enumerate(self.bodies):
            function = self.first_defined + index
            body = body if function in mine else self.stub(function)
            bodies.append(replaced.get(function, body))
        return vec([leb(len(body)) + body for body in bodies])

    def exports(self):
        exports = self.vector(7, lambda r: r.raw(lambda: (r.take(r.leb()), r.take(1), r.leb())))
        exports += [export("split.f%d" % i, 0, i) for i in range(self.count)]
        exports.append(export("split.out", 1, self.import_counts[1] + len(self.tables)))
        return exports

    def out_table(self):
        return bytes([FUNCREF, 0]) + leb(self.count)

    def join(self, sections):
        order = [1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11]
        return b"\0asm\x01\0\0\0" + b"".join(section(n, sections[n]) for n in order
                                            if n in sections)

    def near(self, mine):
        """The half that has the module's state, with the bodies of those functions."""
        exports = self.exports()
        for kind, defined in ((1, self.tables), (2, self.memories), (3, self.globals)):
            exports += [export("split.%d.%d" % (kind, i), kind, self.import_counts[kind] + i)
                        for i in range(len(defined))]
        sections = dict(self.sections)
        tables = self.sections.get(4, b"\0")
        tables_reader = Reader(tables)
        tables_reader.leb()
        sections[4] = (leb(len(self.tables) + 1) + tables[tables_reader.at:] + self.out_table())
        sections[7] = vec(exports)
        sections[10] = self.code(mine, {})
        return self.join(sections)

    def far(self, mine, replaced=None):
        """The other half. replaced: bodies of some functions, in place of their own."""
        imports = list(self.imports)
        for kind, defined in ((1, self.tables), (2, self.memories), (3, self.globals)):
            imports += [name("split") + name("split.%d.%d" % (kind, i)) + bytes([kind]) + described
                        for i, described in enumerate(defined)]
        sections = {n: self.sections[n] for n in (1, 3, 12) if n in self.sections}
        sections[2] = vec(imports)
        sections[4] = vec([self.out_table()])
        sections[7] = vec(self.exports())
        sections[9] = vec(self.vector(9, passive_elements))
        sections[11] = vec(self.vector(11, passive_data))
        sections[10] = self.code(mine, replaced or {})
        return self.join(sections)


def sleb_of(value):
    """A number that is not negative, as a signed LEB128."""
    out = leb(value)
    return out if not out[-1] & 0x40 else out[:-1] + bytes([out[-1] | 0x80, 0])


def name(text):
    return leb(len(text)) + text.encode()


def export(text, kind, index):
    return name(text) + bytes([kind]) + leb(index)


def passive_elements(reader):
    """A segment; an active one, which is dropped once it was used, becomes an empty one."""
    def skip():
        if flags & 1 == 0:
            if flags & 2:
                reader.leb()
            reader.skip_expr()
        if flags & 3:
            (reader.skip_valtype if flags & 4 else reader.byte)()
        for _ in range(reader.leb()):
            (reader.skip_expr if flags & 4 else reader.leb)()
    start = reader.at
    flags = reader.leb()
    skip()
    if flags & 1:
        return reader.data[start:reader.at]
    return b"\x01\x00\x00"


def passive_data(reader):
    flags = reader.leb()
    if flags == 2:
        reader.leb()
    if flags != 1:
        reader.skip_expr()
    data = reader.take(reader.leb())
    return b"\x01" + (leb(len(data)) + data if flags == 1 else b"\x00")
