/* slim: sparse linear methods. Every item is explained by a few others.
 * source: Ning and Karypis, "SLIM: sparse linear methods for top-N recommender systems", 2011.
 *
 * X is users x items, sums of weights. Item j has a column w of coefficients, w_j = 0, found by
 * minimising
 *
 *   1/(2n) |x_j - X w|² + alpha l1_ratio |w|_1 + ½ alpha (1 - l1_ratio) |w|²
 *
 * n is the number of users, also of those without any events: alpha and l1_ratio are what
 * scikit-learn's ElasticNet calls so, hence figures compare. With non_negative, w >= 0 as in the
 * paper; without, an item can also speak against another.
 *
 * The model is W in compressed rows (item_rows.h): an event of item i with weight h adds h w_ij to
 * the score of item j. With `recency` h is decayed (recency.h); training knows no order.
 *
 * similar: (w_ij + w_ji) / 2, because the coefficients are not mutual. */
#include "slim.h"

#include "item_rows.h"
#include "recency.h"
#include "recsysd/families.h"

static const struct rec_param slim_params[] = {
    {"alpha", REC_PARAM_FLOAT, 1e-9, 1e6, true, 0.1, NULL,
     "strength of the penalties, per user; more is simpler"},
    {"l1_ratio", REC_PARAM_FLOAT, 0, 1, false, 0.01, NULL,
     "share of the penalty that sets coefficients to zero"},
    {"non_negative", REC_PARAM_BOOL, 0, 1, false, 0, NULL, "no item may speak against another"},
    {"neighbors", REC_PARAM_INT, 1, 20000, true, 500, NULL,
     "candidates an item, chosen before the descent"},
    {"tolerance", REC_PARAM_FLOAT, 1e-9, 1, true, 1e-3, NULL,
     "stop when a sweep changes less, relative to the largest coefficient"},
    {"max_sweeps", REC_PARAM_INT, 1, 100000, true, 100, NULL, "passes over an item's candidates"},
    REC_RECENCY_PARAM,
};

static const struct rec_tune_range slim_tune[] = {
    {.name = "alpha", .min = 1e-3, .max = 10, .log_scale = true},
    {.name = "l1_ratio", .min = 1e-3, .max = 0.5, .log_scale = true},
    {.name = "neighbors", .min = 50, .max = 1000, .log_scale = true},
    {.name = "tolerance"},
    {.name = "max_sweeps"},
    REC_RECENCY_TUNE,
    {.name = NULL},
};

static void slim_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                         uint32_t count, float *scores) {
    for (uint32_t j = 0; j < count; j++)
        scores[j] = 0.5f * (rec_item_rows_weight(model, item, first + j) +
                            rec_item_rows_weight(model, first + j, item));
}

const struct rec_family rec_slim_family = {
    .name = "slim",
    .help = "sparse linear method: each item as a sparse mix of others, elastic net",
    .params = slim_params,
    .param_count = sizeof(slim_params) / sizeof(slim_params[0]),
    .tune = slim_tune,
    .ignores_history = false,
    .fit = rec_slim_fit,
    .fit_bytes = rec_slim_fit_bytes,
    .open = rec_item_rows_open,
    .close = rec_item_rows_close,
    .query = rec_item_rows_query,
    .score = rec_item_rows_score,
    .similar = slim_similar,
    .explain = rec_item_rows_explain,
};
