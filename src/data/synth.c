/* Made-up interactions of any size that look like real ones: a few items that many have, a few
 * users who do much, tastes that a model can learn, visits in sessions.
 *
 *   items        have a popularity of (rank + 10)^-exponent: a power law whose head is flat, as no
 *                item is had by everybody. Which item has which rank is shuffled, so that an index
 *                says nothing.
 *   clusters     every item belongs to one, drawn evenly.
 *   users        have an activity of e^(activity x normal): log-normal. Everybody has one row at
 *                least; the rest is dealt in proportion. Each has 4 clusters of taste, drawn in
 *                proportion to what their items are popular, with weights 4 : 3 : 2 : 1.
 *   sessions     of 1 and more rows, 4 on average, are about one of the user's clusters.
 *   rows         come from the session's cluster with probability `taste`, else from all items; by
 *                popularity in both cases. So popularity over all users is the power law above,
 *                whatever the taste. An item that the user has is drawn again, a few times.
 *   times        a user joins at some time of the two years and stays; sessions are spread evenly
 *                over the time since, rows in one are seconds to minutes apart.
 *
 * Draws are by alias tables, so a row costs the same whatever the number of items. Each user has
 * a random stream of its own: rows are made user by user, in no memory but that of the tables, and
 * the same seed gives the same rows.
 * source: Vose, "A linear algorithm for generating random numbers with a given distribution", 1991;
 *         Mandelbrot's form of Zipf's law for the popularity. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/data.h"

enum {
    TASTES = 4, /* clusters a user likes */
    SESSION_ROWS_MEAN = 4,
    TRIES_CLUSTER = 8, /* draws before an item from elsewhere is taken */
    TRIES = 24,        /* draws before one that the user has is taken again */
    BATCH_ROWS = 4096,
    SPAN_DAYS = REC_SYNTH_DAYS,
    JOIN_DAYS = SPAN_DAYS - 30, /* the last ones to join have a month */
    DAY_S = 86400,
    RANK_SHIFT = 10,
    STEP_MIN_S = 5, /* from row to row of a session, where there is time for it */
    STEP_RANGE_S = 120,
    PACE_MIN_S = 8, /* a user's rows have a second each; nearer to that they would not all fit */
};

/* Random streams below those of users. */
enum { STREAM_ITEMS, STREAM_ACTIVITY, STREAM_USERS };

/* A place draws itself with probability share / 2^32, else its other. */
struct alias {
    uint32_t share, other;
};

struct synth {
    const struct rec_synth_options *options;
    uint32_t clusters;
    double *popularity;      /* [items] of the item, later scratch */
    struct alias *all;       /* [items] over items */
    struct alias *within;    /* [items] one table a cluster, over places of `member` */
    struct alias *cluster;   /* [clusters] */
    uint32_t *member;        /* [items] items by cluster */
    uint32_t *member_offset; /* [clusters + 1] */
    double *mass;            /* [clusters] */
    uint32_t *scratch;       /* [items] */

    uint32_t *had; /* [had_capacity] the present user's items + 1, open addressing */
    size_t had_mask, had_capacity;

    rec_synth_fn fn;
    void *context;
    size_t count;
    struct rec_synth_row batch[BATCH_ROWS];
};

/* ---- alias tables ------------------------------------------------------------------ */

/* weight [n] >= 0, not all 0; it is used up. scratch [n] */
static void alias_make(double *weight, uint32_t n, struct alias *table, uint32_t *scratch) {
    uint32_t small = 0, large = n;
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++)
        sum += weight[i];
    for (uint32_t i = 0; i < n; i++) {
        weight[i] *= (double)n / sum;
        scratch[weight[i] < 1.0 ? small++ : --large] = i;
    }
    /* Each small place is filled up by the large one on top, which may become small itself. */
    while (small > 0 && large < n) {
        uint32_t to = scratch[--small], from = scratch[large];
        double share = weight[to] * 0x1p32;
        table[to] = (struct alias){share < 0x1p32 ? (uint32_t)share : UINT32_MAX, from};
        weight[from] -= 1.0 - weight[to];
        if (weight[from] < 1.0) {
            large++;
            scratch[small++] = from;
        }
    }
    while (small > 0) {
        uint32_t i = scratch[--small];
        table[i] = (struct alias){UINT32_MAX, i};
    }
    while (large < n) {
        uint32_t i = scratch[large++];
        table[i] = (struct alias){UINT32_MAX, i};
    }
}

static uint32_t alias_draw(const struct alias *table, uint32_t n, struct rec_rng *rng) {
    uint64_t random = rec_rng_u64(rng);
    uint32_t place = (uint32_t)((random >> 32) * n >> 32);
    return (uint32_t)random <= table[place].share ? place : table[place].other;
}

/* ---- items --------------------------------------------------------------------------- */

/* Shuffled ranks in scratch, then the popularity of each item. */
static void rank_items(struct synth *s, struct rec_rng *rng) {
    uint32_t items = s->options->items;
    for (uint32_t i = 0; i < items; i++) {
        uint32_t j = rec_rng_below(rng, i + 1);
        s->scratch[i] = s->scratch[j];
        s->scratch[j] = i;
    }
    for (uint32_t i = 0; i < items; i++)
        s->popularity[i] = pow((double)s->scratch[i] + RANK_SHIFT + 1, -s->options->exponent);
}

/* Items by cluster. Clusters that got no item are left out. */
static void cluster_items(struct synth *s, struct rec_rng *rng) {
    uint32_t items = s->options->items, used = 0, at = 0;
    for (uint32_t i = 0; i < items; i++) {
        s->scratch[i] = rec_rng_below(rng, s->clusters);
        s->member_offset[s->scratch[i] + 1]++;
    }
    for (uint32_t c = 0; c < s->clusters; c++)
        s->member_offset[c + 1] += s->member_offset[c];
    for (uint32_t i = 0; i < items; i++)
        s->member[s->member_offset[s->scratch[i]]++] = i;
    for (uint32_t c = 0; c < s->clusters; c++) { /* each has moved to its end */
        uint32_t end = s->member_offset[c];
        if (end > at) {
            s->member_offset[used++] = at;
            at = end;
        }
    }
    s->member_offset[used] = items;
    s->clusters = used;
}

static void make_tables(struct synth *s) {
    struct rec_rng rng;
    uint32_t items = s->options->items;
    rec_rng_init(&rng, s->options->seed, STREAM_ITEMS);
    rank_items(s, &rng);
    cluster_items(s, &rng);
    double *weight = s->popularity + items; /* the second half: alias_make uses it up */
    for (uint32_t c = 0; c < s->clusters; c++) {
        uint32_t begin = s->member_offset[c], n = s->member_offset[c + 1] - begin;
        s->mass[c] = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            weight[i] = s->popularity[s->member[begin + i]];
            s->mass[c] += weight[i];
        }
        alias_make(weight, n, s->within + begin, s->scratch);
    }
    alias_make(s->mass, s->clusters, s->cluster, s->scratch);
    alias_make(s->popularity, items, s->all, s->scratch);
}

/* ---- one user --------------------------------------------------------------------------- */

/* Makes room for `rows` items, empty. */
static enum rec_status had_begin(struct synth *s, uint64_t rows, struct rec_error *err) {
    size_t slots = 16;
    while (slots < 2 * rows && slots < 2 * (size_t)s->options->items)
        slots *= 2;
    enum rec_status st = rec_alloc_grow(&s->had, &s->had_capacity, slots, sizeof(*s->had), err);
    if (st != REC_OK)
        return st;
    s->had_mask = slots - 1;
    memset(s->had, 0, slots * sizeof(*s->had));
    return REC_OK;
}

/* True when the user has it; else the user has it from now on. The table is never full: it has two
 * slots for each row, or for each item. */
static bool had_before(struct synth *s, uint32_t item) {
    size_t at = (item * UINT64_C(0x9e3779b97f4a7c15) >> 32) & s->had_mask;
    while (s->had[at] != 0) {
        if (s->had[at] == item + 1)
            return true;
        at = (at + 1) & s->had_mask;
    }
    s->had[at] = item + 1;
    return false;
}

static uint32_t draw_item(struct synth *s, uint32_t cluster, struct rec_rng *rng) {
    uint32_t begin = s->member_offset[cluster], n = s->member_offset[cluster + 1] - begin;
    bool of_cluster = (double)rec_rng_uniform(rng) < s->options->taste;
    for (int try = 1;; try++) {
        uint32_t item = of_cluster && try <= TRIES_CLUSTER
                            ? s->member[begin + alias_draw(s->within + begin, n, rng)]
                            : alias_draw(s->all, s->options->items, rng);
        if (!had_before(s, item) || try == TRIES)
            return item;
    }
}

static enum rec_status emit(struct synth *s, struct rec_synth_row row, struct rec_error *err) {
    s->batch[s->count++] = row;
    if (s->count < BATCH_ROWS)
        return REC_OK;
    s->count = 0;
    return s->fn(s->context, s->batch, BATCH_ROWS, err);
}

/* The taste of a session: weights 4, 3, 2 and 1 of 10. */
static uint32_t pick_taste(struct rec_rng *rng) {
    static const uint32_t taste[10] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 3};
    return taste[rec_rng_below(rng, 10)];
}

/* 1 and more, geometric. */
static uint64_t session_rows(struct rec_rng *rng, uint64_t left) {
    uint64_t rows = 1;
    while (rows < left && rec_rng_below(rng, SESSION_ROWS_MEAN) != 0)
        rows++;
    return rows;
}

static enum rec_status make_user(struct synth *s, uint32_t user, uint64_t rows,
                                 struct rec_error *err) {
    struct rec_rng rng;
    uint32_t taste[TASTES], last = 0;
    enum rec_status st = had_begin(s, rows, err);
    rec_rng_init(&rng, s->options->seed, (uint64_t)STREAM_USERS + user);
    for (int i = 0; i < TASTES; i++)
        taste[i] = alias_draw(s->cluster, s->clusters, &rng);
    double join_s = (double)rec_rng_uniform(&rng) * JOIN_DAYS * DAY_S;
    /* The last session may take until the end of its day; sessions take half of the time at most,
     * or they would run into each other, and on. */
    double pace_s = ((double)(SPAN_DAYS - 1) * DAY_S - join_s) / (double)rows;
    double hurry = fmin(1.0, pace_s / 2.0 / (STEP_MIN_S + STEP_RANGE_S / 2.0));
    if (st == REC_OK && pace_s < PACE_MIN_S)
        return rec_error_set(err, REC_BAD_INPUT,
                             "activity %g gives one user %llu of the rows, more than they can do "
                             "in %.0f days; lower activity, or ask for more users",
                             s->options->activity, (unsigned long long)rows,
                             (double)SPAN_DAYS - join_s / DAY_S);

    for (uint64_t done = 0; st == REC_OK && done < rows;) {
        uint64_t session = session_rows(&rng, rows - done);
        uint32_t cluster = taste[pick_taste(&rng)];
        double begin_s =
            join_s + pace_s * ((double)done + (double)session * (double)rec_rng_uniform(&rng));
        uint32_t time = REC_SYNTH_BEGIN_S + (uint32_t)begin_s;
        for (uint64_t i = 0; st == REC_OK && i < session; i++) {
            last = time > last ? time : last + 1; /* sessions of the busiest may meet */
            st = emit(s, (struct rec_synth_row){user, draw_item(s, cluster, &rng), last}, err);
            time = last + (uint32_t)(hurry * (STEP_MIN_S + rec_rng_below(&rng, STEP_RANGE_S)));
        }
        done += session;
    }
    return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

static double activity_of(const struct synth *s, struct rec_rng *rng) {
    return exp(s->options->activity * (double)rec_rng_normal(rng));
}

/* Rows are dealt by the running sum of activities, so that they add up exactly: a user's are those
 * between two places of a scale that all users share. */
static enum rec_status make_users(struct synth *s, struct rec_error *err) {
    const struct rec_synth_options *o = s->options;
    struct rec_rng rng;
    double total = 0.0, sum = 0.0, spare = (double)(o->interactions - o->users);
    uint64_t dealt = 0;
    enum rec_status st = REC_OK;
    rec_rng_init(&rng, o->seed, STREAM_ACTIVITY);
    for (uint32_t u = 0; u < o->users; u++)
        total += activity_of(s, &rng);
    rec_rng_init(&rng, o->seed, STREAM_ACTIVITY);
    for (uint32_t u = 0; st == REC_OK && u < o->users; u++) {
        sum += activity_of(s, &rng);
        uint64_t until = (uint64_t)(spare * (sum / total));
        if (u + 1 == o->users || until > o->interactions - o->users)
            until = o->interactions - o->users;
        st = make_user(s, u, until - dealt + 1, err);
        dealt = until;
    }
    if (st == REC_OK && s->count > 0)
        st = s->fn(s->context, s->batch, s->count, err);
    return st;
}

static enum rec_status check(const struct rec_synth_options *o, struct rec_error *err) {
    if (o->users == 0 || o->users > REC_USERS_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "users: %u is not within 1 and %d", o->users,
                             REC_USERS_MAX);
    if (o->items == 0 || o->items > REC_ITEMS_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "items: %u is not within 1 and %d", o->items,
                             REC_ITEMS_MAX);
    if (o->interactions < o->users)
        return rec_error_set(err, REC_BAD_INPUT,
                             "interactions: %llu are fewer than the %u users, who have one each",
                             (unsigned long long)o->interactions, o->users);
    if (o->clusters > o->items)
        return rec_error_set(err, REC_BAD_INPUT, "clusters: %u are more than the %u items",
                             o->clusters, o->items);
    if (!(o->exponent >= 0.0 && o->exponent <= 4.0) || !(o->activity >= 0.0 && o->activity <= 4.0))
        return rec_error_set(err, REC_BAD_INPUT, "exponent %g or activity %g is not within 0 and 4",
                             o->exponent, o->activity);
    if (!(o->taste >= 0.0 && o->taste <= 1.0))
        return rec_error_set(err, REC_BAD_INPUT, "taste: %g is not within 0 and 1", o->taste);
    return REC_OK;
}

static enum rec_status allocate(struct synth *s, struct rec_error *err) {
    size_t items = s->options->items, clusters = s->clusters;
    s->popularity = rec_alloc_array(2 * items, sizeof(*s->popularity));
    s->all = rec_alloc_array(items, sizeof(*s->all));
    s->within = rec_alloc_array(items, sizeof(*s->within));
    s->cluster = rec_alloc_array(clusters, sizeof(*s->cluster));
    s->member = rec_alloc_array(items, sizeof(*s->member));
    s->member_offset = rec_alloc_array(clusters + 1, sizeof(*s->member_offset));
    s->mass = rec_alloc_array(clusters, sizeof(*s->mass));
    s->scratch = rec_alloc_array(items, sizeof(*s->scratch));
    if (s->popularity == NULL || s->all == NULL || s->within == NULL || s->cluster == NULL ||
        s->member == NULL || s->member_offset == NULL || s->mass == NULL || s->scratch == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to make up rows of %zu items", items);
    return REC_OK;
}

static void finish(struct synth *s) {
    rec_alloc_free(s->popularity);
    rec_alloc_free(s->all);
    rec_alloc_free(s->within);
    rec_alloc_free(s->cluster);
    rec_alloc_free(s->member);
    rec_alloc_free(s->member_offset);
    rec_alloc_free(s->mass);
    rec_alloc_free(s->scratch);
    rec_alloc_free(s->had);
    rec_alloc_free(s);
}

/* The square root of the items: sizes and number of clusters both grow with the catalogue. */
static uint32_t clusters_of(const struct rec_synth_options *options) {
    if (options->clusters > 0)
        return options->clusters;
    uint32_t clusters = (uint32_t)sqrt((double)options->items);
    return clusters < 1 ? 1 : clusters;
}

enum rec_status rec_synth_run(const struct rec_synth_options *options, rec_synth_fn fn,
                              void *context, struct rec_error *err) {
    enum rec_status st = check(options, err);
    if (st != REC_OK)
        return st;
    struct synth *s = rec_alloc_array(1, sizeof(*s));
    if (s == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to make up rows");
    s->options = options;
    s->clusters = clusters_of(options);
    s->fn = fn;
    s->context = context;
    st = allocate(s, err);
    if (st == REC_OK) {
        make_tables(s);
        st = make_users(s, err);
    }
    finish(s);
    return st;
}
