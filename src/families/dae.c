/* dae: denoising autoencoder of a user's row.
 * source: Wu, DuBois, Zheng and Ester, "Collaborative denoising auto-encoders for top-N recommender
 *         systems", 2016 (without its node for the user: a model answers for a history); the
 *         multinomial form is Mult-DAE of Liang et al., "Variational autoencoders for collaborative
 *         filtering", 2018.
 *
 * The network is autoencoder.h's. Training hides a share of each history's items from the encoder
 * and asks for all of them: with z the scores and t the row,
 *
 *   multinomial   -Σ_i t_i log softmax(z)_i
 *   bce           -Σ_{t_i > 0} t_i log σ(z_i) - negative_weight Σ_{t_i = 0} log(1 - σ(z_i))
 *
 * A history is answered by the network: trained users, new users and anonymous sessions alike. A
 * score is no sum over the history, so nothing is explained. similar: the cosine of two items' rows
 * of the last layer. */
#include "autoencoder.h"
#include "earlystop.h"
#include "recency.h"
#include "recsysd/families.h"

static const char *const losses[] = {"multinomial", "bce", NULL};
static const char *const activations[] = {"tanh", "relu", "sigmoid", NULL};

static const struct rec_param dae_params[] = {
    REC_AUTOENCODER_PARAMS(512, 128, 200, 1e-3),
    {"activation", REC_PARAM_CHOICE, 0, 0, false, 0, activations, "of the three inner layers"},
    {"loss", REC_PARAM_CHOICE, 0, 0, false, 0, losses, "see docs/ALGORITHMS.md"},
    {"negative_weight", REC_PARAM_FLOAT, 1e-6, 1, true, 0.01, NULL,
     "loss=bce: what an item weighs that the user has not"},
};
enum { PARAM_COUNT = sizeof(dae_params) / sizeof(dae_params[0]) };

static const struct rec_tune_range dae_tune[] = {
    {.name = "hidden", .min = 200, .max = 1000, .log_scale = true},
    {.name = "code", .min = 32, .max = 400, .log_scale = true},
    {.name = "dropout", .min = 0.2, .max = 0.9},
    {.name = "batch", .min = 50, .max = 1000, .log_scale = true},
    {.name = "learning_rate", .min = 2e-4, .max = 5e-3, .log_scale = true},
    {.name = "regularization", .min = 1e-7, .max = 1e-4, .log_scale = true, .zero = true},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

static struct rec_autoencoder_spec spec_of(const struct rec_params *params) {
    static const enum rec_activation kinds[] = {REC_ACTIVATION_TANH, REC_ACTIVATION_RELU,
                                                REC_ACTIVATION_SIGMOID};
    struct rec_autoencoder_spec spec = {.family = &rec_dae_family};
    rec_autoencoder_read(params, &spec);
    spec.activation = kinds[(size_t)rec_params_get(params, "activation")];
    spec.multinomial = rec_params_get(params, "loss") == 0;
    spec.negative = (float)rec_params_get(params, "negative_weight");
    return spec;
}

static size_t dae_fit_bytes(const struct rec_fit *fit) {
    const struct rec_autoencoder_spec spec = spec_of(fit->params);
    return rec_autoencoder_fit_bytes(fit, &spec);
}

static enum rec_status dae_fit(const struct rec_fit *fit, struct rec_tensors *out,
                               struct rec_error *err) {
    const struct rec_autoencoder_spec spec = spec_of(fit->params);
    return rec_autoencoder_fit(fit, &spec, out, err);
}

static enum rec_status dae_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_autoencoder_spec spec = spec_of(&model->params);
    return rec_autoencoder_open(model, &spec, err);
}

const struct rec_family rec_dae_family = {
    .name = "dae",
    .help = "denoising autoencoder: a network that completes histories of which it sees a part",
    .params = dae_params,
    .param_count = PARAM_COUNT,
    .tune = dae_tune,
    .fit = dae_fit,
    .fit_bytes = dae_fit_bytes,
    .open = dae_open,
    .close = rec_autoencoder_close,
    .query = rec_autoencoder_query,
    .score = rec_autoencoder_score,
    .similar = rec_autoencoder_similar,
};
