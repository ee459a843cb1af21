/* Answering with a network of pairs: what is worked out when a model is opened, and scores. How a
 * history becomes a query is in pairs_fold.c.
 *
 * A query is what the network needs of a user: products' weights times the user's numbers, then the
 * user's half of the first layer. Scores are worked out for a word of items at a time that stand
 * side by side, each in a lane of its own: a layer is then a sum of rows, its bits depend on the
 * item and the query alone, and no lane waits for another. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "pairs.h"
#include "recsysd/data.h"

enum { WORD = REC_PAIRS_WORD, SAMPLE_SEED = 0x5eed };

void rec_pairs_read(const struct rec_params *params, struct rec_pairs_spec *spec) {
    spec->factors = (size_t)rec_params_get(params, "factors");
    spec->product = spec->product == 0 ? 0 : spec->factors;
    spec->width = spec->product + spec->factors;
    spec->row = spec->product + spec->hidden[0];
    spec->joined = spec->hidden[spec->layers - 1] + spec->product + 1;
    spec->dropout = (float)rec_params_get(params, "dropout");
    spec->negatives = (size_t)rec_params_get(params, "negatives");
    spec->epochs = (size_t)rec_params_get(params, "epochs");
    spec->batch = (size_t)rec_params_get(params, "batch");
    spec->rate = (float)rec_params_get(params, "learning_rate");
    spec->decay = (float)rec_params_get(params, "regularization");
    spec->patience = (size_t)rec_params_get(params, "early_stop");
    spec->recency = (float)rec_params_get(params, "recency");
}

/* ---- open ---------------------------------------------------------------------------- */

static enum rec_status find(const struct rec_model *model, const char *name, uint64_t rows,
                            uint64_t cols, const float **data, struct rec_error *err) {
    const struct rec_tensor *tensor = NULL;
    enum rec_status st =
        rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, rows, cols, &tensor, err);
    if (st != REC_OK)
        return st;
    const float *value = tensor->data;
    for (uint64_t i = 0; i < rows * cols; i++)
        if (!(fabsf(value[i]) <= REC_PAIRS_VALUE_MAX))
            return rec_error_set(
                err, REC_CORRUPT, "%s: %s [%llu, %llu] is %g, expected a number within %g",
                model->family->name, name, (unsigned long long)(i / cols),
                (unsigned long long)(i % cols), (double)value[i], (double)REC_PAIRS_VALUE_MAX);
    *data = tensor->data;
    return REC_OK;
}

/* Fills self but for what is worked out. */
static enum rec_status find_all(const struct rec_model *model, struct rec_pairs *self,
                                const float **item_layer, struct rec_error *err) {
    static const char *const names[REC_PAIRS_LAYERS_MAX] = {NULL, "layer2", "layer3"};
    const struct rec_pairs_spec *spec = &self->spec;
    size_t d = spec->factors, width = spec->width, h = spec->hidden[0];
    enum rec_status st = find(model, "item_embeddings", model->items, width, &self->embedding, err);
    if (st == REC_OK)
        st = find(model, "user_prior", 2, width, &self->mean, err);
    if (st == REC_OK)
        st = find(model, "user_layer", h, d + 1, &self->user_layer, err);
    if (st == REC_OK)
        st = find(model, "item_layer", h, d, item_layer, err);
    for (size_t l = 1; st == REC_OK && l < spec->layers; l++)
        st = find(model, names[l], spec->hidden[l], spec->hidden[l - 1] + 1, &self->layer[l], err);
    if (st == REC_OK)
        st = find(model, "output", 1, spec->joined, &self->output, err);
    self->deviation = st == REC_OK ? self->mean + width : NULL;
    return st;
}

static size_t upside_floats(const struct rec_pairs_spec *spec) {
    size_t floats = 0;
    for (size_t l = 1; l < spec->layers; l++)
        floats += spec->hidden[l] * spec->hidden[l - 1];
    return floats;
}

static size_t words_of(size_t items) {
    return (items + WORD - 1) / WORD;
}

/* How many floats open works out. */
static size_t open_floats(const struct rec_pairs_spec *spec, size_t items) {
    return (words_of(items) + REC_PAIRS_NEGATIVES / WORD) * WORD * spec->row + items +
           upside_floats(spec);
}

/* The halves of each word's items; lanes without an item are 0. */
static void fill_table(struct rec_pairs *self, const float *item_layer, uint32_t items) {
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, width = spec->width;
    for (size_t first = 0; first < items; first += WORD) {
        size_t count = items - first < WORD ? items - first : WORD;
        const float *rows = self->embedding + first * width;
        float *word = self->table + first * spec->row;
        for (size_t c = 0; c < g; c++)
            for (size_t i = 0; i < count; i++)
                word[c * WORD + i] = rows[i * width + c];
        rec_dense_gemm(false, true, spec->hidden[0], count, spec->factors, 1.0f, item_layer,
                       spec->factors, rows + g, width, 0.0f, word + g * WORD, WORD);
    }
}

void rec_pairs_copy_lane(const struct rec_pairs *self, uint32_t item, float *words, size_t place) {
    size_t row = self->spec.row;
    const float *from = self->table + item / WORD * WORD * row + item % WORD;
    float *to = words + place / WORD * WORD * row + place % WORD;
    for (size_t c = 0; c < row; c++)
        to[c * WORD] = from[c * WORD];
}

/* One item of each of REC_PAIRS_NEGATIVES equal parts of the catalogue, dealt out to the words of
 * the sample in turn: each word stands for all of it. */
static void choose_negatives(struct rec_pairs *self, uint32_t items) {
    struct rec_rng rng;
    size_t count = items < REC_PAIRS_NEGATIVES ? items : REC_PAIRS_NEGATIVES;
    rec_rng_init(&rng, SAMPLE_SEED, 0);
    self->sample_words = words_of(count);
    for (size_t place = 0; place < REC_PAIRS_NEGATIVES; place++)
        self->negative[place] = UINT32_MAX;
    for (size_t n = 0; n < count; n++) {
        uint32_t begin = (uint32_t)((uint64_t)items * n / count);
        uint32_t end = (uint32_t)((uint64_t)items * (n + 1) / count);
        size_t place = n % self->sample_words * WORD + n / self->sample_words;
        self->negative[place] = begin + rec_rng_below(&rng, end - begin);
        rec_pairs_copy_lane(self, self->negative[place], self->sample, place);
    }
}

static void fill_caches(struct rec_pairs *self, const float *item_layer, uint32_t items) {
    const struct rec_pairs_spec *spec = &self->spec;
    for (size_t l = 1; l < spec->layers; l++)
        for (size_t o = 0; o < spec->hidden[l]; o++)
            for (size_t i = 0; i < spec->hidden[l - 1]; i++)
                self->upside[l][i * spec->hidden[l] + o] =
                    self->layer[l][o * (spec->hidden[l - 1] + 1) + i];
    for (size_t i = 0; i < items; i++) {
        const float *row = self->embedding + i * spec->width;
        float square = rec_kernels_dot(row, row, spec->width);
        self->inverse_norm[i] = square > FLT_MIN ? 1.0f / sqrtf(square) : 0.0f;
    }
    fill_table(self, item_layer, items);
    choose_negatives(self, items);
}

enum rec_status rec_pairs_open(struct rec_model *model, const struct rec_pairs_spec *spec,
                               struct rec_error *err) {
    struct rec_pairs found = {.spec = *spec};
    const float *item_layer = NULL;
    size_t items = model->items, row = spec->row;
    enum rec_status st = find_all(model, &found, &item_layer, err);
    if (st != REC_OK)
        return st;
    /* only now: what the parameters of a file ask for, its tensors have */
    struct rec_pairs *self =
        rec_alloc_extra(sizeof(*self), open_floats(spec, items), sizeof(float));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %zu items", model->family->name,
                             items);
    *self = found;
    float *next = self->values;
    self->table = next;
    self->sample = next += words_of(items) * WORD * row;
    self->inverse_norm = next += REC_PAIRS_NEGATIVES * row;
    next += items;
    for (size_t l = 0; l < spec->layers; l++) {
        self->numbers += spec->hidden[l];
        self->upside[l] = next;
        next += l == 0 ? 0 : spec->hidden[l] * spec->hidden[l - 1];
    }
    fill_caches(self, item_layer, model->items);
    rec_pairs_fold_plan(self);
    model->self = self;
    model->query_floats = row;
    model->scratch_floats = rec_pairs_fold_floats(self, model->items);
    return REC_OK;
}

double rec_pairs_open_bytes(const struct rec_pairs_spec *spec, double items) {
    return (double)sizeof(struct rec_pairs) + 4.0 * (double)open_floats(spec, (size_t)items);
}

void rec_pairs_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- a word of items ------------------------------------------------------------------------ */

static void fill(float *x, float value) {
    for (size_t i = 0; i < WORD; i++)
        x[i] = value;
}

static void rectify(float *x) {
    for (size_t i = 0; i < WORD; i++)
        x[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

void rec_pairs_forward(const struct rec_pairs *self, const float *query, const float *word,
                       float *act, float *z) {
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, h = spec->hidden[0];
    const float *half = word + g * WORD;
    float *x = act;
    for (size_t c = 0; c < h; c++)
        for (size_t i = 0; i < WORD; i++) {
            float sum = query[g + c] + half[c * WORD + i];
            x[c * WORD + i] = sum > 0.0f ? sum : 0.0f;
        }
    for (size_t l = 1; l < spec->layers; l++) {
        size_t inputs = spec->hidden[l - 1];
        float *y = x + inputs * WORD;
        for (size_t o = 0; o < spec->hidden[l]; o++) {
            const float *weight = self->layer[l] + o * (inputs + 1);
            fill(y + o * WORD, weight[inputs]);
            rec_kernels_sum_rows(x, NULL, weight, inputs, WORD, y + o * WORD);
            rectify(y + o * WORD);
        }
        x = y;
    }
    fill(z, self->output[spec->joined - 1]);
    if (g > 0)
        rec_kernels_sum_rows(word, NULL, query, g, WORD, z);
    rec_kernels_sum_rows(x, NULL, self->output, spec->hidden[spec->layers - 1], WORD, z);
}

/* x = weight up where x is above 0, else 0. Without a branch: half of them would be missed. */
static void gate(float *restrict x, float weight, const float *restrict up) {
    for (size_t i = 0; i < WORD; i++) {
        float factor = x[i] > 0.0f ? weight : 0.0f;
        x[i] = factor * up[i];
    }
}

void rec_pairs_backward(const struct rec_pairs *self, const float *word, const float *dz,
                        float *act, float *dquery, float *part) {
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, last = spec->layers - 1;
    float *x = act, ones[WORD], above[WORD];
    fill(ones, 1.0f);
    for (size_t l = 0; l < last; l++)
        x += spec->hidden[l] * WORD;
    for (size_t c = 0; c < spec->hidden[last]; c++)
        gate(x + c * WORD, self->output[c], dz);
    for (size_t l = last; l > 0; l--) {
        float *below = x - spec->hidden[l - 1] * WORD;
        for (size_t c = 0; c < spec->hidden[l - 1]; c++) {
            fill(above, 0.0f);
            rec_kernels_sum_rows(x, NULL, self->upside[l] + c * spec->hidden[l], spec->hidden[l],
                                 WORD, above);
            gate(below + c * WORD, 1.0f, above);
        }
        x = below;
    }
    if (g > 0)
        rec_kernels_rows_dot(word, g, WORD, dz, part);
    rec_kernels_rows_dot(x, spec->hidden[0], WORD, ones, part + g);
    for (size_t c = 0; c < spec->row; c++)
        dquery[c] += part[c];
}

void rec_pairs_query_user(const struct rec_model *model, const float *user, float *query,
                          float *scratch) {
    const struct rec_pairs *self = model->self;
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, d = spec->factors;
    const float *weight = self->output + spec->hidden[spec->layers - 1];
    for (size_t c = 0; c < g; c++)
        query[c] = weight[c] * user[c];
    memcpy(scratch, user + g, d * sizeof(*scratch));
    scratch[d] = 1.0f;
    rec_kernels_rows_dot(self->user_layer, spec->hidden[0], d + 1, scratch, query + g);
}

/* ---- score, similar --------------------------------------------------------------------- */

void rec_pairs_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                     uint32_t count, float *scores) {
    const struct rec_pairs *self = model->self;
    float act[REC_PAIRS_LAYERS_MAX * REC_PAIRS_HIDDEN_MAX * WORD], z[WORD];
    size_t end = (size_t)first + count;
    for (size_t word = first / WORD; word * WORD < end; word++) {
        size_t begin = word * WORD < first ? first : word * WORD;
        size_t stop = (word + 1) * WORD < end ? (word + 1) * WORD : end;
        for (size_t row = 0; row < n; row++) {
            rec_pairs_forward(self, queries + row * self->spec.row,
                              self->table + word * WORD * self->spec.row, act, z);
            memcpy(scores + row * count + (begin - first), z + begin % WORD,
                   (stop - begin) * sizeof(*scores));
        }
    }
}

void rec_pairs_similar(const struct rec_model *model, uint32_t item, uint32_t first, uint32_t count,
                       float *scores) {
    const struct rec_pairs *self = model->self;
    size_t width = self->spec.width;
    rec_kernels_rows_dot(self->embedding + first * width, count, width,
                         self->embedding + item * width, scores);
    for (uint32_t i = 0; i < count; i++)
        scores[i] *= self->inverse_norm[item] * self->inverse_norm[first + i];
}
