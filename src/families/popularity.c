/* popularity: everyone gets the same list, the items in the order of how much was done with them.
 * The yardstick every other family must beat, and what new users are shown.
 *
 *   score_i = sum over the events e of item i of weight_e 2^(-age_e / half_life_days)
 *
 * age is counted in days from the newest event that has a weight, not from now: the same data
 * give the same bits, and the order does not depend on where the count begins. half_life_days 0,
 * the default, leaves the decay out. A plain sum, not its logarithm or a share: the order is the
 * same, and a person who reads "412" beside an item can check it with one query on the store.
 *
 * Popularity says nothing about likeness, so similar() answers with popularity too: the neighbours
 * of an item are the popular items. The scores do not split over a history (they ignore it), so
 * there is no explain(). */
#include "popularity.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { USERS_PER_CHECK = 4096 }; /* between two looks at the cancel flag */

/* Everyone's query is one zero. One float and not none, so that callers need not think of empty
 * arrays. */
enum { QUERY_FLOATS = 1 };

static const double day_s = 86400.0;

static const struct rec_param popularity_params[] = {REC_POPULARITY_PARAM};

static const struct rec_tune_range popularity_tune[] = {
    REC_POPULARITY_TUNE,
    {.name = NULL},
};

/* ---- counting, for every family that starts from popularity -------------------------- */

/* Of the events that have a weight, so that the sums are not all decayed to nothing. */
static uint32_t newest_time(const struct rec_dataset *data) {
    uint32_t newest = 0;
    for (uint64_t e = 0; e < data->offset[data->users]; e++)
        if (data->weight[e] > 0.0f && data->time[e] > newest)
            newest = data->time[e];
    return newest;
}

static void count_user(const struct rec_dataset *data, uint32_t user, uint32_t newest,
                       double half_life_days, double *sum) {
    for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++) {
        double weight = (double)data->weight[e];
        if (half_life_days > 0.0 && weight > 0.0)
            weight *= exp2(-(double)(newest - data->time[e]) / (day_s * half_life_days));
        sum[data->item[e]] += weight;
    }
}

static enum rec_status sum_weights(const struct rec_fit *fit, double half_life_days, double *sum,
                                   struct rec_error *err) {
    const struct rec_dataset *data = fit->data;
    uint32_t newest = half_life_days > 0.0 ? newest_time(data) : 0;
    for (uint32_t user = 0; user < data->users; user++) {
        if (user % USERS_PER_CHECK == 0) {
            rec_progress_report(fit->progress, "count", (double)user / data->users, (double)NAN);
            if (rec_progress_cancelled(fit->progress))
                return rec_error_set(err, REC_CANCELLED, "cancelled while counting user %u of %u",
                                     user, data->users);
        }
        count_user(data, user, newest, half_life_days, sum);
    }
    rec_progress_report(fit->progress, "count", 1.0, (double)NAN);
    return REC_OK;
}

/* One thread: it is a single pass over the events, faster than reading them from the store. */
enum rec_status rec_popularity_count(const struct rec_fit *fit, double half_life_days, float *out,
                                     struct rec_error *err) {
    uint32_t items = fit->data->items;
    double *sum = rec_alloc_array(items, sizeof(*sum));
    if (sum == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to count %u items", items);
    enum rec_status st = sum_weights(fit, half_life_days, sum, err);
    for (uint32_t i = 0; st == REC_OK && i < items; i++)
        out[i] = sum[i] < (double)FLT_MAX ? (float)sum[i] : FLT_MAX;
    rec_alloc_free(sum);
    return st;
}

/* ---- the family ------------------------------------------------------------------------- */

static enum rec_status popularity_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                      struct rec_error *err) {
    void *weight = NULL;
    enum rec_status st =
        rec_tensors_add(out, "weight", REC_TENSOR_F32, 1, fit->data->items, &weight, err);
    if (st == REC_OK)
        st = rec_popularity_count(fit, rec_params_get(fit->params, REC_POPULARITY_HALF_LIFE),
                                  weight, err);
    if (st != REC_OK)
        rec_tensors_finish(out);
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
    .params = popularity_params,
    .param_count = sizeof(popularity_params) / sizeof(popularity_params[0]),
    .tune = popularity_tune,
    .ignores_history = true,
    .fit = popularity_fit,
    .open = popularity_open,
    .close = NULL,
    .query = popularity_query,
    .score = popularity_score,
    .similar = popularity_similar,
    .explain = NULL,
};
