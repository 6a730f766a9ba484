/*
 * table.h - small numbers for objects, given to guests in place of pointers.
 *
 * A number that was freed is used again; a serial, which is not, tells such uses apart.
 *
 * Owns:    its own memory, not the objects
 * Threads: one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NN_TABLE_MAX 1024u

struct nn_table {
	struct nn_slot {
		void *object; /* NULL: free */
		uint32_t serial;
	} *slots;
	uint32_t slot_count;
	uint32_t last_serial;
};

/* Enter an object under the lowest free number. False: out of memory, or the table is full. */
bool nn_table_add(struct nn_table *table, void *object, uint32_t *out_number);
/* NULL when there is none of that number. */
void *nn_table_get(const struct nn_table *table, uint32_t number);
/* The same, and remove it. */
void *nn_table_take(struct nn_table *table, uint32_t number);
void nn_table_clear(struct nn_table *table);

/*
 * Handles of 64 bits, never 0: of an object, and of part index of one, at most 65534. A handle of
 * an object that is gone is none, also when its number is used again.
 */
uint64_t nn_table_handle(const struct nn_table *table, uint32_t number);
uint64_t nn_table_part(uint64_t handle, uint32_t index);
/* The object of a handle and its number; NULL for handles of parts and for others that are none. */
void *nn_table_of_handle(const struct nn_table *table, uint64_t handle, uint32_t *out_number);
/* The object of a part's handle, and the part's index; NULL for whatever is not one. */
void *nn_table_of_part(const struct nn_table *table, uint64_t handle, uint32_t *out_index);
