/*
 * compile.c - wasmedge compile: a module file with native code at its end; and whatever else calls
 * the compiler, so that the static program (handover.c) can do without this file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client/wasmedge/file.h"
#include "client/wasmedge/key.h"
#include "client/wasmedge/native.h"
#include "client/wasmedge/options.h"
#include "client/wasmedge/report.h"
#include "client/wasmedge/section.h"
#include "client/wasmedge/text.h"

/* --- progress -------------------------------------------------------------------------------- */

enum { BAR_CELLS = 40, BAR_AFTER_MS = 1000, BAR_EVERY_MS = 100 };

struct bar {
	uint64_t start_ms;
	uint64_t drawn_ms; /* 0: not yet */
};

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool
draw_bar(void *env, uint64_t done_bytes, uint64_t total_bytes)
{
	static const char cells[BAR_CELLS + 1] = "########################################";
	struct bar *bar = env;
	const uint64_t now = now_ms();

	if (now - bar->start_ms < BAR_AFTER_MS || now - bar->drawn_ms < BAR_EVERY_MS ||
	    total_bytes == 0)
		return true;
	const double share =
	    done_bytes < total_bytes ? (double)done_bytes / (double)total_bytes : 1;
	const int full = (int)(share * BAR_CELLS);
	bar->drawn_ms = now;
	fprintf(stderr, "\rcompiling [%.*s%*s] %3d %%", full, cells, BAR_CELLS - full, "",
	        (int)(share * 100));
	return true;
}

enum vm_status
native_compile(struct vm_module *module, struct vm_compile_options *options, struct vm_bytes *out,
               struct vm_error *err)
{
	struct bar bar = { .start_ms = now_ms() };

	if (isatty(STDERR_FILENO)) {
		options->progress_fn = draw_bar;
		options->progress_env = &bar;
	}
	enum vm_status st = vm_compile(module, options, out, err);
	if (bar.drawn_ms != 0)
		fputs("\r\x1b[K", stderr); /* the line is empty again */
	return st;
}

/* --- compiling ------------------------------------------------------------------------------- */

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

static enum vm_status
load(struct compilation *c, const char *path, vm_features features, struct vm_error *err)
{
	struct vm_engine_config config;
	size_t len;

	vm_engine_config_init(&config);
	config.features = features;
	enum vm_status st = vm_engine_new(&config, &c->engine, err);
	if (st == VM_OK)
		st = file_read_module(c->engine, path, &c->bytes, &len, err);
	if (st != VM_OK)
		return st;
	native_section_find(c->bytes, len, &c->old);
	return vm_module_load(c->engine, c->bytes, c->old.module_bytes, &c->module, err);
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
	const struct vm_str parts[] = { { (const char *)c->bytes, c->old.module_bytes },
		                        { (const char *)section, len } };
	st = file_write(path, parts, 2, err);
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
