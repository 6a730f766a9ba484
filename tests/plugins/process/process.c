/*
 * process.c - runs commands of the host as its words say, one step each:
 *
 *     name X, arg X, env X Y, in X, timeout MS     what the next command is given
 *     fill N                                       N bytes of standard input
 *     run                                          prints "run CODE"
 *     code, outlen, errlen                         prints the number
 *     out, err                                     prints the bytes in brackets
 *     sum                                          prints length and sum of the output's bytes
 *     far WHAT                                     an address outside of the memory: name, arg,
 *                                                  env, value, in, out or err
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) \
	__attribute__((import_module("wasmedge_process"), import_name("wasmedge_process_" name)))

IMPORT("set_prog_name") void set_prog_name(const char *text, size_t len);
IMPORT("add_arg") void add_arg(const char *text, size_t len);
IMPORT("add_env") void add_env(const char *name, size_t name_len, const char *value, size_t len);
IMPORT("add_stdin") void add_stdin(const char *bytes, size_t len);
IMPORT("set_timeout") void set_timeout(uint32_t ms);
IMPORT("run") int run(void);
IMPORT("get_exit_code") int get_exit_code(void);
IMPORT("get_stdout_len") uint32_t get_stdout_len(void);
IMPORT("get_stdout") void get_stdout(char *to);
IMPORT("get_stderr_len") uint32_t get_stderr_len(void);
IMPORT("get_stderr") void get_stderr(char *to);

static const char *const outside = (const char *)0x7fff0000;

static char *
output(int stream, size_t *len)
{
	*len = stream == 1 ? get_stdout_len() : get_stderr_len();
	char *bytes = malloc(*len + 1);

	if (bytes == NULL)
		exit(99);
	if (stream == 1)
		get_stdout(bytes);
	else
		get_stderr(bytes);
	return bytes;
}

static void
print(int stream)
{
	size_t len;
	char *bytes = output(stream, &len);

	printf("[%.*s]\n", (int)len, bytes);
	free(bytes);
}

static void
sum(void)
{
	size_t len;
	char *bytes = output(1, &len);
	unsigned long total = 0;

	for (size_t i = 0; i < len; i++)
		total += (unsigned char)bytes[i];
	printf("%zu %lu\n", len, total);
	free(bytes);
}

static void
fill(size_t len)
{
	char *bytes = malloc(len + 1);

	if (bytes == NULL)
		exit(99);
	memset(bytes, 'a', len);
	add_stdin(bytes, len);
	free(bytes);
}

static void
far(const char *what)
{
	if (strcmp(what, "name") == 0)
		set_prog_name(outside, 1);
	else if (strcmp(what, "arg") == 0)
		add_arg("", UINT32_MAX);
	else if (strcmp(what, "env") == 0)
		add_env(outside, 1, "x", 1);
	else if (strcmp(what, "value") == 0)
		add_env("x", 1, outside, 1);
	else if (strcmp(what, "in") == 0)
		add_stdin(outside, 1);
	else if (strcmp(what, "out") == 0)
		get_stdout((char *)outside);
	else if (strcmp(what, "err") == 0)
		get_stderr((char *)outside);
}

/* One step; returns how many words behind it were taken. */
static int
step(const char *verb, char **word)
{
	if (strcmp(verb, "run") == 0)
		printf("run %d\n", run());
	else if (strcmp(verb, "code") == 0)
		printf("%d\n", get_exit_code());
	else if (strcmp(verb, "outlen") == 0)
		printf("%u\n", get_stdout_len());
	else if (strcmp(verb, "errlen") == 0)
		printf("%u\n", get_stderr_len());
	else if (strcmp(verb, "out") == 0)
		print(1);
	else if (strcmp(verb, "err") == 0)
		print(2);
	else if (strcmp(verb, "sum") == 0)
		sum();
	else if (strcmp(verb, "env") == 0)
		return add_env(word[0], strlen(word[0]), word[1], strlen(word[1])), 2;
	else if (strcmp(verb, "name") == 0)
		return set_prog_name(word[0], strlen(word[0])), 1;
	else if (strcmp(verb, "arg") == 0)
		return add_arg(word[0], strlen(word[0])), 1;
	else if (strcmp(verb, "in") == 0)
		return add_stdin(word[0], strlen(word[0])), 1;
	else if (strcmp(verb, "timeout") == 0)
		return set_timeout((uint32_t)atol(word[0])), 1;
	else if (strcmp(verb, "fill") == 0)
		return fill((size_t)atol(word[0])), 1;
	else if (strcmp(verb, "far") == 0)
		return far(word[0]), 1;
	return 0;
}

int
main(int argc, char **argv)
{
	/* argv ends in a NULL: words that are missing trap in strlen, which is a test's mistake. */
	for (int i = 1; i < argc; i++) {
		i += step(argv[i], argv + i + 1);
		fflush(stdout);
	}
	return 0;
}
