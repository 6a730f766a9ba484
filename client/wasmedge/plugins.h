/*
 * plugins.h - plug-ins on the command line. The static program (handover.c) has none of this.
 */
#pragma once

#include "client/wasmedge/options.h"
#include "client/wasmedge/runner.h"
#include "vm/vm.h"

/* Load what the options ask for. Fails as vm_plugins_load does. */
VM_MUST_CHECK enum vm_status plugins_load(const struct runner *runner,
                                          const struct plugin_options *options,
                                          struct vm_plugins **out, struct vm_error *err);

/* As vm_plugins_define_imports. */
VM_MUST_CHECK enum vm_status plugins_define_imports(struct vm_plugins *plugins,
                                                    struct vm_linker *linker,
                                                    const struct vm_module *module,
                                                    struct vm_error *err);

/*
 * Behind a failed link: if the import is one that a plug-in should have given, say on standard
 * error which and what is wrong with it. Returns whether it was.
 */
bool plugins_explain(struct vm_plugins *plugins, const struct vm_import *import);

/*
 * The program's version, and a line for each plug-in that could be loaded:
 * <path> (plugin "<name>") version <version>. Returns an exit code.
 */
int plugins_write_versions(const struct runner *runner, const char *path);
