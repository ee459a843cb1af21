/* A row for each model, cut-off and group of users; a column and its deviation for each metric. The
 * last column says of a model that failed why. */
#include <string.h>

#include "report.h"

/* RFC 4180: quoted where it has to be. */
static void write_field(FILE *out, const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)fputc('"', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static void write_head(FILE *out) {
    (void)fputs("data,protocol,part,model,family,parameters,seeds,users_group,users,k", out);
    for (size_t m = 0; m < rec_metric_count; m++)
        (void)fprintf(out, ",%s,%s_sd", rec_metrics[m].name, rec_metrics[m].name);
    (void)fputs(",fit_s,fit_s_sd,users_s,users_s_sd,failed\n", out);
}

static void write_model(FILE *out, const struct rec_report *report, const char *label,
                        const char *family, const char *parameters) {
    const char *const texts[] = {report->data, report->protocol->name, report->part, label, family,
                                 parameters};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_field(out, texts[i]);
        (void)fputc(',', out);
    }
}

static void write_start(FILE *out, const struct rec_report *report,
                        const struct rec_report_row *row) {
    write_model(out, report, row->label, row->family, row->parameters);
    (void)fprintf(out, "%zu,", row->seeds);
}

static void write_all(FILE *out, const struct rec_report *report, const struct rec_report_row *row,
                      size_t c) {
    write_start(out, report, row);
    (void)fprintf(out, "all,%llu,%u", (unsigned long long)report->tested, report->ks[c]);
    for (size_t m = 0; m < rec_metric_count; m++)
        (void)fprintf(out, ",%.9g,%.9g", row->value[m][c].mean, row->value[m][c].deviation);
    (void)fprintf(out, ",%.6g,%.6g,%.6g,%.6g,\n", row->fit_s.mean, row->fit_s.deviation,
                  row->users_s.mean, row->users_s.deviation);
}

static void write_bucket(FILE *out, const struct rec_report *report,
                         const struct rec_report_row *row, size_t c, size_t b) {
    write_start(out, report, row);
    (void)fprintf(out, "%s,%llu,%u", rec_bucket_name(b),
                  (unsigned long long)report->bucket_users[b], report->ks[c]);
    for (size_t m = 0; m < rec_metric_count; m++)
        if (rec_metrics[m].of_lists || report->bucket_users[b] == 0)
            (void)fputs(",,", out);
        else
            (void)fprintf(out, ",%.9g,%.9g", row->bucket[b][m][c].mean,
                          row->bucket[b][m][c].deviation);
    (void)fputs(",,,,,\n", out);
}

/* The model and why; all figures are empty. */
static void write_failure(FILE *out, const struct rec_report *report,
                          const struct rec_report_failure *failure) {
    write_model(out, report, failure->label, failure->family, failure->parameters);
    (void)fputs("0,all,,", out);
    for (size_t m = 0; m < rec_metric_count; m++)
        (void)fputs(",,", out);
    (void)fputs(",,,,,", out);
    write_field(out, failure->reason);
    (void)fputc('\n', out);
}

void rec_report_csv(const struct rec_report *report, FILE *out) {
    write_head(out);
    for (size_t r = 0; r < report->count; r++)
        for (size_t c = 0; c < report->k_count; c++) {
            if (!report->shown[c])
                continue;
            write_all(out, report, &report->rows[r], c);
            for (size_t b = 0; report->by_bucket && b < REC_BUCKETS; b++)
                write_bucket(out, report, &report->rows[r], c, b);
        }
    for (size_t f = 0; f < report->failed; f++)
        write_failure(out, report, &report->failures[f]);
}
