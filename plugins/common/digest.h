/*
 * digest.h - SHA-256 of a model's bytes, as the key that they are known by.
 */
#pragma once

#include "vm/common.h"

#define NN_DIGEST_TEXT_MAX (sizeof "sha256:" + 64)

/* "sha256:" and 64 hex digits. */
void nn_digest_text(struct vm_str bytes, char out[NN_DIGEST_TEXT_MAX]);
