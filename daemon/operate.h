/*
 * operate.h - what clients without a guest ask of plug-ins, on threads of its own.
 *
 * A request waits, as one for a guest does, while an operator works on its answer. When its client
 * leaves, or the daemon will not wait any longer, a descriptor becomes readable, and operations in
 * the sandbox end early.
 *
 * Owns:    the calls that were started
 * Threads: the loop's, but for operate_ask and what `run` does
 */
#pragma once

#include <stdatomic.h>
#include "daemon/jobpool.h"
#include "daemon/mailbox.h"
#include "daemon/sandbox.h"
#include "daemon/server.h"

struct daemon;
struct operations;

/* NULL: no memory. */
struct operations *operations_new(struct daemon *daemon);
/* None may be active. NULL is fine. */
void operations_free(struct operations *operations);
void operations_cancel_all(struct operations *operations);

/* Embedded in what is to be done. */
struct operate {
	struct letter letter;
	struct job job;
	struct operate *prev;
	struct operate *next;
	struct daemon *daemon;
	struct request *request;
	struct auth_principal *principal;
	uint64_t time_ms; /* that it may take */
	int stop_fd;
	/* On an operator: has to fill in the reply. */
	void (*run)(struct operate *operate);
	/* On the loop's thread, behind the reply: free it, and what it points to. */
	void (*free)(struct operate *operate);
	struct reply reply;
};

/*
 * Start it for a request, which is replied to in any case. Takes it over; run and free are set
 * already.
 */
void operate_start(struct operate *operate, struct request *request);

/*
 * On an operator: ask a plug-in that is loaded for an operation, here or in the sandbox, on
 * behalf of the caller. The reply is to be cleared in any case. False: *problem says why.
 */
bool operate_ask(struct operate *operate, const char *plugin,
                 const struct vm_plugin_operation *operation,
                 const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                 struct rpc_problem *problem);
