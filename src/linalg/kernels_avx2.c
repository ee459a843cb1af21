/* Kernels for x86-64 with AVX2 and FMA (Haswell and Zen on): 8 floats a vector, 16 registers. */
#include <immintrin.h>

#include "kernels.h"

#define KERNEL __attribute__((target("avx2,fma")))
enum { LANES = 8, TILE_ROWS = 4, TILE_VECS = 3 };
typedef __m256 vec;

KERNEL static inline vec vec_zero(void) {
    return _mm256_setzero_ps();
}

KERNEL static inline vec vec_set1(float a) {
    return _mm256_set1_ps(a);
}

/* The first `lanes` of 8: bits of a compare, because AVX2 has no mask registers. */
KERNEL static inline __m256i first_lanes(size_t lanes) {
    const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)lanes), number);
}

KERNEL static inline vec vec_load(const float *p) {
    return _mm256_loadu_ps(p);
}

KERNEL static inline vec vec_load_some(const float *p, size_t lanes) {
    return _mm256_maskload_ps(p, first_lanes(lanes));
}

KERNEL static inline void vec_store(float *p, vec v) {
    _mm256_storeu_ps(p, v);
}

KERNEL static inline void vec_store_some(float *p, vec v, size_t lanes) {
    _mm256_maskstore_ps(p, first_lanes(lanes), v);
}

KERNEL static inline vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}

KERNEL static inline vec vec_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}

KERNEL static inline vec vec_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* Rows 0..3: each 128-bit half of the result has the sums of that half of each row. */
KERNEL static inline vec quad_sums(const vec *rows) {
    vec ab =
        _mm256_add_ps(_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[0], rows[1]));
    vec cd =
        _mm256_add_ps(_mm256_unpacklo_ps(rows[2], rows[3]), _mm256_unpackhi_ps(rows[2], rows[3]));
    return _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
}

KERNEL static inline vec vec_sums(const vec rows[LANES]) {
    vec low = quad_sums(rows), high = quad_sums(rows + 4);
    return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
                         _mm256_permute2f128_ps(low, high, 0x31));
}

KERNEL static inline float vec_sum(vec v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

KERNEL static uint64_t above(const float *scores, size_t count, float bar, bool ties) {
    const vec bars = _mm256_set1_ps(bar);
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i += LANES) {
        size_t lanes = count - i < LANES ? count - i : LANES;
        vec v = lanes == LANES ? vec_load(scores + i) : vec_load_some(scores + i, lanes);
        vec over = ties ? _mm256_cmp_ps(v, bars, _CMP_GE_OQ) : _mm256_cmp_ps(v, bars, _CMP_GT_OQ);
        uint64_t found = (uint64_t)(uint32_t)_mm256_movemask_ps(over);
        bits |= (found & (((uint64_t)1 << lanes) - 1)) << i;
    }
    return bits;
}

#include "kernels_simd.h"

const struct kernels rec_kernels_avx2 = {
    .name = "avx2",
    .dot = dot,
    .axpy = axpy,
    .rows_dot = rows_dot,
    .sum_rows = sum_rows,
    .syrk_rows = syrk_rows,
    .factor = factor,
    .solve = solve,
    .above = above,
};
