/* The report as a page: one file that needs nothing from anywhere, so it can be mailed, kept beside
 * the data, and opened in ten years. The charts are in report_svg.c. */
#include <math.h>

#include "report.h"

static const char style[] =
    ":root{--page:#f6f7f9;--card:#fff;--ink:#1c2330;--soft:#667085;--line:#e4e7ec;--bar:#3b6fd4;"
    "--best:#e9f0fd;--b0:#9dbcf2;--b1:#5b8ae0;--b2:#2450a4;--s0:#2563eb;--s1:#d97706;--s2:#059669;"
    "--s3:#dc2626;--s4:#7c3aed;--s5:#0891b2;--s6:#be185d;--s7:#65a30d}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#12151b;--card:#1b2029;--ink:#e6e9ef;"
    "--soft:#98a2b3;--line:#2c3442;--bar:#6d9bf1;--best:#22304c;--b0:#35558f;--b1:#5f8fe6;"
    "--b2:#a9c6fa;--s0:#6ea0ff;--s1:#fbbf24;--s2:#34d399;--s3:#f87171;--s4:#b794f6;--s5:#22d3ee;"
    "--s6:#f472b6;--s7:#a3e635}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}main{max-width:1320px;margin:0 auto;padding:28px 20px}\n"
    "h1{font-size:22px;margin:0 0 2px}h2{font-size:15px;margin:0 0 10px}p{margin:0;"
    "color:var(--soft)}dl{display:flex;flex-wrap:wrap;gap:6px 28px;margin:14px 0 22px}\n"
    "dt{font-size:12px;color:var(--soft)}dd{margin:0;font-weight:600}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px "
    "18px;margin:0 0 16px;min-width:0}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px;"
    "font-variant-numeric:tabular-nums}th,td{padding:6px 7px;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid "
    "var(--line)}th{white-space:normal;vertical-align:bottom;font-weight:600;color:var(--soft)}\n"
    "th:first-child,td:first-child{text-align:left;font-weight:600;color:var(--ink)}"
    "tr:last-child td{border-bottom:0}td.best{background:var(--best);font-weight:600}"
    "small{color:var(--soft);font-weight:400;font-size:11px}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));"
    "gap:16px}.charts section{margin:0}.charts p{font-size:13px;margin:-8px 0 8px}"
    "svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif}svg "
    "text{fill:var(--ink)}\n"
    ".grid{stroke:var(--line)}.bar,.point{fill:var(--bar)}.error{stroke:var(--ink);fill:none;"
    "stroke-width:1.4}.b0{fill:var(--b0)}.b1{fill:var(--b1)}.b2{fill:var(--b2)}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:5 4}\n"
    ".s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}"
    ".s4{stroke:var(--s4)}.s5{stroke:var(--s5)}.s6{stroke:var(--s6)}.s7{stroke:var(--s7)}"
    ".key{stroke:none}.key.s0{fill:var(--s0)}.key.s1{fill:var(--s1)}.key.s2{fill:var(--s2)}"
    ".key.s3{fill:var(--s3)}.key.s4{fill:var(--s4)}.key.s5{fill:var(--s5)}.key.s6{fill:var(--s6)}"
    ".key.s7{fill:var(--s7)}\n"
    "code{font:12px ui-monospace,monospace;overflow-wrap:anywhere}.params td{white-space:normal;"
    "text-align:left}footer{color:var(--soft);font-size:12px;margin:18px 0 0}\n";

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
    char split[400];
    rec_report_describe(report, split, sizeof(split));
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
                "name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta "
                "name=\"color-scheme\" content=\"light dark\">\n<title>",
                out);
    rec_svg_text(out, report->protocol->name);
    (void)fprintf(out, " &middot; recsysd evaluate</title>\n<style>\n%s</style>\n</head>\n", style);
    (void)fputs("<body>\n<main>\n<h1>", out);
    rec_svg_text(out, report->parts_given ? "pre-split data" : report->protocol->name);
    (void)fprintf(out, " &middot; %s</h1>\n<p>", report->part);
    rec_svg_text(out, report->data);
    (void)fputs("</p>\n<p>", out);
    rec_svg_text(out, split);
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
    int digits = fabs(value->mean) < 2.0 ? 4 : fabs(value->mean) < 100.0 ? 2 : 1;
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
        rec_svg_text(out, report->rows[r].label);
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
        rec_svg_text(out, row->label);
        (void)fprintf(out, "</td><td>%s</td><td>%zu seed%s</td><td><code>", row->family, row->seeds,
                      row->seeds == 1 ? "" : "s");
        rec_svg_text(out, row->parameters[0] == '\0' ? "none" : row->parameters);
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
    for (size_t c = 0; c < report->k_count; c++)
        if (report->shown[c])
            write_table(out, report, c);
    write_charts(out, report);
    (void)fputs("<div style=\"height:16px\"></div>\n", out);
    write_parameters(out, report);
    (void)fprintf(
        out,
        "<footer>recsysd %s, %s. Full ranking over all items; means over users with "
        "something to find; ties go to the lower id.</footer>\n</main>\n</body>\n</html>\n",
        report->version, made);
}
