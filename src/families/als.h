/* What training an iALS model (als_fit.c) and answering with one (als.c) share:
 * the least squares problem of one row. Inside the room only. */
#ifndef FAMILIES_ALS_H
#define FAMILIES_ALS_H

#include "recsysd/linalg.h"
#include "recsysd/model.h"

/* Factors and confidences beyond this are refused: a sum of products of two, over any number of
 * factors, then stays finite in float. */
#define REC_ALS_VALUE_MAX 1e12f

/* The fixed side of a half step. */
struct als_side {
    size_t factors;
    const float *rows;   /* [? x factors] */
    const float *base;   /* rowsᵀ rows + regularization I [factors x factors], lower triangle */
    const float *factor; /* its Cholesky factor */
};

/* base and factor of a side, from the Gramian of its rows. False when it is far from positive
 * definite: not a Gramian. */
bool rec_als_base(const float *gramian, size_t factors, float regularization, float *base,
                  float *factor);

/* One row on its way to A x = b: A = base + sum extra q qᵀ, b = sum confidence q. */
struct als_row {
    const struct als_side *side;
    float *A; /* [factors x factors], the caller's; used when some extra is not 0 */
    float *b; /* [factors], the caller's: becomes x */
    float ridge;
    bool plain; /* A is the base as it is, so its factor is known */
    size_t pending;
    uint32_t index[256];
    float confidence[256], extra[256];
};

void rec_als_row_begin(struct als_row *row, const struct als_side *side, float ridge, float *A,
                       float *b);
/* extra: what the confidence adds to the 1 that every row has in the base. */
void rec_als_row_add(struct als_row *row, uint32_t index, float confidence, float extra);
/* b is complete; *L is the factor of A. False when A is not positive definite. */
bool rec_als_row_factor(struct als_row *row, const float **L);

/* The ridge to try after `ridge` (first: 0) failed; at most REC_ALS_TRIES in all. */
enum { REC_ALS_TRIES = 4 };
float rec_als_next_ridge(const struct als_side *side, float confidence_sum, float ridge);

enum rec_status rec_als_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err);

#endif
