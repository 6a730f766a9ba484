#include "rpc/accept.h"
#include "tests/support/unit.h"

/* --- Accept -------------------------------------------------------------------------------- */

static const char *const offers[] = { "application/json", "application/wasm", "text/plain" };

static const struct accept_case {
	const char *accept;
	int want; /* index of the offer; -1 not acceptable, -2 malformed */
} accept_cases[] = {
	{ NULL, 0 },
	{ "", 0 },
	{ " ", 0 },
	{ "*/*", 0 },
	{ "application/wasm", 1 },
	{ "Application/WASM", 1 },
	{ "text/*", 2 },
	{ "text/*, application/wasm", 1 },
	{ "application/json;q=0.5, application/wasm", 1 },
	{ "application/json;q=0.5,application/wasm;q=0.5", 0 },
	{ "*/*;q=0.1, text/plain;q=0.2", 2 },
	{ "application/*;q=0.9, application/json;q=0.1", 1 },
	{ "application/json;q=0, */*", 1 },
	{ "application/json ; version=1 ; q=0.7 , text/plain;q=0.8", 2 },
	{ "application/json;a=\"x,;\\\"y\";q=0.1, text/plain;q=0.2", 2 },
	{ ", ,text/plain,,", 2 },
	{ "text/html, */*;q=0.001", 0 },
	{ "application/wasm;q=1.000", 1 },
	{ "application/wasm;q=0.000", -1 },
	{ "*/*;q=0", -1 },
	{ "image/png", -1 },
	{ "application/jso", -1 },
	{ "application/jsonx", -1 },
	{ "*/json", -1 },
	{ "application", -2 },
	{ "application/", -2 },
	{ "/json", -2 },
	{ "application/json text/plain", -2 },
	{ "application/json;q=2", -2 },
	{ "application/json;q=1.1", -2 },
	{ "application/json;q=", -2 },
	{ "application/json;q=0.1234", -2 },
	{ "application/json;a", -2 },
	{ "application/json;a=\"x", -2 },
	{ "\xff/\xff", -2 },
};

START_TEST(a_representation_is_chosen)
{
	const struct accept_case *c = &accept_cases[_i];
	struct rpc_problem problem;
	size_t index = 99;

	enum rpc_code code = rpc_accept_choose(c->accept, offers, 3, &index, &problem);

	enum rpc_code want = c->want >= 0    ? RPC_OK
	                     : c->want == -1 ? RPC_NOT_ACCEPTABLE
	                                     : RPC_BAD_HEADER;
	ck_assert_msg(code == want, "%s: got %d", c->accept, code);
	ck_assert_msg(index == (c->want >= 0 ? (size_t)c->want : 99), "%s: got %zu", c->accept,
	              index);
	if (code == RPC_NOT_ACCEPTABLE)
		ck_assert_ptr_nonnull(
		    strstr(problem.detail, "application/json, application/wasm, text/plain"));
}
END_TEST

/* --- Content-Type -------------------------------------------------------------------------- */

static const struct type_case {
	const char *text;
	const char *type;     /* NULL: refused */
	const char *boundary; /* NULL: none */
} type_cases[] = {
	{ "application/json", "application/json", NULL },
	{ " Application/JSON ; Charset=UTF-8 ", "application/json", NULL },
	{ "application/json;charset=\"utf-8\"", "application/json", NULL },
	{ "multipart/form-data; boundary=----x1", "multipart/form-data", "----x1" },
	{ "multipart/form-data; Boundary=\"a b\\\"c\";", "multipart/form-data", "a b\"c" },
	{ "text/plain;;a=b", "text/plain", NULL },
	{ "application/vnd.a+json", "application/vnd.a+json", NULL },
	{ "", NULL, NULL },
	{ "json", NULL, NULL },
	{ "application/", NULL, NULL },
	{ "application/json/x", NULL, NULL },
	{ "application/json charset=utf-8", NULL, NULL },
	{ "application/json;charset=latin1", NULL, NULL },
	{ "application/json;charset", NULL, NULL },
	{ "application/json;charset=", NULL, NULL },
	{ "application/json;a=\"x", NULL, NULL },
	{ "application/json;a=\"x\"y", NULL, NULL },
	{ "application/json;a=\"\x01\"", NULL, NULL },
	{ "multipart/form-data;boundary=a;boundary=b", NULL, NULL },
	{ "a/b;1=1;2=1;3=1;4=1;5=1;6=1;7=1;8=1;9=1", NULL, NULL },
};

START_TEST(a_content_type_is_read_or_refused)
{
	const struct type_case *c = &type_cases[_i];
	struct rpc_media_type media;
	struct rpc_problem problem;

	enum rpc_code code = rpc_media_type_parse(c->text, &media, &problem);

	ck_assert_msg(code == (c->type != NULL ? RPC_OK : RPC_BAD_HEADER), "%s: got %d", c->text,
	              code);
	if (c->type == NULL)
		return;
	ck_assert_str_eq(media.type, c->type);
	const char *boundary = rpc_media_type_param(&media, "boundary");
	if (c->boundary == NULL)
		ck_assert_ptr_null(boundary);
	else
		ck_assert_str_eq(boundary, c->boundary);
}
END_TEST

START_TEST(a_content_type_has_limits)
{
	char text[1024];
	struct rpc_media_type media;

	memset(text, 'a', sizeof text);
	text[1] = '/';
	text[RPC_MEDIA_TYPE_MAX - 1] = '\0';
	ck_assert_int_eq(rpc_media_type_parse(text, &media, NULL), RPC_OK);
	text[RPC_MEDIA_TYPE_MAX - 1] = 'a';
	text[RPC_MEDIA_TYPE_MAX] = '\0';
	ck_assert_int_eq(rpc_media_type_parse(text, &media, NULL), RPC_BAD_HEADER);
	memset(text, 'a', sizeof text);
	memcpy(text, "a/b;c=", 6);
	text[6 + RPC_MEDIA_TEXT_MAX - 3] = '\0';
	ck_assert_int_eq(rpc_media_type_parse(text, &media, NULL), RPC_OK);
	text[6 + RPC_MEDIA_TEXT_MAX - 3] = 'a';
	text[6 + RPC_MEDIA_TEXT_MAX - 2] = '\0';
	ck_assert_int_eq(rpc_media_type_parse(text, &media, NULL), RPC_BAD_HEADER);
}
END_TEST

/* --- Prefer -------------------------------------------------------------------------------- */

static const struct prefer_case {
	const char *text;
	bool async;
	int wait; /* -1: none */
} prefer_cases[] = {
	{ NULL, false, -1 },
	{ "", false, -1 },
	{ "respond-async", true, -1 },
	{ "Respond-Async, wait=5", true, 5 },
	{ "wait=10;foo=bar, respond-async", true, 10 },
	{ "return=minimal, wait = 7", false, 7 },
	{ "x=\"respond-async, wait=3\", wait=4", false, 4 },
	{ "wait=1, wait=2", false, 1 },
	{ "wait=99999999999999", false, 86400 },
	{ "wait=-1", false, -1 },
	{ "wait=1.5", false, -1 },
	{ "wait", false, -1 },
	{ "respond-async=no", false, -1 },
	{ ",,;respond-async", false, -1 },
	{ "=, respond-async", true, -1 },
	{ "x=\"unterminated, respond-async", false, -1 },
};

START_TEST(preferences_are_read_or_ignored)
{
	const struct prefer_case *c = &prefer_cases[_i];
	struct rpc_prefer prefer;

	rpc_prefer_parse(c->text, &prefer);

	ck_assert_msg(prefer.respond_async == c->async, "%s", c->text);
	ck_assert_msg(prefer.has_wait == (c->wait >= 0), "%s", c->text);
	if (c->wait >= 0)
		ck_assert_uint_eq(prefer.wait_s, (unsigned)c->wait);
}
END_TEST

/* --- Range --------------------------------------------------------------------------------- */

static const struct range_case {
	const char *text;
	uint64_t size;
	enum rpc_range_status want;
	uint64_t first, len;
} range_cases[] = {
	{ NULL, 100, RPC_RANGE_ALL, 0, 0 },
	{ "bytes=0-9", 100, RPC_RANGE_PART, 0, 10 },
	{ "Bytes = 10-", 100, RPC_RANGE_PART, 10, 90 },
	{ "bytes=-5", 100, RPC_RANGE_PART, 95, 5 },
	{ "bytes=-500", 100, RPC_RANGE_PART, 0, 100 },
	{ "bytes=99-200", 100, RPC_RANGE_PART, 99, 1 },
	{ "bytes=0-18446744073709551615", 100, RPC_RANGE_PART, 0, 100 },
	{ "bytes=0-99999999999999999999999", 100, RPC_RANGE_PART, 0, 100 },
	{ "bytes=100-", 100, RPC_RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=100-200", 100, RPC_RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=99999999999999999999-", 100, RPC_RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=-0", 100, RPC_RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=0-0", 0, RPC_RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=-1", 0, RPC_RANGE_UNSATISFIABLE, 0, 0 },
	{ "bytes=9-0", 100, RPC_RANGE_ALL, 0, 0 },
	{ "bytes=0-1,5-6", 100, RPC_RANGE_ALL, 0, 0 },
	{ "bytes=-", 100, RPC_RANGE_ALL, 0, 0 },
	{ "bytes=", 100, RPC_RANGE_ALL, 0, 0 },
	{ "bytes=a-b", 100, RPC_RANGE_ALL, 0, 0 },
	{ "bytes=1-2x", 100, RPC_RANGE_ALL, 0, 0 },
	{ "lines=0-9", 100, RPC_RANGE_ALL, 0, 0 },
	{ "", 100, RPC_RANGE_ALL, 0, 0 },
};

START_TEST(a_range_is_read_or_ignored)
{
	const struct range_case *c = &range_cases[_i];
	uint64_t first = 0;
	uint64_t len = 0;

	enum rpc_range_status st = rpc_range_parse(c->text, c->size, &first, &len);

	ck_assert_msg(st == c->want, "%s: got %d", c->text, st);
	ck_assert_uint_eq(first, c->first);
	ck_assert_uint_eq(len, c->len);
}
END_TEST

/* --- entity tags --------------------------------------------------------------------------- */

static const struct etag_case {
	const char *list;
	const char *etag;
	bool weak;
	enum rpc_etag_match want;
} etag_cases[] = {
	{ "\"a\"", "a", false, RPC_ETAG_YES },
	{ "\"b\", \"a\"", "a", false, RPC_ETAG_YES },
	{ ",\"b\",,\"a\",", "a", false, RPC_ETAG_YES },
	{ "W/\"a\"", "a", false, RPC_ETAG_NO },
	{ "W/\"a\"", "a", true, RPC_ETAG_YES },
	{ "\"A\"", "a", true, RPC_ETAG_NO },
	{ "\"\"", "", false, RPC_ETAG_YES },
	{ "\"a\"", NULL, false, RPC_ETAG_NO },
	{ "*", "a", false, RPC_ETAG_ANY },
	{ " * ", NULL, false, RPC_ETAG_ANY },
	{ "*, \"a\"", "a", false, RPC_ETAG_MALFORMED },
	{ "", "a", false, RPC_ETAG_MALFORMED },
	{ "a", "a", false, RPC_ETAG_MALFORMED },
	{ "\"a", "a", false, RPC_ETAG_MALFORMED },
	{ "\"a\" \"b\"", "a", false, RPC_ETAG_MALFORMED },
	{ "\"a b\"", "a", false, RPC_ETAG_MALFORMED },
	{ "w/\"a\"", "a", true, RPC_ETAG_MALFORMED },
};

START_TEST(entity_tags_are_found)
{
	const struct etag_case *c = &etag_cases[_i];

	enum rpc_etag_match got = rpc_etag_find(c->list, c->etag, c->weak);

	ck_assert_msg(got == c->want, "%s: got %d", c->list, got);
}
END_TEST

START_TEST(the_first_entity_tag_is_taken)
{
	char buf[8];

	ck_assert(rpc_etag_first(" \"abc\" , \"d\"", buf, sizeof buf));
	ck_assert_str_eq(buf, "abc");
	ck_assert(rpc_etag_first("\"1234567\"", buf, sizeof buf));
	ck_assert(!rpc_etag_first("\"12345678\"", buf, sizeof buf));
	ck_assert(!rpc_etag_first("*", buf, sizeof buf));
	ck_assert(!rpc_etag_first("W/\"a\"", buf, sizeof buf));
	ck_assert(!rpc_etag_first("\"a\"b", buf, sizeof buf));
	ck_assert(!rpc_etag_first("", buf, sizeof buf));
}
END_TEST

/* --- Content-Digest ------------------------------------------------------------------------ */

#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const struct digest_case {
	const char *text;
	int want; /* 1 present, 0 absent, -1 malformed */
} digest_cases[] = {
	{ NULL, 0 },
	{ "", 0 },
	{ "sha-256=:" B64 ":", 1 },
	{ " md5=:AAAA:, sha-256=:" B64 ": , x=:: ", 1 },
	{ "sha-512=:AAAA:", 0 },
	{ "sha-256=:AAAA:", -1 },
	{ "sha-256=:" B64, -1 },
	{ "sha-256=" B64, -1 },
	{ "sha-256=:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=:", -1 },
	{ "SHA-256=:" B64 ":", -1 },
	{ "sha-256", -1 },
	{ "sha-256=:" B64 ":,", -1 },
	{ "sha-256=:" B64 ": sha-512=:AAAA:", -1 },
	{ "=:AAAA:", -1 },
};

START_TEST(a_content_digest_is_read_or_refused)
{
	const struct digest_case *c = &digest_cases[_i];
	struct rpc_problem problem;
	uint8_t digest[32] = { 0 };
	bool present = false;

	enum rpc_code code = rpc_content_digest_parse(c->text, &present, digest, &problem);

	ck_assert_msg(code == (c->want < 0 ? RPC_BAD_HEADER : RPC_OK), "%s: got %d", c->text, code);
	ck_assert_msg(present == (c->want == 1), "%s", c->text);
	ck_assert_uint_eq(digest[31], c->want == 1 ? 31 : 0);
}
END_TEST

START_TEST(a_content_digest_is_written_as_it_is_read)
{
	char text[RPC_CONTENT_DIGEST_MAX];
	struct rpc_problem problem;
	uint8_t digest[32], again[32];
	bool present = false;

	for (unsigned i = 0; i < sizeof digest; i++)
		digest[i] = (uint8_t)(7 * i + 250);
	rpc_content_digest_text(digest, text);

	ck_assert_uint_eq(strlen(text), sizeof text - 1);
	ck_assert_int_eq(rpc_content_digest_parse(text, &present, again, &problem), RPC_OK);
	ck_assert(present);
	ck_assert_mem_eq(again, digest, sizeof digest);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("accept");
	TCase *tcase = tcase_create("accept");

	tcase_add_loop_test(tcase, a_representation_is_chosen, 0,
	                    sizeof accept_cases / sizeof accept_cases[0]);
	tcase_add_loop_test(tcase, a_content_type_is_read_or_refused, 0,
	                    sizeof type_cases / sizeof type_cases[0]);
	tcase_add_test(tcase, a_content_type_has_limits);
	tcase_add_loop_test(tcase, preferences_are_read_or_ignored, 0,
	                    sizeof prefer_cases / sizeof prefer_cases[0]);
	tcase_add_loop_test(tcase, a_range_is_read_or_ignored, 0,
	                    sizeof range_cases / sizeof range_cases[0]);
	tcase_add_loop_test(tcase, entity_tags_are_found, 0,
	                    sizeof etag_cases / sizeof etag_cases[0]);
	tcase_add_test(tcase, the_first_entity_tag_is_taken);
	tcase_add_loop_test(tcase, a_content_digest_is_read_or_refused, 0,
	                    sizeof digest_cases / sizeof digest_cases[0]);
	tcase_add_test(tcase, a_content_digest_is_written_as_it_is_read);
	suite_add_tcase(suite, tcase);
	return suite;
}
