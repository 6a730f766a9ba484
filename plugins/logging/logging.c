/*
 * logging.c - wasi_logging: messages with a level, as lines on the guest's own streams.
 *
 *     [2026-01-31 12:00:00.000] [info] message
 *
 * The context says where: "" and "stdout" are standard output, "stderr" is standard error. Any
 * other one only groups messages: it goes to standard error too, in front of the message. It is
 * never the name of a file.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "vm/plugin.h"

#define HEAD_BYTES_MAX 64
#define LINE_BYTES_MAX 4096 /* longer ones are written in parts */

static const char *const levels[] = { "trace", "debug", "info", "warning", "error", "critical" };

#define LEVEL_COUNT (sizeof levels / sizeof *levels)

static struct vm_str
str_of(const char *text)
{
	return (struct vm_str){ text, strlen(text) };
}

static bool
str_is(struct vm_str str, const char *text)
{
	return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

/* "[date time] [level] " in local time. */
static struct vm_str
write_head(char head[HEAD_BYTES_MAX], const char *level)
{
	struct timespec now;
	struct tm parts;
	char date[32] = "";

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (localtime_r(&now.tv_sec, &parts) != NULL)
		(void)strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &parts);
	(void)snprintf(head, HEAD_BYTES_MAX, "[%s.%03ld] [%s] ", date, now.tv_nsec / 1000000,
	               level);
	return str_of(head);
}

/* In one piece, so that lines of several guests do not mix, unless that takes too much room. */
static enum vm_status
write_parts(const struct vm_plugin_call *call, int stream, const struct vm_str *parts, size_t count,
            struct vm_error *err)
{
	char line[LINE_BYTES_MAX];
	enum vm_status st = VM_OK;
	size_t len = 0;

	for (size_t i = 0; i < count && st == VM_OK; i++) {
		if (parts[i].len == 0)
			continue;
		if (len + parts[i].len > sizeof line) {
			st = vm_plugin_write(call, stream, line, len, err);
			len = 0;
		}
		if (parts[i].len > sizeof line) {
			if (st == VM_OK)
				st = vm_plugin_write(call, stream, parts[i].data, parts[i].len,
				                     err);
		} else {
			memcpy(line + len, parts[i].data, parts[i].len);
			len += parts[i].len;
		}
	}
	return st == VM_OK ? vm_plugin_write(call, stream, line, len, err) : st;
}

/* log(level, context, length, message, length) */
static enum vm_status
guest_log(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const uint32_t level = slots[0].u32;
	const struct vm_str context = {
		vm_plugin_memory(call, slots[1].u32, slots[2].u32), slots[2].u32
	};
	const struct vm_str message = {
		vm_plugin_memory(call, slots[3].u32, slots[4].u32), slots[4].u32
	};
	char head[HEAD_BYTES_MAX];

	if (level >= LEVEL_COUNT)
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "log: there is no level %u, they are 0 (trace) to 5 "
		                      "(critical)",
		                      level);
	if (context.data == NULL)
		return vm_plugin_trap_memory(call, err, "log: context", slots[1].u32, context.len);
	if (message.data == NULL)
		return vm_plugin_trap_memory(call, err, "log: message", slots[3].u32, message.len);

	const bool is_output = context.len == 0 || str_is(context, "stdout");
	const bool is_group = !is_output && !str_is(context, "stderr");
	const struct vm_str parts[] = {
		write_head(head, levels[level]),
		is_group ? context : VM_STR(""),
		is_group ? VM_STR(": ") : VM_STR(""),
		message,
		VM_STR("\n"),
	};
	return write_parts(call, is_output ? 1 : 2, parts, sizeof parts / sizeof *parts, err);
}

static const struct vm_plugin_func funcs[] = {
	{ "log", "iiiii", "", guest_log },
};

static const struct vm_plugin_module modules[] = {
	{ "wasi:logging/logging", "Messages with a level", funcs, 1 },
};

static const struct vm_plugin plugin = {
	.abi = VM_PLUGIN_ABI,
	.name = "wasi_logging",
	.version = "1.0.0",
	.summary = "Messages with a level, as lines on the guest's standard output and error",
	.modules = modules,
	.module_count = 1,
};

VM_PLUGIN(wasi_logging)
{
	return &plugin;
}
