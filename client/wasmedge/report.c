#include "client/wasmedge/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/wasmedge/text.h"

static const char *program_name = "wasmedge";

void
report_name(const char *program)
{
	program_name = program;
}

void
report_begin(void)
{
	fprintf(stderr, "%s: ", program_name);
}

void
report_usage(const char *message)
{
	report_begin();
	text_write_c(stderr, message);
	fprintf(stderr, "\nTry '%s --help'.\n", program_name);
}

static void
write_function(uint32_t function, struct vm_str name)
{
	fprintf(stderr, "function %" PRIu32, function);
	if (name.len > 0) {
		fputs(" <", stderr);
		text_write(stderr, name);
		fputc('>', stderr);
	}
}

/* " (function 12 <name>, at 0x2f3)", as far as it is known. */
static void
write_place(const struct vm_module *module, const struct vm_error *err)
{
	bool has_function = err->function != VM_NO_FUNCTION;
	bool has_offset = err->offset != VM_NO_OFFSET;

	if (!has_function && !has_offset)
		return;
	fputs(" (", stderr);
	if (has_function) {
		struct vm_str name = { "", 0 };

		if (module != NULL && err->function < vm_module_function_count(module))
			name = vm_module_function_name(module, err->function);
		write_function(err->function, name);
	}
	if (has_offset)
		fprintf(stderr, "%sat 0x%" PRIx64, has_function ? ", " : "", err->offset);
	fputc(')', stderr);
}

static void
write_frames(const struct vm_error *err)
{
	for (uint32_t i = 0; i < err->frame_count; i++) {
		const struct vm_frame *frame = &err->frames[i];
		struct vm_str name = { frame->name, strnlen(frame->name, sizeof frame->name) };

		fprintf(stderr, "    %2" PRIu32 ": ", i);
		write_function(frame->function, name);
		if (frame->offset != VM_NO_OFFSET)
			fprintf(stderr, " at 0x%" PRIx64, frame->offset);
		fputc('\n', stderr);
	}
	if (err->frames_omitted > 0)
		fprintf(stderr, "    ... and %" PRIu32 " more\n", err->frames_omitted);
}

void
report_error(const char *file, const struct vm_module *module, const struct vm_error *err)
{
	report_begin();
	if (file != NULL) {
		text_write_c(stderr, file);
		fprintf(stderr, ": %s: ",
		        err->status == VM_TRAP ? "trap" : vm_status_text(err->status));
	}
	text_write_c(stderr, err->message);
	if (err->frame_count == 0)
		write_place(module, err);
	fputc('\n', stderr);
	write_frames(err);
}
