/*
 * clock.c - reading the host's clocks for the guest.
 */
#include "vm/wasi/clock.h"

#include <time.h>

static const clockid_t host_clocks[] = {
	[WASI_CLOCK_REALTIME] = CLOCK_REALTIME,
	[WASI_CLOCK_MONOTONIC] = CLOCK_MONOTONIC,
	[WASI_CLOCK_PROCESS_CPUTIME] = CLOCK_THREAD_CPUTIME_ID,
	[WASI_CLOCK_THREAD_CPUTIME] = CLOCK_THREAD_CPUTIME_ID,
};

#define CLOCK_COUNT (sizeof host_clocks / sizeof *host_clocks)

static uint64_t
nanoseconds(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
}

uint64_t
wasi_clock_cpu(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return nanoseconds(&time);
}

enum wasi_errno
wasi_clock_now(const struct wasi *wasi, uint32_t clock, uint64_t *out_ns)
{
	struct timespec time;

	if (clock >= CLOCK_COUNT || clock_gettime(host_clocks[clock], &time) != 0)
		return WASI_EINVAL;
	uint64_t ns = nanoseconds(&time);
	if (host_clocks[clock] == CLOCK_THREAD_CPUTIME_ID) {
		/* Another thread may have less behind it than the one that made the state. */
		ns = ns > wasi->cpu_start_ns ? ns - wasi->cpu_start_ns : 0;
	}
	*out_ns = ns;
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_clock_resolution(uint32_t clock, uint64_t *out_ns)
{
	struct timespec time;

	if (clock >= CLOCK_COUNT || clock_getres(host_clocks[clock], &time) != 0)
		return WASI_EINVAL;
	*out_ns = nanoseconds(&time);
	return WASI_SUCCESS;
}
