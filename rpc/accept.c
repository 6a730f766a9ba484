#include "rpc/accept.h"

#include <stdio.h>
#include "rpc/base64.h"

/* --- grammar that the fields share --------------------------------------------------------- */

/* What is left of a field. */
struct field {
	const char *next; /* ends in NUL */
};

/* RFC 9110, section 5.6.2 */
static bool
is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void
skip_space(struct field *f)
{
	while (*f->next == ' ' || *f->next == '\t')
		f->next++;
}

/* White space, then the character; false (and nothing but space taken) when there is another. */
static bool
take_char(struct field *f, char c)
{
	skip_space(f);
	if (*f->next != c)
		return false;
	f->next++;
	return true;
}

static bool
at_end(struct field *f)
{
	skip_space(f);
	return *f->next == '\0';
}

static bool
take_token(struct field *f, struct rpc_str *out)
{
	const char *start = f->next;

	while (is_token_char(*f->next))
		f->next++;
	*out = (struct rpc_str){ start, (size_t)(f->next - start) };
	return out->len > 0;
}

/* Behind '"'. The string is unescaped into buf, unless that is NULL; size counts a NUL. */
static bool
take_quoted(struct field *f, char *buf, size_t size)
{
	size_t len = 0;

	while (*f->next != '"') {
		if (*f->next == '\\')
			f->next++;
		unsigned char c = (unsigned char)*f->next;
		if (c == '\0' || c == 0x7f || (c < 0x20 && c != '\t'))
			return false;
		f->next++;
		if (buf == NULL)
			continue;
		if (len + 1 >= size)
			return false;
		buf[len++] = (char)c;
	}
	f->next++;
	if (buf != NULL)
		buf[len] = '\0';
	return true;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
str_is_caseless(struct rpc_str str, const char *text)
{
	return strlen(text) == str.len && strncasecmp(str.data, text, str.len) == 0;
}

/* --- Accept -------------------------------------------------------------------------------- */

/* "0", "1", "0.5", "0.125" in thousandths; false for anything else. */
static bool
take_weight(struct field *f, unsigned *out)
{
	unsigned value;
	unsigned unit = 100;

	if (*f->next != '0' && *f->next != '1')
		return false;
	value = *f->next++ == '1' ? 1000 : 0;
	if (*f->next == '.') {
		f->next++;
		for (; *f->next >= '0' && *f->next <= '9' && unit > 0; unit /= 10)
			value += unit * (unsigned)(*f->next++ - '0');
	}
	*out = value;
	return value <= 1000;
}

/* One element of an Accept field. */
struct media_range {
	struct rpc_str type;
	struct rpc_str subtype;
	unsigned weight; /* thousandths */
};

/* Parameters of a range: q counts, others are read over. */
static bool
take_range_params(struct field *f, struct media_range *range)
{
	struct rpc_str name;
	struct rpc_str value;

	while (take_char(f, ';')) {
		skip_space(f);
		if (!take_token(f, &name))
			continue; /* an empty parameter is allowed */
		if (*f->next != '=')
			return false;
		f->next++;
		if (str_is_caseless(name, "q")) {
			if (!take_weight(f, &range->weight))
				return false;
		} else if (*f->next == '"') {
			f->next++;
			if (!take_quoted(f, NULL, 0))
				return false;
		} else if (!take_token(f, &value)) {
			return false;
		}
	}
	return true;
}

static bool
take_media_range(struct field *f, struct media_range *range)
{
	range->weight = 1000;
	if (!take_token(f, &range->type) || *f->next != '/')
		return false;
	f->next++;
	return take_token(f, &range->subtype) && take_range_params(f, range);
}

/* How specifically the range names the offer: 0 not at all, 1 all types, 2 "text" types, 3 it. */
static unsigned
specificity(const struct media_range *range, const char *offer)
{
	size_t type_len = strcspn(offer, "/");

	if (rpc_str_is(range->type, "*"))
		return rpc_str_is(range->subtype, "*") ? 1 : 0;
	if (range->type.len != type_len || strncasecmp(range->type.data, offer, type_len) != 0)
		return 0;
	if (rpc_str_is(range->subtype, "*"))
		return 2;
	return str_is_caseless(range->subtype, offer + type_len + 1) ? 3 : 0;
}

/* The weight that the field gives an offer; false when the field is malformed. */
static bool
weigh_offer(const char *accept, const char *offer, unsigned *out)
{
	struct field f = { accept };
	unsigned best = 0;
	bool any = false;

	*out = 0;
	while (!at_end(&f)) {
		struct media_range range;
		if (take_char(&f, ','))
			continue; /* empty elements are allowed */
		if (!take_media_range(&f, &range))
			return false;
		any = true;
		unsigned how = specificity(&range, offer);
		if (how > best) {
			best = how;
			*out = range.weight;
		}
		if (!at_end(&f) && !take_char(&f, ','))
			return false;
	}
	if (!any)
		*out = 1000; /* an empty field says nothing */
	return true;
}

static enum rpc_code
fail_offers(struct rpc_problem *problem, const char *const *offers, size_t count)
{
	char list[RPC_PROBLEM_DETAIL_MAX / 2] = "";
	size_t len = 0;

	for (size_t i = 0; i < count && len < sizeof list; i++) {
		int n =
		    snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", offers[i]);
		len += n > 0 ? (size_t)n : 0;
	}
	return rpc_problem_in(problem, RPC_NOT_ACCEPTABLE, "Accept",
	                      "this operation answers with: %s", list);
}

enum rpc_code
rpc_accept_choose(const char *accept, const char *const *offers, size_t offer_count,
                  size_t *out_index, struct rpc_problem *problem)
{
	unsigned best = 0;
	size_t index = 0;

	for (size_t i = 0; i < offer_count; i++) {
		unsigned weight = 1000;
		if (accept != NULL && !weigh_offer(accept, offers[i], &weight))
			return rpc_problem_in(
			    problem, RPC_BAD_HEADER, "Accept",
			    "Accept: expected media ranges like application/json;q=0.5");
		if (weight > best) {
			best = weight;
			index = i;
		}
	}
	if (best == 0)
		return fail_offers(problem, offers, offer_count);
	*out_index = index;
	return RPC_OK;
}

/* --- Content-Type -------------------------------------------------------------------------- */

static enum rpc_code
fail_content_type(struct rpc_problem *problem, const char *why)
{
	return rpc_problem_in(problem, RPC_BAD_HEADER, "Content-Type", "Content-Type: %s", why);
}

static bool
take_type_name(struct field *f, char out[static RPC_MEDIA_TYPE_MAX])
{
	struct rpc_str type;
	struct rpc_str subtype;
	size_t len = 0;

	skip_space(f);
	if (!take_token(f, &type) || *f->next != '/')
		return false;
	f->next++;
	if (!take_token(f, &subtype) || type.len + 1 + subtype.len >= RPC_MEDIA_TYPE_MAX)
		return false;
	for (size_t i = 0; i < type.len; i++)
		out[len++] = lower(type.data[i]);
	out[len++] = '/';
	for (size_t i = 0; i < subtype.len; i++)
		out[len++] = lower(subtype.data[i]);
	out[len] = '\0';
	return true;
}

/* One "name=value" behind ';', copied to out->text from *used on. */
static bool
take_type_param(struct field *f, struct rpc_media_type *out, size_t *used)
{
	char *text = out->text + *used;
	size_t room = sizeof out->text - *used;
	struct rpc_str token;

	if (!take_token(f, &token) || *f->next != '=' || token.len + 1 >= room ||
	    out->param_count == RPC_MEDIA_PARAMS_MAX)
		return false;
	f->next++;
	for (size_t i = 0; i < token.len; i++)
		text[i] = lower(token.data[i]);
	text[token.len] = '\0';
	char *value = text + token.len + 1;
	room -= token.len + 1;
	if (*f->next == '"') {
		f->next++;
		if (!take_quoted(f, value, room))
			return false;
	} else {
		if (!take_token(f, &token) || token.len >= room)
			return false;
		memcpy(value, token.data, token.len);
		value[token.len] = '\0';
	}
	if (rpc_media_type_param(out, text) != NULL)
		return false; /* which of the two would count? */
	out->params[out->param_count].name = text;
	out->params[out->param_count].value = value;
	out->param_count++;
	*used += (size_t)(value - text) + strlen(value) + 1;
	return true;
}

enum rpc_code
rpc_media_type_parse(const char *text, struct rpc_media_type *out, struct rpc_problem *problem)
{
	struct field f = { text };
	size_t used = 0;

	out->param_count = 0;
	if (!take_type_name(&f, out->type))
		return fail_content_type(problem, "expected a media type like application/json");
	while (take_char(&f, ';')) {
		skip_space(&f);
		if (*f.next == ';' || *f.next == '\0')
			continue;
		if (!take_type_param(&f, out, &used))
			return fail_content_type(problem,
			                         "a parameter is malformed, repeated or too long");
	}
	if (!at_end(&f))
		return fail_content_type(problem, "expected ';' between parameters");
	const char *charset = rpc_media_type_param(out, "charset");
	if (charset != NULL && strcasecmp(charset, "utf-8") != 0)
		return fail_content_type(problem, "the only charset is utf-8");
	return RPC_OK;
}

const char *
rpc_media_type_param(const struct rpc_media_type *media, const char *name)
{
	for (size_t i = 0; i < media->param_count; i++)
		if (strcmp(media->params[i].name, name) == 0)
			return media->params[i].value;
	return NULL;
}

/* --- Prefer -------------------------------------------------------------------------------- */

#define WAIT_MAX_S 86400u

/* Decimal seconds; false when there is anything else in them. */
static bool
read_seconds(struct rpc_str text, uint32_t *out)
{
	uint32_t value = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(text.data[i] - '0');
		if (value > WAIT_MAX_S)
			value = WAIT_MAX_S;
	}
	*out = value;
	return text.len > 0;
}

/* Move behind the next ',' that is not inside a quoted string, or to the end. */
static void
skip_element(struct field *f)
{
	while (*f->next != '\0' && *f->next != ',') {
		char c = *f->next++;
		if (c == '"' && !take_quoted(f, NULL, 0))
			f->next += strlen(f->next);
	}
	if (*f->next == ',')
		f->next++;
}

void
rpc_prefer_parse(const char *text, struct rpc_prefer *out)
{
	struct field f = { text != NULL ? text : "" };
	struct rpc_str name;
	struct rpc_str value;

	*out = (struct rpc_prefer){ 0 };
	while (!at_end(&f)) {
		if (take_token(&f, &name)) {
			if (str_is_caseless(name, "respond-async") && *f.next != '=') {
				out->respond_async = true;
			} else if (str_is_caseless(name, "wait") && !out->has_wait &&
			           take_char(&f, '=')) {
				skip_space(&f);
				out->has_wait =
				    take_token(&f, &value) && read_seconds(value, &out->wait_s);
			}
		}
		skip_element(&f);
	}
}

/* --- Range --------------------------------------------------------------------------------- */

/* Digits, saturating; false when there are none. */
static bool
take_position(struct field *f, uint64_t *out)
{
	uint64_t value = 0;
	const char *start = f->next;

	for (; *f->next >= '0' && *f->next <= '9'; f->next++) {
		unsigned digit = (unsigned)(*f->next - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*out = value;
	return f->next > start;
}

enum rpc_range_status
rpc_range_parse(const char *text, uint64_t size, uint64_t *out_first, uint64_t *out_len)
{
	struct field f = { text != NULL ? text : "" };
	uint64_t first;
	uint64_t last;
	struct rpc_str unit;

	skip_space(&f);
	if (!take_token(&f, &unit) || !str_is_caseless(unit, "bytes") || !take_char(&f, '='))
		return RPC_RANGE_ALL;
	skip_space(&f);
	bool has_first = take_position(&f, &first);
	if (*f.next != '-')
		return RPC_RANGE_ALL;
	f.next++;
	bool has_last = take_position(&f, &last);
	if (!at_end(&f) || (!has_first && !has_last) || (has_first && has_last && last < first))
		return RPC_RANGE_ALL;
	if (!has_first) { /* the last so many bytes */
		first = last < size ? size - last : 0;
		if (last == 0 || size == 0)
			return RPC_RANGE_UNSATISFIABLE;
		last = size - 1;
	} else if (!has_last || last >= size) {
		if (first >= size)
			return RPC_RANGE_UNSATISFIABLE;
		last = size - 1;
	}
	*out_first = first;
	*out_len = last - first + 1;
	return RPC_RANGE_PART;
}

/* --- entity tags --------------------------------------------------------------------------- */

/* One tag; its text without quotes. */
static bool
take_etag(struct field *f, struct rpc_str *out, bool *out_weak)
{
	skip_space(f);
	*out_weak = f->next[0] == 'W' && f->next[1] == '/';
	if (*out_weak)
		f->next += 2;
	if (*f->next != '"')
		return false;
	const char *start = ++f->next;
	/* RFC 9110, section 8.8.3: no escapes, no space */
	while ((unsigned char)*f->next > 0x20 && *f->next != '"' && *f->next != 0x7f)
		f->next++;
	if (*f->next != '"')
		return false;
	*out = (struct rpc_str){ start, (size_t)(f->next - start) };
	f->next++;
	return true;
}

enum rpc_etag_match
rpc_etag_find(const char *list, const char *etag, bool weak)
{
	struct field f = { list };
	bool found = false;
	bool any = false;

	if (take_char(&f, '*'))
		return at_end(&f) ? RPC_ETAG_ANY : RPC_ETAG_MALFORMED;
	while (!at_end(&f)) {
		struct rpc_str tag;
		bool is_weak;
		if (take_char(&f, ','))
			continue;
		if (!take_etag(&f, &tag, &is_weak))
			return RPC_ETAG_MALFORMED;
		any = true;
		if (etag != NULL && (weak || !is_weak) && rpc_str_is(tag, etag))
			found = true;
		if (!at_end(&f) && !take_char(&f, ','))
			return RPC_ETAG_MALFORMED;
	}
	if (!any)
		return RPC_ETAG_MALFORMED;
	return found ? RPC_ETAG_YES : RPC_ETAG_NO;
}

bool
rpc_etag_first(const char *list, char *buf, size_t size)
{
	struct field f = { list };
	struct rpc_str tag;
	bool is_weak;

	if (!take_etag(&f, &tag, &is_weak) || is_weak || tag.len >= size)
		return false;
	if (!at_end(&f) && !take_char(&f, ','))
		return false;
	memcpy(buf, tag.data, tag.len);
	buf[tag.len] = '\0';
	return true;
}

/* --- Content-Digest ------------------------------------------------------------------------ */

/* RFC 8941, section 3.1.2: keys are lower case. */
static bool
take_key(struct field *f, struct rpc_str *out)
{
	const char *start = f->next;

	if (*start != '*' && !(*start >= 'a' && *start <= 'z'))
		return false;
	while ((*f->next >= 'a' && *f->next <= 'z') || (*f->next >= '0' && *f->next <= '9') ||
	       (*f->next != '\0' && strchr("_-.*", *f->next) != NULL))
		f->next++;
	*out = (struct rpc_str){ start, (size_t)(f->next - start) };
	return true;
}

/* ":base64:" */
static bool
take_byte_sequence(struct field *f, struct rpc_str *out)
{
	if (*f->next != ':')
		return false;
	const char *start = ++f->next;
	while (*f->next != '\0' && *f->next != ':')
		f->next++;
	if (*f->next != ':')
		return false;
	*out = (struct rpc_str){ start, (size_t)(f->next - start) };
	f->next++;
	return true;
}

/* The 44 characters of 32 bytes. */
static bool
decode_sha256(struct rpc_str text, uint8_t out[static 32])
{
	uint8_t bytes[33];
	size_t len;

	if (text.len != rpc_base64_encoded_len(32) ||
	    !rpc_base64_decode(text.data, text.len, bytes, &len, &len) || len != 32)
		return false;
	memcpy(out, bytes, 32);
	return true;
}

enum rpc_code
rpc_content_digest_parse(const char *text, bool *out_present, uint8_t out[static 32],
                         struct rpc_problem *problem)
{
	struct field f = { text != NULL ? text : "" };
	struct rpc_str key;
	struct rpc_str value;
	uint8_t digest[32];
	bool present = false;

	while (!at_end(&f)) {
		if (!take_key(&f, &key) || *f.next++ != '=' || !take_byte_sequence(&f, &value))
			goto malformed;
		if (rpc_str_is(key, "sha-256")) {
			if (!decode_sha256(value, digest))
				goto malformed;
			present = true;
		}
		if (at_end(&f))
			break;
		if (!take_char(&f, ',') || at_end(&f))
			goto malformed;
	}
	*out_present = present;
	if (present)
		memcpy(out, digest, sizeof digest);
	return RPC_OK;
malformed:
	return rpc_problem_in(problem, RPC_BAD_HEADER, "Content-Digest",
	                      "Content-Digest: expected sha-256=:<base64 of 32 bytes>:");
}

void
rpc_content_digest_text(const uint8_t digest[static 32], char buf[static RPC_CONTENT_DIGEST_MAX])
{
	char base64[45];

	base64[rpc_base64_encode(digest, 32, base64)] = '\0';
	snprintf(buf, RPC_CONTENT_DIGEST_MAX, "sha-256=:%s:", base64);
}
