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
#include <string.h>

#include "item_rows.h"
#include "knn.h"
#include "recsysd/data.h"

enum {
    ITEMS_PER_THREAD = 64, /* between two reports of progress */
    BLOCK = 64             /* items that share a mark of being in a row */
};

/* Of a row's length. An entry below it is lost in a float's sum, but a product of two such would
 * be 0, and a sum of 0 is how an item that is not in the list yet is told. */
static const float least_entry = 1e-15f;

/* One worker's room. */
struct bench {
    float *sum;       /* [items] of products; all 0 between rows */
    uint8_t *block;   /* [items / BLOCK + 1] whether any of its sums is not 0 */
    uint32_t *item;   /* [items] those of the row */
    float *score;     /* [items] and how like they are */
    uint64_t *chosen; /* [items / 64 + 1] one bit a place; all 0 between rows */
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

/* sum += x times a row of `count` entries. Four at a time, read before any is written: columns of a
 * row differ, which the compiler cannot know. */
static void add_scaled(float x, const uint32_t *column, const float *value, size_t count,
                       float *sum, uint8_t *block) {
    size_t k = 0;
    for (; k + 4 <= count; k += 4) {
        uint32_t a = column[k], b = column[k + 1], c = column[k + 2], d = column[k + 3];
        float at_a = sum[a] + x * value[k], at_b = sum[b] + x * value[k + 1];
        float at_c = sum[c] + x * value[k + 2], at_d = sum[d] + x * value[k + 3];
        sum[a] = at_a;
        sum[b] = at_b;
        sum[c] = at_c;
        sum[d] = at_d;
        block[a / BLOCK] = block[b / BLOCK] = block[c / BLOCK] = block[d / BLOCK] = 1;
    }
    for (; k < count; k++) {
        sum[column[k]] += x * value[k];
        block[column[k] / BLOCK] = 1;
    }
}

/* Sums the row of item i into b->sum, and marks the blocks of items that are in it. */
static void add_row(const struct training *t, const struct bench *b, uint32_t i) {
    const struct rec_csr *items = t->items, *users = t->users;
    for (uint64_t k = items->offset[i]; k < items->offset[i + (size_t)1]; k++) {
        uint64_t begin = users->offset[items->column[k]];
        uint64_t end = users->offset[items->column[k] + (size_t)1];
        add_scaled(items->value[k], users->column + begin, users->value + begin,
                   (size_t)(end - begin), b->sum, b->block);
    }
}

static float likeness(const struct training *t, uint32_t i, uint32_t j, float product) {
    double s =
        (double)product * t->length[i] * t->length[j] / (t->from[i] * t->to[j] + t->shrinkage);
    return s < (double)REC_ITEM_ROWS_VALUE_MAX ? (float)s : REC_ITEM_ROWS_VALUE_MAX;
}

/* The items of the row, rising, and how like i each is; the row is 0 again. */
static uint32_t take_row(const struct training *t, const struct bench *b, uint32_t i) {
    uint32_t count = 0;
    for (uint32_t first = 0; first < t->count; first += BLOCK) {
        if (b->block[first / BLOCK] == 0)
            continue;
        uint32_t end = t->count - first < BLOCK ? t->count : first + BLOCK;
        for (uint32_t j = first; j < end; j++) {
            if (!(b->sum[j] > 0.0f))
                continue;
            float s = j == i ? 0.0f : likeness(t, i, j, b->sum[j]);
            b->item[count] = j;
            b->score[count] = s;
            count += s > 0.0f;
            b->sum[j] = 0.0f;
        }
        b->block[first / BLOCK] = 0;
    }
    return count;
}

/* The largest scores, by item. Items rise with their places, so ties go to the lower item. */
static void row_task(void *context, size_t task, size_t worker) {
    struct training *t = context;
    struct bench *b = &t->bench[worker];
    uint32_t i = (uint32_t)(t->first + task);
    struct rec_ranked *kept = t->kept + t->begin[i];
    struct rec_topk top;
    if (rec_progress_cancelled(t->fit->progress))
        return;
    add_row(t, b, i);
    uint32_t count = take_row(t, b, i);
    rec_topk_init(&top, kept, (size_t)(t->begin[i + (size_t)1] - t->begin[i]));
    rec_topk_scan(&top, b->score, 0, count, NULL);
    for (size_t n = 0; n < top.count; n++)
        b->chosen[kept[n].item / 64] |= UINT64_C(1) << kept[n].item % 64;
    uint32_t found = 0;
    for (uint32_t word = 0; word < (count + 63) / 64; word++) {
        for (uint64_t bits = b->chosen[word]; bits != 0; bits &= bits - 1) {
            uint32_t place = word * 64 + (uint32_t)__builtin_ctzll(bits);
            kept[found++] = (struct rec_ranked){b->item[place], b->score[place]};
        }
        b->chosen[word] = 0;
    }
    t->found[i] = found;
}

/* ---- before and after ---------------------------------------------------------------- */

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

static bool make_bench(struct bench *b, size_t items) {
    b->sum = rec_alloc_array(items, sizeof(*b->sum));
    b->block = rec_alloc_array(items / BLOCK + 1, sizeof(*b->block));
    b->item = rec_alloc_array(items + 1, sizeof(*b->item));
    b->score = rec_alloc_array(items + 1, sizeof(*b->score));
    b->chosen = rec_alloc_array(items / 64 + 1, sizeof(*b->chosen));
    return b->sum != NULL && b->block != NULL && b->item != NULL && b->score != NULL &&
           b->chosen != NULL;
}

static void free_bench(struct bench *b) {
    rec_alloc_free(b->sum);
    rec_alloc_free(b->block);
    rec_alloc_free(b->item);
    rec_alloc_free(b->score);
    rec_alloc_free(b->chosen);
}

static enum rec_status make_room(struct training *t, struct rec_error *err) {
    size_t items = t->count;
    t->begin = rec_alloc_array(items + 1, sizeof(*t->begin));
    t->found = rec_alloc_array(items, sizeof(*t->found));
    t->bench = rec_alloc_array(t->threads, sizeof(*t->bench));
    bool made = t->begin != NULL && t->found != NULL && t->bench != NULL;
    for (size_t w = 0; made && w < t->threads; w++)
        made = make_bench(&t->bench[w], items);
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
    for (size_t w = 0; t->bench != NULL && w < t->threads; w++)
        free_bench(&t->bench[w]);
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
        .neighbors = rec_item_rows_neighbors(fit),
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
    double kept = fmin(8.0 * items * rec_item_rows_neighbors(fit), 8.0 * pairs);
    double inputs = 16.0 * rec_knn_events(data) + 8.0 * (items + users);
    double bytes = kept + fmax(kept + 8.0 * items, inputs) + (36.0 + 13.0 * threads) * items;
    return bytes < (double)SIZE_MAX / 2 ? (size_t)bytes : SIZE_MAX;
}
