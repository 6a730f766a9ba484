#include "rpc/ref.h"

static const char digest_prefix[] = "sha256:";
enum { DIGEST_PREFIX_LEN = sizeof digest_prefix - 1 };

void
rpc_hex_encode(const void *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *in = bytes;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
rpc_hex_decode(const char *text, size_t len, uint8_t *out, size_t out_len)
{
	if (len / 2 != out_len || len % 2 != 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (hex_value(text[i]) < 0)
			return false;
	for (size_t i = 0; i < out_len; i++)
		out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}

static bool
has_digest_prefix(const char *text, size_t len)
{
	return len >= DIGEST_PREFIX_LEN && memcmp(text, digest_prefix, DIGEST_PREFIX_LEN) == 0;
}

enum rpc_code
rpc_digest_parse(const char *text, size_t len, uint8_t out[static RPC_DIGEST_BYTES],
                 struct rpc_problem *problem)
{
	if (!has_digest_prefix(text, len))
		return rpc_problem_set(problem, RPC_BAD_REF,
		                       "expected a digest, sha256:<64 hexadecimal digits>");
	text += DIGEST_PREFIX_LEN;
	len -= DIGEST_PREFIX_LEN;
	if (len != 2 * RPC_DIGEST_BYTES)
		return rpc_problem_set(
		    problem, RPC_BAD_REF,
		    "a digest has 64 hexadecimal digits behind sha256:, this one has %zu", len);
	/* One digest, one spelling: it is compared as text, too. */
	for (size_t i = 0; i < len; i++)
		if (hex_value(text[i]) < 0 || (text[i] >= 'A' && text[i] <= 'F'))
			return rpc_problem_set(problem, RPC_BAD_REF,
			                       "character %zu of the digest is not one of 0-9 a-f",
			                       i + 1);
	return rpc_hex_decode(text, len, out, RPC_DIGEST_BYTES)
	           ? RPC_OK
	           : rpc_problem_set(problem, RPC_BAD_REF, "not a digest");
}

void
rpc_digest_text(const uint8_t digest[static RPC_DIGEST_BYTES], char buf[static RPC_DIGEST_TEXT_MAX])
{
	memcpy(buf, digest_prefix, DIGEST_PREFIX_LEN);
	rpc_hex_encode(digest, RPC_DIGEST_BYTES, buf + DIGEST_PREFIX_LEN);
	buf[RPC_DIGEST_TEXT_MAX - 1] = '\0';
}

/* --- names --------------------------------------------------------------------------------- */

static bool
is_alphanumeric(char c, bool upper)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (upper && c >= 'A' && c <= 'Z');
}

/* Check one part and copy it; what is "namespace", "name" or "tag". */
static enum rpc_code
take_part(struct rpc_str part, const char *what, bool upper, char out[static RPC_NAME_MAX + 1],
          struct rpc_problem *problem)
{
	if (part.len == 0)
		return rpc_problem_set(problem, RPC_BAD_REF, "the %s is empty", what);
	if (part.len > RPC_NAME_MAX)
		return rpc_problem_set(problem, RPC_BAD_REF,
		                       "the %s has %zu characters, the limit is %d", what, part.len,
		                       RPC_NAME_MAX);
	for (size_t i = 0; i < part.len; i++) {
		char c = part.data[i];
		if (!is_alphanumeric(c, upper) && c != '.' && c != '_' && c != '-')
			return rpc_problem_set(
			    problem, RPC_BAD_REF,
			    "character %zu of the %s is not one of a-z %s0-9 . _ -", i + 1, what,
			    upper ? "A-Z " : "");
	}
	if (!is_alphanumeric(part.data[0], upper) ||
	    !is_alphanumeric(part.data[part.len - 1], upper))
		return rpc_problem_set(problem, RPC_BAD_REF,
		                       "the %s has to begin and end with a letter or digit", what);
	memcpy(out, part.data, part.len);
	out[part.len] = '\0';
	return RPC_OK;
}

enum rpc_code
rpc_ref_make(struct rpc_str ns, struct rpc_str name, struct rpc_str tag, struct rpc_ref *out,
             struct rpc_problem *problem)
{
	struct rpc_ref ref = { .tag = RPC_TAG_DEFAULT };

	enum rpc_code code = take_part(ns, "namespace", false, ref.ns, problem);
	if (code == RPC_OK)
		code = take_part(name, "name", false, ref.name, problem);
	if (code == RPC_OK && tag.data != NULL)
		code = take_part(tag, "tag", true, ref.tag, problem);
	if (code == RPC_OK)
		*out = ref;
	return code;
}

enum rpc_code
rpc_ref_parse_tag(const char *text, size_t len, struct rpc_ref *out, struct rpc_problem *problem)
{
	if (len == 0)
		return rpc_problem_set(problem, RPC_BAD_REF, "the reference is empty");
	const char *end = text + len;
	const char *slash = memchr(text, '/', len);

	if (slash == NULL)
		return rpc_problem_set(
		    problem, RPC_BAD_REF, "expected namespace/name or namespace/name:tag%s",
		    has_digest_prefix(text, len) ? ", found a digest" : ", found no '/'");
	const char *rest = slash + 1;
	const char *colon = memchr(rest, ':', (size_t)(end - rest));
	struct rpc_str ns = { text, (size_t)(slash - text) };
	struct rpc_str name = { rest, (size_t)((colon != NULL ? colon : end) - rest) };
	struct rpc_str tag = { NULL, 0 };
	if (colon != NULL)
		tag = (struct rpc_str){ colon + 1, (size_t)(end - colon - 1) };
	return rpc_ref_make(ns, name, tag, out, problem);
}

enum rpc_code
rpc_ref_parse(const char *text, size_t len, struct rpc_ref *out, struct rpc_problem *problem)
{
	struct rpc_ref ref = { .is_digest = true };

	if (len > 0 && memchr(text, '/', len) != NULL)
		return rpc_ref_parse_tag(text, len, out, problem);
	if (!has_digest_prefix(text, len))
		return rpc_problem_set(problem, RPC_BAD_REF,
		                       "expected sha256:<64 hexadecimal digits>, namespace/name or "
		                       "namespace/name:tag");
	enum rpc_code code = rpc_digest_parse(text, len, ref.digest, problem);
	if (code == RPC_OK)
		*out = ref;
	return code;
}

size_t
rpc_ref_text(const struct rpc_ref *ref, char buf[static RPC_REF_TEXT_MAX])
{
	if (ref->is_digest) {
		rpc_digest_text(ref->digest, buf);
		return RPC_DIGEST_TEXT_MAX - 1;
	}
	char *p = stpcpy(buf, ref->ns);
	*p++ = '/';
	p = stpcpy(p, ref->name);
	*p++ = ':';
	p = stpcpy(p, ref->tag);
	return (size_t)(p - buf);
}
