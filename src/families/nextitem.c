/* next-item: what comes next after the last few items, in closed form.
 * source: Choi, Kim, Lee, Shim and Lee, "Session-aware linear item-item models for session-based
 * recommendation" (SLIST, its transition part SLIT), WWW 2021; with several time scales.
 *
 * Every history is cut after each of its events but the last. A cut c is one row of a ridge
 * regression: its inputs are the past, faded at the scales tau_1 .. tau_m side by side, and its
 * targets the future, faded at target_tau,
 *
 *   s_c[a, i] = Σ_{p <= c, item p is i} x_p exp(-(c - p) / tau_a)
 *   t_c[j]    = Σ_{q > c,  item q is j} x_q exp(-(q - c - 1) / target_tau)
 *
 *   B = argmin Σ_c v_c |t_c - Bᵀ s_c|² + regularization |B|²
 *     = (Σ v s sᵀ + regularization I)⁻¹ Σ v s tᵀ
 *
 * where p and q count events, x is an event's weight, and v is the same for all cuts of a user:
 * (events of the user)^-user_power. nextitem_fit.c says how the sums are made without making the
 * rows. What is answered with is not B itself but
 *
 *   w[(a, i), j] = c_a sign(B) |B[(a, i), j]|^weight_power / (5 + events of j)^popularity_power
 *
 * with c_a first_boost for the first scale that is on and 1 for the others. A weight power below 1
 * makes what many events hint at count for more beside what one says loudly; the boost gives back
 * to the newest events what that takes from them; and a ridge pulls what is rare down more than
 * what is frequent, hence the last.
 *
 * A history is answered with the row of a cut after its last event, times w: a sum over its events,
 * so what each adds is exact, and a new interaction counts at once, more than any before it.
 *
 * Items nobody has an event with are no part of w: it is [scales x used, used], and the tensor
 * `item` names the used ones. With density < 1 the entries next to zero are left out, and w is
 * three tensors of compressed rows.
 *
 * similar: Σ_a w[(a, i), j], what the newest event of item i adds to the score of j: "what comes
 * after". It is not mutual: the second part follows from the first, not the other way round. */
#include <math.h>
#include <string.h>

#include "nextitem.h"
#include "recsysd/data.h"
#include "recsysd/families.h"

#define TAU_MAX 1e4
/* What counts less than this beside the newest event is passed over (9.2 tau events back): a long
 * history then costs what its end costs. */
#define FADED 1e-4

static const struct rec_param nextitem_params[] = {
    {"tau1", REC_PARAM_FLOAT, 0, TAU_MAX, false, 1, NULL,
     "events after which an earlier one counts 1/e; 0 = this scale is off"},
    {"tau2", REC_PARAM_FLOAT, 0, TAU_MAX, false, 8, NULL, "a second scale; 0 = off"},
    {"tau3", REC_PARAM_FLOAT, 0, TAU_MAX, false, 0, NULL,
     "a third scale; 0 = off (each adds (scales x items)^2 floats to training)"},
    {"target_tau", REC_PARAM_FLOAT, 0.1, TAU_MAX, true, 2, NULL,
     "how far ahead it looks: more aims at the next few items, less at the very next"},
    {"regularization", REC_PARAM_FLOAT, 1e-3, 1e9, true, 500, NULL,
     "pulls all weights to zero; more trusts only what many did"},
    {"user_power", REC_PARAM_FLOAT, 0, 1, false, 0, NULL,
     "histories of n events count n^-power: above 0, long ones count less"},
    {"popularity_power", REC_PARAM_FLOAT, -1, 1, false, 0.1, NULL,
     "scores are divided by (5 + events of the item)^power: above 0, rare items gain"},
    {"weight_power", REC_PARAM_FLOAT, 0.1, 4, true, 1, NULL,
     "weights are raised to it: below 1, many small hints count for more beside a large one"},
    {"first_boost", REC_PARAM_FLOAT, 1e-3, 1e3, true, 1, NULL,
     "weights of the first scale that is on are multiplied by it"},
    {"density", REC_PARAM_FLOAT, 1e-6, 1, true, 1, NULL,
     "share of the weights kept, the largest ones; 1 = all, as a dense matrix"},
};

static const struct rec_tune_range nextitem_tune[] = {
    {.name = "tau1", .min = 0.3, .max = 5, .log_scale = true},
    {.name = "tau2", .min = 3, .max = 50, .log_scale = true, .zero = true},
    {.name = "target_tau", .min = 0.5, .max = 10, .log_scale = true},
    {.name = "regularization", .min = 10, .max = 1e4, .log_scale = true},
    {.name = "popularity_power", .min = 0, .max = 0.3},
    {.name = "weight_power", .min = 0.5, .max = 1},
    {.name = "first_boost", .min = 1, .max = 3, .log_scale = true},
    {.name = "density"},
    {.name = NULL},
};
enum { PARAM_COUNT = sizeof(nextitem_params) / sizeof(nextitem_params[0]) };

enum { NOT_USED = -1 };

/* w, dense (value [scales x used, used]) or in compressed rows. */
struct nextitem {
    struct nextitem_scales scales;
    uint32_t used;
    const uint32_t *item;   /* [used] rising */
    const uint64_t *offset; /* [scales x used + 1]; NULL: dense */
    const uint32_t *column;
    const float *value;
    int32_t place[]; /* [items] an item's number among the used ones, or NOT_USED */
};

struct nextitem_scales rec_nextitem_scales(const struct rec_params *params) {
    static const char *const names[REC_NEXTITEM_SCALES_MAX] = {"tau1", "tau2", "tau3"};
    struct nextitem_scales scales = {.count = 0};
    for (size_t i = 0; i < REC_NEXTITEM_SCALES_MAX; i++) {
        double tau = rec_params_get(params, names[i]);
        if (tau > 0.0)
            scales.tau[scales.count++] = tau;
    }
    return scales;
}

/* ---- open ------------------------------------------------------------------------------ */

static enum rec_status check_items(const struct rec_tensor *item, uint32_t items,
                                   struct rec_error *err) {
    const uint32_t *value = item->data;
    for (uint64_t i = 0; i < item->cols; i++)
        if (value[i] >= items || (i > 0 && value[i] <= value[i - 1]))
            return rec_error_set(err, REC_CORRUPT,
                                 "next-item: item %u at place %llu; expected rising numbers below "
                                 "%u",
                                 value[i], (unsigned long long)i, items);
    return REC_OK;
}

static enum rec_status check_values(const struct rec_tensor *tensor, struct rec_error *err) {
    const float *value = tensor->data;
    for (uint64_t i = 0; i < tensor->rows * tensor->cols; i++)
        if (!(fabsf(value[i]) <= REC_NEXTITEM_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "next-item: %s [%llu] is %g, expected a number within %g",
                                 tensor->name, (unsigned long long)i, (double)value[i],
                                 (double)REC_NEXTITEM_VALUE_MAX);
    return REC_OK;
}

/* Rows are within the entries, and columns rise within each. */
static enum rec_status check_rows(const uint64_t *offset, uint64_t rows, const uint32_t *column,
                                  uint64_t entries, uint32_t used, struct rec_error *err) {
    bool good = offset[0] == 0 && offset[rows] == entries;
    for (uint64_t r = 0; good && r < rows; r++)
        good = offset[r] <= offset[r + 1] && offset[r + 1] <= entries;
    for (uint64_t r = 0; good && r < rows; r++)
        for (uint64_t k = offset[r]; good && k < offset[r + 1]; k++)
            good = column[k] < used && (k == offset[r] || column[k - 1] < column[k]);
    return good ? REC_OK
                : rec_error_set(err, REC_CORRUPT,
                                "next-item: the compressed rows of %llu entries are not in order",
                                (unsigned long long)entries);
}

static enum rec_status find_sparse(const struct rec_model *model, uint32_t used, size_t scales,
                                   struct nextitem *out, struct rec_error *err) {
    const struct rec_tensor *offset, *column, *value;
    enum rec_status st = rec_tensors_get(&model->tensors, "offset", REC_TENSOR_U64, 1,
                                         (uint64_t)scales * used + 1, &offset, err);
    if (st == REC_OK)
        st = rec_tensors_get(&model->tensors, "column", REC_TENSOR_U32, 1, 0, &column, err);
    if (st == REC_OK)
        st =
            rec_tensors_get(&model->tensors, "value", REC_TENSOR_F32, 1, column->cols, &value, err);
    if (st == REC_OK)
        st = check_rows(offset->data, offset->cols - 1, column->data, column->cols, used, err);
    if (st == REC_OK)
        st = check_values(value, err);
    if (st != REC_OK)
        return st;
    out->offset = offset->data;
    out->column = column->data;
    out->value = value->data;
    return REC_OK;
}

static enum rec_status find_dense(const struct rec_model *model, uint32_t used, size_t scales,
                                  struct nextitem *out, struct rec_error *err) {
    const struct rec_tensor *weight;
    enum rec_status st = rec_tensors_get(&model->tensors, "weight", REC_TENSOR_F32,
                                         (uint64_t)scales * used, used, &weight, err);
    if (st == REC_OK)
        st = check_values(weight, err);
    if (st == REC_OK)
        out->value = weight->data;
    return st;
}

static enum rec_status nextitem_open(struct rec_model *model, struct rec_error *err) {
    struct nextitem found = {.scales = rec_nextitem_scales(&model->params)};
    const struct rec_tensor *item = NULL;
    if (found.scales.count == 0)
        return rec_error_set(err, REC_CORRUPT, "next-item: tau1, tau2 and tau3 are all 0");
    enum rec_status st = rec_tensors_get(&model->tensors, "item", REC_TENSOR_U32, 1, 0, &item, err);
    if (st == REC_OK)
        st = check_items(item, model->items, err);
    if (st != REC_OK)
        return st;
    found.used = (uint32_t)item->cols;
    found.item = item->data;
    st = rec_params_get(&model->params, "density") < 1.0
             ? find_sparse(model, found.used, found.scales.count, &found, err)
             : find_dense(model, found.used, found.scales.count, &found, err);
    if (st != REC_OK)
        return st;

    struct nextitem *self = rec_alloc_extra(sizeof(*self), model->items, sizeof(int32_t));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "next-item: no memory for %u items", model->items);
    *self = found;
    for (uint32_t i = 0; i < model->items; i++)
        self->place[i] = NOT_USED;
    for (uint32_t i = 0; i < self->used; i++)
        self->place[self->item[i]] = (int32_t)i;
    model->self = self;
    model->query_floats = model->items; /* the scores themselves */
    model->scratch_floats = self->used;
    return REC_OK;
}

static void nextitem_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- query ------------------------------------------------------------------------------- */

/* Walks back through what a history says, newest first. */
struct walk {
    const struct rec_model *model;
    const struct rec_history *history;
    size_t left;  /* events not looked at yet */
    size_t rank;  /* how many that count came after the present one */
    size_t event; /* the present one */
    uint32_t place;
    float weight[REC_NEXTITEM_SCALES_MAX]; /* of its rows */
};

/* To the next event that counts. False when there is none, or all before have faded. */
static bool walk_back(struct walk *walk) {
    const struct nextitem *self = walk->model->self;
    while (walk->left > 0) {
        const struct rec_event *event = &walk->history->events[--walk->left];
        if (event->item >= walk->model->items || !(event->weight > 0.0f) ||
            self->place[event->item] == NOT_USED)
            continue;
        float weight = fminf(event->weight, REC_NEXTITEM_VALUE_MAX);
        bool counts = false;
        for (size_t a = 0; a < self->scales.count; a++) {
            double fading = exp(-(double)walk->rank / self->scales.tau[a]);
            walk->weight[a] = fading < FADED ? 0.0f : weight * (float)fading;
            counts = counts || fading >= FADED;
        }
        walk->place = (uint32_t)self->place[event->item];
        walk->event = walk->left;
        walk->rank++;
        return counts;
    }
    return false;
}

static void add_sparse_row(const struct nextitem *self, size_t row, float weight, float *sum) {
    for (uint64_t k = self->offset[row]; k < self->offset[row + 1]; k++)
        sum[self->column[k]] += weight * self->value[k];
}

/* Rows of w to be added to a sum together, which reads the sum once and not once a row. */
struct rows {
    uint32_t index[64];
    float weight[64];
    size_t count;
};

static void add_rows(const struct nextitem *self, struct rows *rows, float *sum) {
    if (self->offset == NULL)
        rec_kernels_sum_rows(self->value, rows->index, rows->weight, rows->count, self->used, sum);
    for (size_t i = 0; self->offset != NULL && i < rows->count; i++)
        add_sparse_row(self, rows->index[i], rows->weight[i], sum);
    rows->count = 0;
}

static bool nextitem_query(const struct rec_model *model, const struct rec_history *history,
                           float *query, float *scratch) {
    const struct nextitem *self = model->self;
    struct walk walk = {.model = model, .history = history, .left = history->count};
    struct rows rows = {.count = 0};
    float *sum = scratch;
    memset(sum, 0, self->used * sizeof(*sum));
    while (walk_back(&walk))
        for (size_t a = 0; a < self->scales.count; a++) {
            if (!(walk.weight[a] > 0.0f))
                continue;
            if (rows.count == sizeof(rows.index) / sizeof(rows.index[0]))
                add_rows(self, &rows, sum);
            rows.index[rows.count] = (uint32_t)(a * self->used + walk.place);
            rows.weight[rows.count++] = walk.weight[a];
        }
    add_rows(self, &rows, sum);

    bool says_something = false;
    memset(query, 0, model->query_floats * sizeof(*query));
    for (uint32_t i = 0; i < self->used; i++) {
        query[self->item[i]] = sum[i];
        says_something = says_something || sum[i] != 0.0f;
    }
    return says_something; /* nothing ever followed these items: then popular ones do */
}

/* ---- score, similar, explain ------------------------------------------------------------ */

static void nextitem_score(const struct rec_model *model, const float *queries, size_t n,
                           uint32_t first, uint32_t count, float *scores) {
    for (size_t row = 0; row < n; row++)
        memcpy(scores + row * count, queries + row * model->query_floats + first,
               count * sizeof(*scores));
}

static void add_slice(const struct rec_model *model, size_t row, uint32_t first, uint32_t count,
                      float *scores) {
    const struct nextitem *self = model->self;
    if (self->offset == NULL) {
        const float *value = self->value + row * self->used;
        for (uint32_t i = 0; i < count; i++)
            if (self->place[first + i] != NOT_USED)
                scores[i] += value[self->place[first + i]];
        return;
    }
    for (uint64_t k = self->offset[row]; k < self->offset[row + 1]; k++) {
        uint32_t item = self->item[self->column[k]];
        if (item >= first && item - first < count)
            scores[item - first] += self->value[k];
    }
}

static void nextitem_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                             uint32_t count, float *scores) {
    const struct nextitem *self = model->self;
    memset(scores, 0, count * sizeof(*scores));
    for (size_t a = 0; a < self->scales.count && self->place[item] != NOT_USED; a++)
        add_slice(model, a * self->used + (size_t)self->place[item], first, count, scores);
}

static float weight_at(const struct nextitem *self, size_t row, uint32_t column) {
    if (self->offset == NULL)
        return self->value[row * self->used + column];
    uint64_t end = self->offset[row + 1];
    uint64_t at = rec_csr_find(self->column, self->offset[row], end, column);
    return at < end && self->column[at] == column ? self->value[at] : 0.0f;
}

static void nextitem_explain(const struct rec_model *model, const struct rec_history *history,
                             const uint32_t *items, size_t n, float *shares, float *scratch) {
    const struct nextitem *self = model->self;
    struct walk walk = {.model = model, .history = history, .left = history->count};
    (void)scratch;
    memset(shares, 0, n * history->count * sizeof(*shares));
    while (walk_back(&walk))
        for (size_t i = 0; i < n; i++) {
            if (items[i] >= model->items || self->place[items[i]] == NOT_USED)
                continue;
            float *share = &shares[i * history->count + walk.event];
            for (size_t a = 0; a < self->scales.count; a++)
                *share += walk.weight[a] * weight_at(self, a * self->used + walk.place,
                                                     (uint32_t)self->place[items[i]]);
        }
}

const struct rec_family rec_nextitem_family = {
    .name = "next-item",
    .help = "what comes next after the last few items: order matters, closed form",
    .params = nextitem_params,
    .param_count = PARAM_COUNT,
    .tune = nextitem_tune,
    .ignores_history = false,
    .similar_is_directed = true,
    .fit = rec_nextitem_fit,
    .fit_bytes = rec_nextitem_fit_bytes,
    .open = nextitem_open,
    .close = nextitem_close,
    .query = nextitem_query,
    .score = nextitem_score,
    .similar = nextitem_similar,
    .explain = nextitem_explain,
};
