#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/clock.h"
#include "daemon/helper.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/plugin_wire.h"
#include "daemon/plugins.h"
#include "rpc/json.h"

#define HELPER "wasmedged-plugin"
#define PROCESSES_MAX 64 /* of one plug-in, as the setting says */
#define KEYS_MAX 64      /* models whose process is remembered */
#define DYING_MAX 256
#define ARGUMENTS_MAX 640
#define DESCRIPTOR_LOW 16          /* above those that a process is given */
#define LEFT_US UINT64_C(1000000)  /* an operation that nobody wants may take so much longer */
#define GRACE_US UINT64_C(1000000) /* from the end of a process's socket to its own */
#define RETRY_US UINT64_C(1000000) /* after the first failure to start; doubled after each */
#define RETRY_DOUBLINGS 6
#define RETRY_MAX_US UINT64_C(60000000)
#define LOGS_MAX 100                /* of one operation; who says more talks nonsense */
#define KEPT_BYTES ((uint64_t)4 << 20) /* of a file that stays for the next operation */
#define MODEL_JSON_MAX ((size_t)1 << 20)
#define REASON_MAX 256
#define LOOK_NS 20000000

enum process_state {
	PROCESS_NONE,
	PROCESS_STARTING, /* it has not said yet that it is ready */
	PROCESS_IDLE,
	PROCESS_BUSY, /* with the operation of whoever took it */
	PROCESS_LEFT, /* with one that nobody waits for any more */
};

/*
 * A place for a process. While is_taken, state and descriptors belong to the thread that took it;
 * otherwise they are guarded by the lock.
 */
struct process {
	struct pool *pool;
	enum process_state state;
	bool is_taken;
	pid_t pid;
	int socket;
	int request_fd;
	int reply_fd;
	uint32_t serial;
	uint64_t since_us; /* IDLE, LEFT: from when on; STARTING: when it was started */
	uint64_t request_bytes; /* that its file has */
	uint64_t reply_bytes;
};

/* Somebody who found no process; on the stack of its thread. */
struct waiter {
	struct waiter *next;
	int event_fd;
	int slot; /* that it needs, or -1 */
	struct process *given;
};

/* Where a model is. */
struct key {
	uint64_t hash;
	uint64_t used; /* by the pool's count */
	unsigned slot;
};

/* What one plug-in has. */
struct pool {
	struct sandbox *sandbox;
	const char *name;
	unsigned number; /* of the metrics' label */
	struct process processes[PROCESSES_MAX];
	struct waiter *first; /* in the order of coming */
	struct waiter *last;
	struct key keys[KEYS_MAX];
	unsigned key_count;
	uint64_t key_uses;
	unsigned failures; /* to start, one after the other */
	uint64_t retry_us; /* CLOCK_MONOTONIC: not to be started before */
	char reason[REASON_MAX]; /* of the last failure */
};

/* A process that has ended, or will in a moment, and that nobody waits for. */
struct dying {
	pid_t pid;
	uint64_t kill_us;
};

struct sandbox {
	pthread_mutex_t lock;
	struct config *config; /* of the start, for texts */
	char helper[4096];
	const char *path; /* folders of plug-ins */
	uint64_t bytes_max;
	/* guarded by lock: */
	unsigned processes_max;
	uint64_t time_us;
	uint64_t start_us;
	uint64_t idle_us;
	bool is_stopping;
	struct dying dying[DYING_MAX];
	size_t dying_count;
	size_t pool_count;
	struct pool pools[];
};

/* The numbers of the settings that an operation began with. */
struct times {
	uint64_t deadline_us; /* of whoever asks */
	uint64_t time_us;
	uint64_t start_us;
};

/* --- the end of a process ------------------------------------------------------------------- */

static void
close_descriptor(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Nothing is left of it but its process, which is the caller's. */
static pid_t
detach(struct process *process)
{
	pid_t pid = process->pid;

	close_descriptor(&process->socket);
	close_descriptor(&process->request_fd);
	close_descriptor(&process->reply_fd);
	process->pid = -1;
	process->state = PROCESS_NONE;
	metric_change(METRIC_PLUGIN_PROCESSES, process->pool->number, 0, -1);
	return pid;
}

/* Wait until it has ended, for some time; then make it end. Returns its status. */
static int
reap(pid_t pid, uint64_t grace_us)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int status = 0;

	int count = 0;
	do
		count = fd < 0 ? 0 : poll(&poll_fd, 1, (int)(grace_us / 1000));
	while (count < 0 && errno == EINTR);
	if (count <= 0)
		kill(pid, SIGKILL);
	if (fd >= 0)
		close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return status;
}

/* Under the lock: the process is to end by the given time, and nobody waits for it. */
static void
bury(struct sandbox *sandbox, pid_t pid, uint64_t kill_us)
{
	if (kill_us == 0)
		kill(pid, SIGKILL);
	if (sandbox->dying_count < DYING_MAX)
		sandbox->dying[sandbox->dying_count++] = (struct dying){ pid, kill_us };
	else
		(void)reap(pid, 0);
}

static void
look_at_dying(struct sandbox *sandbox, uint64_t now_us)
{
	for (size_t i = 0; i < sandbox->dying_count;) {
		struct dying *dying = &sandbox->dying[i];
		if (waitpid(dying->pid, NULL, WNOHANG) != 0) {
			*dying = sandbox->dying[--sandbox->dying_count];
			continue;
		}
		if (dying->kill_us != 0 && now_us >= dying->kill_us) {
			kill(dying->pid, SIGKILL);
			dying->kill_us = 0;
		}
		i++;
	}
}

/* How it ended, in words. */
static enum metric_value
describe_end(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status)) {
		snprintf(out, size, "its process crashed (%s)", strsignal(WTERMSIG(status)));
		return METRIC_crash_SIGNAL;
	}
	snprintf(out, size, "its process ended by itself with status %d", WEXITSTATUS(status));
	return METRIC_crash_EXIT;
}

/* By the thread that took it: it ended, or has to. *out_why says how. */
static void
lose(struct process *process, enum metric_value reason, char *out_why, size_t size)
{
	struct pool *pool = process->pool;
	/* Who is made to end gets no time for it; who did gets some for closing what it had. */
	bool is_made = reason != METRIC_crash_EXIT;
	pid_t pid = detach(process);
	char status_text[REASON_MAX];
	enum metric_value found = describe_end(reap(pid, is_made ? 0 : GRACE_US), status_text,
	                                       sizeof status_text);

	if (!is_made) {
		reason = found;
		snprintf(out_why, size, "%s", status_text);
	}
	metric_add(METRIC_PLUGIN_CRASHES, pool->number, reason, 1);
	log_warning("a plug-in's process was lost", LOG_STR("plugin", pool->name),
	            LOG_INT("pid", pid), LOG_STR("reason", out_why));
}

/* --- the beginning of a process --------------------------------------------------------------- */

struct arguments {
	char *words[ARGUMENTS_MAX + 1];
	size_t count;
	bool is_complete;
};

static void VM_PRINTF(2, 3)
add_argument(struct arguments *arguments, const char *format, ...)
{
	va_list args;
	char *word = NULL;

	va_start(args, format);
	if (vasprintf(&word, format, args) < 0)
		word = NULL;
	va_end(args);
	if (word == NULL || arguments->count == ARGUMENTS_MAX) {
		free(word);
		arguments->is_complete = false;
		return;
	}
	arguments->words[arguments->count++] = word;
}

/* Each part of a text that is divided by a character. */
static void
add_paths(struct arguments *arguments, const char *text, const char *separators)
{
	while (*text != '\0') {
		size_t len = strcspn(text, separators);
		if (len > 0 && text[0] == '/')
			add_argument(arguments, "--read=%.*s", (int)len, text);
		text += len + (text[len] != '\0');
	}
}

/* What it may read: libraries, what they look at, the plug-in, and what the settings name. */
static void
add_readable(struct arguments *arguments, const struct sandbox *sandbox, const char *plugin)
{
	static const char *const system[] = {
		"/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/null",
		"/dev/zero", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
		"/sys/devices/system",
	};
	const struct config *config = sandbox->config;
	const char *libraries = getenv("LD_LIBRARY_PATH");

	for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
		add_argument(arguments, "--read=%s", system[i]);
	add_paths(arguments, sandbox->path, ":");
	if (libraries != NULL)
		add_paths(arguments, libraries, ":");
	for (size_t i = 0; i < config->plugins_readable.count; i++)
		add_paths(arguments, config->plugins_readable.items[i], "");
	for (size_t i = 0; i < config->option_count; i++)
		if (strcmp(config->options[i].plugin, plugin) == 0)
			add_paths(arguments, config->options[i].value, " \t");
}

static void
make_arguments(struct arguments *arguments, const struct sandbox *sandbox, const char *plugin)
{
	const struct config *config = sandbox->config;

	arguments->count = 0;
	arguments->is_complete = true;
	add_argument(arguments, "%s", sandbox->helper);
	add_argument(arguments, "--name=%s", plugin);
	add_argument(arguments, "--path=%s", sandbox->path);
	add_argument(arguments, "--memory=%" PRIu64, config->plugins_memory);
	add_argument(arguments, "--bytes=%" PRIu64, sandbox->bytes_max);
	add_argument(arguments, "--parent=%d", (int)getpid());
	add_readable(arguments, sandbox, plugin);
	for (size_t i = 0; i < config->option_count; i++)
		if (strcmp(config->options[i].plugin, plugin) == 0)
			add_argument(arguments, "--option=%s=%s", config->options[i].name,
			             config->options[i].value);
	arguments->words[arguments->count] = NULL;
}

static void
clear_arguments(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->count; i++)
		free(arguments->words[i]);
}

/* What the libraries of plug-ins and of the C language look at; nothing of what is the daemon's. */
static void
choose_environment(char **out, size_t count_max)
{
	static const char *const prefixes[] = { "LD_", "MALLOC_", "OMP_", "TF_", "ORT_", "ASAN_",
		                                "UBSAN_", "LSAN_", "TSAN_", "TZ=" };
	size_t count = 0;

	for (char **variable = environ; *variable != NULL; variable++)
		for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
			if (strncmp(*variable, prefixes[i], strlen(prefixes[i])) == 0 &&
			    count < count_max)
				out[count++] = *variable;
	out[count] = NULL;
}

/* Moved above the numbers that the helper's descriptors get; -1 with errno. */
static int
move_up(int fd)
{
	if (fd < 0)
		return -1;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_LOW);
	int error = errno;
	close(fd);
	errno = error;
	return moved;
}

/* *out_theirs is the helper's end of the socket. */
static bool
open_descriptors(struct process *process, int *out_theirs)
{
	int pair[2];

	process->socket = process->request_fd = process->reply_fd = *out_theirs = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	process->socket = move_up(pair[0]);
	*out_theirs = move_up(pair[1]);
	process->request_fd = move_up(memfd_create("request", MFD_CLOEXEC));
	process->reply_fd = move_up(memfd_create("reply", MFD_CLOEXEC));
	return process->socket >= 0 && *out_theirs >= 0 && process->request_fd >= 0 &&
	       process->reply_fd >= 0 && fcntl(process->socket, F_SETFL, O_NONBLOCK) == 0;
}

/* In a group of its own, so that what a terminal tells the daemon is not told to it. */
static int
spawn_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	int error = posix_spawnattr_init(attr);
	if (error != 0)
		return error;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setpgroup(attr, 0);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	                                   POSIX_SPAWN_SETPGROUP);
	return 0;
}

static int
spawn_actions(posix_spawn_file_actions_t *actions, const struct process *process, int theirs)
{
	const int given[][2] = { { theirs, PLUGIN_WIRE_SOCKET_FD },
		                 { process->request_fd, PLUGIN_WIRE_REQUEST_FD },
		                 { process->reply_fd, PLUGIN_WIRE_REPLY_FD } };

	int error = posix_spawn_file_actions_init(actions);
	if (error != 0)
		return error;
	for (int fd = 0; error == 0 && fd < 3; fd++)
		error = posix_spawn_file_actions_addopen(actions, fd, "/dev/null",
		                                         fd == 0 ? O_RDONLY : O_WRONLY, 0);
	for (size_t i = 0; error == 0 && i < sizeof given / sizeof given[0]; i++)
		error = posix_spawn_file_actions_adddup2(actions, given[i][0], given[i][1]);
	if (error != 0)
		posix_spawn_file_actions_destroy(actions);
	return error;
}

/* Returns 0 or what errno would be. */
static int
spawn(struct process *process, const struct sandbox *sandbox, int theirs)
{
	struct arguments arguments;
	char *environment[65];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;

	int error = spawn_attributes(&attr);
	if (error != 0)
		return error;
	make_arguments(&arguments, sandbox, process->pool->name);
	choose_environment(environment, 64);
	error = arguments.is_complete ? spawn_actions(&actions, process, theirs) : E2BIG;
	if (error == 0) {
		error = posix_spawn(&process->pid, sandbox->helper, &actions, &attr,
		                    arguments.words, environment);
		posix_spawn_file_actions_destroy(&actions);
	}
	clear_arguments(&arguments);
	posix_spawnattr_destroy(&attr);
	return error;
}

/* By the thread that took the place. False: *out_why says why it could not be started. */
static bool
start(struct process *process, char *out_why, size_t size)
{
	struct pool *pool = process->pool;
	struct sandbox *sandbox = pool->sandbox;
	int theirs;

	metric_change(METRIC_PLUGIN_PROCESSES, pool->number, 0, 1);
	int error = open_descriptors(process, &theirs) ? spawn(process, sandbox, theirs) : errno;
	close_descriptor(&theirs);
	if (error != 0) {
		(void)detach(process);
		snprintf(out_why, size, "cannot start %.160s: %.60s", sandbox->helper,
		         strerror(error));
		return false;
	}
	process->state = PROCESS_STARTING;
	process->serial = 0;
	process->request_bytes = process->reply_bytes = 0;
	process->since_us = clock_monotonic_us();
	metric_add(METRIC_PLUGIN_STARTS, pool->number, 0, 1);
	return true;
}

/* --- which process -------------------------------------------------------------------------- */

static uint64_t
hash_of(const char *text, size_t len)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	return hash;
}

/* The request's member "model". False: it has none that is a text. */
static bool
find_model(const struct vm_plugin_request *request, uint64_t *out_hash)
{
	static const char word[] = "\"model\"";
	json_t *tree = NULL;

	if (request == NULL || request->json.len > MODEL_JSON_MAX ||
	    memmem(request->json.data, request->json.len, word, sizeof word - 1) == NULL ||
	    rpc_json_parse(request->json.data, request->json.len, MODEL_JSON_MAX, &tree, NULL) !=
	        RPC_OK)
		return false;
	const json_t *model = json_object_get(tree, "model");
	bool is_found = json_is_string(model);
	if (is_found)
		*out_hash = hash_of(json_string_value(model), json_string_length(model));
	json_decref(tree);
	return is_found;
}

/* Of all places, one that the fewest models are remembered for. */
static unsigned
least_used_slot(const struct pool *pool, unsigned processes_max)
{
	unsigned counts[PROCESSES_MAX] = { 0 };
	unsigned best = 0;

	for (unsigned i = 0; i < pool->key_count; i++)
		counts[pool->keys[i].slot]++;
	for (unsigned i = 1; i < processes_max; i++)
		if (counts[i] < counts[best])
			best = i;
	return best;
}

/* Where a model is, or is to be from now on. Under the lock. */
static int
slot_of(struct pool *pool, uint64_t hash)
{
	unsigned processes_max = pool->sandbox->processes_max;
	struct key *oldest = pool->keys;

	for (unsigned i = 0; i < pool->key_count; i++) {
		struct key *key = &pool->keys[i];
		if (key->hash == hash && key->slot < processes_max) {
			key->used = ++pool->key_uses;
			return (int)key->slot;
		}
		if (key->used < oldest->used || key->slot >= processes_max)
			oldest = key;
	}
	unsigned slot = least_used_slot(pool, processes_max);
	if (pool->key_count < KEYS_MAX)
		oldest = &pool->keys[pool->key_count++];
	*oldest = (struct key){ .hash = hash, .used = ++pool->key_uses, .slot = slot };
	return (int)slot;
}

/*
 * Of a process with an operation that nobody wants any more: has it ended? It may end in its own
 * time for a moment. Under the lock.
 */
static void
settle(struct process *process, uint64_t now_us)
{
	struct plugin_wire_message message;
	int got;

	if (process->state != PROCESS_LEFT || process->is_taken)
		return;
	while ((got = plugin_wire_receive(process->socket, &message)) > 0) {
		if (message.kind == PLUGIN_WIRE_DONE && message.serial == process->serial) {
			process->state = PROCESS_IDLE;
			process->since_us = now_us;
			return;
		}
		if (message.kind != PLUGIN_WIRE_LOG)
			got = -1;
		if (got < 0)
			break;
	}
	if (got < 0 || now_us - process->since_us > LEFT_US) {
		metric_add(METRIC_PLUGIN_CRASHES, process->pool->number,
		           got < 0 ? METRIC_crash_EXIT : METRIC_crash_TIME, 1);
		bury(process->pool->sandbox, detach(process), 0);
	}
}

/* A free place, preferably with a process; NULL: all are busy. Under the lock. */
static struct process *
choose(struct pool *pool, int slot)
{
	unsigned first = slot < 0 ? 0 : (unsigned)slot;
	unsigned end = slot < 0 ? pool->sandbox->processes_max : first + 1;
	struct process *best = NULL;
	uint64_t now_us = clock_monotonic_us();

	for (unsigned i = first; i < end; i++) {
		struct process *process = &pool->processes[i];
		settle(process, now_us);
		if (process->is_taken || process->state == PROCESS_LEFT)
			continue;
		if (process->state == PROCESS_IDLE)
			return process;
		if (best == NULL || process->state == PROCESS_STARTING)
			best = process;
	}
	return best;
}

/* --- taking and giving back ------------------------------------------------------------------ */

/* Give a free process to the first that it suits. Under the lock. */
static void
hand_over(struct process *process)
{
	struct pool *pool = process->pool;
	struct waiter *before = NULL;
	int slot = (int)(process - pool->processes);

	if ((unsigned)slot >= pool->sandbox->processes_max || process->state == PROCESS_LEFT ||
	    process->is_taken)
		return;
	for (struct waiter **link = &pool->first; *link != NULL; link = &(*link)->next) {
		struct waiter *waiter = *link;
		if (waiter->slot < 0 || waiter->slot == slot) {
			*link = waiter->next;
			if (pool->last == waiter)
				pool->last = before;
			process->is_taken = true;
			waiter->given = process;
			(void)!write(waiter->event_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
			return;
		}
		before = waiter;
	}
}

static void
give_back(struct process *process, enum process_state state)
{
	struct sandbox *sandbox = process->pool->sandbox;

	pthread_mutex_lock(&sandbox->lock);
	/* One that starts keeps the time at which it was started. */
	if (state != PROCESS_STARTING)
		process->since_us = clock_monotonic_us();
	process->state = state;
	process->is_taken = false;
	if (sandbox->is_stopping && state != PROCESS_NONE)
		bury(sandbox, detach(process), 0);
	hand_over(process);
	pthread_mutex_unlock(&sandbox->lock);
}

static void
append_waiter(struct pool *pool, struct waiter *waiter)
{
	if (pool->last != NULL)
		pool->last->next = waiter;
	else
		pool->first = waiter;
	pool->last = waiter;
}

static void
remove_waiter(struct pool *pool, struct waiter *waiter)
{
	struct waiter *before = NULL;

	for (struct waiter **link = &pool->first; *link != NULL; link = &(*link)->next) {
		if (*link == waiter) {
			*link = waiter->next;
			if (pool->last == waiter)
				pool->last = before;
			return;
		}
		before = *link;
	}
}

/* --- waiting -------------------------------------------------------------------------------- */

enum event { EVENT_READY, EVENT_STOPPED, EVENT_TIME };

static bool
is_stopped(const struct sandbox_ask *ask)
{
	struct pollfd fd = { .fd = ask->stop_fd, .events = POLLIN };

	if (ask->store != NULL)
		return vm_store_stopped(ask->store) != VM_TRAP_NONE;
	return ask->stop_fd >= 0 && poll(&fd, 1, 0) > 0;
}

/* Until the descriptor is readable, the caller is to stop, or the time has come. */
static enum event
wait_for(const struct sandbox_ask *ask, int fd, uint64_t until_us)
{
	struct pollfd fds[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = ask->store != NULL ? vm_store_stop_fd(ask->store) : ask->stop_fd,
		  .events = POLLIN },
	};

	for (;;) {
		uint64_t now_us = clock_monotonic_us();
		struct timespec left = { 0 };
		if (until_us > now_us) {
			left.tv_sec = (time_t)((until_us - now_us) / 1000000);
			left.tv_nsec = (long)((until_us - now_us) % 1000000 * 1000);
		}
		/* A store that has no descriptor for it is looked at now and then. */
		if (ask->store != NULL && fds[1].fd < 0 &&
		    (left.tv_sec > 0 || left.tv_nsec > LOOK_NS))
			left = (struct timespec){ .tv_nsec = LOOK_NS };
		int count = ppoll(fds, 2, &left, NULL);
		if (count > 0 && fds[0].revents != 0)
			return EVENT_READY;
		if (is_stopped(ask))
			return EVENT_STOPPED;
		if (count == 0 && clock_monotonic_us() >= until_us)
			return EVENT_TIME;
		if (count > 0 && fds[0].revents == 0 && ask->store == NULL)
			return EVENT_STOPPED;
	}
}

/* Under the lock, which is left and taken again. NULL: *out_end says why. */
static struct process *
wait_in_line(struct pool *pool, const struct sandbox_ask *ask, int slot, uint64_t deadline_us,
             enum sandbox_end *out_end)
{
	struct sandbox *sandbox = pool->sandbox;
	struct waiter waiter = { .event_fd = eventfd(0, EFD_CLOEXEC), .slot = slot };

	if (waiter.event_fd < 0) {
		*out_end = SANDBOX_BUSY;
		return NULL;
	}
	append_waiter(pool, &waiter);
	pthread_mutex_unlock(&sandbox->lock);
	enum event event = wait_for(ask, waiter.event_fd, deadline_us);
	pthread_mutex_lock(&sandbox->lock);
	if (waiter.given == NULL)
		remove_waiter(pool, &waiter);
	close(waiter.event_fd);
	*out_end = event == EVENT_STOPPED ? SANDBOX_STOPPED : SANDBOX_BUSY;
	return waiter.given;
}

/* Take a place. NULL: *out_end says why there is none. */
static struct process *
take(struct pool *pool, const struct sandbox_ask *ask, uint64_t deadline_us,
     enum sandbox_end *out_end)
{
	struct sandbox *sandbox = pool->sandbox;
	struct process *process = NULL;
	uint64_t hash;
	bool has_model = find_model(ask->request, &hash);

	*out_end = SANDBOX_BUSY;
	pthread_mutex_lock(&sandbox->lock);
	if (!sandbox->is_stopping) {
		int slot = has_model ? slot_of(pool, hash) : -1;
		process = choose(pool, slot);
		if (process != NULL)
			process->is_taken = true;
		else
			process = wait_in_line(pool, ask, slot, deadline_us, out_end);
	}
	pthread_mutex_unlock(&sandbox->lock);
	return process;
}

/* --- until it is ready ------------------------------------------------------------------------ */

static void
note_start(struct pool *pool, const char *failure)
{
	struct sandbox *sandbox = pool->sandbox;

	pthread_mutex_lock(&sandbox->lock);
	if (failure == NULL) {
		pool->failures = 0;
		pool->retry_us = 0;
	} else {
		unsigned doublings =
		    pool->failures < RETRY_DOUBLINGS ? pool->failures : RETRY_DOUBLINGS;
		uint64_t wait_us = RETRY_US << doublings;
		pool->failures++;
		pool->retry_us =
		    clock_monotonic_us() + (wait_us < RETRY_MAX_US ? wait_us : RETRY_MAX_US);
		snprintf(pool->reason, sizeof pool->reason, "%s", failure);
	}
	pthread_mutex_unlock(&sandbox->lock);
}

/* Whether it may be started now; else *out_why has the reason and when it may. */
static bool
may_start(struct pool *pool, char *out_why, size_t size)
{
	struct sandbox *sandbox = pool->sandbox;
	uint64_t now_us = clock_monotonic_us();

	pthread_mutex_lock(&sandbox->lock);
	bool is_allowed = now_us >= pool->retry_us && !sandbox->is_stopping;
	if (sandbox->is_stopping)
		snprintf(out_why, size, "the service is shutting down");
	else if (!is_allowed)
		snprintf(out_why, size, "%.200s; tried again in %" PRIu64 " s", pool->reason,
		         (pool->retry_us - now_us + 999999) / 1000000);
	pthread_mutex_unlock(&sandbox->lock);
	return is_allowed;
}

static void
pass_on(const struct process *process, const struct plugin_wire_message *message)
{
	static const enum log_level levels[] = {
		[VM_PLUGIN_DEBUG] = LEVEL_DEBUG,
		[VM_PLUGIN_INFO] = LEVEL_INFO,
		[VM_PLUGIN_WARNING] = LEVEL_WARNING,
		[VM_PLUGIN_ERROR] = LEVEL_ERROR,
	};

	log_write(levels[message->level <= VM_PLUGIN_ERROR ? message->level : VM_PLUGIN_ERROR],
	          "a plug-in says",
	          LOG_FIELDS(LOG_STR("plugin", process->pool->name),
	                     LOG_STRN("text", message->text, message->text_len)));
}

/*
 * Wait for a message that is not for the log. True: *out has it. False: the time has come or the
 * caller is to stop (*out_event), or the process is not to be used any more (EVENT_READY).
 */
static bool
hear(const struct process *process, const struct sandbox_ask *ask, uint64_t until_us,
     struct plugin_wire_message *out, enum event *out_event, bool *out_is_over)
{
	unsigned logs = 0;

	*out_is_over = false;
	for (;;) {
		*out_event = wait_for(ask, process->socket, until_us);
		if (*out_event != EVENT_READY)
			return false;
		int got = plugin_wire_receive(process->socket, out);
		if (got > 0 && out->kind != PLUGIN_WIRE_LOG)
			return true;
		if (got < 0 || logs == LOGS_MAX) {
			char byte;
			/* Is it the end, or something that is not a message? */
			*out_is_over =
			    recv(process->socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK) <= 0;
			return false;
		}
		if (got > 0) {
			logs++;
			pass_on(process, out);
		}
	}
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* See that it is ready. False: it was given back or lost, *out_end and *out_why say why. */
static bool
prepare(struct process *process, const struct sandbox_ask *ask, const struct times *times,
        enum sandbox_end *out_end, char *out_why, size_t size)
{
	struct plugin_wire_message message;
	struct pool *pool = process->pool;
	enum event event;
	bool is_over;

	*out_why = '\0';
	*out_end = SANDBOX_LOST;
	if (process->state == PROCESS_NONE &&
	    (!may_start(pool, out_why, size) || !start(process, out_why, size))) {
		if (strncmp(out_why, "cannot start ", 13) == 0)
			note_start(pool, out_why);
		give_back(process, PROCESS_NONE);
		return false;
	}
	if (process->state != PROCESS_STARTING)
		return true;
	uint64_t late_us = process->since_us + times->start_us;
	bool is_heard = hear(process, ask, least(late_us, times->deadline_us), &message, &event,
	                     &is_over);
	if (is_heard && message.kind == PLUGIN_WIRE_READY) {
		note_start(pool, NULL);
		process->state = PROCESS_IDLE;
		return true;
	}
	if (event == EVENT_STOPPED || (event == EVENT_TIME && clock_monotonic_us() < late_us)) {
		*out_end = event == EVENT_STOPPED ? SANDBOX_STOPPED : SANDBOX_BUSY;
		give_back(process, PROCESS_STARTING);
		return false;
	}
	if (event == EVENT_TIME)
		snprintf(out_why, size, "its process was not ready within %" PRIu64 " ms",
		         times->start_us / 1000);
	else if (is_heard && message.kind == PLUGIN_WIRE_FAILED)
		snprintf(out_why, size, "its process cannot start: %.*s",
		         (int)least(message.text_len, 160), message.text);
	else
		snprintf(out_why, size, "its process said something that makes no sense");
	lose(process, is_over ? METRIC_crash_EXIT : METRIC_crash_START, out_why, size);
	note_start(pool, out_why);
	give_back(process, PROCESS_NONE);
	return false;
}

/* --- an operation ----------------------------------------------------------------------------- */

/* Whether one that has been idle is still there, and has said nothing unasked. */
static bool
is_alive(const struct process *process)
{
	struct pollfd fd = { .fd = process->socket, .events = POLLIN };
	siginfo_t ended = { 0 };

	/* It may have ended before its end of the socket is seen to be closed. */
	return poll(&fd, 1, 0) == 0 &&
	       waitid(P_PID, (id_t)process->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       ended.si_pid == 0;
}

/* Large ones are given back to the system. */
static void
trim(int fd, uint64_t *size_bytes)
{
	if (*size_bytes > KEPT_BYTES && ftruncate(fd, 0) == 0)
		*size_bytes = 0;
}

static bool
send_request(struct process *process, const struct plugin_wire_parts *parts, uint64_t size_bytes)
{
	struct plugin_wire_message message = { .kind = PLUGIN_WIRE_ASK, .size_bytes = size_bytes };

	if (!plugin_wire_write(process->request_fd, parts))
		return false;
	if (size_bytes > process->request_bytes)
		process->request_bytes = size_bytes;
	message.serial = ++process->serial;
	process->state = PROCESS_BUSY;
	/* If it has ended meanwhile, that shows when it is listened to. */
	(void)plugin_wire_send(process->socket, &message, NULL);
	return true;
}

/* It has answered: true if that makes sense. */
static bool
take_reply(struct process *process, const struct plugin_wire_message *message,
           struct vm_plugin_reply *reply, enum vm_status *out_status, struct vm_error *err)
{
	if (message->kind != PLUGIN_WIRE_DONE || message->serial != process->serial ||
	    !plugin_wire_read_reply(process->reply_fd, message->size_bytes,
	                            process->pool->sandbox->bytes_max, reply, out_status, err))
		return false;
	if (message->size_bytes > process->reply_bytes)
		process->reply_bytes = message->size_bytes;
	return true;
}

/* Ask a process that is ready, and hear what it says. */
static enum sandbox_end
exchange(struct process *process, const struct sandbox_ask *ask,
         const struct plugin_wire_parts *parts, uint64_t size_bytes, const struct times *times,
         struct vm_plugin_reply *reply, enum vm_status *out_status, struct vm_error *err,
         char *out_why, size_t size)
{
	uint64_t late_us = clock_monotonic_us() + times->time_us;
	struct plugin_wire_message message;
	enum event event;
	bool is_over = false;

	if (!send_request(process, parts, size_bytes)) {
		give_back(process, PROCESS_IDLE);
		*out_status =
		    vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "no memory for the request");
		return SANDBOX_DONE;
	}
	bool is_heard = hear(process, ask, least(late_us, times->deadline_us), &message, &event,
	                     &is_over);
	if (is_heard && take_reply(process, &message, reply, out_status, err)) {
		trim(process->request_fd, &process->request_bytes);
		trim(process->reply_fd, &process->reply_bytes);
		give_back(process, PROCESS_IDLE);
		return SANDBOX_DONE;
	}
	if (!is_heard && event == EVENT_STOPPED) {
		give_back(process, PROCESS_LEFT);
		return SANDBOX_STOPPED;
	}
	uint64_t taken_us = clock_monotonic_us() - (late_us - times->time_us);
	if (!is_heard && event == EVENT_TIME && taken_us < times->time_us / 2) {
		/* The caller's time is over, but it went by in the line: nothing is wrong. */
		give_back(process, PROCESS_LEFT);
		return SANDBOX_BUSY;
	}
	if (!is_heard && event == EVENT_TIME) {
		snprintf(out_why, size,
		         "it was not done within %" PRIu64 " ms, and its process was ended",
		         taken_us / 1000);
		lose(process, METRIC_crash_TIME, out_why, size);
	} else if (is_over) {
		lose(process, METRIC_crash_EXIT, out_why, size);
	} else {
		snprintf(out_why, size, "its process answered what makes no sense, and was ended");
		lose(process, METRIC_crash_NONSENSE, out_why, size);
	}
	give_back(process, PROCESS_NONE);
	return SANDBOX_LOST;
}

/* One that died while it was idle costs nobody a request: there is another one. */
static enum sandbox_end
run(struct pool *pool, const struct sandbox_ask *ask, const struct plugin_wire_parts *parts,
    uint64_t size_bytes, const struct times *times, struct vm_plugin_reply *reply,
    enum vm_status *out_status, struct vm_error *err, char *out_why, size_t size)
{
	enum sandbox_end end;

	struct process *process = take(pool, ask, times->deadline_us, &end);
	if (process == NULL)
		return end;
	if (process->state == PROCESS_IDLE && !is_alive(process))
		lose(process, METRIC_crash_EXIT, out_why, size);
	if (!prepare(process, ask, times, &end, out_why, size))
		return end;
	return exchange(process, ask, parts, size_bytes, times, reply, out_status, err, out_why,
	                size);
}

static struct pool *
find_pool(struct sandbox *sandbox, const char *name)
{
	for (size_t i = 0; i < sandbox->pool_count; i++)
		if (strcmp(sandbox->pools[i].name, name) == 0)
			return &sandbox->pools[i];
	return NULL;
}

static struct times
begin_times(struct sandbox *sandbox, const struct sandbox_ask *ask, uint64_t now_us)
{
	struct times times;

	pthread_mutex_lock(&sandbox->lock);
	times.time_us = sandbox->time_us;
	times.start_us = sandbox->start_us;
	pthread_mutex_unlock(&sandbox->lock);
	/* Guests have their own; whoever else asks waits for as long as the operation may take. */
	times.deadline_us = UINT64_MAX;
	if (ask->store == NULL)
		times.deadline_us = now_us + times.start_us + times.time_us;
	if (ask->time_ms != 0) {
		times.time_us = least(times.time_us, ask->time_ms * 1000);
		times.deadline_us = least(times.deadline_us, now_us + ask->time_ms * 1000);
	}
	return times;
}

static void
count(const struct pool *pool, enum sandbox_end end, enum vm_status status, uint64_t began_us)
{
	static const enum metric_value ends[] = {
		[SANDBOX_DONE] = METRIC_operation_DONE,
		[SANDBOX_LOST] = METRIC_operation_CRASHED,
		[SANDBOX_BUSY] = METRIC_operation_BUSY,
		[SANDBOX_STOPPED] = METRIC_operation_STOPPED,
	};
	bool is_refused = end == SANDBOX_DONE && status != VM_OK;

	metric_add(METRIC_PLUGIN_OPERATIONS, pool->number,
	           is_refused ? METRIC_operation_REFUSED : ends[end], 1);
	metric_observe_us(METRIC_PLUGIN_TIME, pool->number, 0, clock_monotonic_us() - began_us);
}

/* What the caller hears of an operation that did not come to its own end. */
static enum vm_status
say_end(const struct pool *pool, const struct sandbox_ask *ask, enum sandbox_end end,
        const char *why, struct vm_error *err)
{
	if (end == SANDBOX_STOPPED && ask->store != NULL)
		return vm_error_trap(err, vm_store_stopped(ask->store),
		                     "stopped while plug-in %s was working", pool->name);
	if (end == SANDBOX_STOPPED)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET, "nobody wants it any more");
	if (end == SANDBOX_BUSY)
		return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
		                    "plug-in %s: all its processes are busy", pool->name);
	return vm_error_set(err, VM_E_IO, VM_NO_OFFSET, "plug-in %s: %s", pool->name, why);
}

enum vm_status
sandbox_operate(struct sandbox *sandbox, const struct sandbox_ask *ask,
                struct vm_plugin_reply *reply, enum sandbox_end *out_end, struct vm_error *err)
{
	static const struct vm_plugin_request nothing;
	const struct vm_plugin_request *request = ask->request != NULL ? ask->request : &nothing;
	const struct plugin_wire_parts parts = {
		.texts = { [PLUGIN_WIRE_NAME] = { ask->operation, strlen(ask->operation) },
		           [PLUGIN_WIRE_TENANT] = request->tenant,
		           [PLUGIN_WIRE_JSON] = request->json },
		.buffers = request->buffers,
		.buffer_count = request->buffer_count,
	};
	struct pool *pool = find_pool(sandbox, ask->plugin);
	enum vm_status status = VM_OK;
	char why[REASON_MAX] = "";

	*reply = (struct vm_plugin_reply){ 0 };
	*out_end = SANDBOX_DONE;
	if (pool == NULL)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                    "plug-in %.64s has no processes", ask->plugin);
	uint64_t size_bytes = plugin_wire_size(&parts);
	if (size_bytes > sandbox->bytes_max)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "the operation is given %" PRIu64 " bytes, the setting "
		                    "plugins.bytes allows %" PRIu64,
		                    size_bytes, sandbox->bytes_max);
	uint64_t began_us = clock_monotonic_us();
	const struct times times = begin_times(sandbox, ask, began_us);
	*out_end = run(pool, ask, &parts, size_bytes, &times, reply, &status, err, why, sizeof why);
	if (*out_end != SANDBOX_DONE)
		status = say_end(pool, ask, *out_end, why, err);
	count(pool, *out_end, status, began_us);
	return status;
}

/* --- looking after them ----------------------------------------------------------------------- */

/* Of one that nobody has taken; under the lock. */
static void
look_at(struct process *process, uint64_t now_us)
{
	struct sandbox *sandbox = process->pool->sandbox;
	unsigned slot = (unsigned)(process - process->pool->processes);

	if (process->is_taken || process->state == PROCESS_NONE)
		return;
	settle(process, now_us);
	if (process->state == PROCESS_STARTING && now_us - process->since_us > sandbox->start_us) {
		metric_add(METRIC_PLUGIN_CRASHES, process->pool->number, METRIC_crash_START, 1);
		bury(sandbox, detach(process), 0);
	} else if (process->state == PROCESS_IDLE && !is_alive(process)) {
		metric_add(METRIC_PLUGIN_CRASHES, process->pool->number, METRIC_crash_EXIT, 1);
		log_warning("a plug-in's process ended while it had nothing to do",
		            LOG_STR("plugin", process->pool->name), LOG_INT("pid", process->pid));
		bury(sandbox, detach(process), 0);
	} else if (process->state == PROCESS_IDLE &&
	           (now_us - process->since_us > sandbox->idle_us ||
	            slot >= sandbox->processes_max)) {
		/* The end of its socket tells it to end. */
		bury(sandbox, detach(process), now_us + GRACE_US);
	}
	hand_over(process);
}

void
sandbox_tick(struct sandbox *sandbox)
{
	uint64_t now_us = clock_monotonic_us();

	pthread_mutex_lock(&sandbox->lock);
	look_at_dying(sandbox, now_us);
	for (size_t i = 0; i < sandbox->pool_count; i++)
		for (size_t k = 0; k < PROCESSES_MAX; k++)
			look_at(&sandbox->pools[i].processes[k], now_us);
	pthread_mutex_unlock(&sandbox->lock);
}

/* --- making and ending ------------------------------------------------------------------------ */

void
sandbox_configure(struct sandbox *sandbox, const struct config *config)
{
	pthread_mutex_lock(&sandbox->lock);
	sandbox->processes_max = (unsigned)config->plugins_processes;
	sandbox->time_us = config->plugins_time * 1000;
	sandbox->start_us = config->plugins_start_time * 1000;
	sandbox->idle_us = config->plugins_idle_time * 1000;
	/* Somebody may have installed what was missing. */
	for (size_t i = 0; i < sandbox->pool_count; i++)
		sandbox->pools[i].retry_us = 0;
	pthread_mutex_unlock(&sandbox->lock);
}

struct sandbox *
sandbox_new(struct config *config, const char *const *names, size_t name_count)
{
	struct sandbox *sandbox = calloc(1, sizeof *sandbox + name_count * sizeof(struct pool));

	if (sandbox == NULL)
		return NULL;
	sandbox->path = plugins_path(config);
	pthread_mutex_init(&sandbox->lock, NULL);
	sandbox->config = config_ref(config);
	sandbox->bytes_max = config->plugins_bytes;
	helper_find(HELPER, config->plugins_helper, sandbox->helper, sizeof sandbox->helper);
	sandbox->pool_count = name_count;
	for (size_t i = 0; i < name_count; i++) {
		struct pool *pool = &sandbox->pools[i];
		pool->sandbox = sandbox;
		pool->name = names[i];
		pool->number = (unsigned)i;
		for (size_t k = 0; k < PROCESSES_MAX; k++)
			pool->processes[k] = (struct process){
				.pool = pool, .pid = -1, .socket = -1, .request_fd = -1,
				.reply_fd = -1,
			};
	}
	sandbox_configure(sandbox, config);
	return sandbox;
}

void
sandbox_stop(struct sandbox *sandbox)
{
	if (sandbox == NULL)
		return;
	pthread_mutex_lock(&sandbox->lock);
	sandbox->is_stopping = true;
	for (size_t i = 0; i < sandbox->pool_count; i++) {
		for (size_t k = 0; k < PROCESSES_MAX; k++) {
			struct process *process = &sandbox->pools[i].processes[k];
			if (!process->is_taken && process->state != PROCESS_NONE)
				bury(sandbox, detach(process), 0);
		}
	}
	pthread_mutex_unlock(&sandbox->lock);
}

void
sandbox_free(struct sandbox *sandbox)
{
	if (sandbox == NULL)
		return;
	sandbox_stop(sandbox);
	for (size_t i = 0; i < sandbox->dying_count; i++)
		(void)reap(sandbox->dying[i].pid, 0);
	pthread_mutex_destroy(&sandbox->lock);
	config_unref(sandbox->config);
	free(sandbox);
}
