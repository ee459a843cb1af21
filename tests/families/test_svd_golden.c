/* Goal: singular values, scores, shares and likeness of the svd family are those of an exact
 * decomposition in double precision (tools/golden_svd.py), for every variant of the kernels.
 *
 * How: signs and turns of singular vectors are free, so only what does not depend on them is
 * compared. A perturbation E of XᵀX turns the space by at most |E| over the gap below its last
 * eigenvalue; E is what sums over all users round, and 60 iterations leave nothing else. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_svd.h"
#include "test.h"

enum { EVENTS = COUNT(golden_history), SQUARE = GOLDEN_ITEMS * GOLDEN_ITEMS };

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    double largest = 0.0, allowed;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    allowed = GOLDEN_USERS * FLT_EPSILON * golden_condition * largest;
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= allowed))
            fail_msg("%s %s[%zu] is %.9g, expected %.9g within %g", rec_kernels_name(), what, i,
                     (double)got[i], want[i], allowed);
}

static struct rec_model *fit(size_t golden) {
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(rec_svd_family.params, rec_svd_family.param_count, &params);
    assert_int_equal(rec_params_read(&params, golden_parameters[golden], NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 7};
    assert_int_equal(rec_model_fit(&rec_svd_family, &options, &model, NULL), REC_OK);
    rec_dataset_destroy(&data);
    return model;
}

static void check_trained(const struct rec_model *model, size_t golden) {
    const struct rec_tensor *values = NULL;
    assert_int_equal(rec_tensors_get(&model->tensors, "singular_values", REC_TENSOR_F32, 1,
                                     GOLDEN_FACTORS, &values, NULL),
                     REC_OK);
    check_close("singular values", values->data, golden_values + golden * GOLDEN_FACTORS,
                GOLDEN_FACTORS);
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
    check_close("similar", similar, golden_cosine + golden * SQUARE, SQUARE);
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
