/* Users by the length of their history. The bounds are those of the usual tables: below ten liked
 * rows there is little to learn from, from fifty on most models agree. */
#include "recsysd/eval.h"

static const struct {
    const char *name, *range;
    uint64_t below;
} buckets[REC_BUCKETS] = {
    {"cold", "< 10", 10}, {"medium", "10 to 49", 50}, {"warm", ">= 50", UINT64_MAX}};

const char *rec_bucket_name(size_t bucket) {
    return buckets[bucket].name;
}

const char *rec_bucket_range(size_t bucket) {
    return buckets[bucket].range;
}

size_t rec_bucket_of(uint64_t positives) {
    size_t bucket = 0;
    while (bucket + 1 < REC_BUCKETS && positives >= buckets[bucket].below)
        bucket++;
    return bucket;
}

uint64_t rec_bucket_positives(const struct rec_dataset *train, uint32_t user) {
    uint64_t count = 0;
    for (uint64_t e = train->offset[user]; e < train->offset[user + 1]; e++)
        count += train->weight[e] > 0.0f;
    return count;
}
