/* random: a list drawn by lot, another one for every user, the same one each time a user asks. The
 * floor under every comparison, and a cheap way to show items nobody has met.
 *
 * Each pair of user and item has a number u in (0, 1), a hash of (seed, user, item), and so
 * nothing of a list has to be kept. by=uniform ranks by u. by=popularity ranks by the Gumbel key
 *
 *   score_i = log w_i - log(-log u_i),      w_i the sum of the weights of item i's events
 *
 * and the item with the largest key is item i with probability w_i / Σw, the next one is drawn in
 * the same way among the rest, and so on: drawing without replacement, by popularity. (An alias
 * table would draw as well, but with replacement, one by one, and gives no score to items that
 * were not drawn, so a mask could leave a list short.)
 * source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006; the keys
 * there are u^(1/w), whose order is that of ours.
 *
 * Anonymous sessions share one list: a session is not known again, and its events must not change
 * a list that has nothing to do with them. Items nobody touched come last with by=popularity, in
 * random order. similar: the lot drawn for the item, as if it were a user. */
#include <math.h>
#include <string.h>

#include "popularity.h"
#include "recsysd/data.h"
#include "recsysd/families.h"

enum { QUERY_FLOATS = 4, PIECE_BITS = 16, SEED_BYTES = 8 };

enum { BY_UNIFORM, BY_POPULARITY };
static const char *const by_choices[] = {"uniform", "popularity", NULL};

static const struct rec_param random_params[] = {
    {"by", REC_PARAM_CHOICE, 0, 0, false, BY_UNIFORM, by_choices,
     "chance of an item: the same for all, or its share of all interactions"},
};

/* The logarithm of no weight at all: below every key of an item that has some, since logarithms
 * of floats are above -104 and Gumbel numbers of 52 bits within -4 and 37. */
static const float log_nothing = -1000.0f;
static const float log_most = 90.0f; /* log FLT_MAX is 88.7 */

/* ---- fit and open -------------------------------------------------------------------- */

static enum rec_status random_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                  struct rec_error *err) {
    void *seed = NULL, *data = NULL;
    uint32_t items = fit->data->items;
    enum rec_status st = rec_tensors_add(out, "seed", REC_TENSOR_U8, 1, SEED_BYTES, &seed, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "log_weight", REC_TENSOR_F32, 1, items, &data, err);
    if (st == REC_OK)
        st = rec_popularity_count(fit, 0.0, data, err);
    if (st != REC_OK) {
        rec_tensors_finish(out);
        return st;
    }
    memcpy(seed, &fit->seed, SEED_BYTES);
    float *log_weight = data;
    for (uint32_t i = 0; i < items; i++)
        log_weight[i] = log_weight[i] > 0.0f ? logf(log_weight[i]) : log_nothing;
    return REC_OK;
}

/* What open() keeps at hand. */
struct lot {
    uint64_t seed;
    const float *log_weight; /* [items]; NULL: uniform */
};

static enum rec_status random_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_tensor *seed = NULL, *weight = NULL;
    enum rec_status st =
        rec_tensors_get(&model->tensors, "seed", REC_TENSOR_U8, 1, SEED_BYTES, &seed, err);
    if (st == REC_OK)
        st = rec_tensors_get(&model->tensors, "log_weight", REC_TENSOR_F32, 1, model->items,
                             &weight, err);
    if (st != REC_OK)
        return st;
    const float *value = weight->data;
    for (uint32_t i = 0; i < model->items; i++)
        if (!(value[i] >= log_nothing && value[i] <= log_most))
            return rec_error_set(err, REC_CORRUPT,
                                 "random: log_weight of item %u is %g, expected %g to %g", i,
                                 (double)value[i], (double)log_nothing, (double)log_most);
    struct lot *self = rec_alloc_array(1, sizeof(*self));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "random: no memory to open the model");
    memcpy(&self->seed, seed->data, SEED_BYTES);
    bool weighted = (int)rec_params_get(&model->params, "by") == BY_POPULARITY;
    self->log_weight = weighted ? value : NULL;
    model->self = self;
    model->query_floats = QUERY_FLOATS;
    model->scratch_floats = 0;
    return REC_OK;
}

static void random_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- the lot ----------------------------------------------------------------------------- */

/* One step of splitmix64: a bijection of 64 bits in which every bit depends on every bit. */
static uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Whose lot it is; users and items that stand for users must not meet. */
static uint64_t lot_key(const struct rec_model *model, uint32_t number, bool is_item) {
    const struct lot *self = model->self;
    return mixed(mixed((uint64_t)is_item << 32 | number) ^ self->seed);
}

static void draw(const struct rec_model *model, uint64_t key, uint32_t first, uint32_t count,
                 float *scores) {
    const struct lot *self = model->self;
    for (uint32_t i = 0; i < count; i++) {
        /* 52 bits and a half: never 0, never 1, exact */
        double u = ((double)(mixed(key + first + i) >> 12) + 0.5) * 0x1p-52;
        scores[i] = (float)u;
        if (self->log_weight != NULL)
            scores[i] = (float)((double)self->log_weight[first + i] - log(-log(u)));
    }
}

/* The key in pieces that a float holds exactly. */
static bool random_query(const struct rec_model *model, const struct rec_history *history,
                         float *query, float *scratch) {
    uint64_t key = lot_key(model, history->user, false);
    (void)scratch;
    for (size_t piece = 0; piece < QUERY_FLOATS; piece++)
        query[piece] = (float)(key >> (piece * PIECE_BITS) & 0xffff);
    return true;
}

static void random_score(const struct rec_model *model, const float *queries, size_t n,
                         uint32_t first, uint32_t count, float *scores) {
    for (size_t row = 0; row < n; row++) {
        uint64_t key = 0;
        for (size_t piece = 0; piece < QUERY_FLOATS; piece++)
            key |= (uint64_t)queries[row * QUERY_FLOATS + piece] << (piece * PIECE_BITS);
        draw(model, key, first, count, scores + row * count);
    }
}

static void random_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                           uint32_t count, float *scores) {
    draw(model, lot_key(model, item, true), first, count, scores);
}

const struct rec_family rec_random_family = {
    .name = "random",
    .help = "drawn by lot: another list for every user, the same one each time",
    .params = random_params,
    .param_count = sizeof(random_params) / sizeof(random_params[0]),
    .ignores_history = true,
    .fit = random_fit,
    .open = random_open,
    .close = random_close,
    .query = random_query,
    .score = random_score,
    .similar = random_similar,
    .explain = NULL,
};
