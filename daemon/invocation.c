#include "daemon/invocation.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/artifacts.h"
#include "daemon/clock.h"
#include "daemon/errmap.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/plugins.h"
#include "daemon/shadow.h"
#include "vm/vm.h"

#define SHADOW_TIME_US 1000000 /* a longer call would take very long in the interpreter */
#define VALUES_INLINE 16 /* arguments and results that need no memory of their own */

/* --- refusals ----------------------------------------------------------------------------- */

/* The problem to be filled in; when there is no memory for it, the outcome says enough. */
static struct rpc_problem *
refuse(struct invocation *inv)
{
	inv->problem = calloc(1, sizeof *inv->problem);
	if (inv->problem != NULL)
		rpc_problem_set(inv->problem, RPC_INTERNAL, "refused");
	return inv->problem;
}

/* --- output ------------------------------------------------------------------------------- */

static bool
output_reserve(struct output *output, size_t len)
{
	size_t capacity = output->capacity == 0 ? 512 : output->capacity;

	if (output->len + len <= output->capacity)
		return true;
	while (capacity < output->len + len)
		capacity *= 2;
	if (capacity > output->limit_bytes)
		capacity = (size_t)output->limit_bytes;
	char *data = realloc(output->data, capacity);
	if (data == NULL)
		return false;
	output->data = data;
	output->capacity = capacity;
	return true;
}

static void
output_event(const struct output *output, const void *data, size_t len)
{
	struct rpc_output piece = { .data = data, .len = len, .total_bytes = len };
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_output_write(&w, &piece);
	if (rpc_writer_ok(&w)) {
		events_add(output->invocation->events, output->event, w.data, w.len, false);
		output->on_news(output->invocation);
	}
	rpc_writer_clear(&w);
}

/* What a guest writes is kept up to the limit; the rest is counted, and is no error. */
static enum vm_status
on_write(void *env, const void *data, size_t len, struct vm_error *err)
{
	struct output *output = env;
	uint64_t room = output->limit_bytes - output->len;
	size_t kept = len < room ? len : (size_t)room;

	output->total_bytes += len;
	if (kept == 0)
		return VM_OK;
	if (!output_reserve(output, kept))
		return vm_error_trap(err, VM_TRAP_OUTPUT_LIMIT, "no memory to keep the output");
	memcpy(output->data + output->len, data, kept);
	output->len += kept;
	if (output->invocation != NULL && output->invocation->events != NULL)
		output_event(output, data, kept);
	return VM_OK;
}

static void
output_init(struct output *output, const char *event, uint64_t limit_bytes,
            struct invocation *inv, void (*on_news)(struct invocation *inv))
{
	output->event = event;
	output->limit_bytes = limit_bytes;
	output->invocation = inv;
	output->on_news = on_news;
}

/* --- the store ---------------------------------------------------------------------------- */

void
invocation_stop(struct invocation *invocation, enum vm_trap reason)
{
	pthread_mutex_lock(&invocation->lock);
	if (invocation->stop_reason == VM_TRAP_NONE)
		invocation->stop_reason = reason;
	if (invocation->store != NULL)
		vm_store_stop(invocation->store, invocation->stop_reason);
	pthread_mutex_unlock(&invocation->lock);
}

/* From here on the store can be stopped. */
static void
publish(struct invocation *inv, struct vm_store *store)
{
	pthread_mutex_lock(&inv->lock);
	inv->store = store;
	if (inv->stop_reason != VM_TRAP_NONE)
		vm_store_stop(store, inv->stop_reason);
	pthread_mutex_unlock(&inv->lock);
}

static void
withdraw(struct invocation *inv)
{
	pthread_mutex_lock(&inv->lock);
	inv->store = NULL;
	pthread_mutex_unlock(&inv->lock);
}

static enum vm_status
make_store(struct invocation *inv, enum vm_tier_policy tier, uint64_t started_at,
           struct vm_store **out, struct vm_error *err)
{
	const struct invocation_limits *limits = &inv->limits;
	struct vm_store_config config;

	vm_store_config_init(&config);
	config.memory_pages_max = limits->memory_pages;
	/* All memories together, with the tables and what the host keeps beside them. */
	config.memory_bytes_max = limits->memory_pages * VM_PAGE_SIZE +
	                          limits->table_elements * sizeof(void *) + limits->files_bytes +
	                          VM_PAGE_SIZE;
	config.table_elements_max = limits->table_elements;
	config.metered = limits->fuel != 0;
	config.tier = tier;
	enum vm_status status = vm_store_new(inv->daemon->engine, &config, out, err);
	if (status != VM_OK)
		return status;
	if (limits->fuel != 0)
		vm_store_set_fuel(*out, limits->fuel);
	uint64_t deadline_us = started_at + limits->time_ms * 1000;
	status = vm_store_set_deadline(*out, deadline_us * 1000, err);
	if (status == VM_OK)
		return VM_OK;
	vm_store_free(*out);
	*out = NULL;
	return status;
}

static void
take_usage(struct invocation *inv, const struct vm_store *store)
{
	struct vm_store_usage usage;

	vm_store_usage(store, &usage);
	inv->usage.peak_pages = usage.memory_pages_peak;
	inv->usage.host_calls = usage.host_calls;
	inv->usage.fuel = inv->limits.fuel != 0 ? vm_store_fuel_used(store) : RPC_UNSET;
}

/* --- what the guest is given -------------------------------------------------------------- */

/* Arrays for the engine from the request's. */
struct wasi_input {
	struct vm_str *args;
	struct vm_str *env;
	struct vm_wasi_tree *tree;
};

/* One run of the guest: the one that counts, or its repetition by the interpreter. */
struct attempt {
	struct invocation *inv;
	const struct call *call;
	enum vm_tier_policy tier;
	struct output *out;
	struct output *err;
	struct vm_store *store;
	struct wasi_input input;
	enum vm_status status;
	struct vm_error error;
	bool is_native;
	uint64_t instantiate_us;
	uint64_t execute_us;
};

static struct vm_str
str_of(const char *text)
{
	return (struct vm_str){ text, strlen(text) };
}

static void
wasi_input_clear(struct wasi_input *input)
{
	free(input->args);
	free(input->env);
	vm_wasi_tree_free(input->tree);
}

static enum vm_status
wasi_input_init(struct wasi_input *input, const struct invocation *inv, struct vm_error *err)
{
	const struct rpc_run *run = &inv->run;

	*input = (struct wasi_input){ 0 };
	input->args = malloc((run->arg_count + 1) * sizeof *input->args);
	input->env = malloc((run->env_count + 1) * sizeof *input->env);
	if (input->args == NULL || input->env == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "no memory for the arguments");
	input->args[0] = str_of(inv->name);
	for (size_t i = 0; i < run->arg_count; i++)
		input->args[i + 1] = str_of(run->args[i]);
	for (size_t i = 0; i < run->env_count; i++)
		input->env[i] = str_of(run->env[i]);
	return VM_OK;
}

/* The files of the request, as JSON and as parts of a form, in a tree of the invocation's own. */
static enum vm_status
make_tree(struct wasi_input *input, const struct invocation *inv, struct vm_error *err)
{
	enum vm_status status = vm_wasi_tree_new(inv->limits.files_bytes, &input->tree, err);

	for (size_t i = 0; status == VM_OK && i < inv->run.file_count; i++) {
		const struct rpc_run_file *file = &inv->run.files[i];
		status = vm_wasi_tree_put(input->tree, str_of(file->path), file->bytes.data,
		                          file->bytes.len, err);
	}
	for (size_t i = 0; status == VM_OK && i < inv->form_file_count; i++) {
		const struct form_file *file = &inv->form_files[i];
		status = vm_wasi_tree_put(input->tree, str_of(file->path), inv->body + file->offset,
		                          file->len, err);
	}
	return status;
}

static struct vm_str
stdin_of(const struct invocation *inv)
{
	if (inv->has_stdin)
		return (struct vm_str){ inv->body + inv->stdin_offset, inv->stdin_len };
	if (inv->run.has_stdin)
		return (struct vm_str){ (const char *)inv->run.stdin_bytes.data,
		                        inv->run.stdin_bytes.len };
	return VM_STR("");
}

static enum vm_status
attach_wasi(struct attempt *attempt, struct vm_error *err)
{
	struct invocation *inv = attempt->inv;
	struct wasi_input *input = &attempt->input;
	struct vm_wasi_preopen root = { .guest_path = VM_STR("/") };
	bool has_tree = inv->kind == INVOCATION_RUN;
	enum vm_status status = wasi_input_init(input, inv, err);

	if (status == VM_OK && has_tree)
		status = make_tree(input, inv, err);
	if (status != VM_OK)
		return status;
	root.tree = input->tree;
	struct vm_wasi_config config = {
		.args = input->args,
		.arg_count = inv->run.arg_count + 1,
		.env = input->env,
		.env_count = inv->run.env_count,
		.preopens = &root,
		.preopen_count = has_tree ? 1 : 0,
		.stdin_stream = { .kind = VM_WASI_BYTES, .fd = -1, .bytes = stdin_of(inv) },
		.stdout_stream = { .kind = VM_WASI_WRITER, .fd = -1, .write = on_write,
		                   .env = attempt->out },
		.stderr_stream = { .kind = VM_WASI_WRITER, .fd = -1, .write = on_write,
		                   .env = attempt->err },
	};
	return vm_wasi_attach(attempt->store, &config, err);
}

/* --- what the guest leaves ---------------------------------------------------------------- */

static enum vm_status
on_file(void *env, struct vm_str path, const void *data, size_t len, struct vm_error *err)
{
	struct invocation *inv = env;
	struct kept_file file = { .len = len };

	file.path = strndup(path.data, path.len);
	if (file.path != NULL && !rpc_run_collects(&inv->run, file.path)) {
		free(file.path);
		return VM_OK;
	}
	file.data = malloc(len + 1);
	struct kept_file *files =
	    realloc(inv->files, (inv->file_count + 1) * sizeof *inv->files);
	if (files != NULL)
		inv->files = files;
	if (files == NULL || file.path == NULL || file.data == NULL) {
		free(file.path);
		free(file.data);
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "no memory for the files");
	}
	memcpy(file.data, data, len);
	inv->files[inv->file_count++] = file;
	return VM_OK;
}

/* Files of a guest that was stopped are collected too: they are often what one looks for. */
static void
collect_files(struct invocation *inv, const struct vm_wasi_tree *tree)
{
	if (tree != NULL && inv->run.collect_count > 0)
		(void)vm_wasi_tree_collect(tree, VM_STR("**"), on_file, inv, NULL);
}

/* --- calling ------------------------------------------------------------------------------ */

/* The function to be called and its arguments, checked before anything runs. */
struct call {
	struct vm_str name;
	struct vm_functype type;
	uint32_t export_index;
	struct vm_value *args;
	struct vm_value *results;
	struct vm_value inline_values[VALUES_INLINE];
	struct vm_value *values; /* when they do not fit */
};

static void
value_to_vm(const struct rpc_value *value, vm_valtype type, struct vm_value *out)
{
	out->type = type;
	switch (value->type) {
	case RPC_I32:
		out->of.i32 = (int32_t)(uint32_t)value->of.bits;
		break;
	case RPC_I64:
		out->of.i64 = (int64_t)value->of.bits;
		break;
	case RPC_F32:
		out->of.f32_bits = (uint32_t)value->of.bits;
		break;
	case RPC_F64:
		out->of.f64_bits = value->of.bits;
		break;
	case RPC_V128:
		memcpy(out->of.v128, value->of.bytes, 16);
		break;
	case RPC_FUNCREF:
	case RPC_EXTERNREF:
	case RPC_OTHERREF:
		out->of.ref = NULL; /* null is the only reference that travels */
		break;
	}
}

static void
value_from_vm(const struct vm_value *value, struct rpc_value *out)
{
	out->type = errmap_type(value->type);
	out->of.bits = 0;
	switch (out->type) {
	case RPC_I32:
		out->of.bits = (uint32_t)value->of.i32;
		break;
	case RPC_I64:
		out->of.bits = (uint64_t)value->of.i64;
		break;
	case RPC_F32:
		out->of.bits = value->of.f32_bits;
		break;
	case RPC_F64:
		out->of.bits = value->of.f64_bits;
		break;
	case RPC_V128:
		memcpy(out->of.bytes, value->of.v128, 16);
		break;
	case RPC_FUNCREF:
	case RPC_EXTERNREF:
	case RPC_OTHERREF:
		out->of.bits = value->of.ref != NULL;
		break;
	}
}

static bool
find_function(struct invocation *inv, struct call *call)
{
	const struct vm_module *module = inv->program->module;
	struct vm_export export;

	if (vm_module_find_export(module, call->name, &call->export_index)) {
		vm_module_export(module, call->export_index, &export);
		if (export.type.kind == VM_EXTERN_FUNC) {
			call->type = export.type.of.func;
			return true;
		}
		rpc_problem_set(refuse(inv), RPC_FUNCTION_NOT_FOUND,
		                "the export %.*s is a %s, not a function", (int)call->name.len,
		                call->name.data, vm_extern_kind_text(export.type.kind));
		return false;
	}
	if (inv->kind == INVOCATION_RUN)
		rpc_problem_set(refuse(inv), RPC_NOT_A_COMMAND,
		                "the module does not export a function _start");
	else
		rpc_problem_set(refuse(inv), RPC_FUNCTION_NOT_FOUND,
		                "the module does not export a function %.*s",
		                (int)call->name.len, call->name.data);
	return false;
}

static bool
parse_args(struct invocation *inv, struct call *call)
{
	uint32_t count = call->type.param_count;
	enum rpc_type inline_types[VALUES_INLINE];
	struct rpc_value inline_values[VALUES_INLINE];
	enum rpc_type *types = inline_types;
	struct rpc_value *values = inline_values;
	void *memory = NULL;
	struct rpc_problem problem;

	if (count > VALUES_INLINE) {
		memory = malloc(count * (sizeof *values + sizeof *types));
		if (memory == NULL) {
			rpc_problem_set(refuse(inv), RPC_OUT_OF_MEMORY,
			                "no memory for the arguments");
			return false;
		}
		values = memory;
		types = (enum rpc_type *)(void *)(values + count);
	}
	for (uint32_t i = 0; i < count; i++)
		types[i] = errmap_type(call->type.params[i]);
	enum rpc_code code = rpc_invoke_args(&inv->invoke, types, count, values, &problem);
	if (code != RPC_OK && refuse(inv) != NULL)
		*inv->problem = problem;
	for (uint32_t i = 0; code == RPC_OK && i < count; i++)
		value_to_vm(&values[i], call->type.params[i], &call->args[i]);
	free(memory);
	return code == RPC_OK;
}

/* Find the function and read its arguments. False: inv->problem says why not. */
static bool
prepare(struct invocation *inv, struct call *call)
{
	call->values = NULL;
	if (inv->kind == INVOCATION_RUN)
		call->name = VM_STR("_start");
	else
		call->name = (struct vm_str){ inv->invoke.function.data, inv->invoke.function.len };
	if (!find_function(inv, call))
		return false;
	size_t count = (size_t)call->type.param_count + call->type.result_count;
	struct vm_value *values = call->inline_values;
	if (count > VALUES_INLINE)
		values = call->values = malloc(count * sizeof *values);
	if (values == NULL) {
		rpc_problem_set(refuse(inv), RPC_OUT_OF_MEMORY, "no memory for the arguments");
		return false;
	}
	call->args = values;
	call->results = values + call->type.param_count;
	if (inv->kind == INVOCATION_INVOKE)
		return parse_args(inv, call);
	if (count == 0)
		return true;
	rpc_problem_set(refuse(inv), RPC_NOT_A_COMMAND,
	                "the module's _start has parameters or results");
	return false;
}

static enum vm_status
call_export(struct vm_instance *instance, uint32_t index, const struct call *call,
            struct vm_error *err)
{
	struct vm_extern function;

	vm_instance_export_at(instance, index, &function);
	if (call == NULL)
		return vm_func_call(function.of.func, NULL, 0, NULL, 0, err);
	return vm_func_call(function.of.func, call->args, call->type.param_count, call->results,
	                    call->type.result_count, err);
}

/* Instantiate and call. Which of the two failed shows in the times. */
static enum vm_status
instantiate_and_call(struct attempt *attempt)
{
	const struct program *program = attempt->inv->program;
	const struct call *call = attempt->call;
	struct vm_error *err = &attempt->error;
	struct vm_instance *instance;
	uint32_t initialize;

	uint64_t began_us = clock_monotonic_us();
	enum vm_status status =
	    vm_program_instantiate(program->linked, attempt->store, &instance, err);
	uint64_t instantiated_us = clock_monotonic_us();
	attempt->instantiate_us = instantiated_us - began_us;
	if (status != VM_OK)
		return status;
	attempt->is_native = strcmp(vm_instance_tier(instance), "native") == 0;
	if (attempt->inv->kind == INVOCATION_INVOKE && program->has_initialize &&
	    !(call->name.len == 11 && memcmp(call->name.data, "_initialize", 11) == 0) &&
	    vm_module_find_export(program->module, VM_STR("_initialize"), &initialize))
		status = call_export(instance, initialize, NULL, err);
	if (status == VM_OK)
		status = call_export(instance, call->export_index, call, err);
	attempt->execute_us = clock_monotonic_us() - instantiated_us;
	return status;
}

/* From the moment on that is given; the store stays for the caller to look at. */
static void
attempt_run(struct attempt *attempt, uint64_t started_at)
{
	struct invocation *inv = attempt->inv;

	attempt->status = make_store(inv, attempt->tier, started_at, &attempt->store,
	                             &attempt->error);
	if (attempt->status != VM_OK)
		return;
	publish(inv, attempt->store);
	if (inv->program->imports_plugins)
		attempt->status =
		    vm_plugins_attach(plugins_set(inv->daemon->plugins), attempt->store,
		                      auth_principal_tenant(inv->owner), &attempt->error);
	if (attempt->status == VM_OK && (inv->program->imports_wasi || inv->kind == INVOCATION_RUN))
		attempt->status = attach_wasi(attempt, &attempt->error);
	if (attempt->status == VM_OK)
		attempt->status = instantiate_and_call(attempt);
}

static void
attempt_clear(struct attempt *attempt)
{
	withdraw(attempt->inv);
	vm_store_free(attempt->store);
	wasi_input_clear(&attempt->input);
}

/* --- answers ------------------------------------------------------------------------------ */

static void
write_answer(struct invocation *inv, struct rpc_answer *answer)
{
	struct rpc_output out = { inv->out.data, inv->out.len, inv->out.total_bytes };
	struct rpc_output err = { inv->err.data, inv->err.len, inv->err.total_bytes };
	struct rpc_file *files = NULL;
	struct rpc_writer w;

	answer->id = inv->id;
	answer->outcome = inv->outcome;
	answer->exact = inv->invoke.exact;
	answer->lanes = inv->invoke.lanes;
	answer->exit_code = inv->exit_code;
	answer->usage = inv->usage;
	answer->tier = inv->is_native ? "native" : "interp";
	/* A function that was called usually writes nothing; a command always has its streams. */
	if (inv->kind == INVOCATION_RUN || inv->out.total_bytes > 0)
		answer->out = &out;
	if (inv->kind == INVOCATION_RUN || inv->err.total_bytes > 0)
		answer->err = &err;
	if (inv->file_count > 0)
		files = malloc(inv->file_count * sizeof *files);
	for (size_t i = 0; files != NULL && i < inv->file_count; i++)
		files[i] = (struct rpc_file){ inv->files[i].path, inv->files[i].len };
	answer->files = files;
	answer->file_count = files == NULL ? 0 : inv->file_count;
	answer->has_files = inv->run.collect_count > 0;

	rpc_writer_init(&w);
	w.pretty = inv->wants_pretty;
	rpc_answer_write(&w, answer);
	inv->answer = rpc_writer_take(&w, &inv->answer_len);
	free(files);
}

void
invocation_answer(struct invocation *invocation, const struct rpc_trap *trap)
{
	struct rpc_answer answer = { .trap = trap };

	invocation->usage = (struct rpc_usage){ .fuel = RPC_UNSET, .peak_pages = RPC_UNSET };
	write_answer(invocation, &answer);
}

static void
answer_results(struct invocation *inv, const struct call *call)
{
	struct rpc_value inline_values[VALUES_INLINE];
	struct rpc_value *values = inline_values;
	struct rpc_answer answer = { 0 };
	uint32_t count = call->type.result_count;

	if (count > VALUES_INLINE && (values = malloc(count * sizeof *values)) == NULL)
		return; /* no answer: the loop sees it */
	for (uint32_t i = 0; i < count; i++)
		value_from_vm(&call->results[i], &values[i]);
	answer.results = values;
	answer.result_count = count;
	write_answer(inv, &answer);
	if (values != inline_values)
		free(values);
}

static void
answer_trap(struct invocation *inv, const struct vm_error *err)
{
	struct rpc_frame frames[VM_ERROR_FRAMES_MAX];
	struct rpc_answer answer = { 0 };
	struct rpc_trap trap;

	errmap_trap(err, frames, &trap);
	answer.trap = &trap;
	write_answer(inv, &answer);
}

static void
conclude(struct invocation *inv, const struct call *call, enum vm_status status,
         const struct vm_error *err)
{
	struct rpc_answer answer = { 0 };

	inv->outcome = errmap_outcome(status, err);
	/* A command that comes to the end of _start has exited, with success. */
	if (inv->kind == INVOCATION_RUN && inv->outcome == RPC_RETURNED)
		inv->outcome = RPC_EXITED;
	else if (inv->outcome == RPC_EXITED)
		inv->exit_code = err->exit_code;
	if (inv->outcome == RPC_RETURNED)
		answer_results(inv, call);
	else if (inv->outcome == RPC_EXITED)
		write_answer(inv, &answer);
	else
		answer_trap(inv, err);
}

/* --- the shadow --------------------------------------------------------------------------- */

/* Whether this call is one of those that are repeated. */
static bool
is_chosen(const struct attempt *native)
{
	struct daemon *daemon = native->inv->daemon;
	uint64_t every = daemon->config->compile_shadow_every;

	return every != 0 && native->is_native && native->inv->program->is_repeatable &&
	       native->execute_us < SHADOW_TIME_US &&
	       atomic_fetch_add_explicit(&daemon->shadow_count, 1, memory_order_relaxed) % every ==
	           every - 1;
}

static struct shadow_run
shadow_of(const struct attempt *attempt, const struct vm_value *results)
{
	return (struct shadow_run){
		.status = attempt->status,
		.err = &attempt->error,
		.results = results,
		.result_count = attempt->call->type.result_count,
		.out = { attempt->out->data, attempt->out->len, attempt->out->total_bytes },
		.error = { attempt->err->data, attempt->err->len, attempt->err->total_bytes },
		.tree = attempt->input.tree,
	};
}

static void
report_difference(struct invocation *inv, const struct call *call, const char *what)
{
	char module[DIGEST_TEXT_SIZE], arguments[DIGEST_TEXT_SIZE];
	struct vm_str input = stdin_of(inv);
	struct digest digest;

	shadow_digest(call->args, call->type.param_count, input.data, input.len, &digest);
	log_error("native code gave another result than the interpreter; the module is interpreted "
	          "from now on",
	          LOG_STR("module", digest_format(&inv->digest, module)),
	          LOG_STRN("function", call->name.data, call->name.len),
	          LOG_STR("difference", what),
	          LOG_STR("arguments", digest_format(&digest, arguments)),
	          LOG_BOOL("metered", inv->limits.fuel != 0));
	artifacts_pin(inv->daemon->artifacts, inv->program, inv->limits.fuel != 0);
}

/* The same call again, by the interpreter, with nobody looking but us. */
static void
run_shadow(const struct attempt *native, struct call *call)
{
	static const unsigned metrics[] = { [SHADOW_SAME] = METRIC_shadow_SAME,
		                            [SHADOW_DIFFERENT] = METRIC_shadow_DIFFERENT,
		                            [SHADOW_UNDECIDED] = METRIC_shadow_UNDECIDED };
	struct invocation *inv = native->inv;
	size_t result_bytes = call->type.result_count * sizeof *call->results;
	struct vm_value *kept = malloc(result_bytes == 0 ? 1 : result_bytes);
	struct output out = { 0 }, err = { 0 };
	const char *what = "";

	if (kept == NULL)
		return;
	memcpy(kept, call->results, result_bytes);
	output_init(&out, "", inv->limits.stdout_bytes, NULL, NULL);
	output_init(&err, "", inv->limits.stderr_bytes, NULL, NULL);
	struct attempt again = { .inv = inv, .call = call, .tier = VM_TIER_INTERP, .out = &out,
		                 .err = &err };
	attempt_run(&again, clock_monotonic_us());
	const struct shadow_run first = shadow_of(native, kept);
	const struct shadow_run second = shadow_of(&again, call->results);
	enum shadow_verdict verdict = shadow_compare(&first, &second, &what);
	metric_add(METRIC_SHADOW_CALLS, metrics[verdict], 0, 1);
	if (verdict == SHADOW_DIFFERENT)
		report_difference(inv, call, what);
	attempt_clear(&again);
	free(out.data);
	free(err.data);
	free(kept);
}

/* --- running ------------------------------------------------------------------------------ */

/* Failures of ours and of the module, before the guest could do anything. */
static bool
is_refusal(enum vm_status status)
{
	return status == VM_E_LINK || status == VM_E_UNSUPPORTED || status == VM_E_ARGUMENT ||
	       status == VM_E_IO;
}

static enum vm_tier_policy
tier_for(const struct invocation *inv)
{
	return atomic_load_explicit(&inv->program->is_pinned[inv->limits.fuel != 0],
	                            memory_order_relaxed)
	           ? VM_TIER_INTERP
	           : VM_TIER_BEST;
}

static void
run_call(struct invocation *inv, struct call *call)
{
	struct attempt attempt = { .inv = inv, .call = call, .tier = tier_for(inv),
		                   .out = &inv->out, .err = &inv->err };

	attempt_run(&attempt, inv->started_at);
	inv->is_native = attempt.is_native;
	inv->phase.instantiate_us = attempt.instantiate_us;
	inv->phase.execute_us = attempt.execute_us;
	if (attempt.store != NULL)
		take_usage(inv, attempt.store);
	uint64_t ended_us = clock_monotonic_us();
	inv->usage.wall_us = ended_us - inv->started_at;
	if (attempt.status != VM_OK && is_refusal(attempt.status)) {
		if (refuse(inv) != NULL)
			errmap_module(&attempt.error, inv->problem);
	} else {
		if (inv->kind == INVOCATION_RUN)
			collect_files(inv, attempt.input.tree);
		conclude(inv, call, attempt.status, &attempt.error);
		inv->phase.encode_us = clock_monotonic_us() - ended_us;
		if (is_chosen(&attempt))
			run_shadow(&attempt, call);
	}
	attempt_clear(&attempt);
}

void
invocation_run(struct invocation *invocation, void (*on_news)(struct invocation *invocation))
{
	struct call call;

	invocation->started_at = clock_monotonic_us();
	invocation->started_us = clock_unix_us();
	invocation->phase.queue_us = invocation->started_at - invocation->queued_at;
	invocation->usage = (struct rpc_usage){ .queue_us = invocation->phase.queue_us,
		                                .fuel = RPC_UNSET };
	atomic_store_explicit(&invocation->has_started, true, memory_order_release);
	output_init(&invocation->out, "stdout", invocation->limits.stdout_bytes, invocation,
	            on_news);
	output_init(&invocation->err, "stderr", invocation->limits.stderr_bytes, invocation,
	            on_news);
	if (invocation->events != NULL) {
		events_add(invocation->events, "started", "{}", 2, false);
		on_news(invocation);
	}
	if (prepare(invocation, &call)) {
		run_call(invocation, &call);
	} else {
		invocation->outcome = RPC_TRAPPED; /* for the record; the problem says more */
	}
	free(call.values);
	invocation->done_us = clock_unix_us();
}

void
invocation_free(struct invocation *invocation)
{
	if (invocation == NULL)
		return;
	for (size_t i = 0; i < invocation->file_count; i++) {
		free(invocation->files[i].path);
		free(invocation->files[i].data);
	}
	for (size_t i = 0; i < invocation->form_file_count; i++)
		free(invocation->form_files[i].path);
	free(invocation->files);
	free(invocation->form_files);
	free(invocation->out.data);
	free(invocation->err.data);
	free(invocation->answer);
	free(invocation->problem);
	free(invocation->body);
	rpc_invoke_clear(&invocation->invoke);
	rpc_run_clear(&invocation->run);
	rpc_query_clear(&invocation->query);
	program_unref(invocation->program);
	auth_principal_unref(invocation->owner);
	events_unref(invocation->events);
	pthread_mutex_destroy(&invocation->lock);
	free(invocation);
}
