/* Training of iALS: alternating exact least squares.
 *
 * Each half step fixes one side, computes its Gramian, and solves every row of
 * the other side by itself (als_row.c), so rows are the parallelism: tasks of a
 * few rows over the pool, each with its worker's scratch. A row's bits depend on
 * its own data alone, the Gramian and the loss are summed over slices whose
 * number does not depend on the threads: the same bits for any pool.
 *
 * The loss costs nothing extra: at its optimum x, a row's share of the objective
 * is Σ c - bᵀx.
 *
 * Users' factors are thrown away at the end. The model answers for histories, so
 * a user who is erased leaves nothing behind in it. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "als.h"
#include "recsysd/data.h"

enum {
    ROWS_PER_TASK = 16, /* few, because popular rows sit together and cost the most */
    SLICES_MAX = 16,    /* of a Gramian */
    SLICE_ROWS_MIN = 256,
    SLICES_BYTES_MAX = 64 << 20,
};

/* One side of the matrix: its factors, and its rows' confidences in the other side's items. */
struct half {
    struct rec_csr *confidence;
    float *factors;
    double loss, norm; /* of the last step: sum of Σ c - bᵀx; sum of |x|² */
};

struct training {
    const struct rec_fit *fit;
    size_t factors, slices_max;
    float regularization;
    struct half users, items;
    double pairs; /* sum of all confidences, unobserved pairs with their 1 */

    float *base, *factor; /* [factors x factors] of the fixed side */
    float *slices;        /* [slices_max x factors x factors] */
    float *work;          /* [threads x work_floats] */
    size_t work_floats;
    double *task_loss, *task_norm; /* [tasks] */
};

/* ---- the Gramian ------------------------------------------------------------ */

struct gramian {
    const float *rows;
    size_t count, factors, slices;
    float *slice; /* [slices x factors x factors] */
};

static void gramian_task(void *context, size_t task, size_t worker) {
    const struct gramian *g = context;
    size_t begin = g->count * task / g->slices, end = g->count * (task + 1) / g->slices;
    float *slice = g->slice + task * g->factors * g->factors;
    (void)worker;
    memset(slice, 0, g->factors * g->factors * sizeof(float));
    rec_kernels_syrk_rows(g->rows + begin * g->factors, NULL, NULL, end - begin, g->factors, slice);
}

/* Into the first slice, lower triangle; zero above. */
static void compute_gramian(struct training *t, const float *rows, size_t count) {
    size_t f = t->factors, slices = count / SLICE_ROWS_MIN;
    slices = slices < 1 ? 1 : slices > t->slices_max ? t->slices_max : slices;
    struct gramian g = {rows, count, f, slices, t->slices};
    rec_pool_run(t->fit->pool, slices, gramian_task, &g);
    for (size_t s = 1; s < slices; s++)
        rec_kernels_axpy(1.0f, t->slices + s * f * f, t->slices, f * f);
    for (size_t i = 0; i < f; i++)
        for (size_t j = i + 1; j < f; j++)
            t->slices[i * f + j] = 0.0f;
}

/* ---- a half step -------------------------------------------------------------- */

struct step {
    struct training *t;
    struct half *solved;
    struct als_side fixed;
    atomic_bool failed;
};

/* One row of the solved side; its loss is added to *loss. */
static bool solve_row(const struct step *step, uint32_t row, float *work, double *loss,
                      double *norm) {
    const struct rec_csr *csr = step->solved->confidence;
    size_t f = step->fixed.factors;
    float *A = work, *b = work + f * f, *x = step->solved->factors + row * f;
    float sum = 0.0f, ridge = 0.0f;
    for (int try = 0; try < REC_ALS_TRIES; try++) {
        struct als_row problem;
        const float *L;
        sum = 0.0f;
        rec_als_row_begin(&problem, &step->fixed, ridge, A, b);
        for (uint64_t k = csr->offset[row]; k < csr->offset[row + 1]; k++) {
            rec_als_row_add(&problem, csr->column[k], csr->value[k], csr->value[k] - 1.0f);
            sum += csr->value[k];
        }
        if (rec_als_row_factor(&problem, &L)) {
            memcpy(x, b, f * sizeof(float));
            rec_cholesky_solve(L, f, x);
            *loss += (double)sum - (double)rec_kernels_dot(b, x, f);
            *norm += (double)rec_kernels_dot(x, x, f);
            return true;
        }
        ridge = rec_als_next_ridge(&step->fixed, sum, ridge);
    }
    return false;
}

static void step_task(void *context, size_t task, size_t worker) {
    struct step *step = context;
    struct training *t = step->t;
    uint32_t rows = step->solved->confidence->rows;
    uint32_t begin = (uint32_t)task * ROWS_PER_TASK;
    uint32_t end = rows - begin < ROWS_PER_TASK ? rows : begin + ROWS_PER_TASK;
    t->task_loss[task] = t->task_norm[task] = 0.0;
    if (rec_progress_cancelled(t->fit->progress))
        return;
    for (uint32_t row = begin; row < end; row++)
        if (!solve_row(step, row, t->work + worker * t->work_floats, &t->task_loss[task],
                       &t->task_norm[task]))
            atomic_store(&step->failed, true);
}

static size_t tasks_of(uint32_t rows) {
    return ((size_t)rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
}

static enum rec_status run_step(struct training *t, struct half *solved, const struct half *fixed,
                                struct rec_error *err) {
    size_t f = t->factors, tasks = tasks_of(solved->confidence->rows);
    struct step step = {t, solved, {f, fixed->factors, t->base, t->factor}, false};
    compute_gramian(t, fixed->factors, fixed->confidence->rows);
    if (rec_als_base(t->slices, f, t->regularization, t->base, t->factor))
        rec_pool_run(t->fit->pool, tasks, step_task, &step);
    else
        atomic_store(&step.failed, true);
    if (rec_progress_cancelled(t->fit->progress))
        return rec_error_set(err, REC_CANCELLED, "als: cancelled");

    solved->loss = solved->norm = 0.0;
    for (size_t i = 0; i < tasks && !atomic_load(&step.failed); i++) {
        solved->loss += t->task_loss[i];
        solved->norm += t->task_norm[i];
    }
    if (atomic_load(&step.failed) || !isfinite(solved->loss) || !isfinite(solved->norm))
        return rec_error_set(err, REC_BAD_INPUT,
                             "als: regularization %g is too small for this data: the equations "
                             "have no single solution in float; raise it, or lower alpha",
                             (double)t->regularization);
    return REC_OK;
}

/* ---- before and after ----------------------------------------------------------- */

/* One stream an item, so that the start does not depend on how many items there are. */
static void init_items(struct training *t) {
    float sigma = 0.1f / sqrtf((float)t->factors);
    for (uint32_t item = 0; item < t->items.confidence->rows; item++) {
        struct rec_rng rng;
        rec_rng_init(&rng, t->fit->seed, item);
        for (size_t i = 0; i < t->factors; i++)
            t->items.factors[item * t->factors + i] = sigma * rec_rng_normal(&rng);
    }
}

/* Weights become confidences, alpha x weight. */
static enum rec_status make_confidences(struct training *t, float alpha, struct rec_error *err) {
    enum rec_status st = rec_dataset_matrix(t->fit->data, &t->users.confidence, err);
    if (st != REC_OK)
        return st;
    struct rec_csr *csr = t->users.confidence;
    uint64_t entries = rec_csr_entries(csr);
    t->pairs = (double)csr->rows * (double)csr->cols - (double)entries;
    for (uint64_t k = 0; k < entries; k++) {
        float confidence = alpha * csr->value[k];
        if (!(confidence <= REC_ALS_VALUE_MAX))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "als: alpha %g times the weight %g of item %u is over %g; lower "
                                 "alpha or the weights",
                                 (double)alpha, (double)csr->value[k], csr->column[k],
                                 (double)REC_ALS_VALUE_MAX);
        csr->value[k] = confidence;
        t->pairs += (double)confidence;
    }
    return rec_csr_transpose(csr, &t->items.confidence, err);
}

static enum rec_status make_room(struct training *t, struct rec_error *err) {
    size_t f = t->factors, square = f * f, threads = rec_pool_threads(t->fit->pool);
    uint32_t users = t->users.confidence->rows, items = t->items.confidence->rows;
    size_t tasks = tasks_of(users > items ? users : items);
    size_t affordable = SLICES_BYTES_MAX / (square * sizeof(float));
    t->slices_max = affordable < 1 ? 1 : affordable < SLICES_MAX ? affordable : SLICES_MAX;
    t->work_floats = square + f + 16; /* a cache line between workers */
    t->users.factors = rec_alloc_array(users, f * sizeof(float));
    t->base = rec_alloc_array(square, sizeof(float));
    t->factor = rec_alloc_array(square, sizeof(float));
    t->slices = rec_alloc_array(t->slices_max, square * sizeof(float));
    t->work = rec_alloc_array(threads, t->work_floats * sizeof(float));
    t->task_loss = rec_alloc_array(tasks, sizeof(double));
    t->task_norm = rec_alloc_array(tasks, sizeof(double));
    if (t->users.factors == NULL || t->base == NULL || t->factor == NULL || t->slices == NULL ||
        t->work == NULL || t->task_loss == NULL || t->task_norm == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "als: no memory for %u users x %zu factors", users,
                             f);
    return REC_OK;
}

static void finish(struct training *t) {
    rec_csr_destroy(&t->users.confidence);
    rec_csr_destroy(&t->items.confidence);
    rec_alloc_free(t->users.factors);
    rec_alloc_free(t->base);
    rec_alloc_free(t->factor);
    rec_alloc_free(t->slices);
    rec_alloc_free(t->work);
    rec_alloc_free(t->task_loss);
    rec_alloc_free(t->task_norm);
}

static enum rec_status iterate(struct training *t, unsigned iterations, struct rec_error *err) {
    const struct rec_progress *progress = t->fit->progress;
    double loss = NAN;
    rec_progress_report(progress, "fit", 0.0, loss);
    for (unsigned i = 0; i < iterations; i++) {
        enum rec_status st = run_step(t, &t->users, &t->items, err);
        if (st != REC_OK)
            return st;
        rec_progress_report(progress, "fit", (i + 0.5) / iterations, loss);
        st = run_step(t, &t->items, &t->users, err);
        if (st != REC_OK)
            return st;
        loss = (t->items.loss + (double)t->regularization * t->users.norm) / t->pairs;
        rec_progress_report(progress, "fit", (i + 1.0) / iterations, loss);
    }
    return REC_OK;
}

enum rec_status rec_als_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err) {
    struct training t = {.fit = fit,
                         .factors = (size_t)rec_params_get(fit->params, "factors"),
                         .regularization = (float)rec_params_get(fit->params, "regularization")};
    uint32_t items = fit->data->items;
    void *data = NULL;
    enum rec_status st = make_confidences(&t, (float)rec_params_get(fit->params, "alpha"), err);
    if (st != REC_OK)
        goto out;
    st = make_room(&t, err);
    if (st != REC_OK)
        goto out;
    st = rec_tensors_add(out, "item_factors", REC_TENSOR_F32, items, t.factors, &data, err);
    if (st != REC_OK)
        goto out;
    t.items.factors = data;
    st = rec_tensors_add(out, "gramian", REC_TENSOR_F32, t.factors, t.factors, &data, err);
    if (st != REC_OK)
        goto out;

    init_items(&t);
    st = iterate(&t, (unsigned)rec_params_get(fit->params, "iterations"), err);
    if (st != REC_OK)
        goto out;
    compute_gramian(&t, t.items.factors, items);
    memcpy(data, t.slices, t.factors * t.factors * sizeof(float));

out:
    finish(&t);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}
