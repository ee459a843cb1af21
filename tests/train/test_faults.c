/* Goal: whichever allocation of a run, a reload or an activation fails, it says so, leaks nothing
 * and leaves the live model and the files alone. How: fail the 1st, then the 2nd, ... until one
 * gets through untouched. */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

enum { ALLOCATIONS_MAX = 20000 };

typedef enum rec_status (*act_fn)(struct fixture *fixture, struct rec_error *err);

static enum rec_status act_run(struct fixture *fixture, struct rec_error *err) {
    static const char *const small[] = {"factors=4", "iterations=2", NULL};
    struct rec_train_spec spec = fixture_spec("als", small);
    struct rec_train_context context = fixture_context(fixture);
    struct rec_train_result result;
    spec.tolerance = 1.0; /* judged, and never too bad */
    return rec_train_run(&context, &spec, &result, NULL, NULL, err);
}

static enum rec_status act_reload(struct fixture *fixture, struct rec_error *err) {
    return rec_versions_reload(fixture->versions, NULL, err);
}

static enum rec_status act_activate(struct fixture *fixture, struct rec_error *err) {
    char live[64];
    fixture_live(fixture, live);
    return rec_versions_activate(fixture->versions, live, NULL, err);
}

static enum rec_status act_schedule(struct fixture *fixture, struct rec_error *err) {
    const struct rec_scheduler_options options = {.store = fixture->store,
                                                  .slot = fixture->slot,
                                                  .versions = fixture->versions,
                                                  .weights = &fixture->weights,
                                                  .threads = 2,
                                                  .family = "als",
                                                  .parameters = ""};
    struct rec_scheduler *scheduler = NULL;
    enum rec_status st = rec_scheduler_create(&options, &scheduler, err);
    rec_scheduler_destroy(&scheduler);
    return st;
}

static const struct {
    const char *name;
    act_fn act;
} acts[] = {{"run", act_run},
            {"reload", act_reload},
            {"activate", act_activate},
            {"scheduler", act_schedule}};

static void test_every_allocation_can_fail(void **state) {
    struct fixture *fixture = *state;
    fixture_train_good(fixture);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        enum rec_status st = REC_NO_MEMORY;
        long n = 0;
        for (; st != REC_OK && n < ALLOCATIONS_MAX; n++) {
            struct rec_error err = {0};
            struct rec_model_info file;
            char before[64], after[64];
            fixture_live(fixture, before);
            size_t kept = fixture_kept(fixture), live_before = rec_alloc_live();
            rec_alloc_fail_at(n);
            st = acts[i].act(fixture, &err);
            rec_alloc_fail_at(-1);
            if (st == REC_OK)
                break;
            if (st != REC_NO_MEMORY || err.status != REC_NO_MEMORY)
                fail_msg("%s, allocation %ld: status %d, '%s'", acts[i].name, n, (int)st, err.text);
            fixture_live(fixture, after);
            assert_string_equal(before, after);
            assert_int_equal(rec_modelfile_info(fixture->model, &file, NULL), REC_OK);
            assert_string_equal(file.version, before);
            assert_int_equal(fixture_kept(fixture), kept);
            assert_int_equal(rec_alloc_live(), live_before);
        }
        if (st != REC_OK || n == 0)
            fail_msg("%s: nothing was tried, or nothing got through", acts[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_allocation_can_fail, fixture_setup,
                                        fixture_teardown),
    };
    rec_log_set_level(REC_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
