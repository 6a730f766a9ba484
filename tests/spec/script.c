#include "tests/spec/script.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/spec/host.h"
#include "tests/spec/value.h"

enum outcome {
	PASSED,
	FAILED,
	SKIPPED_UNSUPPORTED, /* a module that no tier here runs */
	SKIPPED_THREADS,
	NOT_COUNTED,
};

/* A module of the script, and how far it got: outcome tells what commands about it come to. */
struct slot {
	enum outcome outcome;
	struct vm_module *module;
	struct vm_instance *instance;
};

/* A name with what it stands for; the string is borrowed from the document. */
struct binding {
	struct vm_str name;
	struct slot slot;
};

struct bindings {
	struct binding *items;
	size_t count;
};

struct script {
	const char *path;
	const struct script_options *options;
	struct tally *tally;
	struct vm_engine *engine;
	struct vm_store *store;
	struct vm_linker *linker;
	struct host host;
	struct bindings names;      /* of instances and definitions */
	struct bindings registered; /* module names for imports */
	struct slot current;
	struct slot definition;     /* the last one */
	struct vm_module **modules; /* held until the script ends */
	size_t module_count;
	struct vm_error err;
	char message[2 * VM_ERROR_MESSAGE_MAX]; /* why the current command failed */
};

static void *
allocate(void *old, size_t count, size_t size_bytes)
{
	void *p = reallocarray(old, count > 0 ? count : 1, size_bytes);

	if (p == NULL) {
		fputs("out of memory\n", stderr);
		exit(EXIT_FAILURE);
	}
	return p;
}

#define fail(script, ...)                                                                          \
	(snprintf((script)->message, sizeof (script)->message, __VA_ARGS__), FAILED)

static enum outcome
fail_with(struct script *s, const char *what)
{
	return fail(s, "%s: %s (%s)", what, s->err.message, vm_status_name(s->err.status));
}

static struct vm_str
json_str(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return (struct vm_str){ json_string_value(value), json_string_length(value) };
}

/* --- names ----------------------------------------------------------------------------------- */

static struct binding *
find(const struct bindings *bindings, struct vm_str name)
{
	for (size_t i = 0; i < bindings->count; i++) {
		struct binding *binding = &bindings->items[i];

		if (binding->name.len == name.len &&
		    memcmp(binding->name.data, name.data, name.len) == 0)
			return binding;
	}
	return NULL;
}

static void
bind(struct bindings *bindings, struct vm_str name, const struct slot *slot)
{
	struct binding *binding = find(bindings, name);

	if (binding == NULL) {
		bindings->items = allocate(bindings->items, bindings->count + 1,
		                           sizeof *bindings->items);
		binding = &bindings->items[bindings->count++];
	}
	*binding = (struct binding){ name, *slot };
}

/* The slot that an object names by a key, or the one that is meant without a name. */
static const struct slot *
slot_of(const struct script *s, const json_t *object, const char *key, const struct slot *fallback)
{
	const struct vm_str name = json_str(object, key);

	if (name.data == NULL)
		return fallback;
	const struct binding *binding = find(&s->names, name);
	return binding != NULL ? &binding->slot : NULL;
}

/* --- modules --------------------------------------------------------------------------------- */

static uint8_t *
read_file(const char *path, size_t *out_len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	size_t len = 0, capacity = 0;

	if (file == NULL)
		return NULL;
	do {
		if (len == capacity) {
			capacity = capacity > 0 ? capacity * 2 : 4096;
			bytes = allocate(bytes, capacity, 1);
		}
		len += fread(bytes + len, 1, capacity - len, file);
	} while (len == capacity);
	fclose(file);
	*out_len = len;
	return bytes;
}

static bool
is_text(const json_t *command)
{
	const char *type = json_string_value(json_object_get(command, "module_type"));
	const char *name = json_string_value(json_object_get(command, "filename"));
	const size_t len = name != NULL ? strlen(name) : 0;

	return (type != NULL && strcmp(type, "text") == 0) ||
	       (len > 4 && strcmp(name + len - 4, ".wat") == 0);
}

static enum vm_status
load_text(struct script *s, const uint8_t *text, size_t len, struct vm_module **out)
{
	uint8_t *bytes = NULL;
	size_t bytes_len;

	enum vm_status st = vm_text_parse(s->engine, (const char *)text, len, 0, &bytes, &bytes_len,
	                                  &s->err);
	if (st == VM_OK)
		st = vm_module_load(s->engine, bytes, bytes_len, out, &s->err);
	vm_text_free(s->engine, bytes);
	return st;
}

/* Load the file that the command names, which lies beside the script. s->err says why not. */
static enum vm_status
load(struct script *s, const json_t *command, struct vm_module **out)
{
	const char *name = json_string_value(json_object_get(command, "filename"));
	const char *slash = strrchr(s->path, '/');
	const int folder_len = slash != NULL ? (int)(slash - s->path + 1) : 0;
	char path[4096];
	size_t len = 0;

	snprintf(path, sizeof path, "%.*s%s", folder_len, s->path, name != NULL ? name : "");
	uint8_t *bytes = read_file(path, &len);
	if (bytes == NULL)
		return vm_error_set(&s->err, VM_E_IO, VM_NO_OFFSET, "cannot read %s: %s", path,
		                    strerror(errno));
	/* From a block of exactly its size, so that a sanitizer sees reads beyond it. */
	bytes = allocate(bytes, len, 1);
	enum vm_status st = is_text(command) ? load_text(s, bytes, len, out)
	                                     : vm_module_load(s->engine, bytes, len, out, &s->err);
	free(bytes);
	if (st != VM_OK)
		return st;
	s->modules = allocate(s->modules, s->module_count + 1, sizeof(struct vm_module *));
	s->modules[s->module_count++] = *out;
	return VM_OK;
}

/* PASSED, or why a module cannot be linked here: it imports from one that was skipped. */
static enum outcome
check_imports(const struct script *s, const struct vm_module *module)
{
	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		struct vm_import import;

		vm_module_import(module, i, &import);
		const struct binding *binding = find(&s->registered, import.module);
		if (binding != NULL && binding->slot.outcome != PASSED)
			return binding->slot.outcome;
	}
	return PASSED;
}

/* Fill a slot from a module that has been loaded. */
static enum outcome
instantiate(struct script *s, struct slot *slot)
{
	slot->outcome = check_imports(s, slot->module);
	if (slot->outcome != PASSED)
		return slot->outcome;
	enum vm_status st = tier_prepare(&s->options->tier, slot->module, &s->err);
	if (st == VM_OK)
		st = vm_linker_instantiate(s->linker, s->store, slot->module, &slot->instance,
		                           &s->err);
	if (st == VM_E_UNSUPPORTED)
		slot->outcome = SKIPPED_UNSUPPORTED;
	else if (st != VM_OK)
		slot->outcome = fail_with(s, "cannot be instantiated");
	return slot->outcome;
}

static void
bind_current(struct script *s, const json_t *command, const struct slot *slot)
{
	const struct vm_str name = json_str(command, "name");

	s->current = *slot;
	if (name.data != NULL)
		bind(&s->names, name, slot);
}

static enum outcome
run_module(struct script *s, const json_t *command)
{
	struct slot slot = { .outcome = PASSED };

	if (load(s, command, &slot.module) != VM_OK)
		slot.outcome = fail_with(s, "does not load");
	else if (!s->options->validate_only)
		(void)instantiate(s, &slot);
	bind_current(s, command, &slot);
	return slot.outcome;
}

static enum outcome
run_definition(struct script *s, const json_t *command)
{
	const struct vm_str name = json_str(command, "name");
	struct slot slot = { .outcome = PASSED };

	if (load(s, command, &slot.module) != VM_OK)
		slot.outcome = fail_with(s, "does not load");
	s->definition = slot;
	if (name.data != NULL)
		bind(&s->names, name, &slot);
	return slot.outcome;
}

static enum outcome
run_instance(struct script *s, const json_t *command)
{
	const struct slot *definition = slot_of(s, command, "definition", &s->definition);

	if (definition == NULL || (definition->module == NULL && definition->outcome == PASSED))
		return fail(s, "no such definition");
	struct slot slot = { .outcome = definition->outcome, .module = definition->module };
	if (slot.outcome == PASSED)
		(void)instantiate(s, &slot);
	bind_current(s, command, &slot);
	return slot.outcome;
}

/*
 * The linker holds what is registered now and nothing from before, so it is made anew.
 */
static enum vm_status
relink(struct script *s)
{
	struct vm_linker *linker;
	enum vm_status st = vm_linker_new(s->engine, &linker, &s->err);

	if (st != VM_OK)
		return st;
	st = host_define(linker, &s->host, &s->err);
	for (size_t i = 0; i < s->registered.count && st == VM_OK; i++) {
		const struct binding *binding = &s->registered.items[i];

		if (binding->slot.instance != NULL)
			st = vm_linker_define_instance(linker, binding->name,
			                               binding->slot.instance, &s->err);
	}
	if (st != VM_OK) {
		vm_linker_free(linker);
		return st;
	}
	vm_linker_free(s->linker);
	s->linker = linker;
	return VM_OK;
}

static enum outcome
run_register(struct script *s, const json_t *command)
{
	const struct slot *slot = slot_of(s, command, "name", &s->current);

	if (slot == NULL)
		return fail(s, "no such module");
	bind(&s->registered, json_str(command, "as"), slot);
	if (slot->outcome != PASSED)
		return slot->outcome == FAILED ? fail(s, "the module failed") : slot->outcome;
	return relink(s) == VM_OK ? PASSED : fail_with(s, "cannot be registered");
}

/* --- actions --------------------------------------------------------------------------------- */

struct action_result {
	enum vm_status status; /* details in s->err */
	struct vm_value *values;
	size_t count;
};

static enum outcome
get_global(struct script *s, struct vm_global *global, struct action_result *out)
{
	(void)s;
	out->values = allocate(NULL, 1, sizeof *out->values);
	out->count = 1;
	out->status = VM_OK;
	vm_global_get(global, out->values);
	return PASSED;
}

static enum outcome
invoke(struct script *s, struct vm_func *func, const json_t *args, struct action_result *out)
{
	const struct vm_functype type = vm_func_type(func);
	const size_t count = json_array_size(args);
	struct vm_value *values = allocate(NULL, count, sizeof *values);

	for (size_t i = 0; i < count; i++) {
		const vm_valtype param = i < type.param_count ? type.params[i] : 0;

		if (!value_from_json(json_array_get(args, i), param, &values[i], s->message,
		                     sizeof s->message)) {
			free(values);
			return FAILED;
		}
	}
	out->count = type.result_count;
	out->values = allocate(NULL, out->count, sizeof *out->values);
	memset(out->values, 0, out->count * sizeof *out->values);
	out->status = vm_func_call(func, values, count, out->values, out->count, &s->err);
	free(values);
	return PASSED;
}

/* Do the action of a command. PASSED means that it was done, whatever came of it. */
static enum outcome
act(struct script *s, const json_t *command, struct action_result *out)
{
	const json_t *action = json_object_get(command, "action");
	const char *type = json_string_value(json_object_get(action, "type"));
	const struct slot *slot = slot_of(s, action, "module", &s->current);
	struct vm_extern ext;

	*out = (struct action_result){ .status = VM_OK };
	if (slot == NULL || (slot->outcome == PASSED && slot->instance == NULL))
		return fail(s, "no such module");
	if (slot->outcome == FAILED)
		return fail(s, "the module failed");
	if (slot->outcome != PASSED)
		return slot->outcome;
	if (vm_instance_export(slot->instance, json_str(action, "field"), &ext, &s->err) != VM_OK)
		return fail_with(s, "no such export");
	if (type != NULL && strcmp(type, "invoke") == 0 && ext.kind == VM_EXTERN_FUNC)
		return invoke(s, ext.of.func, json_object_get(action, "args"), out);
	if (type != NULL && strcmp(type, "get") == 0 && ext.kind == VM_EXTERN_GLOBAL)
		return get_global(s, ext.of.global, out);
	return fail(s, "cannot %s a %s", type != NULL ? type : "(nothing)",
	            vm_extern_kind_text(ext.kind));
}

/* Do the action, and fail unless it ends in the given way. */
static enum outcome
act_expecting(struct script *s, const json_t *command, enum vm_status status,
              struct action_result *out)
{
	enum outcome outcome = act(s, command, out);

	if (outcome != PASSED || out->status == status)
		return outcome;
	if (out->status == VM_OK)
		return fail(s, "expected %s (%s), but it returned", vm_status_text(status),
		            json_string_value(json_object_get(command, "text")));
	return fail_with(s, "unexpected end");
}

static enum outcome
check_results(struct script *s, const struct action_result *result, const json_t *expected)
{
	char text[VALUE_TEXT_MAX];

	if (result->count != json_array_size(expected))
		return fail(s, "expected %zu results, got %zu", json_array_size(expected),
		            result->count);
	for (size_t i = 0; i < result->count; i++) {
		const json_t *want = json_array_get(expected, i);

		if (value_matches(&result->values[i], want))
			continue;
		char *dump = json_dumps(want, JSON_COMPACT | JSON_ENCODE_ANY);
		enum outcome outcome = fail(s, "result %zu: expected %s, got %s", i, dump,
		                            value_text(&result->values[i], text, sizeof text));
		free(dump);
		return outcome;
	}
	return PASSED;
}

static enum outcome
check_either(struct script *s, const struct action_result *result, const json_t *either)
{
	char text[VALUE_TEXT_MAX];

	if (result->count != 1)
		return fail(s, "expected one result, got %zu", result->count);
	for (size_t i = 0; i < json_array_size(either); i++) {
		if (value_matches(&result->values[0], json_array_get(either, i)))
			return PASSED;
	}
	return fail(s, "no alternative fits %s", value_text(&result->values[0], text, sizeof text));
}

static enum outcome
run_action(struct script *s, const json_t *command)
{
	struct action_result result;
	enum outcome outcome = act_expecting(s, command, VM_OK, &result);

	free(result.values);
	return outcome;
}

static enum outcome
assert_return(struct script *s, const json_t *command)
{
	const json_t *either = json_object_get(command, "either");
	struct action_result result;
	enum outcome outcome = act_expecting(s, command, VM_OK, &result);

	if (outcome == PASSED)
		outcome = either != NULL
		    ? check_either(s, &result, either)
		    : check_results(s, &result, json_object_get(command, "expected"));
	free(result.values);
	return outcome;
}

static enum outcome
assert_trap(struct script *s, const json_t *command)
{
	struct action_result result;
	enum outcome outcome = act_expecting(s, command, VM_TRAP, &result);

	free(result.values);
	return outcome;
}

static enum outcome
assert_exhaustion(struct script *s, const json_t *command)
{
	struct action_result result;
	enum outcome outcome = act_expecting(s, command, VM_TRAP, &result);

	free(result.values);
	if (outcome == PASSED && s->err.trap != VM_TRAP_STACK_OVERFLOW)
		outcome = fail_with(s, "expected exhaustion of the stack");
	return outcome;
}

static enum outcome
assert_exception(struct script *s, const json_t *command)
{
	struct action_result result;
	enum outcome outcome = act_expecting(s, command, VM_EXCEPTION, &result);

	free(result.values);
	return outcome;
}

/* --- refusals -------------------------------------------------------------------------------- */

static enum outcome
assert_refused(struct script *s, const json_t *command, bool malformed)
{
	struct vm_module *module;

	enum vm_status st = load(s, command, &module);
	if (st == VM_OK)
		return fail(s, "accepted, expected: %s",
		            json_string_value(json_object_get(command, "text")));
	if (st == VM_E_IO || st == VM_E_NOMEM)
		return fail_with(s, "does not load");
	if (malformed && st == VM_E_INVALID)
		s->tally->late++;
	if (!malformed && st != VM_E_INVALID)
		s->tally->early++;
	return PASSED;
}

static enum outcome
assert_invalid(struct script *s, const json_t *command)
{
	return assert_refused(s, command, false);
}

static enum outcome
assert_malformed(struct script *s, const json_t *command)
{
	return assert_refused(s, command, true);
}

/* A module that loads but cannot become an instance; traps tells in which way. */
static enum outcome
assert_no_instance(struct script *s, const json_t *command, bool traps)
{
	struct slot slot = { .outcome = PASSED };

	if (load(s, command, &slot.module) != VM_OK)
		return fail_with(s, "does not load");
	if (s->options->validate_only)
		return PASSED;
	if (instantiate(s, &slot) == PASSED)
		return fail(s, "instantiated, expected: %s",
		            json_string_value(json_object_get(command, "text")));
	if (slot.outcome != FAILED)
		return slot.outcome;
	if (traps ? s->err.status == VM_TRAP || s->err.status == VM_EXCEPTION
	          : s->err.status == VM_E_LINK)
		return PASSED;
	return fail_with(s, traps ? "expected a trap" : "expected a link error");
}

static enum outcome
assert_unlinkable(struct script *s, const json_t *command)
{
	return assert_no_instance(s, command, false);
}

static enum outcome
assert_uninstantiable(struct script *s, const json_t *command)
{
	return assert_no_instance(s, command, true);
}

/* --- the script ------------------------------------------------------------------------------ */

static enum outcome
skip_threads(struct script *s, const json_t *command)
{
	(void)s;
	(void)command;
	return SKIPPED_THREADS;
}

static const struct command_kind {
	const char *type;
	enum outcome (*run)(struct script *s, const json_t *command);
	bool validates; /* means something without running anything */
} command_kinds[] = {
	{ "module", run_module, true },
	{ "module_definition", run_definition, true },
	{ "module_instance", run_instance, false },
	{ "register", run_register, false },
	{ "action", run_action, false },
	{ "assert_return", assert_return, false },
	{ "assert_trap", assert_trap, false },
	{ "assert_exhaustion", assert_exhaustion, false },
	{ "assert_exception", assert_exception, false },
	{ "assert_invalid", assert_invalid, true },
	{ "assert_malformed", assert_malformed, true },
	{ "assert_unlinkable", assert_unlinkable, true },
	{ "assert_uninstantiable", assert_uninstantiable, true },
	{ "thread", skip_threads, false },
	{ "wait", skip_threads, false },
};

static enum outcome
run_command(struct script *s, const json_t *command)
{
	const char *type = json_string_value(json_object_get(command, "type"));

	for (size_t i = 0; i < sizeof command_kinds / sizeof command_kinds[0]; i++) {
		const struct command_kind *kind = &command_kinds[i];

		if (type == NULL || strcmp(kind->type, type) != 0)
			continue;
		if (s->options->validate_only && !kind->validates)
			return NOT_COUNTED;
		return kind->run(s, command);
	}
	return fail(s, "unknown command");
}

static void
count_outcome(struct script *s, const json_t *command, enum outcome outcome)
{
	const char *type = json_string_value(json_object_get(command, "type"));
	struct tally *tally = s->tally;

	if (outcome == PASSED)
		tally->passed++;
	else if (outcome == FAILED)
		tally->failed++;
	else if (outcome != NOT_COUNTED)
		tally->skipped++;
	tally->unsupported += outcome == SKIPPED_UNSUPPORTED;
	tally->no_threads += outcome == SKIPPED_THREADS;
	if (s->options->verbose && outcome == FAILED)
		printf("FAIL %s:%u %s: %s\n", s->path, (unsigned)tally->line,
		       type != NULL ? type : "?", s->message);
	if (s->options->verbose && outcome == SKIPPED_UNSUPPORTED)
		printf("SKIP %s:%u %s: %s\n", s->path, (unsigned)tally->line,
		       type != NULL ? type : "?",
		       s->err.status == VM_E_UNSUPPORTED ? s->err.message : "needs such a module");
}

static uint32_t
count_commands(const json_t *commands)
{
	uint32_t count = 0;

	for (size_t i = 0; i < json_array_size(commands); i++)
		count += 1 + count_commands(json_object_get(json_array_get(commands, i),
		                                            "commands"));
	return count;
}

static void
run_commands(struct script *s, const json_t *commands)
{
	for (size_t i = 0; i < json_array_size(commands); i++) {
		const json_t *command = json_array_get(commands, i);

		s->tally->line =
		    (uint32_t)json_integer_value(json_object_get(command, "line"));
		s->message[0] = '\0';
		count_outcome(s, command, run_command(s, command));
		/* What a thread would have done. */
		for (uint32_t n = count_commands(json_object_get(command, "commands")); n > 0; n--)
			count_outcome(s, command, s->options->validate_only ? NOT_COUNTED
			                                                    : SKIPPED_THREADS);
	}
}

static enum vm_status
open_store(struct script *s)
{
	struct vm_engine_config config;

	vm_engine_config_init(&config);
	config.features = s->options->features;
	enum vm_status st = vm_engine_new(&config, &s->engine, &s->err);
	if (st == VM_OK)
		st = tier_store_new(&s->options->tier, s->engine, &s->store, &s->err);
	if (st == VM_OK && !s->options->validate_only)
		st = host_make(s->store, s->options->features, &s->host, &s->err);
	if (st == VM_OK && !s->options->validate_only)
		st = relink(s);
	return st;
}

static void
close_store(struct script *s)
{
	vm_linker_free(s->linker);
	vm_store_free(s->store);
	for (size_t i = 0; i < s->module_count; i++)
		vm_module_unref(s->modules[i]);
	vm_engine_unref(s->engine);
	free(s->modules);
	free(s->names.items);
	free(s->registered.items);
}

bool
script_run(const char *path, const struct script_options *options, struct tally *tally,
           char *message, size_t size)
{
	struct script s = { .path = path, .options = options, .tally = tally };
	json_error_t error;
	json_t *document = json_load_file(path, JSON_ALLOW_NUL, &error);
	const json_t *commands = json_object_get(document, "commands");

	s.current.outcome = FAILED; /* no module has come yet */
	if (!json_is_array(commands)) {
		snprintf(message, size, "%s",
		         document == NULL ? error.text : "no array of commands in it");
		json_decref(document);
		return false;
	}
	tally->total = count_commands(commands);
	bool ok = open_store(&s) == VM_OK;
	if (ok)
		run_commands(&s, commands);
	else
		snprintf(message, size, "cannot make a store: %s", s.err.message);
	close_store(&s);
	json_decref(document);
	return ok;
}
