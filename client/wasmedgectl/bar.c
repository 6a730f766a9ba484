#include "client/wasmedgectl/bar.h"

#include <string.h>
#include "client/wasmedgectl/output.h"

#define BAR_COLUMNS 30

/* Redrawn only when it looks different. */
void
bar_draw(void *context, uint64_t done, uint64_t total)
{
	struct bar *bar = context;
	char text[OUTPUT_SHORT_MAX];
	unsigned state = total > 0 ? (unsigned)(done * 100 / total) : (unsigned)(done >> 20);

	if (bar->out == NULL || state + 1 == bar->drawn)
		return;
	bar->drawn = state + 1;
	fputc('\r', bar->out);
	output_text(bar->out, bar->name, strnlen(bar->name, 30));
	if (total > 0) {
		int filled = (int)(done * BAR_COLUMNS / total);

		fprintf(bar->out, " [");
		for (int i = 0; i < BAR_COLUMNS; i++)
			fputc(i < filled ? '=' : ' ', bar->out);
		fprintf(bar->out, "] %3u %%", state);
	}
	fprintf(bar->out, " %s ", output_size(done, text));
	fflush(bar->out);
}

void
bar_end(const struct bar *bar)
{
	if (bar->drawn != 0)
		fputs("\r\x1b[K", bar->out);
}
