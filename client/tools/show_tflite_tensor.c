/*
 * show_tflite_tensor.c - what goes into a TensorFlow Lite model and what comes out of it.
 *
 * The model is opened by the plug-in wasmedge_tensorflowlite; its answer is printed.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wasmedge/file.h"
#include "client/wasmedge/options.h"
#include "client/wasmedge/plugins.h"
#include "client/wasmedge/report.h"
#include "client/wasmedge/text.h"

/* The format of such models cannot have more. */
#define MODEL_BYTES_MAX (UINT64_C(1) << 31)

/*
 * An element type: word of the plug-in, name that is printed, bytes of an element. The names are
 * those that this program has always had, also where the library has learned more types.
 */
static const struct element_type {
	const char *datatype;
	const char *name;
	unsigned size_bytes; /* 0: each element has a size of its own, and nothing is known yet */
} element_types[] = {
	{ "FP32", "Float32", 4 }, { "INT32", "Int32", 4 },         { "UINT8", "UInt8", 1 },
	{ "INT64", "Int64", 8 },  { "BYTES", "String", 0 },        { "BOOL", "Bool", 1 },
	{ "INT16", "Int16", 2 },  { "COMPLEX64", "Complex64", 8 }, { "INT8", "Int8", 1 },
	{ "FP16", "Float16", 2 }, { "COMPLEX128", "Complex128", 16 }, { "FP64", "Float64", 8 },
	{ "UINT16", "Unknown", 2 }, { "UINT32", "Unknown", 4 },    { "UINT64", "Unknown", 8 },
	{ "BF16", "Unknown", 2 },
};

#define ELEMENT_TYPE_COUNT (sizeof element_types / sizeof *element_types)

static const struct element_type *
type_of(const json_t *tensor)
{
	static const struct element_type unknown = { "", "Unknown", 0 };
	const char *datatype = json_string_value(json_object_get(tensor, "datatype"));

	for (size_t i = 0; datatype != NULL && i < ELEMENT_TYPE_COUNT; i++) {
		if (strcmp(datatype, element_types[i].datatype) == 0)
			return &element_types[i];
	}
	return &unknown;
}

/* Bytes of a tensor's data; 0 where that is not known beforehand, as the library says it too. */
static uint64_t
size_of(const json_t *tensor)
{
	const json_t *shape = json_object_get(tensor, "shape");
	uint64_t size = type_of(tensor)->size_bytes;
	const json_t *dimension;
	size_t i;

	json_array_foreach(shape, i, dimension) {
		json_int_t length = json_integer_value(dimension);
		if (length <= 0 || size > INT64_MAX / (uint64_t)length)
			return 0;
		size *= (uint64_t)length;
	}
	return size;
}

/* --- text ----------------------------------------------------------------------------------- */

static void
write_shape(const json_t *shape)
{
	const json_t *dimension;
	size_t i;

	if (json_array_size(shape) == 0) {
		fputs("SCALAR", stdout);
		return;
	}
	putchar('[');
	json_array_foreach(shape, i, dimension)
		printf("%s%" JSON_INTEGER_FORMAT, i > 0 ? " , " : "",
		       json_integer_value(dimension));
	putchar(']');
}

static void
write_tensors(const char *title, const json_t *tensors)
{
	const json_t *tensor;
	size_t i;

	printf("%s tensor nums: %zu\n", title, json_array_size(tensors));
	json_array_foreach(tensors, i, tensor) {
		const char *name = json_string_value(json_object_get(tensor, "name"));

		printf("    %s tensor name: ", title);
		text_write_c(stdout, name != NULL ? name : "");
		fputs("\n        dimensions: ", stdout);
		write_shape(json_object_get(tensor, "shape"));
		printf("\n        data type: %s\n        tensor byte size: %" PRIu64 "\n",
		       type_of(tensor)->name, size_of(tensor));
	}
}

/* --- JSON ----------------------------------------------------------------------------------- */

/* The tensors with what the text has and the plug-in's answer has not. False: out of memory. */
static bool
complete(json_t *tensors)
{
	json_t *tensor;
	size_t i;

	json_array_foreach(tensors, i, tensor) {
		if (json_object_set_new(tensor, "type", json_string(type_of(tensor)->name)) != 0 ||
		    json_object_set_new(tensor, "size_bytes",
		                        json_integer((json_int_t)size_of(tensor))) != 0)
			return false;
	}
	return true;
}

static bool
write_json(json_t *inputs, json_t *outputs)
{
	if (!complete(inputs) || !complete(outputs))
		return false;
	json_t *both = json_pack("{s:O,s:O}", "inputs", inputs, "outputs", outputs);
	bool is_written = both != NULL && json_dumpf(both, stdout, JSON_INDENT(2)) == 0;
	json_decref(both);
	putchar('\n');
	return is_written;
}

/* --- the model ------------------------------------------------------------------------------ */

/* What the plug-in says of the model; freed with json_decref. */
static enum vm_status
describe(struct vm_plugins *plugins, const char *path, json_t **out, struct vm_error *err)
{
	struct vm_plugin_reply reply;
	uint8_t *bytes;
	size_t len;

	enum vm_status st = file_read(path, MODEL_BYTES_MAX, &bytes, &len, err);
	if (st != VM_OK)
		return st;
	const struct vm_str model = { (const char *)bytes, len };
	const struct vm_plugin_request request = {
		.json = VM_STR("{\"model\":\"shown\",\"format\":\"tflite\"}"),
		.buffers = &model,
		.buffer_count = 1,
	};
	st = vm_plugins_operate(plugins, "wasmedge_tensorflowlite", "load", &request, &reply, err);
	if (st == VM_OK) {
		json_t *answer = json_loadb(reply.json.data, reply.json.len, 0, NULL);
		if (json_is_array(json_object_get(answer, "inputs")) &&
		    json_is_array(json_object_get(answer, "outputs"))) {
			*out = answer;
		} else {
			json_decref(answer);
			st = vm_error_set(err, VM_E_DATA, VM_NO_OFFSET,
			                  "the plug-in does not say what goes in and out");
		}
	}
	vm_plugins_reply_clear(&reply);
	free(bytes);
	return st;
}

static int
show(struct vm_plugins *plugins, const char *path, bool as_json)
{
	struct vm_error err;
	json_t *description = NULL;
	int code = EXIT_DONE;

	enum vm_status st = describe(plugins, path, &description, &err);
	if (st != VM_OK) { /* what is unsupported is not the fault of the file */
		report_error(st != VM_E_UNSUPPORTED ? path : NULL, NULL, &err);
		return EXIT_REFUSED;
	}
	json_t *inputs = json_object_get(description, "inputs");
	json_t *outputs = json_object_get(description, "outputs");
	if (!as_json) {
		write_tensors("Input", inputs);
		write_tensors("Output", outputs);
	} else if (!write_json(inputs, outputs)) {
		report_usage("out of memory");
		code = EXIT_REFUSED;
	}
	json_decref(description);
	return code;
}

/* --- the command line ----------------------------------------------------------------------- */

static int
verb_show(void *context, const struct cli_args *args)
{
	char message[OPTIONS_MESSAGE_MAX];
	struct plugin_options options;
	struct vm_plugins *plugins;
	struct vm_error err;
	int code = EXIT_REFUSED;

	if (!plugin_options_read(args, &options, message)) {
		report_usage(message);
		return code;
	}
	if (plugins_load(context, &options, &plugins, &err) == VM_OK) {
		code = show(plugins, args->words[0], cli_has(args, "json"));
		vm_plugins_free(plugins);
	} else {
		report_error(NULL, NULL, &err);
	}
	plugin_options_clear(&options);
	return code;
}

static const struct cli_verb verbs[] = {
	{ "", "MODEL", "@file", 1, 1, 0, "Show the inputs and outputs of a model",
	  plugins_option_rows, verb_show },
	{ "completion", CLI_SHELLS, CLI_SHELLS, 1, 1, 0, "Print the completion script for a shell",
	  no_option_rows, verb_completion },
};

static const struct cli_program program = {
	.name = "show-tflite-tensor",
	.summary = "Show the inputs and outputs of a TensorFlow Lite model.",
	.options = program_option_rows,
	.verbs = verbs,
	.verb_count = sizeof verbs / sizeof *verbs,
};

int
main(int argc, char **argv)
{
	struct runner runner = { .program = &program };

	if (argc == 1) {
		puts("Usage: ./show-tflite-tensor MODEL.tflite");
		return EXIT_DONE;
	}
	return runner_main(&runner, argc, argv);
}
