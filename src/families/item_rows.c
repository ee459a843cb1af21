/* Answers of a sparse item-item matrix; see item_rows.h. */
#include "item_rows.h"

#include <math.h>
#include <string.h>

#include "recency.h"
#include "recsysd/data.h"

/* What open() finds in the tensors. */
struct item_rows {
    const uint64_t *offset; /* [items + 1] */
    const uint32_t *item;   /* [offset[items]] rising within a row */
    const float *weight;
    float recency;
};

uint32_t rec_item_rows_neighbors(const struct rec_fit *fit) {
    uint32_t asked = (uint32_t)rec_params_get(fit->params, "neighbors");
    uint32_t others = fit->data->items - 1;
    return asked < others ? asked : others;
}

enum rec_status rec_item_rows_add(struct rec_tensors *out, const uint32_t *found, uint32_t items,
                                  uint32_t **item, float **weight, struct rec_error *err) {
    void *data[3] = {NULL};
    uint64_t entries = 0;
    enum rec_status st =
        rec_tensors_add(out, "offset", REC_TENSOR_U64, 1, (uint64_t)items + 1, &data[0], err);
    if (st != REC_OK)
        return st;
    for (uint32_t i = 0; i < items; i++) {
        entries += found[i];
        ((uint64_t *)data[0])[i + (size_t)1] = entries;
    }
    st = rec_tensors_add(out, "item", REC_TENSOR_U32, 1, entries, &data[1], err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "weight", REC_TENSOR_F32, 1, entries, &data[2], err);
    if (st != REC_OK)
        return st;
    *item = data[1];
    *weight = data[2];
    return REC_OK;
}

/* ---- open ------------------------------------------------------------------------ */

static enum rec_status check_offsets(const struct rec_model *model, const uint64_t *offset,
                                     uint64_t entries, struct rec_error *err) {
    bool good = offset[0] == 0 && offset[model->items] == entries;
    for (size_t i = 0; good && i < model->items; i++)
        good = offset[i] <= offset[i + 1];
    if (good)
        return REC_OK;
    return rec_error_set(err, REC_CORRUPT, "%s: the offsets of %u rows do not rise from 0 to %llu",
                         model->family->name, model->items, (unsigned long long)entries);
}

static enum rec_status check_row(const struct rec_model *model, const struct item_rows *rows,
                                 uint32_t i, struct rec_error *err) {
    for (uint64_t k = rows->offset[i]; k < rows->offset[i + (size_t)1]; k++) {
        bool rises = k == rows->offset[i] || rows->item[k] > rows->item[k - 1];
        if (rows->item[k] >= model->items || !rises)
            return rec_error_set(err, REC_CORRUPT,
                                 "%s: row %u names item %u of %u, out of range or out of order",
                                 model->family->name, i, rows->item[k], model->items);
        if (!(fabsf(rows->weight[k]) <= REC_ITEM_ROWS_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "%s: the weight of items %u and %u is %g, expected a number "
                                 "within %g",
                                 model->family->name, i, rows->item[k], (double)rows->weight[k],
                                 (double)REC_ITEM_ROWS_VALUE_MAX);
    }
    return REC_OK;
}

static enum rec_status find(const struct rec_model *model, struct item_rows *out,
                            struct rec_error *err) {
    const struct rec_tensor *offset = NULL, *item = NULL, *weight = NULL;
    const struct rec_tensors *tensors = &model->tensors;
    enum rec_status st = rec_tensors_get(tensors, "offset", REC_TENSOR_U64, 1,
                                         (uint64_t)model->items + 1, &offset, err);
    if (st == REC_OK)
        st = rec_tensors_get(tensors, "item", REC_TENSOR_U32, 1, 0, &item, err);
    if (st == REC_OK)
        st = rec_tensors_get(tensors, "weight", REC_TENSOR_F32, 1, 0, &weight, err);
    if (st != REC_OK)
        return st;
    if (weight->cols != item->cols)
        return rec_error_set(err, REC_CORRUPT, "%s: %llu items of neighbors but %llu weights",
                             model->family->name, (unsigned long long)item->cols,
                             (unsigned long long)weight->cols);
    *out = (struct item_rows){offset->data, item->data, weight->data,
                              (float)rec_params_get(&model->params, "recency")};
    return check_offsets(model, out->offset, item->cols, err);
}

enum rec_status rec_item_rows_open(struct rec_model *model, struct rec_error *err) {
    struct item_rows found;
    enum rec_status st = find(model, &found, err);
    for (uint32_t i = 0; st == REC_OK && i < model->items; i++)
        st = check_row(model, &found, i, err);
    if (st != REC_OK)
        return st;
    struct item_rows *self = rec_alloc_array(1, sizeof(*self));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory to open the model",
                             model->family->name);
    *self = found;
    model->self = self;
    model->query_floats = model->items;
    model->scratch_floats = 0;
    return REC_OK;
}

void rec_item_rows_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- answers ---------------------------------------------------------------------- */

static struct rec_recency begin_walk(const struct rec_model *model,
                                     const struct rec_history *history) {
    const struct item_rows *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->recency, model->items, history);
    walk.most = REC_ITEM_ROWS_VALUE_MAX;
    return walk;
}

bool rec_item_rows_query(const struct rec_model *model, const struct rec_history *history,
                         float *query, float *scratch) {
    const struct item_rows *self = model->self;
    struct rec_recency walk = begin_walk(model, history);
    bool says_something = false;
    (void)scratch;
    memset(query, 0, model->items * sizeof(*query));
    for (size_t e = 0; e < history->count; e++) {
        size_t i = history->events[e].item;
        float weight = rec_recency_next(&walk, &history->events[e]);
        if (!(weight > 0.0f) || self->offset[i] == self->offset[i + 1])
            continue;
        says_something = true;
        for (uint64_t k = self->offset[i]; k < self->offset[i + 1]; k++)
            query[self->item[k]] += weight * self->weight[k];
    }
    return says_something;
}

void rec_item_rows_score(const struct rec_model *model, const float *queries, size_t n,
                         uint32_t first, uint32_t count, float *scores) {
    for (size_t row = 0; row < n; row++)
        memcpy(scores + row * count, queries + row * model->items + first, count * sizeof(*scores));
}

float rec_item_rows_weight(const struct rec_model *model, uint32_t i, uint32_t j) {
    const struct item_rows *self = model->self;
    uint64_t end = self->offset[i + (size_t)1];
    uint64_t at = rec_csr_find(self->item, self->offset[i], end, j);
    return at < end && self->item[at] == j ? self->weight[at] : 0.0f;
}

void rec_item_rows_explain(const struct rec_model *model, const struct rec_history *history,
                           const uint32_t *items, size_t n, float *shares, float *scratch) {
    struct rec_recency walk = begin_walk(model, history);
    (void)scratch;
    for (size_t e = 0; e < history->count; e++) {
        uint32_t item = history->events[e].item;
        float weight = rec_recency_next(&walk, &history->events[e]);
        for (size_t row = 0; row < n; row++)
            shares[row * history->count + e] =
                weight > 0.0f ? weight * rec_item_rows_weight(model, item, items[row]) : 0.0f;
    }
}
