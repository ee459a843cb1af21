#include <string.h>

#include "recsysd/base.h"
#include "test.h"

/* Goal: RFC 3339 is read exactly or refused. A row per case. */
static const struct {
    const char *name, *text;
    enum rec_status status;
    int64_t unix_s;
} parse_cases[] = {
    {"epoch", "1970-01-01T00:00:00Z", REC_OK, 0},
    {"a day", "1970-01-02T00:00:00Z", REC_OK, 86400},
    {"leap day", "2024-02-29T12:00:00Z", REC_OK, 1709208000},
    {"no leap day in 2023", "2023-02-29T12:00:00Z", REC_BAD_INPUT, 0},
    {"no leap day in 1900", "1900-02-29T12:00:00Z", REC_BAD_INPUT, 0},
    {"leap day of 2000", "2000-02-29T00:00:00Z", REC_OK, 951782400},
    {"before the epoch", "1969-12-31T23:59:59Z", REC_OK, -1},
    {"offset ahead", "2000-01-01T01:30:00+01:30", REC_OK, 946684800},
    {"offset behind", "1999-12-31T19:00:00-05:00", REC_OK, 946684800},
    {"fraction is dropped", "2000-01-01T00:00:00.999Z", REC_OK, 946684800},
    {"small letters", "2000-01-01t00:00:00z", REC_OK, 946684800},
    {"leap second", "2016-12-31T23:59:60Z", REC_OK, 1483228800},
    {"month 13", "2000-13-01T00:00:00Z", REC_BAD_INPUT, 0},
    {"day 0", "2000-01-00T00:00:00Z", REC_BAD_INPUT, 0},
    {"hour 24", "2000-01-01T24:00:00Z", REC_BAD_INPUT, 0},
    {"no zone", "2000-01-01T00:00:00", REC_BAD_INPUT, 0},
    {"bad offset", "2000-01-01T00:00:00+24:00", REC_BAD_INPUT, 0},
    {"empty fraction", "2000-01-01T00:00:00.Z", REC_BAD_INPUT, 0},
    {"text behind", "2000-01-01T00:00:00Zx", REC_BAD_INPUT, 0},
    {"empty", "", REC_BAD_INPUT, 0},
    {"short year", "200-01-01T00:00:00Z", REC_BAD_INPUT, 0},
};

static void test_parse(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(parse_cases); i++) {
        int64_t value = 12345;
        enum rec_status st = rec_clock_parse(parse_cases[i].text, &value);
        CHECK_ROW(st == parse_cases[i].status, parse_cases[i].name);
        CHECK_ROW(value == (st == REC_OK ? parse_cases[i].unix_s : 12345), parse_cases[i].name);
    }
}

/* Goal: format and parse are each other's inverse, a day at a time over four centuries. */
static void test_round_trip(void **state) {
    (void)state;
    for (int64_t s = 0; s < (int64_t)400 * 366 * 86400; s += 86400 - 1) {
        char text[REC_CLOCK_TEXT_BYTES];
        int64_t back = -1;
        rec_clock_format(s, text);
        assert_int_equal(strlen(text), 20);
        assert_int_equal(rec_clock_parse(text, &back), REC_OK);
        assert_int_equal(back, s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse),
                                       cmocka_unit_test(test_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
