/* Goal: training, scores, shares and likeness of the next-item family are what an independent
 * computation in double precision finds (tools/golden_nextitem.py), for every variant of the
 * kernels: the sums over pairs are the sums over all cuts.
 *
 * How: a matrix in float whose numbers are sums of at most GOLDEN_CUTS terms, solved in float, is
 * off by at most cond(A) (GOLDEN_CUTS + 4 n) u to first order (Higham, theorems 7.2 and 10.4). */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_nextitem.h"
#include "test.h"

enum { N = GOLDEN_SCALES * GOLDEN_USED, EVENTS = COUNT(golden_history) };

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    double largest = 0, allowed;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    allowed = 2.0 * golden_condition * (GOLDEN_CUTS + 4.0 * N) * FLT_EPSILON / 2 * largest;
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= allowed))
            fail_msg("%s %s[%zu] is %.9g, expected %.9g within %g", rec_kernels_name(), what, i,
                     (double)got[i], want[i], allowed);
}

static struct rec_model *fit(void) {
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    struct rec_error err = {.status = REC_OK};
    rec_params_defaults(rec_nextitem_family.params, rec_nextitem_family.param_count, &params);
    assert_int_equal(rec_params_read(&params, GOLDEN_PARAMETERS, NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 1};
    if (rec_model_fit(&rec_nextitem_family, &options, &model, &err) != REC_OK)
        fail_msg("%s", err.text);
    rec_dataset_destroy(&data);
    return model;
}

static void check_trained(const struct rec_model *model) {
    const struct rec_tensor *item = NULL, *weight = NULL;
    assert_int_equal(
        rec_tensors_get(&model->tensors, "item", REC_TENSOR_U32, 1, GOLDEN_USED, &item, NULL),
        REC_OK);
    for (uint32_t i = 0; i < GOLDEN_USED; i++)
        assert_int_equal(((const uint32_t *)item->data)[i], i < GOLDEN_NEVER ? i : i + 1);
    assert_int_equal(
        rec_tensors_get(&model->tensors, "weight", REC_TENSOR_F32, N, GOLDEN_USED, &weight, NULL),
        REC_OK);
    check_close("weight", weight->data, golden_weight, COUNT(golden_weight));
}

static void check_answers(const struct rec_model *model) {
    const struct rec_history history = {golden_history, EVENTS, UINT32_MAX};
    float query[GOLDEN_ITEMS], scores[GOLDEN_ITEMS], shares[GOLDEN_ITEMS * EVENTS];
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(float));
    uint32_t items[GOLDEN_ITEMS];
    assert_non_null(scratch);
    assert_int_equal(model->query_floats, GOLDEN_ITEMS);

    assert_true(rec_nextitem_family.query(model, &history, query, scratch));
    rec_nextitem_family.score(model, query, 1, 0, GOLDEN_ITEMS, scores);
    check_close("scores", scores, golden_scores, COUNT(golden_scores));

    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++)
        items[i] = i;
    rec_nextitem_family.explain(model, &history, items, GOLDEN_ITEMS, shares, scratch);
    check_close("shares", shares, golden_shares, COUNT(golden_shares));
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++) {
        rec_nextitem_family.similar(model, i, 0, GOLDEN_ITEMS, scores);
        check_close("follows", scores, golden_follows + i * GOLDEN_ITEMS, GOLDEN_ITEMS);
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
        check_trained(model);
        check_answers(model);
        rec_model_destroy(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
