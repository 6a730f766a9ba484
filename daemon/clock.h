/*
 * clock.h - what time it is, in microseconds.
 *
 * Threads: any
 */
#pragma once

#include <stdint.h>

/* Of CLOCK_MONOTONIC: for durations and deadlines; no one sets it. */
uint64_t clock_monotonic_us(void);

/* Since 1970: for records that outlive the process. */
int64_t clock_unix_us(void);
