/* context.c - the verbs that keep addresses of daemons under names. */
#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/contexts.h"
#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/output.h"
#include "client/wasmedgectl/verbs.h"

static int
load(struct ctl *ctl, struct contexts *out)
{
	char message[CONTEXTS_MESSAGE_BYTES];

	if (!contexts_load(out, message))
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s", message);
	return 0;
}

/* Writes what is in memory if that went well, and lets go of it. */
static int
finish(struct ctl *ctl, struct contexts *contexts, bool ok)
{
	char message[CONTEXTS_MESSAGE_BYTES] = "out of memory";
	int code = 0;

	if (!ok || !contexts_save(contexts, message))
		code = ctl_fail(ctl, EXIT_CODE_FAILED, "%s", message);
	contexts_clear(contexts);
	return code;
}

/* The same, when there is a context of that name. */
static int
load_with(struct ctl *ctl, const char *name, struct contexts *out)
{
	int code = load(ctl, out);

	if (code != 0 || contexts_has(out, name))
		return code;
	contexts_clear(out);
	return ctl_fail(ctl, EXIT_CODE_NOT_FOUND,
	                "there is no context %s (" CTL_NAME " context ls lists them)", name);
}

int
verb_context_use(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct contexts contexts;
	int code = load_with(ctl, args->words[0], &contexts);

	if (code != 0)
		return code;
	return finish(ctl, &contexts, contexts_use(&contexts, args->words[0]));
}

int
verb_context_rm(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	struct contexts contexts;
	int code = load_with(ctl, args->words[0], &contexts);

	if (code != 0)
		return code;
	contexts_remove(&contexts, args->words[0]);
	return finish(ctl, &contexts, true);
}

/* A token file is found from any folder later on, so its path is made absolute now. */
static int
absolute_path(struct ctl *ctl, const char *path, char **out)
{
	char *here;
	int code;

	if (path == NULL || path[0] == '/')
		return path != NULL ? ctl_format(ctl, out, "%s", path) : 0;
	here = realpath(".", NULL);
	if (here == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED,
		                "cannot tell the present folder: give a full path");
	code = ctl_format(ctl, out, "%s/%s", here, path);
	free(here);
	return code;
}

int
verb_context_set(void *context, const struct cli_args *args)
{
	struct ctl *ctl = context;
	const char *name = args->words[0], *host = cli_value(args, "host");
	struct contexts contexts;
	char *token_file = NULL;

	if (!contexts_name_is_valid(name))
		return ctl_fail(ctl, EXIT_CODE_USAGE,
		                "%s: a context's name has at most %d letters, digits and . _ -",
		                name, CONTEXT_NAME_MAX);
	if (host == NULL || !http_host_is_valid(host))
		return ctl_fail(
		    ctl, EXIT_CODE_USAGE,
		    "say where the daemon is: --host unix:/path or --host http://name:port");
	int code = absolute_path(ctl, cli_value(args, "token-file"), &token_file);
	if (code == 0)
		code = load(ctl, &contexts);
	if (code != 0) {
		free(token_file);
		return code;
	}
	bool ok = contexts_set(&contexts, name, host, token_file);
	if (ok && contexts_current(&contexts) == NULL)
		ok = contexts_use(&contexts, name);
	free(token_file);
	return finish(ctl, &contexts, ok);
}

static void
list_contexts(struct ctl *ctl, const struct contexts *contexts, struct output_table *table)
{
	const char *current = contexts_current(contexts);
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(contexts->root, "contexts"), name, value) {
		if (ctl->format == CTL_PLAIN_NAME) {
			output_text(ctl->out, name, strlen(name));
			fputc('\n', ctl->out);
			continue;
		}
		output_table_add(table, current != NULL && strcmp(current, name) == 0 ? "*" : " ");
		output_table_add(table, name);
		output_table_add(table, contexts_host(contexts, name));
		output_table_add(table, contexts_token_file(contexts, name));
	}
}

int
verb_context_ls(void *context, const struct cli_args *args)
{
	static const struct output_column columns[] = {
		{ "", OUTPUT_LEFT, false },
		{ "NAME", OUTPUT_LEFT, false },
		{ "HOST", OUTPUT_LEFT, true },
		{ "TOKEN FILE", OUTPUT_LEFT, true },
	};
	struct ctl *ctl = context;
	struct output_table table;
	struct contexts contexts;
	int code = load(ctl, &contexts);

	(void)args;
	if (code != 0)
		return code;
	output_table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	if (ctl->format == CTL_JSON) {
		json_dumpf(contexts.root, ctl->out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', ctl->out);
	} else if (ctl->format == CTL_YAML) {
		output_yaml(ctl->out, contexts.root);
	} else {
		list_contexts(ctl, &contexts, &table);
		code = ctl_table(ctl, &table);
	}
	output_table_clear(&table);
	contexts_clear(&contexts);
	return code;
}
