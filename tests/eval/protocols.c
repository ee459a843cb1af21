/* The protocols. Items are numbered by their MovieLens id, so that ties in a list go to the lower
 * id, as in any other implementation of the same protocol. */
#include "protocols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct protocol protocols[] = {
    {.name = "last-out",
     .folder = "ml-latest-small",
     .format = REC_FORMAT_MOVIELENS,
     .positives_only = true,
     .split = {.kind = REC_SPLIT_LEAVE_LAST,
               .test_last = 1,
               .validation_last = 1,
               .user_events_min = 3}},
    {.name = "last-five",
     .folder = "ml-1m",
     .format = REC_FORMAT_MOVIELENS_1M,
     .split = {.kind = REC_SPLIT_LEAVE_LAST,
               .test_last = 5,
               .validation_last = 1,
               .user_events_min = 11,
               .test_users_max = 2999}}, /* users 1 to 2999 are the indices below */
};
const size_t protocol_count = sizeof(protocols) / sizeof(protocols[0]);

const char *protocols_data(void) {
    const char *folder = getenv("RECSYSD_TEST_DATA");
    return folder != NULL && *folder != '\0' ? folder : SOURCE_ROOT "/../shared/data";
}

struct numbered {
    long number;
    uint32_t index;
};

static int by_number(const void *a, const void *b) {
    long x = ((const struct numbered *)a)->number, y = ((const struct numbered *)b)->number;
    return (x > y) - (x < y);
}

/* rank [items]: where each item stands by the number that is its id. */
static enum rec_status rank_items(const struct rec_idmap *items, uint32_t *rank,
                                  struct rec_error *err) {
    uint32_t count = rec_idmap_count(items);
    struct numbered *sorted = rec_alloc_array(count, sizeof(*sorted));
    if (sorted == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to number %u items", count);
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = (struct numbered){strtol(rec_idmap_id(items, i), NULL, 10), i};
    qsort(sorted, count, sizeof(*sorted), by_number);
    for (uint32_t i = 0; i < count; i++)
        rank[sorted[i].index] = i;
    rec_alloc_free(sorted);
    return REC_OK;
}

/* Users with fewer liked rows than the split asks for are no part of a protocol of likes. */
static size_t select_rows(const struct protocol *protocol, const struct rec_dataset *all,
                          const uint32_t *rank, struct rec_dataset_row *rows) {
    size_t count = 0;
    for (uint32_t u = 0; u < all->users; u++) {
        size_t before = count;
        for (uint64_t e = all->offset[u]; e < all->offset[u + 1]; e++)
            if (!protocol->positives_only || all->weight[e] > 0.0f)
                rows[count++] =
                    (struct rec_dataset_row){u, rank[all->item[e]], all->time[e], all->weight[e]};
        if (protocol->positives_only && count - before < protocol->split.user_events_min)
            count = before;
    }
    return count;
}

static enum rec_status renumber(const struct protocol *protocol, const struct rec_dataset *all,
                                const struct rec_idmap *items, struct rec_dataset **out,
                                struct rec_error *err) {
    enum rec_status st;
    struct rec_dataset_row *rows = rec_alloc_array(all->offset[all->users], sizeof(*rows));
    uint32_t *rank = rec_alloc_array(all->items, sizeof(*rank));
    if (rows == NULL || rank == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory for the rows of %s", protocol->folder);
        goto out;
    }
    st = rank_items(items, rank, err);
    if (st == REC_OK)
        st = rec_dataset_from_rows(rows, select_rows(protocol, all, rank, rows), all->users,
                                   all->items, out, err);
out:
    rec_alloc_free(rank);
    rec_alloc_free(rows);
    return st;
}

enum rec_status protocol_split(const struct protocol *protocol, struct rec_split **out,
                               struct rec_error *err) {
    char path[1024];
    struct rec_weights weights;
    struct rec_idmap *items = rec_idmap_create();
    struct rec_dataset *all = NULL, *used = NULL;
    enum rec_status st;
    (void)snprintf(path, sizeof(path), "%s/%s", protocols_data(), protocol->folder);
    if (items == NULL || access(path, R_OK) != 0) {
        st = items == NULL
                 ? rec_error_set(err, REC_NO_MEMORY, "no memory for an id map")
                 : rec_error_set(err, REC_NOT_FOUND,
                                 "no data at %s; RECSYSD_TEST_DATA says where they are", path);
        goto out;
    }
    rec_weights_defaults(&weights);
    const struct rec_read_options options = {
        .format = protocol->format, .path = path, .now = rec_clock_unix_s()};
    st = rec_dataset_read(&options, &weights, NULL, items, &all, err);
    if (st == REC_OK)
        st = renumber(protocol, all, items, &used, err);
    if (st == REC_OK)
        st = rec_split_make(used, &protocol->split, out, err);
out:
    rec_dataset_destroy(&used);
    rec_dataset_destroy(&all);
    rec_idmap_destroy(&items);
    return st;
}
