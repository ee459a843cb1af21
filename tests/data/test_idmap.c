#include <stdio.h>
#include <string.h>

#include "recsysd/data.h"
#include "test.h"

static uint32_t find(const struct rec_idmap *map, const char *id) {
    return rec_idmap_find(map, id, strlen(id));
}

static void bind(struct rec_idmap *map, const char *id, uint32_t index) {
    assert_int_equal(rec_idmap_bind(map, id, strlen(id), index, NULL), REC_OK);
}

/* Goal: an id keeps its index, the next new one gets the next, and both directions agree. */
static void test_intern(void **state) {
    (void)state;
    struct rec_idmap *map = rec_idmap_create();
    uint32_t index = 99;
    assert_int_equal(rec_idmap_count(map), 0);
    assert_int_equal(find(map, "a"), REC_STORE_NONE);
    assert_int_equal(rec_idmap_intern(map, "a", 1, &index, NULL), REC_OK);
    assert_int_equal(index, 0);
    assert_int_equal(rec_idmap_intern(map, "abc", 2, &index, NULL), REC_OK); /* "ab" */
    assert_int_equal(index, 1);
    assert_int_equal(rec_idmap_intern(map, "a", 1, &index, NULL), REC_OK);
    assert_int_equal(index, 0);
    assert_string_equal(rec_idmap_id(map, 1), "ab");
    assert_null(rec_idmap_id(map, 2));
    assert_int_equal(find(map, "abc"), REC_STORE_NONE);
    rec_idmap_destroy(&map);
    assert_null(map);
    rec_idmap_destroy(&map);
}

/* Goal: bind takes indices in any order, moves an id, and puts a new id in an index's place; no
 * half of an old pair stays. */
static void test_bind(void **state) {
    (void)state;
    struct rec_idmap *map = rec_idmap_create();
    bind(map, "late", 7);
    bind(map, "early", 2);
    assert_int_equal(rec_idmap_count(map), 8);
    assert_null(rec_idmap_id(map, 5));

    bind(map, "late", 3); /* the id moves */
    assert_int_equal(find(map, "late"), 3);
    assert_null(rec_idmap_id(map, 7));

    bind(map, "other", 3); /* the index gets another id */
    assert_int_equal(find(map, "late"), REC_STORE_NONE);
    assert_int_equal(find(map, "other"), 3);
    assert_string_equal(rec_idmap_id(map, 3), "other");

    bind(map, "early", 3); /* both at once */
    assert_int_equal(find(map, "other"), REC_STORE_NONE);
    assert_int_equal(find(map, "early"), 3);
    assert_null(rec_idmap_id(map, 2));
    assert_int_equal(rec_idmap_count(map), 8);

    rec_idmap_remove(map, "early", 5); /* index 3 is nobody's now, and was three ids' before */
    assert_int_equal(find(map, "late"), REC_STORE_NONE);
    assert_int_equal(find(map, "other"), REC_STORE_NONE);

    uint32_t index;
    assert_int_equal(rec_idmap_intern(map, "new", 3, &index, NULL), REC_OK);
    assert_int_equal(index, 8); /* never one that was given out before */
    rec_idmap_destroy(&map);
}

/* Goal: with removals in between, the map agrees with a plain array all the time, whatever slots
 * the ids share; growing included. */
static void test_against_array(void **state) {
    (void)state;
    enum { IDS = 3000, STEPS = 60000 };
    static uint32_t truth[IDS];
    struct rec_idmap *map = rec_idmap_create();
    struct rec_rng rng;
    char id[16];
    uint32_t next = 0;
    rec_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < IDS; i++)
        truth[i] = REC_STORE_NONE;
    for (size_t step = 0; step < STEPS; step++) {
        uint32_t n = rec_rng_below(&rng, IDS);
        (void)snprintf(id, sizeof(id), "id-%u", n);
        assert_int_equal(find(map, id), truth[n]);
        if (truth[n] == REC_STORE_NONE) {
            bind(map, id, next);
            truth[n] = next++;
        } else if (rec_rng_below(&rng, 3) == 0) {
            assert_string_equal(rec_idmap_id(map, truth[n]), id);
            rec_idmap_remove(map, id, strlen(id));
            truth[n] = REC_STORE_NONE;
        }
    }
    for (uint32_t n = 0; n < IDS; n++) {
        (void)snprintf(id, sizeof(id), "id-%u", n);
        assert_int_equal(find(map, id), truth[n]);
    }
    rec_idmap_destroy(&map);
}

/* Goal: an id that was removed cannot be read from memory any more: it may be an erased person's.
 */
static void test_removed_is_wiped(void **state) {
    (void)state;
    static const char nothing[8] = "";
    struct rec_idmap *map = rec_idmap_create();
    uint32_t index;
    assert_int_equal(rec_idmap_intern(map, "a person", 8, &index, NULL), REC_OK);
    const char *text = rec_idmap_id(map, index);
    assert_string_equal(text, "a person");
    rec_idmap_remove(map, text, 8);
    assert_memory_equal(text, nothing, sizeof(nothing));
    rec_idmap_destroy(&map);
}

/* Goal: an id's text stays where it is while the map grows: others hold the pointer. */
static void test_texts_stay(void **state) {
    (void)state;
    struct rec_idmap *map = rec_idmap_create();
    char id[REC_ID_BYTES_MAX + 1];
    bind(map, "first", 0);
    const char *first = rec_idmap_id(map, 0);
    for (uint32_t i = 1; i < 2000; i++) {
        memset(id, 'x', sizeof(id));
        id[snprintf(id, sizeof(id), "%u", i)] = '-';
        assert_int_equal(rec_idmap_bind(map, id, REC_ID_BYTES_MAX, i, NULL), REC_OK);
    }
    assert_ptr_equal(rec_idmap_id(map, 0), first);
    assert_string_equal(first, "first");
    rec_idmap_destroy(&map);
}

/* Goal: the caps are exact, and what is refused changes nothing. */
static void test_caps(void **state) {
    (void)state;
    struct rec_idmap *map = rec_idmap_create();
    char id[REC_ID_BYTES_MAX + 1];
    memset(id, 'x', sizeof(id));
    assert_int_equal(rec_idmap_bind(map, id, REC_ID_BYTES_MAX, 0, NULL), REC_OK);
    assert_int_equal(rec_idmap_bind(map, id, REC_ID_BYTES_MAX + 1, 1, NULL), REC_BAD_INPUT);
    assert_int_equal(rec_idmap_bind(map, id, 0, 1, NULL), REC_BAD_INPUT);
    assert_int_equal(rec_idmap_bind(map, "a", 1, REC_USERS_MAX, NULL), REC_LIMIT);
    assert_int_equal(rec_idmap_count(map), 1);
    rec_idmap_remove(map, "unknown", 7);
    rec_idmap_destroy(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intern),        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_against_array), cmocka_unit_test(test_texts_stay),
        cmocka_unit_test(test_caps),          cmocka_unit_test(test_removed_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
