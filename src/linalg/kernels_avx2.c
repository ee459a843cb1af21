/* Kernels for x86-64 with AVX2 and FMA (Haswell and Zen on): 8 floats a vector, 16 registers. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

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

KERNEL static inline vec vec_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}

KERNEL static inline vec vec_max(vec a, vec b) {
    return _mm256_max_ps(a, b);
}

KERNEL static inline vec vec_min(vec a, vec b) {
    return _mm256_min_ps(a, b);
}

KERNEL static inline vec vec_div(vec a, vec b) {
    return _mm256_div_ps(a, b);
}

KERNEL static inline vec vec_sqrt(vec a) {
    return _mm256_sqrt_ps(a);
}

/* 2^n, n in the low bits of 1.5 2^23 + n. */
KERNEL static inline vec vec_pow2(vec shifted) {
    __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(power, _mm256_set1_epi32(0x3f800000)));
}

KERNEL static inline vec vec_of_ints(const int32_t *p) {
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* Lanes whose bit is clear become -infinity. */
KERNEL static inline vec vec_open(vec v, uint64_t open) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_and_si256(_mm256_set1_epi32((int)(open & 0xff)), bit);
    return _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), v,
                            _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, bit)));
}

/* The lower halves' numbers in turns, a0 b0 a1 b1 ...; and the upper halves'. */
KERNEL static inline vec vec_zip_low(vec a, vec b) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}

KERNEL static inline vec vec_zip_high(vec a, vec b) {
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
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

/* Bytes widened to 16 bits first: the shorter way, vpmaddubsw, saturates. Each sum holds four
 * items, two halves of each; a horizontal add at the end makes them whole. */
KERNEL static void coarse_half(const uint8_t *items, const struct scan_query *query,
                               int32_t *sums) {
    enum { PARTS = SCAN_WORD / 2 / 4 };
    __m256i sum[PARTS];
    for (size_t p = 0; p < PARTS; p++)
        sum[p] = _mm256_setzero_si256();
    for (size_t q = 0; q < query->quads; q++) {
        int32_t four;
        memcpy(&four, query->code + q * 4, sizeof(four));
        __m256i code = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
        for (size_t p = 0; p < PARTS; p++) {
            const void *at = items + q * SCAN_WORD * 4 + p * sizeof(__m128i);
            __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(at));
            sum[p] = _mm256_add_epi32(sum[p], _mm256_madd_epi16(wide, code));
        }
    }
    const __m256i start = _mm256_set1_epi32(query->start);
    for (size_t p = 0; p < PARTS; p += 2) {
        __m256i whole = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[p], sum[p + 1]), 0xd8);
        _mm256_storeu_si256((__m256i *)(void *)(sums + p * 4), _mm256_add_epi32(whole, start));
    }
}

KERNEL static void coarse(const uint8_t *items, const struct scan_query *query,
                          int32_t sums[SCAN_WORD]) {
    coarse_half(items, query, sums);
    coarse_half(items + SCAN_WORD * 2, query, sums + SCAN_WORD / 2);
}

/* Items past the limit are not looked up. */
KERNEL static uint64_t marked(const uint32_t *items, uint32_t limit, const uint64_t *mask) {
    const __m256i last = _mm256_set1_epi32((int)(limit - 1));
    uint64_t bits = 0;
    for (size_t i = 0; i < SCAN_WORD && limit > 0; i += LANES) {
        __m256i item = _mm256_loadu_si256((const __m256i *)(const void *)(items + i));
        __m256i known = _mm256_cmpeq_epi32(_mm256_min_epu32(item, last), item);
        __m256i word =
            _mm256_mask_i32gather_epi32(_mm256_setzero_si256(), (const int *)(const void *)mask,
                                        _mm256_srli_epi32(item, 5), known, 4);
        __m256i wanted = _mm256_and_si256(item, _mm256_set1_epi32(31));
        __m256i high = _mm256_slli_epi32(_mm256_srlv_epi32(word, wanted), 31);
        uint32_t found = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(high));
        bits |= (uint64_t)found << i;
    }
    return bits;
}

#include "kernels_simd.h"
#include "kernels_smooth.h"

const struct kernels rec_kernels_avx2 = {
    .name = "avx2",
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
