/* Goal: popularity that fades, random, personal-popularity and blend compute what an independent
 * computation in double precision finds (tools/golden_counts.py).
 *
 * How: each number is a sum of at most as many terms as there are rows, a few products and a
 * function of libm, so the tolerance is that many roundings of a float. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "test.h"
#include "families/worlds.h"
#include "golden_counts.h"

enum { EVENTS = COUNT(golden_history) };

static const double tolerance = 64 * FLT_EPSILON;

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * (fabs(want[i]) + 1e-3)))
            fail_msg("%s[%zu] is %.9g, expected %.9g", what, i, (double)got[i], want[i]);
}

static struct rec_model *fit(const struct rec_family *family, const char *settings) {
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    struct rec_error err = {.status = REC_OK};
    rec_params_defaults(family->params, family->param_count, &params);
    assert_int_equal(rec_params_read(&params, settings, &err), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, &err),
                     REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = GOLDEN_SEED};
    if (rec_model_fit(family, &options, &model, &err) != REC_OK)
        fail_msg("%s: %s", family->name, err.text);
    rec_dataset_destroy(&data);
    return model;
}

static const struct {
    const char *name;
    const struct rec_family *family;
    const char *settings;
    const double *scores; /* [GOLDEN_ITEMS] */
    const double *shares; /* [GOLDEN_ITEMS x EVENTS] or NULL */
} cases[] = {
    {"popularity", &rec_popularity_family, "", golden_popularity, NULL},
    {"popularity that fades", &rec_popularity_family, GOLDEN_HALF_LIFE, golden_decayed, NULL},
    {"random", &rec_random_family, "", golden_uniform, NULL},
    {"random by popularity", &rec_random_family, "by=popularity", golden_by_popularity, NULL},
    {"personal-popularity", &rec_personal_popularity_family, GOLDEN_RECENCY, golden_personal,
     golden_personal_shares},
    {"blend", &rec_blend_family, GOLDEN_BLEND, golden_blend, NULL},
    {"blend, a product", &rec_blend_family, GOLDEN_PRODUCT, golden_product, golden_product_shares},
};

static void test_golden(void **state) {
    const struct rec_history history = {golden_history, EVENTS, GOLDEN_LOT_USER};
    uint32_t items[GOLDEN_ITEMS];
    (void)state;
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++)
        items[i] = i;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_model *model = fit(cases[i].family, cases[i].settings);
        float scores[GOLDEN_ITEMS], shares[GOLDEN_ITEMS * EVENTS];
        CHECK_ROW(world_score(model, &history, scores), cases[i].name);
        check_close(cases[i].name, scores, cases[i].scores, GOLDEN_ITEMS);
        if (cases[i].shares != NULL) {
            float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
            model->family->explain(model, &history, items, GOLDEN_ITEMS, shares, scratch);
            check_close(cases[i].name, shares, cases[i].shares, COUNT(shares));
            rec_alloc_free(scratch);
        }
        rec_model_destroy(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return rec_kernels_init(NULL) == REC_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
