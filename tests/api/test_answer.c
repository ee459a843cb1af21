/* Goal: what is written by hand reads back, with a parser that is not ours, to what was meant:
 * every float to the same bits, every text to the same text, every problem to its members. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/api.h"

#include "answer.h"
#include "conditional.h"
#include "problem.h"
#include "test.h"

static float read_back(float value, char text[REC_ANSWER_FLOAT_BYTES + 1]) {
    size_t n = rec_answer_format_float(value, text);
    assert_true(n > 0 && n < REC_ANSWER_FLOAT_BYTES);
    text[n] = '\0';
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("'%s' is not JSON", text);
    double read = json_number_value(json);
    json_decref(json);
    return (float)read;
}

static void test_float_spelling(void **state) {
    (void)state;
    static const struct {
        float value;
        const char *text;
    } rows[] = {
        {0.0f, "0"},
        {-0.0f, "0"},
        {1.0f, "1"},
        {-1.5f, "-1.5"},
        {0.1f, "0.1"},
        {0.001f, "0.001"},
        {100.0f, "100"},
        {1234567.0f, "1234567"},
        {0.25f, "0.25"},
        {9.999999e9f, "9999999000"},
        {1e10f, "1e10"},
        {1e-5f, "0.00001"},
        {1e-6f, "1e-6"},
        {1.5e-7f, "1.5e-7"},
        {16777216.0f, "16777216"},
        {3.4028235e38f, "3.4028235e38"},
        {0.3333333433f, "0.33333334"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[REC_ANSWER_FLOAT_BYTES + 1];
        read_back(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

/* How many significant digits a spelling has. */
static int digits_in(const char *text) {
    int digits = 0, zeros = 0;
    for (const char *p = text; *p != '\0' && *p != 'e'; p++) {
        if (*p < '0' || *p > '9')
            continue;
        if (digits > 0 || *p != '0')
            digits++;
        zeros = *p == '0' ? zeros + 1 : 0;
    }
    return digits - zeros;
}

/* Whether one digit fewer would have read back as well, where more than seven were written. */
static bool is_too_long(float value, const char *text) {
    char shorter[40];
    int digits = digits_in(text);
    if (digits <= 7)
        return false;
    snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, (double)value);
    return digits > 9 || (float)strtod(shorter, NULL) == value;
}

/* Every exponent, with mantissas that carry, and a million at random. */
static void test_float_round_trip(void **state) {
    (void)state;
    char text[REC_ANSWER_FLOAT_BYTES + 1];
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 1);
    for (int i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)rec_rng_u64(&rng);
        if (i < 3 * 254)
            bits = (uint32_t)(i / 3 + 1) << 23 | (i % 3 == 1 ? 0x7fffffu : i % 3 == 2 ? 1u : 0u);
        float value;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        float got = read_back(value, text);
        if (got != value)
            fail_msg("%a became %s, which is %a", (double)value, text, (double)got);
        if (is_too_long(value, text))
            fail_msg("%a became %s, which could be shorter", (double)value, text);
    }
}

static void test_float_not_finite(void **state) {
    (void)state;
    char text[REC_ANSWER_FLOAT_BYTES + 1];
    assert_true(read_back(NAN, text) == 0.0f);
    assert_true(read_back(INFINITY, text) == 0.0f);
    assert_true(read_back(-INFINITY, text) == 0.0f);
}

static json_t *parsed(const struct rec_http_exchange *exchange) {
    json_error_t error;
    json_t *json =
        json_loadb(exchange->out, exchange->out_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (json == NULL)
        fail_msg("%s in %.*s", error.text, (int)exchange->out_bytes, exchange->out);
    return json;
}

static void test_texts(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
        size_t bytes;
        const char *expected;
    } rows[] = {
        {"plain", "abc", 3, "abc"},
        {"empty", "", 0, ""},
        {"quotes", "a\"b\\c", 5, "a\"b\\c"},
        {"controls", "\x01\n\t\x1f", 4, "\x01\n\t\x1f"},
        {"UTF-8", "\xc3\xa9\xf0\x9f\x8e\xac", 6, "\xc3\xa9\xf0\x9f\x8e\xac"},
        {"a byte that is not", "a\xff\"", 3, "a\xef\xbf\xbd\""},
        {"half a character", "a\xf0\x9f\x8e", 4, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"a surrogate", "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_http_exchange exchange = {0};
        struct rec_answer answer;
        rec_answer_init(&answer, &exchange);
        rec_answer_text(&answer, rows[i].text, rows[i].bytes);
        assert_int_equal(rec_answer_end(&answer, NULL), REC_OK);
        json_t *json = parsed(&exchange);
        CHECK_ROW(strcmp(json_string_value(json), rows[i].expected) == 0, rows[i].name);
        json_decref(json);
        rec_alloc_free(exchange.out);
    }
}

static void test_integers(void **state) {
    (void)state;
    struct rec_http_exchange exchange = {0};
    struct rec_answer answer;
    rec_answer_init(&answer, &exchange);
    REC_ANSWER_LITERAL(&answer, "[");
    rec_answer_i64(&answer, INT64_MIN);
    REC_ANSWER_LITERAL(&answer, ",");
    rec_answer_i64(&answer, INT64_MAX);
    REC_ANSWER_LITERAL(&answer, ",");
    rec_answer_u64(&answer, 0);
    REC_ANSWER_LITERAL(&answer, ",");
    rec_answer_double(&answer, 0.1);
    REC_ANSWER_LITERAL(&answer, ",");
    rec_answer_double(&answer, 5e-324);
    REC_ANSWER_LITERAL(&answer, ",");
    rec_answer_double(&answer, NAN);
    REC_ANSWER_LITERAL(&answer, ",");
    rec_answer_string(&answer, NULL);
    REC_ANSWER_LITERAL(&answer, "]");
    static const char expected[] =
        "[-9223372036854775808,9223372036854775807,0,0.1,4.94065645841247e-324,null,null]";
    assert_int_equal(exchange.out_bytes, strlen(expected));
    assert_memory_equal(exchange.out, expected, strlen(expected));
    rec_alloc_free(exchange.out);
}

/* Goal: every status of the house has its answer; what was written before is gone. */
static void test_problems(void **state) {
    (void)state;
    static const struct {
        enum rec_status status;
        int http;
        const char *type;
    } rows[] = {
        {REC_BAD_INPUT, 400, "/problems/bad-input"}, {REC_NOT_FOUND, 404, "/problems/not-found"},
        {REC_NO_MODEL, 409, "/problems/no-model"},   {REC_CONFLICT, 409, "/problems/conflict"},
        {REC_LIMIT, 422, "/problems/limit"},         {REC_BUSY, 503, "/problems/busy"},
        {REC_NO_MEMORY, 503, "/problems/no-memory"}, {REC_IO, 500, "/problems/failure"},
        {REC_CORRUPT, 500, "/problems/failure"},     {REC_NOT_BETTER, 409, "/problems/conflict"},
        {REC_CANCELLED, 503, "/problems/busy"},
    };
    rec_log_set_level(REC_LOG_ERROR + 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_http_exchange exchange = {
            .request_id = "id-1", .etag = "\"a\"", .location = "/x"};
        struct rec_error err = {0};
        rec_http_append(&exchange, "{\"half\":", 8);
        rec_error_set(&err, rows[i].status, "k is '\xff\"'; it must be 1 to 1000");
        rec_problem_answer(&exchange, rows[i].status, &err);
        const char *name = rows[i].type;
        json_t *json = parsed(&exchange);
        CHECK_ROW(exchange.status == rows[i].http, name);
        CHECK_ROW(strcmp(exchange.answer_type, "application/problem+json") == 0, name);
        CHECK_ROW(exchange.etag[0] == '\0' && exchange.location[0] == '\0', name);
        CHECK_ROW((exchange.retry_after_s == 1) == (rows[i].http == 503), name);
        CHECK_ROW(json_integer_value(json_object_get(json, "status")) == rows[i].http, name);
        CHECK_ROW(strcmp(json_string_value(json_object_get(json, "type")), name) == 0, name);
        CHECK_ROW(strcmp(json_string_value(json_object_get(json, "request_id")), "id-1") == 0,
                  name);
        CHECK_ROW(strcmp(json_string_value(json_object_get(json, "detail")),
                         "k is '\xef\xbf\xbd\"'; it must be 1 to 1000") == 0,
                  name);
        json_decref(json);
        rec_alloc_free(exchange.out);
    }
}

/* Goal: a problem for want of memory is still an answer, if an empty one. */
static void test_problem_without_memory(void **state) {
    (void)state;
    struct rec_http_exchange exchange = {.request_id = "id-1"};
    rec_alloc_fail_at(0);
    rec_problem_answer(&exchange, REC_NO_MEMORY, NULL);
    rec_alloc_fail_at(-1);
    assert_int_equal(exchange.status, 503);
    assert_int_equal(exchange.out_bytes, 0);
}

static void test_conditional(void **state) {
    (void)state;
    char etag[64], list[200];
    struct rec_http_pair pairs[] = {{"user_id", "1", 1}, {"k", "10", 2}};
    struct rec_http_exchange exchange = {.query = pairs, .query_count = 2};
    rec_conditional_init();
    rec_conditional_tag(&exchange, 1, 2, 3, etag);
    assert_true(etag[0] == '"' && etag[strlen(etag) - 1] == '"');
    static const struct {
        const char *before, *after;
        bool same;
    } rows[] = {
        {"", "", true},        {"W/", "", true},  {"\"x\", ", "", true}, {"\"x\",W/", "", true},
        {"", ", \"y\"", true}, {"\"", "", false}, {"x", "", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(list, sizeof(list), "%s%s%s", rows[i].before, etag, rows[i].after);
        exchange.if_none_match = list;
        exchange.status = 200;
        CHECK_ROW(rec_conditional_unchanged(&exchange, etag) == rows[i].same, list);
        CHECK_ROW((exchange.status == 304) == rows[i].same, list);
    }
    exchange.if_none_match = "*";
    assert_true(rec_conditional_unchanged(&exchange, etag));

    /* any version and any parameter changes the tag */
    char other[64];
    for (int i = 0; i < 4; i++) {
        pairs[1].value = i == 3 ? "11" : "10";
        rec_conditional_tag(&exchange, 1 + (i == 0), 2 + (i == 1), 3 + (i == 2), other);
        assert_string_not_equal(etag, other);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float_spelling),
        cmocka_unit_test(test_float_round_trip),
        cmocka_unit_test(test_float_not_finite),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_problem_without_memory),
        cmocka_unit_test(test_conditional),
    };
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
