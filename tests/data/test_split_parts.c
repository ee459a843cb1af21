#include <string.h>

#include "recsysd/data.h"
#include "test.h"

/* "a1 b0/c1": items with their weights, users apart; the n-th event of a user has time n, or the
 * time written as @9. */
static struct rec_dataset *dataset_of(const char *text, uint32_t users, uint32_t items) {
    struct rec_dataset_row rows[64];
    size_t count = 0;
    uint32_t user = 0, n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '/') {
            user++;
            n = 0;
        }
        if (*c < 'a' || *c > 'z')
            continue;
        rows[count] =
            (struct rec_dataset_row){user, (uint32_t)(*c - 'a'), n++, (float)(c[1] - '0')};
        if (c[2] == '@')
            rows[count].time = (uint32_t)(c[3] - '0');
        count++;
    }
    struct rec_dataset *dataset = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, count, users, items, &dataset, NULL), REC_OK);
    return dataset;
}

static void show_csr(const struct rec_csr *csr, char *out) {
    for (uint32_t u = 0; u < csr->rows; u++) {
        for (uint64_t e = csr->offset[u]; e < csr->offset[u + 1]; e++)
            *out++ = (char)('a' + csr->column[e]);
        *out++ = '/';
    }
    out[-1] = '\0';
}

/* Goal: parts become a split, and one that gives away its answers, or asks nothing, is refused. */
static const struct {
    const char *name, *train, *history, *test;
    bool nothing_seen;
    const char *seen, *relevant;
    const char *says; /* NULL: it is fine */
} cases[] = {
    {"plain", "a1 b1/c1", NULL, "c1/b1 a1", false, "ab/c", "c/ab", NULL},
    {"what was not liked is not relevant", "a1/a1", NULL, "b0 c1/b1", false, "a/a", "c/b", NULL},
    {"duplicate rows are one item", "a1 a1/b1", NULL, "c1 c1/", false, "a/b", "c/", NULL},
    {"history is what is seen", "a1/b1", "a1 b1/b1 a1", "c1/c1", false, "ab/ab", "c/c", NULL},
    {"items only in test, users only in test", "a1/", NULL, "b1/a1", false, "a/", "b/a", NULL},
    {"a test row in train", "a1 b1/c1", NULL, "b1/a1", false, NULL, NULL,
     "leak: 1 of 2 test items"},
    {"a test row in the history", "a1/c1", "a1 b1/c1", "b1/a1", false, NULL, NULL,
     "leak: 1 of 2 test items"},
    {"items may come back", "a1@1 b1@2/c1", NULL, "a1@5/c1@5", true, "/", "a/c", NULL},
    {"also ones known from a later time", "a1@9/c1", NULL, "a1@5/c1@5", true, "/", "a/c", NULL},
    {"but the same event may not", "a1@1 b1@5/c1@1", NULL, "b1@5/c1@5", true, NULL, NULL,
     "leak: 1 of 2 test rows are in train, with the same time"},
    {"nor in the history", "a1@1/c1@1", "a1@1 b1@5/c1@1", "b1@5/c1@5", true, NULL, NULL,
     "leak: 1 of 2 test rows are in history, with the same time"},
    {"nothing to train on", "/", NULL, "b1/a1", false, NULL, NULL,
     "empty split: no row is left to train on"},
    {"nothing asked", "a1/b1", NULL, "/", false, NULL, NULL,
     "empty split: no user has a relevant test item"},
    {"nothing liked is asked", "a1/b1", NULL, "c0/", false, NULL, NULL,
     "empty split: no user has a relevant test item"},
};

static void test_parts(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *name = cases[i].name;
        struct rec_dataset *train = dataset_of(cases[i].train, 2, 3);
        struct rec_dataset *test = dataset_of(cases[i].test, 2, 3);
        struct rec_dataset *history =
            cases[i].history == NULL ? NULL : dataset_of(cases[i].history, 2, 3);
        struct rec_split *split = NULL;
        struct rec_error err = {0};
        char text[64];
        enum rec_status st =
            rec_split_of_parts(train, history, test, cases[i].nothing_seen, &split, &err);
        if (st == REC_OK)
            st = rec_split_check(split, false, &err);
        if (cases[i].says != NULL) {
            CHECK_ROW(st == REC_BAD_INPUT, name);
            CHECK_ROW(strstr(err.text, cases[i].says) != NULL, name);
        } else {
            CHECK_ROW(st == REC_OK, name);
            show_csr(split->seen, text);
            CHECK_ROW(strcmp(text, cases[i].seen) == 0, name);
            show_csr(split->test, text);
            CHECK_ROW(strcmp(text, cases[i].relevant) == 0, name);
        }
        rec_split_destroy(&split);
        rec_dataset_destroy(&history);
        rec_dataset_destroy(&test);
        rec_dataset_destroy(&train);
    }
}

static void test_other_numbers(void **state) {
    (void)state;
    struct rec_dataset *train = dataset_of("a1/b1", 2, 3), *test = dataset_of("c1/b1", 2, 4);
    struct rec_split *split = NULL;
    assert_int_equal(rec_split_of_parts(train, NULL, test, false, &split, NULL), REC_BAD_INPUT);
    assert_null(split);
    rec_dataset_destroy(&train);
    rec_dataset_destroy(&test);
}

static void test_no_validation(void **state) {
    (void)state;
    struct rec_dataset *train = dataset_of("a1/b1", 2, 3), *test = dataset_of("c1/a1", 2, 3);
    struct rec_split *split = NULL;
    struct rec_error err = {0};
    assert_int_equal(rec_split_of_parts(train, NULL, test, false, &split, NULL), REC_OK);
    assert_int_equal(rec_split_check(split, true, &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "no validation part"));
    rec_split_destroy(&split);
    rec_dataset_destroy(&train);
    rec_dataset_destroy(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_other_numbers),
                                       cmocka_unit_test(test_no_validation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
