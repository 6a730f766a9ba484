/*
 * models.h - models as those meet them who run them: which plug-in, what they take and give.
 *
 * A description comes from the catalogue when a model is first asked for, and stays in memory until
 * the name gets another model. The bytes are fetched when a plug-in has to load them (again).
 *
 * Owns:    descriptions
 * Threads: any, but models_get, models_fetch and models_put wait for the store and are not for the
 *          loop's
 */
#pragma once

#include "daemon/store.h"
#include "rpc/infer.h"

/* --- formats ------------------------------------------------------------------------------- */

struct model_format {
	const char *name;     /* in queries and answers, and for the plug-in */
	const char *media;    /* a Content-Type that says so */
	const char *plugin;   /* that runs it */
	const char *platform; /* as the open inference protocol calls it */
};

#define MODEL_FORMAT_COUNT 3
extern const struct model_format model_formats[MODEL_FORMAT_COUNT];

/* NULL when there is none of that name. */
const struct model_format *model_format_find(const char *name);
/* By how the bytes begin; NULL: cannot be told. */
const struct model_format *model_format_sniff(const uint8_t *bytes, size_t len);

/* --- models -------------------------------------------------------------------------------- */

struct models;

/* One model under one name; immutable. */
struct model {
	_Atomic unsigned references;
	struct model *next; /* guarded by the lock of models */
	const struct model_format *format;
	char digest[DIGEST_TEXT_SIZE]; /* what plug-ins know it by, and its version */
	struct rpc_model description;
	char name[];
};

/* NULL: no memory. */
struct models *models_new(struct store *store);
/* NULL is fine. */
void models_free(struct models *models);

/* The model of a name; RPC_MODEL_NOT_FOUND, or what the store complains of. */
RPC_MUST_CHECK enum rpc_code models_get(struct models *models, const char *name,
                                        struct model **out, struct rpc_problem *problem);
/* NULL is fine. */
void model_unref(struct model *model);

/*
 * Its bytes, to be freed; RPC_CONFLICT when the name has got another model meanwhile, which is then
 * what models_get gives.
 */
RPC_MUST_CHECK enum rpc_code models_fetch(struct models *models, const struct model *model,
                                          uint8_t **out_bytes, size_t *out_len,
                                          struct rpc_problem *problem);

/* store_model_put; the reply is the caller's. NULL: *problem says why. */
struct store_reply *models_put(struct models *models, const struct store_model_put *put,
                               struct rpc_problem *problem);
/* The name has another model now, or none: to be called before a client hears of it. */
void models_forget(struct models *models, const char *name);
