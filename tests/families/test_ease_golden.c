/* Goal: scores, shares and likeness of the ease family are what an independent computation in
 * double precision finds (tools/golden_ease.py): weighted and binary, with recency, dense and with
 * the largest weights only, for every variant of the kernels.
 *
 * How: the inverse in float is off by at most about n u cond(A) |P|, times the root of the
 * condition number where blocks are inverted (spd.c); the tolerance is that, of the largest number.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_ease.h"
#include "test.h"

static void check_close(const struct golden *want, const char *what, const float *got,
                        const double *values, size_t n) {
    double largest = 0.0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(values[i]));
    double allowed = GOLDEN_ITEMS * FLT_EPSILON * pow(want->condition, 1.5) * largest;
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - values[i]) <= allowed))
            fail_msg("%s, %s: %s[%zu] is %.9g, expected %.9g within %g", rec_kernels_name(),
                     want->name, what, i, (double)got[i], values[i], allowed);
}

static struct rec_model *fit(const struct golden *want) {
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    struct rec_error err = {0};
    rec_params_defaults(rec_ease_family.params, rec_ease_family.param_count, &params);
    assert_int_equal(rec_params_read(&params, want->parameters, NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 1};
    if (rec_model_fit(&rec_ease_family, &options, &model, &err) != REC_OK)
        fail_msg("%s: %s", want->name, err.text);
    rec_dataset_destroy(&data);
    return model;
}

static void check_answers(const struct golden *want, const struct rec_model *model) {
    const struct rec_history history = {golden_history, GOLDEN_EVENTS, UINT32_MAX};
    float query[GOLDEN_ITEMS], scores[GOLDEN_ITEMS], shares[GOLDEN_ITEMS * GOLDEN_EVENTS];
    float scratch[GOLDEN_ITEMS];
    uint32_t items[GOLDEN_ITEMS];
    assert_int_equal(model->query_floats, GOLDEN_ITEMS);
    assert_int_equal(model->scratch_floats, GOLDEN_ITEMS);

    assert_true(rec_ease_family.query(model, &history, query, scratch));
    rec_ease_family.score(model, query, 1, 0, GOLDEN_ITEMS, scores);
    check_close(want, "scores", scores, want->scores, GOLDEN_ITEMS);
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++)
        items[i] = i;
    rec_ease_family.explain(model, &history, items, GOLDEN_ITEMS, shares, scratch);
    check_close(want, "shares", shares, want->shares, GOLDEN_ITEMS * GOLDEN_EVENTS);
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++) {
        rec_ease_family.similar(model, i, 0, GOLDEN_ITEMS, scores);
        scores[i] = (float)want->likeness[i * GOLDEN_ITEMS + i]; /* its own says nothing */
        check_close(want, "likeness", scores, want->likeness + i * GOLDEN_ITEMS, GOLDEN_ITEMS);
    }
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
        for (size_t g = 0; g < COUNT(golden); g++) {
            struct rec_model *model = fit(&golden[g]);
            check_answers(&golden[g], model);
            rec_model_destroy(&model);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    if (rec_dense_init(NULL) != REC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
