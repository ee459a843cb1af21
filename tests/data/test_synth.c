/* Goal: made-up data are what they are said to be: exactly so many rows of that many users, the
 * same from the same seed, in the order asked for, with the popularity and activity asked for;
 * options out of range are refused by name. That models can learn from them is tested through the
 * binary (tests/app/test_synth.py). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/data.h"
#include "test.h"

struct kept {
    struct rec_synth_row *rows;
    size_t count, capacity;
    size_t fail_at; /* 0: never */
};

static enum rec_status keep(void *context, const struct rec_synth_row *rows, size_t count,
                            struct rec_error *err) {
    struct kept *kept = context;
    if (kept->fail_at != 0 && kept->count + count > kept->fail_at)
        return rec_error_set(err, REC_IO, "the disk is full");
    assert_int_equal(
        rec_alloc_grow(&kept->rows, &kept->capacity, kept->count + count, sizeof(*kept->rows), err),
        REC_OK);
    memcpy(kept->rows + kept->count, rows, count * sizeof(*rows));
    kept->count += count;
    return REC_OK;
}

static struct kept make(struct rec_synth_options options) {
    struct kept kept = {0};
    assert_int_equal(rec_synth_run(&options, keep, &kept, NULL), REC_OK);
    return kept;
}

static const struct rec_synth_options plain = {.users = 500,
                                               .items = 300,
                                               .interactions = 20000,
                                               .seed = 7,
                                               .exponent = 0.8,
                                               .activity = 1,
                                               .taste = 0.75};

/* Goal: the number of rows is exact, every user has one, indices and times are within their ranges,
 * and rows come by user and by time within the user. */
static void test_shape(void **state) {
    static const struct {
        const char *name;
        uint32_t users, items;
        uint64_t interactions;
        double exponent, activity, taste;
        uint32_t clusters;
    } rows[] = {
        {"plain", 500, 300, 20000, 0.8, 1, 0.75, 0},
        {"one of each", 1, 1, 1, 0.8, 1, 0.75, 0},
        {"one row each", 50, 10, 50, 0.8, 1, 0.75, 0},
        {"more rows than items", 3, 5, 1000, 0.8, 1, 1, 0},
        {"a cluster an item", 50, 20, 500, 0.8, 1, 1, 20},
        {"one cluster", 50, 20, 500, 0.8, 1, 1, 1},
        {"all alike", 50, 20, 503, 0, 0, 0, 0},
        {"extremes", 200, 50, 5000, 4, 4, 1, 3},
    };
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct kept kept = make((struct rec_synth_options){.users = rows[r].users,
                                                           .items = rows[r].items,
                                                           .interactions = rows[r].interactions,
                                                           .seed = 3,
                                                           .exponent = rows[r].exponent,
                                                           .activity = rows[r].activity,
                                                           .taste = rows[r].taste,
                                                           .clusters = rows[r].clusters});
        uint32_t users = 0;
        CHECK_ROW(kept.count == rows[r].interactions, rows[r].name);
        for (size_t i = 0; i < kept.count; i++) {
            const struct rec_synth_row *row = &kept.rows[i], *before = i > 0 ? row - 1 : NULL;
            bool same = before != NULL && before->user == row->user;
            CHECK_ROW(row->item < rows[r].items, rows[r].name);
            CHECK_ROW(row->time >= REC_SYNTH_BEGIN_S, rows[r].name);
            CHECK_ROW(row->time < REC_SYNTH_BEGIN_S + (REC_SYNTH_DAYS + 2u) * 86400u, rows[r].name);
            CHECK_ROW(same ? before->time < row->time : row->user == users, rows[r].name);
            users += !same;
        }
        CHECK_ROW(users == rows[r].users, rows[r].name);
        rec_alloc_free(kept.rows);
    }
}

/* Goal: the seed alone decides; users keep their rows when others are added in number of rows only
 * by their share, so nothing but the stated options matters. */
static void test_seed(void **state) {
    (void)state;
    struct rec_synth_options other = plain;
    other.seed++;
    struct kept a = make(plain), b = make(plain), c = make(other);
    assert_memory_equal(a.rows, b.rows, a.count * sizeof(*a.rows));
    assert_memory_not_equal(a.rows, c.rows, a.count * sizeof(*a.rows));
    rec_alloc_free(a.rows);
    rec_alloc_free(b.rows);
    rec_alloc_free(c.rows);
}

static int by_user_and_time(const void *left, const void *right) {
    const struct rec_synth_row *a = left, *b = right;
    if (a->user != b->user)
        return a->user < b->user ? -1 : 1;
    return (a->time > b->time) - (a->time < b->time);
}

/* Goal: by time they are the same rows, in the other order. */
static void test_by_time(void **state) {
    (void)state;
    struct kept by_user = make(plain), by_time = {0};
    assert_int_equal(rec_synth_by_time(&plain, keep, &by_time, NULL), REC_OK);
    assert_int_equal(by_time.count, by_user.count);
    for (size_t i = 1; i < by_time.count; i++)
        assert_true(by_time.rows[i - 1].time <= by_time.rows[i].time);
    qsort(by_time.rows, by_time.count, sizeof(*by_time.rows), by_user_and_time);
    assert_memory_equal(by_time.rows, by_user.rows, by_user.count * sizeof(*by_user.rows));
    rec_alloc_free(by_user.rows);
    rec_alloc_free(by_time.rows);
}

/* ---- what it is like -------------------------------------------------------------------- */

static int falling(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (b > a) - (b < a);
}

/* Rows of each of `of` users or items, most first. */
static uint32_t *counts(const struct kept *kept, uint32_t of, bool users) {
    uint32_t *count = rec_alloc_array(of, sizeof(*count));
    assert_non_null(count);
    for (size_t i = 0; i < kept->count; i++)
        count[users ? kept->rows[i].user : kept->rows[i].item]++;
    qsort(count, of, sizeof(*count), falling);
    return count;
}

/* Goal: from rank to rank, items' counts fall as the power law says. How near 20 sums of draws come
 * is a matter of chance, but of the seed's alone; repeats that are drawn again flatten the head,
 * which is why it is left out and many users with few rows each are made. */
static void test_popularity(void **state) {
    static const double exponents[] = {0.0, 0.5, 0.8, 1.2};
    (void)state;
    for (size_t e = 0; e < COUNT(exponents); e++) {
        struct kept kept = make((struct rec_synth_options){.users = 100000,
                                                           .items = 1000,
                                                           .interactions = 400000,
                                                           .seed = 5,
                                                           .exponent = exponents[e],
                                                           .activity = 0.5,
                                                           .taste = 0.5});
        uint32_t *count = counts(&kept, 1000, false);
        double head = 0, tail = 0, head_expected = 0, tail_expected = 0;
        for (uint32_t i = 0; i < 100; i++) {
            head += count[20 + i];
            head_expected += pow(20 + i + 11, -exponents[e]);
            tail += count[600 + i];
            tail_expected += pow(600 + i + 11, -exponents[e]);
        }
        double ratio = head / tail / (head_expected / tail_expected);
        if (!(ratio > 0.85 && ratio < 1.15))
            fail_msg("exponent %g: head to tail is %g of the power law", exponents[e], ratio);
        rec_alloc_free(count);
        rec_alloc_free(kept.rows);
    }
}

/* Goal: the logarithm of users' activity has the deviation asked for. */
static void test_activity(void **state) {
    static const double deviations[] = {0.0, 0.5, 1.0, 1.5};
    (void)state;
    for (size_t d = 0; d < COUNT(deviations); d++) {
        struct rec_synth_options options = plain;
        options.users = 1000;
        options.items = 5000;
        options.interactions = 1000000;
        options.activity = deviations[d];
        struct kept kept = make(options);
        uint32_t *count = counts(&kept, options.users, true);
        double sum = 0, squares = 0;
        for (uint32_t u = 0; u < options.users; u++) {
            double logarithm = log(count[u]);
            sum += logarithm;
            squares += logarithm * logarithm;
        }
        sum /= options.users;
        double deviation = sqrt(fabs(squares / options.users - sum * sum));
        if (fabs(deviation - deviations[d]) > 0.08)
            fail_msg("activity %g: the deviation is %g", deviations[d], deviation);
        rec_alloc_free(count);
        rec_alloc_free(kept.rows);
    }
}

/* Goal: who is very busy is so within the two years, a row a second at most. */
static void test_busy(void **state) {
    struct rec_synth_options options = plain;
    (void)state;
    options.users = 50;
    options.interactions = 600000;
    options.activity = 3;
    struct kept kept = make(options);
    uint32_t *count = counts(&kept, options.users, true), most = 0;
    for (uint32_t u = 0; u < options.users; u++)
        most = count[u] > most ? count[u] : most;
    assert_true(most > 200000); /* too many for a minute each */
    for (size_t r = 0; r < kept.count; r++) {
        assert_true(kept.rows[r].time < REC_SYNTH_BEGIN_S + REC_SYNTH_DAYS * 86400);
        if (r > 0 && kept.rows[r].user == kept.rows[r - 1].user)
            assert_true(kept.rows[r].time > kept.rows[r - 1].time);
    }
    rec_alloc_free(count);
    rec_alloc_free(kept.rows);
}

/* Goal: what a user does is not spread over all items where there is taste: two rows of a user are
 * of one cluster far more often. Told by items that few have: how many users who have one of two
 * items have both. */
static void test_taste(void **state) {
    double together[2];
    (void)state;
    for (int with = 0; with < 2; with++) {
        struct rec_synth_options options = plain;
        options.exponent = 0; /* all alike: only taste makes a difference */
        options.taste = with;
        options.clusters = 30;
        options.interactions = 5000;
        struct kept kept = make(options);
        uint8_t *has = rec_alloc_array((size_t)options.users * options.items, 1);
        double best = 0;
        assert_non_null(has);
        for (size_t i = 0; i < kept.count; i++)
            has[(size_t)kept.rows[i].user * options.items + kept.rows[i].item] = 1;
        for (uint32_t other = 1; other < options.items; other++) {
            double both = 0, either = 0;
            for (uint32_t u = 0; u < options.users; u++) {
                bool a = has[(size_t)u * options.items], b = has[(size_t)u * options.items + other];
                both += a && b;
                either += a || b;
            }
            best = either > 0 && both / either > best ? both / either : best;
        }
        together[with] = best;
        rec_alloc_free(has);
        rec_alloc_free(kept.rows);
    }
    if (!(together[1] > 2 * together[0]))
        fail_msg("%g of users have both with taste, %g without", together[1], together[0]);
}

/* ---- refusals ----------------------------------------------------------------------------- */

static void test_bad_options(void **state) {
    static const struct {
        const char *name, *text;
        struct rec_synth_options options;
    } rows[] = {
        {"no users", "users", {.items = 1, .interactions = 1}},
        {"too many users", "users", {REC_USERS_MAX + 1u, 1, 1u << 30, 0, 0, 0, 0, 0}},
        {"no items", "items", {.users = 1, .interactions = 1}},
        {"too many items", "items", {1, REC_ITEMS_MAX + 1u, 1, 0, 0, 0, 0, 0}},
        {"fewer rows than users", "interactions: 2 ", {3, 1, 2, 0, 0, 0, 0, 0}},
        {"more clusters than items", "clusters: 3 ", {1, 2, 1, 0, 3, 0, 0, 0}},
        {"exponent", "exponent", {1, 1, 1, 0, 0, 4.1, 0, 0}},
        {"not a number", "exponent", {1, 1, 1, 0, 0, (double)NAN, 0, 0}},
        {"activity", "activity", {1, 1, 1, 0, 0, 0, -0.1, 0}},
        {"taste", "taste", {1, 1, 1, 0, 0, 0, 0, 1.1}},
        {"more rows than seconds", "activity 0 gives", {2, 1, 1u << 30, 0, 0, 0, 0, 0}},
    };
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct rec_error err = {0};
        struct kept kept = {0};
        CHECK_ROW(rec_synth_run(&rows[r].options, keep, &kept, &err) == REC_BAD_INPUT,
                  rows[r].name);
        CHECK_ROW(strstr(err.text, rows[r].text) != NULL, rows[r].name);
        CHECK_ROW(kept.count == 0, rows[r].name);
    }
}

/* Goal: what the caller answers ends it, and memory that fails leaks nothing. */
static void test_stops(void **state) {
    (void)state;
    struct rec_error err = {0};
    struct kept kept = {.fail_at = 10000};
    assert_int_equal(rec_synth_run(&plain, keep, &kept, &err), REC_IO);
    assert_string_equal(err.text, "the disk is full");
    assert_true(kept.count <= 10000);
    rec_alloc_free(kept.rows);

    size_t alive = rec_alloc_live();
    enum rec_status st = REC_NO_MEMORY;
    for (long n = 0; st == REC_NO_MEMORY; n++) {
        struct kept none = {.capacity = 0};
        struct rec_synth_options few = plain;
        few.interactions = 600;
        none.rows = rec_alloc_array(8192, sizeof(*none.rows));
        none.capacity = 8192; /* keep() asks for nothing */
        rec_alloc_fail_at(n);
        st = rec_synth_by_time(&few, keep, &none, NULL);
        rec_alloc_fail_at(-1);
        rec_alloc_free(none.rows);
        assert_int_equal(rec_alloc_live(), alive);
    }
    assert_int_equal(st, REC_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),       cmocka_unit_test(test_seed),
        cmocka_unit_test(test_by_time),     cmocka_unit_test(test_popularity),
        cmocka_unit_test(test_activity),    cmocka_unit_test(test_taste),
        cmocka_unit_test(test_bad_options), cmocka_unit_test(test_stops),
        cmocka_unit_test(test_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
