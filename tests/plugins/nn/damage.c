/*
 * damage.c - damaged models, through the operations, over the real libraries.
 *
 * DAMAGE_COUNT models (500) are made of good ones by a few wrong bytes, loaded, and run when they
 * load. That happens in a child, which goes on behind what ended it. A crash within a library is
 * counted and told: containing it is for whoever runs the operations (the daemon has processes for
 * that). A crash within our code is a failure. When the C library finds its heap damaged, that is
 * long after whoever did it: it is counted as a library's, since builds with AddressSanitizer run
 * the same models and tell of ours.
 *
 *     damage PLUG-IN NUMBER      that model alone, in this process: for a debugger
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/plugins/nn/nntest.h"

#define INPUT_MAX (1u << 20)
#define SECONDS_MAX 20u /* for one model */
#define CHILDREN_MAX 2000

static const struct kind {
	const char *plugin;
	const char *library;
	const char *models[3];
} kinds[] = {
	{ "wasmedge_tensorflowlite", "libtensorflowlite_c.so",
	  { "network.tflite", "two.tflite", "texts.tflite" } },
	{ "wasi_nn", "libonnxruntime.so.1", { "network.onnx", "two.onnx", "texts.onnx" } },
	{ "wasmedge_tensorflow", "libtensorflow_cc.so.2", { "network.pb", "two.pb", "two.pb" } },
};

/* What a child tells, also when it ends. */
static struct report {
	unsigned next; /* the model under way, or the number of all when done */
	unsigned refused, loaded, ran;
	char object[256]; /* where it crashed; "" when it did not */
} *report;

/* --- models --------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t
any(uint32_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((random_state >> 33) % below);
}

static void
damage(struct nn_file *file)
{
	static const uint32_t numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000,
		                            0xffffffff, 0x10000, 4 };
	static const size_t number_count = sizeof numbers / sizeof *numbers;
	uint32_t edits = 1 + any(4);

	for (uint32_t i = 0; i < edits && file->len > 8; i++) {
		uint32_t at = any((uint32_t)file->len - 4);
		uint32_t number = numbers[any((uint32_t)number_count)];
		switch (any(6)) {
		case 0:
			file->data[at] ^= (uint8_t)(1 << any(8));
			break;
		case 1:
			file->data[at] = (uint8_t)number;
			break;
		case 2:
			file->data[at] = (uint8_t)any(256);
			break;
		case 3:
			memcpy(file->data + at, &number, 4);
			break;
		case 4: /* a part of it over another */
			memmove(file->data + at, file->data + any((uint32_t)file->len - 4), 4);
			break;
		default:
			if (any(4) == 0)
				file->len = at + 1;
			break;
		}
	}
}

/* Zeros for all inputs, one for each dimension unknown. */
static void
run(struct vm_plugins *plugins, const char *plugin, struct vm_str description)
{
	static char zeros[INPUT_MAX];
	static const struct { const char *word; json_int_t size; } sizes[] = {
		{ "BYTES", 4 }, { "FP32", 4 }, { "FP64", 8 }, { "INT64", 8 }, { "UINT64", 8 },
		{ "INT32", 4 }, { "UINT32", 4 }, { "INT16", 2 }, { "UINT16", 2 }, { "FP16", 2 },
		{ "BF16", 2 }, { "COMPLEX64", 8 }, { "COMPLEX128", 16 }, { "QINT32", 4 },
	};
	struct vm_str data[VM_PLUGIN_BUFFERS_MAX];
	struct vm_plugin_reply reply;
	struct vm_error err;
	size_t index;
	size_t i;
	json_t *input;
	json_t *dim;
	json_t *json = json_loadb(description.data, description.len, 0, NULL);
	json_t *inputs = json_object_get(json, "inputs");

	json_array_foreach(inputs, index, input) {
		json_int_t count = 1;
		const char *word = json_string_value(json_object_get(input, "datatype"));
		json_t *shape = json_object_get(input, "shape");
		if (json_is_null(shape))
			json_object_set_new(input, "shape", json_array());
		json_array_foreach(json_object_get(input, "shape"), i, dim) {
			json_int_t size = json_integer_value(dim) < 0 ? 1 : json_integer_value(dim);
			json_array_set_new(json_object_get(input, "shape"), i, json_integer(size));
			count = size > (json_int_t)INPUT_MAX || count > (json_int_t)INPUT_MAX
			            ? (json_int_t)INPUT_MAX : count * size;
		}
		json_int_t width = 1;
		for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
			width = strcmp(sizes[k].word, word) == 0 ? sizes[k].size : width;
		if (count > (json_int_t)INPUT_MAX / width)
			count = 0;
		data[index] = (struct vm_str){ zeros, (size_t)(count * width) };
	}
	json_t *request = json_pack("{s:s,s:O}", "model", "m", "inputs", inputs);
	char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	if (text != NULL && nn_test_operate(plugins, plugin, "infer", text, data,
	                                    (uint32_t)json_array_size(inputs), &reply, &err) ==
	                        VM_OK)
		report->ran++;
	if (text != NULL)
		vm_plugins_reply_clear(&reply);
	free(text);
	json_decref(request);
	json_decref(json);
}

static void
try_one(struct vm_plugins *plugins, const struct kind *kind, unsigned number)
{
	struct nn_file file = nn_test_model(kind->models[number % 3]);
	struct vm_plugin_reply reply;
	struct vm_error err;

	random_state = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	damage(&file);
	const struct vm_str bytes = { (const char *)file.data, file.len };
	enum vm_status st = nn_test_operate(plugins, kind->plugin, "load", "{\"model\":\"m\"}",
	                                    &bytes, 1, &reply, &err);
	if (st == VM_OK) {
		report->loaded++;
		run(plugins, kind->plugin, reply.json);
	} else {
		report->refused++;
	}
	vm_plugins_reply_clear(&reply);
	(void)nn_test_operate(plugins, kind->plugin, "unload", "{\"model\":\"m\"}", NULL, 0, &reply,
	                      &err);
	vm_plugins_reply_clear(&reply);
	free(file.data);
}

/* --- the child ------------------------------------------------------------------------------ */

/* Whose fault is it? The innermost frame that is not the C library's. */
static void
on_crash(int signal)
{
	void *frames[64];
	int count = backtrace(frames, 64);
	Dl_info info;

	for (int i = 1; i < count; i++) {
		if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL ||
		    strstr(info.dli_fname, "/libc.so") != NULL ||
		    strstr(info.dli_fname, "/libstdc++") != NULL ||
		    strstr(info.dli_fname, "/libgcc") != NULL ||
		    (i < 3 && strstr(info.dli_fname, "damage") != NULL)) /* this function */
			continue;
		snprintf(report->object, sizeof report->object, "%s", info.dli_fname);
		break;
	}
	if (report->object[0] == '\0')
		snprintf(report->object, sizeof report->object, "nowhere");
	_exit(100 + signal);
}

static void
child(const struct kind *kind, unsigned count)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM };
	void *warm[4];

	(void)backtrace(warm, 4); /* it opens a library the first time */
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		signal(signals[i], on_crash);
	if (getenv("SANITIZED") == NULL || *getenv("SANITIZED") == '\0') {
		const struct rlimit memory = { UINT64_C(12) << 30, UINT64_C(12) << 30 };
		setrlimit(RLIMIT_AS, &memory);
	}
	const struct rlimit no_core = { 0, 0 };
	setrlimit(RLIMIT_CORE, &no_core);
	struct vm_plugins *plugins = nn_test_plugins(NULL, 0);
	for (; report->next < count; report->next++) {
		alarm(SECONDS_MAX);
		try_one(plugins, kind, report->next);
	}
	alarm(0);
	_exit(0);
}

/* Is the object one of ours, or none? */
static bool
is_ours(const char *object)
{
	return strstr(object, "libtensorflow") == NULL && strstr(object, "libonnxruntime") == NULL;
}

/* How many of ours crashed. */
static unsigned
try_all(const struct kind *kind, unsigned count)
{
	unsigned theirs = 0;
	unsigned ours = 0;
	int status;

	memset(report, 0, sizeof *report);
	for (int i = 0; i < CHILDREN_MAX && report->next < count; i++) {
		report->object[0] = '\0';
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			(void)!freopen("/dev/null", "w", stdout);
			if (getenv("DAMAGE_VERBOSE") == NULL)
				(void)!freopen("/dev/null", "w", stderr);
			child(kind, count);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			exit(99);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		const int how = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) - 100;
		const bool is_mine = how != SIGALRM && how != SIGKILL && how != SIGABRT &&
		                     is_ours(report->object);
		const char *slash = strrchr(report->object, '/');
		printf("%s %u of %s: %s in %s\n", kind->plugin, report->next,
		       kind->models[report->next % 3],
		       how > 0 ? strsignal(how) : "ended",
		       slash != NULL ? slash + 1 : report->object);
		*(is_mine ? &ours : &theirs) += 1;
		report->next++;
	}
	if (report->next < count) {
		printf("%s: given up after %u\n", kind->plugin, report->next);
		ours++;
	}
	printf("%s: %u damaged models: %u refused, %u loaded, %u of them ran; %u ended their "
	       "process "
	       "within the library, %u within our code\n", kind->plugin, count, report->refused,
	       report->loaded, report->ran, theirs, ours);
	return ours;
}

int
main(int argc, char **argv)
{
	const char *given = getenv("DAMAGE_COUNT");
	const unsigned count = given != NULL ? (unsigned)atoi(given) : 500;
	unsigned passed = 0, failed = 0, skipped = 0;

	report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	              0);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && argc == 3; i++) {
		if (strcmp(kinds[i].plugin, argv[1]) == 0)
			try_one(nn_test_plugins(NULL, 0), &kinds[i], (unsigned)atoi(argv[2]));
	}
	if (argc == 3)
		return 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (!nn_test_has_library(kinds[i].library)) {
			printf("SKIP %s: its library is not there: ./bootstrap libraries\n",
			       kinds[i].plugin);
			skipped++;
		} else if (try_all(&kinds[i], count / 3) > 0) {
			failed++;
		} else {
			passed++;
		}
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed > 0 ? 1 : 0;
}
