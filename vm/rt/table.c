#include "vm/rt/table.h"

#include <string.h>
#include "vm/rt/value.h"

/* Bulk operations look at run->stop each time they have handled so many elements. */
enum { BULK_ELEMENTS = (1 << 20) / sizeof(void *) };

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void
fill(void **elems, void *value, uint64_t count)
{
	if (value == NULL) {
		if (count > 0)
			memset(elems, 0, count * sizeof(*elems));
		return;
	}
	for (uint64_t i = 0; i < count; i++)
		elems[i] = value;
}

/* Make room for so many elements; charged to the store. */
static bool
set_capacity(struct vm_table *table, uint64_t capacity)
{
	struct vm_store *store = table->store;
	uint64_t more = (capacity - table->capacity) * sizeof(void *);

	if (!vm_store_memory_take(store, more))
		return false;
	void **elems = engine_realloc_array(store->engine, table->elems, capacity, sizeof(*elems));
	if (elems == NULL) {
		vm_store_memory_give(store, more);
		return false;
	}
	table->elems = elems;
	table->capacity = capacity;
	return true;
}

bool
table_fits(const struct vm_table *table, const struct vm_store *store)
{
	return table->type.min <= store->config.table_elements_max;
}

void
table_join(struct vm_table *table, struct vm_store *store)
{
	table->max = store->config.table_elements_max;
	if (table->type.has_max)
		table->max = min_u64(table->max, table->type.max);
	table->store = store;
	table->next = store->tables;
	store->tables = table;
}

enum vm_status
table_make(struct vm_table *table, struct vm_store *store, const struct vm_tabletype *type,
           void *init, struct vm_error *err)
{
	uint64_t max = store->config.table_elements_max;

	if (type->min > max || type->min > SIZE_MAX / sizeof(void *))
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "a table needs %llu elements, the limit is %llu",
		                    (unsigned long long)type->min, (unsigned long long)max);
	*table = (struct vm_table){ .type = *type, .store = store };
	if (type->min > 0 && !set_capacity(table, type->min))
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "a table needs %llu bytes, %llu of %llu are in use",
		                    (unsigned long long)(type->min * sizeof(void *)),
		                    (unsigned long long)store->memory_bytes,
		                    (unsigned long long)store->config.memory_bytes_max);
	fill(table->elems, init, type->min);
	table->size = type->min;
	table_join(table, store);
	return VM_OK;
}

void
table_clear(struct vm_engine *engine, struct vm_table *table)
{
	engine_free(engine, table->elems);
	if (table->group != NULL)
		rec_group_unref(engine, table->group);
}

int64_t
table_grow(struct vm_table *table, uint64_t delta, void *init)
{
	uint64_t before = table->size;

	if (delta > table->max - before)
		return -1;
	uint64_t after = before + delta;
	if (after > table->capacity) {
		/* Half as much again, so that growing by one is cheap; else what is needed. */
		uint64_t generous = min_u64(table->max, table->capacity + table->capacity / 2);

		if ((generous < after || !set_capacity(table, generous)) &&
		    !set_capacity(table, after))
			return -1;
	}
	if (delta > 0) /* an empty table may have no elements to point at */
		fill(table->elems + before, init, delta);
	table->size = after;
	return (int64_t)before;
}

/* --- bulk operations ------------------------------------------------------------------------ */

static bool
is_outside(uint64_t size, uint64_t index, uint64_t len)
{
	return index > size || len > size - index;
}

static enum vm_trap
stop_of(const struct vm_run *run)
{
	return (enum vm_trap)atomic_load_explicit(&run->stop, memory_order_relaxed);
}

enum vm_trap
table_fill(struct vm_run *run, struct vm_table *table, uint64_t index, void *value, uint64_t len)
{
	if (is_outside(table->size, index, len))
		return VM_TRAP_TABLE_BOUNDS;
	for (uint64_t done = 0; done < len;) {
		uint64_t now = min_u64(len - done, BULK_ELEMENTS);

		fill(table->elems + index + done, value, now);
		done += now;
		if (done < len && stop_of(run) != VM_TRAP_NONE)
			return stop_of(run);
	}
	return VM_TRAP_NONE;
}

enum vm_trap
table_copy(struct vm_run *run, struct vm_table *dst, uint64_t dst_index, struct vm_table *src,
           uint64_t src_index, uint64_t len)
{
	if (is_outside(dst->size, dst_index, len) || is_outside(src->size, src_index, len))
		return VM_TRAP_TABLE_BOUNDS;

	void **to = dst->elems + dst_index, **from = src->elems + src_index;
	bool is_up = (uintptr_t)to <= (uintptr_t)from;
	for (uint64_t done = 0; done < len;) {
		uint64_t now = min_u64(len - done, BULK_ELEMENTS);
		uint64_t at = is_up ? done : len - done - now;

		memmove(to + at, from + at, now * sizeof(*to));
		done += now;
		if (done < len && stop_of(run) != VM_TRAP_NONE)
			return stop_of(run);
	}
	return VM_TRAP_NONE;
}

enum vm_trap
table_init(struct vm_instance *instance, uint32_t segment, struct vm_table *table, uint64_t index,
           uint64_t source, uint64_t len)
{
	const struct elem_instance *elem = &instance->elems[segment];
	const uint32_t *funcs = instance->module->elems[segment].funcs;

	if (is_outside(table->size, index, len) || is_outside(elem->count, source, len))
		return VM_TRAP_TABLE_BOUNDS;
	for (uint64_t i = 0; i < len; i++) {
		if (i % BULK_ELEMENTS == BULK_ELEMENTS - 1 &&
		    stop_of(instance->run) != VM_TRAP_NONE)
			return stop_of(instance->run);
		table->elems[index + i] = elem->elems != NULL
		                              ? elem->elems[source + i]
		                              : (void *)instance_func(instance, funcs[source + i]);
	}
	return VM_TRAP_NONE;
}

void
elem_drop(struct vm_instance *instance, uint32_t segment)
{
	instance->elems[segment].count = 0;
}

/* --- the embedder's side -------------------------------------------------------------------- */

void
vm_table_type(const struct vm_table *table, struct vm_tabletype *out)
{
	*out = table->type;
	out->min = table->size;
}

uint64_t
vm_table_size(const struct vm_table *table)
{
	return table->size;
}

static enum vm_status
outside(const struct vm_table *table, uint64_t index, struct vm_error *err)
{
	return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
	                    "table index %llu: the table has %llu elements",
	                    (unsigned long long)index, (unsigned long long)table->size);
}

enum vm_status
vm_table_get(const struct vm_table *table, uint64_t index, struct vm_value *out,
             struct vm_error *err)
{
	if (index >= table->size)
		return outside(table, index, err);
	*out = (struct vm_value){ .type = table->type.element, .of.ref = table->elems[index] };
	return VM_OK;
}

enum vm_status
vm_table_set(struct vm_table *table, uint64_t index, const struct vm_value *value,
             struct vm_error *err)
{
	if (index >= table->size)
		return outside(table, index, err);
	if (!value_fits(table->store, table->type.element, value))
		return value_misfit(table->type.element, value, "table element", index, err);
	table->elems[index] = value->of.ref;
	return VM_OK;
}

int64_t
vm_table_grow(struct vm_table *table, uint64_t delta, const struct vm_value *value)
{
	if (!value_fits(table->store, table->type.element, value))
		return -1;
	return table_grow(table, delta, value->of.ref);
}

enum vm_status
vm_table_new(struct vm_store *store, const struct vm_tabletype *type, const struct vm_value *init,
             struct vm_table **out, struct vm_error *err)
{
	uint64_t most = type->is_64 ? UINT64_MAX : UINT32_MAX;

	if (!vm_valtype_is_ref(type->element) || !value_type_exists(type->element))
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "table element type 0x%x is not a reference type",
		                    type->element);
	if (type->min > most || (type->has_max && (type->max > most || type->max < type->min)))
		return vm_error_set(
		    err, VM_E_ARGUMENT, VM_NO_OFFSET,
		    "table type of %llu to %llu elements: expected at most %llu, in order",
		    (unsigned long long)type->min,
		    (unsigned long long)(type->has_max ? type->max : most),
		    (unsigned long long)most);
	if (!value_fits(store, type->element, init))
		return value_misfit(type->element, init, "initial table element", UINT64_MAX, err);

	struct vm_table *table = store_alloc(store, sizeof(*table));
	if (table == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	enum vm_status st = table_make(table, store, type, init->of.ref, err);
	if (st != VM_OK)
		return st;
	table->group = value_hold_type(store->engine, type->element);
	*out = table;
	return VM_OK;
}
