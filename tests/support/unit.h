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
