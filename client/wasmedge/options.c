#include "client/wasmedge/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/wasmedge/report.h"

/* --- the table ------------------------------------------------------------------------------ */

#define HELP_disable "refuse modules with "
#define HELP_enable "allow modules with "

#define SWITCH(verb, name, feature, text)                                                          \
	{ #verb "-" name, 0, NULL, "", CLI_REPEAT, HELP_##verb text },

#define FLAG(name, help) { name, 0, NULL, "", CLI_REPEAT, help },

/* clang-format off */
#define FEATURE_OPTIONS \
	FLAG("wasm-1", "allow what WebAssembly 1.0 has") \
	FLAG("wasm-2", "allow what WebAssembly 2.0 has") \
	FLAG("wasm-3", "allow what WebAssembly 3.0 has (the default)") \
	FLAG("enable-all", "allow every feature that there is a switch for")

#define PLUGIN_OPTIONS \
	{ "plugin-path", 0, "DIRS", "@folder", CLI_REPEAT, \
	  "look for plug-ins in these folders, separated by colons, rather than in those of " \
	  "WASMEDGE_PLUGIN_PATH or the installed one" }, \
	{ "plugin-option", 0, "NAME.OPTION=VALUE", "", CLI_REPEAT, \
	  "set an option of the plug-in NAME; of an option that is a list, add to it" }, \
	{ "forbidden-plugin", 0, "NAME", "", CLI_REPEAT, "do not load the plug-in NAME" },

const struct cli_option run_option_rows[] = {
	{ "reactor", 0, NULL, "", 0,
	  "call the exported function that is named first behind FILE, with the words behind as "
	  "its arguments, rather than _start" },
	{ "dir", 0, "[GUEST:]HOST[:readonly]", "@folder", CLI_REPEAT,
	  "let the guest use the folder HOST, under the name GUEST, or under its own" },
	{ "env", 0, "NAME=VALUE", "", CLI_REPEAT,
	  "set a variable in the guest's environment, which is empty otherwise" },
	{ "module", 0, "NAME:FILE", "@file", CLI_REPEAT,
	  "instantiate another module first and let imports from NAME find its exports" },
	PLUGIN_OPTIONS
	{ "allow-command", 0, "NAME", "", CLI_REPEAT,
	  "let guests run the command NAME of this machine, by the plug-in wasmedge_process" },
	FLAG("allow-command-all", "let guests run any command of this machine")
	{ "time-limit", 0, "MS", "", CLI_REPEAT,
	  "stop the guest after so many milliseconds; 0 for no limit (the default)" },
	{ "gas-limit", 0, "N", "", CLI_REPEAT,
	  "stop the guest when its instructions, and what host functions charge, cost more than "
	  "N" },
	{ "memory-page-limit", 0, "N", "", CLI_REPEAT,
	  "let each memory have N pages of 64 KiB at most" },
	{ "tier", 0, "best|interp|native", "best interp native", CLI_REPEAT,
	  "how to run it: as the native code that compile put into the file, if it fits here, else "
	  "interpreted (best, the default); interpreted; or as native code, compiled now if need "
	  "be" },
	FLAG("verbose", "say on standard error as what a file runs, and why")
	FLAG("force-interpreter", "the same as --tier interp")
	FLAG("enable-instruction-count", "say afterwards how many instructions were executed")
	FLAG("enable-gas-measuring", "say afterwards what the run cost")
	FLAG("enable-time-measuring", "say afterwards how long it took")
	FLAG("enable-all-statistics", "all of these three")
	FEATURE_OPTIONS
#include "client/wasmedge/switches.def"
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static const struct cli_option compile_option_rows[] = {
	{ "level", 0, "fast|best", "fast best", CLI_REPEAT,
	  "how much to optimise: little, or for speed (the default)" },
	{ "optimize", 0, "0|1|2|3|s|z", "0 1 2 3 s z", CLI_REPEAT,
	  "the same in other words: 0 and 1 are fast, the others best" },
	FLAG("metered",
	     "add code that counts instructions, for --gas-limit and the statistics of run")
	FLAG("enable-instruction-count", "the same as --metered")
	FLAG("enable-gas-measuring", "the same as --metered")
	FLAG("enable-time-measuring", "nothing to do: time can always be measured")
	FLAG("enable-all-statistics", "the same as --metered")
	FLAG("canonical-nans", "make every NaN that arithmetic gives the canonical one")
	FLAG("relaxed-traps", "let memory accesses whose value is not used vanish or move")
	{ "cpu", 0, "NAME", "host baseline x86-64-v2 x86-64-v3 x86-64-v4", CLI_REPEAT,
	  "processor to compile for: host (the default), baseline, x86-64-v2, x86-64-v3, "
	  "x86-64-v4" },
	FLAG("generic-binary", "the same as --cpu baseline")
	FLAG("interruptible", "nothing to do: native code can always be stopped")
	{ "jobs", 0, "N", "", CLI_REPEAT,
	  "threads that compile; 0 for one a processor (the default)" },
	FEATURE_OPTIONS
#include "client/wasmedge/switches.def"
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static const struct cli_option load_option_rows[] = {
	FEATURE_OPTIONS
#include "client/wasmedge/switches.def"
	{ NULL, 0, NULL, NULL, 0, NULL },
};

const struct cli_option plugins_option_rows[] = {
	FLAG("json", "as JSON")
	PLUGIN_OPTIONS
	{ NULL, 0, NULL, NULL, 0, NULL },
};
/* clang-format on */
#undef SWITCH

const struct cli_option no_option_rows[] = {
	{ NULL, 0, NULL, NULL, 0, NULL },
};

const struct cli_option program_option_rows[] = {
	{ "version", 'v', NULL, "", 0, "print the version, and those of plug-ins" },
	{ NULL, 0, NULL, NULL, 0, NULL },
};

static const struct cli_verb verbs[] = {
	RUNNER_VERBS,
	{ "compile", "IN OUT", "@file|@file", 2, 2, 0,
	  "Write a module with its native code to a file that stays a module", compile_option_rows,
	  verb_compile },
	{ "validate", "FILE...", "@file", 1, SIZE_MAX, 0,
	  "Check that files are valid WebAssembly modules", load_option_rows, verb_validate },
	{ "wat2wasm", "IN [OUT]", "@file|@file", 1, 2, 0,
	  "Turn a module in the text format into a binary, IN.wasm without OUT", load_option_rows,
	  verb_wat2wasm },
	{ "parse", "FILE", "@file", 1, 1, 0, "List the sections, imports and exports of a module",
	  load_option_rows, verb_parse },
};

const struct cli_program wasmedge_program = {
	.name = "wasmedge",
	.summary = "Run, check and list WebAssembly modules.",
	.options = program_option_rows,
	.verbs = verbs,
	.verb_count = sizeof verbs / sizeof verbs[0],
};

int
verb_completion(void *context, const struct cli_args *args)
{
	(void)context;
	if (cli_write_completion(stdout, args->program, args->words[0]))
		return EXIT_DONE;
	report_usage("completion: expected one of " CLI_SHELLS);
	return EXIT_REFUSED;
}

/* --- the words ------------------------------------------------------------------------------ */

static bool
is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0' && strcmp(word, "--") != 0;
}

/* Is the word an option of the verb whose value is the next word? */
static bool
takes_next_word(const struct cli_verb *verb, const char *word)
{
	for (const struct cli_option *o = verb->options; o->name != NULL; o++)
		if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0)
			return o->value != NULL;
	return false;
}

int
options_normalise(const struct cli_program *program, int argc, char *const *argv, char **out_argv)
{
	const struct cli_verb *const run_verb = &program->verbs[0];
	static char end_word[] = "--";
	int from = 0, to = 0;
	const struct cli_verb *verb =
	    argc > 1 && argv[1][0] != '\0' ? cli_find_verb(program, argv[1]) : NULL;

	if (argc > 0)
		out_argv[to++] = argv[from++];
	if (verb == NULL)
		out_argv[to++] = (char *)(uintptr_t)run_verb->name;
	else
		out_argv[to++] = argv[from++];
	if (verb == NULL || verb == run_verb) {
		while (from < argc && is_option(argv[from])) {
			bool two = takes_next_word(run_verb, argv[from]);

			out_argv[to++] = argv[from++];
			if (two && from < argc)
				out_argv[to++] = argv[from++];
		}
		if (from < argc && strcmp(argv[from], "--") == 0)
			from++;
		if (from < argc)
			out_argv[to++] = end_word;
	}
	while (from < argc)
		out_argv[to++] = argv[from++];
	out_argv[to] = NULL;
	return to;
}

enum options_answer
options_question(const struct cli_program *program, int argc, char *const *argv,
                 const char **out_plugin_path)
{
	static const char path_option[] = "--plugin-path";
	const size_t len = sizeof path_option - 1;

	for (int i = 1; i < argc && is_option(argv[i]); i++) {
		const char *word = argv[i];

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
			return OPTIONS_HELP;
		if (strcmp(word, "--version") == 0 || strcmp(word, "-v") == 0)
			return OPTIONS_VERSION;
		if (strncmp(word, path_option, len) == 0 && word[len] == '=')
			*out_plugin_path = word + len + 1;
		if (!takes_next_word(&program->verbs[0], word))
			continue;
		i++;
		if (strcmp(word, path_option) == 0 && i < argc)
			*out_plugin_path = argv[i];
	}
	return OPTIONS_NONE;
}

/* --- features ------------------------------------------------------------------------------- */

static const struct feature_switch {
	const char *option;
	bool enable;
	vm_features bits;
} feature_switches[] = {
#define IS_disable false
#define IS_enable true
#define SWITCH(verb, name, feature, text) { #verb "-" name, IS_##verb, VM_FEATURE_BIT(feature) },
#include "client/wasmedge/switches.def"
#undef SWITCH
};

static vm_features
features_of_base(const struct cli_args *args)
{
	vm_features features = vm_features_of_version(30);

	for (size_t i = 0; i < args->given_count; i++) {
		const char *name = args->given[i].option->name;

		if (strcmp(name, "wasm-1") == 0)
			features = vm_features_of_version(10);
		else if (strcmp(name, "wasm-2") == 0)
			features = vm_features_of_version(20);
		else if (strcmp(name, "wasm-3") == 0)
			features = vm_features_of_version(30);
	}
	return features;
}

/* The switch's features added or taken away, as every switch of its name asks. */
static vm_features
features_switched(vm_features features, const char *name)
{
	for (size_t i = 0; i < sizeof feature_switches / sizeof feature_switches[0]; i++) {
		const struct feature_switch *s = &feature_switches[i];

		if (strcmp(name, "enable-all") == 0)
			features |= s->bits;
		else if (strcmp(name, s->option) == 0)
			features = s->enable ? features | s->bits : features & ~s->bits;
	}
	return features;
}

/* The version counts first, wherever it stands; then the switches, in order. */
vm_features
options_features(const struct cli_args *args)
{
	vm_features features = features_of_base(args);

	for (size_t i = 0; i < args->given_count; i++)
		features = features_switched(features, args->given[i].option->name);
	return features;
}

/* --- values --------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static bool
refuse(char *message, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, OPTIONS_MESSAGE_MAX, format, ap);
	va_end(ap);
	return false;
}

/* The last value of an option that may be repeated, or NULL. */
static const char *
last_value(const struct cli_args *args, const char *name)
{
	const char *value, *last = NULL;
	size_t position = 0;

	while ((value = cli_next(args, name, &position)) != NULL)
		last = value;
	return last;
}

/* Leaves *out alone when the option is not there. */
static bool
read_number(const struct cli_args *args, const char *name, uint64_t max, uint64_t *out,
            char *message)
{
	const char *text = last_value(args, name);

	if (text == NULL)
		return true;
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0')
		return refuse(message, "--%s: expected a decimal number, got \"%s\"", name, text);
	if (errno == ERANGE || value > max)
		return refuse(message, "--%s: %s is too large, at most %llu", name, text,
		              (unsigned long long)max);
	*out = value;
	return true;
}

static struct vm_str
str_of(const char *text, size_t len)
{
	return (struct vm_str){ text, len };
}

/* HOST, GUEST:HOST or GUEST:HOST:readonly; an empty GUEST is the root. */
static bool
read_dir(const char *text, struct run_options *options, char *message)
{
	size_t guest_len = strcspn(text, ":");
	const char *host = text[guest_len] == ':' ? text + guest_len + 1 : text;
	size_t host_len = strcspn(host, ":");
	bool read_only = strcmp(host + host_len, ":readonly") == 0;

	if (host[host_len] != '\0' && !read_only)
		return refuse(message,
		              "--dir: expected HOST, GUEST:HOST or GUEST:HOST:readonly, "
		              "got \"%s\"",
		              text);
	if (host_len == 0)
		return refuse(message, "--dir: \"%s\" names no folder of the host", text);
	char *host_path = strndup(host, host_len);
	if (host_path == NULL)
		return refuse(message, "out of memory");
	options->host_paths[options->preopen_count] = host_path;
	options->preopens[options->preopen_count++] = (struct vm_wasi_preopen){
		.guest_path = guest_len > 0 ? str_of(text, guest_len) : VM_STR("/"),
		.host_path = host_path,
		.read_only = read_only,
	};
	return true;
}

static bool
read_env(const char *text, struct vm_str *out, char *message)
{
	if (text[0] == '=' || strchr(text, '=') == NULL)
		return refuse(message, "--env: expected NAME=VALUE, got \"%s\"", text);
	*out = str_of(text, strlen(text));
	return true;
}

static bool
read_module(const char *text, struct module_option *out, char *message)
{
	size_t name_len = strcspn(text, ":");

	if (text[name_len] == '\0' || text[name_len + 1] == '\0')
		return refuse(message, "--module: expected NAME:FILE, got \"%s\"", text);
	*out = (struct module_option){ str_of(text, name_len), text + name_len + 1 };
	return true;
}

static bool
read_lists(const struct cli_args *args, struct run_options *out, char *message)
{
	for (size_t i = 0; i < args->given_count; i++) {
		const char *name = args->given[i].option->name;
		const char *value = args->given[i].value;

		if (strcmp(name, "dir") == 0) {
			if (!read_dir(value, out, message))
				return false;
		} else if (strcmp(name, "env") == 0) {
			if (!read_env(value, &out->env[out->env_count], message))
				return false;
			out->env_count++;
		} else if (strcmp(name, "module") == 0) {
			if (!read_module(value, &out->modules[out->module_count], message))
				return false;
			out->module_count++;
		}
	}
	return true;
}

/* The number of the list's word that the value is; a value that is none is refused. */
static bool
read_word(const char *option, const char *value, const char *const *words, unsigned *out,
          char *message)
{
	char list[80] = "";

	for (unsigned i = 0; words[i] != NULL; i++) {
		if (strcmp(value, words[i]) == 0) {
			*out = i;
			return true;
		}
		strcat(list, i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ");
		strcat(list, words[i]);
	}
	return refuse(message, "--%s: expected %s, got \"%s\"", option, list, value);
}

/* The last of --tier and --force-interpreter counts. */
static bool
read_tier(const struct cli_args *args, enum vm_tier_policy *out, char *message)
{
	static const char *const words[] = { "best", "interp", "native", NULL };
	static const enum vm_tier_policy tiers[] = { VM_TIER_BEST, VM_TIER_INTERP, VM_TIER_NATIVE };

	*out = VM_TIER_BEST;
	for (size_t i = 0; i < args->given_count; i++) {
		const char *name = args->given[i].option->name;
		unsigned word;

		if (strcmp(name, "force-interpreter") == 0)
			*out = VM_TIER_INTERP;
		if (strcmp(name, "tier") != 0)
			continue;
		if (!read_word(name, args->given[i].value, words, &word, message))
			return false;
		*out = tiers[word];
	}
	return true;
}

static bool
read_limits(const struct cli_args *args, struct run_options *out, char *message)
{
	/* Times beyond that would not fit the clock in nanoseconds. */
	const uint64_t time_max_ms = UINT64_C(1) << 43;

	out->has_gas_limit = cli_has(args, "gas-limit");
	out->memory_page_limit = UINT64_MAX;
	return read_number(args, "gas-limit", UINT64_MAX - 1, &out->gas_limit, message) &&
	       read_number(args, "time-limit", time_max_ms, &out->time_limit_ms, message) &&
	       read_number(args, "memory-page-limit", UINT64_C(1) << 48, &out->memory_page_limit,
	                   message);
}

/* --- plug-ins ------------------------------------------------------------------------------- */

static bool
is_plugin_word(const char *word)
{
	return word[0] != '\0' &&
	       word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* NAME.OPTION=VALUE; the copy is cut into the three. */
static bool
read_setting(const char *text, struct plugin_options *options, char *message)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return refuse(message, "out of memory");
	options->texts[options->text_count++] = copy;
	char *equals = strchr(copy, '=');
	if (equals != NULL)
		*equals = '\0';
	char *dot = strchr(copy, '.');
	if (dot != NULL)
		*dot = '\0';
	if (equals == NULL || dot == NULL || !is_plugin_word(copy) || !is_plugin_word(dot + 1))
		return refuse(message, "--plugin-option: expected NAME.OPTION=VALUE, got \"%s\"",
		              text);
	options->settings[options->setting_count++] = (struct vm_plugins_setting){
		.plugin = copy,
		.option = dot + 1,
		.value = equals + 1,
		.origin = "--plugin-option",
	};
	return true;
}

/* Lists of plug-ins are words: a name with a blank would allow several others. */
static bool
read_allowed(const char *name, struct plugin_options *options, char *message)
{
	if (name[0] == '\0' || name[strcspn(name, " \t\n")] != '\0')
		return refuse(message,
		              "--allow-command: expected a name without blanks, got \"%s\"", name);
	options->settings[options->setting_count++] = (struct vm_plugins_setting){
		.plugin = "wasmedge_process",
		.option = "allow",
		.value = name,
		.origin = "--allow-command",
	};
	return true;
}

static bool
read_plugin_lists(const struct cli_args *args, struct plugin_options *out, char *message)
{
	for (size_t i = 0; i < args->given_count; i++) {
		const char *name = args->given[i].option->name;
		const char *value = args->given[i].value;

		if (strcmp(name, "plugin-path") == 0)
			out->path = value;
		else if (strcmp(name, "forbidden-plugin") == 0)
			out->forbidden[out->forbidden_count++] = value;
		else if (strcmp(name, "allow-command-all") == 0)
			out->settings[out->setting_count++] = (struct vm_plugins_setting){
				.plugin = "wasmedge_process",
				.option = "allow_all",
				.value = "yes",
				.origin = "--allow-command-all",
			};
		else if (strcmp(name, "plugin-option") == 0 && !read_setting(value, out, message))
			return false;
		else if (strcmp(name, "allow-command") == 0 && !read_allowed(value, out, message))
			return false;
	}
	return true;
}

bool
plugin_options_read(const struct cli_args *args, struct plugin_options *out,
                    char message[OPTIONS_MESSAGE_MAX])
{
	size_t count = args->given_count + 1;
	struct plugin_options options = {
		.forbidden = calloc(count, sizeof *options.forbidden),
		.settings = calloc(count, sizeof *options.settings),
		.texts = calloc(count, sizeof *options.texts),
	};
	bool good = options.forbidden != NULL && options.settings != NULL && options.texts != NULL;

	good = good ? read_plugin_lists(args, &options, message)
	            : refuse(message, "out of memory");
	if (good)
		*out = options;
	else
		plugin_options_clear(&options);
	return good;
}

void
plugin_options_clear(struct plugin_options *options)
{
	for (size_t i = 0; i < options->text_count; i++)
		free(options->texts[i]);
	free(options->texts);
	free(options->settings);
	free(options->forbidden);
	*options = (struct plugin_options){ 0 };
}

/* --- run ------------------------------------------------------------------------------------ */

bool
run_options_read(const struct cli_args *args, struct run_options *out,
                 char message[OPTIONS_MESSAGE_MAX])
{
	struct run_options options = { 0 };
	size_t count = args->given_count + 1;
	bool all = cli_has(args, "enable-all-statistics");

	options.reactor = cli_has(args, "reactor");
	options.verbose = cli_has(args, "verbose");
	options.features = options_features(args);
	options.count_instructions = all || cli_has(args, "enable-instruction-count");
	options.measure_gas = all || cli_has(args, "enable-gas-measuring");
	options.measure_time = all || cli_has(args, "enable-time-measuring");
	options.preopens = calloc(count, sizeof *options.preopens);
	options.host_paths = calloc(count, sizeof *options.host_paths);
	options.env = calloc(count, sizeof *options.env);
	options.modules = calloc(count, sizeof *options.modules);
	if (options.preopens == NULL || options.host_paths == NULL || options.env == NULL ||
	    options.modules == NULL) {
		run_options_clear(&options);
		return refuse(message, "out of memory");
	}
	if (!read_tier(args, &options.tier, message) || !read_limits(args, &options, message) ||
	    !read_lists(args, &options, message) ||
	    !plugin_options_read(args, &options.plugins, message)) {
		run_options_clear(&options);
		return false;
	}
	*out = options;
	return true;
}

void
run_options_clear(struct run_options *options)
{
	for (size_t i = 0; i < options->preopen_count; i++)
		free(options->host_paths[i]);
	free(options->preopens);
	free(options->host_paths);
	free(options->env);
	free(options->modules);
	plugin_options_clear(&options->plugins);
	*options = (struct run_options){ 0 };
}

/* --- compile -------------------------------------------------------------------------------- */

/* The last of --level and --optimize counts. */
static bool
read_level(const struct cli_args *args, enum vm_compile_level *out, char *message)
{
	static const char *const words[] = { "fast", "best", NULL };
	static const char *const numbers[] = { "0", "1", "2", "3", "s", "z", NULL };
	unsigned word;

	for (size_t i = 0; i < args->given_count; i++) {
		const char *name = args->given[i].option->name;
		const char *value = args->given[i].value;

		if (strcmp(name, "level") == 0) {
			if (!read_word(name, value, words, &word, message))
				return false;
			*out = word == 0 ? VM_COMPILE_FAST : VM_COMPILE_BEST;
		} else if (strcmp(name, "optimize") == 0) {
			if (!read_word(name, value, numbers, &word, message))
				return false;
			*out = word <= 1 ? VM_COMPILE_FAST : VM_COMPILE_BEST;
		}
	}
	return true;
}

static bool
read_cpu(const struct cli_args *args, struct vm_str *out, char *message)
{
	const char *cpu = last_value(args, "cpu");
	uint64_t features;

	if (cpu == NULL && cli_has(args, "generic-binary"))
		cpu = "baseline";
	if (cpu == NULL)
		return true;
	*out = str_of(cpu, strlen(cpu));
	if (vm_cpu_find(*out, &features))
		return true;
	return refuse(message, "--cpu: expected host, baseline, x86-64-v2, x86-64-v3 or x86-64-v4, "
	                       "got \"%s\"", cpu);
}

bool
compile_options_read(const struct cli_args *args, struct compile_options *out,
                     char message[OPTIONS_MESSAGE_MAX])
{
	struct compile_options options = { .features = options_features(args) };
	uint64_t jobs = 0;

	vm_compile_options_init(&options.compile);
	if (!read_level(args, &options.compile.level, message) ||
	    !read_cpu(args, &options.compile.cpu, message) ||
	    !read_number(args, "jobs", 1024, &jobs, message))
		return false;
	options.compile.jobs = (uint32_t)jobs;
	options.compile.canonical_nans = cli_has(args, "canonical-nans");
	options.compile.relaxed_traps = cli_has(args, "relaxed-traps");
	options.metered = cli_has(args, "metered") || cli_has(args, "enable-instruction-count") ||
	                  cli_has(args, "enable-gas-measuring") ||
	                  cli_has(args, "enable-all-statistics");
	if (options.metered && options.compile.relaxed_traps)
		return refuse(message, "--relaxed-traps: not with --metered code, whose counts it "
		                       "would make wrong");
	*out = options;
	return true;
}
