/*
 * Settings: what is refused and where it says so, which source wins, what a reload keeps.
 *
 * The sample file and the manual page are held against the table; UPDATE_SAMPLE=1 writes the
 * sample anew.
 */
#include "daemon/config.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/support/unit.h"

static struct config *
load_ok(const char *text)
{
	struct config *config = NULL;
	struct config_error err = { "" };

	bool ok = config_load_text("t.conf", text, strlen(text), &config, &err);
	ck_assert_msg(ok, "%s", err.message);
	return config;
}

static const struct refused_case {
	const char *text;
	const char *message; /* part of it */
} refused_cases[] = {
	{ "tcp = x", "t.conf:1:1: expected a [section] before the first key" },
	{ "[listen]\n\n  tpc = x", "t.conf:3:3: unknown key \"tpc\" in [listen]; it has: unix, " },
	{ "[lisen]",
	  "t.conf:1:2: unknown section \"lisen\"; expected one of: listen, auth, store" },
	{ "[listen", "t.conf:1:8: expected \"[section]\"" },
	{ "[listen] x", "t.conf:1:10: expected the end of the line, found 'x'" },
	{ "[limits]\ntime 5s", "t.conf:2:6: expected \"key = value\"" },
	{ "[limits]\n= 5s", "t.conf:2:1: expected \"key = value\"" },
	{ "[limits]\ntime = 5", "t.conf:2:8: [limits] time: expected a time with its unit" },
	{ "[limits]\ntime = 5 s", "found \"5 s\"" },
	{ "[limits]\ntime = -5s", "found \"-5s\"" },
	{ "[limits]\ntime = 2d", "t.conf:2:8: [limits] time: expected 1ms to 1d, found \"2d\"" },
	{ "[limits]\ntime = 0", "expected 1ms to 1d, found \"0\"" },
	{ "[limits]\ntime = 99999999999999999999s", "[limits] time: expected a time" },
	{ "[limits]\ntime = 999999999999999999d", "[limits] time: expected a time" },
	{ "[limits]\nbody_bytes = 10MB", "expected a size with its unit" },
	{ "[limits]\nbody_bytes = 1", "expected a size" },
	{ "[limits]\nbody_bytes = 2GiB", "expected 1KiB to 1GiB, found \"2GiB\"" },
	{ "[limits]\nasync_length = 0", "expected 1 to 1000000, found \"0\"" },
	{ "[limits]\nasync_length = 0x10", "expected a whole number" },
	{ "[limits]\ntime = 5s\ntime = 6s", "t.conf:3:1: [limits] time is set already in line 2" },
	{ "[limits]\ntime = 5s\n[log]\n[limits]\ntime = 6s", "is set already in line 2" },
	{ "[listen]\nunix_mode = 0680", "expected an octal file mode" },
	{ "[listen]\nunix_mode = 1777", "expected 0000 to 0777" },
	{ "[listen]\nunix = run/x", "expected an absolute path" },
	{ "[listen]\ntcp = localhost:80", "expected ADDRESS:PORT" },
	{ "[listen]\ntcp = 127.0.0.1:65536", "expected ADDRESS:PORT" },
	{ "[listen]\ntcp = ::1:80", "expected ADDRESS:PORT" },
	{ "[listen]\ntcp = 127.0.0.1", "expected ADDRESS:PORT" },
	{ "[log]\nformat = xml", "[log] format: expected one of: logfmt, json, found \"xml\"" },
	{ "[log]\nlevel = json", "expected one of: error, warning" },
	{ "[store]\ncheck = maybe", "expected yes or no" },
	{ "[store]\ndirectory =", "[store] directory: expected a path, found nothing" },
	{ "[store]\ndirectory = \"/a", "t.conf:2:13: expected a closing quote" },
	{ "[store]\ndirectory = \"/a\\n\"", "expected \\\" or \\\\" },
	{ "[store]\ndirectory = \"/a\" b", "t.conf:2:18: expected the end of the line, found 'b'" },
	{ "[store]\ndirectory = /a\001b", "t.conf:2:15: control character 0x01" },
	{ "\xef\xbb\xbf[store]", "t.conf:1:1: expected \"key = value\"" },
	/* options of plug-ins: what they mean is somebody else's business */
	{ "[plugin.]", "t.conf:1:9: expected the name of a plug-in" },
	{ "[plugin.a", "t.conf:1:10: expected \"[section]\"" },
	{ "[plugin.A]", "expected the name of a plug-in, found \"A\"" },
	{ "[plugin]", "unknown section \"plugin\"" },
	{ "[plugin.a]\nB = 1", "t.conf:2:1: expected an option of the plug-in, found \"B\"" },
	{ "[plugin.a]\nb = 1\n[plugin.c]\nb = 1\n[plugin.a]\nb = 2",
	  "t.conf:6:1: [plugin.a] b is set already in line 2" },
	/* contradictions */
	{ "[listen]\ntcp = 127.0.0.1:1", "t.conf:2: [listen] tcp is set, but nobody could use it" },
	{ "[listen]\ntcp = 0.0.0.0:1\n[auth]\ntcp = none", "can be reached from other machines" },
	{ "[listen]\ntcp = [::]:1\n[auth]\ntokens_file = /t",
	  "can be reached from other machines" },
	{ "[limits]\nbuffered_bytes = 32MiB",
	  "buffered_bytes must be at least module_bytes (64MiB)" },
	{ "[plugins]\npath = /a:b",
	  "t.conf:2: [plugins] path: expected absolute paths, found \"b\"" },
	{ "[plugins]\nreadable = /a b/c", "[plugins] readable: expected absolute paths" },
	{ "[service]\ngroup = daemon", "[service] group is set, but not whose" },
};

START_TEST(a_faulty_file_is_refused_with_its_place)
{
	const struct refused_case *c = &refused_cases[_i];
	struct config *config = NULL;
	struct config_error err = { "" };

	bool ok = config_load_text("t.conf", c->text, strlen(c->text), &config, &err);
	ck_assert_msg(!ok && config == NULL, "accepted: %s", c->text);
	ck_assert_msg(strstr(err.message, c->message) != NULL, "got \"%s\", want \"%s\"",
		      err.message, c->message);
}
END_TEST

START_TEST(a_zero_byte_is_refused)
{
	struct config *config = NULL;
	struct config_error err;
	static const char text[] = "[store]\ndirectory = /a\0b\n";

	ck_assert(!config_load_text("t", text, sizeof text - 1, &config, &err));
}
END_TEST

START_TEST(values_of_every_type_are_read)
{
	struct config *config = load_ok("# comment\r\n"
					"[listen]\r\n"
					"\tunix = \"/run/a #\\\\\\\"\" # quoted\n"
					"unix_mode = 600\n"
					"tcp =# none\n"
					"hosts = a.example,b.example  c\n"
					"[limits]\n"
					"time=1min\n"
					"body_bytes = 64KiB # with a comment\n"
					"output_bytes = 0\n"
					"fuel = 9223372036854775807\n"
					"[store]\n"
					"check = on\n"
					"directory = /a b#c\n"
					"[run]\n"
					"on_disconnect = cancel-on-reset");

	ck_assert_str_eq(config->listen_unix, "/run/a #\\\"");
	ck_assert_uint_eq(config->listen_unix_mode, 0600);
	ck_assert_str_eq(config->listen_tcp, "");
	ck_assert_uint_eq(config->listen_hosts.count, 3);
	ck_assert_str_eq(config->listen_hosts.items[1], "b.example");
	ck_assert_uint_eq(config->limits_time, 60000);
	ck_assert_uint_eq(config->limits_body_bytes, 65536);
	ck_assert_uint_eq(config->limits_output_bytes, 0);
	ck_assert_uint_eq(config->limits_fuel, INT64_MAX);
	ck_assert(config->store_check);
	ck_assert_str_eq(config->store_directory, "/a b#c");
	ck_assert_uint_eq(config->run_on_disconnect, CONFIG_run_on_disconnect_CANCEL_ON_RESET);
	ck_assert_uint_eq(config->log_format, CONFIG_log_format_LOGFMT); /* the default */
	ck_assert_str_eq(config_origin(config, CONFIG_KEY_limits_time), "t.conf:8");
	ck_assert_str_eq(config_origin(config, CONFIG_KEY_log_format), "built-in");
	config_unref(config);
}
END_TEST

START_TEST(every_default_lies_within_its_own_rules)
{
	struct config *config = load_ok("");

	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_row *row = config_row((enum config_key)i);

		ck_assert_str_eq(config_text(config, (enum config_key)i), row->default_text);
		ck_assert_msg(row->doc[0] != '\0' && row->doc[strlen(row->doc) - 1] == '.',
			      "[%s] %s: its document is no sentence", row->section, row->key);
	}
	config_unref(config);
}
END_TEST

static const struct address_case {
	const char *text;
	int family; /* 0: refused */
	unsigned port;
} address_cases[] = {
	{ "127.0.0.1:8737", AF_INET, 8737 },
	{ "[::1]:0", AF_INET6, 0 },
	{ "[fe80::1]:65535", AF_INET6, 65535 },
	{ "", 0, 0 },
	{ ":80", 0, 0 },
	{ "127.0.0.1:", 0, 0 },
	{ "127.0.0.1:80a", 0, 0 },
	{ "127.0.0.1:-1", 0, 0 },
	{ "[127.0.0.1]:80", 0, 0 },
	{ "[::1:80", 0, 0 },
	{ "127.1:80", 0, 0 },
};

START_TEST(an_address_is_parsed_or_refused)
{
	const struct address_case *c = &address_cases[_i];
	struct sockaddr_storage address = { 0 };
	unsigned size = 0;

	bool ok = config_parse_address(c->text, &address, &size);
	ck_assert_msg(ok == (c->family != 0), "%s", c->text);
	if (!ok)
		return;
	ck_assert_int_eq(address.ss_family, c->family);
	in_port_t port = c->family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
					      : ((struct sockaddr_in6 *)&address)->sin6_port;
	ck_assert_uint_eq(ntohs(port), c->port);
}
END_TEST

/* ---- sources ---- */

static char folder[64];

static void
make_folder(void)
{
	char path[96];

	snprintf(folder, sizeof folder, "/tmp/wasmedged-test-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/conf.d", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static const char *
path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static const char *const file_names[] = { "conf.d/10.conf",
					  "conf.d/9.conf",
					  "conf.d/x.off",
					  "conf.d/.h.conf",
					  "main.conf",
					  "conf.d",
					  "" };

static void
remove_folder(void)
{
	for (size_t i = 0; i < sizeof file_names / sizeof file_names[0]; i++)
		remove(path_of(file_names[i]));
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(later_sources_win)
{
	char main_path[128], want[160];
	const char *const environment[] = { "PATH=/bin", "WASMEDGED_LIMITS_FUEL=5",
					    "WASMEDGED_LIMITS_TABLE_ELEMENTS=500",
					    "WASMEDGED_HOST=elsewhere", NULL };
	const char *const sets[] = { "limits.table_elements=600", "listen.hosts=a=b", NULL };
	struct config_error err = { "" };
	struct config *config = NULL;

	write_file("main.conf", "[limits]\nasync_length = 10\nmemory_pages = 1\nfuel = 1\n");
	write_file("conf.d/10.conf", "[limits]\nmemory_pages = 10\nfuel = 10\n");
	write_file("conf.d/9.conf", "[limits]\nfuel = 9\nmemory_pages = 9\n");
	write_file("conf.d/x.off", "nonsense");
	write_file("conf.d/.h.conf", "nonsense");
	snprintf(main_path, sizeof main_path, "%s", path_of("main.conf"));
	const struct config_sources sources = { main_path, environment, sets };
	bool ok = config_load(&sources, &config, &err);
	ck_assert_msg(ok, "%s", err.message);
	ck_assert_uint_eq(config->limits_async_length, 10);
	ck_assert_uint_eq(config->limits_memory_pages, 9); /* names sort as bytes: 9 after 10 */
	ck_assert_uint_eq(config->limits_fuel, 5);
	ck_assert_uint_eq(config->limits_table_elements, 600);
	ck_assert_str_eq(config->listen_hosts.items[0], "a=b");
	ck_assert_str_eq(config_origin(config, CONFIG_KEY_limits_table_elements), "--set");
	ck_assert_str_eq(config_origin(config, CONFIG_KEY_limits_fuel),
			 "environment WASMEDGED_LIMITS_FUEL");
	snprintf(want, sizeof want, "%s:3", path_of("conf.d/9.conf"));
	ck_assert_str_eq(config_origin(config, CONFIG_KEY_limits_memory_pages), want);
	config_unref(config);
}
END_TEST

static const struct source_case {
	const char *variable;
	const char *set;
	const char *message;
} source_cases[] = {
	{ "WASMEDGED_LIMITS_FOO=1", NULL, "environment WASMEDGED_LIMITS_FOO: there is no such" },
	{ "WASMEDGED_LIMITS_TIME=1", NULL, "environment WASMEDGED_LIMITS_TIME: [limits] time" },
	{ NULL, "limits.time", "--set: expected section.key=value" },
	{ NULL, "time=5s", "--set: expected section.key=value" },
	{ NULL, "limit.time=5s", "--set: unknown section \"limit\"" },
	{ NULL, "limits.tim=5s", "--set: unknown key \"tim\" in [limits]" },
	{ NULL, "limits.time=5", "--set: [limits] time: expected a time" },
	{ NULL, "store.directory=/a\nb", "control character 0x0a" },
	{ NULL, "plugin.a=1", "--set: expected plugin.NAME.option=value, found \"plugin.a=1\"" },
	{ NULL, "plugin.a.B=1", "--set: expected plugin.NAME.option=value" },
	{ NULL, "plugin.a.b=\n", "--set: [plugin.a] b: control character 0x0a" },
};

START_TEST(options_of_plug_ins_are_kept_with_their_origins)
{
	char main_path[128];
	const char *const sets[] = { "plugin.two.list=x y", NULL };
	struct config_error err = { "" };
	struct config *config = NULL;

	write_file("main.conf", "[plugin.one]\na = 1\n[plugin.two]\nlist = \" q #\"\n");
	write_file("conf.d/9.conf", "[plugin.one]\na = 9 # later\nb =\n");
	snprintf(main_path, sizeof main_path, "%s", path_of("main.conf"));
	const struct config_sources sources = { main_path, NULL, sets };
	bool ok = config_load(&sources, &config, &err);
	ck_assert_msg(ok, "%s", err.message);
	ck_assert_uint_eq(config->option_count, 3);
	ck_assert_str_eq(config->options[0].plugin, "one");
	ck_assert_str_eq(config->options[0].name, "a");
	ck_assert_str_eq(config->options[0].value, "9");
	ck_assert_ptr_nonnull(strstr(config->options[0].origin, "conf.d/9.conf:2"));
	ck_assert_str_eq(config->options[1].name, "list");
	ck_assert_str_eq(config->options[1].value, "x y");
	ck_assert_str_eq(config->options[1].origin, "--set");
	ck_assert_str_eq(config->options[2].name, "b");
	ck_assert_str_eq(config->options[2].value, "");
	config_unref(config);
}
END_TEST

START_TEST(faulty_variables_and_options_are_refused)
{
	const struct source_case *c = &source_cases[_i];
	const char *const environment[] = { c->variable, NULL };
	const char *const sets[] = { c->set, NULL };
	const struct config_sources sources = { NULL, environment, sets };
	struct config_error err = { "" };
	struct config *config = NULL;

	ck_assert(!config_load(&sources, &config, &err));
	ck_assert_msg(strstr(err.message, c->message) != NULL, "got \"%s\", want \"%s\"",
		      err.message, c->message);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_refused)
{
	struct config_sources sources = { path_of("none.conf"), NULL, NULL };
	struct config_error err = { "" };
	struct config *config = NULL;

	ck_assert(!config_load(&sources, &config, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "none.conf: cannot read: No such file"));
	sources.file = folder;
	ck_assert(!config_load(&sources, &config, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "Is a directory"));
}
END_TEST

START_TEST(a_reload_is_all_or_nothing_and_keeps_what_needs_a_restart)
{
	char main_path[128];
	struct config_error err = { "" };
	struct config *running = NULL, *reloaded = NULL;
	bool pending[CONFIG_KEY_COUNT];

	snprintf(main_path, sizeof main_path, "%s", path_of("main.conf"));
	const struct config_sources sources = { main_path, NULL, NULL };
	write_file("main.conf", "[store]\nreaders = 3\n[limits]\ntime = 60s\nidle_timeout = 60s\n");
	ck_assert(config_load(&sources, &running, &err));

	write_file("main.conf", "[limits]\ntime = 5s\nbroken");
	ck_assert(!config_reload(running, &sources, &reloaded, pending, &err));
	ck_assert_ptr_null(reloaded);
	ck_assert_uint_eq(running->limits_time, 60000);

	write_file("main.conf", "[store]\nreaders = 4\n[limits]\ntime = 5s\nidle_timeout = 1min\n");
	ck_assert_msg(config_reload(running, &sources, &reloaded, pending, &err), "%s",
		      err.message);
	ck_assert_uint_eq(reloaded->limits_time, 5000);
	ck_assert_uint_eq(reloaded->store_readers, 3);
	ck_assert(pending[CONFIG_KEY_store_readers]);
	ck_assert(!pending[CONFIG_KEY_limits_time]);
	ck_assert(!pending[CONFIG_KEY_limits_idle_timeout]); /* the same value, written otherwise */
	ck_assert_ptr_eq(config_ref(reloaded), reloaded);
	config_unref(reloaded);
	config_unref(reloaded);
	config_unref(running);
}
END_TEST

/* ---- printing ---- */

static char *
printed(const struct config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	ck_assert(config != NULL ? config_print(config, out) : config_print_sample(out));
	fclose(out);
	return text;
}

START_TEST(what_is_printed_reads_back_as_the_same)
{
	const char *const sets[] = { "listen.unix=/a #b\"\\", "listen.hosts= x, y ",
				     "store.directory=/d\\e", "plugin.one.a= x#\"",
				     "plugin.two.a=2", "plugin.one.b=3", NULL };
	const struct config_sources sources = { NULL, NULL, sets };
	struct config_error err = { "" };
	struct config *config = NULL;

	ck_assert_msg(config_load(&sources, &config, &err), "%s", err.message);
	char *text = printed(config);
	ck_assert_ptr_nonnull(strstr(text, "\nunix = \"/a #b\\\"\\\\\" # --set\n"));
	ck_assert_ptr_nonnull(strstr(text, "\ntime = 30s # built-in\n"));
	struct config *again = load_ok(text);
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++)
		ck_assert_str_eq(config_text(again, (enum config_key)i),
				 config_text(config, (enum config_key)i));
	ck_assert_ptr_nonnull(
	    strstr(text, "\n\n[plugin.one]\na = \" x#\\\"\" # --set\nb = 3 # --set\n"));
	ck_assert_uint_eq(again->option_count, 3);
	ck_assert_str_eq(again->options[0].value, " x#\"");
	config_unref(again);
	config_unref(config);
	free(text);
}
END_TEST

static char *
read_source(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", top != NULL ? top : ".", name);
	FILE *file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s is not there; set top_srcdir", path);
	char *text = calloc(1, 1 << 18);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_lt(fread(text, 1, (1 << 18) - 1, file), (1 << 18) - 1);
	fclose(file);
	return text;
}

static void
write_source(const char *name, const char *text)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", getenv("top_srcdir"), name);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(the_sample_file_is_that_of_the_table)
{
	char *want = printed(NULL);

	if (getenv("UPDATE_SAMPLE") != NULL)
		write_source("etc/wasmedged.conf", want);
	char *text = read_source("etc/wasmedged.conf");
	ck_assert_msg(strcmp(text, want) == 0,
		      "etc/wasmedged.conf differs from daemon/config.def: run this test with "
		      "UPDATE_SAMPLE=1");
	struct config *config = load_ok(text);
	config_unref(config);
	/* Also with every comment sign before a key taken away, its defaults are what it says. */
	for (char *at = text; (at = strstr(at, "\n#")) != NULL; at++)
		if (at[2] != ' ' && at[2] != '\n')
			memmove(at + 1, at + 2, strlen(at + 2) + 1);
	config = load_ok(text);
	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		ck_assert_str_eq(config_text(config, (enum config_key)i),
				 config_row((enum config_key)i)->default_text);
		ck_assert_str_ne(config_origin(config, (enum config_key)i), "built-in");
	}
	config_unref(config);
	free(text);
	free(want);
}
END_TEST

/*
 * The page has for each key, in order and under its section, a line of the form
 *	.It Cm key No = Ar type Pq default
 */
START_TEST(the_manual_page_has_every_setting_and_no_other)
{
	char *page = read_source("man/wasmedged.conf.5");
	const char *at = page;
	const char *section = "";
	size_t items = 0;

	for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_row *row = config_row((enum config_key)i);
		char want[160];

		if (strcmp(section, row->section) != 0) {
			section = row->section;
			snprintf(want, sizeof want, "\n.Ss \\&[%s]\n", section);
			at = strstr(at, want);
			ck_assert_msg(at != NULL, "no section [%s] where it is expected", section);
		}
		snprintf(want, sizeof want, "\n.It Cm %s No = ", row->key);
		at = strstr(at, want);
		ck_assert_msg(at != NULL, "no [%s] %s where it is expected", section, row->key);
		const char *end = strchr(at + 1, '\n');
		snprintf(want, sizeof want, "Pq %s%s%s",
			 row->default_text[0] != '\0' ? "Li " : "none",
			 row->default_text[0] != '\0' ? row->default_text : "", "\n");
		ck_assert_msg(end != NULL && end - at > (long)strlen(want) &&
				  strncmp(end + 1 - strlen(want), want, strlen(want)) == 0,
			      "[%s] %s: the page gives another default than %s", section, row->key,
			      want);
		const char *restart = strstr(end, ".Em ( restart )");
		const char *next = strstr(end, "\n.It Cm ");
		bool says_restart = restart != NULL && (next == NULL || restart < next);
		ck_assert_msg(says_restart == row->needs_restart, "[%s] %s: needs a restart: %s",
			      section, row->key, row->needs_restart ? "yes" : "no");
	}
	for (at = page; (at = strstr(at, "\n.It Cm ")) != NULL; at++)
		items++;
	ck_assert_uint_eq(items, CONFIG_KEY_COUNT);
	free(page);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("daemon/config");
	TCase *tcase = tcase_create("values");

	tcase_add_loop_test(tcase, a_faulty_file_is_refused_with_its_place, 0,
			    sizeof refused_cases / sizeof refused_cases[0]);
	tcase_add_test(tcase, a_zero_byte_is_refused);
	tcase_add_test(tcase, values_of_every_type_are_read);
	tcase_add_test(tcase, every_default_lies_within_its_own_rules);
	tcase_add_loop_test(tcase, an_address_is_parsed_or_refused, 0,
			    sizeof address_cases / sizeof address_cases[0]);
	tcase_add_test(tcase, what_is_printed_reads_back_as_the_same);
	tcase_add_test(tcase, the_sample_file_is_that_of_the_table);
	tcase_add_test(tcase, the_manual_page_has_every_setting_and_no_other);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("sources");
	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_test(tcase, later_sources_win);
	tcase_add_test(tcase, options_of_plug_ins_are_kept_with_their_origins);
	tcase_add_loop_test(tcase, faulty_variables_and_options_are_refused, 0,
			    sizeof source_cases / sizeof source_cases[0]);
	tcase_add_test(tcase, a_file_that_cannot_be_read_is_refused);
	tcase_add_test(tcase, a_reload_is_all_or_nothing_and_keeps_what_needs_a_restart);
	suite_add_tcase(suite, tcase);
	return suite;
}
