#include "client/wasmedgectl/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "client/wasmedgectl/output.h"
#include "rpc/base64.h"
#include "rpc/number.h"

/* --- values --- */

/* Any JSON number came through a double; rpc's printers give the digits it was sent with. */
static void
print_real(FILE *out, double value, bool is_f32)
{
	char text[RPC_NUMBER_TEXT_MAX];

	if (is_f32) {
		float narrow = (float)value;
		uint32_t bits;

		memcpy(&bits, &narrow, sizeof(bits));
		rpc_f32_print(bits, text);
	} else {
		uint64_t bits;

		memcpy(&bits, &value, sizeof(bits));
		rpc_f64_print(bits, text);
	}
	fputs(text, out);
}

static void
print_scalar(FILE *out, const json_t *value, bool is_f32)
{
	if (json_is_string(value))
		output_text(out, json_string_value(value), json_string_length(value));
	else if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		print_real(out, json_real_value(value), is_f32);
	else
		fputs(json_is_null(value) ? "null" : "?", out);
}

void
answer_print_value(FILE *out, const json_t *value, bool exact)
{
	const char *type = ctl_text(value, "type"), *bits = ctl_text(value, "bits");
	const char *lanes = ctl_text(value, "lanes");
	const json_t *what = json_object_get(value, "value");

	if (json_is_array(what)) {
		output_text(out, lanes, strlen(lanes));
		for (size_t i = 0; i < json_array_size(what); i++) {
			fputc(' ', out);
			print_scalar(out, json_array_get(what, i), strcmp(lanes, "f32x4") == 0);
		}
		bits = ctl_text(value, "bytes");
	} else {
		print_scalar(out, what, strcmp(type, "f32") == 0);
	}
	if (exact && bits[0] != '\0') {
		fputc('\t', out);
		output_text(out, bits, strlen(bits));
	}
	fputc('\n', out);
}

/* --- what a guest wrote --- */

void
answer_write(FILE *out, bool is_terminal, const char *bytes, size_t len)
{
	if (is_terminal)
		output_lines(out, bytes, len);
	else
		fwrite(bytes, 1, len, out);
	fflush(out);
}

int
answer_bytes(struct ctl *ctl, const json_t *output, char **out, size_t *out_len)
{
	const json_t *text = json_object_get(output, "text");
	const json_t *base64 = json_object_get(output, "base64");
	const json_t *which = json_is_string(text) ? text : base64;
	size_t len = json_string_length(which), bad;
	char *bytes = malloc(len + 1);

	if (bytes == NULL)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "out of memory");
	if (which == text && text != NULL) {
		memcpy(bytes, json_string_value(text), len);
	} else if (which != NULL && len > 0 &&
	           !rpc_base64_decode(json_string_value(which), len, (uint8_t *)bytes, &len,
	                              &bad)) {
		free(bytes);
		return ctl_fail(ctl, EXIT_CODE_FAILED, "the output that came is not base64");
	}
	bytes[len] = '\0';
	*out = bytes;
	*out_len = len;
	return 0;
}

/* shown: bytes of it that were shown before */
static int
show_output(struct ctl *ctl, const json_t *answer, const char *name, FILE *out, bool is_terminal,
            size_t shown)
{
	const json_t *output = json_object_get(answer, name);
	char *bytes = NULL;
	size_t len = 0;

	if (!json_is_object(output))
		return 0;
	int code = answer_bytes(ctl, output, &bytes, &len);
	if (code != 0)
		return code;
	if (shown < len)
		answer_write(out, is_terminal, bytes + shown, len - shown);
	if (json_is_true(json_object_get(output, "truncated")))
		ctl_note(ctl,
		         "%s was cut: %zu of %" PRIu64
		         " bytes are here (--%s-bytes raises the limit)",
		         name, len, ctl_uint(output, "size"), name);
	free(bytes);
	return 0;
}

/* --- how it ended --- */

/* "  #0 div (function 3) at 0xbb", and how many more frames are the same */
static void
print_frame(FILE *err, size_t index, const json_t *frame, size_t repeats)
{
	const char *name = ctl_text(frame, "name");
	const json_t *function = json_object_get(frame, "function");

	fprintf(err, "  #%zu ", index);
	if (name[0] != '\0')
		output_text(err, name, strlen(name));
	else
		fputc('?', err);
	if (json_is_integer(function))
		fprintf(err, " (function %" JSON_INTEGER_FORMAT ")", json_integer_value(function));
	if (json_is_integer(json_object_get(frame, "offset")))
		fprintf(err, " at 0x%" PRIx64, ctl_uint(frame, "offset"));
	if (repeats > 0)
		fprintf(err, ", and again up to #%zu", index + repeats);
	fputc('\n', err);
}

/* How many frames behind the one at index are the same: recursion fills a backtrace with them. */
static size_t
count_repeats(const json_t *frames, size_t index)
{
	const json_t *frame = json_array_get(frames, index);
	size_t next = index + 1;

	while (next < json_array_size(frames) && json_equal(frame, json_array_get(frames, next)))
		next++;
	return next - index - 1;
}

static void
print_backtrace(FILE *err, const json_t *trap)
{
	const json_t *frames = json_object_get(trap, "backtrace");

	for (size_t i = 0; i < json_array_size(frames); i++) {
		size_t repeats = count_repeats(frames, i);

		print_frame(err, i, json_array_get(frames, i), repeats);
		i += repeats;
	}
	if (json_array_size(frames) == 0 && json_is_integer(json_object_get(trap, "function")))
		print_frame(err, 0, trap, 0);
	if (ctl_uint(trap, "omitted") > 0)
		fprintf(err, "  and %" PRIu64 " more\n", ctl_uint(trap, "omitted"));
}

int
answer_outcome(struct ctl *ctl, const char *outcome, const char *limit, unsigned long guest_code)
{
	if (strcmp(outcome, "cancelled") == 0)
		ctl_note(ctl, "the job was cancelled");
	else if (strcmp(outcome, "lost") == 0)
		ctl_note(ctl,
		         "the daemon went away while the job ran; nothing is known of its end");
	else if (strcmp(outcome, "exited") == 0 && guest_code > 255)
		ctl_note(ctl, "the guest's exit code is %lu, which becomes 255 here", guest_code);
	return exit_code_of_outcome(outcome, limit, guest_code);
}

static int
show(struct ctl *ctl, const json_t *answer, bool exact, const struct answer_shown *shown)
{
	const json_t *results = json_object_get(answer, "results");
	const json_t *trap = json_object_get(answer, "trap");
	const char *outcome = ctl_text(answer, "outcome");
	json_int_t exit_code = json_integer_value(json_object_get(answer, "exit_code"));

	for (size_t i = 0; i < json_array_size(results); i++)
		answer_print_value(ctl->out, json_array_get(results, i), exact);
	int code = show_output(ctl, answer, "stdout", ctl->out, ctl->out_is_terminal,
	                       shown->stdout_bytes);
	if (code == 0)
		code = show_output(ctl, answer, "stderr", ctl->err, ctl->err_is_terminal,
		                   shown->stderr_bytes);
	if (code != 0)
		return code;
	if (json_is_object(trap) && strcmp(outcome, "cancelled") != 0) {
		fflush(ctl->out);
		ctl_note(ctl, "%s: %s (%s)", strcmp(outcome, "limited") == 0 ? "stopped" : "trap",
		         ctl_text(trap, "message"), ctl_text(trap, "code"));
		print_backtrace(ctl->err, trap);
	}
	/* i32: the guest's code is unsigned, JSON has it signed. */
	return answer_outcome(ctl, outcome, ctl_text(trap, "code"),
	                      (unsigned long)(uint32_t)exit_code);
}

int
answer_show(struct ctl *ctl, const json_t *answer, bool exact)
{
	const struct answer_shown nothing = { 0 };

	return show(ctl, answer, exact, &nothing);
}

int
answer_show_rest(struct ctl *ctl, const json_t *answer, const struct answer_shown *shown)
{
	return show(ctl, answer, false, shown);
}

/* --- files --- */

/* The next part of a path, without slashes; 0 behind the last. */
static size_t
next_part(const char **path)
{
	*path += strspn(*path, "/");
	return strcspn(*path, "/");
}

static bool
part_is_safe(const char *part, size_t len)
{
	return len <= NAME_MAX && !(len == 1 && part[0] == '.') &&
	       !(len == 2 && part[0] == '.' && part[1] == '.');
}

/* A folder inside another, made if missing, never through a link. -1 with errno. */
static int
enter(int folder, const char *name)
{
	if (mkdirat(folder, name, 0777) != 0 && errno != EEXIST)
		return -1;
	return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Creates the file at a path below the folder, one part at a time. -1 with errno. */
static int
create_below(int root, const char *path)
{
	int folder = dup(root);
	int file = -1;

	for (size_t len = next_part(&path); folder >= 0; len = next_part(&path)) {
		char name[NAME_MAX + 1];
		const char *rest = path + len;

		if (len == 0 || !part_is_safe(path, len)) {
			errno = EINVAL;
			break;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		if (rest[strspn(rest, "/")] == '\0') {
			file = openat(folder, name,
			              O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
			break;
		}
		int inner = enter(folder, name);
		int saved = errno;
		close(folder);
		errno = saved;
		folder = inner;
		path = rest;
	}
	int saved = errno;
	if (folder >= 0)
		close(folder);
	errno = saved;
	return file;
}

/* A path on the same server and nothing else. */
static bool
href_is_safe(const char *href)
{
	for (const char *c = href; *c != '\0'; c++)
		if (*c <= ' ' || *c == 0x7f)
			return false;
	return strncmp(href, "/v1/", 4) == 0;
}

static int
collect_file(struct ctl *ctl, const json_t *file, int folder)
{
	const char *path = ctl_text(file, "path"), *href = ctl_text(file, "href");
	struct http_request request = { .path = href,
		                        .accept = "application/octet-stream",
		                        .sink = http_sink_file };
	struct http_response response = { 0 };

	if (!href_is_safe(href))
		return ctl_fail(ctl, EXIT_CODE_FAILED,
		                "%s: the daemon gave no proper address for it", path);
	int fd = create_below(folder, path);
	FILE *out = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (out == NULL) {
		int code = ctl_fail(ctl, EXIT_CODE_FAILED, "cannot put %s there: %s", path,
		                    strerror(errno));
		if (fd >= 0)
			close(fd);
		return code;
	}
	request.sink_context = out;
	int code = ctl_request(ctl, &request, &response);
	bool failed = ferror(out) != 0;
	if ((fclose(out) != 0 || failed) && code == 0)
		code =
		    ctl_fail(ctl, EXIT_CODE_FAILED, "cannot write %s: %s", path, strerror(errno));
	http_response_clear(&response);
	return code;
}

int
answer_collect(struct ctl *ctl, const json_t *answer, const char *folder)
{
	const json_t *files = json_object_get(answer, "files");
	int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code = 0;

	if (root < 0)
		return ctl_fail(ctl, EXIT_CODE_FAILED, "%s: %s", folder, strerror(errno));
	for (size_t i = 0; i < json_array_size(files) && code == 0; i++)
		code = collect_file(ctl, json_array_get(files, i), root);
	close(root);
	return code;
}
