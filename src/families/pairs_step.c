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
#include <string.h>

#include "pairs.h"
#include "recsysd/data.h"

enum { SLICE = REC_PAIRS_SLICE, BLOCK = REC_PAIRS_BLOCK };

static float *row_of(const struct rec_matrix *matrix, size_t row) {
    return matrix->data + row * matrix->stride;
}

static size_t parts_of(size_t count, size_t each) {
    return (count + each - 1) / each;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
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
static void add_halves(const struct step *step, const struct rec_pairs_slice *slice) {
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
static void drop(const struct step *step, const struct rec_pairs_slice *slice, size_t layer,
                 const struct rec_matrix *x) {
    const struct rec_pairs_trainer *t = step->t;
    uint64_t place = t->adam.steps * parts_of(t->batch_max, SLICE) + slice->begin / SLICE;
    struct rec_dropout dropout = rec_dropout_of(t->spec->dropout, t->seed, place, (uint32_t)layer);
    rec_dropout_apply(NULL, &dropout, x);
}

static void forward(const struct step *step, const struct rec_pairs_slice *slice) {
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

/* Positives from p on that weigh the same: all, mostly, and then one call does for the slice. */
static size_t same_weight(const struct step *step, const struct rec_pairs_slice *slice, size_t p) {
    const float *weight = step->sample->weight + slice->begin;
    size_t end = p + 1;
    while (end < slice->n && weight[end] == weight[p])
        end++;
    return end - p;
}

/* Logits become gradients. */
static double loss_of(const struct step *step, const struct rec_pairs_slice *slice) {
    size_t pairs = step->t->pairs;
    double loss = 0.0;
    for (size_t p = 0, n; p < slice->n; p += n) {
        float *z = slice->z.data + p * pairs;
        float weight = step->sample->weight[slice->begin + p], scale = step->scale * weight;
        n = same_weight(step, slice, p);
        double own = step->t->spec->bpr ? rec_loss_bpr(z, n, pairs) : rec_loss_bce(z, n, pairs);
        loss += (double)weight * own;
        for (size_t k = 0; k < n * pairs; k++)
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
static void backward(const struct step *step, struct rec_pairs_slice *slice, float *part) {
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
static void add_up_users(const struct step *step, const struct rec_pairs_slice *slice) {
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
    struct rec_pairs_slice slice;
    size_t begin = task * SLICE, n = smaller(step->sample->n - begin, SLICE);
    (void)rec_pairs_slice_carve(spec, n * t->pairs, t->work + worker * t->work_floats, &slice);
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

/* ---- layers ----------------------------------------------------------------------------- */

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
