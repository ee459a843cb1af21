/* Answering with a network of pairs.
 *
 * A query is what the network needs of a user: products' weights times the user's numbers, then the
 * user's half of the first layer. Scores are worked out for WORD items at a time that stand side by
 * side, each in a lane of its own: a layer is then a sum of rows, its bits depend on the item and
 * the query alone, and no lane waits for another.
 *
 * A history is answered by the embedding that fits it best with all weights fixed: the loss of
 * training on the newest POSITIVES items of the history against NEGATIVES items that stand for all
 * others, and a normal prior, the spread of the trained users' embeddings. So a short history stays
 * near the average user, and a long one says what it wants. The sample of items is the same for all
 * queries, which makes their scores comparable, and their halves are worked out before. Fixed
 * numbers of steps and items bound the time. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "pairs.h"
#include "recency.h"
#include "recsysd/data.h"

enum {
    WORD = 64,
    POSITIVES = 64,
    NEGATIVES = 256,
    BLOCKS = (POSITIVES + NEGATIVES) / WORD,
    SAMPLES = BLOCKS * WORD,
    CONTRASTS = 512, /* positives against negatives, where the loss is of pairs */
    STEPS = 24,
    SAMPLE_SEED = 0x5eed,
};
#define RATE 0.3f /* of the first step, in deviations of the prior; it falls evenly to none */

struct pairs {
    struct rec_pairs_spec spec;
    const float *embedding;                   /* [items x width] */
    const float *mean, *deviation;            /* [width] of users */
    const float *user_layer;                  /* [first layer x factors + 1] */
    const float *layer[REC_PAIRS_LAYERS_MAX]; /* from the second on */
    const float *output;                      /* [joined] */
    float *upside[REC_PAIRS_LAYERS_MAX];      /* layer, transposed, without the bias */
    float *table;                             /* [words][row][WORD] halves of all items */
    float *sample;                            /* the same of the negatives */
    float *inverse_norm;                      /* [items] 1 / |embedding|; 0 where that is */
    uint32_t negative[NEGATIVES];
    size_t negatives;
    size_t numbers; /* of all layers */
    struct rec_kernels_step step[STEPS];
    float values[];
};

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
static enum rec_status find_all(const struct rec_model *model, struct pairs *self,
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
    return (words_of(items) + NEGATIVES / WORD) * WORD * spec->row + items + upside_floats(spec);
}

/* The halves of each word's items; lanes without an item are 0. */
static void fill_table(struct pairs *self, const float *item_layer, uint32_t items) {
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

/* Copies the halves of an item to another lane. */
static void copy_lane(const struct pairs *self, uint32_t item, float *words, size_t place) {
    size_t row = self->spec.row;
    const float *from = self->table + item / WORD * WORD * row + item % WORD;
    float *to = words + place / WORD * WORD * row + place % WORD;
    for (size_t c = 0; c < row; c++)
        to[c * WORD] = from[c * WORD];
}

/* One item of each of NEGATIVES equal parts of the catalogue. */
static void choose_negatives(struct pairs *self, uint32_t items) {
    struct rec_rng rng;
    rec_rng_init(&rng, SAMPLE_SEED, 0);
    self->negatives = items < NEGATIVES ? items : NEGATIVES;
    for (size_t n = 0; n < self->negatives; n++) {
        uint32_t begin = (uint32_t)((uint64_t)items * n / self->negatives);
        uint32_t end = (uint32_t)((uint64_t)items * (n + 1) / self->negatives);
        self->negative[n] = begin + rec_rng_below(&rng, end - begin);
        copy_lane(self, self->negative[n], self->sample, n);
    }
}

static void fill_caches(struct pairs *self, const float *item_layer, uint32_t items) {
    const struct rec_pairs_spec *spec = &self->spec;
    struct rec_adam adam;
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
    rec_adam_init(&adam, RATE, 0.0f);
    for (size_t s = 0; s < STEPS; s++) {
        adam.rate = RATE * (1.0f - (float)s / STEPS);
        rec_adam_next(&adam);
        self->step[s] = adam.step;
    }
    fill_table(self, item_layer, items);
    choose_negatives(self, items);
}

/* ---- scratch of a query ------------------------------------------------------------------ */

/* What a fold-in works with, carved out of scratch. */
struct fold {
    uint32_t *seen;                   /* a bit an item */
    float *positive;                  /* as the table, of the history's items */
    float *act;                       /* [BLOCKS][numbers][WORD] of all layers */
    float *z;                         /* [SAMPLES] scores, then their gradients */
    float *count;                     /* [SAMPLES] how much a sample weighs; 0: nobody */
    float *contrast;                  /* [CONTRASTS] */
    float *user;                      /* [width + 1] the embedding, 1 */
    float *place;                     /* [width] it, in deviations from the mean */
    float *first, *second, *gradient; /* [width], of place; gradient [width + 1] */
    float *dquery, *part;             /* [row] */
    uint32_t item[POSITIVES];
    float weight[POSITIVES];
    uint16_t against[NEGATIVES]; /* samples that count as negatives */
    size_t positives, negatives;
};

/* At NULL only counts. */
static size_t carve(const struct pairs *self, uint32_t items, float *scratch, struct fold *fold) {
    size_t width = self->spec.width, row = self->spec.row, used = 0;
    const struct {
        float **part;
        size_t floats;
    } parts[] = {
        {&fold->positive, POSITIVES * row},
        {&fold->act, BLOCKS * WORD * self->numbers},
        {&fold->z, SAMPLES},
        {&fold->count, SAMPLES},
        {&fold->contrast, CONTRASTS},
        {&fold->user, width + 1},
        {&fold->place, width},
        {&fold->first, width},
        {&fold->second, width},
        {&fold->gradient, width + 1},
        {&fold->dquery, row},
        {&fold->part, row},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        *parts[i].part = scratch == NULL ? NULL : scratch + used;
        used += parts[i].floats;
    }
    /* scratch is heap memory */
    fold->seen = scratch == NULL ? NULL : (uint32_t *)(void *)(scratch + used);
    return used + ((size_t)items + 31) / 32;
}

enum rec_status rec_pairs_open(struct rec_model *model, const struct rec_pairs_spec *spec,
                               struct rec_error *err) {
    const float *item_layer = NULL;
    struct fold fold;
    size_t items = model->items, row = spec->row;
    struct pairs *self = rec_alloc_extra(sizeof(*self), open_floats(spec, items), sizeof(float));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %zu items", model->family->name,
                             items);
    self->spec = *spec;
    enum rec_status st = find_all(model, self, &item_layer, err);
    if (st != REC_OK) {
        rec_alloc_free(self);
        return st;
    }
    float *next = self->values;
    self->table = next;
    self->sample = next += words_of(items) * WORD * row;
    self->inverse_norm = next += NEGATIVES * row;
    next += items;
    for (size_t l = 0; l < spec->layers; l++) {
        self->numbers += spec->hidden[l];
        self->upside[l] = next;
        next += l == 0 ? 0 : spec->hidden[l] * spec->hidden[l - 1];
    }
    fill_caches(self, item_layer, model->items);
    model->self = self;
    model->query_floats = row;
    model->scratch_floats = carve(self, model->items, NULL, &fold);
    return REC_OK;
}

double rec_pairs_open_bytes(const struct rec_pairs_spec *spec, double items) {
    return (double)sizeof(struct pairs) + 4.0 * (double)open_floats(spec, (size_t)items);
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

/* z [WORD] from the halves of WORD items; act [numbers][WORD]: the layers' numbers */
static void forward(const struct pairs *self, const float *query, const float *word, float *act,
                    float *z) {
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

/* From dz [WORD], adds the gradient of the query to dquery [row]. act is overwritten, layer by
 * layer, by the gradients of its numbers; part [row] is scratch. */
static void backward(const struct pairs *self, const float *word, const float *dz, float *act,
                     float *dquery, float *part) {
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, last = spec->layers - 1;
    float *x = act, ones[WORD], above[WORD];
    fill(ones, 1.0f);
    for (size_t l = 0; l < last; l++)
        x += spec->hidden[l] * WORD;
    for (size_t c = 0; c < spec->hidden[last]; c++)
        for (size_t i = 0; i < WORD; i++)
            x[c * WORD + i] = x[c * WORD + i] > 0.0f ? self->output[c] * dz[i] : 0.0f;
    for (size_t l = last; l > 0; l--) {
        float *below = x - spec->hidden[l - 1] * WORD;
        for (size_t c = 0; c < spec->hidden[l - 1]; c++) {
            fill(above, 0.0f);
            rec_kernels_sum_rows(x, NULL, self->upside[l] + c * spec->hidden[l], spec->hidden[l],
                                 WORD, above);
            for (size_t i = 0; i < WORD; i++)
                below[c * WORD + i] = below[c * WORD + i] > 0.0f ? above[i] : 0.0f;
        }
        x = below;
    }
    if (g > 0)
        rec_kernels_rows_dot(word, g, WORD, dz, part);
    rec_kernels_rows_dot(x, spec->hidden[0], WORD, ones, part + g);
    for (size_t c = 0; c < spec->row; c++)
        dquery[c] += part[c];
}

/* ---- what a history says -----------------------------------------------------------------------
 */

/* Marks the items of the history, and finds the last POSITIVES of them, each with its weights added
 * up. */
static void find_positives(const struct rec_model *model, const struct rec_history *history,
                           struct fold *fold) {
    const struct pairs *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->spec.recency, model->items, history);
    size_t next = 0;
    memset(fold->seen, 0, ((size_t)model->items + 31) / 32 * sizeof(*fold->seen));
    for (size_t e = 0; e < history->count; e++) {
        float weight = rec_recency_next(&walk, &history->events[e]);
        uint32_t item = history->events[e].item, bit = UINT32_C(1) << item % 32;
        if (!(weight > 0.0f))
            continue;
        size_t p = (fold->seen[item / 32] & bit) == 0 ? fold->positives : 0;
        while (p < fold->positives && fold->item[p] != item)
            p++;
        fold->seen[item / 32] |= bit;
        if (p < fold->positives) {
            fold->weight[p] += weight;
            continue;
        }
        fold->item[next] = item;
        fold->weight[next] = weight;
        next = (next + 1) % POSITIVES;
        fold->positives += fold->positives < POSITIVES;
    }
}

/* Fills positive and count, and what positives stand against. False: the history says nothing. */
static bool read_history(const struct rec_model *model, const struct rec_history *history,
                         struct fold *fold) {
    const struct pairs *self = model->self;
    float total = 0.0f;
    fold->positives = fold->negatives = 0;
    find_positives(model, history, fold);
    memset(fold->positive, 0, POSITIVES * self->spec.row * sizeof(float));
    memset(fold->count, 0, SAMPLES * sizeof(float));
    for (size_t p = 0; p < fold->positives; p++) {
        fold->count[p] = fold->weight[p] < 1.0f ? fold->weight[p] : 1.0f;
        total += fold->count[p];
        copy_lane(self, fold->item[p], fold->positive, p);
    }
    for (size_t n = 0; n < self->negatives; n++)
        if ((fold->seen[self->negative[n] / 32] >> self->negative[n] % 32 & 1) == 0)
            fold->against[fold->negatives++] = (uint16_t)(POSITIVES + n);
    for (size_t n = 0; n < fold->negatives; n++)
        fold->count[fold->against[n]] =
            (float)self->spec.negatives * total / (float)fold->negatives;
    return fold->positives > 0;
}

/* ---- the fit ------------------------------------------------------------------------------------
 */

void rec_pairs_query_user(const struct rec_model *model, const float *user, float *query,
                          float *scratch) {
    const struct pairs *self = model->self;
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, d = spec->factors;
    const float *weight = self->output + spec->hidden[spec->layers - 1];
    for (size_t c = 0; c < g; c++)
        query[c] = weight[c] * user[c];
    memcpy(scratch, user + g, d * sizeof(*scratch));
    scratch[d] = 1.0f;
    rec_kernels_rows_dot(self->user_layer, spec->hidden[0], d + 1, scratch, query + g);
}

/* Scores become gradients: of binary cross-entropy ... */
static void bce_gradients(const struct fold *fold) {
    (void)rec_kernels_logistic(fold->z, SAMPLES);
    for (size_t i = 0; i < SAMPLES; i++)
        fold->z[i] = fold->count[i] * (i < POSITIVES ? fold->z[i] - 1.0f : fold->z[i]);
}

/* ... or of pairs: each positive stands against as many negatives as CONTRASTS allows, in turn. */
static void bpr_gradients(const struct pairs *self, const struct fold *fold) {
    size_t each = fold->negatives < CONTRASTS / fold->positives ? fold->negatives
                                                                : CONTRASTS / fold->positives;
    float share = each == 0 ? 0.0f : (float)self->spec.negatives / (float)each;
    for (size_t p = 0, c = 0; p < fold->positives; p++)
        for (size_t k = 0; k < each; k++, c++)
            fold->contrast[c] = fold->z[fold->against[c % fold->negatives]] - fold->z[p];
    (void)rec_kernels_logistic(fold->contrast, fold->positives * each);
    memset(fold->z, 0, SAMPLES * sizeof(float));
    for (size_t p = 0, c = 0; p < fold->positives; p++)
        for (size_t k = 0; k < each; k++, c++) {
            float gradient = share * fold->count[p] * fold->contrast[c];
            fold->z[fold->against[c % fold->negatives]] += gradient;
            fold->z[p] -= gradient;
        }
}

static const float *word_of(const struct pairs *self, const struct fold *fold, size_t block) {
    size_t floats = WORD * self->spec.row;
    return block < POSITIVES / WORD ? fold->positive + block * floats
                                    : self->sample + (block - POSITIVES / WORD) * floats;
}

/* The embedding at `place`, and its query. */
static void move(const struct rec_model *model, const struct fold *fold, float *query) {
    const struct pairs *self = model->self;
    for (size_t c = 0; c < self->spec.width; c++)
        fold->user[c] = self->mean[c] + self->deviation[c] * fold->place[c];
    rec_pairs_query_user(model, fold->user, query, fold->gradient);
}

static void fit_step(const struct rec_model *model, const struct fold *fold, size_t step,
                     float *query) {
    const struct pairs *self = model->self;
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, width = spec->width;
    const float *weight = self->output + spec->hidden[spec->layers - 1];
    for (size_t b = 0; b < BLOCKS; b++)
        forward(self, query, word_of(self, fold, b), fold->act + b * WORD * self->numbers,
                fold->z + b * WORD);
    if (spec->bpr)
        bpr_gradients(self, fold);
    else
        bce_gradients(fold);
    memset(fold->dquery, 0, spec->row * sizeof(float));
    for (size_t b = 0; b < BLOCKS; b++)
        backward(self, word_of(self, fold, b), fold->z + b * WORD,
                 fold->act + b * WORD * self->numbers, fold->dquery, fold->part);
    memset(fold->gradient, 0, (width + 1) * sizeof(float));
    for (size_t c = 0; c < g; c++)
        fold->gradient[c] = weight[c] * fold->dquery[c];
    rec_kernels_sum_rows(self->user_layer, NULL, fold->dquery + g, spec->hidden[0],
                         spec->factors + 1, fold->gradient + g);
    for (size_t c = 0; c < width; c++)
        fold->gradient[c] = self->deviation[c] * fold->gradient[c] + fold->place[c];
    rec_kernels_adam(&self->step[step], fold->gradient, fold->place, fold->first, fold->second,
                     width);
    move(model, fold, query);
}

bool rec_pairs_query(const struct rec_model *model, const struct rec_history *history, float *query,
                     float *scratch) {
    const struct pairs *self = model->self;
    size_t width = self->spec.width;
    struct fold fold;
    bool in_range = true;
    (void)carve(self, model->items, scratch, &fold);
    memset(query, 0, self->spec.row * sizeof(*query));
    if (!read_history(model, history, &fold))
        return false;
    memset(fold.place, 0, width * sizeof(float));
    memset(fold.first, 0, width * sizeof(float));
    memset(fold.second, 0, width * sizeof(float));
    move(model, &fold, query);
    for (size_t s = 0; s < STEPS; s++)
        fit_step(model, &fold, s, query);
    for (size_t c = 0; c < self->spec.row; c++)
        in_range = in_range && isfinite(query[c]);
    if (!in_range) /* weights of a file that no training would leave */
        memset(query, 0, self->spec.row * sizeof(*query));
    return in_range;
}

/* ---- score, similar ----------------------------------------------------------------------------
 */

void rec_pairs_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                     uint32_t count, float *scores) {
    const struct pairs *self = model->self;
    float act[REC_PAIRS_LAYERS_MAX * REC_PAIRS_HIDDEN_MAX * WORD], z[WORD];
    size_t end = (size_t)first + count;
    for (size_t word = first / WORD; word * WORD < end; word++) {
        size_t begin = word * WORD < first ? first : word * WORD;
        size_t stop = (word + 1) * WORD < end ? (word + 1) * WORD : end;
        for (size_t row = 0; row < n; row++) {
            forward(self, queries + row * self->spec.row,
                    self->table + word * WORD * self->spec.row, act, z);
            memcpy(scores + row * count + (begin - first), z + begin % WORD,
                   (stop - begin) * sizeof(*scores));
        }
    }
}

void rec_pairs_similar(const struct rec_model *model, uint32_t item, uint32_t first, uint32_t count,
                       float *scores) {
    const struct pairs *self = model->self;
    size_t width = self->spec.width;
    rec_kernels_rows_dot(self->embedding + first * width, count, width,
                         self->embedding + item * width, scores);
    for (uint32_t i = 0; i < count; i++)
        scores[i] *= self->inverse_norm[item] * self->inverse_norm[first + i];
}
