/*
 * value.h - values of the embedder, checked and converted to the engine's slots.
 *
 * The embedder's claims are not trusted: what a reference points at decides whether it fits.
 */
#pragma once

#include "vm/rt/runtime.h"

/*
 * True for a value type of the specification. A defined type's number is taken as it is: it comes
 * from a module of the engine, which has to be alive.
 */
bool value_type_exists(vm_valtype type);

/*
 * True when the value may be used where the type is wanted, in that store: the kind is the same,
 * null only where allowed, a function of the store and of the type.
 */
bool value_fits(const struct vm_store *store, vm_valtype want, const struct vm_value *value);

/*
 * Fail because a value does not fit. what and index name it: "argument 3"; an index of
 * UINT64_MAX is left out.
 */
enum vm_status value_misfit(vm_valtype want, const struct vm_value *value, const char *what,
                            uint64_t index, struct vm_error *err);

/* To and from slots; they return how many were used. */
uint32_t value_to_slots(const struct vm_value *value, union vm_slot *slots);
uint32_t value_from_slots(vm_valtype type, const union vm_slot *slots, struct vm_value *out);

/*
 * Hold the group of a defined type that an object of the embedder mentions, so that the type
 * stays what it is. NULL for other types.
 */
struct rec_group *value_hold_type(const struct vm_engine *engine, vm_valtype type);
