/*
 * error.h - how calls fail, and what they say about it.
 *
 * Every fallible function returns an enum vm_status and takes a struct vm_error last, which may
 * be NULL. The error is plain data owned by the caller: it needs no initialisation, holds no
 * pointers, and is written only when the function fails. Outputs are untouched on failure.
 */
#pragma once

#include <stdbool.h>
#include "vm/common.h"

enum vm_status {
#define STATUS(symbol, text) VM_##symbol,
#include "vm/status.def"
#undef STATUS
};

enum vm_trap {
#define TRAP(symbol, name, text) VM_TRAP_##symbol,
#include "vm/trap.def"
#undef TRAP
};

#define VM_NO_OFFSET UINT64_MAX
#define VM_NO_FUNCTION UINT32_MAX

#define VM_ERROR_MESSAGE_MAX 320
#define VM_ERROR_FRAMES_MAX 24
#define VM_FRAME_NAME_MAX 56

/* One activation of a guest function, innermost first. */
struct vm_frame {
	uint32_t function; /* index in its module, imports counted */
	uint64_t offset;   /* of the instruction in the module's binary, or VM_NO_OFFSET */
	char name[VM_FRAME_NAME_MAX]; /* from the name section or an export, cut; "" unknown */
};

struct vm_error {
	enum vm_status status;
	enum vm_trap trap;   /* why, when status is VM_TRAP; else VM_TRAP_NONE */
	int32_t exit_code;   /* when status is VM_EXIT */
	uint32_t function;   /* function the error is about, or VM_NO_FUNCTION */
	uint64_t offset;     /* byte offset in the module's binary, or VM_NO_OFFSET */
	uint32_t frame_count; /* entries of frames that are filled, for traps */
	uint32_t frames_omitted; /* outer frames that did not fit */
	char message[VM_ERROR_MESSAGE_MAX]; /* what was expected, found and where; UTF-8 */
	struct vm_frame frames[VM_ERROR_FRAMES_MAX];
};

/* The row's text: "out of memory". Never NULL, also for unknown values. */
VM_EXPORT const char *vm_status_text(enum vm_status status);
/* The row's symbol: "E_NOMEM". */
VM_EXPORT const char *vm_status_name(enum vm_status status);
/* The row's text: "integer divide by zero". */
VM_EXPORT const char *vm_trap_text(enum vm_trap trap);
/* The row's slug: "integer-divide-by-zero". */
VM_EXPORT const char *vm_trap_name(enum vm_trap trap);
/* True for the rows behind HOST: the embedder's limits, not the guest's fault. */
VM_EXPORT bool vm_trap_is_limit(enum vm_trap trap);

/*
 * Fill *err (which may be NULL) and return status, so that a function can fail in one line.
 * offset is VM_NO_OFFSET where there is none. Overlong messages are cut at a character.
 */
VM_EXPORT VM_COLD enum vm_status vm_error_set(struct vm_error *err, enum vm_status status,
                                              uint64_t offset, const char *format, ...)
    VM_PRINTF(4, 5);

/* The same for a trap raised by a host function: returns VM_TRAP. */
VM_EXPORT enum vm_status vm_error_trap(struct vm_error *err, enum vm_trap trap,
                                       const char *format, ...) VM_PRINTF(3, 4);

/* The same for a host function that ends the program: returns VM_EXIT. */
VM_EXPORT enum vm_status vm_error_exit(struct vm_error *err, int32_t exit_code);
