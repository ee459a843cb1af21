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
    float weight = event->weight;
    if (walk->tau > 0.0f) {
        walk->newer--;
        weight *= expf(-(float)walk->newer / walk->tau);
        weight = fmaxf(weight, walk->faintest * event->weight);
    }
    return walk->most > 0.0f ? fminf(weight, walk->most) : weight;
}

double rec_recency_add_up(struct rec_recency walk, const struct rec_history *history, float *own) {
    double sum = 0.0;
    for (size_t e = 0; e < history->count; e++)
        if (history->events[e].item < walk.items)
            own[history->events[e].item] = 0.0f;
    for (size_t e = 0; e < history->count; e++) {
        float weight = rec_recency_next(&walk, &history->events[e]);
        if (weight > 0.0f) {
            own[history->events[e].item] += weight;
            sum += (double)weight;
        }
    }
    return sum;
}
