/*
 * What goes to the service manager, over a path and an abstract socket, and what comes from it.
 */
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/support/unit.h"

/* Listen as the service manager does; sets NOTIFY_SOCKET. */
static int
manager(bool abstract, char name[108])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(name, 108, "%s/tmp/wasmedged-test-notify-%d", abstract ? "@" : "", (int)getpid());
	size_t size = strlen(name);
	memcpy(address.sun_path, name, size);
	if (abstract)
		address.sun_path[0] = '\0';
	else
		unlink(name);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *
received(int fd)
{
	static char text[1024];
	ssize_t size = recv(fd, text, sizeof text - 1, 0);

	text[size > 0 ? size : 0] = '\0';
	return text;
}

START_TEST(states_are_sent_as_datagrams)
{
	char name[108];
	int fd = manager(_i == 1, name);
	struct notify notify;

	setenv("WATCHDOG_USEC", "30000000", 1);
	unsetenv("WATCHDOG_PID");
	ck_assert(notify_open(&notify));
	ck_assert_uint_eq(notify.watchdog_us, 30000000);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	ck_assert(notify_ready(&notify, "serving"));
	ck_assert_str_eq(received(fd), "READY=1\nSTATUS=serving");
	ck_assert(notify_ready(&notify, NULL));
	ck_assert_str_eq(received(fd), "READY=1");
	ck_assert(notify_status(&notify, "one\nMAINPID=1"));
	ck_assert_str_eq(received(fd), "STATUS=one");
	ck_assert(notify_watchdog(&notify));
	ck_assert_str_eq(received(fd), "WATCHDOG=1");
	ck_assert(notify_extend_timeout(&notify, 5000000));
	ck_assert_str_eq(received(fd), "EXTEND_TIMEOUT_USEC=5000000");
	ck_assert(notify_reloading(&notify));
	ck_assert_int_eq(strncmp(received(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	ck_assert(notify_stopping(&notify, "draining"));
	ck_assert_str_eq(received(fd), "STOPPING=1\nSTATUS=draining");
	close(fd);
	ck_assert(!notify_watchdog(&notify));
	notify_close(&notify);
	if (_i == 0)
		unlink(name);
}
END_TEST

START_TEST(without_a_manager_everything_is_silent_and_fine)
{
	struct notify notify;

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("WATCHDOG_PID", "1", 1); /* somebody else's */
	ck_assert(notify_open(&notify));
	ck_assert_uint_eq(notify.watchdog_us, 0);
	ck_assert(notify_ready(&notify, "x"));
	ck_assert(notify_watchdog(&notify));
	notify_close(&notify);
}
END_TEST

static const char *const bad_sockets[] = {
	"relative", "", "@", "/", "/nowhere/there", "unix:path"
};

START_TEST(an_unusable_socket_is_reported_once)
{
	struct notify notify;

	setenv("NOTIFY_SOCKET", bad_sockets[_i], 1);
	errno = 0;
	ck_assert(!notify_open(&notify));
	ck_assert_int_ne(errno, 0);
	ck_assert(notify_ready(&notify, NULL));
	notify_close(&notify);
}
END_TEST

START_TEST(an_overlong_socket_name_is_refused)
{
	char name[200];
	struct notify notify;

	memset(name, 'a', 199);
	name[0] = '/';
	name[199] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert(!notify_open(&notify));
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

/* ---- sockets that are passed ---- */

/* A listening socket at descriptor n (a test's own process: nothing else is there). */
static void
place_socket(int n, bool listening)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (listening) {
		ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(sa_family_t)),
				 0);
		ck_assert_int_eq(listen(fd, 1), 0);
	}
	if (fd != n) {
		ck_assert_int_eq(dup2(fd, n), n);
		close(fd);
	}
}

static void
set_own_pid(void)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
}

START_TEST(listening_sockets_are_taken_with_their_names)
{
	struct notify_listener listeners[NOTIFY_LISTEN_MAX];
	char message[200];

	place_socket(3, true);
	place_socket(4, true);
	set_own_pid();
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "api", 1);
	ck_assert_int_eq(notify_listeners(listeners, message, sizeof message), 2);
	ck_assert_int_eq(listeners[0].fd, 3);
	ck_assert_str_eq(listeners[0].name, "api");
	ck_assert_int_eq(listeners[1].fd, 4);
	ck_assert_str_eq(listeners[1].name, "");
	ck_assert(fcntl(3, F_GETFD) & FD_CLOEXEC);
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	ck_assert_int_eq(notify_listeners(listeners, message, sizeof message), 0);
}
END_TEST

START_TEST(sockets_of_another_process_are_left_alone)
{
	struct notify_listener listeners[NOTIFY_LISTEN_MAX];
	char message[200];

	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "2", 1);
	ck_assert_int_eq(notify_listeners(listeners, message, sizeof message), 0);
	setenv("LISTEN_FDS", "2", 1);
	unsetenv("LISTEN_PID");
	ck_assert_int_eq(notify_listeners(listeners, message, sizeof message), 0);
}
END_TEST

static const struct listen_case {
	const char *fds;
	bool listening;
	const char *message;
} listen_cases[] = {
	{ "x", true, "LISTEN_FDS: expected a number" },
	{ "-1", true, "LISTEN_FDS: expected a number" },
	{ "17", true, "expected a number up to 16" },
	{ "99999999999999999999", true, "expected a number" },
	{ "1", false, "descriptor 3 is expected to be a listening stream socket" },
	{ "2", true, "descriptor 4 is expected to be a socket" },
};

START_TEST(senseless_sockets_are_refused)
{
	const struct listen_case *c = &listen_cases[_i];
	struct notify_listener listeners[NOTIFY_LISTEN_MAX];
	char message[200];

	place_socket(3, c->listening);
	close(4);
	set_own_pid();
	setenv("LISTEN_FDS", c->fds, 1);
	ck_assert_int_eq(notify_listeners(listeners, message, sizeof message), -1);
	ck_assert_msg(strstr(message, c->message) != NULL, "got \"%s\", want \"%s\"", message,
		      c->message);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("daemon/notify");
	TCase *tcase = tcase_create("notify");

	tcase_add_loop_test(tcase, states_are_sent_as_datagrams, 0, 2);
	tcase_add_test(tcase, without_a_manager_everything_is_silent_and_fine);
	tcase_add_loop_test(tcase, an_unusable_socket_is_reported_once, 0,
			    sizeof bad_sockets / sizeof bad_sockets[0]);
	tcase_add_test(tcase, an_overlong_socket_name_is_refused);
	tcase_add_test(tcase, listening_sockets_are_taken_with_their_names);
	tcase_add_test(tcase, sockets_of_another_process_are_left_alone);
	tcase_add_loop_test(tcase, senseless_sockets_are_refused, 0,
			    sizeof listen_cases / sizeof listen_cases[0]);
	suite_add_tcase(suite, tcase);
	return suite;
}
