/* Goal: what holds for one thread holds for many at once: who reads after an acknowledged write
 * reads it; a list is made of one generation, whatever is published meanwhile; and when all is
 * quiet, memory is what the database says and no generation is left over.
 * How: real writer, real database, threads that check every answer. Run under ThreadSanitizer as
 * well; the orders of events are tested one by one in the other files. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "serve/mirror.h"

enum { THREADS = 4, ITEMS = 60, CACHE_BYTES = 1 << 18, SWAPS = 1000, WRITES = 150 };

struct task {
    struct world *world;
    size_t worker;
    atomic_bool *stop;
    atomic_size_t done; /* answers so far */
    size_t wrong;
};

static enum rec_status ask(const struct task *task, const char *user, const char *model, uint32_t k,
                           struct rec_recommended *out) {
    return rec_recommend_run(task->world->serve, task->worker,
                             &(struct rec_recommend_query){.user_id = user, .k = k, .model = model},
                             out, NULL);
}

static void run(struct world *world, void *(*const *mains)(void *), size_t threads,
                void (*meanwhile)(struct world *), struct task *tasks) {
    pthread_t thread[2 * THREADS];
    atomic_bool stop = false;
    for (size_t i = 0; i < threads; i++) {
        tasks[i].world = world;
        tasks[i].worker = i;
        tasks[i].stop = &stop;
        assert_int_equal(pthread_create(&thread[i], NULL, mains[i], &tasks[i]), 0);
    }
    if (meanwhile != NULL) {
        for (size_t i = 0; i < threads; i++)
            while (atomic_load(&tasks[i].done) == 0)
                (void)sched_yield(); /* until all of them are at it */
        meanwhile(world);
        atomic_store(&stop, true);
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(tasks[i].wrong, 0);
        assert_true(tasks[i].done > 0);
    }
}

/* ---- read your writes ------------------------------------------------------------------- */

static void *write_and_read(void *context) {
    struct task *task = context;
    char user[24];
    (void)snprintf(user, sizeof(user), "u%zu", task->worker);
    for (size_t n = 0; n < WRITES; n++) {
        struct rec_recommended out;
        size_t item = (n * 7 + task->worker) % ITEMS;
        task->wrong += world_order(task->world, user, world_name('i', item), (int64_t)n) != REC_OK;
        task->wrong += ask(task, user, NULL, ITEMS, &out) != REC_OK;
        task->wrong += !out.personal || out.history_version != n + 1;
        size_t seen = n + 1 < ITEMS ? n + 1 : ITEMS;
        task->wrong += out.count != ITEMS - seen;
        for (size_t i = 0; i < out.count; i++)
            task->wrong += out.items[i].item == item;
        task->done++;
    }
    return NULL;
}

static void test_read_your_writes(void **state) {
    (void)state;
    void *(*const mains[THREADS])(void *) = {write_and_read, write_and_read, write_and_read,
                                             write_and_read};
    struct world world;
    struct task tasks[THREADS] = {0};
    world_open(&world, THREADS, CACHE_BYTES);
    world_items(&world, ITEMS);
    world_publish(&world, &world_puzzle, ITEMS, 1);
    run(&world, mains, THREADS, NULL, tasks);
    mirror_check(&world, THREADS, ITEMS);
    world_close(&world);
}

/* ---- swaps -------------------------------------------------------------------------------- */

static atomic_size_t lists; /* made by read_lists, by all threads */

/* Every score and the version come from one and the same generation. */
static size_t mixed(const struct rec_recommended *out) {
    size_t wrong = 0;
    unsigned salt = 0;
    if (sscanf(out->version, "v%u", &salt) != 1)
        return 1;
    wrong += out->serial != salt;
    for (size_t i = 0; i < out->count; i++)
        wrong += (int)out->items[i].score != (int)(salt * 64 - out->items[i].item);
    return wrong;
}

static void *read_lists(void *context) {
    struct task *task = context;
    uint64_t newest = 0;
    while (!atomic_load(task->stop)) {
        struct rec_recommended out;
        const char *user = world_name('u', task->done % 10);
        if (ask(task, user, NULL, 10, &out) != REC_OK) {
            task->wrong++;
            continue;
        }
        task->wrong += mixed(&out) + (out.count != 10) + (out.serial < newest);
        newest = out.serial;
        if (rec_similar_run(task->world->serve, task->worker, "i5", 10, &out, NULL) == REC_OK)
            task->wrong += mixed(&out);
        else
            task->wrong++;
        task->done++;
        atomic_fetch_add(&lists, 1);
    }
    return NULL;
}

static void publish_many(struct world *world) {
    size_t before = atomic_load(&lists);
    for (unsigned salt = 2; salt <= SWAPS + 1; salt++) {
        world_publish(world, &world_stamp, ITEMS - salt % 3, salt);
        while (atomic_load(&lists) - before < salt)
            (void)sched_yield(); /* a list for every swap, whatever the scheduler thinks */
    }
}

static void test_swaps(void **state) {
    (void)state;
    void *(*const mains[THREADS])(void *) = {read_lists, read_lists, read_lists, read_lists};
    struct world world;
    struct task tasks[THREADS] = {0};
    world_open(&world, THREADS, CACHE_BYTES);
    world_items(&world, ITEMS);
    for (size_t u = 0; u < 10; u++)
        assert_int_equal(world_order(&world, world_name('u', u), "i1", 1), REC_OK);
    world_publish(&world, &world_stamp, ITEMS, 1);
    for (size_t w = 0; w < THREADS; w++) { /* warm, so that only generations come and go */
        struct task warm = {.world = &world, .worker = w};
        struct rec_recommended out;
        for (size_t u = 0; u < 10; u++)
            assert_int_equal(ask(&warm, world_name('u', u), NULL, 10, &out), REC_OK);
    }
    size_t live = rec_alloc_live();
    run(&world, mains, THREADS, publish_many, tasks);
    assert_int_equal(rec_alloc_live(), live);
    world_close(&world);
}

/* ---- everything at once ---------------------------------------------------------------------- */

/* Its own user comes and goes; items are hidden and shown. */
static void *write_all_sorts(void *context) {
    struct task *task = context;
    char user[24], item[24];
    (void)snprintf(user, sizeof(user), "u%zu", task->worker);
    for (size_t n = 0; n < WRITES; n++) {
        (void)snprintf(item, sizeof(item), "i%zu", (n * 11 + task->worker * 13) % ITEMS);
        const char *red = "red";
        switch (n % 6) {
        case 3:
            task->wrong +=
                world_put(task->world, &(struct rec_item){.item_id = item,
                                                          .title = "now with a title",
                                                          .categories = &red,
                                                          .category_count = n % 4 == 1,
                                                          .hidden = n % 4 == 3}) != REC_OK;
            break;
        case 5:
            task->wrong += n % 4 == 1 && world_erase(task->world, user) != REC_OK;
            break;
        default:
            task->wrong += world_rate(task->world, user, item, (double)(1 + n % 5),
                                      (int64_t)(n % 9)) != REC_OK;
        }
        task->done++;
    }
    return NULL;
}

static void keep_nothing(void *context, size_t position, const char *id_json, size_t id_bytes,
                         const char *title_json, size_t title_bytes) {
    size_t *bytes = context;
    (void)position;
    for (size_t i = 0; i < id_bytes; i++)
        *bytes += (unsigned char)id_json[i];
    for (size_t i = 0; i < title_bytes; i++)
        *bytes += (unsigned char)title_json[i];
}

static void *read_all_sorts(void *context) {
    struct task *task = context;
    while (!atomic_load(task->stop)) {
        struct rec_recommended out;
        struct rec_recommend_query query = {.user_id = world_name('u', task->done % THREADS),
                                            .k = 20,
                                            .model = task->done % 3 == 0 ? "popularity" : NULL,
                                            .category = task->done % 2 == 0 ? "red" : NULL,
                                            .explain = task->done % 5 == 0};
        if (rec_recommend_run(task->world->serve, task->worker, &query, &out, NULL) != REC_OK) {
            task->wrong++;
            continue;
        }
        for (size_t i = 1; i < out.count; i++)
            task->wrong += out.items[i - 1].score < out.items[i].score ||
                           (out.items[i - 1].score <= out.items[i].score &&
                            out.items[i - 1].item >= out.items[i].item);
        size_t bytes = 0;
        if (out.count > 0)
            rec_catalogue_texts(task->world->serve, &out.items[0].item, sizeof(out.items[0]),
                                out.count, keep_nothing, &bytes);
        task->wrong += out.count > 0 && bytes == 0;
        task->done++;
    }
    return NULL;
}

/* The readers go on until the writers, which run beside them, have ended. */
static void write_meanwhile(struct world *world) {
    void *(*const mains[THREADS])(void *) = {write_all_sorts, write_all_sorts, write_all_sorts,
                                             write_all_sorts};
    struct task tasks[THREADS] = {0};
    run(world, mains, THREADS, NULL, tasks);
}

static void test_everything(void **state) {
    (void)state;
    void *(*const mains[THREADS])(void *) = {read_all_sorts, read_all_sorts, read_all_sorts,
                                             read_all_sorts};
    struct world world;
    struct task tasks[THREADS] = {0};
    world_open(&world, THREADS, CACHE_BYTES);
    world_items(&world, ITEMS);
    world_publish(&world, &world_puzzle, ITEMS, 1);
    run(&world, mains, THREADS, write_meanwhile, tasks);
    mirror_check(&world, THREADS, ITEMS);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_your_writes),
        cmocka_unit_test(test_swaps),
        cmocka_unit_test(test_everything),
    };
    return cmocka_run_group_tests_name("serve/threads", tests, NULL, NULL);
}
