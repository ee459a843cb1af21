/* Goal: training, fold-in, scores, shares and likeness of the als family are what an independent
 * computation in double precision finds (tools/golden_als.py), for every variant of the kernels.
 *
 * How: a solve in float by Cholesky is off by at most cond(A) g(4n) |x| to first order (Higham,
 * theorem 10.4), and each half step of the training starts from the one before. The tolerance
 * multiplies that out with the worst condition number the double computation met. A block's system
 * is part of the whole one, so no worse. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_als.h"
#include "test.h"

static const struct golden_case *golden; /* the one that is checked */

static double tolerance(void) {
    double ku = 4.0 * GOLDEN_FACTORS * FLT_EPSILON / 2;
    return 2.0 * GOLDEN_ITERATIONS * golden->condition * ku / (1 - ku);
}

static double largest(const double *x, size_t n) {
    double max = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, fabs(x[i]));
    return max;
}

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    double allowed = tolerance() * largest(want, n);
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= allowed))
            fail_msg("%s, %s: %s[%zu] is %.9g, expected %.9g within %g", rec_kernels_name(),
                     golden->name, what, i, (double)got[i], want[i], allowed);
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
    rec_params_defaults(rec_als_family.params, rec_als_family.param_count, &params);
    for (size_t i = 0; i < COUNT(golden->settings) && golden->settings[i] != NULL; i++)
        assert_int_equal(rec_params_set(&params, golden->settings[i], NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {
        .data = data, .params = &params, .seed = GOLDEN_SEED, .progress = &progress};
    assert_int_equal(rec_model_fit(&rec_als_family, &options, &model, NULL), REC_OK);
    rec_dataset_destroy(&data);
    return model;
}

static const float *tensor(const struct rec_model *model, const char *name) {
    const struct rec_tensor *found = NULL;
    assert_int_equal(rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, 0, 0, &found, NULL),
                     REC_OK);
    return found->data;
}

static void check_trained(const struct rec_model *model) {
    const float *gramian = tensor(model, "gramian");
    check_close("item_factors", tensor(model, "item_factors"), golden->item_factors,
                COUNT(golden->item_factors));
    for (size_t i = 0; i < GOLDEN_FACTORS; i++) /* the lower triangle is stored */
        check_close("gramian row", gramian + i * GOLDEN_FACTORS,
                    golden->gramian + i * GOLDEN_FACTORS, i + 1);
    assert_true(fabs(last_loss - golden->loss) <= tolerance() * golden->loss);
}

static void check_answers(const struct rec_model *model) {
    enum { EVENTS = GOLDEN_EVENTS };
    const struct rec_history history = {golden_history, EVENTS, UINT32_MAX};
    float query[GOLDEN_FACTORS], scores[GOLDEN_ITEMS], shares[GOLDEN_ITEMS * EVENTS];
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(float));
    uint32_t items[GOLDEN_ITEMS];
    assert_non_null(scratch);
    assert_int_equal(model->query_floats, GOLDEN_FACTORS);

    assert_true(rec_als_family.query(model, &history, query, scratch));
    check_close("query", query, golden->query, COUNT(golden->query));
    rec_als_family.score(model, query, 1, 0, GOLDEN_ITEMS, scores);
    check_close("scores", scores, golden->scores, COUNT(golden->scores));

    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++)
        items[i] = i;
    rec_als_family.explain(model, &history, items, GOLDEN_ITEMS, shares, scratch);
    check_close("shares", shares, golden->shares, COUNT(golden->shares));
    double allowed = tolerance() * largest(golden->scores, COUNT(golden->scores));
    for (size_t i = 0; i < GOLDEN_ITEMS; i++) {
        double sum = 0;
        for (size_t e = 0; e < EVENTS; e++)
            sum += (double)shares[i * EVENTS + e];
        assert_true(fabs(sum - (double)scores[i]) <= allowed);
    }
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++) {
        rec_als_family.similar(model, i, 0, GOLDEN_ITEMS, scores);
        check_close("cosine", scores, golden->cosine + i * GOLDEN_ITEMS, GOLDEN_ITEMS);
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
        for (size_t c = 0; c < COUNT(golden_cases); c++) {
            golden = &golden_cases[c];
            struct rec_model *model = fit();
            check_trained(model);
            check_answers(model);
            rec_model_destroy(&model);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
