/*
 * code.c - sequences of instructions, flat and folded.
 *
 * A folded instruction (op a b) is a b op: its own bytes wait in p->pending until its operands have
 * been parsed. Blocks and folded instructions that are open are frames in p->frames, not calls of
 * functions, so that no text can exhaust the stack.
 *
 *     flat block      block ... end          label
 *     folded block    (block ...)            label
 *     folded plain    (i32.add ...)          bytes wait
 *     folded if       (if a (then ...) (else ...))   its header waits; the label is in scope inside
 *                     of then and else only
 *
 * Spec: Core 3.0, section 6.5 (instructions)
 */
#include <string.h>
#include "vm/text/parser.h"

enum frame_kind {
	FRAME_BLOCK,  /* flat: ends with `end` */
	FRAME_IF,     /* flat: may have an else yet */
	FRAME_FOLDED_BLOCK,
	FRAME_FOLDED_PLAIN,
	FRAME_FOLDED_IF,   /* before (then */
	FRAME_AFTER_THEN,  /* (else may follow */
	FRAME_AFTER_ELSE,
	FRAME_BRANCH,      /* inside of (then or (else */
};

struct frame {
	enum frame_kind kind;
	size_t waits_from;     /* folded: its bytes in p->pending */
	struct symbol *symbol; /* blocks: the label's name, or NULL */
	const char *at;
};

static struct frame *
frame_top(const struct parser *p)
{
	return (struct frame *)p->frames.items + p->frames.count - 1;
}

static bool
frame_push(struct parser *p, enum frame_kind kind, struct symbol *symbol, const char *at)
{
	struct frame *frame = list_push(p, &p->frames, sizeof *frame);

	if (frame != NULL)
		*frame = (struct frame){ kind, p->pending.len, symbol, at };
	return frame != NULL;
}

/* --- labels --------------------------------------------------------------------------------- */

static bool
label_push(struct parser *p, struct symbol *symbol)
{
	struct label *label = list_push(p, &p->labels, sizeof *label);

	if (label == NULL)
		return false;
	*label = (struct label){ symbol, symbol != NULL ? symbol->label : 0 };
	if (symbol != NULL)
		symbol->label = (uint32_t)p->labels.count;
	return true;
}

static void
label_pop(struct parser *p)
{
	const struct label *label = (struct label *)p->labels.items + --p->labels.count;

	if (label->symbol != NULL)
		label->symbol->label = label->hidden;
}

/* Behind `else` or `end`, the label's name may be repeated. */
static bool
check_repeated_label(struct parser *p, const struct symbol *symbol)
{
	struct symbol *repeated;
	const char *at = token_of(p)->text;

	if (!parse_optional_id(p, &repeated))
		return false;
	if (repeated != NULL && repeated != symbol)
		return fail_at(p, at, "mismatching label");
	return true;
}

/* --- blocks --------------------------------------------------------------------------------- */

static bool
is_block(enum vm_op op)
{
	return opcode_table[op].imm == IMM_BLOCK || opcode_table[op].imm == IMM_TRY_TABLE;
}

/* Opcode, type and catch clauses; the label's name goes to *out_symbol. */
static bool
parse_header(struct parser *p, enum vm_op op, struct symbol **out_symbol, struct bytes *out)
{
	put_opcode(out, op);
	return parse_optional_id(p, out_symbol) && parse_block_type(p, out) &&
	       (op != VM_OP_TRY_TABLE || parse_catches(p, out));
}

static bool
begin_flat(struct parser *p, enum vm_op op, const char *at, struct bytes *out)
{
	struct symbol *symbol;

	return parse_header(p, op, &symbol, out) && label_push(p, symbol) &&
	       frame_push(p, op == VM_OP_IF ? FRAME_IF : FRAME_BLOCK, symbol, at);
}

static bool
flat_else(struct parser *p, const char *at, struct bytes *out)
{
	if (p->frames.count == 0 || frame_top(p)->kind != FRAME_IF)
		return fail_at(p, at, "else without an if that is open");
	frame_top(p)->kind = FRAME_BLOCK;
	put_opcode(out, VM_OP_ELSE);
	return check_repeated_label(p, frame_top(p)->symbol);
}

static bool
flat_end(struct parser *p, const char *at, struct bytes *out)
{
	if (p->frames.count == 0 ||
	    (frame_top(p)->kind != FRAME_BLOCK && frame_top(p)->kind != FRAME_IF))
		return fail_at(p, at, "end without a block that is open");
	struct symbol *symbol = frame_top(p)->symbol;
	p->frames.count--;
	label_pop(p);
	put_opcode(out, VM_OP_END);
	return check_repeated_label(p, symbol);
}

/* --- folded --------------------------------------------------------------------------------- */

/* What waits since a place in p->pending comes now. */
static void
release(struct parser *p, size_t from, struct bytes *out)
{
	bytes_put(out, p->pending.data + from, p->pending.len - from);
	p->pending.len = from;
}

/* `(` was the current token's predecessor: the token is the instruction's name. */
static bool
begin_folded(struct parser *p, struct bytes *out)
{
	const char *at = token_of(p)->text;
	struct symbol *symbol = NULL;
	size_t from = p->pending.len;
	enum frame_kind kind = FRAME_FOLDED_PLAIN;
	enum vm_op op;

	if (!find_instruction(token_of(p), &op) || op == VM_OP_ELSE || op == VM_OP_END)
		return fail_unexpected(p, "an instruction");
	if (!next_token(p))
		return false;
	if (op == VM_OP_IF) {
		kind = FRAME_FOLDED_IF;
		if (!parse_header(p, op, &symbol, &p->pending))
			return false;
	} else if (is_block(op)) {
		kind = FRAME_FOLDED_BLOCK;
		if (!parse_header(p, op, &symbol, out) || !label_push(p, symbol))
			return false;
	} else if (!parse_plain(p, op, at, &p->pending)) {
		return false;
	}
	if (!frame_push(p, kind, symbol, at))
		return false;
	frame_top(p)->waits_from = from;
	return true;
}

/* (then or (else of the folded if on top; the current token is the keyword. */
static bool
begin_branch(struct parser *p, bool is_then, struct bytes *out)
{
	struct frame *frame = frame_top(p);
	const char *at = token_of(p)->text;

	if (is_then) {
		release(p, frame->waits_from, out);
		frame->kind = FRAME_AFTER_THEN;
		if (!label_push(p, frame->symbol))
			return false;
	} else {
		put_opcode(out, VM_OP_ELSE);
		frame->kind = FRAME_AFTER_ELSE;
	}
	return next_token(p) && frame_push(p, FRAME_BRANCH, NULL, at);
}

/* Behind an opening parenthesis. */
static bool
open_form(struct parser *p, struct bytes *out)
{
	enum frame_kind top = p->frames.count > 0 ? frame_top(p)->kind : FRAME_BLOCK;

	if (top == FRAME_FOLDED_IF && at_keyword(p, "then"))
		return begin_branch(p, true, out);
	if (top == FRAME_AFTER_THEN && at_keyword(p, "else"))
		return begin_branch(p, false, out);
	if (top == FRAME_AFTER_THEN || top == FRAME_AFTER_ELSE)
		return fail_unexpected(p, "the end of the if");
	return begin_folded(p, out);
}

/* A closing parenthesis: of the folded frame on top. */
static bool
close_form(struct parser *p, struct bytes *out)
{
	const struct frame frame = *frame_top(p);

	switch (frame.kind) {
	case FRAME_BLOCK:
	case FRAME_IF:
		return fail(p, "the %s has no end",
		            frame.kind == FRAME_IF ? "if" : "block");
	case FRAME_FOLDED_IF:
		return fail(p, "the if has no (then ...)");
	case FRAME_FOLDED_BLOCK:
	case FRAME_AFTER_THEN:
	case FRAME_AFTER_ELSE:
		label_pop(p);
		put_opcode(out, VM_OP_END);
		break;
	case FRAME_FOLDED_PLAIN:
		release(p, frame.waits_from, out);
		break;
	case FRAME_BRANCH:
		break;
	}
	p->frames.count--;
	return next_token(p);
}

/* --- sequences ------------------------------------------------------------------------------ */

/* An instruction that is not in parentheses. */
static bool
flat(struct parser *p, struct bytes *out)
{
	const char *at = token_of(p)->text;
	enum frame_kind top = p->frames.count > 0 ? frame_top(p)->kind : FRAME_BLOCK;
	enum vm_op op;

	if (top == FRAME_FOLDED_PLAIN || top == FRAME_FOLDED_IF || top == FRAME_AFTER_THEN ||
	    top == FRAME_AFTER_ELSE)
		return fail_unexpected(p, "a folded instruction, or )");
	if (!find_instruction(token_of(p), &op))
		return fail_unexpected(p, "an instruction");
	if (!next_token(p))
		return false;
	if (op == VM_OP_ELSE)
		return flat_else(p, at, out);
	if (op == VM_OP_END)
		return flat_end(p, at, out);
	return is_block(op) ? begin_flat(p, op, at, out) : parse_plain(p, op, at, out);
}

/* Instructions until there is no frame and the next token would close something else. */
static bool
sequence(struct parser *p, bool is_single, struct bytes *out)
{
	bool ok = true;

	p->frames.count = p->labels.count = 0;
	p->pending.len = 0;
	for (;;) {
		enum token_kind kind = token_of(p)->kind;
		if (kind == TOKEN_CLOSE && p->frames.count == 0)
			break;
		if (kind == TOKEN_OPEN)
			ok = next_token(p) && open_form(p, out);
		else if (kind == TOKEN_CLOSE)
			ok = close_form(p, out);
		else
			ok = flat(p, out);
		if (!ok || (is_single && p->frames.count == 0))
			break;
	}
	if (p->pending.failed)
		ok = ok && fail_memory(p);
	put_opcode(out, VM_OP_END);
	return ok;
}

/* What labels of an abandoned sequence named is never asked again: the parser has failed. */
bool
parse_expr(struct parser *p, struct bytes *out)
{
	return sequence(p, false, out);
}

bool
parse_folded_expr(struct parser *p, struct bytes *out)
{
	if (token_of(p)->kind != TOKEN_OPEN)
		return fail_unexpected(p, "an instruction in parentheses");
	return sequence(p, true, out);
}
