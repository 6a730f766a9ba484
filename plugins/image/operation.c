/*
 * operation.c - the operations `decode` and `info`: JSON and a file in, JSON and pixels out.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "plugins/image/encode.h"
#include "plugins/image/image.h"
#include "plugins/image/resample.h"

/* Source's pixels, along both axes, that a mean of DCT-scaled ones is made from: see `area`. */
#define AREA_OVERSAMPLING 2

enum alpha { ALPHA_MULTIPLY, ALPHA_DROP };

/* The words of enums, in their order. */
static const char *const format_names[] = { "auto", "jpeg", "png", NULL };
static const char *const method_names[] = { "bilinear", "area", NULL };
static const char *const alpha_names[] = { "multiply", "drop", NULL };
const char *const image_layout_names[] = { "rgb8", "bgr8", "rgb32f", "bgr32f", "png", NULL };

/* What is asked: members of the object, where there are words their index. */
struct request {
	uint32_t width; /* 0: as it is */
	uint32_t height;
	uint32_t format;
	uint32_t layout;
	uint32_t resize;
	uint32_t alpha;
};

static const struct member {
	const char *name;
	size_t offset;
	const char *const *words; /* NULL: a number of pixels */
} members[] = {
	/* info takes the first one */
	{ "format", offsetof(struct request, format), format_names },
	{ "width", offsetof(struct request, width), NULL },
	{ "height", offsetof(struct request, height), NULL },
	{ "layout", offsetof(struct request, layout), image_layout_names },
	{ "resize", offsetof(struct request, resize), method_names },
	{ "alpha", offsetof(struct request, alpha), alpha_names },
};
#define MEMBERS_OF_INFO 1
#define MEMBERS_OF_DECODE (sizeof members / sizeof *members)

/* --- the request ---------------------------------------------------------------------------- */

static enum vm_status
number_parse(const struct vm_plugin_host *host, const char *name, const json_t *value,
             uint32_t *out, struct vm_error *err)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 1 || number > INT32_MAX)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "%s: expected a number of pixels from 1 to %d", name,
		                      INT32_MAX);
	*out = (uint32_t)number;
	return VM_OK;
}

static enum vm_status
word_parse(const struct vm_plugin_host *host, const char *name, const json_t *value,
           const char *const *words, uint32_t *out, struct vm_error *err)
{
	const char *text = json_string_value(value);
	char list[64] = "";

	for (uint32_t i = 0; words[i] != NULL; i++) {
		if (text != NULL && strcmp(text, words[i]) == 0) {
			*out = i;
			return VM_OK;
		}
		/* All lists of ours fit. */
		strcat(strcat(list, i > 0 ? ", " : ""), words[i]);
	}
	return vm_plugin_fail(host, err, VM_E_ARGUMENT, "%s: expected one of %s", name, list);
}

static enum vm_status
member_parse(const struct vm_plugin_host *host, const char *name, const json_t *value,
             size_t member_count, struct request *out, struct vm_error *err)
{
	for (size_t i = 0; i < member_count; i++) {
		uint32_t *field = (uint32_t *)(void *)((char *)out + members[i].offset);

		if (strcmp(name, members[i].name) != 0)
			continue;
		return members[i].words == NULL
		           ? number_parse(host, name, value, field, err)
		           : word_parse(host, name, value, members[i].words, field, err);
	}
	return vm_plugin_fail(host, err, VM_E_ARGUMENT, "unknown member %.64s", name);
}

static enum vm_status
object_parse(const struct vm_plugin_host *host, struct vm_str json, size_t member_count,
             struct request *out, struct vm_error *err)
{
	json_error_t error;
	json_t *root = json_loadb(json.len > 0 ? json.data : "{}", json.len > 0 ? json.len : 2,
	                          JSON_REJECT_DUPLICATES, &error);
	enum vm_status st = VM_OK;
	const char *name;
	json_t *value;

	if (root == NULL)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "request, position %d: %s",
		                      error.position, error.text);
	if (!json_is_object(root))
		st = vm_plugin_fail(host, err, VM_E_ARGUMENT, "the request has to be an object");
	json_object_foreach(root, name, value) {
		st = member_parse(host, name, value, member_count, out, err);
		if (st != VM_OK)
			break;
	}
	json_decref(root);
	if (st == VM_OK && (out->width == 0) != (out->height == 0))
		st = vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                    "width and height belong together, one is missing");
	return st;
}

static enum vm_status
request_parse(const struct vm_plugin_host *host, const struct image_limits *limits,
              const struct vm_plugin_request *request, size_t member_count, struct request *out,
              struct vm_error *err)
{
	if (request->buffer_count != 1)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT,
		                      "expected one buffer, a picture's file, got %u",
		                      request->buffer_count);
	if (request->buffers[0].len > limits->input_bytes_max)
		return vm_plugin_fail(host, err, VM_E_LIMIT,
		                      "the file has %zu bytes, the limit input_bytes_max is %llu",
		                      request->buffers[0].len,
		                      (unsigned long long)limits->input_bytes_max);
	return object_parse(host, request->json, member_count, out, err);
}

/* --- the reply ------------------------------------------------------------------------------ */

static json_t *
info_json(const struct picture_info *info)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:s, s:b, s:b}", "format",
	                 format_names[info->format], "width", (json_int_t)info->width, "height",
	                 (json_int_t)info->height, "depth", (json_int_t)info->depth, "colour",
	                 info->colour, "alpha", (int)info->has_alpha, "progressive",
	                 (int)info->is_progressive);
}

/* Takes the tree, which may be NULL for want of memory. */
static enum vm_status
reply_tree(const struct vm_plugin_host *host, struct vm_plugin_reply *reply, json_t *tree,
           struct vm_error *err)
{
	char *text = tree != NULL ? json_dumps(tree, JSON_COMPACT) : NULL;
	bool is_set = text != NULL && vm_plugin_reply_json(host, reply, text, strlen(text));

	free(text);
	json_decref(tree);
	return is_set ? VM_OK : vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
}

/* --- pixels --------------------------------------------------------------------------------- */

uint64_t
image_layout_bytes(enum image_layout layout, uint32_t width, uint32_t height)
{
	uint64_t pixel_bytes = layout == LAYOUT_RGB8 || layout == LAYOUT_BGR8 ? 3 : 12;
	uint64_t bytes;

	return __builtin_mul_overflow((uint64_t)width * height, pixel_bytes, &bytes) ? UINT64_MAX
	                                                                             : bytes;
}

/* The bytes of n / 255 as a float, the low one first. */
static void
float_put(uint8_t *out, uint8_t n)
{
	float value = (float)(n / 255.0);
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(bits >> (8 * i));
}

static void
row_put(uint8_t *out, const uint8_t *rgb, uint32_t width, enum image_layout layout)
{
	const size_t flip = layout == LAYOUT_BGR8 || layout == LAYOUT_BGR32F ? 2 : 0;
	const size_t count = (size_t)width * 3;

	if (layout == LAYOUT_RGB8) {
		memcpy(out, rgb, count);
	} else if (layout == LAYOUT_BGR8) {
		for (size_t i = 0; i < count; i += 3)
			for (size_t c = 0; c < 3; c++)
				out[i + c] = rgb[i + (2 - c)];
	} else {
		for (size_t i = 0; i < count; i += 3)
			for (size_t c = 0; c < 3; c++)
				float_put(out + (i + c) * 4, rgb[i + (flip > 0 ? 2 - c : c)]);
	}
}

/* What decoding holds. */
struct decoding {
	const struct vm_plugin_host *host;
	const struct image_limits *limits;
	struct request ask;
	struct source *source;
	struct resampler *resampler;
	struct encoder *encoder;
	uint8_t *row;
};

static void
decoding_clear(struct decoding *d)
{
	source_free(d->source);
	resampler_free(d->resampler);
	encoder_free(d->encoder);
	free(d->row);
}

static enum vm_status
pixels_to_buffer(struct decoding *d, struct vm_plugin_reply *reply, struct vm_error *err)
{
	const enum image_layout layout = d->ask.layout;
	uint64_t bytes = image_layout_bytes(layout, d->ask.width, d->ask.height);
	const size_t row_bytes = (size_t)image_layout_bytes(layout, d->ask.width, 1);

	uint8_t *out = bytes <= SIZE_MAX
	                   ? vm_plugin_reply_buffer(d->host, reply, (size_t)bytes) : NULL;
	if (out == NULL)
		return vm_plugin_fail(d->host, err, VM_E_NOMEM, "out of memory for %llu bytes",
		                      (unsigned long long)bytes);
	for (uint32_t y = 0; y < d->ask.height; y++) {
		enum vm_status st = resampler_row(d->resampler, d->row, err);
		if (st != VM_OK)
			return st;
		row_put(out + y * row_bytes, d->row, d->ask.width, layout);
	}
	return VM_OK;
}

static enum vm_status
pixels_to_file(struct decoding *d, struct vm_plugin_reply *reply, struct vm_error *err)
{
	struct vm_str file;
	enum vm_status st = encoder_new(d->host, d->ask.width, d->ask.height,
	                                d->limits->output_bytes_max, &d->encoder, err);

	for (uint32_t y = 0; y < d->ask.height && st == VM_OK; y++) {
		st = resampler_row(d->resampler, d->row, err);
		if (st == VM_OK)
			st = encoder_row(d->encoder, d->row, err);
	}
	if (st == VM_OK)
		st = encoder_end(d->encoder, &file, err);
	if (st != VM_OK)
		return st;
	uint8_t *out = vm_plugin_reply_buffer(d->host, reply, file.len);
	if (out == NULL)
		return vm_plugin_fail(d->host, err, VM_E_NOMEM, "out of memory");
	memcpy(out, file.data, file.len);
	return VM_OK;
}

/* The result's size, and whether it is within the limits. */
static enum vm_status
size_check(struct decoding *d, struct vm_error *err)
{
	const struct image_limits *limits = d->limits;

	if (d->ask.width == 0) {
		d->ask.width = d->source->info.width;
		d->ask.height = d->source->info.height;
	}
	if ((uint64_t)d->ask.width * d->ask.height > limits->pixels_max)
		return vm_plugin_fail(d->host, err, VM_E_LIMIT,
		                      "the result would have %u x %u pixels, the limit pixels_max "
		                      "is %llu", d->ask.width, d->ask.height,
		                      (unsigned long long)limits->pixels_max);
	if (d->ask.layout == LAYOUT_PNG) /* it grows up to its limit */
		return VM_OK;
	uint64_t bytes = image_layout_bytes(d->ask.layout, d->ask.width, d->ask.height);
	if (bytes > limits->output_bytes_max)
		return vm_plugin_fail(d->host, err, VM_E_LIMIT,
		                      "%u x %u pixels as %s are %llu bytes, the limit "
		                      "output_bytes_max is %llu",
		                      d->ask.width, d->ask.height,
		                      image_layout_names[d->ask.layout], (unsigned long long)bytes,
		                      (unsigned long long)limits->output_bytes_max);
	return VM_OK;
}

static uint32_t
times(uint32_t size, uint32_t factor)
{
	return size <= UINT32_MAX / 2 / factor ? size * factor : UINT32_MAX / 2;
}

/* From the header on: sizes are checked here, before anything is allocated for pixels. */
static enum vm_status
decoding_start(struct decoding *d, struct vm_error *err)
{
	enum vm_status st = size_check(d, err);

	if (st != VM_OK)
		return st;
	d->source->is_alpha_dropped = d->ask.alpha == ALPHA_DROP;
	bool is_area = d->ask.resize == RESAMPLE_AREA;
	st = source_start(d->source, d->limits->pixels_max,
	                  is_area ? times(d->ask.width, AREA_OVERSAMPLING) : 0,
	                  is_area ? times(d->ask.height, AREA_OVERSAMPLING) : 0, err);
	if (st != VM_OK)
		return st;
	d->row = calloc(d->ask.width, 3);
	if (d->row == NULL)
		return vm_plugin_fail(d->host, err, VM_E_NOMEM, "out of memory");
	return resampler_new(d->source, (enum resample_method)d->ask.resize, d->ask.width,
	                     d->ask.height, &d->resampler, err);
}

/* --- the operations ------------------------------------------------------------------------- */

static enum vm_status
operation_decode(const struct vm_plugin_host *host, void *plugin,
                 const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                 struct vm_error *err)
{
	struct decoding d = { .host = host, .limits = plugin };

	enum vm_status st = request_parse(host, plugin, request, MEMBERS_OF_DECODE, &d.ask, err);
	if (st == VM_OK)
		st = source_open(host, request->buffers[0], (enum picture_format)d.ask.format,
		                 &d.source, err);
	if (st == VM_OK)
		st = decoding_start(&d, err);
	if (st == VM_OK)
		st = d.ask.layout == LAYOUT_PNG ? pixels_to_file(&d, reply, err)
		                                : pixels_to_buffer(&d, reply, err);
	if (st == VM_OK)
		st = resampler_end(d.resampler, err);
	if (st == VM_OK)
		st = reply_tree(host, reply,
		                json_pack("{s:I, s:I, s:i, s:s, s:o}", "width",
		                          (json_int_t)d.ask.width, "height",
		                          (json_int_t)d.ask.height, "channels", 3, "layout",
		                          image_layout_names[d.ask.layout], "source",
		                          info_json(&d.source->info)),
		                err);
	decoding_clear(&d);
	return st;
}

static enum vm_status
operation_info(const struct vm_plugin_host *host, void *plugin,
               const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
               struct vm_error *err)
{
	struct request ask = { 0 };
	struct source *source = NULL;

	enum vm_status st = request_parse(host, plugin, request, MEMBERS_OF_INFO, &ask, err);
	if (st == VM_OK)
		st = source_open(host, request->buffers[0], (enum picture_format)ask.format,
		                 &source, err);
	if (st == VM_OK)
		st = reply_tree(host, reply, info_json(&source->info), err);
	source_free(source);
	return st;
}

#define SCHEMA_FORMAT                                                                           \
	"\"format\":{\"type\":\"string\",\"enum\":[\"auto\",\"jpeg\",\"png\"],"                 \
	"\"default\":\"auto\",\"description\":\"What the file is; auto: as it starts\"}"
#define SCHEMA_SIZE(name)                                                                       \
	"\"" name "\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2147483647,"              \
	"\"description\":\"In pixels; without both, as the picture is\"}"
#define SCHEMA_INFO                                                                             \
	"{\"type\":\"object\",\"properties\":{"                                                 \
	"\"format\":{\"type\":\"string\",\"enum\":[\"jpeg\",\"png\"]},"                         \
	"\"width\":{\"type\":\"integer\"},\"height\":{\"type\":\"integer\"},"                   \
	"\"depth\":{\"type\":\"integer\",\"description\":\"Bits of a sample\"},"                \
	"\"colour\":{\"type\":\"string\",\"enum\":[\"grey\",\"grey-alpha\",\"rgb\",\"rgba\","   \
	"\"palette\",\"ycbcr\",\"cmyk\",\"ycck\"]},"                                            \
	"\"alpha\":{\"type\":\"boolean\"},"                                                     \
	"\"progressive\":{\"type\":\"boolean\",\"description\":\"In scans, or interlaced\"}},"  \
	"\"required\":[\"format\",\"width\",\"height\",\"depth\",\"colour\",\"alpha\","         \
	"\"progressive\"]}"

const struct vm_plugin_operation image_operations[IMAGE_OPERATION_COUNT] = {
	{
	    "decode", "Decode a JPEG or PNG picture to pixels, of its own or another size",
	    VM_PLUGIN_SANDBOX,
	    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
	    SCHEMA_SIZE("width") "," SCHEMA_SIZE("height") "," SCHEMA_FORMAT ","
	    "\"layout\":{\"type\":\"string\","
	    "\"enum\":[\"rgb8\",\"bgr8\",\"rgb32f\",\"bgr32f\",\"png\"],\"default\":\"rgb8\","
	    "\"description\":\"Bytes, floats from 0 to 1 (little-endian), or a PNG file\"},"
	    "\"resize\":{\"type\":\"string\",\"enum\":[\"bilinear\",\"area\"],"
	    "\"default\":\"bilinear\",\"description\":\"Between the nearest pixels, corners on "
	    "corners; or the mean of what lies under a pixel\"},"
	    "\"alpha\":{\"type\":\"string\",\"enum\":[\"multiply\",\"drop\"],"
	    "\"default\":\"multiply\","
	    "\"description\":\"Transparent becomes black; or as if there were none\"}}}",
	    "{\"type\":\"object\",\"properties\":{"
	    "\"width\":{\"type\":\"integer\"},\"height\":{\"type\":\"integer\"},"
	    "\"channels\":{\"type\":\"integer\"},\"layout\":{\"type\":\"string\"},"
	    "\"source\":" SCHEMA_INFO "},"
	    "\"required\":[\"width\",\"height\",\"channels\",\"layout\",\"source\"]}",
	    "image/jpeg image/png", "application/octet-stream image/png", operation_decode,
	},
	{
	    "info", "Say what a JPEG or PNG picture is, without decoding it", VM_PLUGIN_SANDBOX,
	    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" SCHEMA_FORMAT
	    "}}",
	    SCHEMA_INFO, "image/jpeg image/png", "", operation_info,
	},
};
