/*
 * trace.h - what a generated module does on one tier, call by call, in a form that compares.
 *
 * A trace calls every exported function ("f0", "f1", ...) several times with arguments that depend
 * on nothing but their types and positions, in one instance, and notes after each call how it
 * ended, what came out, and what exported memories, tables and globals hold then. Imports are
 * provided by their types; imported functions answer from their arguments, write to the caller's
 * first memory, and now and then call back into it.
 */
#pragma once

#include "tests/support/tier.h"

struct trace_step {
	char *text;        /* everything that has to be equal */
	enum vm_trap trap; /* VM_TRAP_NONE where it did not trap */
	uint32_t function; /* where it trapped, or VM_NO_FUNCTION */
	uint64_t offset;   /* or VM_NO_OFFSET */
};

struct trace {
	struct trace_step *steps;
	size_t count;
	uint64_t fuel_used; /* of metered stores */
};

struct trace_options {
	struct tier tier;
	uint64_t fuel;     /* for all calls together; UINT64_MAX: no limit. Metered tiers only */
	bool exact_nans;   /* note the bits of NaNs too */
	bool no_fuel;      /* leave out what metered stores used */
	const char *call;  /* the only call: "NAME" or "NAME,INTEGER,..."; NULL: all as above */
	/*
	 * The other half of a module that split.py has made two of, or NULL. This half runs on the
	 * tier, the module itself on the interpreter.
	 */
	struct vm_module *far;
};

/*
 * Trace a module. After a trap because of a limit the trace ends, as the store does. The module
 * gets the tier's code when it has none yet; it must not have another's.
 *
 * Returns what makes it impossible; the program ends when memory is short.
 */
VM_MUST_CHECK enum vm_status trace_make(struct vm_engine *engine, struct vm_module *module,
                                        const struct trace_options *options, struct trace *out,
                                        struct vm_error *err);
void trace_clear(struct trace *trace);

/*
 * Are they equal? Functions and offsets of traps count where both have them. Comparison ends where
 * a stack was exhausted, whose depth tiers need not agree on. *out_step is where they first differ:
 * a step, or the first that only one of them has.
 */
enum trace_relation { TRACE_EQUAL, TRACE_OFFSETS_DIFFER, TRACE_DIFFERENT };
enum trace_relation trace_compare(const struct trace *a, const struct trace *b, size_t *out_step);

/* For messages: a step with its position, or "nothing" behind the end. Returns buf. */
const char *trace_text(const struct trace *trace, size_t step, char *buf, size_t size);
