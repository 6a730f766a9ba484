/*
 * schema.h - the catalogue's tables, and the way from older ones.
 *
 * PRAGMA user_version counts the migrations that have been applied. They only go forward, each in
 * a transaction of its own, so a crash leaves a whole version; before the first of them a copy of
 * an existing database is made beside it.
 */
#pragma once

#include "daemon/store/db.h"

struct migration {
	const char *text; /* SQL */
};

/*
 * Apply what is missing. path is the database's, for the name of the copy: <path>.version-<N>.
 *
 * Returns STORE_E_VERSION the database has more migrations than we know
 *         STORE_E_DAMAGED it is a database, but not a catalogue
 *         STORE_E_IO, STORE_E_FULL, STORE_E_NOMEM
 */
enum store_status schema_migrate(struct db *db, const char *path, const struct migration *all,
				 size_t count, struct store_error *err);

/* The migrations of this program. */
extern const struct migration schema_migrations[];
extern const size_t schema_migration_count;
