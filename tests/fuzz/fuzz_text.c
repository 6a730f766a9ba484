/*
 * fuzz_text.c - hostile text as a module. What is parsed is well-formed: the decoder may find it
 * invalid or beyond a limit, never malformed.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "vm/vm.h"

static bool
is_quoted(const uint8_t *text, size_t len)
{
	return memmem(text, len, "binary", 6) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm_engine *engine;
	struct vm_module *module;
	struct vm_error err;
	uint8_t *bytes;
	size_t len;

	if (engine == NULL && vm_engine_new(NULL, &engine, NULL) != VM_OK)
		abort();
	if (vm_text_parse(engine, (const char *)data, size, VM_TEXT_NAMES, &bytes, &len, &err) !=
	    VM_OK) {
		if (err.offset != VM_NO_OFFSET && err.offset > size && !is_quoted(data, size))
			abort();
		return 0;
	}
	if (vm_module_load(engine, bytes, len, &module, &err) == VM_OK)
		vm_module_unref(module);
	else if (!is_quoted(data, size) &&
	         (err.status == VM_E_TRUNCATED || err.status == VM_E_LEB_TOO_LONG ||
	          err.status == VM_E_LEB_TOO_LARGE || err.status == VM_E_MAGIC ||
	          err.status == VM_E_VERSION || err.status == VM_E_UTF8))
		abort();
	vm_text_free(engine, bytes);
	return 0;
}
