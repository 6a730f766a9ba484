/*
 * jobpool.h - a bounded queue and the threads that work it off.
 *
 * Jobs run in the order of submission. The queue never grows beyond its bound: who is refused
 * tells his client to come back. A job that still waits can be taken out again.
 *
 * Owns:    its threads; jobs belong to who submits them, and are his again once run is called or
 *          jobpool_remove returns true
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

struct jobpool;

struct jobpool_config {
	const char *name;       /* threads are called NAME-0, NAME-1, ...; at most 10 bytes */
	unsigned thread_count;  /* at least 1 */
	size_t queue_max;       /* jobs that may wait; at least 1 */
	unsigned spin_us;       /* how long an idle thread looks for work before it sleeps */
	int signal_kept;        /* a signal that the threads take (it stops guests), or 0 */
};

/* Returns NULL, with errno, when the threads cannot be made. */
struct jobpool *jobpool_new(const struct jobpool_config *config);

/* Run what waits, end the threads and wait for them. NULL is fine. Not from a job. */
void jobpool_free(struct jobpool *pool);

/* False when the queue is full. */
bool jobpool_submit(struct jobpool *pool, struct job *job, void (*run)(struct job *job));

/*
 * The same without waking anybody: whoever submits many jobs in a row calls jobpool_wake once
 * behind the last. Threads that are awake begin at once.
 */
bool jobpool_submit_quietly(struct jobpool *pool, struct job *job,
                            void (*run)(struct job *job));
void jobpool_wake(struct jobpool *pool);

/* True when the job was still waiting: it will not run. False: it runs, has run, or is unknown. */
bool jobpool_remove(struct jobpool *pool, struct job *job);

struct jobpool_figures {
	unsigned thread_count;
	unsigned busy_count; /* threads that run a job */
	size_t waiting_count;
	size_t queue_max;
};

void jobpool_get_figures(struct jobpool *pool, struct jobpool_figures *out);

/*
 * When somebody who found the queue full should come back: in how many seconds all that waits now
 * will have begun, by the time that jobs have taken of late. From 1 to JOBPOOL_WAIT_MAX_S.
 */
#define JOBPOOL_WAIT_MAX_S 60
unsigned jobpool_wait_s(struct jobpool *pool);

/* Jobs that wait, without the lock: for a first look. */
size_t jobpool_waiting(const struct jobpool *pool);
