/* Goal: the factor and the solution of every variant are as good as Higham proves (theorems
 * 10.3 and 10.4), for every size up to past two blocks and some large ones; and a matrix that is
 * not positive definite is refused, wherever its bad pivot is.
 *
 * How: A = M Mᵀ + I of normal numbers; residuals in double. */
#include <float.h>
#include <math.h>

#include "variants.h"

/* g(k) = k u / (1 - k u) */
static double gamma_of(size_t k) {
    double ku = (double)k * FLT_EPSILON / 2;
    return ku / (1 - ku);
}

static void make_definite(struct rec_rng *rng, size_t n, float *A) {
    float *M = floats(n * n);
    for (size_t i = 0; i < n * n; i++)
        M[i] = rec_rng_normal(rng);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            A[i * n + j] = NAN; /* above the diagonal nothing may be read */
        for (size_t j = 0; j <= i; j++) {
            double sum = i == j;
            for (size_t m = 0; m < n; m++)
                sum += (double)M[i * n + m] * (double)M[j * n + m];
            A[i * n + j] = (float)sum;
        }
    }
    rec_alloc_free(M);
}

static double below(const float *A, size_t n, size_t i, size_t j) {
    return (double)(i >= j ? A[i * n + j] : A[j * n + i]);
}

/* (LᵀL)_ij and the same of magnitudes */
static double product_at(const float *L, size_t n, size_t i, size_t j, double *magnitude) {
    double sum = 0;
    *magnitude = 0;
    for (size_t m = i > j ? i : j; m < n; m++) {
        double term = (double)L[m * n + i] * (double)L[m * n + j];
        sum += term;
        *magnitude += fabs(term);
    }
    return sum;
}

static void check_size(struct rec_rng *rng, size_t n) {
    float *A = floats(n * n), *L = floats(n * n), *b = floats(n), *x = floats(n);
    make_definite(rng, n, A);
    memcpy(L, A, n * n * sizeof(float));
    fill_mixed(rng, b, n);
    memcpy(x, b, n * sizeof(float));

    assert_true(rec_cholesky_factor(L, n));
    rec_cholesky_solve(L, n, x);
    for (size_t i = 0; i < n; i++) {
        double residual = (double)b[i], bound = 0;
        for (size_t j = 0; j < n; j++) {
            double magnitude, product = product_at(L, n, i, j, &magnitude);
            assert_true(fabs(below(A, n, i, j) - product) <= gamma_of(n + 2) * magnitude);
            residual -= below(A, n, i, j) * (double)x[j];
            bound += gamma_of(3 * n + 2) * magnitude * fabs((double)x[j]);
        }
        assert_true(fabs(residual) <= bound);
    }
    rec_alloc_free(A);
    rec_alloc_free(L);
    rec_alloc_free(b);
    rec_alloc_free(x);
}

static void check_sizes(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    for (size_t n = 1; n <= 70; n++)
        check_size(&rng, n);
    check_size(&rng, 128);
    check_size(&rng, 131);
}

static void check_refusals(void) {
    enum { N = 37 };
    static const float bad[] = {0.0f, -1.0f, NAN, INFINITY};
    for (size_t at = 0; at < N; at++) {
        for (size_t k = 0; k < COUNT(bad); k++) {
            float A[N * N] = {0};
            for (size_t i = 0; i < N; i++)
                A[i * N + i] = i == at ? bad[k] : 2.0f;
            assert_false(rec_cholesky_factor(A, N));
        }
    }
}

static void test_sizes(void **state) {
    (void)state;
    for_each_variant(check_sizes);
}

static void test_refusals(void **state) {
    (void)state;
    for_each_variant(check_refusals);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
