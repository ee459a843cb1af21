#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "support.h"

enum { SUBMITTERS = 32, WRITES = 25, READERS = 3 };

struct submitter {
    struct rec_store *store;
    unsigned number;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
    struct rec_recorded recorded[2];
    uint32_t user;
    unsigned duplicates;
};

static atomic_uint acknowledged; /* rows */
static atomic_bool stop;

static void answer(struct rec_write *write, enum rec_status status, const struct rec_error *err) {
    struct submitter *self = write->context;
    must(status, err);
    (void)pthread_mutex_lock(&self->lock);
    self->done = true;
    (void)pthread_cond_signal(&self->answered);
    (void)pthread_mutex_unlock(&self->lock);
}

static void check_own_rows(const struct submitter *self, unsigned rows) {
    char text[4096];
    unsigned found = 0;
    history_text(self->store, self->user, text, sizeof(text));
    for (const char *at = text; (at = strstr(at, "view")) != NULL; at++)
        found++;
    assert_int_equal(found, rows);
}

/* Each write has a row of the submitter's own, and one whose event_id all submitters share. */
static void *submit(void *context) {
    struct submitter *self = context;
    char user[32], event[32];
    (void)snprintf(user, sizeof(user), "user%u", self->number);
    for (unsigned i = 0; i < WRITES; i++) {
        (void)snprintf(event, sizeof(event), "shared%u", i);
        struct rec_interaction rows[] = {{user, "item", NULL, "view", 1, i},
                                         {"everybody", "item", event, "click", 1, i}};
        struct rec_write write = {.kind = REC_WRITE_INTERACTIONS,
                                  .interactions = rows,
                                  .count = 2,
                                  .recorded = self->recorded,
                                  .done = answer,
                                  .context = self};
        struct rec_error err = {0};
        self->done = false;
        must(rec_store_submit(self->store, &write, &err), &err);
        (void)pthread_mutex_lock(&self->lock);
        while (!self->done)
            (void)pthread_cond_wait(&self->answered, &self->lock);
        (void)pthread_mutex_unlock(&self->lock);
        self->user = self->recorded[0].user;
        self->duplicates += self->recorded[1].duplicate;
        atomic_fetch_add(&acknowledged, 1);
        check_own_rows(self, i + 1); /* a read after the answer sees the write */
    }
    return NULL;
}

struct picture {
    struct rec_store_counts counts;
    unsigned rows;
};

static void picture_begin(void *context, const struct rec_store_counts *counts) {
    ((struct picture *)context)->counts = *counts;
}
static enum rec_status picture_row(void *context, const struct rec_store_row *row) {
    (void)row;
    ((struct picture *)context)->rows++;
    return REC_OK;
}

static void *read_all(void *context) {
    struct rec_store *store = context;
    while (!atomic_load(&stop)) {
        struct picture picture = {0};
        struct rec_error err = {0};
        struct rec_store_scan scan = {
            .begin = picture_begin, .row = picture_row, .context = &picture};
        unsigned before = atomic_load(&acknowledged);
        must(rec_store_scan(store, &scan, &err), &err);
        assert_int_equal(picture.rows, picture.counts.interactions);
        assert_true(picture.rows >= before);
        must(rec_store_check(store, &err), &err);
    }
    return NULL;
}

/* Goal: many submitters and readers at once: every answered write is there for the next read, a
 * shared event_id is added once, a scan is one picture, and runs go through beside it all. */
static void test_submitters_and_readers(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    static struct submitter submitters[SUBMITTERS];
    pthread_t threads[SUBMITTERS], readers[READERS];
    unsigned duplicates = 0;
    struct rec_error err = {0};
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){.store = store, .number = i};
        (void)pthread_mutex_init(&submitters[i].lock, NULL);
        (void)pthread_cond_init(&submitters[i].answered, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, submit, &submitters[i]), 0);
    }
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, store), 0);
    for (unsigned i = 0; i < 10; i++) {
        struct rec_run_row run = {.state = REC_RUN_RUNNING, .family = "als"};
        must(rec_store_put_run(store, &run, &err), &err);
        assert_int_equal(run.id, i + 1);
        rec_store_flush(store);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        duplicates += submitters[i].duplicates;
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    assert_int_equal(duplicates, (SUBMITTERS - 1) * WRITES);

    struct rec_store_counts counts;
    must(rec_store_counts(store, &counts, &err), &err);
    assert_int_equal(counts.users, SUBMITTERS + 1);
    assert_int_equal(counts.interactions, SUBMITTERS * WRITES + WRITES);
    rec_store_close(&store);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_submitters_and_readers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
