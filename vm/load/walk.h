/*
 * walk.h - the one pass over a function body.
 *
 * The walker decodes and validates instruction by instruction, owning the control and operand
 * stacks, and tells a back-end what it has seen. Back-ends never see dead code: nothing is
 * reported from an unconditional transfer to the end of its block. A back-end may therefore
 * keep a parallel stack of its own and never meets a polymorphic one.
 *
 * Order of calls for one function:
 *
 *     begin, then for each live instruction one call, then end_function
 *
 *     plain instruction          op
 *     block, loop, if            enter            (op says which)
 *     else                       else_            (once for an if that has been entered)
 *     end of a block             end              (once for each entered block)
 *     br, br_if, br_table,
 *     br_on_null, br_on_non_null branch           (insn->imm.labels)
 *     br_on_cast, _fail          branch           (insn->imm.cast)
 *     return, and the function's
 *     own end when it is live    return_
 *     unreachable, throw, tail
 *     calls, ...                 op               (the walker knows that code behind is dead)
 *
 * Fuel: when a back-end sets wants_fuel, charge is called at the start of each basic block with a
 * number of the block, and charge_total at its end with the number of instructions in it
 * (all but nop, block, loop, else and end count one), in time to patch code. Basic blocks start
 * at the function's start, behind loop, if, else and every branch, and behind the end of an if
 * and of a block that something branches to.
 *
 * Spec:    Core 3.0, section 3.4 and appendix "Validation algorithm"
 * Threads: a walk belongs to one thread; modules are read only
 */
#pragma once

#include "vm/core/module.h"
#include "vm/core/opcode.h"

struct walk_memarg {
	uint32_t memory;
	uint32_t align; /* log2 */
	uint64_t offset;
	uint8_t lane;
	bool is_64; /* of the memory */
};

struct walk_labels {
	const uint32_t *depths; /* count + 1 relative depths, the default last (br: count 0) */
	uint32_t count;
};

/* A clause of try_table. */
enum walk_catch_kind { CATCH, CATCH_REF, CATCH_ALL, CATCH_ALL_REF };

struct walk_catch {
	enum walk_catch_kind kind;
	uint32_t tag;   /* CATCH and CATCH_REF */
	uint32_t depth; /* relative, counted outside of the try_table */
};

struct walk_catches {
	const struct walk_catch *clauses;
	uint32_t count;
};

union walk_imm {
	struct { uint32_t index, index2; } index; /* kinds that are one or two indices or counts */
	struct walk_memarg memarg;
	struct walk_labels labels;
	struct walk_catches catches;
	int32_t i32;
	int64_t i64;
	uint32_t f32_bits;
	uint64_t f64_bits;
	uint8_t v128[16];  /* V128 and SHUFFLE */
	uint8_t lane;
	uint32_t heap;     /* HEAP, as in vm_valtype */
	struct { uint32_t depth; bool from_null, to_null; uint32_t from, to; } cast;
};

struct walk_insn {
	enum vm_op op;
	uint64_t offset;  /* of the opcode in the binary */
	union walk_imm imm;
	/*
	 * The operand's type where the signature does not say it: drop, select (not the condition),
	 * local and global access, table.get/set/grow/fill, ref.*: the reference. v128 takes two
	 * slots, so back-ends need it.
	 */
	vm_valtype type;
	bool is_64;       /* address type of the instruction's (destination) memory or table */
	bool is_64_source; /* of the source, for memory.copy and table.copy */
	const struct vm_type *callee; /* calls: the function's type; tags: the tag's */
};

/*
 * A block being walked, outermost (the function itself) first. A label may move when a block is
 * entered, and with it a list of a single result; the callback's own is current.
 */
struct walk_label {
	enum vm_op op; /* VM_OP_BLOCK for the function, VM_OP_LOOP, VM_OP_IF, VM_OP_TRY_TABLE ... */
	uint32_t height; /* operands below the block's parameters */
	uint32_t param_count, result_count;
	const vm_valtype *params, *results;
	bool has_else;
	bool is_target; /* a live branch goes to its label, or a first arm to behind the second */
};

struct walk_func {
	const struct vm_module *module;
	uint32_t index;
	const struct vm_type *type;
	const vm_valtype *locals; /* parameters first */
	uint32_t local_count;
};

struct vm_backend;

struct vm_backend_ops {
	enum vm_status (*begin)(struct vm_backend *b, const struct walk_func *func,
	                        struct vm_error *err);
	enum vm_status (*op)(struct vm_backend *b, const struct walk_insn *insn,
	                     struct vm_error *err);
	/* label is the new innermost one; the if's condition has been popped. */
	enum vm_status (*enter)(struct vm_backend *b, const struct walk_insn *insn,
	                        const struct walk_label *label, struct vm_error *err);
	/* live: the end of the first arm is reachable. */
	enum vm_status (*else_)(struct vm_backend *b, const struct walk_insn *insn,
	                        const struct walk_label *label, bool live, struct vm_error *err);
	/*
	 * live: the end of the block is reached by falling through. Whether code behind is live is
	 * live || label->is_target || (an if without else): a loop's label is its start, so
	 * is_target does not count there.
	 */
	enum vm_status (*end)(struct vm_backend *b, const struct walk_insn *insn,
	                      const struct walk_label *label, bool live, struct vm_error *err);
	enum vm_status (*branch)(struct vm_backend *b, const struct walk_insn *insn,
	                         struct vm_error *err);
	enum vm_status (*return_)(struct vm_backend *b, const struct walk_insn *insn,
	                          struct vm_error *err);
	enum vm_status (*end_function)(struct vm_backend *b, struct vm_error *err);
	void (*charge)(struct vm_backend *b, uint32_t block);
	void (*charge_total)(struct vm_backend *b, uint32_t block, uint32_t cost);
};

struct vm_backend {
	const struct vm_backend_ops *ops;
	bool wants_fuel;
};

/* What a walk needs besides the module; reused for many functions, one thread at a time. */
struct walker;

struct walker *walker_new(const struct vm_module *module);
void walker_free(struct walker *walker); /* NULL is fine */

/*
 * Walk the body of one defined function. backend NULL only validates; that is how vm_module_load
 * uses it, and a module that has been loaded fails in later walks only by its back-end or by
 * VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status walker_run(struct walker *walker, uint32_t function,
                                        struct vm_backend *backend, struct vm_error *err);

/*
 * The label at a relative depth during a call of the back-end, 0 the innermost, and how many
 * there are. The outermost is the function's.
 */
const struct walk_label *walker_label(const struct walker *walker, uint32_t depth);
uint32_t walker_label_count(const struct walker *walker);
