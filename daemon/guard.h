/*
 * guard.h - the request guard: what is refused before anything else looks at a request.
 *
 * The HTTP library accepts messages that two parties could read in two ways (a length and
 * chunks, two hosts, escapes that end a string). The guard sees the request line and the headers
 * as they came, before the body, and refuses every such message; the connection is closed then,
 * because nobody knows where the next message would begin.
 *
 * Spec:    RFC 9110 and RFC 9112 (sections 3 and 6), RFC 3986
 * Owns:    nothing
 * Borrows: all strings of the request, and the allow-list of the policy
 * Threads: pure functions
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/problem.h"

/* A byte range of the request; never NUL-terminated by contract. */
struct guard_str {
	const char *data;
	size_t len;
};

struct guard_header {
	struct guard_str name;
	struct guard_str value;
};

struct guard_request {
	struct guard_str method;
	struct guard_str target; /* as it stood in the request line */
	struct guard_str version;
	const struct guard_header *headers;
	size_t header_count;
};

#define GUARD_HEADERS_MAX 64
#define GUARD_HEADER_BYTES_MAX 12288
#define GUARD_TARGET_BYTES_MAX 8000

struct guard_policy {
	bool check_host; /* Host has to be an address, localhost, or in the list (TCP) */
	const char *const *hosts; /* names without port */
	size_t host_count;
};

/* VERDICT(symbol, problem, detail): RPC_<problem> is the kind of the answer. */
#define GUARD_VERDICTS(VERDICT)									\
	VERDICT(OK, OK, "the request is well formed")						\
	VERDICT(VERSION, BAD_FRAMING, "only HTTP/1.1 and HTTP/1.0 are spoken here")		\
	VERDICT(METHOD_CHARS, BAD_FRAMING, "the method has to be a token")			\
	VERDICT(TARGET_LENGTH, TARGET_TOO_LONG,							\
	        "the request target has more than 8000 bytes")					\
	VERDICT(TARGET_FORM, BAD_TARGET,							\
	        "the request target has to start with '/' or be an absolute http URI")		\
	VERDICT(TARGET_CHARS, BAD_TARGET,							\
	        "the request target holds a space, a control, a '#' or a byte outside of "	\
	        "ASCII")									\
	VERDICT(TARGET_ESCAPE, BAD_TARGET,							\
	        "a '%' in the request target has to be followed by two hexadecimal digits")	\
	VERDICT(TARGET_NUL, BAD_TARGET,								\
	        "the request target holds an escaped NUL, or its path a control character")	\
	VERDICT(TARGET_SEGMENT, BAD_TARGET, "the path holds a '.' or '..' segment")		\
	VERDICT(HEADER_COUNT, HEADERS_TOO_LARGE,						\
	        "the request has more than 64 header fields")					\
	VERDICT(HEADER_BYTES, HEADERS_TOO_LARGE,						\
	        "the header fields have more than 12288 bytes")					\
	VERDICT(HEADER_NAME, BAD_HEADER, "a header field's name is empty or not a token")	\
	VERDICT(HEADER_VALUE, BAD_HEADER,							\
	        "a header field's value holds a control character")				\
	VERDICT(HEADER_TWICE, BAD_FRAMING,							\
	        "Host, Content-Length, Transfer-Encoding, Content-Type, Authorization and "	\
	        "Expect may stand once, and one of them stands twice")				\
	VERDICT(HOST_MISSING, BAD_FRAMING, "an HTTP/1.1 request needs a Host header field")	\
	VERDICT(HOST_SYNTAX, BAD_HEADER,							\
	        "the Host header field is not a name or address with an optional port")		\
	VERDICT(HOST_CONFLICT, BAD_FRAMING,							\
	        "the Host header field and the request target disagree")			\
	VERDICT(HOST_UNKNOWN, BAD_HEADER,							\
	        "the Host header field names a host that is not served here; listen.hosts "	\
	        "lists more names")								\
	VERDICT(LENGTH_AND_CHUNKS, BAD_FRAMING,							\
	        "Content-Length and Transfer-Encoding must not stand together")			\
	VERDICT(LENGTH_SYNTAX, BAD_FRAMING,							\
	        "Content-Length has to be a decimal number of at most 18 digits")		\
	VERDICT(ENCODING, BAD_FRAMING, "Transfer-Encoding has to be exactly 'chunked'")		\
	VERDICT(ENCODING_VERSION, BAD_FRAMING, "HTTP/1.0 knows no Transfer-Encoding")		\
	VERDICT(EXPECTATION, EXPECTATION_FAILED,						\
	        "the only expectation known here is 100-continue")

enum guard_verdict {
#define VERDICT(symbol, problem, detail) GUARD_##symbol,
	GUARD_VERDICTS(VERDICT)
#undef VERDICT
};

/* What the guard learnt on the way; valid when the verdict is GUARD_OK. */
struct guard_facts {
	struct guard_str path;  /* of the target, escapes kept, starts with '/' */
	struct guard_str query; /* behind the '?', escapes kept; empty when there is none */
	bool has_length;
	bool is_chunked;
	bool expects_continue;
	uint64_t length; /* Content-Length */
};

/* The kind of problem, RPC_OK for GUARD_OK; the text is a sentence for people. */
enum rpc_code guard_verdict_code(enum guard_verdict verdict);
const char *guard_verdict_detail(enum guard_verdict verdict);

/* Judge a request. The first fault found decides. *out is written only for GUARD_OK. */
enum guard_verdict guard_check(const struct guard_request *request,
                               const struct guard_policy *policy, struct guard_facts *out);

/* Compare without regard to ASCII case. */
bool guard_str_is(struct guard_str str, const char *text);

/*
 * Undo the escapes of a path segment or a query part into out, which has room for str.len + 1
 * bytes; '+' becomes a space when is_query is set. Returns the length. The guard has to have
 * accepted the target, so every escape is complete and none is a NUL. The result is
 * NUL-terminated.
 */
size_t guard_unescape(struct guard_str str, bool is_query, char *out);
