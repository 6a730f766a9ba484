#include "rpc/tag.h"

#define BODY_MAX 4096

enum rpc_code
rpc_tag_parse(const char *text, size_t len, uint8_t out_digest[static RPC_DIGEST_BYTES],
              struct rpc_problem *problem)
{
	struct rpc_object obj;
	struct rpc_problem why;
	struct rpc_str digest = { "", 0 };
	uint8_t bytes[RPC_DIGEST_BYTES];
	json_t *body;

	enum rpc_code code = rpc_json_parse(text, len, BODY_MAX, &body, problem);
	if (code != RPC_OK)
		return code;
	rpc_object_open(&obj, body, NULL, problem);
	rpc_object_text(&obj, "digest", RPC_REQUIRED, 1, RPC_REF_TEXT_MAX, &digest);
	code = rpc_object_close(&obj);
	if (code == RPC_OK && rpc_digest_parse(digest.data, digest.len, bytes, &why) != RPC_OK)
		code = rpc_problem_at(problem, RPC_BAD_REF, "/digest", "/digest: %s", why.detail);
	if (code == RPC_OK)
		memcpy(out_digest, bytes, sizeof bytes);
	json_decref(body);
	return code;
}
