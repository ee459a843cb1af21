/* Goal: inverses and solutions of large definite systems are right for every size around the
 * blocks' ends, in the lower triangle alone, with the same bits on any number of threads; what is
 * not definite is refused with its row; and the work stops when it is told to.
 *
 * How: A = M Mᵀ / n + ridge I of normal numbers, whose eigenvalues lie between ridge and about 4 +
 * ridge. The residual A X - I is off by at most about n u |A| |X| (Higham, 14.3), with a root of
 * the condition number more for inverted blocks; sums in double. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "variants.h"

static const struct {
    const char *name;
    size_t n, columns;
    float ridge;
} sizes[] = {
    {"one", 1, 1, 1.0f},
    {"two", 2, 3, 1.0f},
    {"below a small block", 31, 1, 0.1f},
    {"a small block", 32, 5, 0.1f},
    {"past a small block", 33, 5, 0.1f},
    {"below a block", 383, 7, 0.1f},
    {"a block", 384, 255, 0.1f},
    {"past a block", 385, 256, 0.1f},
    {"two blocks and some", 801, 257, 0.1f},
    {"past the blocks side by side", 1957, 3, 0.1f},
    {"ill conditioned", 300, 4, 1e-4f},
};

static void make_definite(size_t n, float ridge, float *A) {
    struct rec_rng rng;
    float *M = floats(n * n);
    rec_rng_init(&rng, 1, n);
    for (size_t i = 0; i < n * n; i++)
        M[i] = rec_rng_normal(&rng);
    rec_dense_gemm(false, true, n, n, n, 1.0f / (float)n, M, n, M, n, 0.0f, A, n);
    for (size_t i = 0; i < n; i++) {
        A[i * n + i] += ridge;
        for (size_t j = 0; j < i; j++)
            A[j * n + i] = A[i * n + j];
    }
    rec_alloc_free(M);
}

static void hide_above(float *A, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            A[i * n + j] = NAN;
}

static double longest_column(const float *B, size_t rows, size_t cols) {
    double longest = 0.0;
    for (size_t j = 0; j < cols; j++) {
        double square = 0.0;
        for (size_t i = 0; i < rows; i++)
            square += (double)B[i * cols + j] * (double)B[i * cols + j];
        longest = fmax(longest, square);
    }
    return sqrt(longest);
}

/* |A X - B| <= allowed; B NULL: the identity. */
static void check_product(const char *name, const float *A, const float *X, const float *B,
                          size_t n, size_t columns, double allowed) {
    double *sum = rec_alloc_array(columns, sizeof(*sum));
    assert_non_null(sum);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < columns; j++)
            sum[j] = B != NULL ? -(double)B[i * columns + j] : i == j ? -1.0 : 0.0;
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j < columns; j++)
                sum[j] += (double)A[i * n + k] * (double)X[k * columns + j];
        for (size_t j = 0; j < columns; j++)
            CHECK_ROW(fabs(sum[j]) <= allowed, name);
    }
    rec_alloc_free(sum);
}

/* The lower triangle of A [n x n] inverted on so many threads. */
static void invert(const float *A, float *X, size_t n, size_t threads) {
    struct rec_pool *pool = NULL;
    struct rec_error err = {0};
    assert_int_equal(rec_pool_create(threads, false, &pool, NULL), REC_OK);
    memcpy(X, A, n * n * sizeof(float));
    hide_above(X, n);
    if (rec_spd_inverse(X, n, pool, NULL, &err) != REC_OK)
        fail_msg("%s", err.text);
    rec_pool_destroy(&pool);
}

static void solve(const float *A, float *spoilt, const float *B, float *X, size_t n, size_t columns,
                  size_t threads) {
    struct rec_pool *pool = NULL;
    struct rec_error err = {0};
    assert_int_equal(rec_pool_create(threads, false, &pool, NULL), REC_OK);
    memcpy(spoilt, A, n * n * sizeof(float));
    hide_above(spoilt, n);
    memcpy(X, B, n * columns * sizeof(float));
    if (rec_spd_solve(spoilt, n, X, columns, pool, NULL, &err) != REC_OK)
        fail_msg("%s", err.text);
    rec_pool_destroy(&pool);
}

static void test_sizes(void **state) {
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        const char *name = sizes[s].name;
        size_t n = sizes[s].n, columns = sizes[s].columns;
        float *A = floats(n * n), *X = floats(n * n), *again = floats(n * n);
        float *B = floats(n * columns), *Y = floats(n * columns), *Z = floats(n * columns);
        struct rec_rng rng;
        rec_rng_init(&rng, 2, n);
        fill_mixed(&rng, B, n * columns);
        make_definite(n, sizes[s].ridge, A);

        invert(A, X, n, 1);
        double norm = 5.0, condition = norm / (double)sizes[s].ridge;
        double unit = (double)(n + 1) * FLT_EPSILON / 2 * sqrt(condition);
        check_product(name, A, X, NULL, n, n, unit * condition);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < i; j++)
                CHECK_ROW(X[i * n + j] == X[j * n + i], name);
        solve(A, again, B, Y, n, columns, 1);
        check_product(name, A, Y, B, n, columns, unit * norm * longest_column(Y, n, columns));

        for (size_t threads = 2; threads <= 3; threads++) {
            invert(A, again, n, threads);
            CHECK_ROW(memcmp(again, X, n * n * sizeof(float)) == 0, name);
            solve(A, again, B, Z, n, columns, threads);
            CHECK_ROW(memcmp(Z, Y, n * columns * sizeof(float)) == 0, name);
        }
        rec_alloc_free(A);
        rec_alloc_free(X);
        rec_alloc_free(again);
        rec_alloc_free(B);
        rec_alloc_free(Y);
        rec_alloc_free(Z);
    }
}

/* Goal: the row of the first bad pivot is named, wherever it is; a pivot that is the rounding of
 * nothing is bad. */
static void test_refusals(void **state) {
    (void)state;
    enum { N = 600 };
    static const float bad[] = {0.0f, -1.0f, NAN, INFINITY};
    static const size_t rows[] = {0, 1, 31, 32, 383, 384, 400, N - 1};
    float *A = floats((size_t)N * N), *b = floats(N);
    for (size_t r = 0; r < COUNT(rows); r++)
        for (size_t k = 0; k < COUNT(bad); k++)
            for (size_t solving = 0; solving < 2; solving++) {
                struct rec_error err = {0};
                char row[16];
                memset(A, 0, (size_t)N * N * sizeof(float));
                for (size_t i = 0; i < N; i++)
                    A[i * N + i] = i == rows[r] ? bad[k] : 2.0f;
                (void)snprintf(row, sizeof(row), "row %zu ", rows[r]);
                enum rec_status st = solving ? rec_spd_solve(A, N, b, 1, NULL, NULL, &err)
                                             : rec_spd_inverse(A, N, NULL, NULL, &err);
                CHECK_ROW(st == REC_BAD_INPUT && strstr(err.text, row) != NULL, row);
            }
    const float lost[] = {1.0f, 1.0f, 1.0f, 1.0f + FLT_EPSILON}; /* a pivot of its last bit */
    memcpy(A, lost, sizeof(lost));
    assert_int_equal(rec_spd_inverse(A, 2, NULL, NULL, NULL), REC_BAD_INPUT);
    rec_alloc_free(A);
    rec_alloc_free(b);
}

struct listener {
    atomic_bool cancel;
    size_t reports, cancel_at;
    double last;
};

static void listen(void *context, const char *phase, double fraction, double loss) {
    struct listener *listener = context;
    (void)phase;
    (void)loss;
    assert_true(fraction > listener->last && fraction <= 1.0);
    listener->last = fraction;
    if (++listener->reports == listener->cancel_at)
        atomic_store(&listener->cancel, true);
}

/* Goal: progress rises to 1, and a cancel is obeyed at every step, the last one too. */
static void test_progress(void **state) {
    (void)state;
    enum { N = 900, STEPS = 3 };
    float *A = floats((size_t)N * N), *b = floats(N);
    for (size_t solving = 0; solving < 2; solving++)
        for (size_t cancel_at = 0; cancel_at <= STEPS + 1; cancel_at++) {
            struct listener listener = {.cancel_at = cancel_at};
            struct rec_progress progress = {
                .report = listen, .context = &listener, .cancel = &listener.cancel};
            size_t live = rec_alloc_live();
            atomic_store(&listener.cancel, cancel_at == 0);
            make_definite(N, 1.0f, A);
            enum rec_status st = solving ? rec_spd_solve(A, N, b, 1, NULL, &progress, NULL)
                                         : rec_spd_inverse(A, N, NULL, &progress, NULL);
            assert_int_equal(st, cancel_at <= STEPS ? REC_CANCELLED : REC_OK);
            assert_int_equal(listener.reports, cancel_at <= STEPS ? cancel_at : STEPS);
            assert_true(st != REC_OK || listener.last == 1.0);
            assert_int_equal(rec_alloc_live(), live);
        }
    rec_alloc_free(A);
    rec_alloc_free(b);
}

static void test_no_memory(void **state) {
    (void)state;
    for (size_t solving = 0; solving < 2; solving++) {
        enum rec_status st = REC_NO_MEMORY;
        for (long n = 0; st != REC_OK && n < 20; n++) {
            float A[4] = {2.0f, 0.0f, 1.0f, 2.0f}, b[2] = {1.0f, 2.0f};
            size_t live = rec_alloc_live();
            rec_alloc_fail_at(n);
            st = solving ? rec_spd_solve(A, 2, b, 1, NULL, NULL, NULL)
                         : rec_spd_inverse(A, 2, NULL, NULL, NULL);
            rec_alloc_fail_at(-1);
            assert_true(st == REC_OK ? n > 0 : st == REC_NO_MEMORY);
            assert_int_equal(rec_alloc_live(), live);
        }
        assert_int_equal(st, REC_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_no_memory),
    };
    if (rec_dense_init(NULL) != REC_OK || rec_kernels_init(NULL) != REC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
