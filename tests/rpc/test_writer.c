#include "rpc/writer.h"

#include <stdlib.h>
#include "tests/support/unit.h"

static void
check_text(struct rpc_writer *w, const char *want)
{
	size_t len = 0;
	bool ok = rpc_writer_ok(w);
	char *text = rpc_writer_take(w, &len);

	ck_assert(ok);
	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, want);
	ck_assert_uint_eq(len, strlen(want));
	free(text);
}

static void
write_document(struct rpc_writer *w)
{
	rpc_write_object_begin(w);
	rpc_write_key(w, "empty");
	rpc_write_object_begin(w);
	rpc_write_object_end(w);
	rpc_write_key(w, "list");
	rpc_write_array_begin(w);
	rpc_write_null(w);
	rpc_write_bool(w, true);
	rpc_write_int(w, -5);
	rpc_write_array_begin(w);
	rpc_write_array_end(w);
	rpc_write_raw(w, "0.5", 3);
	rpc_write_array_end(w);
	rpc_member_text(w, "absent", NULL);
	rpc_member_text(w, "text", "x");
	rpc_member_uint(w, "uint", UINT64_MAX);
	rpc_member_bool(w, "bool", false);
	rpc_write_object_end(w);
}

START_TEST(commas_stand_between_values_only)
{
	struct rpc_writer w;

	rpc_writer_init(&w);
	write_document(&w);
	check_text(&w, "{\"empty\":{},\"list\":[null,true,-5,[],0.5],\"text\":\"x\","
	               "\"uint\":18446744073709551615,\"bool\":false}");
	rpc_writer_clear(&w);
}
END_TEST

START_TEST(pretty_text_is_indented)
{
	struct rpc_writer w;

	rpc_writer_init(&w);
	w.pretty = true;
	write_document(&w);
	check_text(&w,
	           "{\n  \"empty\": {},\n  \"list\": [\n    null,\n    true,\n    -5,\n    [],\n"
	           "    0.5\n  ],\n  \"text\": \"x\",\n  \"uint\": 18446744073709551615,\n"
	           "  \"bool\": false\n}");
	rpc_writer_clear(&w);
}
END_TEST

static const struct string_case {
	const char *data;
	size_t len;
	const char *want;
} string_cases[] = {
	{ "plain", 5, "\"plain\"" },
	{ "", 0, "\"\"" },
	{ NULL, 0, "\"\"" },
	{ "a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"" },
	{ "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
	{ "\0\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\"" },
	{ "\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
	{ "a\xff"
	  "b\xe2\x82",
	  5,
	  "\"a\xef\xbf\xbd"
	  "b\xef\xbf\xbd\xef\xbf\xbd\"" },
};

START_TEST(strings_are_escaped_and_always_utf8)
{
	const struct string_case *c = &string_cases[_i];
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_write_string(&w, c->data, c->len);
	check_text(&w, c->want);
	rpc_writer_clear(&w);
}
END_TEST

START_TEST(bytes_digests_and_times_have_their_forms)
{
	uint8_t digest[32] = { 0xab, 0xcd };
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_write_array_begin(&w);
	rpc_write_base64(&w, "\xff\x00", 2);
	rpc_write_base64(&w, NULL, 0);
	rpc_write_time_us(&w, 0);
	rpc_write_time_us(&w, INT64_C(1795357385000123));
	rpc_write_time_us(&w, -1);
	rpc_write_format(&w, "%d%s", 4, "\"");
	rpc_write_digest(&w, digest);
	rpc_write_array_end(&w);
	check_text(&w,
	           "[\"/wA=\",\"\",\"1970-01-01T00:00:00.000000Z\",\"2026-11-22T14:23:05.000123Z\","
	           "\"1969-12-31T23:59:59.999999Z\",\"4\\\"\","
	           "\"sha256:abcd000000000000000000000000000000000000000000000000000000000000\"]");
	rpc_writer_clear(&w);
}
END_TEST

START_TEST(a_text_past_its_bound_fails_as_a_whole)
{
	struct rpc_writer w;
	size_t len;

	rpc_writer_init(&w);
	w.bytes_max = 10;
	for (int i = 0; i < 2; i++) {
		rpc_write_text(&w, "12345678");
		ck_assert(rpc_writer_ok(&w));
		ck_assert_uint_eq(w.len, 10);
		rpc_write_uint(&w, 1);
		ck_assert(!rpc_writer_ok(&w));
		rpc_writer_reset(&w); /* and is good for another text */
	}
	rpc_write_base64(&w, "123456", 6);
	ck_assert(rpc_writer_ok(&w));
	rpc_writer_reset(&w);
	rpc_write_base64(&w, "1234567", 7);
	ck_assert(!rpc_writer_ok(&w));
	ck_assert_ptr_null(rpc_writer_take(&w, &len));
	rpc_writer_clear(&w);
}
END_TEST

START_TEST(long_texts_grow_the_buffer)
{
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_write_array_begin(&w);
	for (int i = 0; i < 100000; i++)
		rpc_write_text(&w, "0123456789");
	rpc_write_array_end(&w);
	ck_assert(rpc_writer_ok(&w));
	ck_assert_uint_eq(w.len, 1300001);
	rpc_writer_clear(&w);
}
END_TEST

START_TEST(verbatim_text_frames_documents)
{
	struct rpc_writer w;

	rpc_writer_init(&w);
	for (int i = 0; i < 2; i++) {
		rpc_write_verbatim(&w, "data: ", 6);
		rpc_write_uint(&w, 7);
		rpc_write_verbatim(&w, "\n", 1);
	}
	check_text(&w, "data: 7\ndata: 7\n");
	rpc_writer_clear(&w);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("writer");
	TCase *tcase = tcase_create("writer");

	tcase_add_test(tcase, commas_stand_between_values_only);
	tcase_add_test(tcase, pretty_text_is_indented);
	tcase_add_loop_test(tcase, strings_are_escaped_and_always_utf8, 0,
	                    sizeof string_cases / sizeof string_cases[0]);
	tcase_add_test(tcase, bytes_digests_and_times_have_their_forms);
	tcase_add_test(tcase, a_text_past_its_bound_fails_as_a_whole);
	tcase_add_test(tcase, long_texts_grow_the_buffer);
	tcase_add_test(tcase, verbatim_text_frames_documents);
	suite_add_tcase(suite, tcase);
	return suite;
}
