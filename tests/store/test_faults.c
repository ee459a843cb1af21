#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultfs.h"
#include "support.h"

/* ---- SQLite's memory, which can run out -------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static atomic_long memory_countdown = -1;
static atomic_bool memory_failed;

static bool memory_due(void) {
    if (atomic_load(&memory_countdown) < 0 || atomic_fetch_sub(&memory_countdown, 1) != 0)
        return false;
    atomic_store(&memory_failed, true);
    return true;
}
static void *memory_malloc(int bytes) {
    return memory_due() ? NULL : real_memory.xMalloc(bytes);
}
static void *memory_realloc(void *block, int bytes) {
    return memory_due() ? NULL : real_memory.xRealloc(block, bytes);
}

/* ---- what is done while things fail ---------------------------------------------------------- */

/* What was answered, step by step; the first is the opening. */
enum { OPENED, ANN, BOB, ITEM, ERASED, IMPORTED, RUN, STEPS };
struct outcome {
    enum rec_status st[STEPS];
    size_t count;
};

static void note(struct outcome *outcome, enum rec_status st) {
    outcome->st[outcome->count++] = st;
}

/* Writes, a duplicate, an item, an erasure, an import, a run, one after the other. */
static void script(struct rec_store *store, struct outcome *outcome) {
    struct waiting waiting;
    const char *const categories[] = {"drama", "action"};
    struct rec_interaction row = {"ann", "x", "e1", "view", 1, 1},
                           other = {"bob", "y", NULL, "click", 2, 2},
                           more = {"ann", "z", NULL, "rating", 3, 3};
    struct rec_item item = {"x", "title", categories, 2, false};
    struct rec_run_row run = {.state = REC_RUN_RUNNING};
    struct rec_store_import *import = NULL;
    uint64_t added = 0;
    note(outcome, write_rows(store, &waiting, &row, 1));
    note(outcome, write_rows(store, &waiting, &other, 1));
    note(outcome, write_items(store, &waiting, &item, 1));
    note(outcome, write_delete(store, &waiting, REC_WRITE_USER_ERASE, "bob"));
    enum rec_status st = rec_store_import_begin(store, &import, NULL);
    if (st == REC_OK) {
        st = rec_store_import_rows(import, &more, 1, &added, NULL);
        enum rec_status end = rec_store_import_end(&import, st == REC_OK, NULL);
        st = st == REC_OK ? end : st;
    }
    note(outcome, st);
    note(outcome, rec_store_put_run(store, &run, NULL));
    assert_int_equal(run.id, outcome->st[RUN] == REC_OK ? 1 : 0);
}

/* What was answered OK is there; what was not is there whole or not at all; the store takes writes
 * again; SQLite finds nothing wrong with the file. */
static void check_after(const struct place *place, const struct outcome *outcome) {
    struct rec_store *store = store_open(place);
    char all[1024];
    struct rec_run_row run;
    assert_int_equal(scan_text(store, all, sizeof(all), NULL), REC_OK);
    const enum rec_status *st = outcome->st;
    if (outcome->count == STEPS) {
        if (st[ANN] == REC_OK)
            assert_non_null(strstr(all, "=ann"));
        if (st[ITEM] == REC_OK)
            assert_non_null(strstr(all, "=x 'title'[drama,action]"));
        if (st[ERASED] == REC_OK)
            assert_false(place_holds(place, "bob"));
        if (st[IMPORTED] == REC_OK)
            assert_non_null(strstr(all, "/3/3"));
        if (st[RUN] == REC_OK)
            assert_int_equal(rec_store_get_run(store, 1, &run, NULL), REC_OK);
    }
    if (strstr(all, "'title'") != NULL)
        assert_non_null(strstr(all, "'title'[drama,action]"));
    struct waiting waiting;
    struct rec_interaction row = {"zoe", "x", NULL, "view", 1, 1};
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(rec_store_check(store, NULL), REC_OK);
    rec_store_close(&store);

    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT (SELECT count(*) FROM interactions) ="
                                        " (SELECT value FROM meta WHERE key = 'interactions')",
                                        -1, &statement, NULL),
                     0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 1);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A kind of failure. */
struct failure {
    const char *name;
    void (*arm)(const struct failure *failure, long n); /* the n-th from now fails */
    void (*disarm)(void);
    bool (*fired)(void);
    enum rec_status status; /* what is answered then; OK: whatever fits */
    long points_min;        /* fewer mean that nothing was tested */
    long every_until;       /* each n up to here, then every 23rd */
    unsigned kinds;         /* of the disk */
    bool lasting, full;
};

static struct outcome attempt(const struct place *place, const struct failure *failure, long n) {
    struct rec_store_options options = {.path = place->path, .create = true, .writable = true};
    struct rec_store *store = NULL;
    struct rec_error err = {0};
    struct outcome outcome = {0};
    failure->arm(failure, n);
    note(&outcome, rec_store_open(&options, &store, &err));
    assert_int_equal(err.status, outcome.st[0]);
    if (outcome.st[0] == REC_OK) {
        script(store, &outcome);
        /* What failed did not break the store. */
        failure->disarm();
        struct waiting waiting;
        struct rec_interaction row = {"carl", "x", NULL, "view", 1, 1};
        assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
        assert_int_equal(rec_store_check(store, NULL), REC_OK);
    }
    failure->disarm();
    rec_store_close(&store);
    return outcome;
}

static bool is_expected(const struct failure *failure, const struct outcome *outcome, size_t step) {
    enum rec_status st = outcome->st[step];
    if (step == ERASED && st == REC_NOT_FOUND)
        return outcome->st[BOB] != REC_OK;
    return st == REC_OK ||
           (failure->fired() && (failure->status == REC_OK || st == failure->status));
}

/* Fails the 1st, then the 2nd, ... until all goes through without. */
static void fail_each(const struct failure *failure) {
    const size_t live = rec_alloc_live();
    for (long n = 0;; n += n < failure->every_until ? 1 : 23) {
        struct place place = place_make();
        struct outcome outcome = attempt(&place, failure, n);
        for (size_t i = 0; i < outcome.count; i++)
            if (!is_expected(failure, &outcome, i))
                fail_msg("%s %ld: step %zu gives %s", failure->name, n, i,
                         rec_error_name(outcome.st[i]));
        check_after(&place, &outcome);
        faultfs_forget(place.path);
        place_remove(&place);
        assert_int_equal(rec_alloc_live(), live);
        if (!failure->fired()) {
            if (n < failure->points_min)
                fail_msg("%s: only %ld points", failure->name, n);
            return;
        }
    }
}

static long alloc_armed;
static bool alloc_fired_before;

static void arm_alloc(const struct failure *failure, long n) {
    (void)failure;
    alloc_armed = n;
    alloc_fired_before = false;
    rec_alloc_fail_at(n);
}
/* rec_alloc does not tell whether it failed: if the countdown still runs, it ends here. */
static void disarm_alloc(void) {
    alloc_fired_before = alloc_fired_before || alloc_armed >= 0;
    for (long i = 0; i <= alloc_armed; i++) {
        void *block = rec_alloc_array(1, 1);
        if (block == NULL)
            alloc_fired_before = false;
        rec_alloc_free(block);
    }
    alloc_armed = -1;
}
static bool alloc_fired(void) {
    return alloc_fired_before;
}

static void arm_memory(const struct failure *failure, long n) {
    (void)failure;
    atomic_store(&memory_failed, false);
    atomic_store(&memory_countdown, n);
}
static void disarm_memory(void) {
    atomic_store(&memory_countdown, -1);
}
static bool memory_fired(void) {
    return atomic_load(&memory_failed);
}

static void arm_disk(const struct failure *failure, long n) {
    faultfs_fail_at(n, failure->kinds, failure->lasting, failure->full);
}

/* Goal: whichever write, sync, truncation or read fails, once or from then on, of a broken or of a
 * full disk: what was answered OK is kept, the rest is there whole or not at all, the store works
 * again when the disk does. */
static void test_disk(void **state) {
    (void)state;
    static const struct failure failures[] = {
        {"a write", arm_disk, faultfs_stop_failing, faultfs_failed, REC_OK, 20, 1000, FAULTFS_WRITE,
         false, false},
        {"all writes", arm_disk, faultfs_stop_failing, faultfs_failed, REC_OK, 20, 1000,
         FAULTFS_WRITE, true, false},
        {"disk full", arm_disk, faultfs_stop_failing, faultfs_failed, REC_IO, 20, 1000,
         FAULTFS_WRITE, true, true},
        {"a sync", arm_disk, faultfs_stop_failing, faultfs_failed, REC_IO, 5, 1000, FAULTFS_SYNC,
         false, false},
        {"all syncs", arm_disk, faultfs_stop_failing, faultfs_failed, REC_IO, 5, 1000, FAULTFS_SYNC,
         true, false},
        {"a truncation", arm_disk, faultfs_stop_failing, faultfs_failed, REC_OK, 1, 1000,
         FAULTFS_TRUNCATE, false, false},
        {"a read", arm_disk, faultfs_stop_failing, faultfs_failed, REC_OK, 5, 1000, FAULTFS_READ,
         false, false},
    };
    for (size_t i = 0; i < COUNT(failures); i++)
        fail_each(&failures[i]);
}

/* Goal: the same, and no leak, for each of SQLite's allocations and each of our own. */
static void test_sqlite_memory(void **state) {
    (void)state;
    static const struct failure failure = {"SQLite's memory",
                                           arm_memory,
                                           disarm_memory,
                                           memory_fired,
                                           REC_NO_MEMORY,
                                           500,
                                           100,
                                           0,
                                           false,
                                           false};
    fail_each(&failure);
}

static void test_our_memory(void **state) {
    (void)state;
    static const struct failure failure = {"our memory",  arm_alloc, disarm_alloc, alloc_fired,
                                           REC_NO_MEMORY, 6,         1000,         0,
                                           false,         false};
    fail_each(&failure);
}

/* ---- power ---------------------------------------------------------------------------------- */

enum { SUBMITTERS = 4, CUTS = 60 };

struct submitter {
    struct rec_store *store;
    unsigned number;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
    atomic_uint acknowledged; /* rows 0 to this - 1 */
};
static atomic_bool stop;

static void answer(struct rec_write *write, enum rec_status status, const struct rec_error *err) {
    struct submitter *self = write->context;
    must(status, err);
    (void)pthread_mutex_lock(&self->lock);
    self->done = true;
    atomic_fetch_add(&self->acknowledged, 1);
    (void)pthread_cond_signal(&self->answered);
    (void)pthread_mutex_unlock(&self->lock);
}

static void *submit(void *context) {
    struct submitter *self = context;
    char user[16];
    (void)snprintf(user, sizeof(user), "u%u", self->number);
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        struct rec_interaction row = {user, "item", NULL, "view", i, i};
        struct rec_recorded recorded;
        struct rec_write write = {.kind = REC_WRITE_INTERACTIONS,
                                  .interactions = &row,
                                  .count = 1,
                                  .recorded = &recorded,
                                  .done = answer,
                                  .context = self};
        self->done = false;
        assert_int_equal(rec_store_submit(self->store, &write, NULL), REC_OK);
        (void)pthread_mutex_lock(&self->lock);
        while (!self->done)
            (void)pthread_cond_wait(&self->answered, &self->lock);
        (void)pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

struct survivors {
    uint32_t user_of[SUBMITTERS];  /* index of "u<n>" */
    unsigned rows[SUBMITTERS + 1]; /* by index */
};
static enum rec_status survivor_user(void *context, uint32_t user, const char *id) {
    struct survivors *survivors = context;
    assert_true(user < SUBMITTERS);
    survivors->user_of[id[1] - '0'] = user;
    return REC_OK;
}
static enum rec_status survivor_row(void *context, const struct rec_store_row *row) {
    struct survivors *survivors = context;
    /* A user's rows come oldest first, and none is missing between. */
    assert_int_equal(row->timestamp, survivors->rows[row->user]);
    survivors->rows[row->user]++;
    return REC_OK;
}

static void check_survivors(const struct place *place, const unsigned acknowledged[SUBMITTERS]) {
    struct rec_store *store = store_open(place);
    struct survivors survivors = {0};
    struct rec_error err = {0};
    for (unsigned i = 0; i < SUBMITTERS; i++)
        survivors.user_of[i] = SUBMITTERS;
    struct rec_store_scan scan = {
        .user = survivor_user, .row = survivor_row, .context = &survivors};
    must(rec_store_scan(store, &scan, &err), &err);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        if (survivors.rows[survivors.user_of[i]] < acknowledged[i])
            fail_msg("submitter %u: %u rows were answered, %u survived", i, acknowledged[i],
                     survivors.rows[survivors.user_of[i]]);
    rec_store_close(&store);
}

/* Goal: cut the power at any moment, lose any sectors that were not synced, and every row that was
 * answered is still there, with checkpoints and WAL restarts going on. */
static void test_power_cut(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    static struct submitter submitters[SUBMITTERS];
    pthread_t threads[SUBMITTERS];
    struct rec_rng rng;
    unsigned answered_in_all = 0;
    rec_rng_init(&rng, 20, 0);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){.store = store, .number = i};
        (void)pthread_mutex_init(&submitters[i].lock, NULL);
        (void)pthread_cond_init(&submitters[i].answered, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, submit, &submitters[i]), 0);
    }
    for (unsigned cut = 0; cut < CUTS; cut++) {
        struct place after = place_make();
        unsigned acknowledged[SUBMITTERS];
        answered_in_all = 0;
        for (unsigned i = 0; i < SUBMITTERS; i++)
            answered_in_all += acknowledged[i] = atomic_load(&submitters[i].acknowledged);
        faultfs_power_cut(place.path, after.path, &rng);
        check_survivors(&after, acknowledged);
        place_remove(&after);
        faultfs_forget(after.path);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(answered_in_all > 0);
    rec_store_close(&store);
    place_remove(&place);
    faultfs_forget(place.path);
}

int main(void) {
    sqlite3_mem_methods memory;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
        return 1;
    memory = real_memory;
    memory.xMalloc = memory_malloc;
    memory.xRealloc = memory_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK)
        return 1;
    faultfs_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_memory),
        cmocka_unit_test(test_sqlite_memory),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
