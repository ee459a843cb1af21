/* Migrations: PRAGMA user_version says how many a database has had, PRAGMA application_id says that
 * it is ours. Each runs in one transaction with the new user_version in it, so a crash leaves a
 * database at one version or the next, never between. */
#include <stdio.h>

#include "migrate.h"

enum { APPLICATION_ID = 0x72656373 }; /* "recs" */

enum rec_status rec_migrate_check(struct rec_database *db, const char *path, bool writable,
                                  bool *fresh, struct rec_error *err) {
    int64_t application = 0, version = 0, objects = 0;
    struct rec_error cause = {0};
    enum rec_status st = rec_database_number(db, "PRAGMA application_id", &application, &cause);
    if (st == REC_OK)
        st = rec_database_number(db, "PRAGMA user_version", &version, &cause);
    if (st == REC_OK)
        st = rec_database_number(db, "SELECT count(*) FROM sqlite_schema", &objects, &cause);
    if (st != REC_OK)
        return rec_error_set(err, st, "%s: %s", path, cause.text);

    *fresh = application == 0 && version == 0 && objects == 0;
    if (*fresh && !writable)
        return rec_error_set(err, REC_CORRUPT, "%s: is empty; import data first", path);
    if (*fresh)
        return REC_OK;
    if (application != APPLICATION_ID)
        return rec_error_set(err, REC_CORRUPT,
                             "%s: is another application's database (application_id %lld)", path,
                             (long long)application);
    if (version > rec_migration_count)
        return rec_error_set(err, REC_CORRUPT,
                             "%s: has schema %lld, newer than this recsysd's %d; use the newer one",
                             path, (long long)version, rec_migration_count);
    if (version < 1 || (version < rec_migration_count && !writable))
        return rec_error_set(err, REC_CORRUPT,
                             "%s: has schema %lld, this recsysd needs %d; start the daemon or an "
                             "import once to migrate it",
                             path, (long long)version, rec_migration_count);
    return REC_OK;
}

static enum rec_status migrate_one(struct rec_database *db, int version, struct rec_error *err) {
    char finish[128];
    (void)snprintf(finish, sizeof(finish),
                   "PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT", version,
                   (int)APPLICATION_ID);

    enum rec_status st = rec_database_exec(db, "BEGIN IMMEDIATE", err);
    if (st == REC_OK)
        st = rec_database_exec(db, rec_migrations[version - 1].sql, err);
    if (st == REC_OK)
        st = rec_database_exec(db, finish, err);
    if (st != REC_OK)
        rec_database_rollback(db);
    return st;
}

enum rec_status rec_migrate_run(struct rec_database *db, const char *path, struct rec_error *err) {
    int64_t version = 0;
    enum rec_status st = rec_database_number(db, "PRAGMA user_version", &version, err);

    for (int next = (int)version + 1; st == REC_OK && next <= rec_migration_count; next++) {
        struct rec_error cause = {0};
        st = migrate_one(db, next, &cause);
        if (st != REC_OK)
            rec_error_set(err, st, "%s: migration %s: %s", path, rec_migrations[next - 1].name,
                          cause.text);
    }
    return st;
}
