/* One write put into the open transaction. It may fail half-way: the writer undoes it through a
 * savepoint, so nothing here cleans up after itself. */
#include <math.h>
#include <string.h>

#include "session.h"

enum rec_status rec_apply_check_id(const char *field, const char *id, struct rec_error *err) {
    if (id == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "%s is missing", field);
    return rec_text_check_id(field, id, strnlen(id, REC_ID_BYTES_MAX + 1), err);
}

enum rec_status rec_apply_check_value(const struct rec_interaction *in, struct rec_error *err) {
    if (in->type == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "type is missing");
    if (!isfinite(in->value))
        return rec_error_set(err, REC_BAD_INPUT, "value must be a finite number");
    return REC_OK;
}

static enum rec_status check_text(const char *field, const char *text, size_t bytes_max,
                                  struct rec_error *err) {
    size_t bytes = strnlen(text, bytes_max + 1);
    if (bytes > bytes_max)
        return rec_error_set(err, REC_BAD_INPUT, "%s has more than %zu bytes", field, bytes_max);
    if (!rec_text_utf8(text, bytes))
        return rec_error_set(err, REC_BAD_INPUT, "%s is not valid UTF-8", field);
    return REC_OK;
}

static enum rec_status check_interaction(const struct rec_interaction *in, struct rec_error *err) {
    enum rec_status st = rec_apply_check_id("user_id", in->user_id, err);
    if (st == REC_OK)
        st = rec_apply_check_id("item_id", in->item_id, err);
    if (st == REC_OK && in->event_id != NULL)
        st = rec_apply_check_id("event_id", in->event_id, err);
    return st == REC_OK ? rec_apply_check_value(in, err) : st;
}

static enum rec_status apply_interaction(struct rec_session *session,
                                         const struct rec_interaction *in, struct rec_recorded *out,
                                         struct rec_error *err) {
    struct rec_store_row row = {.timestamp = in->timestamp, .value = in->value};
    struct rec_session_event event = {0};
    enum rec_status st = check_interaction(in, err);
    if (st == REC_OK && in->event_id != NULL)
        st = rec_session_find_event(session, in->event_id, &event, err);
    if (st != REC_OK)
        return st;
    if (event.found) {
        *out = (struct rec_recorded){.user = event.user, .item = event.item, .duplicate = true};
        return REC_OK;
    }

    *out = (struct rec_recorded){0};
    st = rec_session_intern_type(session, in->type, &row.type, err);
    if (st == REC_OK)
        st = rec_session_find_user(session, in->user_id, &out->user, err);
    if (st == REC_OK && out->user == REC_STORE_NONE) {
        out->new_user = true;
        st = rec_session_add_user(session, in->user_id, &out->user, err);
    }
    if (st == REC_OK)
        st = rec_session_intern_item(session, in->item_id, &out->item, &out->new_item, err);
    if (st != REC_OK)
        return st;

    row.user = out->user;
    row.item = out->item;
    row.sequence = ++session->counts.recorded;
    return rec_session_add_row(session, &row, in->event_id, err);
}

/* ---- catalogue ----------------------------------------------------------------- */

static enum rec_status category_count(struct rec_session *session, int64_t *count,
                                      struct rec_error *err) {
    sqlite3_stmt *statement;
    bool row = false;
    enum rec_status st =
        rec_database_prepare(&session->db, REC_SQL_CATEGORY_COUNT, &statement, err);
    if (st == REC_OK)
        st = rec_database_step(&session->db, statement, &row, err);
    if (st != REC_OK || !row)
        return st;
    *count = sqlite3_column_int64(statement, 0);
    (void)sqlite3_reset(statement);
    return REC_OK;
}

/* Room for one more: at the cap, categories that no item has any more make way. */
static enum rec_status category_room(struct rec_session *session, struct rec_error *err) {
    int64_t count = 0;
    enum rec_status st = category_count(session, &count, err);
    if (st != REC_OK || count < REC_CATEGORIES_MAX)
        return st;
    st = rec_database_run(&session->db, REC_SQL_CATEGORY_PURGE, err);
    if (st == REC_OK)
        st = category_count(session, &count, err);
    if (st == REC_OK && count >= REC_CATEGORIES_MAX)
        st = rec_error_set(err, REC_LIMIT, "there are %d categories already, the most there can be",
                           REC_CATEGORIES_MAX);
    return st;
}

static enum rec_status category_query(struct rec_session *session, enum rec_sql which,
                                      const char *name, int64_t *category, bool *found,
                                      struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&session->db, which, &statement, err);
    if (st != REC_OK)
        return st;
    rec_database_bind_text(statement, 1, name);
    st = rec_database_step(&session->db, statement, found, err);
    if (st != REC_OK || !*found)
        return st;
    *category = sqlite3_column_int64(statement, 0);
    (void)sqlite3_reset(statement);
    return REC_OK;
}

static enum rec_status intern_category(struct rec_session *session, const char *name,
                                       int64_t *category, struct rec_error *err) {
    bool found = false;
    enum rec_status st =
        category_query(session, REC_SQL_CATEGORY_FIND, name, category, &found, err);
    if (st != REC_OK || found)
        return st;
    st = category_room(session, err);
    return st == REC_OK ? category_query(session, REC_SQL_CATEGORY_ADD, name, category, &found, err)
                        : st;
}

static enum rec_status clear_categories(struct rec_session *session, uint32_t item,
                                        struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st =
        rec_database_prepare(&session->db, REC_SQL_ITEM_CATEGORY_CLEAR, &statement, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_bind_int64(statement, 1, item);
    return rec_database_finish(&session->db, statement, err);
}

static enum rec_status add_category(struct rec_session *session, uint32_t item, size_t position,
                                    const char *name, struct rec_error *err) {
    sqlite3_stmt *statement;
    int64_t category = 0;
    enum rec_status st = intern_category(session, name, &category, err);
    if (st == REC_OK)
        st = rec_database_prepare(&session->db, REC_SQL_ITEM_CATEGORY_ADD, &statement, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_bind_int64(statement, 1, item);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)position);
    (void)sqlite3_bind_int64(statement, 3, category);
    return rec_database_finish(&session->db, statement, err);
}

static bool named_before(const struct rec_item *in, size_t position) {
    for (size_t i = 0; i < position; i++)
        if (strcmp(in->categories[i], in->categories[position]) == 0)
            return true;
    return false;
}

static enum rec_status check_item(const struct rec_item *in, struct rec_error *err) {
    enum rec_status st = rec_apply_check_id("item_id", in->item_id, err);
    if (st == REC_OK && in->title != NULL)
        st = check_text("title", in->title, REC_TITLE_BYTES_MAX, err);
    if (st == REC_OK && in->category_count > REC_ITEM_CATEGORIES_MAX)
        st = rec_error_set(err, REC_BAD_INPUT, "categories: %zu given, at most %d are allowed",
                           in->category_count, REC_ITEM_CATEGORIES_MAX);
    for (size_t i = 0; st == REC_OK && i < in->category_count; i++) {
        st = rec_apply_check_id("category", in->categories[i], err);
        if (st == REC_OK)
            st = check_text("category", in->categories[i], REC_CATEGORY_BYTES_MAX, err);
    }
    return st;
}

enum rec_status rec_apply_item(struct rec_session *session, const struct rec_item *in,
                               struct rec_recorded *out, struct rec_error *err) {
    bool deleted = false;
    *out = (struct rec_recorded){.user = REC_STORE_NONE};
    enum rec_status st = check_item(in, err);
    if (st == REC_OK)
        st = rec_session_find_item(session, in->item_id, &out->item, &deleted, err);
    if (st == REC_OK && out->item == REC_STORE_NONE) {
        out->new_item = true;
        st = rec_session_add_item(session, in->item_id, &out->item, err);
    }
    if (st == REC_OK)
        st = rec_session_set_item(session, out->item, in->title, in->hidden, false, err);
    if (st == REC_OK && !out->new_item)
        st = clear_categories(session, out->item, err);
    for (size_t i = 0; st == REC_OK && i < in->category_count; i++)
        if (!named_before(in, i))
            st = add_category(session, out->item, i, in->categories[i], err);
    return st;
}

static enum rec_status delete_item(struct rec_session *session, const char *id,
                                   struct rec_recorded *out, struct rec_error *err) {
    bool deleted = false;
    *out = (struct rec_recorded){.user = REC_STORE_NONE};
    enum rec_status st = rec_apply_check_id("item_id", id, err);
    if (st == REC_OK)
        st = rec_session_find_item(session, id, &out->item, &deleted, err);
    if (st == REC_OK && (out->item == REC_STORE_NONE || deleted))
        st = rec_error_set(err, REC_NOT_FOUND, "item_id: there is no item '%.64s'", id);
    if (st == REC_OK)
        st = rec_session_set_item(session, out->item, NULL, false, true, err);
    return st == REC_OK ? clear_categories(session, out->item, err) : st;
}

/* ---- users ------------------------------------------------------------------------ */

/* SQLite overwrites what it deletes (secure_delete); the writer then empties the WAL. */
static enum rec_status erase_user(struct rec_session *session, const char *id,
                                  struct rec_recorded *out, struct rec_error *err) {
    static const enum rec_sql steps[] = {REC_SQL_ROWS_ERASE, REC_SQL_USER_ERASE};
    *out = (struct rec_recorded){.item = REC_STORE_NONE};
    enum rec_status st = rec_apply_check_id("user_id", id, err);
    if (st == REC_OK)
        st = rec_session_find_user(session, id, &out->user, err);
    if (st == REC_OK && out->user == REC_STORE_NONE)
        st = rec_error_set(err, REC_NOT_FOUND, "user_id: there is no user '%.64s'", id);

    rec_session_forget(session);
    for (size_t i = 0; st == REC_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        sqlite3_stmt *statement;
        st = rec_database_prepare(&session->db, steps[i], &statement, err);
        if (st != REC_OK)
            break;
        (void)sqlite3_bind_int64(statement, 1, out->user);
        st = rec_database_finish(&session->db, statement, err);
        if (st == REC_OK && steps[i] == REC_SQL_ROWS_ERASE)
            session->counts.interactions -= (uint64_t)sqlite3_changes64(session->db.handle);
    }
    return st;
}

enum rec_status rec_apply_write(struct rec_session *session, const struct rec_write *write,
                                struct rec_error *err) {
    enum rec_status st = REC_OK;
    switch (write->kind) {
    case REC_WRITE_INTERACTIONS:
        for (size_t i = 0; st == REC_OK && i < write->count; i++)
            st = apply_interaction(session, &write->interactions[i], &write->recorded[i], err);
        return st;
    case REC_WRITE_ITEMS:
        for (size_t i = 0; st == REC_OK && i < write->count; i++)
            st = rec_apply_item(session, &write->items[i], &write->recorded[i], err);
        return st;
    case REC_WRITE_ITEM_DELETE:
        return delete_item(session, write->id, &write->recorded[0], err);
    case REC_WRITE_USER_ERASE:
        return erase_user(session, write->id, &write->recorded[0], err);
    }
    return rec_error_set(err, REC_BAD_INPUT, "write: unknown kind %d", (int)write->kind);
}
