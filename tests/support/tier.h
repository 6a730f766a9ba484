/*
 * tier.h - which tier a test program runs its modules on.
 *
 * Test programs share these options:
 *
 *     --tier interp|native     interpreted (the default), or as native code
 *     --metered                in stores that count fuel, without a limit
 *     --level fast|best        of native code; best is the default
 *     --canonical-nans         of native code
 */
#pragma once

#include "vm/vm.h"

struct tier {
	bool is_native;
	bool is_metered;
	bool canonical_nans;
	enum vm_compile_level level;
};

/* The options, for a usage line. */
#define TIER_USAGE "[--tier interp|native] [--metered] [--level fast|best] [--canonical-nans]"

/*
 * Take the option argv[*at], leaving *at on its last word. False, changing nothing, when it is
 * none of the above or its value is wrong.
 */
bool tier_option(struct tier *tier, int argc, char *const *argv, int *at);

/* The interpreter, where no option says otherwise. */
void tier_init(struct tier *tier);

/* "native, fast, metered". Returns buf. */
#define TIER_TEXT_MAX 64
const char *tier_text(const struct tier *tier, char *buf, size_t size);

/*
 * Can the tier be used here? False, with the reason in *err, where there is no compiler. Opens the
 * compiler, so that processes forked afterwards need not.
 */
bool tier_is_available(const struct tier *tier, struct vm_error *err);

/*
 * Give the module the code that the tier needs, unless it has it already: compile it with one
 * thread, and attach it as if the artifact had been kept.
 */
VM_MUST_CHECK enum vm_status tier_prepare(const struct tier *tier, struct vm_module *module,
                                          struct vm_error *err);

/* A new store in which only that tier runs. */
VM_MUST_CHECK enum vm_status tier_store_new(const struct tier *tier, struct vm_engine *engine,
                                            struct vm_store **out, struct vm_error *err);
