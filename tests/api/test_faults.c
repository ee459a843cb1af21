/* Goal: whichever allocation of a request fails, the answer is a problem that says so, nothing is
 * leaked, and the next request is served.
 * How: the handlers are called as the router does, without a socket; fail the 1st allocation, then
 * the 2nd, ... Those that end on the writer's thread are asked only for what happens before. */
#include <string.h>

#include "recsysd/api.h"

#include "test.h"
#include "world.h"

static const struct {
    const char *name, *operation, *path_value, *body;
    struct rec_http_pair query[3];
    size_t query_count;
} rows[] = {
    {.name = "a list", .operation = "recommend", .query = {{"user_id", "2", 1}}, .query_count = 1},
    {.name = "a list, explained",
     .operation = "recommend",
     .query = {{"user_id", "4", 1}, {"explain", "true", 4}},
     .query_count = 2},
    {.name = "a history",
     .operation = "recommendFor",
     .body = "{\"history\":[2,{\"item_id\":4}],\"exclude_items\":[1]}"},
    {.name = "neighbours",
     .operation = "similarItems",
     .query = {{"item_id", "2", 1}, {"item_id", "3", 1}},
     .query_count = 2},
    {.name = "an item", .operation = "getItem", .path_value = "0"},
    {.name = "the models", .operation = "listModels"},
    {.name = "the jobs", .operation = "listJobs"},
    {.name = "metrics", .operation = "metrics"},
    {.name = "ready", .operation = "ready"},
    {.name = "the contract", .operation = "openapi"},
};

static rec_http_handler_fn handler_of(const char *operation) {
    for (size_t i = 0; i < rec_api_route_count; i++)
        if (strcmp(rec_api_routes[i].operation, operation) == 0)
            return rec_api_routes[i].handler;
    fail_msg("no operation %s", operation);
    return NULL;
}

static struct rec_http_exchange exchange_of(size_t i) {
    return (struct rec_http_exchange){
        .query = rows[i].query,
        .query_count = rows[i].query_count,
        .path_value = rows[i].path_value,
        .path_value_bytes = rows[i].path_value == NULL ? 0 : strlen(rows[i].path_value),
        .body = rows[i].body == NULL ? "" : rows[i].body,
        .body_bytes = rows[i].body == NULL ? 0 : strlen(rows[i].body),
        .content_type = "application/json",
        .request_id = "test",
        .status = 200,
        .answer_type = "application/json",
    };
}

static void test_every_allocation(void **state) {
    struct world *world = *state;
    enum { ALLOCATIONS = 100 }; /* more than any of them makes */
    for (size_t i = 0; i < COUNT(rows); i++) {
        rec_http_handler_fn handler = handler_of(rows[i].operation);
        int refused = 0;
        for (long n = 0; n < ALLOCATIONS; n++) {
            struct rec_http_exchange exchange = exchange_of(i);
            rec_alloc_fail_at(n);
            enum rec_http_verdict verdict = handler(&world->api, &exchange);
            rec_alloc_fail_at(-1);
            CHECK_ROW(verdict == REC_HTTP_ANSWERED, rows[i].name);
            CHECK_ROW(exchange.status == 200 || exchange.status == 503, rows[i].name);
            /* what a cache cannot keep is no failure: then the answer is whole */
            CHECK_ROW(exchange.status != 200 || exchange.out_bytes > 0, rows[i].name);
            CHECK_ROW(exchange.status != 503 || exchange.retry_after_s == 1, rows[i].name);
            CHECK_ROW(n < ALLOCATIONS - 1 || exchange.status == 200, rows[i].name);
            refused += exchange.status == 503;
            rec_alloc_free(exchange.out);
        }
        CHECK_ROW(refused > 0, rows[i].name); /* the answer's buffer at least */
    }
}

/* Goal: asking again and again keeps nothing. */
static void test_no_leaks(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t live[2];
        for (int round = 0; round < 2; round++) {
            struct rec_http_exchange exchange = exchange_of(i);
            handler_of(rows[i].operation)(&world->api, &exchange);
            CHECK_ROW(exchange.status == 200, rows[i].name);
            rec_alloc_free(exchange.out);
            live[round] = rec_alloc_live();
        }
        CHECK_ROW(live[0] == live[1], rows[i].name);
    }
}

/* Goal: a write that is refused keeps nothing either, however far it came. */
static void test_refused_writes(void **state) {
    struct world *world = *state;
    static const struct {
        const char *operation, *body, *type;
    } writes[] = {
        {"recordInteractions", "{\"interactions\":[{\"user_id\":7,\"item_id\":8},{\"user_id\":7}]}",
         "application/json"},
        {"recordInteractions", "{\"user_id\":7,\"item_id\":8}\n{\"user_id\":7}",
         "application/x-ndjson"},
        {"putItems", "{\"items\":[{\"item_id\":8},{\"item_id\":9,\"title\":1}]}",
         "application/json"},
        {"putItems", "{\"item_id\":8}\n{\"item_id\":9,\"title\":1}", "application/x-ndjson"},
        {"recommendFor", "{\"user_id\":1,\"k\":0}", "application/json"},
        {"retrain", "{\"model\":\"als\",\"set\":{\"factors\":[]}}", "application/json"},
    };
    for (size_t i = 0; i < COUNT(writes); i++) {
        struct rec_http_exchange exchange = {
            .body = writes[i].body,
            .body_bytes = strlen(writes[i].body),
            .content_type = writes[i].type,
            .request_id = "test",
        };
        size_t live = rec_alloc_live();
        CHECK_ROW(handler_of(writes[i].operation)(&world->api, &exchange) == REC_HTTP_ANSWERED,
                  writes[i].body);
        CHECK_ROW(exchange.status == 400, writes[i].body);
        rec_alloc_free(exchange.out);
        CHECK_ROW(rec_alloc_live() == live, writes[i].body);
    }
}

/* Goal: a write that finds no memory is refused before the writer has seen it. */
static void test_writes(void **state) {
    struct world *world = *state;
    static const struct {
        const char *operation, *body, *path_value, *type;
    } writes[] = {
        {"recordInteractions", "{\"user_id\":7,\"item_id\":8}", NULL, "application/json"},
        {"recordInteractions", "{\"user_id\":7,\"item_id\":8}\n", NULL, "application/x-ndjson"},
        {"putItems", "{\"items\":[{\"item_id\":8,\"categories\":[\"a\"]}]}", NULL,
         "application/json"},
        {"putItem", "{\"title\":\"t\"}", "8", "application/json"},
        {"eraseUser", NULL, "7", ""},
    };
    for (size_t i = 0; i < COUNT(writes); i++) {
        struct rec_http_exchange exchange = {
            .path_value = writes[i].path_value,
            .path_value_bytes = writes[i].path_value == NULL ? 0 : strlen(writes[i].path_value),
            .body = writes[i].body == NULL ? "" : writes[i].body,
            .body_bytes = writes[i].body == NULL ? 0 : strlen(writes[i].body),
            .content_type = writes[i].type,
            .request_id = "test",
        };
        struct rec_store_counts before, after;
        rec_store_flush(world->store);
        rec_store_counts(world->store, &before, NULL);
        size_t live = rec_alloc_live();
        rec_alloc_fail_at(0);
        enum rec_http_verdict verdict = handler_of(writes[i].operation)(&world->api, &exchange);
        rec_alloc_fail_at(-1);
        CHECK_ROW(verdict == REC_HTTP_ANSWERED, writes[i].operation);
        CHECK_ROW(exchange.status == 503, writes[i].operation);
        rec_alloc_free(exchange.out);
        CHECK_ROW(rec_alloc_live() == live, writes[i].operation);
        rec_store_counts(world->store, &after, NULL);
        CHECK_ROW(before.recorded == after.recorded, writes[i].operation);
    }
}

static int start(void **state) {
    static struct world world;
    struct rec_api api = {0};
    rec_api_init(&api);
    world_start(&world, true);
    rec_log_set_level(REC_LOG_ERROR + 1);
    *state = &world;
    return 0;
}

static int stop(void **state) {
    world_stop(*state);
    return 0;
}

/* Goal: a list and neighbours, asked again by the same worker, allocate nothing at all.
 * How: the next allocation is told to fail; after the request it still is, so none came. */
static void test_steady_state(void **state) {
    static const char *const operations[] = {"recommend", "similarItems"};
    struct world *world = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool steady = false;
        for (size_t n = 0; n < COUNT(operations); n++)
            steady = steady || strcmp(rows[i].operation, operations[n]) == 0;
        if (!steady)
            continue;
        rec_http_handler_fn handler = handler_of(rows[i].operation);
        struct rec_http_exchange warm = exchange_of(i);
        assert_int_equal(handler(&world->api, &warm), REC_HTTP_ANSWERED);
        struct rec_http_exchange again = exchange_of(i);
        again.out = warm.out; /* a worker's buffers serve the next request */
        again.out_cap = warm.out_cap;
        rec_alloc_fail_at(0);
        enum rec_http_verdict verdict = handler(&world->api, &again);
        void *next = rec_alloc_array(1, 1);
        rec_alloc_fail_at(-1);
        CHECK_ROW(verdict == REC_HTTP_ANSWERED && again.status == 200, rows[i].name);
        CHECK_ROW(next == NULL, rows[i].name);
        rec_alloc_free(again.out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation), cmocka_unit_test(test_steady_state),
        cmocka_unit_test(test_no_leaks),         cmocka_unit_test(test_refused_writes),
        cmocka_unit_test(test_writes),
    };
    return cmocka_run_group_tests_name("faults", tests, start, stop);
}
