/*
 * inspect.c - wasmedge validate, parse and wat2wasm: look at modules without running them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wasmedge/file.h"
#include "client/wasmedge/options.h"
#include "client/wasmedge/report.h"
#include "client/wasmedge/section.h"
#include "client/wasmedge/text.h"
#include "vm/vm.h"

static struct vm_engine *
engine_for(const struct cli_args *args)
{
	struct vm_engine_config config;
	struct vm_engine *engine;
	struct vm_error err;

	vm_engine_config_init(&config);
	config.features = options_features(args);
	if (vm_engine_new(&config, &engine, &err) == VM_OK)
		return engine;
	report_error("engine", NULL, &err);
	return NULL;
}

int
verb_validate(void *context, const struct cli_args *args)
{
	struct vm_engine *engine = engine_for(args);
	int code = EXIT_DONE;

	(void)context;
	if (engine == NULL)
		return EXIT_REFUSED;
	for (size_t i = 0; i < args->word_count; i++) {
		struct vm_module *module;
		struct vm_error err;

		if (file_load_module(engine, args->words[i], &module, &err) == VM_OK) {
			text_write_c(stdout, args->words[i]);
			puts(": valid");
			vm_module_unref(module);
		} else {
			report_error(args->words[i], NULL, &err);
			code = EXIT_REFUSED;
		}
	}
	vm_engine_unref(engine);
	return code;
}

/* --- wat2wasm ------------------------------------------------------------------------------- */

/* The file's own name with .wasm in place of its extension. The caller frees it. */
static char *
binary_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	const char *dot = strrchr(base, '.');
	const size_t stem_len = dot != NULL && dot != base ? (size_t)(dot - path) : strlen(path);
	char *name = NULL;

	return asprintf(&name, "%.*s.wasm", (int)stem_len, path) < 0 ? NULL : name;
}

int
verb_wat2wasm(void *context, const struct cli_args *args)
{
	struct vm_engine *engine = engine_for(args);
	const char *in = args->words[0];
	const char *file = in; /* which one an error is about */
	char *out = args->word_count > 1 ? strdup(args->words[1]) : binary_name(in);
	struct vm_module *module = NULL;
	uint8_t *bytes = NULL;
	struct vm_error err;
	size_t len;

	(void)context;
	if (engine == NULL || out == NULL) {
		free(out);
		return EXIT_REFUSED;
	}
	enum vm_status st = file_read_module(engine, in, &bytes, &len, &err);
	if (st == VM_OK)
		st = vm_module_load(engine, bytes, len, &module, &err);
	if (st == VM_OK) {
		const struct vm_str part = { (const char *)bytes, len };
		file = out;
		st = file_write(out, &part, 1, &err);
	}
	if (st != VM_OK)
		report_error(file, NULL, &err);
	vm_module_unref(module);
	vm_engine_unref(engine);
	free(bytes);
	free(out);
	return st == VM_OK ? EXIT_DONE : EXIT_REFUSED;
}

/* --- parse ---------------------------------------------------------------------------------- */

static void
write_types(const vm_valtype *types, uint32_t count)
{
	char text[VM_VALTYPE_TEXT_MAX];

	putchar('(');
	for (uint32_t i = 0; i < count; i++)
		printf("%s%s", i > 0 ? ", " : "", vm_valtype_text(types[i], text, sizeof text));
	putchar(')');
}

static void
write_bounds(uint64_t min, bool has_max, uint64_t max, bool is_64)
{
	printf("%" PRIu64, min);
	if (has_max)
		printf("..%" PRIu64, max);
	if (is_64)
		fputs(" i64", stdout);
}

static void
write_externtype(const struct vm_externtype *type)
{
	char text[VM_VALTYPE_TEXT_MAX];

	switch (type->kind) {
	case VM_EXTERN_FUNC:
		write_types(type->of.func.params, type->of.func.param_count);
		fputs(" -> ", stdout);
		write_types(type->of.func.results, type->of.func.result_count);
		break;
	case VM_EXTERN_TAG:
		write_types(type->of.func.params, type->of.func.param_count);
		break;
	case VM_EXTERN_TABLE:
		write_bounds(type->of.table.min, type->of.table.has_max, type->of.table.max,
		             type->of.table.is_64);
		printf(" %s", vm_valtype_text(type->of.table.element, text, sizeof text));
		break;
	case VM_EXTERN_MEMORY:
		write_bounds(type->of.memory.min, type->of.memory.has_max, type->of.memory.max,
		             type->of.memory.is_64);
		fputs(type->of.memory.is_shared ? " pages, shared" : " pages", stdout);
		break;
	case VM_EXTERN_GLOBAL:
		printf("%s%s", type->of.global.is_mutable ? "mutable " : "",
		       vm_valtype_text(type->of.global.content, text, sizeof text));
		break;
	}
}

static void
write_sections(const struct vm_module *module)
{
	uint32_t count = vm_module_section_count(module);

	printf("\nSections: %" PRIu32 "\n", count);
	for (uint32_t i = 0; i < count; i++) {
		struct vm_section section;

		vm_module_section(module, i, &section);
		printf("  0x%08" PRIx64 " %10" PRIu64 " bytes  ", section.offset,
		       section.size_bytes);
		if (section.id == 0)
			fputs("custom ", stdout);
		text_write(stdout, section.name);
		if (section.count > 0)
			printf(" [%" PRIu32 "]", section.count);
		putchar('\n');
	}
}

static void
write_imports(const struct vm_module *module)
{
	uint32_t count = vm_module_import_count(module);

	printf("\nImports: %" PRIu32 "\n", count);
	for (uint32_t i = 0; i < count; i++) {
		struct vm_import import;

		vm_module_import(module, i, &import);
		printf("  %-6s ", vm_extern_kind_text(import.type.kind));
		text_write(stdout, import.module);
		putchar('.');
		text_write(stdout, import.name);
		fputs(": ", stdout);
		write_externtype(&import.type);
		putchar('\n');
	}
}

static void
write_exports(const struct vm_module *module)
{
	uint32_t count = vm_module_export_count(module);

	printf("\nExports: %" PRIu32 "\n", count);
	for (uint32_t i = 0; i < count; i++) {
		struct vm_export export;

		vm_module_export(module, i, &export);
		printf("  %-6s ", vm_extern_kind_text(export.type.kind));
		text_write(stdout, export.name);
		fputs(": ", stdout);
		write_externtype(&export.type);
		putchar('\n');
	}
}

static void
write_features(const struct vm_module *module)
{
	vm_features features = vm_module_features(module);

	fputs("Features beyond WebAssembly 1.0:", stdout);
	for (int i = 0; i < VM_FEATURE_COUNT; i++)
		if (features & UINT64_C(1) << i)
			printf(" %s", vm_feature_name((enum vm_feature)i));
	puts(features == 0 ? " none" : "");
}

/* What native code in the file says of itself; nobody has vouched for it here. */
static void
write_native(const struct vm_module *module)
{
	size_t len;
	const uint8_t *bytes = vm_module_bytes(module, &len);
	struct native_section section;
	struct native_entry entry;
	size_t position = 0;

	native_section_find(bytes, len, &section);
	if (section.entries != NULL)
		puts("\nNative code:");
	while (native_section_next(&section, &position, &entry)) {
		struct vm_artifact_info info;

		if (vm_artifact_describe(entry.artifact, entry.artifact_bytes, &info, NULL) !=
		    VM_OK) {
			puts("  damaged");
			continue;
		}
		printf("  level %s%s%s%s, %" PRIu64 " bytes of code\n",
		       info.level == VM_COMPILE_FAST ? "fast" : "best",
		       info.metered ? ", metered" : "",
		       info.canonical_nans ? ", canonical NaNs" : "",
		       info.relaxed_traps ? ", relaxed traps" : "", info.code_bytes);
	}
}

static void
write_module(const char *file, const struct vm_module *module)
{
	size_t size_bytes;

	vm_module_bytes(module, &size_bytes);
	text_write_c(stdout, file);
	printf(": WebAssembly module, %zu bytes, %" PRIu32 " functions\n", size_bytes,
	       vm_module_function_count(module));
	write_features(module);
	write_sections(module);
	write_imports(module);
	write_exports(module);
	write_native(module);
}

int
verb_parse(void *context, const struct cli_args *args)
{
	struct vm_engine *engine = engine_for(args);
	struct vm_module *module;
	struct vm_error err;
	int code = EXIT_REFUSED;

	(void)context;
	if (engine == NULL)
		return EXIT_REFUSED;
	if (file_load_module(engine, args->words[0], &module, &err) == VM_OK) {
		write_module(args->words[0], module);
		vm_module_unref(module);
		code = EXIT_DONE;
	} else {
		report_error(args->words[0], NULL, &err);
	}
	vm_engine_unref(engine);
	return code;
}
