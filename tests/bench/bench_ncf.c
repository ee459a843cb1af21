/* What the fold-in of neural-mf and ncf is worth: lists for the users of a protocol by embeddings
 * fitted to their histories, beside lists by the embeddings that training had for them, and what a
 * fold-in takes.
 *
 *   bench_ncf [FAMILY [PROTOCOL [on=validation] [PARAMETER=VALUE ...]]]
 *
 * ml-1m, one thread, early_stop=0 unless set. It judges nothing. Data: RECSYSD_TEST_DATA, or
 * shared/data beside the source tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/pairs.h"
#include "protocols.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"

static const float *trained_users; /* [users x width], while trained_query is asked */
static size_t trained_width;

static void check(enum rec_status st, const struct rec_error *err) {
    if (st == REC_OK)
        return;
    (void)fprintf(stderr, "bench_ncf: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static bool trained_query(const struct rec_model *model, const struct rec_history *history,
                          float *query, float *scratch) {
    rec_pairs_query_user(model, trained_users + history->user * trained_width, query, scratch);
    return true;
}

static void judge(const struct rec_split *split, const struct rec_model *model, const char *what) {
    static const uint32_t k = 10;
    const struct rec_evaluate_options options = {.ks = &k, .k_count = 1};
    struct rec_error err = {.status = REC_OK};
    struct rec_ranking ranking;
    uint64_t start = rec_clock_monotonic_ns();
    check(rec_evaluate(model, split, &options, &ranking, &err), &err);
    double seconds = (double)(rec_clock_monotonic_ns() - start) / 1e9;
    (void)printf("%s: ndcg@10 %.4f, recall@10 %.4f, coverage@10 %.3f; %.0f us a user\n", what,
                 ranking.ndcg, ranking.recall, ranking.coverage,
                 1e6 * seconds / (double)ranking.users);
    (void)fflush(stdout);
}

static void measure(const struct rec_family *family, const struct rec_split *split,
                    const struct rec_params *params) {
    const struct rec_pairs_spec spec =
        family == &rec_ncf_family ? rec_ncf_spec(params) : rec_neuralmf_spec(params);
    const struct rec_fit fit = {.data = split->train, .params = params, .seed = 1};
    struct rec_error err = {.status = REC_OK};
    struct rec_tensors tensors = {.count = 0}, copy = {.count = 0};
    struct rec_family trained = *family;
    struct rec_model *model = NULL;
    float *users = NULL;
    uint32_t items = split->train->items;
    trained.query = trained_query;
    check(rec_pairs_fit(&fit, &spec, &users, &tensors, &err), &err);
    check(rec_tensors_copy(&tensors, &copy, &err), &err);
    check(rec_model_open(family, items, params, &tensors, &model, &err), &err);
    judge(split, model, "folded in");
    rec_model_destroy(&model);
    check(rec_model_open(&trained, items, params, &copy, &model, &err), &err);
    trained_users = users;
    trained_width = spec.width;
    judge(split, model, "trained rows");
    rec_model_destroy(&model);
    rec_alloc_free(users);
}

int main(int argc, char **argv) {
    struct rec_error err = {.status = REC_OK};
    const struct rec_family *family = NULL;
    const struct protocol ml_1m = {argc > 2 ? argv[2] : "last-five", "ml-1m",
                                   REC_FORMAT_MOVIELENS_1M};
    struct rec_split *split = NULL;
    struct rec_params params;
    bool on_validation = argc > 3 && strcmp(argv[3], "on=validation") == 0;
    check(rec_kernels_init(&err), &err);
    check(rec_dense_init(&err), &err);
    check(rec_family_find(rec_families, argc > 1 ? argv[1] : "ncf", &family, &err), &err);
    rec_params_defaults(family->params, family->param_count, &params);
    check(rec_params_set(&params, "early_stop=0", &err), &err);
    for (int i = on_validation ? 4 : 3; i < argc; i++)
        check(rec_params_set(&params, argv[i], &err), &err);
    check(on_validation ? protocol_split_validation(&ml_1m, &split, &err)
                        : protocol_split(&ml_1m, &split, &err),
          &err);
    measure(family, split, &params);
    rec_split_destroy(&split);
    return EXIT_SUCCESS;
}
