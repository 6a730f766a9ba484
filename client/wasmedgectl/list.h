/*
 * list.h - a list of the service as a table: what the verbs "ls" have in common.
 *
 * With -o name only names are printed, one a line; with -o json or yaml the documents as they are.
 *
 * Owns:    the rows, from list_init to list_clear
 */
#pragma once

#include "client/wasmedgectl/ctl.h"
#include "client/wasmedgectl/output.h"

struct list {
	struct ctl *ctl;
	struct output_table table;
	int64_t now_s; /* ages are told as of now */
	const struct list_kind *kind;
};

/* What is listed. */
struct list_kind {
	const struct output_column *columns;
	size_t column_count;
	/* The name of an item, as other verbs take it. */
	void (*print_name)(FILE *out, const json_t *item);
	/* Adds the cells of one row. */
	void (*add_row)(struct list *list, const json_t *item);
};

void list_init(struct list *list, struct ctl *ctl, const struct list_kind *kind);
void list_add(struct list *list, const json_t *item);
/* Print what there is of the table; returns an exit code. */
int list_print(const struct list *list);
void list_clear(struct list *list);

/* All pages of the list at path (which ends in '?' or '&'), up to --limit. An exit code. */
int list_show(struct ctl *ctl, const struct cli_args *args, const struct list_kind *kind,
              const char *path);
