/* Early stopping: a fit that learns in epochs holds out the last liked event of a sample of users,
 * asks after its epochs how well the model ranks those, and keeps the best model it had. What is
 * held out is not lost to the lists: a model answers for a history, and the event is in it. */
#ifndef RECSYSD_FAMILIES_EARLYSTOP_H
#define RECSYSD_FAMILIES_EARLYSTOP_H

#include "recsysd/data.h"
#include "recsysd/model.h"

/* The row of a family's parameter table. */
/* clang-format off */
#define REC_EARLYSTOP_PARAM(standard)                                                              \
    {"early_stop", REC_PARAM_INT, 0, 1000, false, standard, NULL,                                  \
     "stop after this many looks at held-out users without a gain, keep the best; 0: never"}
/* clang-format on */

struct rec_earlystop {
    const struct rec_dataset *train; /* fit on this; all of the data where nothing is held out */
    bool on;                         /* something is held out */
    bool done;                       /* `patience` looks in a row brought no gain */
    double best;                     /* NDCG@10; -1 before the first look */

    const struct rec_fit *fit;
    const struct rec_family *family;
    size_t patience, since;
    struct rec_dataset *part, *held_out; /* part: train without what is held out */
    struct rec_split *split;
    struct rec_model *model; /* the best so far */
};

/* patience 0, or hardly anybody to ask: `on` is false and train is fit->data.
 * errors: NO_MEMORY; then nothing is left to end */
enum rec_status rec_earlystop_begin(struct rec_earlystop *stop, const struct rec_fit *fit,
                                    const struct rec_family *family, size_t patience,
                                    struct rec_error *err);

/* Looks at a model of a copy of `now`, and keeps it when it is the best so far. Nothing happens
 * where `on` is false.
 * cost:   one ranking of all items for each of at most 2,000 users, over fit->pool
 * errors: NO_MEMORY; CANCELLED, also when whoever watches the fit gives it up */
enum rec_status rec_earlystop_judge(struct rec_earlystop *stop, const struct rec_tensors *now,
                                    size_t epoch, struct rec_error *err);

/* The best tensors looked at take the place of those in *out, if there were any. Frees. out NULL:
 * the fit has failed, and nothing is wanted. */
void rec_earlystop_end(struct rec_earlystop *stop, struct rec_tensors *out);

/* What it allocates beside the fit, for fit_bytes. tensor_bytes: of a model of the family. */
size_t rec_earlystop_bytes(const struct rec_fit *fit, size_t tensor_bytes);

#endif
