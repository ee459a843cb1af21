#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support.h"

/* Rows as letters: "a" is one row, "aab" three, two of them identical. An upper-case letter is the
 * same row with an event_id of its own letter; a digit is a row of another user. */
static size_t rows_of(const char *letters, struct rec_interaction *rows, char events[][4]) {
    static const char *const items[] = {"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9"};
    size_t count = strlen(letters);
    for (size_t i = 0; i < count; i++) {
        char c = letters[i];
        bool event = c >= 'A' && c <= 'Z', other = c >= '0' && c <= '9';
        int which = other ? c - '0' : event ? c - 'A' : c - 'a';
        rows[i] = (struct rec_interaction){.user_id = other ? "other" : "u",
                                           .item_id = items[which],
                                           .type = "rating",
                                           .value = which,
                                           .timestamp = 100};
        (void)snprintf(events[i], sizeof(events[i]), "%c", c);
        rows[i].event_id = event ? events[i] : NULL;
    }
    return count;
}

static uint64_t import_letters(struct rec_store *store, const char *letters) {
    struct rec_interaction rows[32];
    char events[32][4];
    struct rec_store_import *import = NULL;
    struct rec_error err = {0};
    uint64_t added = 0;
    size_t count = rows_of(letters, rows, events);
    must(rec_store_import_begin(store, &import, &err), &err);
    /* In two calls, since a batch must not be what identical means. */
    must(rec_store_import_rows(import, rows, count / 2, &added, &err), &err);
    must(rec_store_import_rows(import, rows + count / 2, count - count / 2, &added, &err), &err);
    must(rec_store_import_end(&import, true, &err), &err);
    assert_null(import);
    return added;
}

/* Goal: a database with n of a row and a file with m of it end with max(n, m); only what the
 * database held before the import counts; an event_id counts once for all. */
static const struct {
    const char *name, *held, *file;
    uint64_t added;
} dedupe[] = {
    {"into nothing", "", "abc", 3},
    {"identical rows of one file stay", "", "aaa", 3},
    {"the same file again", "aab", "aab", 0},
    {"more of one row", "aab", "aaab", 1},
    {"fewer of one row", "aaab", "aab", 0},
    {"in another order", "abc", "cba", 0},
    {"another user's row", "abc", "012", 3},
    {"some old, some new", "ab", "abcc", 2},
    {"the same event", "A", "A", 0},
    {"the same event twice in a file", "", "AA", 1},
    {"events again, in another order", "AB", "BA", 0},
    {"an event that was imported without its id", "a", "A", 0},
    {"a row without id, held with one", "A", "a", 0},
    {"event and row: two rows", "A", "Aa", 1},
};

static void test_dedupe(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(dedupe); i++) {
        struct place place = place_make();
        struct rec_store *store = store_open(&place);
        struct rec_store_counts counts;
        uint64_t held = import_letters(store, dedupe[i].held);
        uint64_t added = import_letters(store, dedupe[i].file);
        if (added != dedupe[i].added)
            fail_msg("%s: added %llu, not %llu", dedupe[i].name, (unsigned long long)added,
                     (unsigned long long)dedupe[i].added);
        assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
        CHECK_ROW(counts.interactions == held + added, dedupe[i].name);
        CHECK_ROW(counts.recorded == held + added, dedupe[i].name);
        CHECK_ROW(import_letters(store, dedupe[i].file) == 0, dedupe[i].name);
        rec_store_close(&store);
        place_remove(&place);
    }
}

/* Goal: rows that differ in one field only are different rows. */
static void test_differences(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct rec_interaction row;
    } cases[] = {
        {"user", {"v", "i", NULL, "rating", 3, 100}},
        {"item", {"u", "j", NULL, "rating", 3, 100}},
        {"type", {"u", "i", NULL, "view", 3, 100}},
        {"value", {"u", "i", NULL, "rating", 3.5, 100}},
        {"timestamp", {"u", "i", NULL, "rating", 3, 101}},
    };
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_interaction base = {"u", "i", NULL, "rating", 3, 100};
    struct rec_error err = {0};
    for (size_t i = 0; i <= COUNT(cases); i++) {
        struct rec_store_import *import = NULL;
        uint64_t added = 0;
        must(rec_store_import_begin(store, &import, &err), &err);
        must(rec_store_import_rows(import, i == 0 ? &base : &cases[i - 1].row, 1, &added, &err),
             &err);
        must(rec_store_import_end(&import, true, &err), &err);
        CHECK_ROW(added == 1, i == 0 ? "base" : cases[i - 1].name);
    }
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: nothing is kept without a commit, nor with a commit after a bad row; indices start over,
 * and the store writes on. */
static void test_nothing_kept(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    for (int bad = 0; bad < 2; bad++) {
        struct rec_interaction rows[2] = {{"u", "i", NULL, "rating", 3, 100},
                                          {"v", "j", NULL, "other", bad ? NAN : 1, 100}};
        struct rec_item item = {.item_id = "catalogued"};
        struct rec_store_import *import = NULL;
        struct rec_error err = {0};
        uint64_t added = 0;
        char all[512];
        must(rec_store_import_begin(store, &import, &err), &err);
        must(rec_store_import_items(import, &item, 1, &err), &err);
        enum rec_status st = rec_store_import_rows(import, rows, 2, &added, &err);
        assert_int_equal(st, bad ? REC_BAD_INPUT : REC_OK);
        if (bad) {
            assert_int_equal(rec_store_import_rows(import, rows, 1, &added, NULL), REC_BAD_INPUT);
            assert_int_equal(rec_store_import_items(import, &item, 1, NULL), REC_BAD_INPUT);
        }
        assert_int_equal(rec_store_import_end(&import, bad, NULL), bad ? REC_BAD_INPUT : REC_OK);
        assert_null(import);
        assert_int_equal(scan_text(store, all, sizeof(all), NULL), REC_OK);
        assert_string_equal(all, "0 users 0 items 0 rows;");
    }
    struct waiting waiting;
    struct rec_interaction row = {"w", "k", NULL, "view", 1, 1};
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(waiting.recorded[0].user, 0);
    assert_int_equal(rec_store_import_end(&(struct rec_store_import *){NULL}, true, NULL), REC_OK);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: bad rows are refused with the field's name, also for an id met before. */
static void test_bad_rows(void **state) {
    (void)state;
    static char long_id[REC_ID_BYTES_MAX + 2];
    memset(long_id, 'x', sizeof(long_id) - 1);
    const struct {
        const char *name;
        struct rec_interaction row;
        const char *text;
    } cases[] = {
        {"no user", {NULL, "i", NULL, "view", 1, 1}, "user_id"},
        {"empty user", {"", "i", NULL, "view", 1, 1}, "user_id"},
        {"long user", {long_id, "i", NULL, "view", 1, 1}, "user_id"},
        {"no item", {"u", NULL, NULL, "view", 1, 1}, "item_id"},
        {"not UTF-8", {"u", "\xed\xa0\x80", NULL, "view", 1, 1}, "item_id"},
        {"bad event", {"u", "i", "\x01", "view", 1, 1}, "event_id"},
        {"no type", {"u", "i", NULL, NULL, 1, 1}, "type"},
        {"infinite", {"u", "i", NULL, "view", -INFINITY, 1}, "value"},
    };
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_store_import *import = NULL;
        struct rec_error err = {0};
        uint64_t added = 0;
        must(rec_store_import_begin(store, &import, &err), &err);
        enum rec_status st = rec_store_import_rows(import, &cases[i].row, 1, &added, &err);
        if (st != REC_BAD_INPUT || strstr(err.text, cases[i].text) == NULL || added != 0)
            fail_msg("%s: %s: %s", cases[i].name, rec_error_name(st), err.text);
        assert_int_equal(rec_store_import_end(&import, false, NULL), REC_OK);
    }
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: during an import other writes are told to come later and a second import is refused;
 * readers see the picture before it; afterwards writes go on. */
static void test_alone(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_store_import *import = NULL, *second = NULL;
    struct rec_error err = {0};
    struct waiting waiting;
    struct rec_interaction row = {"u", "i", NULL, "view", 1, 1};
    struct rec_store_counts counts;
    uint64_t added = 0;
    must(rec_store_import_begin(store, &import, &err), &err);
    must(rec_store_import_rows(import, &row, 1, &added, &err), &err);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_BUSY);
    assert_int_equal(rec_store_import_begin(store, &second, NULL), REC_CONFLICT);
    assert_int_equal(rec_store_check(store, NULL), REC_OK);
    assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
    assert_int_equal(counts.interactions, 0);
    must(rec_store_import_end(&import, true, &err), &err);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
    assert_int_equal(counts.interactions, 2);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: an import many times larger than what it stages, in scattered order, with an erased user
 * and a deleted item before it, gives the rows that a plain count gives, each user's oldest first
 * and equal times in file order. */
struct expected {
    uint32_t user;
    int64_t timestamp;
    uint64_t sequence;
    double number; /* the row's place in the file, which it carries as its value */
    uint64_t rows;
};

static enum rec_status in_order(void *context, const struct rec_store_row *row) {
    struct expected *last = context;
    if (last->rows > 0) {
        assert_true(row->user >= last->user);
        if (row->user == last->user)
            assert_true(row->timestamp > last->timestamp ||
                        (row->timestamp == last->timestamp && row->sequence > last->sequence));
        if (row->user == last->user && row->timestamp == last->timestamp)
            assert_true(row->value > last->number);
    }
    *last = (struct expected){row->user, row->timestamp, row->sequence, row->value, last->rows + 1};
    return REC_OK;
}

static void test_large(void **state) {
    (void)state;
    enum { ROWS = 50000, BATCH = 30001, USERS = 700 };
    static struct rec_interaction rows[ROWS];
    static char users[USERS][16], items[97][16];
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_error err = {0};
    struct waiting waiting;
    struct rec_interaction before = {"user5", "item5", NULL, "view", 1, 1};
    assert_int_equal(write_rows(store, &waiting, &before, 1), REC_OK);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, "user5"), REC_OK);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "item5"), REC_OK);

    for (size_t i = 0; i < USERS; i++)
        (void)snprintf(users[i], sizeof(users[i]), "user%zu", i);
    for (size_t i = 0; i < COUNT(items); i++)
        (void)snprintf(items[i], sizeof(items[i]), "item%zu", i);
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (struct rec_interaction){.user_id = users[i * 7919 % USERS],
                                           .item_id = items[i % COUNT(items)],
                                           .type = i % 2 ? "view" : "click",
                                           .value = (double)(i + 1),
                                           .timestamp = (int64_t)(i * 31 % 17)};
    for (int pass = 0; pass < 2; pass++) {
        struct rec_store_import *import = NULL;
        uint64_t added = 0;
        must(rec_store_import_begin(store, &import, &err), &err);
        must(rec_store_import_rows(import, rows, BATCH, &added, &err), &err);
        must(rec_store_import_rows(import, rows + BATCH, ROWS - BATCH, &added, &err), &err);
        must(rec_store_import_end(&import, true, &err), &err);
        assert_int_equal(added, pass == 0 ? ROWS : 0);
    }
    struct expected last = {0};
    struct rec_store_scan scan = {.row = in_order, .context = &last};
    must(rec_store_scan(store, &scan, &err), &err);
    assert_int_equal(last.rows, ROWS);
    struct rec_store_counts counts;
    assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
    assert_int_equal(counts.users, USERS + 1); /* the erased index stays taken */
    assert_int_equal(counts.items, COUNT(items));
    rec_store_close(&store);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dedupe),       cmocka_unit_test(test_differences),
        cmocka_unit_test(test_nothing_kept), cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_alone),        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
