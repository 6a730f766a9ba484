/*
 * ref.h - names of modules.
 *
 *     ref     = digest / ns "/" name [ ":" tag ]       without a tag: "latest"
 *     digest  = "sha256:" 64 of 0-9 a-f
 *     ns      = 1 to 64 of a-z 0-9 . _ -, first and last a letter or digit
 *     name    = the same
 *     tag     = the same, A-Z too
 *
 * A ref has a '/' exactly when it is not a digest, so the two never look alike.
 */
#pragma once

#include "rpc/problem.h"

#define RPC_DIGEST_BYTES 32
#define RPC_DIGEST_TEXT_MAX (7 + 64 + 1) /* "sha256:" + hex + NUL */
#define RPC_NAME_MAX 64                  /* characters of a ns, name or tag */
#define RPC_REF_TEXT_MAX (3 * RPC_NAME_MAX + 3)
#define RPC_TAG_DEFAULT "latest"

struct rpc_ref {
	bool is_digest;
	uint8_t digest[RPC_DIGEST_BYTES]; /* when is_digest */
	char ns[RPC_NAME_MAX + 1];        /* the rest when not */
	char name[RPC_NAME_MAX + 1];
	char tag[RPC_NAME_MAX + 1]; /* RPC_TAG_DEFAULT when the text has none */
};

/* Returns RPC_BAD_REF, saying which part is wrong and why. */
RPC_MUST_CHECK enum rpc_code rpc_ref_parse(const char *text, size_t len, struct rpc_ref *out,
                                           struct rpc_problem *problem);
/* The same, but it has to be a tag ("ns/name" or "ns/name:tag"). */
RPC_MUST_CHECK enum rpc_code rpc_ref_parse_tag(const char *text, size_t len, struct rpc_ref *out,
                                               struct rpc_problem *problem);
/* The same from the parts of a path; tag may be empty (data == NULL) for a name alone. */
RPC_MUST_CHECK enum rpc_code rpc_ref_make(struct rpc_str ns, struct rpc_str name,
                                          struct rpc_str tag, struct rpc_ref *out,
                                          struct rpc_problem *problem);
/* Write the full text ("ns/name:tag" or the digest) and return its length. */
size_t rpc_ref_text(const struct rpc_ref *ref, char buf[static RPC_REF_TEXT_MAX]);

/* "sha256:<64 lower-case hex>". Returns RPC_BAD_REF. */
RPC_MUST_CHECK enum rpc_code rpc_digest_parse(const char *text, size_t len,
                                              uint8_t out[static RPC_DIGEST_BYTES],
                                              struct rpc_problem *problem);
void rpc_digest_text(const uint8_t digest[static RPC_DIGEST_BYTES],
                     char buf[static RPC_DIGEST_TEXT_MAX]);

/* Lower-case hexadecimal, 2 * len characters, no NUL. */
void rpc_hex_encode(const void *bytes, size_t len, char *out);
/* Decode exactly 2 * out_len digits, upper or lower case; false when one is not a digit. */
RPC_MUST_CHECK bool rpc_hex_decode(const char *text, size_t len, uint8_t *out, size_t out_len);
