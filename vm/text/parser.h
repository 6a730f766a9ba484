/*
 * parser.h - what the parts of the parser share.
 *
 *     text.c      the module as a whole: finds its fields, puts the sections together
 *     field.c     one field at a time
 *     type.c      types, and uses of them
 *     code.c      instructions in their flat and folded forms
 *     immediate.c what follows an instruction's name
 *     number.c    numbers
 *     symbol.c    identifiers
 *
 * Fields may use what comes later, so the text is read twice: first the fields are found and what
 * they define is counted and named, then types are parsed, and then everything else, each field
 * into the buffer of its section.
 *
 * Functions that can fail return false; p->st and the error then say why, and everybody returns at
 * once. On success the current token is behind what was parsed.
 *
 * Spec:    Core 3.0, chapter 6
 * Threads: one at a time
 */
#pragma once

#include "vm/base/arena.h"
#include "vm/base/hash.h"
#include "vm/core/opcode.h"
#include "vm/core/type.h"
#include "vm/text.h"
#include "vm/text/bytes.h"
#include "vm/text/lexer.h"

enum space {
	SPACE_TYPE,
	SPACE_FUNC,
	SPACE_TABLE,
	SPACE_MEMORY,
	SPACE_GLOBAL,
	SPACE_TAG,
	SPACE_ELEM,
	SPACE_DATA,
	SPACE_COUNT
};

#define NO_INDEX UINT32_MAX

/* --- growing lists (text.c) ----------------------------------------------------------------- */

struct list {
	void *items;
	size_t count;
	size_t room;
};

struct parser;

/* Room for one more at the end, not initialised; NULL: out of memory, p has failed. */
void *list_push(struct parser *p, struct list *list, size_t item_size);

/* --- identifiers (symbol.c) ----------------------------------------------------------------- */

/* One for each identifier of the text, whatever it names. */
struct symbol {
	struct vm_str name; /* without the dollar sign */
	uint64_t hash;
	uint32_t index[SPACE_COUNT]; /* what it names there, or NO_INDEX */
	uint32_t local;     /* index of the local it names */
	uint32_t local_of;  /* in the function of this number, counted from 1 */
	uint32_t label;     /* innermost label of its name, counted from 1, or 0 */
};

struct symbols {
	struct symbol **entries;
	size_t room; /* a power of two, or 0 */
	size_t count;
	struct hash_key key;
};

/* The current token is an identifier: its symbol. NULL: failed. */
struct symbol *symbol_of(struct parser *p);
/* Name index in a space; fails when the name is taken. */
VM_MUST_CHECK bool symbol_define(struct parser *p, enum space space, struct symbol *symbol,
                                 uint32_t index);
/* An index by number or name. */
VM_MUST_CHECK bool parse_index(struct parser *p, enum space space, uint32_t *out);
/* Is the current token one that parse_index takes? */
bool is_index(const struct parser *p);

/* --- types (type.c) ------------------------------------------------------------------------- */

/*
 * A value type as vm/type.h has it; but a concrete heap type is VM_HEAP_CONCRETE plus the index of
 * the type in this module.
 */
struct field_name {
	const struct symbol *symbol;
	uint32_t index;
};

struct text_type {
	enum comp_kind kind;
	bool is_final;
	uint32_t super;      /* index, or NO_INDEX */
	bool is_alone;       /* in its group */
	uint32_t param_count;
	uint32_t result_count;
	uint32_t field_count;
	const vm_valtype *params; /* and the results behind them */
	const struct field_type *fields;
	const struct field_name *field_names; /* in order of symbols' addresses */
	uint32_t field_name_count;
	uint32_t next; /* type of the same hash, or NO_INDEX: see signature_find */
};

/* Types in a row that may name one another. */
struct type_group {
	uint32_t count;
	bool is_written; /* as (rec ...) */
};

/* A type use: which type, and what was written out. */
struct type_use {
	uint32_t index;
	bool has_index;   /* (type x) was there */
	bool has_inline;  /* parameters or results were */
};

VM_MUST_CHECK bool parse_valtype(struct parser *p, vm_valtype *out);
VM_MUST_CHECK bool parse_reftype(struct parser *p, vm_valtype *out);
VM_MUST_CHECK bool parse_heaptype(struct parser *p, uint32_t *out);
/* Could the current token begin a reference type? */
bool is_reftype(struct parser *p);
/* All of (type ...) and (rec ...); the current token is the keyword. */
VM_MUST_CHECK bool parse_type_field(struct parser *p);
VM_MUST_CHECK bool parse_rec_field(struct parser *p);
/*
 * (type x)? (param ...)* (result ...)*. What is written out is in p->params, p->param_names and
 * p->results; without (type x), the type is found or made. names: parameters may have them.
 */
VM_MUST_CHECK bool parse_type_use(struct parser *p, bool names, struct type_use *out);
/* The same for blocks, where no type is made for what can be said without. */
VM_MUST_CHECK bool parse_block_type(struct parser *p, struct bytes *out);
void put_valtype(struct bytes *b, vm_valtype type);
void put_heaptype(struct bytes *b, uint32_t heap);
void put_types(struct parser *p, struct bytes *b);
/* Index of a field by name in a structure; NO_INDEX when there is none. */
uint32_t field_by_name(const struct parser *p, uint32_t type, const struct symbol *symbol);
/* Types are complete: index the signatures of functions. */
VM_MUST_CHECK bool signatures_init(struct parser *p);

/* --- numbers (number.c) --------------------------------------------------------------------- */

/* The text of a number without sign, decimal or hexadecimal. False: not one, or above max. */
bool number_u64(const char *text, size_t len, uint64_t max, uint64_t *out);
/* An integer of bits 8 to 64, signed or not; out has its low bits. False: not one, out of range. */
bool number_int(const char *text, size_t len, unsigned bits, uint64_t *out);
enum number_status { NUMBER_OK, NUMBER_MALFORMED, NUMBER_RANGE, NUMBER_NO_MEMORY };
/* The bits of a float. */
enum number_status number_f32(const char *text, size_t len, uint32_t *out);
enum number_status number_f64(const char *text, size_t len, uint64_t *out);
/* The current token, in the forms above, with messages. */
VM_MUST_CHECK bool parse_u32(struct parser *p, const char *what, uint32_t *out);
VM_MUST_CHECK bool parse_u64(struct parser *p, const char *what, uint64_t *out);

/* --- code (code.c, immediate.c) ------------------------------------------------------------- */

/* A label in scope. */
struct label {
	struct symbol *symbol; /* or NULL */
	uint32_t hidden;       /* what symbol->label was outside */
};

/* Instructions up to a closing parenthesis that is not theirs; then `end`. */
VM_MUST_CHECK bool parse_expr(struct parser *p, struct bytes *out);
/* One folded instruction, whose opening parenthesis is the current token, and `end`. */
VM_MUST_CHECK bool parse_folded_expr(struct parser *p, struct bytes *out);
/* The row of the current token's instruction; false when it names none. */
bool find_instruction(const struct token *token, enum vm_op *out);
/* Opcode and what follows it, for all but blocks; the current token is behind the name. */
VM_MUST_CHECK bool parse_plain(struct parser *p, enum vm_op op, const char *at, struct bytes *out);
VM_MUST_CHECK bool parse_catches(struct parser *p, struct bytes *out);
void put_opcode(struct bytes *b, enum vm_op op);

/* --- fields (field.c) ----------------------------------------------------------------------- */

enum field_kind {
	FIELD_TYPE,
	FIELD_REC,
	FIELD_IMPORT,
	FIELD_FUNC,
	FIELD_TABLE,
	FIELD_MEMORY,
	FIELD_GLOBAL,
	FIELD_TAG,
	FIELD_EXPORT,
	FIELD_START,
	FIELD_ELEM,
	FIELD_DATA,
	FIELD_KINDS
};

/* Count and name what a field defines; the current token is its keyword, and is left there. */
VM_MUST_CHECK bool declare_field(struct parser *p, enum field_kind kind);
/* Parse all of it but the parenthesis behind. */
VM_MUST_CHECK bool parse_field(struct parser *p, enum field_kind kind);
bool find_field(const struct token *token, enum field_kind *out);

/* --- the parser ----------------------------------------------------------------------------- */

/* Vector sections, by what they hold; their ids and order are in text.c. */
enum section {
	SECTION_IMPORT,
	SECTION_FUNC,
	SECTION_TABLE,
	SECTION_MEMORY,
	SECTION_TAG,
	SECTION_GLOBAL,
	SECTION_EXPORT,
	SECTION_ELEM,
	SECTION_CODE,
	SECTION_DATA,
	SECTION_COUNT
};

struct section_buffer {
	struct bytes bytes;
	uint32_t count;
};

/* A name for the name section. */
struct name_note {
	uint32_t func;  /* of a local: its function */
	uint32_t index;
	struct vm_str name;
};

struct parser {
	const struct vm_engine *engine;
	struct vm_error *err;
	enum vm_status st;
	struct arena *arena;
	struct lexer lexer;

	struct symbols symbols;
	uint32_t counts[SPACE_COUNT];  /* after declaring: of all */
	uint32_t defined[SPACE_COUNT]; /* parsed so far, imports first */
	bool has_definition; /* of a function, table, memory, global or tag: no imports any more */

	struct list types;  /* struct text_type */
	struct list groups; /* struct type_group */
	uint32_t explicit_types;
	uint32_t *signatures; /* hash table of types, chained by `next` */
	size_t signature_room;

	struct section_buffer sections[SECTION_COUNT];
	bool has_start;
	uint32_t start;
	bool needs_data_count;

	struct list params;      /* vm_valtype: of the last type use */
	struct list param_names; /* struct symbol *, or NULL, one for each parameter */
	struct list results;     /* vm_valtype */

	uint32_t func_number;    /* of the function whose locals symbols name */
	struct list locals;      /* vm_valtype: declared in it */
	struct list labels;      /* struct label */
	struct bytes body;       /* of the function, or an expression, being parsed */
	struct bytes pending;    /* of folded instructions that wait for their operands */
	struct list frames;      /* see code.c */

	bool wants_names;
	struct vm_str module_name;
	struct list func_names;  /* struct name_note */
	struct list local_names;
};

static inline const struct token *
token_of(const struct parser *p)
{
	return &p->lexer.token;
}

VM_MUST_CHECK bool next_token(struct parser *p);
/* Fail at the current token, or at a place; returns false. */
VM_COLD bool fail(struct parser *p, const char *format, ...) VM_PRINTF(2, 3);
VM_COLD bool fail_at(struct parser *p, const char *at, const char *format, ...) VM_PRINTF(3, 4);
VM_COLD bool fail_memory(struct parser *p);
/* "unexpected token `x`, expected what" */
VM_COLD bool fail_unexpected(struct parser *p, const char *expected);

VM_MUST_CHECK bool expect_open(struct parser *p, const char *what);
VM_MUST_CHECK bool expect_close(struct parser *p, const char *what);
/* Is the current token this keyword? */
bool at_keyword(const struct parser *p, const char *keyword);
/* Are the current tokens an opening parenthesis and this keyword? */
bool at_form(const struct parser *p, const char *keyword);
/* Then go behind both. */
VM_MUST_CHECK bool enter_form(struct parser *p);
/* The bytes of the current string token, in the arena; any bytes, or only UTF-8. */
VM_MUST_CHECK bool parse_string(struct parser *p, struct vm_str *out);
VM_MUST_CHECK bool parse_name(struct parser *p, struct vm_str *out);
/* An identifier if there is one, else NULL. */
VM_MUST_CHECK bool parse_optional_id(struct parser *p, struct symbol **out);
