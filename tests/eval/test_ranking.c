#include <math.h>
#include <string.h>

#include "recsysd/eval.h"
#include "test.h"

/* 1 / log2(rank + 1), as a table so that the expectations below can be read. */
#define D1 1.0
#define D2 0.63092975357145743
#define D3 0.5
#define D4 0.43067655807339305

/* Goal: each metric of one list, computed by hand. Items are numbers; relevant is sorted. */
static const struct {
    const char *name;
    uint32_t k;
    uint32_t list[6];
    size_t list_count;
    uint32_t relevant[6];
    size_t relevant_count;
    double precision, recall, ndcg, map, mrr, hit;
} list_cases[] = {
    {"all found in order", 3, {7, 8, 9}, 3, {7, 8, 9}, 3, 1, 1, 1, 1, 1, 1},
    {"none found", 3, {1, 2, 3}, 3, {7, 8}, 2, 0, 0, 0, 0, 0, 0},
    {"one of one, first", 3, {7, 1, 2}, 3, {7}, 1, 1.0 / 3, 1, 1, 1, 1, 1},
    {"one of one, second", 3, {1, 7, 2}, 3, {7}, 1, 1.0 / 3, 1, D2, 0.5, 0.5, 1},
    {"one of one, last", 3, {1, 2, 7}, 3, {7}, 1, 1.0 / 3, 1, D3, 1.0 / 3, 1.0 / 3, 1},
    {"one of one, behind the cut", 3, {1, 2, 3, 7}, 4, {7}, 1, 0, 0, 0, 0, 0, 0},
    {"two of three, first and third",
     4,
     {8, 1, 9, 2},
     4,
     {7, 8, 9},
     3,
     0.5,
     2.0 / 3,
     (D1 + D3) / (D1 + D2 + D3),
     (1.0 + 2.0 / 3) / 3,
     1,
     1},
    {"more relevant than k: the ideal is a full list",
     2,
     {5, 6},
     2,
     {5, 6, 7, 8},
     4,
     1,
     0.5,
     1,
     1,
     1,
     1},
    {"more relevant than k, one hit",
     2,
     {1, 6},
     2,
     {5, 6, 7, 8},
     4,
     0.5,
     0.25,
     D2 / (D1 + D2),
     0.25,
     0.5,
     1},
    {"a short list is not a precise one",
     4,
     {7},
     1,
     {7, 8},
     2,
     0.25,
     0.5,
     D1 / (D1 + D2),
     0.5,
     1,
     1},
    {"an empty list", 4, {0}, 0, {7}, 1, 0, 0, 0, 0, 0, 0},
    {"item 0 and a large item", 2, {0, 4000000000u}, 2, {0, 4000000000u}, 2, 1, 1, 1, 1, 1, 1},
    {"second and fourth of two",
     4,
     {1, 7, 2, 8},
     4,
     {7, 8},
     2,
     0.5,
     1,
     (D2 + D4) / (D1 + D2),
     (0.5 + 0.5) / 2,
     0.5,
     1},
};

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-14;
}

static void test_lists(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(list_cases); i++) {
        const char *name = list_cases[i].name;
        struct rec_ranking sum = {.k = list_cases[i].k};
        rec_ranking_add(&sum, list_cases[i].list, list_cases[i].list_count, list_cases[i].relevant,
                        list_cases[i].relevant_count);
        CHECK_ROW(sum.users == 1, name);
        CHECK_ROW(near(sum.precision, list_cases[i].precision), name);
        CHECK_ROW(near(sum.recall, list_cases[i].recall), name);
        CHECK_ROW(near(sum.ndcg, list_cases[i].ndcg), name);
        CHECK_ROW(near(sum.map, list_cases[i].map), name);
        CHECK_ROW(near(sum.mrr, list_cases[i].mrr), name);
        CHECK_ROW(near(sum.hit, list_cases[i].hit), name);
    }
}

/* Goal: means are over users with something relevant; nobody makes zeros, not NaN. */
static void test_means(void **state) {
    (void)state;
    const uint32_t list[] = {1, 2}, first[] = {1}, other[] = {9};
    struct rec_ranking sum = {.k = 2};
    rec_ranking_finish(&sum);
    assert_true(sum.ndcg == 0.0 && sum.users == 0);
    rec_ranking_add(&sum, list, 2, first, 1);
    rec_ranking_add(&sum, list, 2, other, 1);
    rec_ranking_add(&sum, list, 2, other, 1);
    rec_ranking_add(&sum, list, 2, first, 1);
    rec_ranking_add(&sum, list, 2, other, 0); /* nothing relevant: no user */
    rec_ranking_finish(&sum);
    assert_int_equal(sum.users, 4);
    assert_true(near(sum.precision, 0.25) && near(sum.recall, 0.5) && near(sum.ndcg, 0.5));
    assert_true(near(sum.map, 0.5) && near(sum.mrr, 0.5) && near(sum.hit, 0.5));
}

/* Goal: the JSON text, and the bytes it takes when there is no room. */
static void test_json(void **state) {
    (void)state;
    const struct rec_ranking ranking = {.k = 10,
                                        .users = 608,
                                        .ndcg = 0.0381,
                                        .recall = 0.07,
                                        .precision = 0.007,
                                        .map = 0.028,
                                        .mrr = 0.0281,
                                        .hit = 0.07,
                                        .coverage = 0.25,
                                        .avg_popularity = 101.5,
                                        .novelty = 2.5};
    const char *expect = "{\"k\": 10, \"users\": 608, \"ndcg\": 0.0381, \"recall\": 0.07, "
                         "\"precision\": 0.007, \"map\": 0.028, \"mrr\": 0.0281, \"hit\": 0.07, "
                         "\"coverage\": 0.25, \"avg_popularity\": 101.5, \"novelty\": 2.5}";
    char out[512], small[8];
    assert_int_equal(rec_ranking_write_json(&ranking, out, sizeof(out)), strlen(expect));
    assert_string_equal(out, expect);
    assert_int_equal(rec_ranking_write_json(&ranking, small, sizeof(small)), strlen(expect));
    assert_string_equal(small, "{\"k\": 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
