/* mult-vae: variational autoencoder with multinomial likelihood.
 * source: Liang, Krishnan, Hoffman and Jebara, "Variational autoencoders for collaborative
 *         filtering", 2018.
 *
 * The network is autoencoder.h's, with tanh. The encoder gives a Gaussian q(c | x) = N(m, e^l);
 * training draws c from it, with a share of the history's items hidden from the encoder, and
 * minimises (equation 7), averaged over users,
 *
 *   -Σ_i t_i log softmax(z)_i + β KL(q(c | x), N(0, 1)),   KL = ½ Σ (m² + e^l - 1 - l)
 *
 * with β rising from 0 over the first epochs: at full weight from the start, the divergence would
 * shut the code off before the decoder learned to use it. Answers use m, the mean. A score is no
 * sum over the history, so nothing is explained. similar: the cosine of two items' rows of the last
 * layer. */
#include "autoencoder.h"
#include "earlystop.h"
#include "recency.h"
#include "recsysd/families.h"

static const struct rec_param multvae_params[] = {
    REC_AUTOENCODER_PARAMS(600, 200, 200, 1e-3),
    {"beta", REC_PARAM_FLOAT, 0, 10, false, 0.2, NULL, "weight of the divergence"},
    {"anneal_epochs", REC_PARAM_INT, 0, 10000, false, 100, NULL,
     "epochs over which beta rises to its weight"},
};
enum { PARAM_COUNT = sizeof(multvae_params) / sizeof(multvae_params[0]) };

static const struct rec_tune_range multvae_tune[] = {
    {.name = "hidden", .min = 200, .max = 1000, .log_scale = true},
    {.name = "code", .min = 32, .max = 400, .log_scale = true},
    {.name = "dropout", .min = 0.2, .max = 0.9},
    {.name = "batch", .min = 50, .max = 1000, .log_scale = true},
    {.name = "learning_rate", .min = 2e-4, .max = 5e-3, .log_scale = true},
    {.name = "regularization", .min = 1e-7, .max = 1e-4, .log_scale = true, .zero = true},
    {.name = "beta", .min = 0.02, .max = 1, .log_scale = true, .zero = true},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

static struct rec_autoencoder_spec spec_of(const struct rec_params *params) {
    struct rec_autoencoder_spec spec = {.family = &rec_multvae_family,
                                        .variational = true,
                                        .activation = REC_ACTIVATION_TANH,
                                        .multinomial = true};
    rec_autoencoder_read(params, &spec);
    spec.beta = (float)rec_params_get(params, "beta");
    spec.anneal_epochs = (size_t)rec_params_get(params, "anneal_epochs");
    return spec;
}

static size_t multvae_fit_bytes(const struct rec_fit *fit) {
    const struct rec_autoencoder_spec spec = spec_of(fit->params);
    return rec_autoencoder_fit_bytes(fit, &spec);
}

static enum rec_status multvae_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                   struct rec_error *err) {
    const struct rec_autoencoder_spec spec = spec_of(fit->params);
    return rec_autoencoder_fit(fit, &spec, out, err);
}

static enum rec_status multvae_open(struct rec_model *model, struct rec_error *err) {
    const struct rec_autoencoder_spec spec = spec_of(&model->params);
    return rec_autoencoder_open(model, &spec, err);
}

const struct rec_family rec_multvae_family = {
    .name = "mult-vae",
    .help = "variational autoencoder with multinomial likelihood: completes histories",
    .params = multvae_params,
    .param_count = PARAM_COUNT,
    .tune = multvae_tune,
    .fit = multvae_fit,
    .fit_bytes = multvae_fit_bytes,
    .open = multvae_open,
    .close = rec_autoencoder_close,
    .query = rec_autoencoder_query,
    .score = rec_autoencoder_score,
    .similar = rec_autoencoder_similar,
};
