/*
 * compile.h - modules on their way from the interpreter to native code.
 *
 * A module is queued when it is uploaded, and when it is called without having code; what is
 * called most is compiled first. The work is done by a process of its own (compile_wire.h), which
 * may crash, loop or take all the memory it was given: then the module stays interpreted, and is
 * tried again later and later. Code that is ready is in the cache, and not remembered here.
 *
 * Owns:    the queue, the processes
 * Threads: everything on the loop's thread
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "rpc/digest.h"
#include "rpc/writer.h"
#include "vm/native.h"

struct compiler;
struct daemon;
struct program;

/* NULL: no memory. */
struct compiler *compiler_new(struct daemon *daemon);
/* Kill what runs and begin nothing more; the handles close in the loop. NULL is fine. */
void compiler_stop(struct compiler *compiler);
/* After stop, when no letter is under way any more. NULL is fine. */
void compiler_free(struct compiler *compiler);

/* Look at the settings of a reload. */
void compiler_configure(struct compiler *compiler);

enum compile_state {
	COMPILE_NONE,   /* nothing is known; there may be code in the cache */
	COMPILE_QUEUED,
	COMPILE_RUNNING,
	COMPILE_READY,  /* the module that is loaded has code */
	COMPILE_FAILED, /* `detail` says why; it is interpreted */
	COMPILE_PINNED, /* code was there, and gave another result than the interpreter */
	COMPILE_OFF,    /* by the settings, or there is no compiler: `detail` says which */
};

const char *compile_state_text(enum compile_state state);

struct compile_status {
	enum compile_state state;
	enum vm_compile_level level;
	uint64_t done_bytes; /* RUNNING */
	uint64_t total_bytes;
	const char *detail;  /* belongs to the compiler; valid until the loop goes on */
};

/* How it stands with one variant of a module. */
struct compile_status compiler_status(struct compiler *compiler, const struct digest *module,
                                      bool is_metered);

/* Write it as an object (schema Compile). */
void compile_status_write(struct rpc_writer *w, const struct compile_status *status);

/*
 * Somebody asks for native code: queue it, unless it is there or under way. With is_urgent a
 * failure is forgotten, and it comes before all that were only called.
 */
struct compile_status compiler_ask(struct compiler *compiler, const struct digest *module,
                                   bool is_metered, enum vm_compile_level level, bool is_urgent);

/* A call of this program is about to be interpreted for want of code. */
void compiler_used(struct compiler *compiler, const struct program *program, bool is_metered);

/* The module was deleted: whatever is done for it is stopped. */
void compiler_forget(struct compiler *compiler, const struct digest *module);

/* Modules that wait, and that are being compiled. */
void compiler_get_counts(const struct compiler *compiler, unsigned *out_queued,
                         unsigned *out_running);
