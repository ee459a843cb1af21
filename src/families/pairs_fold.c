/* How a network of pairs answers a history: by the embedding that fits it best with all weights
 * fixed.
 *
 * The loss is that of training on the newest POSITIVES items of the history, against a sample of
 * items that stands for all others, and a normal prior, the spread of the trained users'
 * embeddings. So a short history stays near the average user, and a long one says what it wants.
 *
 * A step looks at all of these items and at a part of the sample, a few words in turn, weighted to
 * stand for the whole; the rate falls evenly, so that the last steps take an average. The sample is
 * the same for all queries, which makes their scores comparable, and its halves are worked out
 * before. Fixed numbers of steps and words bound the time, whatever the history. */
#include <math.h>
#include <string.h>

#include "pairs.h"
#include "recency.h"
#include "recsysd/data.h"

enum {
    WORD = REC_PAIRS_WORD,
    POSITIVE_WORDS = 2,
    POSITIVES = POSITIVE_WORDS * WORD,
    NEGATIVE_WORDS = 4, /* of a step */
    BLOCKS = POSITIVE_WORDS + NEGATIVE_WORDS,
    SAMPLES = BLOCKS * WORD,
    CONTRASTS = 512, /* of a step, where the loss is of pairs */
    STEPS = REC_PAIRS_FOLD_STEPS,
};
#define RATE 0.3f /* of the first step, in deviations of the prior; it falls evenly to none */

/* What a fold-in works with, carved out of scratch. */
struct fold {
    uint32_t *seen;                   /* a bit an item */
    float *positive;                  /* halves of the history's items, as in a table */
    float *act;                       /* [BLOCKS][numbers][WORD] of all layers */
    float *z;                         /* [SAMPLES] scores, then their gradients */
    float *contrast;                  /* [CONTRASTS] */
    float *user;                      /* [width + 1] the embedding, 1 */
    float *place;                     /* [width] it, in deviations from the mean */
    float *first, *second, *gradient; /* [width], of place; gradient [width + 1] */
    float *dquery, *part;             /* [row] */

    uint32_t item[POSITIVES]; /* what was last done last */
    float weight[POSITIVES];
    size_t positives;
    float total; /* of their weights */

    /* of the step: the words, those of the history first, and which lanes of the others count */
    const float *word[BLOCKS];
    size_t blocks, positive_blocks;
    uint16_t other[NEGATIVE_WORDS * WORD];
    float other_weight;
    size_t other_count;
};

/* At NULL only counts. */
static size_t carve(const struct rec_pairs *self, uint32_t items, float *scratch,
                    struct fold *fold) {
    size_t width = self->spec.width, row = self->spec.row, used = 0;
    const struct {
        float **part;
        size_t floats;
    } parts[] = {
        {&fold->positive, POSITIVES * row},
        {&fold->act, BLOCKS * WORD * self->numbers},
        {&fold->z, SAMPLES},
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

size_t rec_pairs_fold_floats(const struct rec_pairs *self, uint32_t items) {
    struct fold fold;
    return carve(self, items, NULL, &fold);
}

void rec_pairs_fold_plan(struct rec_pairs *self) {
    struct rec_adam adam;
    rec_adam_init(&adam, RATE, 0.0f);
    for (size_t s = 0; s < STEPS; s++) {
        adam.rate = RATE * (1.0f - (float)s / STEPS);
        rec_adam_next(&adam);
        self->step[s] = adam.step;
    }
}

/* ---- what a history says ---------------------------------------------------------------- */

/* Takes the item at p out of the list; the weight it had. */
static float take_out(struct fold *fold, size_t p) {
    float weight = fold->weight[p];
    size_t after = --fold->positives - p;
    memmove(fold->item + p, fold->item + p + 1, after * sizeof(*fold->item));
    memmove(fold->weight + p, fold->weight + p + 1, after * sizeof(*fold->weight));
    return weight;
}

/* Marks the items of the history, and finds the POSITIVES of them that were last done, each with
 * its weights added up since it was last pushed out. */
static void find_positives(const struct rec_model *model, const struct rec_history *history,
                           struct fold *fold) {
    const struct rec_pairs *self = model->self;
    struct rec_recency walk = rec_recency_begin(self->spec.recency, model->items, history);
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
        if (p < fold->positives)
            weight += take_out(fold, p);
        else if (fold->positives == POSITIVES)
            (void)take_out(fold, 0);
        fold->item[fold->positives] = item;
        fold->weight[fold->positives++] = weight;
    }
}

/* Fills what is the same in all steps. False: the history says nothing. */
static bool read_history(const struct rec_model *model, const struct rec_history *history,
                         struct fold *fold) {
    const struct rec_pairs *self = model->self;
    fold->positives = 0;
    fold->total = 0.0f;
    find_positives(model, history, fold);
    memset(fold->positive, 0, POSITIVES * self->spec.row * sizeof(float));
    for (size_t p = 0; p < fold->positives; p++) {
        fold->weight[p] = fold->weight[p] < 1.0f ? fold->weight[p] : 1.0f;
        fold->total += fold->weight[p];
        rec_pairs_copy_lane(self, fold->item[p], fold->positive, p);
    }
    fold->positive_blocks = (fold->positives + WORD - 1) / WORD;
    for (size_t b = 0; b < fold->positive_blocks; b++)
        fold->word[b] = fold->positive + b * WORD * self->spec.row;
    return fold->positives > 0;
}

/* The step's words of the sample, without what the history has. */
static void choose_others(const struct rec_pairs *self, size_t step, struct fold *fold) {
    size_t words = self->sample_words, floats = WORD * self->spec.row;
    size_t count = words < NEGATIVE_WORDS ? words : NEGATIVE_WORDS;
    fold->blocks = fold->positive_blocks + count;
    fold->other_count = 0;
    for (size_t b = 0; b < count; b++) {
        size_t word = (step * count + b) % words;
        fold->word[fold->positive_blocks + b] = self->sample + word * floats;
        for (size_t i = 0; i < WORD; i++) {
            uint32_t item = self->negative[word * WORD + i];
            if (item != UINT32_MAX && (fold->seen[item / 32] >> item % 32 & 1) == 0)
                fold->other[fold->other_count++] =
                    (uint16_t)((fold->positive_blocks + b) * WORD + i);
        }
    }
    fold->other_weight = fold->other_count == 0
                             ? 0.0f
                             : (float)self->spec.negatives * fold->total / (float)fold->other_count;
}

/* ---- the fit ------------------------------------------------------------------------------ */

/* Scores become gradients: of binary cross-entropy ... */
static void bce_gradients(struct fold *fold) {
    float *z = fold->z, label[SAMPLES] = {0}, weight[SAMPLES] = {0};
    for (size_t p = 0; p < fold->positives; p++) {
        label[p] = 1.0f;
        weight[p] = fold->weight[p];
    }
    for (size_t n = 0; n < fold->other_count; n++)
        weight[fold->other[n]] = fold->other_weight;
    (void)rec_kernels_logistic(z, fold->blocks * WORD);
    for (size_t i = 0; i < fold->blocks * WORD; i++)
        z[i] = weight[i] * (z[i] - label[i]);
}

/* ... or of pairs: each positive stands against as many negatives as CONTRASTS allows, in turn. */
static void bpr_gradients(const struct rec_pairs *self, struct fold *fold) {
    size_t each = CONTRASTS / fold->positives, others = fold->other_count;
    each = others < each ? others : each;
    float *z = fold->z, share = each == 0 ? 0.0f : (float)self->spec.negatives / (float)each;
    for (size_t p = 0, c = 0; p < fold->positives; p++)
        for (size_t k = 0; k < each; k++, c++)
            fold->contrast[c] = z[fold->other[c % others]] - z[p];
    (void)rec_kernels_logistic(fold->contrast, fold->positives * each);
    memset(z, 0, SAMPLES * sizeof(*z));
    for (size_t p = 0, c = 0; p < fold->positives; p++)
        for (size_t k = 0; k < each; k++, c++) {
            float gradient = share * fold->weight[p] * fold->contrast[c];
            z[fold->other[c % others]] += gradient;
            z[p] -= gradient;
        }
}

/* The embedding at `place`, and its query. */
static void move(const struct rec_model *model, const struct fold *fold, float *query) {
    const struct rec_pairs *self = model->self;
    for (size_t c = 0; c < self->spec.width; c++)
        fold->user[c] = self->mean[c] + self->deviation[c] * fold->place[c];
    rec_pairs_query_user(model, fold->user, query, fold->gradient);
}

static void fit_step(const struct rec_model *model, struct fold *fold, size_t step, float *query) {
    const struct rec_pairs *self = model->self;
    const struct rec_pairs_spec *spec = &self->spec;
    size_t g = spec->product, width = spec->width;
    const float *weight = self->output + spec->hidden[spec->layers - 1];
    choose_others(self, step, fold);
    for (size_t b = 0; b < fold->blocks; b++)
        rec_pairs_forward(self, query, fold->word[b], fold->act + b * WORD * self->numbers,
                          fold->z + b * WORD);
    if (spec->bpr)
        bpr_gradients(self, fold);
    else
        bce_gradients(fold);
    memset(fold->dquery, 0, spec->row * sizeof(float));
    for (size_t b = 0; b < fold->blocks; b++)
        rec_pairs_backward(self, fold->word[b], fold->z + b * WORD,
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
    const struct rec_pairs *self = model->self;
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
