/* recsysd tune: the parameters of a family that rank best.
 *
 * It reads and splits as recsysd evaluate does and searches on the validation part alone. The test
 * part is looked at once, at the end, with the winner, and with the start to tell what the search
 * was worth: whoever looks at it for every trial has made it a second validation part. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate.h"
#include "recsysd/tune.h"

struct tuning {
    const struct config *config;
    struct evaluate_model model; /* its start */
    bool fixed[REC_PARAMS_MAX];
    char set[512]; /* what is fixed, for the study */
    struct evaluate_data data;
    struct rec_split *test; /* for the end; made before, as an empty one is better known then */
    struct rec_tune_space space;
    struct rec_tune_options options;
    struct rec_tune_search search;
    struct rec_study *study;
    struct progress_line line;
    double seconds;                /* of the search */
    double on_test, start_on_test; /* the metric; NAN: not judged */
};

/* ---- progress ----------------------------------------------------------------------------- */

static void on_tick(void *context, const struct rec_tune_search *search, double fraction) {
    struct tuning *tuning = context;
    char detail[128], best[48] = "";
    if (search->best < search->count)
        (void)snprintf(best, sizeof(best), ", best %.4f", search->trials[search->best].value);
    (void)snprintf(detail, sizeof(detail), "%zu of %zu trials%s", search->count,
                   tuning->options.trials, best);
    progress_draw(&tuning->line, "tune", fraction, detail);
}

/* What a trial searched, without what all trials share. */
static void write_searched(const struct rec_tune_space *space, const struct rec_tune_trial *trial,
                           char *out, size_t cap) {
    struct rec_params all = space->start;
    size_t used = 0;
    out[0] = '\0';
    memcpy(all.value, trial->param, sizeof(all.value));
    for (size_t d = 0; d < space->count && used + 1 < cap; d++) {
        size_t row = space->dim[d].row;
        struct rec_params one = {.table = &all.table[row], .count = 1, .value = {all.value[row]}};
        if (d > 0)
            out[used++] = ' ';
        used += rec_params_write(&one, out + used, cap - used);
    }
}

/* On a terminal the line that is redrawn says enough. */
static void on_ended(void *context, const struct rec_tune_search *search,
                     const struct rec_tune_trial *trial) {
    struct tuning *tuning = context;
    char parameters[512], value[480];
    if (tuning->line.terminal)
        return;
    if (trial->state == REC_STUDY_FAILED)
        (void)snprintf(value, sizeof(value), "failed: %s", trial->error);
    else if (trial->state == REC_STUDY_PRUNED) /* its looks are at users of its own */
        (void)snprintf(value, sizeof(value), "given up after epoch %u",
                       trial->looks[trial->look_count - 1].epoch);
    else
        (void)snprintf(value, sizeof(value), "%.4f", trial->value);
    write_searched(&tuning->space, trial, parameters, sizeof(parameters));
    (void)fprintf(stderr, "trial %u of %zu: %s  %.1f s  %s", trial->number + 1,
                  tuning->options.trials, value, trial->seconds, parameters);
    if (search->best < search->count)
        (void)fprintf(stderr, "  (best %.4f)", search->trials[search->best].value);
    (void)fputc('\n', stderr);
}

/* ---- before ---------------------------------------------------------------------------------- */

static void describe_set(struct tuning *tuning) {
    size_t used = 0;
    for (size_t row = 0; row < tuning->model.params.count; row++) {
        struct rec_params one = {.table = &tuning->model.params.table[row],
                                 .count = 1,
                                 .value = {tuning->model.params.value[row]}};
        if (!tuning->fixed[row] || used + 2 >= sizeof(tuning->set))
            continue;
        if (used > 0)
            tuning->set[used++] = ' ';
        used += rec_params_write(&one, tuning->set + used, sizeof(tuning->set) - used);
    }
    if (tuning->model.params.nested[0] != '\0' && used + 2 < sizeof(tuning->set))
        (void)snprintf(tuning->set + used, sizeof(tuning->set) - used, "%s%s", used > 0 ? " " : "",
                       tuning->model.params.nested);
    if (tuning->set[0] == '\0')
        (void)snprintf(tuning->set, sizeof(tuning->set), "none");
}

static enum rec_status read_model(struct tuning *tuning, struct rec_error *err) {
    const struct config *config = tuning->config;
    struct evaluate_model *model = &tuning->model;
    enum rec_status st =
        rec_family_find(rec_families, config_text(config, SET_MODEL), &model->family, err);
    if (st != REC_OK)
        return st;
    (void)snprintf(model->label, sizeof(model->label), "%s", model->family->name);
    rec_params_defaults(model->family->params, model->family->param_count, &model->params);
    for (size_t i = 0; st == REC_OK && i < config->list_count; i++) {
        st = evaluate_models_set(config->list[i], model, 1, err);
        if (st == REC_OK)
            rec_params_mark(&model->params, strchr(config->list[i], '.') + 1, tuning->fixed);
    }
    if (st == REC_OK)
        st = rec_families_check(&model->params, err);
    describe_set(tuning);
    return st == REC_OK ? rec_tune_space_init(&tuning->space, model->family, &model->params,
                                              tuning->fixed, err)
                        : st;
}

static enum rec_status split_test(struct tuning *tuning, struct rec_error *err) {
    enum rec_status st =
        rec_protocol_split(&tuning->data.protocol, tuning->data.whole, false, &tuning->test, err);
    rec_dataset_destroy(&tuning->data.whole);
    return st == REC_OK ? rec_split_check(tuning->test, false, err) : st;
}

static enum rec_status begin(struct tuning *tuning, struct rec_error *err) {
    const struct config *config = tuning->config;
    const char *study = config_text(config, SET_STUDY);
    struct rec_tune_options *options = &tuning->options;
    const char *html = config_text(config, SET_HTML);
    enum rec_status st = read_model(tuning, err);
    if (st == REC_OK)
        st = rec_tune_metric_read(config_text(config, SET_METRIC), &options->metric, &options->k,
                                  err);
    if (st == REC_OK)
        st = evaluate_data_read(&tuning->data, config, &tuning->line, err);
    if (st == REC_OK)
        st = split_test(tuning, err);
    if (st == REC_OK && html[0] != '\0' && strcmp(html, "-") != 0)
        st = rec_report_writable(html, err);
    if (st != REC_OK)
        return st;
    options->space = &tuning->space;
    options->split = tuning->data.split;
    options->trials = (size_t)config_integer(config, SET_TRIALS);
    options->timeout_s = config_number(config, SET_TIMEOUT);
    options->seed = (uint64_t)config_integer(config, SET_SEED);
    options->workers = app_threads(config_integer(config, SET_THREADS), REC_THREADS_MAX);
    options->memory_bytes_max = app_memory(config);
    options->ended = on_ended;
    options->tick = on_tick;
    options->context = tuning;
    if (study[0] != '\0')
        st = rec_tune_study_open(study, options, tuning->data.protocol.name, tuning->set,
                                 &tuning->study, err);
    options->study = tuning->study;
    if (tuning->study != NULL)
        (void)fprintf(stderr,
                      "note: finished trials stay in %s; after an interruption the same "
                      "command goes on with them\n",
                      study);
    return st;
}

/* ---- after ------------------------------------------------------------------------------ */

static struct rec_params winner(const struct tuning *tuning) {
    struct rec_params params = tuning->model.params;
    memcpy(params.value, tuning->search.trials[tuning->search.best].param, sizeof(params.value));
    return params;
}

/* The metric on the test part, which *value is left without on failure. */
static enum rec_status judge_on_test(const struct tuning *tuning, const struct rec_params *params,
                                     struct rec_pool *pool, double *value, struct rec_error *err) {
    struct rec_model *model = NULL;
    struct rec_ranking ranking = {0};
    const struct rec_fit fit = {.data = tuning->test->train,
                                .params = params,
                                .seed = tuning->options.seed,
                                .pool = pool,
                                .memory_bytes_max = tuning->options.memory_bytes_max};
    const struct rec_evaluate_options how = {.ks = &tuning->options.k, .k_count = 1, .pool = pool};
    enum rec_status st = rec_model_fit(tuning->model.family, &fit, &model, err);
    if (st == REC_OK)
        st = rec_evaluate(model, tuning->test, &how, &ranking, err);
    if (st == REC_OK)
        *value = rec_metric_get(tuning->options.metric, &ranking);
    rec_model_destroy(&model);
    return st;
}

/* The first trial where it is complete, or NULL. */
static const struct rec_tune_trial *start_of(const struct rec_tune_search *search) {
    const struct rec_tune_trial *first = &search->trials[0]; /* they are in order */
    return first->number == 0 && first->state == REC_STUDY_COMPLETE ? first : NULL;
}

/* A start that cannot be judged takes nothing from the winner: it has no value then. */
static enum rec_status judge(struct tuning *tuning, const struct rec_params *params,
                             struct rec_error *err) {
    struct rec_pool *pool = NULL;
    struct rec_error cause = {0};
    const struct rec_tune_trial *start = start_of(&tuning->search);
    tuning->on_test = tuning->start_on_test = (double)NAN;
    enum rec_status st = rec_pool_create(tuning->options.workers, false, &pool, err);
    if (st == REC_OK)
        st = judge_on_test(tuning, params, pool, &tuning->on_test, err);
    if (st == REC_OK && start == &tuning->search.trials[tuning->search.best])
        tuning->start_on_test = tuning->on_test;
    else if (st == REC_OK && start != NULL &&
             judge_on_test(tuning, &tuning->space.start, pool, &tuning->start_on_test, &cause) !=
                 REC_OK)
        (void)fprintf(stderr, "note: the start could not be judged on the test: %s\n", cause.text);
    rec_pool_destroy(&pool);
    return st;
}

/* " --set als.factors=64 --set ...": the words of `parameters`. */
static void print_set(const char *label, const struct rec_params *params) {
    char text[1024], word[128];
    (void)rec_params_write(params, text, sizeof(text));
    for (const char *at = text + strspn(text, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t bytes = strcspn(at, " ");
        (void)snprintf(word, sizeof(word), "%s%s%.*s", label, label[0] == '\0' ? "" : ".",
                       (int)bytes, at);
        (void)fputs(" --set ", stdout);
        config_print_word(stdout, word);
        at += bytes;
    }
}

/* What train has to be told so that it fits what was tuned: it takes neither a protocol nor
 * positive-min, and has a rating-min of its own. */
static void print_fitted(const struct tuning *tuning) {
    double rating_min = tuning->data.protocol.positive_min;
    config_print_flags(stdout, tuning->config, OF_DATA | FOR_TRAIN);
    if (isinf(rating_min))
        (void)fputs(" --rating-min -1e6", stdout); /* the least it takes: every rating counts */
    else if (config_number(tuning->config, SET_RATING_MIN) < rating_min ||
             config_number(tuning->config, SET_RATING_MIN) > rating_min)
        (void)printf(" --rating-min %.15g", rating_min);
}

static void print_commands(const struct tuning *tuning, const struct rec_params *params) {
    const char *name = tuning->model.family->name;
    (void)fputs("\nevaluate it: recsysd evaluate", stdout);
    config_print_flags(stdout, tuning->config, OF_DATA);
    (void)printf(" --models %s", name);
    print_set(name, params);
    (void)fputc(' ', stdout);
    config_print_word(stdout, tuning->config->positional[0]);
    (void)printf("\ntrain it:    recsysd train --model %s", name);
    print_set("", params);
    print_fitted(tuning);
    (void)fputs(" --db FILE\n", stdout);
    if (isfinite(tuning->data.protocol.value_min))
        (void)printf("             it counts rows of a value below %.15g, too: leave them out of "
                     "what is imported\n",
                     tuning->data.protocol.value_min);
}

static void print_result(const struct tuning *tuning) {
    static const char *const ends[] = {[REC_TUNE_DONE] = "",
                                       [REC_TUNE_TIMED_OUT] = "; the time is up",
                                       [REC_TUNE_EXHAUSTED] = "; nothing new is left to try"};
    const struct rec_tune_search *search = &tuning->search;
    const struct rec_tune_trial *best = &search->trials[search->best];
    const struct rec_tune_options *options = &tuning->options;
    char metric[48], parameters[1024];
    (void)snprintf(metric, sizeof(metric), "%s@%u", options->metric->name, options->k);
    write_searched(&tuning->space, best, parameters, sizeof(parameters));
    if (search->resumed > 0)
        (void)printf("%zu of the trials were in the study already\n", search->resumed);
    (void)printf("%s on %s: %zu trials (%zu complete, %zu given up, %zu failed) in %.1f s%s\n",
                 tuning->model.family->name, tuning->data.name, search->count, search->complete,
                 search->pruned, search->failed, tuning->seconds, ends[search->end]);
    (void)printf("best:        %s %.4f on validation, trial %u: %s\n", metric, best->value,
                 best->number + 1, parameters);
    if (start_of(search) != NULL)
        (void)printf("the start:   %s %.4f on validation\n", metric, start_of(search)->value);
    (void)printf("on the test: %s %.4f", metric, tuning->on_test);
    if (isfinite(tuning->start_on_test))
        (void)printf(" (the start: %.4f)", tuning->start_on_test);
    (void)fputc('\n', stdout);
}

static void write_html(const void *context, FILE *out) {
    rec_tune_html(context, out);
}

static enum rec_status save_html(const struct tuning *tuning, struct rec_error *err) {
    const char *path = config_text(tuning->config, SET_HTML);
    double importance[REC_PARAMS_MAX];
    const struct rec_tune_report report = {.version = RECSYSD_VERSION,
                                           .data = tuning->data.name,
                                           .protocol = tuning->data.protocol.name,
                                           .made_at = rec_clock_unix_s(),
                                           .options = &tuning->options,
                                           .search = &tuning->search,
                                           .importance = importance,
                                           .test = tuning->on_test,
                                           .start_on_test = tuning->start_on_test};
    if (path[0] == '\0')
        return REC_OK;
    enum rec_status st = rec_tune_importance(&tuning->space, tuning->search.trials,
                                             tuning->search.count, importance, err);
    return st == REC_OK ? rec_page_save(path, write_html, &report, err) : st;
}

static int by_number(const void *a, const void *b) {
    const struct rec_tune_trial *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Several at a time end in another order than they began in; a page has one numbering. */
static void order_by_number(struct rec_tune_search *search) {
    uint32_t best = search->trials[search->best].number;
    qsort(search->trials, search->count, sizeof(*search->trials), by_number);
    for (search->best = 0; search->trials[search->best].number != best; search->best++)
        ;
}

static enum rec_status finish(struct tuning *tuning, struct rec_error *err) {
    order_by_number(&tuning->search);
    struct rec_params params = winner(tuning);
    enum rec_status st = judge(tuning, &params, err);
    if (st != REC_OK)
        return st;
    print_result(tuning);
    print_commands(tuning, &params);
    return save_html(tuning, err);
}

int cmd_tune(const struct config *config) {
    struct rec_error err = {0};
    struct tuning *tuning = rec_alloc_array(1, sizeof(*tuning));
    if (tuning == NULL) {
        (void)rec_error_set(&err, REC_NO_MEMORY, "no memory for a search");
        return app_fail(&err);
    }
    tuning->config = config;
    tuning->data.command = "tune";
    tuning->data.on_validation = true;
    tuning->data.whole_wanted = true;
    progress_start(&tuning->line, config_flag(config, SET_PROGRESS));

    enum rec_status st = begin(tuning, &err);
    bool began = st == REC_OK; /* from here on it is the work that fails, not the settings */
    uint64_t began_ns = rec_clock_monotonic_ns();
    tuning->line.started_ns = began_ns; /* the time left is about trials, not reading */
    if (st == REC_OK)
        st = rec_tune_search_run(&tuning->options, &tuning->search, &err);
    tuning->seconds = (double)(rec_clock_monotonic_ns() - began_ns) / 1e9;
    progress_end(&tuning->line);
    if (st == REC_OK)
        st = finish(tuning, &err);

    rec_tune_search_finish(&tuning->search);
    rec_study_close(&tuning->study);
    rec_split_destroy(&tuning->test);
    evaluate_data_finish(&tuning->data);
    rec_alloc_free(tuning);
    if (st == REC_OK)
        return EXIT_DONE;
    (void)app_fail(&err);
    return st == REC_BAD_INPUT && !began ? EXIT_USAGE : EXIT_FAILED;
}
