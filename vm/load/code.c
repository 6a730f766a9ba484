#include "vm/load/decode.h"

/* Remember where a body is, and walk it. */
static enum vm_status
read_body(struct decoder *d, uint32_t function)
{
	struct module_func *func = &d->module->funcs[function];
	const uint64_t offset = reader_offset(&d->in.r);
	const uint8_t *body;
	uint32_t size;
	enum vm_status st = input_u32(&d->in, "the size of a function's code", &size);

	if (st != VM_OK)
		return st;
	if (size > d->engine->limits.function_bytes_max)
		return decode_fail(d, VM_E_LIMIT, offset, "code of %u bytes, the limit is %llu",
		                   (unsigned)size,
		                   (unsigned long long)d->engine->limits.function_bytes_max);
	func->body_offset = reader_offset(&d->in.r);
	func->body_size = size;
	st = reader_read_bytes(&d->in.r, size, &body);
	if (st != VM_OK)
		return input_fail_read(&d->in, st, "a function's code");
	return d->proof != NULL ? VM_OK : walker_run(d->walker, function, NULL, d->in.err);
}

enum vm_status
decode_code(struct decoder *d)
{
	const uint64_t offset = reader_offset(&d->in.r);
	struct vm_module *module = d->module;
	const uint32_t expected = module->func_count - module->func_import_count;
	uint32_t count;
	enum vm_status st = input_u32(&d->in, "the number of function bodies", &count);

	if (st != VM_OK)
		return st;
	if (count != expected)
		return decode_fail(d, VM_E_MALFORMED, offset,
		                   "function and code section have inconsistent lengths: %u, %u",
		                   (unsigned)expected, (unsigned)count);
	module->features_seen = d->in.used; /* so far, for the walker */
	for (uint32_t i = 0; i < count && st == VM_OK; i++)
		st = read_body(d, module->func_import_count + i);
	return st;
}
