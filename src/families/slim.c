/* slim: sparse linear methods. Every item is explained by a few others.
 * source: Ning and Karypis, "SLIM: sparse linear methods for top-N recommender systems", 2011.
 *
 * X is users x items, sums of weights. Item j has a column w of coefficients, w_j = 0, found by
 * minimising
 *
 *   1/(2n) |x_j - X w|² + alpha l1_ratio |w|_1 + ½ alpha (1 - l1_ratio) |w|²
 *
 * n is the number of users, also of those without any events: alpha and l1_ratio are what
 * scikit-learn's ElasticNet calls so, hence figures compare. With non_negative, w >= 0 as in the
 * paper; without, an item can also speak against another.
 *
 * The model is W in compressed rows: row i says what an event of item i adds to every other item. A
 * history's query is the sum of its events' rows, so it is the scores already, and what was just
 * posted counts at once.
 *
 * similar: (w_ij + w_ji) / 2, because the coefficients are not mutual.
 *
 * explain: an event of item i with weight h adds h w_ij to the score of item j. With `recency` h is
 * decayed (recency.h); training knows no order. */
#include <math.h>
#include <string.h>

#include "recency.h"
#include "recsysd/data.h"
#include "recsysd/families.h"
#include "slim.h"

static const struct rec_param slim_params[] = {
    {"alpha", REC_PARAM_FLOAT, 1e-9, 1e6, true, 0.1, NULL,
     "strength of the penalties, per user; more is simpler"},
    {"l1_ratio", REC_PARAM_FLOAT, 0, 1, false, 0.01, NULL,
     "share of the penalty that sets coefficients to zero"},
    {"non_negative", REC_PARAM_BOOL, 0, 1, false, 0, NULL, "no item may speak against another"},
    {"neighbors", REC_PARAM_INT, 1, 20000, true, 500, NULL,
     "candidates an item, chosen before the descent"},
    {"tolerance", REC_PARAM_FLOAT, 1e-9, 1, true, 1e-3, NULL,
     "stop when a sweep changes less, relative to the largest coefficient"},
    {"max_sweeps", REC_PARAM_INT, 1, 100000, true, 100, NULL, "passes over an item's candidates"},
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range slim_tune[] = {
    {.name = "alpha", .min = 1e-3, .max = 10, .log_scale = true},
    {.name = "l1_ratio", .min = 1e-3, .max = 0.5, .log_scale = true},
    {.name = "neighbors", .min = 50, .max = 1000, .log_scale = true},
    {.name = "tolerance"},
    {.name = "max_sweeps"},
    REC_RECENCY_TUNE,
    {.name = NULL},
};
enum { PARAM_COUNT = sizeof(slim_params) / sizeof(slim_params[0]) };

/* What open() finds in the tensors. */
struct slim {
    const uint64_t *offset; /* [items + 1] */
    const uint32_t *item;   /* [offset[items]] rising within a row */
    const float *weight;
    float recency;
};

/* ---- open ------------------------------------------------------------------------ */

static enum rec_status check_row(const struct slim *slim, uint32_t items, uint32_t i,
                                 struct rec_error *err) {
    for (uint64_t k = slim->offset[i]; k < slim->offset[i + 1]; k++) {
        bool rises = k == slim->offset[i] || slim->item[k] > slim->item[k - 1];
        if (slim->item[k] >= items || !rises)
            return rec_error_set(err, REC_CORRUPT,
                                 "slim: row %u names item %u of %u, out of range or out of order",
                                 i, slim->item[k], items);
        if (!(fabsf(slim->weight[k]) <= REC_SLIM_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "slim: the coefficient of items %u and %u is %g, expected a "
                                 "number within %g",
                                 i, slim->item[k], (double)slim->weight[k],
                                 (double)REC_SLIM_VALUE_MAX);
    }
    return REC_OK;
}

static enum rec_status check_offsets(const uint64_t *offset, uint32_t items, uint64_t entries,
                                     struct rec_error *err) {
    bool good = offset[0] == 0 && offset[items] == entries;
    for (uint32_t i = 0; good && i < items; i++)
        good = offset[i] <= offset[i + 1];
    if (good)
        return REC_OK;
    return rec_error_set(err, REC_CORRUPT, "slim: the offsets do not rise from 0 to %llu",
                         (unsigned long long)entries);
}

static enum rec_status slim_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_tensor *offset = NULL, *item = NULL, *weight = NULL;
    const struct rec_tensors *tensors = &model->tensors;
    enum rec_status st = rec_tensors_get(tensors, "offset", REC_TENSOR_U64, 1,
                                         (uint64_t)model->items + 1, &offset, err);
    if (st == REC_OK)
        st = rec_tensors_get(tensors, "item", REC_TENSOR_U32, 1, 0, &item, err);
    if (st == REC_OK)
        st = rec_tensors_get(tensors, "weight", REC_TENSOR_F32, 1, item->cols, &weight, err);
    if (st != REC_OK)
        return st;
    if (weight->cols != item->cols) /* 0 columns ask for any */
        return rec_error_set(err, REC_CORRUPT, "slim: %llu items but %llu coefficients",
                             (unsigned long long)item->cols, (unsigned long long)weight->cols);
    const struct slim found = {offset->data, item->data, weight->data,
                               (float)rec_params_get(&model->params, "recency")};
    st = check_offsets(found.offset, model->items, item->cols, err);
    for (uint32_t i = 0; st == REC_OK && i < model->items; i++)
        st = check_row(&found, model->items, i, err);
    if (st != REC_OK)
        return st;

    struct slim *self = rec_alloc_array(1, sizeof(*self));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "slim: no memory to open the model");
    *self = found;
    model->self = self;
    model->query_floats = model->items;
    model->scratch_floats = 0;
    return REC_OK;
}

static void slim_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- query, score ------------------------------------------------------------------ */

static struct rec_recency begin_walk(const struct rec_model *model,
                                     const struct rec_history *history) {
    const struct slim *self = model->self;
    return rec_recency_begin(self->recency, model->items, history);
}

/* The weight of the walk's next event; 0 when it says nothing to this model. */
static float next_weight(struct rec_recency *walk, const struct rec_event *event) {
    float weight = rec_recency_next(walk, event);
    return weight < REC_SLIM_VALUE_MAX ? weight : REC_SLIM_VALUE_MAX;
}

static bool slim_query(const struct rec_model *model, const struct rec_history *history,
                       float *query, float *scratch) {
    const struct slim *self = model->self;
    struct rec_recency walk = begin_walk(model, history);
    bool says_something = false;
    (void)scratch;
    memset(query, 0, model->items * sizeof(*query));
    for (size_t e = 0; e < history->count; e++) {
        uint32_t i = history->events[e].item;
        float weight = next_weight(&walk, &history->events[e]);
        if (!(weight > 0.0f) || self->offset[i] == self->offset[i + 1])
            continue;
        says_something = true;
        for (uint64_t k = self->offset[i]; k < self->offset[i + 1]; k++)
            query[self->item[k]] += weight * self->weight[k];
    }
    return says_something;
}

static void slim_score(const struct rec_model *model, const float *queries, size_t n,
                       uint32_t first, uint32_t count, float *scores) {
    for (size_t row = 0; row < n; row++)
        memcpy(scores + row * count, queries + row * model->items + first, count * sizeof(*scores));
}

/* ---- similar, explain ---------------------------------------------------------------- */

/* w_ij; 0 when it is not stored. */
static float coefficient(const struct slim *slim, uint32_t i, uint32_t j) {
    uint64_t low = slim->offset[i], high = slim->offset[i + 1];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (slim->item[middle] < j)
            low = middle + 1;
        else
            high = middle;
    }
    return low < slim->offset[i + 1] && slim->item[low] == j ? slim->weight[low] : 0.0f;
}

static void slim_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                         uint32_t count, float *scores) {
    const struct slim *self = model->self;
    for (uint32_t j = 0; j < count; j++)
        scores[j] =
            0.5f * (coefficient(self, item, first + j) + coefficient(self, first + j, item));
}

static void slim_explain(const struct rec_model *model, const struct rec_history *history,
                         const uint32_t *items, size_t n, float *shares, float *scratch) {
    const struct slim *self = model->self;
    struct rec_recency walk = begin_walk(model, history);
    (void)scratch;
    for (size_t e = 0; e < history->count; e++) {
        float weight = next_weight(&walk, &history->events[e]);
        for (size_t row = 0; row < n; row++)
            shares[row * history->count + e] =
                weight > 0.0f ? weight * coefficient(self, history->events[e].item, items[row])
                              : 0.0f;
    }
}

const struct rec_family rec_slim_family = {
    .name = "slim",
    .help = "sparse linear method: each item as a sparse mix of others, elastic net",
    .params = slim_params,
    .param_count = PARAM_COUNT,
    .tune = slim_tune,
    .ignores_history = false,
    .fit = rec_slim_fit,
    .fit_bytes = rec_slim_fit_bytes,
    .open = slim_open,
    .close = slim_close,
    .query = slim_query,
    .score = slim_score,
    .similar = slim_similar,
    .explain = slim_explain,
};
