/* ease: embarrassingly shallow autoencoder, a linear item-item model in closed form.
 * source: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
 *
 * With X the users x items matrix, B minimises
 *
 *   |X - X B|² + regularization |B|²     subject to diag(B) = 0       (equation 2)
 *
 * and P = (XᵀX + regularization I)⁻¹ gives it: B_ij = -P_ij / P_jj off the diagonal (equation 8).
 * No other linear item-item model is both this good and free of tuning: entries may be negative,
 * which neighbour counts cannot say.
 *
 * A history x is answered with x B, the sum of its items' rows: so trained users, new users and
 * sessions are alike, an interaction just posted counts at once, and the sum's terms explain the
 * score exactly. That sum is the query, and score() only copies from it.
 *
 * similar: -P_ij / √(P_ii P_jj), the correlation of two items with all others held fixed. It is
 * what B says, made symmetric: B_ij √P_jj / √P_ii. The tensor scale holds √P_ii.
 *
 * density keeps the largest entries only: smaller files and quicker answers for large catalogues.
 * Fitting needs the whole matrix all the same. */
#include <math.h>
#include <string.h>

#include "ease.h"
#include "recency.h"
#include "recsysd/families.h"

static const char *const inputs[] = {
    [REC_EASE_WEIGHTS] = "weights", [REC_EASE_BINARY] = "binary", NULL};

static const struct rec_param ease_params[] = {
    {"regularization", REC_PARAM_FLOAT, 1e-3, 1e9, true, 300, NULL,
     "pulls the weights between items to zero; more is smoother and more popular"},
    {"density", REC_PARAM_FLOAT, 1e-6, 1, true, 1, NULL,
     "the part of the items x items weights that is kept, the largest; 1: all"},
    {"input", REC_PARAM_CHOICE, 0, 1, false, REC_EASE_WEIGHTS, inputs,
     "weights: what a user did with an item adds up; binary: once is as often"},
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range ease_tune[] = {
    {.name = "regularization", .min = 10, .max = 3e5, .log_scale = true},
    {.name = "density"},
    REC_RECENCY_TUNE,
    {.name = NULL},
};
enum { PARAM_COUNT = sizeof(ease_params) / sizeof(ease_params[0]) };

/* B, dense or sparse. */
struct ease {
    const float *dense; /* [items x items], or NULL and: */
    const uint64_t *offset;
    const uint32_t *column;
    const float *value;
    const float *scale; /* [items] √P_ii; 0: nothing is known of the item */
    float recency;
    bool binary;
};

/* ---- open ------------------------------------------------------------------------ */

static enum rec_status check_values(const struct rec_tensor *tensor, float least,
                                    struct rec_error *err) {
    const float *value = tensor->data;
    for (uint64_t i = 0; i < tensor->rows * tensor->cols; i++)
        if (!(value[i] >= least && value[i] <= REC_EASE_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "ease: number %llu of %s is %g, expected one within %g and %g",
                                 (unsigned long long)i, tensor->name, (double)value[i],
                                 (double)least, (double)REC_EASE_VALUE_MAX);
    return REC_OK;
}

/* 0, or so far from it that no quotient of two passes a float. */
static enum rec_status check_scale(const struct rec_tensor *scale, struct rec_error *err) {
    enum rec_status st = check_values(scale, 0.0f, err);
    const float *value = scale->data;
    for (uint64_t i = 0; st == REC_OK && i < scale->cols; i++)
        if (value[i] > 0.0f && value[i] < 1.0f / REC_EASE_VALUE_MAX)
            return rec_error_set(err, REC_CORRUPT, "ease: the scale of item %llu is %g",
                                 (unsigned long long)i, (double)value[i]);
    return st;
}

static enum rec_status open_dense(const struct rec_model *model, struct ease *self,
                                  struct rec_error *err) {
    const struct rec_tensor *weights = NULL;
    enum rec_status st = rec_tensors_get(&model->tensors, "weights", REC_TENSOR_F32, model->items,
                                         model->items, &weights, err);
    if (st != REC_OK)
        return st;
    self->dense = weights->data;
    return check_values(weights, -REC_EASE_VALUE_MAX, err);
}

/* Rows are whole, and the columns of each rise and are items. */
static enum rec_status check_rows(const struct ease *self, uint64_t items, uint64_t entries,
                                  struct rec_error *err) {
    if (self->offset[0] != 0 || self->offset[items] != entries)
        return rec_error_set(err, REC_CORRUPT, "ease: offsets %llu to %llu, expected 0 to %llu",
                             (unsigned long long)self->offset[0],
                             (unsigned long long)self->offset[items], (unsigned long long)entries);
    for (uint64_t i = 0; i < items; i++) {
        uint64_t begin = self->offset[i], end = self->offset[i + 1];
        if (begin > end || end > entries)
            return rec_error_set(err, REC_CORRUPT,
                                 "ease: the offsets %llu and %llu of row %llu do not rise to %llu",
                                 (unsigned long long)begin, (unsigned long long)end,
                                 (unsigned long long)i, (unsigned long long)entries);
        for (uint64_t k = begin; k < end; k++)
            if (self->column[k] >= items || (k > begin && self->column[k] <= self->column[k - 1]))
                return rec_error_set(err, REC_CORRUPT,
                                     "ease: column %u in row %llu is not above the one before, or "
                                     "not below %llu",
                                     self->column[k], (unsigned long long)i,
                                     (unsigned long long)items);
    }
    return REC_OK;
}

static enum rec_status open_sparse(const struct rec_model *model, struct ease *self,
                                   struct rec_error *err) {
    const struct rec_tensor *offset = NULL, *column = NULL, *value = NULL;
    const struct rec_tensors *set = &model->tensors;
    enum rec_status st =
        rec_tensors_get(set, "offset", REC_TENSOR_U64, 1, (uint64_t)model->items + 1, &offset, err);
    if (st == REC_OK)
        st = rec_tensors_get(set, "column", REC_TENSOR_U32, 1, 0, &column, err);
    if (st == REC_OK)
        st = rec_tensors_get(set, "value", REC_TENSOR_F32, 1, 0, &value, err);
    if (st != REC_OK)
        return st;
    if (column->cols != value->cols)
        return rec_error_set(err, REC_CORRUPT, "ease: %llu columns and %llu values",
                             (unsigned long long)column->cols, (unsigned long long)value->cols);
    self->offset = offset->data;
    self->column = column->data;
    self->value = value->data;
    st = check_rows(self, model->items, column->cols, err);
    return st == REC_OK ? check_values(value, -REC_EASE_VALUE_MAX, err) : st;
}

static enum rec_status ease_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_tensor *scale = NULL;
    struct ease found = {.dense = NULL};
    enum rec_status st =
        rec_tensors_get(&model->tensors, "scale", REC_TENSOR_F32, 1, model->items, &scale, err);
    if (st == REC_OK)
        st = check_scale(scale, err);
    if (st == REC_OK)
        st = rec_ease_is_sparse(&model->params) ? open_sparse(model, &found, err)
                                                : open_dense(model, &found, err);
    if (st != REC_OK)
        return st;
    found.scale = scale->data;
    found.recency = (float)rec_params_get(&model->params, "recency");
    found.binary = rec_params_get(&model->params, "input") == REC_EASE_BINARY;

    struct ease *self = rec_alloc_array(1, sizeof(*self));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "ease: no memory to open a model");
    *self = found;
    model->self = self;
    model->query_floats = model->items;
    model->scratch_floats = model->items;
    return REC_OK;
}

static void ease_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- a history ---------------------------------------------------------------------- */

/* Walks a history's events, oldest first, and tells what each weighs. */
struct walk {
    const struct rec_model *model;
    const struct rec_history *history;
    uint32_t *latest; /* [items] binary: of each item of the history, its last event */
    struct rec_recency recency;
    size_t next;
};

static struct walk begin_walk(const struct rec_model *model, const struct rec_history *history,
                              float *scratch) {
    const struct ease *self = model->self;
    struct walk walk = {.model = model, .history = history};
    walk.recency = rec_recency_begin(self->recency, model->items, history);
    walk.recency.most = REC_EASE_VALUE_MAX;
    walk.latest = (uint32_t *)(void *)scratch; /* heap memory */
    for (size_t e = 0; self->binary && e < history->count; e++)
        if (history->events[e].item < model->items && history->events[e].weight > 0.0f)
            walk.latest[history->events[e].item] = (uint32_t)e;
    return walk;
}

/* Of the next event; 0 when it says nothing. */
static float next_weight(struct walk *walk) {
    const struct ease *self = walk->model->self;
    size_t e = walk->next++;
    struct rec_event event = walk->history->events[e];
    if (self->binary && event.weight > 0.0f)
        event.weight = 1.0f;
    float weight = rec_recency_next(&walk->recency, &event);
    if (!(weight > 0.0f) || !(self->scale[event.item] > 0.0f))
        return 0.0f;
    if (self->binary && walk->latest[event.item] != (uint32_t)e)
        return 0.0f;
    return weight;
}

static void add_sparse(const struct ease *self, uint32_t item, float weight, float *query) {
    for (uint64_t k = self->offset[item]; k < self->offset[item + (size_t)1]; k++)
        query[self->column[k]] += weight * self->value[k];
}

static bool ease_query(const struct rec_model *model, const struct rec_history *history,
                       float *query, float *scratch) {
    enum { BATCH = 256 };
    const struct ease *self = model->self;
    struct walk walk = begin_walk(model, history, scratch);
    uint32_t item[BATCH];
    float weight[BATCH];
    size_t pending = 0;
    bool says_something = false;
    memset(query, 0, model->items * sizeof(*query));
    for (size_t e = 0; e < history->count; e++) {
        weight[pending] = next_weight(&walk);
        item[pending] = history->events[e].item;
        if (!(weight[pending] > 0.0f))
            continue;
        says_something = true;
        if (self->dense == NULL) {
            add_sparse(self, item[0], weight[0], query);
        } else if (++pending == BATCH) {
            rec_kernels_sum_rows(self->dense, item, weight, pending, model->items, query);
            pending = 0;
        }
    }
    if (pending > 0)
        rec_kernels_sum_rows(self->dense, item, weight, pending, model->items, query);
    return says_something;
}

/* ---- score, similar, explain --------------------------------------------------------- */

static void ease_score(const struct rec_model *model, const float *queries, size_t n,
                       uint32_t first, uint32_t count, float *scores) {
    for (size_t row = 0; row < n; row++)
        memcpy(scores + row * count, queries + row * model->items + first, count * sizeof(*scores));
}

/* The place of the first entry of the row at or behind this column. */
static uint64_t find(const struct ease *self, uint32_t row, uint32_t column) {
    return rec_csr_find(self->column, self->offset[row], self->offset[row + (size_t)1], column);
}

static float weight_between(const struct rec_model *model, uint32_t from, uint32_t to) {
    const struct ease *self = model->self;
    if (self->dense != NULL)
        return self->dense[(size_t)from * model->items + to];
    uint64_t k = find(self, from, to);
    return k < self->offset[from + (size_t)1] && self->column[k] == to ? self->value[k] : 0.0f;
}

static float likeness(const struct ease *self, uint32_t item, uint32_t other, float weight) {
    return self->scale[item] > 0.0f ? weight * (self->scale[other] / self->scale[item]) : 0.0f;
}

static void ease_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                         uint32_t count, float *scores) {
    const struct ease *self = model->self;
    if (self->dense != NULL) {
        const float *row = self->dense + (size_t)item * model->items + first;
        for (uint32_t i = 0; i < count; i++)
            scores[i] = likeness(self, item, first + i, row[i]);
        return;
    }
    memset(scores, 0, count * sizeof(*scores));
    for (uint64_t k = find(self, item, first); k < self->offset[item + (size_t)1]; k++) {
        uint32_t other = self->column[k];
        if (other - first >= count)
            break;
        scores[other - first] = likeness(self, item, other, self->value[k]);
    }
}

static void ease_explain(const struct rec_model *model, const struct rec_history *history,
                         const uint32_t *items, size_t n, float *shares, float *scratch) {
    struct walk walk = begin_walk(model, history, scratch);
    for (size_t e = 0; e < history->count; e++) {
        float weight = next_weight(&walk);
        uint32_t item = history->events[e].item;
        for (size_t i = 0; i < n; i++)
            shares[i * history->count + e] =
                weight > 0.0f ? weight * weight_between(model, item, items[i]) : 0.0f;
    }
}

const struct rec_family rec_ease_family = {
    .name = "ease",
    .help = "linear item-item model in closed form; strong from small to middling catalogues",
    .params = ease_params,
    .param_count = PARAM_COUNT,
    .tune = ease_tune,
    .ignores_history = false,
    .fit = rec_ease_fit,
    .fit_bytes = rec_ease_fit_bytes,
    .open = ease_open,
    .close = ease_close,
    .query = ease_query,
    .score = ease_score,
    .similar = ease_similar,
    .explain = ease_explain,
};
