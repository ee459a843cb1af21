/* Matrix factorisation with item biases: what bpr and biased-mf share once they are trained.
 *
 * Item i is the row (y_i, b_i), `factors` numbers and its bias, and a user is the query (x, 1): a
 * score is one dot product of `factors` + 1 numbers, x·y_i + b_i. The families differ in how they
 * learn the rows, and in how they find x for a history. */
#ifndef FAMILIES_MF_H
#define FAMILIES_MF_H

#include "earlystop.h"
#include "recsysd/data.h"
#include "recsysd/model.h"
#include "strata.h"

/* Numbers of a model beyond this are refused: a sum of products of two stays finite. */
#define REC_MF_VALUE_MAX 1e12f

/* The first member of model->self in both families. */
struct rec_mf {
    size_t factors, width;     /* width: factors + 1 */
    const float *rows;         /* [items x width] */
    const float *inverse_norm; /* [items] 1 / |y_i|; 0 where that is 0 */
};

/* The tensor "item_factors" [items x width], checked. */
enum rec_status rec_mf_find(const struct rec_model *model, const float **rows,
                            struct rec_error *err);
/* A family's self of self_bytes that begins with a rec_mf, filled, and `extra` floats of its own in
 * the same block: *values (may be NULL). Sets model's self, query_floats and vectors. */
enum rec_status rec_mf_open(struct rec_model *model, size_t self_bytes, size_t extra,
                            float **values, struct rec_error *err);
void rec_mf_close(struct rec_model *model);

void rec_mf_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                  uint32_t count, float *scores);
/* The cosine of y_i and y_j. */
void rec_mf_similar(const struct rec_model *model, uint32_t item, uint32_t first, uint32_t count,
                    float *scores);

/* ---- training (mf_fit.c) ---- */

/* Parameters that a family's table must have: factors, epochs, learning_rate, decay, sigma,
 * early_stop. */
struct rec_mf_training {
    const struct rec_fit *fit;
    const struct rec_family *family;
    size_t width;                        /* of all rows */
    struct rec_csr *matrix;              /* users x items; weights, at most weight_max */
    struct rec_csr *known;               /* with what is held out; NULL: nothing is */
    struct rec_missing *missing;         /* of known, or of the matrix */
    float *users, *items;                /* [users x width]; [items x width], the tensor's */
    double rate;                         /* of this epoch */
    double loss[REC_STRATA_BLOCKS_MAX];  /* by number of the cell: its sum ... */
    double steps[REC_STRATA_BLOCKS_MAX]; /* ... over so many */
    struct rec_strata *strata;
    struct rec_earlystop stop;
};
/* Makes the rows: random, or those of fit->start; the last number of each is 0. popular, exponent:
 * of the negatives (strata.h). Call rec_mf_end also when it fails. */
enum rec_status rec_mf_begin(struct rec_mf_training *training, const struct rec_fit *fit,
                             const struct rec_family *family, float weight_max, double popular,
                             double exponent, struct rec_tensors *out, struct rec_error *err);
/* Runs fn over all cells of all epochs. now: the model that early stopping looks at */
enum rec_status rec_mf_epochs(struct rec_mf_training *training, rec_strata_fn fn, void *context,
                              const struct rec_tensors *now, struct rec_error *err);
/* Frees all but the tensors; out: as rec_earlystop_end. */
void rec_mf_end(struct rec_mf_training *training, struct rec_tensors *out);
/* row_floats: how many numbers training keeps for each of a row */
size_t rec_mf_fit_bytes(const struct rec_fit *fit, double row_floats);

#endif
