/* Goal: every variant of the exponentials, logistics, maxima and of Adam computes what its
 * definition says, within the stated units in the last place, for every tail length; it writes
 * nothing beyond its arrays; and a NaN is never hidden. */
#include <float.h>
#include <math.h>

#include "variants.h"

enum { TAILS = 131, GUARD = 8, LONG = 20000 };
static const float guard = 12345.0f;

/* n numbers within [-size, size], and a guard behind them. */
static float *made(struct rec_rng *rng, size_t n, float size) {
    float *x = floats(n + GUARD);
    for (size_t i = 0; i < n; i++)
        x[i] = size * (2.0f * rec_rng_uniform(rng) - 1.0f);
    for (size_t i = n; i < n + GUARD; i++)
        x[i] = guard;
    return x;
}

static void check_guard(const float *x, size_t n) {
    for (size_t i = n; i < n + GUARD; i++)
        assert_true(x[i] == guard);
}

static void check_close(const char *what, double got, double want, double allowed) {
    if (!(fabs(got - want) <= allowed))
        fail_msg("%s %s: %.9g, expected %.9g within %g", rec_kernels_name(), what, got, want,
                 allowed);
}

static void check_max(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    for (size_t n = 0; n <= TAILS; n++) {
        float *x = made(&rng, n, 100), max = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            x[i] -= 200.0f; /* a tail filled with zeros would win */
            max = x[i] > max ? x[i] : max;
        }
        assert_true(rec_kernels_max(x, n) == max);
        rec_alloc_free(x);
    }
}

/* shift 0 and sizes up to 100: past both ends of what float can hold. */
static void check_exps_of(struct rec_rng *rng, size_t n, float size, float shift) {
    float *x = made(rng, n, size), *before = floats(n);
    double sum = 0;
    memcpy(before, x, n * sizeof(*x));
    double got = (double)rec_kernels_exps(x, n, shift);
    for (size_t i = 0; i < n; i++) {
        double power = (double)(before[i] - shift), want = exp(power > 88 ? 88 : power);
        if (power <= 88)
            check_close("exp", (double)x[i], want, 2.5 * FLT_EPSILON * want + 2 * (double)FLT_MIN);
        else
            assert_true(isfinite(x[i]) && x[i] >= 1e38f);
        sum += (double)x[i];
    }
    check_close("sum of exp", got, sum, (double)(n + 1) * FLT_EPSILON * sum);
    check_guard(x, n);
    rec_alloc_free(before);
    rec_alloc_free(x);
}

static void check_exps(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 2, 0);
    for (size_t n = 0; n <= TAILS; n++)
        check_exps_of(&rng, n, 20, 3.5f);
    check_exps_of(&rng, LONG, 1, 0);
    check_exps_of(&rng, 300, 87, 0);
    check_exps_of(&rng, LONG, 60, 60);
}

static void check_logistic_of(struct rec_rng *rng, size_t n, float size) {
    float *x = made(rng, n, size), *before = floats(n);
    double sum = 0;
    memcpy(before, x, n * sizeof(*x));
    double got = (double)rec_kernels_logistic(x, n);
    for (size_t i = 0; i < n; i++) {
        double z = (double)before[i], want = 1 / (1 + exp(-z));
        check_close("logistic", (double)x[i], want, 4 * FLT_EPSILON * want + 2 * (double)FLT_MIN);
        sum += (z > 0 ? z : 0) + log1p(exp(-fabs(z)));
    }
    check_close("sum of log(1 + e^x)", got, sum, 8 * FLT_EPSILON * ((double)n + sum));
    check_guard(x, n);
    rec_alloc_free(before);
    rec_alloc_free(x);
}

static void check_logistic(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 3, 0);
    for (size_t n = 0; n <= TAILS; n++)
        check_logistic_of(&rng, n, 20);
    check_logistic_of(&rng, LONG, 1);
    check_logistic_of(&rng, 1500, 200);
}

static void check_adam(void) {
    const struct rec_kernels_step step = {.rate = 0.01f,
                                          .root_inverse = 3.0f,
                                          .beta1 = 0.9f,
                                          .beta2 = 0.999f,
                                          .epsilon = 1e-8f,
                                          .decay = 0.1f};
    struct rec_rng rng;
    rec_rng_init(&rng, 4, 0);
    for (size_t n = 0; n <= TAILS; n++) {
        float *g = made(&rng, n, 2), *w = made(&rng, n, 1), *m = made(&rng, n, 1);
        float *v = made(&rng, n, 1), *was[3] = {floats(n), floats(n), floats(n)};
        for (size_t i = 0; i < n; i++)
            v[i] = fabsf(v[i]);
        memcpy(was[0], w, n * sizeof(*w));
        memcpy(was[1], m, n * sizeof(*m));
        memcpy(was[2], v, n * sizeof(*v));
        rec_kernels_adam(&step, g, w, m, v, n);
        for (size_t i = 0; i < n; i++) {
            double gradient = (double)g[i] + (double)step.decay * (double)was[0][i];
            double first = 0.9 * (double)was[1][i] + 0.1 * gradient;
            double second = 0.999 * (double)was[2][i] + 0.001 * gradient * gradient;
            double value = (double)was[0][i] - 0.01 * first / (sqrt(second) * 3 + 1e-8);
            check_close("first moment", (double)m[i], first, 1e-6);
            check_close("second moment", (double)v[i], second, 1e-6);
            check_close("value", (double)w[i], value, 1e-5);
        }
        check_guard(w, n);
        check_guard(m, n);
        check_guard(v, n);
        for (size_t i = 0; i < 3; i++)
            rec_alloc_free(was[i]);
        rec_alloc_free(g);
        rec_alloc_free(w);
        rec_alloc_free(m);
        rec_alloc_free(v);
    }
}

/* In a whole vector and in a tail. */
static void check_nan(void) {
    for (size_t at = 0; at < 37; at++) {
        float x[37] = {0}, y[37] = {0};
        x[at] = y[at] = NAN;
        assert_true(isnan(rec_kernels_exps(x, 37, 0)) && isnan(x[at]));
        assert_true(isnan(rec_kernels_logistic(y, 37)) && isnan(y[at]));
    }
}

static void test_max(void **state) {
    (void)state;
    for_each_variant(check_max);
}

static void test_exps(void **state) {
    (void)state;
    for_each_variant(check_exps);
}

static void test_logistic(void **state) {
    (void)state;
    for_each_variant(check_logistic);
}

static void test_adam(void **state) {
    (void)state;
    for_each_variant(check_adam);
}

static void test_nan(void **state) {
    (void)state;
    for_each_variant(check_nan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max),  cmocka_unit_test(test_exps), cmocka_unit_test(test_logistic),
        cmocka_unit_test(test_adam), cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
