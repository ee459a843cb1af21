/* Small symmetric positive definite systems, A = Lᵀ L with L lower triangular.
 *
 * This is Cholesky from the last row up. On a row-major lower triangle the
 * textbook order (A = L Lᵀ) walks down columns, or multiplies by transposed
 * rows; from the last row up, each step scales one row and subtracts multiples
 * of it from the rows above, so everything runs along contiguous memory that
 * starts at column 0. Rows are taken in panels of 16; what a panel does to the
 * rows above it is a symmetric rank-16 update, the kernel of rec_kernels_syrk_rows.
 *
 * The solve is Lᵀ y = b from the last element to the first (axpy of rows), then
 * L x = y from the first to the last (dot of rows).
 *
 * error:  |A - LᵀL| <= g(n+1) |Lᵀ| |L|, and (A + E) x = b with |E| <= g(3n+1) |Lᵀ| |L|,
 *         elementwise, g(k) = k u / (1 - k u), u = FLT_EPSILON / 2; the order of the rows
 *         does not matter to the proof
 * source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorems 10.3, 10.4 */
#include "kernels.h"

bool rec_cholesky_factor(float *A, size_t n) {
    return rec_kernels_chosen()->factor(A, n);
}

void rec_cholesky_solve(const float *L, size_t n, float *b) {
    rec_kernels_chosen()->solve(L, n, b);
}
