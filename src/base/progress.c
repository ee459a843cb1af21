/* Progress reports and cancellation of long work. */
#include "recsysd/base.h"

void rec_progress_report(const struct rec_progress *progress, const char *phase, double fraction,
                         double loss) {
    if (progress != NULL && progress->report != NULL)
        progress->report(progress->context, phase, fraction, loss);
}

bool rec_progress_cancelled(const struct rec_progress *progress) {
    return progress != NULL && progress->cancel != NULL && atomic_load(progress->cancel);
}

bool rec_progress_judged(const struct rec_progress *progress, size_t epoch, double metric) {
    return progress == NULL || progress->judged == NULL ||
           progress->judged(progress->context, epoch, metric);
}
