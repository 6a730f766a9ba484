/*
 * spawn.h - runs a command of the host and keeps what came of it.
 *
 * The command is alone in a session of its own, with three descriptors, the variables that it was
 * given and no others, and signals as if nobody had touched them. Its input is a file in memory, so
 * that nobody has to feed it. When it ends, is out of time, or the guest is to stop, everything
 * that is left in its process group is killed: nothing that a guest started goes on without it.
 * The command itself ends with this process, however that ends.
 *
 * Owns:    the outcome's bytes
 * Threads: that of the calling guest
 */
#pragma once

#include "plugins/process/request.h"

struct stream {
	uint8_t *data;
	size_t len;
	size_t capacity; /* charged to the guest */
};

struct outcome {
	int32_t code;
	struct stream streams[2]; /* standard output and error */
};

void outcome_init(struct outcome *outcome); /* code -1: nothing was run */
void outcome_free(struct outcome *outcome);
/* Free, give back what was charged, and be as good as new. */
void outcome_reset(struct outcome *outcome, const struct vm_plugin_call *call);

/* Append to a stream. Returns VM_OK, a trap for the memory limit, or VM_E_NOMEM. */
enum vm_status stream_add(struct stream *stream, const struct vm_plugin_call *call,
                          const void *data, size_t len, struct vm_error *err);

/*
 * Run the command of the request, whose name is set, into an outcome that is as good as new. The
 * code is the exit status as a signed number of 8 bits; 128 and the number of the signal that
 * ended it, in the same form; ETIMEDOUT; EINVAL when nobody knows how it ended; or -1 when it
 * could not be started, and then the reason is its standard error.
 *
 * Returns VM_OK, or a trap: the guest is to stop, the two streams together have more than
 * output_bytes_max, or the memory limit. VM_E_IO, VM_E_NOMEM when the system has no more.
 */
enum vm_status spawn_run(const struct vm_plugin_call *call, const struct request *request,
                         uint64_t output_bytes_max, struct outcome *out, struct vm_error *err);
