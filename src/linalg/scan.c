/* The k best dot products of all rows with a query, exactly, without reading most rows.
 *
 * Every row y is kept a second time as ŷ = s q: a scale and a whole number from -127 to 127 a
 * dimension, a quarter of the memory traffic and one instruction for 64 products. A query x becomes
 * x̂ = t r in the same way, and r . q is computed in integers, without an error. By Cauchy-Schwarz
 *
 *   |x.y - x̂.ŷ| = |x̂.(y - ŷ) + (x - x̂).y| <= |x̂| |y - ŷ| + |x - x̂| |y|
 *
 * with |y - ŷ| and |y| computed once a row, |x̂| and |x - x̂| once a query. To that come roundings,
 * with u = FLT_EPSILON / 2: of the float dot product itself, at most n FLT_EPSILON |x| |y|
 * (kernels_ref.c is what it approximates; test_kernels.c has the proof's source), and of the
 * bound's own few float operations, at most 4 u |x̂.ŷ| and 4 u of the sum, which (n + 16)
 * FLT_EPSILON in place of n and a factor of 1 + 32 u more than cover. Results below the normal
 * floats lose at most 2^-118 in all: TINY. So each score lies in [c - r, c + r], and rows whose
 * upper end is below k scores' lower ends are out. What is left, a few more than k where scores
 * differ, is scored by rec_kernels_rows_dot, whose bits do not depend on how many rows it is given.
 *
 * A first threshold comes without sorting: each lane of the vectors, over every fourth word, keeps
 * the best lower end it has seen; these are GROUPS different items, so what k of them reach
 * bounds the k-th best score from below.
 *
 * Items are stored as q + 128, because the instruction (vpdpbusd) takes unsigned bytes on one side;
 * 128 times the sum of r, the same for all items, takes that out again. The layout is by the words
 * of the mask: 64 items, four dimensions of each after the other, so one broadcast of four query
 * bytes serves all of them and no sum is ever taken across a vector. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels.h"

enum {
    CODE_MAX = 127,
    OFFSET = 128,
    N_MAX = 4096, /* sums fit 32 bits: 255 x 127 x 4096 < 2^31; and the query's bytes the stack */
    WORDS = 64,   /* worked on together: 4,096 items, whose bounds stay in the L1 cache */
    FOLD = 4,     /* words that do not share their best lower ends */
    GROUPS = FOLD * SCAN_WORD,
    DENSE = 16, /* so many rows of a word are scored faster with all the others */
};
#define VALUE_MAX 1e15f     /* sums of 4,096 products of two stay far from overflow */
#define TINY      0x1p-100f /* see above; a normal float, for the others are slow */
#define SLACK     (1.0 + 16.0 * (double)FLT_EPSILON)

struct rec_scan {
    const float *rows; /* [items x n], the caller's */
    size_t n, quads;
    uint32_t items;
    uint8_t *codes; /* [words][quads][SCAN_WORD][4]; NULL: these rows can only be scored exactly */
    float *parts;   /* [words][3][SCAN_WORD]: scale, |y - ŷ|, |y|, rounded up */
};

/* ---- codes -------------------------------------------------------------------------- */

struct coded {
    float scale;
    double error, norm, code_norm; /* |y - ŷ|, |y|, |ŷ| */
    int32_t code_sum;
};

struct sums {
    double error[4], norm[4]; /* four apart, so that one addition need not wait for the last */
    int32_t code[4], square[4];
};

/* One quad: 4 values, the codes of which go to codes [4], plus offset. */
static inline void encode_quad(const float value[4], float scale, float steps, int offset,
                               uint8_t codes[4], struct sums *sums) {
    for (size_t j = 0; j < 4; j++) {
        float at = value[j] * steps;
        int code = (int)(at < 0.0f ? at - 0.5f : at + 0.5f); /* any code near is right */
        code = code < -CODE_MAX ? -CODE_MAX : code > CODE_MAX ? CODE_MAX : code;
        double off = (double)value[j] - (double)code * (double)scale;
        sums->error[j] += off * off;
        sums->norm[j] += (double)value[j] * (double)value[j];
        sums->code[j] += code;
        sums->square[j] += code * code;
        codes[j] = (uint8_t)(code + offset);
    }
}

static double sum4(const double x[4]) {
    return (x[0] + x[1]) + (x[2] + x[3]);
}

/* Writes quad q to codes + q stride, plus offset; the padding is the offset. */
static struct coded encode(const float *row, size_t n, int offset, uint8_t *codes, size_t stride) {
    float largest = 0.0f;
    for (size_t i = 0; i < n; i++)
        largest = fabsf(row[i]) > largest ? fabsf(row[i]) : largest;
    /* So small that the division overflows: codes of 0, and an error of the whole row. */
    float scale = largest / CODE_MAX, steps = scale >= FLT_MIN ? 1.0f / scale : 0.0f;
    struct sums sums = {0};
    size_t quads = n / 4;
    for (size_t q = 0; q < quads; q++)
        encode_quad(row + q * 4, scale, steps, offset, codes + q * stride, &sums);
    if (n % 4 != 0) {
        float tail[4] = {0};
        memcpy(tail, row + quads * 4, n % 4 * sizeof(tail[0]));
        encode_quad(tail, scale, steps, offset, codes + quads * stride, &sums);
    }
    double squares =
        (double)((sums.square[0] + sums.square[1]) + (sums.square[2] + sums.square[3]));
    return (struct coded){
        .scale = scale,
        .error = sqrt(sum4(sums.error)),
        .norm = sqrt(sum4(sums.norm)),
        .code_norm = sqrt(squares) * (double)scale,
        .code_sum = (sums.code[0] + sums.code[1]) + (sums.code[2] + sums.code[3]),
    };
}

/* A float not below x >= 0, which is a double sum's root: off by less than 2^-40 of itself. */
static float rounded_up(double x) {
    return x > 0.0 ? nextafterf((float)(x * (1.0 + 0x1p-40)), INFINITY) : 0.0f;
}

/* ---- making ------------------------------------------------------------------------- */

/* No NaN, no infinity, and nothing whose products with its like could overflow. */
static bool can_be_coded(const float *rows, size_t items, size_t n) {
    if (items == 0 || n == 0 || n > N_MAX)
        return false;
    for (size_t i = 0; i < items * n; i++)
        if (!(fabsf(rows[i]) <= VALUE_MAX))
            return false;
    return true;
}

static void encode_all(struct rec_scan *scan) {
    size_t word_bytes = scan->quads * SCAN_WORD * 4;
    for (size_t i = 0; i < scan->items; i++) {
        size_t word = i / SCAN_WORD, lane = i % SCAN_WORD;
        struct coded coded = encode(scan->rows + i * scan->n, scan->n, OFFSET,
                                    scan->codes + word * word_bytes + lane * 4, SCAN_WORD * 4);
        float *part = scan->parts + word * 3 * SCAN_WORD + lane;
        part[0] = coded.scale;
        part[SCAN_WORD] = rounded_up(coded.error);
        part[2 * SCAN_WORD] = rounded_up(coded.norm);
    }
}

enum rec_status rec_scan_create(const float *rows, uint32_t items, size_t n, struct rec_scan **out,
                                struct rec_error *err) {
    struct rec_scan *scan = rec_alloc_array(1, sizeof(*scan));
    bool coded = can_be_coded(rows, items, n);
    if (scan != NULL) {
        size_t words = ((size_t)items + SCAN_WORD - 1) / SCAN_WORD;
        *scan = (struct rec_scan){.rows = rows, .n = n, .quads = (n + 3) / 4, .items = items};
        if (coded) {
            scan->codes = rec_alloc_array(words, scan->quads * SCAN_WORD * 4);
            scan->parts = rec_alloc_array(words, 3 * SCAN_WORD * sizeof(float));
        }
    }
    if (scan == NULL || (coded && (scan->codes == NULL || scan->parts == NULL))) {
        rec_scan_destroy(&scan);
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the 8-bit copy of %u x %zu numbers",
                             items, n);
    }
    if (coded)
        encode_all(scan);
    *out = scan;
    return REC_OK;
}

void rec_scan_destroy(struct rec_scan **scan_pointer) {
    struct rec_scan *scan = *scan_pointer;
    if (scan == NULL)
        return;
    *scan_pointer = NULL;
    rec_alloc_free(scan->codes);
    rec_alloc_free(scan->parts);
    rec_alloc_free(scan);
}

/* ---- asking --------------------------------------------------------------------------- */

/* One call's state. */
struct pass {
    const struct rec_scan *scan;
    const float *query;
    uint32_t items;
    const uint64_t *mask;
    struct rec_topk *top;
    struct scan_query coded;
    uint64_t open[WORDS];           /* of the words at hand: which items may enter */
    float upper[WORDS * SCAN_WORD]; /* their upper ends; in the exact scan their scores */
};

static void encode_query(struct pass *pass, int8_t codes[N_MAX]) {
    size_t n = pass->scan->n;
    struct coded coded = encode(pass->query, n, 0, (uint8_t *)codes, 4);
    double longest = coded.norm > coded.code_norm ? coded.norm : coded.code_norm;
    double rounding = (double)(n + 16) * (double)FLT_EPSILON * longest;
    pass->coded = (struct scan_query){
        .code = codes,
        .quads = pass->scan->quads,
        .start = -OFFSET * coded.code_sum,
        .scale = coded.scale,
        .per_error = rounded_up(coded.code_norm * SLACK),
        .per_norm = rounded_up((coded.error + rounding) * SLACK),
        .tiny = TINY,
    };
}

static uint64_t open_items(const struct pass *pass, size_t word) {
    size_t left = pass->items - word * SCAN_WORD;
    uint64_t open = pass->mask == NULL ? UINT64_MAX : pass->mask[word];
    return left < SCAN_WORD ? open & (((uint64_t)1 << left) - 1) : open;
}

/* Upper ends of words first .. first+words-1, and the best lower ends of GROUPS items. */
static void bound_words(struct pass *pass, size_t first, size_t words, float best[GROUPS]) {
    const struct kernels *kernels = rec_kernels_chosen();
    const struct rec_scan *scan = pass->scan;
    for (size_t i = 0; i < GROUPS; i++)
        best[i] = -INFINITY;
    for (size_t w = 0; w < words; w++) {
        size_t word = first + w;
        int32_t sums[SCAN_WORD];
        pass->open[w] = open_items(pass, word);
        if (pass->open[w] == 0)
            continue;
        kernels->coarse(scan->codes + word * scan->quads * SCAN_WORD * 4, &pass->coded, sums);
        kernels->bounds(sums, scan->parts + word * 3 * SCAN_WORD, &pass->coded, pass->open[w],
                        pass->upper + w * SCAN_WORD, best + w % FOLD * SCAN_WORD);
    }
}

/* A score that at least k of the best reach, close to the k-th of them; -infinity for a k beyond
 * them. Halving, not a heap: its tests always go the same way, and a bar that is a little low costs
 * a row or two. It begins at the least of the maxima of as many groups as are needed, which so many
 * reach already. */
static float first_bar(const float best[GROUPS], size_t k) {
    enum { HALVINGS = 8, GROUPS_MIN = 16 };
    const struct kernels *kernels = rec_kernels_chosen();
    float maxima[GROUPS];
    if (k > GROUPS)
        return -INFINITY;
    memcpy(maxima, best, sizeof(maxima));
    size_t groups = GROUPS;
    while (groups / 2 >= k && groups > GROUPS_MIN) {
        groups /= 2;
        for (size_t i = 0; i < groups; i++)
            maxima[i] = maxima[i + groups] > maxima[i] ? maxima[i + groups] : maxima[i];
    }
    float low = maxima[0], high = maxima[0];
    for (size_t i = 1; i < groups; i++) {
        low = maxima[i] < low ? maxima[i] : low;
        high = maxima[i] > high ? maxima[i] : high;
    }
    for (int i = 0; i < HALVINGS && low > -INFINITY; i++) {
        float middle = low + (high - low) / 2.0f;
        size_t reached = 0;
        for (size_t part = 0; part < GROUPS; part += SCAN_WORD)
            reached +=
                (size_t)__builtin_popcountll(kernels->above(best + part, SCAN_WORD, middle, true));
        low = reached >= k ? middle : low;
        high = reached >= k ? high : middle;
    }
    return low;
}

/* What an item must reach to be looked at. */
static float bar_now(const struct rec_topk *top, float bar) {
    return top->count == top->k && top->kept[0].score > bar ? top->kept[0].score : bar;
}

/* All of one word: where most items reach the bar, as in a scan without codes. */
static void score_all(struct pass *pass, size_t word) {
    const struct rec_scan *scan = pass->scan;
    uint32_t first = (uint32_t)(word * SCAN_WORD), left = pass->items - first;
    uint32_t count = left < SCAN_WORD ? left : SCAN_WORD;
    float scores[SCAN_WORD];
    rec_kernels_rows_dot(scan->rows + first * scan->n, count, scan->n, pass->query, scores);
    rec_topk_scan(pass->top, scores, first, count, pass->mask);
}

/* Scores what reaches the bar among the items of one word. */
static void score_found(struct pass *pass, size_t word, uint64_t found, const float *upper,
                        float bar) {
    const struct rec_scan *scan = pass->scan;
    for (; found != 0; found &= found - 1) {
        size_t i = (size_t)__builtin_ctzll(found), item = word * SCAN_WORD + i;
        float score;
        if (upper[i] < bar_now(pass->top, bar))
            continue;
        rec_kernels_rows_dot(scan->rows + item * scan->n, 1, scan->n, pass->query, &score);
        rec_topk_offer(pass->top, (uint32_t)item, score);
    }
}

static void scan_words(struct pass *pass, size_t first, size_t words) {
    const struct kernels *kernels = rec_kernels_chosen();
    struct rec_topk *top = pass->top;
    float best[GROUPS];
    bound_words(pass, first, words, best);
    float bar = bar_now(top, top->count < top->k ? first_bar(best, top->k) : -INFINITY);
    for (size_t w = 0; w < words; w++) {
        const float *upper = pass->upper + w * SCAN_WORD;
        if (pass->open[w] == 0)
            continue;
        bar = bar_now(top, bar);
        uint64_t found = pass->open[w] & kernels->above(upper, SCAN_WORD, bar, true);
        if (__builtin_popcountll(found) >= DENSE)
            score_all(pass, first + w);
        else
            score_found(pass, first + w, found, upper, bar);
    }
}

static void scan_exactly(struct pass *pass) {
    const struct rec_scan *scan = pass->scan;
    for (uint32_t first = 0; first < pass->items; first += WORDS * SCAN_WORD) {
        uint32_t left = pass->items - first;
        uint32_t count = left < WORDS * SCAN_WORD ? left : WORDS * SCAN_WORD;
        rec_kernels_rows_dot(scan->rows + first * scan->n, count, scan->n, pass->query,
                             pass->upper);
        rec_topk_scan(pass->top, pass->upper, first, count, pass->mask);
    }
}

void rec_scan_topk(const struct rec_scan *scan, const float *query, uint32_t items,
                   const uint64_t *mask, struct rec_topk *top) {
    int8_t codes[N_MAX];
    struct pass pass;
    pass.scan = scan;
    pass.query = query;
    pass.items = items < scan->items ? items : scan->items;
    pass.mask = mask;
    pass.top = top;
    if (top->k == 0)
        return;
    if (scan->codes == NULL || !can_be_coded(query, 1, scan->n)) {
        scan_exactly(&pass);
        return;
    }
    encode_query(&pass, codes);
    size_t words = ((size_t)pass.items + SCAN_WORD - 1) / SCAN_WORD;
    for (size_t first = 0; first < words; first += WORDS)
        scan_words(&pass, first, words - first < WORDS ? words - first : WORDS);
}
