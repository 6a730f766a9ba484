/*
 * call.c - from a guest's call to a function of a plug-in, and what that may ask of the VM.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/plugin/set.h"
#include "vm/wasi.h"

/* A call under way; the plug-in sees its first member. */
struct guest_call {
	struct vm_plugin_call call;
	struct plugin_entry *entry;
	const struct vm_caller *caller;
};

/* What a plug-in keeps for a store, attached under the address of the entry. */
struct state {
	struct plugin_entry *entry;
	void *data;
};

/* On whose behalf a store runs, attached under the address of the set. */
struct tenant {
	size_t len;
	char text[];
};

static const struct guest_call *
guest_call_of(const struct vm_plugin_call *call)
{
	return (const struct guest_call *)call;
}

/* --- calls ---------------------------------------------------------------------------------- */

static void
state_free(void *data)
{
	struct state *state = data;

	if (state->entry->plugin->state_free != NULL)
		state->entry->plugin->state_free(state->entry->data, state->data);
	free(state);
}

static enum vm_status
state_find(struct guest_call *call, struct vm_error *err)
{
	struct plugin_entry *entry = call->entry;
	struct vm_store *store = call->caller->store;
	struct state *state = vm_store_attachment(store, entry);
	enum vm_status st;

	if (state == NULL && entry->plugin->state_new != NULL) {
		void *data = NULL;
		st = entry->plugin->state_new(&call->call, &data, err);
		if (st != VM_OK)
			return st;
		state = malloc(sizeof *state);
		if (state == NULL) {
			if (entry->plugin->state_free != NULL)
				entry->plugin->state_free(entry->data, data);
			return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
		}
		*state = (struct state){ entry, data };
		st = vm_store_attach(store, entry, state, state_free, err);
		if (st != VM_OK) {
			state_free(state);
			return st;
		}
	}
	call->call.state = state != NULL ? state->data : NULL;
	return VM_OK;
}

/* Host functions end guests by traps: what a plug-in passes on from elsewhere becomes one. */
static enum vm_status
as_trap(const struct bound_func *bound, enum vm_status st, struct vm_error *err)
{
	struct vm_error cause;

	if (st == VM_OK || st == VM_TRAP || st == VM_EXIT || st == VM_EXCEPTION)
		return st;
	if (err == NULL)
		return VM_TRAP;
	cause = *err;
	return vm_error_trap(err, VM_TRAP_HOST, "%s: %s", bound->func->name, cause.message);
}

enum vm_status
plugin_call(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	const struct bound_func *bound = env;
	struct guest_call call = {
		.call = { .host = &bound->entry->host, .plugin = bound->entry->data },
		.entry = bound->entry,
		.caller = caller,
	};
	struct vm_error ours;

	if (err == NULL)
		err = &ours;
	enum vm_status st = state_find(&call, err);
	if (st == VM_OK)
		st = bound->func->fn(&call.call, slots, err);
	return as_trap(bound, st, err);
}

/* --- what a plug-in may ask ----------------------------------------------------------------- */

static enum vm_status VM_PRINTF(3, 4)
host_fail(struct vm_error *err, enum vm_status status, const char *format, ...)
{
	char text[VM_ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return vm_error_set(err, status, VM_NO_OFFSET, "%s", text);
}

static enum vm_status VM_PRINTF(3, 4)
host_trap(struct vm_error *err, enum vm_trap trap, const char *format, ...)
{
	char text[VM_ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return vm_error_trap(err, trap, "%s", text);
}

static void VM_PRINTF(3, 4)
host_log(const struct vm_plugin_host *host, enum vm_plugin_level level, const char *format, ...)
{
	const struct plugin_entry *entry = plugin_entry_of(host);
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	plugin_tell(entry->set, entry->name, level, text);
}

static const struct vm_memory *
memory_of(const struct vm_plugin_call *call)
{
	struct vm_instance *instance = guest_call_of(call)->caller->instance;

	return instance != NULL ? vm_instance_memory(instance, 0) : NULL;
}

static bool
host_has_memory(const struct vm_plugin_call *call)
{
	return memory_of(call) != NULL;
}

static void *
host_memory(const struct vm_plugin_call *call, uint32_t address, uint64_t len)
{
	const struct vm_memory *memory = memory_of(call);

	return memory != NULL ? vm_memory_range(memory, address, len) : NULL;
}

static bool
host_take(const struct vm_plugin_call *call, uint64_t size_bytes)
{
	return vm_store_memory_take(guest_call_of(call)->caller->store, size_bytes);
}

static void
host_give(const struct vm_plugin_call *call, uint64_t size_bytes)
{
	vm_store_memory_give(guest_call_of(call)->caller->store, size_bytes);
}

static enum vm_trap
host_stopped(const struct vm_plugin_call *call)
{
	return vm_store_stopped(guest_call_of(call)->caller->store);
}

static int
host_stop_fd(const struct vm_plugin_call *call)
{
	return vm_store_stop_fd(guest_call_of(call)->caller->store);
}

static struct vm_str
tenant_of(const struct vm_plugins *set, const struct vm_store *store)
{
	const struct tenant *tenant = vm_store_attachment(store, set);

	return tenant != NULL ? (struct vm_str){ tenant->text, tenant->len } : VM_STR("");
}

static struct vm_str
host_tenant(const struct vm_plugin_call *call)
{
	const struct guest_call *guest = guest_call_of(call);

	return tenant_of(guest->entry->set, guest->caller->store);
}

static enum vm_status
host_write(const struct vm_plugin_call *call, int stream, const void *data, size_t len,
           struct vm_error *err)
{
	return vm_wasi_write(guest_call_of(call)->caller->store, stream, data, len, err);
}

static enum vm_status
host_operate(const struct vm_plugin_call *call, const char *plugin, const char *operation,
             const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
             struct vm_error *err)
{
	const struct guest_call *guest = guest_call_of(call);
	struct plugin_entry *entry =
	    plugin != NULL ? plugin_find(guest->entry->set, plugin) : guest->entry;
	struct vm_plugin_request ours = *request;

	*reply = (struct vm_plugin_reply){ 0 };
	if (entry == NULL)
		return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
		                    "plug-in %s is not installed", plugin);
	ours.tenant = tenant_of(guest->entry->set, guest->caller->store);
	return plugin_operate(entry, operation, guest->caller->store, false, &ours, reply, err);
}

void
plugin_host_init(struct vm_plugin_host *host)
{
	*host = (struct vm_plugin_host){
		.fail = host_fail,
		.trap = host_trap,
		.log = host_log,
		.has_memory = host_has_memory,
		.memory = host_memory,
		.take = host_take,
		.give = host_give,
		.stopped = host_stopped,
		.stop_fd = host_stop_fd,
		.tenant = host_tenant,
		.write = host_write,
		.operate = host_operate,
		.reply_json = vm_plugins_reply_json,
		.reply_buffer = vm_plugins_reply_buffer,
		.reply_clear = vm_plugins_reply_clear,
	};
}

/* --- stores --------------------------------------------------------------------------------- */

enum vm_status
vm_plugins_attach(struct vm_plugins *plugins, struct vm_store *store, struct vm_str tenant,
                  struct vm_error *err)
{
	struct tenant *copy = malloc(sizeof *copy + tenant.len + 1);

	if (copy == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
	copy->len = tenant.len;
	if (tenant.len > 0)
		memcpy(copy->text, tenant.data, tenant.len);
	copy->text[tenant.len] = '\0';
	enum vm_status st = vm_store_attach(store, plugins, copy, free, err);
	if (st != VM_OK)
		free(copy);
	return st;
}
