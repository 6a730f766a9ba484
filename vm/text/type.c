/*
 * type.c - types, and uses of types.
 */
#include <stdlib.h>
#include <string.h>
#include "vm/text/parser.h"

/* --- value types ---------------------------------------------------------------------------- */

static const struct {
	const char *text;
	vm_valtype type;
} plain_types[] = {
	{ "i32", VM_I32 }, { "i64", VM_I64 }, { "f32", VM_F32 }, { "f64", VM_F64 },
	{ "v128", VM_V128 },
};

/* Heap types, and what a nullable reference to one is called for short. */
static const struct {
	const char *text;
	const char *short_ref;
	enum vm_heap heap;
} heap_types[] = {
	{ "func", "funcref", VM_HEAP_FUNC },
	{ "extern", "externref", VM_HEAP_EXTERN },
	{ "any", "anyref", VM_HEAP_ANY },
	{ "eq", "eqref", VM_HEAP_EQ },
	{ "i31", "i31ref", VM_HEAP_I31 },
	{ "struct", "structref", VM_HEAP_STRUCT },
	{ "array", "arrayref", VM_HEAP_ARRAY },
	{ "exn", "exnref", VM_HEAP_EXN },
	{ "none", "nullref", VM_HEAP_NONE },
	{ "nofunc", "nullfuncref", VM_HEAP_NOFUNC },
	{ "noextern", "nullexternref", VM_HEAP_NOEXTERN },
	{ "noexn", "nullexnref", VM_HEAP_NOEXN },
};

#define HEAP_TYPE_COUNT (sizeof heap_types / sizeof *heap_types)

static bool
short_reftype(const struct parser *p, vm_valtype *out)
{
	for (size_t i = 0; i < HEAP_TYPE_COUNT; i++) {
		if (at_keyword(p, heap_types[i].short_ref)) {
			*out = VM_REF_NULL(heap_types[i].heap);
			return true;
		}
	}
	return false;
}

bool
parse_heaptype(struct parser *p, uint32_t *out)
{
	uint32_t index;

	for (size_t i = 0; i < HEAP_TYPE_COUNT; i++) {
		if (at_keyword(p, heap_types[i].text)) {
			*out = heap_types[i].heap;
			return next_token(p);
		}
	}
	if (!is_index(p))
		return fail_unexpected(p, "a heap type");
	if (!parse_index(p, SPACE_TYPE, &index))
		return false;
	/* Heap types have 24 bits; no module has so many types. */
	*out = VM_HEAP_CONCRETE + (index < 0xfff000 ? index : 0xfff000);
	return true;
}

bool
is_reftype(struct parser *p)
{
	vm_valtype type;

	return short_reftype(p, &type) || at_form(p, "ref");
}

bool
parse_reftype(struct parser *p, vm_valtype *out)
{
	uint32_t heap;

	if (short_reftype(p, out))
		return next_token(p);
	if (!at_form(p, "ref"))
		return fail_unexpected(p, "a reference type");
	if (!enter_form(p))
		return false;
	bool is_nullable = at_keyword(p, "null");
	if ((is_nullable && !next_token(p)) || !parse_heaptype(p, &heap))
		return false;
	*out = is_nullable ? VM_REF_NULL(heap) : VM_REF(heap);
	return expect_close(p, "the reference type");
}

bool
parse_valtype(struct parser *p, vm_valtype *out)
{
	for (size_t i = 0; i < sizeof plain_types / sizeof *plain_types; i++) {
		if (at_keyword(p, plain_types[i].text)) {
			*out = plain_types[i].type;
			return next_token(p);
		}
	}
	return is_reftype(p) ? parse_reftype(p, out) : fail_unexpected(p, "a value type");
}

void
put_heaptype(struct bytes *b, uint32_t heap)
{
	if (heap < VM_HEAP_CONCRETE)
		bytes_put_u8(b, (uint8_t)heap); /* a negative number of one byte */
	else
		bytes_put_s64(b, (int64_t)heap - VM_HEAP_CONCRETE);
}

void
put_valtype(struct bytes *b, vm_valtype type)
{
	if (!vm_valtype_is_ref(type)) {
		bytes_put_u8(b, (uint8_t)type);
		return;
	}
	uint32_t heap = vm_valtype_heap(type);
	if (!vm_valtype_is_nullable(type) || heap >= VM_HEAP_CONCRETE)
		bytes_put_u8(b, (uint8_t)(type & 0xff));
	put_heaptype(b, heap);
}

/* --- parameters and results ----------------------------------------------------------------- */

static bool
push_type(struct parser *p, struct list *list, vm_valtype type)
{
	vm_valtype *item = list_push(p, list, sizeof *item);

	if (item != NULL)
		*item = type;
	return item != NULL;
}

static bool
push_param(struct parser *p, struct symbol *name)
{
	vm_valtype type;

	if (!parse_valtype(p, &type) || !push_type(p, &p->params, type))
		return false;
	struct symbol **item = list_push(p, &p->param_names, sizeof *item);
	if (item != NULL)
		*item = name;
	return item != NULL;
}

/* (param ...)*, then (result ...)*, into the parser's lists. */
static bool
parse_signature(struct parser *p, bool names)
{
	struct symbol *name;
	vm_valtype type;

	p->params.count = p->param_names.count = p->results.count = 0;
	while (at_form(p, "param")) {
		if (!enter_form(p))
			return false;
		if (token_of(p)->kind == TOKEN_ID) {
			if (!names)
				return fail(p, "parameters have no names here");
			if (!parse_optional_id(p, &name) || !push_param(p, name))
				return false;
		} else {
			while (token_of(p)->kind != TOKEN_CLOSE) {
				if (!push_param(p, NULL))
					return false;
			}
		}
		if (!expect_close(p, "the parameters"))
			return false;
	}
	while (at_form(p, "result")) {
		if (!enter_form(p))
			return false;
		while (token_of(p)->kind != TOKEN_CLOSE) {
			if (!parse_valtype(p, &type) || !push_type(p, &p->results, type))
				return false;
		}
		if (!next_token(p))
			return false;
	}
	return true;
}

/* A copy of what the parser's lists hold, in the arena. */
static bool
take_signature(struct parser *p, struct text_type *type)
{
	size_t params = p->params.count;
	size_t results = p->results.count;
	vm_valtype *all = arena_alloc_array(p->arena, params + results + 1, sizeof *all);

	if (all == NULL)
		return fail_memory(p);
	if (params > 0)
		memcpy(all, p->params.items, params * sizeof *all);
	if (results > 0)
		memcpy(all + params, p->results.items, results * sizeof *all);
	type->kind = COMP_FUNC;
	type->params = all;
	type->param_count = (uint32_t)params;
	type->result_count = (uint32_t)results;
	return true;
}

/* --- definitions ---------------------------------------------------------------------------- */

static struct text_type *
type_at(const struct parser *p, uint32_t index)
{
	return (struct text_type *)p->types.items + index;
}

static bool
parse_storage(struct parser *p, vm_valtype *out)
{
	bool is_i8 = at_keyword(p, "i8");

	if (!is_i8 && !at_keyword(p, "i16"))
		return parse_valtype(p, out);
	*out = is_i8 ? STORAGE_I8 : STORAGE_I16;
	return next_token(p);
}

static bool
parse_field_type(struct parser *p, struct field_type *out)
{
	vm_valtype storage;
	bool is_mutable = at_form(p, "mut");

	if ((is_mutable && !enter_form(p)) || !parse_storage(p, &storage))
		return false;
	*out = (struct field_type){ storage, is_mutable };
	return !is_mutable || expect_close(p, "the field's type");
}

static int
compare_field_names(const void *a, const void *b)
{
	const struct symbol *x = ((const struct field_name *)a)->symbol;
	const struct symbol *y = ((const struct field_name *)b)->symbol;

	return (x > y) - (x < y);
}

static bool
push_field(struct parser *p, struct list *fields)
{
	struct field_type field;

	if (!parse_field_type(p, &field))
		return false;
	struct field_type *item = list_push(p, fields, sizeof *item);
	if (item != NULL)
		*item = field;
	return item != NULL;
}

/* (field $name t) or (field t*). */
static bool
parse_fields(struct parser *p, struct list *fields, struct list *names)
{
	struct symbol *symbol;

	while (at_form(p, "field")) {
		if (!enter_form(p))
			return false;
		if (token_of(p)->kind == TOKEN_ID) {
			if (!parse_optional_id(p, &symbol))
				return false;
			struct field_name *name = list_push(p, names, sizeof *name);
			if (name == NULL)
				return false;
			*name = (struct field_name){ symbol, (uint32_t)fields->count };
			if (!push_field(p, fields))
				return false;
		} else {
			while (token_of(p)->kind != TOKEN_CLOSE) {
				if (!push_field(p, fields))
					return false;
			}
		}
		if (!expect_close(p, "the field"))
			return false;
	}
	return true;
}

static void *
copy_list(struct parser *p, const struct list *list, size_t item_size)
{
	void *copy = arena_alloc_array(p->arena, list->count + 1, item_size);

	if (copy == NULL)
		(void)!fail_memory(p);
	else if (list->count > 0)
		memcpy(copy, list->items, list->count * item_size);
	return copy;
}

static bool
take_struct(struct parser *p, const char *at, const struct list *fields, const struct list *names,
            struct text_type *type)
{
	struct field_name *sorted = copy_list(p, names, sizeof *sorted);
	struct field_type *copy = copy_list(p, fields, sizeof *copy);

	if (sorted == NULL || copy == NULL)
		return false;
	qsort(sorted, names->count, sizeof *sorted, compare_field_names);
	for (size_t i = 1; i < names->count; i++) {
		if (sorted[i].symbol == sorted[i - 1].symbol)
			return fail_at(p, at, "two fields of the structure have the same name");
	}
	type->kind = COMP_STRUCT;
	type->fields = copy;
	type->field_count = (uint32_t)fields->count;
	type->field_names = sorted;
	type->field_name_count = (uint32_t)names->count;
	return true;
}

static bool
parse_struct(struct parser *p, struct text_type *type)
{
	const char *at = token_of(p)->text;
	struct list fields = { 0 };
	struct list names = { 0 };

	bool ok = parse_fields(p, &fields, &names) && take_struct(p, at, &fields, &names, type);
	engine_free(p->engine, fields.items);
	engine_free(p->engine, names.items);
	return ok;
}

static bool
parse_array(struct parser *p, struct text_type *type)
{
	struct field_type *field = arena_alloc_array(p->arena, 1, sizeof *field);

	if (field == NULL)
		return fail_memory(p);
	type->kind = COMP_ARRAY;
	type->fields = field;
	type->field_count = 1;
	return parse_field_type(p, field);
}

static bool
parse_comp_type(struct parser *p, struct text_type *type)
{
	bool ok;

	if (at_form(p, "func"))
		ok = enter_form(p) && parse_signature(p, true) && take_signature(p, type);
	else if (at_form(p, "struct"))
		ok = enter_form(p) && parse_struct(p, type);
	else if (at_form(p, "array"))
		ok = enter_form(p) && parse_array(p, type);
	else
		return fail_unexpected(p, "(func, (struct or (array");
	return ok && expect_close(p, "the type");
}

/* (sub final? x? comptype), or the composite type alone. */
static bool
parse_sub_type(struct parser *p, struct text_type *type)
{
	if (!at_form(p, "sub"))
		return parse_comp_type(p, type);
	if (!enter_form(p))
		return false;
	type->is_final = at_keyword(p, "final");
	if (type->is_final && !next_token(p))
		return false;
	if (is_index(p) && !parse_index(p, SPACE_TYPE, &type->super))
		return false;
	return parse_comp_type(p, type) && expect_close(p, "the sub-type");
}

/* Behind the keyword `type`. */
static bool
parse_type(struct parser *p, struct text_type *out)
{
	struct symbol *name;

	*out = (struct text_type){ .is_final = true, .super = NO_INDEX, .is_alone = true };
	return parse_optional_id(p, &name) && parse_sub_type(p, out);
}

static bool
push_text_type(struct parser *p, const struct text_type *type)
{
	struct text_type *item = list_push(p, &p->types, sizeof *item);

	if (item != NULL)
		*item = *type;
	return item != NULL;
}

static bool
push_group(struct parser *p, uint32_t count, bool is_written)
{
	struct type_group *group = list_push(p, &p->groups, sizeof *group);

	if (group != NULL)
		*group = (struct type_group){ count, is_written };
	return group != NULL;
}

bool
parse_type_field(struct parser *p)
{
	struct text_type type;

	return next_token(p) && parse_type(p, &type) && push_text_type(p, &type) &&
	       push_group(p, 1, false);
}

bool
parse_rec_field(struct parser *p)
{
	size_t first = p->types.count;
	struct text_type type;

	if (!next_token(p))
		return false;
	while (at_form(p, "type")) {
		if (!enter_form(p) || !parse_type(p, &type) || !push_text_type(p, &type) ||
		    !expect_close(p, "the type"))
			return false;
	}
	for (size_t i = first; i < p->types.count; i++)
		type_at(p, (uint32_t)i)->is_alone = p->types.count - first == 1;
	return push_group(p, (uint32_t)(p->types.count - first), true);
}

uint32_t
field_by_name(const struct parser *p, uint32_t index, const struct symbol *symbol)
{
	const struct field_name key = { symbol, 0 };

	if (index >= p->types.count)
		return NO_INDEX;
	const struct text_type *type = type_at(p, index);
	if (type->field_name_count == 0)
		return NO_INDEX;
	const struct field_name *found =
	    bsearch(&key, type->field_names, type->field_name_count, sizeof key,
	            compare_field_names);
	return found != NULL ? found->index : NO_INDEX;
}

/* --- signatures ----------------------------------------------------------------------------- */

static uint64_t
hash_signature(const struct parser *p, const vm_valtype *params, size_t param_count,
               const vm_valtype *results, size_t result_count)
{
	const struct vm_str first = { (const char *)params, param_count * sizeof *params };
	const struct vm_str second = { (const char *)results, result_count * sizeof *results };

	return hash_strings(&p->symbols.key, first, second);
}

static bool
same_types(const vm_valtype *a, size_t a_count, const vm_valtype *b, size_t b_count)
{
	return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

static bool
has_signature(const struct parser *p, const struct text_type *type)
{
	return same_types(type->params, type->param_count, p->params.items, p->params.count) &&
	       same_types(type->params + type->param_count, type->result_count, p->results.items,
	                  p->results.count);
}

/* Can a type stand for a signature that was written out? */
static bool
is_plain_func(const struct text_type *type)
{
	return type->kind == COMP_FUNC && type->is_final && type->super == NO_INDEX &&
	       type->is_alone;
}

static void
signature_add(struct parser *p, uint32_t index)
{
	struct text_type *type = type_at(p, index);
	uint64_t hash = hash_signature(p, type->params, type->param_count,
	                               type->params + type->param_count, type->result_count);
	uint32_t *bucket = &p->signatures[hash & (p->signature_room - 1)];

	type->next = *bucket;
	*bucket = index;
}

bool
signatures_init(struct parser *p)
{
	size_t room = 64;

	while (room < p->types.count)
		room *= 2;
	p->signatures = engine_alloc_zeroed(p->engine, room, sizeof *p->signatures);
	if (p->signatures == NULL)
		return fail_memory(p);
	p->signature_room = room;
	memset(p->signatures, 0xff, room * sizeof *p->signatures);
	/* Backwards, so that the first of equal types is found first. */
	for (size_t i = p->types.count; i-- > 0;) {
		if (is_plain_func(type_at(p, (uint32_t)i)))
			signature_add(p, (uint32_t)i);
	}
	p->explicit_types = (uint32_t)p->types.count;
	return true;
}

/* The type of what the parser's lists hold; a new one behind all others if there is none yet. */
static bool
signature_find(struct parser *p, uint32_t *out)
{
	uint64_t hash = hash_signature(p, p->params.items, p->params.count, p->results.items,
	                               p->results.count);
	struct text_type type = { .is_final = true, .super = NO_INDEX, .is_alone = true };

	for (uint32_t i = p->signatures[hash & (p->signature_room - 1)]; i != NO_INDEX;
	     i = type_at(p, i)->next) {
		if (has_signature(p, type_at(p, i))) {
			*out = i;
			return true;
		}
	}
	*out = (uint32_t)p->types.count;
	if (!take_signature(p, &type) || !push_text_type(p, &type) || !push_group(p, 1, false))
		return false;
	signature_add(p, *out);
	return true;
}

/* --- uses ----------------------------------------------------------------------------------- */

static bool
parse_use_index(struct parser *p, struct type_use *out)
{
	*out = (struct type_use){ .has_index = at_form(p, "type") };
	if (!out->has_index)
		return true;
	return enter_form(p) && parse_index(p, SPACE_TYPE, &out->index) &&
	       expect_close(p, "the type use");
}

/* What is written out besides (type x) has to be the same. */
static bool
check_inline(struct parser *p, const struct type_use *use, const char *at)
{
	if (use->index >= p->types.count || type_at(p, use->index)->kind != COMP_FUNC)
		return true; /* validation says so */
	if (!has_signature(p, type_at(p, use->index)))
		return fail_at(p, at, "inline function type differs from type %u",
		               (unsigned)use->index);
	return true;
}

bool
parse_type_use(struct parser *p, bool names, struct type_use *out)
{
	const char *at = token_of(p)->text;

	if (!parse_use_index(p, out) || !parse_signature(p, names))
		return false;
	out->has_inline = p->params.count > 0 || p->results.count > 0;
	if (!out->has_index)
		return signature_find(p, &out->index);
	return !out->has_inline || check_inline(p, out, at);
}

bool
parse_block_type(struct parser *p, struct bytes *out)
{
	const char *at = token_of(p)->text;
	struct type_use use;

	if (!parse_use_index(p, &use) || !parse_signature(p, false))
		return false;
	if (use.has_index) {
		bool has_inline = p->params.count > 0 || p->results.count > 0;
		if (has_inline && !check_inline(p, &use, at))
			return false;
		bytes_put_s64(out, use.index);
		return true;
	}
	if (p->params.count == 0 && p->results.count == 0) {
		bytes_put_u8(out, 0x40);
		return true;
	}
	if (p->params.count == 0 && p->results.count == 1) {
		put_valtype(out, *(vm_valtype *)p->results.items);
		return true;
	}
	if (!signature_find(p, &use.index))
		return false;
	bytes_put_s64(out, use.index);
	return true;
}

/* --- the section ---------------------------------------------------------------------------- */

static void
put_valtypes(struct bytes *b, const vm_valtype *types, uint32_t count)
{
	bytes_put_u32(b, count);
	for (uint32_t i = 0; i < count; i++)
		put_valtype(b, types[i]);
}

static void
put_fields(struct bytes *b, const struct text_type *type)
{
	for (uint32_t i = 0; i < type->field_count; i++) {
		put_valtype(b, type->fields[i].storage);
		bytes_put_u8(b, type->fields[i].is_mutable);
	}
}

static void
put_type(struct bytes *b, const struct text_type *type)
{
	if (!type->is_final || type->super != NO_INDEX) {
		bytes_put_u8(b, type->is_final ? 0x4f : 0x50);
		bytes_put_u32(b, type->super != NO_INDEX);
		if (type->super != NO_INDEX)
			bytes_put_u32(b, type->super);
	}
	switch (type->kind) {
	case COMP_FUNC:
		bytes_put_u8(b, 0x60);
		put_valtypes(b, type->params, type->param_count);
		put_valtypes(b, type->params + type->param_count, type->result_count);
		break;
	case COMP_STRUCT:
		bytes_put_u8(b, 0x5f);
		bytes_put_u32(b, type->field_count);
		put_fields(b, type);
		break;
	case COMP_ARRAY:
		bytes_put_u8(b, 0x5e);
		put_fields(b, type);
		break;
	}
}

void
put_types(struct parser *p, struct bytes *b)
{
	const struct type_group *groups = p->groups.items;
	uint32_t next = 0;

	bytes_put_u32(b, (uint32_t)p->groups.count);
	for (size_t i = 0; i < p->groups.count; i++) {
		if (groups[i].is_written) {
			bytes_put_u8(b, 0x4e);
			bytes_put_u32(b, groups[i].count);
		}
		for (uint32_t k = 0; k < groups[i].count; k++)
			put_type(b, type_at(p, next++));
	}
}
