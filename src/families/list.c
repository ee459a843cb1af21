/* The model families there are. A family is its file and its line here; the command line, the
 * API, training, model files and the conformance suite all walk this list. */
#include "recsysd/families.h"

/* clang-format off */ /* a line each */
const struct rec_family *const rec_families[] = {
    &rec_random_family,
    &rec_popularity_family,
    &rec_personal_popularity_family,
    &rec_als_family,
    &rec_ease_family,
    &rec_nextitem_family,
    &rec_item_knn_family,
    &rec_user_knn_family,
    &rec_slim_family,
    &rec_svd_family,
    &rec_biased_mf_family,
    &rec_bpr_family,
    &rec_dae_family,
    &rec_multvae_family,
    &rec_blend_family,
    NULL,
};
/* clang-format on */
