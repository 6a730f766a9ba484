#include "tests/plugins/nn/nntest.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
give_up(const char *what, const char *name)
{
	fprintf(stderr, "nntest: %s %s\n", what, name);
	exit(99);
}

struct nn_file
nn_test_file(const char *path)
{
	struct nn_file file = { 0 };
	FILE *stream = fopen(path, "rb");

	if (stream == NULL)
		return file;
	if (fseek(stream, 0, SEEK_END) == 0)
		file.len = (size_t)ftell(stream);
	rewind(stream);
	file.data = malloc(file.len + 1);
	if (file.data == NULL || fread(file.data, 1, file.len, stream) != file.len)
		give_up("cannot read", path);
	fclose(stream);
	return file;
}

struct nn_file
nn_test_model(const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", NN_MODELS, name);
	struct nn_file file = nn_test_file(path);
	if (file.data == NULL)
		give_up("there is no", path);
	return file;
}

const char *
nn_test_libraries(void)
{
	static char path[4096];
	const char *given = getenv("WASMEDGED_LIBRARIES");
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (given != NULL && *given != '\0')
		snprintf(path, sizeof path, "%s", given);
	else if (cache != NULL && *cache != '\0')
		snprintf(path, sizeof path, "%s/wasmedged/libraries", cache);
	else
		snprintf(path, sizeof path, "%s/.cache/wasmedged/libraries",
		         home != NULL ? home : "");
	return path;
}

bool
nn_test_has_library(const char *name)
{
	char path[4200];

	snprintf(path, sizeof path, "%s/%s", nn_test_libraries(), name);
	return access(path, R_OK) == 0;
}

static void
on_message(void *env, const char *plugin, enum vm_plugin_level level, const char *text)
{
	(void)env;
	(void)level;
	fprintf(stderr, "%s: %s\n", plugin, text);
}

struct vm_plugins *
nn_test_plugins(const struct vm_plugins_setting *more, size_t more_count)
{
	static const char *const names[] = { "wasmedge_tensorflowlite", "wasmedge_tensorflow",
		                             "wasi_nn" };
	const size_t name_count = sizeof names / sizeof *names;
	struct vm_plugins_setting *settings =
	    calloc(name_count + more_count, sizeof *settings);
	struct vm_plugins *plugins = NULL;
	struct vm_error err;

	for (size_t i = 0; i < name_count; i++)
		settings[i] = (struct vm_plugins_setting){ .plugin = names[i], .option = "library",
			                                   .value = nn_test_libraries() };
	for (size_t i = 0; i < more_count; i++)
		settings[name_count + i] = more[i];
	struct vm_plugins_config config = { .path = NN_PLUGIN_DIR, .settings = settings,
		                            .setting_count = name_count + more_count,
		                            .log = on_message };
	if (vm_plugins_load(&config, &plugins, &err) != VM_OK)
		give_up("cannot load plug-ins:", err.message);
	free(settings);
	return plugins;
}

enum vm_status
nn_test_operate(struct vm_plugins *plugins, const char *plugin, const char *operation,
                const char *json, const struct vm_str *buffers, uint32_t buffer_count,
                struct vm_plugin_reply *reply, struct vm_error *err)
{
	const struct vm_plugin_request request = { .json = { json, strlen(json) },
		                                   .buffers = buffers,
		                                   .buffer_count = buffer_count };

	return vm_plugins_operate(plugins, plugin, operation, &request, reply, err);
}

enum vm_status
nn_test_load(struct vm_plugins *plugins, const char *plugin, const char *name,
             struct vm_error *err)
{
	struct nn_file model = nn_test_model(name);
	const struct vm_str bytes = { (const char *)model.data, model.len };
	struct vm_plugin_reply reply;
	enum vm_status st = nn_test_operate(plugins, plugin, "load", "{\"model\":\"m\"}", &bytes, 1,
	                                    &reply, err);

	vm_plugins_reply_clear(&reply);
	free(model.data);
	return st;
}

double
nn_test_difference(const float *a, const float *b, size_t count)
{
	double largest = 0;

	for (size_t i = 0; i < count; i++) {
		double difference = fabs((double)a[i] - (double)b[i]);
		if (!(difference <= largest))
			largest = isnan(difference) ? INFINITY : difference;
	}
	return largest;
}

enum vm_status
nn_test_fail(struct vm_error *err, enum vm_status status, const char *format, ...)
{
	char text[VM_ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return vm_error_set(err, status, VM_NO_OFFSET, "%s", text);
}

const char *
__lsan_default_suppressions(void)
{
	return "leak:libtensorflow\nleak:libonnxruntime\n";
}
