#include "client/wasmedgectl/sse.h"

#include <stdlib.h>
#include <string.h>

static enum sse_status
append(struct sse_text *text, const char *bytes, size_t len)
{
	if (len > SSE_BYTES_MAX - text->len)
		return SSE_TOO_LONG;
	/* One more for the NUL behind it. */
	if (text->len + len + 1 > text->capacity) {
		size_t capacity = text->capacity < 256 ? 256 : text->capacity;

		while (capacity < text->len + len + 1)
			capacity *= 2;
		char *grown = realloc(text->bytes, capacity);
		if (grown == NULL)
			return SSE_NO_MEMORY;
		text->bytes = grown;
		text->capacity = capacity;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
	return SSE_OK;
}

void
sse_init(struct sse *sse, sse_handler *handler, void *context)
{
	*sse = (struct sse){ .handler = handler, .context = context };
}

void
sse_clear(struct sse *sse)
{
	free(sse->line.bytes);
	free(sse->data.bytes);
	*sse = (struct sse){ 0 };
}

static enum sse_status
dispatch(struct sse *sse)
{
	enum sse_status status = SSE_OK;

	if (sse->has_data) {
		const struct sse_event event = {
			.id = sse->id,
			.type = sse->type[0] != '\0' ? sse->type : "message",
			.data = sse->data.bytes,
			.data_len = sse->data.len - 1, /* without the LF of the last line */
		};

		sse->data.bytes[event.data_len] = '\0';
		if (!sse->handler(sse->context, &event))
			status = SSE_STOPPED;
	}
	sse->data.len = 0;
	sse->has_data = false;
	sse->type[0] = '\0';
	return status;
}

static bool
is_field(const char *name, size_t len, const char *want)
{
	return strlen(want) == len && memcmp(name, want, len) == 0;
}

/* Names too long to be ours are cut: they match nothing that we know. */
static void
set_name(char name[SSE_NAME_MAX + 1], const char *value, size_t len)
{
	size_t kept = len < SSE_NAME_MAX ? len : SSE_NAME_MAX;

	memcpy(name, value, kept);
	name[kept] = '\0';
}

static enum sse_status
take_field(struct sse *sse, const char *name, size_t name_len, const char *value, size_t len)
{
	if (is_field(name, name_len, "data")) {
		enum sse_status status = append(&sse->data, value, len);

		sse->has_data = true;
		return status != SSE_OK ? status : append(&sse->data, "\n", 1);
	}
	if (is_field(name, name_len, "event"))
		set_name(sse->type, value, len);
	else if (is_field(name, name_len, "id") && memchr(value, '\0', len) == NULL)
		set_name(sse->id, value, len);
	return SSE_OK;
}

static enum sse_status
take_line(struct sse *sse)
{
	const char *line = sse->line.bytes;
	size_t len = sse->line.len;

	sse->line.len = 0;
	if (!sse->started && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		line += 3;
		len -= 3;
	}
	sse->started = true;
	if (len == 0)
		return dispatch(sse);

	const char *colon = memchr(line, ':', len);
	size_t name_len = colon != NULL ? (size_t)(colon - line) : len;
	const char *value = colon != NULL ? colon + 1 : line + len;

	if (colon != NULL && value < line + len && *value == ' ')
		value++;
	return take_field(sse, line, name_len, value, (size_t)(line + len - value));
}

static size_t
line_length(const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] != '\n' && bytes[n] != '\r')
		n++;
	return n;
}

enum sse_status
sse_feed(struct sse *sse, const char *bytes, size_t len)
{
	while (len > 0) {
		if (sse->after_cr && *bytes == '\n') {
			bytes++;
			len--;
		}
		sse->after_cr = false;

		size_t n = line_length(bytes, len);
		enum sse_status status = append(&sse->line, bytes, n);
		if (status != SSE_OK)
			return status;
		if (n == len)
			return SSE_OK;
		sse->after_cr = bytes[n] == '\r';
		status = take_line(sse);
		if (status != SSE_OK)
			return status;
		bytes += n + 1;
		len -= n + 1;
	}
	return SSE_OK;
}
