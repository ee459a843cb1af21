/* histories.c: what every user did, in memory, 12 bytes an event.
 *
 * The database keeps histories for ever; this is the copy that requests read. What was there at
 * start lies in one arena, user after user, exactly as large as it must be: a million small blocks
 * would cost more in overhead than the events themselves. A history that grows afterwards moves to
 * a block of its own and leaves a zeroed hole, at most the arena in all, until the next start.
 *
 * A user's events change only after the commit that holds them, on the one thread that commits,
 * under the stripe of the user; a request copies them out under the same stripe and works on the
 * copy. The number of rows recorded for a user is its history's version: it never falls, is the
 * same after a restart, and tells when the events here are behind the database (count < rows). */
#include <string.h>

#include "internal.h"

enum { PREFETCHED_BYTES = 2048 }; /* of a history: about what a core fetches at a time */

enum rec_status rec_histories_init(struct rec_histories *histories, struct rec_error *err) {
    rec_shared_init(&histories->lock);
    for (size_t i = 0; i < REC_SERVE_STRIPES; i++)
        pthread_mutex_init(&histories->stripe[i].lock, NULL);

    histories->ids = rec_idmap_create();
    if (histories->ids == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the histories");
    return REC_OK;
}

void rec_histories_finish(struct rec_histories *histories) {
    for (uint32_t i = 0; i < histories->users; i++) {
        struct rec_user *user =
            &histories->chunk[i / REC_SERVE_CHUNK_USERS][i % REC_SERVE_CHUNK_USERS];
        if (user->capacity > 0)
            rec_alloc_free(user->events);
    }
    for (size_t i = 0; i < histories->chunks; i++)
        rec_alloc_free(histories->chunk[i]);
    rec_alloc_free(histories->chunk);
    rec_alloc_free(histories->arena);
    rec_idmap_destroy(&histories->ids);
    for (size_t i = 0; i < REC_SERVE_STRIPES; i++)
        pthread_mutex_destroy(&histories->stripe[i].lock);
    rec_shared_finish(&histories->lock);
}

/* ---- users -------------------------------------------------------------------------------- */

/* The caller holds the lock for writing. */
static enum rec_status grow_users(struct rec_histories *histories, size_t users,
                                  struct rec_error *err) {
    size_t chunks = (users + REC_SERVE_CHUNK_USERS - 1) / REC_SERVE_CHUNK_USERS;
    enum rec_status st = rec_alloc_grow(&histories->chunk, &histories->chunk_capacity, chunks,
                                        sizeof(*histories->chunk), err);
    while (st == REC_OK && histories->chunks < chunks) {
        struct rec_user *chunk = rec_alloc_array(REC_SERVE_CHUNK_USERS, sizeof(*chunk));
        if (chunk == NULL)
            st = rec_error_set(err, REC_NO_MEMORY, "no memory for %zu users", users);
        else
            histories->chunk[histories->chunks++] = chunk;
    }
    return st;
}

enum rec_status rec_histories_reserve(struct rec_histories *histories, size_t more,
                                      struct rec_error *err) {
    rec_shared_read(&histories->lock);
    bool enough = histories->users + more <= histories->chunks * REC_SERVE_CHUNK_USERS;
    rec_shared_read_end(&histories->lock);
    if (enough)
        return REC_OK;

    rec_shared_write(&histories->lock);
    enum rec_status st = grow_users(histories, histories->users + more, err);
    rec_shared_write_end(&histories->lock);
    return st;
}

enum rec_status rec_histories_bind(struct rec_histories *histories, uint32_t user, const char *id,
                                   struct rec_error *err) {
    rec_shared_write(&histories->lock);
    enum rec_status st = grow_users(histories, (size_t)user + 1, err);
    if (st == REC_OK && user >= histories->users)
        histories->users = user + 1;
    if (st == REC_OK)
        st = rec_idmap_bind(histories->ids, id, strlen(id), user, err);
    rec_shared_write_end(&histories->lock);
    return st;
}

void rec_histories_unbind(struct rec_histories *histories, const char *id) {
    rec_shared_write(&histories->lock);
    rec_idmap_remove(histories->ids, id, strlen(id));
    rec_shared_write_end(&histories->lock);
}

bool rec_histories_bound(struct rec_histories *histories, uint32_t user) {
    rec_shared_read(&histories->lock);
    bool bound = rec_idmap_id(histories->ids, user) != NULL;
    rec_shared_read_end(&histories->lock);
    return bound;
}

uint32_t rec_histories_find(struct rec_histories *histories, const char *id) {
    size_t bytes = strlen(id);
    rec_shared_read(&histories->lock);
    uint32_t user = rec_idmap_find(histories->ids, id, bytes);
    rec_shared_read_end(&histories->lock);
    return user;
}

/* The caller holds the lock. */
static struct rec_user *at_index(const struct rec_histories *histories, uint32_t user) {
    if (user >= histories->users)
        return NULL;
    return &histories->chunk[user / REC_SERVE_CHUNK_USERS][user % REC_SERVE_CHUNK_USERS];
}

struct rec_user *rec_histories_at(struct rec_histories *histories, uint32_t user) {
    rec_shared_read(&histories->lock);
    struct rec_user *found = at_index(histories, user);
    rec_shared_read_end(&histories->lock);
    return found;
}

struct rec_found_user rec_histories_look(struct rec_histories *histories, const char *id) {
    size_t bytes = strlen(id);
    rec_shared_read(&histories->lock);
    uint32_t user = rec_idmap_find(histories->ids, id, bytes);
    struct rec_found_user found = {at_index(histories, user), user};
    rec_shared_read_end(&histories->lock);
    return found;
}
_Static_assert(REC_STORE_NONE == UINT32_MAX, "no index in use");

static pthread_mutex_t *stripe_of(struct rec_histories *histories, uint32_t user) {
    return &histories->stripe[user % REC_SERVE_STRIPES].lock;
}

uint64_t rec_histories_version(struct rec_histories *histories, uint32_t user) {
    struct rec_found_user found = {rec_histories_at(histories, user), user};
    return rec_histories_version_of(histories, found);
}

uint64_t rec_histories_version_of(struct rec_histories *histories, struct rec_found_user user) {
    if (user.at == NULL)
        return 0;
    pthread_mutex_lock(stripe_of(histories, user.index));
    uint64_t version = user.at->rows;
    const char *events = (const char *)user.at->events;
    size_t bytes = user.at->count * sizeof(*user.at->events);
    pthread_mutex_unlock(stripe_of(histories, user.index));
    /* Who asks for a version asks for the events next, and of a million users' they are in no
     * cache. An address is all that is used here, whoever frees what is there. */
    for (size_t i = 0; i < bytes && i < PREFETCHED_BYTES; i += 64)
        __builtin_prefetch(events + i);
    return version;
}

uint32_t rec_histories_behind(struct rec_histories *histories, uint32_t user) {
    struct rec_user *at;
    if (atomic_load(&histories->behind) == 0)
        return REC_STORE_NONE;
    for (; (at = rec_histories_at(histories, user)) != NULL; user++) {
        pthread_mutex_lock(stripe_of(histories, user));
        bool behind = at->count < at->rows;
        pthread_mutex_unlock(stripe_of(histories, user));
        if (behind)
            return user;
    }
    return REC_STORE_NONE;
}

/* ---- events --------------------------------------------------------------------------------- */

bool rec_histories_copy(struct rec_histories *histories, struct rec_found_user user,
                        struct rec_event *events, size_t *count, uint64_t *version, uint64_t *seen,
                        uint32_t items) {
    const struct rec_user *at = user.at;
    *count = 0;
    *version = 0;
    if (at == NULL)
        return true;

    pthread_mutex_lock(stripe_of(histories, user.index));
    bool current = at->count == at->rows;
    if (current) {
        size_t old = at->count > REC_HISTORY_SCORED_MAX ? at->count - REC_HISTORY_SCORED_MAX : 0;
        *count = at->count - old;
        *version = at->rows;
        if (*count > 0 && events != NULL)
            memcpy(events, at->events + old, *count * sizeof(*events));
        size_t cleared = events == NULL ? at->count : old;
        for (size_t i = 0; i < cleared && seen != NULL; i++)
            if (at->events[i].item < items)
                rec_serve_bit_clear(seen, at->events[i].item);
    }
    pthread_mutex_unlock(stripe_of(histories, user.index));
    return current;
}

static void count_block(struct rec_histories *histories, size_t events, bool taken) {
    uint64_t bytes = events * sizeof(struct rec_event);
    if (taken)
        atomic_fetch_add(&histories->grown_bytes, bytes);
    else
        atomic_fetch_sub(&histories->grown_bytes, bytes);
}

/* Room for one more event in a block of the user's own. What it leaves is zeroed: an erased user
 * must not live on in a hole of the arena or of the heap. The caller holds the stripe. */
static enum rec_status grow_events(struct rec_histories *histories, struct rec_user *user,
                                   struct rec_error *err) {
    if (user->count < user->capacity)
        return REC_OK;
    uint32_t capacity = user->count + user->count / 2 + 2;
    struct rec_event *events = rec_alloc_array(capacity, sizeof(*events));
    if (events == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a history");
    count_block(histories, capacity, true);
    if (user->count > 0) {
        memcpy(events, user->events, user->count * sizeof(*events));
        memset(user->events, 0, user->count * sizeof(*events));
    }
    if (user->capacity > 0) {
        count_block(histories, user->capacity, false);
        rec_alloc_free(user->events);
    }
    user->events = events;
    user->capacity = capacity;
    return REC_OK;
}

/* What the item's events weigh together. */
static double weight_of(const struct rec_user *user, uint32_t item) {
    double sum = 0.0;
    for (uint32_t i = 0; i < user->count; i++)
        if (user->events[i].item == item)
            sum += (double)user->events[i].weight;
    return sum;
}

enum rec_status rec_histories_add(struct rec_histories *histories, uint32_t user,
                                  struct rec_event event, double *popularity) {
    *popularity = 0.0;
    struct rec_user *at = rec_histories_at(histories, user);
    if (at == NULL)
        return REC_NO_MEMORY;

    pthread_mutex_lock(stripe_of(histories, user));
    enum rec_status st = REC_NO_MEMORY;
    if (at->count == at->rows)
        st = grow_events(histories, at, NULL);
    if (st != REC_OK && at->count == at->rows)
        atomic_fetch_add(&histories->behind, 1);
    at->rows++;
    if (st == REC_OK) {
        /* Only a dislike, or an event older than what is there, touches more than its own weight.
         */
        bool plain = event.weight >= 0.0f &&
                     (at->count == 0 || at->events[at->count - 1].time <= event.time);
        double before = plain ? 0.0 : weight_of(at, event.item);
        rec_event_insert(at->events, at->count, event);
        at->count++;
        *popularity = plain ? (double)event.weight : weight_of(at, event.item) - before;
    }
    pthread_mutex_unlock(stripe_of(histories, user));
    return st;
}

bool rec_histories_replace(struct rec_histories *histories, uint32_t user, uint32_t rows,
                           struct rec_event **events, size_t *count) {
    struct rec_user *at = rec_histories_at(histories, user);
    if (at == NULL)
        return false;
    pthread_mutex_lock(stripe_of(histories, user));
    bool fits = at->rows == rows || at->count == at->rows;
    if (at->rows == rows && at->count < rows) {
        struct rec_event *old = at->events;
        size_t old_count = at->count;
        if (at->capacity > 0)
            count_block(histories, at->capacity, false);
        count_block(histories, rows, true);
        atomic_fetch_sub(&histories->behind, 1);
        at->events = *events;
        at->count = at->capacity = rows;
        *events = old;
        *count = old_count;
    }
    pthread_mutex_unlock(stripe_of(histories, user));
    return fits;
}

void rec_histories_erase(struct rec_histories *histories, uint32_t user, struct rec_event **events,
                         size_t *count, uint32_t *rows) {
    *events = NULL;
    *count = 0;
    *rows = 0;
    struct rec_user *at = rec_histories_at(histories, user);
    if (at == NULL)
        return;
    pthread_mutex_lock(stripe_of(histories, user));
    if (at->capacity > 0)
        count_block(histories, at->capacity, false);
    if (at->count < at->rows)
        atomic_fetch_sub(&histories->behind, 1);
    *events = at->events;
    *count = at->count;
    *rows = at->rows;
    *at = (struct rec_user){0};
    pthread_mutex_unlock(stripe_of(histories, user));
}

void rec_histories_discard(struct rec_histories *histories, struct rec_event *events,
                           size_t count) {
    if (events == NULL)
        return;
    memset(events, 0, count * sizeof(*events));
    uintptr_t at = (uintptr_t)events, arena = (uintptr_t)histories->arena;
    if (at < arena || at >= arena + histories->arena_events * sizeof(*events))
        rec_alloc_free(events);
}

enum rec_status rec_histories_user(struct rec_serve *serve, const char *user_id, uint32_t *user,
                                   uint64_t *version, struct rec_error *err) {
    enum rec_status st = rec_repair_ids(serve, err);
    if (st != REC_OK)
        return st;
    uint32_t found = rec_histories_find(&serve->histories, user_id);
    uint64_t rows = found == REC_STORE_NONE ? 0 : rec_histories_version(&serve->histories, found);
    if (rows == 0)
        return rec_error_set(err, REC_NOT_FOUND, "user_id: there is no user '%.64s'", user_id);
    *user = found;
    *version = rows;
    return REC_OK;
}
