/* Goal: BLAS is the build we need, stays at one thread and uses the processor's wide registers
 * without being told, and row-major products with any transposition and leading dimension are what
 * the definition says. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

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

/* What this program says when it is run with these arguments after --say. */
static void run_self(const char *environment, const char *arguments, char *said, int cap) {
    char path[1024], command[2048];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 1);
    assert_true(bytes > 0);
    path[bytes] = '\0';
    (void)snprintf(command, sizeof(command), "env %s '%s' --say %s", environment, path, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(said, cap, pipe));
    assert_int_equal(pclose(pipe), 0);
}

/* Goal: an OpenBLAS that does not know the processor is started again with kernels that fit,
 * keeping every argument; who chose kernels keeps them. */
static void test_core(void **state) {
    (void)state;
#if defined(__x86_64__)
    static const struct {
        const char *name, *environment, *arguments, *core, *rest;
        bool needs_avx2;
    } rows[] = {
        {"by itself", "-u OPENBLAS_CORETYPE", "'a b' '' \"'\"", NULL, "[a b][]['] 1", true},
        {"chosen", "OPENBLAS_CORETYPE=Nehalem", "x", "Nehalem", "[x] 1", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char said[256];
        if (rows[i].needs_avx2 && !__builtin_cpu_supports("avx2"))
            continue;
        run_self(rows[i].environment, rows[i].arguments, said, sizeof(said));
        const char *rest = strchr(said, ' ');
        assert_non_null(rest);
        CHECK_ROW(strcmp(rest + 1, rows[i].rest) == 0, rows[i].name);
        size_t bytes = (size_t)(rest - said);
        if (rows[i].core != NULL)
            CHECK_ROW(strlen(rows[i].core) == bytes && memcmp(said, rows[i].core, bytes) == 0,
                      rows[i].name);
        else
            CHECK_ROW(strncmp(said, "Prescott", bytes) != 0 && strncmp(said, "Core2", bytes) != 0,
                      rows[i].name);
    }
#endif
}

static int say(int argc, char **argv) {
    bool good = rec_dense_init(NULL) == REC_OK;
    (void)printf("%s ", rec_dense_corename());
    for (int i = 2; i < argc; i++)
        (void)printf("[%s]", argv[i]);
    (void)printf(" %d", good);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--say") == 0)
        return say(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_core),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_gemm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
