/* The search that a training run begins with. It keeps no study: a run that was cut off is not gone
 * on with, and the data of the next one are others. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "recsysd/tune.h"

static void on_tick(void *context, const struct rec_tune_search *search, double fraction) {
    (void)search;
    rec_progress_report(context, "tune", fraction, (double)NAN);
}

static void summarise(const struct rec_tune_options *options, const struct rec_tune_search *search,
                      char summary[REC_TRAIN_SUMMARY_BYTES]) {
    char start[64] = "";
    for (size_t t = 0; t < search->count; t++)
        if (search->trials[t].number == 0 && search->trials[t].state == REC_STUDY_COMPLETE)
            (void)snprintf(start, sizeof(start), ",\"start\":{\"%s@%u\":%.6g}",
                           options->metric->name, options->k, search->trials[t].value);
    (void)snprintf(summary, REC_TRAIN_SUMMARY_BYTES,
                   "{\"trials\":%zu,\"pruned\":%zu,\"failed\":%zu,\"best\":{\"%s@%u\":%.6g}%s}",
                   search->count, search->pruned, search->failed, options->metric->name, options->k,
                   search->trials[search->best].value, start);
}

enum rec_status rec_tune_before_training(const struct rec_train_search *search,
                                         struct rec_params *best,
                                         char summary[REC_TRAIN_SUMMARY_BYTES],
                                         struct rec_error *err) {
    struct rec_progress progress = *search->progress;
    struct rec_tune_space space;
    struct rec_tune_search found = {.count = 0};
    struct rec_tune_options options = {.space = &space,
                                       .split = search->split,
                                       .trials = search->trials,
                                       .seed = search->seed,
                                       .workers = search->threads,
                                       .background = true,
                                       .memory_bytes_max = search->memory_bytes_max,
                                       .cancel = progress.cancel,
                                       .tick = on_tick,
                                       .context = &progress};
    enum rec_status st =
        rec_tune_space_init(&space, search->family, search->start, search->fixed, err);
    if (st == REC_OK)
        st = rec_tune_metric_read("ndcg@10", &options.metric, &options.k, err);
    if (st == REC_OK)
        st = rec_tune_search_run(&options, &found, err);
    if (st == REC_OK) {
        *best = *search->start;
        memcpy(best->value, found.trials[found.best].param, sizeof(best->value));
        summarise(&options, &found, summary);
    }
    rec_tune_search_finish(&found);
    return st;
}
