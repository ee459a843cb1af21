/* Weights of a history's events by how many events ago they were; see recency.h. */
#include <math.h>

#include "recency.h"

static bool says_something(const struct rec_event *event, uint32_t items) {
    return event->item < items && event->weight > 0.0f;
}

struct rec_recency rec_recency_begin(float tau, uint32_t items, const struct rec_history *history) {
    struct rec_recency walk = {.tau = tau, .items = items};
    for (size_t e = 0; tau > 0.0f && e < history->count; e++)
        walk.newer += says_something(&history->events[e], items);
    return walk;
}

float rec_recency_next(struct rec_recency *walk, const struct rec_event *event) {
    if (!says_something(event, walk->items))
        return 0.0f;
    if (!(walk->tau > 0.0f))
        return event->weight;
    walk->newer--;
    return event->weight * expf(-(float)walk->newer / walk->tau);
}
