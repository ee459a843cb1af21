/* Goal: every assignment is read exactly or refused with the name, the value and the range; and
 * what is written reads back to the same bits. */
#include <math.h>
#include <string.h>

#include "test.h"
#include "model/toy.h"

static const struct {
    const char *name, *assignment, *parameter; /* parameter NULL: refused */
    double value;
    const char *text; /* in the refusal */
} cases[] = {
    {"whole number", "factors=64", "factors", 64, NULL},
    {"lowest", "factors=1", "factors", 1, NULL},
    {"highest", "factors=2048", "factors", 2048, NULL},
    {"one below", "factors=0", NULL, 0, "factors: 0 is not within 1 and 2048"},
    {"one above", "factors=2049", NULL, 0, "factors: 2049"},
    {"2^64 + 5 must not wrap", "factors=18446744073709551621", NULL, 0, "factors"},
    {"fraction of an int", "factors=1.5", NULL, 0, "factors: '1.5'"},
    {"nothing", "factors=", NULL, 0, "factors: ''"},
    {"space", "factors= 8", NULL, 0, "factors: ' 8'"},
    {"two signs", "factors==8", NULL, 0, "factors: '=8'"},
    {"number", "regularization=0.5", "regularization", 0.5, NULL},
    {"exponent", "regularization=1e-6", "regularization", 1e-6, NULL},
    {"below", "regularization=0", NULL, 0, "regularization: 0"},
    {"not a number", "regularization=nan", NULL, 0, "regularization: 'nan'"},
    {"infinite", "regularization=inf", NULL, 0, "regularization: 'inf'"},
    {"overflow", "regularization=1e999", NULL, 0, "regularization: 1e999"},
    {"true", "bias=true", "bias", 1, NULL},
    {"1", "bias=1", "bias", 1, NULL},
    {"false", "bias=false", "bias", 0, NULL},
    {"0", "bias=0", "bias", 0, NULL},
    {"neither", "bias=yes", NULL, 0, "bias: 'yes'"},
    {"first choice", "loss=bpr", "loss", 0, NULL},
    {"last choice", "loss=bce", "loss", 1, NULL},
    {"no choice", "loss=hinge", NULL, 0, "not one of: bpr, bce"},
    {"choice by number", "loss=1", NULL, 0, "loss: '1'"},
    {"near name", "factor=8", NULL, 0, "did you mean 'factors'?"},
    {"far name", "zzzzzzzzzzzz=8", NULL, 0,
     "'zzzzzzzzzzzz' is not known. Known: factors, regularization, bias, loss"},
    {"case counts", "Factors=8", NULL, 0, "did you mean 'factors'?"},
    {"prefix of a name", "fac=8", NULL, 0, "is not known"},
    {"no sign", "factors", NULL, 0, "name=value"},
    {"no name", "=8", NULL, 0, "name=value"},
    {"empty", "", NULL, 0, "name=value"},
    {"name of 48 bytes", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1", NULL, 0,
     "is not known"},
};

static struct rec_params defaults(void) {
    struct rec_params params;
    rec_params_defaults(toy_family.params, toy_family.param_count, &params);
    return params;
}

static void test_set(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *name = cases[i].name;
        struct rec_params params = defaults(), before = params;
        struct rec_error err = {.status = REC_OK};
        enum rec_status st = rec_params_set(&params, cases[i].assignment, &err);
        CHECK_ROW(err.status == st, name);
        if (cases[i].parameter != NULL) {
            CHECK_ROW(st == REC_OK, name);
            CHECK_ROW(rec_params_get(&params, cases[i].parameter) == cases[i].value, name);
        } else {
            CHECK_ROW(st == REC_BAD_INPUT, name);
            CHECK_ROW(strstr(err.text, cases[i].text) != NULL, name);
            CHECK_ROW(memcmp(params.value, before.value, sizeof(params.value)) == 0, name);
        }
    }
}

static void test_defaults(void **state) {
    (void)state;
    struct rec_params params = defaults();
    for (size_t i = 0; i < toy_family.param_count; i++)
        assert_true(rec_params_get(&params, toy_family.params[i].name) ==
                    toy_family.params[i].standard);
}

static void test_write_reads_back(void **state) {
    (void)state;
    const double values[] = {0.01,          1.0 / 3.0,          1e-6, 1000.0, 2.0 / 7.0 * 1e-5,
                             123.456789012, nextafter(0.1, 1.0)};
    for (size_t i = 0; i < COUNT(values); i++) {
        struct rec_params params = defaults(), back = defaults();
        char text[200];
        params.value[0] = 2048;
        params.value[1] = values[i];
        params.value[3] = 1;
        size_t bytes = rec_params_write(&params, text, sizeof(text));
        assert_int_equal(bytes, strlen(text));
        assert_int_equal(rec_params_read(&back, text, NULL), REC_OK);
        assert_memory_equal(back.value, params.value, sizeof(params.value));
    }
}

static void test_write(void **state) {
    (void)state;
    static const char whole[] = "factors=8 regularization=0.01 bias=true loss=bpr";
    struct rec_params params = defaults();
    struct rec_params none;
    char text[sizeof(whole)];
    for (size_t cap = 0; cap <= sizeof(whole); cap++) {
        memset(text, 'x', sizeof(text));
        assert_int_equal(rec_params_write(&params, text, cap), sizeof(whole) - 1);
        if (cap == 0)
            continue;
        assert_memory_equal(text, whole, cap - 1);
        assert_int_equal(text[cap - 1], '\0');
        if (cap < sizeof(text))
            assert_int_equal(text[cap], 'x');
    }
    assert_int_equal(rec_params_write(&params, NULL, 0), sizeof(whole) - 1);

    /* Whole numbers are written as people do. */
    static const struct {
        double value;
        const char *text;
    } numbers[] = {{300, " regularization=300 "},
                   {1e6, " regularization=1000000 "},
                   {20, " regularization=20 "},
                   {1e-6, " regularization=1e-06 "}};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char written[200];
        params.value[1] = numbers[i].value;
        (void)rec_params_write(&params, written, sizeof(written));
        CHECK_ROW(strstr(written, numbers[i].text) != NULL, written);
    }

    /* A family without parameters writes an empty text and refuses every name. */
    struct rec_error err = {.status = REC_OK};
    rec_params_defaults(NULL, 0, &none);
    assert_int_equal(rec_params_write(&none, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(rec_params_set(&none, "factors=8", &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "takes no parameters"));
}

/* Goal: a line of assignments is read whole or refused with the one that is wrong. */
static void test_read(void **state) {
    (void)state;
    char longest[200] = "factors=";
    memset(longest + strlen(longest), '0', 150);
    const struct {
        const char *name, *text;
        double factors, bias;
        const char *refusal;
    } rows[] = {
        {"nothing", "", 8, 1, NULL},
        {"spaces", "   ", 8, 1, NULL},
        {"one", "factors=3", 3, 1, NULL},
        {"two", "factors=3 bias=0", 3, 0, NULL},
        {"many spaces", "  factors=3   bias=false ", 3, 0, NULL},
        {"the last counts", "factors=3 factors=4", 4, 1, NULL},
        {"one wrong", "factors=3 bias=maybe", 0, 0, "bias: 'maybe'"},
        {"space around the sign", "factors =3", 0, 0, "'factors' is not of the form"},
        {"tab", "factors=3\tbias=0", 0, 0, "factors"},
        {"too long", longest, 0, 0, "is too long"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_params params = defaults();
        struct rec_error err = {.status = REC_OK};
        enum rec_status st = rec_params_read(&params, rows[i].text, &err);
        CHECK_ROW(st == (rows[i].refusal == NULL ? REC_OK : REC_BAD_INPUT), rows[i].name);
        CHECK_ROW(st == REC_OK || strstr(err.text, rows[i].refusal) != NULL, rows[i].name);
        CHECK_ROW(st != REC_OK || rec_params_get(&params, "factors") == rows[i].factors,
                  rows[i].name);
        CHECK_ROW(st != REC_OK || rec_params_get(&params, "bias") == rows[i].bias, rows[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),   cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_read),  cmocka_unit_test(test_write_reads_back),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
