/*
 * daemon.h - the parts of a running daemon, for those who compose them.
 *
 * One thread, the loop's, owns everything here and runs all endpoints. Guests run on the workers,
 * validation and other long computations on the helpers, SQLite on the store's own threads; all
 * of them answer through the mailbox.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "daemon/auth.h"
#include "daemon/config.h"
#include "daemon/mailbox.h"
#include "daemon/notify.h"
#include "daemon/jobpool.h"
#include "daemon/store.h"
#include "vm/engine.h"

struct artifacts;
struct compiler;
struct feed;
struct invocations;
struct kv;
struct models;
struct operations;
struct plugins;
struct programs;
struct server;

#define CURSOR_KEY_BYTES 32

enum daemon_phase { DAEMON_STARTING, DAEMON_SERVING, DAEMON_DRAINING };

struct daemon {
	uv_loop_t *loop;
	struct config *config;
	enum daemon_phase phase;
	struct mailbox mailbox;
	struct vm_engine *engine;
	struct store *store;
	struct server *server;
	struct jobpool *workers; /* guests run here, nothing else */
	struct jobpool *helpers; /* decoding, validation, big JSON bodies */
	struct jobpool *operators; /* operations of plug-ins for clients without a guest */
	struct plugins *plugins;
	struct models *models;
	struct operations *operations; /* those that such clients wait for */
	struct programs *programs;
	struct artifacts *artifacts; /* native code that is kept */
	struct compiler *compiler;   /* and how it is made */
	struct kv *kv;               /* values under keys */
	struct feed *feed;           /* events for whoever follows */
	_Atomic uint64_t shadow_count; /* calls that might have been repeated; see shadow.h */
	struct invocations *invocations;
	struct auth_table *tokens;
	struct auth_peers *peers;
	struct auth_limiter *limiter;
	struct auth_principal *anonymous; /* of [auth] tcp = none */
	struct notify notify;
	uint8_t cursor_key[CURSOR_KEY_BYTES]; /* of this process: cursors do not outlive it */

	/* private to daemon.c */
	const struct config_sources *sources;
	char *unix_path; /* the socket that is removed at the end, or NULL */
	uv_signal_t signals[3];
	uv_timer_t drain_timer;
	uv_timer_t watchdog_timer;
	uv_timer_t trim_timer;
	uint64_t drain_began_ms;
	bool is_hurried;
	int stop_signal; /* that the engine sends to its workers */
};

/*
 * Serve until a signal ends it. sources is for reloads, notify is taken over. Returns the exit
 * status; what went wrong has been logged.
 */
int daemon_run(struct config *config, const struct config_sources *sources,
               const struct notify *notify);
