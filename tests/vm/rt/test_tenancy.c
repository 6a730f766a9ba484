/*
 * test_tenancy.c - what one tenant leaves to the next on pooled memories, stores and instances.
 *
 * A guest puts a secret wherever guests can; whoever comes next has to find everything as if it
 * were the first. TENANCY_ROUNDS sets how often the two alternate. With TENANCY_TIER=native the
 * programs run as native code (tenancy_native.sh).
 */
#include "tests/support/tier.h"
#include "tests/vm/rt/fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "vm/rt/effect.h"
#include "vm/rt/keep.h"
#include "vm/rt/pool.h"

/*
 * (module
 *   (memory $m (export "m") 1 60)
 *   (memory $n (export "n") i64 1 60)
 *   (global $g (export "g") (mut i64) (i64.const 7))
 *   (global $v (export "v") (mut v128) (v128.const i64x2 1 2))
 *   (table $t (export "t") 4 100 funcref)
 *   (table $x (export "x") 2 100 externref)
 *   (elem (table $t) (i32.const 1) func $f)
 *   (elem $q func $f $f)
 *   (data (memory $m) (i32.const 100) "initial")
 *   (data $p "passive")
 *   (func $f (export "f") (result i32) i32.const 42)
 *   ;; grow both memories, then put the secret wherever a guest can
 *   (func (export "fill") (param $secret i32) (param $pages i32) (param $elems i32)
 *     (param $x externref) (result i32)
 *     (i32.and
 *       (i32.ge_s (memory.grow $m (local.get $pages)) (i32.const 0))
 *       (i64.ge_s (memory.grow $n (i64.extend_i32_u (local.get $pages))) (i64.const 0)))
 *     (i32.ge_s (table.grow $t (table.get $t (i32.const 1)) (local.get $elems)) (i32.const 0))
 *     i32.and
 *     (memory.fill $m (i32.const 0) (local.get $secret)
 *       (i32.mul (memory.size $m) (i32.const 65536)))
 *     (memory.fill $n (i64.const 0) (local.get $secret)
 *       (i64.mul (memory.size $n) (i64.const 65536)))
 *     (global.set $g (i64.extend_i32_u (local.get $secret)))
 *     (global.set $v (i8x16.splat (local.get $secret)))
 *     (table.fill $t (i32.const 0) (table.get $t (i32.const 1)) (table.size $t))
 *     (table.fill $x (i32.const 0) (local.get $x) (table.size $x))
 *     (data.drop $p)
 *     (elem.drop $q))
 *   ;; bytes that are not zero in pages fresh from growing, and in the whole
 *   (func (export "scan") (param $pages i32) (result i32) (local $at i32) (local $found i32)
 *     (drop (memory.grow $m (local.get $pages)))
 *     (local.set $at (i32.mul (memory.size $m) (i32.const 65536)))
 *     (loop $next
 *       (local.set $at (i32.sub (local.get $at) (i32.const 8)))
 *       (local.set $found (i32.add (local.get $found)
 *         (i64.ne (i64.load (local.get $at)) (i64.const 0))))
 *       (br_if $next (local.get $at)))
 *     (local.get $found))
 *   ;; segments are whole again: traps otherwise
 *   (func (export "segments")
 *     (memory.init $m $p (i32.const 0) (i32.const 0) (i32.const 7))
 *     (table.init $t $q (i32.const 2) (i32.const 0) (i32.const 2)))
 * )
 */
static const uint8_t tenant_wasm[] = {
	0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x15, 0x04, 0x60, 0x00, 0x01, 0x7f,
	0x60, 0x04, 0x7f, 0x7f, 0x7f, 0x6f, 0x01, 0x7f, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x00,
	0x00, 0x03, 0x05, 0x04, 0x00, 0x01, 0x02, 0x03, 0x04, 0x09, 0x02, 0x70, 0x01, 0x04, 0x64,
	0x6f, 0x01, 0x02, 0x64, 0x05, 0x07, 0x02, 0x01, 0x01, 0x3c, 0x05, 0x01, 0x3c, 0x06, 0x1b,
	0x02, 0x7e, 0x01, 0x42, 0x07, 0x0b, 0x7b, 0x01, 0xfd, 0x0c, 0x01, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x07, 0x36, 0x0a,
	0x01, 0x6d, 0x02, 0x00, 0x01, 0x6e, 0x02, 0x01, 0x01, 0x67, 0x03, 0x00, 0x01, 0x76, 0x03,
	0x01, 0x01, 0x74, 0x01, 0x00, 0x01, 0x78, 0x01, 0x01, 0x01, 0x66, 0x00, 0x00, 0x04, 0x66,
	0x69, 0x6c, 0x6c, 0x00, 0x01, 0x04, 0x73, 0x63, 0x61, 0x6e, 0x00, 0x02, 0x08, 0x73, 0x65,
	0x67, 0x6d, 0x65, 0x6e, 0x74, 0x73, 0x00, 0x03, 0x09, 0x0c, 0x02, 0x00, 0x41, 0x01, 0x0b,
	0x01, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x0c, 0x01, 0x02, 0x0a, 0xb0, 0x01, 0x04, 0x04,
	0x00, 0x41, 0x2a, 0x0b, 0x62, 0x00, 0x20, 0x01, 0x40, 0x00, 0x41, 0x00, 0x4e, 0x20, 0x01,
	0xad, 0x40, 0x01, 0x42, 0x00, 0x59, 0x71, 0x41, 0x01, 0x25, 0x00, 0x20, 0x02, 0xfc, 0x0f,
	0x00, 0x41, 0x00, 0x4e, 0x71, 0x41, 0x00, 0x20, 0x00, 0x3f, 0x00, 0x41, 0x80, 0x80, 0x04,
	0x6c, 0xfc, 0x0b, 0x00, 0x42, 0x00, 0x20, 0x00, 0x3f, 0x01, 0x42, 0x80, 0x80, 0x04, 0x7e,
	0xfc, 0x0b, 0x01, 0x20, 0x00, 0xad, 0x24, 0x00, 0x20, 0x00, 0xfd, 0x0f, 0x24, 0x01, 0x41,
	0x00, 0x41, 0x01, 0x25, 0x00, 0xfc, 0x10, 0x00, 0xfc, 0x11, 0x00, 0x41, 0x00, 0x20, 0x03,
	0xfc, 0x10, 0x01, 0xfc, 0x11, 0x01, 0xfc, 0x09, 0x01, 0xfc, 0x0d, 0x01, 0x0b, 0x2f, 0x01,
	0x02, 0x7f, 0x20, 0x00, 0x40, 0x00, 0x1a, 0x3f, 0x00, 0x41, 0x80, 0x80, 0x04, 0x6c, 0x21,
	0x01, 0x03, 0x40, 0x20, 0x01, 0x41, 0x08, 0x6b, 0x21, 0x01, 0x20, 0x02, 0x20, 0x01, 0x29,
	0x03, 0x00, 0x42, 0x00, 0x52, 0x6a, 0x21, 0x02, 0x20, 0x01, 0x0d, 0x00, 0x0b, 0x20, 0x02,
	0x0b, 0x16, 0x00, 0x41, 0x00, 0x41, 0x00, 0x41, 0x07, 0xfc, 0x08, 0x01, 0x00, 0x41, 0x02,
	0x41, 0x00, 0x41, 0x02, 0xfc, 0x0c, 0x01, 0x00, 0x0b, 0x0b, 0x17, 0x02, 0x00, 0x41, 0xe4,
	0x00, 0x0b, 0x07, 0x69, 0x6e, 0x69, 0x74, 0x69, 0x61, 0x6c, 0x01, 0x07, 0x70, 0x61, 0x73,
	0x73, 0x69, 0x76, 0x65,
};

/*
 * (module (memory (export "m") 1)
 *   (global $g (export "g") (mut i32) (i32.const 0))
 *   (func $start
 *     (global.set $g (i32.add (global.get $g) (i32.const 1)))
 *     (i32.store8 (i32.const 9) (i32.add (i32.load8_u (i32.const 9)) (i32.const 1))))
 *   (start $start))
 */
static const uint8_t counts_wasm[] = {
	0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03,
	0x02, 0x01, 0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x06, 0x06, 0x01, 0x7f, 0x01, 0x41, 0x00,
	0x0b, 0x07, 0x09, 0x02, 0x01, 0x6d, 0x02, 0x00, 0x01, 0x67, 0x03, 0x00, 0x08, 0x01, 0x00,
	0x0a, 0x18, 0x01, 0x16, 0x00, 0x23, 0x00, 0x41, 0x01, 0x6a, 0x24, 0x00, 0x41, 0x09, 0x41,
	0x09, 0x2d, 0x00, 0x00, 0x41, 0x01, 0x6a, 0x3a, 0x00, 0x00, 0x0b,
};

/*
 * (module
 *   (import "host" "write" (func $host))
 *   (memory $m (export "m") 1 4)
 *   (type $plain (func))
 *   (table funcref (elem $store))
 *   (data (i32.const 8) "data")
 *   (data $p "passive")
 *   (func $store (export "store") (i32.store8 (i32.const 300) (i32.const 1)))
 *   (func (export "v128") (v128.store (i32.const 300) (v128.const i64x2 1 1)))
 *   (func (export "lane") (v128.store8_lane 0 (i32.const 300) (v128.const i64x2 1 1)))
 *   (func (export "fill") (memory.fill (i32.const 300) (i32.const 1) (i32.const 9)))
 *   (func (export "copy") (memory.copy (i32.const 300) (i32.const 8) (i32.const 4)))
 *   (func (export "init") (memory.init $p (i32.const 300) (i32.const 0) (i32.const 7)))
 *   (func (export "grow") (drop (memory.grow (i32.const 1))))
 *   (func (export "indirect") (call_indirect (type $plain) (i32.const 0)))
 *   (func (export "tail") (return_call $store))
 *   (func (export "tail_indirect") (return_call_indirect (type $plain) (i32.const 0)))
 *   (func (export "host") (call $host))
 *   (func $b (drop (i32.const 1)) (call $store))
 *   (func $a (call $b))
 *   (func (export "deep") (call $a))
 *   (func $even (export "even") (param i32) (result i32)
 *     (if (result i32) (local.get 0)
 *       (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
 *   (func $odd (param i32) (result i32)
 *     (if (result i32) (local.get 0)
 *       (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
 *   (func (export "load") (param i32) (result i32)
 *     (drop (memory.size))
 *     (block $out (br_if $out (local.get 0)))
 *     (i32.load (local.get 0)))
 *   (func (export "drop") (data.drop $p) (elem.drop 0))
 * )
 */
static const uint8_t effects_wasm[] = {
	0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x09, 0x02, 0x60, 0x00, 0x00, 0x60,
	0x01, 0x7f, 0x01, 0x7f, 0x02, 0x0e, 0x01, 0x04, 0x68, 0x6f, 0x73, 0x74, 0x05, 0x77, 0x72,
	0x69, 0x74, 0x65, 0x00, 0x00, 0x03, 0x13, 0x12, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01, 0x00, 0x04, 0x05, 0x01, 0x70,
	0x01, 0x01, 0x01, 0x05, 0x04, 0x01, 0x01, 0x01, 0x04, 0x07, 0x7c, 0x10, 0x01, 0x6d, 0x02,
	0x00, 0x05, 0x73, 0x74, 0x6f, 0x72, 0x65, 0x00, 0x01, 0x04, 0x76, 0x31, 0x32, 0x38, 0x00,
	0x02, 0x04, 0x6c, 0x61, 0x6e, 0x65, 0x00, 0x03, 0x04, 0x66, 0x69, 0x6c, 0x6c, 0x00, 0x04,
	0x04, 0x63, 0x6f, 0x70, 0x79, 0x00, 0x05, 0x04, 0x69, 0x6e, 0x69, 0x74, 0x00, 0x06, 0x04,
	0x67, 0x72, 0x6f, 0x77, 0x00, 0x07, 0x08, 0x69, 0x6e, 0x64, 0x69, 0x72, 0x65, 0x63, 0x74,
	0x00, 0x08, 0x04, 0x74, 0x61, 0x69, 0x6c, 0x00, 0x09, 0x0d, 0x74, 0x61, 0x69, 0x6c, 0x5f,
	0x69, 0x6e, 0x64, 0x69, 0x72, 0x65, 0x63, 0x74, 0x00, 0x0a, 0x04, 0x68, 0x6f, 0x73, 0x74,
	0x00, 0x0b, 0x04, 0x64, 0x65, 0x65, 0x70, 0x00, 0x0e, 0x04, 0x65, 0x76, 0x65, 0x6e, 0x00,
	0x0f, 0x04, 0x6c, 0x6f, 0x61, 0x64, 0x00, 0x11, 0x04, 0x64, 0x72, 0x6f, 0x70, 0x00, 0x12,
	0x09, 0x07, 0x01, 0x00, 0x41, 0x00, 0x0b, 0x01, 0x01, 0x0c, 0x01, 0x02, 0x0a, 0xe1, 0x01,
	0x12, 0x0a, 0x00, 0x41, 0xac, 0x02, 0x41, 0x01, 0x3a, 0x00, 0x00, 0x0b, 0x1b, 0x00, 0x41,
	0xac, 0x02, 0xfd, 0x0c, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0xfd, 0x0b, 0x04, 0x00, 0x0b, 0x1c, 0x00, 0x41, 0xac, 0x02,
	0xfd, 0x0c, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0xfd, 0x58, 0x00, 0x00, 0x00, 0x0b, 0x0c, 0x00, 0x41, 0xac, 0x02, 0x41,
	0x01, 0x41, 0x09, 0xfc, 0x0b, 0x00, 0x0b, 0x0d, 0x00, 0x41, 0xac, 0x02, 0x41, 0x08, 0x41,
	0x04, 0xfc, 0x0a, 0x00, 0x00, 0x0b, 0x0d, 0x00, 0x41, 0xac, 0x02, 0x41, 0x00, 0x41, 0x07,
	0xfc, 0x08, 0x01, 0x00, 0x0b, 0x07, 0x00, 0x41, 0x01, 0x40, 0x00, 0x1a, 0x0b, 0x07, 0x00,
	0x41, 0x00, 0x11, 0x00, 0x00, 0x0b, 0x04, 0x00, 0x12, 0x01, 0x0b, 0x07, 0x00, 0x41, 0x00,
	0x13, 0x00, 0x00, 0x0b, 0x04, 0x00, 0x10, 0x00, 0x0b, 0x07, 0x00, 0x41, 0x01, 0x1a, 0x10,
	0x01, 0x0b, 0x04, 0x00, 0x10, 0x0c, 0x0b, 0x04, 0x00, 0x10, 0x0d, 0x0b, 0x11, 0x00, 0x20,
	0x00, 0x04, 0x7f, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x10, 0x05, 0x41, 0x01, 0x0b, 0x0b,
	0x11, 0x00, 0x20, 0x00, 0x04, 0x7f, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x0f, 0x05, 0x41,
	0x00, 0x0b, 0x0b, 0x11, 0x00, 0x3f, 0x00, 0x1a, 0x02, 0x40, 0x20, 0x00, 0x0d, 0x00, 0x0b,
	0x20, 0x00, 0x28, 0x02, 0x00, 0x0b, 0x08, 0x00, 0xfc, 0x09, 0x01, 0xfc, 0x0d, 0x00, 0x0b,
	0x0b, 0x13, 0x02, 0x00, 0x41, 0x08, 0x0b, 0x04, 0x64, 0x61, 0x74, 0x61, 0x01, 0x07, 0x70,
	0x61, 0x73, 0x73, 0x69, 0x76, 0x65,
};

enum { SECRET = 0xa5, PAGE = 65536, INITIAL_AT = 100, SEGMENT_WORDS = 2 };

static struct vm_program *tenant, *counts;

/* Stores run native code where a module has it. */
static void
native_attach(struct vm_module *module)
{
	const char *wanted = getenv("TENANCY_TIER");
	struct tier tier;

	tier_init(&tier);
	tier.is_native = wanted != NULL && strcmp(wanted, "native") == 0;
	ck_assert_msg(tier_prepare(&tier, module, &err) == VM_OK, "%s", err.message);
}

static struct vm_program *
program_of(struct wasm wasm)
{
	struct vm_program *program = NULL;
	struct vm_module *module = load(wasm);

	native_attach(module);
	ck_assert_msg(vm_program_new(linker, module, &program, &err) == VM_OK, "%s", err.message);
	vm_module_unref(module);
	return program;
}

static void
setup(void)
{
	fixture_setup();
	tenant = program_of(WASM(tenant));
	counts = program_of(WASM(counts));
}

static void
teardown(void)
{
	vm_program_unref(tenant);
	vm_program_unref(counts);
	fixture_teardown();
}

/* --- a tenant with a secret, and the next ----------------------------------------------------- */

/* Fill everything from inside; the pages and elements are grown before. */
static enum vm_status
guest_fill(struct vm_instance *instance, int32_t pages, int32_t elems, struct vm_error *e)
{
	union vm_slot slots[4] = { { .i32 = SECRET }, { .i32 = pages }, { .i32 = elems },
		                   { .ref = (void *)(uintptr_t)0xa5a5a5a5 } };
	struct vm_extern fill;
	enum vm_status st = vm_instance_export(instance, VM_STR("fill"), &fill, e);

	return st != VM_OK ? st : vm_func_call_slots(fill.of.func, slots, e);
}

static bool
is_zero(const uint8_t *p, uint64_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static struct vm_extern
find(struct vm_instance *instance, const char *name)
{
	struct vm_extern out = { .kind = VM_EXTERN_FUNC };
	struct vm_str text = { name, strlen(name) };

	return vm_instance_export(instance, text, &out, NULL) == VM_OK ? out
	                                                               : (struct vm_extern){ 0 };
}

/* What differs from a first instance, or NULL. No assertions: other threads ask too. */
static const char *
memories_differ(struct vm_instance *instance)
{
	const struct vm_memory *m = find(instance, "m").of.memory;
	const struct vm_memory *n = find(instance, "n").of.memory;
	const uint8_t *bytes = vm_memory_data(m);

	if (vm_memory_size(m) != PAGE || vm_memory_size(n) != PAGE)
		return "size of a memory";
	if (!is_zero(bytes, INITIAL_AT) || memcmp(bytes + INITIAL_AT, "initial", 7) != 0 ||
	    !is_zero(bytes + INITIAL_AT + 7, PAGE - INITIAL_AT - 7))
		return "memory m";
	return is_zero(vm_memory_data(n), PAGE) ? NULL : "memory n";
}

static const char *
globals_differ(struct vm_instance *instance)
{
	static const uint64_t vector[2] = { 1, 2 };
	struct vm_value g, v;

	vm_global_get(find(instance, "g").of.global, &g);
	vm_global_get(find(instance, "v").of.global, &v);
	return g.of.i64 == 7 && memcmp(v.of.v128, vector, 16) == 0 ? NULL : "a global";
}

static const char *
tables_differ(struct vm_instance *instance)
{
	const struct vm_table *t = find(instance, "t").of.table, *x = find(instance, "x").of.table;
	const struct vm_func *f = find(instance, "f").of.func;
	struct vm_value value;

	if (vm_table_size(t) != 4 || vm_table_size(x) != 2)
		return "size of a table";
	for (uint64_t i = 0; i < 4; i++) {
		if (vm_table_get(t, i, &value, NULL) != VM_OK ||
		    value.of.ref != (i == 1 ? f : NULL))
			return "table t";
	}
	for (uint64_t i = 0; i < 2; i++) {
		if (vm_table_get(x, i, &value, NULL) != VM_OK || value.of.ref != NULL)
			return "table x";
	}
	return NULL;
}

/* Seen from inside: pages that it grows by, and the segments that the other has dropped. */
static const char *
guest_differs(struct vm_instance *instance, int32_t pages)
{
	union vm_slot slots[1] = { { .i32 = pages } };
	struct vm_error e;

	if (vm_func_call_slots(find(instance, "scan").of.func, slots, &e) != VM_OK ||
	    slots[0].i32 != SEGMENT_WORDS)
		return "what the guest scans";
	return vm_func_call_slots(find(instance, "segments").of.func, slots, &e) == VM_OK
	               ? NULL
	               : "segments";
}

static const char *
differs(struct vm_instance *instance, int32_t pages)
{
	const char *what = memories_differ(instance);

	if (what == NULL)
		what = globals_differ(instance);
	if (what == NULL)
		what = tables_differ(instance);
	return what != NULL || pages < 0 ? what : guest_differs(instance, pages);
}

/* A store of its own with an instance of the program. */
static enum vm_status
begin(struct vm_engine *e, struct vm_program *program, const struct vm_store_config *config,
      struct vm_store **out_store, struct vm_instance **out, struct vm_error *error)
{
	enum vm_status st = vm_store_new(e, config, out_store, error);

	if (st != VM_OK)
		return st;
	st = vm_program_instantiate(program, *out_store, out, error);
	if (st != VM_OK)
		vm_store_free(*out_store);
	return st;
}

static struct vm_store *
begin_or_fail(struct vm_program *program, struct vm_instance **out)
{
	struct vm_store *one = NULL;

	ck_assert_msg(begin(engine, program, NULL, &one, out, &err) == VM_OK, "%s", err.message);
	return one;
}

static const struct growth_case {
	const char *name;
	int32_t pages, elems; /* that the first tenant grows by */
	int32_t next_pages;   /* that the next one grows its memory by */
	bool is_kept;
} growth_cases[] = {
	{ "nothing grows", 0, 0, 0, true },
	{ "memory of the next grows", 0, 0, 3, true },
	{ "memory grows, wiped", 3, 0, 3, true },
	{ "memory grows, less than the next", 3, 0, 6, true },
	{ "memory grows, dropped", 30, 0, 40, true },
	{ "table grows", 0, 5, 0, false },
	{ "both grow", 9, 50, 9, false },
};

START_TEST(next_tenant_finds_an_instance_as_new)
{
	const struct growth_case *c = &growth_cases[_i];
	struct vm_instance *instance, *before = NULL;

	for (int round = 0; round < 6; round++) {
		struct vm_store *one = begin_or_fail(tenant, &instance);

		if (round >= 3)
			ck_assert_msg(!c->is_kept || instance == before, "%s: not used again",
			              c->name);
		ck_assert_int_eq(guest_fill(instance, c->pages, c->elems, &err), VM_OK);
		before = instance;
		vm_store_free(one);

		one = begin_or_fail(tenant, &instance);
		const char *what = differs(instance, c->next_pages);
		ck_assert_msg(what == NULL, "%s: %s", c->name, what);
		before = instance;
		vm_store_free(one);
	}
}
END_TEST

/* (module (memory (export "m") 20 40) (data (i32.const 70000) "initial")) */
static const uint8_t large_wasm[] = {
	0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x05, 0x04, 0x01, 0x01, 0x14, 0x28, 0x07,
	0x05, 0x01, 0x01, 0x6d, 0x02, 0x00, 0x0b, 0x0f, 0x01, 0x00, 0x41, 0xf0, 0xa2, 0x04, 0x0b,
	0x07, 0x69, 0x6e, 0x69, 0x74, 0x69, 0x61, 0x6c,
};

/* Pages of a large memory are wiped or dropped, one by one: whatever was written is gone. */
START_TEST(nothing_stays_in_a_large_memory)
{
	static const uint64_t places[] = { 0, 4095, 65536, 69990, 70003, 131071, 131072, 300000,
		                           300001, 700000, 20 * PAGE - 1 };
	struct vm_program *large = program_of(WASM(large));
	struct vm_instance *instance;

	for (int round = 0; round < 8; round++) {
		struct vm_store *one = begin_or_fail(large, &instance);
		struct vm_memory *m = find(instance, "m").of.memory;
		uint8_t *bytes = vm_memory_data(m);

		ck_assert_uint_eq(vm_memory_size(m), 20 * PAGE);
		ck_assert(is_zero(bytes, 70000));
		ck_assert_mem_eq(bytes + 70000, "initial", 7);
		ck_assert(is_zero(bytes + 70007, 20 * PAGE - 70007));
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
			bytes[places[i]] = SECRET;
		if (round % 3 == 1) { /* more than is worth looking at */
			ck_assert_int_eq(vm_memory_grow(m, 15), 20);
			memset(bytes, SECRET, 35 * PAGE);
		}
		vm_store_free(one);
	}
	vm_program_unref(large);
}
END_TEST

START_TEST(what_the_embedder_wrote_is_gone)
{
	const struct vm_value i64 = { .type = VM_I64, .of.i64 = SECRET };
	struct vm_value ref = { .type = VM_EXTERNREF };
	struct vm_instance *instance;
	int data;

	ref.of.ref = &data;
	for (int round = 0; round < 4; round++) {
		struct vm_store *one = begin_or_fail(tenant, &instance);

		ck_assert_ptr_null(differs(instance, -1));
		struct vm_memory *m = find(instance, "m").of.memory;
		ck_assert_int_eq(vm_memory_grow(m, 2), 1);
		memset(vm_memory_data(m), SECRET, vm_memory_size(m));
		memset(vm_memory_range(find(instance, "n").of.memory, 65535, 1), SECRET, 1);
		ck_assert_int_eq(vm_global_set(find(instance, "g").of.global, &i64, &err), VM_OK);
		ck_assert_int_eq(vm_table_set(find(instance, "x").of.table, 1, &ref, &err), VM_OK);
		vm_store_free(one);
	}
}
END_TEST

START_TEST(programs_that_alternate_do_not_meet)
{
	struct vm_instance *instance;

	for (int round = 0; round < 12; round++) {
		struct vm_store *one = begin_or_fail(tenant, &instance);
		ck_assert_ptr_null(differs(instance, round % 3));
		ck_assert_int_eq(guest_fill(instance, round % 4, 0, &err), VM_OK);
		vm_store_free(one);

		one = begin_or_fail(counts, &instance);
		/* the start function has run, once */
		const uint8_t *bytes = vm_memory_data(find(instance, "m").of.memory);
		ck_assert_int_eq(global_of(instance, "g").of.i32, 1);
		ck_assert_uint_eq(bytes[9], 1);
		ck_assert(is_zero(bytes, 9) && is_zero(bytes + 10, PAGE - 10));
		vm_store_free(one);
	}
}
END_TEST

START_TEST(instances_of_one_store_are_apart)
{
	struct vm_instance *instances[5];

	for (int round = 0; round < 4; round++) {
		struct vm_store *one = NULL;

		ck_assert_int_eq(vm_store_new(engine, NULL, &one, &err), VM_OK);
		for (int i = 0; i < 5; i++) {
			ck_assert_int_eq(
			    vm_program_instantiate(tenant, one, &instances[i], &err), VM_OK);
			ck_assert_ptr_null(differs(instances[i], -1));
			ck_assert_int_eq(guest_fill(instances[i], i, 0, &err), VM_OK);
		}
		ck_assert_int_eq(vm_program_instantiate(counts, one, &instances[0], &err), VM_OK);
		ck_assert_int_eq(global_of(instances[0], "g").of.i32, 1);
		vm_store_free(one);
	}
}
END_TEST

/* Kept with one store, used with another: nothing of the earlier one is left in it. */
START_TEST(instance_moves_between_stores)
{
	struct vm_store *stores[3];
	struct vm_instance *instance;

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 3; i++) {
			stores[i] = begin_or_fail(tenant, &instance);
			ck_assert_ptr_eq(vm_instance_store(instance), stores[i]);
			ck_assert_ptr_eq(find(instance, "m").of.memory->store, stores[i]);
			ck_assert_ptr_eq(find(instance, "x").of.table->store, stores[i]);
			ck_assert_ptr_eq(find(instance, "g").of.global->store, stores[i]);
			ck_assert_ptr_null(differs(instance, 1));
			ck_assert_int_eq(guest_fill(instance, i, i, &err), VM_OK);
		}
		for (int i = 0; i < 3; i++)
			vm_store_free(stores[(i * 2 + round) % 3]);
	}
}
END_TEST

/* --- memories that were not touched ----------------------------------------------------------- */

static enum vm_status
host_writes(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *e)
{
	struct vm_extern memory;
	enum vm_status st = vm_instance_export(caller->instance, VM_STR("m"), &memory, e);

	(void)env;
	(void)slots;
	if (st == VM_OK)
		memset(vm_memory_range(memory.of.memory, 500, 8), SECRET, 8);
	return st;
}

static const struct effect_case {
	const char *name;
	bool may_write;
} effect_cases[] = {
	{ "store", true }, { "v128", true },          { "lane", true },  { "fill", true },
	{ "copy", true },  { "init", true },          { "grow", true },  { "indirect", true },
	{ "tail", true },  { "tail_indirect", true }, { "host", true },  { "deep", true },
	{ "even", false }, { "load", false },         { "drop", false },
};

/* Only that function is called, so nothing else makes the memory be wiped. */
START_TEST(memory_is_wiped_whatever_writes_it)
{
	const struct effect_case *c = &effect_cases[_i];
	const struct vm_functype type = { NULL, NULL, 0, 0 };
	static const uint8_t data[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 'd', 'a', 't', 'a' };
	struct vm_instance *instance;

	ck_assert_int_eq(vm_linker_define_func(linker, VM_STR("host"), VM_STR("write"), &type,
	                                       host_writes, NULL, &err),
	                 VM_OK);
	struct vm_program *program = program_of(WASM(effects));
	for (int round = 0; round < 5; round++) {
		union vm_slot slots[1] = { { .i32 = 9 } };
		struct vm_store *one = begin_or_fail(program, &instance);
		struct vm_func *func = func_of(instance, c->name);

		ck_assert_int_eq(effect_may_write(func), c->may_write);
		ck_assert_int_eq(vm_func_call_slots(func, slots, &err), VM_OK);
		if (round > 0) /* the first is not kept, and not asked about */
			ck_assert_int_eq(one->run.is_touched, c->may_write);
		vm_store_free(one);
		if (round == 1 || round == 3)
			continue; /* the next one writes again, or looks */
		one = begin_or_fail(program, &instance);
		const struct vm_memory *m = find(instance, "m").of.memory;
		ck_assert_uint_eq(vm_memory_size(m), PAGE);
		ck_assert_mem_eq(m->base, data, sizeof(data));
		ck_assert_msg(is_zero(m->base + sizeof(data), PAGE - sizeof(data)), "%s", c->name);
		vm_store_free(one);
	}
	vm_program_unref(program);
}
END_TEST

/* Initial data that stayed in a memory is not for other programs. */
START_TEST(untouched_data_is_wiped_for_others)
{
	const struct vm_memorytype type = { .min = 1, .has_max = true, .max = 1 };
	struct vm_instance *instance;
	struct vm_memory *memory;
	struct vm_store *one = NULL;
	bool is_met = false;

	struct vm_program *program = program_of(WASM(tenant));
	for (int round = 0; round < 3; round++)
		vm_store_free(begin_or_fail(program, &instance));
	const uint8_t *base = find(instance, "m").of.memory->base; /* waits: not freed yet */
	vm_program_unref(program);
	ck_assert_int_eq(vm_store_new(engine, NULL, &one, &err), VM_OK);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(vm_memory_new(one, &type, &memory, &err), VM_OK);
		ck_assert(is_zero(memory->base, PAGE));
		is_met |= memory->base == base;
	}
	ck_assert(is_met); /* or this test shows nothing */
	vm_store_free(one);
}
END_TEST

/* --- how a tenant ends, and what it may have -------------------------------------------------- */

START_TEST(stopped_tenant_does_not_stop_the_next)
{
	static const enum vm_trap reasons[] = { VM_TRAP_CANCELLED, VM_TRAP_DEADLINE };
	struct vm_instance *instance;

	for (int round = 0; round < 8; round++) {
		struct vm_store *one = begin_or_fail(tenant, &instance);

		ck_assert_int_eq(guest_fill(instance, 1, 0, &err), VM_OK);
		vm_store_set_fuel(one, 5);
		vm_store_stop(one, reasons[round % 2]);
		ck_assert_int_eq(guest_fill(instance, 1, 0, &err), VM_TRAP);
		vm_store_free(one);

		one = begin_or_fail(tenant, &instance);
		ck_assert_uint_eq(vm_store_fuel(one), UINT64_MAX);
		ck_assert_ptr_null(differs(instance, 0));
		vm_store_free(one);
	}
}
END_TEST

static struct vm_store_config
limits(uint64_t pages, uint64_t bytes, uint64_t elements)
{
	struct vm_store_config config;

	vm_store_config_init(&config);
	config.memory_pages_max = pages;
	config.memory_bytes_max = bytes;
	config.table_elements_max = elements;
	return config;
}

/* Two pages, four and two elements. */
enum { NEEDED_BYTES = 2 * PAGE + 6 * sizeof(void *) };

static const struct limit_case {
	const char *name;
	uint64_t pages, bytes, elements;
	enum vm_status want;
	int32_t grow; /* what fill may grow by */
} limit_cases[] = {
	{ "just enough", 1, NEEDED_BYTES, 4, VM_OK, 0 },
	{ "no page", 0, UINT64_MAX, 100, VM_E_LIMIT, 0 },
	{ "a byte too few", 1, NEEDED_BYTES - 1, 4, VM_E_LIMIT, 0 },
	{ "an element too few", 1, UINT64_MAX, 3, VM_E_LIMIT, 0 },
	{ "room to grow", 3, UINT64_MAX, 100, VM_OK, 2 },
	{ "bytes for one page more each", 60, NEEDED_BYTES + 2 * PAGE, 4, VM_OK, 1 },
};

START_TEST(limits_of_the_request_hold_for_used_instances)
{
	const struct limit_case *c = &limit_cases[_i];
	const struct vm_store_config config = limits(c->pages, c->bytes, c->elements);
	struct vm_store_usage first, usage;
	struct vm_instance *instance;
	struct vm_store *one;

	one = begin_or_fail(tenant, &instance);
	vm_store_usage(one, &first);
	vm_store_free(one);
	ck_assert_uint_eq(first.memory_bytes, NEEDED_BYTES);
	for (int round = 0; round < 6; round++) {
		enum vm_status st = begin(engine, tenant, &config, &one, &instance, &err);

		ck_assert_msg(st == c->want, "%s: %s", c->name, vm_status_name(st));
		if (st == VM_OK) {
			vm_store_usage(one, &usage);
			ck_assert_mem_eq(&usage, &first, sizeof(usage));
			struct vm_memory *m = find(instance, "m").of.memory;
			struct vm_memory *n = find(instance, "n").of.memory;
			ck_assert_int_eq(vm_memory_grow(m, (uint64_t)c->grow), 1);
			ck_assert_int_eq(vm_memory_grow(n, (uint64_t)c->grow), 1);
			ck_assert_int_eq(vm_memory_grow(m, 1), -1);
			vm_store_free(one);
		}
		/* a refused one is not lost */
		one = begin_or_fail(tenant, &instance);
		ck_assert_ptr_null(differs(instance, 20));
		vm_store_free(one);
	}
}
END_TEST

/* --- what waits is bounded, and goes with its program ----------------------------------------- */

START_TEST(kept_instances_end_with_their_program)
{
	const struct rt_pool *pool = engine->pool;
	struct vm_instance *instance;

	for (int round = 0; round < 3; round++)
		vm_store_free(begin_or_fail(tenant, &instance));
	ck_assert_uint_eq(pool->kept_instances, 1);
	ck_assert_uint_eq(pool->kept_slots, 2);

	/* The last one out frees it, though the program has been given away. */
	struct vm_store *one = begin_or_fail(tenant, &instance);
	vm_program_unref(tenant);
	ck_assert_ptr_null(differs(instance, 0));
	vm_store_free(one);
	ck_assert_uint_eq(pool->kept_instances, 0);
	ck_assert_uint_eq(pool->kept_slots, 0);
	ck_assert_ptr_null(pool->kept_first);
	tenant = program_of(WASM(tenant));
}
END_TEST

START_TEST(first_instance_of_a_program_is_not_kept)
{
	struct vm_instance *instance;

	vm_store_free(begin_or_fail(tenant, &instance));
	ck_assert_uint_eq(engine->pool->kept_instances, 0);
}
END_TEST

static void
pool_is_within(const struct vm_engine *e, uint32_t slots)
{
	const struct rt_pool *pool = e->pool;

	ck_assert_uint_le(pool->kept_instances, POOL_INSTANCES_MAX);
	ck_assert_uint_le(pool->slot_count + pool->kept_slots, slots);
}

START_TEST(kept_instances_are_bounded)
{
	enum { PROGRAMS = POOL_INSTANCES_MAX + 20 };
	struct vm_program *programs[PROGRAMS];
	struct vm_instance *instance;

	for (int i = 0; i < PROGRAMS; i++)
		programs[i] = program_of(WASM(tenant));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < PROGRAMS; i++) {
			struct vm_store *one = begin_or_fail(programs[i], &instance);
			ck_assert_ptr_null(differs(instance, -1));
			ck_assert_int_eq(guest_fill(instance, 0, 0, &err), VM_OK);
			vm_store_free(one);
			pool_is_within(engine, engine->memory_slots_kept);
		}
	}
	/* the last one is still there, in place of one that was not used for longer */
	struct vm_store *one = begin_or_fail(programs[PROGRAMS - 1], &instance);
	struct vm_instance *before = instance;
	vm_store_free(one);
	one = begin_or_fail(programs[PROGRAMS - 1], &instance);
	ck_assert_ptr_eq(instance, before);
	vm_store_free(one);
	for (int i = 0; i < PROGRAMS; i++)
		vm_program_unref(programs[i]);
	ck_assert_uint_eq(engine->pool->kept_instances, 0);
	ck_assert_uint_eq(engine->pool->kept_slots, 0);
}
END_TEST

START_TEST(more_instances_at_once_than_are_kept)
{
	enum { COUNT = POOL_INSTANCES_MAX + 10 };
	struct vm_store *stores[COUNT];
	struct vm_instance *instance;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < COUNT; i++) {
			stores[i] = begin_or_fail(tenant, &instance);
			ck_assert_ptr_null(differs(instance, -1));
			ck_assert_int_eq(guest_fill(instance, 1, 0, &err), VM_OK);
		}
		for (int i = 0; i < COUNT; i++)
			vm_store_free(stores[i]);
		pool_is_within(engine, engine->memory_slots_kept);
		ck_assert_uint_le(engine->pool->kept_instances, PROGRAM_IDLE_MAX);
	}
}
END_TEST

/* Engines that may keep few memories or none. */
START_TEST(few_memories_are_kept_if_so_configured)
{
	struct vm_engine_config config;

	vm_engine_config_init(&config);
	config.memory_slots_kept = (uint32_t)_i;
	teardown();
	fixture_config = config;
	setup();
	for (int round = 0; round < 6; round++) {
		struct vm_instance *instance, *other;
		struct vm_store *one = begin_or_fail(tenant, &instance);
		struct vm_store *two = begin_or_fail(counts, &other);

		ck_assert_ptr_null(differs(instance, 1));
		ck_assert_int_eq(guest_fill(instance, 1, 0, &err), VM_OK);
		ck_assert_int_eq(global_of(other, "g").of.i32, 1);
		vm_store_free(one);
		vm_store_free(two);
		pool_is_within(engine, (uint32_t)_i);
	}
}
END_TEST

/* --- no memory -------------------------------------------------------------------------------- */

/* An allocator whose n-th call from now on fails, and that counts what is out. */
static struct failing {
	long until_failure; /* below 0 never */
	long blocks;
} failing;

static bool
fails(struct failing *f)
{
	return f->until_failure >= 0 && f->until_failure-- == 0;
}

static void *
failing_alloc(void *self, size_t size_bytes)
{
	struct failing *f = self;
	void *p = fails(f) ? NULL : malloc(size_bytes);

	f->blocks += p != NULL;
	return p;
}

static void *
failing_realloc(void *self, void *old, size_t size_bytes)
{
	struct failing *f = self;

	if (fails(f))
		return NULL;
	f->blocks += old == NULL;
	return realloc(old, size_bytes);
}

static void
failing_free(void *self, void *old)
{
	((struct failing *)self)->blocks--;
	free(old);
}

static void
setup_failing(void)
{
	static const struct vm_allocator alloc = { failing_alloc, failing_realloc, failing_free,
		                                   &failing };

	failing.until_failure = -1;
	vm_engine_config_init(&fixture_config);
	fixture_config.allocator = &alloc;
	setup();
}

/* A tenant that fills what it gets, as far as it gets. */
static enum vm_status
fill_once(int32_t pages, int32_t elems)
{
	struct vm_instance *instance;
	struct vm_store *one;
	enum vm_status st = begin(engine, tenant, NULL, &one, &instance, &err);

	if (st != VM_OK)
		return st;
	st = guest_fill(instance, pages, elems, &err);
	vm_store_free(one);
	return st;
}

static const char *
scan_once(int32_t pages)
{
	struct vm_instance *instance;
	struct vm_store *one;

	if (begin(engine, tenant, NULL, &one, &instance, &err) != VM_OK)
		return "no instance";
	const char *what = differs(instance, pages);
	vm_store_free(one);
	return what;
}

/* The n-th allocation fails, for every n, in the first, second and later instances of a program. */
START_TEST(every_allocation_may_fail)
{
	enum { ALLOCATIONS_MAX = 200 };
	bool is_done = false;

	for (long n = 0; !is_done; n++) {
		ck_assert_int_lt(n, ALLOCATIONS_MAX);
		setup_failing();
		for (int used = 0; used < _i; used++)
			ck_assert_int_eq(fill_once(0, 0), VM_OK);
		failing.until_failure = n;
		for (int round = 0; round < 3; round++) {
			enum vm_status st = fill_once(round, round);
			ck_assert_msg(st == VM_OK || st == VM_E_NOMEM || st == VM_E_LIMIT,
			              "allocation %ld: %s", n, vm_status_name(st));
		}
		is_done = failing.until_failure >= 0; /* there was no such allocation */
		failing.until_failure = -1;
		const char *what = scan_once(2);
		ck_assert_msg(what == NULL, "after allocation %ld failed: %s", n, what);
		pool_is_within(engine, engine->memory_slots_kept);
		teardown();
		ck_assert_msg(failing.blocks == 0,
		              "after allocation %ld failed: %ld blocks left", n, failing.blocks);
	}
}
END_TEST

/* The system refuses address space: for reservations, or to give pages back. */
START_TEST(refused_address_space_leaves_the_pool_whole)
{
	const struct rlimit none = { UINT64_C(1) << 30, RLIM_INFINITY };
	struct rlimit before;

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
	for (int used = 0; used < 4; used++) {
		struct vm_instance *instance, *second;
		struct vm_store *one = NULL, *two = NULL;

		for (int i = 0; i < used; i++)
			ck_assert_int_eq(fill_once(1, 0), VM_OK);
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
		enum vm_status st = begin(engine, tenant, NULL, &one, &instance, &err);
		if (st == VM_OK) {
			ck_assert_ptr_null(differs(instance, -1));
			ck_assert_int_eq(begin(engine, tenant, NULL, &two, &second, &err),
			                 VM_E_NOMEM);
			vm_store_free(one);
		} else {
			ck_assert_int_eq(st, VM_E_NOMEM);
		}
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
		ck_assert_ptr_null(scan_once(3));
	}
}
END_TEST

/* --- many ------------------------------------------------------------------------------------- */

static long
rounds(long usual)
{
	const char *text = getenv("TENANCY_ROUNDS");

	return text != NULL ? strtol(text, NULL, 10) : usual;
}

/* A with the secret, B who looks; now and then without memory, stopped, or with growth. */
START_TEST(secret_is_never_seen)
{
	long count = rounds(3000);

	for (long round = 0; round < count; round++) {
		if (round % 16 == 5)
			failing.until_failure = round / 16 % 12;
		enum vm_status st = fill_once(round % 64 == 9 ? 2 : round % 512 == 77 ? 30 : 0,
		                              round % 128 == 3);
		ck_assert_msg(st == VM_OK || st == VM_E_NOMEM || st == VM_E_LIMIT, "round %ld: %s",
		              round, vm_status_name(st));
		failing.until_failure = -1;
		const char *what = scan_once(round % 1024 == 7 ? 30 : -1);
		ck_assert_msg(what == NULL, "round %ld: %s", round, what);
	}
	/* Everything that was kept can be freed. */
	vm_program_unref(tenant);
	ck_assert_uint_eq(engine->pool->kept_instances, 0);
	ck_assert_uint_eq(engine->pool->kept_slots, 0);
	tenant = program_of(WASM(tenant));
}
END_TEST

static void *
tenants(void *arg)
{
	const char *wrong = NULL;
	long count = rounds(2000) / 8;

	for (long round = 0; round < count && wrong == NULL; round++) {
		struct vm_program *program = (round + (arg != NULL)) % 3 == 0 ? counts : tenant;
		struct vm_instance *instance;
		struct vm_store *one;
		struct vm_error e;

		if (begin(engine, program, NULL, &one, &instance, &e) != VM_OK)
			return (void *)(uintptr_t) "no instance";
		if (program == tenant)
			wrong = differs(instance, -1);
		if (program == tenant && wrong == NULL &&
		    guest_fill(instance, round % 5 == 0, round % 7 == 0, &e) != VM_OK)
			wrong = "fill";
		vm_store_free(one);
	}
	return (void *)(uintptr_t)wrong;
}

/* Programs come and go on this thread, so that kept instances are taken away from the others. */
START_TEST(threads_share_kept_instances)
{
	enum { THREADS = 4, PROGRAMS = 12 };
	struct vm_program *others[PROGRAMS];
	pthread_t threads[THREADS];
	struct vm_instance *instance;
	int number;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, tenants, i % 2 ? &number : NULL), 0);
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < PROGRAMS; i++) {
			others[i] = program_of(WASM(tenant));
			for (int n = 0; n < 4; n++)
				vm_store_free(begin_or_fail(others[i], &instance));
		}
		for (int i = 0; i < PROGRAMS; i++)
			vm_program_unref(others[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_msg(wrong == NULL, "thread %d: %s", i, (const char *)wrong);
	}
	pool_is_within(engine, engine->memory_slots_kept);
}
END_TEST

static void
setup_crowded(void)
{
	vm_engine_config_init(&fixture_config);
	fixture_config.memory_slots_kept = 12;
	setup();
}

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/tenancy");
	TCase *tc = tcase_create("tenants");
	TCase *pool = tcase_create("pool");
	TCase *memory = tcase_create("no memory");
	TCase *many = tcase_create("many");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, next_tenant_finds_an_instance_as_new, 0,
	                    sizeof(growth_cases) / sizeof(growth_cases[0]));
	tcase_add_test(tc, nothing_stays_in_a_large_memory);
	tcase_add_test(tc, what_the_embedder_wrote_is_gone);
	tcase_add_test(tc, programs_that_alternate_do_not_meet);
	tcase_add_test(tc, instances_of_one_store_are_apart);
	tcase_add_test(tc, instance_moves_between_stores);
	tcase_add_loop_test(tc, memory_is_wiped_whatever_writes_it, 0,
	                    sizeof(effect_cases) / sizeof(effect_cases[0]));
	tcase_add_test(tc, untouched_data_is_wiped_for_others);
	tcase_add_test(tc, stopped_tenant_does_not_stop_the_next);
	tcase_add_loop_test(tc, limits_of_the_request_hold_for_used_instances, 0,
	                    sizeof(limit_cases) / sizeof(limit_cases[0]));
	suite_add_tcase(suite, tc);

	tcase_add_checked_fixture(pool, setup, teardown);
	tcase_set_timeout(pool, 60);
	tcase_add_test(pool, kept_instances_end_with_their_program);
	tcase_add_test(pool, first_instance_of_a_program_is_not_kept);
	tcase_add_test(pool, kept_instances_are_bounded);
	tcase_add_test(pool, more_instances_at_once_than_are_kept);
	tcase_add_loop_test(pool, few_memories_are_kept_if_so_configured, 0, 5);
	tcase_add_test(pool, refused_address_space_leaves_the_pool_whole);
	suite_add_tcase(suite, pool);

	tcase_set_timeout(memory, 60);
	tcase_add_loop_test(memory, every_allocation_may_fail, 0, 4);
	suite_add_tcase(suite, memory);

	tcase_add_checked_fixture(many, setup_failing, teardown);
	tcase_set_timeout(many, 600); /* loaded machines, sanitizers, a million rounds */
	tcase_add_test(many, secret_is_never_seen);
	suite_add_tcase(suite, many);

	tcase_add_checked_fixture(threads, setup_crowded, teardown);
	tcase_set_timeout(threads, 600);
	tcase_add_test(threads, threads_share_kept_instances);
	suite_add_tcase(suite, threads);
	return suite;
}
