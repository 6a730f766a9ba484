/*
 * ops.h - how handlers are written.
 *
 * A handler is HANDLER(name) { body }. Its registers are ip, fp, mem, acc, inst and vacc; it ends
 * with NEXT(words), GOTO(address) or one of the traps. Optimised builds pass the registers as
 * arguments of a tail call, so they stay in the processor's registers and each handler is
 * compiled by itself; other builds keep them in a struct and return to a loop.
 *
 * Handlers lie in the section of guest code: a fault or a stop may leave them at any
 * instruction, so they take no locks and allocate nothing; what does, is called.
 */
#pragma once

#include "vm/interp/handlers.h"
#include "vm/rt/num.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define UNUSED __attribute__((unused))

#ifdef VM_INTERP_LOOP

#define HANDLER(name)                                                                              \
	handler_fn name;                                                                           \
	VM_GUEST_TEXT enum vm_status name(UNUSED struct interp_regs *r)
#define ip (r->ip)
#define fp (r->fp)
#define mem (r->mem)
#define acc (r->acc)
#define inst (r->inst)
#define vacc (r->vacc)
#define GOTO(address)                                                                              \
	do {                                                                                       \
		ip = (address);                                                                    \
		return VM_OK;                                                                      \
	} while (0)
/* Leave the loop in good order: any status it does not know. */
#define LEAVE() return INTERP_DONE
#define PIN_IP() (void)0

#else

#define HANDLER(name)                                                                              \
	handler_fn name;                                                                           \
	VM_GUEST_TEXT enum vm_status name(                                                         \
	    UNUSED const union word *ip, UNUSED union vm_slot *fp, UNUSED uint8_t *mem,            \
	    UNUSED uint64_t acc, UNUSED struct vm_instance *inst, UNUSED vec vacc)
#ifdef __clang__
#define TAIL __attribute__((musttail))
#else
#define TAIL /* gcc makes sibling calls of these at -O2 */
#endif
#define GOTO(address)                                                                              \
	do {                                                                                       \
		const union word *to_ = (address);                                                 \
		TAIL return to_->fn(to_, fp, mem, acc, inst, vacc);                                \
	} while (0)
#define LEAVE() return VM_OK
/*
 * Keep ip in its argument register around an access that may fault, so that the fault handler
 * finds it there.
 */
#ifdef __x86_64__
#define PIN_IP() __asm__ volatile("" : "+D"(ip) : : "memory")
#else
#define PIN_IP() __asm__ volatile("" : "+r"(ip) : : "memory")
#endif

#endif

#define INTERP_DONE ((enum vm_status)-1)

#define NEXT(words) GOTO(ip + (words))

/* Whether somebody wants the program to stop: the trap is in the flag. */
#define STOPPED() unlikely(atomic_load_explicit(&inst->run->stop, memory_order_relaxed) != 0)

/* End the program here. */
#define TRAP(code) return interp_trap(ip, fp, inst, (code))
#define FAIL(status) return interp_fail(ip, fp, inst, (status))

/* --- operands ------------------------------------------------------------------------------ */

/* Setting the low lane without a move: the upper lane is never looked at. */
static inline __attribute__((always_inline)) vec
vec_of_f64(double value)
{
#if defined __x86_64__ && !defined __clang__
	vec v;

	__asm__("" : "=x"(v) : "0"(value));
	return v;
#else
	vec v = { value };

	return v;
#endif
}

typedef float vec_f32 __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) vec
vec_of_f32(float value)
{
#if defined __x86_64__ && !defined __clang__
	vec v;

	__asm__("" : "=x"(v) : "0"(value));
	return v;
#else
	vec_f32 v = { value };

	return (vec)v;
#endif
}

/* Where an access to any memory lies; NULL when it is out of bounds. */
static inline __attribute__((always_inline)) uint8_t *
checked_address(const struct vm_memory *memory, union vm_slot slot, uint64_t offset, uint64_t width)
{
	uint64_t address = memory->type.is_64 ? slot.u64 : slot.u32;
	uint64_t size = memory->size;

	if (offset > size || address > size - offset || width > size - offset - address)
		return NULL;
	return memory->base + address + offset;
}

/* Per signature letter: the C type, and how to read and write slots and accumulators. */
#define T_i uint32_t
#define T_l uint64_t
#define T_f float
#define T_d double

#define SLOT_i(n) (fp[n].u32)
#define SLOT_l(n) (fp[n].u64)
#define SLOT_f(n) (fp[n].f32)
#define SLOT_d(n) (fp[n].f64)

#define ACC_i ((uint32_t)acc)
#define ACC_l (acc)
#define ACC_f (((vec_f32)vacc)[0])
#define ACC_d (vacc[0])

/* Stores are always of 8 bytes, so that any later load is forwarded. */
#define TO_SLOT_i(n, v) (fp[n].u64 = (uint32_t)(v))
#define TO_SLOT_l(n, v) (fp[n].u64 = (v))
#define TO_SLOT_f(n, v) (fp[n].u64 = num_f32_bits(v))
#define TO_SLOT_d(n, v) (fp[n].f64 = (v))

#define TO_ACC_i(n, v) (acc = (uint32_t)(v))
#define TO_ACC_l(n, v) (acc = (v))
#define TO_ACC_f(n, v) (vacc = vec_of_f32(v))
#define TO_ACC_d(n, v) (vacc = vec_of_f64(v))

/* The constant operand: 32 bits behind the slots, or a word of its own for floats. */
#define IMM_i ((uint32_t)ip[1].imm)
#define IMM_l ((uint64_t)(int64_t)ip[1].imm)
#define IMM_f (num_f32_of_bits((uint32_t)ip[2].u64))
#define IMM_d (ip[2].f64)
#define IMM_WORDS_i 2
#define IMM_WORDS_l 2
#define IMM_WORDS_f 3
#define IMM_WORDS_d 3
