/*
 * test_trap.c - memory faults in guest code end in rt_enter; all others are left alone.
 */
#include "tests/support/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "vm/rt/memory.h"
#include "vm/rt/pool.h"
#include "vm/rt/thread.h"
#include "vm/rt/trap.h"
#include "vm/vm.h"

static struct vm_engine *engine;
static struct vm_store *store;
static struct vm_memory *memory;

static void
setup(void)
{
	const struct vm_memorytype one_page = { .min = 1, .has_max = true, .max = 3 };

	ck_assert_int_eq(vm_engine_new(NULL, &engine, NULL), VM_OK);
	ck_assert_int_eq(vm_store_new(engine, NULL, &store, NULL), VM_OK);
	ck_assert_int_eq(vm_memory_new(store, &one_page, &memory, NULL), VM_OK);
	ck_assert(thread_prepare());
}

/* A sanitizer's own handler, which reports and exits, is put away first. */
static void
setup_with_default_action(void)
{
	(void)signal(SIGSEGV, SIG_DFL);
	setup();
}

static void
teardown(void)
{
	vm_store_free(store);
	vm_engine_unref(engine);
}

/* What a tier's handler does: one access, in guest text. */
struct access {
	volatile uint8_t *at;
	uint8_t value;
};

#if defined __clang__ || defined __GNUC__
#define PLAIN __attribute__((noinline, no_sanitize("address", "undefined")))
#else
#define PLAIN
#endif

VM_GUEST_TEXT PLAIN static enum vm_status
guest_load(void *arg)
{
	struct access *access = arg;

	access->value = *access->at;
	return VM_OK;
}

VM_GUEST_TEXT PLAIN static enum vm_status
guest_store(void *arg)
{
	struct access *access = arg;

	*access->at = access->value;
	return VM_OK;
}

static enum vm_status
host_load(void *arg)
{
	struct access *access = arg;

	access->value = *access->at;
	return VM_OK;
}

static enum vm_status
load_at(uint64_t address)
{
	struct access access = { vm_memory_data(memory) + address, 0 };

	return rt_enter(&store->run, guest_load, &access);
}

static const struct address_case {
	const char *name;
	uint64_t address;
	enum vm_status want;
} address_cases[] = {
	{ "first byte", 0, VM_OK },
	{ "last byte", 65535, VM_OK },
	{ "one behind", 65536, VM_TRAP },
	{ "largest index", UINT32_MAX, VM_TRAP },
	{ "largest index and offset", 2 * (uint64_t)UINT32_MAX, VM_TRAP },
	{ "largest index and offset, last byte of 16", 2 * (uint64_t)UINT32_MAX + 15, VM_TRAP },
};

START_TEST(access_is_done_or_trapped)
{
	const struct address_case *c = &address_cases[_i];

	ck_assert_msg(load_at(c->address) == c->want, "%s", c->name);
	if (c->want == VM_OK)
		return;
	ck_assert_int_eq(store->run.trap, VM_TRAP_MEMORY_BOUNDS);
	ck_assert(store->run.fault.address == (uintptr_t)vm_memory_data(memory) + c->address);
	ck_assert(store->run.fault.pc >= (uintptr_t)guest_load);
	ck_assert(store->run.fault.pc < (uintptr_t)guest_load + 512);
}
END_TEST

START_TEST(run_is_left_after_a_fault)
{
	void *outer = &outer;

	store->run.exit_sp = outer;
	ck_assert_int_eq(load_at(1 << 20), VM_TRAP);
	ck_assert_ptr_eq(store->run.exit_sp, outer);
	ck_assert_ptr_null(rt_thread.run);
	/* and it works again, many times */
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(load_at(0), VM_OK);
		ck_assert_int_eq(load_at(65536), VM_TRAP);
	}
}
END_TEST

START_TEST(what_grows_becomes_accessible)
{
	ck_assert_int_eq(load_at(65536), VM_TRAP);
	ck_assert_int_eq(vm_memory_grow(memory, 1), 1);
	ck_assert_int_eq(load_at(65536), VM_OK);
	ck_assert_int_eq(load_at(131072), VM_TRAP);
}
END_TEST

START_TEST(stores_trap_too)
{
	struct access access = { vm_memory_data(memory) + 65536, 7 };

	ck_assert_int_eq(rt_enter(&store->run, guest_store, &access), VM_TRAP);
	access.at--;
	ck_assert_int_eq(rt_enter(&store->run, guest_store, &access), VM_OK);
	ck_assert_int_eq(vm_memory_data(memory)[65535], 7);
}
END_TEST

/* An entry inside of an entry: a fault ends the inner one only. */
static enum vm_status
nested(void *arg)
{
	int *count = arg;

	*count = load_at(65536) == VM_TRAP;
	*count += rt_thread.run == &store->run;
	return load_at(0);
}

START_TEST(entries_nest)
{
	int count = 0;

	ck_assert_int_eq(rt_enter(&store->run, nested, &count), VM_OK);
	ck_assert_int_eq(count, 2);
	ck_assert_ptr_null(rt_thread.run);
}
END_TEST

START_TEST(another_stores_memory_is_no_trap)
{
	/* Ends by SIGSEGV: a fault in the memory of a store that does not run is not the guest's.
	 */
	struct vm_store *other;
	struct access access = { vm_memory_data(memory) + 65536, 0 };

	ck_assert_int_eq(vm_store_new(engine, NULL, &other, NULL), VM_OK);
	ck_assert_int_eq(rt_enter(&other->run, guest_load, &access), VM_OK);
}
END_TEST

START_TEST(fault_of_host_code_ends_the_process)
{
	struct access access = { vm_memory_data(memory) + 65536, 0 };

	ck_assert_int_eq(rt_enter(&store->run, host_load, &access), VM_OK);
}
END_TEST

START_TEST(wild_fault_of_guest_code_ends_the_process)
{
	struct access access = { (uint8_t *)16, 0 };

	ck_assert_int_eq(rt_enter(&store->run, guest_load, &access), VM_OK);
}
END_TEST

START_TEST(fault_without_a_run_ends_the_process)
{
	struct access access = { vm_memory_data(memory) + 65536, 0 };

	ck_assert_int_eq(guest_load(&access), VM_OK);
}
END_TEST

START_TEST(fault_below_the_size_ends_the_process)
{
	/* Something has taken a page away: this is no access out of bounds. */
	ck_assert_int_eq(mprotect(vm_memory_data(memory), 4096, PROT_NONE), 0);
	ck_assert_int_eq(load_at(0), VM_OK);
}
END_TEST

START_TEST(signal_that_was_sent_ends_the_process)
{
	(void)raise(SIGSEGV);
	ck_abort_msg("still here");
}
END_TEST

/* A handler that was there before the engine. */
static volatile sig_atomic_t earlier_calls;

static void
earlier_handler(int number, siginfo_t *info, void *context)
{
	(void)context;
	earlier_calls++;
	if (number == SIGSEGV && info->si_addr == NULL)
		_Exit(3);
	/* make the page accessible, so that the access goes on */
	(void)mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)4095), 4096, PROT_READ);
}

START_TEST(earlier_handler_gets_what_is_not_ours)
{
	struct sigaction action = { .sa_sigaction = earlier_handler, .sa_flags = SA_SIGINFO };
	struct access access = { NULL, 0 };

	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	setup();
	void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	access.at = page;
	ck_assert_int_eq(rt_enter(&store->run, host_load, &access), VM_OK);
	ck_assert_int_eq(earlier_calls, 1);
	ck_assert_int_eq(load_at(65536), VM_TRAP);
	ck_assert_int_eq(earlier_calls, 1);
	(void)munmap(page, 4096);
	teardown();
}
END_TEST

START_TEST(handlers_run_on_a_stack_of_their_own)
{
	stack_t stack;

	ck_assert_int_eq(sigaltstack(NULL, &stack), 0);
	ck_assert_int_eq(stack.ss_flags & SS_DISABLE, 0);
}
END_TEST

static void *
thread_traps(void *arg)
{
	stack_t stack;

	(void)arg;
	if (!thread_prepare() || load_at(65536) != VM_TRAP || load_at(0) != VM_OK)
		return NULL;
	(void)sigaltstack(NULL, &stack);
	return stack.ss_sp;
}

START_TEST(every_thread_is_prepared_and_cleaned)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *altstack = NULL;

		ck_assert_int_eq(pthread_create(&thread, NULL, thread_traps, NULL), 0);
		ck_assert_int_eq(pthread_join(thread, &altstack), 0);
		ck_assert_ptr_nonnull(altstack);
	}
}
END_TEST

/* Bounds as the C library sees them, against those found here. */
START_TEST(bounds_of_the_first_threads_stack_are_right)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	pthread_attr_t attr;
	void *low;
	size_t size;

	ck_assert_int_eq(pthread_getattr_np(pthread_self(), &attr), 0);
	ck_assert_int_eq(pthread_attr_getstack(&attr, &low, &size), 0);
	(void)pthread_attr_destroy(&attr);
	ck_assert_uint_lt(rt_thread.stack_low, here);
	/* never lower than the library says, but for some rounding */
	ck_assert(rt_thread.stack_low + 65536 >= (uintptr_t)low);
	ck_assert(!thread_stack_is_low());
}
END_TEST

static unsigned int
mxcsr(void)
{
#ifdef __SSE__
	return __builtin_ia32_stmxcsr();
#else
	return 0;
#endif
}

/* Changes the rounding mode, then faults. */
VM_GUEST_TEXT PLAIN static enum vm_status
guest_spoils_registers(void *arg)
{
#ifdef __SSE__
	__builtin_ia32_ldmxcsr(0x7f80);
#endif
	return guest_load(arg);
}

START_TEST(float_mode_is_restored)
{
	struct access access = { vm_memory_data(memory) + 65536, 0 };
	unsigned int before = mxcsr();

	ck_assert_int_eq(rt_enter(&store->run, guest_spoils_registers, &access), VM_TRAP);
	ck_assert_uint_eq(mxcsr() & 0xffc0u, before & 0xffc0u);
}
END_TEST

/* Locals of the caller live in registers that the guest uses too. */
START_TEST(callers_registers_are_restored)
{
	volatile int seed = 3;
	int a = seed, b = a * 5, c = b * 7, d = c * 11, e = d * 13, f = e * 17;

	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(load_at(70000), VM_TRAP);
		a += b;
		b += c;
		c += d;
		d += e;
		e += f;
	}
	int a2 = seed, b2 = a2 * 5, c2 = b2 * 7, d2 = c2 * 11, e2 = d2 * 13;
	for (int i = 0; i < 10; i++) {
		a2 += b2;
		b2 += c2;
		c2 += d2;
		d2 += e2;
		e2 += f;
	}
	ck_assert_int_eq(a, a2);
	ck_assert_int_eq(e, e2);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("rt/trap");
	TCase *traps = tcase_create("traps");
	TCase *fatal = tcase_create("fatal");
	TCase *chained = tcase_create("chained");

	tcase_add_checked_fixture(traps, setup, teardown);
	tcase_add_loop_test(traps, access_is_done_or_trapped, 0,
	                    sizeof(address_cases) / sizeof(address_cases[0]));
	tcase_add_test(traps, run_is_left_after_a_fault);
	tcase_add_test(traps, what_grows_becomes_accessible);
	tcase_add_test(traps, stores_trap_too);
	tcase_add_test(traps, entries_nest);
	tcase_add_test(traps, handlers_run_on_a_stack_of_their_own);
	tcase_add_test(traps, every_thread_is_prepared_and_cleaned);
	tcase_add_test(traps, bounds_of_the_first_threads_stack_are_right);
	tcase_add_test(traps, float_mode_is_restored);
	tcase_add_test(traps, callers_registers_are_restored);
	suite_add_tcase(suite, traps);

	tcase_add_checked_fixture(fatal, setup_with_default_action, NULL);
	tcase_add_test_raise_signal(fatal, another_stores_memory_is_no_trap, SIGSEGV);
	tcase_add_test_raise_signal(fatal, fault_of_host_code_ends_the_process, SIGSEGV);
	tcase_add_test_raise_signal(fatal, wild_fault_of_guest_code_ends_the_process, SIGSEGV);
	tcase_add_test_raise_signal(fatal, fault_without_a_run_ends_the_process, SIGSEGV);
	tcase_add_test_raise_signal(fatal, fault_below_the_size_ends_the_process, SIGSEGV);
	tcase_add_test_raise_signal(fatal, signal_that_was_sent_ends_the_process, SIGSEGV);
	suite_add_tcase(suite, fatal);

	tcase_add_test(chained, earlier_handler_gets_what_is_not_ours);
	suite_add_tcase(suite, chained);
	return suite;
}
