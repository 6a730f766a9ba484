#include "vm/load/input.h"

#include <stdarg.h>
#include <stdio.h>

enum vm_status
input_fail(struct input *in, enum vm_status status, uint64_t offset, const char *format, ...)
{
	char text[VM_ERROR_MESSAGE_MAX];
	va_list args;

	if (in->err == NULL)
		return status;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (in->function == VM_NO_FUNCTION)
		return vm_error_set(in->err, status, offset, "at 0x%llx: %s",
		                    (unsigned long long)offset, text);
	(void)vm_error_set(in->err, status, offset, "function %u at 0x%llx: %s",
	                   (unsigned)in->function, (unsigned long long)offset, text);
	in->err->function = in->function;
	return status;
}

enum vm_status
input_fail_read(struct input *in, enum vm_status status, const char *what)
{
	return input_fail(in, status, reader_offset(&in->r), "expected %s: %s", what,
	                  vm_status_text(status));
}

enum vm_status
input_no_memory(struct input *in)
{
	return input_fail(in, VM_E_NOMEM, reader_offset(&in->r), "out of memory");
}

enum vm_status
input_use(struct input *in, enum vm_feature feature, uint64_t offset, const char *what)
{
	in->used |= UINT64_C(1) << feature;
	if (input_has(in, feature))
		return VM_OK;
	return input_fail(in, VM_E_UNSUPPORTED, offset,
	                  "%s needs the feature %s, which is switched off", what,
	                  vm_feature_name(feature));
}

enum vm_status
input_name(struct input *in, const char *what, struct vm_str *out)
{
	enum vm_status st = reader_read_name(&in->r, out);

	return st == VM_OK ? VM_OK : input_fail_read(in, st, what);
}

enum vm_status
input_count(struct input *in, const char *what, uint64_t limit, uint32_t *out)
{
	const uint64_t offset = reader_offset(&in->r);
	uint32_t count;
	enum vm_status st = input_u32(in, what, &count);

	if (st != VM_OK)
		return st;
	if (count > limit)
		return input_fail(in, VM_E_LIMIT, offset, "%s: %u, the limit is %llu", what,
		                  (unsigned)count, (unsigned long long)limit);
	if (count > reader_left(&in->r))
		return input_fail(in, VM_E_TRUNCATED, offset,
		                  "%s: %u, but only %zu bytes follow", what, (unsigned)count,
		                  reader_left(&in->r));
	*out = count;
	return VM_OK;
}
