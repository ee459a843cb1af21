/* Writes the registered metrics as Prometheus text format 0.0.4. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "registry.h"

/* Like snprintf, but at a place of its own: what does not fit is counted and left out. */
struct out {
    char *text;
    size_t cap, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    size_t room = out->used < out->cap ? out->cap - out->used : 0;
    int n = vsnprintf(room > 0 ? out->text + out->used : NULL, room, fmt, args);
    va_end(args);
    if (n > 0)
        out->used += (size_t)n;
}

/* HELP and TYPE come once for all metrics of a name. */
static void put_head(struct out *out, const char **previous, const char *name, const char *help,
                     const char *type) {
    if (*previous == NULL || strcmp(*previous, name) != 0)
        put(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    *previous = name;
}

static void put_value(struct out *out, const char *name, const char *labels, int64_t value) {
    if (labels != NULL)
        put(out, "%s{%s} %" PRId64 "\n", name, labels, value);
    else
        put(out, "%s %" PRId64 "\n", name, value);
}

static uint64_t total_of(const struct rec_counter *c) {
    uint64_t total = 0;
    for (size_t p = 0; p < REC_TELEMETRY_PARTS; p++)
        total += atomic_load_explicit(&c->part[p].value, memory_order_relaxed);
    return total;
}

static uint64_t bucket_of(const struct rec_histogram *h, size_t bucket) {
    uint64_t total = 0;
    for (size_t p = 0; p < REC_TELEMETRY_PARTS; p++)
        total += atomic_load_explicit(&h->part[p].bucket[bucket], memory_order_relaxed);
    return total;
}

static uint64_t sum_of(const struct rec_histogram *h) {
    uint64_t total = 0;
    for (size_t p = 0; p < REC_TELEMETRY_PARTS; p++)
        total += atomic_load_explicit(&h->part[p].sum_ns, memory_order_relaxed);
    return total;
}

static void put_histogram(struct out *out, const struct rec_histogram *h) {
    const char *labels = h->labels != NULL ? h->labels : "";
    const char *comma = h->labels != NULL ? "," : "";
    const char *open = h->labels != NULL ? "{" : "", *close = h->labels != NULL ? "}" : "";
    uint64_t count = 0;
    for (size_t i = 0; i < REC_TELEMETRY_BUCKETS; i++) {
        count += bucket_of(h, i);
        put(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", h->name, labels, comma,
            (double)telemetry_bucket_ns(i) / 1e9, count);
    }
    count += bucket_of(h, REC_TELEMETRY_BUCKETS);
    put(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", h->name, labels, comma, count);
    put(out, "%s_sum%s%s%s %.9g\n", h->name, open, labels, close, (double)sum_of(h) / 1e9);
    put(out, "%s_count%s%s%s %" PRIu64 "\n", h->name, open, labels, close, count);
}

/* The second number of /proc/self/statm is the resident set in pages. */
static int64_t resident_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long total = 0, resident = 0;
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld %ld", &total, &resident) != 2)
        resident = 0;
    (void)fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

size_t rec_telemetry_write(char *text, size_t cap) {
    struct out out = {.text = text, .cap = cap};
    const char *name = NULL;

    for (struct rec_counter *c = telemetry_registry.counters; c != NULL; c = c->next) {
        put_head(&out, &name, c->name, c->help, "counter");
        put_value(&out, c->name, c->labels, (int64_t)total_of(c));
    }
    for (struct rec_gauge *g = telemetry_registry.gauges; g != NULL; g = g->next) {
        put_head(&out, &name, g->name, g->help, "gauge");
        put_value(&out, g->name, g->labels, atomic_load_explicit(&g->value, memory_order_relaxed));
    }
    for (struct rec_histogram *h = telemetry_registry.histograms; h != NULL; h = h->next) {
        put_head(&out, &name, h->name, h->help, "histogram");
        put_histogram(&out, h);
    }
    put_head(&out, &name, "process_resident_memory_bytes", "Resident memory size in bytes.",
             "gauge");
    put_value(&out, "process_resident_memory_bytes", NULL, resident_bytes());
    return out.used;
}
