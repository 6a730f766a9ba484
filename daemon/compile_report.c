#include "daemon/compile_report.h"

#include <stdbool.h>
#include <string.h>

void
compile_report_init(struct compile_report *report)
{
	memset(report, 0, sizeof *report);
}

/* Decimal digits up to `end`, which is passed. */
static bool
take_number(const char **at, char end, uint64_t *out)
{
	const char *p = *at;
	uint64_t number = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (number > (UINT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint64_t)(*p - '0');
	}
	if (p == *at || *p != end)
		return false;
	*at = p + 1;
	*out = number;
	return true;
}

static bool
take_progress(struct compile_report *report, const char *line)
{
	static const char word[] = "progress ";
	const char *at = line + sizeof word - 1;
	uint64_t done, total;

	if (strncmp(line, word, sizeof word - 1) != 0 || !take_number(&at, ' ', &done) ||
	    !take_number(&at, '\0', &total) || done > total)
		return false;
	report->done_bytes = done;
	report->total_bytes = total;
	return true;
}

static void
take_line(struct compile_report *report)
{
	static const char word[] = "error ";
	const char *text = report->line;

	report->line[report->len] = '\0';
	report->len = 0;
	if (text[0] == '\0' || take_progress(report, text))
		return;
	if (strncmp(text, word, sizeof word - 1) == 0)
		text += sizeof word - 1;
	size_t len = strlen(text);
	memcpy(report->said, text, len + 1);
}

void
compile_report_feed(struct compile_report *report, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char byte = data[i];

		if (byte == '\n')
			take_line(report);
		else if (report->len < sizeof report->line - 1)
			report->line[report->len++] = byte >= ' ' && byte <= '~' ? byte : '?';
	}
}

void
compile_report_end(struct compile_report *report)
{
	if (report->len > 0)
		take_line(report);
}
