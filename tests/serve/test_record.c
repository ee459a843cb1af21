/* Goal: memory follows the database exactly. Whatever was written, in whatever order, everything
 * that can be asked is the same as after a restart; who reads after an acknowledgement reads the
 * write; who is erased leaves nothing.
 * How: random writes of every kind, compared with a serving state read afresh; then single steps
 * whose outcome is written down. */
#include <stdio.h>
#include <string.h>

#include "serve/mirror.h"
#include "internal.h"

enum { USERS = 9, ITEMS = 25, CACHE_BYTES = 1 << 18 };

static const char *const TYPES[] = {"view", "order", "rating", "rating", "no weight for this"};

/* A write of 1 to 6 interactions: any time, likes and dislikes, some event ids twice. */
static void record_random(struct world *world, struct rec_rng *rng) {
    struct rec_interaction rows[6];
    struct rec_recorded recorded[6];
    char text[6][3][24];
    size_t n = 1 + rec_rng_below(rng, 6);
    for (size_t i = 0; i < n; i++) {
        bool named = rec_rng_below(rng, 3) == 0;
        (void)snprintf(text[i][0], sizeof(text[i][0]), "u%u", rec_rng_below(rng, USERS));
        (void)snprintf(text[i][1], sizeof(text[i][1]), "i%u", rec_rng_below(rng, ITEMS));
        (void)snprintf(text[i][2], sizeof(text[i][2]), "e%u", rec_rng_below(rng, 200));
        rows[i] = (struct rec_interaction){.user_id = text[i][0],
                                           .item_id = text[i][1],
                                           .event_id = named ? text[i][2] : NULL,
                                           .type = TYPES[rec_rng_below(rng, COUNT(TYPES))],
                                           .value = 1.0 + rec_rng_below(rng, 5),
                                           .timestamp = rec_rng_below(rng, 50)};
    }
    assert_int_equal(world_record(world, rows, n, recorded), REC_OK);
}

static void change_random(struct world *world, struct rec_rng *rng) {
    static const char *const categories[] = {"red", "green", "blue"};
    const char *item = world_name('i', rec_rng_below(rng, ITEMS));
    const char *user = world_name('u', rec_rng_below(rng, USERS));
    switch (rec_rng_below(rng, 10)) {
    case 0:
        (void)world_erase(world, user);
        break;
    case 1:
        (void)world_delete(world, item);
        break;
    case 2:
        assert_int_equal(
            world_put(world,
                      &(struct rec_item){.item_id = item,
                                         .title = rec_rng_below(rng, 2) ? "some \"title\"" : NULL,
                                         .categories = categories,
                                         .category_count = rec_rng_below(rng, 4),
                                         .hidden = rec_rng_below(rng, 3) == 0}),
            REC_OK);
        break;
    default:
        record_random(world, rng);
    }
}

static void test_same_as_restarted(void **state) {
    (void)state;
    struct world world;
    struct rec_rng rng;
    world_open(&world, 1, CACHE_BYTES);
    world_publish(&world, &world_puzzle, ITEMS - 3, 1);
    rec_rng_init(&rng, 3, 0);
    for (int step = 0; step < 600; step++) {
        change_random(&world, &rng);
        if (step % 7 == 0)
            mirror_check(&world, USERS, ITEMS);
        if (step == 300) /* go on from arrays that lie in the arena */
            world_restart(&world);
    }
    mirror_check(&world, USERS, ITEMS);
    world_close(&world);
}

/* ---- single steps ---------------------------------------------------------------------- */

static struct rec_recommended popular(struct world *world) {
    struct rec_recommended out;
    assert_int_equal(
        rec_recommend_run(world->serve, 0,
                          &(struct rec_recommend_query){.k = 100, .model = "popularity"}, &out,
                          NULL),
        REC_OK);
    return out;
}

/* Live count of an item, in hundredths. */
static int count_of(struct world *world, uint32_t item) {
    struct rec_recommended out = popular(world);
    for (size_t i = 0; i < out.count; i++)
        if (out.items[i].item == item)
            return (int)(out.items[i].score * 100.0f + 0.5f);
    return -1;
}

static void test_live_counts(void **state) {
    (void)state;
    static const struct {
        const char *name, *type;
        double value;
        int64_t time;
        int count;
    } steps[] = {
        {"an order", "order", 1, 10, 100},
        {"a second one", "order", 1, 20, 200},
        {"a view", "view", 1, 30, 220},
        {"a type without a weight", "other", 1, 40, 220},
        {"a dislike takes back what came before", "rating", 2, 25, 20},
        {"a like that came before the dislike", "rating", 5, 24, 20},
        {"a like after it", "rating", 4, 26, 120},
    };
    struct world world;
    world_open(&world, 1, 0);
    assert_int_equal(world_order(&world, "other user", "a", 1), REC_OK);
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct rec_recorded recorded;
        struct rec_interaction row = {.user_id = "u",
                                      .item_id = "a",
                                      .type = steps[i].type,
                                      .value = steps[i].value,
                                      .timestamp = steps[i].time};
        assert_int_equal(world_record(&world, &row, 1, &recorded), REC_OK);
        CHECK_ROW(count_of(&world, 0) == steps[i].count + 100, steps[i].name);
    }
    world_restart(&world);
    assert_int_equal(count_of(&world, 0), 220);
    assert_int_equal(world_erase(&world, "u"), REC_OK);
    assert_int_equal(count_of(&world, 0), 100);
    world_close(&world);
}

static uint64_t version_of(struct world *world, const char *user) {
    uint32_t index;
    uint64_t version = 0;
    (void)rec_histories_user(world->serve, user, &index, &version, NULL);
    return version;
}

static void test_versions_and_duplicates(void **state) {
    (void)state;
    struct world world;
    struct rec_recorded recorded[2];
    struct rec_serve_counts counts;
    const struct rec_interaction rows[] = {
        {.user_id = "u", .item_id = "a", .event_id = "e", .type = "view", .timestamp = 1},
        {.user_id = "u", .item_id = "b", .event_id = "e", .type = "view", .timestamp = 2}};
    world_open(&world, 1, 0);
    assert_int_equal(version_of(&world, "u"), 0);
    assert_int_equal(world_record(&world, rows, 2, recorded), REC_OK);
    assert_true(recorded[1].duplicate);
    assert_int_equal(version_of(&world, "u"), 1);
    assert_int_equal(world_record(&world, rows, 1, recorded), REC_OK);
    assert_int_equal(version_of(&world, "u"), 1); /* a retry changes nothing */
    assert_int_equal(popular(&world).count, 1);
    rec_serve_counts(world.serve, &counts);
    assert_int_equal(counts.interactions, 1);
    assert_int_equal(counts.recorded, 1);
    assert_int_equal(world_order(&world, "u", "a", 3), REC_OK);
    assert_int_equal(version_of(&world, "u"), 2);
    world_restart(&world);
    assert_int_equal(version_of(&world, "u"), 2);
    assert_int_equal(world_record(&world, rows, 0, recorded), REC_OK); /* a write of nothing */
    world_close(&world);
}

/* A write that is refused leaves no trace. */
static void test_refused(void **state) {
    (void)state;
    struct world world;
    struct rec_recorded recorded[2];
    const struct rec_interaction rows[] = {
        {.user_id = "u", .item_id = "a", .type = "view", .timestamp = 1},
        {.user_id = "", .item_id = "b", .type = "view", .timestamp = 2}};
    world_open(&world, 1, 0);
    assert_int_equal(world_record(&world, rows, 2, recorded), REC_BAD_INPUT);
    assert_int_equal(version_of(&world, "u"), 0);
    assert_int_equal(popular(&world).count, 0);
    assert_int_equal(world_erase(&world, "u"), REC_NOT_FOUND);
    world_close(&world);
}

static void test_erase(void **state) {
    (void)state;
    struct world world;
    struct rec_recommended out;
    uint64_t serial, history, before, after;
    struct rec_recommend_query query = {.user_id = "u", .k = 3};
    world_open(&world, 1, CACHE_BYTES);
    world_items(&world, 10);
    world_publish(&world, &world_puzzle, 10, 1);
    assert_int_equal(world_order(&world, "u", "i1", 1), REC_OK);
    assert_int_equal(rec_recommend_run(world.serve, 0, &query, &out, NULL), REC_OK);
    assert_true(out.personal);
    struct rec_found_user found = rec_recommend_find(world.serve, "u");
    rec_recommend_versions(world.serve, &found, &serial, &history, &before);

    uint32_t user;
    float kept[7];
    assert_int_equal(rec_histories_user(world.serve, "u", &user, &history, NULL), REC_OK);
    assert_true(rec_queries_get(&world.serve->queries, user, serial, history, kept, COUNT(kept)));
    assert_int_equal(world_erase(&world, "u"), REC_OK);
    assert_int_equal(version_of(&world, "u"), 0);
    assert_int_equal(count_of(&world, 1), 0);
    /* What no list can show: neither the id nor what was made of the history is left. */
    assert_int_equal(rec_histories_find(&world.serve->histories, "u"), REC_STORE_NONE);
    assert_false(rec_queries_get(&world.serve->queries, user, serial, history, kept, COUNT(kept)));
    assert_int_equal(rec_recommend_run(world.serve, 0, &query, &out, NULL), REC_OK);
    assert_false(out.personal);
    assert_int_equal(out.history_version, 0);
    assert_int_equal(world_erase(&world, "u"), REC_NOT_FOUND);

    /* The same id is somebody new, whose version 1 is not the old version 1. */
    unsigned made = world_queries();
    assert_int_equal(world_order(&world, "u", "i2", 1), REC_OK);
    assert_int_equal(rec_recommend_run(world.serve, 0, &query, &out, NULL), REC_OK);
    assert_true(out.personal);
    assert_int_equal(world_queries() - made, 1);
    /* Who was looked up before the erasure is nobody: neither the old one nor the new. */
    query.found = &found;
    rec_recommend_versions(world.serve, &found, &serial, &history, &after);
    assert_int_equal(history, 0);
    assert_int_equal(rec_recommend_run(world.serve, 0, &query, &out, NULL), REC_OK);
    assert_false(out.personal);
    found = rec_recommend_find(world.serve, "u");
    rec_recommend_versions(world.serve, &found, &serial, &history, &after);
    assert_int_equal(history, 1);
    assert_int_not_equal(after, before);

    /* Who was nobody when looked up is looked up again. */
    const struct rec_found_user nobody = {NULL, REC_STORE_NONE};
    query.found = &nobody;
    assert_int_equal(rec_recommend_run(world.serve, 0, &query, &out, NULL), REC_OK);
    assert_true(out.personal);
    world_close(&world);
}

static void test_memory(void **state) {
    (void)state;
    enum { CROWD = 5000 };
    struct world world;
    struct rec_serve_counts counts;
    static struct rec_interaction rows[REC_INTERACTIONS_PER_REQUEST_MAX];
    static struct rec_recorded recorded[REC_INTERACTIONS_PER_REQUEST_MAX];
    static char names[REC_INTERACTIONS_PER_REQUEST_MAX][24];
    world_open(&world, 1, 0);
    for (size_t first = 0; first < CROWD * 4; first += COUNT(rows)) {
        for (size_t i = 0; i < COUNT(rows); i++) {
            (void)snprintf(names[i], sizeof(names[i]), "u%zu", (first + i) % CROWD);
            rows[i] = (struct rec_interaction){
                .user_id = names[i], .item_id = "a", .type = "view", .timestamp = 1};
        }
        assert_int_equal(world_record(&world, rows, COUNT(rows), recorded), REC_OK);
    }
    rec_serve_counts(world.serve, &counts);
    assert_int_equal(counts.users, CROWD);
    assert_true(counts.history_bytes <= CROWD * 4 * sizeof(struct rec_event) * 2 + 300000);
    world_restart(&world);
    rec_serve_counts(world.serve, &counts);
    assert_true(counts.history_bytes <= CROWD * 4 * sizeof(struct rec_event) + 300000);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_restarted),
        cmocka_unit_test(test_live_counts),
        cmocka_unit_test(test_versions_and_duplicates),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_erase),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("serve/record", tests, NULL, NULL);
}
