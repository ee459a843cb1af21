/* popularity: everyone gets the same list, the items in the order of how much was done with them.
 * The yardstick every other family must beat, and what new users are shown.
 *
 * score_i = sum of the weights of all events of item i. A plain sum, not its logarithm or a share:
 * the order is the same, and a person who reads "412" beside an item can check it with one query
 * on the store.
 *
 * Popularity says nothing about likeness, so similar() answers with popularity too: the neighbours
 * of an item are the popular items. The scores do not split over a history (they ignore it), so
 * there is no explain(). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { USERS_PER_CHECK = 4096 }; /* between two looks at the cancel flag */

/* Everyone's query is one zero. One float and not none, so that callers need not think of empty
 * arrays. */
enum { QUERY_FLOATS = 1 };

static enum rec_status sum_weights(const struct rec_fit *fit, double *sum, struct rec_error *err) {
    const struct rec_dataset *data = fit->data;
    for (uint32_t user = 0; user < data->users; user++) {
        if (user % USERS_PER_CHECK == 0) {
            rec_progress_report(fit->progress, "count", (double)user / data->users, NAN);
            if (rec_progress_cancelled(fit->progress))
                return rec_error_set(err, REC_CANCELLED, "popularity: cancelled at user %u of %u",
                                     user, data->users);
        }
        for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++)
            sum[data->item[e]] += (double)data->weight[e];
    }
    return REC_OK;
}

/* One thread: it is a single pass over the events, faster than reading them from the store. */
static enum rec_status popularity_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                      struct rec_error *err) {
    uint32_t items = fit->data->items;
    float *weight = NULL;
    void *data = NULL;
    enum rec_status st;
    double *sum = rec_alloc_array(items, sizeof(*sum));
    if (sum == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "popularity: no memory for %u items", items);

    st = sum_weights(fit, sum, err);
    if (st != REC_OK)
        goto out;
    st = rec_tensors_add(out, "weight", REC_TENSOR_F32, 1, items, &data, err);
    if (st != REC_OK)
        goto out;
    weight = data;
    for (uint32_t i = 0; i < items; i++)
        weight[i] = sum[i] < (double)FLT_MAX ? (float)sum[i] : FLT_MAX;
    rec_progress_report(fit->progress, "count", 1.0, NAN);

out:
    rec_alloc_free(sum);
    return st;
}

static const float *weights(const struct rec_model *model) {
    return model->tensors.tensor[0].data;
}

static enum rec_status popularity_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_tensor *weight = NULL;
    if (model->tensors.count != 1)
        return rec_error_set(err, REC_CORRUPT, "popularity: %zu tensors, expected 1",
                             model->tensors.count);
    enum rec_status st =
        rec_tensors_get(&model->tensors, "weight", REC_TENSOR_F32, 1, model->items, &weight, err);
    if (st != REC_OK)
        return st;
    const float *value = weight->data;
    for (uint32_t i = 0; i < model->items; i++)
        if (!isfinite(value[i]) || value[i] < 0.0f)
            return rec_error_set(err, REC_CORRUPT,
                                 "popularity: the weight of item %u is %g, expected a finite "
                                 "number >= 0",
                                 i, (double)value[i]);
    model->query_floats = QUERY_FLOATS;
    model->scratch_floats = 0;
    return REC_OK;
}

static bool popularity_query(const struct rec_model *model, const struct rec_history *history,
                             float *query, float *scratch) {
    (void)model;
    (void)history;
    (void)scratch;
    query[0] = 0.0f;
    return true;
}

static void popularity_score(const struct rec_model *model, const float *queries, size_t n,
                             uint32_t first, uint32_t count, float *scores) {
    (void)queries;
    for (size_t row = 0; row < n; row++)
        memcpy(scores + row * count, weights(model) + first, count * sizeof(*scores));
}

static void popularity_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                               uint32_t count, float *scores) {
    (void)item;
    memcpy(scores, weights(model) + first, count * sizeof(*scores));
}

const struct rec_family rec_popularity_family = {
    .name = "popularity",
    .help = "the same list for everyone: items by the sum of their interactions' weights",
    .params = NULL,
    .param_count = 0,
    .ignores_history = true,
    .fit = popularity_fit,
    .open = popularity_open,
    .close = NULL,
    .query = popularity_query,
    .score = popularity_score,
    .similar = popularity_similar,
    .explain = NULL,
};
