/* How fast the kernels are, beside the limits of this machine: each variant, at
 * the sizes the service has (ml-1m's items, 64 factors). Times are medians. */
#include <stdio.h>
#include <stdlib.h>

#include "recsysd/linalg.h"

enum { ITEMS = 3706, FACTORS = 64, EVENTS = 165, REPEATS = 201, K = 10 };

static float *factors, *scores, *matrix, *work, *vector;
static uint32_t history[EVENTS];
static float weight[EVENTS];
static uint64_t mask[ITEMS / 64 + 1];
static struct rec_ranked kept[K];

static void run_rows_dot(void) {
    rec_kernels_rows_dot(factors, ITEMS, FACTORS, vector, scores);
}

static void run_syrk(void) {
    rec_kernels_syrk_rows(factors, history, weight, EVENTS, FACTORS, work);
}

static void run_sum_rows(void) {
    rec_kernels_sum_rows(factors, history, weight, EVENTS, FACTORS, work);
}

static void restore(void) {
    for (size_t i = 0; i < (size_t)FACTORS * FACTORS; i++)
        work[i] = matrix[i];
}

static void run_factor(void) {
    restore();
    if (!rec_cholesky_factor(work, FACTORS))
        abort();
}

static void run_solve(void) {
    rec_cholesky_solve(work, FACTORS, vector);
}

static void run_topk(void) {
    struct rec_topk top;
    rec_topk_init(&top, kept, K);
    rec_topk_scan(&top, scores, 0, ITEMS, mask);
    rec_topk_finish(&top);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_us(void (*run)(void)) {
    enum { INNER = 20 };
    static double took[REPEATS];
    for (size_t r = 0; r < REPEATS; r++) {
        uint64_t start = rec_clock_monotonic_ns();
        for (size_t i = 0; i < INNER; i++)
            run();
        took[r] = (double)(rec_clock_monotonic_ns() - start) / INNER / 1e3;
    }
    qsort(took, REPEATS, sizeof(took[0]), compare);
    return took[REPEATS / 2];
}

static void fill(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < (size_t)ITEMS * FACTORS; i++)
        factors[i] = rec_rng_normal(&rng);
    for (size_t i = 0; i < EVENTS; i++) {
        history[i] = rec_rng_below(&rng, ITEMS);
        weight[i] = 1.0f + rec_rng_uniform(&rng);
    }
    for (size_t i = 0; i < FACTORS; i++)
        vector[i] = rec_rng_normal(&rng);
    for (size_t i = 0; i < ITEMS; i++)
        if (rec_rng_below(&rng, 20) != 0) /* a twentieth is seen */
            mask[i / 64] |= (uint64_t)1 << i % 64;
    rec_kernels_syrk_rows(factors, NULL, NULL, ITEMS, FACTORS, matrix);
}

static void report(const char *variant) {
    struct rec_error err = {0};
    if (setenv("REC_KERNELS", variant, 1) != 0 || rec_kernels_init(&err) != REC_OK) {
        printf("%-9s %s\n", variant, err.text);
        return;
    }
    double dot = median_us(run_rows_dot), syrk = median_us(run_syrk), sum = median_us(run_sum_rows);
    double copy = median_us(restore), factor = median_us(run_factor) - copy;
    run_factor();
    double solve = median_us(run_solve), topk = median_us(run_topk);
    double flops = (double)EVENTS * FACTORS * FACTORS;
    printf("%-9s %9.2f %9.2f (%5.1f GFLOP/s) %9.2f %9.2f %9.2f %9.2f\n", variant, dot, syrk,
           flops / syrk / 1e3, sum, factor, solve, topk);
}

int main(void) {
    static const char *const variants[] = {"ref", "portable", "avx2", "avx512"};
    factors = rec_alloc_array((size_t)ITEMS * FACTORS, sizeof(float));
    scores = rec_alloc_array(ITEMS, sizeof(float));
    matrix = rec_alloc_array((size_t)FACTORS * FACTORS, sizeof(float));
    work = rec_alloc_array((size_t)FACTORS * FACTORS, sizeof(float));
    vector = rec_alloc_array(FACTORS, sizeof(float));
    if (factors == NULL || scores == NULL || matrix == NULL || work == NULL || vector == NULL)
        return 1;
    fill();

    printf("%d items, %d factors, a history of %d; microseconds, medians of %d\n", ITEMS, FACTORS,
           EVENTS, REPEATS);
    printf("%-9s %9s %9s %18s %8s %9s %9s %9s\n", "variant", "rows_dot", "syrk_rows", "",
           "sum_rows", "factor", "solve", "topk");
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        report(variants[i]);
    rec_alloc_free(factors);
    rec_alloc_free(scores);
    rec_alloc_free(matrix);
    rec_alloc_free(work);
    rec_alloc_free(vector);
    return 0;
}
