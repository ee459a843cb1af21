/* trial: one fit and its judgement, on a thread of the search (this room only). */
#ifndef RECSYSD_TUNE_TRIAL_H
#define RECSYSD_TUNE_TRIAL_H

#include "recsysd/tune.h"

/* What a trial may ask while it runs. */
struct rec_trial_watch {
    void (*report)(void *context, double fraction);
    /* Whether it should go on after these looks. */
    bool (*look)(void *context, const struct rec_study_look *looks, size_t count);
    void *context;
    const atomic_bool *stop;
};

/* Fits trial->param and judges it; fills state, value, seconds, error and looks. False: it was
 * stopped, and says nothing. */
bool rec_trial_run(const struct rec_tune_options *options, const struct rec_trial_watch *watch,
                   struct rec_tune_trial *trial);

/* Trials of a study into an empty search, and one trial into the study. */
enum rec_status rec_trial_restore(const struct rec_tune_options *options,
                                  struct rec_tune_search *search, struct rec_error *err);
enum rec_status rec_trial_keep(const struct rec_tune_options *options,
                               const struct rec_tune_trial *trial, struct rec_error *err);

/* Takes the trial, its looks included, into the search and its counts. */
enum rec_status rec_trial_add(struct rec_tune_search *search, struct rec_tune_trial *trial,
                              struct rec_error *err);

#endif
