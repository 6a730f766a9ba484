/*
 * set.h - what a set of plug-ins is made of.
 *
 * Owns:    everything below an entry but the descriptor
 * Threads: immutable once it is loaded, but for what `lock` guards
 */
#pragma once

#include <pthread.h>
#include "vm/plugins.h"

/* One function of a plug-in, as the environment of a host function. */
struct bound_func {
	struct plugin_entry *entry;
	const struct vm_plugin_func *func;
};

struct plugin_entry {
	struct vm_plugin_host host; /* what the plug-in gets; leads back here */
	struct vm_plugins *set;
	char *name;
	char *path;                     /* NULL: linked in */
	void *object;                   /* of dlopen */
	const struct vm_plugin *plugin; /* NULL: not loaded */
	void *data;                     /* what open gave */
	struct vm_plugin_value *values;
	struct bound_func *bound; /* of all modules, in order */
	char *why_not;
	bool is_checked; /* guarded by the set's lock */
};

struct vm_plugins {
	void (*log)(void *env, const char *plugin, enum vm_plugin_level level, const char *text);
	void *log_env;
	enum vm_status (*elsewhere)(void *env, struct vm_store *store, const char *plugin,
	                            const char *operation, const struct vm_plugin_request *request,
	                            struct vm_plugin_reply *reply, struct vm_error *err);
	void *elsewhere_env;
	struct plugin_entry **entries;   /* in order of names */
	uint32_t count;
	char **dummies; /* plug-ins whose functions do nothing, ended by NULL */
	pthread_mutex_t lock;
	struct stand_in *stand_ins; /* one for each row of absent.def */
};

/* The host functions that entry->host consists of. */
void plugin_host_init(struct vm_plugin_host *host);

struct plugin_entry *plugin_entry_of(const struct vm_plugin_host *host);
struct plugin_entry *plugin_find(const struct vm_plugins *set, const char *name);
const struct vm_plugin_operation *plugin_operation(const struct plugin_entry *entry,
                                                   const char *name);
/* store NULL: for nobody. is_here: never elsewhere. Fails as vm_plugins_operate does. */
enum vm_status plugin_operate(struct plugin_entry *entry, const char *operation,
                              struct vm_store *store, bool is_here,
                              const struct vm_plugin_request *request,
                              struct vm_plugin_reply *reply, struct vm_error *err);
/* One message to whoever listens. */
void plugin_tell(const struct vm_plugins *set, const char *plugin, enum vm_plugin_level level,
                 const char *text);

/* A host function of env, which is a struct bound_func. */
enum vm_status plugin_call(void *env, struct vm_caller *caller, union vm_slot *slots,
                           struct vm_error *err);

/*
 * Values for all options of a plug-in, from its standards and the settings that name it.
 * Freed with plugin_values_free. Returns VM_E_ARGUMENT, naming plug-in and option; VM_E_NOMEM.
 */
VM_MUST_CHECK enum vm_status plugin_values_new(const struct vm_plugin *plugin,
                                               const struct vm_plugins_setting *settings,
                                               size_t setting_count,
                                               struct vm_plugin_value **out, struct vm_error *err);
void plugin_values_free(const struct vm_plugin *plugin, struct vm_plugin_value *values);
/* VM_E_ARGUMENT, beginning with where the setting (which may be NULL) was made. */
enum vm_status plugin_refuse(struct vm_error *err, const struct vm_plugins_setting *setting,
                             const char *format, ...) VM_PRINTF(3, 4);

/* --- plug-ins that are not there (absent.c) -------------------------------------------------- */

bool absent_init(struct vm_plugins *set); /* false: out of memory */
/* Row of absent.def for a function, or -1. */
int absent_find(struct vm_str module, struct vm_str name);
/* Name of the plug-in of a row. */
const char *absent_plugin(int row);
/* Define a stand-in of the import's type, which has at most one result of one slot. */
VM_MUST_CHECK enum vm_status absent_define(struct vm_plugins *set, struct vm_linker *linker,
                                           const struct vm_import *import, int row,
                                           struct vm_error *err);
