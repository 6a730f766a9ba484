#include "daemon/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include "daemon/config.h"

/* (uid_t)-1 means nobody. */
static bool
parse_id(const char *text, uint32_t *out)
{
	uint64_t number;

	if (!config_parse_count(text, &number) || number >= UINT32_MAX)
		return false;
	*out = (uint32_t)number;
	return true;
}

bool
account_find_user(const char *text, uid_t *out)
{
	if (parse_id(text, out))
		return true;
	errno = 0;
	const struct passwd *entry = getpwnam(text);
	if (entry == NULL)
		return false;
	*out = entry->pw_uid;
	return true;
}

bool
account_find_group(const char *text, gid_t *out)
{
	if (parse_id(text, out))
		return true;
	errno = 0;
	const struct group *entry = getgrnam(text);
	if (entry == NULL)
		return false;
	*out = entry->gr_gid;
	return true;
}
