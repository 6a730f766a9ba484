/*
 * interp.c - the interpreter tier: entering code, finding out where it stopped.
 *
 * Owns:    the translated code of modules
 * Threads: code is published with release order and never changes; translation takes the
 *          module's lock; running needs none
 */
#include "vm/interp/code.h"

#include <pthread.h>
#include <string.h>
#include "vm/interp/handlers.h"
#include "vm/interp/translate.h"

enum {
	CHUNK_WORDS_MIN = 2048, /* of the first chunk; each is twice as large as the one before */
	CHUNK_WORDS_MAX = 8192,
	WORDS_PER_FUNC = 16,    /* there is room for so many functions */
	BODY_BYTES_KEEP = 65536, /* a larger one's translation is not kept for the next */
};

/*
 * Code of many functions, each followed by its positions, in one block, so that an address leads to
 * its function quickly.
 */
struct code_chunk {
	struct code_chunk *next;
	uint32_t used, capacity; /* words */
	uint32_t func_count, func_capacity;
	union word *words; /* in the block, behind the functions */
	struct interp_func *funcs[]; /* ordered by address */
};

struct interp_lock {
	pthread_mutex_t mutex;
};

/* --- module code --------------------------------------------------------------------------- */

static void
module_code_free(void *code)
{
	struct interp_module *im = code;
	const struct vm_engine *engine = im->module->engine;

	while (im->chunks != NULL) {
		struct code_chunk *next = im->chunks->next;

		engine_free(engine, im->chunks);
		im->chunks = next;
	}
	if (im->lock != NULL)
		pthread_mutex_destroy(&im->lock->mutex);
	translation_free(im->translation);
	engine_free(engine, im->lock);
	engine_free(engine, im);
}

static struct interp_module *
module_code_new(struct vm_module *module, bool metered)
{
	const struct vm_engine *engine = module->engine;
	uint32_t imports = module->func_import_count;
	uint32_t count = module->func_count - imports;
	struct interp_module *im = engine_alloc_zeroed(
	    engine, 1, sizeof(*im) + (size_t)count * sizeof(im->funcs[0]));

	if (im == NULL)
		return NULL;
	im->module = module;
	im->metered = metered;
	im->lock = engine_alloc_zeroed(engine, 1, sizeof(*im->lock));
	if (im->lock == NULL || pthread_mutex_init(&im->lock->mutex, NULL) != 0) {
		engine_free(engine, im->lock);
		engine_free(engine, im);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++) {
		im->funcs[i].index = imports + i;
		im->funcs[i].module = im;
		im->funcs[i].param_slots = module->funcs[imports + i].type->param_slots;
		im->funcs[i].result_slots = module->funcs[imports + i].type->result_slots;
	}
	return im;
}

static enum vm_status
module_code(struct vm_module *module, bool metered, void **out_code, struct vm_error *err)
{
	struct module_code *slot = &module->code[vm_tier_interp.number][metered];
	void *code = atomic_load_explicit(&slot->code, memory_order_acquire);

	if (code == NULL) {
		void *made = module_code_new(module, metered);

		if (made == NULL)
			return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		if (atomic_compare_exchange_strong(&slot->code, &code, made)) {
			slot->free_fn = module_code_free;
			code = made;
		} else {
			module_code_free(made); /* another thread was quicker */
		}
	}
	*out_code = code;
	return VM_OK;
}

static void *
func_code(void *code, uint32_t function)
{
	struct interp_module *im = code;

	return &im->funcs[function - im->module->func_import_count];
}

/* --- translation --------------------------------------------------------------------------- */

static struct code_chunk *
chunk_new(struct interp_module *im, uint32_t words)
{
	uint32_t capacity = im->chunks == NULL ? CHUNK_WORDS_MIN : 2 * im->chunks->capacity;

	if (capacity > CHUNK_WORDS_MAX)
		capacity = CHUNK_WORDS_MAX;
	if (capacity < words)
		capacity = words;
	uint32_t funcs = capacity / WORDS_PER_FUNC + 1;
	struct code_chunk *chunk = engine_alloc(
	    im->module->engine, sizeof(*chunk) + (size_t)funcs * sizeof(chunk->funcs[0]) +
	                            (size_t)capacity * sizeof(chunk->words[0]));
	if (chunk == NULL)
		return NULL;
	*chunk = (struct code_chunk){
		.next = im->chunks,
		.capacity = capacity,
		.func_capacity = funcs,
		.words = (union word *)(chunk->funcs + funcs),
	};
	im->chunks = chunk;
	return chunk;
}

/* Room for a function's code, behind that of others where it fits. */
static union word *
chunk_take(struct interp_module *im, struct interp_func *func, uint32_t words)
{
	struct code_chunk *chunk = im->chunks;

	if (chunk == NULL || chunk->capacity - chunk->used < words ||
	    chunk->func_count == chunk->func_capacity)
		chunk = chunk_new(im, words);
	if (chunk == NULL)
		return NULL;
	union word *at = chunk->words + chunk->used;
	chunk->used += words;
	chunk->funcs[chunk->func_count++] = func;
	return at;
}

/* Copy what was made to where it stays, and let others see it. */
static bool
publish(struct interp_func *func, const struct translated *made)
{
	union word *code =
	    chunk_take(func->module, func, made->word_count + made->position_count);

	if (code == NULL)
		return false;
	memcpy(code, made->code, made->word_count * sizeof(*code));
	func->word_count = made->word_count;
	func->positions = (struct interp_position *)(code + made->word_count);
	func->position_count = made->position_count;
	if (made->position_count > 0)
		memcpy(func->positions, made->positions,
		       made->position_count * sizeof(*made->positions));
	func->link_slot = made->link_slot;
	func->frame_slots = made->frame_slots;
	atomic_store_explicit(&func->code, code, memory_order_release);
	return true;
}

static enum vm_status
translate_locked(struct interp_func *func, struct vm_error *err)
{
	struct interp_module *im = func->module;
	struct translated made;

	if (func->code != NULL)
		return VM_OK;
	if (im->translation == NULL)
		im->translation = translation_new(im);
	if (im->translation == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	enum vm_status st = translation_run(im->translation, func, &made, err);
	if (st == VM_OK && !publish(func, &made))
		st = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	if (im->module->funcs[func->index].body_size > BODY_BYTES_KEEP) {
		translation_free(im->translation);
		im->translation = NULL;
	}
	return st;
}

enum vm_status
interp_translate(struct interp_func *func, struct vm_error *err)
{
	pthread_mutex_lock(&func->module->lock->mutex);
	enum vm_status st = translate_locked(func, err);
	pthread_mutex_unlock(&func->module->lock->mutex);
	return st;
}

/* --- from addresses back to functions ------------------------------------------------------ */

static const struct interp_func *
find_in_chunk(const struct code_chunk *chunk, const union word *ip)
{
	uint32_t low = 0;
	uint32_t high = chunk->func_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct interp_func *func = chunk->funcs[middle];

		if (ip < func->code)
			high = middle;
		else if (ip >= func->code + func->word_count)
			low = middle + 1;
		else
			return func;
	}
	return NULL;
}

const struct interp_func *
interp_find_code(struct interp_module *module, const union word *ip)
{
	const struct interp_func *func = NULL;

	pthread_mutex_lock(&module->lock->mutex);
	for (const struct code_chunk *c = module->chunks; func == NULL && c != NULL; c = c->next)
		if (ip >= c->words && ip < c->words + c->used)
			func = find_in_chunk(c, ip);
	pthread_mutex_unlock(&module->lock->mutex);
	return func;
}

/* The position at or before the address: ip points at or behind its instruction. */
uint64_t
interp_offset(const struct interp_func *func, const union word *ip)
{
	uint32_t word = (uint32_t)(ip - func->code);
	uint64_t offset = VM_NO_OFFSET;
	uint32_t low = 0;
	uint32_t high = func->position_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (func->positions[middle].word <= word) {
			offset = func->positions[middle].offset;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return offset;
}

/* --- where a program stopped --------------------------------------------------------------- */

enum vm_status
interp_trap(const union word *at, union vm_slot *frame, struct vm_instance *instance,
            enum vm_trap trap)
{
	instance->run->trap = trap;
	return interp_fail(at, frame, instance, VM_TRAP);
}

enum vm_status
interp_fail(const union word *at, union vm_slot *frame, struct vm_instance *instance,
            enum vm_status status)
{
	struct vm_run *run = instance->run;

	run->stopped_at = at;
	run->stopped_frame = frame;
	run->stopped_instance = instance;
	return status;
}

/* Walk the links from where the program stopped to the outermost frame of this entry. */
static void
add_backtrace(struct vm_run *run, struct vm_error *err)
{
	const union word *ip = run->stopped_at;
	const union vm_slot *frame = run->stopped_frame;
	const struct vm_instance *instance = run->stopped_instance;

	while (instance != NULL && ip != NULL) {
		const struct interp_func *func = interp_find_code(instance->code, ip);

		if (func == NULL)
			return;
		rt_add_frame(err, instance->module, func->index, interp_offset(func, ip));
		const union vm_slot *link = frame + func->link_slot;
		ip = link[LINK_IP].ref;
		frame = link[LINK_FP].ref;
		if (ip->fn == h_exit)
			return;
		if (ip->fn == h_resume) {
			instance = link[LINK_INSTANCE].ref;
			ip = link[LINK_RESUME].ref;
		}
		/* A return address is behind the call, and may be behind the function. */
		ip--;
	}
}

/* Fill in *run->err, unless a host function or the translator has. */
static void
describe_trap(struct vm_run *run)
{
	struct vm_error *err = run->err;

	if (run->trap != VM_TRAP_NONE)
		(void)vm_error_trap(err, run->trap, "%s", vm_trap_text(run->trap));
	run->trap = VM_TRAP_NONE;
	add_backtrace(run, err);
}

/* --- entering ------------------------------------------------------------------------------ */

static const union word exit_code[2] = { { .fn = h_exit }, { .u64 = 0 } };

static enum vm_status
run_code(void *arg)
{
	struct interp_regs *r = arg;

#ifdef VM_INTERP_LOOP
	enum vm_status status = VM_OK;

	while (status == VM_OK)
		status = r->ip->fn(r);
	return status == (enum vm_status)-1 ? VM_OK : status;
#else
	return r->ip->fn(r->ip, r->fp, r->mem, r->acc, r->inst, r->vacc);
#endif
}

/*
 * After a fault: the handlers' registers. In optimised builds they were in the processor's; ip
 * is believed when it is an instruction, or just behind one, whose handler the fault was in.
 */
static void
locate_fault(struct vm_run *run, const struct interp_regs *regs)
{
#if defined VM_INTERP_LOOP || !defined __x86_64__
	run->stopped_at = regs->ip;
	run->stopped_frame = regs->fp;
	run->stopped_instance = regs->inst;
#else
	enum { RSI = 6, RDI = 7, R8 = 8 };

	(void)regs;
	run->stopped_at = (const union word *)run->fault.regs[RDI];
	run->stopped_frame = (union vm_slot *)run->fault.regs[RSI];
	run->stopped_instance = (struct vm_instance *)run->fault.regs[R8];
#endif
}

static enum vm_status
enter_frame(struct vm_func *func, struct vm_run *run, union vm_slot *frame)
{
	struct interp_func *code = func->code;
	union vm_slot *link = frame + code->link_slot;

	link[LINK_IP].u64 = (uintptr_t)exit_code;
	link[LINK_FP].ref = frame;
	struct interp_regs regs = {
		.ip = code->code,
		.fp = frame,
		.mem = func->instance->memory0,
		.inst = func->instance,
	};
	run->trap = VM_TRAP_NONE;
	run->stopped_at = NULL;
	enum vm_status status = rt_enter(run, run_code, &regs);
	if (status == VM_OK)
		return VM_OK;
	if (status == VM_TRAP) {
		if (run->stopped_at == NULL)
			locate_fault(run, &regs);
		describe_trap(run);
	}
	run->stopped_at = NULL;
	return status;
}

enum vm_status
interp_entry(struct vm_func *func, struct vm_run *run, union vm_slot *slots)
{
	struct interp_func *code = func->code;
	union vm_slot *frame = run->top;

	if (code->code == NULL) {
		enum vm_status st = interp_translate(code, run->err);

		if (st != VM_OK)
			return st;
	}
	if ((size_t)(run->stack_end - frame) < code->frame_slots)
		return vm_error_trap(run->err, VM_TRAP_STACK_OVERFLOW, "call stack exhausted");
	memcpy(frame, slots, code->param_slots * sizeof(*slots));
	enum vm_status status = enter_frame(func, run, frame);
	if (status == VM_OK)
		memcpy(slots, frame, code->result_slots * sizeof(*slots));
	return status;
}

const struct vm_tier vm_tier_interp = {
	.name = "interp",
	.number = 0,
	.unsupported = VM_FEATURE_BIT(GC) | VM_FEATURE_BIT(EXCEPTIONS) | VM_FEATURE_BIT(THREADS) |
	               VM_FEATURE_BIT(LEGACY_EXCEPTIONS),
	.module_code = module_code,
	.func_code = func_code,
	.entry = interp_entry,
};
