/* A study: what a search for parameters has tried, in an SQLite file of its own, so that a search
 * that is killed goes on where it was.
 *
 * Not in the database of the service: a search reads files, needs no database, and its file can be
 * thrown away. One transaction a trial; a rollback journal and not a WAL, as one process writes a
 * few rows a minute and nobody reads beside it. The lock is taken when the file is opened and kept:
 * two searches on one study would propose the same trials. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "database.h"
#include "recsysd/store.h"

enum { APPLICATION_ID = 0x72656374, SCHEMA = 1 }; /* "rect" */
#define DATABASE_ID 0x72656373                    /* of the service, for the message */

static const char schema[] =
    "CREATE TABLE facts (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT "
    "ROWID;"
    "CREATE TABLE trials (sequence INTEGER PRIMARY KEY, number INTEGER NOT NULL UNIQUE,"
    " state TEXT NOT NULL, value REAL, seconds REAL NOT NULL, parameters TEXT NOT NULL,"
    " error TEXT NOT NULL) STRICT;"
    "CREATE TABLE looks (number INTEGER NOT NULL, position INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (number, position))"
    " STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1; PRAGMA application_id = 1919247220";

static const char *const state_text[] = {[REC_STUDY_COMPLETE] = "complete",
                                         [REC_STUDY_PRUNED] = "pruned",
                                         [REC_STUDY_FAILED] = "failed"};
enum { STATES = sizeof(state_text) / sizeof(state_text[0]) };

struct rec_study {
    struct rec_database db;
    char path[PATH_MAX];
    struct rec_study_look *looks; /* of the trial being read */
    size_t capacity;
};

const char *rec_study_state_text(enum rec_study_state state) {
    return (size_t)state < STATES ? state_text[state] : "unknown";
}

/* ---- opening --------------------------------------------------------------------------- */

/* Whether it is empty; CORRUPT when it is neither that nor a study. */
static enum rec_status check_kind(struct rec_study *study, bool *fresh, struct rec_error *err) {
    int64_t application = 0, version = 0, objects = 0;
    struct rec_error cause = {0};
    enum rec_status st =
        rec_database_number(&study->db, "PRAGMA application_id", &application, &cause);
    if (st == REC_OK)
        st = rec_database_number(&study->db, "PRAGMA user_version", &version, &cause);
    if (st == REC_OK)
        st =
            rec_database_number(&study->db, "SELECT count(*) FROM sqlite_schema", &objects, &cause);
    if (st == REC_CORRUPT)
        return rec_error_set(err, st, "%s: is not a study; name a new file", study->path);
    if (st != REC_OK)
        return rec_error_set(err, st, "%s: %s", study->path, cause.text);
    *fresh = application == 0 && version == 0 && objects == 0;
    if (*fresh)
        return REC_OK;
    if (application != APPLICATION_ID)
        return rec_error_set(err, REC_CORRUPT, "%s: is %s, not a study; name a new file",
                             study->path,
                             application == DATABASE_ID ? "the database of a service"
                                                        : "another application's database");
    if (version != SCHEMA)
        return rec_error_set(err, REC_CORRUPT,
                             "%s: is a study of schema %lld, this recsysd knows %d; use the newer "
                             "one, or name a new file",
                             study->path, (long long)version, SCHEMA);
    return REC_OK;
}

static enum rec_status add_fact(struct rec_study *study, const struct rec_study_fact *fact,
                                struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&study->db, REC_SQL_STUDY_FACT_ADD, &statement, err);
    if (st != REC_OK)
        return st;
    rec_database_bind_text(statement, 1, fact->name);
    rec_database_bind_text(statement, 2, fact->value);
    return rec_database_finish(&study->db, statement, err);
}

static enum rec_status check_fact(struct rec_study *study, const struct rec_study_fact *fact,
                                  struct rec_error *err) {
    sqlite3_stmt *statement;
    bool row = false;
    enum rec_status st = rec_database_prepare(&study->db, REC_SQL_STUDY_FACT_GET, &statement, err);
    if (st != REC_OK)
        return st;
    rec_database_bind_text(statement, 1, fact->name);
    st = rec_database_step(&study->db, statement, &row, err);
    const char *value = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (st == REC_OK && (value == NULL || strcmp(value, fact->value) != 0))
        st = rec_error_set(err, REC_CONFLICT,
                           "%s: is a study of %s '%.120s', not '%.120s'; name another file",
                           study->path, fact->name, value == NULL ? "" : value, fact->value);
    if (row)
        (void)sqlite3_reset(statement);
    return st;
}

/* All of it in one transaction, so that a crash leaves an empty file or a study. */
static enum rec_status begin(struct rec_study *study, const struct rec_study_fact *facts,
                             size_t count, struct rec_error *err) {
    bool fresh = false;
    enum rec_status st = check_kind(study, &fresh, err);
    if (st == REC_OK && fresh)
        st = rec_database_exec(&study->db, schema, err);
    for (size_t i = 0; st == REC_OK && i < count; i++)
        st = fresh ? add_fact(study, &facts[i], err) : check_fact(study, &facts[i], err);
    return st;
}

/* The connection with the lock that is kept. */
static enum rec_status take(struct rec_study *study, struct rec_error *err) {
    struct rec_error cause = {0};
    enum rec_status st = rec_database_open(study->path, true, &study->db, &cause);
    if (st == REC_OK)
        st = rec_database_exec(&study->db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
                               &cause);
    if (st == REC_BUSY)
        return rec_error_set(err, REC_CONFLICT, "%s: another recsysd is working on it",
                             study->path);
    if (st == REC_CORRUPT)
        return rec_error_set(err, st, "%s: is not a study; name a new file", study->path);
    return st == REC_OK ? REC_OK : rec_error_set(err, st, "%s: %s", study->path, cause.text);
}

static enum rec_status open_study(struct rec_study *study, const char *path,
                                  const struct rec_study_fact *facts, size_t count,
                                  struct rec_error *err) {
    int length =
        snprintf(study->path, sizeof(study->path), "%s%s", path[0] == '/' ? "" : "./", path);
    if (length < 0 || (size_t)length >= sizeof(study->path))
        return rec_error_set(err, REC_BAD_INPUT, "%.200s...: the path is too long", path);
    enum rec_status st = rec_database_make_file(study->path, err);
    if (st == REC_OK)
        st = take(study, err);
    if (st != REC_OK)
        return st;
    st = begin(study, facts, count, err);
    if (st == REC_OK)
        st = rec_database_run(&study->db, REC_SQL_COMMIT, err);
    if (st != REC_OK)
        rec_database_rollback(&study->db);
    return st;
}

enum rec_status rec_study_open(const char *path, const struct rec_study_fact *facts, size_t count,
                               struct rec_study **out, struct rec_error *err) {
    struct rec_study *study = rec_alloc_array(1, sizeof(*study));
    if (study == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a study");
    enum rec_status st = open_study(study, path, facts, count, err);
    if (st != REC_OK) {
        rec_study_close(&study);
        return st;
    }
    *out = study;
    return REC_OK;
}

void rec_study_close(struct rec_study **study) {
    if (*study == NULL)
        return;
    rec_database_close(&(*study)->db);
    rec_alloc_free((*study)->looks);
    rec_alloc_free(*study);
    *study = NULL;
}

/* ---- trials ------------------------------------------------------------------------------ */

static enum rec_status add_trial(struct rec_study *study, const struct rec_study_trial *trial,
                                 struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&study->db, REC_SQL_STUDY_TRIAL_ADD, &statement, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_bind_int64(statement, 1, trial->number);
    rec_database_bind_text(statement, 2, rec_study_state_text(trial->state));
    if (isfinite(trial->value))
        (void)sqlite3_bind_double(statement, 3, trial->value);
    else
        (void)sqlite3_bind_null(statement, 3);
    (void)sqlite3_bind_double(statement, 4, trial->seconds);
    rec_database_bind_text(statement, 5, trial->parameters);
    rec_database_bind_text(statement, 6, trial->error);
    return rec_database_finish(&study->db, statement, err);
}

static enum rec_status add_looks(struct rec_study *study, const struct rec_study_trial *trial,
                                 struct rec_error *err) {
    sqlite3_stmt *statement;
    enum rec_status st = rec_database_prepare(&study->db, REC_SQL_STUDY_LOOK_ADD, &statement, err);
    for (size_t i = 0; st == REC_OK && i < trial->look_count; i++) {
        (void)sqlite3_bind_int64(statement, 1, trial->number);
        (void)sqlite3_bind_int64(statement, 2, (int64_t)i);
        (void)sqlite3_bind_int64(statement, 3, trial->looks[i].epoch);
        (void)sqlite3_bind_double(statement, 4, trial->looks[i].value);
        st = rec_database_finish(&study->db, statement, err);
    }
    return st;
}

enum rec_status rec_study_add(struct rec_study *study, const struct rec_study_trial *trial,
                              struct rec_error *err) {
    struct rec_error cause = {0};
    enum rec_status st = rec_database_run(&study->db, REC_SQL_BEGIN_WRITE, &cause);
    if (st == REC_OK)
        st = add_trial(study, trial, &cause);
    if (st == REC_OK)
        st = add_looks(study, trial, &cause);
    if (st == REC_OK)
        st = rec_database_run(&study->db, REC_SQL_COMMIT, &cause);
    if (st == REC_OK)
        return REC_OK;
    rec_database_rollback(&study->db);
    return rec_error_set(err, st, "%s: trial %u: %s", study->path, trial->number, cause.text);
}

static enum rec_status read_looks(struct rec_study *study, struct rec_study_trial *trial,
                                  struct rec_error *err) {
    sqlite3_stmt *statement;
    bool row = true;
    enum rec_status st = rec_database_prepare(&study->db, REC_SQL_STUDY_LOOKS, &statement, err);
    if (st != REC_OK)
        return st;
    (void)sqlite3_bind_int64(statement, 1, trial->number);
    while (row) {
        st = rec_database_step(&study->db, statement, &row, err);
        if (st != REC_OK || !row)
            break;
        if (trial->look_count == REC_TRIAL_LOOKS_MAX)
            st = rec_error_set(err, REC_CORRUPT, "trial %u has more than %d looks", trial->number,
                               REC_TRIAL_LOOKS_MAX);
        if (st == REC_OK)
            st = rec_alloc_grow(&study->looks, &study->capacity, trial->look_count + 1,
                                sizeof(*study->looks), err);
        struct rec_study_look look = {.value = sqlite3_column_double(statement, 1)};
        if (st == REC_OK)
            st = rec_database_index(statement, 0, UINT32_MAX, "an epoch", &look.epoch, err);
        if (st != REC_OK) {
            (void)sqlite3_reset(statement);
            break;
        }
        study->looks[trial->look_count++] = look;
    }
    trial->looks = study->looks;
    return st;
}

static enum rec_status read_trial(struct rec_study *study, sqlite3_stmt *statement,
                                  struct rec_study_trial *trial, struct rec_error *err) {
    const char *state = NULL;
    size_t found = 0;
    *trial = (struct rec_study_trial){.value = (double)NAN};
    enum rec_status st =
        rec_database_index(statement, 0, UINT32_MAX, "a trial", &trial->number, err);
    if (st == REC_OK)
        st = rec_database_text(&study->db, statement, 1, &state, err);
    if (st == REC_OK)
        st = rec_database_text(&study->db, statement, 4, &trial->parameters, err);
    if (st == REC_OK)
        st = rec_database_text(&study->db, statement, 5, &trial->error, err);
    if (st != REC_OK)
        return st;
    while (found < STATES && strcmp(state, state_text[found]) != 0)
        found++;
    if (found == STATES)
        return rec_error_set(err, REC_CORRUPT, "trial %u has the unknown state '%.20s'",
                             trial->number, state);
    trial->state = (enum rec_study_state)found;
    trial->seconds = sqlite3_column_double(statement, 3);
    if (sqlite3_column_type(statement, 2) != SQLITE_NULL)
        trial->value = sqlite3_column_double(statement, 2);
    if (trial->state == REC_STUDY_COMPLETE && !isfinite(trial->value))
        return rec_error_set(err, REC_CORRUPT, "trial %u is complete without a value",
                             trial->number);
    return read_looks(study, trial, err);
}

enum rec_status rec_study_read(struct rec_study *study, rec_study_fn fn, void *context,
                               struct rec_error *err) {
    sqlite3_stmt *statement;
    struct rec_error cause = {0};
    bool row = true;
    enum rec_status st = rec_database_prepare(&study->db, REC_SQL_STUDY_TRIALS, &statement, &cause);
    while (st == REC_OK) {
        struct rec_study_trial trial;
        st = rec_database_step(&study->db, statement, &row, &cause);
        if (st != REC_OK || !row)
            break;
        st = read_trial(study, statement, &trial, &cause);
        if (st == REC_OK)
            st = fn(context, &trial, &cause);
        if (st != REC_OK)
            (void)sqlite3_reset(statement);
    }
    return st == REC_OK ? REC_OK
                        : rec_error_set(err, st, "%s: %s", study->path,
                                        cause.text[0] != '\0' ? cause.text : rec_error_text(st));
}
