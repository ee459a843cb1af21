/* neural-mf: a network over the embeddings of a user and an item.
 * source: He, Liao, Zhang, Nie, Hu and Chua, "Neural collaborative filtering", WWW 2017, section
 *         3.3 (its tower of layers alone).
 *
 *   x1 = relu(W1 (u, v) + b1)     x2 = relu(W2 x1 + b2), where there is a second layer
 *   score = w x + b
 *
 * Binary cross-entropy of σ(score), 1 for what a user has done and 0 for `negatives` items a time
 * that they have not; see pairs.h, pairs_step.c for the training and pairs.c for how a history is
 * answered. A score is no sum over the history, so nothing is explained. similar: the cosine of two
 * items' embeddings. */
#include "earlystop.h"
#include "pairs.h"
#include "recency.h"
#include "recsysd/families.h"

static const struct rec_param neuralmf_params[] = {
    {"hidden", REC_PARAM_INT, 1, REC_PAIRS_HIDDEN_MAX, true, 128, NULL,
     "width of the layer over both embeddings"},
    {"hidden2", REC_PARAM_INT, 0, REC_PAIRS_HIDDEN_MAX, false, 0, NULL,
     "width of a layer above it; 0: there is none"},
    REC_PAIRS_PARAMS(64, 30, 0.2),
};
enum { PARAM_COUNT = sizeof(neuralmf_params) / sizeof(neuralmf_params[0]) };

static const struct rec_tune_range neuralmf_tune[] = {
    {.name = "hidden", .min = 32, .max = 256, .log_scale = true},
    {.name = "factors", .min = 16, .max = 128, .log_scale = true},
    {.name = "dropout", .min = 0, .max = 0.6},
    {.name = "negatives", .min = 1, .max = 10},
    {.name = "batch", .min = 256, .max = 4096, .log_scale = true},
    {.name = "learning_rate", .min = 2e-4, .max = 5e-3, .log_scale = true},
    {.name = "regularization", .min = 1e-7, .max = 1e-4, .log_scale = true, .zero = true},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

struct rec_pairs_spec rec_neuralmf_spec(const struct rec_params *params) {
    struct rec_pairs_spec spec = {.family = &rec_neuralmf_family, .layers = 1};
    spec.hidden[0] = (size_t)rec_params_get(params, "hidden");
    spec.hidden[1] = (size_t)rec_params_get(params, "hidden2");
    spec.layers += spec.hidden[1] > 0;
    rec_pairs_read(params, &spec);
    return spec;
}

static size_t neuralmf_fit_bytes(const struct rec_fit *fit) {
    const struct rec_pairs_spec spec = rec_neuralmf_spec(fit->params);
    return rec_pairs_fit_bytes(fit, &spec);
}

static enum rec_status neuralmf_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                    struct rec_error *err) {
    const struct rec_pairs_spec spec = rec_neuralmf_spec(fit->params);
    return rec_pairs_fit(fit, &spec, NULL, out, err);
}

static enum rec_status neuralmf_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_pairs_spec spec = rec_neuralmf_spec(&model->params);
    return rec_pairs_open(model, &spec, err);
}

const struct rec_family rec_neuralmf_family = {
    .name = "neural-mf",
    .help = "embeddings of users and items under a network that learns how they match",
    .params = neuralmf_params,
    .param_count = PARAM_COUNT,
    .tune = neuralmf_tune,
    .fit = neuralmf_fit,
    .fit_bytes = neuralmf_fit_bytes,
    .open = neuralmf_open,
    .close = rec_pairs_close,
    .query = rec_pairs_query,
    .score = rec_pairs_score,
    .similar = rec_pairs_similar,
};
