/* Goal: what ncf and neural-mf do where data or parameters are odd: each refusal says what is wrong
 * and leaves nothing, and what can be learned is. */
#include <math.h>
#include <string.h>

#include "families/pairs.h"
#include "families/worlds.h"
#include "recsysd/linalg.h"
#include "test.h"

enum { USERS = 60, ITEMS = 83 };

static const struct rec_family *const both[] = {&rec_ncf_family, &rec_neuralmf_family};

/* NULL where it is refused. */
static struct rec_model *fit(const struct rec_family *family, const struct rec_dataset *data,
                             const char *settings, struct rec_error *err) {
    struct rec_params params = world_params(family);
    struct rec_model *model = NULL;
    *err = (struct rec_error){.status = REC_OK};
    if (rec_params_read(&params, settings, err) == REC_OK) {
        const struct rec_fit options = {.data = data, .params = &params, .seed = 1};
        (void)rec_model_fit(family, &options, &model, err);
    }
    return model;
}

/* Goal: a loss that explodes ends the training with the epoch and the loss. */
static void test_explodes(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 1);
    struct rec_error err;
    (void)state;
    for (size_t f = 0; f < COUNT(both); f++) {
        size_t live = rec_alloc_live();
        assert_null(fit(both[f], data, "learning_rate=1000 epochs=20 early_stop=0", &err));
        CHECK_ROW(err.status == REC_BAD_INPUT, both[f]->name);
        CHECK_ROW(strstr(err.text, "the loss in epoch") != NULL, err.text);
        CHECK_ROW(strstr(err.text, "learning_rate") != NULL, err.text);
        CHECK_ROW(rec_alloc_live() == live, both[f]->name);
    }
    rec_dataset_destroy(&data);
}

/* Goal: a file that claims more items than its tensors have is refused for that, before any memory
 * is asked for. */
static void test_claims(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 1);
    struct rec_error err;
    (void)state;
    for (size_t f = 0; f < COUNT(both); f++) {
        struct rec_model *model = fit(both[f], data, "epochs=1", &err);
        assert_non_null(model);
        struct rec_model claims = *model;
        claims.items = REC_ITEMS_MAX;
        err = (struct rec_error){.status = REC_OK};
        rec_alloc_fail_at(0);
        CHECK_ROW(both[f]->open(&claims, &err) == REC_CORRUPT, both[f]->name);
        rec_alloc_fail_at(-1);
        CHECK_ROW(strstr(err.text, "item_embeddings") != NULL, err.text);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: whatever the settings, a model comes out whose scores are numbers. */
static void test_settings(void **state) {
    static const char *const rows[] = {
        "batch=65536",        "batch=1 epochs=1",      "negatives=100 epochs=2",  "dropout=0.95",
        "regularization=1",   "early_stop=0 epochs=1", "early_stop=1 epochs=500", "factors=1",
        "hidden2=3 factors=5"};
    struct rec_dataset *data = world_random(USERS, ITEMS, 1);
    struct rec_error err;
    float scores[ITEMS];
    (void)state;
    for (size_t f = 0; f < COUNT(both); f++)
        for (size_t r = 0; r < COUNT(rows); r++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, 7, events);
            struct rec_model *model = fit(both[f], data, rows[r], &err);
            if (model == NULL)
                fail_msg("%s, %s: %s", both[f]->name, rows[r], err.text);
            CHECK_ROW(world_score(model, &history, scores), rows[r]);
            rec_model_destroy(&model);
        }
    rec_dataset_destroy(&data);
}

/* Goal: a user who has everything has no negatives, and does not matter. */
static void test_has_everything(void **state) {
    enum { ROWS = USERS * 9 + ITEMS };
    struct rec_dataset_row rows[ROWS];
    struct rec_dataset *without = NULL, *with = NULL;
    struct rec_error err;
    size_t count = 0;
    (void)state;
    for (uint32_t u = 0; u < USERS; u++)
        for (uint32_t e = 0; e < 9; e++, count++)
            rows[count] = (struct rec_dataset_row){u, (u * 7 + e * e) % ITEMS, e, 1.0f};
    assert_int_equal(rec_dataset_from_rows(rows, count, USERS + 1, ITEMS, &without, NULL), REC_OK);
    for (uint32_t i = 0; i < ITEMS; i++, count++)
        rows[count] = (struct rec_dataset_row){USERS, i, i, 1.0f};
    assert_int_equal(rec_dataset_from_rows(rows, count, USERS + 1, ITEMS, &with, NULL), REC_OK);
    for (size_t f = 0; f < COUNT(both); f++) {
        struct rec_model *a = fit(both[f], without, "early_stop=0 epochs=3", &err);
        struct rec_model *b = fit(both[f], with, "early_stop=0 epochs=3", &err);
        CHECK_ROW(a != NULL && b != NULL && world_same(a, b), both[f]->name);
        rec_model_destroy(&a);
        rec_model_destroy(&b);
    }
    rec_dataset_destroy(&with);
    rec_dataset_destroy(&without);
}

/* Goal: weights beyond 1 say what 1 says; an item's events count as one of their weights together.
 */
static void test_histories(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 1);
    struct rec_error err;
    (void)state;
    for (size_t f = 0; f < COUNT(both); f++) {
        struct rec_model *model = fit(both[f], data, "epochs=3 early_stop=0", &err);
        float whole[ITEMS], part[ITEMS];
        assert_non_null(model);
        const struct rec_event heavy[] = {{3, 7.0f, 1}, {9, 0.5f, 2}},
                               split[] = {
                                   {3, 0.75f, 1}, {3, 0.75f, 1}, {9, 0.25f, 2}, {9, 0.25f, 3}};
        const struct rec_history a = {heavy, COUNT(heavy), UINT32_MAX},
                                 b = {split, COUNT(split), UINT32_MAX};
        CHECK_ROW(world_score(model, &a, whole) && world_score(model, &b, part), both[f]->name);
        CHECK_ROW(memcmp(whole, part, sizeof(part)) == 0, both[f]->name);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* ---- histories longer than what a fold-in reads ------------------------------------------ */

enum { MANY = 1400, READ = 128, LONG = 4 * READ };

/* Items that no query stands against: what is passed over of a history then leaves no trace, and
 * the history without it has the same query. */
static size_t find_outside(const struct rec_model *model, uint32_t *outside) {
    const struct rec_pairs *self = model->self;
    bool inside[MANY] = {false};
    size_t count = 0;
    for (size_t n = 0; n < REC_PAIRS_NEGATIVES; n++)
        if (self->negative[n] != UINT32_MAX)
            inside[self->negative[n]] = true;
    for (uint32_t i = 0; i < MANY; i++)
        if (!inside[i])
            outside[count++] = i;
    return count;
}

/* Two histories, as places among the items above, that should have the same query. */
struct orders {
    const char *name;
    size_t whole_count, part_count;
    int whole[LONG], part[LONG];
};

static void add(int *order, size_t *count, int from, int to) {
    for (int i = from; i <= to; i++)
        order[(*count)++] = i;
}

static void add_whole(struct orders *orders, int from, int to) {
    add(orders->whole, &orders->whole_count, from, to);
}

static void add_part(struct orders *orders, int from, int to) {
    add(orders->part, &orders->part_count, from, to);
}

static void make_orders(struct orders rows[4]) {
    rows[0].name = "no repeats";
    add_whole(&rows[0], 0, 249);
    add_part(&rows[0], 250 - READ, 249);

    rows[1].name = "a repeat before the end";
    add_whole(&rows[1], 0, READ - 1);
    add_whole(&rows[1], 0, 0);
    add_whole(&rows[1], READ, READ);
    add_part(&rows[1], 2, READ - 1);
    add_part(&rows[1], 0, 0);
    add_part(&rows[1], 0, 0);
    add_part(&rows[1], READ, READ);

    rows[2].name = "round and round";
    add_whole(&rows[2], 0, 200);
    add_whole(&rows[2], 0, 200);
    add_part(&rows[2], 201 - READ, 200);

    rows[3].name = "the newest twice";
    add_whole(&rows[3], 0, 149);
    add_whole(&rows[3], 149, 149);
    add_whole(&rows[3], 100, 149);
    add_part(&rows[3], 150 - READ, 149);
    add_part(&rows[3], 149, 149);
    add_part(&rows[3], 100, 149);
}

static void ask(const struct rec_model *model, const uint32_t *outside, const int *order,
                size_t count, float *query, float *scratch) {
    struct rec_event events[LONG];
    const struct rec_history history = {events, count, UINT32_MAX};
    for (size_t e = 0; e < count; e++)
        events[e] = (struct rec_event){outside[order[e]], 0.2f, (uint32_t)e};
    assert_true(rec_pairs_query(model, &history, query, scratch));
}

/* Goal: a long history is answered by the READ items that were last done, bit for bit, wherever
 * they stood before; and by all of them. */
static void test_long_histories(void **state) {
    static struct orders rows[4];
    struct rec_dataset *data = world_random(USERS, MANY, 1);
    struct rec_error err;
    uint32_t outside[MANY];
    (void)state;
    make_orders(rows);
    for (size_t f = 0; f < COUNT(both); f++) {
        struct rec_model *model = fit(both[f], data, "epochs=1 early_stop=0", &err);
        assert_non_null(model);
        assert_true(find_outside(model, outside) > 250);
        size_t row = ((const struct rec_pairs *)model->self)->spec.row;
        float *whole = world_alloc(row, sizeof(float)), *part = world_alloc(row, sizeof(float));
        float *scratch = world_alloc(model->scratch_floats, sizeof(float));
        for (size_t r = 0; r < COUNT(rows); r++) {
            struct orders *at = &rows[r];
            ask(model, outside, at->whole, at->whole_count, whole, scratch);
            ask(model, outside, at->part, at->part_count, part, scratch);
            CHECK_ROW(memcmp(whole, part, row * sizeof(*part)) == 0, at->name);
            ask(model, outside, at->part + 1, at->part_count - 1, part, scratch);
            CHECK_ROW(memcmp(whole, part, row * sizeof(*part)) != 0, at->name);
        }
        rec_alloc_free(whole);
        rec_alloc_free(part);
        rec_alloc_free(scratch);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

static int start(void **state) {
    (void)state;
    return rec_dense_init(NULL) == REC_OK && rec_kernels_init(NULL) == REC_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explodes),  cmocka_unit_test(test_claims),
        cmocka_unit_test(test_settings),  cmocka_unit_test(test_has_everything),
        cmocka_unit_test(test_histories), cmocka_unit_test(test_long_histories),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
