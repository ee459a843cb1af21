/* Goal: a draw is never of an item the user has, and of each other item as often as of the next,
 * whoever the user: one with nothing, with a few items, with all but one; one by one or many at
 * once. Who has what is known exactly.
 *
 * How: the draws of an item are binomial; 6 deviations are passed once in a billion. */
#include <math.h>
#include <string.h>

#include "families/missing.h"
#include "test.h"

enum { ITEMS = 400, DRAWS = 100000, TOGETHER = 100 };

/* A user has items first, first + step, ... below end. */
static const struct user {
    const char *name;
    uint32_t first, step, end;
} table[] = {
    {"nothing", 0, 1, 0},
    {"the first item", 0, 1, 1},
    {"the last item", ITEMS - 1, 1, ITEMS},
    {"some: bits are shared", 7, 67, ITEMS},
    {"every third: a bit each", 1, 3, ITEMS},
    {"the first half", 0, 1, ITEMS / 2},
    {"all but the first", 1, 1, ITEMS},
    {"all but the last", 0, 1, ITEMS - 1},
    {"all but one of two ends", 1, 1, ITEMS - 1},
};

static void test_draws(void **state) {
    uint64_t offset[COUNT(table) + 1] = {0};
    uint32_t column[COUNT(table) * ITEMS];
    struct rec_csr users = {
        .rows = COUNT(table), .cols = ITEMS, .offset = offset, .column = column};
    struct rec_missing *missing = NULL;
    struct rec_rng rng;
    (void)state;
    for (uint32_t u = 0; u < COUNT(table); u++) {
        offset[u + 1] = offset[u];
        for (uint32_t i = table[u].first; i < table[u].end; i += table[u].step)
            column[offset[u + 1]++] = i;
    }
    assert_int_equal(rec_missing_create(&users, &missing, NULL), REC_OK);
    rec_rng_init(&rng, 1, 0);
    for (uint32_t u = 0; u < COUNT(table); u++) {
        uint32_t drawn[ITEMS] = {0};
        uint32_t one_user[TOGETHER], many[TOGETHER];
        for (size_t i = 0; i < TOGETHER; i++)
            one_user[i] = u;
        for (size_t n = 0; n < DRAWS; n++) { /* half of them one by one */
            if (n >= DRAWS / 2 && n % TOGETHER == 0)
                rec_missing_draw_all(missing, one_user, TOGETHER, &rng, many);
            uint32_t item = n < DRAWS / 2 ? rec_missing_draw(missing, u, &rng) : many[n % TOGETHER];
            assert_true(item < ITEMS);
            drawn[item]++;
        }
        for (uint32_t i = 0; i < ITEMS; i++)
            CHECK_ROW(rec_missing_has(missing, u, i) == (i >= table[u].first && i < table[u].end &&
                                                         (i - table[u].first) % table[u].step == 0),
                      table[u].name);
        for (uint64_t k = offset[u]; k < offset[u + 1]; k++) {
            CHECK_ROW(drawn[column[k]] == 0, table[u].name);
            drawn[column[k]] = UINT32_MAX;
        }
        double share = 1.0 / (double)(ITEMS - (offset[u + 1] - offset[u]));
        double mean = DRAWS * share, deviation = sqrt(mean * (1.0 - share));
        for (uint32_t i = 0; i < ITEMS; i++)
            if (drawn[i] != UINT32_MAX)
                CHECK_ROW(fabs((double)drawn[i] - mean) <= 6.0 * deviation, table[u].name);
    }
    rec_missing_destroy(&missing);
    assert_null(missing);
    rec_missing_destroy(&missing);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_draws)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
