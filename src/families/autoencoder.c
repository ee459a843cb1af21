/* Answering with an autoencoder: the encoder and all of the decoder but its last layer turn a
 * history into a query, the last layer's rows are the items' vectors. A column of ones ends every
 * layer's input, so biases are columns, and the last layer's too is found by the scan.
 *
 * Items that nobody had at training have no row to gather (it is zero) and say nothing. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "autoencoder.h"
#include "recency.h"
#include "recsysd/data.h"

/* A query ends here: no sum of products with the items' rows then passes a float. */
#define QUERY_MAX 1e28f

const char *const rec_autoencoder_inputs[] = {"weights", "binary", NULL};

struct autoencoder {
    struct rec_autoencoder_spec spec;
    struct rec_variable input, encoder, decoder; /* values only */
    const float *rows;                           /* the last layer [items x hidden + 1] */
    const float *inverse_norm; /* [items] of a row without its bias; 0 where it is */
    const uint8_t *known;      /* [items] */
    float values[];
};

void rec_autoencoder_read(const struct rec_params *params, struct rec_autoencoder_spec *spec) {
    spec->hidden = (size_t)rec_params_get(params, "hidden");
    spec->code = (size_t)rec_params_get(params, "code");
    spec->dropout = (float)rec_params_get(params, "dropout");
    spec->epochs = (size_t)rec_params_get(params, "epochs");
    spec->batch = (size_t)rec_params_get(params, "batch");
    spec->rate = (float)rec_params_get(params, "learning_rate");
    spec->decay = (float)rec_params_get(params, "regularization");
    spec->binary = rec_params_get(params, "input") == 1;
    spec->recency = (float)rec_params_get(params, "recency");
    spec->patience = (size_t)rec_params_get(params, "early_stop");
}

/* ---- open ------------------------------------------------------------------------ */

static enum rec_status find(const struct rec_model *model, const char *name, uint64_t rows,
                            uint64_t cols, float **data, struct rec_error *err) {
    const struct rec_tensor *tensor = NULL;
    enum rec_status st =
        rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, rows, cols, &tensor, err);
    if (st != REC_OK)
        return st;
    const float *value = tensor->data;
    for (uint64_t i = 0; i < rows * cols; i++)
        if (!(fabsf(value[i]) <= REC_AUTOENCODER_VALUE_MAX))
            return rec_error_set(err, REC_CORRUPT,
                                 "%s: %s [%llu, %llu] is %g, expected a number within %g",
                                 model->family->name, name, (unsigned long long)(i / cols),
                                 (unsigned long long)(i % cols), (double)value[i],
                                 (double)REC_AUTOENCODER_VALUE_MAX);
    *data = tensor->data;
    return REC_OK;
}

static void fill_caches(const struct autoencoder *self, uint32_t items, float *inverse_norm,
                        uint8_t *known) {
    size_t h = self->spec.hidden;
    for (size_t i = 0; i < items; i++) {
        const float *row = self->rows + i * (h + 1), *gathered = self->input.value + i * h;
        float square = rec_kernels_dot(row, row, h);
        inverse_norm[i] = square > FLT_MIN ? 1.0f / sqrtf(square) : 0.0f;
        for (size_t k = 0; k < h && known[i] == 0; k++)
            known[i] = gathered[k] != 0.0f;
    }
}

enum rec_status rec_autoencoder_open(struct rec_model *model,
                                     const struct rec_autoencoder_spec *spec,
                                     struct rec_error *err) {
    size_t items = model->items, h = spec->hidden, c = spec->code;
    size_t codes = spec->variational ? 2 * c : c;
    float *input = NULL, *encoder = NULL, *decoder = NULL, *output = NULL;
    enum rec_status st = find(model, "input", items + 1, h, &input, err);
    if (st == REC_OK)
        st = find(model, "encoder", codes, h + 1, &encoder, err);
    if (st == REC_OK)
        st = find(model, "decoder", h, c + 1, &decoder, err);
    if (st == REC_OK)
        st = find(model, "output", items, h + 1, &output, err);
    if (st != REC_OK)
        return st;

    size_t words = (items + sizeof(float) - 1) / sizeof(float);
    struct autoencoder *self = rec_alloc_extra(sizeof(*self), items + words, sizeof(float));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %zu items", model->family->name,
                             items);
    self->spec = *spec;
    self->input = (struct rec_variable){.rows = items + 1, .cols = h, .value = input};
    self->encoder = (struct rec_variable){.rows = c, .cols = h + 1, .value = encoder};
    self->decoder = (struct rec_variable){.rows = h, .cols = c + 1, .value = decoder};
    self->rows = output;
    self->inverse_norm = self->values;
    self->known = (uint8_t *)(self->values + items);
    fill_caches(self, model->items, self->values, (uint8_t *)(self->values + items));

    model->self = self;
    model->query_floats = h + 1;
    model->vectors = output;
    model->scratch_floats = items + (h + 1) + (c + 1);
    return REC_OK;
}

void rec_autoencoder_close(struct rec_model *model) {
    rec_alloc_free(model->self);
    model->self = NULL;
}

/* ---- query ------------------------------------------------------------------------- */

static bool is_known(const struct rec_model *model, const struct rec_event *event) {
    const struct autoencoder *self = model->self;
    return event->item < model->items && self->known[event->item] != 0;
}

/* What the history says of each of its items, as training added it up: into total [items], which
 * is written at these items only. Returns the sum of its squares. */
static double add_up(const struct rec_model *model, const struct rec_history *history,
                     float *total) {
    const struct autoencoder *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->spec.recency, model->items, history);
    double square = 0.0;
    for (size_t e = 0; e < history->count; e++)
        if (is_known(model, &history->events[e]))
            total[history->events[e].item] = 0.0f;
    for (size_t e = 0; e < history->count; e++) {
        struct rec_event event = history->events[e];
        if (self->spec.binary && event.weight > 0.0f)
            event.weight = 1.0f;
        float weight = rec_recency_next(&walk, &event);
        if (!(weight > 0.0f) || !is_known(model, &event))
            continue;
        weight = weight < REC_AUTOENCODER_WEIGHT_MAX ? weight : REC_AUTOENCODER_WEIGHT_MAX;
        double was = (double)total[event.item];
        /* Binary: the newest event of an item counts, and it comes last. */
        total[event.item] = self->spec.binary ? weight : total[event.item] + weight;
        square += (double)total[event.item] * (double)total[event.item] - was * was;
    }
    return square;
}

/* a [hidden] = A x + b */
static void encode(const struct rec_model *model, const struct rec_history *history, float inverse,
                   float *total, float *a) {
    enum { GATHER = 256 };
    const struct autoencoder *self = model->self;
    const struct rec_variable *input = &self->input;
    uint32_t item[GATHER];
    float weight[GATHER];
    size_t pending = 0;
    memcpy(a, input->value + (size_t)model->items * input->cols, input->cols * sizeof(*a));
    for (size_t e = 0; e < history->count; e++) {
        const struct rec_event *event = &history->events[e];
        if (!is_known(model, event) || total[event->item] == 0.0f)
            continue;
        item[pending] = event->item;
        weight[pending++] = total[event->item] * inverse;
        total[event->item] = 0.0f; /* once */
        if (pending == GATHER) {
            rec_kernels_sum_rows(input->value, item, weight, pending, input->cols, a);
            pending = 0;
        }
    }
    rec_kernels_sum_rows(input->value, item, weight, pending, input->cols, a);
}

/* y [W->rows + 1] = f(W x), and a one behind it. */
static void layer(const struct rec_variable *W, enum rec_activation activation, const float *x,
                  float *y) {
    const struct rec_matrix out = rec_matrix_of(y, 1, W->rows);
    rec_kernels_rows_dot(W->value, W->rows, W->cols, x, y);
    rec_activation_forward(NULL, activation, &out);
    y[W->rows] = 1.0f;
}

bool rec_autoencoder_query(const struct rec_model *model, const struct rec_history *history,
                           float *query, float *scratch) {
    const struct autoencoder *self = model->self;
    size_t h = self->spec.hidden;
    float *total = scratch, *a = total + model->items, *code = a + h + 1;
    enum rec_activation f = self->spec.activation;
    double square = add_up(model, history, total);
    bool in_range = true;
    if (square > 0.0) {
        const struct rec_matrix hidden = rec_matrix_of(a, 1, h);
        encode(model, history, (float)(1.0 / sqrt(square)), total, a);
        rec_activation_forward(NULL, f, &hidden);
        a[h] = 1.0f;
        layer(&self->encoder, self->spec.variational ? REC_ACTIVATION_IDENTITY : f, a, code);
        layer(&self->decoder, f, code, query);
        for (size_t k = 0; k < h; k++)
            in_range = in_range && fabsf(query[k]) <= QUERY_MAX;
        if (in_range)
            return true;
    }
    memset(query, 0, (h + 1) * sizeof(*query));
    return false;
}

/* ---- score, similar ----------------------------------------------------------------- */

void rec_autoencoder_score(const struct rec_model *model, const float *queries, size_t n,
                           uint32_t first, uint32_t count, float *scores) {
    enum { TILE_FLOATS = 65536 }; /* items stay in the L2 cache while all queries pass */
    size_t width = model->query_floats, step = n == 1 ? count : TILE_FLOATS / width + 1;
    for (size_t begin = 0; begin < count; begin += step) {
        size_t items = count - begin < step ? count - begin : step;
        for (size_t row = 0; row < n; row++)
            rec_kernels_rows_dot(model->vectors + (first + begin) * width, items, width,
                                 queries + row * width, scores + row * count + begin);
    }
}

/* The cosine of rows without their biases, which say how popular items are, not how alike. */
void rec_autoencoder_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                             uint32_t count, float *scores) {
    const struct autoencoder *self = model->self;
    size_t h = self->spec.hidden;
    const float *own = self->rows + item * (h + 1);
    for (uint32_t i = 0; i < count; i++) {
        size_t other = (size_t)first + i;
        scores[i] = rec_kernels_dot(own, self->rows + other * (h + 1), h) *
                    (self->inverse_norm[item] * self->inverse_norm[other]);
    }
}
