/* Goal: training, scores, shares and likeness of the next-item family are what an independent
 * computation in double precision finds (tools/golden_nextitem.py), for every variant of the
 * kernels: the sums over pairs are the sums over all cuts.
 *
 * How: a matrix in float whose numbers are sums of at most GOLDEN_CUTS terms, solved in float, is
 * off by at most cond(A) (GOLDEN_CUTS + 4 n) u to first order (Higham, theorems 7.2 and 10.4). */
#include <float.h>

#include "families/golden.h"
#include "golden_nextitem.h"
#include "test.h"

enum { N = GOLDEN_SCALES * GOLDEN_USED };

static const struct golden_world world = {GOLDEN_WORLD, .seed = 1};
static const struct golden_answers answers = {
    .scores = golden_scores, .shares = golden_shares, .similar = golden_follows};

static void check(void) {
    const struct golden_row row = {.name = "next-item",
                                   .of_largest = 2.0 * golden_condition * (GOLDEN_CUTS + 4.0 * N) *
                                                 FLT_EPSILON / 2};
    const struct rec_tensor *item = NULL;
    struct rec_model *model = golden_fit(&world, &rec_nextitem_family, GOLDEN_PARAMETERS, NULL);
    assert_int_equal(
        rec_tensors_get(&model->tensors, "item", REC_TENSOR_U32, 1, GOLDEN_USED, &item, NULL),
        REC_OK);
    for (uint32_t i = 0; i < GOLDEN_USED; i++)
        assert_int_equal(((const uint32_t *)item->data)[i], i < GOLDEN_NEVER ? i : i + 1);
    golden_check_tensor(&row, model, "weight", golden_weight, COUNT(golden_weight));
    golden_check_answers(&row, &world, model, &answers);
    rec_model_destroy(&model);
}

int main(void) {
    return golden_main(check);
}
