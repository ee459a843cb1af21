/* train: one training run, the scheduler of runs, and the model versions kept on disk. */
#ifndef RECSYSD_TRAIN_H
#define RECSYSD_TRAIN_H

#include "recsysd/base.h"
#include "recsysd/data.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"
#include "recsysd/model.h"
#include "recsysd/store.h"

/* ---- versions (versions.c) --------------------------------------------------------- */

/* MODEL is the file that says which model is live: it is read at start and on reload, and
 * replaced (rename) by every publish. MODEL.versions/ keeps the last `keep` published ones. */
struct rec_versions_options {
    const char *model_path;
    size_t keep;             /* >= 1 */
    struct rec_store *store; /* borrowed: identity and catalogue size a file must fit */
    struct rec_slot *slot;   /* borrowed */
};
struct rec_versions;
enum rec_status rec_versions_create(const struct rec_versions_options *options,
                                    struct rec_versions **out, struct rec_error *err);
void rec_versions_destroy(struct rec_versions **versions);

/* Reads MODEL and makes it live. NOT_FOUND: no file there; otherwise as rec_modelfile_load; the
 * live model is untouched on failure. *info may be NULL. */
enum rec_status rec_versions_reload(struct rec_versions *versions, struct rec_model_info *info,
                                    struct rec_error *err);
/* Saves, keeps, prunes, replaces MODEL and makes it live. Takes *model, on failure too. info:
 * family, parameters, metrics, recorded and items are the caller's; version, database and
 * trained_at are filled here.
 */
enum rec_status rec_versions_publish(struct rec_versions *versions, struct rec_model **model,
                                     struct rec_model_info *info, struct rec_error *err);
/* Makes a kept version live again (rollback), also as MODEL. NOT_FOUND. */
enum rec_status rec_versions_activate(struct rec_versions *versions, const char *version,
                                      struct rec_model_info *info, struct rec_error *err);
/* Newest first; files that cannot be read are left out. *count in: capacity; out: how many.
 * live: the version live now, or "". */
enum rec_status rec_versions_list(struct rec_versions *versions, struct rec_model_info *out,
                                  size_t *count, char live[64], struct rec_error *err);

/* "20261122T101500Z-als-5f3a": what a version is called; the low 16 bits of random are used. For
 * those who save a model themselves: a file under another name is served, but is not kept as a
 * version when the next one replaces it. */
void rec_versions_name(const char *family, int64_t unix_s, uint64_t random, char version[64]);

/* ---- one run (run.c) ------------------------------------------------------------------- */

/* A search for parameters at the beginning of a run. */
struct rec_train_search {
    const struct rec_family *family;
    const struct rec_params *start; /* the first trial */
    const bool *fixed;              /* [start->count] not searched */
    const struct rec_split *split;  /* trials are fitted on its train and judged on its test */
    size_t trials, threads;
    uint64_t seed;
    size_t memory_bytes_max; /* of all fits of a time together */
    const struct rec_progress *progress;
};
/* Fills *best, and summary with a JSON object. A function and not a call, as tune is above train:
 * whoever wires them hands it in. */
enum { REC_TRAIN_SUMMARY_BYTES = 256 };
typedef enum rec_status (*rec_train_search_fn)(const struct rec_train_search *search,
                                               struct rec_params *best,
                                               char summary[REC_TRAIN_SUMMARY_BYTES],
                                               struct rec_error *err);

struct rec_train_spec {
    const struct rec_family *family;
    struct rec_params params;
    uint64_t seed;
    const struct rec_tensors *start; /* as in struct rec_fit; NULL: from scratch */
    bool judge; /* hold out, fit, compare with the live model; false: fit on all data at once */
    double tolerance;           /* a candidate below live NDCG@10 x (1 - tolerance) is not better */
    bool refit;                 /* fit again on all data before publishing */
    size_t trials;              /* search for parameters first, from these on; 0: train these */
    bool fixed[REC_PARAMS_MAX]; /* which of them are not searched */
};
struct rec_train_result {
    char metrics[1024];   /* {"tuned": {...}, "candidate": {...}, "live": {...}} */
    char parameters[512]; /* what was trained */
    char version[64];
    double fit_s;
};
/* snapshot, tune, split, fit, judge, refit, save, publish: progress is given these names, and the
 * fraction of the whole run. NOT_BETTER is a finished run that changed nothing; *result is filled
 * then, too. versions NULL: stop after fitting and hand the model to *model instead.
 * info (may be NULL): filled but for version. */
struct rec_train_context {
    struct rec_store *store;
    const struct rec_weights *weights;
    struct rec_slot *slot; /* NULL: nothing live to judge against */
    struct rec_versions *versions;
    struct rec_pool *pool;
    const struct rec_progress *progress;
    size_t memory_bytes_max;    /* of one fit; 0: no cap */
    rec_train_search_fn search; /* NULL: a spec with trials is refused */
};
enum rec_status rec_train_run(const struct rec_train_context *context,
                              const struct rec_train_spec *spec, struct rec_train_result *result,
                              struct rec_model **model, struct rec_model_info *info,
                              struct rec_error *err);

/* ---- the scheduler (scheduler.c) ---------------------------------------------------------- */

struct rec_scheduler_options {
    struct rec_store *store;
    struct rec_slot *slot;
    struct rec_versions *versions;
    const struct rec_weights *weights;
    size_t threads;          /* of one run; background priority */
    size_t memory_bytes_max; /* of one fit; 0: no cap */
    double tolerance;
    const char *family;      /* what automatic runs train */
    const char *parameters;  /* "factors=64 ..." or "" */
    unsigned every_minutes;  /* 0: never */
    uint64_t after_recorded; /* start after this many new interactions; 0: never */
    rec_train_search_fn search;
};
struct rec_scheduler;
enum rec_status rec_scheduler_create(const struct rec_scheduler_options *options,
                                     struct rec_scheduler **out, struct rec_error *err);
/* Asks the run to stop and takes no more jobs; does not wait. What waits stays queued until
 * destroy. So that a run ends while requests in flight are answered, not after them. NULL is fine.
 * threads: any, until destroy */
void rec_scheduler_stop(struct rec_scheduler *scheduler);
/* Cancels the run, waits for it, marks what waits as cancelled. */
void rec_scheduler_destroy(struct rec_scheduler **scheduler);

/* A job as people see it: the stored row and where it is now. */
struct rec_job {
    struct rec_run_row row;
    char phase[32];
    double fraction; /* of the whole run, 0 .. 1 */
    double loss;     /* NAN: none */
    double eta_s;    /* NAN: not known */
};
/* What a job should do. */
struct rec_train_order {
    const char *family;             /* NULL or "": the configured one */
    const char *const *assignments; /* [count] "factors=64" */
    size_t count;
    bool force;    /* without judging */
    size_t trials; /* search first for the parameters that are not assigned; 0: do not */
};
/* errors: BAD_INPUT (names), BUSY (REC_JOBS_QUEUED_MAX waiting) */
enum rec_status rec_scheduler_submit(struct rec_scheduler *scheduler,
                                     const struct rec_train_order *order, uint64_t *id,
                                     struct rec_error *err);
enum rec_status rec_scheduler_get(struct rec_scheduler *scheduler, uint64_t id, struct rec_job *out,
                                  struct rec_error *err);
enum rec_status rec_scheduler_list(struct rec_scheduler *scheduler, struct rec_job *out,
                                   size_t *count, struct rec_error *err);
/* Asks it to stop; the state follows. CONFLICT when it has ended already; NOT_FOUND. */
enum rec_status rec_scheduler_cancel(struct rec_scheduler *scheduler, uint64_t id,
                                     struct rec_error *err);

#endif
