/*
 * storecall.h - wait for what a store answers.
 *
 * A request is submitted with storecall_answer and a call as its last parameters; then the call is
 * waited for:
 *
 *	struct storecall call = STORECALL_INIT;
 *	if (store_tag_get(store, &name, storecall_answer, &call) == STORE_OK)
 *		reply = storecall_wait(&call);
 */
#pragma once

#include <pthread.h>
#include "daemon/store.h"

struct storecall {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct store_reply *reply;
};

#define STORECALL_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL }

/* A store_done_fn; arg is the call. */
void storecall_answer(void *arg, struct store_reply *reply);

/* The reply, which is the caller's; the call can be used again. */
struct store_reply *storecall_wait(struct storecall *call);
