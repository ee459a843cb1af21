/* What training (biased_mf_fit.c) and answering (biased_mf.c) of biased-mf share. Inside the room
 * only. */
#ifndef FAMILIES_BIASED_MF_H
#define FAMILIES_BIASED_MF_H

#include "mf.h"

enum { REC_BIASED_MF_ZEROS_MAX = 64 };

size_t rec_biased_mf_fit_bytes(const struct rec_fit *fit);
enum rec_status rec_biased_mf_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                  struct rec_error *err);
/* The same, and the trained users' rows [users x width], the bias last; as rec_bpr_fit_users. */
enum rec_status rec_biased_mf_fit_users(const struct rec_fit *fit, struct rec_tensors *out,
                                        float **users, struct rec_error *err);

#endif
