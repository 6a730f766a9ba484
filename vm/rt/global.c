#include "vm/rt/store.h"
#include "vm/rt/value.h"

void
vm_global_type(const struct vm_global *global, struct vm_globaltype *out)
{
	*out = global->type;
}

void
vm_global_get(const struct vm_global *global, struct vm_value *out)
{
	union vm_slot slots[2];

	slots[0].u64 = global->cell.u64[0];
	slots[1].u64 = global->cell.u64[1];
	(void)value_from_slots(global->type.content, slots, out);
}

static void
cell_set(struct vm_global *global, const struct vm_value *value)
{
	union vm_slot slots[2] = { { .u64 = 0 }, { .u64 = 0 } };

	(void)value_to_slots(value, slots);
	global->cell.u64[0] = slots[0].u64;
	global->cell.u64[1] = slots[1].u64;
}

enum vm_status
vm_global_set(struct vm_global *global, const struct vm_value *value, struct vm_error *err)
{
	if (!global->type.is_mutable)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET, "the global is immutable");
	if (!value_fits(global->store, global->type.content, value))
		return value_misfit(global->type.content, value, "global", UINT64_MAX, err);
	cell_set(global, value);
	return VM_OK;
}

enum vm_status
vm_global_new(struct vm_store *store, const struct vm_globaltype *type, const struct vm_value *init,
              struct vm_global **out, struct vm_error *err)
{
	if (!value_type_exists(type->content))
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "global of type 0x%x: there is no such type", type->content);
	if (!value_fits(store, type->content, init))
		return value_misfit(type->content, init, "initial value of a global", UINT64_MAX,
		                    err);

	struct vm_global *global = store_alloc(store, sizeof(*global));
	if (global == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	*global = (struct vm_global){
		.type = *type,
		.store = store,
		.group = value_hold_type(store->engine, type->content),
		.next = store->globals,
	};
	store->globals = global;
	cell_set(global, init);
	*out = global;
	return VM_OK;
}
