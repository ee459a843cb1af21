/* families: the list of model families. A new family is families/<name>.c, its
 * line here and its line in list.c. */
#ifndef RECSYSD_FAMILIES_H
#define RECSYSD_FAMILIES_H

#include "recsysd/model.h"

extern const struct rec_family rec_popularity_family;
extern const struct rec_family rec_random_family;
extern const struct rec_family rec_personal_popularity_family;
extern const struct rec_family rec_als_family;
extern const struct rec_family rec_ease_family;
extern const struct rec_family rec_nextitem_family;
extern const struct rec_family rec_item_knn_family;
extern const struct rec_family rec_user_knn_family;
extern const struct rec_family rec_slim_family;
extern const struct rec_family rec_svd_family;
extern const struct rec_family rec_biased_mf_family;
extern const struct rec_family rec_bpr_family;
extern const struct rec_family rec_dae_family;
extern const struct rec_family rec_multvae_family;
extern const struct rec_family rec_neuralmf_family;
extern const struct rec_family rec_ncf_family;
extern const struct rec_family rec_blend_family;

/* NULL-terminated. */
extern const struct rec_family *const rec_families[];

/* What was set for families that a row chooses ("first.factors=64"), which rec_params_set takes as
 * it is: to be asked once all is set, as the choice may come last. BAD_INPUT as rec_params_set,
 * naming the row. */
enum rec_status rec_families_check(const struct rec_params *params, struct rec_error *err);

#endif
