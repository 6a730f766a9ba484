/*
 * daemon.c - putting the parts together, and taking them apart again.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>
#include "daemon/api.h"
#include "daemon/artifacts.h"
#include "daemon/clock.h"
#include "daemon/compile.h"
#include "daemon/feed.h"
#include "daemon/invocations.h"
#include "daemon/kv.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/models.h"
#include "daemon/operate.h"
#include "daemon/plugins.h"
#include "daemon/privileges.h"
#include "daemon/programs.h"
#include "daemon/server.h"
#include "vm/vm.h"

#define HELPERS 2
#define HELPERS_QUEUE 256
#define WORKER_SPIN_US 20
#define DRAIN_LOOK_MS 20
#define DRAIN_GRACE_MS 3000   /* cancelled guests have this long to end */
#define WRITER_SILENT_US 10000000
#define TRIM_MS 10000
#define TRIM_BYTES 16777216   /* freed memory worth giving back to the system */

/* --- parts -------------------------------------------------------------------------------- */

static bool
complain(const char *what, const char *reason)
{
	log_error(what, LOG_STR("reason", reason));
	return false;
}

static bool
start_engine(struct daemon *daemon, struct vm_linker **out_linker)
{
	struct vm_engine_config config;
	struct vm_error err;

	vm_engine_config_init(&config);
	config.limits.module_bytes_max = daemon->config->limits_module_bytes;
	config.stop_signal = daemon->stop_signal;
	if (vm_engine_new(&config, &daemon->engine, &err) != VM_OK ||
	    vm_linker_new(daemon->engine, out_linker, &err) != VM_OK)
		return complain("cannot start the engine", err.message);
	if (vm_wasi_define(*out_linker, &err) == VM_OK)
		return true;
	vm_linker_free(*out_linker);
	return complain("cannot define WASI", err.message);
}

/* Code of others: loaded once the daemon is who it will be. */
static bool
start_plugins(struct daemon *daemon)
{
	struct vm_error err;

	if (plugins_new(daemon->config, &daemon->plugins, &err) != VM_OK)
		return complain("cannot load the plug-ins", err.message);
	plugins_start(daemon->plugins, daemon->loop);
	return true;
}

/* On the store's writer thread. */
static void
on_health(void *arg, enum store_health health, const char *reason)
{
	(void)arg;
	if (health == STORE_HEALTHY)
		log_notice("the store takes changes again");
	else
		log_warning("the store takes no changes", LOG_STR("reason", reason));
}

static bool
start_store(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct store_options options = {
		.directory = config->store_directory,
		.free_space_floor_bytes = config->store_free_space_floor,
		.tag_history_max = config->store_tag_history,
		.module_bytes_max = config->limits_module_bytes,
		.readers = (unsigned)config->store_readers,
		.queue_length = (unsigned)config->store_queue_length,
		.check = config->store_check,
		.health_fn = on_health,
	};
	struct store_error err;

	if (store_open(&options, &daemon->store, &err) != STORE_OK)
		return complain("cannot open the store", err.message);
	daemon->models = models_new(daemon->store);
	return daemon->models != NULL ? true : complain("cannot start", "no memory");
}

static bool
load_auth(const struct config *config, struct auth_table **out_tokens,
          struct auth_peers **out_peers)
{
	struct auth_error err;

	if (!auth_table_load(config->auth_tokens_file, out_tokens, &err))
		return complain("cannot read the tokens", err.message);
	if (auth_peers_new(&config->auth_unix_users, &config->auth_unix_groups, out_peers, &err))
		return true;
	auth_table_free(*out_tokens);
	return complain("cannot tell who may use the Unix socket", err.message);
}

static bool
start_auth(struct daemon *daemon)
{
	if (!load_auth(daemon->config, &daemon->tokens, &daemon->peers))
		return false;
	daemon->limiter = auth_limiter_new(daemon->config->auth_failures_per_minute);
	daemon->anonymous = auth_anonymous();
	if (daemon->limiter != NULL && daemon->anonymous != NULL)
		return true;
	return complain("cannot start", "no memory");
}

static unsigned
worker_count(const struct config *config)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->workers_count > 0)
		return (unsigned)config->workers_count;
	return processors < 1 ? 1 : (unsigned)processors;
}

static bool
start_pools(struct daemon *daemon)
{
	struct jobpool_config workers = {
		.name = "worker",
		.thread_count = worker_count(daemon->config),
		.queue_max = (size_t)daemon->config->limits_queue_length,
		.spin_us = WORKER_SPIN_US,
		.signal_kept = daemon->stop_signal,
	};
	struct jobpool_config helpers = {
		.name = "helper",
		.thread_count = HELPERS,
		.queue_max = HELPERS_QUEUE,
	};

	struct jobpool_config operators = {
		.name = "operator",
		.thread_count = (unsigned)daemon->config->plugins_threads,
		.queue_max = (size_t)daemon->config->limits_queue_length,
	};

	daemon->workers = jobpool_new(&workers);
	daemon->helpers = daemon->workers == NULL ? NULL : jobpool_new(&helpers);
	daemon->operators = daemon->helpers == NULL ? NULL : jobpool_new(&operators);
	return daemon->operators != NULL ? true
	                                 : complain("cannot start the workers", strerror(errno));
}

static bool
start_server(struct daemon *daemon, struct server_app *app)
{
	struct server_options options = {
		.loop = daemon->loop,
		.config = daemon->config,
		.app = app,
	};

	*app = api_server_app;
	app->env = daemon;
	daemon->server = server_new(&options);
	return daemon->server != NULL ? true : complain("cannot start", "no memory");
}

/* --- listening ---------------------------------------------------------------------------- */

/* Sockets are opened early, while that is still allowed, and served when all else is there. */
struct open_socket {
	int fd;
	bool is_unix;
	char where[128];
};

struct open_sockets {
	size_t count;
	struct open_socket at[NOTIFY_LISTEN_MAX + 2];
};

static void
add_socket(struct open_sockets *sockets, int fd, bool is_unix, const char *where)
{
	struct open_socket *socket = &sockets->at[sockets->count++];

	socket->fd = fd;
	socket->is_unix = is_unix;
	snprintf(socket->where, sizeof socket->where, "%s", where);
}

static bool
open_unix(struct daemon *daemon, const struct privileges *to, struct open_sockets *sockets)
{
	const char *path = daemon->config->listen_unix;
	char message[LISTEN_MESSAGE_MAX];
	int fd = listen_unix(path, (mode_t)daemon->config->listen_unix_mode, message);

	if (fd < 0)
		return complain("cannot listen", message);
	add_socket(sockets, fd, true, path);
	daemon->unix_path = strdup(path);
	/* Whom its mode lets in is the group of the service, not root's. */
	if (to == NULL || geteuid() != 0 || lchown(path, to->uid, to->gid) == 0)
		return true;
	return complain("cannot give the Unix socket to its user", strerror(errno));
}

static bool
open_tcp(struct daemon *daemon, struct open_sockets *sockets)
{
	const char *address = daemon->config->listen_tcp;
	char message[LISTEN_MESSAGE_MAX];
	int fd = listen_tcp(address, message);

	if (fd < 0)
		return complain("cannot listen", message);
	add_socket(sockets, fd, false, address);
	if (daemon->config->auth_tcp == CONFIG_auth_tcp_NONE)
		log_warning("anyone who can connect to the TCP address may do anything",
		            LOG_STR("at", address));
	else if (auth_table_count(daemon->tokens) == 0)
		log_warning("no token is known, so nobody can use the TCP address; make one with "
		            "wasmedged --new-token",
		            LOG_STR("at", address));
	return true;
}

/* Those of the service manager. */
static bool
adopt_sockets(struct open_sockets *sockets, bool *out_has_unix, bool *out_has_tcp)
{
	struct notify_listener given[NOTIFY_LISTEN_MAX];
	char message[LISTEN_MESSAGE_MAX];
	bool is_unix;

	int count = notify_listeners(given, message, sizeof message);
	if (count < 0)
		return complain("cannot use the sockets of the service manager", message);
	for (int i = 0; i < count; i++) {
		if (!listen_adopt(given[i].fd, &is_unix))
			return complain("cannot use a socket of the service manager",
			                strerror(errno));
		add_socket(sockets, given[i].fd, is_unix, given[i].name);
		*(is_unix ? out_has_unix : out_has_tcp) = true;
	}
	return true;
}

/* Sockets of the service manager take the place of those that the settings name. */
static bool
open_sockets(struct daemon *daemon, const struct privileges *to, struct open_sockets *sockets)
{
	const struct config *config = daemon->config;
	bool has_unix = false;
	bool has_tcp = false;

	if (!adopt_sockets(sockets, &has_unix, &has_tcp))
		return false;
	if (!has_unix && config->listen_unix[0] != '\0' && !open_unix(daemon, to, sockets))
		return false;
	if (!has_tcp && config->listen_tcp[0] != '\0' && !open_tcp(daemon, sockets))
		return false;
	return sockets->count > 0 ? true
	                          : complain("nowhere to listen", "set listen.unix or listen.tcp");
}

static bool
serve_all(struct daemon *daemon, struct open_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++) {
		struct open_socket *socket = &sockets->at[i];
		int fd = socket->fd;

		socket->fd = -1; /* the server's */
		if (!server_listen(daemon->server, fd, socket->is_unix))
			return complain("cannot serve", strerror(errno));
		log_info("listening", LOG_STR("at", socket->where));
	}
	return true;
}

static void
close_sockets(struct open_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->at[i].fd >= 0)
			close(sockets->at[i].fd);
}

/* --- privileges --------------------------------------------------------------------------- */

/* Become the user that the settings name. */
static bool
become(const struct privileges *to, const struct config *config)
{
	char message[PRIVILEGES_MESSAGE_MAX];

	if (!privileges_make_folder(to, config->store_directory, message) ||
	    !privileges_drop(to, message) ||
	    !privileges_may_write(config->store_directory, message))
		return complain("cannot run as the user of the service", message);
	log_info("running as another user", LOG_UINT("uid", to->uid), LOG_UINT("gid", to->gid));
	return true;
}

/* What only the user who started the daemon may do; from its return on it is who it will be. */
static bool
start_privileged(struct daemon *daemon, struct open_sockets *sockets)
{
	const struct config *config = daemon->config;
	bool stays = config->service_user[0] == '\0';
	char message[PRIVILEGES_MESSAGE_MAX];
	struct privileges to;

	if (!stays && !privileges_find(config->service_user, config->service_group, &to, message))
		return complain("cannot run as the user of the service", message);
	if (!start_auth(daemon) || !open_sockets(daemon, stays ? NULL : &to, sockets))
		return false;
	if (!stays)
		return become(&to, config);
	if (geteuid() == 0 && getenv("INVOCATION_ID") == NULL)
		log_warning("running as root; set service.user, any user is enough for wasmedged");
	return true;
}

/* --- draining ----------------------------------------------------------------------------- */

/*
 * Looked at until nothing is left to do. When the time is up, what runs is cancelled; guests end
 * within milliseconds then, but nobody waits for one forever.
 */
static void
look_at_drain(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	uint64_t time_ms = uv_now(daemon->loop) - daemon->drain_began_ms;
	uint64_t limit_ms = daemon->is_hurried ? 0 : daemon->config->limits_drain_timeout;

	if (server_request_count(daemon->server) == 0 &&
	    invocations_active_count(daemon->invocations) == 0) {
		uv_stop(daemon->loop);
		return;
	}
	if (time_ms < limit_ms) {
		if (time_ms % 1000 < DRAIN_LOOK_MS)
			notify_extend_timeout(&daemon->notify, 5000000);
		return;
	}
	invocations_cancel_all(daemon->invocations);
	operations_cancel_all(daemon->operations);
	if (time_ms > limit_ms + DRAIN_GRACE_MS)
		uv_stop(daemon->loop);
}

static void
drain(struct daemon *daemon)
{
	if (daemon->phase == DAEMON_DRAINING) {
		/* Asked twice: somebody is in a hurry. */
		daemon->is_hurried = true;
		daemon->drain_began_ms = uv_now(daemon->loop);
		return;
	}
	daemon->phase = DAEMON_DRAINING;
	daemon->drain_began_ms = uv_now(daemon->loop);
	log_notice("draining", LOG_UINT("requests", server_request_count(daemon->server)),
	           LOG_UINT("invocations", invocations_active_count(daemon->invocations)));
	notify_stopping(&daemon->notify, "draining");
	compiler_stop(daemon->compiler);
	feed_close(daemon->feed);
	server_quiesce(daemon->server);
	uv_timer_start(&daemon->drain_timer, look_at_drain, 0, DRAIN_LOOK_MS);
}

/* --- reloading ---------------------------------------------------------------------------- */

static void
set_log(const struct config *config)
{
	static const enum log_level levels[] = { LEVEL_ERROR, LEVEL_WARNING, LEVEL_NOTICE,
		                                 LEVEL_INFO, LEVEL_DEBUG };
	unsigned level = config->log_level - CONFIG_log_level_ERROR;

	log_configure(levels[level], config->log_format == CONFIG_log_format_JSON
	                                 ? LOG_FORMAT_JSON
	                                 : LOG_FORMAT_LOGFMT);
}

static void
take_settings(struct daemon *daemon, struct config *config, struct auth_table *tokens,
              struct auth_peers *peers)
{
	config_unref(daemon->config);
	auth_table_free(daemon->tokens);
	auth_peers_free(daemon->peers);
	daemon->config = config;
	daemon->tokens = tokens;
	daemon->peers = peers;
	server_set_config(daemon->server, config);
	store_set_free_space_floor(daemon->store, config->store_free_space_floor);
	store_set_tag_history_max(daemon->store, config->store_tag_history);
	auth_limiter_set_rate(daemon->limiter, config->auth_failures_per_minute);
	set_log(config);
	programs_trim(daemon->programs);
	artifacts_configure(daemon->artifacts);
	compiler_configure(daemon->compiler);
	plugins_configure(daemon->plugins, config);
}

static void
log_pending(const bool pending[CONFIG_KEY_COUNT])
{
	for (int i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_row *row = config_row((enum config_key)i);
		if (pending[i])
			log_notice("a changed setting takes effect at the next start",
			           LOG_STR("section", row->section), LOG_STR("key", row->key));
	}
}

/* All or nothing: with any fault everything stays as it was. */
static void
reload(struct daemon *daemon)
{
	bool pending[CONFIG_KEY_COUNT] = { false };
	struct config_error err;
	struct config *config;
	struct auth_table *tokens;
	struct auth_peers *peers;

	notify_reloading(&daemon->notify);
	if (!config_reload(daemon->config, daemon->sources, &config, pending, &err)) {
		log_error("the settings are as before", LOG_STR("reason", err.message));
	} else if (!load_auth(config, &tokens, &peers)) {
		config_unref(config);
	} else {
		take_settings(daemon, config, tokens, peers);
		log_pending(pending);
		log_notice("settings reloaded");
	}
	notify_ready(&daemon->notify, "serving");
}

/* --- signals and the watchdog ------------------------------------------------------------- */

static void
on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	if (number != SIGHUP)
		drain(daemon);
	else if (daemon->phase == DAEMON_SERVING)
		reload(daemon);
}

static void
start_signals(struct daemon *daemon)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		uv_signal_init(daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		uv_signal_start(&daemon->signals[i], on_signal, numbers[i]);
	}
}

/* The loop answers by being here; the writer by having been seen. */
static void
feed_watchdog(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	if (store_writer_seen_us(daemon->store) + WRITER_SILENT_US > clock_monotonic_us())
		notify_watchdog(&daemon->notify);
}

/* A burst of connections or uploads leaves memory that the allocator would keep for good. */
static void
trim_memory(uv_timer_t *timer)
{
	(void)timer;
	if (mallinfo2().fordblks > TRIM_BYTES)
		malloc_trim(0);
}

static void
start_timers(struct daemon *daemon)
{
	uint64_t period_ms = daemon->notify.watchdog_us / 2000;

	uv_timer_init(daemon->loop, &daemon->drain_timer);
	uv_timer_init(daemon->loop, &daemon->watchdog_timer);
	uv_timer_init(daemon->loop, &daemon->trim_timer);
	daemon->drain_timer.data = daemon->watchdog_timer.data = daemon;
	uv_timer_start(&daemon->trim_timer, trim_memory, TRIM_MS, TRIM_MS);
	if (period_ms > 0)
		uv_timer_start(&daemon->watchdog_timer, feed_watchdog, 0, period_ms);
}

/* --- from start to end -------------------------------------------------------------------- */

static bool
start_metrics(const struct daemon *daemon)
{
	/* One more than there are routes: for requests that have none. */
	static const char *names[RPC_ROUTE_COUNT + 1];
	size_t plugin_count;
	const char *const *plugins = plugins_names(daemon->plugins, &plugin_count);

	for (int i = 0; i < RPC_ROUTE_COUNT; i++)
		names[i] = rpc_route((enum rpc_route_id)i)->name;
	names[RPC_ROUTE_COUNT] = "NONE";
	return metrics_init(names, RPC_ROUTE_COUNT + 1, plugins, plugin_count, vm_version())
	           ? true
	           : complain("cannot start", "no memory");
}

static bool
start_registries(struct daemon *daemon, struct vm_linker *linker)
{
	daemon->programs = programs_new(daemon, linker);
	if (daemon->programs == NULL)
		vm_linker_free(linker);
	daemon->invocations = invocations_new(daemon);
	daemon->operations = operations_new(daemon);
	daemon->feed = feed_new(&daemon->mailbox);
	daemon->compiler = compiler_new(daemon);
	return daemon->programs != NULL && daemon->invocations != NULL &&
	               daemon->operations != NULL && daemon->feed != NULL &&
	               daemon->compiler != NULL
	           ? true
	           : complain("cannot start", "no memory");
}

/* In the folder of the store, which has to be there. */
static bool
start_artifacts(struct daemon *daemon)
{
	daemon->artifacts = artifacts_new(daemon);
	return daemon->artifacts != NULL;
}

/* What is wrong with the file is no reason not to start; requests that need it say it again. */
static bool
start_kv(struct daemon *daemon)
{
	struct wasmedge_storage *storage;
	struct wasmedge_storage_error err;

	daemon->kv = kv_new(daemon->config);
	if (daemon->kv == NULL)
		return complain("cannot start the threads of the storage", strerror(errno));
	if (kv_open(daemon->kv, &storage, &err) != WASMEDGE_STORAGE_OK)
		(void)complain("cannot open the values under keys", err.message);
	return true;
}

static bool
start(struct daemon *daemon, struct server_app *app, struct open_sockets *sockets)
{
	struct vm_linker *linker;

	if (getrandom(daemon->cursor_key, sizeof daemon->cursor_key, 0) !=
	    (ssize_t)sizeof daemon->cursor_key)
		return complain("cannot start", "the system has no random numbers");
	if (mailbox_init(&daemon->mailbox, daemon->loop) != 0)
		return complain("cannot start", "no event descriptor");
	start_timers(daemon);
	start_signals(daemon);
	return start_privileged(daemon, sockets) && start_plugins(daemon) &&
	       start_metrics(daemon) &&
	       start_engine(daemon, &linker) && start_registries(daemon, linker) &&
	       start_store(daemon) && start_artifacts(daemon) && start_kv(daemon) &&
	       start_pools(daemon) &&
	       start_server(daemon, app) &&
	       serve_all(daemon, sockets);
}

static void
close_handles(struct daemon *daemon)
{
	for (size_t i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++)
		if (daemon->signals[i].data != NULL)
			uv_close((uv_handle_t *)&daemon->signals[i], NULL);
	if (daemon->drain_timer.data != NULL) {
		uv_close((uv_handle_t *)&daemon->drain_timer, NULL);
		uv_close((uv_handle_t *)&daemon->watchdog_timer, NULL);
		uv_close((uv_handle_t *)&daemon->trim_timer, NULL);
	}
	if (daemon->mailbox.async.data != NULL)
		mailbox_close(&daemon->mailbox);
}

/*
 * Take everything apart, in an order in which nobody talks to who is gone: guests first, then
 * the store, which folds its log into the database; its last answers are letters.
 */
static void
stop(struct daemon *daemon)
{
	compiler_stop(daemon->compiler);
	jobpool_free(daemon->workers);
	jobpool_free(daemon->operators);
	plugins_stop(daemon->plugins);
	store_close(daemon->store);
	jobpool_free(daemon->helpers);
	kv_stop(daemon->kv);
	if (daemon->artifacts != NULL)
		programs_tell_used(daemon->programs);
	artifacts_stop(daemon->artifacts);
	server_close(daemon->server);
	close_handles(daemon);
	invocations_free(daemon->invocations);
	models_free(daemon->models);
	operations_free(daemon->operations);
	programs_free(daemon->programs);
	uv_run(daemon->loop, UV_RUN_DEFAULT); /* until all handles are closed */
	compiler_free(daemon->compiler);
	artifacts_free(daemon->artifacts);
	kv_free(daemon->kv);
	feed_free(daemon->feed);
	plugins_free(daemon->plugins);
	vm_engine_unref(daemon->engine);
	auth_table_free(daemon->tokens);
	auth_peers_free(daemon->peers);
	auth_limiter_free(daemon->limiter);
	auth_principal_unref(daemon->anonymous);
	metrics_free();
}

static void
remove_socket(struct daemon *daemon)
{
	if (daemon->unix_path != NULL)
		unlink(daemon->unix_path);
	free(daemon->unix_path);
}

/* Each connection is a descriptor: take as many as the system lets us have. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* libuv takes the signals that it watches; SIGPIPE is of no use to a server. */
static void
set_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN };

	sigemptyset(&action.sa_mask);
	sigaction(SIGPIPE, &action, NULL);
}

int
daemon_run(struct config *config, const struct config_sources *sources,
           const struct notify *notify)
{
	struct daemon daemon = {
		.loop = uv_default_loop(),
		.config = config_ref(config),
		.sources = sources,
		.notify = *notify,
		.stop_signal = SIGRTMIN + 5,
	};
	struct open_sockets sockets = { 0 };
	struct server_app app;

	set_signals();
	raise_descriptor_limit();
	set_log(config);
	json_object_seed(0);
	store_set_up();
	bool has_started = start(&daemon, &app, &sockets);
	if (has_started) {
		daemon.phase = DAEMON_SERVING;
		notify_ready(&daemon.notify, "serving");
		log_notice("ready", LOG_STR("version", vm_version()));
		uv_run(daemon.loop, UV_RUN_DEFAULT);
		remove_socket(&daemon);
		if (server_request_count(daemon.server) > 0 ||
		    invocations_active_count(daemon.invocations) > 0) {
			/* Something does not let go. The store is what matters. */
			log_warning("stopped with requests unanswered");
			store_close(daemon.store);
			_exit(EXIT_SUCCESS);
		}
	} else {
		remove_socket(&daemon);
		close_sockets(&sockets);
	}
	stop(&daemon);
	log_notice("stopped");
	config_unref(daemon.config);
	notify_close(&daemon.notify);
	uv_loop_close(daemon.loop);
	return has_started ? EXIT_SUCCESS : EXIT_FAILURE;
}
