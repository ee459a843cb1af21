/* How long iALS trains on the positives of ml-1m (rating >= 4), beside two limits of the same
 * machine in the same run, over the same pool: tiles of one-thread cblas_sgemm, and, because an
 * old OpenBLAS is slow on a new processor, tiles of our own rank-k kernel on rows that lie in
 * order.
 *
 *   bench_als [DIRECTORY of ml-1m] [factors=64 iterations=20 threads=2]
 *   bench_als [DIRECTORY of ml-1m] solvers=1 [threads=2]
 *
 * The second form compares the solvers instead, exact and in blocks, with many factors: the time of
 * an iteration, and how far the objective has come after a few.
 *
 * The work counted is 2 nnz f² + (users + items) f³ / 3: each stored pair adds half a symmetric
 * matrix on both sides, and each row is one Cholesky. alpha 2 does all of it. alpha 1, the default,
 * has confidence 1 everywhere on this data, so its rows share one matrix; it is shown apart, and
 * its ratio is not the figure to quote. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { RUNS = 5, ITERATIONS_MAX = 1000, TILE = 256, TILES = 64, TILE_ROWS = 4096, WORKERS = 64 };

struct setting {
    const char *path;
    int64_t factors, iterations, threads, solvers, block;
};

struct stamps {
    uint64_t at[ITERATIONS_MAX + 1];
    size_t count;
    double loss; /* the last one */
};

static void fail(const struct rec_error *err) {
    fprintf(stderr, "bench_als: %s\n", err->text);
    exit(1);
}

static double seconds_since(uint64_t start) {
    return (double)(rec_clock_monotonic_ns() - start) / 1e9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n) {
    qsort(x, n, sizeof(*x), by_value);
    return n == 0 ? 0.0 : x[n / 2];
}

/* ---- limits ------------------------------------------------------------------ */

struct tiles {
    float *A, *B;      /* [WORKERS] of TILE x TILE, and TILE_ROWS x factors */
    float *C[WORKERS]; /* one a worker */
    size_t factors;
};

static void sgemm_tile(void *context, size_t task, size_t worker) {
    struct tiles *t = context;
    (void)task;
    rec_dense_gemm(false, false, TILE, TILE, TILE, 1.0f, t->A, TILE, t->B, TILE, 1.0f, t->C[worker],
                   TILE);
}

static void syrk_tile(void *context, size_t task, size_t worker) {
    struct tiles *t = context;
    (void)task;
    rec_kernels_syrk_rows(t->A, NULL, NULL, TILE_ROWS, t->factors, t->C[worker]);
}

/* GFLOP/s of the whole pool. */
static double rate(struct rec_pool *pool, struct tiles *tiles, rec_pool_fn fn, double flops) {
    uint64_t start = rec_clock_monotonic_ns();
    rec_pool_run(pool, TILES, fn, tiles);
    return flops * TILES / seconds_since(start) / 1e9;
}

static void make_tiles(struct tiles *t, size_t factors, size_t threads) {
    size_t square = factors > TILE ? factors * factors : (size_t)TILE * TILE;
    size_t rows = TILE_ROWS * factors > square ? TILE_ROWS * factors : square;
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    t->factors = factors;
    t->A = rec_alloc_array(rows, sizeof(float));
    t->B = rec_alloc_array(square, sizeof(float));
    for (size_t i = 0; i < threads; i++)
        t->C[i] = rec_alloc_array(square, sizeof(float));
    for (size_t i = 0; i < rows; i++)
        t->A[i] = rec_rng_normal(&rng);
    for (size_t i = 0; i < square; i++)
        t->B[i] = rec_rng_normal(&rng);
}

static void free_tiles(struct tiles *t) {
    rec_alloc_free(t->A);
    rec_alloc_free(t->B);
    for (size_t i = 0; i < WORKERS; i++)
        rec_alloc_free(t->C[i]);
}

/* ---- training ----------------------------------------------------------------- */

static void stamp(void *context, const char *phase, double fraction, double loss) {
    struct stamps *stamps = context;
    (void)phase;
    stamps->loss = loss;
    if (stamps->count == 0 ? fraction == 0.0 : stamps->count <= ITERATIONS_MAX)
        stamps->at[stamps->count++] = rec_clock_monotonic_ns();
}

static void set(struct rec_params *params, const char *name, double value) {
    struct rec_error err = {0};
    char text[64];
    (void)snprintf(text, sizeof(text), "%s=%g", name, value);
    if (rec_params_set(params, text, &err) != REC_OK)
        fail(&err);
}

/* One fit: its seconds, and its iterations' median; *best_s only falls. Reports come at 0 and after
 * every half iteration. Returns the loss at the end. */
static double train(const struct rec_dataset *data, const struct setting *setting, double alpha,
                    struct rec_pool *pool, double *iteration_s, double *fit_s, double *best_s) {
    static struct stamps stamps;
    double each[ITERATIONS_MAX];
    size_t count = 0;
    struct rec_error err = {0};
    struct rec_params params;
    struct rec_model *model = NULL;
    stamps.count = 0;
    rec_params_defaults(rec_als_family.params, rec_als_family.param_count, &params);
    set(&params, "factors", (double)setting->factors);
    set(&params, "iterations", (double)setting->iterations);
    set(&params, "alpha", alpha);
    set(&params, "block", (double)setting->block);
    struct rec_progress progress = {.report = stamp, .context = &stamps};
    struct rec_fit fit = {
        .data = data, .params = &params, .seed = 1, .pool = pool, .progress = &progress};
    uint64_t start = rec_clock_monotonic_ns();
    if (rec_model_fit(&rec_als_family, &fit, &model, &err) != REC_OK)
        fail(&err);
    *fit_s = seconds_since(start);
    rec_model_destroy(&model);
    for (size_t i = 2; i < stamps.count; i += 2)
        each[count++] = (double)(stamps.at[i] - stamps.at[i - 2]) / 1e9;
    *iteration_s = median(each, count); /* sorts */
    if (count > 0 && each[0] < *best_s)
        *best_s = each[0];
    return stamps.loss;
}

/* ---- the comparison -------------------------------------------------------------- */

/* Columns of figures, one row a run. A run measures the limits and the training next to each other,
 * and the ratio is taken within it, so that a busy machine disturbs both. */
struct figures {
    double sgemm[RUNS], syrk[RUNS], fit_s[RUNS], iteration_s[RUNS], to_sgemm[RUNS], to_syrk[RUNS];
    double best_s; /* the fastest iteration of all: what a quiet machine would show */
};

static void report(double alpha, double flops, struct figures *x) {
    double iteration_s = median(x->iteration_s, RUNS);
    printf("alpha=%g: fit %.3f s, iteration %.2f ms (best %.2f) = %.1f GFLOP/s counted; sgemm "
           "tiles %.1f "
           "GFLOP/s, ratio %.2f; own rank-k tiles %.1f GFLOP/s, ratio %.2f\n",
           alpha, median(x->fit_s, RUNS), iteration_s * 1e3, x->best_s * 1e3,
           flops / iteration_s / 1e9, median(x->sgemm, RUNS), median(x->to_sgemm, RUNS),
           median(x->syrk, RUNS), median(x->to_syrk, RUNS));
}

static void compare(const struct setting *setting, const struct rec_dataset *data, double alpha,
                    double flops, struct rec_pool *pool, struct tiles *tiles) {
    struct figures x = {.best_s = INFINITY};
    double f = (double)setting->factors;
    for (size_t r = 0; r < RUNS; r++) {
        x.sgemm[r] = rate(pool, tiles, sgemm_tile, 2.0 * TILE * TILE * TILE);
        x.syrk[r] = rate(pool, tiles, syrk_tile, TILE_ROWS * f * f);
        (void)train(data, setting, alpha, pool, &x.iteration_s[r], &x.fit_s[r], &x.best_s);
        x.to_sgemm[r] = x.iteration_s[r] * x.sgemm[r] * 1e9 / flops;
        x.to_syrk[r] = x.iteration_s[r] * x.syrk[r] * 1e9 / flops;
    }
    report(alpha, flops, &x);
}

/* Round after round, so that a busy machine disturbs all alike. */
static void compare_solvers(const struct setting *outer, const struct rec_dataset *data,
                            int64_t factors, struct rec_pool *pool) {
    enum { SOLVERS = 4, ROUNDS = 3, ITERATIONS = 6 };
    static const int64_t blocks[SOLVERS] = {0, 16, 32, 64};
    struct figures x[SOLVERS];
    double loss[SOLVERS];
    for (size_t i = 0; i < SOLVERS; i++)
        x[i].best_s = INFINITY;
    for (size_t r = 0; r < ROUNDS; r++)
        for (size_t i = 0; i < SOLVERS; i++) {
            struct setting setting = *outer;
            setting.factors = factors;
            setting.iterations = ITERATIONS;
            setting.block = blocks[i];
            loss[i] = train(data, &setting, 2.0, pool, &x[i].iteration_s[r], &x[i].fit_s[r],
                            &x[i].best_s);
        }
    double exact_s = median(x[0].iteration_s, ROUNDS);
    for (size_t i = 0; i < SOLVERS; i++) {
        double iteration_s = median(x[i].iteration_s, ROUNDS);
        printf("f=%lld block=%-3lld iteration %.1f ms (best %.1f), %.2f of exact; objective after "
               "%d: %.5f\n",
               (long long)factors, (long long)blocks[i], iteration_s * 1e3, x[i].best_s * 1e3,
               iteration_s / exact_s, ITERATIONS, loss[i]);
    }
}

static void run_solvers(const struct setting *setting, const struct rec_dataset *data) {
    struct rec_error err = {0};
    struct rec_pool *pool = NULL;
    if (rec_pool_create((size_t)setting->threads, false, &pool, &err) != REC_OK)
        fail(&err);
    printf("%u users, %u items, %lld threads, kernels %s; block=0 is exact\n", data->users,
           data->items, (long long)setting->threads, rec_kernels_name());
    compare_solvers(setting, data, 128, pool);
    compare_solvers(setting, data, 256, pool);
    rec_pool_destroy(&pool);
}

static void run(const struct setting *setting, const struct rec_dataset *data) {
    struct rec_error err = {0};
    struct rec_pool *pool = NULL;
    struct rec_csr *matrix = NULL;
    struct tiles tiles = {.A = NULL};
    size_t threads = (size_t)setting->threads;
    double f = (double)setting->factors;
    if (rec_pool_create(threads, false, &pool, &err) != REC_OK ||
        rec_dataset_matrix(data, &matrix, &err) != REC_OK)
        fail(&err);
    double pairs = (double)rec_csr_entries(matrix), rows = (double)matrix->rows + matrix->cols;
    double flops = 2 * pairs * f * f + rows * f * f * f / 3;
    printf("%u users, %u items, %.0f positives; f=%.0f, %lld iterations, %zu threads; kernels %s, "
           "OpenBLAS core %s; %.2f GFLOP an iteration; medians of %d\n",
           matrix->rows, matrix->cols, pairs, f, (long long)setting->iterations, threads,
           rec_kernels_name(), rec_dense_corename(), flops / 1e9, RUNS);
    make_tiles(&tiles, (size_t)setting->factors, threads);
    compare(setting, data, 2.0, flops, pool, &tiles);
    compare(setting, data, 1.0, flops, pool, &tiles);
    free_tiles(&tiles);
    rec_csr_destroy(&matrix);
    rec_pool_destroy(&pool);
}

static void parse(int argc, char **argv, struct setting *setting) {
    struct rec_error err = {0};
    const struct {
        const char *name;
        int64_t max, *value;
    } settings[] = {{"factors=", REC_FACTORS_MAX, &setting->factors},
                    {"iterations=", ITERATIONS_MAX / 2, &setting->iterations},
                    {"threads=", WORKERS, &setting->threads},
                    {"solvers=", 1, &setting->solvers}};
    for (int i = 1; i < argc; i++) {
        bool known = false;
        for (size_t s = 0; s < 4; s++) {
            size_t bytes = strlen(settings[s].name);
            if (strncmp(argv[i], settings[s].name, bytes) != 0)
                continue;
            known = true;
            if (rec_text_i64(settings[s].name, argv[i] + bytes, 1, settings[s].max,
                             settings[s].value, &err) != REC_OK)
                fail(&err);
        }
        if (!known)
            setting->path = argv[i];
    }
}

int main(int argc, char **argv) {
    struct setting setting = {"../shared/data/ml-1m", 64, 20, 2, 0, 0};
    struct rec_error err = {0};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    parse(argc, argv, &setting);
    struct rec_read_options read = {
        .format = REC_FORMAT_MOVIELENS_1M, .path = setting.path, .now = rec_clock_unix_s()};
    rec_weights_defaults(&weights);
    /* OPENBLAS_CORETYPE says nothing here: the restart for better kernels sets it. */
    if (getenv("OPENBLAS_L2_SIZE") != NULL)
        puts("OPENBLAS_L2_SIZE is set: unset it for figures that compare");
    if (rec_kernels_init(&err) != REC_OK || rec_dense_init(&err) != REC_OK ||
        rec_dataset_read(&read, &weights, NULL, NULL, &data, &err) != REC_OK)
        fail(&err);
    if (setting.solvers > 0)
        run_solvers(&setting, data);
    else
        run(&setting, data);
    rec_dataset_destroy(&data);
    return 0;
}
