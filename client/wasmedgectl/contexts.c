#include "client/wasmedgectl/contexts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1 << 20)

__attribute__((format(printf, 2, 3))) static bool
fail(char *message, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, CONTEXTS_MESSAGE_BYTES, format, ap);
	va_end(ap);
	return false;
}

/* NULL when there is no home either, or memory is short. */
static char *
file_path(void)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int len = -1;

	/* The specification of that variable says that relative paths are to be ignored. */
	if (config != NULL && config[0] == '/')
		len = asprintf(&path, "%s/wasmedged/contexts.json", config);
	else if (home != NULL && home[0] == '/')
		len = asprintf(&path, "%s/.config/wasmedged/contexts.json", home);
	return len < 0 ? NULL : path;
}

static bool
check_owner(int fd, const char *path, char *message)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fail(message, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(message, "%s is not a regular file", path);
	if (st.st_size > FILE_BYTES_MAX)
		return fail(message, "%s has more than %d bytes", path, FILE_BYTES_MAX);
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return fail(
		    message,
		    "%s can be written by other users; own it and take that right away (chmod 600)",
		    path);
	return true;
}

static bool
check_shape(const json_t *root, const char *path, char *message)
{
	const json_t *current = json_object_get(root, "current");
	json_t *all = json_object_get(root, "contexts");
	const char *name;
	json_t *context;

	if (!json_is_object(root) || (all != NULL && !json_is_object(all)) ||
	    (current != NULL && !json_is_string(current)))
		return fail(message, "%s: expected an object with \"contexts\" and \"current\"",
		            path);
	json_object_foreach (all, name, context) {
		const json_t *token_file = json_object_get(context, "token_file");

		if (!json_is_string(json_object_get(context, "host")) ||
		    (token_file != NULL && !json_is_string(token_file)))
			return fail(message, "%s: context \"%.64s\" needs a \"host\" in text", path,
			            name);
	}
	return true;
}

static bool
read_file(int fd, const char *path, json_t **out, char *message)
{
	json_error_t error;

	if (!check_owner(fd, path, message))
		return false;
	json_t *root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return fail(message, "%s:%d:%d: %s", path, error.line, error.column, error.text);
	if (!check_shape(root, path, message)) {
		json_decref(root);
		return false;
	}
	*out = root;
	return true;
}

bool
contexts_load(struct contexts *out, char message[CONTEXTS_MESSAGE_BYTES])
{
	struct contexts contexts = { .path = file_path() };
	bool ok = true;

	*out = (struct contexts){ 0 };
	if (contexts.path == NULL)
		return fail(message,
		            "neither XDG_CONFIG_HOME nor HOME says where contexts are kept");
	int fd = open(contexts.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		ok = read_file(fd, contexts.path, &contexts.root, message);
		close(fd);
	} else if (errno != ENOENT && errno != ENOTDIR) {
		ok = fail(message, "%s: %s", contexts.path, strerror(errno));
	}
	if (ok && contexts.root == NULL) {
		contexts.root = json_object();
		ok = contexts.root != NULL || fail(message, "out of memory");
	}
	if (!ok) {
		contexts_clear(&contexts);
		return false;
	}
	*out = contexts;
	return true;
}

void
contexts_clear(struct contexts *contexts)
{
	free(contexts->path);
	json_decref(contexts->root);
	*contexts = (struct contexts){ 0 };
}

/* Makes the folders of a path, those that are missing with mode 0700. */
static bool
make_folders(const char *path, char *message)
{
	char *copy = strdup(path);
	bool ok = copy != NULL;

	for (char *slash = ok ? strchr(copy + 1, '/') : NULL; slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
			fail(message, "cannot make the folder %s: %s", copy, strerror(errno));
			free(copy);
			return false;
		}
		*slash = '/';
	}
	free(copy);
	return ok || fail(message, "out of memory");
}

static bool
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

bool
contexts_save(const struct contexts *contexts, char message[CONTEXTS_MESSAGE_BYTES])
{
	char *text = json_dumps(contexts->root, JSON_INDENT(2));
	char *temporary = NULL;
	bool ok = false;
	int fd = -1;

	if (text == NULL || asprintf(&temporary, "%s.XXXXXX", contexts->path) < 0) {
		temporary = NULL;
		fail(message, "out of memory");
		goto done;
	}
	if (!make_folders(contexts->path, message))
		goto done;
	fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
	ok = fd >= 0 && write_all(fd, text, strlen(text)) && write_all(fd, "\n", 1) &&
	     fsync(fd) == 0 && rename(temporary, contexts->path) == 0;
	if (!ok) {
		fail(message, "cannot write %s: %s", contexts->path, strerror(errno));
		if (fd >= 0)
			unlink(temporary);
	}
done:
	if (fd >= 0)
		close(fd);
	free(temporary);
	free(text);
	return ok;
}

static json_t *
find(const struct contexts *contexts, const char *name)
{
	return json_object_get(json_object_get(contexts->root, "contexts"), name);
}

const char *
contexts_current(const struct contexts *contexts)
{
	return json_string_value(json_object_get(contexts->root, "current"));
}

bool
contexts_has(const struct contexts *contexts, const char *name)
{
	return find(contexts, name) != NULL;
}

const char *
contexts_host(const struct contexts *contexts, const char *name)
{
	return json_string_value(json_object_get(find(contexts, name), "host"));
}

const char *
contexts_token_file(const struct contexts *contexts, const char *name)
{
	return json_string_value(json_object_get(find(contexts, name), "token_file"));
}

bool
contexts_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= CONTEXT_NAME_MAX && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	           len;
}

bool
contexts_set(struct contexts *contexts, const char *name, const char *host, const char *token_file)
{
	json_t *all = json_object_get(contexts->root, "contexts");
	json_t *context = json_object();

	if (all == NULL) {
		if (json_object_set_new(contexts->root, "contexts", json_object()) != 0)
			goto failed;
		all = json_object_get(contexts->root, "contexts");
	}
	if (context == NULL || json_object_set_new(context, "host", json_string(host)) != 0)
		goto failed;
	if (token_file != NULL &&
	    json_object_set_new(context, "token_file", json_string(token_file)) != 0)
		goto failed;
	return json_object_set_new(all, name, context) == 0; /* takes it in any case */
failed:
	json_decref(context);
	return false;
}

bool
contexts_use(struct contexts *contexts, const char *name)
{
	return json_object_set_new(contexts->root, "current", json_string(name)) == 0;
}

void
contexts_remove(struct contexts *contexts, const char *name)
{
	const char *current = contexts_current(contexts);

	if (current != NULL && strcmp(current, name) == 0)
		json_object_del(contexts->root, "current");
	json_object_del(json_object_get(contexts->root, "contexts"), name);
}
