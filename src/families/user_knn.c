/* user-knn: what is liked by those whose history is most like this one.
 * source: Sarwar, Karypis, Konstan and Riedl, "Analysis of recommendation algorithms for
 *         e-commerce", EC 2000, section 3.2 (most-frequent items of the neighbourhood, by weight).
 *
 * With h a history's sums of weights and x_v those of user v, both weighted as documents (knn.h)
 * into h' and x'_v,
 *
 *   s_v = h'·x'_v / ((|h'| |x'_v|)^2e + shrinkage)     e exponent; the cosine at ½
 *   score_j = Σ_v s_v x_vj                             over the `neighbors` largest s_v
 *
 * The model is X itself, the users x items matrix, without ids and without users who did nothing.
 * Its weighted transpose is made when it is opened: then a history costs the users of its items, to
 * find the neighbours, and the items of the neighbours. A user's own row is a neighbour like any
 * other, found by likeness alone: the same history gets the same list, whoever has it.
 *
 * explain: h' is made of the events' weights, an item's part shared by its events, and everything
 * behind it is linear once the neighbours are known.
 *
 * similar: users who have both items, over the geometric mean of those who have either. */
#include <math.h>
#include <string.h>

#include "knn.h"
#include "recency.h"
#include "recsysd/data.h"
#include "recsysd/families.h"

static const struct rec_param user_knn_params[] = {
    {"neighbors", REC_PARAM_INT, 1, 10000, true, 100, NULL, "users a list is made from"},
    REC_KNN_WEIGHTING_PARAMS(REC_KNN_BM25, 1.2, 0.75),
    REC_KNN_SHRINKAGE_PARAM(0),
    {"exponent", REC_PARAM_FLOAT, 0, 1, false, 0.5, NULL,
     "how far users who do a lot are discounted as neighbors; 0.5: cosine"},
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range user_knn_tune[] = {
    {.name = "neighbors", .min = 20, .max = 1000, .log_scale = true},
    REC_KNN_TUNE,
    {.name = "exponent", .min = 0, .max = 0.8},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

struct user_knn {
    struct rec_csr matrix;    /* users x items: X; its arrays are the tensors' */
    struct rec_csr *postings; /* items x users, weighted */
    struct rec_knn_weighting weighting;
    double *scale; /* [users] |x'_v|^2e */
    double power;  /* 2e */
    double shrinkage;
    float recency;
    size_t neighbors; /* at most all users */
};

/* ---- fit ------------------------------------------------------------------------- */

static uint32_t active_users(const struct rec_csr *matrix) {
    uint32_t count = 0;
    for (uint32_t user = 0; user < matrix->rows; user++)
        count += matrix->offset[user] < matrix->offset[user + (size_t)1];
    return count;
}

static enum rec_status write_matrix(const struct rec_csr *matrix, struct rec_tensors *out,
                                    struct rec_error *err) {
    uint64_t entries = rec_csr_entries(matrix);
    void *offset = NULL, *item = NULL, *weight = NULL;
    enum rec_status st = rec_tensors_add(out, "offset", REC_TENSOR_U64, 1,
                                         (uint64_t)active_users(matrix) + 1, &offset, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "item", REC_TENSOR_U32, 1, entries, &item, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "weight", REC_TENSOR_F32, 1, entries, &weight, err);
    if (st != REC_OK)
        return st;
    uint64_t *next = offset;
    for (size_t user = 0; user < matrix->rows; user++)
        if (matrix->offset[user] < matrix->offset[user + 1])
            *++next = matrix->offset[user + 1];
    memcpy(item, matrix->column, entries * sizeof(*matrix->column));
    memcpy(weight, matrix->value, entries * sizeof(*matrix->value));
    return REC_OK;
}

static enum rec_status user_knn_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                    struct rec_error *err) {
    struct rec_csr *matrix = NULL;
    enum rec_status st = rec_knn_matrix(fit, "user-knn", &matrix, err);
    if (st == REC_OK)
        st = write_matrix(matrix, out, err);
    rec_csr_destroy(&matrix);
    if (st == REC_OK)
        rec_progress_report(fit->progress, "fit", 1.0, (double)NAN);
    if (st == REC_OK && rec_progress_cancelled(fit->progress))
        st = rec_error_set(err, REC_CANCELLED, "user-knn: cancelled");
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

/* The matrix twice: as it is made and as tensors, then the tensors and their transpose. */
static size_t user_knn_fit_bytes(const struct rec_fit *fit) {
    double users = fit->data->users, items = fit->data->items;
    double bytes = 16.0 * rec_knn_events(fit->data) + 16.0 * users + 24.0 * items;
    return bytes < (double)SIZE_MAX / 2 ? (size_t)bytes : SIZE_MAX;
}

/* ---- open ------------------------------------------------------------------------ */

static enum rec_status check_user(const struct rec_csr *matrix, size_t user,
                                  struct rec_error *err) {
    for (uint64_t k = matrix->offset[user]; k < matrix->offset[user + 1]; k++) {
        bool rises = k == matrix->offset[user] || matrix->column[k] > matrix->column[k - 1];
        if (matrix->column[k] >= matrix->cols || !rises)
            return rec_error_set(err, REC_CORRUPT,
                                 "user-knn: row %zu names item %u of %u, out of range or out of "
                                 "order",
                                 user, matrix->column[k], matrix->cols);
        if (!(matrix->value[k] > 0.0f && matrix->value[k] <= REC_KNN_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "user-knn: row %zu has %g of item %u, expected more than 0 and at "
                                 "most %g",
                                 user, (double)matrix->value[k], matrix->column[k],
                                 (double)REC_KNN_VALUE_MAX);
    }
    return REC_OK;
}

static enum rec_status check_matrix(const struct rec_csr *matrix, uint64_t entries,
                                    struct rec_error *err) {
    enum rec_status st = REC_OK;
    bool good = matrix->offset[0] == 0 && matrix->offset[matrix->rows] == entries;
    for (size_t user = 0; good && user < matrix->rows; user++)
        good = matrix->offset[user] < matrix->offset[user + 1];
    if (!good)
        return rec_error_set(err, REC_CORRUPT,
                             "user-knn: the offsets of %u users do not rise from 0 to %llu",
                             matrix->rows, (unsigned long long)entries);
    for (size_t user = 0; st == REC_OK && user < matrix->rows; user++)
        st = check_user(matrix, user, err);
    return st;
}

static enum rec_status find_matrix(const struct rec_model *model, struct rec_csr *out,
                                   struct rec_error *err) {
    const struct rec_tensor *offset = NULL, *item = NULL, *weight = NULL;
    const struct rec_tensors *tensors = &model->tensors;
    enum rec_status st = rec_tensors_get(tensors, "offset", REC_TENSOR_U64, 1, 0, &offset, err);
    if (st == REC_OK)
        st = rec_tensors_get(tensors, "item", REC_TENSOR_U32, 1, 0, &item, err);
    if (st == REC_OK)
        st = rec_tensors_get(tensors, "weight", REC_TENSOR_F32, 1, 0, &weight, err);
    if (st != REC_OK)
        return st;
    if (offset->cols < 2 || offset->cols > UINT32_MAX || item->cols != weight->cols)
        return rec_error_set(err, REC_CORRUPT, "user-knn: %llu offsets, %llu items, %llu weights",
                             (unsigned long long)offset->cols, (unsigned long long)item->cols,
                             (unsigned long long)weight->cols);
    *out = (struct rec_csr){(uint32_t)(offset->cols - 1), model->items, offset->data, item->data,
                            weight->data};
    return check_matrix(out, item->cols, err);
}

static float posting_of(const struct user_knn *self, double x, double length, uint32_t item) {
    return (float)rec_knn_weight(&self->weighting, x, length, item);
}

/* Users' rows are weighted where they are needed, so that X stays the only copy of itself. */
static enum rec_status weigh(struct user_knn *self, struct rec_error *err) {
    const struct rec_csr *matrix = &self->matrix;
    enum rec_status st = rec_csr_transpose(matrix, &self->postings, err);
    if (st != REC_OK)
        return st;
    self->scale = rec_alloc_array(matrix->rows, 2 * sizeof(double));
    if (self->scale == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "user-knn: no memory for %u users", matrix->rows);
    double *length = self->scale + matrix->rows;
    for (uint32_t user = 0; user < matrix->rows; user++)
        length[user] = rec_knn_length(matrix, user);
    for (uint32_t item = 0; item < matrix->cols; item++)
        for (uint64_t k = self->postings->offset[item];
             k < self->postings->offset[item + (size_t)1]; k++) {
            uint32_t user = self->postings->column[k];
            float *value = &self->postings->value[k];
            *value = posting_of(self, (double)*value, length[user], item);
            self->scale[user] += (double)*value * (double)*value;
        }
    for (uint32_t user = 0; user < matrix->rows; user++)
        self->scale[user] = pow(self->scale[user], self->power / 2.0);
    return REC_OK;
}

static void free_self(struct user_knn *self) {
    rec_csr_destroy(&self->postings);
    rec_knn_weighting_finish(&self->weighting);
    rec_alloc_free(self->scale);
    rec_alloc_free(self);
}

static void user_knn_close(struct rec_model *model) {
    free_self(model->self);
    model->self = NULL;
}

static enum rec_status user_knn_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_params *params = &model->params;
    struct rec_csr matrix;
    enum rec_status st = find_matrix(model, &matrix, err);
    if (st != REC_OK)
        return st;
    struct user_knn *self = rec_alloc_array(1, sizeof(*self));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "user-knn: no memory to open the model");
    self->matrix = matrix;
    self->power = 2.0 * rec_params_get(params, "exponent");
    self->shrinkage = rec_params_get(params, "shrinkage");
    self->recency = (float)rec_params_get(params, "recency");
    self->neighbors = (size_t)rec_params_get(params, "neighbors");
    if (self->neighbors > matrix.rows)
        self->neighbors = matrix.rows;
    st = rec_knn_weighting_init(&self->weighting, params, &matrix, err);
    if (st == REC_OK)
        st = weigh(self, err);
    if (st != REC_OK) {
        free_self(self);
        return st;
    }
    model->self = self;
    model->query_floats = model->items; /* the scores themselves */
    model->scratch_floats = matrix.rows + 3 * (size_t)model->items + 2 * self->neighbors;
    return REC_OK;
}

/* ---- the neighbours of a history -------------------------------------------------- */

struct fold {
    float *product; /* [users] h'·x'_v */
    float *own;     /* [items] of the history: its sums */
    float *heavy;   /* [items] of the history: h' */
    float *row;     /* [items] explain's */
    struct rec_topk near;
};

static struct rec_recency begin_walk(const struct rec_model *model,
                                     const struct rec_history *history) {
    const struct user_knn *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->recency, model->items, history);
    walk.most = REC_KNN_VALUE_MAX;
    return walk;
}

/* Returns |h'|². */
static double weigh_history(const struct rec_model *model, const struct rec_history *history,
                            double length, struct fold *fold) {
    const struct user_knn *self = model->self;
    double squares = 0.0;
    for (size_t e = 0; e < history->count; e++)
        if (history->events[e].item < model->items)
            fold->heavy[history->events[e].item] = 0.0f;
    for (size_t e = 0; e < history->count; e++) {
        uint32_t item = history->events[e].item;
        if (item >= model->items || !(fold->own[item] > 0.0f) || fold->heavy[item] > 0.0f)
            continue;
        double weight = rec_knn_weight(&self->weighting, (double)fold->own[item], length, item);
        squares += weight * weight;
        fold->heavy[item] = (float)weight;
    }
    return squares;
}

/* The part of h' that an event of this weight brings. Its share of the sum comes first: h' over a
 * sum that is nearly 0 would be beyond float. */
static float part_of(const struct fold *fold, uint32_t item, float weight) {
    return weight / fold->own[item] * fold->heavy[item];
}

static void add_products(const struct rec_model *model, const struct rec_history *history,
                         struct fold *fold) {
    const struct user_knn *self = model->self;
    const struct rec_csr *postings = self->postings;
    struct rec_recency walk = begin_walk(model, history);
    memset(fold->product, 0, self->matrix.rows * sizeof(*fold->product));
    for (size_t e = 0; e < history->count; e++) {
        uint32_t item = history->events[e].item;
        float weight = rec_recency_next(&walk, &history->events[e]);
        if (!(weight > 0.0f))
            continue;
        weight = part_of(fold, item, weight);
        for (uint64_t k = postings->offset[item]; k < postings->offset[item + (size_t)1]; k++)
            fold->product[postings->column[k]] += weight * postings->value[k];
    }
}

static struct fold find_neighbors(const struct rec_model *model, const struct rec_history *history,
                                  float *scratch) {
    const struct user_knn *self = model->self;
    struct fold fold = {.product = scratch, .own = scratch + self->matrix.rows};
    fold.heavy = fold.own + model->items;
    fold.row = fold.heavy + model->items;
    rec_topk_init(&fold.near, (struct rec_ranked *)(void *)(fold.row + model->items),
                  self->neighbors); /* heap memory */
    double length = rec_recency_add_up(begin_walk(model, history), history, fold.own);
    double scale = pow(weigh_history(model, history, length, &fold), self->power / 2.0);
    add_products(model, history, &fold);
    for (uint32_t user = 0; user < self->matrix.rows; user++) {
        if (!(fold.product[user] > 0.0f))
            continue;
        double s = (double)fold.product[user] / (scale * self->scale[user] + self->shrinkage);
        rec_topk_offer(&fold.near, user,
                       s < (double)REC_KNN_VALUE_MAX ? (float)s : REC_KNN_VALUE_MAX);
    }
    rec_topk_finish(&fold.near);
    return fold;
}

/* ---- query, score ----------------------------------------------------------------- */

static bool user_knn_query(const struct rec_model *model, const struct rec_history *history,
                           float *query, float *scratch) {
    const struct user_knn *self = model->self;
    const struct rec_csr *matrix = &self->matrix;
    struct fold fold = find_neighbors(model, history, scratch);
    memset(query, 0, model->items * sizeof(*query));
    for (size_t n = 0; n < fold.near.count; n++) {
        size_t user = fold.near.kept[n].item;
        for (uint64_t k = matrix->offset[user]; k < matrix->offset[user + 1]; k++)
            query[matrix->column[k]] += fold.near.kept[n].score * matrix->value[k];
    }
    return fold.near.count > 0;
}

static void user_knn_score(const struct rec_model *model, const float *queries, size_t n,
                           uint32_t first, uint32_t count, float *scores) {
    for (size_t row = 0; row < n; row++)
        memcpy(scores + row * count, queries + row * model->items + first, count * sizeof(*scores));
}

/* ---- similar, explain --------------------------------------------------------------- */

/* The place of the first entry of the user's row at or behind this item. */
static uint64_t find(const struct rec_csr *matrix, size_t user, uint32_t item) {
    return rec_csr_find(matrix->column, matrix->offset[user], matrix->offset[user + 1], item);
}

static uint64_t users_of(const struct user_knn *self, size_t item) {
    return self->postings->offset[item + 1] - self->postings->offset[item];
}

static void user_knn_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                             uint32_t count, float *scores) {
    const struct user_knn *self = model->self;
    const struct rec_csr *matrix = &self->matrix, *postings = self->postings;
    memset(scores, 0, count * sizeof(*scores));
    for (uint64_t p = postings->offset[item]; p < postings->offset[item + (size_t)1]; p++) {
        size_t user = postings->column[p];
        for (uint64_t k = find(matrix, user, first);
             k < matrix->offset[user + 1] && matrix->column[k] - first < count; k++)
            scores[matrix->column[k] - first] += 1.0f;
    }
    for (uint32_t j = 0; j < count; j++)
        if (scores[j] > 0.0f)
            scores[j] /=
                sqrtf((float)users_of(self, item)) * sqrtf((float)users_of(self, first + j));
}

/* Adds what one neighbour brings to one asked item, event by event. fold->row: x'_v */
static void add_shares(const struct rec_model *model, const struct rec_history *history,
                       const struct fold *fold, double factor, float *shares) {
    struct rec_recency walk = begin_walk(model, history);
    for (size_t e = 0; e < history->count; e++) {
        uint32_t item = history->events[e].item;
        float weight = rec_recency_next(&walk, &history->events[e]);
        if (weight > 0.0f)
            shares[e] +=
                (float)((double)part_of(fold, item, weight) * (double)fold->row[item] * factor);
    }
}

static void user_knn_explain(const struct rec_model *model, const struct rec_history *history,
                             const uint32_t *items, size_t n, float *shares, float *scratch) {
    const struct user_knn *self = model->self;
    const struct rec_csr *matrix = &self->matrix;
    struct fold fold = find_neighbors(model, history, scratch);
    for (size_t e = 0; e < history->count; e++) /* nothing else is looked at */
        if (history->events[e].item < model->items)
            fold.row[history->events[e].item] = 0.0f;
    memset(shares, 0, n * history->count * sizeof(*shares));
    for (size_t v = 0; v < fold.near.count; v++) {
        uint32_t user = fold.near.kept[v].item;
        uint64_t begin = matrix->offset[user], end = matrix->offset[user + (size_t)1];
        double length = rec_knn_length(matrix, user);
        for (uint64_t k = begin; k < end; k++)
            fold.row[matrix->column[k]] =
                posting_of(self, (double)matrix->value[k], length, matrix->column[k]);
        for (size_t i = 0; i < n; i++) {
            uint64_t k = find(matrix, user, items[i]);
            if (k < end && matrix->column[k] == items[i])
                add_shares(model, history, &fold,
                           (double)matrix->value[k] *
                               ((double)fold.near.kept[v].score / (double)fold.product[user]),
                           shares + i * history->count);
        }
        for (uint64_t k = begin; k < end; k++)
            fold.row[matrix->column[k]] = 0.0f;
    }
}

const struct rec_family rec_user_knn_family = {
    .name = "user-knn",
    .help = "what the users with the most alike histories have: nearest neighbours",
    .params = user_knn_params,
    .param_count = sizeof(user_knn_params) / sizeof(user_knn_params[0]),
    .tune = user_knn_tune,
    .ignores_history = false,
    .fit = user_knn_fit,
    .fit_bytes = user_knn_fit_bytes,
    .open = user_knn_open,
    .close = user_knn_close,
    .query = user_knn_query,
    .score = user_knn_score,
    .similar = user_knn_similar,
    .explain = user_knn_explain,
};
