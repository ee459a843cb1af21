/* Items that a user has nothing of, which families that learn by comparison draw. Inside the room
 * only. */
#ifndef FAMILIES_NEGATIVES_H
#define FAMILIES_NEGATIVES_H

#include "recsysd/base.h"

struct rec_dataset;

/* BAD_INPUT when every user with a liked event has all items: there is no negative to draw then. Of
 * all data, not of what early stopping leaves of them: an item that is held out is no negative.
 * errors: NO_MEMORY too */
enum rec_status rec_negatives_check(const struct rec_dataset *data, const char *family,
                                    struct rec_error *err);

#endif
