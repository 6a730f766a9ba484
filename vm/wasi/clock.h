/*
 * clock.h - the guest's clocks.
 *
 * The CPU-time clocks show the time of the thread that runs the store since its state was made:
 * what the process did besides is not the guest's business.
 */
#pragma once

#include "vm/wasi/call.h"

/* Nanoseconds. Both return WASI_EINVAL for an unknown clock. */
enum wasi_errno wasi_clock_now(const struct wasi *wasi, uint32_t clock, uint64_t *out_ns);
enum wasi_errno wasi_clock_resolution(uint32_t clock, uint64_t *out_ns);

/* Thread CPU time so far, for wasi->cpu_start_ns. */
uint64_t wasi_clock_cpu(void);
