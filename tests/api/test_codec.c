/* Goal: every member of a body is read exactly or refused by name, whatever stands in its place; a
 * row per case. How: the functions the handlers use, on text, without a server. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "recsysd/api.h"

#include "codec.h"
#include "test.h"

static const int64_t now = 1700000000;

struct interaction_row {
    const char *name, *text;
    const char *user, *item, *type, *event; /* of a good one */
    double value;
    int64_t timestamp;
    const char *refusal; /* part of the message; NULL: it is good */
};

#define IDS "\"user_id\":\"u\",\"item_id\":\"i\""
static const struct interaction_row interactions[] = {
    {"least", "{" IDS "}", "u", "i", "view", NULL, 1, 1700000000, NULL},
    {"all", "{" IDS ",\"type\":\"order\",\"value\":2.5,\"timestamp\":5,\"event_id\":\"e\"}", "u",
     "i", "order", "e", 2.5, 5, NULL},
    {"integers as ids", "{\"user_id\":7,\"item_id\":-3,\"event_id\":0}", "7", "-3", "view", "0", 1,
     1700000000, NULL},
    {"largest integer", "{\"user_id\":9223372036854775807,\"item_id\":1}", "9223372036854775807",
     "1", "view", NULL, 1, 1700000000, NULL},
    {"integers with a point", "{\"user_id\":7.0,\"item_id\":-9007199254740992.0,\"timestamp\":1e2}",
     "7", "-9007199254740992", "view", NULL, 1, 100, NULL},
    {"a point past 2^53", "{\"user_id\":9007199254740994.0,\"item_id\":1}",
     .refusal = "user_id is a number"},
    {"value alone is a rating", "{" IDS ",\"value\":4}", "u", "i", "rating", NULL, 4, 1700000000,
     NULL},
    {"RFC 3339", "{" IDS ",\"timestamp\":\"1970-01-02T00:00:00+01:00\"}", "u", "i", "view", NULL, 1,
     82800, NULL},
    {"a day ahead", "{" IDS ",\"timestamp\":1700086400}", "u", "i", "view", NULL, 1, 1700086400,
     NULL},
    {"escapes", "{\"user_id\":\"\\u00e9\\n\",\"item_id\":\"i\"}", .refusal = "user_id holds"},
    {"no user", "{\"item_id\":\"i\"}", .refusal = "user_id is missing"},
    {"no item", "{\"user_id\":\"u\"}", .refusal = "item_id is missing"},
    {"empty id", "{\"user_id\":\"\",\"item_id\":\"i\"}", .refusal = "user_id is empty"},
    {"id of null", "{\"user_id\":null,\"item_id\":\"i\"}", .refusal = "user_id is null"},
    {"id of a float", "{\"user_id\":1.5,\"item_id\":\"i\"}", .refusal = "user_id is a number"},
    {"id of a bool", "{\"user_id\":true,\"item_id\":\"i\"}", .refusal = "user_id is a boolean"},
    {"id of an array", "{\"user_id\":[],\"item_id\":\"i\"}", .refusal = "user_id is an array"},
    {"NUL in an id", "{\"user_id\":\"a\\u0000b\",\"item_id\":\"i\"}",
     .refusal = "user_id holds a NUL"},
    {"NUL in a key", "{\"a\\u0000b\":1," IDS "}", .refusal = "not valid JSON"},
    {"lone surrogate", "{\"user_id\":\"\\ud800\",\"item_id\":\"i\"}", .refusal = "not valid JSON"},
    {"invalid UTF-8", "{\"user_id\":\"\xff\",\"item_id\":\"i\"}", .refusal = "not valid JSON"},
    {"unknown member", "{" IDS ",\"foo\":1}", .refusal = "unknown member 'foo'"},
    {"misspelt member", "{\"usr_id\":\"u\",\"item_id\":\"i\"}",
     .refusal = "did you mean 'user_id'"},
    {"key twice", "{" IDS ",\"user_id\":\"v\"}", .refusal = "duplicate object key"},
    {"unknown type", "{" IDS ",\"type\":\"bought\"}", .refusal = "known are view, click"},
    {"type of a number", "{" IDS ",\"type\":1}", .refusal = "type is an integer"},
    {"rating without value", "{" IDS ",\"type\":\"rating\"}", .refusal = "value is missing"},
    {"value of a string", "{" IDS ",\"value\":\"5\"}", .refusal = "value is a string"},
    {"value past a double", "{" IDS ",\"value\":1e999}", .refusal = "real number overflow"},
    {"value of NaN", "{" IDS ",\"value\":NaN}", .refusal = "not valid JSON"},
    {"value of Infinity", "{" IDS ",\"value\":-Infinity}", .refusal = "not valid JSON"},
    {"integer past 64 bits", "{" IDS ",\"value\":18446744073709551621}",
     .refusal = "too big integer"},
    {"a day and a second", "{" IDS ",\"timestamp\":1700086401}",
     .refusal = "timestamp is 1700086401"},
    {"before 1970", "{" IDS ",\"timestamp\":-1}", .refusal = "timestamp is -1"},
    {"time of a float", "{" IDS ",\"timestamp\":1.5}", .refusal = "timestamp is a number"},
    {"time of words", "{" IDS ",\"timestamp\":\"today\"}",
     .refusal = "'today', which is not RFC 3339"},
    {"time with a NUL", "{" IDS ",\"timestamp\":\"1970-01-02T00:00:00Z\\u0000\"}",
     .refusal = "not RFC"},
    {"an array", "[]", .refusal = "the body is an array"},
    {"a string", "\"a\"", .refusal = "not valid JSON"},
    {"nothing", "", .refusal = "not valid JSON"},
    {"half", "{" IDS, .refusal = "not valid JSON"},
    {"more behind", "{" IDS "} x", .refusal = "not valid JSON"},
    {"too deep", "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", .refusal = "deeper than 16"},
    {"deep in a string", "{\"user_id\":\"[[[[[[[[[[[[[[[[[[\\\"\",\"item_id\":\"i\"}",
     "[[[[[[[[[[[[[[[[[[\"", "i", "view", NULL, 1, 1700000000, NULL},
};

static bool same(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void test_interactions(void **state) {
    (void)state;
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    for (size_t i = 0; i < COUNT(interactions); i++) {
        const struct interaction_row *row = &interactions[i];
        struct rec_interaction out = {0};
        struct rec_error err = {0};
        struct rec_json *root = NULL;
        enum rec_status st = rec_codec_parse(row->text, strlen(row->text), "the body", &root, &err);
        if (st == REC_OK)
            st = rec_codec_interaction(root, NULL, &weights, now, &out, &err);
        CHECK_ROW(st == (row->refusal == NULL ? REC_OK : REC_BAD_INPUT), row->name);
        CHECK_ROW(err.status == st, row->name);
        if (row->refusal != NULL) {
            CHECK_ROW(strstr(err.text, row->refusal) != NULL, err.text);
            CHECK_ROW(out.user_id == NULL && out.item_id == NULL, row->name);
        } else {
            CHECK_ROW(same(out.user_id, row->user) && same(out.item_id, row->item), row->name);
            CHECK_ROW(same(out.type, row->type) && same(out.event_id, row->event), row->name);
            CHECK_ROW(out.value == row->value && out.timestamp == row->timestamp, row->name);
        }
        rec_codec_free(&root);
    }
}

/* Goal: ids may have 256 bytes and not one more, in characters of any width. */
static void test_id_lengths(void **state) {
    (void)state;
    static const struct {
        const char *name, *unit;
        size_t times;
        bool good;
    } rows[] = {
        {"256 bytes", "a", 256, true},
        {"257 bytes", "a", 257, false},
        {"300 bytes", "a", 300, false},
        {"64 of four", "\xf0\x9f\x8e\xac", 64, true},
        {"65 of four", "\xf0\x9f\x8e\xac", 65, false},
    };
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[2048];
        size_t used = (size_t)snprintf(text, sizeof(text), "{\"item_id\":\"i\",\"user_id\":\"");
        for (size_t n = 0; n < rows[i].times; n++)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", rows[i].unit);
        snprintf(text + used, sizeof(text) - used, "\"}");
        struct rec_interaction out;
        struct rec_json *root = NULL;
        assert_int_equal(rec_codec_parse(text, strlen(text), "it", &root, NULL), REC_OK);
        enum rec_status st = rec_codec_interaction(root, NULL, &weights, now, &out, NULL);
        CHECK_ROW((st == REC_OK) == rows[i].good, rows[i].name);
        rec_codec_free(&root);
    }
}

/* Goal: a message says where: in a list, in a list within a list, on a line. */
static void test_places(void **state) {
    (void)state;
    static const char text[] = "{\"a\":[1.5],\"user_id\":false}";
    struct rec_codec_at line = {.line = 18}, outer = {.list = "items", .index = 3};
    struct rec_codec_at inner = {.within = &outer, .list = "categories", .index = 0};
    struct rec_json *root = NULL;
    const char *out = NULL;
    struct rec_error err = {0};
    assert_int_equal(rec_codec_parse(text, strlen(text), "it", &root, NULL), REC_OK);
    rec_codec_id(root, "user_id", &line, true, &out, &err);
    assert_memory_equal(err.text, "line 18: user_id is a boolean", 29);
    err = (struct rec_error){0};
    rec_codec_id(root, "user_id", &outer, true, &out, &err);
    assert_memory_equal(err.text, "items[3].user_id is a boolean", 29);
    err = (struct rec_error){0};
    rec_codec_element_text(rec_codec_member(root, "a"), &inner, 9, &out, &err);
    assert_memory_equal(err.text, "items[3].categories[0] is a number", 34);
    err = (struct rec_error){0};
    rec_codec_object(rec_codec_member(root, "a"), &line, NULL, 0, &err);
    assert_memory_equal(err.text, "line 18 is an array", 19);
    rec_codec_free(&root);
}

/* Goal: a line of a file is read as an element of POST /interactions is, and reading the next one
 * frees the one before. */
static void test_lines(void **state) {
    (void)state;
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    size_t live = rec_alloc_live();
    struct rec_codec_line *line = rec_codec_line_create(&weights);
    struct rec_interaction out = {0};
    struct rec_error err = {0};
    static const char good[] = "{\"user_id\":1,\"item_id\":\"x\",\"value\":3,\"timestamp\":9}";
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rec_codec_line_parse(line, good, strlen(good), &out, &err), REC_OK);
        assert_string_equal(out.user_id, "1");
        assert_string_equal(out.type, "rating");
        assert_int_equal(out.timestamp, 9);
    }
    assert_int_equal(rec_codec_line_parse(line, "[1]", 3, &out, &err), REC_BAD_INPUT);
    rec_codec_line_destroy(&line);
    rec_codec_line_destroy(&line);
    assert_int_equal(rec_alloc_live(), live);
}

static void test_next_line(void **state) {
    (void)state;
    static const char text[] = "a\n\n\r\nbc\r\nd";
    static const char *const expected[] = {"a", "bc", "d"};
    static const size_t numbers[] = {1, 4, 5};
    size_t at = 0, line = 0, length, n = 0;
    const char *start;
    for (; rec_codec_next_line(text, strlen(text), &at, &line, &start, &length); n++) {
        assert_true(n < 3);
        assert_int_equal(length, strlen(expected[n]));
        assert_memory_equal(start, expected[n], length);
        assert_int_equal(line, numbers[n]);
    }
    assert_int_equal(n, 3);
}

/* Goal: whichever allocation of a parse fails, it says NO_MEMORY and keeps nothing. */
static void test_faults(void **state) {
    (void)state;
    static const char text[] = "{\"user_id\":12,\"item_id\":\"i\",\"event_id\":3,\"timestamp\":1}";
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    size_t live = rec_alloc_live();
    for (long n = 0; n < 1000; n++) {
        struct rec_json *root = NULL;
        struct rec_interaction out;
        rec_alloc_fail_at(n);
        enum rec_status st = rec_codec_parse(text, strlen(text), "it", &root, NULL);
        if (st == REC_OK)
            st = rec_codec_interaction(root, NULL, &weights, now, &out, NULL);
        rec_alloc_fail_at(-1);
        rec_codec_free(&root);
        assert_int_equal(rec_alloc_live(), live);
        if (st == REC_OK) {
            assert_true(n > 5);
            return;
        }
        assert_int_equal(st, REC_NO_MEMORY);
    }
    fail_msg("no parse got through");
}

int main(void) {
    rec_codec_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interactions), cmocka_unit_test(test_id_lengths),
        cmocka_unit_test(test_places),       cmocka_unit_test(test_lines),
        cmocka_unit_test(test_next_line),    cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
