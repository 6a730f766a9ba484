#include "vm/rt/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "vm/rt/codespace.h"
#include "vm/rt/store.h"

/* Between one signal and the next to a store that has been stopped. */
enum { INSIST_NS = 1000000, ABSENCES_ENOUGH = 2 };

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

enum vm_status
watchdog_init(struct watchdog *watchdog, struct vm_error *err)
{
	pthread_condattr_t attr;
	int failed;

	*watchdog = (struct watchdog){ .planned_ns = UINT64_MAX };
	failed = pthread_condattr_init(&attr);
	if (failed == 0) {
		failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		if (failed == 0)
			failed = pthread_cond_init(&watchdog->wake, &attr);
		(void)pthread_condattr_destroy(&attr);
	}
	if (failed == 0) {
		failed = pthread_mutex_init(&watchdog->lock, NULL);
		if (failed != 0)
			(void)pthread_cond_destroy(&watchdog->wake);
	}
	if (failed != 0)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
		                    "cannot make the watchdog's lock: %s", strerror(failed));
	return VM_OK;
}

void
watchdog_clear(struct watchdog *watchdog)
{
	(void)pthread_mutex_lock(&watchdog->lock);
	watchdog->is_ending = true;
	bool is_running = watchdog->is_running;
	(void)pthread_cond_signal(&watchdog->wake);
	(void)pthread_mutex_unlock(&watchdog->lock);
	if (is_running)
		(void)pthread_join(watchdog->thread, NULL);
	(void)pthread_cond_destroy(&watchdog->wake);
	(void)pthread_mutex_destroy(&watchdog->lock);
}

static void
unlink_store(struct watchdog *watchdog, struct vm_store *store)
{
	if (!store->is_watched)
		return;
	if (store->watch_previous != NULL)
		store->watch_previous->watch_next = store->watch_next;
	else
		watchdog->first = store->watch_next;
	if (store->watch_next != NULL)
		store->watch_next->watch_previous = store->watch_previous;
	store->is_watched = false;
}

static void
link_store(struct watchdog *watchdog, struct vm_store *store)
{
	if (store->is_watched)
		return;
	store->absences = 0;
	store->watch_previous = NULL;
	store->watch_next = watchdog->first;
	if (watchdog->first != NULL)
		watchdog->first->watch_previous = store;
	watchdog->first = store;
	store->is_watched = true;
}

/* Signal the thread in native code; false when there is none. The number may be a thread's that has
 * ended, or another's by now, which then looks and goes on. */
static bool
thread_signal(const struct vm_store *store)
{
	int thread = atomic_load_explicit(&store->run.native_thread, memory_order_relaxed);

	if (thread == 0)
		return false;
	(void)tgkill(getpid(), thread, store->engine->stop_signal);
	return true;
}

/* When to look at a store next; UINT64_MAX when there is no need. */
static uint64_t
attend(struct vm_store *store, uint64_t now)
{
	if (vm_store_stopped(store) == VM_TRAP_NONE) {
		if (store->deadline_ns == 0)
			return UINT64_MAX;
		if (store->deadline_ns > now)
			return store->deadline_ns;
		store_stop_request(store, VM_TRAP_DEADLINE);
	}
	if (!codespace_is_used())
		return UINT64_MAX;
	if (thread_signal(store))
		store->absences = 0;
	else if (++store->absences == ABSENCES_ENOUGH)
		return UINT64_MAX;
	return now + INSIST_NS;
}

/* Stop what is due, and return when to look again. */
static uint64_t
expire(struct watchdog *watchdog)
{
	uint64_t now = now_ns();
	uint64_t earliest = UINT64_MAX;
	struct vm_store *next;

	for (struct vm_store *store = watchdog->first; store != NULL; store = next) {
		uint64_t at = attend(store, now);

		next = store->watch_next;
		if (at == UINT64_MAX)
			unlink_store(watchdog, store);
		else if (at < earliest)
			earliest = at;
	}
	return earliest;
}

static void *
watch(void *arg)
{
	struct watchdog *watchdog = arg;

	(void)pthread_mutex_lock(&watchdog->lock);
	while (!watchdog->is_ending) {
		uint64_t until = expire(watchdog);

		watchdog->planned_ns = until;
		if (until == UINT64_MAX) {
			(void)pthread_cond_wait(&watchdog->wake, &watchdog->lock);
		} else {
			struct timespec at = { .tv_sec = (time_t)(until / 1000000000u),
				               .tv_nsec = (long)(until % 1000000000u) };
			(void)pthread_cond_timedwait(&watchdog->wake, &watchdog->lock, &at);
		}
	}
	(void)pthread_mutex_unlock(&watchdog->lock);
	return NULL;
}

/* Signals are for the program's threads: this one takes none. */
static int
start(struct watchdog *watchdog)
{
	sigset_t all, earlier;

	(void)sigfillset(&all);
	int failed = pthread_sigmask(SIG_SETMASK, &all, &earlier);
	if (failed != 0)
		return failed;
	failed = pthread_create(&watchdog->thread, NULL, watch, watchdog);
	(void)pthread_sigmask(SIG_SETMASK, &earlier, NULL);
	if (failed == 0) {
		watchdog->is_running = true;
		(void)pthread_setname_np(watchdog->thread, "vm-watchdog");
	}
	return failed;
}

enum vm_status
watchdog_set(struct watchdog *watchdog, struct vm_store *store, uint64_t deadline_ns,
             struct vm_error *err)
{
	int failed = 0;

	(void)pthread_mutex_lock(&watchdog->lock);
	if (!watchdog->is_running)
		failed = start(watchdog);
	if (failed == 0) {
		store->deadline_ns = deadline_ns;
		link_store(watchdog, store);
		if (deadline_ns < watchdog->planned_ns) {
			watchdog->planned_ns = deadline_ns;
			(void)pthread_cond_signal(&watchdog->wake);
		}
	}
	(void)pthread_mutex_unlock(&watchdog->lock);
	if (failed != 0)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
		                    "cannot start the thread that watches deadlines: %s",
		                    strerror(failed));
	return VM_OK;
}

void
watchdog_insist(struct watchdog *watchdog, struct vm_store *store)
{
	(void)pthread_mutex_lock(&watchdog->lock);
	(void)thread_signal(store);
	/* Without a thread to insist this was the only signal. */
	if (watchdog->is_running || start(watchdog) == 0) {
		link_store(watchdog, store);
		watchdog->planned_ns = 0;
		(void)pthread_cond_signal(&watchdog->wake);
	}
	(void)pthread_mutex_unlock(&watchdog->lock);
}

void
watchdog_unset(struct watchdog *watchdog, struct vm_store *store)
{
	(void)pthread_mutex_lock(&watchdog->lock);
	unlink_store(watchdog, store);
	store->deadline_ns = 0;
	(void)pthread_mutex_unlock(&watchdog->lock);
}
