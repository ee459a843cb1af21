/* Dense matrices through BLAS: the only file that knows OpenBLAS.
 *
 * One thread, always: two request threads beside one multi-threaded BLAS call
 * were measured to drop from 18,900 to 66 calls a second. Only the pthread build
 * is accepted: the sequential one is not safe to call from several threads at
 * once, and the OpenMP one brings a second thread pool that ignores ours. */
#include <assert.h>
#include <cblas.h>
#include <limits.h>

#include "recsysd/linalg.h"

enum rec_status rec_dense_init(struct rec_error *err) {
    static const char *const builds[] = {"sequential", "pthread", "OpenMP"};
    int parallel = openblas_get_parallel();
    if (parallel != OPENBLAS_THREAD)
        return rec_error_set(
            err, REC_CONFLICT,
            "OpenBLAS: the %s build is loaded, the pthread build is needed (Debian: "
            "libopenblas0-pthread; update-alternatives --config libopenblas.so.0-x86_64-linux-gnu)",
            parallel >= 0 && parallel <= 2 ? builds[parallel] : "unknown");
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
