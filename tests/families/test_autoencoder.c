/* Goal: what dae and mult-vae promise beyond the contract of all families (test_conformance.c) and
 * the golden numbers: a training that explodes says so and leaves nothing, a batch may be larger
 * than the data, parameters do what their help says, and the estimate of memory follows the sizes.
 */
#include <math.h>
#include <string.h>

#include "test.h"
#include "families/worlds.h"

enum { USERS = 60, ITEMS = 83 };

static const struct rec_family *const families[] = {&rec_dae_family, &rec_multvae_family};

/* What is watched of a fit. */
struct watch {
    double fraction, loss;
};

static void on_report(void *context, const char *phase, double fraction, double loss) {
    struct watch *watch = context;
    (void)phase;
    watch->fraction = fraction;
    watch->loss = loss;
}

static struct rec_model *fit(const struct rec_family *family, const struct rec_dataset *data,
                             const char *settings, struct watch *watch, enum rec_status want,
                             struct rec_error *err) {
    struct rec_model *model = NULL;
    struct rec_params params = world_params(family);
    struct watch none;
    const struct rec_progress progress = {.report = on_report,
                                          .context = watch != NULL ? watch : &none};
    assert_int_equal(rec_params_read(&params, settings, err), REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 3, .progress = &progress};
    enum rec_status st = rec_model_fit(family, &options, &model, err);
    if (st != want)
        fail_msg("%s %s: %s, '%s'", family->name, settings, rec_error_name(st),
                 err == NULL ? "" : err->text);
    return model;
}

/* Goal: a learning rate that is far too high ends in an error with the epoch and the loss, and in
 * nothing else. */
static void test_explosion(void **state) {
    (void)state;
    static const struct {
        const struct rec_family *family;
        const char *settings;
    } rows[] = {
        {&rec_dae_family, "learning_rate=1e6 activation=relu early_stop=0"},
        {&rec_dae_family, "learning_rate=1e6 loss=bce early_stop=0"},
        {&rec_multvae_family, "learning_rate=10 early_stop=0"},
        {&rec_multvae_family, "learning_rate=10 early_stop=2"},
    };
    struct rec_dataset *data = world_random(USERS, ITEMS, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_error err = {.status = REC_OK};
        size_t live = rec_alloc_live();
        struct rec_model *model =
            fit(rows[i].family, data, rows[i].settings, NULL, REC_BAD_INPUT, &err);
        CHECK_ROW(model == NULL && rec_alloc_live() == live, rows[i].settings);
        CHECK_ROW(strstr(err.text, "the loss in epoch ") != NULL, rows[i].settings);
        CHECK_ROW(strstr(err.text, "lower learning_rate") != NULL, rows[i].settings);
    }
    rec_dataset_destroy(&data);
}

/* Goal: of a batch that is larger than the data the data are one batch. */
static void test_large_batch(void **state) {
    (void)state;
    struct rec_dataset *data = world_random(USERS, ITEMS, 2);
    for (size_t i = 0; i < COUNT(families); i++) {
        struct rec_model *all = fit(families[i], data, "batch=60 epochs=3", NULL, REC_OK, NULL);
        struct rec_model *more = fit(families[i], data, "batch=8192 epochs=3", NULL, REC_OK, NULL);
        struct rec_model *few = fit(families[i], data, "batch=59 epochs=3", NULL, REC_OK, NULL);
        CHECK_ROW(world_same(all, more), families[i]->name);
        CHECK_ROW(!world_same(all, few), families[i]->name);
        rec_model_destroy(&all);
        rec_model_destroy(&more);
        rec_model_destroy(&few);
    }
    rec_dataset_destroy(&data);
}

/* Two events of a pair, one event of both weights, one of weight 1; user 2 likes nothing. */
static const struct rec_dataset_row
    twice[] = {{0, 0, 1, 1.0f}, {0, 0, 2, 1.0f}, {0, 1, 3, 1.0f},
               {1, 1, 1, 0.5f}, {1, 2, 2, 1.0f}, {2, 2, 3, 0.0f}},
    once[] = {{0, 0, 1, 2.0f}, {0, 1, 3, 1.0f}, {1, 1, 1, 0.5f}, {1, 2, 2, 1.0f}},
    plain[] = {{0, 0, 1, 1.0f}, {0, 1, 3, 1.0f}, {1, 1, 1, 1.0f}, {1, 2, 2, 1.0f}},
    heavy[] = {{0, 0, 1, 1e20f}, {1, 1, 2, 1.0f}};

static struct rec_dataset *made(const struct rec_dataset_row *rows, size_t count) {
    struct rec_dataset *data = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, count, 3, 3, &data, NULL), REC_OK);
    return data;
}

/* Goal: weights of a pair add up, and do not count when the input is binary: in training and in
 * answers alike. */
static void test_weights(void **state) {
    (void)state;
    static const struct rec_event heard[] = {{0, 1.0f, 1}, {0, 1.0f, 2}, {1, 0.5f, 3}},
                                  added[] = {{0, 2.0f, 1}, {1, 0.5f, 3}},
                                  ones[] = {{0, 1.0f, 1}, {1, 1.0f, 3}};
    const struct rec_history histories[] = {
        {heard, 3, UINT32_MAX}, {added, 2, UINT32_MAX}, {ones, 2, UINT32_MAX}};
    struct rec_dataset *data[] = {made(twice, COUNT(twice)), made(once, COUNT(once)),
                                  made(plain, COUNT(plain))};
    for (size_t i = 0; i < COUNT(families); i++)
        for (size_t binary = 0; binary <= 1; binary++) {
            const char *settings = binary ? "epochs=5 input=binary" : "epochs=5";
            struct rec_model *model[3];
            float scores[3][3];
            for (size_t d = 0; d < 3; d++) {
                model[d] = fit(families[i], data[d], settings, NULL, REC_OK, NULL);
                world_score(model[0], &histories[d], scores[d]);
            }
            CHECK_ROW(world_same(model[0], model[1]), families[i]->name);
            CHECK_ROW(world_same(model[0], model[2]) == (binary == 1), families[i]->name);
            CHECK_ROW(memcmp(scores[0], scores[1], sizeof(scores[0])) == 0, families[i]->name);
            bool same = memcmp(scores[0], scores[2], sizeof(scores[0])) == 0;
            CHECK_ROW(same == (binary == 1), families[i]->name);
            for (size_t d = 0; d < 3; d++)
                rec_model_destroy(&model[d]);
        }
    for (size_t d = 0; d < 3; d++)
        rec_dataset_destroy(&data[d]);
}

/* Goal: a weight that squares out of a float is refused, and how to go on is said and works. */
static void test_heavy_weights(void **state) {
    (void)state;
    struct rec_dataset *data = made(heavy, COUNT(heavy));
    for (size_t i = 0; i < COUNT(families); i++) {
        struct rec_error err = {.status = REC_OK};
        (void)fit(families[i], data, "epochs=2", NULL, REC_BAD_INPUT, &err);
        CHECK_ROW(strstr(err.text, "set input=binary") != NULL, families[i]->name);
        struct rec_model *model =
            fit(families[i], data, "epochs=2 input=binary", NULL, REC_OK, NULL);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: an item that nobody had says nothing, and does not make what is said beside it quieter. */
static void test_unknown_item(void **state) {
    (void)state;
    static const struct rec_dataset_row rows[] = {
        {0, 0, 1, 1.0f}, {0, 1, 2, 1.0f}, {1, 1, 1, 1.0f}};
    static const struct rec_event both[] = {{0, 1.0f, 1}, {2, 1.0f, 2}};
    const struct rec_history alone = {both + 1, 1, UINT32_MAX}, beside = {both, 2, UINT32_MAX},
                             known = {both, 1, UINT32_MAX};
    struct rec_dataset *data = made(rows, COUNT(rows));
    for (size_t i = 0; i < COUNT(families); i++) {
        struct rec_model *model = fit(families[i], data, "epochs=3", NULL, REC_OK, NULL);
        float scores[2][3];
        CHECK_ROW(!world_score(model, &alone, scores[0]), families[i]->name);
        CHECK_ROW(world_score(model, &beside, scores[0]), families[i]->name);
        CHECK_ROW(world_score(model, &known, scores[1]), families[i]->name);
        CHECK_ROW(memcmp(scores[0], scores[1], sizeof(scores[0])) == 0, families[i]->name);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: training learns: the loss falls; and it stops when held-out users gain nothing more. */
static void test_learning(void **state) {
    (void)state;
    struct rec_dataset *data = world_checkerboard(40);
    for (size_t i = 0; i < COUNT(families); i++) {
        struct watch early = {0, 0}, late = {0, 0}, stopped = {0, 0};
        struct rec_model *models[] = {
            fit(families[i], data, "early_stop=0 epochs=2", &early, REC_OK, NULL),
            fit(families[i], data, "early_stop=0 epochs=60", &late, REC_OK, NULL),
            fit(families[i], data, "early_stop=1 epochs=5000", &stopped, REC_OK, NULL)};
        CHECK_ROW(early.fraction == 1 && late.fraction == 1, families[i]->name);
        CHECK_ROW(late.loss < 0.9 * early.loss, families[i]->name);
        CHECK_ROW(stopped.fraction < 0.5, families[i]->name);
        for (size_t m = 0; m < COUNT(models); m++)
            rec_model_destroy(&models[m]);
    }
    rec_dataset_destroy(&data);
}

/* Goal: the estimate grows by what a wider layer and a larger batch add. */
static void test_estimate(void **state) {
    (void)state;
    static const struct {
        const char *settings;
        size_t added; /* beside hidden=100 code=50 batch=10 early_stop=0, at least and about */
    } rows[] = {
        {"hidden=300", 4 * 200 * (3 * (ITEMS + 1) + 4 * ITEMS)},
        {"batch=50", 4 * 40 * (4 * 100 + 2 * 50 + ITEMS)},
        {"early_stop=5", 2 * 4 * 100 * 2 * ITEMS},
    };
    struct rec_dataset *data = world_random(USERS, ITEMS, 4);
    for (size_t f = 0; f < COUNT(families); f++) {
        struct rec_params params = world_params(families[f]);
        const struct rec_fit options = {.data = data, .params = &params};
        (void)rec_params_read(&params, "hidden=100 code=50 batch=10 early_stop=0", NULL);
        size_t base = families[f]->fit_bytes(&options);
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct rec_params kept = params;
            assert_int_equal(rec_params_read(&params, rows[i].settings, NULL), REC_OK);
            size_t added = families[f]->fit_bytes(&options) - base;
            CHECK_ROW(added >= rows[i].added && added < 4 * rows[i].added, rows[i].settings);
            params = kept;
        }
    }
    rec_dataset_destroy(&data);
}

static int start(void **state) {
    struct rec_error err = {.status = REC_OK};
    (void)state;
    return rec_dense_init(&err) == REC_OK && rec_kernels_init(&err) == REC_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explosion), cmocka_unit_test(test_large_batch),
        cmocka_unit_test(test_weights),   cmocka_unit_test(test_heavy_weights),
        cmocka_unit_test(test_learning),  cmocka_unit_test(test_unknown_item),
        cmocka_unit_test(test_estimate),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
