/* bpr: Bayesian personalised ranking, matrix factorisation.
 * source: Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian personalized ranking
 *         from implicit feedback", UAI 2009.
 *
 * The score of user u and item i is s_ui = x_u·y_i + b_i. Over the pairs (u, i) with weight w_ui
 * (at most 1) and items j that u has no pair with, stochastic gradient steps maximise
 *
 *   Σ w_ui ln σ(s_ui - s_uj) - ½ (λ_u |x_u|² + λ_p |y_i|² + λ_n |y_j|²)
 *
 * a step is (with e = w_ui σ(s_uj - s_ui) and rate η)
 *
 *   x_u += η (e (y_i - y_j) - λ_u x_u)   y_i += η (e x_u - λ_p y_i)   y_j += η (-e x_u - λ_n y_j)
 *
 * and the biases are one more number of the rows. Training is in bpr_fit.c.
 *
 * The model is the rows of items. A history is answered by the user's steps alone, the items held
 * fixed: passes over the history with negatives from a fixed random stream, from x = 0, so the same
 * history has the same answer always. An answer costs REC_BPR_FOLD_WORK at most, whatever the
 * parameters: it is made inside a request.
 *
 * similar: the cosine of y_i and y_j. explain: none; σ is not linear, so a score does not split
 * over the history. With `recency` the weights of a history are decayed (recency.h); training knows
 * no order. */
#include <math.h>
#include <string.h>

#include "bpr.h"
#include "earlystop.h"
#include "recency.h"
#include "recsysd/families.h"

static const char *const negatives[] = {"uniform", "popular", "mixed", NULL};

static const struct rec_param bpr_params[] = {
    {"factors", REC_PARAM_INT, 1, REC_FACTORS_MAX, true, 64, NULL, "numbers per item"},
    {"epochs", REC_PARAM_INT, 1, 10000, true, 30, NULL, "passes over the pairs"},
    {"learning_rate", REC_PARAM_FLOAT, 1e-5, 10, true, 0.1, NULL, "length of a step"},
    {"decay", REC_PARAM_FLOAT, 0, 1, false, 1, NULL,
     "by how much of itself the rate has fallen at the end, evenly"},
    {"user_regularization", REC_PARAM_FLOAT, 0, 10, false, 0.02, NULL,
     "pulls users' factors to zero, each step"},
    {"positive_regularization", REC_PARAM_FLOAT, 0, 10, false, 0.02, NULL,
     "the same for items that were chosen"},
    {"negative_regularization", REC_PARAM_FLOAT, 0, 10, false, 0.02, NULL,
     "the same for items that were drawn as negatives"},
    {"negatives", REC_PARAM_CHOICE, 0, 0, false, 2, negatives,
     "how items that a user has not chosen are drawn; mixed: half and half"},
    {"exponent", REC_PARAM_FLOAT, 0, 2, false, 0.75, NULL,
     "popular negatives are drawn by (number of users)^this"},
    {"candidates", REC_PARAM_INT, 1, REC_BPR_CANDIDATES_MAX, true, 4, NULL,
     "of this many negatives drawn, the one with the highest score is taken"},
    {"sigma", REC_PARAM_FLOAT, 1e-6, 10, true, 0.1, NULL,
     "length of the random rows that training starts from"},
    REC_EARLYSTOP_PARAM(0),
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range bpr_tune[] = {
    {.name = "factors", .min = 16, .max = 128, .log_scale = true}, /* then double them by hand */
    {.name = "epochs", .min = 10, .max = 60, .log_scale = true},
    {.name = "learning_rate", .min = 0.01, .max = 0.5, .log_scale = true},
    {.name = "user_regularization", .min = 1e-3, .max = 0.1, .log_scale = true},
    {.name = "positive_regularization", .min = 1e-3, .max = 0.1, .log_scale = true},
    {.name = "negative_regularization", .min = 1e-3, .max = 0.1, .log_scale = true},
    {.name = "exponent", .min = 0, .max = 1},
    {.name = "candidates", .min = 1, .max = 16, .log_scale = true},
    {.name = "sigma"},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

enum { PARAM_COUNT = sizeof(bpr_params) / sizeof(bpr_params[0]) };

/* Steps of a fold-in: about FOLD_STEPS; but 50 for a single event, and for the longest history, of
 * 8,192, PASSES_MIN times as many, 32,768, if that is not too much work. */
enum { FOLD_STEPS = 1000, PASSES_MIN = 4, PASSES_MAX = 50 };
#define FOLD_RATE 0.2f

/* What open() computes once. */
struct bpr {
    struct rec_mf mf; /* first */
    float recency, regularization;
    size_t candidates, steps_max; /* of a fold-in */
};

static enum rec_status bpr_open(struct rec_model *model, struct rec_error *err) {
    enum rec_status st = rec_mf_open(model, sizeof(struct bpr), 0, NULL, err);
    if (st != REC_OK)
        return st;
    struct bpr *self = model->self;
    self->recency = (float)rec_params_get(&model->params, "recency");
    self->regularization = (float)rec_params_get(&model->params, "user_regularization");
    self->candidates = (size_t)rec_params_get(&model->params, "candidates");
    self->steps_max =
        REC_BPR_FOLD_WORK / ((self->candidates + 1) * (self->mf.width + REC_BPR_DRAW_WORK));
    /* one bit for each item */
    model->scratch_floats = ((size_t)model->items + 31) / 32;
    return REC_OK;
}

/* ---- fold-in ------------------------------------------------------------------------ */
static bool has(const uint32_t *seen, uint32_t item) {
    return (seen[item / 32] >> item % 32 & 1) != 0;
}

/* Marks the items of the history; how many of its events say something. */
static size_t mark(const struct rec_model *model, const struct rec_history *history,
                   uint32_t *seen) {
    const struct bpr *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->recency, model->items, history);
    size_t count = 0;
    memset(seen, 0, ((size_t)model->items + 31) / 32 * sizeof(*seen));
    for (size_t e = 0; e < history->count; e++) {
        uint32_t item = history->events[e].item;
        if (!(rec_recency_next(&walk, &history->events[e]) > 0.0f))
            continue;
        seen[item / 32] |= UINT32_C(1) << item % 32;
        count++;
    }
    return count;
}

/* A negative's row; NULL when all that was drawn is in the history. */
static const float *negative(const struct rec_model *model, const uint32_t *seen, const float *x,
                             struct rec_rng *rng, float *score) {
    enum { TRIES = 8 };
    const struct bpr *self = model->self;
    const float *best = NULL;
    size_t wanted = self->candidates;
    for (size_t try = 0; try < TRIES * self->candidates && wanted > 0; try++) {
        uint32_t item = rec_rng_below(rng, model->items);
        if (has(seen, item))
            continue;
        const float *row = self->mf.rows + item * self->mf.width;
        float s = rec_kernels_dot(x, row, self->mf.width);
        if (best == NULL || s > *score) {
            best = row;
            *score = s;
        }
        wanted--;
    }
    return best;
}

/* older: so many events that say something are passed over */
static void pass(const struct rec_model *model, const struct rec_history *history, size_t older,
                 const uint32_t *seen, struct rec_rng *rng, float rate, float *x) {
    const struct bpr *self = model->self;
    size_t factors = self->mf.factors, width = self->mf.width;
    float keep = 1.0f - rate * self->regularization;
    struct rec_recency walk = rec_recency_begin(self->recency, model->items, history);
    for (size_t e = 0; e < history->count; e++) {
        float weight = rec_recency_next(&walk, &history->events[e]), score = 0.0f;
        if (!(weight > 0.0f))
            continue;
        if (older > 0) {
            older--;
            continue;
        }
        const float *liked = self->mf.rows + history->events[e].item * width;
        const float *other = negative(model, seen, x, rng, &score);
        if (other == NULL)
            continue;
        float margin = rec_kernels_dot(x, liked, width) - score;
        float step = rate * (weight < 1.0f ? weight : 1.0f) / (1.0f + expf(margin));
        for (size_t k = 0; k < factors; k++)
            x[k] = keep * x[k] + step * (liked[k] - other[k]);
    }
}

/* Short histories take more passes, long ones fewer: the work is bounded, and so is how far x can
 * be from where it is going. The rate falls evenly, so that the last steps take an average. Where
 * steps are dear there are fewer passes still, and then only the newest events are learned from:
 * they are what recency would keep, and what the cap on histories keeps. */
static bool bpr_query(const struct rec_model *model, const struct rec_history *history,
                      float *query, float *scratch) {
    const struct bpr *self = model->self;
    uint32_t *seen = (uint32_t *)(void *)scratch; /* heap memory */
    struct rec_rng rng;
    size_t count = mark(model, history, seen), passes = 0, older = 0;
    bool in_range = true;
    memset(query, 0, self->mf.width * sizeof(*query));
    if (count == 0)
        return false;
    query[self->mf.factors] = 1.0f;
    rec_rng_init(&rng, 1, 0);
    passes = FOLD_STEPS / count;
    passes = passes < PASSES_MIN ? PASSES_MIN : passes > PASSES_MAX ? PASSES_MAX : passes;
    if (passes * count > self->steps_max) {
        older = count > self->steps_max ? count - self->steps_max : 0;
        passes = self->steps_max / (count - older);
    }
    for (size_t p = 0; p < passes; p++)
        pass(model, history, older, seen, &rng, FOLD_RATE * (1.0f - (float)p / (float)passes),
             query);
    for (size_t k = 0; k < self->mf.width; k++)
        in_range = in_range && fabsf(query[k]) <= REC_MF_VALUE_MAX;
    if (in_range)
        return true;
    memset(query, 0, self->mf.width * sizeof(*query));
    return false;
}

const struct rec_family rec_bpr_family = {
    .name = "bpr",
    .help = "Bayesian personalised ranking: chosen items above others, by sampled pairs",
    .params = bpr_params,
    .param_count = PARAM_COUNT,
    .tune = bpr_tune,
    .ignores_history = false,
    .fit = rec_bpr_fit,
    .goes_on = true,
    .fit_bytes = rec_bpr_fit_bytes,
    .open = bpr_open,
    .close = rec_mf_close,
    .query = bpr_query,
    .score = rec_mf_score,
    .similar = rec_mf_similar,
    .explain = NULL,
};
