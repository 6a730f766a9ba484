/*
 * plugins.h - the plug-ins of the daemon, and where their operations run.
 *
 * One set for the whole process, loaded at the start. Guests get the functions of plug-ins when
 * their modules are linked. Operations that decode what strangers made run in the processes of the
 * sandbox, for guests as well as for clients; all others where they are called.
 *
 * Owns:    the set and the sandbox
 * Threads: immutable once made, but for what is said of single functions
 */
#pragma once

#include <uv.h>
#include "daemon/config.h"
#include "daemon/sandbox.h"
#include "vm/vm.h"

struct plugins;

/* Folders of plug-ins, divided by colons, as the settings or the environment say. */
const char *plugins_path(const struct config *config);

/*
 * Load all. Says in the log what was loaded, and what was not and why. VM_E_ARGUMENT: an option
 * that there is not, or a value that it cannot have, with the place where it was set; VM_E_NOMEM.
 */
enum vm_status plugins_new(struct config *config, struct plugins **out, struct vm_error *err);
/* Whether plugins_new would do: for testing the settings. Nothing is said in the log. */
enum vm_status plugins_test(const struct config *config, struct vm_error *err);
/* From now on the loop looks after the processes. */
void plugins_start(struct plugins *plugins, uv_loop_t *loop);
/* On the loop's thread: end all processes; the timer closes in the loop. NULL is fine. */
void plugins_stop(struct plugins *plugins);
/* After all stores, programs and linkers. NULL is fine. */
void plugins_free(struct plugins *plugins);
/* Take over the numbers of a reload. */
void plugins_configure(struct plugins *plugins, const struct config *config);

/* Names, in the order of the metrics' label. They live as long as the plug-ins. */
const char *const *plugins_names(const struct plugins *plugins, size_t *out_count);
struct vm_plugins *plugins_set(const struct plugins *plugins);
struct sandbox *plugins_sandbox(const struct plugins *plugins);

/* Whether the module imports functions that are not WASI's: those can only be of plug-ins. */
bool plugins_are_imported(const struct vm_module *module);

/*
 * Why the plug-in of that index, or something that it needs, is not there: "" when all is well.
 * Where its libraries are only opened in a process of the sandbox, such a process is asked, which
 * may take as long as an operation; the answer is remembered. Any thread of those that operate.
 */
void plugins_why_not(struct plugins *plugins, size_t index, char *out, size_t size);
