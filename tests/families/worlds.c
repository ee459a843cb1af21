#include <math.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "families/worlds.h"

int world_start(void **state) {
    struct rec_error err = {.status = REC_OK};
    (void)state;
    if (rec_dense_init(&err) == REC_OK && rec_kernels_init(&err) == REC_OK)
        return 0;
    (void)fprintf(stderr, "%s\n", err.text);
    return -1;
}

enum { ROWS_MAX = 20000, EVENTS_PER_USER = 12 };

static struct rec_dataset_row rows[ROWS_MAX];

static struct rec_dataset *made(size_t count, uint32_t users, uint32_t items) {
    struct rec_dataset *data = NULL;
    struct rec_error err = {.status = REC_OK};
    if (rec_dataset_from_rows(rows, count, users, items, &data, &err) != REC_OK)
        fail_msg("%s", err.text);
    return data;
}

static void put(size_t *count, uint32_t user, uint32_t item, float weight) {
    assert_true(*count < ROWS_MAX);
    rows[*count] = (struct rec_dataset_row){
        .user = user, .item = item, .time = 1000000 + (uint32_t)*count, .weight = weight};
    (*count)++;
}

struct rec_dataset *world_checkerboard(uint32_t size) {
    size_t count = 0;
    for (uint32_t user = 0; user < size; user++)
        for (uint32_t step = 2; step < size; step += 2)
            put(&count, user, (user + step) % size, 1.0f);
    return made(count, size, size);
}

struct rec_dataset *world_random(uint32_t users, uint32_t items, uint64_t seed) {
    static const float weights[] = {0.0f, 0.2f, 1.0f, 1.0f};
    struct rec_rng rng;
    size_t count = 0;
    rec_rng_init(&rng, seed, 0);
    for (uint32_t user = 0; user < users; user++)
        for (uint32_t e = 0; e < EVENTS_PER_USER; e++) {
            float u = rec_rng_uniform(&rng);
            put(&count, user, (uint32_t)(u * u * (float)items),
                e == 0 ? 1.0f : weights[rec_rng_below(&rng, COUNT(weights))]);
        }
    return made(count, users, items);
}

struct rec_dataset *world_full(uint32_t users, uint32_t items) {
    size_t count = 0;
    for (uint32_t user = 0; user < users; user++)
        for (uint32_t item = 0; item < items; item++)
            put(&count, user, item, 1.0f);
    return made(count, users, items);
}

struct rec_history world_history(const struct rec_dataset *data, uint32_t user,
                                 struct rec_event *events) {
    size_t count = 0;
    for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++) {
        assert_true(count < HISTORY_MAX);
        events[count++] = (struct rec_event){
            .item = data->item[e], .weight = data->weight[e], .time = data->time[e]};
    }
    return (struct rec_history){.events = events, .count = count, .user = user};
}

struct rec_params world_params(const struct rec_family *family) {
    static const struct {
        const char *name;
        double value;
    } small[] = {{"factors", 8}, {"hidden", 32}, {"code", 8}};
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    for (size_t i = 0; i < family->param_count; i++)
        for (size_t j = 0; j < COUNT(small); j++)
            if (strcmp(family->params[i].name, small[j].name) == 0)
                params.value[i] = small[j].value;
    return params;
}

enum rec_status world_try(const struct rec_family *family, const struct rec_dataset *data,
                          const char *settings, uint64_t seed, struct rec_pool *pool,
                          struct rec_model **out, struct rec_error *err) {
    struct rec_params params = world_params(family);
    struct rec_fit fit = {.data = data, .params = &params, .seed = seed, .pool = pool};
    CHECK_ROW(rec_params_read(&params, settings, NULL) == REC_OK, settings);
    return rec_model_fit(family, &fit, out, err);
}

struct rec_model *world_fit(const struct rec_family *family, const struct rec_dataset *data,
                            uint64_t seed, struct rec_pool *pool) {
    struct rec_model *model = NULL;
    struct rec_error err = {.status = REC_OK};
    if (world_try(family, data, "", seed, pool, &model, &err) != REC_OK)
        fail_msg("%s: %s", family->name, err.text);
    return model;
}

const char *world_few_epochs(const struct rec_family *family) {
    for (size_t i = 0; i < family->param_count; i++)
        if (strcmp(family->params[i].name, "epochs") == 0)
            return "epochs=3";
    return "";
}

bool world_score(const struct rec_model *model, const struct rec_history *history, float *scores) {
    float *query = world_alloc(model->query_floats, sizeof(*query));
    float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
    memset(scratch, 0xff, model->scratch_floats * sizeof(*scratch)); /* NaN: nothing is assumed */
    bool says = model->family->query(model, history, query, scratch);
    for (size_t i = 0; !says && i < model->query_floats; i++)
        CHECK_ROW(query[i] == 0.0f, model->family->name);
    model->family->score(model, query, 1, 0, model->items, scores);
    for (uint32_t i = 0; i < model->items; i++)
        CHECK_ROW(isfinite(scores[i]), model->family->name);
    rec_alloc_free(scratch);
    rec_alloc_free(query);
    return says;
}

bool world_same(const struct rec_model *a, const struct rec_model *b) {
    static const size_t element[] = {
        [REC_TENSOR_F32] = 4, [REC_TENSOR_U32] = 4, [REC_TENSOR_U64] = 8, [REC_TENSOR_U8] = 1};
    if (a->items != b->items || a->tensors.count != b->tensors.count ||
        a->query_floats != b->query_floats || a->scratch_floats != b->scratch_floats)
        return false;
    for (size_t i = 0; i < a->tensors.count; i++) {
        const struct rec_tensor *x = &a->tensors.tensor[i], *y = &b->tensors.tensor[i];
        if (strcmp(x->name, y->name) != 0 || x->type != y->type || x->rows != y->rows ||
            x->cols != y->cols ||
            memcmp(x->data, y->data, x->rows * x->cols * element[x->type]) != 0)
            return false;
    }
    return true;
}

void *world_alloc(size_t count, size_t size) {
    void *block = rec_alloc_array(count, size);
    assert_non_null(block);
    return block;
}
