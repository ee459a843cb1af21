/* The least squares problem of one user (or, in training, one item): Hu, Koren
 * and Volinsky, equation 4, one exact solve by Cholesky.
 *
 *   A = Σ_all q qᵀ + λI + Σ_seen (c - 1) q qᵀ      b = Σ_seen c q      A x = b
 *
 * Two things make it cheap. Rows are added in blocks, so that the rank-one
 * updates become one symmetric rank-k update in registers. And where every
 * confidence is 1 (alpha 1 and single interactions of weight 1) A is the base
 * itself, whose factor is known: what is left is two triangular solves. */
#include <float.h>
#include <string.h>

#include "als.h"

enum { BLOCK = sizeof(((struct als_row *)0)->index) / sizeof(uint32_t) };

static float largest_diagonal(const float *A, size_t n) {
    float largest = 0.0f;
    for (size_t i = 0; i < n; i++)
        if (A[i * n + i] > largest)
            largest = A[i * n + i];
    return largest;
}

bool rec_als_base(const float *gramian, size_t factors, float regularization, float *base,
                  float *factor) {
    const float hidden = (float)factors * FLT_EPSILON * largest_diagonal(gramian, factors);
    float ridge = 0.0f;
    for (int try = 0; try < REC_ALS_TRIES; try++) {
        memcpy(base, gramian, factors * factors * sizeof(float));
        for (size_t i = 0; i < factors; i++)
            base[i * factors + i] += regularization + ridge;
        memcpy(factor, base, factors * factors * sizeof(float));
        if (rec_cholesky_factor(factor, factors))
            return true;
        ridge = ridge > 0.0f ? 16.0f * ridge : hidden;
    }
    return false;
}

void rec_als_row_begin(struct als_row *row, const struct als_side *side, float ridge, float *A,
                       float *b) {
    row->side = side;
    row->A = A;
    row->b = b;
    row->ridge = ridge;
    row->plain = true;
    row->pending = 0;
    memset(b, 0, side->factors * sizeof(float));
}

static void start_matrix(struct als_row *row) {
    size_t n = row->side->factors;
    memcpy(row->A, row->side->base, n * n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        row->A[i * n + i] += row->ridge;
    row->plain = false;
}

static void add_pending(struct als_row *row) {
    const struct als_side *side = row->side;
    size_t kept = 0;
    rec_kernels_sum_rows(side->rows, row->index, row->confidence, row->pending, side->factors,
                         row->b);
    for (size_t i = 0; i < row->pending; i++) {
        row->index[kept] = row->index[i];
        row->extra[kept] = row->extra[i];
        kept += row->extra[i] != 0.0f;
    }
    row->pending = 0;
    if (kept == 0)
        return;
    if (row->plain)
        start_matrix(row);
    rec_kernels_syrk_rows(side->rows, row->index, row->extra, kept, side->factors, row->A);
}

void rec_als_row_add(struct als_row *row, uint32_t index, float confidence, float extra) {
    if (row->pending == BLOCK)
        add_pending(row);
    row->index[row->pending] = index;
    row->confidence[row->pending] = confidence;
    row->extra[row->pending] = extra;
    row->pending++;
}

bool rec_als_row_factor(struct als_row *row, const float **L) {
    add_pending(row);
    *L = row->plain ? row->side->factor : row->A;
    return row->plain || rec_cholesky_factor(row->A, row->side->factors);
}

/* Factoring in float leaves a ridge of about n u |A| undecided: where a regularization below that
 * meets a matrix without full rank, the smallest ridge that is seen is added instead of giving up.
 *
 * A's diagonal is at most the base's plus the confidences times the largest |q|², and |q|² is at
 * most the base's largest diagonal value times the factors: rows are part of their Gramian. */
float rec_als_next_ridge(const struct als_side *side, float confidence_sum, float ridge) {
    float hidden = (float)side->factors * FLT_EPSILON *
                   largest_diagonal(side->base, side->factors) * (1.0f + confidence_sum);
    return ridge > 0.0f ? 16.0f * ridge : hidden;
}
