#include "plugins/common/digest.h"

#include <stdio.h>
#include <nettle/sha2.h>

void
nn_digest_text(struct vm_str bytes, char out[NN_DIGEST_TEXT_MAX])
{
	struct sha256_ctx state;
	uint8_t digest[SHA256_DIGEST_SIZE];
	int len = sprintf(out, "sha256:");

	sha256_init(&state);
	sha256_update(&state, bytes.len, (const uint8_t *)bytes.data);
	sha256_digest(&state, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		len += sprintf(out + len, "%02x", digest[i]);
}
