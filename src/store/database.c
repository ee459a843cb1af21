/* One SQLite connection. Statements are prepared once per connection and kept: preparing costs
 * more than running most of them. Threads do not share a connection at the same time, so it is
 * opened without SQLite's own mutexes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "database.h"

static const char *const sql_text[] = {
#define SQL_TEXT(name, text) [REC_SQL_##name] = text,
    REC_SQL_MAP(SQL_TEXT)
#undef SQL_TEXT
};

static enum rec_status status_of(int code) {
    switch (code & 0xff) {
    case SQLITE_OK:
        return REC_OK;
    case SQLITE_NOMEM:
        return REC_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return REC_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
        return REC_CORRUPT;
    case SQLITE_CONSTRAINT:
        return REC_CONFLICT;
    case SQLITE_TOOBIG:
        return REC_LIMIT;
    case SQLITE_INTERRUPT:
        return REC_CANCELLED;
    default:
        return code == SQLITE_IOERR_NOMEM ? REC_NO_MEMORY : REC_IO;
    }
}

enum rec_status rec_database_fail(struct rec_database *db, const char *what,
                                  struct rec_error *err) {
    int code = db->handle == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(db->handle);
    /* Called because something failed, so never OK. SQLite's texts name columns and files, not
     * values: no personal data in them. */
    enum rec_status st = code == SQLITE_OK ? REC_IO : status_of(code);
    return rec_error_set(err, st, "store: %s: %s (SQLite code %d)", what,
                         db->handle == NULL ? "out of memory" : sqlite3_errmsg(db->handle), code);
}

/* What every connection needs. Foreign SQL in the schema of a hostile file must not run:
 * trusted_schema off, defensive on. */
static enum rec_status configure(struct rec_database *db, bool writable, struct rec_error *err) {
    sqlite3_busy_timeout(db->handle, REC_DATABASE_BUSY_MS);
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (writable)
        return rec_database_exec(db, "PRAGMA synchronous = FULL", err);

    /* The last connection to close checkpoints and deletes the WAL unless told not to. One that is
     * open for reading fails to, on unix, for want of a write lock; this makes it a rule. */
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return rec_database_exec(db, "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0", err);
}

enum rec_status rec_database_make_file(const char *path, struct rec_error *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0 && errno != EEXIST)
        return rec_error_set(err, REC_IO, "%s: cannot be made: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return REC_OK;
}

enum rec_status rec_database_open(const char *path, bool writable, struct rec_database *out,
                                  struct rec_error *err) {
    struct rec_database db = {0};
    int flags = SQLITE_OPEN_NOMUTEX | (writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);

    if (sqlite3_open_v2(path, &db.handle, flags, NULL) != SQLITE_OK) {
        enum rec_status st = rec_database_fail(&db, path, err);
        rec_database_close(&db);
        return st;
    }
    struct rec_error cause = {0};
    enum rec_status st = configure(&db, writable, &cause);
    if (st != REC_OK) {
        rec_database_close(&db);
        return rec_error_set(err, st, "%s: %s", path, cause.text);
    }
    *out = db;
    return REC_OK;
}

void rec_database_close(struct rec_database *db) {
    for (size_t i = 0; i < REC_SQL_COUNT; i++)
        (void)sqlite3_finalize(db->statement[i]);
    (void)sqlite3_close(db->handle);
    *db = (struct rec_database){0};
}

enum rec_status rec_database_prepare(struct rec_database *db, enum rec_sql which,
                                     sqlite3_stmt **out, struct rec_error *err) {
    if (db->statement[which] == NULL &&
        sqlite3_prepare_v3(db->handle, sql_text[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &db->statement[which], NULL) != SQLITE_OK)
        return rec_database_fail(db, sql_text[which], err);
    *out = db->statement[which];
    return REC_OK;
}

enum rec_status rec_database_step(struct rec_database *db, sqlite3_stmt *statement, bool *row,
                                  struct rec_error *err) {
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return REC_OK;
    /* The error is read before the reset. */
    enum rec_status st =
        code == SQLITE_DONE ? REC_OK : rec_database_fail(db, sqlite3_sql(statement), err);
    (void)sqlite3_reset(statement);
    return st;
}

enum rec_status rec_database_finish(struct rec_database *db, sqlite3_stmt *statement,
                                    struct rec_error *err) {
    bool row;
    enum rec_status st = rec_database_step(db, statement, &row, err);
    if (st == REC_OK && row)
        (void)sqlite3_reset(statement);
    return st;
}

enum rec_status rec_database_run(struct rec_database *db, enum rec_sql which,
                                 struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(db, which, &statement, err);
    return st == REC_OK ? rec_database_finish(db, statement, err) : st;
}

enum rec_status rec_database_exec(struct rec_database *db, const char *sql, struct rec_error *err) {
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return rec_database_fail(db, "setting up", err);
    return REC_OK;
}

enum rec_status rec_database_number(struct rec_database *db, const char *sql, int64_t *out,
                                    struct rec_error *err) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) != SQLITE_OK)
        return rec_database_fail(db, sql, err);

    bool row = false;
    enum rec_status st = rec_database_step(db, statement, &row, err);
    if (st == REC_OK && row)
        *out = sqlite3_column_int64(statement, 0);
    else if (st == REC_OK)
        st = rec_error_set(err, REC_CORRUPT, "store: no answer to: %s", sql);
    (void)sqlite3_finalize(statement);
    return st;
}

void rec_database_rollback(struct rec_database *db) {
    if (!sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

enum rec_status rec_database_index(sqlite3_stmt *statement, int column, uint64_t bound,
                                   const char *what, uint32_t *out, struct rec_error *err) {
    int64_t value = sqlite3_column_int64(statement, column);
    if (value < 0 || (uint64_t)value >= bound || (uint64_t)value >= UINT32_MAX)
        return rec_error_set(err, REC_CORRUPT, "store: %s %lld is outside 0 to %llu", what,
                             (long long)value, (unsigned long long)bound);
    *out = (uint32_t)value;
    return REC_OK;
}

enum rec_status rec_database_text(struct rec_database *db, sqlite3_stmt *statement, int column,
                                  const char **out, struct rec_error *err) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (text != NULL) {
        *out = text;
        return REC_OK;
    }
    if (sqlite3_errcode(db->handle) == SQLITE_NOMEM)
        return rec_database_fail(db, sqlite3_sql(statement), err);
    return rec_error_set(err, REC_CORRUPT, "store: column %d is empty in: %s", column,
                         sqlite3_sql(statement));
}

void rec_database_bind_text(sqlite3_stmt *statement, int parameter, const char *text) {
    /* Binding fails only for a wrong parameter number, which would be our bug, or a text over
     * SQLite's limit, which the caps on texts are far below. */
    if (text == NULL)
        (void)sqlite3_bind_null(statement, parameter);
    else
        (void)sqlite3_bind_text(statement, parameter, text, (int)strlen(text), SQLITE_STATIC);
}
