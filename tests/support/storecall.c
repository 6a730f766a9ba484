#include "tests/support/storecall.h"

void
storecall_answer(void *arg, struct store_reply *reply)
{
	struct storecall *call = arg;

	pthread_mutex_lock(&call->lock);
	call->reply = reply;
	pthread_cond_signal(&call->answered);
	pthread_mutex_unlock(&call->lock);
}

struct store_reply *
storecall_wait(struct storecall *call)
{
	pthread_mutex_lock(&call->lock);
	while (call->reply == NULL)
		pthread_cond_wait(&call->answered, &call->lock);
	struct store_reply *reply = call->reply;
	call->reply = NULL;
	pthread_mutex_unlock(&call->lock);
	return reply;
}
