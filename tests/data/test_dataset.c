#include <math.h>
#include <string.h>

#include "recsysd/data.h"
#include "test.h"

enum { D = -1 }; /* disliked */

/* Goal: a history under the rule of likes and dislikes, however the events arrive. A letter is an
 * item, then the time and the weight; `expect` is the history in time order. */
static const struct {
    const char *name;
    struct rec_event events[5];
    size_t count;
    struct rec_event expect[5];
} rule_cases[] = {
    {"one", {{1, 1, 10}}, 1, {{1, 1, 10}}},
    {"in order", {{1, 1, 10}, {2, 1, 20}}, 2, {{1, 1, 10}, {2, 1, 20}}},
    {"late arrival", {{1, 1, 20}, {2, 1, 10}}, 2, {{2, 1, 10}, {1, 1, 20}}},
    {"equal times keep the order of arrival",
     {{1, 1, 10}, {2, 1, 10}, {3, 1, 10}},
     3,
     {{1, 1, 10}, {2, 1, 10}, {3, 1, 10}}},
    {"a dislike clears what came before",
     {{1, 1, 10}, {2, 1, 15}, {1, D, 20}},
     3,
     {{1, 0, 10}, {2, 1, 15}, {1, 0, 20}}},
    {"a like after a dislike counts", {{1, D, 10}, {1, 1, 20}}, 2, {{1, 0, 10}, {1, 1, 20}}},
    {"a dislike that arrives late clears only earlier ones",
     {{1, 1, 10}, {1, 1, 30}, {1, D, 20}},
     3,
     {{1, 0, 10}, {1, 0, 20}, {1, 1, 30}}},
    {"a like that arrives after a later dislike does not count",
     {{1, D, 20}, {1, 1, 10}},
     2,
     {{1, 0, 10}, {1, 0, 20}}},
    {"an event of weight 0 is no dislike", {{1, 0, 20}, {1, 1, 10}}, 2, {{1, 1, 10}, {1, 0, 20}}},
    {"a dislike keeps being one after another dislike",
     {{1, D, 20}, {1, D, 40}, {1, 1, 30}, {1, 1, 10}},
     4,
     {{1, 0, 10}, {1, 0, 20}, {1, 0, 30}, {1, 0, 40}}},
};

static void check_events(const struct rec_event *got, const struct rec_event *expect, size_t count,
                         const char *name) {
    for (size_t i = 0; i < count; i++) {
        CHECK_ROW(got[i].item == expect[i].item, name);
        CHECK_ROW(got[i].weight == expect[i].weight, name);
        CHECK_ROW(got[i].time == expect[i].time, name);
    }
}

static void test_rule(void **state) {
    (void)state;
    for (size_t c = 0; c < COUNT(rule_cases); c++) {
        struct rec_event events[6];
        size_t count = rule_cases[c].count;
        for (size_t i = 0; i < count; i++)
            rec_event_insert(events, i, rule_cases[c].events[i]);
        check_events(events, rule_cases[c].expect, count, rule_cases[c].name);
    }
}

/* Goal: whole histories and events one by one give the same, for random ones with many dislikes,
 * repeats and equal times. */
static void test_rule_in_bulk(void **state) {
    (void)state;
    enum { EVENTS = 40, ROUNDS = 300 };
    struct rec_rng rng;
    rec_rng_init(&rng, 2, 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct rec_event events[EVENTS];
        struct rec_dataset_row rows[EVENTS];
        struct rec_dataset *dataset = NULL;
        for (size_t i = 0; i < EVENTS; i++) {
            static const float weights[] = {REC_WEIGHT_DISLIKED, 0.0f, 0.5f, 1.0f};
            struct rec_event event = {rec_rng_below(&rng, 5), weights[rec_rng_below(&rng, 4)],
                                      rec_rng_below(&rng, 20)};
            rows[i] = (struct rec_dataset_row){0, event.item, event.time, event.weight};
            rec_event_insert(events, i, event);
        }
        assert_int_equal(rec_dataset_from_rows(rows, EVENTS, 1, 5, &dataset, NULL), REC_OK);
        for (size_t i = 0; i < EVENTS; i++) {
            assert_int_equal(dataset->item[i], events[i].item);
            assert_int_equal(dataset->time[i], events[i].time);
            assert_true(dataset->weight[i] == events[i].weight && dataset->weight[i] >= 0.0f);
            /* A dislike stays one, for events that arrive later. */
            assert_int_equal(signbit(dataset->weight[i]) != 0, signbit(events[i].weight) != 0);
        }
        rec_dataset_destroy(&dataset);
    }
}

/* Goal: rows of any order become users' histories, oldest first, stable; users without rows have
 * empty ones. */
static void test_from_rows(void **state) {
    (void)state;
    const struct rec_dataset_row rows[] = {
        {3, 0, 50, 1}, {1, 2, 30, 1}, {3, 1, 40, 1}, {1, 0, 10, 0.5f},
        {3, 2, 40, 1}, {1, 1, 20, 1}, {3, 3, 60, 1}, {3, 0, 40, 1},
    };
    const uint64_t offset[] = {0, 0, 3, 3, 8, 8};
    const uint32_t item[] = {0, 1, 2, 1, 2, 0, 0, 3}, time[] = {10, 20, 30, 40, 40, 40, 50, 60};
    struct rec_dataset *dataset = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, COUNT(rows), 5, 4, &dataset, NULL), REC_OK);
    assert_memory_equal(dataset->offset, offset, sizeof(offset));
    assert_memory_equal(dataset->item, item, sizeof(item));
    assert_memory_equal(dataset->time, time, sizeof(time));
    assert_true(dataset->weight[0] == 0.5f);
    rec_dataset_destroy(&dataset);
    assert_null(dataset);
    rec_dataset_destroy(&dataset);
}

static void test_from_rows_refused(void **state) {
    (void)state;
    const struct {
        const char *name;
        struct rec_dataset_row row;
    } cases[] = {
        {"user at the bound", {2, 0, 0, 1}},
        {"item at the bound", {0, 3, 0, 1}},
        {"weight is not a number", {0, 0, 0, NAN}},
        {"weight is infinite", {0, 0, 0, INFINITY}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_dataset *dataset = NULL;
        struct rec_error err = {0};
        CHECK_ROW(rec_dataset_from_rows(&cases[i].row, 1, 2, 3, &dataset, &err) == REC_BAD_INPUT,
                  cases[i].name);
        CHECK_ROW(dataset == NULL && strstr(err.text, "dataset row 0") != NULL, cases[i].name);
    }
}

static void test_empty(void **state) {
    (void)state;
    struct rec_dataset *dataset = NULL;
    struct rec_csr *matrix = NULL;
    assert_int_equal(rec_dataset_from_rows(NULL, 0, 0, 0, &dataset, NULL), REC_OK);
    assert_int_equal(rec_dataset_matrix(dataset, &matrix, NULL), REC_OK);
    assert_int_equal(matrix->rows, 0);
    assert_int_equal(matrix->offset[0], 0);
    rec_csr_destroy(&matrix);
    rec_dataset_destroy(&dataset);
}

/* Goal: weights of one pair add up, columns rise strictly, pairs that say nothing are left out. */
static void test_matrix(void **state) {
    (void)state;
    const struct rec_dataset_row rows[] = {
        {0, 3, 10, 1}, {0, 1, 20, 0.5f}, {0, 3, 30, 0.25f}, {0, 2, 40, 0},
        {2, 0, 10, 1}, {2, 0, 20, D},    {2, 4, 30, 1},
    };
    const uint64_t offset[] = {0, 2, 2, 3};
    const uint32_t column[] = {1, 3, 4};
    const float value[] = {0.5f, 1.25f, 1.0f};
    struct rec_dataset *dataset = NULL;
    struct rec_csr *matrix = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, COUNT(rows), 3, 5, &dataset, NULL), REC_OK);
    assert_int_equal(rec_dataset_matrix(dataset, &matrix, NULL), REC_OK);
    assert_int_equal(matrix->rows, 3);
    assert_int_equal(matrix->cols, 5);
    assert_memory_equal(matrix->offset, offset, sizeof(offset));
    assert_memory_equal(matrix->column, column, sizeof(column));
    assert_memory_equal(matrix->value, value, sizeof(value));
    rec_csr_destroy(&matrix);
    rec_dataset_destroy(&dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),      cmocka_unit_test(test_rule_in_bulk),
        cmocka_unit_test(test_from_rows), cmocka_unit_test(test_from_rows_refused),
        cmocka_unit_test(test_empty),     cmocka_unit_test(test_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
