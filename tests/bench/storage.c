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
	double processor_s; /* that the thread used */
};

/* Of all threads of a kind. */
struct rate {
	double per_second;
	double processor_us; /* each */
};

static double
now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
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
	work->processor_s = now(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

/* So many threads of each kind at once. */
static void
measure(unsigned writers, unsigned readers, struct rate *out_puts, struct rate *out_gets)
{
	struct work work[THREADS_MAX] = { 0 };

	*out_puts = *out_gets = (struct rate){ 0 };
	is_over = false;
	const double start = now(CLOCK_MONOTONIC);
	for (unsigned i = 0; i < writers + readers; i++) {
		work[i] = (struct work){ .writes = i < writers, .number = i };
		if (pthread_create(&work[i].thread, NULL, run, &work[i]) != 0)
			give_up("no thread");
	}
	usleep((useconds_t)(seconds * 1e6));
	is_over = true;
	for (unsigned i = 0; i < writers + readers; i++) {
		struct rate *rate = i < writers ? out_puts : out_gets;
		pthread_join(work[i].thread, NULL);
		rate->per_second += (double)work[i].count;
		rate->processor_us += work[i].processor_s * 1e6;
	}
	const double time = now(CLOCK_MONOTONIC) - start;
	out_puts->processor_us /= writers > 0 ? out_puts->per_second : 1;
	out_gets->processor_us /= readers > 0 ? out_gets->per_second : 1;
	out_puts->per_second /= time;
	out_gets->per_second /= time;
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
	const double start = now(CLOCK_MONOTONIC);
	while (now(CLOCK_MONOTONIC) - start < seconds &&
	       pwrite(fd, page, sizeof page, (off_t)(count % PAGES * PAGE_BYTES)) == sizeof page &&
	       fdatasync(fd) == 0)
		count++;
	const double time = now(CLOCK_MONOTONIC) - start;
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
	const double flushes = measure_disk(argv[1]);
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
		struct rate puts, gets;
		measure(cases[i][0], cases[i][1], &puts, &gets);
		printf("%u writing, %u reading: %.0f puts/s (%.1f us of processor each), "
		       "%.0f gets/s (%.1f us)\n",
		       cases[i][0], cases[i][1], puts.per_second, puts.processor_us,
		       gets.per_second, gets.processor_us);
	}
	wasmedge_storage_close(storage);
	return EXIT_SUCCESS;
}
