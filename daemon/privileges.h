/*
 * privileges.h - from root to a user that may do little.
 *
 * A daemon that was started as root opens its sockets and reads its secrets, and then becomes the
 * user of the settings [service] user and group, for good.
 *
 * Threads: none before others exist
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "vm/common.h"

#define PRIVILEGES_MESSAGE_MAX 256

struct privileges {
	uid_t uid;
	gid_t gid;
	char user[64]; /* as the system's database calls him; "" when he is a number only */
};

/*
 * Who that is. user is not empty; with group empty it is the user's own. False with a message,
 * also when this process may not become that user.
 */
VM_MUST_CHECK bool privileges_find(const char *user, const char *group, struct privileges *out,
                                   char message[PRIVILEGES_MESSAGE_MAX]);

/*
 * Become that user: his groups, no capability, and no program that gives one back. Does nothing
 * when this process is that user already. False with a message; the process is then in between
 * and has to end.
 */
VM_MUST_CHECK bool privileges_drop(const struct privileges *to,
                                   char message[PRIVILEGES_MESSAGE_MAX]);

/*
 * Make the folder, as root, if it is not there, for that user. A folder that is there is left as
 * it is. False with a message.
 */
VM_MUST_CHECK bool privileges_make_folder(const struct privileges *to, const char *path,
                                          char message[PRIVILEGES_MESSAGE_MAX]);

/* Whether this process can work in a folder. False with a message that says what to do. */
VM_MUST_CHECK bool privileges_may_write(const char *path, char message[PRIVILEGES_MESSAGE_MAX]);
