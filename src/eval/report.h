/* What the writers of reports share (this room only). */
#ifndef RECSYSD_EVAL_REPORT_H
#define RECSYSD_EVAL_REPORT_H

#include "recsysd/eval.h"

/* The cut-off that charts and one-line summaries are about. */
size_t rec_report_first_shown(const struct rec_report *report);
size_t rec_report_metric(const char *name); /* its index; the name must be there */
/* Whether no other row has a higher mean. */
bool rec_report_is_best(const struct rec_report *report, size_t row, size_t metric, size_t c);

/* Decimal places of a metric's column. */
int rec_report_places(const struct rec_report *report, size_t metric, size_t c);

/* One line. */
void rec_report_json_run(const struct rec_report *report, size_t row,
                         const struct rec_report_run *run, FILE *out);

/* "last 1 of each user, ..." */
void rec_report_describe(const struct rec_report *report, char *out, size_t cap);

/* Closes a file that was written; IO when any of it could not be. page.c */
enum rec_status rec_page_close(FILE *file, const char *path, struct rec_error *err);

/* ---- report_svg.c: charts ------------------------------------------------------------ */

void rec_svg_bars(const struct rec_report *report, FILE *out);
void rec_svg_scatter(const struct rec_report *report, FILE *out);
void rec_svg_buckets(const struct rec_report *report, FILE *out);
void rec_svg_lines(const struct rec_report *report, FILE *out);

#endif
