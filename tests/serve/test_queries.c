/* Goal: the table of kept queries gives back what was put in, for that user, generation and
 * history version only, within its memory; what is dropped is overwritten.
 * This one looks behind the door: through lists, a query that stayed too long cannot be seen. */
#include <string.h>

#include "test.h"
#include "internal.h"

enum { FLOATS = 8 };

static const struct {
    const char *name;
    uint32_t user;
    uint64_t serial, version;
    size_t floats;
    bool found;
} lookups[] = {
    {"the same", 5, 2, 7, FLOATS, true},
    {"another user of the same stripe", 5 + REC_SERVE_QUERY_STRIPES, 2, 7, FLOATS, false},
    {"another stripe", 6, 2, 7, FLOATS, false},
    {"an older generation", 5, 1, 7, FLOATS, false},
    {"a newer generation", 5, 3, 7, FLOATS, false},
    {"a newer history", 5, 2, 8, FLOATS, false},
    {"another length", 5, 2, 7, FLOATS - 1, false},
};

static void test_lookup(void **state) {
    (void)state;
    struct rec_queries queries = {.stripe_bytes_max = 0};
    float query[FLOATS] = {1.0f, 2.0f, 3.0f}, out[FLOATS];
    rec_queries_init(&queries, 1 << 16);
    rec_queries_put(&queries, 5, 2, 7, query, FLOATS);
    for (size_t i = 0; i < COUNT(lookups); i++) {
        memset(out, 0, sizeof(out));
        bool found = rec_queries_get(&queries, lookups[i].user, lookups[i].serial,
                                     lookups[i].version, out, lookups[i].floats);
        CHECK_ROW(found == lookups[i].found, lookups[i].name);
        CHECK_ROW((memcmp(out, query, sizeof(out)) == 0) == found, lookups[i].name);
    }
    /* A request that still holds the older generation does not put its query over the newer. */
    rec_queries_put(&queries, 5, 1, 7, query, FLOATS);
    assert_true(rec_queries_get(&queries, 5, 2, 7, out, FLOATS));
    rec_queries_finish(&queries);
}

static void test_drop(void **state) {
    (void)state;
    struct rec_queries queries = {.stripe_bytes_max = 0};
    float query[FLOATS] = {1.0f, 2.0f, 3.0f}, out[FLOATS];
    rec_queries_init(&queries, 1 << 16);
    rec_queries_drop(&queries, 5); /* of nothing */
    rec_queries_put(&queries, 5, 2, 7, query, FLOATS);
    rec_queries_drop(&queries, 6);
    assert_true(rec_queries_get(&queries, 5, 2, 7, out, FLOATS));
    rec_queries_drop(&queries, 5);
    assert_false(rec_queries_get(&queries, 5, 2, 7, out, FLOATS));
    const struct rec_query_stripe *stripe = &queries.stripe[5];
    for (size_t i = 0; i < stripe->slots * stripe->query_floats; i++)
        assert_true(stripe->floats[i] >= 0.0f && stripe->floats[i] <= 0.0f);
    rec_queries_finish(&queries);
}

/* Users come one after the other, and the table grows under them: nobody is forgotten. */
static void test_growth(void **state) {
    (void)state;
    enum { USERS = 3000 };
    struct rec_queries queries = {.stripe_bytes_max = 0};
    float query[FLOATS] = {0}, out[FLOATS];
    rec_queries_init(&queries, 1 << 20);
    for (uint32_t user = 0; user < USERS; user++) {
        query[0] = (float)user;
        rec_queries_put(&queries, user, 1, user, query, FLOATS);
    }
    for (uint32_t user = 0; user < USERS; user++) {
        query[0] = (float)user;
        assert_true(rec_queries_get(&queries, user, 1, user, out, FLOATS));
        assert_memory_equal(out, query, sizeof(out));
    }
    rec_queries_finish(&queries);
}

static void test_bounds(void **state) {
    (void)state;
    enum { STRIPES = REC_SERVE_QUERY_STRIPES, CAP = STRIPES * 2048, USERS = 5000 };
    size_t live = rec_alloc_live();
    struct rec_queries queries = {.stripe_bytes_max = 0};
    float query[1000] = {0}, out[1000];
    rec_queries_init(&queries, CAP);
    assert_int_equal(rec_queries_bytes(&queries), 0);
    for (uint32_t user = 0; user < USERS; user++) {
        query[0] = (float)user;
        rec_queries_put(&queries, user, 1, 1, query, FLOATS);
        assert_true(rec_queries_get(&queries, user, 1, 1, out, FLOATS));
        assert_true(out[0] >= query[0] && out[0] <= query[0]);
    }
    assert_true(rec_queries_bytes(&queries) <= CAP);
    assert_true(rec_queries_bytes(&queries) > CAP / 2);

    /* A query that does not fit is not kept; then out of memory: not kept either. */
    rec_queries_put(&queries, 0, 2, 1, query, 1000);
    assert_false(rec_queries_get(&queries, 0, 2, 1, out, 1000));
    rec_alloc_fail_at(0);
    rec_queries_put(&queries, 0, 3, 1, query, FLOATS + 1);
    rec_alloc_fail_at(-1);
    assert_false(rec_queries_get(&queries, 0, 3, 1, out, FLOATS + 1));
    rec_queries_put(&queries, 0, 3, 1, query, FLOATS + 1);
    assert_true(rec_queries_get(&queries, 0, 3, 1, out, FLOATS + 1));
    assert_true(rec_queries_bytes(&queries) <= CAP);
    rec_queries_finish(&queries);
    assert_int_equal(rec_alloc_live(), live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("serve/queries", tests, NULL, NULL);
}
