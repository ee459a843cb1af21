/* tune: the search for the parameters of a family that rank best.
 *
 * A search tries the family's defaults, then random places, then places that a tree-structured
 * Parzen estimator proposes; each trial fits on the train part of a split and is judged on its test
 * part, which should be the validation part of a protocol. */
#ifndef RECSYSD_TUNE_H
#define RECSYSD_TUNE_H

#include "recsysd/base.h"
#include "recsysd/data.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"
#include "recsysd/model.h"
#include "recsysd/store.h"
#include "recsysd/train.h"

/* ---- spaces (space.c) ------------------------------------------------------------- */

/* One parameter as a search sees it: a place in [0, 1], which spreads its scale evenly. */
struct rec_tune_dim {
    size_t row;      /* of the parameter table */
    double min, max; /* of a number */
    bool log_scale, whole;
    bool zero;      /* the first fifth of [0, 1] is 0, which switches it off */
    size_t choices; /* BOOL, CHOICE: how many values; 0: a number */
};

struct rec_tune_space {
    const struct rec_family *family;
    struct rec_params start; /* the first trial, and the values of what is not searched */
    struct rec_tune_dim dim[REC_PARAMS_MAX];
    size_t count;
};

/* What of the family is searched: its ranges, or the rule in model.h. fixed [start->count]: left at
 * its value in start; NULL: none is. BAD_INPUT when nothing is left to search. */
enum rec_status rec_tune_space_init(struct rec_tune_space *space, const struct rec_family *family,
                                    const struct rec_params *start, const bool *fixed,
                                    struct rec_error *err);
/* A value's place, clipped to [0, 1]; of one of `choices` the middle of its part. */
double rec_tune_unit(const struct rec_tune_dim *dim, double value);
/* What lies at a place: a whole number, or one of three digits. */
double rec_tune_value(const struct rec_tune_dim *dim, double unit);

/* ---- trials ------------------------------------------------------------------------- */

struct rec_tune_trial {
    uint32_t number; /* from 0 (for people and in studies from 1), in the order of their begin */
    enum rec_study_state state;
    double value;                 /* COMPLETE: the metric; PRUNED: its best look; FAILED: NAN */
    double seconds;               /* of fit and judgement */
    double param[REC_PARAMS_MAX]; /* as in struct rec_params */
    char error[400];              /* FAILED: why */
    struct rec_study_look *looks; /* [look_count] after its epochs, in their order; owned */
    size_t look_count;
};

/* ---- proposals (propose.c) ------------------------------------------------------------- */

enum { REC_TUNE_WARM_UP = 10 }; /* trials before the estimator is asked, the start included */

struct rec_tune_asked {
    uint64_t seed;
    uint32_t number;
    const struct rec_tune_trial *const *running; /* [running_count] */
    size_t running_count;
};

/* The parameters of trial `number`: the start for 0, a random place up to the warm-up, then what
 * the estimator makes of the trials that have ended. Of those that still run it only knows not to
 * propose them again. The same for the same seed, number and trials, in whatever order these ended.
 * NOT_FOUND: every place of a space without fractions has been tried; where there are fractions, or
 * tens of thousands of places, 200 draws found none that had not.
 * source: Bergstra, Bardenet, Bengio and Kegl, "Algorithms for hyper-parameter optimization", 2011
 */
enum rec_status rec_tune_propose(const struct rec_tune_space *space,
                                 const struct rec_tune_trial *trials, size_t count,
                                 const struct rec_tune_asked *asked, struct rec_params *out,
                                 struct rec_error *err);

/* ---- pruning (prune.c) ------------------------------------------------------------------ */

enum {
    REC_TUNE_PRUNE_TRIALS = 5, /* complete trials with looks, before any is given up */
    REC_TUNE_PRUNE_LOOKS = 3,  /* of the trial itself */
};

/* Whether a running trial should be given up: its best look so far is below the median of what the
 * complete trials had at best by the same epoch. */
bool rec_tune_is_behind(const struct rec_tune_trial *trials, size_t count,
                        const struct rec_study_look *looks, size_t look_count);

/* ---- the search (search.c) ----------------------------------------------------------------- */

enum rec_tune_end {
    REC_TUNE_DONE,      /* all trials asked for */
    REC_TUNE_TIMED_OUT, /* what still ran was dropped */
    REC_TUNE_EXHAUSTED, /* nothing new is left to try */
};

struct rec_tune_search {
    struct rec_tune_trial *trials; /* [count] in the order in which they ended */
    size_t count, capacity;
    size_t best;                     /* COMPLETE, highest, lowest number on ties; count: none yet */
    size_t resumed;                  /* the first ones were in the study */
    size_t complete, pruned, failed; /* of all */
    enum rec_tune_end end;
};

struct rec_tune_options {
    const struct rec_tune_space *space;
    const struct rec_split *split;
    const struct rec_metric *metric;
    uint32_t k;
    size_t trials;           /* in all, those of the study included; 1 to REC_TRIALS_MAX */
    double timeout_s;        /* 0: none */
    uint64_t seed;           /* of proposals and fits */
    size_t workers;          /* trials at a time, each on one thread; 1 to REC_THREADS_MAX */
    bool background;         /* their threads have the lowest priority */
    size_t memory_bytes_max; /* of all fits of a time together; 0: no cap */
    struct rec_study *study; /* borrowed; NULL: none is kept */
    const atomic_bool *cancel;
    /* After a trial has been recorded, and about ten times a second: how much of what is to do is
     * done. On the caller's thread; NULL: not wanted. */
    void (*ended)(void *context, const struct rec_tune_search *search,
                  const struct rec_tune_trial *trial);
    void (*tick)(void *context, const struct rec_tune_search *search, double fraction);
    void *context;
};

/* Runs until the trials are done, the time is up or it is cancelled. A trial that ends is in the
 * study before the next is proposed in its place; one that is cut off leaves no trace.
 * owns:   *search, which must be empty, is for rec_tune_search_finish, on failure too
 * errors: BAD_INPUT, with the first reason, when every trial failed; CANCELLED, on request or when
 *         the time was up before a trial was complete; CORRUPT: a study that does not fit the space
 * threads: `workers` beside the caller's, which keeps the books */
enum rec_status rec_tune_search_run(const struct rec_tune_options *options,
                                    struct rec_tune_search *search, struct rec_error *err);
void rec_tune_search_finish(struct rec_tune_search *search);

/* The study at path for this search: of its model, data, metric, seed and values that are set
 * (`set`, for people). errors: as rec_study_open */
enum rec_status rec_tune_study_open(const char *path, const struct rec_tune_options *options,
                                    const char *protocol, const char *set, struct rec_study **out,
                                    struct rec_error *err);

/* The search of a training run, for struct rec_train_context: by NDCG@10, on threads of the lowest
 * priority, without a study. */
enum rec_status rec_tune_before_training(const struct rec_train_search *search,
                                         struct rec_params *best,
                                         char summary[REC_TRAIN_SUMMARY_BYTES],
                                         struct rec_error *err);

/* ---- reports (importance.c, html.c) --------------------------------------------------------- */

/* shares [space->count]: how much of the variance of complete trials each parameter explains by
 * itself, 0 to 1; all 0 with fewer than ten of them. */
enum rec_status rec_tune_importance(const struct rec_tune_space *space,
                                    const struct rec_tune_trial *trials, size_t count,
                                    double *shares, struct rec_error *err);

/* Of a search that has a best trial, its trials by number; all is borrowed. */
struct rec_tune_report {
    const char *version, *data, *protocol;
    int64_t made_at;
    const struct rec_tune_options *options;
    const struct rec_tune_search *search;
    const double *importance; /* [options->space->count] */
    double test;              /* the metric of the best on the test part */
    double start_on_test;     /* that of the first trial; NAN: not judged */
};
void rec_tune_html(const struct rec_tune_report *report, FILE *out);

/* "ndcg@10". BAD_INPUT with the nearest name, also for what says nothing about quality. */
enum rec_status rec_tune_metric_read(const char *text, const struct rec_metric **metric,
                                     uint32_t *k, struct rec_error *err);

#endif
