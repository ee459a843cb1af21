/* Goal: everything a client can make grow or last has an end, the answer says which, and it can be
 * read: at the cap all is well, one past it is not. */
#include <errno.h>
#include <sys/resource.h>

#include "client.h"

static enum rec_http_verdict count_body(void *context, struct rec_http_exchange *exchange) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%zu", exchange->body_bytes);
    (void)context;
    rec_http_append(exchange, text, (size_t)n);
    return REC_HTTP_ANSWERED;
}

static const struct rec_http_route routes[] = {
    {REC_HTTP_GET, "/a", "get", echo, NULL},
    {REC_HTTP_POST, "/a", "post", count_body, "text/plain"},
    {REC_HTTP_DELETE, "/a", "delete", count_body, NULL},
};

#define H "Host: x\r\n"
#define T "Content-Type: text/plain\r\n"
enum { BODY_MAX = 64 * 1024 }; /* server_options() */

static const struct {
    const char *name, *method;
    size_t bytes;
    bool chunked;
    int status;
    const char *body;
} body_rows[] = {
    {"at the cap", "POST", BODY_MAX, false, 200, "65536"},
    {"one past it", "POST", BODY_MAX + 1, false, 413,
     "413: the body may have at most 65536 bytes, and has 65537"},
    {"chunked, at the cap", "POST", BODY_MAX, true, 200, "65536"},
    {"chunked, one past it", "POST", BODY_MAX + 1, true, 413,
     "413: the body may have at most 65536 bytes"},
    {"unwanted, at the cap", "DELETE", BODY_MAX, false, 200, "0"},
    {"unwanted, one past it", "DELETE", BODY_MAX + 1, false, 413, NULL},
    {"unwanted, chunked, one past it", "DELETE", BODY_MAX + 1, true, 413, NULL},
    {"20 MB", "POST", 20000000, false, 413, NULL},
    {"20 MB, chunked", "POST", 20000000, true, 413, NULL},
};

/* Sends head and body, all of it, before it reads the answer: as a client without `Expect` does. */
static struct answer post(struct client *client, const char *method, size_t bytes, bool chunked) {
    static char piece[10000];
    char text[256];
    memset(piece, 'b', sizeof(piece));
    if (chunked)
        snprintf(text, sizeof(text), "%s /a HTTP/1.1\r\n" H T "Transfer-Encoding: chunked\r\n\r\n",
                 method);
    else
        snprintf(text, sizeof(text), "%s /a HTTP/1.1\r\n" H T "Content-Length: %zu\r\n\r\n", method,
                 bytes);
    client_say(client, text);
    while (bytes > 0) {
        size_t now = bytes < sizeof(piece) ? bytes : sizeof(piece);
        if (chunked) {
            snprintf(text, sizeof(text), "%zx\r\n", now);
            client_say(client, text);
        }
        if (!client_send(client, piece, now))
            break;
        if (chunked)
            client_say(client, "\r\n");
        bytes -= now;
    }
    if (chunked)
        client_say(client, "0\r\n\r\n");
    return client_read(client, false);
}

static void test_bodies(void **state) {
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    (void)state;
    for (size_t i = 0; i < COUNT(body_rows); i++) {
        struct client client;
        char text[32];
        client_open(&client, rec_http_port(http));
        struct answer answer =
            post(&client, body_rows[i].method, body_rows[i].bytes, body_rows[i].chunked);
        if (answer.status != body_rows[i].status ||
            (body_rows[i].body != NULL && strcmp(answer.body, body_rows[i].body) != 0))
            fail_msg("%s: got %d %s", body_rows[i].name, answer.status, answer.body);
        bool closes = answer_header(&answer, "Connection", text, sizeof(text)) &&
                      strcasecmp(text, "close") == 0;
        CHECK_ROW(closes == (answer.status == 413), body_rows[i].name);
        CHECK_ROW(!closes || client_ended(&client), body_rows[i].name);
        client_close(&client);
    }
    rec_http_stop(&http);
    assert_int_equal(rec_alloc_live(), 0);
}

/* Goal: a client that would send for ever is hung up on. */
static void test_endless_bodies(void **state) {
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    struct client client;
    (void)state;
    client_open(&client, rec_http_port(http));
    struct answer answer = post(&client, "POST", (size_t)1 << 32, true);
    assert_int_equal(answer.status, 0);
    client_close(&client);

    client_open(&client, rec_http_port(http));
    client_say(&client, "POST /a HTTP/1.1\r\n" H T "Content-Length: 1099511627776\r\n\r\n");
    answer = client_read(&client, false);
    assert_int_equal(answer.status, 413);
    assert_true(client_ended(&client));
    client_close(&client);
    rec_http_stop(&http);
}

/* Goal: who asks first (`Expect`) is told at once, and sends nothing for nothing. */
static void test_expect(void **state) {
    static const struct {
        const char *name, *request;
        int status;
    } cases[] = {
        {"welcome", "POST /a HTTP/1.1\r\n" H T "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
         100},
        {"too large",
         "POST /a HTTP/1.1\r\n" H T "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n", 413},
        {"wrong type", "POST /a HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
         415},
        {"wrong path",
         "POST /b HTTP/1.1\r\n" H T "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 404},
        {"wrong method",
         "PUT /a HTTP/1.1\r\n" H T "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 405},
    };
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct client client;
        client_open(&client, rec_http_port(http));
        client_say(&client, cases[i].request);
        struct answer answer = client_read(&client, false);
        CHECK_ROW(answer.status == cases[i].status, cases[i].name);
        if (answer.status == 100) {
            client_say(&client, "hi");
            answer = client_read(&client, false);
            CHECK_ROW(answer.status == 200 && strcmp(answer.body, "2") == 0, cases[i].name);
        } else {
            CHECK_ROW(client_ended(&client), cases[i].name);
        }
        client_close(&client);
    }
    rec_http_stop(&http);
}

/* A GET whose target has `target_bytes` bytes, with `headers` headers and `pairs` query pairs. */
static int ask_sized(unsigned port, size_t target_bytes, size_t headers, size_t pairs) {
    static char request[128 * 1024];
    size_t n = (size_t)snprintf(request, sizeof(request), "GET /a?");
    for (size_t i = 0; i < pairs; i++)
        n += (size_t)snprintf(request + n, sizeof(request) - n, "%sx=1", i > 0 ? "&" : "");
    while (n < 4 + target_bytes)
        request[n++] = 'x';
    n += (size_t)snprintf(request + n, sizeof(request) - n, " HTTP/1.1\r\n" H);
    for (size_t i = 1; i < headers; i++)
        n += (size_t)snprintf(request + n, sizeof(request) - n, "X-%zu: v\r\n", i);
    n += (size_t)snprintf(request + n, sizeof(request) - n, "\r\n");
    return ask(port, request, n).status;
}

static void test_heads(void **state) {
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http = server_start(&options);
    unsigned port = rec_http_port(http);
    (void)state;
    assert_int_equal(ask_sized(port, REC_HTTP_TARGET_BYTES_MAX, 1, 0), 200);
    assert_int_equal(ask_sized(port, REC_HTTP_TARGET_BYTES_MAX + 1, 1, 0), 414);
    assert_int_equal(ask_sized(port, 15000, 1, 0), 414);
    assert_int_equal(ask_sized(port, 100000, 1, 0), 414); /* the library's own */
    assert_int_equal(ask_sized(port, 0, REC_HTTP_HEADERS_MAX, 0), 200);
    assert_int_equal(ask_sized(port, 0, REC_HTTP_HEADERS_MAX + 1, 0), 431);
    assert_int_equal(ask_sized(port, 0, 5000, 0), 431); /* the library's own */
    assert_int_equal(ask_sized(port, 0, 1, REC_HTTP_QUERY_MAX), 200);
    assert_int_equal(ask_sized(port, 0, 1, REC_HTTP_QUERY_MAX + 1), 400);
    assert_int_equal(
        ask_sized(port, REC_HTTP_TARGET_BYTES_MAX, REC_HTTP_HEADERS_MAX, REC_HTTP_QUERY_MAX - 1),
        200);
    rec_http_stop(&http);
}

/* Goal: a client that trickles ends, in every part of a request, and one that is silent ends too;
 * meanwhile a quick one on the same server is served. No time is asserted, only that it ends. */
static void test_slow_clients(void **state) {
    static const struct {
        const char *name, *start, *drop;
    } cases[] = {
        {"silent", "", ""},
        {"silent in a head", "GET /a HT", ""},
        {"trickling a request line", "GET /a?", "x"},
        {"trickling headers", "GET /a HTTP/1.1\r\n" H, "X: y\r\n"},
        {"trickling a body", "POST /a HTTP/1.1\r\n" H T "Content-Length: 60000\r\n\r\n", "b"},
        {"trickling chunks", "POST /a HTTP/1.1\r\n" H T "Transfer-Encoding: chunked\r\n\r\n",
         "1\r\nb\r\n"},
        {"trickling empty lines", "", "\r\n"},
        {"trickling a second request", "GET /a HTTP/1.1\r\n" H "\r\n", "G"},
    };
    struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http;
    static struct client clients[COUNT(cases)];
    bool ended[COUNT(cases)] = {0};
    size_t left = COUNT(cases);
    (void)state;
    options.idle_timeout_s = 1;
    options.request_timeout_s = 1;
    http = server_start(&options);
    for (size_t i = 0; i < COUNT(cases); i++) {
        client_open(&clients[i], rec_http_port(http));
        client_say(&clients[i], cases[i].start);
    }
    for (int round = 0; left > 0; round++) {
        if (round == 300)
            for (size_t i = 0; i < COUNT(cases); i++)
                CHECK_ROW(ended[i], cases[i].name);
        nap_us(100000);
        /* On a connection of its own: one that is kept is silent for too long where this program
         * has to wait a second for its turn. */
        assert_int_equal(ask_text(rec_http_port(http), "GET /a HTTP/1.1\r\n" H "\r\n").status, 200);
        for (size_t i = 0; i < COUNT(cases); i++) {
            char sink[1024];
            if (ended[i])
                continue;
            ssize_t n = recv(clients[i].fd, sink, sizeof(sink), MSG_DONTWAIT);
            ended[i] = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
            if (!ended[i])
                client_say(&clients[i], cases[i].drop);
            left -= ended[i];
        }
    }
    for (size_t i = 0; i < COUNT(cases); i++)
        client_close(&clients[i]);
    rec_http_stop(&http);
    assert_int_equal(rec_alloc_live(), 0);
}

/* Goal: over the cap a connection is turned away with a word, and a place that gets free is given
 * to the next. */
static void test_connection_cap(void **state) {
    enum { CAP = 8 };
    static const char request[] = "GET /a HTTP/1.1\r\n" H "\r\n";
    struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rec_http *http;
    static struct client clients[CAP], late;
    int status = 0;
    (void)state;
    options.connections = CAP;
    http = server_start(&options);
    for (size_t i = 0; i < CAP; i++) {
        client_open(&clients[i], rec_http_port(http));
        client_say(&clients[i], request);
        assert_int_equal(client_read(&clients[i], false).status, 200);
    }
    client_open(&late, rec_http_port(http));
    assert_int_equal(client_read(&late, false).status, 503);
    assert_true(client_ended(&late));
    client_close(&late);
    client_say(&clients[0], request);
    assert_int_equal(client_read(&clients[0], false).status, 200);

    client_close(&clients[3]);
    for (int i = 0; i < 1000 && status != 200; i++) { /* until the server has noticed */
        client_open(&late, rec_http_port(http));
        client_say(&late, request);
        status = client_read(&late, false).status;
        client_close(&late);
        nap_us(5000);
    }
    assert_int_equal(status, 200);
    for (size_t i = 0; i < CAP; i++)
        if (i != 3)
            client_close(&clients[i]);
    rec_http_stop(&http);
}

/* Goal: 2,000 connections are open and served at the same time. */
static void test_many_connections(void **state) {
    enum { MANY = 2000 };
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    struct rlimit files;
    struct rec_http *http;
    static struct client clients[MANY];
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2 * MANY + 100) {
        print_message("needs %d open files, has %ju\n", 2 * MANY + 100, (uintmax_t)files.rlim_cur);
        skip();
    }
    http = server_start(&options);
    for (size_t i = 0; i < MANY; i++)
        client_open(&clients[i], rec_http_port(http));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++)
            client_say(&clients[i], "GET /a HTTP/1.1\r\n" H "\r\n");
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(client_read(&clients[i], false).status, 200);
    }
    rec_http_stop(&http);
    for (size_t i = 0; i < MANY; i++)
        client_close(&clients[i]);
    assert_int_equal(rec_alloc_live(), 0);
}

/* Goal: out of memory is an answer or the end of one connection, never of the server. How: the
 * n-th allocation fails, for every n that a fresh server and one request reach. */
static void test_no_memory(void **state) {
    static const char request[] = "POST /a?x=1 HTTP/1.1\r\n" H T "Content-Length: 2\r\n\r\nhi";
    const struct rec_http_options options = server_options(routes, COUNT(routes));
    bool clean = false;
    (void)state;
    for (long n = 0; !clean; n++) {
        struct rec_http *http = server_start(&options);
        rec_alloc_fail_at(n);
        int status = ask_text(rec_http_port(http), request).status;
        clean = status == 200;
        rec_alloc_fail_at(-1);
        if (!clean && status != 0 && status != 503 && status != 413)
            fail_msg("allocation %ld: %d", n, status);
        assert_int_equal(ask_text(rec_http_port(http), request).status, 200);
        rec_http_stop(&http);
        assert_int_equal(rec_alloc_live(), 0);
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),           cmocka_unit_test(test_endless_bodies),
        cmocka_unit_test(test_expect),           cmocka_unit_test(test_heads),
        cmocka_unit_test(test_slow_clients),     cmocka_unit_test(test_connection_cap),
        cmocka_unit_test(test_many_connections), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
