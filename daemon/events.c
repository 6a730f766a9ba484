#include "daemon/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One event, as text that is ready to be sent. */
struct event {
	struct event *next;
	uint64_t id; /* 1, 2, ... */
	bool is_last;
	size_t len;
	char text[];
};

struct events {
	atomic_uint refs;
	pthread_mutex_t lock;
	struct event *oldest; /* the rest under the lock */
	struct event *newest;
	size_t size_bytes;
	uint64_t next_id;
};

struct follower {
	struct events *events;
	uint64_t last_id; /* what has been taken */
	bool is_done;
	char *text; /* taken, not wholly read yet; or NULL */
	size_t len;
	size_t read;
};

struct events *
events_new(void)
{
	struct events *events = calloc(1, sizeof *events);

	if (events == NULL)
		return NULL;
	atomic_init(&events->refs, 1);
	pthread_mutex_init(&events->lock, NULL);
	events->next_id = 1;
	return events;
}

struct events *
events_ref(struct events *events)
{
	atomic_fetch_add_explicit(&events->refs, 1, memory_order_relaxed);
	return events;
}

static void
drop_oldest(struct events *events)
{
	struct event *event = events->oldest;

	events->oldest = event->next;
	if (events->oldest == NULL)
		events->newest = NULL;
	events->size_bytes -= event->len;
	free(event);
}

void
events_unref(struct events *events)
{
	if (events == NULL ||
	    atomic_fetch_sub_explicit(&events->refs, 1, memory_order_acq_rel) != 1)
		return;
	while (events->oldest != NULL)
		drop_oldest(events);
	pthread_mutex_destroy(&events->lock);
	free(events);
}

static struct event *
event_new(uint64_t id, const char *name, const char *json, size_t len)
{
	char head[96];
	int head_len = snprintf(head, sizeof head, "id: %llu\nevent: %s\ndata: ",
	                        (unsigned long long)id, name);
	struct event *event = malloc(sizeof *event + (size_t)head_len + len + 2);

	if (event == NULL)
		return NULL;
	memcpy(event->text, head, (size_t)head_len);
	memcpy(event->text + head_len, json, len);
	memcpy(event->text + head_len + len, "\n\n", 2);
	event->len = (size_t)head_len + len + 2;
	event->id = id;
	event->next = NULL;
	return event;
}

void
events_add(struct events *events, const char *name, const char *json, size_t len, bool is_last)
{
	pthread_mutex_lock(&events->lock);
	/* Without memory the event is missing, which its followers see by its number. */
	struct event *event = event_new(events->next_id++, name, json, len);
	if (event != NULL) {
		event->is_last = is_last;
		if (events->newest != NULL)
			events->newest->next = event;
		else
			events->oldest = event;
		events->newest = event;
		events->size_bytes += event->len;
		while (events->size_bytes > EVENTS_BYTES_MAX && events->oldest != event)
			drop_oldest(events);
	}
	pthread_mutex_unlock(&events->lock);
}

/* --- followers ---------------------------------------------------------------------------- */

struct follower *
follower_new(struct events *events, uint64_t last_id)
{
	struct follower *follower = calloc(1, sizeof *follower);

	if (follower == NULL)
		return NULL;
	follower->events = events_ref(events);
	follower->last_id = last_id;
	return follower;
}

void
follower_free(struct follower *follower)
{
	if (follower == NULL)
		return;
	events_unref(follower->events);
	free(follower->text);
	free(follower);
}

/* Tell of events that went before they were read; the next one read is the oldest kept. */
static bool
take_overflow(struct follower *follower, uint64_t missed)
{
	char *text = malloc(96);

	if (text == NULL)
		return false;
	follower->last_id += missed;
	follower->len = (size_t)snprintf(
	    text, 96, "id: %llu\nevent: overflow\ndata: {\"missed\":%llu}\n\n",
	    (unsigned long long)follower->last_id, (unsigned long long)missed);
	follower->text = text;
	return true;
}

/* Copy the next event out of the ring; false when there is none, or no memory now. */
static bool
take_next(struct follower *follower)
{
	struct event *event = follower->events->oldest;

	while (event != NULL && event->id <= follower->last_id)
		event = event->next;
	if (event == NULL)
		return false;
	if (event->id > follower->last_id + 1)
		return take_overflow(follower, event->id - follower->last_id - 1);
	follower->text = malloc(event->len);
	if (follower->text == NULL)
		return false;
	memcpy(follower->text, event->text, event->len);
	follower->len = event->len;
	follower->last_id = event->id;
	follower->is_done = event->is_last;
	return true;
}

ssize_t
follower_read(struct follower *follower, char *data, size_t size)
{
	size_t used = 0;

	while (used < size) {
		if (follower->text == NULL) {
			if (follower->is_done)
				break;
			pthread_mutex_lock(&follower->events->lock);
			bool has_more = take_next(follower);
			pthread_mutex_unlock(&follower->events->lock);
			if (!has_more)
				break;
			follower->read = 0;
		}
		size_t len = follower->len - follower->read;
		if (len > size - used)
			len = size - used;
		memcpy(data + used, follower->text + follower->read, len);
		used += len;
		follower->read += len;
		if (follower->read == follower->len) {
			free(follower->text);
			follower->text = NULL;
		}
	}
	return used == 0 && follower->is_done ? -1 : (ssize_t)used;
}
