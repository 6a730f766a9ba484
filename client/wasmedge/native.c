#include "client/wasmedge/native.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "client/wasmedge/file.h"
#include "client/wasmedge/key.h"
#include "client/wasmedge/report.h"
#include "client/wasmedge/section.h"
#include "client/wasmedge/text.h"

/* --- loading --------------------------------------------------------------------------------- */

struct loading {
	const char *path;
	const struct native_options *options;
	struct vm_engine *engine;
	const uint8_t *bytes; /* of the file, without the section of native code */
	size_t len;
	struct vm_module *module; /* NULL until it is loaded */
	bool has_key;
	uint8_t key[VM_MAC_KEY_BYTES];
};

__attribute__((format(printf, 2, 3))) static void
say(const struct loading *l, const char *format, ...)
{
	char text[VM_ERROR_MESSAGE_MAX + 64];
	va_list ap;

	if (!l->options->verbose)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	report_begin();
	text_write_c(stderr, l->path);
	fputs(": ", stderr);
	text_write_c(stderr, text);
	fputc('\n', stderr);
}

static bool
has_native(const struct loading *l)
{
	return l->module != NULL && vm_module_has_native(l->module, l->options->metered);
}

/* Load the module with one artifact of the file, or attach it, if it is of the wanted variant. */
static enum vm_status
use_entry(struct loading *l, const struct native_entry *entry, struct vm_error *err)
{
	const struct vm_artifact artifact = { entry->artifact, entry->artifact_bytes, entry->mac };
	enum vm_status st = VM_OK;
	struct vm_artifact_info info;
	struct vm_error misfit;

	if (vm_artifact_describe(entry->artifact, entry->artifact_bytes, &info, &misfit) != VM_OK) {
		say(l, "native code of the file is not used: %s", misfit.message);
		return VM_OK;
	}
	if (info.metered != l->options->metered)
		return VM_OK;
	if (!l->has_key && key_read(l->key, &misfit) != VM_OK) {
		say(l, "native code of the file is not used: %s", misfit.message);
		return VM_OK;
	}
	l->has_key = true;
	if (l->module == NULL)
		st = vm_module_load_native(l->engine, l->bytes, l->len, &artifact, l->key,
		                           &l->module, &misfit, err);
	else if (vm_module_attach(l->module, entry->artifact, entry->artifact_bytes, entry->mac,
	                          l->key, &misfit) == VM_OK)
		misfit.status = VM_OK;
	if (st != VM_OK)
		return st;
	if (misfit.status == VM_OK)
		say(l, "runs as native code of the file");
	else
		say(l, "native code of the file is not used: %s", misfit.message);
	return VM_OK;
}

static enum vm_status
use_section(struct loading *l, const struct native_section *section, struct vm_error *err)
{
	enum vm_status st = VM_OK;
	struct native_entry entry;
	size_t position = 0;

	while (st == VM_OK && !has_native(l) && native_section_next(section, &position, &entry))
		st = use_entry(l, &entry, err);
	if (st == VM_OK && position < section->entries_bytes && !has_native(l))
		say(l, "native code of the file is damaged");
	return st;
}

/* Code made now never leaves the process, so any key does. */
static enum vm_status
compile_and_attach(struct loading *l, struct vm_error *err)
{
	struct vm_compile_options options;
	struct vm_bytes artifact;
	uint8_t mac[VM_MAC_BYTES];
	uint8_t key[VM_MAC_KEY_BYTES];

	if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "no random bytes: %s",
		                    strerror(errno));
	vm_compile_options_init(&options);
	options.metered = l->options->metered;
	say(l, "compiling");
	enum vm_status st = native_compile(l->module, &options, &artifact, err);
	if (st != VM_OK)
		return st;
	vm_artifact_mac(key, artifact.data, artifact.size_bytes, mac);
	st = vm_module_attach(l->module, artifact.data, artifact.size_bytes, mac, key, err);
	vm_bytes_free(&artifact);
	if (st == VM_OK)
		say(l, "runs as native code compiled now");
	return st;
}

static enum vm_status
load(struct loading *l, const struct native_section *section, struct vm_error *err)
{
	const bool wants_native = l->options->tier != VM_TIER_INTERP;
	enum vm_status st = VM_OK;

	if (wants_native && section->entries == NULL)
		say(l, "the file has no native code");
	else if (wants_native)
		st = use_section(l, section, err);
	if (st == VM_OK && l->module == NULL)
		st = vm_module_load(l->engine, l->bytes, l->len, &l->module, err);
	if (st != VM_OK || !wants_native || has_native(l))
		return st;
	if (l->options->tier == VM_TIER_NATIVE)
		return compile_and_attach(l, err);
	say(l, "is interpreted%s", l->options->metered
	        ? "; counted instructions need code from \"wasmedge compile --metered\"" : "");
	return VM_OK;
}

enum vm_status
native_load_file(struct vm_engine *engine, const char *path, const struct native_options *options,
                 struct vm_module **out, struct vm_error *err)
{
	struct loading l = { .path = path, .options = options, .engine = engine };
	struct native_section section;
	uint8_t *bytes;
	size_t len;

	enum vm_status st = file_read_module(engine, path, &bytes, &len, err);
	if (st != VM_OK)
		return st;
	native_section_find(bytes, len, &section);
	l.bytes = bytes;
	l.len = section.module_bytes;
	st = load(&l, &section, err);
	free(bytes);
	if (st == VM_OK)
		*out = l.module;
	else
		vm_module_unref(l.module);
	return st;
}
