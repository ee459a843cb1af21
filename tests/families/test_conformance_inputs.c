/* Goal: every family in rec_families keeps the contract of model.h on input that is odd but may
 * come: weights that are none or at the ends of float, rows that repeat, and worlds in which
 * nothing tells items apart. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "test.h"
#include "families/worlds.h"

enum { USERS = 80, ITEMS = 120 };

/* ---- weights ------------------------------------------------------------------------ */

enum says { NOTHING, SOMETHING, EITHER };

static const struct {
    const char *name;
    struct rec_event events[2];
    enum says says;
} histories[] = {
    {"weight 0", {{1, 0.0f, 0}, {2, 0.0f, 0}}, NOTHING},
    {"negative weight", {{1, -1.0f, 0}, {2, -INFINITY, 0}}, NOTHING},
    {"not a number", {{1, NAN, 0}, {2, NAN, 0}}, NOTHING},
    {"items newer than the model", {{ITEMS, 1.0f, 0}, {UINT32_MAX, 1.0f, 0}}, NOTHING},
    {"an item nobody touched", {{ITEMS - 1, 1.0f, 0}, {ITEMS - 1, 1.0f, 0}}, EITHER},
    {"one liked, one not a number", {{1, 1.0f, 0}, {2, NAN, 0}}, SOMETHING},
    {"one liked, one negative", {{1, 1.0f, 0}, {1, -1.0f, 0}}, SOMETHING},
    {"infinite weight", {{1, INFINITY, 0}, {2, 1.0f, 0}}, SOMETHING},
    {"infinite weights", {{1, INFINITY, 0}, {1, INFINITY, 0}}, SOMETHING},
    {"largest weight", {{1, FLT_MAX, 0}, {1, FLT_MAX, 0}}, SOMETHING},
    {"smallest weight and 1", {{1, FLT_TRUE_MIN, 0}, {2, 1.0f, 0}}, SOMETHING},
    {"smallest weight", {{1, FLT_TRUE_MIN, 0}, {2, FLT_TRUE_MIN, 0}}, EITHER},
    {"nearly no weight", {{1, 1e-38f, 0}, {2, 1e-38f, 0}}, EITHER},
};

/* Shares of a few items, the item nobody touched among them, are finite. */
static void check_shares(const struct rec_model *model, const struct rec_history *history,
                         const char *row) {
    static const uint32_t items[] = {0, 3, ITEMS - 1};
    float shares[COUNT(items) * 2];
    if (model->family->explain == NULL)
        return;
    float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
    memset(scratch, 0xff, model->scratch_floats * sizeof(*scratch));
    model->family->explain(model, history, items, COUNT(items), shares, scratch);
    for (size_t i = 0; i < COUNT(shares); i++)
        if (!isfinite(shares[i]))
            fail_msg("row '%s': %s gives the share %g", row, model->family->name,
                     (double)shares[i]);
    rec_alloc_free(scratch);
}

static void check_similar(const struct rec_model *model, const char *row) {
    float scores[ITEMS];
    for (uint32_t item = 0; item < ITEMS; item++) {
        model->family->similar(model, item, 0, ITEMS, scores);
        for (size_t i = 0; i < ITEMS; i++)
            if (!isfinite(scores[i]))
                fail_msg("row '%s': %s gives the likeness %g", row, model->family->name,
                         (double)scores[i]);
    }
}

static void check_histories(const struct rec_model *model) {
    for (size_t i = 0; i < COUNT(histories); i++) {
        const struct rec_history history = {histories[i].events, 2, UINT32_MAX};
        float scores[ITEMS]; /* found finite by world_score */
        bool says = world_score(model, &history, scores);
        if (histories[i].says != EITHER && !model->family->ignores_history &&
            says != (histories[i].says == SOMETHING))
            fail_msg("row '%s': %s says %d", histories[i].name, model->family->name, says);
        check_shares(model, &history, histories[i].name);
    }
}

/* Settings under which families have been, or might be, wrong where their defaults are right. */
static const struct {
    const struct rec_family *family;
    const char *settings;
} sharp[] = {
    {&rec_user_knn_family, "weighting=bm25 b=1 k1=10000"},
    {&rec_user_knn_family, "weighting=none exponent=0 recency=0.01"},
    {&rec_user_knn_family, "weighting=tf-idf exponent=1"},
    {&rec_item_knn_family, "weighting=bm25 b=1 k1=10000 recency=0.01"},
    {&rec_als_family, "recency=0.01 frequency_power=1 alpha=1000000"},
    {&rec_personal_popularity_family, "recency=0.01"},
    {&rec_ease_family, "recency=0.01 input=binary"},
    {&rec_dae_family, "recency=0.01 activation=relu"},
    {&rec_multvae_family, "input=binary"},
    {&rec_bpr_family, "recency=0.01"},
    {&rec_biased_mf_family, "recency=0.01 optimizer=adam"},
    {&rec_blend_family, "combine=product first=next-item second=user-knn weights=given"},
};

/* Goal: whatever a history holds, scores and shares are finite, and what says nothing is told
 * apart; likeness is finite for an item that nobody touched, too. */
static void test_hostile_histories(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS - 1, 5);
    (void)state;
    data->items = ITEMS; /* the last one has no events */
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        check_histories(model);
        check_similar(model, "an item nobody touched");
        rec_model_destroy(&model);
    }
    for (size_t i = 0; i < COUNT(sharp); i++) {
        struct rec_model *model = NULL;
        CHECK_ROW(world_try(sharp[i].family, data, sharp[i].settings, 1, NULL, &model, NULL) ==
                      REC_OK,
                  sharp[i].settings);
        check_histories(model);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: data of which all weights are far too small or large give finite answers, or are refused
 * with the way out: up for the small, down for the large. */
static void test_hostile_data(void **state) {
    static const struct {
        const char *name, *advice;
        float weight;
    } rows[] = {
        {"smallest", "raise the weights", FLT_TRUE_MIN},
        {"smallest with all its digits", "raise the weights", FLT_MIN},
        {"of which a square is nothing", "raise the weights", 1e-20f},
        {"small", "raise the weights", 1e-10f},
        {"large", "lower", 1e10f},
        {"of which a square is too much", "lower", 1e20f},
        {"largest", "lower", FLT_MAX},
    };
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (uint64_t e = 0; e < data->offset[data->users]; e++)
            data->weight[e] = data->weight[e] > 0.0f ? rows[i].weight : 0.0f;
        EACH_FAMILY(family) {
            struct rec_error err = {.status = REC_OK};
            struct rec_model *model = NULL;
            enum rec_status st = world_try(family, data, "", 1, NULL, &model, &err);
            if (st != REC_OK && (st != REC_BAD_INPUT || strstr(err.text, rows[i].advice) == NULL))
                fail_msg("row '%s': %s: %s", rows[i].name, family->name, err.text);
            for (uint32_t user = 0; st == REC_OK && user < USERS; user += 7) {
                struct rec_event events[HISTORY_MAX];
                struct rec_history history = world_history(data, user, events);
                float scores[ITEMS];
                (void)world_score(model, &history, scores);
            }
            if (st == REC_OK)
                check_similar(model, rows[i].name);
            rec_model_destroy(&model);
        }
    }
    rec_dataset_destroy(&data);
}

/* ---- rows that repeat -------------------------------------------------------------------- */

/* Each user has a handful of items, once each, with weights that add up without rounding. */
static struct rec_dataset *repeated(unsigned times) {
    enum { EACH = 9, ROWS_MAX = 2 * USERS * EACH };
    static struct rec_dataset_row rows[ROWS_MAX];
    static const float weights[] = {0.0f, 0.25f, 1.0f, 1.0f};
    struct rec_dataset *data = NULL;
    size_t count = 0;
    for (uint32_t user = 0; user < USERS; user++)
        for (uint32_t e = 0; e < EACH; e++)
            for (unsigned t = 0; t < times; t++)
                rows[count++] = (struct rec_dataset_row){
                    .user = user,
                    .item = (user * user + e * (e + 5) * 3 + (user % 4) * e) % ITEMS,
                    .time = 1000 + e,
                    .weight = (e == 0 ? 1.0f : weights[(user + e) % 4]) / (float)times};
    assert_int_equal(rec_dataset_from_rows(rows, count, USERS, ITEMS, &data, NULL), REC_OK);
    return data;
}

/* Settings that read weights in other ways than the defaults do. */
static const struct {
    const struct rec_family *family;
    const char *settings;
} other_ways[] = {
    {&rec_popularity_family, "half_life_days=0.01"},
    {&rec_random_family, "by=popularity"},
    {&rec_als_family, "frequency_power=1 block=3"},
    {&rec_als_family, "early_stop=2"},
    {&rec_ease_family, "input=binary"},
    {&rec_ease_family, "density=0.1"},
    {&rec_user_knn_family, "weighting=none"},
    {&rec_item_knn_family, "weighting=tf-idf"},
    {&rec_biased_mf_family, "target_max=0.5"},
    {&rec_dae_family, "input=binary"},
    {&rec_blend_family, "first=als second=slim third=user-knn"},
};

/* Goal: a row that is there twice with half the weight is one row: in the data it changes no bit of
 * the model, in a history no score beyond rounding. Order is what next-item learns from, so there
 * two rows are two steps; biased-mf and bpr answer a history event by event. */
static void check_twice(const struct rec_family *family, const char *settings,
                        const struct rec_dataset *once, const struct rec_dataset *twice) {
    struct rec_model *model = NULL, *same = NULL;
    if (family == &rec_nextitem_family)
        return;
    CHECK_ROW(world_try(family, once, settings, 1, NULL, &model, NULL) == REC_OK, family->name);
    CHECK_ROW(world_try(family, twice, settings, 1, NULL, &same, NULL) == REC_OK, family->name);
    if (!world_same(model, same))
        fail_msg("%s %s: two halves are not one row", family->name, settings);
    bool by_event = family == &rec_biased_mf_family || family == &rec_bpr_family;
    for (uint32_t user = 0; user < USERS && !by_event; user++) {
        struct rec_event events[HISTORY_MAX], halves[HISTORY_MAX];
        struct rec_history history = world_history(once, user, events);
        struct rec_history doubled = world_history(twice, user, halves);
        float want[ITEMS], got[ITEMS], largest = 0.0f;
        world_score(model, &history, want);
        world_score(model, &doubled, got);
        for (size_t i = 0; i < ITEMS; i++)
            largest = fmaxf(largest, fabsf(want[i]));
        for (size_t i = 0; i < ITEMS; i++)
            CHECK_ROW(fabsf(got[i] - want[i]) <= 1e-5f * largest, family->name);
    }
    rec_model_destroy(&same);
    rec_model_destroy(&model);
}

static void test_twice_is_once(void **state) {
    struct rec_dataset *once = repeated(1), *twice = repeated(2);
    (void)state;
    EACH_FAMILY(family)
    check_twice(family, "", once, twice);
    for (size_t i = 0; i < COUNT(other_ways); i++)
        check_twice(other_ways[i].family, other_ways[i].settings, once, twice);
    rec_dataset_destroy(&once);
    rec_dataset_destroy(&twice);
}

/* ---- nothing to tell items apart -------------------------------------------------------- */

/* A model's list for a history: all items, best first. */
static void ranked(const struct rec_model *model, const struct rec_history *history,
                   struct rec_ranked *kept) {
    float *scores = world_alloc(model->items, sizeof(*scores));
    struct rec_topk top;
    world_score(model, history, scores);
    rec_topk_init(&top, kept, model->items);
    rec_topk_scan(&top, scores, 0, model->items, NULL);
    rec_topk_finish(&top);
    CHECK_ROW(top.count == model->items, model->family->name);
    rec_alloc_free(scores);
}

/* Families that neither draw nor start from random rows: what nothing tells apart is equal there.
 */
static bool is_exact(const struct rec_family *family) {
    static const struct rec_family *const families[] = {&rec_popularity_family,
                                                        &rec_personal_popularity_family,
                                                        &rec_item_knn_family,
                                                        &rec_user_knn_family,
                                                        &rec_ease_family,
                                                        &rec_slim_family,
                                                        &rec_nextitem_family,
                                                        &rec_svd_family,
                                                        &rec_als_family,
                                                        &rec_blend_family,
                                                        NULL};
    for (size_t i = 0; families[i] != NULL; i++)
        if (families[i] == family)
            return true;
    return false;
}

/* Goal: in a flat world, where every user has the same items and half of the catalogue is nobody's,
 * the items nobody has are equally good, and in exact families their scores are equal; equal scores
 * go to the lower number in all. */
static void test_flat_world(void **state) {
    enum { FLAT = 24, HAD = 12 };
    struct rec_dataset *data = world_full(20, HAD);
    (void)state;
    data->items = FLAT;
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        struct rec_event events[HISTORY_MAX];
        struct rec_history history = world_history(data, 0, events);
        for (history.count = 0; history.count <= HAD; history.count += 3) {
            struct rec_ranked kept[FLAT];
            const struct rec_ranked *nobodys = NULL;
            ranked(model, &history, kept);
            for (size_t i = 0; i < FLAT; i++) {
                bool tie = i > 0 && kept[i].score == kept[i - 1].score;
                CHECK_ROW(!tie || kept[i].item > kept[i - 1].item, family->name);
                if (kept[i].item < HAD || !is_exact(family))
                    continue;
                CHECK_ROW(nobodys == NULL || nobodys->score == kept[i].score, family->name);
                CHECK_ROW(nobodys == NULL || nobodys->item < kept[i].item, family->name);
                nobodys = &kept[i];
            }
        }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: where each user misses one item and everything else is the same for all, the item missed
 * is the only difference there is: all families answer, and exact ones find it no worse than an
 * item nobody has. */
static void test_one_unseen(void **state) {
    enum { FLAT = 16 };
    static struct rec_dataset_row rows[FLAT * FLAT];
    struct rec_dataset *data = NULL;
    size_t count = 0;
    (void)state;
    for (uint32_t user = 0; user < FLAT; user++)
        for (uint32_t item = 0; item < FLAT; item++)
            if (item != user)
                rows[count++] = (struct rec_dataset_row){user, item, 1000, 1.0f};
    assert_int_equal(rec_dataset_from_rows(rows, count, FLAT, FLAT + 1, &data, NULL), REC_OK);
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        for (uint32_t user = 0; user < FLAT; user++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, user, events);
            float scores[FLAT + 1];
            CHECK_ROW(world_score(model, &history, scores) || family->ignores_history,
                      family->name);
            CHECK_ROW(!is_exact(family) || scores[user] >= scores[FLAT], family->name);
        }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_histories), cmocka_unit_test(test_hostile_data),
        cmocka_unit_test(test_twice_is_once),     cmocka_unit_test(test_flat_world),
        cmocka_unit_test(test_one_unseen),
    };
    return cmocka_run_group_tests(tests, world_start, NULL);
}
