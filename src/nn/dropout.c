/* Dropout by a hash of the place: key_of(seed, step, layer) and the number's index decide.
 * source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
 *         2014; scaled while training, so that nothing is to be done when answering. */
#include <assert.h>

#include "room.h"

/* A hash has the bits of GROUP numbers that stand together: sixteen each, so a rate is met to
 * 1 / 65536. */
enum { GROUP = 4, BITS = 16 };

struct rec_dropout rec_dropout_of(float rate, uint64_t seed, uint64_t step, uint32_t layer) {
    assert(rate >= 0.0f && rate < 1.0f);
    return (struct rec_dropout){
        .key = key_of(seed, step, layer),
        .bar = (uint32_t)((double)rate * 0x1p16),
        .scale = 1.0f / (1.0f - rate),
    };
}

static inline uint64_t hash_of(const struct rec_dropout *dropout, uint64_t group) {
    return mix(dropout->key + group * UINT64_C(0x9e3779b97f4a7c15));
}

static inline float factor_of(const struct rec_dropout *dropout, uint64_t hash, size_t lane) {
    const float factor[] = {dropout->scale, 0.0f}; /* no branch: its way is random */
    return factor[(hash >> lane * BITS & 0xffff) < dropout->bar];
}

float rec_dropout_at(const struct rec_dropout *dropout, uint64_t place) {
    return factor_of(dropout, hash_of(dropout, place / GROUP), place % GROUP);
}

struct work {
    const struct rec_dropout *dropout;
    struct rec_matrix x;
};

static void apply_row(const struct rec_dropout *dropout, uint64_t place, float *x, size_t n) {
    size_t c = 0;
    for (; c < n && (place + c) % GROUP != 0; c++)
        x[c] *= rec_dropout_at(dropout, place + c);
    for (; c + GROUP <= n; c += GROUP) {
        uint64_t hash = hash_of(dropout, (place + c) / GROUP);
        for (size_t lane = 0; lane < GROUP; lane++)
            x[c + lane] *= factor_of(dropout, hash, lane);
    }
    for (; c < n; c++)
        x[c] *= rec_dropout_at(dropout, place + c);
}

static void apply_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    size_t each = piece_rows(work->x.cols), cols = work->x.cols;
    (void)worker;
    for (size_t r = task * each; r < (task + 1) * each && r < work->x.rows; r++)
        apply_row(work->dropout, r * cols, row_of(&work->x, r), cols);
}

void rec_dropout_apply(struct rec_pool *pool, const struct rec_dropout *dropout,
                       const struct rec_matrix *x) {
    struct work work = {dropout, *x};
    if (dropout->bar > 0)
        rec_pool_run(pool, pieces_of(x->rows, x->cols), apply_task, &work);
}
