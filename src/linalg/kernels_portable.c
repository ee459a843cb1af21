/* Kernels for any processor: vectors of 4 floats in the compilers' own vector
 * type, which become SSE2 on x86-64 and NEON on ARM. Lanes are separate sums,
 * because C may not reorder one running float sum (and -ffast-math, which
 * would, breaks isfinite() everywhere). */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define KERNEL
enum { LANES = 4, TILE_ROWS = 4, TILE_VECS = 2 };
typedef float vec __attribute__((vector_size(16)));

static inline vec vec_zero(void) {
    return (vec){0};
}

static inline vec vec_set1(float a) {
    return (vec){a, a, a, a};
}

static inline vec vec_load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline vec vec_load_some(const float *p, size_t lanes) {
    vec v = {0};
    memcpy(&v, p, lanes * sizeof(float));
    return v;
}

static inline void vec_store(float *p, vec v) {
    memcpy(p, &v, sizeof(v));
}

static inline void vec_store_some(float *p, vec v, size_t lanes) {
    memcpy(p, &v, lanes * sizeof(float));
}

static inline vec vec_mul(vec a, vec b) {
    return a * b;
}

static inline vec vec_add(vec a, vec b) {
    return a + b;
}

static inline vec vec_fma(vec a, vec b, vec c) {
    return a * b + c;
}

static inline vec vec_sub(vec a, vec b) {
    return a - b;
}

static inline vec vec_max(vec a, vec b) {
    vec v;
    for (size_t i = 0; i < LANES; i++)
        v[i] = a[i] > b[i] ? a[i] : b[i];
    return v;
}

static inline vec vec_min(vec a, vec b) {
    vec v;
    for (size_t i = 0; i < LANES; i++)
        v[i] = a[i] < b[i] ? a[i] : b[i];
    return v;
}

static inline vec vec_div(vec a, vec b) {
    return a / b;
}

static inline vec vec_sqrt(vec a) {
    return (vec){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])};
}

/* 2^n, n in the low bits of 1.5 2^23 + n. */
static inline vec vec_pow2(vec shifted) {
    uint32_t bits[LANES];
    vec power;
    memcpy(bits, &shifted, sizeof(bits));
    for (size_t i = 0; i < LANES; i++)
        bits[i] = (bits[i] << 23) + UINT32_C(0x3f800000);
    memcpy(&power, bits, sizeof(power));
    return power;
}

static inline vec vec_of_ints(const int32_t *p) {
    return (vec){(float)p[0], (float)p[1], (float)p[2], (float)p[3]};
}

/* Lanes whose bit is clear become -infinity. */
static inline vec vec_open(vec v, uint64_t open) {
    for (size_t i = 0; i < LANES; i++)
        v[i] = (open >> i & 1) != 0 ? v[i] : -INFINITY;
    return v;
}

/* The lower halves' numbers in turns, a0 b0 a1 b1; and the upper halves'. */
static inline vec vec_zip_low(vec a, vec b) {
    return (vec){a[0], b[0], a[1], b[1]};
}

static inline vec vec_zip_high(vec a, vec b) {
    return (vec){a[2], b[2], a[3], b[3]};
}

static inline float vec_sum(vec v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}

static inline vec vec_sums(const vec rows[LANES]) {
    return (vec){vec_sum(rows[0]), vec_sum(rows[1]), vec_sum(rows[2]), vec_sum(rows[3])};
}

static uint64_t above(const float *scores, size_t count, float bar, bool ties) {
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= (uint64_t)(ties ? scores[i] >= bar : scores[i] > bar) << i;
    return bits;
}

static void coarse(const uint8_t *items, const struct scan_query *query, int32_t sums[SCAN_WORD]) {
    for (size_t i = 0; i < SCAN_WORD; i++)
        sums[i] = query->start;
    for (size_t q = 0; q < query->quads; q++) {
        const uint8_t *quad = items + q * SCAN_WORD * 4;
        const int8_t *code = query->code + q * 4;
        for (size_t i = 0; i < SCAN_WORD; i++)
            sums[i] += quad[4 * i] * code[0] + quad[4 * i + 1] * code[1] +
                       quad[4 * i + 2] * code[2] + quad[4 * i + 3] * code[3];
    }
}

static uint64_t marked(const uint32_t *items, uint32_t limit, const uint64_t *mask) {
    uint64_t bits = 0;
    for (size_t i = 0; i < SCAN_WORD; i++) {
        uint32_t item = items[i] < limit ? items[i] : 0; /* a look for nothing beats a jump */
        bits |= (mask[item / 64] >> item % 64 & (items[i] < limit)) << i;
    }
    return bits;
}

#include "kernels_simd.h"
#include "kernels_smooth.h"

const struct kernels rec_kernels_portable = {
    .name = "portable",
    .dot = dot,
    .axpy = axpy,
    .rows_dot = rows_dot,
    .sum_rows = sum_rows,
    .transpose = transpose,
    .drop = drop,
    .gate = gate,
    .syrk_rows = syrk_rows,
    .factor = factor,
    .solve = solve,
    .above = above,
    .coarse = coarse,
    .bounds = bounds,
    .reach = reach_each,
    .marked = marked,
    .largest = largest,
    .exps = exps,
    .logistic = logistic,
    .pull = pull,
    .adam = adam,
};
