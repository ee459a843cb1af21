/* One trial, and its way into a study and back. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trial.h"

enum { PARAMETERS_BYTES = 1024 }; /* more than a file's parameters take */

/* ---- fit and judge ------------------------------------------------------------------------ */

struct running {
    const struct rec_trial_watch *watch;
    struct rec_tune_trial *trial;
    size_t capacity; /* of its looks */
    bool pruned;
};

static void on_report(void *context, const char *phase, double fraction, double loss) {
    const struct running *running = context;
    bool judging = strcmp(phase, "evaluate") == 0;
    (void)loss;
    running->watch->report(running->watch->context,
                           judging ? 0.9 + 0.1 * fraction : 0.9 * fraction);
}

/* A look that finds no memory is not worth ending a fit for. */
static bool on_judged(void *context, size_t epoch, double metric) {
    struct running *running = context;
    struct rec_tune_trial *trial = running->trial;
    if (!isfinite(metric) || epoch >= UINT32_MAX || trial->look_count == REC_TRIAL_LOOKS_MAX ||
        rec_alloc_grow(&trial->looks, &running->capacity, trial->look_count + 1,
                       sizeof(*trial->looks), NULL) != REC_OK)
        return true;
    trial->looks[trial->look_count++] =
        (struct rec_study_look){.epoch = (uint32_t)epoch, .value = metric};
    running->pruned =
        !running->watch->look(running->watch->context, trial->looks, trial->look_count);
    return !running->pruned;
}

static enum rec_status measure(const struct rec_tune_options *options,
                               const struct rec_model *model, const struct rec_progress *progress,
                               double *value, struct rec_error *err) {
    struct rec_ranking ranking = {0};
    const struct rec_evaluate_options how = {.ks = &options->k, .k_count = 1, .progress = progress};
    enum rec_status st = rec_evaluate(model, options->split, &how, &ranking, err);
    if (st != REC_OK)
        return st;
    *value = rec_metric_get(options->metric, &ranking);
    return isfinite(*value) ? REC_OK
                            : rec_error_set(err, REC_CORRUPT, "its %s@%u is not a number",
                                            options->metric->name, options->k);
}

static enum rec_status fit_and_measure(const struct rec_tune_options *options,
                                       struct running *running, double *value,
                                       struct rec_error *err) {
    const struct rec_progress progress = {.report = on_report,
                                          .context = running,
                                          .cancel = running->watch->stop,
                                          .judged = on_judged};
    struct rec_params params = options->space->start;
    struct rec_model *model = NULL;
    const struct rec_fit fit = {.data = options->split->train,
                                .params = &params,
                                .seed = options->seed,
                                .progress = &progress,
                                .memory_bytes_max = options->memory_bytes_max / options->workers};
    memcpy(params.value, running->trial->param, sizeof(params.value));
    enum rec_status st = rec_model_fit(options->space->family, &fit, &model, err);
    if (st == REC_OK)
        st = measure(options, model, &progress, value, err);
    rec_model_destroy(&model);
    return st;
}

static double best_look(const struct rec_tune_trial *trial) {
    double best = (double)NAN;
    for (size_t i = 0; i < trial->look_count; i++)
        best = fmax(best, trial->looks[i].value); /* a NAN gives way */
    return best;
}

bool rec_trial_run(const struct rec_tune_options *options, const struct rec_trial_watch *watch,
                   struct rec_tune_trial *trial) {
    struct running running = {.watch = watch, .trial = trial};
    struct rec_error cause = {0};
    uint64_t begin_ns = rec_clock_monotonic_ns();
    enum rec_status st = fit_and_measure(options, &running, &trial->value, &cause);
    trial->seconds = (double)(rec_clock_monotonic_ns() - begin_ns) / 1e9;
    trial->state = REC_STUDY_COMPLETE;
    if (st == REC_OK)
        return true;
    if (st == REC_CANCELLED && !running.pruned)
        return false;
    trial->state = running.pruned ? REC_STUDY_PRUNED : REC_STUDY_FAILED;
    trial->value = running.pruned ? best_look(trial) : (double)NAN;
    if (!running.pruned)
        (void)snprintf(trial->error, sizeof(trial->error), "%s",
                       cause.text[0] != '\0' ? cause.text : rec_error_text(st));
    return true;
}

/* ---- books -------------------------------------------------------------------------------- */

static bool is_better(const struct rec_tune_trial *a, const struct rec_tune_trial *b) {
    if (a->value > b->value || a->value < b->value)
        return a->value > b->value;
    return a->number < b->number;
}

enum rec_status rec_trial_add(struct rec_tune_search *search, struct rec_tune_trial *trial,
                              struct rec_error *err) {
    bool first = search->best == search->count;
    enum rec_status st = rec_alloc_grow(&search->trials, &search->capacity, search->count + 1,
                                        sizeof(*search->trials), err);
    if (st != REC_OK)
        return st;
    search->trials[search->count] = *trial;
    trial->looks = NULL;
    trial->look_count = 0;
    search->complete += trial->state == REC_STUDY_COMPLETE;
    search->pruned += trial->state == REC_STUDY_PRUNED;
    search->failed += trial->state == REC_STUDY_FAILED;
    bool best = trial->state == REC_STUDY_COMPLETE &&
                (first || is_better(trial, &search->trials[search->best]));
    search->count++;
    if (first || best)
        search->best = best ? search->count - 1 : search->count;
    return REC_OK;
}

enum rec_status rec_trial_keep(const struct rec_tune_options *options,
                               const struct rec_tune_trial *trial, struct rec_error *err) {
    char text[PARAMETERS_BYTES];
    struct rec_params params = options->space->start;
    if (options->study == NULL)
        return REC_OK;
    memcpy(params.value, trial->param, sizeof(params.value));
    (void)rec_params_write(&params, text, sizeof(text));
    const struct rec_study_trial row = {.number = trial->number + 1, /* as people see it */
                                        .state = trial->state,
                                        .value = trial->value,
                                        .seconds = trial->seconds,
                                        .parameters = text,
                                        .error = trial->error,
                                        .looks = trial->looks,
                                        .look_count = trial->look_count};
    return rec_study_add(options->study, &row, err);
}

struct restoring {
    const struct rec_tune_options *options;
    struct rec_tune_search *search;
};

static enum rec_status copy_looks(struct rec_tune_trial *trial, const struct rec_study_trial *row,
                                  struct rec_error *err) {
    if (row->look_count == 0)
        return REC_OK;
    trial->looks = rec_alloc_array(row->look_count, sizeof(*trial->looks));
    if (trial->looks == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the looks of trial %u",
                             row->number);
    memcpy(trial->looks, row->looks, row->look_count * sizeof(*trial->looks));
    trial->look_count = row->look_count;
    return REC_OK;
}

static enum rec_status on_row(void *context, const struct rec_study_trial *row,
                              struct rec_error *err) {
    struct restoring *restoring = context;
    struct rec_params params = restoring->options->space->start;
    struct rec_error cause = {0};
    struct rec_tune_trial trial = {.number = row->number - 1,
                                   .state = row->state,
                                   .value = row->value,
                                   .seconds = row->seconds};
    if (row->number == 0)
        return rec_error_set(err, REC_CORRUPT,
                             "its trials are numbered from 0, not from 1, as they "
                             "were before; name another file");
    if (restoring->search->count == REC_TRIALS_MAX || row->number > 2 * REC_TRIALS_MAX)
        return rec_error_set(err, REC_CORRUPT, "holds more than %d trials", REC_TRIALS_MAX);
    if (rec_params_read(&params, row->parameters, &cause) != REC_OK)
        return rec_error_set(err, REC_CORRUPT, "trial %u is not one of %s: %s", row->number,
                             restoring->options->space->family->name, cause.text);
    memcpy(trial.param, params.value, sizeof(trial.param));
    (void)snprintf(trial.error, sizeof(trial.error), "%s", row->error);
    enum rec_status st = copy_looks(&trial, row, err);
    if (st == REC_OK)
        st = rec_trial_add(restoring->search, &trial, err);
    rec_alloc_free(trial.looks);
    return st;
}

enum rec_status rec_trial_restore(const struct rec_tune_options *options,
                                  struct rec_tune_search *search, struct rec_error *err) {
    struct restoring restoring = {.options = options, .search = search};
    if (options->study == NULL)
        return REC_OK;
    enum rec_status st = rec_study_read(options->study, on_row, &restoring, err);
    search->resumed = search->count;
    return st;
}
