#include "daemon/store/internal.h"

#include <stdlib.h>
#include <time.h>

bool
queue_init(struct queue *queue, unsigned count_max)
{
	pthread_condattr_t attr;

	*queue = (struct queue){ .last = &queue->first, .count_max = count_max };
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
queue_clear(struct queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
	pthread_cond_destroy(&queue->filled);
}

enum store_status
queue_push(struct queue *queue, struct request *request)
{
	pthread_mutex_lock(&queue->lock);
	bool ok = !queue->closed && queue->count < queue->count_max;
	if (ok) {
		request->next = NULL;
		*queue->last = request;
		queue->last = &request->next;
		queue->count++;
		pthread_cond_signal(&queue->filled);
	}
	pthread_mutex_unlock(&queue->lock);
	return ok ? STORE_OK : STORE_E_BUSY;
}

/* With the lock held. */
static void
wait_filled(struct queue *queue, uint64_t timeout_us)
{
	uint64_t end_us = store_monotonic_us() + timeout_us;
	struct timespec end = { .tv_sec = (time_t)(end_us / 1000000),
		                .tv_nsec = (long)(end_us % 1000000 * 1000) };

	while (queue->first == NULL && !queue->closed)
		if (pthread_cond_timedwait(&queue->filled, &queue->lock, &end) != 0)
			return;
}

/* With the lock held: cut off the front. */
static struct request *
take_front(struct queue *queue, unsigned count_max, size_t weight_max)
{
	struct request *first = queue->first;
	struct request **link = &queue->first;
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

struct request *
queue_take(struct queue *queue, unsigned count_max, size_t weight_max, uint64_t timeout_us)
{
	struct request *taken = NULL;

	pthread_mutex_lock(&queue->lock);
	wait_filled(queue, timeout_us);
	if (queue->first != NULL)
		taken = take_front(queue, count_max, weight_max);
	pthread_mutex_unlock(&queue->lock);
	return taken;
}

void
queue_close(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_broadcast(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
}

bool
queue_is_closed(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	bool closed = queue->closed;
	pthread_mutex_unlock(&queue->lock);
	return closed;
}

unsigned
queue_count(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	unsigned count = queue->count;
	pthread_mutex_unlock(&queue->lock);
	return count;
}

/* ---- requests ---- */

struct request *
request_new(size_t params_bytes, store_done_fn *done, void *arg)
{
	struct request *request = calloc(1, sizeof *request);

	if (request == NULL)
		return NULL;
	request->reply = reply_new();
	if (request->reply != NULL)
		request->params = reply_alloc(request->reply, params_bytes);
	if (request->params == NULL) {
		request_free(request);
		return NULL;
	}
	request->done = done;
	request->arg = arg;
	return request;
}

/* The parameters live in the reply, so this comes before it is given away. */
static void
request_drop(struct request *request)
{
	if (request->drop != NULL)
		request->drop(request);
	request->drop = NULL;
}

void
request_free(struct request *request)
{
	if (request == NULL)
		return;
	request_drop(request);
	if (request->reply != NULL)
		store_reply_free(&request->reply->public);
	free(request);
}

enum store_status
request_submit(struct queue *queue, struct request *request)
{
	enum store_status status = request->reply->nomem ? STORE_E_NOMEM : queue_push(queue, request);

	if (status != STORE_OK)
		request_free(request);
	return status;
}

void
request_run(struct store *store, struct db *db, struct request *request)
{
	struct store_error *err = &request->reply->public.error;

	db_clear(db);
	reply_reset(request->reply);
	request->run(store, db, request);
	if (err->status == STORE_OK && db_failed(db))
		db_error(db, err, "request failed");
	if (err->status == STORE_OK && request->reply->nomem)
		store_fail(err, STORE_E_NOMEM, "out of memory");
}

void
request_answer(struct request *request)
{
	struct reply *reply = request->reply;

	request_drop(request);
	if (request->done != NULL) {
		request->reply = NULL;
		request->done(request->arg, &reply->public);
	}
	request_free(request);
}
