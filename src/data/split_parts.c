/* Splits that come in parts, as published ones do, and the check that no split gives away its
 * answers.
 *
 * The check is for people: a test row that is also in train makes every model look better than it
 * is, and nothing in the figures shows it. Here it shows as an error. Items that only the test has
 * stay in it: no model can find them, and leaving them out would be another test than the one that
 * was published. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"

static enum rec_status copy_dataset(const struct rec_dataset *from, struct rec_dataset **out,
                                    struct rec_error *err) {
    uint64_t events = from->offset[from->users];
    enum rec_status st = rec_dataset_create(from->users, from->items, events, out, err);
    if (st != REC_OK)
        return st;
    memcpy((*out)->offset, from->offset, ((size_t)from->users + 1) * sizeof(*from->offset));
    if (events > 0) {
        memcpy((*out)->item, from->item, events * sizeof(*from->item));
        memcpy((*out)->weight, from->weight, events * sizeof(*from->weight));
        memcpy((*out)->time, from->time, events * sizeof(*from->time));
    }
    return REC_OK;
}

/* ---- pairs --------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The distinct items of a user's events, sorted; those that were liked, or all. */
static size_t user_items(const struct rec_dataset *dataset, uint32_t user, bool liked,
                         uint32_t *items) {
    size_t count = 0, distinct = 0;
    for (uint64_t e = dataset->offset[user]; e < dataset->offset[user + 1]; e++)
        if (!liked || dataset->weight[e] > 0.0f)
            items[count++] = dataset->item[e];
    qsort(items, count, sizeof(*items), by_number);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || items[i] != items[i - 1])
            items[distinct++] = items[i];
    return distinct;
}

static enum rec_status make_pairs(const struct rec_dataset *dataset, bool liked,
                                  struct rec_csr **out, struct rec_error *err) {
    struct rec_csr *csr = NULL;
    uint64_t events = dataset->offset[dataset->users], at = 0;
    uint32_t *items = rec_alloc_array(events, sizeof(*items));
    enum rec_status st = REC_OK;
    if (items == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for %llu pairs",
                             (unsigned long long)events);
    for (uint32_t u = 0; u < dataset->users; u++)
        at += user_items(dataset, u, liked, items + at);
    st = rec_csr_create(dataset->users, dataset->items, at, &csr, err);
    for (uint32_t u = 0; st == REC_OK && u < dataset->users; u++) {
        size_t count = user_items(dataset, u, liked, items);
        for (size_t i = 0; i < count; i++) {
            csr->column[csr->offset[u] + i] = items[i];
            csr->value[csr->offset[u] + i] = 1.0f;
        }
        csr->offset[u + 1] = csr->offset[u] + count;
    }
    rec_alloc_free(items);
    if (st == REC_OK)
        *out = csr;
    return st;
}

static bool holds(const struct rec_csr *csr, uint32_t row, uint32_t column) {
    const uint32_t *at =
        bsearch(&column, csr->column + csr->offset[row],
                (size_t)(csr->offset[row + 1] - csr->offset[row]), sizeof(column), by_number);
    return at != NULL;
}

/* ---- leaks --------------------------------------------------------------------------- */

static uint64_t shared_pairs(const struct rec_csr *a, const struct rec_csr *b) {
    uint64_t count = 0;
    for (uint32_t u = 0; u < a->rows; u++)
        for (uint64_t i = a->offset[u]; i < a->offset[u + 1]; i++)
            count += holds(b, u, a->column[i]);
    return count;
}

enum rec_status rec_split_check(const struct rec_split *split, bool on_validation,
                                struct rec_error *err) {
    const struct rec_csr *relevant = on_validation ? split->validation : split->test;
    const char *part = on_validation ? "validation" : "test";
    if (relevant == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "the split has no %s part", part);
    if (split->train->offset[split->train->users] == 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "empty split: no row is left to train on; look at the bounds on rows "
                             "a user and at the cut");
    if (rec_csr_entries(relevant) == 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "empty split: no user has a relevant %s item; look at the bounds on "
                             "rows a user, the cut and positive-min",
                             part);
    uint64_t leaked = shared_pairs(relevant, split->seen);
    if (leaked > 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "leak: %llu of %llu %s items are in what is known of their users; "
                             "such a test asks for what the model was told",
                             (unsigned long long)leaked,
                             (unsigned long long)rec_csr_entries(relevant), part);
    return REC_OK;
}

/* Where items may come back, the same pair may be in both parts, but the same event may not. */
static uint64_t shared_events(const struct rec_dataset *known, const struct rec_dataset *test) {
    uint64_t count = 0;
    for (uint32_t u = 0; u < test->users; u++) {
        uint64_t k = known->offset[u], end = known->offset[u + 1];
        for (uint64_t e = test->offset[u]; e < test->offset[u + 1]; e++) {
            while (k < end && known->time[k] < test->time[e])
                k++;
            for (uint64_t same = k; same < end && known->time[same] == test->time[e]; same++)
                if (known->item[same] == test->item[e]) {
                    count++;
                    break;
                }
        }
    }
    return count;
}

static enum rec_status check_parts(const struct rec_dataset *known, const struct rec_dataset *test,
                                   bool nothing_seen, const char *part, struct rec_error *err) {
    if (known->users != test->users || known->items != test->items)
        return rec_error_set(err, REC_BAD_INPUT,
                             "the parts of a split are numbered differently: %u users and %u items "
                             "in %s, %u and %u in test",
                             known->users, known->items, part, test->users, test->items);
    uint64_t leaked = nothing_seen ? shared_events(known, test) : 0;
    if (leaked > 0)
        return rec_error_set(
            err, REC_BAD_INPUT, "leak: %llu of %llu test rows are in %s, with the same time",
            (unsigned long long)leaked, (unsigned long long)test->offset[test->users], part);
    return REC_OK;
}

enum rec_status rec_split_of_parts(const struct rec_dataset *train,
                                   const struct rec_dataset *history,
                                   const struct rec_dataset *test, bool nothing_seen,
                                   struct rec_split **out, struct rec_error *err) {
    enum rec_status st = check_parts(train, test, nothing_seen, "train", err);
    if (st == REC_OK && history != NULL)
        st = check_parts(history, test, nothing_seen, "history", err);
    if (st != REC_OK)
        return st;
    struct rec_split *split = rec_alloc_array(1, sizeof(*split));
    if (split == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a split");

    st = copy_dataset(train, &split->train, err);
    split->history = split->train;
    if (st == REC_OK && history != NULL) {
        split->history = NULL;
        st = copy_dataset(history, &split->history, err);
    }
    if (st == REC_OK && nothing_seen)
        st = rec_csr_create(train->users, train->items, 0, &split->seen, err);
    else if (st == REC_OK)
        st = make_pairs(split->history, false, &split->seen, err);
    if (st == REC_OK)
        st = make_pairs(test, true, &split->test, err);
    split->test_rows = test->offset[test->users];
    if (st == REC_OK)
        *out = split;
    else
        rec_split_destroy(&split);
    return st;
}
