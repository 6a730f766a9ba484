/*
 * config.h - the settings of config.def, read from files, the environment and the command line.
 *
 * The file is strict: [section] and `key = value` lines, comments from a `#` at the start of a
 * line or after a blank, values with units, "quotes" (with \" and \\) around a value that has such
 * a `#` or blanks at its ends. What is unknown, doubled, out of range or contradicts another
 * setting is refused, naming file, line and column. Later sources win over earlier ones:
 *
 * Sections [plugin.NAME] hold options of plug-ins, which only the plug-ins know: they are kept as
 * texts with their origins, and judged by who loads the plug-ins.
 *
 *	built-in < main file < conf.d/X.conf beside it, by name < WASMEDGED_SECTION_KEY < --set
 *
 * Variables that start with WASMEDGED_ and the name of a section must name a setting; others,
 * such as the client's, are left alone.
 *
 * A configuration is immutable once loaded and shared by reference, so a worker may keep the one
 * it started with while a reload replaces it.
 *
 * Include it as "daemon/config.h": plain "config.h" is what configure writes.
 *
 * Threads: a struct config may be read and (un)referenced by any thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "vm/common.h"

struct sockaddr_storage;

struct config_list {
	size_t count;
	const char *const *items;
};

/* CONFIG_KEY_listen_unix and so on: index of a row. */
enum config_key {
#define SETTING(section, key, type, default_text, min, max, context, doc)                          \
	CONFIG_KEY_##section##_##key,
#include "daemon/config.def"
	CONFIG_KEY_COUNT
};

/* Values of CHOICE settings: CONFIG_log_format_JSON and so on. */
enum config_choice {
#define CHOICE(section, key, symbol, text) CONFIG_##section##_##key##_##symbol,
#include "daemon/config.def"
};

#define CONFIG_C_TEXT const char *
#define CONFIG_C_PATH const char *
#define CONFIG_C_ADDRESS const char *
#define CONFIG_C_LIST struct config_list
#define CONFIG_C_BOOL bool
#define CONFIG_C_COUNT uint64_t
#define CONFIG_C_SIZE uint64_t
#define CONFIG_C_TIME uint64_t
#define CONFIG_C_MODE uint64_t
#define CONFIG_C_CHOICE unsigned

/* [plugin.NAME] option = value */
struct config_option {
	const char *plugin;
	const char *name;
	const char *value;
	const char *origin; /* "FILE:LINE", "--set" */
};

/* One field for each row: config->limits_body_bytes. Texts are never NULL. */
struct config {
#define SETTING(section, key, type, default_text, min, max, context, doc)                          \
	CONFIG_C_##type section##_##key;
#include "daemon/config.def"
	struct config_option *options; /* of plug-ins, in the order of their first mention */
	size_t option_count;
	struct config_private *private; /* reference count, memory, texts and origins */
};

/* Where settings come from, besides the built-in ones. */
struct config_sources {
	const char *file; /* main file; NULL: none. Its conf.d is <folder of file>/conf.d */
	const char *const *environment; /* "NAME=value" strings ending in NULL; NULL: none */
	const char *const
	    *sets; /* "section.key=value" strings of --set ending in NULL; NULL: none */
};

#define CONFIG_MESSAGE_MAX 400

struct config_error {
	char message[CONFIG_MESSAGE_MAX]; /* "FILE:LINE:COLUMN: what was expected and found" */
};

/* False, with *err filled, when any source has any fault; see the top of this file. */
VM_MUST_CHECK bool config_load(const struct config_sources *sources, struct config **out_config,
			       struct config_error *err);

/* The same from one file's text in memory; name stands for the file in messages and origins. */
VM_MUST_CHECK bool config_load_text(const char *name, const char *text, size_t size_bytes,
				    struct config **out_config, struct config_error *err);

/*
 * Load again. All or nothing: on any fault *out_config is untouched. The new configuration keeps
 * the running values of STARTUP settings; those whose text now differs are set in out_pending,
 * which has CONFIG_KEY_COUNT entries (may be NULL). The caller still owns its reference to
 * running.
 */
VM_MUST_CHECK bool config_reload(const struct config *running, const struct config_sources *sources,
				 struct config **out_config, bool *out_pending,
				 struct config_error *err);

struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* NULL is fine */

/*
 * All settings with their values in force and, as comments, where each came from: itself a valid
 * configuration file. False when writing failed.
 */
bool config_print(const struct config *config, FILE *out);

/* The sample file: every setting with its document, commented out at its default. */
bool config_print_sample(FILE *out);

/* One row, for documents and messages. */
struct config_row {
	const char *section;
	const char *key;
	const char *default_text;
	const char *doc;
	bool needs_restart;
};

const struct config_row *config_row(enum config_key key);
/* The value in the file's syntax, and where it came from: "built-in", "FILE:LINE", "--set". */
const char *config_text(const struct config *config, enum config_key key);
const char *config_origin(const struct config *config, enum config_key key);

/*
 * Numbers with units as the file writes them, for other readers of the same syntax. False leaves
 * *out as it was: no number, no or unknown unit, does not fit.
 */
bool config_parse_count(const char *text, uint64_t *out);
bool config_parse_size(const char *text, uint64_t *out_bytes);
bool config_parse_time(const char *text, uint64_t *out_ms);

/* "127.0.0.1:8737" or "[::1]:8737" into a socket address; false: not of that form. */
bool config_parse_address(const char *text, struct sockaddr_storage *out, unsigned *out_size);
