/* The migrations compiled in from migrations/, and their application. */
#ifndef RECSYSD_STORE_MIGRATE_H
#define RECSYSD_STORE_MIGRATE_H

#include "database.h"

struct rec_migration {
    const char *name; /* "0001_first_tables.sql" */
    const char *sql;
};
extern const struct rec_migration rec_migrations[]; /* migration n is [n - 1] */
extern const int rec_migration_count;

/* Looks only: a recsysd database of the present schema? *fresh: an empty file. CORRUPT for
 * another application's, a newer or, unless `writable`, an older one. */
enum rec_status rec_migrate_check(struct rec_database *db, const char *path, bool writable,
                                  bool *fresh, struct rec_error *err);

/* Brings a checked database to the present schema, one transaction per migration. */
enum rec_status rec_migrate_run(struct rec_database *db, const char *path, struct rec_error *err);

#endif
