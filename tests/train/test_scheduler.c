/* Goal: one run at a time, every change of a job's state is a row, and whatever a job does the
 * scheduler goes on. Waits poll the state; no test depends on how long anything takes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

static const char *const good[] = {"factors=16", "iterations=8"};
static const char *const poor[] = {"factors=1", "iterations=1"};
static const char *const long_run[] = {"factors=64", "iterations=1000"};

static struct rec_scheduler_options options_of(struct fixture *fixture) {
    return (struct rec_scheduler_options){.store = fixture->store,
                                          .slot = fixture->slot,
                                          .versions = fixture->versions,
                                          .weights = &fixture->weights,
                                          .threads = 2,
                                          .tolerance = 0.02,
                                          .family = "als",
                                          .parameters = "factors=8 iterations=3"};
}

static struct rec_scheduler *create(const struct rec_scheduler_options *options) {
    struct rec_scheduler *scheduler = NULL;
    struct rec_error err = {0};
    if (rec_scheduler_create(options, &scheduler, &err) != REC_OK)
        fail_msg("%s", err.text);
    return scheduler;
}

static enum rec_status submit_order(struct rec_scheduler *scheduler, const char *family,
                                    const char *const *assignments, size_t count, bool force,
                                    uint64_t *id, struct rec_error *err) {
    const struct rec_train_order order = {
        .family = family, .assignments = assignments, .count = count, .force = force};
    return rec_scheduler_submit(scheduler, &order, id, err);
}

static uint64_t submit(struct rec_scheduler *scheduler, const char *const *assignments,
                       size_t count, bool force) {
    struct rec_error err = {0};
    uint64_t id = 0;
    if (submit_order(scheduler, "als", assignments, count, force, &id, &err) != REC_OK)
        fail_msg("%s", err.text);
    return id;
}

static void get(struct rec_scheduler *scheduler, uint64_t id, struct rec_job *job) {
    struct rec_error err = {0};
    if (rec_scheduler_get(scheduler, id, job, &err) != REC_OK)
        fail_msg("%s", err.text);
}

static void pause_briefly(void) {
    const struct timespec pause = {0, 2000000};
    (void)nanosleep(&pause, NULL);
}

static bool has_ended(const struct rec_job *job) {
    return job->row.state != REC_RUN_QUEUED && job->row.state != REC_RUN_RUNNING;
}

static void wait_for_end(struct rec_scheduler *scheduler, uint64_t id, struct rec_job *job) {
    for (get(scheduler, id, job); !has_ended(job); get(scheduler, id, job))
        pause_briefly();
}

/* Until the job works on its fit, where a cancel is noticed by the family. */
static void wait_for_fit(struct rec_scheduler *scheduler, uint64_t id) {
    struct rec_job job;
    for (get(scheduler, id, &job); strcmp(job.phase, "fit") != 0; get(scheduler, id, &job)) {
        assert_false(has_ended(&job));
        pause_briefly();
    }
}

static void assert_state(const struct rec_job *job, enum rec_run_state state) {
    if (job->row.state != state)
        fail_msg("%s, not %s: %s", rec_run_state_text(job->row.state), rec_run_state_text(state),
                 job->row.error);
}

static void test_a_job_from_end_to_end(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_scheduler *scheduler = create(&options);
    struct rec_job job, listed[4];
    struct rec_error err = {0};
    size_t count = 4;
    char live[64];

    uint64_t first = submit(scheduler, good, 2, false);
    wait_for_end(scheduler, first, &job);
    assert_state(&job, REC_RUN_SUCCEEDED);
    fixture_live(fixture, live);
    assert_string_equal(job.row.version, live);
    assert_string_equal(job.row.family, "als");
    assert_non_null(strstr(job.row.parameters, "factors=16"));
    assert_non_null(strstr(job.row.metrics, "\"candidate\""));
    assert_true(job.row.created_at > 0 && job.row.started_at >= job.row.created_at &&
                job.row.finished_at >= job.row.started_at);
    assert_true(job.fraction >= 1.0 && isnan(job.eta_s));

    uint64_t second = submit(scheduler, poor, 2, false);
    wait_for_end(scheduler, second, &job);
    assert_state(&job, REC_RUN_NOT_BETTER);
    assert_string_equal(job.row.version, "");
    assert_string_equal(job.row.error, "");
    assert_non_null(strstr(job.row.metrics, "\"judged\":true"));
    char still[64];
    fixture_live(fixture, still);
    assert_string_equal(still, live);

    uint64_t third = submit(scheduler, poor, 2, true);
    wait_for_end(scheduler, third, &job);
    assert_state(&job, REC_RUN_SUCCEEDED);
    fixture_live(fixture, still);
    assert_string_equal(still, job.row.version);

    assert_int_equal(rec_scheduler_list(scheduler, listed, &count, &err), REC_OK);
    assert_int_equal(count, 3);
    assert_int_equal(listed[0].row.id, third);
    assert_int_equal(listed[2].row.id, first);
    assert_int_equal(rec_scheduler_cancel(scheduler, first, &err), REC_CONFLICT);
    rec_scheduler_destroy(&scheduler);
    assert_null(scheduler);
    rec_scheduler_destroy(&scheduler);
}

static void test_configured_family_is_the_standard(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_scheduler *scheduler = create(&options);
    static const char *const more[] = {"iterations=4"};
    struct rec_job job;
    struct rec_error err = {0};
    uint64_t id;
    assert_int_equal(submit_order(scheduler, NULL, more, 1, false, &id, &err), REC_OK);
    wait_for_end(scheduler, id, &job);
    assert_string_equal(job.row.family, "als");
    assert_non_null(strstr(job.row.parameters, "factors=8"));
    assert_non_null(strstr(job.row.parameters, "iterations=4"));
    assert_int_equal(submit_order(scheduler, "popularity", NULL, 0, true, &id, &err), REC_OK);
    wait_for_end(scheduler, id, &job);
    assert_state(&job, REC_RUN_SUCCEEDED);
    assert_string_equal(job.row.family, "popularity");
    rec_scheduler_destroy(&scheduler);
}

static const struct {
    const char *name, *family, *assignment, *names;
} bad_cases[] = {
    {"unknown family", "alss", "factors=8", "als"},
    {"unknown parameter", "als", "factor=8", "factor"},
    {"no value", "als", "factors", "factors"},
    {"not a number", "als", "factors=many", "many"},
    {"out of range", "als", "factors=0", "factors"},
    {"wraps around", "als", "factors=18446744073709551624", "factors"},
    {"a parameter of another family", "popularity", "factors=8", "factors"},
};

static void test_bad_jobs_are_refused(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_scheduler *scheduler = create(&options);
    struct rec_job listed[2];
    size_t count = 2;
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
        struct rec_error err = {0};
        uint64_t id = 77;
        enum rec_status st = submit_order(scheduler, bad_cases[i].family, &bad_cases[i].assignment,
                                          1, false, &id, &err);
        if (st != REC_BAD_INPUT || strstr(err.text, bad_cases[i].names) == NULL || id != 77)
            fail_msg("%s: status %d, '%s'", bad_cases[i].name, (int)st, err.text);
    }
    assert_int_equal(rec_scheduler_list(scheduler, listed, &count, NULL), REC_OK);
    assert_int_equal(count, 0);
    assert_int_equal(rec_scheduler_get(scheduler, 1, listed, NULL), REC_NOT_FOUND);
    assert_int_equal(rec_scheduler_cancel(scheduler, 1, NULL), REC_NOT_FOUND);
    assert_int_equal(rec_scheduler_cancel(scheduler, UINT64_MAX, NULL), REC_NOT_FOUND);
    rec_scheduler_destroy(&scheduler);
}

static void test_bad_configuration_is_refused(void **state) {
    struct fixture *fixture = *state;
    struct rec_scheduler_options bad[4];
    for (size_t i = 0; i < 4; i++)
        bad[i] = options_of(fixture);
    bad[0].family = "alss";
    bad[1].parameters = "factors=8 iterations=0";
    bad[2].parameters =
        "factors=8 "
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    bad[3].threads = 0;
    for (size_t i = 0; i < 4; i++) {
        struct rec_scheduler *scheduler = NULL;
        struct rec_error err = {0};
        assert_int_equal(rec_scheduler_create(&bad[i], &scheduler, &err), REC_BAD_INPUT);
        assert_null(scheduler);
        assert_true(err.text[0] != '\0');
    }
}

static void test_queue_cap_and_cancel(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_scheduler *scheduler = create(&options);
    uint64_t id[REC_JOBS_QUEUED_MAX], over = 0;
    struct rec_error err = {0};
    struct rec_job job;

    uint64_t running = submit(scheduler, long_run, 2, true);
    wait_for_fit(scheduler, running);
    for (size_t i = 0; i < REC_JOBS_QUEUED_MAX; i++)
        id[i] = submit(scheduler, good, 2, true);
    assert_int_equal(submit_order(scheduler, "als", good, 2, true, &over, &err), REC_BUSY);
    assert_int_equal(over, 0);

    /* A place is free again after one was withdrawn, and the withdrawn one never runs. */
    assert_int_equal(rec_scheduler_cancel(scheduler, id[3], &err), REC_OK);
    get(scheduler, id[3], &job);
    assert_state(&job, REC_RUN_CANCELLED);
    assert_true(job.row.finished_at > 0 && job.row.started_at == 0);
    assert_int_equal(rec_scheduler_cancel(scheduler, id[3], NULL), REC_CONFLICT);
    over = submit(scheduler, good, 2, true);

    get(scheduler, running, &job);
    assert_state(&job, REC_RUN_RUNNING);
    assert_true(job.fraction > 0.0 && job.fraction < 1.0);
    get(scheduler, over, &job);
    assert_state(&job, REC_RUN_QUEUED);

    assert_int_equal(rec_scheduler_cancel(scheduler, running, &err), REC_OK);
    wait_for_end(scheduler, running, &job);
    assert_state(&job, REC_RUN_CANCELLED);
    wait_for_end(scheduler, id[0], &job);
    assert_state(&job, REC_RUN_SUCCEEDED);

    /* In order: the later one ends no earlier. */
    wait_for_end(scheduler, over, &job);
    assert_state(&job, REC_RUN_SUCCEEDED);
    for (size_t i = 0; i < REC_JOBS_QUEUED_MAX; i++) {
        get(scheduler, id[i], &job);
        assert_state(&job, i == 3 ? REC_RUN_CANCELLED : REC_RUN_SUCCEEDED);
    }
    rec_scheduler_destroy(&scheduler);
}

static void test_destroy_cancels(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_scheduler *scheduler = create(&options);
    struct rec_run_row row;
    uint64_t running = submit(scheduler, long_run, 2, true);
    wait_for_fit(scheduler, running);
    uint64_t waiting = submit(scheduler, good, 2, true);
    rec_scheduler_destroy(&scheduler);

    assert_int_equal(rec_store_get_run(fixture->store, running, &row, NULL), REC_OK);
    assert_int_equal(row.state, REC_RUN_CANCELLED);
    assert_int_equal(rec_store_get_run(fixture->store, waiting, &row, NULL), REC_OK);
    assert_int_equal(row.state, REC_RUN_CANCELLED);
    assert_int_equal(fixture_kept(fixture), 0);
}

/* Goal: a stop ends the run without waiting for it, and refuses new jobs; what was queued is not
 * started, and is cancelled in the end. */
static void test_stop_does_not_wait(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_scheduler *scheduler = create(&options);
    struct rec_error err = {0};
    struct rec_run_row row;
    struct rec_job job;
    uint64_t id, running = submit(scheduler, long_run, 2, true);
    wait_for_fit(scheduler, running);
    uint64_t queued = submit(scheduler, long_run, 2, true);

    rec_scheduler_stop(scheduler);
    rec_scheduler_stop(scheduler);
    assert_int_equal(submit_order(scheduler, "als", good, 2, false, &id, &err), REC_BUSY);
    wait_for_end(scheduler, running, &job);
    assert_state(&job, REC_RUN_CANCELLED);
    rec_scheduler_destroy(&scheduler);
    rec_scheduler_stop(NULL);
    assert_int_equal(rec_store_get_run(fixture->store, queued, &row, &err), REC_OK);
    assert_int_equal(row.state, REC_RUN_CANCELLED);
    assert_int_equal(row.started_at, 0);
}

static void test_crash_mark(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_run_row rows[] = {{.state = REC_RUN_RUNNING, .family = "als", .created_at = 1},
                                 {.state = REC_RUN_QUEUED, .family = "als", .created_at = 2},
                                 {.state = REC_RUN_SUCCEEDED, .family = "als", .created_at = 3}};
    static const enum rec_run_state after[] = {REC_RUN_INTERRUPTED, REC_RUN_INTERRUPTED,
                                               REC_RUN_SUCCEEDED};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(rec_store_put_run(fixture->store, &rows[i], NULL), REC_OK);
    struct rec_scheduler *scheduler = create(&options);
    for (size_t i = 0; i < 3; i++) {
        struct rec_job job;
        get(scheduler, rows[i].id, &job);
        assert_state(&job, after[i]);
        assert_int_equal(rec_scheduler_cancel(scheduler, rows[i].id, NULL), REC_CONFLICT);
    }
    rec_scheduler_destroy(&scheduler);
}

static void test_failed_run_leaves_the_live_model(void **state) {
    struct fixture *fixture = *state;
    const struct rec_scheduler_options options = options_of(fixture);
    struct rec_job job;
    char live[64], still[64];
    fixture_train_good(fixture);
    fixture_live(fixture, live);
    assert_int_equal(unlink(fixture->model), 0);
    assert_int_equal(mkdir(fixture->model, 0700), 0);

    struct rec_scheduler *scheduler = create(&options);
    wait_for_end(scheduler, submit(scheduler, good, 2, true), &job);
    assert_state(&job, REC_RUN_FAILED);
    assert_non_null(strstr(job.row.error, fixture->model));
    assert_string_equal(job.row.version, "");
    fixture_live(fixture, still);
    assert_string_equal(still, live);

    /* The next one, with the cause gone, is not affected. */
    assert_int_equal(rmdir(fixture->model), 0);
    wait_for_end(scheduler, submit(scheduler, good, 2, true), &job);
    assert_state(&job, REC_RUN_SUCCEEDED);
    rec_scheduler_destroy(&scheduler);
}

static void wait_for_jobs(struct rec_scheduler *scheduler, size_t want, struct rec_job *newest) {
    struct rec_job listed[8];
    size_t count = 0;
    while (count < want) {
        pause_briefly();
        count = 8;
        assert_int_equal(rec_scheduler_list(scheduler, listed, &count, NULL), REC_OK);
    }
    assert_int_equal(count, want);
    wait_for_end(scheduler, listed[0].row.id, newest);
}

static void test_after_recorded(void **state) {
    struct fixture *fixture = *state;
    struct rec_scheduler_options options = options_of(fixture);
    struct rec_job job;
    /* No model yet: all rows are new. */
    options.after_recorded = FIXTURE_USERS * FIXTURE_LIKED;
    struct rec_scheduler *scheduler = create(&options);
    wait_for_jobs(scheduler, 1, &job);
    assert_state(&job, REC_RUN_SUCCEEDED);
    assert_non_null(strstr(job.row.parameters, "factors=8"));
    rec_scheduler_destroy(&scheduler);

    /* The live model knows them; a restart does not start a run by itself, new rows do. */
    options.after_recorded = 80;
    scheduler = create(&options);
    fixture_add(fixture, 80, FIXTURE_LIKED, 1, FIXTURE_TIME + 100);
    wait_for_jobs(scheduler, 2, &job);
    assert_state(&job, REC_RUN_SUCCEEDED);
    struct rec_generation *live = rec_slot_acquire(fixture->slot);
    assert_int_equal(live->info.recorded, FIXTURE_USERS * FIXTURE_LIKED + 80);
    rec_slot_release(fixture->slot, &live);
    rec_scheduler_destroy(&scheduler);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        ROW(test_a_job_from_end_to_end),
        ROW(test_configured_family_is_the_standard),
        ROW(test_bad_jobs_are_refused),
        ROW(test_bad_configuration_is_refused),
        ROW(test_queue_cap_and_cancel),
        ROW(test_destroy_cancels),
        ROW(test_stop_does_not_wait),
        ROW(test_crash_mark),
        ROW(test_failed_run_leaves_the_live_model),
        ROW(test_after_recorded),
    };
    rec_log_set_level(REC_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
