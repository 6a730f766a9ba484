/*
 * text.c - a module in the text format as a whole.
 */
#include "vm/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "vm/base/utf8.h"
#include "vm/text/parser.h"

/* --- failing -------------------------------------------------------------------------------- */

static bool VM_PRINTF(3, 0)
fail_list(struct parser *p, const char *at, const char *format, va_list args)
{
	char text[VM_ERROR_MESSAGE_MAX];

	vsnprintf(text, sizeof text, format, args);
	p->st = lexer_fail(&p->lexer, at, VM_E_MALFORMED, p->err, "%s", text);
	return false;
}

bool
fail(struct parser *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_list(p, token_of(p)->text, format, args);
	va_end(args);
	return false;
}

bool
fail_at(struct parser *p, const char *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_list(p, at, format, args);
	va_end(args);
	return false;
}

bool
fail_memory(struct parser *p)
{
	p->st = vm_error_set(p->err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	return false;
}

bool
fail_unexpected(struct parser *p, const char *expected)
{
	const struct token *token = token_of(p);
	size_t len = utf8_cut((const uint8_t *)token->text, token->len < 60 ? token->len : 60);

	if (token->kind == TOKEN_END)
		return fail(p, "the text ends, expected %s", expected);
	return fail(p, "unexpected `%.*s%s`, expected %s", (int)len, token->text,
	            len < token->len ? "..." : "", expected);
}

/* --- tokens --------------------------------------------------------------------------------- */

bool
next_token(struct parser *p)
{
	p->st = lexer_next(&p->lexer, p->err);
	return p->st == VM_OK;
}

bool
at_keyword(const struct parser *p, const char *keyword)
{
	return token_is(token_of(p), (struct vm_str){ keyword, strlen(keyword) });
}

bool
at_form(const struct parser *p, const char *keyword)
{
	struct lexer ahead = p->lexer;

	return token_of(p)->kind == TOKEN_OPEN && lexer_next(&ahead, NULL) == VM_OK &&
	       token_is(&ahead.token, (struct vm_str){ keyword, strlen(keyword) });
}

bool
enter_form(struct parser *p)
{
	return next_token(p) && next_token(p);
}

bool
expect_open(struct parser *p, const char *what)
{
	return token_of(p)->kind == TOKEN_OPEN ? next_token(p) : fail_unexpected(p, what);
}

bool
expect_close(struct parser *p, const char *what)
{
	char expected[80];

	if (token_of(p)->kind == TOKEN_CLOSE)
		return next_token(p);
	snprintf(expected, sizeof expected, ") behind %s", what);
	return fail_unexpected(p, expected);
}

bool
parse_string(struct parser *p, struct vm_str *out)
{
	const struct token *token = token_of(p);

	if (token->kind != TOKEN_STRING)
		return fail_unexpected(p, "a string");
	uint8_t *bytes = arena_alloc(p->arena, token->len);
	if (bytes == NULL)
		return fail_memory(p);
	*out = (struct vm_str){ (const char *)bytes, lexer_string_bytes(token, bytes) };
	return next_token(p);
}

bool
parse_name(struct parser *p, struct vm_str *out)
{
	const char *at = token_of(p)->text;

	if (!parse_string(p, out))
		return false;
	if (!utf8_is_valid((const uint8_t *)out->data, out->len))
		return fail_at(p, at, "malformed UTF-8 encoding in a name");
	return true;
}

bool
parse_optional_id(struct parser *p, struct symbol **out)
{
	*out = NULL;
	if (token_of(p)->kind != TOKEN_ID)
		return true;
	*out = symbol_of(p);
	return *out != NULL && next_token(p);
}

void *
list_push(struct parser *p, struct list *list, size_t item_size)
{
	if (list->count == list->room) {
		size_t room = list->room > 0 ? list->room * 2 : 16;
		void *items = engine_realloc_array(p->engine, list->items, room, item_size);
		if (items == NULL) {
			(void)!fail_memory(p);
			return NULL;
		}
		list->items = items;
		list->room = room;
	}
	return (char *)list->items + list->count++ * item_size;
}

/* --- fields --------------------------------------------------------------------------------- */

/* A field that was found, to be parsed later; the lexer is at its keyword. */
struct place {
	struct lexer lexer;
	enum field_kind kind;
};

/* From inside of a form to behind its end. */
static bool
skip_form(struct parser *p)
{
	const char *at = token_of(p)->text;
	uint64_t depth = 1;

	while (depth > 0) {
		enum token_kind kind = token_of(p)->kind;
		if (kind == TOKEN_END)
			return fail_at(p, at, "the field has no end");
		depth += kind == TOKEN_OPEN;
		depth -= kind == TOKEN_CLOSE;
		if (!next_token(p))
			return false;
	}
	return true;
}

static bool
find_fields(struct parser *p, struct list *places)
{
	while (token_of(p)->kind != TOKEN_CLOSE && token_of(p)->kind != TOKEN_END) {
		struct place place;

		if (!expect_open(p, "a field of the module"))
			return false;
		if (!find_field(token_of(p), &place.kind))
			return fail_unexpected(p, "a field of the module");
		place.lexer = p->lexer;
		struct place *item = list_push(p, places, sizeof *item);
		if (item == NULL)
			return false;
		*item = place;
		if (!declare_field(p, place.kind))
			return false;
		p->lexer = place.lexer;
		if (!skip_form(p))
			return false;
	}
	return true;
}

static bool
is_type_field(enum field_kind kind)
{
	return kind == FIELD_TYPE || kind == FIELD_REC;
}

static bool
parse_places(struct parser *p, const struct list *places)
{
	const struct place *place = places->items;

	for (size_t i = 0; i < places->count; i++) {
		if (!is_type_field(place[i].kind))
			continue;
		p->lexer = place[i].lexer;
		if (!(place[i].kind == FIELD_TYPE ? parse_type_field(p) : parse_rec_field(p)) ||
		    !expect_close(p, "the type"))
			return false;
	}
	if (!signatures_init(p))
		return false;
	for (size_t i = 0; i < places->count; i++) {
		if (is_type_field(place[i].kind))
			continue;
		p->lexer = place[i].lexer;
		if (!parse_field(p, place[i].kind) || !expect_close(p, "the field"))
			return false;
	}
	return true;
}

static bool
parse_fields(struct parser *p)
{
	struct list places = { 0 };

	bool ok = find_fields(p, &places);
	struct lexer behind = p->lexer;
	ok = ok && parse_places(p, &places);
	engine_free(p->engine, places.items);
	if (ok)
		p->lexer = behind;
	return ok;
}

/* --- sections ------------------------------------------------------------------------------- */

static void
put_section(struct bytes *out, uint8_t id, const struct bytes *contents)
{
	bytes_put_u8(out, id);
	bytes_put_vec(out, contents->data, contents->len);
	out->failed = out->failed || contents->failed;
}

static void
put_vector_section(struct parser *p, struct bytes *out, uint8_t id, enum section section)
{
	const struct section_buffer *from = &p->sections[section];
	struct bytes contents;

	out->failed = out->failed || from->bytes.failed;
	if (from->count == 0)
		return;
	bytes_init(&contents, p->engine);
	bytes_put_u32(&contents, from->count);
	bytes_put(&contents, from->bytes.data, from->bytes.len);
	put_section(out, id, &contents);
	bytes_clear(&contents);
}

static void
put_type_section(struct parser *p, struct bytes *out)
{
	struct bytes contents;

	if (p->groups.count == 0)
		return;
	bytes_init(&contents, p->engine);
	put_types(p, &contents);
	put_section(out, 1, &contents);
	bytes_clear(&contents);
}

/* A section that is one number. */
static void
put_number_section(struct parser *p, struct bytes *out, uint8_t id, uint32_t number)
{
	struct bytes contents;

	bytes_init(&contents, p->engine);
	bytes_put_u32(&contents, number);
	put_section(out, id, &contents);
	bytes_clear(&contents);
}

static void
put_name_map(struct bytes *b, const struct name_note *notes, size_t count)
{
	bytes_put_u32(b, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		bytes_put_u32(b, notes[i].index);
		bytes_put_str(b, notes[i].name);
	}
}

/* How many notes from the first on are of the same function. */
static size_t
same_func(const struct name_note *notes, size_t count)
{
	size_t n = 1;

	while (n < count && notes[n].func == notes[0].func)
		n++;
	return n;
}

static void
put_local_names(struct bytes *b, const struct name_note *notes, size_t count)
{
	uint32_t funcs = 0;

	for (size_t i = 0; i < count; i += same_func(notes + i, count - i))
		funcs++;
	bytes_put_u32(b, funcs);
	for (size_t i = 0; i < count;) {
		size_t n = same_func(notes + i, count - i);
		bytes_put_u32(b, notes[i].func);
		put_name_map(b, notes + i, n);
		i += n;
	}
}

/* Core, appendix "Custom Sections": names of the module, functions and locals. */
static void
put_name_section(struct parser *p, struct bytes *out)
{
	struct bytes contents;
	struct bytes part;

	if (p->module_name.len == 0 && p->func_names.count == 0 && p->local_names.count == 0)
		return;
	bytes_init(&contents, p->engine);
	bytes_init(&part, p->engine);
	bytes_put_str(&contents, VM_STR("name"));
	if (p->module_name.len > 0) {
		bytes_put_str(&part, p->module_name);
		put_section(&contents, 0, &part);
		part.len = 0;
	}
	if (p->func_names.count > 0) {
		put_name_map(&part, p->func_names.items, p->func_names.count);
		put_section(&contents, 1, &part);
		part.len = 0;
	}
	if (p->local_names.count > 0) {
		put_local_names(&part, p->local_names.items, p->local_names.count);
		put_section(&contents, 2, &part);
	}
	put_section(out, 0, &contents);
	bytes_clear(&part);
	bytes_clear(&contents);
}

/* In the order that the binary format asks for. */
static void
put_module(struct parser *p, struct bytes *out)
{
	bytes_put(out, "\0asm\1\0\0\0", 8);
	put_type_section(p, out);
	put_vector_section(p, out, 2, SECTION_IMPORT);
	put_vector_section(p, out, 3, SECTION_FUNC);
	put_vector_section(p, out, 4, SECTION_TABLE);
	put_vector_section(p, out, 5, SECTION_MEMORY);
	put_vector_section(p, out, 13, SECTION_TAG);
	put_vector_section(p, out, 6, SECTION_GLOBAL);
	put_vector_section(p, out, 7, SECTION_EXPORT);
	if (p->has_start)
		put_number_section(p, out, 8, p->start);
	put_vector_section(p, out, 9, SECTION_ELEM);
	if (p->needs_data_count)
		put_number_section(p, out, 12, p->sections[SECTION_DATA].count);
	put_vector_section(p, out, 10, SECTION_CODE);
	put_vector_section(p, out, 11, SECTION_DATA);
	put_name_section(p, out);
	out->failed = out->failed || p->body.failed || p->pending.failed;
}

/* --- modules -------------------------------------------------------------------------------- */

/* Strings, one behind the other, up to what closes the module. */
static bool
parse_module_strings(struct parser *p, struct bytes *out)
{
	while (token_of(p)->kind == TOKEN_STRING) {
		struct vm_str str;
		if (!parse_string(p, &str))
			return false;
		bytes_put(out, str.data, str.len);
	}
	return !out->failed || fail_memory(p);
}

static bool
expect_end(struct parser *p)
{
	return token_of(p)->kind == TOKEN_END || fail_unexpected(p, "the end of the text");
}

/* The module in quoted is the one that is meant; errors are places in there. */
static bool
parse_quoted(struct parser *p, const struct bytes *quoted, struct bytes *out)
{
	p->st = lexer_init(&p->lexer, quoted->len > 0 ? (const char *)quoted->data : "",
	                   quoted->len, p->err);
	if (p->st != VM_OK)
		return false;
	bool is_form = at_form(p, "module");
	struct symbol *name;
	if (is_form && (!enter_form(p) || !parse_optional_id(p, &name)))
		return false;
	if (!parse_fields(p) || (is_form && !expect_close(p, "the module")) || !expect_end(p))
		return false;
	put_module(p, out);
	return true;
}

static bool
parse_module_quote(struct parser *p, struct bytes *out)
{
	struct bytes quoted;

	bytes_init(&quoted, p->engine);
	bool ok = next_token(p) && parse_module_strings(p, &quoted) &&
	          expect_close(p, "the module") && expect_end(p) &&
	          parse_quoted(p, &quoted, out);
	bytes_clear(&quoted);
	return ok;
}

static bool
parse_module(struct parser *p, struct bytes *out)
{
	bool is_form = at_form(p, "module");
	struct symbol *name = NULL;

	if (is_form && (!enter_form(p) || !parse_optional_id(p, &name)))
		return false;
	if (name != NULL && p->wants_names)
		p->module_name = name->name;
	if (is_form && at_keyword(p, "quote"))
		return parse_module_quote(p, out);
	if (is_form && at_keyword(p, "binary"))
		return next_token(p) && parse_module_strings(p, out) &&
		       expect_close(p, "the module") && expect_end(p);
	if (!parse_fields(p) || (is_form && !expect_close(p, "the module")) || !expect_end(p))
		return false;
	put_module(p, out);
	return true;
}

static void
parser_init(struct parser *p, struct vm_engine *engine, unsigned options, struct vm_error *err)
{
	*p = (struct parser){ .engine = engine, .err = err,
		              .wants_names = (options & VM_TEXT_NAMES) != 0 };
	p->symbols.key = hash_key_new();
	for (int i = 0; i < SECTION_COUNT; i++)
		bytes_init(&p->sections[i].bytes, engine);
	bytes_init(&p->body, engine);
	bytes_init(&p->pending, engine);
}

static void
parser_clear(struct parser *p)
{
	const struct list *lists[] = { &p->types,   &p->groups, &p->params, &p->param_names,
		                       &p->results, &p->locals, &p->labels, &p->frames,
		                       &p->func_names, &p->local_names };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		engine_free(p->engine, lists[i]->items);
	for (int i = 0; i < SECTION_COUNT; i++)
		bytes_clear(&p->sections[i].bytes);
	bytes_clear(&p->body);
	bytes_clear(&p->pending);
	engine_free(p->engine, p->symbols.entries);
	engine_free(p->engine, p->signatures);
	arena_free(p->arena);
}

enum vm_status
vm_text_parse(struct vm_engine *engine, const char *text, size_t len, unsigned options,
              uint8_t **out_bytes, size_t *out_len, struct vm_error *err)
{
	struct parser parser;
	struct bytes out;

	parser_init(&parser, engine, options, err);
	bytes_init(&out, engine);
	parser.arena = arena_new(&engine->alloc);
	if (parser.arena == NULL)
		(void)!fail_memory(&parser);
	else
		parser.st = lexer_init(&parser.lexer, text, len, err);
	if (parser.st == VM_OK && parse_module(&parser, &out) && out.failed)
		(void)!fail_memory(&parser);
	if (parser.st == VM_OK && out.len > engine->limits.module_bytes_max)
		parser.st = vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                         "the module has %zu bytes, the limit is %zu", out.len,
		                         (size_t)engine->limits.module_bytes_max);
	enum vm_status st = parser.st;
	parser_clear(&parser);
	if (st != VM_OK) {
		bytes_clear(&out);
		return st;
	}
	*out_bytes = out.data;
	*out_len = out.len;
	return VM_OK;
}

void
vm_text_free(struct vm_engine *engine, uint8_t *bytes)
{
	engine_free(engine, bytes);
}

void
vm_text_position(const char *text, size_t len, uint64_t offset, uint64_t *out_line,
                 uint64_t *out_column)
{
	const struct lexer lexer = { .start = text, .end = text + len };
	struct text_position position =
	    lexer_position(&lexer, text + (offset < len ? offset : len));

	*out_line = position.line;
	*out_column = position.column;
}

bool
vm_text_is_likely(const void *bytes, size_t len)
{
	const char *text = bytes;

	return len > 0 && text[0] != '\0' && strchr(" \t\r\n(;", text[0]) != NULL;
}
