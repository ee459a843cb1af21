/* The slot: the one place that says which generation is live.
 *
 * One mutex over a pointer and counts. A request holds it for a pointer copy and an increment, so
 * it is never held over a score, a file or a free; nothing lock-free until a profile shows this
 * lock. The slot itself counts as one holder of the live generation; whoever brings the count to
 * zero, a request that finishes late or the publish itself, destroys it after unlocking: freeing
 * a large model takes milliseconds, and no request waits for them. */
#include <assert.h>
#include <pthread.h>

#include "recsysd/model.h"

struct rec_slot {
    pthread_mutex_t lock;
    struct rec_generation *live; /* lock */
    uint64_t published;          /* lock: serial of the newest */
};

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
    assert(generation->holders == 0);
    rec_model_destroy(&generation->model);
    rec_alloc_free(generation);
}

struct rec_slot *rec_slot_create(void) {
    struct rec_slot *slot = rec_alloc_array(1, sizeof(*slot));
    if (slot != NULL)
        pthread_mutex_init(&slot->lock, NULL);
    return slot;
}

/* Under the lock. One holder fewer: the generation when that was the last, for the caller to
 * destroy once the lock is released. */
static struct rec_generation *let_go(struct rec_generation *generation) {
    if (generation == NULL)
        return NULL;
    assert(generation->holders > 0);
    return --generation->holders == 0 ? generation : NULL;
}

struct rec_generation *rec_slot_acquire(struct rec_slot *slot) {
    pthread_mutex_lock(&slot->lock);
    struct rec_generation *live = slot->live;
    if (live != NULL)
        live->holders++;
    pthread_mutex_unlock(&slot->lock);
    return live;
}

void rec_slot_release(struct rec_slot *slot, struct rec_generation **generation) {
    if (*generation == NULL)
        return;
    pthread_mutex_lock(&slot->lock);
    struct rec_generation *dead = let_go(*generation);
    pthread_mutex_unlock(&slot->lock);
    *generation = NULL;
    rec_generation_destroy(&dead);
}

void rec_slot_publish(struct rec_slot *slot, struct rec_generation **generation) {
    struct rec_generation *fresh = *generation;
    *generation = NULL;
    assert(fresh != NULL && fresh->holders == 0 && fresh->serial == 0);

    pthread_mutex_lock(&slot->lock);
    fresh->serial = ++slot->published;
    fresh->holders = 1;
    struct rec_generation *dead = let_go(slot->live);
    slot->live = fresh;
    pthread_mutex_unlock(&slot->lock);
    rec_generation_destroy(&dead);
}

void rec_slot_destroy(struct rec_slot **slot_pointer) {
    struct rec_slot *slot = *slot_pointer;
    if (slot == NULL)
        return;
    *slot_pointer = NULL;
    struct rec_generation *dead = let_go(slot->live);
    assert(slot->live == NULL || dead != NULL); /* someone still holds it */
    rec_generation_destroy(&dead);
    pthread_mutex_destroy(&slot->lock);
    rec_alloc_free(slot);
}
