#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

int
main(void)
{
	SRunner *runner = srunner_create(unit_suite());

	srunner_run_all(runner, CK_ENV);
	int run = srunner_ntests_run(runner);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	printf("%d passed, %d failed, 0 skipped\n", run - failed, failed);
	return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
