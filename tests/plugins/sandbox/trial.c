/*
 * trial.c - a plug-in that does all that one should not: for tests of where its operations run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "daemon/plugin_wire.h"
#include "vm/plugin.h"

static char start[32]; /* the option of that name */
static const struct vm_plugin_host *vm;

/* --- reading requests ---------------------------------------------------------------------- */

/* Where the value of a member begins; requests of tests have no blanks. NULL: it is not there. */
static const char *
member(const struct vm_plugin_request *request, const char *name, char text[static 256])
{
	char key[64];
	size_t len = request->json.len < 255 ? request->json.len : 255;

	memcpy(text, request->json.data, len);
	text[len] = '\0';
	snprintf(key, sizeof key, "\"%s\":", name);
	const char *at = strstr(text, key);
	return at == NULL ? NULL : at + strlen(key);
}

static long
number(const struct vm_plugin_request *request, const char *name)
{
	char text[256];
	const char *at = member(request, name, text);

	return at == NULL ? 0 : strtol(at, NULL, 10);
}

static bool
is_word(const struct vm_plugin_request *request, const char *name, const char *word)
{
	char text[256];
	const char *at = member(request, name, text);

	return at != NULL && at[0] == '"' && strncmp(at + 1, word, strlen(word)) == 0 &&
	       at[1 + strlen(word)] == '"';
}

static enum vm_status VM_PRINTF(4, 5)
say(const struct vm_plugin_host *host, struct vm_plugin_reply *reply, struct vm_error *err,
    const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return vm_plugin_reply_json(host, reply, text, (size_t)len)
	           ? VM_OK
	           : vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
}

static enum vm_status
copy_buffers(const struct vm_plugin_host *host, const struct vm_plugin_request *request,
             struct vm_plugin_reply *reply, struct vm_error *err)
{
	for (uint32_t i = 0; i < request->buffer_count; i++) {
		uint8_t *data = vm_plugin_reply_buffer(host, reply, request->buffers[i].len);
		if (data == NULL)
			return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
		if (request->buffers[i].len > 0)
			memcpy(data, request->buffers[i].data, request->buffers[i].len);
	}
	return VM_OK;
}

/* --- operations that behave ---------------------------------------------------------------- */

#define OPERATION(name) \
	static enum vm_status name(const struct vm_plugin_host *host, void *plugin, \
	                           const struct vm_plugin_request *request, \
	                           struct vm_plugin_reply *reply, struct vm_error *err)
#define UNUSED() ((void)host, (void)plugin, (void)request, (void)reply, (void)err)

OPERATION(echo)
{
	UNUSED();
	if (request->json.len > 0 &&
	    !vm_plugin_reply_json(host, reply, request->json.data, request->json.len))
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	return copy_buffers(host, request, reply, err);
}

OPERATION(who)
{
	UNUSED();
	return say(host, reply, err, "{\"pid\":%d,\"parent\":%d,\"tenant\":\"%.*s\"}",
	           (int)getpid(), (int)getppid(), (int)request->tenant.len, request->tenant.data);
}

static void
wait_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

OPERATION(pause_for)
{
	UNUSED();
	wait_ms(number(request, "ms"));
	return who(host, plugin, request, reply, err);
}

OPERATION(talk)
{
	UNUSED();
	for (long i = 0; i < number(request, "times"); i++)
		vm_plugin_log(host, VM_PLUGIN_INFO, "line %ld\n\033[31m", i);
	return VM_OK;
}

OPERATION(fill)
{
	UNUSED();
	long count = number(request, "bytes");
	uint8_t *data = count < 0 ? NULL : vm_plugin_reply_buffer(host, reply, (size_t)count);
	if (data == NULL)
		return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
	memset(data, 'x', (size_t)count);
	return VM_OK;
}

static const struct {
	const char *word;
	enum vm_status status;
} statuses[] = {
	{ "argument", VM_E_ARGUMENT },
	{ "data", VM_E_DATA },
	{ "not-found", VM_E_NOT_FOUND },
	{ "conflict", VM_E_CONFLICT },
	{ "limit", VM_E_LIMIT },
	{ "unsupported", VM_E_UNSUPPORTED },
	{ "nomem", VM_E_NOMEM },
	{ "io", VM_E_IO },
	{ "trap", VM_TRAP },
};

OPERATION(fail)
{
	UNUSED();
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		if (is_word(request, "status", statuses[i].word))
			return vm_plugin_fail(host, err, statuses[i].status, "as asked: %s\n\x01",
			                      statuses[i].word);
	return VM_OK;
}

/* --- operations that do not ---------------------------------------------------------------- */

OPERATION(crash)
{
	UNUSED();
	if (is_word(request, "how", "abort"))
		abort();
	if (is_word(request, "how", "exit"))
		_exit(7);
	raise(SIGSEGV);
	return VM_OK;
}

OPERATION(hang)
{
	UNUSED();
	for (volatile unsigned i = 0;; i++) {
	}
	return VM_OK;
}

OPERATION(grow)
{
	size_t size = (size_t)16 << 20;
	uint64_t total = 0;

	UNUSED();
	for (char *memory; total < UINT64_C(1) << 36 && (memory = malloc(size)) != NULL;
	     total += size)
		memset(memory, 1, size);
	return vm_plugin_fail(host, err, VM_E_NOMEM, "no more than %llu MiB",
	                      (unsigned long long)(total >> 20));
}

/* 0 when it was possible, else why not. */
static int
outcome(long result)
{
	return result >= 0 ? 0 : errno;
}

static int
try_program(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return outcome(pid);
}

static int
try_exec(void)
{
	char *const words[] = { (char *)(uintptr_t) "/bin/true", NULL };

	return outcome(execv(words[0], words));
}

OPERATION(rights)
{
	char memory[64], file[64];
	const struct rlimit none = { 0, 0 };

	UNUSED();
	snprintf(memory, sizeof memory, "/proc/%d/mem", (int)getppid());
	snprintf(file, sizeof file, "/tmp/trial-%d", (int)getpid());
	int socket_error = outcome(socket(AF_INET, SOCK_STREAM, 0));
	int unix_error = outcome(socket(AF_UNIX, SOCK_STREAM, 0));
	int write_error = outcome(open(file, O_WRONLY | O_CREAT, 0600));
	int append_error = outcome(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	int unlink_error = outcome(unlink("/tmp/trial-nothing"));
	int fork_error = try_program();
	int exec_error = try_exec();
	int kill_error = outcome(kill(getppid(), 0));
	int tgkill_error = outcome(syscall(SYS_tgkill, getppid(), getppid(), 0));
	int ptrace_error = outcome(open(memory, O_RDONLY));
	int memory_error = outcome(memfd_create("trial", 0));
	int owner_error = outcome(fcntl(PLUGIN_WIRE_SOCKET_FD, F_SETOWN, getppid()));
	int limit_error = outcome(syscall(SYS_prlimit64, getppid(), RLIMIT_CORE, &none, NULL));
	int orphan_error = outcome(prctl(PR_SET_PDEATHSIG, 0));
	int read_error = outcome(open("/etc/passwd", O_RDONLY));
	int library_error = outcome(open("/usr/lib", O_RDONLY | O_DIRECTORY));
	return say(host, reply, err,
	           "{\"socket\":%d,\"unix\":%d,\"write\":%d,\"tmpfile\":%d,\"unlink\":%d,"
	           "\"fork\":%d,\"exec\":%d,\"kill\":%d,\"tgkill\":%d,\"ptrace\":%d,"
	           "\"memfd\":%d,\"owner\":%d,\"limit\":%d,\"orphan\":%d,\"passwd\":%d,"
	           "\"library\":%d}",
	           socket_error, unix_error, write_error, append_error, unlink_error, fork_error,
	           exec_error, kill_error, tgkill_error, ptrace_error, memory_error, owner_error,
	           limit_error, orphan_error, read_error, library_error);
}

/* --- one that lies ------------------------------------------------------------------------- */

static void
send_done(uint64_t size_bytes, uint32_t serial)
{
	struct plugin_wire_message message = { .magic = PLUGIN_WIRE_MAGIC,
		                               .kind = PLUGIN_WIRE_DONE, .serial = serial,
		                               .size_bytes = size_bytes };

	(void)!write(PLUGIN_WIRE_SOCKET_FD, &message, offsetof(struct plugin_wire_message, text));
}

static void
put_reply(struct plugin_wire_head *head, const char *text, uint64_t size_bytes, uint32_t serial)
{
	char area[sizeof *head + 256] = { 0 };

	head->magic = PLUGIN_WIRE_MAGIC;
	memcpy(area, head, sizeof *head);
	memcpy(area + sizeof *head, text, strlen(text));
	(void)!pwrite(PLUGIN_WIRE_REPLY_FD, area, sizeof area, 0);
	send_done(size_bytes, serial);
}

/* The serial is known to whoever counts; a test asks a new process. */
OPERATION(lie)
{
	const uint32_t serial = 1;
	struct plugin_wire_head head = { 0 };
	uint64_t size = sizeof head;

	UNUSED();
	if (is_word(request, "how", "size")) {
		put_reply(&head, "", UINT64_MAX, serial);
	} else if (is_word(request, "how", "short")) {
		put_reply(&head, "", size + 64, serial);
	} else if (is_word(request, "how", "length")) {
		head.text_lens[PLUGIN_WIRE_JSON] = UINT64_MAX - 100;
		put_reply(&head, "", size, serial);
	} else if (is_word(request, "how", "buffers")) {
		head.buffer_count = UINT32_MAX;
		put_reply(&head, "", size, serial);
	} else if (is_word(request, "how", "buffer")) {
		head.buffer_count = 1;
		head.buffer_lens[0] = INT64_MAX;
		put_reply(&head, "", size, serial);
	} else if (is_word(request, "how", "json")) {
		head.text_lens[PLUGIN_WIRE_JSON] = 12;
		put_reply(&head, "}{\"admin\":1}", size + 12, serial);
	} else if (is_word(request, "how", "array")) {
		head.text_lens[PLUGIN_WIRE_JSON] = 2;
		put_reply(&head, "[]", size + 2, serial);
	} else if (is_word(request, "how", "status")) {
		head.status = VM_TRAP;
		put_reply(&head, "", size, serial);
	} else if (is_word(request, "how", "message")) {
		head.status = VM_E_DATA;
		head.text_lens[PLUGIN_WIRE_ERROR] = 2;
		put_reply(&head, "\xc3\x28", size + 2, serial);
	} else if (is_word(request, "how", "serial")) {
		put_reply(&head, "", size, serial + 1);
	} else if (is_word(request, "how", "truncated")) {
		(void)!ftruncate(PLUGIN_WIRE_REPLY_FD, 0);
		send_done(size, serial);
	} else if (is_word(request, "how", "noise")) {
		(void)!write(PLUGIN_WIRE_SOCKET_FD, "noise", 5);
	} else if (is_word(request, "how", "empty")) {
		(void)!write(PLUGIN_WIRE_SOCKET_FD, "", 0);
	} else if (is_word(request, "how", "closed")) {
		close(PLUGIN_WIRE_SOCKET_FD);
	} else if (is_word(request, "how", "twice")) {
		put_reply(&head, "", size, serial);
		send_done(size, serial);
	}
	wait_ms(60000);
	return VM_OK;
}

/* --- host functions ------------------------------------------------------------------------ */

/* An operation of ours by the guest's leave: its status, and the guest goes on. */
static enum vm_status
ask(const struct vm_plugin_call *call, const char *operation, const char *json, int32_t *out,
    struct vm_error *err)
{
	const struct vm_plugin_request request = { .json = { json, strlen(json) } };
	struct vm_plugin_reply reply;

	enum vm_status status = vm_plugin_operate(call, NULL, operation, &request, &reply, err);
	vm_plugin_reply_clear(call->host, &reply);
	if (status == VM_TRAP)
		return status;
	*out = (int32_t)status;
	return VM_OK;
}

static enum vm_status
guest_crash(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return ask(call, "crash", "{}", &slots[0].i32, err);
}

/* How many milliseconds; 0 when it was done. */
static enum vm_status
guest_wait(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	char json[64];

	snprintf(json, sizeof json, "{\"ms\":%u}", slots[0].u32);
	return ask(call, "wait", json, &slots[0].i32, err);
}

/* What the process says of the caller, into the guest's memory; its length. */
static enum vm_status
guest_who(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const struct vm_plugin_request request = { .json = VM_STR("{}"),
		                                   .tenant = VM_STR("somebody else") };
	struct vm_plugin_reply reply;
	uint32_t at = slots[0].u32, len = slots[1].u32;
	char *out = vm_plugin_memory(call, at, len);

	if (out == NULL)
		return vm_plugin_trap_memory(call, err, "text", at, len);
	enum vm_status status = vm_plugin_operate(call, NULL, "who", &request, &reply, err);
	if (status == VM_OK) {
		uint32_t size = reply.json.len < len ? (uint32_t)reply.json.len : len;
		memcpy(out, reply.json.data, size);
		slots[0].u32 = size;
	}
	vm_plugin_reply_clear(call->host, &reply);
	return status;
}

/* --- the plug-in --------------------------------------------------------------------------- */

static enum vm_status
trial_open(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out,
           struct vm_error *err)
{
	(void)out;
	(void)err;
	vm = host;
	snprintf(start, sizeof start, "%s", values[0].text);
	return VM_OK;
}

static enum vm_status
check(void *plugin, struct vm_error *err)
{
	(void)plugin;
	if (strcmp(start, "crash") == 0)
		raise(SIGSEGV);
	if (strcmp(start, "slow") == 0)
		wait_ms(60000);
	if (strcmp(start, "missing") == 0)
		return vm_plugin_fail(vm, err, VM_E_UNSUPPORTED, "the moon is missing");
	return VM_OK;
}

#define OBJECT "{\"type\":\"object\"}"
#define ECHO_INPUT \
	"{\"type\":\"object\",\"properties\":{\"times\":{\"type\":\"integer\"}," \
	"\"ratio\":{\"type\":\"number\"},\"loud\":{\"type\":\"boolean\"}," \
	"\"name\":{\"type\":\"string\"}," \
	"\"media_type\":{\"enum\":[\"text/plain\",\"text/x-loud\"]}," \
	"\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}," \
	"\"sizes\":{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"integer\"}}," \
	"\"deep\":{\"type\":\"object\"}}}"

#define ROW(name) { #name, "Tests " #name, VM_PLUGIN_SANDBOX, OBJECT, OBJECT, "", "", name }

static const struct vm_plugin_operation operations[] = {
	ROW(who),
	{ "wait", "Takes its time", VM_PLUGIN_SANDBOX, OBJECT, OBJECT, "", "", pause_for },
	ROW(talk), ROW(fail), ROW(crash), ROW(hang), ROW(grow), ROW(rights),
	ROW(lie),
	{ "echo", "Gives what it is given", VM_PLUGIN_SANDBOX, OBJECT, OBJECT, NULL, NULL, echo },
	{ "text", "The same of one text", VM_PLUGIN_SANDBOX, ECHO_INPUT, OBJECT,
	  "text/plain text/x-loud", "text/plain text/x-loud", echo },
	{ "any", "The same of anything", VM_PLUGIN_SANDBOX, OBJECT, OBJECT, "*/*",
	  "application/octet-stream", echo },
	{ "fill", "Gives many bytes", VM_PLUGIN_SANDBOX, OBJECT, OBJECT, "",
	  "application/octet-stream", fill },
	{ "here", "Says who asks, in the daemon", 0, OBJECT, OBJECT, "", "", who },
	{ "garbled", "Answers in the daemon what is no JSON", 0, OBJECT, OBJECT, NULL, NULL, echo },
	{ "fail-here", "Tests fail in the daemon", 0, OBJECT, OBJECT, "", "", fail },
	{ "secret", "Is for guests alone", VM_PLUGIN_PRIVATE, OBJECT, OBJECT, "", "", who },
};

static const struct vm_plugin_func funcs[] = {
	{ "crash", "", "i", guest_crash },
	{ "wait", "i", "i", guest_wait },
	{ "who", "ii", "i", guest_who },
};

static const struct vm_plugin_module modules[] = { { "trial", "Trials", funcs, 3 } };

static const struct vm_plugin_option options[] = {
	{ "start", VM_PLUGIN_TEXT, "", "How its process begins" },
	{ "count", VM_PLUGIN_UINT, "1", "A number" },
	{ "folder", VM_PLUGIN_TEXT, "", "A path" },
};

static const struct vm_plugin trial = {
	.abi = VM_PLUGIN_ABI, .name = "trial", .version = "0.1.0",
	.summary = "Does what it should not",
	.options = options, .option_count = 3, .modules = modules, .module_count = 1,
	.operations = operations, .operation_count = sizeof operations / sizeof operations[0],
	.open = trial_open, .check = check,
};

VM_PLUGIN(trial)
{
	return &trial;
}
