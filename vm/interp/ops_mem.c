/*
 * ops_mem.c - handlers of loads and stores, and of bulk operations on memories and tables.
 *
 * Memory 0, when it has 32-bit addresses, is reached without a check: its reservation covers
 * every address and offset, and what lies behind its size faults. All others check bounds.
 *
 * Spec: Core 3.0, sections 4.6.10 to 4.6.13
 */
#include "vm/interp/ops.h"

/* The type in memory of each load and store; the conversion to the operand's does the rest. */
#define MEM_I32_LOAD uint32_t
#define MEM_I64_LOAD uint64_t
#define MEM_F32_LOAD float
#define MEM_F64_LOAD double
#define MEM_I32_LOAD8_S int8_t
#define MEM_I32_LOAD8_U uint8_t
#define MEM_I32_LOAD16_S int16_t
#define MEM_I32_LOAD16_U uint16_t
#define MEM_I64_LOAD8_S int8_t
#define MEM_I64_LOAD8_U uint8_t
#define MEM_I64_LOAD16_S int16_t
#define MEM_I64_LOAD16_U uint16_t
#define MEM_I64_LOAD32_S int32_t
#define MEM_I64_LOAD32_U uint32_t
#define MEM_I32_STORE uint32_t
#define MEM_I64_STORE uint64_t
#define MEM_F32_STORE float
#define MEM_F64_STORE double
#define MEM_I32_STORE8 uint8_t
#define MEM_I32_STORE16 uint16_t
#define MEM_I64_STORE8 uint8_t
#define MEM_I64_STORE16 uint16_t
#define MEM_I64_STORE32 uint32_t

#define CONVERT_i(v) ((uint32_t)(int32_t)(v))
#define CONVERT_l(v) ((uint64_t)(int64_t)(v))
#define CONVERT_f(v) (v)
#define CONVERT_d(v) (v)

/* An unaligned access of the type. */
#define UNALIGNED(type, address)                                                                   \
	(*(struct { type v; } __attribute__((packed, may_alias)) *)(address))

/* Where a 32-bit address lies, offset in the low half of word 1. */
#define EFFECTIVE(address) (mem + (uint64_t)(uint32_t)(address) + (uint32_t)ip[1].imm)
/* The same for the sum of two operands, offset in word 2. */
#define EFFECTIVE_SUM(x, y) (mem + (uint64_t)(uint32_t)((x) + (y)) + ip[2].u64)

#define LOAD_ONE(symbol, name, R, address, words, to)                                              \
	HANDLER(name)                                                                              \
	{                                                                                          \
		PIN_IP();                                                                          \
		T_##R value = CONVERT_##R(UNALIGNED(MEM_##symbol, address).v);                     \
		PIN_IP();                                                                          \
		to##_##R(ip[1].d, value);                                                          \
		NEXT(words);                                                                       \
	}

#define LOAD_FORM(symbol, form, R, address, words)                                                 \
	LOAD_ONE(symbol, h_##symbol##_##form##_S, R, address, words, TO_SLOT)                      \
	LOAD_ONE(symbol, h_##symbol##_##form##_A, R, address, words, TO_ACC)

/* Of any memory (load_any, store_any): word 2 the offset, word 3 the memory. */
#define ROW_LOAD(symbol, R)                                                                        \
	LOAD_FORM(symbol, S, R, EFFECTIVE(fp[ip[1].a_].u32), 2)                                    \
	LOAD_FORM(symbol, A, R, EFFECTIVE(acc), 2)                                                 \
	LOAD_FORM(symbol, SS, R, EFFECTIVE_SUM(fp[ip[1].a].u32, fp[ip[1].b].u32), 3)               \
	LOAD_FORM(symbol, AS, R, EFFECTIVE_SUM((uint32_t)acc, fp[ip[1].b].u32), 3)                 \
	HANDLER(h_##symbol##_any)                                                                  \
	{                                                                                          \
		uint8_t *at = checked_address(inst->memories[ip[3].u64], fp[ip[1].a], ip[2].u64,   \
		                              sizeof(MEM_##symbol));                               \
		if (unlikely(at == NULL))                                                          \
			TRAP(VM_TRAP_MEMORY_BOUNDS);                                               \
		T_##R value = CONVERT_##R(UNALIGNED(MEM_##symbol, at).v);                          \
		TO_SLOT_##R(ip[1].d, value);                                                       \
		NEXT(4);                                                                           \
	}

#define STORE_FORM(symbol, form, address, value)                                                   \
	HANDLER(h_##symbol##_##form)                                                               \
	{                                                                                          \
		MEM_##symbol stored = (MEM_##symbol)(value);                                       \
		PIN_IP();                                                                          \
		UNALIGNED(MEM_##symbol, address).v = stored;                                       \
		PIN_IP();                                                                          \
		NEXT(2);                                                                           \
	}

/* The forms whose value is an integer, or a float; a has the address, d the value. */
#define STORE_ACC_i(symbol) STORE_INTEGER(symbol)
#define STORE_ACC_l(symbol) STORE_INTEGER(symbol)
#define STORE_ACC_f(symbol) STORE_FLOAT(symbol, ACC_f)
#define STORE_ACC_d(symbol) STORE_FLOAT(symbol, ACC_d)

#define STORE_INTEGER(symbol)                                                                      \
	STORE_FORM(symbol, SA, EFFECTIVE(fp[ip[1].a_].u32), acc)                                   \
	STORE_FORM(symbol, SI, EFFECTIVE(fp[ip[1].a_].u32), (int16_t)ip[1].d_)                     \
	STORE_FORM(symbol, AI, EFFECTIVE(acc), (int16_t)ip[1].d_)

#define STORE_FLOAT(symbol, value)                                                                 \
	STORE_FORM(symbol, SA, EFFECTIVE(fp[ip[1].a_].u32), value)                                 \
	STORE_FORM(symbol, AV, EFFECTIVE(acc), value)

#define ROW_STORE(symbol, A)                                                                       \
	STORE_FORM(symbol, SS, EFFECTIVE(fp[ip[1].a_].u32), SLOT_##A(ip[1].d_))                    \
	STORE_FORM(symbol, AS, EFFECTIVE(acc), SLOT_##A(ip[1].d_))                                 \
	STORE_ACC_##A(symbol)                                                                      \
	HANDLER(h_##symbol##_any)                                                                  \
	{                                                                                          \
		uint8_t *at = checked_address(inst->memories[ip[3].u64], fp[ip[1].a], ip[2].u64,   \
		                              sizeof(MEM_##symbol));                               \
		if (unlikely(at == NULL))                                                          \
			TRAP(VM_TRAP_MEMORY_BOUNDS);                                               \
		UNALIGNED(MEM_##symbol, at).v = (MEM_##symbol)SLOT_##A(ip[1].d);                   \
		NEXT(4);                                                                           \
	}

#define ROW_COMPARE(symbol, A)
#define ROW_BINARY(symbol, A, R)
#define ROW_UNARY(symbol, A, R)
#define ROW_VECTOR(symbol, imm, sig)
#define ROW_OTHER(symbol)
#include "vm/interp/rows.h"
#include "vm/def/opcode.def"

/* --- bulk operations ------------------------------------------------------------------------ */

/* An address, index or length in a slot, by the address type of its memory or table. */
static inline uint64_t
address_in(union vm_slot slot, bool is_64)
{
	return is_64 ? slot.u64 : slot.u32;
}

#define ADDRESS(n, is_64) address_in(fp[n], (is_64))
/* A size or previous size as an operand: -1 is all ones in the address type. */
#define TO_ADDRESS(n, value, is_64)                                                                \
	(fp[n].u64 = (is_64) ? (uint64_t)(value) : (uint64_t)(uint32_t)(value))

#define CHECKED_NEXT(call, words)                                                                  \
	do {                                                                                       \
		enum vm_trap trap_ = (call);                                                       \
		if (unlikely(trap_ != VM_TRAP_NONE))                                               \
			TRAP(trap_);                                                               \
		NEXT(words);                                                                       \
	} while (0)

HANDLER(h_memory_size)
{
	const struct vm_memory *memory = inst->memories[ip[1].imm];

	TO_ADDRESS(ip[1].d_, memory->pages, memory->type.is_64);
	NEXT(2);
}

HANDLER(h_memory_grow)
{
	struct vm_memory *memory = inst->memories[ip[2].u64];
	bool is_64 = memory->type.is_64;
	int64_t before = memory_grow(memory, ADDRESS(ip[1].a, is_64));

	TO_ADDRESS(ip[1].d, before, is_64);
	NEXT(3);
}

HANDLER(h_memory_fill)
{
	struct vm_memory *memory = inst->memories[ip[2].u64];
	bool is_64 = memory->type.is_64;

	CHECKED_NEXT(memory_fill(inst->run, memory, ADDRESS(ip[1].d, is_64),
	                         (uint8_t)fp[ip[1].a].u32, ADDRESS(ip[1].b, is_64)), 3);
}

HANDLER(h_memory_copy)
{
	struct vm_memory *dst = inst->memories[ip[2].u64];
	struct vm_memory *src = inst->memories[ip[3].u64];

	CHECKED_NEXT(memory_copy(inst->run, dst, ADDRESS(ip[1].d, dst->type.is_64), src,
	                         ADDRESS(ip[1].a, src->type.is_64),
	                         ADDRESS(ip[1].b, dst->type.is_64&& src->type.is_64)), 4);
}

HANDLER(h_memory_init)
{
	struct vm_memory *memory = inst->memories[ip[2].u64];

	CHECKED_NEXT(memory_init(inst, (uint32_t)ip[3].u64, memory,
	                         ADDRESS(ip[1].d, memory->type.is_64), fp[ip[1].a].u32,
	                         fp[ip[1].b].u32), 4);
}

HANDLER(h_data_drop)
{
	data_drop(inst, (uint32_t)ip[1].imm);
	NEXT(2);
}

HANDLER(h_table_get)
{
	const struct vm_table *table = inst->tables[ip[2].u64];
	uint64_t index = ADDRESS(ip[1].a, table->type.is_64);

	if (unlikely(index >= table->size))
		TRAP(VM_TRAP_TABLE_BOUNDS);
	fp[ip[1].d].ref = table->elems[index];
	NEXT(3);
}

HANDLER(h_table_set)
{
	struct vm_table *table = inst->tables[ip[2].u64];
	uint64_t index = ADDRESS(ip[1].d, table->type.is_64);

	if (unlikely(index >= table->size))
		TRAP(VM_TRAP_TABLE_BOUNDS);
	table->elems[index] = fp[ip[1].a].ref;
	NEXT(3);
}

HANDLER(h_table_size)
{
	const struct vm_table *table = inst->tables[ip[2].u64];

	TO_ADDRESS(ip[1].d, table->size, table->type.is_64);
	NEXT(3);
}

HANDLER(h_table_grow)
{
	struct vm_table *table = inst->tables[ip[2].u64];
	bool is_64 = table->type.is_64;
	int64_t before = table_grow(table, ADDRESS(ip[1].b, is_64), fp[ip[1].a].ref);

	TO_ADDRESS(ip[1].d, before, is_64);
	NEXT(3);
}

HANDLER(h_table_fill)
{
	struct vm_table *table = inst->tables[ip[2].u64];
	bool is_64 = table->type.is_64;

	CHECKED_NEXT(table_fill(inst->run, table, ADDRESS(ip[1].d, is_64), fp[ip[1].a].ref,
	                        ADDRESS(ip[1].b, is_64)), 3);
}

HANDLER(h_table_copy)
{
	struct vm_table *dst = inst->tables[ip[2].u64];
	struct vm_table *src = inst->tables[ip[3].u64];

	CHECKED_NEXT(table_copy(inst->run, dst, ADDRESS(ip[1].d, dst->type.is_64), src,
	                        ADDRESS(ip[1].a, src->type.is_64),
	                        ADDRESS(ip[1].b, dst->type.is_64 && src->type.is_64)), 4);
}

HANDLER(h_table_init)
{
	struct vm_table *table = inst->tables[ip[2].u64];

	CHECKED_NEXT(table_init(inst, (uint32_t)ip[3].u64, table,
	                        ADDRESS(ip[1].d, table->type.is_64), fp[ip[1].a].u32,
	                        fp[ip[1].b].u32), 4);
}

HANDLER(h_elem_drop)
{
	elem_drop(inst, (uint32_t)ip[1].imm);
	NEXT(2);
}
