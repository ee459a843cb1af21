/* Goal: a training run that begins with a search trains what it found, says so in its metrics, is
 * judged and published as any other, and can be cancelled while it searches; a job of the scheduler
 * shows where it is.
 * How: the store of the tests of train, whose users come back to the items of their group. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../train/fixture.h"
#include "recsysd/tune.h"

static struct rec_train_spec spec_of(const char *family, const char *const *assignments,
                                     size_t trials) {
    struct rec_train_spec spec = fixture_spec(family, assignments);
    spec.trials = trials;
    for (; assignments != NULL && *assignments != NULL; assignments++)
        rec_params_mark(&spec.params, *assignments, spec.fixed);
    return spec;
}

static enum rec_status run(struct fixture *fixture, const struct rec_train_spec *spec,
                           struct rec_train_result *result, struct rec_error *err) {
    struct rec_train_context context = fixture_context(fixture);
    context.search = rec_tune_before_training;
    return rec_train_run(&context, spec, result, NULL, NULL, err);
}

/* The values that are set are kept, the rest is what the search found, and the live model is it. */
static void test_trains_what_it_found(void **state) {
    struct fixture *fixture = *state;
    static const char *const set[] = {"factors=8", "iterations=2", NULL};
    const struct rec_train_spec spec = spec_of("als", set, 12);
    struct rec_train_result result = {0};
    struct rec_error err = {0};
    if (run(fixture, &spec, &result, &err) != REC_OK)
        fail_msg("%s", err.text);
    assert_non_null(strstr(result.parameters, "factors=8 "));
    assert_non_null(strstr(result.parameters, "iterations=2 "));
    assert_ptr_equal(strstr(result.metrics, "{\"tuned\":{\"trials\":12,"), result.metrics);
    assert_non_null(strstr(result.metrics, "\"best\":{\"ndcg@10\":"));
    assert_non_null(strstr(result.metrics, "\"start\":{\"ndcg@10\":"));
    assert_non_null(strstr(result.metrics, "\"judged\":false"));
    struct rec_generation *live = rec_slot_acquire(fixture->slot);
    assert_non_null(live);
    assert_string_equal(live->info.parameters, result.parameters);
    assert_string_equal(live->info.metrics, result.metrics);
    rec_slot_release(fixture->slot, &live);
}

static enum rec_status find_half(const struct rec_train_search *search, struct rec_params *best,
                                 char summary[REC_TRAIN_SUMMARY_BYTES], struct rec_error *err) {
    assert_int_equal(search->trials, 7);
    assert_true(search->fixed[0]);
    (void)snprintf(summary, REC_TRAIN_SUMMARY_BYTES, "{\"trials\":7}");
    return rec_params_set(best, "regularization=0.5", err);
}

/* What a search finds is what is trained, saved and told, whatever the search is. */
static void test_takes_what_is_found(void **state) {
    struct fixture *fixture = *state;
    static const char *const set[] = {"factors=4", NULL};
    const struct rec_train_spec spec = spec_of("als", set, 7);
    struct rec_train_context context = fixture_context(fixture);
    struct rec_train_result result = {0};
    struct rec_error err = {0};
    context.search = find_half;
    if (rec_train_run(&context, &spec, &result, NULL, NULL, &err) != REC_OK)
        fail_msg("%s", err.text);
    assert_non_null(strstr(result.parameters, "factors=4 regularization=0.5 "));
    struct rec_generation *live = rec_slot_acquire(fixture->slot);
    assert_true(fabs(rec_params_get(&live->model->params, "regularization") - 0.5) < 1e-9);
    rec_slot_release(fixture->slot, &live);
}

/* A search is judged against the live model like any run, and so a poor one changes nothing. */
static void test_is_judged(void **state) {
    struct fixture *fixture = *state;
    fixture_train_good(fixture);
    char before[64], after[64];
    fixture_live(fixture, before);
    const struct rec_train_spec spec = spec_of("popularity", NULL, 3);
    struct rec_train_result result = {0};
    struct rec_error err = {0};
    assert_int_equal(run(fixture, &spec, &result, &err), REC_NOT_BETTER);
    assert_non_null(strstr(result.metrics, "\"tuned\":{\"trials\":3,"));
    assert_non_null(strstr(result.metrics, "\"judged\":true"));
    fixture_live(fixture, after);
    assert_string_equal(before, after);
}

static void test_refused(void **state) {
    struct fixture *fixture = *state;
    struct rec_train_result result = {0};
    struct rec_error err = {0};
    static const char *const all[] = {"by=popularity", NULL};
    struct rec_train_spec spec = spec_of("random", all, 3);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "random: there is nothing to search"));

    err = (struct rec_error){0};
    struct rec_train_context context = fixture_context(fixture);
    spec = spec_of("als", NULL, 3);
    assert_int_equal(rec_train_run(&context, &spec, &result, NULL, NULL, &err), REC_CONFLICT);
    assert_non_null(strstr(err.text, "no search"));
}

static void test_too_few_users(void **state) {
    struct fixture *fixture = *state;
    struct rec_train_result result = {0};
    struct rec_error err = {0};
    fixture_add(fixture, 20, 0, 6, FIXTURE_TIME);
    const struct rec_train_spec spec = spec_of("als", NULL, 3);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "tune: 20 users have enough history to judge trials on"));
}

/* ---- a job ---------------------------------------------------------------------------------- */

static void pause_briefly(void) {
    const struct timespec pause = {0, 2000000};
    (void)nanosleep(&pause, NULL);
}

/* Goal: a job is in phase tune while it searches, and ends there when it is cancelled. */
static void test_job(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = {.store = fixture->store,
                                                  .slot = fixture->slot,
                                                  .versions = fixture->versions,
                                                  .weights = &fixture->weights,
                                                  .threads = 2,
                                                  .tolerance = 0.02,
                                                  .family = "als",
                                                  .parameters = "",
                                                  .search = rec_tune_before_training};
    static const char *const set[] = {"iterations=3"};
    struct rec_train_order order = {.assignments = set, .count = 1, .trials = 1000};
    struct rec_scheduler *scheduler = NULL;
    struct rec_error err = {0};
    struct rec_job job = {.fraction = 0};
    uint64_t id = 0;
    if (rec_scheduler_create(&options, &scheduler, &err) != REC_OK ||
        rec_scheduler_submit(scheduler, &order, &id, &err) != REC_OK)
        fail_msg("%s", err.text);
    while (strcmp(job.phase, "tune") != 0 || job.fraction < 0.002) {
        assert_int_equal(rec_scheduler_get(scheduler, id, &job, &err), REC_OK);
        assert_true(job.row.state == REC_RUN_QUEUED || job.row.state == REC_RUN_RUNNING);
        pause_briefly();
    }
    assert_int_equal(rec_scheduler_cancel(scheduler, id, &err), REC_OK);
    while (job.row.finished_at == 0) {
        assert_int_equal(rec_scheduler_get(scheduler, id, &job, &err), REC_OK);
        pause_briefly();
    }
    assert_int_equal(job.row.state, REC_RUN_CANCELLED);

    order.trials = 4;
    assert_int_equal(rec_scheduler_submit(scheduler, &order, &id, &err), REC_OK);
    job.row.finished_at = 0;
    while (job.row.finished_at == 0) {
        assert_int_equal(rec_scheduler_get(scheduler, id, &job, &err), REC_OK);
        pause_briefly();
    }
    assert_int_equal(job.row.state, REC_RUN_SUCCEEDED);
    assert_non_null(strstr(job.row.parameters, "iterations=3"));
    assert_non_null(strstr(job.row.metrics, "\"tuned\":{\"trials\":4,"));
    rec_scheduler_destroy(&scheduler);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_trains_what_it_found),
        TEST(test_takes_what_is_found),
        TEST(test_is_judged),
        TEST(test_refused),
        cmocka_unit_test_setup_teardown(test_too_few_users, fixture_setup_empty, fixture_teardown),
        TEST(test_job)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
