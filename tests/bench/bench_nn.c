/* How long an epoch of the neural families takes, beside the matrix products of its dense layers.
 *
 *   bench_nn [DIRECTORY of ml-1m [THREADS [FAMILY PARAMETER=VALUE ...]]]
 *
 * ml-1m, every rating an interaction. The yardstick is BLAS alone, in the same run and in turns
 * with the epochs: three products a dense layer, of whole batches, one after the other on one
 * thread (more threads: each takes its share of the rows). Bar: an epoch takes at most twice as
 * long. All else is in the rest: the sparse layer, the loss, activations, random numbers, Adam. Of
 * neural-mf and ncf a row is a pair, negatives included, and the products are those of the network
 * as it is written, both embeddings side by side; training makes fewer.
 * Processor time is shown beside wall time: it tells more on a machine that does other things.
 *
 * bench_nn_torch.py runs this and PyTorch, and prints the ratio. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum { EPOCHS = 5, LAYERS_MAX = 4, ALIGNED = 4096 };

struct times {
    double wall, cpu;
};

struct bench {
    struct times at, epoch[EPOCHS], blas[EPOCHS];
    size_t epochs_done, rows, batch, threads;
    size_t layers, out[LAYERS_MAX],
        in[LAYERS_MAX]; /* of the dense layers, the ones' column included */
    float *A, *B, *C;
    struct rec_pool *pool;
};

static void check(enum rec_status st, const struct rec_error *err) {
    if (st == REC_OK)
        return;
    (void)fprintf(stderr, "bench_nn: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static struct times now(void) {
    struct timespec cpu;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (struct times){(double)rec_clock_monotonic_ns() / 1e9,
                          (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9};
}

static struct times since(struct times start) {
    struct times end = now();
    return (struct times){end.wall - start.wall, end.cpu - start.cpu};
}

/* ---- BLAS alone -------------------------------------------------------------------- */

/* Rows of the result are split over the threads. */
struct product {
    const struct bench *bench;
    bool a_transposed, b_transposed;
    size_t m, n, k;
};

static void product_task(void *context, size_t task, size_t worker) {
    const struct product *p = context;
    size_t begin = p->m * task / p->bench->threads, end = p->m * (task + 1) / p->bench->threads;
    size_t lda = p->a_transposed ? p->m : p->k, ldb = p->b_transposed ? p->k : p->n;
    (void)worker;
    rec_dense_gemm(p->a_transposed, p->b_transposed, end - begin, p->n, p->k, 1.0f,
                   p->bench->A + (p->a_transposed ? begin : begin * lda), lda, p->bench->B, ldb,
                   0.0f, p->bench->C + begin * p->n, p->n);
}

static void multiply(struct bench *bench, bool at, bool bt, size_t m, size_t n, size_t k) {
    struct product product = {bench, at, bt, m, n, k};
    rec_pool_run(bench->pool, bench->threads, product_task, &product);
}

/* y = x Wᵀ, dx = dy W, dW = dyᵀ x, for each dense layer and each batch. */
static void products_of_epoch(struct bench *bench) {
    for (size_t done = 0; done < bench->rows; done += bench->batch) {
        size_t left = bench->rows - done, n = left < bench->batch ? left : bench->batch;
        for (size_t l = 0; l < bench->layers; l++) {
            multiply(bench, false, true, n, bench->out[l], bench->in[l]);
            multiply(bench, false, false, n, bench->in[l] - 1, bench->out[l]);
            multiply(bench, true, false, bench->out[l], bench->in[l], n);
        }
    }
}

/* ---- epochs, between which BLAS has its turn ------------------------------------------ */

static void on_report(void *context, const char *phase, double fraction, double loss) {
    struct bench *bench = context;
    (void)phase;
    (void)loss;
    if (fraction < (double)(bench->epochs_done + 1) / EPOCHS - 1e-9 ||
        bench->epochs_done == EPOCHS) {
        if (fraction == 0.0)
            bench->at = now();
        return;
    }
    bench->epoch[bench->epochs_done] = since(bench->at);
    bench->at = now();
    products_of_epoch(bench);
    bench->blas[bench->epochs_done++] = since(bench->at);
    bench->at = now();
}

static int by_cpu(const void *a, const void *b) {
    double x = ((const struct times *)a)->cpu, y = ((const struct times *)b)->cpu;
    return (x > y) - (x < y);
}

static void set(struct rec_params *params, const char *text) {
    struct rec_error err = {.status = REC_OK};
    check(rec_params_set(params, text, &err), &err);
}

static void add_layer(struct bench *bench, size_t in, size_t out) {
    bench->in[bench->layers] = in + 1;
    bench->out[bench->layers++] = out;
}

static void set_layers(struct bench *bench, const char *name, const struct rec_dataset *data,
                       const struct rec_params *params) {
    bool ncf = strcmp(name, "ncf") == 0;
    if (!ncf && strcmp(name, "neural-mf") != 0) {
        size_t h = (size_t)rec_params_get(params, "hidden");
        size_t c = (size_t)rec_params_get(params, "code");
        bench->rows = data->users;
        add_layer(bench, h, strcmp(name, "mult-vae") == 0 ? 2 * c : c);
        add_layer(bench, c, h);
        add_layer(bench, h, data->items);
        return;
    }
    size_t factors = (size_t)rec_params_get(params, "factors"), below = 2 * factors;
    size_t hidden[] = {(size_t)rec_params_get(params, ncf ? "hidden1" : "hidden"),
                       (size_t)rec_params_get(params, "hidden2")};
    size_t pairs = 1 + (size_t)rec_params_get(params, "negatives");
    bench->rows = pairs * (size_t)data->offset[data->users];
    bench->batch *= pairs;
    for (size_t l = 0; l < sizeof(hidden) / sizeof(hidden[0]) && hidden[l] > 0; l++) {
        add_layer(bench, below, hidden[l]);
        below = hidden[l];
    }
    add_layer(bench, below + (ncf ? factors : 0), 1);
}

static void run(const char *name, const struct rec_dataset *data, size_t threads, int count,
                char **assignments) {
    struct rec_error err = {.status = REC_OK};
    const struct rec_family *family = NULL;
    struct bench bench = {.threads = threads};
    struct rec_progress progress = {.report = on_report, .context = &bench};
    struct rec_params params;
    struct rec_model *model = NULL;
    char text[32];
    check(rec_family_find(rec_families, name, &family, &err), &err);
    rec_params_defaults(family->params, family->param_count, &params);
    (void)snprintf(text, sizeof(text), "epochs=%d", EPOCHS);
    set(&params, text);
    set(&params, "early_stop=0");
    for (int i = 0; i < count; i++)
        set(&params, assignments[i]);
    bench.batch = (size_t)rec_params_get(&params, "batch");
    set_layers(&bench, name, data, &params);
    size_t widest = 1;
    for (size_t l = 0; l < bench.layers; l++)
        widest += bench.out[l] + bench.in[l];
    bench.A = rec_alloc_array(widest * (bench.batch + ALIGNED), sizeof(float));
    bench.B = rec_alloc_array(widest * (bench.batch + ALIGNED), sizeof(float));
    bench.C = rec_alloc_array(widest * (bench.batch + ALIGNED), sizeof(float));
    if (bench.A == NULL || bench.B == NULL || bench.C == NULL)
        exit(EXIT_FAILURE);
    check(rec_pool_create(threads, false, &bench.pool, &err), &err);
    const struct rec_fit fit = {
        .data = data, .params = &params, .seed = 1, .pool = bench.pool, .progress = &progress};
    check(rec_model_fit(family, &fit, &model, &err), &err);
    rec_model_destroy(&model);

    qsort(bench.epoch, EPOCHS, sizeof(bench.epoch[0]), by_cpu);
    qsort(bench.blas, EPOCHS, sizeof(bench.blas[0]), by_cpu);
    const struct times epoch = bench.epoch[EPOCHS / 2], blas = bench.blas[EPOCHS / 2];
    (void)printf("%s: batch %zu, %zu threads: epoch %.3f s (processor %.3f s), BLAS alone %.3f s "
                 "(%.3f s), %.2f times (%.2f)\n",
                 name, bench.batch, threads, epoch.wall, epoch.cpu, blas.wall, blas.cpu,
                 epoch.wall / blas.wall, epoch.cpu / blas.cpu);
    (void)fflush(stdout);
    rec_alloc_free(bench.A);
    rec_alloc_free(bench.B);
    rec_alloc_free(bench.C);
    rec_pool_destroy(&bench.pool);
}

int main(int argc, char **argv) {
    struct rec_error err = {.status = REC_OK};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    struct rec_read_options read = {.format = REC_FORMAT_MOVIELENS_1M,
                                    .path = argc > 1 ? argv[1] : "../shared/data/ml-1m",
                                    .now = rec_clock_unix_s()};
    int64_t threads = 1;
    rec_weights_defaults(&weights);
    weights.rating_min = 0;
    check(rec_kernels_init(&err), &err);
    check(rec_dense_init(&err), &err);
    if (argc > 2)
        check(rec_text_i64("THREADS", argv[2], 1, REC_THREADS_MAX, &threads, &err), &err);
    check(rec_dataset_read(&read, &weights, NULL, NULL, &data, &err), &err);
    (void)printf("%u users, %u items, %llu events; kernels %s, BLAS %s\n", data->users, data->items,
                 (unsigned long long)data->offset[data->users], rec_kernels_name(),
                 rec_dense_corename());
    if (argc > 3) {
        run(argv[3], data, (size_t)threads, argc - 4, argv + 4);
    } else {
        run("dae", data, (size_t)threads, 0, NULL);
        run("mult-vae", data, (size_t)threads, 0, NULL);
        run("neural-mf", data, (size_t)threads, 0, NULL);
        run("ncf", data, (size_t)threads, 0, NULL);
    }
    rec_dataset_destroy(&data);
    return EXIT_SUCCESS;
}
