/* Keeps the largest weights of an EASE model.
 *
 * Weights are kept in pairs, B_ij and B_ji, by the larger of the two magnitudes, |P_ij| /
 * min(P_ii, P_jj): so likeness stays mutual. The least one kept is found exactly, by counting:
 * floats that are not negative sort like their bits, so one pass counts by the upper 16 bits, a
 * second by the lower 16 bits of those that share the upper ones. Pairs at the very limit are taken
 * in order until the number is full. */
#include <math.h>
#include <string.h>

#include "ease.h"

enum { BUCKETS = 1 << 16, ROWS_PER_TASK = 16 };

struct choice {
    const struct rec_fit *fit;
    const float *P, *inverse;
    size_t n;
    uint64_t *counts; /* [threads x BUCKETS] */
    uint32_t upper;   /* second pass: the bits that count */
    bool second;

    uint32_t limit;     /* keys above it are kept, and of those at it: */
    size_t row, column; /* pairs before (row, column), row by row of the lower triangle */
    uint64_t *ties;     /* [n] pairs at the limit in each row of the lower triangle */

    uint64_t *offset; /* [n + 1] */
    uint32_t *target;
    float *value;
};

static uint32_t key_of(const struct choice *c, size_t i, size_t j) {
    float larger = c->inverse[i] > c->inverse[j] ? c->inverse[i] : c->inverse[j];
    float magnitude = fabsf(c->P[i * c->n + j]) * larger;
    uint32_t bits;
    memcpy(&bits, &magnitude, sizeof(bits));
    return bits;
}

/* Zero says nothing, so it is never kept. */
static bool is_kept(const struct choice *c, size_t i, size_t j) {
    uint32_t key = key_of(c, i, j);
    size_t row = i > j ? i : j, column = i > j ? j : i;
    if (key != c->limit || key == 0)
        return key > c->limit;
    return row < c->row || (row == c->row && column < c->column);
}

static void run(struct choice *c, rec_pool_fn fn) {
    rec_pool_run(c->fit->pool, (c->n + ROWS_PER_TASK - 1) / ROWS_PER_TASK, fn, c);
}

/* ---- the limit ------------------------------------------------------------------------ */

static void count_task(void *context, size_t task, size_t worker) {
    const struct choice *c = context;
    uint64_t *counts = c->counts + worker * BUCKETS;
    size_t begin = task * ROWS_PER_TASK;
    if (rec_progress_cancelled(c->fit->progress))
        return;
    for (size_t i = begin; i < begin + ROWS_PER_TASK && i < c->n; i++)
        for (size_t j = 0; j < i; j++) {
            uint32_t key = key_of(c, i, j);
            if (!c->second)
                counts[key >> 16]++;
            else if (key >> 16 == c->upper)
                counts[key & 0xffff]++;
        }
}

/* The bucket in which the number of pairs, from the top, reaches *pairs; what is left of them
 * there goes back into *pairs. */
static uint32_t find_bucket(const struct choice *c, uint64_t *pairs) {
    for (size_t bucket = BUCKETS; bucket-- > 0;) {
        uint64_t count = 0;
        for (size_t w = 0; w < rec_pool_threads(c->fit->pool); w++)
            count += c->counts[w * BUCKETS + bucket];
        if (count >= *pairs)
            return (uint32_t)bucket;
        *pairs -= count;
    }
    return 0;
}

static void tie_task(void *context, size_t task, size_t worker) {
    const struct choice *c = context;
    size_t begin = task * ROWS_PER_TASK;
    (void)worker;
    for (size_t i = begin; i < begin + ROWS_PER_TASK && i < c->n; i++)
        for (size_t j = 0; j < i; j++)
            c->ties[i] += key_of(c, i, j) == c->limit;
}

/* Where the ties end that are kept. */
static void cut_ties(struct choice *c, uint64_t pairs) {
    run(c, tie_task);
    while (c->row < c->n && c->ties[c->row] <= pairs)
        pairs -= c->ties[c->row++];
    for (; c->row < c->n && c->column < c->row && pairs > 0; c->column++)
        pairs -= key_of(c, c->row, c->column) == c->limit;
}

static void find_limit(struct choice *c, uint64_t pairs) {
    run(c, count_task);
    c->upper = find_bucket(c, &pairs);
    c->second = true;
    memset(c->counts, 0, rec_pool_threads(c->fit->pool) * BUCKETS * sizeof(*c->counts));
    run(c, count_task);
    c->limit = c->upper << 16 | find_bucket(c, &pairs);
    cut_ties(c, pairs);
}

/* ---- the rows ---------------------------------------------------------------------------- */

static void size_task(void *context, size_t task, size_t worker) {
    const struct choice *c = context;
    size_t begin = task * ROWS_PER_TASK;
    (void)worker;
    if (rec_progress_cancelled(c->fit->progress))
        return;
    for (size_t i = begin; i < begin + ROWS_PER_TASK && i < c->n; i++)
        for (size_t j = 0; j < c->n; j++)
            c->offset[i + 1] += j != i && is_kept(c, i, j);
}

static void fill_task(void *context, size_t task, size_t worker) {
    const struct choice *c = context;
    size_t begin = task * ROWS_PER_TASK;
    (void)worker;
    if (rec_progress_cancelled(c->fit->progress))
        return;
    for (size_t i = begin; i < begin + ROWS_PER_TASK && i < c->n; i++) {
        uint64_t at = c->offset[i];
        for (size_t j = 0; j < c->n; j++)
            if (j != i && is_kept(c, i, j)) {
                c->target[at] = (uint32_t)j;
                c->value[at++] = -c->P[i * c->n + j] * c->inverse[j];
            }
    }
}

static enum rec_status add_tensors(struct choice *c, struct rec_tensors *out,
                                   struct rec_error *err) {
    void *data = NULL;
    enum rec_status st =
        rec_tensors_add(out, "offset", REC_TENSOR_U64, 1, (uint64_t)c->n + 1, &data, err);
    if (st != REC_OK)
        return st;
    c->offset = data;
    run(c, size_task);
    for (size_t i = 0; i < c->n; i++)
        c->offset[i + 1] += c->offset[i];
    st = rec_tensors_add(out, "column", REC_TENSOR_U32, 1, c->offset[c->n], &data, err);
    if (st != REC_OK)
        return st;
    c->target = data;
    st = rec_tensors_add(out, "value", REC_TENSOR_F32, 1, c->offset[c->n], &data, err);
    if (st != REC_OK)
        return st;
    c->value = data;
    run(c, fill_task);
    return REC_OK;
}

enum rec_status rec_ease_keep_largest(const struct rec_fit *fit, const float *P,
                                      const float *inverse, size_t n, uint64_t entries,
                                      float *scale, struct rec_tensors *out,
                                      struct rec_error *err) {
    struct choice c = {.fit = fit, .P = P, .inverse = inverse, .n = n};
    enum rec_status st;
    c.counts = rec_alloc_array(rec_pool_threads(fit->pool), BUCKETS * sizeof(*c.counts));
    c.ties = rec_alloc_array(n, sizeof(*c.ties));
    if (c.counts == NULL || c.ties == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "ease: no memory to choose among %zu x %zu weights",
                           n, n);
    } else {
        find_limit(&c, entries / 2);
        st = add_tensors(&c, out, err);
    }
    for (size_t i = 0; st == REC_OK && n > 1 && i < n; i++)
        if (c.offset[i] == c.offset[i + 1])
            scale[i] = 0.0f;
    if (st == REC_OK && rec_progress_cancelled(fit->progress))
        st = rec_error_set(err, REC_CANCELLED, "ease: cancelled");
    rec_alloc_free(c.counts);
    rec_alloc_free(c.ties);
    return st;
}
