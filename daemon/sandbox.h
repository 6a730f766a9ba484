/*
 * sandbox.h - the processes that run operations of plug-ins which decode what strangers made.
 *
 * Each plug-in has up to so many, started when they are needed and ended when they had nothing to
 * do for a while (plugin_wire.h, plugin_main.c). One operation at a time runs in a process.
 * Requests with the same "model" go to the same process, others to any that is free; who finds
 * none waits in line. A process that ends, takes too long or answers nonsense costs the one
 * operation that it was doing, and is replaced by the next that needs one; one that does not even
 * start is left alone for a time that doubles. Operations keep nothing outside of memory, so a
 * process may be killed at any time.
 *
 * Owns:    the processes and their descriptors
 * Threads: sandbox_operate by any thread that lives as long as the sandbox is used (a process dies
 *          with the thread that started it); the rest by the loop's
 */
#pragma once

#include "daemon/config.h"
#include "vm/plugins.h"
#include "vm/store.h"

struct sandbox;

/*
 * names are those of the plug-ins, in the order of the metrics' label, and outlive the sandbox. The
 * settings are kept as they are now. Returns NULL when there is no memory.
 */
struct sandbox *sandbox_new(struct config *config, const char *const *names, size_t name_count);
/* Take over the numbers of a reload. */
void sandbox_configure(struct sandbox *sandbox, const struct config *config);
/* To be called from time to time: ends what is idle, buries what has ended. */
void sandbox_tick(struct sandbox *sandbox);
/* End all processes and start no more; operations that wait end. NULL is fine. */
void sandbox_stop(struct sandbox *sandbox);
/* Nobody may be operating any more. NULL is fine. */
void sandbox_free(struct sandbox *sandbox);

enum sandbox_end {
	SANDBOX_DONE,    /* the operation has answered, or failed by itself */
	SANDBOX_LOST,    /* its process ended, was ended, did not start, or answered nonsense */
	SANDBOX_BUSY,    /* no process became free in time */
	SANDBOX_STOPPED, /* the caller does not want it any more */
};

struct sandbox_ask {
	const char *plugin;
	const char *operation; /* "": whether all is there that the plug-in needs */
	const struct vm_plugin_request *request;
	struct vm_store *store; /* of the guest that asks, which may be stopped; or NULL */
	int stop_fd;            /* without a store: readable when it is to be given up, or -1 */
	uint64_t time_ms;       /* that waiting and operation may take together; 0: as configured */
};

/*
 * Do it, and wait for it. The reply is to be cleared by the caller in any case. Fails with what
 * the operation failed with, and with
 *
 *     VM_E_IO          SANDBOX_LOST and SANDBOX_BUSY: the same may well succeed another time
 *     VM_TRAP          SANDBOX_STOPPED with a store, for its reason
 *     VM_E_ARGUMENT    SANDBOX_STOPPED without one
 *     VM_E_LIMIT       the request has more bytes than the settings allow
 */
enum vm_status sandbox_operate(struct sandbox *sandbox, const struct sandbox_ask *ask,
                               struct vm_plugin_reply *reply, enum sandbox_end *out_end,
                               struct vm_error *err);
