/* What training by BPR (bpr_fit.c) and answering with it (bpr.c) share: one step. Inside the room
 * only. */
#ifndef FAMILIES_BPR_H
#define FAMILIES_BPR_H

#include "mf.h"

enum { REC_BPR_CANDIDATES_MAX = 64 };

/* What a fold-in may cost, in multiply-adds: steps x (candidates + 1) x (numbers of a row + what
 * drawing one costs, at most 8 tries at random places). So much that some 900 steps are always
 * there, with 2,048 factors and 64 candidates too, and that with the defaults the longest history
 * needs two fifths of it. */
enum { REC_BPR_FOLD_WORK = 1 << 27, REC_BPR_DRAW_WORK = 256 };
_Static_assert(REC_BPR_FOLD_WORK /
                       ((REC_BPR_CANDIDATES_MAX + 1) * (REC_FACTORS_MAX + 1 + REC_BPR_DRAW_WORK)) >
                   890,
               "a fold-in may take some 900 steps");

size_t rec_bpr_fit_bytes(const struct rec_fit *fit);
enum rec_status rec_bpr_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err);
/* The same, and the trained users' rows [users x width] in *users (rec_alloc_free), which no model
 * keeps: so that the fold-in can be measured against them. users NULL: not wanted. */
enum rec_status rec_bpr_fit_users(const struct rec_fit *fit, struct rec_tensors *out, float **users,
                                  struct rec_error *err);

#endif
