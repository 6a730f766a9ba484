#include "plugins/storage/native.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugins/storage/database.h"
#include "plugins/storage/storage.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct wasmedge_storage *opened;
static pid_t opened_by;
static _Thread_local struct wasmedge_storage_error error;

/* The process's storage. A child of fork() opens its own; its parent's it cannot even close. */
static struct wasmedge_storage *
storage(void)
{
	pthread_mutex_lock(&lock);
	if (opened == NULL || opened_by != getpid()) {
		opened = NULL;
		opened_by = getpid();
		(void)wasmedge_storage_open(NULL, &opened, &error);
	}
	struct wasmedge_storage *found = opened;
	pthread_mutex_unlock(&lock);
	return found;
}

static struct wasmedge_storage_name
name_of(const char *key, size_t key_len)
{
	return (struct wasmedge_storage_name){
		.ns = { WASMEDGE_STORAGE_GUEST_NS, strlen(WASMEDGE_STORAGE_GUEST_NS) },
		.key = { key, key_len },
	};
}

/* Begin a call: no error so far, unless the arguments cannot be. */
static bool
begin(const void *pointer, const void *other)
{
	error = (struct wasmedge_storage_error){ WASMEDGE_STORAGE_OK, "" };
	if (pointer != NULL && other != NULL)
		return true;
	wes_fail(&error, WASMEDGE_STORAGE_ARGUMENT, "the key or the value is a NULL pointer");
	return false;
}

void
store_byte_array(const char *key, size_t key_len, const char *value, size_t value_len)
{
	const struct wasmedge_storage_name name = name_of(key, key_len);
	const struct wasmedge_storage_value to_put = { .bytes = { value, value_len } };

	if (!begin(key, value_len > 0 ? value : ""))
		return;
	struct wasmedge_storage *found = storage();
	if (found != NULL)
		(void)wasmedge_storage_put(found, &name, &to_put, NULL, NULL, &error);
}

static bool
look_up(const char *key, size_t key_len,
        enum wasmedge_storage_status (*look)(struct wasmedge_storage *,
                                             const struct wasmedge_storage_name *,
                                             struct wasmedge_storage_entry *,
                                             struct wasmedge_storage_error *),
        struct wasmedge_storage_entry *out)
{
	const struct wasmedge_storage_name name = name_of(key, key_len);

	if (!begin(key, ""))
		return false;
	struct wasmedge_storage *found = storage();
	return found != NULL && look(found, &name, out, &error) == WASMEDGE_STORAGE_OK;
}

char *
get_byte_array_pointer(const char *key, size_t key_len)
{
	struct wasmedge_storage_entry entry;

	if (!look_up(key, key_len, wasmedge_storage_get, &entry))
		return NULL;
	char *copy = malloc(entry.value.len + 1);
	if (copy == NULL) {
		wes_fail(&error, WASMEDGE_STORAGE_NOMEM, "out of memory for the value");
	} else {
		memcpy(copy, entry.value.data, entry.value.len);
		copy[entry.value.len] = '\0';
	}
	wasmedge_storage_entry_clear(&entry);
	return copy;
}

size_t
get_byte_array_length(const char *key, size_t key_len)
{
	struct wasmedge_storage_entry entry;

	if (!look_up(key, key_len, wasmedge_storage_head, &entry))
		return 0;
	const size_t len = entry.value.len;
	wasmedge_storage_entry_clear(&entry);
	return len;
}

void
free_byte_array_pointer(char *value, size_t value_len)
{
	(void)value_len;
	free(value);
}

const char *
wasmedge_storage_native_error(void)
{
	return error.message;
}
