"""Small models for the tests of inference, written byte by byte: models.py FOLDER

One network (convolution, bias, ReLU, pooling, full connection, softmax) as a TensorFlow Lite file,
a TensorFlow GraphDef, a SavedModel and an ONNX file; its input, and its output computed here by
loops. Besides, models for single functions and for what has to be refused. The formats are
FlatBuffers and protocol buffers; the encoders below know just enough of them.
"""
import math
import os
import struct
import sys

# --- the network --------------------------------------------------------------------------------

SIDE, CHANNELS, FILTERS, CLASSES = 8, 3, 4, 10


class Numbers:
    """Repeatable values between -1 and 1 that floats hold exactly."""

    def __init__(self, seed):
        self.state = seed

    def take(self, count):
        out = []
        for _ in range(count):
            self.state = (self.state * 1103515245 + 12345) % 2 ** 31
            out.append((self.state >> 16) % 2048 / 1024 - 1)
        return out


def network(seed=1, side=SIDE, filters=FILTERS):
    numbers = Numbers(seed)
    flat = (side // 2) ** 2 * filters
    return {
        "side": side, "filters": filters, "flat": flat,
        "input": numbers.take(side * side * CHANNELS),
        "kernel": numbers.take(3 * 3 * CHANNELS * filters),  # height, width, in, out
        "bias": numbers.take(filters),
        "weights": numbers.take(flat * CLASSES),  # in, out
        "offsets": numbers.take(CLASSES),
    }


def compute(net):
    side, filters = net["side"], net["filters"]
    half = side // 2

    def pixel(row, column, channel):
        if 0 <= row < side and 0 <= column < side:
            return net["input"][(row * side + column) * CHANNELS + channel]
        return 0.0

    def convolved(row, column, to):
        total = net["bias"][to]
        for i in range(3):
            for k in range(3):
                for c in range(CHANNELS):
                    weight = net["kernel"][((i * 3 + k) * CHANNELS + c) * filters + to]
                    total += weight * pixel(row + i - 1, column + k - 1, c)
        return max(total, 0.0)

    pooled = [max(convolved(2 * r + i, 2 * c + k, f) for i in range(2) for k in range(2))
              for r in range(half) for c in range(half) for f in range(filters)]
    scores = [net["offsets"][n] + sum(value * net["weights"][i * CLASSES + n]
                                      for i, value in enumerate(pooled))
              for n in range(CLASSES)]
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def floats(values):
    return struct.pack("<%df" % len(values), *values)


# --- FlatBuffers --------------------------------------------------------------------------------

class Table(dict):
    """Field number: ("i32", 5) and the like, or a Table, a str, bytes, or a list of those."""


class Flat:
    """Parents come before their children, so that all offsets point forward."""

    FORMS = {"u8": ("<B", 1), "i8": ("<b", 1), "i32": ("<i", 4), "u32": ("<I", 4), "f32": ("<f", 4)}

    def __init__(self):
        self.out = bytearray()

    def align(self, size, ahead=0):
        while (len(self.out) + ahead) % size:
            self.out.append(0)

    def point(self, at):
        struct.pack_into("<I", self.out, at, len(self.out) - at)

    def table(self, table, pointer):
        scalars = [(n, v) for n, v in sorted(table.items()) if isinstance(v, tuple)]
        others = [(n, v) for n, v in sorted(table.items()) if not isinstance(v, tuple)]
        places, size = {}, 4
        for number, _ in others:
            places[number], size = size, size + 4
        for number, (kind, _) in sorted(scalars, key=lambda s: -self.FORMS[s[1][0]][1]):
            places[number], size = size, size + self.FORMS[kind][1]
        count = max(table) + 1 if table else 0
        self.align(4, ahead=4 + 2 * count)
        vtable = len(self.out)
        self.out += struct.pack("<HH", 4 + 2 * count, size)
        for number in range(count):
            self.out += struct.pack("<H", places.get(number, 0))
        self.point(pointer)
        start = len(self.out)
        self.out += struct.pack("<i", start - vtable) + bytes(size - 4)
        for number, (kind, value) in scalars:
            struct.pack_into(self.FORMS[kind][0], self.out, start + places[number], value)
        for number, value in others:
            self.value(value, start + places[number])

    def value(self, value, pointer):
        if isinstance(value, Table):
            self.table(value, pointer)
        elif isinstance(value, str):
            self.align(4)
            self.point(pointer)
            self.out += struct.pack("<I", len(value)) + value.encode() + b"\0"
        elif isinstance(value, bytes):
            self.align(16, ahead=4)
            self.point(pointer)
            self.out += struct.pack("<I", len(value)) + value
        elif value and isinstance(value[0], Table):
            self.align(4)
            self.point(pointer)
            self.out += struct.pack("<I", len(value))
            first = len(self.out)
            self.out += bytes(4 * len(value))
            for index, item in enumerate(value):
                self.value(item, first + 4 * index)
        else:
            self.align(4)
            self.point(pointer)
            self.out += struct.pack("<I%di" % len(value), len(value), *value)

    def file(self, root, identifier):
        self.out += bytes(4) + identifier
        self.table(root, 0)
        self.align(16)
        return bytes(self.out)


# --- TensorFlow Lite ----------------------------------------------------------------------------

LITE_FLOAT, LITE_INT32, LITE_STRING = 0, 2, 5
ADD, CONV, FULLY, MAX_POOL, MUL, RESHAPE, SOFTMAX = 0, 3, 9, 17, 18, 22, 25


class Lite:
    def __init__(self):
        self.buffers, self.tensors, self.operators, self.codes = [Table()], [], [], []

    def tensor(self, name, shape, data=None, kind=LITE_FLOAT):
        buffer = 0
        if data is not None:
            buffer = len(self.buffers)
            self.buffers.append(Table({0: data}))
        self.tensors.append(Table({0: shape, 1: ("i8", kind), 2: ("u32", buffer), 3: name}))
        return len(self.tensors) - 1

    def operator(self, code, inputs, outputs, options_type=0, options=None):
        if code not in self.codes:
            self.codes.append(code)
        fields = {0: ("u32", self.codes.index(code)), 1: inputs, 2: outputs}
        if options is not None:
            fields.update({3: ("u8", options_type), 4: options})
        self.operators.append(Table(fields))

    def file(self, inputs, outputs):
        codes = [Table({0: ("i8", code), 2: ("i32", 1), 3: ("i32", code)}) for code in self.codes]
        graph = Table({0: self.tensors, 1: inputs, 2: outputs, 3: self.operators, 4: "main"})
        model = Table({0: ("u32", 3), 1: codes, 2: [graph], 3: "test", 4: self.buffers})
        return Flat().file(model, b"TFL3")


def lite_network(net):
    side, filters, flat = net["side"], net["filters"], net["flat"]
    kernel = [net["kernel"][(at * CHANNELS + c) * filters + f]
              for f in range(filters) for at in range(9) for c in range(CHANNELS)]
    weights = [net["weights"][i * CLASSES + n] for n in range(CLASSES) for i in range(flat)]
    lite = Lite()
    image = lite.tensor("image", [1, side, side, CHANNELS])
    convolved = lite.tensor("convolved", [1, side, side, filters])
    pooled = lite.tensor("pooled", [1, side // 2, side // 2, filters])
    scores = lite.tensor("scores", [1, CLASSES])
    classes = lite.tensor("classes", [1, CLASSES])
    lite.operator(CONV, [image, lite.tensor("kernel", [filters, 3, 3, CHANNELS], floats(kernel)),
                         lite.tensor("bias", [filters], floats(net["bias"]))], [convolved], 1,
                  Table({0: ("i8", 0), 1: ("i32", 1), 2: ("i32", 1), 3: ("i8", 1)}))
    lite.operator(MAX_POOL, [convolved], [pooled], 5,
                  Table({0: ("i8", 1), 1: ("i32", 2), 2: ("i32", 2), 3: ("i32", 2),
                         4: ("i32", 2)}))
    lite.operator(FULLY, [pooled, lite.tensor("weights", [CLASSES, flat], floats(weights)),
                          lite.tensor("offsets", [CLASSES], floats(net["offsets"]))], [scores], 8,
                  Table({0: ("i8", 0)}))
    lite.operator(SOFTMAX, [scores], [classes], 9, Table({0: ("f32", 1.0)}))
    return lite.file([image], [classes])


def lite_two():
    """Two inputs; their sum and their product."""
    lite = Lite()
    a, b = lite.tensor("a", [2, 2]), lite.tensor("b", [2, 2])
    total, product = lite.tensor("sum", [2, 2]), lite.tensor("product", [2, 2])
    lite.operator(ADD, [a, b], [total], 11, Table({0: ("i8", 0)}))
    lite.operator(MUL, [a, b], [product], 21, Table({0: ("i8", 0)}))
    return lite.file([a, b], [total, product])


def lite_failing():
    """Four numbers in the shape that is given: a wrong one makes the run fail."""
    lite = Lite()
    table = lite.tensor("table", [4], floats([1.5, 2.5, 3.5, 4.5]))
    index = lite.tensor("index", [1], kind=LITE_INT32)
    value = lite.tensor("value", [1])
    lite.operator(RESHAPE, [table, index], [value], 17, Table())
    return lite.file([index], [value])


def lite_texts():
    lite = Lite()
    texts = lite.tensor("texts", [2], kind=LITE_STRING)
    shape = lite.tensor("shape", [2], struct.pack("<2i", 2, 1), kind=LITE_INT32)
    column = lite.tensor("column", [2, 1], kind=LITE_STRING)
    lite.operator(RESHAPE, [texts, shape], [column], 17, Table({0: [2, 1]}))
    return lite.file([texts], [column])


def lite_unknown():
    """An operation that no library has."""
    lite = Lite()
    a, b = lite.tensor("a", [1]), lite.tensor("b", [1])
    lite.operator(120, [a], [b])
    lite.codes = [126]
    return lite.file([a], [b])


# --- protocol buffers ---------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    value &= 2 ** 64 - 1
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*pairs):
    return b"".join(field(number, value) for number, value in pairs)


# --- TensorFlow ---------------------------------------------------------------------------------

TF_FLOAT, TF_INT32, TF_STRING = 1, 3, 7


def tf_shape(shape):
    return b"".join(field(2, message((1, size))) for size in shape)


def tf_tensor(kind, shape, data):
    return message((1, kind), (2, tf_shape(shape)), (4, data))


def tf_type(kind):
    return message((6, kind))


def tf_ints(values):
    return message((1, b"".join(field(3, value) for value in values)))


def node(name, operation, inputs=(), **attributes):
    pairs = [(1, name), (2, operation)] + [(3, source) for source in inputs]
    pairs += [(5, message((1, key), (2, value))) for key, value in sorted(attributes.items())]
    return field(1, message(*pairs))


def tf_placeholder(name, kind, shape):
    return node(name, "Placeholder", dtype=tf_type(kind), shape=message((7, tf_shape(shape))))


def tf_const(name, kind, shape, data):
    return node(name, "Const", dtype=tf_type(kind),
                value=message((8, tf_tensor(kind, shape, data))))


def tf_graph(*nodes):
    return b"".join(nodes) + field(4, message((1, 1286)))


def tf_network(net):
    side, filters, flat = net["side"], net["filters"], net["flat"]
    real = tf_type(TF_FLOAT)
    return tf_graph(
        tf_placeholder("image", TF_FLOAT, [-1, side, side, CHANNELS]),
        tf_const("kernel", TF_FLOAT, [3, 3, CHANNELS, filters], floats(net["kernel"])),
        tf_const("bias", TF_FLOAT, [filters], floats(net["bias"])),
        tf_const("weights", TF_FLOAT, [flat, CLASSES], floats(net["weights"])),
        tf_const("offsets", TF_FLOAT, [CLASSES], floats(net["offsets"])),
        tf_const("rows", TF_INT32, [2], struct.pack("<2i", -1, flat)),
        node("convolved", "Conv2D", ["image", "kernel"], T=real, padding=message((2, "SAME")),
             strides=tf_ints([1, 1, 1, 1])),
        node("biased", "BiasAdd", ["convolved", "bias"], T=real),
        node("positive", "Relu", ["biased"], T=real),
        node("pooled", "MaxPool", ["positive"], T=real, padding=message((2, "VALID")),
             strides=tf_ints([1, 2, 2, 1]), ksize=tf_ints([1, 2, 2, 1])),
        node("flat", "Reshape", ["pooled", "rows"], T=real, Tshape=tf_type(TF_INT32)),
        node("product", "MatMul", ["flat", "weights"], T=real),
        node("scores", "BiasAdd", ["product", "offsets"], T=real),
        node("classes", "Softmax", ["scores"], T=real))


def tf_two():
    """Sum and product of two; texts in capitals; and a shape that not all data have."""
    real = tf_type(TF_FLOAT)
    return tf_graph(
        tf_placeholder("a", TF_FLOAT, [2, 2]), tf_placeholder("b", TF_FLOAT, [2, 2]),
        node("sum", "AddV2", ["a", "b"], T=real), node("product", "Mul", ["a", "b"], T=real),
        tf_placeholder("texts", TF_STRING, [-1]), node("capitals", "StringUpper", ["texts"]),
        tf_placeholder("any", TF_FLOAT, [-1]),
        tf_const("square", TF_INT32, [2], struct.pack("<2i", 2, 2)),
        node("reshaped", "Reshape", ["any", "square"], T=real, Tshape=tf_type(TF_INT32)))


def tf_file():
    """Reads a file of the host."""
    return tf_graph(tf_placeholder("path", TF_STRING, []), node("bytes", "ReadFile", ["path"]))


def tf_hidden_file():
    """The same within a function of the graph."""
    signature = message((1, "reader"), (2, message((1, "path"), (3, TF_STRING))),
                        (3, message((1, "bytes"), (3, TF_STRING))))
    body = message((1, "inner"), (2, "ReadFile"), (3, "path"))
    function = message((1, signature), (3, body),
                       (4, message((1, "bytes"), (2, "inner:contents:0"))))
    return tf_graph(tf_placeholder("path", TF_STRING, []),
                    node("bytes", "reader", ["path"])) + field(2, message((1, function)))


def tf_saved(net):
    def info(name, shape):
        return message((1, name), (2, TF_FLOAT), (3, tf_shape(shape)))

    signature = message(
        (1, message((1, "picture"), (2, info("image:0", [-1, net["side"], net["side"],
                                                         CHANNELS])))),
        (2, message((1, "answer"), (2, info("classes:0", [-1, CLASSES])))),
        (3, "tensorflow/serving/predict"))
    graph = message((1, message((4, "serve"), (5, "2.15.1"))), (2, tf_network(net)),
                    (5, message((1, "serving_default"), (2, signature))))
    return message((1, 1), (2, graph))


# --- ONNX ---------------------------------------------------------------------------------------

ONNX_FLOAT, ONNX_INT64, ONNX_STRING = 1, 7, 8


def onnx_value(number, name, kind, shape):
    dims = b"".join(field(1, message((2, size)) if isinstance(size, str) else message((1, size)))
                    for size in shape)
    return field(number, message((1, name), (2, message((1, message((1, kind), (2, dims)))))))


def onnx_const(name, kind, shape, data):
    return field(5, message(*[(1, size) for size in shape], (2, kind), (8, name), (9, data)))


def onnx_ints(name, values):
    return field(5, message((1, name), *[(8, value) for value in values], (20, 7)))


def onnx_node(operation, inputs, outputs, *attributes):
    return field(1, message(*[(1, name) for name in inputs], *[(2, name) for name in outputs],
                            (4, operation)) + b"".join(attributes))


def onnx_model(*parts):
    return message((1, 8), (2, "test"), (7, field(2, "main") + b"".join(parts)),
                   (8, message((1, ""), (2, 13))))


def onnx_network(net):
    side, filters, flat = net["side"], net["filters"], net["flat"]
    kernel = [net["kernel"][(at * CHANNELS + c) * filters + f]
              for f in range(filters) for c in range(CHANNELS) for at in range(9)]
    return onnx_model(
        onnx_value(11, "image", ONNX_FLOAT, ["N", side, side, CHANNELS]),
        onnx_value(12, "classes", ONNX_FLOAT, ["N", CLASSES]),
        onnx_const("kernel", ONNX_FLOAT, [filters, CHANNELS, 3, 3], floats(kernel)),
        onnx_const("bias", ONNX_FLOAT, [filters], floats(net["bias"])),
        onnx_const("weights", ONNX_FLOAT, [flat, CLASSES], floats(net["weights"])),
        onnx_const("offsets", ONNX_FLOAT, [CLASSES], floats(net["offsets"])),
        onnx_const("rows", ONNX_INT64, [2], struct.pack("<2q", -1, flat)),
        onnx_node("Transpose", ["image"], ["planes"], onnx_ints("perm", [0, 3, 1, 2])),
        onnx_node("Conv", ["planes", "kernel", "bias"], ["convolved"],
                  onnx_ints("pads", [1, 1, 1, 1])),
        onnx_node("Relu", ["convolved"], ["positive"]),
        onnx_node("MaxPool", ["positive"], ["pooled"], onnx_ints("kernel_shape", [2, 2]),
                  onnx_ints("strides", [2, 2])),
        onnx_node("Transpose", ["pooled"], ["pixels"], onnx_ints("perm", [0, 2, 3, 1])),
        onnx_node("Reshape", ["pixels", "rows"], ["flat"]),
        onnx_node("Gemm", ["flat", "weights", "offsets"], ["scores"]),
        onnx_node("Softmax", ["scores"], ["classes"]))


def onnx_two():
    shape = [2, 2]
    return onnx_model(
        onnx_value(11, "a", ONNX_FLOAT, shape), onnx_value(11, "b", ONNX_FLOAT, shape),
        onnx_value(12, "sum", ONNX_FLOAT, shape), onnx_value(12, "product", ONNX_FLOAT, shape),
        onnx_node("Add", ["a", "b"], ["sum"]), onnx_node("Mul", ["a", "b"], ["product"]))


def onnx_failing():
    """table[index]: an index that is too large makes the run fail."""
    return onnx_model(
        onnx_value(11, "index", ONNX_INT64, [1]), onnx_value(12, "value", ONNX_FLOAT, [1]),
        onnx_const("table", ONNX_FLOAT, [3], floats([1.5, 2.5, 3.5])),
        onnx_node("Gather", ["table", "index"], ["value"]))


def onnx_texts():
    return onnx_model(
        onnx_value(11, "texts", ONNX_STRING, ["N"]), onnx_value(12, "column", ONNX_STRING,
                                                                ["N", 1]),
        onnx_const("rows", ONNX_INT64, [2], struct.pack("<2q", -1, 1)),
        onnx_node("Reshape", ["texts", "rows"], ["column"]))


def onnx_external():
    """Its table lies in another file."""
    table = field(5, message((1, 3), (2, ONNX_FLOAT), (8, "table"),
                             (13, message((1, "location"), (2, "network.in"))), (14, 1)))
    return onnx_model(onnx_value(11, "index", ONNX_INT64, [1]),
                      onnx_value(12, "value", ONNX_FLOAT, [1]), table,
                      onnx_node("Gather", ["table", "index"], ["value"]))


# --- files --------------------------------------------------------------------------------------

def main():
    folder = sys.argv[1]
    net = network()
    wide = network(7, 96, 48)  # takes about a millisecond
    files = {
        "network.in": floats(net["input"]), "network.out": floats(compute(net)),
        "network.tflite": lite_network(net), "network.pb": tf_network(net),
        "network.onnx": onnx_network(net), "saved/saved_model.pb": tf_saved(net),
        "wide.in": floats(wide["input"]), "wide.tflite": lite_network(wide),
        "wide.pb": tf_network(wide), "wide.onnx": onnx_network(wide),
        "two.tflite": lite_two(), "two.pb": tf_two(), "two.onnx": onnx_two(),
        "failing.tflite": lite_failing(), "failing.onnx": onnx_failing(),
        "texts.tflite": lite_texts(), "texts.onnx": onnx_texts(),
        "unknown.tflite": lite_unknown(), "file.pb": tf_file(),
        "hidden-file.pb": tf_hidden_file(), "external.onnx": onnx_external(),
    }
    os.makedirs(os.path.join(folder, "saved", "variables"), exist_ok=True)
    for name, data in files.items():
        path = os.path.join(folder, name)
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
