/*
 * api_cursor.c - pages of lists, and opaque positions to go on from.
 *
 * A cursor is base64url of 16 bytes of HMAC-SHA256 and the position as text. The key is this
 * process's, so clients can neither make cursors up nor come to rely on what is in them.
 */
#include <stdio.h>
#include <string.h>
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include "daemon/api.h"

#define MAC_BYTES 16

static void
sign(const struct daemon *daemon, const char *data, size_t len, uint8_t out[MAC_BYTES])
{
	struct hmac_sha256_ctx hmac;

	hmac_sha256_set_key(&hmac, CURSOR_KEY_BYTES, daemon->cursor_key);
	hmac_sha256_update(&hmac, len, (const uint8_t *)data);
	hmac_sha256_digest(&hmac, MAC_BYTES, out);
}

/* Returns out. */
static const char *
write_cursor(const struct daemon *daemon, const char *data, char out[CURSOR_TEXT_MAX])
{
	uint8_t raw[MAC_BYTES + CURSOR_DATA_MAX];
	struct base64_encode_ctx base64;
	size_t len = strnlen(data, CURSOR_DATA_MAX);

	sign(daemon, data, len, raw);
	memcpy(raw + MAC_BYTES, data, len);
	base64url_encode_init(&base64);
	size_t used = base64_encode_update(&base64, out, MAC_BYTES + len, raw);
	used += base64_encode_final(&base64, out + used);
	while (used > 0 && out[used - 1] == '=')
		used--;
	out[used] = '\0';
	return out;
}

static bool
decode(const char *text, uint8_t raw[MAC_BYTES + CURSOR_DATA_MAX], size_t *out_len)
{
	struct base64_decode_ctx base64;
	size_t len = MAC_BYTES + CURSOR_DATA_MAX;
	size_t text_len = strlen(text);
	size_t padding_len = (4 - text_len % 4) % 4;
	size_t more = 3;
	uint8_t rest[3];

	base64url_decode_init(&base64);
	if (text_len >= CURSOR_TEXT_MAX || BASE64_DECODE_LENGTH(text_len) > len ||
	    !base64_decode_update(&base64, &len, raw, text_len, text) ||
	    !base64_decode_update(&base64, &more, rest, padding_len, "===") ||
	    !base64_decode_final(&base64) || len < MAC_BYTES)
		return false;
	*out_len = len;
	return true;
}

bool
api_cursor_read(struct request *request, char out[CURSOR_DATA_MAX + 1])
{
	const char *text = rpc_query_text(&request->query, "cursor", NULL);
	uint8_t raw[MAC_BYTES + CURSOR_DATA_MAX];
	uint8_t mac[MAC_BYTES];
	struct rpc_problem problem;
	size_t len;

	out[0] = '\0';
	if (text == NULL)
		return true;
	if (decode(text, raw, &len)) {
		memcpy(out, raw + MAC_BYTES, len - MAC_BYTES);
		out[len - MAC_BYTES] = '\0';
		sign(api_daemon(request), out, len - MAC_BYTES, mac);
		if (memeql_sec(mac, raw, MAC_BYTES))
			return true;
	}
	rpc_problem_in(&problem, RPC_BAD_QUERY, "cursor",
	               "the cursor is not one that this service gave since its start; begin the "
	               "list again without it");
	request_problem(request, &problem);
	return false;
}

/* The same target with another cursor; other parameters are kept as they were sent. */
static void
add_link(struct request *request, struct reply *reply, const char *cursor)
{
	char kept[512] = "";
	size_t used = 0;
	struct rpc_str query = request->match.query;

	while (query.len > 0) {
		const char *mark = memchr(query.data, '&', query.len);
		size_t len = mark == NULL ? query.len : (size_t)(mark - query.data);
		if (len > 0 && strncmp(query.data, "cursor=", 7) != 0) {
			if (used + len + 2 > sizeof kept)
				return; /* next_cursor says the same */
			memcpy(kept + used, query.data, len);
			used += len;
			kept[used++] = '&';
			kept[used] = '\0';
		}
		query.data += len + (mark != NULL);
		query.len -= len + (mark != NULL);
	}
	reply_header(reply, "Link", "<%.*s?%scursor=%s>; rel=\"next\"",
	             (int)request->facts.path.len, request->facts.path.data, kept, cursor);
}

void
api_page_begin(struct request *request, struct rpc_writer *writer)
{
	api_writer_init(request, writer);
	rpc_write_object_begin(writer);
	rpc_write_key(writer, "items");
	rpc_write_array_begin(writer);
}

void
api_page_end(struct request *request, struct rpc_writer *writer, const char *next)
{
	char cursor[CURSOR_TEXT_MAX];
	struct reply reply;

	rpc_write_array_end(writer);
	if (next != NULL)
		rpc_member_text(writer, "next_cursor",
		                write_cursor(api_daemon(request), next, cursor));
	rpc_write_object_end(writer);
	reply_json(&reply, 200, writer);
	if (next != NULL)
		add_link(request, &reply, cursor);
	request_reply(request, &reply);
}

/* --- lists in the order of their making --------------------------------------------------- */

bool
api_keyset_read(struct request *request, char list, struct store_cursor *out)
{
	char position[CURSOR_DATA_MAX + 1];
	char key[sizeof out->key];
	long long created_us;
	char of;

	if (!api_cursor_read(request, position))
		return false;
	/* Only this process can have written it, for this list or another. */
	if (sscanf(position, "%c %lld %71s", &of, &created_us, key) == 3 && of == list) {
		out->created_us = created_us;
		memcpy(out->key, key, strlen(key) + 1);
	}
	return true;
}

void
api_keyset_end(struct request *request, struct rpc_writer *writer, char list,
               const struct store_reply *found)
{
	char next[CURSOR_DATA_MAX];

	snprintf(next, sizeof next, "%c %lld %s", list, (long long)found->next.created_us,
	         found->next.key);
	api_page_end(request, writer, found->has_next ? next : NULL);
}
