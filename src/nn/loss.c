/* Losses on logits: value and gradient in one pass, the gradient in the logits' place.
 *
 * Losses over a whole catalogue are worked on row by row: a row of some thousand logits stays in
 * the cache while its largest, its exponentials and its gradient are computed. The sums over rows
 * are added in the order of the rows. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "room.h"

struct work {
    struct rec_matrix z;
    const struct rec_targets *targets;
    float scale, negative;
    double *row_loss;
};

static void scale_row(float *z, size_t n, float factor) {
    for (size_t i = 0; i < n; i++)
        z[i] *= factor;
}

/* ---- multinomial ----------------------------------------------------------------- */

/* With N = Σ t and s = log Σ exp z: the loss is N s - Σ t z, the gradient N softmax(z) - t. */
static double multinomial_row(float *z, size_t n, const uint32_t *item, const float *target,
                              size_t count, float scale) {
    double total = 0.0, of_targets = 0.0;
    float shift = rec_kernels_max(z, n);
    for (size_t k = 0; k < count; k++) {
        total += (double)target[k];
        of_targets += (double)target[k] * ((double)z[item[k]] - (double)shift);
    }
    double sum = (double)rec_kernels_exps(z, n, shift);
    scale_row(z, n, (float)((double)scale * total / sum));
    for (size_t k = 0; k < count; k++)
        z[item[k]] -= scale * target[k];
    return (double)scale * (total * log(sum) - of_targets);
}

/* ---- binary cross-entropy over all items ------------------------------------------- */

/* As if all were negative, then what the positives change: label 1 and weight t instead of label 0
 * and weight `negative`. */
static double bce_row(float *z, size_t n, const uint32_t *item, const float *target, size_t count,
                      const struct work *work) {
    double loss = 0.0, negative = (double)work->negative;
    for (size_t k = 0; k < count; k++) {
        double x = (double)z[item[k]], softplus = (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x)));
        loss += (double)target[k] * (softplus - x) - negative * softplus;
    }
    loss += negative * (double)rec_kernels_logistic(z, n);
    for (size_t k = 0; k < count; k++) {
        float chance = z[item[k]];
        z[item[k]] = target[k] / work->negative * (chance - 1.0f);
    }
    scale_row(z, n, work->scale * work->negative);
    return (double)work->scale * loss;
}

/* ---- rows over the pool --------------------------------------------------------------- */

static void loss_task(const struct work *work, size_t task, bool multinomial) {
    const struct rec_csr *rows = work->targets->rows;
    size_t n = work->z.cols, each = piece_rows(n);
    for (size_t r = task * each; r < (task + 1) * each && r < work->z.rows; r++) {
        uint32_t row = work->targets->row[r];
        uint64_t first = rows->offset[row];
        size_t count = (size_t)(rows->offset[row + (size_t)1] - first);
        const uint32_t *item = rows->column + first;
        const float *target = rows->value + first;
        float *z = row_of(&work->z, r);
        work->row_loss[r] = multinomial ? multinomial_row(z, n, item, target, count, work->scale)
                                        : bce_row(z, n, item, target, count, work);
    }
}

static void multinomial_task(void *context, size_t task, size_t worker) {
    (void)worker;
    loss_task(context, task, true);
}

static void bce_task(void *context, size_t task, size_t worker) {
    (void)worker;
    loss_task(context, task, false);
}

static double run(struct rec_pool *pool, struct work *work, rec_pool_fn task) {
    double sum = 0.0;
    assert(work->targets->rows->cols == work->z.cols);
    rec_pool_run(pool, pieces_of(work->z.rows, work->z.cols), task, work);
    for (size_t r = 0; r < work->z.rows; r++)
        sum += work->row_loss[r];
    return sum;
}

double rec_loss_multinomial(struct rec_pool *pool, const struct rec_matrix *z,
                            const struct rec_targets *targets, float scale, double *row_loss) {
    struct work work = {*z, targets, scale, 0.0f, row_loss};
    return run(pool, &work, multinomial_task);
}

double rec_loss_bce_all(struct rec_pool *pool, const struct rec_matrix *z,
                        const struct rec_targets *targets, float negative, float scale,
                        double *row_loss) {
    struct work work = {*z, targets, scale, negative, row_loss};
    assert(negative > 0.0f);
    return run(pool, &work, bce_task);
}

/* ---- pairs ------------------------------------------------------------------------------ */

static double logistic_rows(float *z, size_t stride, size_t n, size_t rows) {
    double sum = 0.0;
    if (stride == n)
        return (double)rec_kernels_logistic(z, n * rows);
    for (size_t k = 0; k < rows; k++)
        sum += (double)rec_kernels_logistic(z + k * stride, n);
    return sum;
}

double rec_loss_bce(float *z, size_t stride, size_t n, size_t pairs) {
    double positives = 0.0;
    for (size_t p = 0; p < n; p++)
        positives += (double)z[p];
    double loss = logistic_rows(z, stride, n, pairs) - positives;
    for (size_t p = 0; p < n; p++)
        z[p] -= 1.0f;
    return loss;
}

/* With d = negative - positive the loss is log(1 + e^d), its derivative by d is sigmoid(d). */
double rec_loss_bpr(float *z, size_t stride, size_t n, size_t pairs) {
    float *negative = z + stride;
    for (size_t k = 0; k + 1 < pairs; k++)
        for (size_t p = 0; p < n; p++)
            negative[k * stride + p] -= z[p];
    double loss = logistic_rows(negative, stride, n, pairs - 1);
    memset(z, 0, n * sizeof(*z));
    for (size_t k = 0; k + 1 < pairs; k++)
        for (size_t p = 0; p < n; p++)
            z[p] -= negative[k * stride + p];
    return loss;
}
