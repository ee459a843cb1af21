/* Text ids to indices during one import: a million look-ups a second and more, which prepared
 * statements do not reach. */
#ifndef RECSYSD_STORE_IDHASH_H
#define RECSYSD_STORE_IDHASH_H

#include "recsysd/base.h"

struct rec_idhash_slot {
    uint64_t hash;
    uint64_t text; /* offset of the id in texts, plus one; 0: free */
    uint32_t index;
};

struct rec_idhash {
    struct rec_idhash_slot *slot; /* [slots], a power of two */
    size_t slots, count;
    char *texts; /* ids with their NULs */
    size_t texts_bytes, texts_capacity;
    uint64_t seed; /* secret: nobody can aim ids at one slot */
};

void rec_idhash_init(struct rec_idhash *hash, uint64_t seed);
void rec_idhash_finish(struct rec_idhash *hash);

/* True when id is there. *key is for rec_idhash_add of the same id. */
bool rec_idhash_find(const struct rec_idhash *hash, const char *id, uint64_t *key, uint32_t *index);
/* Adds an id that find did not find. */
enum rec_status rec_idhash_add(struct rec_idhash *hash, const char *id, uint64_t key,
                               uint32_t index, struct rec_error *err);

#endif
