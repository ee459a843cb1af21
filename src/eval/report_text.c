/* The table for people at a terminal: a block for each cut-off, a line for each model. */
#include <math.h>
#include <string.h>

#include "report.h"

static int label_width(const struct rec_report *report) {
    size_t width = strlen("model");
    for (size_t r = 0; r < report->count; r++) {
        size_t bytes = strlen(report->rows[r].label);
        width = bytes > width ? bytes : width;
    }
    return (int)width;
}

static void write_cell(FILE *out, const struct rec_spread *value, int digits, bool deviation) {
    char text[64];
    if (deviation)
        (void)snprintf(text, sizeof(text), "%.*f ±%.*f", digits, value->mean, digits,
                       value->deviation);
    else
        (void)snprintf(text, sizeof(text), "%.*f", digits, value->mean);
    /* "±" is two bytes and one column */
    (void)fprintf(out, "  %*s", deviation ? 16 : 14, text);
}

static bool has_deviations(const struct rec_report *report) {
    for (size_t r = 0; r < report->count; r++)
        if (report->rows[r].seeds > 1)
            return true;
    return false;
}

static void write_head(FILE *out, uint32_t k, int width, bool deviation) {
    char name[48];
    (void)fprintf(out, "\n%-*s", width, "model");
    for (size_t m = 0; m < rec_metric_count; m++) {
        (void)snprintf(name, sizeof(name), "%.30s@%u", rec_metrics[m].name, k);
        (void)fprintf(out, "  %*s", deviation ? 15 : 14, name);
    }
    (void)fprintf(out, "  %9s  %9s\n", "fit s", "users/s");
}

static void write_block(FILE *out, const struct rec_report *report, size_t c, int width) {
    bool deviation = has_deviations(report);
    write_head(out, report->ks[c], width, deviation);
    for (size_t r = 0; r < report->count; r++) {
        const struct rec_report_row *row = &report->rows[r];
        (void)fprintf(out, "%-*s", width, row->label);
        for (size_t m = 0; m < rec_metric_count; m++)
            write_cell(out, &row->value[m][c], rec_report_places(report, m, c), deviation);
        (void)fprintf(out, "  %9.2f  %9.0f\n", row->fit_s.mean, row->users_s.mean);
    }
}

static void write_buckets(FILE *out, const struct rec_report *report, size_t c, int width) {
    for (size_t b = 0; b < REC_BUCKETS; b++) {
        (void)fprintf(out, "\n%s users (%s liked rows in train): %llu\n", rec_bucket_name(b),
                      rec_bucket_range(b), (unsigned long long)report->bucket_users[b]);
        if (report->bucket_users[b] == 0)
            continue;
        (void)fprintf(out, "%-*s", width, "model");
        for (size_t m = 0; m < rec_metric_count; m++)
            if (!rec_metrics[m].of_lists)
                (void)fprintf(out, "  %10s@%-3u", rec_metrics[m].name, report->ks[c]);
        (void)fputc('\n', out);
        for (size_t r = 0; r < report->count; r++) {
            (void)fprintf(out, "%-*s", width, report->rows[r].label);
            for (size_t m = 0; m < rec_metric_count; m++)
                if (!rec_metrics[m].of_lists)
                    write_cell(out, &report->rows[r].bucket[b][m][c],
                               rec_report_places(report, m, c), false);
            (void)fputc('\n', out);
        }
    }
}

static void describe_bound(char *out, size_t cap, const char *format, unsigned value) {
    size_t used = strlen(out);
    if (value > 0)
        (void)snprintf(out + used, cap - used, format, value);
}

static void describe_last(const struct rec_split_options *split, char *out, size_t cap) {
    (void)snprintf(out, cap, "the last %u of each user", split->test_last);
    describe_bound(out, cap, ", %u before for validation", split->validation_last);
    describe_bound(out, cap, ", users with under %u stay in train", split->user_events_min);
    describe_bound(out, cap, ", tested on the first %u users", split->test_users_max);
}

static void describe_time(const struct rec_protocol *protocol, char *out, size_t cap) {
    const struct rec_split_options *split = &protocol->split;
    char time[REC_CLOCK_TEXT_BYTES];
    rec_clock_format(split->cut, time);
    if (split->cut != 0)
        (void)snprintf(out, cap, "everything from %s on", time);
    else
        (void)snprintf(out, cap, "everything after the %g quantile of times", split->quantile);
    describe_bound(out, cap, ", users with at least %u train rows", protocol->train_min);
    describe_bound(out, cap, ", tested with at least %u", split->user_events_min);
    describe_bound(out, cap, " and %u test rows", split->test_events_min);
}

void rec_report_describe(const struct rec_report *report, char *out, size_t cap) {
    const struct rec_protocol *protocol = report->protocol;
    if (report->parts_given)
        (void)snprintf(out, cap, "split as given");
    else if (protocol->split.kind == REC_SPLIT_LEAVE_LAST)
        describe_last(&protocol->split, out, cap);
    else
        describe_time(protocol, out, cap);
    size_t used = strlen(out);
    if (report->rated && isfinite(protocol->positive_min))
        (void)snprintf(out + used, cap - used, "; ratings from %g on count",
                       protocol->positive_min);
    else
        (void)snprintf(out + used, cap - used, "; every row counts");
    used = strlen(out);
    if (protocol->split.nothing_seen)
        (void)snprintf(out + used, cap - used, "; seen items may come back");
}

void rec_report_text(const struct rec_report *report, FILE *out) {
    char split[400];
    int width = label_width(report);
    rec_report_describe(report, split, sizeof(split));
    (void)fprintf(out,
                  "%s, %s (%s)\n%s\ntrain: %llu rows, %llu users, %llu items; %s: %llu users, %llu "
                  "relevant items\n",
                  report->data, report->protocol->name, report->part, split,
                  (unsigned long long)report->train_rows, (unsigned long long)report->train_users,
                  (unsigned long long)report->items, report->part,
                  (unsigned long long)report->tested, (unsigned long long)report->relevant);
    for (size_t c = 0; report->count > 0 && c < report->k_count; c++)
        if (report->shown[c])
            write_block(out, report, c, width);
    if (report->by_bucket && report->count > 0)
        write_buckets(out, report, rec_report_first_shown(report), width);
    if (report->failed > 0)
        (void)fputc('\n', out);
    for (size_t f = 0; f < report->failed; f++)
        (void)fprintf(out, "%s failed: %s\n", report->failures[f].label,
                      report->failures[f].reason);
}
