/* Goal: a parameter that decides the value is said to explain it, one that does nothing is said to
 * explain nothing, on every scale; a page names all of it and is well formed.
 * How: values are made from parameters that are drawn. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static const char *const kinds[] = {"one", "two", "three", NULL};
static const struct rec_param table[] = {
    {"strength", REC_PARAM_FLOAT, 1e-3, 1e3, true, 1, NULL, ""},
    {"kind", REC_PARAM_CHOICE, 0, 2, false, 0, kinds, ""},
    {"recency", REC_PARAM_FLOAT, 0, 1e6, false, 0, NULL, ""},
    {"flag", REC_PARAM_BOOL, 0, 1, false, 0, NULL, ""},
};
enum { STRENGTH, KIND, RECENCY, FLAG, DIMS };
static const struct rec_tune_range ranges[] = {
    {.name = "recency", .min = 1, .max = 100, .log_scale = true, .zero = true}, {.name = NULL}};
static const struct rec_family made = {
    .name = "<made>", .params = table, .param_count = COUNT(table), .tune = ranges};

enum { TRIALS = 60 };

/* Values as `of` says, from places that are drawn. */
static void draw(const struct rec_tune_space *space, struct rec_tune_trial *trials, uint64_t seed,
                 double (*of)(const double *unit)) {
    struct rec_rng rng;
    rec_rng_init(&rng, seed, 0);
    for (uint32_t t = 0; t < TRIALS; t++) {
        double unit[DIMS];
        trials[t] = (struct rec_tune_trial){.number = t};
        for (size_t d = 0; d < DIMS; d++) {
            double value = rec_tune_value(&space->dim[d], (double)rec_rng_uniform(&rng));
            trials[t].param[space->dim[d].row] = value;
            unit[d] = rec_tune_unit(&space->dim[d], value);
        }
        trials[t].value = of(unit);
    }
}

static double by_strength(const double *unit) {
    return 1.0 - pow(unit[STRENGTH] - 0.3, 2.0);
}
static double by_kind(const double *unit) {
    return unit[KIND] > 0.4 && unit[KIND] < 0.6 ? 1.0 : 0.2;
}
static double by_recency(const double *unit) {
    return unit[RECENCY] < 0.2 ? 0.1 : 0.5;
}
static double by_two(const double *unit) {
    return unit[STRENGTH] + unit[FLAG];
}
static double by_nothing(const double *unit) {
    return fmod(unit[STRENGTH] * 7919.0 + unit[RECENCY] * 104729.0, 1.0);
}

static void test_shares(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double (*of)(const double *unit);
        double low[DIMS], high[DIMS];
    } rows[] = {
        {"strength", by_strength, {0.8, 0, 0, 0}, {1, 0.2, 0.2, 0.2}},
        {"kind", by_kind, {0, 0.95, 0, 0}, {0.2, 1, 0.2, 0.2}},
        {"recency", by_recency, {0, 0, 0.8, 0}, {0.2, 0.2, 1, 0.2}},
        {"two", by_two, {0.2, 0, 0, 0.3}, {0.7, 0.2, 0.2, 0.8}},
        {"nothing", by_nothing, {0, 0, 0, 0}, {0.2, 0.2, 0.2, 0.2}},
    };
    struct rec_tune_space space = space_of(&made);
    struct rec_error err = {0};
    assert_int_equal(space.count, DIMS);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_tune_trial trials[TRIALS];
        double shares[DIMS];
        draw(&space, trials, 11, rows[i].of);
        must(rec_tune_importance(&space, trials, TRIALS, shares, &err), &err);
        for (size_t d = 0; d < DIMS; d++)
            if (shares[d] < rows[i].low[d] || shares[d] > rows[i].high[d])
                fail_msg("row '%s': %s has %.3f", rows[i].name, table[d].name, shares[d]);
    }
}

/* Goal: what chance explains is taken off: six bins of 60 trials explain 5 / 59 of any noise. */
static void test_chance(void **state) {
    (void)state;
    enum { DRAWS = 40 };
    struct rec_tune_space space = space_of(&made);
    struct rec_tune_trial trials[TRIALS];
    struct rec_error err = {0};
    double sum = 0.0, shares[DIMS];
    for (uint64_t seed = 1; seed <= DRAWS; seed++) {
        draw(&space, trials, seed, by_nothing);
        must(rec_tune_importance(&space, trials, TRIALS, shares, &err), &err);
        sum += shares[STRENGTH] / DRAWS;
    }
    assert_true(sum < 0.05);
}

/* Goal: few trials, equal values and trials without a value say nothing. */
static void test_nothing_said(void **state) {
    (void)state;
    struct rec_tune_space space = space_of(&made);
    struct rec_tune_trial trials[TRIALS];
    struct rec_error err = {0};
    double shares[DIMS];
    draw(&space, trials, 11, by_strength);
    for (size_t count = 0; count < 10; count++) {
        must(rec_tune_importance(&space, trials, count, shares, &err), &err);
        for (size_t d = 0; d < DIMS; d++)
            assert_true(shares[d] <= 0.0);
    }
    for (size_t t = 9; t < TRIALS; t++) {
        trials[t].state = t % 2 == 0 ? REC_STUDY_PRUNED : REC_STUDY_FAILED;
        trials[t].value = (double)NAN;
    }
    must(rec_tune_importance(&space, trials, TRIALS, shares, &err), &err);
    assert_true(shares[STRENGTH] <= 0.0);
    for (size_t t = 0; t < TRIALS; t++) {
        trials[t].state = REC_STUDY_COMPLETE;
        trials[t].value = 0.5;
    }
    must(rec_tune_importance(&space, trials, TRIALS, shares, &err), &err);
    assert_true(shares[STRENGTH] <= 0.0);
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

/* Goal: a page has a mark for every trial, counted from 1, escapes what it is given and says
 * nothing that is not a number, also with one trial alone and with failed ones; nor what one that
 * was given up had, which is not to be compared. */
static void test_page(void **state) {
    (void)state;
    struct rec_tune_space space = space_of(&made);
    struct rec_tune_trial trials[TRIALS];
    double shares[DIMS] = {0.5, 0.1, 0.0, 1.0};
    struct rec_tune_options options = {.space = &space, .trials = TRIALS};
    struct rec_error err = {0};
    must(rec_tune_metric_read("ndcg@10", &options.metric, &options.k, &err), &err);
    draw(&space, trials, 11, by_strength);
    trials[4].state = REC_STUDY_FAILED;
    trials[4].value = (double)NAN;
    (void)snprintf(trials[4].error, sizeof(trials[4].error), "a < b & c");
    trials[5].state = REC_STUDY_PRUNED;
    trials[5].value = 0.98765;
    for (size_t count = 1; count <= TRIALS; count += TRIALS - 1) {
        const struct rec_tune_search search = {.trials = trials, .count = count};
        const struct rec_tune_report report = {.version = "1",
                                               .data = "a<b",
                                               .protocol = "own",
                                               .options = &options,
                                               .search = &search,
                                               .importance = shares,
                                               .test = 0.25,
                                               .start_on_test = (double)NAN};
        char *text = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&text, &bytes);
        assert_non_null(out);
        rec_tune_html(&report, out);
        assert_int_equal(fclose(out), 0);
        assert_int_equal(count_of(text, "<svg"), 3);
        assert_int_equal(count_of(text, "</svg>"), 3);
        assert_int_equal(count_of(text, "<circle"), count);
        assert_int_equal(count_of(text, "<tr><td>"), count);
        assert_int_equal(count_of(text, "<title>trial 0"), 0);
        assert_int_equal(count_of(text, "<tr><td>0<"), 0);
        assert_int_equal(count_of(text, "<title>trial 6, given up</title>"), count > 5);
        assert_int_equal(count_of(text, "<tr><td>6</td><td>given up</td><td></td>"), count > 5);
        assert_int_equal(count_of(text, "0.9877"), 0);
        assert_int_equal(count_of(text, "class=\"bar\""), DIMS);
        assert_int_equal(count_of(text, "nan"), 0);
        assert_int_equal(count_of(text, "inf"), 0);
        assert_int_equal(count_of(text, "http"), 0);
        assert_int_equal(count_of(text, "a<b"), 0);
        assert_non_null(strstr(text, "a&lt;b"));
        assert_non_null(strstr(text, "&lt;made&gt;"));
        assert_int_equal(count_of(text, "a &lt; b &amp; c"), count > 4);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shares), cmocka_unit_test(test_chance),
                                       cmocka_unit_test(test_nothing_said),
                                       cmocka_unit_test(test_page)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
