#include "daemon/auth.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <nettle/memops.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/account.h"
#include "rpc/digest.h"

#define FILE_BYTES_MAX ((size_t)4 << 20)
#define LINE_BYTES_MAX 4096
#define SECRET_BYTES 32
#define SECRET_PREFIX "wsm_"
#define PRESENTED_MAX 256 /* bytes of a token that is worth hashing */

/* ---- principals ---- */

/* What a scope names that goes on with a pattern. */
struct pattern {
	struct pattern *next;
	enum auth_action action;
	char text[];
};

struct auth_principal {
	atomic_uint references;
	unsigned scopes; /* bit of an action: allowed, whatever it is done with */
	struct pattern *patterns;
	struct auth_limits limits;
	char id[AUTH_ID_MAX + 1];
};

#define ALL_SCOPES ((1u << AUTH_ACTION_COUNT) - 1)

static const char *const scope_names[AUTH_ACTION_COUNT] = {
	[AUTH_MODULES_READ] = "modules:read",
	[AUTH_MODULES_WRITE] = "modules:write",
	[AUTH_INVOKE] = "invoke",
	[AUTH_KV_READ] = "kv:read",
	[AUTH_KV_WRITE] = "kv:write",
	[AUTH_PLUGINS] = "plugins",
	[AUTH_MODELS_READ] = "models:read",
	[AUTH_MODELS_WRITE] = "models:write",
	[AUTH_INFER] = "infer",
	[AUTH_ADMIN] = "admin",
};

const char *
auth_action_scope(enum auth_action action)
{
	return scope_names[action];
}

static struct auth_principal *
principal_new(const char *id)
{
	struct auth_principal *principal = calloc(1, sizeof *principal);

	if (principal == NULL)
		return NULL;
	principal->references = 1;
	snprintf(principal->id, sizeof principal->id, "%s", id);
	return principal;
}

struct auth_principal *
auth_principal_ref(struct auth_principal *principal)
{
	atomic_fetch_add(&principal->references, 1);
	return principal;
}

void
auth_principal_unref(struct auth_principal *principal)
{
	if (principal == NULL || atomic_fetch_sub(&principal->references, 1) > 1)
		return;
	while (principal->patterns != NULL) {
		struct pattern *pattern = principal->patterns;

		principal->patterns = pattern->next;
		free(pattern);
	}
	free(principal);
}

const char *
auth_principal_id(const struct auth_principal *principal)
{
	return principal->id;
}

const struct auth_limits *
auth_principal_limits(const struct auth_principal *principal)
{
	return &principal->limits;
}

struct vm_str
auth_principal_tenant(const struct auth_principal *principal)
{
	return (struct vm_str){ principal->id, strlen(principal->id) };
}

/*
 * Whether text fits a pattern in which * is any text. Remembering only the last star suffices:
 * what an earlier one took was the shortest that fits.
 */
static bool
matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

bool
auth_permits(const struct auth_principal *principal, enum auth_action action, const char *reference)
{
	if ((unsigned)action >= AUTH_ACTION_COUNT)
		return false;
	if ((principal->scopes & 1u << action) != 0)
		return true;
	for (const struct pattern *p = principal->patterns; p != NULL; p = p->next)
		if (p->action == action && (reference == NULL || matches(p->text, reference)))
			return true;
	return false;
}

struct auth_principal *
auth_anonymous(void)
{
	struct auth_principal *principal = principal_new("anonymous");

	if (principal != NULL)
		principal->scopes = ALL_SCOPES;
	return principal;
}

/* ---- the token file ---- */

struct token {
	struct digest hash;
	int64_t expires_s; /* 0: never */
	struct auth_principal *principal;
};

struct auth_table {
	struct token *tokens;
	size_t count;
};

/* A line being read. */
struct line {
	const char *name; /* of the file */
	unsigned number;
	struct auth_error *err;
};

static bool VM_PRINTF(2, 3) refuse(const struct line *line, const char *format, ...)
{
	size_t size = sizeof line->err->message;
	char *message = line->err->message;
	va_list args;

	if (line->number > 0)
		snprintf(message, size, "%s:%u: ", line->name, line->number);
	else
		snprintf(message, size, "%s: ", line->name);
	size_t used = strlen(message);
	va_start(args, format);
	vsnprintf(message + used, size - used, format, args);
	va_end(args);
	return false;
}

static bool
add_pattern(const struct line *line, struct auth_principal *principal, enum auth_action action,
	    const char *text)
{
	size_t size = strlen(text) + 1;
	struct pattern *pattern = calloc(1, sizeof *pattern + size);

	if (size == 1) {
		free(pattern);
		return refuse(line, "scope \"%s:\": expected a pattern such as demo* after it",
			      scope_names[action]);
	}
	if (pattern == NULL)
		return refuse(line, "out of memory");
	memcpy(pattern->text, text, size);
	pattern->action = action;
	pattern->next = principal->patterns;
	principal->patterns = pattern;
	return true;
}

static bool
add_scope(const struct line *line, struct auth_principal *principal, const char *scope)
{
	static const enum auth_action with_pattern[] = { AUTH_INVOKE, AUTH_KV_READ, AUTH_KV_WRITE,
						       AUTH_PLUGINS, AUTH_INFER };

	if (strcmp(scope, "*") == 0) {
		principal->scopes = ALL_SCOPES;
		return true;
	}
	for (unsigned i = 0; i < AUTH_ACTION_COUNT; i++)
		if (strcmp(scope, scope_names[i]) == 0) {
			principal->scopes |= 1u << i;
			return true;
		}
	for (size_t i = 0; i < sizeof with_pattern / sizeof with_pattern[0]; i++) {
		size_t size = strlen(scope_names[with_pattern[i]]);

		if (strncmp(scope, scope_names[with_pattern[i]], size) == 0 && scope[size] == ':')
			return add_pattern(line, principal, with_pattern[i], scope + size + 1);
	}
	return refuse(line,
		      "unknown scope \"%.40s\"; expected modules:read, modules:write, invoke, "
		      "invoke:PATTERN, kv:read, kv:read:PATTERN, kv:write, kv:write:PATTERN, "
		      "plugins, plugins:PATTERN, models:read, models:write, infer, "
		      "infer:PATTERN, admin or *",
		      scope);
}

/* Comma-separated parts, each handed to add; text is taken apart. */
static bool
each_part(const struct line *line, struct auth_principal *principal, char *text,
	  bool (*add)(const struct line *line, struct auth_principal *principal, const char *part))
{
	for (char *next = text; next != NULL;) {
		char *part = strsep(&next, ",");

		if (!add(line, principal, part))
			return false;
	}
	return true;
}

static bool
add_limit(const struct line *line, struct auth_principal *principal, const char *limit)
{
	const struct {
		const char *name;
		bool (*parse)(const char *text, uint64_t *out);
		uint64_t *field;
	} limits[] = {
		{ "time", config_parse_time, &principal->limits.time_ms },
		{ "memory_pages", config_parse_count, &principal->limits.memory_pages },
		{ "fuel", config_parse_count, &principal->limits.fuel },
		{ "output_bytes", config_parse_size, &principal->limits.output_bytes },
	};
	const char *equals = strchr(limit, '=');

	for (size_t i = 0; equals != NULL && i < sizeof limits / sizeof limits[0]; i++) {
		if (strlen(limits[i].name) != (size_t)(equals - limit) ||
		    strncmp(limit, limits[i].name, (size_t)(equals - limit)) != 0)
			continue;
		if (limits[i].parse(equals + 1, limits[i].field) && *limits[i].field > 0)
			return true;
		break;
	}
	return refuse(line,
		      "limit \"%.40s\": expected time=5s, memory_pages=64, fuel=1000000 or "
		      "output_bytes=64KiB, above 0",
		      limit);
}

/* Two forms, both UTC: 2027-01-31, 2027-01-31T12:00:00Z. */
static bool
parse_expiry(const struct line *line, const char *text, int64_t *out)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (end == NULL || *end != '\0') {
		tm = (struct tm){ 0 };
		end = strptime(text, "%Y-%m-%d", &tm);
	}
	if (end == NULL || *end != '\0')
		return refuse(line, "expiry \"%.40s\": expected 2027-01-31 or 2027-01-31T12:00:00Z",
			      text);
	int64_t seconds = timegm(&tm);
	if (seconds <= 0)
		return refuse(line, "expiry \"%.40s\" is not a time", text);
	*out = seconds;
	return true;
}

static bool
is_id(const char *id)
{
	size_t size =
	    strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return size > 0 && size <= AUTH_ID_MAX && id[size] == '\0';
}

enum { FIELD_ID, FIELD_HASH, FIELD_SCOPES, FIELD_LIMITS, FIELD_EXPIRY, FIELD_COUNT };

/* Split at blanks. Returns how many, FIELD_COUNT + 1 for more. */
static unsigned
split_fields(char *text, char *fields[FIELD_COUNT])
{
	unsigned count = 0;
	char *rest = text;

	for (char *field; (field = strtok_r(rest, " \t\r", &rest)) != NULL; count++) {
		if (count == FIELD_COUNT)
			return FIELD_COUNT + 1;
		fields[count] = field;
	}
	return count;
}

/* The rest of a token whose principal exists. */
static bool
fill_token(const struct line *line, char *fields[FIELD_COUNT], unsigned count, struct token *token)
{
	if (!digest_from_hex(fields[FIELD_HASH], &token->hash))
		return refuse(line,
			      "token %s: expected the SHA-256 of its secret, 64 lower-case "
			      "hexadecimal digits",
			      fields[FIELD_ID]);
	if (!each_part(line, token->principal, fields[FIELD_SCOPES], add_scope))
		return false;
	if (count > FIELD_LIMITS && strcmp(fields[FIELD_LIMITS], "-") != 0 &&
	    !each_part(line, token->principal, fields[FIELD_LIMITS], add_limit))
		return false;
	return count <= FIELD_EXPIRY || strcmp(fields[FIELD_EXPIRY], "-") == 0 ||
	       parse_expiry(line, fields[FIELD_EXPIRY], &token->expires_s);
}

static bool
check_new(const struct auth_table *table, const struct token *token, const struct line *line)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct token *other = &table->tokens[i];

		if (strcmp(other->principal->id, token->principal->id) == 0)
			return refuse(line, "token %s stands in the file already",
				      other->principal->id);
		if (digest_equal(&other->hash, &token->hash))
			return refuse(line, "token %s has the same secret as %s",
				      token->principal->id, other->principal->id);
	}
	return true;
}

static bool
append_token(struct auth_table *table, const struct token *token, const struct line *line)
{
	struct token *larger = reallocarray(table->tokens, table->count + 1, sizeof *table->tokens);

	if (larger == NULL)
		return refuse(line, "out of memory");
	table->tokens = larger;
	table->tokens[table->count++] = *token;
	return true;
}

/* One line, without its end; text is taken apart. */
static bool
parse_line(struct auth_table *table, const struct line *line, char *text)
{
	char *fields[FIELD_COUNT];
	struct token token = { 0 };

	text[strcspn(text, "#")] = '\0';
	unsigned count = split_fields(text, fields);
	if (count == 0)
		return true;
	if (count < FIELD_LIMITS || count > FIELD_COUNT)
		return refuse(line,
			      "expected \"id sha256 scopes [limits [expiry]]\", found %s fields",
			      count > FIELD_COUNT ? "more" : "fewer");
	if (!is_id(fields[FIELD_ID]))
		return refuse(line, "id: expected 1 to %d of A-Z a-z 0-9 . _ -, found \"%.80s\"",
			      AUTH_ID_MAX, fields[FIELD_ID]);
	token.principal = principal_new(fields[FIELD_ID]);
	if (token.principal == NULL)
		return refuse(line, "out of memory");
	if (!fill_token(line, fields, count, &token) || !check_new(table, &token, line) ||
	    !append_token(table, &token, line)) {
		auth_principal_unref(token.principal);
		return false;
	}
	return true;
}

static bool
parse_text(struct auth_table *table, const char *name, const char *text, size_t size,
	   struct auth_error *err)
{
	struct line line = { .name = name, .err = err };
	const char *end = text + size;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline != NULL ? newline : end) - text);
		char copy[LINE_BYTES_MAX + 1];

		line.number++;
		if (length > LINE_BYTES_MAX)
			return refuse(&line, "line has more than %d bytes", LINE_BYTES_MAX);
		if (memchr(text, '\0', length) != NULL)
			return refuse(&line, "line holds a zero byte");
		memcpy(copy, text, length);
		copy[length] = '\0';
		if (!parse_line(table, &line, copy))
			return false;
		text += length + (newline != NULL ? 1 : 0);
	}
	return true;
}

bool
auth_table_parse(const char *name, const char *text, size_t size_bytes,
		 struct auth_table **out_table, struct auth_error *err)
{
	const struct line line = { .name = name, .err = err };
	struct auth_table *table = calloc(1, sizeof *table);

	if (table == NULL)
		return refuse(&line, "out of memory");
	if (!parse_text(table, name, text, size_bytes, err)) {
		auth_table_free(table);
		return false;
	}
	*out_table = table;
	return true;
}

/* The hashes are no secrets, but who may change the file may let itself in. */
static bool
check_file(const struct line *line, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return refuse(line, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(line, "expected a file");
	if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		return refuse(line, "mode %04o lets others read or change it; chmod 0600, or 0640",
			      (unsigned)st.st_mode & 07777);
	if ((uint64_t)st.st_size > FILE_BYTES_MAX)
		return refuse(line, "file has more than %zu bytes", FILE_BYTES_MAX);
	return true;
}

/* Up to FILE_BYTES_MAX bytes into text. */
static bool
read_all(const struct line *line, int fd, char *text, size_t *out_size)
{
	size_t size = 0;

	while (size < FILE_BYTES_MAX) {
		ssize_t got = read(fd, text + size, FILE_BYTES_MAX - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return refuse(line, "%s", strerror(errno));
		if (got == 0)
			break;
		size += (size_t)got;
	}
	*out_size = size;
	return true;
}

bool
auth_table_load(const char *path, struct auth_table **out_table, struct auth_error *err)
{
	const struct line line = { .name = path, .err = err };
	char *text = NULL;
	size_t size = 0;
	bool ok = false;

	if (path[0] == '\0')
		return auth_table_parse("", "", 0, out_table, err);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(&line, "%s", strerror(errno));
	if (!check_file(&line, fd))
		goto done;
	text = malloc(FILE_BYTES_MAX);
	if (text == NULL) {
		refuse(&line, "out of memory");
		goto done;
	}
	ok = read_all(&line, fd, text, &size) && auth_table_parse(path, text, size, out_table, err);
done:
	free(text);
	close(fd);
	return ok;
}

void
auth_table_free(struct auth_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->count; i++)
		auth_principal_unref(table->tokens[i].principal);
	free(table->tokens);
	free(table);
}

size_t
auth_table_count(const struct auth_table *table)
{
	return table->count;
}

/* ---- judging ---- */

/* The token in "Bearer <token>", or NULL. */
static const char *
bearer_token(const char *header)
{
	static const char scheme[] = "Bearer ";

	if (strncasecmp(header, scheme, sizeof scheme - 1) != 0)
		return NULL;
	header += sizeof scheme - 1;
	header += strspn(header, " ");
	size_t size = strspn(header, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789-._~+/=");
	return size > 0 && size <= PRESENTED_MAX && header[size] == '\0' ? header : NULL;
}

/* All entries are compared, each in constant time: nothing tells how far a guess got. */
static const struct token *
find_token(const struct auth_table *table, const struct digest *hash)
{
	const struct token *found = NULL;

	for (size_t i = 0; i < table->count; i++)
		if (memeql_sec(table->tokens[i].hash.bytes, hash->bytes, DIGEST_BYTES))
			found = &table->tokens[i];
	return found;
}

enum auth_result
auth_check_header(const struct auth_table *table, const char *header, int64_t now_s,
		  struct auth_principal **out_principal)
{
	struct digest hash;

	if (header == NULL)
		return AUTH_MISSING;
	const char *secret = bearer_token(header);
	if (secret == NULL)
		return AUTH_MALFORMED;
	digest_of(secret, strlen(secret), &hash);
	const struct token *token = find_token(table, &hash);
	if (token == NULL)
		return AUTH_UNKNOWN;
	if (token->expires_s != 0 && now_s >= token->expires_s)
		return AUTH_EXPIRED;
	*out_principal = auth_principal_ref(token->principal);
	return AUTH_OK;
}

/* ---- a new token ---- */

/* Prefix and hexadecimal: recognisable, and safe in any header, URL or shell. */
static bool
make_secret(char out[sizeof SECRET_PREFIX + 2 * SECRET_BYTES])
{
	uint8_t random[SECRET_BYTES];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return false;
	memcpy(out, SECRET_PREFIX, sizeof SECRET_PREFIX);
	rpc_hex_encode(random, sizeof random, out + sizeof SECRET_PREFIX - 1);
	out[sizeof SECRET_PREFIX - 1 + 2 * sizeof random] = '\0';
	return true;
}

bool
auth_new_token(const char *id, const char *scopes, FILE *out, struct auth_error *err)
{
	const struct line where = { .name = "new token", .err = err };
	char secret[sizeof SECRET_PREFIX + 2 * SECRET_BYTES];
	char line[LINE_BYTES_MAX], hex[2 * DIGEST_BYTES + 1];
	struct auth_table *table;
	struct digest hash;

	if (!make_secret(secret))
		return refuse(&where, "no random numbers: %s", strerror(errno));
	digest_of(secret, strlen(secret), &hash);
	digest_hex(&hash, hex);
	int size = snprintf(line, sizeof line, "%s %s %s", id, hex, scopes);
	if (size >= (int)sizeof line)
		return refuse(&where, "id and scopes are too long");
	/* What is printed must be acceptable when it comes back. */
	if (strpbrk(line, "#\n") != NULL ||
	    !auth_table_parse("new token", line, (size_t)size, &table, err)) {
		if (strpbrk(line, "#\n") != NULL)
			refuse(&where, "id and scopes cannot hold # or line ends");
		return false;
	}
	size_t count = auth_table_count(table);
	auth_table_free(table);
	if (count != 1)
		return refuse(&where, "expected an id and its scopes");
	fprintf(out,
		"# The secret, for the client; it is shown this once:\n%s\n"
		"# The line for the [auth] tokens_file:\n%s\n",
		secret, line);
	if (fflush(out) != 0 || ferror(out))
		return refuse(&where, "cannot write: %s", strerror(errno));
	return true;
}

/* ---- peers ---- */

struct auth_peers {
	uid_t *users;
	size_t user_count;
	gid_t *groups;
	size_t group_count;
};

static bool
find_user(const char *text, uid_t *out, struct auth_error *err)
{
	const struct line line = { .name = "[auth] unix_users", .err = err };

	return account_find_user(text, out) ||
	       refuse(&line, "no user \"%.64s\"%s%s", text, errno != 0 ? ": " : "",
		      errno != 0 ? strerror(errno) : "");
}

static bool
find_group(const char *text, gid_t *out, struct auth_error *err)
{
	const struct line line = { .name = "[auth] unix_groups", .err = err };

	return account_find_group(text, out) ||
	       refuse(&line, "no group \"%.64s\"%s%s", text, errno != 0 ? ": " : "",
		      errno != 0 ? strerror(errno) : "");
}

static bool
fill_peers(struct auth_peers *peers, const struct config_list *users,
	   const struct config_list *groups, struct auth_error *err)
{
	for (; peers->user_count < users->count; peers->user_count++)
		if (!find_user(users->items[peers->user_count], &peers->users[peers->user_count],
			       err))
			return false;
	for (; peers->group_count < groups->count; peers->group_count++)
		if (!find_group(groups->items[peers->group_count],
				&peers->groups[peers->group_count], err))
			return false;
	return true;
}

bool
auth_peers_new(const struct config_list *users, const struct config_list *groups,
	       struct auth_peers **out_peers, struct auth_error *err)
{
	const struct line line = { .name = "[auth]", .err = err };
	struct auth_peers *peers = calloc(1, sizeof *peers);

	if (peers == NULL)
		return refuse(&line, "out of memory");
	peers->users = calloc(users->count + 1, sizeof *peers->users);
	peers->groups = calloc(groups->count + 1, sizeof *peers->groups);
	if (peers->users == NULL || peers->groups == NULL) {
		refuse(&line, "out of memory");
		goto failed;
	}
	if (!fill_peers(peers, users, groups, err))
		goto failed;
	*out_peers = peers;
	return true;
failed:
	auth_peers_free(peers);
	return false;
}

void
auth_peers_free(struct auth_peers *peers)
{
	if (peers == NULL)
		return;
	free(peers->users);
	free(peers->groups);
	free(peers);
}

static bool
has_group(const struct auth_peers *peers, gid_t group)
{
	for (size_t i = 0; i < peers->group_count; i++)
		if (peers->groups[i] == group)
			return true;
	return false;
}

/* Its supplementary groups, which the kernel keeps with the connection as well. */
static bool
has_other_group(const struct auth_peers *peers, int fd)
{
	gid_t groups[1024];
	socklen_t size = sizeof groups;

	if (peers->group_count == 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0)
		return false;
	for (size_t i = 0; i < size / sizeof groups[0]; i++)
		if (has_group(peers, groups[i]))
			return true;
	return false;
}

static bool
is_allowed(const struct auth_peers *peers, const struct ucred *peer, int fd)
{
	if (peers->user_count == 0 && peers->group_count == 0)
		return true;
	for (size_t i = 0; i < peers->user_count; i++)
		if (peers->users[i] == peer->uid)
			return true;
	return has_group(peers, peer->gid) || has_other_group(peers, fd);
}

struct auth_principal *
auth_peers_check(const struct auth_peers *peers, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	char id[32];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer ||
	    peer.uid == (uid_t)-1 || !is_allowed(peers, &peer, fd))
		return NULL;
	snprintf(id, sizeof id, "uid:%" PRIu32, (uint32_t)peer.uid);
	struct auth_principal *principal = principal_new(id);
	if (principal != NULL)
		principal->scopes = ALL_SCOPES;
	return principal;
}

/* ---- failures ---- */

#define LIMITER_SLOTS 1024
#define LIMITER_WAYS 8 /* slots that an address may be in */
#define MINUTE_US UINT64_C(60000000)

/* An address, and how much of its allowance it has used up, which flows back with time. */
struct failures {
	uint8_t address[16]; /* IPv4 mapped; of IPv6 the first 64 bits */
	uint64_t seen_us;    /* 0: free */
	double used;
};

struct auth_limiter {
	uint64_t per_minute;
	uint64_t seed;
	struct failures slots[LIMITER_SLOTS];
};

struct auth_limiter *
auth_limiter_new(uint64_t per_minute)
{
	struct auth_limiter *limiter = calloc(1, sizeof *limiter);

	if (limiter == NULL)
		return NULL;
	limiter->per_minute = per_minute;
	if (getrandom(&limiter->seed, sizeof limiter->seed, GRND_NONBLOCK) != sizeof limiter->seed)
		limiter->seed = (uintptr_t)limiter;
	return limiter;
}

void
auth_limiter_free(struct auth_limiter *limiter)
{
	free(limiter);
}

void
auth_limiter_set_rate(struct auth_limiter *limiter, uint64_t per_minute)
{
	limiter->per_minute = per_minute;
}

/* False for what has no address, such as a Unix socket. */
static bool
address_of(const struct sockaddr *peer, uint8_t out[16])
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	memset(out, 0, 16);
	if (peer != NULL && peer->sa_family == AF_INET) {
		memcpy(&v4, peer, sizeof v4);
		out[10] = out[11] = 0xff;
		memcpy(out + 12, &v4.sin_addr, 4);
		return true;
	}
	if (peer != NULL && peer->sa_family == AF_INET6) {
		memcpy(&v6, peer, sizeof v6);
		memcpy(out, &v6.sin6_addr, IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? 16 : 8);
		return true;
	}
	return false;
}

/* The first of the slots that an address may be in. */
static size_t
first_slot(const struct auth_limiter *limiter, const uint8_t address[16])
{
	uint64_t hash = limiter->seed;

	for (size_t i = 0; i < 16; i++) {
		hash = (hash ^ address[i]) * UINT64_C(0xd6e8feb86659fd93);
		hash ^= hash >> 32;
	}
	return (size_t)(hash % (LIMITER_SLOTS / LIMITER_WAYS)) * LIMITER_WAYS;
}

/* What is used up by now. */
static double
used_now(const struct auth_limiter *limiter, const struct failures *slot, uint64_t now_us)
{
	uint64_t passed_us = now_us > slot->seen_us ? now_us - slot->seen_us : 0;
	double used = slot->used - (double)passed_us * (double)limiter->per_minute / MINUTE_US;

	return used > 0 ? used : 0;
}

unsigned
auth_limiter_wait_s(const struct auth_limiter *limiter, const struct sockaddr *peer,
		    uint64_t now_us)
{
	uint8_t address[16];

	if (!address_of(peer, address))
		return 0;
	const struct failures *slots = &limiter->slots[first_slot(limiter, address)];
	for (size_t i = 0; i < LIMITER_WAYS; i++) {
		if (slots[i].seen_us == 0 || memcmp(slots[i].address, address, 16) != 0)
			continue;
		double over =
		    used_now(limiter, &slots[i], now_us) + 1 - (double)limiter->per_minute;
		if (over <= 0)
			return 0;
		return 1 + (unsigned)(over * 60 / (double)limiter->per_minute);
	}
	return 0;
}

/* The address's slot; else the one that was quiet longest. */
static struct failures *
find_slot(struct auth_limiter *limiter, const uint8_t address[16])
{
	struct failures *slots = &limiter->slots[first_slot(limiter, address)];
	struct failures *oldest = slots;

	for (size_t i = 0; i < LIMITER_WAYS; i++) {
		if (slots[i].seen_us != 0 && memcmp(slots[i].address, address, 16) == 0)
			return &slots[i];
		if (slots[i].seen_us < oldest->seen_us)
			oldest = &slots[i];
	}
	memset(oldest, 0, sizeof *oldest);
	memcpy(oldest->address, address, 16);
	return oldest;
}

void
auth_limiter_failed(struct auth_limiter *limiter, const struct sockaddr *peer, uint64_t now_us)
{
	uint8_t address[16];

	if (!address_of(peer, address))
		return;
	struct failures *slot = find_slot(limiter, address);
	double used = slot->seen_us != 0 ? used_now(limiter, slot, now_us) : 0;
	slot->used = used + 1;
	slot->seen_us = now_us > 0 ? now_us : 1;
}
