/* Training of iALS: alternating least squares, exact or in blocks of coordinates.
 *
 * Each half step fixes one side, computes its Gramian, and solves every row of
 * the other side by itself (als_row.c, als_block.c), so rows are the parallelism: tasks of a
 * few rows over the pool, each with its worker's scratch. A row's bits depend on
 * its own data alone, the Gramian and the loss are summed over slices whose
 * number does not depend on the threads: the same bits for any pool.
 *
 * The loss costs nothing extra: at its optimum x, a row's share of the objective
 * is Σ c - bᵀx, its regularization included. (A block step knows every prediction.)
 *
 * Users' factors are thrown away at the end. The model answers for histories, so
 * a user who is erased leaves nothing behind in it. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "als.h"
#include "earlystop.h"
#include "recsysd/data.h"
#include "recsysd/families.h"

enum {
    INVERSE_ROWS_MIN = 16, /* solves a factor that the inverse of the base is worth */
    ROWS_PER_TASK = 16,    /* few, because popular rows sit together and cost the most */
    SLICES_MAX = 16,       /* of a Gramian */
    SLICE_ROWS_MIN = 256,
    SLICES_BYTES_MAX = 64 << 20,
};

/* One side of the matrix: its factors, and its rows' confidences in the other side's items. */
struct half {
    struct rec_csr *confidence;
    float *factors;
    double loss, norm; /* of the last step: the rows' shares of the objective; Σ λ |x|² */
};

struct training {
    const struct rec_fit *fit;
    const struct rec_dataset *data; /* what is fitted on */
    size_t factors, slices_max;
    size_t block; /* 0: exact solves */
    struct als_objective objective;
    struct half users, items;
    float alike_value;
    float *alike; /* [longest row] the one confidence that all observed pairs have, and no matrix
                     keeps; NULL: they differ */
    double pairs; /* sum of all confidences, those of unobserved pairs included */

    float *base, *factor, *inverse; /* [factors x factors] of the fixed side */
    float *slices;                  /* [slices_max x factors x factors] */
    float *block_rows, *block_base; /* of the fixed side, as in struct als_blocks; NULL: exact */
    float *work;                    /* [threads x work_floats] */
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
    struct als_blocks blocks;
    atomic_bool failed;
};

static bool solve_exactly(const struct step *step, const struct als_done *done, float *x,
                          float *work, double *loss) {
    const struct als_side *fixed = &step->fixed;
    size_t f = fixed->factors;
    float *A = work, *b = work + f * f, ridge = 0.0f;
    for (int try = 0; try < REC_ALS_TRIES; try++) {
        struct als_row row;
        const float *L;
        rec_als_row_begin(&row, fixed, A, b);
        for (size_t k = 0; k < done->count; k++)
            rec_als_row_add(&row, done->index[k], done->confidence[k],
                            done->confidence[k] - fixed->objective.unobserved);
        if (rec_als_row_factor(&row, ridge, &L)) {
            rec_als_row_solve(&row, L, x);
            *loss = (double)row.sum - (double)rec_kernels_dot(b, x, f);
            return true;
        }
        ridge = rec_als_next_ridge(fixed, row.sum, ridge);
    }
    return false;
}

/* Squares of smaller numbers are subnormal, and those take ten times as long to work with: a model
 * that more regularization than it bears pulls to zero would take its time over nothing. */
static void clear_traces(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = fabsf(x[i]) < 1e-18f ? 0.0f : x[i];
}

/* One row of the solved side; its part of the objective is added to *loss, and of that its
 * regularization to *norm. */
static bool solve_row(const struct step *step, uint32_t row, float *work, double *loss,
                      double *norm) {
    const struct rec_csr *csr = step->solved->confidence;
    uint64_t begin = csr->offset[row];
    const float *alike = step->t->alike;
    const struct als_done done = {csr->column + begin, alike != NULL ? alike : csr->value + begin,
                                  (size_t)(csr->offset[row + 1] - begin)};
    size_t f = step->fixed.factors;
    float *x = step->solved->factors + row * f, sum = 0.0f;
    double share = 0.0;
    if (done.count == 0) { /* the optimum is known */
        memset(x, 0, f * sizeof(float));
        return true;
    }
    if (step->t->block > 0 ? !rec_als_block_step(&step->blocks, &done, x, work, &share)
                           : !solve_exactly(step, &done, x, work, &share))
        return false;
    clear_traces(x, f);
    for (size_t k = 0; k < done.count; k++)
        sum += done.confidence[k];
    *loss += share;
    *norm += (double)rec_als_lambda(&step->fixed, sum) * (double)rec_kernels_dot(x, x, f);
    return true;
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

/* What a half step reads of the fixed side. False when its Gramian is none. */
static bool begin_step(struct step *step, const struct half *fixed) {
    struct training *t = step->t;
    uint32_t count = fixed->confidence->rows;
    compute_gramian(t, fixed->factors, count);
    step->fixed = (struct als_side){
        t->factors, t->objective, count, fixed->factors, t->base, t->factor, NULL,
    };
    step->blocks = (struct als_blocks){&step->fixed, t->block, t->block_rows, t->block_base};
    if (!rec_als_base(&step->fixed, t->slices, t->base, t->factor))
        return false;
    if (t->block > 0) {
        rec_als_blocks_fill(&step->blocks, t->block_rows, t->block_base);
    } else if (step->solved->confidence->rows >= INVERSE_ROWS_MIN * t->factors) {
        rec_als_inverse(&step->fixed, t->inverse);
        step->fixed.inverse = t->inverse;
    }
    return true;
}

static enum rec_status run_step(struct training *t, struct half *solved, const struct half *fixed,
                                struct rec_error *err) {
    size_t tasks = tasks_of(solved->confidence->rows);
    struct step step = {.t = t, .solved = solved};
    if (begin_step(&step, fixed))
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
                             (double)t->objective.regularization);
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

/* Which saves half of what both matrices take. */
static bool are_alike(const float *value, uint64_t count) {
    uint64_t same = 0;
    while (same < count && value[same] >= value[0] && value[same] <= value[0])
        same++;
    return same == count;
}

/* Weights become confidences, alpha x weight. */
static enum rec_status make_confidences(struct training *t, float alpha, struct rec_error *err) {
    enum rec_status st = rec_dataset_matrix(t->data, &t->users.confidence, err);
    if (st != REC_OK)
        return st;
    struct rec_csr *csr = t->users.confidence;
    uint64_t entries = rec_csr_entries(csr);
    t->pairs = (double)csr->rows * (double)csr->cols - (double)entries;
    t->pairs *= (double)t->objective.unobserved;
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
    if (entries > 0 && are_alike(csr->value, entries)) {
        t->alike_value = csr->value[0];
        rec_alloc_free(csr->value);
        csr->value = NULL;
    }
    return rec_csr_transpose(csr, &t->items.confidence, err);
}

static size_t longest_row(const struct rec_csr *csr) {
    uint64_t longest = 0;
    for (uint32_t row = 0; row < csr->rows; row++)
        if (csr->offset[row + 1] - csr->offset[row] > longest)
            longest = csr->offset[row + 1] - csr->offset[row];
    return (size_t)longest;
}

static size_t slices_max_of(size_t factors) {
    size_t affordable = SLICES_BYTES_MAX / (factors * factors * sizeof(float));
    return affordable < 1 ? 1 : affordable < SLICES_MAX ? affordable : SLICES_MAX;
}

static enum rec_status make_room(struct training *t, struct rec_error *err) {
    size_t f = t->factors, square = f * f, threads = rec_pool_threads(t->fit->pool);
    uint32_t users = t->users.confidence->rows, items = t->items.confidence->rows;
    uint32_t most = users > items ? users : items;
    size_t longest = longest_row(t->users.confidence), tasks = tasks_of(most);
    if (longest_row(t->items.confidence) > longest)
        longest = longest_row(t->items.confidence);
    t->slices_max = slices_max_of(f);
    t->work_floats = t->block > 0 ? rec_als_block_floats(f, t->block, longest) : square + f;
    t->work_floats += 16; /* a cache line between workers */
    t->users.factors = rec_alloc_array(users, f * sizeof(float));
    t->base = rec_alloc_array(square, sizeof(float));
    t->factor = rec_alloc_array(square, sizeof(float));
    t->inverse = rec_alloc_array(square, sizeof(float));
    t->slices = rec_alloc_array(t->slices_max, square * sizeof(float));
    t->block_rows = rec_alloc_array(t->block > 0 ? most : 1, f * sizeof(float));
    t->block_base = rec_alloc_array(t->block > 0 ? square : 1, sizeof(float));
    t->work = rec_alloc_array(threads, t->work_floats * sizeof(float));
    t->task_loss = rec_alloc_array(tasks, sizeof(double));
    t->task_norm = rec_alloc_array(tasks, sizeof(double));
    bool keeps_values = t->users.confidence->value != NULL;
    if (!keeps_values)
        t->alike = rec_alloc_array(longest, sizeof(float));
    for (size_t i = 0; t->alike != NULL && i < longest; i++)
        t->alike[i] = t->alike_value;
    if ((!keeps_values && t->alike == NULL) || t->users.factors == NULL || t->base == NULL ||
        t->factor == NULL || t->inverse == NULL || t->slices == NULL || t->block_rows == NULL ||
        t->block_base == NULL || t->work == NULL || t->task_loss == NULL || t->task_norm == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "als: no memory for %u users x %zu factors", users,
                             f);
    return REC_OK;
}

static void finish(struct training *t) {
    rec_csr_destroy(&t->users.confidence);
    rec_csr_destroy(&t->items.confidence);
    rec_alloc_free(t->alike);
    rec_alloc_free(t->users.factors);
    rec_alloc_free(t->base);
    rec_alloc_free(t->factor);
    rec_alloc_free(t->inverse);
    rec_alloc_free(t->slices);
    rec_alloc_free(t->block_rows);
    rec_alloc_free(t->block_base);
    rec_alloc_free(t->work);
    rec_alloc_free(t->task_loss);
    rec_alloc_free(t->task_norm);
}

/* Users, then items: one iteration. */
static enum rec_status run_iteration(struct training *t, unsigned iteration, unsigned iterations,
                                     double *loss, struct rec_error *err) {
    const struct rec_progress *progress = t->fit->progress;
    enum rec_status st = run_step(t, &t->users, &t->items, err);
    if (st != REC_OK)
        return st;
    rec_progress_report(progress, "fit", (iteration + 0.5) / iterations, *loss);
    st = run_step(t, &t->items, &t->users, err);
    if (st != REC_OK)
        return st;
    *loss = (t->items.loss + t->users.norm) / t->pairs;
    rec_progress_report(progress, "fit", (iteration + 1.0) / iterations, *loss);
    return REC_OK;
}

/* Leaves the Gramian of the items' factors beside them, as answering needs it. */
static enum rec_status iterate(struct training *t, struct rec_earlystop *stop,
                               const struct rec_tensors *out, float *gramian,
                               struct rec_error *err) {
    unsigned iterations = (unsigned)rec_params_get(t->fit->params, "iterations");
    double loss = NAN;
    rec_progress_report(t->fit->progress, "fit", 0.0, loss);
    for (unsigned i = 0; i < iterations && !stop->done; i++) {
        enum rec_status st = run_iteration(t, i, iterations, &loss, err);
        if (st != REC_OK)
            return st;
        if (!stop->on && i + 1 < iterations)
            continue;
        compute_gramian(t, t->items.factors, t->items.confidence->rows);
        memcpy(gramian, t->slices, t->factors * t->factors * sizeof(float));
        st = rec_earlystop_judge(stop, out, i + 1, err);
        if (st != REC_OK)
            return st;
    }
    return REC_OK;
}

/* Fits on t->data into *out. */
static enum rec_status train(struct training *t, struct rec_earlystop *stop,
                             struct rec_tensors *out, struct rec_error *err) {
    size_t f = t->factors;
    void *factors = NULL, *gramian = NULL;
    float alpha = (float)rec_params_get(t->fit->params, "alpha");
    enum rec_status st = make_confidences(t, alpha, err);
    if (st == REC_OK)
        st = make_room(t, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "item_factors", REC_TENSOR_F32, t->data->items, f, &factors, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "gramian", REC_TENSOR_F32, f, f, &gramian, err);
    if (st != REC_OK)
        return st;
    t->items.factors = factors;
    init_items(t);
    return iterate(t, stop, out, gramian, err);
}

enum rec_status rec_als_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err) {
    struct rec_earlystop stop;
    size_t patience = (size_t)rec_params_get(fit->params, "early_stop");
    enum rec_status st = rec_earlystop_begin(&stop, fit, &rec_als_family, patience, err);
    if (st != REC_OK)
        return st;
    struct training t = {.fit = fit,
                         .data = stop.train,
                         .factors = (size_t)rec_params_get(fit->params, "factors"),
                         .block = (size_t)rec_params_get(fit->params, "block"),
                         .objective = rec_als_objective(fit->params)};
    if (t.block > t.factors)
        t.block = t.factors;
    st = train(&t, &stop, out, err);
    finish(&t);
    rec_earlystop_end(&stop, st == REC_OK ? out : NULL);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

static size_t count_liked(const struct rec_dataset *data) {
    size_t liked = 0;
    for (uint64_t e = 0; e < data->offset[data->users]; e++)
        liked += data->weight[e] > 0.0f;
    return liked;
}

/* The confidences both ways, the factors of both sides and what a half step needs. The longest row
 * is not known yet: as long as the other side is. */
size_t rec_als_fit_bytes(const struct rec_fit *fit) {
    const struct rec_dataset *data = fit->data;
    double f = rec_params_get(fit->params, "factors"), block = rec_params_get(fit->params, "block");
    double users = data->users, items = data->items, most = users > items ? users : items;
    double pairs = (double)count_liked(data), square = f * f;
    double threads = (double)rec_pool_threads(fit->pool);
    double floats = f * (users + items) + square * (4.0 + (double)slices_max_of((size_t)f));
    if (block > 0)
        floats += f * most + square + threads * (fmin(block, f) * fmin(block, f) + 3.0 * most);
    else
        floats += threads * square;
    double bytes = 16.0 * pairs + 8.0 * (users + items) + most + 4.0 * floats;
    if (rec_params_get(fit->params, "early_stop") > 0)
        bytes += (double)rec_earlystop_bytes(fit, (size_t)(4.0 * (f * items + square)));
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}
