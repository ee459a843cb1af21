/* What a variant of the kernels is: a table of functions, chosen once. Inside
 * the room only; the door is recsysd/linalg.h, which says what each one does. */
#ifndef LINALG_KERNELS_H
#define LINALG_KERNELS_H

#include "recsysd/linalg.h"

/* One query of a coarse scan (scan.c, which says what the numbers bound). */
struct scan_query {
    const int8_t *code; /* [4 quads] */
    size_t quads;
    int32_t start; /* -128 x the sum of code: takes the items' offset out */
    float scale, per_error, per_norm, tiny;
};
enum { SCAN_WORD = 64 }; /* items worked on together: those of one word of the mask */

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
    void (*syrk_rows)(const float *factors, const uint32_t *index, const float *weight,
                      size_t count, size_t n, float *A);
    bool (*factor)(float *A, size_t n);
    void (*solve)(const float *L, size_t n, float *b);

    /* Bit i: scores[i] > bar (or >=, when ties count); NaN never. count <= 64 */
    uint64_t (*above)(const float *scores, size_t count, float bar, bool ties);

    /* sums[i] = start + sum over quads q and j < 4 of items[q][i][j] code[4q + j], exactly.
     * items [quads][SCAN_WORD][4]; quads <= 1024, so nothing overflows. */
    void (*coarse)(const uint8_t *items, const struct scan_query *query, int32_t sums[SCAN_WORD]);

    /* With c = sums[i] scale[i] query->scale and r = per_error error[i] + per_norm norm[i] + tiny:
     * upper[i] = c + r and lower[i] = max(lower[i], c - r) where bit i of open is set; upper[i] is
     * -infinity elsewhere. parts: scale, error, norm [3][SCAN_WORD] */
    void (*bounds)(const int32_t sums[SCAN_WORD], const float *parts,
                   const struct scan_query *query, uint64_t open, float upper[SCAN_WORD],
                   float lower[SCAN_WORD]);

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
