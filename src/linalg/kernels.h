/* What a variant of the kernels is: a table of functions, chosen once. Inside
 * the room only; the door is recsysd/linalg.h, which says what each one does. */
#ifndef LINALG_KERNELS_H
#define LINALG_KERNELS_H

#include "recsysd/linalg.h"

struct kernels {
    const char *name;
    float (*dot)(const float *x, const float *y, size_t n);
    void (*axpy)(float a, const float *x, float *y, size_t n);
    void (*rows_dot)(const float *rows, size_t count, size_t n, const float *x, float *scores);
    void (*sum_rows)(const float *factors, const uint32_t *index, const float *weight, size_t count,
                     size_t n, float *y);
    void (*syrk_rows)(const float *factors, const uint32_t *index, const float *weight,
                      size_t count, size_t n, float *A);
    bool (*factor)(float *A, size_t n);
    void (*solve)(const float *L, size_t n, float *b);

    /* Bit i: scores[i] > bar (or >=, when ties count); NaN never. count <= 64 */
    uint64_t (*above)(const float *scores, size_t count, float bar, bool ties);
};

extern const struct kernels rec_kernels_ref, rec_kernels_portable;
#if defined(__x86_64__)
extern const struct kernels rec_kernels_avx2, rec_kernels_avx512;
#endif

/* The variant in use; portable until rec_kernels_init has chosen. */
const struct kernels *rec_kernels_chosen(void);

#endif
