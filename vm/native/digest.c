/*
 * digest.c - what artifacts are bound to, and the MAC that vouches for them.
 */
#include <nettle/hmac.h>
#include <nettle/sha2.h>
#include <string.h>
#include "vm/core/module.h"
#include "vm/native.h"
#include "vm/native/build.h"
#include "vm/native/native.h"

/* States of vm_module.digest. */
enum { DIGEST_NONE, DIGEST_WRITING, DIGEST_READY };

static void
sha256(const uint8_t *bytes, size_t len, uint8_t out[VM_DIGEST_BYTES])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, bytes);
	sha256_digest(&ctx, VM_DIGEST_BYTES, out);
}

void
digest_keep(struct vm_module *module, const uint8_t digest[VM_DIGEST_BYTES])
{
	int none = DIGEST_NONE;

	if (atomic_compare_exchange_strong(&module->digest_state, &none, DIGEST_WRITING)) {
		memcpy(module->digest, digest, VM_DIGEST_BYTES);
		atomic_store_explicit(&module->digest_state, DIGEST_READY, memory_order_release);
	}
}

void
vm_module_digest(struct vm_module *module, uint8_t out[VM_DIGEST_BYTES])
{
	if (atomic_load_explicit(&module->digest_state, memory_order_acquire) == DIGEST_READY) {
		memcpy(out, module->digest, VM_DIGEST_BYTES);
		return;
	}
	/* Threads that meet here all compute it, and the first keeps it. */
	sha256(module->bytes, module->size, out);
	digest_keep(module, out);
}

void
vm_build_digest(uint8_t out[VM_DIGEST_BYTES])
{
	static const uint8_t digest[VM_DIGEST_BYTES] = { BUILD_DIGEST };

	memcpy(out, digest, sizeof(digest));
}

void
vm_artifact_mac(const uint8_t key[VM_MAC_KEY_BYTES], const uint8_t *artifact, size_t len,
                uint8_t out_mac[VM_MAC_BYTES])
{
	struct hmac_sha256_ctx ctx;

	hmac_sha256_set_key(&ctx, VM_MAC_KEY_BYTES, key);
	hmac_sha256_update(&ctx, len, artifact);
	hmac_sha256_digest(&ctx, VM_MAC_BYTES, out_mac);
}
