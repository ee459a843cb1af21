/* The least squares problem of one user (or, in training, one item): Hu, Koren
 * and Volinsky, equation 4, one exact solve by Cholesky.
 *
 *   A = Σ_all α₀ q qᵀ + λ I + Σ_seen (c - α₀) q qᵀ      b = Σ_seen c q      A x = b
 *
 * Two things make it cheap. Rows are added in blocks, so that the rank-one
 * updates become one symmetric rank-k update in registers. And where every
 * confidence is α₀ (alpha 1 and single interactions of weight 1, as the defaults
 * have it) and λ is the same for all, A is the base itself, whose factor is
 * known: what is left is two triangular solves. In training, where many rows
 * share it, it is inverted once: a product with the inverse has as many
 * operations, and none that waits for the one before. Its error is that of the
 * solves, of first order in the condition number (Higham, 14.1). */
#include <float.h>
#include <math.h>
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

struct als_objective rec_als_objective(const struct rec_params *params) {
    return (struct als_objective){
        .unobserved = (float)rec_params_get(params, "unobserved"),
        .regularization = (float)rec_params_get(params, "regularization"),
        .power = (float)rec_params_get(params, "frequency_power"),
    };
}

float rec_als_lambda(const struct als_side *side, float confidence_sum) {
    const struct als_objective *objective = &side->objective;
    float all = confidence_sum + objective->unobserved * (float)side->count;
    return objective->regularization * powf(all, objective->power);
}

bool rec_als_base(const struct als_side *side, const float *gramian, float *base, float *factor) {
    const size_t n = side->factors;
    const float unobserved = side->objective.unobserved, lambda = rec_als_lambda(side, 0.0f);
    const float hidden = (float)n * FLT_EPSILON * unobserved * largest_diagonal(gramian, n);
    float ridge = 0.0f;
    for (int try = 0; try < REC_ALS_TRIES; try++) {
        for (size_t i = 0; i < n * n; i++)
            base[i] = unobserved * gramian[i];
        for (size_t i = 0; i < n; i++)
            base[i * n + i] += lambda + ridge;
        memcpy(factor, base, n * n * sizeof(float));
        if (rec_cholesky_factor(factor, n))
            return true;
        ridge = ridge > 0.0f ? 16.0f * ridge : hidden;
    }
    return false;
}

void rec_als_inverse(const struct als_side *side, float *inverse) {
    size_t n = side->factors;
    memset(inverse, 0, n * n * sizeof(float));
    for (size_t i = 0; i < n; i++) { /* symmetric: its rows are its columns */
        inverse[i * n + i] = 1.0f;
        rec_cholesky_solve(side->factor, n, inverse + i * n);
    }
}

void rec_als_row_begin(struct als_row *row, const struct als_side *side, float *A, float *b) {
    row->side = side;
    row->A = A;
    row->b = b;
    row->sum = 0.0f;
    row->plain = true;
    row->pending = 0;
    memset(b, 0, side->factors * sizeof(float));
}

static void start_matrix(struct als_row *row) {
    size_t n = row->side->factors;
    memcpy(row->A, row->side->base, n * n * sizeof(float));
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
    row->sum += confidence;
}

bool rec_als_row_factor(struct als_row *row, float ridge, const float **L) {
    const struct als_side *side = row->side;
    size_t n = side->factors;
    add_pending(row);
    ridge += rec_als_lambda(side, row->sum) - rec_als_lambda(side, 0.0f);
    if (row->plain && ridge > 0.0f)
        start_matrix(row);
    *L = row->plain ? side->factor : row->A;
    if (row->plain)
        return true;
    for (size_t i = 0; i < n; i++)
        row->A[i * n + i] += ridge;
    return rec_cholesky_factor(row->A, n);
}

void rec_als_row_solve(const struct als_row *row, const float *L, float *x) {
    const struct als_side *side = row->side;
    size_t n = side->factors;
    if (row->plain && side->inverse != NULL) {
        rec_kernels_rows_dot(side->inverse, n, n, row->b, x);
        return;
    }
    memcpy(x, row->b, n * sizeof(float));
    rec_cholesky_solve(L, n, x);
}

/* Factoring in float leaves a ridge of about n u |A| undecided: where a regularization below that
 * meets a matrix without full rank, the smallest ridge that is seen is added instead of giving up.
 *
 * A's diagonal is at most the base's plus the confidences times the largest |q|², and α₀ |q|² is at
 * most the base's largest diagonal value times the factors: rows are part of their Gramian. */
float rec_als_next_ridge(const struct als_side *side, float confidence_sum, float ridge) {
    float hidden = (float)side->factors * FLT_EPSILON *
                   largest_diagonal(side->base, side->factors) *
                   (1.0f + confidence_sum / side->objective.unobserved);
    return ridge > 0.0f ? 16.0f * ridge : hidden;
}
