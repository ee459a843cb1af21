/* What training a SLIM model (slim_fit.c) and answering with one (slim.c) share.
 * Inside the room only. */
#ifndef FAMILIES_SLIM_H
#define FAMILIES_SLIM_H

#include "recsysd/model.h"

size_t rec_slim_fit_bytes(const struct rec_fit *fit);
enum rec_status rec_slim_fit(const struct rec_fit *fit, struct rec_tensors *out,
                             struct rec_error *err);

#endif
