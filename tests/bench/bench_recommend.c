/* What one list costs inside serve, in the shape of ml-1m: 6,040 users with 165 events each on
 * average, 3,706 items, a model of 64 factors; and what of it is scoring and ranking alone.
 * The model is random: its cost is that of a trained one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recsysd/families.h"
#include "recsysd/serve.h"

enum { USERS = 6040, ITEMS = 3706, EVENTS = 1000000, FACTORS = 64, CALLS = 100000, BLOCK = 4096 };

static void stop(const char *what, const struct rec_error *err) {
    (void)fprintf(stderr, "bench_recommend: %s: %s\n", what, err->text);
    exit(1);
}

/* ---- a store of the right size ------------------------------------------------------------ */

static void fill(struct rec_store *store, struct rec_rng *rng) {
    enum { BATCH = 4096 };
    static struct rec_interaction rows[BATCH];
    static char users[BATCH][16], items[BATCH][16];
    struct rec_error err = {0};
    struct rec_store_import *import = NULL;
    uint64_t added = 0;
    if (rec_store_import_begin(store, &import, &err) != REC_OK)
        stop("import", &err);
    for (size_t done = 0; done < EVENTS; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            float skew = rec_rng_uniform(rng); /* a few users and items with most of the events */
            (void)snprintf(users[i], sizeof(users[i]), "%zu", (done + i) * USERS / EVENTS);
            (void)snprintf(items[i], sizeof(items[i]), "%u",
                           (unsigned)((float)ITEMS * skew * skew));
            rows[i] = (struct rec_interaction){.user_id = users[i],
                                               .item_id = items[i],
                                               .type = "rating",
                                               .value = 1.0 + rec_rng_below(rng, 5),
                                               .timestamp = (int64_t)(done + i)};
        }
        if (rec_store_import_rows(import, rows, BATCH, &added, &err) != REC_OK)
            stop("import", &err);
    }
    if (rec_store_import_end(&import, true, &err) != REC_OK)
        stop("import", &err);
}

/* A model that was fitted for one iteration only: as large as any other. */
static void publish(struct rec_store *store, struct rec_slot *slot,
                    const struct rec_weights *weights) {
    struct rec_error err = {0};
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(rec_als_family.params, rec_als_family.param_count, &params);
    if (rec_dataset_load(store, weights, NULL, NULL, &data, &err) != REC_OK)
        stop("dataset", &err);
    if (rec_params_read(&params, "factors=64 iterations=1", &err) != REC_OK)
        stop("parameters", &err);
    struct rec_fit fit = {.data = data, .params = &params, .seed = 1};
    if (rec_model_fit(&rec_als_family, &fit, &model, &err) != REC_OK)
        stop("fit", &err);
    rec_dataset_destroy(&data);
    struct rec_model_info info = {.version = "bench"};
    struct rec_generation *generation = rec_generation_create(&model, &info);
    if (generation == NULL)
        exit(1);
    rec_slot_publish(slot, &generation);
}

/* ---- figures -------------------------------------------------------------------------------- */

/* Per call, for users picked at random from `first` on. */
static double lists_us(struct rec_serve *serve, struct rec_rng *rng, uint32_t k, bool explain,
                       unsigned first, unsigned calls) {
    struct rec_recommended out;
    struct rec_error err = {0};
    uint64_t start = rec_clock_monotonic_ns();
    for (unsigned i = 0; i < calls; i++) {
        char user[16];
        (void)snprintf(user, sizeof(user), "%u", first + rec_rng_below(rng, USERS));
        struct rec_recommend_query query = {.user_id = user, .k = k, .explain = explain};
        if (rec_recommend_run(serve, 0, &query, &out, &err) != REC_OK)
            stop("recommend", &err);
    }
    return (double)(rec_clock_monotonic_ns() - start) / 1e3 / calls;
}

/* Both ways to the same list: every row in floats, and the coarse scan first. */
static void rank(const struct rec_model *model, const float *query, bool coarse,
                 struct rec_topk *top) {
    static float scores[BLOCK];
    if (coarse) {
        rec_scan_topk(model->scan, &(struct rec_scan_query){query, model->items, NULL, top});
    } else {
        model->family->score(model, query, 1, 0, model->items, scores);
        rec_topk_scan(top, scores, 0, model->items, NULL);
    }
    rec_topk_finish(top);
}

/* Queries are item vectors: as long as those of users, and different from call to call. */
static double scan_us(struct rec_slot *slot, uint32_t k, bool coarse) {
    static struct rec_ranked kept[REC_K_MAX];
    struct rec_generation *generation = rec_slot_acquire(slot);
    const struct rec_model *model = generation->model;
    uint64_t start = rec_clock_monotonic_ns();
    for (unsigned i = 0; i < CALLS; i++) {
        struct rec_topk top;
        rec_topk_init(&top, kept, k);
        rank(model, model->vectors + (size_t)(i % model->items) * FACTORS, coarse, &top);
    }
    double us = (double)(rec_clock_monotonic_ns() - start) / 1e3 / CALLS;
    rec_slot_release(slot, &generation);
    return us;
}

/* For scale: reading as many bytes as the 8-bit rows have, in plain C, which the compiler turns
 * into the baseline's 16-byte loads; the AVX-512 kernel reads faster than that. */
static double read_us(void) {
    enum { BYTES = (ITEMS + 63) / 64 * 64 * FACTORS, PART = 8 };
    uint64_t *words = rec_alloc_array(BYTES / 8, sizeof(*words)), sum[PART] = {0};
    if (words == NULL)
        exit(1);
    uint64_t start = rec_clock_monotonic_ns();
    for (unsigned call = 0; call < CALLS; call++)
        for (size_t i = 0; i < BYTES / 8; i += PART)
            for (size_t j = 0; j < PART; j++)
                sum[j] ^= words[i + j] + call;
    double us = (double)(rec_clock_monotonic_ns() - start) / 1e3 / CALLS;
    volatile uint64_t kept = sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
    (void)kept;
    rec_alloc_free(words);
    return us;
}

static void print_scans(struct rec_slot *slot, uint32_t k) {
    double exact = scan_us(slot, k, false), coarse = scan_us(slot, k, true);
    (void)printf(
        "  of it the scan alone                   %8.2f us; in floats %.2f us, %.1f times\n",
        coarse, exact, exact / coarse);
}

static void measure(struct rec_serve *serve, struct rec_slot *slot, struct rec_rng *rng) {
    double cold = lists_us(serve, rng, 10, false, 0, USERS);
    (void)lists_us(serve, rng, 10, false, 0, CALLS);
    double warm = lists_us(serve, rng, 10, false, 0, CALLS);
    (void)printf("list of 10, first time (with fold-ins)   %8.2f us\n", cold);
    (void)printf("list of 10, query kept                   %8.2f us\n", warm);
    print_scans(slot, 10);
    (void)printf("  reading their bytes once, in plain C   %8.2f us\n", read_us());
    (void)printf("list of 100, query kept                  %8.2f us\n",
                 lists_us(serve, rng, 100, false, 0, CALLS));
    print_scans(slot, 100);
    (void)printf("list of 10, explained                    %8.2f us\n",
                 lists_us(serve, rng, 10, true, 0, CALLS / 20));
    (void)printf("list of 10, unknown users (live counts)  %8.2f us\n",
                 lists_us(serve, rng, 10, false, USERS, CALLS));
}

int main(void) {
    char folder[] = "/tmp/recsysd-bench-XXXXXX", path[64];
    struct rec_error err = {0};
    struct rec_store *store = NULL;
    struct rec_serve *serve = NULL;
    struct rec_slot *slot = rec_slot_create();
    struct rec_weights weights;
    struct rec_rng rng;
    if (slot == NULL || mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    rec_rng_init(&rng, 1, 0);
    rec_weights_defaults(&weights);
    struct rec_store_options options = {.path = path, .create = true, .writable = true};
    if (rec_dense_init(&err) != REC_OK || rec_kernels_init(&err) != REC_OK ||
        rec_store_open(&options, &store, &err) != REC_OK)
        stop("start", &err);
    fill(store, &rng);
    publish(store, slot, &weights);

    struct rec_serve_options serving = {.store = store,
                                        .slot = slot,
                                        .weights = &weights,
                                        .workers = 1,
                                        .query_cache_bytes = 8 << 20};
    struct rec_serve_counts counts;
    uint64_t start = rec_clock_monotonic_ns();
    if (rec_serve_create(&serving, &serve, &err) != REC_OK)
        stop("serve", &err);
    double load_ms = (double)(rec_clock_monotonic_ns() - start) / 1e6;
    measure(serve, slot, &rng);
    rec_serve_counts(serve, &counts);
    (void)printf("reading %llu events into memory     %8.0f ms\n",
                 (unsigned long long)counts.interactions, load_ms);
    (void)printf("histories %.1f MB, kept queries %.1f MB; kernels %s, BLAS %s\n",
                 (double)counts.history_bytes / 1e6, (double)counts.query_cache_bytes / 1e6,
                 rec_kernels_name(), rec_dense_corename());

    rec_serve_destroy(&serve);
    rec_slot_destroy(&slot);
    rec_store_close(&store);
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char file[80];
        (void)snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
        (void)unlink(file);
    }
    (void)rmdir(folder);
    return 0;
}
