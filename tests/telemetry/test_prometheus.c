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

static int setup(void **state) {
    (void)state;
    rec_telemetry_register_counter(&reads);
    rec_telemetry_register_counter(&writes);
    rec_telemetry_register_gauge(&users);
    rec_telemetry_register_histogram(&seconds);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_small_buffer)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
