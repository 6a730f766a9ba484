/* candidates.c - what the daemon and the contexts know, for the completion scripts. */
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/contexts.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/verbs.h"

/* Nobody waits longer for a suggestion. */
#define PATIENCE_MS 1500
#define CANDIDATES_MAX 1000

/*
 * One candidate a line. Names come from elsewhere and end up on a command line, so those with
 * anything but plain characters are kept back.
 */
static void
offer(struct ctl *ctl, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "._-:/@+";

	if (text[0] != '\0' && text[0] != '-' && strspn(text, plain) == strlen(text))
		fprintf(ctl->out, "%s\n", text);
}

static void
offer_tag(void *context, const json_t *item)
{
	char text[256];

	snprintf(text, sizeof(text), "%s/%s:%s", ctl_text(item, "ns"), ctl_text(item, "name"),
	         ctl_text(item, "tag"));
	offer(context, text);
}

static void
offer_id(void *context, const json_t *item)
{
	offer(context, ctl_text(item, "id"));
}

static void
offer_name(void *context, const json_t *item)
{
	offer(context, ctl_text(item, "name"));
}

static void
offer_functions(struct ctl *ctl, const char *ref)
{
	struct http_response response = { 0 };
	json_t *json = NULL;
	char *path = NULL;

	if (ctl_module_path(ctl, ref, &path) == 0 && ctl_get(ctl, path, &response, &json) == 0) {
		const json_t *exports = json_object_get(json, "exports");

		for (size_t i = 0; i < json_array_size(exports); i++)
			if (strcmp(ctl_text(json_array_get(exports, i), "kind"), "func") == 0)
				offer(ctl, ctl_text(json_array_get(exports, i), "name"));
	}
	json_decref(json);
	http_response_clear(&response);
	free(path);
}

static void
offer_plugins(struct ctl *ctl)
{
	struct http_response response = { 0 };
	json_t *json = NULL, *plugin;
	size_t i;

	if (ctl_get(ctl, "/v1/plugins", &response, &json) != 0)
		return;
	json_array_foreach (json_object_get(json, "items"), i, plugin)
		offer(ctl, ctl_text(plugin, "name"));
	json_decref(json);
	http_response_clear(&response);
}

/* Operations of a plug-in that clients may ask for. */
static void
offer_operations(struct ctl *ctl, const char *plugin)
{
	struct http_response response = { 0 };
	json_t *json = NULL, *operation;
	char *path = NULL;
	size_t i;

	/* A name that has to be encoded is none. */
	if (plugin[strspn(plugin, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0' ||
	    ctl_format(ctl, &path, "/v1/plugins/%s", plugin) != 0)
		return;
	if (ctl_get(ctl, path, &response, &json) == 0) {
		json_array_foreach (json_object_get(json, "operations"), i, operation)
			if (json_is_true(json_object_get(operation, "http")))
				offer(ctl, ctl_text(operation, "name"));
		json_decref(json);
		http_response_clear(&response);
	}
	free(path);
}

static void
offer_key(void *context, const json_t *item)
{
	offer(context, ctl_text(item, "key"));
}

/* Keys of a namespace, those that are text. */
static void
offer_keys(struct ctl *ctl, const char *ns)
{
	char *path = NULL;

	/* A name that has to be encoded is none. */
	if (ns[strspn(ns, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] !=
	        '\0' ||
	    ctl_format(ctl, &path, "/v1/kv/%s?", ns) != 0)
		return;
	ctl_list(ctl, path, CANDIDATES_MAX, offer_key, ctl);
	free(path);
}

static void
offer_contexts(struct ctl *ctl)
{
	struct contexts contexts;
	char message[CONTEXTS_MESSAGE_BYTES];
	const char *name;
	json_t *value;

	if (!contexts_load(&contexts, message))
		return;
	json_object_foreach (json_object_get(contexts.root, "contexts"), name, value)
		offer(ctl, name);
	contexts_clear(&contexts);
}

/* Silent about everything that goes wrong: the user is typing, not asking. */
int
verb_candidates(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	const char *kind = args->words[0];
	FILE *quiet = fopen("/dev/null", "we");

	if (quiet == NULL)
		return EXIT_CODE_FAILED;
	FILE *err = ctl->err;
	ctl->err = quiet;
	ctl->format = CTL_TABLE;
	ctl->timeout_ms = PATIENCE_MS;
	if (strcmp(kind, "ref") == 0 || strcmp(kind, "tag") == 0)
		ctl_list(ctl, "/v1/tags?", CANDIDATES_MAX, offer_tag, ctl);
	else if (strcmp(kind, "job") == 0)
		ctl_list(ctl, "/v1/invocations?", 100, offer_id, ctl);
	else if (strcmp(kind, "function") == 0 && args->word_count > 1)
		offer_functions(ctl, args->words[1]);
	else if (strcmp(kind, "model") == 0)
		ctl_list(ctl, "/v1/models?", CANDIDATES_MAX, offer_name, ctl);
	else if (strcmp(kind, "plugin") == 0)
		offer_plugins(ctl);
	else if (strcmp(kind, "operation") == 0 && args->word_count > 1)
		offer_operations(ctl, args->words[1]);
	else if (strcmp(kind, "key") == 0 && args->word_count > 1)
		offer_keys(ctl, args->words[1]);
	else if (strcmp(kind, "context") == 0)
		offer_contexts(ctl);
	ctl->err = err;
	fclose(quiet);
	return 0;
}
