/* Dense layers: three products, in tiles (tiles.c).
 *
 *   y = x Wᵀ      dx = dy W (without the biases' column)      dW = dyᵀ x
 *
 * W's rows are its outputs: those of an output layer over the catalogue are then the items'
 * vectors, ready to be scanned when the model is served. */
#include <assert.h>

#include "room.h"

void rec_layer_forward(struct rec_pool *pool, const struct rec_variable *W,
                       const struct rec_matrix *x, const struct rec_matrix *y) {
    struct rec_matrix weights = rec_matrix_of(W->value, W->rows, W->cols);
    rec_tiles_gemm(pool, false, true, x, &weights, y);
}

/* dx first: the step changes W. */
void rec_layer_backward(struct rec_pool *pool, struct rec_variable *W, const struct rec_matrix *x,
                        const struct rec_matrix *dy, const struct rec_matrix *dx,
                        const struct rec_adam *adam) {
    struct rec_matrix weights = rec_matrix_of(W->value, W->rows, W->cols);
    struct rec_matrix inputs = rec_matrix_columns(&weights, 0, W->cols - 1);
    assert(W->gradient != NULL);
    if (dx != NULL)
        rec_tiles_gemm(pool, false, false, dy, &inputs, dx);
    const struct product product = {
        .a_transposed = true,
        .A = *dy,
        .B = *x,
        .C = rec_matrix_of(W->gradient, W->rows, W->cols),
        .adam = adam,
        .variable = W,
    };
    rec_tiles_run(pool, &product);
}
