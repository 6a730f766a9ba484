/*
 * test_store.c - engines, stores, their accounts, stopping and deadlines.
 */
#include "tests/support/unit.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "vm/rt/store.h"
#include "vm/vm.h"

static struct vm_engine *engine;
static struct vm_store *store;

static void
setup(void)
{
	ck_assert_int_eq(vm_engine_new(NULL, &engine, NULL), VM_OK);
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
}

static void
teardown(void)
{
	vm_store_free(store);
	vm_engine_unref(engine);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- engines -------------------------------------------------------------------------------- */

static const struct config_case {
	const char *name;
	enum vm_status want;
	uint32_t stack_bytes, memory_slots_kept;
	int stop_signal;
	vm_features features;
} config_cases[] = {
	{ "smallest stack", VM_OK, 64 << 10, 64, 0, 0 },
	{ "stack too small", VM_E_ARGUMENT, (64 << 10) - 1, 64, 0, 0 },
	{ "largest stack", VM_OK, 1 << 30, 64, 0, 0 },
	{ "stack too large", VM_E_ARGUMENT, (1 << 30) + 1, 64, 0, 0 },
	{ "nothing kept", VM_OK, 1 << 20, 0, 0, 0 },
	{ "too much kept", VM_E_ARGUMENT, 1 << 20, UINT32_MAX, 0, 0 },
	{ "not a real-time signal", VM_E_ARGUMENT, 1 << 20, 64, SIGUSR1, 0 },
	{ "negative signal", VM_E_ARGUMENT, 1 << 20, 64, -1, 0 },
	{ "unknown feature", VM_E_ARGUMENT, 1 << 20, 64, 0, UINT64_C(1) << 63 },
};

START_TEST(configuration_is_checked)
{
	const struct config_case *c = &config_cases[_i];
	struct vm_engine_config config;
	struct vm_engine *made = NULL;
	struct vm_error err;

	vm_engine_config_init(&config);
	config.stack_bytes = c->stack_bytes;
	config.memory_slots_kept = c->memory_slots_kept;
	config.stop_signal = c->stop_signal;
	config.features |= c->features;
	enum vm_status st = vm_engine_new(&config, &made, &err);
	ck_assert_msg(st == c->want, "%s: got %s", c->name, vm_status_name(st));
	ck_assert_msg((made != NULL) == (st == VM_OK), "%s", c->name);
	if (st != VM_OK) {
		ck_assert_int_eq(err.status, st);
		ck_assert_uint_gt(strlen(err.message), 10);
		return;
	}
	struct vm_store *one = NULL;
	ck_assert_int_eq(vm_store_new(made, NULL, &one, NULL), VM_OK);
	vm_store_free(one);
	vm_engine_unref(made);
}
END_TEST

START_TEST(half_an_allocator_is_refused)
{
	const struct vm_allocator nothing = { .self = NULL };
	struct vm_engine_config config;
	struct vm_engine *made = NULL;

	vm_engine_config_init(&config);
	config.allocator = &nothing;
	ck_assert_int_eq(vm_engine_new(&config, &made, NULL), VM_E_ARGUMENT);
}
END_TEST

START_TEST(engine_lives_as_long_as_its_stores)
{
	struct vm_store *more;

	ck_assert_ptr_eq(vm_store_engine(store), engine);
	ck_assert_int_eq(vm_store_new(engine, NULL, &more, NULL), VM_OK);
	vm_engine_unref(vm_engine_ref(engine));
	vm_engine_unref(engine);
	vm_store_free(more);
	vm_store_free(store); /* the last one frees the engine: sanitizers look */
	vm_store_free(NULL);
	vm_engine_unref(NULL);
	setup();
}
END_TEST

/* An allocator that fails once, at the n-th call, and counts what is out. */
static struct failing {
	long until_failure; /* below 0 never */
	long blocks;
} failing;

static void *
failing_alloc(void *self, size_t size_bytes)
{
	struct failing *f = self;

	if (f->until_failure >= 0 && f->until_failure-- == 0)
		return NULL;
	void *p = malloc(size_bytes);
	f->blocks += p != NULL;
	return p;
}

static void *
failing_realloc(void *self, void *old, size_t size_bytes)
{
	struct failing *f = self;

	if (f->until_failure >= 0 && f->until_failure-- == 0)
		return NULL;
	f->blocks += old == NULL;
	return realloc(old, size_bytes);
}

static void
failing_free(void *self, void *old)
{
	struct failing *f = self;

	f->blocks--;
	free(old);
}

/* Everything a store may have, as far as it gets. */
static enum vm_status
use_engine(const struct vm_engine_config *config)
{
	const struct vm_memorytype memory_type = { .min = 1 };
	const struct vm_tabletype table_type = { .element = VM_EXTERNREF, .min = 10 };
	const struct vm_globaltype global_type = { .content = VM_I32 };
	const struct vm_value null = { .type = VM_EXTERNREF }, zero = { .type = VM_I32 };
	struct vm_engine *made = NULL;
	struct vm_store *one = NULL;
	struct vm_memory *memory;
	struct vm_table *table;
	struct vm_global *global;
	static const char keys[20];
	struct vm_error err;

	enum vm_status st = vm_engine_new(config, &made, &err);
	if (st != VM_OK)
		return st;
	st = vm_store_new(made, NULL, &one, &err);
	if (st == VM_OK)
		st = vm_memory_new(one, &memory_type, &memory, &err);
	if (st == VM_OK)
		st = vm_table_new(one, &table_type, &null, &table, &err);
	if (st == VM_OK && vm_table_grow(table, 100, &null) != 10)
		st = VM_E_NOMEM;
	if (st == VM_OK)
		st = vm_global_new(one, &global_type, &zero, &global, &err);
	for (size_t i = 0; st == VM_OK && i < sizeof(keys); i++)
		st = vm_store_attach(one, &keys[i], NULL, NULL, &err);
	vm_store_free(one);
	vm_engine_unref(made);
	return st;
}

START_TEST(every_allocation_may_fail)
{
	const struct vm_allocator alloc = { failing_alloc, failing_realloc, failing_free,
		                            &failing };
	struct vm_engine_config config;
	enum vm_status st = VM_E_NOMEM;

	vm_engine_config_init(&config);
	config.allocator = &alloc;
	for (long n = 0; st != VM_OK; n++) {
		ck_assert_int_lt(n, 100);
		failing.until_failure = n;
		st = use_engine(&config);
		ck_assert_msg(st == VM_OK || st == VM_E_NOMEM || st == VM_E_LIMIT,
		              "allocation %ld fails: %s", n, vm_status_name(st));
		ck_assert_msg(failing.blocks == 0, "allocation %ld fails: %ld blocks left", n,
		              failing.blocks);
	}
}
END_TEST

/* --- accounts ------------------------------------------------------------------------------- */

START_TEST(memory_account_has_a_limit_and_a_peak)
{
	struct vm_store_config config;
	struct vm_store *small;
	struct vm_store_usage usage;

	vm_store_config_init(&config);
	config.memory_bytes_max = 100;
	ck_assert_int_eq(vm_store_new(engine, &config, &small, NULL), VM_OK);
	ck_assert(vm_store_memory_take(small, 60));
	ck_assert(!vm_store_memory_take(small, 41));
	ck_assert(!vm_store_memory_take(small, UINT64_MAX));
	ck_assert(vm_store_memory_take(small, 40));
	vm_store_memory_give(small, 70);
	vm_store_usage(small, &usage);
	ck_assert_uint_eq(usage.memory_bytes, 30);
	ck_assert_uint_eq(usage.memory_bytes_peak, 100);
	vm_store_memory_give(small, 1000); /* more than was taken: not below nothing */
	vm_store_usage(small, &usage);
	ck_assert_uint_eq(usage.memory_bytes, 0);
	vm_store_free(small);
}
END_TEST

START_TEST(objects_are_charged)
{
	const struct vm_memorytype memory_type = { .min = 2 };
	const struct vm_tabletype table_type = { .element = VM_FUNCREF, .min = 10 };
	const struct vm_value null = { .type = VM_FUNCREF };
	struct vm_memory *memory;
	struct vm_table *table;
	struct vm_store_usage usage;

	ck_assert_int_eq(vm_memory_new(store, &memory_type, &memory, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_grow(memory, 3), 2);
	ck_assert_int_eq(vm_table_new(store, &table_type, &null, &table, NULL), VM_OK);
	vm_store_usage(store, &usage);
	ck_assert_uint_eq(usage.memory_bytes, 5 * 65536 + 80);
	ck_assert_uint_eq(usage.memory_pages_peak, 5);
}
END_TEST

START_TEST(fuel_is_counted)
{
	struct vm_error err;

	/* unmetered: charging has no effect */
	ck_assert_int_eq(vm_store_charge(store, UINT64_MAX, &err), VM_OK);
	ck_assert_uint_eq(vm_store_fuel(store), UINT64_MAX);
	ck_assert_uint_eq(vm_store_fuel_used(store), 0);

	vm_store_set_fuel(store, 100);
	ck_assert_int_eq(vm_store_charge(store, 30, &err), VM_OK);
	ck_assert_uint_eq(vm_store_fuel(store), 70);
	ck_assert_uint_eq(vm_store_fuel_used(store), 30);
	vm_store_set_fuel(store, 50);
	ck_assert_uint_eq(vm_store_fuel_used(store), 30);
	ck_assert_int_eq(vm_store_charge(store, 51, &err), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_FUEL);
	ck_assert_uint_eq(vm_store_fuel(store), 0);
	ck_assert_uint_eq(vm_store_fuel_used(store), 80);
	vm_store_set_fuel(store, UINT64_MAX);
	ck_assert_int_eq(vm_store_charge(store, 5, &err), VM_OK);
	ck_assert_uint_eq(vm_store_fuel(store), UINT64_MAX);
	ck_assert_uint_eq(vm_store_fuel_used(store), 85);
}
END_TEST

START_TEST(metered_store_without_limit_counts)
{
	struct vm_store_config config;
	struct vm_store *metered;

	vm_store_config_init(&config);
	config.metered = true;
	ck_assert_int_eq(vm_store_new(engine, &config, &metered, NULL), VM_OK);
	ck_assert_int_eq(vm_store_charge(metered, 7, NULL), VM_OK);
	ck_assert_uint_eq(vm_store_fuel_used(metered), 7);
	ck_assert_uint_eq(vm_store_fuel(metered), UINT64_MAX);
	vm_store_free(metered);
}
END_TEST

START_TEST(freed_store_leaves_nothing_to_the_next)
{
	const struct vm_memorytype memory_type = { .min = 2 };
	struct vm_memory *memory;
	struct vm_store_usage usage;
	uint64_t serial = store->serial;
	static const char key;
	int data;

	vm_store_set_fuel(store, 10);
	ck_assert_int_eq(vm_store_charge(store, 3, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(store, &memory_type, &memory, NULL), VM_OK);
	ck_assert_int_eq(vm_store_attach(store, &key, &data, NULL, NULL), VM_OK);
	ck_assert_int_ge(vm_store_stop_fd(store), 0);
	ck_assert_int_eq(vm_store_set_deadline(store, now_ns() + 1000000, NULL), VM_OK);
	vm_store_stop(store, VM_TRAP_CANCELLED);
	struct vm_store *before = store;
	vm_store_free(store);

	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
	ck_assert_ptr_eq(store, before); /* or this test shows nothing */
	ck_assert_uint_ne(store->serial, serial);
	ck_assert_int_eq(vm_store_stopped(store), VM_TRAP_NONE);
	ck_assert_ptr_null(vm_store_attachment(store, &key));
	ck_assert_uint_eq(vm_store_fuel(store), UINT64_MAX);
	ck_assert_uint_eq(vm_store_fuel_used(store), 0);
	ck_assert(!store->run.metered);
	vm_store_usage(store, &usage);
	ck_assert_uint_eq(usage.memory_bytes, 0);
	ck_assert_uint_eq(usage.memory_bytes_peak, 0);
	ck_assert_uint_eq(usage.memory_pages_peak, 0);
	ck_assert_ptr_null(store->memories);
	struct pollfd fd = { .fd = vm_store_stop_fd(store), .events = POLLIN };
	ck_assert_int_eq(poll(&fd, 1, 3), 0); /* the earlier deadline has passed now */
	ck_assert_int_eq(vm_store_stopped(store), VM_TRAP_NONE);
}
END_TEST

/* --- attachments ---------------------------------------------------------------------------- */

static char freed[8];

static void
note_freed(void *data)
{
	freed[strlen(freed)] = *(const char *)data;
}

START_TEST(attachments_are_freed_in_reverse)
{
	static char a = 'a', b = 'b', c = 'c';
	struct vm_error err;

	ck_assert_int_eq(vm_store_attach(store, &a, &a, note_freed, &err), VM_OK);
	ck_assert_int_eq(vm_store_attach(store, &b, &b, NULL, &err), VM_OK);
	ck_assert_int_eq(vm_store_attach(store, &c, &c, note_freed, &err), VM_OK);
	ck_assert_int_eq(vm_store_attach(store, &b, &c, note_freed, &err), VM_E_ARGUMENT);
	ck_assert_ptr_eq(vm_store_attachment(store, &b), &b);
	ck_assert_ptr_null(vm_store_attachment(store, freed));
	vm_store_free(store);
	ck_assert_str_eq(freed, "ca");
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
}
END_TEST

/* --- stopping ------------------------------------------------------------------------------- */

START_TEST(first_reason_to_stop_stays)
{
	struct vm_error err;

	ck_assert_int_eq(rt_stopped(&store->run, &err), VM_OK);
	vm_store_stop(store, VM_TRAP_NONE); /* no reason: no effect */
	ck_assert_int_eq(vm_store_stopped(store), VM_TRAP_NONE);
	vm_store_stop(store, VM_TRAP_OUTPUT_LIMIT);
	vm_store_stop(store, VM_TRAP_CANCELLED);
	ck_assert_int_eq(vm_store_stopped(store), VM_TRAP_OUTPUT_LIMIT);
	ck_assert_int_eq(rt_stopped(&store->run, &err), VM_TRAP);
	ck_assert_int_eq(err.trap, VM_TRAP_OUTPUT_LIMIT);
	ck_assert_str_eq(err.message, vm_trap_text(VM_TRAP_OUTPUT_LIMIT));
}
END_TEST

static void *
stop_soon(void *arg)
{
	(void)usleep(2000);
	vm_store_stop(arg, VM_TRAP_CANCELLED);
	return NULL;
}

START_TEST(stop_wakes_who_waits_for_the_descriptor)
{
	struct pollfd fd = { .fd = vm_store_stop_fd(store), .events = POLLIN };
	pthread_t thread;

	ck_assert_int_eq(vm_store_stop_fd(store), fd.fd);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, store), 0);
	ck_assert_int_eq(poll(&fd, 1, 3000), 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(descriptor_of_a_stopped_store_is_readable)
{
	vm_store_stop(store, VM_TRAP_CANCELLED);
	struct pollfd fd = { .fd = vm_store_stop_fd(store), .events = POLLIN };
	ck_assert_int_eq(poll(&fd, 1, 0), 1);
}
END_TEST

/* --- deadlines ------------------------------------------------------------------------------ */

/* When the store is stopped, at most limit_ms from now; 0 never. */
static uint64_t
wait_stopped(const struct vm_store *s, uint64_t limit_ms)
{
	uint64_t limit = now_ns() + limit_ms * 1000000;

	for (uint64_t now = now_ns(); now < limit; now = now_ns()) {
		if (vm_store_stopped(s) != VM_TRAP_NONE)
			return now;
		(void)usleep(50);
	}
	return 0;
}

START_TEST(deadline_stops_in_time)
{
	uint64_t best = UINT64_MAX;

	/* Loaded machines are late: the best of some tries says more about the code. */
	for (int i = 0; i < 8; i++) {
		uint64_t deadline = now_ns() + 3000000;

		ck_assert_int_eq(vm_store_set_deadline(store, deadline, NULL), VM_OK);
		uint64_t at = wait_stopped(store, 2000);
		ck_assert_uint_ge(at, deadline);
		ck_assert_int_eq(vm_store_stopped(store), VM_TRAP_DEADLINE);
		if (at - deadline < best)
			best = at - deadline;
		vm_store_free(store);
		ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
	}
	ck_assert_uint_lt(best, 100000000); /* idle machines: below 1 ms */
}
END_TEST

START_TEST(deadline_of_the_past_stops_at_once)
{
	ck_assert_int_eq(vm_store_set_deadline(store, 1, NULL), VM_OK);
	ck_assert_uint_ne(wait_stopped(store, 2000), 0);
}
END_TEST

START_TEST(cleared_deadline_never_stops)
{
	/* Far enough away that a busy machine gets to clear it first. */
	ck_assert_int_eq(vm_store_set_deadline(store, now_ns() + 100000000, NULL), VM_OK);
	ck_assert_int_eq(vm_store_set_deadline(store, 0, NULL), VM_OK);
	ck_assert_int_eq(vm_store_set_deadline(store, 0, NULL), VM_OK);
	ck_assert_uint_eq(wait_stopped(store, 150), 0);
}
END_TEST

START_TEST(later_deadline_replaces_an_earlier_one)
{
	uint64_t deadline = now_ns() + 200000000;

	/* Far enough away that a busy machine gets to replace it first. */
	ck_assert_int_eq(vm_store_set_deadline(store, now_ns() + 100000000, NULL), VM_OK);
	ck_assert_int_eq(vm_store_set_deadline(store, deadline, NULL), VM_OK);
	ck_assert_uint_ge(wait_stopped(store, 2000), deadline);
}
END_TEST

START_TEST(earlier_deadline_replaces_a_later_one)
{
	ck_assert_int_eq(vm_store_set_deadline(store, now_ns() + 60000000000u, NULL), VM_OK);
	ck_assert_int_eq(vm_store_set_deadline(store, now_ns() + 2000000, NULL), VM_OK);
	ck_assert_uint_ne(wait_stopped(store, 2000), 0);
}
END_TEST

START_TEST(many_deadlines_are_kept_apart)
{
	enum { COUNT = 40 };
	struct vm_store *stores[COUNT];
	uint64_t start = now_ns();

	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(vm_store_new(engine, NULL, &stores[i], NULL), VM_OK);
		/* every other one soon, the others never, in mixed order */
		uint64_t at = i % 2 == 0 ? start + 5000000 + (uint64_t)(i * 7 % COUNT) * 100000
		                         : start + 3600000000000u;
		ck_assert_int_eq(vm_store_set_deadline(stores[i], at, NULL), VM_OK);
	}
	for (int i = 0; i < COUNT; i += 2)
		ck_assert_uint_ne(wait_stopped(stores[i], 3000), 0);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(vm_store_stopped(stores[i]),
		                 i % 2 == 0 ? VM_TRAP_DEADLINE : VM_TRAP_NONE);
		vm_store_free(stores[i]);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/store");
	TCase *engines = tcase_create("engine");
	TCase *accounts = tcase_create("accounts");
	TCase *stops = tcase_create("stop");
	TCase *deadlines = tcase_create("deadline");

	tcase_add_checked_fixture(engines, setup, teardown);
	tcase_add_loop_test(engines, configuration_is_checked, 0,
	                    sizeof(config_cases) / sizeof(config_cases[0]));
	tcase_add_test(engines, half_an_allocator_is_refused);
	tcase_add_test(engines, engine_lives_as_long_as_its_stores);
	tcase_add_test(engines, every_allocation_may_fail);
	suite_add_tcase(suite, engines);

	tcase_add_checked_fixture(accounts, setup, teardown);
	tcase_add_test(accounts, memory_account_has_a_limit_and_a_peak);
	tcase_add_test(accounts, objects_are_charged);
	tcase_add_test(accounts, fuel_is_counted);
	tcase_add_test(accounts, metered_store_without_limit_counts);
	tcase_add_test(accounts, freed_store_leaves_nothing_to_the_next);
	tcase_add_test(accounts, attachments_are_freed_in_reverse);
	suite_add_tcase(suite, accounts);

	tcase_add_checked_fixture(stops, setup, teardown);
	tcase_add_test(stops, first_reason_to_stop_stays);
	tcase_add_test(stops, stop_wakes_who_waits_for_the_descriptor);
	tcase_add_test(stops, descriptor_of_a_stopped_store_is_readable);
	suite_add_tcase(suite, stops);

	tcase_add_checked_fixture(deadlines, setup, teardown);
	tcase_set_timeout(deadlines, 20);
	tcase_add_test(deadlines, deadline_stops_in_time);
	tcase_add_test(deadlines, deadline_of_the_past_stops_at_once);
	tcase_add_test(deadlines, cleared_deadline_never_stops);
	tcase_add_test(deadlines, later_deadline_replaces_an_earlier_one);
	tcase_add_test(deadlines, earlier_deadline_replaces_a_later_one);
	tcase_add_test(deadlines, many_deadlines_are_kept_apart);
	suite_add_tcase(suite, deadlines);
	return suite;
}
