/* What training an EASE model (ease_fit.c) and answering with one (ease.c) share. Inside the room
 * only. */
#ifndef FAMILIES_EASE_H
#define FAMILIES_EASE_H

#include "recsysd/linalg.h"
#include "recsysd/model.h"

/* A weight of B, or of an event, beyond this is cut or refused: sums of products of two, over any
 * history, then stay finite in float. */
#define REC_EASE_VALUE_MAX 1e12f

/* The choices of `input`. */
enum { REC_EASE_WEIGHTS, REC_EASE_BINARY };

/* Below 1, B is kept sparse: tensors offset, column, value; else one tensor, weights [items x
 * items]. Either way a row is an item of the history, a column one that is scored. */
static inline bool rec_ease_is_sparse(const struct rec_params *params) {
    return rec_params_get(params, "density") < 1.0;
}

enum rec_status rec_ease_fit(const struct rec_fit *fit, struct rec_tensors *out,
                             struct rec_error *err);
size_t rec_ease_fit_bytes(const struct rec_fit *fit);

/* The largest entries of B = -P diag(1/P), in pairs (i, j) and (j, i), into the tensors of a sparse
 * model (ease_sparse.c). P [n x n] symmetric, inverse [n] 1 over its diagonal; entries: how many to
 * keep at most. scale [n] becomes 0 where none is kept. */
enum rec_status rec_ease_keep_largest(const struct rec_fit *fit, const float *P,
                                      const float *inverse, size_t n, uint64_t entries,
                                      float *scale, struct rec_tensors *out, struct rec_error *err);

#endif
