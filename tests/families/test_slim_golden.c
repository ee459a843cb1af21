/* Goal: coefficients, scores, shares and likeness of the slim family are what an independent
 * computation in double precision finds (tools/golden_slim.py; it agrees with scikit-learn), for
 * every variant of the kernels.
 *
 * How: the ridge makes the objective strongly convex, so an error in a gradient moves the minimum
 * by at most condition / |G| of it. A gradient in float, and one at which the sweeps stop, are off
 * by a few FLT_EPSILON for each candidate. */
#include <float.h>
#include <stdio.h>

#include "families/golden.h"
#include "golden_slim.h"
#include "test.h"

enum { I = GOLDEN_ITEMS, SQUARE = I * I, EVENTS = COUNT(golden_history) };

static const struct golden_world world = {GOLDEN_WORLD, .seed = 7};

static void check(void) {
    for (size_t c = 0; c < GOLDEN_CASES; c++) {
        const struct golden_row row = {.name = golden_parameters[c],
                                       .of_largest = 4.0 * I * FLT_EPSILON * golden_condition};
        const struct golden_answers answers = {.scores = golden_scores + c * I,
                                               .shares = golden_shares + c * I * EVENTS,
                                               .similar = golden_similar + c * SQUARE};
        char parameters[200];
        snprintf(parameters, sizeof(parameters), "%s tolerance=1e-6 max_sweeps=10000", row.name);
        struct rec_model *model = golden_fit(&world, &rec_slim_family, parameters, NULL);
        golden_check_item_rows(&row, model, golden_coefficients + c * SQUARE);
        golden_check_answers(&row, &world, model, &answers);
        rec_model_destroy(&model);
    }
}

int main(void) {
    return golden_main(check);
}
