#include "daemon/feed.h"

#include <stdlib.h>

struct feed {
	struct letter news;
	atomic_bool is_posted; /* one letter stands for all events until it is opened */
	struct mailbox *mailbox;
	struct events *events;
	struct audience audience;
	bool is_closed;
};

struct feed *
feed_new(struct mailbox *mailbox)
{
	struct feed *feed = calloc(1, sizeof *feed);

	if (feed == NULL)
		return NULL;
	feed->mailbox = mailbox;
	feed->events = events_new();
	if (feed->events != NULL)
		return feed;
	free(feed);
	return NULL;
}

void
feed_free(struct feed *feed)
{
	if (feed == NULL)
		return;
	audience_dismiss(&feed->audience);
	events_unref(feed->events);
	free(feed);
}

static void
open_news(struct letter *letter)
{
	struct feed *feed = (struct feed *)letter;

	atomic_store_explicit(&feed->is_posted, false, memory_order_release);
	audience_wake(&feed->audience);
}

void
feed_add(struct feed *feed, const char *name, struct rpc_writer *writer)
{
	size_t len;
	char *json = rpc_writer_take(writer, &len);

	if (json == NULL)
		return;
	events_add(feed->events, name, json, len, false);
	free(json);
	if (!atomic_exchange_explicit(&feed->is_posted, true, memory_order_acq_rel))
		mailbox_post(feed->mailbox, &feed->news, open_news);
}

void
feed_follow(struct feed *feed, struct request *request, uint64_t last_id, bool goes_on)
{
	struct audience passing = { .seats = NULL };

	if (goes_on && !feed->is_closed) {
		audience_join(&feed->audience, feed->events, request, last_id);
	} else {
		audience_join(&passing, feed->events, request, last_id);
		audience_dismiss(&passing);
	}
}

void
feed_close(struct feed *feed)
{
	feed->is_closed = true;
	audience_dismiss(&feed->audience);
}
