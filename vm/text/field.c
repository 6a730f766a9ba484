/*
 * field.c - one field of a module at a time.
 *
 * Spec: Core 3.0, section 6.6 (modules)
 */
#include <string.h>
#include "vm/text/parser.h"

bool
find_field(const struct token *token, enum field_kind *out)
{
	static const struct {
		const char *keyword;
		enum field_kind kind;
	} fields[] = {
		{ "type", FIELD_TYPE },     { "rec", FIELD_REC },       { "import", FIELD_IMPORT },
		{ "func", FIELD_FUNC },     { "table", FIELD_TABLE },   { "memory", FIELD_MEMORY },
		{ "global", FIELD_GLOBAL }, { "tag", FIELD_TAG },       { "export", FIELD_EXPORT },
		{ "start", FIELD_START },   { "elem", FIELD_ELEM },     { "data", FIELD_DATA },
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		const char *keyword = fields[i].keyword;
		if (token_is(token, (struct vm_str){ keyword, strlen(keyword) })) {
			*out = fields[i].kind;
			return true;
		}
	}
	return false;
}

/* What can be imported and exported, by its keyword. */
static const struct extern_form {
	const char *keyword;
	enum space space;
	uint8_t code; /* in the binary */
	enum field_kind field;
} extern_forms[] = {
	{ "func", SPACE_FUNC, 0, FIELD_FUNC },       { "table", SPACE_TABLE, 1, FIELD_TABLE },
	{ "memory", SPACE_MEMORY, 2, FIELD_MEMORY }, { "global", SPACE_GLOBAL, 3, FIELD_GLOBAL },
	{ "tag", SPACE_TAG, 4, FIELD_TAG },
};

#define EXTERN_FORM_COUNT (sizeof extern_forms / sizeof *extern_forms)

/* At "(func" and so on: enters the form. NULL: failed. */
static const struct extern_form *
enter_extern(struct parser *p)
{
	for (size_t i = 0; i < EXTERN_FORM_COUNT; i++) {
		if (at_form(p, extern_forms[i].keyword))
			return enter_form(p) ? &extern_forms[i] : NULL;
	}
	(void)!fail_unexpected(p, "(func, (table, (memory, (global or (tag");
	return NULL;
}

static const struct extern_form *
form_of_field(enum field_kind kind)
{
	for (size_t i = 0; i < EXTERN_FORM_COUNT; i++) {
		if (extern_forms[i].field == kind)
			return &extern_forms[i];
	}
	return NULL;
}

static struct bytes *
section_add(struct parser *p, enum section section)
{
	p->sections[section].count++;
	return &p->sections[section].bytes;
}

/* --- declaring ------------------------------------------------------------------------------ */

/* The next index of a space, with the name that stands at the current token if there is one. */
static bool
declare(struct parser *p, enum space space)
{
	if (token_of(p)->kind == TOKEN_ID) {
		struct symbol *symbol = symbol_of(p);
		if (symbol == NULL || !symbol_define(p, space, symbol, p->counts[space]) ||
		    !next_token(p))
			return false;
	}
	p->counts[space]++;
	return true;
}

/* Past the end of the form that the current token is inside of. */
static bool
leave_form(struct parser *p)
{
	uint64_t depth = 1;

	while (depth > 0) {
		enum token_kind kind = token_of(p)->kind;
		if (kind == TOKEN_END)
			return fail_unexpected(p, ")");
		depth += kind == TOKEN_OPEN;
		depth -= kind == TOKEN_CLOSE;
		if (!next_token(p))
			return false;
	}
	return true;
}

static bool
declare_rec(struct parser *p)
{
	while (at_form(p, "type")) {
		if (!enter_form(p) || !declare(p, SPACE_TYPE) || !leave_form(p))
			return false;
	}
	return true;
}

static bool
refuse_late_import(struct parser *p)
{
	return fail(p, "an import has to come before all functions, tables, memories, globals and "
	               "tags that are defined here");
}

static bool
declare_import(struct parser *p)
{
	struct vm_str ignored;

	if (p->has_definition)
		return refuse_late_import(p);
	if (!parse_name(p, &ignored) || !parse_name(p, &ignored))
		return false;
	const struct extern_form *form = enter_extern(p);
	return form != NULL && declare(p, form->space);
}

/* A table or memory that brings its contents makes a segment. */
static bool
declare_contents(struct parser *p, const struct extern_form *form)
{
	const bool is_table = form->field == FIELD_TABLE;

	if ((at_keyword(p, "i32") || at_keyword(p, "i64")) && !next_token(p))
		return false;
	if (is_table && is_reftype(p) && token_of(p)->kind == TOKEN_OPEN &&
	    !(enter_form(p) && leave_form(p)))
		return false;
	if (is_table && is_reftype(p) && token_of(p)->kind == TOKEN_KEYWORD && !next_token(p))
		return false;
	p->counts[SPACE_ELEM] += is_table && at_form(p, "elem");
	p->counts[SPACE_DATA] += !is_table && at_form(p, "data");
	return true;
}

static bool
declare_definition(struct parser *p, const struct extern_form *form)
{
	if (!declare(p, form->space))
		return false;
	while (at_form(p, "export")) {
		if (!enter_form(p) || !leave_form(p))
			return false;
	}
	if (at_form(p, "import"))
		return !p->has_definition || refuse_late_import(p);
	p->has_definition = true;
	if (form->field == FIELD_TABLE || form->field == FIELD_MEMORY)
		return declare_contents(p, form);
	return true;
}

bool
declare_field(struct parser *p, enum field_kind kind)
{
	if (!next_token(p))
		return false;
	switch (kind) {
	case FIELD_TYPE:
		return declare(p, SPACE_TYPE);
	case FIELD_REC:
		return declare_rec(p);
	case FIELD_IMPORT:
		return declare_import(p);
	case FIELD_FUNC:
	case FIELD_TABLE:
	case FIELD_MEMORY:
	case FIELD_GLOBAL:
	case FIELD_TAG:
		return declare_definition(p, form_of_field(kind));
	case FIELD_ELEM:
		return declare(p, SPACE_ELEM);
	case FIELD_DATA:
		return declare(p, SPACE_DATA);
	case FIELD_EXPORT:
	case FIELD_START:
	case FIELD_KINDS:
		break;
	}
	return true;
}

/* --- types of what is imported or defined --------------------------------------------------- */

struct limits {
	bool is_64;
	bool has_max;
	bool is_shared;
	uint64_t min;
	uint64_t max;
};

static bool
parse_address_type(struct parser *p, struct limits *out)
{
	out->is_64 = at_keyword(p, "i64");
	return (!out->is_64 && !at_keyword(p, "i32")) || next_token(p);
}

static bool
parse_limits(struct parser *p, struct limits *out)
{
	if (!parse_u64(p, "a minimum size", &out->min))
		return false;
	out->has_max = token_of(p)->kind == TOKEN_NUMBER;
	return !out->has_max || parse_u64(p, "a maximum size", &out->max);
}

static void
put_limits(struct bytes *b, const struct limits *limits)
{
	bytes_put_u8(b, (uint8_t)(limits->has_max | limits->is_shared << 1 | limits->is_64 << 2));
	bytes_put_u64(b, limits->min);
	if (limits->has_max)
		bytes_put_u64(b, limits->max);
}

static bool
parse_memory_type(struct parser *p, struct bytes *out)
{
	struct limits limits = { 0 };

	if (!parse_address_type(p, &limits) || !parse_limits(p, &limits))
		return false;
	limits.is_shared = at_keyword(p, "shared");
	if (limits.is_shared && !next_token(p))
		return false;
	put_limits(out, &limits);
	return true;
}

static bool
parse_table_type(struct parser *p, struct bytes *out)
{
	struct limits limits = { 0 };
	vm_valtype type;

	if (!parse_address_type(p, &limits) || !parse_limits(p, &limits) ||
	    !parse_reftype(p, &type))
		return false;
	put_valtype(out, type);
	put_limits(out, &limits);
	return true;
}

static bool
parse_global_type(struct parser *p, struct bytes *out)
{
	bool is_mutable = at_form(p, "mut");
	vm_valtype type;

	if ((is_mutable && !enter_form(p)) || !parse_valtype(p, &type) ||
	    (is_mutable && !expect_close(p, "the global's type")))
		return false;
	put_valtype(out, type);
	bytes_put_u8(out, is_mutable);
	return true;
}

static bool
parse_tag_type(struct parser *p, struct bytes *out)
{
	struct type_use use;

	if (!parse_type_use(p, true, &use))
		return false;
	bytes_put_u8(out, 0);
	bytes_put_u32(out, use.index);
	return true;
}

static bool
parse_func_type(struct parser *p, struct bytes *out)
{
	struct type_use use;

	if (!parse_type_use(p, true, &use))
		return false;
	bytes_put_u32(out, use.index);
	return true;
}

static bool
parse_extern_type(struct parser *p, enum space space, struct bytes *out)
{
	switch (space) {
	case SPACE_FUNC:
		return parse_func_type(p, out);
	case SPACE_TABLE:
		return parse_table_type(p, out);
	case SPACE_MEMORY:
		return parse_memory_type(p, out);
	case SPACE_GLOBAL:
		return parse_global_type(p, out);
	case SPACE_TAG:
	case SPACE_TYPE:
	case SPACE_ELEM:
	case SPACE_DATA:
	case SPACE_COUNT:
		break;
	}
	return parse_tag_type(p, out);
}

/* --- names, imports, exports ---------------------------------------------------------------- */

static bool
note_name(struct parser *p, struct list *notes, uint32_t func, uint32_t index,
          const struct symbol *symbol)
{
	if (!p->wants_names || symbol == NULL)
		return true;
	struct name_note *note = list_push(p, notes, sizeof *note);
	if (note != NULL)
		*note = (struct name_note){ func, index, symbol->name };
	return note != NULL;
}

/* The identifier of what has that index, if there is one. */
static bool
skip_id(struct parser *p, enum space space, uint32_t index)
{
	struct symbol *symbol;

	if (!parse_optional_id(p, &symbol))
		return false;
	return space != SPACE_FUNC || note_name(p, &p->func_names, 0, index, symbol);
}

static bool
put_export(struct parser *p, const struct extern_form *form, struct vm_str name, uint32_t index)
{
	struct bytes *b = section_add(p, SECTION_EXPORT);

	bytes_put_str(b, name);
	bytes_put_u8(b, form->code);
	bytes_put_u32(b, index);
	return true;
}

/* (export "name")* */
static bool
parse_inline_exports(struct parser *p, const struct extern_form *form, uint32_t index)
{
	struct vm_str name;

	while (at_form(p, "export")) {
		if (!enter_form(p) || !parse_name(p, &name) || !put_export(p, form, name, index) ||
		    !expect_close(p, "the export"))
			return false;
	}
	return true;
}

/* The names of an import, to which its kind and type are to be appended. NULL: failed. */
static struct bytes *
parse_import_names(struct parser *p)
{
	struct vm_str module;
	struct vm_str name;

	if (!parse_name(p, &module) || !parse_name(p, &name))
		return NULL;
	struct bytes *b = section_add(p, SECTION_IMPORT);
	bytes_put_str(b, module);
	bytes_put_str(b, name);
	return b;
}

/* (import "m" "n") and the type behind it. */
static bool
parse_inline_import(struct parser *p, const struct extern_form *form)
{
	if (!enter_form(p))
		return false;
	struct bytes *b = parse_import_names(p);
	if (b == NULL || !expect_close(p, "the import"))
		return false;
	bytes_put_u8(b, form->code);
	return parse_extern_type(p, form->space, b);
}

static bool
parse_import(struct parser *p)
{
	struct bytes *b = parse_import_names(p);
	const struct extern_form *form = b != NULL ? enter_extern(p) : NULL;

	if (form == NULL)
		return false;
	bytes_put_u8(b, form->code);
	return skip_id(p, form->space, p->defined[form->space]++) &&
	       parse_extern_type(p, form->space, b) && expect_close(p, "the import's type");
}

static bool
parse_export(struct parser *p)
{
	struct vm_str name;
	uint32_t index;

	if (!parse_name(p, &name))
		return false;
	const struct extern_form *form = enter_extern(p);
	return form != NULL && parse_index(p, form->space, &index) &&
	       put_export(p, form, name, index) && expect_close(p, "what is exported");
}

/* --- functions ------------------------------------------------------------------------------ */

static bool
name_local(struct parser *p, uint32_t func, struct symbol *symbol, uint32_t index)
{
	if (symbol == NULL)
		return true;
	if (symbol->local_of == p->func_number)
		return fail(p, "duplicate local $%.*s",
		            (int)(symbol->name.len < 60 ? symbol->name.len : 60),
		            symbol->name.data);
	symbol->local_of = p->func_number;
	symbol->local = index;
	return note_name(p, &p->local_names, func, index, symbol);
}

static bool
name_params(struct parser *p, uint32_t func)
{
	struct symbol *const *names = p->param_names.items;

	for (size_t i = 0; i < p->param_names.count; i++) {
		if (!name_local(p, func, names[i], (uint32_t)i))
			return false;
	}
	return true;
}

static bool
push_local(struct parser *p)
{
	vm_valtype type;

	if (!parse_valtype(p, &type))
		return false;
	vm_valtype *item = list_push(p, &p->locals, sizeof *item);
	if (item != NULL)
		*item = type;
	return item != NULL;
}

/* (local $name t) or (local t*), any number. */
static bool
parse_locals(struct parser *p, uint32_t func, uint32_t param_count)
{
	struct symbol *symbol;

	p->locals.count = 0;
	while (at_form(p, "local")) {
		if (!enter_form(p))
			return false;
		if (token_of(p)->kind == TOKEN_ID) {
			uint32_t index = param_count + (uint32_t)p->locals.count;
			if (!parse_optional_id(p, &symbol) ||
			    !name_local(p, func, symbol, index) || !push_local(p))
				return false;
		} else {
			while (token_of(p)->kind != TOKEN_CLOSE) {
				if (!push_local(p))
					return false;
			}
		}
		if (!expect_close(p, "the locals"))
			return false;
	}
	return true;
}

/* Runs of locals of one type. */
static void
put_locals(struct bytes *b, const struct list *locals)
{
	const vm_valtype *types = locals->items;
	uint32_t runs = 0;

	for (size_t i = 0; i < locals->count; i++)
		runs += i == 0 || types[i] != types[i - 1];
	bytes_put_u32(b, runs);
	for (size_t i = 0; i < locals->count;) {
		size_t first = i;
		while (i < locals->count && types[i] == types[first])
			i++;
		bytes_put_u32(b, (uint32_t)(i - first));
		put_valtype(b, types[first]);
	}
}

/* Parameters of a type, as far as it is one of a function. */
static uint32_t
param_count_of(const struct parser *p, uint32_t index)
{
	const struct text_type *types = p->types.items;

	return index < p->types.count && types[index].kind == COMP_FUNC ? types[index].param_count
	                                                                : 0;
}

static bool
parse_func(struct parser *p, uint32_t func)
{
	struct type_use use;

	p->func_number++;
	if (!parse_type_use(p, true, &use) || !name_params(p, func) ||
	    !parse_locals(p, func, param_count_of(p, use.index)))
		return false;
	bytes_put_u32(section_add(p, SECTION_FUNC), use.index);
	p->body.len = 0;
	put_locals(&p->body, &p->locals);
	if (!parse_expr(p, &p->body))
		return false;
	bytes_put_vec(section_add(p, SECTION_CODE), p->body.data, p->body.len);
	return true;
}

/* --- segments ------------------------------------------------------------------------------- */

/* Function indices, each as it is or as an expression, behind a count. */
static bool
parse_func_indices(struct parser *p, bool as_exprs, uint32_t *out_count)
{
	uint32_t index;

	*out_count = 0;
	p->body.len = 0;
	while (is_index(p)) {
		if (!parse_index(p, SPACE_FUNC, &index))
			return false;
		if (as_exprs)
			put_opcode(&p->body, VM_OP_REF_FUNC);
		bytes_put_u32(&p->body, index);
		if (as_exprs)
			put_opcode(&p->body, VM_OP_END);
		++*out_count;
	}
	return true;
}

/* (item expr) or an expression of one folded instruction, any number. */
static bool
parse_elem_exprs(struct parser *p, uint32_t *out_count)
{
	*out_count = 0;
	p->body.len = 0;
	while (token_of(p)->kind == TOKEN_OPEN) {
		bool ok;
		if (at_form(p, "item"))
			ok = enter_form(p) && parse_expr(p, &p->body) &&
			     expect_close(p, "the item");
		else
			ok = parse_folded_expr(p, &p->body);
		if (!ok)
			return false;
		++*out_count;
	}
	return true;
}

/* What an element segment holds, in p->body. */
struct elem_list {
	vm_valtype type;
	bool is_exprs;
	uint32_t count;
};

/* can_omit: indices may stand without `func`. */
static bool
parse_elem_list(struct parser *p, bool can_omit, struct elem_list *out)
{
	*out = (struct elem_list){ .type = VM_FUNCREF };
	if (at_keyword(p, "func"))
		return next_token(p) && parse_func_indices(p, false, &out->count);
	if (is_reftype(p)) {
		out->is_exprs = true;
		return parse_reftype(p, &out->type) && parse_elem_exprs(p, &out->count);
	}
	if (can_omit)
		return parse_func_indices(p, false, &out->count);
	return fail_unexpected(p, "func or a reference type");
}

enum { ELEM_PASSIVE = 1, ELEM_EXPLICIT = 2, ELEM_DECLARE = 3, ELEM_EXPRS = 4 };

/* offset: of an active segment, else NULL. */
static void
put_elem(struct parser *p, uint8_t mode, uint32_t table, const struct bytes *offset,
         const struct elem_list *list)
{
	struct bytes *b = section_add(p, SECTION_ELEM);

	if (offset != NULL)
		mode = table != 0 || list->type != VM_FUNCREF ? ELEM_EXPLICIT : 0;
	bytes_put_u8(b, mode | (list->is_exprs ? ELEM_EXPRS : 0));
	if (mode == ELEM_EXPLICIT)
		bytes_put_u32(b, table);
	if (offset != NULL) {
		bytes_put(b, offset->data, offset->len);
		b->failed = b->failed || offset->failed;
	}
	if (mode != 0 && list->is_exprs)
		put_valtype(b, list->type);
	else if (mode != 0)
		bytes_put_u8(b, 0);
	bytes_put_u32(b, list->count);
	bytes_put(b, p->body.data, p->body.len);
}

/* (offset expr), or an expression of one folded instruction. */
static bool
parse_offset(struct parser *p, struct bytes *out)
{
	if (at_form(p, "offset"))
		return enter_form(p) && parse_expr(p, out) && expect_close(p, "the offset");
	return parse_folded_expr(p, out);
}

/* (memory x) or (table x), or the index alone. */
static bool
parse_target(struct parser *p, const char *keyword, enum space space, bool *out_is_given,
             uint32_t *out)
{
	*out = 0;
	*out_is_given = true;
	if (at_form(p, keyword))
		return enter_form(p) && parse_index(p, space, out) && expect_close(p, "the target");
	if (token_of(p)->kind == TOKEN_NUMBER)
		return parse_index(p, space, out);
	*out_is_given = false;
	return true;
}

static bool
parse_active_elem(struct parser *p, struct bytes *offset)
{
	struct elem_list list;
	uint32_t table;
	bool has_table;

	if (!parse_target(p, "table", SPACE_TABLE, &has_table, &table) ||
	    !parse_offset(p, offset) || !parse_elem_list(p, !has_table, &list))
		return false;
	put_elem(p, 0, table, offset, &list);
	return true;
}

static bool
parse_elem(struct parser *p)
{
	struct elem_list list;
	bool is_declared = at_keyword(p, "declare");

	if (is_declared && !next_token(p))
		return false;
	if (is_declared || at_keyword(p, "func") || is_reftype(p)) {
		if (!parse_elem_list(p, false, &list))
			return false;
		put_elem(p, is_declared ? ELEM_DECLARE : ELEM_PASSIVE, 0, NULL, &list);
		return true;
	}
	struct bytes offset;
	bytes_init(&offset, p->engine);
	bool ok = parse_active_elem(p, &offset);
	bytes_clear(&offset);
	return ok;
}

/* Strings up to the parenthesis, one behind the other in p->body. */
static bool
parse_strings(struct parser *p)
{
	p->body.len = 0;
	while (token_of(p)->kind == TOKEN_STRING) {
		struct vm_str str;
		if (!parse_string(p, &str))
			return false;
		bytes_put(&p->body, str.data, str.len);
	}
	return true;
}

static void
put_data(struct parser *p, bool is_passive, uint32_t memory, const struct bytes *offset)
{
	struct bytes *b = section_add(p, SECTION_DATA);

	bytes_put_u8(b, is_passive ? 1 : memory != 0 ? 2 : 0);
	if (!is_passive && memory != 0)
		bytes_put_u32(b, memory);
	bytes_put(b, offset->data, offset->len);
	b->failed = b->failed || offset->failed;
	bytes_put_vec(b, p->body.data, p->body.len);
}

static bool
parse_data(struct parser *p)
{
	struct bytes offset;
	uint32_t memory;
	bool has_memory;
	bool ok = parse_target(p, "memory", SPACE_MEMORY, &has_memory, &memory);
	bool is_passive = !has_memory && token_of(p)->kind != TOKEN_OPEN;

	bytes_init(&offset, p->engine);
	ok = ok && (is_passive || parse_offset(p, &offset)) && parse_strings(p);
	if (ok)
		put_data(p, is_passive, memory, &offset);
	bytes_clear(&offset);
	return ok;
}

/* --- tables and memories -------------------------------------------------------------------- */

/* i32.const 0 or i64.const 0, for contents that stand with their table or memory. */
static void
put_zero(struct bytes *b, bool is_64)
{
	put_opcode(b, is_64 ? VM_OP_I64_CONST : VM_OP_I32_CONST);
	bytes_put_u8(b, 0);
	put_opcode(b, VM_OP_END);
}

/* (table at? reftype (elem ...)): as many elements as are listed. */
static bool
parse_table_contents(struct parser *p, uint32_t index, struct limits *limits)
{
	struct elem_list list = { 0 };
	struct bytes offset;

	if (!parse_reftype(p, &list.type))
		return false;
	if (!at_form(p, "elem"))
		return fail_unexpected(p, "a size, or (elem");
	if (!enter_form(p))
		return false;
	list.is_exprs = token_of(p)->kind == TOKEN_OPEN || list.type != VM_FUNCREF;
	bool ok = is_index(p) ? parse_func_indices(p, list.is_exprs, &list.count)
	                      : parse_elem_exprs(p, &list.count);
	if (!ok || !expect_close(p, "the elements"))
		return false;
	limits->min = limits->max = list.count;
	limits->has_max = true;
	struct bytes *b = section_add(p, SECTION_TABLE);
	put_valtype(b, list.type);
	put_limits(b, limits);
	bytes_init(&offset, p->engine);
	put_zero(&offset, limits->is_64);
	put_elem(p, 0, index, &offset, &list);
	bytes_clear(&offset);
	return true;
}

static bool
parse_table(struct parser *p, uint32_t index)
{
	struct limits limits = { 0 };
	vm_valtype type;

	if (!parse_address_type(p, &limits))
		return false;
	if (token_of(p)->kind != TOKEN_NUMBER)
		return parse_table_contents(p, index, &limits);
	if (!parse_limits(p, &limits) || !parse_reftype(p, &type))
		return false;
	struct bytes *b = section_add(p, SECTION_TABLE);
	bool has_init = token_of(p)->kind != TOKEN_CLOSE;
	if (has_init)
		bytes_put(b, "\x40\x00", 2);
	put_valtype(b, type);
	put_limits(b, &limits);
	return !has_init || parse_expr(p, b);
}

/* (memory at? (data "..."*)): as many pages as that takes. */
static bool
parse_memory_contents(struct parser *p, uint32_t index, struct limits *limits)
{
	struct bytes offset;

	if (!enter_form(p) || !parse_strings(p) || !expect_close(p, "the data"))
		return false;
	limits->min = limits->max = ((uint64_t)p->body.len + VM_PAGE_SIZE - 1) / VM_PAGE_SIZE;
	limits->has_max = true;
	put_limits(section_add(p, SECTION_MEMORY), limits);
	bytes_init(&offset, p->engine);
	put_zero(&offset, limits->is_64);
	put_data(p, false, index, &offset);
	bytes_clear(&offset);
	return true;
}

static bool
parse_memory(struct parser *p, uint32_t index)
{
	struct lexer before = p->lexer;
	struct limits limits = { 0 };

	if (!parse_address_type(p, &limits))
		return false;
	if (at_form(p, "data"))
		return parse_memory_contents(p, index, &limits);
	p->lexer = before;
	return parse_memory_type(p, section_add(p, SECTION_MEMORY));
}

/* --- definitions ---------------------------------------------------------------------------- */

static bool
parse_global(struct parser *p)
{
	struct bytes *b = section_add(p, SECTION_GLOBAL);

	return parse_global_type(p, b) && parse_expr(p, b);
}

static bool
parse_definition(struct parser *p, const struct extern_form *form)
{
	uint32_t index = p->defined[form->space]++;

	if (!skip_id(p, form->space, index) || !parse_inline_exports(p, form, index))
		return false;
	if (at_form(p, "import"))
		return parse_inline_import(p, form);
	switch (form->space) {
	case SPACE_FUNC:
		return parse_func(p, index);
	case SPACE_TABLE:
		return parse_table(p, index);
	case SPACE_MEMORY:
		return parse_memory(p, index);
	case SPACE_GLOBAL:
		return parse_global(p);
	case SPACE_TAG:
	case SPACE_TYPE:
	case SPACE_ELEM:
	case SPACE_DATA:
	case SPACE_COUNT:
		break;
	}
	return parse_tag_type(p, section_add(p, SECTION_TAG));
}

static bool
parse_start(struct parser *p)
{
	if (p->has_start)
		return fail(p, "multiple start sections");
	p->has_start = true;
	return parse_index(p, SPACE_FUNC, &p->start);
}

bool
parse_field(struct parser *p, enum field_kind kind)
{
	if (!next_token(p))
		return false;
	switch (kind) {
	case FIELD_IMPORT:
		return parse_import(p);
	case FIELD_FUNC:
	case FIELD_TABLE:
	case FIELD_MEMORY:
	case FIELD_GLOBAL:
	case FIELD_TAG:
		return parse_definition(p, form_of_field(kind));
	case FIELD_EXPORT:
		return parse_export(p);
	case FIELD_START:
		return parse_start(p);
	case FIELD_ELEM:
		return skip_id(p, SPACE_ELEM, 0) && parse_elem(p);
	case FIELD_DATA:
		return skip_id(p, SPACE_DATA, 0) && parse_data(p);
	case FIELD_TYPE:
	case FIELD_REC:
	case FIELD_KINDS:
		break;
	}
	return true;
}
