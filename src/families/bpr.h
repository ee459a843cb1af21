/* What training by BPR (bpr_fit.c) and answering with it (bpr.c) share: one step. Inside the room
 * only. */
#ifndef FAMILIES_BPR_H
#define FAMILIES_BPR_H

#include "mf.h"

enum { REC_BPR_CANDIDATES_MAX = 64 };

size_t rec_bpr_fit_bytes(const struct rec_fit *fit);
enum rec_status rec_bpr_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err);
/* The same, and the trained users' rows [users x width] in *users (rec_alloc_free), which no model
 * keeps: so that the fold-in can be measured against them. users NULL: not wanted. */
enum rec_status rec_bpr_fit_users(const struct rec_fit *fit, struct rec_tensors *out, float **users,
                                  struct rec_error *err);

#endif
