/* How long EASE trains on ml-latest-small (9,724 items), beside a limit of the same machine in the
 * same run, over the same pool: the time that tiles of one-thread cblas_sgemm need for items³
 * floating-point operations, which is what a Cholesky factor (a third) and the inverse from it (two
 * thirds) cost. And how much memory it takes, beside the estimate that the cap is held against.
 *
 *   bench_ease [DIRECTORY of ml-latest-small] [threads=2] [runs=3]
 *
 * The ratio is taken within a run, of wall time, and of processor time for machines that are not
 * quiet. The goal is at most 1.5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { RUNS_MAX = 20, TILE = 512, WORKERS = 64 };

struct moment {
    double wall_s, processor_s;
};

static void fail(const struct rec_error *err) {
    (void)fprintf(stderr, "bench_ease: %s\n", err->text);
    exit(1);
}

static struct moment now(void) {
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (struct moment){(double)rec_clock_monotonic_ns() / 1e9,
                           (double)t.tv_sec + (double)t.tv_nsec / 1e9};
}

static struct moment since(struct moment start) {
    struct moment end = now();
    return (struct moment){end.wall_s - start.wall_s, end.processor_s - start.processor_s};
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n) {
    qsort(x, n, sizeof(*x), by_value);
    return x[n / 2];
}

/* ---- the limit ----------------------------------------------------------------- */

struct tiles {
    float *A, *B, *C; /* [WORKERS] tiles of TILE x TILE each */
};

static void tile_task(void *context, size_t task, size_t worker) {
    struct tiles *t = context;
    size_t at = worker * TILE * TILE;
    (void)task;
    rec_dense_gemm(false, true, TILE, TILE, TILE, -1.0f, t->A + at, TILE, t->B + at, TILE, 1.0f,
                   t->C + at, TILE);
}

static void make_tiles(struct tiles *t, size_t threads) {
    size_t count = threads * TILE * TILE;
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    t->A = rec_alloc_array(count, sizeof(float));
    t->B = rec_alloc_array(count, sizeof(float));
    t->C = rec_alloc_array(count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        t->A[i] = rec_rng_normal(&rng);
        t->B[i] = rec_rng_normal(&rng);
    }
}

/* Seconds for `flops` operations, from as many whole tiles as come nearest. */
static struct moment limit(struct tiles *t, double flops, struct rec_pool *pool) {
    double each = 2.0 * TILE * TILE * TILE;
    size_t tasks = (size_t)(flops / each + 0.5);
    struct moment start = now();
    rec_pool_run(pool, tasks, tile_task, t);
    struct moment took = since(start);
    double part = flops / (each * (double)tasks);
    return (struct moment){took.wall_s * part, took.processor_s * part};
}

/* ---- the comparison ---------------------------------------------------------------- */

static double peak_mb(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024.0 : 0.0;
}

static struct moment train(const struct rec_fit *fit) {
    struct rec_model *model = NULL;
    struct rec_error err = {0};
    struct moment start = now();
    if (rec_model_fit(&rec_ease_family, fit, &model, &err) != REC_OK)
        fail(&err);
    struct moment took = since(start);
    rec_model_destroy(&model);
    return took;
}

static void compare(const struct rec_dataset *data, size_t threads, size_t runs) {
    struct rec_params params;
    struct rec_pool *pool = NULL;
    struct rec_error err = {0};
    struct tiles tiles;
    double wall[RUNS_MAX], processor[RUNS_MAX], fit_s[RUNS_MAX], limit_s[RUNS_MAX];
    double n = (double)data->items, flops = n * n * n;
    rec_params_defaults(rec_ease_family.params, rec_ease_family.param_count, &params);
    if (rec_pool_create(threads, false, &pool, &err) != REC_OK)
        fail(&err);
    make_tiles(&tiles, threads);
    struct rec_fit fit = {.data = data, .params = &params, .seed = 1, .pool = pool};
    double before_mb = peak_mb(), estimate_mb = (double)rec_ease_family.fit_bytes(&fit) / 1048576;
    for (size_t r = 0; r < runs; r++) {
        struct moment best = limit(&tiles, flops, pool), took = train(&fit);
        limit_s[r] = best.wall_s;
        fit_s[r] = took.wall_s;
        wall[r] = took.wall_s / best.wall_s;
        processor[r] = took.processor_s / best.processor_s;
    }
    double used_mb = peak_mb() - before_mb, limit_median_s = median(limit_s, runs);
    (void)printf("limit: %.2f s, %.1f GFLOP/s; fit: %.2f s; ratio %.2f of wall time, %.2f of "
                 "processor time\n",
                 limit_median_s, flops / limit_median_s / 1e9, median(fit_s, runs),
                 median(wall, runs), median(processor, runs));
    (void)printf("memory: estimated %.0f MB, taken %.0f MB, ratio %.2f\n", estimate_mb, used_mb,
                 used_mb / estimate_mb);
    rec_alloc_free(tiles.A);
    rec_alloc_free(tiles.B);
    rec_alloc_free(tiles.C);
    rec_pool_destroy(&pool);
}

int main(int argc, char **argv) {
    const char *path = "../shared/data/ml-latest-small";
    int64_t threads = 2, runs = 3;
    struct rec_error err = {0};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    enum rec_status st = REC_OK;
    for (int i = 1; i < argc && st == REC_OK; i++) {
        if (strncmp(argv[i], "threads=", 8) == 0)
            st = rec_text_i64("threads", argv[i] + 8, 1, WORKERS, &threads, &err);
        else if (strncmp(argv[i], "runs=", 5) == 0)
            st = rec_text_i64("runs", argv[i] + 5, 1, RUNS_MAX, &runs, &err);
        else
            path = argv[i];
    }
    struct rec_read_options read = {
        .format = REC_FORMAT_MOVIELENS, .path = path, .now = rec_clock_unix_s()};
    rec_weights_defaults(&weights);
    if (st != REC_OK || rec_dense_init(&err) != REC_OK || rec_kernels_init(&err) != REC_OK ||
        rec_dataset_read(&read, &weights, NULL, NULL, &data, &err) != REC_OK)
        fail(&err);
    (void)printf("%u users, %u items; %lld threads; OpenBLAS core %s; medians of %lld\n",
                 data->users, data->items, (long long)threads, rec_dense_corename(),
                 (long long)runs);
    compare(data, (size_t)threads, (size_t)runs);
    rec_dataset_destroy(&data);
    return 0;
}
