/* The model families there are. A family is its file and its line here; the command line, the
 * API, training, model files and the conformance suite all walk this list. */
#include <string.h>

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
    &rec_neuralmf_family,
    &rec_ncf_family,
    &rec_blend_family,
    NULL,
};
/* clang-format on */

/* The table of the family that a row chooses; empty where it chooses none. */
static enum rec_status chosen_params(const struct rec_params *params, size_t row,
                                     struct rec_params *out, struct rec_error *err) {
    const struct rec_family *family = NULL;
    const char *choice = params->table[row].choices[(size_t)params->value[row]];
    rec_params_defaults(NULL, 0, out);
    if (strcmp(choice, "none") == 0)
        return REC_OK;
    enum rec_status st = rec_family_find(rec_families, choice, &family, err);
    if (st == REC_OK)
        rec_params_defaults(family->params, family->param_count, out);
    return st;
}

enum rec_status rec_families_check(const struct rec_params *params, struct rec_error *err) {
    struct rec_params chosen;
    enum rec_status st = REC_OK;
    for (size_t row = 0; st == REC_OK && row < params->count; row++) {
        if (params->table[row].type != REC_PARAM_FAMILY)
            continue;
        st = chosen_params(params, row, &chosen, err);
        if (st == REC_OK)
            st = rec_params_nested(params, params->table[row].name, &chosen, err);
    }
    return st;
}
