#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support.h"

static struct rec_interaction view(const char *user, const char *item, int64_t timestamp) {
    return (struct rec_interaction){
        .user_id = user, .item_id = item, .type = "view", .value = 1, .timestamp = timestamp};
}

static void check_scan(struct rec_store *store, const char *expected) {
    char all[2048];
    assert_int_equal(scan_text(store, all, sizeof(all), NULL), REC_OK);
    assert_string_equal(all, expected);
}

/* Goal: indices are given out in order of appearance, and told; rows come back by user and time. */
static void test_interactions(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    struct rec_interaction rows[] = {view("bob", "x", 20), view("ann", "y", 5),
                                     view("bob", "y", 10), view("bob", "x", 20)};
    rows[1].type = "rating";
    rows[1].value = 4.5;
    assert_int_equal(write_rows(store, &waiting, rows, COUNT(rows)), REC_OK);

    static const struct rec_recorded expected[] = {
        {0, 0, false, true, true},
        {1, 1, false, true, true},
        {0, 1, false, false, false},
        {0, 0, false, false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(waiting.recorded[i].user, expected[i].user);
        assert_int_equal(waiting.recorded[i].item, expected[i].item);
        assert_int_equal(waiting.recorded[i].duplicate, expected[i].duplicate);
        assert_int_equal(waiting.recorded[i].new_user, expected[i].new_user);
        assert_int_equal(waiting.recorded[i].new_item, expected[i].new_item);
    }
    check_scan(store, "2 users 2 items 4 rows; type 0=view type 1=rating user 0=bob user 1=ann"
                      " item 0=x item 1=y 0:1/0/1/10 0:0/0/1/20 0:0/0/1/20 1:1/1/4.5/5");
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: an event_id counts once: within one write, within a group, later, and after opening again;
 * the answer names the row that is there. */
static void test_event_ids(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    struct rec_interaction rows[] = {view("u", "a", 1), view("u", "b", 2), view("v", "c", 3)};
    rows[0].event_id = rows[1].event_id = "e1";
    assert_int_equal(write_rows(store, &waiting, rows, COUNT(rows)), REC_OK);
    assert_false(waiting.recorded[0].duplicate);
    assert_true(waiting.recorded[1].duplicate);
    assert_int_equal(waiting.recorded[1].item, 0);
    assert_int_equal(waiting.recorded[2].item, 1); /* "b" never came to be */

    rec_store_close(&store);
    store = store_open(&place);
    rows[2].event_id = "e1";
    assert_int_equal(write_rows(store, &waiting, &rows[2], 1), REC_OK);
    assert_true(waiting.recorded[0].duplicate);
    assert_int_equal(waiting.recorded[0].user, 0);

    struct rec_store_counts counts;
    assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
    assert_int_equal(counts.interactions, 2);
    assert_int_equal(counts.recorded, 2);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: what is wrong with an interaction is said, and all of its write is undone. */
static void test_bad_interactions(void **state) {
    (void)state;
    static char long_id[REC_ID_BYTES_MAX + 2], limit_id[REC_ID_BYTES_MAX + 1];
    static char long_type[REC_TYPE_BYTES_MAX + 2], limit_type[REC_TYPE_BYTES_MAX + 1];
    memset(long_id, 'x', sizeof(long_id) - 1);
    memset(limit_id, 'x', sizeof(limit_id) - 1);
    memset(long_type, 't', sizeof(long_type) - 1);
    memset(limit_type, 't', sizeof(limit_type) - 1);
    const struct {
        const char *name;
        struct rec_interaction row;
        enum rec_status status;
        const char *text;
    } cases[] = {
        {"id at the cap", {limit_id, limit_id, limit_id, "view", 1, 1}, REC_OK, ""},
        {"type at the cap", {"u", "i", NULL, limit_type, 1, 1}, REC_OK, ""},
        {"extreme times", {"u", "i", NULL, "view", -1.5e308, INT64_MIN}, REC_OK, ""},
        {"no user", {NULL, "i", NULL, "view", 1, 1}, REC_BAD_INPUT, "user_id"},
        {"empty user", {"", "i", NULL, "view", 1, 1}, REC_BAD_INPUT, "user_id"},
        {"long user", {long_id, "i", NULL, "view", 1, 1}, REC_BAD_INPUT, "user_id"},
        {"no item", {"u", NULL, NULL, "view", 1, 1}, REC_BAD_INPUT, "item_id"},
        {"not UTF-8", {"u", "\xff", NULL, "view", 1, 1}, REC_BAD_INPUT, "item_id"},
        {"control in event", {"u", "i", "a\nb", "view", 1, 1}, REC_BAD_INPUT, "event_id"},
        {"empty event", {"u", "i", "", "view", 1, 1}, REC_BAD_INPUT, "event_id"},
        {"no type", {"u", "i", NULL, NULL, 1, 1}, REC_BAD_INPUT, "type"},
        {"empty type", {"u", "i", NULL, "", 1, 1}, REC_BAD_INPUT, "type"},
        {"long type", {"u", "i", NULL, long_type, 1, 1}, REC_BAD_INPUT, "type"},
        {"NaN", {"u", "i", NULL, "view", NAN, 1}, REC_BAD_INPUT, "value"},
        {"infinity", {"u", "i", NULL, "view", INFINITY, 1}, REC_BAD_INPUT, "value"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct place place = place_make();
        struct rec_store *store = store_open(&place);
        struct waiting waiting;
        struct rec_store_counts counts;
        struct rec_interaction rows[] = {view("first", "first", 1), cases[i].row};
        enum rec_status st = write_rows(store, &waiting, rows, 2);
        if (st != cases[i].status || strstr(waiting.text, cases[i].text) == NULL)
            fail_msg("%s: %s: %s", cases[i].name, rec_error_name(st), waiting.text);
        assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
        CHECK_ROW(counts.interactions == (st == REC_OK ? 2 : 0), cases[i].name);
        CHECK_ROW(counts.users == (st == REC_OK ? 2 : 0), cases[i].name);
        /* The numbering was undone too: the next row starts at 0 or goes on at 2. */
        assert_int_equal(write_rows(store, &waiting, rows, 1), REC_OK);
        CHECK_ROW(waiting.recorded[0].new_user == (st != REC_OK), cases[i].name);
        CHECK_ROW(waiting.recorded[0].user == 0, cases[i].name);
        rec_store_close(&store);
        place_remove(&place);
    }
}

/* Goal: types stop at their cap, and known ones go on. */
static void test_types_cap(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    char name[16];
    struct rec_interaction row = view("u", "i", 1);
    row.type = name;
    for (int i = 0; i < REC_TYPES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    }
    (void)snprintf(name, sizeof(name), "onemore");
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_LIMIT);
    (void)snprintf(name, sizeof(name), "t%d", REC_TYPES_MAX - 1);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    rec_store_close(&store);
    store = store_open(&place);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    rec_store_close(&store);
    place_remove(&place);
}

/* ---- catalogue ------------------------------------------------------------------------ */

/* Goal: a put replaces the whole item; categories keep their order and count once; a deleted item
 * leaves, keeps its index, and comes back with it, bare, by an interaction or whole by a put. */
static void test_items(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    const char *const two[] = {"drama", "action", "drama"}, *const one[] = {"action"};
    struct rec_item items[] = {{"x", "The X", two, 3, false}, {"y", NULL, NULL, 0, true}};
    struct rec_interaction row = view("u", "x", 1);

    assert_int_equal(write_items(store, &waiting, items, 2), REC_OK);
    assert_true(waiting.recorded[0].new_item && waiting.recorded[1].new_item);
    assert_int_equal(waiting.recorded[1].item, 1);
    check_scan(store, "0 users 2 items 0 rows; item 0=x 'The X'[drama,action] item 1=y hidden");

    items[0] = (struct rec_item){"x", "X again", one, 1, true};
    assert_int_equal(write_items(store, &waiting, items, 1), REC_OK);
    assert_false(waiting.recorded[0].new_item);
    check_scan(store, "0 users 2 items 0 rows; item 0=x 'X again'[action] hidden item 1=y hidden");

    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "x"), REC_OK);
    assert_int_equal(waiting.recorded[0].item, 0);
    check_scan(store, "0 users 2 items 0 rows; item 0=x deleted item 1=y hidden");
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "x"), REC_NOT_FOUND);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "z"), REC_NOT_FOUND);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, NULL), REC_BAD_INPUT);

    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(waiting.recorded[0].item, 0);
    assert_false(waiting.recorded[0].new_item);
    check_scan(store, "1 users 2 items 1 rows; type 0=view user 0=u item 0=x item 1=y hidden"
                      " 0:0/0/1/1");
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "x"), REC_OK);
    assert_int_equal(write_items(store, &waiting, items, 1), REC_OK);
    check_scan(store, "1 users 2 items 1 rows; type 0=view user 0=u item 0=x 'X again'[action]"
                      " hidden item 1=y hidden 0:0/0/1/1");
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: an item at the caps is kept as it is; past them it is refused, with the field's name. */
static void test_item_caps(void **state) {
    (void)state;
    static char title[REC_TITLE_BYTES_MAX + 2], category[REC_CATEGORY_BYTES_MAX + 2];
    static char names[REC_ITEM_CATEGORIES_MAX + 1][8];
    const char *many[REC_ITEM_CATEGORIES_MAX + 1];
    memset(title, 'x', sizeof(title) - 1);
    memset(category, 'c', sizeof(category) - 1);
    for (size_t i = 0; i < COUNT(many); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "c%zu", i);
        many[i] = names[i];
    }
    const char *const too_long[] = {category}, *const at_cap[] = {category + 1};
    const char *const bad[] = {"a\xc0"}, *const empty[] = {""}, *const missing[] = {NULL};
    const struct {
        const char *name;
        struct rec_item item;
        enum rec_status status;
        const char *text;
    } cases[] = {
        {"title at the cap", {"i", title + 1, NULL, 0, false}, REC_OK, ""},
        {"title one past", {"i", title, NULL, 0, false}, REC_BAD_INPUT, "title"},
        {"title not UTF-8", {"i", "\x80", NULL, 0, false}, REC_BAD_INPUT, "title"},
        {"empty title", {"i", "", NULL, 0, false}, REC_OK, ""},
        {"category at the cap", {"i", NULL, at_cap, 1, false}, REC_OK, ""},
        {"category one past", {"i", NULL, too_long, 1, false}, REC_BAD_INPUT, "category"},
        {"category not UTF-8", {"i", NULL, bad, 1, false}, REC_BAD_INPUT, "category"},
        {"category empty", {"i", NULL, empty, 1, false}, REC_BAD_INPUT, "category"},
        {"category missing", {"i", NULL, missing, 1, false}, REC_BAD_INPUT, "category"},
        {"categories at the cap", {"i", NULL, many, COUNT(many) - 1, false}, REC_OK, ""},
        {"categories one past", {"i", NULL, many, COUNT(many), false}, REC_BAD_INPUT, "categor"},
        {"no id", {NULL, NULL, NULL, 0, false}, REC_BAD_INPUT, "item_id"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct place place = place_make();
        struct rec_store *store = store_open(&place);
        struct waiting waiting;
        char all[2048];
        enum rec_status st = write_items(store, &waiting, &cases[i].item, 1);
        if (st != cases[i].status || strstr(waiting.text, cases[i].text) == NULL)
            fail_msg("%s: %s: %s", cases[i].name, rec_error_name(st), waiting.text);
        assert_int_equal(scan_text(store, all, sizeof(all), NULL), REC_OK);
        if (st == REC_OK && cases[i].item.category_count > 0)
            CHECK_ROW(strstr(all, cases[i].item.categories[0]) != NULL, cases[i].name);
        CHECK_ROW((strstr(all, "item 0=i") != NULL) == (st == REC_OK), cases[i].name);
        rec_store_close(&store);
        place_remove(&place);
    }
}

/* Goal: categories stop at their cap; those that no item has any more make room. */
static void test_categories_cap(void **state) {
    (void)state;
    enum { PER_ITEM = REC_ITEM_CATEGORIES_MAX, ITEMS = REC_CATEGORIES_MAX / PER_ITEM };
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    static char names[PER_ITEM][16];
    const char *pointers[PER_ITEM];
    char id[16];
    for (int i = 0; i < ITEMS; i++) {
        for (int j = 0; j < PER_ITEM; j++) {
            (void)snprintf(names[j], sizeof(names[j]), "c%d", i * PER_ITEM + j);
            pointers[j] = names[j];
        }
        (void)snprintf(id, sizeof(id), "i%d", i);
        struct rec_item item = {id, NULL, pointers, PER_ITEM, false};
        assert_int_equal(write_items(store, &waiting, &item, 1), REC_OK);
    }
    const char *const more[] = {"one more"};
    struct rec_item item = {"another", NULL, more, 1, false};
    assert_int_equal(write_items(store, &waiting, &item, 1), REC_LIMIT);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "i3"), REC_OK);
    assert_int_equal(write_items(store, &waiting, &item, 1), REC_OK);
    rec_store_close(&store);
    place_remove(&place);
}

/* ---- erasing ----------------------------------------------------------------------------- */

/* Goal: what the writer knows of an id by heart ends with the id: after an erasure, a deletion and
 * a write that was undone, the id is looked up again. */
static void test_ids_known_by_heart(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    struct rec_interaction row = view("ann", "x", 1);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(waiting.recorded[0].user, 0);
    assert_false(waiting.recorded[0].new_user);

    assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, "ann"), REC_OK);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_ITEM_DELETE, "x"), REC_OK);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    assert_int_equal(waiting.recorded[0].user, 1);
    assert_true(waiting.recorded[0].new_user);
    struct rec_store_counts counts;
    must(rec_store_counts(store, &counts, NULL), NULL);
    assert_int_equal(counts.interactions, 1);

    struct rec_interaction rows[] = {view("bob", "y", 2), view("bob", "y", 3)};
    rows[1].type = ""; /* refused, after its neighbour gave bob and y their indices */
    assert_int_equal(write_rows(store, &waiting, rows, COUNT(rows)), REC_BAD_INPUT);
    assert_int_equal(write_rows(store, &waiting, rows, 1), REC_OK);
    assert_true(waiting.recorded[0].new_user);
    assert_true(waiting.recorded[0].new_item);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: an erased user's rows and ids are gone, the others' are not; the index is not given out
 * again, not even after opening again; the same id is a new user. */
static void test_erase(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    struct rec_interaction rows[] = {view("ann", "x", 1), view("bob", "x", 2), view("bob", "y", 3)};
    rows[1].event_id = "e";
    assert_int_equal(write_rows(store, &waiting, rows, 3), REC_OK);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, "bob"), REC_OK);
    assert_int_equal(waiting.recorded[0].user, 1);
    check_scan(store, "2 users 2 items 1 rows; type 0=view user 0=ann item 0=x item 1=y 0:0/0/1/1");
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, "bob"), REC_NOT_FOUND);
    assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, ""), REC_BAD_INPUT);

    rec_store_close(&store);
    store = store_open(&place);
    assert_int_equal(write_rows(store, &waiting, &rows[1], 1), REC_OK);
    assert_int_equal(waiting.recorded[0].user, 2);
    assert_true(waiting.recorded[0].new_user);
    assert_false(waiting.recorded[0].duplicate);
    struct rec_store_counts counts;
    assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
    assert_int_equal(counts.interactions, 2);
    assert_int_equal(counts.recorded, 4);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: the bytes of erased ids are in no file any more once done() was called, with the store
 * still open. How: enough users and event ids, in a scattered order, that pages of both trees were
 * split and rebalanced many times, which is where stale copies would stay. */
static void test_erase_leaves_no_bytes(void **state) {
    (void)state;
    enum { USERS = 4000, ERASED = 40 };
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_store_import *import = NULL;
    struct rec_error err = {0};
    uint64_t added = 0;
    char user[32], event[48];
    must(rec_store_import_begin(store, &import, &err), &err);
    for (unsigned i = 0; i < USERS; i++) {
        unsigned number = i * 1237 % USERS;
        (void)snprintf(user, sizeof(user), "secret-%u-user", number);
        for (unsigned j = 0; j < 3; j++) {
            (void)snprintf(event, sizeof(event), "event-%u-of-secret-%u-", j, number);
            struct rec_interaction row = view(user, "x", j);
            row.event_id = event;
            must(rec_store_import_rows(import, &row, 1, &added, &err), &err);
        }
    }
    must(rec_store_import_end(&import, true, &err), &err);
    assert_int_equal(added, USERS * 3);

    struct waiting waiting;
    for (unsigned i = 0; i < ERASED; i++) {
        (void)snprintf(user, sizeof(user), "secret-%u-user", i * 97);
        assert_int_equal(write_delete(store, &waiting, REC_WRITE_USER_ERASE, user), REC_OK);
    }
    for (unsigned i = 0; i < ERASED; i++) {
        (void)snprintf(user, sizeof(user), "secret-%u-", i * 97);
        if (place_holds(&place, user))
            fail_msg("%s is still there", user);
    }
    assert_true(place_holds(&place, "secret-1-"));
    rec_store_close(&store);
    place_remove(&place);
}

struct erasing {
    struct rec_store *store;
    const struct place *place;
    bool held_during_scan;
};

static enum rec_status erase_during_scan(void *context, const struct rec_store_row *row) {
    struct erasing *erasing = context;
    struct waiting waiting;
    (void)row;
    assert_int_equal(write_delete(erasing->store, &waiting, REC_WRITE_USER_ERASE, "secret-user"),
                     REC_OK);
    erasing->held_during_scan = place_holds(erasing->place, "secret-user");
    return REC_OK;
}

/* Goal: a scan that holds old pages does not hold up the erasing request, keeps its picture, and
 * the bytes go soon after it ends, without another write. */
static void test_erase_beside_a_scan(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    struct rec_error err = {0};
    struct rec_interaction row = view("secret-user", "x", 1);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    struct erasing erasing = {store, &place, false};
    struct rec_store_scan scan = {.row = erase_during_scan, .context = &erasing};
    must(rec_store_scan(store, &scan, &err), &err);
    assert_true(erasing.held_during_scan);
    while (place_holds(&place, "secret-user"))
        ; /* the runner's limit ends this when they never go */
    rec_store_close(&store);
    place_remove(&place);
}

/* ---- groups ------------------------------------------------------------------------------- */

static struct waiting opening, second, third, fourth;

static void open_door(struct rec_write *write, enum rec_status status,
                      const struct rec_error *err) {
    (void)status;
    (void)err;
    struct rec_store *store = write->context;
    /* On the writer's thread: these queue up and make one group. */
    assert_int_equal(rec_store_submit(store, &second.write, NULL), REC_OK);
    assert_int_equal(rec_store_submit(store, &third.write, NULL), REC_OK);
    assert_int_equal(rec_store_submit(store, &fourth.write, NULL), REC_OK);
}

/* Goal: in one group, a write that is wrong fails alone; those around it are kept, see each
 * other's event ids, and are answered in order. */
static void test_group(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct rec_interaction first_row = view("u", "a", 1), good = view("u", "b", 2),
                           again = view("u", "c", 3),
                           wrong[] = {view("w", "d", 4), view("w", "e", 5)};
    good.event_id = again.event_id = "e";
    wrong[1].value = NAN;

    waiting_init(&opening);
    waiting_init(&second);
    waiting_init(&third);
    waiting_init(&fourth);
    opening.write.interactions = &first_row;
    second.write.interactions = &good;
    third.write.interactions = wrong;
    fourth.write.interactions = &again;
    opening.write.count = second.write.count = fourth.write.count = 1;
    third.write.count = 2;
    opening.write.done = open_door;
    opening.write.context = store;
    assert_int_equal(rec_store_submit(store, &opening.write, NULL), REC_OK);
    rec_store_flush(store); /* what open_door queued counts only if it was queued by now */
    rec_store_flush(store);

    assert_int_equal(second.status, REC_OK);
    assert_int_equal(third.status, REC_BAD_INPUT);
    assert_int_equal(fourth.status, REC_OK);
    assert_true(fourth.recorded[0].duplicate);
    assert_int_equal(fourth.recorded[0].item, second.recorded[0].item);
    assert_true(second.order < third.order && third.order < fourth.order);
    check_scan(store, "1 users 2 items 2 rows; type 0=view user 0=u item 0=a item 1=b 0:0/0/1/1"
                      " 0:1/0/1/2");
    rec_store_close(&store);
    place_remove(&place);
}

static void count_done(struct rec_write *write, enum rec_status status,
                       const struct rec_error *err) {
    (void)err;
    assert_int_equal(status, REC_OK);
    ++*(size_t *)write->context;
}

/* Goal: the queue takes REC_WRITE_QUEUE_ROWS_MAX rows and not one more; closing commits them. A
 * write alone larger than the queue is a limit, not a wait. How: the first done() stops the writer
 * while the queue is filled. */
struct filling {
    struct rec_store *store;
    struct rec_write *writes;
    size_t count, full_at;
    enum rec_status after;
};

static void fill_queue(struct rec_write *write, enum rec_status status,
                       const struct rec_error *err) {
    struct filling *filling = write->context;
    (void)status;
    (void)err;
    while (filling->full_at < filling->count) {
        filling->after = rec_store_submit(filling->store, &filling->writes[filling->full_at], NULL);
        if (filling->after != REC_OK)
            return;
        filling->full_at++;
    }
}

static void test_queue_cap(void **state) {
    (void)state;
    enum { ROWS = 1000, WRITES = REC_WRITE_QUEUE_ROWS_MAX / ROWS + 1 };
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    static struct rec_interaction rows[ROWS];
    static struct rec_recorded recorded[ROWS + 1];
    static struct rec_write writes[WRITES];
    size_t done = 0;
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = view("u", "x", (int64_t)i);
    for (size_t i = 0; i < WRITES; i++)
        writes[i] = (struct rec_write){.kind = REC_WRITE_INTERACTIONS,
                                       .interactions = rows,
                                       .count = ROWS,
                                       .recorded = recorded,
                                       .done = count_done,
                                       .context = &done};
    struct filling filling = {.store = store, .writes = writes, .count = WRITES};
    struct rec_write first = writes[0], huge = writes[0];
    first.done = fill_queue;
    first.context = &filling;
    huge.count = REC_WRITE_QUEUE_ROWS_MAX + 1;
    assert_int_equal(rec_store_submit(store, &huge, NULL), REC_LIMIT);
    assert_int_equal(rec_store_submit(store, &first, NULL), REC_OK);
    rec_store_flush(store);
    assert_int_equal(filling.full_at, WRITES - 1);
    assert_int_equal(filling.after, REC_BUSY);

    rec_store_close(&store);
    assert_int_equal(done, WRITES - 1);
    store = store_open(&place);
    struct rec_store_counts counts;
    assert_int_equal(rec_store_counts(store, &counts, NULL), REC_OK);
    assert_int_equal(counts.interactions, ROWS * WRITES);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: a write of nothing is answered; a kind that does not exist is refused. */
static void test_odd_writes(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    struct waiting waiting;
    assert_int_equal(write_rows(store, &waiting, NULL, 0), REC_OK);
    assert_int_equal(write_items(store, &waiting, NULL, 0), REC_OK);
    for (int kind = REC_WRITE_USER_ERASE + 1; kind < REC_WRITE_USER_ERASE + 4; kind++)
        assert_int_equal(write_delete(store, &waiting, (enum rec_write_kind)kind, "u"),
                         REC_BAD_INPUT);
    rec_store_close(&store);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interactions),
        cmocka_unit_test(test_event_ids),
        cmocka_unit_test(test_bad_interactions),
        cmocka_unit_test(test_types_cap),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_item_caps),
        cmocka_unit_test(test_categories_cap),
        cmocka_unit_test(test_ids_known_by_heart),
        cmocka_unit_test(test_erase),
        cmocka_unit_test(test_erase_leaves_no_bytes),
        cmocka_unit_test(test_erase_beside_a_scan),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_queue_cap),
        cmocka_unit_test(test_odd_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
