#include <pthread.h>
#include <string.h>

#include "recsysd/telemetry.h"
#include "test.h"

static struct rec_counter reads = {
    .name = "test_requests_total", .help = "Requests.", .labels = "op=\"read\""};
static struct rec_counter writes = {
    .name = "test_requests_total", .help = "Requests.", .labels = "op=\"write\""};
static struct rec_gauge users = {.name = "test_users", .help = "Users."};
static struct rec_histogram seconds = {
    .name = "test_seconds", .help = "Latency.", .labels = "op=\"read\""};

static struct rec_counter shared = {.name = "test_shared_total", .help = "By all threads."};
static struct rec_histogram shared_seconds = {.name = "test_shared_seconds", .help = "By all."};

static int setup(void **state) {
    (void)state;
    rec_telemetry_register_counter(&reads);
    rec_telemetry_register_counter(&writes);
    rec_telemetry_register_gauge(&users);
    rec_telemetry_register_counter(&shared);
    rec_telemetry_register_histogram(&seconds);
    rec_telemetry_register_histogram(&shared_seconds);
    return 0;
}

/* Goal: the text is what Prometheus reads: one head a name, buckets that add up. */
static void test_text(void **state) {
    (void)state;
    static char text[8192];
    rec_counter_add(&reads, 3);
    rec_counter_add(&writes, 4);
    rec_gauge_set(&users, -7);
    rec_histogram_observe(&seconds, 50000);                   /* at the first bound: inside it */
    rec_histogram_observe(&seconds, 50001);                   /* past it */
    rec_histogram_observe(&seconds, UINT64_C(3600000000000)); /* beyond the last */

    size_t bytes = rec_telemetry_write(text, sizeof(text));
    assert_int_equal(bytes, strlen(text));
    assert_non_null(strstr(text, "# HELP test_requests_total Requests.\n"
                                 "# TYPE test_requests_total counter\n"
                                 "test_requests_total{op=\"read\"} 3\n"
                                 "test_requests_total{op=\"write\"} 4\n"));
    assert_non_null(strstr(text, "test_users -7\n"));
    assert_non_null(strstr(text, "test_seconds_bucket{op=\"read\",le=\"5e-05\"} 1\n"));
    assert_non_null(strstr(text, "test_seconds_bucket{op=\"read\",le=\"0.0001\"} 2\n"));
    assert_non_null(strstr(text, "test_seconds_bucket{op=\"read\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "test_seconds_count{op=\"read\"} 3\n"));
    assert_non_null(strstr(text, "process_resident_memory_bytes "));
}

static void *add(void *number) {
    *(unsigned *)number = rec_thread_number();
    rec_counter_add(&shared, 2);
    rec_histogram_observe(&shared_seconds, 1000000000);
    return *(unsigned *)number == rec_thread_number() ? number : NULL;
}

/* Goal: nothing is lost of what threads add, be they fewer than the parts or more, and each thread
 * has a number of its own. */
static void test_threads(void **state) {
    (void)state;
    enum { THREADS = 2 * REC_TELEMETRY_PARTS + 3 };
    static char text[16384];
    pthread_t thread[THREADS];
    unsigned number[THREADS];
    void *same;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, add, &number[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], &same), 0);
        assert_non_null(same);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(number[i], number[j]);
    }
    assert_true(rec_telemetry_write(text, sizeof(text)) < sizeof(text));
    assert_non_null(strstr(text, "test_shared_total 38\n"));
    assert_non_null(strstr(text, "test_shared_seconds_bucket{le=\"0.8192\"} 0\n"));
    assert_non_null(strstr(text, "test_shared_seconds_bucket{le=\"1.6384\"} 19\n"));
    assert_non_null(strstr(text, "test_shared_seconds_sum 19\n"));
    assert_non_null(strstr(text, "test_shared_seconds_count 19\n"));
}

/* Goal: a buffer too small is filled, never overrun, and the whole length is still told. */
static void test_small_buffer(void **state) {
    (void)state;
    char text[32];
    memset(text, '#', sizeof(text));
    size_t whole = rec_telemetry_write(NULL, 0);
    assert_true(whole > 500);
    assert_true(rec_telemetry_write(text, 16) > 500);
    for (size_t i = 16; i < sizeof(text); i++)
        assert_int_equal(text[i], '#');
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_small_buffer)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
