/* Dropout by a hash of the place: key_of(seed, step, layer) and the number's index decide.
 * source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
 *         2014; scaled while training, so that nothing is to be done when answering. */
#include <assert.h>
#include <string.h>

#include "room.h"

/* A hash has the bits of GROUP numbers that stand together: sixteen each, so a rate is met to
 * 1 / 65536. */
enum { GROUP = 4, PARTS = 512 };

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

/* What is compared with the bar, for a group: a hash as it lies in memory. */
static inline void fill_group(const struct rec_dropout *dropout, uint64_t group,
                              uint16_t part[GROUP]) {
    uint64_t hash = hash_of(dropout, group);
    memcpy(part, &hash, sizeof(hash));
}

static uint16_t part_at(const struct rec_dropout *dropout, uint64_t place) {
    uint16_t part[GROUP];
    fill_group(dropout, place / GROUP, part);
    return part[place % GROUP];
}

float rec_dropout_at(const struct rec_dropout *dropout, uint64_t place) {
    return part_at(dropout, place) < dropout->bar ? 0.0f : dropout->scale;
}

struct work {
    const struct rec_dropout *dropout;
    struct rec_matrix x;
};

/* Those of n places. */
static void fill_parts(const struct rec_dropout *dropout, uint64_t place, uint16_t *part,
                       size_t n) {
    size_t i = 0;
    for (; i < n && (place + i) % GROUP != 0; i++)
        part[i] = part_at(dropout, place + i);
    for (; i + GROUP <= n; i += GROUP)
        fill_group(dropout, (place + i) / GROUP, part + i);
    for (; i < n; i++)
        part[i] = part_at(dropout, place + i);
}

/* Some rows, whose places follow each other; or a part of a long row. */
static void apply_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    const struct rec_dropout *dropout = work->dropout;
    size_t each = piece_rows(work->x.cols), cols = work->x.cols, at_once = PARTS / cols;
    size_t end = (task + 1) * each < work->x.rows ? (task + 1) * each : work->x.rows;
    uint16_t part[PARTS];
    (void)worker;
    at_once = at_once > 0 ? at_once : 1;
    for (size_t r = task * each; r < end; r += at_once) {
        size_t rows = end - r < at_once ? end - r : at_once;
        for (size_t c = 0; c < cols; c += PARTS) {
            size_t n = cols - c < PARTS ? cols - c : PARTS;
            fill_parts(dropout, r * cols + c, part, rows * n);
            for (size_t i = 0; i < rows; i++)
                rec_kernels_drop(part + i * n, dropout->bar, dropout->scale,
                                 row_of(&work->x, r + i) + c, n);
        }
    }
}

void rec_dropout_apply(struct rec_pool *pool, const struct rec_dropout *dropout,
                       const struct rec_matrix *x) {
    struct work work = {dropout, *x};
    if (dropout->bar > 0)
        rec_pool_run(pool, pieces_of(x->rows, x->cols), apply_task, &work);
}
