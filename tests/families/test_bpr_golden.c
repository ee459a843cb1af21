/* Goal: training, fold-in, scores and likeness of the bpr family are what an independent
 * computation in double precision finds (tools/golden_bpr.py), for every variant of the kernels.
 *
 * How: nothing in BPR converges to one answer, so the same steps are taken there with the same
 * random numbers. Each of some 1,500 steps rounds anew; steps shrink differences of rows rather
 * than stretch them, so they add up like a random walk, and 1e-4 of the largest number is far
 * above. A wrong sign, rate or order of draws is off by more than a tenth of it. */
#include <math.h>

#include "families/golden.h"
#include "golden_bpr.h"
#include "test.h"

#define TOLERANCE 1e-4

static const struct golden_world world = {GOLDEN_WORLD, .seed = GOLDEN_SEED};
static const struct golden_row row = {.name = "bpr", .of_largest = TOLERANCE};
static const struct golden_answers answers = {.query = golden_query,
                                              .query_floats = COUNT(golden_query),
                                              .scores = golden_scores,
                                              .similar = golden_cosine};

static void check(void) {
    double loss;
    struct rec_model *model = golden_fit(&world, &rec_bpr_family, GOLDEN_PARAMETERS, &loss);
    assert_true(fabs(loss - golden_loss) <= TOLERANCE);
    golden_check_tensor(&row, model, "item_factors", golden_item_factors,
                        COUNT(golden_item_factors));
    golden_check_answers(&row, &world, model, &answers);
    rec_model_destroy(&model);
}

int main(void) {
    return golden_main(check);
}
