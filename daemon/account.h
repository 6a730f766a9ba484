/*
 * account.h - users and groups that settings name, by name or number.
 *
 * Threads: one at a time; the system's databases answer into memory of their own
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* False with errno, which is 0 when there is none of that name. A number stands for itself. */
bool account_find_user(const char *text, uid_t *out);
bool account_find_group(const char *text, gid_t *out);
