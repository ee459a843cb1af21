/* What the files of this room share; no other room includes it.
 *
 * Locks, and what each protects, stand beside the fields. No two are ever held together, and
 * none is held while a model scores, a callback of a caller runs, or the database is read.
 *
 *   catalogue.lock   id map, texts, categories, eligibility, live counts
 *   histories.lock   id map and directory of users (not their events)
 *   histories.stripe one user's events, by index modulo the stripes
 *   queries.stripe   kept queries, by user index modulo the stripes
 *   gather.lock      lists that wait to be scored, and spare scratches */
#ifndef RECSYSD_SERVE_INTERNAL_H
#define RECSYSD_SERVE_INTERNAL_H

#include <pthread.h>

#include "recsysd/serve.h"

enum {
    REC_SERVE_BLOCK_ITEMS = 4096, /* items scored at once: 16 KiB of scores stay in the L1 cache */
    REC_SERVE_STRIPES = 64,
    REC_SERVE_QUERY_STRIPES = 16,
    REC_SERVE_CHUNK_USERS = 4096,
    REC_SERVE_SHARES = 1 << 17,                   /* shares that one explain call may fill */
    REC_SERVE_WAITING_MAX = 4 * REC_SCAN_QUERIES, /* lists that may wait to be scored */
};

/* A mutex alone on its cache line, so that stripes do not share one. */
struct rec_stripe {
    _Alignas(64) pthread_mutex_t lock;
};

/* ---- shared.c: a lock that requests read and few threads write ------------------------ */

enum { REC_SHARED_PARTS = 8 };

/* A reader locks one part, its thread's own as long as there are no more threads than parts, so
 * that requests on different cores do not hand one cache line to and fro; a writer locks all. */
struct rec_shared {
    struct {
        _Alignas(64) pthread_rwlock_t lock;
    } part[REC_SHARED_PARTS];
};

void rec_shared_init(struct rec_shared *shared);
void rec_shared_finish(struct rec_shared *shared);
/* threads: who began to read ends it; reading is not begun twice */
void rec_shared_read(struct rec_shared *shared);
void rec_shared_read_end(struct rec_shared *shared);
void rec_shared_write(struct rec_shared *shared);
void rec_shared_write_end(struct rec_shared *shared);

/* ---- catalogue ---------------------------------------------------------------------- */

/* `"item_id":"7"` and `"title":"..."`, one after the other. */
struct rec_catalogue_text {
    uint32_t id_bytes, title_bytes; /* title_bytes 0: no title */
    char json[];
};

struct rec_category {
    uint64_t *words; /* one bit an item */
    size_t capacity; /* words; items past them are not in the category */
};

struct rec_catalogue {
    struct rec_shared lock; /* protects everything below except version */
    struct rec_idmap *ids;
    struct rec_catalogue_text **text; /* [words * 64] */
    double *popularity;               /* [words * 64]; sums of weights of all users' events */
    uint64_t *visible, *hidden;       /* [words]; a deleted item is neither */
    uint64_t *damaged; /* [words]; id, title or categories were lost for want of memory */
    size_t words;
    uint32_t items; /* highest index in use + 1 */
    struct rec_idmap *category_ids;
    struct rec_category *category;
    size_t category_capacity;
    _Atomic uint64_t version; /* grows with every change that matters to lists */
};

enum rec_status rec_catalogue_init(struct rec_catalogue *catalogue, struct rec_error *err);
void rec_catalogue_finish(struct rec_catalogue *catalogue);

/* Makes room for `more` items than there are now, so that a commit needs none. */
enum rec_status rec_catalogue_reserve(struct rec_catalogue *catalogue, size_t more,
                                      struct rec_error *err);
/* The item is exactly this from now on. On NO_MEMORY whether it is hidden still holds, and it is
 * marked damaged. */
enum rec_status rec_catalogue_put(struct rec_catalogue *catalogue, uint32_t index,
                                  const struct rec_item *item, struct rec_error *err);
void rec_catalogue_delete(struct rec_catalogue *catalogue, uint32_t index);
/* Somebody interacted with it: a new item, or one that was deleted, is there from now on. */
enum rec_status rec_catalogue_touch(struct rec_catalogue *catalogue, uint32_t index,
                                    const char *item_id, struct rec_error *err);
bool rec_catalogue_damaged(struct rec_catalogue *catalogue, uint32_t index);
void rec_catalogue_mended(struct rec_catalogue *catalogue); /* nothing is damaged any more */
void rec_catalogue_changed(struct rec_catalogue *catalogue);

/* The index, deleted items included; REC_STORE_NONE. */
uint32_t rec_catalogue_find(struct rec_catalogue *catalogue, const char *item_id);
bool rec_catalogue_deleted(struct rec_catalogue *catalogue, uint32_t index);

/* Copies what may be listed (visible, and of the category when it is not NULL) to *mask, which
 * grows to the catalogue's size. *items: how many bits are valid. */
enum rec_status rec_catalogue_mask(struct rec_catalogue *catalogue, const char *category,
                                   uint64_t **mask, size_t *mask_words, uint32_t *items,
                                   struct rec_error *err);
/* Live counts of items first .. first+count-1; 0 past the catalogue. */
void rec_catalogue_popularity(struct rec_catalogue *catalogue, uint32_t first, uint32_t count,
                              float *scores);
/* Adds weights [count] to the counts of items [count]. */
void rec_catalogue_add(struct rec_catalogue *catalogue, const uint32_t *items,
                       const double *weights, size_t count);
/* Adds sign * weight of every event to its item's count. */
void rec_catalogue_count(struct rec_catalogue *catalogue, const struct rec_event *events,
                         size_t count, double sign);

/* ---- histories ------------------------------------------------------------------------ */

/* A user's events are behind the database when count < rows: an allocation failed after a commit.
 * The next read puts that right (repair.c). */
struct rec_user {
    struct rec_event *events; /* oldest first */
    uint32_t count;
    uint32_t capacity; /* 0: events lie in the arena */
    uint32_t rows;     /* recorded for this user so far: the history version; 0 once erased */
};

struct rec_histories {
    struct rec_shared lock; /* protects the next four */
    struct rec_idmap *ids;
    struct rec_user **chunk; /* [chunks][REC_SERVE_CHUNK_USERS]; a chunk never moves */
    size_t chunks, chunk_capacity;
    uint32_t users; /* highest index in use + 1 */

    struct rec_stripe stripe[REC_SERVE_STRIPES]; /* protects the rec_users of its indices */
    struct rec_event *arena; /* what was there at start: one block, exactly as large as needed */
    size_t arena_events;
    _Atomic uint64_t grown_bytes; /* of arrays outside the arena */
    atomic_size_t behind;         /* users whose events are behind the database */
};

enum rec_status rec_histories_init(struct rec_histories *histories, struct rec_error *err);
void rec_histories_finish(struct rec_histories *histories);
enum rec_status rec_histories_reserve(struct rec_histories *histories, size_t more,
                                      struct rec_error *err);
/* The index is in use from now on, and the id leads to it. */
enum rec_status rec_histories_bind(struct rec_histories *histories, uint32_t user, const char *id,
                                   struct rec_error *err);
void rec_histories_unbind(struct rec_histories *histories, const char *id);
bool rec_histories_bound(struct rec_histories *histories, uint32_t user);
uint32_t rec_histories_find(struct rec_histories *histories, const char *id);
struct rec_found_user rec_histories_look(struct rec_histories *histories, const char *id);
/* NULL for an index not in use. The struct stays where it is; its stripe's lock protects it. */
struct rec_user *rec_histories_at(struct rec_histories *histories, uint32_t user);
/* The first user from `user` on who is behind; REC_STORE_NONE. */
uint32_t rec_histories_behind(struct rec_histories *histories, uint32_t user);
uint64_t rec_histories_version(struct rec_histories *histories, uint32_t user);
uint64_t rec_histories_version_of(struct rec_histories *histories, struct rec_found_user user);

/* Copies the newest REC_HISTORY_SCORED_MAX events; older ones are only cleared from seen (NULL:
 * not wanted), which holds `items` bits. events NULL: copies none, clears all; *count is the same.
 * False: behind the database, nothing was done. */
bool rec_histories_copy(struct rec_histories *histories, struct rec_found_user user,
                        struct rec_event *events, size_t *count, uint64_t *version, uint64_t *seen,
                        uint32_t items);
/* One committed event. *popularity: what the item's live count changes by. NO_MEMORY: the history
 * is behind from now on. */
enum rec_status rec_histories_add(struct rec_histories *histories, uint32_t user,
                                  struct rec_event event, double *popularity);
/* Puts events [rows] in the place of a history that is behind, if it still is; the array is then
 * taken, and *events and *count become what was there before, NULL included. False: more rows were
 * recorded meanwhile. */
bool rec_histories_replace(struct rec_histories *histories, uint32_t user, uint32_t rows,
                           struct rec_event **events, size_t *count);
/* Empties it. *events [*count]: what was there, to be given to rec_histories_discard. */
void rec_histories_erase(struct rec_histories *histories, uint32_t user, struct rec_event **events,
                         size_t *count, uint32_t *rows);
/* Zeroes events, which nobody reads any more, and frees them unless they lie in the arena. */
void rec_histories_discard(struct rec_histories *histories, struct rec_event *events, size_t count);

/* ---- kept queries ------------------------------------------------------------------------- */

struct rec_query_stripe {
    _Alignas(64) pthread_mutex_t lock; /* protects the rest */
    struct rec_query_tag *tag;         /* [slots] */
    float *floats;                     /* [slots][query_floats] */
    size_t slots, query_floats;
    uint64_t serial; /* of the newest generation kept here */
};

struct rec_queries {
    size_t stripe_bytes_max; /* 0: keep nothing */
    struct rec_query_stripe stripe[REC_SERVE_QUERY_STRIPES];
};

void rec_queries_init(struct rec_queries *queries, size_t bytes_max);
void rec_queries_finish(struct rec_queries *queries);
bool rec_queries_get(struct rec_queries *queries, uint32_t user, uint64_t serial, uint64_t version,
                     float *query, size_t query_floats);
void rec_queries_put(struct rec_queries *queries, uint32_t user, uint64_t serial, uint64_t version,
                     const float *query, size_t query_floats);
void rec_queries_drop(struct rec_queries *queries, uint32_t user);
uint64_t rec_queries_bytes(struct rec_queries *queries);

/* ---- a worker's scratch --------------------------------------------------------------------- */

struct rec_explain_scratch {
    uint64_t group[REC_HISTORY_SCORED_MAX]; /* item << 32 | position in the history, sorted */
    uint64_t order[REC_HISTORY_SCORED_MAX];
    uint32_t offset[REC_K_MAX + 1];
    float shares[REC_SERVE_SHARES];
    struct rec_because because[REC_BECAUSE_TOTAL_MAX];
};

/* A list that waits for its scores; its scratch is its own until it is done. */
struct rec_waiting {
    struct rec_scratch *next;
    struct rec_generation *generation; /* held */
    struct rec_recommend_query query;
    struct rec_recommend_later later;
    struct rec_recommended made; /* all of it but the items */
    uint32_t items;              /* scored: 0 .. items-1 */
};

struct rec_scratch {
    struct rec_waiting waiting;
    uint64_t *mask;
    size_t mask_words;
    float *query;
    size_t query_floats;
    float *family;
    size_t family_floats;
    struct rec_explain_scratch *explain; /* made by the first list that is explained */
    struct rec_ranked kept[REC_K_MAX];
    float scores[REC_SERVE_BLOCK_ITEMS];
    struct rec_event events[REC_HISTORY_SCORED_MAX];
};

/* ---- lists that wait (gather.c) ------------------------------------------------------------- */

struct rec_gather {
    struct rec_serve *serve; /* whose it is, as the next */
    pthread_t *thread;       /* [threads] */
    size_t threads;
    pthread_mutex_t lock; /* protects the next six */
    pthread_cond_t work;
    struct rec_scratch *first, **end; /* that wait, the oldest first */
    struct rec_scratch *spare;
    size_t made; /* scratches beside the workers' */
    bool stopping;
    atomic_uint items_min;     /* of fewer, a pass is never worth a wait */
    atomic_size_t unscored;    /* lists that are being scored or wait for it */
    atomic_uint alone;         /* lists that might have been scored at once so far */
    _Atomic uint64_t worth_ns; /* what a list's share of a pass took of late */
};

enum rec_status rec_gather_init(struct rec_gather *gather, struct rec_serve *serve, size_t threads,
                                struct rec_error *err);
/* Answers what still waits first. */
void rec_gather_finish(struct rec_gather *gather);

/* Whether a list of a model this large should wait, and may. */
bool rec_gather_wants(struct rec_gather *gather, uint32_t items);
/* Queues *scratch, whose `waiting` is filled, and puts a spare in its place. False: there is none,
 * and nothing was done. */
bool rec_gather_put(struct rec_gather *gather, struct rec_scratch **scratch);
/* Around a pass for one list that does not wait. */
uint64_t rec_gather_begin(struct rec_gather *gather, uint32_t items);
void rec_gather_end(struct rec_gather *gather, uint32_t items, uint64_t began_ns);

/* ---- the whole ------------------------------------------------------------------------------ */

struct rec_serve {
    struct rec_store *store; /* the caller's, as the next two */
    struct rec_slot *slot;
    const struct rec_weights *weights;
    struct rec_catalogue catalogue;
    struct rec_histories histories;
    struct rec_queries queries;
    struct rec_scratch **scratch; /* [workers]; changes when a list waits */
    size_t workers;
    struct rec_gather gather;
    _Atomic uint64_t interactions, recorded;
    atomic_size_t pending;  /* rows submitted and not yet applied here */
    _Atomic uint64_t lost;  /* how often an id or a catalogue entry was lost for want of memory */
    _Atomic uint64_t found; /* `lost` as of the last repair; equal: nothing is missing */
    atomic_flag repairing;
    atomic_bool complained; /* the loss was logged */
};

/* load.c: reads the whole store. */
enum rec_status rec_load_run(struct rec_serve *serve, struct rec_error *err);

/* repair.c: what an allocation that failed after a commit left behind. */
void rec_repair_note(struct rec_serve *serve, bool ids);
/* Reads ids and catalogue entries again when some were lost; else one atomic load. */
enum rec_status rec_repair_ids(struct rec_serve *serve, struct rec_error *err);
enum rec_status rec_repair_user(struct rec_serve *serve, uint32_t user, struct rec_error *err);
/* All users who are behind, as far as it goes: the live counts lack their newest events. */
void rec_repair_users(struct rec_serve *serve);

/* serve.c */
struct rec_scratch *rec_serve_scratch(void); /* NULL when out of memory */
void rec_serve_scratch_destroy(struct rec_scratch **scratch);

/* recommend.c: model, version and serial of a list. */
void rec_recommend_name(const struct rec_generation *generation, struct rec_recommended *out);

/* explain.c: fills out->because and because_offset for out->items. */
enum rec_status rec_explain_run(struct rec_scratch *scratch, const struct rec_model *model,
                                const struct rec_history *history, struct rec_recommended *out,
                                struct rec_error *err);

/* An interaction as an event. units: timestamp in Unix seconds, cut to what 32 bits hold */
struct rec_event rec_record_event(const struct rec_weights *weights, uint32_t item,
                                  const char *type, double value, int64_t timestamp);

static inline void rec_serve_bit_set(uint64_t *words, uint32_t bit) {
    words[bit / 64] |= UINT64_C(1) << bit % 64;
}
static inline void rec_serve_bit_clear(uint64_t *words, uint32_t bit) {
    words[bit / 64] &= ~(UINT64_C(1) << bit % 64);
}
static inline bool rec_serve_bit(const uint64_t *words, uint32_t bit) {
    return (words[bit / 64] >> bit % 64 & 1) != 0;
}

#endif
