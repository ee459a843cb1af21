/* eval: ranking metrics and the evaluation of a model on a split. */
#ifndef RECSYSD_EVAL_H
#define RECSYSD_EVAL_H

#include <stdio.h>

#include "recsysd/base.h"
#include "recsysd/data.h"
#include "recsysd/model.h"

/* Means over tested users (those with a relevant item), at one cut-off k. */
struct rec_ranking {
    uint32_t k;
    double precision, recall, ndcg, map, mrr, hit, coverage, avg_popularity, novelty;
    uint64_t users;
};

/* The metrics by name, for tables, files and charts. help: one line */
struct rec_metric {
    const char *name, *help;
    size_t offset; /* of a double in struct rec_ranking */
    bool of_lists; /* of all lists together: no single user has it */
};
extern const struct rec_metric rec_metrics[];
extern const size_t rec_metric_count;
double rec_metric_get(const struct rec_metric *metric, const struct rec_ranking *ranking);

/* Adds one user's list to the sums. relevant: sorted ascending. */
void rec_ranking_add(struct rec_ranking *sum, const uint32_t *list, size_t list_count,
                     const uint32_t *relevant, size_t relevant_count);
void rec_ranking_merge(struct rec_ranking *sum, const struct rec_ranking *more); /* sums of both */
/* Sums become means. coverage, avg_popularity and novelty are the evaluation's to set. */
void rec_ranking_finish(struct rec_ranking *sum);
/* {"k": 10, "ndcg": 0.038, ...} */
size_t rec_ranking_write_json(const struct rec_ranking *ranking, char *out, size_t cap);

struct rec_evaluate_options {
    const uint32_t *ks; /* cut-offs, rising */
    size_t k_count;
    bool on_validation; /* judge on split->validation instead of test */
    struct rec_pool *pool;
    const struct rec_progress *progress;
    struct rec_ranking *buckets; /* [REC_BUCKETS x k_count] by history length; NULL: not wanted */
    /* Called for every tested user, in their order, at the end; at [k_count] of this user alone.
     * NULL: not wanted. */
    void (*user)(void *context, uint32_t user, uint64_t positives, const struct rec_ranking *at);
    void *user_context;
};

/* ---- buckets (buckets.c) --------------------------------------------------------- */

/* Users by how many liked rows they have in train: a mean over all hides who is served badly. */
enum { REC_BUCKETS = 3 };
const char *rec_bucket_name(size_t bucket);  /* "cold", "medium", "warm" */
const char *rec_bucket_range(size_t bucket); /* "< 10", ... */
size_t rec_bucket_of(uint64_t positives);
uint64_t rec_bucket_positives(const struct rec_dataset *train, uint32_t user);

/* Full ranking over all items for every tested user, seen ones removed, ties to the lower index;
 * histories from split->history. Users the model has no query for get its popularity order
 * (train counts). rankings [k_count]. */
enum rec_status rec_evaluate(const struct rec_model *model, const struct rec_split *split,
                             const struct rec_evaluate_options *options,
                             struct rec_ranking *rankings, struct rec_error *err);

/* ---- reports (report*.c) ----------------------------------------------------------- */

enum {
    REC_REPORT_KS_MAX = 16,
    REC_REPORT_METRICS_MAX = 16,
    REC_REPORT_LABEL_BYTES = 48,
    REC_REPORT_PARAMETERS_BYTES = 512,
};

/* Over the seeds; deviation is that of a sample, 0 with one seed. */
struct rec_spread {
    double mean, deviation;
    double squares; /* report.c, until it is finished */
};

struct rec_report_row {
    char label[REC_REPORT_LABEL_BYTES], family[32], parameters[REC_REPORT_PARAMETERS_BYTES];
    size_t seeds;                                                       /* runs added */
    struct rec_spread value[REC_REPORT_METRICS_MAX][REC_REPORT_KS_MAX]; /* as rec_metrics */
    struct rec_spread bucket[REC_BUCKETS][REC_REPORT_METRICS_MAX][REC_REPORT_KS_MAX];
    struct rec_spread fit_s, users_s; /* seconds; users ranked a second */
};

/* A model that could not be fitted or asked. */
struct rec_report_failure {
    char label[REC_REPORT_LABEL_BYTES], family[32], parameters[REC_REPORT_PARAMETERS_BYTES];
    char reason[400];
};

/* Texts, rows and failures are borrowed. */
struct rec_report {
    const char *version, *data, *part; /* part: "test" or "validation" */
    const struct rec_protocol *protocol;
    bool parts_given; /* pre-split: of the protocol only what is seen counts */
    bool rated;       /* rows are ratings, of which positive_min tells the liked ones */
    int64_t made_at;
    uint64_t train_rows, train_users, items, tested, relevant;
    uint64_t bucket_users[REC_BUCKETS];
    uint32_t ks[REC_REPORT_KS_MAX];
    bool shown[REC_REPORT_KS_MAX]; /* the other cut-offs are for charts */
    size_t k_count;
    bool by_bucket;
    struct rec_report_row *rows;
    size_t count;
    const struct rec_report_failure *failures;
    size_t failed;
};
/* One run of one model: at [k_count], buckets [REC_BUCKETS x k_count]. */
struct rec_report_run {
    const struct rec_ranking *at, *buckets;
    uint64_t seed;
    double fit_s, users_s;
};
void rec_report_begin(struct rec_report *report, const struct rec_split *split);
void rec_report_add(struct rec_report *report, size_t row, const struct rec_report_run *run);

typedef void (*rec_report_fn)(const struct rec_report *report, FILE *out);
void rec_report_text(const struct rec_report *report, FILE *out);
void rec_report_json(const struct rec_report *report, FILE *out);
void rec_report_csv(const struct rec_report *report, FILE *out);
void rec_report_html(const struct rec_report *report, FILE *out);
/* Writes path whole, or fails with IO naming it. */
enum rec_status rec_report_save(const struct rec_report *report, rec_report_fn write,
                                const char *path, struct rec_error *err);
/* Appends one line of JSON for one run to the file at path. */
enum rec_status rec_report_append(const struct rec_report *report, size_t row,
                                  const struct rec_report_run *run, const char *path,
                                  struct rec_error *err);
/* Whether a file can be written; it is made when it is not there. IO naming it, and the reason. */
enum rec_status rec_report_writable(const char *path, struct rec_error *err);

/* ---- pages and charts (page.c) ------------------------------------------------------ */

/* A page that needs nothing from anywhere, in the style of the reports, up to and from its content.
 */
void rec_page_begin(FILE *out, const char *title);
void rec_page_end(FILE *out);
/* Writes path whole ("-": to standard output), or fails with IO naming it. */
enum rec_status rec_page_save(const char *path, void (*write)(const void *context, FILE *out),
                              const void *context, struct rec_error *err);
void rec_page_text(FILE *out, const char *text); /* escaped for HTML and SVG */

enum { REC_CHART_WIDTH = 560, REC_CHART_COLOURS = 8 }; /* classes s0 to s7 */

/* From values to pixels. */
struct rec_scale {
    double from, to, step; /* values; both ends are multiples of the step */
    double at, length;     /* pixels; a negative length grows upwards */
};
struct rec_scale rec_scale_of(double least, double most, double at, double length);
double rec_scale_place(const struct rec_scale *scale, double value);

/* <svg ...>; the caller ends it. label: for who cannot see it */
void rec_chart_begin(FILE *out, double height, const char *label);
void rec_chart_label(FILE *out, double x, double y, const char *anchor, const char *text);
/* The grid, and the values at its lines. */
void rec_chart_ticks_x(FILE *out, const struct rec_scale *scale, double top, double bottom);
void rec_chart_ticks_y(FILE *out, const struct rec_scale *scale, double left, double right);

#endif
