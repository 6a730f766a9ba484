/*
 * contexts.h - the daemons a user works with, by name.
 *
 *     {"current": "lab",
 *      "contexts": {"lab": {"host": "http://lab:8737", "token_file": "/home/me/lab.token"}}}
 *
 * The file is $XDG_CONFIG_HOME/wasmedged/contexts.json (~/.config without that variable), mode
 * 0600 in a folder of mode 0700. It names files that hold tokens, never tokens. Writing replaces
 * it whole, so that a crash leaves the old or the new one.
 *
 * Owns:    the tree, until contexts_clear
 * Threads: one; two processes that write at once leave the file of one of them
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTEXTS_MESSAGE_BYTES 512
#define CONTEXT_NAME_MAX 64

struct contexts {
	char *path;
	json_t *root;
};

/*
 * Read the file; one that does not exist is empty. False with a message when it cannot be read,
 * is not what is drawn above, or could have been written by other users.
 */
bool contexts_load(struct contexts *out, char message[CONTEXTS_MESSAGE_BYTES]);
bool contexts_save(const struct contexts *contexts, char message[CONTEXTS_MESSAGE_BYTES]);
void contexts_clear(struct contexts *contexts);

/* Of a context: NULL when there is none, or it has none. Texts belong to the tree. */
const char *contexts_current(const struct contexts *contexts);
bool contexts_has(const struct contexts *contexts, const char *name);
const char *contexts_host(const struct contexts *contexts, const char *name);
const char *contexts_token_file(const struct contexts *contexts, const char *name);

/* Names with letters, digits and "._-", at most CONTEXT_NAME_MAX. */
bool contexts_name_is_valid(const char *name);

/* Changes in memory; false when memory is short. token_file may be NULL. */
bool contexts_set(struct contexts *contexts, const char *name, const char *host,
                  const char *token_file);
/* The context has to exist. */
bool contexts_use(struct contexts *contexts, const char *name);
void contexts_remove(struct contexts *contexts, const char *name);
