/* Goal: what only ease can get wrong beside its numbers: the estimate of its memory, weights it
 * cannot take, regularizations float cannot invert, items nothing is known of, and how many weights
 * a density keeps. */
#include <float.h>
#include <string.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "families/worlds.h"
#include "test.h"

static enum rec_status fit(const struct rec_dataset *data, const char *parameters, size_t cap,
                           struct rec_model **out, struct rec_error *err) {
    struct rec_params params;
    rec_params_defaults(rec_ease_family.params, rec_ease_family.param_count, &params);
    assert_int_equal(rec_params_read(&params, parameters, NULL), REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 1, .memory_bytes_max = cap};
    return rec_model_fit(&rec_ease_family, &options, out, err);
}

static void test_bad_input(void **state) {
    (void)state;
    static const struct {
        const char *name;
        float weight;
        const char *parameters;
        size_t cap;
        enum rec_status status;
        const char *text;
    } rows[] = {
        {"usual", 1.0f, "", 0, REC_OK, ""},
        {"cap", 1.0f, "", 1 << 20, REC_LIMIT, "the cap is 1 MB"},
        {"cap, sparse", 1.0f, "density=0.1", 1 << 20, REC_LIMIT, "the cap is 1 MB"},
        {"enough", 1.0f, "", 4 << 20, REC_OK, ""},
        {"weight too large", 1e7f, "", 0, REC_BAD_INPUT, "input=binary"},
        {"weight infinite when squared", 1e30f, "", 0, REC_BAD_INPUT, "input=binary"},
        {"any weight, binary", 1e30f, "input=binary", 0, REC_OK, ""},
        {"regularization lost in float", 100.0f, "regularization=0.001", 0, REC_BAD_INPUT,
         "raise the regularization"},
    };
    enum { ITEMS = 600 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_dataset_row events[2 * 3];
        struct rec_dataset *data = NULL;
        struct rec_model *model = NULL;
        struct rec_error err = {0};
        for (uint32_t e = 0; e < COUNT(events); e++) /* two items that always go together */
            events[e] = (struct rec_dataset_row){e / 2, e % 2, e, rows[i].weight};
        assert_int_equal(rec_dataset_from_rows(events, COUNT(events), 3, ITEMS, &data, NULL),
                         REC_OK);
        enum rec_status st = fit(data, rows[i].parameters, rows[i].cap, &model, &err);
        CHECK_ROW(st == rows[i].status, rows[i].name);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].name);
        rec_model_destroy(&model);
        rec_dataset_destroy(&data);
    }
}

/* Goal: an item nobody touched says nothing, in a history as well as in likeness. */
static void test_unknown_items(void **state) {
    (void)state;
    static const char *const parameters[] = {"", "density=0.5", "input=binary"};
    static const struct rec_dataset_row events[] = {
        {0, 0, 1, 1.0f}, {0, 1, 2, 1.0f}, {1, 1, 3, 1.0f}, {1, 2, 4, 1.0f}, {2, 3, 5, 1.0f}};
    struct rec_dataset *data = NULL;
    assert_int_equal(rec_dataset_from_rows(events, COUNT(events), 3, 5, &data, NULL), REC_OK);
    for (size_t p = 0; p < COUNT(parameters); p++) {
        struct rec_model *model = NULL;
        float scores[5];
        assert_int_equal(fit(data, parameters[p], 0, &model, NULL), REC_OK);
        for (uint32_t item = 0; item < 5; item++) { /* 3 is alone, 4 is in no history */
            const struct rec_event event = {.item = item, .weight = 1.0f, .time = 1};
            const struct rec_history history = {&event, 1, UINT32_MAX};
            CHECK_ROW(world_score(model, &history, scores) == (item < 3), parameters[p]);
            rec_ease_family.similar(model, 4, item, 1, scores);
            CHECK_ROW(scores[0] == 0.0f, parameters[p]);
        }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: as many weights as the density says, in pairs, however many are alike. */
static void test_density(void **state) {
    (void)state;
    static const struct {
        const char *name, *parameters;
        bool alike;
        uint64_t entries;
    } rows[] = {
        {"none", "density=0.0001", false, 0},        {"one pair", "density=0.006", false, 2},
        {"a tenth", "density=0.1", false, 40},       {"a tenth of alike", "density=0.1", true, 40},
        {"half of alike", "density=0.5", true, 200}, {"all", "density=0.99", true, 380},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_dataset *data = rows[i].alike ? world_full(6, 20) : world_random(60, 20, 3);
        const struct rec_tensor *value = NULL;
        struct rec_model *model = NULL;
        assert_int_equal(fit(data, rows[i].parameters, 0, &model, NULL), REC_OK);
        assert_int_equal(
            rec_tensors_get(&model->tensors, "value", REC_TENSOR_F32, 1, 0, &value, NULL), REC_OK);
        CHECK_ROW(value->cols == rows[i].entries, rows[i].name);
        rec_model_destroy(&model);
        rec_dataset_destroy(&data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_unknown_items),
        cmocka_unit_test(test_density),
    };
    if (rec_dense_init(NULL) != REC_OK || rec_kernels_init(NULL) != REC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
