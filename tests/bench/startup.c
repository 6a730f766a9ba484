/*
 * startup.c - wall time and memory of whole processes: startup COUNT PROGRAM [ARG...]
 *
 * Starts the program COUNT times, standard output to /dev/null, and prints the least and the
 * median time from before the start to after the end, and the largest resident size. A small
 * program does this rather than a script, because a child's figure begins with the size of its
 * parent.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/bench/bench.h"

extern char **environ;

#define COUNT_MAX 10000ul

/* Returns nanoseconds; *peak_kib is raised to the child's largest resident size. */
static uint64_t
run_once(char **command, const posix_spawn_file_actions_t *actions, long *peak_kib)
{
	struct rusage usage;
	pid_t pid;
	int status;

	uint64_t start = bench_now_ns();
	if (posix_spawnp(&pid, command[0], actions, NULL, command, environ) != 0 ||
	    wait4(pid, &status, 0, &usage) != pid) {
		perror(command[0]);
		exit(EXIT_FAILURE);
	}
	uint64_t elapsed = bench_now_ns() - start;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "%s failed\n", command[0]);
		exit(EXIT_FAILURE);
	}
	if (usage.ru_maxrss > *peak_kib)
		*peak_kib = usage.ru_maxrss;
	return elapsed;
}

int
main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	size_t count = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	long peak_kib = 0;

	if (count == 0 || count > COUNT_MAX) {
		fprintf(stderr, "usage: %s COUNT PROGRAM [ARG...]\n", argv[0]);
		return 2;
	}
	uint64_t *samples = calloc(count, sizeof *samples);
	if (samples == NULL || posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) != 0)
		return 1;
	for (size_t i = 0; i < count; i++)
		samples[i] = run_once(argv + 2, &actions, &peak_kib);
	bench_sort(samples, count);
	const char *slash = strrchr(argv[2], '/');
	printf("%-10s least %6.0f us, median %6.0f us, p95 %6.0f us, at most %6ld KiB resident\n",
	       slash != NULL ? slash + 1 : argv[2], (double)samples[0] / 1e3,
	       (double)bench_quantile(samples, count, 0.5) / 1e3,
	       (double)bench_quantile(samples, count, 0.95) / 1e3, peak_kib);
	posix_spawn_file_actions_destroy(&actions);
	free(samples);
	return 0;
}
