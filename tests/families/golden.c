/* Fit, ask and compare; see golden.h. */
#include "families/golden.h"

#include <math.h>

#include "families/item_rows.h"
#include "families/worlds.h"
#include "linalg/variants.h"
#include "test.h"

static void keep_loss(void *context, const char *phase, double fraction, double loss) {
    (void)phase;
    (void)fraction;
    *(double *)context = loss;
}

struct rec_model *golden_fit(const struct golden_world *world, const struct rec_family *family,
                             const char *parameters, double *loss) {
    double last_loss = NAN;
    const struct rec_progress progress = {.report = keep_loss, .context = &last_loss};
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    struct rec_error err = {.status = REC_OK};
    rec_params_defaults(family->params, family->param_count, &params);
    if (rec_params_read(&params, parameters, &err) != REC_OK ||
        rec_dataset_from_rows(world->rows, world->row_count, world->users, world->items, &data,
                              &err) != REC_OK)
        fail_msg("%s: %s", family->name, err.text);
    const struct rec_fit fit = {
        .data = data, .params = &params, .seed = world->seed, .progress = &progress};
    if (rec_model_fit(family, &fit, &model, &err) != REC_OK)
        fail_msg("%s: %s", family->name, err.text);
    rec_dataset_destroy(&data);
    if (loss != NULL)
        *loss = last_loss;
    return model;
}

void golden_check(const struct golden_row *row, const char *what, const float *got,
                  const double *want, size_t n) {
    double largest = 0.0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < n; i++) {
        double allowed = row->of_largest * largest + row->of_each * fabs(want[i]) + row->always;
        if (!(fabs((double)got[i] - want[i]) <= allowed))
            fail_msg("%s, %s: %s[%zu] is %.9g, expected %.9g within %g", rec_kernels_name(),
                     row->name, what, i, (double)got[i], want[i], allowed);
    }
}

void golden_check_tensor(const struct golden_row *row, const struct rec_model *model,
                         const char *name, const double *want, size_t n) {
    const struct rec_tensor *tensor = NULL;
    assert_int_equal(rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, 0, 0, &tensor, NULL),
                     REC_OK);
    assert_int_equal(tensor->rows * tensor->cols, n);
    golden_check(row, name, tensor->data, want, n);
}

void golden_check_item_rows(const struct golden_row *row, const struct rec_model *model,
                            const double *want) {
    float *dense = world_alloc(model->items, sizeof(*dense));
    for (uint32_t i = 0; i < model->items; i++) {
        for (uint32_t j = 0; j < model->items; j++)
            dense[j] = rec_item_rows_weight(model, i, j);
        golden_check(row, "row", dense, want + (size_t)i * model->items, model->items);
    }
    rec_alloc_free(dense);
}

/* Twice: what the first time left in scratch must not be seen. */
static void check_scores(const struct golden_row *row, const struct golden_world *world,
                         const struct rec_model *model, const struct golden_answers *want) {
    float *query = world_alloc(model->query_floats, sizeof(*query));
    float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
    float *scores = world_alloc(world->items, sizeof(*scores));
    if (want->query != NULL)
        assert_int_equal(model->query_floats, want->query_floats);
    for (int again = 0; again < 2; again++) {
        CHECK_ROW(model->family->query(model, &world->history, query, scratch), row->name);
        if (want->query != NULL)
            golden_check(row, "query", query, want->query, want->query_floats);
        model->family->score(model, query, 1, 0, world->items, scores);
        golden_check(row, "scores", scores, want->scores, world->items);
    }
    rec_alloc_free(scores);
    rec_alloc_free(scratch);
    rec_alloc_free(query);
}

static void check_shares(const struct golden_row *row, const struct golden_world *world,
                         const struct rec_model *model, const double *want) {
    size_t count = world->items * world->history.count;
    float *shares = world_alloc(count, sizeof(*shares));
    float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
    uint32_t *items = world_alloc(world->items, sizeof(*items));
    for (uint32_t i = 0; i < world->items; i++)
        items[i] = i;
    model->family->explain(model, &world->history, items, world->items, shares, scratch);
    golden_check(row, "shares", shares, want, count);
    rec_alloc_free(items);
    rec_alloc_free(scratch);
    rec_alloc_free(shares);
}

static void check_similar(const struct golden_row *row, const struct golden_world *world,
                          const struct rec_model *model, const struct golden_answers *want) {
    size_t items = world->items;
    float *similar = world_alloc(items, sizeof(*similar));
    for (uint32_t i = 0; i < items; i++) {
        model->family->similar(model, i, 0, world->items, similar);
        if (want->others_only)
            similar[i] = (float)want->similar[i * items + i];
        golden_check(row, "similar", similar, want->similar + i * items, items);
    }
    rec_alloc_free(similar);
}

void golden_check_answers(const struct golden_row *row, const struct golden_world *world,
                          const struct rec_model *model, const struct golden_answers *want) {
    check_scores(row, world, model, want);
    if (want->shares != NULL)
        check_shares(row, world, model, want->shares);
    if (want->similar != NULL)
        check_similar(row, world, model, want);
}

struct every_variant {
    void (*check)(void);
};

static void run(void **state) {
    const struct every_variant *every = *state;
    for_each_variant(every->check);
}

int golden_main(void (*check)(void)) {
    struct every_variant every = {check};
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(run, &every)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
