/* The report as a page: one file that needs nothing from anywhere, so it can be mailed, kept beside
 * the data, and opened in ten years. The charts are in report_svg.c. */
#include "report.h"

static void write_count(FILE *out, const char *name, uint64_t value) {
    (void)fprintf(out, "<div><dt>%s</dt><dd>", name);
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            (void)fputs(",", out);
        (void)fputc(digits[i], out);
    }
    (void)fputs("</dd></div>\n", out);
}

static void write_head(FILE *out, const struct rec_report *report) {
    char split[400], title[96];
    rec_report_describe(report, split, sizeof(split));
    (void)snprintf(title, sizeof(title), "%s · recsysd evaluate", report->protocol->name);
    rec_page_begin(out, title);
    (void)fputs("<h1>", out);
    rec_page_text(out, report->parts_given ? "pre-split data" : report->protocol->name);
    (void)fprintf(out, " &middot; %s</h1>\n<p>", report->part);
    rec_page_text(out, report->data);
    (void)fputs("</p>\n<p>", out);
    rec_page_text(out, split);
    (void)fputs("</p>\n<dl>\n", out);
    write_count(out, "rows in train", report->train_rows);
    write_count(out, "users in train", report->train_users);
    write_count(out, "items", report->items);
    write_count(out, "users asked", report->tested);
    write_count(out, "items to find", report->relevant);
    (void)fputs("</dl>\n", out);
}

/* ---- the table ------------------------------------------------------------------------- */

static void write_value(FILE *out, const struct rec_report *report, size_t row, size_t metric,
                        size_t c) {
    const struct rec_spread *value = &report->rows[row].value[metric][c];
    /* The most popular lists and the most novel ones are no better for it. */
    bool judged = rec_metrics[metric].offset < offsetof(struct rec_ranking, avg_popularity);
    bool best = judged && report->count > 1 && rec_report_is_best(report, row, metric, c);
    int digits = rec_report_places(report, metric, c);
    (void)fprintf(out, "<td%s>%.*f", best ? " class=\"best\"" : "", digits, value->mean);
    if (value->deviation > 0.0)
        (void)fprintf(out, " <small>±%.*f</small>", digits, value->deviation);
    (void)fputs("</td>", out);
}

static void write_table(FILE *out, const struct rec_report *report, size_t c) {
    (void)fprintf(out,
                  "<section class=\"wide\">\n<h2>Lists of %u</h2>\n<table>\n<tr><th>model</th>",
                  report->ks[c]);
    for (size_t m = 0; m < rec_metric_count; m++) {
        (void)fprintf(out, "<th title=\"%s\">", rec_metrics[m].help);
        for (const char *letter = rec_metrics[m].name; *letter != '\0'; letter++)
            (void)fputc(*letter == '_' ? ' ' : *letter, out);
        (void)fputs("</th>", out);
    }
    (void)fputs("<th>fit s</th><th>users/s</th></tr>\n", out);
    for (size_t r = 0; r < report->count; r++) {
        (void)fputs("<tr><td>", out);
        rec_page_text(out, report->rows[r].label);
        (void)fputs("</td>", out);
        for (size_t m = 0; m < rec_metric_count; m++)
            write_value(out, report, r, m, c);
        (void)fprintf(out, "<td>%.2f</td><td>%.0f</td></tr>\n", report->rows[r].fit_s.mean,
                      report->rows[r].users_s.mean);
    }
    (void)fputs("</table>\n</section>\n", out);
}

static void write_parameters(FILE *out, const struct rec_report *report) {
    (void)fputs("<section class=\"wide params\">\n<h2>Parameters</h2>\n<table>\n", out);
    for (size_t r = 0; r < report->count; r++) {
        const struct rec_report_row *row = &report->rows[r];
        (void)fputs("<tr><td>", out);
        rec_page_text(out, row->label);
        (void)fprintf(out, "</td><td>%s</td><td>%zu seed%s</td><td><code>", row->family, row->seeds,
                      row->seeds == 1 ? "" : "s");
        rec_page_text(out, row->parameters[0] == '\0' ? "none" : row->parameters);
        (void)fputs("</code></td></tr>\n", out);
    }
    (void)fputs("</table>\n</section>\n", out);
}

static void write_failures(FILE *out, const struct rec_report *report) {
    if (report->failed == 0)
        return;
    (void)fputs("<section class=\"wide params\">\n<h2>Failed</h2>\n<table>\n", out);
    for (size_t f = 0; f < report->failed; f++) {
        const struct rec_report_failure *failure = &report->failures[f];
        (void)fputs("<tr><td>", out);
        rec_page_text(out, failure->label);
        (void)fputs("</td><td>", out);
        rec_page_text(out, failure->reason);
        (void)fputs("</td><td><code>", out);
        rec_page_text(out, failure->parameters[0] == '\0' ? "none" : failure->parameters);
        (void)fputs("</code></td></tr>\n", out);
    }
    (void)fputs("</table>\n</section>\n", out);
}

/* ---- the charts -------------------------------------------------------------------------- */

static void write_chart(FILE *out, const struct rec_report *report, const char *title,
                        const char *note, rec_report_fn chart) {
    (void)fprintf(out, "<section>\n<h2>%s</h2>\n<p>%s</p>\n", title, note);
    chart(report, out);
    (void)fputs("</section>\n", out);
}

static void write_charts(FILE *out, const struct rec_report *report) {
    char title[64];
    unsigned k = report->ks[rec_report_first_shown(report)];
    (void)fputs("<div class=\"charts\">\n", out);
    (void)snprintf(title, sizeof(title), "NDCG@%u", k);
    write_chart(out, report, title, "mean over the seeds; whiskers: one standard deviation",
                rec_svg_bars);
    (void)snprintf(title, sizeof(title), "NDCG@%u against coverage@%u", k, k);
    write_chart(out, report, title, "right and up is better: accurate, and more of the catalogue",
                rec_svg_scatter);
    if (report->by_bucket) {
        (void)snprintf(title, sizeof(title), "NDCG@%u by length of history", k);
        write_chart(out, report, title,
                    "users by how many liked rows they have in train, and how many users these are",
                    rec_svg_buckets);
    }
    write_chart(out, report, "NDCG against k", "the longer the list, the more there is to find",
                rec_svg_lines);
    (void)fputs("</div>\n", out);
}

void rec_report_html(const struct rec_report *report, FILE *out) {
    char made[REC_CLOCK_TEXT_BYTES];
    rec_clock_format(report->made_at, made);
    write_head(out, report);
    for (size_t c = 0; report->count > 0 && c < report->k_count; c++)
        if (report->shown[c])
            write_table(out, report, c);
    write_failures(out, report);
    if (report->count > 0)
        write_charts(out, report);
    (void)fputs("<div style=\"height:16px\"></div>\n", out);
    if (report->count > 0)
        write_parameters(out, report);
    (void)fprintf(out,
                  "<footer>recsysd %s, %s. Full ranking over all items; means over users with "
                  "something to find; ties go to the lower id.</footer>\n",
                  report->version, made);
    rec_page_end(out);
}
