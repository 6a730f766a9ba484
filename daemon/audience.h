/*
 * audience.h - requests that follow a ring of events, each as a stream that does not end before
 * the events do.
 *
 * Owns:    what it needs for each request; the requests are the server's
 * Threads: everything on the loop's thread
 */
#pragma once

#include "daemon/events.h"
#include "daemon/server.h"

struct audience_seat;

/* All zero: nobody is there. */
struct audience {
	struct audience_seat *seats;
	/* The last request left although more events may come; may be NULL. */
	void (*on_deserted)(struct audience *audience);
};

/* Follow the events behind number last_id (0: all that are kept). Replies in any case. */
void audience_join(struct audience *audience, struct events *events, struct request *request,
                   uint64_t last_id);

/* There are new events. */
void audience_wake(struct audience *audience);

/* No more events will come: what is there is still read, then the streams end. */
void audience_dismiss(struct audience *audience);
