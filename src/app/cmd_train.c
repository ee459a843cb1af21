/* recsysd train: fits one model on everything in the database and writes it to
 * a file. It only reads the database, so it may run beside a daemon. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "app.h"
#include "recsysd/train.h"

static void on_report(void *context, const char *phase, double fraction, double loss) {
    char detail[48] = "";
    if (!isnan(loss))
        (void)snprintf(detail, sizeof(detail), "loss %.6g", loss);
    progress_draw(context, phase, fraction, detail);
}

static enum rec_status make_spec(const struct config *config, struct rec_train_spec *spec,
                                 struct rec_error *err) {
    enum rec_status st =
        rec_family_find(rec_families, config_text(config, SET_MODEL), &spec->family, err);
    if (st != REC_OK)
        return st;
    rec_params_defaults(spec->family->params, spec->family->param_count, &spec->params);
    for (size_t i = 0; i < config->list_count && st == REC_OK; i++)
        st = rec_params_set(&spec->params, config->list[i], err);
    if (st == REC_OK)
        st = rec_families_check(&spec->params, err);
    spec->seed = (uint64_t)config_integer(config, SET_SEED);
    return st;
}

/* The model to go on from, or NULL where none is named. */
static enum rec_status load_start(const struct config *config, struct rec_store *store,
                                  struct rec_train_spec *spec, struct rec_model **out,
                                  struct rec_error *err) {
    const char *path = config_text(config, SET_START);
    if (path[0] == '\0')
        return REC_OK;
    enum rec_status st =
        rec_modelfile_load(path, rec_families, rec_store_identity(store), 0, out, NULL, err);
    if (st != REC_OK)
        return st;
    if ((*out)->family != spec->family)
        return rec_error_set(err, REC_BAD_INPUT, "start: '%s' is a model of %s, not of %s", path,
                             (*out)->family->name, spec->family->name);
    spec->start = &(*out)->tensors;
    return REC_OK;
}

/* A name of its own per run: the low bits of the clock tell apart what two runs make in a second.
 */
static enum rec_status save(const struct rec_model *model, struct rec_model_info *info,
                            const char *path, struct rec_error *err) {
    info->trained_at = rec_clock_unix_s();
    rec_versions_name(info->family, info->trained_at, rec_clock_monotonic_ns() >> 10,
                      info->version);
    return rec_modelfile_save(model, info, path, err);
}

/* began: the settings were in order, so that what fails from there on is the work. */
static enum rec_status fit_and_save(const struct config *config, struct rec_store *store,
                                    const char *path, bool *began, struct rec_error *err) {
    struct progress_line line;
    struct rec_progress progress = {.report = on_report, .context = &line};
    struct rec_train_context context = {
        .store = store, .progress = &progress, .memory_bytes_max = app_memory(config)};
    struct rec_train_spec spec = {0};
    struct rec_train_result result = {0};
    struct rec_model_info info = {0};
    struct rec_model *model = NULL, *start = NULL;
    struct rec_weights weights;
    enum rec_status st;

    progress_start(&line, config_flag(config, SET_PROGRESS));
    st = app_weights(config, &weights, err);
    if (st == REC_OK)
        st = make_spec(config, &spec, err);
    if (st == REC_OK)
        st = load_start(config, store, &spec, &start, err);
    if (st == REC_OK)
        st = rec_pool_create(app_threads(config_integer(config, SET_THREADS), REC_THREADS_MAX),
                             false, &context.pool, err);
    context.weights = &weights;
    *began = st == REC_OK;
    if (st == REC_OK)
        st = rec_train_run(&context, &spec, &result, &model, &info, err);
    progress_end(&line);
    if (st == REC_OK)
        st = save(model, &info, path, err);
    if (st == REC_OK) {
        char recorded[32], items[32];
        (void)printf("%s: %s version %s, fitted in %.2f s on %s interactions, %s items\n", path,
                     info.family, info.version, result.fit_s, format_count(info.recorded, recorded),
                     format_count(info.items, items));
    }
    rec_model_destroy(&model);
    rec_model_destroy(&start);
    rec_pool_destroy(&context.pool);
    return st;
}

int cmd_train(const struct config *config) {
    struct rec_store_options options = {.path = config_text(config, SET_DB)};
    struct rec_store *store = NULL;
    struct rec_error err = {0};
    char path[PATH_MAX];
    bool began = false;

    app_model_path(config, SET_OUT, path, sizeof(path));
    enum rec_status st = app_check_model_output(path, &err);
    if (st == REC_OK)
        st = rec_store_open(&options, &store, &err);
    if (st == REC_OK)
        st = fit_and_save(config, store, path, &began, &err);
    rec_store_close(&store);
    if (st == REC_OK)
        return EXIT_DONE;
    (void)app_fail(&err);
    return st == REC_BAD_INPUT && !began ? EXIT_USAGE : EXIT_FAILED;
}
