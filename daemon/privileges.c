#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/account.h"

static bool VM_PRINTF(2, 3)
fail(char message[PRIVILEGES_MESSAGE_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, PRIVILEGES_MESSAGE_MAX, format, args);
	va_end(args);
	return false;
}

static const char *
reason(int error)
{
	return error == 0 ? "the system knows none of that name" : strerror(error);
}

bool
privileges_find(const char *user, const char *group, struct privileges *out,
                char message[PRIVILEGES_MESSAGE_MAX])
{
	struct privileges found = { .gid = (gid_t)-1 };

	if (!account_find_user(user, &found.uid))
		return fail(message, "[service] user: \"%.64s\": %s", user, reason(errno));
	if (found.uid == 0)
		return fail(message, "[service] user: expected another than root; leave it empty "
		                     "to stay what the daemon was started as");
	const struct passwd *entry = getpwuid(found.uid);
	if (entry != NULL) {
		found.gid = entry->pw_gid;
		snprintf(found.user, sizeof found.user, "%s", entry->pw_name);
	}
	if (group[0] != '\0' && !account_find_group(group, &found.gid))
		return fail(message, "[service] group: \"%.64s\": %s", group, reason(errno));
	if (found.gid == (gid_t)-1)
		return fail(message, "[service] user: the system does not know user %u; set group, "
		                     "too", (unsigned)found.uid);
	if (geteuid() != 0 && geteuid() != found.uid)
		return fail(message, "[service] user: only root may become %.64s; start the daemon "
		                     "as root, or leave user empty", user);
	*out = found;
	return true;
}

/* What no program that is run later can get back. The kernel has an end of the list of its own. */
static void
drop_bounding_set(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		(void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); /* refused where root has less */
}

static bool
drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
	       syscall(SYS_capset, &header, none) == 0;
}

static bool
set_groups(const struct privileges *to)
{
	if (to->user[0] != '\0')
		return initgroups(to->user, to->gid) == 0;
	return setgroups(1, &to->gid) == 0;
}

bool
privileges_drop(const struct privileges *to, char message[PRIVILEGES_MESSAGE_MAX])
{
	if (geteuid() == 0) {
		drop_bounding_set();
		if (!set_groups(to) || setresgid(to->gid, to->gid, to->gid) != 0 ||
		    setresuid(to->uid, to->uid, to->uid) != 0)
			return fail(message, "cannot become user %u, group %u: %s",
			            (unsigned)to->uid, (unsigned)to->gid, strerror(errno));
	}
	if (!drop_capabilities() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return fail(message, "cannot give up privileges: %s", strerror(errno));
	if (setuid(0) == 0)
		return fail(message, "user %u can become root again", (unsigned)to->uid);
	/* Changing users hides /proc/self from ourselves; metrics are read from there. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return true;
}

bool
privileges_make_folder(const struct privileges *to, const char *path,
                       char message[PRIVILEGES_MESSAGE_MAX])
{
	if (geteuid() != 0)
		return true;
	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? true
		                       : fail(message, "%s: cannot create this folder: %s", path,
		                              strerror(errno));
	if (lchown(path, to->uid, to->gid) == 0)
		return true;
	return fail(message, "%s: cannot give it to user %u: %s", path, (unsigned)to->uid,
	            strerror(errno));
}

bool
privileges_may_write(const char *path, char message[PRIVILEGES_MESSAGE_MAX])
{
	if (access(path, R_OK | W_OK | X_OK) == 0 || errno == ENOENT)
		return true;
	return fail(message, "%s: user %u may not work in this folder (%s); give it to him with "
	                     "chown -R %u", path, (unsigned)geteuid(), strerror(errno),
	            (unsigned)geteuid());
}
