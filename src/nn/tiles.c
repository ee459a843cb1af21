/* Matrices and their products over a pool.
 *
 * A product is cut into tiles of the result, each one call of one-thread BLAS. BLAS packs both
 * operands of each call, so small tiles pay for it more than once, and large ones leave threads
 * idle: an epoch of mult-vae on ml-1m takes 1.7 times as long as its products in one piece with
 * tiles of 256 x 256, and 1.4 times with 512 x 512. Small results get the smaller ones, so that
 * there are some for each thread. Tiles are equal but for a vector, and depend on the shape alone:
 * a tile's bits do not depend on who computes it. */
#include <assert.h>

#include "room.h"

enum { TILE = 512, SMALL_TILE = 256, TILES_ENOUGH = 4, ROUND = 16 };

struct rec_matrix rec_matrix_of(float *data, size_t rows, size_t cols) {
    return (struct rec_matrix){data, rows, cols, cols};
}

struct rec_matrix rec_matrix_columns(const struct rec_matrix *matrix, size_t first, size_t cols) {
    assert(first + cols <= matrix->cols);
    return (struct rec_matrix){matrix->data + first, matrix->rows, cols, matrix->stride};
}

struct rec_matrix rec_matrix_rows(const struct rec_matrix *matrix, size_t rows) {
    assert(rows <= matrix->rows);
    return (struct rec_matrix){matrix->data, rows, matrix->cols, matrix->stride};
}

void rec_matrix_ones(const struct rec_matrix *matrix) {
    for (size_t r = 0; r < matrix->rows; r++)
        row_of(matrix, r)[matrix->cols - 1] = 1.0f;
}

/* ---- products ------------------------------------------------------------------ */

struct tiles {
    const struct product *product;
    size_t inner, tall, wide; /* the sum's length; tiles in a column, in a row */
};

struct span {
    size_t begin, end;
};

static void cut(struct tiles *tiles, size_t rows, size_t cols, size_t tile) {
    tiles->tall = (rows + tile - 1) / tile;
    tiles->wide = (cols + tile - 1) / tile;
}

/* The part'th of `parts` nearly equal spans, of whole vectors but for the last. */
static struct span span_of(size_t size, size_t part, size_t parts) {
    size_t vectors = (size + ROUND - 1) / ROUND;
    size_t begin = vectors * part / parts * ROUND, end = vectors * (part + 1) / parts * ROUND;
    return (struct span){begin, end < size ? end : size};
}

static void tile_task(void *context, size_t task, size_t worker) {
    const struct tiles *tiles = context;
    const struct product *p = tiles->product;
    struct span r = span_of(p->C.rows, task / tiles->wide, tiles->tall);
    struct span c = span_of(p->C.cols, task % tiles->wide, tiles->wide);
    const float *A = p->A.data + (p->a_transposed ? r.begin : r.begin * p->A.stride);
    const float *B = p->B.data + (p->b_transposed ? c.begin * p->B.stride : c.begin);
    (void)worker;
    rec_dense_gemm(p->a_transposed, p->b_transposed, r.end - r.begin, c.end - c.begin, tiles->inner,
                   1.0f, A, p->A.stride, B, p->B.stride, 0.0f, row_of(&p->C, r.begin) + c.begin,
                   p->C.stride);
    for (size_t row = r.begin; p->adam != NULL && row < r.end; row++) {
        const struct rec_variable *v = p->variable;
        size_t at = row * v->cols + c.begin;
        rec_kernels_adam(&p->adam->step, v->gradient + at, v->value + at, v->first + at,
                         v->second + at, c.end - c.begin);
    }
}

void rec_tiles_run(struct rec_pool *pool, const struct product *product) {
    const struct rec_matrix *A = &product->A, *B = &product->B, *C = &product->C;
    struct tiles tiles = {.product = product, .inner = product->a_transposed ? A->rows : A->cols};
    cut(&tiles, C->rows, C->cols, TILE);
    if (tiles.tall * tiles.wide < TILES_ENOUGH)
        cut(&tiles, C->rows, C->cols, SMALL_TILE);
    assert((product->a_transposed ? A->cols : A->rows) == C->rows);
    assert((product->b_transposed ? B->rows : B->cols) == C->cols);
    assert((product->b_transposed ? B->cols : B->rows) == tiles.inner && tiles.inner > 0);
    rec_pool_run(pool, tiles.tall * tiles.wide, tile_task, &tiles);
}

void rec_tiles_gemm(struct rec_pool *pool, bool a_transposed, bool b_transposed,
                    const struct rec_matrix *A, const struct rec_matrix *B,
                    const struct rec_matrix *C) {
    const struct product product = {a_transposed, b_transposed, *A, *B, *C, NULL, NULL};
    rec_tiles_run(pool, &product);
}
