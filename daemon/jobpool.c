#include "daemon/jobpool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/clock.h"

/* Enough for the deepest C calls of validation and host functions; guests have their own. */
#define THREAD_STACK_BYTES ((size_t)2 * 1024 * 1024)
#define SERVICE_JOBS 16 /* over so many jobs the time that one takes is averaged */

struct jobpool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *oldest; /* waiting jobs, guarded by lock */
	struct job *newest;
	atomic_size_t waiting_count; /* changed under lock, looked at without */
	size_t queue_max;
	unsigned sleeping_count;     /* threads in pthread_cond_wait */
	unsigned spinning_count;     /* threads that will look again by themselves */
	unsigned busy_count;
	uint64_t busy_since_us; /* the times at which the running jobs began, added up */
	double service_us;      /* what a job has taken of late: a moving average */
	bool is_ending;
	unsigned spin_us;
	unsigned thread_count; /* that run */
	pthread_t *threads;
};

static void
relax(void)
{
#if defined __x86_64__
	__builtin_ia32_pause();
#endif
}

/* --- the list, under the lock ------------------------------------------------------------- */

static void
list_append(struct jobpool *pool, struct job *job)
{
	job->prev = pool->newest;
	job->next = NULL;
	if (pool->newest != NULL)
		pool->newest->next = job;
	else
		pool->oldest = job;
	pool->newest = job;
	job->is_waiting = true;
	atomic_fetch_add_explicit(&pool->waiting_count, 1, memory_order_relaxed);
}

static void
list_remove(struct jobpool *pool, struct job *job)
{
	if (job->prev != NULL)
		job->prev->next = job->next;
	else
		pool->oldest = job->next;
	if (job->next != NULL)
		job->next->prev = job->prev;
	else
		pool->newest = job->prev;
	job->is_waiting = false;
	atomic_fetch_sub_explicit(&pool->waiting_count, 1, memory_order_relaxed);
}

/* --- looking for work --------------------------------------------------------------------- */

/*
 * Look for work for a little while without the lock: under load the next job comes sooner than a
 * sleep and a wake-up take.
 */
static void
spin(struct jobpool *pool)
{
	pool->spinning_count++;
	pthread_mutex_unlock(&pool->lock);
	uint64_t end_us = clock_monotonic_us() + pool->spin_us;
	do {
		for (int i = 0; i < 64; i++) {
			if (atomic_load_explicit(&pool->waiting_count, memory_order_relaxed) > 0)
				goto done;
			relax();
		}
	} while (clock_monotonic_us() < end_us);
done:
	pthread_mutex_lock(&pool->lock);
	pool->spinning_count--;
}

/* --- how long jobs take, under the lock --------------------------------------------------- */

static void
job_begins(struct jobpool *pool, uint64_t now_us)
{
	pool->busy_count++;
	pool->busy_since_us += now_us;
}

static void
job_ends(struct jobpool *pool, uint64_t began_us, uint64_t now_us)
{
	pool->busy_count--;
	pool->busy_since_us -= began_us;
	pool->service_us += ((double)(now_us - began_us) - pool->service_us) / SERVICE_JOBS;
}

/* --- threads ------------------------------------------------------------------------------ */

/* Wait for a job; NULL when the pool ends and nothing is left. Called and returns under lock. */
static struct job *
next_job(struct jobpool *pool)
{
	if (pool->oldest == NULL && pool->spin_us > 0 && !pool->is_ending)
		spin(pool);
	while (pool->oldest == NULL) {
		if (pool->is_ending)
			return NULL;
		pool->sleeping_count++;
		pthread_cond_wait(&pool->wake, &pool->lock);
		pool->sleeping_count--;
	}
	struct job *job = pool->oldest;
	list_remove(pool, job);
	return job;
}

static void *
work(void *arg)
{
	struct jobpool *pool = arg;
	struct job *job;

	pthread_mutex_lock(&pool->lock);
	while ((job = next_job(pool)) != NULL) {
		uint64_t began_us = clock_monotonic_us();
		job_begins(pool, began_us);
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		uint64_t ended_us = clock_monotonic_us();
		pthread_mutex_lock(&pool->lock);
		job_ends(pool, began_us, ended_us);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* All but the faults, which belong to the thread that makes them, and the one that is kept. */
static void
worker_signals(sigset_t *out, int signal_kept)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };

	sigfillset(out);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		sigdelset(out, faults[i]);
	if (signal_kept != 0)
		sigdelset(out, signal_kept);
}

static int
start_threads(struct jobpool *pool, const struct jobpool_config *config)
{
	pthread_attr_t attr;
	sigset_t blocked;
	sigset_t before;
	char name[16];
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	worker_signals(&blocked, config->signal_kept);
	pthread_sigmask(SIG_SETMASK, &blocked, &before); /* new threads inherit it */
	while (pool->thread_count < config->thread_count) {
		pthread_t *thread = &pool->threads[pool->thread_count];
		error = pthread_create(thread, &attr, work, pool);
		if (error != 0)
			break;
		snprintf(name, sizeof name, "%.10s-%u", config->name, pool->thread_count % 1000);
		pthread_setname_np(*thread, name);
		pool->thread_count++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

struct jobpool *
jobpool_new(const struct jobpool_config *config)
{
	struct jobpool *pool = calloc(1, sizeof *pool);

	if (pool == NULL)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pool->queue_max = config->queue_max;
	pool->spin_us = config->spin_us;
	pool->threads = calloc(config->thread_count, sizeof *pool->threads);
	int error = pool->threads == NULL ? ENOMEM : start_threads(pool, config);
	if (error == 0)
		return pool;
	jobpool_free(pool);
	errno = error;
	return NULL;
}

void
jobpool_free(struct jobpool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->is_ending = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}

/* --- jobs --------------------------------------------------------------------------------- */

bool
jobpool_submit_quietly(struct jobpool *pool, struct job *job, void (*run)(struct job *job))
{
	pthread_mutex_lock(&pool->lock);
	bool has_room = jobpool_waiting(pool) < pool->queue_max;
	if (has_room) {
		job->run = run;
		list_append(pool, job);
	}
	pthread_mutex_unlock(&pool->lock);
	return has_room;
}

/* A spinning thread finds a job by itself; each takes one. */
void
jobpool_wake(struct jobpool *pool)
{
	if (jobpool_waiting(pool) == 0)
		return;
	pthread_mutex_lock(&pool->lock);
	size_t jobs = jobpool_waiting(pool);
	size_t wanted = jobs > pool->spinning_count ? jobs - pool->spinning_count : 0;
	size_t count = wanted < pool->sleeping_count ? wanted : pool->sleeping_count;
	pthread_mutex_unlock(&pool->lock);
	while (count-- > 0)
		pthread_cond_signal(&pool->wake);
}

bool
jobpool_submit(struct jobpool *pool, struct job *job, void (*run)(struct job *job))
{
	bool is_submitted = jobpool_submit_quietly(pool, job, run);

	jobpool_wake(pool);
	return is_submitted;
}

bool
jobpool_remove(struct jobpool *pool, struct job *job)
{
	pthread_mutex_lock(&pool->lock);
	bool was_waiting = job->is_waiting;
	if (was_waiting)
		list_remove(pool, job);
	pthread_mutex_unlock(&pool->lock);
	return was_waiting;
}

void
jobpool_get_figures(struct jobpool *pool, struct jobpool_figures *out)
{
	pthread_mutex_lock(&pool->lock);
	*out = (struct jobpool_figures){
		.thread_count = pool->thread_count,
		.busy_count = pool->busy_count,
		.waiting_count = pool->waiting_count,
		.queue_max = pool->queue_max,
	};
	pthread_mutex_unlock(&pool->lock);
}

unsigned
jobpool_wait_s(struct jobpool *pool)
{
	uint64_t now_us = clock_monotonic_us();
	double running_us = 0;

	pthread_mutex_lock(&pool->lock);
	/* Jobs that run for longer than those before say more than these. */
	if (pool->busy_count > 0)
		running_us = ((double)now_us * pool->busy_count - (double)pool->busy_since_us) /
		             pool->busy_count;
	double service_us = running_us > pool->service_us ? running_us : pool->service_us;
	double wait_s = service_us * (double)jobpool_waiting(pool) / pool->thread_count / 1e6;
	pthread_mutex_unlock(&pool->lock);
	if (wait_s >= JOBPOOL_WAIT_MAX_S)
		return JOBPOOL_WAIT_MAX_S;
	return wait_s < 1 ? 1 : (unsigned)wait_s;
}

size_t
jobpool_waiting(const struct jobpool *pool)
{
	return atomic_load_explicit(&pool->waiting_count, memory_order_relaxed);
}
