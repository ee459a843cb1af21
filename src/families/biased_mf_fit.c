/* Training of biased matrix factorisation: stochastic gradient descent over pairs dealt into strata
 * (strata.h), each followed by its sampled zeros, with plain steps or Adam's.
 *
 * Adam's two averages are kept for every number of both sides, and each row counts its own steps
 * for the correction of their bias: a row that is seldom met is not taken for one that has been
 * averaged for long. source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR
 * 2015, algorithm 1. */
#include <math.h>

#include "biased_mf.h"
#include "recsysd/families.h"

enum {
    GROUP = 16,       /* pairs whose zeros are drawn together */
    CORRECTED = 8192, /* Adam: steps after which the correction is nothing: .999^8192 = .0003 */
};
#define BETA1 0.9
#define BETA2 0.999

/* Rows of one side. */
struct side {
    float *rows;
    float *first, *second; /* [rows x width]; NULL without Adam */
    uint32_t *steps;       /* [rows] */
};

struct training {
    struct rec_mf_training mf;
    struct side users, items;
    size_t zeros;
    float mean, regularization, bias_regularization;
    struct rec_kernels_step *correction; /* [CORRECTED]; NULL without Adam */
};

/* ---- a step ----------------------------------------------------------------------- */

/* row += rate (error other - regularization row), the bias as if other were 1 there. */
static void plain_step(const struct training *t, float *restrict row, const float *restrict other,
                       float error) {
    size_t factors = t->mf.width - 1;
    float rate = (float)t->mf.rate, step = rate * error, keep = 1.0f - rate * t->regularization;
    for (size_t k = 0; k < factors; k++)
        row[k] = keep * row[k] + step * other[k];
    row[factors] += step - rate * t->bias_regularization * row[factors];
}

static void adam_step(const struct training *t, const struct side *side, uint32_t index,
                      const float *other, float error, float *gradient) {
    size_t factors = t->mf.width - 1, at = (size_t)index * t->mf.width;
    uint32_t count = side->steps[index] < CORRECTED - 1 ? side->steps[index]++ : CORRECTED - 1;
    struct rec_kernels_step step = t->correction[count];
    float bias = -error;
    for (size_t k = 0; k < factors; k++)
        gradient[k] = -error * other[k];
    step.rate *= (float)t->mf.rate;
    step.decay = t->regularization;
    rec_kernels_adam(&step, gradient, side->rows + at, side->first + at, side->second + at,
                     factors);
    step.decay = t->bias_regularization;
    at += factors;
    rec_kernels_adam(&step, &bias, side->rows + at, side->first + at, side->second + at, 1);
}

/* The error before the step; both rows take theirs from what they were before it. */
static float learn(const struct training *t, uint32_t user, uint32_t item, float target) {
    size_t width = t->mf.width, factors = width - 1;
    float *x = t->users.rows + user * width, *y = t->items.rows + item * width;
    float before[REC_FACTORS_MAX], gradient[REC_FACTORS_MAX];
    float error = target - t->mean - x[factors] - y[factors] - rec_kernels_dot(x, y, factors);
    for (size_t k = 0; k < factors; k++)
        before[k] = x[k];
    if (t->correction == NULL) {
        plain_step(t, x, y, error);
        plain_step(t, y, before, error);
    } else {
        adam_step(t, &t->users, user, y, error, gradient);
        adam_step(t, &t->items, item, before, error, gradient);
    }
    return error;
}

static void learn_cell(void *context, struct rec_strata_cell *cell) {
    struct training *t = context;
    uint32_t drawn[GROUP * REC_BIASED_MF_ZEROS_MAX];
    double loss = 0.0, steps = 0.0;
    for (size_t begin = 0; begin < cell->count; begin += GROUP) {
        size_t count = cell->count - begin < GROUP ? cell->count - begin : GROUP;
        const struct rec_strata_pair *pairs = cell->pairs + begin;
        rec_strata_negatives(cell, pairs, count, t->zeros, drawn);
        for (size_t i = 0; i < count; i++) {
            float error = learn(t, pairs[i].user, pairs[i].item, pairs[i].value);
            loss += (double)error * (double)error;
            steps += 1.0;
            for (size_t z = i * t->zeros; z < (i + 1) * t->zeros; z++) {
                if (drawn[z] == UINT32_MAX)
                    continue;
                error = learn(t, pairs[i].user, drawn[z], 0.0f);
                loss += (double)error * (double)error;
                steps += 1.0;
            }
        }
    }
    t->mf.loss[cell->number] += loss;
    t->mf.steps[cell->number] += steps;
}

/* ---- a fit ------------------------------------------------------------------------ */

static bool begin_adam(struct side *side, size_t rows, size_t width) {
    side->first = rec_alloc_array(rows, width * sizeof(*side->first));
    side->second = rec_alloc_array(rows, width * sizeof(*side->second));
    side->steps = rec_alloc_array(rows, sizeof(*side->steps));
    return side->first != NULL && side->second != NULL && side->steps != NULL;
}

static void end_adam(struct side *side) {
    rec_alloc_free(side->first);
    rec_alloc_free(side->second);
    rec_alloc_free(side->steps);
}

static enum rec_status begin_steps(struct training *t, struct rec_error *err) {
    double beta1 = 1.0, beta2 = 1.0;
    t->users.rows = t->mf.users;
    t->items.rows = t->mf.items;
    if (rec_params_get(t->mf.fit->params, "optimizer") == 0)
        return REC_OK;
    t->correction = rec_alloc_array(CORRECTED, sizeof(*t->correction));
    if (t->correction == NULL || !begin_adam(&t->users, t->mf.matrix->rows, t->mf.width) ||
        !begin_adam(&t->items, t->mf.matrix->cols, t->mf.width))
        return rec_error_set(err, REC_NO_MEMORY,
                             "biased-mf: no memory for the averages of %u users and %u items",
                             t->mf.matrix->rows, t->mf.matrix->cols);
    for (size_t i = 0; i < CORRECTED; i++) {
        beta1 *= BETA1;
        beta2 *= BETA2;
        t->correction[i] =
            (struct rec_kernels_step){.rate = (float)(1.0 / (1.0 - beta1)),
                                      .root_inverse = (float)(1.0 / sqrt(1.0 - beta2)),
                                      .beta1 = (float)BETA1,
                                      .beta2 = (float)BETA2,
                                      .epsilon = 1e-8f};
    }
    return REC_OK;
}

/* The mean of all targets, zeros included as often as they are drawn. */
static float mean_of(const struct training *t) {
    uint64_t entries = rec_csr_entries(t->mf.matrix);
    double sum = 0.0;
    for (uint64_t k = 0; k < entries; k++)
        sum += (double)t->mf.matrix->value[k];
    return entries == 0 ? 0.0f : (float)(sum / (double)entries / (1.0 + (double)t->zeros));
}

enum rec_status rec_biased_mf_fit_users(const struct rec_fit *fit, struct rec_tensors *out,
                                        float **users, struct rec_error *err) {
    const struct rec_params *params = fit->params;
    struct training t = {.zeros = (size_t)rec_params_get(params, "zeros"),
                         .regularization = (float)rec_params_get(params, "regularization"),
                         .bias_regularization =
                             (float)rec_params_get(params, "bias_regularization")};
    void *mean = NULL;
    enum rec_status st =
        rec_mf_begin(&t.mf, fit, &rec_biased_mf_family, (float)rec_params_get(params, "target_max"),
                     0.0, 0.0, out, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "mean", REC_TENSOR_F32, 1, 1, &mean, err);
    if (st == REC_OK)
        st = begin_steps(&t, err);
    if (st == REC_OK) {
        *(float *)mean = t.mean = mean_of(&t);
        st = rec_mf_epochs(&t.mf, learn_cell, &t, out, err);
    }
    if (st == REC_OK && users != NULL) {
        *users = t.mf.users;
        t.mf.users = NULL;
    }
    end_adam(&t.users);
    end_adam(&t.items);
    rec_alloc_free(t.correction);
    rec_mf_end(&t.mf, st == REC_OK ? out : NULL);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

enum rec_status rec_biased_mf_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                  struct rec_error *err) {
    return rec_biased_mf_fit_users(fit, out, NULL, err);
}

size_t rec_biased_mf_fit_bytes(const struct rec_fit *fit) {
    return rec_mf_fit_bytes(fit, rec_params_get(fit->params, "optimizer") == 0 ? 1.0 : 3.0);
}
