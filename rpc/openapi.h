/*
 * openapi.h - the description of the API, made from the tables that run it.
 *
 * Paths, parameters, media types, replies and problems come from routes.def and problems.def,
 * the schemas from schemas.def, scopes from scopes.def. Nothing is described by hand twice.
 *
 * Examples. Each operation carries the extension "x-examples": requests that a test sends, one
 * after the other in the order of `x-order` over the whole document, to a service whose store
 * is empty at first:
 *
 *     {"x-order":7, "method":"POST", "target":"/v1/modules/demo/app:1/invoke",
 *      "headers":{"Content-Type":"application/json"},
 *      "body":{"function":"add","args":[2,40]},
 *      "status":200, "expect":{"outcome":"returned"}}
 *
 *   body         JSON to send as it is
 *   body_base64  bytes to send instead
 *   status       the status that has to come back
 *   expect       JSON that the reply has to contain: objects may have more members, arrays have
 *                the same length, everything else is equal. Absent: any body
 *   expect_text  the whole body, instead
 *   {id} {digest} {href}  in a target: the string member of that name (top level, or of the
 *                only object in a top-level array `files`) in the latest JSON reply that had one
 *
 * Spec: OpenAPI 3.1.0; JSON Schema 2020-12
 */
#pragma once

#include "rpc/query.h"

/* Write the whole document. version is the service's own. */
void rpc_openapi_write(struct rpc_writer *w, const char *version);

/*
 * Write a component schema ("InvokeRequest") by itself; its references point into the document.
 * False when there is none of that name.
 */
bool rpc_schema_write(struct rpc_writer *w, const char *name);
