/*
 * The token file and the Authorization header from arbitrary bytes: the first line is the header,
 * the rest is the file. Nobody gets in but with a secret whose digest stands in the file.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/auth.h"
#include "rpc/digest.h"

/* A principal only where the file holds the secret's digest. */
static void
judge(const struct auth_table *table, const char *header, const char *file, size_t file_size)
{
	struct auth_principal *principal = NULL;
	struct digest digest;
	char hex[2 * DIGEST_BYTES + 1];

	if (auth_check_header(table, header, 1, &principal) != AUTH_OK)
		return;
	const char *secret = strrchr(header, ' ') + 1;
	digest_of(secret, strlen(secret), &digest);
	digest_hex(&digest, hex);
	if (memmem(file, file_size, hex, strlen(hex)) == NULL)
		abort();
	for (unsigned action = 0; action < AUTH_ACTION_COUNT; action++)
		(void)auth_permits(principal, (enum auth_action)action, header);
	auth_principal_unref(principal);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t header_size = newline != NULL ? (size_t)(newline - data) : size;
	const char *file = (const char *)data + header_size;
	struct auth_table *table = NULL;
	struct auth_error err = { "" };
	char *header = malloc(header_size + 1);

	if (header == NULL)
		return 0;
	if (header_size > 0)
		memcpy(header, data, header_size);
	header[header_size] = '\0';
	if (auth_table_parse("input", file, size - header_size, &table, &err)) {
		judge(table, header, file, size - header_size);
		auth_table_free(table);
	} else if (table != NULL || err.message[0] == '\0') {
		abort();
	}
	free(header);
	return 0;
}
