/* Goal: a list is what its definition says, under every mix of filters; who asks gets a personal
 * list as soon as there is anything to make it of; explanations add up; and a request allocates
 * nothing once it is warm.
 * How: the definition is written out naively (score all, filter, sort) over what this test itself
 * recorded, and compared item by item with the real thing over a real database. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/world.h"

enum { CACHE_BYTES = 1 << 20 };

static enum rec_status ask(struct world *world, const struct rec_recommend_query *query,
                           struct rec_recommended *out) {
    struct rec_error err = {0};
    enum rec_status st = rec_recommend_run(world->serve, 0, query, out, &err);
    assert_int_equal(st, err.status);
    return st;
}

static struct rec_recommended list_for(struct world *world, const char *user, uint32_t k) {
    struct rec_recommended out;
    assert_int_equal(ask(world, &(struct rec_recommend_query){.user_id = user, .k = k}, &out),
                     REC_OK);
    return out;
}

/* ---- the definition -------------------------------------------------------------------- */

enum { ITEMS = 150, USERS = 12, MODEL_ITEMS = 130, EVENTS_MAX = 40, SALT = 5, ROUNDS = 600 };

struct truth {
    bool hidden[ITEMS], deleted[ITEMS], red[ITEMS];
    struct {
        uint32_t item[EVENTS_MAX];
        size_t count;
    } user[USERS];
};

struct filters {
    size_t user; /* USERS: nobody we know */
    uint32_t k;
    bool popular, red, include_seen;
    bool excluded[ITEMS];
};

static double truth_score(const struct truth *truth, const struct filters *filters, uint32_t item,
                          bool personal) {
    double score = 0.0;
    for (size_t u = 0; u < USERS; u++)
        for (size_t e = 0; e < truth->user[u].count; e++) {
            uint32_t met = truth->user[u].item[e];
            if (!personal)
                score += met == item;
            else if (u == filters->user && met < MODEL_ITEMS)
                score += world_puzzle_share(met, item, SALT);
        }
    return score;
}

static bool truth_eligible(const struct truth *truth, const struct filters *filters,
                           uint32_t item) {
    if (truth->hidden[item] || truth->deleted[item] || filters->excluded[item] ||
        (filters->red && !truth->red[item]))
        return false;
    for (size_t e = 0; filters->user < USERS && e < truth->user[filters->user].count; e++)
        if (truth->user[filters->user].item[e] == item && !filters->include_seen)
            return false;
    return true;
}

/* The best item not yet in the list, lower index first on ties; ITEMS: none. */
static uint32_t truth_next(const struct truth *truth, const struct filters *filters, bool personal,
                           const bool *listed, double *best) {
    uint32_t found = ITEMS;
    for (uint32_t i = 0; i < (personal ? MODEL_ITEMS : ITEMS); i++) {
        if (listed[i] || !truth_eligible(truth, filters, i))
            continue;
        double score = truth_score(truth, filters, i, personal);
        if (found == ITEMS || score > *best) {
            found = i;
            *best = score;
        }
    }
    return found;
}

static void compare(struct world *world, const struct truth *truth, const struct filters *filters) {
    const char *excluded[ITEMS + 1] = {"no-such-item"};
    char names[ITEMS][24], user[24];
    size_t excluded_count = 1;
    for (size_t i = 0; i < ITEMS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "i%zu", i);
        if (filters->excluded[i])
            excluded[excluded_count++] = names[i];
    }
    (void)snprintf(user, sizeof(user), "u%zu", filters->user);
    struct rec_recommend_query query = {.user_id = user,
                                        .k = filters->k,
                                        .model = filters->popular ? "popularity" : NULL,
                                        .category = filters->red ? "red" : NULL,
                                        .exclude_items = excluded,
                                        .exclude_count = excluded_count,
                                        .include_seen = filters->include_seen};
    struct rec_recommended out;
    assert_int_equal(ask(world, &query, &out), REC_OK);

    bool personal = false, listed[ITEMS] = {false};
    for (size_t e = 0; filters->user < USERS && e < truth->user[filters->user].count; e++)
        personal = personal || truth->user[filters->user].item[e] < MODEL_ITEMS;
    personal = personal && !filters->popular;
    assert_int_equal(out.personal, personal);
    assert_string_equal(out.model, personal ? "puzzle" : "popularity");
    for (size_t n = 0; n <= out.count; n++) {
        double best = 0.0;
        uint32_t next =
            n == filters->k ? ITEMS : truth_next(truth, filters, personal, listed, &best);
        if (next == ITEMS || n == out.count) {
            assert_int_equal(out.count, n);
            assert_int_equal(next, ITEMS);
            break;
        }
        assert_int_equal(out.items[n].item, next);
        assert_true((double)out.items[n].score >= best && (double)out.items[n].score <= best);
        listed[next] = true;
    }
}

static void grow_truth(struct world *world, struct truth *truth, struct rec_rng *rng) {
    const char *red = "red", *both[] = {"blue", "red"};
    uint32_t i = rec_rng_below(rng, ITEMS), u = rec_rng_below(rng, USERS);
    const char *item = world_name('i', i);
    switch (rec_rng_below(rng, 8)) {
    case 0: /* put, in one of its forms */
        truth->hidden[i] = rec_rng_below(rng, 3) == 0;
        truth->red[i] = rec_rng_below(rng, 2) == 0;
        truth->deleted[i] = false;
        assert_int_equal(
            world_put(world,
                      &(struct rec_item){.item_id = item,
                                         .hidden = truth->hidden[i],
                                         .categories = i % 2 ? &red : both,
                                         .category_count = truth->red[i] ? 1 + (i % 2 == 0) : 0}),
            REC_OK);
        break;
    case 1:
        assert_int_equal(world_delete(world, item), truth->deleted[i] ? REC_NOT_FOUND : REC_OK);
        truth->deleted[i] = true;
        truth->hidden[i] = truth->red[i] = false;
        break;
    case 2:
        if (truth->user[u].count == 0)
            break;
        assert_int_equal(world_erase(world, world_name('u', u)), REC_OK);
        truth->user[u].count = 0;
        break;
    default:
        if (u == 0 || truth->user[u].count == EVENTS_MAX)
            break; /* u0 never does anything */
        assert_int_equal(
            world_order(world, world_name('u', u), item, (int64_t)rec_rng_below(rng, 1000)),
            REC_OK);
        truth->user[u].item[truth->user[u].count++] = i;
        truth->deleted[i] = false;
    }
}

static void test_definition(void **state) {
    (void)state;
    static struct truth truth;
    struct world world;
    struct rec_rng rng;
    world_open(&world, 1, CACHE_BYTES);
    world_items(&world, ITEMS);
    world_publish(&world, &world_puzzle, MODEL_ITEMS, SALT);
    rec_rng_init(&rng, 7, 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        grow_truth(&world, &truth, &rng);
        if (round == ROUNDS / 2)
            world_restart(&world); /* read back from the database, everything is the same */
        struct filters filters = {.user = rec_rng_below(&rng, USERS + 1),
                                  .k = 1 + rec_rng_below(&rng, rec_rng_below(&rng, 4) ? 10 : 200),
                                  .popular = rec_rng_below(&rng, 4) == 0,
                                  .red = rec_rng_below(&rng, 2) == 0,
                                  .include_seen = rec_rng_below(&rng, 2) == 0};
        for (uint32_t n = rec_rng_below(&rng, 2) * 20; n > 0; n--)
            filters.excluded[rec_rng_below(&rng, ITEMS)] = true;
        compare(&world, &truth, &filters);
    }
    world_close(&world);
}

/* ---- who gets what ------------------------------------------------------------------------ */

static void test_sources(void **state) {
    (void)state;
    struct world world;
    struct rec_recommended out;
    uint64_t serial, history, catalogue;
    world_open(&world, 1, CACHE_BYTES);

    out = list_for(&world, "anyone", 5); /* an empty catalogue */
    assert_int_equal(out.count, 0);
    world_items(&world, 20);
    assert_int_equal(world_order(&world, "old", "i3", 1), REC_OK);
    out = list_for(&world, "anyone", 5); /* no model yet */
    assert_false(out.personal);
    assert_string_equal(out.model, "popularity");
    assert_string_equal(out.version, "live");
    assert_int_equal(out.serial, 0);
    assert_int_equal(out.history_version, 0);
    assert_int_equal(out.count, 5);
    assert_int_equal(out.items[0].item, 3);
    assert_int_equal(out.items[1].item, 0); /* ties to the lower index */

    world_publish(&world, &world_puzzle, 20, 1);
    assert_false(list_for(&world, "new", 5).personal);
    assert_int_equal(world_order(&world, "new", "i1", 10), REC_OK);
    assert_int_equal(world_order(&world, "new", "i2", 11), REC_OK);
    out = list_for(&world, "new", 5);
    assert_true(out.personal);
    assert_string_equal(out.model, "puzzle");
    assert_string_equal(out.version, "v1");
    assert_int_equal(out.serial, 1);
    assert_int_equal(out.history_version, 2);
    const struct rec_found_user found = rec_recommend_find(world.serve, "new");
    rec_recommend_versions(world.serve, &found, &serial, &history, &catalogue);
    assert_int_equal(serial, 1);
    assert_int_equal(history, 2);

    /* Only what the model does not know, or what says nothing. */
    assert_int_equal(world_order(&world, "odd", "beyond the model", 1), REC_OK);
    assert_int_equal(world_rate(&world, "odd", "i5", 1.0, 2), REC_OK);
    out = list_for(&world, "odd", 21);
    assert_false(out.personal);
    assert_int_equal(out.history_version, 2);
    assert_int_equal(out.count, 19); /* but what was seen is not listed again */

    /* A model of items that are not applied here yet: fitted right after they were committed. */
    world_publish(&world, &world_puzzle, 5000, 2);
    out = list_for(&world, "new", REC_K_MAX);
    assert_true(out.personal);
    assert_int_equal(out.count, 19); /* 20 and the one beyond, less two seen */

    world_publish(&world, &world_silent, 20, 2);
    assert_string_equal(list_for(&world, "new", 5).model, "popularity");
    world_publish(&world, &world_deaf, 20, 3);
    out = list_for(&world, "new", 5);
    assert_string_equal(out.model, "deaf");
    assert_false(out.personal);
    world_close(&world);
}

static void test_anonymous(void **state) {
    (void)state;
    struct world world;
    struct rec_recommended out;
    world_open(&world, 1, CACHE_BYTES);
    world_items(&world, 30);
    world_publish(&world, &world_puzzle, 30, SALT);
    assert_int_equal(world_order(&world, "twin", "i4", 1), REC_OK);
    assert_int_equal(world_order(&world, "twin", "i9", 2), REC_OK);
    struct rec_ranked twin[10];
    out = list_for(&world, "twin", 10);
    memcpy(twin, out.items, sizeof(twin));

    struct rec_anonymous_event history[] = {{"i4", "order", 1.0, 1},
                                            {"no such item", "order", 1.0, 1},
                                            {"i8", "order", 1.0, 1},
                                            {"i9", "order", 1.0, 2},
                                            {"i8", "rating", 1.0, 3}};
    struct rec_recommend_query query = {.history = history, .history_count = 4, .k = 10};
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    assert_true(out.personal);
    assert_int_equal(out.history_version, 0);

    /* The dislike takes i8 out of what is liked, but it stays seen. */
    query.history_count = 5;
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    assert_int_equal(out.count, 10);
    size_t at = 0;
    for (size_t i = 0; i < 10; i++) {
        assert_int_not_equal(out.items[i].item, 8);
        if (at < 10 && twin[at].item == 8)
            at++;
        if (at < 10)
            assert_int_equal(out.items[i].item, twin[at++].item);
    }

    query = (struct rec_recommend_query){.k = 3};
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    assert_false(out.personal);
    world_close(&world);
}

static void test_refusals(void **state) {
    (void)state;
    static struct rec_anonymous_event history[REC_HISTORY_PER_REQUEST_MAX + 1];
    static const char *excluded[REC_EXCLUDE_ITEMS_MAX + 1];
    for (size_t i = 0; i < COUNT(history); i++)
        history[i] = (struct rec_anonymous_event){"i1", "view", 1.0, 1};
    for (size_t i = 0; i < COUNT(excluded); i++)
        excluded[i] = "i1";
    const struct {
        const char *name;
        struct rec_recommend_query query;
        enum rec_status status;
    } cases[] = {
        {"lowest k", {.k = 1}, REC_OK},
        {"highest k", {.k = REC_K_MAX}, REC_OK},
        {"k of 0", {.k = 0}, REC_BAD_INPUT},
        {"one k too many", {.k = REC_K_MAX + 1}, REC_BAD_INPUT},
        {"largest k of its type", {.k = UINT32_MAX}, REC_BAD_INPUT},
        {"longest history",
         {.k = 1, .history = history, .history_count = REC_HISTORY_PER_REQUEST_MAX},
         REC_OK},
        {"one event too many",
         {.k = 1, .history = history, .history_count = REC_HISTORY_PER_REQUEST_MAX + 1},
         REC_LIMIT},
        {"most exclusions",
         {.k = 1, .exclude_items = excluded, .exclude_count = REC_EXCLUDE_ITEMS_MAX},
         REC_OK},
        {"one exclusion too many",
         {.k = 1, .exclude_items = excluded, .exclude_count = REC_EXCLUDE_ITEMS_MAX + 1},
         REC_LIMIT},
        {"the live model by name", {.k = 1, .model = "puzzle"}, REC_OK},
        {"live counts by name", {.k = 1, .model = "popularity"}, REC_OK},
        {"another family", {.k = 1, .model = "als"}, REC_NOT_FOUND},
        {"no name", {.k = 1, .model = ""}, REC_NOT_FOUND},
        {"an unknown category", {.k = 1, .category = "none such"}, REC_OK},
    };
    struct world world;
    world_open(&world, 1, CACHE_BYTES);
    world_items(&world, 3);
    world_publish(&world, &world_puzzle, 3, 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_error err = {0};
        struct rec_recommended out = {.count = 12345};
        enum rec_status st = rec_recommend_run(world.serve, 0, &cases[i].query, &out, &err);
        CHECK_ROW(st == cases[i].status, cases[i].name);
        CHECK_ROW(err.status == st, cases[i].name);
        CHECK_ROW((out.count == 12345) == (st != REC_OK), cases[i].name);
        if (st == REC_NOT_FOUND)
            CHECK_ROW(strstr(err.text, "puzzle") != NULL && strstr(err.text, "popularity") != NULL,
                      cases[i].name);
    }
    world_close(&world);
}

/* ---- explanations --------------------------------------------------------------------------- */

static void test_explain(void **state) {
    (void)state;
    struct world world;
    struct rec_recommended out;
    struct rec_rng rng;
    world_open(&world, 1, CACHE_BYTES);
    world_items(&world, 60);
    world_publish(&world, &world_puzzle, 50, SALT);
    rec_rng_init(&rng, 11, 0);
    for (int i = 0; i < 80; i++) /* most items more than once, some unknown to the model */
        assert_int_equal(world_order(&world, "u", world_name('i', rec_rng_below(&rng, 60)), i),
                         REC_OK);
    struct rec_recommend_query query = {.user_id = "u", .k = 50, .include_seen = true};
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    assert_null(out.because_offset);
    query.explain = true;
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    assert_int_equal(out.count, 50);
    assert_non_null(out.because_offset);
    for (size_t i = 0; i < out.count; i++) {
        double sum = 0.0;
        bool met[60] = {false};
        for (uint32_t b = out.because_offset[i]; b < out.because_offset[i + 1]; b++) {
            const struct rec_because *because = &out.because[b];
            double share = (double)because->share;
            sum += share;
            assert_true(because->item < 50 && !met[because->item]); /* each item once */
            met[because->item] = true;
            assert_true(share < 0.0 || share > 0.0);
            if (b > out.because_offset[i]) {
                double before = (double)because[-1].share;
                before = before < 0.0 ? -before : before;
                assert_true(before >= (share < 0.0 ? -share : share));
            }
        }
        assert_true(sum >= (double)out.items[i].score && sum <= (double)out.items[i].score);
    }

    query.model = "popularity";
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    assert_null(out.because_offset);
    world_close(&world);
}

/* Records `count` events of user "long" in the fewest writes: i0, i1, ... i<items-1>, i0, ... */
static void record_many(struct world *world, size_t first, size_t count, size_t items) {
    static struct rec_interaction rows[REC_INTERACTIONS_PER_REQUEST_MAX];
    static struct rec_recorded recorded[REC_INTERACTIONS_PER_REQUEST_MAX];
    static char names[REC_INTERACTIONS_PER_REQUEST_MAX][16];
    for (size_t done = 0; done < count; done += COUNT(rows)) {
        size_t n = count - done < COUNT(rows) ? count - done : COUNT(rows);
        for (size_t i = 0; i < n; i++) {
            (void)snprintf(names[i], sizeof(names[i]), "i%zu", (first + done + i) % items);
            rows[i] = (struct rec_interaction){.user_id = "long",
                                               .item_id = names[i],
                                               .type = "order",
                                               .value = 1.0,
                                               .timestamp = (int64_t)(first + done + i)};
        }
        assert_int_equal(world_record(world, rows, n, recorded), REC_OK);
    }
}

static void test_long_history(void **state) {
    (void)state;
    enum { LONG_ITEMS = REC_HISTORY_SCORED_MAX + 10 };
    struct world world;
    struct rec_recommended out;
    world_open(&world, 1, CACHE_BYTES);
    world_publish(&world, &world_length, LONG_ITEMS, 1);
    world_items(&world, LONG_ITEMS);

    record_many(&world, 0, REC_HISTORY_SCORED_MAX, LONG_ITEMS);
    out = list_for(&world, "long", 20);
    assert_int_equal(out.count, 10);
    assert_int_equal((int)out.items[0].score, REC_HISTORY_SCORED_MAX);

    /* One past: still as much is scored, and the oldest event is still seen. */
    record_many(&world, REC_HISTORY_SCORED_MAX, 1, LONG_ITEMS);
    out = list_for(&world, "long", 20);
    assert_int_equal(out.history_version, REC_HISTORY_SCORED_MAX + 1);
    assert_int_equal(out.count, 9);
    assert_int_equal((int)out.items[0].score, REC_HISTORY_SCORED_MAX);
    world_restart(&world);
    out = list_for(&world, "long", 20);
    assert_int_equal(out.count, 9);
    assert_int_equal((int)out.items[0].score, REC_HISTORY_SCORED_MAX);

    /* The longest history explained for the longest list: the cap cuts, evenly. */
    world_publish(&world, &world_puzzle, LONG_ITEMS, SALT);
    struct rec_recommend_query query = {
        .user_id = "long", .k = REC_K_MAX, .include_seen = true, .explain = true};
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    assert_int_equal(out.count, REC_K_MAX);
    for (size_t i = 0; i < out.count; i++)
        assert_int_equal(out.because_offset[i + 1] - out.because_offset[i],
                         REC_BECAUSE_TOTAL_MAX / REC_K_MAX);
    query.k = 1;
    assert_int_equal(ask(&world, &query, &out), REC_OK);
    double sum = 0.0;
    for (uint32_t b = 0; b < out.because_offset[1]; b++)
        sum += (double)out.because[b].share;
    assert_true(sum >= (double)out.items[0].score && sum <= (double)out.items[0].score);
    world_close(&world);
}

/* ---- kept queries, memory
 * ------------------------------------------------------------------------- */

static void test_kept_queries(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const struct rec_family *family;
        size_t bytes;
        unsigned made; /* of three identical requests */
    } cases[] = {
        {"kept", &world_puzzle, CACHE_BYTES, 1},
        {"no cache", &world_puzzle, 0, 3},
        {"an element an item", &world_length, CACHE_BYTES, 1},
        {"longer than a stripe", &world_length, 1024, 3},
        {"the same for all", &world_deaf, CACHE_BYTES, 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world world;
        world_open(&world, 1, cases[i].bytes);
        world_items(&world, 50);
        assert_int_equal(world_order(&world, "u", "i7", 1), REC_OK);
        world_publish(&world, cases[i].family, 50, 1);
        unsigned before = world_queries();
        for (int n = 0; n < 3; n++)
            assert_int_equal(list_for(&world, "u", 5).count, 5);
        CHECK_ROW(world_queries() - before == cases[i].made, cases[i].name);

        /* A new event, then a new generation: never an old query. */
        before = world_queries();
        assert_int_equal(world_order(&world, "u", "i8", 2), REC_OK);
        (void)list_for(&world, "u", 5);
        CHECK_ROW(world_queries() - before == 1, cases[i].name);
        world_publish(&world, cases[i].family, 49, 2);
        (void)list_for(&world, "u", 5);
        CHECK_ROW(world_queries() - before == 2, cases[i].name);
        struct rec_serve_counts counts;
        rec_serve_counts(world.serve, &counts);
        CHECK_ROW(counts.query_cache_bytes <= cases[i].bytes, cases[i].name);
        world_close(&world);
    }
}

/* More users than the cache has room for: slots are shared, and nobody gets another's query. */
static void test_crowded_cache(void **state) {
    (void)state;
    enum { CROWD = 300 };
    struct world world;
    world_open(&world, 1, 8 * 1024);
    world_items(&world, 64);
    world_publish(&world, &world_puzzle, 64, SALT);
    for (size_t u = 0; u < CROWD; u++)
        assert_int_equal(world_order(&world, world_name('u', u), world_name('i', u % 64), 1),
                         REC_OK);
    for (int round = 0; round < 3; round++)
        for (size_t u = 0; u < CROWD; u++) {
            struct rec_recommended out = list_for(&world, world_name('u', u), 3);
            assert_true(out.personal);
            for (size_t i = 0; i < out.count; i++)
                assert_int_equal((int)out.items[i].score,
                                 world_puzzle_share((uint32_t)u % 64, out.items[i].item, SALT));
        }
    world_close(&world);
}

static void test_allocates_nothing(void **state) {
    (void)state;
    struct world world;
    struct rec_recommended out;
    struct rec_anonymous_event history[] = {{"i4", "order", 1.0, 1}};
    const char *excluded[] = {"i5"};
    const struct rec_recommend_query queries[] = {
        {.user_id = "u", .k = 10, .explain = true},
        {.user_id = "u", .k = REC_K_MAX, .exclude_items = excluded, .exclude_count = 1},
        {.user_id = "nobody", .k = 10, .category = "red"},
        {.history = history, .history_count = 1, .k = 10, .explain = true},
        {.user_id = "u", .k = 10, .model = "popularity"},
    };
    world_open(&world, 1, CACHE_BYTES);
    world_items(&world, 100);
    assert_int_equal(world_order(&world, "u", "i7", 1), REC_OK);
    world_publish(&world, &world_puzzle, 100, 1);
    for (int armed = 0; armed < 2; armed++) {
        if (armed == 1)
            rec_alloc_fail_at(0);
        for (size_t i = 0; i < COUNT(queries); i++)
            assert_int_equal(ask(&world, &queries[i], &out), REC_OK);
        assert_int_equal(rec_similar_run(world.serve, 0, "i7", 10, &out, NULL), REC_OK);
    }
    assert_null(rec_alloc_array(1, 1)); /* the fault still waits: nothing was allocated */
    rec_alloc_fail_at(-1);
    world_close(&world);
}

/* ---- neighbours
 * --------------------------------------------------------------------------------------- */

static void test_similar(void **state) {
    (void)state;
    struct world world;
    struct rec_recommended out;
    world_open(&world, 1, 0);
    world_items(&world, 12);
    assert_int_equal(rec_similar_run(world.serve, 0, "i1", 5, &out, NULL), REC_NO_MODEL);
    world_publish(&world, &world_stamp, 10, 1);
    assert_int_equal(rec_similar_run(world.serve, 0, "none", 5, &out, NULL), REC_NOT_FOUND);
    assert_int_equal(rec_similar_run(world.serve, 0, "i1", 0, &out, NULL), REC_BAD_INPUT);
    assert_int_equal(rec_similar_run(world.serve, 0, "i1", REC_K_MAX + 1, &out, NULL),
                     REC_BAD_INPUT);
    assert_int_equal(rec_similar_run(world.serve, 0, "i11", 5, &out, NULL), REC_OK);
    assert_int_equal(out.count, 0); /* newer than the model */

    assert_int_equal(world_put(&world, &(struct rec_item){.item_id = "i2", .hidden = true}),
                     REC_OK);
    assert_int_equal(world_delete(&world, "i3"), REC_OK);
    assert_int_equal(rec_similar_run(world.serve, 0, "i1", REC_K_MAX, &out, NULL), REC_OK);
    assert_string_equal(out.model, "stamp");
    static const uint32_t expected[] = {0, 4, 5, 6, 7, 8, 9};
    assert_int_equal(out.count, COUNT(expected));
    for (size_t i = 0; i < out.count; i++)
        assert_int_equal(out.items[i].item, expected[i]);
    assert_int_equal(rec_similar_run(world.serve, 0, "i2", 5, &out, NULL), REC_OK);
    assert_int_equal(rec_similar_run(world.serve, 0, "i3", 5, &out, NULL), REC_NOT_FOUND);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_anonymous),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_explain),           cmocka_unit_test(test_long_history),
        cmocka_unit_test(test_kept_queries),      cmocka_unit_test(test_crowded_cache),
        cmocka_unit_test(test_allocates_nothing), cmocka_unit_test(test_similar),
    };
    return cmocka_run_group_tests_name("serve/recommend", tests, NULL, NULL);
}
