/* Goal: BLAS is the build we need and stays at one thread, and row-major products with any
 * transposition and leading dimension are what the definition says. */
#include <float.h>
#include <math.h>

#include "variants.h"

enum { M = 7, N = 5, K = 11, WIDE = 13 };

static void test_gemm(void **state) {
    (void)state;
    struct rec_rng rng;
    float A[WIDE * WIDE], B[WIDE * WIDE], C[WIDE * WIDE], before[WIDE * WIDE];
    rec_rng_init(&rng, 1, 0);
    for (unsigned which = 0; which < 4; which++) {
        bool a_turned = which & 1, b_turned = which & 2;
        fill_mixed(&rng, A, COUNT(A));
        fill_mixed(&rng, B, COUNT(B));
        fill_mixed(&rng, C, COUNT(C));
        memcpy(before, C, sizeof(C));
        rec_dense_gemm(a_turned, b_turned, M, N, K, 2.0f, A, WIDE, B, WIDE, 0.5f, C, WIDE);
        for (size_t i = 0; i < M; i++) {
            for (size_t j = 0; j < N; j++) {
                double sum = 0.5 * (double)before[i * WIDE + j], magnitude = fabs(sum);
                for (size_t k = 0; k < K; k++) {
                    double a = (double)(a_turned ? A[k * WIDE + i] : A[i * WIDE + k]);
                    double b = (double)(b_turned ? B[j * WIDE + k] : B[k * WIDE + j]);
                    sum += 2 * a * b;
                    magnitude += fabs(2 * a * b);
                }
                assert_true(fabs((double)C[i * WIDE + j] - sum) <=
                            (K + 3) * FLT_EPSILON * magnitude);
            }
            assert_memory_equal(C + i * WIDE + N, before + i * WIDE + N,
                                (WIDE - N) * sizeof(float));
        }
    }
}

static void test_init(void **state) {
    (void)state;
    struct rec_error err = {0};
    assert_int_equal(rec_dense_init(&err), REC_OK);
    assert_int_equal(rec_dense_init(&err), REC_OK);
    assert_true(rec_dense_corename()[0] != '\0');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_gemm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
