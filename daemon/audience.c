#include "daemon/audience.h"

#include <stdlib.h>

struct audience_seat {
	struct audience_seat *prev;
	struct audience_seat *next;
	struct audience *audience; /* NULL: dismissed */
	struct request *request;
	struct follower *follower;
};

static ssize_t
read_events(void *env, char *data, size_t size)
{
	struct audience_seat *seat = env;
	ssize_t len = follower_read(seat->follower, data, size);

	if (len == 0 && seat->audience == NULL)
		return -1;
	if (len == 0)
		request_stream_wait(seat->request);
	return len;
}

static void
leave(void *env)
{
	struct audience_seat *seat = env;
	struct audience *audience = seat->audience;

	if (audience != NULL) {
		if (seat->prev != NULL)
			seat->prev->next = seat->next;
		else
			audience->seats = seat->next;
		if (seat->next != NULL)
			seat->next->prev = seat->prev;
	}
	follower_free(seat->follower);
	free(seat);
	if (audience != NULL && audience->seats == NULL && audience->on_deserted != NULL)
		audience->on_deserted(audience);
}

void
audience_join(struct audience *audience, struct events *events, struct request *request,
              uint64_t last_id)
{
	struct audience_seat *seat = calloc(1, sizeof *seat);
	struct reply_stream stream = { read_events, leave, seat };
	struct reply reply;

	if (seat != NULL)
		seat->follower = follower_new(events, last_id);
	if (seat == NULL || seat->follower == NULL) {
		free(seat);
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory to follow the events");
		return;
	}
	seat->request = request;
	seat->audience = audience;
	seat->next = audience->seats;
	if (seat->next != NULL)
		seat->next->prev = seat;
	audience->seats = seat;
	reply_init(&reply, 200);
	reply_header(&reply, "Content-Type", "text/event-stream");
	reply_header(&reply, "Cache-Control", "no-store");
	reply.stream = &stream;
	request_reply(request, &reply);
}

void
audience_wake(struct audience *audience)
{
	struct audience_seat *next;

	for (struct audience_seat *seat = audience->seats; seat != NULL; seat = next) {
		next = seat->next;
		request_stream_wake(seat->request);
	}
}

void
audience_dismiss(struct audience *audience)
{
	while (audience->seats != NULL) {
		struct audience_seat *seat = audience->seats;
		audience->seats = seat->next;
		seat->audience = NULL;
		request_stream_wake(seat->request);
	}
}
