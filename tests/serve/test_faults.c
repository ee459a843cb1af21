/* Goal: an allocation that fails is either reported with nothing changed, or, behind a commit that
 * cannot be taken back, made good by the next request: memory and database never part for good.
 * How: fail allocations of the start, of writes and of the reads that repair, one after the other,
 * and compare with a serving state read afresh. */
#include <stdio.h>
#include <string.h>

#include "serve/mirror.h"

enum { USERS = 8, ITEMS = 12, CACHE_BYTES = 1 << 16 };

static void fill(struct world *world) {
    const char *red = "red";
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(world_put(world, &(struct rec_item){.item_id = world_name('i', i),
                                                             .title = "a title",
                                                             .categories = &red,
                                                             .category_count = i % 2}),
                         REC_OK);
    for (size_t n = 0; n < 3 * USERS; n++)
        assert_int_equal(
            world_order(world, world_name('u', n % USERS), world_name('i', n % ITEMS), (int64_t)n),
            REC_OK);
}

/* True when nothing used up the fault that was armed. */
static bool still_armed(void) {
    void *block = rec_alloc_array(1, 1);
    bool armed = block == NULL;
    rec_alloc_free(block);
    rec_alloc_fail_at(-1);
    return armed;
}

static void test_create(void **state) {
    (void)state;
    enum { ALLOCATIONS_MAX = 1000 };
    struct world world;
    world_open(&world, 1, CACHE_BYTES);
    fill(&world);
    rec_serve_destroy(&world.serve);
    size_t live = rec_alloc_live();
    struct rec_serve_options options = {.store = world.store,
                                        .slot = world.slot,
                                        .weights = &world.weights,
                                        .workers = 2,
                                        .query_cache_bytes = CACHE_BYTES};
    for (long n = 0; n < ALLOCATIONS_MAX && world.serve == NULL; n++) {
        struct rec_error err = {0};
        rec_alloc_fail_at(n);
        enum rec_status st = rec_serve_create(&options, &world.serve, &err);
        rec_alloc_fail_at(-1);
        assert_int_equal(st, err.status);
        if (st == REC_OK)
            break;
        assert_int_equal(st, REC_NO_MEMORY);
        assert_null(world.serve);
        assert_int_equal(rec_alloc_live(), live);
    }
    assert_non_null(world.serve);
    mirror_check(&world, USERS, ITEMS);
    world_close(&world);
}

/* A write with something of everything: a new user and item, longer histories, a late dislike. */
static enum rec_status write_rows(struct world *world, size_t round) {
    char user[24], item[24];
    struct rec_recorded recorded[4];
    (void)snprintf(user, sizeof(user), "u%zu", USERS + round);
    (void)snprintf(item, sizeof(item), "i%zu", ITEMS + round);
    const struct rec_interaction rows[] = {
        {.user_id = user, .item_id = item, .type = "order", .value = 1, .timestamp = 100},
        {.user_id = "u1", .item_id = item, .type = "order", .value = 1, .timestamp = 100},
        {.user_id = user, .item_id = "i1", .type = "rating", .value = 5, .timestamp = 99},
        {.user_id = "u1", .item_id = "i1", .type = "rating", .value = 1, .timestamp = 5}};
    return world_record(world, rows, COUNT(rows), recorded);
}

static enum rec_status write_item(struct world *world, size_t round) {
    const char *categories[] = {"red", world_name('c', round)};
    return world_put(world, &(struct rec_item){.item_id = world_name('i', round % (ITEMS * 2)),
                                               .title = world_name('t', round),
                                               .categories = categories,
                                               .category_count = 2,
                                               .hidden = round % 5 == 0});
}

/* Asks with the next allocation failing. A state that is behind has to allocate to catch up. */
static bool refuses(struct world *world, const char *user) {
    struct rec_recommended out = {.count = 12345};
    struct rec_error err = {0};
    rec_alloc_fail_at(0);
    enum rec_status st = rec_recommend_run(
        world->serve, 0, &(struct rec_recommend_query){.user_id = user, .k = 5}, &out, &err);
    rec_alloc_fail_at(-1);
    assert_int_equal(err.status, st);
    if (st == REC_OK)
        return false;
    assert_int_equal(st, REC_NO_MEMORY);
    assert_int_equal(out.count, 12345);
    return true;
}

static void test_writes(void **state) {
    (void)state;
    enum { ROUNDS = 400, ALLOCATIONS = 24 };
    struct world world;
    size_t refused = 0, behind = 0;
    rec_log_set_level(REC_LOG_ERROR);
    world_open(&world, 1, CACHE_BYTES);
    world_publish(&world, &world_puzzle, ITEMS, 1);
    fill(&world);
    mirror_check(&world, USERS, ITEMS); /* warms the scratch */
    for (size_t round = 0; round < ROUNDS; round++) {
        rec_alloc_fail_at((long)(round % ALLOCATIONS));
        enum rec_status st = round % 3 == 0 ? write_item(&world, round) : write_rows(&world, round);
        rec_store_flush(world.store);
        rec_alloc_fail_at(-1);
        if (st != REC_OK)
            refused++;
        else if (refuses(&world, "u1"))
            behind++;
        if (round % 2 == 0) /* else a second loss may come before the first is made good */
            mirror_check(&world, USERS + round + 1, ITEMS + round + 1);
    }
    mirror_check(&world, USERS + ROUNDS, ITEMS + ROUNDS);
    assert_true(refused > 0); /* or this test has tested nothing */
    assert_true(behind > 0);
    world_close(&world);
}

/* Small maps, so that nearly every write makes one of them grow. */
static void test_growing_maps(void **state) {
    (void)state;
    enum { ALLOCATIONS = 24, ROUNDS = 6 };
    rec_log_set_level(REC_LOG_ERROR);
    for (long n = 0; n < ALLOCATIONS; n++) {
        struct world world;
        world_open(&world, 1, CACHE_BYTES);
        world_publish(&world, &world_puzzle, ITEMS, 1);
        fill(&world);
        for (size_t round = 0; round < ROUNDS; round++) {
            rec_alloc_fail_at(n);
            (void)write_rows(&world, round);
            rec_store_flush(world.store);
            rec_alloc_fail_at(-1);
            mirror_check(&world, USERS + round + 1, ITEMS + round + 1);
        }
        world_close(&world);
    }
}

/* ---- catching up between a commit and its turn --------------------------------------------- */

/* Two writes that are committed together. The first one's completion asks for a list of a user who
 * is behind, while the second one's row is in the database and not yet here. */
struct pair {
    struct world *world;
    struct rec_write write[3]; /* the one whose completion submits the other two first */
    struct rec_recorded recorded[3];
    uint64_t version;
    enum rec_status asked;
};

static const struct rec_interaction PAIR_ROWS[] = {
    {.user_id = "u2", .item_id = "i1", .type = "order", .value = 1, .timestamp = 1},
    {.user_id = "u3", .item_id = "i1", .type = "order", .value = 1, .timestamp = 1},
    {.user_id = "u1", .item_id = "i5", .type = "order", .value = 1, .timestamp = 4},
};

static void pair_last(struct rec_write *write, enum rec_status status,
                      const struct rec_error *err) {
    (void)write;
    (void)err;
    assert_int_equal(status, REC_OK);
}

static void pair_ask(struct rec_write *write, enum rec_status status, const struct rec_error *err) {
    struct pair *pair = write->context;
    struct rec_recommended out;
    (void)err;
    assert_int_equal(status, REC_OK);
    pair->asked = rec_recommend_run(
        pair->world->serve, 0, &(struct rec_recommend_query){.user_id = "u1", .k = 5}, &out, NULL);
    pair->version = out.history_version;
}

static void pair_submit(struct rec_write *write, enum rec_status status,
                        const struct rec_error *err) {
    struct pair *pair = write->context;
    (void)err;
    assert_int_equal(status, REC_OK);
    assert_int_equal(rec_record_submit(pair->world->serve, &pair->write[1], NULL), REC_OK);
    assert_int_equal(rec_record_submit(pair->world->serve, &pair->write[2], NULL), REC_OK);
}

/* Makes u1, who has events at times 1, 9, 17 and then 5, fall behind. */
static void fall_behind(struct world *world) {
    enum { ALLOCATIONS_MAX = 100 };
    for (long n = 0; n < ALLOCATIONS_MAX; n++) {
        world_restart(world); /* events in the arena: one more has to allocate */
        rec_alloc_fail_at(n);
        enum rec_status st = world_order(world, "u1", "i3", 5);
        rec_alloc_fail_at(-1);
        if (st == REC_OK && refuses(world, "u1"))
            return;
    }
    fail_msg("u1 never fell behind");
}

static void test_between_commit_and_turn(void **state) {
    (void)state;
    struct world world;
    world_open(&world, 1, CACHE_BYTES);
    world_publish(&world, &world_puzzle, ITEMS, 1);
    fill(&world);
    mirror_check(&world, USERS, ITEMS);
    fall_behind(&world);

    uint32_t user;
    uint64_t before;
    assert_int_equal(rec_histories_user(world.serve, "u1", &user, &before, NULL), REC_OK);
    struct pair pair = {.world = &world};
    void (*const done[])(struct rec_write *, enum rec_status,
                         const struct rec_error *) = {pair_submit, pair_ask, pair_last};
    for (size_t i = 0; i < COUNT(PAIR_ROWS); i++)
        pair.write[i] = (struct rec_write){.kind = REC_WRITE_INTERACTIONS,
                                           .interactions = &PAIR_ROWS[i],
                                           .count = 1,
                                           .recorded = &pair.recorded[i],
                                           .done = done[i],
                                           .context = &pair};
    assert_int_equal(rec_record_submit(world.serve, &pair.write[0], NULL), REC_OK);
    rec_store_flush(world.store);
    rec_store_flush(world.store); /* what the first completion submitted */
    assert_int_equal(pair.asked, REC_OK);
    assert_int_equal(pair.version, before); /* exactly what was applied by then */
    mirror_check(&world, USERS, ITEMS);
    world_close(&world);
}

static void test_requests(void **state) {
    (void)state;
    struct world world;
    struct rec_recommended out;
    const struct rec_recommend_query query = {.user_id = "u1", .k = 5, .explain = true};
    world_open(&world, 1, CACHE_BYTES);
    fill(&world);
    world_publish(&world, &world_puzzle, ITEMS, 1);
    size_t failures = 0;
    for (long n = 0;; n++) {
        struct rec_error err = {0};
        world_restart(&world); /* cold scratch */
        rec_alloc_fail_at(n);
        enum rec_status st = rec_recommend_run(world.serve, 0, &query, &out, &err);
        if (still_armed()) {
            assert_int_equal(st, REC_OK);
            break;
        }
        assert_true(st == REC_OK || st == REC_NO_MEMORY); /* OK: only the cache went without */
        failures += st != REC_OK;
        assert_int_equal(rec_recommend_run(world.serve, 0, &query, &out, NULL), REC_OK);
        assert_int_equal(out.count, 5);
    }
    assert_true(failures >= 3); /* mask, query, scratch, explanation */
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),       cmocka_unit_test(test_writes),
        cmocka_unit_test(test_growing_maps), cmocka_unit_test(test_between_commit_and_turn),
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests_name("serve/faults", tests, NULL, NULL);
}
