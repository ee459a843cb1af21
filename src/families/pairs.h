/* What neural-mf and ncf are: a network that looks at one user and one item at a time. ncf.c has
 * the equations. Training is in pairs_trainer.c (its room), pairs_step.c (one step) and
 * pairs_fit.c, answers are in pairs.c and pairs_fold.c. Inside the room only.
 *
 * The first layer splits: W1 (u, v) = Wu u + Wv v. Each half is worked out once for each user or
 * item, however many pairs they are in; a pair costs one sum of two halves, and what is above. */
#ifndef FAMILIES_PAIRS_H
#define FAMILIES_PAIRS_H

#include "recsysd/model.h"
#include "recsysd/nn.h"

/* Weights beyond this are refused: scores then stay finite in float, whatever the layers. */
#define REC_PAIRS_VALUE_MAX 1e4f
enum { REC_PAIRS_LAYERS_MAX = 3, REC_PAIRS_HIDDEN_MAX = 256, REC_PAIRS_FACTORS_MAX = 512 };

struct rec_pairs_spec {
    const struct rec_family *family;
    size_t factors; /* of each tower */
    size_t product; /* factors of the tower of products: `factors`, or 0 without it */
    size_t width;   /* of an embedding: products first, then what goes into the layers */
    size_t layers, hidden[REC_PAIRS_LAYERS_MAX];
    size_t row;    /* what a pair's halves are made of: products, then the first layer's numbers */
    size_t joined; /* inputs of the output: last layer, products, 1 */
    bool bpr;
    size_t negatives, batch, epochs, patience;
    float dropout, rate, decay, recency;
};

/* Rows that both parameter tables have. */
/* clang-format off */
#define REC_PAIRS_PARAMS(factors, epochs, dropout)                                                 \
    {"factors", REC_PARAM_INT, 1, REC_PAIRS_FACTORS_MAX, true, factors, NULL,                      \
     "numbers of an embedding"},                                                                   \
    {"dropout", REC_PARAM_FLOAT, 0, 0.95, false, dropout, NULL,                                    \
     "share of each layer's numbers that is hidden from the next while training"},                 \
    {"negatives", REC_PARAM_INT, 1, 100, false, 4, NULL,                                           \
     "items drawn for each pair, anew in each epoch, of those the user has not"},                  \
    {"epochs", REC_PARAM_INT, 1, 10000, true, epochs, NULL, "passes over the pairs, at most"},     \
    {"batch", REC_PARAM_INT, 1, 65536, true, 1024, NULL, "pairs a step, negatives not counted"},   \
    {"learning_rate", REC_PARAM_FLOAT, 1e-6, 1000, true, 1e-3, NULL, "Adam's"},                    \
    {"regularization", REC_PARAM_FLOAT, 0, 1, false, 0, NULL, "L2 penalty on all weights"},        \
    REC_EARLYSTOP_PARAM(5), REC_RECENCY_PARAM
/* clang-format on */

/* Reads the rows above and works out what follows from them; family, product (0 or not), layers and
 * hidden are the family's. */
void rec_pairs_read(const struct rec_params *params, struct rec_pairs_spec *spec);

/* ---- what a training works in (pairs_trainer.c) ------------------------------------------- */

enum {
    REC_PAIRS_SLICE = 64,  /* positives that are worked on together, with their negatives */
    REC_PAIRS_BLOCK = 256, /* users or items */
};

/* One of the two sides: users or items. */
struct rec_pairs_side {
    struct rec_variable rows;  /* [count x width] the embeddings */
    struct rec_variable layer; /* [first layer x inputs] its half; the users' ends with the bias */
    size_t inputs;             /* factors, and 1 for the bias */

    /* who is in the batch, in order of appearance, and the samples of each one side by side */
    uint32_t *index;   /* the room of what follows */
    uint32_t *who;     /* [samples] */
    uint32_t *slot;    /* [samples] where that is in `which` */
    uint32_t *which;   /* [touched + 1], the last one is scratch */
    uint32_t *start;   /* [touched + 1] in `sample` */
    uint32_t *sample;  /* [samples] */
    uint32_t *counter; /* [users or items] 0 between batches */
    size_t touched;

    struct rec_matrix gathered; /* [of the batch x width + 1] their embeddings, 1 */
    struct rec_matrix row;      /* [of the batch x row] products, the half of the first layer */
    struct rec_matrix gradient; /* [samples x row] of such rows */
    float *upside;              /* [inputs x first layer] the layer, transposed: faster in BLAS */
    float *partial;             /* of layer, a block of the batch each */
};

/* A network in training. The embeddings of items, the layers and the prior are in the tensors; the
 * users' embeddings end with the training. */
struct rec_pairs_trainer {
    const struct rec_pairs_spec *spec;
    struct rec_pool *pool;
    uint64_t seed;
    size_t batch_max, pairs; /* pairs of one positive: itself and its negatives */
    struct rec_pairs_side users, items;
    struct rec_variable layer[REC_PAIRS_LAYERS_MAX]; /* from the second on: [0] is not used */
    struct rec_variable output;                      /* [1 x joined] */
    float *user_rows, *user_layer, *item_layer, *prior;
    float *block; /* the room of all matrices */
    float *slices;
    size_t slice_floats, partial_floats;
    double *slice_loss;
    float *work; /* [threads x work_floats] */
    size_t work_floats, slice_work_floats;
    struct rec_adam adam;
};

/* Adds the tensors to `out` and starts all weights. errors: NO_MEMORY; then *out is NULL */
enum rec_status rec_pairs_trainer_create(const struct rec_pairs_spec *spec,
                                         const struct rec_fit *fit, size_t batch_max,
                                         struct rec_tensors *tensors,
                                         struct rec_pairs_trainer **out, struct rec_error *err);
void rec_pairs_trainer_destroy(struct rec_pairs_trainer **trainer);
/* What create allocates, the tensors included. */
double rec_pairs_trainer_bytes(const struct rec_pairs_spec *spec, double users, double items,
                               size_t batch_max, size_t threads);

/* A slice: `n` positives from `begin` on, with their negatives. Each pair has a lane, a column of
 * the matrices: the positives' come first, then those of each one's first negative, and so on. */
struct rec_pairs_slice {
    size_t begin, n, lanes;
    struct rec_matrix users; /* [row x n] the users' rows, in the end their gradients */
    struct rec_matrix items; /* [row x lanes] the items' rows, in the end their gradients */
    struct rec_matrix in[REC_PAIRS_LAYERS_MAX];   /* [inputs, 1 x lanes] of the layer above */
    struct rec_matrix back[REC_PAIRS_LAYERS_MAX]; /* [outputs x lanes] gradients; 0 is in items */
    float *z;                                     /* [lanes] scores, then their gradients */
};

/* Carves the matrices of a slice of n positives out of block (NULL: only counts); the floats that
 * takes. */
size_t rec_pairs_slice_carve(const struct rec_pairs_spec *spec, size_t n, float *block,
                             struct rec_pairs_slice *slice);

/* ---- one step (pairs_step.c) ------------------------------------------------------------- */

struct rec_pairs_sample {
    size_t n;             /* positives, at most batch_max */
    const uint32_t *user; /* [n] */
    const uint32_t *item; /* [n x pairs] the positive, then its negatives */
    const float *weight;  /* [n] */
};

/* A step of Adam down the sample's loss a positive, which is returned. */
double rec_pairs_step(struct rec_pairs_trainer *trainer, const struct rec_pairs_sample *sample);

/* ---- training (pairs_fit.c) -------------------------------------------------------------- */

size_t rec_pairs_fit_bytes(const struct rec_fit *fit, const struct rec_pairs_spec *spec);
/* users: the trained embeddings [users x width] (rec_alloc_free), which no model keeps: so that the
 * fold-in can be measured against them. NULL: not wanted. */
enum rec_status rec_pairs_fit(const struct rec_fit *fit, const struct rec_pairs_spec *spec,
                              float **users, struct rec_tensors *out, struct rec_error *err);

/* ---- answering (pairs.c) ------------------------------------------------------------------ */

enum {
    REC_PAIRS_WORD = 64, /* items that are worked on together, a lane each */
    REC_PAIRS_NEGATIVES = 1024,
    REC_PAIRS_FOLD_STEPS = 24,
};

/* What open works out: model->self. */
struct rec_pairs {
    struct rec_pairs_spec spec;
    const float *embedding;                   /* [items x width] */
    const float *mean, *deviation;            /* [width] of users */
    const float *user_layer;                  /* [first layer x factors + 1] */
    const float *layer[REC_PAIRS_LAYERS_MAX]; /* from the second on */
    const float *output;                      /* [joined] */
    float *upside[REC_PAIRS_LAYERS_MAX];      /* layer, transposed, without the bias */
    float *table;                             /* [words][row][WORD] halves of all items */
    float *sample;                            /* [words][row][WORD] of those that stand for all */
    float *inverse_norm;                      /* [items] 1 / |embedding|; 0 where that is */
    uint32_t negative[REC_PAIRS_NEGATIVES];   /* by word and lane; UINT32_MAX: none */
    size_t sample_words;
    size_t numbers; /* of all layers */
    struct rec_kernels_step step[REC_PAIRS_FOLD_STEPS];
    float values[];
};

/* Copies the halves of an item to a place of other words. */
void rec_pairs_copy_lane(const struct rec_pairs *self, uint32_t item, float *words, size_t place);
/* z [WORD] from the halves of a word of items; act [numbers][WORD]: the layers' numbers */
void rec_pairs_forward(const struct rec_pairs *self, const float *query, const float *word,
                       float *act, float *z);
/* From dz [WORD], adds the gradient of the query to dquery [row]. act is overwritten, layer by
 * layer, by the gradients of its numbers; part [row] is scratch. */
void rec_pairs_backward(const struct rec_pairs *self, const float *word, const float *dz,
                        float *act, float *dquery, float *part);

/* The fold-in (pairs_fold.c): its steps, and the scratch it takes. */
void rec_pairs_fold_plan(struct rec_pairs *self);
size_t rec_pairs_fold_floats(const struct rec_pairs *self, uint32_t items);

enum rec_status rec_pairs_open(struct rec_model *model, const struct rec_pairs_spec *spec,
                               struct rec_error *err);
void rec_pairs_close(struct rec_model *model);
bool rec_pairs_query(const struct rec_model *model, const struct rec_history *history, float *query,
                     float *scratch);
/* The query of a user whose embedding [width] is known. scratch as for rec_pairs_query. */
void rec_pairs_query_user(const struct rec_model *model, const float *user, float *query,
                          float *scratch);
void rec_pairs_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                     uint32_t count, float *scores);
/* The cosine of two items' embeddings, both towers side by side. */
void rec_pairs_similar(const struct rec_model *model, uint32_t item, uint32_t first, uint32_t count,
                       float *scores);
/* What open allocates for `items` items. */
double rec_pairs_open_bytes(const struct rec_pairs_spec *spec, double items);

/* ---- the families ---------------------------------------------------------------------------- */

struct rec_pairs_spec rec_ncf_spec(const struct rec_params *params);
struct rec_pairs_spec rec_neuralmf_spec(const struct rec_params *params);

#endif
