/* Goal: coefficients, scores, shares and likeness of the slim family are what an independent
 * computation in double precision finds (tools/golden_slim.py; it agrees with scikit-learn), for
 * every variant of the kernels.
 *
 * How: the ridge makes the objective strongly convex, so an error in a gradient moves the minimum
 * by at most condition / |G| of it. A gradient in float, and one at which the sweeps stop, are off
 * by a few FLT_EPSILON for each candidate. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_slim.h"
#include "test.h"

enum { EVENTS = COUNT(golden_history), SQUARE = GOLDEN_ITEMS * GOLDEN_ITEMS };

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    double largest = 0.0, allowed;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    allowed = 4.0 * GOLDEN_ITEMS * FLT_EPSILON * golden_condition * largest;
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= allowed))
            fail_msg("%s %s[%zu] is %.9g, expected %.9g within %g", rec_kernels_name(), what, i,
                     (double)got[i], want[i], allowed);
}

static struct rec_model *fit(size_t golden) {
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(rec_slim_family.params, rec_slim_family.param_count, &params);
    assert_int_equal(rec_params_read(&params, golden_parameters[golden], NULL), REC_OK);
    assert_int_equal(rec_params_read(&params, "tolerance=1e-6 max_sweeps=10000", NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 7};
    assert_int_equal(rec_model_fit(&rec_slim_family, &options, &model, NULL), REC_OK);
    rec_dataset_destroy(&data);
    return model;
}

static void check_trained(const struct rec_model *model, size_t golden) {
    const uint64_t *offset = model->tensors.tensor[0].data;
    const uint32_t *item = model->tensors.tensor[1].data;
    const float *weight = model->tensors.tensor[2].data;
    float dense[SQUARE] = {0};
    for (size_t i = 0; i < GOLDEN_ITEMS; i++)
        for (uint64_t k = offset[i]; k < offset[i + 1]; k++)
            dense[i * GOLDEN_ITEMS + item[k]] = weight[k];
    check_close("coefficients", dense, golden_coefficients + golden * SQUARE, SQUARE);
}

static void check_answers(const struct rec_model *model, size_t golden) {
    const struct rec_history history = {golden_history, EVENTS, UINT32_MAX};
    const struct rec_family *family = model->family;
    float scores[GOLDEN_ITEMS], shares[GOLDEN_ITEMS * EVENTS], similar[SQUARE];
    float *query = rec_alloc_array(model->query_floats, sizeof(float));
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(float));
    uint32_t items[GOLDEN_ITEMS];
    assert_non_null(query);
    assert_non_null(scratch);
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++) {
        items[i] = i;
        family->similar(model, i, 0, GOLDEN_ITEMS, similar + i * GOLDEN_ITEMS);
    }
    assert_true(family->query(model, &history, query, scratch));
    family->score(model, query, 1, 0, GOLDEN_ITEMS, scores);
    family->explain(model, &history, items, GOLDEN_ITEMS, shares, scratch);
    check_close("scores", scores, golden_scores + golden * GOLDEN_ITEMS, GOLDEN_ITEMS);
    check_close("shares", shares, golden_shares + golden * COUNT(shares), COUNT(shares));
    check_close("similar", similar, golden_similar + golden * SQUARE, SQUARE);
    rec_alloc_free(scratch);
    rec_alloc_free(query);
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
        for (size_t golden = 0; golden < GOLDEN_CASES; golden++) {
            struct rec_model *model = fit(golden);
            check_trained(model, golden);
            check_answers(model, golden);
            rec_model_destroy(&model);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
