/* recsysd evaluate: models compared on one split of one data set.
 *
 * It reads files, not the database: a comparison others can repeat needs the data set as it was
 * published. Models are fitted one after the other, each with all threads, so that the seconds in
 * the table are those of a machine that does nothing else. Every finished run is appended to the
 * results file at once: an evening of runs that is cut short has still left what it found. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "evaluate.h"

/* Cut-offs for the chart of a metric against k, beside those asked for. */
static const uint32_t chart_ks[] = {1, 2, 5, 10, 20, 50};
enum { CHART_KS = sizeof(chart_ks) / sizeof(chart_ks[0]) };

struct evaluation {
    const struct config *config;
    struct evaluate_data data;
    struct evaluate_model models[EVALUATE_MODELS_MAX];
    size_t model_count;
    struct rec_report report; /* a row for each model that came through */
    struct rec_report_failure *failures;
    const char *results; /* NULL: runs are not appended */
    struct rec_pool *pool;
    struct rec_progress progress;
    struct progress_line line;
    FILE *per_user;
    const char *label; /* of the model now run */
    size_t runs, runs_done;
    size_t seed_at, seeds;
    bool unrecorded; /* runs that were to be appended were not */
};

/* ---- progress -------------------------------------------------------------------------- */

/* The bar is about all runs; most of a run is its fit. */
static void on_report(void *context, const char *phase, double fraction, double loss) {
    struct evaluation *evaluation = context;
    char detail[160], shown[32] = "";
    double share = strcmp(phase, "evaluate") == 0 ? 0.8 + 0.2 * fraction : 0.8 * fraction;
    if (!isnan(loss))
        (void)snprintf(shown, sizeof(shown), "  loss %.6g", loss);
    (void)snprintf(detail, sizeof(detail), "%.48s %zu of %zu: %.40s%s", evaluation->label,
                   evaluation->seed_at + 1, evaluation->seeds, phase, shown);
    progress_draw(&evaluation->line, "evaluate",
                  ((double)evaluation->runs_done + share) / (double)evaluation->runs, detail);
}

/* ---- each user's values ------------------------------------------------------------------ */

/* Always quoted, as ids may hold what CSV must quote. */
static void write_id(FILE *out, const char *id) {
    (void)fputc('"', out);
    for (; *id != '\0'; id++) {
        if (*id == '"')
            (void)fputc('"', out);
        (void)fputc(*id, out);
    }
    (void)fputc('"', out);
}

static void on_user(void *context, uint32_t user, uint64_t positives,
                    const struct rec_ranking *at) {
    struct evaluation *evaluation = context;
    const struct rec_report *report = &evaluation->report;
    FILE *out = evaluation->per_user;
    for (size_t c = 0; c < report->k_count; c++) {
        if (!report->shown[c])
            continue;
        (void)fprintf(out, "%s,", evaluation->label);
        write_id(out, evaluate_data_user(&evaluation->data, user));
        (void)fprintf(out, ",%llu,%u", (unsigned long long)positives, report->ks[c]);
        for (size_t m = 0; m < rec_metric_count; m++)
            if (!rec_metrics[m].of_lists)
                (void)fprintf(out, ",%.9g", rec_metric_get(&rec_metrics[m], &at[c]));
        (void)fputc('\n', out);
    }
}

static enum rec_status open_per_user(struct evaluation *evaluation, struct rec_error *err) {
    const char *path = config_text(evaluation->config, SET_PER_USER);
    if (path[0] == '\0')
        return REC_OK;
    evaluation->per_user = fopen(path, "w");
    if (evaluation->per_user == NULL)
        return rec_error_set(err, REC_IO, "cannot write %s: %s", path, strerror(errno));
    (void)fputs("model,user,liked_in_train,k", evaluation->per_user);
    for (size_t m = 0; m < rec_metric_count; m++)
        if (!rec_metrics[m].of_lists)
            (void)fprintf(evaluation->per_user, ",%s", rec_metrics[m].name);
    (void)fputc('\n', evaluation->per_user);
    return REC_OK;
}

static enum rec_status close_per_user(struct evaluation *evaluation, struct rec_error *err) {
    if (evaluation->per_user == NULL)
        return REC_OK;
    bool bad = ferror(evaluation->per_user) != 0;
    bad = fclose(evaluation->per_user) != 0 || bad;
    evaluation->per_user = NULL;
    return bad ? rec_error_set(err, REC_IO, "cannot write %s",
                               config_text(evaluation->config, SET_PER_USER))
               : REC_OK;
}

/* ---- runs ------------------------------------------------------------------------------------ */

static enum rec_status measure(struct evaluation *evaluation, const struct rec_model *model,
                               struct rec_report_run *run, struct rec_ranking *at,
                               struct rec_ranking *buckets, struct rec_error *err) {
    const struct rec_report *report = &evaluation->report;
    bool per_user = evaluation->per_user != NULL && evaluation->seed_at == 0;
    const struct rec_evaluate_options options = {.ks = report->ks,
                                                 .k_count = report->k_count,
                                                 .pool = evaluation->pool,
                                                 .progress = &evaluation->progress,
                                                 .buckets = report->by_bucket ? buckets : NULL,
                                                 .user = per_user ? on_user : NULL,
                                                 .user_context = evaluation};
    uint64_t start_ns = rec_clock_monotonic_ns();
    enum rec_status st = rec_evaluate(model, evaluation->data.split, &options, at, err);
    double seconds = (double)(rec_clock_monotonic_ns() - start_ns) / 1e9;
    run->at = at;
    run->buckets = options.buckets;
    run->users_s = (double)report->tested / (seconds > 0.0 ? seconds : 1e-9);
    return st;
}

/* What was measured is worth more than its record: a disk that fills up ends the record only. */
static void append(struct evaluation *evaluation, const struct rec_report_run *run) {
    struct rec_error cause = {0};
    if (evaluation->results == NULL ||
        rec_report_append(&evaluation->report, evaluation->report.count, run, evaluation->results,
                          &cause) == REC_OK)
        return;
    (void)app_fail(&cause);
    evaluation->results = NULL;
    evaluation->unrecorded = true;
}

static enum rec_status run_once(struct evaluation *evaluation, size_t m, uint64_t seed,
                                struct rec_error *err) {
    const struct evaluate_model *what = &evaluation->models[m];
    struct rec_ranking at[REC_REPORT_KS_MAX], buckets[REC_BUCKETS * REC_REPORT_KS_MAX];
    struct rec_report_run run = {.seed = seed};
    struct rec_model *model = NULL;
    const struct rec_fit fit = {.data = evaluation->data.split->train,
                                .params = &what->params,
                                .seed = seed,
                                .pool = evaluation->pool,
                                .progress = &evaluation->progress,
                                .memory_bytes_max = app_memory(evaluation->config)};
    uint64_t start_ns = rec_clock_monotonic_ns();
    enum rec_status st = rec_model_fit(what->family, &fit, &model, err);
    run.fit_s = (double)(rec_clock_monotonic_ns() - start_ns) / 1e9;
    if (st == REC_OK)
        st = measure(evaluation, model, &run, at, buckets, err);
    if (st == REC_OK) {
        rec_report_add(&evaluation->report, evaluation->report.count, &run);
        append(evaluation, &run);
    }
    rec_model_destroy(&model);
    return st;
}

static void begin_row(struct evaluation *evaluation, const struct evaluate_model *model) {
    struct rec_report_row *row = &evaluation->report.rows[evaluation->report.count];
    *row = (struct rec_report_row){.seeds = 0}; /* a model that failed may have left something */
    (void)snprintf(row->label, sizeof(row->label), "%s", model->label);
    (void)snprintf(row->family, sizeof(row->family), "%s", model->family->name);
    (void)rec_params_write(&model->params, row->parameters, sizeof(row->parameters));
}

static void note_failure(struct evaluation *evaluation, enum rec_status st, const char *cause) {
    const struct rec_report_row *row = &evaluation->report.rows[evaluation->report.count];
    struct rec_report_failure *failure = &evaluation->failures[evaluation->report.failed++];
    struct rec_error said = {0};
    (void)snprintf(failure->label, sizeof(failure->label), "%s", row->label);
    (void)snprintf(failure->family, sizeof(failure->family), "%s", row->family);
    (void)snprintf(failure->parameters, sizeof(failure->parameters), "%s", row->parameters);
    (void)snprintf(failure->reason, sizeof(failure->reason), "%s",
                   app_without_name(cause[0] != '\0' ? cause : rec_error_text(st), row->family));
    (void)rec_error_set(&said, st, "%s: %s", row->label, failure->reason);
    progress_end(&evaluation->line);
    (void)app_fail(&said);
}

/* A model that fails takes nothing from the others. */
static void run_all(struct evaluation *evaluation) {
    uint64_t seed = (uint64_t)config_integer(evaluation->config, SET_SEED);
    evaluation->runs = evaluation->model_count * evaluation->seeds;
    for (size_t m = 0; m < evaluation->model_count; m++) {
        struct rec_error cause = {0};
        enum rec_status st = REC_OK;
        evaluation->label = evaluation->models[m].label;
        evaluation->runs_done = m * evaluation->seeds;
        begin_row(evaluation, &evaluation->models[m]);
        for (size_t s = 0; st == REC_OK && s < evaluation->seeds; s++, evaluation->runs_done++) {
            evaluation->seed_at = s;
            st = run_once(evaluation, m, seed + s, &cause);
        }
        if (st == REC_OK)
            evaluation->report.count++;
        else
            note_failure(evaluation, st, cause.text);
    }
}

/* ---- before and after ------------------------------------------------------------------- */

static bool holds(const uint32_t *ks, size_t count, uint32_t k) {
    for (size_t i = 0; i < count; i++)
        if (ks[i] == k)
            return true;
    return false;
}

/* The cut-offs asked for, and for a page with charts some more, in rising order. */
static enum rec_status set_ks(struct rec_report *report, const struct config *config,
                              struct rec_error *err) {
    uint32_t asked[REC_REPORT_KS_MAX];
    size_t count = 0;
    enum rec_status st = evaluate_ks_read(config_text(config, SET_K), asked, &count, err);
    if (st != REC_OK)
        return st;
    bool charts = config_text(config, SET_HTML)[0] != '\0' && count + CHART_KS <= REC_REPORT_KS_MAX;
    for (uint32_t k = 1; k <= REC_K_MAX; k++) {
        bool shown = holds(asked, count, k);
        if (!shown && !(charts && holds(chart_ks, CHART_KS, k)))
            continue;
        report->shown[report->k_count] = shown;
        report->ks[report->k_count++] = k;
    }
    return REC_OK;
}

static enum rec_status make_report(struct evaluation *evaluation, struct rec_error *err) {
    struct rec_report *report = &evaluation->report;
    report->version = RECSYSD_VERSION;
    report->made_at = rec_clock_unix_s();
    report->data = evaluation->data.name;
    report->protocol = &evaluation->data.protocol;
    report->rated = evaluation->data.rated;
    report->parts_given = evaluation->data.parts_given;
    report->part = evaluation->data.on_validation ? "validation" : "test";
    /* The page has its chart by length of history in any case. */
    report->by_bucket = config_flag(evaluation->config, SET_BY_BUCKET) ||
                        config_text(evaluation->config, SET_HTML)[0] != '\0';
    report->rows = rec_alloc_array(evaluation->model_count, sizeof(*report->rows));
    evaluation->failures = rec_alloc_array(evaluation->model_count, sizeof(*evaluation->failures));
    report->failures = evaluation->failures;
    if (report->rows == NULL || report->failures == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a report");
    rec_report_begin(report, evaluation->data.split);
    return REC_OK;
}

/* A file that was named must be writable, and that is seen before hours of fitting; where only the
 * default cannot be written, the table is what counts. */
static enum rec_status open_results(struct evaluation *evaluation, struct rec_error *err) {
    const char *path = config_text(evaluation->config, SET_RESULTS);
    struct rec_error cause = {0};
    if (strcmp(path, "none") == 0)
        return REC_OK;
    if (rec_report_writable(path, &cause) == REC_OK) {
        evaluation->results = path;
        return REC_OK;
    }
    if (config_given(evaluation->config, SET_RESULTS))
        return rec_error_set(err, cause.status, "results: %s", cause.text);
    (void)fprintf(stderr, "note: %s; runs are not recorded\n", cause.text);
    return REC_OK;
}

/* What is written at the end, of all runs. */
static const struct report_file {
    enum setting_id id;
    rec_report_fn write;
} report_files[] = {
    {SET_JSON, rec_report_json}, {SET_CSV, rec_report_csv}, {SET_HTML, rec_report_html}};
enum { REPORT_FILES = sizeof(report_files) / sizeof(report_files[0]) };

/* For the same reason as with the results. */
static enum rec_status check_reports(const struct config *config, struct rec_error *err) {
    for (size_t i = 0; i < REPORT_FILES; i++) {
        const char *path = config_text(config, report_files[i].id);
        enum rec_status st =
            path[0] == '\0' || strcmp(path, "-") == 0 ? REC_OK : rec_report_writable(path, err);
        if (st != REC_OK)
            return st;
    }
    return REC_OK;
}

static enum rec_status begin(struct evaluation *evaluation, struct rec_error *err) {
    const struct config *config = evaluation->config;
    evaluation->seeds = (size_t)config_integer(config, SET_SEEDS);
    enum rec_status st =
        evaluate_models_read(config, evaluation->models, &evaluation->model_count, err);
    if (st == REC_OK)
        st = set_ks(&evaluation->report, config, err);
    evaluation->data.command = "evaluate";
    if (st == REC_OK)
        st = evaluate_choice_read(config, SET_ON, "on", "test", "validation",
                                  &evaluation->data.on_validation, err);
    if (st == REC_OK)
        st = evaluate_data_read(&evaluation->data, config, &evaluation->line, err);
    if (st == REC_OK)
        st = make_report(evaluation, err);
    if (st == REC_OK)
        st = rec_pool_create(app_threads(config_integer(config, SET_THREADS), REC_THREADS_MAX),
                             false, &evaluation->pool, err);
    if (st == REC_OK)
        st = open_per_user(evaluation, err);
    if (st == REC_OK)
        st = check_reports(config, err);
    if (st == REC_OK)
        st = open_results(evaluation, err);
    return st;
}

static enum rec_status write_reports(const struct evaluation *evaluation, struct rec_error *err) {
    struct rec_report asked = evaluation->report;
    enum rec_status st = REC_OK;
    asked.by_bucket = config_flag(evaluation->config, SET_BY_BUCKET);
    rec_report_text(&asked, stdout);
    for (size_t i = 0; i < REPORT_FILES; i++) {
        const struct report_file *file = &report_files[i];
        const char *path = config_text(evaluation->config, file->id);
        const struct rec_report *report = file->id == SET_HTML ? &evaluation->report : &asked;
        if (st == REC_OK && path[0] != '\0')
            st = rec_report_save(report, file->write, path, err);
    }
    return st;
}

int cmd_evaluate(const struct config *config) {
    struct rec_error err = {0};
    struct evaluation *evaluation = rec_alloc_array(1, sizeof(*evaluation));
    if (evaluation == NULL) {
        (void)rec_error_set(&err, REC_NO_MEMORY, "no memory for an evaluation");
        return app_fail(&err);
    }
    evaluation->config = config;
    evaluation->progress = (struct rec_progress){.report = on_report, .context = evaluation};
    progress_start(&evaluation->line, config_flag(config, SET_PROGRESS));

    enum rec_status st = begin(evaluation, &err);
    if (st == REC_OK)
        run_all(evaluation);
    progress_end(&evaluation->line);
    enum rec_status closed = close_per_user(evaluation, &err);
    if (st == REC_OK)
        st = closed;
    if (st == REC_OK)
        st = write_reports(evaluation, &err);

    bool whole = evaluation->report.failed == 0 && !evaluation->unrecorded;
    rec_alloc_free(evaluation->failures);
    rec_alloc_free(evaluation->report.rows);
    rec_pool_destroy(&evaluation->pool);
    evaluate_data_finish(&evaluation->data);
    rec_alloc_free(evaluation);
    if (st == REC_OK)
        return whole ? EXIT_DONE : EXIT_FAILED;
    (void)app_fail(&err);
    return st == REC_BAD_INPUT ? EXIT_USAGE : EXIT_FAILED;
}
