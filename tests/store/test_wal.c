/* Goal: the WAL is moved into the database and started over while writes go on, so that it does not
 * grow with what is written; a reader in the middle of a scan holds that up and no longer than it
 * scans; what was answered is on disk at every moment of it.
 * No pass begins where nothing may be left to move, and none after an fsync that failed.
 * How: thousands of items with long titles that change with every write fill the WAL with pages.
 * Bytes 12 to 15 of the WAL are a number that rises each time it starts over. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "faultfs.h"
#include "support.h"

enum {
    ITEMS = 4000, /* about 600 pages */
    MOVED_PAGES = 10000,
    FRAME_BYTES = 4096 + 24, /* a page in the WAL */
    FILLING = 25,            /* writes that fill the WAL to where it is moved, and more */
    WRITES_MAX = 80          /* 190 MB of WAL: far more than it takes to move it and start over */
};

struct titles {
    char id[ITEMS][8];
    char title[REC_TITLE_BYTES_MAX + 1];
    struct rec_item item[ITEMS];
    struct rec_recorded recorded[ITEMS];
    unsigned writes;
};
static struct titles titles;

static void answered(struct rec_write *write, enum rec_status status, const struct rec_error *err) {
    (void)write;
    must(status, err);
}

/* Gives all items the next title. */
static void write_titles(struct rec_store *store) {
    struct rec_error err = {0};
    memset(titles.title, 'a' + (int)(++titles.writes % 26), REC_TITLE_BYTES_MAX);
    for (size_t i = 0; i < ITEMS; i++) {
        (void)snprintf(titles.id[i], sizeof(titles.id[i]), "i%zu", i);
        titles.item[i] = (struct rec_item){.item_id = titles.id[i], .title = titles.title};
    }
    struct rec_write write = {.kind = REC_WRITE_ITEMS,
                              .items = titles.item,
                              .count = ITEMS,
                              .recorded = titles.recorded,
                              .done = answered};
    must(rec_store_submit(store, &write, &err), &err);
    rec_store_flush(store);
}

/* How often the WAL has started over. SQLite holds no lock on this file, so it may be closed. */
static unsigned starts(const struct place *place) {
    char path[128];
    unsigned char head[16];
    (void)snprintf(path, sizeof(path), "%s-wal", place->path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t bytes = fread(head, 1, sizeof(head), file);
    (void)fclose(file);
    assert_int_equal(bytes, sizeof(head));
    return (unsigned)head[12] << 24 | (unsigned)head[13] << 16 | (unsigned)head[14] << 8 | head[15];
}

static void write_until_it_starts_over(struct rec_store *store, const struct place *place) {
    unsigned before = starts(place);
    for (unsigned i = 0; i < WRITES_MAX; i++) {
        write_titles(store);
        if (starts(place) != before)
            return;
    }
    fail_msg("the WAL did not start over in %u writes", WRITES_MAX);
}

static enum rec_status check_title(void *context, uint32_t index, bool deleted,
                                   const struct rec_item *item) {
    size_t *count = context;
    assert_true(index < ITEMS && !deleted);
    assert_string_equal(item->title, titles.title);
    ++*count;
    return REC_OK;
}

/* The files as they are at this moment, opened as after a crash. */
static void check_copy(const struct place *place) {
    struct place copy = place_copy(place);
    struct rec_store *store = store_open(&copy);
    struct rec_error err = {0};
    size_t count = 0;
    struct rec_store_scan scan = {.item = check_title, .context = &count};
    must(rec_store_scan(store, &scan, &err), &err);
    assert_int_equal(count, ITEMS);
    rec_store_close(&store);
    place_remove(&copy);
}

static void test_starts_over(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    write_titles(store);
    for (unsigned turn = 0; turn < 2; turn++) {
        write_until_it_starts_over(store, &place);
        check_copy(&place);
    }
    rec_store_close(&store);
    place_remove(&place);
}

struct holding {
    struct rec_store *store;
    const struct place *place;
    size_t items;
    char before[REC_TITLE_BYTES_MAX + 1];
};

static enum rec_status hold(void *context, uint32_t index, bool deleted,
                            const struct rec_item *item) {
    struct holding *holding = context;
    (void)index;
    (void)deleted;
    if (holding->items++ == 0) {
        unsigned before = starts(holding->place);
        for (unsigned i = 0; i < FILLING; i++)
            write_titles(holding->store);
        assert_int_equal(starts(holding->place), before);
    }
    assert_string_equal(item->title, holding->before); /* one picture, whatever is written */
    return REC_OK;
}

static void test_beside_a_scan(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_error err = {0};
    write_titles(store);
    struct holding holding = {.store = store, .place = &place};
    memcpy(holding.before, titles.title, sizeof(holding.before));
    struct rec_store_scan scan = {.item = hold, .context = &holding};
    must(rec_store_scan(store, &scan, &err), &err);
    assert_int_equal(holding.items, ITEMS);
    check_copy(&place);
    write_until_it_starts_over(store, &place);
    check_copy(&place);
    rec_store_close(&store);
    place_remove(&place);
}

/* ---- passes ----------------------------------------------------------------------------- */

static bool wal_exists(const struct place *place, struct stat *found) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s-wal", place->path);
    return stat(path, found) == 0;
}

/* Until the WAL is moved. */
static void fill(struct rec_store *store, const struct place *place) {
    struct stat wal;
    do {
        write_titles(store);
        assert_true(wal_exists(place, &wal));
    } while (wal.st_size < (off_t)MOVED_PAGES * FRAME_BYTES);
}

static void wait_for_syncs(size_t count) {
    while (faultfs_database_syncs() < count)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* A pass that moves all there is: one sync is SQLite's, one the mover's. */
static size_t syncs_with(unsigned refused) {
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    size_t before = faultfs_database_syncs();
    fill(store, &place);
    wait_for_syncs(before + 2);
    for (unsigned i = 0; i < refused; i++)
        assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, "nobody"),
                         REC_NOT_FOUND);
    rec_store_close(&store);
    faultfs_forget(place.path);
    place_remove(&place);
    return faultfs_database_syncs() - before;
}

/* SQLite's bug is in a moment of a pass that begins when all is moved; that there is none, its
 * syncs tell. */
static void test_nothing_written(void **state) {
    (void)state;
    assert_int_equal(syncs_with(0), syncs_with(20));
}

static void test_refused_sync(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct stat wal;
    size_t before = faultfs_database_syncs();
    faultfs_fail_at(1, FAULTFS_SYNC_DATABASE, false, false);
    fill(store, &place);
    wait_for_syncs(before + 2);
    assert_true(faultfs_failed());
    write_titles(store); /* starts over: SQLite's own sync went well, and all was moved */
    unsigned first = starts(&place);
    for (unsigned i = 0; i < 2 * FILLING; i++)
        write_titles(store);
    assert_int_equal(starts(&place), first);
    rec_store_close(&store);
    assert_int_equal(faultfs_database_syncs(), before + 2);
    assert_true(wal_exists(&place, &wal) && wal.st_size > 0);
    check_copy(&place);
    faultfs_forget(place.path);
    place_remove(&place);
}

static int install(void **state) {
    (void)state;
    faultfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_over), cmocka_unit_test(test_beside_a_scan),
        cmocka_unit_test_setup(test_nothing_written, install), /* from here on */
        cmocka_unit_test(test_refused_sync)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
