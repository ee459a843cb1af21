/* Goal: what the als family promises beyond the contract that all families keep
 * (test_conformance.c) and the golden numbers: its answer solves the equations it states, for any
 * number of factors and any shape of history; blocks of any size go downhill, all factors in one
 * block are the exact solve; and hostile numbers never make it say nonsense. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "families/worlds.h"

enum { USERS = 80, ITEMS = 120, EVENTS_MAX = 700 };

/* The losses of the last fit. */
static double losses[200];
static size_t loss_count;

static void keep_loss(void *context, const char *phase, double fraction, double loss) {
    (void)context;
    (void)phase;
    if (fraction == 0.0)
        loss_count = 0;
    if (isfinite(loss) && loss_count < COUNT(losses))
        losses[loss_count++] = loss;
}

static const struct rec_progress listening = {.report = keep_loss};

/* Parameters as text, NULL at the end. */
static struct rec_model *fit(const struct rec_dataset *data, const char *const *settings,
                             enum rec_status want, struct rec_error *err) {
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(rec_als_family.params, rec_als_family.param_count, &params);
    for (; *settings != NULL; settings++)
        assert_int_equal(rec_params_set(&params, *settings, err), REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 3, .progress = &listening};
    assert_int_equal(rec_model_fit(&rec_als_family, &options, &model, err), want);
    return model;
}

static bool ask(const struct rec_model *model, const struct rec_event *events, size_t count,
                float *query) {
    const struct rec_history history = {events, count, UINT32_MAX};
    float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
    memset(scratch, 0xff, model->scratch_floats * sizeof(*scratch)); /* NaN: nothing is assumed */
    bool says = rec_als_family.query(model, &history, query, scratch);
    rec_alloc_free(scratch);
    return says;
}

static size_t random_events(struct rec_rng *rng, size_t count, struct rec_event *events) {
    for (size_t i = 0; i < count; i++)
        events[i] = (struct rec_event){rec_rng_below(rng, ITEMS),
                                       0.25f * (float)rec_rng_below(rng, 9), (uint32_t)i};
    return count;
}

/* |A x - b| against g(4f + events) (|A| |x| + |b|), all in double from the model's own factors. */
static void check_solves(const struct rec_model *model, const struct rec_event *events,
                         size_t count, const float *x, const char *name) {
    const float *y = model->tensors.tensor[0].data;
    size_t f = model->query_floats;
    double alpha = rec_params_get(&model->params, "alpha"), weight[ITEMS] = {0}, all = 0;
    double unobserved = rec_params_get(&model->params, "unobserved");
    double ku = (4.0 * (double)f + (double)count + ITEMS) * FLT_EPSILON / 2, g = ku / (1 - ku);
    double *off = world_alloc(f, sizeof(*off)), *size = world_alloc(f, sizeof(*size));
    for (size_t e = 0; e < count; e++) {
        weight[events[e].item] += (double)events[e].weight;
        all += alpha * (double)events[e].weight;
    }
    double lambda =
        rec_params_get(&model->params, "regularization") *
        pow(all + unobserved * ITEMS, rec_params_get(&model->params, "frequency_power"));
    for (size_t i = 0; i < f; i++) {
        off[i] = lambda * (double)x[i];
        size[i] = fabs(off[i]);
    }
    for (size_t item = 0; item < ITEMS; item++) {
        const float *row = y + item * f;
        double c = weight[item] > 0 ? alpha * weight[item] : unobserved, dot = 0, dot_size = 0;
        for (size_t i = 0; i < f; i++) {
            dot += (double)row[i] * (double)x[i];
            dot_size += fabs((double)row[i] * (double)x[i]);
        }
        double p = weight[item] > 0;
        for (size_t i = 0; i < f; i++) { /* the base's part and the extra are added apart */
            off[i] += c * (dot - p) * (double)row[i];
            size[i] += (fabs(c - unobserved) + unobserved) * (dot_size + p) * fabs((double)row[i]);
        }
    }
    for (size_t i = 0; i < f; i++) /* |Lᵀ| |L| is at most f |A| */
        CHECK_ROW(fabs(off[i]) <= (double)f * g * size[i], name);
    rec_alloc_free(off);
    rec_alloc_free(size);
}

static const struct {
    const char *name, *factors, *alpha;
    size_t events;
    const char *unobserved, *power;
} solve_cases[] = {
    {"one factor", "factors=1", "alpha=3", 5, "unobserved=1", "frequency_power=0"},
    {"one vector", "factors=16", "alpha=3", 20, "unobserved=1", "frequency_power=0"},
    {"one more", "factors=17", "alpha=3", 20, "unobserved=1", "frequency_power=0"},
    {"one block", "factors=64", "alpha=40", 165, "unobserved=1", "frequency_power=0"},
    {"a block and one", "factors=65", "alpha=1", 165, "unobserved=1", "frequency_power=0"},
    {"more factors than items", "factors=130", "alpha=1", 30, "unobserved=1", "frequency_power=0"},
    {"one event", "factors=8", "alpha=1", 1, "unobserved=1", "frequency_power=0"},
    {"more events than a block holds", "factors=8", "alpha=2", EVENTS_MAX, "unobserved=1",
     "frequency_power=0"},
    {"nothing is hardly known", "factors=16", "alpha=1", 20, "unobserved=0.01",
     "frequency_power=0"},
    {"a ridge that grows", "factors=17", "alpha=1", 20, "unobserved=1", "frequency_power=1"},
    {"both", "factors=64", "alpha=3", 165, "unobserved=0.1", "frequency_power=0.5"},
    {"much is known of nothing", "factors=8", "alpha=1", 20, "unobserved=30", "frequency_power=1"},
};

static void test_solves_its_equations(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    (void)state;
    for (size_t i = 0; i < COUNT(solve_cases); i++) {
        const char *const settings[] = {solve_cases[i].factors,
                                        solve_cases[i].alpha,
                                        solve_cases[i].unobserved,
                                        solve_cases[i].power,
                                        "iterations=3",
                                        "regularization=0.1",
                                        NULL};
        struct rec_model *model = fit(data, settings, REC_OK, NULL);
        struct rec_event events[EVENTS_MAX];
        struct rec_rng rng;
        float *query = world_alloc(model->query_floats, sizeof(*query));
        rec_rng_init(&rng, 9, i);
        size_t count = random_events(&rng, solve_cases[i].events, events);
        events[0] = (struct rec_event){0, 1.0f, 0}; /* liked by many: says something */
        CHECK_ROW(ask(model, events, count, query), solve_cases[i].name);
        check_solves(model, events, count, query, solve_cases[i].name);
        rec_alloc_free(query);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: a history of weights of 1 (which needs no matrix of its own) is answered like the same
 * likings told in halves (which does). */
static void test_halves_make_wholes(void **state) {
    enum { LIKED = 12 };
    static const char *const settings[] = {"factors=20", NULL};
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    struct rec_model *model = fit(data, settings, REC_OK, NULL);
    struct rec_event whole[LIKED], halves[2 * LIKED];
    float a[20], b[20];
    (void)state;
    for (uint32_t i = 0; i < LIKED; i++) {
        whole[i] = (struct rec_event){i, 1.0f, i};
        halves[i] = halves[2 * LIKED - 1 - i] = (struct rec_event){i, 0.5f, i};
    }
    assert_true(ask(model, whole, LIKED, a) && ask(model, halves, LIKED + LIKED, b));
    check_solves(model, whole, LIKED, a, "whole");
    check_solves(model, halves, LIKED + LIKED, b, "halves");
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

/* Goal: whatever its size, a block's step never raises the objective, and many of them end near
 * where exact solves do. A rise is what is left of rounding: the loss is at most 1. */
static void test_blocks_go_downhill(void **state) {
    static const char *const cases[] = {"block=1", "block=3", "block=8", "block=11", "block=12"};
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    const char *settings[] = {"factors=12", "unobserved=0.3", "frequency_power=0.5",
                              "alpha=2",    "iterations=60",  "block=0",
                              NULL};
    struct rec_model *model = fit(data, settings, REC_OK, NULL);
    double exact = losses[loss_count - 1];
    (void)state;
    rec_model_destroy(&model);
    for (size_t i = 0; i < COUNT(cases); i++) {
        settings[5] = cases[i];
        model = fit(data, settings, REC_OK, NULL);
        CHECK_ROW(loss_count > 100, cases[i]); /* twice an iteration */
        for (size_t k = 1; k < loss_count; k++)
            CHECK_ROW(losses[k] <= losses[k - 1] + 1e-6, cases[i]);
        CHECK_ROW(fabs(losses[loss_count - 1] - exact) < 0.02 * exact, cases[i]);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: a Newton step on all factors at once is the exact solve, so a block as large as the
 * factors, or larger, changes nothing but rounding. */
static void test_one_block_is_exact(void **state) {
    static const char *const cases[] = {"block=17", "block=2048"};
    const char *settings[] = {"factors=17", "iterations=1",       "alpha=2",
                              "block=0",    "regularization=0.5", NULL};
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    struct rec_model *exact = fit(data, settings, REC_OK, NULL);
    const float *want = exact->tensors.tensor[0].data;
    float largest = 0.0f;
    (void)state;
    for (size_t k = 0; k < (size_t)ITEMS * 17; k++)
        largest = fmaxf(largest, fabsf(want[k]));
    for (size_t i = 0; i < COUNT(cases); i++) {
        settings[3] = cases[i];
        struct rec_model *model = fit(data, settings, REC_OK, NULL);
        const float *got = model->tensors.tensor[0].data;
        for (size_t k = 0; k < (size_t)ITEMS * 17; k++)
            CHECK_ROW(fabsf(got[k] - want[k]) <= 1e-4f * largest, cases[i]);
        rec_model_destroy(&model);
    }
    rec_model_destroy(&exact);
    rec_dataset_destroy(&data);
}

/* Goal: the smallest data train with every solver, and answer. */
static void test_smallest_data(void **state) {
    static const struct {
        const char *name;
        uint32_t users, items;
    } worlds[] = {{"one pair", 1, 1}, {"one user", 1, 30}, {"one item", 30, 1}};
    static const char *const solvers[][3] = {
        {"block=0", "frequency_power=0", NULL},
        {"block=0", "frequency_power=1", NULL},
        {"block=3", "frequency_power=0.5", NULL},
        {"block=3", "early_stop=2", NULL},
    };
    (void)state;
    for (size_t w = 0; w < COUNT(worlds); w++) {
        struct rec_dataset *data = world_full(worlds[w].users, worlds[w].items);
        for (size_t i = 0; i < COUNT(solvers); i++) {
            const char *settings[] = {"factors=8", solvers[i][0], solvers[i][1], NULL};
            struct rec_model *model = fit(data, settings, REC_OK, NULL);
            const struct rec_event liked = {0, 1.0f, 0};
            float query[8], score = NAN;
            CHECK_ROW(ask(model, &liked, 1, query), worlds[w].name);
            rec_als_family.score(model, query, 1, 0, 1, &score);
            CHECK_ROW(isfinite(score) && score > 0.0f, worlds[w].name);
            rec_model_destroy(&model);
        }
        rec_dataset_destroy(&data);
    }
}

/* Goal: with early_stop a fit ends long before its iterations do, and what it leaves is whole. */
static void test_stops_early(void **state) {
    static const char *const cases[] = {"block=0", "block=3"};
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *settings[] = {"factors=8", "iterations=1000", "early_stop=2", cases[i], NULL};
        struct rec_model *model = fit(data, settings, REC_OK, NULL);
        struct rec_event events[3] = {{1, 1.0f, 0}, {2, 1.0f, 1}, {5, 1.0f, 2}};
        float query[8];
        CHECK_ROW(loss_count < COUNT(losses), cases[i]);
        CHECK_ROW(ask(model, events, COUNT(events), query), cases[i]);
        check_solves(model, events, COUNT(events), query, cases[i]);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: several queries in one pass over the items, in tiles, give the bits of one alone. */
static void test_tiles_keep_bits(void **state) {
    enum { MANY = 2500, QUERIES = 3, FACTORS = 64, FIRST = 7 };
    static const char *const settings[] = {"factors=64", "iterations=1", NULL};
    struct rec_dataset *data = world_random(USERS, MANY, 5);
    struct rec_model *model = fit(data, settings, REC_OK, NULL);
    float *queries = world_alloc((size_t)QUERIES * FACTORS, sizeof(float));
    float *all = world_alloc((size_t)QUERIES * MANY, sizeof(float)),
          *one = world_alloc(MANY, sizeof(float));
    struct rec_rng rng;
    (void)state;
    rec_rng_init(&rng, 1, 1);
    for (size_t i = 0; i < (size_t)QUERIES * FACTORS; i++)
        queries[i] = rec_rng_normal(&rng);
    rec_als_family.score(model, queries, QUERIES, FIRST, MANY - FIRST, all);
    for (size_t q = 0; q < QUERIES; q++) {
        rec_als_family.score(model, queries + q * FACTORS, 1, FIRST, MANY - FIRST, one);
        assert_memory_equal(one, all + q * (MANY - FIRST), (MANY - FIRST) * sizeof(float));
    }
    rec_alloc_free(queries);
    rec_alloc_free(all);
    rec_alloc_free(one);
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

/* Goal: settings at the ends of their ranges either train a finite model or say what to change. */
static void test_extreme_settings(void **state) {
    static const char *const cases[][5] = {
        {"regularization=0.000001", "alpha=1000000", NULL},
        {"regularization=0.000001", "alpha=0.001", NULL},
        {"regularization=1000000", "alpha=1000000", NULL},
        {"regularization=1000000", "alpha=0.001", NULL},
        {"regularization=0.000001", "alpha=1", "unobserved=0.000001", NULL},
        {"regularization=0.000001", "alpha=0.001", "unobserved=1000000", NULL},
        {"regularization=1000000", "alpha=1000000", "unobserved=1000000", "frequency_power=1",
         NULL},
        {"regularization=0.000001", "alpha=1000000", "unobserved=0.000001", "block=16", NULL},
        {"regularization=1000000", "alpha=1000000", "frequency_power=1", "block=5", NULL},
    };
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_model *model = fit(data, cases[i], REC_OK, NULL);
        const float *y = model->tensors.tensor[0].data;
        for (size_t k = 0; k < (size_t)ITEMS * 64; k++)
            CHECK_ROW(isfinite(y[k]), cases[i][1]);
        rec_model_destroy(&model);
    }
    static const char *const too_much[] = {"alpha=1000000", NULL};
    struct rec_error err = {0};
    data->weight[0] = 1e9f;
    assert_null(fit(data, too_much, REC_BAD_INPUT, &err));
    assert_non_null(strstr(err.text, "lower alpha"));
    rec_dataset_destroy(&data);
}

/* Goal: a model file whose numbers are out of range or do not belong together is refused by name.
 */
static void test_open_refuses(void **state) {
    static const struct {
        const char *name;
        size_t tensor;
        float value;
        const char *says;
    } cases[] = {
        {"a factor that overflows", 0, 1e13f, "item_factors"},
        {"a factor that is not a number", 0, NAN, "item_factors"},
        {"an infinite gramian", 1, INFINITY, "gramian"},
        {"a gramian that is none", 1, -1e6f, "positive definite"},
    };
    static const char *const settings[] = {"factors=8", NULL};
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    struct rec_model *model = fit(data, settings, REC_OK, NULL);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_model copy = *model; /* same tensors, own caches */
        struct rec_error err = {0};
        float *value = model->tensors.tensor[cases[i].tensor].data, kept = value[0];
        value[0] = cases[i].value;
        copy.self = NULL;
        CHECK_ROW(rec_als_family.open(&copy, &err) == REC_CORRUPT, cases[i].name);
        CHECK_ROW(strstr(err.text, cases[i].says) != NULL, cases[i].name);
        value[0] = kept;
    }
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

/* Goal: a file whose factors are in range but whose gramian is not theirs can blow the solution up;
 * then the history counts as saying nothing, and no score overflows. */
static void test_foreign_gramian(void **state) {
    static const char *const settings[] = {"factors=8", "regularization=0.000001", NULL};
    const struct rec_event liked = {1, 1.0f, 0};
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    struct rec_model *model = fit(data, settings, REC_OK, NULL);
    float *y = model->tensors.tensor[0].data, query[8];
    (void)state;
    for (size_t i = 0; i < (size_t)ITEMS * 8; i++)
        y[i] = 1e12f;
    memset(model->tensors.tensor[1].data, 0, 8 * 8 * sizeof(float));
    rec_als_family.close(model);
    assert_int_equal(rec_als_family.open(model, NULL), REC_OK);
    assert_false(ask(model, &liked, 1, query));
    for (size_t i = 0; i < COUNT(query); i++)
        assert_true(query[i] == 0.0f);
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_solves_its_equations), cmocka_unit_test(test_halves_make_wholes),
        cmocka_unit_test(test_tiles_keep_bits),      cmocka_unit_test(test_extreme_settings),
        cmocka_unit_test(test_open_refuses),         cmocka_unit_test(test_foreign_gramian),
        cmocka_unit_test(test_blocks_go_downhill),   cmocka_unit_test(test_one_block_is_exact),
        cmocka_unit_test(test_smallest_data),        cmocka_unit_test(test_stops_early),
    };
    return rec_kernels_init(NULL) == REC_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
