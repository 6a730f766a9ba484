/*
 * plugins.h - finding, loading and using plug-ins: the embedder's side of plugin.h.
 *
 * A set is loaded once, is immutable from then on and shared by all threads. What cannot be loaded
 * is in the set all the same, with the reason. A linker gets those functions that a module imports;
 * a store may be told on whose behalf it runs and where messages go.
 *
 * Functions of a plug-in that is known by name (def/absent.def) but not there can be imported too:
 * they fail when they are called, each in the way of its interface, so that a program that does
 * not need them today runs.
 */
#pragma once

#include "vm/linker.h"
#include "vm/plugin.h"

struct vm_plugins;

/* A value for an option, as text. */
struct vm_plugins_setting {
	const char *plugin;
	const char *option;
	const char *value; /* of a LIST: words separated by blanks */
	const char *origin; /* where it was said, which complaints then begin with; or NULL */
	bool is_standard; /* the embedder's own: the plug-in need not be there */
};

struct vm_plugins_config {
	/* Folders, separated by ':'. NULL: $WASMEDGE_PLUGIN_PATH (not for a program with privileges
	 * of its own), else the installed folder. "": none. */
	const char *path;
	/* Linked into the program; they come before what the path has. */
	const struct vm_plugin *const *linked;
	size_t linked_count;
	const char *const *forbidden; /* names that are not to be loaded: entries that say so */
	size_t forbidden_count;
	const char *wanted; /* the only one that is to be loaded; NULL: all */
	const char *const *dummies; /* names of plug-ins, not loaded either: their functions do
	                               nothing and all return 0 */
	size_t dummy_count;
	const struct vm_plugins_setting *settings; /* a later one of the same option wins; of a
	                                              LIST, adds to it */
	size_t setting_count;
	/* Where messages for the operator go; NULL: nowhere. Any thread calls it. */
	void (*log)(void *env, const char *plugin, enum vm_plugin_level level, const char *text);
	void *log_env;
	/*
	 * Run an operation with VM_PLUGIN_SANDBOX elsewhere, for a guest of the store, or for
	 * nobody (NULL). NULL: it runs where it is called.
	 */
	enum vm_status (*elsewhere)(void *env, struct vm_store *store, const char *plugin,
	                            const char *operation, const struct vm_plugin_request *request,
	                            struct vm_plugin_reply *reply, struct vm_error *err);
	void *elsewhere_env;
};

/*
 * Load all plug-ins. Files that are not plug-ins, of another VM_PLUGIN_ABI, or whose open fails are
 * entries with a reason. The config is copied but for env pointers and linked descriptors.
 *
 * Returns VM_E_ARGUMENT a setting names an option that a loaded plug-in does not have, or has a
 *                       value that is not of its type; or a plug-in that is nowhere
 *         VM_E_NOMEM
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_plugins_load(const struct vm_plugins_config *config,
                                                       struct vm_plugins **out,
                                                       struct vm_error *err);
/* After all stores that used it. NULL is fine. */
VM_EXPORT void vm_plugins_free(struct vm_plugins *plugins);

struct vm_plugins_info {
	const char *name;
	const char *path; /* of its file; NULL when it is linked in */
	const struct vm_plugin *plugin; /* NULL when it could not be loaded */
	const char *why_not; /* why it, or what it needs, is not there; NULL: all is well */
};

VM_EXPORT uint32_t vm_plugins_count(const struct vm_plugins *plugins);
/*
 * By index below the count, in order of names. Asks the plug-in's check at the first call, which
 * may take a while. Texts live as long as the set.
 */
VM_EXPORT void vm_plugins_info(struct vm_plugins *plugins, uint32_t index,
                               struct vm_plugins_info *out);
/* The same without asking the check: why_not is only of one that could not be loaded. */
VM_EXPORT void vm_plugins_look(const struct vm_plugins *plugins, uint32_t index,
                               struct vm_plugins_info *out);
/* Index of the plug-in of that name, or -1. */
VM_EXPORT int32_t vm_plugins_find(const struct vm_plugins *plugins, const char *name);

/* The plug-in that is known to give a host module, whether it is there or not; or NULL. */
VM_EXPORT const char *vm_plugins_known(struct vm_str module);

/*
 * Define the functions of plug-ins that the module imports, and stand-ins for those that are
 * absent. Imports that no plug-in is known for are passed over. Returns VM_E_NOMEM.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_plugins_define_imports(struct vm_plugins *plugins,
                                                                 struct vm_linker *linker,
                                                                 const struct vm_module *module,
                                                                 struct vm_error *err);

/*
 * Say on whose behalf a store runs; without it, nobody's in particular (""). To be called before
 * the guest runs. The text is copied. Returns VM_E_ARGUMENT when it was said before; VM_E_NOMEM.
 */
VM_EXPORT VM_MUST_CHECK enum vm_status vm_plugins_attach(struct vm_plugins *plugins,
                                                         struct vm_store *store,
                                                         struct vm_str tenant,
                                                         struct vm_error *err);

/*
 * Ask for an operation by names, here or elsewhere as the config says. The reply is cleared by the
 * caller with vm_plugins_reply_clear, also after a failure; it need not be initialised.
 *
 * Returns VM_E_UNSUPPORTED no such plug-in or operation, or something is missing: says what
 *         VM_E_ARGUMENT    the request has more than VM_PLUGIN_BUFFERS_MAX buffers
 *         what the operation returns, see plugin.h
 */
VM_EXPORT VM_MUST_CHECK enum vm_status
vm_plugins_operate(struct vm_plugins *plugins, const char *plugin, const char *operation,
                   const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                   struct vm_error *err);
/* The same, always in this process: for the process that does it for others. */
VM_EXPORT VM_MUST_CHECK enum vm_status
vm_plugins_operate_here(struct vm_plugins *plugins, const char *plugin, const char *operation,
                        const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
                        struct vm_error *err);
VM_EXPORT void vm_plugins_reply_clear(struct vm_plugin_reply *reply);
/* For whoever gets a reply from elsewhere: see plugin.h. */
VM_EXPORT bool vm_plugins_reply_json(struct vm_plugin_reply *reply, const char *text, size_t len);
VM_EXPORT uint8_t *vm_plugins_reply_buffer(struct vm_plugin_reply *reply, size_t len);
