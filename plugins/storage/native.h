/*
 * native.h - four functions for native programs, by the names that they have always had.
 *
 * They use one storage of the process, which the first call opens where storage.h says when no path
 * is given, and there the values of guests without a tenant. A call that cannot do what it should
 * never ends the process: it gives NULL or 0, and wasmedge_storage_native_error() says why. New
 * programs use storage.h.
 */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Store len bytes under a key of 1 to 512 bytes. */
void store_byte_array(const char *key, size_t key_len, const char *value, size_t value_len);
/* A copy of the value, for free_byte_array_pointer; NULL: there is none, or a failure. */
char *get_byte_array_pointer(const char *key, size_t key_len);
/* Its length; 0 also when there is none. */
size_t get_byte_array_length(const char *key, size_t key_len);
void free_byte_array_pointer(char *value, size_t value_len);

/* Why the last call of this thread failed; "" when it did not. Valid until the next one. */
const char *wasmedge_storage_native_error(void);

#ifdef __cplusplus
}
#endif
