/*
 * Settings from arbitrary bytes: refused with a message, or accepted; and what is accepted prints
 * as a file that reads back as the same.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/config.h"

static void
check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void
check_reads_back(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	struct config *again = NULL;
	struct config_error err;
	FILE *out = open_memstream(&text, &size);

	check(out != NULL && config_print(config, out), "printing failed");
	fclose(out);
	check(config_load_text("printed", text, size, &again, &err), err.message);
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++)
		check(strcmp(config_text(config, (enum config_key)i),
			     config_text(again, (enum config_key)i)) == 0,
		      "a value changed");
	config_unref(again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	struct config_error err = { "" };

	if (config_load_text("input", (const char *)data, size, &config, &err)) {
		check_reads_back(config);
		config_unref(config);
	} else {
		check(config == NULL && err.message[0] != '\0', "refused without a word");
	}
	return 0;
}
