/* What training a next-item model (nextitem_fit.c) and answering with one (nextitem.c) share: how
 * an event fades. Inside the room only. */
#ifndef FAMILIES_NEXTITEM_H
#define FAMILIES_NEXTITEM_H

#include "recsysd/linalg.h"
#include "recsysd/model.h"

/* Weights beyond this are refused or cut: a sum over a history of products of two stays finite. */
#define REC_NEXTITEM_VALUE_MAX 1e12f

enum { REC_NEXTITEM_SCALES_MAX = 3 };

/* The scales that are on. */
struct nextitem_scales {
    size_t count;
    double tau[REC_NEXTITEM_SCALES_MAX];
};
struct nextitem_scales rec_nextitem_scales(const struct rec_params *params);

enum rec_status rec_nextitem_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                 struct rec_error *err);
size_t rec_nextitem_fit_bytes(const struct rec_fit *fit);

/* Of values [rows x cols], the share `density` with the largest magnitudes, as tensors offset,
 * column and value. */
enum rec_status rec_nextitem_thin(const float *values, size_t rows, size_t cols, double density,
                                  struct rec_tensors *out, struct rec_error *err);
uint64_t rec_nextitem_kept(double density, double entries); /* how many those are */

#endif
