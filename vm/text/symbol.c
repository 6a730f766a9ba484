/*
 * symbol.c - identifiers, each of which is looked up once.
 */
#include <string.h>
#include "vm/base/str.h"
#include "vm/base/utf8.h"
#include "vm/text/parser.h"

static const char *const space_names[SPACE_COUNT] = {
	[SPACE_TYPE] = "type",     [SPACE_FUNC] = "function", [SPACE_TABLE] = "table",
	[SPACE_MEMORY] = "memory", [SPACE_GLOBAL] = "global", [SPACE_TAG] = "tag",
	[SPACE_ELEM] = "element segment", [SPACE_DATA] = "data segment",
};

static struct symbol **
place_of(const struct symbols *symbols, uint64_t hash, struct vm_str name)
{
	size_t at = hash & (symbols->room - 1);

	for (;; at = (at + 1) & (symbols->room - 1)) {
		struct symbol *symbol = symbols->entries[at];
		if (symbol == NULL || (symbol->hash == hash && str_equal(symbol->name, name)))
			return &symbols->entries[at];
	}
}

static bool
enlarge(struct parser *p)
{
	struct symbols *symbols = &p->symbols;
	struct symbols more = *symbols;

	more.room = symbols->room > 0 ? symbols->room * 2 : 256;
	more.entries = engine_alloc_zeroed(p->engine, more.room, sizeof(struct symbol *));
	if (more.entries == NULL)
		return fail_memory(p);
	for (size_t i = 0; i < symbols->room; i++) {
		struct symbol *symbol = symbols->entries[i];
		if (symbol != NULL)
			*place_of(&more, symbol->hash, symbol->name) = symbol;
	}
	engine_free(p->engine, symbols->entries);
	*symbols = more;
	return true;
}

/* What an identifier token is called, without a copy unless it is quoted. */
static bool
name_of_token(struct parser *p, struct vm_str *out)
{
	struct token token = *token_of(p);

	if (token.text[1] != '"') {
		*out = (struct vm_str){ token.text + 1, token.len - 1 };
		return true;
	}
	token.text++;
	token.len--;
	uint8_t *bytes = arena_alloc(p->arena, token.len);
	if (bytes == NULL)
		return fail_memory(p);
	size_t len = lexer_string_bytes(&token, bytes);
	if (len == 0)
		return fail(p, "empty identifier");
	if (!utf8_is_valid(bytes, len))
		return fail(p, "malformed UTF-8 encoding in an identifier");
	*out = (struct vm_str){ (const char *)bytes, len };
	return true;
}

static struct symbol *
symbol_new(struct parser *p, uint64_t hash, struct vm_str name)
{
	struct symbol *symbol = arena_alloc(p->arena, sizeof *symbol);

	if (symbol == NULL) {
		fail_memory(p);
		return NULL;
	}
	*symbol = (struct symbol){ .name = name, .hash = hash };
	for (int i = 0; i < SPACE_COUNT; i++)
		symbol->index[i] = NO_INDEX;
	return symbol;
}

struct symbol *
symbol_of(struct parser *p)
{
	struct symbols *symbols = &p->symbols;
	struct vm_str name;

	if (!name_of_token(p, &name))
		return NULL;
	if (symbols->count * 2 >= symbols->room && !enlarge(p))
		return NULL;
	uint64_t hash = hash_strings(&symbols->key, name, VM_STR(""));
	struct symbol **place = place_of(symbols, hash, name);
	if (*place == NULL) {
		*place = symbol_new(p, hash, name);
		symbols->count += *place != NULL;
	}
	return *place;
}

bool
symbol_define(struct parser *p, enum space space, struct symbol *symbol, uint32_t index)
{
	if (symbol->index[space] != NO_INDEX)
		return fail(p, "duplicate %s $%.*s", space_names[space],
		            (int)(symbol->name.len < 60 ? symbol->name.len : 60),
		            symbol->name.data);
	symbol->index[space] = index;
	return true;
}

bool
is_index(const struct parser *p)
{
	return token_of(p)->kind == TOKEN_NUMBER || token_of(p)->kind == TOKEN_ID;
}

bool
parse_index(struct parser *p, enum space space, uint32_t *out)
{
	if (token_of(p)->kind != TOKEN_ID)
		return parse_u32(p, space_names[space], out);
	const struct symbol *symbol = symbol_of(p);
	if (symbol == NULL)
		return false;
	if (symbol->index[space] == NO_INDEX)
		return fail(p, "unknown %s %.*s", space_names[space],
		            (int)(token_of(p)->len < 60 ? token_of(p)->len : 60),
		            token_of(p)->text);
	*out = symbol->index[space];
	return next_token(p);
}
