/*
 * handover.c - the static program: wasmedge without what needs dlopen.
 *
 * A static program starts 0.15 ms sooner than a dynamic one, but cannot open libraries. So the
 * program is linked twice: `wasmedge` statically, with this file in place of compile.c and
 * plugins.c; and a whole one, which is found beside the first where that was built and in
 * $(pkglibexecdir) where it was installed. When the static program comes to where the compiler or
 * plug-ins are needed, it becomes the whole one, with the same arguments: what follows are the
 * functions of those two files, as hand-overs. This is before a guest has run and before anything
 * was written:
 *
 * - standard output and error keep everything until run.c flushes them in front of the guest
 * - a file that can only be read once is read by the program that can do everything
 *
 * Where wasmedge cannot be linked statically, the whole program is all there is.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/wasmedge/native.h"
#include "client/wasmedge/options.h"
#include "client/wasmedge/plugins.h"
#include "client/wasmedge/report.h"
#include "client/wasmedge/runner.h"

enum { PATH_BYTES = 8192 };

static char **words; /* of the command line */

/*
 * Beside our own program, under the name that make gives it there; else where it was installed,
 * below another root if our own program is.
 */
static void
find_whole(char out[PATH_BYTES])
{
	char own[PATH_BYTES / 2];
	const size_t bin_len = strlen(BINDIR);

	ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
	own[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(own, '/');
	if (slash != NULL) {
		*slash = '\0';
		snprintf(out, PATH_BYTES, "%s/" WHOLE_BUILT, own);
		if (access(out, X_OK) == 0)
			return;
	}
	const size_t own_len = strlen(own);
	size_t root_len = 0;
	if (own_len > bin_len && strcmp(own + own_len - bin_len, BINDIR) == 0)
		root_len = own_len - bin_len;
	snprintf(out, PATH_BYTES, "%.*s%s", (int)root_len, own, PKGLIBEXECDIR "/wasmedge");
}

/* Returns only if it cannot be done. */
static enum vm_status
hand_over(struct vm_error *err)
{
	char path[PATH_BYTES];

	find_whole(path);
	execv(path, words);
	return vm_error_set(err, VM_E_IO, VM_NO_OFFSET,
	                    "the compiler and plug-ins are in a program of their own, and %s "
	                    "cannot be run (%s): install all of wasmedged",
	                    path, strerror(errno));
}

static int
hand_over_or_fail(void)
{
	struct vm_error err;

	(void)hand_over(&err);
	report_error(NULL, NULL, &err);
	return EXIT_REFUSED;
}

/* --- compile.c ------------------------------------------------------------------------------ */

int
verb_compile(void *context, const struct cli_args *args)
{
	(void)context;
	(void)args;
	return hand_over_or_fail();
}

enum vm_status
native_compile(struct vm_module *module, struct vm_compile_options *options, struct vm_bytes *out,
               struct vm_error *err)
{
	(void)module;
	(void)options;
	(void)out;
	return hand_over(err);
}

/* --- plugins.c ------------------------------------------------------------------------------ */

enum vm_status
plugins_load(const struct runner *runner, const struct plugin_options *options,
             struct vm_plugins **out, struct vm_error *err)
{
	(void)runner;
	(void)options;
	(void)out;
	return hand_over(err);
}

/* There never is a set of plug-ins here. */
enum vm_status
plugins_define_imports(struct vm_plugins *plugins, struct vm_linker *linker,
                       const struct vm_module *module, struct vm_error *err)
{
	(void)plugins;
	(void)linker;
	(void)module;
	return hand_over(err);
}

bool
plugins_explain(struct vm_plugins *plugins, const struct vm_import *import)
{
	(void)plugins;
	(void)import;
	return false;
}

int
plugins_write_versions(const struct runner *runner, const char *path)
{
	(void)path;
	int code = hand_over_or_fail();
	runner_write_version(runner);
	return code;
}

int
verb_plugins(void *context, const struct cli_args *args)
{
	(void)context;
	(void)args;
	return hand_over_or_fail();
}

/* -------------------------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
	static char held[65536]; /* what is not used costs nothing */
	struct runner runner = { .program = &wasmedge_program, .hand_over = hand_over };

	words = argv;
	setvbuf(stderr, held, _IOFBF, sizeof held);
	return runner_main(&runner, argc, argv);
}
