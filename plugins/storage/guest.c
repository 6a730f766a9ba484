/*
 * guest.c - the host modules: transactions of a program, one at a time.
 *
 * A program begins a transaction with a key of 32 bytes, appends or takes numbers, and ends it;
 * beginning another drops what was not ended. The numbers, little-endian and one behind the
 * other, are the value; it is in the namespace WASMEDGE_STORAGE_GUEST_NS of the program's tenant.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "plugins/storage/plugin.h"

#define KEY_BYTES 32
#define UUID_BYTES 16

/* What the program has begun. It stays so after the end: a value can be read once more. */
enum kind { NOTHING, STORING, LOADING };

static const char *const begin_names[] = { "", "beginStoreTx", "beginLoadTx" };

/* One program. Its buffer is charged to its memory limit. */
struct state {
	enum kind kind;
	uint8_t key[KEY_BYTES];
	uint8_t *value;
	size_t len;
	size_t capacity;
	size_t cursor; /* LOADING: bytes that have been taken */
};

enum vm_status
storage_state_new(const struct vm_plugin_call *call, void **out_state, struct vm_error *err)
{
	*out_state = calloc(1, sizeof(struct state));
	return *out_state != NULL ? VM_OK
	                          : vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
}

void
storage_state_free(void *plugin, void *data)
{
	struct state *state = data;

	(void)plugin;
	free(state->value);
	free(state);
}

/* --- the buffer ----------------------------------------------------------------------------- */

static void
buffer_clear(const struct vm_plugin_call *call, struct state *state)
{
	free(state->value);
	vm_plugin_give(call, state->capacity);
	state->value = NULL;
	state->len = state->capacity = state->cursor = 0;
}

/* Make it hold capacity bytes. */
static enum vm_status
buffer_reserve(const struct vm_plugin_call *call, const char *name, size_t capacity,
               struct vm_error *err)
{
	struct state *state = call->state;

	if (capacity <= state->capacity)
		return VM_OK;
	if (!vm_plugin_take(call, capacity - state->capacity))
		return vm_plugin_trap(call, err, VM_TRAP_MEMORY_LIMIT,
		                      "%s: a value of %zu bytes exceeds the program's memory limit",
		                      name, capacity);
	uint8_t *value = realloc(state->value, capacity);
	if (value == NULL) {
		vm_plugin_give(call, capacity - state->capacity);
		return vm_plugin_trap(call, err, VM_TRAP_HOST, "%s: out of memory", name);
	}
	state->value = value;
	state->capacity = capacity;
	return VM_OK;
}

/* --- beginning ------------------------------------------------------------------------------ */

static enum vm_status
check_kind(const struct vm_plugin_call *call, const char *name, enum kind kind,
           struct vm_error *err)
{
	const struct state *state = call->state;

	if (state->kind == kind)
		return VM_OK;
	return vm_plugin_trap(call, err, VM_TRAP_HOST, "%s: %s has to be called before", name,
	                      begin_names[kind]);
}

/* Take the key for a transaction of that kind, with an empty buffer. */
static enum vm_status
begin(const struct vm_plugin_call *call, const char *name, uint32_t address, enum kind kind,
      struct vm_error *err)
{
	struct state *state = call->state;
	const void *key = vm_plugin_memory(call, address, KEY_BYTES);

	if (key == NULL && !vm_plugin_has_memory(call))
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "%s: the program has no memory for a key", name);
	if (key == NULL)
		return vm_plugin_trap(call, err, VM_TRAP_MEMORY_BOUNDS,
		                      "%s: the %d bytes of a key at 0x%x are outside of the memory",
		                      name, KEY_BYTES, address);
	buffer_clear(call, state);
	memcpy(state->key, key, KEY_BYTES);
	state->kind = kind;
	return VM_OK;
}

static struct wasmedge_storage_name
name_of(const struct vm_plugin_call *call)
{
	const struct state *state = call->state;

	return (struct wasmedge_storage_name){
		.tenant = storage_bytes(vm_plugin_tenant(call)),
		.ns = storage_bytes(VM_STR(WASMEDGE_STORAGE_GUEST_NS)),
		.key = { state->key, KEY_BYTES },
	};
}

/* What the storage could not do ends the program. */
static enum vm_status
fail(const struct vm_plugin_call *call, const char *name,
     const struct wasmedge_storage_error *why, struct vm_error *err)
{
	return vm_plugin_trap(call, err, VM_TRAP_HOST, "%s: %s", name, why->message);
}

/* --- storing -------------------------------------------------------------------------------- */

static enum vm_status
begin_store(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return begin(call, "beginStoreTx", slots[0].u32, STORING, err);
}

/* Append a number of size bytes. */
static enum vm_status
append(const struct vm_plugin_call *call, const char *name, uint64_t number, size_t size,
       struct vm_error *err)
{
	const struct storage_plugin *plugin = call->plugin;
	struct state *state = call->state;
	enum vm_status st = check_kind(call, name, STORING, err);

	if (st != VM_OK)
		return st;
	if (state->len + size > plugin->value_bytes_max)
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "%s: a value has at most %zu bytes (value_bytes_max)", name,
		                      plugin->value_bytes_max);
	if (state->len + size > state->capacity) {
		st = buffer_reserve(call, name, state->capacity < 64 ? 64 : 2 * state->capacity,
		                    err);
		if (st != VM_OK)
			return st;
	}
	for (size_t i = 0; i < size; i++)
		state->value[state->len++] = (uint8_t)(number >> 8 * i);
	return VM_OK;
}

static enum vm_status
store_i32(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return append(call, "storeI32", slots[0].u32, sizeof slots[0].u32, err);
}

static enum vm_status
store_i64(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	return append(call, "storeI64", slots[0].u64, sizeof slots[0].u64, err);
}

static enum vm_status
end_store(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	const struct state *state = call->state;
	struct wasmedge_storage *storage;
	struct wasmedge_storage_error why;
	enum vm_status st = check_kind(call, "endStoreTx", STORING, err);

	(void)slots;
	if (st == VM_OK)
		st = storage_plugin_open(call->host, call->plugin, &storage, err);
	if (st != VM_OK)
		return st;
	const struct wasmedge_storage_name name = name_of(call);
	const struct wasmedge_storage_value value = { .bytes = { state->value, state->len } };
	return wasmedge_storage_put(storage, &name, &value, NULL, NULL, &why) ==
	               WASMEDGE_STORAGE_OK
	           ? VM_OK
	           : fail(call, "endStoreTx", &why, err);
}

/* --- loading -------------------------------------------------------------------------------- */

static enum vm_status
begin_load(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	static const char function[] = "beginLoadTx";
	struct state *state = call->state;
	struct wasmedge_storage *storage;
	struct wasmedge_storage_entry entry;
	struct wasmedge_storage_error why;
	enum vm_status st = begin(call, function, slots[0].u32, LOADING, err);

	if (st == VM_OK)
		st = storage_plugin_open(call->host, call->plugin, &storage, err);
	if (st != VM_OK)
		return st;
	const struct wasmedge_storage_name name = name_of(call);
	if (wasmedge_storage_get(storage, &name, &entry, &why) != WASMEDGE_STORAGE_OK)
		return fail(call, function, &why, err);
	st = buffer_reserve(call, function, entry.value.len, err);
	if (st == VM_OK && entry.value.len > 0) {
		memcpy(state->value, entry.value.data, entry.value.len);
		state->len = entry.value.len;
	}
	wasmedge_storage_entry_clear(&entry);
	return st;
}

/* Take a number of size bytes. */
static enum vm_status
take(const struct vm_plugin_call *call, const char *name, size_t size, uint64_t *out,
     struct vm_error *err)
{
	struct state *state = call->state;
	char key[WASMEDGE_STORAGE_KEY_TEXT_MAX];
	enum vm_status st = check_kind(call, name, LOADING, err);

	if (st != VM_OK)
		return st;
	if (state->len - state->cursor < size)
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "%s: %zu bytes at %zu are behind the end of the value of key "
		                      "%s, which has %zu",
		                      name, size, state->cursor,
		                      wasmedge_storage_key_text(name_of(call).key, key),
		                      state->len);
	*out = 0;
	for (size_t i = 0; i < size; i++)
		*out |= (uint64_t)state->value[state->cursor++] << 8 * i;
	return VM_OK;
}

static enum vm_status
load_i32(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	uint64_t number = 0;
	enum vm_status st = take(call, "loadI32", sizeof slots[0].u32, &number, err);

	slots[0].u32 = (uint32_t)number;
	return st;
}

static enum vm_status
load_i64(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	uint64_t number = 0;
	enum vm_status st = take(call, "loadI64", sizeof slots[0].u64, &number, err);

	slots[0].u64 = number;
	return st;
}

static enum vm_status
end_load(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	struct state *state = call->state;
	enum vm_status st = check_kind(call, "endLoadTx", LOADING, err);

	(void)slots;
	if (st == VM_OK)
		state->cursor = 0;
	return st;
}

/* --- keys ----------------------------------------------------------------------------------- */

/* A random UUID (version 4) in hexadecimal, and a NUL. */
static enum vm_status
create_uuid(const struct vm_plugin_call *call, union vm_slot *slots, struct vm_error *err)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t uuid[UUID_BYTES];
	char *out = vm_plugin_memory(call, slots[0].u32, KEY_BYTES + 1);

	if (out == NULL && !vm_plugin_has_memory(call))
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "createUUID: the program has no memory for a key");
	if (out == NULL)
		return vm_plugin_trap(call, err, VM_TRAP_MEMORY_BOUNDS,
		                      "createUUID: the %d bytes of a key and its end at 0x%x are "
		                      "outside of the memory",
		                      KEY_BYTES + 1, slots[0].u32);
	if (getrandom(uuid, sizeof uuid, 0) != (ssize_t)sizeof uuid)
		return vm_plugin_trap(call, err, VM_TRAP_HOST,
		                      "createUUID: the system has no random numbers");
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof uuid; i++) {
		out[2 * i] = digits[uuid[i] >> 4];
		out[2 * i + 1] = digits[uuid[i] & 15];
	}
	out[KEY_BYTES] = '\0';
	return VM_OK;
}

/* --- the modules ---------------------------------------------------------------------------- */

#define FUNCS(prefix)                                                                            \
	{                                                                                        \
		{ prefix "createUUID", "i", "", create_uuid },                                   \
		{ prefix "beginStoreTx", "i", "", begin_store },                                 \
		{ prefix "storeI32", "i", "", store_i32 },                                       \
		{ prefix "storeI64", "l", "", store_i64 },                                       \
		{ prefix "endStoreTx", "", "", end_store },                                      \
		{ prefix "beginLoadTx", "i", "", begin_load },                                   \
		{ prefix "loadI32", "", "i", load_i32 },                                         \
		{ prefix "loadI64", "", "l", load_i64 },                                         \
		{ prefix "endLoadTx", "", "", end_load },                                        \
	}
#define FUNC_COUNT 9

static const struct vm_plugin_func funcs[FUNC_COUNT] = FUNCS("wasmedge_storage_");
static const struct vm_plugin_func older_funcs[FUNC_COUNT] = FUNCS("ssvm_storage_");

const struct vm_plugin_module storage_modules[STORAGE_MODULE_COUNT] = {
	{ "wasmedge_native", "Values that outlive the program", funcs, FUNC_COUNT },
	{ "ssvm_native", "The same by older names", older_funcs, FUNC_COUNT },
};
