/* Goal: what families that learn step by step do with what they cannot learn from, or not so: a
 * batch larger than the data, users who have everything, a loss that explodes, a history of
 * nothing. How: one table of families; each goal for all that it is about. */
#include <math.h>
#include <string.h>

#include "families/worlds.h"
#include "test.h"

enum { USERS = 60, ITEMS = 83 };

static const struct rec_family *const by_steps[] = {
    &rec_dae_family, &rec_multvae_family, &rec_neuralmf_family, &rec_ncf_family, &rec_bpr_family};

/* ---- batches ---------------------------------------------------------------------------- */

/* The settings with another batch in front. */
static struct rec_model *with_batch(const struct rec_family *family, const struct rec_dataset *data,
                                    unsigned batch, size_t *bytes) {
    char settings[96];
    struct rec_params params = world_params(family);
    struct rec_model *model = NULL;
    struct rec_error err = {.status = REC_OK};
    (void)snprintf(settings, sizeof(settings), "batch=%u epochs=3 early_stop=0", batch);
    assert_int_equal(rec_params_read(&params, settings, NULL), REC_OK);
    const struct rec_fit fit = {.data = data, .params = &params, .seed = 1};
    *bytes = family->fit_bytes(&fit);
    if (world_try(family, data, settings, 1, NULL, &model, &err) != REC_OK)
        fail_msg("%s %s: %s", family->name, settings, err.text);
    return model;
}

/* Goal: of a batch that is larger than the data the largest one is made that there is: the same
 * model, in the same memory. */
static void test_large_batch(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 2);
    const struct {
        const struct rec_family *family;
        unsigned whole, more;
    } rows[] = {
        {&rec_dae_family, USERS, 8192},
        {&rec_multvae_family, USERS, 8192},
        {&rec_neuralmf_family, (unsigned)data->offset[USERS], 65536},
        {&rec_ncf_family, (unsigned)data->offset[USERS], 65536},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t whole_bytes, more_bytes, one_bytes;
        struct rec_model *whole = with_batch(rows[i].family, data, rows[i].whole, &whole_bytes);
        struct rec_model *more = with_batch(rows[i].family, data, rows[i].more, &more_bytes);
        struct rec_model *one = with_batch(rows[i].family, data, 1, &one_bytes);
        CHECK_ROW(world_same(whole, more), rows[i].family->name);
        CHECK_ROW(whole_bytes == more_bytes, rows[i].family->name);
        CHECK_ROW(!world_same(whole, one), rows[i].family->name);
        CHECK_ROW(one_bytes < whole_bytes, rows[i].family->name);
        rec_model_destroy(&one);
        rec_model_destroy(&more);
        rec_model_destroy(&whole);
    }
    rec_dataset_destroy(&data);
}

/* ---- negatives ------------------------------------------------------------------------------- */

/* Goal: where everyone has everything there is nothing to compare, and it is said: also where early
 * stopping holds items out, which are then missing without being disliked, and where weights and
 * repeated events hide it. */
static void test_no_negatives(void **state) {
    static const struct {
        const char *name, *settings;
        uint32_t users, items;
    } rows[] = {
        {"few users", "", 6, 11},
        {"many users, early stopping", "early_stop=3", 40, 11},
        {"one item", "", 9, 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t f = 2; f < COUNT(by_steps); f++) {
            struct rec_dataset *data = world_full(rows[i].users, rows[i].items);
            struct rec_model *model = NULL;
            struct rec_error err = {.status = REC_OK};
            size_t live = rec_alloc_live();
            enum rec_status st =
                world_try(by_steps[f], data, rows[i].settings, 1, NULL, &model, &err);
            CHECK_ROW(st == REC_BAD_INPUT && model == NULL, rows[i].name);
            CHECK_ROW(strstr(err.text, "nothing to tell liked ones from") != NULL, err.text);
            CHECK_ROW(rec_alloc_live() == live, rows[i].name);
            data->items++; /* one that nobody has */
            st = world_try(by_steps[f], data, rows[i].settings, 1, NULL, &model, &err);
            CHECK_ROW(st == REC_OK, rows[i].name);
            rec_model_destroy(&model);
            rec_dataset_destroy(&data);
        }
}

/* Goal: one user who has everything takes nothing from the others: in a world of two groups they
 * are still told the items of their own. */
static void test_one_has_everything(void **state) {
    enum { SIZE = 40, ROWS = SIZE * SIZE + SIZE };
    static struct rec_dataset_row rows[ROWS];
    struct rec_dataset *board = world_checkerboard(SIZE), *data = NULL;
    size_t count = 0;
    (void)state;
    for (uint32_t u = 0; u < SIZE; u++)
        for (uint64_t e = board->offset[u]; e < board->offset[u + 1]; e++)
            rows[count++] = (struct rec_dataset_row){u, board->item[e], board->time[e], 1.0f};
    for (uint32_t i = 0; i < SIZE; i++)
        rows[count++] = (struct rec_dataset_row){SIZE, i, i, 1.0f};
    assert_int_equal(rec_dataset_from_rows(rows, count, SIZE + 1, SIZE, &data, NULL), REC_OK);
    for (size_t f = 0; f < COUNT(by_steps); f++) {
        struct rec_model *model = NULL; /* with nothing held out, or it would not be everything */
        CHECK_ROW(world_try(by_steps[f], data, "early_stop=0", 1, NULL, &model, NULL) == REC_OK,
                  by_steps[f]->name);
        for (uint32_t u = 0; u < SIZE; u += 7) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, u, events);
            float scores[SIZE];
            CHECK_ROW(world_score(model, &history, scores), by_steps[f]->name);
            for (uint32_t i = (u + 1) % 2; i < SIZE; i += 2) /* item u is the one withheld */
                CHECK_ROW(scores[u] > scores[i], by_steps[f]->name);
        }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
    rec_dataset_destroy(&board);
}

/* Goal: an item that early stopping holds out is no negative. Nearly all have everything, and liked
 * the last item last: while that is held out, it would be the only one to draw for them. */
static void test_held_out_is_liked(void **state) {
    enum { SIZE = 12, ALL = 200, SOME = 10, ROWS = ALL * SIZE + SOME * SIZE / 2 };
    static struct rec_dataset_row rows[ROWS];
    struct rec_dataset *data = NULL;
    const struct rec_event events[] = {{.item = 0, .time = 1, .weight = 1.0f},
                                       {.item = 2, .time = 2, .weight = 1.0f}};
    const struct rec_history history = {.events = events, .count = 2, .user = UINT32_MAX};
    size_t count = 0;
    (void)state;
    for (uint32_t u = 0; u < ALL + SOME; u++)
        for (uint32_t i = 0; i < SIZE; i++)
            if (u < ALL || i % 2 == 0 || i == SIZE - 1)
                if (u < ALL || i != 4) /* six items */
                    rows[count++] = (struct rec_dataset_row){u, i, i, 1.0f};
    assert_int_equal(count, ROWS);
    assert_int_equal(rec_dataset_from_rows(rows, count, ALL + SOME, SIZE, &data, NULL), REC_OK);
    for (size_t f = 2; f < COUNT(by_steps); f++) {
        struct rec_model *model = NULL;
        float scores[SIZE], lowest;
        CHECK_ROW(world_try(by_steps[f], data, "early_stop=5", 1, NULL, &model, NULL) == REC_OK,
                  by_steps[f]->name);
        CHECK_ROW(world_score(model, &history, scores), by_steps[f]->name);
        lowest = scores[1];
        for (uint32_t i = 0; i < SIZE - 1; i++)
            lowest = scores[i] < lowest ? scores[i] : lowest;
        CHECK_ROW(scores[SIZE - 1] > lowest, by_steps[f]->name);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: users who only ever liked one item, again and again, are not left with nothing by what
 * early stopping holds out: every family that stops early fits, or says what is wrong. */
static void test_one_item_again(void **state) {
    enum { PEOPLE = 12, TIMES = 3 };
    struct rec_dataset_row rows[PEOPLE * TIMES];
    struct rec_dataset *data = NULL;
    (void)state;
    for (uint32_t n = 0; n < PEOPLE * TIMES; n++)
        rows[n] = (struct rec_dataset_row){n / TIMES, 1, n, 1.0f};
    assert_int_equal(rec_dataset_from_rows(rows, COUNT(rows), PEOPLE, 4, &data, NULL), REC_OK);
    EACH_FAMILY(family) {
        struct rec_model *model = NULL;
        struct rec_error err = {.status = REC_OK};
        struct rec_params params;
        rec_params_defaults(family->params, family->param_count, &params);
        bool stops = rec_params_set(&params, "early_stop=2", &err) == REC_OK;
        enum rec_status st =
            world_try(family, data, stops ? "early_stop=2" : "", 1, NULL, &model, &err);
        CHECK_ROW(st == REC_OK || (st == REC_BAD_INPUT && err.text[0] != '\0'), family->name);
        CHECK_ROW(st == REC_OK || !stops, err.text);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* ---- histories ------------------------------------------------------------------------------ */

/* Goal: to a history of nothing every family says that it has no answer, with a query of zeros. */
static void test_empty_history(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 3);
    const struct rec_history nothing = {.events = NULL, .count = 0, .user = UINT32_MAX};
    (void)state;
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        float *query = world_alloc(model->query_floats + 1, sizeof(*query));
        float *scratch = world_alloc(model->scratch_floats + 1, sizeof(*scratch));
        memset(query, 0xff, model->query_floats * sizeof(*query));
        memset(scratch, 0xff, model->scratch_floats * sizeof(*scratch));
        bool says = family->query(model, &nothing, query, scratch);
        CHECK_ROW(!says || family->ignores_history, family->name);
        for (size_t k = 0; !says && k < model->query_floats; k++)
            CHECK_ROW(query[k] == 0.0f, family->name);
        rec_alloc_free(scratch);
        rec_alloc_free(query);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* ---- explosions ----------------------------------------------------------------------------- */

/* Goal: a loss that explodes ends the fit with the epoch and the loss, the way out, and nothing
 * left; with early stopping, too, which has a good model by then. */
static void test_explosion(void **state) {
    static const struct {
        const struct rec_family *family;
        const char *settings;
    } rows[] = {
        {&rec_dae_family, "learning_rate=1e6 activation=relu"},
        {&rec_dae_family, "learning_rate=1e6 loss=bce"},
        {&rec_multvae_family, "learning_rate=1000"},
        {&rec_neuralmf_family, "learning_rate=1000"},
        {&rec_ncf_family, "learning_rate=1000"},
        {&rec_ncf_family, "learning_rate=1000 loss=bpr"},
        {&rec_bpr_family, "learning_rate=10 user_regularization=10 positive_regularization=10"},
        {&rec_biased_mf_family, "learning_rate=10"},
    };
    static const char *const stops[] = {" early_stop=0", " early_stop=50"};
    struct rec_dataset *data = world_random(USERS, ITEMS, 1);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t s = 0; s < COUNT(stops); s++) {
            char settings[160];
            struct rec_model *model = NULL;
            struct rec_error err = {.status = REC_OK};
            size_t live = rec_alloc_live();
            (void)snprintf(settings, sizeof(settings), "%s epochs=60%s", rows[i].settings,
                           stops[s]);
            enum rec_status st = world_try(rows[i].family, data, settings, 1, NULL, &model, &err);
            if (st != REC_BAD_INPUT || model != NULL || rec_alloc_live() != live)
                fail_msg("%s %s: %s '%s'", rows[i].family->name, settings, rec_error_name(st),
                         err.text);
            CHECK_ROW(strstr(err.text, "exploded: the loss in epoch ") != NULL, err.text);
            CHECK_ROW(strstr(err.text, "lower learning_rate") != NULL, err.text);
        }
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_batch),        cmocka_unit_test(test_no_negatives),
        cmocka_unit_test(test_one_has_everything), cmocka_unit_test(test_held_out_is_liked),
        cmocka_unit_test(test_one_item_again),     cmocka_unit_test(test_empty_history),
        cmocka_unit_test(test_explosion),
    };
    return cmocka_run_group_tests(tests, world_start, NULL);
}
