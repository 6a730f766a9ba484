/*
 * watchdog.h - the thread that stops stores at their deadlines, and insists.
 *
 * Deadlines are nearly always cleared before they pass, so setting and clearing one costs a lock
 * and no wake-up: the thread sleeps until the earliest time it was ever told of, and only looks
 * then which deadlines are left. It is started with the first deadline, or the first stop.
 *
 * Native code looks at nothing, so a stopped store also gets a signal, and gets it again every
 * millisecond until its thread has left native code. A thread that is about to enter publishes
 * its number and looks at the stop then; that a processor may do this in the other order only
 * matters for some nanoseconds. So a store whose number was absent twice, a millisecond apart, has
 * no thread in native code and none that will come: it is forgotten.
 *
 * Threads: any. A store is in the list only between watchdog_set or watchdog_insist and
 *          watchdog_unset, which therefore must come before the store goes away.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "vm/error.h"

struct vm_store;

struct watchdog {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool is_running;
	bool is_ending;
	uint64_t planned_ns; /* when the thread wakes by itself; UINT64_MAX never */
	struct vm_store *first;
};

VM_MUST_CHECK enum vm_status watchdog_init(struct watchdog *watchdog, struct vm_error *err);
/* Ends the thread; the list has to be empty. */
void watchdog_clear(struct watchdog *watchdog);

/*
 * Stop the store at that time of CLOCK_MONOTONIC, and keep the time in store->deadline_ns, which
 * is the owner thread's to read. Returns VM_E_IO when the thread cannot be started.
 */
VM_MUST_CHECK enum vm_status watchdog_set(struct watchdog *watchdog, struct vm_store *store,
                                          uint64_t deadline_ns, struct vm_error *err);
/* Get the thread of a store that has been stopped out of native code. */
void watchdog_insist(struct watchdog *watchdog, struct vm_store *store);
/* Forget the store; its deadline_ns is 0 then. */
void watchdog_unset(struct watchdog *watchdog, struct vm_store *store);
