/*
 * fuzz_link.c - an object of the compiler: sections, symbols, relocations, lines.
 *
 * What is linked is read again as an artifact, which native_link does itself.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "tests/vm/native/guest_module.h"
#include "vm/native/link.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm_engine *engine;
	static struct vm_module *module;
	struct vm_error err;

	if (engine == NULL &&
	    (vm_engine_new(NULL, &engine, &err) != VM_OK ||
	     vm_module_load(engine, guest_wasm, sizeof(guest_wasm), &module, &err) != VM_OK))
		abort();
	/* Of the size, so that reading behind it is noticed. */
	struct native_object object = { malloc(size > 0 ? size : 1), size };
	struct native_objects objects = { &object, 1 };
	struct vm_artifact_info info = { .level = VM_COMPILE_FAST };
	struct vm_bytes out;

	if (object.bytes == NULL)
		return 0;
	if (size > 0)
		memcpy(object.bytes, data, size);
	if (native_link(module, &objects, &info, &out, &err) == VM_OK)
		vm_bytes_free(&out);
	free(object.bytes);
	return 0;
}
