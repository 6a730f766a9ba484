/*
 * echo.c - accepts one connection on the listening socket it was given, descriptor 3, and sends
 * back what it receives until the other side has ended.
 */
#include <sys/socket.h>
#include <unistd.h>
#include "guest.h"

int
main(void)
{
	char buf[256];
	ssize_t n;
	int fd = accept(3, NULL, NULL);

	CHECK(fd >= 0);
	while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
		CHECK(send(fd, buf, (size_t)n, 0) == n);
	CHECK(n == 0);
	CHECK(shutdown(fd, SHUT_RDWR) == 0 && close(fd) == 0);
	puts("echoed");
	return 0;
}
