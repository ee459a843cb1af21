/* Goal: every variant of every kernel computes what its definition says, for every tail
 * length, within the error that Higham proves and not one that was tuned; it reads and writes
 * nothing beyond its arrays; and the bits of a row's sum depend on that row alone.
 *
 * How: the exact values and the sums of magnitudes are computed here in double. A sum of k
 * floats in any order is off by at most k u sum|terms| to first order (u = FLT_EPSILON / 2);
 * k FLT_EPSILON covers the higher orders and the final rounding.
 * source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1, 4.2. */
#include <float.h>
#include <math.h>

#include "variants.h"

enum { TAILS = 131, ROWS = 70, GUARD = 8 };
static const float guard = 12345.0f;

static void check_dot(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    for (size_t n = 0; n <= TAILS; n++) {
        float *x = floats(n), *y = floats(n); /* exact sizes: ASan sees a read past them */
        fill_mixed(&rng, x, n);
        fill_mixed(&rng, y, n);
        double sum = 0, magnitude = 0;
        for (size_t i = 0; i < n; i++) {
            sum += (double)x[i] * (double)y[i];
            magnitude += fabs((double)x[i] * (double)y[i]);
        }
        double off = fabs((double)rec_kernels_dot(x, y, n) - sum);
        assert_true(off <= (double)n * FLT_EPSILON * magnitude);
        rec_alloc_free(x);
        rec_alloc_free(y);
    }
}

static void check_axpy(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 2, 0);
    for (size_t n = 0; n <= TAILS; n++) {
        float *x = floats(n), *y = floats(n + GUARD), *before = floats(n);
        fill_mixed(&rng, x, n);
        fill_mixed(&rng, y, n);
        for (size_t i = 0; i < n; i++)
            before[i] = y[i];
        for (size_t i = 0; i < GUARD; i++)
            y[n + i] = guard;
        rec_kernels_axpy(-1.7f, x, y, n);
        for (size_t i = 0; i < n; i++) {
            double product = (double)-1.7f * (double)x[i];
            double size = fabs(product) + fabs((double)before[i]);
            assert_true(fabs((double)y[i] - (product + (double)before[i])) <=
                        2 * FLT_EPSILON * size);
        }
        for (size_t i = 0; i < GUARD; i++)
            assert_true(y[n + i] == guard);
        rec_alloc_free(x);
        rec_alloc_free(y);
        rec_alloc_free(before);
    }
}

/* Three rows of n floats and GUARD more behind each, in one array; against doubles. */
static void check_pull(void) {
    struct rec_rng rng;
    const struct rec_kernels_pair pair = {0.3f, 0.9f, 0.8f, 0.7f};
    rec_rng_init(&rng, 4, 0);
    for (size_t n = 0; n <= TAILS; n++) {
        size_t stride = n + GUARD;
        float *now = floats(3 * stride), *before = floats(3 * stride);
        fill_mixed(&rng, now, 3 * stride);
        memcpy(before, now, 3 * stride * sizeof(*now));
        rec_kernels_pull(&pair, now, now + stride, now + 2 * stride, n);
        for (size_t i = 0; i < stride; i++) {
            double a = (double)before[i], p = (double)before[stride + i];
            double q = (double)before[2 * stride + i], size = fabs(a) + fabs(p) + fabs(q);
            bool inside = i < n;
            double x = inside ? (double)0.9f * a + (double)0.3f * (p - q) : a;
            double preferred = inside ? (double)0.8f * p + (double)0.3f * a : p;
            double other = inside ? (double)0.7f * q - (double)0.3f * a : q;
            double allowed = inside ? 2 * FLT_EPSILON * size : 0.0;
            assert_true(fabs((double)now[i] - x) <= allowed);
            assert_true(fabs((double)now[stride + i] - preferred) <= allowed);
            assert_true(fabs((double)now[2 * stride + i] - other) <= allowed);
        }
        rec_alloc_free(now);
        rec_alloc_free(before);
    }
}

/* One shape: against doubles, against the same rows in other company, and past the end. */
static void check_rows_dot_shape(struct rec_rng *rng, size_t count, size_t n) {
    float *rows = floats(count * n), *x = floats(n), *scores = floats(count + GUARD);
    fill_mixed(rng, rows, count * n);
    fill_mixed(rng, x, n);
    for (size_t i = 0; i < GUARD; i++)
        scores[count + i] = guard;
    rec_kernels_rows_dot(rows, count, n, x, scores);
    for (size_t r = 0; r < count; r++) {
        double sum = 0, magnitude = 0;
        for (size_t i = 0; i < n; i++) {
            sum += (double)rows[r * n + i] * (double)x[i];
            magnitude += fabs((double)rows[r * n + i] * (double)x[i]);
        }
        assert_true(fabs((double)scores[r] - sum) <= (double)n * FLT_EPSILON * magnitude);
        float alone;
        rec_kernels_rows_dot(rows + r * n, 1, n, x, &alone);
        assert_memory_equal(&alone, &scores[r], sizeof(alone));
    }
    for (size_t i = 0; i < GUARD; i++)
        assert_true(scores[count + i] == guard);
    rec_alloc_free(rows);
    rec_alloc_free(x);
    rec_alloc_free(scores);
}

static void check_rows_dot(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 3, 0);
    for (size_t n = 1; n <= TAILS; n++)
        check_rows_dot_shape(&rng, 1 + n % 37, n);
    for (size_t count = 0; count <= ROWS; count++)
        check_rows_dot_shape(&rng, count, 33);
}

/* A list of rows, with repeats, and weights of both signs. */
struct list {
    float *factors;
    uint32_t index[ROWS * 3];
    float weight[ROWS * 3];
};

static void make_list(struct rec_rng *rng, size_t n, struct list *list) {
    list->factors = floats(ROWS * n);
    fill_mixed(rng, list->factors, ROWS * n);
    fill_mixed(rng, list->weight, COUNT(list->weight));
    for (size_t r = 0; r < COUNT(list->index); r++)
        list->index[r] = rec_rng_below(rng, ROWS);
}

static double weight_at(const float *weight, size_t r) {
    return weight == NULL ? 1.0 : (double)weight[r];
}

static void check_sum_rows_shape(struct rec_rng *rng, size_t count, size_t n, bool listed,
                                 bool weighted) {
    struct list list;
    make_list(rng, n, &list);
    const uint32_t *index = listed ? list.index : NULL;
    const float *weight = weighted ? list.weight : NULL;
    float *y = floats(n + GUARD);
    for (size_t j = 0; j < n + GUARD; j++)
        y[j] = guard;
    rec_kernels_sum_rows(list.factors, index, weight, count, n, y);
    for (size_t j = 0; j < n; j++) {
        double sum = (double)guard, magnitude = (double)guard;
        for (size_t r = 0; r < count; r++) {
            double term =
                weight_at(weight, r) * (double)list.factors[(listed ? index[r] : r) * n + j];
            sum += term;
            magnitude += fabs(term);
        }
        assert_true(fabs((double)y[j] - sum) <= (double)(count + 1) * FLT_EPSILON * magnitude);
    }
    for (size_t j = n; j < n + GUARD; j++)
        assert_true(y[j] == guard);
    rec_alloc_free(y);
    rec_alloc_free(list.factors);
}

/* Two roundings more a term than a dot product: the weight, and the first value of A. */
static void check_syrk_shape(struct rec_rng *rng, size_t count, size_t n, bool listed,
                             bool weighted) {
    struct list list;
    make_list(rng, n, &list);
    const uint32_t *index = listed ? list.index : NULL;
    const float *weight = weighted ? list.weight : NULL;
    float *A = floats(n * n + GUARD), *before = floats(n * n);
    fill_mixed(rng, A, n * n);
    memcpy(before, A, n * n * sizeof(float));
    for (size_t i = 0; i < GUARD; i++)
        A[n * n + i] = guard;
    rec_kernels_syrk_rows(list.factors, index, weight, count, n, A);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = (double)before[i * n + j], magnitude = fabs(sum);
            for (size_t r = 0; r < count; r++) {
                const float *row = list.factors + (listed ? index[r] : r) * n;
                double term = weight_at(weight, r) * (double)row[i] * (double)row[j];
                sum += term;
                magnitude += fabs(term);
            }
            assert_true(fabs((double)A[i * n + j] - sum) <=
                        (double)(count + 2) * FLT_EPSILON * magnitude);
        }
    }
    for (size_t i = 0; i < GUARD; i++)
        assert_true(A[n * n + i] == guard);
    rec_alloc_free(A);
    rec_alloc_free(before);
    rec_alloc_free(list.factors);
}

static void check_listed_rows(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 4, 0);
    for (size_t n = 1; n <= TAILS; n++) {
        check_sum_rows_shape(&rng, n % 7, n, true, true);
        check_syrk_shape(&rng, n % 7, n, true, true);
    }
    for (size_t count = 0; count <= ROWS; count++) {
        check_sum_rows_shape(&rng, count, 21, count % 2, count % 3 != 0);
        check_syrk_shape(&rng, count, 21, count % 2, count % 3 != 0);
    }
    check_syrk_shape(&rng, ROWS * 3, 66, true, true); /* several chunks of rows, two blocks */
    check_syrk_shape(&rng, ROWS, 130, false, false);  /* three blocks */
}

static void test_dot(void **state) {
    (void)state;
    for_each_variant(check_dot);
}

static void test_axpy(void **state) {
    (void)state;
    for_each_variant(check_axpy);
}

/* Rows of ROOM floats of which n count, listed or not; columns of out that no row names stay. */
static void check_transpose(void) {
    enum { MOST = 35, ROOM = MOST + 2 };
    static float rows[MOST * ROOM], out[MOST * ROOM];
    uint32_t index[MOST];
    for (uint32_t i = 0; i < MOST * ROOM; i++)
        rows[i] = (float)i;
    for (uint32_t r = 0; r < MOST; r++)
        index[r] = (r * 17 + 5) % MOST;
    for (size_t n = 0; n <= MOST; n++)
        for (size_t count = 0; count <= MOST; count++)
            for (size_t listed = 0; listed < 2; listed++) {
                for (size_t i = 0; i < MOST * ROOM; i++)
                    out[i] = guard;
                rec_kernels_transpose(rows, ROOM, listed ? index : NULL, count, n, out, ROOM);
                for (size_t i = 0; i < MOST * ROOM; i++) {
                    size_t c = i / ROOM, r = i % ROOM, from = listed && r < MOST ? index[r] : r;
                    float right = c < n && r < count ? rows[from * ROOM + c] : guard;
                    assert_true(out[i] == right);
                }
            }
}

static void test_transpose(void **state) {
    (void)state;
    for_each_variant(check_transpose);
}

/* Bits, and what lies behind is left alone. What is dropped is 0 whatever it was. */
static void check_drop_and_gate(void) {
    static const uint32_t bars[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    struct rec_rng rng;
    rec_rng_init(&rng, 4, 0);
    for (size_t n = 0; n <= TAILS; n++) {
        float x[TAILS + 1], dropped[TAILS + 1], y[TAILS + 1], gated[TAILS + 1];
        uint16_t chance[TAILS + 1];
        uint32_t bar = bars[n % COUNT(bars)];
        fill_mixed(&rng, x, TAILS + 1);
        fill_mixed(&rng, y, TAILS + 1);
        for (size_t i = 0; i <= TAILS; i++) {
            chance[i] = (uint16_t)(i % 3 == 0 ? bar - i % 2 : rec_rng_u64(&rng));
            x[i] = chance[i] < bar && i % 5 == 0 ? NAN : x[i];
            y[i] = i % 4 == 0 ? 0.0f : y[i];
            gated[i] = dropped[i] = i < n ? x[i] : guard;
        }
        rec_kernels_drop(chance, bar, 1.75f, dropped, n);
        rec_kernels_gate(y, 0.6f, gated, gated, n);
        for (size_t i = 0; i <= TAILS; i++) {
            float right = chance[i] < bar ? 0.0f : x[i] * 1.75f;
            assert_true(dropped[i] == (i < n ? right : guard));
            right = (y[i] > 0.0f ? 0.6f : 0.0f) * x[i];
            assert_true(i < n ? gated[i] == right || isnan(x[i]) : gated[i] == guard);
        }
    }
}

static void test_drop_and_gate(void **state) {
    (void)state;
    for_each_variant(check_drop_and_gate);
}

static void test_pull(void **state) {
    (void)state;
    for_each_variant(check_pull);
}

static void test_rows_dot(void **state) {
    (void)state;
    for_each_variant(check_rows_dot);
}

static void test_listed_rows(void **state) {
    (void)state;
    for_each_variant(check_listed_rows);
}

/* Goal: a forced variant is taken or refused by name, never silently replaced. */
static void test_forced_variant(void **state) {
    (void)state;
    const char *outside = getenv("REC_KERNELS");
    char *before = outside == NULL ? NULL : rec_alloc_text(outside, strlen(outside));
    struct rec_error err = {0};
    assert_int_equal(setenv("REC_KERNELS", "sse9", 1), 0);
    assert_int_equal(rec_kernels_init(&err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "sse9"));
    assert_int_equal(setenv("REC_KERNELS", "ref", 1), 0);
    assert_int_equal(rec_kernels_init(NULL), REC_OK);
    assert_string_equal(rec_kernels_name(), "ref");
    assert_int_equal(setenv("REC_KERNELS", "", 1), 0); /* as if unset */
    assert_int_equal(rec_kernels_init(NULL), REC_OK);
    assert_string_not_equal(rec_kernels_name(), "ref");
    if (before != NULL)
        setenv("REC_KERNELS", before, 1);
    else
        unsetenv("REC_KERNELS");
    rec_alloc_free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dot),           cmocka_unit_test(test_axpy),
        cmocka_unit_test(test_pull),          cmocka_unit_test(test_rows_dot),
        cmocka_unit_test(test_listed_rows),   cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_drop_and_gate), cmocka_unit_test(test_forced_variant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
