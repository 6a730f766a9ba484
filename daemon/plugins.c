#include "daemon/plugins.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/clock.h"
#include "daemon/kv.h"
#include "daemon/log.h"

#define TICK_MS 1000
#define REASON_MAX VM_ERROR_MESSAGE_MAX
/* How long a reason is remembered; that all is well, for ever. */
#define REASON_US UINT64_C(10000000)

/* Plug-ins that are loaded only when the settings name them. */
static const char *const reserved[] = { "wasmedge_process" };
#define RESERVED_COUNT (sizeof reserved / sizeof reserved[0])

/* What a process of the sandbox said of a plug-in. */
struct verdict {
	bool is_known;
	uint64_t asked_us; /* CLOCK_MONOTONIC */
	char reason[REASON_MAX];
};

struct plugins {
	struct vm_plugins *set;
	struct sandbox *sandbox;
	const char **names;
	size_t count;
	uv_timer_t *timer;
	pthread_mutex_t lock;
	struct verdict *verdicts; /* guarded by lock */
};

/* --- what is loaded ------------------------------------------------------------------------- */

const char *
plugins_path(const struct config *config)
{
	const char *path = config->plugins_path;

	if (path[0] == '\0')
		path = secure_getenv("WASMEDGE_PLUGIN_PATH");
	return path != NULL ? path : PLUGINDIR;
}

static bool
has_word(const struct config_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], word) == 0)
			return true;
	return false;
}

static void
on_message(void *env, const char *plugin, enum vm_plugin_level level, const char *text)
{
	static const enum log_level levels[] = {
		[VM_PLUGIN_DEBUG] = LEVEL_DEBUG,
		[VM_PLUGIN_INFO] = LEVEL_INFO,
		[VM_PLUGIN_WARNING] = LEVEL_WARNING,
		[VM_PLUGIN_ERROR] = LEVEL_ERROR,
	};

	(void)env;
	log_write(levels[level], "a plug-in says",
	          LOG_FIELDS(LOG_STR("plugin", plugin), LOG_STR("text", text)));
}

/* For a guest, or for nobody: then the setting's time is all there is. */
static enum vm_status
operate_elsewhere(void *env, struct vm_store *store, const char *plugin, const char *operation,
                  const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                  struct vm_error *err)
{
	struct plugins *plugins = env;
	const struct sandbox_ask ask = { .plugin = plugin, .operation = operation,
		                         .request = request, .store = store, .stop_fd = -1 };
	enum sandbox_end end;

	return sandbox_operate(plugins->sandbox, &ask, reply, &end, err);
}

/* What is not to be loaded; out has room for all. */
static size_t
list_forbidden(const struct config *config, const char **out)
{
	size_t count = 0;

	for (size_t i = 0; i < config->plugins_forbidden.count; i++)
		out[count++] = config->plugins_forbidden.items[i];
	for (size_t i = 0; i < RESERVED_COUNT; i++)
		if (!has_word(&config->plugins_allowed, reserved[i]))
			out[count++] = reserved[i];
	return count;
}

/* What the plug-in that keeps values is told where nobody says otherwise: the daemon's own file. */
#define KV_SETTINGS 2

static bool
set_kv(const struct config *config, char **path, char bytes_max[24],
       struct vm_plugins_setting settings[KV_SETTINGS])
{
	*path = kv_path(config);
	snprintf(bytes_max, 24, "%llu", (unsigned long long)config->limits_value_bytes);
	settings[0] = (struct vm_plugins_setting){ "wasmedge_storage", "path", *path, NULL, true };
	settings[1] = (struct vm_plugins_setting){ "wasmedge_storage", "value_bytes_max", bytes_max,
		                                   NULL, true };
	return *path != NULL;
}

/* plugins NULL: only to see whether it goes well. */
static enum vm_status
load(const struct config *config, struct plugins *plugins, struct vm_plugins **out,
     struct vm_error *err)
{
	const char **forbidden =
	    calloc(config->plugins_forbidden.count + RESERVED_COUNT, sizeof *forbidden);
	struct vm_plugins_setting *settings =
	    calloc(config->option_count + KV_SETTINGS, sizeof *settings);
	enum vm_status status = VM_E_NOMEM;
	char bytes_max[24];
	char *path = NULL;

	if (forbidden == NULL || settings == NULL ||
	    !set_kv(config, &path, bytes_max, settings)) {
		status = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "no memory for the plug-ins");
		goto done;
	}
	for (size_t i = 0; i < config->option_count; i++) {
		const struct config_option *option = &config->options[i];
		settings[KV_SETTINGS + i] = (struct vm_plugins_setting){
			option->plugin, option->name, option->value, option->origin, false
		};
	}
	const struct vm_plugins_config load_config = {
		.path = config->plugins_enabled ? plugins_path(config) : "",
		.forbidden = forbidden,
		.forbidden_count = list_forbidden(config, forbidden),
		.settings = settings,
		.setting_count = config->plugins_enabled ? KV_SETTINGS + config->option_count : 0,
		.log = plugins != NULL ? on_message : NULL,
		.elsewhere = operate_elsewhere,
		.elsewhere_env = plugins,
	};
	status = vm_plugins_load(&load_config, out, err);
done:
	free(path);
	free(forbidden);
	free(settings);
	return status;
}

static bool
is_reserved(const char *name)
{
	for (size_t i = 0; i < RESERVED_COUNT; i++)
		if (strcmp(reserved[i], name) == 0)
			return true;
	return false;
}

static void
say_what_is_there(const struct plugins *plugins, const struct config *config)
{
	struct vm_plugins_info info;

	for (uint32_t i = 0; i < plugins->count; i++) {
		vm_plugins_look(plugins->set, i, &info);
		if (info.plugin != NULL)
			log_info("plug-in loaded", LOG_STR("plugin", info.name),
			         LOG_STR("version", info.plugin->version),
			         LOG_STR("file", info.path));
		else
			log_write(is_reserved(info.name) ||
			                  has_word(&config->plugins_forbidden, info.name)
			              ? LEVEL_INFO
			              : LEVEL_WARNING,
			          "plug-in not loaded",
			          LOG_FIELDS(LOG_STR("plugin", info.name),
			                     LOG_STR("file", info.path),
			                     LOG_STR("reason", info.why_not)));
	}
}

static bool
make_lists(struct plugins *plugins)
{
	struct vm_plugins_info info;

	plugins->count = vm_plugins_count(plugins->set);
	plugins->names = calloc(plugins->count + 1, sizeof *plugins->names);
	plugins->verdicts = calloc(plugins->count + 1, sizeof *plugins->verdicts);
	if (plugins->names == NULL || plugins->verdicts == NULL)
		return false;
	for (uint32_t i = 0; i < plugins->count; i++) {
		vm_plugins_look(plugins->set, i, &info);
		plugins->names[i] = info.name;
	}
	return true;
}

enum vm_status
plugins_new(struct config *config, struct plugins **out, struct vm_error *err)
{
	struct plugins *plugins = calloc(1, sizeof *plugins);
	enum vm_status status = VM_E_NOMEM;

	if (plugins != NULL) {
		pthread_mutex_init(&plugins->lock, NULL);
		status = load(config, plugins, &plugins->set, err);
		if (status != VM_OK)
			goto fail;
		if (make_lists(plugins))
			plugins->sandbox = sandbox_new(config, plugins->names, plugins->count);
	}
	if (plugins == NULL || plugins->sandbox == NULL) {
		status = vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "no memory for the plug-ins");
		goto fail;
	}
	say_what_is_there(plugins, config);
	*out = plugins;
	return VM_OK;
fail:
	plugins_free(plugins);
	return status;
}

enum vm_status
plugins_test(const struct config *config, struct vm_error *err)
{
	struct vm_plugins *set;
	enum vm_status status = load(config, NULL, &set, err);

	if (status == VM_OK)
		vm_plugins_free(set);
	return status;
}

/* --- from start to end ---------------------------------------------------------------------- */

static void
on_tick(uv_timer_t *timer)
{
	struct plugins *plugins = timer->data;

	sandbox_tick(plugins->sandbox);
}

static void
free_timer(uv_handle_t *handle)
{
	free(handle);
}

void
plugins_start(struct plugins *plugins, uv_loop_t *loop)
{
	plugins->timer = malloc(sizeof *plugins->timer);
	if (plugins->timer == NULL)
		return; /* then processes stay until they are needed for others */
	uv_timer_init(loop, plugins->timer);
	plugins->timer->data = plugins;
	uv_timer_start(plugins->timer, on_tick, TICK_MS, TICK_MS);
}

void
plugins_stop(struct plugins *plugins)
{
	if (plugins == NULL)
		return;
	sandbox_stop(plugins->sandbox);
	if (plugins->timer != NULL)
		uv_close((uv_handle_t *)plugins->timer, free_timer);
	plugins->timer = NULL;
}

void
plugins_free(struct plugins *plugins)
{
	if (plugins == NULL)
		return;
	sandbox_free(plugins->sandbox);
	vm_plugins_free(plugins->set);
	pthread_mutex_destroy(&plugins->lock);
	free(plugins->names);
	free(plugins->verdicts);
	free(plugins);
}

void
plugins_configure(struct plugins *plugins, const struct config *config)
{
	sandbox_configure(plugins->sandbox, config);
}

/* --- looking -------------------------------------------------------------------------------- */

const char *const *
plugins_names(const struct plugins *plugins, size_t *out_count)
{
	*out_count = plugins->count;
	return plugins->names;
}

struct vm_plugins *
plugins_set(const struct plugins *plugins)
{
	return plugins->set;
}

struct sandbox *
plugins_sandbox(const struct plugins *plugins)
{
	return plugins->sandbox;
}

static bool
str_is(struct vm_str str, const char *text)
{
	return str.len == strlen(text) && memcmp(str.data, text, str.len) == 0;
}

bool
plugins_are_imported(const struct vm_module *module)
{
	struct vm_import import;

	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		vm_module_import(module, i, &import);
		if (import.type.kind == VM_EXTERN_FUNC &&
		    !str_is(import.module, "wasi_snapshot_preview1") &&
		    !str_is(import.module, "wasi_unstable"))
			return true;
	}
	return false;
}

/* Whether its libraries are to be opened in a process of the sandbox alone. */
static bool
is_sandboxed(const struct vm_plugin *plugin)
{
	for (uint32_t i = 0; i < plugin->operation_count; i++)
		if (plugin->operations[i].flags & VM_PLUGIN_SANDBOX)
			return true;
	return false;
}

static void
ask_process(struct plugins *plugins, size_t index, char *out, size_t size)
{
	struct verdict *verdict = &plugins->verdicts[index];
	const struct sandbox_ask ask = { .plugin = plugins->names[index], .operation = "",
		                         .stop_fd = -1 };
	struct vm_plugin_reply reply;
	enum sandbox_end end;
	struct vm_error err = { .message = "" };
	uint64_t now_us = clock_monotonic_us();

	pthread_mutex_lock(&plugins->lock);
	bool is_known = verdict->is_known && (verdict->reason[0] == '\0' ||
	                                      now_us - verdict->asked_us < REASON_US);
	if (is_known)
		snprintf(out, size, "%s", verdict->reason);
	pthread_mutex_unlock(&plugins->lock);
	if (is_known)
		return;
	if (sandbox_operate(plugins->sandbox, &ask, &reply, &end, &err) == VM_OK)
		err.message[0] = '\0';
	vm_plugins_reply_clear(&reply);
	snprintf(out, size, "%s", err.message);
	pthread_mutex_lock(&plugins->lock);
	verdict->is_known = true;
	verdict->asked_us = clock_monotonic_us();
	snprintf(verdict->reason, sizeof verdict->reason, "%s", err.message);
	pthread_mutex_unlock(&plugins->lock);
}

void
plugins_why_not(struct plugins *plugins, size_t index, char *out, size_t size)
{
	struct vm_plugins_info info;

	vm_plugins_look(plugins->set, (uint32_t)index, &info);
	if (info.plugin != NULL && info.plugin->check != NULL && is_sandboxed(info.plugin)) {
		ask_process(plugins, index, out, size);
		return;
	}
	vm_plugins_info(plugins->set, (uint32_t)index, &info);
	snprintf(out, size, "%s", info.why_not != NULL ? info.why_not : "");
}
