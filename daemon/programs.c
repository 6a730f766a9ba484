#include "daemon/programs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/artifacts.h"
#include "daemon/daemon.h"
#include "daemon/errmap.h"
#include "daemon/metrics.h"
#include "daemon/plugins.h"
#include "daemon/shadow.h"

#define BUCKETS 1024 /* a power of two */
/* What an entry costs besides its bytes: descriptions, translated code. */
#define ENTRY_BYTES 65536

/* A module on its way: read by the store, while a helper looks for its code; then decoded. */
struct load {
	struct letter letter;
	struct job decode_job;
	struct job code_job;
	struct load *next;
	struct programs *programs;
	struct digest digest;
	struct program_waiter *waiters;
	atomic_uint parts; /* that are still under way: reading, looking */
	struct store_reply *reply;
	bool is_read; /* else problem says why not */
	struct found_code code;
	struct program *program; /* the result, or NULL and problem */
	bool is_stale;           /* the module was deleted meanwhile */
	struct rpc_problem problem;
};

struct programs {
	struct daemon *daemon;
	struct vm_linker *linker;
	pthread_mutex_t linker_lock; /* helpers link one at a time */
	struct program *buckets[BUCKETS];
	struct program *newest;
	struct program *oldest;
	size_t count;
	uint64_t size_bytes;
	struct load *loads;
};

/* --- programs ----------------------------------------------------------------------------- */

struct program *
program_ref(struct program *program)
{
	atomic_fetch_add_explicit(&program->refs, 1, memory_order_relaxed);
	return program;
}

void
program_unref(struct program *program)
{
	if (program == NULL ||
	    atomic_fetch_sub_explicit(&program->refs, 1, memory_order_acq_rel) != 1)
		return;
	vm_program_unref(program->linked);
	vm_module_unref(program->module);
	free(program);
}

bool
program_wants_code(const struct program *program, bool is_metered)
{
	return program->linked != NULL &&
	       !atomic_load_explicit(&program->is_pinned[is_metered], memory_order_relaxed) &&
	       !vm_module_has_native(program->module, is_metered);
}

static bool
str_is(struct vm_str str, const char *text)
{
	return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

static bool
module_imports_wasi(const struct vm_module *module)
{
	struct vm_import import;

	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		vm_module_import(module, i, &import);
		if (str_is(import.module, "wasi_snapshot_preview1") ||
		    str_is(import.module, "wasi_unstable"))
			return true;
	}
	return false;
}

static bool
module_has_initialize(const struct vm_module *module)
{
	struct vm_export export;
	uint32_t index;

	if (!vm_module_find_export(module, VM_STR("_initialize"), &index))
		return false;
	vm_module_export(module, index, &export);
	return export.type.kind == VM_EXTERN_FUNC && export.type.of.func.param_count == 0 &&
	       export.type.of.func.result_count == 0;
}

struct program *
program_link(struct programs *programs, struct vm_module *module, const struct digest *digest)
{
	struct program *program = calloc(1, sizeof *program);
	struct vm_error err;

	if (program == NULL)
		return NULL;
	atomic_init(&program->refs, 1);
	program->digest = *digest;
	program->module = vm_module_ref(module);
	program->imports_wasi = module_imports_wasi(module);
	program->imports_plugins = plugins_are_imported(module);
	program->is_repeatable = shadow_is_repeatable(module);
	program->has_initialize = module_has_initialize(module);
	(void)vm_module_bytes(module, &program->size_bytes);
	pthread_mutex_lock(&programs->linker_lock);
	/* What stands in for a plug-in has the type that the module wants: anew for each. */
	enum vm_status status =
	    program->imports_plugins
	        ? vm_plugins_define_imports(plugins_set(programs->daemon->plugins),
	                                    programs->linker, module, &err)
	        : VM_OK;
	if (status == VM_OK)
		status = vm_program_new(programs->linker, module, &program->linked, &err);
	pthread_mutex_unlock(&programs->linker_lock);
	if (status != VM_OK)
		errmap_module(&err, &program->problem);
	if (status == VM_E_NOMEM) {
		program_unref(program); /* not the module's fault: do not remember it */
		return NULL;
	}
	return program;
}

/* --- the cache ---------------------------------------------------------------------------- */

static struct program **
bucket_of(struct programs *programs, const struct digest *digest)
{
	size_t hash;

	memcpy(&hash, digest->bytes, sizeof hash); /* as good a hash as there is */
	return &programs->buckets[hash & (BUCKETS - 1)];
}

static struct program *
find(struct programs *programs, const struct digest *digest)
{
	struct program *program = *bucket_of(programs, digest);

	while (program != NULL && !digest_equal(&program->digest, digest))
		program = program->hash_next;
	return program;
}

static void
use_unlink(struct programs *programs, struct program *program)
{
	if (program->newer != NULL)
		program->newer->older = program->older;
	else
		programs->newest = program->older;
	if (program->older != NULL)
		program->older->newer = program->newer;
	else
		programs->oldest = program->newer;
}

static void
use_link(struct programs *programs, struct program *program)
{
	program->newer = NULL;
	program->older = programs->newest;
	if (programs->newest != NULL)
		programs->newest->newer = program;
	else
		programs->oldest = program;
	programs->newest = program;
}

static uint64_t
cost(const struct program *program)
{
	return program->size_bytes + ENTRY_BYTES;
}

static void
report(const struct programs *programs)
{
	metric_set(METRIC_PROGRAM_COUNT, 0, 0, (int64_t)programs->count);
	metric_set(METRIC_PROGRAM_BYTES, 0, 0, (int64_t)programs->size_bytes);
}

static void
forget(struct programs *programs, struct program *program)
{
	struct program **link = bucket_of(programs, &program->digest);

	while (*link != program)
		link = &(*link)->hash_next;
	*link = program->hash_next;
	use_unlink(programs, program);
	program->is_cached = false;
	programs->count--;
	programs->size_bytes -= cost(program);
	program_unref(program);
}

static bool
is_used(struct program *program)
{
	return atomic_load_explicit(&program->refs, memory_order_relaxed) > 1;
}

void
programs_trim(struct programs *programs)
{
	uint64_t bound = programs->daemon->config->limits_cache_bytes;
	struct program *newer;

	for (struct program *p = programs->oldest; p != NULL && programs->size_bytes > bound;
	     p = newer) {
		newer = p->newer;
		if (is_used(p))
			continue;
		forget(programs, p);
		metric_add(METRIC_PROGRAM_EVICTIONS, 0, 0, 1);
	}
	report(programs);
}

struct program *
programs_find(struct programs *programs, const struct digest *digest)
{
	struct program *program = find(programs, digest);

	if (program == NULL)
		return NULL;
	if (program != programs->newest) {
		use_unlink(programs, program);
		use_link(programs, program);
	}
	metric_add(METRIC_PROGRAM_HITS, 0, 0, 1);
	return program_ref(program);
}

struct program *
programs_peek(struct programs *programs, const struct digest *digest)
{
	struct program *program = find(programs, digest);

	return program == NULL ? NULL : program_ref(program);
}

void
programs_keep(struct programs *programs, struct program *program)
{
	struct program **bucket = bucket_of(programs, &program->digest);

	if (find(programs, &program->digest) != NULL)
		return;
	program_ref(program);
	program->hash_next = *bucket;
	*bucket = program;
	use_link(programs, program);
	program->is_cached = true;
	programs->count++;
	programs->size_bytes += cost(program);
	programs_trim(programs);
}

static struct load *
find_load(struct programs *programs, const struct digest *digest)
{
	struct load *load = programs->loads;

	while (load != NULL && !digest_equal(&load->digest, digest))
		load = load->next;
	return load;
}

void
programs_drop(struct programs *programs, const struct digest *digest)
{
	struct program *program = find(programs, digest);
	struct load *load = find_load(programs, digest);

	if (program != NULL)
		forget(programs, program);
	if (load != NULL)
		load->is_stale = true;
	report(programs);
}

void
program_note_call(struct program *program, bool is_metered)
{
	program->was_called[is_metered] = true;
}

void
programs_tell_used(struct programs *programs)
{
	struct cache_use *uses = calloc(2 * programs->count + 1, sizeof *uses);
	size_t count = 0;

	if (uses == NULL)
		return;
	for (struct program *p = programs->newest; p != NULL; p = p->older)
		for (int is_metered = 0; is_metered < 2; is_metered++) {
			if (p->was_called[is_metered] &&
			    vm_module_has_native(p->module, is_metered))
				uses[count++] = (struct cache_use){ p->digest, is_metered };
			p->was_called[is_metered] = false;
		}
	if (count > 0)
		artifacts_used(programs->daemon->artifacts, uses, count);
	else
		free(uses);
}

bool
programs_in_use(struct programs *programs, const struct digest *digest)
{
	struct program *program = find(programs, digest);

	return program != NULL && is_used(program);
}

/* --- loading ------------------------------------------------------------------------------ */

static void
finish_load(struct letter *letter)
{
	struct load *load = (struct load *)letter;
	struct programs *programs = load->programs;
	struct load **link = &programs->loads;
	struct program_waiter *waiter = load->waiters;

	while (*link != load)
		link = &(*link)->next;
	*link = load->next;
	if (load->program != NULL && !load->is_stale)
		programs_keep(programs, load->program);
	while (waiter != NULL) {
		struct program_waiter *next = waiter->next;
		waiter->done(waiter, load->program == NULL ? NULL : program_ref(load->program),
		             &load->problem);
		waiter = next;
	}
	program_unref(load->program);
	found_code_clear(&load->code);
	store_reply_free(load->reply);
	free(load);
}

static void
post_load(struct load *load)
{
	mailbox_post(&load->programs->daemon->mailbox, &load->letter, finish_load);
}

static void
decode(struct load *load)
{
	struct artifacts *artifacts = load->programs->daemon->artifacts;
	struct vm_module *module = NULL;
	struct vm_error err;

	enum vm_status status =
	    artifacts_load_module(artifacts, &load->digest, load->reply->bytes,
	                          load->reply->size_bytes, &load->code, &module, &err);
	if (status != VM_OK) {
		/* It was valid when it was put: another version of the engine thinks otherwise. */
		errmap_module(&err, &load->problem);
	} else {
		load->program = program_link(load->programs, module, &load->digest);
		if (load->program == NULL)
			rpc_problem_set(&load->problem, RPC_OUT_OF_MEMORY,
			                "no memory to link the module");
		else
			artifacts_load(artifacts, load->program);
		vm_module_unref(module);
	}
	post_load(load);
}

static void
run_decode(struct job *job)
{
	decode((struct load *)((char *)job - offsetof(struct load, decode_job)));
}

/* True for who ends the last part, and goes on with what both have made. */
static bool
is_complete(struct load *load)
{
	return atomic_fetch_sub_explicit(&load->parts, 1, memory_order_acq_rel) == 1;
}

/* A part has ended on a thread that has other things to do. */
static void
finish_part(struct load *load)
{
	if (!is_complete(load))
		return;
	if (load->is_read &&
	    jobpool_submit(load->programs->daemon->helpers, &load->decode_job, run_decode))
		return;
	if (load->is_read)
		rpc_problem_set(&load->problem, RPC_QUEUE_FULL,
		                "too many modules wait to be loaded");
	post_load(load);
}

/* On a helper. */
static void
run_code(struct job *job)
{
	struct load *load = (struct load *)((char *)job - offsetof(struct load, code_job));

	artifacts_find_code(load->programs->daemon->artifacts, &load->digest, &load->code);
	if (!is_complete(load))
		return;
	if (load->is_read)
		decode(load);
	else
		post_load(load);
}

/* On a thread of the store. */
static void
on_read(void *arg, struct store_reply *reply)
{
	struct load *load = arg;

	load->reply = reply;
	load->is_read = reply->error.status == STORE_OK;
	if (!load->is_read)
		errmap_store(reply->error.status, reply->error.message, RPC_MODULE_NOT_FOUND,
		             &load->problem);
	finish_part(load);
}

void
programs_load(struct programs *programs, const struct digest *digest,
              struct program_waiter *waiter)
{
	struct load *load = find_load(programs, digest);
	struct rpc_problem problem;

	metric_add(METRIC_PROGRAM_MISSES, 0, 0, 1);
	if (load != NULL) {
		waiter->next = load->waiters;
		load->waiters = waiter;
		return;
	}
	load = calloc(1, sizeof *load);
	if (load == NULL) {
		rpc_problem_set(&problem, RPC_OUT_OF_MEMORY, "no memory to load the module");
		waiter->done(waiter, NULL, &problem);
		return;
	}
	load->programs = programs;
	load->digest = *digest;
	atomic_init(&load->parts, 2);
	waiter->next = NULL;
	load->waiters = waiter;
	load->next = programs->loads;
	programs->loads = load;
	/* The code first, which takes longer. Without room for that the module is loaded alone. */
	if (!jobpool_submit(programs->daemon->helpers, &load->code_job, run_code))
		finish_part(load);
	enum store_status status =
	    store_module_get(programs->daemon->store, digest, true, on_read, load);
	if (status != STORE_OK) {
		errmap_store(status, NULL, RPC_MODULE_NOT_FOUND, &load->problem);
		finish_part(load);
	}
}

/* --- making and ending -------------------------------------------------------------------- */

struct programs *
programs_new(struct daemon *daemon, struct vm_linker *linker)
{
	struct programs *programs = calloc(1, sizeof *programs);

	if (programs == NULL)
		return NULL;
	programs->daemon = daemon;
	programs->linker = linker;
	pthread_mutex_init(&programs->linker_lock, NULL);
	return programs;
}

void
programs_free(struct programs *programs)
{
	if (programs == NULL)
		return;
	while (programs->oldest != NULL)
		forget(programs, programs->oldest);
	vm_linker_free(programs->linker);
	pthread_mutex_destroy(&programs->linker_lock);
	free(programs);
}
