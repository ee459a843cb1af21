/* Goal: training, fold-in, scores and likeness of the bpr family are what an independent
 * computation in double precision finds (tools/golden_bpr.py), for every variant of the kernels.
 *
 * How: nothing in BPR converges to one answer, so the same steps are taken there with the same
 * random numbers. Each of some 1,500 steps rounds anew; steps shrink differences of rows rather
 * than stretch them, so they add up like a random walk, and 1e-4 of the largest number is far
 * above. A wrong sign, rate or order of draws is off by more than a tenth of it. */
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_bpr.h"
#include "test.h"

#define TOLERANCE 1e-4

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= TOLERANCE * largest))
            fail_msg("%s %s[%zu] is %.9g, expected %.9g", rec_kernels_name(), what, i,
                     (double)got[i], want[i]);
}

static double last_loss;

static void keep_loss(void *context, const char *phase, double fraction, double loss) {
    (void)context;
    (void)phase;
    (void)fraction;
    last_loss = loss;
}

static struct rec_model *fit(void) {
    static const struct rec_progress progress = {.report = keep_loss};
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(rec_bpr_family.params, rec_bpr_family.param_count, &params);
    assert_int_equal(rec_params_read(&params, GOLDEN_PARAMETERS, NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {
        .data = data, .params = &params, .seed = GOLDEN_SEED, .progress = &progress};
    assert_int_equal(rec_model_fit(&rec_bpr_family, &options, &model, NULL), REC_OK);
    rec_dataset_destroy(&data);
    return model;
}

static void check_answers(const struct rec_model *model) {
    enum { EVENTS = COUNT(golden_history) };
    const struct rec_history history = {golden_history, EVENTS, UINT32_MAX};
    const struct rec_tensor *rows = NULL;
    float query[GOLDEN_FACTORS + 1], scores[GOLDEN_ITEMS];
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(*scratch));
    assert_non_null(scratch);
    assert_int_equal(model->query_floats, GOLDEN_FACTORS + 1);
    assert_int_equal(
        rec_tensors_get(&model->tensors, "item_factors", REC_TENSOR_F32, 0, 0, &rows, NULL),
        REC_OK);
    check_close("item_factors", rows->data, golden_item_factors, COUNT(golden_item_factors));
    assert_true(rec_bpr_family.query(model, &history, query, scratch));
    check_close("query", query, golden_query, COUNT(golden_query));
    rec_bpr_family.score(model, query, 1, 0, GOLDEN_ITEMS, scores);
    check_close("scores", scores, golden_scores, COUNT(golden_scores));
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++) {
        rec_bpr_family.similar(model, i, 0, GOLDEN_ITEMS, scores);
        check_close("cosine", scores, golden_cosine + i * GOLDEN_ITEMS, GOLDEN_ITEMS);
    }
    rec_alloc_free(scratch);
}

static void test_golden(void **state) {
    static const char *const variants[] = {"ref", "portable", "avx2", "avx512"};
    (void)state;
    for (size_t i = 0; i < COUNT(variants); i++) {
        assert_int_equal(setenv("REC_KERNELS", variants[i], 1), 0);
        if (rec_kernels_init(NULL) != REC_OK) {
            print_message("skipped: this processor does not run %s\n", variants[i]);
            continue;
        }
        struct rec_model *model = fit();
        assert_true(fabs(last_loss - golden_loss) <= TOLERANCE);
        check_answers(model);
        rec_model_destroy(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
