#include "rpc/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "rpc/base64.h"
#include "rpc/number.h"
#include "rpc/ref.h"
#include "rpc/utf8.h"

void
rpc_writer_init(struct rpc_writer *w)
{
	*w = (struct rpc_writer){ .bytes_max = SIZE_MAX };
}

void
rpc_writer_clear(struct rpc_writer *w)
{
	free(w->data);
	rpc_writer_init(w);
}

void
rpc_writer_reset(struct rpc_writer *w)
{
	w->len = 0;
	w->depth = 0;
	w->failed = false;
	w->needs_comma = false;
	w->after_key = false;
}

bool
rpc_writer_ok(const struct rpc_writer *w)
{
	return !w->failed;
}

/* Room for extra more bytes behind the text, or NULL and the writer has failed. */
static char *
reserve(struct rpc_writer *w, size_t extra)
{
	if (w->failed)
		return NULL;
	if (w->len > w->bytes_max || extra > w->bytes_max - w->len) {
		w->failed = true;
		return NULL;
	}
	if (extra > w->capacity - w->len) {
		size_t want = w->len + extra;
		size_t capacity = w->capacity < 512 ? 512 : w->capacity;
		while (capacity < want)
			capacity = capacity > SIZE_MAX / 2 ? want : capacity * 2;
		char *data = realloc(w->data, capacity);
		if (data == NULL) {
			w->failed = true;
			return NULL;
		}
		w->data = data;
		w->capacity = capacity;
	}
	return w->data + w->len;
}

static void
put(struct rpc_writer *w, const char *text, size_t len)
{
	char *p = reserve(w, len);

	if (p == NULL || len == 0)
		return;
	memcpy(p, text, len);
	w->len += len;
}

static void
put_char(struct rpc_writer *w, char c)
{
	put(w, &c, 1);
}

char *
rpc_writer_take(struct rpc_writer *w, size_t *out_len)
{
	size_t len = w->len;

	put_char(w, '\0');
	char *data = w->failed ? NULL : w->data;
	if (data != NULL) {
		w->data = NULL;
		w->capacity = 0;
		*out_len = len;
	}
	rpc_writer_reset(w);
	return data;
}

static void
break_line(struct rpc_writer *w)
{
	put_char(w, '\n');
	for (uint32_t i = 0; i < w->depth; i++)
		put(w, "  ", 2);
}

/* What has to come before a value or a key. */
static void
separate(struct rpc_writer *w)
{
	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->needs_comma)
		put_char(w, ',');
	if (w->pretty && w->depth > 0)
		break_line(w);
}

static void
begin(struct rpc_writer *w, char bracket)
{
	separate(w);
	put_char(w, bracket);
	w->depth++;
	w->needs_comma = false;
}

static void
end(struct rpc_writer *w, char bracket)
{
	if (w->depth > 0)
		w->depth--;
	if (w->pretty && w->needs_comma)
		break_line(w);
	put_char(w, bracket);
	w->needs_comma = true;
}

void
rpc_write_object_begin(struct rpc_writer *w)
{
	begin(w, '{');
}

void
rpc_write_object_end(struct rpc_writer *w)
{
	end(w, '}');
}

void
rpc_write_array_begin(struct rpc_writer *w)
{
	begin(w, '[');
}

void
rpc_write_array_end(struct rpc_writer *w)
{
	end(w, ']');
}

void
rpc_write_raw(struct rpc_writer *w, const char *json, size_t len)
{
	separate(w);
	put(w, json, len);
	w->needs_comma = true;
}

void
rpc_write_verbatim(struct rpc_writer *w, const char *text, size_t len)
{
	put(w, text, len);
	if (w->depth == 0)
		w->needs_comma = false;
}

void
rpc_write_null(struct rpc_writer *w)
{
	rpc_write_raw(w, "null", 4);
}

void
rpc_write_bool(struct rpc_writer *w, bool value)
{
	rpc_write_raw(w, value ? "true" : "false", value ? 4 : 5);
}

void
rpc_write_int(struct rpc_writer *w, int64_t value)
{
	char buf[RPC_NUMBER_TEXT_MAX];
	size_t len = rpc_i64_print(value, buf);

	rpc_write_raw(w, buf, len);
}

void
rpc_write_uint(struct rpc_writer *w, uint64_t value)
{
	char buf[RPC_NUMBER_TEXT_MAX];
	size_t len = rpc_u64_print(value, buf);

	rpc_write_raw(w, buf, len);
}

/* --- strings ------------------------------------------------------------------------------- */

static void
put_escape(struct rpc_writer *w, unsigned char c)
{
	static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char text[8];

	for (const char *p = short_escapes; *p != '\0'; p += 2) {
		if ((unsigned char)p[0] == c) {
			char pair[2] = { '\\', p[1] };
			put(w, pair, sizeof pair);
			return;
		}
	}
	int len = snprintf(text, sizeof text, "\\u%04x", c);
	put(w, text, (size_t)len);
}

static bool
needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

/* Text that is UTF-8, between quotes that the caller puts. */
static void
put_escaped(struct rpc_writer *w, const char *data, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i < len; i++) {
		if (!needs_escape((unsigned char)data[i]))
			continue;
		put(w, data + start, i - start);
		put_escape(w, (unsigned char)data[i]);
		start = i + 1;
	}
	put(w, data + start, len - start);
}

static void
put_string(struct rpc_writer *w, const char *data, size_t len)
{
	put_char(w, '"');
	for (;;) {
		size_t good = rpc_utf8_prefix(data, len);
		put_escaped(w, data, good);
		if (good == len)
			break;
		put(w, "\xef\xbf\xbd", 3);
		data += good + 1;
		len -= good + 1;
	}
	put_char(w, '"');
}

void
rpc_write_string(struct rpc_writer *w, const char *data, size_t len)
{
	separate(w);
	put_string(w, len > 0 ? data : "", len);
	w->needs_comma = true;
}

void
rpc_write_text(struct rpc_writer *w, const char *text)
{
	rpc_write_string(w, text, strlen(text));
}

void
rpc_write_key(struct rpc_writer *w, const char *key)
{
	separate(w);
	put_string(w, key, strlen(key));
	put(w, ": ", w->pretty ? 2 : 1);
	w->after_key = true;
	w->needs_comma = true;
}

void
rpc_write_format(struct rpc_writer *w, const char *format, ...)
{
	char buf[512];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(buf, sizeof buf, format, args);
	va_end(args);
	if (len < 0)
		len = 0;
	rpc_write_string(w, buf, (size_t)len < sizeof buf ? (size_t)len : sizeof buf - 1);
}

void
rpc_write_base64(struct rpc_writer *w, const void *bytes, size_t len)
{
	separate(w);
	put_char(w, '"');
	char *p = len > SIZE_MAX / 2 ? NULL : reserve(w, rpc_base64_encoded_len(len));
	if (p != NULL)
		w->len += rpc_base64_encode(bytes, len, p);
	else
		w->failed = true;
	put_char(w, '"');
	w->needs_comma = true;
}

void
rpc_write_digest(struct rpc_writer *w, const uint8_t digest[static 32])
{
	char text[RPC_DIGEST_TEXT_MAX];

	rpc_digest_text(digest, text);
	rpc_write_string(w, text, sizeof text - 1);
}

void
rpc_write_time_us(struct rpc_writer *w, int64_t time_us)
{
	time_t seconds = time_us / 1000000;
	int64_t rest = time_us % 1000000;
	struct tm tm;

	if (rest < 0) { /* before 1970: round down, not towards zero */
		rest += 1000000;
		seconds--;
	}
	if (gmtime_r(&seconds, &tm) == NULL) {
		rpc_write_null(w);
		return;
	}
	rpc_write_format(w, "%04ld-%02d-%02dT%02d:%02d:%02d.%06dZ", (long)tm.tm_year + 1900,
	                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest);
}

/* --- members ------------------------------------------------------------------------------- */

void
rpc_member_text(struct rpc_writer *w, const char *key, const char *text)
{
	if (text == NULL)
		return;
	rpc_write_key(w, key);
	rpc_write_text(w, text);
}

void
rpc_member_uint(struct rpc_writer *w, const char *key, uint64_t value)
{
	rpc_write_key(w, key);
	rpc_write_uint(w, value);
}

void
rpc_member_int(struct rpc_writer *w, const char *key, int64_t value)
{
	rpc_write_key(w, key);
	rpc_write_int(w, value);
}

void
rpc_member_bool(struct rpc_writer *w, const char *key, bool value)
{
	rpc_write_key(w, key);
	rpc_write_bool(w, value);
}
