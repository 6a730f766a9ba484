/*
 * guest.c - the functions that programs import from wasmedge_image, of two generations.
 *
 *   load_{jpg,png}_to_{rgb8,bgr8,rgb32f,bgr32f}, with the module's name before them
 *       (ptr image, len, width, height, ptr pixels) -> 0, or 1: it cannot be decoded
 *   load_jpg, load_png, load_image
 *       (ptr image, len, width, height, type, ptr pixels, len) -> 0, or 1: whatever is wrong
 *
 * Both give the same pixels: bilinear with the corners on each other, alpha multiplied, floats
 * that are byte / 255. That is what the second generation did until 0.14, and the first one always.
 * Later versions of it resize with antialiasing, drop alpha and raise floats to the power of 2.2.
 * The older is taken because programs of both generations then see the same, because byte / 255 is
 * what models are trained on, and because it can be said in one formula. From the later versions
 * is that load_jpg and load_png take either format.
 *
 * The first generation does not say how long its pixels are: they have to lie in the memory, or the
 * guest traps.
 */
#include <stdio.h>
#include <string.h>
#include "plugins/image/image.h"
#include "plugins/image/source.h"

/* What is to be decoded where to. */
struct load {
	const void *image;
	size_t image_len;
	uint32_t width;
	uint32_t height;
	enum picture_format format;
	enum image_layout layout;
	void *pixels;
	uint64_t pixels_len; /* that the layout needs */
};

static const char *const format_names[] = { "auto", "jpeg", "png" };

/* Sets *out_result to 0 or 1. Returns VM_OK, or VM_TRAP when the guest was stopped meanwhile. */
static enum vm_status
load_run(const struct vm_plugin_call *call, const struct load *load, uint32_t *out_result,
         struct vm_error *err)
{
	struct vm_str image = { load->image, load->image_len };
	struct vm_plugin_request request = { .buffers = &image, .buffer_count = 1 };
	struct vm_plugin_reply reply = { 0 };
	char json[128];

	request.json.data = json;
	request.json.len = (size_t)snprintf(
	    json, sizeof json, "{\"width\":%u,\"height\":%u,\"format\":\"%s\",\"layout\":\"%s\"}",
	    load->width, load->height, format_names[load->format],
	    image_layout_names[load->layout]);
	enum vm_status st = vm_plugin_operate(call, NULL, "decode", &request, &reply, err);
	/* It may come from another process, which strangers' bytes may have taken over. */
	bool is_whole = st == VM_OK && reply.buffer_count == 1 &&
	                reply.buffers[0].len == load->pixels_len;
	if (is_whole)
		memcpy(load->pixels, reply.buffers[0].data, reply.buffers[0].len);
	else if (st != VM_TRAP)
		vm_plugin_log(call->host, VM_PLUGIN_INFO, "a guest's picture: %s",
		              st != VM_OK ? err->message : "the decoder gave something else");
	vm_plugin_reply_clear(call->host, &reply);
	if (st == VM_TRAP)
		return st;
	*out_result = is_whole ? 0 : 1;
	return VM_OK;
}

static enum vm_status
load_or_trap(const struct vm_plugin_call *call, union vm_slot *slots, enum picture_format format,
             enum image_layout layout, struct vm_error *err)
{
	struct load load = { .image_len = slots[1].u32, .width = slots[2].u32,
		             .height = slots[3].u32, .format = format, .layout = layout };

	if (!vm_plugin_has_memory(call))
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "the module that calls wasmedge_image has no memory");
	load.image = vm_plugin_memory(call, slots[0].u32, load.image_len);
	if (load.image == NULL)
		return vm_plugin_trap_memory(call, err, "image", slots[0].u32, load.image_len);
	load.pixels_len = image_layout_bytes(layout, load.width, load.height);
	load.pixels = vm_plugin_memory(call, slots[4].u32, load.pixels_len);
	if (load.pixels == NULL)
		return vm_plugin_trap_memory(call, err, "pixels", slots[4].u32, load.pixels_len);
	return load_run(call, &load, &slots[0].u32, err);
}

static enum vm_status
load_or_fail(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const uint32_t type = slots[4].u32;
	const uint32_t pixels_len = slots[6].u32;
	struct load load = { .image_len = slots[1].u32, .width = slots[2].u32,
		             .height = slots[3].u32, .format = PICTURE_AUTO,
		             .layout = (enum image_layout)type };

	load.image = vm_plugin_memory(call, slots[0].u32, load.image_len);
	load.pixels = vm_plugin_memory(call, slots[5].u32, pixels_len);
	slots[0].u32 = 1;
	if (load.image == NULL || load.pixels == NULL || type > LAYOUT_BGR32F)
		return VM_OK;
	load.pixels_len = image_layout_bytes(load.layout, load.width, load.height);
	if (load.pixels_len > pixels_len)
		return VM_OK;
	return load_run(call, &load, &slots[0].u32, err);
}

#define LOAD(format, layout, FORMAT, LAYOUT)                                                      \
	static enum vm_status load_##format##_##layout(const struct vm_plugin_call *call,         \
	                                               union vm_slot *slots, struct vm_error *err) \
	{                                                                                         \
		return load_or_trap(call, slots, PICTURE_##FORMAT, LAYOUT_##LAYOUT, err);         \
	}
LOAD(jpg, rgb8, JPEG, RGB8)
LOAD(jpg, bgr8, JPEG, BGR8)
LOAD(jpg, rgb32f, JPEG, RGB32F)
LOAD(jpg, bgr32f, JPEG, BGR32F)
LOAD(png, rgb8, PNG, RGB8)
LOAD(png, bgr8, PNG, BGR8)
LOAD(png, rgb32f, PNG, RGB32F)
LOAD(png, bgr32f, PNG, BGR32F)

static const struct vm_plugin_func funcs[] = {
	{ "wasmedge_image_load_jpg_to_rgb8", "iiiii", "i", load_jpg_rgb8 },
	{ "wasmedge_image_load_jpg_to_bgr8", "iiiii", "i", load_jpg_bgr8 },
	{ "wasmedge_image_load_jpg_to_rgb32f", "iiiii", "i", load_jpg_rgb32f },
	{ "wasmedge_image_load_jpg_to_bgr32f", "iiiii", "i", load_jpg_bgr32f },
	{ "wasmedge_image_load_png_to_rgb8", "iiiii", "i", load_png_rgb8 },
	{ "wasmedge_image_load_png_to_bgr8", "iiiii", "i", load_png_bgr8 },
	{ "wasmedge_image_load_png_to_rgb32f", "iiiii", "i", load_png_rgb32f },
	{ "wasmedge_image_load_png_to_bgr32f", "iiiii", "i", load_png_bgr32f },
	{ "load_jpg", "iiiiiii", "i", load_or_fail },
	{ "load_png", "iiiiiii", "i", load_or_fail },
	{ "load_image", "iiiiiii", "i", load_or_fail },
};

const struct vm_plugin_module image_modules[IMAGE_MODULE_COUNT] = {
	{ "wasmedge_image", "Pictures to pixels", funcs, sizeof funcs / sizeof *funcs },
};
