/*
 * code.h - the interpreter's own code: what translate.c makes and the handlers run.
 *
 * A function is an array of 8-byte words. An instruction is the address of its handler, one word
 * of operands, and for some kinds more words of data:
 *
 *     word 0   handler
 *     word 1   d, a, b, e      four frame slots, or
 *              d, a, imm       two slots and 32 bits
 *     word 2.. constants and pointers that do not fit
 *
 * Operands live in a frame of 8-byte slots (v128: two), or in one of two accumulators that are
 * passed from handler to handler in registers: acc for integers and references, vacc for
 * floats. A value that is used by the next instruction never touches memory.
 *
 *     fp -> | parameters | other locals | link: 4 slots | operands ...             |
 *           ^ the caller's operands                     ^ arguments of a callee = its fp
 *
 *     link[0]  where to go on in the caller; the exit code in the outermost frame
 *     link[1]  the caller's fp
 *     link[2]  calls that came from another instance: that instance,
 *     link[3]      and where to go on in it (link[0] then is the code that goes back)
 *
 * The values of operands never move: each operand has its canonical slot by its height.
 */
#pragma once

#include "vm/rt/runtime.h"

/* Without optimisation, and under sanitizers, a loop calls the handlers one by one. */
#if !defined VM_INTERP_LOOP && !defined __OPTIMIZE__
#define VM_INTERP_LOOP
#endif

/* One float register: its low lane holds an f32 or f64. */
typedef double vec __attribute__((vector_size(16)));

union word;

#ifdef VM_INTERP_LOOP
struct interp_regs;
typedef enum vm_status handler_fn(struct interp_regs *r);
#else
typedef enum vm_status handler_fn(const union word *ip, union vm_slot *fp, uint8_t *mem,
                                  uint64_t acc, struct vm_instance *inst, vec vacc);
#endif
typedef handler_fn *handler;

union word {
	handler fn;
	struct { uint16_t d, a, b, e; };
	struct { uint16_t d_, a_; int32_t imm; };
	uint64_t u64;
	double f64;
	struct interp_func *func;
	const struct vm_type *type;
	int64_t offset;
};

_Static_assert(sizeof(union word) == 8, "a word of code has 8 bytes");

struct interp_regs {
	const union word *ip;
	union vm_slot *fp;
	uint8_t *mem;
	uint64_t acc;
	struct vm_instance *inst;
	vec vacc;
};

enum { LINK_IP, LINK_FP, LINK_INSTANCE, LINK_RESUME, LINK_SLOTS };

/*
 * A function of a module in one variant. Translated on its first call: code is NULL until then,
 * and set last.
 */
struct interp_func {
	_Atomic(const union word *) code;
	uint32_t frame_slots; /* all of the picture above, and a callee's smallest frame */
	uint32_t link_slot;
	uint32_t param_slots;
	uint32_t result_slots;
	uint32_t index;
	uint32_t word_count;
	/* Where instructions that can trap or call came from, ordered by word; behind the code. */
	struct interp_position *positions;
	uint32_t position_count;
	struct interp_module *module;
};

struct interp_position {
	uint32_t word;   /* of the instruction's handler */
	uint32_t offset; /* in the binary; modules are limited to 1 GiB */
};

struct interp_module {
	struct vm_module *module; /* not counted: it owns this */
	bool metered;
	struct interp_lock *lock;      /* one translation at a time */
	struct code_chunk *chunks;     /* all code, newest first */
	struct translation *translation; /* under the lock, from the first function on */
	struct interp_func funcs[];    /* by index of the function less the imported ones */
};

/*
 * Translate a function (translate.c). Returns VM_OK when its code is there, also if another
 * thread was quicker; VM_E_NOMEM, or VM_E_LIMIT when the frame is too large.
 */
enum vm_status interp_translate(struct interp_func *func, struct vm_error *err);

/* The function that a code address belongs to, and the binary offset behind it; or NULL. */
const struct interp_func *interp_find_code(struct interp_module *module, const union word *ip);
uint64_t interp_offset(const struct interp_func *func, const union word *ip);

/* Note where a program ends, for its message and backtrace, and return the status. */
enum vm_status interp_trap(const union word *at, union vm_slot *frame,
                           struct vm_instance *instance, enum vm_trap trap);
enum vm_status interp_fail(const union word *at, union vm_slot *frame,
                           struct vm_instance *instance, enum vm_status status);

enum vm_status interp_entry(struct vm_func *func, struct vm_run *run, union vm_slot *slots);
