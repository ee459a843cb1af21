/* Goal: the coarse scan keeps exactly the items, and exactly the bits, that scoring every row and
 * ranking all scores keeps: for factors that suit it and for those made to fool it, any length of
 * rows, any k, any mask, any variant of the kernels. Its integers are the definition's, and its
 * bounds hold every score.
 *
 * How: rec_kernels_rows_dot over everything and rec_topk_scan are the definition. */
#include <float.h>
#include <math.h>

#include "kernels.h"
#include "variants.h"

enum { ITEMS = 700, MANY = 9001, MASK_WORDS = MANY / 64 + 1 };

/* ---- factors -------------------------------------------------------------------------- */

enum pattern {
    RANDOM,
    CLUSTERED,
    GROWING,
    ALL_EQUAL,
    FEW_ROWS,
    ONE_HUGE,
    ONE_HUGE_DIMENSION,
    ALTERNATING,
    MOSTLY_ZERO,
    ALL_ZERO,
    TINY_VALUES,
    DENORMAL,
    HUGE_VALUES,
    CLOSE_TIES,
};
static const struct {
    const char *name;
    enum pattern pattern;
} patterns[] = {
    {"random", RANDOM},
    {"clustered around a few", CLUSTERED},
    {"each longer than the one before", GROWING},
    {"all rows equal", ALL_EQUAL},
    {"few different rows", FEW_ROWS},
    {"one huge row", ONE_HUGE},
    {"one huge dimension", ONE_HUGE_DIMENSION},
    {"alternating signs that cancel", ALTERNATING},
    {"rows of zeros among others", MOSTLY_ZERO},
    {"all zero", ALL_ZERO},
    {"tiny values", TINY_VALUES},
    {"denormal values", DENORMAL},
    {"so large that scores overflow", HUGE_VALUES},
    {"rows that differ in the last bit", CLOSE_TIES},
};

static float value_of(enum pattern pattern, struct rec_rng *rng, size_t item, size_t i) {
    struct rec_rng fixed;
    rec_rng_init(&fixed, i, item % 5);
    float normal = rec_rng_normal(rng), shared = rec_rng_normal(&fixed);
    switch (pattern) {
    case RANDOM:
        return normal;
    case CLUSTERED:
        return shared + 0.05f * normal;
    case GROWING:
        return normal * (1.0f + 0.1f * (float)item);
    case ALL_EQUAL:
        return 0.3f + (float)i;
    case FEW_ROWS:
        return shared;
    case ONE_HUGE:
        return item == 123 ? 1e6f * normal : normal;
    case ONE_HUGE_DIMENSION:
        return i == 1 ? 1e6f + normal : normal;
    case ALTERNATING:
        return (i % 2 == 0 ? 1000.0f : -1000.0f) + 0.001f * normal;
    case MOSTLY_ZERO:
        return item % 3 == 0 ? normal : 0.0f;
    case ALL_ZERO:
        return 0.0f;
    case TINY_VALUES:
        return 1e-22f * normal;
    case DENORMAL:
        return 1e-43f * normal;
    case HUGE_VALUES:
        return 1e19f * normal;
    case CLOSE_TIES:
        return nextafterf(0.5f + (float)i, normal > 0.0f ? INFINITY : 0.0f);
    }
    return 0.0f;
}

struct world {
    const char *name;
    uint32_t items;
    size_t n;
    float *rows, *query, *scores;
    struct rec_scan *scan;
};

static void world_init(struct world *world, size_t p, uint32_t items, size_t n) {
    struct rec_rng rng;
    rec_rng_init(&rng, n, p);
    *world = (struct world){patterns[p].name, items,         n,   floats(items * n),
                            floats(n),        floats(items), NULL};
    for (size_t item = 0; item < items; item++)
        for (size_t i = 0; i < n; i++)
            world->rows[item * n + i] = value_of(patterns[p].pattern, &rng, item, i);
    for (size_t i = 0; i < n; i++)
        world->query[i] = rec_rng_normal(&rng);
    struct rec_error err = {0};
    if (rec_scan_create(world->rows, items, n, &world->scan, &err) != REC_OK)
        fail_msg("%s: %s", world->name, err.text);
}

static void world_finish(struct world *world) {
    rec_scan_destroy(&world->scan);
    rec_alloc_free(world->rows);
    rec_alloc_free(world->query);
    rec_alloc_free(world->scores);
}

/* ---- the same lists --------------------------------------------------------------------- */

static void check_list(const struct world *world, uint32_t items, const uint64_t *mask, size_t k) {
    struct rec_topk want, got;
    struct rec_ranked *expected = rec_alloc_array(k + 1, sizeof(*expected));
    struct rec_ranked *kept = rec_alloc_array(k + 1, sizeof(*kept));
    assert_true(expected != NULL && kept != NULL);
    rec_kernels_rows_dot(world->rows, items, world->n, world->query, world->scores);
    rec_topk_init(&want, expected, k);
    rec_topk_scan(&want, world->scores, 0, items, mask);
    rec_topk_finish(&want);

    rec_topk_init(&got, kept, k);
    rec_scan_topk(world->scan, &(struct rec_scan_query){world->query, items, mask, &got});
    rec_topk_finish(&got);
    CHECK_ROW(got.count == want.count, world->name);
    CHECK_ROW(memcmp(kept, expected, got.count * sizeof(*kept)) == 0, world->name);
    rec_alloc_free(expected);
    rec_alloc_free(kept);
}

/* One in `one_in` items may enter; 0: only a few words have any. */
static void fill_mask(uint64_t mask[MASK_WORDS], uint32_t one_in) {
    struct rec_rng rng;
    rec_rng_init(&rng, one_in, 9);
    memset(mask, 0, MASK_WORDS * sizeof(mask[0]));
    for (uint32_t i = 0; i < MANY; i++)
        if (one_in == 0 ? i / 64 % 5 == 2 : rec_rng_below(&rng, one_in) == 0)
            mask[i / 64] |= (uint64_t)1 << i % 64;
}

/* Several queries together, as many as `count`: some twice, some of other lengths, each with a
 * mask, a limit and a k of its own. */
static void check_batch(const struct world *world, size_t count) {
    enum { QUERIES_MAX = 35, K_MAX = 300 };
    static const size_t ks[] = {10, 1, K_MAX, 0, 33};
    static const uint32_t densities[] = {1, 2, 0, 30, 1000};
    static struct rec_ranked kept[QUERIES_MAX][K_MAX], expected[K_MAX];
    static uint64_t masks[COUNT(densities)][MASK_WORDS];
    struct rec_scan_query queries[QUERIES_MAX];
    struct rec_topk tops[QUERIES_MAX];
    float *asked = floats(count * world->n);
    struct rec_rng rng;
    rec_rng_init(&rng, count, 4);
    for (size_t d = 0; d < COUNT(densities); d++)
        fill_mask(masks[d], densities[d]);
    for (size_t u = 0; u < count; u++) {
        float length = expf(3.0f * rec_rng_normal(&rng));
        for (size_t i = 0; i < world->n; i++)
            asked[u * world->n + i] = u % 7 == 3 ? 0.0f : length * rec_rng_normal(&rng);
        if (u % 3 == 1)
            memcpy(asked + u * world->n, world->query, world->n * sizeof(float));
        rec_topk_init(&tops[u], kept[u], ks[u % COUNT(ks)]);
        queries[u] = (struct rec_scan_query){
            asked + u * world->n, u % 4 == 3 ? world->items / 2 : world->items,
            u % 6 == 5 ? NULL : masks[u % COUNT(densities)], &tops[u]};
    }
    rec_scan_topk_batch(world->scan, queries, count);
    for (size_t u = 0; u < count; u++) {
        struct rec_topk want;
        rec_kernels_rows_dot(world->rows, queries[u].items, world->n, queries[u].query,
                             world->scores);
        rec_topk_init(&want, expected, ks[u % COUNT(ks)]);
        rec_topk_scan(&want, world->scores, 0, queries[u].items, queries[u].mask);
        rec_topk_finish(&want);
        rec_topk_finish(&tops[u]);
        CHECK_ROW(tops[u].count == want.count, world->name);
        CHECK_ROW(memcmp(kept[u], expected, want.count * sizeof(expected[0])) == 0, world->name);
    }
    rec_alloc_free(asked);
}

static void check_batches(void) {
    static const size_t counts[] = {0, 1, 2, 5, 16, 17, 35};
    for (size_t p = 0; p < COUNT(patterns); p++)
        for (size_t c = 0; c < COUNT(counts); c++) {
            struct world world;
            world_init(&world, p, c % 2 == 0 ? ITEMS : MANY, c == 4 ? 61 : 32);
            check_batch(&world, counts[c]);
            world_finish(&world);
        }
    static const size_t longest[] = {4096, 4097};
    for (size_t i = 0; i < COUNT(longest); i++) {
        struct world world;
        world_init(&world, RANDOM, 300, longest[i]);
        check_batch(&world, 16);
        world_finish(&world);
    }
}

static void check_masks(const struct world *world, uint32_t items, size_t k) {
    static const uint32_t densities[] = {0, 1, 2, 30, 1000};
    uint64_t mask[MASK_WORDS];
    check_list(world, items, NULL, k);
    for (size_t d = 0; d < COUNT(densities); d++) {
        fill_mask(mask, densities[d]);
        check_list(world, items, mask, k);
    }
}

/* Queries made to be hard: nothing, and one dimension only. */
static void check_queries(struct world *world, size_t k) {
    check_list(world, world->items, NULL, k);
    for (size_t i = 0; i < world->n; i++)
        world->query[i] = i == world->n / 2 ? -3.0f : 0.0f;
    check_list(world, world->items, NULL, k);
    world->query[world->n / 2] = -0.0f;
    check_list(world, world->items, NULL, k);
    for (size_t i = 0; i < world->n; i++)
        world->query[i] = 1e-30f * (float)(i + 1);
    check_list(world, world->items, NULL, k);
    world->query[0] = 1e30f;
    check_list(world, world->items, NULL, k);
}

static void check_patterns(void) {
    static const size_t ks[] = {0, 1, 10, 100, 256, 257, ITEMS + 5};
    for (size_t p = 0; p < COUNT(patterns); p++) {
        struct world world;
        world_init(&world, p, ITEMS, 64);
        for (size_t k = 0; k < COUNT(ks); k++)
            check_masks(&world, ITEMS, ks[k]);
        check_masks(&world, 100, 10); /* a catalogue known only in part */
        check_queries(&world, 10);
        world_finish(&world);
    }
}

/* Every pattern with rows of some length, every length with some pattern. */
static void check_lengths(void) {
    for (size_t n = 1; n <= 300; n += n < 40 ? 1 : 13) {
        struct world world;
        world_init(&world, n % COUNT(patterns), 130 + (uint32_t)n % 64, n);
        check_masks(&world, world.items, 7);
        world_finish(&world);
        world_init(&world, RANDOM, 1 + (uint32_t)n, n);
        check_list(&world, world.items, NULL, 3);
        world_finish(&world);
    }
    static const size_t longest[] = {2048, 4096, 4097}; /* the last is only scored exactly */
    for (size_t i = 0; i < COUNT(longest); i++) {
        struct world world;
        world_init(&world, RANDOM, 70, longest[i]);
        check_list(&world, world.items, NULL, 5);
        world_finish(&world);
    }
}

/* More items than are worked on at once, and a list that is not empty at the beginning. */
static void check_many(void) {
    static const size_t some[] = {RANDOM, CLUSTERED, GROWING, FEW_ROWS};
    for (size_t p = 0; p < COUNT(some); p++) {
        struct world world;
        world_init(&world, some[p], MANY, 24);
        check_masks(&world, MANY, 10);
        check_masks(&world, MANY, 500);
        struct rec_ranked kept[3];
        struct rec_topk top;
        rec_topk_init(&top, kept, 3);
        rec_topk_offer(&top, MANY + 1, FLT_MAX);
        rec_topk_offer(&top, MANY + 2, NAN);
        rec_scan_topk(world.scan, &(struct rec_scan_query){world.query, MANY, NULL, &top});
        rec_topk_finish(&top);
        assert_true(top.count == 3 && kept[0].item == MANY + 1 && kept[1].score <= kept[0].score);
        world_finish(&world);
    }
}

/* Rows of one number, where the bound of a word is what its longest item has; none of the long ones
 * may enter, so the bar rises on the way. */
static void check_tight(uint64_t *mask, uint32_t items) {
    struct world world;
    world_init(&world, RANDOM, items, 1);
    memset(mask, 0, (items / 64 + 1) * sizeof(*mask));
    for (uint32_t i = 0; i < items; i += 2)
        if (fabsf(world.rows[i]) < 0.2f) /* a sixth of them */
            mask[i / 64] |= (uint64_t)1 << i % 64;
    for (size_t k = 1; k < 40; k += 3)
        check_list(&world, items, mask, k);
    world_finish(&world);
}

/* Few items may enter, but so many that the longest are looked for: 1,819 of 20,000. */
static void check_few(void) {
    enum { HORDE = 20000, N = 8, K = 12 };
    static const size_t some[] = {RANDOM, CLUSTERED, GROWING, ALL_EQUAL, ONE_HUGE, ALL_ZERO};
    uint64_t *mask = rec_alloc_array(HORDE / 64 + 1, sizeof(*mask));
    assert_non_null(mask);
    for (uint32_t i = 0; i < HORDE; i += 11)
        mask[i / 64] |= (uint64_t)1 << i % 64;
    for (size_t p = 0; p < COUNT(some); p++) {
        struct world world;
        world_init(&world, some[p], HORDE, N);
        check_list(&world, HORDE, mask, K);
        check_list(&world, HORDE - 33, mask, HORDE);
        for (size_t i = 0; i < N; i++)
            world.query[i] *= 1e30f; /* overflows: has no copy */
        check_list(&world, HORDE, mask, K);
        world_finish(&world);
    }
    check_tight(mask, HORDE);
    rec_alloc_free(mask);
}

/* So many rows that all cores make the copies, in tasks of which the last is not whole. */
static void check_cores(void) {
    enum { ROWS = (1 << 15) + 4321, N = 8 };
    static const uint32_t limits[] = {ROWS, ROWS - 1, 4097, 0};
    struct world world;
    world_init(&world, RANDOM, ROWS, N);
    for (size_t i = 0; i < COUNT(limits); i++)
        check_list(&world, limits[i], NULL, 300);
    world_finish(&world);
}

/* Only the rows' errors count: the query's codes are exact, and the one dimension that sets the
 * rows' scale is not asked for. */
static void check_row_errors(void) {
    struct world world;
    world_init(&world, RANDOM, ITEMS, 64);
    rec_scan_destroy(&world.scan);
    for (size_t item = 0; item < ITEMS; item++)
        world.rows[item * world.n + 1] = 1000.0f; /* the others' codes are 0 */
    assert_int_equal(rec_scan_create(world.rows, ITEMS, world.n, &world.scan, NULL), REC_OK);
    for (size_t i = 0; i < world.n; i++)
        world.query[i] = i == 1 ? 0.0f : i % 2 == 0 ? 127.0f : -127.0f;
    check_masks(&world, ITEMS, 10);
    world_finish(&world);
}

/* Only the float sum's roundings count: codes are exact on both sides, and rows are the same
 * numbers in other orders, so their scores differ by what the last dimension adds: less than the
 * sums lose. Rows are long for that. */
static void check_roundings(void) {
    enum { N = 2048 };
    struct rec_rng rng;
    struct world world;
    rec_rng_init(&rng, 11, 0);
    world_init(&world, RANDOM, 200, N);
    rec_scan_destroy(&world.scan);
    for (size_t item = 0; item < world.items; item++) {
        float *row = world.rows + item * N;
        for (uint32_t i = 0; i < N - 1; i++) {
            uint32_t at = rec_rng_below(&rng, i + 1);
            row[i] = row[at];
            row[at] = (1.0f + 0x1p-16f) * (float)(i == 0 ? 127 : 100 + i % 28);
        }
        row[N - 1] = (1.0f + 0x1p-16f) * (float)(item % 2);
    }
    for (size_t i = 0; i < N; i++)
        world.query[i] = i < N - 1 ? 127.0f : 2.0f;
    assert_int_equal(rec_scan_create(world.rows, world.items, N, &world.scan, NULL), REC_OK);
    for (size_t k = 1; k < world.items; k += 9)
        check_list(&world, world.items, NULL, k);
    world_finish(&world);
}

static void test_lists(void **state) {
    (void)state;
    for_each_variant(check_row_errors);
    for_each_variant(check_roundings);
    for_each_variant(check_cores);
    for_each_variant(check_patterns);
    for_each_variant(check_lengths);
    for_each_variant(check_many);
    for_each_variant(check_batches);
    for_each_variant(check_few);
}

/* ---- the kernels ------------------------------------------------------------------------- */

/* Bytes at their ends, where a product that saturates would show. */
static void check_coarse_quads(struct rec_rng *rng, size_t quads, bool extreme) {
    uint8_t *items = rec_alloc_array(quads, 4 * (size_t)SCAN_WORD); /* exact size, for ASan */
    int8_t *code = rec_alloc_array(quads, 4);
    assert_true(items != NULL && code != NULL);
    int32_t want[SCAN_WORD], got[SCAN_WORD];
    for (size_t i = 0; i < quads * 4 * SCAN_WORD; i++)
        items[i] = extreme ? 255 : (uint8_t)rec_rng_below(rng, 256);
    for (size_t i = 0; i < quads * 4; i++)
        code[i] = (int8_t)(extreme ? 127 : (int)rec_rng_below(rng, 255) - 127);
    struct scan_query query = {.code = code, .quads = quads, .start = -77};
    rec_kernels_ref.coarse(items, &query, want);
    rec_kernels_chosen()->coarse(items, &query, got);
    assert_memory_equal(got, want, sizeof(want));
    rec_alloc_free(items);
    rec_alloc_free(code);
}

static void check_coarse(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 7, 0);
    for (size_t quads = 1; quads <= 75; quads++) {
        check_coarse_quads(&rng, quads, false);
        check_coarse_quads(&rng, quads, true);
    }
    check_coarse_quads(&rng, 1024, true);
}

/* Three operations, each off by at most FLT_EPSILON / 2 of the largest term. */
static void check_bounds(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 8, 0);
    for (int round = 0; round < 50; round++) {
        int32_t sums[SCAN_WORD];
        float scale[SCAN_WORD], best[SCAN_WORD], want_best[SCAN_WORD];
        float upper[SCAN_WORD], want[SCAN_WORD];
        uint64_t open = round == 0 ? UINT64_MAX : rec_rng_u64(&rng);
        for (size_t i = 0; i < SCAN_WORD; i++) {
            sums[i] = (int32_t)rec_rng_below(&rng, 200001) - 100000;
            best[i] = want_best[i] = 100.0f * rec_rng_normal(&rng);
            scale[i] = rec_rng_uniform(&rng);
        }
        rec_kernels_ref.bounds(sums, scale, 0.01f, 3.0f, open, want, want_best);
        rec_kernels_chosen()->bounds(sums, scale, 0.01f, 3.0f, open, upper, best);
        for (size_t i = 0; i < SCAN_WORD; i++) {
            double off = 4 * FLT_EPSILON * (fabs((double)sums[i]) * 0.01 + 3);
            bool closed = (open >> i & 1) == 0;
            assert_true(closed ? isinf(upper[i]) && upper[i] < 0.0f
                               : fabs((double)(upper[i] - want[i])) <= off);
            assert_true(fabs((double)(best[i] - want_best[i])) <= off);
        }
    }
}

/* Verdicts, bit for bit, of any number of queries; bars that some items meet exactly, and that all
 * or none do. */
static void check_reach_of(struct rec_rng *rng, size_t quads, size_t count) {
    uint8_t *items = rec_alloc_array(quads, 4 * (size_t)SCAN_WORD); /* exact size, for ASan */
    int8_t *codes = rec_alloc_array(count, quads * 4);
    assert_true(items != NULL && codes != NULL);
    struct scan_query query[SCAN_QUERIES];
    const struct scan_query *queries[SCAN_QUERIES];
    float scale[SCAN_WORD], bar[SCAN_QUERIES];
    uint64_t want[SCAN_QUERIES], got[SCAN_QUERIES + 1];
    got[count] = 0xabcd;
    for (size_t i = 0; i < quads * 4 * SCAN_WORD; i++)
        items[i] = (uint8_t)rec_rng_below(rng, 256);
    for (size_t i = 0; i < count * quads * 4; i++)
        codes[i] = (int8_t)((int)rec_rng_below(rng, 255) - 127);
    for (size_t i = 0; i < SCAN_WORD; i++)
        scale[i] = rec_rng_uniform(rng);
    for (size_t u = 0; u < count; u++) {
        int32_t sums[SCAN_WORD];
        size_t at = rec_rng_below(rng, SCAN_WORD);
        query[u] = (struct scan_query){.code = codes + u * quads * 4,
                                       .quads = quads,
                                       .start = (int32_t)rec_rng_below(rng, 20001) - 10000,
                                       .scale = rec_rng_uniform(rng)};
        queries[u] = &query[u];
        rec_kernels_ref.coarse(items, &query[u], sums);
        bar[u] = u % 5 == 3   ? -INFINITY
                 : u % 5 == 4 ? FLT_MAX
                              : (float)sums[at] * (scale[at] * query[u].scale);
    }
    rec_kernels_ref.reach(items, scale, queries, bar, count, want);
    rec_kernels_chosen()->reach(items, scale, queries, bar, count, got);
    assert_memory_equal(got, want, count * sizeof(want[0]));
    assert_true(got[count] == 0xabcd);
    rec_alloc_free(items);
    rec_alloc_free(codes);
}

static void check_reach(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 10, 0);
    for (size_t count = 1; count <= SCAN_QUERIES; count++)
        for (size_t quads = 1; quads <= 33; quads += 4)
            check_reach_of(&rng, quads, count);
    check_reach_of(&rng, 1024, 5);
}

static void check_marked(void) {
    struct rec_rng rng;
    rec_rng_init(&rng, 12, 0);
    for (int round = 0; round < 200; round++) {
        uint32_t limit = 1 + rec_rng_below(&rng, 1000), items[SCAN_WORD];
        size_t words = (limit + 63) / 64; /* exact size, for ASan */
        uint64_t *mask = rec_alloc_array(words, sizeof(*mask));
        assert_non_null(mask);
        for (size_t i = 0; i < words; i++)
            mask[i] = rec_rng_u64(&rng);
        for (size_t i = 0; i < SCAN_WORD; i++)
            items[i] = rec_rng_below(&rng, 9) == 0 ? UINT32_MAX - rec_rng_below(&rng, 2)
                                                   : rec_rng_below(&rng, limit + 2);
        assert_true(rec_kernels_chosen()->marked(items, limit, mask) ==
                    rec_kernels_ref.marked(items, limit, mask));
        rec_alloc_free(mask);
    }
}

static void test_kernels(void **state) {
    (void)state;
    for_each_variant(check_coarse);
    for_each_variant(check_bounds);
    for_each_variant(check_reach);
    for_each_variant(check_marked);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void test_no_memory(void **state) {
    (void)state;
    float rows[6] = {1, 2, 3, 4, 5, 6};
    struct rec_scan *scan = NULL;
    size_t alive = rec_alloc_live();
    for (long fail = 0;; fail++) {
        struct rec_error err = {0};
        rec_alloc_fail_at(fail);
        enum rec_status st = rec_scan_create(rows, 3, 2, &scan, &err);
        rec_alloc_fail_at(-1);
        if (st == REC_OK)
            break;
        assert_true(st == REC_NO_MEMORY && scan == NULL && fail < 8);
        assert_non_null(strstr(err.text, "3 x 2"));
        assert_int_equal(rec_alloc_live(), alive);
    }
    rec_scan_destroy(&scan);
    rec_scan_destroy(&scan);
    assert_null(scan);
    assert_int_equal(rec_alloc_live(), alive);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists), cmocka_unit_test(test_kernels),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
