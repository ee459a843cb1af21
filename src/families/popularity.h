/* How popular each item is: counted once, here, for every family that starts from it. */
#ifndef RECSYSD_FAMILIES_POPULARITY_H
#define RECSYSD_FAMILIES_POPULARITY_H

#include "recsysd/model.h"

#define REC_POPULARITY_HALF_LIFE "half_life_days"

/* The row of a family's parameter table. */
/* clang-format off */
#define REC_POPULARITY_PARAM                                                                       \
    {REC_POPULARITY_HALF_LIFE, REC_PARAM_FLOAT, 0, 36500, false, 0, NULL,                          \
     "popularity of an interaction halves in so many days; 0: never"}

/* Where a tuner looks. */
#define REC_POPULARITY_TUNE                                                                        \
    {.name = REC_POPULARITY_HALF_LIFE, .min = 1, .max = 2000, .log_scale = true, .zero = true}
/* clang-format on */

/* out [items of the data]: the sum of the weights of each item's events, decayed with their age
 * before the newest event of the data; half_life_days 0: not decayed. Finite, >= 0.
 * errors: NO_MEMORY, CANCELLED */
enum rec_status rec_popularity_count(const struct rec_fit *fit, double half_life_days, float *out,
                                     struct rec_error *err);

#endif
