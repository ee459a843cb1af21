/* telemetry: counters, gauges and latency histograms, written as Prometheus
 * text. Every metric is a static object; the registry is the list of them.
 * Updates are relaxed atomics: no lock, no allocation, any thread. What every
 * request adds to is kept in parts, each on cache lines of its own, or cores
 * would hand one line to and fro. */
#ifndef RECSYSD_TELEMETRY_H
#define RECSYSD_TELEMETRY_H

#include "recsysd/base.h"

enum {
    REC_TELEMETRY_BUCKETS = 20, /* 50 us doubling up to 13 s, then +Inf */
    REC_TELEMETRY_PARTS = 8,
};

struct rec_counter {
    const char *name, *help, *labels; /* labels: `op="recommend"` or NULL */
    struct rec_counter *next;         /* registry.c only */
    struct {
        _Alignas(64) _Atomic uint64_t value;
    } part[REC_TELEMETRY_PARTS]; /* they add up */
};
struct rec_gauge {
    const char *name, *help, *labels;
    _Atomic int64_t value;
    struct rec_gauge *next;
};
struct rec_histogram {
    const char *name, *help, *labels;
    struct rec_histogram *next;
    struct {
        _Alignas(64) _Atomic uint64_t bucket[REC_TELEMETRY_BUCKETS + 1];
        _Atomic uint64_t sum_ns;
    } part[REC_TELEMETRY_PARTS]; /* they add up */
};

/* Adds to the list that rec_telemetry_write walks. Metrics of one name must be
 * registered together. owns: borrows the object for the life of the process. */
void rec_telemetry_register_counter(struct rec_counter *counter);
void rec_telemetry_register_gauge(struct rec_gauge *gauge);
void rec_telemetry_register_histogram(struct rec_histogram *histogram);

void rec_counter_add(struct rec_counter *counter, uint64_t n);
void rec_gauge_set(struct rec_gauge *gauge, int64_t value);
void rec_histogram_observe(struct rec_histogram *histogram, uint64_t ns);

/* All metrics as Prometheus text 0.0.4 into out [cap]. Returns the bytes it
 * takes, like snprintf; out may be NULL. Adds process_resident_memory_bytes. */
size_t rec_telemetry_write(char *out, size_t cap);

#endif
