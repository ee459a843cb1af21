/* Kernels for x86-64 with AVX-512F (Skylake servers and Zen 4 on): 16 floats a
 * vector, 32 registers, masks for the tails. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels.h"

#define KERNEL __attribute__((target("avx512f,fma")))
#define VNNI   __attribute__((target("avx512f,avx512vnni,fma")))
enum { LANES = 16, TILE_ROWS = 8, TILE_VECS = 3, PARTS = SCAN_WORD / LANES, TILE_QUERIES = 4 };
typedef __m512 vec;

KERNEL static inline vec vec_zero(void) {
    return _mm512_setzero_ps();
}

KERNEL static inline vec vec_set1(float a) {
    return _mm512_set1_ps(a);
}

KERNEL static inline __mmask16 first_lanes(size_t lanes) {
    return (__mmask16)((1u << lanes) - 1u);
}

KERNEL static inline vec vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}

KERNEL static inline vec vec_load_some(const float *p, size_t lanes) {
    return _mm512_maskz_loadu_ps(first_lanes(lanes), p);
}

KERNEL static inline void vec_store(float *p, vec v) {
    _mm512_storeu_ps(p, v);
}

KERNEL static inline void vec_store_some(float *p, vec v, size_t lanes) {
    _mm512_mask_storeu_ps(p, first_lanes(lanes), v);
}

KERNEL static inline vec vec_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

KERNEL static inline vec vec_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

KERNEL static inline vec vec_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

KERNEL static inline vec vec_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}

KERNEL static inline vec vec_max(vec a, vec b) {
    return _mm512_max_ps(a, b);
}

KERNEL static inline vec vec_min(vec a, vec b) {
    return _mm512_min_ps(a, b);
}

KERNEL static inline vec vec_div(vec a, vec b) {
    return _mm512_div_ps(a, b);
}

KERNEL static inline vec vec_sqrt(vec a) {
    return _mm512_sqrt_ps(a);
}

/* 2^n, n in the low bits of 1.5 2^23 + n. */
KERNEL static inline vec vec_pow2(vec shifted) {
    __m512i power = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(power, _mm512_set1_epi32(0x3f800000)));
}

KERNEL static inline vec vec_of_ints(const int32_t *p) {
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

/* Lanes whose bit is clear become -infinity. */
KERNEL static inline vec vec_open(vec v, uint64_t open) {
    return _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), (__mmask16)open, v);
}

/* The lower halves' numbers in turns, a0 b0 a1 b1 ...; and the upper halves'. */
KERNEL static inline vec vec_zip_low(vec a, vec b) {
    const __m512i turns = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(a, turns, b);
}

KERNEL static inline vec vec_zip_high(vec a, vec b) {
    const __m512i turns =
        _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, turns, b);
}

/* Rows 0..3: each 128-bit quarter of the result has the sums of that quarter of each row. */
KERNEL static inline vec quad_sums(const vec *rows) {
    vec ab =
        _mm512_add_ps(_mm512_unpacklo_ps(rows[0], rows[1]), _mm512_unpackhi_ps(rows[0], rows[1]));
    vec cd =
        _mm512_add_ps(_mm512_unpacklo_ps(rows[2], rows[3]), _mm512_unpackhi_ps(rows[2], rows[3]));
    return _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
}

/* Adds even and odd quarters: [a0+a1, a2+a3, b0+b1, b2+b3]. */
KERNEL static inline vec fold_quarters(vec a, vec b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

KERNEL static inline vec vec_sums(const vec rows[LANES]) {
    vec low = fold_quarters(quad_sums(rows), quad_sums(rows + 4));
    vec high = fold_quarters(quad_sums(rows + 8), quad_sums(rows + 12));
    return fold_quarters(low, high);
}

KERNEL static inline float vec_sum(vec v) {
    return _mm512_reduce_add_ps(v);
}

KERNEL static uint64_t above(const float *scores, size_t count, float bar, bool ties) {
    const vec bars = _mm512_set1_ps(bar);
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i += LANES) {
        __mmask16 lanes = count - i < LANES ? first_lanes(count - i) : (__mmask16)0xffff;
        vec v = _mm512_maskz_loadu_ps(lanes, scores + i);
        __mmask16 over = ties ? _mm512_mask_cmp_ps_mask(lanes, v, bars, _CMP_GE_OQ)
                              : _mm512_mask_cmp_ps_mask(lanes, v, bars, _CMP_GT_OQ);
        bits |= (uint64_t)over << i;
    }
    return bits;
}

/* vpdpbusd: four unsigned bytes of each of 16 items times the query's four signed ones, added to
 * 32 bits without saturation. */
VNNI static void coarse_vnni(const uint8_t *items, const struct scan_query *query,
                             int32_t sums[SCAN_WORD]) {
    __m512i sum[PARTS];
    for (size_t p = 0; p < PARTS; p++)
        sum[p] = _mm512_set1_epi32(query->start);
    for (size_t q = 0; q < query->quads; q++) {
        int32_t four;
        memcpy(&four, query->code + q * 4, sizeof(four));
        __m512i code = _mm512_set1_epi32(four);
        for (size_t p = 0; p < PARTS; p++)
            sum[p] = _mm512_dpbusd_epi32(
                sum[p], _mm512_loadu_si512(items + (q * PARTS + p) * sizeof(__m512i)), code);
    }
    for (size_t p = 0; p < PARTS; p++)
        _mm512_storeu_si512(sums + p * 16, sum[p]);
}

/* AVX-512F is older than its byte products. */
static void coarse(const uint8_t *items, const struct scan_query *query, int32_t sums[SCAN_WORD]) {
    if (__builtin_cpu_supports("avx512vnni"))
        coarse_vnni(items, query, sums);
    else
        rec_kernels_avx2.coarse(items, query, sums);
}

/* Items past the limit are not looked up. */
KERNEL static uint64_t marked(const uint32_t *items, uint32_t limit, const uint64_t *mask) {
    uint64_t bits = 0;
    for (size_t i = 0; i < SCAN_WORD; i += LANES) {
        __m512i item = _mm512_loadu_si512(items + i);
        __mmask16 known = _mm512_cmplt_epu32_mask(item, _mm512_set1_epi32((int)limit));
        __m512i word = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), known,
                                                   _mm512_srli_epi32(item, 5), mask, 4);
        __m512i wanted = _mm512_and_si512(item, _mm512_set1_epi32(31));
        __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), wanted);
        bits |= (uint64_t)_mm512_test_epi32_mask(word, bit) << i;
    }
    return bits;
}

#include "kernels_simd.h"
#include "kernels_smooth.h"

VNNI static inline __attribute__((always_inline)) uint64_t
reached(const __m512i sum[PARTS], const float *scale, float query_scale, float bar) {
    uint64_t bits = 0;
    for (size_t p = 0; p < PARTS; p++) {
        __m512 by = _mm512_mul_ps(_mm512_loadu_ps(scale + p * LANES), _mm512_set1_ps(query_scale));
        __m512 near = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[p]), by);
        __mmask16 over = _mm512_cmp_ps_mask(near, _mm512_set1_ps(bar), _CMP_GE_OQ);
        bits |= (uint64_t)over << (p * LANES);
    }
    return bits;
}

/* Some queries, a constant at every call: their sums stay in registers, and each of the items'
 * vectors is loaded once for all of them. The word after the next is fetched meanwhile, for the
 * processor does not look ahead beyond the end of a page; past the end it fetches nothing. */
VNNI static inline __attribute__((always_inline)) void
reach_tile(const uint8_t *items, const float *scale, const struct scan_query *const *queries,
           const float *bar, size_t count, bool fetch, uint64_t *found) {
    const size_t quads = queries[0]->quads, word_bytes = quads * SCAN_WORD * 4;
    __m512i sum[TILE_QUERIES][PARTS];
    for (size_t u = 0; u < count; u++)
        for (size_t p = 0; p < PARTS; p++)
            sum[u][p] = _mm512_set1_epi32(queries[u]->start);
    for (size_t q = 0; q < quads; q++) {
        __m512i item[PARTS];
        for (size_t p = 0; p < PARTS; p++) {
            const uint8_t *at = items + (q * PARTS + p) * sizeof(__m512i);
            item[p] = _mm512_loadu_si512(at);
            if (fetch)
                _mm_prefetch((const char *)((uintptr_t)at + 2 * word_bytes), _MM_HINT_T0);
        }
        for (size_t u = 0; u < count; u++) {
            int32_t four;
            memcpy(&four, queries[u]->code + q * 4, sizeof(four));
            for (size_t p = 0; p < PARTS; p++)
                sum[u][p] = _mm512_dpbusd_epi32(sum[u][p], item[p], _mm512_set1_epi32(four));
        }
    }
    for (size_t u = 0; u < count; u++)
        found[u] = reached(sum[u], scale, queries[u]->scale, bar[u]);
}

VNNI static void reach_vnni(const uint8_t *items, const float *scale,
                            const struct scan_query *const *queries, const float *bar, size_t count,
                            uint64_t *found) {
    for (size_t u = 0; u < count; u += TILE_QUERIES)
        switch (count - u) {
        case 1:
            reach_tile(items, scale, queries + u, bar + u, 1, u == 0, found + u);
            break;
        case 2:
            reach_tile(items, scale, queries + u, bar + u, 2, u == 0, found + u);
            break;
        case 3:
            reach_tile(items, scale, queries + u, bar + u, 3, u == 0, found + u);
            break;
        default:
            reach_tile(items, scale, queries + u, bar + u, TILE_QUERIES, u == 0, found + u);
        }
}

static void reach(const uint8_t *items, const float *scale, const struct scan_query *const *queries,
                  const float *bar, size_t count, uint64_t *found) {
    if (__builtin_cpu_supports("avx512vnni"))
        reach_vnni(items, scale, queries, bar, count, found);
    else
        reach_each(items, scale, queries, bar, count, found);
}

const struct kernels rec_kernels_avx512 = {
    .name = "avx512",
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
    .reach = reach,
    .marked = marked,
    .largest = largest,
    .exps = exps,
    .logistic = logistic,
    .pull = pull,
    .adam = adam,
};
