/* Training of the truncated SVD: randomised subspace iteration.
 * source: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithm 4.4, on
 *         the side of the items, with the Rayleigh and Ritz step of section 5.
 *
 *   Q random [items x width], width = factors + oversample
 *   `iterations` times: Q = orthonormal(Xᵀ(X Q))
 *   YᵀY = E Λ Eᵀ with Y = X Q: the right singular vectors are Q E, the values are √Λ
 *
 * The sparse products take nearly all of the time and are the parallelism: each row of a product is
 * one sum of rows. The orthonormal step is Cholesky's: the Gram matrix of the columns, summed in
 * double over slices whose number does not depend on the threads, then one product with a small
 * triangular matrix. In double, because columns of XᵀXQ point nearly the same way as long as Q is
 * still random; where they depend on each other entirely (fewer users or items than factors, equal
 * rows) columns become 0 and stay it. */
#include <math.h>
#include <string.h>

#include "recsysd/data.h"
#include "svd.h"

enum {
    ROWS_PER_TASK = 128,
    SLICES_MAX = 16, /* of a Gram matrix */
    SLICE_ROWS_MIN = 256,
    SLICES_BYTES_MAX = 64 << 20,
};

/* Squares of singular values below this share of the largest are the noise of float. */
#define NOISE 1e-12

struct training {
    const struct rec_fit *fit;
    struct rec_csr *users, *items; /* X scaled, and its transpose */
    size_t factors, width, slices_max;

    float *basis;       /* [items x width] Q */
    float *next;        /* [items x width] */
    float *image;       /* [users x width] X Q */
    double *slices;     /* [slices_max x width x width] */
    double *small;      /* [width x width] */
    double *value;      /* [width] */
    float *turn;        /* [width x width] */
    double *user_scale; /* [users] */
    double *item_scale; /* [items] */
};

/* ---- products --------------------------------------------------------------------- */

struct product {
    const struct training *t;
    const struct rec_csr *sparse; /* NULL: dense */
    const float *in;
    float *out;
    size_t rows, columns, stride; /* of out */
};

static size_t tasks_of(size_t rows) {
    return (rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
}

/* out = sparse x in, or in x turn. */
static void product_task(void *context, size_t task, size_t worker) {
    const struct product *p = context;
    const struct rec_csr *sparse = p->sparse;
    size_t begin = task * ROWS_PER_TASK, width = p->t->width;
    size_t end = p->rows - begin < ROWS_PER_TASK ? p->rows : begin + ROWS_PER_TASK;
    (void)worker;
    if (rec_progress_cancelled(p->t->fit->progress))
        return;
    if (sparse == NULL) {
        rec_dense_gemm(false, false, end - begin, p->columns, width, 1.0f, p->in + begin * width,
                       width, p->t->turn, width, 0.0f, p->out + begin * p->stride, p->stride);
        return;
    }
    memset(p->out + begin * width, 0, (end - begin) * width * sizeof(float));
    for (size_t row = begin; row < end; row++)
        rec_kernels_sum_rows(
            p->in, sparse->column + sparse->offset[row], sparse->value + sparse->offset[row],
            (size_t)(sparse->offset[row + 1] - sparse->offset[row]), width, p->out + row * width);
}

static void multiply(const struct training *t, const struct rec_csr *sparse, const float *in,
                     float *out) {
    struct product p = {t, sparse, in, out, sparse->rows, t->width, t->width};
    rec_pool_run(t->fit->pool, tasks_of(p.rows), product_task, &p);
}

/* out [items x columns, rows `stride` apart] = in [items x width] turn */
static void apply_turn(const struct training *t, const float *in, size_t columns, float *out,
                       size_t stride) {
    struct product p = {t, NULL, in, out, t->items->rows, columns, stride};
    rec_pool_run(t->fit->pool, tasks_of(p.rows), product_task, &p);
}

/* ---- the Gram matrix of a basis ------------------------------------------------------ */

struct gram {
    const struct training *t;
    const float *rows;
    size_t count, slices;
};

static void gram_task(void *context, size_t task, size_t worker) {
    enum { WIDTH_MAX = 2 * REC_FACTORS_MAX };
    const struct gram *g = context;
    size_t width = g->t->width;
    size_t begin = g->count * task / g->slices, end = g->count * (task + 1) / g->slices;
    double *sum = g->t->slices + task * width * width, row[WIDTH_MAX];
    (void)worker;
    memset(sum, 0, width * width * sizeof(*sum));
    for (size_t r = begin; r < end; r++) {
        if (rec_progress_cancelled(g->t->fit->progress))
            return;
        for (size_t i = 0; i < width; i++)
            row[i] = (double)g->rows[r * width + i];
        for (size_t i = 0; i < width; i++)
            for (size_t j = 0; j <= i; j++)
                sum[i * width + j] += row[i] * row[j];
    }
}

/* Into the first slice, both triangles. */
static void compute_gram(const struct training *t, const float *rows, size_t count) {
    size_t width = t->width, square = width * width, slices = count / SLICE_ROWS_MIN;
    slices = slices < 1 ? 1 : slices > t->slices_max ? t->slices_max : slices;
    struct gram g = {t, rows, count, slices};
    rec_pool_run(t->fit->pool, slices, gram_task, &g);
    for (size_t s = 1; s < slices; s++)
        for (size_t i = 0; i < square; i++)
            t->slices[i] += t->slices[s * square + i];
    for (size_t i = 0; i < width; i++)
        for (size_t j = i + 1; j < width; j++)
            t->slices[i * width + j] = t->slices[j * width + i];
}

/* out = in with orthonormal columns. */
static void orthonormalise(const struct training *t, const float *in, float *out) {
    size_t square = t->width * t->width;
    compute_gram(t, in, t->items->rows);
    rec_svd_orthonormal(t->slices, t->width, t->small);
    for (size_t i = 0; i < square; i++)
        t->turn[i] = (float)t->small[i];
    apply_turn(t, in, t->width, out, t->width);
}

/* ---- steps --------------------------------------------------------------------------- */

/* One stream an item, so that the start does not depend on how many items there are. */
static void init_basis(struct training *t) {
    for (uint32_t item = 0; item < t->items->rows; item++) {
        struct rec_rng rng;
        rec_rng_init(&rng, t->fit->seed, item);
        for (size_t i = 0; i < t->width; i++)
            t->basis[item * t->width + i] = rec_rng_normal(&rng);
    }
}

static enum rec_status iterate(struct training *t, unsigned iterations, struct rec_error *err) {
    const struct rec_progress *progress = t->fit->progress;
    init_basis(t);
    for (unsigned i = 0; i < iterations; i++) {
        rec_progress_report(progress, "fit", (double)i / (iterations + 1), NAN);
        multiply(t, t->users, t->basis, t->image);
        multiply(t, t->items, t->image, t->next);
        orthonormalise(t, t->next, t->basis);
        if (rec_progress_cancelled(progress))
            return rec_error_set(err, REC_CANCELLED, "svd: cancelled in iteration %u of %u", i + 1,
                                 iterations);
    }
    /* Twice, because the first time magnifies what float lost of nearly parallel columns. */
    memcpy(t->next, t->basis, t->items->rows * t->width * sizeof(float));
    orthonormalise(t, t->next, t->basis);
    multiply(t, t->users, t->basis, t->image);
    rec_progress_report(progress, "fit", (double)iterations / (iterations + 1), NAN);
    return REC_OK;
}

/* Weights have an upper limit that keeps all products finite. So a factor that is no number comes
 * from weights whose squares are nearly 0, and is not cured by lower ones. */
static enum rec_status check_factors(const float *factors, size_t items, size_t count,
                                     struct rec_error *err) {
    for (size_t i = 0; i < items * count; i++)
        if (!(fabsf(factors[i]) <= REC_SVD_VALUE_MAX))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "svd: factor %zu of item %zu is %g, the limit is %g; %s the "
                                 "weights",
                                 i % count, i / count, (double)factors[i],
                                 (double)REC_SVD_VALUE_MAX,
                                 isfinite(factors[i]) ? "lower" : "raise");
    return REC_OK;
}

/* The singular values, and the items' factors V S / scale. */
static enum rec_status write_model(struct training *t, struct rec_tensors *out,
                                   struct rec_error *err) {
    size_t width = t->width, count = t->factors < width ? t->factors : width;
    uint32_t items = t->items->rows;
    void *factors = NULL, *values = NULL, *scale = NULL;
    enum rec_status st =
        rec_tensors_add(out, "item_factors", REC_TENSOR_F32, items, t->factors, &factors, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "singular_values", REC_TENSOR_F32, 1, t->factors, &values, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "item_weight", REC_TENSOR_F32, 1, items, &scale, err);
    if (st != REC_OK)
        return st;

    compute_gram(t, t->image, t->users->rows);
    if (!rec_svd_eigen(t->slices, width, t->fit->progress, t->value, t->small) ||
        rec_progress_cancelled(t->fit->progress))
        return rec_error_set(err, REC_CANCELLED, "svd: cancelled");
    memset(t->turn, 0, width * width * sizeof(float));
    for (size_t k = 0; k < count && t->value[k] > NOISE * t->value[0]; k++) {
        double sigma = sqrt(t->value[k]);
        ((float *)values)[k] = (float)sigma;
        for (size_t i = 0; i < width; i++)
            t->turn[i * width + k] = (float)(sigma * t->small[k * width + i]);
    }
    apply_turn(t, t->basis, count, factors, t->factors);
    for (uint32_t i = 0; i < items; i++) {
        ((float *)scale)[i] = (float)(t->item_scale[i] * t->item_scale[i]);
        for (size_t k = 0; k < count; k++)
            ((float *)factors)[i * t->factors + k] *= (float)(1.0 / t->item_scale[i]);
    }
    return check_factors(factors, items, t->factors, err);
}

/* ---- before and after -------------------------------------------------------------------- */

/* degree^-exponent; 1 for those without any weight. */
static void make_scales(double *degree, size_t count, double exponent) {
    for (size_t i = 0; i < count; i++)
        degree[i] = degree[i] > 0.0 ? pow(degree[i], -exponent) : 1.0;
}

/* X: weights of a pair added up, each times its user's and its item's scale. */
static enum rec_status make_matrix(struct training *t, struct rec_error *err) {
    enum rec_status st = rec_dataset_matrix(t->fit->data, &t->users, err);
    if (st != REC_OK)
        return st;
    struct rec_csr *csr = t->users;
    t->user_scale = rec_alloc_array(csr->rows, sizeof(*t->user_scale));
    t->item_scale = rec_alloc_array(csr->cols, sizeof(*t->item_scale));
    if (t->user_scale == NULL || t->item_scale == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "svd: no memory for %u users and %u items",
                             csr->rows, csr->cols);
    for (uint32_t user = 0; user < csr->rows; user++)
        for (uint64_t k = csr->offset[user]; k < csr->offset[user + 1]; k++) {
            double weight = (double)csr->value[k];
            if (!(weight <= (double)REC_SVD_VALUE_MAX))
                return rec_error_set(err, REC_BAD_INPUT,
                                     "svd: the weight of user %u and item %u is %g, the limit is "
                                     "%g; lower the weights",
                                     user, csr->column[k], weight, (double)REC_SVD_VALUE_MAX);
            t->user_scale[user] += weight;
            t->item_scale[csr->column[k]] += weight;
        }
    make_scales(t->user_scale, csr->rows, rec_params_get(t->fit->params, "user_exponent"));
    make_scales(t->item_scale, csr->cols, rec_params_get(t->fit->params, "item_exponent"));
    for (uint32_t user = 0; user < csr->rows; user++)
        for (uint64_t k = csr->offset[user]; k < csr->offset[user + 1]; k++)
            csr->value[k] = (float)((double)csr->value[k] * t->user_scale[user] *
                                    t->item_scale[csr->column[k]]);
    return rec_csr_transpose(csr, &t->items, err);
}

static size_t width_of(const struct rec_fit *fit) {
    size_t width = (size_t)(rec_params_get(fit->params, "factors") +
                            rec_params_get(fit->params, "oversample"));
    return width < fit->data->items ? width : fit->data->items;
}

static size_t slices_of(size_t width) {
    size_t affordable = SLICES_BYTES_MAX / (width * width * sizeof(double));
    return affordable < 1 ? 1 : affordable < SLICES_MAX ? affordable : SLICES_MAX;
}

static enum rec_status make_room(struct training *t, struct rec_error *err) {
    size_t width = t->width, square = width * width, items = t->items->rows;
    t->slices_max = slices_of(width);
    t->basis = rec_alloc_array(items, width * sizeof(*t->basis));
    t->next = rec_alloc_array(items, width * sizeof(*t->next));
    t->image = rec_alloc_array(t->users->rows, width * sizeof(*t->image));
    t->slices = rec_alloc_array(t->slices_max, square * sizeof(*t->slices));
    t->small = rec_alloc_array(square, sizeof(*t->small));
    t->value = rec_alloc_array(width, sizeof(*t->value));
    t->turn = rec_alloc_array(square, sizeof(*t->turn));
    if (t->basis == NULL || t->next == NULL || t->image == NULL || t->slices == NULL ||
        t->small == NULL || t->value == NULL || t->turn == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "svd: no memory for %u users and %zu items x %zu",
                             t->users->rows, items, width);
    return REC_OK;
}

static void finish(struct training *t) {
    rec_csr_destroy(&t->users);
    rec_csr_destroy(&t->items);
    rec_alloc_free(t->basis);
    rec_alloc_free(t->next);
    rec_alloc_free(t->image);
    rec_alloc_free(t->slices);
    rec_alloc_free(t->small);
    rec_alloc_free(t->value);
    rec_alloc_free(t->turn);
    rec_alloc_free(t->user_scale);
    rec_alloc_free(t->item_scale);
}

enum rec_status rec_svd_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err) {
    struct training t = {.fit = fit,
                         .factors = (size_t)rec_params_get(fit->params, "factors"),
                         .width = width_of(fit)};
    enum rec_status st = make_matrix(&t, err);
    if (st == REC_OK)
        st = make_room(&t, err);
    if (st == REC_OK)
        st = iterate(&t, (unsigned)rec_params_get(fit->params, "iterations"), err);
    if (st == REC_OK)
        st = write_model(&t, out, err);
    finish(&t);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

/* The matrix both ways, the three tall matrices, the small ones, and the model. */
size_t rec_svd_fit_bytes(const struct rec_fit *fit) {
    double users = fit->data->users, items = fit->data->items, width = (double)width_of(fit);
    double events = (double)fit->data->offset[fit->data->users];
    double slices = (double)slices_of(width_of(fit));
    double bytes = 16.0 * events + 16.0 * (users + items) + 4.0 * width * (users + 2.0 * items) +
                   width * width * (8.0 * slices + 12.0) +
                   4.0 * items * (rec_params_get(fit->params, "factors") + 1.0);
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}
