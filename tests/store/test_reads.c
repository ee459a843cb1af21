#include <string.h>

#include "support.h"

/* Goal: the scan gives counts, types, users, items, rows, in that order; a callback's status stops
 * it and comes back as it is; what is not asked for is left out. */
struct steps {
    char order[64];
    size_t count;
    char stop_at; /* a step that fails */
};

static enum rec_status step(struct steps *steps, char what) {
    steps->order[steps->count++] = what;
    return what == steps->stop_at ? REC_CANCELLED : REC_OK;
}
static void step_begin(void *context, const struct rec_store_counts *counts) {
    assert_int_equal(counts->users, 2);
    assert_int_equal(counts->items, 2);
    assert_int_equal(counts->interactions, 3);
    assert_int_equal(counts->recorded, 3);
    (void)step(context, 'b');
}
static enum rec_status step_type(void *context, uint32_t type, const char *name) {
    (void)type;
    (void)name;
    return step(context, 't');
}
static enum rec_status step_user(void *context, uint32_t user, const char *id) {
    (void)user;
    (void)id;
    return step(context, 'u');
}
static enum rec_status step_item(void *context, uint32_t item, bool deleted,
                                 const struct rec_item *row) {
    (void)item;
    (void)deleted;
    (void)row;
    return step(context, 'i');
}
static enum rec_status step_row(void *context, const struct rec_store_row *row) {
    (void)row;
    return step(context, 'r');
}

static struct rec_store *with_rows(const struct place *place) {
    struct rec_store *store = store_open(place);
    struct waiting waiting;
    struct rec_interaction rows[] = {{"u", "i", NULL, "view", 1, 10},
                                     {"v", "j", NULL, "rating", 4, 10},
                                     {"u", "j", NULL, "view", 1, 20}};
    assert_int_equal(write_rows(store, &waiting, rows, COUNT(rows)), REC_OK);
    return store;
}

static void test_scan_order(void **state) {
    (void)state;
    static const struct {
        const char *order;
        char stop_at;
    } cases[] = {{"bttuuiirrr", 0}, {"bt", 't'}, {"bttu", 'u'}, {"bttuui", 'i'}, {"bttuuiir", 'r'}};
    struct place place = place_make();
    struct rec_store *store = with_rows(&place);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct steps steps = {.stop_at = cases[i].stop_at};
        struct rec_store_scan scan = {.begin = step_begin,
                                      .type = step_type,
                                      .user = step_user,
                                      .item = step_item,
                                      .row = step_row,
                                      .context = &steps};
        assert_int_equal(rec_store_scan(store, &scan, NULL),
                         cases[i].stop_at ? REC_CANCELLED : REC_OK);
        assert_string_equal(steps.order, cases[i].order);
    }
    struct steps steps = {0};
    struct rec_store_scan only_rows = {.row = step_row, .context = &steps};
    assert_int_equal(rec_store_scan(store, &only_rows, NULL), REC_OK);
    assert_string_equal(steps.order, "rrr");
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: a scan is one picture: rows written while it runs are not in it, nor in its counts, and
 * are in the next. */
struct growing {
    struct rec_store *store;
    unsigned rows;
};
static void write_beside(struct growing *growing) {
    struct waiting waiting;
    struct rec_interaction more = {"w", "k", NULL, "late", 1, 1};
    assert_int_equal(write_rows(growing->store, &waiting, &more, 1), REC_OK);
}
static enum rec_status write_at_user(void *context, uint32_t user, const char *id) {
    (void)user;
    (void)id;
    write_beside(context);
    return REC_OK;
}
static enum rec_status write_at_row(void *context, const struct rec_store_row *row) {
    struct growing *growing = context;
    (void)row;
    growing->rows++;
    write_beside(growing);
    return REC_OK;
}
static void test_scan_is_one_picture(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = with_rows(&place);
    struct growing growing = {store, 0};
    struct rec_store_scan scan = {.user = write_at_user, .row = write_at_row, .context = &growing};
    struct rec_store_counts counts;
    assert_int_equal(rec_store_scan(store, &scan, NULL), REC_OK);
    assert_int_equal(growing.rows, 3);
    assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
    assert_int_equal(counts.interactions, 3 + 2 + 3); /* one for each user and row */
    rec_store_close(&store);
    place_remove(&place);
}

/* ---- histories ----------------------------------------------------------------------- */

static void test_history(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = with_rows(&place);
    struct waiting waiting;
    char text[256];
    history_text(store, 0, text, sizeof(text));
    assert_string_equal(text, "j/view/1/20 i/view/1/10");
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "j"), REC_OK);
    history_text(store, 1, text, sizeof(text));
    assert_string_equal(text, "j/rating/4/10");
    history_text(store, 2, text, sizeof(text));
    assert_string_equal(text, "");
    history_text(store, REC_STORE_NONE, text, sizeof(text));
    assert_string_equal(text, "");
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: pages of any size, put one after the other, are the whole history, also where many rows
 * have one timestamp and where rows arrive between pages. */
struct page {
    double values[64];
    size_t count;
    struct rec_store_cursor last;
};
static enum rec_status page_row(void *context, const struct rec_store_row *row, const char *item_id,
                                const char *type) {
    struct page *page = context;
    (void)item_id;
    (void)type;
    page->values[page->count++] = row->value;
    page->last = (struct rec_store_cursor){row->timestamp, row->sequence};
    return REC_OK;
}
static void test_paging(void **state) {
    (void)state;
    enum { ROWS = 24 };
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    struct rec_error err = {0};
    for (int i = 0; i < ROWS; i++) {
        /* Three timestamps, eight rows each, in file order within one. */
        struct rec_interaction row = {"u", "i", NULL, "view", i, i / 8};
        struct rec_interaction other = {"v", "i", NULL, "view", 99, i / 8};
        assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
        assert_int_equal(write_rows(store, &waiting, &other, 1), REC_OK);
    }
    static const size_t limits[] = {1, 3, 7, 8, ROWS, 60};
    for (size_t l = 0; l < COUNT(limits); l++) {
        struct page page = {0};
        size_t before;
        do {
            before = page.count;
            must(rec_store_history(store, 0, before == 0 ? NULL : &page.last, limits[l], page_row,
                                   &page, &err),
                 &err);
            assert_true(page.count - before <= limits[l]);
        } while (page.count > before);
        assert_int_equal(page.count, ROWS);
        for (int i = 0; i < ROWS; i++)
            assert_true(page.values[i] == ROWS - 1 - i);
    }

    struct page page = {0};
    must(rec_store_history(store, 0, NULL, 5, page_row, &page, &err), &err);
    struct rec_interaction newest = {"u", "i", NULL, "view", 50, 1000};
    assert_int_equal(write_rows(store, &waiting, &newest, 1), REC_OK);
    must(rec_store_history(store, 0, &page.last, 100, page_row, &page, &err), &err);
    assert_int_equal(page.count, ROWS);

    page = (struct page){0};
    must(rec_store_history(store, 0, NULL, 0, page_row, &page, &err), &err);
    assert_int_equal(page.count, 0);
    struct rec_store_cursor far = {INT64_MAX, UINT64_MAX}, low = {INT64_MIN, 0};
    must(rec_store_history(store, 0, &far, 60, page_row, &page, &err), &err);
    assert_int_equal(page.count, ROWS + 1);
    must(rec_store_history(store, 0, &low, 60, page_row, &page, &err), &err);
    assert_int_equal(page.count, ROWS + 1);
    rec_store_close(&store);
    place_remove(&place);
}

static enum rec_status refuse(void *context, const struct rec_store_row *row, const char *item_id,
                              const char *type) {
    (void)context;
    (void)row;
    (void)item_id;
    (void)type;
    return REC_LIMIT;
}

/* Goal: a history's callback stops it too, and leaves nothing open that would hold the WAL: the
 * next erasure gets rid of its bytes. */
static void test_history_stops(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = with_rows(&place);
    struct waiting waiting;
    struct rec_interaction row = {"secret-user", "i", NULL, "view", 1, 1};
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(rec_store_history(store, 0, NULL, 10, refuse, NULL, NULL), REC_LIMIT);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, "secret-user"), REC_OK);
    assert_false(place_holds(&place, "secret-user"));
    rec_store_close(&store);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_order),    cmocka_unit_test(test_scan_is_one_picture),
        cmocka_unit_test(test_history),       cmocka_unit_test(test_paging),
        cmocka_unit_test(test_history_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
