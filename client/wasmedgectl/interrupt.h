/*
 * interrupt.h - Ctrl-C as a fact that can be asked for, and as a descriptor that can be polled.
 *
 * The first SIGINT, SIGTERM or SIGHUP is noted, so that a request can be given up cleanly and the
 * user told what goes on; the second one ends the process at once.
 *
 * Threads: one; the state is the process's
 */
#pragma once

#include <stdbool.h>

/* Call once, early. Returns false when the descriptors cannot be had; signals then end us. */
bool interrupt_install(void);

bool interrupt_pending(void);

/* Becomes readable with the first signal and stays so; -1 without interrupt_install(). */
int interrupt_fd(void);
