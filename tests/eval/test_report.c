#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recsysd/eval.h"
#include "test.h"

/* Texts as hostile as a path or a name given on a command line can be. */
#define DATA  "da,ta \"<b>&\\\t/x"
#define LABEL "<i>\"als\""

static const struct rec_protocol protocol = {
    .name = "own", .positive_min = 4.0, .value_min = (double)-INFINITY, .split = {.test_last = 1}};

/* Two models, three seeds; the second has NDCG@10 of .1, .2, .3 and so on. */
static struct rec_report make_report(struct rec_report_row rows[2]) {
    struct rec_report report = {.version = "1.2.3",
                                .data = DATA,
                                .part = "test",
                                .protocol = &protocol,
                                .train_rows = 1000,
                                .tested = 30,
                                .bucket_users = {10, 0, 20},
                                .ks = {5, 10},
                                .shown = {false, true},
                                .k_count = 2,
                                .by_bucket = true,
                                .rows = rows,
                                .count = 2};
    memset(rows, 0, 2 * sizeof(*rows));
    (void)snprintf(rows[0].label, sizeof(rows[0].label), "popularity");
    (void)snprintf(rows[1].label, sizeof(rows[1].label), "%s", LABEL);
    (void)snprintf(rows[1].parameters, sizeof(rows[1].parameters), "factors=8 alpha=1");
    for (size_t r = 0; r < 2; r++)
        for (size_t seed = 1; seed <= 3; seed++) {
            struct rec_ranking at[2] = {{.k = 5, .ndcg = 0.05},
                                        {.k = 10, .ndcg = 0.1 * (double)(r == 0 ? 1 : seed)}};
            struct rec_ranking buckets[REC_BUCKETS * 2] = {{.k = 5, .ndcg = 0.25}};
            const struct rec_report_run run = {
                .at = at, .buckets = buckets, .seed = seed, .fit_s = 0.5, .users_s = 1000.0};
            rec_report_add(&report, r, &run);
        }
    return report;
}

static size_t metric(const char *name) {
    size_t m = 0;
    while (strcmp(rec_metrics[m].name, name) != 0)
        m++;
    return m;
}

/* Goal: means and deviations are those of a sample of the seeds. */
static void test_spread(void **state) {
    (void)state;
    static struct rec_report_row rows[2];
    (void)make_report(rows);
    size_t ndcg = metric("ndcg");
    assert_int_equal(rows[1].seeds, 3);
    assert_true(fabs(rows[1].value[ndcg][1].mean - 0.2) < 1e-12);
    assert_true(fabs(rows[1].value[ndcg][1].deviation - 0.1) < 1e-12);
    assert_true(fabs(rows[0].value[ndcg][1].deviation) < 1e-12);
    assert_true(fabs(rows[1].bucket[0][ndcg][0].mean - 0.25) < 1e-12);
    assert_true(fabs(rows[1].fit_s.mean - 0.5) < 1e-12);
}

static char *written(rec_report_fn write, const struct rec_report *report) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    assert_non_null(file);
    write(report, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

/* Goal: what a format must hold, and what it must not, for texts that could break it. */
static const struct {
    const char *name;
    rec_report_fn write;
    const char *has[4], *has_not[4];
} formats[] = {
    {"text", rec_report_text, {"ndcg@10", "0.2000 ±0.1000", "cold users"}, {"ndcg@5 "}},
    {"json",
     rec_report_json,
     {"\"data\": \"da,ta \\\"<b>&\\\\\\u0009/x\"", "\"ndcg\": {\"mean\": 0.2, \"sd\": 0.1}",
      "\"bucket\": \"warm\""},
     {"\"k\": 5", "medium", "inf", "nan"}},
    {"csv",
     rec_report_csv,
     {"\"da,ta \"\"<b>&\\\t/x\",own,test,popularity", "\"<i>\"\"als\"\"\"", ",0.2,0.1,"},
     {"inf", "nan"}},
    {"html",
     rec_report_html,
     {"&lt;i&gt;&quot;als&quot;", "0.2000 <small>±0.1000</small>", "<svg", "medium"},
     {"<i>", "<b>", "http", "<script"}},
};

static void test_formats(void **state) {
    (void)state;
    static struct rec_report_row rows[2];
    const struct rec_report report = make_report(rows);
    for (size_t f = 0; f < COUNT(formats); f++) {
        char *text = written(formats[f].write, &report);
        for (size_t i = 0; i < 4; i++) {
            if (formats[f].has[i] != NULL && strstr(text, formats[f].has[i]) == NULL)
                fail_msg("%s lacks '%s' in:\n%s", formats[f].name, formats[f].has[i], text);
            if (formats[f].has_not[i] != NULL && strstr(text, formats[f].has_not[i]) != NULL)
                fail_msg("%s has '%s'", formats[f].name, formats[f].has_not[i]);
        }
        free(text); /* open_memstream's own */
    }
}

/* Goal: charts of what is hardly there: all zero, one model, one cut-off, many models alike. */
static void test_charts_of_little(void **state) {
    (void)state;
    static struct rec_report_row rows[40];
    static const size_t counts[] = {1, 2, 40};
    for (size_t i = 0; i < COUNT(counts); i++) {
        memset(rows, 0, sizeof(rows));
        struct rec_report report = make_report(rows);
        memset(rows, 0, sizeof(rows));
        for (size_t r = 0; r < COUNT(rows); r++)
            (void)snprintf(rows[r].label, sizeof(rows[r].label), "m%zu", r);
        report.count = counts[i];
        report.k_count = i == 0 ? 1 : 2;
        report.shown[0] = true;
        char *text = written(rec_report_html, &report);
        assert_null(strstr(text, "nan"));
        assert_null(strstr(text, "inf"));
        assert_non_null(strstr(text, "</html>"));
        free(text);
    }
}

/* Goal: files that cannot be written are named. */
static void test_files(void **state) {
    (void)state;
    static struct rec_report_row rows[2];
    const struct rec_report report = make_report(rows);
    struct rec_ranking at[2] = {{.k = 5}, {.k = 10, .ndcg = 0.5}};
    const struct rec_report_run run = {.at = at, .seed = 7};
    struct rec_error err = {0};
    assert_int_equal(rec_report_save(&report, rec_report_csv, "/nowhere/at/all", &err), REC_IO);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    err = (struct rec_error){0};
    assert_int_equal(rec_report_save(&report, rec_report_csv, "/dev/full", &err), REC_IO);
    assert_non_null(strstr(err.text, "/dev/full"));
    err = (struct rec_error){0};
    assert_int_equal(rec_report_append(&report, 0, &run, "/nowhere/at/all", &err), REC_IO);

    char path[] = "/tmp/recsysd-report-XXXXXX", line[4096];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(rec_report_append(&report, 0, &run, path, NULL), REC_OK);
    FILE *file = fopen(path, "r");
    size_t lines = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_non_null(strstr(line, "\"seed\": 7"));
        assert_non_null(strstr(line, "\"ndcg\": 0.5"));
        assert_int_equal(line[strlen(line) - 2], '}');
        lines++;
    }
    assert_int_equal(lines, 2);
    (void)fclose(file);
    (void)unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_charts_of_little), cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
