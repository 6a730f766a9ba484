#include "rpc/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "rpc/utf8.h"

/* --- pointers ------------------------------------------------------------------------------ */

/* A JSON Pointer that grows and shrinks in a fixed buffer. */
struct pointer {
	char *buf;
	size_t size; /* at least 4 */
	size_t len;
	bool is_cut;
};

static void
pointer_put(struct pointer *p, const char *text, size_t len)
{
	if (len > p->size - 1 - p->len) {
		p->is_cut = true;
		return;
	}
	memcpy(p->buf + p->len, text, len);
	p->len += len;
}

static void
pointer_put_key(struct pointer *p, const char *key, size_t len)
{
	pointer_put(p, "/", 1);
	for (size_t i = 0; i < len && !p->is_cut; i++) {
		if (key[i] == '~')
			pointer_put(p, "~0", 2);
		else if (key[i] == '/')
			pointer_put(p, "~1", 2);
		else
			pointer_put(p, key + i, 1);
	}
}

static void
pointer_put_index(struct pointer *p, size_t index)
{
	char text[24];
	int len = snprintf(text, sizeof text, "/%zu", index);

	pointer_put(p, text, (size_t)len);
}

/* End the text, behind the last whole character if it had to be cut. */
static void
pointer_finish(struct pointer *p)
{
	if (p->is_cut) {
		size_t len = p->len < p->size - 4 ? p->len : p->size - 4;
		len = rpc_utf8_prefix(p->buf, len);
		memcpy(p->buf + len, "...", 3);
		p->len = len + 3;
	}
	p->buf[p->len] = '\0';
}

static void
pointer_put_steps(struct pointer *p, const struct rpc_at *at)
{
	if (at == NULL || at->up == NULL)
		return;
	pointer_put_steps(p, at->up);
	if (at->key != NULL)
		pointer_put_key(p, at->key, strlen(at->key));
	else
		pointer_put_index(p, at->index);
}

void
rpc_at_pointer(const struct rpc_at *at, char *buf, size_t size)
{
	struct pointer p = { .buf = buf, .size = size };

	if (size < 4)
		return;
	pointer_put_steps(&p, at);
	pointer_finish(&p);
}

/* --- memory -------------------------------------------------------------------------------- */

/*
 * jansson's lexer does not look whether its buffer could grow: short of memory it loses single
 * characters and goes on, so that "12" may be read as "1". Therefore all its allocations pass
 * through here, and a tree during whose making one failed is thrown away.
 */
static _Thread_local bool allocation_failed;

static void *
allocate(size_t size)
{
	void *block = malloc(size);

	if (block == NULL)
		allocation_failed = true;
	return block;
}

static void
release(void *block)
{
	free(block);
}

/* Before main(), because jansson wants it done before its first use, and once. */
__attribute__((constructor)) static void
install_allocator(void)
{
	json_set_alloc_funcs(allocate, release);
}

/* --- parsing ------------------------------------------------------------------------------- */

/* Index behind the string that begins at text[start] == '"'; len when it does not end. */
static size_t
string_end(const char *text, size_t len, size_t start)
{
	size_t i = start + 1;

	while (i < len && text[i] != '"')
		i += text[i] == '\\' ? 2 : 1;
	return i < len ? i + 1 : len;
}

/* Offset of the bracket that nests deeper than allowed, or len. Brackets need not match. */
static size_t
find_too_deep(const char *text, size_t len)
{
	size_t depth = 0;

	for (size_t i = 0; i < len;) {
		char c = text[i];
		if (c == '"') {
			i = string_end(text, len, i);
			continue;
		}
		if (c == '{' || c == '[') {
			if (++depth > RPC_JSON_DEPTH_MAX)
				return i;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
		i++;
	}
	return len;
}

/* One open object or array on the way to an offset. */
struct level {
	struct pointer base; /* the pointer to it */
	size_t index;
	bool is_object;
	bool wants_key;
};

static void
put_raw_key(struct pointer *p, const char *quoted, size_t len)
{
	json_t *key = json_loadb(quoted, len, JSON_DECODE_ANY, NULL);

	if (key != NULL)
		pointer_put_key(p, json_string_value(key), json_string_length(key));
	json_decref(key);
}

/* Follow the text up to the offset and write the pointer to what is there. */
static void
locate(const char *text, size_t offset, char *buf, size_t size)
{
	struct level levels[RPC_JSON_DEPTH_MAX + 1];
	struct pointer p = { .buf = buf, .size = size };
	size_t depth = 0;

	for (size_t i = 0; i < offset;) {
		struct level *top = depth > 0 ? &levels[depth - 1] : NULL;
		char c = text[i];
		if (c == '"') {
			size_t after = string_end(text, offset, i);
			if (top != NULL && top->wants_key) {
				p = top->base;
				put_raw_key(&p, text + i, after - i);
			}
			i = after;
			continue;
		}
		i++;
		if ((c == '{' || c == '[') && depth < RPC_JSON_DEPTH_MAX) {
			levels[depth++] = (struct level){ p, 0, c == '{', c == '{' };
			if (c == '[')
				pointer_put_index(&p, 0);
		} else if ((c == '}' || c == ']') && top != NULL) {
			p = top->base;
			depth--;
		} else if (c == ',' && top != NULL) {
			p = top->base;
			top->wants_key = top->is_object;
			if (!top->is_object)
				pointer_put_index(&p, ++top->index);
		} else if (c == ':' && top != NULL) {
			top->wants_key = false;
		}
	}
	pointer_finish(&p);
}

/* Line and column (in characters), both from 1, of an offset. */
static void
find_line(const char *text, size_t offset, uint32_t *out_line, uint32_t *out_column)
{
	size_t line = 1;
	size_t column = 1;

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	*out_line = line < UINT32_MAX ? (uint32_t)line : UINT32_MAX;
	*out_column = column < UINT32_MAX ? (uint32_t)column : UINT32_MAX;
}

static enum rpc_code
fail_va(struct rpc_problem *problem, enum rpc_code code, const char *text, size_t offset,
        const char *format, va_list args)
{
	char detail[RPC_PROBLEM_DETAIL_MAX];
	char pointer[RPC_PROBLEM_POINTER_MAX];
	uint32_t line;
	uint32_t column;

	if (problem == NULL)
		return code;
	vsnprintf(detail, sizeof detail, format, args);
	locate(text, offset, pointer, sizeof pointer);
	find_line(text, offset, &line, &column);
	rpc_problem_at(problem, code, pointer, "line %" PRIu32 ", column %" PRIu32 ": %s", line,
	               column, detail);
	problem->items[0].offset = offset;
	problem->items[0].line = line;
	problem->items[0].column = column;
	return code;
}

enum rpc_code
rpc_json_fail(struct rpc_problem *problem, enum rpc_code code, const char *text, size_t offset,
              const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_va(problem, code, text, offset, format, args);
	va_end(args);
	return code;
}

/* What is parsed, and the text that the client sent when that is another one. */
struct source {
	const char *text;
	size_t len;
	const char *sent;
	const struct rpc_json_cut *cuts;
	size_t cut_count;
};

static const char cut_text[] = "[]";
#define CUT_TEXT_LEN (sizeof cut_text - 1)

/* Where something of the text was when it was sent. */
static size_t
sent_offset(const struct source *source, size_t offset)
{
	for (size_t i = 0; i < source->cut_count; i++) {
		const struct rpc_json_cut *cut = &source->cuts[i];
		if (offset <= cut->from)
			break;
		if (offset < cut->from + CUT_TEXT_LEN)
			return cut->from;
		offset += cut->to - cut->from - CUT_TEXT_LEN;
	}
	return offset;
}

/* RPC_BAD_JSON at an offset of the text. */
RPC_PRINTF(4, 5)
static enum rpc_code
fail_at(struct rpc_problem *problem, const struct source *source, size_t offset,
        const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_va(problem, RPC_BAD_JSON, source->sent, sent_offset(source, offset), format, args);
	va_end(args);
	return RPC_BAD_JSON;
}

static enum rpc_code
fail_parse(struct rpc_problem *problem, const struct source *source, const json_error_t *error)
{
	size_t offset = error->position < 0 ? 0 : (size_t)error->position;
	enum json_error_code code = json_error_code(error);

	if (offset > source->len)
		offset = source->len;
	if (code == json_error_numeric_overflow)
		return fail_at(
		    problem, source, offset,
		    "the number that ends here is too large for JSON; send it as a string");
	return fail_at(problem, source, offset, "%s", error->text);
}

static enum rpc_code
parse_source(const struct source *source, size_t bytes_max, json_t **out,
             struct rpc_problem *problem)
{
	const char *text = source->text;
	size_t len = source->len;
	json_error_t error;

	if (len > bytes_max)
		return rpc_problem_set(problem, RPC_BODY_TOO_LARGE,
		                       "the JSON has %zu bytes, the limit is %zu", len, bytes_max);
	size_t valid = rpc_utf8_prefix(text, len);
	if (valid < len)
		return fail_at(problem, source, valid,
		               "byte 0x%02x does not belong to any character in UTF-8",
		               (unsigned)(unsigned char)text[valid]);
	size_t deep = find_too_deep(text, len);
	if (deep < len)
		return fail_at(problem, source, deep, "nested more than %d deep",
		               RPC_JSON_DEPTH_MAX);
	allocation_failed = false;
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (allocation_failed) {
		json_decref(json);
		return rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory to parse %zu bytes",
		                       len);
	}
	if (json == NULL)
		return fail_parse(problem, source, &error);
	*out = json;
	return RPC_OK;
}

enum rpc_code
rpc_json_parse(const char *text, size_t len, size_t bytes_max, json_t **out,
               struct rpc_problem *problem)
{
	struct source source = { .text = text, .len = len, .sent = text };

	return parse_source(&source, bytes_max, out, problem);
}

enum rpc_code
rpc_json_parse_cut(const char *text, size_t len, const struct rpc_json_cut *cuts, size_t cut_count,
                   size_t bytes_max, json_t **out, struct rpc_problem *problem)
{
	size_t kept = len + cut_count * CUT_TEXT_LEN;
	size_t from = 0;
	char *p;

	for (size_t i = 0; i < cut_count; i++)
		kept -= cuts[i].to - cuts[i].from;
	if (kept > bytes_max)
		return rpc_problem_set(problem, RPC_BODY_TOO_LARGE,
		                       "the JSON has %zu bytes besides its data, the limit is %zu",
		                       kept, bytes_max);
	char *reduced = p = malloc(kept + 1);
	if (reduced == NULL)
		return rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory to parse %zu bytes",
		                       kept);
	for (size_t i = 0; i < cut_count; i++) {
		memcpy(p, text + from, cuts[i].from - from);
		p += cuts[i].from - from;
		memcpy(p, cut_text, CUT_TEXT_LEN);
		p += CUT_TEXT_LEN;
		from = cuts[i].to;
	}
	memcpy(p, text + from, len - from);
	struct source source = { reduced, kept, text, cuts, cut_count };
	enum rpc_code code = parse_source(&source, bytes_max, out, problem);
	free(reduced);
	return code;
}

enum rpc_code
rpc_problem_here(struct rpc_problem *problem, enum rpc_code code, const struct rpc_at *at,
                 const char *format, ...)
{
	char detail[RPC_PROBLEM_DETAIL_MAX];
	char pointer[RPC_PROBLEM_POINTER_MAX];
	va_list args;

	if (problem == NULL)
		return code;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	rpc_at_pointer(at, pointer, sizeof pointer);
	if (pointer[0] == '\0')
		return rpc_problem_at(problem, code, pointer, "the body: %s", detail);
	return rpc_problem_at(problem, code, pointer, "%s: %s", pointer, detail);
}

const char *
rpc_json_kind(const json_t *json)
{
	if (json == NULL)
		return "nothing";
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction or exponent";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

/* --- objects ------------------------------------------------------------------------------- */

void
rpc_object_open(struct rpc_object *obj, json_t *json, const struct rpc_at *at,
                struct rpc_problem *problem)
{
	obj->json = json;
	obj->at = at != NULL ? *at : (struct rpc_at){ 0 };
	obj->problem = problem;
	obj->code = RPC_OK;
	obj->known_count = 0;
	if (!json_is_object(json)) {
		obj->json = NULL;
		obj->code = rpc_problem_here(problem, RPC_BAD_REQUEST, at,
		                             "expected an object, found %s", rpc_json_kind(json));
	}
}

static void
list_known(const struct rpc_object *obj, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < obj->known_count; i++) {
		int n = snprintf(buf + len, size - len, "%s%s", i > 0 ? ", " : "", obj->known[i]);
		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}

static bool
is_known(const struct rpc_object *obj, const char *key)
{
	for (size_t i = 0; i < obj->known_count; i++)
		if (strcmp(obj->known[i], key) == 0)
			return true;
	return false;
}

enum rpc_code
rpc_object_close(struct rpc_object *obj)
{
	const char *key;
	json_t *value;

	if (obj->json == NULL)
		return obj->code;
	json_object_foreach (obj->json, key, value) {
		if (is_known(obj, key))
			continue;
		char names[RPC_PROBLEM_DETAIL_MAX / 2];
		struct rpc_at at = { &obj->at, key, 0 };
		list_known(obj, names, sizeof names);
		obj->json = NULL;
		obj->code = rpc_problem_here(obj->problem, RPC_BAD_REQUEST, &at,
		                             "unknown member; known here: %s", names);
		break;
	}
	return obj->code;
}

void
rpc_object_fail(struct rpc_object *obj, enum rpc_code code, const char *name, const char *format,
                ...)
{
	char detail[RPC_PROBLEM_DETAIL_MAX];
	struct rpc_at at = { &obj->at, name, 0 };
	va_list args;

	if (obj->json == NULL)
		return;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	obj->json = NULL;
	obj->code = rpc_problem_here(obj->problem, code, &at, "%s", detail);
}

/* The member, or NULL: then it is absent, or something is wrong. */
static json_t *
get_member(struct rpc_object *obj, const char *name, enum rpc_presence presence)
{
	if (obj->json == NULL)
		return NULL;
	if (obj->known_count < RPC_OBJECT_MEMBERS_MAX)
		obj->known[obj->known_count++] = name;
	json_t *member = json_object_get(obj->json, name);
	if (member == NULL && presence == RPC_REQUIRED)
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "required member is missing");
	return member;
}

void
rpc_object_any(struct rpc_object *obj, const char *name, enum rpc_presence presence, json_t **out)
{
	json_t *member = get_member(obj, name, presence);

	if (member != NULL)
		*out = member;
}

void
rpc_object_array(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                 size_t count_max, json_t **out)
{
	json_t *member = get_member(obj, name, presence);

	if (member == NULL)
		return;
	if (!json_is_array(member))
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "expected an array, found %s",
		                rpc_json_kind(member));
	else if (json_array_size(member) > count_max)
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "has %zu elements, the limit is %zu",
		                json_array_size(member), count_max);
	else
		*out = member;
}

void
rpc_object_object(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                  size_t count_max, json_t **out)
{
	json_t *member = get_member(obj, name, presence);

	if (member == NULL)
		return;
	if (!json_is_object(member))
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "expected an object, found %s",
		                rpc_json_kind(member));
	else if (json_object_size(member) > count_max)
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "has %zu members, the limit is %zu",
		                json_object_size(member), count_max);
	else
		*out = member;
}

void
rpc_object_text(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                size_t len_min, size_t len_max, struct rpc_str *out)
{
	json_t *member = get_member(obj, name, presence);

	if (member == NULL)
		return;
	size_t len = json_string_length(member);
	if (!json_is_string(member))
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "expected a string, found %s",
		                rpc_json_kind(member));
	else if (len < len_min || len > len_max)
		rpc_object_fail(obj, RPC_BAD_REQUEST, name,
		                "expected a string of %zu to %zu bytes, found %zu", len_min,
		                len_max, len);
	else
		*out = (struct rpc_str){ json_string_value(member), len };
}

void
rpc_object_uint(struct rpc_object *obj, const char *name, enum rpc_presence presence, uint64_t min,
                uint64_t max, uint64_t *out)
{
	json_t *member = get_member(obj, name, presence);

	if (member == NULL)
		return;
	json_int_t value = json_integer_value(member);
	if (!json_is_integer(member))
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "expected an integer, found %s",
		                rpc_json_kind(member));
	else if (value < 0 || (uint64_t)value < min || (uint64_t)value > max)
		rpc_object_fail(obj, RPC_BAD_REQUEST, name,
		                "expected an integer from %" PRIu64 " to %" PRIu64
		                ", found %" JSON_INTEGER_FORMAT,
		                min, max, value);
	else
		*out = (uint64_t)value;
}

void
rpc_object_bool(struct rpc_object *obj, const char *name, enum rpc_presence presence, bool *out)
{
	json_t *member = get_member(obj, name, presence);

	if (member == NULL)
		return;
	if (!json_is_boolean(member))
		rpc_object_fail(obj, RPC_BAD_REQUEST, name, "expected true or false, found %s",
		                rpc_json_kind(member));
	else
		*out = json_is_true(member);
}

void
rpc_object_choice(struct rpc_object *obj, const char *name, enum rpc_presence presence,
                  const char *const *words, unsigned *out)
{
	json_t *member = get_member(obj, name, presence);
	char list[160];
	size_t len = 0;

	if (member == NULL)
		return;
	const char *text = json_string_value(member); /* NULL when it is no string */
	for (unsigned i = 0; words[i] != NULL; i++) {
		if (text != NULL && strcmp(text, words[i]) == 0) {
			*out = i;
			return;
		}
		int n =
		    snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", words[i]);
		if (n > 0 && (size_t)n < sizeof list - len)
			len += (size_t)n;
	}
	rpc_object_fail(obj, RPC_BAD_REQUEST, name, "expected one of %.*s; found %s", (int)len,
	                list, text != NULL ? text : rpc_json_kind(member));
}
