/*
 * The name section (7.5.1). Only function names are kept: they are what traps are told with.
 */
#include "vm/load/decode.h"

enum { SUBSECTION_FUNCTIONS = 1 };

/* Entries up to the first damaged one. Indices ascend; ones of no function are passed over. */
static void
read_function_names(struct vm_module *module, struct reader r)
{
	uint32_t count, index;
	struct vm_str name;

	if (reader_read_u32(&r, &count) != VM_OK)
		return;
	for (uint32_t i = 0; i < count; i++) {
		if (reader_read_u32(&r, &index) != VM_OK || reader_read_name(&r, &name) != VM_OK)
			return;
		if (index < module->func_count)
			module->func_names[index] = name;
	}
}

enum vm_status
decode_names(struct decoder *d, struct reader contents)
{
	struct vm_module *module = d->module;
	uint8_t id;
	uint32_t size;
	const uint8_t *bytes;

	while (reader_read_u8(&contents, &id) == VM_OK) {
		if (reader_read_u32(&contents, &size) != VM_OK ||
		    reader_read_bytes(&contents, size, &bytes) != VM_OK)
			return VM_OK;
		if (id != SUBSECTION_FUNCTIONS || module->func_names != NULL)
			continue;
		module->func_names = decode_alloc(d, module->func_count,
		                                  sizeof *module->func_names);
		if (module->func_names == NULL)
			return VM_E_NOMEM;
		read_function_names(module, (struct reader){ contents.start, bytes, bytes + size });
	}
	return VM_OK;
}
