/* Goal: a server starts or says in one line why not, answers that come later come once and in any
 * order of events, and a drained server has answered what it took. */
#include <errno.h>
#include <pthread.h>

#include "client.h"

/* ---- starting -------------------------------------------------------------------- */

static const struct rec_http_route plain_routes[] = {{REC_HTTP_GET, "/a", "get", echo, NULL}};
static const char get_a[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

static const struct {
    const char *name, *listen;
    enum rec_status status;
    const char *says;
} listen_rows[] = {
    {"IPv4, any port", "127.0.0.1:0", REC_OK, NULL},
    {"all addresses", "0.0.0.0:0", REC_OK, NULL},
    {"name", "localhost:0", REC_OK, NULL},
    {"no port", "127.0.0.1", REC_BAD_INPUT, "listen: '127.0.0.1' is not ADDR:PORT"},
    {"empty port", "127.0.0.1:", REC_BAD_INPUT, "is not ADDR:PORT"},
    {"no address", ":8080", REC_BAD_INPUT, "is not ADDR:PORT"},
    {"empty", "", REC_BAD_INPUT, "is not ADDR:PORT"},
    {"bare IPv6", "::1:8080", REC_BAD_INPUT, "is not ADDR:PORT"},
    {"open bracket", "[::1:8080", REC_BAD_INPUT, "is not ADDR:PORT"},
    {"nothing in brackets", "[]:8080", REC_BAD_INPUT, "is not ADDR:PORT"},
    {"port too large", "127.0.0.1:65536", REC_BAD_INPUT, "listen: 65536 is not within 0 and 65535"},
    {"port in words", "127.0.0.1:http", REC_BAD_INPUT, "listen: 'http'"},
    {"not an address of ours", "192.0.2.1:0", REC_IO, "192.0.2.1:0"},
    {"no such name", "no-such-host.invalid:0", REC_IO, "no-such-host.invalid:0"},
};

static void test_listen_addresses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(listen_rows); i++) {
        struct rec_http_options options = server_options(plain_routes, 1);
        struct rec_http *http = NULL;
        struct rec_error err = {0};
        options.listen = listen_rows[i].listen;
        enum rec_status st = rec_http_start(&options, &http, &err);
        if (st != listen_rows[i].status || err.status != st)
            fail_msg("%s: %s", listen_rows[i].name, err.text);
        if (st != REC_OK && strstr(err.text, listen_rows[i].says) == NULL)
            fail_msg("%s: says %s", listen_rows[i].name, err.text);
        if ((rec_listener_check(options.listen, NULL) == REC_BAD_INPUT) != (st == REC_BAD_INPUT))
            fail_msg("%s: checked otherwise than opened", listen_rows[i].name);
        if (st == REC_OK)
            assert_int_equal(ask_text(rec_http_port(http), get_a).status, 200);
        rec_http_stop(&http);
        assert_null(http);
    }
    assert_int_equal(rec_alloc_live(), 0);
}

static void test_ipv6(void **state) {
    struct rec_http_options options = server_options(plain_routes, 1);
    struct rec_http *http = NULL;
    struct rec_error err = {0};
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct client client = {.fd = -1};
    (void)state;
    options.listen = "[::1]:0";
    if (rec_http_start(&options, &http, &err) != REC_OK) {
        print_message("no IPv6 here: %s\n", err.text);
        skip();
    }
    address.sin6_port = htons((uint16_t)rec_http_port(http));
    client.fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    client_say(&client, get_a);
    assert_int_equal(client_read(&client, false).status, 200);
    client_close(&client);
    rec_http_stop(&http);
}

static void test_address_in_use(void **state) {
    struct rec_http_options options = server_options(plain_routes, 1);
    struct rec_http *first = server_start(&options), *second = NULL;
    struct rec_error err = {0};
    char listen[32];
    (void)state;
    snprintf(listen, sizeof(listen), "127.0.0.1:%u", rec_http_port(first));
    options.listen = listen;
    assert_int_equal(rec_http_start(&options, &second, &err), REC_IO);
    assert_non_null(strstr(err.text, listen));
    assert_non_null(strstr(err.text, "in use"));
    assert_null(strchr(err.text, '\n'));
    assert_null(second);

    /* and a connection that was open does not keep the port from a restart */
    assert_int_equal(ask_text(rec_http_port(first), get_a).status, 200);
    rec_http_stop(&first);
    second = server_start(&options);
    assert_int_equal(ask_text(rec_http_port(second), get_a).status, 200);
    rec_http_stop(&second);
}

static void test_bad_options(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct rec_http_options options = server_options(plain_routes, 1);
        struct rec_http *http = NULL;
        if (i < 2)
            options.workers = i == 0 ? 0 : REC_HTTP_WORKERS_MAX + 1;
        else
            options.connections = i == 2 ? 0 : REC_HTTP_CONNECTIONS_MAX + 1;
        assert_int_equal(rec_http_start(&options, &http, NULL), REC_BAD_INPUT);
    }
}

static void test_start_without_memory(void **state) {
    const struct rec_http_options options = server_options(plain_routes, 1);
    struct rec_http *http = NULL;
    enum rec_status st = REC_NO_MEMORY;
    (void)state;
    for (long n = 0; st != REC_OK; n++) {
        struct rec_error err = {0};
        rec_alloc_fail_at(n);
        st = rec_http_start(&options, &http, &err);
        rec_alloc_fail_at(-1);
        assert_true(st == REC_OK || (st == REC_NO_MEMORY && http == NULL));
        rec_http_stop(&http);
        assert_int_equal(rec_alloc_live(), 0);
    }
}

/* ---- later ------------------------------------------------------------------------ */

/* Requests that wait for somebody else to answer them. */
struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct rec_http_exchange *exchange[4096];
    size_t count;
    bool end;
};

static void waiting_add(struct waiting *waiting, struct rec_http_exchange *exchange) {
    pthread_mutex_lock(&waiting->lock);
    assert_true(waiting->count < COUNT(waiting->exchange));
    waiting->exchange[waiting->count++] = exchange;
    pthread_cond_broadcast(&waiting->more);
    pthread_mutex_unlock(&waiting->lock);
}

/* The newest, so that answers overtake each other; NULL at the end. */
static struct rec_http_exchange *waiting_take(struct waiting *waiting) {
    struct rec_http_exchange *exchange = NULL;
    pthread_mutex_lock(&waiting->lock);
    while (waiting->count == 0 && !waiting->end)
        pthread_cond_wait(&waiting->more, &waiting->lock);
    if (waiting->count > 0)
        exchange = waiting->exchange[--waiting->count];
    pthread_mutex_unlock(&waiting->lock);
    return exchange;
}

static void complete(struct rec_http_exchange *exchange) {
    echo(NULL, exchange);
    exchange->status = 201;
    rec_http_finish(exchange);
}

static void *finisher(void *context) {
    struct rec_http_exchange *exchange;
    while ((exchange = waiting_take(context)) != NULL)
        complete(exchange);
    return NULL;
}

static enum rec_http_verdict later(void *context, struct rec_http_exchange *exchange) {
    waiting_add(context, exchange);
    return REC_HTTP_LATER;
}

/* Finished before the handler has returned. */
static enum rec_http_verdict later_but_now(void *context, struct rec_http_exchange *exchange) {
    (void)context;
    complete(exchange);
    return REC_HTTP_LATER;
}

/* Another thread has it, and we come back late. */
static enum rec_http_verdict later_and_slow(void *context, struct rec_http_exchange *exchange) {
    waiting_add(context, exchange);
    nap_us(2000);
    return REC_HTTP_LATER;
}

static const struct rec_http_route later_routes[] = {
    {REC_HTTP_GET, "/a", "get", echo, NULL},
    {REC_HTTP_POST, "/later", "later", later, "text/plain"},
    {REC_HTTP_POST, "/now", "now", later_but_now, "text/plain"},
    {REC_HTTP_POST, "/slow", "slow", later_and_slow, "text/plain"},
};

static struct rec_http *later_start(struct waiting *waiting) {
    struct rec_http_options options = server_options(later_routes, COUNT(later_routes));
    *waiting = (struct waiting){.count = 0};
    pthread_mutex_init(&waiting->lock, NULL);
    pthread_cond_init(&waiting->more, NULL);
    options.context = waiting;
    return server_start(&options);
}

static void waiting_end(struct waiting *waiting, pthread_t *threads, size_t count) {
    pthread_mutex_lock(&waiting->lock);
    waiting->end = true;
    pthread_cond_broadcast(&waiting->more);
    pthread_mutex_unlock(&waiting->lock);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void test_later(void **state) {
    enum { CLIENTS = 50, ROUNDS = 20, FINISHERS = 2 };
    static const char *const paths[] = {"/later", "/now", "/slow"};
    static struct waiting waiting;
    static struct client clients[CLIENTS];
    pthread_t threads[FINISHERS];
    struct rec_http *http = later_start(&waiting);
    char text[256], want[64];
    (void)state;
    for (size_t i = 0; i < FINISHERS; i++)
        pthread_create(&threads[i], NULL, finisher, &waiting);
    for (size_t i = 0; i < CLIENTS; i++)
        client_open(&clients[i], rec_http_port(http));
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            /* two of them pipelined: the second must wait for the first */
            for (size_t j = 0; j < 2; j++) {
                snprintf(text, sizeof(text),
                         "POST %s?i=%zu HTTP/1.1\r\nHost: x\r\nContent-Type: "
                         "text/plain\r\nContent-Length: 1\r\n\r\n%zu",
                         paths[(round + i + j) % 3], i, j);
                client_say(&clients[i], text);
            }
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            for (size_t j = 0; j < 2; j++) {
                struct answer answer = client_read(&clients[i], false);
                snprintf(want, sizeof(want), "%s ?i=%zu body=%zu", paths[(round + i + j) % 3], i,
                         j);
                assert_int_equal(answer.status, 201);
                assert_string_equal(answer.body, want);
            }
        }
    }
    waiting_end(&waiting, threads, FINISHERS);
    for (size_t i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    rec_http_stop(&http);
    assert_int_equal(rec_alloc_live(), 0);
}

static void wait_for(struct waiting *waiting, size_t count) {
    pthread_mutex_lock(&waiting->lock);
    while (waiting->count < count)
        pthread_cond_wait(&waiting->more, &waiting->lock);
    pthread_mutex_unlock(&waiting->lock);
}

static const char post_later[] = "POST /later HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 1\r\n\r\nx";

/* Goal: a client that leaves before its answer disturbs nobody. */
static void test_client_gone(void **state) {
    static struct waiting waiting;
    struct rec_http *http = later_start(&waiting);
    struct client client;
    (void)state;
    client_open(&client, rec_http_port(http));
    client_say(&client, post_later);
    wait_for(&waiting, 1);
    client_close(&client);
    complete(waiting_take(&waiting));
    assert_int_equal(ask_text(rec_http_port(http), get_a).status, 200);
    assert_int_equal(rec_http_drain(http, 30), 0);
    rec_http_stop(&http);
    assert_int_equal(rec_alloc_live(), 0);
}

/* ---- drain and stop ------------------------------------------------------------------ */

struct drain {
    struct rec_http *http;
    unsigned timeout_s;
    size_t cut;
};

static void *drainer(void *context) {
    struct drain *drain = context;
    drain->cut = rec_http_drain(drain->http, drain->timeout_s);
    return NULL;
}

/* Goal: in flight: answered, and told to close. Idle: closed. New: refused. */
static void test_drain(void **state) {
    static struct waiting waiting;
    struct drain drain = {.http = later_start(&waiting), .timeout_s = 60};
    struct client busy, idle;
    struct sockaddr_in address = {.sin_family = AF_INET};
    pthread_t thread;
    char text[32] = "";
    int fd;
    (void)state;
    address.sin_port = htons((uint16_t)rec_http_port(drain.http));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client_open(&idle, rec_http_port(drain.http));
    client_say(&idle, get_a);
    assert_int_equal(client_read(&idle, false).status, 200);
    client_open(&busy, rec_http_port(drain.http));
    client_say(&busy, post_later);
    wait_for(&waiting, 1);

    pthread_create(&thread, NULL, drainer, &drain);
    assert_true(client_ended(&idle));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);

    complete(waiting_take(&waiting));
    struct answer answer = client_read(&busy, false);
    assert_int_equal(answer.status, 201);
    assert_true(answer_header(&answer, "Connection", text, sizeof(text)));
    assert_string_equal(text, "close");
    assert_true(client_ended(&busy));
    pthread_join(thread, NULL);
    assert_int_equal(drain.cut, 0);
    client_close(&idle);
    client_close(&busy);
    rec_http_stop(&drain.http);
    assert_int_equal(rec_alloc_live(), 0);
}

/* Goal: requests sent before the drain, also on connections nobody has accepted yet, are answered.
 */
static void test_drain_backlog(void **state) {
    enum { CLIENTS = 100 };
    static struct client clients[CLIENTS];
    const struct rec_http_options options = server_options(plain_routes, 1);
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct rec_http *http = server_start(&options);
        for (size_t i = 0; i < CLIENTS; i++)
            client_open(&clients[i], rec_http_port(http));
        for (size_t i = 0; i < CLIENTS; i++)
            client_say(&clients[i], get_a);
        assert_int_equal(rec_http_drain(http, 30), 0);
        for (size_t i = 0; i < CLIENTS; i++) {
            assert_int_equal(client_read(&clients[i], false).status, 200);
            client_close(&clients[i]);
        }
        rec_http_stop(&http);
    }
}

/* Goal: a connection that was just made is given time to send its first request, though the drain
 * has begun. One answer in many tries will do: a stalled machine may use the time up. */
static void test_drain_fresh(void **state) {
    const struct rec_http_options options = server_options(plain_routes, 1);
    int status = 0;
    (void)state;
    for (int attempt = 0; attempt < 20 && status != 200; attempt++) {
        struct drain drain = {.http = server_start(&options), .timeout_s = 60};
        struct client client;
        pthread_t thread;
        client_open(&client, rec_http_port(drain.http));
        pthread_create(&thread, NULL, drainer, &drain);
        nap_us(50000);
        client_say(&client, get_a);
        status = client_read(&client, false).status;
        client_close(&client);
        pthread_join(thread, NULL);
        rec_http_stop(&drain.http);
    }
    assert_int_equal(status, 200);
}

/* Goal: a request that does not end is cut and counted, and stop waits until it is given back. */
static void *complete_slowly(void *context) {
    nap_us(50000);
    complete(waiting_take(context));
    return NULL;
}

static void test_drain_cuts(void **state) {
    static struct waiting waiting;
    struct rec_http *http = later_start(&waiting);
    struct client busy;
    pthread_t thread;
    (void)state;
    client_open(&busy, rec_http_port(http));
    client_say(&busy, post_later);
    wait_for(&waiting, 1);
    assert_int_equal(rec_http_drain(http, 0), 1);
    pthread_create(&thread, NULL, complete_slowly, &waiting);
    rec_http_stop(&http);
    assert_int_equal(waiting.count, 0);
    pthread_join(thread, NULL);
    client_close(&busy);
    assert_int_equal(rec_alloc_live(), 0);
}

/* Goal: stop under load ends, leaks nothing and answers no half of a request. */
static void *hammer(void *context) {
    struct client client;
    client_open(&client, *(unsigned *)context);
    while (client_say(&client, get_a)) {
        struct answer answer = client_read(&client, false);
        if (answer.status == 0)
            break;
        assert_int_equal(answer.status, 200);
    }
    client_close(&client);
    return NULL;
}

static void test_stop_under_load(void **state) {
    enum { CLIENTS = 8 };
    const struct rec_http_options options = server_options(plain_routes, 1);
    (void)state;
    for (int drained = 0; drained < 2; drained++) {
        struct rec_http *http = server_start(&options);
        unsigned port = rec_http_port(http);
        pthread_t threads[CLIENTS];
        for (size_t i = 0; i < CLIENTS; i++)
            pthread_create(&threads[i], NULL, hammer, &port);
        nap_us(100000);
        if (drained)
            assert_int_equal(rec_http_drain(http, 30), 0);
        rec_http_stop(&http);
        for (size_t i = 0; i < CLIENTS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(rec_alloc_live(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_addresses),     cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_address_in_use),       cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_start_without_memory), cmocka_unit_test(test_later),
        cmocka_unit_test(test_client_gone),          cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_backlog),        cmocka_unit_test(test_drain_fresh),
        cmocka_unit_test(test_drain_cuts),           cmocka_unit_test(test_stop_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
