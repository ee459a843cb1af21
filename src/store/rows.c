/* All interactions, from one end or from both.
 *
 * A hundred million rows take one thread half a minute, most of it SQLite's steps. Two connections
 * that look at the same picture walk towards each other, users rising on one and falling on the
 * other. Who does how much is not known before, so a user's rows belong to the end that claims the
 * user first, and an end stops where it meets what the other has claimed. */
#include <pthread.h>
#include <signal.h>

#include "store.h"

struct ends {
    pthread_mutex_t lock;
    uint32_t front; /* users below are the front's */
    uint32_t back;  /* and from here on the back's */
    bool failed;    /* one end has, so the other stops too */
};

struct walk {
    struct rec_database *db;
    const struct rec_store_counts *counts;
    uint32_t types;
    enum rec_sql which;
    rec_store_row_fn row;
    void *context;
    struct ends *ends; /* NULL: all rows are this walk's */
    uint32_t user;     /* whose rows are coming */
    enum rec_status status;
    struct rec_error err;
};

static bool claim(const struct walk *walk, uint32_t user) {
    struct ends *ends = walk->ends;
    if (ends == NULL)
        return true;
    bool front = walk->which == REC_SQL_SCAN_ROWS;
    (void)pthread_mutex_lock(&ends->lock);
    bool free_user = !ends->failed && (front ? user < ends->back : user >= ends->front);
    if (free_user && front)
        ends->front = user + 1;
    else if (free_user)
        ends->back = user;
    (void)pthread_mutex_unlock(&ends->lock);
    return free_user;
}

static void give_up(struct ends *ends) {
    if (ends == NULL)
        return;
    (void)pthread_mutex_lock(&ends->lock);
    ends->failed = true;
    (void)pthread_mutex_unlock(&ends->lock);
}

/* A damaged tree could have one user's rows at both ends. */
static enum rec_status check_order(struct walk *walk, uint32_t user) {
    bool front = walk->which == REC_SQL_SCAN_ROWS;
    if (walk->user == REC_STORE_NONE || (front ? walk->user < user : walk->user > user))
        return REC_OK;
    return rec_error_set(&walk->err, REC_CORRUPT,
                         "store: rows of user %u are out of place in the database", user);
}

/* *stop: the rest is the other end's. */
static enum rec_status take_row(struct walk *walk, sqlite3_value **column, bool *stop) {
    int64_t user = sqlite3_value_int64(column[0]), item = sqlite3_value_int64(column[3]),
            type = sqlite3_value_int64(column[4]);
    if (user < 0 || user >= (int64_t)walk->counts->users || item < 0 ||
        item >= (int64_t)walk->counts->items || type < 0 || type >= (int64_t)walk->types)
        return rec_error_set(&walk->err, REC_CORRUPT,
                             "store: an interaction names user %lld, item %lld and type %lld, of "
                             "%u, %u and %u",
                             (long long)user, (long long)item, (long long)type, walk->counts->users,
                             walk->counts->items, walk->types);
    const struct rec_store_row row = {.user = (uint32_t)user,
                                      .item = (uint32_t)item,
                                      .type = (uint32_t)type,
                                      .timestamp = sqlite3_value_int64(column[1]),
                                      .sequence = (uint64_t)sqlite3_value_int64(column[2]),
                                      .value = sqlite3_value_double(column[5])};
    if (row.user != walk->user) {
        enum rec_status st = check_order(walk, row.user);
        *stop = st == REC_OK && !claim(walk, row.user);
        if (st != REC_OK || *stop)
            return st;
        walk->user = row.user;
    }
    return walk->row(walk->context, &row);
}

static const char walk_pointer[] = "rec_walk";

/* True, which ends the step, when no more rows are wanted. */
static void visit(sqlite3_context *context, int count, sqlite3_value **arguments) {
    struct walk *walk = sqlite3_value_pointer(arguments[0], walk_pointer);
    bool stop = false;
    (void)count;
    if (walk == NULL) {
        sqlite3_result_error(context, "not called by a walk", -1);
        return;
    }
    walk->status = take_row(walk, arguments + 1, &stop);
    sqlite3_result_int(context, stop || walk->status != REC_OK);
}

enum rec_status rec_rows_register(struct rec_database *db, struct rec_error *err) {
    int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    if (sqlite3_create_function_v2(db->handle, "visit_row", 7, flags, NULL, visit, NULL, NULL,
                                   NULL) != SQLITE_OK)
        return rec_database_fail(db, "a function", err);
    return REC_OK;
}

static enum rec_status walk_rows(struct walk *walk) {
    sqlite3_stmt *statement;
    bool stopped = false;
    walk->user = REC_STORE_NONE;
    enum rec_status st = rec_database_prepare(walk->db, walk->which, &statement, &walk->err);
    if (st == REC_OK) {
        (void)sqlite3_bind_pointer(statement, 1, walk, walk_pointer, NULL);
        st = rec_database_step(walk->db, statement, &stopped, &walk->err);
        (void)sqlite3_reset(statement);
        (void)sqlite3_clear_bindings(statement);
    }
    if (st == REC_OK)
        st = walk->status;
    if (st != REC_OK)
        give_up(walk->ends);
    return st;
}

struct back_thread {
    struct walk walk;
    enum rec_status status;
};

static void *back_main(void *context) {
    struct back_thread *back = context;
    back->status = walk_rows(&back->walk);
    return NULL;
}

/* Signals are for the main thread, so this one starts with all of them blocked. */
static bool start(pthread_t *thread, struct back_thread *back) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(thread, NULL, back_main, back);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0;
}

static enum rec_status fail(const struct walk *walk, enum rec_status st, struct rec_error *err) {
    return walk->err.status != REC_OK ? rec_error_set(err, st, "%s", walk->err.text) : st;
}

enum rec_status rec_rows_scan(const struct rec_rows *rows, struct rec_error *err) {
    const struct rec_store_scan *scan = rows->scan;
    struct ends ends = {.back = UINT32_MAX};
    struct walk front = {.db = rows->front,
                         .counts = rows->counts,
                         .types = rows->types,
                         .which = REC_SQL_SCAN_ROWS,
                         .row = scan->row,
                         .context = scan->context};
    struct back_thread back = {.walk = front};
    pthread_t thread;
    back.walk.db = rows->back;
    back.walk.which = REC_SQL_SCAN_ROWS_BACK;
    back.walk.row = scan->row_back;

    bool both = rows->back != NULL && pthread_mutex_init(&ends.lock, NULL) == 0;
    if (both) {
        front.ends = back.walk.ends = &ends;
        both = start(&thread, &back);
    }
    enum rec_status st = walk_rows(&front);
    if (st != REC_OK)
        (void)fail(&front, st, err);
    if (both) {
        (void)pthread_join(thread, NULL);
        if (st == REC_OK && back.status != REC_OK)
            st = fail(&back.walk, back.status, err);
    }
    if (front.ends != NULL)
        (void)pthread_mutex_destroy(&ends.lock);
    return st;
}
