/*
 * listen.h - listening sockets.
 *
 * Threads: none before others exist
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LISTEN_MESSAGE_MAX 256

/*
 * A socket at a path, with that mode. What a dead daemon left there is removed; what a living
 * one listens at, or what is no socket, is not. Returns -1 with a message.
 */
int listen_unix(const char *path, mode_t mode, char message[LISTEN_MESSAGE_MAX]);

/* A socket at "127.0.0.1:8737" or "[::1]:8737". Returns -1 with a message. */
int listen_tcp(const char *address, char message[LISTEN_MESSAGE_MAX]);

/* Make a socket that was handed to us fit: listening, not blocking. Returns false, with errno. */
bool listen_adopt(int fd, bool *out_is_unix);
