#include "client/wasmedgectl/exitcode.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

enum exit_code
exit_code_of_status(long status, const char *slug)
{
	if (status >= 400 && ends_with(slug, "-not-found"))
		return EXIT_CODE_NOT_FOUND;
	switch (status) {
	case 401:
	case 403:
		return EXIT_CODE_AUTH;
	case 404:
	case 410:
		return EXIT_CODE_NOT_FOUND;
	case 409:
	case 412:
	case 428:
		return EXIT_CODE_CONFLICT;
	case 429:
	case 503:
	case 507:
		return EXIT_CODE_BUSY;
	case 408:
	case 504:
		return EXIT_CODE_DEADLINE;
	default:
		return status >= 200 && status < 300 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
	}
}

int
exit_code_of_outcome(const char *outcome, const char *limit, unsigned long guest_code)
{
	if (strcmp(outcome, "returned") == 0)
		return EXIT_CODE_OK;
	if (strcmp(outcome, "exited") == 0)
		return guest_code > 255 ? 255 : (int)guest_code;
	if (strcmp(outcome, "trapped") == 0)
		return EXIT_CODE_TRAP;
	if (strcmp(outcome, "limited") == 0)
		return limit[0] == '\0' || strcmp(limit, "deadline-exceeded") == 0
		           ? EXIT_CODE_DEADLINE
		           : EXIT_CODE_TRAP;
	if (strcmp(outcome, "cancelled") == 0)
		return EXIT_CODE_INTERRUPTED;
	return EXIT_CODE_FAILED;
}
