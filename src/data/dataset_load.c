/* Datasets from the store and from files.
 *
 * The store hands over rows by user, time and arrival, which is the order of a dataset: one pass
 * fills it, with nothing to sort and nothing held twice. It does so from both ends at once, on two
 * threads: each fills its end of the arrays, and the gap between them is closed. Files come in any
 * order: their rows are collected first (16 bytes each), then sorted. */
#include <math.h>
#include <string.h>

#include "dataset.h"

/* ---- from the store -------------------------------------------------------------- */

/* One of the two ends; each has its thread. */
struct end {
    uint64_t filled, taken; /* events; those that there is room for at this end */
    uint32_t open_user;     /* its row is being filled */
    uint32_t *last_dislike; /* [items] stamps */
    struct rec_error err;
};

/* The ends take the arrays in pieces, and what both have not used up of their last piece is on top
 * of the rows there are. */
enum { PIECE_EVENTS = 4096 };

struct load {
    const struct rec_weights *weights;
    const struct rec_progress *progress;
    struct rec_dataset *dataset;
    uint64_t recorded;
    uint64_t interactions, capacity; /* rows there are; events there is room for */
    _Atomic uint64_t taken;          /* of the capacity, by both ends */
    struct end front, back;
    /* What a type weighs, looked up once a type, not once a row: by its name where the weight is
     * the value, else at both ends of the scale of values, because only a rating has two ends. */
    struct {
        float liked, disliked;
        char by_value[REC_TYPE_BYTES_MAX + 1]; /* the name, or "" */
    } type[REC_TYPES_MAX];
    enum rec_status status; /* of begin, which cannot return it */
    struct rec_error *err;
};

static void load_begin(void *context, const struct rec_store_counts *counts) {
    struct load *load = context;
    load->recorded = counts->recorded;
    load->interactions = counts->interactions;
    load->capacity = counts->interactions + UINT64_C(2) * PIECE_EVENTS;
    load->status =
        rec_dataset_create(counts->users, counts->items, load->capacity, &load->dataset, load->err);
    if (load->status != REC_OK)
        return;
    load->back.open_user = counts->users;
    load->front.last_dislike = rec_alloc_array(counts->items, sizeof(uint32_t));
    load->back.last_dislike = rec_alloc_array(counts->items, sizeof(uint32_t));
    if (load->front.last_dislike == NULL || load->back.last_dislike == NULL)
        load->status = rec_error_set(load->err, REC_NO_MEMORY,
                                     "no memory for a dataset of %u items", counts->items);
}

static enum rec_status load_type(void *context, uint32_t type, const char *name) {
    struct load *load = context;
    if (load->status != REC_OK)
        return load->status;
    if (type >= REC_TYPES_MAX)
        return rec_error_set(load->err, REC_CORRUPT, "database: type number %u of at most %d", type,
                             REC_TYPES_MAX);
    if (rec_weights_by_value(load->weights, name))
        memcpy(load->type[type].by_value, name, strlen(name) + 1);
    load->type[type].liked = rec_weights_of(load->weights, name, (double)INFINITY);
    load->type[type].disliked = rec_weights_of(load->weights, name, (double)-INFINITY);
    return REC_OK;
}

/* At each piece: often enough to stop within milliseconds, too seldom to cost anything. */
static enum rec_status report(struct load *load) {
    double fraction = (double)atomic_load(&load->taken) / (double)load->capacity;
    rec_progress_report(load->progress, "snapshot", fraction < 1.0 ? fraction : 1.0, (double)NAN);
    if (rec_progress_cancelled(load->progress))
        return rec_error_set(load->err, REC_CANCELLED, "stopped on request after %llu rows",
                             (unsigned long long)atomic_load(&load->taken));
    return REC_OK;
}

/* Ends the front's rows of all users before `user`. */
static void close_rows(struct load *load, uint32_t user) {
    struct rec_dataset *dataset = load->dataset;
    struct end *end = &load->front;
    while (end->open_user < user) {
        uint64_t first = dataset->offset[end->open_user];
        rec_dataset_resolve(dataset->item + first, dataset->weight + first,
                            (size_t)(end->filled - first), end->last_dislike, end->open_user + 1);
        dataset->offset[++end->open_user] = end->filled;
    }
}

/* The back's events, filled so far, are those of its open user and of all after it. */
static void open_rows(struct load *load, uint32_t user) {
    struct end *end = &load->back;
    for (; end->open_user > user; end->open_user--)
        load->dataset->offset[end->open_user] = load->capacity - end->filled;
}

static float weight_of(const struct load *load, const struct rec_store_row *row) {
    const char *by_value = load->type[row->type].by_value;
    if (by_value[0] != '\0')
        return rec_weights_of(load->weights, by_value, row->value);
    bool liked = row->value >= load->weights->rating_min;
    return liked ? load->type[row->type].liked : load->type[row->type].disliked;
}

/* Room for the row; the ends cannot come to share any. */
static enum rec_status take(struct load *load, struct end *end, const struct rec_store_row *row) {
    const struct rec_dataset *dataset = load->dataset;
    bool fits =
        row->user < dataset->users && row->item < dataset->items && row->type < REC_TYPES_MAX;
    if (fits && end->filled == end->taken) {
        end->taken += PIECE_EVENTS;
        fits = atomic_fetch_add(&load->taken, PIECE_EVENTS) + PIECE_EVENTS <= load->capacity;
    }
    if (fits)
        return REC_OK;
    return rec_error_set(&end->err, REC_CORRUPT,
                         "database: row %llu of user %u and item %u does not fit %u users, %u "
                         "items and %llu rows",
                         (unsigned long long)row->sequence, row->user, row->item, dataset->users,
                         dataset->items, (unsigned long long)load->interactions);
}

static void put(const struct load *load, uint64_t at, const struct rec_store_row *row) {
    load->dataset->item[at] = row->item;
    load->dataset->weight[at] = weight_of(load, row);
    load->dataset->time[at] = rec_dataset_time(row->timestamp);
}

static enum rec_status load_row(void *context, const struct rec_store_row *row) {
    struct load *load = context;
    struct end *end = &load->front;
    if (load->status != REC_OK)
        return load->status;
    bool piece = end->filled == end->taken;
    enum rec_status st = take(load, end, row);
    if (st != REC_OK)
        return st;
    close_rows(load, row->user);
    put(load, end->filled++, row);
    return piece ? report(load) : REC_OK;
}

/* The newest row of a user comes first, so what the user came to dislike is known when its earlier
 * events come. */
static enum rec_status load_row_back(void *context, const struct rec_store_row *row) {
    struct load *load = context;
    struct end *end = &load->back;
    if (load->status != REC_OK)
        return load->status;
    enum rec_status st = take(load, end, row);
    if (st != REC_OK)
        return st;
    open_rows(load, row->user);
    uint64_t at = load->capacity - ++end->filled;
    put(load, at, row);
    rec_dataset_resolve(&load->dataset->item[at], &load->dataset->weight[at], 1, end->last_dislike,
                        row->user + 1);
    return REC_OK;
}

/* Closes the gap between the two ends. Users before the back's open one are the front's. */
static void join_ends(struct load *load) {
    struct rec_dataset *dataset = load->dataset;
    uint64_t front = load->front.filled, back = load->back.filled, from = load->capacity - back;
    close_rows(load, load->back.open_user);
    memmove(dataset->item + front, dataset->item + from, back * sizeof(*dataset->item));
    memmove(dataset->weight + front, dataset->weight + from, back * sizeof(*dataset->weight));
    memmove(dataset->time + front, dataset->time + from, back * sizeof(*dataset->time));
    for (uint32_t u = load->back.open_user + 1; u <= dataset->users; u++)
        dataset->offset[u] -= from - front;
}

enum rec_status rec_dataset_load(struct rec_store *store, const struct rec_weights *weights,
                                 const struct rec_progress *progress, uint64_t *recorded,
                                 struct rec_dataset **out, struct rec_error *err) {
    struct load load = {.weights = weights, .progress = progress, .err = err};
    const struct rec_store_scan scan = {.begin = load_begin,
                                        .type = load_type,
                                        .row = load_row,
                                        .row_back = load_row_back,
                                        .context = &load};
    enum rec_status st = rec_store_scan(store, &scan, err);
    if (st == REC_OK)
        st = load.status; /* an empty database calls nothing after begin */
    if (st == REC_OK) {
        join_ends(&load);
        *out = load.dataset;
        load.dataset = NULL;
        if (recorded != NULL)
            *recorded = load.recorded;
    }
    if (st != REC_OK && load.front.err.status != REC_OK)
        (void)rec_error_set(err, st, "%s", load.front.err.text);
    if (st != REC_OK && load.back.err.status != REC_OK)
        (void)rec_error_set(err, st, "%s", load.back.err.text);
    rec_alloc_free(load.front.last_dislike);
    rec_alloc_free(load.back.last_dislike);
    rec_dataset_destroy(&load.dataset);
    return st;
}

/* ---- from files ------------------------------------------------------------------- */

struct collect {
    const struct rec_weights *weights;
    struct rec_idmap *users, *items;
    struct rec_dataset_row *rows;
    size_t count, capacity;
    const struct rec_read_options *options; /* the caller's, for bad rows and progress */
};

static enum rec_status collect_rows(void *context, const struct rec_interaction *rows, size_t count,
                                    struct rec_error *err) {
    struct collect *collect = context;
    enum rec_status st = rec_alloc_grow(&collect->rows, &collect->capacity, collect->count + count,
                                        sizeof(*collect->rows), err);
    const double *value_min = collect->options->value_min;
    for (size_t i = 0; st == REC_OK && i < count; i++) {
        if (value_min != NULL && rows[i].value < *value_min)
            continue;
        struct rec_dataset_row *to = &collect->rows[collect->count];
        st = rec_idmap_intern(collect->users, rows[i].user_id, strlen(rows[i].user_id), &to->user,
                              err);
        if (st == REC_OK)
            st = rec_idmap_intern(collect->items, rows[i].item_id, strlen(rows[i].item_id),
                                  &to->item, err);
        if (st != REC_OK)
            break;
        to->weight = rec_weights_of(collect->weights, rows[i].type, rows[i].value);
        to->time = rec_dataset_time(rows[i].timestamp);
        collect->count++;
    }
    return st;
}

static void collect_bad(void *context, const struct rec_bad_row *bad) {
    const struct rec_read_options *options = ((struct collect *)context)->options;
    if (options->bad != NULL)
        options->bad(options->context, bad);
}

static void collect_progress(void *context, uint64_t rows, uint64_t bytes, uint64_t bytes_total) {
    const struct rec_read_options *options = ((struct collect *)context)->options;
    if (options->progress != NULL)
        options->progress(options->context, rows, bytes, bytes_total);
}

enum rec_status rec_dataset_read(const struct rec_read_options *options,
                                 const struct rec_weights *weights, struct rec_idmap *users,
                                 struct rec_idmap *items, struct rec_dataset **out,
                                 struct rec_error *err) {
    struct rec_idmap *own_users = users == NULL ? rec_idmap_create() : NULL;
    struct rec_idmap *own_items = items == NULL ? rec_idmap_create() : NULL;
    struct collect collect = {.weights = weights,
                              .users = users == NULL ? own_users : users,
                              .items = items == NULL ? own_items : items,
                              .options = options};
    enum rec_status st;
    if (collect.users == NULL || collect.items == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory for the id maps of a dataset");
        goto out;
    }
    struct rec_read_options read = *options;
    read.rows = collect_rows;
    read.items = NULL; /* an item that nobody touched is no part of a dataset */
    read.bad = collect_bad;
    read.progress = collect_progress;
    read.context = &collect;
    st = rec_read(&read, err);
    if (st == REC_OK)
        st = rec_dataset_from_rows(collect.rows, collect.count, rec_idmap_count(collect.users),
                                   rec_idmap_count(collect.items), out, err);

out:
    rec_alloc_free(collect.rows);
    rec_idmap_destroy(&own_items);
    rec_idmap_destroy(&own_users);
    return st;
}
