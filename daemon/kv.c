#include "daemon/kv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 8 /* so many writes share one flush of the disk */

struct kv {
	struct config *config;
	struct jobpool *jobs;
	pthread_mutex_t lock;
	struct wasmedge_storage *storage; /* guarded by lock; NULL until it is opened */
};

char *
kv_path(const struct config *config)
{
	char *path = NULL;

	return asprintf(&path, "%s/kv.db", config->store_directory) < 0 ? NULL : path;
}

struct kv *
kv_new(struct config *config)
{
	const struct jobpool_config jobs = {
		.name = "kv",
		.thread_count = THREADS,
		.queue_max = (size_t)config->limits_queue_length,
	};
	struct kv *kv = calloc(1, sizeof *kv);

	if (kv == NULL)
		return NULL;
	kv->jobs = jobpool_new(&jobs);
	if (kv->jobs == NULL) {
		free(kv);
		return NULL;
	}
	kv->config = config_ref(config);
	pthread_mutex_init(&kv->lock, NULL);
	return kv;
}

void
kv_stop(struct kv *kv)
{
	if (kv == NULL)
		return;
	jobpool_free(kv->jobs);
	kv->jobs = NULL;
}

void
kv_free(struct kv *kv)
{
	if (kv == NULL)
		return;
	kv_stop(kv);
	wasmedge_storage_close(kv->storage);
	pthread_mutex_destroy(&kv->lock);
	config_unref(kv->config);
	free(kv);
}

struct jobpool *
kv_jobs(struct kv *kv)
{
	return kv->jobs;
}

static enum wasmedge_storage_status
open_file(struct kv *kv, struct wasmedge_storage_error *err)
{
	char *path = kv_path(kv->config);
	const struct wasmedge_storage_options options = {
		.path = path,
		.value_bytes_max = (size_t)kv->config->limits_value_bytes,
	};
	enum wasmedge_storage_status status = WASMEDGE_STORAGE_NOMEM;

	if (path != NULL)
		status = wasmedge_storage_open(&options, &kv->storage, err);
	else
		*err = (struct wasmedge_storage_error){ status, "out of memory" };
	free(path);
	return status;
}

enum wasmedge_storage_status
kv_open(struct kv *kv, struct wasmedge_storage **out, struct wasmedge_storage_error *err)
{
	enum wasmedge_storage_status status = WASMEDGE_STORAGE_OK;

	pthread_mutex_lock(&kv->lock);
	if (kv->storage == NULL)
		status = open_file(kv, err);
	*out = kv->storage;
	pthread_mutex_unlock(&kv->lock);
	return status;
}
