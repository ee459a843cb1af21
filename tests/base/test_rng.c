#include <math.h>

#include "recsysd/base.h"
#include "test.h"

/* Goal: the generator is the published one. How: first outputs of xoshiro256++ for the state
 * 1, 2, 3, 4, from its authors' reference code. */
static void test_reference(void **state) {
    (void)state;
    struct rec_rng rng = {{1, 2, 3, 4}};
    const uint64_t expected[] = {41943041, 58720359, 3588806011781223, 3591011842654386};
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_true(rec_rng_u64(&rng) == expected[i]);
}

/* Goal: seed and stream are not interchangeable, and the same pair gives the same numbers. */
static void test_streams(void **state) {
    (void)state;
    struct rec_rng a, b, c;
    rec_rng_init(&a, 1, 2);
    rec_rng_init(&b, 2, 1);
    rec_rng_init(&c, 1, 2);
    uint64_t x = rec_rng_u64(&a);
    assert_true(x != rec_rng_u64(&b));
    assert_true(x == rec_rng_u64(&c));
}

/* Goal: moments and ranges are right. How: bounds of six standard errors at n = 100,000. */
static void test_moments(void **state) {
    (void)state;
    enum { N = 100000 };
    struct rec_rng rng;
    double sum = 0, squares = 0, uniform = 0;
    unsigned seen[7] = {0};
    rec_rng_init(&rng, 42, 0);
    for (int i = 0; i < N; i++) {
        double x = (double)rec_rng_normal(&rng);
        float u = rec_rng_uniform(&rng);
        assert_true(u >= 0.0f && u < 1.0f);
        sum += x;
        squares += x * x;
        uniform += (double)u;
        seen[rec_rng_below(&rng, 7)]++;
    }
    assert_true(fabs(sum / N) < 6 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 6 * sqrt(2.0 / N));
    assert_true(fabs(uniform / N - .5) < 6 * sqrt(1.0 / 12 / N));
    for (int i = 0; i < 7; i++)
        assert_true(fabs(seen[i] - N / 7.0) < 6 * sqrt(N / 7.0));
    assert_int_equal(rec_rng_below(&rng, 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference),
                                       cmocka_unit_test(test_streams),
                                       cmocka_unit_test(test_moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
