/* Matrix factorisation with item biases: what bpr and biased-mf share once they are trained.
 *
 * Item i is the row (y_i, b_i), `factors` numbers and its bias, and a user is the query (x, 1): a
 * score is one dot product of `factors` + 1 numbers, x·y_i + b_i. The families differ in how they
 * learn the rows, and in how they find x for a history. */
#ifndef FAMILIES_MF_H
#define FAMILIES_MF_H

#include "recsysd/data.h"
#include "recsysd/model.h"

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
/* A family's self of self_bytes that begins with a rec_mf, filled; `extra` floats lie behind
 * inverse_norm's. Sets model's self, query_floats and vectors. */
enum rec_status rec_mf_open(struct rec_model *model, size_t self_bytes, size_t extra,
                            struct rec_error *err);
void rec_mf_close(struct rec_model *model);

void rec_mf_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                  uint32_t count, float *scores);
/* The cosine of y_i and y_j. */
void rec_mf_similar(const struct rec_model *model, uint32_t item, uint32_t first, uint32_t count,
                    float *scores);

/* ---- training (mf_fit.c) ---- */

/* count rows of `factors` numbers of mean 0 and deviation sigma, one stream a row, in rows of
 * `width` whose last numbers are left alone. side: 0 items, 1 users */
void rec_mf_init(float *rows, size_t count, size_t factors, size_t width, float sigma,
                 uint64_t seed, uint64_t side);
/* BAD_INPUT, naming the family and the epoch, when a number is none or out of range. */
enum rec_status rec_mf_check(const char *family, const float *rows, size_t count, size_t width,
                             struct rec_error *err);

#endif
