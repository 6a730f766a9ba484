/*
 * mailbox.h - how other threads hand work to the event loop.
 *
 * Any thread posts; the loop thread runs each letter's function, in the order of posting by one
 * thread. Letters that are posted while the loop is busy come in one batch: only the first of a
 * batch wakes the loop.
 *
 * Owns:    the wake-up handle; letters belong to who posts them, and are his again once their
 *          function is called
 * Threads: mailbox_post by any thread, the rest by the loop's
 */
#pragma once

#include <stdatomic.h>
#include <uv.h>

/* Embedded in what is handed over. */
struct letter {
	struct letter *next;
	void (*open)(struct letter *letter);
};

struct mailbox {
	uv_async_t async;
	_Atomic(struct letter *) newest;
};

/* Returns 0 or a libuv error. */
int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop);

void mailbox_post(struct mailbox *mailbox, struct letter *letter,
                  void (*open)(struct letter *letter));

/* Open what is there and close the handle; nobody may post any more. */
void mailbox_close(struct mailbox *mailbox);
