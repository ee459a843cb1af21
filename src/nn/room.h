/* How the room splits work over a pool. Inside the room only. */
#ifndef NN_ROOM_H
#define NN_ROOM_H

#include "recsysd/nn.h"

/* Rows are worked on in pieces of about this many numbers: large enough to pay for handing a piece
 * to a thread, small enough that threads end together. The number depends on the shape alone. */
enum { PIECE_FLOATS = 16384 };

static inline size_t piece_rows(size_t cols) {
    size_t rows = cols == 0 ? PIECE_FLOATS : PIECE_FLOATS / cols;
    return rows == 0 ? 1 : rows;
}

static inline size_t pieces_of(size_t rows, size_t cols) {
    size_t each = piece_rows(cols);
    return (rows + each - 1) / each;
}

static inline float *row_of(const struct rec_matrix *matrix, size_t row) {
    return matrix->data + row * matrix->stride;
}

/* A bijection that mixes all bits: the finaliser of splitmix64. What hashes of places are made of.
 * source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014 */
static inline uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The key of one use of random numbers: seed, step and layer do not stand in for each other. */
static inline uint64_t key_of(uint64_t seed, uint64_t step, uint32_t layer) {
    uint64_t key = mix(seed + UINT64_C(0x9e3779b97f4a7c15));
    key = mix((key ^ step) + UINT64_C(0x9e3779b97f4a7c15));
    return mix((key ^ layer) + UINT64_C(0x9e3779b97f4a7c15));
}

/* A product whose result is C (tiles.c). With an Adam, C is the gradient of `variable`, and each
 * tile's step is taken as soon as the tile is there. */
struct product {
    bool a_transposed, b_transposed;
    struct rec_matrix A, B, C;
    const struct rec_adam *adam;
    struct rec_variable *variable;
};
void rec_tiles_run(struct rec_pool *pool, const struct product *product);

#endif
