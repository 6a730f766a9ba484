/*
 * set.c - loads plug-ins, and answers what is there.
 */
#include "vm/plugin/set.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "vm/base/str.h"

#define SUFFIX ".so"
#define SYMBOL_PREFIX "vm_plugin_"
#define NAME_MAX_LEN 64
#define PATH_BYTES_MAX 4096

static enum vm_status
out_of_memory(struct vm_error *err)
{
	return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
}

/* --- entries -------------------------------------------------------------------------------- */

struct plugin_entry *
plugin_entry_of(const struct vm_plugin_host *host)
{
	return (struct plugin_entry *)((uintptr_t)host - offsetof(struct plugin_entry, host));
}

static void VM_PRINTF(2, 3)
entry_fail(struct plugin_entry *entry, const char *format, ...)
{
	char text[VM_ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	free(entry->why_not);
	entry->why_not = strdup(text);
	if (entry->why_not == NULL)
		entry->why_not = strdup("?"); /* memory is short: at least not "all is well" */
}

/* Without the plug-in; it stays in the list with its reason. */
static void
entry_unload(struct plugin_entry *entry)
{
	if (entry->plugin != NULL)
		plugin_values_free(entry->plugin, entry->values);
	free(entry->bound);
	entry->values = NULL;
	entry->bound = NULL;
	entry->plugin = NULL;
	if (entry->object != NULL)
		dlclose(entry->object);
	entry->object = NULL;
}

static void
entry_free(struct plugin_entry *entry)
{
	if (entry == NULL)
		return;
	if (entry->plugin != NULL && entry->plugin->close != NULL)
		entry->plugin->close(entry->data);
	entry_unload(entry);
	free(entry->name);
	free(entry->path);
	free(entry->why_not);
	free(entry);
}

struct plugin_entry *
plugin_find(const struct vm_plugins *set, const char *name)
{
	int32_t index = vm_plugins_find(set, name);

	return index < 0 ? NULL : set->entries[index];
}

/* An empty entry, in its place by name. NULL: out of memory. */
static struct plugin_entry *
entry_add(struct vm_plugins *set, const char *name, const char *path)
{
	struct plugin_entry **grown =
	    realloc(set->entries, (set->count + 1) * sizeof *set->entries);
	struct plugin_entry *entry = calloc(1, sizeof *entry);
	uint32_t at = set->count;

	if (grown != NULL)
		set->entries = grown;
	if (grown == NULL || entry == NULL)
		goto fail;
	entry->set = set;
	entry->name = strdup(name);
	if (path != NULL)
		entry->path = strdup(path);
	if (entry->name == NULL || (path != NULL && entry->path == NULL))
		goto fail;
	plugin_host_init(&entry->host);
	for (; at > 0 && strcmp(set->entries[at - 1]->name, name) > 0; at--)
		set->entries[at] = set->entries[at - 1];
	set->entries[at] = entry;
	set->count++;
	return entry;
fail:
	entry_free(entry);
	return NULL;
}

/* --- is it sound? --------------------------------------------------------------------------- */

static bool
is_signature(const char *letters, size_t count_max)
{
	return letters != NULL && strlen(letters) <= count_max &&
	       letters[strspn(letters, "ilfd")] == '\0';
}

static bool
module_is_sound(struct plugin_entry *entry, const struct vm_plugin_module *module)
{
	if (module->name == NULL) {
		entry_fail(entry, "a module of it has no name");
		return false;
	}
	for (uint32_t i = 0; i < module->func_count; i++) {
		const struct vm_plugin_func *func = &module->funcs[i];
		if (func->name == NULL || func->fn == NULL ||
		    !is_signature(func->params, VM_PLUGIN_PARAMS_MAX) ||
		    !is_signature(func->results, 1)) {
			entry_fail(entry, "function %u of its module %s has no name, no code, or "
			           "a signature that is not one", i, module->name);
			return false;
		}
	}
	return true;
}

static bool
is_sound(struct plugin_entry *entry, const struct vm_plugin *plugin)
{
	if (plugin->abi != VM_PLUGIN_ABI) {
		entry_fail(entry, "it is built for version %u of the plug-in interface, and this "
		           "is version %u: install both from one release", plugin->abi,
		           VM_PLUGIN_ABI);
		return false;
	}
	if (plugin->name == NULL || strcmp(plugin->name, entry->name) != 0) {
		entry_fail(entry, "it calls itself %.64s: the name of the file has to be that",
		           plugin->name != NULL ? plugin->name : "nothing");
		return false;
	}
	if (plugin->version == NULL || plugin->summary == NULL) {
		entry_fail(entry, "it has no version or summary");
		return false;
	}
	for (uint32_t i = 0; i < plugin->module_count; i++) {
		if (!module_is_sound(entry, &plugin->modules[i]))
			return false;
	}
	for (uint32_t i = 0; i < plugin->operation_count; i++) {
		const struct vm_plugin_operation *op = &plugin->operations[i];
		if (op->name == NULL || op->fn == NULL || op->summary == NULL ||
		    op->input_schema == NULL || op->output_schema == NULL) {
			entry_fail(entry, "operation %u of it lacks a name, a summary, a schema or "
			           "its function", i);
			return false;
		}
	}
	return true;
}

/* --- loading -------------------------------------------------------------------------------- */

static bool
bind(struct plugin_entry *entry)
{
	const struct vm_plugin *plugin = entry->plugin;
	size_t count = 0;

	for (uint32_t i = 0; i < plugin->module_count; i++)
		count += plugin->modules[i].func_count;
	entry->bound = calloc(count + 1, sizeof *entry->bound);
	if (entry->bound == NULL)
		return false;
	struct bound_func *next = entry->bound;
	for (uint32_t i = 0; i < plugin->module_count; i++) {
		for (uint32_t k = 0; k < plugin->modules[i].func_count; k++)
			*next++ = (struct bound_func){ entry, &plugin->modules[i].funcs[k] };
	}
	return true;
}

/* Only what the embedder said wrong is a failure; of the plug-in it is the entry's reason. */
static enum vm_status
entry_open(struct plugin_entry *entry, const struct vm_plugin *plugin,
           const struct vm_plugins_config *config, struct vm_error *err)
{
	struct vm_error why;

	if (!is_sound(entry, plugin)) {
		entry_unload(entry);
		return VM_OK;
	}
	entry->plugin = plugin;
	enum vm_status st = plugin_values_new(plugin, config->settings, config->setting_count,
	                                      &entry->values, err);
	if (st != VM_OK)
		goto fail;
	if (!bind(entry)) {
		st = out_of_memory(err);
		goto fail;
	}
	if (plugin->open != NULL &&
	    plugin->open(&entry->host, entry->values, &entry->data, &why) != VM_OK) {
		entry_fail(entry, "%s", why.message);
		entry_unload(entry);
	}
	return VM_OK;
fail:
	entry_unload(entry); /* it was not opened, so it is not to be closed */
	return st;
}

typedef const struct vm_plugin *(*descriptor_fn)(void);

static const struct vm_plugin *
load_object(struct plugin_entry *entry)
{
	char symbol[sizeof SYMBOL_PREFIX + NAME_MAX_LEN];
	descriptor_fn descriptor;

	entry->object = dlopen(entry->path, RTLD_NOW | RTLD_LOCAL);
	if (entry->object == NULL) {
		const char *why = dlerror();
		entry_fail(entry, "%s", why != NULL ? why : "it cannot be opened");
		return NULL;
	}
	snprintf(symbol, sizeof symbol, SYMBOL_PREFIX "%s", entry->name);
	/* The standard has no cast from an object to a function; POSIX wants it to work. */
	*(void **)&descriptor = dlsym(entry->object, symbol);
	if (descriptor == NULL) {
		entry_fail(entry, "it has no function %s: it is not a plug-in of this name",
		           symbol);
		return NULL;
	}
	const struct vm_plugin *plugin = descriptor();
	if (plugin == NULL)
		entry_fail(entry, "its function %s gave nothing", symbol);
	return plugin;
}

/* Code that anybody could have put there is not run. */
static bool
is_trusted(struct plugin_entry *entry, const char *folder)
{
	struct stat file;
	struct stat above;

	if (stat(entry->path, &file) != 0 || stat(folder, &above) != 0) {
		entry_fail(entry, "%s", strerror(errno));
		return false;
	}
	if (!S_ISREG(file.st_mode)) {
		entry_fail(entry, "it is not a regular file");
		return false;
	}
	if ((file.st_mode | above.st_mode) & S_IWOTH) {
		entry_fail(entry, "everybody may write to %s: take that right away (chmod o-w)",
		           file.st_mode & S_IWOTH ? "it" : "its folder");
		return false;
	}
	return true;
}

static bool
is_named(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static bool
is_unwanted(const struct vm_plugins_config *config, const char *name)
{
	return (config->wanted != NULL && strcmp(config->wanted, name) != 0) ||
	       is_named(config->forbidden, config->forbidden_count, name) ||
	       is_named(config->dummies, config->dummy_count, name);
}

static enum vm_status
load_file(struct vm_plugins *set, const char *folder, const char *file,
          const struct vm_plugins_config *config, struct vm_error *err)
{
	char path[PATH_BYTES_MAX];
	char name[NAME_MAX_LEN + 1];
	size_t len = strlen(file) - strlen(SUFFIX);

	if (len > NAME_MAX_LEN ||
	    snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path)
		return VM_OK;
	memcpy(name, file, len);
	name[len] = '\0';
	const bool is_forbidden = is_named(config->forbidden, config->forbidden_count, name);
	if (plugin_find(set, name) != NULL || (is_unwanted(config, name) && !is_forbidden))
		return VM_OK;
	struct plugin_entry *entry = entry_add(set, name, path);
	if (entry == NULL)
		return out_of_memory(err);
	if (is_forbidden) {
		entry_fail(entry, "it is forbidden");
		return VM_OK;
	}
	if (!is_trusted(entry, folder))
		return VM_OK;
	const struct vm_plugin *plugin = load_object(entry);
	if (plugin != NULL)
		return entry_open(entry, plugin, config, err);
	entry_unload(entry);
	return VM_OK;
}

static bool
is_candidate(const char *file)
{
	size_t len = strlen(file);

	return len > strlen(SUFFIX) && strcmp(file + len - strlen(SUFFIX), SUFFIX) == 0 &&
	       strspn(file, "abcdefghijklmnopqrstuvwxyz0123456789_") == len - strlen(SUFFIX);
}

static enum vm_status
load_folder(struct vm_plugins *set, const char *folder, const struct vm_plugins_config *config,
            struct vm_error *err)
{
	DIR *dir = opendir(folder);
	enum vm_status st = VM_OK;
	struct dirent *item;

	if (dir == NULL)
		return VM_OK; /* a folder that is not there has no plug-ins */
	while (st == VM_OK && (item = readdir(dir)) != NULL) {
		if (is_candidate(item->d_name))
			st = load_file(set, folder, item->d_name, config, err);
	}
	closedir(dir);
	return st;
}

static enum vm_status
load_path(struct vm_plugins *set, const struct vm_plugins_config *config, struct vm_error *err)
{
	const char *path = config->path;
	enum vm_status st = VM_OK;
	char folder[PATH_BYTES_MAX];

	if (path == NULL)
		path = secure_getenv("WASMEDGE_PLUGIN_PATH");
	if (path == NULL)
		path = VM_PLUGIN_DIR;
	while (*path != '\0' && st == VM_OK) {
		size_t len = strcspn(path, ":");
		if (len > 0 && len < sizeof folder) {
			memcpy(folder, path, len);
			folder[len] = '\0';
			st = load_folder(set, folder, config, err);
		}
		path += len + (path[len] == ':');
	}
	return st;
}

static enum vm_status
load_linked(struct vm_plugins *set, const struct vm_plugins_config *config, struct vm_error *err)
{
	for (size_t i = 0; i < config->linked_count; i++) {
		const struct vm_plugin *plugin = config->linked[i];
		if (is_unwanted(config, plugin->name) || plugin_find(set, plugin->name) != NULL)
			continue;
		struct plugin_entry *entry = entry_add(set, plugin->name, NULL);
		if (entry == NULL)
			return out_of_memory(err);
		enum vm_status st = entry_open(entry, plugin, config, err);
		if (st != VM_OK)
			return st;
	}
	return VM_OK;
}

static enum vm_status
check_settings(const struct vm_plugins *set, const struct vm_plugins_config *config,
               struct vm_error *err)
{
	for (size_t i = 0; i < config->setting_count; i++) {
		const struct vm_plugins_setting *setting = &config->settings[i];
		if (!setting->is_standard && plugin_find(set, setting->plugin) == NULL &&
		    !is_unwanted(config, setting->plugin))
			return plugin_refuse(err, setting,
			                     "option %.64s is for plug-in %.64s, which is not "
			                     "installed", setting->option, setting->plugin);
	}
	return VM_OK;
}

static bool
copy_dummies(struct vm_plugins *set, const struct vm_plugins_config *config)
{
	set->dummies = calloc(config->dummy_count + 1, sizeof *set->dummies);
	if (set->dummies == NULL)
		return false;
	for (size_t i = 0; i < config->dummy_count; i++) {
		set->dummies[i] = strdup(config->dummies[i]);
		if (set->dummies[i] == NULL)
			return false;
	}
	return true;
}

enum vm_status
vm_plugins_load(const struct vm_plugins_config *config, struct vm_plugins **out,
                struct vm_error *err)
{
	struct vm_plugins *set = calloc(1, sizeof *set);
	enum vm_status st;

	if (set == NULL)
		return out_of_memory(err);
	(void)pthread_mutex_init(&set->lock, NULL);
	set->log = config->log;
	set->log_env = config->log_env;
	set->elsewhere = config->elsewhere;
	set->elsewhere_env = config->elsewhere_env;
	if (!copy_dummies(set, config) || !absent_init(set))
		st = out_of_memory(err);
	else
		st = load_linked(set, config, err);
	if (st == VM_OK)
		st = load_path(set, config, err);
	if (st == VM_OK)
		st = check_settings(set, config, err);
	if (st == VM_OK) {
		*out = set;
		set = NULL;
	}
	vm_plugins_free(set);
	return st;
}

void
vm_plugins_free(struct vm_plugins *set)
{
	if (set == NULL)
		return;
	for (uint32_t i = 0; i < set->count; i++)
		entry_free(set->entries[i]);
	free(set->entries);
	for (char **name = set->dummies; name != NULL && *name != NULL; name++)
		free(*name);
	free(set->dummies);
	free(set->stand_ins);
	(void)pthread_mutex_destroy(&set->lock);
	free(set);
}

/* --- looking -------------------------------------------------------------------------------- */

void
plugin_tell(const struct vm_plugins *set, const char *plugin, enum vm_plugin_level level,
            const char *text)
{
	if (set->log != NULL)
		set->log(set->log_env, plugin, level, text);
}

uint32_t
vm_plugins_count(const struct vm_plugins *set)
{
	return set->count;
}

int32_t
vm_plugins_find(const struct vm_plugins *set, const char *name)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (strcmp(set->entries[i]->name, name) == 0)
			return (int32_t)i;
	}
	return -1;
}

/* The answer is kept: it does not change while the process runs. */
static void
entry_check(struct plugin_entry *entry)
{
	struct vm_error why;

	if (entry->is_checked)
		return;
	entry->is_checked = true;
	if (entry->plugin != NULL && entry->plugin->check != NULL &&
	    entry->plugin->check(entry->data, &why) != VM_OK)
		entry_fail(entry, "%s", why.message);
}

static void
entry_describe(const struct plugin_entry *entry, struct vm_plugins_info *out)
{
	*out = (struct vm_plugins_info){
		.name = entry->name,
		.path = entry->path,
		.plugin = entry->plugin,
		.why_not = entry->why_not,
	};
}

void
vm_plugins_look(const struct vm_plugins *set, uint32_t index, struct vm_plugins_info *out)
{
	entry_describe(set->entries[index], out);
	if (out->plugin != NULL)
		out->why_not = NULL; /* the check's, which may be asked meanwhile */
}

void
vm_plugins_info(struct vm_plugins *set, uint32_t index, struct vm_plugins_info *out)
{
	struct plugin_entry *entry = set->entries[index];

	(void)pthread_mutex_lock(&set->lock);
	entry_check(entry);
	entry_describe(entry, out);
	(void)pthread_mutex_unlock(&set->lock);
}

/* --- imports -------------------------------------------------------------------------------- */

static struct bound_func *
find_func(const struct plugin_entry *entry, const struct vm_import *import)
{
	struct bound_func *bound = entry->bound;

	if (entry->plugin == NULL)
		return NULL;
	for (uint32_t i = 0; i < entry->plugin->module_count; i++) {
		const struct vm_plugin_module *module = &entry->plugin->modules[i];
		if (str_is(import->module, module->name)) {
			for (uint32_t k = 0; k < module->func_count; k++) {
				if (str_is(import->name, module->funcs[k].name))
					return &bound[k];
			}
		}
		bound += module->func_count;
	}
	return NULL;
}

static uint32_t
parse_types(const char *letters, vm_valtype *out)
{
	uint32_t count = 0;

	for (; letters[count] != '\0'; count++)
		out[count] = letters[count] == 'i'   ? VM_I32
		             : letters[count] == 'l' ? VM_I64
		             : letters[count] == 'f' ? VM_F32
		                                     : VM_F64;
	return count;
}

static enum vm_status
define_bound(struct vm_linker *linker, const struct vm_import *import, struct bound_func *bound,
             struct vm_error *err)
{
	vm_valtype params[VM_PLUGIN_PARAMS_MAX];
	vm_valtype results[1];
	const struct vm_functype type = {
		.params = params,
		.results = results,
		.param_count = parse_types(bound->func->params, params),
		.result_count = parse_types(bound->func->results, results),
	};

	return vm_linker_define_func(linker, import->module, import->name, &type, plugin_call,
	                             bound, err);
}

static bool
can_stand_in(const struct vm_functype *type)
{
	return type->result_count == 0 ||
	       (type->result_count == 1 && vm_valtype_slots(type->results[0]) == 1);
}

static enum vm_status
define_import(struct vm_plugins *set, struct vm_linker *linker, const struct vm_import *import,
              struct vm_error *err)
{
	for (uint32_t i = 0; i < set->count; i++) {
		struct bound_func *bound = find_func(set->entries[i], import);
		if (bound != NULL)
			return define_bound(linker, import, bound, err);
	}
	int row = absent_find(import->module, import->name);
	if (row < 0 || !can_stand_in(&import->type.of.func))
		return VM_OK;
	const struct plugin_entry *entry = plugin_find(set, absent_plugin(row));
	if (entry != NULL && entry->plugin != NULL)
		return VM_OK; /* it is there, and has no such function */
	return absent_define(set, linker, import, row, err);
}

enum vm_status
vm_plugins_define_imports(struct vm_plugins *set, struct vm_linker *linker,
                          const struct vm_module *module, struct vm_error *err)
{
	enum vm_status st = VM_OK;

	for (uint32_t i = 0; i < vm_module_import_count(module) && st == VM_OK; i++) {
		struct vm_import import;
		vm_module_import(module, i, &import);
		if (import.type.kind == VM_EXTERN_FUNC)
			st = define_import(set, linker, &import, err);
	}
	return st;
}

/* --- operations ----------------------------------------------------------------------------- */

const struct vm_plugin_operation *
plugin_operation(const struct plugin_entry *entry, const char *name)
{
	for (uint32_t i = 0; entry->plugin != NULL && i < entry->plugin->operation_count; i++) {
		if (strcmp(entry->plugin->operations[i].name, name) == 0)
			return &entry->plugin->operations[i];
	}
	return NULL;
}

enum vm_status
plugin_operate(struct plugin_entry *entry, const char *operation, struct vm_store *store,
               bool is_here, const struct vm_plugin_request *request,
               struct vm_plugin_reply *reply, struct vm_error *err)
{
	const struct vm_plugins *set = entry->set;
	const struct vm_plugin_operation *op = plugin_operation(entry, operation);

	if (entry->plugin == NULL)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET, "plug-in %s: %s",
		                    entry->name, entry->why_not);
	if (op == NULL)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                    "plug-in %s has no operation %.64s", entry->name, operation);
	if (request->buffer_count > VM_PLUGIN_BUFFERS_MAX)
		return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET,
		                    "%u buffers, at most %u are possible", request->buffer_count,
		                    VM_PLUGIN_BUFFERS_MAX);
	if (!is_here && set->elsewhere != NULL && (op->flags & VM_PLUGIN_SANDBOX))
		return set->elsewhere(set->elsewhere_env, store, entry->name, operation, request,
		                      reply, err);
	return op->fn(&entry->host, entry->data, request, reply, err);
}

static enum vm_status
operate(struct vm_plugins *set, const char *plugin, const char *operation, bool is_here,
        const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
        struct vm_error *err)
{
	struct plugin_entry *entry = plugin_find(set, plugin);

	*reply = (struct vm_plugin_reply){ 0 };
	if (entry == NULL)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                    "plug-in %.64s is not installed", plugin);
	return plugin_operate(entry, operation, NULL, is_here, request, reply, err);
}

enum vm_status
vm_plugins_operate(struct vm_plugins *set, const char *plugin, const char *operation,
                   const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                   struct vm_error *err)
{
	return operate(set, plugin, operation, false, request, reply, err);
}

enum vm_status
vm_plugins_operate_here(struct vm_plugins *set, const char *plugin, const char *operation,
                        const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                        struct vm_error *err)
{
	return operate(set, plugin, operation, true, request, reply, err);
}
