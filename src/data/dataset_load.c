/* Datasets from the store and from files.
 *
 * The store hands over rows by user, time and arrival, which is the order of a dataset: one pass
 * fills it, with nothing to sort and nothing held twice. Files come in any order: their rows are
 * collected first (16 bytes each), then sorted. */
#include <math.h>
#include <string.h>

#include "dataset.h"

/* ---- from the store -------------------------------------------------------------- */

struct load {
    const struct rec_weights *weights;
    const struct rec_progress *progress;
    struct rec_dataset *dataset;
    uint64_t recorded;
    uint64_t capacity, filled;
    uint32_t open_user;     /* its row is being filled */
    uint32_t *last_dislike; /* [items] */
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
    load->capacity = counts->interactions;
    load->status = rec_dataset_create(counts->users, counts->items, counts->interactions,
                                      &load->dataset, load->err);
    if (load->status != REC_OK)
        return;
    load->last_dislike = rec_alloc_array(counts->items, sizeof(*load->last_dislike));
    if (load->last_dislike == NULL)
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

/* Every so many rows: often enough to stop within milliseconds, too seldom to cost anything. */
enum { ROWS_PER_REPORT = 1 << 14 };

static enum rec_status report(struct load *load) {
    rec_progress_report(load->progress, "snapshot", (double)load->filled / (double)load->capacity,
                        (double)NAN);
    if (rec_progress_cancelled(load->progress))
        return rec_error_set(load->err, REC_CANCELLED, "stopped on request after %llu rows",
                             (unsigned long long)load->filled);
    return REC_OK;
}

/* Ends the rows of all users before `user`. */
static void close_rows(struct load *load, uint32_t user) {
    struct rec_dataset *dataset = load->dataset;
    while (load->open_user < user) {
        uint64_t first = dataset->offset[load->open_user];
        rec_dataset_resolve(dataset->item + first, dataset->weight + first,
                            (size_t)(load->filled - first), load->last_dislike,
                            load->open_user + 1);
        dataset->offset[++load->open_user] = load->filled;
    }
}

static float weight_of(const struct load *load, const struct rec_store_row *row) {
    const char *by_value = load->type[row->type].by_value;
    if (by_value[0] != '\0')
        return rec_weights_of(load->weights, by_value, row->value);
    bool liked = row->value >= load->weights->rating_min;
    return liked ? load->type[row->type].liked : load->type[row->type].disliked;
}

static enum rec_status load_row(void *context, const struct rec_store_row *row) {
    struct load *load = context;
    if (load->status != REC_OK)
        return load->status;
    struct rec_dataset *dataset = load->dataset;
    if (row->user >= dataset->users || row->item >= dataset->items || row->type >= REC_TYPES_MAX ||
        row->user < load->open_user || load->filled == load->capacity)
        return rec_error_set(load->err, REC_CORRUPT,
                             "database: row %llu of user %u and item %u does not fit %u users, %u "
                             "items and %llu rows",
                             (unsigned long long)row->sequence, row->user, row->item,
                             dataset->users, dataset->items, (unsigned long long)load->capacity);
    close_rows(load, row->user);
    uint64_t at = load->filled++;
    dataset->item[at] = row->item;
    dataset->weight[at] = weight_of(load, row);
    dataset->time[at] = rec_dataset_time(row->timestamp);
    return load->filled % ROWS_PER_REPORT == 0 ? report(load) : REC_OK;
}

enum rec_status rec_dataset_load(struct rec_store *store, const struct rec_weights *weights,
                                 const struct rec_progress *progress, uint64_t *recorded,
                                 struct rec_dataset **out, struct rec_error *err) {
    struct load load = {.weights = weights, .progress = progress, .err = err};
    const struct rec_store_scan scan = {
        .begin = load_begin, .type = load_type, .row = load_row, .context = &load};
    enum rec_status st = rec_store_scan(store, &scan, err);
    if (st == REC_OK)
        st = load.status; /* an empty database calls nothing after begin */
    if (st == REC_OK) {
        close_rows(&load, load.dataset->users);
        *out = load.dataset;
        load.dataset = NULL;
        if (recorded != NULL)
            *recorded = load.recorded;
    }
    rec_alloc_free(load.last_dislike);
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
