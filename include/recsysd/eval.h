/* eval: ranking metrics and the evaluation of a model on a split. */
#ifndef RECSYSD_EVAL_H
#define RECSYSD_EVAL_H

#include "recsysd/base.h"
#include "recsysd/data.h"
#include "recsysd/model.h"

/* Means over tested users (those with a relevant item), at one cut-off k. */
struct rec_ranking {
    uint32_t k;
    double precision, recall, ndcg, map, mrr, hit, coverage, avg_popularity;
    uint64_t users;
};

/* Adds one user's list to the sums. relevant: sorted ascending. */
void rec_ranking_add(struct rec_ranking *sum, const uint32_t *list, size_t list_count,
                     const uint32_t *relevant, size_t relevant_count);
/* Sums become means. coverage and avg_popularity are the evaluation's to set. */
void rec_ranking_finish(struct rec_ranking *sum);
/* {"k": 10, "ndcg": 0.038, ...} */
size_t rec_ranking_write_json(const struct rec_ranking *ranking, char *out, size_t cap);

struct rec_evaluate_options {
    const uint32_t *ks; /* cut-offs, rising */
    size_t k_count;
    bool on_validation; /* judge on split->validation instead of test */
    struct rec_pool *pool;
    const struct rec_progress *progress;
};
/* Full ranking over all items for every tested user, seen ones removed, ties to the lower index;
 * histories from split->history. Users the model has no query for get its popularity order
 * (train counts). rankings [k_count]. */
enum rec_status rec_evaluate(const struct rec_model *model, const struct rec_split *split,
                             const struct rec_evaluate_options *options,
                             struct rec_ranking *rankings, struct rec_error *err);

#endif
