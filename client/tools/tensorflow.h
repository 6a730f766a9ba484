/*
 * tensorflow.h - the runners that people of TensorFlow models know by their own names.
 */
#pragma once

#include "client/wasmedge/runner.h"

/* The whole program: wasmedge run under a name, with plug-ins whose functions do nothing. */
int tensorflow_main(const char *name, const char *summary, const char *const *dummies,
                    size_t dummy_count, int argc, char *const *argv);
