/* Datasets: everybody's events in compressed rows, 12 bytes an event.
 *
 * A dislike outlives the event it came with: an interaction that arrives late but happened before
 * the dislike must not count as a like. So a dislike is kept as minus zero: for every sum and
 * comparison it is the 0 that "seen but not liked" is, and signbit() still tells it from an event
 * that merely says nothing. No second array, and the order of arrival does not change the
 * outcome. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"

#define DISLIKED (-0.0f)

static bool is_dislike(float weight) {
    return signbit(weight) != 0; /* minus zero here, REC_WEIGHT_DISLIKED at the door */
}

uint32_t rec_dataset_time(int64_t unix_s) {
    if (unix_s < 0)
        return 0;
    return unix_s > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)unix_s;
}

enum rec_status rec_dataset_create(uint32_t users, uint32_t items, uint64_t events,
                                   struct rec_dataset **out, struct rec_error *err) {
    struct rec_dataset *dataset = rec_alloc_array(1, sizeof(*dataset));
    if (dataset != NULL) {
        dataset->users = users;
        dataset->items = items;
        dataset->offset = rec_alloc_array((size_t)users + 1, sizeof(*dataset->offset));
        dataset->item = rec_alloc_array(events, sizeof(*dataset->item));
        dataset->weight = rec_alloc_array(events, sizeof(*dataset->weight));
        dataset->time = rec_alloc_array(events, sizeof(*dataset->time));
    }
    if (dataset == NULL || dataset->offset == NULL || dataset->item == NULL ||
        dataset->weight == NULL || dataset->time == NULL) {
        rec_dataset_destroy(&dataset);
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a dataset of %llu events",
                             (unsigned long long)events);
    }
    *out = dataset;
    return REC_OK;
}

void rec_dataset_destroy(struct rec_dataset **dataset_pointer) {
    struct rec_dataset *dataset = *dataset_pointer;
    if (dataset == NULL)
        return;
    *dataset_pointer = NULL;
    rec_alloc_free(dataset->offset);
    rec_alloc_free(dataset->item);
    rec_alloc_free(dataset->weight);
    rec_alloc_free(dataset->time);
    rec_alloc_free(dataset);
}

/* ---- the rule of likes and dislikes ------------------------------------------ */

void rec_dataset_resolve(const uint32_t *item, float *weight, size_t count, uint32_t *last_dislike,
                         uint32_t stamp) {
    for (size_t i = count; i-- > 0;) {
        if (is_dislike(weight[i])) {
            weight[i] = DISLIKED;
            last_dislike[item[i]] = stamp;
        } else if (last_dislike[item[i]] == stamp) {
            weight[i] = 0.0f;
        }
    }
}

void rec_event_insert(struct rec_event *events, size_t count, struct rec_event event) {
    size_t at = count;
    bool disliked_later = false;
    for (; at > 0 && events[at - 1].time > event.time; at--) {
        if (events[at - 1].item == event.item && is_dislike(events[at - 1].weight))
            disliked_later = true;
        events[at] = events[at - 1];
    }

    if (is_dislike(event.weight)) {
        event.weight = DISLIKED;
        for (size_t i = 0; i < at; i++)
            if (events[i].item == event.item && !is_dislike(events[i].weight))
                events[i].weight = 0.0f;
    } else if (disliked_later) {
        event.weight = 0.0f;
    }
    events[at] = event;
}

/* ---- from rows ---------------------------------------------------------------- */

static enum rec_status check_rows(const struct rec_dataset_row *rows, size_t count, uint32_t users,
                                  uint32_t items, struct rec_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (rows[i].user >= users || rows[i].item >= items)
            return rec_error_set(err, REC_BAD_INPUT,
                                 "dataset row %zu: user %u of %u or item %u of %u is out of range",
                                 i, rows[i].user, users, rows[i].item, items);
        if (!isfinite(rows[i].weight))
            return rec_error_set(err, REC_BAD_INPUT, "dataset row %zu: the weight is not finite",
                                 i);
    }
    return REC_OK;
}

/* Stable: rows of a user keep their order. */
static void scatter_by_user(const struct rec_dataset_row *rows, size_t count,
                            struct rec_dataset *dataset) {
    uint64_t *offset = dataset->offset;
    for (size_t i = 0; i < count; i++)
        offset[rows[i].user + 1]++;
    for (uint32_t u = 0; u < dataset->users; u++)
        offset[u + 1] += offset[u];
    for (size_t i = 0; i < count; i++) {
        uint64_t at = offset[rows[i].user]++;
        dataset->item[at] = rows[i].item;
        dataset->weight[at] = rows[i].weight;
        dataset->time[at] = rows[i].time;
    }
    /* Each offset has moved to its row's end, which is the next row's start. */
    memmove(offset + 1, offset, dataset->users * sizeof(*offset));
    offset[0] = 0;
}

/* One step of a stable merge sort by time: two sorted runs of `from` into `to`. */
static void merge_runs(const struct rec_event *from, size_t left, size_t middle, size_t right,
                       struct rec_event *to) {
    size_t a = left, b = middle;
    for (size_t at = left; at < right; at++)
        to[at] = b == right || (a < middle && from[a].time <= from[b].time) ? from[a++] : from[b++];
}

/* Sorts [count] stably by time; returns which of the two arrays holds the result. */
static struct rec_event *sort_events(struct rec_event *events, struct rec_event *spare,
                                     size_t count) {
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t left = 0; left < count; left += 2 * width) {
            size_t middle = left + width < count ? left + width : count;
            size_t right = middle + width < count ? middle + width : count;
            merge_runs(events, left, middle, right, spare);
        }
        struct rec_event *swap = events;
        events = spare;
        spare = swap;
    }
    return events;
}

static bool is_sorted(const uint32_t *time, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (time[i] < time[i - 1])
            return false;
    return true;
}

/* Sorts one user's row through the scratch [2 x count]. */
static void sort_row(struct rec_dataset *dataset, uint32_t user, struct rec_event *scratch) {
    uint64_t first = dataset->offset[user];
    size_t count = (size_t)(dataset->offset[user + 1] - first);
    if (is_sorted(dataset->time + first, count))
        return;
    for (size_t i = 0; i < count; i++)
        scratch[i] = (struct rec_event){dataset->item[first + i], dataset->weight[first + i],
                                        dataset->time[first + i]};
    const struct rec_event *sorted = sort_events(scratch, scratch + count, count);
    for (size_t i = 0; i < count; i++) {
        dataset->item[first + i] = sorted[i].item;
        dataset->weight[first + i] = sorted[i].weight;
        dataset->time[first + i] = sorted[i].time;
    }
}

static size_t longest_row(const struct rec_dataset *dataset) {
    uint64_t longest = 0;
    for (uint32_t u = 0; u < dataset->users; u++) {
        uint64_t count = dataset->offset[u + 1] - dataset->offset[u];
        longest = count > longest ? count : longest;
    }
    return (size_t)longest;
}

enum rec_status rec_dataset_from_rows(const struct rec_dataset_row *rows, size_t count,
                                      uint32_t users, uint32_t items, struct rec_dataset **out,
                                      struct rec_error *err) {
    struct rec_dataset *dataset = NULL;
    struct rec_event *scratch = NULL;
    uint32_t *last_dislike = NULL;
    enum rec_status st = check_rows(rows, count, users, items, err);
    if (st == REC_OK)
        st = rec_dataset_create(users, items, count, &dataset, err);
    if (st != REC_OK)
        goto out;
    scatter_by_user(rows, count, dataset);

    scratch = rec_alloc_array(2 * longest_row(dataset), sizeof(*scratch));
    last_dislike = rec_alloc_array(items, sizeof(*last_dislike));
    if (scratch == NULL || last_dislike == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory to sort a dataset of %zu events", count);
        goto out;
    }
    for (uint32_t u = 0; u < users; u++) {
        uint64_t first = dataset->offset[u];
        sort_row(dataset, u, scratch);
        rec_dataset_resolve(dataset->item + first, dataset->weight + first,
                            (size_t)(dataset->offset[u + 1] - first), last_dislike, u + 1);
    }
    *out = dataset;
    dataset = NULL;

out:
    rec_alloc_free(last_dislike);
    rec_alloc_free(scratch);
    rec_dataset_destroy(&dataset);
    return st;
}

/* ---- under other numbers --------------------------------------------------------- */

static bool is_kept(const struct rec_dataset *dataset, const struct rec_dataset_select *select,
                    uint32_t user, uint64_t event) {
    return select->user[user] != REC_STORE_NONE &&
           select->item[dataset->item[event]] != REC_STORE_NONE &&
           (int64_t)dataset->time[event] < select->until &&
           (!select->liked_only || dataset->weight[event] > 0.0f);
}

enum rec_status rec_dataset_renumber(const struct rec_dataset *dataset,
                                     const struct rec_dataset_select *select,
                                     struct rec_dataset **out, struct rec_error *err) {
    uint64_t all = dataset->offset[dataset->users];
    size_t count = 0;
    struct rec_dataset_row *rows = rec_alloc_array(all, sizeof(*rows));
    if (rows == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to renumber a dataset of %llu events",
                             (unsigned long long)all);
    for (uint32_t u = 0; u < dataset->users; u++)
        for (uint64_t e = dataset->offset[u]; e < dataset->offset[u + 1]; e++)
            if (is_kept(dataset, select, u, e))
                rows[count++] =
                    (struct rec_dataset_row){select->user[u], select->item[dataset->item[e]],
                                             dataset->time[e], dataset->weight[e]};
    enum rec_status st = rec_dataset_from_rows(rows, count, select->users, select->items, out, err);
    rec_alloc_free(rows);
    return st;
}

/* ---- the matrix of users and items ---------------------------------------------- */

/* Adds up one row's weights by item, in time order, so the sums have the same bits always.
 * sum [items] is zero before and after. Returns how many items have a sum > 0. */
static size_t sum_row(const struct rec_dataset *dataset, uint32_t user, double *sum,
                      uint32_t *touched) {
    size_t count = 0;
    for (uint64_t e = dataset->offset[user]; e < dataset->offset[user + 1]; e++) {
        if (!(dataset->weight[e] > 0.0f))
            continue;
        if (sum[dataset->item[e]] == 0.0)
            touched[count++] = dataset->item[e];
        sum[dataset->item[e]] += (double)dataset->weight[e];
    }
    return count;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Fills csr when it has room (entries known), else counts into *entries. */
static void fill_matrix(const struct rec_dataset *dataset, double *sum, uint32_t *touched,
                        struct rec_csr *csr, uint64_t *entries) {
    uint64_t at = 0;
    for (uint32_t u = 0; u < dataset->users; u++) {
        size_t count = sum_row(dataset, u, sum, touched);
        if (csr != NULL)
            qsort(touched, count, sizeof(*touched), by_number);
        for (size_t i = 0; i < count; i++) {
            if (csr != NULL) {
                csr->column[at + i] = touched[i];
                csr->value[at + i] = (float)sum[touched[i]];
            }
            sum[touched[i]] = 0.0;
        }
        at += count;
        if (csr != NULL)
            csr->offset[u + 1] = at;
    }
    *entries = at;
}

enum rec_status rec_dataset_matrix(const struct rec_dataset *dataset, struct rec_csr **out,
                                   struct rec_error *err) {
    enum rec_status st = REC_OK;
    struct rec_csr *csr = NULL;
    uint64_t entries = 0;
    double *sum = rec_alloc_array(dataset->items, sizeof(*sum));
    uint32_t *touched = rec_alloc_array(dataset->items, sizeof(*touched));
    if (sum == NULL || touched == NULL) {
        st =
            rec_error_set(err, REC_NO_MEMORY, "no memory for a matrix of %u items", dataset->items);
        goto out;
    }
    fill_matrix(dataset, sum, touched, NULL, &entries);
    st = rec_csr_create(dataset->users, dataset->items, entries, &csr, err);
    if (st != REC_OK)
        goto out;
    fill_matrix(dataset, sum, touched, csr, &entries);
    *out = csr;

out:
    rec_alloc_free(touched);
    rec_alloc_free(sum);
    return st;
}
