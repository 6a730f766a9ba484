#!/usr/bin/env python3
"""Guests call all functions of wasmedge_tensorflow(lite) and wasi_ephemeral_nn."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from libraries import cache_folder  # noqa: E402
from plugintest import BUILD, guest, main, run  # noqa: E402

MODELS = os.path.join(BUILD, "tests", "plugins", "nn", "models")
FLOW, LITE, NN = (guest("nn", name) for name in ("tensorflow", "tensorflowlite", "nn"))
LIBRARY = {"wasmedge_tensorflow": "libtensorflow_cc.so.2",
           "wasmedge_tensorflowlite": "libtensorflowlite_c.so", "wasi_nn": "libonnxruntime.so.1"}
# The libraries do not free everything when a process ends; ours is looked at by itself.
LEAKS = os.path.join(HERE, "leaks.supp")


def missing(*plugins):
    """Why a test cannot run, or None."""
    for plugin in plugins:
        if not os.path.exists(os.path.join(cache_folder(), LIBRARY[plugin])):
            return "%s is not there: ./bootstrap libraries" % LIBRARY[plugin]
    return None


def infer(program, *words, folder=None, options=()):
    """Run a guest with all libraries of the cache, or of the folder."""
    settings = ["--plugin-option=%s.library=%s" % (plugin, folder or cache_folder())
                for plugin in LIBRARY]
    return run(*settings, *["--plugin-option=" + option for option in options],
               "--dir=/m:" + MODELS, program, *words,
               LSAN_OPTIONS="suppressions=%s:print_suppressions=0" % LEAKS)


def good(done):
    assert done.code == 0, "exit code %d\n%s%s" % (done.code, done.out, done.err)
    assert done.out.endswith(" 0 failures\n"), done.out
    return done


def traps(program, *words):
    for word in words:
        infer(program, word).is_(134).says("outside of the memory")


def test_tensorflowlite():
    reason = missing("wasmedge_tensorflowlite")
    if not reason:
        good(infer(LITE, "all")).says("append_input: 15 bytes are not what input b takes",
                                      "no such input")
    return reason


def test_tensorflowlite_traps():
    reason = missing("wasmedge_tensorflowlite")
    if not reason:
        traps(LITE, "trap-model", "trap-name", "trap-input", "trap-data")
    return reason


def test_tensorflow():
    reason = missing("wasmedge_tensorflow")
    if not reason:
        good(infer(FLOW, "all", os.path.join(MODELS, "saved"),
                   options=["wasmedge_tensorflow.saved_model_folders=" + MODELS])).says(
                       "operation ReadFile", "is not below a folder",
                       "the graph has no tensor none")
    return reason


def test_saved_models_are_of_no_folder_by_themselves():
    reason = missing("wasmedge_tensorflow")
    if not reason:
        good(infer(FLOW, "saved")).says("no folders of SavedModels are allowed")
    return reason


def test_tensorflow_traps():
    # All but the last end before the library is needed.
    traps(FLOW, "trap-model", "trap-name", "trap-dims", "trap-many-dims", "trap-input",
          "trap-output")
    reason = missing("wasmedge_tensorflow")
    if not reason:
        traps(FLOW, "trap-data")
    return reason


def test_onnx():
    reason = missing("wasi_nn")
    if not reason:
        good(infer(NN, "1", "onnx")).says("data in other files")
    return reason


def test_tensorflow_and_tensorflowlite_by_wasi_nn():
    reason = missing("wasmedge_tensorflow", "wasmedge_tensorflowlite", "wasi_nn")
    if not reason:
        good(infer(NN, "2", "pb"))
        good(infer(NN, "4", "tflite"))
    return reason


def test_models_by_name():
    reason = missing("wasi_nn")
    if not reason:
        good(infer(NN, "named", options=[
            "wasi_nn.models=digits:ONNX:CPU:%s/network.onnx" % MODELS,
            "wasi_nn.models=gone:onnx:auto:/does/not/exist"])).says("/does/not/exist: No such file")
    infer(NN, "named", options=["wasi_nn.models=digits"]).is_(1).says("NAME:ENCODING:TARGET:PATH")


def test_absent_libraries_are_an_answer():
    for program, library in ((LITE, "libtensorflowlite_c.so"), (FLOW, "libtensorflow_cc.so.2"),
                             (NN, "libonnxruntime.so")):
        good(infer(program, "absent", folder=MODELS)).says("cannot be opened", library,
                                                           "set the option library")


if __name__ == "__main__":
    main(globals(), [FLOW, LITE, NN, os.path.join(MODELS, "made")])
