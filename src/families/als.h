/* What training an iALS model (als_fit.c, als_block.c) and answering with one (als.c) share: the
 * least squares problem of one row (als_row.c). Inside the room only. */
#ifndef FAMILIES_ALS_H
#define FAMILIES_ALS_H

#include "recsysd/linalg.h"
#include "recsysd/model.h"

/* Factors and confidences beyond this are refused: a sum of products of two, over any number of
 * factors, then stays finite in float. */
#define REC_ALS_VALUE_MAX 1e12f

/* What is minimised, beside the confidences. */
struct als_objective {
    float unobserved;     /* the confidence of a pair that nothing is known of */
    float regularization; /* of a row: regularization x (all its confidences)^power */
    float power;
};
struct als_objective rec_als_objective(const struct rec_params *params);

/* The fixed side of a half step. */
struct als_side {
    size_t factors;
    struct als_objective objective;
    uint32_t count;    /* of rows: how many pairs a row of the other side has */
    const float *rows; /* [count x factors] */
    const float *base; /* unobserved rowsᵀ rows + the regularization of a row that has done nothing
                          [factors x factors], lower triangle */
    const float *factor;  /* its Cholesky factor */
    const float *inverse; /* of base, whole [factors x factors]; NULL: not made */
};

/* The regularization of a row whose observed confidences add up to this. */
float rec_als_lambda(const struct als_side *side, float confidence_sum);

/* Fills base and factor [factors x factors], the side's, from the Gramian of its rows. False when
 * it is far from positive definite: not a Gramian. */
bool rec_als_base(const struct als_side *side, const float *gramian, float *base, float *factor);

/* Fills inverse [factors x factors] from the side's factor. */
void rec_als_inverse(const struct als_side *side, float *inverse);

/* One row on its way to A x = b: A = base + ridge I + sum extra q qᵀ, b = sum confidence q. */
struct als_row {
    const struct als_side *side;
    float *A;   /* [factors x factors], the caller's; used when some extra is not 0 */
    float *b;   /* [factors], the caller's: becomes x */
    float sum;  /* of the confidences */
    bool plain; /* A is the base as it is, so its factor is known */
    size_t pending;
    uint32_t index[256];
    float confidence[256], extra[256];
};

void rec_als_row_begin(struct als_row *row, const struct als_side *side, float *A, float *b);
/* extra: what the confidence adds to the one that every row has in the base. */
void rec_als_row_add(struct als_row *row, uint32_t index, float confidence, float extra);
/* b is complete; *L is the factor of A. False when A is not positive definite. ridge: on top of
 * what the regularization of this row asks for. */
bool rec_als_row_factor(struct als_row *row, float ridge, const float **L);
/* x [factors] of a row that is factored. */
void rec_als_row_solve(const struct als_row *row, const float *L, float *x);

/* The ridge to try after `ridge` (first: 0) failed; at most REC_ALS_TRIES in all. */
enum { REC_ALS_TRIES = 4 };
float rec_als_next_ridge(const struct als_side *side, float confidence_sum, float ridge);

/* ---- blocks of coordinates (als_block.c) -------------------------------------------- */

/* The fixed side, block by block. */
struct als_blocks {
    const struct als_side *side;
    size_t size;       /* of a block; the last one may be smaller */
    const float *rows; /* the side's rows: first every row's first block, then the second, ... */
    const float *base; /* the side's base, both triangles */
};
/* rows [count x factors] and base [factors x factors] of *blocks, from its side. */
void rec_als_blocks_fill(const struct als_blocks *blocks, float *rows, float *base);

/* What one row has done: the confidence of each of the fixed side's rows listed. */
struct als_done {
    const uint32_t *index;
    const float *confidence;
    size_t count;
};
/* One Newton step on each block of x [factors], in order. *loss becomes the row's share of the
 * objective, its regularization included. scratch [rec_als_block_floats]. False when the equations
 * of a block are not positive definite in float. */
bool rec_als_block_step(const struct als_blocks *blocks, const struct als_done *done, float *x,
                        float *scratch, double *loss);
size_t rec_als_block_floats(size_t factors, size_t block, size_t count_max);

/* ---- training (als_fit.c) ------------------------------------------------------------- */

enum rec_status rec_als_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err);
size_t rec_als_fit_bytes(const struct rec_fit *fit);

#endif
