/* trigger: when an automatic run is due. */
#ifndef RECSYSD_TRAIN_TRIGGER_H
#define RECSYSD_TRAIN_TRIGGER_H

#include "recsysd/base.h"

struct rec_trigger {
    uint64_t every_ns;       /* 0: never */
    uint64_t after_recorded; /* 0: never */
    uint64_t started_ns;     /* when the last run, of any kind, started; at first: the creation */
    uint64_t recorded;       /* rows ever recorded when it did; at first 0 */
};

/* live_recorded: what the live model was fitted on; 0 when there is none. */
bool rec_trigger_due(const struct rec_trigger *trigger, uint64_t now_ns, uint64_t recorded,
                     uint64_t live_recorded);

/* A run starts. It counts whatever becomes of it: a run that fails or is not better on these rows
 * would do so again, and is not tried again until there is something new. */
void rec_trigger_started(struct rec_trigger *trigger, uint64_t now_ns, uint64_t recorded);

#endif
