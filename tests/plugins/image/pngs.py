"""PNG files made by hand, of samples that are known: every colour type, depth and interlacing."""
import random
import struct
import zlib

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
# Adam7: x and y of the first pixel of a pass, and the steps to the next ones
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def pack(samples, depth):
    """The bytes of a row."""
    if depth == 16:
        return b"".join(struct.pack(">H", s) for s in samples)
    bits = "".join(format(s, "0%db" % depth) for s in samples)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def filtered(row, above, size, kind):
    out = bytearray([kind])
    for i, byte in enumerate(row):
        a = row[i - size] if i >= size else 0
        b = above[i]
        c = above[i - size] if i >= size else 0
        out.append((byte - (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) & 255)
    return bytes(out)


class Png:
    """samples are rows of pixels, a pixel is a tuple of samples; palette a list of tuples;
    transparent what tRNS says: alphas of the palette, or one pixel."""

    def __init__(self, colour, depth, samples, palette=None, transparent=None, interlaced=False):
        self.colour, self.depth, self.samples = colour, depth, samples
        self.palette, self.transparent, self.interlaced = palette, transparent, interlaced
        self.width, self.height = len(samples[0]), len(samples)

    def idat(self):
        rng = random.Random(self.width)
        size = max(1, CHANNELS[self.colour] * self.depth // 8)
        out = b""
        for x0, y0, dx, dy in PASSES if self.interlaced else ((0, 0, 1, 1),):
            rows = [r[x0::dx] for r in self.samples[y0::dy]]
            above = None
            for row in rows if rows and rows[0] else ():
                data = pack([s for pixel in row for s in pixel], self.depth)
                out += filtered(data, above or bytes(len(data)), size, rng.randrange(5))
                above = data
        return zlib.compress(out)

    def chunks(self):
        yield b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.colour,
                                   0, 0, int(self.interlaced))
        # What has to be ignored: a gamma of 1, and words.
        yield b"gAMA", struct.pack(">I", 100000)
        yield b"tEXt", b"Comment\0words"
        if self.palette:
            yield b"PLTE", b"".join(bytes(p) for p in self.palette)
        if self.transparent is not None:
            yield b"tRNS", (bytes(self.transparent) if self.colour == PALETTE else
                            b"".join(struct.pack(">H", s) for s in self.transparent))
        data = self.idat()
        for i in range(0, len(data), 100):
            yield b"IDAT", data[i:i + 100]
        yield b"IEND", b""

    def file(self):
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(k, d) for k, d in self.chunks())

    def rgba(self, pixel):
        """A pixel's samples as (r, g, b, a) and the largest value of each."""
        full = (1 << self.depth) - 1
        if self.colour == PALETTE:
            alphas = list(self.transparent or ()) + [255] * 256
            return self.palette[pixel[0]] + (alphas[pixel[0]],), 255
        alpha = full
        if self.colour in (GREY_ALPHA, RGBA):
            alpha = pixel[-1]
        elif self.transparent is not None and tuple(pixel) == tuple(self.transparent):
            alpha = 0
        colours = pixel[:3] if self.colour in (RGB, RGBA) else (pixel[0],) * 3
        return tuple(colours) + (alpha,), full

    def pixels(self):
        """Rows of (r, g, b) of 8 bits: alpha multiplied, rounded at each step."""
        def one(pixel):
            (*colours, alpha), full = self.rgba(pixel)
            products = [rounded(c * alpha, full) for c in colours]
            return tuple(rounded(p * 255, full) for p in products)
        return [[one(pixel) for pixel in row] for row in self.samples]


def rounded(number, divisor):
    return (2 * number + divisor) // (2 * divisor)


def noise(colour, depth, width, height, seed=1, limit=None):
    """Samples at random, with some fully transparent and some opaque pixels."""
    rng = random.Random(seed)
    top = limit or (1 << depth)

    def pixel():
        samples = [rng.randrange(top) for _ in range(CHANNELS[colour])]
        if colour in (GREY_ALPHA, RGBA):
            samples[-1] = rng.choice((0, top - 1, samples[-1]))
        return tuple(samples)
    return [[pixel() for _ in range(width)] for _ in range(height)]


def gallery():
    """name, picture: one of everything that a PNG can be."""
    rng = random.Random(7)
    for colour, word, depths in ((GREY, "grey", (1, 2, 4, 8, 16)), (RGB, "rgb", (8, 16)),
                                 (GREY_ALPHA, "grey-alpha", (8, 16)), (RGBA, "rgba", (8, 16)),
                                 (PALETTE, "palette", (1, 2, 4, 8))):
        for depth in depths:
            for interlaced in (False, True):
                palette = None
                if colour == PALETTE:
                    palette = [tuple(rng.randrange(256) for _ in range(3))
                               for _ in range(min(200, 1 << depth))]
                samples = noise(colour, depth, 13, 11, depth, palette and len(palette))
                keys = {None: None}
                if colour == PALETTE:
                    keys["alphas"] = [rng.randrange(256) for _ in range(len(palette) // 2 + 1)]
                elif colour in (GREY, RGB):
                    keys["key"] = samples[3][4]
                for key, transparent in keys.items():
                    name = "%s-%d%s%s" % (word, depth, "-interlaced" if interlaced else "",
                                          "-" + key if key else "")
                    yield name, Png(colour, depth, samples, palette, transparent, interlaced)
