/* What the autoencoders (dae.c, multvae.c) are: one network of two encoding and two decoding
 * layers, trained in autoencoder_fit.c and asked in autoencoder.c. Inside the room only.
 *
 *   x = h / |h|, h the user's row of weights
 *   a = f(A x + b)          A's rows gathered by the items of the history
 *   c = f(B a + b)          or, variational: mean and log variance B a + b; the mean to answer with
 *   d = f(C c + b)
 *   score = D d + b         one row of D an item: the vectors that are scanned */
#ifndef FAMILIES_AUTOENCODER_H
#define FAMILIES_AUTOENCODER_H

#include "recsysd/model.h"
#include "recsysd/nn.h"

/* Weights beyond this are refused: scores then stay finite in float, whatever the activation. */
#define REC_AUTOENCODER_VALUE_MAX 1e6f
/* What a user does with an item may weigh this much: its square stays far from a float's end. */
#define REC_AUTOENCODER_WEIGHT_MAX 1e12f
enum { REC_AUTOENCODER_WIDTH_MAX = 2048 };

struct rec_autoencoder_spec {
    const struct rec_family *family;
    size_t hidden, code;
    bool variational;
    enum rec_activation activation;
    bool multinomial;
    float negative; /* weight of items without a target, where not multinomial */
    float dropout, rate, decay;
    float beta; /* of the divergence at the end of its annealing */
    size_t anneal_epochs, epochs, batch, patience;
    bool binary; /* weights of the history count as 1 */
    float recency;
};

/* Rows that both parameter tables have. */
/* clang-format off */
#define REC_AUTOENCODER_PARAMS(hidden, code, epochs, rate)                                         \
    {"hidden", REC_PARAM_INT, 1, REC_AUTOENCODER_WIDTH_MAX, true, hidden, NULL,                    \
     "width of the layers next to the items"},                                                     \
    {"code", REC_PARAM_INT, 1, REC_AUTOENCODER_WIDTH_MAX, true, code, NULL,                        \
     "width of the layer in the middle"},                                                          \
    {"dropout", REC_PARAM_FLOAT, 0, 0.95, false, 0.5, NULL,                                        \
     "share of a history's items that is hidden from the encoder while training"},                 \
    {"epochs", REC_PARAM_INT, 1, 10000, false, epochs, NULL, "passes over the users, at most"},    \
    {"batch", REC_PARAM_INT, 1, 8192, true, 250, NULL, "users a step"},                            \
    {"learning_rate", REC_PARAM_FLOAT, 1e-6, 1e6, true, rate, NULL, "Adam's"},                      \
    {"regularization", REC_PARAM_FLOAT, 0, 1, false, 0, NULL, "L2 penalty on all weights"},        \
    {"input", REC_PARAM_CHOICE, 0, 0, false, 0, rec_autoencoder_inputs,                            \
     "weights: what a user did with an item adds up; binary: 1"},                                  \
    REC_RECENCY_PARAM, REC_EARLYSTOP_PARAM(10)
/* clang-format on */
extern const char *const rec_autoencoder_inputs[];

/* Reads the rows above; the rest of the spec is the family's. */
void rec_autoencoder_read(const struct rec_params *params, struct rec_autoencoder_spec *spec);

/* ---- training (autoencoder_fit.c) ---- */
size_t rec_autoencoder_fit_bytes(const struct rec_fit *fit,
                                 const struct rec_autoencoder_spec *spec);
enum rec_status rec_autoencoder_fit(const struct rec_fit *fit,
                                    const struct rec_autoencoder_spec *spec,
                                    struct rec_tensors *out, struct rec_error *err);

/* ---- answering (autoencoder.c) ---- */
enum rec_status rec_autoencoder_open(struct rec_model *model,
                                     const struct rec_autoencoder_spec *spec,
                                     struct rec_error *err);
void rec_autoencoder_close(struct rec_model *model);
bool rec_autoencoder_query(const struct rec_model *model, const struct rec_history *history,
                           float *query, float *scratch);
void rec_autoencoder_score(const struct rec_model *model, const float *queries, size_t n,
                           uint32_t first, uint32_t count, float *scores);
void rec_autoencoder_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                             uint32_t count, float *scores);

#endif
