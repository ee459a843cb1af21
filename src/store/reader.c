/* Reading: a few connections that threads borrow. A connection sees one consistent picture from
 * its first statement to its last, and never holds up the writer. The pool opens one more when all
 * are lent and keeps a few: a thread that asks for the first time pays about 100 microseconds. */
#include <assert.h>
#include <string.h>

#include "store.h"

enum { IDLE_MAX = 8, BEGIN_TRIES = 16 };

/* ---- the pool ------------------------------------------------------------------- */

enum rec_status rec_readers_init(struct rec_readers *readers, const char *path,
                                 struct rec_error *err) {
    *readers = (struct rec_readers){.path = path};
    if (pthread_mutex_init(&readers->lock, NULL) != 0)
        return rec_error_set(err, REC_NO_MEMORY, "store: no memory for a lock");
    return REC_OK;
}

static void reader_destroy(struct rec_reader **reader) {
    rec_database_close(&(*reader)->db);
    rec_alloc_free(*reader);
    *reader = NULL;
}

void rec_readers_finish(struct rec_readers *readers) {
    assert(readers->lent == 0);
    while (readers->idle != NULL) {
        struct rec_reader *reader = readers->idle;
        readers->idle = reader->next;
        reader_destroy(&reader);
    }
    (void)pthread_mutex_destroy(&readers->lock);
}

static enum rec_status reader_create(const char *path, struct rec_reader **out,
                                     struct rec_error *err) {
    struct rec_reader *reader = rec_alloc_array(1, sizeof(*reader));
    if (reader == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "store: no memory for a reader");
    enum rec_status st = rec_database_open(path, false, &reader->db, err);
    if (st == REC_OK)
        st = rec_rows_register(&reader->db, err);
    if (st == REC_OK)
        *out = reader;
    else
        reader_destroy(&reader);
    return st;
}

enum rec_status rec_readers_borrow(struct rec_readers *readers, struct rec_reader **out,
                                   struct rec_error *err) {
    (void)pthread_mutex_lock(&readers->lock);
    struct rec_reader *reader = readers->idle;
    if (reader != NULL) {
        readers->idle = reader->next;
        readers->idle_count--;
    }
    readers->lent++;
    (void)pthread_mutex_unlock(&readers->lock);

    enum rec_status st = REC_OK;
    if (reader == NULL)
        st = reader_create(readers->path, &reader, err);
    if (st == REC_OK) {
        *out = reader;
        return REC_OK;
    }
    (void)pthread_mutex_lock(&readers->lock);
    readers->lent--;
    (void)pthread_mutex_unlock(&readers->lock);
    return st;
}

void rec_readers_give_back(struct rec_readers *readers, struct rec_reader **reader_pointer) {
    struct rec_reader *reader = *reader_pointer;
    (void)pthread_mutex_lock(&readers->lock);
    bool keep = readers->idle_count < IDLE_MAX;
    if (keep) {
        reader->next = readers->idle;
        readers->idle = reader;
        readers->idle_count++;
    }
    readers->lent--;
    (void)pthread_mutex_unlock(&readers->lock);
    if (!keep)
        reader_destroy(&reader);
    *reader_pointer = NULL;
}

/* ---- the scan --------------------------------------------------------------------- */

enum rec_status rec_reader_counts(struct rec_reader *reader, struct rec_store_counts *out,
                                  struct rec_error *err) {
    struct rec_store_counts counts = {0};
    sqlite3_stmt *statement;
    bool row = false;
    enum rec_status st = rec_database_prepare(&reader->db, REC_SQL_COUNTS, &statement, err);
    if (st == REC_OK)
        st = rec_database_step(&reader->db, statement, &row, err);
    if (st != REC_OK)
        return st;
    assert(row); /* a SELECT without FROM */

    st = rec_database_index(statement, 0, (uint64_t)REC_USERS_MAX + 1, "users", &counts.users, err);
    if (st == REC_OK)
        st = rec_database_index(statement, 1, (uint64_t)REC_ITEMS_MAX + 1, "items", &counts.items,
                                err);
    counts.interactions = (uint64_t)sqlite3_column_int64(statement, 2);
    counts.recorded = (uint64_t)sqlite3_column_int64(statement, 3);
    (void)sqlite3_reset(statement);
    if (st == REC_OK)
        *out = counts;
    return st;
}

struct scanning {
    struct rec_database *db, *back; /* back NULL: rows are read from one end */
    const struct rec_store_scan *scan;
    struct rec_store_counts counts;
    uint32_t types;
    struct rec_error *err;
};

/* Calls `each` for every row of a statement without parameters, until it fails. */
static enum rec_status for_each(struct scanning *s, enum rec_sql which,
                                enum rec_status (*each)(struct scanning *s,
                                                        sqlite3_stmt *statement)) {
    sqlite3_stmt *statement;
    bool row = false;
    enum rec_status st = rec_database_prepare(s->db, which, &statement, s->err);
    while (st == REC_OK) {
        st = rec_database_step(s->db, statement, &row, s->err);
        if (st != REC_OK || !row)
            return st;
        st = each(s, statement);
    }
    if (row)
        (void)sqlite3_reset(statement);
    return st;
}

static enum rec_status each_type(struct scanning *s, sqlite3_stmt *statement) {
    const char *name;
    uint32_t type;
    enum rec_status st = rec_database_index(statement, 0, REC_TYPES_MAX, "type", &type, s->err);
    if (st == REC_OK)
        st = rec_database_text(s->db, statement, 1, &name, s->err);
    if (st != REC_OK)
        return st;
    s->types = type + 1;
    return s->scan->type == NULL ? REC_OK : s->scan->type(s->scan->context, type, name);
}

static enum rec_status each_user(struct scanning *s, sqlite3_stmt *statement) {
    const char *id;
    uint32_t user;
    enum rec_status st = rec_database_index(statement, 0, s->counts.users, "user", &user, s->err);
    if (st == REC_OK)
        st = rec_database_text(s->db, statement, 1, &id, s->err);
    return st == REC_OK ? s->scan->user(s->scan->context, user, id) : st;
}

/* ---- items, merged with their categories: both come by item ----------------------------- */

struct categories {
    sqlite3_stmt *statement;
    bool row; /* the statement stands on a row that is not used yet */
    const char *name[REC_ITEM_CATEGORIES_MAX];
    char text[REC_ITEM_CATEGORIES_MAX][REC_CATEGORY_BYTES_MAX + 1];
};

/* The categories of `item`, copied: a step takes the last row's text away. */
static enum rec_status collect(struct scanning *s, struct categories *categories, int64_t item,
                               size_t *count, struct rec_error *err) {
    enum rec_status st = REC_OK;
    *count = 0;
    while (st == REC_OK && categories->row &&
           sqlite3_column_int64(categories->statement, 0) <= item) {
        const char *name;
        st = rec_database_text(s->db, categories->statement, 1, &name, err);
        if (st != REC_OK)
            break;
        size_t bytes = strlen(name);
        if (bytes > REC_CATEGORY_BYTES_MAX || *count == REC_ITEM_CATEGORIES_MAX)
            return rec_error_set(err, REC_CORRUPT,
                                 "store: item %lld has too many categories or "
                                 "too long a one",
                                 (long long)item);
        memcpy(categories->text[*count], name, bytes + 1);
        categories->name[*count] = categories->text[*count];
        ++*count;
        st = rec_database_step(s->db, categories->statement, &categories->row, err);
    }
    return st;
}

static enum rec_status one_item(struct scanning *s, sqlite3_stmt *statement,
                                struct categories *categories) {
    struct rec_item out = {.title = (const char *)sqlite3_column_text(statement, 2),
                           .hidden = sqlite3_column_int(statement, 3) != 0,
                           .categories = categories->name};
    bool deleted = sqlite3_column_int(statement, 4) != 0;
    uint32_t item;
    enum rec_status st = rec_database_index(statement, 0, s->counts.items, "item", &item, s->err);
    if (st == REC_OK)
        st = rec_database_text(s->db, statement, 1, &out.item_id, s->err);
    if (st == REC_OK)
        st = collect(s, categories, item, &out.category_count, s->err);
    return st == REC_OK ? s->scan->item(s->scan->context, item, deleted, &out) : st;
}

static enum rec_status scan_items(struct scanning *s) {
    struct categories categories;
    sqlite3_stmt *statement = NULL;
    bool row = false;
    categories.row = false;
    enum rec_status st =
        rec_database_prepare(s->db, REC_SQL_SCAN_CATEGORIES, &categories.statement, s->err);
    if (st == REC_OK)
        st = rec_database_prepare(s->db, REC_SQL_SCAN_ITEMS, &statement, s->err);
    if (st == REC_OK)
        st = rec_database_step(s->db, categories.statement, &categories.row, s->err);
    while (st == REC_OK) {
        st = rec_database_step(s->db, statement, &row, s->err);
        if (st != REC_OK || !row)
            break;
        st = one_item(s, statement, &categories);
    }
    if (row)
        (void)sqlite3_reset(statement);
    if (categories.row)
        (void)sqlite3_reset(categories.statement);
    return st;
}

static enum rec_status scan_all(struct scanning *s) {
    const struct rec_store_scan *scan = s->scan;
    enum rec_status st = for_each(s, REC_SQL_TYPES, each_type);
    if (st == REC_OK && scan->user != NULL)
        st = for_each(s, REC_SQL_SCAN_USERS, each_user);
    if (st == REC_OK && scan->item != NULL)
        st = scan_items(s);
    if (st == REC_OK && scan->row != NULL) {
        const struct rec_rows rows = {s->db, s->back, &s->counts, s->types, scan};
        st = rec_rows_scan(&rows, s->err);
    }
    return st;
}

static enum rec_status begin_picture(struct rec_reader *reader, struct rec_store_counts *counts,
                                     struct rec_error *err) {
    enum rec_status st = rec_database_run(&reader->db, REC_SQL_BEGIN_READ, err);
    return st == REC_OK ? rec_reader_counts(reader, counts, err) : st;
}

static void end_picture(struct rec_reader *reader) {
    rec_database_rollback(&reader->db); /* nothing was written; this only ends the picture */
    /* A whole database went through this connection's cache. */
    (void)sqlite3_db_release_memory(reader->db.handle);
}

/* Rows are the same where as many were recorded and as many are there: one more of them raises the
 * first, an erased one lowers the second. */
static bool same_rows(const struct rec_store_counts *a, const struct rec_store_counts *b) {
    return a->recorded == b->recorded && a->interactions == b->interactions && a->users == b->users;
}

/* Two connections cannot begin at once, so both begin until no commit came between. Under a load
 * that always wins, one connection reads alone: *back stays NULL, as it does for want of anything
 * else that only the second needs. */
static enum rec_status begin_both(struct rec_store *store, struct rec_reader *front,
                                  struct rec_store_counts *counts, struct rec_reader **back,
                                  struct rec_error *err) {
    struct rec_reader *second = NULL;
    struct rec_store_counts others;
    if (rec_readers_borrow(&store->readers, &second, NULL) != REC_OK)
        return begin_picture(front, counts, err);
    for (int try = 0;; try++) {
        enum rec_status st = begin_picture(front, counts, err);
        bool same = st == REC_OK && begin_picture(second, &others, NULL) == REC_OK &&
                    same_rows(counts, &others);
        if (same) {
            *back = second;
            return REC_OK;
        }
        end_picture(second);
        if (st != REC_OK || try == BEGIN_TRIES) {
            rec_readers_give_back(&store->readers, &second);
            return st;
        }
        end_picture(front);
    }
}

enum rec_status rec_store_scan(struct rec_store *store, const struct rec_store_scan *scan,
                               struct rec_error *err) {
    struct rec_reader *reader = NULL, *back = NULL;
    enum rec_status st = rec_readers_borrow(&store->readers, &reader, err);
    if (st != REC_OK)
        return st;

    struct scanning s = {.db = &reader->db, .scan = scan, .err = err};
    st = scan->row_back != NULL ? begin_both(store, reader, &s.counts, &back, err)
                                : begin_picture(reader, &s.counts, err);
    s.back = back == NULL ? NULL : &back->db;
    if (st == REC_OK && scan->begin != NULL)
        scan->begin(scan->context, &s.counts);
    if (st == REC_OK)
        st = scan_all(&s);
    end_picture(reader);
    rec_readers_give_back(&store->readers, &reader);
    if (back != NULL) {
        end_picture(back);
        rec_readers_give_back(&store->readers, &back);
    }
    return st;
}

/* ---- one user's history ---------------------------------------------------------------- */

static enum rec_status history_row(struct rec_database *db, sqlite3_stmt *statement,
                                   rec_store_history_fn fn, void *context, struct rec_error *err) {
    struct rec_store_row row = {.timestamp = sqlite3_column_int64(statement, 1),
                                .sequence = (uint64_t)sqlite3_column_int64(statement, 2),
                                .value = sqlite3_column_double(statement, 5)};
    const char *item_id = NULL, *type = NULL;
    enum rec_status st = rec_database_index(statement, 0, REC_USERS_MAX, "user", &row.user, err);
    if (st == REC_OK)
        st = rec_database_index(statement, 3, REC_ITEMS_MAX, "item", &row.item, err);
    if (st == REC_OK)
        st = rec_database_index(statement, 4, REC_TYPES_MAX, "type", &row.type, err);
    if (st == REC_OK)
        st = rec_database_text(db, statement, 6, &item_id, err);
    if (st == REC_OK)
        st = rec_database_text(db, statement, 7, &type, err);
    return st == REC_OK ? fn(context, &row, item_id, type) : st;
}

static enum rec_status history(struct rec_database *db, uint32_t user,
                               const struct rec_store_cursor *cursor, size_t limit,
                               rec_store_history_fn fn, void *context, struct rec_error *err) {
    sqlite3_stmt *statement;
    bool row = false;
    enum rec_status st = rec_database_prepare(db, REC_SQL_HISTORY, &statement, err);
    if (st != REC_OK)
        return st;
    int64_t timestamp = cursor == NULL ? INT64_MAX : cursor->timestamp;
    uint64_t sequence = cursor == NULL ? INT64_MAX : cursor->sequence;
    (void)sqlite3_bind_int64(statement, 1, user);
    (void)sqlite3_bind_int64(statement, 2, timestamp);
    (void)sqlite3_bind_int64(statement, 3, sequence > INT64_MAX ? INT64_MAX : (int64_t)sequence);
    (void)sqlite3_bind_int64(statement, 4, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    while (st == REC_OK) {
        st = rec_database_step(db, statement, &row, err);
        if (st != REC_OK || !row)
            return st;
        st = history_row(db, statement, fn, context, err);
    }
    (void)sqlite3_reset(statement);
    return st;
}

enum rec_status rec_store_history(struct rec_store *store, uint32_t user,
                                  const struct rec_store_cursor *cursor, size_t limit,
                                  rec_store_history_fn fn, void *context, struct rec_error *err) {
    struct rec_reader *reader = NULL;
    enum rec_status st = rec_readers_borrow(&store->readers, &reader, err);
    if (st != REC_OK)
        return st;
    st = history(&reader->db, user, cursor, limit, fn, context, err);
    rec_readers_give_back(&store->readers, &reader);
    return st;
}
