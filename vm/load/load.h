/*
 * load.h - loading modules that are known to be valid.
 */
#pragma once

#include "vm/core/module.h"

/*
 * What is known of a binary whose function bodies this very build has validated before, under
 * limits that were not wider and with features that are all there: it stands in for walking them.
 */
struct load_proof {
	vm_features features_used, features_seen; /* as in struct vm_module */
};

/*
 * vm_module_load; with a proof, which may be NULL, function bodies are not looked at. A tier that
 * translates one validates it by walking it, as always.
 */
VM_MUST_CHECK enum vm_status load_module(struct vm_engine *engine, const uint8_t *bytes, size_t len,
                                         const struct load_proof *proof,
                                         struct vm_module **out_module, struct vm_error *err);
