#include "tests/vm/native/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct native_objects
objects_read(const char *name)
{
	const char *top = getenv("top_builddir");
	struct native_objects out = { malloc(sizeof(*out.items)), 1 };
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/vm/native/%s", top != NULL ? top : ".", name);
	FILE *file = fopen(path, "rb");
	if (file == NULL || out.items == NULL || fseek(file, 0, SEEK_END) != 0) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(EXIT_FAILURE);
	}
	out.items[0].size_bytes = (size_t)ftell(file);
	out.items[0].bytes = malloc(out.items[0].size_bytes);
	rewind(file);
	if (out.items[0].bytes == NULL ||
	    fread(out.items[0].bytes, 1, out.items[0].size_bytes, file) !=
	        out.items[0].size_bytes)
		exit(EXIT_FAILURE);
	fclose(file);
	return out;
}

void
objects_rename(struct native_objects *objects, const char *from, const char *to)
{
	const struct native_object *object = &objects->items[0];
	size_t len = strlen(from) + 1;

	for (size_t i = 1; i + len <= object->size_bytes; i++) {
		if (object->bytes[i - 1] == '\0' && memcmp(object->bytes + i, from, len) == 0)
			memcpy(object->bytes + i, to, len);
	}
}

void
objects_free(struct native_objects *objects)
{
	for (uint32_t i = 0; i < objects->count; i++)
		free(objects->items[i].bytes);
	free(objects->items);
}
