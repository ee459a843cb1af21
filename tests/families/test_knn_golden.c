/* Goal: rows, scores, shares and likeness of item-knn and user-knn are what dense matrices in
 * double precision give (tools/golden_knn.py), for every weighting, with and without shrinkage,
 * exponents and recency.
 *
 * How: every number is a sum of at most `terms` products of floats that are rounded once or twice
 * each, all positive: its relative error is below (terms + a few) half units in the last place. The
 * script has seen to it that no neighbour is chosen by less. */
#include <float.h>
#include <math.h>

#include "families/golden.h"
#include "golden_knn.h"
#include "test.h"

enum {
    I = GOLDEN_ITEMS,
    EVENTS = COUNT(golden_history),
    SQUARE = I * I,
    TERMS = GOLDEN_USERS + EVENTS * I
};

static const struct golden_world world = {GOLDEN_WORLD, .seed = 7};

static struct golden_row row_of(const char *parameters) {
    return (struct golden_row){.name = parameters, .of_each = TERMS * (double)FLT_EPSILON};
}

static void check_item_knn(void) {
    for (size_t g = 0; g < COUNT(golden_item_parameters); g++) {
        const struct golden_row row = row_of(golden_item_parameters[g]);
        const double *rows = golden_item_rows + g * SQUARE;
        double similar[SQUARE];
        for (size_t i = 0; i < I; i++)
            for (size_t j = 0; j < I; j++)
                similar[i * I + j] = fmax(rows[i * I + j], rows[j * I + i]);
        const struct golden_answers answers = {.scores = golden_item_scores + g * I,
                                               .similar = similar};
        struct rec_model *model = golden_fit(&world, &rec_item_knn_family, row.name, NULL);
        golden_check_item_rows(&row, model, rows);
        golden_check_answers(&row, &world, model, &answers);
        rec_model_destroy(&model);
    }
}

static void check_user_knn(void) {
    for (size_t g = 0; g < COUNT(golden_user_parameters); g++) {
        const struct golden_row row = row_of(golden_user_parameters[g]);
        const struct golden_answers answers = {.scores = golden_user_scores + g * I,
                                               .shares = golden_user_shares + g * I * EVENTS,
                                               .similar = golden_user_similar};
        struct rec_model *model = golden_fit(&world, &rec_user_knn_family, row.name, NULL);
        golden_check_answers(&row, &world, model, &answers);
        rec_model_destroy(&model);
    }
}

static void check(void) {
    check_item_knn();
    check_user_knn();
}

int main(void) {
    return golden_main(check);
}
