/*
 * driver.c - a module to objects: the functions in chunks, compiled by threads.
 *
 * Exports:  vm_compiler (vm/native/compiler.h), the one symbol of libwasmedge-llvm.so
 * Threads:  takes chunks from a counter under a lock, which also orders calls of the progress
 *           function; a failure or a wish to end stops the others before their next chunk
 */
#include "vm/llvm/chunk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/native/build.h"

/*
 * Functions are inlined within a chunk, and its memory is given back with it: large enough for the
 * one, small enough for the other, and for all threads to have work.
 */
enum { CHUNK_BYTES_MIN = 64 << 10, CHUNK_BYTES_MAX = 1 << 20, CHUNKS_WANTED = 16 };

/* Compiled with less effort where it is likely to be of no use: see pipeline.c and calls.c. */
enum { LARGE_MODULE_BYTES = 1 << 20 };

struct range {
	uint32_t first, end;
	uint64_t size_bytes;
};

struct work {
	struct chunk_plan plan;
	struct range *ranges;
	struct native_object *objects;
	uint32_t count;
	/* The rest under the lock. */
	pthread_mutex_t lock;
	uint32_t next;
	uint64_t done_bytes;
	enum vm_status status;
	struct vm_error *err;
};

/* --- chunks --------------------------------------------------------------------------------- */

static uint64_t
chunk_bytes(uint64_t total)
{
	uint64_t wanted = total / CHUNKS_WANTED;

	return wanted < CHUNK_BYTES_MIN   ? CHUNK_BYTES_MIN
	       : wanted > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX
	                                  : wanted;
}

static enum vm_status
ranges_make(struct work *w, struct vm_error *err)
{
	const struct vm_module *m = w->plan.module;

	for (uint32_t i = m->func_import_count; i < m->func_count; i++)
		w->plan.code_bytes += m->funcs[i].body_size;
	uint64_t limit = chunk_bytes(w->plan.code_bytes);
	size_t most = (size_t)(w->plan.code_bytes / limit * 2 + 2);
	w->ranges = calloc(most, sizeof *w->ranges);
	w->objects = calloc(most, sizeof *w->objects);
	if (w->ranges == NULL || w->objects == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	for (uint32_t i = m->func_import_count; i < m->func_count; i++) {
		uint32_t size_bytes = m->funcs[i].body_size;
		struct range *range = &w->ranges[w->count > 0 ? w->count - 1 : 0];

		if (w->count == 0 || range->size_bytes + size_bytes > limit) {
			range = &w->ranges[w->count++];
			range->first = i;
		}
		range->end = i + 1;
		range->size_bytes += size_bytes;
	}
	return VM_OK;
}

/* --- threads -------------------------------------------------------------------------------- */

/* Note how a chunk ended, and tell about the progress. */
static void
work_note(struct work *w, uint64_t size_bytes, enum vm_status st, const struct vm_error *why)
{
	const struct vm_compile_options *options = w->plan.options;

	(void)pthread_mutex_lock(&w->lock);
	w->done_bytes += size_bytes;
	if (st != VM_OK && w->status == VM_OK) {
		w->status = st;
		if (w->err != NULL)
			*w->err = *why;
	}
	if (w->status == VM_OK && options->progress_fn != NULL &&
	    !options->progress_fn(options->progress_env, w->done_bytes, w->plan.code_bytes))
		w->status = vm_error_set(w->err, VM_E_LIMIT, VM_NO_OFFSET,
		                         "compiling was ended after %llu of %llu bytes",
		                         (unsigned long long)w->done_bytes,
		                         (unsigned long long)w->plan.code_bytes);
	(void)pthread_mutex_unlock(&w->lock);
}

static bool
work_take(struct work *w, uint32_t *out)
{
	(void)pthread_mutex_lock(&w->lock);
	bool is_more = w->status == VM_OK && w->next < w->count;
	if (is_more)
		*out = w->next++;
	(void)pthread_mutex_unlock(&w->lock);
	return is_more;
}

static void *
work_run(void *arg)
{
	struct work *w = arg;
	uint32_t i;

	while (work_take(w, &i)) {
		const struct range *range = &w->ranges[i];
		struct vm_error why = { .status = VM_OK };

		enum vm_status st =
		    chunk_compile(&w->plan, range->first, range->end, &w->objects[i], &why);
		work_note(w, range->size_bytes, st, &why);
	}
	return NULL;
}

/* LLVM recurses in large functions: more stack than threads have by default in some libcs. */
enum { THREAD_STACK_BYTES = 16 << 20, THREADS_MAX = 256 };

/* This thread works too: where no other can be started it does all. */
static void
work_run_all(struct work *w)
{
	uint32_t jobs = w->plan.options->jobs;
	pthread_t threads[THREADS_MAX];
	uint32_t started = 0;
	pthread_attr_t attributes;

	if (jobs > w->count)
		jobs = w->count;
	if (jobs > THREADS_MAX)
		jobs = THREADS_MAX;
	bool has_attributes = pthread_attr_init(&attributes) == 0;
	if (has_attributes)
		(void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	/* On a thread even when it is alone: for the stack. */
	while (started < jobs && pthread_create(&threads[started],
	                                        has_attributes ? &attributes : NULL, work_run,
	                                        w) == 0)
		started++;
	if (has_attributes)
		(void)pthread_attr_destroy(&attributes);
	if (started == 0)
		(void)work_run(w);
	for (uint32_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
}

/* --- the processor -------------------------------------------------------------------------- */

static const char *const cpu_names[CPU_COUNT] = {
#define CPU(symbol, name, level) [CPU_##symbol] = name,
#include "vm/def/cpu.def"
#undef CPU
};

/* Every feature by name, with + or -: nothing follows from the name of a processor. */
static char *
features_text(uint64_t features)
{
	size_t size = 1;

	for (unsigned int i = 0; i < CPU_COUNT; i++)
		size += strlen(cpu_names[i]) + 2;
	char *text = malloc(size);
	char *end = text;
	for (unsigned int i = 0; i < CPU_COUNT && text != NULL; i++)
		end += sprintf(end, "%s%c%s", i > 0 ? "," : "",
		               (features >> i & 1) != 0 ? '+' : '-', cpu_names[i]);
	return text;
}

static bool
is_host(struct vm_str cpu)
{
	return cpu.len == 0 || (cpu.len == 4 && memcmp(cpu.data, "host", 4) == 0);
}

/* --- the compiler --------------------------------------------------------------------------- */

static void
objects_free(struct native_object *objects, uint32_t count)
{
	for (uint32_t i = 0; i < count && objects != NULL; i++)
		free(objects[i].bytes);
	free(objects);
}

static enum vm_status
compile(const struct vm_module *module, const struct vm_compile_options *options,
        uint64_t cpu_features, struct native_objects *out, struct vm_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct work w = {
		.plan = { .module = module, .options = options, .cpu_features = cpu_features },
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.err = err,
	};
	char *host = NULL;
	enum vm_status st;

	*out = (struct native_objects){ NULL, 0 };
	if (options->metered && options->relaxed_traps)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "relaxed traps and metering exclude one another: fuel counts "
		                    "what is executed, in order");
	(void)pthread_once(&once, chunk_init_llvm);
	instance_layout_make(&w.plan.layout, module, 0);
	w.plan.cpu_features_text = features_text(cpu_features);
	if (w.plan.cpu_features_text == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	if (is_host(options->cpu))
		w.plan.cpu_tune = host = LLVMGetHostCPUName();
	st = ranges_make(&w, err);
	w.plan.is_large =
	    options->level == VM_COMPILE_BEST && w.plan.code_bytes > LARGE_MODULE_BYTES;
	if (st == VM_OK) {
		work_run_all(&w);
		st = w.status;
	}
	if (st == VM_OK) {
		*out = (struct native_objects){ .items = w.objects, .count = w.count };
		w.objects = NULL;
	}
	objects_free(w.objects, w.count);
	free(w.ranges);
	free(w.plan.cpu_features_text);
	if (host != NULL)
		LLVMDisposeMessage(host);
	return st;
}

VM_EXPORT extern const struct native_compiler vm_compiler;

const struct native_compiler vm_compiler = {
	.build = BUILD_TEXT,
	.compile = compile,
};
