/*
 * absent.c - functions of plug-ins that are not there: they can be imported, and fail.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/base/str.h"
#include "vm/plugin/set.h"

#define TRAPS INT32_MIN

static const struct row {
	const char *module;
	const char *name;
	const char *plugin;
	int32_t answer;
} rows[] = {
#define ABSENT(module, name, plugin, answer) { module, name, plugin, answer },
#include "vm/def/absent.def"
#undef ABSENT
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

struct stand_in {
	struct vm_plugins *set;
	const struct row *row;
	atomic_bool is_told; /* the operator knows */
};

int
absent_find(struct vm_str module, struct vm_str name)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (str_is(module, rows[i].module) &&
		    (rows[i].name[0] == '\0' || str_is(name, rows[i].name)))
			return (int)i;
	}
	return -1;
}

const char *
vm_plugins_known(struct vm_str module)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (str_is(module, rows[i].module))
			return rows[i].plugin;
	}
	return NULL;
}

const char *
absent_plugin(int row)
{
	return rows[row].plugin;
}

/* --- calls ---------------------------------------------------------------------------------- */

static const char *
reason(const struct stand_in *stand_in)
{
	const struct plugin_entry *entry = plugin_find(stand_in->set, stand_in->row->plugin);

	return entry != NULL && entry->why_not != NULL ? entry->why_not : "it is not installed";
}

static enum vm_status
fail(struct stand_in *stand_in, struct vm_error *err)
{
	const char *plugin = stand_in->row->plugin;
	char text[VM_ERROR_MESSAGE_MAX];

	if (!atomic_exchange(&stand_in->is_told, true)) {
		snprintf(text, sizeof text, "a guest called a function of it: %s",
		         reason(stand_in));
		plugin_tell(stand_in->set, plugin, VM_PLUGIN_WARNING, text);
	}
	if (stand_in->row->answer == TRAPS)
		return vm_error_trap(err, VM_TRAP_HOST, "plug-in %s: %s", plugin, reason(stand_in));
	return VM_OK;
}

static enum vm_status
fail_i32(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	struct stand_in *stand_in = env;

	(void)caller;
	slots[0].i32 = stand_in->row->answer;
	return fail(stand_in, err);
}

static enum vm_status
fail_zero(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	(void)caller;
	slots[0].u64 = 0;
	return fail(env, err);
}

static enum vm_status
fail_nothing(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	(void)caller;
	(void)slots;
	return fail(env, err);
}

/* Of a dummy: everything succeeds and gives 0. */
static enum vm_status
dummy_zero(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	(void)env;
	(void)caller;
	(void)err;
	slots[0].u64 = 0;
	return VM_OK;
}

static enum vm_status
dummy_nothing(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	(void)env;
	(void)caller;
	(void)slots;
	(void)err;
	return VM_OK;
}

static bool
is_dummy(const struct vm_plugins *set, const char *plugin)
{
	for (char **name = set->dummies; *name != NULL; name++) {
		if (strcmp(*name, plugin) == 0)
			return true;
	}
	return false;
}

enum vm_status
absent_define(struct vm_plugins *set, struct vm_linker *linker, const struct vm_import *import,
              int row, struct vm_error *err)
{
	const struct vm_functype *type = &import->type.of.func;
	bool is_idle = is_dummy(set, rows[row].plugin);
	vm_host_fn fn;

	if (type->result_count == 0)
		fn = is_idle ? dummy_nothing : fail_nothing;
	else if (is_idle || type->results[0] != VM_I32)
		fn = is_idle ? dummy_zero : fail_zero;
	else
		fn = fail_i32;
	return vm_linker_define_func(linker, import->module, import->name, type, fn,
	                             &set->stand_ins[row], err);
}

bool
absent_init(struct vm_plugins *set)
{
	set->stand_ins = calloc(ROW_COUNT, sizeof *set->stand_ins);
	if (set->stand_ins == NULL)
		return false;
	for (size_t i = 0; i < ROW_COUNT; i++) {
		set->stand_ins[i].set = set;
		set->stand_ins[i].row = &rows[i];
	}
	return true;
}
