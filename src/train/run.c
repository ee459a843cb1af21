/* One training run, from a snapshot of the store to a live model, with a search for parameters
 * before it where that is asked for.
 *
 * Nothing outside the run changes before versions_publish, and that is the last step: a run that
 * fails, is cancelled or is not better leaves the files and the live model as they were. What is
 * judged is fitted without the hold-out (judge.c); what is published is fitted again on all data,
 * because the newest events are the ones users will notice missing.
 *
 * Memory: the split is given back before the second fit, and the live generation is held for the
 * judge only, so a swap during the run can free it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"
#include "span.h"

enum phase { SNAPSHOT, TUNE, SPLIT, FIT, JUDGE, REFIT, SAVE, PUBLISH, PHASES };
static const char *const phase_name[PHASES] = {"snapshot", "tune",  "split", "fit",
                                               "judge",    "refit", "save",  "publish"};

/* Everything a run has made so far. */
struct run {
    const struct rec_train_context *context;
    const struct rec_train_spec *spec;
    struct rec_train_spec tuned; /* what spec is after a search */
    char summary[REC_TRAIN_SUMMARY_BYTES];
    struct rec_train_result *result;
    double weight[PHASES]; /* share of the whole, by guess; phases left out weigh 0 */
    struct rec_span span;  /* of the present phase */

    struct rec_dataset *data;
    uint64_t recorded;
    struct rec_generation *live;
    struct rec_holdout holdout;
    struct rec_model *model;
};

static void plan(struct run *run) {
    static const double cost[PHASES] = {5, 40, 2, 40, 25, 45, 2, 1};
    double total = 0.0;
    double rounds = (double)run->spec->trials / (double)rec_pool_threads(run->context->pool);
    for (size_t i = 0; i < PHASES; i++) {
        bool left_out = ((i == SPLIT || i == JUDGE) && !run->spec->judge) ||
                        (i == REFIT && !(run->spec->judge && run->spec->refit)) ||
                        ((i == SAVE || i == PUBLISH) && run->context->versions == NULL);
        run->weight[i] = left_out ? 0.0 : i == TUNE ? rounds * cost[i] : cost[i];
        total += run->weight[i];
    }
    for (size_t i = 0; i < PHASES; i++)
        run->weight[i] /= total;
}

/* Reports the phase, and stops here a run that should stop. */
static enum rec_status enter(struct run *run, enum phase phase, struct rec_error *err) {
    double from = 0.0;
    for (size_t i = 0; i < (size_t)phase; i++)
        from += run->weight[i];
    rec_span_init(&run->span, run->context->progress, phase_name[phase], from,
                  from + run->weight[phase]);
    rec_progress_report(&run->span.inner, phase_name[phase], 0.0, (double)NAN);
    if (rec_progress_cancelled(run->context->progress))
        return rec_error_set(err, REC_CANCELLED, "stopped on request before phase %s",
                             phase_name[phase]);
    return REC_OK;
}

static enum rec_status fit(struct run *run, enum phase phase, const struct rec_dataset *data,
                           struct rec_error *err) {
    enum rec_status st = enter(run, phase, err);
    if (st != REC_OK)
        return st;
    const struct rec_fit fit = {.data = data,
                                .params = &run->spec->params,
                                .seed = run->spec->seed,
                                .pool = run->context->pool,
                                .progress = &run->span.inner,
                                .memory_bytes_max = run->context->memory_bytes_max,
                                .start = run->spec->start};
    uint64_t begin_ns = rec_clock_monotonic_ns();
    st = rec_model_fit(run->spec->family, &fit, &run->model, err);
    run->result->fit_s = (double)(rec_clock_monotonic_ns() - begin_ns) / 1e9;
    return st;
}

static enum rec_status take_snapshot(struct run *run, struct rec_error *err) {
    enum rec_status st = enter(run, SNAPSHOT, err);
    if (st != REC_OK)
        return st;
    return rec_dataset_load(run->context->store, run->context->weights, &run->span.inner,
                            &run->recorded, &run->data, err);
}

/* Finds the parameters that the rest of the run trains. */
static enum rec_status search(struct run *run, struct rec_error *err) {
    struct rec_split *split = NULL;
    enum rec_status st = enter(run, TUNE, err);
    if (st == REC_OK && run->context->search == NULL)
        st = rec_error_set(err, REC_CONFLICT, "tune: there is no search in this process");
    if (st == REC_OK)
        st = rec_judge_search_split(run->data, &split, err);
    if (st != REC_OK)
        return st;
    run->tuned = *run->spec;
    const struct rec_train_search how = {.family = run->spec->family,
                                         .start = &run->spec->params,
                                         .fixed = run->spec->fixed,
                                         .split = split,
                                         .trials = run->spec->trials,
                                         .threads = rec_pool_threads(run->context->pool),
                                         .seed = run->spec->seed,
                                         .memory_bytes_max = run->context->memory_bytes_max,
                                         .progress = &run->span.inner};
    st = run->context->search(&how, &run->tuned.params, run->summary, err);
    if (st == REC_OK)
        run->spec = &run->tuned;
    rec_split_destroy(&split);
    return st;
}

/* {"judged": ...} becomes {"tuned": {...}, "judged": ...}. */
static void mention_search(struct run *run) {
    char *metrics = run->result->metrics;
    char head[REC_TRAIN_SUMMARY_BYTES + 16];
    if (run->summary[0] == '\0' || metrics[0] != '{')
        return;
    (void)snprintf(head, sizeof(head), "{\"tuned\":%s,", run->summary);
    size_t bytes = strlen(head), rest = strlen(metrics + 1);
    if (bytes + rest >= sizeof(run->result->metrics))
        return; /* rather without than cut short */
    memmove(metrics + bytes, metrics + 1, rest + 1);
    memcpy(metrics, head, bytes);
}

/* Fits without the hold-out and compares. Leaves run->model NULL when it measured nothing, and
 * when the model must be fitted again. */
static enum rec_status judge(struct run *run, struct rec_error *err) {
    char *metrics = run->result->metrics;
    enum rec_status st = enter(run, SPLIT, err);
    if (st != REC_OK)
        return st;
    if (run->context->slot != NULL)
        run->live = rec_slot_acquire(run->context->slot);
    st = rec_judge_hold_out(run->context, run->spec, run->data, run->recorded, run->live,
                            &run->holdout, err);
    if (st != REC_OK)
        return st;
    if (run->holdout.split == NULL) {
        rec_judge_write_unjudged(run->holdout.reason, metrics);
        return REC_OK;
    }

    st = fit(run, FIT, run->holdout.split->train, err);
    if (st == REC_OK)
        st = enter(run, JUDGE, err);
    if (st == REC_OK)
        st = rec_judge_compare(run->context, run->spec, &run->holdout, run->model, run->live,
                               &run->span.inner, metrics, err);
    if (st == REC_OK && run->spec->refit)
        rec_model_destroy(&run->model);
    return st;
}

static void release_judged(struct run *run) {
    rec_holdout_finish(&run->holdout);
    if (run->context->slot != NULL)
        rec_slot_release(run->context->slot, &run->live);
}

static void describe(const struct run *run, struct rec_model_info *info) {
    *info = (struct rec_model_info){
        .items = run->model->items, .recorded = run->recorded, .trained_at = rec_clock_unix_s()};
    (void)snprintf(info->database, sizeof(info->database), "%s",
                   rec_store_identity(run->context->store));
    (void)snprintf(info->family, sizeof(info->family), "%s", run->spec->family->name);
    (void)rec_params_write(&run->spec->params, info->parameters, sizeof(info->parameters));
    (void)snprintf(info->metrics, sizeof(info->metrics), "%s", run->result->metrics);
}

static enum rec_status publish(struct run *run, struct rec_model_info *info,
                               struct rec_error *err) {
    enum rec_status st = enter(run, SAVE, err);
    if (st != REC_OK)
        return st;
    /* From here on it is seconds at most, and cannot be taken back: no more cancelling. */
    st = rec_versions_publish(run->context->versions, &run->model, info, err);
    if (st != REC_OK)
        return st;
    (void)snprintf(run->result->version, sizeof(run->result->version), "%s", info->version);
    rec_progress_report(run->context->progress, phase_name[PUBLISH], 1.0, (double)NAN);
    return REC_OK;
}

static enum rec_status run_phases(struct run *run, struct rec_model_info *info,
                                  struct rec_error *err) {
    enum rec_status st = take_snapshot(run, err);
    if (st != REC_OK)
        return st;
    if (run->spec->trials > 0)
        st = search(run, err);
    if (st != REC_OK)
        return st;
    (void)rec_params_write(&run->spec->params, run->result->parameters,
                           sizeof(run->result->parameters));
    if (run->spec->judge)
        st = judge(run, err);
    else
        rec_judge_write_unjudged("not asked for", run->result->metrics);
    mention_search(run);
    release_judged(run);
    if (st != REC_OK)
        return st;

    if (run->model == NULL) {
        bool measured = run->weight[REFIT] > 0.0;
        st = fit(run, measured ? REFIT : FIT, run->data, err);
        if (st != REC_OK)
            return st;
    }
    rec_dataset_destroy(&run->data);
    describe(run, info);
    return run->context->versions != NULL ? publish(run, info, err) : REC_OK;
}

enum rec_status rec_train_run(const struct rec_train_context *context,
                              const struct rec_train_spec *spec, struct rec_train_result *result,
                              struct rec_model **model, struct rec_model_info *info,
                              struct rec_error *err) {
    struct rec_train_result own_result = {0};
    struct rec_model_info own_info = {0};
    struct run run = {.context = context, .spec = spec, .result = &own_result};
    plan(&run);

    enum rec_status st = run_phases(&run, &own_info, err);
    if (st == REC_OK && context->versions == NULL) {
        *model = run.model;
        run.model = NULL;
    }
    if (st == REC_OK && info != NULL)
        *info = own_info;
    /* Metrics are worth showing of a run that was not better, too. */
    if (st == REC_OK || st == REC_NOT_BETTER)
        *result = own_result;

    rec_model_destroy(&run.model);
    rec_dataset_destroy(&run.data);
    return st;
}
