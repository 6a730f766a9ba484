/*
 * test_streams.c - standard streams, sockets, waiting, and waking up when the store is stopped.
 */
#include "tests/support/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "tests/wasi/sandbox.h"
#include "vm/wasi/clock.h"

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- streams ------------------------------------------------------------------------------ */

struct collected {
	char text[64];
	size_t len;
};

static enum vm_status
collect(void *env, const void *data, size_t len, struct vm_error *err)
{
	struct collected *out = env;

	if (len > sizeof out->text - 1 - out->len)
		return vm_error_trap(err, VM_TRAP_OUTPUT_LIMIT, "too much");
	memcpy(out->text + out->len, data, len);
	out->len += len;
	out->text[out->len] = '\0';
	return VM_OK;
}

START_TEST(bytes_are_read_and_writers_called)
{
	struct collected out = { .len = 0 };
	struct vm_wasi_config config;
	struct sandbox box;
	char text[4097];

	sandbox_config(&config);
	config.stdin_stream =
	    (struct vm_wasi_stream){ .kind = VM_WASI_BYTES, .bytes = VM_STR("input") };
	config.stdout_stream =
	    (struct vm_wasi_stream){ .kind = VM_WASI_WRITER, .write = collect, .env = &out };
	sandbox_open(&box, MEMORY, false, &config);
	EXPECT(read_fd(&box, 0, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "input");
	EXPECT(read_fd(&box, 0, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "");
	EXPECT(write_fd(&box, 1, "hello "), WASI_SUCCESS);
	EXPECT(write_fd(&box, 1, "world"), WASI_SUCCESS);
	ck_assert_str_eq(out.text, "hello world");
	EXPECT(write_fd(&box, 2, "vanishes"), WASI_SUCCESS);
	/* Streams have one direction, and no position. */
	EXPECT(write_fd(&box, 0, "x"), WASI_ENOTCAPABLE);
	EXPECT(read_fd(&box, 1, text), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_seek, 1, 0, 0, OUT), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_filestat_get, 1, OUT), WASI_SUCCESS);
	EXPECT(CALL(&box, fd_sync, 1), WASI_SUCCESS);
	/* A writer may end the guest. */
	EXPECT(write_fd(&box, 1, "far too much for sixty-four bytes to hold, all in all"),
	       WASI_ENDED);
	ck_assert_int_eq(box.status, VM_TRAP);
	ck_assert_int_eq(box.err.trap, VM_TRAP_OUTPUT_LIMIT);
	sandbox_close(&box);
}
END_TEST

START_TEST(host_descriptors_are_streams)
{
	struct vm_wasi_config config;
	struct sandbox box;
	char text[4097];
	int in[2];
	int out[2];

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	sandbox_config(&config);
	config.stdin_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = in[0] };
	config.stdout_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = out[1] };
	sandbox_open(&box, MEMORY, false, &config);
	ck_assert_int_eq(write(in[1], "abc", 3), 3);
	EXPECT(read_fd(&box, 0, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "abc");
	EXPECT(CALL(&box, fd_fdstat_set_flags, 0, WASI_NONBLOCK), WASI_SUCCESS);
	EXPECT(read_fd(&box, 0, text), WASI_EAGAIN);
	close(in[1]);
	EXPECT(read_fd(&box, 0, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "");
	EXPECT(write_fd(&box, 1, "out"), WASI_SUCCESS);
	ck_assert_int_eq(read(out[0], text, 10), 3);
	/* Without waiting, a full pipe takes what it can and then nothing. */
	EXPECT(CALL(&box, fd_fdstat_set_flags, 1, WASI_NONBLOCK), WASI_SUCCESS);
	wasi_put_u32(at(&box, IOVECS), 0);
	wasi_put_u32(at(&box, IOVECS + 4), MEMORY_BYTES);
	EXPECT(CALL(&box, fd_write, 1, IOVECS, 1, OUT), WASI_SUCCESS);
	ck_assert_uint_ge(out_u32(&box), 65536);
	ck_assert_uint_lt(out_u32(&box), MEMORY_BYTES);
	EXPECT(CALL(&box, fd_write, 1, IOVECS, 1, OUT), WASI_EAGAIN);
	sandbox_close(&box);
	ck_assert_int_ge(fcntl(in[0], F_GETFD), 0); /* borrowed: still open */
	ck_assert_int_eq(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(a_file_as_standard_input_is_not_changed)
{
	char path[] = "/tmp/wasi-input-XXXXXX";
	const int fd = mkstemp(path);
	struct vm_wasi_config config;
	struct sandbox box;
	char text[4097];

	ck_assert_int_eq(write(fd, "text", 4), 4);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	unlink(path);
	sandbox_config(&config);
	config.stdin_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = fd };
	sandbox_open(&box, MEMORY, false, &config);
	EXPECT(read_fd(&box, 0, text), WASI_SUCCESS);
	ck_assert_str_eq(text, "text");
	EXPECT(CALL(&box, fd_seek, 0, 0, 0, OUT), WASI_SUCCESS);
	EXPECT(write_fd(&box, 0, "x"), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_filestat_set_size, 0, 0), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_filestat_set_times, 0, 0, 0, WASI_MTIM), WASI_ENOTCAPABLE);
	EXPECT(CALL(&box, fd_allocate, 0, 0, 100), WASI_ENOTCAPABLE);
	sandbox_close(&box);
}
END_TEST

START_TEST(only_terminals_look_like_terminals)
{
	const int fds[] = { open("/dev/null", O_RDWR), open("/tmp", O_RDONLY) };
	const uint64_t seek_tell = WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL;
	struct vm_wasi_config config;
	struct sandbox box;

	sandbox_config(&config);
	config.stdin_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = fds[0] };
	config.stdout_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = fds[1] };
	sandbox_open(&box, MEMORY, false, &config);
	EXPECT(CALL(&box, fd_fdstat_get, 0, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(at(&box, OUT)[0], WASI_CHARACTER_DEVICE);
	ck_assert_uint_eq(wasi_get_u64(at(&box, OUT + 8)) & seek_tell, seek_tell);
	/* A folder as a stream gives no access to what is in it. */
	EXPECT(mkdir_at(&box, 1, "x"), WASI_ENOTDIR);
	EXPECT(CALL(&box, fd_fdstat_get, 2, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(at(&box, OUT)[0], WASI_UNKNOWN);
	sandbox_close(&box);
}
END_TEST

/* --- waiting ------------------------------------------------------------------------------ */

/* Write subscription number index in the box's generation, at BUF. */
static void
subscribe(struct sandbox *box, uint32_t index, uint64_t userdata, uint8_t tag, uint32_t id,
          uint64_t timeout, uint16_t flags)
{
	const bool old = box->abi == &wasi_abi_unstable;
	uint8_t *sub = at(box, BUF + index * (old ? 56 : 48));
	uint32_t clock = old ? 24 : 16;

	memset(sub, 0, old ? 56 : 48);
	wasi_put_u64(sub, userdata);
	sub[8] = tag;
	if (tag != WASI_EVENT_CLOCK) {
		wasi_put_u32(sub + 16, id);
		return;
	}
	wasi_put_u32(sub + clock, id);
	wasi_put_u64(sub + clock + 8, timeout);
	wasi_put_u16(sub + clock + 24, flags);
}

enum { EVENTS = 0x20000 };

static enum wasi_errno
poll_for(struct sandbox *box, uint32_t count)
{
	return CALL(box, poll_oneoff, BUF, EVENTS, count, OUT);
}

static uint64_t
event_userdata(struct sandbox *box, uint32_t index)
{
	return wasi_get_u64(at(box, EVENTS + index * 32));
}

static uint16_t
event_error(struct sandbox *box, uint32_t index)
{
	return wasi_get_u16(at(box, EVENTS + index * 32 + 8));
}

START_TEST(clocks_are_waited_for)
{
	struct sandbox box;
	const uint64_t ms = 1000000;
	uint64_t start;
	uint64_t now;

	sandbox_open(&box, MEMORY, false, NULL);
	box.abi = _i ? &wasi_abi_unstable : &wasi_abi_preview1;
	start = now_ns();
	subscribe(&box, 0, 111, WASI_EVENT_CLOCK, WASI_CLOCK_MONOTONIC, 3600 * 1000 * ms, 0);
	subscribe(&box, 1, 222, WASI_EVENT_CLOCK, WASI_CLOCK_MONOTONIC, 20 * ms, 0);
	EXPECT(poll_for(&box, 2), WASI_SUCCESS);
	ck_assert_uint_ge(now_ns() - start, 20 * ms);
	ck_assert_uint_eq(out_u32(&box), 1);
	ck_assert_uint_eq(event_userdata(&box, 0), 222);
	ck_assert_uint_eq(event_error(&box, 0), 0);

	/* At a point in time, on both clocks. */
	for (uint32_t clock = WASI_CLOCK_REALTIME; clock <= WASI_CLOCK_MONOTONIC; clock++) {
		EXPECT(CALL(&box, clock_time_get, clock, 0, OUT), WASI_SUCCESS);
		now = out_u64(&box);
		subscribe(&box, 0, 5, WASI_EVENT_CLOCK, clock, now + 10 * ms, WASI_CLOCK_ABSTIME);
		EXPECT(poll_for(&box, 1), WASI_SUCCESS);
		EXPECT(CALL(&box, clock_time_get, clock, 0, OUT), WASI_SUCCESS);
		ck_assert_uint_ge(out_u64(&box), now + 10 * ms);
	}
	/* Past times, and times too far to add up. */
	subscribe(&box, 0, 1, WASI_EVENT_CLOCK, WASI_CLOCK_REALTIME, 1, WASI_CLOCK_ABSTIME);
	subscribe(&box, 1, 2, WASI_EVENT_CLOCK, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
	subscribe(&box, 2, 3, WASI_EVENT_CLOCK, WASI_CLOCK_MONOTONIC, 0, 0);
	EXPECT(poll_for(&box, 3), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 2);
	ck_assert_uint_eq(event_userdata(&box, 0), 1);
	ck_assert_uint_eq(event_userdata(&box, 1), 3);
	sandbox_close(&box);
}
END_TEST

START_TEST(descriptors_are_waited_for)
{
	struct vm_wasi_config config;
	struct sandbox box;
	int in[2];
	uint32_t file;

	ck_assert_int_eq(pipe(in), 0);
	sandbox_config(&config);
	config.stdin_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = in[0] };
	sandbox_open(&box, HOST_KERNEL, false, &config);
	box.abi = _i ? &wasi_abi_unstable : &wasi_abi_preview1;
	make_file(&box, "f", "12345");
	EXPECT(open_at(&box, ROOT_FD, "f", 0, 0, RIGHTS_RW, 0, &file), WASI_SUCCESS);

	/* A file is always ready; the empty pipe is not. */
	subscribe(&box, 0, 1, WASI_EVENT_FD_READ, 0, 0, 0);
	subscribe(&box, 1, 2, WASI_EVENT_FD_READ, file, 0, 0);
	subscribe(&box, 2, 3, WASI_EVENT_FD_WRITE, 1, 0, 0);
	EXPECT(poll_for(&box, 3), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 2);
	ck_assert_uint_eq(event_userdata(&box, 0), 2);
	ck_assert_uint_eq(at(&box, EVENTS + 10)[0], WASI_EVENT_FD_READ);
	ck_assert_uint_eq(wasi_get_u64(at(&box, EVENTS + 16)), 5);
	ck_assert_uint_eq(event_userdata(&box, 1), 3);

	subscribe(&box, 1, 7, WASI_EVENT_CLOCK, WASI_CLOCK_MONOTONIC, 1000000, 0);
	EXPECT(poll_for(&box, 2), WASI_SUCCESS);
	ck_assert_uint_eq(event_userdata(&box, 0), 7);
	ck_assert_int_eq(write(in[1], "ab", 2), 2);
	EXPECT(poll_for(&box, 1), WASI_SUCCESS);
	ck_assert_uint_eq(event_userdata(&box, 0), 1);
	ck_assert_uint_eq(wasi_get_u64(at(&box, EVENTS + 16)), 2);
	close(in[1]);
	EXPECT(poll_for(&box, 1), WASI_SUCCESS);
	ck_assert_uint_eq(wasi_get_u16(at(&box, EVENTS + 24)), WASI_EVENT_HANGUP);
	sandbox_close(&box);
}
END_TEST

START_TEST(senseless_subscriptions_are_reported)
{
	struct sandbox box;

	sandbox_open(&box, MEMORY, false, NULL);
	subscribe(&box, 0, 1, WASI_EVENT_FD_READ, 77, 0, 0);
	subscribe(&box, 1, 2, WASI_EVENT_FD_READ, 1, 0, 0);
	subscribe(&box, 2, 3, WASI_EVENT_CLOCK, 9, 0, 0);
	subscribe(&box, 3, 4, WASI_EVENT_CLOCK, WASI_CLOCK_MONOTONIC, 0, 6);
	subscribe(&box, 4, 5, 200, 0, 0, 0);
	subscribe(&box, 5, 6, WASI_EVENT_CLOCK, WASI_CLOCK_THREAD_CPUTIME, 0, 0);
	EXPECT(poll_for(&box, 6), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 6);
	const enum wasi_errno want[] = { WASI_EBADF,  WASI_ENOTCAPABLE, WASI_EINVAL,
		                         WASI_EINVAL, WASI_EINVAL,      WASI_ENOTSUP };
	for (uint32_t i = 0; i < 6; i++)
		ck_assert_int_eq(event_error(&box, i), (int)want[i]);
	EXPECT(poll_for(&box, 0), WASI_EINVAL);
	EXPECT(poll_for(&box, 0xffffffff), WASI_EINVAL);
	EXPECT(CALL(&box, poll_oneoff, MEMORY_BYTES - 47, EVENTS, 1, OUT), WASI_EFAULT);
	EXPECT(CALL(&box, poll_oneoff, BUF, MEMORY_BYTES - 31, 1, OUT), WASI_EFAULT);
	EXPECT(CALL(&box, poll_oneoff, BUF, EVENTS, 1, MEMORY_BYTES), WASI_EFAULT);
	sandbox_close(&box);
}
END_TEST

/* --- being stopped ------------------------------------------------------------------------ */

static void *
stop_soon(void *store)
{
	const struct timespec delay = { .tv_nsec = 20000000 };

	nanosleep(&delay, NULL);
	vm_store_stop(store, VM_TRAP_CANCELLED);
	return NULL;
}

/* What blocks: 0 a read, 1 a write, 2 a sleep, 3 a poll, 4 an accept. */
START_TEST(blocking_calls_end_when_the_store_is_stopped)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct vm_wasi_config config;
	struct sandbox box;
	pthread_t thread;
	char text[4097];
	int in[2];
	int out[2];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	enum wasi_errno e = WASI_SUCCESS;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	sandbox_config(&config);
	config.stdin_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = in[0] };
	config.stdout_stream = (struct vm_wasi_stream){ .kind = VM_WASI_FD, .fd = out[1] };
	config.listen_fds = &listener;
	config.listen_fd_count = 1;
	sandbox_open(&box, MEMORY, false, &config);
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, box.store), 0);
	uint64_t start = now_ns();
	switch (_i) {
	case 0:
		e = read_fd(&box, 0, text);
		break;
	case 1:
		wasi_put_u32(at(&box, IOVECS), 0);
		wasi_put_u32(at(&box, IOVECS + 4), MEMORY_BYTES);
		e = CALL(&box, fd_write, 1, IOVECS, 1, OUT);
		break;
	case 2:
		subscribe(&box, 0, 1, WASI_EVENT_CLOCK, WASI_CLOCK_MONOTONIC,
		          UINT64_C(3600000000000), 0);
		e = poll_for(&box, 1);
		break;
	case 3:
		subscribe(&box, 0, 1, WASI_EVENT_FD_READ, 0, 0, 0);
		e = poll_for(&box, 1);
		break;
	case 4:
		e = CALL(&box, sock_accept, 4, 0, OUT);
		break;
	default:
		break;
	}
	EXPECT(e, WASI_ENDED);
	ck_assert_int_eq(box.status, VM_TRAP);
	ck_assert_int_eq(box.err.trap, VM_TRAP_CANCELLED);
	ck_assert_uint_lt(now_ns() - start, 1000000000);
	pthread_join(thread, NULL);
	sandbox_close(&box);
}
END_TEST

/* --- sockets ------------------------------------------------------------------------------ */

START_TEST(sockets_accept_receive_and_send)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t address_len = sizeof address;
	struct vm_wasi_config config;
	struct sandbox box;
	char text[64];
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &address_len), 0);
	sandbox_config(&config);
	config.listen_fds = &listener;
	config.listen_fd_count = 1;
	sandbox_open(&box, MEMORY, false, &config);
	EXPECT(CALL(&box, fd_fdstat_set_flags, 4, WASI_NONBLOCK), WASI_SUCCESS);
	EXPECT(CALL(&box, sock_accept, 4, 0, OUT), WASI_EAGAIN);
	EXPECT(CALL(&box, fd_fdstat_set_flags, 4, 0), WASI_SUCCESS);
	EXPECT(CALL(&box, sock_accept, 4, 1, OUT), WASI_EINVAL);
	EXPECT(CALL(&box, sock_accept, 0, 0, OUT), WASI_ENOTSOCK);
	EXPECT(CALL(&box, fd_prestat_get, 4, OUT), WASI_EBADF);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, address_len), 0);
	EXPECT(CALL(&box, sock_accept, 4, 0, OUT), WASI_SUCCESS);
	uint32_t fd = out_u32(&box);
	ck_assert_uint_eq(fd, 5);
	EXPECT(CALL(&box, fd_fdstat_get, fd, OUT), WASI_SUCCESS);
	ck_assert_uint_eq(at(&box, OUT)[0], WASI_SOCKET_STREAM);

	ck_assert_int_eq(write(client, "hello", 5), 5);
	wasi_put_u32(at(&box, IOVECS), BUF);
	wasi_put_u32(at(&box, IOVECS + 4), 2);
	wasi_put_u32(at(&box, IOVECS + 8), BUF + 2);
	wasi_put_u32(at(&box, IOVECS + 12), 3);
	EXPECT(CALL(&box, sock_recv, fd, IOVECS, 2, WASI_RECV_PEEK, OUT, OUT + 8), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 5);
	EXPECT(CALL(&box, sock_recv, fd, IOVECS, 1, 0, OUT, OUT + 8), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 2);
	EXPECT(CALL(&box, sock_recv, fd, IOVECS + 8, 1, WASI_RECV_WAITALL, OUT, OUT + 8),
	       WASI_SUCCESS);
	ck_assert_mem_eq(at(&box, BUF), "hello", 5);
	EXPECT(CALL(&box, sock_recv, fd, IOVECS, 1, 4, OUT, OUT + 8), WASI_EINVAL);
	EXPECT(CALL(&box, sock_send, fd, IOVECS, 2, 0, OUT), WASI_SUCCESS);
	ck_assert_int_eq(read(client, text, sizeof text), 5);
	EXPECT(CALL(&box, sock_send, fd, IOVECS, 2, 1, OUT), WASI_EINVAL);
	EXPECT(write_fd(&box, fd, "more"), WASI_SUCCESS);
	ck_assert_int_eq(read(client, text, sizeof text), 4);
	EXPECT(CALL(&box, sock_shutdown, fd, 0), WASI_EINVAL);
	EXPECT(CALL(&box, sock_shutdown, fd, 4), WASI_EINVAL);
	EXPECT(CALL(&box, sock_shutdown, fd, WASI_SHUT_WR), WASI_SUCCESS);
	ck_assert_int_eq(read(client, text, sizeof text), 0);
	EXPECT(write_fd(&box, fd, "x"), WASI_EPIPE);
	EXPECT(CALL(&box, sock_shutdown, 4, WASI_SHUT_RD), WASI_ENOTCAPABLE);
	sandbox_close(&box);
}
END_TEST

/* --- the rest ----------------------------------------------------------------------------- */

START_TEST(arguments_and_environment_are_handed_out)
{
	const struct vm_str args[] = { VM_STR("prog"), VM_STR(""), VM_STR("a b") };
	const struct vm_str env[] = { VM_STR("A=1") };
	struct vm_wasi_config config;
	struct sandbox box;

	sandbox_config(&config);
	config.args = args;
	config.arg_count = 3;
	config.env = env;
	config.env_count = 1;
	sandbox_open(&box, MEMORY, false, &config);
	EXPECT(CALL(&box, args_sizes_get, OUT, OUT + 4), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 3);
	ck_assert_uint_eq(wasi_get_u32(at(&box, OUT + 4)), 10);
	EXPECT(CALL(&box, args_get, OUT, BUF), WASI_SUCCESS);
	ck_assert_mem_eq(at(&box, BUF), "prog\0\0a b", 10);
	ck_assert_uint_eq(wasi_get_u32(at(&box, OUT + 4)), BUF + 5);
	ck_assert_uint_eq(wasi_get_u32(at(&box, OUT + 8)), BUF + 6);
	EXPECT(CALL(&box, args_get, OUT, MEMORY_BYTES - 9), WASI_EFAULT);
	EXPECT(CALL(&box, args_get, MEMORY_BYTES - 11, BUF), WASI_EFAULT);
	EXPECT(CALL(&box, environ_sizes_get, OUT, OUT + 4), WASI_SUCCESS);
	ck_assert_uint_eq(out_u32(&box), 1);
	EXPECT(CALL(&box, environ_get, OUT, BUF), WASI_SUCCESS);
	ck_assert_mem_eq(at(&box, BUF), "A=1", 4);
	sandbox_close(&box);
}
END_TEST

START_TEST(senseless_configurations_are_refused)
{
	const struct vm_str with_nul = { "a\0b", 3 };
	const struct vm_str no_equals = VM_STR("PATH");
	const int not_a_socket = 0;
	const struct vm_wasi_preopen missing = { .guest_path = VM_STR("/"),
		                                 .host_path = "/no/such/folder" };
	const struct vm_wasi_preopen neither = { .guest_path = VM_STR("/") };
	const struct {
		struct vm_wasi_config config;
		enum vm_status want;
		const char *message;
	} cases[] = {
		{ { .args = &with_nul, .arg_count = 1 }, VM_E_ARGUMENT, "NUL" },
		{ { .env = &no_equals, .env_count = 1 }, VM_E_ARGUMENT, "'='" },
		{ { .preopens = &missing, .preopen_count = 1 }, VM_E_IO, "/no/such/folder" },
		{ { .preopens = &neither, .preopen_count = 1 }, VM_E_ARGUMENT, "either" },
		{ { .listen_fds = &not_a_socket, .listen_fd_count = 1 }, VM_E_IO, "socket" },
		{ { .stdin_stream = { .kind = VM_WASI_FD, .fd = 999 } }, VM_E_IO, "stdin" },
	};
	struct sandbox box;
	struct vm_error err;
	struct vm_store *store;

	sandbox_open(&box, MEMORY, false, NULL);
	ck_assert_int_eq(vm_wasi_attach(box.store, &(struct vm_wasi_config){ 0 }, &err),
	                 VM_E_ARGUMENT);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ck_assert_int_eq(vm_store_new(box.engine, NULL, &store, NULL), VM_OK);
		enum vm_status got = vm_wasi_attach(store, &cases[i].config, &err);
		ck_assert_msg(got == cases[i].want, "case %zu: got %d", i, (int)got);
		ck_assert_msg(strstr(err.message, cases[i].message) != NULL, "case %zu: %s", i,
		              err.message);
		vm_store_free(store);
	}
	sandbox_close(&box);
}
END_TEST

START_TEST(clocks_and_random_numbers)
{
	struct sandbox box;

	sandbox_open(&box, MEMORY, false, NULL);
	for (uint32_t clock = 0; clock < 4; clock++) {
		EXPECT(CALL(&box, clock_res_get, clock, OUT), WASI_SUCCESS);
		ck_assert_uint_gt(out_u64(&box), 0);
		EXPECT(CALL(&box, clock_time_get, clock, 0, OUT), WASI_SUCCESS);
	}
	ck_assert_uint_lt(out_u64(&box), 10000000000); /* the guest's processor time, not ours */
	EXPECT(CALL(&box, clock_res_get, 4, OUT), WASI_EINVAL);
	EXPECT(CALL(&box, clock_time_get, 4, 0, OUT), WASI_EINVAL);
	EXPECT(CALL(&box, clock_time_get, 0, 0, MEMORY_BYTES - 7), WASI_EFAULT);
	memset(at(&box, BUF), 0, 4096);
	EXPECT(CALL(&box, random_get, BUF, 4096), WASI_SUCCESS);
	int zeros = 0;
	for (uint32_t i = 0; i < 4096; i++)
		zeros += at(&box, BUF)[i] == 0;
	ck_assert_int_lt(zeros, 100);
	EXPECT(CALL(&box, random_get, 0, MEMORY_BYTES), WASI_SUCCESS);
	EXPECT(CALL(&box, random_get, 1, MEMORY_BYTES), WASI_EFAULT);
	EXPECT(CALL(&box, sched_yield, 0), WASI_SUCCESS);
	EXPECT(CALL(&box, proc_raise, 9), WASI_ENOSYS);
	EXPECT(CALL(&box, proc_exit, 300), WASI_ENDED);
	ck_assert_int_eq(box.status, VM_EXIT);
	ck_assert_int_eq(box.err.exit_code, 300);
	sandbox_close(&box);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("wasi streams");
	TCase *tc = tcase_create("streams");

	tcase_add_test(tc, bytes_are_read_and_writers_called);
	tcase_add_test(tc, host_descriptors_are_streams);
	tcase_add_test(tc, a_file_as_standard_input_is_not_changed);
	tcase_add_test(tc, only_terminals_look_like_terminals);
	tcase_add_loop_test(tc, clocks_are_waited_for, 0, 2);
	tcase_add_loop_test(tc, descriptors_are_waited_for, 0, 2);
	tcase_add_test(tc, senseless_subscriptions_are_reported);
	tcase_add_loop_test(tc, blocking_calls_end_when_the_store_is_stopped, 0, 5);
	tcase_add_test(tc, sockets_accept_receive_and_send);
	tcase_add_test(tc, arguments_and_environment_are_handed_out);
	tcase_add_test(tc, senseless_configurations_are_refused);
	tcase_add_test(tc, clocks_and_random_numbers);
	suite_add_tcase(suite, tc);
	return suite;
}
