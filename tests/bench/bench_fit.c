/* What training takes: seconds, and memory beside the estimate that the cap is held against. And
 * what one answer takes, history to scores of all items, where no query is kept.
 *
 *   bench_fit [FAMILY[:PARAMETER=VALUE,...] ...]
 *
 * ml-1m, every rating an interaction (the larger of the two ways to read it), two threads; without
 * arguments every family by its defaults. Each family is fitted RUNS times in a process of its own,
 * so that the memory is its own: the peak of resident bytes above those before the fit.
 *
 * It judges nothing. The aims: slim under 60 s, item-knn under 1 s, svd under 0.5 s; memory within
 * 1.3 times the estimate. Little fits are not compared: what a process takes in passing is more.
 *
 * Data: RECSYSD_TEST_DATA, or shared/data beside the source tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocols.h"
#include "recsysd/families.h"

enum { RUNS = 5, THREADS = 2, TEXT_BYTES = 512, ASKED = 200, HISTORY_MAX = 4096 };
#define SLOW_S       10.0 /* such fits are run once */
#define LITTLE_BYTES (16e6)

static void check(enum rec_status st, const struct rec_error *err) {
    if (st == REC_OK)
        return;
    (void)fprintf(stderr, "bench_fit: %s\n", err->text);
    exit(EXIT_FAILURE);
}

/* A line of /proc/self/status, such as VmHWM, in bytes; 0 where there is none. */
static double memory_bytes(const char *name) {
    char line[TEXT_BYTES];
    double bytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            bytes = strtod(line + strlen(name) + 1, NULL) * 1024;
    if (status != NULL)
        (void)fclose(status);
    return bytes;
}

/* From now on VmHWM is the peak of what comes. */
static void forget_peak(void) {
    FILE *clear = fopen("/proc/self/clear_refs", "w");
    if (clear != NULL) {
        (void)fputs("5", clear);
        (void)fclose(clear);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* family:name=value,name=value */
static const struct rec_family *read_spec(const char *spec, struct rec_params *params) {
    struct rec_error err = {0};
    const struct rec_family *family = NULL;
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof(text), "%s", spec);
    char *settings = strchr(text, ':');
    if (settings != NULL)
        *settings++ = '\0';
    check(rec_family_find(rec_families, text, &family, &err), &err);
    rec_params_defaults(family->params, family->param_count, params);
    for (char *comma = settings; comma != NULL && (comma = strchr(comma, ',')) != NULL;)
        *comma = ' ';
    if (settings != NULL)
        check(rec_params_read(params, settings, &err), &err);
    return family;
}

static double fit_once(const struct rec_family *family, const struct rec_fit *fit,
                       struct rec_model **model) {
    struct rec_error err = {0};
    uint64_t start = rec_clock_monotonic_ns();
    rec_model_destroy(model);
    check(rec_model_fit(family, fit, model, &err), &err);
    return (double)(rec_clock_monotonic_ns() - start) / 1e9;
}

static struct rec_history history_of(const struct rec_dataset *data, uint32_t user,
                                     struct rec_event *events) {
    struct rec_history history = {events, 0, user};
    uint64_t end = data->offset[user + 1], begin = data->offset[user];
    for (uint64_t e = end - begin > HISTORY_MAX ? end - HISTORY_MAX : begin; e < end; e++)
        events[history.count++] = (struct rec_event){data->item[e], data->weight[e], data->time[e]};
    return history;
}

/* Median microseconds over users evenly apart. */
static double answer_us(const struct rec_model *model, const struct rec_dataset *data) {
    float *query = rec_alloc_array(model->query_floats, sizeof(float));
    float *scratch = rec_alloc_array(model->scratch_floats + 1, sizeof(float));
    float *scores = rec_alloc_array(model->items, sizeof(float));
    struct rec_event *events = rec_alloc_array(HISTORY_MAX, sizeof(*events));
    double took_us[ASKED] = {0};
    for (size_t i = 0; scores != NULL && events != NULL && i < ASKED; i++) {
        struct rec_history history = history_of(data, (uint32_t)(i * data->users / ASKED), events);
        uint64_t start = rec_clock_monotonic_ns();
        (void)model->family->query(model, &history, query, scratch);
        model->family->score(model, query, 1, 0, model->items, scores);
        took_us[i] = (double)(rec_clock_monotonic_ns() - start) / 1e3;
    }
    rec_alloc_free(query);
    rec_alloc_free(scratch);
    rec_alloc_free(scores);
    rec_alloc_free(events);
    qsort(took_us, ASKED, sizeof(*took_us), by_value);
    return took_us[ASKED / 2];
}

static void measure(const char *spec, const struct rec_dataset *data) {
    struct rec_params params;
    const struct rec_family *family = read_spec(spec, &params);
    struct rec_error err = {0};
    struct rec_pool *pool = NULL;
    struct rec_model *model = NULL;
    double took_s[RUNS];
    size_t runs = 0;
    check(rec_pool_create(THREADS, false, &pool, &err), &err);
    struct rec_fit fit = {.data = data, .params = &params, .seed = 1, .pool = pool};
    forget_peak();
    double before = memory_bytes("VmRSS:");
    do
        took_s[runs++] = fit_once(family, &fit, &model);
    while (runs < RUNS && took_s[0] < SLOW_S);
    double taken = memory_bytes("VmHWM:") - before;
    double estimate = family->fit_bytes == NULL ? 0.0 : (double)family->fit_bytes(&fit);
    qsort(took_s, runs, sizeof(*took_s), by_value);
    (void)printf("%-32s %8.3f s   an answer %7.0f us   %7.1f MB of %7.1f MB estimated", spec,
                 took_s[runs / 2], answer_us(model, data), taken / 1e6, estimate / 1e6);
    if (taken > LITTLE_BYTES && estimate > 0)
        (void)printf("   %.2f", taken / estimate);
    (void)printf("\n");
    rec_model_destroy(&model);
    rec_pool_destroy(&pool);
}

static void measure_apart(const char *spec, const struct rec_dataset *data) {
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        measure(spec, data);
        (void)fflush(stdout);
        _exit(EXIT_SUCCESS);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        (void)printf("%-32s failed\n", spec);
}

int main(int argc, char **argv) {
    struct rec_error err = {0};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    char path[TEXT_BYTES];
    (void)snprintf(path, sizeof(path), "%s/ml-1m", protocols_data());
    struct rec_read_options read = {
        .format = REC_FORMAT_MOVIELENS_1M, .path = path, .now = rec_clock_unix_s()};
    rec_weights_defaults(&weights);
    weights.rating_min = 0;
    check(rec_kernels_init(&err), &err);
    check(rec_dense_init(&err), &err);
    check(rec_dataset_read(&read, &weights, NULL, NULL, &data, &err), &err);
    (void)printf("%u users, %u items, %llu interactions; %d threads; kernels %s, OpenBLAS %s\n",
                 data->users, data->items, (unsigned long long)data->offset[data->users], THREADS,
                 rec_kernels_name(), rec_dense_corename());
    for (int i = 1; i < argc; i++)
        measure_apart(argv[i], data);
    for (size_t i = 0; argc == 1 && rec_families[i] != NULL; i++)
        measure_apart(rec_families[i]->name, data);
    rec_dataset_destroy(&data);
    return EXIT_SUCCESS;
}
