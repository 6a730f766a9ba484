/*
 * events.h - what happens in an invocation, for those who follow it.
 *
 * A bounded ring of server-sent events, written by the worker that runs the guest and by the
 * loop, read by any number of followers, each at its own pace. When the ring is full the oldest
 * events go; a follower who has not read them yet is told how many he missed.
 *
 * Spec:    HTML Living Standard, section 9.2 (server-sent events)
 * Threads: counted; every function may be called from any thread, a follower belongs to one
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EVENTS_BYTES_MAX 262144 /* of the text that is kept */

struct events;

/* NULL: no memory. */
struct events *events_new(void);
struct events *events_ref(struct events *events);
void events_unref(struct events *events); /* NULL is fine */

/*
 * Add an event; name is a constant text, json one line. is_last: nothing comes behind it. Who
 * adds sees to it that the followers read on.
 */
void events_add(struct events *events, const char *name, const char *json, size_t len,
                bool is_last);

struct follower;

/* Read the events behind number last_id (0: all that are kept). NULL: no memory. */
struct follower *follower_new(struct events *events, uint64_t last_id);
void follower_free(struct follower *follower); /* NULL is fine */

/* At most size bytes of text; 0: nothing new now; -1: behind the last event. */
ssize_t follower_read(struct follower *follower, char *data, size_t size);
