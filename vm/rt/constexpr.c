#include "vm/core/opcode.h"
#include "vm/rt/store.h"

/* Operands that most expressions do without the heap. */
enum { OPERANDS = 16 };

struct evaluation {
	struct vm_instance *instance;
	const uint8_t *next; /* validated when the module was loaded: it ends with end */
	const uint8_t *end;
	union global_cell *top; /* operand behind the last */
};

static uint64_t
leb(struct evaluation *ev, bool is_signed)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	do {
		byte = *ev->next++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (is_signed && shift < 64 && (byte & 0x40))
		value |= UINT64_MAX << shift;
	return value;
}

static uint32_t
leb_index(struct evaluation *ev)
{
	return (uint32_t)leb(ev, false);
}

static uint64_t
bytes(struct evaluation *ev, size_t count)
{
	uint64_t value = 0;

	for (size_t i = 0; i < count; i++)
		value |= (uint64_t)*ev->next++ << 8 * i;
	return value;
}

static void
push(struct evaluation *ev, uint64_t low, uint64_t high)
{
	ev->top->u64[0] = low;
	ev->top->u64[1] = high;
	ev->top++;
}

static void
push_binary(struct evaluation *ev, enum vm_op op)
{
	uint64_t b = (--ev->top)->u64[0];
	uint64_t a = (--ev->top)->u64[0];
	bool is_32 = op == VM_OP_I32_ADD || op == VM_OP_I32_SUB || op == VM_OP_I32_MUL;
	bool is_add = op == VM_OP_I32_ADD || op == VM_OP_I64_ADD;
	bool is_sub = op == VM_OP_I32_SUB || op == VM_OP_I64_SUB;
	uint64_t value = is_add ? a + b : is_sub ? a - b : a * b;

	push(ev, is_32 ? (uint32_t)value : value, 0);
}

static uint64_t
ref_func(const struct vm_instance *instance, uint32_t index)
{
	return (uintptr_t)instance_func(instance, index);
}

static enum vm_op
next_op(struct evaluation *ev)
{
	enum vm_op op = VM_OP_COUNT;
	uint8_t byte = *ev->next++;

	if (byte == 0xfb || byte == 0xfc || byte == 0xfd)
		(void)opcode_find(byte, leb_index(ev), &op);
	else
		(void)opcode_find(0, byte, &op);
	return op;
}

/* One instruction; false for those that are not supported here. */
static bool
step(struct evaluation *ev, enum vm_op op)
{
	/* Not a switch: -Wswitch-enum would want all opcodes named, and few are legal here. */
	if (op == VM_OP_I32_CONST)
		push(ev, (uint32_t)leb(ev, true), 0);
	else if (op == VM_OP_I64_CONST)
		push(ev, leb(ev, true), 0);
	else if (op == VM_OP_F32_CONST)
		push(ev, bytes(ev, 4), 0);
	else if (op == VM_OP_F64_CONST)
		push(ev, bytes(ev, 8), 0);
	else if (op == VM_OP_V128_CONST) {
		uint64_t low = bytes(ev, 8);
		push(ev, low, bytes(ev, 8));
	} else if (op == VM_OP_REF_NULL) {
		(void)leb(ev, true);
		push(ev, 0, 0);
	} else if (op == VM_OP_REF_FUNC)
		push(ev, ref_func(ev->instance, leb_index(ev)), 0);
	else if (op == VM_OP_GLOBAL_GET)
		*ev->top++ = *ev->instance->globals[leb_index(ev)];
	else if (op == VM_OP_I32_ADD || op == VM_OP_I32_SUB || op == VM_OP_I32_MUL ||
	         op == VM_OP_I64_ADD || op == VM_OP_I64_SUB || op == VM_OP_I64_MUL)
		push_binary(ev, op);
	else
		return false;
	return true;
}

static enum vm_status
evaluate(struct vm_instance *instance, const struct const_expr *expr, union global_cell *out,
         struct vm_error *err)
{
	const struct vm_engine *engine = instance->store->engine;
	const uint8_t *start = instance->module->bytes + expr->offset;
	union global_cell few[OPERANDS], *operands = few;
	struct evaluation ev = { instance, start, start + expr->size, few };
	enum vm_status st = VM_OK;

	/* An instruction that pushes has two bytes at least. */
	if (expr->size / 2 + 1 > OPERANDS) {
		operands = engine_alloc_zeroed(engine, expr->size / 2 + 1, sizeof(*operands));
		if (operands == NULL)
			return vm_error_set(err, VM_E_NOMEM, expr->offset, "out of memory");
		ev.top = operands;
	}
	for (;;) {
		uint64_t offset = expr->offset + (uint64_t)(ev.next - start);
		enum vm_op op = next_op(&ev);

		if (op == VM_OP_END)
			break;
		if (!step(&ev, op)) {
			st = vm_error_set(err, VM_E_UNSUPPORTED, offset,
			                  "constant expression at 0x%llx: %s is not supported here",
			                  (unsigned long long)offset,
			                  op < VM_OP_COUNT ? opcode_table[op].text
			                                   : "this instruction");
			break;
		}
	}
	if (st == VM_OK)
		*out = operands[0];
	if (operands != few)
		engine_free(engine, operands);
	return st;
}

enum vm_status
constexpr_eval(struct vm_instance *instance, const struct const_expr *expr, union global_cell *out,
               struct vm_error *err)
{
	switch (expr->kind) {
	case CONST_VALUE:
		out->u64[0] = expr->bits[0];
		out->u64[1] = expr->bits[1];
		return VM_OK;
	case CONST_GLOBAL_GET:
		*out = *instance->globals[expr->index];
		return VM_OK;
	case CONST_REF_FUNC:
		out->u64[0] = ref_func(instance, expr->index);
		out->u64[1] = 0;
		return VM_OK;
	case CONST_CODE:
		break;
	}
	return evaluate(instance, expr, out, err);
}
