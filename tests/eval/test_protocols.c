/* Goal: on the real data sets, splits and metrics are those of an independent implementation, for
 * the popularity ranking. How: check_protocols.py computed the figures below. Where the data sets
 * are absent the test is skipped and says so. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "protocols.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"
#include "test.h"

#define TOLERANCE 1e-6

struct figures {
    uint32_t k;
    double precision, recall, ndcg, map, mrr, hit;
};

static const struct {
    const char *protocol;
    bool on_validation;
    uint64_t train, seen, tested; /* train: liked rows */
    uint32_t users, items;
    uint64_t test_rows; /* 0: not compared */
    double coverage_at_10;
    struct figures at[2];
} golden[] = {
    {"last-out",
     false,
     47363,
     47363,
     608,
     608,
     9724,
     0,
     0.006273139,
     {{10, 0.003947368, 0.039473684, 0.021583025, 0.015940241, 0.015940241, 0.039473684},
      {20, 0.003453947, 0.069078947, 0.028904576, 0.017863626, 0.017863626, 0.069078947}}},
    {"last-out",
     true,
     47363,
     47363,
     608,
     608,
     9724,
     0,
     0.006273139,
     {{10, 0.004440789, 0.044407895, 0.019428854, 0.012049003, 0.012049003, 0.044407895},
      {20, 0.002878289, 0.057565789, 0.022623167, 0.012857551, 0.012857551, 0.057565789}}},
    {"global-time",
     false,
     800142,
     800142,
     836,
     5392,
     3662,
     94842,
     0.036865101,
     {{10, 0.312440191, 0.037170927, 0.325883382, 0.217618051, 0.508700729, 0.808612440},
      {20, 0.284868421, 0.066642266, 0.303591911, 0.177914484, 0.514602615, 0.889952153}}},
    {"last-five",
     false,
     551187,
     963969,
     2760,
     6040,
     3706,
     0,
     0.039395575,
     {{10, 0.018297101, 0.052717391, 0.038331649, 0.019844107, 0.057515959, 0.153985507},
      {20, 0.015851449, 0.091159420, 0.052564247, 0.023456284, 0.063692518, 0.243840580}}},
    {"last-five",
     true,
     551187,
     963969,
     1803,
     6040,
     3706,
     0,
     0.036157582,
     {{10, 0.006378258, 0.063782585, 0.030564139, 0.020702489, 0.020702489, 0.063782585},
      {20, 0.005629506, 0.112590128, 0.042815587, 0.024018185, 0.024018185, 0.112590128}}},
    {"next-item",
     false,
     988129,
     994169,
     2999,
     6040,
     3706,
     0,
     0.045062062,
     {{10, 0.003801267, 0.038012671, 0.018417260, 0.012618492, 0.012618492, 0.038012671},
      {20, 0.003467823, 0.069356452, 0.026252299, 0.014722079, 0.014722079, 0.069356452}}},
    {"next-item",
     true,
     988129,
     988129,
     2999,
     6040,
     3706,
     0,
     0.044792229,
     {{10, 0.004401467, 0.044014672, 0.021426097, 0.014721442, 0.014721442, 0.044014672},
      {20, 0.003634545, 0.072690897, 0.028692871, 0.016726115, 0.016726115, 0.072690897}}},
    {"repeat",
     false,
     226488,
     0,
     1950,
     3317,
     3394,
     116037,
     0.002946376,
     {{10, 0.117179487, 0.034114099, 0.126293138, 0.059753026, 0.267806268, 0.555897436},
      {20, 0.100538462, 0.058147748, 0.117332502, 0.045122919, 0.276592902, 0.690256410}}},
};

static void check_near(const char *what, double got, double expect) {
    if (!(fabs(got - expect) <= TOLERANCE))
        fail_msg("%s is %.9f, not %.9f", what, got, expect);
}

static void check_figures(const struct rec_ranking *got, const struct figures *expect) {
    assert_int_equal(got->k, expect->k);
    check_near("precision", got->precision, expect->precision);
    check_near("recall", got->recall, expect->recall);
    check_near("ndcg", got->ndcg, expect->ndcg);
    check_near("map", got->map, expect->map);
    check_near("mrr", got->mrr, expect->mrr);
    check_near("hit", got->hit, expect->hit);
}

static uint64_t liked_rows(const struct rec_dataset *dataset) {
    uint64_t count = 0;
    for (uint64_t e = 0; e < dataset->offset[dataset->users]; e++)
        count += dataset->weight[e] > 0.0f;
    return count;
}

static void check_split(size_t g, const struct rec_split *split, const struct rec_model *model,
                        struct rec_pool *pool) {
    const uint32_t ks[] = {10, 20};
    const struct rec_evaluate_options options = {.ks = ks, .k_count = 2, .pool = pool};
    struct rec_ranking rankings[2];
    assert_int_equal(split->train->users, golden[g].users);
    assert_int_equal(split->train->items, golden[g].items);
    assert_int_equal(liked_rows(split->train), golden[g].train);
    if (golden[g].test_rows != 0)
        assert_int_equal(split->test_rows, golden[g].test_rows);
    struct rec_error err = {0};
    if (rec_split_check(split, false, &err) != REC_OK)
        fail_msg("%s: %s", golden[g].protocol, err.text);
    assert_int_equal(rec_csr_entries(split->seen), golden[g].seen);
    assert_int_equal(rec_evaluate(model, split, &options, rankings, NULL), REC_OK);
    for (size_t c = 0; c < 2; c++) {
        assert_int_equal(rankings[c].users, golden[g].tested);
        check_figures(&rankings[c], &golden[g].at[c]);
    }
    check_near("coverage", rankings[0].coverage, golden[g].coverage_at_10);
}

static struct rec_model *fit_popularity(const struct rec_split *split) {
    struct rec_params params;
    struct rec_model *model = NULL;
    rec_params_defaults(rec_popularity_family.params, rec_popularity_family.param_count, &params);
    const struct rec_fit fit = {.data = split->train, .params = &params};
    assert_int_equal(rec_model_fit(&rec_popularity_family, &fit, &model, NULL), REC_OK);
    return model;
}

static void test_protocols(void **state) {
    (void)state;
    struct rec_pool *pool = NULL;
    assert_int_equal(rec_pool_create(2, false, &pool, NULL), REC_OK);
    for (size_t g = 0; g < COUNT(golden); g++) {
        struct rec_split *split = NULL;
        struct rec_error err = {0};
        size_t p = 0;
        while (strcmp(protocols[p].name, golden[g].protocol) != 0)
            p++;
        enum rec_status st = golden[g].on_validation
                                 ? protocol_split_validation(&protocols[p], &split, &err)
                                 : protocol_split(&protocols[p], &split, &err);
        if (st != REC_OK)
            fail_msg("%s: %s", protocols[p].name, err.text);
        struct rec_model *model = fit_popularity(split);
        check_split(g, split, model, pool);
        rec_model_destroy(&model);
        rec_split_destroy(&split);
    }
    rec_pool_destroy(&pool);
}

/* Goal: choosing parameters never sees the test: no row of a validation split is a test row. */
static void test_validation_of_time_splits(void **state) {
    (void)state;
    for (size_t p = 0; p < protocol_count; p++) {
        struct rec_split *test = NULL, *validation = NULL;
        assert_int_equal(protocol_split(&protocols[p], &test, NULL), REC_OK);
        assert_int_equal(protocol_split_validation(&protocols[p], &validation, NULL), REC_OK);
        assert_int_equal(rec_split_check(validation, false, NULL), REC_OK);
        uint64_t whole = test->train->offset[test->train->users];
        uint64_t part = validation->train->offset[validation->train->users];
        bool by_time = strcmp(protocols[p].name, "global-time") == 0 ||
                       strcmp(protocols[p].name, "repeat") == 0;
        CHECK_ROW(by_time ? part < whole : part == whole, protocols[p].name);
        rec_split_destroy(&test);
        rec_split_destroy(&validation);
    }
}

int main(void) {
    for (size_t p = 0; p < protocol_count; p++) {
        struct rec_split *split = NULL;
        struct rec_error err = {0};
        enum rec_status st = protocol_split(&protocols[p], &split, &err);
        rec_split_destroy(&split);
        if (st == REC_NOT_FOUND) {
            (void)fprintf(stderr, "skipped: %s\n", err.text);
            return 77;
        }
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_protocols),
                                       cmocka_unit_test(test_validation_of_time_splits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
