/* One row of iALS, a block of coordinates at a time.
 * source: Rendle, Krichene, Zhang and Koren, "iALS++: speeding up matrix factorization with
 *         subspace optimization", 2021, section 4.
 *
 * The exact solve costs f² for each pair and f³ for each row. With the other coordinates held
 * fixed, the objective is quadratic in a block of b of them too, so one Newton step
 *
 *   x_B += (Σ_all α₀ q_B q_Bᵀ + λ I + Σ_seen (c - α₀) q_B q_Bᵀ)⁻¹
 *          (Σ_seen (c - (c - α₀) xᵀq) q_B - (Σ_all α₀ q qᵀ x)_B - λ x_B)
 *
 * finds the block's optimum, at f·b for each pair and f·b² for each row over all blocks. The
 * predictions xᵀq of what the row has done are kept up to date beside x. One pass over the blocks
 * from where the last iteration ended is enough: the other side moves as well.
 *
 * The paper walks block by block over all rows, and keeps the predictions of all pairs between the
 * blocks. Rows do not touch each other, so we walk row by row over all blocks: the same numbers,
 * with the predictions of one row only. The fixed side is copied block by block, so that the
 * kernels find a block's rows in one place. */
#include <string.h>

#include "als.h"

struct walk {
    const struct als_blocks *blocks;
    const struct als_done *done;
    float *H, *g;                /* [size x size], [size] */
    float *dot, *extra, *weight; /* [done->count]: xᵀq, c - α₀, c - (c - α₀) xᵀq */
    float more;                  /* regularization of this row beyond that in the base */
    float sum;                   /* of the confidences */
};

size_t rec_als_block_floats(size_t factors, size_t block, size_t count_max) {
    size_t size = block < factors ? block : factors;
    return size * size + size + 3 * count_max;
}

static size_t width_of(const struct als_blocks *blocks, size_t begin) {
    size_t left = blocks->side->factors - begin;
    return left < blocks->size ? left : blocks->size;
}

void rec_als_blocks_fill(const struct als_blocks *blocks, float *rows, float *base) {
    const struct als_side *side = blocks->side;
    size_t f = side->factors;
    for (size_t begin = 0; begin < f; begin += blocks->size) {
        size_t width = width_of(blocks, begin);
        for (size_t r = 0; r < side->count; r++, rows += width)
            memcpy(rows, side->rows + r * f + begin, width * sizeof(float));
    }
    for (size_t i = 0; i < f; i++)
        for (size_t j = 0; j <= i; j++)
            base[i * f + j] = base[j * f + i] = side->base[i * f + j];
}

static void begin_walk(struct walk *w, const float *x, float *scratch) {
    const struct als_side *side = w->blocks->side;
    const struct als_done *done = w->done;
    size_t size = w->blocks->size;
    w->H = scratch;
    w->g = w->H + size * size;
    w->dot = w->g + size;
    w->extra = w->dot + done->count;
    w->weight = w->extra + done->count;
    w->sum = 0.0f;
    for (size_t k = 0; k < done->count; k++) {
        const float *q = side->rows + done->index[k] * side->factors;
        w->dot[k] = rec_kernels_dot(q, x, side->factors);
        w->extra[k] = done->confidence[k] - side->objective.unobserved;
        w->sum += done->confidence[k];
    }
    w->more = rec_als_lambda(side, w->sum) - rec_als_lambda(side, 0.0f);
}

/* The Cholesky factor of a block's matrix into H. */
static bool factor_block(struct walk *w, size_t begin, const float *rows) {
    const struct als_side *side = w->blocks->side;
    size_t f = side->factors, width = width_of(w->blocks, begin);
    float ridge = 0.0f;
    for (int try = 0; try < REC_ALS_TRIES; try++) {
        for (size_t i = 0; i < width; i++) {
            memcpy(w->H + i * width, w->blocks->base + (begin + i) * f + begin,
                   width * sizeof(float));
            w->H[i * width + i] += w->more + ridge;
        }
        rec_kernels_syrk_rows(rows, w->done->index, w->extra, w->done->count, width, w->H);
        if (rec_cholesky_factor(w->H, width))
            return true;
        ridge = rec_als_next_ridge(side, w->sum, ridge);
    }
    return false;
}

static bool newton_step(struct walk *w, size_t begin, float *x) {
    const struct als_done *done = w->done;
    size_t f = w->blocks->side->factors, width = width_of(w->blocks, begin);
    const float *rows = w->blocks->rows + begin * w->blocks->side->count;
    float *g = w->g;
    rec_kernels_rows_dot(w->blocks->base + begin * f, width, f, x, g);
    for (size_t i = 0; i < width; i++)
        g[i] = -g[i] - w->more * x[begin + i];
    for (size_t k = 0; k < done->count; k++)
        w->weight[k] = done->confidence[k] - w->extra[k] * w->dot[k];
    rec_kernels_sum_rows(rows, done->index, w->weight, done->count, width, g);
    if (!factor_block(w, begin, rows))
        return false;
    rec_cholesky_solve(w->H, width, g);
    rec_kernels_axpy(1.0f, g, x + begin, width);
    for (size_t k = 0; k < done->count; k++)
        w->dot[k] += rec_kernels_dot(rows + done->index[k] * width, g, width);
    return true;
}

/* Σ_seen c (1 - xᵀq)² + Σ_other α₀ (xᵀq)² + λ |x|² */
static double loss_of(const struct walk *w, const float *x) {
    const struct als_side *side = w->blocks->side;
    size_t f = side->factors;
    double loss = (double)w->more * (double)rec_kernels_dot(x, x, f);
    for (size_t i = 0; i < f; i++)
        loss += (double)x[i] * (double)rec_kernels_dot(w->blocks->base + i * f, x, f);
    for (size_t k = 0; k < w->done->count; k++) {
        double dot = (double)w->dot[k];
        loss += (double)w->done->confidence[k] * (1.0 - dot) * (1.0 - dot) -
                (double)side->objective.unobserved * dot * dot;
    }
    return loss;
}

bool rec_als_block_step(const struct als_blocks *blocks, const struct als_done *done, float *x,
                        float *scratch, double *loss) {
    struct walk walk = {.blocks = blocks, .done = done};
    begin_walk(&walk, x, scratch);
    for (size_t begin = 0; begin < blocks->side->factors; begin += blocks->size)
        if (!newton_step(&walk, begin, x))
            return false;
    *loss = loss_of(&walk, x);
    return true;
}
