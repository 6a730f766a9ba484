#include "client/wasmedge/text.h"

#include <stdbool.h>
#include <string.h>

/*
 * How many bytes a printable character at s has: 0 when the byte there has to be escaped, because
 * it is a control character, the beginning of one (U+0080 to U+009F), or not UTF-8.
 */
static size_t
printable_length(const unsigned char *s, size_t len)
{
	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
	size_t want = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || want > len)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	bool control = s[0] == 0xc2 && s[1] < 0xa0;
	bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool too_large = s[0] == 0xf4 && s[1] > 0x8f;
	return control || overlong || too_large ? 0 : want;
}

void
text_write(FILE *out, struct vm_str text)
{
	const unsigned char *s = (const unsigned char *)text.data;

	for (size_t i = 0; i < text.len;) {
		size_t n = printable_length(s + i, text.len - i);

		if (n == 0)
			fprintf(out, "\\x%02x", s[i++]);
		for (; n > 0; n--)
			putc(s[i++], out);
	}
}

void
text_write_c(FILE *out, const char *text)
{
	text_write(out, (struct vm_str){ text, strlen(text) });
}

void
text_write_json(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = strlen(text);

	putc('"', out);
	for (size_t i = 0; i < len;) {
		size_t n = printable_length(s + i, len - i);

		if (s[i] == '"' || s[i] == '\\')
			putc('\\', out);
		if (n == 0) {
			fprintf(out, "\\u%04x", s[i] < 0x80 ? s[i] : 0xfffdu);
			i++;
		}
		for (; n > 0; n--)
			putc(s[i++], out);
	}
	putc('"', out);
}
