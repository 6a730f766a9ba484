#include "vm/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "vm/base/utf8.h"

static const char *const status_texts[] = {
#define STATUS(symbol, text) text,
#include "vm/status.def"
#undef STATUS
};

static const char *const status_names[] = {
#define STATUS(symbol, text) #symbol,
#include "vm/status.def"
#undef STATUS
};

static const char *const trap_texts[] = {
#define TRAP(symbol, name, text) text,
#include "vm/trap.def"
#undef TRAP
};

static const char *const trap_names[] = {
#define TRAP(symbol, name, text) name,
#include "vm/trap.def"
#undef TRAP
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const char *
vm_status_text(enum vm_status status)
{
	return (size_t)status < COUNT_OF(status_texts) ? status_texts[status] : "unknown status";
}

const char *
vm_status_name(enum vm_status status)
{
	return (size_t)status < COUNT_OF(status_names) ? status_names[status] : "UNKNOWN";
}

const char *
vm_trap_text(enum vm_trap trap)
{
	return (size_t)trap < COUNT_OF(trap_texts) ? trap_texts[trap] : "unknown trap";
}

const char *
vm_trap_name(enum vm_trap trap)
{
	return (size_t)trap < COUNT_OF(trap_names) ? trap_names[trap] : "unknown";
}

bool
vm_trap_is_limit(enum vm_trap trap)
{
	return trap > VM_TRAP_HOST && (size_t)trap < COUNT_OF(trap_names);
}

static void
error_fill(struct vm_error *err, enum vm_status status, uint64_t offset)
{
	err->status = status;
	err->trap = VM_TRAP_NONE;
	err->exit_code = 0;
	err->function = VM_NO_FUNCTION;
	err->offset = offset;
	err->frame_count = 0;
	err->frames_omitted = 0;
	err->message[0] = '\0';
}

static void VM_PRINTF(2, 0)
error_format(struct vm_error *err, const char *format, va_list args)
{
	int len = vsnprintf(err->message, sizeof err->message, format, args);

	if (len < 0)
		err->message[0] = '\0';
	else if ((size_t)len >= sizeof err->message)
		err->message[utf8_cut((const uint8_t *)err->message, sizeof err->message - 1)] =
		    '\0';
}

enum vm_status
vm_error_set(struct vm_error *err, enum vm_status status, uint64_t offset, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return status;
	error_fill(err, status, offset);
	va_start(args, format);
	error_format(err, format, args);
	va_end(args);
	return status;
}

enum vm_status
vm_error_trap(struct vm_error *err, enum vm_trap trap, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return VM_TRAP;
	error_fill(err, VM_TRAP, VM_NO_OFFSET);
	err->trap = trap;
	va_start(args, format);
	error_format(err, format, args);
	va_end(args);
	return VM_TRAP;
}

enum vm_status
vm_error_exit(struct vm_error *err, int32_t exit_code)
{
	if (err == NULL)
		return VM_EXIT;
	error_fill(err, VM_EXIT, VM_NO_OFFSET);
	err->exit_code = exit_code;
	snprintf(err->message, sizeof err->message, "exit with code %d", (int)exit_code);
	return VM_EXIT;
}
