/*
 * plugin_wire.h - between the daemon and a process that runs operations of one plug-in for it.
 *
 * The helper is started as
 *
 *     wasmedged-plugin --name=NAME --path=FOLDERS --memory=BYTES --bytes=BYTES --parent=PID
 *                      [--option=NAME=VALUE]... [--read=PATH]...
 *
 * with three descriptors besides the standard ones:
 *
 *     3  a socket of packets: one struct plugin_wire_message each
 *     4  a file in memory that the daemon writes requests into
 *     5  a file in memory that the helper writes replies into
 *
 * It says READY once it has loaded the plug-in and given up its rights. For each ASK it answers
 * DONE, with LOGs in between. The files stay for all operations of a process; each holds one
 * request or reply at a time, a struct plugin_wire_head with its texts and buffers behind it:
 *
 *     head | text 0 | text 1 | text 2 | to a multiple of 64 | buffer 0 | to a multiple | ...
 *
 * Whatever the helper says may be said by what a stranger's bytes have made of it. So the daemon
 * takes no descriptor from it, maps nothing that it may change or cut off, reads each part once,
 * and believes no number before it was checked against the size and the limits.
 *
 * Threads: pure functions but for the descriptors they are given
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vm/plugins.h"

enum { PLUGIN_WIRE_SOCKET_FD = 3, PLUGIN_WIRE_REQUEST_FD = 4, PLUGIN_WIRE_REPLY_FD = 5 };

#define PLUGIN_WIRE_MAGIC 0x57504c31u /* changes with every change of what is below */
#define PLUGIN_WIRE_ALIGN 64u

enum plugin_wire_kind {
	PLUGIN_WIRE_ASK = 1, /* size_bytes of the request file are a request */
	PLUGIN_WIRE_READY,
	PLUGIN_WIRE_FAILED, /* text: why it will never be ready; behind it the helper ends */
	PLUGIN_WIRE_LOG,    /* text of that level for the operator */
	PLUGIN_WIRE_DONE,   /* size_bytes of the reply file are the reply */
};

#define PLUGIN_WIRE_TEXT_MAX 1000u

struct plugin_wire_message {
	uint32_t magic;
	uint32_t kind;
	uint32_t serial; /* of the ASK that is meant; 0 before the first */
	uint32_t level;  /* enum vm_plugin_level, of LOG */
	uint64_t size_bytes;
	uint32_t text_len; /* of what follows, no more of which is sent */
	char text[PLUGIN_WIRE_TEXT_MAX];
};

enum plugin_wire_text {
	PLUGIN_WIRE_NAME,   /* of a request: the operation; "" asks for the plug-in's check */
	PLUGIN_WIRE_TENANT, /* of a request */
	PLUGIN_WIRE_JSON,   /* of both */
	PLUGIN_WIRE_TEXTS,
	PLUGIN_WIRE_ERROR = PLUGIN_WIRE_NAME, /* of a reply: the message of a failure */
};

struct plugin_wire_head {
	uint32_t magic;
	uint32_t status; /* of a reply: enum vm_status */
	uint32_t buffer_count;
	uint32_t unused;
	uint64_t text_lens[PLUGIN_WIRE_TEXTS];
	uint64_t buffer_lens[VM_PLUGIN_BUFFERS_MAX];
};

/* Where everything is, behind checked numbers. */
struct plugin_wire_layout {
	uint64_t texts[PLUGIN_WIRE_TEXTS];
	uint64_t buffers[VM_PLUGIN_BUFFERS_MAX];
	uint64_t size_bytes;
};

/* False: not of this kind, too many buffers, or not just size_bytes together. */
bool plugin_wire_layout(const struct plugin_wire_head *head, uint64_t size_bytes,
                        struct plugin_wire_layout *out);

/* What is to be written; texts and buffers are borrowed. */
struct plugin_wire_parts {
	enum vm_status status;
	struct vm_str texts[PLUGIN_WIRE_TEXTS];
	const struct vm_str *buffers;
	uint32_t buffer_count; /* at most VM_PLUGIN_BUFFERS_MAX */
};

/* How many bytes they take; UINT64_MAX when no number holds it. */
uint64_t plugin_wire_size(const struct plugin_wire_parts *parts);
/* Write them to a file from its beginning. False with errno. */
bool plugin_wire_write(int fd, const struct plugin_wire_parts *parts);

/*
 * Send a message; text may be NULL. False: the other side is not there, or its queue is full.
 */
bool plugin_wire_send(int fd, const struct plugin_wire_message *message, const char *text);

/*
 * Receive one without waiting. Returns 1, with a NUL behind out->text as far as there is room; 0
 * when there is none; -1 at the end, or when it is not a message.
 */
int plugin_wire_receive(int fd, struct plugin_wire_message *out);

/*
 * Read a reply of size_bytes from the file, by copying it. False: it is not one, or has more than
 * bytes_max. *out_status is what the operation returned, with *err when it failed; VM_E_NOMEM,
 * too, when we have none for it. The reply is to be cleared by the caller in any case.
 */
bool plugin_wire_read_reply(int fd, uint64_t size_bytes, uint64_t bytes_max,
                            struct vm_plugin_reply *reply, enum vm_status *out_status,
                            struct vm_error *err);
