#include "client/wasmedgectl/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t pending;
static int ends[2] = { -1, -1 };

static void
note_signal(int signal_number)
{
	int saved = errno;

	(void)signal_number;
	pending = 1;
	/* Should it fail because the pipe is full, then that is readable all the same. */
	ssize_t written = write(ends[1], "", 1);
	(void)written;
	errno = saved;
}

bool
interrupt_install(void)
{
	/* No SA_RESTART: a blocked read returns. SA_RESETHAND: the second signal is final. */
	struct sigaction action = { .sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND };
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction before;

		/* What is ignored stays so: nohup, jobs of a shell without job control. */
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN &&
		    sigaction(numbers[i], &action, NULL) != 0)
			return false;
	}
	return true;
}

bool
interrupt_pending(void)
{
	return pending != 0;
}

int
interrupt_fd(void)
{
	return ends[0];
}
