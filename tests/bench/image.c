/*
 * image.c - a JPEG of 12 megapixels to 224 x 224 pixels: image PLUGIN-FOLDER GUEST.wasm [ROUNDS]
 *
 * In turns: libjpeg-turbo used directly, row by row; the operation `decode` of wasmedge_image; and
 * a guest that calls the plug-in's function. First bilinear from all pixels, then the mean of areas
 * from what the library decodes to a smaller size. Times are the processor's, so that other work
 * on the machine counts little; medians are compared. Results have to be equal but for rounding.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <jpeglib.h>

#include "tests/bench/bench.h"
#include "tests/plugins/image/jpegs.h"

#define WIDTH 4000u
#define HEIGHT 3000u
#define SIZE 224u
#define ROUNDS_MAX 1000

static struct vm_str file;
static uint8_t ours[SIZE * SIZE * 3];
static uint8_t theirs[SIZE * SIZE * 3];

static uint64_t
cpu_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* --- the library by itself ------------------------------------------------------------------ */

static void
native_open(struct jpeg_decompress_struct *d, struct jpeg_error_mgr *manager, unsigned scale)
{
	d->err = jpeg_std_error(manager);
	jpeg_create_decompress(d);
	jpeg_mem_src(d, (const unsigned char *)file.data, file.len);
	jpeg_read_header(d, TRUE);
	d->out_color_space = JCS_RGB;
	d->scale_num = scale;
	d->scale_denom = 8;
	jpeg_start_decompress(d);
}

static void
native_close(struct jpeg_decompress_struct *d)
{
	jpeg_finish_decompress(d);
	jpeg_destroy_decompress(d);
}

static void
native_bilinear_row(uint8_t *out, const uint8_t *top, const uint8_t *bottom, float v)
{
	for (unsigned x = 0; x < SIZE; x++) {
		float at = (float)x * (float)(WIDTH - 1) / (float)(SIZE - 1);
		unsigned low = (unsigned)at;
		unsigned high = low + 1 < WIDTH ? low + 1 : low;
		float u = at - (float)low;

		for (unsigned c = 0; c < 3; c++)
			*out++ = (uint8_t)((top[low * 3 + c] * (1 - u) + top[high * 3 + c] * u) *
			                       (1 - v) +
			                   (bottom[low * 3 + c] * (1 - u) +
			                    bottom[high * 3 + c] * u) * v);
	}
}

static void
native_bilinear(void)
{
	struct jpeg_decompress_struct d;
	struct jpeg_error_mgr manager;
	uint8_t *rows[2] = { malloc(WIDTH * 3), malloc(WIDTH * 3) };

	native_open(&d, &manager, 8);
	for (unsigned y = 0; y < SIZE; y++) {
		float at = (float)y * (float)(HEIGHT - 1) / (float)(SIZE - 1);
		unsigned low = (unsigned)at;
		unsigned high = low + 1 < HEIGHT ? low + 1 : low;

		while (d.output_scanline <= high)
			jpeg_read_scanlines(&d, &rows[d.output_scanline % 2], 1);
		native_bilinear_row(theirs + y * SIZE * 3, rows[low % 2], rows[high % 2],
		                    at - (float)low);
	}
	while (d.output_scanline < d.output_height)
		jpeg_read_scanlines(&d, &rows[0], 1);
	native_close(&d);
	free(rows[0]);
	free(rows[1]);
}

/* Add weight times a row of n pixels to SIZE sums, by how much of each pixel lies in a column. */
static void
native_area_add(double *sums, const uint8_t *row, double n, double weight)
{
	for (unsigned x = 0; x < SIZE; x++) {
		double from = x * n / SIZE;
		double to = (x + 1) * n / SIZE;

		for (unsigned i = (unsigned)from; i < to; i++) {
			double w = (i + 1.0 < to ? i + 1.0 : to) - (i > from ? i : from);

			for (unsigned c = 0; c < 3; c++)
				sums[x * 3 + c] += w * weight * row[i * 3 + c];
		}
	}
}

static void
native_area(void)
{
	/* The smallest of 1/8, 1/4, 1/2 that leaves twice as many pixels as are wanted. */
	const unsigned scale = 2;
	const double width = WIDTH * scale / 8.0;
	const double height = HEIGHT * scale / 8.0;
	double sums[SIZE * 3];
	struct jpeg_decompress_struct d;
	struct jpeg_error_mgr manager;

	native_open(&d, &manager, scale);
	uint8_t *row = malloc(d.output_width * 3);
	for (unsigned y = 0; y < SIZE; y++) {
		double from = y * height / SIZE;
		double to = (y + 1) * height / SIZE;

		memset(sums, 0, sizeof sums);
		for (unsigned i = (unsigned)from; i < to && i < d.output_height; i++) {
			while (d.output_scanline <= i)
				jpeg_read_scanlines(&d, &row, 1);
			native_area_add(sums, row, width,
			                (i + 1.0 < to ? i + 1.0 : to) - (i > from ? i : from));
		}
		for (unsigned i = 0; i < SIZE * 3; i++)
			theirs[y * SIZE * 3 + i] =
			    (uint8_t)(sums[i] * SIZE * SIZE / (width * height) + 0.5);
	}
	native_close(&d);
	free(row);
}

/* --- the plug-in ---------------------------------------------------------------------------- */

static struct vm_plugins *plugins;

static void
operate(const char *json)
{
	const struct vm_plugin_request request = { .json = { json, strlen(json) },
		                                   .buffers = &file, .buffer_count = 1 };
	struct vm_plugin_reply reply;
	struct vm_error err;

	bench_check(vm_plugins_operate_here(plugins, "wasmedge_image", "decode", &request, &reply,
	                                    &err), &err, "decode");
	memcpy(ours, reply.buffers[0].data, sizeof ours);
	vm_plugins_reply_clear(&reply);
}

static void
operate_bilinear(void)
{
	operate("{\"width\":224,\"height\":224}");
}

static void
operate_area(void)
{
	operate("{\"width\":224,\"height\":224,\"resize\":\"area\"}");
}

static struct vm_instance *instance;

static uint32_t
guest_call(const char *name, uint32_t argument)
{
	union vm_slot slots[1] = { { .u64 = argument } };
	struct vm_extern ext;
	struct vm_error err;

	bench_check(vm_instance_export(instance, (struct vm_str){ name, strlen(name) }, &ext, &err),
	            &err, name);
	bench_check(vm_func_call_slots(ext.of.func, slots, &err), &err, name);
	return slots[0].u32;
}

static void
guest_open(const char *path)
{
	struct vm_engine *engine;
	struct vm_linker *linker;
	struct vm_program *program;
	struct vm_store *store;
	struct vm_error err;

	bench_check(vm_engine_new(NULL, &engine, &err), &err, "engine");
	struct vm_module *module = bench_load(engine, path);
	bench_check(vm_linker_new(engine, &linker, &err), &err, "linker");
	bench_check(vm_plugins_define_imports(plugins, linker, module, &err), &err, "imports");
	bench_check(vm_program_new(linker, module, &program, &err), &err, "program");
	bench_check(vm_store_new(engine, NULL, &store, &err), &err, "store");
	bench_check(vm_program_instantiate(program, store, &instance, &err), &err, "instance");
	memcpy(vm_memory_data(vm_instance_memory(instance, 0)) + guest_call("image", 0), file.data,
	       file.len);
}

static void
guest_bilinear(void)
{
	if (guest_call("decode", (uint32_t)file.len) != 0) {
		fputs("the guest cannot decode it\n", stderr);
		exit(EXIT_FAILURE);
	}
}

/* --- in turns ------------------------------------------------------------------------------- */

static struct way {
	const char *name;
	void (*run)(void);
	uint64_t samples[ROUNDS_MAX];
} ways[] = {
	{ .name = "bilinear, libjpeg-turbo directly", .run = native_bilinear },
	{ .name = "bilinear, operation", .run = operate_bilinear },
	{ .name = "bilinear, guest's call", .run = guest_bilinear },
	{ .name = "area, libjpeg-turbo directly", .run = native_area },
	{ .name = "area, operation", .run = operate_area },
};
#define WAY_COUNT (sizeof ways / sizeof *ways)

static void
compare(const char *what, const uint8_t *pixels)
{
	for (size_t i = 0; i < sizeof theirs; i++)
		if (abs(pixels[i] - theirs[i]) > 1) {
			fprintf(stderr, "%s: byte %zu is %u, directly %u\n", what, i, pixels[i],
			        theirs[i]);
			exit(EXIT_FAILURE);
		}
}

static void
compare_all(void)
{
	native_bilinear();
	operate_bilinear();
	compare("bilinear", ours);
	guest_bilinear();
	compare("guest", vm_memory_data(vm_instance_memory(instance, 0)) + guest_call("pixels", 0));
	native_area();
	operate_area();
	compare("area", ours);
}

int
main(int argc, char **argv)
{
	size_t rounds = argc > 3 ? (size_t)atoi(argv[3]) : 21;
	struct vm_error err;

	if (argc < 3 || rounds == 0 || rounds > ROUNDS_MAX) {
		fputs("usage: image PLUGIN-FOLDER GUEST.wasm [ROUNDS]\n", stderr);
		return EXIT_FAILURE;
	}
	const struct vm_plugins_config config = { .path = argv[1] };
	bench_check(vm_plugins_load(&config, &plugins, &err), &err, "plug-ins");
	file.data = (const char *)jpegs_make("baseline", WIDTH, HEIGHT, &file.len);
	guest_open(argv[2]);
	compare_all();
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < WAY_COUNT; i++) {
			uint64_t start = cpu_now_ns();

			ways[i].run();
			ways[i].samples[round] = cpu_now_ns() - start;
		}
	printf("%u x %u pixels in %zu bytes to %u x %u, median of %zu:\n", WIDTH, HEIGHT, file.len,
	       SIZE, SIZE, rounds);
	uint64_t direct = 1;
	for (size_t i = 0; i < WAY_COUNT; i++) {
		bench_sort(ways[i].samples, rounds);
		uint64_t median = bench_quantile(ways[i].samples, rounds, 0.5);
		if (strstr(ways[i].name, "directly") != NULL)
			direct = median;
		printf("%-34s %8.2f ms   %.3f\n", ways[i].name, (double)median / 1e6,
		       (double)median / (double)direct);
	}
	return EXIT_SUCCESS;
}
