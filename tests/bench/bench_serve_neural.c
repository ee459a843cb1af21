/* What one user's list costs with a network, beside a factor model's and the bytes of its decoder.
 *
 * ml-1m, every rating an interaction, one thread, a list of 10 for ASKED users evenly apart, in
 * turns of all models, medians over turns: "kept" is the ranking of all items for a query that is
 * there, as serve keeps it until the history changes; "anew" is the query of a history, then that.
 *
 * The aim is about mult-vae: at most 3 times als with 64 factors, and what reading the decoder's
 * weights once takes at the speed of memory, which is measured in the same turns over as many
 * bytes. Models are trained for a few epochs: they are as large as any, and their scans have norms
 * to go by.
 *
 * Data: RECSYSD_TEST_DATA, or shared/data beside the source tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols.h"
#include "recsysd/families.h"

enum { TURNS = 15, ASKED = 100, HISTORY_MAX = 4096, K = 10, SMALL_BYTES = 4096 };

static const struct {
    const char *family, *settings;
} rows[] = {
    {"als", "factors=64"},
    {"mult-vae", "epochs=5 early_stop=0"},
    {"dae", "epochs=5 early_stop=0"},
    {"neural-mf", "epochs=1 early_stop=0"},
    {"ncf", "epochs=1 early_stop=0"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct row {
    struct rec_model *model;
    float *queries;       /* [ASKED x query_floats] */
    float *query;         /* [query_floats] */
    float *scratch;       /* [scratch_floats] */
    size_t decoder_bytes; /* what an answer reads behind the code; 0: no autoencoder */
    double kept_us[TURNS], anew_us[TURNS], read_us[TURNS];
};

static void check(enum rec_status st, const struct rec_error *err) {
    if (st == REC_OK)
        return;
    (void)fprintf(stderr, "bench_serve_neural: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static void *room(size_t count, size_t size) {
    void *block = rec_alloc_array(count + 1, size);
    if (block == NULL)
        exit(EXIT_FAILURE);
    return block;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, TURNS, sizeof(*values), by_value);
    return values[TURNS / 2];
}

static double since_us(uint64_t start_ns) {
    return (double)(rec_clock_monotonic_ns() - start_ns) / 1e3;
}

/* ---- models ---------------------------------------------------------------------------- */

static size_t tensor_bytes(const struct rec_model *model, const char *name) {
    for (size_t i = 0; i < model->tensors.count; i++)
        if (strcmp(model->tensors.tensor[i].name, name) == 0)
            return (size_t)(model->tensors.tensor[i].rows * model->tensors.tensor[i].cols) *
                   sizeof(float);
    return 0;
}

static void make(size_t r, const struct rec_dataset *data, struct rec_pool *pool, struct row *row) {
    struct rec_error err = {0};
    const struct rec_family *family = NULL;
    struct rec_params params;
    check(rec_family_find(rec_families, rows[r].family, &family, &err), &err);
    rec_params_defaults(family->params, family->param_count, &params);
    check(rec_params_read(&params, rows[r].settings, &err), &err);
    const struct rec_fit fit = {.data = data, .params = &params, .seed = 1, .pool = pool};
    check(rec_model_fit(family, &fit, &row->model, &err), &err);
    row->queries = room(ASKED * row->model->query_floats, sizeof(float));
    row->query = room(row->model->query_floats, sizeof(float));
    row->scratch = room(row->model->scratch_floats, sizeof(float));
    size_t decoder = tensor_bytes(row->model, "decoder");
    row->decoder_bytes = decoder == 0 ? 0 : decoder + tensor_bytes(row->model, "output");
}

static struct rec_history history_of(const struct rec_dataset *data, size_t asked,
                                     struct rec_event *events) {
    uint32_t user = (uint32_t)(asked * data->users / ASKED);
    struct rec_history history = {events, 0, user};
    uint64_t end = data->offset[user + 1], begin = data->offset[user];
    for (uint64_t e = end - begin > HISTORY_MAX ? end - HISTORY_MAX : begin; e < end; e++)
        events[history.count++] = (struct rec_event){data->item[e], data->weight[e], data->time[e]};
    return history;
}

/* ---- turns --------------------------------------------------------------------------------- */

/* As serve ranks: by the scan where there are vectors. */
static void rank(const struct rec_model *model, const float *query, float *scores) {
    struct rec_ranked kept[K];
    struct rec_topk top;
    rec_topk_init(&top, kept, K);
    if (model->scan != NULL) {
        rec_scan_topk(model->scan, &(struct rec_scan_query){query, model->items, NULL, &top});
    } else {
        model->family->score(model, query, 1, 0, model->items, scores);
        rec_topk_scan(&top, scores, 0, model->items, NULL);
    }
    rec_topk_finish(&top);
}

static double kept_us(const struct row *row, float *scores) {
    uint64_t start_ns = rec_clock_monotonic_ns();
    for (size_t i = 0; i < ASKED; i++)
        rank(row->model, row->queries + i * row->model->query_floats, scores);
    return since_us(start_ns) / ASKED;
}

static double anew_us(const struct row *row, const struct rec_dataset *data,
                      struct rec_event *events, float *scores) {
    double us = 0.0;
    for (size_t i = 0; i < ASKED; i++) {
        struct rec_history history = history_of(data, i, events);
        uint64_t start_ns = rec_clock_monotonic_ns();
        (void)row->model->family->query(row->model, &history, row->query, row->scratch);
        rank(row->model, row->query, scores);
        us += since_us(start_ns);
        memcpy(row->queries + i * row->model->query_floats, row->query,
               row->model->query_floats * sizeof(float));
    }
    return us / ASKED;
}

/* Each byte once, in the widest loads there are: two halves, multiplied. */
static double read_us(size_t bytes) {
    static volatile float sink;
    size_t half = bytes / sizeof(float) / 2;
    float *block = room(2 * half, sizeof(float));
    for (size_t i = 0; i < 2 * half; i++)
        block[i] = (float)(i % 7);
    sink = rec_kernels_dot(block, block + half, half); /* the first touch is not counted */
    uint64_t start_ns = rec_clock_monotonic_ns();
    for (size_t i = 0; i < ASKED; i++)
        sink = rec_kernels_dot(block, block + half, half);
    double us = since_us(start_ns) / ASKED;
    (void)sink;
    rec_alloc_free(block);
    return us;
}

static void measure(struct row *row, const struct rec_dataset *data) {
    float *scores = room(data->items, sizeof(*scores));
    struct rec_event *events = room(HISTORY_MAX, sizeof(*events));
    for (size_t t = 0; t < TURNS; t++)
        for (size_t r = 0; r < ROWS; r++) {
            row[r].anew_us[t] = anew_us(&row[r], data, events, scores); /* makes the queries */
            row[r].kept_us[t] = kept_us(&row[r], scores);
            row[r].read_us[t] = row[r].decoder_bytes > 0 ? read_us(row[r].decoder_bytes) : 0.0;
        }
    rec_alloc_free(scores);
    rec_alloc_free(events);
}

/* row [0] is als */
static void print(struct row *row) {
    double als_kept = median(row[0].kept_us), als_anew = median(row[0].anew_us);
    (void)printf("%-10s %10s %10s   %s\n", "model", "kept us", "anew us", "beside it");
    (void)printf("%-10s %10.1f %10.1f   factors=64\n", rows[0].family, als_kept, als_anew);
    for (size_t r = 1; r < ROWS; r++) {
        double kept = median(row[r].kept_us), anew = median(row[r].anew_us);
        double read = median(row[r].read_us);
        (void)printf("%-10s %10.1f %10.1f", rows[r].family, kept, anew);
        if (row[r].decoder_bytes > 0)
            (void)printf(
                "   decoder of %.2f MB read in %.1f us: kept %.2f and anew %.2f of 3 als + "
                "that",
                (double)row[r].decoder_bytes / 1e6, read, kept / (3.0 * als_kept + read),
                anew / (3.0 * als_anew + read));
        else
            (void)printf("   kept %.1f and anew %.1f times als", kept / als_kept, anew / als_anew);
        (void)putchar('\n');
    }
}

int main(void) {
    struct rec_error err = {0};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    struct rec_pool *pool = NULL;
    static struct row row[ROWS];
    char path[SMALL_BYTES];
    (void)snprintf(path, sizeof(path), "%s/ml-1m", protocols_data());
    const struct rec_read_options read = {
        .format = REC_FORMAT_MOVIELENS_1M, .path = path, .now = rec_clock_unix_s()};
    rec_weights_defaults(&weights);
    weights.rating_min = 0;
    check(rec_kernels_init(&err), &err);
    check(rec_dense_init(&err), &err);
    check(rec_dataset_read(&read, &weights, NULL, NULL, &data, &err), &err);
    check(rec_pool_create(2, false, &pool, &err), &err);
    for (size_t r = 0; r < ROWS; r++)
        make(r, data, pool, &row[r]);
    rec_pool_destroy(&pool);
    (void)printf(
        "%u users, %u items, %llu interactions; lists of %d for %d users, %d turns; kernels "
        "%s\n",
        data->users, data->items, (unsigned long long)data->offset[data->users], K, ASKED, TURNS,
        rec_kernels_name());
    measure(row, data);
    print(row);
    for (size_t r = 0; r < ROWS; r++) {
        rec_model_destroy(&row[r].model);
        rec_alloc_free(row[r].queries);
        rec_alloc_free(row[r].query);
        rec_alloc_free(row[r].scratch);
    }
    rec_dataset_destroy(&data);
    return EXIT_SUCCESS;
}
