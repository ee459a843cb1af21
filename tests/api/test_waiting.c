/* Goal: a list that waits to be scored with others is answered over HTTP with the bytes, the tag
 * and the verdict on that tag that it has when nobody waits, for many connections at once; and a
 * server that stops answers those who wait.
 *
 * How: the serving state is told that it is busy (tests/serve/test_gather.c), so every list waits.
 */
#include <stdatomic.h>

#include "internal.h"
#include "http/client.h"
#include "world.h"

enum { CONNECTIONS = 40, ROUNDS = 10 };

/* The lists of no request are being scored when it is called. */
static void make_busy(struct world *world) {
    struct rec_gather *gather = &world->serve->gather;
    atomic_store(&gather->items_min, 0);
    atomic_store(&gather->worth_ns, UINT64_MAX / 16);
    atomic_store(&gather->unscored, gather->threads);
}

static void send_ask(struct client *client, size_t user, const char *etag) {
    char request[512];
    int bytes = snprintf(request, sizeof(request),
                         "GET /recommend?user_id=%zu&k=%zu HTTP/1.1\r\nHost: t\r\n"
                         "X-Request-ID: same\r\nIf-None-Match: %s\r\n\r\n",
                         user, 1 + user % 20, etag);
    assert_true(client_send(client, request, (size_t)bytes));
}

static void check_same(const struct answer *got, const struct answer *want) {
    char tag[80], wanted[80];
    assert_true(answer_header(got, "ETag", tag, sizeof(tag)));
    assert_true(answer_header(want, "ETag", wanted, sizeof(wanted)));
    assert_string_equal(tag, wanted);
    assert_int_equal(got->status, want->status);
    assert_int_equal(got->body_bytes, want->body_bytes);
    assert_memory_equal(got->body, want->body, want->body_bytes);
}

static void test_same_answers(void **state) {
    static struct answer want[CONNECTIONS], got;
    static struct client client[CONNECTIONS];
    struct world world;
    (void)state;
    world_start(&world, true);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        client_open(&client[i], rec_http_port(world.http));
        send_ask(&client[i], i, "\"none\"");
        want[i] = client_read(&client[i], false);
        assert_int_equal(want[i].status, 200);
    }
    make_busy(&world);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CONNECTIONS; i++)
            send_ask(&client[i], i, "\"none\"");
        for (size_t i = 0; i < CONNECTIONS; i++) {
            got = client_read(&client[i], false);
            check_same(&got, &want[i]);
        }
    }
    for (size_t i = 0; i < CONNECTIONS; i++) { /* what has not changed is not scored */
        char tag[80];
        assert_true(answer_header(&want[i], "ETag", tag, sizeof(tag)));
        send_ask(&client[i], i, tag);
        got = client_read(&client[i], false);
        assert_int_equal(got.status, 304);
        client_close(&client[i]);
    }
    pthread_mutex_lock(&world.serve->gather.lock);
    assert_true(world.serve->gather.made > 0); /* lists did wait */
    pthread_mutex_unlock(&world.serve->gather.lock);
    world_stop(&world);
}

/* Connections that are gone when their list comes, and one that asks again meanwhile. */
static void test_stop(void **state) {
    static struct client client[CONNECTIONS];
    (void)state;
    for (size_t round = 0; round < 3; round++) {
        struct world world;
        static struct answer got;
        world_start(&world, true);
        make_busy(&world);
        for (size_t i = 0; i < CONNECTIONS; i++) {
            client_open(&client[i], rec_http_port(world.http));
            send_ask(&client[i], i, "\"none\"");
            if (i % 4 == 1)
                client_close(&client[i]);
        }
        send_ask(&client[0], 0, "\"none\"");
        got = client_read(&client[0], false);
        assert_int_equal(got.status, 200);
        world_stop(&world);
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (i % 4 == 1)
                continue;
            got = client_read(&client[i], false); /* or hung up on, before it was read */
            assert_true(got.status == 200 || got.status == 0);
            client_close(&client[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_answers),
                                       cmocka_unit_test(test_stop)};
    struct rec_error err = {0};
    if (rec_kernels_init(&err) != REC_OK)
        return 1;
    return cmocka_run_group_tests_name("api/waiting", tests, NULL, NULL);
}
