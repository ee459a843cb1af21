#include <math.h>
#include <string.h>

#include "recsysd/data.h"
#include "test.h"

/* One event as "item:weight@time" without the colon: "a1@10"; '/' ends a user. */
static struct rec_dataset *dataset_of(const char *text, uint32_t users, uint32_t items) {
    struct rec_dataset_row rows[64];
    size_t count = 0;
    uint32_t user = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '/')
            user++;
        if (*c < 'a' || *c > 'z')
            continue;
        rows[count++] = (struct rec_dataset_row){
            user, (uint32_t)(*c - 'a'), (uint32_t)(c[3] - '0') * 10 + (uint32_t)(c[4] - '0'),
            (float)(c[1] - '0')};
    }
    struct rec_dataset *dataset = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, count, users, items, &dataset, NULL), REC_OK);
    return dataset;
}

static void show_rows(const uint64_t *offset, const uint32_t *item, uint32_t users, char *out) {
    for (uint32_t u = 0; u < users; u++) {
        for (uint64_t e = offset[u]; e < offset[u + 1]; e++)
            *out++ = (char)('a' + item[e]);
        *out++ = '/';
    }
    out[-1] = '\0';
}

#define TIME(...)                                                                                  \
    { .kind = REC_SPLIT_GLOBAL_TIME, __VA_ARGS__ }

/* Goal: who takes part, under which numbers, and what a split for validation holds. Items are
 * letters; where some are numbered away, the letters are the new ones. */
static const struct {
    const char *name, *data;
    struct rec_protocol protocol;
    bool on_validation;
    const char *train, *history, *seen, *test;
    uint32_t items, users[3]; /* who the users of the split were */
} cases[] = {
    {"liked only: others are neither trained on nor seen",
     "a1@10 b0@20 c1@30 d1@40/a1@10 b0@20",
     {.liked_only = true, .rows_min = 2, .split = {.test_last = 1, .validation_last = 1}},
     false,
     "a",
     "a",
     "a",
     "d",
     4,
     {0}},
    {"users with too few rows are left out, and numbers close up",
     "a1@10/b1@10 c1@20 d1@30/a1@10 b1@20 c1@30",
     {.rows_min = 3, .split = {.test_last = 1}},
     false,
     "bc/ab",
     "bc/ab",
     "bc/ab",
     "d/c",
     4,
     {1, 2}},
    {"validation of last rows: the test is gone",
     "a1@10 b1@20 c1@30 d1@40",
     {.split = {.test_last = 1, .validation_last = 1}},
     true,
     "ab",
     "ab",
     "ab",
     "c",
     4,
     {0}},
    {"next item: validation is known and seen when the test is asked",
     "a1@10 b1@20 c1@30 d1@40",
     {.split = {.test_last = 1, .validation_last = 1, .validation_in_history = true}},
     false,
     "ab",
     "abc",
     "abc",
     "d",
     4,
     {0}},
    {"next item, on validation: it is not",
     "a1@10 b1@20 c1@30 d1@40",
     {.split = {.test_last = 1, .validation_last = 1, .validation_in_history = true}},
     true,
     "ab",
     "ab",
     "ab",
     "c",
     4,
     {0}},
    {"time: users, then items, without enough train rows are left out",
     "a1@10 c1@20 d1@50/b1@10 c1@60/a1@10 d1@20 c1@70 b1@80",
     {.train_min = 2, .split = TIME(.cut = 40)},
     false,
     "ab/ac",
     "ab/ac",
     "ab/ac",
     "c/b",
     3,
     {0, 2}},
    {"time: nobody is left out",
     "a1@10 c1@50/b1@60",
     {.train_min = 0, .split = TIME(.cut = 40)},
     false,
     "a/",
     "a/",
     "a/",
     "/",
     3,
     {0, 1}},
    {"time: bought items may come back",
     "a1@10 b1@20 a1@50 c1@60/c1@10",
     {.train_min = 1, .split = TIME(.cut = 40, .nothing_seen = true)},
     false,
     "ab/c",
     "ab/c",
     "/",
     "ac/",
     3,
     {0, 1}},
    {"time: too few test rows, items nobody has not counted",
     "a1@10 b1@50 z1@51/b1@10 a1@50 c1@51/c1@10",
     {.train_min = 1, .split = TIME(.cut = 40, .test_events_min = 2)},
     false,
     "a/b/c",
     "a/b/c",
     "a/b/c",
     "/ac/",
     3,
     {0, 1, 2}},
    {"time, on validation: train cut again, by its date",
     "a1@10 b1@20 c1@35 d1@50/c1@10 a1@36",
     {.train_min = 1, .validation_cut = 30, .split = TIME(.cut = 40)},
     true,
     "ab/c",
     "ab/c",
     "ab/c",
     "c/a",
     3,
     {0, 1}},
    {"time, on validation: train cut again, at the same quantile",
     "a1@10 b1@20 c1@30 d1@40/c1@10 a1@40",
     {.train_min = 1, .split = TIME(.quantile = 0.5)},
     true,
     "a/b",
     "a/b",
     "a/b",
     "/",
     2,
     {0, 1}},
    {"time, on validation: a date has no date for validation: the 0.8 quantile of train",
     "a1@10 b1@20 c1@30 d1@50/a1@11 b1@12 c1@31",
     {.train_min = 1, .split = TIME(.cut = 40)},
     true,
     "abc/ab",
     "abc/ab",
     "abc/ab",
     "/c",
     3,
     {0, 1}},
    {"users are left out twice, and still known by their first numbers",
     "a1@10/b1@50 c1@51/a1@10 b1@20 a1@50 c1@60",
     {.rows_min = 2, .train_min = 1, .split = TIME(.cut = 40, .nothing_seen = true)},
     false,
     "ab",
     "ab",
     "",
     "a",
     2,
     {2}},
};

static void test_splits(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *name = cases[i].name;
        uint32_t users = 1;
        for (const char *c = cases[i].data; *c != '\0'; c++)
            users += *c == '/';
        char letters = 'a', text[128];
        for (const char *c = cases[i].data; *c != '\0'; c++)
            letters = *c >= 'a' && *c <= 'z' && *c > letters ? *c : letters;
        struct rec_dataset *dataset =
            dataset_of(cases[i].data, users, (uint32_t)(letters - 'a' + 1));
        struct rec_split *split = NULL;
        struct rec_error err = {0};
        if (rec_protocol_split(&cases[i].protocol, dataset, cases[i].on_validation, &split, &err) !=
            REC_OK)
            fail_msg("row '%s': %s", name, err.text);
        CHECK_ROW(split->train->items == cases[i].items, name);
        show_rows(split->train->offset, split->train->item, split->train->users, text);
        CHECK_ROW(strcmp(text, cases[i].train) == 0, name);
        show_rows(split->history->offset, split->history->item, split->history->users, text);
        CHECK_ROW(strcmp(text, cases[i].history) == 0, name);
        show_rows(split->seen->offset, split->seen->column, split->seen->rows, text);
        CHECK_ROW(strcmp(text, cases[i].seen) == 0, name);
        show_rows(split->test->offset, split->test->column, split->test->rows, text);
        CHECK_ROW(strcmp(text, cases[i].test) == 0, name);
        for (uint32_t u = 0; u < split->train->users; u++)
            CHECK_ROW(split->user[u] == cases[i].users[u], name);
        rec_split_destroy(&split);
        rec_dataset_destroy(&dataset);
    }
}

/* Goal: what cannot be split says why. */
static const struct {
    const char *name;
    struct rec_protocol protocol;
    bool on_validation;
    const char *says;
} refused[] = {
    {"no validation part", {.split = {.test_last = 1}}, true, "validation-last is 0"},
    {"no test", {.split = {.test_last = 0}}, false, "nothing is left out"},
    {"quantile 0", {.split = TIME(.quantile = 0.0)}, false, "quantile 0 "},
    {"quantile 1", {.split = TIME(.quantile = 1.0)}, false, "quantile 1 "},
    {"quantile not a number", {.split = TIME(.quantile = (double)NAN)}, false, "quantile"},
};

static void test_refused(void **state) {
    (void)state;
    struct rec_dataset *dataset = dataset_of("a1@10 b1@20 c1@30", 1, 3);
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct rec_split *split = NULL;
        struct rec_error err = {0};
        CHECK_ROW(rec_protocol_split(&refused[i].protocol, dataset, refused[i].on_validation,
                                     &split, &err) == REC_BAD_INPUT,
                  refused[i].name);
        CHECK_ROW(strstr(err.text, refused[i].says) != NULL, refused[i].name);
        CHECK_ROW(split == NULL, refused[i].name);
    }
    rec_dataset_destroy(&dataset);
}

static void test_find(void **state) {
    (void)state;
    const struct rec_protocol *found = NULL;
    struct rec_error err = {0};
    for (size_t i = 0; i < rec_protocol_count; i++) {
        assert_int_equal(rec_protocol_find(rec_protocols[i].name, &found, NULL), REC_OK);
        assert_ptr_equal(found, &rec_protocols[i]);
    }
    assert_int_equal(rec_protocol_find("last-fiv", &found, &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "did you mean last-five?"));
}

/* Goal: ids have one order, whatever order they came in: numbers by value, others by bytes. */
static const struct {
    const char *name, *ids[4];
    uint32_t rank[4];
} orders[] = {
    {"numbers", {"10", "9", "100", "1"}, {2, 1, 3, 0}},
    {"numbers beyond 64 bits",
     {"99999999999999999999", "99999999999999999998", "5", "0"},
     {3, 2, 1, 0}},
    {"one is no number", {"10", "9", "100", "1a"}, {0, 3, 1, 2}},
    {"leading zeros are not numbers", {"010", "9", "1", "2"}, {0, 3, 1, 2}},
    {"words", {"b", "a", "C", "\xc3\xa4"}, {2, 1, 0, 3}},
};

static void test_rank(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(orders); i++) {
        struct rec_idmap *map = rec_idmap_create();
        uint32_t index, rank[4];
        for (size_t n = 0; n < 4; n++)
            assert_int_equal(
                rec_idmap_intern(map, orders[i].ids[n], strlen(orders[i].ids[n]), &index, NULL),
                REC_OK);
        assert_int_equal(rec_idmap_rank(map, rank, NULL), REC_OK);
        for (size_t n = 0; n < 4; n++)
            CHECK_ROW(rank[n] == orders[i].rank[n], orders[i].name);
        rec_idmap_destroy(&map);
    }
}

/* Goal: whichever allocation of a split fails, it says so and leaves nothing behind. */
static void test_faults(void **state) {
    (void)state;
    struct rec_dataset *dataset = dataset_of("a1@10 b1@20 c1@30 d1@50/c1@10 a1@40", 2, 4);
    const struct rec_protocol protocol = {.train_min = 1, .split = TIME(.quantile = 0.5)};
    const size_t live = rec_alloc_live();
    for (long n = 0; n < 200; n++) {
        struct rec_split *split = NULL;
        struct rec_error err = {0};
        rec_alloc_fail_at(n);
        enum rec_status st = rec_protocol_split(&protocol, dataset, true, &split, &err);
        rec_alloc_fail_at(-1);
        rec_split_destroy(&split);
        assert_int_equal(rec_alloc_live(), live);
        if (st == REC_OK) {
            rec_dataset_destroy(&dataset);
            return;
        }
        assert_int_equal(st, REC_NO_MEMORY);
        assert_int_equal(err.status, REC_NO_MEMORY);
    }
    fail_msg("no split got through");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_splits),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_find),
                                       cmocka_unit_test(test_rank), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
