#include "vm/native/builtins.h"

#include "vm/rt/num.h"

/* --- memories ------------------------------------------------------------------------------- */

int64_t
native_memory_grow(struct vm_instance *instance, uint32_t memory, uint64_t pages)
{
	return memory_grow(instance->memories[memory], pages);
}

void
native_memory_fill(struct vm_instance *instance, uint32_t memory, uint64_t address, uint32_t value,
                   uint64_t len)
{
	instance->run->trap = memory_fill(instance->run, instance->memories[memory], address,
	                                  (uint8_t)value, len);
}

void
native_memory_copy(struct vm_instance *instance, uint32_t dst, uint32_t src, uint64_t dst_address,
                   uint64_t src_address, uint64_t len)
{
	instance->run->trap = memory_copy(instance->run, instance->memories[dst], dst_address,
	                                  instance->memories[src], src_address, len);
}

void
native_memory_init(struct vm_instance *instance, uint32_t segment, uint32_t memory,
                   uint64_t address, uint64_t source, uint64_t len)
{
	instance->run->trap = memory_init(instance, segment, instance->memories[memory], address,
	                                  source, len);
}

void
native_data_drop(struct vm_instance *instance, uint32_t segment)
{
	data_drop(instance, segment);
}

/* --- tables --------------------------------------------------------------------------------- */

int64_t
native_table_grow(struct vm_instance *instance, uint32_t table, uint64_t delta, void *value)
{
	return table_grow(instance->tables[table], delta, value);
}

void
native_table_fill(struct vm_instance *instance, uint32_t table, uint64_t index, void *value,
                  uint64_t len)
{
	instance->run->trap =
	    table_fill(instance->run, instance->tables[table], index, value, len);
}

void
native_table_copy(struct vm_instance *instance, uint32_t dst, uint32_t src, uint64_t dst_index,
                  uint64_t src_index, uint64_t len)
{
	instance->run->trap = table_copy(instance->run, instance->tables[dst], dst_index,
	                                 instance->tables[src], src_index, len);
}

void
native_table_init(struct vm_instance *instance, uint32_t segment, uint32_t table, uint64_t index,
                  uint64_t source, uint64_t len)
{
	instance->run->trap = table_init(instance, segment, instance->tables[table], index, source,
	                                 len);
}

void
native_elem_drop(struct vm_instance *instance, uint32_t segment)
{
	elem_drop(instance, segment);
}

/* --- rounding ------------------------------------------------------------------------------- */

/* The functions of num.h that this file needs, under the names of the table. */
#define ROUNDING(name, type, symbol)                                                               \
	type native_##name(struct vm_instance *instance, type value)                               \
	{                                                                                          \
		enum vm_trap trap = VM_TRAP_NONE;                                                  \
		(void)instance;                                                                    \
		return num_##symbol(value, &trap);                                                 \
	}

ROUNDING(f32_ceil, float, F32_CEIL)
ROUNDING(f32_floor, float, F32_FLOOR)
ROUNDING(f32_trunc, float, F32_TRUNC)
ROUNDING(f32_nearest, float, F32_NEAREST)
ROUNDING(f64_ceil, double, F64_CEIL)
ROUNDING(f64_floor, double, F64_FLOOR)
ROUNDING(f64_trunc, double, F64_TRUNC)
ROUNDING(f64_nearest, double, F64_NEAREST)
