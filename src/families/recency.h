/* Recency: what a user did last says more about what comes next. The parameter `recency` is tau: an
 * event's weight is multiplied by exp(-rank / tau), rank 0 being the newest; 0 switches it off.
 *
 * By rank and not by time, because people come in visits: half a year of absence does not make the
 * last visit say less, and no unit has to be chosen for it.
 *
 * Only events that say something are counted: those of items the model knows, with a weight above
 * 0. So an event that is passed over cannot push the others back. */
#ifndef RECSYSD_FAMILIES_RECENCY_H
#define RECSYSD_FAMILIES_RECENCY_H

#include "recsysd/data.h"
#include "recsysd/model.h"

/* The row of a family's parameter table. */
/* clang-format off */
#define REC_RECENCY_PARAM                                                                          \
    {"recency", REC_PARAM_FLOAT, 0, 1e6, false, 0, NULL,                                           \
     "an event n events ago weighs exp(-n / recency); 0: as much as the newest"}
/* Where a tuner looks: off, or from the newest event alone to a hundred of them. */
#define REC_RECENCY_TUNE                                                                           \
    {.name = "recency", .min = 1, .max = 100, .log_scale = true, .zero = true}
/* clang-format on */

/* A walk over one history, oldest event first. */
struct rec_recency {
    float tau;
    uint32_t items;
    size_t newer;   /* events that say something and are still to come */
    float faintest; /* an event keeps at least this share of its weight */
    float most;     /* and weighs no more than this, so that what is made of it stays finite;
                       0: as much as it does */
};

/* items: how many the model knows; tau 0: weights stay as they are. No faintest, no most: the
 * caller may set them. */
struct rec_recency rec_recency_begin(float tau, uint32_t items, const struct rec_history *history);

/* The weight of the history's next event; 0 when it says nothing, or is so old that its weight
 * underflows. Call once for each event, in order. */
float rec_recency_next(struct rec_recency *walk, const struct rec_event *event);

/* Walks to the end of the history: own [items] becomes the sum of each item's weights, at the
 * history's items; other entries are not touched. Returns the sum of all. */
double rec_recency_add_up(struct rec_recency walk, const struct rec_history *history, float *own);

#endif
