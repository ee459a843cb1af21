/* Goal: training, fold-in, scores, shares and likeness of the als family are what an independent
 * computation in double precision finds (tools/golden_als.py), for every variant of the kernels.
 *
 * How: a solve in float by Cholesky is off by at most cond(A) g(4n) |x| to first order (Higham,
 * theorem 10.4), and each half step of the training starts from the one before. The tolerance
 * multiplies that out with the worst condition number the double computation met. A block's system
 * is part of the whole one, so no worse. */
#include <float.h>
#include <math.h>

#include "families/golden.h"
#include "golden_als.h"
#include "test.h"

static const struct golden_world world = {GOLDEN_WORLD, .seed = GOLDEN_SEED};

static double tolerance(const struct golden_case *golden) {
    double ku = 4.0 * GOLDEN_FACTORS * FLT_EPSILON / 2;
    return 2.0 * GOLDEN_ITERATIONS * golden->condition * ku / (1 - ku);
}

static void check_gramian(const struct golden_row *row, const struct rec_model *model,
                          const double *want) {
    const struct rec_tensor *gramian = NULL;
    assert_int_equal(rec_tensors_get(&model->tensors, "gramian", REC_TENSOR_F32, GOLDEN_FACTORS,
                                     GOLDEN_FACTORS, &gramian, NULL),
                     REC_OK);
    for (size_t i = 0; i < GOLDEN_FACTORS; i++) /* the lower triangle is stored */
        golden_check(row, "gramian row", (const float *)gramian->data + i * GOLDEN_FACTORS,
                     want + i * GOLDEN_FACTORS, i + 1);
}

static void check(void) {
    for (size_t c = 0; c < COUNT(golden_cases); c++) {
        const struct golden_case *golden = &golden_cases[c];
        const struct golden_row row = {.name = golden->name, .of_largest = tolerance(golden)};
        const struct golden_answers answers = {.query = golden->query,
                                               .query_floats = GOLDEN_FACTORS,
                                               .scores = golden->scores,
                                               .shares = golden->shares,
                                               .similar = golden->cosine};
        double loss;
        struct rec_model *model = golden_fit(&world, &rec_als_family, golden->parameters, &loss);
        golden_check_tensor(&row, model, "item_factors", golden->item_factors,
                            COUNT(golden->item_factors));
        check_gramian(&row, model, golden->gramian);
        CHECK_ROW(fabs(loss - golden->loss) <= row.of_largest * golden->loss, row.name);
        golden_check_answers(&row, &world, model, &answers);
        rec_model_destroy(&model);
    }
}

int main(void) {
    return golden_main(check);
}
