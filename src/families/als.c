/* als: implicit alternating least squares.
 * source: Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", 2008;
 *         Rendle, Krichene, Zhang and Koren, "Revisiting the performance of iALS on item
 *         recommendation benchmarks", 2021 (how to regularise, how much to trust what is missing);
 *         the same, "iALS++: speeding up matrix factorization with subspace optimization", 2021.
 *
 * Every user u and item i have a vector of `factors` numbers, found by minimising
 *
 *   Σ_ui c_ui (p_ui - x_uᵀ y_i)² + Σ_u λ_u |x_u|² + Σ_i λ_i |y_i|²
 *
 * p_ui is 1 where u has done something with i and 0 elsewhere. The confidence c_ui is `unobserved`
 * where u has done nothing, and alpha x (the sum of the weights of what u did with i) elsewhere:
 * with unobserved 1, what the `implicit` library computes with the same alpha, so figures compare.
 * (The paper has 1 + alpha w; alpha here is 1 more for weights of 1.)
 *
 * λ is regularization x (C + unobserved N)^frequency_power, C being the sum of the row's observed
 * confidences and N how many pairs it has in all. The power 0 is Hu's ridge, the same for all; 1 is
 * what descent on sampled pairs amounts to. Rendle et al. count observations where we add up
 * confidences: the same with alpha 1 and weights of 1, and right for weights that decay.
 *
 * The model is the items' factors Y and their Gramian YᵀY. A user is answered by the solve of
 * the training's user step on the history at hand (als_row.c): exact, microseconds, and the same
 * for trained users, new users and anonymous sessions. So what was just posted counts at once.
 *
 * similar: the cosine of two items' factors.
 *
 * explain: with A the matrix of that solve, x = A⁻¹ Σ c_i y_i, so the score of item j is
 * Σ_i c_i y_jᵀ A⁻¹ y_i: one term for each item of the history (section 5, equation 7). Events that
 * repeat an item share its term by their weights. With `recency` the c_i of a history are decayed
 * (recency.h), in the solve and in the shares alike; training knows no order. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "als.h"
#include "earlystop.h"
#include "recency.h"
#include "recsysd/data.h"
#include "recsysd/families.h"

static const struct rec_param als_params[] = {
    {"factors", REC_PARAM_INT, 1, REC_FACTORS_MAX, true, 64, NULL,
     "numbers per item; more fit finer taste, at quadratic cost"},
    {"regularization", REC_PARAM_FLOAT, 1e-6, 1e6, true, 0.01, NULL,
     "pulls factors to zero; more is smoother"},
    {"iterations", REC_PARAM_INT, 1, 1000, false, 15, NULL, "passes over users and items"},
    {"alpha", REC_PARAM_FLOAT, 1e-3, 1e6, true, 1, NULL,
     "confidence of an interaction of weight 1"},
    {"unobserved", REC_PARAM_FLOAT, 1e-6, 1e6, true, 1, NULL,
     "confidence that a pair without interaction is not liked; less dares more"},
    {"frequency_power", REC_PARAM_FLOAT, 0, 1, false, 0, NULL,
     "1: regularization grows with what a user or item has done; 0: the same for all"},
    {"block", REC_PARAM_INT, 0, REC_FACTORS_MAX, false, 0, NULL,
     "train this many factors at a time (iALS++), quicker from about 128 on; 0: all, exactly"},
    REC_EARLYSTOP_PARAM(0),
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range als_tune[] = {
    {.name = "factors", .min = 8, .max = 128, .log_scale = true}, /* then double them by hand */
    {.name = "regularization", .min = 1e-4, .max = 30, .log_scale = true},
    {.name = "iterations", .min = 5, .max = 30},
    {.name = "alpha"}, /* only its ratio to the next one matters */
    {.name = "unobserved", .min = 0.01, .max = 3, .log_scale = true},
    {.name = "frequency_power", .min = 0, .max = 1},
    REC_RECENCY_TUNE,
    {.name = NULL},
};
enum { PARAM_COUNT = sizeof(als_params) / sizeof(als_params[0]) };

/* What open() computes once. */
struct als {
    struct als_side items;
    float alpha, recency;
    const float *inverse_norm; /* [items]; 0 for items nobody touched */
    float values[];            /* base, factor, inverse_norm */
};

/* ---- open ------------------------------------------------------------------------ */

static enum rec_status check_values(const struct rec_tensor *tensor, struct rec_error *err) {
    const float *value = tensor->data;
    for (uint64_t row = 0; row < tensor->rows; row++)
        for (uint64_t col = 0; col < tensor->cols; col++, value++)
            if (!(fabsf(*value) <= REC_ALS_VALUE_MAX))
                return rec_error_set(err, REC_CORRUPT,
                                     "als: %s [%llu, %llu] is %g, expected a number within %g",
                                     tensor->name, (unsigned long long)row, (unsigned long long)col,
                                     (double)*value, (double)REC_ALS_VALUE_MAX);
    return REC_OK;
}

static enum rec_status find_tensor(const struct rec_model *model, const char *name, uint64_t rows,
                                   uint64_t cols, const struct rec_tensor **out,
                                   struct rec_error *err) {
    enum rec_status st =
        rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, rows, cols, out, err);
    return st == REC_OK ? check_values(*out, err) : st;
}

static void inverse_norms(const float *rows, size_t count, size_t factors, float *out) {
    for (size_t i = 0; i < count; i++) {
        float square = rec_kernels_dot(rows + i * factors, rows + i * factors, factors);
        out[i] = square > FLT_MIN ? 1.0f / sqrtf(square) : 0.0f;
    }
}

static enum rec_status als_open(struct rec_model *model, struct rec_error *err) {
    size_t f = (size_t)rec_params_get(&model->params, "factors"), square = f * f;
    const struct rec_tensor *factors = NULL, *gramian = NULL;
    enum rec_status st = find_tensor(model, "item_factors", model->items, f, &factors, err);
    if (st != REC_OK)
        return st;
    st = find_tensor(model, "gramian", f, f, &gramian, err);
    if (st != REC_OK)
        return st;

    struct als *self = rec_alloc_extra(sizeof(*self), 2 * square + model->items, sizeof(float));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "als: no memory for %zu x %zu numbers", f, f);
    float *base = self->values, *factor = base + square, *inverse_norm = factor + square;
    self->items = (struct als_side){.factors = f,
                                    .objective = rec_als_objective(&model->params),
                                    .count = model->items,
                                    .rows = factors->data,
                                    .base = base,
                                    .factor = factor};
    if (!rec_als_base(&self->items, gramian->data, base, factor)) {
        rec_alloc_free(self);
        return rec_error_set(err, REC_CORRUPT,
                             "als: the gramian with regularization %g is not positive definite",
                             rec_params_get(&model->params, "regularization"));
    }
    inverse_norms(factors->data, model->items, f, inverse_norm);
    self->alpha = (float)rec_params_get(&model->params, "alpha");
    self->recency = (float)rec_params_get(&model->params, "recency");
    self->inverse_norm = inverse_norm;

    model->self = self;
    model->query_floats = f;
    model->vectors = factors->data;
    /* the matrix, a vector, and a bit for each item */
    model->scratch_floats = square + f + ((size_t)model->items + 31) / 32;
    return REC_OK;
}

static void als_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- query ------------------------------------------------------------------------- */

static struct rec_recency begin_walk(const struct rec_model *model,
                                     const struct rec_history *history) {
    const struct als *self = model->self;
    return rec_recency_begin(self->recency, model->items, history);
}

/* The confidence of the walk's next event; 0 when it says nothing to this model. */
static float next_confidence(const struct rec_model *model, struct rec_recency *walk,
                             const struct rec_event *event) {
    const struct als *self = model->self;
    float confidence = self->alpha * rec_recency_next(walk, event);
    return confidence < REC_ALS_VALUE_MAX ? confidence : REC_ALS_VALUE_MAX;
}

/* Adds the history to an empty row. What every item has in the base is taken off once an item, at
 * its first event. seen: one bit an item. */
static void add_history(const struct rec_model *model, const struct rec_history *history,
                        uint32_t *seen, struct als_row *row) {
    struct rec_recency walk = begin_walk(model, history);
    float unobserved = row->side->objective.unobserved;
    memset(seen, 0, ((size_t)model->items + 31) / 32 * sizeof(*seen));
    for (size_t i = 0; i < history->count; i++) {
        uint32_t item = history->events[i].item;
        float confidence = next_confidence(model, &walk, &history->events[i]);
        if (!(confidence > 0.0f))
            continue;
        uint32_t bit = UINT32_C(1) << item % 32;
        bool first = (seen[item / 32] & bit) == 0;
        seen[item / 32] |= bit;
        rec_als_row_add(row, item, confidence, first ? confidence - unobserved : confidence);
    }
}

/* The factor of A for this history, and b [factors]. NULL when the history says nothing. */
static const float *factor_history(const struct rec_model *model, const struct rec_history *history,
                                   float *b, float *scratch) {
    const struct als *self = model->self;
    size_t f = self->items.factors;
    uint32_t *seen = (uint32_t *)(void *)(scratch + f * f + f); /* scratch is heap memory */
    float ridge = 0.0f;
    for (int try = 0; try < REC_ALS_TRIES; try++) {
        struct als_row row;
        const float *L;
        rec_als_row_begin(&row, &self->items, scratch, b);
        add_history(model, history, seen, &row);
        if (!(row.sum > 0.0f))
            return NULL;
        if (rec_als_row_factor(&row, ridge, &L))
            return L;
        ridge = rec_als_next_ridge(&self->items, row.sum, ridge);
    }
    return NULL;
}

static bool als_query(const struct rec_model *model, const struct rec_history *history,
                      float *query, float *scratch) {
    size_t f = model->query_floats;
    const float *L = factor_history(model, history, query, scratch);
    bool says_something = false, in_range = true;
    if (L != NULL)
        rec_cholesky_solve(L, f, query);
    for (size_t i = 0; i < f; i++) {
        says_something = says_something || query[i] != 0.0f;
        in_range = in_range && fabsf(query[i]) <= REC_ALS_VALUE_MAX;
    }
    /* All zero also when none of the items was in anybody's history at training. */
    if (L != NULL && says_something && in_range)
        return true;
    memset(query, 0, f * sizeof(*query));
    return false;
}

/* ---- score, similar, explain --------------------------------------------------------- */

static void als_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                      uint32_t count, float *scores) {
    const struct als *self = model->self;
    enum { TILE_FLOATS = 65536 }; /* items stay in the L2 cache while all queries pass */
    size_t f = self->items.factors, step = n == 1 ? count : TILE_FLOATS / f;
    for (size_t begin = 0; begin < count; begin += step) {
        size_t items = count - begin < step ? count - begin : step;
        for (size_t row = 0; row < n; row++)
            rec_kernels_rows_dot(self->items.rows + (first + begin) * f, items, f,
                                 queries + row * f, scores + row * count + begin);
    }
}

static void als_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                        uint32_t count, float *scores) {
    const struct als *self = model->self;
    size_t f = self->items.factors;
    rec_kernels_rows_dot(self->items.rows + first * f, count, f, self->items.rows + item * f,
                         scores);
    for (uint32_t i = 0; i < count; i++)
        scores[i] *= self->inverse_norm[item] * self->inverse_norm[first + i];
}

static void als_explain(const struct rec_model *model, const struct rec_history *history,
                        const uint32_t *items, size_t n, float *shares, float *scratch) {
    const struct als *self = model->self;
    size_t f = self->items.factors;
    float *z = scratch + f * f;
    const float *L = factor_history(model, history, z, scratch);
    for (size_t row = 0; row < n; row++) {
        struct rec_recency walk = begin_walk(model, history);
        /* A is symmetric: z = A⁻¹ y_j once, then a dot product for each event. */
        memcpy(z, self->items.rows + items[row] * f, f * sizeof(*z));
        if (L != NULL)
            rec_cholesky_solve(L, f, z);
        for (size_t e = 0; e < history->count; e++) {
            float confidence = next_confidence(model, &walk, &history->events[e]);
            float *share = &shares[row * history->count + e];
            *share = 0.0f;
            if (L != NULL && confidence > 0.0f)
                *share = confidence *
                         rec_kernels_dot(self->items.rows + history->events[e].item * f, z, f);
        }
    }
}

const struct rec_family rec_als_family = {
    .name = "als",
    .help = "implicit alternating least squares: taste as a vector, exact solves",
    .params = als_params,
    .param_count = PARAM_COUNT,
    .tune = als_tune,
    .ignores_history = false,
    .fit = rec_als_fit,
    .fit_bytes = rec_als_fit_bytes,
    .open = als_open,
    .close = als_close,
    .query = als_query,
    .score = als_score,
    .similar = als_similar,
    .explain = als_explain,
};
