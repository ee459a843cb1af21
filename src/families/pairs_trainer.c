/* The room that a training of pairs works in, taken once: sizes depend on the largest batch alone,
 * so a step allocates nothing. And where its weights start. */
#include <math.h>

#include "pairs.h"
#include "recsysd/data.h"

enum {
    SLICE = REC_PAIRS_SLICE,
    BLOCK = REC_PAIRS_BLOCK,
    ALIGN_FLOATS = 16,
    STREAM_USERS = 1,
    STREAM_ITEMS,
    STREAM_USER_LAYER,
    STREAM_ITEM_LAYER,
    STREAM_LAYERS,
    STREAM_OUTPUT = STREAM_LAYERS + REC_PAIRS_LAYERS_MAX,
};
#define EMBEDDING_DEVIATION 0.1f

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

/* The first line of the cache that begins in it: what is carved begins with one, too. */
static float *aligned(float *block) {
    size_t past = (uintptr_t)block / sizeof(float) % ALIGN_FLOATS;
    return block + (ALIGN_FLOATS - past) % ALIGN_FLOATS;
}

size_t rec_pairs_slice_carve(const struct rec_pairs_spec *spec, size_t n, float *block,
                             struct rec_pairs_slice *slice) {
    size_t used = 0;
    slice->n = n;
    slice->lanes = n * (1 + spec->negatives);
    slice->users = take(block, &used, spec->row, n);
    slice->items = take(block, &used, spec->row, slice->lanes);
    for (size_t l = 0; l < spec->layers; l++) {
        size_t inputs = l + 1 == spec->layers ? spec->joined : spec->hidden[l] + 1;
        slice->in[l] = take(block, &used, inputs, slice->lanes);
        if (l > 0)
            slice->back[l] = take(block, &used, spec->hidden[l], slice->lanes);
    }
    slice->back[0] = slice->items;
    if (block != NULL)
        slice->back[0].data += spec->product * slice->lanes;
    slice->back[0].rows = spec->hidden[0];
    slice->z = take(block, &used, 1, slice->lanes).data;
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
    side->row = take(block, &used, touched, spec->row);
    side->gradient = take(block, &used, samples, spec->row);
    side->upside = take(block, &used, inputs, spec->hidden[0]).data;
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
    struct rec_pairs_slice slice;
    t->slice_floats = upper_floats(spec);
    t->slice_work_floats = rec_pairs_slice_carve(spec, smaller(SLICE, t->batch_max), NULL, &slice);
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

/* How many numbers index has. */
static size_t index_size(size_t samples, size_t count) {
    return 3 * samples + 2 * (touched_max(samples, count) + 1) + count;
}

static enum rec_status make_side(struct rec_pairs_side *side, size_t samples, uint32_t count,
                                 struct rec_error *err) {
    size_t touched = touched_max(samples, count);
    side->index = rec_alloc_array(index_size(samples, count), sizeof(*side->index));
    if (side->index == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for batches of %zu pairs", samples);
    side->who = side->index;
    side->slot = side->who + samples;
    side->sample = side->slot + samples;
    side->which = side->sample + samples;
    side->start = side->which + touched + 1;
    side->counter = side->start + touched + 1;
    return REC_OK;
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
    t->block = rec_alloc_array(carve(t, users, items, threads, NULL) + ALIGN_FLOATS, sizeof(float));
    t->slice_loss = rec_alloc_array(parts_of(batch_max, SLICE), sizeof(double));
    enum rec_status st = REC_OK;
    if (t->block == NULL || t->slice_loss == NULL)
        st = rec_error_set(err, REC_NO_MEMORY, "%s: no memory for batches of %zu pairs, %u users",
                           spec->family->name, batch_max * t->pairs, users);
    else
        (void)carve(t, users, items, threads, aligned(t->block));
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
    rec_alloc_free(side->index);
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

/* ---- memory --------------------------------------------------------------------------------- */

double rec_pairs_trainer_bytes(const struct rec_pairs_spec *spec, double users, double items,
                               size_t batch_max, size_t threads) {
    struct rec_pairs_trainer t = {
        .spec = spec, .batch_max = batch_max, .pairs = 1 + spec->negatives};
    size_t samples = batch_max * t.pairs;
    double layers = (double)(spec->hidden[0] * (2 * spec->factors + 1) + upper_floats(spec));
    double floats = (double)carve(&t, (size_t)users, (size_t)items, threads, NULL) +
                    2.0 * (double)spec->width * users + 3.0 * (double)spec->width * items +
                    3.0 * layers;
    return 4.0 * (floats + (double)index_size(batch_max, (size_t)users) +
                  (double)index_size(samples, (size_t)items));
}
