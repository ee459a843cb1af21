/* The metrics of the process and how they are updated.
 *
 * Registration happens at start, before threads; from then on the lists do not
 * change, and an update is one relaxed atomic addition to the thread's part. */
#include "registry.h"

struct registry telemetry_registry;

/* Appended at the end: metrics of one name stay together and in order. */
#define REGISTER(list, metric)                                                                     \
    do {                                                                                           \
        while (*(list) != NULL)                                                                    \
            (list) = &(*(list))->next;                                                             \
        *(list) = (metric);                                                                        \
    } while (0)

void rec_telemetry_register_counter(struct rec_counter *counter) {
    struct rec_counter **list = &telemetry_registry.counters;
    REGISTER(list, counter);
}

void rec_telemetry_register_gauge(struct rec_gauge *gauge) {
    struct rec_gauge **list = &telemetry_registry.gauges;
    REGISTER(list, gauge);
}

void rec_telemetry_register_histogram(struct rec_histogram *histogram) {
    struct rec_histogram **list = &telemetry_registry.histograms;
    REGISTER(list, histogram);
}

static size_t own_part(void) {
    return rec_thread_number() % REC_TELEMETRY_PARTS;
}

void rec_counter_add(struct rec_counter *counter, uint64_t n) {
    atomic_fetch_add_explicit(&counter->part[own_part()].value, n, memory_order_relaxed);
}

void rec_gauge_set(struct rec_gauge *gauge, int64_t value) {
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

uint64_t telemetry_bucket_ns(size_t i) {
    return 50000u * ((uint64_t)1 << i);
}

void rec_histogram_observe(struct rec_histogram *histogram, uint64_t ns) {
    size_t i = 0, part = own_part();
    while (i < REC_TELEMETRY_BUCKETS && ns > telemetry_bucket_ns(i))
        i++;
    atomic_fetch_add_explicit(&histogram->part[part].bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->part[part].sum_ns, ns, memory_order_relaxed);
}
