/*
 * auth.h - who a client is, and what it may do.
 *
 * Over TCP a client shows a bearer token, a secret of 32 random bytes; the token file holds only
 * its SHA-256. Over the Unix socket the kernel says who it is. Either way the answer is a
 * principal, which carries scopes and limits and may be kept as long as a request lasts, whatever
 * a reload does meanwhile.
 *
 * Token file: one token a line, `#` comments, fields separated by blanks:
 *
 *	id  sha256-of-the-secret-in-hex  scopes  [limits|-]  [expiry]
 *
 *	scopes  comma-separated: modules:read, modules:write, invoke, invoke:PATTERN, kv:read,
 *	        kv:read:PATTERN, kv:write, kv:write:PATTERN, plugins,
 *	        plugins:PATTERN, models:read, models:write, infer, infer:PATTERN, admin, *
 *	        (PATTERN is compared with the reference as the client wrote it, the namespace, or
 *	        the name of the plug-in or model; * is any text)
 *	limits  comma-separated: time=5s, memory_pages=64, fuel=1000000, output_bytes=64KiB
 *	expiry  2027-01-31 or 2027-01-31T12:00:00Z (UTC); the token works until then
 *
 * Threads: tables and principals are immutable and counted; a limiter belongs to one thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "daemon/config.h"
#include "vm/common.h"

struct sockaddr;

#define AUTH_ID_MAX 64
#define AUTH_MESSAGE_MAX 320

struct auth_error {
	char message[AUTH_MESSAGE_MAX]; /* "FILE:LINE: what was expected and found" */
};

enum auth_action {
	AUTH_MODULES_READ,  /* list, inspect, fetch; tags; validate */
	AUTH_MODULES_WRITE, /* upload, delete, tag */
	AUTH_INVOKE,        /* invoke, run; own invocations */
	AUTH_KV_READ,       /* read and list values of one's own tenant */
	AUTH_KV_WRITE,      /* store and remove them */
	AUTH_PLUGINS,       /* operations of plug-ins, without a guest */
	AUTH_MODELS_READ,   /* list, inspect, fetch */
	AUTH_MODELS_WRITE,  /* send, delete */
	AUTH_INFER,         /* infer */
	AUTH_ADMIN,         /* everything else: others' invocations, activity, metrics on TCP */
	AUTH_ACTION_COUNT
};

/* "modules:read" and so on: the scope that a refusal names. */
const char *auth_action_scope(enum auth_action action);

/* 0: no limit from here. The effective limit is the least of this, the request's and the server's.
 */
struct auth_limits {
	uint64_t time_ms;
	uint64_t memory_pages;
	uint64_t fuel;
	uint64_t output_bytes;
};

struct auth_principal;

struct auth_principal *auth_principal_ref(struct auth_principal *principal);
void auth_principal_unref(struct auth_principal *principal); /* NULL is fine */

/* The token's id, or "uid:1000", or "anonymous". */
const char *auth_principal_id(const struct auth_principal *principal);
const struct auth_limits *auth_principal_limits(const struct auth_principal *principal);
/*
 * On whose behalf plug-ins keep what they keep for a request of this principal, and for the guests
 * that it starts. Never "", which is the tenant of programs without a service.
 */
struct vm_str auth_principal_tenant(const struct auth_principal *principal);

/*
 * reference is the module as the client named it, for AUTH_INVOKE ("ns/name:tag", "sha256:..."),
 * a namespace, for AUTH_KV_..., or the name of a plug-in or model, for AUTH_PLUGINS and AUTH_INFER;
 * NULL asks whether there is any that it may use.
 */
bool auth_permits(const struct auth_principal *principal, enum auth_action action,
		  const char *reference);

/* ---- tokens ---- */

struct auth_table;

/*
 * Read the file; path "" gives an empty table, which refuses everybody.
 * False with *err filled: unreadable, a faulty line, an id twice, a file that others may read.
 */
VM_MUST_CHECK bool auth_table_load(const char *path, struct auth_table **out_table,
				   struct auth_error *err);
/* The same from memory; name stands for the file in messages. */
VM_MUST_CHECK bool auth_table_parse(const char *name, const char *text, size_t size_bytes,
				    struct auth_table **out_table, struct auth_error *err);
void auth_table_free(struct auth_table *table); /* principals handed out live on */
size_t auth_table_count(const struct auth_table *table);

enum auth_result {
	AUTH_OK,
	AUTH_MISSING,   /* no Authorization header: 401 with a challenge */
	AUTH_MALFORMED, /* not "Bearer <token>": 401, error="invalid_request" */
	AUTH_UNKNOWN,   /* no such token: 401, error="invalid_token" */
	AUTH_EXPIRED,   /* it was one: 401, error="invalid_token" */
};

/*
 * Judge an Authorization header (NULL: absent). Takes the same time whichever entry matches.
 * now_s is Unix time. On AUTH_OK *out_principal holds a new reference.
 */
enum auth_result auth_check_header(const struct auth_table *table, const char *header,
				   int64_t now_s, struct auth_principal **out_principal);

/* Make a token: prints the secret, once, and the line for the file. False with *err filled. */
VM_MUST_CHECK bool auth_new_token(const char *id, const char *scopes, FILE *out,
				  struct auth_error *err);

/* ---- the Unix socket, and nobody in particular ---- */

struct auth_peers;

/*
 * Who may use the Unix socket: names and numbers of users, of groups. Both empty: everybody who
 * can open it. False with *err filled: no such user or group.
 */
VM_MUST_CHECK bool auth_peers_new(const struct config_list *users, const struct config_list *groups,
				  struct auth_peers **out_peers, struct auth_error *err);
void auth_peers_free(struct auth_peers *peers);

/*
 * Ask the kernel who is at the other end of a connected Unix socket. NULL: not allowed, or the
 * kernel would not say. Otherwise a new reference to a principal with all scopes, "uid:N".
 */
struct auth_principal *auth_peers_check(const struct auth_peers *peers, int fd);

/* A new reference to the principal of `auth.tcp = none`: all scopes, "anonymous". NULL: no memory.
 */
struct auth_principal *auth_anonymous(void);

/* ---- failures ---- */

struct auth_limiter;

/* At most per_minute failures of one address (IPv6: of one /64), then it has to wait. */
struct auth_limiter *auth_limiter_new(uint64_t per_minute);
void auth_limiter_free(struct auth_limiter *limiter);
void auth_limiter_set_rate(struct auth_limiter *limiter, uint64_t per_minute);

/* 0: go on and judge the token; otherwise seconds to wait (429, Retry-After). now_us monotonic. */
unsigned auth_limiter_wait_s(const struct auth_limiter *limiter, const struct sockaddr *peer,
			     uint64_t now_us);
/* Count a wrong token. The table is bounded: the address longest quiet makes room. */
void auth_limiter_failed(struct auth_limiter *limiter, const struct sockaddr *peer,
			 uint64_t now_us);
