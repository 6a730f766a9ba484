/*
 * storage.c - how many values are stored and read a second: storage FOLDER [SECONDS]
 *
 * What the disk can do comes first: pages of a file written anew, each flushed. A put waits for at
 * least one flush, but those of several threads share it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "plugins/storage/storage.h"

#define THREADS_MAX 16
#define KEYS 1000
#define VALUE_BYTES 100
#define PAGE_BYTES 4096
#define PAGES 256

static struct wasmedge_storage *storage;
static atomic_bool is_over;
static double seconds = 2;

struct work {
	pthread_t thread;
	bool writes;
	unsigned number;
	uint64_t count;
};

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void
give_up(const char *what)
{
	fprintf(stderr, "storage: %s\n", what);
	exit(EXIT_FAILURE);
}

static void
put(const char *key, const void *value)
{
	struct wasmedge_storage_name name = { .ns = { "bench", 5 }, .key = { key, strlen(key) } };
	struct wasmedge_storage_value what = { .bytes = { value, VALUE_BYTES } };
	struct wasmedge_storage_error err;

	if (wasmedge_storage_put(storage, &name, &what, NULL, NULL, &err) != WASMEDGE_STORAGE_OK)
		give_up(err.message);
}

static void
get(const char *key)
{
	struct wasmedge_storage_name name = { .ns = { "bench", 5 }, .key = { key, strlen(key) } };
	struct wasmedge_storage_entry entry;
	struct wasmedge_storage_error err;

	if (wasmedge_storage_get(storage, &name, &entry, &err) != WASMEDGE_STORAGE_OK)
		give_up(err.message);
	wasmedge_storage_entry_clear(&entry);
}

static void *
run(void *env)
{
	struct work *work = env;
	char value[VALUE_BYTES] = "";
	unsigned seed = work->number;
	char key[32];

	while (!is_over) {
		snprintf(key, sizeof key, "key-%d", rand_r(&seed) % KEYS);
		if (work->writes)
			put(key, value);
		else
			get(key);
		work->count++;
	}
	return NULL;
}

/* Puts and gets a second, of so many threads each. */
static void
measure(unsigned writers, unsigned readers, double *out_puts, double *out_gets)
{
	struct work work[THREADS_MAX] = { 0 };

	*out_puts = *out_gets = 0;
	is_over = false;
	double start = now();
	for (unsigned i = 0; i < writers + readers; i++) {
		work[i] = (struct work){ .writes = i < writers, .number = i };
		if (pthread_create(&work[i].thread, NULL, run, &work[i]) != 0)
			give_up("no thread");
	}
	usleep((useconds_t)(seconds * 1e6));
	is_over = true;
	for (unsigned i = 0; i < writers + readers; i++) {
		pthread_join(work[i].thread, NULL);
		*(i < writers ? out_puts : out_gets) += (double)work[i].count;
	}
	double time = now() - start;
	*out_puts /= time;
	*out_gets /= time;
}

static double
measure_disk(const char *folder)
{
	char path[4096];
	char page[PAGE_BYTES] = "";
	uint64_t count = 0;

	snprintf(path, sizeof path, "%s/flushes", folder);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		give_up("cannot make a file there");
	for (int i = 0; i < PAGES; i++)
		if (write(fd, page, sizeof page) != sizeof page)
			give_up("cannot write there");
	if (fsync(fd) != 0)
		give_up("cannot flush there");
	double start = now();
	while (now() - start < seconds &&
	       pwrite(fd, page, sizeof page, (off_t)(count % PAGES * PAGE_BYTES)) == sizeof page &&
	       fdatasync(fd) == 0)
		count++;
	double time = now() - start;
	close(fd);
	unlink(path);
	return (double)count / time;
}

int
main(int argc, char **argv)
{
	static const unsigned cases[][2] = { { 1, 0 }, { 8, 0 }, { 0, 1 }, { 0, 2 }, { 8, 1 } };
	struct wasmedge_storage_error err;
	char path[4096];

	if (argc < 2)
		give_up("expected a folder");
	if (argc > 2)
		seconds = atof(argv[2]);
	snprintf(path, sizeof path, "%s/bench.db", argv[1]);
	const struct wasmedge_storage_options options = { .path = path };
	double flushes = measure_disk(argv[1]);
	if (wasmedge_storage_open(&options, &storage, &err) != WASMEDGE_STORAGE_OK)
		give_up(err.message);
	char value[VALUE_BYTES] = "";
	for (int i = 0; i < KEYS; i++) {
		char key[32];
		snprintf(key, sizeof key, "key-%d", i);
		put(key, value);
	}
	printf("flushes/s %.0f\n", flushes);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double puts, gets;
		measure(cases[i][0], cases[i][1], &puts, &gets);
		printf("%u writing, %u reading: %.0f puts/s (%.2f a flush), %.0f gets/s\n",
		       cases[i][0], cases[i][1], puts, puts / flushes, gets);
	}
	wasmedge_storage_close(storage);
	return EXIT_SUCCESS;
}
