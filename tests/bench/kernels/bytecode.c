/* bytecode.c - an interpreter for a small stack machine, interpreted: dispatch on data. */
#include "kernel.h"

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, LESS, JUMP_IF, JUMP, HALT };

/* sum = i = 0; while (i < limit) { sum = (sum ^ i) * 3 + limit; i = i + 1; } */
static const int32_t program[] = {
	/* 0 */ PUSH, 0, STORE, 0, PUSH, 0, STORE, 1,
	/* 8 */ LOAD, 1, LOAD, 2, LESS, JUMP_IF, 17, JUMP, 39,
	/* 17 */ LOAD, 0, LOAD, 1, XOR, PUSH, 3, MUL, LOAD, 2, ADD, STORE, 0,
	/* 30 */ LOAD, 1, PUSH, 1, ADD, STORE, 1, JUMP, 8,
	/* 39 */ HALT,
};

static uint32_t
execute(uint32_t limit)
{
	uint32_t stack[16], variables[4] = { 0, 0, limit, 0 };
	uint32_t *top = stack;
	const int32_t *next = program;

	for (;;) {
		switch (*next++) {
		case PUSH:
			*top++ = (uint32_t)*next++;
			break;
		case LOAD:
			*top++ = variables[*next++];
			break;
		case STORE:
			variables[*next++] = *--top;
			break;
		case ADD:
			top--;
			top[-1] += top[0];
			break;
		case SUB:
			top--;
			top[-1] -= top[0];
			break;
		case MUL:
			top--;
			top[-1] *= top[0];
			break;
		case XOR:
			top--;
			top[-1] ^= top[0];
			break;
		case LESS:
			top--;
			top[-1] = top[-1] < top[0];
			break;
		case JUMP_IF:
			next = *--top ? program + *next : next + 1;
			break;
		case JUMP:
			next = program + *next;
			break;
		default:
			return variables[0];
		}
	}
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = mix(sum, execute(100 + i % 7));
	return sum;
}
