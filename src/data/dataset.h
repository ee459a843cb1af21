/* What the makers of datasets share (this room only). */
#ifndef RECSYSD_DATA_DATASET_H
#define RECSYSD_DATA_DATASET_H

#include "recsysd/data.h"

/* A dataset with room for `events`; offsets are zero, to be filled. */
enum rec_status rec_dataset_create(uint32_t users, uint32_t items, uint64_t events,
                                   struct rec_dataset **out, struct rec_error *err);

/* The rule of rec_weights for one whole history, oldest first: REC_WEIGHT_DISLIKED becomes
 * minus zero, and earlier weights of that item become 0. The same as inserting one after
 * the other with rec_event_insert, in one pass.
 * shapes: last_dislike [items], any values but `stamp`, which no other call may have used */
void rec_dataset_resolve(const uint32_t *item, float *weight, size_t count, uint32_t *last_dislike,
                         uint32_t stamp);

/* The time at this quantile of all times, 0 when there are none. */
enum rec_status rec_split_quantile(const struct rec_dataset *dataset, double quantile,
                                   uint32_t *out, struct rec_error *err);

/* Times are kept as unsigned 32-bit seconds, good until 2106. */
uint32_t rec_dataset_time(int64_t unix_s);

#endif
