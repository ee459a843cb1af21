/* Dense matrices through BLAS: the only file that knows OpenBLAS.
 *
 * One thread, always: two request threads beside one multi-threaded BLAS call
 * were measured to drop from 18,900 to 66 calls a second. Only the pthread build
 * is accepted: the sequential one is not safe to call from several threads at
 * once, and the OpenMP one brings a second thread pool that ignores ours.
 *
 * An OpenBLAS that is older than the processor takes it for one of 2004: Debian's
 * 0.3.21 runs its Prescott kernels on Sapphire Rapids, at a tenth of the speed of
 * its SkylakeX ones. Which kernels run can only be told to it by OPENBLAS_CORETYPE,
 * and it reads that before main, so the program sets it and starts itself again:
 * docs/adr/0003-restart-for-blas-kernels.md. */
#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#include "recsysd/linalg.h"

#define CORE_VARIABLE "OPENBLAS_CORETYPE"

/* ---- the right kernels ---------------------------------------------------------- */

/* What OpenBLAS falls back to when it does not know the processor. */
static bool is_old_core(const char *name) {
    static const char *const old[] = {"Prescott",     "Core2",  "Penryn",    "Dunnington",
                                      "Nehalem",      "Atom",   "Nano",      "Opteron",
                                      "Opteron_SSE3", "Bobcat", "Barcelona", "Sandybridge"};
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        if (strcmp(name, old[i]) == 0)
            return true;
    return false;
}

/* The kernels this processor could run instead; NULL: none better than the old ones. The compiler's
 * check knows whether the system saves the wide registers. */
static const char *better_core(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}

/* The arguments of this process as execv wants them, and the block they are in. */
static char **read_arguments(char **block) {
    size_t capacity = 0, used = 0, got = 1, count = 0;
    FILE *file = fopen("/proc/self/cmdline", "r");
    *block = NULL;
    while (file != NULL && got > 0 &&
           rec_alloc_grow(block, &capacity, used + 4096, 1, NULL) == REC_OK) {
        got = fread(*block + used, 1, capacity - used - 1, file);
        used += got;
    }
    if (file != NULL)
        (void)fclose(file);
    for (size_t i = 0; i < used; i++)
        count += (*block)[i] == '\0';
    char **argv = got == 0 && count > 0 ? rec_alloc_array(count + 1, sizeof(*argv)) : NULL;
    for (size_t i = 0, at = 0; argv != NULL && i < count; i++) {
        argv[i] = *block + at;
        at += strlen(argv[i]) + 1;
    }
    return argv;
}

/* Once: the variable is set by then. Where it cannot be done, the program goes on and is slow. By
 * its path and not as /proc/self/exe, for which the process would be called "exe". */
static void restart_with(const char *core) {
    char path[PATH_MAX], *block = NULL;
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char **argv = read_arguments(&block);
    if (bytes > 0 && argv != NULL && setenv(CORE_VARIABLE, core, 1) == 0) {
        path[bytes] = '\0';
        rec_log_event(REC_LOG_DEBUG, "blas_restart", "kernels=%s instead_of=%s", core,
                      openblas_get_corename());
        (void)execv(path, argv);
    }
    rec_alloc_free(argv);
    rec_alloc_free(block);
}

static void choose_core(void) {
    const char *core = better_core();
    if (getenv(CORE_VARIABLE) == NULL && core != NULL && is_old_core(openblas_get_corename()))
        restart_with(core);
}

/* ---- the door ------------------------------------------------------------------------ */

enum rec_status rec_dense_init(struct rec_error *err) {
    static const char *const builds[] = {"sequential", "pthread", "OpenMP"};
    int parallel = openblas_get_parallel();
    if (parallel != OPENBLAS_THREAD)
        return rec_error_set(
            err, REC_CONFLICT,
            "OpenBLAS: the %s build is loaded, the pthread build is needed (Debian: "
            "libopenblas0-pthread; update-alternatives --config libopenblas.so.0-x86_64-linux-gnu)",
            parallel >= 0 && parallel <= 2 ? builds[parallel] : "unknown");
    choose_core();
    openblas_set_num_threads(1);
    return REC_OK;
}

const char *rec_dense_corename(void) {
    return openblas_get_corename();
}

void rec_dense_gemm(bool a_transposed, bool b_transposed, size_t m, size_t n, size_t k, float alpha,
                    const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
                    size_t ldc) {
    assert(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX);
    assert(lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX);
    cblas_sgemm(CblasRowMajor, a_transposed ? CblasTrans : CblasNoTrans,
                b_transposed ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, alpha,
                A, (blasint)lda, B, (blasint)ldb, beta, C, (blasint)ldc);
}
