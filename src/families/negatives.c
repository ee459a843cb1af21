/* Whether there are negatives at all. One such user is enough to learn something from, so the look
 * ends with the first, which in real data is nearly always the first that is looked at. */
#include "negatives.h"

#include "recsysd/data.h"

/* Whether the user likes something and has not everything. last [items]: the user who was last seen
 * to have it, counted from 1. */
static bool can_be_compared(const struct rec_dataset *data, uint32_t user, uint32_t *last) {
    uint32_t had = 0;
    for (uint64_t e = data->offset[user]; e < data->offset[user + (size_t)1]; e++) {
        if (!(data->weight[e] > 0.0f) || last[data->item[e]] == user + 1)
            continue;
        last[data->item[e]] = user + 1;
        had++;
    }
    return had > 0 && had < data->items;
}

enum rec_status rec_negatives_check(const struct rec_dataset *data, const char *family,
                                    struct rec_error *err) {
    uint32_t *last = rec_alloc_array(data->items, sizeof(*last));
    bool found = false;
    if (last == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %u items", family, data->items);
    for (uint32_t user = 0; !found && user < data->users; user++)
        found = can_be_compared(data, user, last);
    rec_alloc_free(last);
    if (found)
        return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT,
                         "%s: every user with a history has all %u items, so there is nothing to "
                         "tell liked ones from; add items, or choose another model",
                         family, data->items);
}
