/* Goal: a request target is decoded exactly or refused by name: escapes, NULs, repeats, plus signs,
 * absolute forms; and the fields of a head give the type and the request id they should. */
#include "client.h"
#include "../../src/http/room.h"

static const struct {
    const char *name, *target;
    const char *want; /* path|name=value|..., NULs as \0; or "! " and the error text */
} target_rows[] = {
    {"plain", "/recommend?user_id=1&k=10", "/recommend|user_id=1|k=10"},
    {"no query", "/health", "/health"},
    {"empty query", "/health?", "/health"},
    {"empty name", "/a?=x", "/a|=x"},
    {"empty value", "/a?x=", "/a|x="},
    {"no equals", "/a?x", "/a|x="},
    {"equals in a value", "/a?x=1=2", "/a|x=1=2"},
    {"question mark in a value", "/a?x=1?2", "/a|x=1?2"},
    {"repeats are kept in order", "/a?i=1&i=2&i=1", "/a|i=1|i=2|i=1"},
    {"empty pairs are skipped", "/a?&x=1&&y=2&", "/a|x=1|y=2"},
    {"plus is a space in a query", "/a?x+y=1+2", "/a|x y=1 2"},
    {"plus is a plus in a path", "/a+b?x=1", "/a+b|x=1"},
    {"escaped plus", "/a?x=1%2B2", "/a|x=1+2"},
    {"escapes", "/%41%62?%6b=%C3%a9", "/Ab|k=\xc3\xa9"},
    {"escaped ampersand and equals", "/a?x=1%262%3D3", "/a|x=1&2=3"},
    {"escaped percent is decoded once", "/a?x=%2541", "/a|x=%41"},
    {"escaped NUL is seen", "/a?x=1%002", "/a|x=1\\02"},
    {"escaped NUL at the end", "/a?x=%00", "/a|x=\\0"},
    {"raw UTF-8 passes", "/a?x=\xc3\xa9", "/a|x=\xc3\xa9"},
    {"invalid UTF-8 is for handlers", "/a?x=%ff", "/a|x=\xff"},
    {"absolute form", "http://host:80/a?x=1", "/a|x=1"},
    {"absolute form, upper case", "HTTP://host/a", "/a"},
    {"absolute form without a path", "http://host", "/"},
    {"absolute form, query only", "http://host?x=1", "/|x=1"},
    {"asterisk", "*", "*"},
    {"percent at the end", "/a?k=1%",
     "! query parameter 'k': a '%' is not followed by two hex digits"},
    {"percent and one digit", "/a?k=%4",
     "! query parameter 'k': a '%' is not followed by two hex digits"},
    {"percent and no hex", "/a?k=%zz",
     "! query parameter 'k': a '%' is not followed by two hex digits"},
    {"escape may not cross &", "/a?k=%4&1=2",
     "! query parameter 'k': a '%' is not followed by two hex digits"},
    {"sign is no digit", "/a?k=%+1",
     "! query parameter 'k': a '%' is not followed by two hex digits"},
    {"bad escape in a name", "/a?%q\"\x7f=1",
     "! query parameter '%q?\?': a '%' is not followed by two hex digits"},
    {"bad escape in the path", "/a%2",
     "! the path holds a '%' that is not followed by two hex digits"},
    {"no slash", "recommend", "! the request target must be a path that begins with '/'"},
    {"authority form", "host:443", "! the request target must be a path that begins with '/'"},
    {"asterisk and more", "*x", "! the request target must be a path that begins with '/'"},
    {"empty", "", "! the request target must be a path that begins with '/'"},
    {"query without a path", "?x=1", "! the request target must be a path that begins with '/'"},
};

/* Decodes into `text` as the rows write it. */
static void decode_text(struct rec_message *message, const char *target, size_t bytes, char *text,
                        size_t text_bytes) {
    struct rec_error err = {0};
    struct rec_http_exchange *exchange = &message->exchange;
    size_t n;

    rec_message_reset(message, 0);
    if (rec_message_set_target(message, target, bytes, &err) != REC_OK ||
        rec_message_decode_path(message, &err) != REC_OK ||
        rec_message_decode_query(message, &err) != REC_OK) {
        snprintf(text, text_bytes, "! %s", err.text);
        return;
    }
    n = (size_t)snprintf(text, text_bytes, "%s", exchange->path);
    for (size_t i = 0; i < exchange->query_count; i++) {
        n += (size_t)snprintf(text + n, text_bytes - n, "|%s=", exchange->query[i].name);
        for (size_t j = 0; j < exchange->query[i].value_bytes; j++)
            n += (size_t)snprintf(text + n, text_bytes - n,
                                  exchange->query[i].value[j] == '\0' ? "\\0" : "%c",
                                  exchange->query[i].value[j]);
        assert_int_equal(exchange->query[i].value[exchange->query[i].value_bytes], '\0');
    }
}

static void test_targets(void **state) {
    struct rec_message message = {0};
    char text[1024];
    (void)state;
    for (size_t i = 0; i < COUNT(target_rows); i++) {
        decode_text(&message, target_rows[i].target, strlen(target_rows[i].target), text,
                    sizeof(text));
        if (strcmp(text, target_rows[i].want) != 0)
            fail_msg("%s: got %s, want %s", target_rows[i].name, text, target_rows[i].want);
    }
    rec_message_finish(&message);
    assert_int_equal(rec_alloc_live(), 0);
}

/* Goal: the caps hold: as many parameters and bytes as limits.h says, and not one more. */
static void test_caps(void **state) {
    struct rec_message message = {0};
    char target[REC_HTTP_TARGET_BYTES_MAX + 2];
    struct rec_error err = {0};
    size_t n;
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        n = (size_t)snprintf(target, sizeof(target), "/a?");
        for (size_t i = 0; i < REC_HTTP_QUERY_MAX + extra; i++)
            n += (size_t)snprintf(target + n, sizeof(target) - n, "%sx=1", i > 0 ? "&" : "");
        rec_message_reset(&message, 0);
        assert_int_equal(rec_message_set_target(&message, target, n, NULL), REC_OK);
        assert_int_equal(rec_message_decode_query(&message, &err), extra ? REC_LIMIT : REC_OK);
        assert_int_equal(message.exchange.query_count, REC_HTTP_QUERY_MAX);

        memset(target, 'a', sizeof(target));
        target[0] = '/';
        rec_message_reset(&message, 0);
        assert_int_equal(
            rec_message_set_target(&message, target, REC_HTTP_TARGET_BYTES_MAX + extra, NULL),
            extra ? REC_LIMIT : REC_OK);
    }
    /* the worst case for the room behind decoded text: all of it pairs of nothing, and a path that
     * is copied twice */
    memset(target, '=', sizeof(target));
    memcpy(target, "/a?", 3);
    rec_message_reset(&message, 0);
    assert_int_equal(rec_message_set_target(&message, target, REC_HTTP_TARGET_BYTES_MAX, NULL),
                     REC_OK);
    assert_int_equal(rec_message_decode_path(&message, NULL), REC_OK);
    assert_int_equal(rec_message_decode_query(&message, NULL), REC_OK);
    memset(target, 'a', sizeof(target));
    target[0] = '/';
    rec_message_reset(&message, 0);
    assert_int_equal(rec_message_set_target(&message, target, REC_HTTP_TARGET_BYTES_MAX, NULL),
                     REC_OK);
    assert_int_equal(rec_message_decode_path(&message, NULL), REC_OK);
    rec_message_decode_value(&message, message.path, message.path_bytes);
    assert_int_equal(message.exchange.path_value_bytes, REC_HTTP_TARGET_BYTES_MAX);
    rec_message_finish(&message);
}

static const struct {
    const char *name, *request_id, *traceparent, *want;
} id_rows[] = {
    {"none", NULL, NULL, "0123456789abcdef"},
    {"sane", "abc-1", NULL, "abc-1"},
    {"empty", "", NULL, "0123456789abcdef"},
    {"space", "a b", NULL, "0123456789abcdef"},
    {"control", "a\tb", NULL, "0123456789abcdef"},
    {"not ASCII", "a\xc3\xa9", NULL, "0123456789abcdef"},
    {"trace", NULL, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
     "4bf92f3577b34da6a3ce929d0e0e4736"},
    {"id before trace", "abc", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "abc"},
    {"bad id, good trace", " ", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
     "4bf92f3577b34da6a3ce929d0e0e4736"},
    {"trace of zeros", NULL, "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
     "0123456789abcdef"},
    {"trace in upper case", NULL, "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
     "0123456789abcdef"},
    {"short trace", NULL, "00-4bf92f3577b34da6a3ce929d0e0e4736", "0123456789abcdef"},
    {"trace without dashes", NULL, "0004bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b70101",
     "0123456789abcdef"},
};

static void test_request_ids(void **state) {
    struct rec_message message = {0};
    char longest[REC_REQUEST_ID_BYTES_MAX + 2];
    (void)state;
    for (size_t i = 0; i < COUNT(id_rows); i++) {
        const char *id = id_rows[i].request_id, *trace = id_rows[i].traceparent;
        rec_message_reset(&message, 0);
        rec_message_set_id(&message, id, id ? strlen(id) : 0, trace, trace ? strlen(trace) : 0,
                           0x0123456789abcdefu);
        if (strcmp(message.exchange.request_id, id_rows[i].want) != 0)
            fail_msg("%s: got %s", id_rows[i].name, message.exchange.request_id);
    }
    memset(longest, 'i', sizeof(longest));
    rec_message_set_id(&message, longest, REC_REQUEST_ID_BYTES_MAX, NULL, 0, 1);
    assert_int_equal(strlen(message.exchange.request_id), REC_REQUEST_ID_BYTES_MAX);
    rec_message_set_id(&message, longest, REC_REQUEST_ID_BYTES_MAX + 1, NULL, 0, 1);
    assert_string_equal(message.exchange.request_id, "0000000000000001");
    rec_message_finish(&message);
}

static void test_content_types(void **state) {
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"application/json", "application/json"},
        {"Application/JSON; charset=utf-8", "application/json"},
        {" text/plain ;x=1", "text/plain"},
        {"", ""},
        {";", ""},
    };
    struct rec_message message = {0};
    char longest[300];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rec_message_reset(&message, 0);
        rec_message_set_type(&message, rows[i].value, strlen(rows[i].value));
        assert_string_equal(message.exchange.content_type, rows[i].want);
    }
    memset(longest, 'x', sizeof(longest));
    rec_message_set_type(&message, longest, sizeof(longest));
    assert_int_equal(strlen(message.content_type), sizeof(message.content_type) - 1);
    rec_message_finish(&message);
}

/* Goal: an answer grows as it must, keeps what was written when memory ends, and a body is always
 * NUL-terminated. */
static void test_buffers(void **state) {
    struct rec_message message = {0};
    struct rec_http_exchange *exchange = &message.exchange;
    (void)state;
    rec_message_reset(&message, 3);
    assert_int_equal(exchange->worker, 3);
    assert_string_equal(exchange->body, "");
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(rec_http_append(exchange, "abc", 3), REC_OK);
    assert_int_equal(exchange->out_bytes, 30000);
    assert_memory_equal(exchange->out + 29997, "abc", 3);
    assert_int_equal(rec_http_reserve(exchange, SIZE_MAX), REC_NO_MEMORY);
    rec_alloc_fail_at(0);
    assert_int_equal(rec_http_reserve(exchange, 1 << 20), REC_NO_MEMORY);
    rec_alloc_fail_at(0);
    assert_int_equal(rec_message_append_body(&message, "x", 1), REC_NO_MEMORY);
    rec_alloc_fail_at(-1);
    assert_int_equal(exchange->out_bytes, 30000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(rec_message_append_body(&message, "xy", 2), REC_OK);
    assert_int_equal(exchange->body_bytes, 2000);
    assert_int_equal(exchange->body[2000], '\0');
    rec_message_finish(&message);
    assert_int_equal(rec_alloc_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),     cmocka_unit_test(test_caps),
        cmocka_unit_test(test_request_ids), cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
