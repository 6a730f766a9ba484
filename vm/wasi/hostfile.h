/*
 * hostfile.h - files, folders, streams and sockets of the host.
 *
 * Owns: the descriptor, unless it is borrowed
 */
#pragma once

#include "vm/wasi/file.h"

/* A folder to be preopened. Follows links in path: it is the embedder's. */
enum wasi_errno wasi_hostdir_open(const char *path, struct wasi_file **out);

/* A borrowed descriptor for a standard stream, of whatever type. */
enum wasi_errno wasi_hoststream_new(int fd, struct wasi_file **out);

/* A borrowed listening socket; it is made non-blocking. WASI_ENOTSOCK for anything else. */
enum wasi_errno wasi_hostlistener_new(int fd, struct wasi_file **out);
