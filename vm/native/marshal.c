#include "vm/native/marshal.h"

/* What travels in the registers of floats. */
static inline bool
is_float(vm_valtype type)
{
	return type - VM_V128 <= VM_F32 - VM_V128; /* V128, F64, F32 in a row */
}

static inline unsigned int
from_slots(vm_valtype type, const union vm_slot *slots, union native_float *to)
{
	to->u64[0] = slots[0].u64;
	if (type != VM_V128)
		return 1;
	to->u64[1] = slots[1].u64;
	return 2;
}

static inline unsigned int
to_slots(vm_valtype type, const union native_float *from, union vm_slot *slots)
{
	slots[0].u64 = from->u64[0];
	if (type != VM_V128)
		return 1;
	slots[1].u64 = from->u64[1];
	return 2;
}

unsigned int
marshal_arguments_any(const struct vm_type *type, const union vm_slot *slots,
                      struct native_regs *regs, union native_float *extra)
{
	unsigned int ints = 0, floats = 0;

	for (uint32_t i = 0; i < type->func.param_count; i++) {
		vm_valtype t = type->func.params[i];

		if (!is_float(t) && ints < NATIVE_INT_PARAMS)
			regs->ints[ints++] = (slots++)->u64;
		else if (is_float(t) && floats < NATIVE_FLOAT_PARAMS)
			slots += from_slots(t, slots, &regs->floats[floats++]);
		else
			slots += from_slots(t, slots, extra++);
	}
	return floats;
}

void
marshal_arguments_out_any(const struct vm_type *type, const struct native_regs *regs,
                          const union native_float *extra, union vm_slot *slots)
{
	unsigned int ints = 0, floats = 0;

	for (uint32_t i = 0; i < type->func.param_count; i++) {
		vm_valtype t = type->func.params[i];

		if (!is_float(t) && ints < NATIVE_INT_PARAMS)
			(slots++)->u64 = regs->ints[ints++];
		else if (is_float(t) && floats < NATIVE_FLOAT_PARAMS)
			slots += to_slots(t, &regs->floats[floats++], slots);
		else
			slots += to_slots(t, extra++, slots);
	}
}

void
marshal_results_any(const struct vm_type *type, const union vm_slot *slots,
                    struct native_regs *regs, union native_float *extra)
{
	uint32_t count = type->func.result_count;

	if (count == 0)
		return;
	vm_valtype first = type->func.results[0];
	if (is_float(first))
		slots += from_slots(first, slots, &regs->floats[0]);
	else
		regs->ints[0] = (slots++)->u64;
	for (uint32_t i = 1; i < count; i++)
		slots += from_slots(type->func.results[i], slots, extra++);
}

void
marshal_results_back_any(const struct vm_type *type, const struct native_regs *regs,
                         const union native_float *extra, union vm_slot *slots)
{
	uint32_t count = type->func.result_count;

	if (count == 0)
		return;
	vm_valtype first = type->func.results[0];
	if (is_float(first))
		slots += to_slots(first, &regs->floats[0], slots);
	else
		(slots++)->u64 = regs->ints[0];
	for (uint32_t i = 1; i < count; i++)
		slots += to_slots(type->func.results[i], extra++, slots);
}
