/* One SQLite connection: its settings, its prepared statements, its errors as rec_status. The
 * other files of this room reach SQLite through here. */
#ifndef RECSYSD_STORE_DATABASE_H
#define RECSYSD_STORE_DATABASE_H

#include <sqlite3.h>

#include "recsysd/base.h"

/* Every statement that is run more than once, prepared when first used. */
#define REC_SQL_MAP(X)                                                                             \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                              \
    X(BEGIN_READ, "BEGIN")                                                                         \
    X(COMMIT, "COMMIT")                                                                            \
    X(SAVEPOINT, "SAVEPOINT one_write")                                                            \
    X(SAVEPOINT_UNDO, "ROLLBACK TO one_write")                                                     \
    X(SAVEPOINT_END, "RELEASE one_write")                                                          \
    X(META_GET, "SELECT value FROM meta WHERE key = ?1")                                           \
    X(META_SET, "UPDATE meta SET value = ?2 WHERE key = ?1")                                       \
    X(COUNTS, "SELECT (SELECT coalesce(max(user_index) + 1, 0) FROM users),"                       \
              " (SELECT coalesce(max(item_index) + 1, 0) FROM items),"                             \
              " (SELECT value FROM meta WHERE key = 'interactions'),"                              \
              " (SELECT value FROM meta WHERE key = 'recorded')")                                  \
    X(TYPES, "SELECT type_index, name FROM types ORDER BY type_index")                             \
    X(TYPE_ADD, "INSERT INTO types (type_index, name) VALUES (?1, ?2)")                            \
    X(USER_FIND, "SELECT user_index FROM users WHERE user_id = ?1")                                \
    X(USER_ADD, "INSERT INTO users (user_index, user_id) VALUES (?1, ?2)")                         \
    X(USER_ERASE, "UPDATE users SET user_id = NULL WHERE user_index = ?1")                         \
    X(ITEM_FIND, "SELECT item_index, deleted FROM items WHERE item_id = ?1")                       \
    X(ITEM_ADD, "INSERT INTO items (item_index, item_id) VALUES (?1, ?2)")                         \
    X(ITEM_SET, "UPDATE items SET title = ?2, hidden = ?3, deleted = ?4 WHERE item_index = ?1")    \
    X(CATEGORY_FIND, "SELECT category_index FROM categories WHERE name = ?1")                      \
    X(CATEGORY_ADD, "INSERT INTO categories (name) VALUES (?1) RETURNING category_index")          \
    X(CATEGORY_COUNT, "SELECT count(*) FROM categories")                                           \
    X(CATEGORY_PURGE, "DELETE FROM categories WHERE category_index NOT IN"                         \
                      " (SELECT category FROM item_categories)")                                   \
    X(ITEM_CATEGORY_ADD,                                                                           \
      "INSERT INTO item_categories (item, position, category) VALUES (?1, ?2, ?3)")                \
    X(ITEM_CATEGORY_CLEAR, "DELETE FROM item_categories WHERE item = ?1")                          \
    X(EVENT_FIND, "SELECT user, item, sequence FROM interactions WHERE event_id = ?1")             \
    X(ROW_ADD, "INSERT INTO interactions (user, timestamp, sequence, item, type, value, event_id)" \
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                             \
    X(ROWS_SAME_TIME, "SELECT sequence, item, type, value, event_id IS NOT NULL FROM interactions" \
                      " WHERE user = ?1 AND timestamp = ?2 AND sequence <= ?3")                    \
    X(ROWS_ERASE, "DELETE FROM interactions WHERE user = ?1")                                      \
    X(SCAN_USERS, "SELECT user_index, user_id FROM users WHERE user_id IS NOT NULL"                \
                  " ORDER BY user_index")                                                          \
    X(SCAN_ITEMS, "SELECT item_index, item_id, title, hidden, deleted FROM items"                  \
                  " ORDER BY item_index")                                                          \
    X(SCAN_CATEGORIES, "SELECT ic.item, c.name FROM item_categories AS ic CROSS JOIN"              \
                       " categories AS c ON c.category_index = ic.category"                        \
                       " ORDER BY ic.item, ic.position")                                           \
    X(SCAN_ROWS, "SELECT 1 FROM interactions"                                                      \
                 " WHERE visit_row(?1, user, timestamp, sequence, item, type, value)"              \
                 " ORDER BY user, timestamp, sequence")                                            \
    X(SCAN_ROWS_BACK, "SELECT 1 FROM interactions"                                                 \
                      " WHERE visit_row(?1, user, timestamp, sequence, item, type, value)"         \
                      " ORDER BY user DESC, timestamp DESC, sequence DESC")                        \
    X(HISTORY, "SELECT r.user, r.timestamp, r.sequence, r.item, r.type, r.value, i.item_id,"       \
               " t.name FROM interactions AS r CROSS JOIN items AS i ON i.item_index = r.item"     \
               " CROSS JOIN types AS t ON t.type_index = r.type"                                   \
               " WHERE r.user = ?1 AND (r.timestamp, r.sequence) < (?2, ?3)"                       \
               " ORDER BY r.timestamp DESC, r.sequence DESC LIMIT ?4")                             \
    X(RUN_ADD,                                                                                     \
      "INSERT INTO runs (state, family, parameters, version, metrics, error, created_at,"          \
      " started_at, finished_at, run_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"         \
      " ON CONFLICT (run_id) DO UPDATE SET state = ?1, family = ?2, parameters = ?3,"              \
      " version = ?4, metrics = ?5, error = ?6, created_at = ?7, started_at = ?8,"                 \
      " finished_at = ?9 RETURNING run_id")                                                        \
    X(RUN_GET, "SELECT state, family, parameters, version, metrics, error, created_at,"            \
               " started_at, finished_at, run_id FROM runs WHERE run_id = ?1")                     \
    X(RUN_LIST, "SELECT state, family, parameters, version, metrics, error, created_at,"           \
                " started_at, finished_at, run_id FROM runs ORDER BY run_id DESC LIMIT ?1")        \
    X(RUN_INTERRUPT, "UPDATE runs SET state = 'interrupted', finished_at = ?1,"                    \
                     " error = 'the process ended before the run did'"                             \
                     " WHERE state IN ('queued', 'running')")                                      \
    X(STUDY_FACT_GET, "SELECT value FROM facts WHERE name = ?1")                                   \
    X(STUDY_FACT_ADD, "INSERT INTO facts (name, value) VALUES (?1, ?2)")                           \
    X(STUDY_TRIAL_ADD, "INSERT INTO trials (number, state, value, seconds, parameters, error)"     \
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                         \
    X(STUDY_LOOK_ADD, "INSERT INTO looks (number, position, epoch, value)"                         \
                      " VALUES (?1, ?2, ?3, ?4)")                                                  \
    X(STUDY_TRIALS, "SELECT number, state, value, seconds, parameters, error FROM trials"          \
                    " ORDER BY sequence")                                                          \
    X(STUDY_LOOKS, "SELECT epoch, value FROM looks WHERE number = ?1 ORDER BY position")

#define REC_SQL_ENUM(name, text) REC_SQL_##name,
enum rec_sql { REC_SQL_MAP(REC_SQL_ENUM) REC_SQL_COUNT };
#undef REC_SQL_ENUM

struct rec_database {
    sqlite3 *handle;
    sqlite3_stmt *statement[REC_SQL_COUNT];
};

/* Makes the file when it is missing. O_EXCL: a database that is there is never opened here, since
 * closing the descriptor would drop SQLite's locks on it (see lock.c). Others may not read it: it
 * holds what people did. */
enum rec_status rec_database_make_file(const char *path, struct rec_error *err);

/* Opens an existing file. Writable are a store's writer and what moves the WAL for it (mover.c);
 * all others can neither write nor checkpoint, not even when they are closed. */
enum rec_status rec_database_open(const char *path, bool writable, struct rec_database *out,
                                  struct rec_error *err);
void rec_database_close(struct rec_database *db);

/* How long a lock is waited for: a lone writer never meets one, but a checkpoint may. */
enum { REC_DATABASE_BUSY_MS = 5000 };

/* SQLite's last error on this connection, as ours: "store: <what>: <SQLite's text>". */
enum rec_status rec_database_fail(struct rec_database *db, const char *what, struct rec_error *err);

enum rec_status rec_database_prepare(struct rec_database *db, enum rec_sql which,
                                     sqlite3_stmt **out, struct rec_error *err);
/* One step. *row: there is a row to read, and the caller resets the statement when done with it;
 * without a row and on failure it is reset already. */
enum rec_status rec_database_step(struct rec_database *db, sqlite3_stmt *statement, bool *row,
                                  struct rec_error *err);
/* Steps a statement that gives no rows. */
enum rec_status rec_database_finish(struct rec_database *db, sqlite3_stmt *statement,
                                    struct rec_error *err);
/* prepare and finish, for statements without parameters. */
enum rec_status rec_database_run(struct rec_database *db, enum rec_sql which,
                                 struct rec_error *err);
/* SQL that is run once: pragmas, migrations. */
enum rec_status rec_database_exec(struct rec_database *db, const char *sql, struct rec_error *err);
/* The one number that `sql` gives. */
enum rec_status rec_database_number(struct rec_database *db, const char *sql, int64_t *out,
                                    struct rec_error *err);
/* Ends a transaction that may have ended already: SQLite rolls back by itself on some errors. */
void rec_database_rollback(struct rec_database *db);

/* Column `column` as an index below `bound`; CORRUPT names `what`. */
enum rec_status rec_database_index(sqlite3_stmt *statement, int column, uint64_t bound,
                                   const char *what, uint32_t *out, struct rec_error *err);
/* Column `column` as text: CORRUPT when it is NULL. Good until the next step. */
enum rec_status rec_database_text(struct rec_database *db, sqlite3_stmt *statement, int column,
                                  const char **out, struct rec_error *err);

/* Binds without a copy: the text must live until the statement is reset. NULL binds NULL. */
void rec_database_bind_text(sqlite3_stmt *statement, int parameter, const char *text);

#endif
