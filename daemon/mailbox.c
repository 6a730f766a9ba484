#include "daemon/mailbox.h"

#include <stddef.h>

/* The letters came in as a stack: turn it round. */
static struct letter *
take_in_order(struct mailbox *mailbox)
{
	struct letter *newest =
	    atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
	struct letter *oldest = NULL;

	while (newest != NULL) {
		struct letter *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

static void
open_letters(uv_async_t *async)
{
	struct mailbox *mailbox = async->data;
	struct letter *letter = take_in_order(mailbox);

	while (letter != NULL) {
		struct letter *next = letter->next; /* opening gives the letter away */
		letter->open(letter);
		letter = next;
	}
}

int
mailbox_init(struct mailbox *mailbox, uv_loop_t *loop)
{
	atomic_init(&mailbox->newest, NULL);
	mailbox->async.data = mailbox;
	return uv_async_init(loop, &mailbox->async, open_letters);
}

void
mailbox_post(struct mailbox *mailbox, struct letter *letter, void (*open)(struct letter *letter))
{
	struct letter *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);

	letter->open = open;
	do {
		letter->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, letter,
	                                                memory_order_release,
	                                                memory_order_relaxed));
	if (newest == NULL)
		uv_async_send(&mailbox->async);
}

void
mailbox_close(struct mailbox *mailbox)
{
	open_letters(&mailbox->async);
	uv_close((uv_handle_t *)&mailbox->async, NULL);
}
