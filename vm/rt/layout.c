#include "vm/rt/layout.h"

#include "vm/rt/runtime.h"

/* Append an array, aligned to 16 bytes. Counts are below 2^32, so that nothing wraps. */
static size_t
place(size_t *end, size_t count, size_t size_bytes)
{
	size_t at = *end;

	*end = (at + count * size_bytes + 15) & ~(size_t)15;
	return at;
}

void
instance_layout_make(struct instance_layout *out, const struct vm_module *m, uint32_t host_count)
{
	size_t end = 0;

	(void)place(&end, 1, sizeof(struct vm_instance));
	out->own_memories =
	    place(&end, m->memory_count - m->memory_import_count, sizeof(struct vm_memory));
	out->own_tables =
	    place(&end, m->table_count - m->table_import_count, sizeof(struct vm_table));
	out->own_globals =
	    place(&end, m->global_count - m->global_import_count, sizeof(struct vm_global));
	out->own_tags = place(&end, m->tag_count - m->tag_import_count, sizeof(struct vm_tag));
	out->memories = place(&end, m->memory_count, sizeof(struct vm_memory *));
	out->tables = place(&end, m->table_count, sizeof(struct vm_table *));
	out->globals = place(&end, m->global_count, sizeof(union global_cell *));
	out->tags = place(&end, m->tag_count, sizeof(struct vm_tag *));
	out->imported_funcs = place(&end, m->func_import_count, sizeof(struct vm_func *));
	out->data_sizes = place(&end, m->has_data_count ? m->data_count : 0, sizeof(uint64_t));
	out->elems = place(&end, m->elem_count, sizeof(struct elem_instance));
	out->funcs = place(&end, m->func_slot_count, sizeof(struct vm_func));
	out->host_funcs = place(&end, host_count, sizeof(struct vm_func));
	out->size_bytes = end;
}
