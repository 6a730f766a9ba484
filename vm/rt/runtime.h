/*
 * runtime.h - what running code sees: stores, instances and their parts.
 *
 * A store is used by one thread at a time. Everything that handlers of the interpreter and
 * native code touch is in struct vm_run (one per store) and struct vm_instance.
 *
 * The uniform convention: every function, whoever runs it, is entered through
 *
 *     status = func->entry(func, run, slots)
 *
 * with its arguments in 8-byte slots (v128 two, low half first) and its results written over
 * them. Anything but VM_OK has its details in *run->err.
 *
 * Spec:    Core 3.0, section 4.2
 */
#pragma once

#include <stdatomic.h>
#include "vm/core/engine.h"
#include "vm/core/module.h"
#include "vm/instance.h"
#include "vm/linker.h"

struct vm_run;

typedef enum vm_status (*func_entry)(struct vm_func *func, struct vm_run *run,
                                     union vm_slot *slots);

/* From C, by way of func_call or something quicker that does the same. */
typedef enum vm_status (*func_caller)(struct vm_func *func, union vm_slot *slots,
                                      struct vm_error *err);

struct vm_func {
	func_entry entry;
	const struct vm_type *type;
	/* How native code calls it, see vm/native/abi.h; NULL where there is no native tier. */
	const void *native;
	void *native_context;
	struct vm_instance *instance; /* that defines it; of a host function: that imported it */
	void *code;     /* the tier's, or struct host_func * */
	uint32_t index; /* in the instance's module */
	bool is_host;
	func_caller call;
};

struct host_func {
	const struct vm_type *type;
	vm_host_fn fn;
	void *env;
};

struct vm_memory {
	uint8_t *base;     /* never moves */
	uint64_t size;     /* bytes accessible now */
	uint64_t pages;
	uint64_t pages_max; /* declared and configured maximum, the smaller */
	struct vm_memorytype type;
	struct vm_store *store;
	/* The rest is rt/memory.c's: the reservation. All of [0, size) is readable and writable. */
	uint64_t reserved_bytes; /* from base, guard not counted */
	uint64_t image_start;    /* range that is mapped from an image; empty when there is none */
	uint64_t image_bytes;
	bool is_broken;          /* a mapping failed: not to be used again */
	bool is_kept;            /* with its instance, see rt/keep.h */
	struct vm_memory *next;  /* of the store */
};

struct vm_table {
	void **elems; /* references; may move when the table grows */
	uint64_t size;
	uint64_t capacity;
	uint64_t max;
	struct vm_tabletype type;
	struct vm_store *store;
	struct rec_group *group; /* held for an embedder's table of a defined type, or NULL */
	bool is_kept;            /* with its instance, see rt/keep.h */
	struct vm_table *next;
};

union global_cell {
	union vm_slot slot;
	uint64_t u64[2]; /* v128: both */
	uint8_t bytes[16];
};

struct vm_global {
	union global_cell cell; /* first: instances point at it */
	struct vm_globaltype type;
	struct vm_store *store;
	struct rec_group *group; /* as in tables */
	struct vm_global *next;
};

struct vm_tag {
	const struct vm_type *type;
	struct vm_store *store;
};

/* A segment's state: dropped ones, active ones after instantiation too, have count 0. */
struct elem_instance {
	void **elems; /* evaluated references; NULL when the module lists function indices */
	uint64_t count;
};

struct vm_instance {
	struct vm_run *run;
	uint8_t *memory0;           /* base of memories[0], or NULL */
	struct vm_memory **memories; /* index spaces of the module */
	struct vm_table **tables;
	union global_cell **globals;
	struct vm_func **imported_funcs;
	struct vm_func *funcs;      /* by module_func.slot */
	void *code;                 /* the tier's module code in this instance's variant */
	const void *const *builtins; /* for native code: by enum native_builtin */
	const struct vm_type *const *types; /* the module's */
	uint64_t *data_sizes; /* by segment, 0 when dropped; NULL without a data count section */
	struct elem_instance *elems;
	struct vm_tag **tags;
	struct vm_module *module;
	struct vm_store *store;
	const struct vm_tier *tier;
	struct vm_program *program; /* keeps host functions alive, or NULL */
	struct vm_instance *next;   /* of the store */
	struct instance_keep *keep; /* what it was when it began, to be that again; or NULL */
};

/* The function object of an index that has a slot or is imported. */
static inline struct vm_func *
instance_func(const struct vm_instance *instance, uint32_t index)
{
	const struct vm_module *module = instance->module;

	if (index < module->func_import_count)
		return instance->imported_funcs[index];
	return &instance->funcs[module->funcs[index].slot];
}

/* --- the running thread ------------------------------------------------------------------- */

/* Registers at a fault in guest code, for the tier to find out where it was. */
struct rt_fault {
	uintptr_t pc;
	uintptr_t address;
	uintptr_t regs[16]; /* in the order of the processor's encoding on x86-64 */
	bool is_call;       /* pc is where a call out of native code was to return to */
};

#define RUN_NO_THREAD UINT64_MAX

struct vm_run {
	void *exit_sp; /* first: stack pointer of the innermost rt_enter, for the fault handler */
	/* Where the next native entry puts its frames (vm/native/enter_x64.S); NULL: on top. */
	void *guest_sp;
	/*
	 * One after the other, so that built-ins of native code can look at both at once. stop is
	 * an enum vm_trap: why to end, or 0; looked at by loops and calls. trap is set by the fault
	 * handler and by tiers: what run->err has to say.
	 */
	_Alignas(8) atomic_uint stop;
	enum vm_trap trap;
	bool metered;
	bool has_float_modes; /* the thread computes otherwise than guests do */
	uint64_t fuel;      /* left; metered code subtracts, and traps instead of wrapping */
	void *extra;        /* values of native calls that travel in no register, 16 bytes each */
	uintptr_t guest_stack_low; /* of native code: its guard ends here; see store_guest_stack */
	union vm_slot *stack; /* guest frames of the interpreter: stack <= top <= stack_end */
	union vm_slot *top;   /* first slot free for a nested entry */
	union vm_slot *stack_end;
	struct vm_error *err; /* where details of a failure go; not NULL while something runs */
	/* The interpreter's: instruction, frame and instance where the program stopped. */
	const void *stopped_at;
	union vm_slot *stopped_frame;
	struct vm_instance *stopped_instance;
	struct rt_fault fault;
	/* Whether memories may differ from what their instances began with: see rt/effect.h. */
	bool is_touched;
	uint64_t host_calls;
	uint32_t depth;     /* nested entries on the thread's own stack */
	/* Serial of the thread that was last prepared for this run, or RUN_NO_THREAD. */
	uint64_t thread;
	uint64_t native_for;      /* the same for native code, or RUN_NO_THREAD */
	int native_self;          /* that one's number */
	atomic_int native_thread; /* system's number of the thread in native code, or 0 */
	int stop_signal;          /* the engine's */
	struct vm_store *store;
};

/*
 * Run fn(arg) so that a memory fault in guest code ends it: then rt_enter returns VM_TRAP with
 * run->trap and run->fault set, otherwise fn's result. Guest code is what lies in the section
 * VM_GUEST_TEXT, and native code, which is entered by native_enter instead; it must hold no locks.
 * It runs with the default floating-point environment, if run->has_float_modes says what the thread
 * has. Entries nest. A tier's entry calls this
 * around its guest code: only the tier can say where a fault happened.
 */
enum vm_status rt_enter(struct vm_run *run, enum vm_status (*fn)(void *arg), void *arg);

#define VM_GUEST_TEXT __attribute__((section("vm_guest_text"), used))

/*
 * Why the run has to end, as an error: VM_OK while nothing asks for it, else VM_TRAP with *err
 * filled in. run->stop is the quick form of the question.
 */
enum vm_status rt_stopped(const struct vm_run *run, struct vm_error *err);

/* Fill *run->err with the trap and its standard text, and return VM_TRAP. */
enum vm_status rt_trap(struct vm_run *run, enum vm_trap trap);

/* Add an outer frame to the backtrace, with the offset of its instruction in the binary. */
void rt_add_frame(struct vm_error *err, const struct vm_module *module, uint32_t function,
                  uint64_t offset);

/* Most nested entries (guest -> host -> guest): each uses the thread's own stack. */
enum { RT_DEPTH_MAX = 200 };

/* --- tiers -------------------------------------------------------------------------------- */

struct vm_tier {
	const char *name; /* "interp" */
	uint32_t number;  /* of its row in vm_module.code */
	vm_features unsupported; /* modules that use these cannot be instantiated */
	/* The module's code in one variant; made on the first call, owned by the module. */
	enum vm_status (*module_code)(struct vm_module *module, bool metered, void **out_code,
	                              struct vm_error *err);
	/* vm_func.code of a defined function. */
	void *(*func_code)(void *module_code, uint32_t function);
	/* vm_func.native, with the instance as its context; NULL: native_out, with the function. */
	const void *(*func_native)(void *module_code, uint32_t function);
	func_entry entry;
	/* vm_func.call of functions of a type; NULL: func_call for all. */
	func_caller (*func_caller)(const struct vm_type *type);
	const void *const *builtins; /* vm_instance.builtins */
};

extern const struct vm_tier vm_tier_interp; /* interp/interp.c */
extern const struct vm_tier vm_tier_native; /* native/native.c */

/* vm_func.native of functions that are not native code: native/enter_x64.S. */
extern const char native_out[] __attribute__((visibility("hidden")));

/* --- operations that tiers call ------------------------------------------------------------ */

/*
 * Call a function from C: the way in for the embedder, host functions and start functions. Looks
 * at run->stop, the depth and the thread's stack, prepares the thread for faults, sets run->err
 * (err, or a place of the store's own when that is NULL), and restores it.
 */
enum vm_status func_call(struct vm_func *func, union vm_slot *slots, struct vm_error *err);
/* The entry of host functions. */
enum vm_status host_entry(struct vm_func *func, struct vm_run *run, union vm_slot *slots);

/* memory.grow: pages before, or -1. */
int64_t memory_grow(struct vm_memory *memory, uint64_t delta_pages);
/* Bulk operations check all bounds first, look at run->stop, and return VM_TRAP_NONE or a trap. */
enum vm_trap memory_fill(struct vm_run *run, struct vm_memory *memory, uint64_t address,
                         uint8_t value, uint64_t len);
enum vm_trap memory_copy(struct vm_run *run, struct vm_memory *dst, uint64_t dst_address,
                         struct vm_memory *src, uint64_t src_address, uint64_t len);
enum vm_trap memory_init(struct vm_instance *instance, uint32_t segment, struct vm_memory *memory,
                         uint64_t address, uint64_t source, uint64_t len);
void data_drop(struct vm_instance *instance, uint32_t segment);
int64_t table_grow(struct vm_table *table, uint64_t delta, void *init);
enum vm_trap table_fill(struct vm_run *run, struct vm_table *table, uint64_t index, void *value,
                        uint64_t len);
enum vm_trap table_copy(struct vm_run *run, struct vm_table *dst, uint64_t dst_index,
                        struct vm_table *src, uint64_t src_index, uint64_t len);
enum vm_trap table_init(struct vm_instance *instance, uint32_t segment, struct vm_table *table,
                        uint64_t index, uint64_t source, uint64_t len);
void elem_drop(struct vm_instance *instance, uint32_t segment);

/* Evaluate a constant expression of the instance being made. */
VM_MUST_CHECK enum vm_status constexpr_eval(struct vm_instance *instance,
                                            const struct const_expr *expr, union global_cell *out,
                                            struct vm_error *err);
