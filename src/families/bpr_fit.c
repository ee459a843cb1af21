/* Training by BPR: stochastic gradient ascent over pairs dealt into strata (strata.h), one sampled
 * negative a pair and epoch.
 *
 * The last number of a user's row is 1 and stays 1, the last of an item's row is its bias: so the
 * bias needs no code of its own. It is not regularised by itself: it has the item's rates. */
#include <math.h>

#include "bpr.h"
#include "negatives.h"
#include "recsysd/families.h"

enum { GROUP = 16 }; /* pairs whose negatives are drawn together */

struct training {
    struct rec_mf_training mf;
    size_t candidates;
    double user, positive, negative; /* regularisation */
};

/* What multiplies a row in each step, 1 - rate x regularization, and the rate itself. */
struct rates {
    float rate, user, positive, negative;
};

/* ---- a step ----------------------------------------------------------------------- */

static struct rates rates_of(const struct training *t) {
    double rate = t->mf.rate;
    return (struct rates){(float)rate, (float)(1.0 - rate * t->user),
                          (float)(1.0 - rate * t->positive), (float)(1.0 - rate * t->negative)};
}

/* The negative with the highest score of those drawn: it is the one that pushes the positive down
 * in a list. source: Zhang, Chen, Wang and Yu, "Optimizing top-N collaborative filtering via
 * dynamic negative item sampling", SIGIR 2013. */
static float *hardest(const struct training *t, const uint32_t *drawn, const float *x,
                      float *score) {
    float *best = NULL;
    for (size_t c = 0; c < t->candidates; c++) {
        if (drawn[c] == UINT32_MAX)
            continue;
        float *row = t->mf.items + drawn[c] * t->mf.width;
        float s = rec_kernels_dot(x, row, t->mf.width);
        if (best == NULL || s > *score) {
            best = row;
            *score = s;
        }
    }
    return best;
}

/* exp(-margin) of a pair before its step: the odds that the order is wrong; 0 without a step. */
static float learn_pair(const struct training *t, const struct rates *rates,
                        const struct rec_strata_pair *pair, const uint32_t *drawn) {
    float *x = t->mf.users + pair->user * t->mf.width,
          *positive = t->mf.items + pair->item * t->mf.width;
    float score = 0.0f, *negative = hardest(t, drawn, x, &score);
    if (negative == NULL)
        return 0.0f;
    float margin = rec_kernels_dot(x, positive, t->mf.width) - score;
    float wrong = expf(margin < -30.0f ? 30.0f : -margin);
    const struct rec_kernels_pair step = {rates->rate * pair->value * wrong / (1.0f + wrong),
                                          rates->user, rates->positive, rates->negative};
    rec_kernels_pull(&step, x, positive, negative, t->mf.width);
    x[t->mf.width - 1] = 1.0f;
    return wrong;
}

static void learn_cell(void *context, struct rec_strata_cell *cell) {
    struct training *t = context;
    const struct rates rates = rates_of(t);
    uint32_t drawn[GROUP * REC_BPR_CANDIDATES_MAX];
    double odds = 1.0; /* a product of 1 + exp(-margin): one logarithm for many of them */
    for (size_t begin = 0; begin < cell->count; begin += GROUP) {
        size_t count = cell->count - begin < GROUP ? cell->count - begin : GROUP;
        const struct rec_strata_pair *pairs = cell->pairs + begin;
        rec_strata_negatives(cell, pairs, count, t->candidates, drawn);
        for (size_t i = 0; i < count; i++)
            odds *= 1.0 + (double)learn_pair(t, &rates, &pairs[i], drawn + i * t->candidates);
        if (!(odds < 1e20)) { /* a group adds at most 16 times 13.1 digits */
            t->mf.loss[cell->number] += log(odds);
            odds = 1.0;
        }
    }
    t->mf.loss[cell->number] += log(odds);
    t->mf.steps[cell->number] += (double)cell->count;
}

/* ---- a fit ------------------------------------------------------------------------ */

enum rec_status rec_bpr_fit_users(const struct rec_fit *fit, struct rec_tensors *out, float **users,
                                  struct rec_error *err) {
    static const double popular[] = {0.0, 1.0, 0.5}; /* as the choices of "negatives" */
    const struct rec_params *params = fit->params;
    struct training t = {.candidates = (size_t)rec_params_get(params, "candidates"),
                         .user = rec_params_get(params, "user_regularization"),
                         .positive = rec_params_get(params, "positive_regularization"),
                         .negative = rec_params_get(params, "negative_regularization")};
    enum rec_status st = rec_negatives_check(fit->data, rec_bpr_family.name, err);
    if (st != REC_OK)
        return st;
    st = rec_mf_begin(&t.mf, fit, &rec_bpr_family, 1.0f,
                      popular[(size_t)rec_params_get(params, "negatives")],
                      rec_params_get(params, "exponent"), out, err);
    if (st == REC_OK) {
        for (size_t u = 0; u < t.mf.matrix->rows; u++)
            t.mf.users[(u + 1) * t.mf.width - 1] = 1.0f;
        st = rec_mf_epochs(&t.mf, learn_cell, &t, out, err);
    }
    if (st == REC_OK && users != NULL) {
        *users = t.mf.users;
        t.mf.users = NULL;
    }
    rec_mf_end(&t.mf, st == REC_OK ? out : NULL);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

enum rec_status rec_bpr_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err) {
    return rec_bpr_fit_users(fit, out, NULL, err);
}

size_t rec_bpr_fit_bytes(const struct rec_fit *fit) {
    return rec_mf_fit_bytes(fit, 1.0);
}
