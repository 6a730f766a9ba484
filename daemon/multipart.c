#include "daemon/multipart.h"

#include <string.h>
#include <strings.h>

const char *
multipart_status_detail(enum multipart_status status)
{
	static const char *const details[] = {
#define STATUS(symbol, detail) [MULTIPART_##symbol] = detail,
		MULTIPART_STATUSES(STATUS)
#undef STATUS
	};
	return details[status];
}

/* --- parameters of header values ---------------------------------------------------------- */

static const char *
skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* RFC 2045 tokens, loosely: all that cannot end one. */
static size_t
token_len(const char *text)
{
	return strcspn(text, " \t;=\"(),:<>@[]?\\");
}

/*
 * Read the value of a parameter, a token or a quoted string, into out (size bytes).
 * Returns the text behind it; NULL when it is malformed or too long.
 */
static const char *
param_value(const char *text, char *out, size_t size)
{
	size_t used = 0;

	if (*text != '"') {
		/* Boundaries and names in the wild are unquoted with more than token characters. */
		size_t len = strcspn(text, " \t;\"");
		if (len == 0 || len >= size)
			return NULL;
		memcpy(out, text, len);
		out[len] = '\0';
		return text + len;
	}
	for (text++; *text != '"'; text++) {
		if (text[0] == '\\' && (text[1] == '"' || text[1] == '\\'))
			text++;
		if (*text == '\0' || used + 1 >= size)
			return NULL;
		out[used++] = *text;
	}
	out[used] = '\0';
	return text + 1;
}

/*
 * Find a parameter in "type; name=value; ...". Returns 1 when it is there and written to out, 0
 * when it is not there, -1 when the parameters are malformed, or it or another is too long.
 */
static int
find_param(const char *text, const char *name, char *out, size_t size)
{
	char other[1024];
	int found = 0;

	text += token_len(text);
	while (*(text = skip_blanks(text)) != '\0') {
		if (*text != ';')
			return -1;
		text = skip_blanks(text + 1);
		if (*text == '\0')
			break; /* a trailing ';' does no harm */
		size_t len = token_len(text);
		bool wanted = len == strlen(name) && strncasecmp(text, name, len) == 0;
		if (len == 0 || text[len] != '=' || (wanted && found))
			return -1;
		text = param_value(text + len + 1, wanted ? out : other,
		                   wanted ? size : sizeof other);
		if (text == NULL)
			return -1;
		found |= wanted;
	}
	return found;
}

/* RFC 2046, 5.1.1: bchars, not ending with a space. */
static bool
is_boundary(const char *text)
{
	static const char bchars[] = "0123456789abcdefghijklmnopqrstuvwxyz"
	                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ";
	size_t len = strlen(text);

	return len > 0 && len <= MULTIPART_BOUNDARY_MAX && strspn(text, bchars) == len &&
	       text[len - 1] != ' ';
}

bool
multipart_boundary(const char *content_type, char *out)
{
	static const char type[] = "multipart/form-data";
	const size_t len = sizeof type - 1;
	char boundary[MULTIPART_BOUNDARY_MAX + 1];

	if (strncasecmp(content_type, type, len) != 0 ||
	    (content_type[len] != ';' && content_type[len] != ' ' && content_type[len] != '\t'))
		return false;
	if (find_param(content_type + len, "boundary", boundary, sizeof boundary) != 1 ||
	    !is_boundary(boundary))
		return false;
	memcpy(out, boundary, sizeof boundary);
	return true;
}

/* --- header lines of a part --------------------------------------------------------------- */

static enum multipart_status
take_disposition(struct multipart_part *part, const char *value)
{
	static const char form_data[] = "form-data";
	const size_t len = sizeof form_data - 1;

	if (strncasecmp(value, form_data, len) != 0 || token_len(value) != len)
		return MULTIPART_DISPOSITION;
	int found = find_param(value, "name", part->name, sizeof part->name);
	if (found == 1 && part->name[0] != '\0') {
		found = find_param(value, "filename", part->filename, sizeof part->filename);
		return found < 0 ? MULTIPART_NAME_SIZE : MULTIPART_OK;
	}
	return found < 0 ? MULTIPART_HEADER_SYNTAX : MULTIPART_DISPOSITION;
}

/* One line, NUL-terminated, without its end. */
static enum multipart_status
take_header(struct multipart_part *part, const char *line)
{
	size_t len = token_len(line);
	const char *value = skip_blanks(line + len + (line[len] == ':'));

	if (len == 0 || line[len] != ':')
		return MULTIPART_HEADER_SYNTAX;
	if (len == 19 && strncasecmp(line, "Content-Disposition", len) == 0) {
		if (part->name[0] != '\0')
			return MULTIPART_HEADER_SYNTAX; /* given twice */
		return take_disposition(part, value);
	}
	if (len == 12 && strncasecmp(line, "Content-Type", len) == 0) {
		if (strlen(value) >= sizeof part->type)
			return MULTIPART_NAME_SIZE;
		strcpy(part->type, value);
	}
	return MULTIPART_OK;
}

/* All header lines of a part are buffered: read them and begin the part. */
static enum multipart_status
begin_part(struct multipart *mp)
{
	char *line = mp->headers;
	char *end = mp->headers + mp->headers_len;

	memset(&mp->part, 0, sizeof mp->part);
	if (++mp->part_count > MULTIPART_PARTS_MAX)
		return MULTIPART_PARTS;
	if (memchr(line, '\0', mp->headers_len) != NULL)
		return MULTIPART_HEADER_SYNTAX;
	while (line < end) {
		char *stop = memchr(line, '\r', (size_t)(end - line)); /* each line ends CR LF */
		*stop = '\0';
		enum multipart_status status = take_header(&mp->part, line);
		if (status != MULTIPART_OK)
			return status;
		line = stop + 2;
	}
	if (mp->part.name[0] == '\0')
		return MULTIPART_DISPOSITION;
	return mp->handler.begin(mp->handler.env, &mp->part) ? MULTIPART_OK : MULTIPART_STOPPED;
}

/* --- the machine -------------------------------------------------------------------------- */

void
multipart_init(struct multipart *mp, const char *boundary,
               const struct multipart_handler *handler)
{
	memset(mp, 0, sizeof *mp);
	mp->handler = *handler;
	memcpy(mp->delimiter, "\r\n--", 4);
	mp->delimiter_len = 4 + strlen(boundary);
	memcpy(mp->delimiter + 4, boundary, mp->delimiter_len - 4);
	mp->matched = 2; /* the first boundary stands at the start of a line already */
}

static enum multipart_status
feed_start(struct multipart *mp, char c)
{
	if (c != mp->delimiter[mp->matched])
		return MULTIPART_PREAMBLE;
	if (++mp->matched == mp->delimiter_len) {
		mp->matched = 0;
		mp->state = MULTIPART_BEHIND;
	}
	return MULTIPART_OK;
}

static enum multipart_status
feed_behind(struct multipart *mp, char c)
{
	if ((c == ' ' || c == '\t') && mp->behind_len == 0)
		return MULTIPART_OK; /* transport padding */
	mp->behind[mp->behind_len++] = c;
	if (mp->behind[0] != '-' && mp->behind[0] != '\r')
		return MULTIPART_DELIMITER;
	if (mp->behind_len < 2)
		return MULTIPART_OK;
	mp->behind_len = 0;
	if (mp->behind[0] == '-' && c == '-') {
		mp->state = MULTIPART_AT_END;
		return MULTIPART_OK;
	}
	if (mp->behind[0] != '\r' || c != '\n')
		return MULTIPART_DELIMITER;
	mp->headers_len = 0;
	mp->state = MULTIPART_IN_HEADERS;
	return MULTIPART_OK;
}

/* Header lines are taken up to the empty line, which is not kept. */
static enum multipart_status
feed_headers(struct multipart *mp, char c)
{
	size_t len = mp->headers_len;

	if (len == sizeof mp->headers)
		return MULTIPART_HEADER_SIZE;
	/* CR and LF only as a pair: no line ends that others could see elsewhere. */
	if ((c == '\n') != (len > 0 && mp->headers[len - 1] == '\r'))
		return MULTIPART_HEADER_SYNTAX;
	mp->headers[mp->headers_len++] = c;
	len = mp->headers_len;
	if (c != '\n' || (len > 2 && mp->headers[len - 3] != '\n'))
		return MULTIPART_OK;
	mp->headers_len = len - 2;
	mp->state = MULTIPART_IN_DATA;
	return begin_part(mp);
}

static bool
emit(struct multipart *mp, const char *data, size_t len)
{
	return len == 0 || mp->handler.data(mp->handler.env, data, len);
}

/*
 * Consume bytes of a part up to its end or the end of the input. CR occurs only at the start of
 * the delimiter, so after a mismatch the bytes matched so far are data and the search goes on at
 * the byte that did not match. *out_used tells how many bytes were consumed.
 */
static enum multipart_status
feed_data(struct multipart *mp, const char *data, size_t len, size_t *out_used)
{
	size_t next = 0;

	while (next < len) {
		if (mp->matched == 0) {
			const char *cr = memchr(data + next, '\r', len - next);
			size_t run = cr == NULL ? len - next : (size_t)(cr - data) - next;
			if (!emit(mp, data + next, run))
				return MULTIPART_STOPPED;
			next += run;
			mp->matched = cr != NULL;
			next += cr != NULL;
		} else if (data[next] == mp->delimiter[mp->matched]) {
			next++;
			if (++mp->matched < mp->delimiter_len)
				continue;
			mp->matched = 0;
			mp->state = MULTIPART_BEHIND;
			*out_used = next;
			return mp->handler.end(mp->handler.env) ? MULTIPART_OK : MULTIPART_STOPPED;
		} else {
			size_t held = mp->matched;
			mp->matched = 0;
			if (!emit(mp, mp->delimiter, held))
				return MULTIPART_STOPPED;
		}
	}
	*out_used = next;
	return MULTIPART_OK;
}

enum multipart_status
multipart_feed(struct multipart *mp, const char *data, size_t len)
{
	size_t next = 0;

	while (mp->status == MULTIPART_OK && next < len && mp->state != MULTIPART_AT_END) {
		size_t used = 1;

		if (mp->state == MULTIPART_AT_START)
			mp->status = feed_start(mp, data[next]);
		else if (mp->state == MULTIPART_BEHIND)
			mp->status = feed_behind(mp, data[next]);
		else if (mp->state == MULTIPART_IN_HEADERS)
			mp->status = feed_headers(mp, data[next]);
		else
			mp->status = feed_data(mp, data + next, len - next, &used);
		next += used;
	}
	return mp->status;
}

enum multipart_status
multipart_finish(struct multipart *mp)
{
	if (mp->status == MULTIPART_OK && mp->state != MULTIPART_AT_END)
		mp->status = MULTIPART_TRUNCATED;
	return mp->status;
}
