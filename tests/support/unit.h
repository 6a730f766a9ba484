/*
 * unit.h - main() of a unit test program over libcheck.
 *
 * A test file lists its cases in one function; the program ends with the tally line that
 * tests/tally reads, and exits non-zero when a case failed.
 */
#pragma once

#include <check.h>

/* Defined by the test file. */
Suite *unit_suite(void);

/*
 * Say that the case cannot run here and count it as skipped; the case returns at once behind it.
 * Works from the case's own process, too.
 */
void unit_skip(const char *name, const char *reason);
