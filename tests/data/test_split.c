#include <string.h>

#include "recsysd/data.h"
#include "test.h"

/* One event as a word "item:weight", one user a line; the n-th event of a user has time n unless
 * written "item:weight@time". Weights are 0 to 9. */
static struct rec_dataset *dataset_of(const char *text, uint32_t users, uint32_t items) {
    struct rec_dataset_row rows[64];
    size_t count = 0;
    uint32_t user = 0, n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '/') {
            user++;
            n = 0;
        } else if (*c >= 'a' && *c <= 'z') {
            struct rec_dataset_row row = {user, (uint32_t)(*c - 'a'), n++, (float)(c[1] - '0')};
            if (c[2] == '@')
                row.time = (uint32_t)(c[3] - '0') * 10 + (uint32_t)(c[4] - '0');
            rows[count++] = row;
        }
    }
    struct rec_dataset *dataset = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, count, users, items, &dataset, NULL), REC_OK);
    return dataset;
}

/* The items of each row as letters, rows separated by '/'. */
static const char *show_csr(const struct rec_csr *csr, char *out) {
    char *to = out;
    for (uint32_t r = 0; r < csr->rows; r++) {
        for (uint64_t k = csr->offset[r]; k < csr->offset[r + 1]; k++)
            *to++ = (char)('a' + csr->column[k]);
        *to++ = '/';
    }
    to[-1] = '\0';
    return out;
}

static const char *show_dataset(const struct rec_dataset *dataset, char *out) {
    char *to = out;
    for (uint32_t u = 0; u < dataset->users; u++) {
        for (uint64_t e = dataset->offset[u]; e < dataset->offset[u + 1]; e++) {
            *to++ = (char)('a' + dataset->item[e]);
            *to++ = (char)('0' + (int)dataset->weight[e]);
        }
        *to++ = '/';
    }
    to[-1] = '\0';
    return out;
}

/* Goal: tiny datasets split by hand. A letter is an item, a digit its weight, '/' ends a user. */
static const struct {
    const char *name, *data;
    struct rec_split_options options;
    const char *train, *seen, *validation, *test;
} split_cases[] = {
    {"last out", "a1 b1 c1 d1/d1 c1 b1", {.test_last = 1}, "a1b1c1/d1c1", "abc/cd", NULL, "d/b"},
    {"last out, one before for validation",
     "a1 b1 c1 d1/d1 c1 b1",
     {.test_last = 1, .validation_last = 1},
     "a1b1/d1",
     "ab/d",
     "c/c",
     "d/b"},
    {"two in the test, sorted by item",
     "a1 d1 c1 b1/e1 a1 b1",
     {.test_last = 2},
     "a1d1/e1",
     "ad/e",
     NULL,
     "bc/ab"},
    {"a user with too few stays whole",
     "a1 b1 c1/a1 b1",
     {.test_last = 1, .user_events_min = 3},
     "a1b1/a1b1",
     "ab/ab",
     NULL,
     "c/"},
    {"something must remain in train",
     "a1 b1/a1 b1 c1",
     {.test_last = 1, .validation_last = 1},
     "a1b1/a1",
     "ab/a",
     "/b",
     "/c"},
    {"what was not liked is not relevant, but held out",
     "a1 b0 c1 d0/a0 b1 c1 d1",
     {.test_last = 2},
     "a1b0/a0b1",
     "ab/ab",
     NULL,
     "c/cd"},
    {"positives only: the rest stays in train, also later ones",
     "a1 b0 c1 d1 e0/a0 b0 c1",
     {.test_last = 1, .positives_only = true},
     "a1b0c1e0/a0b0c1",
     "abce/abc",
     NULL,
     "d/"},
    {"positives only, with validation",
     "a1 b1 c0 d1 e0 f1",
     {.test_last = 1, .validation_last = 1, .user_events_min = 3, .positives_only = true},
     "a1b1c0e0",
     "abce",
     "d",
     "f"},
    {"a repeated item that is seen is not asked for",
     "a1 b1 c1 a1",
     {.test_last = 2},
     "a1b1",
     "ab",
     NULL,
     "c"},
    {"a repeated item of the test counts once",
     "a1 b1 c1 c1",
     {.test_last = 2},
     "a1b1",
     "ab",
     NULL,
     "c"},
    {"users from the cap on are held out but not tested",
     "a1 b1/a1 b1/a1 b1",
     {.test_last = 1, .test_users_max = 2},
     "a1/a1/a1",
     "a/a/a",
     NULL,
     "b/b/"},
    {"global time: the cut itself is train",
     "a1@10 b1@20 c1@30/a1@10 c1@20 b1@40",
     {.kind = REC_SPLIT_GLOBAL_TIME, .quantile = 0.6},
     "a1b1/a1c1",
     "ab/ac",
     NULL,
     "c/b"},
    {"global time: items nobody has in train, users without train",
     "a1@10 b1@20 d1@90/a1@10 d1@91 b1@92/b1@93",
     {.kind = REC_SPLIT_GLOBAL_TIME, .quantile = 0.4},
     "a1b1/a1/",
     "ab/a/",
     NULL,
     "/b/"},
    {"global time: too few events in train",
     "a1@10 b1@20 c1@50/a1@10 c1@20 d1@30 b1@60",
     {.kind = REC_SPLIT_GLOBAL_TIME, .quantile = 0.67, .user_events_min = 3},
     "a1b1/a1c1d1",
     "ab/acd",
     NULL,
     "/b"},
};

static void test_split(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(split_cases); i++) {
        const char *name = split_cases[i].name;
        uint32_t users = 1;
        char shown[256];
        for (const char *c = split_cases[i].data; *c != '\0'; c++)
            users += *c == '/';
        struct rec_dataset *dataset = dataset_of(split_cases[i].data, users, 6);
        struct rec_split *split = NULL;
        CHECK_ROW(rec_split_make(dataset, &split_cases[i].options, &split, NULL) == REC_OK, name);
        CHECK_ROW(strcmp(show_dataset(split->train, shown), split_cases[i].train) == 0, name);
        CHECK_ROW(split->history == split->train, name);
        CHECK_ROW(strcmp(show_csr(split->seen, shown), split_cases[i].seen) == 0, name);
        CHECK_ROW(strcmp(show_csr(split->test, shown), split_cases[i].test) == 0, name);
        CHECK_ROW((split->validation == NULL) == (split_cases[i].validation == NULL), name);
        if (split->validation != NULL)
            CHECK_ROW(strcmp(show_csr(split->validation, shown), split_cases[i].validation) == 0,
                      name);
        rec_split_destroy(&split);
        rec_dataset_destroy(&dataset);
    }
}

static bool holds(const struct rec_csr *csr, uint32_t row, uint32_t column) {
    for (uint64_t k = csr->offset[row]; k < csr->offset[row + 1]; k++)
        if (csr->column[k] == column)
            return true;
    return false;
}

/* Goal: no leak. On random data, repeats included, whatever is asked for is neither in train nor
 * seen; no user's train part is later than its test part; nothing is in two parts. */
static void test_no_leak(void **state) {
    (void)state;
    enum { USERS = 40, ITEMS = 30, ROWS = 1200 };
    static struct rec_dataset_row rows[ROWS];
    const struct rec_split_options options[] = {
        {.test_last = 3, .validation_last = 2},
        {.test_last = 3, .validation_last = 2, .positives_only = true},
        {.kind = REC_SPLIT_GLOBAL_TIME, .quantile = 0.8},
    };
    struct rec_rng rng;
    rec_rng_init(&rng, 3, 0);
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (struct rec_dataset_row){rec_rng_below(&rng, USERS), rec_rng_below(&rng, ITEMS),
                                           rec_rng_below(&rng, 1u << 31),
                                           (float)rec_rng_below(&rng, 3) - 1.0f};
    struct rec_dataset *dataset = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, ROWS, USERS, ITEMS, &dataset, NULL), REC_OK);
    for (size_t o = 0; o < COUNT(options); o++) {
        struct rec_split *split = NULL;
        assert_int_equal(rec_split_make(dataset, &options[o], &split, NULL), REC_OK);
        const struct rec_csr *parts[] = {split->test, split->validation};
        assert_true(rec_csr_entries(split->test) > 0);
        for (size_t p = 0; p < 2 && parts[p] != NULL; p++)
            for (uint32_t u = 0; u < USERS; u++)
                for (uint64_t k = parts[p]->offset[u]; k < parts[p]->offset[u + 1]; k++) {
                    uint32_t item = parts[p]->column[k];
                    assert_false(holds(split->seen, u, item));
                    for (uint64_t e = split->train->offset[u]; e < split->train->offset[u + 1]; e++)
                        assert_int_not_equal(split->train->item[e], item);
                    assert_true(k == parts[p]->offset[u] || parts[p]->column[k - 1] < item);
                }
        rec_split_destroy(&split);
    }
    rec_dataset_destroy(&dataset);
}

/* Goal: the cut is the nearest rank, as numpy has it: 0.8 of 10 times is rank 7.2, so the 8th. */
static void test_quantile(void **state) {
    (void)state;
    const struct {
        const char *name;
        uint32_t time[5];
        double quantile;
        size_t train;
    } cases[] = {
        {"rank 3.2 is the fourth", {1, 2, 3, 4, 5}, 0.8, 4},
        {"rank 2.0", {1, 2, 3, 4, 5}, 0.5, 3},
        {"a half goes to the even rank: 1.5 to 2", {1, 2, 3, 4, 5}, 0.375, 3},
        {"a half goes to the even rank: 2.5 to 2", {1, 2, 3, 4, 5}, 0.625, 3},
        {"equal times stay together", {1, 2, 3, 3, 3}, 0.5, 5},
        {"times over all 32 bits", {0, 65535, 65536, 4294967294u, 4294967295u}, 0.75, 4},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_dataset_row rows[5];
        for (uint32_t r = 0; r < 5; r++)
            rows[r] = (struct rec_dataset_row){0, r, cases[i].time[r], 1};
        const struct rec_split_options options = {.kind = REC_SPLIT_GLOBAL_TIME,
                                                  .quantile = cases[i].quantile};
        struct rec_dataset *dataset = NULL;
        struct rec_split *split = NULL;
        assert_int_equal(rec_dataset_from_rows(rows, 5, 1, 5, &dataset, NULL), REC_OK);
        assert_int_equal(rec_split_make(dataset, &options, &split, NULL), REC_OK);
        CHECK_ROW(split->train->offset[1] == cases[i].train, cases[i].name);
        rec_split_destroy(&split);
        rec_dataset_destroy(&dataset);
    }
}

static void test_refused(void **state) {
    (void)state;
    const struct {
        const char *name;
        struct rec_split_options options;
    } cases[] = {
        {"nothing left out", {.test_last = 0}},
        {"quantile 0", {.kind = REC_SPLIT_GLOBAL_TIME, .quantile = 0}},
        {"quantile 1", {.kind = REC_SPLIT_GLOBAL_TIME, .quantile = 1}},
    };
    struct rec_dataset *dataset = dataset_of("a1 b1", 1, 2);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_split *split = NULL;
        CHECK_ROW(rec_split_make(dataset, &cases[i].options, &split, NULL) == REC_BAD_INPUT,
                  cases[i].name);
        CHECK_ROW(split == NULL, cases[i].name);
    }
    rec_dataset_destroy(&dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_no_leak),
        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
