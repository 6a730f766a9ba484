/*
 * plugin_main.c - wasmedged-plugin: runs operations of one plug-in for the daemon, one at a time.
 *
 * A process of its own, because decoders and inference libraries read what strangers made: they may
 * run into a fault, out of memory, or never end. See plugin_wire.h for what it is given and what it
 * says. It opens what the plug-in needs, gives up its rights, and serves until nobody is there.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "daemon/confine.h"
#include "daemon/plugin_wire.h"

#define EXIT_USAGE 2
#define DESCRIPTORS_MAX 256
#define LIST_MAX 256 /* options, and paths */

struct options {
	const char *name;
	const char *path;
	uint64_t memory_bytes;
	uint64_t bytes_max;
	uint64_t parent;
	struct vm_plugins_setting settings[LIST_MAX];
	size_t setting_count;
	const char *readable[LIST_MAX];
	size_t readable_count;
};

/* What the messages of a plug-in need. */
struct session {
	uint32_t serial;
};

static void
say(uint32_t serial, enum plugin_wire_kind kind, uint32_t level, uint64_t size_bytes,
    const char *text)
{
	const struct plugin_wire_message message = { .kind = kind, .serial = serial,
		                                     .level = level, .size_bytes = size_bytes };

	if (!plugin_wire_send(PLUGIN_WIRE_SOCKET_FD, &message, text))
		_exit(EXIT_FAILURE); /* nobody is there */
}

static int
fail(const char *text)
{
	say(0, PLUGIN_WIRE_FAILED, 0, 0, text);
	return EXIT_FAILURE;
}

/* --- command line ------------------------------------------------------------------------- */

static bool
parse_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	uint64_t number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
		return false;
	*out = number;
	return true;
}

/* NAME=VALUE, which is taken apart. */
static bool
add_setting(struct options *options, char *text)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || options->setting_count == LIST_MAX)
		return false;
	*equals = '\0';
	options->settings[options->setting_count++] =
	    (struct vm_plugins_setting){ .option = text, .value = equals + 1 };
	return true;
}

static bool
add_readable(struct options *options, const char *path)
{
	/* One more stays NULL, as the end. */
	if (options->readable_count == LIST_MAX - 1)
		return false;
	options->readable[options->readable_count++] = path;
	return true;
}

static bool
parse_options(int argc, char **argv, struct options *out)
{
	static const struct option names[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "path", required_argument, NULL, 'p' },
		{ "memory", required_argument, NULL, 'm' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "parent", required_argument, NULL, 'P' },
		{ "option", required_argument, NULL, 'o' },
		{ "read", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	bool ok = true;
	int option;

	while (ok && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 'n':
			out->name = optarg;
			break;
		case 'p':
			out->path = optarg;
			break;
		case 'm':
			ok = parse_number(optarg, &out->memory_bytes);
			break;
		case 'b':
			ok = parse_number(optarg, &out->bytes_max);
			break;
		case 'P':
			ok = parse_number(optarg, &out->parent);
			break;
		case 'o':
			ok = add_setting(out, optarg);
			break;
		case 'r':
			ok = add_readable(out, optarg);
			break;
		default:
			ok = false;
		}
	}
	for (size_t i = 0; i < out->setting_count; i++)
		out->settings[i].plugin = out->name;
	return ok && optind == argc && out->name != NULL && out->path != NULL &&
	       out->memory_bytes > 0 && out->bytes_max > 0;
}

/* --- the plug-in -------------------------------------------------------------------------- */

static void
on_message(void *env, const char *plugin, enum vm_plugin_level level, const char *text)
{
	const struct session *session = env;

	(void)plugin;
	say(session->serial, PLUGIN_WIRE_LOG, level, 0, text);
}

/* Loads it, and asks whether all is there, so that its libraries are opened. */
static struct vm_plugins *
load(const struct options *options, struct session *session, struct vm_error *err)
{
	const struct vm_plugins_config config = {
		.path = options->path,
		.wanted = options->name,
		.settings = options->settings,
		.setting_count = options->setting_count,
		.log = on_message,
		.log_env = session,
	};
	struct vm_plugins *plugins;
	struct vm_plugins_info info;

	if (vm_plugins_load(&config, &plugins, err) != VM_OK)
		return NULL;
	if (vm_plugins_count(plugins) == 1) {
		vm_plugins_info(plugins, 0, &info);
		if (info.plugin != NULL)
			return plugins;
		(void)vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET, "%s", info.why_not);
	} else {
		(void)vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET, "it is not in %s",
		                   options->path);
	}
	vm_plugins_free(plugins);
	return NULL;
}

/* --- operations --------------------------------------------------------------------------- */

static struct vm_str
text_of(const char *area, const struct plugin_wire_head *head,
        const struct plugin_wire_layout *layout, enum plugin_wire_text text)
{
	return (struct vm_str){ area + layout->texts[text], (size_t)head->text_lens[text] };
}

static enum vm_status
check(struct vm_plugins *plugins, struct vm_error *err)
{
	struct vm_plugins_info info;

	vm_plugins_info(plugins, 0, &info);
	return info.why_not == NULL
	           ? VM_OK
	           : vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET, "%s", info.why_not);
}

static enum vm_status
operate(struct vm_plugins *plugins, const char *plugin, const char *area, uint64_t size_bytes,
        struct vm_plugin_reply *reply, struct vm_error *err)
{
	struct vm_str buffers[VM_PLUGIN_BUFFERS_MAX];
	const struct plugin_wire_head *head = (const void *)area;
	struct plugin_wire_layout layout;
	char name[128];

	if (size_bytes < sizeof *head || !plugin_wire_layout(head, size_bytes, &layout))
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "the request is garbled");
	struct vm_str asked = text_of(area, head, &layout, PLUGIN_WIRE_NAME);
	if (asked.len >= sizeof name)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET, "no such operation");
	memcpy(name, asked.data, asked.len);
	name[asked.len] = '\0';
	if (asked.len == 0)
		return check(plugins, err);
	for (uint32_t i = 0; i < head->buffer_count; i++)
		buffers[i] = (struct vm_str){ area + layout.buffers[i],
			                      (size_t)head->buffer_lens[i] };
	const struct vm_plugin_request request = {
		.json = text_of(area, head, &layout, PLUGIN_WIRE_JSON),
		.tenant = text_of(area, head, &layout, PLUGIN_WIRE_TENANT),
		.buffers = buffers,
		.buffer_count = head->buffer_count,
	};
	return vm_plugins_operate_here(plugins, plugin, name, &request, reply, err);
}

static enum vm_status
too_large(uint64_t size_bytes, uint64_t bytes_max, struct vm_error *err)
{
	return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
	                    "the answer has %llu bytes, the setting plugins.bytes allows %llu",
	                    (unsigned long long)size_bytes, (unsigned long long)bytes_max);
}

/* Returns how many bytes it has. */
static uint64_t
write_reply(const struct options *options, enum vm_status status,
            const struct vm_plugin_reply *reply, struct vm_error *err)
{
	struct vm_str buffers[VM_PLUGIN_BUFFERS_MAX];
	struct plugin_wire_parts parts = { .status = status };

	for (uint32_t i = 0; i < reply->buffer_count; i++)
		buffers[i] = (struct vm_str){ (const char *)reply->buffers[i].data,
			                      reply->buffers[i].len };
	if (status == VM_OK) {
		parts.texts[PLUGIN_WIRE_JSON] = reply->json;
		parts.buffers = buffers;
		parts.buffer_count = reply->buffer_count;
		uint64_t size_bytes = plugin_wire_size(&parts);
		if (size_bytes > options->bytes_max) {
			parts = (struct plugin_wire_parts){ 0 };
			parts.status = too_large(size_bytes, options->bytes_max, err);
		}
	}
	if (parts.status != VM_OK)
		parts.texts[PLUGIN_WIRE_ERROR] =
		    (struct vm_str){ err->message, strlen(err->message) };
	if (!plugin_wire_write(PLUGIN_WIRE_REPLY_FD, &parts))
		_exit(EXIT_FAILURE);
	return plugin_wire_size(&parts);
}

static void
serve_one(const struct options *options, struct vm_plugins *plugins,
          const struct plugin_wire_message *message)
{
	size_t len = (size_t)message->size_bytes;
	struct vm_plugin_reply reply = { 0 };
	struct vm_error err = { .message = "" };
	enum vm_status status;

	char *area = len == 0 ? MAP_FAILED
	                      : mmap(NULL, len, PROT_READ, MAP_SHARED, PLUGIN_WIRE_REQUEST_FD, 0);
	if (area == MAP_FAILED)
		status = vm_error_set(&err, VM_E_NOMEM, VM_NO_OFFSET, "no memory for the request");
	else
		status = operate(plugins, options->name, area, len, &reply, &err);
	uint64_t size_bytes = write_reply(options, status, &reply, &err);
	vm_plugins_reply_clear(&reply);
	if (area != MAP_FAILED)
		munmap(area, len);
	say(message->serial, PLUGIN_WIRE_DONE, 0, size_bytes, NULL);
}

/* Until the daemon has closed its end. */
static int
serve(const struct options *options, struct vm_plugins *plugins, struct session *session)
{
	struct plugin_wire_message message;
	ssize_t got;

	for (;;) {
		/* As send() is, recv() is gone. */
		got = read(PLUGIN_WIRE_SOCKET_FD, &message, sizeof message);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t)offsetof(struct plugin_wire_message, text) ||
		    message.magic != PLUGIN_WIRE_MAGIC || message.kind != PLUGIN_WIRE_ASK)
			return got == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		session->serial = message.serial;
		serve_one(options, plugins, &message);
	}
}

int
main(int argc, char **argv)
{
	static struct options options;
	struct session session = { 0 };
	struct vm_error err = { .message = "" };

	opterr = 0;
	if (!parse_options(argc, argv, &options)) {
		fputs("wasmedged-plugin: this program is started by wasmedged(8)\n", stderr);
		return EXIT_USAGE;
	}
	const struct confine_limits limits = {
		.memory_bytes = options.memory_bytes,
		.file_bytes = options.bytes_max,
		.descriptors_kept = PLUGIN_WIRE_REPLY_FD + 1,
		.descriptors_max = DESCRIPTORS_MAX,
	};
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* then writing fails */
	confine_resources(&limits);
	if (options.parent != 0 && (uint64_t)getppid() != options.parent)
		return EXIT_FAILURE; /* it ended before it could take us with it */
	struct vm_plugins *plugins = load(&options, &session, &err);
	if (plugins == NULL)
		return fail(err.message);
	bool has_files = confine_files(options.readable);
	bool has_calls = confine_calls_strictly();
	if (!has_calls)
		say(0, PLUGIN_WIRE_LOG, VM_PLUGIN_WARNING, 0,
		    "its process has all rights of the daemon's user: this kernel or machine has "
		    "no filter for system calls");
	else if (!has_files)
		say(0, PLUGIN_WIRE_LOG, VM_PLUGIN_WARNING, 0,
		    "its process may read all files of the daemon's user: this kernel has no "
		    "Landlock");
	say(0, PLUGIN_WIRE_READY, 0, 0, NULL);
	int status = serve(&options, plugins, &session);
	/* Its memory goes with the process; what a library does at its end may need rights. */
	_exit(status);
}
