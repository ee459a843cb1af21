/* Goal: training, fold-in, scores and likeness of dae and mult-vae are what an independent
 * computation in double precision finds (tools/golden_autoencoder.py), for every variant of the
 * kernels.
 *
 * How: an error of a gradient goes through Adam's quotient, which makes of a relative error of the
 * gradient one of the step: 16 steps of at most about .01, with gradients off by some 1e-6 of their
 * size, and for the few that are sums of what nearly cancels by more. Tolerance: 1e-4 of the
 * largest number of a tensor; a wrong term is off by 1e-2. */
#include <math.h>
#include <stdlib.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
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

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 1e-4 * largest))
            fail_msg("%s %s[%zu] is %.9g, expected %.9g", rec_kernels_name(), what, i,
                     (double)got[i], want[i]);
}

static double last_loss;

static void keep_loss(void *context, const char *phase, double fraction, double loss) {
    (void)context;
    (void)phase;
    (void)fraction;
    last_loss = loss;
}

static struct rec_model *fit(const struct golden *golden) {
    static const struct rec_progress progress = {.report = keep_loss};
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(golden->family->params, golden->family->param_count, &params);
    assert_int_equal(rec_params_read(&params, golden->parameters, NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {
        .data = data, .params = &params, .seed = GOLDEN_SEED, .progress = &progress};
    assert_int_equal(rec_model_fit(golden->family, &options, &model, NULL), REC_OK);
    rec_dataset_destroy(&data);
    return model;
}

static const float *tensor(const struct rec_model *model, const char *name) {
    const struct rec_tensor *found = NULL;
    assert_int_equal(rec_tensors_get(&model->tensors, name, REC_TENSOR_F32, 0, 0, &found, NULL),
                     REC_OK);
    return found->data;
}

static void check_golden(const struct golden *golden) {
    enum { ITEMS = GOLDEN_ITEMS, WIDTH = GOLDEN_WIDTH };
    const struct rec_history history = {golden_history, COUNT(golden_history), UINT32_MAX};
    struct rec_model *model = fit(golden);
    float query[WIDTH], scores[ITEMS];
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(float));
    assert_non_null(scratch);
    assert_int_equal(model->query_floats, WIDTH);
    check_close("input", tensor(model, "input"), golden->input, COUNT(vae_input));
    check_close("encoder", tensor(model, "encoder"), golden->encoder, golden->codes);
    check_close("decoder", tensor(model, "decoder"), golden->decoder, COUNT(vae_decoder));
    check_close("output", tensor(model, "output"), golden->output, COUNT(vae_output));
    assert_true(fabs(last_loss - *golden->loss) <= 1e-5 * *golden->loss);

    /* Twice: what the first left in scratch must not be seen. */
    for (int again = 0; again < 2; again++) {
        assert_true(golden->family->query(model, &history, query, scratch));
        check_close("query", query, golden->query, WIDTH);
    }
    golden->family->score(model, query, 1, 0, ITEMS, scores);
    check_close("scores", scores, golden->scores, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++) {
        golden->family->similar(model, i, 0, ITEMS, scores);
        check_close("cosine", scores, golden->cosine + i * ITEMS, ITEMS);
    }
    rec_alloc_free(scratch);
    rec_model_destroy(&model);
}

static void test_golden(void **state) {
    static const char *const variants[] = {"ref", "portable", "avx2", "avx512"};
    (void)state;
    for (size_t i = 0; i < COUNT(variants); i++) {
        assert_int_equal(setenv("REC_KERNELS", variants[i], 1), 0);
        if (rec_kernels_init(NULL) != REC_OK) {
            print_message("skipped: this processor does not run %s\n", variants[i]);
            continue;
        }
        for (size_t r = 0; r < COUNT(rows); r++)
            check_golden(&rows[r]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
