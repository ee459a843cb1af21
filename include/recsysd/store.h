/* store: the database of users, items, interactions and training runs. SQLite
 * behind it, one connection that writes, and no SQLite type in this header.
 *
 * Dense indices: a user or an item gets the next index when it is first seen;
 * an index is never reused, so it means the same in every model generation. */
#ifndef RECSYSD_STORE_H
#define RECSYSD_STORE_H

#include "recsysd/base.h"

#define REC_STORE_NONE UINT32_MAX /* no such user or item */
enum { REC_STORE_IDENTITY_BYTES = 33 };

struct rec_store;

/* ---- life (store.c, migrate.c, lock.c) ------------------------------------ */

struct rec_store_options {
    const char *path;
    bool create;   /* make the file when it is missing */
    bool writable; /* take the one-writer lock and start the writer thread */
};

/* Opens, checks that it is a recsysd database, migrates it when writable.
 * errors: IO with the path (missing, read-only, no directory); CONFLICT when another process holds
 *         the writer lock (the text says to send NDJSON to POST /interactions instead);
 *         CORRUPT for another application's file or a schema newer than this binary. */
enum rec_status rec_store_open(const struct rec_store_options *options, struct rec_store **out,
                               struct rec_error *err);
/* Commits what is queued, checkpoints, closes. NULL is fine. */
void rec_store_close(struct rec_store **store);

/* 32 hex digits made when the database was; model files carry it. */
const char *rec_store_identity(const struct rec_store *store);
/* A write and a read that touch the disk path, for health checks. threads: any */
enum rec_status rec_store_check(struct rec_store *store, struct rec_error *err);

struct rec_store_counts {
    uint32_t users, items; /* indices given out, erased and deleted ones included */
    uint64_t interactions; /* rows now */
    uint64_t recorded;     /* rows ever recorded: grows only; what "after N new" counts */
};
enum rec_status rec_store_counts(struct rec_store *store, struct rec_store_counts *out,
                                 struct rec_error *err);

/* ---- writes (writer.c) ----------------------------------------------------- */

struct rec_interaction {
    const char *user_id, *item_id;
    const char *event_id; /* NULL: none */
    const char *type;
    double value;      /* a rating, an amount; 1 where the type has none */
    int64_t timestamp; /* Unix seconds */
};

/* What became of one row, filled by the writer before the completion call. */
struct rec_recorded {
    uint32_t user, item;     /* dense indices */
    bool duplicate;          /* the event_id was there already: nothing was added */
    bool new_user, new_item; /* this row gave out the index */
};

struct rec_item {
    const char *item_id;
    const char *title;             /* NULL: none */
    const char *const *categories; /* [category_count] */
    size_t category_count;
    bool hidden;
};

enum rec_write_kind {
    REC_WRITE_INTERACTIONS,
    REC_WRITE_ITEMS,       /* insert or replace whole items */
    REC_WRITE_ITEM_DELETE, /* the item leaves the catalogue; its index stays taken, its history rows
                              stay; an interaction or a put with its id brings the same index back
                            */
    REC_WRITE_USER_ERASE,  /* rows, id, event ids; overwritten on disk */
};

/* One request to the writer. The caller owns it and everything it points to
 * until done() is called. */
struct rec_write {
    enum rec_write_kind kind;
    const struct rec_interaction *interactions;
    const struct rec_item *items;
    const char *id; /* ITEM_DELETE, USER_ERASE */
    size_t count;   /* interactions or items */

    struct rec_recorded
        *recorded; /* [count] INTERACTIONS, ITEMS (item, new_item); [1] for deletes */
    /* Called on the writer thread once the commit is durable, or has failed: in commit order,
     * with no lock held. NOT_FOUND for a delete of an unknown id. */
    void (*done)(struct rec_write *write, enum rec_status status, const struct rec_error *err);
    void *context;          /* the caller's */
    struct rec_write *next; /* writer.c only */
};

/* Queues the write. BUSY when the queue holds REC_WRITE_QUEUE_ROWS_MAX rows or the store is
 * closing: done() is then not called. threads: any */
enum rec_status rec_store_submit(struct rec_store *store, struct rec_write *write,
                                 struct rec_error *err);

/* Waits until everything submitted before is committed and its done() has returned. */
void rec_store_flush(struct rec_store *store);

/* ---- bulk import (import.c) ------------------------------------------------- */

/* One transaction over any number of rows; nothing is kept unless it commits. Not while the
 * writer thread has work. Identical rows (user, item, type, value, timestamp) that the database
 * held before the import began, are not added again: a database that holds n of them and a file
 * with m of them ends with max(n, m). */
struct rec_store_import;
enum rec_status rec_store_import_begin(struct rec_store *store, struct rec_store_import **out,
                                       struct rec_error *err);
/* Adds rows. *added grows by how many were new. */
enum rec_status rec_store_import_rows(struct rec_store_import *import,
                                      const struct rec_interaction *rows, size_t count,
                                      uint64_t *added, struct rec_error *err);
enum rec_status rec_store_import_items(struct rec_store_import *import,
                                       const struct rec_item *items, size_t count,
                                       struct rec_error *err);
/* Ends it: commits (durable when it returns OK) or rolls back. Always frees; leaves NULL. */
enum rec_status rec_store_import_end(struct rec_store_import **import, bool commit,
                                     struct rec_error *err);

/* ---- reads (reader.c); threads: any, each borrows a reader connection --------- */

typedef enum rec_status (*rec_store_user_fn)(void *context, uint32_t user, const char *user_id);
typedef enum rec_status (*rec_store_type_fn)(void *context, uint32_t type, const char *name);
typedef enum rec_status (*rec_store_item_fn)(void *context, uint32_t item, bool deleted,
                                             const struct rec_item *row);
struct rec_store_row {
    uint32_t user, item, type;
    int64_t timestamp;
    uint64_t sequence; /* order of arrival */
    double value;
};
/* Rows come by user, then timestamp, then arrival: a user's rows together, oldest first. */
typedef enum rec_status (*rec_store_row_fn)(void *context, const struct rec_store_row *row);

/* One consistent picture of the whole database: counts first, then types, users, items (by
 * index), then interactions. Callbacks may be NULL; a callback's status other than OK stops the
 * scan and is returned. */
struct rec_store_scan {
    void (*begin)(void *context, const struct rec_store_counts *counts);
    rec_store_type_fn type;
    rec_store_user_fn user; /* erased users are left out */
    rec_store_item_fn item;
    rec_store_row_fn row;
    /* NULL, or: the rows of about half the users come here, on a second thread while `row` runs, in
     * the opposite order: the last user first, and of a user the newest row first. All rows of a
     * user come to one of the two, and the users of `row` are all below those of `row_back`. May
     * get none. Its status stops both. */
    rec_store_row_fn row_back;
    void *context;
};
enum rec_status rec_store_scan(struct rec_store *store, const struct rec_store_scan *scan,
                               struct rec_error *err);

/* A user's rows, newest first: at most `limit` that come after the cursor (timestamp, sequence);
 * cursor NULL starts at the newest. Item ids and type names are passed with each row. */
struct rec_store_cursor {
    int64_t timestamp;
    uint64_t sequence;
};
typedef enum rec_status (*rec_store_history_fn)(void *context, const struct rec_store_row *row,
                                                const char *item_id, const char *type);
enum rec_status rec_store_history(struct rec_store *store, uint32_t user,
                                  const struct rec_store_cursor *cursor, size_t limit,
                                  rec_store_history_fn fn, void *context, struct rec_error *err);

/* ---- training runs (runs.c) -------------------------------------------------- */

/* clang-format off: version 14 changes its mind at each run */
#define REC_RUN_STATE_MAP(X)                                                                       \
    X(QUEUED, "queued")                                                                            \
    X(RUNNING, "running")                                                                          \
    X(SUCCEEDED, "succeeded")                                                                      \
    X(NOT_BETTER, "not_better")                                                                    \
    X(FAILED, "failed")                                                                            \
    X(CANCELLED, "cancelled")                                                                      \
    X(INTERRUPTED, "interrupted")
/* clang-format on */
#define REC_RUN_STATE_ENUM(name, text) REC_RUN_##name,
enum rec_run_state { REC_RUN_STATE_MAP(REC_RUN_STATE_ENUM) };
#undef REC_RUN_STATE_ENUM
const char *rec_run_state_text(enum rec_run_state state);

struct rec_run_row {
    uint64_t id; /* 0: give it the next one */
    enum rec_run_state state;
    char family[32];
    char parameters[512]; /* "factors=64 regularization=0.01" */
    char version[64];     /* empty until there is one */
    char metrics[1024];   /* a JSON object, or empty */
    char error[400];
    int64_t created_at, started_at, finished_at; /* Unix seconds, 0: not yet */
};

/* Inserts or replaces a row; durable when it returns. Sets row->id. Goes through the writer. */
enum rec_status rec_store_put_run(struct rec_store *store, struct rec_run_row *row,
                                  struct rec_error *err);
enum rec_status rec_store_get_run(struct rec_store *store, uint64_t id, struct rec_run_row *out,
                                  struct rec_error *err);
/* Newest first; *count in: capacity, out: how many. */
enum rec_status rec_store_list_runs(struct rec_store *store, struct rec_run_row *out, size_t *count,
                                    struct rec_error *err);
/* At start: what is queued or running was cut off by a crash. *count: how many were marked. */
enum rec_status rec_store_mark_interrupted(struct rec_store *store, size_t *count,
                                           struct rec_error *err);

/* ---- studies (study.c) --------------------------------------------------------- */

/* What a search for parameters has tried, in a file of its own. One process at a time. */
struct rec_study;

/* What the study is of: {"model", "als"}. */
struct rec_study_fact {
    const char *name, *value;
};

enum rec_study_state { REC_STUDY_COMPLETE, REC_STUDY_PRUNED, REC_STUDY_FAILED };
const char *rec_study_state_text(enum rec_study_state state);

/* How good a trial was after an epoch. */
struct rec_study_look {
    uint32_t epoch;
    double value;
};

struct rec_study_trial {
    uint32_t number;
    enum rec_study_state state;
    double value; /* NAN: none */
    double seconds;
    const char *parameters, *error;
    const struct rec_study_look *looks; /* [look_count] */
    size_t look_count;
};

/* Makes the file when it is missing or empty.
 * errors: CONFLICT: a study of something else, naming the fact with both values, or another process
 *         works on it; CORRUPT: the file is no study, or one of a newer recsysd; IO */
enum rec_status rec_study_open(const char *path, const struct rec_study_fact *facts, size_t count,
                               struct rec_study **out, struct rec_error *err);
void rec_study_close(struct rec_study **study); /* NULL is fine */
/* Durable when it returns OK; a failure leaves nothing of the trial. CONFLICT: the number is taken.
 */
enum rec_status rec_study_add(struct rec_study *study, const struct rec_study_trial *trial,
                              struct rec_error *err);
/* All trials in the order in which they were added; what a trial points to is good during the call.
 * A status other than OK stops the reading and is returned. */
typedef enum rec_status (*rec_study_fn)(void *context, const struct rec_study_trial *trial,
                                        struct rec_error *err);
enum rec_status rec_study_read(struct rec_study *study, rec_study_fn fn, void *context,
                               struct rec_error *err);

#endif
