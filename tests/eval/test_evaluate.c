#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/eval.h"
#include "test.h"

/* A model made by hand: item i scores base[i], plus 100 when its number has the parity of the
 * newest item of the history. Without a history it has no answer. */
static bool parity_query(const struct rec_model *model, const struct rec_history *history,
                         float *query, float *scratch) {
    (void)model;
    (void)scratch;
    query[0] = 0.0f;
    if (history->count == 0)
        return false;
    query[0] = (float)(history->events[history->count - 1].item % 2);
    return true;
}

static void parity_score(const struct rec_model *model, const float *queries, size_t n,
                         uint32_t first, uint32_t count, float *scores) {
    const float *base = model->self;
    for (size_t q = 0; q < n; q++)
        for (uint32_t i = 0; i < count; i++)
            scores[q * count + i] =
                base[first + i] + ((first + i) % 2 == (uint32_t)queries[q] ? 100.0f : 0.0f);
}

static const struct rec_family parity_family = {
    .name = "parity", .query = parity_query, .score = parity_score};

static struct rec_model parity_model(float *base, uint32_t items) {
    return (struct rec_model){
        .family = &parity_family, .items = items, .query_floats = 1, .self = base};
}

static struct rec_split *split_of(const struct rec_dataset_row *rows, size_t count, uint32_t users,
                                  uint32_t items, uint32_t test_last) {
    const struct rec_split_options options = {.test_last = test_last};
    struct rec_dataset *dataset = NULL;
    struct rec_split *split = NULL;
    assert_int_equal(rec_dataset_from_rows(rows, count, users, items, &dataset, NULL), REC_OK);
    assert_int_equal(rec_split_make(dataset, &options, &split, NULL), REC_OK);
    rec_dataset_destroy(&dataset);
    return split;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-12;
}

/* Goal: a small evaluation by hand: seen items leave the list, ties go to the lower index, users
 * without anything relevant do not count, coverage and popularity are those of what was shown.
 *
 * User 0 knows 0 and 2, asked for 4: even items come first, 4 and 6 tie, so the list is 4 6 1.
 * User 1 knows 1, asked for 6: odd items first, then 0 (base 5): the list is 3 5 7.
 * User 2 knows 0, asked for what was not liked: does not count. */
static void test_by_hand(void **state) {
    (void)state;
    const struct rec_dataset_row rows[] = {
        {0, 0, 1, 1}, {0, 2, 2, 1}, {0, 4, 3, 1}, {1, 1, 1, 1},
        {1, 6, 2, 1}, {2, 0, 1, 1}, {2, 5, 2, 0},
    };
    float base[8] = {5, 3, 1, 1, 1, 1, 1, 1};
    struct rec_model model = parity_model(base, 8);
    struct rec_split *split = split_of(rows, COUNT(rows), 3, 8, 1);
    const uint32_t ks[] = {1, 3, 8};
    const struct rec_evaluate_options options = {.ks = ks, .k_count = 3};
    struct rec_ranking got[3];
    assert_int_equal(rec_evaluate(&model, split, &options, got, NULL), REC_OK);

    assert_int_equal(got[0].users, 2);
    assert_true(near(got[0].precision, 0.5) && near(got[0].ndcg, 0.5) && near(got[0].hit, 0.5));
    assert_true(near(got[0].coverage, 2.0 / 8)); /* 4 and 3 */
    assert_true(near(got[0].avg_popularity, 0.0));

    /* 4 6 1 and 3 5 7; of these only 1 is in anybody's train part, once. */
    assert_true(near(got[1].precision, 1.0 / 6) && near(got[1].recall, 0.5));
    assert_true(near(got[1].coverage, 6.0 / 8));
    assert_true(near(got[1].avg_popularity, 1.0 / 6));

    /* All eligible ones: 4 6 1 3 5 7 and 3 5 7 0 2 4 6, so 6 comes seventh. */
    assert_true(near(got[2].recall, 1.0));
    assert_true(near(got[2].ndcg, (1.0 + 1.0 / 3.0) / 2));
    assert_true(near(got[2].mrr, (1.0 + 1.0 / 7) / 2));
    assert_true(near(got[2].coverage, 1.0));

    /* Of three users with anything, two have item 0, one has 1 or 2; the others count as if. */
    assert_true(near(got[1].novelty, log2(3.0)));
    assert_true(near(got[2].novelty, (12 * log2(3.0) + log2(1.5)) / 13));
    rec_split_destroy(&split);
}

/* Goal: users the model cannot answer for get the popular items of train, and items the model is
 * too old to know are never shown by it. */
static void test_fallback(void **state) {
    (void)state;
    const struct rec_dataset_row rows[] = {
        {0, 3, 1, 1}, {1, 3, 1, 1}, {2, 3, 1, 1}, {0, 2, 2, 1}, {1, 2, 2, 1},
        {0, 0, 3, 1}, {2, 5, 9, 1}, {1, 1, 9, 1}, {0, 4, 9, 1},
    };
    float base[8] = {0};
    struct rec_model model = parity_model(base, 4); /* knows items 0 to 3 */
    struct rec_split *split = split_of(rows, COUNT(rows), 3, 6, 1);
    const uint32_t ks[] = {6};
    const struct rec_evaluate_options options = {.ks = ks, .k_count = 1};
    struct rec_ranking got;

    /* Asked for 4, 1 and 5. The model shows user 0: 1; user 1: 0 1; user 2: 1 0 2. */
    assert_int_equal(rec_evaluate(&model, split, &options, &got, NULL), REC_OK);
    assert_true(near(got.hit, 1.0 / 3) && near(got.mrr, 0.5 / 3));
    assert_true(near(got.coverage, 3.0 / 6));

    /* With no history known, everybody gets 3 2 0 1 4 5 without the seen ones. */
    struct rec_dataset *nothing = NULL;
    assert_int_equal(rec_dataset_from_rows(NULL, 0, 3, 6, &nothing, NULL), REC_OK);
    split->history = nothing;
    assert_int_equal(rec_evaluate(&model, split, &options, &got, NULL), REC_OK);
    /* user 0: 1 4 5 wants 4; user 1: 0 1 4 5 wants 1; user 2: 2 0 1 4 5 wants 5 */
    assert_true(near(got.mrr, (1.0 / 2 + 1.0 / 2 + 1.0 / 5) / 3));
    rec_split_destroy(&split);
}

/* ---- random data, against the definition -------------------------------------------- */

enum { USERS = 150, ITEMS = 4500 /* more than one block */, ROWS = 4000 };

struct world {
    struct rec_split *split;
    float base[ITEMS];
    struct rec_model model;
};

/* A copy in which every third user has no history, so that batches mix those a model answers for
 * with those it does not. */
static struct rec_dataset *without_some(const struct rec_dataset *train) {
    static struct rec_dataset_row rows[ROWS];
    struct rec_dataset *out = NULL;
    size_t count = 0;
    for (uint32_t u = 0; u < train->users; u++)
        for (uint64_t e = train->offset[u]; u % 3 != 0 && e < train->offset[u + 1]; e++)
            rows[count++] = (struct rec_dataset_row){u, train->item[e], train->time[e], 1};
    assert_int_equal(rec_dataset_from_rows(rows, count, train->users, train->items, &out, NULL),
                     REC_OK);
    return out;
}

static void world_init(struct world *world) {
    static struct rec_dataset_row rows[ROWS];
    struct rec_rng rng;
    rec_rng_init(&rng, 4, 0);
    for (size_t r = 0; r < ROWS; r++)
        rows[r] = (struct rec_dataset_row){rec_rng_below(&rng, USERS), rec_rng_below(&rng, ITEMS),
                                           rec_rng_below(&rng, 1000), 1};
    for (uint32_t i = 0; i < ITEMS; i++)
        world->base[i] = (float)rec_rng_below(&rng, 50); /* many ties */
    world->split = split_of(rows, ROWS, USERS, ITEMS, 5);
    world->split->history = without_some(world->split->train);
    world->model = parity_model(world->base, ITEMS);
}

static bool in_row(const struct rec_csr *csr, uint32_t row, uint32_t column) {
    for (uint64_t k = csr->offset[row]; k < csr->offset[row + 1]; k++)
        if (csr->column[k] == column)
            return true;
    return false;
}

static int best_first(const void *a, const void *b) {
    const struct rec_ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->item > y->item) - (x->item < y->item);
}

static void score_by_definition(const struct world *world, uint32_t user, float *scores) {
    const struct rec_dataset *train = world->split->train, *history = world->split->history;
    if (history->offset[user + 1] > history->offset[user]) {
        float query = (float)(history->item[history->offset[user + 1] - 1] % 2);
        parity_score(&world->model, &query, 1, 0, ITEMS, scores);
        return;
    }
    for (uint32_t i = 0; i < ITEMS; i++)
        scores[i] = 0.0f;
    for (uint64_t e = 0; e < train->offset[train->users]; e++)
        scores[train->item[e]] += 1.0f;
}

/* The definition: score one user at a time, sort everything, cut. */
static struct rec_ranking by_definition(struct world *world, uint32_t k) {
    static struct rec_ranked ranked[ITEMS];
    static float scores[ITEMS];
    static bool shown[ITEMS];
    const struct rec_split *split = world->split;
    struct rec_ranking sum = {.k = k};
    size_t distinct = 0;
    memset(shown, 0, sizeof(shown));
    for (uint32_t u = 0; u < USERS; u++) {
        uint64_t from = split->test->offset[u], count = split->test->offset[u + 1] - from;
        if (count == 0)
            continue;
        score_by_definition(world, u, scores);
        size_t left = 0;
        for (uint32_t i = 0; i < ITEMS; i++)
            if (!in_row(split->seen, u, i))
                ranked[left++] = (struct rec_ranked){i, scores[i]};
        qsort(ranked, left, sizeof(ranked[0]), best_first);
        uint32_t list[REC_K_MAX];
        for (uint32_t i = 0; i < k; i++) {
            list[i] = ranked[i].item;
            distinct += !shown[list[i]];
            shown[list[i]] = true;
        }
        rec_ranking_add(&sum, list, k, split->test->column + from, (size_t)count);
    }
    rec_ranking_finish(&sum);
    sum.coverage = (double)distinct / ITEMS;
    return sum;
}

static void test_definition(void **state) {
    (void)state;
    static struct world world;
    world_init(&world);
    const uint32_t ks[] = {5, 100, REC_K_MAX};
    const struct rec_evaluate_options options = {.ks = ks, .k_count = 3};
    struct rec_ranking got[3];
    assert_int_equal(rec_evaluate(&world.model, world.split, &options, got, NULL), REC_OK);
    for (size_t c = 0; c < 3; c++) {
        struct rec_ranking expect = by_definition(&world, ks[c]);
        assert_int_equal(got[c].users, expect.users);
        assert_true(expect.users > 100 && (c == 0 || expect.recall > 0));
        assert_true(near(got[c].precision, expect.precision) && near(got[c].ndcg, expect.ndcg));
        assert_true(near(got[c].recall, expect.recall) && near(got[c].map, expect.map));
        assert_true(near(got[c].mrr, expect.mrr) && near(got[c].hit, expect.hit));
        assert_true(near(got[c].coverage, expect.coverage));
    }
    rec_split_destroy(&world.split);
}

/* Goal: the same bits for any number of threads. */
static void test_threads(void **state) {
    (void)state;
    static struct world world;
    world_init(&world);
    const uint32_t ks[] = {10, 50};
    struct rec_ranking one[2];
    for (size_t threads = 1; threads <= 4; threads++) {
        struct rec_pool *pool = NULL;
        struct rec_ranking got[2];
        assert_int_equal(rec_pool_create(threads, false, &pool, NULL), REC_OK);
        const struct rec_evaluate_options options = {.ks = ks, .k_count = 2, .pool = pool};
        assert_int_equal(rec_evaluate(&world.model, world.split, &options, got, NULL), REC_OK);
        if (threads == 1)
            memcpy(one, got, sizeof(one));
        assert_memory_equal(got, one, sizeof(one));
        rec_pool_destroy(&pool);
    }
    rec_split_destroy(&world.split);
}

static void test_refused(void **state) {
    (void)state;
    static struct world world;
    world_init(&world);
    atomic_bool cancel = true;
    const struct rec_progress cancelled = {.cancel = &cancel};
    static const uint32_t zero[] = {0}, past[] = {REC_K_MAX + 1}, fine[] = {10};
    const struct {
        const char *name;
        struct rec_evaluate_options options;
        enum rec_status status;
    } cases[] = {
        {"no k", {.ks = fine, .k_count = 0}, REC_BAD_INPUT},
        {"k of 0", {.ks = zero, .k_count = 1}, REC_BAD_INPUT},
        {"k past the cap", {.ks = past, .k_count = 1}, REC_BAD_INPUT},
        {"no validation", {.ks = fine, .k_count = 1, .on_validation = true}, REC_BAD_INPUT},
        {"cancelled", {.ks = fine, .k_count = 1, .progress = &cancelled}, REC_CANCELLED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_ranking untouched = {.k = 77};
        struct rec_error err = {0};
        CHECK_ROW(rec_evaluate(&world.model, world.split, &cases[i].options, &untouched, &err) ==
                      cases[i].status,
                  cases[i].name);
        CHECK_ROW(untouched.k == 77 && err.status == cases[i].status, cases[i].name);
    }
    rec_split_destroy(&world.split);
}

/* Sums up what single users got, to compare with the means. */
struct users {
    struct rec_ranking sum[2], bucket[REC_BUCKETS][2];
    uint32_t last;
    size_t count;
    const struct rec_dataset *train;
};

static void on_user(void *context, uint32_t user, uint64_t positives,
                    const struct rec_ranking *at) {
    struct users *users = context;
    assert_true(users->count == 0 || user > users->last);
    assert_int_equal(positives, rec_bucket_positives(users->train, user));
    for (size_t c = 0; c < 2; c++) {
        assert_int_equal(at[c].users, 1);
        rec_ranking_merge(&users->sum[c], &at[c]);
        rec_ranking_merge(&users->bucket[rec_bucket_of(positives)][c], &at[c]);
    }
    users->last = user;
    users->count++;
}

/* Goal: single users and buckets are parts of the whole: their means are its means. */
static void test_single_users(void **state) {
    (void)state;
    static struct world world;
    world_init(&world);
    const uint32_t ks[] = {3, 10};
    struct users users = {.train = world.split->train};
    struct rec_ranking got[2], plain[2], buckets[REC_BUCKETS * 2];
    struct rec_evaluate_options options = {.ks = ks, .k_count = 2};
    assert_int_equal(rec_evaluate(&world.model, world.split, &options, plain, NULL), REC_OK);
    options.buckets = buckets;
    options.user = on_user;
    options.user_context = &users;
    assert_int_equal(rec_evaluate(&world.model, world.split, &options, got, NULL), REC_OK);
    for (size_t m = 0; m < rec_metric_count; m++) /* asking for parts changes nothing */
        for (size_t c = 0; c < 2; c++)
            assert_true(near(rec_metric_get(&rec_metrics[m], &got[c]),
                             rec_metric_get(&rec_metrics[m], &plain[c])));
    assert_int_equal(users.count, got[0].users);
    for (size_t c = 0; c < 2; c++) {
        uint64_t tested = 0;
        rec_ranking_finish(&users.sum[c]);
        assert_true(near(users.sum[c].ndcg, got[c].ndcg));
        assert_true(near(users.sum[c].map, got[c].map));
        for (size_t b = 0; b < REC_BUCKETS; b++) {
            const struct rec_ranking *bucket = &buckets[b * 2 + c];
            rec_ranking_finish(&users.bucket[b][c]);
            assert_int_equal(bucket->k, ks[c]);
            assert_int_equal(bucket->users, users.bucket[b][c].users);
            assert_true(near(bucket->ndcg, users.bucket[b][c].ndcg));
            assert_true(near(bucket->recall, users.bucket[b][c].recall));
            tested += bucket->users;
        }
        assert_int_equal(tested, got[c].users);
    }
    rec_split_destroy(&world.split);
}

/* Goal: the bounds of the buckets belong to the upper one. */
static void test_bucket_bounds(void **state) {
    (void)state;
    static const struct {
        uint64_t positives;
        const char *name;
    } bounds[] = {{0, "cold"},    {9, "cold"},  {10, "medium"},
                  {49, "medium"}, {50, "warm"}, {UINT64_MAX, "warm"}};
    for (size_t i = 0; i < COUNT(bounds); i++)
        assert_string_equal(rec_bucket_name(rec_bucket_of(bounds[i].positives)), bounds[i].name);
}

/* Goal: whichever allocation fails, the evaluation says so and leaks nothing. */
static void test_allocations(void **state) {
    (void)state;
    static struct world world;
    world_init(&world);
    const uint32_t ks[] = {10};
    struct rec_ranking buckets[REC_BUCKETS];
    const struct rec_evaluate_options options = {.ks = ks, .k_count = 1, .buckets = buckets};
    size_t live = rec_alloc_live();
    long n = 0;
    for (enum rec_status st = REC_NO_MEMORY; st != REC_OK; n++) {
        struct rec_ranking got;
        struct rec_error err = {0};
        rec_alloc_fail_at(n);
        st = rec_evaluate(&world.model, world.split, &options, &got, &err);
        rec_alloc_fail_at(-1);
        assert_true(st == REC_OK || (st == REC_NO_MEMORY && err.status == REC_NO_MEMORY));
        assert_int_equal(rec_alloc_live(), live);
    }
    assert_true(n > 5);
    rec_split_destroy(&world.split);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),      cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_definition),   cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_single_users), cmocka_unit_test(test_bucket_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
