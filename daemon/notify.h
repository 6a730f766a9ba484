/*
 * notify.h - what the service manager and the daemon tell each other.
 *
 * Speaks sd_notify(3)'s datagrams and sd_listen_fds(3)'s environment without libsystemd. All of
 * it does nothing where the environment does not ask for it.
 *
 * Owns:    its socket; the descriptors it hands out belong to the caller
 * Threads: one thread opens and closes; sending is allowed from any thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vm/common.h"

#define NOTIFY_LISTEN_MAX 16

struct notify {
	int fd;               /* -1: nobody listens */
	uint64_t watchdog_us; /* expected period of notify_watchdog(); 0: none expected */
};

/* One socket that was opened for us. */
struct notify_listener {
	int fd;        /* close-on-exec is set */
	char name[64]; /* FileDescriptorName=, or "" */
};

/*
 * Read NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID and take them out of the environment (call
 * before other threads exist). False only when NOTIFY_SOCKET is set and unusable; *notify is
 * then valid and silent, and errno says why.
 */
bool notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* Each returns false, with errno, when the datagram could not be sent; true when nobody listens. */
bool notify_ready(const struct notify *notify, const char *status);
bool notify_reloading(const struct notify *notify); /* later: notify_ready() */
bool notify_stopping(const struct notify *notify, const char *status);
bool notify_status(const struct notify *notify, const char *status);
bool notify_watchdog(const struct notify *notify);
/* The current step may take this much longer than the unit's timeout. */
bool notify_extend_timeout(const struct notify *notify, uint64_t us);

/*
 * Sockets passed by the service manager: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, which are taken
 * out of the environment. Returns how many were stored in out; -1 when the variables are meant
 * for us but make no sense, with a text in message. message_size > 0.
 */
int notify_listeners(struct notify_listener out[NOTIFY_LISTEN_MAX], char *message,
		     size_t message_size);
