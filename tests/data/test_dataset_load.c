#include "files.h"

/* A database of its own. */
struct fixture {
    struct files files;
    struct rec_store *store;
    struct rec_weights weights;
};

static void fixture_init(struct fixture *fixture) {
    char path[128];
    struct rec_error err = {0};
    files_init(&fixture->files);
    const struct rec_store_options options = {
        .path = files_path(&fixture->files, "test.db", path), .create = true, .writable = true};
    if (rec_store_open(&options, &fixture->store, &err) != REC_OK)
        fail_msg("%s", err.text);
    rec_weights_defaults(&fixture->weights);
}

static void fixture_finish(struct fixture *fixture) {
    rec_store_close(&fixture->store);
    files_finish(&fixture->files);
}

static void add(struct fixture *fixture, const struct rec_interaction *rows, size_t count) {
    struct rec_store_import *import = NULL;
    uint64_t added = 0;
    assert_int_equal(rec_store_import_begin(fixture->store, &import, NULL), REC_OK);
    assert_int_equal(rec_store_import_rows(import, rows, count, &added, NULL), REC_OK);
    assert_int_equal(rec_store_import_end(&import, true, NULL), REC_OK);
    assert_int_equal(added, count);
}

static void check_row(const struct rec_dataset *dataset, uint32_t user, const char *expect) {
    char text[256] = "";
    size_t used = 0;
    for (uint64_t e = dataset->offset[user]; e < dataset->offset[user + 1]; e++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%u:%g@%u ", dataset->item[e],
                                 (double)dataset->weight[e] + 0.0, dataset->time[e]);
    assert_string_equal(text, expect);
}

/* Goal: the dataset is the store's rows by user and time with their weights resolved: likes,
 * dislikes that clear earlier ones, types nobody gave a weight. */
static void test_load(void **state) {
    (void)state;
    struct fixture fixture;
    const struct rec_interaction rows[] = {
        {"ann", "a", NULL, "view", 1, 300}, {"ann", "b", NULL, "rating", 5, 100},
        {"bob", "a", NULL, "order", 3, 50}, {"ann", "c", NULL, "shared", 1, 100},
        {"bob", "b", NULL, "view", 1, 60},  {"bob", "a", NULL, "rating", 2, 70},
        {"bob", "a", NULL, "click", 1, 80}, {"cy", "c", NULL, "rating", 1, 5},
    };
    struct rec_dataset *dataset = NULL;
    uint64_t recorded = 0;
    fixture_init(&fixture);
    add(&fixture, rows, COUNT(rows));
    assert_int_equal(
        rec_dataset_load(fixture.store, &fixture.weights, NULL, &recorded, &dataset, NULL), REC_OK);
    assert_int_equal(recorded, COUNT(rows));
    assert_int_equal(dataset->users, 3);
    assert_int_equal(dataset->items, 3);
    check_row(dataset, 0, "1:1@100 2:0@100 0:0.2@300 ");
    check_row(dataset, 1, "0:0@50 1:0.2@60 0:0@70 0:0.3@80 ");
    check_row(dataset, 2, "2:0@5 ");
    rec_dataset_destroy(&dataset);
    fixture_finish(&fixture);
}

/* Goal: weights that are values come from the rows. */
static void test_values(void **state) {
    (void)state;
    struct fixture fixture;
    const struct rec_interaction rows[] = {
        {"ann", "a", NULL, "rating", 5, 1},
        {"ann", "b", NULL, "rating", 4.5, 2},
        {"ann", "c", NULL, "rating", 1, 3},
        {"ann", "a", NULL, "order", 7, 4},
    };
    struct rec_dataset *dataset = NULL;
    fixture_init(&fixture);
    add(&fixture, rows, COUNT(rows));
    assert_int_equal(rec_weights_set(&fixture.weights, "rating=value", NULL), REC_OK);
    assert_int_equal(rec_dataset_load(fixture.store, &fixture.weights, NULL, NULL, &dataset, NULL),
                     REC_OK);
    check_row(dataset, 0, "0:5@1 1:4.5@2 2:0@3 0:1@4 ");
    rec_dataset_destroy(&dataset);
    fixture_finish(&fixture);
}

static enum rec_status erased;
static void note_erased(struct rec_write *write, enum rec_status status,
                        const struct rec_error *err) {
    (void)write;
    (void)err;
    erased = status;
}

/* Goal: an erased user leaves an empty row, so the indices of others mean the same; the row of the
 * last user is closed; a loaded dataset is what a reading of the same rows gives. */
static void test_erased(void **state) {
    (void)state;
    struct fixture fixture;
    const struct rec_interaction rows[] = {
        {"ann", "a", NULL, "view", 1, 1},
        {"bob", "b", NULL, "view", 1, 2},
        {"cy", "c", NULL, "view", 1, 3},
    };
    struct rec_recorded recorded;
    struct rec_write write = {
        .kind = REC_WRITE_USER_ERASE, .id = "bob", .recorded = &recorded, .done = note_erased};
    struct rec_dataset *dataset = NULL;
    fixture_init(&fixture);
    add(&fixture, rows, COUNT(rows));
    erased = REC_IO;
    assert_int_equal(rec_store_submit(fixture.store, &write, NULL), REC_OK);
    rec_store_flush(fixture.store);
    assert_int_equal(erased, REC_OK);
    assert_int_equal(rec_dataset_load(fixture.store, &fixture.weights, NULL, NULL, &dataset, NULL),
                     REC_OK);
    assert_int_equal(dataset->users, 3);
    check_row(dataset, 0, "0:0.2@1 ");
    check_row(dataset, 1, "");
    check_row(dataset, 2, "2:0.2@3 ");
    rec_dataset_destroy(&dataset);
    fixture_finish(&fixture);
}

static void test_empty(void **state) {
    (void)state;
    struct fixture fixture;
    struct rec_dataset *dataset = NULL;
    uint64_t recorded = 9;
    fixture_init(&fixture);
    assert_int_equal(
        rec_dataset_load(fixture.store, &fixture.weights, NULL, &recorded, &dataset, NULL), REC_OK);
    assert_int_equal(recorded, 0);
    assert_int_equal(dataset->users, 0);
    assert_int_equal(dataset->offset[0], 0);
    rec_dataset_destroy(&dataset);
    fixture_finish(&fixture);
}

/* ---- read and stored, the same -------------------------------------------------------- */

static enum rec_status import_rows(void *context, const struct rec_interaction *rows, size_t count,
                                   struct rec_error *err) {
    uint64_t added = 0;
    return rec_store_import_rows(context, rows, count, &added, err);
}

/* Goal: a file read straight into a dataset, and imported and loaded, give the same dataset. */
static void test_same_as_read(void **state) {
    (void)state;
    enum { ROWS = 60000 }; /* enough for both ends to get some */
    static const char *const types[] = {"view", "order", "rating", "click"};
    struct fixture fixture;
    struct rec_rng rng;
    struct rec_dataset *read = NULL, *loaded = NULL;
    struct rec_store_import *import = NULL;
    char path[128];
    fixture_init(&fixture);
    rec_rng_init(&rng, 5, 0);
    FILE *file = fopen(files_path(&fixture.files, "events.csv", path), "wb");
    assert_non_null(file);
    (void)fputs("u,i,type,v,t\n", file);
    for (unsigned r = 0; r < ROWS; r++)
        (void)fprintf(file, "u%u,i%u,%s,%u,%u\n", rec_rng_below(&rng, 2000),
                      rec_rng_below(&rng, 20), types[rec_rng_below(&rng, 4)],
                      rec_rng_below(&rng, 6), rec_rng_below(&rng, 500));
    (void)fclose(file);

    struct rec_read_options options = {.format = REC_FORMAT_CSV,
                                       .path = path,
                                       .columns = "user=u,item=i,type=type,value=v,timestamp=t",
                                       .now = 1000,
                                       .rows = import_rows};
    assert_int_equal(rec_store_import_begin(fixture.store, &import, NULL), REC_OK);
    options.context = import;
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_int_equal(rec_store_import_end(&import, true, NULL), REC_OK);
    assert_int_equal(rec_dataset_load(fixture.store, &fixture.weights, NULL, NULL, &loaded, NULL),
                     REC_OK);
    assert_int_equal(rec_dataset_read(&options, &fixture.weights, NULL, NULL, &read, NULL), REC_OK);

    assert_int_equal(read->users, loaded->users);
    assert_int_equal(read->items, loaded->items);
    assert_memory_equal(read->offset, loaded->offset, (read->users + 1) * sizeof(*read->offset));
    assert_int_equal(read->offset[read->users], ROWS);
    assert_memory_equal(read->item, loaded->item, ROWS * sizeof(*read->item));
    assert_memory_equal(read->time, loaded->time, ROWS * sizeof(*read->time));
    assert_memory_equal(read->weight, loaded->weight, ROWS * sizeof(*read->weight));
    rec_dataset_destroy(&read);
    rec_dataset_destroy(&loaded);
    fixture_finish(&fixture);
}

/* Goal: whichever allocation of ours fails while loading, it says so and leaks nothing. */
static void test_allocations(void **state) {
    (void)state;
    struct fixture fixture;
    const struct rec_interaction rows[] = {{"ann", "a", NULL, "view", 1, 1},
                                           {"bob", "b", NULL, "rating", 1, 2}};
    fixture_init(&fixture);
    add(&fixture, rows, COUNT(rows));
    struct rec_dataset *first = NULL; /* leaves the store's readers open */
    assert_int_equal(rec_dataset_load(fixture.store, &fixture.weights, NULL, NULL, &first, NULL),
                     REC_OK);
    rec_dataset_destroy(&first);
    size_t live = rec_alloc_live();
    long n = 0;
    for (enum rec_status st = REC_NO_MEMORY; st != REC_OK; n++) {
        struct rec_dataset *dataset = NULL;
        struct rec_error err = {0};
        rec_alloc_fail_at(n);
        st = rec_dataset_load(fixture.store, &fixture.weights, NULL, NULL, &dataset, &err);
        rec_alloc_fail_at(-1);
        assert_true(st == REC_OK || (st == REC_NO_MEMORY && err.status == REC_NO_MEMORY));
        rec_dataset_destroy(&dataset);
        assert_int_equal(rec_alloc_live(), live);
    }
    assert_true(n > 5);
    fixture_finish(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),         cmocka_unit_test(test_values),
        cmocka_unit_test(test_erased),       cmocka_unit_test(test_empty),
        cmocka_unit_test(test_same_as_read), cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
