/* A sparse items x items matrix as a model: row i says what an event of item i adds to the score of
 * every other item. What a family answers with once its rows are found, whichever way they were.
 *
 * The tensors are offset [items + 1], item and weight [offset[items]], in compressed rows. A
 * history's query is the sum of its events' rows, so it is the scores already, what was just posted
 * counts at once, and the terms of the sum explain it. Inside the room only. */
#ifndef FAMILIES_ITEM_ROWS_H
#define FAMILIES_ITEM_ROWS_H

#include "recsysd/model.h"

/* Weights of rows beyond this are refused, and weights of events end here: sums of products of two
 * over any history then stay finite in float. */
#define REC_ITEM_ROWS_VALUE_MAX 1e12f

/* The parameter `neighbors`; no item has more than there are other items. */
uint32_t rec_item_rows_neighbors(const struct rec_fit *fit);

/* Adds the three tensors, the offsets filled from found [items]: how many each row has. */
enum rec_status rec_item_rows_add(struct rec_tensors *out, const uint32_t *found, uint32_t items,
                                  uint32_t **item, float **weight, struct rec_error *err);

/* The contract's functions, for a family with the parameter `recency`. */
enum rec_status rec_item_rows_open(struct rec_model *model, struct rec_error *err);
void rec_item_rows_close(struct rec_model *model);
bool rec_item_rows_query(const struct rec_model *model, const struct rec_history *history,
                         float *query, float *scratch);
void rec_item_rows_score(const struct rec_model *model, const float *queries, size_t n,
                         uint32_t first, uint32_t count, float *scores);
void rec_item_rows_explain(const struct rec_model *model, const struct rec_history *history,
                           const uint32_t *items, size_t n, float *shares, float *scratch);

/* What row i has for item j; 0 when it is not stored. */
float rec_item_rows_weight(const struct rec_model *model, uint32_t i, uint32_t j);

#endif
