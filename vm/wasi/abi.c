/*
 * abi.c - guest structures of both generations.
 *
 * Layout of filestat and subscription, by byte offset:
 *
 *                 unstable   preview1                    unstable   preview1
 *     dev                0          0     userdata              0          0
 *     ino                8          8     tag (u8)              8          8
 *     type (u8)         16         16     fd (u32)             16         16
 *     links         20 u32     24 u64     clock: userdata      16          -
 *     size              24         32     clock: id (u32)      24         16
 *     atim              32         40     clock: timeout       32         24
 *     mtim              40         48     clock: precision     40         32
 *     ctim              48         56     clock: flags (u16)   48         40
 *     size of all       56         64     size of all          56         48
 */
#include "vm/wasi/abi.h"

#include <errno.h>
#include <string.h>

enum wasi_errno
wasi_errno_of_host(int host_errno)
{
	switch (host_errno) {
	case 0:
		return WASI_SUCCESS;
#define ERRNO(name, value)                                                                         \
	case name:                                                                                 \
		return WASI_##name;
#include "vm/def/wasi_errno.def"
#undef ERRNO
	default:
		return WASI_EIO;
	}
}

const char *
wasi_errno_text(enum wasi_errno error)
{
	switch ((int)error) {
#define ERRNO(name, value)                                                                         \
	case value:                                                                                \
		return strerrordesc_np(name);
#include "vm/def/wasi_errno.def"
#undef ERRNO
	default:
		return "Capabilities insufficient";
	}
}

static void
filestat_put_unstable(uint8_t *to, const struct wasi_stat *stat)
{
	memset(to, 0, 56);
	wasi_put_u64(to, stat->dev);
	wasi_put_u64(to + 8, stat->ino);
	to[16] = (uint8_t)stat->type;
	wasi_put_u32(to + 20, stat->links > UINT32_MAX ? UINT32_MAX : (uint32_t)stat->links);
	wasi_put_u64(to + 24, stat->size_bytes);
	wasi_put_u64(to + 32, stat->atim);
	wasi_put_u64(to + 40, stat->mtim);
	wasi_put_u64(to + 48, stat->ctim);
}

static void
filestat_put_preview1(uint8_t *to, const struct wasi_stat *stat)
{
	memset(to, 0, 64);
	wasi_put_u64(to, stat->dev);
	wasi_put_u64(to + 8, stat->ino);
	to[16] = (uint8_t)stat->type;
	wasi_put_u64(to + 24, stat->links);
	wasi_put_u64(to + 32, stat->size_bytes);
	wasi_put_u64(to + 40, stat->atim);
	wasi_put_u64(to + 48, stat->mtim);
	wasi_put_u64(to + 56, stat->ctim);
}

/* clock is where the clock's id stands; a reader or writer's descriptor is at 16 in both. */
static void
subscription_get(const uint8_t *from, const uint8_t *clock, struct wasi_subscription *out)
{
	*out = (struct wasi_subscription){
		.userdata = wasi_get_u64(from),
		.tag = from[8],
		.fd = wasi_get_u32(from + 16),
		.clock = wasi_get_u32(clock),
		.timeout_ns = wasi_get_u64(clock + 8),
		.clock_flags = wasi_get_u16(clock + 24),
	};
}

static void
subscription_get_unstable(const uint8_t *from, struct wasi_subscription *out)
{
	subscription_get(from, from + 24, out);
}

static void
subscription_get_preview1(const uint8_t *from, struct wasi_subscription *out)
{
	subscription_get(from, from + 16, out);
}

const struct wasi_abi wasi_abi_unstable = {
	.module = "wasi_unstable",
	.whence = { WASI_SEEK_CUR, WASI_SEEK_END, WASI_SEEK_SET },
	.filestat_bytes = 56,
	.subscription_bytes = 56,
	.filestat_put = filestat_put_unstable,
	.subscription_get = subscription_get_unstable,
};

const struct wasi_abi wasi_abi_preview1 = {
	.module = "wasi_snapshot_preview1",
	.whence = { WASI_SEEK_SET, WASI_SEEK_CUR, WASI_SEEK_END },
	.filestat_bytes = 64,
	.subscription_bytes = 48,
	.filestat_put = filestat_put_preview1,
	.subscription_get = subscription_get_preview1,
};
