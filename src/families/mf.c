/* Rows of items with biases, as a model; see mf.h. */
#include "mf.h"

#include <float.h>
#include <math.h>

enum rec_status rec_mf_find(const struct rec_model *model, const float **rows,
                            struct rec_error *err) {
    uint64_t width = (uint64_t)rec_params_get(&model->params, "factors") + 1;
    const struct rec_tensor *tensor = NULL;
    enum rec_status st = rec_tensors_get(&model->tensors, "item_factors", REC_TENSOR_F32,
                                         model->items, width, &tensor, err);
    if (st != REC_OK)
        return st;
    const float *value = tensor->data;
    for (uint64_t i = 0; i < model->items * width; i++)
        if (!(fabsf(value[i]) <= REC_MF_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "%s: item_factors [%llu, %llu] is %g, expected a number within %g",
                                 model->family->name, (unsigned long long)(i / width),
                                 (unsigned long long)(i % width), (double)value[i],
                                 (double)REC_MF_VALUE_MAX);
    *rows = value;
    return REC_OK;
}

enum rec_status rec_mf_open(struct rec_model *model, size_t self_bytes, size_t extra,
                            float **values, struct rec_error *err) {
    const float *rows = NULL;
    enum rec_status st = rec_mf_find(model, &rows, err);
    if (st != REC_OK)
        return st;
    struct rec_mf *self = rec_alloc_extra(self_bytes, model->items + extra, sizeof(float));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory to open a model of %u items",
                             model->family->name, model->items);
    float *inverse_norm = (float *)(void *)((char *)self + self_bytes); /* a multiple of 8 */
    self->factors = (size_t)rec_params_get(&model->params, "factors");
    self->width = self->factors + 1;
    self->rows = rows;
    self->inverse_norm = inverse_norm;
    for (size_t i = 0; i < model->items; i++) {
        const float *row = rows + i * self->width;
        float square = rec_kernels_dot(row, row, self->factors);
        inverse_norm[i] = square > FLT_MIN ? 1.0f / sqrtf(square) : 0.0f;
    }
    if (values != NULL)
        *values = inverse_norm + model->items;
    model->self = self;
    model->query_floats = self->width;
    model->vectors = rows;
    return REC_OK;
}

void rec_mf_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

void rec_mf_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                  uint32_t count, float *scores) {
    const struct rec_mf *self = model->self;
    enum { TILE_FLOATS = 65536 }; /* items stay in the L2 cache while all queries pass */
    size_t width = self->width, step = n == 1 ? count : TILE_FLOATS / width;
    for (size_t begin = 0; begin < count; begin += step) {
        size_t items = count - begin < step ? count - begin : step;
        for (size_t row = 0; row < n; row++)
            rec_kernels_rows_dot(self->rows + (first + begin) * width, items, width,
                                 queries + row * width, scores + row * count + begin);
    }
}

void rec_mf_similar(const struct rec_model *model, uint32_t item, uint32_t first, uint32_t count,
                    float *scores) {
    const struct rec_mf *self = model->self;
    const float *row = self->rows + item * self->width;
    for (uint32_t i = 0; i < count; i++)
        scores[i] = rec_kernels_dot(self->rows + (first + i) * self->width, row, self->factors) *
                    (self->inverse_norm[item] * self->inverse_norm[first + i]);
}
