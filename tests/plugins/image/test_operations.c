/*
 * test_operations.c - the operations of wasmedge_image: what they answer, and what they refuse.
 *
 * DAMAGED_COUNT says how many damaged files are tried (1000).
 */
#include <dirent.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/plugins/image/jpegs.h"
#include "tests/plugins/image/repair.h"
#include "tests/support/unit.h"
#include "vm/vm.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

const struct vm_plugin *vm_plugin_wasmedge_image(void);

static struct vm_plugins *plugins;
static struct vm_plugin_reply reply;
static struct vm_error err;

static void
load_with(const struct vm_plugins_setting *settings, size_t count)
{
	const struct vm_plugin *linked[] = { vm_plugin_wasmedge_image() };
	const struct vm_plugins_config config = { .path = "", .linked = linked, .linked_count = 1,
		                                  .settings = settings, .setting_count = count };

	ck_assert_msg(vm_plugins_load(&config, &plugins, &err) == VM_OK, "%s", err.message);
}

static void
load(void)
{
	load_with(NULL, 0);
}

static void
unload(void)
{
	vm_plugins_reply_clear(&reply);
	vm_plugins_free(plugins);
}

static enum vm_status
operate(const char *operation, const char *json, struct vm_str file)
{
	const struct vm_plugin_request request = { .json = { json, strlen(json) },
		                                   .buffers = &file, .buffer_count = 1 };

	vm_plugins_reply_clear(&reply);
	err = (struct vm_error){ 0 };
	return vm_plugins_operate_here(plugins, "wasmedge_image", operation, &request, &reply,
	                               &err);
}

/* The same, which has to go well. */
static struct vm_plugin_bytes
decode(const char *json, struct vm_str file)
{
	enum vm_status st = operate("decode", json, file);

	ck_assert_msg(st == VM_OK, "%s: %s", json, err.message);
	ck_assert_uint_eq(reply.buffer_count, 1);
	return reply.buffers[0];
}

/* A copy of what was answered, to be freed. */
static struct vm_str
keep(struct vm_plugin_bytes bytes)
{
	uint8_t *copy = malloc(bytes.len + 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes.data, bytes.len);
	return (struct vm_str){ (const char *)copy, bytes.len };
}

static void
drop(struct vm_str bytes)
{
	free((void *)(uintptr_t)bytes.data);
}

static struct vm_str
jpeg(const char *kind, unsigned width, unsigned height)
{
	size_t len;
	uint8_t *bytes = jpegs_make(kind, width, height, &len);

	return (struct vm_str){ (const char *)bytes, len };
}

/* The picture of a JPEG as a PNG, pixel by pixel. */
static struct vm_str
png(const char *kind, unsigned width, unsigned height)
{
	struct vm_str file = jpeg(kind, width, height);
	struct vm_str out = keep(decode("{\"layout\":\"png\"}", file));

	drop(file);
	return out;
}

/* A PNG with alpha, of 4 x 1 pixels. */
static const uint8_t rgba_pixels[] = {
	10, 20, 30, 0, 10, 20, 30, 255, 200, 100, 50, 128, 255, 255, 255, 1,
};

static struct vm_str
rgba_png(void)
{
	png_image image = { .version = PNG_IMAGE_VERSION, .width = 4, .height = 1,
		            .format = PNG_FORMAT_RGBA };
	png_alloc_size_t len = 4096;
	uint8_t *bytes = malloc(len);

	ck_assert_int_ne(png_image_write_to_memory(&image, bytes, &len, 0, rgba_pixels, 0, NULL),
	                 0);
	return (struct vm_str){ (const char *)bytes, len };
}

/* --- what they answer ----------------------------------------------------------------------- */

static const struct info_case {
	const char *kind;
	const char *want;
} info_cases[] = {
#define INFO(kind, colour, progressive)                                                        \
	{ kind, "{\"format\":\"jpeg\",\"width\":33,\"height\":17,\"depth\":8,\"colour\":\"" colour \
		"\",\"alpha\":false,\"progressive\":" progressive "}" }
	INFO("baseline", "ycbcr", "false"), INFO("progressive", "ycbcr", "true"),
	INFO("grey", "grey", "false"),      INFO("rgb", "rgb", "false"),
	INFO("cmyk", "cmyk", "false"),      INFO("cmyk-plain", "cmyk", "false"),
	INFO("ycck", "ycck", "false"),      INFO("restart", "ycbcr", "false"),
#undef INFO
};

START_TEST(info_says_what_a_jpeg_is)
{
	const struct info_case *c = &info_cases[_i];

	load();
	struct vm_str file = jpeg(c->kind, 33, 17);
	ck_assert_msg(operate("info", "", file) == VM_OK, "%s", err.message);
	ck_assert_str_eq(reply.json.data, c->want);
	ck_assert_uint_eq(reply.buffer_count, 0);
	drop(file);
	unload();
}
END_TEST

START_TEST(info_says_what_a_png_is)
{
	load();
	struct vm_str file = rgba_png();
	ck_assert_int_eq(operate("info", "{\"format\":\"png\"}", file), VM_OK);
	ck_assert_str_eq(reply.json.data,
	                 "{\"format\":\"png\",\"width\":4,\"height\":1,\"depth\":8,"
	                 "\"colour\":\"rgba\",\"alpha\":true,\"progressive\":false}");
	drop(file);
	unload();
}
END_TEST

START_TEST(decode_gives_the_pictures_own_size_and_says_so)
{
	unsigned width, height, components;

	load();
	struct vm_str file = jpeg("baseline", 33, 17);
	uint8_t *want = jpegs_decode((const uint8_t *)file.data, file.len, &width, &height,
	                             &components);
	struct vm_plugin_bytes got = decode("", file);
	ck_assert_uint_eq(got.len, 33 * 17 * 3);
	ck_assert_mem_eq(got.data, want, got.len);
	ck_assert_str_eq(reply.json.data,
	                 "{\"width\":33,\"height\":17,\"channels\":3,\"layout\":\"rgb8\","
	                 "\"source\":{\"format\":\"jpeg\",\"width\":33,\"height\":17,\"depth\":8,"
	                 "\"colour\":\"ycbcr\",\"alpha\":false,\"progressive\":false}}");
	free(want);
	drop(file);
	unload();
}
END_TEST

START_TEST(decode_makes_png_files_of_the_same_pixels)
{
	load();
	struct vm_str file = jpeg("full", 40, 30);
	struct vm_str pixels = keep(decode("{\"width\":21,\"height\":9}", file));
	struct vm_str made =
	    keep(decode("{\"width\":21,\"height\":9,\"layout\":\"png\"}", file));
	ck_assert_ptr_nonnull(strstr(reply.json.data, "\"layout\":\"png\""));
	struct vm_plugin_bytes again = decode("{\"format\":\"png\"}", made);
	ck_assert_uint_eq(again.len, pixels.len);
	ck_assert_mem_eq(again.data, pixels.data, pixels.len);
	drop(made);
	drop(pixels);
	drop(file);
	unload();
}
END_TEST

START_TEST(alpha_is_multiplied_or_dropped)
{
	static const uint8_t multiplied[] = { 0, 0, 0, 10, 20, 30, 100, 50, 25, 1, 1, 1 };
	static const uint8_t dropped[] = { 10, 20, 30, 10, 20, 30, 200, 100, 50, 255, 255, 255 };

	load();
	struct vm_str file = rgba_png();
	ck_assert_mem_eq(decode("", file).data, multiplied, sizeof multiplied);
	ck_assert_mem_eq(decode("{\"alpha\":\"drop\"}", file).data, dropped, sizeof dropped);
	drop(file);
	unload();
}
END_TEST

/* --- area ----------------------------------------------------------------------------------- */

/* How much of pixel s of the source lies under pixel d, in pixels of the source. */
static double
overlap(unsigned s, unsigned d, unsigned source_size, unsigned size)
{
	double scale = (double)source_size / size;
	double from = d * scale > s ? d * scale : s;
	double to = (d + 1) * scale < s + 1.0 ? (d + 1) * scale : s + 1.0;

	return to > from ? to - from : 0;
}

static double
mean_under(const uint8_t *rgb, unsigned w0, unsigned h0, unsigned x, unsigned y, unsigned w,
           unsigned h, unsigned c)
{
	double sum = 0;

	for (unsigned v = 0; v < h0; v++)
		for (unsigned u = 0; u < w0; u++)
			sum += overlap(u, x, w0, w) * overlap(v, y, h0, h) *
			       rgb[(v * w0 + u) * 3 + c];
	return sum * w * h / ((double)w0 * h0);
}

static const unsigned area_sizes[][2] = { { 1, 1 }, { 5, 4 }, { 16, 11 }, { 13, 40 }, { 50, 70 } };

START_TEST(area_is_the_mean_of_what_lies_under_a_pixel)
{
	const unsigned w0 = 31, h0 = 22, w = area_sizes[_i][0], h = area_sizes[_i][1];
	char json[80];

	load();
	struct vm_str file = png("full", w0, h0);
	struct vm_str source = keep(decode("", file));
	snprintf(json, sizeof json, "{\"width\":%u,\"height\":%u,\"resize\":\"area\"}", w, h);
	struct vm_plugin_bytes got = decode(json, file);
	for (unsigned i = 0; i < w * h * 3; i++) {
		double want = mean_under((const uint8_t *)source.data, w0, h0, i / 3 % w, i / 3 / w,
		                         w, h, i % 3);

		ck_assert_msg(want - got.data[i] < 0.5001 && got.data[i] - want < 0.5001,
		              "byte %u of %u x %u: %u, the mean is %f", i, w, h, got.data[i], want);
	}
	drop(source);
	drop(file);
	unload();
}
END_TEST

/* How far a scaled JPEG may be from the means of its pixels, as wasmedged-image(7) says. */
static const struct scaled_case {
	const char *kind;
	int difference_max;
	double difference_mean;
} scaled_cases[] = {
	{ "baseline", 3, 0.5 }, { "full", 3, 0.5 }, { "progressive", 3, 0.5 },
	{ "grey", 3, 0.5 },     { "cmyk", 3, 0.5 }, { "edges", 40, 5 },
};

START_TEST(area_of_a_scaled_jpeg_is_close_to_that_of_its_pixels)
{
	const struct scaled_case *c = &scaled_cases[_i];
	static const char json[] = "{\"width\":60,\"height\":40,\"resize\":\"area\"}";

	load();
	struct vm_str scaled_file = jpeg(c->kind, 1000, 700);
	struct vm_str whole_file = png(c->kind, 1000, 700);
	struct vm_str whole = keep(decode(json, whole_file));
	struct vm_plugin_bytes scaled = decode(json, scaled_file);
	uint64_t sum = 0;
	int largest = 0;
	for (size_t i = 0; i < whole.len; i++) {
		int difference = abs(scaled.data[i] - (uint8_t)whole.data[i]);

		sum += (uint64_t)difference;
		largest = difference > largest ? difference : largest;
	}
	double mean = (double)sum / (double)whole.len;
	printf("%s: differs by %d at most, %.3f in the mean\n", c->kind, largest, mean);
	ck_assert_int_le(largest, c->difference_max);
	ck_assert_msg(mean <= c->difference_mean, "%f", mean);
	ck_assert_msg(largest > 0, "nothing was scaled");
	drop(whole);
	drop(whole_file);
	drop(scaled_file);
	unload();
}
END_TEST

/* --- what they refuse ----------------------------------------------------------------------- */

static const struct refusal {
	const char *operation;
	const char *json;
	const char *message;
} refusals[] = {
	{ "decode", "{", "request, position 1: " },
	{ "decode", "[]", "the request has to be an object" },
	{ "decode", "{\"width\":1,\"width\":1,\"height\":1}", "duplicate" },
	{ "decode", "{\"size\":1}", "unknown member size" },
	{ "info", "{\"width\":1,\"height\":1}", "unknown member" },
	{ "decode", "{\"width\":8}", "width and height belong together" },
	{ "decode", "{\"height\":8}", "width and height belong together" },
	{ "decode", "{\"width\":0,\"height\":8}", "width: expected a number of pixels" },
	{ "decode", "{\"width\":-1,\"height\":8}", "width: expected a number of pixels" },
	{ "decode", "{\"width\":8,\"height\":2147483648}", "height: expected a number of pixels" },
	{ "decode", "{\"width\":8,\"height\":\"8\"}", "height: expected a number of pixels" },
	{ "decode", "{\"width\":8.0,\"height\":8}", "width: expected a number of pixels" },
	{ "decode", "{\"layout\":\"rgba8\"}",
	  "layout: expected one of rgb8, bgr8, rgb32f, bgr32f, png" },
	{ "decode", "{\"resize\":null}", "resize: expected one of bilinear, area" },
	{ "decode", "{\"alpha\":1}", "alpha: expected one of multiply, drop" },
	{ "info", "{\"format\":\"gif\"}", "format: expected one of auto, jpeg, png" },
};

START_TEST(requests_that_are_wrong_are_refused)
{
	const struct refusal *r = &refusals[_i];

	load();
	struct vm_str file = jpeg("grey", 8, 8);
	ck_assert_int_eq(operate(r->operation, r->json, file), VM_E_ARGUMENT);
	ck_assert_msg(strstr(err.message, r->message) != NULL, "%s: %s", r->json, err.message);
	drop(file);
	unload();
}
END_TEST

START_TEST(other_than_one_buffer_is_refused)
{
	const struct vm_str two[2] = { VM_STR("a"), VM_STR("b") };

	load();
	for (uint32_t count = 0; count <= 2; count += 2) {
		const struct vm_plugin_request request = { .buffers = two, .buffer_count = count };

		ck_assert_int_eq(vm_plugins_operate_here(plugins, "wasmedge_image", "decode",
		                                         &request, &reply, &err), VM_E_ARGUMENT);
		ck_assert_ptr_nonnull(strstr(err.message, "expected one buffer"));
	}
	unload();
}
END_TEST

static const struct limit_case {
	const char *option;
	const char *value; /* one less than is needed */
	const char *enough;
	const char *json;
	const char *message;
} limit_cases[] = {
	{ "pixels_max", "2047", "2048", "{\"width\":1,\"height\":1}",
	  "the picture has 64 x 32 pixels, the limit pixels_max is 2047" },
	{ "pixels_max", "8189", "8190", "{\"width\":90,\"height\":91}",
	  "the result would have 90 x 91 pixels, the limit pixels_max is 8189" },
	{ "output_bytes_max", "6143", "6144", "{}",
	  "64 x 32 pixels as rgb8 are 6144 bytes, the limit output_bytes_max is 6143" },
	{ "output_bytes_max", "24575", "24576", "{\"layout\":\"bgr32f\"}", "are 24576 bytes" },
	{ "output_bytes_max", "200", "1MiB", "{\"layout\":\"png\"}",
	  "the file becomes larger than output_bytes_max" },
	{ "input_bytes_max", "100", "1MiB", "{}", "the limit input_bytes_max is 100" },
};

START_TEST(limits_are_kept)
{
	const struct limit_case *c = &limit_cases[_i];

	struct vm_str file = jpeg("full", 64, 32);
	for (int is_enough = 0; is_enough < 2; is_enough++) {
		const char *value = is_enough ? c->enough : c->value;
		const struct vm_plugins_setting setting = { .plugin = "wasmedge_image",
			                                    .option = c->option, .value = value };

		load_with(&setting, 1);
		enum vm_status st = operate("decode", c->json, file);
		ck_assert_int_eq(st, is_enough ? VM_OK : VM_E_LIMIT);
		if (!is_enough)
			ck_assert_msg(strstr(err.message, c->message) != NULL, "%s", err.message);
		unload();
	}
	drop(file);
}
END_TEST

START_TEST(limits_hold_for_the_largest_numbers)
{
	load();
	struct vm_str file = jpeg("full", 8, 8);
	ck_assert_int_eq(operate("decode", "{\"width\":2147483647,\"height\":2147483647}", file),
	                 VM_E_LIMIT);
	ck_assert_int_eq(operate("decode", "{\"width\":2147483647,\"height\":1,"
	                                   "\"resize\":\"area\"}", file), VM_E_LIMIT);
	drop(file);
	unload();
}
END_TEST

START_TEST(a_limit_beyond_what_can_be_computed_is_refused)
{
	static const struct vm_plugins_setting setting = {
		.plugin = "wasmedge_image", .option = "pixels_max", .value = "4294967296"
	};
	struct vm_plugins_info info;

	load_with(&setting, 1);
	vm_plugins_info(plugins, 0, &info);
	ck_assert_ptr_null(info.plugin);
	ck_assert_ptr_nonnull(strstr(info.why_not, "pixels_max is 4294967296"));
	vm_plugins_free(plugins);
}
END_TEST

START_TEST(refusals_say_what_and_where)
{
	static const struct {
		const char *kind;
		const char *message;
	} cases[] = { { "twelve", "JPEG, near byte" }, { "scans", "more than 100 scans" } };

	load();
	for (int i = 0; i < COUNT(cases); i++) {
		struct vm_str file = jpeg(cases[i].kind, 16, 16);

		ck_assert_int_ne(operate("decode", "", file), VM_OK);
		ck_assert_msg(strstr(err.message, cases[i].message) != NULL, "%s", err.message);
		drop(file);
	}
	ck_assert_int_eq(operate("decode", "", VM_STR("GIF89a")), VM_E_DATA);
	ck_assert_str_eq(err.message,
	                 "neither a JPEG nor a PNG picture: it starts with 47 49 46 38");
	ck_assert_int_eq(operate("info", "", VM_STR("")), VM_E_DATA);
	ck_assert_int_eq(operate("info", "{\"format\":\"jpeg\"}", VM_STR("")), VM_E_DATA);
	ck_assert_int_eq(operate("info", "{\"format\":\"png\"}", VM_STR("")), VM_E_DATA);
	unload();
}
END_TEST

/* --- damage --------------------------------------------------------------------------------- */

static const char *const truncated_kinds[] = { "baseline", "progressive", "restart", "arithmetic",
	                                       "ycck", "png" };

START_TEST(whatever_is_cut_off_is_noticed)
{
	load();
	struct vm_str file = strcmp(truncated_kinds[_i], "png") == 0
	                         ? png("grey", 24, 16) : jpeg(truncated_kinds[_i], 24, 16);
	ck_assert_int_eq(operate("decode", "{\"width\":2,\"height\":2}", file), VM_OK);
	for (size_t len = 0; len < file.len; len++) {
		/* Of its size, so that reads beyond it are seen. */
		char *part = malloc(len + 1);

		memcpy(part, file.data, len);
		part = realloc(part, len > 0 ? len : 1);
		enum vm_status st = operate("decode", "{\"width\":2,\"height\":2}",
		                            (struct vm_str){ part, len });
		ck_assert_msg(st == VM_E_DATA, "%zu of %zu bytes: %s %s", len, file.len,
		              vm_status_text(st), err.message);
		free(part);
	}
	drop(file);
	unload();
}
END_TEST

static uint64_t random_state = 1;

static size_t
random_below(size_t bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (size_t)(random_state >> 33) % bound;
}

/* Change a few bytes, or a run of them, or cut; about half of the PNG files get right checksums. */
static size_t
damage(uint8_t *bytes, size_t len)
{
	for (size_t steps = 1 + random_below(5); steps > 0 && len > 1; steps--) {
		size_t at = random_below(len);

		switch (random_below(5)) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << random_below(8));
			break;
		case 1:
			bytes[at] = (uint8_t)random_below(256);
			break;
		case 2:
			bytes[at] = random_below(2) ? 0xff : 0;
			break;
		case 3: {
			size_t from = random_below(len);
			size_t run = random_below(40);

			while (run-- > 0 && at < len && from < len)
				bytes[at++] = bytes[from++];
			break;
		}
		default:
			len -= random_below(len / 4 + 1);
		}
	}
	if (random_below(2))
		repair_png(bytes, len);
	return len;
}

/* The seeds of fuzz_image, whose first byte is not of the picture. */
static int
seeds_read(struct vm_str *seeds, int max)
{
	const char *top = getenv("top_srcdir");
	char folder[512];
	char path[1024];
	struct dirent **entries;
	int count = 0;

	snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/image", top != NULL ? top : ".");
	int found = scandir(folder, &entries, NULL, alphasort);
	ck_assert_msg(found > 0, "no folder %s", folder);
	for (int i = 0; i < found; i++) {
		snprintf(path, sizeof path, "%s/%.400s", folder, entries[i]->d_name);
		FILE *file = entries[i]->d_name[0] != '.' ? fopen(path, "rb") : NULL;
		if (file != NULL && count < max) {
			char *bytes = malloc(1 << 16);

			(void)fgetc(file);
			seeds[count++] = (struct vm_str){ bytes, fread(bytes, 1, 1 << 16, file) };
		}
		if (file != NULL)
			fclose(file);
		free(entries[i]);
	}
	free(entries);
	return count;
}

START_TEST(damaged_files_are_decoded_or_refused)
{
	static const char *const asks[] = {
		"{}", "{\"width\":9,\"height\":7}",
		"{\"width\":3,\"height\":3,\"resize\":\"area\"}",
	};
	static const struct vm_plugins_setting settings[] = {
		{ .plugin = "wasmedge_image", .option = "pixels_max", .value = "262144" },
	};
	const char *setting = getenv("DAMAGED_COUNT");
	long rounds = setting != NULL ? atol(setting) : 1000;
	struct vm_str seeds[100];
	long refused = 0;

	load_with(settings, 1);
	int seed_count = seeds_read(seeds, COUNT(seeds));
	ck_assert_int_gt(seed_count, 20);
	for (int i = 0; i < seed_count; i++)
		ck_assert_msg(operate("decode", "", seeds[i]) == VM_OK, "seed %d: %s", i,
		              err.message);
	for (long round = 0; round < rounds; round++) {
		const struct vm_str *seed = &seeds[random_below((size_t)seed_count)];
		uint8_t *bytes = malloc(seed->len);

		memcpy(bytes, seed->data, seed->len);
		size_t len = damage(bytes, seed->len);
		bytes = realloc(bytes, len);
		enum vm_status st = operate("decode", asks[random_below(COUNT(asks))],
		                            (struct vm_str){ (const char *)bytes, len });
		ck_assert_msg(st == VM_OK || st == VM_E_DATA || st == VM_E_LIMIT,
		              "round %ld: %s %s", round, vm_status_text(st), err.message);
		ck_assert_msg(st == VM_OK || err.message[0] != '\0', "round %ld", round);
		refused += st != VM_OK;
		free(bytes);
	}
	printf("%ld of %ld damaged files were refused\n", refused, rounds);
	ck_assert_int_gt(refused, rounds / 2);
	for (int i = 0; i < seed_count; i++)
		drop(seeds[i]);
	unload();
}
END_TEST

/* --- memory --------------------------------------------------------------------------------- */

/* The n-th allocation fails; 0: none. The linker sends those of the plug-in and the VM here. */
static long fails_at;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *
__wrap_malloc(size_t size)
{
	return fails_at > 0 && --fails_at == 0 ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails_at > 0 && --fails_at == 0 ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return fails_at > 0 && --fails_at == 0 ? NULL : __real_realloc(p, size);
}

static const char *const memory_asks[] = {
	"{}", "{\"width\":3,\"height\":3}", "{\"width\":3,\"height\":3,\"resize\":\"area\"}",
	"{\"layout\":\"png\"}",
};

START_TEST(want_of_memory_is_said)
{
	load();
	for (int is_png = 0; is_png < 2; is_png++) {
		struct vm_str file = is_png ? png("full", 24, 16) : jpeg("cmyk", 24, 16);
		long n = 0;
		bool has_failed;
		enum vm_status st;

		do {
			vm_plugins_reply_clear(&reply);
			fails_at = ++n;
			st = operate("decode", memory_asks[_i], file);
			has_failed = fails_at == 0;
			fails_at = 0;
			ck_assert_msg(st == VM_OK || st == VM_E_NOMEM, "allocation %ld: %s", n,
			              err.message);
			ck_assert_int_lt(n, 1000);
		} while (has_failed);
		ck_assert_int_eq(st, VM_OK);
		ck_assert_int_gt(n, 5);
		drop(file);
	}
	unload();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("operations of wasmedge_image");
	TCase *tc = tcase_create("operations");

	tcase_set_timeout(tc, getenv("DAMAGED_COUNT") != NULL ? 3600 : 120);
	tcase_add_loop_test(tc, info_says_what_a_jpeg_is, 0, COUNT(info_cases));
	tcase_add_test(tc, info_says_what_a_png_is);
	tcase_add_test(tc, decode_gives_the_pictures_own_size_and_says_so);
	tcase_add_test(tc, decode_makes_png_files_of_the_same_pixels);
	tcase_add_test(tc, alpha_is_multiplied_or_dropped);
	tcase_add_loop_test(tc, area_is_the_mean_of_what_lies_under_a_pixel, 0,
	                    COUNT(area_sizes));
	tcase_add_loop_test(tc, area_of_a_scaled_jpeg_is_close_to_that_of_its_pixels, 0,
	                    COUNT(scaled_cases));
	tcase_add_loop_test(tc, requests_that_are_wrong_are_refused, 0, COUNT(refusals));
	tcase_add_test(tc, other_than_one_buffer_is_refused);
	tcase_add_loop_test(tc, limits_are_kept, 0, COUNT(limit_cases));
	tcase_add_test(tc, limits_hold_for_the_largest_numbers);
	tcase_add_test(tc, a_limit_beyond_what_can_be_computed_is_refused);
	tcase_add_test(tc, refusals_say_what_and_where);
	tcase_add_loop_test(tc, whatever_is_cut_off_is_noticed, 0, COUNT(truncated_kinds));
	tcase_add_test(tc, damaged_files_are_decoded_or_refused);
	tcase_add_loop_test(tc, want_of_memory_is_said, 0, COUNT(memory_asks));
	suite_add_tcase(suite, tc);
	return suite;
}
