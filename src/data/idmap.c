/* Id maps: text id to dense index and back.
 *
 * Open addressing with linear probing; a slot is 8 bytes, the index and 32 bits of the hash, so a
 * probe rarely touches a text and growing never hashes again. A removed slot is closed by moving
 * its followers up, so there are no tombstones and a map that churns does not slow down.
 *
 * Texts live in blocks that are only added to and never move: a pointer from rec_idmap_id stays
 * good as long as the map, also when the id is bound elsewhere meanwhile. What is removed is wiped,
 * for it may be an erased person's. The hash is keyed with a random seed per map, or a client could
 * choose ids that all meet in one slot. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "recsysd/data.h"

enum {
    SLOTS_MIN = 16,
    BLOCK_BYTES = 64 * 1024,
    HEAD_BYTES = sizeof(uint16_t), /* length before each text */
};

struct slot {
    uint32_t hash;
    uint32_t bound; /* index + 1; 0: empty */
};

struct block {
    struct block *next;
    size_t used;
    char bytes[];
};

struct rec_idmap {
    uint64_t seed;
    struct slot *slots;
    size_t mask; /* slots - 1, a power of two less one */
    size_t used; /* slots in use */
    const char **ids;
    size_t capacity; /* of ids */
    uint32_t count;
    struct block *block; /* newest first */
};

static uint64_t random_seed(const void *salt) {
    uint64_t seed = 0;
    ssize_t got;
    do
        got = getrandom(&seed, sizeof(seed), 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(seed)) /* a kernel without it: hard to guess is what is left */
        seed = rec_clock_monotonic_ns() ^ (uint64_t)(uintptr_t)salt;
    return seed;
}

struct rec_idmap *rec_idmap_create(void) {
    struct rec_idmap *map = rec_alloc_array(1, sizeof(*map));
    if (map == NULL)
        return NULL;
    map->slots = rec_alloc_array(SLOTS_MIN, sizeof(*map->slots));
    if (map->slots == NULL) {
        rec_alloc_free(map);
        return NULL;
    }
    map->mask = SLOTS_MIN - 1;
    map->seed = random_seed(map);
    return map;
}

void rec_idmap_destroy(struct rec_idmap **map_pointer) {
    struct rec_idmap *map = *map_pointer;
    if (map == NULL)
        return;
    *map_pointer = NULL;
    while (map->block != NULL) {
        struct block *next = map->block->next;
        rec_alloc_free(map->block);
        map->block = next;
    }
    rec_alloc_free(map->ids);
    rec_alloc_free(map->slots);
    rec_alloc_free(map);
}

static uint32_t hash_of(const struct rec_idmap *map, const char *id, size_t bytes) {
    return (uint32_t)XXH3_64bits_withSeed(id, bytes, map->seed);
}

static bool same_id(const char *stored, const char *id, size_t bytes) {
    uint16_t length;
    memcpy(&length, stored - HEAD_BYTES, sizeof(length));
    return length == bytes && memcmp(stored, id, bytes) == 0;
}

/* The slot of the id, or the empty one where it would go. */
static size_t probe(const struct rec_idmap *map, uint32_t hash, const char *id, size_t bytes) {
    size_t at = hash & map->mask;
    while (map->slots[at].bound != 0) {
        const struct slot *slot = &map->slots[at];
        if (slot->hash == hash && same_id(map->ids[slot->bound - 1], id, bytes))
            break;
        at = (at + 1) & map->mask;
    }
    return at;
}

uint32_t rec_idmap_find(const struct rec_idmap *map, const char *id, size_t bytes) {
    size_t at = probe(map, hash_of(map, id, bytes), id, bytes);
    return map->slots[at].bound == 0 ? REC_STORE_NONE : map->slots[at].bound - 1;
}

/* Room for one more slot at a load of at most three quarters. */
static enum rec_status reserve_slot(struct rec_idmap *map, struct rec_error *err) {
    size_t slots = map->mask + 1;
    if (map->used + 1 <= slots - slots / 4)
        return REC_OK;
    struct slot *grown = rec_alloc_array(slots * 2, sizeof(*grown));
    if (grown == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for an id map of %zu slots", slots * 2);

    size_t mask = slots * 2 - 1;
    for (size_t i = 0; i < slots; i++) {
        if (map->slots[i].bound == 0)
            continue;
        size_t at = map->slots[i].hash & mask;
        while (grown[at].bound != 0)
            at = (at + 1) & mask;
        grown[at] = map->slots[i];
    }
    rec_alloc_free(map->slots);
    map->slots = grown;
    map->mask = mask;
    return REC_OK;
}

/* Copies the text behind its length; NULL when out of memory. */
static const char *keep_text(struct rec_idmap *map, const char *id, size_t bytes) {
    size_t need = HEAD_BYTES + bytes + 1;
    if (map->block == NULL || BLOCK_BYTES - map->block->used < need) {
        struct block *block = rec_alloc_extra(sizeof(*block), BLOCK_BYTES, 1);
        if (block == NULL)
            return NULL;
        block->next = map->block;
        map->block = block;
    }
    char *head = map->block->bytes + map->block->used;
    uint16_t length = (uint16_t)bytes;
    memcpy(head, &length, sizeof(length));
    memcpy(head + HEAD_BYTES, id, bytes);
    head[HEAD_BYTES + bytes] = '\0';
    map->block->used += need;
    return head + HEAD_BYTES;
}

/* Empties the slot and moves up those that were pushed past it. */
static void close_slot(struct rec_idmap *map, size_t at) {
    size_t hole = at;
    for (size_t next = (at + 1) & map->mask; map->slots[next].bound != 0;
         next = (next + 1) & map->mask) {
        size_t home = map->slots[next].hash & map->mask;
        if (((next - home) & map->mask) >= ((next - hole) & map->mask)) {
            map->slots[hole] = map->slots[next];
            hole = next;
        }
    }
    map->slots[hole].bound = 0;
    map->used--;
}

static void unbind_index(struct rec_idmap *map, uint32_t index) {
    const char *id = map->ids[index];
    if (id == NULL)
        return;
    uint16_t length;
    memcpy(&length, id - HEAD_BYTES, sizeof(length));
    close_slot(map, probe(map, hash_of(map, id, length), id, length));
    map->ids[index] = NULL;
}

enum rec_status rec_idmap_bind(struct rec_idmap *map, const char *id, size_t bytes, uint32_t index,
                               struct rec_error *err) {
    if (bytes == 0 || bytes > REC_ID_BYTES_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "an id has %zu bytes; 1 to %d are allowed", bytes,
                             REC_ID_BYTES_MAX);
    if (index >= REC_USERS_MAX)
        return rec_error_set(err, REC_LIMIT, "index %u is over the limit of %d ids", index,
                             REC_USERS_MAX);
    uint32_t hash = hash_of(map, id, bytes);
    size_t at = probe(map, hash, id, bytes);
    if (map->slots[at].bound == index + 1)
        return REC_OK;

    /* All that can fail comes first, so a failure changes nothing. */
    enum rec_status st = reserve_slot(map, err);
    if (st == REC_OK)
        st = rec_alloc_grow(&map->ids, &map->capacity, (size_t)index + 1, sizeof(*map->ids), err);
    if (st != REC_OK)
        return st;
    const char *text = keep_text(map, id, bytes);
    if (text == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for an id of %zu bytes", bytes);

    uint32_t before = rec_idmap_find(map, id, bytes);
    if (before != REC_STORE_NONE)
        unbind_index(map, before);
    unbind_index(map, index);
    map->slots[probe(map, hash, id, bytes)] = (struct slot){hash, index + 1};
    map->used++;
    map->ids[index] = text;
    if (index >= map->count)
        map->count = index + 1;
    return REC_OK;
}

enum rec_status rec_idmap_intern(struct rec_idmap *map, const char *id, size_t bytes,
                                 uint32_t *index, struct rec_error *err) {
    uint32_t found = rec_idmap_find(map, id, bytes);
    if (found == REC_STORE_NONE) {
        enum rec_status st = rec_idmap_bind(map, id, bytes, map->count, err);
        if (st != REC_OK)
            return st;
        found = map->count - 1;
    }
    *index = found;
    return REC_OK;
}

void rec_idmap_remove(struct rec_idmap *map, const char *id, size_t bytes) {
    uint32_t index = rec_idmap_find(map, id, bytes);
    if (index == REC_STORE_NONE)
        return;
    /* The block is not freed, so the text would stay in memory for as long as the map. */
    char *text = (char *)(uintptr_t)map->ids[index];
    unbind_index(map, index);
    memset(text, 0, bytes);
}

const char *rec_idmap_id(const struct rec_idmap *map, uint32_t index) {
    return index < map->count ? map->ids[index] : NULL;
}

uint32_t rec_idmap_count(const struct rec_idmap *map) {
    return map->count;
}

/* ---- the order of ids --------------------------------------------------------------- */

struct ranked_id {
    const char *id;
    size_t bytes;
    uint32_t index;
};

/* Whole numbers without leading zeros: the longer is the larger, so none can overflow. */
static int by_value(const void *a, const void *b) {
    const struct ranked_id *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return memcmp(x->id, y->id, x->bytes);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(((const struct ranked_id *)a)->id, ((const struct ranked_id *)b)->id);
}

static bool is_whole_number(const char *id, size_t bytes) {
    return bytes > 0 && strspn(id, "0123456789") == bytes && (id[0] != '0' || bytes == 1);
}

enum rec_status rec_idmap_rank(const struct rec_idmap *map, uint32_t *rank, struct rec_error *err) {
    uint32_t count = rec_idmap_count(map);
    struct ranked_id *sorted = rec_alloc_array(count, sizeof(*sorted));
    if (sorted == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to order %u ids", count);
    bool numbers = true;
    for (uint32_t i = 0; i < count; i++) {
        const char *id = rec_idmap_id(map, i);
        if (id == NULL)
            id = "";
        sorted[i] = (struct ranked_id){id, strlen(id), i};
        numbers = numbers && is_whole_number(id, sorted[i].bytes);
    }
    qsort(sorted, count, sizeof(*sorted), numbers ? by_value : by_bytes);
    for (uint32_t i = 0; i < count; i++)
        rank[sorted[i].index] = i;
    rec_alloc_free(sorted);
    return REC_OK;
}
