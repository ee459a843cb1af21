/* Goal: what random, personal-popularity and blend promise beyond the contract: a lot is each
 * user's own and as likely as said; own items come first; a blend takes its members' parameters,
 * finds the member that is right, and refuses what cannot be one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "families/worlds.h"

enum { USERS = 60, ITEMS = 83 };

static struct rec_model *fit(const struct rec_family *family, const struct rec_dataset *data,
                             const char *settings, enum rec_status want, struct rec_error *err) {
    struct rec_model *model = NULL;
    struct rec_error own = {.status = REC_OK};
    struct rec_params params;
    err = err != NULL ? err : &own;
    rec_params_defaults(family->params, family->param_count, &params);
    assert_int_equal(rec_params_read(&params, settings, err), REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 1};
    if (rec_model_fit(family, &options, &model, err) != want)
        fail_msg("%s %s: %s", family->name, settings, err->text);
    return model;
}

/* Goal: by popularity an item with twice the weight comes first twice as often. How: 20,000 users
 * draw from weights 1, 2, 3 and 4; chi-square with 3 degrees of freedom is below 16.3 in 999 of
 * 1,000 draws, and the seed is fixed. */
static void test_lots(void **state) {
    enum { DRAWS = 20000, CHOICES = 4 };
    const struct rec_dataset_row rows[] = {{0, 0, 0, 1}, {0, 1, 0, 2}, {0, 2, 0, 3}, {0, 3, 0, 4}};
    struct rec_dataset *data = NULL;
    double first[CHOICES] = {0}, chi = 0.0;
    (void)state;
    assert_int_equal(rec_dataset_from_rows(rows, CHOICES, 1, CHOICES, &data, NULL), REC_OK);
    struct rec_model *model = fit(&rec_random_family, data, "by=popularity", REC_OK, NULL);
    for (uint32_t user = 0; user < DRAWS; user++) {
        const struct rec_history history = {NULL, 0, user};
        float scores[CHOICES], again[CHOICES];
        size_t best = 0;
        world_score(model, &history, scores);
        world_score(model, &history, again);
        assert_memory_equal(scores, again, sizeof(scores));
        for (size_t i = 1; i < CHOICES; i++)
            best = scores[i] > scores[best] ? i : best;
        first[best]++;
    }
    for (size_t i = 0; i < CHOICES; i++) {
        double expected = DRAWS * (double)(i + 1) / 10;
        chi += (first[i] - expected) * (first[i] - expected) / expected;
    }
    assert_true(chi < 16.3);
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

/* Goal: no popular item passes an own one, and no rarer own one a more frequent one, however old
 * the events are. */
static void test_own_first(void **state) {
    static const char *const settings[] = {"", "recency=0.5", "half_life_days=0.00001"};
    struct rec_dataset *data = world_random(USERS, ITEMS, 3);
    (void)state;
    for (size_t s = 0; s < COUNT(settings); s++) {
        struct rec_model *model =
            fit(&rec_personal_popularity_family, data, settings[s], REC_OK, NULL);
        for (uint32_t user = 0; user < USERS; user++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, user, events);
            float scores[ITEMS], least_own = INFINITY, most_other = 0.0f;
            double own[ITEMS] = {0};
            for (size_t e = 0; e < history.count; e++)
                own[events[e].item] += (double)events[e].weight;
            world_score(model, &history, scores);
            for (size_t i = 0; i < ITEMS; i++)
                if (own[i] > 0)
                    least_own = fminf(least_own, scores[i]);
                else
                    most_other = fmaxf(most_other, scores[i]);
            CHECK_ROW(least_own > most_other, settings[s]);
            for (size_t i = 0; s != 1 && i < ITEMS; i++)
                for (size_t j = 0; j < ITEMS; j++)
                    CHECK_ROW(own[i] < own[j] + 0.01 || scores[i] > scores[j], settings[s]);
        }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: weights are found: where likings go by colour, ease is right and random is not; and what
 * is set for a member reaches it, and is kept with it. */
static void test_blend_weights(void **state) {
    struct rec_dataset *board = world_checkerboard(40);
    const struct rec_tensor *found = NULL;
    (void)state;
    struct rec_model *model = fit(&rec_blend_family, board,
                                  "first=random second=ease second.regularization=7 "
                                  "second.regularization=5",
                                  REC_OK, NULL);
    assert_int_equal(
        rec_tensors_get(&model->tensors, "weights", REC_TENSOR_F32, 1, 2, &found, NULL), REC_OK);
    const float *weight = found->data;
    assert_true(weight[1] > weight[0] && weight[0] >= 0.0f);
    assert_int_equal(
        rec_tensors_get(&model->tensors, "parameters.2", REC_TENSOR_U8, 1, 0, &found, NULL),
        REC_OK);
    assert_non_null(strstr(found->data, "regularization=5 "));
    rec_model_destroy(&model);
    rec_dataset_destroy(&board);
}

/* Goal: the shares of a product add up to its scores, of items that the first member has below 0
 * too, and where it has no weight. */
static void test_product_shares(void **state) {
    static const char *const settings[] = {"second_weight=0.3", "second_weight=1000",
                                           "first_weight=0", "second_weight=0"};
    struct rec_dataset *data = world_random(USERS, ITEMS, 3);
    (void)state;
    for (size_t s = 0; s < COUNT(settings); s++) {
        char text[128];
        (void)snprintf(text, sizeof(text),
                       "combine=product first=next-item second=ease weights=given %s", settings[s]);
        struct rec_model *model = fit(&rec_blend_family, data, text, REC_OK, NULL);
        float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
        for (uint32_t user = 0; user < USERS; user++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, user, events);
            float scores[ITEMS], shares[HISTORY_MAX];
            world_score(model, &history, scores);
            for (uint32_t item = 0; item < ITEMS; item++) {
                double sum = 0.0, size = 0.0;
                model->family->explain(model, &history, &item, 1, shares, scratch);
                for (size_t e = 0; e < history.count; e++) {
                    sum += (double)shares[e];
                    size += fabs((double)shares[e]);
                }
                CHECK_ROW(fabs(sum - (double)scores[item]) <= 1e-5 * size, settings[s]);
            }
        }
        rec_alloc_free(scratch);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: in a product one item far off is no more than 6 spreads off. How: one item is more popular
 * than 99 others by more than that; what the product makes of the first member tells the factor. */
static void test_product_tail(void **state) {
    enum { MANY = 100 };
    static struct rec_dataset_row rows[2 * MANY];
    struct rec_dataset *data = NULL;
    float product[MANY], first[MANY];
    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        rows[2 * i] = (struct rec_dataset_row){i / 10, i, i, 1.0f};
        rows[2 * i + 1] = (struct rec_dataset_row){i / 10, 0, i, 100.0f};
    }
    assert_int_equal(rec_dataset_from_rows(rows, COUNT(rows), MANY / 10, MANY, &data, NULL),
                     REC_OK);
    struct rec_model *alone = fit(&rec_personal_popularity_family, data, "", REC_OK, NULL);
    struct rec_model *model = fit(&rec_blend_family, data,
                                  "combine=product second=popularity weights=given "
                                  "second_weight=0.5",
                                  REC_OK, NULL);
    struct rec_event events[HISTORY_MAX];
    struct rec_history history = world_history(data, 0, events);
    world_score(alone, &history, first);
    world_score(model, &history, product);
    double factor = (double)(product[0] / first[0]) / (double)(product[1] / first[1]);
    assert_true(fabs(log(factor) - 0.5 * 6) < 0.01); /* one event is next to nothing here */
    rec_model_destroy(&model);
    rec_model_destroy(&alone);
    rec_dataset_destroy(&data);
}

/* Goal: a product's weights are found too: all that random knows nothing of is left to ease. */
static void test_product_weights(void **state) {
    struct rec_dataset *board = world_checkerboard(40);
    const struct rec_tensor *found = NULL;
    (void)state;
    struct rec_model *model =
        fit(&rec_blend_family, board, "combine=product first=random second=ease third=popularity",
            REC_OK, NULL);
    assert_int_equal(
        rec_tensors_get(&model->tensors, "weights", REC_TENSOR_F32, 1, 3, &found, NULL), REC_OK);
    const float *weight = found->data;
    assert_true(weight[0] == 1.0f && weight[1] > 0.0f && weight[1] <= 0.5f);
    assert_true(weight[1] > weight[2]);
    rec_model_destroy(&model);
    rec_dataset_destroy(&board);
}

static const struct {
    const char *name, *settings, *says;
} refused[] = {
    {"nobody", "first=none second=none", "no member reads histories"},
    {"only what ignores histories", "first=popularity second=random", "no member reads histories"},
    {"a parameter nobody knows", "second.regularisation=5", "second: parameter 'regularisation'"},
    {"a value out of range", "second.density=2", "second: "},
};

static void test_blend_refuses(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 3);
    struct rec_params params;
    struct rec_error err = {.status = REC_OK};
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        err = (struct rec_error){.status = REC_OK};
        assert_null(fit(&rec_blend_family, data, refused[i].settings, REC_BAD_INPUT, &err));
        CHECK_ROW(strstr(err.text, refused[i].says) != NULL, refused[i].name);
    }
    rec_params_defaults(rec_blend_family.params, rec_blend_family.param_count, &params);
    assert_int_equal(rec_params_set(&params, "weights.x=1", NULL), REC_BAD_INPUT);
    assert_int_equal(rec_params_set(&params, "fourth.x=1", NULL), REC_BAD_INPUT);
    assert_int_equal(rec_params_set(&params, "first.x=1 2", NULL), REC_BAD_INPUT);
    rec_dataset_destroy(&data);
}

/* Goal: whatever families there are, each but the blend can be a member. */
static void test_members(void **state) {
    struct rec_params params;
    (void)state;
    rec_params_defaults(rec_blend_family.params, rec_blend_family.param_count, &params);
    for (size_t f = 0; rec_families[f] != NULL; f++) {
        char assignment[64];
        (void)snprintf(assignment, sizeof(assignment), "third=%s", rec_families[f]->name);
        enum rec_status want = rec_families[f] == &rec_blend_family ? REC_BAD_INPUT : REC_OK;
        CHECK_ROW(rec_params_set(&params, assignment, NULL) == want, assignment);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lots),          cmocka_unit_test(test_own_first),
        cmocka_unit_test(test_blend_weights), cmocka_unit_test(test_blend_refuses),
        cmocka_unit_test(test_members),       cmocka_unit_test(test_product_shares),
        cmocka_unit_test(test_product_tail),  cmocka_unit_test(test_product_weights),
    };
    return rec_kernels_init(NULL) == REC_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
