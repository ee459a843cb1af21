/* Goal: early stopping holds out one liked event of each asked user and nothing else, ranks the
 * models it is shown, keeps the bits of the best, says when patience is at its end, and lets
 * whoever watches give the fit up. */
#include <string.h>

#include "families/earlystop.h"
#include "families/worlds.h"
#include "test.h"

enum { USERS = 40, PATIENCE = 2 };

static struct rec_params params;

static struct rec_fit fit_of(const struct rec_dataset *data) {
    rec_params_defaults(rec_ease_family.params, rec_ease_family.param_count, &params);
    return (struct rec_fit){.data = data, .params = &params, .seed = 1};
}

static void test_what_is_held_out(void **state) {
    (void)state;
    struct rec_dataset *data = world_checkerboard(USERS);
    const struct rec_fit fit = fit_of(data);
    struct rec_earlystop stop;
    assert_int_equal(rec_earlystop_begin(&stop, &fit, &rec_ease_family, PATIENCE, NULL), REC_OK);
    assert_true(stop.on);
    for (uint32_t u = 0; u < USERS; u++) {
        uint64_t all = data->offset[u + 1] - data->offset[u];
        assert_int_equal(stop.train->offset[u + 1] - stop.train->offset[u], all - 1);
        assert_memory_equal(stop.train->item + stop.train->offset[u], data->item + data->offset[u],
                            (all - 1) * sizeof(uint32_t));
        assert_int_equal(stop.held_out->item[u], data->item[data->offset[u + 1] - 1]);
    }
    rec_earlystop_end(&stop, NULL);
    rec_dataset_destroy(&data);
}

static void test_repeated_items_are_held_out_whole(void **state) {
    (void)state;
    struct rec_dataset *data = world_random(USERS, 30, 5);
    const struct rec_fit fit = fit_of(data);
    struct rec_earlystop stop;
    assert_int_equal(rec_earlystop_begin(&stop, &fit, &rec_ease_family, PATIENCE, NULL), REC_OK);
    for (uint32_t u = 0; u < USERS; u++)
        for (uint64_t h = stop.held_out->offset[u]; h < stop.held_out->offset[u + 1]; h++)
            for (uint64_t e = stop.train->offset[u]; e < stop.train->offset[u + 1]; e++)
                assert_int_not_equal(stop.train->item[e], stop.held_out->item[h]);
    rec_earlystop_end(&stop, NULL);
    rec_dataset_destroy(&data);
}

static void test_off(void **state) {
    (void)state;
    struct rec_dataset *data = world_checkerboard(USERS), *few = world_checkerboard(8);
    struct rec_fit fit = fit_of(data);
    struct rec_earlystop stop;
    struct rec_tensors none = {.count = 0};
    assert_int_equal(rec_earlystop_begin(&stop, &fit, &rec_ease_family, 0, NULL), REC_OK);
    assert_true(!stop.on && stop.train == data);
    assert_int_equal(rec_earlystop_judge(&stop, &none, 1, NULL), REC_OK);
    rec_earlystop_end(&stop, &none);
    fit.data = few;
    assert_int_equal(rec_earlystop_begin(&stop, &fit, &rec_ease_family, PATIENCE, NULL), REC_OK);
    assert_true(!stop.on && stop.train == few);
    rec_earlystop_end(&stop, &none);
    rec_dataset_destroy(&data);
    rec_dataset_destroy(&few);
}

/* Tensors of EASE on what is not held out, with every weight times `by`. */
static void learn(const struct rec_earlystop *stop, float by, struct rec_tensors *out) {
    struct rec_fit fit = *stop->fit;
    fit.data = stop->train;
    assert_int_equal(rec_ease_family.fit(&fit, out, NULL), REC_OK);
    for (size_t t = 0; t < out->count; t++) {
        float *value = out->tensor[t].data;
        if (out->tensor[t].type != REC_TENSOR_F32)
            continue;
        for (size_t i = 0; i < out->tensor[t].rows * out->tensor[t].cols; i++)
            value[i] *= by;
    }
}

static void test_keeps_the_best(void **state) {
    (void)state;
    struct rec_dataset *data = world_checkerboard(USERS);
    const struct rec_fit fit = fit_of(data);
    struct rec_earlystop stop;
    struct rec_tensors good = {.count = 0}, bad = {.count = 0}, want = {.count = 0};
    assert_int_equal(rec_earlystop_begin(&stop, &fit, &rec_ease_family, PATIENCE, NULL), REC_OK);
    learn(&stop, 1, &good);
    learn(&stop, 0, &bad);
    assert_int_equal(rec_tensors_copy(&good, &want, NULL), REC_OK);

    assert_int_equal(rec_earlystop_judge(&stop, &bad, 1, NULL), REC_OK);
    double first = stop.best;
    assert_int_equal(rec_earlystop_judge(&stop, &good, 2, NULL), REC_OK);
    assert_true(stop.best > first && !stop.done);
    assert_int_equal(rec_earlystop_judge(&stop, &bad, 3, NULL), REC_OK);
    assert_false(stop.done);
    assert_int_equal(rec_earlystop_judge(&stop, &bad, 4, NULL), REC_OK);
    assert_true(stop.done);

    rec_earlystop_end(&stop, &bad);
    assert_int_equal(bad.count, want.count);
    for (size_t t = 0; t < want.count; t++)
        assert_memory_equal(bad.tensor[t].data, want.tensor[t].data,
                            want.tensor[t].rows * want.tensor[t].cols * sizeof(float));
    rec_tensors_finish(&good);
    rec_tensors_finish(&bad);
    rec_tensors_finish(&want);
    rec_dataset_destroy(&data);
}

static bool give_up(void *context, size_t epoch, double metric) {
    double *seen = context;
    *seen = metric;
    return epoch < 7;
}

static void test_given_up(void **state) {
    (void)state;
    struct rec_dataset *data = world_checkerboard(USERS);
    double seen = -1;
    const struct rec_progress progress = {.context = &seen, .judged = give_up};
    struct rec_fit fit = fit_of(data);
    struct rec_earlystop stop;
    struct rec_tensors tensors = {.count = 0};
    struct rec_error err = {0};
    fit.progress = &progress;
    assert_int_equal(rec_earlystop_begin(&stop, &fit, &rec_ease_family, PATIENCE, &err), REC_OK);
    learn(&stop, 1, &tensors);
    assert_int_equal(rec_earlystop_judge(&stop, &tensors, 6, &err), REC_OK);
    assert_true(seen == stop.best);
    assert_int_equal(rec_earlystop_judge(&stop, &tensors, 7, &err), REC_CANCELLED);
    assert_non_null(strstr(err.text, "epoch 7"));
    rec_earlystop_end(&stop, NULL);
    rec_tensors_finish(&tensors);
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_held_out),
        cmocka_unit_test(test_repeated_items_are_held_out_whole),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_keeps_the_best),
        cmocka_unit_test(test_given_up),
    };
    return cmocka_run_group_tests(tests, world_start, NULL);
}
