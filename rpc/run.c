#include "rpc/run.h"

#include <stdlib.h>
#include "rpc/base64.h"

/* --- memory -------------------------------------------------------------------------------- */

/* Allocate something that rpc_run_clear() frees; never of size 0. NULL: out of memory. */
static void *
keep(struct rpc_run *run, size_t size)
{
	if (run->memory_count == run->memory_capacity) {
		size_t capacity = run->memory_capacity == 0 ? 16 : run->memory_capacity * 2;
		void **memory = realloc(run->memory, capacity * sizeof *memory);
		if (memory == NULL)
			return NULL;
		run->memory = memory;
		run->memory_capacity = capacity;
	}
	void *block = malloc(size > 0 ? size : 1);
	if (block != NULL)
		run->memory[run->memory_count++] = block;
	return block;
}

static void *
keep_array(struct rpc_run *run, size_t count, size_t size)
{
	return count > SIZE_MAX / size ? NULL : keep(run, count * size);
}

static enum rpc_code
fail_memory(struct rpc_problem *problem)
{
	return rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory to read the request");
}

void
rpc_run_clear(struct rpc_run *run)
{
	for (size_t i = 0; i < run->memory_count; i++)
		free(run->memory[i]);
	free(run->memory);
	json_decref(run->body);
	*run = (struct rpc_run){ 0 };
}

/* --- parts of the body --------------------------------------------------------------------- */

/* An array of strings, each of len_min to len_max bytes, as an array that ends in NULL. */
static enum rpc_code
read_strings(struct rpc_run *run, json_t *array, const struct rpc_at *at, size_t len_min,
             size_t len_max, const char ***out, size_t *out_count, struct rpc_problem *problem)
{
	size_t count = json_array_size(array); /* 0 for NULL */
	const char **strings = keep_array(run, count + 1, sizeof *strings);

	if (strings == NULL)
		return fail_memory(problem);
	for (size_t i = 0; i < count; i++) {
		struct rpc_at here = { at, NULL, i };
		const json_t *item = json_array_get(array, i);
		if (!json_is_string(item))
			return rpc_problem_here(problem, RPC_BAD_REQUEST, &here,
			                        "expected a string, found %s", rpc_json_kind(item));
		size_t len = json_string_length(item);
		if (len < len_min || len > len_max)
			return rpc_problem_here(problem, RPC_BAD_REQUEST, &here,
			                        "expected a string of %zu to %zu bytes, found %zu",
			                        len_min, len_max, len);
		strings[i] = json_string_value(item);
	}
	strings[count] = NULL;
	*out = strings;
	*out_count = count;
	return RPC_OK;
}

/* {"NAME":"value"} as "NAME=value". */
static enum rpc_code
read_env(struct rpc_run *run, json_t *object, const struct rpc_at *at, struct rpc_problem *problem)
{
	size_t count = json_object_size(object); /* 0 for NULL */
	const char **env = keep_array(run, count + 1, sizeof *env);
	size_t done = 0;
	const char *name;
	json_t *value;

	if (env == NULL)
		return fail_memory(problem);
	json_object_foreach (object, name, value) {
		struct rpc_at here = { at, name, 0 };
		if (name[0] == '\0' || strchr(name, '=') != NULL)
			return rpc_problem_here(problem, RPC_BAD_REQUEST, &here,
			                        "a variable's name is not empty and has no '='");
		if (!json_is_string(value))
			return rpc_problem_here(problem, RPC_BAD_REQUEST, &here,
			                        "expected a string, found %s",
			                        rpc_json_kind(value));
		char *text = keep(run, strlen(name) + json_string_length(value) + 2);
		if (text == NULL)
			return fail_memory(problem);
		stpcpy(stpcpy(stpcpy(text, name), "="), json_string_value(value));
		env[done++] = text;
	}
	env[done] = NULL;
	run->env = env;
	run->env_count = done;
	return RPC_OK;
}

/* The bytes of `text` or `base64`, exactly one of which has to be there. */
static enum rpc_code
read_bytes(struct rpc_run *run, struct rpc_object *obj, struct rpc_bytes *out,
           struct rpc_problem *problem)
{
	struct rpc_str text = { NULL, 0 };
	struct rpc_str base64 = { NULL, 0 };
	size_t len;
	size_t bad;

	rpc_object_text(obj, "text", RPC_OPTIONAL, 0, SIZE_MAX, &text);
	rpc_object_text(obj, "base64", RPC_OPTIONAL, 0, SIZE_MAX, &base64);
	enum rpc_code code = rpc_object_close(obj);
	if (code != RPC_OK)
		return code;
	if ((text.data == NULL) == (base64.data == NULL))
		return rpc_problem_here(problem, RPC_BAD_REQUEST, &obj->at,
		                        "expected either text or base64, found %s",
		                        text.data != NULL ? "both" : "neither");
	if (text.data != NULL) {
		*out = (struct rpc_bytes){ (const uint8_t *)text.data, text.len };
		return RPC_OK;
	}
	uint8_t *bytes = keep(run, rpc_base64_decoded_max(base64.len));
	if (bytes == NULL)
		return fail_memory(problem);
	if (!rpc_base64_decode(base64.data, base64.len, bytes, &len, &bad)) {
		struct rpc_at here = { &obj->at, "base64", 0 };
		return rpc_problem_here(
		    problem, RPC_BAD_REQUEST, &here, "not base64 with padding: %s %zu",
		    bad < base64.len ? "look at character" : "ends early, after",
		    bad < base64.len ? bad + 1 : bad);
	}
	*out = (struct rpc_bytes){ bytes, len };
	return RPC_OK;
}

static enum rpc_code
read_stdin(struct rpc_run *run, json_t *json, const struct rpc_at *at, struct rpc_problem *problem)
{
	struct rpc_object obj;

	if (json == NULL)
		return RPC_OK;
	run->has_stdin = true;
	rpc_object_open(&obj, json, at, problem);
	return read_bytes(run, &obj, &run->stdin_bytes, problem);
}

bool
rpc_run_path_ok(const char *path, size_t len)
{
	size_t start = 1;

	if (len < 2 || len > RPC_RUN_PATH_MAX || path[0] != '/' || memchr(path, '\0', len) != NULL)
		return false;
	for (size_t i = 1; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		size_t part = i - start;
		if (part == 0 || (part <= 2 && path[start] == '.' && path[i - 1] == '.'))
			return false;
		start = i + 1;
	}
	return true;
}

/* seen is an object whose keys are the paths so far. */
static enum rpc_code
read_file(struct rpc_run *run, json_t *json, const struct rpc_at *at, json_t *seen,
          struct rpc_run_file *out, struct rpc_problem *problem)
{
	struct rpc_str path = { "", 0 };
	struct rpc_object obj;

	rpc_object_open(&obj, json, at, problem);
	rpc_object_text(&obj, "path", RPC_REQUIRED, 0, SIZE_MAX, &path);
	if (obj.json != NULL && !rpc_run_path_ok(path.data, path.len))
		rpc_object_fail(
		    &obj, RPC_BAD_REQUEST, "path",
		    "expected an absolute path of at most %d bytes without empty, \".\" and "
		    "\"..\" segments, like /in/a.json",
		    RPC_RUN_PATH_MAX);
	if (obj.json != NULL && json_object_get(seen, path.data) != NULL)
		rpc_object_fail(&obj, RPC_BAD_REQUEST, "path", "this path is given twice");
	enum rpc_code code = read_bytes(run, &obj, &out->bytes, problem);
	if (code != RPC_OK)
		return code;
	if (json_object_set_new(seen, path.data, json_true()) != 0)
		return fail_memory(problem);
	out->path = path.data;
	return RPC_OK;
}

static enum rpc_code
read_files(struct rpc_run *run, json_t *array, const struct rpc_at *at, struct rpc_problem *problem)
{
	size_t count = json_array_size(array); /* 0 for NULL */
	enum rpc_code code = RPC_OK;

	run->files = keep_array(run, count, sizeof *run->files);
	json_t *seen = json_object();
	if (run->files == NULL || seen == NULL)
		code = fail_memory(problem);
	for (size_t i = 0; i < count && code == RPC_OK; i++) {
		struct rpc_at here = { at, NULL, i };
		code =
		    read_file(run, json_array_get(array, i), &here, seen, &run->files[i], problem);
		run->file_count = i + 1;
	}
	json_decref(seen);
	return code;
}

static enum rpc_code
check_patterns(const struct rpc_run *run, const struct rpc_at *at, struct rpc_problem *problem)
{
	for (size_t i = 0; i < run->collect_count; i++) {
		struct rpc_at here = { at, NULL, i };
		if (run->collect[i][0] != '/')
			return rpc_problem_here(problem, RPC_BAD_REQUEST, &here,
			                        "a pattern begins with '/', like /out/*");
	}
	return RPC_OK;
}

/* --- the body ------------------------------------------------------------------------------ */

static enum rpc_code
read_members(struct rpc_run *run, struct rpc_problem *problem)
{
	json_t *args = NULL;
	json_t *env = NULL;
	json_t *input = NULL;
	json_t *files = NULL;
	json_t *collect = NULL;
	json_t *limits = NULL;
	struct rpc_object obj;

	rpc_object_open(&obj, run->body, NULL, problem);
	rpc_object_array(&obj, "args", RPC_OPTIONAL, RPC_RUN_ARGS_MAX, &args);
	rpc_object_object(&obj, "env", RPC_OPTIONAL, RPC_RUN_ENV_MAX, &env);
	rpc_object_any(&obj, "stdin", RPC_OPTIONAL, &input);
	rpc_object_array(&obj, "files", RPC_OPTIONAL, RPC_RUN_FILES_MAX, &files);
	rpc_object_array(&obj, "collect", RPC_OPTIONAL, RPC_RUN_COLLECT_MAX, &collect);
	rpc_object_any(&obj, "limits", RPC_OPTIONAL, &limits);
	rpc_object_bool(&obj, "async", RPC_OPTIONAL, &run->async);
	enum rpc_code code = rpc_object_close(&obj);

	const struct rpc_at at_args = { &obj.at, "args", 0 };
	const struct rpc_at at_env = { &obj.at, "env", 0 };
	const struct rpc_at at_stdin = { &obj.at, "stdin", 0 };
	const struct rpc_at at_files = { &obj.at, "files", 0 };
	const struct rpc_at at_collect = { &obj.at, "collect", 0 };
	const struct rpc_at at_limits = { &obj.at, "limits", 0 };
	if (code == RPC_OK)
		code = read_strings(run, args, &at_args, 0, SIZE_MAX, &run->args, &run->arg_count,
		                    problem);
	if (code == RPC_OK)
		code = read_env(run, env, &at_env, problem);
	if (code == RPC_OK)
		code = read_stdin(run, input, &at_stdin, problem);
	if (code == RPC_OK)
		code = read_files(run, files, &at_files, problem);
	if (code == RPC_OK)
		code = read_strings(run, collect, &at_collect, 1, RPC_RUN_PATTERN_MAX,
		                    &run->collect, &run->collect_count, problem);
	if (code == RPC_OK)
		code = check_patterns(run, &at_collect, problem);
	if (code == RPC_OK)
		code = rpc_limits_parse(limits, &at_limits, &run->limits, problem);
	return code;
}

enum rpc_code
rpc_run_parse(const char *text, size_t len, size_t bytes_max, struct rpc_run *out,
              struct rpc_problem *problem)
{
	struct rpc_run run = { 0 };

	*out = run;
	enum rpc_code code = rpc_json_parse(text, len, bytes_max, &run.body, problem);
	if (code == RPC_OK)
		code = read_members(&run, problem);
	if (code == RPC_OK)
		*out = run;
	else
		rpc_run_clear(&run);
	return code;
}

/* --- the query ----------------------------------------------------------------------------- */

/* All values of a repeated parameter, as an array that ends in NULL. */
static enum rpc_code
collect_texts(struct rpc_run *run, const struct rpc_query *query, const char *name,
              const char ***out, size_t *out_count, struct rpc_problem *problem)
{
	const char **texts = keep_array(run, query->count + 1, sizeof *texts);
	size_t count = 0;

	if (texts == NULL)
		return fail_memory(problem);
	for (size_t i = 0; i < query->count; i++)
		if (strcmp(query->entries[i].param->name, name) == 0)
			texts[count++] = query->entries[i].text.data;
	texts[count] = NULL;
	*out = texts;
	*out_count = count;
	return RPC_OK;
}

static enum rpc_code
read_query(struct rpc_run *run, const struct rpc_query *query, struct rpc_problem *problem)
{
	enum rpc_code code = collect_texts(run, query, "arg", &run->args, &run->arg_count, problem);
	if (code == RPC_OK)
		code = collect_texts(run, query, "env", &run->env, &run->env_count, problem);
	if (code != RPC_OK)
		return code;
	for (size_t i = 0; i < run->env_count; i++) {
		const char *equals = strchr(run->env[i], '=');
		if (equals == NULL || equals == run->env[i])
			return rpc_problem_in(problem, RPC_BAD_QUERY, "env",
			                      "env: expected NAME=value, found \"%.40s\"",
			                      run->env[i]);
	}
#define LIMIT(name, min, max, meaning) run->limits.name = rpc_query_uint(query, #name, RPC_UNSET);
#include "rpc/limits.def"
#undef LIMIT
	run->has_stdin = true;
	return RPC_OK;
}

enum rpc_code
rpc_run_from_query(const struct rpc_query *query, struct rpc_run *out, struct rpc_problem *problem)
{
	struct rpc_run run = { 0 };

	*out = run;
	enum rpc_code code = read_query(&run, query, problem);
	if (code == RPC_OK)
		*out = run;
	else
		rpc_run_clear(&run);
	return code;
}

/* --- patterns ------------------------------------------------------------------------------ */

/* Behind the character at s, which is not at the end. */
static const char *
next_character(const char *s)
{
	do
		s++;
	while (((unsigned char)*s & 0xc0) == 0x80);
	return s;
}

/*
 * Wildcards are tried shortest first. After a mismatch the latest one takes one character more;
 * a '*' that would have to take a '/' gives up in favour of the '**' before it. Earlier ones
 * need not be tried again: whatever they could reach, the later one can as well.
 */
static bool
pattern_matches(const char *pattern, const char *path)
{
	const char *star = NULL; /* behind the latest '*', and what it has taken up to */
	const char *star_path = NULL;
	const char *deep = NULL; /* the same for the latest '**' */
	const char *deep_path = NULL;

	for (;;) {
		if (pattern[0] == '*' && pattern[1] == '*') {
			pattern += 2;
			deep = pattern;
			deep_path = path;
			star = NULL;
		} else if (pattern[0] == '*') {
			pattern++;
			star = pattern;
			star_path = path;
		} else if (pattern[0] == '\0' && path[0] == '\0') {
			return true;
		} else if (pattern[0] == '?' && path[0] != '\0' && path[0] != '/') {
			pattern++;
			path = next_character(path);
		} else if (pattern[0] != '?' && path[0] != '\0' && pattern[0] == path[0]) {
			pattern++;
			path++;
		} else if (star != NULL && *star_path != '\0' && *star_path != '/') {
			pattern = star;
			path = ++star_path;
		} else if (deep != NULL && *deep_path != '\0') {
			star = NULL;
			pattern = deep;
			path = ++deep_path;
		} else {
			return false;
		}
	}
}

bool
rpc_run_collects(const struct rpc_run *run, const char *path)
{
	for (size_t i = 0; i < run->collect_count; i++)
		if (pattern_matches(run->collect[i], path))
			return true;
	return false;
}
