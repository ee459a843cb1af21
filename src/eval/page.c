/* What pages and charts are made of, for reports and whoever else writes one: a page that needs
 * nothing from anywhere, and the scales, labels and grid of its charts. Colours are classes, so
 * that the page's style decides on them for light and dark. */
#include <errno.h>
#include <math.h>
#include <string.h>

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

void rec_page_text(FILE *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '<')
            (void)fputs("&lt;", out);
        else if (*text == '>')
            (void)fputs("&gt;", out);
        else if (*text == '&')
            (void)fputs("&amp;", out);
        else if (*text == '"')
            (void)fputs("&quot;", out);
        else
            (void)fputc(*text, out);
    }
}

void rec_page_begin(FILE *out, const char *title) {
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
                "name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta "
                "name=\"color-scheme\" content=\"light dark\">\n<title>",
                out);
    rec_page_text(out, title);
    (void)fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", style);
}

void rec_page_end(FILE *out) {
    (void)fputs("</main>\n</body>\n</html>\n", out);
}

enum rec_status rec_page_close(FILE *file, const char *path, struct rec_error *err) {
    bool bad = ferror(file) != 0;
    int cause = errno;
    if (fclose(file) != 0) {
        cause = errno;
        bad = true;
    }
    return bad ? rec_error_set(err, REC_IO, "cannot write %s: %s", path, strerror(cause)) : REC_OK;
}

enum rec_status rec_page_save(const char *path, void (*write)(const void *context, FILE *out),
                              const void *context, struct rec_error *err) {
    if (strcmp(path, "-") == 0) {
        write(context, stdout);
        return fflush(stdout) == 0 ? REC_OK
                                   : rec_error_set(err, REC_IO, "cannot write to standard output");
    }
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return rec_error_set(err, REC_IO, "cannot write %s: %s", path, strerror(errno));
    write(context, file);
    return rec_page_close(file, path, err);
}

/* ---- scales -------------------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten, so that about four steps make up the range. */
static double nice_step(double range) {
    if (!(range > 0.0))
        return 1.0;
    double rough = range / 4.0, power = pow(10.0, floor(log10(rough)));
    double part = rough / power;
    return power * (part <= 1.0 ? 1.0 : part <= 2.0 ? 2.0 : part <= 5.0 ? 5.0 : 10.0);
}

struct rec_scale rec_scale_of(double least, double most, double at, double length) {
    struct rec_scale scale = {.at = at, .length = length};
    if (!(most > least))
        most = least + (least > 0.0 ? least : 1.0);
    scale.step = nice_step(most - least);
    scale.from = floor(least / scale.step) * scale.step;
    scale.to = ceil(most / scale.step) * scale.step;
    return scale;
}

double rec_scale_place(const struct rec_scale *scale, double value) {
    return scale->at + scale->length * (value - scale->from) / (scale->to - scale->from);
}

static size_t ticks_of(const struct rec_scale *scale) {
    return (size_t)lround((scale->to - scale->from) / scale->step) + 1;
}

void rec_chart_begin(FILE *out, double height, const char *label) {
    (void)fprintf(out, "<svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"%s\">\n",
                  REC_CHART_WIDTH, height, label);
}

void rec_chart_label(FILE *out, double x, double y, const char *anchor, const char *text) {
    (void)fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    rec_page_text(out, text);
    (void)fputs("</text>\n", out);
}

void rec_chart_ticks_x(FILE *out, const struct rec_scale *scale, double top, double bottom) {
    for (size_t t = 0; t < ticks_of(scale); t++) {
        double value = scale->from + (double)t * scale->step, x = rec_scale_place(scale, value);
        char text[32];
        (void)snprintf(text, sizeof(text), "%.3g", value);
        (void)fprintf(out,
                      "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x,
                      top, x, bottom);
        rec_chart_label(out, x, bottom + 16.0, "middle", text);
    }
}

void rec_chart_ticks_y(FILE *out, const struct rec_scale *scale, double left, double right) {
    for (size_t t = 0; t < ticks_of(scale); t++) {
        double value = scale->from + (double)t * scale->step, y = rec_scale_place(scale, value);
        char text[32];
        (void)snprintf(text, sizeof(text), "%.3g", value);
        (void)fprintf(out,
                      "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                      left, y, right, y);
        rec_chart_label(out, left - 8.0, y + 4.0, "end", text);
    }
}
