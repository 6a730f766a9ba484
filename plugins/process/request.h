/*
 * request.h - what the next run of a program's command is made of.
 *
 * Texts of guests end at their first NUL, since the system could not hand on more of them. All
 * bytes are charged to the guest's memory limit.
 *
 * Owns:    its texts and the descriptor of the standard input
 * Threads: that of the calling guest
 */
#pragma once

#include "vm/plugin.h"

#define REQUEST_TIMEOUT_MS 10000u

/* Texts, ended by NULL. */
struct request_words {
	char **word; /* NULL while there are none */
	size_t count;
};

struct request {
	char *name;                /* NULL: none was set */
	struct request_words args; /* without the name */
	struct request_words env;  /* "NAME=value" */
	int input_fd;              /* memory file with the standard input, or -1 */
	uint32_t timeout_ms;
	uint64_t charged_bytes;
};

void request_init(struct request *request);
void request_free(struct request *request);
/* Free, give back what was charged, and be as good as new. */
void request_reset(struct request *request, const struct vm_plugin_call *call);

/*
 * Take over what the guest has at an address. Return VM_OK or a trap: an address outside of the
 * memory, which the message calls what, or the memory limit.
 */
enum vm_status request_set_name(struct request *request, const struct vm_plugin_call *call,
                                uint32_t address, uint32_t len, struct vm_error *err);
enum vm_status request_add_arg(struct request *request, const struct vm_plugin_call *call,
                               uint32_t address, uint32_t len, struct vm_error *err);
/* slots: address and length of the name, then of the value. */
enum vm_status request_add_env(struct request *request, const struct vm_plugin_call *call,
                               const union vm_slot *slots, struct vm_error *err);
/* All bytes, NULs too. */
enum vm_status request_add_input(struct request *request, const struct vm_plugin_call *call,
                                 uint32_t address, uint32_t len, struct vm_error *err);
