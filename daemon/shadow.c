#include "daemon/shadow.h"

#include <string.h>
#include "daemon/plugins.h"

/* --- values ------------------------------------------------------------------------------- */

static bool
is_nan_f32(uint32_t bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

static bool
is_nan_f64(uint64_t bits)
{
	return (bits & INT64_MAX) > UINT64_C(0x7ff0000000000000);
}

static bool
is_same_f32(uint32_t a, uint32_t b)
{
	return a == b || (is_nan_f32(a) && is_nan_f32(b));
}

static bool
is_same_f64(uint64_t a, uint64_t b)
{
	return a == b || (is_nan_f64(a) && is_nan_f64(b));
}

/* Nobody knows what the lanes are: the bits are the same, or would be as floats of one size. */
static bool
is_same_v128(const uint8_t a[16], const uint8_t b[16])
{
	uint32_t a32[4], b32[4];
	uint64_t a64[2], b64[2];
	bool as_f32 = true, as_f64 = true;

	memcpy(a32, a, 16);
	memcpy(b32, b, 16);
	memcpy(a64, a, 16);
	memcpy(b64, b, 16);
	for (int i = 0; i < 4; i++)
		as_f32 = as_f32 && is_same_f32(a32[i], b32[i]);
	for (int i = 0; i < 2; i++)
		as_f64 = as_f64 && is_same_f64(a64[i], b64[i]);
	return as_f32 || as_f64;
}

static bool
is_same_value(const struct vm_value *a, const struct vm_value *b)
{
	if (a->type == VM_I32)
		return a->of.i32 == b->of.i32;
	if (a->type == VM_I64)
		return a->of.i64 == b->of.i64;
	if (a->type == VM_F32)
		return is_same_f32(a->of.f32_bits, b->of.f32_bits);
	if (a->type == VM_F64)
		return is_same_f64(a->of.f64_bits, b->of.f64_bits);
	if (a->type == VM_V128)
		return is_same_v128(a->of.v128, b->of.v128);
	/* References of different stores are never the same; whether there is one may be. */
	return (a->of.ref == NULL) == (b->of.ref == NULL);
}

/* --- files -------------------------------------------------------------------------------- */

static enum vm_status
add_file(void *env, struct vm_str path, const void *data, size_t len, struct vm_error *err)
{
	struct digest_state *state = env;

	(void)err;
	digest_update(state, path.data, path.len + 1);
	digest_update(state, &len, sizeof len);
	digest_update(state, data, len);
	return VM_OK;
}

static bool
is_same_tree(const struct vm_wasi_tree *a, const struct vm_wasi_tree *b)
{
	const struct vm_wasi_tree *trees[] = { a, b };
	struct digest digests[2];

	for (int i = 0; i < 2; i++) {
		struct digest_state state;
		digest_init(&state);
		if (trees[i] != NULL)
			(void)vm_wasi_tree_collect(trees[i], VM_STR("**"), add_file, &state, NULL);
		digest_finish(&state, &digests[i]);
	}
	return digest_equal(&digests[0], &digests[1]);
}

/* --- comparing ---------------------------------------------------------------------------- */

static bool
is_same_output(const struct rpc_output *a, const struct rpc_output *b)
{
	return a->len == b->len && a->total_bytes == b->total_bytes &&
	       (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* Whether how it ended follows from the module and its input alone. */
static bool
is_decided(const struct shadow_run *run)
{
	if (run->status == VM_OK || run->status == VM_EXIT)
		return true;
	return run->status == VM_TRAP && run->err->trap != VM_TRAP_STACK_OVERFLOW &&
	       (run->err->trap == VM_TRAP_FUEL || !vm_trap_is_limit(run->err->trap));
}

enum shadow_verdict
shadow_compare(const struct shadow_run *first, const struct shadow_run *second,
               const char **out_what)
{
	bool is_same = true;

	if (!is_decided(first) || !is_decided(second))
		return SHADOW_UNDECIDED;
	*out_what = "outcome";
	if (first->status != second->status ||
	    (first->status == VM_TRAP && first->err->trap != second->err->trap) ||
	    (first->status == VM_EXIT && first->err->exit_code != second->err->exit_code))
		return SHADOW_DIFFERENT;
	*out_what = "results";
	for (uint32_t i = 0; first->status == VM_OK && is_same && i < first->result_count; i++)
		is_same = is_same_value(&first->results[i], &second->results[i]);
	if (!is_same)
		return SHADOW_DIFFERENT;
	*out_what = "output";
	if (!is_same_output(&first->out, &second->out) ||
	    !is_same_output(&first->error, &second->error))
		return SHADOW_DIFFERENT;
	*out_what = "files";
	return is_same_tree(first->tree, second->tree) ? SHADOW_SAME : SHADOW_DIFFERENT;
}

/* --- calls -------------------------------------------------------------------------------- */

void
shadow_digest(const struct vm_value *args, uint32_t arg_count, const char *input, size_t input_len,
              struct digest *out)
{
	struct digest_state state;

	digest_init(&state);
	for (uint32_t i = 0; i < arg_count; i++) {
		const struct vm_value *arg = &args[i];
		if (arg->type == VM_I32 || arg->type == VM_F32)
			digest_update(&state, &arg->of.i32, sizeof arg->of.i32);
		else if (arg->type == VM_I64 || arg->type == VM_F64)
			digest_update(&state, &arg->of.i64, sizeof arg->of.i64);
		else if (arg->type == VM_V128)
			digest_update(&state, arg->of.v128, sizeof arg->of.v128);
	}
	digest_update(&state, input, input_len);
	digest_finish(&state, out);
}

bool
shadow_is_repeatable(const struct vm_module *module)
{
	static const char *const tellers[] = {
		"clock_res_get",   "clock_time_get",    "fd_filestat_get",
		"fd_readdir",      "path_filestat_get", "poll_oneoff",
		"random_get",      "sock_accept",       "sock_recv",
		"sock_send",
	};
	struct vm_import import;

	if (plugins_are_imported(module))
		return false;
	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		vm_module_import(module, i, &import);
		for (size_t k = 0; k < sizeof tellers / sizeof tellers[0]; k++)
			if (import.name.len == strlen(tellers[k]) &&
			    memcmp(import.name.data, tellers[k], import.name.len) == 0)
				return false;
	}
	return true;
}
