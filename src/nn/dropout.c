/* Dropout by a hash of the place: key_of(seed, step, layer) and the number's index decide.
 * source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
 *         2014; scaled while training, so that nothing is to be done when answering. */
#include <assert.h>

#include "room.h"

struct rec_dropout rec_dropout_of(float rate, uint64_t seed, uint64_t step, uint32_t layer) {
    assert(rate >= 0.0f && rate < 1.0f);
    return (struct rec_dropout){
        .key = key_of(seed, step, layer),
        .bar = (uint32_t)((double)rate * 0x1p32),
        .scale = 1.0f / (1.0f - rate),
    };
}

float rec_dropout_at(const struct rec_dropout *dropout, uint64_t place) {
    uint64_t hash = mix(dropout->key + place * UINT64_C(0x9e3779b97f4a7c15));
    return (uint32_t)(hash >> 32) < dropout->bar ? 0.0f : dropout->scale;
}

struct work {
    const struct rec_dropout *dropout;
    struct rec_matrix x;
};

static void apply_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    size_t each = piece_rows(work->x.cols), cols = work->x.cols;
    (void)worker;
    for (size_t r = task * each; r < (task + 1) * each && r < work->x.rows; r++) {
        float *x = row_of(&work->x, r);
        for (size_t c = 0; c < cols; c++)
            x[c] *= rec_dropout_at(work->dropout, r * cols + c);
    }
}

void rec_dropout_apply(struct rec_pool *pool, const struct rec_dropout *dropout,
                       const struct rec_matrix *x) {
    struct work work = {dropout, *x};
    if (dropout->bar > 0)
        rec_pool_run(pool, pieces_of(x->rows, x->cols), apply_task, &work);
}
