#include <math.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "model/toy.h"

static const char *const losses[] = {"bpr", "bce", NULL};

static const struct rec_param params[] = {
    {.name = "factors",
     .type = REC_PARAM_INT,
     .min = 1,
     .max = REC_FACTORS_MAX,
     .standard = 8,
     .help = "columns"},
    {.name = "regularization",
     .type = REC_PARAM_FLOAT,
     .min = 1e-6,
     .max = 1e3,
     .log_scale = true,
     .standard = 0.01,
     .help = "against large factors"},
    {.name = "bias", .type = REC_PARAM_BOOL, .standard = 1, .max = 1, .help = "a bias an item"},
    {.name = "loss", .type = REC_PARAM_CHOICE, .choices = losses, .max = 1, .help = "what to fit"},
};

static enum rec_status toy_fit(const struct rec_fit *fit, struct rec_tensors *out,
                               struct rec_error *err) {
    const struct rec_dataset *data = fit->data;
    void *weight = NULL, *order = NULL, *offset = NULL, *flag = NULL;
    struct rec_rng rng;
    rec_rng_init(&rng, fit->seed, 0);
    enum rec_status st;
    if (rec_progress_cancelled(fit->progress))
        return rec_error_set(err, REC_CANCELLED, "toy: cancelled");
    if ((st = rec_tensors_add(out, "weight", REC_TENSOR_F32, data->items, 1, &weight, err)) != 0 ||
        (st = rec_tensors_add(out, "order", REC_TENSOR_U32, 1, data->items, &order, err)) != 0 ||
        (st = rec_tensors_add(out, "offset", REC_TENSOR_U64, 1, 3, &offset, err)) != 0 ||
        (st = rec_tensors_add(out, "flag", REC_TENSOR_U8, data->items, 1, &flag, err)) != 0) {
        rec_tensors_finish(out);
        return st;
    }
    for (uint32_t i = 0; i < data->items; i++) {
        ((float *)weight)[i] = rec_rng_uniform(&rng);
        ((uint32_t *)order)[i] = data->items - 1 - i;
        ((uint8_t *)flag)[i] = (uint8_t)(i % 2);
    }
    ((uint64_t *)offset)[2] = fit->seed;
    return REC_OK;
}

static enum rec_status toy_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_tensor *weight = NULL, *other = NULL;
    const struct rec_tensors *set = &model->tensors;
    enum rec_status st;
    if ((st = rec_tensors_get(set, "weight", REC_TENSOR_F32, model->items, 1, &weight, err)) != 0 ||
        (st = rec_tensors_get(set, "order", REC_TENSOR_U32, 1, model->items, &other, err)) != 0 ||
        (st = rec_tensors_get(set, "offset", REC_TENSOR_U64, 1, 3, &other, err)) != 0 ||
        (st = rec_tensors_get(set, "flag", REC_TENSOR_U8, model->items, 1, &other, err)) != 0)
        return st;
    for (uint32_t i = 0; i < model->items; i++)
        if (!isfinite(((const float *)weight->data)[i]))
            return rec_error_set(err, REC_CORRUPT, "toy: weight %u is not finite", i);
    model->self = rec_alloc_array(1, 16);
    if (model->self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "toy: no memory");
    model->query_floats = 1;
    return REC_OK;
}

static void toy_close(struct rec_model *model) {
    rec_alloc_free(model->self);
}

static bool toy_query(const struct rec_model *model, const struct rec_history *history,
                      float *query, float *scratch) {
    (void)model;
    (void)scratch;
    query[0] = (float)history->count;
    return history->count > 0;
}

static void toy_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                      uint32_t count, float *scores) {
    const float *weight = model->tensors.tensor[0].data;
    for (size_t row = 0; row < n; row++)
        for (uint32_t i = 0; i < count; i++)
            scores[row * count + i] = queries[row] * weight[first + i];
}

static void toy_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                        uint32_t count, float *scores) {
    const float *weight = model->tensors.tensor[0].data;
    for (uint32_t i = 0; i < count; i++)
        scores[i] = weight[item] * weight[first + i];
}

const struct rec_family toy_family = {
    .name = "toy",
    .help = "for tests",
    .params = params,
    .param_count = COUNT(params),
    .fit = toy_fit,
    .open = toy_open,
    .close = toy_close,
    .query = toy_query,
    .score = toy_score,
    .similar = toy_similar,
};

const struct rec_family *const toy_families[] = {&toy_family, NULL};

const struct rec_dataset *toy_dataset(void) {
    static uint64_t offset[TOY_USERS + 1];
    static uint32_t item[TOY_EVENTS], time[TOY_EVENTS];
    static float weight[TOY_EVENTS];
    static const struct rec_dataset data = {.users = TOY_USERS,
                                            .items = TOY_ITEMS,
                                            .offset = offset,
                                            .item = item,
                                            .weight = weight,
                                            .time = time};
    for (uint32_t e = 0; e < TOY_EVENTS; e++) {
        item[e] = e * 7 % TOY_ITEMS;
        time[e] = e;
        weight[e] = 1.0f;
    }
    for (uint32_t user = 0; user <= TOY_USERS; user++)
        offset[user] = user * (TOY_EVENTS / TOY_USERS);
    return &data;
}

struct rec_model *toy_model(uint64_t seed) {
    struct rec_params values;
    struct rec_model *model = NULL;
    struct rec_error err = {.status = REC_OK};
    rec_params_defaults(params, COUNT(params), &values);
    struct rec_fit fit = {.data = toy_dataset(), .params = &values, .seed = seed};
    if (rec_model_fit(&toy_family, &fit, &model, &err) != REC_OK)
        fail_msg("%s", err.text);
    return model;
}

struct rec_model_info toy_info(void) {
    struct rec_model_info info = {.items = TOY_ITEMS, .recorded = TOY_EVENTS, .trained_at = -5};
    (void)snprintf(info.version, sizeof(info.version), "20261122T101500Z-toy-5f3a");
    (void)snprintf(info.database, sizeof(info.database), "00112233445566778899aabbccddeeff");
    (void)snprintf(info.metrics, sizeof(info.metrics), "{\"ndcg\": 0.038}");
    return info;
}
