/* quality: how good the lists are. Runs the protocols last-out and last-five for the families and
 * prints one table beside the figures to reach, which are published for these protocols or were
 * measured with other implementations.
 *
 *     quality [-t THREADS] [-s SEEDS] [PROTOCOL [FAMILY [PARAMETER=VALUE ...]]]
 *
 * Popular lists are full of ties, and on last-out NDCG@10 depends on them: .0216 with ties to the
 * lower item id, as here; .0214 in the order numpy's argpartition gives; .0219 published. Splits
 * and metrics do not differ: the test eval/protocols compares lists without ties to 1e-6.
 *
 * Data: RECSYSD_TEST_DATA, or shared/data beside the source tree. It judges nothing: means and
 * standard deviations over the seeds are for a reader. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocols.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"

enum { SEEDS_MAX = 20, PARAMETERS_MAX = 4 };

/* The runs whose figures are known. Other families run with their defaults. */
static const struct known {
    const char *protocol, *family;
    const char *parameters[PARAMETERS_MAX];
    const char *reach;
} known_runs[] = {
    {"last-out", "popularity", {NULL}, "NDCG@10 .0219"},
    {"last-out",
     "als",
     {"factors=64", "regularization=0.01", "iterations=30"},
     "NDCG@10 .0381, recall@20 .135"},
    {"last-five", "popularity", {NULL}, "recall@10 .0528"},
    {"last-five", "als", {"factors=64", "regularization=0.01", "iterations=20"}, "NDCG@10 .0698"},
};

struct run {
    const struct protocol *protocol;
    const struct rec_split *split;
    const struct rec_family *family;
    struct rec_params params;
    const char *reach;
    size_t seeds;
    struct rec_pool *pool;
};

struct spread {
    double mean, deviation;
};

static struct spread spread_of(const double *values, size_t count) {
    struct spread spread = {0, 0};
    for (size_t i = 0; i < count; i++)
        spread.mean += values[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        spread.deviation += (values[i] - spread.mean) * (values[i] - spread.mean);
    spread.deviation = count < 2 ? 0.0 : sqrt(spread.deviation / (double)(count - 1));
    return spread;
}

static enum rec_status run_once(const struct run *run, uint64_t seed, struct rec_ranking *at,
                                double *fit_s, struct rec_error *err) {
    static const uint32_t ks[] = {10, 20};
    const struct rec_fit fit = {
        .data = run->split->train, .params = &run->params, .seed = seed, .pool = run->pool};
    const struct rec_evaluate_options options = {.ks = ks, .k_count = 2, .pool = run->pool};
    struct rec_model *model = NULL;
    uint64_t start_ns = rec_clock_monotonic_ns();
    enum rec_status st = rec_model_fit(run->family, &fit, &model, err);
    *fit_s = (double)(rec_clock_monotonic_ns() - start_ns) / 1e9;
    if (st == REC_OK)
        st = rec_evaluate(model, run->split, &options, at, err);
    rec_model_destroy(&model);
    return st;
}

static enum rec_status run_seeds(const struct run *run, struct rec_error *err) {
    double ndcg[SEEDS_MAX], recall[SEEDS_MAX], recall20[SEEDS_MAX], fit_s = 0.0;
    struct rec_ranking at[2];
    for (size_t s = 0; s < run->seeds; s++) {
        double seconds;
        enum rec_status st = run_once(run, s + 1, at, &seconds, err);
        if (st != REC_OK)
            return st;
        ndcg[s] = at[0].ndcg;
        recall[s] = at[0].recall;
        recall20[s] = at[1].recall;
        fit_s += seconds / (double)run->seeds;
    }
    struct spread n = spread_of(ndcg, run->seeds), r = spread_of(recall, run->seeds),
                  r20 = spread_of(recall20, run->seeds);
    char parameters[512];
    (void)rec_params_write(&run->params, parameters, sizeof(parameters));
    (void)printf(
        "%-9s  %-12s  %.4f ±%.4f  %.4f ±%.4f  %.4f ±%.4f  %8.4f  %6llu  %6.2f  %-30s  %s\n",
        run->protocol->name, run->family->name, n.mean, n.deviation, r.mean, r.deviation, r20.mean,
        r20.deviation, at[0].coverage, (unsigned long long)at[0].users, fit_s, run->reach,
        parameters);
    (void)fflush(stdout);
    return REC_OK;
}

/* Parameters: those given, else those of the known run, else the defaults. */
static enum rec_status set_parameters(struct run *run, char **given, struct rec_error *err) {
    enum rec_status st = REC_OK;
    rec_params_defaults(run->family->params, run->family->param_count, &run->params);
    run->reach = "";
    for (size_t k = 0; k < sizeof(known_runs) / sizeof(known_runs[0]); k++) {
        const struct known *known = &known_runs[k];
        if (strcmp(known->protocol, run->protocol->name) != 0 ||
            strcmp(known->family, run->family->name) != 0)
            continue;
        run->reach = known->reach;
        for (size_t p = 0; st == REC_OK && *given == NULL && known->parameters[p] != NULL; p++)
            st = rec_params_set(&run->params, known->parameters[p], err);
    }
    for (; st == REC_OK && *given != NULL; given++)
        st = rec_params_set(&run->params, *given, err);
    return st;
}

static enum rec_status run_protocol(const struct protocol *protocol, const char *family,
                                    char **parameters, size_t seeds, struct rec_pool *pool,
                                    struct rec_error *err) {
    struct rec_split *split = NULL;
    enum rec_status st = protocol_split(protocol, &split, err);
    for (size_t f = 0; st == REC_OK && rec_families[f] != NULL; f++) {
        if (family != NULL && strcmp(family, rec_families[f]->name) != 0)
            continue;
        struct run run = {.protocol = protocol,
                          .split = split,
                          .family = rec_families[f],
                          .seeds = seeds,
                          .pool = pool};
        st = set_parameters(&run, parameters, err);
        if (st == REC_OK)
            st = run_seeds(&run, err);
    }
    rec_split_destroy(&split);
    return st;
}

static enum rec_status run_all(char **arguments, size_t threads, size_t seeds,
                               struct rec_error *err) {
    const char *protocol = arguments[0];
    const char *family = protocol == NULL ? NULL : arguments[1];
    char *none[] = {NULL};
    const struct rec_family *known_family;
    struct rec_pool *pool = NULL;
    size_t found = 0;
    enum rec_status st = rec_dense_init(err);
    if (st == REC_OK)
        st = rec_kernels_init(err);
    if (st == REC_OK && family != NULL)
        st = rec_family_find(rec_families, family, &known_family, err);
    if (st == REC_OK)
        st = rec_pool_create(threads, false, &pool, err);
    if (st == REC_OK)
        (void)printf("%-9s  %-12s  %-14s  %-14s  %-14s  %8s  %6s  %6s  %-30s  %s\n", "protocol",
                     "family", "NDCG@10", "recall@10", "recall@20", "cover@10", "users", "fit s",
                     "to reach", "parameters");
    for (size_t p = 0; st == REC_OK && p < protocol_count; p++) {
        if (protocol != NULL && strcmp(protocol, protocols[p].name) != 0)
            continue;
        found++;
        st = run_protocol(&protocols[p], family, family == NULL ? none : arguments + 2, seeds, pool,
                          err);
    }
    if (st == REC_OK && found == 0)
        st = rec_error_set(err, REC_BAD_INPUT, "'%s' is none of last-out, last-five", protocol);
    rec_pool_destroy(&pool);
    return st;
}

int main(int argc, char **argv) {
    int64_t threads = 2, seeds = 3;
    struct rec_error err = {0};
    enum rec_status st = REC_OK;
    for (int option; st == REC_OK && (option = getopt(argc, argv, "t:s:")) != -1;) {
        if (option == 't')
            st = rec_text_i64("-t", optarg, 1, REC_THREADS_MAX, &threads, &err);
        else if (option == 's')
            st = rec_text_i64("-s", optarg, 1, SEEDS_MAX, &seeds, &err);
        else
            st = rec_error_set(&err, REC_BAD_INPUT,
                               "usage: quality [-t THREADS] [-s SEEDS] [PROTOCOL [FAMILY "
                               "[PARAMETER=VALUE ...]]]");
    }
    if (st == REC_OK)
        st = run_all(argv + optind, (size_t)threads, (size_t)seeds, &err);
    if (st == REC_OK)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "quality: %s\n", err.text);
    return st == REC_NOT_FOUND ? 77 : EXIT_FAILURE;
}
