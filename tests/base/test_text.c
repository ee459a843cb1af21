#include <string.h>

#include "recsysd/base.h"
#include "test.h"

/* Goal: ids are taken or refused for the right reason. A row per case. */
static const struct {
    const char *name, *text;
    size_t bytes;
    const char *says; /* NULL: taken */
} id_cases[] = {
    {"plain", "user-1", 6, NULL},
    {"one byte", "a", 1, NULL},
    {"empty", "", 0, "user_id is empty"},
    {"two-byte letter", "\xc3\xa9", 2, NULL},
    {"four-byte emoji", "\xf0\x9f\x8e\xac", 4, NULL},
    {"highest code point", "\xf4\x8f\xbf\xbf", 4, NULL},
    {"past the highest", "\xf4\x90\x80\x80", 4, "not valid UTF-8"},
    {"lone continuation", "\x80", 1, "not valid UTF-8"},
    {"overlong slash", "\xc0\xaf", 2, "not valid UTF-8"},
    {"overlong three bytes", "\xe0\x80\xaf", 3, "not valid UTF-8"},
    {"surrogate", "\xed\xa0\x80", 3, "not valid UTF-8"},
    {"cut sequence", "ab\xe2\x82", 4, "not valid UTF-8"},
    {"latin-1", "caf\xe9", 4, "not valid UTF-8"},
    {"NUL", "a\0b", 3, "NUL character"},
    {"newline", "a\nb", 3, "control character 0x0a at byte 1"},
    {"delete", "\x7f", 1, "control character 0x7f at byte 0"},
};

static void test_id(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(id_cases); i++) {
        struct rec_error err = {0};
        enum rec_status st =
            rec_text_check_id("user_id", id_cases[i].text, id_cases[i].bytes, &err);
        CHECK_ROW(st == (id_cases[i].says == NULL ? REC_OK : REC_BAD_INPUT), id_cases[i].name);
        if (id_cases[i].says != NULL)
            CHECK_ROW(strstr(err.text, id_cases[i].says) != NULL, id_cases[i].name);
    }
}

/* Goal: the cap is exact, and the refused id is not repeated: it may be a person's. */
static void test_id_cap(void **state) {
    (void)state;
    char id[REC_ID_BYTES_MAX + 1];
    struct rec_error err = {0};
    memset(id, 'x', sizeof(id));
    assert_int_equal(rec_text_check_id("user_id", id, REC_ID_BYTES_MAX, NULL), REC_OK);
    assert_int_equal(rec_text_check_id("user_id", id, REC_ID_BYTES_MAX + 1, &err), REC_BAD_INPUT);
    assert_string_equal(err.text, "user_id has 257 bytes; the limit is 256");
}

static const struct {
    const char *name, *text;
    enum rec_status status;
    int64_t value;
} integer_cases[] = {
    {"lowest allowed", "1", REC_OK, 1},
    {"highest allowed", "100", REC_OK, 100},
    {"leading zeros", "007", REC_OK, 7},
    {"one below", "0", REC_BAD_INPUT, 0},
    {"one above", "101", REC_BAD_INPUT, 0},
    {"2^32 + 1 must not wrap to 1", "4294967297", REC_BAD_INPUT, 0},
    {"2^64 + 5 must not wrap to 5", "18446744073709551621", REC_BAD_INPUT, 0},
    {"minus", "-1", REC_BAD_INPUT, 0},
    {"plus", "+5", REC_BAD_INPUT, 0},
    {"space", " 1", REC_BAD_INPUT, 0},
    {"hex", "0x10", REC_BAD_INPUT, 0},
    {"point", "5.0", REC_BAD_INPUT, 0},
    {"only a minus", "-", REC_BAD_INPUT, 0},
    {"empty", "", REC_BAD_INPUT, 0},
};

static void test_integer(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(integer_cases); i++) {
        int64_t value = 12345;
        struct rec_error err = {0};
        enum rec_status st = rec_text_i64("k", integer_cases[i].text, 1, 100, &value, &err);
        CHECK_ROW(st == integer_cases[i].status && err.status == st, integer_cases[i].name);
        CHECK_ROW(value == (st == REC_OK ? integer_cases[i].value : 12345), integer_cases[i].name);
    }
    int64_t minus = 0;
    assert_int_equal(rec_text_i64("x", "-5", -10, 10, &minus, NULL), REC_OK);
    assert_int_equal(minus, -5);
}

static const struct {
    const char *name, *text;
    enum rec_status status;
    double value;
} double_cases[] = {
    {"integer", "4", REC_OK, 4},
    {"decimal", "3.5", REC_OK, 3.5},
    {"bare point before", ".5", REC_OK, .5},
    {"bare point behind", "5.", REC_OK, 5},
    {"exponent", "1e-1", REC_OK, .1},
    {"signed", "-2.5", REC_OK, -2.5},
    {"overflow", "1e999", REC_BAD_INPUT, 0},
    {"nan", "nan", REC_BAD_INPUT, 0},
    {"infinity", "inf", REC_BAD_INPUT, 0},
    {"hex", "0x1p3", REC_BAD_INPUT, 0},
    {"comma", "3,5", REC_BAD_INPUT, 0},
    {"only a point", ".", REC_BAD_INPUT, 0},
    {"empty exponent", "1e", REC_BAD_INPUT, 0},
    {"text behind", "1x", REC_BAD_INPUT, 0},
    {"leading space", " 1", REC_BAD_INPUT, 0},
    {"empty", "", REC_BAD_INPUT, 0},
    {"one above", "10.01", REC_BAD_INPUT, 0},
};

static void test_double(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(double_cases); i++) {
        double value = 12345;
        enum rec_status st = rec_text_double("value", double_cases[i].text, -10, 10, &value, NULL);
        CHECK_ROW(st == double_cases[i].status, double_cases[i].name);
        CHECK_ROW(value == (st == REC_OK ? double_cases[i].value : 12345), double_cases[i].name);
    }
}

/* Goal: a slip of the finger finds the name that was meant, another word finds none. */
static void test_nearest(void **state) {
    (void)state;
    const char *const names[] = {"factors", "regularization", "iterations", "alpha"};
    assert_string_equal(rec_text_nearest("factor", names, 4), "factors");
    assert_string_equal(rec_text_nearest("regularisation", names, 4), "regularization");
    assert_string_equal(rec_text_nearest("alhpa", names, 4), "alpha");
    assert_null(rec_text_nearest("neighbours", names, 4));
    assert_null(rec_text_nearest("x", names, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id),      cmocka_unit_test(test_id_cap),
        cmocka_unit_test(test_integer), cmocka_unit_test(test_double),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
