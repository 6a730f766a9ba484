/*
 * fn_process.c - arguments, environment, clocks, random numbers, the end of the program.
 */
#include "vm/wasi/fn.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "vm/wasi/clock.h"

/* --- arguments and environment ------------------------------------------------------------ */

static enum wasi_errno
put_sizes(const struct wasi_call *call, const struct wasi_strings *strings)
{
	enum wasi_errno e = wasi_guest_put_u32(call, call->args[0].u32, strings->count);

	if (e == WASI_SUCCESS)
		e = wasi_guest_put_u32(call, call->args[1].u32, strings->size_bytes);
	return e;
}

/* args[0]: room for a pointer to each string, args[1]: for the strings. */
static enum wasi_errno
put_strings(const struct wasi_call *call, const struct wasi_strings *strings)
{
	const uint32_t base = call->args[1].u32;
	uint8_t *pointers = wasi_guest_range(call, call->args[0].u32, (uint64_t)strings->count * 4);
	uint8_t *bytes = wasi_guest_range(call, base, strings->size_bytes);
	uint32_t at = 0;

	if (pointers == NULL || bytes == NULL)
		return WASI_EFAULT;
	if (strings->count == 0)
		return WASI_SUCCESS;
	memcpy(bytes, strings->bytes, strings->size_bytes);
	for (uint32_t i = 0; i < strings->count; i++) {
		wasi_put_u32(pointers + (size_t)i * 4, base + at);
		at += (uint32_t)strlen(strings->bytes + at) + 1;
	}
	return WASI_SUCCESS;
}

enum wasi_errno
wasi_args_get(struct wasi_call *call)
{
	return put_strings(call, &call->wasi->args);
}

enum wasi_errno
wasi_args_sizes_get(struct wasi_call *call)
{
	return put_sizes(call, &call->wasi->args);
}

enum wasi_errno
wasi_environ_get(struct wasi_call *call)
{
	return put_strings(call, &call->wasi->env);
}

enum wasi_errno
wasi_environ_sizes_get(struct wasi_call *call)
{
	return put_sizes(call, &call->wasi->env);
}

/* --- clocks ------------------------------------------------------------------------------- */

enum wasi_errno
wasi_clock_res_get(struct wasi_call *call)
{
	uint64_t ns;
	enum wasi_errno e = wasi_clock_resolution(call->args[0].u32, &ns);

	return e != WASI_SUCCESS ? e : wasi_guest_put_u64(call, call->args[1].u32, ns);
}

/* args[1], the lag that would be acceptable, is of no use. */
enum wasi_errno
wasi_clock_time_get(struct wasi_call *call)
{
	uint64_t ns;
	enum wasi_errno e = wasi_clock_now(call->wasi, call->args[0].u32, &ns);

	return e != WASI_SUCCESS ? e : wasi_guest_put_u64(call, call->args[2].u32, ns);
}

/* --- random numbers ----------------------------------------------------------------------- */

/* Bytes between two looks for a stop. */
#define RANDOM_CHUNK ((size_t)256 * 1024)

enum wasi_errno
wasi_random_get(struct wasi_call *call)
{
	size_t left = call->args[1].u32;
	uint8_t *to = wasi_guest_range(call, call->args[0].u32, left);

	if (to == NULL)
		return WASI_EFAULT;
	while (left > 0) {
		ssize_t n = getrandom(to, left < RANDOM_CHUNK ? left : RANDOM_CHUNK, 0);
		if (n < 0 && errno != EINTR)
			return wasi_errno_of_host(errno);
		if (n > 0) {
			to += n;
			left -= (size_t)n;
		}
		enum wasi_errno e = wasi_task_check(&call->task);
		if (e != WASI_SUCCESS)
			return e;
	}
	return WASI_SUCCESS;
}

/* --- the program -------------------------------------------------------------------------- */

enum wasi_errno
wasi_proc_exit(struct wasi_call *call)
{
	call->task.status = vm_error_exit(call->task.err, call->args[0].i32);
	return WASI_ENDED;
}

/* No signals: there is nobody to handle them. */
enum wasi_errno
wasi_proc_raise(struct wasi_call *call)
{
	(void)call;
	return WASI_ENOSYS;
}

enum wasi_errno
wasi_sched_yield(struct wasi_call *call)
{
	sched_yield();
	return wasi_task_check(&call->task);
}
