/* Goal: singular values, scores, shares and likeness of the svd family are those of an exact
 * decomposition in double precision (tools/golden_svd.py), for every variant of the kernels.
 *
 * How: signs and turns of singular vectors are free, so only what does not depend on them is
 * compared. A perturbation E of XᵀX turns the space by at most |E| over the gap below its last
 * eigenvalue; E is what sums over all users round, and 60 iterations leave nothing else. */
#include <float.h>

#include "families/golden.h"
#include "golden_svd.h"
#include "test.h"

static const struct golden_world world = {GOLDEN_WORLD, .seed = 7};

static void check(void) {
    enum { I = GOLDEN_ITEMS, EVENTS = COUNT(golden_history) };
    for (size_t c = 0; c < GOLDEN_CASES; c++) {
        const struct golden_row row = {.name = golden_parameters[c],
                                       .of_largest = GOLDEN_USERS * FLT_EPSILON * golden_condition};
        const struct golden_answers answers = {.scores = golden_scores + c * I,
                                               .shares = golden_shares + c * I * EVENTS,
                                               .similar = golden_cosine + c * I * I};
        struct rec_model *model = golden_fit(&world, &rec_svd_family, row.name, NULL);
        golden_check_tensor(&row, model, "singular_values", golden_values + c * GOLDEN_FACTORS,
                            GOLDEN_FACTORS);
        golden_check_answers(&row, &world, model, &answers);
        rec_model_destroy(&model);
    }
}

int main(void) {
    return golden_main(check);
}
