/* A search as a page: one file that needs nothing from anywhere. How it went, what the trials were,
 * and which parameters mattered. */
#include <math.h>

#include "recsysd/tune.h"

#define LEFT   64.0
#define RIGHT  (REC_CHART_WIDTH - 16.0)
#define TOP    16.0
#define BOTTOM 256.0
enum { AXES_MAX = REC_PARAMS_MAX + 1, TEXT_BYTES = 64 };

static const struct rec_param *row_of(const struct rec_tune_space *space, size_t d) {
    return &space->family->params[space->dim[d].row];
}

/* Trials are counted from 1 for people, and are given up, not pruned. */
static uint32_t place_of(const struct rec_tune_trial *trial) {
    return trial->number + 1;
}

static const char *state_of(const struct rec_tune_trial *trial) {
    return trial->state == REC_STUDY_PRUNED ? "given up" : rec_study_state_text(trial->state);
}

static void value_text(const struct rec_tune_space *space, size_t d, double value,
                       char text[TEXT_BYTES]) {
    const struct rec_param *row = row_of(space, d);
    if (row->type == REC_PARAM_CHOICE)
        (void)snprintf(text, TEXT_BYTES, "%s", row->choices[(size_t)value]);
    else if (row->type == REC_PARAM_BOOL)
        (void)snprintf(text, TEXT_BYTES, "%s", value > 0.0 ? "true" : "false");
    else
        (void)snprintf(text, TEXT_BYTES, "%.4g", value);
}

static void write_fact(FILE *out, const char *name, const char *text) {
    (void)fprintf(out, "<div><dt>%s</dt><dd>", name);
    rec_page_text(out, text);
    (void)fputs("</dd></div>\n", out);
}

static void write_number(FILE *out, const char *name, const char *format, double value) {
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof(text), "%.4f", value);
    if (format != NULL)
        (void)snprintf(text, sizeof(text), "%.0f", value);
    write_fact(out, name, text);
}

static void write_head(FILE *out, const struct rec_tune_report *report) {
    const struct rec_tune_search *search = report->search;
    const struct rec_tune_options *options = report->options;
    char title[128], metric[TEXT_BYTES];
    (void)snprintf(title, sizeof(title), "%s · recsysd tune", options->space->family->name);
    (void)snprintf(metric, sizeof(metric), "%s@%u", options->metric->name, options->k);
    rec_page_begin(out, title);
    (void)fputs("<h1>", out);
    rec_page_text(out, options->space->family->name);
    (void)fputs(" &middot; search</h1>\n<p>", out);
    rec_page_text(out, report->data);
    (void)fputs(", ", out);
    rec_page_text(out, report->protocol);
    (void)fputs("; trials are judged on the validation part</p>\n<dl>\n", out);
    write_fact(out, "metric", metric);
    write_number(out, "best on validation", NULL, search->trials[search->best].value);
    for (size_t t = 0; t < search->count; t++)
        if (search->trials[t].number == 0 && search->trials[t].state == REC_STUDY_COMPLETE)
            write_number(out, "the start on validation", NULL, search->trials[t].value);
    write_number(out, "the best on the test", NULL, report->test);
    if (isfinite(report->start_on_test))
        write_number(out, "the start on the test", NULL, report->start_on_test);
    write_number(out, "trials", "n", (double)search->count);
    write_number(out, "given up", "n", (double)search->pruned);
    write_number(out, "failed", "n", (double)search->failed);
    (void)fputs("</dl>\n", out);
}

/* ---- how it went ------------------------------------------------------------------------ */

static struct rec_scale value_scale(const struct rec_tune_search *search) {
    double least = INFINITY, most = -INFINITY;
    for (size_t t = 0; t < search->count; t++) {
        if (search->trials[t].state != REC_STUDY_COMPLETE)
            continue;
        least = fmin(least, search->trials[t].value);
        most = fmax(most, search->trials[t].value);
    }
    return rec_scale_of(least, most, BOTTOM, TOP - BOTTOM);
}

static double trial_x(const struct rec_scale *x, const struct rec_tune_trial *trial) {
    return rec_scale_place(x, (double)place_of(trial));
}

static void write_best_line(FILE *out, const struct rec_tune_search *search,
                            const struct rec_scale *x, const struct rec_scale *y) {
    double best = -INFINITY;
    (void)fputs("<polyline class=\"line s1\" points=\"", out);
    for (size_t t = 0; t < search->count; t++) {
        const struct rec_tune_trial *trial = &search->trials[t];
        if (trial->state == REC_STUDY_COMPLETE && trial->value > best) {
            if (isfinite(best))
                (void)fprintf(out, "%.1f,%.1f ", trial_x(x, trial), rec_scale_place(y, best));
            best = trial->value;
        }
        if (isfinite(best))
            (void)fprintf(out, "%.1f,%.1f ", trial_x(x, trial), rec_scale_place(y, best));
    }
    (void)fputs("\"><title>best so far</title></polyline>\n", out);
}

/* Given up and failed trials have no value on this scale: they are marks below it. */
static void write_history(FILE *out, const struct rec_tune_search *search) {
    struct rec_scale y = value_scale(search);
    double last = (double)place_of(&search->trials[search->count - 1]);
    struct rec_scale x = rec_scale_of(0.0, last, LEFT, RIGHT - LEFT);
    rec_chart_begin(out, BOTTOM + 64.0, "the value of each trial, by number");
    rec_chart_ticks_y(out, &y, LEFT, RIGHT);
    rec_chart_ticks_x(out, &x, TOP, BOTTOM + 14.0);
    rec_chart_label(out, (LEFT + RIGHT) / 2.0, BOTTOM + 54.0, "middle", "trial");
    write_best_line(out, search, &x, &y);
    for (size_t t = 0; t < search->count; t++) {
        const struct rec_tune_trial *trial = &search->trials[t];
        bool complete = trial->state == REC_STUDY_COMPLETE;
        (void)fprintf(out,
                      "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"><title>trial %u, %s",
                      complete ? "point" : "error", trial_x(&x, trial),
                      complete ? rec_scale_place(&y, trial->value) : BOTTOM + 8.0, complete ? 4 : 3,
                      place_of(trial), state_of(trial));
        if (complete)
            (void)fprintf(out, ": %.4f", trial->value);
        (void)fputs("</title></circle>\n", out);
    }
    (void)fputs("</svg>\n", out);
}

/* ---- parallel coordinates ---------------------------------------------------------------- */

static double axis_x(const struct rec_tune_space *space, size_t axis) {
    double first = 44.0, last = REC_CHART_WIDTH - 44.0;
    return first + (last - first) * (double)axis / (double)space->count;
}

static double axis_y(double unit) {
    return BOTTOM + (TOP + 16.0 - BOTTOM) * unit;
}

/* Names of neighbours stand on two heights, as there is little room between axes. */
static void write_axis(FILE *out, const struct rec_tune_space *space, size_t axis,
                       const struct rec_scale *value) {
    char low[TEXT_BYTES], high[TEXT_BYTES];
    double x = axis_x(space, axis);
    bool last = axis == space->count;
    if (last) {
        (void)snprintf(low, sizeof(low), "%.3g", value->from);
        (void)snprintf(high, sizeof(high), "%.3g", value->to);
    } else {
        value_text(space, axis, rec_tune_value(&space->dim[axis], 0.0), low);
        value_text(space, axis, rec_tune_value(&space->dim[axis], 1.0), high);
    }
    (void)fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                  x, axis_y(0.0), x, axis_y(1.0));
    rec_chart_label(out, x, axis_y(1.0) - 6.0, "middle", high);
    rec_chart_label(out, x, axis_y(0.0) + 16.0, "middle", low);
    rec_chart_label(out, x, axis_y(0.0) + (axis % 2 == 0 ? 36.0 : 52.0), "middle",
                    last ? "value" : row_of(space, axis)->name);
}

static void write_trial(FILE *out, const struct rec_tune_report *report,
                        const struct rec_tune_trial *trial, const struct rec_scale *value) {
    const struct rec_tune_space *space = report->options->space;
    bool best = trial == &report->search->trials[report->search->best];
    double share = (trial->value - value->from) / (value->to - value->from);
    (void)fprintf(out, "<polyline class=\"line %s\" style=\"stroke-opacity:%.2f\" points=\"",
                  best ? "s1" : "s0", best ? 1.0 : 0.08 + 0.6 * share * share);
    for (size_t d = 0; d < space->count; d++)
        (void)fprintf(out, "%.1f,%.1f ", axis_x(space, d),
                      axis_y(rec_tune_unit(&space->dim[d], trial->param[space->dim[d].row])));
    (void)fprintf(out, "%.1f,%.1f\"><title>trial %u: %.4f</title></polyline>\n",
                  axis_x(space, space->count), axis_y(share), place_of(trial), trial->value);
}

static void write_coordinates(FILE *out, const struct rec_tune_report *report) {
    const struct rec_tune_space *space = report->options->space;
    const struct rec_tune_search *search = report->search;
    struct rec_scale value = value_scale(search);
    rec_chart_begin(out, BOTTOM + 64.0, "the parameters of each complete trial and its value");
    for (size_t axis = 0; axis <= space->count; axis++)
        write_axis(out, space, axis, &value);
    for (size_t t = 0; t < search->count; t++)
        if (search->trials[t].state == REC_STUDY_COMPLETE && t != search->best)
            write_trial(out, report, &search->trials[t], &value);
    write_trial(out, report, &search->trials[search->best], &value);
    (void)fputs("</svg>\n", out);
}

/* ---- importance ------------------------------------------------------------------------------ */

static void write_importance(FILE *out, const struct rec_tune_report *report) {
    const struct rec_tune_space *space = report->options->space;
    const double left = 150.0;
    struct rec_scale x = rec_scale_of(0.0, 1.0, left, REC_CHART_WIDTH - left - 60.0);
    double bottom = 8.0 + 26.0 * (double)space->count;
    rec_chart_begin(out, bottom + 24.0, "share of the variance that each parameter explains");
    rec_chart_ticks_x(out, &x, 4.0, bottom);
    for (size_t d = 0; d < space->count; d++) {
        char text[TEXT_BYTES];
        double y = 8.0 + 26.0 * (double)d, share = report->importance[d];
        (void)snprintf(text, sizeof(text), "%.2f", share);
        rec_chart_label(out, left - 8.0, y + 13.0, "end", row_of(space, d)->name);
        (void)fprintf(out,
                      "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\" "
                      "rx=\"2\"/>\n",
                      left, y, rec_scale_place(&x, share) - left);
        rec_chart_label(out, rec_scale_place(&x, share) + 6.0, y + 13.0, "start", text);
    }
    (void)fputs("</svg>\n", out);
}

/* ---- the table -------------------------------------------------------------------------- */

static void write_row(FILE *out, const struct rec_tune_report *report,
                      const struct rec_tune_trial *trial) {
    const struct rec_tune_space *space = report->options->space;
    bool best = trial == &report->search->trials[report->search->best];
    (void)fprintf(out, "<tr><td>%u</td><td>%s</td>", place_of(trial), state_of(trial));
    if (trial->state == REC_STUDY_COMPLETE)
        (void)fprintf(out, "<td%s>%.4f</td>", best ? " class=\"best\"" : "", trial->value);
    else
        (void)fputs("<td></td>", out);
    (void)fprintf(out, "<td>%.1f</td>", trial->seconds);
    for (size_t d = 0; d < space->count; d++) {
        char text[TEXT_BYTES];
        value_text(space, d, trial->param[space->dim[d].row], text);
        (void)fputs("<td>", out);
        rec_page_text(out, text);
        (void)fputs("</td>", out);
    }
    (void)fputs("<td>", out);
    rec_page_text(out, trial->error);
    (void)fputs("</td></tr>\n", out);
}

static void write_table(FILE *out, const struct rec_tune_report *report) {
    const struct rec_tune_space *space = report->options->space;
    (void)fputs("<section class=\"wide\">\n<h2>Trials</h2>\n<table>\n<tr><th>trial</th>"
                "<th>state</th><th>validation</th><th>s</th>",
                out);
    for (size_t d = 0; d < space->count; d++) {
        (void)fputs("<th>", out);
        rec_page_text(out, row_of(space, d)->name);
        (void)fputs("</th>", out);
    }
    (void)fputs("<th></th></tr>\n", out);
    for (size_t t = 0; t < report->search->count; t++)
        write_row(out, report, &report->search->trials[t]);
    (void)fputs("</table>\n</section>\n", out);
}

static void write_section(FILE *out, const char *title, const char *note) {
    (void)fprintf(out, "<section>\n<h2>%s</h2>\n<p>%s</p>\n", title, note);
}

void rec_tune_html(const struct rec_tune_report *report, FILE *out) {
    char made[REC_CLOCK_TEXT_BYTES];
    rec_clock_format(report->made_at, made);
    write_head(out, report);
    (void)fputs("<div class=\"charts\">\n", out);
    write_section(out, "How it went",
                  "points: trials; the line: the best so far; rings below: given up or failed");
    write_history(out, report->search);
    (void)fputs("</section>\n", out);
    write_section(out, "Parameters and values",
                  "one line a complete trial, stronger where it is better; the best stands out");
    write_coordinates(out, report);
    (void)fputs("</section>\n", out);
    write_section(
        out, "What mattered",
        "share of the variance of complete trials that each parameter explains by itself, "
        "by the means of its bins (omega squared). Parameters that matter only together "
        "are not seen; fewer than ten trials say nothing, and few say little");
    write_importance(out, report);
    (void)fputs("</section>\n</div>\n<div style=\"height:16px\"></div>\n", out);
    write_table(out, report);
    (void)fprintf(out, "<footer>recsysd %s, %s.</footer>\n", report->version, made);
    rec_page_end(out);
}
