/* Training of an autoencoder: shuffled batches of users, Adam, early stopping.
 *
 * Nearly all of the time goes to the last layer, which scores the whole catalogue for each user of
 * a batch: three matrix products of batch x hidden x items, and one pass over the batch x items
 * logits that turns them into their gradient. The first layer costs the entries of the batch.
 *
 * Random numbers are hashes of where they are used, and every sum has one order: the same bits on
 * any number of threads.
 *
 * Rows of items that nobody has stay zero in the first layer: there is nothing to gather them for,
 * and answers tell them by it (autoencoder.c). */
#include <math.h>
#include <string.h>

#include "autoencoder.h"
#include "earlystop.h"
#include "recency.h"
#include "recsysd/data.h"

enum {
    LOOK_STEPS_MIN = 16, /* on small data an epoch is one step, and no step is worth a look */
    ALIGN_FLOATS = 16,
    ORDER_STREAM = 1000, /* of random numbers: the order of an epoch's users is this + epoch */
};

struct training {
    const struct rec_fit *fit;
    const struct rec_autoencoder_spec *spec;
    struct rec_earlystop stop;
    struct rec_csr *users;
    size_t items, codes; /* codes: outputs of the encoder */
    uint32_t *order;     /* [active] users with a row */
    size_t active, batch_max;

    struct rec_tensors *tensors;
    struct rec_variable input, encoder, decoder, output;
    struct rec_adam adam;
    struct rec_batch *batch;
    float *block; /* all that follows */
    struct rec_matrix a, stats, code, d, z, da, dstats, dcode, dd;
    double *row_loss;
};

/* ---- room ------------------------------------------------------------------------- */

static size_t aligned(size_t floats) {
    return (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

/* The next rows x cols of the block; at NULL only counts. */
static struct rec_matrix take(float *block, size_t *used, size_t rows, size_t cols) {
    struct rec_matrix matrix = rec_matrix_of(block == NULL ? NULL : block + *used, rows, cols);
    *used += aligned(rows * cols);
    return matrix;
}

/* The matrices of a batch, carved out of block (NULL: how many floats that takes). */
static size_t carve(struct training *t, float *block) {
    size_t n = t->batch_max, h = t->spec->hidden, c = t->spec->code, used = 0;
    size_t own = t->spec->variational ? n : 0; /* else the code's own matrices serve */
    t->a = take(block, &used, n, h + 1);
    t->code = take(block, &used, n, c + 1);
    t->d = take(block, &used, n, h + 1);
    t->z = take(block, &used, n, t->items);
    t->da = take(block, &used, n, h);
    t->dcode = take(block, &used, n, c);
    t->dd = take(block, &used, n, h);
    t->stats = take(block, &used, own, t->codes);
    t->dstats = take(block, &used, own, t->codes);
    return used;
}

static size_t longest_row(const struct rec_csr *csr) {
    uint64_t longest = 0;
    for (uint32_t u = 0; u < csr->rows; u++)
        if (csr->offset[u + 1] - csr->offset[u] > longest)
            longest = csr->offset[u + 1] - csr->offset[u];
    return (size_t)longest;
}

static enum rec_status make_room(struct training *t, struct rec_error *err) {
    size_t entries = (size_t)rec_csr_entries(t->users), most = longest_row(t->users);
    size_t floats = carve(t, NULL);
    most = most > entries / t->batch_max ? entries : most * t->batch_max;
    t->block = rec_alloc_array(floats, sizeof(float));
    t->row_loss = rec_alloc_array(t->batch_max, sizeof(double));
    if (t->block == NULL || t->row_loss == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for batches of %zu users",
                             t->spec->family->name, t->batch_max);
    (void)carve(t, t->block);
    rec_matrix_ones(&t->a);
    rec_matrix_ones(&t->code);
    rec_matrix_ones(&t->d);
    return rec_batch_create(t->batch_max, most, (uint32_t)t->items, &t->batch, err);
}

/* The users who have something, and how many of them make a step. */
static enum rec_status make_order(struct training *t, struct rec_error *err) {
    t->order = rec_alloc_array(t->users->rows, sizeof(*t->order));
    if (t->order == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for the order of %u users",
                             t->spec->family->name, t->users->rows);
    for (uint32_t u = 0; u < t->users->rows; u++)
        if (t->users->offset[u + 1] > t->users->offset[u])
            t->order[t->active++] = u;
    t->batch_max = t->spec->batch < t->active ? t->spec->batch : t->active;
    return REC_OK;
}

static enum rec_status add(struct training *t, const char *name, size_t rows, size_t cols,
                           bool dense, struct rec_variable *variable, struct rec_error *err) {
    void *data = NULL;
    enum rec_status st = rec_tensors_add(t->tensors, name, REC_TENSOR_F32, rows, cols, &data, err);
    return st == REC_OK ? rec_variable_init(variable, data, rows, cols, dense, err) : st;
}

/* Glorot and Bengio, 2010: a layer of n inputs and m outputs starts with variance 2 / (n + m).
 * Biases start at 0. */
static void start(struct training *t, struct rec_variable *variable, uint32_t stream, size_t cols,
                  size_t ends) {
    rec_variable_randomize(variable, cols, sqrtf(2.0f / (float)ends), t->fit->seed, stream);
}

static enum rec_status make_variables(struct training *t, struct rec_error *err) {
    size_t items = t->items, h = t->spec->hidden, c = t->spec->code;
    enum rec_status st = add(t, "input", items + 1, h, false, &t->input, err);
    if (st == REC_OK)
        st = add(t, "encoder", t->codes, h + 1, true, &t->encoder, err);
    if (st == REC_OK)
        st = add(t, "decoder", h, c + 1, true, &t->decoder, err);
    if (st == REC_OK)
        st = add(t, "output", items, h + 1, true, &t->output, err);
    if (st != REC_OK)
        return st;
    start(t, &t->input, 0, h, items + h);
    start(t, &t->encoder, 1, h, h + t->codes);
    start(t, &t->decoder, 2, c, c + h);
    start(t, &t->output, 3, h, h + items);
    return REC_OK;
}

/* First layer: the bias and items that nobody has start at 0, and the latter stay there. */
static enum rec_status clear_unknown(struct training *t, struct rec_error *err) {
    size_t h = t->spec->hidden;
    uint8_t *known = rec_alloc_array(t->items + 1, sizeof(*known));
    if (known == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %zu items",
                             t->spec->family->name, t->items);
    for (uint64_t k = 0; k < rec_csr_entries(t->users); k++)
        known[t->users->column[k]] = 1;
    for (size_t i = 0; i <= t->items; i++)
        if (known[i] == 0)
            memset(t->input.value + i * h, 0, h * sizeof(float));
    rec_alloc_free(known);
    return REC_OK;
}

/* What brings the row of a user to length 1. */
static float inverse_length(const struct rec_csr *csr, uint32_t user) {
    double square = 0.0;
    for (uint64_t k = csr->offset[user]; k < csr->offset[user + (size_t)1]; k++)
        square += (double)csr->value[k] * (double)csr->value[k];
    return (float)(1.0 / sqrt(square));
}

static enum rec_status check_lengths(const struct training *t, struct rec_error *err) {
    const struct rec_csr *csr = t->users;
    for (uint32_t user = 0; user < csr->rows; user++)
        if (csr->offset[user + (size_t)1] > csr->offset[user] &&
            !isfinite(inverse_length(csr, user)))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "%s: the weights of user %u are too near to 0 (the first is %g); "
                                 "raise the weights, or set input=binary",
                                 t->spec->family->name, user,
                                 (double)csr->value[csr->offset[user]]);
    return REC_OK;
}

static enum rec_status make_rows(struct training *t, struct rec_error *err) {
    enum rec_status st = rec_dataset_matrix(t->stop.train, &t->users, err);
    for (uint64_t k = 0; st == REC_OK && k < rec_csr_entries(t->users); k++) {
        float *value = &t->users->value[k];
        if (t->spec->binary)
            *value = 1.0f;
        if (!(*value <= REC_AUTOENCODER_WEIGHT_MAX))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "%s: the weight %g of item %u is over %g; lower the weights, or "
                                 "set input=binary",
                                 t->spec->family->name, (double)*value, t->users->column[k],
                                 (double)REC_AUTOENCODER_WEIGHT_MAX);
    }
    return st == REC_OK ? check_lengths(t, err) : st;
}

static enum rec_status prepare(struct training *t, struct rec_error *err) {
    enum rec_status st = make_rows(t, err);
    if (st == REC_OK)
        st = make_order(t, err);
    if (st == REC_OK)
        st = make_room(t, err);
    if (st == REC_OK)
        st = make_variables(t, err);
    return st == REC_OK ? clear_unknown(t, err) : st;
}

static void finish(struct training *t) {
    rec_csr_destroy(&t->users);
    rec_batch_destroy(&t->batch);
    rec_variable_finish(&t->input);
    rec_variable_finish(&t->encoder);
    rec_variable_finish(&t->decoder);
    rec_variable_finish(&t->output);
    rec_alloc_free(t->order);
    rec_alloc_free(t->block);
    rec_alloc_free(t->row_loss);
}

/* ---- one step ---------------------------------------------------------------------- */

/* Rows of length 1, of which dropout hides some entries. */
static void gather(struct training *t, const uint32_t *user, size_t count) {
    const struct rec_csr *csr = t->users;
    const struct rec_dropout dropout =
        rec_dropout_of(t->spec->dropout, t->fit->seed, t->adam.steps, 0);
    rec_batch_clear(t->batch);
    for (size_t r = 0; r < count; r++) {
        uint64_t begin = csr->offset[user[r]], end = csr->offset[user[r] + (size_t)1];
        float inverse = inverse_length(csr, user[r]);
        for (uint64_t k = begin; k < end; k++) {
            float keep = rec_dropout_at(&dropout, k);
            if (keep > 0.0f)
                rec_batch_add(t->batch, csr->column[k], csr->value[k] * inverse * keep);
        }
        rec_batch_end_row(t->batch);
    }
    rec_batch_group(t->batch);
}

/* The first `count` rows, and the columns before the ones. */
static struct rec_matrix part(const struct rec_matrix *matrix, size_t count, size_t cols) {
    struct rec_matrix rows = rec_matrix_rows(matrix, count);
    return rec_matrix_columns(&rows, 0, cols);
}

static float annealed(const struct training *t, size_t epoch, size_t done) {
    double at = (double)epoch - 1.0 + (double)done / (double)t->active;
    double share = t->spec->anneal_epochs == 0 ? 1.0 : at / (double)t->spec->anneal_epochs;
    return t->spec->beta * (float)(share < 1.0 ? share : 1.0);
}

/* The loss a user. kl: what a user's divergence weighs. */
static double step(struct training *t, const uint32_t *user, size_t n, float kl) {
    const struct rec_autoencoder_spec *spec = t->spec;
    struct rec_pool *pool = t->fit->pool;
    const struct rec_targets targets = {t->users, user};
    const float scale = 1.0f / (float)n;
    size_t h = spec->hidden, c = spec->code;
    struct rec_matrix a1 = rec_matrix_rows(&t->a, n), a = part(&a1, n, h);
    struct rec_matrix code1 = rec_matrix_rows(&t->code, n), code = part(&code1, n, c);
    struct rec_matrix d1 = rec_matrix_rows(&t->d, n), d = part(&d1, n, h);
    struct rec_matrix z = rec_matrix_rows(&t->z, n), dd = rec_matrix_rows(&t->dd, n);
    struct rec_matrix dcode = rec_matrix_rows(&t->dcode, n), da = rec_matrix_rows(&t->da, n);
    struct rec_matrix stats = code, dstats = dcode;
    enum rec_activation f = spec->activation;

    gather(t, user, n);
    rec_adam_next(&t->adam);
    rec_sparse_forward(pool, &t->input, t->batch, &a);
    rec_activation_forward(pool, f, &a);
    if (spec->variational) {
        stats = rec_matrix_rows(&t->stats, n);
        dstats = rec_matrix_rows(&t->dstats, n);
    }
    rec_layer_forward(pool, &t->encoder, &a1, &stats);
    if (spec->variational)
        rec_gaussian_forward(pool, &stats, t->fit->seed, t->adam.steps, &code);
    else
        rec_activation_forward(pool, f, &code);
    rec_layer_forward(pool, &t->decoder, &code1, &d);
    rec_activation_forward(pool, f, &d);
    rec_layer_forward(pool, &t->output, &d1, &z);

    double loss = spec->multinomial
                      ? rec_loss_multinomial(pool, &z, &targets, scale, t->row_loss)
                      : rec_loss_bce_all(pool, &z, &targets, spec->negative, scale, t->row_loss);

    rec_layer_backward(pool, &t->output, &d1, &z, &dd, &t->adam);
    rec_activation_backward(pool, f, &d, &dd);
    rec_layer_backward(pool, &t->decoder, &code1, &dd, &dcode, &t->adam);
    if (spec->variational)
        loss +=
            rec_gaussian_backward(pool, &stats, &code, &dcode, kl * scale, &dstats, t->row_loss);
    else
        rec_activation_backward(pool, f, &code, &dcode);
    rec_layer_backward(pool, &t->encoder, &a1, &dstats, &da, &t->adam);
    rec_activation_backward(pool, f, &a, &da);
    rec_sparse_backward(pool, &t->input, t->batch, &da, &t->adam);
    return loss;
}

/* ---- epochs -------------------------------------------------------------------------- */

static void shuffle(struct training *t, size_t epoch) {
    struct rec_rng rng;
    rec_rng_init(&rng, t->fit->seed, ORDER_STREAM + epoch);
    for (size_t i = t->active; i > 1; i--) {
        size_t j = rec_rng_below(&rng, (uint32_t)i);
        uint32_t kept = t->order[i - 1];
        t->order[i - 1] = t->order[j];
        t->order[j] = kept;
    }
}

/* The first weight that a model may not have, or 0. */
static float out_of_range(const struct rec_tensors *tensors) {
    for (size_t i = 0; i < tensors->count; i++) {
        const struct rec_tensor *tensor = &tensors->tensor[i];
        const float *value = tensor->data;
        for (uint64_t k = 0; k < tensor->rows * tensor->cols; k++)
            if (!(fabsf(value[k]) <= REC_AUTOENCODER_VALUE_MAX))
                return value[k];
    }
    return 0.0f;
}

static enum rec_status exploded(const struct training *t, size_t epoch, double loss,
                                struct rec_error *err) {
    return rec_error_set(err, REC_BAD_INPUT,
                         "%s: training has exploded: the loss in epoch %zu is %g; lower "
                         "learning_rate (%g)",
                         t->spec->family->name, epoch, loss, (double)t->spec->rate);
}

/* *loss: the mean a user. */
static enum rec_status run_epoch(struct training *t, size_t epoch, double *loss,
                                 struct rec_error *err) {
    double sum = 0.0;
    shuffle(t, epoch);
    for (size_t begin = 0; begin < t->active; begin += t->batch_max) {
        size_t left = t->active - begin, n = left < t->batch_max ? left : t->batch_max;
        if (rec_progress_cancelled(t->fit->progress))
            return rec_error_set(err, REC_CANCELLED, "%s: cancelled", t->spec->family->name);
        double of_step = step(t, t->order + begin, n, annealed(t, epoch, begin));
        if (!isfinite(of_step))
            return exploded(t, epoch, of_step, err);
        sum += of_step * (double)n;
        rec_progress_report(t->fit->progress, "fit",
                            ((double)epoch - 1.0 + (double)(begin + n) / (double)t->active) /
                                (double)t->spec->epochs,
                            sum / (double)(begin + n));
    }
    *loss = sum / (double)t->active;
    return out_of_range(t->tensors) == 0.0f ? REC_OK : exploded(t, epoch, *loss, err);
}

static enum rec_status iterate(struct training *t, struct rec_error *err) {
    size_t steps = (t->active + t->batch_max - 1) / t->batch_max;
    size_t look = (LOOK_STEPS_MIN + steps - 1) / steps;
    enum rec_status st = REC_OK;
    double loss = NAN;
    rec_progress_report(t->fit->progress, "fit", 0.0, loss);
    for (size_t epoch = 1; st == REC_OK && epoch <= t->spec->epochs && !t->stop.done; epoch++) {
        st = run_epoch(t, epoch, &loss, err);
        if (st == REC_OK && (epoch % look == 0 || epoch == t->spec->epochs))
            st = rec_earlystop_judge(&t->stop, t->tensors, epoch, err);
    }
    return st;
}

enum rec_status rec_autoencoder_fit(const struct rec_fit *fit,
                                    const struct rec_autoencoder_spec *spec,
                                    struct rec_tensors *out, struct rec_error *err) {
    struct training t = {.fit = fit,
                         .spec = spec,
                         .items = fit->data->items,
                         .codes = spec->variational ? 2 * spec->code : spec->code,
                         .tensors = out};
    rec_adam_init(&t.adam, spec->rate, spec->decay);
    enum rec_status st = rec_earlystop_begin(&t.stop, fit, spec->family, spec->patience, err);
    if (st != REC_OK)
        return st;
    st = prepare(&t, err);
    if (st == REC_OK)
        st = iterate(&t, err);
    finish(&t);
    rec_earlystop_end(&t.stop, st == REC_OK ? out : NULL);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

/* ---- memory --------------------------------------------------------------------------- */

/* Liked events: in all, and the most of one user. */
static size_t count_liked(const struct rec_dataset *data, size_t *longest) {
    size_t all = 0;
    *longest = 0;
    for (uint32_t u = 0; u < data->users; u++) {
        size_t before = all;
        for (uint64_t e = data->offset[u]; e < data->offset[u + 1]; e++)
            all += data->weight[e] > 0.0f;
        *longest = all - before > *longest ? all - before : *longest;
    }
    return all;
}

size_t rec_autoencoder_fit_bytes(const struct rec_fit *fit,
                                 const struct rec_autoencoder_spec *spec) {
    size_t items = fit->data->items, users = fit->data->users, longest;
    size_t h = spec->hidden, c = spec->code, codes = spec->variational ? 2 * c : c;
    size_t entries = count_liked(fit->data, &longest);
    struct training t = {.fit = fit, .spec = spec, .items = items, .codes = codes};
    t.batch_max = spec->batch < users ? spec->batch : users;
    size_t most = longest * t.batch_max < entries ? longest * t.batch_max : entries;
    size_t sparse = (items + 1) * h, dense = codes * (h + 1) + h * (c + 1) + items * (h + 1);
    size_t tensors = (sparse + dense) * sizeof(float);
    size_t csr = entries * (sizeof(uint32_t) + sizeof(float)) + (users + 1) * sizeof(uint64_t);
    size_t bytes = tensors + (2 * sparse + 3 * dense) * sizeof(float) + csr +
                   users * sizeof(uint32_t) + carve(&t, NULL) * sizeof(float) +
                   rec_batch_bytes(t.batch_max, most, fit->data->items);
    return bytes + (spec->patience > 0 ? rec_earlystop_bytes(fit, tensors) : 0);
}
