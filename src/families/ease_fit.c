/* Training of an EASE model: the Gram matrix, its regularised inverse P, and B from P.
 *
 * All three live in the same items x items floats, which for a dense model are the tensor itself:
 * 4 items² bytes, and a panel of the inversion. In float, because the inverse's error grows with
 * the condition number, (|XᵀX| + regularization) / regularization, and the useful regularizations
 * (hundreds) leave three digits or more; what float cannot invert is refused (spd.c). */
#include <math.h>
#include <string.h>

#include "ease.h"
#include "recsysd/data.h"

enum { ROWS_PER_TASK = 16 };

/* Shares of the work, as progress tells it. */
#define GRAM_DONE  0.05
#define SOLVE_DONE 0.95

struct training {
    const struct rec_fit *fit;
    size_t n;
    struct rec_csr *users, *items; /* X and its transpose */
    float *matrix;                 /* [n x n]: XᵀX, then P, then B */
    float *owned;                  /* matrix, when it is not a tensor */
    float *inverse;                /* [n] 1 / P_jj */
    float *scale;                  /* [n] √P_jj, 0 where nothing is known: a tensor */
};

static size_t tasks_of(size_t n) {
    return (n + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
}

static bool is_cancelled(const struct training *t) {
    return rec_progress_cancelled(t->fit->progress);
}

/* ---- the Gram matrix ----------------------------------------------------------------- */

/* Row i, up to the diagonal: all that users of item i have up to i. */
static void gram_row(const struct training *t, uint32_t i, float *row) {
    memset(row, 0, ((size_t)i + 1) * sizeof(*row));
    for (uint64_t k = t->items->offset[i]; k < t->items->offset[i + (size_t)1]; k++) {
        uint32_t user = t->items->column[k];
        float x = t->items->value[k];
        for (uint64_t e = t->users->offset[user]; t->users->column[e] < i; e++)
            row[t->users->column[e]] += x * t->users->value[e];
        row[i] += x * x;
    }
}

/* The longest rows first, so that the threads end together. */
static void gram_task(void *context, size_t task, size_t worker) {
    const struct training *t = context;
    size_t begin = (tasks_of(t->n) - 1 - task) * ROWS_PER_TASK;
    (void)worker;
    for (size_t i = begin; i < begin + ROWS_PER_TASK && i < t->n && !is_cancelled(t); i++)
        gram_row(t, (uint32_t)i, t->matrix + i * t->n);
}

/* A diagonal too large for float would end as a matrix that is not definite, with advice that does
 * not help. */
static enum rec_status regularize(struct training *t, struct rec_error *err) {
    float regularization = (float)rec_params_get(t->fit->params, "regularization");
    for (size_t i = 0; i < t->n; i++) {
        float *diagonal = &t->matrix[i * t->n + i];
        if (!(*diagonal <= REC_EASE_VALUE_MAX))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "ease: the squared weights of item %zu add up to %g, more than "
                                 "%g; lower the weights, or set input=binary",
                                 i, (double)*diagonal, (double)REC_EASE_VALUE_MAX);
        *diagonal += regularization;
    }
    return REC_OK;
}

/* ---- B --------------------------------------------------------------------------------- */

static void weights_task(void *context, size_t task, size_t worker) {
    const struct training *t = context;
    size_t begin = task * ROWS_PER_TASK;
    (void)worker;
    for (size_t i = begin; i < begin + ROWS_PER_TASK && i < t->n; i++) {
        float *row = t->matrix + i * t->n;
        for (size_t j = 0; j < t->n; j++)
            row[j] *= -t->inverse[j];
        row[i] = 0.0f;
    }
}

/* What is known of an item: it goes with another. In a catalogue of one
 * there is no other, and the item's own users still have a list. */
static bool is_known(const struct training *t, size_t i) {
    if (t->n == 1)
        return true;
    const float *row = t->matrix + i * t->n;
    for (size_t j = 0; j < t->n; j++)
        if (j != i && row[j] != 0.0f)
            return true;
    return false;
}

static void scale_task(void *context, size_t task, size_t worker) {
    struct training *t = context;
    size_t begin = task * ROWS_PER_TASK;
    (void)worker;
    for (size_t i = begin; i < begin + ROWS_PER_TASK && i < t->n; i++) {
        float p = t->matrix[i * t->n + i];
        t->inverse[i] = 1.0f / p;
        t->scale[i] = is_known(t, i) ? sqrtf(p) : 0.0f;
    }
}

static enum rec_status weigh(struct training *t, struct rec_tensors *out, struct rec_error *err) {
    double density = rec_params_get(t->fit->params, "density");
    uint64_t entries = (uint64_t)(density * (double)t->n * (double)t->n);
    rec_pool_run(t->fit->pool, tasks_of(t->n), scale_task, t);
    if (t->owned != NULL)
        return rec_ease_keep_largest(t->fit, t->matrix, t->inverse, t->n, entries, t->scale, out,
                                     err);
    rec_pool_run(t->fit->pool, tasks_of(t->n), weights_task, t);
    return REC_OK;
}

/* ---- the whole --------------------------------------------------------------------------- */

/* The inversion's report is a part of ours. */
static void relay(void *context, const char *phase, double fraction, double loss) {
    const struct rec_progress *outer = context;
    (void)phase;
    rec_progress_report(outer, "fit", GRAM_DONE + (SOLVE_DONE - GRAM_DONE) * fraction, loss);
}

static enum rec_status invert(struct training *t, struct rec_error *err) {
    const struct rec_progress *outer = t->fit->progress;
    struct rec_progress inner = {.report = relay,
                                 .context = (void *)(uintptr_t)outer,
                                 .cancel = outer != NULL ? outer->cancel : NULL};
    return rec_spd_inverse(t->matrix, t->n, t->fit->pool, &inner, err);
}

static enum rec_status make_inputs(struct training *t, struct rec_error *err) {
    enum rec_status st = rec_dataset_matrix(t->fit->data, &t->users, err);
    if (st != REC_OK)
        return st;
    if (rec_params_get(t->fit->params, "input") == REC_EASE_BINARY)
        for (uint64_t k = 0; k < rec_csr_entries(t->users); k++)
            t->users->value[k] = 1.0f;
    return rec_csr_transpose(t->users, &t->items, err);
}

static enum rec_status make_room(struct training *t, struct rec_tensors *out,
                                 struct rec_error *err) {
    void *data = NULL;
    enum rec_status st = rec_tensors_add(out, "scale", REC_TENSOR_F32, 1, t->n, &data, err);
    if (st != REC_OK)
        return st;
    t->scale = data;
    t->inverse = rec_alloc_array(t->n, sizeof(float));
    if (t->inverse != NULL && rec_ease_is_sparse(t->fit->params)) {
        t->matrix = t->owned = rec_alloc_array(t->n, t->n * sizeof(float));
    } else if (t->inverse != NULL) {
        st = rec_tensors_add(out, "weights", REC_TENSOR_F32, t->n, t->n, &data, err);
        t->matrix = st == REC_OK ? data : NULL;
    }
    if (t->matrix == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "ease: no memory for %zu x %zu numbers", t->n,
                             t->n);
    return REC_OK;
}

static enum rec_status train(struct training *t, struct rec_tensors *out, struct rec_error *err) {
    rec_progress_report(t->fit->progress, "fit", 0.0, (double)NAN);
    enum rec_status st = make_inputs(t, err);
    if (st == REC_OK)
        st = make_room(t, out, err);
    if (st != REC_OK)
        return st;
    rec_pool_run(t->fit->pool, tasks_of(t->n), gram_task, t);
    rec_csr_destroy(&t->users);
    rec_csr_destroy(&t->items);
    if (is_cancelled(t))
        return rec_error_set(err, REC_CANCELLED, "ease: cancelled");
    rec_progress_report(t->fit->progress, "fit", GRAM_DONE, (double)NAN);
    st = regularize(t, err);
    if (st == REC_OK)
        st = invert(t, err);
    if (st == REC_OK)
        st = weigh(t, out, err);
    if (st == REC_OK)
        rec_progress_report(t->fit->progress, "fit", 1.0, (double)NAN);
    return st;
}

enum rec_status rec_ease_fit(const struct rec_fit *fit, struct rec_tensors *out,
                             struct rec_error *err) {
    struct training t = {.fit = fit, .n = fit->data->items};
    enum rec_status st = train(&t, out, err);
    rec_csr_destroy(&t.users);
    rec_csr_destroy(&t.items);
    rec_alloc_free(t.owned);
    rec_alloc_free(t.inverse);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

/* The matrix; a panel of 384 columns and a few vectors; X twice, until the Gram matrix is there;
 * what is kept of B when it is not all. In double, which holds any sum of these. */
size_t rec_ease_fit_bytes(const struct rec_fit *fit) {
    double n = (double)fit->data->items, users = (double)fit->data->users;
    double events = (double)fit->data->offset[fit->data->users];
    double inputs = 16.0 * events + 8.0 * (n + users), panel = 1536.0 * n;
    double density = rec_params_get(fit->params, "density");
    double kept = density < 1.0 ? 8.0 * density * n * n : 0.0;
    double beside = inputs > panel + kept ? inputs : panel + kept;
    double bytes = 4.0 * n * n + 20.0 * n + beside;
    return bytes < (double)SIZE_MAX / 2 ? (size_t)bytes : SIZE_MAX;
}
