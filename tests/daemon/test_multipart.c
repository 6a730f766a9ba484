/*
 * Forms: parts come out whole however the body is cut, and malformed ones are refused.
 */
#include "daemon/multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/unit.h"

#define CD "Content-Disposition: form-data; "

/* What came out, as text: "[name|filename|type]data;" a part. */
struct collected {
	char text[4096];
	size_t len;
	bool refuses;
};

static void
collect(struct collected *c, const char *data, size_t len)
{
	ck_assert_uint_lt(c->len + len, sizeof c->text);
	memcpy(c->text + c->len, data, len);
	c->len += len;
	c->text[c->len] = '\0';
}

static bool
on_begin(void *env, const struct multipart_part *part)
{
	char head[1024];

	snprintf(head, sizeof head, "[%s|%s|%s]", part->name, part->filename, part->type);
	collect(env, head, strlen(head));
	return !((struct collected *)env)->refuses;
}

static bool
on_data(void *env, const char *data, size_t len)
{
	collect(env, data, len);
	return true;
}

static bool
on_end(void *env)
{
	collect(env, ";", 1);
	return true;
}

static enum multipart_status
parse(const char *body, size_t len, size_t step, struct collected *c)
{
	struct multipart_handler handler = { on_begin, on_data, on_end, c };
	static struct multipart mp;

	c->len = 0;
	c->text[0] = '\0';
	multipart_init(&mp, "AB", &handler);
	for (size_t at = 0; at < len; at += step) {
		size_t piece = len - at < step ? len - at : step;
		if (multipart_feed(&mp, body + at, piece) != MULTIPART_OK)
			break;
	}
	return multipart_finish(&mp);
}

static const struct form_case {
	const char *name;
	const char *body;
	enum multipart_status want;
	const char *parts;
} forms[] = {
	{ "one part", "--AB\r\n" CD "name=\"a\"\r\n\r\nxyz\r\n--AB--", MULTIPART_OK, "[a||]xyz;" },
	{ "no part", "--AB--\r\n", MULTIPART_OK, "" },
	{ "empty part", "--AB\r\n" CD "name=a\r\n\r\n\r\n--AB--", MULTIPART_OK, "[a||];" },
	{ "file and type",
	  "--AB\r\ncontent-disposition:form-data; filename=\"/x \\\"y\"; name=\"f\"\r\n"
	  "Content-Type: text/plain\r\n\r\n1\r\n--AB--",
	  MULTIPART_OK, "[f|/x \"y|text/plain]1;" },
	{ "two parts", "--AB\r\n" CD "name=a\r\n\r\n1\r\n--AB\r\n" CD "name=b\r\n\r\n2\r\n--AB--",
	  MULTIPART_OK, "[a||]1;[b||]2;" },
	{ "nearly a boundary", "--AB\r\n" CD "name=a\r\n\r\n\r\n--A\r\r\n--AC\r\n\r\n--AB--",
	  MULTIPART_OK, "[a||]\r\n--A\r\r\n--AC\r\n;" },
	{ "padding and epilogue", "--AB \t\r\n" CD "name=a\r\n\r\n1\r\n--AB--\r\nwhatever",
	  MULTIPART_OK, "[a||]1;" },

	{ "nothing", "", MULTIPART_TRUNCATED, "" },
	{ "preamble", "hello\r\n--AB--", MULTIPART_PREAMBLE, "" },
	{ "longer boundary", "--ABC\r\n", MULTIPART_DELIMITER, "" },
	{ "one dash", "--AB-\r\n", MULTIPART_DELIMITER, "" },
	{ "bare line end", "--AB\n", MULTIPART_DELIMITER, "" },
	{ "no end", "--AB\r\n" CD "name=a\r\n\r\n1", MULTIPART_TRUNCATED, "[a||]1" },
	{ "end in a header", "--AB\r\nContent-Dis", MULTIPART_TRUNCATED, "" },
	{ "no headers", "--AB\r\n\r\n1\r\n--AB--", MULTIPART_DISPOSITION, "" },
	{ "no name", "--AB\r\n" CD "filename=x\r\n\r\n1\r\n--AB--", MULTIPART_DISPOSITION, "" },
	{ "empty name", "--AB\r\n" CD "name=\"\"\r\n\r\n1\r\n--AB--", MULTIPART_DISPOSITION, "" },
	{ "attachment", "--AB\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--AB--",
	  MULTIPART_DISPOSITION, "" },
	{ "name twice", "--AB\r\n" CD "name=a; name=b\r\n\r\n1\r\n--AB--",
	  MULTIPART_HEADER_SYNTAX, "" },
	{ "disposition twice", "--AB\r\n" CD "name=a\r\n" CD "name=a\r\n\r\n1\r\n--AB--",
	  MULTIPART_HEADER_SYNTAX, "" },
	{ "open quote", "--AB\r\n" CD "name=\"a\r\n\r\n1\r\n--AB--", MULTIPART_HEADER_SYNTAX, "" },
	{ "bare LF in a header", "--AB\r\n" CD "name=a\n\r\n1\r\n--AB--",
	  MULTIPART_HEADER_SYNTAX, "" },
	{ "no colon", "--AB\r\nhello\r\n\r\n1\r\n--AB--", MULTIPART_HEADER_SYNTAX, "" },
};

START_TEST(form_is_parsed_or_refused_however_it_is_cut)
{
	const struct form_case *f = &forms[_i];
	size_t len = strlen(f->body);

	for (size_t step = 1; step <= len + 1; step++) {
		struct collected c = { .refuses = false };
		enum multipart_status got = parse(f->body, len, step, &c);
		ck_assert_msg(got == f->want, "%s, by %zu: got %s, want %s", f->name, step,
		              multipart_status_detail(got), multipart_status_detail(f->want));
		ck_assert_msg(strcmp(c.text, f->parts) == 0, "%s, by %zu: got %s", f->name, step,
		              c.text);
	}
}
END_TEST

START_TEST(a_refused_part_ends_the_form)
{
	struct collected c = { .refuses = true };

	ck_assert_int_eq(parse(forms[0].body, strlen(forms[0].body), 7, &c), MULTIPART_STOPPED);
	ck_assert_str_eq(c.text, "[a||]");
}
END_TEST

START_TEST(sizes_are_bounded)
{
	static char body[MULTIPART_PARTS_MAX * 64 + 8192];
	static struct multipart mp;
	static struct collected c;
	struct multipart_handler handler = { on_begin, on_data, on_end, &c };
	size_t len = 0;

	memset(body, 'x', sizeof body);
	memcpy(body, "--AB\r\nX: ", 9);
	ck_assert_int_eq(parse(body, 4000, 100, &c), MULTIPART_HEADER_SIZE);

	len = (size_t)sprintf(body, "--AB\r\n" CD "name=\"%0300d\"\r\n\r\n", 1);
	ck_assert_int_eq(parse(body, len, 100, &c), MULTIPART_HEADER_SYNTAX);

	multipart_init(&mp, "AB", &handler);
	ck_assert_int_eq(multipart_feed(&mp, "--AB", 4), MULTIPART_OK);
	static const char part[] = "\r\n" CD "name=a\r\n\r\n\r\n--AB";
	enum multipart_status got = MULTIPART_OK;
	int count = 0;
	for (; got == MULTIPART_OK && count < 2000; count++) {
		c.len = 0;
		got = multipart_feed(&mp, part, sizeof part - 1);
	}
	ck_assert_int_eq(got, MULTIPART_PARTS);
	ck_assert_int_eq(count, MULTIPART_PARTS_MAX + 1);
}
END_TEST

static const struct boundary_case {
	const char *type;
	const char *want; /* NULL: refused */
} boundaries[] = {
	{ "multipart/form-data; boundary=AB", "AB" },
	{ "Multipart/Form-Data;charset=utf-8; boundary=\"a b\"", "a b" },
	{ "multipart/form-data", NULL },
	{ "multipart/form-data; boundary=", NULL },
	{ "multipart/form-data; boundary=\"a \"", NULL },
	{ "multipart/form-data; boundary=a;boundary=b", NULL },
	{ "multipart/form-data; boundary=\xff", NULL },
	{ "multipart/form-datax; boundary=AB", NULL },
	{ "multipart/mixed; boundary=AB", NULL },
	{ "multipart/form-data; boundary="
	  "12345678901234567890123456789012345678901234567890123456789012345678901", NULL },
};

START_TEST(boundary_is_taken_from_the_type)
{
	const struct boundary_case *b = &boundaries[_i];
	char out[MULTIPART_BOUNDARY_MAX + 1];

	ck_assert_msg(multipart_boundary(b->type, out) == (b->want != NULL), "%s", b->type);
	if (b->want != NULL)
		ck_assert_str_eq(out, b->want);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("multipart");
	TCase *tc = tcase_create("multipart");

	tcase_add_loop_test(tc, form_is_parsed_or_refused_however_it_is_cut, 0,
	                    (int)(sizeof forms / sizeof forms[0]));
	tcase_add_test(tc, a_refused_part_ends_the_form);
	tcase_add_test(tc, sizes_are_bounded);
	tcase_add_loop_test(tc, boundary_is_taken_from_the_type, 0,
	                    (int)(sizeof boundaries / sizeof boundaries[0]));
	suite_add_tcase(suite, tc);
	return suite;
}
