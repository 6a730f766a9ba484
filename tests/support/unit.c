#include "tests/support/unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Shared with the processes that cases run in. */
static atomic_int *skipped;

void
unit_skip(const char *name, const char *reason)
{
	printf("skip %s: %s\n", name, reason);
	fflush(stdout);
	atomic_fetch_add(skipped, 1);
}

int
main(void)
{
	skipped = mmap(NULL, sizeof *skipped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	               -1, 0);
	if (skipped == MAP_FAILED) {
		perror("cannot count skipped cases");
		return EXIT_FAILURE;
	}
	SRunner *runner = srunner_create(unit_suite());

	srunner_run_all(runner, CK_ENV);
	int run = srunner_ntests_run(runner);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	printf("%d passed, %d failed, %d skipped\n", run - failed - *skipped, failed, *skipped);
	return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
