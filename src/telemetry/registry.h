/* Inside the room: the lists that registry.c keeps and prometheus.c writes. */
#ifndef TELEMETRY_REGISTRY_H
#define TELEMETRY_REGISTRY_H

#include "recsysd/telemetry.h"

struct registry {
    struct rec_counter *counters;
    struct rec_gauge *gauges;
    struct rec_histogram *histograms;
};
extern struct registry telemetry_registry;

/* The upper bound of bucket i in nanoseconds: 50 us doubling. */
uint64_t telemetry_bucket_ns(size_t i);

#endif
