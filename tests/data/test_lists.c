#include "record.h"

/* Goal: a line a user, the order in it is the order in time. */
static const struct {
    const char *name, *text, *type, *gives;
} cases[] = {
    {"plain", "u1 a b\nu2 c\n", NULL, "u1 a order 1 1\nu1 b order 1 2\nu2 c order 1 1\n"},
    {"no line end at the end", "u1 a", NULL, "u1 a order 1 1\n"},
    {"CRLF, tabs, several spaces", "u1\ta  b \r\n", NULL, "u1 a order 1 1\nu1 b order 1 2\n"},
    {"blank lines, and a user alone", "\nu1\n  \nu2 a\n", NULL, "u2 a order 1 1\n"},
    {"a user of two lines", "u1 a\nu1 b\n", NULL, "u1 a order 1 1\nu1 b order 1 1\n"},
    {"repeated items are rows of their own", "u1 a a\n", NULL, "u1 a order 1 1\nu1 a order 1 2\n"},
    {"another type", "u1 a\n", "view", "u1 a view 1 1\n"},
    {"a control character", "u1 a\x01 b\nu2 c\n", NULL,
     "bad events.csv:1: item: id holds the control character 0x01 at byte 1\nu2 c order 1 1\n"},
    {"empty file", "", NULL, ""},
};

static void test_lists(void **state) {
    (void)state;
    struct files files;
    struct record record;
    char path[128];
    files_init(&files);
    for (size_t i = 0; i < COUNT(cases); i++) {
        files_write(&files, "events.csv", cases[i].text, strlen(cases[i].text));
        struct rec_read_options options =
            record_options(&record, REC_FORMAT_USER_LISTS, files_path(&files, "events.csv", path));
        options.default_type = cases[i].type;
        options.skip_bad_max = 10;
        struct rec_error err = {0};
        if (rec_read(&options, &err) != REC_OK)
            fail_msg("row '%s': %s", cases[i].name, err.text);
        if (!record_gives(&record, cases[i].gives))
            fail_msg("row '%s': got\n%s%s", cases[i].name, record.text, record.bad);
    }
    files_finish(&files);
}

static void test_nul(void **state) {
    (void)state;
    struct files files;
    struct record record;
    struct rec_error err = {0};
    char path[128];
    files_init(&files);
    files_write(&files, "events.csv", "u1 a\0b\n", 7);
    const struct rec_read_options options =
        record_options(&record, REC_FORMAT_USER_LISTS, files_path(&files, "events.csv", path));
    assert_int_equal(rec_read(&options, &err), REC_BAD_INPUT);
    assert_string_equal(err.text, "events.csv:1: a NUL character "
                                  "(--skip-bad N passes over up to N bad rows)");
    files_finish(&files);
}

/* Goal: rows without a user and rows of a low value are passed over when asked for, and only
 * those: neither is a bad row. */
static void test_passed_over(void **state) {
    (void)state;
    static const char text[] = "user,item,value\nu1,a,1\n,b,1\nu1,c,-3\nu2,a,2\n";
    struct rec_weights weights;
    struct files files;
    struct record record;
    char path[128];
    const double least = 1.0;
    rec_weights_defaults(&weights);
    files_init(&files);
    files_write(&files, "events.csv", text, sizeof(text) - 1);
    struct rec_read_options options =
        record_options(&record, REC_FORMAT_CSV, files_path(&files, "events.csv", path));
    options.columns = "user=user,item=item,value=value";
    options.default_type = "order";
    struct rec_dataset *dataset = NULL;
    assert_int_equal(rec_dataset_read(&options, &weights, NULL, NULL, &dataset, NULL),
                     REC_BAD_INPUT); /* a row without a user is a bad row otherwise */
    options.skip_no_user = true;
    assert_int_equal(rec_dataset_read(&options, &weights, NULL, NULL, &dataset, NULL), REC_OK);
    assert_int_equal(dataset->offset[dataset->users], 3);
    rec_dataset_destroy(&dataset);
    options.value_min = &least;
    assert_int_equal(rec_dataset_read(&options, &weights, NULL, NULL, &dataset, NULL), REC_OK);
    assert_int_equal(dataset->offset[dataset->users], 2);
    assert_int_equal(dataset->items, 1);
    rec_dataset_destroy(&dataset);
    files_finish(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists), cmocka_unit_test(test_nul),
                                       cmocka_unit_test(test_passed_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
