/* A store's life: open, check, close. */
#define _XOPEN_SOURCE 700 /* realpath belongs to the X/Open part of POSIX */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock.h"
#include "migrate.h"
#include "store.h"

/* ---- the file ---------------------------------------------------------------- */

/* Makes sure that there is a regular file, and notes which. SQLite would tell a missing folder, a
 * missing file and a forbidden one apart no better than "unable to open". */
static enum rec_status find_file(struct rec_store *store, const struct rec_store_options *options,
                                 struct rec_error *err) {
    const char *path = options->path;
    struct stat info;
    if (options->create && options->writable) {
        enum rec_status st = rec_database_make_file(path, err);
        if (st != REC_OK)
            return st;
    }
    if (stat(path, &info) != 0)
        return rec_error_set(err, REC_IO, "%s: %s%s", path, strerror(errno),
                             errno == ENOENT ? "; recsysd import makes a database" : "");
    if (!S_ISREG(info.st_mode))
        return rec_error_set(err, REC_IO, "%s: is not a regular file", path);
    if (access(path, options->writable ? R_OK | W_OK : R_OK) != 0)
        return rec_error_set(err, REC_IO, "%s: cannot be %s: %s", path,
                             options->writable ? "written" : "read", strerror(errno));
    store->device = info.st_dev;
    store->inode = info.st_ino;

    /* Absolute, so SQLite cannot take it for a URI or for ":memory:". */
    if (realpath(path, store->path) == NULL)
        return rec_error_set(err, REC_IO, "%s: %s", path, strerror(errno));
    return REC_OK;
}

/* ---- opening -------------------------------------------------------------------- */

/* secure_delete: what is erased is overwritten. temp_store: nobody's data in temporary files. The
 * limit gives a large import's disk space back when the WAL starts over; below it the file keeps
 * its size, since a commit into blocks that are there costs half of one that makes the file
 * longer. */
static const char writer_pragmas[] = "PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON;"
                                     "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;"
                                     "PRAGMA journal_size_limit = 67108864;"
                                     "PRAGMA wal_autocheckpoint = 1000";

static enum rec_status open_session(struct rec_store *store, struct rec_session *session,
                                    struct rec_error *err) {
    bool fresh = false;
    enum rec_status st = rec_database_open(store->path, true, &session->db, err);
    if (st == REC_OK && sqlite3_db_readonly(session->db.handle, "main") != 0)
        st = rec_error_set(err, REC_IO, "%s: cannot be written", store->path);
    if (st == REC_OK)
        st = rec_migrate_check(&session->db, store->path, true, &fresh, err);
    if (st == REC_OK)
        st = rec_database_exec(&session->db, writer_pragmas, err);
    if (st == REC_OK)
        st = rec_migrate_run(&session->db, store->path, err);
    return st == REC_OK ? rec_session_load(session, err) : st;
}

static enum rec_status open_writer(struct rec_store *store, struct rec_error *err) {
    struct rec_session *session = rec_alloc_array(1, sizeof(*session));
    if (session == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "store: no memory for the writer");
    enum rec_status st = rec_lock_take(store->path, &store->lock_fd, err);
    if (st == REC_OK)
        st = open_session(store, session, err);
    if (st == REC_OK)
        st = rec_writer_create(session, &store->writer, err);
    rec_database_close(&session->db);
    rec_alloc_free(session);
    return st;
}

/* The first look through a reader: what it cannot read, no later one can. */
static enum rec_status open_reading(struct rec_store *store, struct rec_error *err) {
    struct rec_reader *reader = NULL;
    sqlite3_stmt *statement;
    const char *identity = NULL;
    bool fresh = false, row = false;
    enum rec_status st = rec_readers_borrow(&store->readers, &reader, err);
    if (st != REC_OK)
        return st;
    st = rec_migrate_check(&reader->db, store->path, false, &fresh, err);
    if (st == REC_OK)
        st = rec_database_prepare(&reader->db, REC_SQL_META_GET, &statement, err);
    if (st == REC_OK) {
        rec_database_bind_text(statement, 1, "identity");
        st = rec_database_step(&reader->db, statement, &row, err);
    }
    if (st == REC_OK && row)
        st = rec_database_text(&reader->db, statement, 0, &identity, err);
    if (st == REC_OK && (identity == NULL || strlen(identity) != REC_STORE_IDENTITY_BYTES - 1))
        st = rec_error_set(err, REC_CORRUPT, "%s: has no identity", store->path);
    if (st == REC_OK)
        memcpy(store->identity, identity, REC_STORE_IDENTITY_BYTES);
    if (row)
        (void)sqlite3_reset(statement);
    rec_readers_give_back(&store->readers, &reader);
    return st;
}

/* Once per process and before SQLite's first use: without its counting of memory, no allocation
 * takes a process-wide lock. Refused, which does no harm, where SQLite was in use already. */
static void configure_library(void) {
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum rec_status rec_store_open(const struct rec_store_options *options, struct rec_store **out,
                               struct rec_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, configure_library);

    struct rec_store *store = rec_alloc_array(1, sizeof(*store));
    if (store == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "store: no memory");
    store->lock_fd = -1;
    enum rec_status st = rec_readers_init(&store->readers, store->path, err);
    if (st != REC_OK) {
        rec_alloc_free(store);
        return st;
    }
    st = find_file(store, options, err);
    if (st == REC_OK && options->writable)
        st = open_writer(store, err);
    if (st == REC_OK)
        st = open_reading(store, err);
    if (st == REC_OK)
        *out = store;
    else
        rec_store_close(&store);
    return st;
}

void rec_store_close(struct rec_store **store_pointer) {
    struct rec_store *store = *store_pointer;
    if (store == NULL)
        return;
    /* The writer last: it is the one that checkpoints. Its thread's callbacks may still read. */
    if (store->writer != NULL)
        rec_writer_stop(store->writer);
    rec_readers_finish(&store->readers);
    rec_writer_destroy(&store->writer);
    rec_lock_release(&store->lock_fd);
    rec_alloc_free(store);
    *store_pointer = NULL;
}

/* ---- looking --------------------------------------------------------------------- */

const char *rec_store_identity(const struct rec_store *store) {
    return store->identity;
}

enum rec_status rec_store_counts(struct rec_store *store, struct rec_store_counts *out,
                                 struct rec_error *err) {
    struct rec_reader *reader = NULL;
    enum rec_status st = rec_readers_borrow(&store->readers, &reader, err);
    if (st != REC_OK)
        return st;
    st = rec_reader_counts(reader, out, err);
    rec_readers_give_back(&store->readers, &reader);
    return st;
}

/* SQLite would go on writing to a file that has lost its name, and all would be lost. */
static enum rec_status check_name(const struct rec_store *store, struct rec_error *err) {
    struct stat info;
    if (stat(store->path, &info) != 0)
        return rec_error_set(err, REC_IO, "%s: %s", store->path, strerror(errno));
    if (info.st_dev != store->device || info.st_ino != store->inode)
        return rec_error_set(err, REC_IO, "%s: was replaced by another file", store->path);
    return REC_OK;
}

enum rec_status rec_store_check(struct rec_store *store, struct rec_error *err) {
    struct rec_store_counts counts;
    enum rec_status st = check_name(store, err);
    if (st == REC_OK)
        st = rec_store_counts(store, &counts, err);
    if (st == REC_OK && store->writer != NULL)
        st = rec_writer_probe(store->writer, err);
    return st;
}

/* ---- to the writer ------------------------------------------------------------------ */

enum rec_status rec_store_submit(struct rec_store *store, struct rec_write *write,
                                 struct rec_error *err) {
    if (store->writer == NULL)
        return rec_error_set(err, REC_CONFLICT, "%s: was opened for reading", store->path);
    enum rec_status st = check_name(store, err);
    return st == REC_OK ? rec_writer_submit(store->writer, write, err) : st;
}

void rec_store_flush(struct rec_store *store) {
    if (store->writer != NULL)
        rec_writer_flush(store->writer);
}
