/* How long item-knn and user-knn train on ml-1m, every rating an interaction: the larger of the two
 * ways to read it; and how long user-knn takes to answer.
 *
 *   bench_knn [DIRECTORY of ml-1m [RUNS]]
 *
 * Two threads, default parameters; medians. It judges nothing: the bar is 1 s for item-knn on a
 * quiet machine. The peak of memory is what the first fit of each family added to the process. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { RUNS_MAX = 101, THREADS = 2, ASKED = 1000, HISTORY_MAX = 4096 };

static void check(enum rec_status st, const struct rec_error *err) {
    if (st == REC_OK)
        return;
    (void)fprintf(stderr, "bench_knn: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static double cpu_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double peak_mb(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024.0 : 0.0;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof(*values), by_size);
    return values[count / 2];
}

/* Median microseconds of one query, over the first users. */
static double query_us(const struct rec_model *model, const struct rec_dataset *data) {
    static struct rec_event events[HISTORY_MAX];
    static double took[ASKED];
    float *query = rec_alloc_array(model->query_floats, sizeof(float));
    float *scratch = rec_alloc_array(model->scratch_floats + 1, sizeof(float));
    size_t asked = data->users < ASKED ? data->users : ASKED;
    for (uint32_t user = 0; query != NULL && scratch != NULL && user < asked; user++) {
        struct rec_history history = {events, 0, user};
        for (uint64_t e = data->offset[user];
             e < data->offset[user + 1] && history.count < HISTORY_MAX; e++)
            events[history.count++] =
                (struct rec_event){data->item[e], data->weight[e], data->time[e]};
        uint64_t start = rec_clock_monotonic_ns();
        (void)model->family->query(model, &history, query, scratch);
        took[user] = (double)(rec_clock_monotonic_ns() - start) / 1e3;
    }
    rec_alloc_free(query);
    rec_alloc_free(scratch);
    return median(took, asked);
}

static void run(const struct rec_family *family, const struct rec_dataset *data,
                struct rec_pool *pool, size_t runs) {
    static double wall[RUNS_MAX], processor[RUNS_MAX];
    struct rec_error err = {.status = REC_OK};
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    const struct rec_fit fit = {.data = data, .params = &params, .seed = 1, .pool = pool};
    double before_mb = peak_mb(), used_mb = 0.0, asked_us = 0.0;
    for (size_t r = 0; r < runs; r++) {
        struct rec_model *model = NULL;
        double cpu = cpu_s();
        uint64_t start = rec_clock_monotonic_ns();
        check(rec_model_fit(family, &fit, &model, &err), &err);
        wall[r] = (double)(rec_clock_monotonic_ns() - start) / 1e9;
        processor[r] = cpu_s() - cpu;
        if (r == 0)
            used_mb = peak_mb() - before_mb;
        if (r + 1 == runs)
            asked_us = query_us(model, data);
        rec_model_destroy(&model);
    }
    (void)printf("%s: fit %.3f s, %.3f s of processor time on %d threads; query %.0f us; peak %.1f "
                 "MB, estimate %.1f MB\n",
                 family->name, median(wall, runs), median(processor, runs), THREADS, asked_us,
                 used_mb, (double)family->fit_bytes(&fit) / 1048576.0);
}

int main(int argc, char **argv) {
    struct rec_error err = {.status = REC_OK};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    struct rec_pool *pool = NULL;
    int64_t runs = 5;
    struct rec_read_options read = {.format = REC_FORMAT_MOVIELENS_1M,
                                    .path = argc > 1 ? argv[1] : "../shared/data/ml-1m",
                                    .now = rec_clock_unix_s()};
    if (argc > 2)
        check(rec_text_i64("RUNS", argv[2], 1, RUNS_MAX, &runs, &err), &err);
    rec_weights_defaults(&weights);
    weights.rating_min = 0;
    check(rec_kernels_init(&err), &err);
    check(rec_dense_init(&err), &err);
    check(rec_dataset_read(&read, &weights, NULL, NULL, &data, &err), &err);
    check(rec_pool_create(THREADS, false, &pool, &err), &err);
    run(&rec_item_knn_family, data, pool, (size_t)runs);
    run(&rec_user_knn_family, data, pool, (size_t)runs);
    rec_pool_destroy(&pool);
    rec_dataset_destroy(&data);
    return EXIT_SUCCESS;
}
