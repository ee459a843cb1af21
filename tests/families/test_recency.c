/* Goal: the weight of every event of a history is its own times exp(-rank / tau), the rank counted
 * over the events that say something, within the limits that are set; weights add up by item; and a
 * family that reads weights so stays exactly explained and forgets what is old. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "families/recency.h"
#include "families/worlds.h"
#include "test.h"

enum { USERS = 60, ITEMS = 83, EVENTS = 6 };

static const struct {
    const char *name;
    float tau;
    struct rec_event events[EVENTS];
    int rank[EVENTS]; /* -1: weighs 0 */
    float faintest, most;
} cases[] = {
    {"off: weights as they are",
     0.0f,
     {{1, 1, 0}, {2, .5f, 1}, {3, 2, 2}},
     {0, 0, 0, -1, -1, -1},
     0,
     0},
    {"each one older", 5.0f, {{1, 1, 0}, {1, 1, 1}, {2, .2f, 2}}, {2, 1, 0, -1, -1, -1}, 0, 0},
    {"an unknown item moves nothing",
     2.0f,
     {{1, 1, 0}, {ITEMS, 1, 1}, {2, 1, 2}, {UINT32_MAX, 1, 3}},
     {1, -1, 0, -1, -1, -1},
     0,
     0},
    {"nor do weights of 0, negative ones and none",
     2.0f,
     {{1, 1, 0}, {2, 0, 1}, {2, -0.0f, 1}, {3, -1, 2}, {4, NAN, 3}, {ITEMS - 1, 3, 4}},
     {1, -1, -1, -1, -1, 0},
     0,
     0},
    {"old ones underflow to 0",
     0.001f,
     {{1, 1, 0}, {2, 1, 1}, {3, 1, 2}},
     {-1, -1, 0, -1, -1, -1},
     0,
     0},
    {"a tau without end", 1e6f, {{1, 1, 0}, {2, 1, 1}}, {1, 0, -1, -1, -1, -1}, 0, 0},
    {"none fainter than a fifth", 0.5f, {{1, 2, 0}, {1, 3, 1}}, {1, 0, -1, -1, -1, -1}, 0.2f, 0},
    {"none above the most", 0.0f, {{1, 2, 0}, {1, 3, 1}}, {0, 0, -1, -1, -1, -1}, 0, 2.5f},
    {"of any weight", 1.0f, {{1, FLT_MAX, 0}, {1, 1, 1}}, {1, 0, -1, -1, -1, -1}, 0, 2.5f},
};

static double expected(size_t i, size_t e) {
    double weight = (double)cases[i].events[e].weight, faded = weight;
    if (cases[i].rank[e] < 0)
        return 0.0;
    if (cases[i].tau > 0.0f)
        faded *= exp(-cases[i].rank[e] / (double)cases[i].tau);
    faded = fmax(faded, (double)cases[i].faintest * weight);
    return cases[i].most > 0.0f ? fmin(faded, (double)cases[i].most) : faded;
}

static void test_weights(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct rec_history history = {cases[i].events, EVENTS, UINT32_MAX};
        struct rec_recency walk = rec_recency_begin(cases[i].tau, ITEMS, &history);
        double sum = 0.0, sums[ITEMS] = {0};
        float own[ITEMS];
        walk.faintest = cases[i].faintest;
        walk.most = cases[i].most;
        for (size_t item = 0; item < ITEMS; item++)
            own[item] = NAN; /* what is not of the history is not touched */
        double added = rec_recency_add_up(walk, &history, own);
        for (size_t e = 0; e < EVENTS; e++) {
            double want = expected(i, e);
            float got = rec_recency_next(&walk, &cases[i].events[e]);
            CHECK_ROW(fabs((double)got - want) <= 4 * FLT_EPSILON * want, cases[i].name);
            sum += want;
            if (cases[i].events[e].item < ITEMS)
                sums[cases[i].events[e].item] += want;
        }
        CHECK_ROW(fabs(added - sum) <= 8 * FLT_EPSILON * sum, cases[i].name);
        for (size_t item = 0; item < ITEMS; item++)
            CHECK_ROW(isnan(own[item])
                          ? sums[item] == 0.0
                          : fabs((double)own[item] - sums[item]) <= 8 * FLT_EPSILON * sums[item],
                      cases[i].name);
    }
}

static const struct rec_param *row_of(const struct rec_family *family, const char *name) {
    for (size_t i = 0; i < family->param_count; i++)
        if (strcmp(family->params[i].name, name) == 0)
            return &family->params[i];
    return NULL;
}

static struct rec_model *fit(const struct rec_family *family, const struct rec_dataset *data,
                             const char *recency) {
    struct rec_model *model = NULL;
    struct rec_error err = {.status = REC_OK};
    struct rec_params params = world_params(family);
    struct rec_fit options = {.data = data, .params = &params, .seed = 1};
    assert_int_equal(rec_params_set(&params, recency, &err), REC_OK);
    if (rec_model_fit(family, &options, &model, &err) != REC_OK)
        fail_msg("%s: %s", family->name, err.text);
    return model;
}

static void check_shares(const struct rec_model *model, const struct rec_history *history,
                         const float *scores) {
    const struct rec_family *family = model->family;
    float shares[HISTORY_MAX];
    float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
    for (uint32_t item = 0; family->explain != NULL && item < ITEMS; item++) {
        double sum = 0.0, size = 0.0;
        family->explain(model, history, &item, 1, shares, scratch);
        for (size_t e = 0; e < history->count; e++) {
            sum += (double)shares[e];
            size += fabs((double)shares[e]);
        }
        CHECK_ROW(fabs(sum - (double)scores[item]) <= 1e-3 * size + 1e-6, family->name);
    }
    rec_alloc_free(scratch);
}

/* Goal: in every family that has the parameter, order counts, shares add up, and with a tiny tau
 * nothing is left but the newest event. */
static void test_families(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 8);
    size_t families = 0;
    (void)state;
    for (size_t f = 0; rec_families[f] != NULL; f++) {
        const struct rec_family *family = rec_families[f];
        if (row_of(family, "recency") == NULL)
            continue;
        families++;
        const struct rec_event there[] = {{3, 1, 1}, {9, 1, 2}, {ITEMS, 1, 3}, {5, 1, 4}},
                               back[] = {{5, 1, 1}, {9, 1, 2}, {3, 1, 4}}, last = {5, 1, 4};
        const struct rec_history histories[] = {{there, COUNT(there), UINT32_MAX},
                                                {back, COUNT(back), UINT32_MAX},
                                                {&last, 1, UINT32_MAX}};
        float ordered[3][ITEMS], forgetful[3][ITEMS];
        struct rec_model *two = fit(family, data, "recency=2");
        struct rec_model *none = fit(family, data, "recency=0.001");
        for (size_t h = 0; h < COUNT(histories); h++) {
            assert_true(world_score(two, &histories[h], ordered[h]));
            assert_true(world_score(none, &histories[h], forgetful[h]));
            check_shares(two, &histories[h], ordered[h]);
            check_shares(none, &histories[h], forgetful[h]);
        }
        CHECK_ROW(memcmp(ordered[0], ordered[1], sizeof(ordered[0])) != 0, family->name);
        CHECK_ROW(memcmp(ordered[0], ordered[2], sizeof(ordered[0])) != 0, family->name);
        CHECK_ROW(family->repeats_only || /* own items stay own items, however old */
                      memcmp(forgetful[0], forgetful[2], sizeof(forgetful[0])) == 0,
                  family->name);
        rec_model_destroy(&none);
        rec_model_destroy(&two);
    }
    assert_true(families > 0);
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_weights),
                                       cmocka_unit_test(test_families)};
    return rec_kernels_init(NULL) == REC_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
