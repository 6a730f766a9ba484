#include "plugins/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STREAM_BYTES_MIN 4096
#define READ_BYTES 16384
#define STOP_POLL_MS 20 /* where no descriptor tells of a stop */

struct child {
	const struct vm_plugin_call *call;
	const char *name;
	struct outcome *outcome;
	uint64_t output_bytes_max;
	pid_t pid;
	int pid_fd;
	int outputs[2]; /* read ends of its standard output and error; -1 when they have ended */
};

/* --- outcome -------------------------------------------------------------------------------- */

void
outcome_init(struct outcome *outcome)
{
	*outcome = (struct outcome){ .code = -1 };
}

void
outcome_free(struct outcome *outcome)
{
	for (int i = 0; i < 2; i++)
		free(outcome->streams[i].data);
	outcome_init(outcome);
}

void
outcome_reset(struct outcome *outcome, const struct vm_plugin_call *call)
{
	for (int i = 0; i < 2; i++)
		vm_plugin_give(call, outcome->streams[i].capacity);
	outcome_free(outcome);
}

enum vm_status
stream_add(struct stream *stream, const struct vm_plugin_call *call, const void *data, size_t len,
           struct vm_error *err)
{
	if (len > stream->capacity - stream->len) {
		size_t capacity = stream->capacity * 2 + STREAM_BYTES_MIN;
		if (capacity < stream->len + len)
			capacity = stream->len + len;
		const size_t more = capacity - stream->capacity;
		if (!vm_plugin_take(call, more))
			return vm_plugin_trap(call, err, VM_TRAP_MEMORY_LIMIT,
			                      "output of a command: %zu more bytes are too many",
			                      more);
		uint8_t *grown = realloc(stream->data, capacity);
		if (grown == NULL) {
			vm_plugin_give(call, more);
			return vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
		}
		stream->data = grown;
		stream->capacity = capacity;
	}
	if (len > 0)
		memcpy(stream->data + stream->len, data, len);
	stream->len += len;
	return VM_OK;
}

/* --- starting ------------------------------------------------------------------------------- */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* A descriptor that is none of the three standard ones, which the command is about to get. */
static int
above_standard(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)close(fd);
	return moved;
}

/* The read end does not block; the write end is the command's and does. */
static bool
open_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0) {
		ends[0] = ends[1] = -1;
		return false;
	}
	ends[0] = above_standard(ends[0]);
	ends[1] = above_standard(ends[1]);
	return ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

/* Returns an error number. */
static int
open_input(const struct request *request, int *out)
{
	int fd = request->input_fd;

	if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0)
		return errno;
	fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3)
	             : above_standard(open("/dev/null", O_RDONLY | O_CLOEXEC));
	*out = fd;
	return fd >= 0 ? 0 : errno;
}

/*
 * In the child, which has the parent's memory until it is another program: only system calls.
 * Returns an error number when it could not become one.
 */
static int
become(const struct request *request, char **argv, const int standard[3], pid_t parent)
{
	static char *const no_variables[] = { NULL };
	const struct sigaction standard_action = { .sa_handler = SIG_DFL };
	sigset_t none;

	/* Whoever ends this process ends its commands, too. */
	if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return errno;
	if (getppid() != parent)
		return ESRCH;
	for (int i = 0; i < 3; i++) {
		if (dup2(standard[i], i) < 0)
			return errno;
	}
	if (close_range(3, UINT_MAX, 0) != 0)
		return errno;
	for (int signal = 1; signal < NSIG; signal++)
		(void)sigaction(signal, &standard_action, NULL); /* not all can be set */
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		return errno;
	(void)execvpe(request->name, argv,
	              request->env.count > 0 ? request->env.word : no_variables);
	return errno;
}

/*
 * posix_spawn has no PR_SET_PDEATHSIG, and fork would copy the page tables of a large process.
 * Signals are blocked, so that no handler runs on a stack that two processes have. Returns an error
 * number.
 */
static int
spawn(const struct request *request, char **argv, const int standard[3], pid_t *out_pid)
{
	const pid_t parent = getpid();
	volatile int error = 0;
	sigset_t all;
	sigset_t before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	const pid_t pid = vfork();
	if (pid == 0) {
		error = become(request, argv, standard, parent);
		_exit(127);
	}
	if (pid < 0)
		error = errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid > 0 && error != 0)
		(void)waitpid(pid, NULL, 0);
	*out_pid = pid;
	return error;
}

/* Start the command. Returns an error number; nothing is left open then. */
static int
child_start(struct child *child, const struct request *request)
{
	int pipes[2][2] = { { -1, -1 }, { -1, -1 } };
	int input = -1;
	char **argv = calloc(request->args.count + 2, sizeof *argv);
	int error = ENOMEM;

	if (argv == NULL)
		goto done;
	argv[0] = request->name;
	if (request->args.count > 0)
		memcpy(argv + 1, request->args.word, request->args.count * sizeof *argv);
	error = open_input(request, &input);
	if (error == 0 && (!open_pipe(pipes[0]) || !open_pipe(pipes[1])))
		error = errno;
	if (error == 0)
		error = spawn(request, argv, (int[]){ input, pipes[0][1], pipes[1][1] },
		              &child->pid);
	for (int i = 0; i < 2 && error == 0; i++) {
		child->outputs[i] = pipes[i][0];
		pipes[i][0] = -1;
	}
done:
	for (int i = 0; i < 2; i++) {
		close_fd(&pipes[i][0]);
		close_fd(&pipes[i][1]);
	}
	close_fd(&input);
	free(argv);
	return error;
}

static enum vm_status
say_why_not(const struct child *child, int error, struct vm_error *err)
{
	const struct vm_str parts[] = {
		VM_STR("Command \""),
		{ child->name, strlen(child->name) },
		VM_STR("\" cannot be run: "),
		{ strerror(error), strlen(strerror(error)) },
		VM_STR("\n"),
	};
	enum vm_status st = VM_OK;

	for (size_t i = 0; i < sizeof parts / sizeof *parts && st == VM_OK; i++)
		st = stream_add(&child->outcome->streams[1], child->call, parts[i].data,
		                parts[i].len, err);
	return st;
}

/* --- running -------------------------------------------------------------------------------- */

static uint64_t
clock_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Take what the pipe has now; it is closed at its end. */
static enum vm_status
read_output(struct child *child, int index, struct vm_error *err)
{
	struct outcome *outcome = child->outcome;
	uint8_t block[READ_BYTES];
	enum vm_status st = VM_OK;

	while (st == VM_OK && child->outputs[index] >= 0) {
		ssize_t n = read(child->outputs[index], block, sizeof block);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			close_fd(&child->outputs[index]);
			break;
		}
		const uint64_t have = outcome->streams[0].len + outcome->streams[1].len;
		if ((uint64_t)n > child->output_bytes_max - have)
			return vm_plugin_trap(child->call, err, VM_TRAP_OUTPUT_LIMIT,
			                      "run: command \"%.64s\" wrote more than %llu bytes "
			                      "(option output_bytes_max of wasmedge_process)",
			                      child->name,
			                      (unsigned long long)child->output_bytes_max);
		st = stream_add(&outcome->streams[index], child->call, block, (size_t)n, err);
		if ((size_t)n < sizeof block)
			break; /* rather poll again: a stop is not to wait for a busy writer */
	}
	return st;
}

static int
wait_ms(int stop_fd, uint64_t left_ms)
{
	if (stop_fd < 0 && left_ms > STOP_POLL_MS)
		return STOP_POLL_MS;
	return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

/* Until the command has ended, or is out of time. */
static enum vm_status
watch(struct child *child, uint32_t timeout_ms, bool *out_timed_out, struct vm_error *err)
{
	const uint64_t end_ms = clock_now_ms() + timeout_ms;
	const int stop_fd = vm_plugin_stop_fd(child->call);

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = child->pid_fd, .events = POLLIN },
			{ .fd = stop_fd, .events = POLLIN },
			{ .fd = child->outputs[0], .events = POLLIN },
			{ .fd = child->outputs[1], .events = POLLIN },
		};
		const uint64_t now_ms = clock_now_ms();
		const uint64_t left_ms = now_ms < end_ms ? end_ms - now_ms : 0;

		if (poll(fds, 4, wait_ms(stop_fd, left_ms)) < 0 && errno != EINTR)
			return vm_plugin_fail(child->call->host, err, VM_E_IO, "run: poll: %s",
			                      strerror(errno));
		const enum vm_trap why = vm_plugin_stopped(child->call);
		if (why != VM_TRAP_NONE)
			return vm_plugin_trap(child->call, err, why,
			                      "run: stopped while command \"%.64s\" was running",
			                      child->name);
		for (int i = 0; i < 2; i++) {
			enum vm_status st = read_output(child, i, err);
			if (st != VM_OK)
				return st;
		}
		if (fds[0].revents != 0)
			return VM_OK;
		if (left_ms == 0) {
			*out_timed_out = true;
			return VM_OK;
		}
	}
}

/* Kill what is left, the command included, and learn how that one ended. */
static int32_t
end_child(const struct child *child)
{
	int status;
	pid_t pid;

	/* Not waited for yet, so the number is still that of its group. */
	(void)kill(-child->pid, SIGKILL);
	do
		pid = waitpid(child->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid != child->pid)
		return EINVAL;
	const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return code < 128 ? code : code - 256;
}

enum vm_status
spawn_run(const struct vm_plugin_call *call, const struct request *request,
          uint64_t output_bytes_max, struct outcome *out, struct vm_error *err)
{
	struct child child = {
		.call = call,
		.name = request->name,
		.outcome = out,
		.output_bytes_max = output_bytes_max,
		.pid_fd = -1,
		.outputs = { -1, -1 },
	};
	bool timed_out = false;
	enum vm_status st;

	const int error = child_start(&child, request);
	if (error != 0)
		return say_why_not(&child, error, err);
	child.pid_fd = pidfd_open(child.pid, 0);
	if (child.pid_fd >= 0)
		st = watch(&child, request->timeout_ms, &timed_out, err);
	else
		st = vm_plugin_fail(call->host, err, VM_E_IO, "run: pidfd_open: %s",
		                    strerror(errno));
	const int32_t code = end_child(&child);
	out->code = timed_out ? ETIMEDOUT : code;
	for (int i = 0; i < 2; i++) {
		/* Somebody who left the group may hold the pipe: take what is there. */
		while (st == VM_OK && child.outputs[i] >= 0) {
			const size_t len = out->streams[i].len;
			st = read_output(&child, i, err);
			if (out->streams[i].len == len)
				break;
		}
		close_fd(&child.outputs[i]);
	}
	close_fd(&child.pid_fd);
	return st;
}
