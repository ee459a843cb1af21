/* bench_evaluate: what a full ranking costs. All 6,040 users of ml-1m, lists of 20 out of 3,706
 * items, queries and scoring included; the best of several times. The aim is under one second for
 * factor models on two cores.
 *
 *     bench_evaluate [FAMILY ...]
 *
 * Data: RECSYSD_TEST_DATA, or shared/data beside the source tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocols.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"

enum { TIMES = 5, K = 20 };

static double seconds_since(uint64_t start_ns) {
    return (double)(rec_clock_monotonic_ns() - start_ns) / 1e9;
}

static enum rec_status measure(const struct rec_family *family, const struct rec_split *split,
                               struct rec_pool *pool, struct rec_error *err) {
    static const uint32_t k = K;
    const struct rec_evaluate_options options = {.ks = &k, .k_count = 1, .pool = pool};
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    const struct rec_fit fit = {.data = split->train, .params = &params, .seed = 1, .pool = pool};
    struct rec_model *model = NULL;
    struct rec_ranking ranking = {.k = K};
    double best = 1e9;
    uint64_t start_ns = rec_clock_monotonic_ns();
    enum rec_status st = rec_model_fit(family, &fit, &model, err);
    double fit_s = seconds_since(start_ns);
    for (int i = 0; st == REC_OK && i < TIMES; i++) {
        start_ns = rec_clock_monotonic_ns();
        st = rec_evaluate(model, split, &options, &ranking, err);
        double took_s = seconds_since(start_ns);
        best = took_s < best ? took_s : best;
    }
    if (st == REC_OK)
        (void)printf("%-20s fit %7.2f s   evaluate %6.3f s   %8.0f users/s   ndcg@20 %.4f\n",
                     family->name, fit_s, best, (double)ranking.users / best, ranking.ndcg);
    (void)fflush(stdout);
    rec_model_destroy(&model);
    return st;
}

static enum rec_status run(int count, char **names, struct rec_error *err) {
    const struct protocol ml_1m = {"next-item", "ml-1m", REC_FORMAT_MOVIELENS_1M};
    const struct rec_protocol *preset = NULL;
    const struct rec_family *family = NULL;
    struct rec_split *split = NULL;
    struct rec_pool *pool = NULL;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    enum rec_status st = rec_dense_init(err);
    if (st == REC_OK)
        st = rec_kernels_init(err);
    if (st == REC_OK)
        st = rec_pool_create(cores > 0 ? (size_t)cores : 1, false, &pool, err);
    if (st == REC_OK)
        st = rec_protocol_find(ml_1m.name, &preset, err);
    if (st == REC_OK) {
        struct rec_protocol everybody = *preset;
        everybody.split.test_users_max = 0;
        st = protocol_split_as(&ml_1m, &everybody, false, &split, err);
    }
    if (st == REC_OK)
        (void)printf("%u users, %u items, %ld threads, kernels %s, OpenBLAS %s\n",
                     split->train->users, split->train->items, cores, rec_kernels_name(),
                     rec_dense_corename());
    if (count == 0)
        st = st == REC_OK ? measure(&rec_als_family, split, pool, err) : st;
    for (int i = 0; st == REC_OK && i < count; i++) {
        st = rec_family_find(rec_families, names[i], &family, err);
        if (st == REC_OK)
            st = measure(family, split, pool, err);
    }
    rec_split_destroy(&split);
    rec_pool_destroy(&pool);
    return st;
}

int main(int argc, char **argv) {
    struct rec_error err = {0};
    if (run(argc - 1, argv + 1, &err) == REC_OK)
        return 0;
    (void)fprintf(stderr, "bench_evaluate: %s\n", err.text);
    return 1;
}
