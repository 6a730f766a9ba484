#include "daemon/store/internal.h"

#include <stdlib.h>
#include <time.h>
#include "daemon/clock.h"

bool
op_queue_init(struct op_queue *queue, unsigned count_max)
{
	pthread_condattr_t attr;

	*queue = (struct op_queue){ .last = &queue->first, .count_max = count_max };
	if (pthread_condattr_init(&attr) != 0)
		return false;
	bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
		  pthread_cond_init(&queue->filled, &attr) == 0;
	pthread_condattr_destroy(&attr);
	if (ok && pthread_mutex_init(&queue->lock, NULL) != 0) {
		pthread_cond_destroy(&queue->filled);
		ok = false;
	}
	return ok;
}

void
op_queue_clear(struct op_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
	pthread_cond_destroy(&queue->filled);
}

enum store_status
op_queue_push(struct op_queue *queue, struct op *op)
{
	pthread_mutex_lock(&queue->lock);
	bool ok = !queue->closed && queue->count < queue->count_max;
	if (ok) {
		op->next = NULL;
		*queue->last = op;
		queue->last = &op->next;
		queue->count++;
		pthread_cond_signal(&queue->filled);
	}
	pthread_mutex_unlock(&queue->lock);
	return ok ? STORE_OK : STORE_E_BUSY;
}

/* With the lock held. */
static void
wait_filled(struct op_queue *queue, uint64_t timeout_us)
{
	uint64_t end_us = clock_monotonic_us() + timeout_us;
	struct timespec end = { .tv_sec = (time_t)(end_us / 1000000),
				.tv_nsec = (long)(end_us % 1000000 * 1000) };

	while (queue->first == NULL && !queue->closed)
		if (pthread_cond_timedwait(&queue->filled, &queue->lock, &end) != 0)
			return;
}

/* With the lock held: cut off the front. */
static struct op *
take_front(struct op_queue *queue, unsigned count_max, size_t weight_max)
{
	struct op *first = queue->first;
	struct op **link = &queue->first;
	size_t weight = 0;

	for (unsigned taken = 0; *link != NULL && taken < count_max; taken++) {
		if (taken > 0 && (*link)->weight_bytes > weight_max - weight)
			break;
		/* The first may be heavier than the limit: then it goes alone. */
		weight += (*link)->weight_bytes;
		if (weight > weight_max)
			weight = weight_max;
		link = &(*link)->next;
		queue->count--;
	}
	queue->first = *link;
	*link = NULL;
	if (queue->first == NULL)
		queue->last = &queue->first;
	return first;
}

struct op *
op_queue_take(struct op_queue *queue, unsigned count_max, size_t weight_max, uint64_t timeout_us)
{
	struct op *taken = NULL;

	pthread_mutex_lock(&queue->lock);
	wait_filled(queue, timeout_us);
	if (queue->first != NULL)
		taken = take_front(queue, count_max, weight_max);
	pthread_mutex_unlock(&queue->lock);
	return taken;
}

void
op_queue_close(struct op_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_broadcast(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
}

bool
op_queue_is_closed(struct op_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	bool closed = queue->closed;
	pthread_mutex_unlock(&queue->lock);
	return closed;
}

unsigned
op_queue_count(struct op_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	unsigned count = queue->count;
	pthread_mutex_unlock(&queue->lock);
	return count;
}

/* ---- ops ---- */

struct op *
op_new(size_t params_bytes, store_done_fn *done, void *arg)
{
	struct op *op = calloc(1, sizeof *op);

	if (op == NULL)
		return NULL;
	op->answer = answer_new();
	if (op->answer != NULL)
		op->params = answer_alloc(op->answer, params_bytes);
	if (op->params == NULL) {
		op_free(op);
		return NULL;
	}
	op->done = done;
	op->arg = arg;
	return op;
}

/* The parameters live in the answer, so this comes before it is given away. */
static void
op_drop(struct op *op)
{
	if (op->drop != NULL)
		op->drop(op);
	op->drop = NULL;
}

void
op_free(struct op *op)
{
	if (op == NULL)
		return;
	op_drop(op);
	if (op->answer != NULL)
		store_reply_free(&op->answer->public);
	free(op);
}

enum store_status
op_submit(struct op_queue *queue, struct op *op)
{
	enum store_status status = op->answer->nomem ? STORE_E_NOMEM : op_queue_push(queue, op);

	if (status != STORE_OK)
		op_free(op);
	return status;
}

void
op_run(struct store *store, struct db *db, struct op *op)
{
	struct store_error *err = &op->answer->public.error;

	db_clear(db);
	answer_reset(op->answer);
	op->run(store, db, op);
	if (err->status == STORE_OK && db_failed(db))
		db_error(db, err, "request failed");
	if (err->status == STORE_OK && op->answer->nomem)
		store_fail(err, STORE_E_NOMEM, "out of memory");
}

void
op_answer(struct op *op)
{
	struct answer *answer = op->answer;

	op_drop(op);
	if (op->done != NULL) {
		op->answer = NULL;
		op->done(op->arg, &answer->public);
	}
	op_free(op);
}
