/* Charts of a report, as SVG inside the page. Colours are classes, so that the page's style decides
 * on them for light and dark; every mark has a <title>, which browsers show under the pointer.
 *
 * Bars begin at zero, as a bar's length is what is read. The scatter and the lines do not: there it
 * is the place that is read, and models of one protocol differ by a few hundredths. */
#include <math.h>
#include <string.h>

#include "report.h"

enum { ROWS_MAX = 256 };
#define CHARACTER 6.7 /* width of a letter at 12 px, about */

static double label_room(const struct rec_report *report) {
    size_t most = 5;
    for (size_t r = 0; r < report->count; r++) {
        size_t bytes = strlen(report->rows[r].label);
        most = bytes > most ? bytes : most;
    }
    double room = CHARACTER * (double)most + 12.0;
    return room < 200.0 ? room : 200.0;
}

/* Rows by a metric, best first. */
static void order_rows(const struct rec_report *report, size_t metric, size_t c, size_t *order) {
    for (size_t r = 0; r < report->count; r++) {
        size_t at = r;
        for (; at > 0 && report->rows[order[at - 1]].value[metric][c].mean <
                             report->rows[r].value[metric][c].mean;
             at--)
            order[at] = order[at - 1];
        order[at] = r;
    }
}

static size_t rows_of(const struct rec_report *report) {
    return report->count < ROWS_MAX ? report->count : ROWS_MAX;
}

/* ---- bars ------------------------------------------------------------------------------ */

static void write_bar(FILE *out, const struct rec_report_row *row, const struct rec_spread *value,
                      const struct rec_scale *x, double y) {
    char text[32];
    double end = rec_scale_place(x, value->mean), half = value->deviation;
    rec_chart_label(out, x->at - 8.0, y + 13.0, "end", row->label);
    (void)fprintf(out,
                  "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\" "
                  "rx=\"2\"><title>",
                  x->at, y, end - x->at);
    rec_page_text(out, row->label);
    (void)fprintf(out, ": %.4f ± %.4f</title></rect>\n", value->mean, half);
    if (half > 0.0)
        (void)fprintf(
            out, "<path class=\"error\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv10M%.1f %.1fv10\"/>\n",
            rec_scale_place(x, value->mean - half), y + 9.0, rec_scale_place(x, value->mean + half),
            rec_scale_place(x, value->mean - half), y + 4.0, rec_scale_place(x, value->mean + half),
            y + 4.0);
    (void)snprintf(text, sizeof(text), "%.4f", value->mean);
    rec_chart_label(out, rec_scale_place(x, value->mean + half) + 6.0, y + 13.0, "start", text);
}

void rec_svg_bars(const struct rec_report *report, FILE *out) {
    size_t order[ROWS_MAX], rows = rows_of(report), metric = rec_report_metric("ndcg");
    size_t c = rec_report_first_shown(report);
    double left = label_room(report), bottom = 8.0 + 26.0 * (double)rows, most = 0.0;
    order_rows(report, metric, c, order);
    for (size_t r = 0; r < rows; r++) {
        const struct rec_spread *value = &report->rows[r].value[metric][c];
        most = fmax(most, value->mean + value->deviation);
    }
    struct rec_scale x = rec_scale_of(0.0, most, left, REC_CHART_WIDTH - left - 60.0);
    rec_chart_begin(out, bottom + 24.0, "NDCG of each model with its deviation over the seeds");
    rec_chart_ticks_x(out, &x, 4.0, bottom);
    for (size_t r = 0; r < rows; r++)
        write_bar(out, &report->rows[order[r]], &report->rows[order[r]].value[metric][c], &x,
                  8.0 + 26.0 * (double)r);
    (void)fputs("</svg>\n", out);
}

/* ---- accuracy against coverage ------------------------------------------------------------ */

struct box {
    double x, y, width;
};

static bool is_free(const struct box *boxes, size_t count, struct box box) {
    if (box.x < 40.0 || box.x + box.width > REC_CHART_WIDTH)
        return false;
    for (size_t i = 0; i < count; i++)
        if (fabs(boxes[i].y - box.y) < 13.0 && box.x < boxes[i].x + boxes[i].width &&
            boxes[i].x < box.x + box.width)
            return false;
    return true;
}

/* A place for a label near its point where nothing is written yet: right, left, above, below. */
static struct box find_place(const struct box *boxes, size_t count, double x, double y,
                             double width) {
    const struct box tries[] = {
        {x + 9.0, y + 4.0, width},          {x - 9.0 - width, y + 4.0, width},
        {x - width / 2.0, y - 10.0, width}, {x - width / 2.0, y + 19.0, width},
        {x + 9.0, y - 9.0, width},          {x + 9.0, y + 17.0, width},
        {x - 9.0 - width, y - 9.0, width},  {x - 9.0 - width, y + 17.0, width}};
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
        if (is_free(boxes, count, tries[i]))
            return tries[i];
    return tries[x > REC_CHART_WIDTH / 2.0 ? 1 : 0];
}

static void write_point(FILE *out, const struct rec_report_row *row, double x, double y,
                        double ndcg, double coverage) {
    (void)fprintf(out, "<circle class=\"point\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"><title>", x, y);
    rec_page_text(out, row->label);
    (void)fprintf(out, ": NDCG %.4f, coverage %.4f</title></circle>\n", ndcg, coverage);
}

void rec_svg_scatter(const struct rec_report *report, FILE *out) {
    size_t ndcg = rec_report_metric("ndcg"), coverage = rec_report_metric("coverage");
    size_t c = rec_report_first_shown(report), rows = rows_of(report), used = 0;
    double least = INFINITY, most = 0.0, widest = 0.0;
    struct box boxes[2 * ROWS_MAX];
    for (size_t r = 0; r < rows; r++) {
        least = fmin(least, report->rows[r].value[ndcg][c].mean);
        most = fmax(most, report->rows[r].value[ndcg][c].mean);
        widest = fmax(widest, report->rows[r].value[coverage][c].mean);
    }
    struct rec_scale x = rec_scale_of(0.0, widest, 56.0, REC_CHART_WIDTH - 76.0);
    struct rec_scale y = rec_scale_of(least, most, 274.0, -256.0);
    rec_chart_begin(out, 320.0, "NDCG against catalogue coverage");
    rec_chart_ticks_x(out, &x, 18.0, 274.0);
    rec_chart_ticks_y(out, &y, 56.0, REC_CHART_WIDTH - 20.0);
    rec_chart_label(out, 56.0 + (REC_CHART_WIDTH - 76.0) / 2.0, 312.0, "middle",
                    "share of the catalogue shown");
    for (size_t r = 0; r < rows; r++) {
        const struct rec_report_row *row = &report->rows[r];
        double px = rec_scale_place(&x, row->value[coverage][c].mean);
        double py = rec_scale_place(&y, row->value[ndcg][c].mean);
        write_point(out, row, px, py, row->value[ndcg][c].mean, row->value[coverage][c].mean);
        boxes[used++] = (struct box){px - 6.0, py + 4.0, 12.0};
    }
    for (size_t r = 0; r < rows; r++) {
        struct box box = find_place(boxes, used, boxes[r].x + 6.0, boxes[r].y - 4.0,
                                    CHARACTER * (double)strlen(report->rows[r].label));
        rec_chart_label(out, box.x, box.y, "start", report->rows[r].label);
        boxes[used++] = box;
    }
    (void)fputs("</svg>\n", out);
}

/* ---- by length of history ----------------------------------------------------------------- */

static void write_bucket_bars(FILE *out, const struct rec_report *report, size_t row, size_t c,
                              const struct rec_scale *x, double y) {
    size_t metric = rec_report_metric("ndcg");
    rec_chart_label(out, x->at - 8.0, y + 19.0, "end", report->rows[row].label);
    for (size_t b = 0; b < REC_BUCKETS; b++) {
        double value = report->rows[row].bucket[b][metric][c].mean;
        if (report->bucket_users[b] == 0)
            continue;
        (void)fprintf(out,
                      "<rect class=\"b%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"8\" "
                      "rx=\"1.5\"><title>",
                      b, x->at, y + 9.0 * (double)b, rec_scale_place(x, value) - x->at);
        rec_page_text(out, report->rows[row].label);
        (void)fprintf(out, ", %s users: %.4f</title></rect>\n", rec_bucket_name(b), value);
    }
}

static void write_bucket_keys(FILE *out, const struct rec_report *report) {
    double at = 4.0;
    for (size_t b = 0; b < REC_BUCKETS; b++) {
        char text[96];
        (void)snprintf(text, sizeof(text), "%s (%s): %llu", rec_bucket_name(b), rec_bucket_range(b),
                       (unsigned long long)report->bucket_users[b]);
        (void)fprintf(
            out, "<rect class=\"b%zu\" x=\"%.0f\" y=\"5\" width=\"10\" height=\"10\" rx=\"2\"/>\n",
            b, at);
        rec_chart_label(out, at + 15.0, 14.0, "start", text);
        at += 28.0 + (CHARACTER - 0.2) * (double)strlen(text);
    }
}

void rec_svg_buckets(const struct rec_report *report, FILE *out) {
    size_t order[ROWS_MAX], rows = rows_of(report), metric = rec_report_metric("ndcg");
    size_t c = rec_report_first_shown(report);
    double left = label_room(report), bottom = 30.0 + 36.0 * (double)rows, most = 0.0;
    order_rows(report, metric, c, order);
    for (size_t r = 0; r < rows; r++)
        for (size_t b = 0; b < REC_BUCKETS; b++)
            if (report->bucket_users[b] > 0)
                most = fmax(most, report->rows[r].bucket[b][metric][c].mean);
    struct rec_scale x = rec_scale_of(0.0, most, left, REC_CHART_WIDTH - left - 24.0);
    rec_chart_begin(out, bottom + 24.0, "NDCG of each model by the length of the users' histories");
    rec_chart_ticks_x(out, &x, 26.0, bottom);
    write_bucket_keys(out, report);
    for (size_t r = 0; r < rows; r++)
        write_bucket_bars(out, report, order[r], c, &x, 32.0 + 36.0 * (double)r);
    (void)fputs("</svg>\n", out);
}

/* ---- against k ----------------------------------------------------------------------------- */

static void write_line(FILE *out, const struct rec_report *report, size_t row,
                       const struct rec_scale *x, const struct rec_scale *y) {
    size_t metric = rec_report_metric("ndcg");
    (void)fprintf(out, "<polyline class=\"line s%zu%s\" points=\"", row % REC_CHART_COLOURS,
                  row / REC_CHART_COLOURS % 2 == 1 ? " dashed" : "");
    for (size_t c = 0; c < report->k_count; c++)
        (void)fprintf(out, "%s%.1f,%.1f", c > 0 ? " " : "", rec_scale_place(x, (double)c),
                      rec_scale_place(y, report->rows[row].value[metric][c].mean));
    (void)fputs("\"><title>", out);
    rec_page_text(out, report->rows[row].label);
    (void)fputs("</title></polyline>\n", out);
}

/* Labels at the ends of the lines, pushed apart where lines end close together. */
static void write_line_labels(FILE *out, const struct rec_report *report, const struct rec_scale *y,
                              const size_t *order, size_t rows, double left) {
    size_t metric = rec_report_metric("ndcg"), last = report->k_count - 1;
    double at[ROWS_MAX];
    for (size_t i = 0; i < rows; i++) {
        at[i] = rec_scale_place(y, report->rows[order[i]].value[metric][last].mean) + 4.0;
        if (i > 0 && at[i] < at[i - 1] + 14.0)
            at[i] = at[i - 1] + 14.0;
    }
    double over = rows > 0 ? at[rows - 1] - (y->at + 20.0) : 0.0;
    for (size_t i = rows; over > 0.0 && i-- > 0;) {
        double bound = i + 1 < rows ? at[i + 1] - 14.0 : y->at + 20.0;
        at[i] = at[i] > bound ? bound : at[i];
    }
    for (size_t i = 0; i < rows; i++) {
        (void)fprintf(out,
                      "<rect class=\"key s%zu\" x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\"/>\n",
                      order[i] % REC_CHART_COLOURS, left, at[i] - 8.0);
        rec_chart_label(out, left + 13.0, at[i], "start", report->rows[order[i]].label);
    }
}

void rec_svg_lines(const struct rec_report *report, FILE *out) {
    size_t order[ROWS_MAX], rows = rows_of(report), metric = rec_report_metric("ndcg");
    double least = INFINITY, most = 0.0, right = REC_CHART_WIDTH - label_room(report) - 20.0;
    double height = fmax(256.0, 14.0 * (double)rows);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < report->k_count; c++) {
            least = fmin(least, report->rows[r].value[metric][c].mean);
            most = fmax(most, report->rows[r].value[metric][c].mean);
        }
    order_rows(report, metric, report->k_count - 1, order);
    double steps = report->k_count > 1 ? (double)(report->k_count - 1) : 1.0;
    struct rec_scale x = {
        .from = 0.0, .to = steps, .step = 1.0, .at = 64.0, .length = right - 72.0};
    struct rec_scale y = rec_scale_of(least, most, 18.0 + height, -height);
    rec_chart_begin(out, height + 64.0, "NDCG against the length of the list");
    rec_chart_ticks_y(out, &y, 56.0, right);
    for (size_t c = 0; c < report->k_count; c++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", report->ks[c]);
        rec_chart_label(out, rec_scale_place(&x, (double)c), height + 36.0, "middle", text);
    }
    rec_chart_label(out, (56.0 + right) / 2.0, height + 54.0, "middle", "items in the list");
    for (size_t r = 0; r < rows; r++)
        write_line(out, report, r, &x, &y);
    write_line_labels(out, report, &y, order, rows, right + 8.0);
    (void)fputs("</svg>\n", out);
}
