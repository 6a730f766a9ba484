/*
 * walker.h - the inside of the walker, shared by its files.
 *
 * walk.c runs the loop, instructions on locals, and the plain ones, which follow from their rows of
 * the opcode table; imm.c reads what stands behind opcodes; stack.c keeps the control and operand
 * stacks; control.c, operation.c and aggregate.c hold the rules of the `poly` rows; constexpr.c
 * runs the walker over constant expressions.
 *
 * Spec: Core 3.0, section 3.4 and appendix "Validation algorithm"
 */
#pragma once

#include "vm/load/input.h"
#include "vm/load/typeread.h"
#include "vm/load/walk.h"

/*
 * Two kinds of dead code meet here. Behind an unconditional transfer the operand stack is
 * polymorphic until the block ends: is_polymorphic. That end may be unreachable too, though the
 * stack behind it has proper types again: only walker.is_live is false then.
 */
struct walk_frame {
	struct walk_label label;
	vm_valtype single;     /* where results point when the block's type is one value type */
	bool is_polymorphic;
	bool is_reported;      /* the back-end has entered it */
	bool has_single;
	uint32_t set_height;   /* of the log of locals that have been set */
	uint32_t branch_round; /* the br_table that has checked this label already */
};

/* Locals of one type, up to the one before end. */
struct local_run {
	uint32_t end;
	vm_valtype type;
};

struct walker {
	struct input in;
	const struct vm_module *module;
	struct module_func *declares; /* where ref.func declares, while the module is loaded */
	struct vm_backend *backend; /* or NULL */
	struct vm_backend *listener; /* the back-end while instructions go to it, else NULL */
	bool is_live;    /* they would go to one */
	bool is_const;   /* a constant expression */
	bool is_watched; /* a constant expression, or instructions are counted */
	vm_features ops_used; /* features that instructions so far came with */
	struct walk_insn insn;
	struct walk_func func;
	struct walk_insn first_insn;  /* of a constant expression */
	uint32_t insn_count;          /* likewise */

	vm_valtype *operands;
	uint32_t height, height_peak, operand_capacity;
	uint32_t floor; /* operands below the innermost block */
	uint64_t height_max; /* more is VM_E_LIMIT */

	struct walk_frame *frames;
	uint32_t frame_count, frame_capacity;
	uint32_t branch_round;

	/*
	 * Types of locals: those of the first ones (of all, for a back-end) in an array, of the
	 * rest in runs, because a few bytes can declare very many.
	 */
	vm_valtype *locals;
	uint32_t local_dense, local_capacity;
	uint64_t local_slots;
	struct local_run *runs;
	uint32_t run_count, run_capacity;
	/* Locals without a default value: which have been set, and in which order. */
	bool has_unset;
	uint8_t *is_set;
	uint32_t set_capacity;
	uint32_t *set_log;
	uint32_t set_count, log_capacity;

	/* The last two types that were found to fit: the next two tend to be the same. */
	vm_valtype known_sub, known_super;

	/* Immediates of the current instruction that it only points to. */
	struct vm_functype block_type;
	vm_valtype block_single;
	bool block_has_single;
	uint32_t depth; /* of a single label */
	uint32_t *depths;
	uint32_t depth_capacity;
	struct walk_catch *catches;
	uint32_t catch_capacity;

	/* The basic block being counted, for fuel. */
	bool is_counting;
	uint32_t block;
	uint32_t block_cost;
};

#define walk_fail(w, status, ...)                                                                  \
	input_fail(&(w)->in, (status), (w)->insn.offset, __VA_ARGS__)

VM_COLD VM_MUST_CHECK enum vm_status walk_grow(struct walker *w, void **array, uint32_t *capacity,
                                               uint64_t count, size_t size_bytes);

/* Make an array of the walker hold count elements; its size doubles. */
VM_MUST_CHECK static inline enum vm_status
walk_reserve(struct walker *w, void **array, uint32_t *capacity, uint64_t count, size_t size_bytes)
{
	return count <= *capacity ? VM_OK : walk_grow(w, array, capacity, count, size_bytes);
}

/* --- imm.c ----------------------------------------------------------------------------------- */

/* Read the immediates of an instruction into w->insn and the fields above, checking indices. */
VM_MUST_CHECK enum vm_status walk_read_imm(struct walker *w, enum imm_kind kind);

/* --- stack.c --------------------------------------------------------------------------------- */

static inline struct walk_frame *
walk_top(struct walker *w)
{
	return &w->frames[w->frame_count - 1];
}

VM_MUST_CHECK enum vm_status walk_push_peak(struct walker *w, vm_valtype type);
VM_MUST_CHECK enum vm_status walk_pop_slow(struct walker *w, vm_valtype expected);

VM_MUST_CHECK static inline enum vm_status
walk_push(struct walker *w, vm_valtype type)
{
	if (w->height == w->height_peak)
		return walk_push_peak(w, type);
	w->operands[w->height++] = type;
	return VM_OK;
}

VM_MUST_CHECK static inline enum vm_status
walk_pop(struct walker *w, vm_valtype expected)
{
	if (w->height > w->floor && w->operands[w->height - 1] == expected) {
		w->height--;
		return VM_OK;
	}
	return walk_pop_slow(w, expected);
}

/* Is there nothing but what polymorphic code makes up? Then popping more changes nothing. */
static inline bool
walk_is_bottomless(const struct walker *w)
{
	return w->height == w->floor && w->frames[w->frame_count - 1].is_polymorphic;
}

/* Pop whatever there is; VM_VALTYPE_BOTTOM in polymorphic code. */
VM_MUST_CHECK enum vm_status walk_pop_any(struct walker *w, vm_valtype *out);
/* Pop a reference; its type goes to *out and, in live code, to w->insn.type. */
VM_MUST_CHECK enum vm_status walk_pop_ref(struct walker *w, vm_valtype *out);
VM_MUST_CHECK enum vm_status walk_pop_some(struct walker *w, const vm_valtype *types,
                                           uint32_t count);
VM_MUST_CHECK enum vm_status walk_push_some(struct walker *w, const vm_valtype *types,
                                            uint32_t count);

/* Most blocks take and leave nothing. */
VM_MUST_CHECK static inline enum vm_status
walk_pop_many(struct walker *w, const vm_valtype *types, uint32_t count)
{
	return count == 0 ? VM_OK : walk_pop_some(w, types, count);
}

VM_MUST_CHECK static inline enum vm_status
walk_push_many(struct walker *w, const vm_valtype *types, uint32_t count)
{
	return count == 0 ? VM_OK : walk_push_some(w, types, count);
}

/* The operands on top have to be of these types. Nothing changes. */
VM_MUST_CHECK enum vm_status walk_peek_many(struct walker *w, const vm_valtype *types,
                                            uint32_t count);

VM_MUST_CHECK enum vm_status walk_push_frame(struct walker *w, enum vm_op op,
                                             const struct vm_functype *type, bool has_single);
/* Check the results of the innermost block and take them and everything in it off. */
VM_MUST_CHECK enum vm_status walk_close_frame(struct walker *w);
/* Take the innermost block off the stack of blocks. */
void walk_pop_frame(struct walker *w);

static inline void
walk_set_live(struct walker *w, bool is_live)
{
	w->is_live = is_live;
	w->listener = is_live ? w->backend : NULL;
}

/* What follows cannot be reached. */
void walk_set_dead(struct walker *w);
/* Forget which locals were set inside the innermost block. */
void walk_unset_locals(struct walker *w);
VM_MUST_CHECK enum vm_status walk_set_local(struct walker *w, uint32_t index);
vm_valtype walk_run_type(const struct walker *w, uint32_t index);

static inline vm_valtype
walk_local_type(const struct walker *w, uint32_t index)
{
	return index < w->local_dense ? w->locals[index] : walk_run_type(w, index);
}

/* Types that a branch to the label takes. */
static inline const vm_valtype *
walk_label_types(const struct walk_label *label, uint32_t *out_count)
{
	*out_count = label->op == VM_OP_LOOP ? label->param_count : label->result_count;
	return label->op == VM_OP_LOOP ? label->params : label->results;
}

/* The frame at a relative depth; VM_E_INVALID when there are not so many. */
VM_MUST_CHECK enum vm_status walk_find_label(struct walker *w, uint32_t depth,
                                             struct walk_frame **out);
/* "expected ..., got ..." */
VM_COLD enum vm_status walk_fail_type(struct walker *w, vm_valtype expected, vm_valtype got);
VM_MUST_CHECK enum vm_status walk_check_subtype(struct walker *w, vm_valtype sub,
                                                vm_valtype super);
VM_MUST_CHECK enum vm_status walk_check_subtypes(struct walker *w, const vm_valtype *subs,
                                                 const vm_valtype *supers, uint32_t count);

/* --- reports to the back-end (walk.c) -------------------------------------------------------- */

VM_MUST_CHECK static inline enum vm_status
walk_report_op(struct walker *w)
{
	struct vm_backend *b = w->listener;

	return b == NULL ? VM_OK : b->ops->op(b, &w->insn, w->in.err);
}

VM_MUST_CHECK enum vm_status walk_report_branch(struct walker *w);
VM_MUST_CHECK enum vm_status walk_report_return(struct walker *w);
/* Fuel: the basic block ends here; a new one starts here (when this is live code). */
void walk_count_end(struct walker *w);
void walk_count_begin(struct walker *w);

/* --- rules of the poly rows, except those of locals, which are walk.c's ----------------------- */

#define WALK_RULES(X)                                                                              \
	/* control.c */                                                                            \
	X(UNREACHABLE, unreachable) X(BLOCK, block) X(LOOP, block) X(IF, if) X(ELSE, else)         \
	X(END, end) X(BR, br) X(BR_IF, br_if) X(BR_TABLE, br_table) X(RETURN, return)              \
	X(CALL, call) X(CALL_INDIRECT, call_indirect) X(CALL_REF, call_ref)                        \
	X(RETURN_CALL, return_call) X(RETURN_CALL_INDIRECT, return_call_indirect)                  \
	X(RETURN_CALL_REF, return_call_ref) X(BR_ON_NULL, br_on_null)                              \
	X(BR_ON_NON_NULL, br_on_non_null) X(BR_ON_CAST, br_on_cast)                                \
	X(BR_ON_CAST_FAIL, br_on_cast_fail) X(THROW, throw) X(THROW_REF, throw_ref)                \
	X(TRY_TABLE, try_table)                                                                    \
	/* operation.c */                                                                          \
	X(DROP, drop) X(SELECT, select) X(SELECT_T, select_t)                                      \
	X(GLOBAL_GET, global_get) X(GLOBAL_SET, global_set)                                        \
	X(TABLE_GET, table_get) X(TABLE_SET, table_set) X(TABLE_INIT, table_init)                  \
	X(TABLE_COPY, table_copy) X(TABLE_GROW, table_grow) X(TABLE_SIZE, table_size)              \
	X(TABLE_FILL, table_fill) X(MEMORY_COPY, memory_copy)                                      \
	X(REF_NULL, ref_null) X(REF_IS_NULL, ref_is_null) X(REF_FUNC, ref_func)                    \
	X(REF_EQ, ref_eq) X(REF_AS_NON_NULL, ref_as_non_null)                                      \
	/* aggregate.c */                                                                          \
	X(STRUCT_NEW, struct_new) X(STRUCT_NEW_DEFAULT, struct_new_default)                        \
	X(STRUCT_GET, struct_get) X(STRUCT_GET_S, struct_get) X(STRUCT_GET_U, struct_get)          \
	X(STRUCT_SET, struct_set) X(ARRAY_NEW, array_new)                                          \
	X(ARRAY_NEW_DEFAULT, array_new_default) X(ARRAY_NEW_FIXED, array_new_fixed)                \
	X(ARRAY_NEW_DATA, array_new_data) X(ARRAY_NEW_ELEM, array_new_elem)                        \
	X(ARRAY_GET, array_get) X(ARRAY_GET_S, array_get) X(ARRAY_GET_U, array_get)                \
	X(ARRAY_SET, array_set) X(ARRAY_LEN, array_len) X(ARRAY_FILL, array_fill)                  \
	X(ARRAY_COPY, array_copy) X(ARRAY_INIT_DATA, array_init_data)                              \
	X(ARRAY_INIT_ELEM, array_init_elem) X(REF_TEST, ref_test) X(REF_TEST_NULL, ref_test)       \
	X(REF_CAST, ref_cast) X(REF_CAST_NULL, ref_cast)                                           \
	X(ANY_CONVERT_EXTERN, any_convert_extern) X(EXTERN_CONVERT_ANY, extern_convert_any)        \
	X(REF_I31, ref_i31) X(I31_GET_S, i31_get) X(I31_GET_U, i31_get)

/* Several rows can share a rule; declarations may repeat. */
#define X(symbol, rule) VM_MUST_CHECK enum vm_status walk_rule_##rule(struct walker *w);
WALK_RULES(X)
#undef X

/* --- constexpr.c, for the decoder ------------------------------------------------------------ */

/*
 * Validate the constant expression at r, which has to be of a subtype of type, and move r behind
 * it. While the module is loaded: functions that it refers to become declared.
 */
VM_MUST_CHECK enum vm_status walker_run_const(struct walker *w, struct reader *r, vm_valtype type,
                                              struct const_expr *out, struct vm_error *err);
/* The loop over instructions, until the outermost block has ended. */
VM_MUST_CHECK enum vm_status walk_instructions(struct walker *w);
