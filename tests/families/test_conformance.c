/* Goal: every family in rec_families keeps the contract of model.h when it is asked. A new family
 * is tested by being listed; what only its own mathematics can know is in its golden test. */
#include <math.h>
#include <string.h>

#include "test.h"
#include "families/worlds.h"

enum { USERS = 60, ITEMS = 83, BOARD = 40, MANY = 9001, FEWER = 1501 };

/* A family whose memory grows with the square of the catalogue takes minutes for MANY items. */
static bool is_square(const struct rec_family *family, const struct rec_dataset *data) {
    struct rec_params params = world_params(family);
    struct rec_fit fit = {.data = data, .params = &params, .seed = 1};
    return family->fit_bytes != NULL &&
           family->fit_bytes(&fit) >= (size_t)data->items * data->items * sizeof(float);
}

/* Goal: a family can be named, described and set up from its table alone. */
static void test_tables(void **state) {
    (void)state;
    size_t families = 0;
    EACH_FAMILY(family) {
        const struct rec_family *found = NULL;
        struct rec_params params, back;
        char text[512], *rest = NULL;
        families++;
        CHECK_ROW(strlen(family->name) < 32 && family->help[0] != '\0', family->name);
        CHECK_ROW(rec_family_find(rec_families, family->name, &found, NULL) == REC_OK,
                  family->name);
        CHECK_ROW(found == family, family->name); /* else two have its name */
        for (size_t i = 0; i < family->param_count; i++) {
            const struct rec_param *row = &family->params[i];
            CHECK_ROW(row->name[0] != '\0' && row->help != NULL, family->name);
            if (row->type == REC_PARAM_INT || row->type == REC_PARAM_FLOAT)
                CHECK_ROW(row->min <= row->standard && row->standard <= row->max, row->name);
            CHECK_ROW(!row->log_scale || row->min > 0, row->name);
            for (size_t j = 0; j < i; j++)
                CHECK_ROW(strcmp(row->name, family->params[j].name) != 0, row->name);
        }
        rec_params_defaults(family->params, family->param_count, &params);
        back = params;
        CHECK_ROW(rec_params_write(&params, text, sizeof(text)) < sizeof(text), family->name);
        for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
            CHECK_ROW(rec_params_set(&back, word, NULL) == REC_OK, family->name);
        CHECK_ROW(memcmp(params.value, back.value, sizeof(back.value)) == 0, family->name);
    }
    assert_true(families > 0);
}

/* The items not seen, best first; how many. */
static size_t ranked(const struct rec_model *model, const struct rec_history *history,
                     struct rec_ranked *kept, size_t k) {
    float *scores = world_alloc(model->items, sizeof(*scores));
    uint64_t *mask = world_alloc(model->items / 64 + 1, sizeof(*mask));
    struct rec_topk top;
    world_score(model, history, scores);
    memset(mask, 0xff, (model->items / 64 + 1) * sizeof(*mask));
    for (size_t e = 0; e < history->count; e++)
        mask[history->events[e].item / 64] &= ~(1ull << (history->events[e].item % 64));
    rec_topk_init(&top, kept, k);
    rec_topk_scan(&top, scores, 0, model->items, mask);
    rec_topk_finish(&top);
    rec_alloc_free(mask);
    rec_alloc_free(scores);
    return top.count;
}

/* Goal: a family that reads histories finds, for every user of a checkerboard, the one item of
 * the user's colour that was withheld, before all of the other colour. (Not one that only knows a
 * user's own items: nothing withheld can be among them.) */
static void test_withheld_comes_back(void **state) {
    (void)state;
    struct rec_dataset *board = world_checkerboard(BOARD);
    EACH_FAMILY(family) {
        if (family->ignores_history || family->repeats_only)
            continue;
        struct rec_model *model = world_fit(family, board, 1, NULL);
        for (uint32_t user = 0; user < BOARD; user++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_ranked kept[BOARD];
            struct rec_history history = world_history(board, user, events);
            history.user = UINT32_MAX; /* the history must do, without the user's row */
            CHECK_ROW(ranked(model, &history, kept, BOARD) == BOARD / 2 + 1, family->name);
            CHECK_ROW(kept[0].item == user, family->name);
        }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&board);
}

/* Queries [users x query_floats] of the first users. */
static float *all_queries(const struct rec_model *model, const struct rec_dataset *data,
                          uint32_t users) {
    size_t width = model->query_floats;
    float *queries = world_alloc(users * width, sizeof(*queries));
    float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
    for (uint32_t user = 0; user < users; user++) {
        struct rec_event events[HISTORY_MAX];
        struct rec_history history = world_history(data, user, events);
        CHECK_ROW(model->family->query(model, &history, queries + user * width, scratch),
                  model->family->name);
    }
    rec_alloc_free(scratch);
    return queries;
}

static void check_batches(const struct rec_model *model, const float *queries, size_t users,
                          const float *whole, float *part) {
    const struct rec_family *family = model->family;
    size_t items = model->items;
    for (size_t batch = 1; batch < users; batch += batch < 5 ? 1 : 5) {
        for (size_t user = 0; user < users; user += batch) {
            size_t n = users - user < batch ? users - user : batch;
            family->score(model, queries + user * model->query_floats, n, 0, model->items,
                          part + user * items);
        }
        CHECK_ROW(memcmp(part, whole, users * items * sizeof(*part)) == 0, family->name);
    }
}

static void check_blocks(const struct rec_model *model, const float *queries, size_t users,
                         const float *whole, float *part) {
    static const uint32_t blocks[] = {1, 7, 64, 4096, MANY - 1};
    const struct rec_family *family = model->family;
    for (size_t b = 0; b < COUNT(blocks); b++)
        for (uint32_t first = 0; first < model->items; first += blocks[b]) {
            uint32_t left = model->items - first, count = left < blocks[b] ? left : blocks[b];
            family->score(model, queries, users, first, count, part);
            for (size_t user = 0; user < users; user++)
                CHECK_ROW(memcmp(part + user * count, whole + user * model->items + first,
                                 count * sizeof(*part)) == 0,
                          family->name);
        }
}

/* Goal: how many users are asked at once, and in which blocks of items, cannot be seen in any
 * score. So many items that a family's own blocks, if it has any, end inside. */
static void test_batches_and_blocks(void **state) {
    (void)state;
    enum { ASKED = 17 };
    static float whole[ASKED * MANY], part[ASKED * MANY];
    struct rec_dataset *many = world_random(USERS, MANY, 5);
    struct rec_dataset *fewer = world_random(USERS, FEWER, 5);
    EACH_FAMILY(family) {
        const struct rec_dataset *data = is_square(family, many) ? fewer : many;
        struct rec_model *model = NULL;
        CHECK_ROW(world_try(family, data, world_few_epochs(family), 1, NULL, &model, NULL) ==
                      REC_OK,
                  family->name);
        float *queries = all_queries(model, data, ASKED);
        family->score(model, queries, ASKED, 0, model->items, whole);
        check_batches(model, queries, ASKED, whole, part);
        check_blocks(model, queries, ASKED, whole, part);
        rec_alloc_free(queries);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&many);
    rec_dataset_destroy(&fewer);
}

/* Goal: masked items never come, K eligible ones give K, and a k past the catalogue gives all;
 * each item once, best first. */
static void test_masks(void **state) {
    (void)state;
    enum { BLOCK = 16, K_MAX = 2 * ITEMS };
    static const size_t ks[] = {1, 10, ITEMS, K_MAX};
    struct rec_dataset *data = world_random(USERS, ITEMS, 6);
    uint64_t mask[ITEMS / 64 + 1] = {0};
    size_t eligible = 0;
    for (uint32_t i = 0; i < ITEMS; i += 3, eligible++)
        mask[i / 64] |= 1ull << (i % 64);
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        float *queries = all_queries(model, data, 1);
        for (size_t j = 0; j < COUNT(ks); j++) {
            struct rec_ranked kept[K_MAX];
            struct rec_topk top;
            bool came[ITEMS] = {false};
            rec_topk_init(&top, kept, ks[j]);
            for (uint32_t first = 0; first < ITEMS; first += BLOCK) {
                float scores[BLOCK];
                uint32_t count = ITEMS - first < BLOCK ? ITEMS - first : BLOCK;
                family->score(model, queries, 1, first, count, scores);
                rec_topk_scan(&top, scores, first, count, mask);
            }
            rec_topk_finish(&top);
            CHECK_ROW(top.count == (ks[j] < eligible ? ks[j] : eligible), family->name);
            for (size_t i = 0; i < top.count; i++) {
                CHECK_ROW(kept[i].item % 3 == 0 && !came[kept[i].item], family->name);
                CHECK_ROW(i == 0 || kept[i].score <= kept[i - 1].score, family->name);
                came[kept[i].item] = true;
            }
        }
        rec_alloc_free(queries);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: where a family says that its scores are dot products, they are, and the scan that relies
 * on it gives the list of the scores. */
static void test_vectors(void **state) {
    (void)state;
    enum { ASKED = 7, K = 25 };
    struct rec_dataset *many = world_random(USERS, MANY, 10);
    struct rec_dataset *fewer = world_random(USERS, FEWER, 10);
    static float scores[MANY], dots[MANY];
    EACH_FAMILY(family) {
        const struct rec_dataset *data = is_square(family, many) ? fewer : many;
        struct rec_model *model = NULL;
        CHECK_ROW(world_try(family, data, world_few_epochs(family), 1, NULL, &model, NULL) ==
                      REC_OK,
                  family->name);
        uint32_t items = model->items;
        CHECK_ROW((model->vectors == NULL) == (model->scan == NULL), family->name);
        float *queries = all_queries(model, data, ASKED);
        for (size_t user = 0; user < ASKED && model->vectors != NULL; user++) {
            const float *query = queries + user * model->query_floats;
            struct rec_ranked want[K], kept[K];
            struct rec_topk top;
            family->score(model, query, 1, 0, items, scores);
            rec_kernels_rows_dot(model->vectors, items, model->query_floats, query, dots);
            CHECK_ROW(memcmp(scores, dots, items * sizeof(*dots)) == 0, family->name);
            rec_topk_init(&top, want, K);
            rec_topk_scan(&top, scores, 0, items, NULL);
            rec_topk_finish(&top);
            rec_topk_init(&top, kept, K);
            rec_scan_topk(model->scan, &(struct rec_scan_query){query, items, NULL, &top});
            rec_topk_finish(&top);
            CHECK_ROW(top.count == K && memcmp(kept, want, sizeof(want)) == 0, family->name);
        }
        rec_alloc_free(queries);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&many);
    rec_dataset_destroy(&fewer);
}

/* Goal: a history that says nothing is told apart, and what says nothing in a history changes
 * nothing: no bit of any score. */
static void test_histories(void **state) {
    (void)state;
    struct rec_dataset *data = world_random(USERS, ITEMS, 7);
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        const struct rec_event unknown = {ITEMS, 1.0f, 10}, far = {UINT32_MAX, 1.0f, 11},
                               nothing = {3, 0.0f, 12}, one = {3, 1.0f, 13}, two = {5, 0.2f, 14};
        const struct {
            const char *name;
            struct rec_event events[5];
            size_t count, same_as; /* row with the same scores */
            bool says;
        } rows[] = {
            {"empty", {{0, 0, 0}}, 0, 0, false},
            {"unknown", {unknown, far}, 2, 0, false},
            {"weight 0", {nothing}, 1, 0, false},
            {"both", {nothing, unknown}, 2, 0, false},
            {"one", {one}, 1, 4, true},
            {"one among unknown", {far, one, unknown}, 3, 4, true},
            {"one and two", {one, two}, 2, 6, true},
            {"and what says nothing", {nothing, one, unknown, two, nothing}, 5, 6, true},
        };
        float scores[COUNT(rows)][ITEMS];
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct rec_history history = {rows[i].events, rows[i].count, UINT32_MAX};
            bool says = world_score(model, &history, scores[i]);
            CHECK_ROW(says == (rows[i].says || family->ignores_history), rows[i].name);
        }
        for (size_t i = 0; i < COUNT(rows); i++)
            CHECK_ROW(memcmp(scores[i], scores[rows[i].same_as], sizeof(scores[i])) == 0,
                      rows[i].name);
        bool differs = memcmp(scores[4], scores[6], sizeof(scores[4])) != 0;
        CHECK_ROW(differs == !family->ignores_history, family->name);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: why an item was recommended adds up to how much it was recommended. */
static void test_explain(void **state) {
    (void)state;
    enum { ASKED = 5, COUNT_MAX = 12 + 2 };
    struct rec_dataset *data = world_random(USERS, ITEMS, 8);
    EACH_FAMILY(family) {
        if (family->explain == NULL)
            continue;
        struct rec_model *model = world_fit(family, data, 1, NULL);
        float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
        for (uint32_t user = 0; user < USERS; user++) {
            const uint32_t items[ASKED] = {0, user, ITEMS - 1, 17, 0};
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, user, events);
            events[history.count++] = (struct rec_event){ITEMS + 5, 1.0f, 2000000};
            events[history.count++] = (struct rec_event){2, 0.0f, 2000001};
            float shares[ASKED * COUNT_MAX], scores[ITEMS];
            assert_true(history.count <= COUNT_MAX);
            world_score(model, &history, scores);
            family->explain(model, &history, items, ASKED, shares, scratch);
            for (size_t i = 0; i < ASKED; i++) {
                double sum = 0.0, size = 0.0;
                for (size_t e = 0; e < history.count; e++) {
                    float share = shares[i * history.count + e];
                    CHECK_ROW(isfinite(share), family->name);
                    CHECK_ROW(events[e].weight > 0 && events[e].item < ITEMS ? true : share == 0,
                              family->name);
                    sum += (double)share;
                    size += fabs((double)share);
                }
                CHECK_ROW(fabs(sum - (double)scores[items[i]]) <= 1e-3 * size + 1e-6, family->name);
            }
        }
        rec_alloc_free(scratch);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: likeness is finite, the same in blocks as whole, and mutual where histories are read
 * without their direction. */
static void test_similar(void **state) {
    (void)state;
    static float matrix[ITEMS][ITEMS];
    struct rec_dataset *data = world_random(USERS, ITEMS, 9);
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        for (uint32_t i = 0; i < ITEMS; i++) {
            float part[ITEMS];
            family->similar(model, i, 0, ITEMS, matrix[i]);
            family->similar(model, i, 0, 5, part);
            family->similar(model, i, 5, ITEMS - 5, part + 5);
            CHECK_ROW(memcmp(part, matrix[i], sizeof(part)) == 0, family->name);
        }
        for (uint32_t i = 0; i < ITEMS; i++)
            for (uint32_t j = 0; j < ITEMS; j++) {
                double a = (double)matrix[i][j], b = (double)matrix[j][i];
                CHECK_ROW(isfinite(a), family->name);
                bool mutual = !family->ignores_history && !family->similar_is_directed;
                CHECK_ROW(!mutual || fabs(a - b) <= 1e-5 * (fabs(a) + fabs(b)), family->name);
            }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* A family that learns from what users have not may refuse a world where everyone has everything,
 * and then says so. */
static bool refuses_full(const struct rec_family *family, const struct rec_dataset *data) {
    struct rec_params params = world_params(family);
    struct rec_fit fit = {.data = data, .params = &params, .seed = 1};
    struct rec_error err = {.status = REC_OK};
    struct rec_model *model = NULL;
    bool draws =
        family == &rec_neuralmf_family || family == &rec_ncf_family || family == &rec_bpr_family;
    if (!draws)
        return false;
    CHECK_ROW(rec_model_fit(family, &fit, &model, &err) == REC_BAD_INPUT, family->name);
    CHECK_ROW(strstr(err.text, "nothing to tell liked ones from") != NULL, family->name);
    return true;
}

/* Goal: the smallest and flattest worlds are worlds too. */
static void test_small_worlds(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t users, items;
    } rows[] = {
        {"one user, one item", 1, 1},
        {"one user", 1, 9},
        {"one item", 9, 1},
        {"everyone has everything", 6, 11},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_dataset *data = world_full(rows[i].users, rows[i].items);
        EACH_FAMILY(family) {
            if (refuses_full(family, data))
                continue;
            struct rec_model *model = world_fit(family, data, 1, NULL);
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, 0, events);
            float scores[16];
            struct rec_ranked kept[16];
            bool says = world_score(model, &history, scores);
            CHECK_ROW(says || rows[i].items == 1, rows[i].name); /* nothing follows a lone item */
            CHECK_ROW(ranked(model, &history, kept, 16) == 0, rows[i].name); /* all seen */
            family->similar(model, 0, 0, rows[i].items, scores);
            for (uint32_t j = 0; j < rows[i].items; j++)
                CHECK_ROW(isfinite(scores[j]), rows[i].name);
            rec_model_destroy(&model);
        }
        rec_dataset_destroy(&data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_withheld_comes_back),
        cmocka_unit_test(test_masks),        cmocka_unit_test(test_batches_and_blocks),
        cmocka_unit_test(test_explain),      cmocka_unit_test(test_histories),
        cmocka_unit_test(test_vectors),      cmocka_unit_test(test_similar),
        cmocka_unit_test(test_small_worlds),
    };
    return cmocka_run_group_tests(tests, world_start, NULL);
}
