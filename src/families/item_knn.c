/* item-knn: an item's nearest neighbours are those that the same users have.
 * source: Deshpande and Karypis, "Item-based top-N recommendation algorithms", TOIS 2004; the
 *         asymmetric cosine: Aiolli, "Efficient top-N recommendation for very large scale binary
 *         rated datasets", RecSys 2013, equation 3.
 *
 * With w_i the vector of what item i's users did with it, weighted (knn.h), item i says
 *
 *   s_ij = w_i·w_j / (|w_i|^2a |w_j|^2b + shrinkage)     a from_exponent, b to_exponent
 *
 * about item j: the cosine with a = b = ½, the plain product with a = b = 0. Less than ½ in b
 * prefers popular items. Of each i's numbers the `neighbors` largest are kept. A history is
 * answered with the sum of its items' rows (item_rows.h).
 *
 * similar: the larger of s_ij and s_ji, because either may be among the largest of its row and the
 * other not. */
#include "item_knn.h"

#include <math.h>

#include "item_rows.h"
#include "knn.h"
#include "recency.h"
#include "recsysd/families.h"

static const struct rec_param item_knn_params[] = {
    {"neighbors", REC_PARAM_INT, 1, 20000, true, 200, NULL, "items kept for each item"},
    REC_KNN_WEIGHTING_PARAMS(REC_KNN_TF_IDF, 1.2, 0.75),
    REC_KNN_SHRINKAGE_PARAM(0),
    {"from_exponent", REC_PARAM_FLOAT, 0, 1, false, 0.5, NULL,
     "how far popular items of a history are discounted; 0.5: cosine"},
    {"to_exponent", REC_PARAM_FLOAT, 0, 1, false, 0.5, NULL,
     "how far popular items are discounted as neighbors; 0.5: cosine"},
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range item_knn_tune[] = {
    {.name = "neighbors", .min = 20, .max = 2000, .log_scale = true},
    REC_KNN_TUNE,
    {.name = "from_exponent", .min = 0, .max = 0.8},
    {.name = "to_exponent", .min = 0, .max = 0.8},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

static void item_knn_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                             uint32_t count, float *scores) {
    for (uint32_t j = 0; j < count; j++)
        scores[j] = fmaxf(rec_item_rows_weight(model, item, first + j),
                          rec_item_rows_weight(model, first + j, item));
}

const struct rec_family rec_item_knn_family = {
    .name = "item-knn",
    .help = "items that the same users have: nearest neighbours by cosine, sparse",
    .params = item_knn_params,
    .param_count = sizeof(item_knn_params) / sizeof(item_knn_params[0]),
    .tune = item_knn_tune,
    .ignores_history = false,
    .fit = rec_item_knn_fit,
    .fit_bytes = rec_item_knn_fit_bytes,
    .open = rec_item_rows_open,
    .close = rec_item_rows_close,
    .query = rec_item_rows_query,
    .score = rec_item_rows_score,
    .similar = item_knn_similar,
    .explain = rec_item_rows_explain,
};
