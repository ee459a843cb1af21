/* Reports: what models did on one split, as means and deviations over the seeds. This file
 * collects; report_text.c and its like write. Means and deviations are kept by Welford's
 * recurrence, so that nothing has to be known of how many runs there will be. source: Welford,
 * "Note on a method for calculating corrected sums of squares and products", 1962 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "report.h"

static void spread_add(struct rec_spread *spread, double value, size_t n) {
    double delta = value - spread->mean;
    spread->mean += delta / (double)n;
    spread->squares += delta * (value - spread->mean);
    spread->deviation = n < 2 ? 0.0 : sqrt(spread->squares / (double)(n - 1));
}

void rec_report_begin(struct rec_report *report, const struct rec_split *split) {
    const struct rec_dataset *train = split->train;
    report->train_rows = train->offset[train->users];
    report->items = train->items;
    report->relevant = rec_csr_entries(split->test);
    report->train_users = report->tested = 0;
    memset(report->bucket_users, 0, sizeof(report->bucket_users));
    for (uint32_t u = 0; u < train->users; u++) {
        report->train_users += train->offset[u + 1] > train->offset[u];
        if (split->test->offset[u + 1] == split->test->offset[u])
            continue;
        report->tested++;
        report->bucket_users[rec_bucket_of(rec_bucket_positives(train, u))]++;
    }
}

void rec_report_add(struct rec_report *report, size_t row, const struct rec_report_run *run) {
    struct rec_report_row *to = &report->rows[row];
    to->seeds++;
    for (size_t m = 0; m < rec_metric_count; m++)
        for (size_t c = 0; c < report->k_count; c++) {
            spread_add(&to->value[m][c], rec_metric_get(&rec_metrics[m], &run->at[c]), to->seeds);
            for (size_t b = 0; run->buckets != NULL && b < REC_BUCKETS; b++)
                spread_add(&to->bucket[b][m][c],
                           rec_metric_get(&rec_metrics[m], &run->buckets[b * report->k_count + c]),
                           to->seeds);
        }
    spread_add(&to->fit_s, run->fit_s, to->seeds);
    spread_add(&to->users_s, run->users_s, to->seeds);
}

size_t rec_report_first_shown(const struct rec_report *report) {
    size_t c = 0;
    while (c + 1 < report->k_count && !report->shown[c])
        c++;
    return c;
}

size_t rec_report_metric(const char *name) {
    size_t m = 0;
    while (m + 1 < rec_metric_count && strcmp(rec_metrics[m].name, name) != 0)
        m++;
    return m;
}

bool rec_report_is_best(const struct rec_report *report, size_t row, size_t metric, size_t c) {
    double best = report->rows[0].value[metric][c].mean;
    for (size_t r = 1; r < report->count; r++)
        if (report->rows[r].value[metric][c].mean > best)
            best = report->rows[r].value[metric][c].mean;
    return report->rows[row].value[metric][c].mean >= best;
}

/* One number of places for a column, so that its numbers can be compared at a glance: four for
 * shares, fewer for what is counted. */
int rec_report_places(const struct rec_report *report, size_t metric, size_t c) {
    double most = 0.0;
    for (size_t r = 0; r < report->count; r++)
        most = fmax(most, fabs(report->rows[r].value[metric][c].mean));
    return most < 2.0 ? 4 : most < 100.0 ? 2 : 1;
}

/* ---- files --------------------------------------------------------------------------- */

struct writing {
    const struct rec_report *report;
    rec_report_fn write;
};

static void write_report(const void *context, FILE *out) {
    const struct writing *writing = context;
    writing->write(writing->report, out);
}

enum rec_status rec_report_save(const struct rec_report *report, rec_report_fn write,
                                const char *path, struct rec_error *err) {
    const struct writing writing = {.report = report, .write = write};
    return rec_page_save(path, write_report, &writing, err);
}

enum rec_status rec_report_writable(const char *path, struct rec_error *err) {
    FILE *file = fopen(path, "a");
    if (file == NULL)
        return rec_error_set(err, REC_IO, "cannot write %s: %s", path, strerror(errno));
    return rec_page_close(file, path, err);
}

enum rec_status rec_report_append(const struct rec_report *report, size_t row,
                                  const struct rec_report_run *run, const char *path,
                                  struct rec_error *err) {
    FILE *file = fopen(path, "a");
    if (file == NULL)
        return rec_error_set(err, REC_IO, "cannot append to %s: %s", path, strerror(errno));
    rec_report_json_run(report, row, run, file);
    return rec_page_close(file, path, err);
}
