/*
 * What a compiling process says, from arbitrary bytes: however they are cut, the same is
 * understood, and what is kept can be shown to people.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/compile_report.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct compile_report whole, pieces;
	size_t step = size == 0 ? 1 : data[0] % 13 + 1u;

	compile_report_init(&whole);
	compile_report_init(&pieces);
	compile_report_feed(&whole, (const char *)data, size);
	for (size_t at = 0; at < size; at += step)
		compile_report_feed(&pieces, (const char *)data + at,
		                    size - at < step ? size - at : step);
	compile_report_end(&whole);
	compile_report_end(&pieces);
	if (whole.done_bytes > whole.total_bytes || whole.done_bytes != pieces.done_bytes ||
	    whole.total_bytes != pieces.total_bytes || strcmp(whole.said, pieces.said) != 0)
		abort();
	for (const char *p = whole.said; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			abort();
	return 0;
}
