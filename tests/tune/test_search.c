/* Goal: a search runs the trials it was asked for, keeps its books right whatever becomes of a
 * trial, goes on with a study where it was, and says why when there is no winner.
 * How: the toy family, whose quality is known, on a real split. No test depends on how long
 * anything takes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

struct world {
    struct rec_split *split;
    struct rec_tune_space space;
    struct rec_tune_options options;
    struct rec_tune_search search;
    struct rec_error err;
    char folder[64], path[96];
    size_t ended; /* calls */
    double fraction;
    atomic_bool cancel;
    size_t cancel_after; /* trials; 0: never */
    size_t live_before;
};

static void on_ended(void *context, const struct rec_tune_search *search,
                     const struct rec_tune_trial *trial) {
    struct world *world = context;
    world->ended++;
    assert_ptr_equal(trial, &search->trials[search->count - 1]);
    if (world->ended == world->cancel_after)
        atomic_store(&world->cancel, true);
}

static void on_tick(void *context, const struct rec_tune_search *search, double fraction) {
    struct world *world = context;
    (void)search;
    assert_true(fraction >= 0.0 && fraction <= 1.0);
    world->fraction = fraction;
}

/* assignments: of the toy's start, NULL-terminated; what they set is fixed */
static void begin(struct world *world, size_t trials, size_t workers,
                  const char *const *assignments) {
    struct rec_params start;
    bool fixed[REC_PARAMS_MAX] = {false};
    rec_tune_search_finish(&world->search);
    rec_params_defaults(toy_family.params, toy_family.param_count, &start);
    for (; assignments != NULL && *assignments != NULL; assignments++) {
        must(rec_params_set(&start, *assignments, &world->err), &world->err);
        for (size_t row = 0; row < toy_family.param_count; row++)
            if (strncmp(*assignments, toy_family.params[row].name,
                        strlen(toy_family.params[row].name)) == 0)
                fixed[row] = true;
    }
    must(rec_tune_space_init(&world->space, &toy_family, &start, fixed, &world->err), &world->err);
    world->options = (struct rec_tune_options){.space = &world->space,
                                               .split = world->split,
                                               .trials = trials,
                                               .seed = 1,
                                               .workers = workers,
                                               .ended = on_ended,
                                               .tick = on_tick,
                                               .context = world};
    must(rec_tune_metric_read("ndcg@10", &world->options.metric, &world->options.k, &world->err),
         &world->err);
    world->ended = 0;
}

static void run(struct world *world) {
    must(rec_tune_search_run(&world->options, &world->search, &world->err), &world->err);
}

static int setup(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->live_before = rec_alloc_live();
    world->split = split_make();
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/recsysd-tune-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->path, sizeof(world->path), "%s/study.db", world->folder);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    rec_study_close(&world->options.study);
    rec_tune_search_finish(&world->search);
    rec_split_destroy(&world->split);
    (void)unlink(world->path);
    (void)rmdir(world->folder);
    assert_int_equal(rec_alloc_live(), world->live_before);
    free(world);
    return 0;
}

/* ---- what is run ---------------------------------------------------------------------------- */

static void assert_numbers(const struct rec_tune_search *search) {
    for (uint32_t n = 0; n < search->count; n++) {
        size_t found = 0;
        for (size_t t = 0; t < search->count; t++)
            found += search->trials[t].number == n;
        assert_int_equal(found, 1);
    }
}

static void test_all_trials(void **state) {
    struct world *world = *state;
    for (size_t workers = 1; workers <= 3; workers++) {
        begin(world, 25, workers, NULL);
        run(world);
        const struct rec_tune_search *search = &world->search;
        assert_int_equal(search->count, 25);
        assert_int_equal(search->complete, 25);
        assert_int_equal(world->ended, 25);
        assert_int_equal(search->end, REC_TUNE_DONE);
        assert_numbers(search);
        const struct rec_tune_trial *best = &search->trials[search->best];
        for (size_t t = 0; t < search->count; t++)
            assert_true(search->trials[t].value <= best->value);
        assert_true(fabs(value_of(&world->space, best, "x") - 0.8) < 0.15);
    }
}

/* Goal: one trial at a time goes the same way every time. */
static void test_same_again(void **state) {
    struct world *world = *state;
    double x[20];
    begin(world, 20, 1, NULL);
    run(world);
    for (size_t t = 0; t < 20; t++)
        x[t] = value_of(&world->space, &world->search.trials[t], "x");
    begin(world, 20, 1, NULL);
    run(world);
    for (size_t t = 0; t < 20; t++)
        assert_memory_equal(&x[t], &world->search.trials[t].param[0], sizeof(double));
}

/* Goal: trials that look worse than half of the others are given up, the good ones are not. */
static void test_pruning(void **state) {
    struct world *world = *state;
    static const char *const looks[] = {"looks=10", NULL};
    begin(world, 30, 1, looks);
    run(world);
    const struct rec_tune_search *search = &world->search;
    assert_true(search->pruned > 0);
    assert_int_equal(search->complete + search->pruned, 30);
    for (size_t t = 0; t < search->count; t++) {
        const struct rec_tune_trial *trial = &search->trials[t];
        bool pruned = trial->state == REC_STUDY_PRUNED;
        assert_int_equal(trial->look_count, pruned ? REC_TUNE_PRUNE_LOOKS : 10);
        if (pruned) {
            assert_true(t >= REC_TUNE_PRUNE_TRIALS);
            assert_true(fabs(trial->value - value_of(&world->space, trial, "x")) < 1e-9);
        }
    }
    assert_int_equal(search->trials[search->best].state, REC_STUDY_COMPLETE);
}

/* ---- no winner -------------------------------------------------------------------------- */

static void test_all_fail(void **state) {
    struct world *world = *state;
    static const char *const fails[] = {"how=fails", NULL};
    begin(world, 4, 2, fails);
    assert_int_equal(rec_tune_search_run(&world->options, &world->search, &world->err),
                     REC_BAD_INPUT);
    assert_non_null(strstr(world->err.text, "all 4 trials of toy failed; the first: x "));
    assert_non_null(strstr(world->err.text, "does not agree"));
    assert_int_equal(world->search.failed, 4);
}

static void test_timeout_before_the_first(void **state) {
    struct world *world = *state;
    static const char *const slow[] = {"wait=60000", NULL};
    begin(world, 4, 2, slow);
    world->options.timeout_s = 0.05;
    assert_int_equal(rec_tune_search_run(&world->options, &world->search, &world->err),
                     REC_CANCELLED);
    assert_non_null(strstr(world->err.text, "no trial was complete within 0.05 s"));
    assert_int_equal(world->search.count, 0);
}

static void test_cancel(void **state) {
    struct world *world = *state;
    begin(world, 1000, 2, NULL);
    world->options.cancel = &world->cancel;
    world->cancel_after = 3;
    assert_int_equal(rec_tune_search_run(&world->options, &world->search, &world->err),
                     REC_CANCELLED);
    assert_true(world->search.count >= 3 && world->search.count < 1000);
    assert_non_null(strstr(world->err.text, "stopped on request after"));
}

/* ---- studies ---------------------------------------------------------------------------- */

static void open_study(struct world *world) {
    must(rec_tune_study_open(world->path, &world->options, "own", "none", &world->options.study,
                             &world->err),
         &world->err);
}

/* Goal: a study that is stopped and gone on with, one trial at a time, is the study that was never
 * stopped: nothing is lost, and nothing is run twice. */
static void test_resume(void **state) {
    struct world *world = *state;
    static const char *const looks[] = {"looks=5", NULL};
    double whole[24], values[24];
    begin(world, 24, 1, looks);
    run(world);
    for (size_t t = 0; t < 24; t++) {
        whole[t] = world->search.trials[t].param[0];
        values[t] = world->search.trials[t].value;
    }
    atomic_store(&toy_fits, 0);
    for (size_t trials = 7; trials <= 24; trials += 17) {
        begin(world, trials, 1, looks);
        open_study(world);
        run(world);
        assert_int_equal(world->search.resumed, trials == 7 ? 0 : 7);
        assert_int_equal(world->ended, trials == 7 ? 7 : 17);
        rec_study_close(&world->options.study);
    }
    assert_int_equal(atomic_load(&toy_fits), 24);
    assert_int_equal(world->search.count, 24);
    for (size_t t = 0; t < 24; t++) {
        assert_memory_equal(&whole[t], &world->search.trials[t].param[0], sizeof(double));
        assert_memory_equal(&values[t], &world->search.trials[t].value, sizeof(double));
    }
    /* and once more: all is there */
    begin(world, 24, 2, looks);
    open_study(world);
    run(world);
    assert_int_equal(world->ended, 0);
    assert_int_equal(atomic_load(&toy_fits), 24);
}

/* Goal: what was found before the time was up is the result. The first trial is quick, and in the
 * study; the second waits until it is stopped. */
static void test_timeout(void **state) {
    struct world *world = *state;
    static const char *const slow[] = {"wait=60000", NULL};
    begin(world, 1, 1, NULL);
    open_study(world);
    run(world);
    rec_study_close(&world->options.study);
    atomic_store(&toy_fits, 0);
    begin(world, 40, 1, slow);
    open_study(world);
    world->options.timeout_s = 0.05;
    run(world);
    const struct rec_tune_search *search = &world->search;
    assert_int_equal(search->end, REC_TUNE_TIMED_OUT);
    assert_int_equal(atomic_load(&toy_fits), 1);
    assert_int_equal(search->count, 1); /* what was cut off leaves no trace */
    assert_int_equal(search->best, 0);
    assert_int_equal(search->trials[0].state, REC_STUDY_COMPLETE);
    assert_int_equal(search->failed, 0);
}

/* Goal: a search ends when all places of a small space were tried, and has the best of them; the
 * start counts, also where it is none of them. */
static void test_exhausted(void **state) {
    struct world *world = *state;
    for (size_t workers = 1; workers <= 3; workers++) {
        begin(world, 100, workers, NULL);
        world->space.dim[0] =
            (struct rec_tune_dim){.row = world->space.dim[0].row, .max = 1.0, .whole = true};
        run(world);
        const struct rec_tune_search *search = &world->search;
        assert_int_equal(search->end, REC_TUNE_EXHAUSTED);
        assert_int_equal(search->count, 3); /* .5, 0 and 1 */
        assert_int_equal(search->complete, 3);
        assert_numbers(search);
        double best = value_of(&world->space, &search->trials[search->best], "x");
        assert_true(fabs(best - 1.0) < 1e-9 || fabs(best - 0.5) < 1e-9);
    }
}

/* Goal: a study of another search is refused, naming both. */
static void test_other_study(void **state) {
    struct world *world = *state;
    struct rec_study *study = NULL;
    begin(world, 1, 1, NULL);
    open_study(world);
    rec_study_close(&world->options.study);

    static const struct {
        const char *name, *protocol, *set, *metric;
        uint64_t seed;
        const char *text;
    } rows[] = {
        {"protocol", "last-out", "none", "ndcg@10", 1, "protocol 'own', not 'last-out'"},
        {"values", "own", "x=1", "ndcg@10", 1, "values set 'none', not 'x=1'"},
        {"metric", "own", "none", "recall@10", 1, "metric 'ndcg@10', not 'recall@10'"},
        {"k", "own", "none", "ndcg@20", 1, "metric 'ndcg@10', not 'ndcg@20'"},
        {"seed", "own", "none", "ndcg@10", 2, "seed '1', not '2'"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_tune_options other = world->options;
        struct rec_error err = {0};
        must(rec_tune_metric_read(rows[i].metric, &other.metric, &other.k, &err), &err);
        other.seed = rows[i].seed;
        enum rec_status st =
            rec_tune_study_open(world->path, &other, rows[i].protocol, rows[i].set, &study, &err);
        CHECK_ROW(st == REC_CONFLICT, rows[i].name);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].name);
    }
    struct rec_tune_options other = world->options;
    struct rec_split *split = split_make();
    struct rec_error err = {0};
    split->train->weight[3] = 0.5f;
    other.split = split;
    assert_int_equal(rec_tune_study_open(world->path, &other, "own", "none", &study, &err),
                     REC_CONFLICT);
    assert_non_null(strstr(err.text, "is a study of data '60 users x 72 items, "));
    rec_split_destroy(&split);

    struct rec_tune_space space = world->space;
    struct rec_family renamed = toy_family;
    renamed.name = "other";
    space.family = &renamed;
    other = world->options;
    other.space = &space;
    err = (struct rec_error){0};
    assert_int_equal(rec_tune_study_open(world->path, &other, "own", "none", &study, &err),
                     REC_CONFLICT);
    assert_non_null(strstr(err.text, "model 'toy', not 'other'"));
}

/* Goal: a study whose rows were tampered with is refused, naming the trial. */
static void test_foreign_rows(void **state) {
    struct world *world = *state;
    struct rec_error err = {0};
    begin(world, 4, 1, NULL);
    open_study(world);
    const struct rec_study_trial row = {
        .number = 7, .value = 0.5, .parameters = "x=7", .error = ""};
    must(rec_study_add(world->options.study, &row, &err), &err);
    assert_int_equal(rec_tune_search_run(&world->options, &world->search, &err), REC_CORRUPT);
    assert_non_null(strstr(err.text, "trial 7 is not one of toy: x: "));
}

/* ---- metrics ---------------------------------------------------------------------------- */

static void test_metric(void **state) {
    (void)state;
    static const struct {
        const char *text, *says; /* NULL: it is fine */
    } rows[] = {
        {"ndcg@10", NULL},
        {"recall@1", NULL},
        {"ndgc@10", "'ndgc' is no measure of quality; did you mean 'ndcg'?"},
        {"novelty@10", "'novelty' is no measure of quality"},
        {"ndcg", "'ndcg' is not NAME@K"},
        {"@10", "'@10' is not NAME@K"},
        {"ndcg@0", "metric: "},
        {"ndcg@1001", "metric: "},
        {"ndcg@ten", "metric: "},
        {"", "is not NAME@K"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct rec_metric *metric = NULL;
        uint32_t k = 0;
        struct rec_error err = {0};
        enum rec_status st = rec_tune_metric_read(rows[i].text, &metric, &k, &err);
        CHECK_ROW(st == (rows[i].says == NULL ? REC_OK : REC_BAD_INPUT), rows[i].text);
        CHECK_ROW(rows[i].says == NULL || strstr(err.text, rows[i].says) != NULL, rows[i].text);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_all_trials),
                                       TEST(test_same_again),
                                       TEST(test_pruning),
                                       TEST(test_all_fail),
                                       TEST(test_timeout_before_the_first),
                                       TEST(test_timeout),
                                       TEST(test_cancel),
                                       TEST(test_exhausted),
                                       TEST(test_resume),
                                       TEST(test_other_study),
                                       TEST(test_foreign_rows),
                                       cmocka_unit_test(test_metric)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
