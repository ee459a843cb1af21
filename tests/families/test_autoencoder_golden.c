/* Goal: training, fold-in, scores and likeness of dae and mult-vae are what an independent
 * computation in double precision finds (tools/golden_autoencoder.py), for every variant of the
 * kernels.
 *
 * How: an error of a gradient goes through Adam's quotient, which makes of a relative error of the
 * gradient one of the step: 16 steps of at most about .01, with gradients off by some 1e-6 of their
 * size, and for the few that are sums of what nearly cancels by more. Tolerance: 1e-4 of the
 * largest number of a tensor; a wrong term is off by 1e-2. */
#include <math.h>

#include "families/golden.h"
#include "golden_autoencoder.h"
#include "test.h"

struct golden {
    const struct rec_family *family;
    const char *parameters;
    const double *input, *encoder, *decoder, *output, *query, *scores, *cosine, *loss;
    size_t codes;
};

#define GOLDEN(name)                                                                               \
    name##_input, name##_encoder, name##_decoder, name##_output, name##_query, name##_scores,      \
        name##_cosine, name##_loss, COUNT(name##_encoder)

static const struct golden rows[] = {
    {&rec_multvae_family, GOLDEN_PARAMETERS GOLDEN_VAE, GOLDEN(vae)},
    {&rec_dae_family, GOLDEN_PARAMETERS GOLDEN_BCE, GOLDEN(bce)},
    {&rec_dae_family, GOLDEN_PARAMETERS GOLDEN_MULTINOMIAL, GOLDEN(dae)},
};

static const struct golden_world world = {GOLDEN_WORLD, .seed = GOLDEN_SEED};

static void check_golden(const struct golden *golden) {
    const struct golden_row row = {.name = golden->parameters, .of_largest = 1e-4};
    const struct golden_answers answers = {.query = golden->query,
                                           .query_floats = GOLDEN_WIDTH,
                                           .scores = golden->scores,
                                           .similar = golden->cosine};
    double loss;
    struct rec_model *model = golden_fit(&world, golden->family, golden->parameters, &loss);
    golden_check_tensor(&row, model, "input", golden->input, COUNT(vae_input));
    golden_check_tensor(&row, model, "encoder", golden->encoder, golden->codes);
    golden_check_tensor(&row, model, "decoder", golden->decoder, COUNT(vae_decoder));
    golden_check_tensor(&row, model, "output", golden->output, COUNT(vae_output));
    CHECK_ROW(fabs(loss - *golden->loss) <= 1e-5 * *golden->loss, row.name);
    golden_check_answers(&row, &world, model, &answers);
    rec_model_destroy(&model);
}

static void check(void) {
    for (size_t r = 0; r < COUNT(rows); r++)
        check_golden(&rows[r]);
}

int main(void) {
    return golden_main(check);
}
