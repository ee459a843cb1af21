/* Training of item-knn: all pairs of items that some user has both of, one row at a time.
 *
 * Row i is the sum, over the users of item i, of these users' own rows: the sum of n_u² operations
 * in all, and no pair without a common user is looked at. The whole row is made, although s_ij and
 * s_ji share their product: keeping one half for the other would cost memory for all pairs, where
 * rows only cost their neighbours. A worker has one row of sums and the list of what is in it.
 *
 * Rows are of length 1 before they are multiplied, so float holds every sum, whatever the weights
 * are; the lengths come back, in double, with the denominator. A product's sum runs over users in
 * rising order in both of its rows, and each row is one task's: the bits of a pair are mutual, and
 * the same for any number of threads. */
#include "item_knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "item_rows.h"
#include "knn.h"
#include "recsysd/data.h"

enum { ITEMS_PER_THREAD = 64 }; /* between two reports of progress */

/* Of a row's length. An entry below it is lost in a float's sum, but a product of two such would
 * be 0, and a sum of 0 is how an item that is not in the list yet is told. */
static const float least_entry = 1e-15f;

/* One worker's room. */
struct bench {
    float *sum;        /* [items] of products; all 0 between rows */
    uint32_t *touched; /* [items + 1] where sum is not 0, and one place to write in vain */
};

struct training {
    const struct rec_fit *fit;
    struct rec_csr *items, *users; /* weighted, each item's row of length 1; and its transpose */
    uint32_t count, neighbors;
    double shrinkage;
    double *length, *from, *to; /* [items] |w|, |w|^2a, |w|^2b */

    uint64_t *begin; /* [items + 1] where each row's neighbours are kept: at most so many */
    uint32_t *found; /* [items] and how many it has */
    struct rec_ranked *kept;

    size_t threads;
    struct bench *bench; /* [threads] */
    size_t first;        /* the item of task 0 */
};

/* ---- the matrix ------------------------------------------------------------------ */

static void weigh_row(struct training *t, const struct rec_knn_weighting *weighting, uint32_t i) {
    double document = rec_knn_length(t->items, i), squares = 0.0;
    uint64_t begin = t->items->offset[i], end = t->items->offset[i + (size_t)1];
    float *value = t->items->value;
    const uint32_t *user = t->items->column;
    for (uint64_t k = begin; k < end; k++) {
        double weight = rec_knn_weight(weighting, (double)value[k], document, user[k]);
        squares += weight * weight;
    }
    double length = sqrt(squares);
    for (uint64_t k = begin; k < end; k++) {
        double weight = rec_knn_weight(weighting, (double)value[k], document, user[k]);
        value[k] = fmaxf((float)(weight / length), least_entry);
    }
    t->length[i] = length;
    t->from[i] = pow(length, 2.0 * rec_params_get(t->fit->params, "from_exponent"));
    t->to[i] = pow(length, 2.0 * rec_params_get(t->fit->params, "to_exponent"));
}

static enum rec_status make_inputs(struct training *t, struct rec_error *err) {
    struct rec_knn_weighting weighting = {.idf = NULL};
    struct rec_csr *matrix = NULL;
    enum rec_status st = rec_knn_matrix(t->fit, "item-knn", &matrix, err);
    if (st == REC_OK)
        st = rec_csr_transpose(matrix, &t->items, err);
    rec_csr_destroy(&matrix);
    if (st == REC_OK)
        st = rec_knn_weighting_init(&weighting, t->fit->params, t->items, err);
    for (uint32_t i = 0; st == REC_OK && i < t->count; i++)
        weigh_row(t, &weighting, i);
    rec_knn_weighting_finish(&weighting);
    return st == REC_OK ? rec_csr_transpose(t->items, &t->users, err) : st;
}

/* ---- a row ------------------------------------------------------------------------ */

/* Sums the row of item i into b->sum; returns how many items are in it. */
static uint32_t add_row(const struct training *t, struct bench *b, uint32_t i) {
    const struct rec_csr *items = t->items, *users = t->users;
    float *sum = b->sum;
    uint32_t *touched = b->touched, count = 0;
    for (uint64_t k = items->offset[i]; k < items->offset[i + (size_t)1]; k++) {
        size_t user = items->column[k];
        float x = items->value[k];
        for (uint64_t e = users->offset[user]; e < users->offset[user + 1]; e++) {
            uint32_t j = users->column[e];
            touched[count] = j;
            count += sum[j] == 0.0f; /* no branch: users' rows are in no order to predict */
            sum[j] += x * users->value[e];
        }
    }
    return count;
}

static float likeness(const struct training *t, uint32_t i, uint32_t j, float product) {
    double s =
        (double)product * t->length[i] * t->length[j] / (t->from[i] * t->to[j] + t->shrinkage);
    return s < (double)REC_ITEM_ROWS_VALUE_MAX ? (float)s : REC_ITEM_ROWS_VALUE_MAX;
}

static int by_item(const void *a, const void *b) {
    uint32_t x = ((const struct rec_ranked *)a)->item, y = ((const struct rec_ranked *)b)->item;
    return (x > y) - (x < y);
}

static void row_task(void *context, size_t task, size_t worker) {
    struct training *t = context;
    struct bench *b = &t->bench[worker];
    uint32_t i = (uint32_t)(t->first + task);
    struct rec_topk top;
    if (rec_progress_cancelled(t->fit->progress))
        return;
    rec_topk_init(&top, t->kept + t->begin[i], (size_t)(t->begin[i + (size_t)1] - t->begin[i]));
    uint32_t count = add_row(t, b, i);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t j = b->touched[n];
        float s = j == i ? 0.0f : likeness(t, i, j, b->sum[j]);
        if (s > 0.0f)
            rec_topk_offer(&top, j, s);
        b->sum[j] = 0.0f;
    }
    qsort(top.kept, top.count, sizeof(*top.kept), by_item);
    t->found[i] = (uint32_t)top.count;
}

/* ---- before and after ---------------------------------------------------------------- */

/* No item has more neighbors than there are other items. */
static uint32_t neighbors_of(const struct rec_fit *fit) {
    uint32_t asked = (uint32_t)rec_params_get(fit->params, "neighbors");
    uint32_t others = fit->data->items - 1;
    return asked < others ? asked : others;
}

/* A row's neighbours are at most what its users have beside it: of a shop of many goods, few. */
static uint64_t neighbors_max(const struct training *t, uint32_t i) {
    uint64_t most = 0;
    for (uint64_t k = t->items->offset[i]; k < t->items->offset[i + (size_t)1]; k++) {
        size_t user = t->items->column[k];
        most += t->users->offset[user + 1] - t->users->offset[user] - 1;
        if (most >= t->neighbors)
            return t->neighbors;
    }
    return most;
}

static enum rec_status make_room(struct training *t, struct rec_error *err) {
    size_t items = t->count;
    t->begin = rec_alloc_array(items + 1, sizeof(*t->begin));
    t->found = rec_alloc_array(items, sizeof(*t->found));
    t->bench = rec_alloc_array(t->threads, sizeof(*t->bench));
    bool made = t->begin != NULL && t->found != NULL && t->bench != NULL;
    for (size_t w = 0; made && w < t->threads; w++) {
        t->bench[w].sum = rec_alloc_array(items, sizeof(*t->bench[w].sum));
        t->bench[w].touched = rec_alloc_array(items + 1, sizeof(*t->bench[w].touched));
        made = t->bench[w].sum != NULL && t->bench[w].touched != NULL;
    }
    for (uint32_t i = 0; made && i < t->count; i++)
        t->begin[i + (size_t)1] = t->begin[i] + neighbors_max(t, i);
    if (made)
        t->kept = rec_alloc_array(t->begin[items], sizeof(*t->kept));
    if (t->kept == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "item-knn: no memory for %u items x %u neighbors",
                             t->count, t->neighbors);
    return REC_OK;
}

static enum rec_status make_rows(struct training *t, struct rec_error *err) {
    size_t step = ITEMS_PER_THREAD * t->threads;
    for (t->first = 0; t->first < t->count; t->first += step) {
        size_t left = t->count - t->first;
        rec_progress_report(t->fit->progress, "fit", (double)t->first / t->count, (double)NAN);
        rec_pool_run(t->fit->pool, left < step ? left : step, row_task, t);
        if (rec_progress_cancelled(t->fit->progress))
            return rec_error_set(err, REC_CANCELLED, "item-knn: cancelled");
    }
    rec_csr_destroy(&t->items);
    rec_csr_destroy(&t->users);
    return REC_OK;
}

static enum rec_status write_rows(const struct training *t, struct rec_tensors *out,
                                  struct rec_error *err) {
    uint32_t *item = NULL;
    float *weight = NULL;
    enum rec_status st = rec_item_rows_add(out, t->found, t->count, &item, &weight, err);
    for (uint32_t i = 0; st == REC_OK && i < t->count; i++)
        for (uint32_t n = 0; n < t->found[i]; n++) {
            *item++ = t->kept[t->begin[i] + n].item;
            *weight++ = t->kept[t->begin[i] + n].score;
        }
    if (st == REC_OK)
        rec_progress_report(t->fit->progress, "fit", 1.0, (double)NAN);
    return st;
}

static void finish(struct training *t) {
    rec_csr_destroy(&t->items);
    rec_csr_destroy(&t->users);
    for (size_t w = 0; t->bench != NULL && w < t->threads; w++) {
        rec_alloc_free(t->bench[w].sum);
        rec_alloc_free(t->bench[w].touched);
    }
    rec_alloc_free(t->bench);
    rec_alloc_free(t->length);
    rec_alloc_free(t->begin);
    rec_alloc_free(t->found);
    rec_alloc_free(t->kept);
}

enum rec_status rec_item_knn_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                 struct rec_error *err) {
    struct training t = {
        .fit = fit,
        .count = fit->data->items,
        .neighbors = neighbors_of(fit),
        .shrinkage = rec_params_get(fit->params, "shrinkage"),
        .threads = rec_pool_threads(fit->pool),
        .length = rec_alloc_array(fit->data->items, 3 * sizeof(double)),
    };
    enum rec_status st = REC_OK;
    if (t.length == NULL)
        st = rec_error_set(err, REC_NO_MEMORY, "item-knn: no memory for %u items", t.count);
    if (st == REC_OK) {
        t.from = t.length + t.count;
        t.to = t.from + t.count;
        st = make_inputs(&t, err);
    }
    if (st == REC_OK)
        st = make_room(&t, err);
    if (st == REC_OK)
        st = make_rows(&t, err);
    if (st == REC_OK)
        st = write_rows(&t, out, err);
    finish(&t);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

/* The neighbours twice, while they become tensors, or once beside the matrix and its transpose;
 * and the vectors. In double, which holds any sum of these. */
size_t rec_item_knn_fit_bytes(const struct rec_fit *fit) {
    const struct rec_dataset *data = fit->data;
    double items = data->items, users = data->users, pairs = 0.0;
    double threads = (double)rec_pool_threads(fit->pool);
    for (uint32_t user = 0; user < data->users; user++) {
        double row = (double)(data->offset[user + (size_t)1] - data->offset[user]);
        pairs += row * (row - 1.0);
    }
    double kept = fmin(8.0 * items * neighbors_of(fit), 8.0 * pairs);
    double inputs = 16.0 * rec_knn_events(data) + 8.0 * (items + users);
    double bytes = kept + fmax(kept + 8.0 * items, inputs) + (36.0 + 8.0 * threads) * items;
    return bytes < (double)SIZE_MAX / 2 ? (size_t)bytes : SIZE_MAX;
}
