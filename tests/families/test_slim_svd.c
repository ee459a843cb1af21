/* Goal: what slim and svd promise beyond the contract of all families (test_conformance.c) and the
 * golden numbers: parameters do what their help says, rows that repeat add up, and numbers or sizes
 * they cannot work with are refused with a text that says which. */
#include <string.h>

#include "test.h"
#include "families/worlds.h"

static const struct rec_dataset_row twice[] = {{0, 0, 1, 1.0f}, {0, 0, 2, 1.0f}, {0, 1, 3, 1.0f},
                                               {1, 0, 1, 1.0f}, {1, 1, 2, 1.0f}, {1, 1, 3, 1.0f},
                                               {2, 2, 1, 1.0f}, {2, 1, 2, 1.0f}},
                                    once[] = {{0, 0, 1, 2.0f}, {0, 1, 3, 1.0f}, {1, 0, 1, 1.0f},
                                              {1, 1, 2, 2.0f}, {2, 2, 1, 1.0f}, {2, 1, 2, 1.0f}},
                                    heavy[] = {{0, 0, 1, 1e20f}, {1, 1, 2, 1.0f}, {1, 2, 3, 1.0f}};

static struct rec_model *fit(const struct rec_family *family, const struct rec_dataset *data,
                             const char *settings, size_t memory, enum rec_status want,
                             struct rec_error *err) {
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    assert_int_equal(rec_params_read(&params, settings, err), REC_OK);
    struct rec_fit options = {
        .data = data, .params = &params, .seed = 3, .memory_bytes_max = memory};
    assert_int_equal(rec_model_fit(family, &options, &model, err), want);
    return model;
}

static struct rec_dataset *made(const struct rec_dataset_row *rows, size_t count) {
    struct rec_dataset *data = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, count, 3, 3, &data, NULL), REC_OK);
    return data;
}

/* Goal: two events of a pair are one event of both weights. */
static void test_rows_add_up(void **state) {
    const struct rec_family *const families[] = {&rec_slim_family, &rec_svd_family};
    (void)state;
    for (size_t i = 0; i < COUNT(families); i++) {
        struct rec_dataset *a = made(twice, COUNT(twice)), *b = made(once, COUNT(once));
        struct rec_model *x = fit(families[i], a, "", 0, REC_OK, NULL);
        struct rec_model *y = fit(families[i], b, "", 0, REC_OK, NULL);
        CHECK_ROW(world_same(x, y), families[i]->name);
        rec_model_destroy(&x);
        rec_model_destroy(&y);
        rec_dataset_destroy(&a);
        rec_dataset_destroy(&b);
    }
}

/* Goal: numbers beyond what float can carry, and memory beyond the cap, are named. */
static void test_refused(void **state) {
    const struct rec_family *const families[] = {&rec_slim_family, &rec_svd_family};
    (void)state;
    for (size_t i = 0; i < COUNT(families); i++) {
        struct rec_dataset *data = made(heavy, COUNT(heavy));
        struct rec_error err = {.status = REC_OK};
        fit(families[i], data, "", 0, REC_BAD_INPUT, &err);
        CHECK_ROW(strstr(err.text, "lower the weights") != NULL, families[i]->name);
        err.status = REC_OK;
        fit(families[i], data, "", 100, REC_LIMIT, &err);
        CHECK_ROW(strstr(err.text, "MB") != NULL, families[i]->name);
        rec_dataset_destroy(&data);
    }
}

static size_t most_of_one_item(const struct rec_model *model, bool *negative) {
    const struct rec_tensor *item = &model->tensors.tensor[1], *weight = &model->tensors.tensor[2];
    size_t count[120] = {0}, most = 0;
    *negative = false;
    for (uint64_t k = 0; k < item->cols; k++) {
        size_t *at = &count[((const uint32_t *)item->data)[k]];
        most = ++*at > most ? *at : most;
        *negative = *negative || ((const float *)weight->data)[k] < 0.0f;
    }
    return most;
}

/* Goal: slim's coefficients are as many, and of the sign, that the parameters allow. */
static void test_slim_parameters(void **state) {
    static const struct {
        const char *settings;
        size_t most_min, most_max;
        bool negative;
    } rows[] = {
        {"neighbors=1", 1, 1, false},      {"neighbors=7", 2, 7, true},
        {"neighbors=20000", 8, 119, true}, {"non_negative=true", 2, 119, false},
        {"alpha=1000", 0, 0, false},
    };
    struct rec_dataset *data = world_random(200, 120, 4);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_model *model = fit(&rec_slim_family, data, rows[i].settings, 0, REC_OK, NULL);
        bool negative;
        size_t most = most_of_one_item(model, &negative);
        CHECK_ROW(most >= rows[i].most_min && most <= rows[i].most_max, rows[i].settings);
        CHECK_ROW(!negative || rows[i].negative, rows[i].settings);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: more factors than the data has rank are zeros, and answers stay finite. */
static void test_svd_beyond_rank(void **state) {
    struct rec_dataset *data = made(once, COUNT(once));
    struct rec_model *model = fit(&rec_svd_family, data, "factors=50", 0, REC_OK, NULL);
    const float *values = model->tensors.tensor[1].data;
    const struct rec_event event = {0, 1.0f, 1};
    const struct rec_history history = {&event, 1, UINT32_MAX};
    float scores[3];
    (void)state;
    assert_true(values[0] > values[1] && values[1] > values[2] && values[2] > 0.0f);
    for (size_t i = 3; i < 50; i++)
        assert_true(values[i] == 0.0f);
    /* Full rank: the projection is the history itself. */
    assert_true(world_score(model, &history, scores));
    assert_float_equal(scores[0], 1.0f, 1e-5f);
    assert_float_equal(scores[1], 0.0f, 1e-5f);
    assert_float_equal(scores[2], 0.0f, 1e-5f);
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_add_up),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_slim_parameters),
        cmocka_unit_test(test_svd_beyond_rank),
    };
    return cmocka_run_group_tests(tests, world_start, NULL);
}
