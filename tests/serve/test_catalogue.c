/* Goal: what the catalogue says about an item is what was put there last, whether it comes from a
 * write or from a restart: fragments are good JSON, GET gives back what PUT took, and hiding,
 * deleting and categories act on the next request.
 * Each check of an item runs before and after a restart. */
#include <stdio.h>
#include <string.h>

#include "serve/world.h"

enum { BUFFER_BYTES = 8192 };

struct texts {
    char id[8][2048], title[8][4096];
    size_t count;
};

static void keep_text(void *context, size_t position, const char *id_json, size_t id_bytes,
                      const char *title_json, size_t title_bytes) {
    struct texts *texts = context;
    assert_int_equal(position, texts->count);
    (void)snprintf(texts->id[position], sizeof(texts->id[0]), "%.*s", (int)id_bytes, id_json);
    (void)snprintf(texts->title[position], sizeof(texts->title[0]), "%.*s", (int)title_bytes,
                   title_json);
    texts->count++;
}

static void test_texts(void **state) {
    (void)state;
    static const struct {
        const char *id, *title, *id_json, *title_json;
    } cases[] = {
        {"7", "Toy Story (1995)", "\"item_id\":\"7\"", "\"title\":\"Toy Story (1995)\""},
        {"no title", NULL, "\"item_id\":\"no title\"", ""},
        {"empty title", "", "\"item_id\":\"empty title\"", "\"title\":\"\""},
        {"q\"\\", "\"\\/", "\"item_id\":\"q\\\"\\\\\"", "\"title\":\"\\\"\\\\/\""},
        {"control", "a\nb\x1f\x01", "\"item_id\":\"control\"",
         "\"title\":\"a\\u000ab\\u001f\\u0001\""},
        {"caf\xc3\xa9", "\xf0\x9f\x8e\xac", "\"item_id\":\"caf\xc3\xa9\"",
         "\"title\":\"\xf0\x9f\x8e\xac\""},
    };
    struct world world;
    world_open(&world, 1, 0);
    struct rec_ranked list[COUNT(cases)];
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            world_put(&world, &(struct rec_item){.item_id = cases[i].id, .title = cases[i].title}),
            REC_OK);
        list[i] = (struct rec_ranked){i, 1.0f};
    }
    for (int again = 0; again < 2; again++) {
        static struct texts texts;
        texts.count = 0;
        rec_catalogue_texts(world.serve, &list[0].item, sizeof(list[0]), COUNT(cases), keep_text,
                            &texts);
        assert_int_equal(texts.count, COUNT(cases));
        for (size_t i = 0; i < COUNT(cases); i++) {
            char buffer[BUFFER_BYTES];
            struct rec_item item;
            CHECK_ROW(strcmp(texts.id[i], cases[i].id_json) == 0, cases[i].id);
            CHECK_ROW(strcmp(texts.title[i], cases[i].title_json) == 0, cases[i].id);
            assert_int_equal(
                rec_catalogue_get(world.serve, cases[i].id, &item, buffer, sizeof(buffer), NULL),
                REC_OK);
            CHECK_ROW(strcmp(item.item_id, cases[i].id) == 0, cases[i].id);
            CHECK_ROW((item.title == NULL) == (cases[i].title == NULL), cases[i].id);
            if (item.title != NULL)
                CHECK_ROW(strcmp(item.title, cases[i].title) == 0, cases[i].id);
        }
        world_restart(&world);
    }
    world_close(&world);
}

/* "hidden|title|category,category", or "none". */
static const char *shown(struct world *world, const char *id) {
    static char text[1024];
    char buffer[BUFFER_BYTES];
    struct rec_item item;
    struct rec_error err = {0};
    enum rec_status st = rec_catalogue_get(world->serve, id, &item, buffer, sizeof(buffer), &err);
    assert_int_equal(st, err.status);
    if (st == REC_NOT_FOUND)
        return "none";
    assert_int_equal(st, REC_OK);
    int n = snprintf(text, sizeof(text), "%s|%s|", item.hidden ? "hidden" : "",
                     item.title == NULL ? "" : item.title);
    for (size_t i = 0; i < item.category_count; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s", i == 0 ? "" : ",",
                      item.categories[i]);
    return text;
}

static size_t listed(struct world *world, const char *category) {
    struct rec_recommended out;
    assert_int_equal(rec_recommend_run(
                         world->serve, 0,
                         &(struct rec_recommend_query){.k = 100, .category = category}, &out, NULL),
                     REC_OK);
    return out.count;
}

static void test_changes(void **state) {
    (void)state;
    const char *both[] = {"red", "blue"}, *green[] = {"green"};
    const struct rec_item full = {"a", "A", both, 2, false}, hidden = {"a", "B", green, 1, true};
    struct {
        const char *name;
        const struct rec_item *put;
        const char *deleted, *interaction;
        const char *a;
        size_t all, red, green;
    } steps[] = {
        {"nothing yet", NULL, NULL, NULL, "none", 0, 0, 0},
        {"put", &full, NULL, NULL, "|A|red,blue", 1, 1, 0},
        {"put again: hidden, other category", &hidden, NULL, NULL, "hidden|B|green", 0, 0, 0},
        {"an interaction does not unhide", NULL, NULL, "a", "hidden|B|green", 0, 0, 0},
        {"put back", &full, NULL, NULL, "|A|red,blue", 1, 1, 0},
        {"deleted", NULL, "a", NULL, "none", 0, 0, 0},
        {"an interaction brings it back, bare", NULL, NULL, "a", "||", 1, 0, 0},
        {"deleted once more", NULL, "a", NULL, "none", 0, 0, 0},
        {"a put brings it back", &full, NULL, NULL, "|A|red,blue", 1, 1, 0},
        {"an item nobody described", NULL, NULL, "b", "|A|red,blue", 2, 1, 0},
    };
    struct world world;
    uint64_t serial, history, before, after;
    world_open(&world, 1, 0);
    for (size_t i = 0; i < COUNT(steps); i++) {
        rec_recommend_versions(world.serve, NULL, &serial, &history, &before);
        if (steps[i].put != NULL)
            assert_int_equal(world_put(&world, steps[i].put), REC_OK);
        if (steps[i].deleted != NULL)
            assert_int_equal(world_delete(&world, steps[i].deleted), REC_OK);
        if (steps[i].interaction != NULL)
            assert_int_equal(world_order(&world, "u", steps[i].interaction, 1), REC_OK);
        rec_recommend_versions(world.serve, NULL, &serial, &history, &after);
        if (steps[i].put != NULL || steps[i].deleted != NULL)
            CHECK_ROW(after > before, steps[i].name);
        for (int again = 0; again < 2; again++) {
            CHECK_ROW(strcmp(shown(&world, "a"), steps[i].a) == 0, steps[i].name);
            CHECK_ROW(listed(&world, NULL) == steps[i].all, steps[i].name);
            CHECK_ROW(listed(&world, "red") == steps[i].red, steps[i].name);
            CHECK_ROW(listed(&world, "green") == steps[i].green, steps[i].name);
            CHECK_ROW(listed(&world, "no such category") == 0, steps[i].name);
            world_restart(&world);
        }
        rec_recommend_versions(world.serve, NULL, &serial, &history, &before);
        CHECK_ROW(after != before, steps[i].name); /* of another process */
    }
    assert_int_equal(world_delete(&world, "never was"), REC_NOT_FOUND);
    world_close(&world);
}

static void test_largest_item(void **state) {
    (void)state;
    static char names[REC_ITEM_CATEGORIES_MAX][REC_CATEGORY_BYTES_MAX + 1];
    static char title[REC_TITLE_BYTES_MAX + 1], id[REC_ID_BYTES_MAX + 1];
    const char *categories[REC_ITEM_CATEGORIES_MAX];
    for (size_t i = 0; i < COUNT(names); i++) {
        memset(names[i], 'c', REC_CATEGORY_BYTES_MAX);
        names[i][0] = (char)('0' + i);
        categories[i] = names[i];
    }
    memset(title, '"', REC_TITLE_BYTES_MAX);
    memset(id, '\\', REC_ID_BYTES_MAX);
    struct world world;
    world_open(&world, 1, 0);
    assert_int_equal(
        world_put(&world, &(struct rec_item){id, title, categories, COUNT(categories), true}),
        REC_OK);

    char buffer[BUFFER_BYTES + 1];
    struct rec_item item;
    size_t enough = 0;
    for (size_t cap = 0; cap <= BUFFER_BYTES; cap += cap < 600 ? 1 : 97) {
        memset(buffer, 'x', sizeof(buffer));
        enum rec_status st = rec_catalogue_get(world.serve, id, &item, buffer, cap, NULL);
        assert_true(buffer[cap] == 'x'); /* nothing is written past the end */
        if (st != REC_OK) {
            assert_int_equal(st, REC_LIMIT);
            assert_int_equal(enough, 0);
            continue;
        }
        enough = cap;
        assert_string_equal(item.title, title);
        assert_int_equal(item.category_count, COUNT(categories));
        assert_string_equal(item.categories[63], names[63]);
    }
    assert_true(enough > 0);
    /* Whatever the buffer's alignment is. */
    assert_int_equal(rec_catalogue_get(world.serve, id, &item, buffer + 1, BUFFER_BYTES, NULL),
                     REC_OK);
    world_close(&world);
}

/* The cap of categories, and one past it; then names that come and go. */
static void test_categories(void **state) {
    (void)state;
    static char names[REC_ITEM_CATEGORIES_MAX][16];
    const char *categories[REC_ITEM_CATEGORIES_MAX];
    struct world world;
    world_open(&world, 1, 0);
    for (size_t first = 0; first < REC_CATEGORIES_MAX; first += REC_ITEM_CATEGORIES_MAX) {
        for (size_t i = 0; i < REC_ITEM_CATEGORIES_MAX; i++) {
            (void)snprintf(names[i], sizeof(names[i]), "c%zu", first + i);
            categories[i] = names[i];
        }
        assert_int_equal(
            world_put(&world, &(struct rec_item){.item_id = world_name('i', first),
                                                 .categories = categories,
                                                 .category_count = REC_ITEM_CATEGORIES_MAX}),
            REC_OK);
    }
    const char *more[] = {"one more"};
    struct rec_item item = {.item_id = "x", .categories = more, .category_count = 1};
    assert_int_equal(world_put(&world, &item), REC_LIMIT);
    assert_int_equal(listed(&world, "one more"), 0);
    assert_int_equal(listed(&world, "c4095"), 1);

    assert_int_equal(world_delete(&world, "i0"), REC_OK); /* c0 .. c63 have no item any more */
    assert_int_equal(world_put(&world, &item), REC_OK);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(listed(&world, "one more"), 1);
        assert_int_equal(listed(&world, "c1"), 0);
        assert_int_equal(listed(&world, "c64"), 1);
        assert_string_equal(shown(&world, "x"), "||one more");
        world_restart(&world);
    }
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_largest_item),
        cmocka_unit_test(test_categories),
    };
    return cmocka_run_group_tests_name("serve/catalogue", tests, NULL, NULL);
}
