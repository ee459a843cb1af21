/* What blend.c and blend_weights.c share: the members, and the sum that a blend is. */
#ifndef RECSYSD_FAMILIES_BLEND_H
#define RECSYSD_FAMILIES_BLEND_H

#include "recsysd/model.h"

enum { REC_BLEND_MEMBERS = 3, REC_BLEND_TILE = 2048 };
#define REC_BLEND_SPREADS_MAX 6.0f /* of a member in the exponent of a product */

/* What to fit: the members in order, without the ones that are none. */
struct rec_blend_plan {
    size_t count;
    struct {
        const struct rec_family *family;
        struct rec_params params;
    } member[REC_BLEND_MEMBERS];
    float weight[REC_BLEND_MEMBERS];
    bool product;
};

/* Fits one member; its progress takes this part of the whole. */
enum rec_status rec_blend_fit_member(const struct rec_fit *fit, const struct rec_blend_plan *plan,
                                     size_t member, const struct rec_dataset *data, double begin,
                                     double end, struct rec_model **out, struct rec_error *err);

/* The standard deviation of a member's scores for one query over all items; 0 when they are all
 * the same, or too close for a float. */
float rec_blend_spread(const struct rec_model *model, const float *query);

/* Chooses plan->weight by what the members, fitted on a part of the data, find of the rest. Leaves
 * it alone where there is too little data to tell. Reports progress in [0, end]. */
enum rec_status rec_blend_weigh(const struct rec_fit *fit, double end, struct rec_blend_plan *plan,
                                struct rec_error *err);

/* What weighing takes beside the members; for fit_bytes. */
size_t rec_blend_weigh_bytes(const struct rec_fit *fit, size_t members);

#endif
