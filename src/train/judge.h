/* judge: is a candidate at least as good as the model that is live? */
#ifndef RECSYSD_TRAIN_JUDGE_H
#define RECSYSD_TRAIN_JUDGE_H

#include "recsysd/train.h"

enum {
    REC_JUDGE_K = 10,
    REC_JUDGE_USERS_MIN = 50,    /* fewer test users say nothing: the mean is noise */
    REC_JUDGE_USERS_MAX = 20000, /* more add time, not certainty */
    REC_JUDGE_POSITIVES_MIN = 3, /* a user with fewer stays whole in train */
};

/* What the candidate is compared with. */
enum rec_judge_rival {
    REC_JUDGE_NOBODY, /* not judged; holdout->reason says why */
    REC_JUDGE_LIVE,   /* the live model itself */
    REC_JUDGE_RECIPE  /* the live model's family and parameters, fitted on the same train part */
};

struct rec_held_out;
struct rec_holdout {
    struct rec_split *split;   /* NULL: too few users to measure anything */
    struct rec_held_out *held; /* [held_count] of users rising */
    size_t held_count;
    enum rec_judge_rival rival;
    const char *reason; /* static; of REC_JUDGE_NOBODY */
};

/* Splits data, which holds the rows up to number `recorded`, and chooses the rival. live NULL:
 * nothing is live. candidate: what will be fitted. The train part is data itself, without what is
 * held out, until rec_holdout_finish.
 * owns: *out is for rec_holdout_finish, before data is destroyed. */
enum rec_status rec_judge_hold_out(const struct rec_train_context *context,
                                   const struct rec_train_spec *candidate, struct rec_dataset *data,
                                   uint64_t recorded, const struct rec_generation *live,
                                   struct rec_holdout *out, struct rec_error *err);
/* Data is whole again. Repeated calls are fine. */
void rec_holdout_finish(struct rec_holdout *holdout);

/* A split to judge the trials of a search on: each user's last event but one, the last being left
 * out, as it is what the result will be judged on. BAD_INPUT when there are too few users. */
enum rec_status rec_judge_search_split(const struct rec_dataset *data, struct rec_split **out,
                                       struct rec_error *err);

/* Measures the candidate (fitted on holdout->split->train) and its rival, and writes the metrics
 * as JSON. NOT_BETTER: the candidate is below its rival by more than the tolerance. */
enum rec_status
rec_judge_compare(const struct rec_train_context *context, const struct rec_train_spec *spec,
                  const struct rec_holdout *holdout, const struct rec_model *candidate,
                  const struct rec_generation *live, const struct rec_progress *progress,
                  char metrics[1024], struct rec_error *err);

/* The metrics of a run that measured nothing. */
void rec_judge_write_unjudged(const char *reason, char metrics[1024]);

#endif
