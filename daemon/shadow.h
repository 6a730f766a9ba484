/*
 * shadow.h - the same call by two tiers: is it the same result?
 *
 * Everything that a guest can be observed by is compared: how it ended, its results, what it wrote,
 * the files it left. NaNs are equal whatever their payload, as the specification leaves that
 * open. What depends on anything but the module and its input (time limits, the depth of the
 * stack, memory of the host) decides nothing.
 *
 * Threads: any
 */
#pragma once

#include "rpc/answer.h"
#include "rpc/digest.h"
#include "vm/vm.h"

enum shadow_verdict { SHADOW_SAME, SHADOW_DIFFERENT, SHADOW_UNDECIDED };

struct shadow_run {
	enum vm_status status;
	const struct vm_error *err; /* unless the status is VM_OK */
	const struct vm_value *results;
	uint32_t result_count;
	struct rpc_output out;
	struct rpc_output error;
	const struct vm_wasi_tree *tree; /* NULL: no files */
};

/* *out_what is a constant text: in what they differ. */
enum shadow_verdict shadow_compare(const struct shadow_run *first, const struct shadow_run *second,
                                   const char **out_what);

/* A digest of what a call was given, to find it again without keeping it. */
void shadow_digest(const struct vm_value *args, uint32_t arg_count, const char *input,
                   size_t input_len, struct digest *out);

/*
 * Whether the module's imports let it be run twice with the same outcome: no clock, no random
 * numbers, nothing that tells the time of a file, and no plug-in, which may do anything.
 */
bool shadow_is_repeatable(const struct vm_module *module);
