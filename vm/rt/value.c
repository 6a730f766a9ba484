#include "vm/rt/value.h"

#include <stdio.h>
#include <string.h>
#include "vm/rt/store.h"

bool
value_type_exists(vm_valtype type)
{
	uint32_t heap = vm_valtype_heap(type);

	if (vm_valtype_is_ref(type))
		return heap >= VM_HEAP_CONCRETE || (heap >= VM_HEAP_EXN && heap <= VM_HEAP_NOEXN);
	return type >= VM_V128 && type <= VM_I32;
}

static bool
func_fits(const struct vm_store *store, uint32_t heap, const struct vm_func *func)
{
	if (func->instance->store != store)
		return false;
	if (heap == VM_HEAP_FUNC)
		return true;
	return heap >= VM_HEAP_CONCRETE &&
	       type_is_subtype(func->type, type_of_heap(store->engine, heap));
}

bool
value_fits(const struct vm_store *store, vm_valtype want, const struct vm_value *value)
{
	if (!vm_valtype_is_ref(want))
		return value->type == want;
	if (!vm_valtype_is_ref(value->type))
		return false;

	uint32_t heap = vm_valtype_heap(want);
	uint32_t top = heap_top(store->engine, heap);
	if (value->of.ref == NULL)
		return vm_valtype_is_nullable(want) &&
		       heap_top(store->engine, vm_valtype_heap(value->type)) == top;
	if (heap_top(store->engine, vm_valtype_heap(value->type)) != top)
		return false;
	if (top == VM_HEAP_FUNC)
		return func_fits(store, heap, value->of.ref);
	return heap == VM_HEAP_EXTERN; /* objects of other hierarchies cannot be made here */
}

enum vm_status
value_misfit(vm_valtype want, const struct vm_value *value, const char *what, uint64_t index,
             struct vm_error *err)
{
	char expected[VM_VALTYPE_TEXT_MAX], found[VM_VALTYPE_TEXT_MAX], which[24] = "";

	if (index != UINT64_MAX)
		(void)snprintf(which, sizeof(which), " %llu", (unsigned long long)index);
	(void)vm_valtype_text(want, expected, sizeof(expected));
	(void)vm_valtype_text(value->type, found, sizeof(found));
	bool is_ref = vm_valtype_is_ref(value->type);
	return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET, "%s%s: expected %s, got %s%s", what,
	                    which, expected, found,
	                    !is_ref ? ""
	                    : value->of.ref == NULL
	                        ? " (null)"
	                        : " that is not of the type or of another store");
}

uint32_t
value_to_slots(const struct vm_value *value, union vm_slot *slots)
{
	switch (value->type) {
	case VM_I32:
	case VM_F32:
		slots[0].u64 = 0;
		slots[0].i32 = value->of.i32;
		return 1;
	case VM_V128:
		memcpy(slots, value->of.v128, 16);
		return 2;
	default:
		slots[0].i64 = value->of.i64; /* f64_bits and ref are the same 8 bytes */
		return 1;
	}
}

uint32_t
value_from_slots(vm_valtype type, const union vm_slot *slots, struct vm_value *out)
{
	memset(out, 0, sizeof(*out));
	out->type = type;
	switch (type) {
	case VM_I32:
	case VM_F32:
		out->of.i32 = slots[0].i32;
		return 1;
	case VM_V128:
		memcpy(out->of.v128, slots, 16);
		return 2;
	default:
		out->of.i64 = slots[0].i64;
		return 1;
	}
}

struct rec_group *
value_hold_type(const struct vm_engine *engine, vm_valtype type)
{
	if (!vm_valtype_is_ref(type) || vm_valtype_heap(type) < VM_HEAP_CONCRETE)
		return NULL;

	struct rec_group *group = type_of_heap(engine, vm_valtype_heap(type))->group;
	rec_group_ref(group);
	return group;
}
