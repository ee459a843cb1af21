/* Goal: what item-knn and user-knn promise beyond the contract of all families and the golden
 * numbers: rows that repeat add up, a row has no more neighbours than it may, ties go to the lower
 * number, any weight a dataset may hold is refused or answered finitely, and a cap on memory below
 * what a fit takes refuses it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "families/worlds.h"
#include "test.h"

static const struct rec_family *const families[] = {&rec_item_knn_family, &rec_user_knn_family};

static enum rec_status fit(const struct rec_family *family, const struct rec_dataset *data,
                           const char *settings, size_t memory, struct rec_model **out,
                           struct rec_error *err) {
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    assert_int_equal(rec_params_read(&params, settings, err), REC_OK);
    struct rec_fit options = {
        .data = data, .params = &params, .seed = 3, .memory_bytes_max = memory};
    return rec_model_fit(family, &options, out, err);
}

static struct rec_dataset *made(const struct rec_dataset_row *rows, size_t count, uint32_t users,
                                uint32_t items) {
    struct rec_dataset *data = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, count, users, items, &data, NULL), REC_OK);
    return data;
}

/* Goal: two events of a pair are one event of both weights; users without any change nothing. */
static void test_rows_add_up(void **state) {
    static const struct rec_dataset_row twice[] = {{0, 0, 1, 1.0f}, {0, 0, 2, 1.0f},
                                                   {0, 1, 3, 1.0f}, {3, 0, 1, 1.0f},
                                                   {3, 1, 2, 1.0f}, {3, 1, 3, 1.0f},
                                                   {4, 2, 1, 1.0f}, {4, 1, 2, 1.0f}},
                                        once[] = {{0, 0, 1, 2.0f}, {0, 1, 3, 1.0f},
                                                  {1, 0, 1, 1.0f}, {1, 1, 2, 2.0f},
                                                  {2, 2, 1, 1.0f}, {2, 1, 2, 1.0f}};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        struct rec_dataset *a = made(twice, COUNT(twice), 6, 3);
        struct rec_dataset *b = made(once, COUNT(once), 3, 3);
        struct rec_model *x = NULL, *y = NULL;
        assert_int_equal(fit(families[f], a, "", 0, &x, NULL), REC_OK);
        assert_int_equal(fit(families[f], b, "", 0, &y, NULL), REC_OK);
        CHECK_ROW(world_same(x, y), families[f]->name);
        rec_model_destroy(&x);
        rec_model_destroy(&y);
        rec_dataset_destroy(&a);
        rec_dataset_destroy(&b);
    }
}

/* Goal: each row of item-knn has the neighbours asked for, or all there are, and never itself. */
static void test_neighbors(void **state) {
    static const struct {
        const char *settings;
        uint64_t most;
    } rows[] = {{"neighbors=1", 1}, {"neighbors=7", 7}, {"neighbors=20000", 119}};
    struct rec_dataset *data = world_random(300, 120, 4);
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct rec_model *model = NULL;
        uint64_t most = 0;
        assert_int_equal(fit(&rec_item_knn_family, data, rows[r].settings, 0, &model, NULL),
                         REC_OK);
        const uint64_t *offset = model->tensors.tensor[0].data;
        const uint32_t *item = model->tensors.tensor[1].data;
        for (uint32_t i = 0; i < 120; i++) {
            uint64_t count = offset[i + 1] - offset[i];
            most = count > most ? count : most;
            for (uint64_t k = offset[i]; k < offset[i + 1]; k++)
                CHECK_ROW(item[k] != i, rows[r].settings);
        }
        CHECK_ROW(rows[r].most < 119 ? most == rows[r].most : most > 7 && most <= 119,
                  rows[r].settings);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: in a catalogue too large for a row to fill, a row has all items that some user has together
 * with its own, and no others. */
static void test_pairs(void **state) {
    enum { USERS = 40, ITEMS = 2000 };
    static bool has[USERS][ITEMS];
    struct rec_dataset *data = world_random(USERS, ITEMS, 12);
    struct rec_model *model = NULL;
    (void)state;
    for (uint32_t user = 0; user < USERS; user++)
        for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++)
            has[user][data->item[e]] |= data->weight[e] > 0.0f;
    assert_int_equal(fit(&rec_item_knn_family, data, "neighbors=20000", 0, &model, NULL), REC_OK);
    const uint64_t *offset = model->tensors.tensor[0].data;
    const uint32_t *item = model->tensors.tensor[1].data;
    for (uint32_t i = 0; i < ITEMS; i++) {
        uint64_t k = offset[i];
        for (uint32_t j = 0; j < ITEMS; j++) {
            bool together = false;
            for (uint32_t user = 0; i != j && user < USERS; user++)
                together |= has[user][i] && has[user][j];
            bool stored = k < offset[i + 1] && item[k] == j;
            if (stored != together)
                fail_msg("items %u and %u: stored %d, together %d", i, j, stored, together);
            k += stored;
        }
    }
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

/* Goal: where all are alike, the lower items and the lower users are the neighbours. */
static void test_ties(void **state) {
    struct rec_dataset *data = world_full(6, 9);
    struct rec_model *model = NULL;
    (void)state;
    assert_int_equal(fit(&rec_item_knn_family, data, "neighbors=3 weighting=none", 0, &model, NULL),
                     REC_OK);
    const uint32_t *item = model->tensors.tensor[1].data;
    static const uint32_t want[][3] = {{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}, {0, 1, 2}};
    for (size_t i = 0; i < COUNT(want); i++)
        assert_memory_equal(item + 3 * i, want[i], sizeof(want[i]));
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);

    /* Users 0 and 1 have the same likeness to the history; only the first is asked. */
    static const struct rec_dataset_row rows[] = {
        {0, 0, 1, 1.0f}, {0, 1, 2, 1.0f}, {1, 0, 1, 1.0f}, {1, 2, 2, 1.0f}};
    const struct rec_event event = {0, 1.0f, 1};
    const struct rec_history history = {&event, 1, 1};
    float scores[3];
    data = made(rows, COUNT(rows), 2, 3);
    assert_int_equal(fit(&rec_user_knn_family, data, "neighbors=1 weighting=none", 0, &model, NULL),
                     REC_OK);
    assert_true(world_score(model, &history, scores));
    assert_true(scores[1] > 0.0f && scores[2] == 0.0f);
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

/* Goal: weights a float's squares cannot hold are answered finitely; those beyond the limit are
 * named, and so is memory beyond the cap. */
static void test_limits(void **state) {
    static const struct {
        const char *name, *settings;
        float weight;
        size_t cap;
        enum rec_status status;
        const char *text;
    } rows[] = {
        {"usual", "", 1.0f, 0, REC_OK, ""},
        {"largest", "", 1e12f, 0, REC_OK, ""},
        {"largest, products", "weighting=none k1=10000", 1e12f, 0, REC_OK, ""},
        {"smallest", "", 1e-45f, 0, REC_OK, ""},
        {"smallest, unweighted", "weighting=none", 1e-30f, 0, REC_OK, ""},
        {"beyond", "", 1.1e12f, 0, REC_BAD_INPUT, "lower the weights"},
        {"cap", "", 1.0f, 100, REC_LIMIT, "the cap is 0 MB"},
        {"enough", "", 1.0f, 1 << 16, REC_OK, ""},
    };
    static const char *const exponents[] = {"from_exponent=1 to_exponent=1", "exponent=1"},
                             *const zeros[] = {"from_exponent=0 to_exponent=0", "exponent=0"};
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t f = 0; f < 2 * COUNT(families); f++) {
            struct rec_dataset_row events[6];
            struct rec_event event = {1, rows[r].weight, 1};
            const struct rec_history history = {&event, 1, UINT32_MAX};
            struct rec_model *model = NULL;
            struct rec_error err = {.status = REC_OK};
            char settings[100];
            float scores[3];
            for (uint32_t e = 0; e < COUNT(events); e++)
                events[e] = (struct rec_dataset_row){e / 2, (e / 2 + e % 2) % 3, e,
                                                     e == 1 ? rows[r].weight : 1.0f};
            struct rec_dataset *data = made(events, COUNT(events), 3, 3);
            (void)snprintf(settings, sizeof(settings), "%s %s", rows[r].settings,
                           f % 2 == 0 ? exponents[f / 2] : zeros[f / 2]);
            enum rec_status st = fit(families[f / 2], data, settings, rows[r].cap, &model, &err);
            CHECK_ROW(st == rows[r].status && strstr(err.text, rows[r].text) != NULL, rows[r].name);
            if (st == REC_OK)
                CHECK_ROW(world_score(model, &history, scores), rows[r].name);
            rec_model_destroy(&model);
            rec_dataset_destroy(&data);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_add_up), cmocka_unit_test(test_neighbors),
        cmocka_unit_test(test_pairs),       cmocka_unit_test(test_ties),
        cmocka_unit_test(test_limits),
    };
    return rec_kernels_init(NULL) == REC_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
