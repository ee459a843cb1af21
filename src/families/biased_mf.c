/* biased-mf: matrix factorisation with biases, squared loss, and sampled zeros.
 * source: Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems",
 *         IEEE Computer 42(8), 2009, equations 4 and 5.
 *
 * Every user u and item i have a vector of `factors` numbers and a bias. The target t_ui of a pair
 * is the sum of its weights, at most `target_max`. Training minimises, over the pairs,
 *
 *   Σ (t_ui - ŝ_ui)² + λ (|x_u|² + |y_i|²) + λ_b (b_u² + b_i²),   ŝ_ui = μ + b_u + b_i + x_u·y_i
 *
 * and for each pair as much for `zeros` items j that u has no pair with, drawn uniformly, t_uj = 0.
 * Without them nothing says that what was not chosen is worth less, and lists are poor. μ is the
 * mean of all targets, zeros included. Training is in biased_mf_fit.c.
 *
 * The model is the items' rows (y_i, b_i) and μ. With the items held fixed, what is expected of the
 * loss of one history is quadratic in z = (x, b_u), so a history is answered by one ridge solve.
 * With q_i = (y_i, 1), c_i the decay of an event (recency.h; 1 without), t_i its weight, at most
 * target_max, and C = Σ c_i: the zeros are C `zeros` draws from all I items,
 *
 *   A = Σ_h c_i q_i q_iᵀ + (C zeros / I) Σ_all q_j q_jᵀ + C (1 + zeros) diag(λ, .., λ_b)
 *   r = Σ_h c_i (t_i - μ - b_i) q_i - (C zeros / I) Σ_all (μ + b_j) q_j        A z = r
 *
 * and the score is x·y_j + b_j: what the item adds, without μ and b_u, which change no order.
 *
 * similar: the cosine of y_i and y_j. explain: x is A⁻¹ r without its last number, so the score
 * splits over the terms of r. That of an event is its share; b_j and what the zeros add, which no
 * event is the cause of, are spread over the events by their c_i. */
#include <math.h>
#include <string.h>

#include "biased_mf.h"
#include "recency.h"
#include "recsysd/families.h"

static const char *const optimizers[] = {"sgd", "adam", NULL};

static const struct rec_param biased_mf_params[] = {
    {"factors", REC_PARAM_INT, 1, REC_FACTORS_MAX, true, 64, NULL, "numbers per item"},
    {"epochs", REC_PARAM_INT, 1, 10000, true, 30, NULL, "passes over the pairs"},
    {"optimizer", REC_PARAM_CHOICE, 0, 0, false, 0, optimizers,
     "plain steps, or steps that adapt to each number (a tenth of the rate does)"},
    {"learning_rate", REC_PARAM_FLOAT, 1e-5, 10, true, 0.05, NULL, "length of a step"},
    {"decay", REC_PARAM_FLOAT, 0, 1, false, 1, NULL,
     "by how much of itself the rate has fallen at the end, evenly"},
    {"regularization", REC_PARAM_FLOAT, 1e-6, 10, true, 0.01, NULL,
     "pulls factors to zero, each step"},
    {"bias_regularization", REC_PARAM_FLOAT, 1e-6, 10, true, 0.01, NULL, "the same for biases"},
    {"zeros", REC_PARAM_INT, 0, REC_BIASED_MF_ZEROS_MAX, false, 8, NULL,
     "items a user has not chosen, drawn for each that was; their target is 0"},
    {"target_max", REC_PARAM_FLOAT, 1e-3, 1e3, true, 1, NULL,
     "a pair's target is the sum of its weights, at most this: 5 for weights that are stars"},
    {"sigma", REC_PARAM_FLOAT, 1e-6, 10, true, 0.1, NULL,
     "length of the random rows that training starts from"},
    REC_EARLYSTOP_PARAM(0),
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range biased_mf_tune[] = {
    {.name = "factors", .min = 16, .max = 128, .log_scale = true}, /* then double them by hand */
    {.name = "epochs", .min = 10, .max = 60, .log_scale = true},
    {.name = "learning_rate", .min = 1e-3, .max = 0.2, .log_scale = true},
    {.name = "regularization", .min = 1e-3, .max = 0.1, .log_scale = true},
    {.name = "bias_regularization", .min = 1e-3, .max = 0.1, .log_scale = true},
    {.name = "zeros", .min = 1, .max = 16, .log_scale = true},
    {.name = "sigma"},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

enum { PARAM_COUNT = sizeof(biased_mf_params) / sizeof(biased_mf_params[0]), BLOCK = 256 };

/* What open() computes once. */
struct biased_mf {
    struct rec_mf mf; /* first */
    float recency, mean, target_max;
    float zeros, regularization, bias_regularization;
    const float *q;     /* [items x width] (y, 1): a copy, as the kernels want rows in order */
    const float *gram;  /* [width x width] lower triangle: mean over all items of q qᵀ */
    const float *right; /* [width] mean over all items of (μ + b) q */
};

/* ---- open ------------------------------------------------------------------------ */

static void fill_caches(struct biased_mf *self, uint32_t items, float *values) {
    size_t width = self->mf.width, f = self->mf.factors;
    float *q = values, *gram = q + items * width, *right = gram + width * width;
    for (size_t i = 0; i < items; i++) {
        memcpy(q + i * width, self->mf.rows + i * width, f * sizeof(*q));
        q[i * width + f] = 1.0f;
    }
    rec_kernels_syrk_rows(q, NULL, NULL, items, width, gram);
    for (size_t i = 0; i < items; i++)
        rec_kernels_axpy(self->mean + self->mf.rows[i * width + f], q + i * width, right, width);
    for (size_t k = 0; k < width * width; k++)
        gram[k] /= (float)items;
    for (size_t k = 0; k < width; k++)
        right[k] /= (float)items;
    self->q = q;
    self->gram = gram;
    self->right = right;
}

static enum rec_status biased_mf_open(struct rec_model *model, struct rec_error *err) {
    size_t width = (size_t)rec_params_get(&model->params, "factors") + 1;
    size_t extra = model->items * width + width * width + width;
    const struct rec_tensor *mean = NULL;
    enum rec_status st = rec_tensors_get(&model->tensors, "mean", REC_TENSOR_F32, 1, 1, &mean, err);
    if (st != REC_OK)
        return st;
    float value = *(const float *)mean->data;
    if (!(fabsf(value) <= REC_MF_VALUE_MAX))
        return rec_error_set(err, REC_CORRUPT, "biased-mf: the mean is %g, expected within %g",
                             (double)value, (double)REC_MF_VALUE_MAX);
    float *values = NULL;
    st = rec_mf_open(model, sizeof(struct biased_mf), extra, &values, err);
    if (st != REC_OK)
        return st;
    struct biased_mf *self = model->self;
    self->recency = (float)rec_params_get(&model->params, "recency");
    self->mean = value;
    self->target_max = (float)rec_params_get(&model->params, "target_max");
    self->zeros = (float)rec_params_get(&model->params, "zeros");
    self->regularization = (float)rec_params_get(&model->params, "regularization");
    self->bias_regularization = (float)rec_params_get(&model->params, "bias_regularization");
    fill_caches(self, model->items, values);
    model->scratch_floats = width * width + width;
    return REC_OK;
}

/* ---- fold-in ---------------------------------------------------------------------- */

/* Terms of A and r on their way to the kernels. */
struct pending {
    size_t count;
    uint32_t index[BLOCK];
    float weight[BLOCK], error[BLOCK];
};

static void flush(const struct biased_mf *self, struct pending *pending, float *A, float *r) {
    size_t width = self->mf.width;
    rec_kernels_syrk_rows(self->q, pending->index, pending->weight, pending->count, width, A);
    rec_kernels_sum_rows(self->q, pending->index, pending->error, pending->count, width, r);
    pending->count = 0;
}

/* c_i of the walk's next event, 0 when it says nothing; *error: t_i - μ - b_i. The walk sees
 * weights of 1, so that what it returns is the decay, also for weights that are infinite or nearly
 * 0. */
static float next_event(const struct biased_mf *self, struct rec_recency *walk,
                        const struct rec_event *event, float *error) {
    struct rec_event one = *event;
    one.weight = event->weight > 0.0f ? 1.0f : 0.0f;
    float decay = rec_recency_next(walk, &one);
    if (decay > 0.0f)
        *error = fminf(event->weight, self->target_max) - self->mean -
                 self->mf.rows[event->item * self->mf.width + self->mf.factors];
    return decay;
}

/* Adds the history's terms to A and r, which are zero. Returns C. */
static float add_history(const struct rec_model *model, const struct rec_history *history, float *A,
                         float *r) {
    const struct biased_mf *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->recency, model->items, history);
    struct pending pending = {.count = 0};
    float sum = 0.0f;
    for (size_t e = 0; e < history->count; e++) {
        float error = 0.0f, weight = next_event(self, &walk, &history->events[e], &error);
        if (!(weight > 0.0f))
            continue;
        sum += weight;
        pending.index[pending.count] = history->events[e].item;
        pending.weight[pending.count] = weight;
        pending.error[pending.count++] = weight * error;
        if (pending.count == BLOCK)
            flush(self, &pending, A, r);
    }
    if (pending.count > 0)
        flush(self, &pending, A, r);
    return sum;
}

/* The factor of A (scratch [width x width]) and r. Returns C; 0 when the history says nothing, or A
 * has no factor in float: then no answer is better than a wrong one. */
static float factor_history(const struct rec_model *model, const struct rec_history *history,
                            float *r, float *A) {
    const struct biased_mf *self = model->self;
    size_t width = self->mf.width, f = self->mf.factors;
    memset(A, 0, width * width * sizeof(*A));
    memset(r, 0, width * sizeof(*r));
    float sum = add_history(model, history, A, r);
    if (!(sum > 0.0f))
        return 0.0f;
    rec_kernels_axpy(sum * self->zeros, self->gram, A, width * width);
    rec_kernels_axpy(-sum * self->zeros, self->right, r, width);
    for (size_t k = 0; k < f; k++)
        A[k * width + k] += sum * (1.0f + self->zeros) * self->regularization;
    A[f * width + f] += sum * (1.0f + self->zeros) * self->bias_regularization;
    return rec_cholesky_factor(A, width) ? sum : 0.0f;
}

static bool biased_mf_query(const struct rec_model *model, const struct rec_history *history,
                            float *query, float *scratch) {
    const struct biased_mf *self = model->self;
    size_t width = self->mf.width;
    bool good = factor_history(model, history, query, scratch) > 0.0f;
    if (good)
        rec_cholesky_solve(scratch, width, query);
    query[self->mf.factors] = 1.0f;
    for (size_t k = 0; k < width; k++)
        good = good && fabsf(query[k]) <= REC_MF_VALUE_MAX;
    if (!good)
        memset(query, 0, width * sizeof(*query));
    return good;
}

/* With v = A⁻¹ (y_j, 0): x·y_j = r·v. */
static void biased_mf_explain(const struct rec_model *model, const struct rec_history *history,
                              const uint32_t *items, size_t n, float *shares, float *scratch) {
    const struct biased_mf *self = model->self;
    size_t width = self->mf.width, f = self->mf.factors;
    float *v = scratch + width * width;
    float sum = factor_history(model, history, v, scratch);
    for (size_t row = 0; row < n; row++) {
        struct rec_recency walk = rec_recency_begin(self->recency, model->items, history);
        memcpy(v, self->mf.rows + items[row] * width, f * sizeof(*v));
        v[f] = 0.0f;
        if (sum > 0.0f)
            rec_cholesky_solve(scratch, width, v);
        float others = self->mf.rows[items[row] * width + f] / (sum > 0.0f ? sum : 1.0f) -
                       self->zeros * rec_kernels_dot(self->right, v, width);
        for (size_t e = 0; e < history->count; e++) {
            float error = 0.0f, weight = next_event(self, &walk, &history->events[e], &error);
            float *share = &shares[row * history->count + e];
            *share = 0.0f;
            if (sum > 0.0f && weight > 0.0f)
                *share =
                    weight *
                    (others +
                     error * rec_kernels_dot(self->q + history->events[e].item * width, v, width));
        }
    }
}

const struct rec_family rec_biased_mf_family = {
    .name = "biased-mf",
    .help = "matrix factorisation with biases, squared loss on what was and was not chosen",
    .params = biased_mf_params,
    .param_count = PARAM_COUNT,
    .tune = biased_mf_tune,
    .ignores_history = false,
    .fit = rec_biased_mf_fit,
    .goes_on = true,
    .fit_bytes = rec_biased_mf_fit_bytes,
    .open = biased_mf_open,
    .close = rec_mf_close,
    .query = biased_mf_query,
    .score = rec_mf_score,
    .similar = rec_mf_similar,
    .explain = biased_mf_explain,
};
