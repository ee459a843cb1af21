/* The k best of many items for one user, and for 16 who wait: rec_scan_topk beside what it must
 * beat, in the same run and the same turns.
 *
 *   read     the bytes of the 8-bit factors, once, by the C library's memchr: the memory's limit
 *   sgemv    cblas_sgemv over all items, then our own rec_topk_scan: a partial sort in vectors
 *   sgemm    16 users through cblas_sgemm in tiles of 4,096 items, then the same
 *   single   rec_scan_topk, a list after the other
 *   batch    rec_scan_topk_batch, 16 lists in one pass
 *   filter   as single, with one item in a hundred eligible
 *
 *   bench_scan [DIRECTORY of ml-1m] [items=1000000]
 *
 * Times are microseconds a list, medians of turns; one thread, one BLAS thread. Factors are random
 * and of equal length; random with log-normal lengths; and, where the data are, those of als on
 * ml-1m, copied with noise until there are enough, asked by its users. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { N = 64, K = 10, BATCH = REC_SCAN_QUERIES, ASKED = 4 * BATCH, TILE = 4096, TURNS_MAX = 400 };
enum kind { EQUAL, VARYING, ALS, KINDS };
static const char *const kind_names[KINDS] = {"equal lengths", "log-normal", "als, ml-1m"};

struct world {
    uint32_t items;
    float *rows, *queries; /* [items x N], [ASKED x N] */
    float *scores;         /* [items], or [BATCH x TILE] */
    uint64_t *all, *some;  /* masks: everything; one in a hundred */
    char *bytes;           /* [items x N] */
    struct rec_scan *scan;
    size_t next; /* query to ask */
};

static void stop(const char *what, const struct rec_error *err) {
    (void)fprintf(stderr, "bench_scan: %s: %s\n", what, err->text);
    exit(1);
}

static void *array(size_t count, size_t size) {
    struct rec_error none = {.text = "out of memory"};
    void *block = rec_alloc_array(count, size);
    if (block == NULL)
        stop("allocate", &none);
    return block;
}

/* ---- factors ------------------------------------------------------------------------------ */

static void scale_to(float *row, float length) {
    float by = length / sqrtf(rec_kernels_dot(row, row, N));
    for (size_t i = 0; i < N; i++)
        row[i] *= by;
}

static void fill_normal(struct rec_rng *rng, float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] = rec_rng_normal(rng);
}

static void fill_random(struct world *world, enum kind kind) {
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    fill_normal(&rng, world->queries, (size_t)ASKED * N);
    for (uint32_t item = 0; item < world->items; item++) {
        float *row = world->rows + (size_t)item * N;
        fill_normal(&rng, row, N);
        scale_to(row, kind == EQUAL ? 1.0f : expf(0.5f * rec_rng_normal(&rng)));
    }
}

/* Each copy differs from the item it is of by a tenth of its length. */
static void copy_rows(struct world *world, const struct rec_model *model) {
    struct rec_rng rng;
    rec_rng_init(&rng, 2, 0);
    for (uint32_t item = 0; item < world->items; item++) {
        const float *from = model->vectors + (size_t)(item % model->items) * N;
        float *row = world->rows + (size_t)item * N;
        float spread = 0.1f * sqrtf(rec_kernels_dot(from, from, N) / N);
        for (size_t i = 0; i < N; i++)
            row[i] = from[i] + spread * rec_rng_normal(&rng);
    }
}

static void ask_users(struct world *world, const struct rec_model *model,
                      const struct rec_dataset *data) {
    static struct rec_event events[REC_HISTORY_SCORED_MAX];
    float *scratch = array(model->scratch_floats, sizeof(float));
    for (uint32_t user = 0; user < ASKED; user++) {
        struct rec_history history = {.events = events, .user = user};
        for (uint64_t i = data->offset[user]; i < data->offset[user + 1]; i++)
            if (history.count < REC_HISTORY_SCORED_MAX)
                events[history.count++] =
                    (struct rec_event){data->item[i], data->weight[i], data->time[i]};
        (void)model->family->query(model, &history, world->queries + (size_t)user * N, scratch);
    }
    rec_alloc_free(scratch);
}

static void fill_als(struct world *world, const struct rec_dataset *data) {
    struct rec_error err = {0};
    struct rec_params params;
    struct rec_model *model = NULL;
    rec_params_defaults(rec_als_family.params, rec_als_family.param_count, &params);
    if (rec_params_read(&params, "factors=64", &err) != REC_OK)
        stop("parameters", &err);
    const struct rec_fit fit = {.data = data, .params = &params, .seed = 1};
    if (rec_model_fit(&rec_als_family, &fit, &model, &err) != REC_OK)
        stop("fit", &err);
    copy_rows(world, model);
    ask_users(world, model, data);
    rec_model_destroy(&model);
}

static double make(struct world *world, uint32_t items, enum kind kind,
                   const struct rec_dataset *data) {
    struct rec_error err = {0};
    struct rec_rng rng;
    size_t words = (size_t)items / 64 + 1;
    size_t scores = items > BATCH * TILE ? items : BATCH * TILE;
    rec_rng_init(&rng, 3, 0);
    *world = (struct world){.items = items,
                            .rows = array(items, N * sizeof(float)),
                            .queries = array(ASKED, N * sizeof(float)),
                            .scores = array(scores, sizeof(float)),
                            .all = array(words, sizeof(uint64_t)),
                            .some = array(words, sizeof(uint64_t)),
                            .bytes = array(items, N)};
    if (kind == ALS)
        fill_als(world, data);
    else
        fill_random(world, kind);
    for (uint32_t item = 0; item < items; item++) {
        world->all[item / 64] |= (uint64_t)1 << item % 64;
        if (rec_rng_below(&rng, 100) == 0)
            world->some[item / 64] |= (uint64_t)1 << item % 64;
    }
    uint64_t start = rec_clock_monotonic_ns();
    if (rec_scan_create(world->rows, items, N, &world->scan, &err) != REC_OK)
        stop("scan", &err);
    return (double)(rec_clock_monotonic_ns() - start) / 1e6;
}

static void finish(struct world *world) {
    rec_scan_destroy(&world->scan);
    rec_alloc_free(world->rows);
    rec_alloc_free(world->queries);
    rec_alloc_free(world->scores);
    rec_alloc_free(world->all);
    rec_alloc_free(world->some);
    rec_alloc_free(world->bytes);
}

/* ---- the ways to a list, BATCH lists each, but one of sgemv's, single's and filter's -------- */

struct lists {
    struct rec_ranked kept[BATCH][K];
    struct rec_topk top[BATCH];
};

static const float *start(struct world *world, struct lists *lists, size_t count) {
    const float *query = world->queries + world->next * N;
    world->next = (world->next + count) % ASKED;
    for (size_t u = 0; u < count; u++)
        rec_topk_init(&lists->top[u], lists->kept[u], K);
    return query;
}

static void run_read(struct world *world, struct lists *lists) {
    (void)lists;
    if (memchr(world->bytes, 1, (size_t)world->items * N) != NULL)
        abort();
}

static void run_sgemv(struct world *world, struct lists *lists) {
    const float *query = start(world, lists, 1);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)world->items, N, 1.0f, world->rows, N, query, 1,
                0.0f, world->scores, 1);
    rec_topk_scan(&lists->top[0], world->scores, 0, world->items, world->all);
}

static void run_sgemm(struct world *world, struct lists *lists) {
    const float *queries = start(world, lists, BATCH);
    for (uint32_t first = 0; first < world->items; first += TILE) {
        uint32_t count = world->items - first < TILE ? world->items - first : TILE;
        rec_dense_gemm(false, true, BATCH, count, N, 1.0f, queries, N,
                       world->rows + (size_t)first * N, N, 0.0f, world->scores, TILE);
        for (size_t u = 0; u < BATCH; u++)
            rec_topk_scan(&lists->top[u], world->scores + u * TILE, first, count, world->all);
    }
}

static void run_single(struct world *world, struct lists *lists) {
    const float *query = start(world, lists, 1);
    rec_scan_topk(world->scan,
                  &(struct rec_scan_query){query, world->items, world->all, &lists->top[0]});
}

static void run_filter(struct world *world, struct lists *lists) {
    const float *query = start(world, lists, 1);
    rec_scan_topk(world->scan,
                  &(struct rec_scan_query){query, world->items, world->some, &lists->top[0]});
}

static void run_batch(struct world *world, struct lists *lists) {
    const float *queries = start(world, lists, BATCH);
    struct rec_scan_query asked[BATCH];
    for (size_t u = 0; u < BATCH; u++)
        asked[u] =
            (struct rec_scan_query){queries + u * N, world->items, world->all, &lists->top[u]};
    rec_scan_topk_batch(world->scan, asked, BATCH);
}

enum way { READ, SGEMV, SGEMM, SINGLE, BATCHED, FILTER, WAYS };
static const struct {
    void (*run)(struct world *world, struct lists *lists);
    size_t lists;
} ways[WAYS] = {{run_read, 1},   {run_sgemv, 1},     {run_sgemm, BATCH},
                {run_single, 1}, {run_batch, BATCH}, {run_filter, 1}};

/* ---- figures -------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct world *world, double us[WAYS]) {
    static double took[WAYS][TURNS_MAX];
    static struct lists lists;
    size_t turns = (size_t)20000000 / world->items;
    turns = turns < TURNS_MAX ? turns : TURNS_MAX;
    for (size_t turn = 0; turn < turns; turn++)
        for (size_t way = 0; way < WAYS; way++) {
            uint64_t began = rec_clock_monotonic_ns();
            ways[way].run(world, &lists);
            took[way][turn] =
                (double)(rec_clock_monotonic_ns() - began) / 1e3 / (double)ways[way].lists;
        }
    for (size_t way = 0; way < WAYS; way++) {
        qsort(took[way], turns, sizeof(double), by_value);
        us[way] = took[way][turns / 2];
    }
}

static void report(uint32_t items, enum kind kind, const struct rec_dataset *data) {
    struct world world;
    double us[WAYS], made_ms = make(&world, items, kind, data);
    measure(&world, us);
    double floats = us[SGEMV] < us[SGEMM] ? us[SGEMV] : us[SGEMM];
    (void)printf("%8u %-14s %8.1f %9.1f %8.1f %8.1f %8.1f %8.1f   %6.2f %7.1f %7.1f %7.2f %7.0f\n",
                 items, kind_names[kind], us[READ], us[SGEMV], us[SGEMM], us[SINGLE], us[BATCHED],
                 us[FILTER], us[SINGLE] / us[READ], us[SGEMV] / us[SINGLE], us[SGEMV] / us[BATCHED],
                 floats / us[BATCHED], made_ms);
    (void)fflush(stdout);
    finish(&world);
}

static struct rec_dataset *read_data(const char *path) {
    struct rec_error err = {0};
    struct rec_dataset *data = NULL;
    struct rec_weights weights;
    const struct rec_read_options options = {
        .path = path, .format = REC_FORMAT_MOVIELENS_1M, .now = rec_clock_unix_s()};
    rec_weights_defaults(&weights);
    if (rec_dataset_read(&options, &weights, NULL, NULL, &data, &err) != REC_OK)
        stop("data", &err);
    return data;
}

int main(int argc, char **argv) {
    static const uint32_t sizes[] = {10000, 100000, 1000000};
    struct rec_error err = {0};
    struct rec_dataset *data = NULL;
    unsigned long only = 0;
    if (rec_dense_init(&err) != REC_OK || rec_kernels_init(&err) != REC_OK)
        stop("start", &err);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "items=", 6) == 0)
            only = strtoul(argv[i] + 6, NULL, 10);
        else if (data == NULL)
            data = read_data(argv[i]);
    }
    (void)printf("kernels %s, OpenBLAS %s; k=%d, f=%d; microseconds a list\n", rec_kernels_name(),
                 rec_dense_corename(), K, N);
    (void)printf("%8s %-14s %8s %9s %8s %8s %8s %8s   %6s %7s %7s %7s %7s\n", "items", "factors",
                 "read", "sgemv", "sgemm", "single", "batch", "filter", "s/read", "sgemv/s",
                 "sgemv/b", "best/b", "made ms");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (enum kind kind = EQUAL; kind < KINDS; kind++)
            if ((only == 0 || only == sizes[i]) && (kind != ALS || data != NULL))
                report(sizes[i], kind, data);
    rec_dataset_destroy(&data);
    return 0;
}
