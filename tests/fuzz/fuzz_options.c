/*
 * fuzz_options.c - the command line of wasmedge, a word a line, and what plug-ins make of the
 * options that it sets.
 *
 * Settings have the names of plug-ins and options, and every part of them stands in the command
 * line; values that a plug-in is opened with are of their types.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "client/wasmedge/options.h"

enum { WORDS_MAX = 64 };

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* --- a plug-in with an option of each type -------------------------------------------------- */

static enum vm_status
plugin_open(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out,
            struct vm_error *err)
{
	const char *word = values[3].text;

	(void)host;
	(void)out;
	(void)err;
	check(values[0].number <= 1);
	for (uint64_t i = 0; i < values[3].number; i++) {
		check(word[0] != '\0' && word[strcspn(word, " \t\n")] == '\0');
		word += strlen(word) + 1;
	}
	return VM_OK;
}

static const struct vm_plugin_option options[] = {
	{ "bool", VM_PLUGIN_BOOL, "no", "" },
	{ "uint", VM_PLUGIN_UINT, "0", "" },
	{ "size", VM_PLUGIN_SIZE, "1KiB", "" },
	{ "allow", VM_PLUGIN_LIST, "", "" },
	{ "text", VM_PLUGIN_TEXT, "", "" },
};

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasmedge_process", /* what --allow-command sets */
	.version = "0",
	.summary = "",
	.options = options,
	.option_count = sizeof options / sizeof *options,
	.open = plugin_open,
};

static void
load(const struct plugin_options *given)
{
	const struct vm_plugin *const linked[] = { &plugin };
	const struct vm_plugins_config config = {
		.path = "",
		.linked = linked,
		.linked_count = 1,
		.forbidden = given->forbidden,
		.forbidden_count = given->forbidden_count,
		.settings = given->settings,
		.setting_count = given->setting_count,
	};
	struct vm_plugins *plugins;
	struct vm_error err;

	if (vm_plugins_load(&config, &plugins, &err) == VM_OK)
		vm_plugins_free(plugins);
	else
		check(err.message[0] != '\0');
}

/* --- the command line ----------------------------------------------------------------------- */

static void
check_settings(const struct plugin_options *given)
{
	for (size_t i = 0; i < given->setting_count; i++) {
		const struct vm_plugins_setting *setting = &given->settings[i];

		check(setting->plugin[0] != '\0' && strpbrk(setting->plugin, ".= ") == NULL);
		check(setting->option[0] != '\0' && strpbrk(setting->option, ".= ") == NULL);
		check(setting->value != NULL && setting->origin != NULL);
	}
}

static void
read_words(int argc, char **argv)
{
	char *normal[WORDS_MAX + 3];
	char message[OPTIONS_MESSAGE_MAX] = "";
	struct run_options run;
	struct cli_args args;
	const char *path = NULL;

	(void)options_question(&wasmedge_program, argc, argv, &path);
	int count = options_normalise(&wasmedge_program, argc, argv, normal);
	if (!cli_parse(&wasmedge_program, count, normal, &args, message)) {
		check(message[0] != '\0');
		return;
	}
	if (args.verb == &wasmedge_program.verbs[0] && !args.help) {
		if (run_options_read(&args, &run, message)) {
			check_settings(&run.plugins);
			load(&run.plugins);
			run_options_clear(&run);
		} else {
			check(message[0] != '\0');
		}
	}
	cli_args_clear(&args);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "wasmedge";
	char *argv[WORDS_MAX + 1] = { name };
	char *text = malloc(size + 1);
	int argc = 1;

	check(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	for (char *word = text; word != NULL && argc < WORDS_MAX;) {
		char *end = strchr(word, '\n');
		argv[argc++] = word;
		if (end != NULL)
			*end++ = '\0';
		word = end;
	}
	read_words(argc, argv);
	free(text);
	return 0;
}
