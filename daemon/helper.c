#include "daemon/helper.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
helper_find(const char *name, const char *setting, char *out, size_t size)
{
	char own[4000];

	if (setting[0] != '\0') {
		snprintf(out, size, "%s", setting);
		return;
	}
	ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
	own[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(own, '/');
	if (slash != NULL) {
		*slash = '\0';
		snprintf(out, size, "%s/%s", own, name);
		if (access(out, X_OK) == 0)
			return;
	}
	snprintf(out, size, "%s/%s", PKGLIBEXECDIR, name);
}
