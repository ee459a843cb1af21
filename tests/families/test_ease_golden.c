/* Goal: scores, shares and likeness of the ease family are what an independent computation in
 * double precision finds (tools/golden_ease.py): weighted and binary, with recency, dense and with
 * the largest weights only, for every variant of the kernels.
 *
 * How: the inverse in float is off by at most about n u cond(A) |P|, times the root of the
 * condition number where blocks are inverted (spd.c); the tolerance is that, of the largest number.
 */
#include <float.h>
#include <math.h>

#include "families/golden.h"
#include "golden_ease.h"
#include "test.h"

static const struct golden_world world = {GOLDEN_WORLD, .seed = 1};

static void check(void) {
    for (size_t g = 0; g < COUNT(golden); g++) {
        const struct golden_row row = {.name = golden[g].name,
                                       .of_largest = GOLDEN_ITEMS * FLT_EPSILON *
                                                     pow(golden[g].condition, 1.5)};
        const struct golden_answers answers = {.scores = golden[g].scores,
                                               .shares = golden[g].shares,
                                               .similar = golden[g].likeness,
                                               .others_only = true};
        struct rec_model *model = golden_fit(&world, &rec_ease_family, golden[g].parameters, NULL);
        golden_check_answers(&row, &world, model, &answers);
        rec_model_destroy(&model);
    }
}

int main(void) {
    return rec_dense_init(NULL) == REC_OK ? golden_main(check) : 1;
}
