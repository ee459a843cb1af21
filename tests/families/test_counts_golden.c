/* Goal: popularity that fades, random, personal-popularity and blend compute what an independent
 * computation in double precision finds (tools/golden_counts.py).
 *
 * How: each number is a sum of at most as many terms as there are rows, a few products and a
 * function of libm, so the tolerance is that many roundings of a float. */
#include <float.h>

#include "families/golden.h"
#include "golden_counts.h"
#include "test.h"

static const struct golden_world world = {
    .rows = golden_rows,
    .row_count = COUNT(golden_rows),
    .users = GOLDEN_USERS,
    .items = GOLDEN_ITEMS,
    .seed = GOLDEN_SEED,
    .history = {golden_history, COUNT(golden_history), GOLDEN_LOT_USER},
};

static const struct {
    const char *name;
    const struct rec_family *family;
    const char *settings;
    struct golden_answers answers;
} cases[] = {
    {"popularity", &rec_popularity_family, "", {.scores = golden_popularity}},
    {"popularity that fades", &rec_popularity_family, GOLDEN_HALF_LIFE, {.scores = golden_decayed}},
    {"random", &rec_random_family, "", {.scores = golden_uniform}},
    {"random by popularity", &rec_random_family, "by=popularity", {.scores = golden_by_popularity}},
    {"personal-popularity",
     &rec_personal_popularity_family,
     GOLDEN_RECENCY,
     {.scores = golden_personal, .shares = golden_personal_shares}},
    {"blend", &rec_blend_family, GOLDEN_BLEND, {.scores = golden_blend}},
    {"blend, a product",
     &rec_blend_family,
     GOLDEN_PRODUCT,
     {.scores = golden_product, .shares = golden_product_shares}},
};

static void check(void) {
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct golden_row row = {
            .name = cases[i].name, .of_each = 64 * FLT_EPSILON, .always = 64e-3 * FLT_EPSILON};
        struct rec_model *model = golden_fit(&world, cases[i].family, cases[i].settings, NULL);
        golden_check_answers(&row, &world, model, &cases[i].answers);
        rec_model_destroy(&model);
    }
}

int main(void) {
    return golden_main(check);
}
