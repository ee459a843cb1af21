/* The slot: the one place that says which generation is live.
 *
 * A request holds a mutex for a pointer copy and an increment, so it is never held over a score, a
 * file or a free. There are several of them, and as many counts of holders, each on a cache line
 * of its own, and a thread uses its own part: with one, two workers hand its line to and fro four
 * times a request. A publish takes all of them.
 *
 * Who holds a generation is known only to all parts together, and may give it back in another part
 * than it was taken in. So while it is live nobody asks; from the publish that replaces it on,
 * giving back takes all locks, and whoever makes the sum zero, a request that finishes late or the
 * publish itself, destroys it after unlocking: freeing a large model takes milliseconds, and no
 * request waits for them. */
#include <assert.h>
#include <pthread.h>

#include "recsysd/model.h"

struct rec_slot {
    struct {
        _Alignas(64) pthread_mutex_t lock;
    } part[REC_SLOT_PARTS];
    struct rec_generation *live; /* read under any lock, written under all */
    _Atomic uint64_t published;  /* serial of the newest; written under all locks */
};

static size_t own_part(void) {
    return rec_thread_number() % REC_SLOT_PARTS;
}

static void lock_all(struct rec_slot *slot) {
    for (size_t i = 0; i < REC_SLOT_PARTS; i++)
        pthread_mutex_lock(&slot->part[i].lock);
}

static void unlock_all(struct rec_slot *slot) {
    for (size_t i = 0; i < REC_SLOT_PARTS; i++)
        pthread_mutex_unlock(&slot->part[i].lock);
}

/* Under all locks. */
static bool is_held(const struct rec_generation *generation) {
    int64_t holders = 0;
    for (size_t i = 0; i < REC_SLOT_PARTS; i++)
        holders += generation->part[i].holders;
    assert(holders >= 0);
    return holders > 0;
}

struct rec_generation *rec_generation_create(struct rec_model **model,
                                             const struct rec_model_info *info) {
    struct rec_generation *generation = rec_alloc_array(1, sizeof(*generation));
    if (generation == NULL)
        return NULL;
    generation->model = *model;
    generation->info = *info;
    *model = NULL;
    return generation;
}

void rec_generation_destroy(struct rec_generation **generation_pointer) {
    struct rec_generation *generation = *generation_pointer;
    if (generation == NULL)
        return;
    *generation_pointer = NULL;
    assert(!is_held(generation));
    rec_model_destroy(&generation->model);
    rec_alloc_free(generation);
}

struct rec_slot *rec_slot_create(void) {
    struct rec_slot *slot = rec_alloc_array(1, sizeof(*slot));
    for (size_t i = 0; slot != NULL && i < REC_SLOT_PARTS; i++)
        pthread_mutex_init(&slot->part[i].lock, NULL);
    return slot;
}

struct rec_generation *rec_slot_acquire(struct rec_slot *slot) {
    size_t part = own_part();
    pthread_mutex_lock(&slot->part[part].lock);
    struct rec_generation *live = slot->live;
    if (live != NULL)
        live->part[part].holders++;
    pthread_mutex_unlock(&slot->part[part].lock);
    return live;
}

/* One holder fewer of a generation that is not live any more. */
static void release_replaced(struct rec_slot *slot, struct rec_generation *held) {
    lock_all(slot);
    held->part[0].holders--;
    bool dead = !is_held(held);
    unlock_all(slot);
    if (dead)
        rec_generation_destroy(&held);
}

void rec_slot_release(struct rec_slot *slot, struct rec_generation **generation) {
    struct rec_generation *held = *generation;
    size_t part = own_part();
    if (held == NULL)
        return;
    *generation = NULL;
    pthread_mutex_lock(&slot->part[part].lock);
    bool live = held == slot->live;
    if (live)
        held->part[part].holders--;
    pthread_mutex_unlock(&slot->part[part].lock);
    if (!live)
        release_replaced(slot, held);
}

void rec_slot_publish(struct rec_slot *slot, struct rec_generation **generation) {
    struct rec_generation *fresh = *generation;
    *generation = NULL;
    assert(fresh != NULL && !is_held(fresh) && fresh->serial == 0);

    lock_all(slot);
    struct rec_generation *dead = slot->live;
    fresh->serial = atomic_load(&slot->published) + 1;
    slot->live = fresh;
    atomic_store(&slot->published, fresh->serial);
    if (dead != NULL && is_held(dead))
        dead = NULL; /* the last holder destroys it */
    unlock_all(slot);
    rec_generation_destroy(&dead);
}

uint64_t rec_slot_serial(const struct rec_slot *slot) {
    return atomic_load(&slot->published);
}

void rec_slot_destroy(struct rec_slot **slot_pointer) {
    struct rec_slot *slot = *slot_pointer;
    if (slot == NULL)
        return;
    *slot_pointer = NULL;
    rec_generation_destroy(&slot->live);
    for (size_t i = 0; i < REC_SLOT_PARTS; i++)
        pthread_mutex_destroy(&slot->part[i].lock);
    rec_alloc_free(slot);
}
