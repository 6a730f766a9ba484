/*
 * plugin.h - what a plug-in is: the only header of the VM that one includes.
 *
 * A plug-in is a shared object NAME.so, found in the search path (see plugins.h), that exports one
 * function vm_plugin_NAME; or the same function linked into a program. It gives
 *
 *   host modules   functions that wasm programs import
 *   operations     the same capabilities for people without a program: JSON and bytes in, JSON
 *                  and bytes out. The daemon offers them over HTTP
 *
 * and takes a table of functions, struct vm_plugin_host, so that its object needs no symbol of the
 * VM. Where bytes of strangers meet a library that decodes them (images, models), that happens in
 * an operation, and the host functions of the plug-in reach it by vm_plugin_operate: an embedder
 * that wants such work in another process (VM_PLUGIN_SANDBOX) then gets it there for both.
 *
 *     static const struct vm_plugin_func funcs[] = { { "add", "ii", "i", add } };
 *     static const struct vm_plugin_module modules[] = { { "demo", "arithmetic", funcs, 1 } };
 *     static const struct vm_plugin plugin = {
 *             .abi = VM_PLUGIN_ABI, .name = "demo", .version = "1.0.0", .summary = "Example",
 *             .modules = modules, .module_count = 1,
 *     };
 *     VM_PLUGIN(demo) { return &plugin; }
 *
 * Threads: host functions run on the thread that owns the store; operations on any thread, several
 * at a time. open and close are called once each.
 */
#pragma once

#include "vm/error.h"
#include "vm/type.h"
#include "vm/value.h"

/* Changes with every change of a struct or contract below; a plug-in of another is refused. */
#define VM_PLUGIN_ABI 1u

struct vm_plugin_host;

/* --- options -------------------------------------------------------------------------------- */

enum vm_plugin_option_type {
	VM_PLUGIN_TEXT, /* any text */
	VM_PLUGIN_BOOL, /* true, false, yes, no, on, off, 1, 0 */
	VM_PLUGIN_UINT, /* decimal digits */
	VM_PLUGIN_SIZE, /* bytes: decimal digits and KiB, MiB, GiB or nothing */
	VM_PLUGIN_LIST, /* texts, separated by blanks */
};

struct vm_plugin_option {
	const char *name; /* lower-case, digits, '_' */
	enum vm_plugin_option_type type;
	const char *standard; /* the value when none is given, in the text form; "" for none */
	const char *summary;  /* one sentence without a full stop */
};

/* What an option was set to. text is always there; it lives as long as the plug-in is open. */
struct vm_plugin_value {
	const char *text; /* a LIST: its words, each ended by NUL */
	uint64_t number;  /* BOOL 0 or 1, UINT, SIZE bytes; LIST: how many words */
};

/* --- host modules --------------------------------------------------------------------------- */

/* One call of a host function, and whose. Made by the VM; the plug-in reads it. */
struct vm_plugin_call {
	const struct vm_plugin_host *host;
	void *plugin; /* what open gave */
	void *state;  /* what state_new gave for the calling program */
};

/*
 * A host function. Arguments are in slots, in order; a result is written over slots[0]. Returns
 * VM_OK, or what vm_plugin_trap returned: that ends the guest.
 */
typedef enum vm_status (*vm_plugin_fn)(const struct vm_plugin_call *call, union vm_slot *slots,
                                       struct vm_error *err);

#define VM_PLUGIN_PARAMS_MAX 16

struct vm_plugin_func {
	const char *name;
	const char *params; /* a letter each: i i32, l i64, f f32, d f64 */
	const char *results; /* the same; "" or one letter */
	vm_plugin_fn fn;
};

struct vm_plugin_module {
	const char *name; /* that guests import from */
	const char *summary;
	const struct vm_plugin_func *funcs;
	uint32_t func_count;
};

/* --- operations ----------------------------------------------------------------------------- */

#define VM_PLUGIN_BUFFERS_MAX 64u

struct vm_plugin_bytes {
	uint8_t *data;
	size_t len;
};

/* What is asked. Borrowed for the time of the operation. */
struct vm_plugin_request {
	struct vm_str json;   /* UTF-8, an object as input_schema says; "" is an empty one */
	struct vm_str tenant; /* on whose behalf; "" where there is only one */
	const struct vm_str *buffers;
	uint32_t buffer_count; /* at most VM_PLUGIN_BUFFERS_MAX */
};

/* What is answered: empty when the operation starts, filled by it with vm_plugin_reply_...;
 * whoever asked clears it, also after a failure. */
struct vm_plugin_reply {
	struct vm_str json; /* UTF-8, as output_schema says; "" when the operation says nothing */
	struct vm_plugin_bytes buffers[VM_PLUGIN_BUFFERS_MAX];
	uint32_t buffer_count;
};

/*
 * Do it. Fails through vm_plugin_fail with
 *
 *     VM_E_ARGUMENT    the request is not what the schemas and the documentation ask for
 *     VM_E_DATA        bytes that cannot be decoded, saying where and why
 *     VM_E_NOT_FOUND   what the request names is not there
 *     VM_E_CONFLICT    it has changed meanwhile
 *     VM_E_LIMIT       too large, saying which limit
 *     VM_E_UNSUPPORTED a library or a device is not there, saying how to get it
 *     VM_E_NOMEM, VM_E_IO
 */
typedef enum vm_status (*vm_plugin_operation_fn)(const struct vm_plugin_host *host, void *plugin,
                                                 const struct vm_plugin_request *request,
                                                 struct vm_plugin_reply *reply,
                                                 struct vm_error *err);

enum vm_plugin_operation_flag {
	/* Decodes what strangers made, keeps nothing outside of memory: run it in a process that
	 * may crash and has no rights, where the embedder has one. */
	VM_PLUGIN_SANDBOX = 1,
	/* Not offered to people by itself: a step of other operations or of host functions. */
	VM_PLUGIN_PRIVATE = 2,
};

struct vm_plugin_operation {
	const char *name; /* lower-case, digits, '-' */
	const char *summary;
	unsigned flags;
	const char *input_schema;  /* JSON Schema of the request's object, as JSON */
	const char *output_schema; /* and of the reply's */
	const char *input_media;   /* media types of the single buffer it takes, separated by
	                            * blanks; "" when it takes none; NULL: any number of any */
	const char *output_media;  /* the same for the buffers it gives */
	vm_plugin_operation_fn fn;
};

/* --- the plug-in ---------------------------------------------------------------------------- */

struct vm_plugin {
	uint32_t abi; /* VM_PLUGIN_ABI; stays the first member */
	const char *name; /* of the file and the exported function: lower-case, digits, '_' */
	const char *version; /* "1.2.3" */
	const char *summary;
	const struct vm_plugin_option *options;
	uint32_t option_count;
	const struct vm_plugin_module *modules;
	uint32_t module_count;
	const struct vm_plugin_operation *operations;
	uint32_t operation_count;

	/*
	 * Make what all programs share; values has one entry for each option. Cheap: libraries that
	 * take time or memory are opened when they are first needed. May be NULL.
	 */
	enum vm_status (*open)(const struct vm_plugin_host *host,
	                       const struct vm_plugin_value *values, void **out_plugin,
	                       struct vm_error *err);
	void (*close)(void *plugin); /* may be NULL */
	/*
	 * Is everything there that it needs (a library that is opened at run time)? A failure says
	 * what is missing and how to get it; host functions and operations then fail in the same
	 * way. May be NULL: nothing is needed.
	 */
	enum vm_status (*check)(void *plugin, struct vm_error *err);
	/*
	 * What one program has, made when it first calls a function of the plug-in and freed with
	 * its store. call->state is NULL then. Both may be NULL.
	 */
	enum vm_status (*state_new)(const struct vm_plugin_call *call, void **out_state,
	                            struct vm_error *err);
	void (*state_free)(void *plugin, void *state);
};

/* The head of the one function that a plug-in exports. */
#define VM_PLUGIN(name)                                     \
	VM_EXPORT const struct vm_plugin *vm_plugin_##name(void); \
	const struct vm_plugin *vm_plugin_##name(void)

/* --- what the VM does for a plug-in --------------------------------------------------------- */

enum vm_plugin_level { VM_PLUGIN_DEBUG, VM_PLUGIN_INFO, VM_PLUGIN_WARNING, VM_PLUGIN_ERROR };

/* Called through the functions and macros below; new members come last. */
struct vm_plugin_host {
	enum vm_status (*fail)(struct vm_error *err, enum vm_status status, const char *format, ...)
	    VM_PRINTF(3, 4);
	enum vm_status (*trap)(struct vm_error *err, enum vm_trap trap, const char *format, ...)
	    VM_PRINTF(3, 4);
	void (*log)(const struct vm_plugin_host *host, enum vm_plugin_level level,
	            const char *format, ...) VM_PRINTF(3, 4);

	bool (*has_memory)(const struct vm_plugin_call *call);
	void *(*memory)(const struct vm_plugin_call *call, uint32_t address, uint64_t len);
	bool (*take)(const struct vm_plugin_call *call, uint64_t size_bytes);
	void (*give)(const struct vm_plugin_call *call, uint64_t size_bytes);
	enum vm_trap (*stopped)(const struct vm_plugin_call *call);
	int (*stop_fd)(const struct vm_plugin_call *call);
	struct vm_str (*tenant)(const struct vm_plugin_call *call);
	enum vm_status (*write)(const struct vm_plugin_call *call, int stream, const void *data,
	                        size_t len, struct vm_error *err);
	enum vm_status (*operate)(const struct vm_plugin_call *call, const char *plugin,
	                          const char *operation, const struct vm_plugin_request *request,
	                          struct vm_plugin_reply *reply, struct vm_error *err);

	bool (*reply_json)(struct vm_plugin_reply *reply, const char *text, size_t len);
	uint8_t *(*reply_buffer)(struct vm_plugin_reply *reply, size_t len);
	void (*reply_clear)(struct vm_plugin_reply *reply);
};

/* Fill *err (which may be NULL) and return status, so that an operation can fail in one line. */
#define vm_plugin_fail(host, err, status, ...) ((host)->fail((err), (status), __VA_ARGS__))
/* The same for host functions: returns VM_TRAP, which ends the guest. */
#define vm_plugin_trap(call, err, why, ...) ((call)->host->trap((err), (why), __VA_ARGS__))
/* Tell the operator. Never with what a guest or client gave, unless it is cut and harmless. */
#define vm_plugin_log(host, level, ...) ((host)->log((host), (level), __VA_ARGS__))

/* Has the calling instance a memory? */
static inline bool
vm_plugin_has_memory(const struct vm_plugin_call *call)
{
	return call->host->has_memory(call);
}

/*
 * The len bytes at an address of memory 0 of the calling instance, or NULL when it has none or they
 * are not all inside. Valid until the host function returns. Zero bytes at the very end are inside.
 */
static inline void *
vm_plugin_memory(const struct vm_plugin_call *call, uint32_t address, uint64_t len)
{
	return call->host->memory(call, address, len);
}

/* Trap for an address that vm_plugin_memory refused; name says what it is the address of. */
#define vm_plugin_trap_memory(call, err, name, address, len)                                   \
	vm_plugin_trap((call), (err), VM_TRAP_MEMORY_BOUNDS,                                   \
	               "%s: %llu bytes at 0x%x are outside of the memory", (name),             \
	               (unsigned long long)(len), (unsigned)(address))

/*
 * Charge memory that is kept for the guest to its limit, and give it back; the rest is given back
 * when the state is freed. False, changing nothing, when it would be too much.
 */
static inline bool
vm_plugin_take(const struct vm_plugin_call *call, uint64_t size_bytes)
{
	return call->host->take(call, size_bytes);
}

static inline void
vm_plugin_give(const struct vm_plugin_call *call, uint64_t size_bytes)
{
	call->host->give(call, size_bytes);
}

/* Why the guest is to stop, or VM_TRAP_NONE; for long loops. Return a trap of that reason. */
static inline enum vm_trap
vm_plugin_stopped(const struct vm_plugin_call *call)
{
	return call->host->stopped(call);
}

/* Becomes readable when the guest is to stop, for poll; -1 when there is none. */
static inline int
vm_plugin_stop_fd(const struct vm_plugin_call *call)
{
	return call->host->stop_fd(call);
}

/* On whose behalf the guest runs; "" where there is only one. Lives as long as the state. */
static inline struct vm_str
vm_plugin_tenant(const struct vm_plugin_call *call)
{
	return call->host->tenant(call);
}

/*
 * Write to the guest's standard output (1) or error (2), wherever they go. Fails as a write of the
 * guest's own would: VM_TRAP for an output limit; without such streams it goes nowhere.
 */
static inline enum vm_status
vm_plugin_write(const struct vm_plugin_call *call, int stream, const void *data, size_t len,
                struct vm_error *err)
{
	return call->host->write(call, stream, data, len, err);
}

/*
 * An operation of this plug-in (plugin NULL) or of another one, by name. The reply is cleared by
 * the caller with vm_plugin_reply_clear. Fails as the operation does; and with VM_E_UNSUPPORTED
 * when there is none of that name, VM_E_IO when the process that did it ended, VM_TRAP when the
 * guest was stopped meanwhile. The request's tenant is that of the guest, whatever it says.
 */
static inline enum vm_status
vm_plugin_operate(const struct vm_plugin_call *call, const char *plugin, const char *operation,
                  const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                  struct vm_error *err)
{
	return call->host->operate(call, plugin, operation, request, reply, err);
}

/* Set the reply's text, which is copied. False: out of memory. */
static inline bool
vm_plugin_reply_json(const struct vm_plugin_host *host, struct vm_plugin_reply *reply,
                     const char *text, size_t len)
{
	return host->reply_json(reply, text, len);
}

/* Append a buffer of len zero bytes, to be filled in. NULL: out of memory, or one too many. */
static inline uint8_t *
vm_plugin_reply_buffer(const struct vm_plugin_host *host, struct vm_plugin_reply *reply, size_t len)
{
	return host->reply_buffer(reply, len);
}

/* Free what it holds; it is empty then. */
static inline void
vm_plugin_reply_clear(const struct vm_plugin_host *host, struct vm_plugin_reply *reply)
{
	host->reply_clear(reply);
}
