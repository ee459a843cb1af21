/* Goal: training, fold-in, scores, shares and likeness of the biased-mf family are what an
 * independent computation in double precision finds (tools/golden_biased_mf.py), for both
 * optimizers and every variant of the kernels.
 *
 * How: the same steps are taken there with the same random numbers. Each of some 4,000 steps rounds
 * anew, and Adam divides by the root of small averages: 3e-4 of the largest number is well above
 * what adds up. A wrong sign, rate, correction or term is off by more than a tenth of it. */
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_biased_mf.h"
#include "test.h"

#define TOLERANCE 3e-4

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

static struct rec_model *fit(const char *parameters) {
    static const struct rec_progress progress = {.report = keep_loss};
    const struct rec_family *family = &rec_biased_mf_family;
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    assert_int_equal(rec_params_read(&params, parameters, NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {
        .data = data, .params = &params, .seed = GOLDEN_SEED, .progress = &progress};
    assert_int_equal(rec_model_fit(family, &options, &model, NULL), REC_OK);
    rec_dataset_destroy(&data);
    return model;
}

static void check_tensor(const struct rec_model *model, const char *name, const double *want,
                         size_t n) {
    const struct rec_tensor *tensor = NULL;
    assert_int_equal(rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, 0, 0, &tensor, NULL),
                     REC_OK);
    assert_int_equal(tensor->rows * tensor->cols, n);
    check_close(name, tensor->data, want, n);
}

static void check_answers(const struct rec_model *model, size_t c) {
    enum { EVENTS = COUNT(golden_history), WIDTH = GOLDEN_FACTORS + 1, I = GOLDEN_ITEMS };
    const struct rec_family *family = model->family;
    const struct rec_history history = {golden_history, EVENTS, UINT32_MAX};
    float query[WIDTH], scores[I], shares[I * EVENTS];
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(*scratch));
    uint32_t items[I];
    assert_non_null(scratch);
    assert_int_equal(model->query_floats, WIDTH);
    assert_true(family->query(model, &history, query, scratch));
    check_close("query", query, golden_query + c * WIDTH, WIDTH);
    family->score(model, query, 1, 0, I, scores);
    check_close("scores", scores, golden_scores + c * I, I);
    for (uint32_t i = 0; i < I; i++)
        items[i] = i;
    family->explain(model, &history, items, I, shares, scratch);
    check_close("shares", shares, golden_shares + c * I * EVENTS, COUNT(shares));
    for (uint32_t i = 0; i < I; i++) {
        family->similar(model, i, 0, I, scores);
        check_close("cosine", scores, golden_cosine + (c * I + i) * I, I);
    }
    rec_alloc_free(scratch);
}

static void test_golden(void **state) {
    static const char *const variants[] = {"ref", "portable", "avx2", "avx512"};
    enum { ROWS = GOLDEN_ITEMS * (GOLDEN_FACTORS + 1) };
    (void)state;
    for (size_t i = 0; i < COUNT(variants); i++) {
        assert_int_equal(setenv("REC_KERNELS", variants[i], 1), 0);
        if (rec_kernels_init(NULL) != REC_OK) {
            print_message("skipped: this processor does not run %s\n", variants[i]);
            continue;
        }
        for (size_t c = 0; c < GOLDEN_CASES; c++) {
            struct rec_model *model = fit(golden_parameters[c]);
            assert_true(fabs(last_loss - golden_loss[c]) <= TOLERANCE);
            check_tensor(model, "mean", golden_mean + c, 1);
            check_tensor(model, "item_factors", golden_item_factors + c * ROWS, ROWS);
            check_answers(model, c);
            rec_model_destroy(&model);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
