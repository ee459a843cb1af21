#include "record.h"

/* Goal: whichever allocation fails, in the maps, the readers, the datasets or the splits, the call
 * says NO_MEMORY, leaves its outputs alone and leaks nothing. How: fail the 1st, then the 2nd, ...
 * until a run gets through. */

static enum rec_status use_idmap(struct files *files, struct rec_error *err) {
    (void)files;
    struct rec_idmap *map = rec_idmap_create();
    enum rec_status st = REC_OK;
    if (map == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no map");
    for (uint32_t i = 0; st == REC_OK && i < 3000; i++) {
        char id[REC_ID_BYTES_MAX];
        uint32_t index = 77, count = rec_idmap_count(map);
        size_t bytes = (size_t)snprintf(id, sizeof(id), "%0200u", i);
        st = rec_idmap_intern(map, id, bytes, &index, err);
        assert_int_equal(index, st == REC_OK ? i : 77);
        assert_int_equal(rec_idmap_count(map), st == REC_OK ? i + 1 : count);
        assert_int_equal(rec_idmap_find(map, id, bytes), st == REC_OK ? i : REC_STORE_NONE);
    }
    rec_idmap_destroy(&map);
    return st;
}

static enum rec_status read_split(const struct rec_read_options *options, struct rec_error *err) {
    static const struct rec_split_options splits[] = {
        {.test_last = 1, .validation_last = 1},
        {.kind = REC_SPLIT_GLOBAL_TIME, .quantile = 0.5},
    };
    struct rec_weights weights;
    struct rec_dataset *dataset = NULL;
    struct rec_csr *matrix = NULL;
    rec_weights_defaults(&weights);
    enum rec_status st = rec_dataset_read(options, &weights, NULL, NULL, &dataset, err);
    assert_true((st == REC_OK) == (dataset != NULL));
    if (st == REC_OK)
        st = rec_dataset_matrix(dataset, &matrix, err);
    for (size_t i = 0; st == REC_OK && i < COUNT(splits); i++) {
        struct rec_split *split = NULL;
        st = rec_split_make(dataset, &splits[i], &split, err);
        assert_true((st == REC_OK) == (split != NULL));
        rec_split_destroy(&split);
    }
    rec_csr_destroy(&matrix);
    rec_dataset_destroy(&dataset);
    return st;
}

static enum rec_status use_csv(struct files *files, struct rec_error *err) {
    char path[128];
    const struct rec_read_options options = {.format = REC_FORMAT_CSV,
                                             .path = files_path(files, "events.csv", path),
                                             .columns = "user=user,item=item,timestamp=time",
                                             .now = TEST_NOW};
    return read_split(&options, err);
}

static enum rec_status use_movielens(struct files *files, struct rec_error *err) {
    struct record record;
    struct rec_read_options options =
        record_options(&record, REC_FORMAT_MOVIELENS_1M, files->folder);
    enum rec_status st = rec_read(&options, err);
    return st == REC_OK ? read_split(&options, err) : st;
}

static void check_all(enum rec_status (*use)(struct files *, struct rec_error *),
                      long allocations) {
    struct files files;
    const char csv[] = "user,item,time\na,x,1\na,y,2\na,z,3\nb,x,1\nb,z,2\nb,y,9\n";
    const char ratings[] = "1::1::5::1\n1::2::5::2\n1::3::5::3\n2::1::4::1\n2::3::1::9\n";
    files_init(&files);
    files_write(&files, "events.csv", csv, strlen(csv));
    files_write(&files, "ratings.dat", ratings, strlen(ratings));
    files_write(&files, "movies.dat", "1::\xe9::a|b\n", 10);
    size_t live = rec_alloc_live();
    long n = 0;
    for (enum rec_status st = REC_NO_MEMORY; st != REC_OK; n++) {
        struct rec_error err = {0};
        rec_alloc_fail_at(n);
        st = use(&files, &err);
        rec_alloc_fail_at(-1);
        assert_true(st == REC_OK || (st == REC_NO_MEMORY && err.status == REC_NO_MEMORY));
        assert_int_equal(rec_alloc_live(), live);
    }
    assert_true(n > allocations);
    files_finish(&files);
}

static void test_idmap(void **state) {
    (void)state;
    check_all(use_idmap, 20);
}

static void test_csv(void **state) {
    (void)state;
    check_all(use_csv, 30);
}

static void test_movielens(void **state) {
    (void)state;
    check_all(use_movielens, 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idmap),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_movielens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
