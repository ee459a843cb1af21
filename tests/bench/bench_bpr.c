/* How long bpr, or biased-mf, trains on the positives of ml-1m (rating >= 4), and what its answers
 * are worth by the protocol last-five: folded in from the history, as requests are answered, beside
 * the rows that training found for the same users, which no model keeps.
 *
 *   bench_bpr [family=bpr|biased-mf] [threads=2] [runs=3] [on=test|validation] [PARAMETER=VALUE
 * ...]
 *
 * bench_bpr_implicit.py measures the library `implicit` on the same data. Data: RECSYSD_TEST_DATA,
 * or shared/data beside the source tree. It prints figures and judges nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "families/biased_mf.h"
#include "families/bpr.h"
#include "protocols.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"

enum { RUNS_MAX = 20 };

struct setting {
    const struct rec_family *family;
    enum rec_status (*fit)(const struct rec_fit *fit, struct rec_tensors *out, float **users,
                           struct rec_error *err);
    struct rec_params params;
    int64_t threads, runs;
    bool on_validation;
    struct rec_pool *pool;
};

static const float *trained_users; /* [users x query_floats], while trained_query is asked */

static void check(enum rec_status st, const struct rec_error *err) {
    if (st == REC_OK)
        return;
    (void)fprintf(stderr, "bench_bpr: %s\n", err->text);
    exit(EXIT_FAILURE);
}

static double seconds_since(uint64_t start_ns) {
    return (double)(rec_clock_monotonic_ns() - start_ns) / 1e9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool trained_query(const struct rec_model *model, const struct rec_history *history,
                          float *query, float *scratch) {
    (void)scratch;
    memcpy(query, trained_users + history->user * model->query_floats,
           model->query_floats * sizeof(*query));
    query[model->query_floats - 1] = 1.0f; /* biased-mf keeps the user's bias there */
    return true;
}

static void judge(const struct setting *setting, const struct rec_split *split,
                  const struct rec_model *model, const char *what) {
    static const uint32_t k = 10;
    const struct rec_evaluate_options options = {.ks = &k, .k_count = 1, .pool = setting->pool};
    struct rec_error err = {.status = REC_OK};
    struct rec_ranking ranking;
    uint64_t start_ns = rec_clock_monotonic_ns();
    check(rec_evaluate(model, split, &options, &ranking, &err), &err);
    (void)printf("%s: ndcg@10 %.4f, recall@10 %.4f, coverage@10 %.3f; %.0f users a second\n", what,
                 ranking.ndcg, ranking.recall, ranking.coverage,
                 (double)ranking.users / seconds_since(start_ns));
}

static void measure_answers(struct setting *setting) {
    const struct protocol ml_1m = {"last-five", "ml-1m", REC_FORMAT_MOVIELENS_1M};
    struct rec_family trained = *setting->family;
    struct rec_error err = {.status = REC_OK};
    struct rec_split *split = NULL;
    struct rec_tensors tensors = {.count = 0}, copy = {.count = 0};
    struct rec_model *model = NULL;
    float *users = NULL;
    trained.query = trained_query;
    check(setting->on_validation ? protocol_split_validation(&ml_1m, &split, &err)
                                 : protocol_split(&ml_1m, &split, &err),
          &err);
    struct rec_fit fit = {
        .data = split->train, .params = &setting->params, .seed = 1, .pool = setting->pool};
    uint32_t items = split->train->items;
    check(setting->fit(&fit, &tensors, &users, &err), &err);
    check(rec_tensors_copy(&tensors, &copy, &err), &err);
    check(rec_model_open(setting->family, items, &setting->params, &tensors, &model, &err), &err);
    judge(setting, split, model, "last-five, folded in");
    rec_model_destroy(&model);
    check(rec_model_open(&trained, items, &setting->params, &copy, &model, &err), &err);
    trained_users = users;
    judge(setting, split, model, "last-five, trained rows");
    rec_model_destroy(&model);
    rec_alloc_free(users);
    rec_split_destroy(&split);
}

static void measure_training(struct setting *setting) {
    struct rec_error err = {.status = REC_OK};
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    double took_s[RUNS_MAX];
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/ml-1m", protocols_data());
    struct rec_read_options read = {
        .format = REC_FORMAT_MOVIELENS_1M, .path = path, .now = rec_clock_unix_s()};
    rec_weights_defaults(&weights);
    check(rec_dataset_read(&read, &weights, NULL, NULL, &data, &err), &err);
    for (size_t run = 0; run < (size_t)setting->runs; run++) {
        struct rec_tensors tensors = {.count = 0};
        struct rec_fit fit = {
            .data = data, .params = &setting->params, .seed = 1, .pool = setting->pool};
        uint64_t start_ns = rec_clock_monotonic_ns();
        check(setting->family->fit(&fit, &tensors, &err), &err);
        took_s[run] = seconds_since(start_ns);
        rec_tensors_finish(&tensors);
    }
    qsort(took_s, (size_t)setting->runs, sizeof(took_s[0]), by_value);
    (void)printf("training: median of %lld: %.2f s, best %.2f s\n", (long long)setting->runs,
                 took_s[setting->runs / 2], took_s[0]);
    rec_dataset_destroy(&data);
}

static void parse(int argc, char **argv, struct setting *setting) {
    struct rec_error err = {.status = REC_OK};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "threads=", 8) == 0)
            check(rec_text_i64("threads", argv[i] + 8, 1, REC_THREADS_MAX, &setting->threads, &err),
                  &err);
        else if (strncmp(argv[i], "runs=", 5) == 0)
            check(rec_text_i64("runs", argv[i] + 5, 0, RUNS_MAX, &setting->runs, &err), &err);
        else if (strncmp(argv[i], "family=", 7) == 0)
            continue; /* read before the parameters */
        else if (strncmp(argv[i], "on=", 3) == 0)
            setting->on_validation = strcmp(argv[i], "on=validation") == 0;
        else
            check(rec_params_set(&setting->params, argv[i], &err), &err);
    }
}

int main(int argc, char **argv) {
    struct rec_error err = {.status = REC_OK};
    struct setting setting = {
        .family = &rec_bpr_family, .fit = rec_bpr_fit_users, .threads = 2, .runs = 3};
    char text[512];
    if (argc > 1 && strcmp(argv[1], "family=biased-mf") == 0) {
        setting.family = &rec_biased_mf_family;
        setting.fit = rec_biased_mf_fit_users;
    }
    rec_params_defaults(setting.family->params, setting.family->param_count, &setting.params);
    parse(argc, argv, &setting);
    check(rec_dense_init(&err), &err);
    check(rec_kernels_init(&err), &err);
    check(rec_pool_create((size_t)setting.threads, false, &setting.pool, &err), &err);
    (void)rec_params_write(&setting.params, text, sizeof(text));
    (void)printf("ml-1m, %s, %lld threads, kernels %s: %s\n", setting.family->name,
                 (long long)setting.threads, rec_kernels_name(), text);
    if (setting.runs > 0)
        measure_training(&setting);
    measure_answers(&setting);
    rec_pool_destroy(&setting.pool);
    return 0;
}
