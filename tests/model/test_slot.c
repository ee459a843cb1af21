/* Goal: what a request holds stays whole until it lets go, whatever is published meanwhile, and
 * not a moment longer. The order of events is tested one step at a time on one thread; the stress
 * test beside it is for ThreadSanitizer, which would see an unlocked read. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "model/toy.h"

static struct rec_generation *generation(uint64_t seed) {
    struct rec_model *model = toy_model(seed);
    struct rec_model_info info = toy_info();
    struct rec_generation *made = rec_generation_create(&model, &info);
    assert_non_null(made);
    assert_null(model);
    return made;
}

static uint64_t seed_of(const struct rec_generation *held) {
    return ((const uint64_t *)held->model->tensors.tensor[2].data)[2];
}

static void test_nothing_published(void **state) {
    (void)state;
    size_t live = rec_alloc_live();
    struct rec_slot *slot = rec_slot_create();
    struct rec_generation *none = NULL;
    assert_non_null(slot);
    assert_null(rec_slot_acquire(slot));
    rec_slot_release(slot, &none);
    rec_slot_destroy(&slot);
    assert_null(slot);
    rec_slot_destroy(&slot);
    assert_int_equal(rec_alloc_live(), live);
}

/* Memory is the witness: live blocks say which generations still exist. */
static void test_order(void **state) {
    (void)state;
    size_t empty = rec_alloc_live();
    struct rec_slot *slot = rec_slot_create();
    size_t bare = rec_alloc_live();
    struct rec_generation *first = generation(1), *second = generation(2), *third = generation(3);
    size_t each = (rec_alloc_live() - bare) / 3;

    rec_slot_publish(slot, &first);
    assert_null(first);
    struct rec_generation *a = rec_slot_acquire(slot), *b = rec_slot_acquire(slot);
    assert_ptr_equal(a, b);
    assert_int_equal(a->serial, 1);

    rec_slot_publish(slot, &second);
    assert_int_equal(rec_alloc_live(), bare + 3 * each); /* a and b hold the first */
    assert_int_equal(seed_of(a), 1);
    struct rec_generation *c = rec_slot_acquire(slot);
    assert_int_equal(c->serial, 2);
    assert_int_equal(seed_of(c), 2);

    rec_slot_release(slot, &a);
    assert_null(a);
    assert_int_equal(rec_alloc_live(), bare + 3 * each); /* b still does */
    assert_int_equal(seed_of(b), 1);
    rec_slot_release(slot, &b);
    assert_int_equal(rec_alloc_live(), bare + 2 * each);

    rec_slot_release(slot, &c);
    assert_int_equal(rec_alloc_live(), bare + 2 * each); /* live: released is not gone */
    c = rec_slot_acquire(slot);
    assert_int_equal(seed_of(c), 2);
    rec_slot_release(slot, &c);

    rec_slot_publish(slot, &third); /* nobody holds the second */
    assert_int_equal(rec_alloc_live(), bare + each);
    c = rec_slot_acquire(slot);
    assert_int_equal(c->serial, 3);
    rec_slot_release(slot, &c);
    rec_slot_destroy(&slot);
    assert_int_equal(rec_alloc_live(), empty);
}

static void test_no_memory(void **state) {
    (void)state;
    struct rec_model *model = toy_model(1), *same = model;
    struct rec_model_info info = toy_info();
    rec_alloc_fail_at(0);
    assert_null(rec_slot_create());
    rec_alloc_fail_at(0);
    assert_null(rec_generation_create(&model, &info));
    rec_alloc_fail_at(-1);
    assert_ptr_equal(model, same); /* still the caller's */

    struct rec_generation *unpublished = rec_generation_create(&model, &info);
    assert_string_equal(unpublished->info.version, info.version);
    size_t live = rec_alloc_live();
    rec_generation_destroy(&unpublished);
    assert_true(rec_alloc_live() < live);
    rec_generation_destroy(&unpublished);
}

static void *let_go_of_two(void *argument) {
    struct rec_slot *slot = ((void **)argument)[0];
    struct rec_generation *first = ((void **)argument)[1], *second = ((void **)argument)[2];
    rec_slot_release(slot, &first);
    rec_slot_release(slot, &second);
    return NULL;
}

/* What one thread took another gives back, while it is live and after it was replaced. */
static void test_given_to_another_thread(void **state) {
    (void)state;
    struct rec_slot *slot = rec_slot_create();
    size_t bare = rec_alloc_live();
    struct rec_generation *first = generation(1), *second = generation(2);
    size_t each = (rec_alloc_live() - bare) / 2;
    pthread_t thread;
    assert_int_equal(rec_slot_serial(slot), 0);
    rec_slot_publish(slot, &first);
    assert_int_equal(rec_slot_serial(slot), 1);
    struct rec_generation *held = rec_slot_acquire(slot);
    rec_slot_publish(slot, &second);
    assert_int_equal(rec_slot_serial(slot), 2);
    assert_int_equal(rec_alloc_live(), bare + 2 * each);

    void *both[] = {slot, held, rec_slot_acquire(slot)};
    assert_int_equal(pthread_create(&thread, NULL, let_go_of_two, both), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rec_alloc_live(), bare + each);
    rec_slot_destroy(&slot);
    assert_int_equal(rec_alloc_live(), bare - 1);
}

enum { READERS = 4, PUBLISHES = 1000 };

struct stress {
    struct rec_slot *slot;
    atomic_bool stop;
    atomic_size_t wrong, scored;
};

/* Holds, looks, scores, lets go. A generation of serial s was made with seed s. */
static void *read_all(void *argument) {
    struct stress *stress = argument;
    uint64_t last = 0;
    do {
        float query = 1.0f, scores[TOY_ITEMS];
        struct rec_generation *held = rec_slot_acquire(stress->slot);
        const struct rec_model *model = held->model;
        model->family->score(model, &query, 1, 0, model->items, scores);
        bool right = memcmp(scores, model->tensors.tensor[0].data, sizeof(scores)) == 0 &&
                     held->serial == seed_of(held) && held->serial >= last;
        last = held->serial;
        if (!right)
            atomic_fetch_add(&stress->wrong, 1);
        atomic_fetch_add(&stress->scored, 1);
        rec_slot_release(stress->slot, &held);
    } while (!atomic_load(&stress->stop));
    return NULL;
}

static void test_swaps_under_load(void **state) {
    (void)state;
    size_t live = rec_alloc_live();
    struct stress stress = {.slot = rec_slot_create()};
    pthread_t thread[READERS];
    struct rec_generation *fresh = generation(1);
    rec_slot_publish(stress.slot, &fresh);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_all, &stress), 0);
    for (uint64_t serial = 2; serial <= PUBLISHES; serial++) {
        fresh = generation(serial);
        rec_slot_publish(stress.slot, &fresh);
    }
    atomic_store(&stress.stop, true);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(atomic_load(&stress.wrong), 0);
    assert_true(atomic_load(&stress.scored) > 0);
    rec_slot_destroy(&stress.slot);
    assert_int_equal(rec_alloc_live(), live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_published), cmocka_unit_test(test_order),
        cmocka_unit_test(test_no_memory),         cmocka_unit_test(test_given_to_another_thread),
        cmocka_unit_test(test_swaps_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
