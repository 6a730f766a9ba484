#include "rpc/answer.h"

#include <stdlib.h>
#include "rpc/route.h"
#include "rpc/utf8.h"

static const char *const state_texts[] = {
	[RPC_QUEUED] = "queued",       [RPC_RUNNING] = "running", [RPC_RETURNED] = "returned",
	[RPC_EXITED] = "exited",       [RPC_TRAPPED] = "trapped", [RPC_LIMITED] = "limited",
	[RPC_CANCELLED] = "cancelled", [RPC_LOST] = "lost",
};

const char *
rpc_state_text(enum rpc_state state)
{
	return state_texts[state];
}

void
rpc_output_write(struct rpc_writer *w, const struct rpc_output *output)
{
	rpc_write_object_begin(w);
	if (rpc_utf8_valid(output->data, output->len)) {
		rpc_write_key(w, "text");
		rpc_write_string(w, output->data, output->len);
	} else {
		rpc_write_key(w, "base64");
		rpc_write_base64(w, output->data, output->len);
	}
	if (output->total_bytes > output->len) {
		rpc_member_bool(w, "truncated", true);
		rpc_member_uint(w, "size", output->total_bytes);
	}
	rpc_write_object_end(w);
}

static void
write_place(struct rpc_writer *w, uint32_t function, uint64_t offset)
{
	if (function != RPC_NO_FUNCTION)
		rpc_member_uint(w, "function", function);
	if (offset != RPC_UNSET)
		rpc_member_uint(w, "offset", offset);
}

static void
write_trap(struct rpc_writer *w, const struct rpc_trap *trap)
{
	rpc_write_key(w, "trap");
	rpc_write_object_begin(w);
	rpc_member_text(w, "code", trap->code);
	rpc_member_text(w, "message", trap->message);
	write_place(w, trap->function, trap->offset);
	rpc_write_key(w, "backtrace");
	rpc_write_array_begin(w);
	for (size_t i = 0; i < trap->frame_count; i++) {
		const struct rpc_frame *frame = &trap->frames[i];
		rpc_write_object_begin(w);
		write_place(w, frame->function, frame->offset);
		if (frame->name != NULL && frame->name[0] != '\0')
			rpc_member_text(w, "name", frame->name);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
	rpc_member_uint(w, "omitted", trap->frames_omitted);
	rpc_write_object_end(w);
}

/* The path of a file below its invocation, each segment encoded by itself. */
static void
write_href(struct rpc_writer *w, const char *id, const char *path)
{
	static const char before_id[] = "/v1/invocations/";
	static const char behind_id[] = "/files";
	size_t size = sizeof before_id + sizeof behind_id + strlen(id) + 3 * strlen(path) + 1;
	char *href = malloc(size);

	rpc_write_key(w, "href");
	if (href == NULL) {
		w->failed = true;
		return;
	}
	char *p = stpcpy(stpcpy(stpcpy(href, before_id), id), behind_id);
	while (*path != '\0') {
		size_t len = strcspn(path, "/");
		if (len > 0) {
			*p++ = '/';
			p += rpc_percent_encode(path, len, p);
		}
		path += len + (path[len] == '/');
	}
	rpc_write_string(w, href, (size_t)(p - href));
	free(href);
}

static void
write_files(struct rpc_writer *w, const struct rpc_answer *answer)
{
	rpc_write_key(w, "files");
	rpc_write_array_begin(w);
	for (size_t i = 0; i < answer->file_count; i++) {
		rpc_write_object_begin(w);
		rpc_member_text(w, "path", answer->files[i].path);
		rpc_member_uint(w, "size", answer->files[i].size_bytes);
		write_href(w, answer->id, answer->files[i].path);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

static void
write_usage(struct rpc_writer *w, const struct rpc_usage *usage)
{
	const struct {
		const char *key;
		uint64_t value;
	} members[] = {
		{ "wall_us", usage->wall_us },
		{ "queue_us", usage->queue_us },
		{ "fuel", usage->fuel },
		{ "peak_pages", usage->peak_pages },
		{ "host_calls", usage->host_calls },
	};

	rpc_write_key(w, "usage");
	rpc_write_object_begin(w);
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		if (members[i].value != RPC_UNSET)
			rpc_member_uint(w, members[i].key, members[i].value);
	rpc_write_object_end(w);
}

static void
write_results(struct rpc_writer *w, const struct rpc_answer *answer)
{
	rpc_write_key(w, "results");
	rpc_write_array_begin(w);
	for (size_t i = 0; i < answer->result_count; i++)
		rpc_value_write(w, &answer->results[i], answer->exact, answer->lanes);
	rpc_write_array_end(w);
}

void
rpc_answer_write(struct rpc_writer *w, const struct rpc_answer *answer)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "id", answer->id);
	rpc_member_text(w, "outcome", rpc_state_text(answer->outcome));
	if (answer->outcome == RPC_RETURNED)
		write_results(w, answer);
	if (answer->outcome == RPC_EXITED)
		rpc_member_int(w, "exit_code", answer->exit_code);
	if (answer->trap != NULL)
		write_trap(w, answer->trap);
	if (answer->out != NULL) {
		rpc_write_key(w, "stdout");
		rpc_output_write(w, answer->out);
	}
	if (answer->err != NULL) {
		rpc_write_key(w, "stderr");
		rpc_output_write(w, answer->err);
	}
	if (answer->has_files || answer->file_count > 0)
		write_files(w, answer);
	write_usage(w, &answer->usage);
	rpc_member_text(w, "tier", answer->tier);
	rpc_write_object_end(w);
}

static void
member_time(struct rpc_writer *w, const char *key, int64_t time_us)
{
	if (time_us == 0)
		return;
	rpc_write_key(w, key);
	rpc_write_time_us(w, time_us);
}

void
rpc_invocation_write(struct rpc_writer *w, const struct rpc_invocation *invocation)
{
	rpc_write_object_begin(w);
	rpc_member_text(w, "id", invocation->id);
	rpc_member_text(w, "state", rpc_state_text(invocation->state));
	rpc_member_text(w, "kind", invocation->is_run ? "run" : "invoke");
	if (invocation->module != NULL) {
		rpc_write_key(w, "module");
		rpc_write_digest(w, invocation->module);
	}
	rpc_member_text(w, "function", invocation->function);
	rpc_member_text(w, "owner", invocation->owner);
	member_time(w, "created_at", invocation->created_us);
	member_time(w, "started_at", invocation->started_us);
	member_time(w, "done_at", invocation->done_us);
	if (invocation->result != NULL) {
		rpc_write_key(w, "result");
		rpc_write_raw(w, invocation->result, invocation->result_len);
	}
	rpc_write_object_end(w);
}
