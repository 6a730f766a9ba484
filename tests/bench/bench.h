/*
 * bench.h - clock, order statistics and failure for the benchmark programs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "vm/vm.h"

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t bench_now_ns(void);

/* Sort the samples; then bench_quantile(.., 0.5) is the median. */
void bench_sort(uint64_t *samples, size_t count);
uint64_t bench_quantile(const uint64_t *sorted, size_t count, double q);

/* End the program with a message when a call failed. */
void bench_check(enum vm_status status, const struct vm_error *err, const char *what);

/* The bytes of a file, to be freed; the program ends when there are none. */
uint8_t *bench_read(const char *path, size_t *out_len);

/* A loaded module from a file. */
struct vm_module *bench_load(struct vm_engine *engine, const char *path);
