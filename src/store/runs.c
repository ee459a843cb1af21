/* Training runs as rows: what was trained, how it ended, and what a crash cut off. Few and small,
 * so they are kept for good. */
#include <string.h>

#include "store.h"

static const char *const state_text[] = {
#define STATE_TEXT(name, text) [REC_RUN_##name] = text,
    REC_RUN_STATE_MAP(STATE_TEXT)
#undef STATE_TEXT
};
enum { STATES = sizeof(state_text) / sizeof(state_text[0]) };

const char *rec_run_state_text(enum rec_run_state state) {
    return (size_t)state < STATES ? state_text[state] : "unknown";
}

/* ---- writing ---------------------------------------------------------------------- */

/* A field that is not terminated ends at its last byte. */
static void bind_field(sqlite3_stmt *statement, int parameter, const char *text, size_t cap) {
    (void)sqlite3_bind_text(statement, parameter, text, (int)strnlen(text, cap), SQLITE_STATIC);
}

static enum rec_status put_run(struct rec_session *session, void *context, struct rec_error *err) {
    struct rec_run_row *row = context;
    sqlite3_stmt *statement;
    bool found = false;
    enum rec_status st = rec_database_prepare(&session->db, REC_SQL_RUN_ADD, &statement, err);
    if (st != REC_OK)
        return st;
    rec_database_bind_text(statement, 1, rec_run_state_text(row->state));
    bind_field(statement, 2, row->family, sizeof(row->family));
    bind_field(statement, 3, row->parameters, sizeof(row->parameters));
    bind_field(statement, 4, row->version, sizeof(row->version));
    bind_field(statement, 5, row->metrics, sizeof(row->metrics));
    bind_field(statement, 6, row->error, sizeof(row->error));
    (void)sqlite3_bind_int64(statement, 7, row->created_at);
    (void)sqlite3_bind_int64(statement, 8, row->started_at);
    (void)sqlite3_bind_int64(statement, 9, row->finished_at);
    if (row->id == 0)
        (void)sqlite3_bind_null(statement, 10);
    else
        (void)sqlite3_bind_int64(statement, 10, (int64_t)row->id);

    st = rec_database_step(&session->db, statement, &found, err);
    if (st == REC_OK && found) {
        row->id = (uint64_t)sqlite3_column_int64(statement, 0);
        st = rec_database_finish(&session->db, statement, err);
    }
    return st;
}

static enum rec_status run_job(struct rec_store *store,
                               enum rec_status (*run)(struct rec_session *, void *,
                                                      struct rec_error *),
                               void *context, struct rec_error *err) {
    if (store->writer == NULL)
        return rec_error_set(err, REC_CONFLICT, "%s: was opened for reading", store->path);
    struct rec_writer_job job = {.run = run, .context = context};
    return rec_writer_run(store->writer, &job, err);
}

enum rec_status rec_store_put_run(struct rec_store *store, struct rec_run_row *row,
                                  struct rec_error *err) {
    if ((size_t)row->state >= STATES || row->id > INT64_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "run: state %d or id %llu cannot be", row->state,
                             (unsigned long long)row->id);
    uint64_t id = row->id;
    enum rec_status st = run_job(store, put_run, row, err);
    if (st != REC_OK)
        row->id = id;
    return st;
}

static enum rec_status interrupt(struct rec_session *session, void *context,
                                 struct rec_error *err) {
    size_t *count = context;
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&session->db, REC_SQL_RUN_INTERRUPT, &statement, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_bind_int64(statement, 1, rec_clock_unix_s());
    st = rec_database_finish(&session->db, statement, err);
    if (st == REC_OK)
        *count = (size_t)sqlite3_changes64(session->db.handle);
    return st;
}

enum rec_status rec_store_mark_interrupted(struct rec_store *store, size_t *count,
                                           struct rec_error *err) {
    size_t marked = 0;
    enum rec_status st = run_job(store, interrupt, &marked, err);
    if (st == REC_OK)
        *count = marked;
    return st;
}

/* ---- reading ------------------------------------------------------------------------- */

static void copy_field(sqlite3_stmt *statement, int column, char *out, size_t cap) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    size_t bytes = text == NULL ? 0 : strnlen(text, cap - 1);
    if (bytes > 0)
        memcpy(out, text, bytes);
    out[bytes] = '\0';
}

static enum rec_status read_run(sqlite3_stmt *statement, struct rec_run_row *out,
                                struct rec_error *err) {
    char state[32];
    size_t found = 0;
    copy_field(statement, 0, state, sizeof(state));
    while (found < STATES && strcmp(state, state_text[found]) != 0)
        found++;
    *out = (struct rec_run_row){.id = (uint64_t)sqlite3_column_int64(statement, 9),
                                .state = (enum rec_run_state)found,
                                .created_at = sqlite3_column_int64(statement, 6),
                                .started_at = sqlite3_column_int64(statement, 7),
                                .finished_at = sqlite3_column_int64(statement, 8)};
    copy_field(statement, 1, out->family, sizeof(out->family));
    copy_field(statement, 2, out->parameters, sizeof(out->parameters));
    copy_field(statement, 3, out->version, sizeof(out->version));
    copy_field(statement, 4, out->metrics, sizeof(out->metrics));
    copy_field(statement, 5, out->error, sizeof(out->error));
    if (found == STATES)
        return rec_error_set(err, REC_CORRUPT, "store: run %llu has the unknown state '%s'",
                             (unsigned long long)out->id, state);
    return REC_OK;
}

/* Up to `capacity` rows of a query by one number. */
static enum rec_status read_runs(struct rec_store *store, enum rec_sql which, uint64_t number,
                                 struct rec_run_row *out, size_t capacity, size_t *count,
                                 struct rec_error *err) {
    struct rec_reader *reader = NULL;
    sqlite3_stmt *statement;
    size_t found = 0;
    bool row = true;
    enum rec_status st = rec_readers_borrow(&store->readers, &reader, err);
    if (st != REC_OK)
        return st;
    st = rec_database_prepare(&reader->db, which, &statement, err);
    if (st == REC_OK)
        (void)sqlite3_bind_int64(statement, 1, number > INT64_MAX ? INT64_MAX : (int64_t)number);
    while (st == REC_OK && row && found < capacity) {
        st = rec_database_step(&reader->db, statement, &row, err);
        if (st == REC_OK && row)
            st = read_run(statement, &out[found++], err);
    }
    if (row && found > 0)
        (void)sqlite3_reset(statement);
    rec_readers_give_back(&store->readers, &reader);
    if (st == REC_OK)
        *count = found;
    return st;
}

enum rec_status rec_store_get_run(struct rec_store *store, uint64_t id, struct rec_run_row *out,
                                  struct rec_error *err) {
    size_t count = 0;
    enum rec_status st = read_runs(store, REC_SQL_RUN_GET, id, out, 1, &count, err);
    if (st == REC_OK && count == 0)
        return rec_error_set(err, REC_NOT_FOUND, "id: there is no job %llu",
                             (unsigned long long)id);
    return st;
}

enum rec_status rec_store_list_runs(struct rec_store *store, struct rec_run_row *out, size_t *count,
                                    struct rec_error *err) {
    return read_runs(store, REC_SQL_RUN_LIST, *count, out, *count, count, err);
}
