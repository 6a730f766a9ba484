#include "rpc/base64.h"
#include "tests/support/unit.h"

static const struct vector {
	const char *bytes;
	const char *text;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xfe\xfb", "//77" },
};

START_TEST(bytes_become_text_and_bytes_again)
{
	const struct vector *v = &vectors[_i];
	char text[16];
	uint8_t bytes[16];
	size_t len = 0;
	size_t bad;

	size_t text_len = rpc_base64_encode(v->bytes, strlen(v->bytes), text);

	ck_assert_uint_eq(text_len, rpc_base64_encoded_len(strlen(v->bytes)));
	ck_assert_uint_eq(text_len, strlen(v->text));
	ck_assert_mem_eq(text, v->text, text_len);
	ck_assert(rpc_base64_decode(v->text, strlen(v->text), bytes, &len, &bad));
	ck_assert_uint_eq(len, strlen(v->bytes));
	ck_assert_mem_eq(bytes, v->bytes, len);
}
END_TEST

static const struct refused {
	const char *text;
	size_t bad; /* index of the character that is wrong */
} refused[] = {
	{ "Z", 1 },    { "Zg", 2 },      { "Zg=", 2 },      { "Zg==Zg==", 2 }, { "Zm9v!m8=", 4 },
	{ "Zm 9", 2 }, { "Zm9v\n", 4 },  { "=m9v", 0 },     { "====", 0 },     { "Zh==", 1 },
	{ "Zm9=", 2 }, { "Zm9vYmF", 7 }, { "Zm9v====", 4 }, { "Zg=a", 2 },     { "Zm9-", 3 },
};

START_TEST(text_with_two_readings_or_none_is_refused)
{
	const struct refused *r = &refused[_i];
	uint8_t bytes[16];
	size_t len = 99;
	size_t bad = 99;

	bool ok = rpc_base64_decode(r->text, strlen(r->text), bytes, &len, &bad);

	ck_assert_msg(!ok, "\"%s\" was accepted", r->text);
	ck_assert_msg(bad == r->bad, "\"%s\": got %zu, want %zu", r->text, bad, r->bad);
	ck_assert_uint_eq(len, 99);
}
END_TEST

START_TEST(every_byte_survives)
{
	uint8_t bytes[256];
	char text[344];
	uint8_t back[258];
	size_t len;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7);
	ck_assert_uint_eq(rpc_base64_encode(bytes, sizeof bytes, text), sizeof text);
	ck_assert_uint_le(sizeof bytes, rpc_base64_decoded_max(sizeof text));
	ck_assert(rpc_base64_decode(text, sizeof text, back, &len, &len));
	ck_assert_uint_eq(len, sizeof bytes);
	ck_assert_mem_eq(back, bytes, len);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("base64");
	TCase *tcase = tcase_create("base64");

	tcase_add_loop_test(tcase, bytes_become_text_and_bytes_again, 0,
	                    sizeof vectors / sizeof vectors[0]);
	tcase_add_loop_test(tcase, text_with_two_readings_or_none_is_refused, 0,
	                    sizeof refused / sizeof refused[0]);
	tcase_add_test(tcase, every_byte_survives);
	suite_add_tcase(suite, tcase);
	return suite;
}
