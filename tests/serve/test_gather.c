/* Goal: a list that waits to be scored with others is the list that would have been made at once,
 * bit for bit, and comes exactly once: whatever is asked together, however full the queue is, while
 * users interact, models are swapped and the server stops. Nothing waits where that would not pay.
 *
 * How: the serving state is told that others are being scored and that it takes long, which is what
 * makes lists wait; rec_recommend_run, which never waits, is the definition. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "serve/world.h"

enum { ITEMS = 300, USERS = 40, N = 20, LISTS = 60, K_MAX = 40, CACHE_BYTES = 1 << 18 };
enum { ROUNDS = 60, THREADS = 4 };

/* ---- a family whose score is a dot product -------------------------------------------------- */

static const struct rec_param SALT[] = {
    {.name = "salt", .type = REC_PARAM_INT, .min = 0, .max = 1e6, .help = "makes models differ"}};

static enum rec_status fit(const struct rec_fit *spec, struct rec_tensors *out,
                           struct rec_error *err) {
    struct rec_rng rng;
    void *data = NULL;
    rec_rng_init(&rng, (uint64_t)spec->params->value[0], 0);
    enum rec_status st =
        rec_tensors_add(out, "rows", REC_TENSOR_F32, spec->data->items, N, &data, err);
    for (size_t i = 0; st == REC_OK && i < spec->data->items * (size_t)N; i++)
        ((float *)data)[i] = rec_rng_normal(&rng);
    return st;
}

static enum rec_status open_dots(struct rec_model *model, struct rec_error *err) {
    (void)err;
    model->query_floats = N;
    model->vectors = model->tensors.tensor[0].data;
    return REC_OK;
}

static bool query_dots(const struct rec_model *model, const struct rec_history *history,
                       float *query, float *scratch) {
    (void)scratch;
    memset(query, 0, N * sizeof(*query));
    for (size_t i = 0; i < history->count; i++)
        if (history->events[i].item < model->items)
            rec_kernels_axpy(history->events[i].weight,
                             model->vectors + (size_t)history->events[i].item * N, query, N);
    return history->count > 0;
}

static void score_dots(const struct rec_model *model, const float *queries, size_t n,
                       uint32_t first, uint32_t count, float *scores) {
    for (size_t q = 0; q < n; q++)
        rec_kernels_rows_dot(model->vectors + (size_t)first * N, count, N, queries + q * N,
                             scores + q * count);
}

static const struct rec_family dots = {.name = "dots",
                                       .params = SALT,
                                       .param_count = 1,
                                       .fit = fit,
                                       .open = open_dots,
                                       .query = query_dots,
                                       .score = score_dots};

/* ---- asking --------------------------------------------------------------------------------- */

/* Where lists arrive. While `shut`, whoever brings one waits at the door. */
struct door {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool shut;
    size_t arrived;
};

struct got {
    size_t times;
    struct rec_recommended list; /* items are the next */
    struct rec_ranked items[K_MAX];
};

static struct door door = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void keep(struct got *got, const struct rec_recommended *list) {
    got->times++;
    got->list = *list;
    memcpy(got->items, list->items, list->count * sizeof(got->items[0]));
}

static void arrive(void *owner, void *context, const struct rec_recommend_query *query,
                   const struct rec_recommended *list) {
    struct door *at = owner;
    (void)query;
    pthread_mutex_lock(&at->lock);
    while (at->shut)
        pthread_cond_wait(&at->change, &at->lock);
    keep(context, list);
    at->arrived++;
    pthread_cond_broadcast(&at->change);
    pthread_mutex_unlock(&at->lock);
}

static void set_shut(bool shut) {
    pthread_mutex_lock(&door.lock);
    door.shut = shut;
    pthread_cond_broadcast(&door.change);
    pthread_mutex_unlock(&door.lock);
}

static void wait_for(size_t lists) {
    pthread_mutex_lock(&door.lock);
    while (door.arrived < lists)
        pthread_cond_wait(&door.change, &door.lock);
    pthread_mutex_unlock(&door.lock);
}

static bool start(struct world *world, size_t worker, const struct rec_recommend_query *query,
                  struct got *got) {
    const struct rec_recommend_later later = {arrive, &door, got};
    struct rec_recommended list;
    bool waits = false;
    assert_int_equal(rec_recommend_start(world->serve, worker, query, &later, &waits, &list, NULL),
                     REC_OK);
    if (!waits)
        keep(got, &list);
    return waits;
}

static void check_same(struct world *world, const struct rec_recommend_query *query,
                       const struct got *got) {
    struct rec_recommended want;
    assert_int_equal(rec_recommend_run(world->serve, 0, query, &want, NULL), REC_OK);
    assert_int_equal(got->times, 1);
    assert_string_equal(got->list.model, want.model);
    assert_string_equal(got->list.version, want.version);
    assert_true(got->list.serial == want.serial && got->list.personal == want.personal);
    assert_true(got->list.history_version == want.history_version);
    assert_int_equal(got->list.count, want.count);
    assert_memory_equal(got->items, want.items, want.count * sizeof(want.items[0]));
}

/* ---- the world ------------------------------------------------------------------------------ */

/* As if others were being scored, and a list's share of that took long. */
static void make_busy(struct world *world) {
    struct rec_gather *gather = &world->serve->gather;
    gather->items_min = 0;
    atomic_store(&gather->worth_ns, UINT64_MAX / 16);
    atomic_store(&gather->unscored, gather->threads);
}

static void open_world(struct world *world) {
    const char *red = "red";
    world_open(world, THREADS, CACHE_BYTES);
    door.arrived = 0;
    world_items(world, ITEMS);
    for (size_t i = 0; i < ITEMS; i += 7)
        assert_int_equal(world_put(world, &(struct rec_item){.item_id = world_name('i', i),
                                                             .categories = &red,
                                                             .category_count = 1}),
                         REC_OK);
    for (size_t u = 0; u < USERS; u++)
        for (size_t i = 0; i <= u % 5; i++)
            assert_int_equal(world_order(world, world_name('u', u),
                                         world_name('i', (u * 31 + i * 17) % ITEMS), (int64_t)i),
                             REC_OK);
    world_publish(world, &dots, ITEMS, 1);
}

/* Of all sorts; `users` [LISTS][8] holds the ids. */
static void fill_queries(struct rec_recommend_query *queries, char users[LISTS][8]) {
    static const char *const excluded[] = {"i3", "i4", "nothing"};
    for (size_t i = 0; i < LISTS; i++) {
        (void)snprintf(users[i], 8, "u%zu", i % USERS);
        queries[i] = (struct rec_recommend_query){.user_id = users[i],
                                                  .k = 1 + (uint32_t)i * 7 % K_MAX,
                                                  .category = i % 5 == 1 ? "red" : NULL,
                                                  .exclude_items = excluded,
                                                  .exclude_count = i % 4,
                                                  .include_seen = i % 3 == 1};
    }
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_same_lists(void **state) {
    (void)state;
    static struct got got[LISTS];
    struct rec_recommend_query queries[LISTS];
    char users[LISTS][8];
    struct world world;
    open_world(&world);
    make_busy(&world);
    memset(got, 0, sizeof(got));
    fill_queries(queries, users);
    for (size_t round = 0; round < 3; round++) {
        memset(got, 0, sizeof(got));
        make_busy(&world); /* what was measured since says that it is not */
        door.arrived = 0;
        set_shut(round == 1); /* all but the first few then wait together */
        for (size_t i = 0; i < LISTS; i++)
            assert_true(start(&world, i % THREADS, &queries[i], &got[i]));
        set_shut(false);
        wait_for(LISTS);
        for (size_t i = 0; i < LISTS; i++)
            check_same(&world, &queries[i], &got[i]);
    }
    world_close(&world);
}

/* One condition short of waiting. */
static void test_at_once(void **state) {
    (void)state;
    struct got got = {0};
    struct rec_recommend_query query = {.user_id = "u1", .k = 5};
    struct world world;
    open_world(&world);
    struct rec_gather *gather = &world.serve->gather;
    assert_true(gather->items_min > ITEMS && atomic_load(&gather->unscored) == 0);

    make_busy(&world);
    atomic_store(&gather->unscored, THREADS - 1); /* a core may be idle */
    assert_false(start(&world, 0, &query, &got));
    assert_int_equal(atomic_load(&gather->unscored), THREADS - 1);
    make_busy(&world);
    atomic_store(&gather->worth_ns, 1000); /* it takes no time */
    assert_false(start(&world, 0, &query, &got));
    make_busy(&world);
    gather->items_min = ITEMS + 1; /* nor could it */
    assert_false(start(&world, 0, &query, &got));
    make_busy(&world);
    query.explain = true;
    assert_false(start(&world, 0, &query, &got));
    query.explain = false;
    query.model = "popularity";
    assert_false(start(&world, 0, &query, &got));
    query.model = NULL;
    query.user_id = "stranger";
    assert_false(start(&world, 0, &query, &got));
    world_publish(&world, &world_puzzle, ITEMS, 2); /* no scan */
    query.user_id = "u1";
    assert_false(start(&world, 0, &query, &got));
    assert_int_equal(got.times, 7);
    assert_int_equal(door.arrived, 0);
    world_close(&world);
}

/* Without load, one list in 32 looks whether there is some. */
static void test_probe(void **state) {
    (void)state;
    struct got got = {0};
    const struct rec_recommend_query query = {.user_id = "u1", .k = 5};
    size_t waited = 0;
    struct world world;
    open_world(&world);
    make_busy(&world);
    atomic_store(&world.serve->gather.unscored, 0);
    for (size_t i = 0; i < 100; i++) {
        atomic_store(&world.serve->gather.worth_ns, UINT64_MAX / 16);
        bool waits = start(&world, 0, &query, &got);
        assert_true(waits == (i % 32 == 31));
        waited += waits;
        wait_for(waited);
    }
    assert_int_equal(got.times, 100);
    world_close(&world);
}

/* What a pass takes is learnt from passes alone and passes together. */
static void test_mean(void **state) {
    (void)state;
    struct got got = {0};
    const struct rec_recommend_query query = {.user_id = "u1", .k = 5};
    struct world world;
    open_world(&world);
    struct rec_gather *gather = &world.serve->gather;
    make_busy(&world);
    for (size_t i = 1; atomic_load(&gather->worth_ns) > 50000000; i++) {
        assert_true(start(&world, 0, &query, &got)); /* until they are seen to be short */
        wait_for(i);
    }
    atomic_store(&gather->unscored, 0);
    atomic_store(&gather->worth_ns, UINT64_MAX / 16);
    assert_false(start(&world, 0, &query, &got));
    assert_true(atomic_load(&gather->worth_ns) < UINT64_MAX / 16);
    world_close(&world);
}

/* With the queue full, lists are made at once; and room comes back. */
static void test_full(void **state) {
    (void)state;
    static struct got got[REC_SERVE_WAITING_MAX + 2];
    const struct rec_recommend_query query = {.user_id = "u3", .k = 9};
    struct world world;
    open_world(&world);
    make_busy(&world);
    for (size_t round = 0; round < 2; round++) {
        memset(got, 0, sizeof(got));
        door.arrived = 0;
        set_shut(true);
        for (size_t i = 0; i < COUNT(got); i++)
            assert_int_equal(start(&world, i % THREADS, &query, &got[i]),
                             i < REC_SERVE_WAITING_MAX);
        check_same(&world, &query, &got[REC_SERVE_WAITING_MAX]);
        set_shut(false);
        wait_for(REC_SERVE_WAITING_MAX);
        for (size_t i = 0; i < COUNT(got); i++)
            check_same(&world, &query, &got[i]);
        /* the last scratch is given back right after its list has arrived */
        while (true) {
            size_t spares = 0;
            pthread_mutex_lock(&world.serve->gather.lock);
            for (struct rec_scratch *s = world.serve->gather.spare; s != NULL; s = s->waiting.next)
                spares++;
            pthread_mutex_unlock(&world.serve->gather.lock);
            if (spares == REC_SERVE_WAITING_MAX)
                break;
        }
        assert_int_equal(atomic_load(&world.serve->gather.unscored), THREADS);
    }
    world_close(&world);
}

/* Out of memory for a spare scratch: the list is made at once. */
static void test_no_memory(void **state) {
    (void)state;
    struct got got = {0};
    const struct rec_recommend_query query = {.user_id = "u3", .k = 9};
    struct world world;
    open_world(&world);
    struct rec_recommended list; /* grows worker 0's scratch to its size */
    assert_int_equal(rec_recommend_run(world.serve, 0, &query, &list, NULL), REC_OK);
    make_busy(&world);
    rec_alloc_fail_at(0);
    bool waits = start(&world, 0, &query, &got);
    rec_alloc_fail_at(-1);
    assert_false(waits);
    check_same(&world, &query, &got);
    got.times = 0;
    assert_true(start(&world, 0, &query, &got));
    wait_for(1);
    check_same(&world, &query, &got);
    world_close(&world);
}

/* Lists are of the generation they were asked of, also when they wait beside others'. */
static void test_swaps(void **state) {
    (void)state;
    static struct got got[LISTS], want[LISTS];
    struct rec_recommend_query queries[LISTS];
    char users[LISTS][8];
    struct world world;
    open_world(&world);
    memset(got, 0, sizeof(got));
    memset(want, 0, sizeof(want));
    fill_queries(queries, users);
    make_busy(&world);
    set_shut(true);
    for (size_t i = 0; i < LISTS; i++) {
        if (i % 7 == 6)
            world_publish(&world, &dots, ITEMS - (uint32_t)i, 2 + (unsigned)i);
        struct rec_recommended list;
        assert_int_equal(rec_recommend_run(world.serve, 0, &queries[i], &list, NULL), REC_OK);
        keep(&want[i], &list);
        assert_true(start(&world, i % THREADS, &queries[i], &got[i]));
    }
    set_shut(false);
    wait_for(LISTS);
    for (size_t i = 0; i < LISTS; i++) {
        assert_int_equal(got[i].times, 1);
        assert_string_equal(got[i].list.version, want[i].list.version);
        assert_int_equal(got[i].list.count, want[i].list.count);
        assert_memory_equal(got[i].items, want[i].items, sizeof(got[i].items));
    }
    world_close(&world);
}

/* What waits when the server stops is answered before it is gone. */
static void test_stop(void **state) {
    (void)state;
    static struct got got[LISTS];
    struct rec_recommend_query queries[LISTS];
    char users[LISTS][8];
    struct world world;
    for (size_t round = 0; round < 5; round++) {
        open_world(&world);
        make_busy(&world);
        memset(got, 0, sizeof(got));
        fill_queries(queries, users);
        for (size_t i = 0; i < LISTS; i++)
            assert_true(start(&world, i % THREADS, &queries[i], &got[i]));
        rec_store_flush(world.store);
        rec_serve_destroy(&world.serve);
        assert_int_equal(door.arrived, LISTS);
        for (size_t i = 0; i < LISTS; i++)
            assert_int_equal(got[i].times, 1);
        world_close(&world);
    }
}

/* ---- many at once --------------------------------------------------------------------------- */

struct reader {
    struct world *world;
    size_t worker, wrong;
    struct door door;
    struct got got;
};

/* Writes and reads in turn, as a user does: what was acknowledged is in the list that waited. */
static void *write_and_read(void *context) {
    struct reader *reader = context;
    const struct rec_recommend_later later = {arrive, &reader->door, &reader->got};
    char user[24];
    (void)snprintf(user, sizeof(user), "w%zu", reader->worker);
    for (size_t n = 1; n <= ROUNDS; n++) {
        const struct rec_recommend_query query = {.user_id = user, .k = K_MAX};
        uint32_t item = (uint32_t)(n * 7 + reader->worker) % ITEMS;
        struct rec_recommended list;
        bool waits = false;
        reader->wrong +=
            world_order(reader->world, user, world_name('i', item), (int64_t)n) != REC_OK;
        atomic_store(&reader->world->serve->gather.worth_ns, UINT64_MAX / 16);
        reader->wrong += rec_recommend_start(reader->world->serve, reader->worker, &query, &later,
                                             &waits, &list, NULL) != REC_OK;
        reader->wrong += !waits;
        pthread_mutex_lock(&reader->door.lock);
        while (waits && reader->door.arrived < n)
            pthread_cond_wait(&reader->door.change, &reader->door.lock);
        pthread_mutex_unlock(&reader->door.lock);
        const struct rec_recommended *got = &reader->got.list;
        reader->wrong += got->history_version != n || got->count != K_MAX || !got->personal;
        for (size_t i = 0; i < got->count; i++)
            reader->wrong += reader->got.items[i].item == item;
    }
    return NULL;
}

static void test_many_at_once(void **state) {
    (void)state;
    static struct reader readers[THREADS];
    pthread_t thread[THREADS];
    struct world world;
    open_world(&world);
    make_busy(&world);
    for (size_t i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.world = &world, .worker = i};
        pthread_mutex_init(&readers[i].door.lock, NULL);
        pthread_cond_init(&readers[i].door.change, NULL);
        assert_int_equal(pthread_create(&thread[i], NULL, write_and_read, &readers[i]), 0);
    }
    for (unsigned salt = 2; salt < 40; salt++)
        world_publish(&world, &dots, ITEMS, salt);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
        assert_int_equal(readers[i].got.times, ROUNDS);
        pthread_mutex_destroy(&readers[i].door.lock);
        pthread_cond_destroy(&readers[i].door.change);
    }
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_lists),   cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_mean),         cmocka_unit_test(test_probe),
        cmocka_unit_test(test_full),         cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_swaps),        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests_name("serve/gather", tests, NULL, NULL);
}
