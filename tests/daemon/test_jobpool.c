/*
 * The queue of jobs: order, bounds, taking out, and the end.
 */
#include "daemon/jobpool.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>
#include "tests/support/unit.h"

struct counted {
	struct job job;
	int number;
};

static sem_t gate;      /* what blocked jobs wait for */
static sem_t has_begun; /* posted by each */
static int order[64];
static atomic_int done;

static void
run(struct job *job)
{
	order[atomic_fetch_add(&done, 1)] = ((struct counted *)job)->number;
}

static void
run_blocked(struct job *job)
{
	sem_post(&has_begun);
	sem_wait(&gate);
	run(job);
}

static void
setup(void)
{
	sem_init(&gate, 0, 0);
	sem_init(&has_begun, 0, 0);
	atomic_store(&done, 0);
}

static struct jobpool *
make(unsigned threads, size_t queue_max, unsigned spin_us)
{
	struct jobpool_config config = { .name = "test", .thread_count = threads,
		                         .queue_max = queue_max, .spin_us = spin_us };
	struct jobpool *pool = jobpool_new(&config);

	ck_assert_ptr_nonnull(pool);
	return pool;
}

START_TEST(jobs_run_in_order_and_all_before_the_end)
{
	struct counted jobs[64];
	struct jobpool *pool = make(1, 64, _i == 0 ? 0 : 100);

	for (int i = 0; i < 64; i++) {
		jobs[i].number = i;
		ck_assert(i % 2 == 0 ? jobpool_submit(pool, &jobs[i].job, run)
		                     : jobpool_submit_quietly(pool, &jobs[i].job, run));
	}
	jobpool_wake(pool);
	jobpool_free(pool);
	ck_assert_int_eq(atomic_load(&done), 64);
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(order[i], i);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
	struct counted jobs[4] = { { .number = 0 } };
	struct jobpool *pool = make(1, 2, 0);
	struct jobpool_figures figures;

	ck_assert(jobpool_submit(pool, &jobs[0].job, run_blocked));
	sem_wait(&has_begun); /* it runs, and waits no more */
	ck_assert(jobpool_submit(pool, &jobs[1].job, run));
	ck_assert(jobpool_submit(pool, &jobs[2].job, run));
	ck_assert(!jobpool_submit(pool, &jobs[3].job, run));
	jobpool_get_figures(pool, &figures);
	ck_assert_uint_eq(figures.busy_count, 1);
	ck_assert_uint_eq(figures.waiting_count, 2);
	sem_post(&gate);
	jobpool_free(pool);
	ck_assert_int_eq(atomic_load(&done), 3);
}
END_TEST

START_TEST(a_waiting_job_can_be_taken_out_a_running_one_cannot)
{
	struct counted jobs[4];
	struct jobpool *pool = make(1, 4, 0);

	for (int i = 0; i < 4; i++)
		jobs[i].number = i;
	ck_assert(jobpool_submit(pool, &jobs[0].job, run_blocked));
	sem_wait(&has_begun);
	for (int i = 1; i < 4; i++)
		ck_assert(jobpool_submit(pool, &jobs[i].job, run));
	ck_assert(jobpool_remove(pool, &jobs[2].job));
	ck_assert(!jobpool_remove(pool, &jobs[2].job));
	ck_assert(!jobpool_remove(pool, &jobs[0].job));
	sem_post(&gate);
	jobpool_free(pool);
	ck_assert_int_eq(atomic_load(&done), 3);
	ck_assert_int_eq(order[1], 1);
	ck_assert_int_eq(order[2], 3);
}
END_TEST

START_TEST(as_many_run_at_once_as_there_are_threads)
{
	struct counted jobs[3];
	struct jobpool *pool = make(3, 3, 0);

	for (int i = 0; i < 3; i++)
		ck_assert(jobpool_submit_quietly(pool, &jobs[i].job, run_blocked));
	jobpool_wake(pool);
	for (int i = 0; i < 3; i++)
		sem_wait(&has_begun);
	for (int i = 0; i < 3; i++)
		sem_post(&gate);
	jobpool_free(pool);
	ck_assert_int_eq(atomic_load(&done), 3);
}
END_TEST

/* No job has ended yet: the ages of those that run are what is known. */
START_TEST(who_is_refused_is_told_when_there_will_be_room)
{
	static struct counted jobs[1000];
	struct jobpool *pool = make(2, 1000, 0);

	ck_assert_uint_eq(jobpool_wait_s(pool), 1);
	for (int i = 0; i < 1000; i++)
		ck_assert(jobpool_submit(pool, &jobs[i].job, run_blocked));
	for (int i = 0; i < 2; i++)
		sem_wait(&has_begun);
	usleep(200000);
	ck_assert_uint_eq(jobpool_wait_s(pool), JOBPOOL_WAIT_MAX_S); /* 998 of 0.2 s, by twos */
	for (int i = 42; i < 1000; i++)
		ck_assert(jobpool_remove(pool, &jobs[i].job));
	unsigned wait_s = jobpool_wait_s(pool); /* 40 of them */
	ck_assert_msg(wait_s >= 4 && wait_s < 40, "%u s", wait_s);
	for (int i = 0; i < 42; i++)
		sem_post(&gate);
	jobpool_free(pool);
	ck_assert_int_eq(atomic_load(&done), 42);
}
END_TEST

static void
run_slowly(struct job *job)
{
	usleep(50000);
	run(job);
}

START_TEST(what_jobs_took_of_late_is_remembered)
{
	static struct counted jobs[202];
	struct jobpool *pool = make(1, 300, 0);

	for (int i = 0; i < 32; i++)
		ck_assert(jobpool_submit(pool, &jobs[i].job, run_slowly));
	while (atomic_load(&done) < 32)
		usleep(1000);
	for (int i = 32; i < 202; i++)
		ck_assert(jobpool_submit(pool, &jobs[i].job, run_slowly));
	unsigned wait_s = jobpool_wait_s(pool); /* 170 of 50 ms are 8.5 s, of which 7.4 are known */
	ck_assert_msg(wait_s >= 6 && wait_s < 30, "%u s", wait_s);
	for (int i = 32; i < 202; i++)
		jobpool_remove(pool, &jobs[i].job);
	jobpool_free(pool);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("jobpool");
	TCase *tc = tcase_create("jobpool");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, jobs_run_in_order_and_all_before_the_end, 0, 2);
	tcase_add_test(tc, a_full_queue_refuses);
	tcase_add_test(tc, a_waiting_job_can_be_taken_out_a_running_one_cannot);
	tcase_add_test(tc, as_many_run_at_once_as_there_are_threads);
	tcase_add_test(tc, who_is_refused_is_told_when_there_will_be_room);
	tcase_add_test(tc, what_jobs_took_of_late_is_remembered);
	suite_add_tcase(suite, tc);
	return suite;
}
