/*
 * test_native.c - native code from objects to traps, with guest_x64.S in the compiler's place.
 *
 * What the interpreter makes of the same module is the oracle.
 */
#include "tests/support/unit.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <xmmintrin.h>
#include "tests/vm/native/guest_layout.h"
#include "tests/vm/native/guest_module.h"
#include "tests/vm/native/objects.h"
#include "vm/native/link.h"
#include "vm/rt/codespace.h"
#include "vm/vm.h"

_Static_assert(offsetof(struct vm_instance, memory0) == INSTANCE_MEMORY0, "guest_x64.S");
_Static_assert(offsetof(struct vm_instance, imported_funcs) == INSTANCE_IMPORTED_FUNCS, "as above");
_Static_assert(offsetof(struct vm_instance, builtins) == INSTANCE_BUILTINS, "as above");
_Static_assert(offsetof(struct vm_func, native) == FUNC_NATIVE, "as above");
_Static_assert(offsetof(struct vm_func, native_context) == FUNC_NATIVE_CONTEXT, "as above");
_Static_assert(NATIVE_MEMORY_GROW == BUILTIN_MEMORY_GROW, "as above");
_Static_assert(NATIVE_MEMORY_FILL == BUILTIN_MEMORY_FILL, "as above");
_Static_assert(VM_TRAP_DIVIDE_BY_ZERO == TRAP_DIVIDE_BY_ZERO, "as above");

enum { INTERP, NATIVE, TIERS };

static const uint8_t key[VM_MAC_KEY_BYTES] = { 1, 2, 3 };

static struct vm_engine *engine;
static struct vm_module *module;
static struct vm_linker *linker;
static struct vm_store *stores[TIERS];
static struct vm_instance *instances[TIERS];
static struct vm_bytes artifact;
static uint8_t mac[VM_MAC_BYTES];
static struct vm_error err;

/* --- host functions --------------------------------------------------------------------------- */

static enum vm_status
note(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	const struct vm_value args[] = { { .type = VM_I32, .of.i32 = 40 },
		                         { .type = VM_I32, .of.i32 = 2 } };
	struct vm_value result;
	struct vm_extern func;
	enum vm_status st;

	(void)env;
	switch (slots[0].i32) {
	case 1:
		return vm_error_trap(e, VM_TRAP_HOST, "no such note");
	case 2:
		return vm_error_exit(e, 42);
	case 3: /* into the guest again, which returns */
		st = vm_instance_export(caller->instance, VM_STR("add"), &func, e);
		if (st == VM_OK)
			st = vm_func_call(func.of.func, args, 2, &result, 1, e);
		if (st == VM_OK)
			slots[0].i32 = result.of.i32;
		return st;
	case 4: /* or traps */
		st = vm_instance_export(caller->instance, VM_STR("div"), &func, e);
		if (st == VM_OK) {
			const struct vm_value by_zero[] = { args[0], { .type = VM_I32 } };
			st = vm_func_call(func.of.func, by_zero, 2, &result, 1, e);
		}
		return st;
	case 5: /* or calls this */
		slots[0].i32 = 5;
		st = vm_instance_export(caller->instance, VM_STR("call"), &func, e);
		return st == VM_OK ? vm_func_call_slots(func.of.func, slots, e) : st;
	case 6:
		vm_store_stop(caller->store, VM_TRAP_CANCELLED);
		return VM_OK;
	default:
		return VM_OK;
	}
}

static const vm_valtype many_params[] = { VM_I32, VM_I64, VM_F32, VM_F64, VM_V128,
	                                  VM_I32, VM_I64, VM_I32, VM_I32, VM_F64 };
static const vm_valtype many_results[] = { VM_F64, VM_I32, VM_V128, VM_I64 };

/* i32 i64 f32 f64 v128 i32 i64 i32 i32 f64, of which the sums of kinds come back. */
static enum vm_status
many(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	union vm_slot a[11];

	(void)env;
	(void)caller;
	(void)e;
	memcpy(a, slots, sizeof(a));
	slots[0].f64 = (double)a[2].f32 + a[3].f64 + a[10].f64;
	slots[1].i32 = a[0].i32 + a[6].i32 * 10 + a[8].i32 * 100 + a[9].i32 * 1000;
	slots[2].u64 = a[5].u64;
	slots[3].u64 = a[4].u64;
	slots[4].i64 = a[1].i64 - a[7].i64;
	return VM_OK;
}

/* --- fixture ---------------------------------------------------------------------------------- */

static void
must(enum vm_status st)
{
	ck_assert_msg(st == VM_OK, "%s: %s", vm_status_name(st), err.message);
}

static struct vm_artifact_info
info_of(struct vm_module *of)
{
	struct vm_artifact_info info = { .level = VM_COMPILE_BEST };

	vm_build_digest(info.build);
	vm_module_digest(of, info.module);
	return info;
}

static struct vm_module *
load(const uint8_t *bytes, size_t len)
{
	struct vm_module *loaded = NULL;

	must(vm_module_load(engine, bytes, len, &loaded, &err));
	return loaded;
}

static void
host_setup(void)
{
	static const vm_valtype i32[] = { VM_I32 };
	const struct vm_functype note_type = { i32, i32, 1, 1 };
	const struct vm_functype many_type = { many_params, many_results, 10, 4 };

	must(vm_linker_new(engine, &linker, &err));
	must(vm_linker_define_func(linker, VM_STR("host"), VM_STR("note"), &note_type, note, NULL,
	                           &err));
	must(vm_linker_define_func(linker, VM_STR("host"), VM_STR("many"), &many_type, many, NULL,
	                           &err));
}

static struct vm_instance *
instantiate(enum vm_tier_policy tier, struct vm_store **out_store)
{
	struct vm_store_config config;
	struct vm_instance *instance = NULL;

	vm_store_config_init(&config);
	config.tier = tier;
	must(vm_store_new(engine, &config, out_store, &err));
	must(vm_linker_instantiate(linker, *out_store, module, &instance, &err));
	return instance;
}

/* With an artifact, not attached. */
static void
setup_linked(void)
{
	struct native_objects objects = objects_read("guest.o");
	struct vm_artifact_info info;

	must(vm_engine_new(NULL, &engine, &err));
	module = load(guest_wasm, sizeof(guest_wasm));
	info = info_of(module);
	must(native_link(module, &objects, &info, &artifact, &err));
	objects_free(&objects);
	vm_artifact_mac(key, artifact.data, artifact.size_bytes, mac);
	host_setup();
}

static void
setup(void)
{
	setup_linked();
	must(vm_module_attach(module, artifact.data, artifact.size_bytes, mac, key, &err));
	instances[INTERP] = instantiate(VM_TIER_INTERP, &stores[INTERP]);
	instances[NATIVE] = instantiate(VM_TIER_NATIVE, &stores[NATIVE]);
}

static void
teardown(void)
{
	for (int i = 0; i < TIERS; i++)
		vm_store_free(stores[i]);
	vm_linker_free(linker);
	vm_module_unref(module);
	vm_engine_unref(engine);
	vm_bytes_free(&artifact);
}

static struct vm_func *
func_of(struct vm_instance *instance, const char *name)
{
	struct vm_extern func;

	must(vm_instance_export(instance, (struct vm_str){ name, strlen(name) }, &func, &err));
	return func.of.func;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* Calls with at most two i32, in both tiers: results and errors have to agree. */
static const struct call_case {
	const char *name;
	int32_t args[2];
	bool is_ended; /* the store is of no use afterwards */
} call_cases[] = {
	{ "add", { 3, 4 }, false },
	{ "add", { -1, INT32_MAX }, false },
	{ "div", { 84, 2 }, false },
	{ "div", { 1, 0 }, false },
	{ "load", { 65532, 0 }, false },
	{ "load", { 65533, 0 }, false },
	{ "load", { -1, 0 }, false },
	{ "recurse", { 0, 0 }, false },
	{ "call", { 0, 0 }, false },
	{ "call", { 1, 0 }, false },
	{ "call", { 2, 0 }, false },
	{ "call", { 3, 0 }, false },
	{ "call", { 4, 0 }, false },
	{ "call", { 5, 0 }, false },
	{ "call", { 6, 0 }, true },
	{ "grow", { 1, 0 }, false },
	{ "grow", { 100, 0 }, false },
	{ "fill", { 65436, 0 }, false },
	{ "fill", { 65437, 0 }, false },
};

static void
errors_agree(const char *name, const struct vm_error *want, const struct vm_error *got)
{
	bool is_deep = want->trap == VM_TRAP_STACK_OVERFLOW; /* where it ends differs */

	ck_assert_msg(got->status == want->status && got->trap == want->trap, "%s: %s, not %s",
	              name, got->message, want->message);
	ck_assert_int_eq(got->exit_code, want->exit_code);
	ck_assert_str_eq(got->message, want->message);
	if (is_deep)
		return;
	ck_assert_uint_eq(got->frame_count, want->frame_count);
	ck_assert_uint_eq(got->function, want->function);
	ck_assert_uint_eq(got->offset, want->offset);
	for (uint32_t i = 0; i < want->frame_count; i++) {
		ck_assert_msg(got->frames[i].function == want->frames[i].function &&
		                  got->frames[i].offset == want->frames[i].offset,
		              "%s: frame %u is function %u at 0x%llx, not %u at 0x%llx", name, i,
		              got->frames[i].function, (unsigned long long)got->frames[i].offset,
		              want->frames[i].function,
		              (unsigned long long)want->frames[i].offset);
		ck_assert_str_eq(got->frames[i].name, want->frames[i].name);
	}
}

START_TEST(calls_end_as_in_the_interpreter)
{
	const struct call_case *c = &call_cases[_i];
	enum vm_status st[TIERS];
	struct vm_error e[TIERS];
	int32_t result[TIERS];

	/* Twice: whatever ended, the store goes on. */
	for (int round = 0; round < (c->is_ended ? 1 : 2); round++) {
		for (int tier = 0; tier < TIERS; tier++) {
			union vm_slot slots[2] = { { .i32 = c->args[0] }, { .i32 = c->args[1] } };

			memset(&e[tier], 0, sizeof(e[tier]));
			st[tier] = vm_func_call_slots(func_of(instances[tier], c->name), slots,
			                              &e[tier]);
			result[tier] = slots[0].i32;
		}
		ck_assert_msg(st[NATIVE] == st[INTERP], "%s: %s (%s), not %s", c->name,
		              vm_status_name(st[NATIVE]), e[NATIVE].message,
		              vm_status_name(st[INTERP]));
		if (st[INTERP] != VM_OK)
			errors_agree(c->name, &e[INTERP], &e[NATIVE]);
		else if (strcmp(c->name, "fill") != 0)
			ck_assert_int_eq(result[NATIVE], result[INTERP]);
	}
}
END_TEST

START_TEST(values_of_all_kinds_find_their_places)
{
	union vm_slot out[TIERS][11];

	for (int tier = 0; tier < TIERS; tier++) {
		union vm_slot *s = out[tier];

		memset(s, 0, sizeof(out[tier]));
		s[0].i32 = 1;
		s[1].i64 = INT64_C(1) << 40;
		s[2].f32 = 1.5f;
		s[3].f64 = 2.25;
		s[4].u64 = UINT64_C(0x1111111111111111);
		s[5].u64 = UINT64_C(0x2222222222222222);
		s[6].i32 = 2;
		s[7].i64 = 7;
		s[8].i32 = 3;
		s[9].i32 = 4;
		s[10].f64 = 100.0;
		must(vm_func_call_slots(func_of(instances[tier], "many"), s, &err));
	}
	ck_assert(out[NATIVE][0].f64 == 103.75);
	ck_assert_int_eq(out[NATIVE][1].i32, 4321);
	ck_assert_uint_eq(out[NATIVE][2].u64, UINT64_C(0x2222222222222222));
	ck_assert_uint_eq(out[NATIVE][3].u64, UINT64_C(0x1111111111111111));
	ck_assert_int_eq(out[NATIVE][4].i64, (INT64_C(1) << 40) - 7);
	ck_assert_mem_eq(&out[NATIVE][2], &out[INTERP][2], 3 * sizeof(union vm_slot));
}
END_TEST

START_TEST(a_deep_recursion_has_a_backtrace)
{
	union vm_slot slot = { .i32 = 0 };

	ck_assert_int_eq(vm_func_call_slots(func_of(instances[NATIVE], "recurse"), &slot, &err),
	                 VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_STACK_OVERFLOW);
	ck_assert_uint_eq(err.frame_count, VM_ERROR_FRAMES_MAX);
	ck_assert_uint_gt(err.frames_omitted, 1000);
	for (uint32_t i = 0; i < err.frame_count; i++) {
		ck_assert_uint_eq(err.frames[i].function, 5);
		ck_assert_uint_eq(err.frames[i].offset, 0xd6);
	}
}
END_TEST

/* Rounding and flushing are the host's own affair. */
START_TEST(guests_get_the_default_floating_point_environment)
{
	unsigned int before = _mm_getcsr();
	unsigned int odd = (before & ~0xffc0u) | 0xdfc0; /* upwards, flush, denormals are zero */
	union vm_slot slot = { .u64 = 0 };

	for (int tier = 0; tier < TIERS; tier++) {
		_mm_setcsr(odd);
		enum vm_status st =
		    vm_func_call_slots(func_of(instances[tier], "third"), &slot, &err);
		unsigned int after = _mm_getcsr();
		_mm_setcsr(before);
		must(st);
		ck_assert_uint_eq(slot.u64, UINT64_C(0x3fd5555555555555));
		ck_assert_uint_eq(after & 0xffc0, odd & 0xffc0);
	}
	/* Also when a fault ends it. */
	_mm_setcsr(odd);
	union vm_slot far = { .i32 = -1 };
	enum vm_status st = vm_func_call_slots(func_of(instances[NATIVE], "load"), &far, &err);
	unsigned int after = _mm_getcsr();
	_mm_setcsr(before);
	ck_assert_int_eq(st, VM_TRAP);
	ck_assert_uint_eq(after & 0xffc0, odd & 0xffc0);
}
END_TEST

static void *
third_upwards(void *arg)
{
	union vm_slot *slot = arg;

	_mm_setcsr((_mm_getcsr() & ~0xffc0u) | 0xdfc0);
	must(vm_func_call_slots(func_of(instances[NATIVE], "third"), slot, &err));
	return NULL;
}

/* What one thread has says nothing of the next. */
START_TEST(every_thread_is_asked_for_its_floating_point_environment)
{
	union vm_slot slot = { .u64 = 0 };
	pthread_t thread;

	must(vm_func_call_slots(func_of(instances[NATIVE], "third"), &slot, &err));
	slot.u64 = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, third_upwards, &slot), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(slot.u64, UINT64_C(0x3fd5555555555555));
}
END_TEST

/* --- stopping --------------------------------------------------------------------------------- */

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

enum { LATE_NS = 100000000 };

START_TEST(a_deadline_ends_an_endless_loop)
{
	uint64_t at = now_ns() + 3000000;
	union vm_slot slot = { .u64 = 0 };

	must(vm_store_set_deadline(stores[NATIVE], at, &err));
	ck_assert_int_eq(vm_func_call_slots(func_of(instances[NATIVE], "spin"), &slot, &err),
	                 VM_TRAP);
	ck_assert_uint_lt(now_ns(), at + LATE_NS);
	ck_assert_int_eq(err.trap, VM_TRAP_DEADLINE);
	ck_assert_uint_eq(err.frame_count, 1);
	ck_assert_uint_eq(err.function, 6);
	ck_assert_uint_eq(err.offset, 0xe0);
	/* And nothing runs in the store any more. */
	ck_assert_int_eq(vm_func_call_slots(func_of(instances[NATIVE], "spin"), &slot, &err),
	                 VM_TRAP);
}
END_TEST

static void *
spin(void *arg)
{
	struct vm_instance *instance = arg;
	struct vm_error e;
	union vm_slot slot = { .u64 = 0 };
	struct vm_extern func;

	if (vm_instance_export(instance, VM_STR("spin"), &func, &e) != VM_OK ||
	    vm_func_call_slots(func.of.func, &slot, &e) != VM_TRAP || e.trap != VM_TRAP_CANCELLED)
		return arg;
	return NULL;
}

/* Stops that come at any moment of a call: before, on the way in, inside. */
START_TEST(a_stop_comes_through_whenever_it_is_asked_for)
{
	for (int i = 0; i < 300; i++) {
		struct vm_store *store;
		struct vm_instance *instance = instantiate(VM_TIER_BEST, &store);
		pthread_t thread;
		void *failed;

		ck_assert_str_eq(vm_instance_tier(instance), "native");
		ck_assert_int_eq(pthread_create(&thread, NULL, spin, instance), 0);
		uint64_t until = now_ns() + (uint64_t)(i % 50) * 2000;
		while (now_ns() < until)
			;
		uint64_t asked = now_ns();
		vm_store_stop(store, VM_TRAP_CANCELLED);
		pthread_join(thread, &failed);
		ck_assert_ptr_null(failed);
		ck_assert_uint_lt(now_ns(), asked + LATE_NS);
		vm_store_free(store);
	}
}
END_TEST

/* --- fitting ---------------------------------------------------------------------------------- */

static enum vm_status
attach(const uint8_t *bytes, size_t len)
{
	uint8_t its_mac[VM_MAC_BYTES];

	vm_artifact_mac(key, bytes, len, its_mac);
	return vm_module_attach(module, bytes, len, its_mac, key, &err);
}

START_TEST(only_the_key_that_made_the_mac_opens)
{
	uint8_t other_key[VM_MAC_KEY_BYTES] = { 9 };

	ck_assert_int_eq(vm_module_attach(module, artifact.data, artifact.size_bytes, mac,
	                                  other_key, &err),
	                 VM_E_MALFORMED);
	ck_assert(!vm_module_has_native(module, false));
	must(attach(artifact.data, artifact.size_bytes));
	ck_assert(vm_module_has_native(module, false));
	ck_assert(!vm_module_has_native(module, true));
	ck_assert_int_eq(attach(artifact.data, artifact.size_bytes), VM_E_ARGUMENT);
	ck_assert(vm_module_has_native(module, false));
}
END_TEST

static const struct fit_case {
	const char *what;
	size_t offset;
	enum vm_status want;
	const char *message;
} fit_cases[] = {
	{ "build", offsetof(struct artifact_header, build), VM_E_NOT_FOUND, "another build" },
	{ "module", offsetof(struct artifact_header, module), VM_E_NOT_FOUND, "another module" },
	{ "version", offsetof(struct artifact_header, version), VM_E_NOT_FOUND, "version" },
	{ "magic", 0, VM_E_MALFORMED, "begin" },
	{ "functions", offsetof(struct artifact_header, func_count), VM_E_MALFORMED, "functions" },
	{ "size", offsetof(struct artifact_header, size_bytes), VM_E_MALFORMED, "size" },
};

START_TEST(what_does_not_fit_is_refused)
{
	const struct fit_case *c = &fit_cases[_i];

	artifact.data[c->offset] ^= 0x40;
	enum vm_status st = attach(artifact.data, artifact.size_bytes);
	ck_assert_msg(st == c->want && strstr(err.message, c->message) != NULL, "%s: %s (%s)",
	              c->what, vm_status_name(st), err.message);
	ck_assert(!vm_module_has_native(module, false));
}
END_TEST

/* --- loaded with their code ------------------------------------------------------------------- */

static enum vm_status
load_native(struct vm_engine *by, const uint8_t *bytes, struct vm_module **out,
            struct vm_error *misfit)
{
	const struct vm_artifact kept = { artifact.data, artifact.size_bytes, mac };

	return vm_module_load_native(by, bytes, sizeof(guest_wasm), &kept, key, out, misfit, &err);
}

/* The module with an addition of i64 in its function "add", which has i32. */
static const uint8_t *
invalid_wasm(void)
{
	static uint8_t bytes[sizeof(guest_wasm)];
	uint64_t offset, size_bytes;

	memcpy(bytes, guest_wasm, sizeof(bytes));
	vm_module_function_body(module, 2, &offset, &size_bytes);
	ck_assert_uint_eq(bytes[offset + size_bytes - 2], 0x6a);
	bytes[offset + size_bytes - 2] = 0x7c;
	return bytes;
}

static void
call_add(struct vm_module *of, enum vm_tier_policy tier, enum vm_status want)
{
	union vm_slot slots[2] = { { .i32 = 40 }, { .i32 = 2 } };
	struct vm_instance *instance;
	struct vm_store_config config;
	struct vm_store *store;

	vm_store_config_init(&config);
	config.tier = tier;
	must(vm_store_new(engine, &config, &store, &err));
	must(vm_linker_instantiate(linker, store, of, &instance, &err));
	ck_assert_int_eq(vm_func_call_slots(func_of(instance, "add"), slots, &err), want);
	ck_assert(want != VM_OK || slots[0].i32 == 42);
	vm_store_free(store);
}

START_TEST(a_module_loaded_with_its_code_is_as_if_validated)
{
	struct vm_module *proven;
	struct vm_error misfit;

	must(load_native(engine, guest_wasm, &proven, &misfit));
	ck_assert_int_eq(misfit.status, VM_OK);
	ck_assert(vm_module_has_native(proven, false));
	ck_assert_uint_eq(vm_module_features(proven), vm_module_features(module));
	call_add(proven, VM_TIER_NATIVE, VM_OK);
	call_add(proven, VM_TIER_INTERP, VM_OK);
	vm_module_unref(proven);
}
END_TEST

/* Only code of these very bytes stands in for their validation. */
START_TEST(an_invalid_body_is_refused_whatever_code_comes_with_it)
{
	struct vm_module *loaded = NULL;
	struct vm_error misfit;

	ck_assert_int_eq(load_native(engine, invalid_wasm(), &loaded, &misfit), VM_E_INVALID);
	ck_assert_uint_eq(err.function, 2);
	/* Even if it claims to be, as nobody can vouch for that. */
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(guest_wasm), invalid_wasm());
	sha256_digest(&ctx, VM_DIGEST_BYTES,
	              artifact.data + offsetof(struct artifact_header, module));
	ck_assert_int_eq(load_native(engine, invalid_wasm(), &loaded, &misfit), VM_E_INVALID);
	ck_assert_int_eq(misfit.status, VM_E_MALFORMED);
	ck_assert_ptr_null(loaded);

	/* And if it could: what is translated is validated. */
	vm_artifact_mac(key, artifact.data, artifact.size_bytes, mac);
	must(load_native(engine, invalid_wasm(), &loaded, &misfit));
	call_add(loaded, VM_TIER_INTERP, VM_E_INVALID);
	vm_module_unref(loaded);
}
END_TEST

/* The artifact in pieces, the first shorter than its header; *out is the caller's in any case. */
static enum vm_status
seal_code(struct vm_code **out)
{
	must(vm_code_new(engine, key, out, &err));
	for (size_t at = 0, len = 10; at < artifact.size_bytes; at += len, len = 1000) {
		if (len > artifact.size_bytes - at)
			len = artifact.size_bytes - at;
		must(vm_code_add(*out, artifact.data + at, len, &err));
	}
	return vm_code_seal(*out, mac, &err);
}

/* A digest stands for the bytes: one of other bytes proves nothing, and a true one all. */
START_TEST(a_digest_that_is_vouched_for_says_what_was_validated)
{
	uint8_t digest[VM_DIGEST_BYTES], found[VM_DIGEST_BYTES];
	struct vm_module *loaded = NULL;
	struct vm_error misfit;
	struct vm_code *code;

	vm_module_digest(module, digest);
	must(seal_code(&code));
	must(vm_module_load_code(engine, guest_wasm, sizeof(guest_wasm), digest, code, &loaded,
	                         &misfit, &err));
	ck_assert_int_eq(misfit.status, VM_OK);
	vm_module_digest(loaded, found);
	ck_assert_mem_eq(found, digest, sizeof(found));
	call_add(loaded, VM_TIER_NATIVE, VM_OK);
	vm_module_unref(loaded);

	/* The same code once more, for bytes of another digest. */
	digest[5] ^= 1;
	must(vm_module_load_code(engine, guest_wasm, sizeof(guest_wasm), digest, code, &loaded,
	                         &misfit, &err));
	ck_assert_int_eq(misfit.status, VM_OK); /* the module's own was computed */
	vm_module_unref(loaded);
	loaded = NULL;
	ck_assert_int_eq(vm_module_load_code(engine, invalid_wasm(), sizeof(guest_wasm), digest,
	                                     code, &loaded, &misfit, &err),
	                 VM_E_INVALID);
	ck_assert_int_eq(vm_module_load_code(engine, invalid_wasm(), sizeof(guest_wasm), NULL, code,
	                                     &loaded, &misfit, &err),
	                 VM_E_INVALID);
	ck_assert_ptr_null(loaded);
	vm_code_free(code);
}
END_TEST

START_TEST(code_that_does_not_fit_is_not_opened)
{
	struct vm_code *code;

	mac[3] ^= 1;
	ck_assert_int_eq(seal_code(&code), VM_E_MALFORMED);
	vm_code_free(code);
	artifact.data[offsetof(struct artifact_header, build)] ^= 1;
	vm_artifact_mac(key, artifact.data, artifact.size_bytes, mac);
	ck_assert_int_eq(seal_code(&code), VM_E_NOT_FOUND);
	vm_code_free(code);
}
END_TEST

START_TEST(code_that_does_not_fit_is_left_out)
{
	struct vm_module *loaded;
	struct vm_error misfit;

	mac[3] ^= 1;
	must(load_native(engine, guest_wasm, &loaded, &misfit));
	ck_assert_int_eq(misfit.status, VM_E_MALFORMED);
	ck_assert(!vm_module_has_native(loaded, false));
	call_add(loaded, VM_TIER_INTERP, VM_OK);
	vm_module_unref(loaded);
}
END_TEST

/* What an engine does not allow was perhaps allowed where the code was made. */
START_TEST(limits_and_features_hold_with_code_too)
{
	for (int i = 0; i < 3; i++) {
		struct vm_engine_config config;
		struct vm_module *loaded = NULL;
		struct vm_engine *other;
		struct vm_error misfit;

		vm_engine_config_init(&config);
		if (i == 0)
			config.limits.locals_max = 1;
		else if (i == 1)
			config.limits.frame_slots_max = 1;
		else
			config.features &= ~VM_FEATURE_BIT(TAIL_CALL);
		must(vm_engine_new(&config, &other, &err));
		enum vm_status want =
		    vm_module_load(other, guest_wasm, sizeof(guest_wasm), &loaded, &err);
		ck_assert_int_ne(want, VM_OK);
		ck_assert_int_eq(load_native(other, guest_wasm, &loaded, &misfit), want);
		ck_assert_ptr_null(loaded);
		vm_engine_unref(other);
	}
}
END_TEST

START_TEST(a_processor_without_a_feature_does_not_run_code_that_has_it)
{
	struct native_objects objects = objects_read("guest.o");
	struct vm_artifact_info info = info_of(module), described;
	struct vm_bytes other;

	info.cpu_features = (UINT64_C(1) << CPU_COUNT) - 1;
	info.metered = true;
	must(native_link(module, &objects, &info, &other, &err));
	objects_free(&objects);
	must(vm_artifact_describe(other.data, other.size_bytes, &described, &err));
	ck_assert_uint_eq(described.cpu_features, info.cpu_features);
	ck_assert(described.metered && !described.canonical_nans && !described.relaxed_traps);
	ck_assert_uint_gt(described.code_bytes, 100);
	bool has_all = vm_cpu_features() == info.cpu_features;
	ck_assert_int_eq(attach(other.data, other.size_bytes), has_all ? VM_OK : VM_E_NOT_FOUND);
	vm_bytes_free(&other);
}
END_TEST

START_TEST(the_policy_of_the_store_decides)
{
	struct vm_store_config config;
	struct vm_store *store;
	struct vm_instance *instance;

	vm_store_config_init(&config);
	config.tier = VM_TIER_NATIVE;
	must(vm_store_new(engine, &config, &store, &err));
	ck_assert_int_eq(vm_linker_instantiate(linker, store, module, &instance, &err),
	                 VM_E_UNSUPPORTED);
	must(attach(artifact.data, artifact.size_bytes));
	must(vm_linker_instantiate(linker, store, module, &instance, &err));
	ck_assert_str_eq(vm_instance_tier(instance), "native");
	vm_store_free(store);
	config.metered = true;
	must(vm_store_new(engine, &config, &store, &err));
	ck_assert_int_eq(vm_linker_instantiate(linker, store, module, &instance, &err),
	                 VM_E_UNSUPPORTED);
	vm_store_free(store);
	config.tier = VM_TIER_BEST;
	must(vm_store_new(engine, &config, &store, &err));
	must(vm_linker_instantiate(linker, store, module, &instance, &err));
	ck_assert_str_eq(vm_instance_tier(instance), "interp");
	vm_store_free(store);
}
END_TEST

/* --- damage ----------------------------------------------------------------------------------- */

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* A bit, several, or the end: what may happen to bytes that are kept. */
static size_t
damage(uint8_t *bytes, size_t len, uint32_t *random)
{
	uint32_t kind = next_random(random) % 8;

	if (kind == 0)
		return next_random(random) % len;
	for (uint32_t i = 0; i < kind; i++)
		bytes[next_random(random) % len] ^= (uint8_t)(1u << next_random(random) % 8);
	return len;
}

/* Each damaged artifact is refused by its MAC; with a new one nothing bad happens either. */
START_TEST(damaged_artifacts_are_refused)
{
	uint8_t *copy = malloc(artifact.size_bytes);
	uint32_t random = 1;
	int attached = 0;

	for (int i = 0; i < 10000; i++) {
		memcpy(copy, artifact.data, artifact.size_bytes);
		size_t len = damage(copy, artifact.size_bytes, &random);
		if (len == artifact.size_bytes && memcmp(copy, artifact.data, len) == 0)
			continue;
		ck_assert_int_eq(vm_module_attach(module, copy, len, mac, key, &err),
		                 VM_E_MALFORMED);

		struct vm_module *fresh = NULL;
		uint8_t its_mac[VM_MAC_BYTES];
		if (i % 10 == 0) { /* loading takes longest */
			fresh = load(guest_wasm, sizeof(guest_wasm));
			vm_artifact_mac(key, copy, len, its_mac);
			attached += vm_module_attach(fresh, copy, len, its_mac, key, &err) == VM_OK;
			vm_module_unref(fresh);
		}
		struct artifact read;
		if (artifact_read(copy, len, &read, &err) == VM_OK) {
			uint32_t number;

			for (uint32_t text = 0; text < 300; text += 7) {
				(void)artifact_position(&read, text);
				(void)artifact_find_function(&read, text, &number);
			}
		}
	}
	ck_assert_int_gt(attached, 0); /* damage to code or constants only is not seen by itself */
	free(copy);
}
END_TEST

/* --- linking ---------------------------------------------------------------------------------- */

/* (module (func)), whose function is f0; bad objects define f2. */
static const struct bad_case {
	const char *object;
	const char *message;
} bad_cases[] = {
	{ "bad1.o", "only relative ones" },
	{ "bad2.o", "puts" },
	{ "bad3.o", "no data to write: section .data" },
	{ "bad4.o", "only relative ones" },
	{ "bad5.o", "no data to write: section .bss" },
	{ "bad6.o", "no data to write: section .tdata" },
	{ "bad7.o", "left out function 3" },
};

START_TEST(objects_that_cannot_be_linked_are_refused)
{
	const struct bad_case *c = &bad_cases[_i];
	struct native_objects objects = objects_read(c->object);
	struct native_objects with_rest = objects_read("guest.o");
	struct vm_artifact_info info = info_of(module);
	struct vm_bytes out = { NULL, 0 };

	/* The rest of the functions from the good object, under which f2 is another. */
	if (_i < 6)
		objects_rename(&with_rest, "f2", "fx");
	struct native_object both[2] = { objects.items[0], with_rest.items[0] };
	struct native_objects all = { both, _i < 6 ? 2 : 1 };
	enum vm_status st = native_link(module, &all, &info, &out, &err);
	ck_assert_msg(st == VM_E_MALFORMED && strstr(err.message, c->message) != NULL,
	              "%s: %s (%s)", c->object, vm_status_name(st), err.message);
	ck_assert_ptr_null(out.data);
	objects_free(&objects);
	objects_free(&with_rest);
}
END_TEST

START_TEST(a_function_defined_twice_is_refused)
{
	struct native_objects one = objects_read("guest.o");
	struct native_object both[2] = { one.items[0], one.items[0] };
	struct native_objects all = { both, 2 };
	struct vm_artifact_info info = info_of(module);
	struct vm_bytes out;

	ck_assert_int_eq(native_link(module, &all, &info, &out, &err), VM_E_MALFORMED);
	ck_assert_ptr_nonnull(strstr(err.message, "defined twice"));
	objects_free(&one);
}
END_TEST

/* --- places ----------------------------------------------------------------------------------- */

START_TEST(ranges_of_the_code_space_are_used_again)
{
	uint8_t *a = codespace_take(4096), *b = codespace_take(10000), *c = codespace_take(1);

	ck_assert(codespace_contains((uintptr_t)a) && codespace_contains((uintptr_t)c + 4095));
	ck_assert_ptr_eq(b, a + 4096);
	ck_assert_ptr_eq(c, b + 12288);
	codespace_give(b, 10000);
	ck_assert_ptr_eq(codespace_take(8192), b);
	ck_assert_ptr_eq(codespace_take(4096), b + 8192);
	codespace_give(a, 4096);
	codespace_give(c, 1);
	codespace_give(b + 8192, 4096);
	codespace_give(b, 8192);
	ck_assert_ptr_eq(codespace_take(UINT64_C(1) << 20), a);
	codespace_give(a, UINT64_C(1) << 20);
	ck_assert_ptr_null(codespace_take(0));
	ck_assert_ptr_null(codespace_take(SIZE_MAX));
	ck_assert(!codespace_contains((uintptr_t)&codespace_start));
}
END_TEST

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

START_TEST(nothing_is_ever_writable_and_executable)
{
	char line[256];
	int mapped = 0;

	/* Where the kernel can forbid it, it has to work under that; elsewhere the map tells. */
	(void)prctl(PR_SET_MDWE, 1UL, 0UL, 0UL, 0UL);
	must(attach(artifact.data, artifact.size_bytes));
	instances[NATIVE] = instantiate(VM_TIER_NATIVE, &stores[NATIVE]);
	union vm_slot slots[2] = { { .i32 = 40 }, { .i32 = 2 } };
	must(vm_func_call_slots(func_of(instances[NATIVE], "add"), slots, &err));
	ck_assert_int_eq(slots[0].i32, 42);

	FILE *maps = fopen("/proc/self/maps", "r");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		const char *rights = strchr(line, ' ');

		if (strstr(line, "wasm-code") == NULL || rights == NULL)
			continue;
		mapped++;
		ck_assert_msg(rights[2] != 'w', "%s", line);
	}
	fclose(maps);
	ck_assert_int_eq(mapped, 2);
}
END_TEST

START_TEST(profilers_learn_the_names)
{
	char path[64], line[256];
	int found = 0;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	vm_native_set_debug(VM_NATIVE_PERF_MAP | VM_NATIVE_GDB);
	must(attach(artifact.data, artifact.size_bytes));
	vm_native_set_debug(0);
	FILE *map = fopen(path, "r");
	ck_assert_ptr_nonnull(map);
	while (fgets(line, sizeof(line), map) != NULL)
		found += strstr(line, " recurse\n") != NULL || strstr(line, " add\n") != NULL;
	fclose(map);
	unlink(path);
	ck_assert_int_eq(found, 2);
}
END_TEST

START_TEST(names_of_processors_have_meanings)
{
	uint64_t v1 = 1, v2 = 0, v3 = 0, v4 = 0, host = 0;

	ck_assert(vm_cpu_find(VM_STR("baseline"), &v1) && v1 == 0);
	ck_assert(vm_cpu_find(VM_STR("x86-64-v2"), &v2) && (v2 & CPU_BIT(SSE42)));
	ck_assert(vm_cpu_find(VM_STR("x86-64-v3"), &v3) && (v3 & CPU_BIT(AVX2)) && (v3 & v2) == v2);
	ck_assert(vm_cpu_find(VM_STR("x86-64-v4"), &v4) && (v4 & CPU_BIT(AVX512F)) && !(v3 & ~v4));
	ck_assert(vm_cpu_find(VM_STR("host"), &host) && host == vm_cpu_features());
	ck_assert(!vm_cpu_find(VM_STR("z80"), &host));
}
END_TEST

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("native");
	TCase *run = tcase_create("run"), *keep = tcase_create("keep");

	tcase_add_checked_fixture(run, setup, teardown);
	tcase_set_timeout(run, 60);
	tcase_add_loop_test(run, calls_end_as_in_the_interpreter, 0, COUNT_OF(call_cases));
	tcase_add_test(run, values_of_all_kinds_find_their_places);
	tcase_add_test(run, a_deep_recursion_has_a_backtrace);
	tcase_add_test(run, guests_get_the_default_floating_point_environment);
	tcase_add_test(run, every_thread_is_asked_for_its_floating_point_environment);
	tcase_add_test(run, a_deadline_ends_an_endless_loop);
	tcase_add_test(run, a_stop_comes_through_whenever_it_is_asked_for);
	suite_add_tcase(suite, run);

	tcase_add_checked_fixture(keep, setup_linked, teardown);
	tcase_set_timeout(keep, 60);
	tcase_add_test(keep, only_the_key_that_made_the_mac_opens);
	tcase_add_loop_test(keep, what_does_not_fit_is_refused, 0, COUNT_OF(fit_cases));
	tcase_add_test(keep, a_module_loaded_with_its_code_is_as_if_validated);
	tcase_add_test(keep, an_invalid_body_is_refused_whatever_code_comes_with_it);
	tcase_add_test(keep, a_digest_that_is_vouched_for_says_what_was_validated);
	tcase_add_test(keep, code_that_does_not_fit_is_not_opened);
	tcase_add_test(keep, code_that_does_not_fit_is_left_out);
	tcase_add_test(keep, limits_and_features_hold_with_code_too);
	tcase_add_test(keep, a_processor_without_a_feature_does_not_run_code_that_has_it);
	tcase_add_test(keep, the_policy_of_the_store_decides);
	tcase_add_test(keep, damaged_artifacts_are_refused);
	tcase_add_loop_test(keep, objects_that_cannot_be_linked_are_refused, 0,
	                    COUNT_OF(bad_cases));
	tcase_add_test(keep, a_function_defined_twice_is_refused);
	tcase_add_test(keep, ranges_of_the_code_space_are_used_again);
	tcase_add_test(keep, nothing_is_ever_writable_and_executable);
	tcase_add_test(keep, profilers_learn_the_names);
	tcase_add_test(keep, names_of_processors_have_meanings);
	suite_add_tcase(suite, keep);
	return suite;
}
