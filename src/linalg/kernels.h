/* What a variant of the kernels is: a table of functions, chosen once. Inside
 * the room only; the door is recsysd/linalg.h, which says what each one does. */
#ifndef LINALG_KERNELS_H
#define LINALG_KERNELS_H

#include "recsysd/linalg.h"

/* One query of a coarse scan (scan_topk.c, which says what the numbers bound). */
struct scan_query {
    const int8_t *code; /* [4 quads] */
    size_t quads;
    int32_t start; /* -128 x the sum of code: takes the items' offset out */
    float scale, per_error, per_norm;
};
enum {
    SCAN_WORD = 64, /* items worked on together */
    SCAN_QUERIES = REC_SCAN_QUERIES,
};

struct kernels {
    const char *name;
    float (*dot)(const float *x, const float *y, size_t n);
    void (*axpy)(float a, const float *x, float *y, size_t n);
    /* Of rows index[0 .. count-1]; index NULL: of 0 .. count-1. The bits of a score depend on its
     * row and x alone. */
    void (*rows_dot)(const float *rows, const uint32_t *index, size_t count, size_t n,
                     const float *x, float *scores);
    void (*sum_rows)(const float *factors, const uint32_t *index, const float *weight, size_t count,
                     size_t n, float *y);
    void (*transpose)(const float *rows, size_t stride, const uint32_t *index, size_t count,
                      size_t n, float *out, size_t out_stride);
    void (*drop)(const uint16_t *chance, uint32_t bar, float scale, float *x, size_t n);
    void (*gate)(const float *y, float scale, const float *dy, float *dx, size_t n);
    void (*syrk_rows)(const float *factors, const uint32_t *index, const float *weight,
                      size_t count, size_t n, float *A);
    bool (*factor)(float *A, size_t n);
    void (*solve)(const float *L, size_t n, float *b);

    /* Bit i: scores[i] > bar (or >=, when ties count); NaN never. count <= 64 */
    uint64_t (*above)(const float *scores, size_t count, float bar, bool ties);

    /* sums[i] = start + sum over quads q and j < 4 of items[q][i][j] code[4q + j], exactly.
     * items [quads][SCAN_WORD][4]; quads <= 1024, so nothing overflows. */
    void (*coarse)(const uint8_t *items, const struct scan_query *query, int32_t sums[SCAN_WORD]);

    /* With c = sums[i] (scale[i] query_scale): upper[i] = c + off and lower[i] = max(lower[i], c -
     * off) where bit i of open is set; upper[i] is -infinity elsewhere. scale [SCAN_WORD] */
    void (*bounds)(const int32_t sums[SCAN_WORD], const float *scale, float query_scale, float off,
                   uint64_t open, float upper[SCAN_WORD], float lower[SCAN_WORD]);

    /* Both for up to SCAN_QUERIES queries of as many quads, with nothing written but the verdict:
     * bit i of found[u]: sums[i] of queries[u], times (scale[i] queries[u]->scale), is >= bar[u].
     * The same bits in every variant. */
    void (*reach)(const uint8_t *items, const float *scale, const struct scan_query *const *queries,
                  const float *bar, size_t count, uint64_t *found);

    /* Bit i: items[i] is below limit and set in the mask; other items are not looked up.
     * items [SCAN_WORD], limit > 0 */
    uint64_t (*marked)(const uint32_t *items, uint32_t limit, const uint64_t *mask);

    float (*largest)(const float *x, size_t n);
    float (*exps)(float *x, size_t n, float shift);
    float (*logistic)(float *x, size_t n);
    void (*pull)(const struct rec_kernels_pair *pair, float *x, float *preferred, float *other,
                 size_t n);
    void (*adam)(const struct rec_kernels_step *step, const float *gradient, float *value,
                 float *first, float *second, size_t n);
};

extern const struct kernels rec_kernels_ref, rec_kernels_portable;
#if defined(__x86_64__)
extern const struct kernels rec_kernels_avx2, rec_kernels_avx512;
#endif

/* The variant in use; portable until rec_kernels_init has chosen. */
const struct kernels *rec_kernels_chosen(void);

#endif
