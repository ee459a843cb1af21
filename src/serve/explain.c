/* explain.c: which items of the history made each score, and how much each.
 *
 * A family splits a score over events; people want it over items, so the shares of an item's events
 * are added up: events are put in order of item once per list, and every score then sums runs of
 * that order. Shares go into the list by absolute value, because what speaks against an item
 * explains it as well.
 *
 * Both orders are sorts of 64-bit keys by a heap sort of our own: qsort of the C library
 * allocates, and a request must not. */
#include <math.h>
#include <string.h>

#include "internal.h"

static void sift_down(uint64_t *keys, size_t root, size_t count) {
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && keys[child + 1] > keys[child])
            child++;
        if (keys[root] >= keys[child])
            return;
        uint64_t swap = keys[root];
        keys[root] = keys[child];
        keys[child] = swap;
        root = child;
    }
}

static void sort_keys(uint64_t *keys, size_t count) {
    for (size_t root = count / 2; root-- > 0;)
        sift_down(keys, root, count);
    for (size_t end = count; end-- > 1;) {
        uint64_t swap = keys[0];
        keys[0] = keys[end];
        keys[end] = swap;
        sift_down(keys, 0, end);
    }
}

/* A key that sorts by absolute share, largest first, then by item, and gives both back. */
static uint64_t share_key(uint32_t item, float share) {
    float magnitude = fabsf(share);
    uint32_t bits; /* of a float that is not negative: they rise with it */
    memcpy(&bits, &magnitude, sizeof(bits));
    return (uint64_t)~bits << 32 | (uint64_t)item << 1 | (share < 0.0f);
}
_Static_assert(REC_ITEMS_MAX <= 1 << 30, "an item and a sign share 32 bits of a key");

static struct rec_because share_of(uint64_t key) {
    uint32_t bits = ~(uint32_t)(key >> 32);
    struct rec_because because = {.item = (uint32_t)key >> 1};
    memcpy(&because.share, &bits, sizeof(bits));
    if ((key & 1) != 0)
        because.share = -because.share;
    return because;
}

/* The reasons of one item into out [most]: how many there are. shares [count], by event. */
static size_t reasons(struct rec_explain_scratch *scratch, const float *shares, size_t count,
                      struct rec_because *out, size_t most) {
    size_t keys = 0;
    for (size_t i = 0; i < count;) {
        uint32_t item = (uint32_t)(scratch->group[i] >> 32);
        double sum = 0.0;
        for (; i < count && (uint32_t)(scratch->group[i] >> 32) == item; i++)
            sum += (double)shares[(uint32_t)scratch->group[i]];
        float share = (float)sum;
        if (share < 0.0f || share > 0.0f)
            scratch->order[keys++] = share_key(item, share);
    }
    sort_keys(scratch->order, keys);
    if (keys > most)
        keys = most;
    for (size_t i = 0; i < keys; i++)
        out[i] = share_of(scratch->order[i]);
    return keys;
}

enum rec_status rec_explain_run(struct rec_scratch *scratch, const struct rec_model *model,
                                const struct rec_history *history, struct rec_recommended *out,
                                struct rec_error *err) {
    if (scratch->explain == NULL)
        scratch->explain = rec_alloc_array(1, sizeof(*scratch->explain));
    struct rec_explain_scratch *explain = scratch->explain;
    if (explain == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to explain a list");

    for (size_t i = 0; i < history->count; i++)
        explain->group[i] = (uint64_t)history->events[i].item << 32 | i;
    sort_keys(explain->group, history->count);

    /* As many items in one call as there is room for: a family may have to factor a matrix for the
     * history, whatever the number of items. */
    size_t batch = history->count == 0 ? REC_K_MAX : REC_SERVE_SHARES / history->count;
    size_t most = out->count == 0 ? 0 : REC_BECAUSE_TOTAL_MAX / out->count;
    uint32_t items[REC_K_MAX];
    size_t used = 0;
    for (size_t i = 0; i < out->count; i++)
        items[i] = out->items[i].item;
    for (size_t first = 0; first < out->count; first += batch) {
        size_t n = out->count - first < batch ? out->count - first : batch;
        model->family->explain(model, history, items + first, n, explain->shares, scratch->family);
        for (size_t i = 0; i < n; i++) {
            explain->offset[first + i] = (uint32_t)used;
            used += reasons(explain, explain->shares + i * history->count, history->count,
                            explain->because + used, most);
        }
    }
    explain->offset[out->count] = (uint32_t)used;
    out->because = explain->because;
    out->because_offset = explain->offset;
    return REC_OK;
}
_Static_assert(REC_SERVE_SHARES >= (int)REC_HISTORY_SCORED_MAX, "one item's shares always fit");
