/*
 * fuzz_artifact.c - artifacts, as if their MAC had fitted: everything that is read of them but the
 * code itself.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "vm/native/unwind.h"

/* As much of a stack as frames may be described on. */
static uintptr_t stack[64];

static void
unwind_at(const struct artifact *a, uint32_t text)
{
	struct unwind w = { .stack_low = (uintptr_t)stack,
		            .stack_high = (uintptr_t)stack + sizeof(stack) };

	for (int i = 0; i < UNWIND_REGISTERS; i++)
		w.regs[i] = (uintptr_t)&stack[i];
	for (int i = 0; i < 8 && unwind_step(&w, a, text); i++)
		text++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_artifact_info info;
	struct artifact a;
	struct vm_error err;
	/* The code space is aligned, and so must this be. */
	uint8_t *copy = aligned_alloc(16, (size + 16) & ~(size_t)15);

	if (copy == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	(void)!vm_artifact_describe(copy, size, &info, &err);
	if (artifact_read(copy, size, &a, &err) == VM_OK) {
		uint32_t text_bytes = a.header.parts[ARTIFACT_TEXT].size_bytes;

		for (uint32_t i = 0; i < 64; i++) {
			uint32_t text = i * (text_bytes / 64 + 1), number;

			(void)artifact_position(&a, text);
			(void)artifact_find_function(&a, text, &number);
			unwind_at(&a, text);
		}
	}
	free(copy);
	return 0;
}
