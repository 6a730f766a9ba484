/*
 * standalone.c - runs a fuzz target without libFuzzer: fuzz_NAME [FILE|FOLDER...]
 *
 * Each file is run as it is; then follow pseudo-random mutations of the files. Without arguments
 * the files are those of $top_srcdir/tests/fuzz/corpus/NAME. The input that is being run always
 * stands in the file fuzz_NAME.input of the current folder, so that it is there after a crash or
 * a hang, which an alarm ends; it is removed when all went well.
 *
 *   FUZZ_RUNS     mutations at most (2000)
 *   FUZZ_SECONDS  seconds for them at most (2)
 *   FUZZ_SEED     start of the pseudo-random sequence (1): equal seeds, equal mutations
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_BYTES_MAX (1u << 20)
#define INPUTS_MAX 4096u
#define GROWTH_BYTES_MAX 4096u /* how much longer than its seed a mutation can get */
#define HANG_SECONDS 60u       /* for one input */

struct input {
	uint8_t *data;
	size_t len;
};

struct corpus {
	struct input *inputs;
	size_t count;
};

static _Noreturn void
die(const char *what, const char *name)
{
	fprintf(stderr, "%s %s: %s\n", what, name, strerror(errno));
	exit(EXIT_FAILURE);
}

static void *
allocate(size_t size_bytes)
{
	void *p = malloc(size_bytes > 0 ? size_bytes : 1);

	if (p == NULL)
		die("cannot allocate", "memory");
	return p;
}

static unsigned long
setting(const char *name, unsigned long fallback)
{
	const char *text = getenv(name);

	if (text == NULL || *text == '\0')
		return fallback;
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	if (*end != '\0') {
		fprintf(stderr, "%s: expected a number, got \"%s\"\n", name, text);
		exit(EXIT_FAILURE);
	}
	return value;
}

/* --- the inputs ----------------------------------------------------------------------------- */

static void
corpus_add_file(struct corpus *corpus, const char *path, size_t size_bytes)
{
	if (size_bytes > INPUT_BYTES_MAX || corpus->count == INPUTS_MAX) {
		fprintf(stderr, "%s: left out, a corpus has at most %u files of at most %u bytes\n",
		        path, INPUTS_MAX, INPUT_BYTES_MAX);
		return;
	}
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		die("cannot open", path);
	struct input *input = &corpus->inputs[corpus->count++];
	input->data = allocate(size_bytes);
	input->len = fread(input->data, 1, size_bytes, file);
	fclose(file);
}

static void
corpus_add(struct corpus *corpus, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		die("cannot read", path);
	if (!S_ISDIR(st.st_mode)) {
		corpus_add_file(corpus, path, (size_t)st.st_size);
		return;
	}
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort); /* sorted: same order everywhere */
	if (count < 0)
		die("cannot list", path);
	for (int i = 0; i < count; i++) {
		char *child;

		if (entries[i]->d_name[0] != '.') {
			if (asprintf(&child, "%s/%s", path, entries[i]->d_name) < 0)
				die("cannot allocate", "memory");
			corpus_add(corpus, child);
			free(child);
		}
		free(entries[i]);
	}
	free(entries);
}

static void
corpus_add_default(struct corpus *corpus, const char *name)
{
	const char *top_srcdir = getenv("top_srcdir");
	char *path;

	if (asprintf(&path, "%s/tests/fuzz/corpus/%s", top_srcdir != NULL ? top_srcdir : ".",
	             name) < 0)
		die("cannot allocate", "memory");
	if (access(path, R_OK) == 0)
		corpus_add(corpus, path);
	free(path);
}

/* --- mutation ------------------------------------------------------------------------------- */

static uint64_t random_state;

/* splitmix64 */
static uint64_t
random_next(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 <= result < bound; bound > 0. */
static size_t
random_below(size_t bound)
{
	return (size_t)(random_next() % bound);
}

/* Bytes at which decoders and parsers tend to turn. */
static const uint8_t turning_bytes[] = {
	0x00, 0x01, 0x02, 0x05, 0x0b, 0x3f, 0x40, 0x60, 0x64, 0x6f, 0x70, 0x7f, 0x80, 0xc0,
	0xfb, 0xfc, 0xfd, 0xfe, 0xff, '\n', '\r', ' ',  '"',  '-',  '[',  '{',  '}',  '%',
};

/* Put a run of other's bytes (other may be the input itself) in front of position at. */
static void
insert_run(struct input *input, size_t capacity, size_t at, const struct input *other)
{
	if (other->len == 0)
		return;
	size_t from = random_below(other->len);
	size_t run = 1 + random_below(other->len - from);
	if (run > capacity - input->len)
		return;
	uint8_t *copy = allocate(run);
	memcpy(copy, other->data + from, run);
	memmove(input->data + at + run, input->data + at, input->len - at);
	memcpy(input->data + at, copy, run);
	input->len += run;
	free(copy);
}

static void
delete_run(struct input *input, size_t at)
{
	size_t run = 1 + random_below(input->len - at);

	memmove(input->data + at, input->data + at + run, input->len - at - run);
	input->len -= run;
}

static void
mutate_once(struct input *input, size_t capacity, const struct corpus *corpus)
{
	size_t kind = random_below(8);

	if (kind == 0) {
		insert_run(input, capacity, random_below(input->len + 1),
		           &corpus->inputs[random_below(corpus->count)]);
		return;
	}
	if (kind == 1 && input->len < capacity) {
		struct input byte = { (uint8_t[]){ (uint8_t)random_next() }, 1 };

		insert_run(input, capacity, random_below(input->len + 1), &byte);
		return;
	}
	if (input->len == 0)
		return;
	size_t at = random_below(input->len);
	if (kind == 2)
		delete_run(input, at);
	else if (kind == 3)
		input->len = at;
	else if (kind == 4)
		input->data[at] ^= (uint8_t)(1u << random_below(8));
	else if (kind == 5)
		input->data[at] = (uint8_t)random_next();
	else if (kind == 6)
		input->data[at] = turning_bytes[random_below(sizeof turning_bytes)];
	else
		insert_run(input, capacity, at, input);
}

/* A mutation of one of the corpus; the caller frees its data. */
static struct input
mutation_make(const struct corpus *corpus)
{
	const struct input *seed = &corpus->inputs[random_below(corpus->count)];
	size_t capacity = seed->len + GROWTH_BYTES_MAX;
	struct input input = { allocate(capacity), seed->len };

	memcpy(input.data, seed->data, seed->len);
	for (size_t steps = 1 + random_below(6); steps > 0; steps--)
		mutate_once(&input, capacity, corpus);
	return input;
}

/* --- running -------------------------------------------------------------------------------- */

/* Run one input from a block of exactly its size, so that a sanitizer sees reads beyond it. */
static void
input_run(const struct input *input, int record_fd)
{
	if (ftruncate(record_fd, 0) != 0 ||
	    pwrite(record_fd, input->data, input->len, 0) != (ssize_t)input->len)
		die("cannot record", "the input");
	uint8_t *copy = allocate(input->len);
	memcpy(copy, input->data, input->len);
	alarm(HANG_SECONDS);
	(void)LLVMFuzzerTestOneInput(copy, input->len);
	alarm(0);
	free(copy);
}

static double
seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static unsigned long
mutations_run(const struct corpus *corpus, int record_fd)
{
	unsigned long runs_max = setting("FUZZ_RUNS", 2000);
	double end = seconds_now() + (double)setting("FUZZ_SECONDS", 2);
	unsigned long runs = 0;

	random_state = setting("FUZZ_SEED", 1);
	while (runs < runs_max && seconds_now() < end) {
		struct input input = mutation_make(corpus);

		input_run(&input, record_fd);
		free(input.data);
		runs++;
	}
	return runs;
}

/* "reader" for ".../fuzz_reader", also for libtool's ".../lt-fuzz_reader". */
static const char *
target_name(const char *program)
{
	const char *found = strstr(program, "fuzz_");
	const char *name = program;

	while (found != NULL) {
		name = found + strlen("fuzz_");
		found = strstr(name, "fuzz_");
	}
	return name;
}

int
main(int argc, char **argv)
{
	const char *name = target_name(argv[0]);
	struct corpus corpus = { .inputs = allocate(INPUTS_MAX * sizeof *corpus.inputs) };
	char *record_path;

	if (asprintf(&record_path, "fuzz_%s.input", name) < 0)
		die("cannot allocate", "memory");
	int record_fd = open(record_path, O_CREAT | O_RDWR | O_CLOEXEC | O_TRUNC, 0644);
	if (record_fd < 0)
		die("cannot create", record_path);

	for (int i = 1; i < argc; i++)
		corpus_add(&corpus, argv[i]);
	if (argc == 1)
		corpus_add_default(&corpus, name);
	if (corpus.count == 0) /* nothing to start from: mutate the empty input */
		corpus.inputs[corpus.count++] = (struct input){ allocate(0), 0 };

	for (size_t i = 0; i < corpus.count; i++)
		input_run(&corpus.inputs[i], record_fd);
	unsigned long mutations = mutations_run(&corpus, record_fd);

	close(record_fd);
	unlink(record_path);
	free(record_path);
	for (size_t i = 0; i < corpus.count; i++)
		free(corpus.inputs[i].data);
	free(corpus.inputs);
	/* A failure ends the process above. Each input counts, and all mutations together. */
	printf("%s: %zu inputs and %lu mutations of them\n", name, corpus.count, mutations);
	printf("%zu passed, 0 failed, 0 skipped\n", corpus.count + 1);
	return EXIT_SUCCESS;
}
