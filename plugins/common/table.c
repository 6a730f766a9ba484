#include "plugins/common/table.h"

#include <stdlib.h>

/*
 * A handle:  63          32 31      16 15       0
 *            serial        number + 1  part + 1, or 0 for the object itself
 */

bool
nn_table_add(struct nn_table *table, void *object, uint32_t *out_number)
{
	uint32_t number = 0;

	while (number < table->slot_count && table->slots[number].object != NULL)
		number++;
	if (number == NN_TABLE_MAX)
		return false;
	if (number == table->slot_count) {
		struct nn_slot *grown =
		    realloc(table->slots, ((size_t)number + 1) * sizeof *table->slots);
		if (grown == NULL)
			return false;
		table->slots = grown;
		table->slot_count++;
	}
	table->slots[number] = (struct nn_slot){ object, ++table->last_serial & INT32_MAX };
	*out_number = number;
	return true;
}

void *
nn_table_get(const struct nn_table *table, uint32_t number)
{
	return number < table->slot_count ? table->slots[number].object : NULL;
}

void *
nn_table_take(struct nn_table *table, uint32_t number)
{
	void *object = nn_table_get(table, number);

	if (object != NULL)
		table->slots[number].object = NULL;
	return object;
}

void
nn_table_clear(struct nn_table *table)
{
	free(table->slots);
	*table = (struct nn_table){ 0 };
}

uint64_t
nn_table_handle(const struct nn_table *table, uint32_t number)
{
	return (uint64_t)table->slots[number].serial << 32 | ((uint64_t)number + 1) << 16;
}

uint64_t
nn_table_part(uint64_t handle, uint32_t index)
{
	return handle | ((uint64_t)index + 1);
}

static void *
find(const struct nn_table *table, uint64_t handle, uint32_t *out_number)
{
	uint32_t number = (uint32_t)(handle >> 16 & 0xffff) - 1; /* 0 becomes too large */
	void *object = nn_table_get(table, number);

	if (object == NULL || table->slots[number].serial != handle >> 32)
		return NULL;
	*out_number = number;
	return object;
}

void *
nn_table_of_handle(const struct nn_table *table, uint64_t handle, uint32_t *out_number)
{
	return (handle & 0xffff) == 0 ? find(table, handle, out_number) : NULL;
}

void *
nn_table_of_part(const struct nn_table *table, uint64_t handle, uint32_t *out_index)
{
	uint32_t number;

	if ((handle & 0xffff) == 0)
		return NULL;
	*out_index = (uint32_t)(handle & 0xffff) - 1;
	return find(table, handle, &number);
}
