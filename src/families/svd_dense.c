/* The small dense problems of the randomised SVD, in double: n is the number of factors and some.
 *
 * Their size does not grow with the data, so they are written for clarity: Cholesky by columns, and
 * the eigenvalue method of Jacobi, which needs no reduction to tridiagonal form and finds small
 * eigenvalues as accurately as large ones.
 * source: Golub and Van Loan, Matrix Computations, 4th ed., sections 4.2 and 8.5. */
#include <math.h>
#include <string.h>

#include "recsysd/base.h"
#include "svd.h"

/* Z comes from sums in float: of a column that depends on others, noise of about 1e-7 of its length
 * is left, 1e-14 of its square. */
#define DEPENDENT 1e-12

enum { ROUNDS_MAX = 60 }; /* of Jacobi, which takes 6 to 10 */

/* One column after another: column k of Z minus its part in the columns before, to length 1. G =
 * LLᵀ and R = L⁻ᵀ, with both built at once. */
void rec_svd_orthonormal(double *G, size_t n, double *R) {
    memset(R, 0, n * n * sizeof(*R));
    for (size_t k = 0; k < n; k++) {
        /* Of column k only what is left of its square is known exactly by G: pivot. */
        double pivot = G[k * n + k];
        for (size_t i = 0; i < k; i++)
            pivot -= G[k * n + i] * G[k * n + i];
        bool kept = pivot > DEPENDENT * G[k * n + k];
        double scale = kept ? 1.0 / sqrt(pivot) : 0.0;
        /* Rows below: L_jk. */
        for (size_t j = k + 1; j < n; j++) {
            double sum = G[j * n + k];
            for (size_t i = 0; i < k; i++)
                sum -= G[j * n + i] * G[k * n + i];
            G[j * n + k] = sum * scale;
        }
        /* Row k of L⁻¹ is column k of R. */
        R[k * n + k] = scale;
        for (size_t i = 0; i < k; i++) {
            double sum = 0.0;
            for (size_t m = i; m < k; m++)
                sum += G[k * n + m] * R[i * n + m];
            R[i * n + k] = -sum * scale;
        }
    }
}

/* Turns rows and columns p and q of A, and rows p and q of the vectors, so that A_pq becomes 0. */
static void rotate(double *A, size_t n, size_t p, size_t q, double *vector) {
    double half = (A[q * n + q] - A[p * n + p]) / (2.0 * A[p * n + q]);
    double t = copysign(1.0, half) / (fabs(half) + sqrt(half * half + 1.0));
    double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
    for (size_t i = 0; i < n; i++) {
        double x = A[p * n + i], y = A[q * n + i];
        A[p * n + i] = c * x - s * y;
        A[q * n + i] = s * x + c * y;
        x = vector[p * n + i];
        y = vector[q * n + i];
        vector[p * n + i] = c * x - s * y;
        vector[q * n + i] = s * x + c * y;
    }
    for (size_t i = 0; i < n; i++) {
        double x = A[i * n + p], y = A[i * n + q];
        A[i * n + p] = c * x - s * y;
        A[i * n + q] = s * x + c * y;
    }
    A[p * n + q] = A[q * n + p] = 0.0;
}

/* A_pq is worth a turn when it is not lost in the rounding of both eigenvalues it couples. */
static bool couples(const double *A, size_t n, size_t p, size_t q) {
    double size = fabs(A[p * n + p] * A[q * n + q]);
    return A[p * n + q] * A[p * n + q] > 1e-30 * size && fabs(A[p * n + q]) > 1e-200;
}

static void swap_rows(double *x, double *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double kept = x[i];
        x[i] = y[i];
        y[i] = kept;
    }
}

bool rec_svd_eigen(double *A, size_t n, const struct rec_progress *progress, double *value,
                   double *vector) {
    bool turned = true;
    memset(vector, 0, n * n * sizeof(*vector));
    for (size_t i = 0; i < n; i++)
        vector[i * n + i] = 1.0;
    for (int round = 0; turned && round < ROUNDS_MAX; round++) {
        turned = false;
        for (size_t p = 0; p + 1 < n; p++) {
            if (rec_progress_cancelled(progress))
                return false;
            for (size_t q = p + 1; q < n; q++)
                if (couples(A, n, p, q)) {
                    rotate(A, n, p, q, vector);
                    turned = true;
                }
        }
    }
    for (size_t i = 0; i < n; i++)
        value[i] = A[i * n + i];
    for (size_t i = 0; i < n; i++) {
        size_t best = i;
        for (size_t j = i + 1; j < n; j++)
            if (value[j] > value[best])
                best = j;
        if (best == i)
            continue;
        swap_rows(&value[i], &value[best], 1);
        swap_rows(vector + i * n, vector + best * n, n);
    }
    return true;
}
