/*
 * process.c - wasmedge_process: guests run commands of the host.
 *
 * Nothing may be run until the operator allows it, by name or everything. A guest describes its
 * command piece by piece, runs it, and asks what came of it; see request.h and spawn.h.
 */
#include <stdlib.h>
#include <string.h>
#include "plugins/process/spawn.h"

/* What all programs share: the values of the options. */
struct settings {
	const char *allowed; /* words, each ended by NUL */
	uint64_t allowed_count;
	bool allow_all;
	uint64_t output_bytes_max;
};

/* What one program has. */
struct program {
	struct request request;
	struct outcome outcome;
};

static struct program *
program_of(const struct vm_plugin_call *call)
{
	return call->state;
}

/* --- what a command is given ---------------------------------------------------------------- */

static enum vm_status
set_prog_name(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return request_set_name(&program_of(call)->request, call, slots[0].u32, slots[1].u32, err);
}

static enum vm_status
add_arg(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return request_add_arg(&program_of(call)->request, call, slots[0].u32, slots[1].u32, err);
}

/* Would the variable make any command at all run code of whoever sets it? */
static bool
loads_code(const char *variable)
{
	return strncmp(variable, "LD_", 3) == 0 || strncmp(variable, "GCONV_PATH=", 11) == 0;
}

static enum vm_status
add_env(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const struct settings *settings = call->plugin;
	struct request *request = &program_of(call)->request;
	enum vm_status st = request_add_env(request, call, slots, err);

	if (st != VM_OK || settings->allow_all)
		return st;
	const char *added = request->env.word[request->env.count - 1];
	if (loads_code(added))
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "add_env: %.64s: this variable loads code into any command, "
		                      "so it needs the option allow_all of wasmedge_process",
		                      added);
	return VM_OK;
}

static enum vm_status
add_stdin(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return request_add_input(&program_of(call)->request, call, slots[0].u32, slots[1].u32, err);
}

static enum vm_status
set_timeout(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	(void)err;
	program_of(call)->request.timeout_ms = slots[0].u32;
	return VM_OK;
}

/* --- running -------------------------------------------------------------------------------- */

static bool
is_allowed(const struct settings *settings, const char *name)
{
	const char *word = settings->allowed;

	for (uint64_t i = 0; i < settings->allowed_count; i++) {
		if (strcmp(word, name) == 0)
			return true;
		word += strlen(word) + 1;
	}
	return settings->allow_all;
}

/* Programs look for this text, so it names the options of the runner as they have always been. */
static enum vm_status
deny(const struct vm_plugin_call *call, const char *name, struct outcome *out, struct vm_error *err)
{
	static const char *const parts[] = {
		"Permission denied: Command \"", NULL,
		"\" is not in the white list. Please use --allow-command=", NULL,
		" or --allow-command-all to add \"", NULL,
		"\" command into the white list.\n",
	};
	enum vm_status st = VM_OK;

	for (size_t i = 0; i < sizeof parts / sizeof *parts && st == VM_OK; i++) {
		const char *part = parts[i] != NULL ? parts[i] : name;
		st = stream_add(&out->streams[1], call, part, strlen(part), err);
	}
	return st;
}

static enum vm_status
run(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	static char no_name[] = "";
	const struct settings *settings = call->plugin;
	struct program *program = program_of(call);
	const char *name = program->request.name != NULL ? program->request.name : no_name;
	enum vm_status st;

	outcome_reset(&program->outcome, call);
	if (name[0] != '\0' && is_allowed(settings, name))
		st = spawn_run(call, &program->request, settings->output_bytes_max,
		               &program->outcome, err);
	else
		st = deny(call, name, &program->outcome, err);
	request_reset(&program->request, call);
	slots[0].i32 = program->outcome.code;
	return st;
}

/* --- what came of it ------------------------------------------------------------------------ */

static enum vm_status
get_exit_code(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	(void)err;
	slots[0].i32 = program_of(call)->outcome.code;
	return VM_OK;
}

static enum vm_status
get_len(const struct vm_plugin_call *call, int stream, union vm_slot *slots, struct vm_error *err)
{
	const size_t len = program_of(call)->outcome.streams[stream].len;

	if (len > UINT32_MAX)
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "the output has %zu bytes, more than a memory can hold", len);
	slots[0].u32 = (uint32_t)len;
	return VM_OK;
}

static enum vm_status
get_bytes(const struct vm_plugin_call *call, int stream, union vm_slot *slots, struct vm_error *err)
{
	const struct stream *have = &program_of(call)->outcome.streams[stream];
	uint8_t *to = vm_plugin_memory(call, slots[0].u32, have->len);

	if (to == NULL)
		return vm_plugin_trap_memory(call, err, "buffer for the output", slots[0].u32,
		                             have->len);
	if (have->len > 0)
		memcpy(to, have->data, have->len);
	return VM_OK;
}

static enum vm_status
get_stdout_len(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return get_len(call, 0, slots, err);
}

static enum vm_status
get_stdout(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return get_bytes(call, 0, slots, err);
}

static enum vm_status
get_stderr_len(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return get_len(call, 1, slots, err);
}

static enum vm_status
get_stderr(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return get_bytes(call, 1, slots, err);
}

/* --- the plug-in ---------------------------------------------------------------------------- */

enum { ALLOW, ALLOW_ALL, OUTPUT_BYTES_MAX, OPTION_COUNT };

static const struct vm_plugin_option options[] = {
	[ALLOW] = { "allow", VM_PLUGIN_LIST, "",
	            "commands that guests may run, each by the name they give: as it is looked up "
	            "in PATH, or a path" },
	[ALLOW_ALL] = { "allow_all", VM_PLUGIN_BOOL, "no",
	                "guests may run any command with the rights of this process" },
	[OUTPUT_BYTES_MAX] = { "output_bytes_max", VM_PLUGIN_SIZE, "64MiB",
	                       "how much one command may write; a guest whose command writes more "
	                       "is stopped" },
};

static enum vm_status
plugin_open(const struct vm_plugin_host *host, const struct vm_plugin_value *values,
            void **out_plugin, struct vm_error *err)
{
	struct settings *settings = malloc(sizeof *settings);

	if (settings == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	*settings = (struct settings){
		.allowed = values[ALLOW].text,
		.allowed_count = values[ALLOW].number,
		.allow_all = values[ALLOW_ALL].number != 0,
		.output_bytes_max = values[OUTPUT_BYTES_MAX].number,
	};
	*out_plugin = settings;
	return VM_OK;
}

static enum vm_status
state_new(const struct vm_plugin_call *call, void **out_state, struct vm_error *err)
{
	struct program *program = malloc(sizeof *program);

	if (program == NULL)
		return vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
	request_init(&program->request);
	outcome_init(&program->outcome);
	*out_state = program;
	return VM_OK;
}

static void
state_free(void *plugin, void *state)
{
	struct program *program = state;

	(void)plugin;
	request_free(&program->request);
	outcome_free(&program->outcome);
	free(program);
}

#define FUNC(name, params, results) { "wasmedge_process_" #name, params, results, name }

static const struct vm_plugin_func funcs[] = {
	FUNC(set_prog_name, "ii", ""),
	FUNC(add_arg, "ii", ""),
	FUNC(add_env, "iiii", ""),
	FUNC(add_stdin, "ii", ""),
	FUNC(set_timeout, "i", ""),
	FUNC(run, "", "i"),
	FUNC(get_exit_code, "", "i"),
	FUNC(get_stdout_len, "", "i"),
	FUNC(get_stdout, "i", ""),
	FUNC(get_stderr_len, "", "i"),
	FUNC(get_stderr, "i", ""),
};

static const struct vm_plugin_module modules[] = {
	{ "wasmedge_process", "Commands of the host", funcs, sizeof funcs / sizeof *funcs },
};

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasmedge_process",
	.version = "1.0.0",
	.summary = "Runs commands of the host that its options allow",
	.options = options,
	.option_count = OPTION_COUNT,
	.modules = modules,
	.module_count = 1,
	.open = plugin_open,
	.close = free,
	.state_new = state_new,
	.state_free = state_free,
};

VM_PLUGIN(wasmedge_process)
{
	return &plugin;
}
