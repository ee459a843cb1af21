/* Runs a check under every variant of the kernels that this processor has. */
#ifndef TESTS_LINALG_VARIANTS_H
#define TESTS_LINALG_VARIANTS_H

#include <stdlib.h>
#include <string.h>

#include "recsysd/linalg.h"
#include "test.h"

static inline void for_each_variant(void (*check)(void)) {
    static const char *const names[] = {"ref", "portable", "avx2", "avx512"};
    const char *outside = getenv("REC_KERNELS");
    char *before = outside == NULL ? NULL : rec_alloc_text(outside, strlen(outside));
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(setenv("REC_KERNELS", names[i], 1), 0);
        if (rec_kernels_init(NULL) != REC_OK) {
            print_message("skipped: this processor does not run %s\n", names[i]);
            continue;
        }
        assert_string_equal(rec_kernels_name(), names[i]);
        check();
    }
    if (before != NULL)
        setenv("REC_KERNELS", before, 1);
    else
        unsetenv("REC_KERNELS");
    rec_alloc_free(before);
    assert_int_equal(rec_kernels_init(NULL), REC_OK);
}

/* Numbers of mixed size and sign: about 2^-8 .. 2^8 times a normal one. */
static inline void fill_mixed(struct rec_rng *rng, float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float size = (float)(1u << rec_rng_below(rng, 9));
        x[i] = rec_rng_normal(rng) * (rec_rng_below(rng, 2) ? size : 1.0f / size);
    }
}

static inline float *floats(size_t n) {
    float *x = rec_alloc_array(n == 0 ? 1 : n, sizeof(float));
    assert_non_null(x);
    return x;
}

#endif
