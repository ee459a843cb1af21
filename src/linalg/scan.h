/* What scan.c makes and scan_topk.c asks. Inside the room only. */
#ifndef LINALG_SCAN_H
#define LINALG_SCAN_H

#include <float.h>
#include <math.h>

#include "kernels.h"

enum {
    SCAN_N_MAX =
        4096, /* sums fit 32 bits: 255 x 127 x 4096 < 2^31; and a query's bytes the stack */
    SCAN_OFFSET = 128,
};
#define SCAN_VALUE_MAX 1e15f /* sums of 4,096 products of two stay far from overflow */
#define SCAN_NO_ITEM   UINT32_MAX

struct rec_scan {
    const float *rows; /* [items x n], the caller's */
    size_t n, quads, words;
    uint32_t items;
    uint32_t *order; /* [words][SCAN_WORD] the items, longest row first; SCAN_NO_ITEM at the end */
    uint32_t *slot;  /* [items] where each stands in order */
    uint8_t *codes;  /* [words][quads][SCAN_WORD][4]; NULL: these rows can only be scored exactly */
    float *scale;    /* [words][SCAN_WORD] */
    float *error;    /* [words] the largest |y - ŷ| and |y| of a word, rounded up */
    float *norm;
};

/* A row in codes of -127 to 127, times scale. */
struct scan_coded {
    float scale;
    double error, norm, code_norm; /* |y - ŷ|, |y|, |ŷ| */
    int32_t code_sum;
};

/* Writes quad q to codes + q stride, plus offset; the padding is the offset. */
struct scan_coded rec_scan_encode(const float *row, size_t n, int offset, uint8_t *codes,
                                  size_t stride);
/* No NaN, no infinity, and nothing whose products with its like could overflow. */
bool rec_scan_can_code(const float *rows, size_t items, size_t n);

/* A float not below x >= 0, which is a double sum's root: off by less than 2^-40 of itself. */
static inline float scan_rounded_up(double x) {
    return x > 0.0 ? nextafterf((float)(x * (1.0 + 0x1p-40)), INFINITY) : 0.0f;
}

#endif
