/*
 * host.h - the host module "spectest" of the conformance scripts.
 */
#pragma once

#include "vm/vm.h"

/* What a script's linker is filled with; the objects live in the store. */
struct host {
	struct vm_global *globals[4];
	struct vm_table *tables[2];
	struct vm_memory *memories[2];
};

/* Make the objects, as far as the features know of them. */
enum vm_status host_make(struct vm_store *store, vm_features features, struct host *out,
                         struct vm_error *err);
/* Define them and the functions. */
enum vm_status host_define(struct vm_linker *linker, const struct host *host, struct vm_error *err);
