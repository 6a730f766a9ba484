/*
 * pool.h - a bounded queue and the threads that work it off.
 *
 * Jobs run in the order of submission. The queue never grows beyond its bound: who is refused
 * tells his client to come back. A job that still waits can be taken out again.
 *
 * Owns:    its threads; jobs belong to who submits them, and are his again once run is called or
 *          pool_remove returns true
 * Threads: every function may be called from any thread, except from a job of the same pool where
 *          said so
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what is to be done. */
struct job {
	struct job *prev;
	struct job *next;
	bool is_waiting; /* guarded by the pool's lock */
	void (*run)(struct job *job);
};

struct pool;

struct pool_config {
	const char *name;       /* threads are called NAME-0, NAME-1, ...; at most 10 bytes */
	unsigned thread_count;  /* at least 1 */
	size_t queue_max;       /* jobs that may wait; at least 1 */
	unsigned spin_us;       /* how long an idle thread looks for work before it sleeps */
	int signal_kept;        /* a signal that the threads take (guests are stopped by it), or 0 */
};

/* Returns NULL, with errno, when the threads cannot be made. */
struct pool *pool_new(const struct pool_config *config);

/* Run what waits, end the threads and wait for them. NULL is fine. Not from a job. */
void pool_free(struct pool *pool);

/* False when the queue is full. */
bool pool_submit(struct pool *pool, struct job *job, void (*run)(struct job *job));

/* True when the job was still waiting: it will not run. False: it runs, has run, or is unknown. */
bool pool_remove(struct pool *pool, struct job *job);

struct pool_figures {
	unsigned thread_count;
	unsigned busy_count; /* threads that run a job */
	size_t waiting_count;
	size_t queue_max;
};

void pool_get_figures(struct pool *pool, struct pool_figures *out);

/* Jobs that wait, without the lock: for a first look. */
size_t pool_waiting(const struct pool *pool);
