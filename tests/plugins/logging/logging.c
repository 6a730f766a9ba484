/*
 * logging.c - logs what its words say: (LEVEL CONTEXT MESSAGE | far N)...
 *
 * "far 0" gives a context, "far 1" a message that lies outside of the memory; "long" is a context
 * of stdout with a message of 10000 letters.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((import_module("wasi:logging/logging"), import_name("log"))) void
log_message(uint32_t level, const char *context, size_t context_len, const char *message,
            size_t message_len);

int
main(int argc, char **argv)
{
	static char letters[10000];

	for (int i = 1; i + 1 < argc; i += 3) {
		if (strcmp(argv[i], "far") == 0) {
			if (argv[i + 1][0] == '0')
				log_message(2, (const char *)0x7fffffff, 9, "text", 4);
			else
				log_message(2, "", 0, "text", UINT32_MAX);
			continue;
		}
		if (i + 2 >= argc)
			break;
		const char *message = argv[i + 2];
		size_t len = strlen(message);
		if (strcmp(message, "LONG") == 0) {
			memset(letters, 'x', sizeof letters);
			message = letters;
			len = sizeof letters;
		}
		log_message((uint32_t)atoi(argv[i]), argv[i + 1], strlen(argv[i + 1]), message,
		            len);
	}
	puts("end");
	return 0;
}
