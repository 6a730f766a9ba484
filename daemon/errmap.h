/*
 * errmap.h - the engine's and the store's failures in the API's words.
 *
 * The one place where a vm_error or a store status becomes a problem, or a trap of an answer:
 * only the daemon knows both sides.
 *
 * Threads: pure functions
 */
#pragma once

#include "daemon/sandbox.h"
#include "daemon/store.h"
#include "rpc/answer.h"
#include "rpc/problem.h"
#include "vm/vm.h"

/* A module that could not be loaded or linked, with offset and function. Returns its code. */
enum rpc_code errmap_module(const struct vm_error *err, struct rpc_problem *problem);

/* A module in the text format that could not be parsed, with line and column. Returns its code. */
enum rpc_code errmap_text(const struct vm_error *err, const char *text, size_t len,
                          struct rpc_problem *problem);

/* How a call that returned status ended; VM_OK is RPC_RETURNED. */
enum rpc_state errmap_outcome(enum vm_status status, const struct vm_error *err);

/*
 * The trap of an answer. frames has room for VM_ERROR_FRAMES_MAX; *out points into frames and
 * into err.
 */
void errmap_trap(const struct vm_error *err, struct rpc_frame *frames, struct rpc_trap *out);

/* An operation of a plug-in that failed, by itself or because of how its process did. */
enum rpc_code errmap_operation(enum vm_status status, enum sandbox_end end,
                               const struct vm_error *err, struct rpc_problem *problem);

/* A request that the store did not take, or answered like this; not_found is its NOT_FOUND. */
enum rpc_code errmap_store(enum store_status status, const char *message,
                           enum rpc_code not_found, struct rpc_problem *problem);

/* The name that the API has for a type of the engine. */
enum rpc_type errmap_type(vm_valtype type);
