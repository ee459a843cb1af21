/* Goal: whatever a sound client does gets the right answer: every part of a request reaches the
 * handler, every refusal has its status, and one connection serves any number of requests. */
#include "client.h"

static enum rec_http_verdict fancy(void *context, struct rec_http_exchange *exchange) {
    (void)context;
    snprintf(exchange->etag, sizeof(exchange->etag), "\"v1\"");
    if (exchange->if_none_match != NULL && strcmp(exchange->if_none_match, "\"v1\"") == 0) {
        exchange->status = 304;
        return REC_HTTP_ANSWERED;
    }
    exchange->status = 202;
    exchange->retry_after_s = 7;
    snprintf(exchange->location, sizeof(exchange->location), "/jobs/1");
    rec_http_append(exchange, "{}", 2);
    return REC_HTTP_ANSWERED;
}

static enum rec_http_verdict erase(void *context, struct rec_http_exchange *exchange) {
    (void)context;
    exchange->status = 204;
    return REC_HTTP_ANSWERED;
}

static enum rec_http_verdict credentials(void *context, struct rec_http_exchange *exchange) {
    const char *text = exchange->authorization != NULL ? exchange->authorization : "none";
    (void)context;
    rec_http_append(exchange, text, strlen(text));
    return REC_HTTP_ANSWERED;
}

static const struct rec_http_route routes[] = {
    {REC_HTTP_GET, "/a", "getA", echo, NULL},
    {REC_HTTP_POST, "/a", "postA", echo, "application/json, text/plain"},
    {REC_HTTP_DELETE, "/users/{user_id}", "erase", erase, NULL},
    {REC_HTTP_GET, "/items/{item_id}", "getItem", echo, NULL},
    {REC_HTTP_GET, "/fancy", "fancy", fancy, NULL},
    {REC_HTTP_GET, "/credentials", "credentials", credentials, NULL},
};

#define H "Host: x\r\n"

static const struct {
    const char *name, *request;
    int status;
    const char *body;          /* the whole of it, or NULL */
    const char *header, *text; /* a header it must have; text NULL: must not have */
} rows[] = {
    {"get", "GET /a HTTP/1.1\r\n" H "\r\n", 200, "/a body=", "Content-Type", "text/plain"},
    {"query", "GET /a?x=1&x=2&y=%00+ HTTP/1.1\r\n" H "\r\n", 200, "/a ?x=1&x=2&y=\\0  body=", NULL,
     NULL},
    {"path value", "GET /items/a%2Fb%00 HTTP/1.1\r\n" H "\r\n", 200,
     "/items/a/b {a/b\\0} body=", NULL, NULL},
    {"absolute form", "GET http://x/a?x=1 HTTP/1.1\r\n" H "\r\n", 200, "/a ?x=1 body=", NULL, NULL},
    {"body",
     "POST /a HTTP/1.1\r\n" H "Content-Type: application/json; charset=utf-8\r\nContent-Length: "
     "2\r\n\r\n{}",
     200, "/a body={}", NULL, NULL},
    {"no body where one may be", "POST /a HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 200,
     "/a body=", NULL, NULL},
    {"body where none may be", "GET /a HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}", 200,
     "/a body=", NULL, NULL},
    {"bad escape in the query", "GET /a?k=%q HTTP/1.1\r\n" H "\r\n", 400,
     "400: query parameter 'k': a '%' is not followed by two hex digits", NULL, NULL},
    {"bad escape in the path", "GET /items/%q HTTP/1.1\r\n" H "\r\n", 400,
     "400: the path holds a '%' that is not followed by two hex digits", NULL, NULL},
    {"unknown path", "GET /b HTTP/1.1\r\n" H "\r\n", 404, "404: nothing is served at this path",
     "Content-Type", "application/problem+json"},
    {"unknown path with a body", "POST /b HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}", 404,
     "404: nothing is served at this path", "Connection", NULL},
    {"wrong method", "PUT /a HTTP/1.1\r\n" H "\r\n", 405,
     "405: this path takes GET, HEAD, POST, OPTIONS", "Allow", "GET, HEAD, POST, OPTIONS"},
    {"unknown method", "BREW /users/1 HTTP/1.1\r\n" H "\r\n", 405,
     "405: this path takes DELETE, OPTIONS", "Allow", "DELETE, OPTIONS"},
    {"TRACE", "TRACE /a HTTP/1.1\r\n" H "\r\n", 405, NULL, "Allow", "GET, HEAD, POST, OPTIONS"},
    {"options", "OPTIONS /a HTTP/1.1\r\n" H "\r\n", 204, "", "Allow", "GET, HEAD, POST, OPTIONS"},
    {"options of the server", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 204, "", "Allow",
     "GET, HEAD, OPTIONS"},
    {"options of nothing", "OPTIONS /b HTTP/1.1\r\n" H "\r\n", 404, NULL, NULL, NULL},
    {"asterisk, other method", "GET * HTTP/1.1\r\n" H "\r\n", 404, NULL, NULL, NULL},
    {"wrong type",
     "POST /a HTTP/1.1\r\n" H "Content-Type: text/html\r\nContent-Length: 2\r\n\r\n{}", 415,
     "415: unsupported Content-Type: text/html; the body may be application/json, text/plain", NULL,
     NULL},
    {"no type", "POST /a HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}", 415,
     "415: the body has no Content-Type; the body may be application/json, text/plain", NULL, NULL},
    {"wrong type, chunked",
     "POST /a HTTP/1.1\r\n" H "Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
     "2\r\n{}\r\n0\r\n\r\n",
     415, NULL, NULL, NULL},
    {"no content", "DELETE /users/1 HTTP/1.1\r\n" H "\r\n", 204, "", "Content-Type", NULL},
    {"location", "GET /fancy HTTP/1.1\r\n" H "\r\n", 202, "{}", "Location", "/jobs/1"},
    {"retry after", "GET /fancy HTTP/1.1\r\n" H "\r\n", 202, "{}", "Retry-After", "7"},
    {"default type", "GET /fancy HTTP/1.1\r\n" H "\r\n", 202, "{}", "Content-Type",
     "application/json"},
    {"etag", "GET /fancy HTTP/1.1\r\n" H "If-None-Match: \"v0\"\r\n\r\n", 202, "{}", "ETag",
     "\"v1\""},
    {"not modified", "GET /fancy HTTP/1.1\r\n" H "If-None-Match: \"v1\"\r\n\r\n", 304, "", "ETag",
     "\"v1\""},
    {"not modified has no type", "GET /fancy HTTP/1.1\r\n" H "If-None-Match: \"v1\"\r\n\r\n", 304,
     "", "Content-Type", NULL},
    {"no content has no length", "DELETE /users/1 HTTP/1.1\r\n" H "\r\n", 204, "", "Content-Length",
     NULL},
    {"no credentials", "GET /credentials HTTP/1.1\r\n" H "\r\n", 200, "none", NULL, NULL},
    {"credentials", "GET /credentials HTTP/1.1\r\n" H "Authorization: Bearer k\r\n\r\n", 200,
     "Bearer k", NULL, NULL},
    {"request id", "GET /a HTTP/1.1\r\n" H "X-Request-ID: me-1\r\n\r\n", 200, NULL, "X-Request-ID",
     "me-1"},
    {"request id in an error", "GET /b HTTP/1.1\r\n" H "x-request-id: me-2\r\n\r\n", 404, NULL,
     "X-Request-ID", "me-2"},
    {"trace id",
     "GET /a HTTP/1.1\r\n" H
     "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
     200, NULL, "X-Request-ID", "4bf92f3577b34da6a3ce929d0e0e4736"},
};

/* Once on a connection for each, and once all on one connection: an answer must not depend on
 * what was asked before. */
static void test_rows(void **state) {
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    struct client shared, single;
    (void)state;
    client_open(&shared, rec_http_port(http));
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct client *client = pass == 0 ? &single : &shared;
            char text[128] = "";
            if (pass == 0)
                client_open(client, rec_http_port(http));
            client_say(client, rows[i].request);
            struct answer answer = client_read(client, false);
            if (answer.status != rows[i].status ||
                (rows[i].body != NULL && strcmp(answer.body, rows[i].body) != 0))
                fail_msg("%s: got %d %s", rows[i].name, answer.status, answer.body);
            if (rows[i].header != NULL) {
                bool found = answer_header(&answer, rows[i].header, text, sizeof(text));
                if (found != (rows[i].text != NULL) || (found && strcmp(text, rows[i].text) != 0))
                    fail_msg("%s: %s is '%s'", rows[i].name, rows[i].header, text);
            }
            CHECK_ROW(answer_header(&answer, "X-Request-ID", text, sizeof(text)), rows[i].name);
            if (pass == 0)
                client_close(client);
        }
    }
    client_close(&shared);
    rec_http_stop(&http);
    assert_int_equal(rec_alloc_live(), 0);
}

static void test_head(void **state) {
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    struct client client;
    char text[32];
    (void)state;
    client_open(&client, rec_http_port(http));
    client_say(&client, "HEAD /a HTTP/1.1\r\n" H "\r\nHEAD /b HTTP/1.1\r\n" H
                        "\r\nGET /a HTTP/1.1\r\n" H "\r\n");
    struct answer answer = client_read(&client, true);
    assert_int_equal(answer.status, 200);
    assert_true(answer_header(&answer, "Content-Length", text, sizeof(text)));
    assert_string_equal(text, "8"); /* "/a body=", as GET would send */
    answer = client_read(&client, true);
    assert_int_equal(answer.status, 404);
    answer = client_read(&client, false);
    assert_string_equal(answer.body, "/a body=");
    client_close(&client);
    rec_http_stop(&http);
}

/* Goal: pipelined requests are answered in order, bodies between them included. */
static void test_pipelining(void **state) {
    enum { REQUESTS = 200 };
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    struct client client;
    static char all[REQUESTS * 128];
    char want[64];
    size_t n = 0;
    (void)state;
    for (int i = 0; i < REQUESTS; i++)
        n += (size_t)(i % 2 == 0
                          ? snprintf(all + n, sizeof(all) - n, "GET /a?i=%d HTTP/1.1\r\n" H "\r\n",
                                     i)
                          : snprintf(all + n, sizeof(all) - n,
                                     "POST /a?i=%d HTTP/1.1\r\n" H "Content-Type: text/plain\r\n"
                                     "Content-Length: 3\r\n\r\nabc",
                                     i));
    client_open(&client, rec_http_port(http));
    assert_true(client_send(&client, all, n));
    for (int i = 0; i < REQUESTS; i++) {
        struct answer answer = client_read(&client, false);
        snprintf(want, sizeof(want), "/a ?i=%d body=%s", i, i % 2 == 0 ? "" : "abc");
        assert_string_equal(answer.body, want);
    }
    client_close(&client);
    rec_http_stop(&http);
}

/* Goal: a body is the same however it is cut into packets and chunks, and the connection goes on.
 */
static void test_bodies_in_pieces(void **state) {
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    struct client client;
    char text[128], body[4001];
    (void)state;
    for (size_t i = 0; i < sizeof(body) - 1; i++)
        body[i] = (char)('a' + i % 26);
    body[sizeof(body) - 1] = '\0';
    client_open(&client, rec_http_port(http));
    for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
        snprintf(text, sizeof(text),
                 "POST /a HTTP/1.1\r\n" H "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                 sizeof(body) - 1);
        client_say(&client, text);
        for (size_t at = 0; at < sizeof(body) - 1; at += piece)
            client_send(&client, body + at,
                        sizeof(body) - 1 - at < piece ? sizeof(body) - 1 - at : piece);
        struct answer answer = client_read(&client, false);
        assert_string_equal(answer.body + strlen("/a body="), body);

        client_say(&client, "POST /a HTTP/1.1\r\n" H
                            "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < sizeof(body) - 1; at += piece) {
            size_t now = sizeof(body) - 1 - at < piece ? sizeof(body) - 1 - at : piece;
            snprintf(text, sizeof(text), "%zx\r\n", now);
            client_say(&client, text);
            client_send(&client, body + at, now);
            client_say(&client, "\r\n");
        }
        client_say(&client, "0\r\n\r\n");
        answer = client_read(&client, false);
        assert_string_equal(answer.body + strlen("/a body="), body);
    }
    client_close(&client);
    rec_http_stop(&http);
}

/* Goal: HTTP/1.0 and Connection: close end after their answer, HTTP/1.1 goes on. */
static void test_keep_alive(void **state) {
    static const struct {
        const char *name, *request;
        bool ends;
    } cases[] = {
        {"1.1", "GET /a HTTP/1.1\r\n" H "\r\n", false},
        {"1.1 close", "GET /a HTTP/1.1\r\n" H "Connection: close\r\n\r\n", true},
        {"1.0", "GET /a HTTP/1.0\r\n\r\n", true},
        {"1.0 keep-alive", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false},
    };
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct client client;
        client_open(&client, rec_http_port(http));
        client_say(&client, cases[i].request);
        CHECK_ROW(client_read(&client, false).status == 200, cases[i].name);
        if (cases[i].ends) {
            CHECK_ROW(client_ended(&client), cases[i].name);
        } else {
            client_say(&client, cases[i].request);
            CHECK_ROW(client_read(&client, false).status == 200, cases[i].name);
        }
        client_close(&client);
    }
    rec_http_stop(&http);
}

/* Goal: every request that is answered is observed once, with its route, also the refused ones. */
struct observed {
    atomic_int requests, unmatched;
    const char *_Atomic operation;
};

static void observe(void *context, const struct rec_http_route *route,
                    const struct rec_http_exchange *exchange, uint64_t elapsed_ns) {
    struct observed *observed = context;
    assert_true(exchange->status >= 200 && elapsed_ns < UINT64_C(60000000000));
    if (route != NULL)
        atomic_store(&observed->operation, route->operation);
    else
        atomic_fetch_add(&observed->unmatched, 1);
    atomic_fetch_add(&observed->requests, 1);
}

static void test_observing(void **state) {
    struct observed observed = {0};
    struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http;
    (void)state;
    options.observe = observe;
    options.context = &observed;
    http = server_start(&options);
    ask_text(rec_http_port(http), "GET /items/1 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(observed.requests, 1);
    assert_string_equal(observed.operation, "getItem");
    ask_text(rec_http_port(http), "GET /b HTTP/1.1\r\n" H "\r\n");
    ask_text(rec_http_port(http), "GET /a HTTP/1.1\r\n" H H "\r\n");
    assert_int_equal(observed.requests, 3);
    assert_int_equal(observed.unmatched, 2);
    ask_text(rec_http_port(http), "POST /a HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx");
    assert_int_equal(observed.requests, 4);
    assert_string_equal(observed.operation, "postA");
    rec_http_stop(&http);
}

/* Goal: once warm, requests allocate nothing of ours. */
static void test_no_allocation(void **state) {
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    static const char request[] =
        "POST /a?x=1&y=2 HTTP/1.1\r\n" H "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc";
    struct client client;
    (void)state;
    client_open(&client, rec_http_port(http));
    client_say(&client, request);
    assert_int_equal(client_read(&client, false).status, 200);
    rec_alloc_fail_at(0); /* the next allocation would fail, and the request with it */
    for (int i = 0; i < 100; i++) {
        client_say(&client, request);
        assert_string_equal(client_read(&client, false).body, "/a ?x=1&y=2 body=abc");
    }
    rec_alloc_fail_at(-1);
    client_close(&client);
    rec_http_stop(&http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_head),
        cmocka_unit_test(test_pipelining),    cmocka_unit_test(test_bodies_in_pieces),
        cmocka_unit_test(test_keep_alive),    cmocka_unit_test(test_observing),
        cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
