#include "rpc/invoke.h"

void
rpc_limits_init(struct rpc_limits *limits)
{
#define LIMIT(name, min, max, meaning) limits->name = RPC_UNSET;
#include "rpc/limits.def"
#undef LIMIT
}

enum rpc_code
rpc_limits_parse(json_t *json, const struct rpc_at *at, struct rpc_limits *out,
                 struct rpc_problem *problem)
{
	struct rpc_limits limits;
	struct rpc_object obj;

	rpc_limits_init(&limits);
	if (json != NULL) {
		rpc_object_open(&obj, json, at, problem);
#define LIMIT(name, min, max, meaning)                                                             \
	rpc_object_uint(&obj, #name, RPC_OPTIONAL, min, max, &limits.name);
#include "rpc/limits.def"
#undef LIMIT
		enum rpc_code code = rpc_object_close(&obj);
		if (code != RPC_OK)
			return code;
	}
	*out = limits;
	return RPC_OK;
}

static enum rpc_code
read_members(struct rpc_invoke *invoke, struct rpc_problem *problem)
{
	unsigned lanes = RPC_I32X4;
	json_t *limits = NULL;
	struct rpc_object obj;

	rpc_object_open(&obj, invoke->body, NULL, problem);
	rpc_object_text(&obj, "function", RPC_REQUIRED, 0, RPC_FUNCTION_NAME_MAX,
	                &invoke->function);
	rpc_object_array(&obj, "args", RPC_OPTIONAL, SIZE_MAX, &invoke->args);
	rpc_object_any(&obj, "limits", RPC_OPTIONAL, &limits);
	rpc_object_choice(&obj, "lanes", RPC_OPTIONAL, rpc_lanes_texts, &lanes);
	rpc_object_bool(&obj, "exact", RPC_OPTIONAL, &invoke->exact);
	rpc_object_bool(&obj, "async", RPC_OPTIONAL, &invoke->async);
	enum rpc_code code = rpc_object_close(&obj);
	if (code != RPC_OK)
		return code;
	invoke->lanes = (enum rpc_lanes)lanes;
	struct rpc_at limits_at = { &obj.at, "limits", 0 };
	return rpc_limits_parse(limits, &limits_at, &invoke->limits, problem);
}

enum rpc_code
rpc_invoke_parse(const char *text, size_t len, size_t bytes_max, struct rpc_invoke *out,
                 struct rpc_problem *problem)
{
	struct rpc_invoke invoke = { .lanes = RPC_I32X4 };

	*out = invoke;
	enum rpc_code code = rpc_json_parse(text, len, bytes_max, &invoke.body, problem);
	if (code == RPC_OK)
		code = read_members(&invoke, problem);
	if (code == RPC_OK)
		*out = invoke;
	else
		rpc_invoke_clear(&invoke);
	return code;
}

void
rpc_invoke_clear(struct rpc_invoke *invoke)
{
	json_decref(invoke->body);
	*invoke = (struct rpc_invoke){ 0 };
}

enum rpc_code
rpc_invoke_args(const struct rpc_invoke *invoke, const enum rpc_type *types, size_t count,
                struct rpc_value *values, struct rpc_problem *problem)
{
	struct rpc_at body_at = { 0 };
	struct rpc_at at = { &body_at, "args", 0 };

	return rpc_values_parse(invoke->args, &at, invoke->function, types, count, values, problem);
}
