#include "client/wasmedge/plugins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wasmedge/report.h"
#include "client/wasmedge/text.h"

static void
on_message(void *env, const char *plugin, enum vm_plugin_level level, const char *text)
{
	(void)env;
	if (level < VM_PLUGIN_WARNING)
		return;
	report_begin();
	fprintf(stderr, "plug-in %s: ", plugin);
	text_write_c(stderr, text);
	fputc('\n', stderr);
}

enum vm_status
plugins_load(const struct runner *runner, const struct plugin_options *options,
             struct vm_plugins **out, struct vm_error *err)
{
	const struct vm_plugins_config config = {
		.path = options->path,
		.forbidden = options->forbidden,
		.forbidden_count = options->forbidden_count,
		.dummies = runner->dummies,
		.dummy_count = runner->dummy_count,
		.settings = options->settings,
		.setting_count = options->setting_count,
		.log = on_message,
	};

	return vm_plugins_load(&config, out, err);
}

enum vm_status
plugins_define_imports(struct vm_plugins *plugins, struct vm_linker *linker,
                       const struct vm_module *module, struct vm_error *err)
{
	return vm_plugins_define_imports(plugins, linker, module, err);
}

/* --- links that failed ---------------------------------------------------------------------- */

static bool
str_is(struct vm_str str, const char *text)
{
	return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

static char
letter_of(vm_valtype type)
{
	switch (type) {
	case VM_I32:
		return 'i';
	case VM_I64:
		return 'l';
	case VM_F32:
		return 'f';
	case VM_F64:
		return 'd';
	default:
		return '?';
	}
}

static bool
types_are(const char *letters, const vm_valtype *types, uint32_t count)
{
	if (strlen(letters) != count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (letters[i] != letter_of(types[i]))
			return false;
	}
	return true;
}

/* "(i32, f64) -> (i32)", from the letters of a plug-in. */
static void
write_signature(const struct vm_plugin_func *func)
{
	const char *const lists[] = { func->params, func->results };

	for (int i = 0; i < 2; i++) {
		fputs(i == 0 ? "(" : " -> (", stderr);
		for (const char *c = lists[i]; *c != '\0'; c++)
			fprintf(stderr, "%s%s", c > lists[i] ? ", " : "",
			        *c == 'i'   ? "i32"
			        : *c == 'l' ? "i64"
			        : *c == 'f' ? "f32"
			                    : "f64");
		fputc(')', stderr);
	}
}

static void
begin(const struct vm_import *import)
{
	report_begin();
	fputs("imports from ", stderr);
	text_write(stderr, import->module);
	fputs(" are for the plug-in ", stderr);
}

/* Says what is wrong, unless nothing is. */
static bool
explain_module(const struct vm_plugins_info *info, const struct vm_plugin_module *module,
               const struct vm_import *import)
{
	const struct vm_functype *type = &import->type.of.func;

	for (uint32_t i = 0; i < module->func_count && import->type.kind == VM_EXTERN_FUNC; i++) {
		const struct vm_plugin_func *func = &module->funcs[i];
		if (!str_is(import->name, func->name))
			continue;
		if (types_are(func->params, type->params, type->param_count) &&
		    types_are(func->results, type->results, type->result_count))
			return false;
		begin(import);
		fprintf(stderr, "%s, whose %s is ", info->name, func->name);
		write_signature(func);
		fputc('\n', stderr);
		return true;
	}
	begin(import);
	fprintf(stderr, "%s, whose version %s has no function ", info->name, info->plugin->version);
	text_write(stderr, import->name);
	fputc('\n', stderr);
	return true;
}

bool
plugins_explain(struct vm_plugins *plugins, const struct vm_import *import)
{
	struct vm_plugins_info info;

	for (uint32_t i = 0; i < vm_plugins_count(plugins); i++) {
		vm_plugins_info(plugins, i, &info);
		for (uint32_t k = 0; info.plugin != NULL && k < info.plugin->module_count; k++) {
			if (str_is(import->module, info.plugin->modules[k].name))
				return explain_module(&info, &info.plugin->modules[k], import);
		}
	}
	const char *known = vm_plugins_known(import->module);
	if (known == NULL)
		return false;
	int32_t index = vm_plugins_find(plugins, known);
	if (index >= 0)
		vm_plugins_info(plugins, (uint32_t)index, &info);
	begin(import);
	fprintf(stderr, "%s: ", known);
	text_write_c(stderr, index >= 0 && info.why_not != NULL ? info.why_not
	                                                        : "it is not installed");
	fputc('\n', stderr);
	return true;
}

/* --- lists ---------------------------------------------------------------------------------- */

int
plugins_write_versions(const struct runner *runner, const char *path)
{
	const struct plugin_options options = { .path = path };
	struct vm_plugins *plugins;
	struct vm_error err;

	runner_write_version(runner);
	if (plugins_load(runner, &options, &plugins, &err) != VM_OK)
		return EXIT_DONE; /* memory is short, and the version was what was asked for */
	for (uint32_t i = 0; i < vm_plugins_count(plugins); i++) {
		struct vm_plugins_info info;

		vm_plugins_look(plugins, i, &info);
		if (info.plugin == NULL || info.path == NULL)
			continue;
		text_write_c(stdout, info.path);
		printf(" (plugin \"%s\") version ", info.name);
		text_write_c(stdout, info.plugin->version);
		putchar('\n');
	}
	vm_plugins_free(plugins);
	return EXIT_DONE;
}

/* Names of host modules or operations, as a JSON array. */
static void
write_json_names(const char *member, const struct vm_plugins_info *info, bool is_modules)
{
	const struct vm_plugin *plugin = info->plugin;
	uint32_t count = plugin == NULL ? 0
	                 : is_modules   ? plugin->module_count
	                                : plugin->operation_count;

	printf(",\n    \"%s\": [", member);
	for (uint32_t i = 0; i < count; i++) {
		fputs(i > 0 ? ", " : "", stdout);
		text_write_json(stdout, is_modules ? plugin->modules[i].name
		                                   : plugin->operations[i].name);
	}
	putchar(']');
}

static void
write_json_text(const char *member, const char *text)
{
	printf(",\n    \"%s\": ", member);
	if (text != NULL)
		text_write_json(stdout, text);
	else
		fputs("null", stdout);
}

static void
write_json(struct vm_plugins *plugins)
{
	putchar('[');
	for (uint32_t i = 0; i < vm_plugins_count(plugins); i++) {
		struct vm_plugins_info info;

		vm_plugins_info(plugins, i, &info);
		printf("%s\n  {\n    \"name\": ", i > 0 ? "," : "");
		text_write_json(stdout, info.name);
		write_json_text("version", info.plugin != NULL ? info.plugin->version : NULL);
		write_json_text("summary", info.plugin != NULL ? info.plugin->summary : NULL);
		write_json_names("modules", &info, true);
		write_json_names("operations", &info, false);
		write_json_text("path", info.path);
		write_json_text("why_not", info.why_not);
		fputs("\n  }", stdout);
	}
	puts("\n]");
}

enum { NAME, VERSION, MODULES, PATH, WHY_NOT, COLUMN_COUNT };

/* The text of a column; modules are joined in the buffer, cut if they are very many. */
static const char *
cell(const struct vm_plugins_info *info, int column, char *buffer, size_t size)
{
	switch (column) {
	case NAME:
		return info->name;
	case VERSION:
		return info->plugin != NULL ? info->plugin->version : "-";
	case PATH:
		return info->path != NULL ? info->path : "-";
	case WHY_NOT:
		return info->why_not != NULL ? info->why_not : "";
	default:
		break;
	}
	size_t len = 0;
	(void)snprintf(buffer, size, "-");
	for (uint32_t i = 0; info->plugin != NULL && i < info->plugin->module_count; i++) {
		int n = snprintf(buffer + len, size - len, "%s%s", i > 0 ? "," : "",
		                 info->plugin->modules[i].name);
		if (n < 0 || (size_t)n >= size - len)
			break;
		len += (size_t)n;
	}
	return buffer;
}

static void
write_table(struct vm_plugins *plugins)
{
	static const char *const heads[] = { "NAME", "VERSION", "MODULES", "PATH", "WHY NOT" };
	size_t width[COLUMN_COUNT];
	struct vm_plugins_info info;
	char buffer[512];

	for (int c = 0; c < COLUMN_COUNT; c++)
		width[c] = strlen(heads[c]);
	for (uint32_t i = 0; i < vm_plugins_count(plugins); i++) {
		vm_plugins_info(plugins, i, &info);
		for (int c = 0; c < COLUMN_COUNT; c++) {
			size_t len = strlen(cell(&info, c, buffer, sizeof buffer));
			width[c] = len > width[c] ? len : width[c];
		}
	}
	for (uint32_t i = 0; i <= vm_plugins_count(plugins); i++) {
		int last = WHY_NOT;

		if (i > 0) {
			vm_plugins_info(plugins, i - 1, &info);
			last = info.why_not != NULL ? WHY_NOT : PATH;
		}
		for (int c = 0; c <= last; c++) {
			const char *text =
			    i == 0 ? heads[c] : cell(&info, c, buffer, sizeof buffer);
			text_write_c(stdout, text);
			if (c < last)
				printf("%*s", (int)(width[c] - strlen(text)) + 2, "");
		}
		putchar('\n');
	}
}

int
verb_plugins(void *context, const struct cli_args *args)
{
	char message[OPTIONS_MESSAGE_MAX];
	struct plugin_options options;
	struct vm_plugins *plugins;
	struct vm_error err;
	int code = EXIT_REFUSED;

	if (!plugin_options_read(args, &options, message)) {
		report_usage(message);
		return EXIT_REFUSED;
	}
	if (plugins_load(context, &options, &plugins, &err) == VM_OK) {
		if (cli_has(args, "json"))
			write_json(plugins);
		else
			write_table(plugins);
		vm_plugins_free(plugins);
		code = EXIT_DONE;
	} else {
		report_error(NULL, NULL, &err);
	}
	plugin_options_clear(&options);
	return code;
}
