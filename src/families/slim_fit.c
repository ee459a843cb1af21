/* Training of SLIM: one elastic net an item, by coordinate descent on the Gram matrix.
 * source: Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via
 *         coordinate descent", 2010, section 2.2 ("covariance updates") and 2.6 (active set).
 *
 * With G = XᵀX, item j's objective times n is, up to a constant,
 *
 *   ½ wᵀGw - G_jᵀw + l1 |w|_1 + ½ l2 |w|²      l1 = n alpha l1_ratio, l2 = n alpha (1 - l1_ratio)
 *
 * so users are not looked at again once G is there. With r = G_j - G w kept up to date, the best
 * value of one coordinate is w_i = soft(r_i + G_ii w_i, l1) / (G_ii + l2), and r changes by a
 * multiple of a row of G.
 *
 * G is kept in compressed rows: all of it for films, a small part of it for a shop of a hundred
 * thousand goods. Item j's problem is then copied out, dense, for its `neighbors` candidates: those
 * that would reduce the objective the most on their own, by (G_ij - l1)² / (G_ii + l2), among those
 * that some user has together with j. Where coefficients may not be negative, items with
 * G_ij <= l1 can never enter, since r_i only falls from G_ij (entries of G are sums of products of
 * weights >= 0): leaving those out is exact.
 *
 * Sweeps go over the coordinates that are not 0 until these stand still, then, from there, over
 * all; a sweep over all that changes nothing ends it. A warm start from the solution at ten times
 * alpha was tried: it ends nearer to the optimum at the same limit of sweeps, and costs a tenth
 * more.
 *
 * An item's bits depend on its own problem alone, so on no number of threads. */
#include "slim.h"

#include <math.h>
#include <string.h>

#include "item_rows.h"
#include "recsysd/data.h"

enum {
    ITEMS_PER_THREAD = 16, /* solved between two reports of progress */
    SWEEPS_TO_ALL = 16,    /* no more sweeps over some coordinates without one over all */
};

/* One worker's room. */
struct bench {
    double *sum;            /* [items] one row of G */
    uint64_t *touched;      /* [items / 64 + 1] one bit an item */
    float *gain;            /* [items] of the entries of a row of G */
    uint32_t *place;        /* [items] 1 + place among the candidates; 0: is none */
    uint32_t *candidate;    /* [neighbors] rising */
    struct rec_ranked *top; /* [neighbors] */
    float *square;          /* [neighbors x neighbors] G of the candidates */
    bool *copied;           /* [neighbors] whether that row is there */
    float *residual;        /* [neighbors] r */
    float *weight;          /* [neighbors] w */
};

struct training {
    const struct rec_fit *fit;
    struct rec_csr *users, *items; /* X and Xᵀ */
    uint32_t count;                /* of items */
    float l1, l2, tolerance;
    bool non_negative;
    uint32_t neighbors, sweeps_max;

    float *diagonal;  /* [items] of G */
    uint64_t *offset; /* [items + 1] rows of G */
    uint32_t *column;
    float *value;

    uint32_t *found;    /* [items] coefficients that are not 0 */
    uint32_t *from;     /* [items x neighbors] their items, rising */
    float *coefficient; /* [items x neighbors] */

    size_t threads;
    struct bench *bench; /* [threads] */
    size_t first;        /* the item of task 0 */
};

/* ---- the Gram matrix ------------------------------------------------------------ */

static void count_task(void *context, size_t task, size_t worker) {
    struct training *t = context;
    struct bench *b = &t->bench[worker];
    uint32_t j = (uint32_t)(t->first + task);
    uint64_t entries = 0;
    if (rec_progress_cancelled(t->fit->progress))
        return;
    memset(b->touched, 0, ((size_t)t->count / 64 + 1) * sizeof(*b->touched));
    for (uint64_t k = t->items->offset[j]; k < t->items->offset[j + 1]; k++) {
        uint32_t user = t->items->column[k];
        for (uint64_t e = t->users->offset[user]; e < t->users->offset[user + 1]; e++)
            b->touched[t->users->column[e] / 64] |= UINT64_C(1) << t->users->column[e] % 64;
    }
    for (size_t word = 0; word <= t->count / 64; word++)
        entries += (uint64_t)__builtin_popcountll(b->touched[word]);
    t->offset[j + 1] = entries;
}

static void gram_task(void *context, size_t task, size_t worker) {
    struct training *t = context;
    struct bench *b = &t->bench[worker];
    uint32_t j = (uint32_t)(t->first + task);
    uint64_t at = t->offset[j];
    if (rec_progress_cancelled(t->fit->progress))
        return;
    memset(b->touched, 0, ((size_t)t->count / 64 + 1) * sizeof(*b->touched));
    for (uint64_t k = t->items->offset[j]; k < t->items->offset[j + 1]; k++) {
        uint32_t user = t->items->column[k];
        double value = (double)t->items->value[k];
        for (uint64_t e = t->users->offset[user]; e < t->users->offset[user + 1]; e++) {
            uint32_t i = t->users->column[e];
            b->touched[i / 64] |= UINT64_C(1) << i % 64;
            b->sum[i] += value * (double)t->users->value[e];
        }
    }
    for (uint32_t word = 0; word <= t->count / 64; word++)
        for (uint64_t bits = b->touched[word]; bits != 0; bits &= bits - 1, at++) {
            uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(bits);
            t->column[at] = i;
            t->value[at] = (float)b->sum[i];
            b->sum[i] = 0.0;
        }
}

/* Runs fn for every item, a few at a time, so that progress is told from one thread. */
static enum rec_status run_items(struct training *t, rec_pool_fn fn, const char *phase,
                                 struct rec_error *err) {
    size_t step = ITEMS_PER_THREAD * t->threads;
    for (t->first = 0; t->first < t->count; t->first += step) {
        size_t left = t->count - t->first;
        rec_progress_report(t->fit->progress, phase, (double)t->first / t->count, NAN);
        rec_pool_run(t->fit->pool, left < step ? left : step, fn, t);
        if (rec_progress_cancelled(t->fit->progress))
            return rec_error_set(err, REC_CANCELLED, "slim: cancelled at item %zu of %u", t->first,
                                 t->count);
    }
    rec_progress_report(t->fit->progress, phase, 1.0, NAN);
    return REC_OK;
}

/* No entry of G is larger than the largest of its diagonal (Cauchy and Schwarz). */
static enum rec_status make_diagonal(struct training *t, uint32_t j, struct rec_error *err) {
    const struct rec_csr *items = t->items;
    double sum = 0.0, max = (double)REC_ITEM_ROWS_VALUE_MAX;
    for (uint64_t k = items->offset[j]; k < items->offset[j + 1]; k++)
        sum += (double)items->value[k] * (double)items->value[k];
    t->diagonal[j] = (float)sum;
    if (sum <= max)
        return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT,
                         "slim: the squares of the weights of item %u add up to %g, the limit is "
                         "%g; lower the weights",
                         j, sum, max);
}

static enum rec_status make_gram(struct training *t, struct rec_error *err) {
    enum rec_status st = REC_OK;
    for (uint32_t j = 0; st == REC_OK && j < t->count; j++)
        st = make_diagonal(t, j, err);
    if (st == REC_OK)
        st = run_items(t, count_task, "count", err);
    if (st != REC_OK)
        return st;
    for (uint32_t j = 0; j < t->count; j++)
        t->offset[j + 1] += t->offset[j];
    t->column = rec_alloc_array(t->offset[t->count], sizeof(*t->column));
    t->value = rec_alloc_array(t->offset[t->count], sizeof(*t->value));
    if (t->column == NULL || t->value == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "slim: no memory for %llu pairs of items",
                             (unsigned long long)t->offset[t->count]);
    return run_items(t, gram_task, "gram", err);
}

/* ---- one item ---------------------------------------------------------------------- */

/* The candidates of item j, rising, and their entries of G_j as the residual of w = 0. */
static uint32_t choose(const struct training *t, uint32_t j, struct bench *b) {
    const uint32_t *column = t->column + t->offset[j];
    const float *value = t->value + t->offset[j];
    uint32_t entries = (uint32_t)(t->offset[j + 1] - t->offset[j]), count = 0;
    struct rec_topk top;
    for (uint32_t e = 0; e < entries; e++) {
        float reach = t->non_negative ? value[e] - t->l1 : value[e];
        b->gain[e] = NAN; /* never enters */
        if (column[e] != j && reach > 0.0f)
            b->gain[e] = reach * reach / (t->diagonal[column[e]] + t->l2);
    }
    rec_topk_init(&top, b->top, t->neighbors);
    rec_topk_scan(&top, b->gain, 0, entries, NULL);
    rec_topk_finish(&top);
    for (size_t k = 0; k < top.count; k++)
        b->place[column[b->top[k].item]] = 1;
    for (uint32_t e = 0; e < entries; e++) {
        if (b->place[column[e]] == 0)
            continue;
        b->candidate[count] = column[e];
        b->residual[count] = value[e];
        b->place[column[e]] = ++count;
    }
    return count;
}

/* The candidate's row of G over all candidates, copied when it is first needed: of most candidates
 * the coefficient stays 0 and the row is never looked at. */
static const float *row_of(const struct training *t, const struct bench *b, uint32_t k,
                           uint32_t count) {
    float *row = b->square + (size_t)k * count;
    if (b->copied[k])
        return row;
    memset(row, 0, count * sizeof(*row));
    for (uint64_t e = t->offset[b->candidate[k]]; e < t->offset[b->candidate[k] + 1]; e++) {
        uint32_t place = b->place[t->column[e]];
        if (place != 0)
            row[place - 1] = t->value[e];
    }
    b->copied[k] = true;
    return row;
}

static float soft(float x, float l1, bool non_negative) {
    if (x > l1)
        return x - l1;
    return x < -l1 && !non_negative ? x + l1 : 0.0f;
}

/* The best value of one coordinate; returns by how much it changed. */
static float update(const struct training *t, const struct bench *b, uint32_t k, uint32_t count) {
    float before = b->weight[k], diagonal = t->diagonal[b->candidate[k]];
    float curvature = diagonal + t->l2;
    float target = soft(b->residual[k] + diagonal * before, t->l1, t->non_negative);
    float after = curvature > 0.0f ? target / curvature : 0.0f;
    if (after == before)
        return 0.0f;
    rec_kernels_axpy(before - after, row_of(t, b, k, count), b->residual, count);
    b->weight[k] = after;
    return fabsf(after - before);
}

/* One pass; whether something changed by more than the tolerance of the largest coefficient. */
static bool sweep(const struct training *t, const struct bench *b, uint32_t count,
                  bool active_only) {
    float change = 0.0f, largest = 0.0f;
    for (uint32_t k = 0; k < count; k++) {
        if (active_only && b->weight[k] == 0.0f)
            continue;
        change = fmaxf(change, update(t, b, k, count));
        largest = fmaxf(largest, fabsf(b->weight[k]));
    }
    return change > t->tolerance * largest;
}

/* Passes over the coefficients that are not 0, until they stand; then one over all, until that
 * changes nothing either. And one over all every so often: where the active ones settle slowly they
 * would use up all sweeps, and what should enter would never be looked at. */
static void descend(const struct training *t, const struct bench *b, uint32_t count) {
    bool active_only = false;
    for (uint32_t pass = 0; pass < t->sweeps_max; pass++) {
        bool moved = sweep(t, b, count, active_only);
        if (!moved && !active_only)
            return;
        active_only = moved && (pass + 1) % SWEEPS_TO_ALL != 0;
    }
}

static void solve_task(void *context, size_t task, size_t worker) {
    struct training *t = context;
    struct bench *b = &t->bench[worker];
    uint32_t j = (uint32_t)(t->first + task), count;
    size_t at = (size_t)j * t->neighbors;
    if (rec_progress_cancelled(t->fit->progress))
        return;
    count = choose(t, j, b);
    memset(b->copied, 0, count * sizeof(*b->copied));
    memset(b->weight, 0, count * sizeof(float));
    descend(t, b, count);
    for (uint32_t k = 0; k < count; k++) {
        b->place[b->candidate[k]] = 0;
        if (b->weight[k] == 0.0f)
            continue;
        t->from[at + t->found[j]] = b->candidate[k];
        t->coefficient[at + t->found[j]++] = b->weight[k];
    }
}

/* ---- before and after ---------------------------------------------------------------- */

/* The columns of W become the rows that a history adds up. */
static enum rec_status write_rows(const struct training *t, struct rec_tensors *out,
                                  struct rec_error *err) {
    uint32_t *left = t->bench[0].place; /* [items] all 0 by now; entries of a row still to come */
    uint32_t *item = NULL;
    float *weight = NULL;
    for (uint32_t j = 0; j < t->count; j++)
        for (uint32_t k = 0; k < t->found[j]; k++)
            left[t->from[(size_t)j * t->neighbors + k]]++;
    enum rec_status st = rec_item_rows_add(out, left, t->count, &item, &weight, err);
    if (st != REC_OK)
        return st;
    const uint64_t *offset = out->tensor[0].data;
    for (uint32_t j = 0; j < t->count; j++)
        for (uint32_t k = 0; k < t->found[j]; k++) {
            size_t at = (size_t)j * t->neighbors + k, row = t->from[at];
            uint64_t to = offset[row + 1] - left[row]--;
            item[to] = j;
            weight[to] = t->coefficient[at];
        }
    return REC_OK;
}

static bool make_bench(const struct training *t, struct bench *b) {
    size_t items = t->count, most = t->neighbors;
    b->sum = rec_alloc_array(items, sizeof(*b->sum));
    b->touched = rec_alloc_array(items / 64 + 1, sizeof(*b->touched));
    b->gain = rec_alloc_array(items, sizeof(*b->gain));
    b->place = rec_alloc_array(items, sizeof(*b->place));
    b->candidate = rec_alloc_array(most, sizeof(*b->candidate));
    b->top = rec_alloc_array(most, sizeof(*b->top));
    b->square = rec_alloc_array(most, most * sizeof(*b->square));
    b->copied = rec_alloc_array(most, sizeof(*b->copied));
    b->residual = rec_alloc_array(most, sizeof(*b->residual));
    b->weight = rec_alloc_array(most, sizeof(*b->weight));
    return b->sum != NULL && b->touched != NULL && b->gain != NULL && b->place != NULL &&
           b->candidate != NULL && b->top != NULL && b->square != NULL && b->copied != NULL &&
           b->residual != NULL && b->weight != NULL;
}

static void free_bench(struct bench *b) {
    rec_alloc_free(b->sum);
    rec_alloc_free(b->touched);
    rec_alloc_free(b->gain);
    rec_alloc_free(b->place);
    rec_alloc_free(b->candidate);
    rec_alloc_free(b->top);
    rec_alloc_free(b->square);
    rec_alloc_free(b->copied);
    rec_alloc_free(b->residual);
    rec_alloc_free(b->weight);
}

static enum rec_status make_room(struct training *t, struct rec_error *err) {
    size_t items = t->count;
    bool made;
    t->diagonal = rec_alloc_array(items, sizeof(*t->diagonal));
    t->offset = rec_alloc_array(items + 1, sizeof(*t->offset));
    t->found = rec_alloc_array(items, sizeof(*t->found));
    t->from = rec_alloc_array(items, t->neighbors * sizeof(*t->from));
    t->coefficient = rec_alloc_array(items, t->neighbors * sizeof(*t->coefficient));
    t->bench = rec_alloc_array(t->threads, sizeof(*t->bench));
    made = t->diagonal != NULL && t->offset != NULL && t->found != NULL && t->from != NULL &&
           t->coefficient != NULL && t->bench != NULL;
    for (size_t i = 0; made && i < t->threads; i++)
        made = make_bench(t, &t->bench[i]);
    if (!made)
        return rec_error_set(err, REC_NO_MEMORY, "slim: no memory for %u items x %u neighbors",
                             t->count, t->neighbors);
    return REC_OK;
}

static void finish(struct training *t) {
    rec_csr_destroy(&t->users);
    rec_csr_destroy(&t->items);
    rec_alloc_free(t->diagonal);
    rec_alloc_free(t->offset);
    rec_alloc_free(t->column);
    rec_alloc_free(t->value);
    rec_alloc_free(t->found);
    rec_alloc_free(t->from);
    rec_alloc_free(t->coefficient);
    for (size_t i = 0; t->bench != NULL && i < t->threads; i++)
        free_bench(&t->bench[i]);
    rec_alloc_free(t->bench);
}

enum rec_status rec_slim_fit(const struct rec_fit *fit, struct rec_tensors *out,
                             struct rec_error *err) {
    double alpha = rec_params_get(fit->params, "alpha") * (double)fit->data->users;
    double ratio = rec_params_get(fit->params, "l1_ratio");
    struct training t = {
        .fit = fit,
        .count = fit->data->items,
        .l1 = (float)(alpha * ratio),
        .l2 = (float)(alpha * (1.0 - ratio)),
        .tolerance = (float)rec_params_get(fit->params, "tolerance"),
        .non_negative = rec_params_get(fit->params, "non_negative") != 0.0,
        .neighbors = rec_item_rows_neighbors(fit),
        .sweeps_max = (uint32_t)rec_params_get(fit->params, "max_sweeps"),
        .threads = rec_pool_threads(fit->pool),
    };
    enum rec_status st = rec_dataset_matrix(fit->data, &t.users, err);
    if (st == REC_OK)
        st = rec_csr_transpose(t.users, &t.items, err);
    if (st == REC_OK)
        st = make_room(&t, err);
    if (st == REC_OK)
        st = make_gram(&t, err);
    if (st == REC_OK)
        st = run_items(&t, solve_task, "fit", err);
    if (st == REC_OK)
        st = write_rows(&t, out, err);
    finish(&t);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

/* The matrix both ways, G with at most every pair that could meet, the solutions, the benches, and
 * the model itself, which is at most as large as the solutions. */
size_t rec_slim_fit_bytes(const struct rec_fit *fit) {
    const struct rec_dataset *data = fit->data;
    double items = data->items, events = (double)data->offset[data->users], pairs = 0.0;
    double neighbors = rec_item_rows_neighbors(fit), threads = (double)rec_pool_threads(fit->pool);
    for (uint32_t u = 0; u < data->users; u++) {
        double row = (double)(data->offset[u + 1] - data->offset[u]);
        pairs += row < items ? row * row : items * items;
    }
    if (pairs > items * items)
        pairs = items * items;
    double bytes = 16.0 * events + 8.0 * ((double)data->users + items) + 8.0 * pairs +
                   16.0 * items * (neighbors + 2.0) +
                   threads * (17.0 * items + neighbors * (4.0 * neighbors + 20.0));
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}
