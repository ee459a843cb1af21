/* queries.c: the query vectors made last, so that a user who asks again without having done
 * anything new costs no fold-in.
 *
 * A kept query is good for one user, one generation and one history version; nothing ever has to
 * be invalidated but what is erased. The table is direct-mapped over the dense user indices: where
 * all users fit, no two meet; where they do not, the newest stays.
 *
 * The length of a query is the family's business and changes with the generation. So every stripe
 * lays out its own memory, for the newest generation it has seen, and no lock spans the table. It
 * starts small and grows with the highest user index that comes by, up to its share of the cap;
 * a query longer than that share is not kept. */
#include <string.h>

#include "internal.h"

enum { SLOTS_MIN = 16 };

struct rec_query_tag {
    uint64_t serial, version;
    uint32_t user; /* index + 1; 0: empty */
};

void rec_queries_init(struct rec_queries *queries, size_t bytes_max) {
    queries->stripe_bytes_max = bytes_max / REC_SERVE_QUERY_STRIPES;
    for (size_t i = 0; i < REC_SERVE_QUERY_STRIPES; i++)
        pthread_mutex_init(&queries->stripe[i].lock, NULL);
}

void rec_queries_finish(struct rec_queries *queries) {
    for (size_t i = 0; i < REC_SERVE_QUERY_STRIPES; i++) {
        rec_alloc_free(queries->stripe[i].tag);
        rec_alloc_free(queries->stripe[i].floats);
        pthread_mutex_destroy(&queries->stripe[i].lock);
    }
}

static struct rec_query_stripe *stripe_of(struct rec_queries *queries, uint32_t user) {
    return &queries->stripe[user % REC_SERVE_QUERY_STRIPES];
}

static size_t slot_of(const struct rec_query_stripe *stripe, uint32_t user) {
    return user / REC_SERVE_QUERY_STRIPES % stripe->slots;
}

bool rec_queries_get(struct rec_queries *queries, uint32_t user, uint64_t serial, uint64_t version,
                     float *query, size_t query_floats) {
    struct rec_query_stripe *stripe = stripe_of(queries, user);
    bool found = false;

    pthread_mutex_lock(&stripe->lock);
    if (stripe->slots > 0 && stripe->query_floats == query_floats) {
        size_t slot = slot_of(stripe, user);
        const struct rec_query_tag *tag = &stripe->tag[slot];
        found = tag->user == user + 1 && tag->serial == serial && tag->version == version;
        if (found)
            memcpy(query, stripe->floats + slot * query_floats, query_floats * sizeof(*query));
    }
    pthread_mutex_unlock(&stripe->lock);
    return found;
}

/* How many slots this user's slot asks for, within the cap. */
static size_t slots_wanted(const struct rec_queries *queries, const struct rec_query_stripe *stripe,
                           uint32_t user, size_t query_floats) {
    size_t most =
        queries->stripe_bytes_max / (sizeof(struct rec_query_tag) + query_floats * sizeof(float));
    size_t want = user / REC_SERVE_QUERY_STRIPES + 1;
    if (want < SLOTS_MIN)
        want = SLOTS_MIN;
    if (stripe->query_floats == query_floats && want <= stripe->slots)
        return stripe->slots;
    want += want / 2; /* indices come rising: not one allocation for each */
    return want < most ? want : most;
}

static void keep(struct rec_query_stripe *stripe, const struct rec_query_tag *tag,
                 const float *query) {
    size_t slot = slot_of(stripe, tag->user - 1), floats = stripe->query_floats;
    stripe->tag[slot] = *tag;
    memcpy(stripe->floats + slot * floats, query, floats * sizeof(*query));
}

/* Lays the stripe out anew. What it has stays where only the number of slots changes, or a service
 * that has just started would forget most of what it makes. On failure it keeps nothing: a cache
 * may. */
static void lay_out(struct rec_query_stripe *stripe, size_t slots, size_t query_floats) {
    struct rec_query_tag *tag = stripe->tag;
    float *floats = stripe->floats;
    size_t had = stripe->query_floats == query_floats ? stripe->slots : 0;
    stripe->tag = rec_alloc_array(slots, sizeof(*stripe->tag));
    stripe->floats = rec_alloc_array(slots, query_floats * sizeof(*stripe->floats));
    stripe->slots = stripe->tag != NULL && stripe->floats != NULL ? slots : 0;
    stripe->query_floats = query_floats;
    for (size_t i = 0; i < had && stripe->slots > 0; i++)
        if (tag[i].user != 0)
            keep(stripe, &tag[i], floats + i * query_floats);
    rec_alloc_free(tag);
    rec_alloc_free(floats);
}

void rec_queries_put(struct rec_queries *queries, uint32_t user, uint64_t serial, uint64_t version,
                     const float *query, size_t query_floats) {
    struct rec_query_stripe *stripe = stripe_of(queries, user);
    if (query_floats == 0)
        return;

    pthread_mutex_lock(&stripe->lock);
    if (serial >= stripe->serial) { /* a request still on an older generation keeps nothing */
        size_t slots = slots_wanted(queries, stripe, user, query_floats);
        stripe->serial = serial;
        if (slots > 0 && (slots != stripe->slots || stripe->query_floats != query_floats))
            lay_out(stripe, slots, query_floats);
        if (slots > 0 && stripe->slots > 0)
            keep(stripe, &(struct rec_query_tag){serial, version, user + 1}, query);
    }
    pthread_mutex_unlock(&stripe->lock);
}

void rec_queries_drop(struct rec_queries *queries, uint32_t user) {
    struct rec_query_stripe *stripe = stripe_of(queries, user);
    pthread_mutex_lock(&stripe->lock);
    if (stripe->slots > 0) {
        size_t slot = slot_of(stripe, user);
        if (stripe->tag[slot].user == user + 1) {
            stripe->tag[slot] = (struct rec_query_tag){0};
            memset(stripe->floats + slot * stripe->query_floats, 0,
                   stripe->query_floats * sizeof(float));
        }
    }
    pthread_mutex_unlock(&stripe->lock);
}

uint64_t rec_queries_bytes(struct rec_queries *queries) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < REC_SERVE_QUERY_STRIPES; i++) {
        struct rec_query_stripe *stripe = &queries->stripe[i];
        pthread_mutex_lock(&stripe->lock);
        bytes +=
            stripe->slots * (sizeof(struct rec_query_tag) + stripe->query_floats * sizeof(float));
        pthread_mutex_unlock(&stripe->lock);
    }
    return bytes;
}
