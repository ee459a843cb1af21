/* Open addressing with linear probing. The texts are compared too: a 64-bit hash alone would one
 * day give a user another's history. */
#include <string.h>
#include <xxhash.h>

#include "idhash.h"

enum { SLOTS_MIN = 1024 };

void rec_idhash_init(struct rec_idhash *hash, uint64_t seed) {
    *hash = (struct rec_idhash){.seed = seed};
}

void rec_idhash_finish(struct rec_idhash *hash) {
    rec_alloc_free(hash->slot);
    rec_alloc_free(hash->texts);
    *hash = (struct rec_idhash){0};
}

bool rec_idhash_find(const struct rec_idhash *hash, const char *id, uint64_t *key,
                     uint32_t *index) {
    *key = XXH3_64bits_withSeed(id, strlen(id), hash->seed);
    if (hash->slots == 0)
        return false;
    size_t at = (size_t)*key & (hash->slots - 1);
    while (hash->slot[at].text != 0) {
        if (hash->slot[at].hash == *key && strcmp(hash->texts + hash->slot[at].text - 1, id) == 0) {
            *index = hash->slot[at].index;
            return true;
        }
        at = (at + 1) & (hash->slots - 1);
    }
    return false;
}

static void place(struct rec_idhash *hash, struct rec_idhash_slot slot) {
    size_t at = (size_t)slot.hash & (hash->slots - 1);
    while (hash->slot[at].text != 0)
        at = (at + 1) & (hash->slots - 1);
    hash->slot[at] = slot;
}

/* At most half full. */
static enum rec_status make_room(struct rec_idhash *hash, struct rec_error *err) {
    if (hash->count < hash->slots / 2)
        return REC_OK;
    struct rec_idhash bigger = *hash;
    bigger.slots = hash->slots == 0 ? SLOTS_MIN : hash->slots * 2;
    bigger.slot = rec_alloc_array(bigger.slots, sizeof(*bigger.slot));
    if (bigger.slot == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "import: no memory for %zu ids", bigger.slots / 2);
    for (size_t i = 0; i < hash->slots; i++)
        if (hash->slot[i].text != 0)
            place(&bigger, hash->slot[i]);
    rec_alloc_free(hash->slot);
    *hash = bigger;
    return REC_OK;
}

enum rec_status rec_idhash_add(struct rec_idhash *hash, const char *id, uint64_t key,
                               uint32_t index, struct rec_error *err) {
    size_t bytes = strlen(id) + 1;
    enum rec_status st = make_room(hash, err);
    if (st == REC_OK)
        st = rec_alloc_grow(&hash->texts, &hash->texts_capacity, hash->texts_bytes + bytes, 1, err);
    if (st != REC_OK)
        return st;
    memcpy(hash->texts + hash->texts_bytes, id, bytes);
    place(hash, (struct rec_idhash_slot){
                    .hash = key, .text = (uint64_t)hash->texts_bytes + 1, .index = index});
    hash->texts_bytes += bytes;
    hash->count++;
    return REC_OK;
}
