/*
 * main.c - wasmedged's command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/auth.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/plugins.h"
#include "vm/vm.h"

#define EXIT_USAGE 2
#define DEFAULT_FILE SYSCONFDIR "/wasmedged/wasmedged.conf"
#define SETS_MAX 128

extern char **environ;

struct options {
	const char *file;
	const char *sets[SETS_MAX + 1]; /* ends in NULL */
	size_t set_count;
	bool is_test;
	bool is_print;
};

static const char usage[] =
    "Usage: wasmedged [-c FILE] [--set SECTION.KEY=VALUE]... [-t | --print-config]\n"
    "       wasmedged --new-token ID SCOPES\n"
    "\n"
    "Serve WebAssembly modules over HTTP.\n"
    "\n"
    "  -c, --config FILE        read settings from FILE and FILE's conf.d; without it from\n"
    "                           " DEFAULT_FILE ", if that is there\n"
    "  -s, --set SECTION.KEY=VALUE\n"
    "                           a setting that wins over the file and the environment\n"
    "  -t, --test               check the settings and say whether they are acceptable\n"
    "      --print-config       print the settings in force and where each comes from\n"
    "      --new-token ID SCOPES\n"
    "                           make a token: print its secret, and the line for the file\n"
    "                           that auth.tokens_file names\n"
    "      --version            print the version\n"
    "  -h, --help               print this\n"
    "\n"
    "Signals: TERM and INT finish what is running and end, HUP reads the settings again.\n"
    "See wasmedged(8) and wasmedged.conf(5).\n";

enum { OPTION_PRINT = 256, OPTION_TOKEN, OPTION_VERSION };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "set", required_argument, NULL, 's' },
	{ "test", no_argument, NULL, 't' },
	{ "print-config", no_argument, NULL, OPTION_PRINT },
	{ "new-token", required_argument, NULL, OPTION_TOKEN },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
new_token(const char *id, const char *scopes)
{
	struct auth_error err;

	if (scopes == NULL) {
		fputs("wasmedged: --new-token needs an id and scopes, such as: "
		      "--new-token ci modules:read,invoke\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (auth_new_token(id, scopes, stdout, &err))
		return EXIT_SUCCESS;
	fprintf(stderr, "wasmedged: %s\n", err.message);
	return EXIT_FAILURE;
}

static int
bad_usage(const char *what)
{
	fprintf(stderr, "wasmedged: %s; wasmedged --help tells more\n", what);
	return EXIT_USAGE;
}

/* Returns an exit status, or -1 to go on. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	int option;

	while ((option = getopt_long(argc, argv, "c:s:th", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->file = optarg;
			break;
		case 's':
			if (options->set_count == SETS_MAX)
				return bad_usage("more settings than --set takes");
			options->sets[options->set_count++] = optarg;
			break;
		case 't':
			options->is_test = true;
			break;
		case OPTION_PRINT:
			options->is_print = true;
			break;
		case OPTION_TOKEN:
			return new_token(optarg, optind < argc ? argv[optind] : NULL);
		case OPTION_VERSION:
			printf("wasmedged %s\n", vm_version());
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return bad_usage("the options are not understood");
		}
	}
	return optind == argc ? -1 : bad_usage("there are no arguments besides options");
}

static int
refuse(const char *why)
{
	fprintf(stderr, "wasmedged: %s\n", why);
	return EXIT_USAGE;
}

static int
serve(struct config *config, const struct config_sources *sources)
{
	struct notify notify;

	log_detect_journal();
	if (!notify_open(&notify))
		log_warning("the service manager cannot be told anything");
	return daemon_run(config, sources, &notify);
}

int
main(int argc, char **argv)
{
	struct options options = { 0 };
	struct vm_error plugin_err;
	struct config_error err;
	struct config *config;

	int status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	if (options.file == NULL && access(DEFAULT_FILE, F_OK) == 0)
		options.file = DEFAULT_FILE;
	const struct config_sources sources = {
		.file = options.file,
		.environment = (const char *const *)environ,
		.sets = options.sets,
	};
	if (!config_load(&sources, &config, &err))
		return refuse(err.message);
	if (options.is_print)
		status = config_print(config, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
	else if (options.is_test && plugins_test(config, &plugin_err) != VM_OK)
		status = refuse(plugin_err.message);
	else if (options.is_test)
		status = puts("wasmedged: the settings are acceptable") < 0 ? EXIT_FAILURE
		                                                            : EXIT_SUCCESS;
	else
		status = serve(config, &sources);
	config_unref(config);
	return status;
}
