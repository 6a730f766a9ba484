#include "daemon/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/artifacts.h"
#include "daemon/clock.h"
#include "daemon/compile_report.h"
#include "daemon/compile_wire.h"
#include "daemon/daemon.h"
#include "daemon/feed.h"
#include "daemon/helper.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/programs.h"
#include "vm/vm.h"

#define BUCKETS 4096 /* a power of two */
#define HELPER "wasmedged-compile"
#define DETAIL_MAX 384
#define RETRY_US UINT64_C(60000000) /* after the first failure; doubled after each */
#define RETRY_DOUBLINGS 6
#define AFTERWORDS_MS 200 /* a process that has ended may still have something in the pipe */
#define ASKED_USES (UINT64_C(1) << 32) /* what somebody asked for comes before what is called */

struct task;

/* What is known of one variant of a module: it waits, runs, or has failed. */
struct compile {
	struct compile *hash_next;
	struct compile *prev; /* in the order of being queued */
	struct compile *next;
	struct digest module;
	bool is_metered;
	enum vm_compile_level level;
	enum compile_state state; /* QUEUED, RUNNING, FAILED */
	uint64_t uses;            /* calls that would have liked to be native */
	unsigned failures;
	uint64_t retry_us; /* CLOCK_MONOTONIC */
	char detail[DETAIL_MAX];
	struct task *task;
};

/* One compilation under way. */
struct task {
	struct letter letter;
	struct job job;
	struct task *next;
	struct compiler *compiler;
	struct compile *compile; /* NULL: nobody wants it any more */
	struct digest module;
	bool is_metered;
	enum vm_compile_level level;
	struct program *program; /* to be given the code, while a job runs; or NULL */
	bool had_code;           /* it had some already, of a lower level */
	struct store_reply *reply;
	int in_fd;
	int out_fd;
	uint64_t bytes_max;

	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t timer;
	unsigned handle_count; /* that are not closed yet */
	bool has_exited;
	bool is_late;
	int64_t exit_status;
	int term_signal;
	uint64_t started_us;
	uint64_t compile_us;
	uint64_t artifact_bytes;
	struct compile_report report;
	char heard[4096];

	bool is_found; /* the cache had it */
	bool is_done;
	char error[DETAIL_MAX];
};

struct compiler {
	struct daemon *daemon;
	char helper[4096];
	struct compile *buckets[BUCKETS];
	struct compile *first;
	struct compile *last;
	struct task *tasks;
	unsigned count; /* of all entries */
	unsigned queued_count;
	unsigned running_count;
	bool is_stopping;
	char absent[DETAIL_MAX]; /* why there is no compiler; "" as long as there may be one */
};

static void start_some(struct compiler *compiler);

/* Why it failed, cut to what fits. */
static void VM_PRINTF(2, 3)
say(struct task *task, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(task->error, sizeof task->error, format, args);
	va_end(args);
}

/* --- what is known ------------------------------------------------------------------------ */

static struct compile **
bucket_of(struct compiler *compiler, const struct digest *module, bool is_metered)
{
	size_t hash;

	memcpy(&hash, module->bytes, sizeof hash);
	return &compiler->buckets[(hash + is_metered) & (BUCKETS - 1)];
}

static struct compile *
find(struct compiler *compiler, const struct digest *module, bool is_metered)
{
	struct compile *compile = *bucket_of(compiler, module, is_metered);

	while (compile != NULL &&
	       (compile->is_metered != is_metered || !digest_equal(&compile->module, module)))
		compile = compile->hash_next;
	return compile;
}

static void
list_append(struct compiler *compiler, struct compile *compile)
{
	compile->prev = compiler->last;
	compile->next = NULL;
	if (compiler->last != NULL)
		compiler->last->next = compile;
	else
		compiler->first = compile;
	compiler->last = compile;
}

static void
list_remove(struct compiler *compiler, struct compile *compile)
{
	if (compile->prev != NULL)
		compile->prev->next = compile->next;
	else
		compiler->first = compile->next;
	if (compile->next != NULL)
		compile->next->prev = compile->prev;
	else
		compiler->last = compile->prev;
}

static void
report_counts(const struct compiler *compiler)
{
	metric_set(METRIC_COMPILE_QUEUE, 0, 0, (int64_t)compiler->queued_count);
	metric_set(METRIC_COMPILE_RUNNING, 0, 0, (int64_t)compiler->running_count);
}

static void
set_state(struct compiler *compiler, struct compile *compile, enum compile_state state)
{
	compiler->queued_count -= compile->state == COMPILE_QUEUED;
	compiler->running_count -= compile->state == COMPILE_RUNNING;
	compile->state = state;
	compiler->queued_count += state == COMPILE_QUEUED;
	compiler->running_count += state == COMPILE_RUNNING;
	report_counts(compiler);
}

static void
drop(struct compiler *compiler, struct compile *compile)
{
	struct compile **link = bucket_of(compiler, &compile->module, compile->is_metered);

	while (*link != compile)
		link = &(*link)->hash_next;
	*link = compile->hash_next;
	list_remove(compiler, compile);
	set_state(compiler, compile, COMPILE_NONE);
	compiler->count--;
	free(compile);
}

/* Failures are remembered as long as there is room: the oldest goes. */
static bool
make_room(struct compiler *compiler)
{
	struct compile *compile = compiler->first;

	if (compiler->count < compiler->daemon->config->compile_queue_length)
		return true;
	while (compile != NULL && compile->state != COMPILE_FAILED)
		compile = compile->next;
	if (compile == NULL)
		return false;
	drop(compiler, compile);
	return true;
}

static struct compile *
add(struct compiler *compiler, const struct digest *module, bool is_metered,
    enum vm_compile_level level)
{
	struct compile **bucket = bucket_of(compiler, module, is_metered);
	struct compile *compile = make_room(compiler) ? calloc(1, sizeof *compile) : NULL;

	if (compile == NULL)
		return NULL;
	compile->module = *module;
	compile->is_metered = is_metered;
	compile->level = level;
	compile->hash_next = *bucket;
	*bucket = compile;
	list_append(compiler, compile);
	compiler->count++;
	return compile;
}

/* --- telling ------------------------------------------------------------------------------ */

const char *
compile_state_text(enum compile_state state)
{
	static const char *const texts[] = {
		[COMPILE_NONE] = "none",     [COMPILE_QUEUED] = "queued",
		[COMPILE_RUNNING] = "running", [COMPILE_READY] = "ready",
		[COMPILE_FAILED] = "failed", [COMPILE_PINNED] = "pinned",
		[COMPILE_OFF] = "off",
	};

	return texts[state];
}

static const char *
level_text(enum vm_compile_level level)
{
	return level == VM_COMPILE_FAST ? "fast" : "best";
}

static void
write_progress(struct rpc_writer *w, uint64_t done_bytes, uint64_t total_bytes)
{
	rpc_write_key(w, "progress");
	rpc_write_object_begin(w);
	rpc_member_uint(w, "done_bytes", done_bytes);
	rpc_member_uint(w, "total_bytes", total_bytes);
	rpc_write_object_end(w);
}

void
compile_status_write(struct rpc_writer *w, const struct compile_status *status)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "state", compile_state_text(status->state));
	rpc_member_text(w, "tier", "native");
	if (status->state == COMPILE_QUEUED || status->state == COMPILE_RUNNING)
		rpc_member_text(w, "level", level_text(status->level));
	if (status->state == COMPILE_RUNNING && status->total_bytes > 0)
		write_progress(w, status->done_bytes, status->total_bytes);
	if (status->detail != NULL && status->detail[0] != '\0')
		rpc_member_text(w, "detail", status->detail);
	rpc_write_object_end(w);
}

/* An event of a module that is being compiled; task NULL: it only waits. */
static void
tell(struct compiler *compiler, const char *name, const struct compile *compile,
     const struct task *task)
{
	char digest[DIGEST_TEXT_SIZE];
	struct rpc_writer w;

	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	rpc_member_text(&w, "module", digest_format(&compile->module, digest));
	rpc_member_text(&w, "variant", compile->is_metered ? "metered" : "plain");
	rpc_member_text(&w, "level", level_text(compile->level));
	if (task != NULL && task->is_done) {
		rpc_member_uint(&w, "size", task->artifact_bytes);
		rpc_member_uint(&w, "compile_us", task->compile_us);
	} else if (task != NULL && task->error[0] != '\0') {
		rpc_member_text(&w, "detail", task->error);
	} else if (task != NULL && task->report.total_bytes > 0) {
		write_progress(&w, task->report.done_bytes, task->report.total_bytes);
	}
	rpc_write_object_end(&w);
	feed_add(compiler->daemon->feed, name, &w);
}

/* --- status ------------------------------------------------------------------------------- */

/* Why nothing can be compiled, or NULL. */
static const char *
reason_for_none(const struct compiler *compiler)
{
	if (!compiler->daemon->config->compile_enabled)
		return "compile.enabled is no";
	if (vm_cpu_features() == 0)
		return "there is no native code for this processor";
	return compiler->absent[0] != '\0' ? compiler->absent : NULL;
}

static struct compile_status
status_of_loaded(struct compiler *compiler, const struct digest *module, bool is_metered)
{
	struct compile_status status = { .state = COMPILE_NONE };
	struct program *program = programs_peek(compiler->daemon->programs, module);

	if (program == NULL)
		return status;
	if (atomic_load_explicit(&program->is_pinned[is_metered], memory_order_relaxed))
		status.state = COMPILE_PINNED;
	else if (vm_module_has_native(program->module, is_metered))
		status.state = COMPILE_READY;
	program_unref(program);
	return status;
}

struct compile_status
compiler_status(struct compiler *compiler, const struct digest *module, bool is_metered)
{
	const struct compile *compile = find(compiler, module, is_metered);
	const char *reason = reason_for_none(compiler);

	if (compile == NULL || (compile->state == COMPILE_FAILED && reason != NULL)) {
		struct compile_status status = status_of_loaded(compiler, module, is_metered);
		if (status.state == COMPILE_NONE && reason != NULL) {
			status.state = COMPILE_OFF;
			status.detail = reason;
		}
		return status;
	}
	struct compile_status status = { .state = compile->state,
		                         .level = compile->level,
		                         .detail = compile->detail };
	if (compile->task != NULL) {
		status.done_bytes = compile->task->report.done_bytes;
		status.total_bytes = compile->task->report.total_bytes;
	}
	return status;
}

void
compiler_get_counts(const struct compiler *compiler, unsigned *out_queued, unsigned *out_running)
{
	*out_queued = compiler->queued_count;
	*out_running = compiler->running_count;
}

/* --- asking ------------------------------------------------------------------------------- */

static void
queue(struct compiler *compiler, struct compile *compile)
{
	compile->detail[0] = '\0';
	list_remove(compiler, compile);
	list_append(compiler, compile);
	set_state(compiler, compile, COMPILE_QUEUED);
	tell(compiler, "compile.queued", compile, NULL);
	start_some(compiler);
}

struct compile_status
compiler_ask(struct compiler *compiler, const struct digest *module, bool is_metered,
             enum vm_compile_level level, bool is_urgent)
{
	struct compile *compile = find(compiler, module, is_metered);

	if (compiler->is_stopping || reason_for_none(compiler) != NULL ||
	    (compile == NULL &&
	     status_of_loaded(compiler, module, is_metered).state == COMPILE_PINNED))
		return compiler_status(compiler, module, is_metered);
	if (compile == NULL)
		compile = add(compiler, module, is_metered, level);
	if (compile == NULL)
		return (struct compile_status){ .state = COMPILE_NONE,
			                        .detail = "too many modules wait" };
	if (level > compile->level && compile->state != COMPILE_RUNNING)
		compile->level = level;
	if (is_urgent && compile->uses < ASKED_USES)
		compile->uses += ASKED_USES;
	if (compile->state == COMPILE_NONE || (compile->state == COMPILE_FAILED && is_urgent))
		queue(compiler, compile);
	return compiler_status(compiler, module, is_metered);
}

void
compiler_used(struct compiler *compiler, const struct program *program, bool is_metered)
{
	const struct config *config = compiler->daemon->config;
	struct compile *compile = find(compiler, &program->digest, is_metered);

	if (compile == NULL && !compiler->is_stopping && reason_for_none(compiler) == NULL) {
		enum vm_compile_level level = config->compile_level == CONFIG_compile_level_FAST
		                                  ? VM_COMPILE_FAST
		                                  : VM_COMPILE_BEST;
		compile = add(compiler, &program->digest, is_metered, level);
		if (compile != NULL)
			queue(compiler, compile);
	} else if (compile != NULL) {
		compile->uses++;
		if (compile->state == COMPILE_FAILED && clock_monotonic_us() >= compile->retry_us &&
		    reason_for_none(compiler) == NULL && !compiler->is_stopping)
			queue(compiler, compile);
	}
}

/* --- one compilation: the end ------------------------------------------------------------- */

static void
close_files(struct task *task)
{
	if (task->in_fd >= 0)
		close(task->in_fd);
	if (task->out_fd >= 0)
		close(task->out_fd);
	task->in_fd = task->out_fd = -1;
}

static void
task_free(struct task *task)
{
	struct task **link = &task->compiler->tasks;

	while (*link != task)
		link = &(*link)->next;
	*link = task->next;
	close_files(task);
	program_unref(task->program);
	store_reply_free(task->reply);
	free(task);
}

static void
note_failure(struct compile *compile, const struct task *task)
{
	unsigned doublings =
	    compile->failures < RETRY_DOUBLINGS ? compile->failures : RETRY_DOUBLINGS;

	compile->failures++;
	compile->retry_us = clock_monotonic_us() + (RETRY_US << doublings);
	snprintf(compile->detail, sizeof compile->detail, "%s", task->error);
}

/* No module can be compiled: nothing is tried again before somebody reloads the settings. */
static void
note_absence(struct task *task)
{
	struct compiler *compiler = task->compiler;

	memcpy(compiler->absent, task->error, sizeof compiler->absent);
	log_notice("there is no native code", LOG_STR("reason", compiler->absent));
}

static enum metric_value
result_of(const struct task *task)
{
	if (task->is_done)
		return METRIC_compile_DONE;
	if (task->is_late)
		return METRIC_compile_TIMED_OUT;
	return task->term_signal != 0 ? METRIC_compile_CRASHED : METRIC_compile_FAILED;
}

static void
conclude(struct task *task)
{
	struct compile *compile = task->compile;
	char digest[DIGEST_TEXT_SIZE];

	digest_format(&task->module, digest);
	metric_add(METRIC_COMPILES, result_of(task), 0, 1);
	metric_observe_us(METRIC_COMPILE_TIME, 0, 0, task->compile_us);
	if (task->is_done) {
		log_info("compiled", LOG_STR("module", digest),
		         LOG_STR("variant", task->is_metered ? "metered" : "plain"),
		         LOG_STR("level", level_text(task->level)),
		         LOG_UINT("bytes", task->artifact_bytes),
		         LOG_US("time_ms", task->compile_us));
		tell(task->compiler, "compile.done", compile, task);
		drop(task->compiler, compile);
	} else {
		log_write(task->is_late || task->term_signal != 0 ? LEVEL_WARNING : LEVEL_INFO,
		          "not compiled; the module stays interpreted",
		          LOG_FIELDS(LOG_STR("module", digest),
		                     LOG_STR("variant", task->is_metered ? "metered" : "plain"),
		                     LOG_STR("reason", task->error)));
		note_failure(compile, task);
		compile->task = NULL;
		set_state(task->compiler, compile, COMPILE_FAILED);
		tell(task->compiler, "compile.failed", compile, task);
	}
}

/* Nobody waits for anything of this task any more. */
static void
task_end(struct task *task)
{
	struct compiler *compiler = task->compiler;
	struct compile *compile = task->compile;

	if (compile == NULL)
		metric_add(METRIC_COMPILES, METRIC_compile_STOPPED, 0, 1);
	else if (compiler->is_stopping)
		drop(compiler, compile);
	else if (task->is_found || compiler->absent[0] != '\0')
		drop(compiler, compile); /* nothing had to be done, or nothing can be */
	else
		conclude(task);
	task_free(task);
	start_some(compiler);
}

static void
on_accepted(struct letter *letter)
{
	struct task *task = (struct task *)letter;
	struct programs *programs = task->compiler->daemon->programs;

	/* Code cannot be replaced while it may run: the module is loaded anew, with the better. */
	if (task->is_done && task->had_code)
		programs_drop(programs, &task->module);
	task_end(task);
}

/* All of the artifact, or NULL. */
static uint8_t *
read_artifact(struct task *task)
{
	struct stat st;
	size_t read_bytes = 0;

	if (fstat(task->out_fd, &st) != 0 || st.st_size <= 0 ||
	    (uint64_t)st.st_size > task->bytes_max) {
		say(task, "the compiler's output has %" PRIu64 " bytes, which cannot be right",
		    (uint64_t)st.st_size);
		return NULL;
	}
	size_t len = (size_t)st.st_size;
	uint8_t *bytes = malloc(len);
	while (bytes != NULL && read_bytes < len) {
		ssize_t got =
		    pread(task->out_fd, bytes + read_bytes, len - read_bytes, (off_t)read_bytes);
		if (got <= 0)
			break;
		read_bytes += (size_t)got;
	}
	if (bytes != NULL && read_bytes == len) {
		task->artifact_bytes = len;
		return bytes;
	}
	say(task, "no memory for the compiler's output");
	free(bytes);
	return NULL;
}

static struct task *
task_of_job(struct job *job)
{
	return (struct task *)((char *)job - offsetof(struct task, job));
}

static void
run_accept(struct job *job)
{
	struct task *task = task_of_job(job);
	struct vm_error err;
	uint8_t *bytes = read_artifact(task);

	if (bytes != NULL) {
		const struct artifact_offer offer = {
			.module = task->module,
			.level = task->level,
			.is_metered = task->is_metered,
			.bytes = bytes,
			.size_bytes = (size_t)task->artifact_bytes,
			.compile_us = task->compile_us,
			.program = task->program,
		};
		task->had_code = task->program != NULL &&
		                 vm_module_has_native(task->program->module, task->is_metered);
		task->is_done = artifacts_accept(task->compiler->daemon->artifacts, &offer, &err);
		if (!task->is_done)
			say(task, "the compiler's output is not usable: %s", err.message);
	}
	free(bytes);
	mailbox_post(&task->compiler->daemon->mailbox, &task->letter, on_accepted);
}

/* The process has ended and all it said has been read. */
static void
on_process_over(struct task *task)
{
	struct compiler *compiler = task->compiler;
	const char *said = task->report.said;

	task->compile_us = clock_monotonic_us() - task->started_us;
	if (task->compile == NULL || compiler->is_stopping) {
		task_end(task);
		return;
	}
	if (task->is_late)
		say(task, "not done within %" PRIu64 " s",
		    compiler->daemon->config->compile_time / 1000);
	else if (task->term_signal != 0)
		say(task, "the compiler crashed (%s)%s%s", strsignal(task->term_signal),
		    said[0] == '\0' ? "" : ": ", said);
	else if (task->exit_status != COMPILE_EXIT_OK)
		say(task, "%s", said[0] == '\0' ? "the compiler gave up" : said);
	if (task->exit_status == COMPILE_EXIT_ABSENT && task->term_signal == 0)
		note_absence(task);
	if (task->error[0] != '\0') {
		task_end(task);
		return;
	}
	task->program = programs_peek(compiler->daemon->programs, &task->module);
	if (artifacts_submit(compiler->daemon->artifacts, &task->job, run_accept))
		return;
	say(task, "too much waits for the cache");
	task_end(task);
}

/* --- one compilation: the process --------------------------------------------------------- */

static void
on_closed(uv_handle_t *handle)
{
	struct task *task = handle->data;

	if (--task->handle_count == 0)
		on_process_over(task);
}

static void
close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

/* What stays open when the process has ended is held by somebody it should not have started. */
static void
on_time(uv_timer_t *timer)
{
	struct task *task = timer->data;

	if (task->has_exited) {
		close_handle(&task->pipe);
		close_handle(&task->timer);
	} else {
		task->is_late = true;
		uv_process_kill(&task->process, SIGKILL);
	}
}

static void
on_ended(uv_process_t *process, int64_t exit_status, int term_signal)
{
	struct task *task = process->data;

	task->has_exited = true;
	task->exit_status = exit_status;
	task->term_signal = term_signal;
	close_handle(&task->process);
	if (uv_is_closing((uv_handle_t *)&task->pipe))
		close_handle(&task->timer);
	else
		uv_timer_start(&task->timer, on_time, AFTERWORDS_MS, 0);
}

static void
give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
	struct task *task = handle->data;

	(void)size;
	*out = uv_buf_init(task->heard, sizeof task->heard);
}

static void
on_heard(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
	struct task *task = stream->data;
	uint64_t done = task->report.done_bytes;

	if (len > 0) {
		compile_report_feed(&task->report, buffer->base, (size_t)len);
		if (task->compile != NULL && task->report.done_bytes != done)
			tell(task->compiler, "compile.progress", task->compile, task);
		return;
	}
	if (len == 0)
		return;
	compile_report_end(&task->report);
	close_handle(&task->pipe);
	if (task->has_exited)
		close_handle(&task->timer);
}

/* The words of the command line, and room for the numbers in them. */
struct command {
	char jobs[32];
	char memory[48];
	char time[48];
	char level[16];
	char metered[16];
	char *words[7];
};

static void
make_command(struct command *command, const struct task *task)
{
	struct compiler *compiler = task->compiler;
	const struct config *config = compiler->daemon->config;
	size_t n = 0;

	snprintf(command->level, sizeof command->level, "--level=%s", level_text(task->level));
	snprintf(command->metered, sizeof command->metered, "--metered");
	snprintf(command->jobs, sizeof command->jobs, "--jobs=%" PRIu64, config->compile_jobs);
	snprintf(command->memory, sizeof command->memory, "--memory=%" PRIu64,
	         config->compile_memory);
	snprintf(command->time, sizeof command->time, "--time=%" PRIu64, config->compile_time);
	command->words[n++] = compiler->helper;
	command->words[n++] = command->level;
	command->words[n++] = command->jobs;
	command->words[n++] = command->memory;
	command->words[n++] = command->time;
	if (task->is_metered)
		command->words[n++] = command->metered;
	command->words[n] = NULL;
}

static int
spawn(struct task *task)
{
	struct command command;
	uv_stdio_container_t streams[3] = {
		[COMPILE_IN_FD] = { .flags = UV_INHERIT_FD, .data.fd = task->in_fd },
		[COMPILE_OUT_FD] = { .flags = UV_INHERIT_FD, .data.fd = task->out_fd },
		[COMPILE_SAY_FD] = { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		                     .data.stream = (uv_stream_t *)&task->pipe },
	};
	uv_process_options_t options = {
		.file = task->compiler->helper,
		.args = command.words,
		.exit_cb = on_ended,
		.stdio = streams,
		.stdio_count = 3,
	};

	make_command(&command, task);
	return uv_spawn(task->compiler->daemon->loop, &task->process, &options);
}

static void
start_process(struct task *task)
{
	struct compiler *compiler = task->compiler;
	uv_loop_t *loop = compiler->daemon->loop;

	compile_report_init(&task->report);
	task->started_us = clock_monotonic_us();
	uv_pipe_init(loop, &task->pipe, 0);
	uv_timer_init(loop, &task->timer);
	task->handle_count = 3;
	int failure = spawn(task); /* makes the handle even when it fails */
	task->process.data = task->pipe.data = task->timer.data = task;
	close(task->in_fd);
	task->in_fd = -1;
	if (failure == 0) {
		uv_read_start((uv_stream_t *)&task->pipe, give_buffer, on_heard);
		uv_timer_start(&task->timer, on_time, compiler->daemon->config->compile_time, 0);
		tell(compiler, "compile.started", task->compile, NULL);
		return;
	}
	say(task, "cannot start %s: %s", compiler->helper, uv_strerror(failure));
	if (failure == UV_ENOENT || failure == UV_EACCES)
		note_absence(task);
	close_handle(&task->process);
	close_handle(&task->pipe);
	close_handle(&task->timer);
}

/* --- one compilation: the beginning ------------------------------------------------------- */

/* A file in memory; -1: there can be none. */
static int
make_file(const char *name, const void *bytes, size_t len, bool is_sealed)
{
	const char *data = bytes;
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	while (fd >= 0 && len > 0) {
		ssize_t put = write(fd, data, len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			close(fd);
			return -1;
		}
		data += put;
		len -= (size_t)put;
	}
	if (fd < 0)
		return -1;
	lseek(fd, 0, SEEK_SET);
	if (is_sealed)
		(void)fcntl(fd, F_ADD_SEALS,
		            F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

static void
on_prepared(struct letter *letter)
{
	struct task *task = (struct task *)letter;

	/* It will not go better with the next call. */
	if (task->is_found && task->program != NULL &&
	    program_wants_code(task->program, task->is_metered)) {
		task->is_found = false;
		say(task, "the native code in the cache cannot be loaded now");
	}
	program_unref(task->program);
	task->program = NULL;
	if (task->compile == NULL || task->compiler->is_stopping || task->is_found ||
	    task->error[0] != '\0')
		task_end(task);
	else
		start_process(task);
}

/* Whether the cache has what is asked for; else the files of the process. */
static void
run_prepare(struct job *job)
{
	struct task *task = task_of_job(job);
	struct artifacts *artifacts = task->compiler->daemon->artifacts;
	enum vm_compile_level level = VM_COMPILE_FAST;
	enum cache_found found = artifacts_look(artifacts, &task->module, task->is_metered,
	                                        task->program, &level);

	task->is_found = found == CACHE_PINNED || (found == CACHE_HIT && level >= task->level);
	if (!task->is_found) {
		task->in_fd =
		    make_file("module", task->reply->bytes, task->reply->size_bytes, true);
		task->out_fd = make_file("artifact", NULL, 0, false);
		if (task->in_fd < 0 || task->out_fd < 0)
			say(task, "no memory for the compiler");
	}
	store_reply_free(task->reply);
	task->reply = NULL;
	mailbox_post(&task->compiler->daemon->mailbox, &task->letter, on_prepared);
}

static void
on_read(struct letter *letter)
{
	struct task *task = (struct task *)letter;
	struct daemon *daemon = task->compiler->daemon;

	if (task->compile == NULL || task->compiler->is_stopping) {
		task_end(task);
		return;
	}
	if (task->reply->error.status != STORE_OK) {
		say(task, "%s", task->reply->error.message);
	} else {
		task->program = programs_peek(daemon->programs, &task->module);
		if (artifacts_submit(daemon->artifacts, &task->job, run_prepare))
			return;
		say(task, "too much waits for the cache");
	}
	task_end(task);
}

/* On a thread of the store. */
static void
on_stored(void *arg, struct store_reply *reply)
{
	struct task *task = arg;

	task->reply = reply;
	mailbox_post(&task->compiler->daemon->mailbox, &task->letter, on_read);
}

static void
fail_at_once(struct compiler *compiler, struct compile *compile, const char *reason)
{
	snprintf(compile->detail, sizeof compile->detail, "%s", reason);
	compile->retry_us = clock_monotonic_us() + RETRY_US;
	set_state(compiler, compile, COMPILE_FAILED);
}

static void
start(struct compiler *compiler, struct compile *compile)
{
	struct task *task = calloc(1, sizeof *task);

	if (task == NULL) {
		fail_at_once(compiler, compile, "no memory to compile");
		return;
	}
	task->compiler = compiler;
	task->compile = compile;
	task->module = compile->module;
	task->is_metered = compile->is_metered;
	task->level = compile->level;
	task->in_fd = task->out_fd = -1;
	task->bytes_max = compiler->daemon->config->compile_memory;
	enum store_status status =
	    store_module_get(compiler->daemon->store, &task->module, true, on_stored, task);
	if (status != STORE_OK) {
		free(task);
		fail_at_once(compiler, compile, store_status_text(status));
		return;
	}
	task->next = compiler->tasks;
	compiler->tasks = task;
	compile->task = task;
	set_state(compiler, compile, COMPILE_RUNNING);
}

/* The one with the most uses; of those the one that waits longest. */
static struct compile *
choose(struct compiler *compiler)
{
	struct compile *best = NULL;

	for (struct compile *c = compiler->first; c != NULL; c = c->next)
		if (c->state == COMPILE_QUEUED && (best == NULL || c->uses > best->uses))
			best = c;
	return best;
}

/* What waits for a compiler that is not there will wait for ever. */
static void
drop_queued(struct compiler *compiler)
{
	struct compile *next;

	for (struct compile *compile = compiler->first; compile != NULL; compile = next) {
		next = compile->next;
		if (compile->state == COMPILE_QUEUED)
			drop(compiler, compile);
	}
}

static void
start_some(struct compiler *compiler)
{
	if (compiler->is_stopping)
		return;
	if (reason_for_none(compiler) != NULL) {
		drop_queued(compiler);
		return;
	}
	while (compiler->queued_count > 0 &&
	       compiler->running_count < compiler->daemon->config->compile_processes)
		start(compiler, choose(compiler));
}

/* --- deleting ----------------------------------------------------------------------------- */

static void
kill_process(struct task *task)
{
	if (task->handle_count > 0 && !task->has_exited &&
	    !uv_is_closing((uv_handle_t *)&task->process))
		uv_process_kill(&task->process, SIGKILL);
}

void
compiler_forget(struct compiler *compiler, const struct digest *module)
{
	for (int is_metered = 0; is_metered < 2; is_metered++) {
		struct compile *compile = find(compiler, module, is_metered);
		if (compile == NULL)
			continue;
		if (compile->task != NULL) {
			compile->task->compile = NULL;
			kill_process(compile->task);
		}
		drop(compiler, compile);
	}
	artifacts_forget(compiler->daemon->artifacts, module);
	start_some(compiler);
}

/* --- making and ending -------------------------------------------------------------------- */

struct compiler *
compiler_new(struct daemon *daemon)
{
	struct compiler *compiler = calloc(1, sizeof *compiler);

	if (compiler == NULL)
		return NULL;
	compiler->daemon = daemon;
	helper_find(HELPER, daemon->config->compile_helper, compiler->helper,
	            sizeof compiler->helper);
	return compiler;
}

void
compiler_configure(struct compiler *compiler)
{
	compiler->absent[0] = '\0'; /* somebody may have installed it */
	start_some(compiler);
}

void
compiler_stop(struct compiler *compiler)
{
	if (compiler == NULL)
		return;
	compiler->is_stopping = true;
	drop_queued(compiler);
	for (struct task *task = compiler->tasks; task != NULL; task = task->next)
		kill_process(task);
}

void
compiler_free(struct compiler *compiler)
{
	if (compiler == NULL)
		return;
	while (compiler->tasks != NULL)
		task_free(compiler->tasks);
	while (compiler->first != NULL)
		drop(compiler, compiler->first);
	free(compiler);
}
