/*
 * attach.c - an artifact becomes code of a module.
 *
 * The bytes go to a file in memory that nobody can change any more, and are mapped from there:
 * nothing is ever writable and executable, not even one after the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vm/load/load.h"
#include "vm/native/debug.h"
#include "vm/native/native.h"
#include "vm/rt/codespace.h"
#include "vm/rt/trap.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* All that are mapped, for backtraces. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct native_module *list;

static void
list_add(struct native_module *native)
{
	(void)pthread_mutex_lock(&list_lock);
	native->next = list;
	list = native;
	(void)pthread_mutex_unlock(&list_lock);
}

static void
list_remove(const struct native_module *native)
{
	(void)pthread_mutex_lock(&list_lock);
	for (struct native_module **at = &list; *at != NULL; at = &(*at)->next) {
		if (*at == native) {
			*at = native->next;
			break;
		}
	}
	(void)pthread_mutex_unlock(&list_lock);
}

const struct native_module *
native_find(uintptr_t pc)
{
	const struct native_module *found = NULL;
	uint32_t offset;

	(void)pthread_mutex_lock(&list_lock);
	for (const struct native_module *n = list; found == NULL && n != NULL; n = n->next) {
		if (native_text_offset(n, pc, &offset))
			found = n;
	}
	(void)pthread_mutex_unlock(&list_lock);
	return found;
}

/* --- mapping -------------------------------------------------------------------------------- */

static enum vm_status
refused(struct vm_error *err, const char *what)
{
	return vm_error_set(err, errno == ENOMEM ? VM_E_NOMEM : VM_E_IO, VM_NO_OFFSET,
	                    "cannot map native code: %s: %s", what, strerror(errno));
}

static bool
write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static int
file_open(void)
{
	/* Mapping needs no permission to execute the file, and some systems demand that it has
	 * none; older ones do not know the flag. */
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("wasm-code", flags | MFD_NOEXEC_SEAL);

	return fd < 0 && errno == EINVAL ? memfd_create("wasm-code", flags) : fd;
}

/* Nobody changes it any more. */
static bool
file_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS,
	             F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
}

/* A file of the bytes that cannot change any more; -1 when the system refuses. */
static int
file_make(const uint8_t *bytes, size_t len)
{
	int fd = file_open();

	if (fd >= 0 && !(write_all(fd, bytes, len) && file_seal(fd))) {
		int failed = errno;

		(void)close(fd);
		errno = failed;
		return -1;
	}
	return fd;
}

/* An artifact that is believed, and fits this process; a file keeps its bytes. */
struct vm_code {
	struct vm_engine *engine; /* whose memory this is */
	struct artifact_header header;
	int fd;

	/* while it comes piece by piece */
	size_t size_bytes;
	struct hmac_sha256_ctx mac;
	uint8_t front[sizeof(struct artifact_header)];
};

/*
 * The file of a large artifact is written by a thread of its own, while the caller computes the
 * MAC: each takes about as long as the other.
 */
struct writer {
	const uint8_t *bytes;
	size_t len;
	int fd;     /* of the file, or -1 */
	int failed; /* why not */
	bool is_running;
	pthread_t thread;
};

enum { WRITER_BYTES_MIN = 1 << 20 };

static void *
writer_run(void *arg)
{
	struct writer *writer = arg;

	writer->fd = file_make(writer->bytes, writer->len);
	writer->failed = errno;
	return NULL;
}

/* Signals are for the program's threads: this one takes none. */
static void
writer_start(struct writer *writer, const uint8_t *bytes, size_t len)
{
	sigset_t all, earlier;

	*writer = (struct writer){ .bytes = bytes, .len = len, .fd = -1 };
	(void)sigfillset(&all);
	if (len < WRITER_BYTES_MIN || pthread_sigmask(SIG_SETMASK, &all, &earlier) != 0)
		return;
	writer->is_running = pthread_create(&writer->thread, NULL, writer_run, writer) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &earlier, NULL);
}

/* The file, made here if there was no thread; -1 with errno set when the system refuses. */
static int
writer_finish(struct writer *writer)
{
	if (writer->is_running)
		(void)pthread_join(writer->thread, NULL);
	else
		(void)writer_run(writer);
	writer->is_running = false;
	errno = writer->failed;
	return writer->fd;
}

/* Nothing is wanted any more. */
static void
writer_clear(struct writer *writer)
{
	if (writer->is_running)
		(void)pthread_join(writer->thread, NULL);
	if (writer->fd >= 0)
		(void)close(writer->fd);
}

/* Private mappings, because older systems take shared ones of sealed files for writable. */
static bool
pages_map(uint8_t *at, const struct artifact_header *h, int fd)
{
	const struct artifact_range *text = &h->parts[ARTIFACT_TEXT];

	if (mmap(at, text->offset, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		return false;
	return text->size_bytes == 0 ||
	       mmap(at + text->offset, text->size_bytes, PROT_READ | PROT_EXEC,
	            MAP_PRIVATE | MAP_FIXED, fd, (off_t)text->offset) != MAP_FAILED;
}

static enum vm_status
artifact_map(const struct vm_code *code, const uint8_t **out, struct vm_error *err)
{
	const struct artifact_header *h = &code->header;
	uint8_t *at = codespace_take(h->size_bytes);
	if (at == NULL)
		return refused(err, "no room in the range of addresses for code");
	if (!pages_map(at, h, code->fd)) {
		enum vm_status st =
		    refused(err, "the system does not allow to execute a file in memory");

		codespace_give(at, h->size_bytes);
		return st;
	}
	*out = at;
	return VM_OK;
}

/* --- fitting -------------------------------------------------------------------------------- */

static enum vm_status
misfit(struct vm_error *err, const char *what)
{
	return vm_error_set(err, VM_E_NOT_FOUND, VM_NO_OFFSET, "the artifact does not fit: %s",
	                    what);
}

/* The first feature that the artifact uses and this processor has not. */
static const char *
missing_feature(uint64_t features)
{
	static const char *const names[] = {
#define CPU(symbol, name, level) name,
#include "vm/def/cpu.def"
#undef CPU
	};

	return names[__builtin_ctzll(features)];
}

/* Whether this process can run it. */
static enum vm_status
host_check(const struct artifact_header *h, struct vm_error *err)
{
	uint8_t build[VM_DIGEST_BYTES];

	vm_build_digest(build);
	if (memcmp(build, h->build, sizeof(build)) != 0)
		return misfit(err, "it was compiled for another build of this library");
	uint64_t missing = h->cpu_features & ~vm_cpu_features();
	if (missing != 0)
		return vm_error_set(err, VM_E_NOT_FOUND, VM_NO_OFFSET,
		                    "the artifact does not fit: this processor has no %s",
		                    missing_feature(missing));
	return VM_OK;
}

static bool
is_digest_of(const uint8_t digest[VM_DIGEST_BYTES], const struct artifact_header *h)
{
	return memcmp(digest, h->module, VM_DIGEST_BYTES) == 0;
}

static bool
is_of(const struct artifact_header *h, struct vm_module *module)
{
	uint8_t digest[VM_DIGEST_BYTES];

	vm_module_digest(module, digest);
	return is_digest_of(digest, h);
}

static enum vm_status
module_check(struct vm_module *module, const struct artifact_header *h, struct vm_error *err)
{
	if (!is_of(h, module))
		return misfit(err, "it was compiled from another module");
	if (h->func_count != module->func_count - module->func_import_count)
		return vm_error_set(err, VM_E_MALFORMED, VM_NO_OFFSET,
		                    "artifact: code of %u functions for a module that defines %u",
		                    h->func_count, module->func_count - module->func_import_count);
	return VM_OK;
}

/* What is behind it has been read whole when the module was loaded. */
static bool
is_narrower(const struct vm_limits *limits, const struct vm_limits *earlier)
{
	struct vm_limits known = *earlier;
	bool is = false;

	known.module_bytes_max = 0;
#define LIMIT(name, value, text) is = is || limits->name < known.name;
#include "vm/limits.def"
#undef LIMIT
	return is;
}

/*
 * Load a module without a look at function bodies, if it is the one that the artifact was made of
 * and was then validated as this engine would. Only the module's own copy of the bytes says so,
 * as the caller's may change, unless he vouches for a digest. False: it has to be loaded as any
 * other.
 */
static bool
load_proven(struct vm_engine *engine, const uint8_t *bytes, size_t len, const uint8_t *digest,
            const struct artifact_header *h, struct vm_module **out)
{
	const struct load_proof proof = { h->features_used, h->features_seen };
	struct vm_module *module;

	if ((digest != NULL && !is_digest_of(digest, h)) ||
	    (h->features_seen & ~engine->features) != 0 ||
	    is_narrower(&engine->limits, &h->limits) ||
	    load_module(engine, bytes, len, &proof, &module, NULL) != VM_OK)
		return false;
	if (digest != NULL)
		digest_keep(module, digest);
	if (!is_of(h, module)) {
		vm_module_unref(module);
		return false;
	}
	*out = module;
	return true;
}

/* --- attaching ------------------------------------------------------------------------------ */

static void
native_free(void *code)
{
	struct native_module *native = code;

	list_remove(native);
	debug_remove(native);
	codespace_give((uint8_t *)(uintptr_t)native->base, native->size_bytes);
	engine_free(native->module->engine, native);
}

/* What needs no second look at the bytes once they are mapped. */
static enum vm_status
native_new(struct vm_module *module, const struct vm_code *code, struct native_module **out,
           struct vm_error *err)
{
	struct native_module *native = engine_alloc_zeroed(module->engine, 1, sizeof(*native));

	if (native == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	native->module = module;
	native->size_bytes = code->header.size_bytes;
	enum vm_status st = artifact_map(code, &native->base, err);
	if (st != VM_OK) {
		engine_free(module->engine, native);
		return st;
	}
	/* The mapped bytes are the ones that run, so they are the ones that are checked. */
	st = artifact_read(native->base, native->size_bytes, &native->artifact, err);
	list_add(native);
	if (st != VM_OK) {
		native_free(native);
		return st;
	}
	*out = native;
	return VM_OK;
}

static enum vm_status
mac_compare(const uint8_t mac[VM_MAC_BYTES], const uint8_t expected[VM_MAC_BYTES],
            struct vm_error *err)
{
	if (!memeql_sec(mac, expected, VM_MAC_BYTES))
		return vm_error_set(err, VM_E_MALFORMED, VM_NO_OFFSET,
		                    "the artifact's MAC is wrong: it is damaged, or was made with "
		                    "another key");
	return VM_OK;
}

static enum vm_status
mac_check(const uint8_t *artifact, size_t len, const uint8_t mac[VM_MAC_BYTES],
          const uint8_t key[VM_MAC_KEY_BYTES], struct vm_error *err)
{
	uint8_t expected[VM_MAC_BYTES];

	vm_artifact_mac(key, artifact, len, expected);
	return mac_compare(mac, expected, err);
}

/* An artifact that is not believed, to the header of one that is. */
static enum vm_status
artifact_open(const struct vm_artifact *artifact, const uint8_t key[VM_MAC_KEY_BYTES],
              struct artifact_header *out, struct vm_error *err)
{
	enum vm_status st =
	    mac_check(artifact->bytes, artifact->size_bytes, artifact->mac, key, err);

	if (st == VM_OK)
		st = artifact_read_header(artifact->bytes, artifact->size_bytes, out, err);
	return st == VM_OK ? host_check(out, err) : st;
}

static void
code_clear(struct vm_code *code)
{
	(void)close(code->fd);
}

/* Nothing to clear after a failure. */
static enum vm_status
code_init(struct vm_code *code, const struct vm_artifact *artifact,
          const uint8_t key[VM_MAC_KEY_BYTES], struct vm_error *err)
{
	struct writer writer;

	writer_start(&writer, artifact->bytes, artifact->size_bytes);
	enum vm_status st = artifact_open(artifact, key, &code->header, err);
	if (st == VM_OK && writer_finish(&writer) < 0)
		st = refused(err, "no sealed file in memory");
	if (st != VM_OK) {
		writer_clear(&writer);
		return st;
	}
	code->fd = writer.fd;
	return VM_OK;
}

enum vm_status
vm_code_new(struct vm_engine *engine, const uint8_t key[VM_MAC_KEY_BYTES], struct vm_code **out,
            struct vm_error *err)
{
	struct vm_code *code = engine_alloc_zeroed(engine, 1, sizeof(*code));

	if (code == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	code->fd = file_open();
	if (code->fd < 0) {
		enum vm_status st = refused(err, "no file in memory");

		engine_free(engine, code);
		return st;
	}
	hmac_sha256_set_key(&code->mac, VM_MAC_KEY_BYTES, key);
	code->engine = vm_engine_ref(engine);
	*out = code;
	return VM_OK;
}

enum vm_status
vm_code_add(struct vm_code *code, const uint8_t *bytes, size_t len, struct vm_error *err)
{
	if (len > ARTIFACT_BYTES_MAX - code->size_bytes)
		return vm_error_set(err, VM_E_MALFORMED, VM_NO_OFFSET,
		                    "artifact: has more than %llu bytes",
		                    (unsigned long long)ARTIFACT_BYTES_MAX);
	if (!write_all(code->fd, bytes, len))
		return refused(err, "it cannot be written to a file in memory");
	if (code->size_bytes < sizeof(code->front)) {
		size_t room = sizeof(code->front) - code->size_bytes;

		memcpy(code->front + code->size_bytes, bytes, len < room ? len : room);
	}
	hmac_sha256_update(&code->mac, len, bytes);
	code->size_bytes += len;
	return VM_OK;
}

enum vm_status
vm_code_seal(struct vm_code *code, const uint8_t mac[VM_MAC_BYTES], struct vm_error *err)
{
	uint8_t found[VM_MAC_BYTES];

	hmac_sha256_digest(&code->mac, sizeof(found), found);
	enum vm_status st = mac_compare(mac, found, err);
	if (st == VM_OK)
		st = artifact_read_header(code->front, code->size_bytes, &code->header, err);
	if (st == VM_OK)
		st = host_check(&code->header, err);
	if (st == VM_OK && !file_seal(code->fd))
		st = refused(err, "no sealed file in memory");
	return st;
}

void
vm_code_free(struct vm_code *code)
{
	if (code == NULL)
		return;
	struct vm_engine *engine = code->engine;
	code_clear(code);
	engine_free(engine, code);
	vm_engine_unref(engine);
}

static enum vm_status
attach(struct vm_module *module, const struct vm_code *code, struct vm_error *err)
{
	const struct artifact_header *h = &code->header;
	struct native_module *native = NULL;
	void *none = NULL;
	enum vm_status st = module_check(module, h, err);

	if (st == VM_OK)
		st = trap_install_native(module->engine->stop_signal, err);
	if (st == VM_OK)
		st = native_new(module, code, &native, err);
	if (st != VM_OK)
		return st;

	debug_add(native);
	struct module_code *slot =
	    &module->code[vm_tier_native.number][(h->flags & ARTIFACT_METERED) != 0];
	slot->free_fn = native_free;
	if (!atomic_compare_exchange_strong(&slot->code, &none, native)) {
		native_free(native);
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "the module has native code of this variant already");
	}
	return VM_OK;
}

enum vm_status
vm_module_attach(struct vm_module *module, const uint8_t *artifact, size_t len,
                 const uint8_t mac[VM_MAC_BYTES], const uint8_t key[VM_MAC_KEY_BYTES],
                 struct vm_error *err)
{
	const struct vm_artifact kept = { artifact, len, mac };
	struct vm_code code;
	enum vm_status st = code_init(&code, &kept, key, err);

	if (st != VM_OK)
		return st;
	st = attach(module, &code, err);
	code_clear(&code);
	return st;
}

enum vm_status
vm_module_load_code(struct vm_engine *engine, const uint8_t *bytes, size_t len,
                    const uint8_t *digest, const struct vm_code *code,
                    struct vm_module **out_module, struct vm_error *out_misfit,
                    struct vm_error *err)
{
	struct vm_module *module = NULL;

	if (!load_proven(engine, bytes, len, digest, &code->header, &module)) {
		enum vm_status st = vm_module_load(engine, bytes, len, &module, err);
		if (st != VM_OK)
			return st;
	}
	if (attach(module, code, out_misfit) == VM_OK && out_misfit != NULL)
		out_misfit->status = VM_OK;
	*out_module = module;
	return VM_OK;
}

enum vm_status
vm_module_load_native(struct vm_engine *engine, const uint8_t *bytes, size_t len,
                      const struct vm_artifact *artifact, const uint8_t key[VM_MAC_KEY_BYTES],
                      struct vm_module **out_module, struct vm_error *out_misfit,
                      struct vm_error *err)
{
	struct vm_code code;

	if (code_init(&code, artifact, key, out_misfit) != VM_OK)
		return vm_module_load(engine, bytes, len, out_module, err);
	enum vm_status st =
	    vm_module_load_code(engine, bytes, len, NULL, &code, out_module, out_misfit, err);
	code_clear(&code);
	return st;
}
