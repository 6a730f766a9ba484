#!/usr/bin/env python3
"""wasmedge_image: guests get the pixels that the formula says, or learn that there are none."""
import os
import struct
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "http")]
import harness  # noqa: E402
import plugintest  # noqa: E402
import pngs  # noqa: E402

GUEST = plugintest.guest("image")
MAKE_JPEG = os.path.join(plugintest.BUILD, "tests", "plugins", "image", "make_jpeg")
LAYOUTS = ("rgb8", "bgr8", "rgb32f", "bgr32f")


def step(function, image, width, height, type=0, length=None, image_at=0, pixels_at=0,
         image_len=None):
    """A line and a picture for the guest."""
    if length is None:
        length = width * height * (3 if type < 2 else 12)
    return b"%s %d %d %d %d %d %d %d\n" % (
        function.encode(), width, height, type, length,
        len(image) if image_len is None else image_len, image_at, pixels_at) + image


def run(steps):
    """Results and pixels of steps, all in one guest."""
    done = plugintest.run(GUEST, stdin=b"".join(steps)).is_(0)
    lines = done.out.splitlines()
    assert len(lines) == len(steps), "%d answers to %d steps" % (len(lines), len(steps))
    out = []
    for line in lines:
        result, clean, pixels = (line + " ").split(" ")[:3]
        assert clean == "clean", line[:60]
        out.append((int(result), bytes.fromhex(pixels)))
    return out


def trap(wanted, *steps):
    done = plugintest.run(GUEST, stdin=b"".join(steps))
    assert done.code not in (0, 2, 3), "%d %s" % (done.code, done.err)
    done.says(*wanted)


# --- what the pixels have to be -----------------------------------------------------------------


def bilinear(pixels, width, height):
    """Rows of pixels, corners on corners, in whole numbers, cut."""
    def places(size, source):
        whole = max(size - 1, 1)
        for d in range(size):
            low, weight = divmod(d * (source - 1), whole)
            yield low, min(low + 1, source - 1), weight, whole
    out = []
    for y0, y1, wy, hy in places(height, len(pixels)):
        row = []
        for x0, x1, wx, hx in places(width, len(pixels[0])):
            row.append(tuple(
                (pixels[y0][x0][c] * (hx - wx) * (hy - wy) + pixels[y0][x1][c] * wx * (hy - wy) +
                 pixels[y1][x0][c] * (hx - wx) * wy + pixels[y1][x1][c] * wx * wy) // (hx * hy)
                for c in range(3)))
        out.append(row)
    return out


def packed(pixels, type):
    flat = [c for row in pixels for p in row for c in (p[::-1] if type in (1, 3) else p)]
    return bytes(flat) if type < 2 else b"".join(struct.pack("<f", c / 255) for c in flat)


def expect(cases):
    """cases: (what, pixels of the source, width, height, type, step)."""
    answers = run([case[-1] for case in cases])
    for (what, pixels, width, height, type, _), (result, found) in zip(cases, answers):
        assert result == 0, "%s: result %d" % (what, result)
        wanted = packed(bilinear(pixels, width, height), type)
        assert found == wanted, "%s as %d x %d, %s: differs at byte %d: %s" % (
            what, width, height, LAYOUTS[type],
            next(i for i in range(len(wanted)) if found[i:i + 1] != wanted[i:i + 1]),
            (found[:24].hex(), wanted[:24].hex()))


def jpeg(kind, width, height):
    """A file, and its pixels as RGB; what an Adobe marker means for CMYK is said by the kind."""
    out = subprocess.run([MAKE_JPEG, kind, str(width), str(height)], stdout=subprocess.PIPE,
                         check=True, timeout=60).stdout.split()
    file = bytes.fromhex(out[0].decode())
    if len(out) == 1:
        return file, None
    data = bytes.fromhex(out[1].decode())
    size = len(data) // (width * height)
    pixels = [tuple(data[i:i + size]) for i in range(0, len(data), size)]
    if size == 4:
        flip = 255 if kind == "cmyk-plain" else 0
        pixels = [tuple(pngs.rounded((c ^ flip) * (p[3] ^ flip), 255) for c in p[:3])
                  for p in pixels]
    return file, [pixels[y * width:(y + 1) * width] for y in range(height)]


PNG = pngs.Png(pngs.RGB, 8, pngs.noise(pngs.RGB, 8, 9, 7))
PNG_FILE = PNG.file()


# --- tests ------------------------------------------------------------------------------------


def test_every_kind_of_png_is_decoded():
    cases = []
    for name, png in pngs.gallery():
        file, pixels = png.file(), png.pixels()
        size = (png.width, png.height)
        cases.append((name, pixels, *size, 0, step("load_png_to_rgb8", file, *size)))
        cases.append((name, pixels, 5, 17, 0, step("load_image", file, 5, 17)))
    assert len(cases) > 60
    expect(cases)


def test_products_of_16_bits_are_rounded():
    pixels = [(15952, 56487), (18943, 47568), (23928, 37658), (34895, 46577), (65535, 32768)]
    png = pngs.Png(pngs.GREY_ALPHA, 16, [pixels])
    expect([("16 bits", png.pixels(), 5, 1, 0, step("load_png", png.file(), 5, 1))])


def test_every_kind_of_jpeg_is_decoded():
    cases = []
    for kind in ("baseline", "full", "progressive", "grey", "rgb", "cmyk", "cmyk-plain", "ycck",
                 "restart", "arithmetic"):
        for width, height in ((16, 16), (37, 21), (1, 1)):
            file, pixels = jpeg(kind, width, height)
            cases.append((kind, pixels, width, height, 0,
                          step("load_jpg_to_rgb8", file, width, height)))
            cases.append((kind, pixels, 10, 13, 0, step("load_jpg", file, 10, 13)))
    expect(cases)


def test_all_functions_in_all_layouts():
    jpeg_file, jpeg_pixels = jpeg("baseline", 23, 19)
    cases = []
    for type, layout in enumerate(LAYOUTS):
        for width, height in ((23, 19), (7, 5), (40, 33), (1, 1), (2, 1), (1, 30)):
            for kind, file, pixels in (("jpg", jpeg_file, jpeg_pixels),
                                       ("png", PNG_FILE, PNG.pixels())):
                size = (width, height)
                for function in ("load_%s_to_%s" % (kind, layout), "load_" + kind, "load_image"):
                    cases.append((function, pixels, *size, type,
                                  step(function, file, *size, type)))
    expect(cases)


def test_one_pixel_and_one_line_are_stretched():
    cases = []
    for width, height in ((1, 1), (1, 5), (6, 1), (2, 2)):
        png = pngs.Png(pngs.RGB, 8, pngs.noise(pngs.RGB, 8, width, height, 5))
        for to in ((1, 1), (3, 4), (8, 2)):
            cases.append(("%d x %d" % (width, height), png.pixels(), *to, 0,
                          step("load_png_to_rgb8", png.file(), *to)))
    expect(cases)


def test_one_colour_stays_that_colour():
    # 50: dividing by 49 in floating point can give less than it is.
    steps = []
    for value in (1, 127, 254, 255):
        file = pngs.Png(pngs.GREY, 8, [[(value,)] * 9] * 11).file()
        steps += [step("load_png_to_rgb8", file, w, h) for w, h in ((100, 83), (50, 2), (1, 2))]
    for i, (result, pixels) in enumerate(run(steps)):
        assert (result, set(pixels)) == (0, {(1, 127, 254, 255)[i // 3]})


def test_first_generation_decodes_what_its_name_says_only():
    jpeg_file, _ = jpeg("baseline", 8, 8)
    for layout in LAYOUTS:
        found = run([step("load_png_to_" + layout, jpeg_file, 2, 2),
                     step("load_jpg_to_" + layout, PNG_FILE, 2, 2)])
        assert [r for r, _ in found] == [1, 1]


def test_second_generation_looks_at_the_bytes():
    jpeg_file, pixels = jpeg("baseline", 8, 8)
    expect([("jpeg", pixels, 8, 8, 0, step("load_png", jpeg_file, 8, 8)),
            ("png", PNG.pixels(), 9, 7, 0, step("load_jpg", PNG_FILE, 9, 7))])


def bad_files():
    jpeg_file, _ = jpeg("baseline", 32, 32)
    progressive, _ = jpeg("progressive", 32, 32)
    yield "nothing", b""
    yield "text", b"this is no picture"
    yield "signatures only", PNG_FILE[:8]
    yield "signatures only", jpeg_file[:3]
    yield "12 bits", jpeg("twelve", 16, 16)[0]
    for name, file in (("png", PNG_FILE), ("jpeg", jpeg_file), ("progressive", progressive)):
        for length in (20, len(file) // 2, len(file) - 20, len(file) - 1):
            yield "%s of %d bytes" % (name, length), file[:length]
    for at in (30, len(PNG_FILE) - 30, len(PNG_FILE) - 1):
        yield "png changed at %d" % at, (PNG_FILE[:at] + bytes([PNG_FILE[at] ^ 1]) +
                                         PNG_FILE[at + 1:])
    # A checksum that is wrong, of chunks that a decoder could do without.
    keyed = pngs.Png(pngs.RGB, 8, pngs.noise(pngs.RGB, 8, 9, 7), transparent=(1, 2, 3)).file()
    for kind in (b"gAMA", b"tEXt", b"tRNS"):
        at = keyed.index(kind) + 4
        yield "changed " + kind.decode(), keyed[:at] + bytes([keyed[at] ^ 1]) + keyed[at + 1:]
    yield "190 scans", jpeg("scans", 16, 16)[0]
    # The pixels end, and their compressed data goes on to 128 MiB.
    data = zlib.compress(PNG_FILE[:4] + bytes(128 << 20), 9)
    yield "png bomb", (PNG_FILE[:8] + pngs.chunk(b"IHDR", struct.pack(
        ">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + pngs.chunk(b"IDAT", data) + pngs.chunk(b"IEND", b""))
    # Says that it is 2^31 - 1 pixels wide and high, 65535 for JPEG.
    yield "large png", PNG_FILE[:8] + pngs.chunk(b"IHDR", struct.pack(
        ">IIBBBBB", 0x7fffffff, 0x7fffffff, 8, 6, 0, 0, 1)) + PNG_FILE[33:]
    at = jpeg_file.index(b"\xff\xc0") + 5
    yield "large jpeg", jpeg_file[:at] + b"\xff\xff\xff\xff" + jpeg_file[at + 4:]
    yield "no height", jpeg_file[:at] + b"\0\0" + jpeg_file[at + 2:]


def test_bad_files_are_refused_and_nothing_is_written():
    files = list(bad_files())
    steps = []
    for name, file in files:
        for function in ("load_jpg_to_rgb8", "load_png_to_rgb32f", "load_image"):
            steps.append(step(function, file, 4, 4, 2 if "32f" in function else 0))
    for i, (result, _) in enumerate(run(steps)):
        assert result == 1, "%s: %d" % (files[i // 3][0], result)


def test_second_generation_answers_1_whatever_is_wrong():
    good = step("load_image", PNG_FILE, 4, 4, 0)
    wrong = [
        step("load_image", PNG_FILE, 0, 4), step("load_image", PNG_FILE, 4, 0),
        step("load_image", PNG_FILE, 0x80000000, 1, 0, 1000),
        step("load_image", PNG_FILE, 1, 0xffffffff, 0, 1000),
        step("load_image", PNG_FILE, 0xffffffff, 0xffffffff, 2, 1000),
        step("load_image", PNG_FILE, 4, 4, 4), step("load_image", PNG_FILE, 4, 4, 0xffffffff, 192),
        step("load_image", PNG_FILE, 4, 4, 0, 47), step("load_png", PNG_FILE, 4, 4, 2, 191),
        step("load_jpg", PNG_FILE, 4, 4, 0, 48, image_at=0x7fff0000),
        step("load_image", PNG_FILE, 4, 4, 0, 48, pixels_at=0x7fff0000),
        step("load_image", PNG_FILE, 4, 4, 0, 48, pixels_at=0xfffffff0),
    ]
    found = run(wrong + [good])
    assert [r for r, _ in found] == [1] * len(wrong) + [0]


def test_second_generation_may_have_room_to_spare():
    (result, pixels), = run([step("load_image", PNG_FILE, 4, 4, 0, 48)])
    assert result == 0
    # The guest calls it dirty if anything behind the 48 bytes is written.
    steps = step("load_image", PNG_FILE, 4, 4, 0, 1000)
    done = plugintest.run(GUEST, stdin=steps).is_(0)
    assert done.out.startswith("0 clean " + pixels.hex() + "aa" * (1000 - 48))


def test_first_generation_traps_outside_of_the_memory():
    for layout in LAYOUTS:
        trap(["pixels: \\d+ bytes at 0x7fff0000 are outside"],
             step("load_png_to_" + layout, PNG_FILE, 4, 4, pixels_at=0x7fff0000))
    trap(["image: \\d+ bytes at 0x7fff0000 are outside"],
         step("load_jpg_to_rgb8", PNG_FILE, 4, 4, image_at=0x7fff0000))
    trap(["pixels: 3221225472 bytes"], step("load_png_to_rgb8", PNG_FILE, 32768, 32768, 0, 0))
    trap(["pixels: 18446744073709551615 bytes"],
         step("load_png_to_rgb32f", PNG_FILE, 0xffffffff, 0xffffffff, 0, 0))


def test_first_generation_answers_1_to_a_size_of_nothing():
    assert [r for r, _ in run([step("load_png_to_rgb8", PNG_FILE, 0, 4),
                               step("load_jpg_to_bgr32f", PNG_FILE, 4, 0)])] == [1, 1]


def test_without_a_memory():
    i32 = harness.I32
    for name, count in (("load_image", 7), ("wasmedge_image_load_png_to_rgb8", 5)):
        arguments = b"".join(harness.const(1) for _ in range(count))
        binary = harness.module([("f", [], [i32], [], arguments + harness.call(0))],
                                imports=[("wasmedge_image", name, [i32] * count, [i32])])
        path = os.path.join(plugintest.BUILD, "tests", "plugins", "image", "bare.wasm")
        with open(path, "wb") as file:
            file.write(binary)
        done = plugintest.run("--reactor", path, "f")
        os.unlink(path)
        if count == 7:
            done.is_(0, "1\n")
        else:
            assert done.code != 0
            done.says("has no memory")


if __name__ == "__main__":
    plugintest.main(globals(), [GUEST, MAKE_JPEG,
                                os.path.join(plugintest.PLUGINS, "wasmedge_image.so")])
