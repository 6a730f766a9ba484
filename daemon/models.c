#include "daemon/models.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "daemon/errmap.h"

#define KEPT_MAX 256 /* descriptions in memory */

/* --- formats ------------------------------------------------------------------------------- */

enum { TFLITE, GRAPHDEF, ONNX };

const struct model_format model_formats[MODEL_FORMAT_COUNT] = {
	[TFLITE] = { "tflite", "application/x-tflite", "wasmedge_tensorflowlite",
	             "tensorflowlite_tflite" },
	[GRAPHDEF] = { "graphdef", "application/x-graphdef", "wasmedge_tensorflow",
	               "tensorflow_graphdef" },
	[ONNX] = { "onnx", "application/x-onnx", "wasi_nn", "onnx_onnxv1" },
};

const struct model_format *
model_format_find(const char *name)
{
	for (size_t i = 0; i < MODEL_FORMAT_COUNT; i++)
		if (strcmp(model_formats[i].name, name) == 0)
			return &model_formats[i];
	return NULL;
}

/*
 * A flatbuffer has its identifier behind the first offset. The others are protocol buffers: a graph
 * begins with a node (field 1, bytes), a model of ONNX with its version (field 1, a number).
 */
const struct model_format *
model_format_sniff(const uint8_t *bytes, size_t len)
{
	if (len >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0)
		return &model_formats[TFLITE];
	if (len >= 2 && bytes[0] == 0x0a)
		return &model_formats[GRAPHDEF];
	if (len >= 2 && bytes[0] == 0x08)
		return &model_formats[ONNX];
	return NULL;
}

/* --- waiting for the store ----------------------------------------------------------------- */

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct store_reply *reply;
};

#define WAIT_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL }

/* On a thread of the store. */
static void
on_answer(void *arg, struct store_reply *reply)
{
	struct wait *wait = arg;

	pthread_mutex_lock(&wait->lock);
	wait->reply = reply;
	pthread_cond_signal(&wait->answered);
	pthread_mutex_unlock(&wait->lock);
}

/* What came of a call that got on_answer and this; NULL: *problem says why there is nothing. */
static struct store_reply *
wait_for(struct wait *wait, enum store_status submitted, struct rpc_problem *problem)
{
	if (submitted != STORE_OK) {
		errmap_store(submitted, NULL, RPC_MODEL_NOT_FOUND, problem);
		return NULL;
	}
	pthread_mutex_lock(&wait->lock);
	while (wait->reply == NULL)
		pthread_cond_wait(&wait->answered, &wait->lock);
	pthread_mutex_unlock(&wait->lock);
	const struct store_error *err = &wait->reply->error;
	if (err->status == STORE_OK)
		return wait->reply;
	errmap_store(err->status, err->message, RPC_MODEL_NOT_FOUND, problem);
	if (err->status == STORE_E_CONFLICT)
		rpc_problem_set(problem, RPC_PRECONDITION_FAILED, "%s", err->message);
	store_reply_free(wait->reply);
	return NULL;
}

/* --- descriptions -------------------------------------------------------------------------- */

struct models {
	struct store *store;
	pthread_mutex_t lock;
	struct model *newest; /* the last used first; each has a reference */
	uint64_t changes;     /* calls of models_forget */
};

struct models *
models_new(struct store *store)
{
	struct models *models = calloc(1, sizeof *models);

	if (models == NULL || pthread_mutex_init(&models->lock, NULL) != 0) {
		free(models);
		return NULL;
	}
	models->store = store;
	return models;
}

void
models_free(struct models *models)
{
	if (models == NULL)
		return;
	while (models->newest != NULL) {
		struct model *model = models->newest;
		models->newest = model->next;
		model_unref(model);
	}
	pthread_mutex_destroy(&models->lock);
	free(models);
}

void
model_unref(struct model *model)
{
	if (model == NULL || atomic_fetch_sub(&model->references, 1) != 1)
		return;
	rpc_model_clear(&model->description);
	free(model);
}

/* With the lock held: take the model of a name out of the list. */
static struct model *
take_out(struct models *models, const char *name)
{
	for (struct model **link = &models->newest; *link != NULL; link = &(*link)->next) {
		struct model *model = *link;
		if (strcmp(model->name, name) == 0) {
			*link = model->next;
			return model;
		}
	}
	return NULL;
}

/* With the lock held: put it first, and the last out when there are too many. */
static void
put_first(struct models *models, struct model *model)
{
	struct model **link = &models->newest;

	model->next = models->newest;
	models->newest = model;
	for (size_t i = 0; i < KEPT_MAX && *link != NULL; i++)
		link = &(*link)->next;
	if (*link != NULL) {
		model_unref(*link);
		*link = NULL;
	}
}

static enum rpc_code
describe(const struct store_model *row, struct model **out, struct rpc_problem *problem)
{
	size_t size = strlen(row->name) + 1;
	struct model *model = calloc(1, sizeof *model + size);

	if (model == NULL)
		return rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory for the model");
	model->references = 1;
	memcpy(model->name, row->name, size);
	digest_format(&row->digest, model->digest);
	model->format = model_format_find(row->format);
	enum rpc_code code = rpc_model_parse(row->info, strlen(row->info), &model->description,
	                                     problem);
	if (code == RPC_OK && model->format == NULL)
		code = rpc_problem_set(problem, RPC_NOT_IMPLEMENTED,
		                       "the format %s is not known here", row->format);
	if (code == RPC_OK)
		*out = model;
	else
		model_unref(model);
	return code;
}

enum rpc_code
models_get(struct models *models, const char *name, struct model **out,
           struct rpc_problem *problem)
{
	struct wait wait = WAIT_INIT;

	pthread_mutex_lock(&models->lock);
	struct model *model = take_out(models, name);
	uint64_t changes = models->changes;
	if (model != NULL) {
		put_first(models, model);
		model->references++;
	}
	pthread_mutex_unlock(&models->lock);
	*out = model;
	if (model != NULL)
		return RPC_OK;

	struct store_reply *reply = wait_for(
	    &wait, store_model_get(models->store, name, false, on_answer, &wait), problem);
	if (reply == NULL)
		return problem->code;
	enum rpc_code code = describe(&reply->models[0], out, problem);
	store_reply_free(reply);
	if (code != RPC_OK)
		return code;
	/* What was read may be old when something has changed since; or another was quicker. */
	pthread_mutex_lock(&models->lock);
	struct model *other = take_out(models, name);
	if (changes == models->changes && other == NULL) {
		(*out)->references++;
		put_first(models, *out);
	} else if (other != NULL) {
		put_first(models, other);
	}
	pthread_mutex_unlock(&models->lock);
	return RPC_OK;
}

void
models_forget(struct models *models, const char *name)
{
	pthread_mutex_lock(&models->lock);
	models->changes++;
	struct model *model = take_out(models, name);
	pthread_mutex_unlock(&models->lock);
	model_unref(model);
}

/* --- bytes --------------------------------------------------------------------------------- */

enum rpc_code
models_fetch(struct models *models, const struct model *model, uint8_t **out_bytes,
             size_t *out_len, struct rpc_problem *problem)
{
	struct wait wait = WAIT_INIT;
	char digest[DIGEST_TEXT_SIZE];
	enum rpc_code code = RPC_OK;

	struct store_reply *reply = wait_for(
	    &wait, store_model_get(models->store, model->name, true, on_answer, &wait), problem);
	if (reply == NULL)
		return problem->code;
	if (strcmp(digest_format(&reply->models[0].digest, digest), model->digest) != 0) {
		code = rpc_problem_set(problem, RPC_CONFLICT, "the model %s has been replaced",
		                       model->name);
	} else {
		*out_bytes = reply->bytes;
		*out_len = reply->size_bytes;
		reply->bytes = NULL;
	}
	store_reply_free(reply);
	return code;
}

struct store_reply *
models_put(struct models *models, const struct store_model_put *put, struct rpc_problem *problem)
{
	struct wait wait = WAIT_INIT;

	struct store_reply *reply = wait_for(
	    &wait, store_model_put(models->store, put, on_answer, &wait), problem);
	models_forget(models, put->name);
	return reply;
}
