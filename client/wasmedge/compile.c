/*
 * compile.c - wasmedge compile: a module file with native code at its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/wasmedge/file.h"
#include "client/wasmedge/key.h"
#include "client/wasmedge/native.h"
#include "client/wasmedge/options.h"
#include "client/wasmedge/report.h"
#include "client/wasmedge/section.h"
#include "client/wasmedge/text.h"

enum { VARIANTS_MAX = 2 };

struct compilation {
	const struct compile_options *options;
	uint8_t *bytes; /* of the file */
	struct native_section old;
	struct vm_engine *engine;
	struct vm_module *module;
	uint8_t key[VM_MAC_KEY_BYTES];
	struct vm_bytes artifacts[VARIANTS_MAX];
	uint8_t macs[VARIANTS_MAX][VM_MAC_BYTES];
	size_t count;
};

/* --- the file -------------------------------------------------------------------------------- */

static enum vm_status
failed_to(struct vm_error *err, const char *what)
{
	return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "cannot %s: %s", what, strerror(errno));
}

static enum vm_status
write_all(int fd, const uint8_t *bytes, size_t len, struct vm_error *err)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed_to(err, "write the file");
		bytes += n;
		len -= (size_t)n;
	}
	return VM_OK;
}

/* The mode of the file that is there, or of one that the user would make. */
static mode_t
mode_for(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return st.st_mode & 0777;
	const mode_t mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

/*
 * Write the module and the section under a temporary name beside the final one, and rename: nobody
 * ever sees half a file, and IN may be OUT.
 */
static enum vm_status
write_file(const char *path, const struct compilation *c, const uint8_t *section,
           size_t section_len, struct vm_error *err)
{
	char *temporary;
	enum vm_status st;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		st = failed_to(err, "make a file in its folder");
		free(temporary);
		return st;
	}
	st = write_all(fd, c->bytes, c->old.module_bytes, err);
	if (st == VM_OK)
		st = write_all(fd, section, section_len, err);
	if (st == VM_OK && fchmod(fd, mode_for(path)) != 0)
		st = failed_to(err, "set the mode of the file");
	if (close(fd) != 0 && st == VM_OK)
		st = failed_to(err, "write the file");
	if (st == VM_OK && rename(temporary, path) != 0)
		st = failed_to(err, "give the file its name");
	if (st != VM_OK)
		unlink(temporary);
	free(temporary);
	return st;
}

/* --- compiling ------------------------------------------------------------------------------- */

static enum vm_status
load(struct compilation *c, const char *path, vm_features features, struct vm_error *err)
{
	struct vm_engine_config config;
	size_t len;

	vm_engine_config_init(&config);
	config.features = features;
	enum vm_status st = file_read(path, config.limits.module_bytes_max, &c->bytes, &len, err);
	if (st != VM_OK)
		return st;
	native_section_find(c->bytes, len, &c->old);
	st = vm_engine_new(&config, &c->engine, err);
	if (st == VM_OK)
		st = vm_module_load(c->engine, c->bytes, c->old.module_bytes, &c->module, err);
	return st;
}

static enum vm_status
compile_variant(struct compilation *c, bool metered, struct vm_error *err)
{
	struct vm_compile_options options = c->options->compile;
	struct vm_bytes *artifact = &c->artifacts[c->count];

	options.metered = metered;
	enum vm_status st = native_compile(c->module, &options, artifact, err);
	if (st != VM_OK)
		return st;
	vm_artifact_mac(c->key, artifact->data, artifact->size_bytes, c->macs[c->count]);
	c->count++;
	return VM_OK;
}

static enum vm_status
store(const struct compilation *c, const char *path, struct vm_error *err)
{
	struct native_entry entries[VARIANTS_MAX];
	uint8_t *section;
	size_t len;

	for (size_t i = 0; i < c->count; i++)
		entries[i] = (struct native_entry){ c->macs[i], c->artifacts[i].data,
			                            c->artifacts[i].size_bytes };
	enum vm_status st = native_section_make(entries, c->count, &section, &len, err);
	if (st != VM_OK)
		return st;
	st = write_file(path, c, section, len, err);
	free(section);
	return st;
}

static void
clear(struct compilation *c)
{
	for (size_t i = 0; i < c->count; i++)
		vm_bytes_free(&c->artifacts[i]);
	vm_module_unref(c->module);
	vm_engine_unref(c->engine);
	free(c->bytes);
}

static int
compile(const struct compile_options *options, const char *in, const char *out)
{
	struct compilation c = { .options = options };
	const char *file = in; /* which one an error is about */
	struct vm_error err;
	enum vm_status st = load(&c, in, options->features, &err);

	if (st == VM_OK)
		st = key_read_or_make(c.key, &err);
	if (st == VM_OK)
		st = compile_variant(&c, false, &err);
	if (st == VM_OK && options->metered)
		st = compile_variant(&c, true, &err);
	if (st == VM_OK) {
		file = out;
		st = store(&c, out, &err);
	}
	if (st != VM_OK)
		report_error(file, c.module, &err);
	clear(&c);
	return st == VM_OK ? EXIT_DONE : EXIT_REFUSED;
}

int
verb_compile(void *context, const struct cli_args *args)
{
	struct compile_options options;
	char message[OPTIONS_MESSAGE_MAX];

	(void)context;
	if (!compile_options_read(args, &options, message)) {
		report_usage(message);
		return EXIT_REFUSED;
	}
	return compile(&options, args->words[0], args->words[1]);
}
