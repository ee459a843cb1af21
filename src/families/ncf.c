/* ncf: neural collaborative filtering, two towers joined ("NeuMF").
 * source: He, Liao, Zhang, Nie, Hu and Chua, "Neural collaborative filtering", WWW 2017, section
 *         3.4: generalised matrix factorisation beside layers, each with embeddings of its own
 *         (equation 12). Pairs of items: Rendle et al., "BPR: Bayesian personalized ranking from
 *         implicit feedback", UAI 2009.
 *
 *   g = p ∘ q                                 p, q: the tower of products
 *   x1 = relu(W1 (u, v) + b1)   x2 = relu(W2 x1 + b2)   ...     u, v: the tower of layers
 *   score = w (x, g) + b
 *
 *   loss=bce   Σ over pairs (user, item done) -log σ(s) + Σ over its negatives -log σ(-s)
 *   loss=bpr   Σ over pairs, Σ over its negatives, -log σ(s - s_negative)
 *
 * See pairs.h, pairs_step.c for the training and pairs.c for how a history is answered. A score is
 * no sum over the history, so nothing is explained. similar: the cosine of two items' embeddings,
 * both towers side by side. */
#include "earlystop.h"
#include "pairs.h"
#include "recency.h"
#include "recsysd/families.h"

static const char *const losses[] = {"bce", "bpr", NULL};

static const struct rec_param ncf_params[] = {
    {"hidden1", REC_PARAM_INT, 1, REC_PAIRS_HIDDEN_MAX, true, 16, NULL,
     "width of the layer over both embeddings"},
    {"hidden2", REC_PARAM_INT, 0, REC_PAIRS_HIDDEN_MAX, false, 8, NULL,
     "width of the layer above it; 0: there is none, nor a third"},
    {"hidden3", REC_PARAM_INT, 0, REC_PAIRS_HIDDEN_MAX, false, 0, NULL,
     "width of the layer above that; 0: there is none"},
    {"loss", REC_PARAM_CHOICE, 0, 0, false, 0, losses,
     "bce: each item is done or not; bpr: what is done ranks before what is not"},
    REC_PAIRS_PARAMS(8, 30, 0.4),
};
enum { PARAM_COUNT = sizeof(ncf_params) / sizeof(ncf_params[0]) };

static const struct rec_tune_range ncf_tune[] = {
    {.name = "hidden1", .min = 8, .max = 128, .log_scale = true},
    {.name = "hidden2", .min = 4, .max = 64, .log_scale = true},
    {.name = "factors", .min = 8, .max = 128, .log_scale = true},
    {.name = "dropout", .min = 0, .max = 0.6},
    {.name = "negatives", .min = 1, .max = 10},
    {.name = "batch", .min = 256, .max = 4096, .log_scale = true},
    {.name = "learning_rate", .min = 2e-4, .max = 5e-3, .log_scale = true},
    {.name = "regularization", .min = 1e-7, .max = 1e-4, .log_scale = true, .zero = true},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

struct rec_pairs_spec rec_ncf_spec(const struct rec_params *params) {
    struct rec_pairs_spec spec = {.family = &rec_ncf_family, .product = 1, .layers = 1};
    spec.hidden[0] = (size_t)rec_params_get(params, "hidden1");
    spec.hidden[1] = (size_t)rec_params_get(params, "hidden2");
    spec.hidden[2] = (size_t)rec_params_get(params, "hidden3");
    while (spec.layers < REC_PAIRS_LAYERS_MAX && spec.hidden[spec.layers] > 0)
        spec.layers++;
    spec.bpr = rec_params_get(params, "loss") == 1;
    rec_pairs_read(params, &spec);
    return spec;
}

static size_t ncf_fit_bytes(const struct rec_fit *fit) {
    const struct rec_pairs_spec spec = rec_ncf_spec(fit->params);
    return rec_pairs_fit_bytes(fit, &spec);
}

static enum rec_status ncf_fit(const struct rec_fit *fit, struct rec_tensors *out,
                               struct rec_error *err) {
    const struct rec_pairs_spec spec = rec_ncf_spec(fit->params);
    return rec_pairs_fit(fit, &spec, NULL, out, err);
}

static enum rec_status ncf_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_pairs_spec spec = rec_ncf_spec(&model->params);
    return rec_pairs_open(model, &spec, err);
}

const struct rec_family rec_ncf_family = {
    .name = "ncf",
    .help = "neural collaborative filtering: products of embeddings beside a network over them",
    .params = ncf_params,
    .param_count = PARAM_COUNT,
    .tune = ncf_tune,
    .fit = ncf_fit,
    .fit_bytes = ncf_fit_bytes,
    .open = ncf_open,
    .close = rec_pairs_close,
    .query = rec_pairs_query,
    .score = rec_pairs_score,
    .similar = rec_pairs_similar,
};
