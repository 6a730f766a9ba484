/*
 * test_guests.c - runs the guest programs of guests/ the way an embedder would.
 *
 *     test_guests [FOLDER]    of the compiled guests; default $top_builddir/tests/wasi/guests
 *
 * The last line is "N passed, N failed, N skipped": all are skipped when there was no compiler
 * for the guests.
 */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "tests/support/tier.h"
#include "vm/vm.h"
#include "vm/wasi/beneath.h"

/* A stop has to be felt within this time. */
#define STOP_WITHIN_MS 100

enum tree { NONE, HOST, WALK, MEMORY };
enum stop { NOT, BY_THREAD, BY_DEADLINE };

static const struct guest_case {
	const char *guest;
	const char *arg; /* or NULL */
	enum tree tree;
	bool read_only;
	enum stop stop;
	const char *output;
} cases[] = {
	{ "files", NULL, HOST, false, NOT, "files done\n" },
	{ "files", NULL, WALK, false, NOT, "files done\n" },
	{ "files", NULL, MEMORY, false, NOT, "files done\n" },
	{ "readonly", NULL, HOST, true, NOT, "nothing changed\n" },
	{ "readonly", NULL, WALK, true, NOT, "nothing changed\n" },
	{ "readonly", NULL, MEMORY, true, NOT, "nothing changed\n" },
	{ "escape", NULL, HOST, false, NOT, "stayed inside\n" },
	{ "escape", NULL, WALK, false, NOT, "stayed inside\n" },
	{ "unstable", NULL, HOST, false, NOT, "unstable done\n" },
	{ "unstable", NULL, MEMORY, false, NOT, "unstable done\n" },
	{ "block", "read", NONE, false, BY_THREAD, "" },
	{ "block", "poll", NONE, false, BY_THREAD, "" },
	{ "block", "sleep", NONE, false, BY_THREAD, "" },
	{ "block", "spin", NONE, false, BY_THREAD, "" },
	{ "block", "read", NONE, false, BY_DEADLINE, "" },
	{ "block", "sleep", NONE, false, BY_DEADLINE, "" },
	{ "echo", NULL, NONE, false, NOT, "echoed\n" },
};

#define CASE_COUNT (sizeof cases / sizeof *cases)

/* Every case runs on each. */
static const struct tier tiers[] = {
	{ .is_native = false },
	{ .is_native = true, .level = VM_COMPILE_FAST },
	{ .is_native = true, .level = VM_COMPILE_BEST, .is_metered = true },
};

#define TIER_COUNT (sizeof tiers / sizeof *tiers)

/* Everything a case needs; freed in one place. */
struct world {
	const struct guest_case *c;
	const struct tier *tier;
	char base[32]; /* folder with root/, outside/ and secret */
	struct vm_engine *engine;
	struct vm_store *store;
	struct vm_linker *linker;
	struct vm_module *module;
	struct vm_wasi_tree *tree;
	int input[2]; /* a pipe that nobody writes to */
	int listener;
	struct sockaddr_un address;
	socklen_t address_len;
	char output[256];
	size_t output_len;
	uint64_t stop_asked_ns;
	char echoed[8];
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
die(const char *what)
{
	perror(what);
	exit(2);
}

/* --- folders ------------------------------------------------------------------------------ */

static const char *
in_base(const struct world *world, const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", world->base, name);
	return path;
}

static void
host_file(const struct world *world, const char *name, const char *text)
{
	FILE *file = fopen(in_base(world, name), "w");

	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		die(name);
}

static bool
host_file_is(const struct world *world, const char *name, const char *text)
{
	char buf[64] = "";
	FILE *file = fopen(in_base(world, name), "r");

	if (file == NULL)
		return false;
	size_t len = fread(buf, 1, sizeof buf - 1, file);
	fclose(file);
	return len == strlen(text) && memcmp(buf, text, len) == 0;
}

/* What the guests expect to find, and what they must not reach. */
static void
make_folders(struct world *world)
{
	char secret[64];

	snprintf(world->base, sizeof world->base, "/tmp/wasi-guest-XXXXXX");
	if (mkdtemp(world->base) == NULL)
		die("folder");
	if (mkdir(in_base(world, "root"), 0755) != 0 ||
	    mkdir(in_base(world, "root/in"), 0755) != 0 ||
	    mkdir(in_base(world, "outside"), 0755) != 0)
		die("folder");
	host_file(world, "root/in/text", "hello");
	host_file(world, "secret", "secret");
	host_file(world, "outside/file", "outside");
	snprintf(secret, sizeof secret, "%s/secret", world->base);
	if (symlink("../secret", in_base(world, "root/up")) != 0 ||
	    symlink("../outside", in_base(world, "root/up_dir")) != 0 ||
	    symlink(secret, in_base(world, "root/absolute")) != 0 ||
	    symlink("/proc", in_base(world, "root/proc")) != 0)
		die("link");
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* --- a run -------------------------------------------------------------------------------- */

static enum vm_status
write_output(void *env, const void *data, size_t len, struct vm_error *err)
{
	struct world *world = env;

	if (len > sizeof world->output - 1 - world->output_len)
		return vm_error_trap(err, VM_TRAP_OUTPUT_LIMIT, "output limit");
	memcpy(world->output + world->output_len, data, len);
	world->output_len += len;
	return VM_OK;
}

static enum vm_status
load(struct world *world, const char *folder, struct vm_error *err)
{
	char path[1024];
	static uint8_t bytes[1 << 20];
	enum vm_status st;

	snprintf(path, sizeof path, "%s/%s.wasm", folder, world->c->guest);
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		die(path);
	size_t len = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	st = vm_engine_new(NULL, &world->engine, err);
	if (st == VM_OK)
		st = tier_store_new(world->tier, world->engine, &world->store, err);
	if (st == VM_OK)
		st = vm_linker_new(world->engine, &world->linker, err);
	if (st == VM_OK)
		st = vm_module_load(world->engine, bytes, len, &world->module, err);
	if (st == VM_OK)
		st = tier_prepare(world->tier, world->module, err);
	return st;
}

static enum vm_status
attach(struct world *world, struct vm_error *err)
{
	const struct guest_case *c = world->c;
	const struct vm_str args[] = { VM_STR("guest"),
		                       { c->arg, c->arg == NULL ? 0 : strlen(c->arg) } };
	char root[64];
	struct vm_wasi_preopen preopen = { .guest_path = VM_STR("/"), .read_only = c->read_only };
	struct vm_wasi_config config = {
		.args = args,
		.arg_count = c->arg == NULL ? 1 : 2,
		.preopens = &preopen,
		.preopen_count = c->tree != NONE,
		.stdin_stream = { .kind = VM_WASI_FD, .fd = world->input[0] },
		.stdout_stream = { .kind = VM_WASI_WRITER, .write = write_output, .env = world },
		.stderr_stream = { .kind = VM_WASI_FD, .fd = 2 },
	};
	enum vm_status st = VM_OK;

	wasi_beneath_walk_only = c->tree == WALK;
	snprintf(root, sizeof root, "%s/root", world->base);
	if (c->tree == MEMORY) {
		st = vm_wasi_tree_new(1 << 20, &world->tree, err);
		if (st == VM_OK)
			st = vm_wasi_tree_put(world->tree, VM_STR("/in/text"), "hello", 5, err);
		preopen.tree = world->tree;
	} else {
		preopen.host_path = root;
	}
	if (strcmp(c->guest, "echo") == 0) {
		config.listen_fds = &world->listener;
		config.listen_fd_count = 1;
	}
	if (st == VM_OK)
		st = vm_wasi_define(world->linker, err);
	if (st == VM_OK)
		st = vm_wasi_attach(world->store, &config, err);
	return st;
}

static enum vm_status
call_start(struct world *world, struct vm_error *err)
{
	struct vm_instance *instance;
	struct vm_extern start;
	enum vm_status st =
	    vm_linker_instantiate(world->linker, world->store, world->module, &instance, err);

	if (st == VM_OK)
		st = vm_instance_export(instance, VM_STR("_start"), &start, err);
	if (st == VM_OK && world->c->stop == BY_DEADLINE) {
		world->stop_asked_ns = now_ns() + 50000000;
		st = vm_store_set_deadline(world->store, world->stop_asked_ns, err);
	}
	return st != VM_OK ? st : vm_func_call(start.of.func, NULL, 0, NULL, 0, err);
}

static void *
stop_soon(void *env)
{
	struct world *world = env;
	const struct timespec delay = { .tv_nsec = 50000000 };

	nanosleep(&delay, NULL);
	world->stop_asked_ns = now_ns();
	vm_store_stop(world->store, VM_TRAP_CANCELLED);
	return NULL;
}

/* The other side of echo.c. */
static void *
talk(void *env)
{
	struct world *world = env;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ssize_t n;
	size_t len = 0;

	if (connect(fd, (struct sockaddr *)&world->address, world->address_len) != 0 ||
	    write(fd, "hello", 5) != 5 || shutdown(fd, SHUT_WR) != 0)
		die("client");
	while ((n = read(fd, world->echoed + len, sizeof world->echoed - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	return NULL;
}

static void
listen_somewhere(struct world *world)
{
	world->address.sun_family = AF_UNIX;
	world->address_len = sizeof world->address;
	world->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(world->listener, (struct sockaddr *)&world->address, sizeof(sa_family_t)) != 0 ||
	    listen(world->listener, 1) != 0 ||
	    getsockname(world->listener, (struct sockaddr *)&world->address, &world->address_len) !=
	        0)
		die("listener");
}

/* --- judging ------------------------------------------------------------------------------ */

struct found {
	bool text;
	bool log;
};

static enum vm_status
visit(void *env, struct vm_str path, const void *data, size_t len, struct vm_error *err)
{
	struct found *found = env;

	(void)err;
	if (strcmp(path.data, "/out/text") == 0)
		found->text = len == 5 && memcmp(data, "HELLO", 5) == 0;
	if (strcmp(path.data, "/out/log") == 0)
		found->log = len == 8;
	return VM_OK;
}

/* What the guest left behind; NULL when that is right. */
static const char *
check_traces(const struct world *world)
{
	const struct guest_case *c = world->c;
	struct found found = { false, false };

	if (!host_file_is(world, "secret", "secret") ||
	    !host_file_is(world, "outside/file", "outside") ||
	    access(in_base(world, "made"), F_OK) == 0 ||
	    access(in_base(world, "outside/made"), F_OK) == 0)
		return "something outside of the root has changed";
	if (strcmp(c->guest, "echo") == 0 && strcmp(world->echoed, "hello") != 0)
		return "nothing came back";
	if (strcmp(c->guest, "files") != 0)
		return NULL;
	if (c->tree != MEMORY)
		return host_file_is(world, "root/out/text", "HELLO") ? NULL : "no /out/text";
	if (vm_wasi_tree_collect(world->tree, VM_STR("/out/*"), visit, &found, NULL) != VM_OK ||
	    !found.text || !found.log)
		return "the tree lacks what the guest wrote";
	return NULL;
}

static const char *
judge(const struct world *world, enum vm_status st, const struct vm_error *err, uint64_t end_ns)
{
	static char why[512];
	const struct guest_case *c = world->c;

	if (c->stop != NOT) {
		enum vm_trap want = c->stop == BY_THREAD ? VM_TRAP_CANCELLED : VM_TRAP_DEADLINE;
		if (st != VM_TRAP || err->trap != want)
			return "was not stopped";
		if (end_ns > world->stop_asked_ns + STOP_WITHIN_MS * UINT64_C(1000000))
			return "was stopped too late";
		return NULL;
	}
	if (st != VM_OK && !(st == VM_EXIT && err->exit_code == 0)) {
		snprintf(why, sizeof why, "%s, exit code %d: %s", vm_status_name(st),
		         st == VM_EXIT ? err->exit_code : 0, st == VM_EXIT ? "" : err->message);
		return why;
	}
	if (strcmp(world->output, c->output) != 0)
		return "the output differs";
	return check_traces(world);
}

static bool
run_case(const struct guest_case *c, const struct tier *tier, const char *folder)
{
	static const char *const trees[] = { "no folder", "a host folder",
		                             "a host folder without openat2", "memory" };
	char text[TIER_TEXT_MAX];
	struct world world = { .c = c, .tier = tier };
	struct vm_error err = { .message = "" };
	pthread_t thread;
	const bool echoes = strcmp(c->guest, "echo") == 0;
	const bool threaded = echoes || c->stop == BY_THREAD;

	make_folders(&world);
	listen_somewhere(&world);
	if (pipe(world.input) != 0)
		die("pipe");
	enum vm_status st = load(&world, folder, &err);
	if (st == VM_OK)
		st = attach(&world, &err);
	if (threaded && pthread_create(&thread, NULL, echoes ? talk : stop_soon, &world) != 0)
		die("thread");
	if (st == VM_OK)
		st = call_start(&world, &err);
	uint64_t end = now_ns();
	if (threaded)
		pthread_join(thread, NULL);
	const char *wrong = judge(&world, st, &err, end);
	if (wrong != NULL)
		printf("FAILED %s %s over %s%s (%s): %s\n", c->guest, c->arg == NULL ? "" : c->arg,
		       trees[c->tree], c->read_only ? ", read-only" : "",
		       tier_text(tier, text, sizeof text), wrong);
	vm_store_free(world.store);
	vm_wasi_tree_free(world.tree);
	vm_module_unref(world.module);
	vm_linker_free(world.linker);
	vm_engine_unref(world.engine);
	close(world.input[0]);
	close(world.input[1]);
	close(world.listener);
	nftw(world.base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return wrong == NULL;
}

int
main(int argc, char **argv)
{
	const char *build = getenv("top_builddir");
	char folder[512];
	unsigned passed = 0, failed = 0, skipped = 0;

	snprintf(folder, sizeof folder, "%s/tests/wasi/guests", build == NULL ? "." : build);
	if (argc > 1)
		snprintf(folder, sizeof folder, "%s", argv[1]);
	if (access(folder, R_OK) != 0) {
		printf("no compiled guests in %s\n0 passed, 0 failed, %zu skipped\n", folder,
		       CASE_COUNT);
		return 0;
	}
	for (size_t t = 0; t < TIER_COUNT; t++) {
		struct vm_error err;

		if (!tier_is_available(&tiers[t], &err)) {
			printf("no native code here: %s\n", err.message);
			skipped += CASE_COUNT;
			continue;
		}
		for (size_t i = 0; i < CASE_COUNT; i++) {
			bool ok = run_case(&cases[i], &tiers[t], folder);

			passed += ok;
			failed += !ok;
		}
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed == 0 ? 0 : 1;
}
