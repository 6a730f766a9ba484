/*
 * fuzz_wasi.c - a guest without code that calls WASI functions with arguments of the input.
 *
 * Input: a byte of options, then calls. A call is the number of a row of wasi.def, then its
 * arguments: a byte below 0x80 is a small number, others announce a number of full width. Guest
 * memory is filled with the input, over and over, so that addresses in it find paths, buffers
 * and structures made of it. The file tree is in memory.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "vm/vm.h"
#include "vm/wasi/fn.h"

static const struct fuzz_row {
	wasi_handler handler;
	const char *params;
} rows[] = {
#define FN(name, params, results, since) { wasi_##name, params },
#include "vm/def/wasi.def"
#undef FN
};

/* Sleeping is cut short by a deadline. */
#define DEADLINE_NS UINT64_C(2000000)
#define CALLS_MAX 64

struct input {
	const uint8_t *next;
	const uint8_t *end;
};

static uint64_t
take(struct input *input, size_t size_bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size_bytes && input->next < input->end; i++)
		value |= (uint64_t)*input->next++ << 8 * i;
	return value;
}

static uint64_t
take_argument(struct input *input, char kind)
{
	uint64_t small = take(input, 1);

	if (small < 0x80)
		return small;
	return take(input, kind == 'l' ? 8 : small & 1 ? 2 : 4);
}

static struct vm_engine *
engine(void)
{
	static struct vm_engine *made;

	if (made == NULL && vm_engine_new(NULL, &made, NULL) != VM_OK)
		abort();
	return made;
}

static void
fill_memory(struct vm_memory *memory, const uint8_t *data, size_t size)
{
	uint8_t *to = vm_memory_data(memory);
	const size_t len = (size_t)vm_memory_size(memory);

	for (size_t at = 0; at < len && size > 0; at += size)
		memcpy(to + at, data, size < len - at ? size : len - at);
}

static void
run_calls(struct vm_store *store, struct vm_memory *memory, const struct wasi_abi *abi,
          struct input *input)
{
	struct vm_error err;
	enum wasi_errno e = WASI_SUCCESS;

	for (int i = 0; i < CALLS_MAX && input->next < input->end && e != WASI_ENDED; i++) {
		const struct fuzz_row *row = &rows[take(input, 1) % (sizeof rows / sizeof *rows)];
		union vm_slot slots[16] = { 0 };
		struct wasi_call call = {
			.wasi = wasi_of_store(store),
			.abi = abi,
			.memory = memory,
			.args = slots,
			.task = { .store = store, .err = &err },
		};
		for (size_t k = 0; row->params[k] != '\0'; k++)
			slots[k].u64 = take_argument(input, row->params[k]);
		e = row->handler(&call);
		if (e != WASI_ENDED && ((int)e < 0 || e > WASI_ENOTCAPABLE))
			abort();
	}
}

static uint64_t
deadline(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + DEADLINE_NS;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vm_str args[] = { VM_STR("fuzz"), VM_STR("x") };
	const struct vm_str env[] = { VM_STR("A=b") };
	const struct vm_memorytype type = { .min = 1, .has_max = true, .max = 1 };
	struct input input = { data, data + size };
	const uint8_t options = (uint8_t)take(&input, 1);
	struct vm_wasi_tree *tree = NULL;
	struct vm_store *store = NULL;
	struct vm_memory *memory;

	if (vm_store_new(engine(), NULL, &store, NULL) != VM_OK ||
	    vm_memory_new(store, &type, &memory, NULL) != VM_OK ||
	    vm_wasi_tree_new(1 << 18, &tree, NULL) != VM_OK ||
	    vm_wasi_tree_put(tree, VM_STR("/d/f"), "text", 4, NULL) != VM_OK)
		abort();
	const struct vm_wasi_preopen preopen = { .guest_path = VM_STR("/"),
		                                 .tree = tree,
		                                 .read_only = options & 2 };
	const struct vm_wasi_config config = {
		.args = args,
		.arg_count = 2,
		.env = env,
		.env_count = 1,
		.preopens = &preopen,
		.preopen_count = 1,
		.stdin_stream = { .kind = VM_WASI_BYTES, .bytes = VM_STR("input") },
	};
	if (vm_wasi_attach(store, &config, NULL) != VM_OK ||
	    vm_store_set_deadline(store, deadline(), NULL) != VM_OK)
		abort();
	fill_memory(memory, data, size);
	run_calls(store, memory, options & 1 ? &wasi_abi_unstable : &wasi_abi_preview1, &input);
	vm_store_free(store);
	vm_wasi_tree_free(tree);
	return 0;
}
