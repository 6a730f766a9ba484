/*
 * native.h - modules as native code: compile, keep, and attach.
 *
 * vm_compile makes an artifact: position-independent machine code of a module with what is needed
 * to run it, as bytes that can be kept anywhere. It needs libwasmedge-llvm.so, which it opens.
 * vm_module_attach gives a module the code of an artifact; it needs no compiler. Instances made
 * afterwards run it, in stores whose configuration allows it.
 *
 * An artifact is code: whoever can change it owns the process. It is therefore only attached
 * with a MAC (HMAC-SHA256 under the embedder's key) that fits. It is bound to the module's digest,
 * to the very build of this library, to the variant (metered or not) and to the processor
 * features that it uses; when one of them differs it does not fit, which is no error of anybody.
 */
#pragma once

#include "vm/module.h"

enum vm_compile_level {
	VM_COMPILE_FAST, /* little optimisation: code some milliseconds after the upload */
	VM_COMPILE_BEST,
};

/* A buffer of the library's; freed by vm_bytes_free. */
struct vm_bytes {
	uint8_t *data;
	size_t size_bytes;
};

struct vm_compile_options {
	enum vm_compile_level level; /* default: best */
	bool metered;                /* code that counts fuel, for metered stores */
	bool canonical_nans;         /* every NaN that arithmetic makes is the canonical one */
	/*
	 * Accesses whose value is not used may vanish, and move across others: a trap may come
	 * late, or not at all, when memory is exceeded. Not for metered code.
	 */
	bool relaxed_traps;
	struct vm_str cpu; /* "host" (default), "baseline", "x86-64-v2", "-v3", "-v4" */
	uint32_t jobs;     /* threads; 0 (default): one a processor */
	/* Called from the compiling threads, one at a time; NULL: never. False ends it. */
	bool (*progress_fn)(void *env, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_env;
};

VM_EXPORT void vm_compile_options_init(struct vm_compile_options *options);

/*
 * Compile all functions. May take minutes and gigabytes for a large module, and LLVM may end the
 * process when memory is short: a service does this in a process of its own.
 *
 * Returns VM_E_UNSUPPORTED there is no compiler here (the library cannot be opened, or is of
 *                          another build), the processor has no native tier, or the module uses a
 *                          feature that the tier does not run
 *         VM_E_ARGUMENT    unknown cpu, contradicting options
 *         VM_E_LIMIT       progress_fn ended it
 *         VM_E_NOMEM
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_compile(struct vm_module *module,
                                                  const struct vm_compile_options *options,
                                                  struct vm_bytes *out_artifact,
                                                  struct vm_error *err);
VM_EXPORT void vm_bytes_free(struct vm_bytes *bytes);

enum { VM_MAC_BYTES = 32, VM_MAC_KEY_BYTES = 32, VM_DIGEST_BYTES = 32 };

/* The MAC of an artifact's bytes. */
VM_EXPORT void vm_artifact_mac(const uint8_t key[VM_MAC_KEY_BYTES], const uint8_t *artifact,
                               size_t len, uint8_t out_mac[VM_MAC_BYTES]);

/*
 * Verify and attach. The bytes are copied. Attaching a second artifact of the same variant is
 * refused with VM_E_ARGUMENT and leaves the first in place.
 *
 * Returns VM_E_NOT_FOUND   it does not fit: another build, module, or processor (err says which)
 *         VM_E_MALFORMED   the MAC is wrong, or the artifact is damaged: nothing was mapped
 *         VM_E_UNSUPPORTED no native tier for this processor
 *         VM_E_NOMEM, VM_E_IO
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_module_attach(struct vm_module *module,
                                                        const uint8_t *artifact, size_t len,
                                                        const uint8_t mac[VM_MAC_BYTES],
                                                        const uint8_t key[VM_MAC_KEY_BYTES],
                                                        struct vm_error *err);
/* An artifact as it is kept. */
struct vm_artifact {
	const uint8_t *bytes;
	size_t size_bytes;
	const uint8_t *mac; /* VM_MAC_BYTES */
};

/*
 * vm_module_load and vm_module_attach in one. An artifact that fits says that this very build has
 * validated these very bytes: the bodies of functions, most of a module, are not looked at again,
 * unless the engine's limits are narrower than they were, or one of its features is off.
 *
 * An artifact that does not fit is left out, and the module validated whole. *out_misfit says why,
 * as vm_module_attach does; its status is VM_OK when the module has native code.
 *
 * Returns what vm_module_load does.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_module_load_native(
    struct vm_engine *engine, const uint8_t *bytes, size_t len, const struct vm_artifact *artifact,
    const uint8_t key[VM_MAC_KEY_BYTES], struct vm_module **out_module, struct vm_error *out_misfit,
    struct vm_error *err);

/*
 * An artifact on its way from wherever it is kept, which one thread can read and check while
 * another gets the module: vm_code_add takes its bytes piece by piece, in order, and what
 * vm_code_seal has found to be right nobody can change any more. After a failure vm_code_free is
 * all that is left.
 *
 * Returns VM_E_NOMEM, VM_E_IO, VM_E_UNSUPPORTED; vm_code_add VM_E_MALFORMED when it becomes larger
 * than artifacts are; vm_code_seal what vm_module_attach does, but for what needs the module.
 */
struct vm_code;
VM_EXPORT VM_MUST_CHECK enum vm_status vm_code_new(struct vm_engine *engine,
                                                   const uint8_t key[VM_MAC_KEY_BYTES],
                                                   struct vm_code **out, struct vm_error *err);
VM_EXPORT VM_MUST_CHECK enum vm_status vm_code_add(struct vm_code *code, const uint8_t *bytes,
                                                   size_t len, struct vm_error *err);
VM_EXPORT VM_MUST_CHECK enum vm_status vm_code_seal(struct vm_code *code,
                                                    const uint8_t mac[VM_MAC_BYTES],
                                                    struct vm_error *err);
VM_EXPORT void vm_code_free(struct vm_code *code); /* NULL is fine */

/*
 * vm_module_load_native with code that has been sealed, and stays the caller's.
 *
 * With a digest (VM_DIGEST_BYTES; NULL: it is computed) the caller vouches that it is the SHA-256
 * of these bytes, and that nobody changes them while this runs: both have to be certain, since it
 * is all that says which bytes were validated when the code was made.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_module_load_code(
    struct vm_engine *engine, const uint8_t *bytes, size_t len, const uint8_t *digest,
    const struct vm_code *code, struct vm_module **out_module, struct vm_error *out_misfit,
    struct vm_error *err);

/* Whether instances in a store of that variant can be native. */
VM_EXPORT bool vm_module_has_native(const struct vm_module *module, bool metered);

/* What an artifact says of itself; only to be believed when its MAC fits. */
struct vm_artifact_info {
	uint8_t build[VM_DIGEST_BYTES];  /* of the library */
	uint8_t module[VM_DIGEST_BYTES]; /* SHA-256 of the module */
	enum vm_compile_level level;
	bool metered;
	bool canonical_nans;
	bool relaxed_traps;
	uint64_t cpu_features;           /* bits as in vm_cpu_features */
	uint64_t code_bytes;
};

/* Returns VM_E_MALFORMED. */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_artifact_describe(const uint8_t *artifact, size_t len,
                                                            struct vm_artifact_info *out,
                                                            struct vm_error *err);

/* SHA-256 of the module's bytes; computed on first use. */
VM_EXPORT void vm_module_digest(struct vm_module *module, uint8_t out[VM_DIGEST_BYTES]);
/* A digest of everything in this library that native code depends on: part of every key. */
VM_EXPORT void vm_build_digest(uint8_t out[VM_DIGEST_BYTES]);
/* Features of this processor that native code may use; 0 where there is no native tier. */
VM_EXPORT uint64_t vm_cpu_features(void);
/* The set that a cpu name of vm_compile_options stands for; false for an unknown name. */
VM_EXPORT bool vm_cpu_find(struct vm_str name, uint64_t *out_features);

/* For profilers and debuggers, before the first vm_module_attach: see perf(1), gdb(1). */
enum vm_native_debug { VM_NATIVE_PERF_MAP = 1, VM_NATIVE_GDB = 2 };
VM_EXPORT void vm_native_set_debug(unsigned int flags);
