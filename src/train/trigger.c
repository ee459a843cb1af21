/* When an automatic run is due. Apart from the scheduler, and without a clock of its own, so that
 * minutes need no waiting to be tested. */
#include "trigger.h"

bool rec_trigger_due(const struct rec_trigger *trigger, uint64_t now_ns, uint64_t recorded,
                     uint64_t live_recorded) {
    /* A model brought by a reload may know more than the last run did. */
    uint64_t known = live_recorded > trigger->recorded ? live_recorded : trigger->recorded;
    if (recorded <= known)
        return false; /* nothing new: the run would make the same model again */
    if (trigger->after_recorded > 0 && recorded - known >= trigger->after_recorded)
        return true;
    return trigger->every_ns > 0 && now_ns - trigger->started_ns >= trigger->every_ns;
}

void rec_trigger_started(struct rec_trigger *trigger, uint64_t now_ns, uint64_t recorded) {
    trigger->started_ns = now_ns;
    trigger->recorded = recorded;
}
