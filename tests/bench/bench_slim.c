/* How long slim trains on ml-1m, every rating an interaction: the larger of the two ways to read
 * it.
 *
 *   bench_slim [DIRECTORY of ml-1m [PARAMETER=VALUE ...]]
 *
 * Two threads, default parameters. It judges nothing: the bar is 60 s on a quiet machine. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { RUNS = 1, THREADS = 2 };

static void check(enum rec_status st, const struct rec_error *err) {
    if (st == REC_OK)
        return;
    (void)fprintf(stderr, "bench_slim: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static double cpu_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    struct rec_error err = {.status = REC_OK};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    struct rec_pool *pool = NULL;
    struct rec_params params;
    struct rec_read_options read = {.format = REC_FORMAT_MOVIELENS_1M,
                                    .path = argc > 1 ? argv[1] : "../shared/data/ml-1m",
                                    .now = rec_clock_unix_s()};
    rec_weights_defaults(&weights);
    weights.rating_min = 0;
    rec_params_defaults(rec_slim_family.params, rec_slim_family.param_count, &params);
    check(rec_kernels_init(&err), &err);
    check(rec_dense_init(&err), &err);
    for (int i = 2; i < argc; i++)
        check(rec_params_set(&params, argv[i], &err), &err);
    check(rec_dataset_read(&read, &weights, NULL, NULL, &data, &err), &err);
    check(rec_pool_create(THREADS, false, &pool, &err), &err);
    for (int run = 0; run < RUNS; run++) {
        const struct rec_fit fit = {.data = data, .params = &params, .seed = 1, .pool = pool};
        struct rec_model *model = NULL;
        double cpu = cpu_s();
        uint64_t start = rec_clock_monotonic_ns();
        check(rec_model_fit(&rec_slim_family, &fit, &model, &err), &err);
        (void)printf("slim: %.3f s, %.3f s of processor time on %d threads, estimate %.0f MB\n",
                     (double)(rec_clock_monotonic_ns() - start) / 1e9, cpu_s() - cpu, THREADS,
                     (double)rec_slim_family.fit_bytes(&fit) / 1e6);
        (void)fflush(stdout);
        rec_model_destroy(&model);
    }
    rec_pool_destroy(&pool);
    rec_dataset_destroy(&data);
    return EXIT_SUCCESS;
}
