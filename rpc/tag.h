/*
 * tag.h - what a request to point a tag says: {"digest":"sha256:..."}.
 */
#pragma once

#include "rpc/json.h"
#include "rpc/ref.h"

/* Returns what rpc_json_parse() does, RPC_BAD_REQUEST, or RPC_BAD_REF with a pointer. */
RPC_MUST_CHECK enum rpc_code rpc_tag_parse(const char *text, size_t len,
                                           uint8_t out_digest[static RPC_DIGEST_BYTES],
                                           struct rpc_problem *problem);
