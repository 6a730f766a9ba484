/*
 * answer.h - shows how an invocation ended: results, output, traps.
 */
#pragma once

#include "client/wasmedgectl/ctl.h"

/*
 * Show the answer of invoke or run (or a job's result): what the guest wrote goes where it would
 * have gone, results one a line, a trap with its backtrace to standard error. exact adds the bits
 * of numbers, when the answer has them.
 *
 * Returns the exit code that the outcome stands for.
 */
int answer_show(struct ctl *ctl, const json_t *answer, bool exact);

/* Bytes of what the guest wrote that were shown already. */
struct answer_shown {
	size_t stdout_bytes;
	size_t stderr_bytes;
};

/* The same, without these. */
int answer_show_rest(struct ctl *ctl, const json_t *answer, const struct answer_shown *shown);

/*
 * Say why a guest was stopped, as one line each, and return the exit code of the outcome. limit
 * is the slug of the trap, "" when unknown; guest_code counts when it exited.
 */
int answer_outcome(struct ctl *ctl, const char *outcome, const char *limit,
                   unsigned long guest_code);

/* Guests' bytes: as they are, or made safe when the stream is a terminal. */
void answer_write(FILE *out, bool is_terminal, const char *bytes, size_t len);

/* The bytes of {"text":..} or {"base64":..}; the caller frees *out. Anything else is empty. */
int answer_bytes(struct ctl *ctl, const json_t *output, char **out, size_t *out_len);

/*
 * Fetch the files that an answer lists into a folder, which has to exist. Their paths come from
 * the daemon: none of them leads out of the folder, through links or otherwise.
 */
int answer_collect(struct ctl *ctl, const json_t *answer, const char *folder);

/*
 * Print a value of a reply, {"type":..,"value":..}, as the text format writes it. Exposed for
 * tests.
 */
void answer_print_value(FILE *out, const json_t *value, bool exact);
