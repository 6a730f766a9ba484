/*
 * mackey.h - the key that authenticates cached code.
 *
 * Whoever knows it can make code that this daemon runs; whoever loses it only has to compile
 * again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vm/native.h"

#define MACKEY_MESSAGE_MAX 256

/*
 * The key from the configured file (path; "" for none), else from the service manager's
 * credential `cache-key`, else from directory/cache.key, which is made when it is missing or
 * damaged. False, with a message: a file that was asked for is not there, not of the right size,
 * or open to others; or none can be made.
 */
bool mackey_load(const char *path, const char *directory, uint8_t out_key[VM_MAC_KEY_BYTES],
                 char message[MACKEY_MESSAGE_MAX]);
