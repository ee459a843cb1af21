#include <string.h>

#include "support.h"

static struct rec_run_row run_of(enum rec_run_state state) {
    struct rec_run_row row = {.state = state,
                              .family = "als",
                              .parameters = "factors=64",
                              .metrics = "{\"ndcg\": 0.1}",
                              .version = "v1",
                              .error = "",
                              .created_at = 1,
                              .started_at = 2,
                              .finished_at = 3};
    return row;
}

/* Goal: a run gets the next id, is read back whole, is replaced by its id, and lists newest
 * first, also through another opening. */
static void test_put_get_list(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_run_row row = run_of(REC_RUN_QUEUED), got, listed[8];
    struct rec_error err = {0};
    for (uint64_t id = 1; id <= 5; id++) {
        row.id = 0;
        must(rec_store_put_run(store, &row, &err), &err);
        assert_int_equal(row.id, id);
    }
    row.id = 3;
    row.state = REC_RUN_FAILED;
    memset(row.error, 'e', sizeof(row.error)); /* not terminated */
    must(rec_store_put_run(store, &row, &err), &err);

    rec_store_close(&store);
    store = store_open(&place);
    must(rec_store_get_run(store, 3, &got, &err), &err);
    assert_int_equal(got.state, REC_RUN_FAILED);
    assert_string_equal(got.family, "als");
    assert_string_equal(got.parameters, "factors=64");
    assert_string_equal(got.version, "v1");
    assert_string_equal(got.metrics, "{\"ndcg\": 0.1}");
    assert_int_equal(strlen(got.error), sizeof(got.error) - 1);
    assert_int_equal(got.created_at * 100 + got.started_at * 10 + got.finished_at, 123);

    size_t count = 2;
    must(rec_store_list_runs(store, listed, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_int_equal(listed[0].id, 5);
    assert_int_equal(listed[1].id, 4);
    count = COUNT(listed);
    must(rec_store_list_runs(store, listed, &count, &err), &err);
    assert_int_equal(count, 5);
    assert_int_equal(listed[4].id, 1);
    count = 0;
    must(rec_store_list_runs(store, listed, &count, &err), &err);
    assert_int_equal(count, 0);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: what is not there is not found; states and ids that cannot be are refused. */
static void test_refused(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_run_row row = run_of(REC_RUN_RUNNING), got;
    struct rec_error err = {0};
    assert_int_equal(rec_store_get_run(store, 7, &got, &err), REC_NOT_FOUND);
    assert_non_null(strstr(err.text, "7"));
    assert_int_equal(rec_store_get_run(store, UINT64_MAX, &got, NULL), REC_NOT_FOUND);
    row.state = (enum rec_run_state)99;
    assert_int_equal(rec_store_put_run(store, &row, NULL), REC_BAD_INPUT);
    row = run_of(REC_RUN_RUNNING);
    row.id = UINT64_MAX;
    assert_int_equal(rec_store_put_run(store, &row, NULL), REC_BAD_INPUT);
    assert_string_equal(rec_run_state_text(REC_RUN_NOT_BETTER), "not_better");
    assert_string_equal(rec_run_state_text((enum rec_run_state)99), "unknown");
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: at start, what was queued or running is marked, and nothing else is. */
static void test_interrupted(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_error err = {0};
    for (int i = REC_RUN_QUEUED; i <= REC_RUN_INTERRUPTED; i++) {
        struct rec_run_row row = run_of((enum rec_run_state)i);
        must(rec_store_put_run(store, &row, &err), &err);
    }
    size_t count = 0;
    must(rec_store_mark_interrupted(store, &count, &err), &err);
    assert_int_equal(count, 2);
    for (int i = REC_RUN_QUEUED; i <= REC_RUN_INTERRUPTED; i++) {
        struct rec_run_row row;
        bool cut_off = i == REC_RUN_QUEUED || i == REC_RUN_RUNNING;
        must(rec_store_get_run(store, (uint64_t)i + 1, &row, &err), &err);
        assert_int_equal(row.state, cut_off ? REC_RUN_INTERRUPTED : i);
        assert_int_equal(row.finished_at > 3, cut_off);
        assert_int_equal(row.error[0] != '\0', cut_off);
    }
    must(rec_store_mark_interrupted(store, &count, &err), &err);
    assert_int_equal(count, 0);
    rec_store_close(&store);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_put_get_list),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_interrupted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
