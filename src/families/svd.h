/* What training a truncated SVD (svd_fit.c, svd_dense.c) and answering with one (svd.c) share.
 * Inside the room only. */
#ifndef FAMILIES_SVD_H
#define FAMILIES_SVD_H

#include "recsysd/model.h"

/* Numbers of a model beyond this are refused, and weights of a history end here. */
#define REC_SVD_VALUE_MAX 1e12f

size_t rec_svd_fit_bytes(const struct rec_fit *fit);
enum rec_status rec_svd_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err);

/* ---- small dense matrices in double (svd_dense.c) ---- */

/* The right factor that makes the columns of Z orthonormal: with G = ZᵀZ [n x n] (both triangles;
 * spoilt), R [n x n] upper triangular, (Z R)ᵀ(Z R) = I. A column that depends on those before it,
 * as far as float can tell, becomes 0. */
void rec_svd_orthonormal(double *G, size_t n, double *R);

/* The eigenvalues and eigenvectors of the symmetric A [n x n] (spoilt), largest first: A =
 * Σ value_k v_k v_kᵀ, v_k row k of vector. False when cancelled. */
bool rec_svd_eigen(double *A, size_t n, const struct rec_progress *progress, double *value,
                   double *vector);

#endif
