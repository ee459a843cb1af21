/* personal-popularity: a user's own items, the most frequent first, filled up with popular ones.
 * Where people come back for the same things (groceries, spare parts, music) it is hard to beat;
 * it needs lists that keep what the user has seen.
 *
 *   own_i  = sum of the weights of the history's events of item i   (decayed with `recency`)
 *   p_i    = popularity of item i over that of the most popular one, in [0, 1]
 *
 *   score_i = own_i (1 + p_i / 1024)          where the history has item i
 *   score_i = p_i / 2 times the least own     elsewhere
 *
 * So equal counts are told apart by popularity, and no popular item passes one of the user's own.
 * With `recency` an event never weighs less than a millionth of what it did: what is old goes to
 * the end of the user's own items, not out of them.
 *
 * similar: p_i + p_j, for own counts say nothing about likeness: popular items, as in popularity.
 *
 * explain: an own item's score splits over its events by their weights. A popular item is there
 * for no event in particular: its score is spread over all of them by their weights. */
#include <math.h>
#include <string.h>

#include "popularity.h"
#include "recency.h"
#include "recsysd/data.h"
#include "recsysd/families.h"

/* A query is: how many own items, the score of the most popular other item, and the pairs
 * (item, own). Items are below 2^24, which a float holds exactly. */
enum { QUERY_COUNT, QUERY_FILL, QUERY_PAIRS };
_Static_assert(REC_ITEMS_MAX <= 1 << 24, "an item's number must fit a float");

static const float tie_break = 1.0f / 1024, fill_share = 0.5f, faintest = 1e-6f;
static const float weight_max = 1e30f; /* a history's sum of them stays finite */

static const struct rec_param personal_params[] = {REC_RECENCY_PARAM, REC_POPULARITY_PARAM};

static const struct rec_tune_range personal_tune[] = {
    REC_RECENCY_TUNE,
    REC_POPULARITY_TUNE,
    {.name = NULL},
};

/* ---- fit and open -------------------------------------------------------------------- */

static enum rec_status personal_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                    struct rec_error *err) {
    void *data = NULL;
    uint32_t items = fit->data->items;
    enum rec_status st = rec_tensors_add(out, "popularity", REC_TENSOR_F32, 1, items, &data, err);
    if (st == REC_OK)
        st = rec_popularity_count(fit, rec_params_get(fit->params, REC_POPULARITY_HALF_LIFE), data,
                                  err);
    if (st != REC_OK) {
        rec_tensors_finish(out);
        return st;
    }
    float *popularity = data, most = 0.0f;
    for (uint32_t i = 0; i < items; i++)
        most = popularity[i] > most ? popularity[i] : most;
    for (uint32_t i = 0; i < items; i++)
        popularity[i] /= most; /* > 0: some event has a weight, and the newest is not decayed */
    return REC_OK;
}

static const float *popularity_of(const struct rec_model *model) {
    return model->tensors.tensor[0].data;
}

static size_t pairs_max(const struct rec_model *model) {
    return model->items < REC_HISTORY_SCORED_MAX ? model->items : REC_HISTORY_SCORED_MAX;
}

static enum rec_status personal_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_tensor *popularity = NULL;
    if (model->tensors.count != 1)
        return rec_error_set(err, REC_CORRUPT, "personal-popularity: %zu tensors, expected 1",
                             model->tensors.count);
    enum rec_status st = rec_tensors_get(&model->tensors, "popularity", REC_TENSOR_F32, 1,
                                         model->items, &popularity, err);
    if (st != REC_OK)
        return st;
    const float *value = popularity->data;
    for (uint32_t i = 0; i < model->items; i++)
        if (!(value[i] >= 0.0f && value[i] <= 1.0f))
            return rec_error_set(
                err, REC_CORRUPT,
                "personal-popularity: the popularity of item %u is %g, expected 0 to 1", i,
                (double)value[i]);
    model->query_floats = QUERY_PAIRS + 2 * pairs_max(model);
    model->scratch_floats = model->items;
    return REC_OK;
}

/* ---- query ---------------------------------------------------------------------------- */

/* Only the newest events count where a history is longer than any caller should pass. */
static struct rec_history newest(const struct rec_history *history) {
    struct rec_history cut = *history;
    if (cut.count > REC_HISTORY_SCORED_MAX) {
        cut.events += cut.count - REC_HISTORY_SCORED_MAX;
        cut.count = REC_HISTORY_SCORED_MAX;
    }
    return cut;
}

static struct rec_recency begin_walk(const struct rec_model *model,
                                     const struct rec_history *history) {
    struct rec_recency walk =
        rec_recency_begin((float)rec_params_get(&model->params, "recency"), model->items, history);
    walk.faintest = faintest;
    walk.most = weight_max;
    return walk;
}

static bool personal_query(const struct rec_model *model, const struct rec_history *whole,
                           float *query, float *scratch) {
    struct rec_history history = newest(whole);
    float *own = scratch, least = INFINITY;
    size_t count = 0;
    memset(query, 0, model->query_floats * sizeof(*query));
    (void)rec_recency_add_up(begin_walk(model, &history), &history, own);
    for (size_t e = 0; e < history.count; e++) {
        uint32_t item = history.events[e].item;
        if (item >= model->items || !(own[item] > 0.0f))
            continue;
        query[QUERY_PAIRS + 2 * count] = (float)item;
        query[QUERY_PAIRS + 2 * count + 1] = own[item];
        least = fminf(least, own[item]);
        own[item] = 0.0f; /* once */
        count++;
    }
    if (count == 0)
        return false;
    query[QUERY_COUNT] = (float)count;
    query[QUERY_FILL] = fill_share * least;
    return true;
}

/* ---- score, similar, explain ------------------------------------------------------------ */

static float own_score(float own, float popularity) {
    return own * (1.0f + tie_break * popularity);
}

static void personal_score(const struct rec_model *model, const float *queries, size_t n,
                           uint32_t first, uint32_t count, float *scores) {
    const float *popularity = popularity_of(model);
    for (size_t row = 0; row < n; row++) {
        const float *query = queries + row * model->query_floats, *pair = query + QUERY_PAIRS;
        float *out = scores + row * count;
        for (uint32_t i = 0; i < count; i++)
            out[i] = query[QUERY_FILL] * popularity[first + i];
        for (size_t own = 0; own < (size_t)query[QUERY_COUNT]; own++, pair += 2) {
            uint32_t item = (uint32_t)pair[0];
            if (item >= first && item - first < count)
                out[item - first] = own_score(pair[1], popularity[item]);
        }
    }
}

static void personal_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                             uint32_t count, float *scores) {
    const float *popularity = popularity_of(model);
    for (uint32_t i = 0; i < count; i++)
        scores[i] = popularity[item] + popularity[first + i];
}

/* The least of the own counts that the history adds up to; INFINITY when there are none. */
static float least_own(const struct rec_model *model, const struct rec_history *history,
                       const float *own) {
    float least = INFINITY;
    for (size_t e = 0; e < history->count; e++) {
        uint32_t item = history->events[e].item;
        if (item < model->items && own[item] > 0.0f)
            least = fminf(least, own[item]);
    }
    return least;
}

static bool has_item(const struct rec_history *history, uint32_t item) {
    for (size_t e = 0; e < history->count; e++)
        if (history->events[e].item == item && history->events[e].weight > 0.0f)
            return true;
    return false;
}

static void personal_explain(const struct rec_model *model, const struct rec_history *whole,
                             const uint32_t *items, size_t n, float *shares, float *scratch) {
    const float *popularity = popularity_of(model);
    struct rec_history history = newest(whole);
    size_t skipped = whole->count - history.count;
    double sum = rec_recency_add_up(begin_walk(model, &history), &history, scratch);
    float least = least_own(model, &history, scratch);
    memset(shares, 0, n * whole->count * sizeof(*shares));
    for (size_t row = 0; row < n; row++) {
        struct rec_recency walk = begin_walk(model, &history);
        float *share = shares + row * whole->count + skipped, p = popularity[items[row]];
        bool own = has_item(&history, items[row]);
        for (size_t e = 0; e < history.count; e++) {
            float weight = rec_recency_next(&walk, &history.events[e]);
            if (!(weight > 0.0f))
                continue;
            if (!own)
                share[e] = (float)((double)(fill_share * least * p) * ((double)weight / sum));
            else if (history.events[e].item == items[row])
                share[e] = own_score(weight, p);
        }
    }
}

const struct rec_family rec_personal_popularity_family = {
    .name = "personal-popularity",
    .help = "the user's own items, the most frequent first, filled up with popular ones",
    .params = personal_params,
    .param_count = sizeof(personal_params) / sizeof(personal_params[0]),
    .tune = personal_tune,
    .ignores_history = false,
    .repeats_only = true,
    .fit = personal_fit,
    .open = personal_open,
    .close = NULL,
    .query = personal_query,
    .score = personal_score,
    .similar = personal_similar,
    .explain = personal_explain,
};
