/*
 * kv.h - values under keys: the daemon's storage, and the threads that wait for its disk.
 *
 * The database is kv.db in the folder of the catalogue. The plug-in wasmedge_storage is told the
 * same file, so that clients and guests of one principal see each other's values. It is opened when
 * it is first needed, and asked for again after a failure: without it everything else works.
 *
 * Owns:    the open storage and its threads
 * Threads: new, stop and free on the loop's; open on any
 */
#pragma once

#include "daemon/config.h"
#include "daemon/jobpool.h"
#include "plugins/storage/storage.h"

struct kv;

/* Returns NULL, with errno, when the threads cannot be made. */
struct kv *kv_new(struct config *config);
/* Work off what waits. NULL is fine. */
void kv_stop(struct kv *kv);
/* NULL is fine. */
void kv_free(struct kv *kv);

/* Whoever works on the storage does it here. */
struct jobpool *kv_jobs(struct kv *kv);
enum wasmedge_storage_status kv_open(struct kv *kv, struct wasmedge_storage **out,
                                     struct wasmedge_storage_error *err);

/* "<folder>/kv.db", malloc()ed; NULL: no memory. */
char *kv_path(const struct config *config);
