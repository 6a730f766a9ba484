/*
 * test_runner.c - wasmedge's command line, and values as words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wasmedge/options.h"
#include "client/wasmedge/text.h"
#include "client/wasmedge/values.h"
#include "tests/support/unit.h"

/* --- values --------------------------------------------------------------------------------- */

/* What value_write prints. */
static const char *
written(const struct vm_value *value)
{
	static char text[128];
	FILE *out = fmemopen(text, sizeof text, "w");

	ck_assert_ptr_nonnull(out);
	value_write(out, value, false);
	fclose(out);
	return text;
}

static const struct value_case {
	const char *word;
	vm_valtype type;
	enum value_error want;
	const char *printed; /* when it is accepted */
} value_cases[] = {
	{ "0", VM_I32, VALUE_OK, "0" },
	{ "-1", VM_I32, VALUE_OK, "-1" },
	{ "+7", VM_I32, VALUE_OK, "7" },
	{ "2147483647", VM_I32, VALUE_OK, "2147483647" },
	{ "4294967295", VM_I32, VALUE_OK, "-1" },
	{ "4294967296", VM_I32, VALUE_OUT_OF_RANGE, NULL },
	{ "-2147483648", VM_I32, VALUE_OK, "-2147483648" },
	{ "-2147483649", VM_I32, VALUE_OUT_OF_RANGE, NULL },
	{ "", VM_I32, VALUE_MALFORMED, NULL },
	{ "-", VM_I32, VALUE_MALFORMED, NULL },
	{ "--1", VM_I32, VALUE_MALFORMED, NULL },
	{ " 1", VM_I32, VALUE_MALFORMED, NULL },
	{ "1 ", VM_I32, VALUE_MALFORMED, NULL },
	{ "0x10", VM_I32, VALUE_MALFORMED, NULL },
	{ "1.0", VM_I32, VALUE_MALFORMED, NULL },
	{ "9223372036854775807", VM_I64, VALUE_OK, "9223372036854775807" },
	{ "18446744073709551615", VM_I64, VALUE_OK, "-1" },
	{ "18446744073709551616", VM_I64, VALUE_OUT_OF_RANGE, NULL },
	{ "-9223372036854775808", VM_I64, VALUE_OK, "-9223372036854775808" },
	{ "-9223372036854775809", VM_I64, VALUE_OUT_OF_RANGE, NULL },
	{ "99999999999999999999999999999999999999999999", VM_I64, VALUE_OUT_OF_RANGE, NULL },
	{ "0.1", VM_F32, VALUE_OK, "0.1" },
	{ "16777217", VM_F32, VALUE_OK, "16777216" },
	{ "1e39", VM_F32, VALUE_OUT_OF_RANGE, NULL },
	{ "1e-60", VM_F32, VALUE_OK, "0" },
	{ "-0", VM_F32, VALUE_OK, "-0" },
	{ "inf", VM_F32, VALUE_OK, "inf" },
	{ "0.1", VM_F64, VALUE_OK, "0.1" },
	{ "0.30000000000000004", VM_F64, VALUE_OK, "0.30000000000000004" },
	{ "1e309", VM_F64, VALUE_OUT_OF_RANGE, NULL },
	{ "nan", VM_F64, VALUE_OK, "nan" },
	{ "-inf", VM_F64, VALUE_OK, "-inf" },
	{ "", VM_F64, VALUE_MALFORMED, NULL },
	{ " 1", VM_F64, VALUE_MALFORMED, NULL },
	{ "1x", VM_F64, VALUE_MALFORMED, NULL },
	{ "340282366920938463463374607431768211455", VM_V128, VALUE_OK,
	  "340282366920938463463374607431768211455" },
	{ "340282366920938463463374607431768211456", VM_V128, VALUE_OUT_OF_RANGE, NULL },
	{ "0", VM_V128, VALUE_OK, "0" },
	{ "-1", VM_V128, VALUE_MALFORMED, NULL },
	{ "null", VM_FUNCREF, VALUE_OK, "<null funcref>" },
	{ "null", VM_EXTERNREF, VALUE_OK, "<null externref>" },
	{ "null", VM_REF_NULL(VM_HEAP_EQ), VALUE_OK, "<null anyref>" },
	{ "null", VM_REF(VM_HEAP_FUNC), VALUE_MALFORMED, NULL },
	{ "1", VM_EXTERNREF, VALUE_MALFORMED, NULL },
};

START_TEST(word_is_read_as_value_or_refused)
{
	const struct value_case *c = &value_cases[_i];
	struct vm_value value = { .type = 0xdead };

	enum value_error got = value_read(c->word, c->type, &value);

	ck_assert_msg(got == c->want, "\"%s\": got %d, want %d", c->word, (int)got, (int)c->want);
	if (got != VALUE_OK) {
		ck_assert_uint_eq(value.type, 0xdead);
		return;
	}
	ck_assert_uint_eq(value.type, c->type);
	ck_assert_str_eq(written(&value), c->printed);
}
END_TEST

START_TEST(v128_has_byte_0_lowest)
{
	struct vm_value value;

	ck_assert_int_eq(value_read("258", VM_V128, &value), VALUE_OK);
	ck_assert_uint_eq(value.of.v128[0], 2);
	ck_assert_uint_eq(value.of.v128[1], 1);
	ck_assert_uint_eq(value.of.v128[15], 0);
}
END_TEST

/* --- text ----------------------------------------------------------------------------------- */

static const struct text_case {
	const char *name;
	const char *text;
	const char *want;
} text_cases[] = {
	{ "plain", "add", "add" },
	{ "printable UTF-8", "h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	  "h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "escape sequence", "\x1b[31m", "\\x1b[31m" },
	{ "delete", "a\x7f", "a\\x7f" },
	{ "C1 control as UTF-8", "\xc2\x9b", "\\xc2\\x9b" },
	{ "C1 control as a byte", "\x9b", "\\x9b" },
	{ "cut character", "\xe2\x82", "\\xe2\\x82" },
	{ "overlong", "\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf" },
	{ "beyond Unicode", "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" },
};

START_TEST(text_is_written_without_controls)
{
	const struct text_case *c = &text_cases[_i];
	char got[128] = "";
	FILE *out = fmemopen(got, sizeof got, "w");

	ck_assert_ptr_nonnull(out);
	text_write_c(out, c->text);
	fclose(out);
	ck_assert_msg(strcmp(got, c->want) == 0, "%s: got \"%s\"", c->name, got);
}
END_TEST

/* --- command line --------------------------------------------------------------------------- */

#define WORDS_MAX 16

struct words {
	const char *word[WORDS_MAX];
};

static int
count_words(const struct words *words)
{
	int count = 0;

	while (count < WORDS_MAX && words->word[count] != NULL)
		count++;
	return count;
}

/* The words as an argv that may be written to. */
static char **
argv_of(const struct words *words)
{
	int count = count_words(words);
	char **argv = calloc((size_t)count + 1, sizeof *argv);

	ck_assert_ptr_nonnull(argv);
	for (int i = 0; i < count; i++) {
		argv[i] = strdup(words->word[i]);
		ck_assert_ptr_nonnull(argv[i]);
	}
	return argv;
}

static void
argv_free(char **argv)
{
	for (int i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

static const struct normal_case {
	struct words given;
	struct words want;
} normal_cases[] = {
	{ { { "wasmedge" } }, { { "wasmedge", "run" } } },
	{ { { "wasmedge", "a.wasm" } }, { { "wasmedge", "run", "--", "a.wasm" } } },
	{ { { "wasmedge", "a.wasm", "--dir", "-x" } },
	  { { "wasmedge", "run", "--", "a.wasm", "--dir", "-x" } } },
	{ { { "wasmedge", "--reactor", "a.wasm", "f", "-1" } },
	  { { "wasmedge", "run", "--reactor", "--", "a.wasm", "f", "-1" } } },
	{ { { "wasmedge", "--dir", "x:y", "--env=A=1", "a.wasm", "b" } },
	  { { "wasmedge", "run", "--dir", "x:y", "--env=A=1", "--", "a.wasm", "b" } } },
	{ { { "wasmedge", "run", "--gas-limit", "5", "a.wasm" } },
	  { { "wasmedge", "run", "--gas-limit", "5", "--", "a.wasm" } } },
	{ { { "wasmedge", "--", "--odd.wasm", "--" } },
	  { { "wasmedge", "run", "--", "--odd.wasm", "--" } } },
	{ { { "wasmedge", "--reactor", "validate" } },
	  { { "wasmedge", "run", "--reactor", "--", "validate" } } },
	{ { { "wasmedge", "validate", "a.wasm", "--wasm-1" } },
	  { { "wasmedge", "validate", "a.wasm", "--wasm-1" } } },
	{ { { "wasmedge", "--dir" } }, { { "wasmedge", "run", "--dir" } } },
	{ { { "wasmedge", "", "x" } }, { { "wasmedge", "run", "--", "", "x" } } },
};

START_TEST(words_behind_the_file_belong_to_the_guest)
{
	const struct normal_case *c = &normal_cases[_i];
	char **argv = argv_of(&c->given);
	char *got[WORDS_MAX + 3];

	int count = options_normalise(&wasmedge_program, count_words(&c->given), argv, got);

	ck_assert_int_eq(count, count_words(&c->want));
	for (int i = 0; i < count; i++)
		ck_assert_str_eq(got[i], c->want.word[i]);
	ck_assert_ptr_null(got[count]);
	argv_free(argv);
}
END_TEST

/* Parse the words as "run" does, read the options; the message when something is refused. */
static bool
read_words(const struct words *words, struct run_options *out, char message[OPTIONS_MESSAGE_MAX])
{
	char **argv = argv_of(words);
	char *normal[WORDS_MAX + 3];
	struct cli_args args;
	int count = options_normalise(&wasmedge_program, count_words(words), argv, normal);
	bool good = cli_parse(&wasmedge_program, count, normal, &args, message);

	if (good) {
		good = run_options_read(&args, out, message);
		cli_args_clear(&args);
	}
	/* Options point into argv: tests look at those of constants only. */
	argv_free(argv);
	return good;
}

static const struct refused_case {
	struct words words;
	const char *message; /* a part of it */
} refused_cases[] = {
	{ { { "wasmedge", "--env", "A", "f" } }, "--env: expected NAME=VALUE, got \"A\"" },
	{ { { "wasmedge", "--env", "=A", "f" } }, "--env" },
	{ { { "wasmedge", "--dir", "", "f" } }, "names no folder" },
	{ { { "wasmedge", "--dir", "a:", "f" } }, "names no folder" },
	{ { { "wasmedge", "--dir", "a:b:readwrite", "f" } }, "--dir: expected HOST" },
	{ { { "wasmedge", "--dir", "a:b:c:readonly", "f" } }, "--dir: expected HOST" },
	{ { { "wasmedge", "--module", "lib", "f" } }, "--module: expected NAME:FILE" },
	{ { { "wasmedge", "--module", "lib:", "f" } }, "--module: expected NAME:FILE" },
	{ { { "wasmedge", "--gas-limit", "-1", "f" } }, "--gas-limit: expected a decimal number" },
	{ { { "wasmedge", "--gas-limit", "1k", "f" } }, "--gas-limit" },
	{ { { "wasmedge", "--gas-limit", "", "f" } }, "--gas-limit" },
	{ { { "wasmedge", "--gas-limit", "18446744073709551616", "f" } }, "too large" },
	{ { { "wasmedge", "--time-limit", "1.5", "f" } }, "--time-limit" },
	{ { { "wasmedge", "--memory-page-limit", "x", "f" } }, "--memory-page-limit" },
	{ { { "wasmedge", "--tier", "fast", "f" } },
	  "--tier: expected best, interp or native, got \"fast\"" },
	{ { { "wasmedge", "--nonsense", "f" } }, "--nonsense" },
	{ { { "wasmedge", "--reactor=yes", "f" } }, "--reactor" },
	{ { { "wasmedge" } }, "word is missing" },
};

START_TEST(malformed_option_is_refused_with_its_name)
{
	const struct refused_case *c = &refused_cases[_i];
	char message[OPTIONS_MESSAGE_MAX];
	struct run_options options;

	ck_assert(!read_words(&c->words, &options, message));
	ck_assert_msg(strstr(message, c->message) != NULL, "got \"%s\", want \"%s\"", message,
	              c->message);
}
END_TEST

START_TEST(limits_and_statistics_are_read)
{
	const struct words words = { { "wasmedge", "--gas-limit", "1", "--gas-limit",
		                       "18446744073709551614", "--time-limit=250",
		                       "--memory-page-limit", "16", "--enable-all-statistics",
		                       "f.wasm" } };
	char message[OPTIONS_MESSAGE_MAX];
	struct run_options options;

	ck_assert_msg(read_words(&words, &options, message), "%s", message);
	ck_assert(options.has_gas_limit);
	ck_assert(options.gas_limit == UINT64_C(18446744073709551614)); /* the last one wins */
	ck_assert_uint_eq(options.time_limit_ms, 250);
	ck_assert_uint_eq(options.memory_page_limit, 16);
	ck_assert(options.count_instructions && options.measure_gas && options.measure_time);
	run_options_clear(&options);
}
END_TEST

static const struct dir_case {
	const char *value;
	const char *guest;
	const char *host;
	bool read_only;
} dir_cases[] = {
	{ "data", "data", "data", false },
	{ "/data:/srv/data", "/data", "/srv/data", false },
	{ ":/srv", "/", "/srv", false },
	{ "/data:/srv/data:readonly", "/data", "/srv/data", true },
	{ ".:.", ".", ".", false },
};

START_TEST(folder_is_mapped)
{
	const struct dir_case *c = &dir_cases[_i];
	const char *argv[] = { "wasmedge", "run", "--dir", c->value, "--", "f" };
	char *words[6], message[OPTIONS_MESSAGE_MAX];
	struct cli_args args;
	struct run_options options;

	for (int i = 0; i < 6; i++)
		words[i] = strdup(argv[i]);
	ck_assert_msg(cli_parse(&wasmedge_program, 6, words, &args, message), "%s", message);
	ck_assert_msg(run_options_read(&args, &options, message), "%s", message);
	ck_assert_uint_eq(options.preopen_count, 1);
	const struct vm_wasi_preopen *got = &options.preopens[0];
	ck_assert_uint_eq(got->guest_path.len, strlen(c->guest));
	ck_assert_mem_eq(got->guest_path.data, c->guest, got->guest_path.len);
	ck_assert_str_eq(got->host_path, c->host);
	ck_assert(got->read_only == c->read_only);
	run_options_clear(&options);
	cli_args_clear(&args);
	for (int i = 0; i < 6; i++)
		free(words[i]);
}
END_TEST

static vm_features
features_of(const struct words *words)
{
	char message[OPTIONS_MESSAGE_MAX];
	struct run_options options;

	ck_assert_msg(read_words(words, &options, message), "%s", message);
	vm_features features = options.features;
	run_options_clear(&options);
	return features;
}

START_TEST(feature_switches_start_from_the_version)
{
	const struct words plain = { { "wasmedge", "f" } };
	const struct words first = { { "wasmedge", "--wasm-1", "f" } };
	const struct words second = { { "wasmedge", "--enable-tail-call", "--wasm-2",
		                        "--disable-simd", "f" } };
	const struct words all = { { "wasmedge", "--wasm-1", "--enable-all", "f" } };

	ck_assert(features_of(&plain) == vm_features_of_version(30));
	ck_assert(features_of(&first) == vm_features_of_version(10));
	vm_features want = vm_features_of_version(20) | VM_FEATURE_BIT(TAIL_CALL);
	ck_assert(features_of(&second) == (want & ~VM_FEATURE_BIT(SIMD)));
	ck_assert((features_of(&all) & VM_FEATURE_BIT(THREADS)) != 0);
	ck_assert((features_of(&all) & vm_features_of_version(30)) == vm_features_of_version(30));
}
END_TEST

START_TEST(question_is_answered_only_before_the_file)
{
	const struct words version = { { "wasmedge", "--reactor", "-v" } };
	const struct words help = { { "wasmedge", "--dir", "-v", "-h" } };
	const struct words neither = { { "wasmedge", "f", "--version" } };
	const char *path = NULL;
	const struct words *cases[] = { &version, &help, &neither };
	const enum options_answer want[] = { OPTIONS_VERSION, OPTIONS_HELP, OPTIONS_NONE };

	for (int i = 0; i < 3; i++) {
		char **argv = argv_of(cases[i]);

		ck_assert_int_eq(options_question(&wasmedge_program, count_words(cases[i]), argv,
		                                  &path),
		                 want[i]);
		argv_free(argv);
	}
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("wasmedge");
	TCase *values = tcase_create("values");
	TCase *words = tcase_create("words");

	tcase_add_loop_test(values, word_is_read_as_value_or_refused, 0, COUNT(value_cases));
	tcase_add_test(values, v128_has_byte_0_lowest);
	tcase_add_loop_test(values, text_is_written_without_controls, 0, COUNT(text_cases));
	suite_add_tcase(suite, values);
	tcase_add_loop_test(words, words_behind_the_file_belong_to_the_guest, 0,
	                    COUNT(normal_cases));
	tcase_add_loop_test(words, malformed_option_is_refused_with_its_name, 0,
	                    COUNT(refused_cases));
	tcase_add_test(words, limits_and_statistics_are_read);
	tcase_add_loop_test(words, folder_is_mapped, 0, COUNT(dir_cases));
	tcase_add_test(words, feature_switches_start_from_the_version);
	tcase_add_test(words, question_is_answered_only_before_the_file);
	suite_add_tcase(suite, words);
	return suite;
}
