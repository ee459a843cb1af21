/* Median pruning: a trial that after some epochs is worse than half of the others were by then is
 * not worth its remaining epochs.
 * source: Golovin et al., "Google Vizier: a service for black-box optimization", 2017, section 3.1.
 *
 * Best looks are compared and not last ones, as a fit that stops early keeps its best model. Only
 * complete trials are the measure: those given up would pull the median up or down for ever. */
#include <stdlib.h>

#include "recsysd/tune.h"

/* At most up to an epoch; below all values when there was no look by then. */
static double best_by(const struct rec_study_look *looks, size_t count, uint32_t epoch) {
    double best = -1.0;
    for (size_t i = 0; i < count && looks[i].epoch <= epoch; i++)
        best = looks[i].value > best ? looks[i].value : best;
    return best;
}

static bool counts(const struct rec_tune_trial *trial) {
    return trial->state == REC_STUDY_COMPLETE && trial->look_count > 0;
}

/* Below the median: more of the others were better than were not. No sorting, so no memory: this
 * runs inside fits. */
bool rec_tune_is_behind(const struct rec_tune_trial *trials, size_t count,
                        const struct rec_study_look *looks, size_t look_count) {
    size_t others = 0, better = 0;
    if (look_count < REC_TUNE_PRUNE_LOOKS)
        return false;
    uint32_t epoch = looks[look_count - 1].epoch;
    double best = best_by(looks, look_count, epoch);
    for (size_t t = 0; t < count; t++) {
        if (!counts(&trials[t]))
            continue;
        others++;
        better += best_by(trials[t].looks, trials[t].look_count, epoch) > best;
    }
    return others >= REC_TUNE_PRUNE_TRIALS && 2 * better > others;
}
