/* Goal: readers of the slot never see half a model while runs, reloads and activations replace it,
 * and the three cannot leave MODEL and memory at odds. To be run under the thread sanitizer too. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

enum { READERS = 3, CHANGES = 40 };

struct shared {
    struct fixture *fixture;
    atomic_bool stop;
    atomic_ulong reads;
    atomic_ulong wrong;
};

static void *read_slot(void *argument) {
    struct shared *shared = argument;
    uint64_t serial = 0;
    float query[64] = {0}, scores[FIXTURE_GROUPS * FIXTURE_GROUP_ITEMS];
    while (!atomic_load(&shared->stop)) {
        struct rec_generation *live = rec_slot_acquire(shared->fixture->slot);
        const struct rec_model *model = live->model;
        bool right = live->serial >= serial && model->query_floats <= 64 &&
                     model->items == FIXTURE_GROUPS * FIXTURE_GROUP_ITEMS &&
                     strcmp(live->info.family, model->family->name) == 0;
        serial = live->serial;
        if (right)
            model->family->score(model, query, 1, 0, model->items, scores);
        atomic_fetch_add(right ? &shared->reads : &shared->wrong, 1);
        rec_slot_release(shared->fixture->slot, &live);
    }
    return NULL;
}

static void *reload_and_activate(void *argument) {
    struct shared *shared = argument;
    struct rec_model_info listed[4];
    char live[64];
    while (!atomic_load(&shared->stop)) {
        size_t count = 4;
        struct rec_error err = {0};
        if (rec_versions_reload(shared->fixture->versions, NULL, &err) != REC_OK ||
            rec_versions_list(shared->fixture->versions, listed, &count, live, &err) != REC_OK)
            atomic_fetch_add(&shared->wrong, 1);
        /* The one listed may have been pruned meanwhile; nothing else may happen to it. */
        enum rec_status st = count == 0
                                 ? REC_OK
                                 : rec_versions_activate(shared->fixture->versions,
                                                         listed[count - 1].version, NULL, &err);
        if (st != REC_OK && st != REC_NOT_FOUND)
            atomic_fetch_add(&shared->wrong, 1);
    }
    return NULL;
}

static void test_swaps_under_readers(void **state) {
    static const char *const small[] = {"factors=4", "iterations=1", NULL};
    struct fixture *fixture = *state;
    struct shared shared = {.fixture = fixture};
    pthread_t thread[READERS + 1];
    struct rec_train_context context = fixture_context(fixture);
    struct rec_error err = {0};
    fixture_train_good(fixture);
    assert_int_equal(rec_pool_create(2, true, &context.pool, &err), REC_OK);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_slot, &shared), 0);
    assert_int_equal(pthread_create(&thread[READERS], NULL, reload_and_activate, &shared), 0);

    for (size_t i = 0; i < CHANGES; i++) {
        struct rec_train_spec spec =
            fixture_spec(i % 2 ? "als" : "popularity", i % 2 ? small : NULL);
        struct rec_train_result result;
        spec.judge = i % 4 < 2;
        spec.tolerance = 1.0;
        if (rec_train_run(&context, &spec, &result, NULL, NULL, &err) != REC_OK)
            fail_msg("%s", err.text);
    }
    atomic_store(&shared.stop, true);
    for (size_t i = 0; i < READERS + 1; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    rec_pool_destroy(&context.pool);

    struct rec_model_info file;
    char live[64];
    fixture_live(fixture, live);
    assert_int_equal(rec_modelfile_info(fixture->model, &file, &err), REC_OK);
    assert_string_equal(file.version, live);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    assert_true(atomic_load(&shared.reads) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_swaps_under_readers, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
