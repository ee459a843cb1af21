/* The report as one JSON object, and a run as one line of JSON. Written by hand: the numbers are
 * ours and finite, and only texts need escaping. */
#include <math.h>
#include <string.h>

#include "report.h"

static void write_text(FILE *out, const char *text) {
    (void)fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            (void)fprintf(out, "\\%c", *c);
        else if (*c < 0x20)
            (void)fprintf(out, "\\u%04x", *c);
        else
            (void)fputc(*c, out);
    }
    (void)fputc('"', out);
}

static void write_member(FILE *out, const char *name, const char *text) {
    (void)fprintf(out, "\"%s\": ", name);
    write_text(out, text);
    (void)fputs(", ", out);
}

static void write_bound(FILE *out, const char *name, double value) {
    if (isfinite(value))
        (void)fprintf(out, "\"%s\": %.9g, ", name, value);
}

/* What it was run on, without the braces; ends with ", ". */
static void write_where(FILE *out, const struct rec_report *report) {
    const struct rec_protocol *protocol = report->protocol;
    const struct rec_split_options *split = &protocol->split;
    char time[REC_CLOCK_TEXT_BYTES];
    rec_clock_format(report->made_at, time);
    write_member(out, "made_at", time);
    write_member(out, "version", report->version);
    write_member(out, "data", report->data);
    write_member(out, "protocol", protocol->name);
    write_member(out, "part", report->part);
    (void)fputs("\"split\": {", out);
    write_bound(out, "positive_min", protocol->positive_min);
    write_bound(out, "value_min", protocol->value_min);
    if (report->parts_given)
        (void)fputs("\"kind\": \"given\"", out);
    else if (split->kind == REC_SPLIT_LEAVE_LAST)
        (void)fprintf(out,
                      "\"kind\": \"last\", \"liked_only\": %s, \"min_rows\": %u, \"test_last\": "
                      "%u, \"validation_last\": %u, \"min_split\": %u, \"validation_in_history\": "
                      "%s, \"test_users\": %u",
                      protocol->liked_only ? "true" : "false", protocol->rows_min, split->test_last,
                      split->validation_last, split->user_events_min,
                      split->validation_in_history ? "true" : "false", split->test_users_max);
    else
        (void)fprintf(out,
                      "\"kind\": \"time\", \"quantile\": %.9g, \"cut\": %lld, \"min_train\": %u, "
                      "\"test_min_train\": %u, \"test_min_rows\": %u",
                      split->cut != 0 ? 0.0 : split->quantile, (long long)split->cut,
                      protocol->train_min, split->user_events_min, split->test_events_min);
    (void)fprintf(out,
                  ", \"seen\": \"%s\", \"train_rows\": %llu, \"train_users\": %llu, \"items\": "
                  "%llu, \"tested_users\": %llu, \"relevant\": %llu}, ",
                  split->nothing_seen ? "none" : "known", (unsigned long long)report->train_rows,
                  (unsigned long long)report->train_users, (unsigned long long)report->items,
                  (unsigned long long)report->tested, (unsigned long long)report->relevant);
}

static void write_model(FILE *out, const struct rec_report_row *row) {
    write_member(out, "model", row->label);
    write_member(out, "family", row->family);
    write_member(out, "parameters", row->parameters);
}

void rec_report_json_run(const struct rec_report *report, size_t row,
                         const struct rec_report_run *run, FILE *out) {
    (void)fputc('{', out);
    write_where(out, report);
    write_model(out, &report->rows[row]);
    (void)fprintf(out, "\"seed\": %llu, \"fit_s\": %.6g, \"users_s\": %.6g, \"at\": [",
                  (unsigned long long)run->seed, run->fit_s, run->users_s);
    bool first = true;
    for (size_t c = 0; c < report->k_count; c++) {
        if (!report->shown[c])
            continue;
        (void)fprintf(out, "%s{\"k\": %u", first ? "" : ", ", report->ks[c]);
        for (size_t m = 0; m < rec_metric_count; m++)
            (void)fprintf(out, ", \"%s\": %.9g", rec_metrics[m].name,
                          rec_metric_get(&rec_metrics[m], &run->at[c]));
        (void)fputc('}', out);
        first = false;
    }
    (void)fputs("]}\n", out);
}

/* ---- the whole report -------------------------------------------------------------------- */

static void write_spread(FILE *out, const char *name, const struct rec_spread *value) {
    (void)fprintf(out, "\"%s\": {\"mean\": %.9g, \"sd\": %.9g}", name, value->mean,
                  value->deviation);
}

static void write_at(FILE *out, const struct rec_report *report,
                     const struct rec_spread value[REC_REPORT_METRICS_MAX][REC_REPORT_KS_MAX],
                     bool of_lists) {
    bool first = true;
    (void)fputs("\"at\": [", out);
    for (size_t c = 0; c < report->k_count; c++) {
        if (!report->shown[c])
            continue;
        (void)fprintf(out, "%s\n      {\"k\": %u", first ? "" : ",", report->ks[c]);
        for (size_t m = 0; m < rec_metric_count; m++)
            if (of_lists || !rec_metrics[m].of_lists) {
                (void)fputs(", ", out);
                write_spread(out, rec_metrics[m].name, &value[m][c]);
            }
        (void)fputc('}', out);
        first = false;
    }
    (void)fputc(']', out);
}

static void write_buckets(FILE *out, const struct rec_report *report,
                          const struct rec_report_row *row) {
    bool first = true;
    (void)fputs(",\n     \"buckets\": [", out);
    for (size_t b = 0; b < REC_BUCKETS; b++) {
        if (report->bucket_users[b] == 0)
            continue;
        (void)fprintf(out, "%s\n     {\"bucket\": \"%s\", \"users\": %llu, ", first ? "" : ",",
                      rec_bucket_name(b), (unsigned long long)report->bucket_users[b]);
        write_at(out, report, row->bucket[b], false);
        (void)fputc('}', out);
        first = false;
    }
    (void)fputc(']', out);
}

static void write_failures(FILE *out, const struct rec_report *report) {
    (void)fputs(", \"failed\": [", out);
    for (size_t f = 0; f < report->failed; f++) {
        const struct rec_report_failure *failure = &report->failures[f];
        (void)fprintf(out, "%s\n    {", f > 0 ? "," : "");
        write_member(out, "model", failure->label);
        write_member(out, "family", failure->family);
        write_member(out, "parameters", failure->parameters);
        (void)fputs("\"reason\": ", out);
        write_text(out, failure->reason);
        (void)fputc('}', out);
    }
    (void)fputs("\n]", out);
}

void rec_report_json(const struct rec_report *report, FILE *out) {
    (void)fputc('{', out);
    write_where(out, report);
    (void)fputs("\"models\": [", out);
    for (size_t r = 0; r < report->count; r++) {
        const struct rec_report_row *row = &report->rows[r];
        (void)fprintf(out, "%s\n    {", r > 0 ? "," : "");
        write_model(out, row);
        (void)fprintf(out, "\"seeds\": %zu, ", row->seeds);
        write_spread(out, "fit_s", &row->fit_s);
        (void)fputs(", ", out);
        write_spread(out, "users_s", &row->users_s);
        (void)fputs(",\n     ", out);
        write_at(out, report, row->value, true);
        if (report->by_bucket)
            write_buckets(out, report, row);
        (void)fputc('}', out);
    }
    (void)fputs("\n]", out);
    if (report->failed > 0)
        write_failures(out, report);
    (void)fputs("}\n", out);
}
