/*
 * feed.h - what happens in the daemon, beside requests: compiling, artifacts that come and go.
 *
 * A bounded ring of events for everyone who may see modules; see events.h. Their data is an
 * object whose member `module` is the digest.
 *
 * Threads: feed_add by any thread, the rest by the loop's
 */
#pragma once

#include "daemon/audience.h"
#include "daemon/mailbox.h"
#include "rpc/writer.h"

struct feed;

/* NULL: no memory. */
struct feed *feed_new(struct mailbox *mailbox);
void feed_free(struct feed *feed); /* nobody follows any more; NULL is fine */

/* Takes over what the writer wrote, one object; name is a constant text. */
void feed_add(struct feed *feed, const char *name, struct rpc_writer *writer);

/* Replies with a stream; one that does not go on ends behind what there is now. */
void feed_follow(struct feed *feed, struct request *request, uint64_t last_id, bool goes_on);

/* The daemon is about to end: so do the streams. */
void feed_close(struct feed *feed);
