#!/usr/bin/env python3
"""wasmedge-tensorflow, wasmedge-tensorflow-lite and show-tflite-tensor as processes."""
import json
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "plugins"))
from libraries import cache_folder  # noqa: E402
from plugintest import BUILD, PLUGINS, SOURCE, main, run  # noqa: E402

FAKE = os.path.join(BUILD, "tests", "client", "tools", ".libs")
RUNNERS = ("wasmedge-tensorflow", "wasmedge-tensorflow-lite")
SHOW = "show-tflite-tensor"
NOWHERE = ("--plugin-path", "/nowhere")


def section(number, body):
    return bytes([number, len(body)]) + body


def text(word):
    return bytes([len(word)]) + word.encode()


def importer(module):
    """Imports "x" from a module, () -> i32, and exports it as "x"; and "least" and "last", which
    return the i32 and the i64 that are all ones."""
    return (b"\0asm\1\0\0\0" +
            section(1, b"\x02\x60\x00\x01\x7f\x60\x00\x01\x7e") +
            section(2, b"\x01" + text(module) + text("x") + b"\0\0") +
            section(3, b"\x02\0\1") +
            section(7, b"\x03" + text("x") + b"\0\0" + text("least") + b"\0\1" +
                    text("last") + b"\0\2") +
            section(10, b"\x02\x04\0\x41\x7f\x0b\x04\0\x42\x7f\x0b"))


class Module:
    """A file with a module in it, for a with statement."""

    def __init__(self, data):
        self.file = tempfile.NamedTemporaryFile(suffix=".wasm")
        self.file.write(data)
        self.file.flush()

    def __enter__(self):
        return self.file.name

    def __exit__(self, *args):
        self.file.close()


def test_results_are_unsigned():
    with Module(importer("wasmedge_tensorflow")) as module:
        for program in RUNNERS:
            run(*NOWHERE, "--reactor", module, "least", program=program).is_(0, "4294967295\n")
            run(*NOWHERE, module, "last", program=program).is_(0, "18446744073709551615\n")
        run(*NOWHERE, module, "least").is_(0, "-1\n")


def test_what_is_absent_fails_and_what_is_a_dummy_does_nothing():
    with Module(importer("wasmedge_tensorflow")) as module:
        run(*NOWHERE, module, "x", program=RUNNERS[0]).is_(0, "5\n").says(
            "^wasmedge-tensorflow: plug-in wasmedge_tensorflow: .* not installed")
        done = run(*NOWHERE, module, "x", program=RUNNERS[1]).is_(0, "0\n")
        assert done.err == "", done.err
    with Module(importer("wasmedge_tensorflowlite")) as module:
        for program in RUNNERS:
            run(*NOWHERE, module, "x", program=program).is_(0, "5\n").says(
                "^%s: plug-in wasmedge_tensorflowlite: " % program)


def test_exit_codes_are_the_runners():
    with Module(importer("nobody")) as module:
        for program in RUNNERS:
            run(module, "x", program=program).is_(1, "").says(
                "^%s: .*incompatible import" % program)
            run("--gas-limit", "x", module, program=program).is_(1, "").says("^%s: --gas" % program)
            run(program=program).is_(1, "").says("Try '%s --help'" % program)
    with Module(importer("wasmedge_tensorflow")) as module:
        run("--gas-limit", "0", module, "least", program=RUNNERS[1]).is_(134, "")


def test_tensorflow_is_told_to_be_silent():
    for program in RUNNERS:
        listed = json.loads(run("plugins", "--json", "--plugin-path", FAKE, program=program,
                                TF_CPP_MIN_LOG_LEVEL="0").is_(0).out)
        assert [row["why_not"] for row in listed] == ["log levels 3 and 3"], listed


def test_versions_and_help():
    for program in RUNNERS + (SHOW,):
        out = run("--plugin-path", FAKE, "-v", program=program).is_(0).out
        assert re.match(re.escape(program) + r" version \d+\.\d+\.\d+\n"
                        r'.*/wasmedge_tensorflowlite.so \(plugin "wasmedge_tensorflowlite"\) '
                        r"version 0.0.1\n", out), out
        assert "Usage: %s " % program in run("--help", program=program).is_(0).out


def test_manual_pages_have_the_options():
    for program, page in ((SHOW, SHOW), (RUNNERS[0], "wasmedge")):
        with open(os.path.join(SOURCE, "man", page + ".1"), encoding="utf-8") as file:
            described = set(re.findall(r"^\.It (?:Fl v , )?Fl Fl ([\w-]+)", file.read(),
                                       re.MULTILINE))
        known = set(re.findall(r"^\s+(?:-\w, )?--([\w-]+)",
                               run("--help", program=program).is_(0).out, re.MULTILINE))
        assert known and known <= described, known - described
        if page == SHOW:
            assert described == known, described - known


def test_completion_scripts_have_valid_names():
    for program in RUNNERS + (SHOW,):
        for shell in ("bash", "zsh", "fish"):
            script = run("completion", shell, program=program).is_(0).out
            assert "plugin-path" in script
            # names of variables have no dashes
            assert not re.search(r"\$_\w*-\w", script) and not re.search(r"set -g \w*-", script)


# --- show-tflite-tensor -----------------------------------------------------------------------


def show(model, *options):
    with Module(model if isinstance(model, bytes) else json.dumps(model).encode()) as path:
        done = run("--plugin-path", FAKE, *options, path, program=SHOW)
        done.path = path
        return done


MODEL = {
    "inputs": [{"name": "module/hub_input/images_uint8", "datatype": "UINT8",
                "shape": [1, 224, 224, 3]}],
    "outputs": [{"name": "module/prediction", "datatype": "UINT8", "shape": [1, 965]}],
    "size_bytes": 1,
}


def test_tensors_are_shown_as_they_always_were():
    show(MODEL).is_(0, """\
Input tensor nums: 1
    Input tensor name: module/hub_input/images_uint8
        dimensions: [1 , 224 , 224 , 3]
        data type: UInt8
        tensor byte size: 150528
Output tensor nums: 1
    Output tensor name: module/prediction
        dimensions: [1 , 965]
        data type: UInt8
        tensor byte size: 965
""")


def test_types_have_their_names_and_sizes():
    for word, name, size in (
            ("FP32", "Float32", 4), ("INT32", "Int32", 4), ("UINT8", "UInt8", 1),
            ("INT64", "Int64", 8), ("BYTES", "String", 0), ("BOOL", "Bool", 1),
            ("INT16", "Int16", 2), ("COMPLEX64", "Complex64", 8), ("INT8", "Int8", 1),
            ("FP16", "Float16", 2), ("FP64", "Float64", 8), ("COMPLEX128", "Complex128", 16),
            ("UINT16", "Unknown", 2), ("SOMETHING", "Unknown", 0)):
        show({"inputs": [{"name": "a", "datatype": word, "shape": []},
                         {"name": "b", "datatype": word, "shape": [2, 5]}], "outputs": []}).is_(
            0, "Input tensor nums: 2\n"
               "    Input tensor name: a\n        dimensions: SCALAR\n        data type: %s\n"
               "        tensor byte size: %d\n"
               "    Input tensor name: b\n        dimensions: [2 , 5]\n        data type: %s\n"
               "        tensor byte size: %d\nOutput tensor nums: 0\n"
               % (name, size, name, 10 * size))


def test_json_has_the_same():
    got = json.loads(show(MODEL, "--json").is_(0).out)
    assert got == {
        "inputs": [dict(MODEL["inputs"][0], type="UInt8", size_bytes=150528)],
        "outputs": [dict(MODEL["outputs"][0], type="UInt8", size_bytes=965)]}, got


def test_failures_have_code_1_and_a_message():
    done = show(b"junk").is_(1, "")
    done.says("^show-tflite-tensor: %s: data cannot be decoded: 4 bytes are no model" % done.path)
    run("--plugin-path", FAKE, "/nowhere/model", program=SHOW).is_(1, "").says(
        "/nowhere/model: .*cannot open the file: No such file")
    run("--plugin-path", "/nowhere", os.path.join(HERE, "test_tools.py"), program=SHOW).is_(
        1, "").says("^show-tflite-tensor: plug-in wasmedge_tensorflowlite is not installed\n$")
    run("--bogus", "x", program=SHOW).is_(1, "").says("--bogus")
    run("a", "b", program=SHOW).is_(1, "").says("too many words")
    for answer in (b"{", b'{"inputs":[]}', b'{"inputs":{},"outputs":[]}'):
        show(answer).is_(1, "").says("does not say what goes in")
    assert "too many" not in run(program=SHOW).is_(
        0, "Usage: ./show-tflite-tensor MODEL.tflite\n").err


def test_real_models_are_shown():
    library = os.path.join(cache_folder(), "libtensorflowlite_c.so")
    models = os.path.join(BUILD, "tests", "plugins", "nn", "models")
    plugin = os.path.join(PLUGINS, "wasmedge_tensorflowlite.so")
    for path in (library, os.path.join(models, "made"), plugin):
        if not os.path.exists(path):
            return "there is no " + path
    set_library = ("--plugin-option", "wasmedge_tensorflowlite.library=" + library)
    done = run(*set_library, os.path.join(models, "network.tflite"), program=SHOW).is_(0)
    tensor = (r"%s tensor nums: 1\n    %s tensor name: \w+\n        dimensions: \[1( , \d+)+\]\n"
              r"        data type: Float32\n        tensor byte size: [1-9]\d*\n")
    assert re.fullmatch(tensor % ("Input", "Input") + tensor % ("Output", "Output"),
                        done.out), done.out
    run(*set_library, __file__, program=SHOW).is_(1, "").says("no model for TensorFlow Lite")
    run("--plugin-option", "wasmedge_tensorflowlite.library=/nowhere/x.so",
        os.path.join(models, "network.tflite"), program=SHOW).is_(1, "").says("/nowhere/x.so")
    return None


def test_odd_answers_are_shown_harmlessly():
    for tensor in ({}, {"name": 5, "shape": 7}, {"shape": [-1, 3], "datatype": "FP32"},
                   {"shape": [2 ** 62, 2 ** 62], "datatype": "FP64"}, 3, None):
        show({"inputs": [tensor], "outputs": [tensor]}).is_(0).out.index("tensor byte size: 0\n")
    done = show({"inputs": [{"name": "\x1b[31m"}], "outputs": []}).is_(0)
    assert "\x1b" not in done.out, done.out


main(globals(), [os.path.join(BUILD, SHOW), os.path.join(FAKE, "wasmedge_tensorflowlite.so")])
