/*
 * accept.h - header fields that a request steers its answer with.
 *
 * All take the field's value as text (several fields of one name joined by ", ") and are total:
 * any bytes give an answer. Where HTTP says that a malformed field is to be ignored, it is;
 * where ignoring it would do the wrong thing (a precondition, a digest), the caller is told.
 *
 * Spec: RFC 9110 (Accept, Content-Type, Range, If-Match), RFC 7240 (Prefer), RFC 9530
 *       (Content-Digest)
 */
#pragma once

#include "rpc/problem.h"

/*
 * Choose the representation that an Accept field likes best. offers are media types in the
 * order of the service's own preference, which decides ties; accept == NULL accepts anything.
 * A more specific range overrides a less specific one; parameters of ranges other than q are
 * ignored.
 *
 * Returns RPC_NOT_ACCEPTABLE  listing the offers
 *         RPC_BAD_HEADER      the field does not follow its grammar
 */
RPC_MUST_CHECK enum rpc_code rpc_accept_choose(const char *accept, const char *const *offers,
                                               size_t offer_count, size_t *out_index,
                                               struct rpc_problem *problem);

#define RPC_MEDIA_TYPE_MAX 128
#define RPC_MEDIA_PARAMS_MAX 8
#define RPC_MEDIA_TEXT_MAX 512

struct rpc_media_type {
	char type[RPC_MEDIA_TYPE_MAX]; /* "text/wat", lower case, without parameters */
	size_t param_count;
	struct {
		const char *name;  /* lower case, in text */
		const char *value; /* unquoted, in text */
	} params[RPC_MEDIA_PARAMS_MAX];
	char text[RPC_MEDIA_TEXT_MAX];
};

/*
 * Parse a Content-Type field. *out must not be moved. Returns RPC_BAD_HEADER, also for a charset
 * other than utf-8 and for more parameters or text than fits.
 */
RPC_MUST_CHECK enum rpc_code rpc_media_type_parse(const char *text, struct rpc_media_type *out,
                                                  struct rpc_problem *problem);
/* NULL when there is none. name in lower case: "boundary". */
const char *rpc_media_type_param(const struct rpc_media_type *media, const char *name);

struct rpc_prefer {
	bool respond_async;
	bool has_wait;
	uint32_t wait_s; /* at most a day */
};

/* Parse a Prefer field (NULL: none). Unknown and malformed preferences are ignored. */
void rpc_prefer_parse(const char *text, struct rpc_prefer *out);

enum rpc_range_status {
	RPC_RANGE_ALL,           /* none, malformed, other unit, several ranges: send all, 200 */
	RPC_RANGE_PART,          /* *out_first, *out_len: 206 */
	RPC_RANGE_UNSATISFIABLE, /* 416 */
};

/* Parse a Range field (NULL: none) for content of size bytes. */
enum rpc_range_status rpc_range_parse(const char *text, uint64_t size, uint64_t *out_first,
                                      uint64_t *out_len);

enum rpc_etag_match {
	RPC_ETAG_NO,        /* a list without the tag */
	RPC_ETAG_YES,       /* a list with the tag */
	RPC_ETAG_ANY,       /* "*" */
	RPC_ETAG_MALFORMED, /* answer RPC_BAD_HEADER */
};

/*
 * Look for an entity tag in an If-Match (weak == false) or If-None-Match (weak == true) list.
 * etag is the text between the quotes of a strong tag; NULL (no such resource yet) matches none.
 */
enum rpc_etag_match rpc_etag_find(const char *list, const char *etag, bool weak);

/*
 * Take the first tag of such a list, which If-Match fields that swap something have: its text
 * without quotes goes to buf. Returns false when it is malformed, "*", weak, or does not fit.
 */
RPC_MUST_CHECK bool rpc_etag_first(const char *list, char *buf, size_t size);

/*
 * Get the sha-256 member of a Content-Digest field (NULL: none).
 *
 * Returns RPC_OK and sets *out_present; other algorithms are ignored
 *         RPC_BAD_HEADER  not a dictionary of byte sequences, or a sha-256 that is not 32 bytes
 */
RPC_MUST_CHECK enum rpc_code rpc_content_digest_parse(const char *text, bool *out_present,
                                                      uint8_t out[static 32],
                                                      struct rpc_problem *problem);

/* The value of such a field: "sha-256=:" + base64 + ":" + NUL. */
#define RPC_CONTENT_DIGEST_MAX (9 + 44 + 1 + 1)
void rpc_content_digest_text(const uint8_t digest[static 32],
                             char buf[static RPC_CONTENT_DIGEST_MAX]);
