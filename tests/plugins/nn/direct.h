/*
 * direct.h - a network run by the C libraries themselves, without plug-ins: to compare with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "tests/plugins/nn/nntest.h"

struct direct {
	/* Run the model: input is one tensor "image" of that shape, output "classes" of floats. */
	bool (*run)(struct direct *direct, const float *input, float *output, size_t output_count);
	void (*close)(struct direct *direct);
	int64_t shape[4];
	size_t input_bytes;
	void *of[4];
	struct nn_file model;
};

/*
 * Open the library of the plug-in and load a network of the models' folder, whose images have side
 * pixels a side. False when something fails.
 */
bool direct_open(struct direct *direct, const char *plugin, const char *model, int64_t side,
                 int threads);
void direct_close(struct direct *direct);
