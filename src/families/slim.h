/* What training a SLIM model (slim_fit.c) and answering with one (slim.c) share.
 * Inside the room only. */
#ifndef FAMILIES_SLIM_H
#define FAMILIES_SLIM_H

#include "recsysd/model.h"

/* Coefficients beyond this are refused, and weights of a history end here: sums of products of two
 * over any history then stay finite in float. */
#define REC_SLIM_VALUE_MAX 1e12f

size_t rec_slim_fit_bytes(const struct rec_fit *fit);
enum rec_status rec_slim_fit(const struct rec_fit *fit, struct rec_tensors *out,
                             struct rec_error *err);

#endif
