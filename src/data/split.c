/* Splits: what is fitted, what is known of each tested user, what is held out.
 *
 * Each event gets a label once (train, validation, test) and everything else is counted from the
 * labels, so no event can be in two parts.
 *
 * What is relevant: the held-out items that were liked and that could come up in a list. An item
 * the user has in train is in `seen` and never recommended, so it is not asked for either. With
 * GLOBAL_TIME items that nobody has in train are not asked for, as no model can know them.
 *
 * Weights come from the whole history: where a held-out dislike has cleared an earlier like of the
 * same item, the train part has it cleared too. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"

enum part { PART_TRAIN, PART_VALIDATION, PART_TEST };

/* ---- labels ------------------------------------------------------------------------- */

/* The last events of each user, counted from the end. */
static void label_leave_last(const struct rec_dataset *dataset,
                             const struct rec_split_options *options, uint8_t *part) {
    uint64_t held_out = (uint64_t)options->test_last + options->validation_last;
    uint64_t events_min = options->user_events_min;
    if (events_min < held_out + 1) /* something must remain to tell the user by */
        events_min = held_out + 1;

    for (uint32_t u = 0; u < dataset->users; u++) {
        uint64_t first = dataset->offset[u], end = dataset->offset[u + 1], counted = 0;
        for (uint64_t e = first; e < end; e++)
            counted += !options->positives_only || dataset->weight[e] > 0.0f;
        if (counted < events_min)
            continue;
        uint64_t from_end = 0;
        for (uint64_t e = end; e-- > first && from_end < held_out;) {
            if (options->positives_only && !(dataset->weight[e] > 0.0f))
                continue;
            part[e] = from_end < options->test_last ? PART_TEST : PART_VALIDATION;
            from_end++;
        }
    }
}

/* The time at this rank among all times, by two counting passes over the halves of its bits: no
 * copy and no sort of the times. histogram [65536] */
static uint32_t time_at_rank(const uint32_t *time, uint64_t count, uint64_t rank,
                             uint64_t *histogram) {
    memset(histogram, 0, 65536 * sizeof(*histogram));
    for (uint64_t e = 0; e < count; e++)
        histogram[time[e] >> 16]++;
    uint32_t high = 0;
    while (rank >= histogram[high])
        rank -= histogram[high++];

    memset(histogram, 0, 65536 * sizeof(*histogram));
    for (uint64_t e = 0; e < count; e++)
        if (time[e] >> 16 == high)
            histogram[time[e] & 0xffff]++;
    uint32_t low = 0;
    while (rank >= histogram[low])
        rank -= histogram[low++];
    return high << 16 | low;
}

enum rec_status rec_split_quantile(const struct rec_dataset *dataset, double quantile,
                                   uint32_t *out, struct rec_error *err) {
    uint64_t count = dataset->offset[dataset->users];
    *out = 0;
    if (count == 0)
        return REC_OK;
    uint64_t *histogram = rec_alloc_array(65536, sizeof(*histogram));
    if (histogram == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to split a dataset by time");
    /* The nearest rank, as numpy's quantile with method "nearest": halves go to the even one. */
    uint64_t rank = (uint64_t)nearbyint((double)(count - 1) * quantile);
    *out = time_at_rank(dataset->time, count, rank, histogram);
    rec_alloc_free(histogram);
    return REC_OK;
}

static enum rec_status label_global_time(const struct rec_dataset *dataset,
                                         const struct rec_split_options *options, uint8_t *part,
                                         struct rec_error *err) {
    uint64_t count = dataset->offset[dataset->users];
    if (options->cut != 0) {
        for (uint64_t e = 0; e < count; e++)
            part[e] = (int64_t)dataset->time[e] < options->cut ? PART_TRAIN : PART_TEST;
        return REC_OK;
    }
    uint32_t cut;
    enum rec_status st = rec_split_quantile(dataset, options->quantile, &cut, err);
    for (uint64_t e = 0; st == REC_OK && e < count; e++)
        part[e] = dataset->time[e] <= cut ? PART_TRAIN : PART_TEST;
    return st;
}

/* ---- parts --------------------------------------------------------------------------- */

/* The events of the parts up to `last`, train being the first. */
static enum rec_status make_dataset(const struct rec_dataset *dataset, const uint8_t *part,
                                    enum part last, struct rec_dataset **out,
                                    struct rec_error *err) {
    uint64_t count = 0, all = dataset->offset[dataset->users];
    for (uint64_t e = 0; e < all; e++)
        count += part[e] <= last;
    struct rec_dataset *train = NULL;
    enum rec_status st = rec_dataset_create(dataset->users, dataset->items, count, &train, err);
    if (st != REC_OK)
        return st;

    uint64_t at = 0;
    for (uint32_t u = 0; u < dataset->users; u++) {
        for (uint64_t e = dataset->offset[u]; e < dataset->offset[u + 1]; e++) {
            if (part[e] > last)
                continue;
            train->item[at] = dataset->item[e];
            train->weight[at] = dataset->weight[e];
            train->time[at] = dataset->time[e];
            at++;
        }
        train->offset[u + 1] = at;
    }
    *out = train;
    return REC_OK;
}

/* Which events a sparse part takes, and the room to collect one user's items. */
struct select {
    const struct rec_dataset *dataset;
    const struct rec_split_options *options;
    const uint8_t *part;
    enum part known;     /* the last part that is known of a user when this one is asked */
    uint32_t *mark;      /* [items] user + 1: known of this user, or collected */
    bool *trained;       /* [items] in anybody's train part */
    uint32_t *collected; /* [items] */
    uint64_t rows;       /* events collected, repeats counted */
};

/* Marks the items that the user knows; returns how many events of train the user has. */
static uint64_t mark_known(const struct select *select, uint32_t user) {
    const struct rec_dataset *dataset = select->dataset;
    uint64_t count = 0;
    for (uint64_t e = dataset->offset[user]; e < dataset->offset[user + 1]; e++) {
        if (select->part[e] <= select->known && !select->options->nothing_seen)
            select->mark[dataset->item[e]] = user + 1;
        count += select->part[e] == PART_TRAIN;
    }
    return count;
}

/* The user's distinct items that are masked as seen, unsorted, in select->collected. */
static size_t collect_seen(struct select *select, uint32_t user) {
    const struct rec_dataset *dataset = select->dataset;
    size_t count = 0;
    (void)mark_known(select, user);
    for (uint64_t e = dataset->offset[user]; e < dataset->offset[user + 1]; e++) {
        uint32_t *mark = &select->mark[dataset->item[e]];
        if (select->part[e] > select->known || *mark != user + 1)
            continue;
        select->collected[count++] = dataset->item[e];
        *mark = 0; /* once */
    }
    return count;
}

/* The same for the items of a held-out part that are relevant. */
static size_t collect_relevant(struct select *select, enum part which, uint32_t user) {
    const struct rec_dataset *dataset = select->dataset;
    const struct rec_split_options *options = select->options;
    bool global = options->kind == REC_SPLIT_GLOBAL_TIME;
    uint64_t in_train = mark_known(select, user), rows = 0;
    size_t count = 0;
    bool tested = options->test_users_max == 0 || user < options->test_users_max;
    if (!tested || (global && (in_train == 0 || in_train < options->user_events_min)))
        return 0;
    for (uint64_t e = dataset->offset[user]; e < dataset->offset[user + 1]; e++) {
        uint32_t item = dataset->item[e];
        if (select->part[e] != which || !(dataset->weight[e] > 0.0f) ||
            (global && !select->trained[item]))
            continue;
        rows++;
        if (select->mark[item] == user + 1)
            continue;
        select->mark[item] = user + 1; /* once */
        select->collected[count++] = item;
    }
    if (global && rows < options->test_events_min)
        return 0;
    select->rows += rows;
    return count;
}

static size_t collect_user(struct select *select, enum part which, uint32_t user) {
    return which == PART_TRAIN ? collect_seen(select, user) : collect_relevant(select, which, user);
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* which PART_TRAIN: what is masked as seen, else what is relevant. */
static enum rec_status make_part(struct select *select, enum part which, struct rec_csr **out,
                                 struct rec_error *err) {
    const struct rec_dataset *dataset = select->dataset;
    struct rec_csr *csr = NULL;
    uint64_t entries = 0;
    memset(select->mark, 0, dataset->items * sizeof(*select->mark));
    for (uint32_t u = 0; u < dataset->users; u++)
        entries += collect_user(select, which, u);
    select->rows = 0;
    enum rec_status st = rec_csr_create(dataset->users, dataset->items, entries, &csr, err);
    if (st != REC_OK)
        return st;

    uint64_t at = 0;
    memset(select->mark, 0, dataset->items * sizeof(*select->mark));
    for (uint32_t u = 0; u < dataset->users; u++) {
        size_t count = collect_user(select, which, u);
        qsort(select->collected, count, sizeof(*select->collected), by_number);
        for (size_t i = 0; i < count; i++) {
            csr->column[at + i] = select->collected[i];
            csr->value[at + i] = 1.0f;
        }
        at += count;
        csr->offset[u + 1] = at;
    }
    *out = csr;
    return REC_OK;
}

static enum rec_status make_parts(const struct rec_dataset *dataset,
                                  const struct rec_split_options *options, const uint8_t *part,
                                  struct rec_split *split, struct rec_error *err) {
    struct select select = {.dataset = dataset, .options = options, .part = part};
    enum rec_status st = REC_OK;
    select.mark = rec_alloc_array(dataset->items, sizeof(*select.mark));
    select.trained = rec_alloc_array(dataset->items, sizeof(*select.trained));
    select.collected = rec_alloc_array(dataset->items, sizeof(*select.collected));
    if (select.mark == NULL || select.trained == NULL || select.collected == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory to split a dataset of %u items",
                           dataset->items);
        goto out;
    }
    for (uint64_t e = 0; e < dataset->offset[dataset->users]; e++)
        if (part[e] == PART_TRAIN)
            select.trained[dataset->item[e]] = true;

    st = make_dataset(dataset, part, PART_TRAIN, &split->train, err);
    if (st != REC_OK)
        goto out;
    split->history = split->train;
    if (options->kind == REC_SPLIT_LEAVE_LAST && options->validation_last > 0)
        st = make_part(&select, PART_VALIDATION, &split->validation, err);
    if (st == REC_OK && options->validation_in_history) {
        select.known = PART_VALIDATION;
        split->history = NULL;
        st = make_dataset(dataset, part, PART_VALIDATION, &split->history, err);
    }
    if (st == REC_OK)
        st = make_part(&select, PART_TRAIN, &split->seen, err);
    if (st == REC_OK)
        st = make_part(&select, PART_TEST, &split->test, err);
    split->test_rows = select.rows;

out:
    rec_alloc_free(select.collected);
    rec_alloc_free(select.trained);
    rec_alloc_free(select.mark);
    return st;
}

enum rec_status rec_split_make(const struct rec_dataset *dataset,
                               const struct rec_split_options *options, struct rec_split **out,
                               struct rec_error *err) {
    bool global = options->kind == REC_SPLIT_GLOBAL_TIME;
    if (global && options->cut == 0 && !(options->quantile > 0.0 && options->quantile < 1.0))
        return rec_error_set(err, REC_BAD_INPUT, "split: the quantile %g is not between 0 and 1",
                             options->quantile);
    if (!global && options->test_last == 0)
        return rec_error_set(err, REC_BAD_INPUT, "split: nothing is left out for the test");

    struct rec_split *split = rec_alloc_array(1, sizeof(*split));
    uint8_t *part = rec_alloc_array(dataset->offset[dataset->users], sizeof(*part));
    enum rec_status st = REC_OK;
    if (split == NULL || part == NULL)
        st = rec_error_set(err, REC_NO_MEMORY, "no memory to split a dataset");
    else if (global)
        st = label_global_time(dataset, options, part, err);
    else
        label_leave_last(dataset, options, part);
    if (st == REC_OK)
        st = make_parts(dataset, options, part, split, err);

    rec_alloc_free(part);
    if (st == REC_OK)
        *out = split;
    else
        rec_split_destroy(&split);
    return st;
}

void rec_split_destroy(struct rec_split **split_pointer) {
    struct rec_split *split = *split_pointer;
    if (split == NULL)
        return;
    *split_pointer = NULL;
    if (split->history != split->train)
        rec_dataset_destroy(&split->history);
    rec_dataset_destroy(&split->train);
    rec_csr_destroy(&split->seen);
    rec_csr_destroy(&split->validation);
    rec_csr_destroy(&split->test);
    rec_alloc_free(split->user);
    rec_alloc_free(split);
}
