#include "daemon/errmap.h"

/* How each status of the engine is called when a module or its linking is at fault. */
static enum rpc_code
module_code(enum vm_status status)
{
	switch (status) {
	case VM_E_MAGIC:
	case VM_E_VERSION:
	case VM_E_TRUNCATED:
	case VM_E_LEB_TOO_LONG:
	case VM_E_LEB_TOO_LARGE:
	case VM_E_UTF8:
	case VM_E_MALFORMED:
		return RPC_MODULE_MALFORMED;
	case VM_E_INVALID:
		return RPC_MODULE_INVALID;
	case VM_E_LIMIT:
	case VM_E_UNSUPPORTED:
		return RPC_MODULE_UNSUPPORTED;
	case VM_E_LINK:
		return RPC_IMPORT_MISSING;
	case VM_E_NOMEM:
		return RPC_OUT_OF_MEMORY;
	case VM_E_NOT_FOUND:
		return RPC_FUNCTION_NOT_FOUND;
	case VM_OK:
	case VM_E_ARGUMENT:
	case VM_E_CONFLICT:
	case VM_E_DATA:
	case VM_E_IO:
	case VM_TRAP:
	case VM_EXCEPTION:
	case VM_EXIT:
		break;
	}
	return RPC_INTERNAL;
}

enum rpc_code
errmap_module(const struct vm_error *err, struct rpc_problem *problem)
{
	enum rpc_code code = rpc_problem_set(problem, module_code(err->status), "%s", err->message);

	if (err->offset == VM_NO_OFFSET && err->function == VM_NO_FUNCTION)
		return code;
	struct rpc_problem_item *item = rpc_problem_add(problem, "%s", err->message);
	if (item == NULL)
		return code;
	if (err->offset != VM_NO_OFFSET)
		item->offset = err->offset;
	if (err->function != VM_NO_FUNCTION)
		item->function = err->function;
	return code;
}

enum rpc_code
errmap_text(const struct vm_error *err, const char *text, size_t len, struct rpc_problem *problem)
{
	enum rpc_code code = rpc_problem_set(problem, module_code(err->status), "%s", err->message);
	uint64_t line;
	uint64_t column;

	if (err->offset == VM_NO_OFFSET)
		return code;
	struct rpc_problem_item *item = rpc_problem_add(problem, "%s", err->message);
	if (item == NULL)
		return code;
	vm_text_position(text, len, err->offset, &line, &column);
	item->offset = err->offset;
	item->line = (uint32_t)line;
	item->column = (uint32_t)column;
	return code;
}

enum rpc_state
errmap_outcome(enum vm_status status, const struct vm_error *err)
{
	if (status == VM_OK)
		return RPC_RETURNED;
	if (status == VM_EXIT)
		return RPC_EXITED;
	if (status == VM_TRAP && err->trap == VM_TRAP_CANCELLED)
		return RPC_CANCELLED;
	if ((status == VM_TRAP && vm_trap_is_limit(err->trap)) || status == VM_E_LIMIT ||
	    status == VM_E_NOMEM)
		return RPC_LIMITED;
	return RPC_TRAPPED;
}

/* What an answer calls the end of a guest that did not end by a trap of the specification. */
static const char *
trap_code(const struct vm_error *err)
{
	if (err->status == VM_TRAP)
		return vm_trap_name(err->trap);
	if (err->status == VM_EXCEPTION)
		return "uncaught-exception";
	if (err->status == VM_E_LIMIT || err->status == VM_E_NOMEM)
		return vm_trap_name(VM_TRAP_MEMORY_LIMIT);
	return vm_trap_name(VM_TRAP_HOST);
}

void
errmap_trap(const struct vm_error *err, struct rpc_frame *frames, struct rpc_trap *out)
{
	bool has_frames = err->status == VM_TRAP || err->status == VM_EXCEPTION;
	uint32_t count = has_frames ? err->frame_count : 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct vm_frame *frame = &err->frames[i];
		frames[i] = (struct rpc_frame){
			.function = frame->function,
			.offset = frame->offset == VM_NO_OFFSET ? RPC_UNSET : frame->offset,
			.name = frame->name,
		};
	}
	*out = (struct rpc_trap){
		.code = trap_code(err),
		.message = err->message,
		.function = err->function == VM_NO_FUNCTION ? RPC_NO_FUNCTION : err->function,
		.offset = err->offset == VM_NO_OFFSET ? RPC_UNSET : err->offset,
		.frames = frames,
		.frame_count = count,
		.frames_omitted = err->frames_omitted,
	};
}

static enum rpc_code
operation_code(enum vm_status status)
{
	switch (status) {
	case VM_E_ARGUMENT:
		return RPC_BAD_REQUEST;
	case VM_E_DATA:
		return RPC_DATA_INVALID;
	case VM_E_NOT_FOUND:
		return RPC_OPERAND_NOT_FOUND;
	case VM_E_CONFLICT:
		return RPC_CONFLICT;
	case VM_E_LIMIT:
		return RPC_DATA_TOO_LARGE;
	case VM_E_UNSUPPORTED:
		return RPC_PLUGIN_UNAVAILABLE;
	case VM_E_NOMEM:
		return RPC_OUT_OF_MEMORY;
	case VM_OK:
	case VM_E_MAGIC:
	case VM_E_VERSION:
	case VM_E_TRUNCATED:
	case VM_E_LEB_TOO_LONG:
	case VM_E_LEB_TOO_LARGE:
	case VM_E_UTF8:
	case VM_E_MALFORMED:
	case VM_E_INVALID:
	case VM_E_LINK:
	case VM_E_IO:
	case VM_TRAP:
	case VM_EXCEPTION:
	case VM_EXIT:
		break;
	}
	return RPC_INTERNAL;
}

enum rpc_code
errmap_operation(enum vm_status status, enum sandbox_end end, const struct vm_error *err,
                 struct rpc_problem *problem)
{
	enum rpc_code code = operation_code(status);

	if (end == SANDBOX_LOST)
		code = RPC_PLUGIN_CRASHED;
	else if (end == SANDBOX_BUSY)
		code = RPC_QUEUE_FULL;
	else if (end == SANDBOX_STOPPED)
		code = RPC_DRAINING; /* a client that left does not read it */
	return rpc_problem_set(problem, code, "%s", err->message);
}

static enum rpc_code
store_code(enum store_status status, enum rpc_code not_found)
{
	switch (status) {
	case STORE_OK:
		return RPC_OK;
	case STORE_E_NOT_FOUND:
		return not_found;
	case STORE_E_CONFLICT:
		return RPC_CONFLICT;
	case STORE_E_FULL:
		return RPC_DISK_FULL;
	case STORE_E_BUSY:
		return RPC_QUEUE_FULL;
	case STORE_E_NOMEM:
		return RPC_OUT_OF_MEMORY;
	case STORE_E_ARGUMENT:
		return RPC_BAD_REQUEST;
	case STORE_E_DAMAGED:
		return RPC_INTERNAL;
	case STORE_E_IO:
	case STORE_E_LOCKED:
	case STORE_E_VERSION:
		break;
	}
	return RPC_NOT_READY;
}

enum rpc_code
errmap_store(enum store_status status, const char *message, enum rpc_code not_found,
             struct rpc_problem *problem)
{
	if (message == NULL || message[0] == '\0')
		message = store_status_text(status);
	return rpc_problem_set(problem, store_code(status, not_found), "%s", message);
}

enum rpc_type
errmap_type(vm_valtype type)
{
	switch (type) {
	case VM_I32:
		return RPC_I32;
	case VM_I64:
		return RPC_I64;
	case VM_F32:
		return RPC_F32;
	case VM_F64:
		return RPC_F64;
	case VM_V128:
		return RPC_V128;
	default:
		break;
	}
	if (type == VM_FUNCREF)
		return RPC_FUNCREF;
	return type == VM_EXTERNREF ? RPC_EXTERNREF : RPC_OTHERREF;
}
