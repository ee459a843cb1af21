/* svd: truncated singular value decomposition, "PureSVD".
 * source: Cremonesi, Koren and Turrin, "Performance of recommender algorithms on top-N
 *         recommendation tasks", 2010, section 3.4.2; the scales: Nikolakopoulos et al., "EigenRec:
 *         generalizing PureSVD for effective and efficient top-N recommendations", 2019.
 *
 * X is users x items: the sum of a pair's weights, times a scale of the user, (the user's sum of
 * weights)^-user_exponent, and s_i, the same of the item. X is nearest, of all matrices of rank
 * `factors`, to U S Vᵀ. A missing pair counts as 0, so nothing is sampled or weighted.
 *
 * A history h is projected onto the space of V and its scale taken off again:
 *
 *   score_j = 1/s_j Σ_i h_i s_i V_i · V_j = P_j · (Σ_i h_i s_i² P_i) S⁻²,   P_i = V_i S / s_i
 *
 * The model is P, S and s². The vector at the right is what the history's row of U would be:
 * what training would have found for that user (but for the user's own scale, which changes no
 * order).
 * So trained users, new users and anonymous sessions are answered alike, and at once.
 *
 * similar: the cosine of P_i and P_j, which is that of columns i and j of the nearest matrix; the
 * scales cancel.
 *
 * explain: the sum above, term by term. With `recency` the h_i of a history are decayed
 * (recency.h); training knows no order. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "recency.h"
#include "recsysd/data.h"
#include "recsysd/families.h"
#include "svd.h"

static const struct rec_param svd_params[] = {
    {"factors", REC_PARAM_INT, 1, 1024, true, 64, NULL,
     "rank; 5 to 100 is usual, and it matters most"},
    {"iterations", REC_PARAM_INT, 1, 100, false, 8, NULL,
     "subspace iterations; more are nearer to the exact decomposition"},
    {"oversample", REC_PARAM_INT, 0, 512, false, 16, NULL,
     "extra vectors while iterating, dropped at the end"},
    {"user_exponent", REC_PARAM_FLOAT, 0, 1, false, 0, NULL,
     "divide a user's row by (sum of weights)^this"},
    {"item_exponent", REC_PARAM_FLOAT, 0, 1, false, 0, NULL,
     "divide an item's column by (sum of weights)^this"},
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range svd_tune[] = {
    {.name = "factors", .min = 4, .max = 256, .log_scale = true},
    REC_RECENCY_TUNE,
    {.name = NULL},
};
enum { PARAM_COUNT = sizeof(svd_params) / sizeof(svd_params[0]) };

/* What open() computes once. */
struct svd {
    size_t factors;
    float recency;
    const float *rows;         /* P [items x factors] */
    const float *item_weight;  /* [items] s² */
    const float *inverse;      /* [factors] S⁻²; 0 where S is */
    const float *inverse_norm; /* [items] 1 / |P_i|; 0 for items nobody touched */
    float values[];            /* inverse, inverse_norm */
};

/* ---- open ------------------------------------------------------------------------ */

static enum rec_status find_tensor(const struct rec_model *model, const char *name, uint64_t rows,
                                   uint64_t cols, const struct rec_tensor **out,
                                   struct rec_error *err) {
    enum rec_status st =
        rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, rows, cols, out, err);
    if (st != REC_OK)
        return st;
    const float *value = (*out)->data;
    for (uint64_t i = 0; i < rows * cols; i++)
        if (!(fabsf(value[i]) <= REC_SVD_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "svd: %s [%llu, %llu] is %g, expected a number within %g", name,
                                 (unsigned long long)(i / cols), (unsigned long long)(i % cols),
                                 (double)value[i], (double)REC_SVD_VALUE_MAX);
    return REC_OK;
}

static void fill_caches(const struct svd *self, const float *singular, uint32_t items,
                        float *inverse, float *inverse_norm) {
    for (size_t k = 0; k < self->factors; k++) {
        double square = (double)singular[k] * (double)singular[k];
        inverse[k] = square > 1.0 / (double)REC_SVD_VALUE_MAX ? (float)(1.0 / square) : 0.0f;
    }
    for (size_t i = 0; i < items; i++) {
        const float *row = self->rows + i * self->factors;
        float square = rec_kernels_dot(row, row, self->factors);
        inverse_norm[i] = square > FLT_MIN ? 1.0f / sqrtf(square) : 0.0f;
    }
}

static enum rec_status svd_open(struct rec_model *model, struct rec_error *err) {
    size_t f = (size_t)rec_params_get(&model->params, "factors");
    const struct rec_tensor *rows = NULL, *singular = NULL, *weight = NULL;
    enum rec_status st = find_tensor(model, "item_factors", model->items, f, &rows, err);
    if (st == REC_OK)
        st = find_tensor(model, "singular_values", 1, f, &singular, err);
    if (st == REC_OK)
        st = find_tensor(model, "item_weight", 1, model->items, &weight, err);
    if (st != REC_OK)
        return st;

    struct svd *self = rec_alloc_extra(sizeof(*self), f + model->items, sizeof(float));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "svd: no memory for %zu + %u numbers", f,
                             model->items);
    float *inverse = self->values, *inverse_norm = inverse + f;
    self->factors = f;
    self->recency = (float)rec_params_get(&model->params, "recency");
    self->rows = rows->data;
    self->item_weight = weight->data;
    self->inverse = inverse;
    self->inverse_norm = inverse_norm;
    fill_caches(self, singular->data, model->items, inverse, inverse_norm);

    model->self = self;
    model->query_floats = f;
    model->vectors = rows->data;
    model->scratch_floats = f;
    return REC_OK;
}

static void svd_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- query, score ------------------------------------------------------------------ */

static struct rec_recency begin_walk(const struct rec_model *model,
                                     const struct rec_history *history) {
    const struct svd *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->recency, model->items, history);
    walk.most = REC_SVD_VALUE_MAX;
    return walk;
}

/* h_i s_i² of the walk's next event; 0 when it says nothing to this model. */
static float next_weight(const struct svd *svd, struct rec_recency *walk,
                         const struct rec_event *event) {
    float weight = rec_recency_next(walk, event);
    return weight > 0.0f ? weight * svd->item_weight[event->item] : 0.0f;
}

static bool svd_query(const struct rec_model *model, const struct rec_history *history,
                      float *query, float *scratch) {
    const struct svd *self = model->self;
    size_t f = self->factors;
    struct rec_recency walk = begin_walk(model, history);
    bool says_something = false, in_range = true;
    (void)scratch;
    memset(query, 0, f * sizeof(*query));
    for (size_t e = 0; e < history->count; e++) {
        float weight = next_weight(self, &walk, &history->events[e]);
        if (weight != 0.0f)
            rec_kernels_axpy(weight, self->rows + history->events[e].item * f, query, f);
    }
    for (size_t k = 0; k < f; k++) {
        query[k] *= self->inverse[k];
        says_something = says_something || query[k] != 0.0f;
        in_range = in_range && fabsf(query[k]) <= REC_SVD_VALUE_MAX;
    }
    /* All zero also when none of the items was in anybody's history at training. */
    if (says_something && in_range)
        return true;
    memset(query, 0, f * sizeof(*query));
    return false;
}

static void svd_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                      uint32_t count, float *scores) {
    const struct svd *self = model->self;
    enum { TILE_FLOATS = 65536 }; /* items stay in the L2 cache while all queries pass */
    size_t f = self->factors, step = n == 1 ? count : TILE_FLOATS / f;
    for (size_t begin = 0; begin < count; begin += step) {
        size_t items = count - begin < step ? count - begin : step;
        for (size_t row = 0; row < n; row++)
            rec_kernels_rows_dot(self->rows + (first + begin) * f, items, f, queries + row * f,
                                 scores + row * count + begin);
    }
}

/* ---- similar, explain ---------------------------------------------------------------- */

static void svd_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                        uint32_t count, float *scores) {
    const struct svd *self = model->self;
    size_t f = self->factors;
    rec_kernels_rows_dot(self->rows + first * f, count, f, self->rows + item * f, scores);
    for (uint32_t i = 0; i < count; i++)
        scores[i] *= self->inverse_norm[item] * self->inverse_norm[first + i];
}

static void svd_explain(const struct rec_model *model, const struct rec_history *history,
                        const uint32_t *items, size_t n, float *shares, float *scratch) {
    const struct svd *self = model->self;
    size_t f = self->factors;
    for (size_t row = 0; row < n; row++) {
        struct rec_recency walk = begin_walk(model, history);
        for (size_t k = 0; k < f; k++)
            scratch[k] = self->rows[items[row] * f + k] * self->inverse[k];
        for (size_t e = 0; e < history->count; e++) {
            float weight = next_weight(self, &walk, &history->events[e]);
            float *share = &shares[row * history->count + e];
            *share = 0.0f;
            if (weight != 0.0f)
                *share =
                    weight * rec_kernels_dot(self->rows + history->events[e].item * f, scratch, f);
        }
    }
}

const struct rec_family rec_svd_family = {
    .name = "svd",
    .help = "truncated singular value decomposition: histories projected onto few directions",
    .params = svd_params,
    .param_count = PARAM_COUNT,
    .tune = svd_tune,
    .ignores_history = false,
    .fit = rec_svd_fit,
    .fit_bytes = rec_svd_fit_bytes,
    .open = svd_open,
    .close = svd_close,
    .query = svd_query,
    .score = svd_score,
    .similar = svd_similar,
    .explain = svd_explain,
};
