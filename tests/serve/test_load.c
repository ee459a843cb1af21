/* Goal: the histories and live counts read at start are those that the dataset of the same store
 * has, event for event and bit for bit, dislikes that clear earlier likes included, from whichever
 * end a user was read. This one looks behind the door: lists show only what a model makes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "test.h"

enum { USERS = 3000, ITEMS = 40, ROWS = 60000 };

static struct rec_store *with_rows(const char *path) {
    static const char *const types[] = {"view", "order", "rating", "rating", "unknown"};
    const struct rec_store_options options = {.path = path, .create = true, .writable = true};
    struct rec_store *store = NULL;
    struct rec_store_import *import = NULL;
    struct rec_rng rng;
    uint64_t added = 0;
    rec_rng_init(&rng, 3, 0);
    assert_int_equal(rec_store_open(&options, &store, NULL), REC_OK);
    assert_int_equal(rec_store_import_begin(store, &import, NULL), REC_OK);
    for (int i = 0; i < ROWS; i++) {
        char user[16], item[16];
        (void)snprintf(user, sizeof(user), "u%u", rec_rng_below(&rng, USERS));
        (void)snprintf(item, sizeof(item), "i%u", rec_rng_below(&rng, ITEMS));
        const struct rec_interaction row = {user,
                                            item,
                                            NULL,
                                            types[rec_rng_below(&rng, COUNT(types))],
                                            1 + rec_rng_below(&rng, 5),
                                            rec_rng_below(&rng, 60)};
        assert_int_equal(rec_store_import_rows(import, &row, 1, &added, NULL), REC_OK);
    }
    assert_int_equal(rec_store_import_end(&import, true, NULL), REC_OK);
    return store;
}

static void check_user(struct rec_serve *serve, const struct rec_dataset *data, uint32_t user,
                       double *popularity) {
    static struct rec_event events[REC_HISTORY_SCORED_MAX];
    uint64_t first = data->offset[user], version;
    size_t count;
    const struct rec_found_user found = {rec_histories_at(&serve->histories, user), user};
    assert_true(rec_histories_copy(&serve->histories, found, events, &count, &version, NULL, 0));
    assert_int_equal(count, data->offset[user + 1] - first);
    assert_int_equal(version, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(events[i].item, data->item[first + i]);
        assert_int_equal(events[i].time, data->time[first + i]);
        assert_memory_equal(&events[i].weight, &data->weight[first + i], sizeof(float));
        popularity[events[i].item] += (double)events[i].weight;
    }
}

static void test_load(void **state) {
    (void)state;
    char folder[] = "load-XXXXXX", path[64], command[64];
    struct rec_weights weights;
    struct rec_dataset *data = NULL;
    double expected[ITEMS] = {0};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    struct rec_store *store = with_rows(path);
    rec_weights_defaults(&weights);
    assert_int_equal(rec_dataset_load(store, &weights, NULL, NULL, &data, NULL), REC_OK);
    assert_int_equal(data->offset[data->users], ROWS);

    for (int turn = 0; turn < 5; turn++) { /* ends meet elsewhere each time */
        struct rec_slot *slot = rec_slot_create();
        struct rec_serve *serve = NULL;
        const struct rec_serve_options options = {
            .store = store, .slot = slot, .weights = &weights, .workers = 1};
        assert_int_equal(rec_serve_create(&options, &serve, NULL), REC_OK);
        memset(expected, 0, sizeof(expected));
        for (uint32_t u = 0; u < data->users; u++)
            check_user(serve, data, u, expected);
        for (uint32_t i = 0; i < data->items; i++)
            assert_memory_equal(&serve->catalogue.popularity[i], &expected[i], sizeof(double));
        rec_serve_destroy(&serve);
        rec_slot_destroy(&slot);
    }
    rec_dataset_destroy(&data);
    rec_store_close(&store);
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
