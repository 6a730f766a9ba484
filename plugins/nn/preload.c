#include "plugins/nn/preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *word;
	enum nn_encoding encoding;
} encodings[] = {
	{ "onnx", NN_ENCODING_ONNX },
	{ "tensorflow", NN_ENCODING_TENSORFLOW },
	{ "tensorflowlite", NN_ENCODING_TFLITE },
	{ "autodetect", NN_ENCODING_AUTODETECT },
};

/* Take what is before the next colon off *text. */
static bool
take(const char **text, struct vm_str *out)
{
	const char *colon = strchr(*text, ':');

	if (colon == NULL || colon == *text)
		return false;
	*out = (struct vm_str){ *text, (size_t)(colon - *text) };
	*text = colon + 1;
	return true;
}

static bool
is_word(struct vm_str text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

static bool
read_one(const char *word, struct nn_preload *out)
{
	struct vm_str encoding;
	struct vm_str target;

	if (!take(&word, &out->name) || !take(&word, &encoding) || !take(&word, &target) ||
	    *word == '\0' || (!is_word(target, "CPU") && !is_word(target, "AUTO")))
		return false;
	out->path = word;
	for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
		if (is_word(encoding, encodings[i].word)) {
			out->encoding = encodings[i].encoding;
			return true;
		}
	}
	return false;
}

enum vm_status
nn_preload_read(const struct vm_plugin_host *host, const struct vm_plugin_value *words,
                struct nn_preloads *out, struct vm_error *err)
{
	const char *word = words->text;

	out->items = calloc((size_t)words->number + 1, sizeof *out->items);
	if (out->items == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	for (uint64_t i = 0; i < words->number; i++, word += strlen(word) + 1) {
		if (!read_one(word, &out->items[i]))
			return vm_plugin_fail(host, err, VM_E_ARGUMENT,
			                      "a word of models has to be "
			                      "NAME:ENCODING:TARGET:PATH with the "
			                      "encoding onnx, tensorflow, tensorflowlite or "
			                      "autodetect and "
			                      "the target CPU or AUTO, not %.120s", word);
		out->count++;
	}
	return VM_OK;
}

void
nn_preload_clear(struct nn_preloads *preloads)
{
	free(preloads->items);
	*preloads = (struct nn_preloads){ 0 };
}

const struct nn_preload *
nn_preload_find(const struct nn_preloads *preloads, struct vm_str name)
{
	for (uint32_t i = 0; i < preloads->count; i++) {
		const struct nn_preload *item = &preloads->items[i];
		if (item->name.len == name.len && memcmp(item->name.data, name.data, name.len) == 0)
			return item;
	}
	return NULL;
}

enum vm_status
nn_preload_bytes(const struct vm_plugin_host *host, const struct nn_preload *preload, char **out,
                 size_t *out_len, struct vm_error *err)
{
	FILE *file = fopen(preload->path, "rbe");
	char *bytes = NULL;
	long size = -1;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size < 0) {
		int why = errno;
		if (file != NULL)
			fclose(file);
		return vm_plugin_fail(host, err, VM_E_IO, "%.200s: %s", preload->path,
		                      strerror(why));
	}
	if (size > INT32_MAX) {
		fclose(file);
		return vm_plugin_fail(host, err, VM_E_LIMIT, "%.200s has more than 2 GiB",
		                      preload->path);
	}
	rewind(file);
	bytes = malloc((size_t)size + 1);
	bool is_read = bytes != NULL && fread(bytes, 1, (size_t)size, file) == (size_t)size;
	fclose(file);
	if (!is_read) {
		enum vm_status st = bytes != NULL ? VM_E_IO : VM_E_NOMEM;
		free(bytes);
		return vm_plugin_fail(host, err, st, "%.200s cannot be read", preload->path);
	}
	*out = bytes;
	*out_len = (size_t)size;
	return VM_OK;
}
