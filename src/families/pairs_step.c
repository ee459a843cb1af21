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
 * In a slice pairs stand side by side, each in a lane: a number of a layer is a row, so passes go
 * through memory in one piece however few numbers a layer has, and a user's rows are there once for
 * the positive and all of its negatives.
 *
 * Slices and blocks depend on the batch alone and their sums are added in order: the same bits on
 * any number of threads. Embeddings take lazy steps of Adam, as in recsysd/nn.h. */
#include <assert.h>
#include <string.h>

#include "pairs.h"
#include "recsysd/data.h"

enum {
    SLICE = REC_PAIRS_SLICE,
    BLOCK = REC_PAIRS_BLOCK,
    AHEAD = 8, /* rows that are asked for while others are worked on */
};

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

/* In the order of the slices and their lanes. */
static void list_items(const struct step *step, uint32_t *who) {
    const struct rec_pairs_sample *sample = step->sample;
    size_t pairs = step->t->pairs;
    for (size_t begin = 0; begin < sample->n; begin += SLICE)
        for (size_t k = 0; k < pairs; k++)
            for (size_t p = begin; p < sample->n && p < begin + SLICE; p++)
                *who++ = sample->item[p * pairs + k];
}

/* A counting sort over those who occur. A counter is first how many samples there are, then the
 * place among those who occur, then 0 again. */
static void group(struct rec_pairs_side *side, size_t samples) {
    uint32_t begin = 0;
    side->touched = 0;
    for (size_t s = 0; s < samples; s++) { /* without a branch: half of them would be missed */
        side->which[side->touched] = side->who[s];
        side->touched += side->counter[side->who[s]]++ == 0;
    }
    for (uint32_t e = 0; e < side->touched; e++) {
        uint32_t *counter = &side->counter[side->which[e]];
        side->start[e] = begin;
        begin += *counter;
        *counter = e;
    }
    for (uint32_t s = 0; s < samples; s++) {
        side->slot[s] = side->counter[side->who[s]];
        side->sample[side->start[side->slot[s]]++] = s;
    }
    /* Filling moved each start to the next one's place. */
    memmove(side->start + 1, side->start, side->touched * sizeof(*side->start));
    side->start[0] = 0;
    for (size_t e = 0; e < side->touched; e++)
        side->counter[side->which[e]] = 0;
}

static void group_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    struct rec_pairs_trainer *t = step->t;
    struct rec_pairs_side *side = task == 0 ? &t->users : &t->items;
    size_t n = step->sample->n, h = t->spec->hidden[0];
    (void)worker;
    rec_kernels_transpose(side->layer.value, side->inputs, NULL, h, side->inputs, side->upside, h);
    if (task == 0) {
        memcpy(t->users.who, step->sample->user, n * sizeof(*t->users.who));
        group(&t->users, n);
    } else {
        list_items(step, t->items.who);
        group(&t->items, n * t->pairs);
    }
}

/* Where a row of a variable is; the cache asks for one that is wanted soon. */
static size_t at_row(const struct rec_pairs_side *side, size_t e, bool moments) {
    size_t cols = side->rows.cols, ahead = smaller(e + AHEAD, side->touched - 1);
    size_t soon = side->which[ahead] * cols;
    __builtin_prefetch(side->rows.value + soon);
    if (moments) {
        __builtin_prefetch(side->rows.first + soon);
        __builtin_prefetch(side->rows.second + soon);
    }
    return side->which[e] * cols;
}

static void half_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    const struct rec_pairs_spec *spec = step->t->spec;
    size_t block, width = spec->width, g = spec->product;
    struct rec_pairs_side *side = side_of(step, task, &block);
    size_t begin = block * BLOCK, count = smaller(side->touched - begin, BLOCK);
    (void)worker;
    for (size_t e = begin; e < begin + count; e++) {
        float *row = row_of(&side->gathered, e);
        memcpy(row, side->rows.value + at_row(side, e, false), width * sizeof(*row));
        row[width] = 1.0f;
        memcpy(row_of(&side->row, e), row, g * sizeof(*row));
    }
    rec_dense_gemm(false, false, count, spec->hidden[0], side->inputs, 1.0f,
                   row_of(&side->gathered, begin) + g, side->gathered.stride, side->upside,
                   spec->hidden[0], 0.0f, row_of(&side->row, begin) + g, side->row.stride);
}

/* ---- slices: forward ----------------------------------------------------------------------- */

/* The rows of the slice's users and items become lanes. */
static void load(const struct rec_pairs_trainer *t, const struct rec_pairs_slice *slice) {
    const struct rec_matrix *users = &t->users.row, *items = &t->items.row;
    size_t row = t->spec->row;
    rec_kernels_transpose(users->data, users->stride, t->users.slot + slice->begin, slice->n, row,
                          slice->users.data, slice->users.stride);
    rec_kernels_transpose(items->data, items->stride, t->items.slot + slice->begin * t->pairs,
                          slice->lanes, row, slice->items.data, slice->items.stride);
}

static void multiply_lanes(const float *u, const float *v, size_t n, size_t pairs, float *x) {
    for (size_t k = 0; k < pairs; k++, v += n, x += n)
        for (size_t i = 0; i < n; i++)
            x[i] = u[i] * v[i];
}

/* With the rectifier. A NaN stays one. */
static void add_lanes(const float *u, const float *v, size_t n, size_t pairs, float *x) {
    for (size_t k = 0; k < pairs; k++, v += n, x += n)
        for (size_t i = 0; i < n; i++) {
            float sum = u[i] + v[i];
            x[i] = sum < 0.0f ? 0.0f : sum;
        }
}

/* The products, and the first layer's numbers from their halves. */
static void join(const struct rec_pairs_trainer *t, const struct rec_pairs_slice *slice) {
    const struct rec_pairs_spec *spec = t->spec;
    const struct rec_matrix *users = &slice->users, *items = &slice->items;
    const struct rec_matrix *joined = &slice->in[spec->layers - 1];
    size_t g = spec->product, last = spec->hidden[spec->layers - 1];
    for (size_t c = 0; c < g; c++)
        multiply_lanes(row_of(users, c), row_of(items, c), slice->n, t->pairs,
                       row_of(joined, last + c));
    for (size_t c = 0; c < spec->hidden[0]; c++)
        add_lanes(row_of(users, g + c), row_of(items, g + c), slice->n, t->pairs,
                  row_of(&slice->in[0], c));
}

/* Dropout of a layer's numbers, whose masks no other slice or step has. */
static void drop(const struct step *step, const struct rec_pairs_slice *slice, size_t layer) {
    const struct rec_pairs_trainer *t = step->t;
    uint64_t place = t->adam.steps * parts_of(t->batch_max, SLICE) + slice->begin / SLICE;
    struct rec_dropout dropout = rec_dropout_of(t->spec->dropout, t->seed, place, (uint32_t)layer);
    struct rec_matrix x = rec_matrix_rows(&slice->in[layer], t->spec->hidden[layer]);
    rec_dropout_apply(NULL, &dropout, &x);
}

static void forward(const struct step *step, const struct rec_pairs_slice *slice) {
    const struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    const struct rec_matrix *joined = &slice->in[spec->layers - 1];
    for (size_t l = 0; l < spec->layers; l++) {
        float *ones = row_of(&slice->in[l], slice->in[l].rows - 1);
        for (size_t i = 0; i < slice->lanes; i++)
            ones[i] = 1.0f;
    }
    load(t, slice);
    join(t, slice);
    drop(step, slice, 0);
    for (size_t l = 1; l < spec->layers; l++) {
        const struct rec_variable *W = &t->layer[l];
        const struct rec_matrix *x = &slice->in[l - 1];
        struct rec_matrix y = rec_matrix_rows(&slice->in[l], spec->hidden[l]);
        rec_dense_gemm(false, false, y.rows, y.cols, W->cols, 1.0f, W->value, W->cols, x->data,
                       x->stride, 0.0f, y.data, y.stride);
        rec_activation_forward(NULL, REC_ACTIVATION_RELU, &y);
        drop(step, slice, l);
    }
    memset(slice->z, 0, slice->lanes * sizeof(*slice->z));
    rec_kernels_sum_rows(joined->data, NULL, t->output.value, spec->joined, slice->lanes, slice->z);
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
    size_t pairs = step->t->pairs, n = slice->n;
    double loss = 0.0;
    for (size_t p = 0, same; p < n; p += same) {
        float *z = slice->z + p;
        float weight = step->sample->weight[slice->begin + p], scale = step->scale * weight;
        same = same_weight(step, slice, p);
        double own =
            step->t->spec->bpr ? rec_loss_bpr(z, n, same, pairs) : rec_loss_bce(z, n, same, pairs);
        loss += (double)weight * own;
        for (size_t k = 0; k < pairs; k++)
            for (size_t i = 0; i < same; i++)
                z[k * n + i] *= scale;
    }
    return loss;
}

/* ---- slices: backward --------------------------------------------------------------------- */

/* The gradients of a layer's weights go to `part`, those of what is below to slice->back. */
static void backward_layer(const struct step *step, const struct rec_pairs_slice *slice, size_t l,
                           float *part) {
    const struct rec_variable *W = &step->t->layer[l];
    const struct rec_matrix *x = &slice->in[l - 1], *dy = &slice->back[l];
    const struct rec_matrix *dx = &slice->back[l - 1];
    rec_dense_gemm(false, true, W->rows, W->cols, x->cols, 1.0f, dy->data, dy->stride, x->data,
                   x->stride, 0.0f, part, W->cols);
    rec_dense_gemm(true, false, dx->rows, dx->cols, W->rows, 1.0f, W->value, W->cols, dy->data,
                   dy->stride, 0.0f, dx->data, dx->stride);
    for (size_t c = 0; c < dx->rows; c++)
        rec_kernels_gate(row_of(x, c), step->keep, row_of(dx, c), row_of(dx, c), slice->lanes);
}

/* The gradients of the layers' weights go to this slice's part, those of the first layer's numbers
 * to slice->items. */
static void backward(const struct step *step, const struct rec_pairs_slice *slice, float *part) {
    const struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    size_t last = spec->layers - 1;
    const struct rec_matrix *joined = &slice->in[last];
    rec_kernels_rows_dot(joined->data, spec->joined, slice->lanes, slice->z, part);
    part += spec->joined;
    for (size_t c = 0; c < spec->hidden[last]; c++)
        rec_kernels_gate(row_of(joined, c), step->keep * t->output.value[c], slice->z,
                         row_of(&slice->back[last], c), slice->lanes);
    for (size_t l = last; l > 0; l--) {
        backward_layer(step, slice, l, part);
        part += t->layer[l].rows * t->layer[l].cols;
    }
}

/* The gradients of u and v, whose product has a weight in the score. */
static void back_through_product(float weight, const float *dz, size_t n, size_t pairs, float *u,
                                 float *v) {
    float du[SLICE] = {0};
    for (size_t k = 0; k < pairs; k++, dz += n, v += n)
        for (size_t i = 0; i < n; i++) {
            float up = weight * dz[i];
            du[i] += up * v[i];
            v[i] = up * u[i];
        }
    memcpy(u, du, n * sizeof(*u));
}

/* The gradients of a user's half, from those of its pairs. */
static void back_through_sum(const float *dv, size_t n, size_t pairs, float *du) {
    memset(du, 0, n * sizeof(*du));
    for (size_t k = 0; k < pairs; k++, dv += n)
        for (size_t i = 0; i < n; i++)
            du[i] += dv[i];
}

/* What join did, backward; the lanes become the gradients' rows. */
static void part(const struct step *step, const struct rec_pairs_slice *slice) {
    const struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    const float *weight = t->output.value + spec->hidden[spec->layers - 1];
    const struct rec_matrix *users = &slice->users, *items = &slice->items;
    const struct rec_matrix *du = &t->users.gradient, *dv = &step->pair_gradient;
    for (size_t c = 0; c < spec->product; c++)
        back_through_product(weight[c], slice->z, slice->n, t->pairs, row_of(users, c),
                             row_of(items, c));
    for (size_t c = spec->product; c < spec->row; c++)
        back_through_sum(row_of(items, c), slice->n, t->pairs, row_of(users, c));
    rec_kernels_transpose(users->data, users->stride, NULL, spec->row, slice->n,
                          row_of(du, slice->begin), du->stride);
    rec_kernels_transpose(items->data, items->stride, NULL, spec->row, slice->lanes,
                          row_of(dv, slice->begin * t->pairs), dv->stride);
}

static void slice_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    struct rec_pairs_trainer *t = step->t;
    struct rec_pairs_slice slice;
    size_t begin = task * SLICE, n = smaller(step->sample->n - begin, SLICE);
    (void)rec_pairs_slice_carve(t->spec, n, t->work + worker * t->work_floats, &slice);
    slice.begin = begin;
    forward(step, &slice);
    t->slice_loss[task] = loss_of(step, &slice);
    backward(step, &slice, t->slices + task * t->slice_floats);
    part(step, &slice);
}

/* ---- users and items ------------------------------------------------------------------------ */

/* The sums of the gradients of entities from `begin` on. In one walk through their samples, most
 * have one or two: how often a loop over those ends is hard to guess. */
static void add_up(const struct rec_pairs_side *side, size_t begin, size_t count, float *sums) {
    size_t row = side->gradient.cols;
    memset(sums, 0, count * row * sizeof(*sums));
    size_t end = side->start[begin + count];
    for (size_t k = side->start[begin]; k < end; k++) {
        __builtin_prefetch(row_of(&side->gradient, side->sample[smaller(k + AHEAD, end - 1)]));
        const float *from = row_of(&side->gradient, side->sample[k]);
        float *sum = sums + (side->slot[side->sample[k]] - begin) * row;
        for (size_t c = 0; c < row; c++)
            sum[c] += from[c];
    }
}

/* Gradients of a block of embeddings and of their half of the first layer; steps the embeddings. */
static void entity_task(void *context, size_t task, size_t worker) {
    const struct step *step = context;
    struct rec_pairs_trainer *t = step->t;
    const struct rec_pairs_spec *spec = t->spec;
    size_t block, row = spec->row, width = spec->width, g = spec->product, h = spec->hidden[0];
    struct rec_pairs_side *side = side_of(step, task, &block);
    size_t begin = block * BLOCK, count = smaller(side->touched - begin, BLOCK);
    float *sums = t->work + worker * t->work_floats + t->slice_work_floats;
    float *gradient = sums + BLOCK * row;
    add_up(side, begin, count, sums);
    for (size_t e = 0; e < count; e++)
        for (size_t c = 0; c < g; c++)
            gradient[e * width + c] = sums[e * row + c];
    rec_dense_gemm(true, false, h, side->inputs, count, 1.0f, sums + g, row,
                   row_of(&side->gathered, begin) + g, side->gathered.stride, 0.0f,
                   side->partial + block * h * side->inputs, side->inputs);
    rec_dense_gemm(false, false, count, spec->factors, h, 1.0f, sums + g, row, side->layer.value,
                   side->inputs, 0.0f, gradient + g, width);
    for (size_t e = 0; e < count; e++) {
        size_t at = at_row(side, begin + e, true);
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
    step.user_blocks = parts_of(t->users.touched, BLOCK);
    step.item_blocks = parts_of(t->items.touched, BLOCK);
    rec_pool_run(t->pool, step.user_blocks + step.item_blocks, half_task, &step);
    rec_pool_run(t->pool, step.slices, slice_task, &step);
    rec_pool_run(t->pool, step.user_blocks + step.item_blocks, entity_task, &step);
    rec_pool_run(t->pool, 3, dense_task, &step);
    for (size_t s = 0; s < step.slices; s++)
        loss += t->slice_loss[s];
    return loss / (double)sample->n;
}
