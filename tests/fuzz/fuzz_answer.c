/*
 * fuzz_answer.c - what wasmedgectl makes of a daemon's JSON: answers with their values, output and
 * traps, and documents as YAML. Nothing of it may steer a terminal.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "client/wasmedgectl/answer.h"
#include "client/wasmedgectl/output.h"

/* Line feeds and tabs are all that may be left of the control characters. */
static void
check_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL;
	size_t len = 0;
	json_t *json = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);

	if (json == NULL)
		return 0;
	FILE *memory = open_memstream(&text, &len);
	if (memory != NULL) {
		struct ctl ctl = { .out = memory,
			           .err = memory,
			           .out_is_terminal = true,
			           .err_is_terminal = true };

		answer_show(&ctl, json, true);
		output_yaml(memory, json);
		fclose(memory);
		check_text(text, len);
	}
	free(text);
	json_decref(json);
	return 0;
}
