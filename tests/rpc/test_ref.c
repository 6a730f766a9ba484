#include "rpc/ref.h"
#include "tests/support/unit.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define N64 "0123456789012345678901234567890123456789012345678901234567890123"

static const struct ref_case {
	const char *text;
	const char *full; /* NULL: refused */
} ref_cases[] = {
	{ "sha256:" HEX, "sha256:" HEX },
	{ "demo/app", "demo/app:latest" },
	{ "demo/app:1", "demo/app:1" },
	{ "d/a:V1.2-rc_3", "d/a:V1.2-rc_3" },
	{ "a.b-c_d/e.f:0", "a.b-c_d/e.f:0" },
	{ N64 "/" N64 ":" N64, N64 "/" N64 ":" N64 },
	{ "", NULL },
	{ "demo", NULL },
	{ "demo/", NULL },
	{ "/app", NULL },
	{ "demo/app:", NULL },
	{ "demo/app:1:2", NULL },
	{ "demo/app/x", NULL },
	{ "Demo/app", NULL },
	{ "demo/App", NULL },
	{ "demo/.app", NULL },
	{ "demo/app.", NULL },
	{ "../app", NULL },
	{ "demo/app:-1", NULL },
	{ "demo/a pp", NULL },
	{ "demo/\xc3\xa9", NULL },
	{ N64 "x/app", NULL },
	{ "demo/" N64 "x", NULL },
	{ "demo/app:" N64 "x", NULL },
	{ "sha256:", NULL },
	{ "sha256:0011", NULL },
	{ "sha256:" HEX "0", NULL },
	{ "sha256:00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff", NULL },
	{ "sha256:0011223344556677g899aabbccddeeff00112233445566778899aabbccddeeff", NULL },
	{ "sha512:" HEX, NULL },
	{ "sha256:" HEX "/x", NULL },
};

START_TEST(a_ref_is_read_or_refused)
{
	const struct ref_case *c = &ref_cases[_i];
	struct rpc_problem problem = { 0 };
	struct rpc_ref ref;
	char full[RPC_REF_TEXT_MAX];

	memset(&ref, 0x5a, sizeof ref);
	enum rpc_code code = rpc_ref_parse(c->text, strlen(c->text), &ref, &problem);

	if (c->full == NULL) {
		ck_assert_msg(code == RPC_BAD_REF, "\"%s\" was accepted", c->text);
		ck_assert_uint_gt(strlen(problem.detail), 10);
		ck_assert_int_eq(ref.ns[0], 0x5a);
		return;
	}
	ck_assert_msg(code == RPC_OK, "\"%s\": %s", c->text, problem.detail);
	ck_assert_uint_eq(rpc_ref_text(&ref, full), strlen(c->full));
	ck_assert_str_eq(full, c->full);
}
END_TEST

START_TEST(a_tag_cannot_be_a_digest)
{
	struct rpc_problem problem;
	struct rpc_ref ref;

	ck_assert_int_eq(rpc_ref_parse_tag("sha256:" HEX, 71, &ref, &problem), RPC_BAD_REF);
	ck_assert_ptr_nonnull(strstr(problem.detail, "found a digest"));
	ck_assert_int_eq(rpc_ref_parse_tag(NULL, 0, &ref, &problem), RPC_BAD_REF);
	ck_assert_int_eq(rpc_ref_parse(NULL, 0, &ref, &problem), RPC_BAD_REF);
	ck_assert_int_eq(rpc_ref_parse_tag("a/b", 3, &ref, &problem), RPC_OK);
	ck_assert_str_eq(ref.tag, "latest");
}
END_TEST

START_TEST(parts_make_a_ref)
{
	struct rpc_problem problem;
	struct rpc_ref ref;
	struct rpc_str none = { NULL, 0 };

	ck_assert_int_eq(
	    rpc_ref_make(rpc_str_make("a"), rpc_str_make("b"), rpc_str_make("C"), &ref, &problem),
	    RPC_OK);
	ck_assert_str_eq(ref.tag, "C");
	ck_assert_int_eq(rpc_ref_make(rpc_str_make("a"), rpc_str_make("b"), none, &ref, &problem),
	                 RPC_OK);
	ck_assert_str_eq(ref.tag, "latest");
	ck_assert_int_eq(
	    rpc_ref_make(rpc_str_make("a"), rpc_str_make("b"), rpc_str_make(""), &ref, &problem),
	    RPC_BAD_REF);
	ck_assert_str_eq(problem.detail, "the tag is empty");
	ck_assert_int_eq(rpc_ref_make(rpc_str_make("a"), rpc_str_make("b/c"), none, &ref, &problem),
	                 RPC_BAD_REF);
	ck_assert_ptr_nonnull(strstr(problem.detail, "character 2 of the name"));
}
END_TEST

START_TEST(digests_and_hexadecimal_survive)
{
	uint8_t digest[RPC_DIGEST_BYTES];
	char text[RPC_DIGEST_TEXT_MAX];
	uint8_t two[2] = { 1, 2 };

	ck_assert_int_eq(rpc_digest_parse("sha256:" HEX, 71, digest, NULL), RPC_OK);
	ck_assert_uint_eq(digest[10], 0xaa);
	rpc_digest_text(digest, text);
	ck_assert_str_eq(text, "sha256:" HEX);
	ck_assert(rpc_hex_decode("aBfF", 4, two, 2));
	ck_assert_uint_eq(two[0] << 8 | two[1], 0xabff);
	ck_assert(!rpc_hex_decode("aBf", 3, two, 2));
	ck_assert(!rpc_hex_decode("aBffF", 5, two, 2));
	ck_assert(!rpc_hex_decode("aBxF", 4, two, 2));
	ck_assert(!rpc_hex_decode("aBfg", 4, two, 2));
	ck_assert_uint_eq(two[0] << 8 | two[1], 0xabff);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("ref");
	TCase *tcase = tcase_create("ref");

	tcase_add_loop_test(tcase, a_ref_is_read_or_refused, 0,
	                    sizeof ref_cases / sizeof ref_cases[0]);
	tcase_add_test(tcase, a_tag_cannot_be_a_digest);
	tcase_add_test(tcase, parts_make_a_ref);
	tcase_add_test(tcase, digests_and_hexadecimal_survive);
	suite_add_tcase(suite, tcase);
	return suite;
}
