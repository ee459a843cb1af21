/* Goal: training, fold-in, scores, shares and likeness of the biased-mf family are what an
 * independent computation in double precision finds (tools/golden_biased_mf.py), for both
 * optimizers and every variant of the kernels.
 *
 * How: the same steps are taken there with the same random numbers. Each of some 4,000 steps rounds
 * anew, and Adam divides by the root of small averages: 3e-4 of the largest number is well above
 * what adds up. A wrong sign, rate, correction or term is off by more than a tenth of it. */
#include <math.h>

#include "families/golden.h"
#include "golden_biased_mf.h"
#include "test.h"

#define TOLERANCE 3e-4

static const struct golden_world world = {GOLDEN_WORLD, .seed = GOLDEN_SEED};

static void check(void) {
    enum { I = GOLDEN_ITEMS, WIDTH = GOLDEN_FACTORS + 1, EVENTS = COUNT(golden_history) };
    for (size_t c = 0; c < GOLDEN_CASES; c++) {
        const struct golden_row row = {.name = golden_parameters[c], .of_largest = TOLERANCE};
        const struct golden_answers answers = {.query = golden_query + c * WIDTH,
                                               .query_floats = WIDTH,
                                               .scores = golden_scores + c * I,
                                               .shares = golden_shares + c * I * EVENTS,
                                               .similar = golden_cosine + c * I * I};
        double loss;
        struct rec_model *model = golden_fit(&world, &rec_biased_mf_family, row.name, &loss);
        CHECK_ROW(fabs(loss - golden_loss[c]) <= TOLERANCE, row.name);
        golden_check_tensor(&row, model, "mean", golden_mean + c, 1);
        golden_check_tensor(&row, model, "item_factors", golden_item_factors + c * I * WIDTH,
                            I * WIDTH);
        golden_check_answers(&row, &world, model, &answers);
        rec_model_destroy(&model);
    }
}

int main(void) {
    return golden_main(check);
}
