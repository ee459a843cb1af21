/* The writing side. Ids are looked up by prepared statement, with a small table of the last ones in
 * front: a map of all ids in memory would have to be loaded at every start and kept in step with
 * rollbacks. The counts and the type names are small, and kept. */
#include <string.h>

#include "session.h"

static enum rec_status load_counts(struct rec_session *session, struct rec_error *err) {
    struct rec_session_counts *counts = &session->counts;
    sqlite3_stmt *statement;
    bool row = false;
    enum rec_status st = rec_database_prepare(&session->db, REC_SQL_COUNTS, &statement, err);
    if (st == REC_OK)
        st = rec_database_step(&session->db, statement, &row, err);
    if (st != REC_OK)
        return st;
    if (!row)
        return rec_error_set(err, REC_CORRUPT, "store: no counts in the database");

    st =
        rec_database_index(statement, 0, (uint64_t)REC_USERS_MAX + 1, "users", &counts->users, err);
    if (st == REC_OK)
        st = rec_database_index(statement, 1, (uint64_t)REC_ITEMS_MAX + 1, "items", &counts->items,
                                err);
    counts->interactions = (uint64_t)sqlite3_column_int64(statement, 2);
    counts->recorded = (uint64_t)sqlite3_column_int64(statement, 3);
    (void)sqlite3_reset(statement);
    return st;
}

static enum rec_status load_types(struct rec_session *session, struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&session->db, REC_SQL_TYPES, &statement, err);
    uint32_t count = 0;
    bool row = false;

    while (st == REC_OK) {
        const char *name;
        st = rec_database_step(&session->db, statement, &row, err);
        if (st != REC_OK || !row)
            break;
        st = rec_database_text(&session->db, statement, 1, &name, err);
        if (st == REC_OK &&
            (count == REC_TYPES_MAX || sqlite3_column_int64(statement, 0) != (int64_t)count ||
             strlen(name) > REC_TYPE_BYTES_MAX))
            st = rec_error_set(err, REC_CORRUPT, "store: type %u is not as it was written", count);
        if (st == REC_OK)
            memcpy(session->type_name[count++], name, strlen(name) + 1);
    }
    if (row)
        (void)sqlite3_reset(statement);
    session->counts.types = count;
    return st;
}

enum rec_status rec_session_load(struct rec_session *session, struct rec_error *err) {
    enum rec_status st = load_counts(session, err);
    if (st == REC_OK)
        st = load_types(session, err);
    session->stored = session->counts;
    return st;
}

enum rec_status rec_session_begin(struct rec_session *session, struct rec_error *err) {
    return rec_database_run(&session->db, REC_SQL_BEGIN_WRITE, err);
}

enum rec_status rec_session_set_meta(struct rec_session *session, const char *key, uint64_t value,
                                     struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&session->db, REC_SQL_META_SET, &statement, err);
    if (st != REC_OK)
        return st;
    rec_database_bind_text(statement, 1, key);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)value);
    return rec_database_finish(&session->db, statement, err);
}

enum rec_status rec_session_commit(struct rec_session *session, struct rec_error *err) {
    enum rec_status st = REC_OK;
    if (session->counts.recorded != session->stored.recorded)
        st = rec_session_set_meta(session, "recorded", session->counts.recorded, err);
    if (st == REC_OK && session->counts.interactions != session->stored.interactions)
        st = rec_session_set_meta(session, "interactions", session->counts.interactions, err);
    if (st == REC_OK)
        st = rec_database_run(&session->db, REC_SQL_COMMIT, err);
    if (st == REC_OK)
        session->stored = session->counts;
    else
        rec_session_rollback(session);
    return st;
}

void rec_session_rollback(struct rec_session *session) {
    rec_database_rollback(&session->db);
    session->counts = session->stored;
    rec_session_forget(session);
}

void rec_session_forget(struct rec_session *session) {
    rec_recent_forget(session->users);
    rec_recent_forget(session->items);
}

enum rec_status rec_session_truncate(struct rec_session *session, struct rec_error *err) {
    int code =
        sqlite3_wal_checkpoint_v2(session->db.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK ? REC_OK : rec_database_fail(&session->db, "checkpoint", err);
}

/* Runs a search by one text; *row: the caller reads its columns and resets. */
static enum rec_status find(struct rec_session *session, enum rec_sql which, const char *text,
                            sqlite3_stmt **statement, bool *row, struct rec_error *err) {
    enum rec_status st = rec_database_prepare(&session->db, which, statement, err);
    if (st != REC_OK)
        return st;
    rec_database_bind_text(*statement, 1, text);
    return rec_database_step(&session->db, *statement, row, err);
}

enum rec_status rec_session_find_user(struct rec_session *session, const char *id, uint32_t *user,
                                      struct rec_error *err) {
    sqlite3_stmt *statement;
    bool row;
    if (rec_recent_find(session->users, id, user))
        return REC_OK;
    enum rec_status st = find(session, REC_SQL_USER_FIND, id, &statement, &row, err);
    if (st != REC_OK)
        return st;
    *user = REC_STORE_NONE;
    if (!row)
        return REC_OK;
    st = rec_database_index(statement, 0, session->counts.users, "user", user, err);
    (void)sqlite3_reset(statement);
    if (st == REC_OK)
        rec_recent_keep(session->users, id, *user);
    return st;
}

enum rec_status rec_session_find_item(struct rec_session *session, const char *id, uint32_t *item,
                                      bool *deleted, struct rec_error *err) {
    sqlite3_stmt *statement;
    bool row;
    *deleted = false;
    if (rec_recent_find(session->items, id, item))
        return REC_OK;
    enum rec_status st = find(session, REC_SQL_ITEM_FIND, id, &statement, &row, err);
    if (st != REC_OK)
        return st;
    *item = REC_STORE_NONE;
    if (!row)
        return REC_OK;
    st = rec_database_index(statement, 0, session->counts.items, "item", item, err);
    *deleted = sqlite3_column_int(statement, 1) != 0;
    (void)sqlite3_reset(statement);
    if (st == REC_OK && !*deleted)
        rec_recent_keep(session->items, id, *item);
    return st;
}

/* Gives out the next index of `*count`. */
static enum rec_status add(struct rec_session *session, enum rec_sql which, const char *name,
                           uint32_t *count, uint32_t *index, struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&session->db, which, &statement, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_bind_int64(statement, 1, *count);
    rec_database_bind_text(statement, 2, name);
    st = rec_database_finish(&session->db, statement, err);
    if (st == REC_OK)
        *index = (*count)++;
    return st;
}

enum rec_status rec_session_add_user(struct rec_session *session, const char *id, uint32_t *user,
                                     struct rec_error *err) {
    if (session->counts.users == REC_USERS_MAX)
        return rec_error_set(err, REC_LIMIT, "there are %d users already, the most there can be",
                             REC_USERS_MAX);
    return add(session, REC_SQL_USER_ADD, id, &session->counts.users, user, err);
}

enum rec_status rec_session_add_item(struct rec_session *session, const char *id, uint32_t *item,
                                     struct rec_error *err) {
    if (session->counts.items == REC_ITEMS_MAX)
        return rec_error_set(err, REC_LIMIT, "there are %d items already, the most there can be",
                             REC_ITEMS_MAX);
    return add(session, REC_SQL_ITEM_ADD, id, &session->counts.items, item, err);
}

enum rec_status rec_session_set_item(struct rec_session *session, uint32_t item, const char *title,
                                     bool hidden, bool deleted, struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&session->db, REC_SQL_ITEM_SET, &statement, err);
    if (st != REC_OK)
        return st;
    if (deleted)
        rec_session_forget(session);
    (void)sqlite3_bind_int64(statement, 1, item);
    rec_database_bind_text(statement, 2, title);
    (void)sqlite3_bind_int(statement, 3, hidden);
    (void)sqlite3_bind_int(statement, 4, deleted);
    return rec_database_finish(&session->db, statement, err);
}

enum rec_status rec_session_intern_item(struct rec_session *session, const char *id, uint32_t *item,
                                        bool *added, struct rec_error *err) {
    bool deleted;
    *added = false;
    enum rec_status st = rec_session_find_item(session, id, item, &deleted, err);
    if (st != REC_OK)
        return st;
    if (*item == REC_STORE_NONE) {
        *added = true;
        return rec_session_add_item(session, id, item, err);
    }
    return deleted ? rec_session_set_item(session, *item, NULL, false, false, err) : REC_OK;
}

enum rec_status rec_session_intern_type(struct rec_session *session, const char *name,
                                        uint32_t *type, struct rec_error *err) {
    uint32_t count = session->counts.types;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(session->type_name[i], name) == 0) {
            *type = i;
            return REC_OK;
        }
    }
    size_t bytes = strlen(name);
    enum rec_status st = rec_text_check_id("type", name, bytes, err);
    if (st != REC_OK)
        return st;
    if (bytes > REC_TYPE_BYTES_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "type has %zu bytes; at most %d are allowed",
                             bytes, REC_TYPE_BYTES_MAX);
    if (count == REC_TYPES_MAX)
        return rec_error_set(err, REC_LIMIT, "type %s would be one more than the %d there can be",
                             name, REC_TYPES_MAX);
    st = add(session, REC_SQL_TYPE_ADD, name, &session->counts.types, type, err);
    if (st == REC_OK)
        memcpy(session->type_name[count], name, bytes + 1);
    return st;
}

enum rec_status rec_session_find_event(struct rec_session *session, const char *event_id,
                                       struct rec_session_event *out, struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = find(session, REC_SQL_EVENT_FIND, event_id, &statement, &out->found, err);
    if (st != REC_OK || !out->found)
        return st;
    st = rec_database_index(statement, 0, session->counts.users, "user", &out->user, err);
    if (st == REC_OK)
        st = rec_database_index(statement, 1, session->counts.items, "item", &out->item, err);
    out->sequence = (uint64_t)sqlite3_column_int64(statement, 2);
    (void)sqlite3_reset(statement);
    return st;
}

enum rec_status rec_session_add_row(struct rec_session *session, const struct rec_store_row *row,
                                    const char *event_id, struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&session->db, REC_SQL_ROW_ADD, &statement, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_bind_int64(statement, 1, row->user);
    (void)sqlite3_bind_int64(statement, 2, row->timestamp);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)row->sequence);
    (void)sqlite3_bind_int64(statement, 4, row->item);
    (void)sqlite3_bind_int64(statement, 5, row->type);
    (void)sqlite3_bind_double(statement, 6, row->value);
    rec_database_bind_text(statement, 7, event_id);
    st = rec_database_finish(&session->db, statement, err);
    if (st == REC_OK)
        session->counts.interactions++;
    return st;
}
