/*
 * marshal.h - values between slots and the registers of native code, see abi.h.
 */
#pragma once

#include "vm/native/enter.h"

/* Of the types that are not plain. */
unsigned int marshal_arguments_any(const struct vm_type *type, const union vm_slot *slots,
                                   struct native_regs *regs, union native_float *extra);
void marshal_results_back_any(const struct vm_type *type, const struct native_regs *regs,
                              const union native_float *extra, union vm_slot *slots);
void marshal_arguments_out_any(const struct vm_type *type, const struct native_regs *regs,
                               const union native_float *extra, union vm_slot *slots);
void marshal_results_any(const struct vm_type *type, const union vm_slot *slots,
                         struct native_regs *regs, union native_float *extra);

/* Only integers and references, all of them in registers: most functions. */
static inline bool
marshal_is_plain(const struct vm_type *type)
{
	return !type->has_floats && type->func.param_count <= NATIVE_INT_PARAMS &&
	       type->func.result_count <= 1;
}

/* At most NATIVE_INT_PARAMS; compilers make too much of a loop. */
static inline void
marshal_copy(const uint64_t *from, uint64_t *to, uint32_t count)
{
	switch (count) {
	case 5:
		to[4] = from[4];
		/* fallthrough */
	case 4:
		to[3] = from[3];
		/* fallthrough */
	case 3:
		to[2] = from[2];
		/* fallthrough */
	case 2:
		to[1] = from[1];
		/* fallthrough */
	case 1:
		to[0] = from[0];
		break;
	default:
		break;
	}
}

/* Arguments of a function that is native code. Returns how many of regs->floats they fill. */
static inline unsigned int
marshal_arguments(const struct vm_type *type, const union vm_slot *slots, struct native_regs *regs,
                  union native_float *extra)
{
	if (!marshal_is_plain(type))
		return marshal_arguments_any(type, slots, regs, extra);
	marshal_copy(&slots->u64, regs->ints, type->func.param_count);
	return 0;
}

/* Results of a function that is native code, back to slots. */
static inline void
marshal_results_back(const struct vm_type *type, const struct native_regs *regs,
                     const union native_float *extra, union vm_slot *slots)
{
	if (!marshal_is_plain(type))
		marshal_results_back_any(type, regs, extra, slots);
	else if (type->func.result_count > 0)
		slots[0].u64 = regs->ints[0];
}

/* Arguments that native code passes to something else, to slots. */
static inline void
marshal_arguments_out(const struct vm_type *type, const struct native_regs *regs,
                      const union native_float *extra, union vm_slot *slots)
{
	if (!marshal_is_plain(type)) {
		marshal_arguments_out_any(type, regs, extra, slots);
		return;
	}
	marshal_copy(regs->ints, &slots->u64, type->func.param_count);
}

/* Its results, to where native code finds them. */
static inline void
marshal_results(const struct vm_type *type, const union vm_slot *slots, struct native_regs *regs,
                union native_float *extra)
{
	if (!marshal_is_plain(type))
		marshal_results_any(type, slots, regs, extra);
	else if (type->func.result_count > 0)
		regs->ints[0] = slots[0].u64;
}
