/* One step of training: forward, loss, backward and Adam for a batch of positives with their
 * negatives.
 *
 * The products of the first layer are made once for each user and item of the batch instead of once
 * a pair, forward and backward: a half of the layer is linear in the embedding, so the gradients of
 * all pairs of an item are added up before they go through it. A pair then costs a few passes over
 * its row of numbers.
 *
 *   halves     blocks of users and items: gather the embeddings, multiply with their half
 *   slices     of pairs: add the halves, the layers above, the loss, back down to the halves
 *   entities   blocks of users and items again: add up, back through the half, step the embedding
 *   dense      add up the gradients of the layers' weights, step
 *
 * Slices and blocks depend on the batch alone and their sums are added in order: the same bits on
 * any number of threads. Embeddings take lazy steps of Adam, as in recsysd/nn.h. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "pairs.h"
#include "recsysd/data.h"

enum {
    SLICE = 64,  /* positives */
    BLOCK = 256, /* users or items */
    ALIGN_FLOATS = 16,
    STREAM_USERS = 1,
    STREAM_ITEMS,
    STREAM_USER_LAYER,
    STREAM_ITEM_LAYER,
    STREAM_LAYERS,
    STREAM_OUTPUT = STREAM_LAYERS + REC_PAIRS_LAYERS_MAX,
};
#define EMBEDDING_DEVIATION 0.1f

static float *row_of(const struct rec_matrix *matrix, size_t row) {
    return matrix->data + row * matrix->stride;
}

static size_t parts_of(size_t count, size_t each) {
    return (count + each - 1) / each;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- room -------------------------------------------------------------------------- */

/* The next rows x cols of a block; at NULL only counts. */
static struct rec_matrix take(float *block, size_t *used, size_t rows, size_t cols) {
    struct rec_matrix matrix = rec_matrix_of(block == NULL ? NULL : block + *used, rows, cols);
    *used += (rows * cols + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return matrix;
}

/* What a thread needs for a slice: inputs of each layer above the first, and the gradients of all
 * layers' outputs but the first one's. */
struct slice {
    size_t begin, n, rows; /* first positive, positives, pairs */
    struct rec_matrix in[REC_PAIRS_LAYERS_MAX], back[REC_PAIRS_LAYERS_MAX], z;
};

static size_t carve_slice(const struct rec_pairs_spec *spec, size_t rows, float *block,
                          struct slice *slice) {
    size_t used = 0;
    for (size_t l = 0; l < spec->layers; l++) {
        bool last = l + 1 == spec->layers;
        slice->in[l] = take(block, &used, rows, last ? spec->joined : spec->hidden[l] + 1);
        slice->back[l] = take(block, &used, l == 0 ? 0 : rows, spec->hidden[l]);
    }
    slice->z = take(block, &used, rows, 1);
    return used;
}

/* Distinct users or items of a batch, at most. */
static size_t touched_max(size_t samples, size_t count) {
    return smaller(samples, count);
}

static size_t carve_side(const struct rec_pairs_spec *spec, size_t samples, size_t count,
                         size_t inputs, float *block, struct rec_pairs_side *side) {
    size_t used = 0, touched = touched_max(samples, count);
    side->inputs = inputs;
    side->gathered = take(block, &used, touched, spec->width + 1);
    side->half = take(block, &used, touched, spec->hidden[0]);
    side->gradient = take(block, &used, samples, spec->row);
    side->partial = take(block, &used, parts_of(touched, BLOCK), spec->hidden[0] * inputs).data;
    return used;
}

/* Weights of the layers above the first and of the output. */
static size_t upper_floats(const struct rec_pairs_spec *spec) {
    size_t floats = spec->joined;
    for (size_t l = 1; l < spec->layers; l++)
        floats += spec->hidden[l] * (spec->hidden[l - 1] + 1);
    return floats;
}

/* Carves everything out of block (NULL: how many floats that takes). */
static size_t carve(struct rec_pairs_trainer *t, size_t users, size_t items, size_t threads,
                    float *block) {
    const struct rec_pairs_spec *spec = t->spec;
    size_t used = 0, d = spec->factors, pairs = t->batch_max * t->pairs;
    struct slice slice;
    t->slice_floats = upper_floats(spec);
    t->slice_work_floats = carve_slice(spec, smaller(SLICE, t->batch_max) * t->pairs, NULL, &slice);
    t->work_floats = t->slice_work_floats + BLOCK * (spec->row + spec->width);
    t->user_rows = take(block, &used, users, spec->width).data;
    t->slices = take(block, &used, parts_of(t->batch_max, SLICE), t->slice_floats).data;
    t->work = take(block, &used, threads, t->work_floats).data;
    float *rest = block == NULL ? NULL : block + used;
    used += carve_side(spec, t->batch_max, users, d + 1, rest, &t->users);
    rest = block == NULL ? NULL : block + used;
    used += carve_side(spec, pairs, items, d, rest, &t->items);
    return used;
}

static enum rec_status make_side(struct rec_pairs_side *side, size_t samples, uint32_t count,
                                 struct rec_error *err) {
    side->slot = rec_alloc_array(samples, sizeof(*side->slot));
    if (side->slot == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for batches of %zu pairs", samples);
    return rec_batch_create(samples, samples, count, &side->batch, err);
}

static enum rec_status add(struct rec_tensors *tensors, const char *name, size_t rows, size_t cols,
                           struct rec_variable *variable, struct rec_error *err) {
    void *data = NULL;
    enum rec_status st = rec_tensors_add(tensors, name, REC_TENSOR_F32, rows, cols, &data, err);
    return st == REC_OK ? rec_variable_init(variable, data, rows, cols, false, err) : st;
}

static enum rec_status make_variables(struct rec_pairs_trainer *t, uint32_t users, uint32_t items,
                                      struct rec_tensors *tensors, struct rec_error *err) {
    static const char *const names[REC_PAIRS_LAYERS_MAX] = {NULL, "layer2", "layer3"};
    const struct rec_pairs_spec *spec = t->spec;
    size_t d = spec->factors, h = spec->hidden[0];
    void *prior = NULL;
    enum rec_status st =
        rec_variable_init(&t->users.rows, t->user_rows, users, spec->width, false, err);
    if (st == REC_OK)
        st = add(tensors, "item_embeddings", items, spec->width, &t->items.rows, err);
    if (st == REC_OK)
        st = rec_tensors_add(tensors, "user_prior", REC_TENSOR_F32, 2, spec->width, &prior, err);
    if (st == REC_OK)
        st = add(tensors, "user_layer", h, d + 1, &t->users.layer, err);
    if (st == REC_OK)
        st = add(tensors, "item_layer", h, d, &t->items.layer, err);
    for (size_t l = 1; st == REC_OK && l < spec->layers; l++)
        st = add(tensors, names[l], spec->hidden[l], spec->hidden[l - 1] + 1, &t->layer[l], err);
    if (st == REC_OK)
        st = add(tensors, "output", 1, spec->joined, &t->output, err);
    t->prior = prior;
    return st;
}

/* A layer of n inputs under a rectifier starts with variance 2 / n (He et al., 2015), the output
 * with 1 / n; biases at 0. */
static void start_variables(struct rec_pairs_trainer *t) {
    const struct rec_pairs_spec *spec = t->spec;
    size_t d = spec->factors;
    float first = sqrtf(1.0f / (float)d); /* of 2 d inputs */
    rec_variable_randomize(&t->users.rows, spec->width, EMBEDDING_DEVIATION, t->seed, STREAM_USERS);
    rec_variable_randomize(&t->items.rows, spec->width, EMBEDDING_DEVIATION, t->seed, STREAM_ITEMS);
    rec_variable_randomize(&t->users.layer, d, first, t->seed, STREAM_USER_LAYER);
    rec_variable_randomize(&t->items.layer, d, first, t->seed, STREAM_ITEM_LAYER);
    for (size_t l = 1; l < spec->layers; l++)
        rec_variable_randomize(&t->layer[l], spec->hidden[l - 1],
                               sqrtf(2.0f / (float)spec->hidden[l - 1]), t->seed,
                               STREAM_LAYERS + (uint32_t)l);
    rec_variable_randomize(&t->output, spec->joined - 1, sqrtf(1.0f / (float)(spec->joined - 1)),
                           t->seed, STREAM_OUTPUT);
}

enum rec_status rec_pairs_trainer_create(const struct rec_pairs_spec *spec,
                                         const struct rec_fit *fit, size_t batch_max,
                                         struct rec_tensors *tensors,
                                         struct rec_pairs_trainer **out, struct rec_error *err) {
    uint32_t users = fit->data->users, items = fit->data->items;
    size_t threads = rec_pool_threads(fit->pool);
    struct rec_pairs_trainer *t = rec_alloc_array(1, sizeof(*t));
    if (t == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory", spec->family->name);
    t->spec = spec;
    t->pool = fit->pool;
    t->seed = fit->seed;
    t->batch_max = batch_max;
    t->pairs = 1 + spec->negatives;
    t->block = rec_alloc_array(carve(t, users, items, threads, NULL), sizeof(float));
    t->slice_loss = rec_alloc_array(parts_of(batch_max, SLICE), sizeof(double));
    enum rec_status st = REC_OK;
    if (t->block == NULL || t->slice_loss == NULL)
        st = rec_error_set(err, REC_NO_MEMORY, "%s: no memory for batches of %zu pairs, %u users",
                           spec->family->name, batch_max * t->pairs, users);
    else
        (void)carve(t, users, items, threads, t->block);
    if (st == REC_OK)
        st = make_side(&t->users, batch_max, users, err);
    if (st == REC_OK)
        st = make_side(&t->items, batch_max * t->pairs, items, err);
    if (st == REC_OK)
        st = make_variables(t, users, items, tensors, err);
    if (st != REC_OK) {
        rec_pairs_trainer_destroy(&t);
        return st;
    }
    start_variables(t);
    rec_adam_init(&t->adam, spec->rate, spec->decay);
    *out = t;
    return REC_OK;
}

static void finish_side(struct rec_pairs_side *side) {
    rec_variable_finish(&side->rows);
    rec_variable_finish(&side->layer);
    rec_batch_destroy(&side->batch);
    rec_alloc_free(side->slot);
}

void rec_pairs_trainer_destroy(struct rec_pairs_trainer **trainer) {
    struct rec_pairs_trainer *t = *trainer;
    if (t == NULL)
        return;
    *trainer = NULL;
    finish_side(&t->users);
    finish_side(&t->items);
    for (size_t l = 0; l < REC_PAIRS_LAYERS_MAX; l++)
        rec_variable_finish(&t->layer[l]);
    rec_variable_finish(&t->output);
    rec_alloc_free(t->block);
    rec_alloc_free(t->slice_loss);
    rec_alloc_free(t);
}

/* ---- halves ------------------------------------------------------------------------------ */

struct step {
    struct rec_pairs_trainer *t;
    const struct rec_pairs_sample *sample;
    struct rec_matrix pair_gradient; /* the rows of this batch */
    size_t user_blocks, item_blocks, slices;
    float scale, keep; /* of the loss; of what dropout leaves */
};

static struct rec_pairs_side *side_of(const struct step *step, size_t task, size_t *block) {
    bool user = task < step->user_blocks;
    *block = user ? task : task - step->user_blocks;
    return user ? &step->t->users : &step->t->items;
}

static void group_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    struct rec_pairs_side *side = task == 0 ? &step->t->users : &step->t->items;
    const uint32_t *who = task == 0 ? step->sample->user : step->sample->item;
    size_t samples = step->sample->n * (task == 0 ? 1 : step->t->pairs);
    struct rec_batch *batch = side->batch;
    (void)worker;
    rec_batch_clear(batch);
    for (size_t s = 0; s < samples; s++) {
        rec_batch_add(batch, who[s], 1.0f);
        rec_batch_end_row(batch);
    }
    rec_batch_group(batch);
    for (size_t e = 0; e < batch->touched; e++)
        for (size_t k = batch->start[e]; k < batch->start[e + 1]; k++)
            side->slot[batch->row[k]] = (uint32_t)e;
}

static void half_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    const struct rec_pairs_spec *spec = step->t->spec;
    size_t block, width = spec->width, g = spec->product;
    struct rec_pairs_side *side = side_of(step, task, &block);
    size_t begin = block * BLOCK, count = smaller(side->batch->touched - begin, BLOCK);
    (void)worker;
    for (size_t e = begin; e < begin + count; e++) {
        float *row = row_of(&side->gathered, e);
        memcpy(row, side->rows.value + side->batch->which[e] * width, width * sizeof(*row));
        row[width] = 1.0f;
    }
    rec_dense_gemm(false, true, count, spec->hidden[0], side->inputs, 1.0f,
                   row_of(&side->gathered, begin) + g, side->gathered.stride, side->layer.value,
                   side->inputs, 0.0f, row_of(&side->half, begin), side->half.stride);
}

/* ---- slices: forward ----------------------------------------------------------------------- */

/* The first layer's numbers and the products of each pair. A NaN stays one. */
static void add_halves(const struct step *step, const struct slice *slice) {
    const struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    const struct rec_matrix *joined = &slice->in[spec->layers - 1];
    size_t h = spec->hidden[0], g = spec->product, last = spec->hidden[spec->layers - 1];
    for (size_t r = 0; r < slice->rows; r++) {
        size_t pair = slice->begin * t->pairs + r;
        size_t user = t->users.slot[slice->begin + r / t->pairs], item = t->items.slot[pair];
        const float *hu = row_of(&t->users.half, user), *hi = row_of(&t->items.half, item);
        const float *u = row_of(&t->users.gathered, user), *v = row_of(&t->items.gathered, item);
        float *x = row_of(&slice->in[0], r), *product = row_of(joined, r) + last;
        for (size_t c = 0; c < h; c++) {
            float sum = hu[c] + hi[c];
            x[c] = sum < 0.0f ? 0.0f : sum;
        }
        for (size_t c = 0; c < g; c++)
            product[c] = u[c] * v[c];
    }
}

/* Dropout of a layer's numbers, whose masks no other slice or step has. */
static void drop(const struct step *step, const struct slice *slice, size_t layer,
                 const struct rec_matrix *x) {
    const struct rec_pairs_trainer *t = step->t;
    uint64_t place = t->adam.steps * parts_of(t->batch_max, SLICE) + slice->begin / SLICE;
    struct rec_dropout dropout = rec_dropout_of(t->spec->dropout, t->seed, place, (uint32_t)layer);
    rec_dropout_apply(NULL, &dropout, x);
}

static void forward(const struct step *step, const struct slice *slice) {
    const struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    const struct rec_matrix *joined = &slice->in[spec->layers - 1];
    for (size_t l = 0; l < spec->layers; l++)
        rec_matrix_ones(&slice->in[l]);
    add_halves(step, slice);
    for (size_t l = 0; l < spec->layers; l++) {
        struct rec_matrix x = rec_matrix_columns(&slice->in[l], 0, spec->hidden[l]);
        if (l > 0) {
            rec_layer_forward(NULL, &t->layer[l], &slice->in[l - 1], &x);
            rec_activation_forward(NULL, REC_ACTIVATION_RELU, &x);
        }
        drop(step, slice, l, &x);
    }
    rec_kernels_rows_dot(joined->data, slice->rows, spec->joined, t->output.value, slice->z.data);
}

/* Logits z of each positive and its negatives become their gradients.
 *
 *   bce   log(1 + e^z) - y z, y 1 for the positive and 0 for the negatives
 *   bpr   log(1 + e^(z_negative - z_positive)), summed over the negatives */
static double loss_of(const struct step *step, const struct slice *slice) {
    size_t pairs = step->t->pairs;
    double loss = 0.0;
    for (size_t p = 0; p < slice->n; p++) {
        float *z = slice->z.data + p * pairs, positive = z[0];
        float weight = step->sample->weight[slice->begin + p], scale = step->scale * weight;
        double own = 0.0;
        if (step->t->spec->bpr) {
            for (size_t k = 1; k < pairs; k++)
                z[k] -= positive;
            own = (double)rec_kernels_logistic(z + 1, pairs - 1);
            z[0] = 0.0f;
            for (size_t k = 1; k < pairs; k++)
                z[0] -= z[k];
        } else {
            own = (double)rec_kernels_logistic(z, pairs) - (double)positive;
            z[0] -= 1.0f;
        }
        loss += (double)weight * own;
        for (size_t k = 0; k < pairs; k++)
            z[k] *= scale;
    }
    return loss;
}

/* ---- slices: backward --------------------------------------------------------------------- */

/* Through dropout and rectifier: what is above 0 was kept, and raised by `keep`. */
static void backward_relu(const struct rec_matrix *x, size_t cols, float keep,
                          const struct rec_matrix *dx) {
    for (size_t r = 0; r < dx->rows; r++) {
        const float *y = row_of(x, r);
        float *dy = row_of(dx, r);
        for (size_t c = 0; c < cols; c++) {
            float factor = y[c] > 0.0f ? keep : 0.0f; /* no branch: half of them would be missed */
            dy[c] *= factor;
        }
    }
}

/* The gradients of the layers' weights go to this slice's part, those of the first layer's numbers
 * to the pairs' rows. */
static void backward(const struct step *step, struct slice *slice, float *part) {
    const struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    size_t last = spec->layers - 1, h = spec->hidden[last];
    memset(part, 0, spec->joined * sizeof(*part));
    rec_kernels_sum_rows(slice->in[last].data, NULL, slice->z.data, slice->rows, spec->joined,
                         part);
    part += spec->joined;
    for (size_t r = 0; r < slice->rows; r++) {
        float *dy = row_of(&slice->back[last], r);
        for (size_t c = 0; c < h; c++)
            dy[c] = slice->z.data[r] * t->output.value[c];
    }
    for (size_t l = last; l > 0; l--) {
        struct rec_variable own = t->layer[l];
        own.gradient = part;
        backward_relu(&slice->in[l], spec->hidden[l], step->keep, &slice->back[l]);
        rec_layer_backward(NULL, &own, &slice->in[l - 1], &slice->back[l], &slice->back[l - 1],
                           NULL);
        part += own.rows * own.cols;
    }
    backward_relu(&slice->in[0], spec->hidden[0], step->keep, &slice->back[0]);
}

/* The rest of the pairs' rows, their products; and the users' rows, sums over their pairs. */
static void add_up_users(const struct step *step, const struct slice *slice) {
    const struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    const float *weight = t->output.value + spec->hidden[spec->layers - 1];
    size_t g = spec->product, row = spec->row;
    for (size_t p = slice->begin; p < slice->begin + slice->n; p++) {
        const float *u = row_of(&t->users.gathered, t->users.slot[p]);
        float *du = row_of(&t->users.gradient, p);
        memset(du, 0, row * sizeof(*du));
        for (size_t pair = p * t->pairs; pair < (p + 1) * t->pairs; pair++) {
            const float *v = row_of(&t->items.gathered, t->items.slot[pair]);
            float *dv = row_of(&step->pair_gradient, pair);
            float dz = slice->z.data[pair - slice->begin * t->pairs];
            for (size_t c = 0; c < g; c++) {
                dv[c] = dz * weight[c] * u[c];
                du[c] += dz * weight[c] * v[c];
            }
            for (size_t c = g; c < row; c++)
                du[c] += dv[c];
        }
    }
}

static void slice_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    struct slice slice;
    size_t begin = task * SLICE, n = smaller(step->sample->n - begin, SLICE);
    (void)carve_slice(spec, n * t->pairs, t->work + worker * t->work_floats, &slice);
    slice.begin = begin;
    slice.n = n;
    slice.rows = n * t->pairs;
    slice.back[0] = rec_matrix_columns(&step->pair_gradient, spec->product, spec->hidden[0]);
    slice.back[0].data += begin * t->pairs * step->pair_gradient.stride;
    slice.back[0].rows = slice.rows;
    forward(step, &slice);
    t->slice_loss[task] = loss_of(step, &slice);
    backward(step, &slice, t->slices + task * t->slice_floats);
    add_up_users(step, &slice);
}

/* ---- users and items ------------------------------------------------------------------------ */

/* Gradients of a block of embeddings and of their half of the first layer; steps the embeddings. */
static void entity_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    size_t block, row = spec->row, width = spec->width, g = spec->product, h = spec->hidden[0];
    struct rec_pairs_side *side = side_of(step, task, &block);
    const struct rec_batch *batch = side->batch;
    size_t begin = block * BLOCK, count = smaller(batch->touched - begin, BLOCK);
    float *sums = t->work + worker * t->work_floats + t->slice_work_floats;
    float *gradient = sums + BLOCK * row;
    memset(sums, 0, count * row * sizeof(*sums));
    for (size_t e = 0; e < count; e++) {
        size_t from = batch->start[begin + e], samples = batch->start[begin + e + 1] - from;
        rec_kernels_sum_rows(side->gradient.data, batch->row + from, batch->row_value + from,
                             samples, row, sums + e * row);
        memcpy(gradient + e * width, sums + e * row, g * sizeof(*sums));
    }
    rec_dense_gemm(true, false, h, side->inputs, count, 1.0f, sums + g, row,
                   row_of(&side->gathered, begin) + g, side->gathered.stride, 0.0f,
                   side->partial + block * h * side->inputs, side->inputs);
    rec_dense_gemm(false, false, count, spec->factors, h, 1.0f, sums + g, row, side->layer.value,
                   side->inputs, 0.0f, gradient + g, width);
    for (size_t e = 0; e < count; e++) {
        size_t at = batch->which[begin + e] * width;
        rec_kernels_adam(&t->adam.step, gradient + e * width, side->rows.value + at,
                         side->rows.first + at, side->rows.second + at, width);
    }
}

/* ---- layers -----------------------------------------------------------------------------------
 */

/* Adds up the parts of one variable's gradient, in order, into the first; steps. */
static void step_parts(const struct rec_pairs_trainer *t, struct rec_variable *variable,
                       float *parts, size_t stride, size_t count) {
    size_t size = variable->rows * variable->cols;
    for (size_t p = 1; p < count; p++)
        rec_kernels_axpy(1.0f, parts + p * stride, parts, size);
    rec_kernels_adam(&t->adam.step, parts, variable->value, variable->first, variable->second,
                     size);
}

static void dense_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    struct rec_pairs_trainer *t = step->t;
    (void)worker;
    if (task < 2) {
        struct rec_pairs_side *side = task == 0 ? &t->users : &t->items;
        step_parts(t, &side->layer, side->partial, side->layer.rows * side->layer.cols,
                   task == 0 ? step->user_blocks : step->item_blocks);
        return;
    }
    float *part = t->slices;
    step_parts(t, &t->output, part, t->slice_floats, step->slices);
    part += t->spec->joined;
    for (size_t l = t->spec->layers - 1; l > 0; l--) {
        step_parts(t, &t->layer[l], part, t->slice_floats, step->slices);
        part += t->layer[l].rows * t->layer[l].cols;
    }
}

double rec_pairs_step(struct rec_pairs_trainer *t, const struct rec_pairs_sample *sample) {
    struct step step = {
        .t = t,
        .sample = sample,
        .pair_gradient = t->items.gradient,
        .slices = parts_of(sample->n, SLICE),
        .scale = 1.0f / (float)sample->n,
        .keep = 1.0f / (1.0f - t->spec->dropout),
    };
    double loss = 0.0;
    assert(sample->n > 0 && sample->n <= t->batch_max);
    rec_adam_next(&t->adam);
    rec_pool_run(t->pool, 2, group_task, &step);
    step.user_blocks = parts_of(t->users.batch->touched, BLOCK);
    step.item_blocks = parts_of(t->items.batch->touched, BLOCK);
    rec_pool_run(t->pool, step.user_blocks + step.item_blocks, half_task, &step);
    rec_pool_run(t->pool, step.slices, slice_task, &step);
    rec_pool_run(t->pool, step.user_blocks + step.item_blocks, entity_task, &step);
    rec_pool_run(t->pool, 3, dense_task, &step);
    for (size_t s = 0; s < step.slices; s++)
        loss += t->slice_loss[s];
    return loss / (double)sample->n;
}

/* ---- memory ------------------------------------------------------------------------------------
 */

double rec_pairs_trainer_bytes(const struct rec_pairs_spec *spec, double users, double items,
                               size_t batch_max, size_t threads) {
    struct rec_pairs_trainer t = {
        .spec = spec, .batch_max = batch_max, .pairs = 1 + spec->negatives};
    size_t samples = batch_max * t.pairs;
    double layers = (double)(spec->hidden[0] * (2 * spec->factors + 1) + upper_floats(spec));
    double floats = (double)carve(&t, (size_t)users, (size_t)items, threads, NULL) +
                    2.0 * (double)spec->width * users + 3.0 * (double)spec->width * items +
                    3.0 * layers;
    return 4.0 * floats + (double)rec_batch_bytes(batch_max, batch_max, (uint32_t)users) +
           (double)rec_batch_bytes(samples, samples, (uint32_t)items) +
           4.0 * (double)(samples + batch_max);
}
