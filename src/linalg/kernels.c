/* Chooses the variant of the kernels, once, and passes the calls on.
 *
 * Why function pointers: one binary runs on every processor of its family, and
 * gcc 12's target_clones crashes under -fsanitize=thread. Why kernels of our
 * own at all: an OpenBLAS older than the processor it meets falls back to code
 * of 2004 (Debian's 0.3.21 does so on Sapphire Rapids), and no BLAS gathers rows. */
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

/* Fastest first. */
static const struct kernels *const variants[] = {
#if defined(__x86_64__)
    &rec_kernels_avx512,
    &rec_kernels_avx2,
#endif
    &rec_kernels_portable,
    &rec_kernels_ref,
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

/* Written by rec_kernels_init before any other thread exists. */
static const struct kernels *chosen = &rec_kernels_portable;

static bool runs_here(const struct kernels *variant) {
#if defined(__x86_64__)
    if (variant == &rec_kernels_avx512)
        return __builtin_cpu_supports("avx512f");
    if (variant == &rec_kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    (void)variant;
    return true;
}

static enum rec_status choose_forced(const char *name, struct rec_error *err) {
    for (size_t i = 0; i < VARIANTS; i++) {
        if (strcmp(name, variants[i]->name) != 0)
            continue;
        if (!runs_here(variants[i]))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "REC_KERNELS: this processor does not run '%s'; unset it", name);
        chosen = variants[i];
        return REC_OK;
    }
    return rec_error_set(err, REC_BAD_INPUT,
                         "REC_KERNELS: '%.40s' is none of ref, portable, avx2, avx512", name);
}

enum rec_status rec_kernels_init(struct rec_error *err) {
    const char *forced = getenv("REC_KERNELS");
    if (forced != NULL && forced[0] != '\0')
        return choose_forced(forced, err);
    size_t i = 0;
    while (!runs_here(variants[i]))
        i++;
    chosen = variants[i];
    return REC_OK;
}

const struct kernels *rec_kernels_chosen(void) {
    return chosen;
}

const char *rec_kernels_name(void) {
    return chosen->name;
}

float rec_kernels_dot(const float *x, const float *y, size_t n) {
    return chosen->dot(x, y, n);
}

void rec_kernels_axpy(float a, const float *x, float *y, size_t n) {
    chosen->axpy(a, x, y, n);
}

void rec_kernels_rows_dot(const float *rows, size_t count, size_t n, const float *x,
                          float *scores) {
    chosen->rows_dot(rows, NULL, count, n, x, scores);
}

void rec_kernels_sum_rows(const float *factors, const uint32_t *index, const float *weight,
                          size_t count, size_t n, float *y) {
    chosen->sum_rows(factors, index, weight, count, n, y);
}

void rec_kernels_transpose(const float *rows, size_t stride, const uint32_t *index, size_t count,
                           size_t n, float *out, size_t out_stride) {
    chosen->transpose(rows, stride, index, count, n, out, out_stride);
}

void rec_kernels_drop(const uint16_t *chance, uint32_t bar, float scale, float *x, size_t n) {
    chosen->drop(chance, bar, scale, x, n);
}

void rec_kernels_gate(const float *y, float scale, const float *dy, float *dx, size_t n) {
    chosen->gate(y, scale, dy, dx, n);
}

void rec_kernels_syrk_rows(const float *factors, const uint32_t *index, const float *weight,
                           size_t count, size_t n, float *A) {
    chosen->syrk_rows(factors, index, weight, count, n, A);
}

float rec_kernels_max(const float *x, size_t n) {
    return chosen->largest(x, n);
}

float rec_kernels_exps(float *x, size_t n, float shift) {
    return chosen->exps(x, n, shift);
}

float rec_kernels_logistic(float *x, size_t n) {
    return chosen->logistic(x, n);
}

void rec_kernels_pull(const struct rec_kernels_pair *pair, float *x, float *preferred, float *other,
                      size_t n) {
    chosen->pull(pair, x, preferred, other, n);
}

void rec_kernels_adam(const struct rec_kernels_step *step, const float *gradient, float *value,
                      float *first, float *second, size_t n) {
    chosen->adam(step, gradient, value, first, second, n);
}
