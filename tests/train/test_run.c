/* Goal: a run publishes what is at least as good as what is live, and otherwise, or when it is
 * stopped or fails, changes nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "train/judge.h"
#include "train/span.h"

static const char *const poor[] = {"factors=1", "iterations=1", NULL};

/* What the world looks like; a run that changes nothing leaves all of it. */
struct world {
    char live[64], file[64];
    size_t kept;
};

static void look(struct fixture *fixture, struct world *world) {
    struct rec_model_info info = {0};
    memset(world, 0, sizeof(*world));
    fixture_live(fixture, world->live);
    if (rec_modelfile_info(fixture->model, &info, NULL) == REC_OK)
        (void)snprintf(world->file, sizeof(world->file), "%s", info.version);
    world->kept = fixture_kept(fixture);
}

static void assert_unchanged(struct fixture *fixture, const struct world *before) {
    struct world now;
    look(fixture, &now);
    assert_string_equal(now.live, before->live);
    assert_string_equal(now.file, before->file);
    assert_int_equal(now.kept, before->kept);
}

static enum rec_status run(struct fixture *fixture, const struct rec_train_spec *spec,
                           struct rec_train_result *result, struct rec_error *err) {
    struct rec_train_context context = fixture_context(fixture);
    memset(result, 0, sizeof(*result));
    memset(err, 0, sizeof(*err));
    return rec_train_run(&context, spec, result, NULL, NULL, err);
}

static double metric(const char *metrics, const char *of, const char *name) {
    char key[32];
    double value = -1.0;
    (void)snprintf(key, sizeof(key), "\"%s\":{", of);
    const char *at = strstr(metrics, key);
    (void)snprintf(key, sizeof(key), "\"%s\":", name);
    at = at != NULL ? strstr(at, key) : NULL;
    if (at == NULL || sscanf(at + strlen(key), "%lf", &value) != 1)
        fail_msg("no %s of %s in %s", name, of, metrics);
    return value;
}

static void test_first_model_is_measured_and_published(void **state) {
    struct fixture *fixture = *state;
    const struct rec_train_spec spec = fixture_spec("als", fixture_good);
    struct rec_train_result result;
    struct rec_error err;
    struct world world;
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    look(fixture, &world);
    assert_string_equal(world.live, result.version);
    assert_string_equal(world.file, result.version);
    assert_non_null(strstr(result.metrics, "\"judged\":false"));
    assert_int_equal((int)metric(result.metrics, "candidate", "users"), FIXTURE_USERS);
    assert_true(metric(result.metrics, "candidate", "ndcg@10") > 0.3);
    assert_true(result.fit_s > 0.0);

    struct rec_generation *live = rec_slot_acquire(fixture->slot);
    assert_int_equal(live->info.recorded, FIXTURE_USERS * FIXTURE_LIKED);
    assert_string_equal(live->info.metrics, result.metrics);
    assert_non_null(strstr(live->info.parameters, "factors=16"));
    rec_slot_release(fixture->slot, &live);
}

static void test_worse_changes_nothing(void **state) {
    struct fixture *fixture = *state;
    struct rec_train_spec spec = fixture_spec("als", poor);
    struct rec_train_result result;
    struct rec_error err;
    struct world before;
    fixture_train_good(fixture);
    look(fixture, &before);

    assert_int_equal(run(fixture, &spec, &result, &err), REC_NOT_BETTER);
    assert_unchanged(fixture, &before);
    assert_string_equal(result.version, "");
    assert_non_null(strstr(result.metrics, "\"judged\":true,\"against\":\"live recipe\""));
    assert_true(metric(result.metrics, "candidate", "ndcg@10") <
                metric(result.metrics, "live", "ndcg@10"));

    /* A tolerance that just does not forgive it, and one that just does; metrics have 6 digits. */
    double part =
        metric(result.metrics, "candidate", "ndcg@10") / metric(result.metrics, "live", "ndcg@10");
    spec.tolerance = 1.0 - part - 1e-4;
    assert_int_equal(run(fixture, &spec, &result, &err), REC_NOT_BETTER);
    spec.tolerance = 1.0 - part + 1e-4;
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    assert_non_null(strstr(result.metrics, "\"judged\":true"));

    /* And the good one is better than the poor one that is live now. */
    spec = fixture_spec("als", fixture_good);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    assert_true(metric(result.metrics, "candidate", "ndcg@10") >
                metric(result.metrics, "live", "ndcg@10"));
}

static void test_unjudged_replaces_anything(void **state) {
    struct fixture *fixture = *state;
    struct rec_train_spec spec = fixture_spec("als", poor);
    struct rec_train_result result;
    struct rec_error err;
    spec.judge = false;
    fixture_train_good(fixture);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    assert_string_equal(result.metrics, "{\"judged\":false,\"reason\":\"not asked for\"}");
}

static void test_same_recipe_is_not_judged(void **state) {
    struct fixture *fixture = *state;
    const struct rec_train_spec spec = fixture_spec("als", fixture_good);
    struct rec_train_result result;
    struct rec_error err;
    fixture_train_good(fixture);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    assert_non_null(strstr(result.metrics, "\"judged\":false,\"reason\":\"the recipe"));
    assert_true(metric(result.metrics, "candidate", "ndcg@10") > 0.0);
}

/* Rows recorded after the live model's training: it cannot have seen them, whatever time they say,
 * so it is judged itself, and only on those who did something since. */
static void test_new_rows_judge_the_live_model(void **state) {
    static const struct {
        const char *name;
        uint32_t users;
        int64_t time;
        const char *judged;
    } cases[] = {
        {"one short", 49, FIXTURE_TIME + 100, "{\"judged\":false,"},
        {"enough", 50, FIXTURE_TIME + 100, "{\"judged\":true,\"against\":\"live model\","},
        {"enough, from a clock ahead", 50, 4000000000, "\"against\":\"live model\","},
        {"enough, but older than what was known", 50, FIXTURE_TIME - 100, "{\"judged\":false,"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *inner = NULL;
        struct rec_train_result result;
        struct rec_error err;
        assert_int_equal(fixture_setup(&inner), 0);
        struct fixture *fixture = inner;
        const struct rec_train_spec spec = fixture_spec("als", fixture_good);
        fixture_train_good(fixture);
        fixture_add(fixture, cases[i].users, FIXTURE_LIKED, 1, cases[i].time);
        assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
        if (strstr(result.metrics, cases[i].judged) == NULL)
            fail_msg("%s: %s", cases[i].name, result.metrics);
        if (strstr(result.metrics, "live model\"") != NULL) {
            assert_int_equal((int)metric(result.metrics, "candidate", "users"), 50);
            assert_int_equal((int)metric(result.metrics, "live", "users"), 50);
        }
        assert_int_equal(fixture_teardown(&inner), 0);
    }
}

static void test_few_users_are_not_judged(void **state) {
    struct fixture *fixture = *state;
    struct rec_train_spec spec = fixture_spec("als", fixture_good);
    struct rec_train_result result;
    struct rec_error err;
    fixture_add(fixture, 49, 0, FIXTURE_LIKED, FIXTURE_TIME);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    assert_string_equal(
        result.metrics,
        "{\"judged\":false,\"reason\":\"too few users with enough history to judge\"}");
    fixture_add(fixture, 50, 0, FIXTURE_LIKED, FIXTURE_TIME);
    spec = fixture_spec("als", poor);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_NOT_BETTER);
}

/* The cap of tested users: all of them at the cap, every other one just past it. */
static void test_many_users_are_thinned(void **state) {
    struct fixture *fixture = *state;
    const struct rec_train_spec spec = fixture_spec("popularity", NULL);
    struct rec_train_result result;
    struct rec_error err;
    fixture_add(fixture, REC_JUDGE_USERS_MAX, 0, 3, FIXTURE_TIME);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    assert_int_equal((int)metric(result.metrics, "candidate", "users"), REC_JUDGE_USERS_MAX);
    fixture_add(fixture, REC_JUDGE_USERS_MAX + 1, 0, 3, FIXTURE_TIME);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_OK);
    assert_int_equal((int)metric(result.metrics, "candidate", "users"),
                     REC_JUDGE_USERS_MAX / 2 + 1);
}

static void test_nothing_to_learn_from(void **state) {
    struct fixture *fixture = *state;
    const struct rec_train_spec spec = fixture_spec("als", fixture_good);
    struct rec_train_result result;
    struct rec_error err;
    struct world before;
    look(fixture, &before);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_BAD_INPUT);
    assert_true(err.text[0] != '\0');
    assert_unchanged(fixture, &before);
}

static void test_refit_knows_the_newest_events(void **state) {
    struct fixture *fixture = *state;
    struct rec_train_spec spec = fixture_spec("popularity", NULL);
    struct rec_train_context context = fixture_context(fixture);
    struct rec_train_result result;
    struct rec_error err = {0};
    struct rec_model_info info;
    context.versions = NULL;
    context.slot = NULL;
    for (int refit = 0; refit < 2; refit++) {
        struct rec_model *model = NULL;
        float score = 0.0f, query[8] = {0};
        double total = 0.0;
        spec.refit = refit == 1;
        assert_int_equal(rec_train_run(&context, &spec, &result, &model, &info, &err), REC_OK);
        assert_string_equal(info.family, "popularity");
        assert_string_equal(info.version, "");
        assert_string_equal(info.database, rec_store_identity(fixture->store));
        assert_int_equal(info.items, model->items);
        assert_true(model->query_floats <= 8);
        for (uint32_t i = 0; i < model->items; i++) {
            model->family->score(model, query, 1, i, 1, &score);
            total += (double)score;
        }
        /* Every user's last event is missing without the second fit. */
        static double without;
        if (refit == 0)
            without = total;
        else
            assert_true(total > without);
        rec_model_destroy(&model);
    }
}

/* ---- progress and cancellation ------------------------------------------------------- */

struct watcher {
    const char *stop_at; /* phase that asks for the stop, or NULL */
    atomic_bool cancel;
    char phases[128]; /* in order, each once */
    char last[32];
    double fraction;
};

static void watch(void *context, const char *phase, double fraction, double loss) {
    struct watcher *watcher = context;
    (void)loss;
    if (!(fraction >= watcher->fraction && fraction <= 1.0))
        fail_msg("%s: fraction %g after %g", phase, fraction, watcher->fraction);
    watcher->fraction = fraction;
    if (strcmp(watcher->last, phase) != 0) {
        size_t used = strlen(watcher->phases);
        (void)snprintf(watcher->phases + used, sizeof(watcher->phases) - used, "%s ", phase);
        (void)snprintf(watcher->last, sizeof(watcher->last), "%s", phase);
    }
    if (watcher->stop_at != NULL && strcmp(watcher->stop_at, phase) == 0)
        atomic_store(&watcher->cancel, true);
}

static enum rec_status run_watched(struct fixture *fixture, const struct rec_train_spec *spec,
                                   struct watcher *watcher) {
    struct rec_progress progress = {
        .report = watch, .context = watcher, .cancel = &watcher->cancel};
    struct rec_train_context context = fixture_context(fixture);
    struct rec_train_result result;
    context.progress = &progress;
    return rec_train_run(&context, spec, &result, NULL, NULL, NULL);
}

static const struct {
    const char *name;
    bool judge, refit;
    const char *phases;
} phase_cases[] = {
    {"all", true, true, "snapshot split fit judge refit save publish "},
    {"no refit", true, false, "snapshot split fit judge save publish "},
    {"no judge", false, true, "snapshot fit save publish "},
    {"neither", false, false, "snapshot fit save publish "},
};

static void test_phases(void **state) {
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(phase_cases) / sizeof(phase_cases[0]); i++) {
        struct rec_train_spec spec = fixture_spec("als", fixture_good);
        struct watcher watcher = {0};
        spec.judge = phase_cases[i].judge;
        spec.refit = phase_cases[i].refit;
        assert_int_equal(run_watched(fixture, &spec, &watcher), REC_OK);
        if (strcmp(watcher.phases, phase_cases[i].phases) != 0)
            fail_msg("%s: %s", phase_cases[i].name, watcher.phases);
        assert_true(watcher.fraction >= 1.0);
    }
}

static void test_cancel_in_each_phase(void **state) {
    static const char *const phases[] = {"snapshot", "split", "fit", "judge", "refit", "save"};
    struct fixture *fixture = *state;
    const struct rec_train_spec spec = fixture_spec("als", fixture_good);
    struct world before;
    fixture_train_good(fixture);
    look(fixture, &before);
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        struct watcher watcher = {.stop_at = phases[i]};
        if (run_watched(fixture, &spec, &watcher) != REC_CANCELLED)
            fail_msg("%s: not cancelled", phases[i]);
        assert_string_equal(watcher.last, phases[i]);
        assert_unchanged(fixture, &before);
    }
    /* In publish it is too late: the files are there. */
    struct watcher watcher = {.stop_at = "publish"};
    assert_int_equal(run_watched(fixture, &spec, &watcher), REC_OK);
}

/* Reading the store is the one long phase that no model controls. */
static void watch_half(void *context, const char *phase, double fraction, double loss) {
    struct watcher *watcher = context;
    (void)loss;
    if (strcmp(phase, "snapshot") == 0 && fraction > 0.0)
        atomic_store(&watcher->cancel, true);
    watcher->fraction = fraction;
}

static void test_cancel_within_the_snapshot(void **state) {
    struct fixture *fixture = *state;
    struct watcher watcher = {0};
    struct rec_progress progress = {
        .report = watch_half, .context = &watcher, .cancel = &watcher.cancel};
    struct rec_train_context context = fixture_context(fixture);
    struct rec_train_spec spec = fixture_spec("popularity", NULL);
    struct rec_train_result result;
    struct rec_error err = {0};
    context.progress = &progress;
    fixture_add(fixture, 10000, 0, 4, FIXTURE_TIME);
    assert_int_equal(rec_train_run(&context, &spec, &result, NULL, NULL, &err), REC_CANCELLED);
    assert_non_null(strstr(err.text, "rows"));
    assert_true(watcher.fraction < 0.05);
}

static void test_failing_save(void **state) {
    struct fixture *fixture = *state;
    const struct rec_train_spec spec = fixture_spec("als", fixture_good);
    struct rec_train_result result;
    struct rec_error err;
    struct world before;
    fixture_train_good(fixture);
    assert_int_equal(unlink(fixture->model), 0);
    assert_int_equal(mkdir(fixture->model, 0700), 0);
    look(fixture, &before);
    assert_int_equal(run(fixture, &spec, &result, &err), REC_IO);
    assert_unchanged(fixture, &before);
    assert_int_equal(rmdir(fixture->model), 0);
}

/* ---- a family that learns nonsense ------------------------------------------------------ */

static enum rec_status nan_fit(const struct rec_fit *fit, struct rec_tensors *out,
                               struct rec_error *err) {
    void *data;
    enum rec_status st =
        rec_tensors_add(out, "scores", REC_TENSOR_F32, fit->data->items, 1, &data, err);
    if (st == REC_OK)
        ((float *)data)[0] = (float)NAN;
    return st;
}

static enum rec_status nan_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_tensor *scores;
    enum rec_status st =
        rec_tensors_get(&model->tensors, "scores", REC_TENSOR_F32, model->items, 1, &scores, err);
    if (st == REC_OK && !isfinite(((const float *)scores->data)[0]))
        return rec_error_set(err, REC_CORRUPT, "scores: not finite");
    return st;
}

static const struct rec_family nan_family = {.name = "nan", .fit = nan_fit, .open = nan_open};

static void test_exploding_fit(void **state) {
    struct fixture *fixture = *state;
    struct rec_train_spec spec = {.family = &nan_family, .judge = true, .refit = true};
    struct rec_train_result result;
    struct rec_error err;
    struct world before;
    fixture_train_good(fixture);
    look(fixture, &before);
    for (int judge = 0; judge < 2; judge++) {
        spec.judge = judge == 1;
        assert_int_equal(run(fixture, &spec, &result, &err), REC_CORRUPT);
        assert_unchanged(fixture, &before);
    }
}

/* Goal: a span on a used stack hands on what it was told of and nothing that was there before: a
 * family that stops early would call it. */
static void test_span_over_garbage(void **state) {
    struct rec_span span;
    atomic_bool cancel = false;
    const struct rec_progress outer = {.cancel = &cancel};
    (void)state;
    memset(&span, 0xa5, sizeof(span));
    rec_span_init(&span, &outer, "fit", 0.0, 0.5);
    assert_true(span.inner.judged == NULL);
    assert_true(span.inner.cancel == &cancel);
    assert_true(rec_progress_judged(&span.inner, 1, 0.5));
    rec_progress_report(&span.inner, "fit", 0.5, 1.0); /* to nobody */
}

#define ROW(test)       cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define EMPTY_ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup_empty, fixture_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        ROW(test_first_model_is_measured_and_published),
        ROW(test_worse_changes_nothing),
        ROW(test_unjudged_replaces_anything),
        ROW(test_same_recipe_is_not_judged),
        cmocka_unit_test(test_new_rows_judge_the_live_model),
        EMPTY_ROW(test_few_users_are_not_judged),
        EMPTY_ROW(test_many_users_are_thinned),
        EMPTY_ROW(test_nothing_to_learn_from),
        ROW(test_refit_knows_the_newest_events),
        ROW(test_phases),
        ROW(test_cancel_in_each_phase),
        EMPTY_ROW(test_cancel_within_the_snapshot),
        ROW(test_failing_save),
        ROW(test_exploding_fit),
        cmocka_unit_test(test_span_over_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
