/* Goal: the scan keeps exactly what sorting everything would put first: by score, ties to the
 * lower item, no NaN, only what the mask allows; for any k, any cut into blocks, in any order.
 *
 * How: a sort-based definition on random, tied, rising, falling and hostile scores. */
#include <math.h>

#include "variants.h"

enum { ITEMS = 1000, WORDS = ITEMS / 64 + 1 };

enum pattern { RANDOM, FEW_VALUES, ALL_EQUAL, RISING, FALLING, NOT_NUMBERS, INFINITIES };
static const struct {
    const char *name;
    enum pattern pattern;
} patterns[] = {
    {"random", RANDOM},
    {"few values", FEW_VALUES},
    {"all equal", ALL_EQUAL},
    {"rising", RISING},
    {"falling", FALLING},
    {"every third NaN", NOT_NUMBERS},
    {"infinities and zeros of both signs", INFINITIES},
};

static float score_of(enum pattern pattern, struct rec_rng *rng, uint32_t item) {
    static const float odd[] = {INFINITY, -INFINITY, 0.0f, -0.0f, 1.0f, -1.0f};
    switch (pattern) {
    case RANDOM:
        return rec_rng_normal(rng);
    case FEW_VALUES:
        return (float)rec_rng_below(rng, 4);
    case ALL_EQUAL:
        return 0.5f;
    case RISING:
        return (float)item;
    case FALLING:
        return -(float)item;
    case NOT_NUMBERS:
        return rec_rng_below(rng, 3) == 0 ? NAN : rec_rng_normal(rng);
    case INFINITIES:
        return odd[rec_rng_below(rng, COUNT(odd))];
    }
    return 0.0f;
}

/* The mask in three kinds: all but a few, sparse with empty words, and none. */
static bool make_mask(struct rec_rng *rng, unsigned kind, uint64_t mask[WORDS]) {
    memset(mask, 0, WORDS * sizeof(mask[0]));
    for (uint32_t i = 0; i < ITEMS; i++)
        if (kind == 0 ? rec_rng_below(rng, 20) != 0 : i / 64 % 3 == 1 && rec_rng_below(rng, 4) == 0)
            mask[i / 64] |= (uint64_t)1 << i % 64;
    return kind < 2;
}

static int by_rank(const void *a, const void *b) {
    const struct rec_ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static size_t sorted(const float *scores, const uint64_t *mask, struct rec_ranked *out) {
    size_t count = 0;
    for (uint32_t i = 0; i < ITEMS; i++)
        if (!isnan(scores[i]) && (mask == NULL || (mask[i / 64] >> i % 64 & 1) != 0))
            out[count++] = (struct rec_ranked){i, scores[i]};
    qsort(out, count, sizeof(*out), by_rank);
    return count;
}

/* Blocks of `step`, the last first when backward. */
static void scan_blocks(struct rec_topk *top, const float *scores, const uint64_t *mask,
                        uint32_t step, bool backward) {
    uint32_t blocks = (ITEMS + step - 1) / step;
    for (uint32_t b = 0; b < blocks; b++) {
        uint32_t first = (backward ? blocks - 1 - b : b) * step;
        uint32_t count = ITEMS - first < step ? ITEMS - first : step;
        float block[ITEMS]; /* exact copy: reading past the block meets nonsense */
        for (uint32_t i = 0; i < ITEMS; i++)
            block[i] = i < count ? scores[first + i] : 1e30f;
        rec_topk_scan(top, block, first, count, mask);
    }
}

static void check_case(const float *scores, const uint64_t *mask, size_t k, const char *name) {
    static const uint32_t steps[] = {ITEMS, 64, 100, 7, 1};
    struct rec_ranked want[ITEMS], kept[ITEMS + 8];
    size_t count = sorted(scores, mask, want);
    count = count < k ? count : k;
    for (size_t s = 0; s < 2 * COUNT(steps); s++) {
        struct rec_topk top;
        rec_topk_init(&top, kept, k);
        scan_blocks(&top, scores, mask, steps[s / 2], s % 2);
        rec_topk_finish(&top);
        CHECK_ROW(top.count == count, name);
        for (size_t i = 0; i < count; i++) {
            CHECK_ROW(kept[i].item == want[i].item, name);
            CHECK_ROW(kept[i].score == want[i].score, name);
        }
    }
}

static void check_all(void) {
    static const size_t ks[] = {0, 1, 2, 10, 63, 200, ITEMS, ITEMS + 5};
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    for (size_t p = 0; p < COUNT(patterns); p++) {
        for (unsigned kind = 0; kind < 3; kind++) {
            float scores[ITEMS];
            uint64_t mask[WORDS];
            for (uint32_t i = 0; i < ITEMS; i++)
                scores[i] = score_of(patterns[p].pattern, &rng, i);
            bool masked = make_mask(&rng, kind, mask);
            for (size_t k = 0; k < COUNT(ks); k++)
                check_case(scores, masked ? mask : NULL, ks[k], patterns[p].name);
        }
    }
}

static void test_topk(void **state) {
    (void)state;
    for_each_variant(check_all);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_topk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
