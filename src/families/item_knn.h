/* What training an item-knn model (item_knn_fit.c) and answering with one (item_knn.c) share.
 * Inside the room only. */
#ifndef FAMILIES_ITEM_KNN_H
#define FAMILIES_ITEM_KNN_H

#include "recsysd/model.h"

enum rec_status rec_item_knn_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                 struct rec_error *err);
size_t rec_item_knn_fit_bytes(const struct rec_fit *fit);

#endif
