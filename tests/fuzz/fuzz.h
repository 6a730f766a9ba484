/*
 * fuzz.h - what a fuzz target defines.
 *
 * A target is one file fuzz_NAME.c with the function below, linked either with libFuzzer
 * (--enable-fuzz) or with standalone.c, which runs it briefly in "make check". Its seeds are the
 * files of tests/fuzz/corpus/NAME/.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Run the code under test on one input, which is freed after the call. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
