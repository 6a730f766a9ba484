#include "vm/rt/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Room for the handler and those chained behind it, besides what the kernel stores. */
enum { ALTSTACK_BYTES = 64 * 1024 };

/* However large the limit: other mappings may lie further below. */
enum { INITIAL_STACK_MAX = 64 << 20 };

_Thread_local struct rt_thread rt_thread;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_is_made;

/* At the end of a thread: take the alternate stack away, unless somebody has replaced it. */
static void
altstack_remove(void *map)
{
	stack_t now;

	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == map) {
		now.ss_flags = SS_DISABLE;
		(void)sigaltstack(&now, NULL);
	}
	(void)munmap(map, ALTSTACK_BYTES);
	rt_thread.serial = 0;
}

static void
key_make(void)
{
	key_is_made = pthread_key_create(&key, altstack_remove) == 0;
}

/* True when the thread has an alternate stack already that is large enough. */
static bool
altstack_exists(void)
{
	size_t needed = getauxval(AT_MINSIGSTKSZ);
	stack_t now;

	if (needed < 4096)
		needed = 4096;
	return sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE) &&
	       now.ss_size >= needed + 12 * 1024;
}

static bool
altstack_make(void)
{
	if (altstack_exists())
		return true;
	if (pthread_once(&key_once, key_make) != 0 || !key_is_made)
		return false;

	void *map = mmap(NULL, ALTSTACK_BYTES, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return false;
	const stack_t stack = { .ss_sp = map, .ss_size = ALTSTACK_BYTES };
	if (pthread_setspecific(key, map) != 0 || sigaltstack(&stack, NULL) != 0) {
		(void)pthread_setspecific(key, NULL);
		(void)munmap(map, ALTSTACK_BYTES);
		return false;
	}
	return true;
}

/*
 * The first thread's stack ends where the system put the program's name, and grows as far as the
 * limit says. pthread_getattr_np would read all of /proc/self/maps for it: a tenth of the time
 * that a small program may take.
 */
static bool
initial_stack_find(struct rt_thread *out)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t high = (uintptr_t)getauxval(AT_EXECFN);
	struct rlimit limit;

	if (gettid() != getpid() || getrlimit(RLIMIT_STACK, &limit) != 0)
		return false;
	uintptr_t size = INITIAL_STACK_MAX;
	if (limit.rlim_cur < size)
		size = (uintptr_t)limit.rlim_cur;
	if (here >= high || high - here >= size)
		return false;
	out->stack_low = high - size;
	return true;
}

static bool
stack_find(struct rt_thread *out)
{
	pthread_attr_t attr;
	void *low;
	size_t size, guard;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return false;
	bool is_known = pthread_attr_getstack(&attr, &low, &size) == 0 &&
	                pthread_attr_getguardsize(&attr, &guard) == 0;
	(void)pthread_attr_destroy(&attr);
	if (!is_known)
		return false;
	/* Some versions count the guard as stack: it is subtracted to be sure. */
	out->stack_low = (uintptr_t)low + guard;
	return true;
}

bool
thread_prepare_slow(void)
{
	static atomic_ullong serials;

	if (!altstack_make() || !(initial_stack_find(&rt_thread) || stack_find(&rt_thread)))
		return false;
	rt_thread.serial = 1 + atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed);
	return true;
}

void
thread_prepare_native(int stop_signal)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, stop_signal);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	rt_thread.number = gettid();
	rt_thread.stop_signal = stop_signal;
}
