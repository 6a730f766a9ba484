/*
 * options.c - what is the same with and without a native tier.
 */
#include <stdlib.h>
#include "vm/native.h"

void
vm_compile_options_init(struct vm_compile_options *options)
{
	*options = (struct vm_compile_options){ .level = VM_COMPILE_BEST, .cpu = VM_STR("host") };
}

void
vm_bytes_free(struct vm_bytes *bytes)
{
	if (bytes == NULL)
		return;
	free(bytes->data);
	*bytes = (struct vm_bytes){ NULL, 0 };
}
