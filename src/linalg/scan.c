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
 * differ, is scored by the kernel of rec_kernels_rows_dot, whose bits do not depend on which rows
 * it is given together.
 *
 * The copies stand in the order of their norms, the longest first. No score is above |x| |y|, so
 * where that is below the bar for one row it is for all that follow, and the scan is over: factors
 * of rare items are short, and most of a catalogue is rare. The first words set the bar: what k of
 * their lower ends reach bounds the k-th best score from below. For that, they must know which
 * items may enter; later words look only at the few that reach the bar.
 *
 * Where few items may enter at all, these are scored one by one and nothing else is read.
 *
 * Items are stored as q + 128, because the instruction (vpdpbusd) takes unsigned bytes on one side;
 * 128 times the sum of r, the same for all items, takes that out again. The layout is by words:
 * 64 items, four dimensions of each after the other, so one broadcast of four query bytes serves
 * all of them and no sum is ever taken across a vector. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum {
    CODE_MAX = 127,
    OFFSET = 128,
    N_MAX = 4096, /* sums fit 32 bits: 255 x 127 x 4096 < 2^31; and the query's bytes the stack */
    HEAD = 4,     /* words that set the first bar */
    HEAD_ITEMS = HEAD * SCAN_WORD,
    WAITING = 16, /* scored together: rows of one call of the kernel */
    FEW = 8,      /* where not one in so many may enter, only these are read */
};
#define VALUE_MAX 1e15f     /* sums of 4,096 products of two stay far from overflow */
#define TINY      0x1p-100f /* see above; a normal float, for the others are slow */
#define SLACK     (1.0 + 16.0 * (double)FLT_EPSILON)

struct rec_scan {
    const float *rows; /* [items x n], the caller's */
    size_t n, quads;
    uint32_t items;
    uint32_t *order; /* [words][SCAN_WORD] the items, longest row first; NO_ITEM at the end */
    uint8_t *codes;  /* [words][quads][SCAN_WORD][4]; NULL: these rows can only be scored exactly */
    float *parts;    /* [words][3][SCAN_WORD]: scale, |y - ŷ|, |y|, rounded up */
};
#define NO_ITEM UINT32_MAX

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

struct length {
    double squared;
    uint32_t item;
};

static int longer_first(const void *a, const void *b) {
    const struct length *x = a, *y = b;
    if (x->squared < y->squared || x->squared > y->squared)
        return x->squared < y->squared ? 1 : -1;
    return x->item > y->item ? 1 : -1;
}

static enum rec_status sort_items(struct rec_scan *scan, size_t slots, struct rec_error *err) {
    struct length *lengths = rec_alloc_array(scan->items, sizeof(*lengths));
    if (lengths == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to order %u x %zu numbers", scan->items,
                             scan->n);
    for (uint32_t i = 0; i < scan->items; i++) {
        const float *row = scan->rows + i * scan->n;
        double squared = 0.0;
        for (size_t j = 0; j < scan->n; j++)
            squared += (double)row[j] * (double)row[j];
        lengths[i] = (struct length){squared, i};
    }
    qsort(lengths, scan->items, sizeof(*lengths), longer_first);
    for (size_t slot = 0; slot < slots; slot++)
        scan->order[slot] = slot < scan->items ? lengths[slot].item : NO_ITEM;
    rec_alloc_free(lengths);
    return REC_OK;
}

static void encode_all(struct rec_scan *scan) {
    size_t word_bytes = scan->quads * SCAN_WORD * 4;
    for (size_t slot = 0; slot < scan->items; slot++) {
        size_t word = slot / SCAN_WORD, lane = slot % SCAN_WORD;
        struct coded coded = encode(scan->rows + scan->order[slot] * scan->n, scan->n, OFFSET,
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
    size_t words = ((size_t)items + SCAN_WORD - 1) / SCAN_WORD;
    if (scan != NULL) {
        *scan = (struct rec_scan){.rows = rows, .n = n, .quads = (n + 3) / 4, .items = items};
        if (coded) {
            scan->order = rec_alloc_array(words, SCAN_WORD * sizeof(*scan->order));
            scan->codes = rec_alloc_array(words, scan->quads * SCAN_WORD * 4);
            scan->parts = rec_alloc_array(words, 3 * SCAN_WORD * sizeof(float));
        }
    }
    enum rec_status st = REC_OK;
    if (scan == NULL ||
        (coded && (scan->order == NULL || scan->codes == NULL || scan->parts == NULL)))
        st = rec_error_set(err, REC_NO_MEMORY, "no memory for the 8-bit copy of %u x %zu numbers",
                           items, n);
    if (st == REC_OK && coded)
        st = sort_items(scan, words * SCAN_WORD, err);
    if (st != REC_OK) {
        rec_scan_destroy(&scan);
        return st;
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
    rec_alloc_free(scan->order);
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
    float
        length; /* of the query, and what roundings can add: no score is above length |y| + TINY */
    float bar;  /* what an item must reach to be looked at */
    uint32_t waiting[WAITING];
    size_t waiting_count;
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
    pass->length = rounded_up((coded.norm + rounding) * SLACK);
}

static bool is_open(const struct pass *pass, uint32_t item) {
    return item < pass->items &&
           (pass->mask == NULL || (pass->mask[item / 64] >> (item % 64) & 1) != 0);
}

static uint64_t open_items(const struct pass *pass, size_t word) {
    const uint32_t *item = pass->scan->order + word * SCAN_WORD;
    uint64_t open = 0;
    for (size_t i = 0; i < SCAN_WORD; i++)
        open |= (uint64_t)is_open(pass, item[i]) << i;
    return open;
}

static void raise_bar(struct pass *pass) {
    const struct rec_topk *top = pass->top;
    if (top->count == top->k && top->kept[0].score > pass->bar)
        pass->bar = top->kept[0].score;
}

static void score_waiting(struct pass *pass) {
    float scores[WAITING];
    rec_kernels_chosen()->rows_dot(pass->scan->rows, pass->waiting, pass->waiting_count,
                                   pass->scan->n, pass->query, scores);
    for (size_t i = 0; i < pass->waiting_count; i++)
        rec_topk_offer(pass->top, pass->waiting[i], scores[i]);
    pass->waiting_count = 0;
    raise_bar(pass);
}

static void wait_for_score(struct pass *pass, uint32_t item) {
    pass->waiting[pass->waiting_count++] = item;
    if (pass->waiting_count == WAITING)
        score_waiting(pass);
}

/* upper, lower [SCAN_WORD]: ends of a word's items. Of items not in `open` upper is -infinity;
 * lower is raised, never set. */
static void bound_word(const struct pass *pass, size_t word, uint64_t open, float *upper,
                       float *lower) {
    const struct kernels *kernels = rec_kernels_chosen();
    const struct rec_scan *scan = pass->scan;
    int32_t sums[SCAN_WORD];
    kernels->coarse(scan->codes + word * scan->quads * SCAN_WORD * 4, &pass->coded, sums);
    kernels->bounds(sums, scan->parts + word * 3 * SCAN_WORD, &pass->coded, open, upper, lower);
}

/* Looks at what reaches the bar among the items of one word. */
static void take_word(struct pass *pass, size_t word, const float upper[SCAN_WORD]) {
    uint64_t found = rec_kernels_chosen()->above(upper, SCAN_WORD, pass->bar, true);
    for (; found != 0; found &= found - 1) {
        size_t i = (size_t)__builtin_ctzll(found);
        uint32_t item = pass->scan->order[word * SCAN_WORD + i];
        if (upper[i] >= pass->bar && is_open(pass, item))
            wait_for_score(pass, item);
    }
}

/* A score that at least k of the lower ends reach, close to the k-th of them; -infinity for a k
 * beyond them. Halving, not a heap: its tests always go the same way, and a bar that is a little
 * low costs a row or two. It begins at the least of the maxima of as many groups as are needed,
 * which so many reach already. */
static float first_bar(const float lower[HEAD_ITEMS], size_t k) {
    enum { HALVINGS = 8, GROUPS_MIN = 16 };
    const struct kernels *kernels = rec_kernels_chosen();
    float maxima[HEAD_ITEMS];
    if (k > HEAD_ITEMS)
        return -INFINITY;
    memcpy(maxima, lower, sizeof(maxima));
    size_t groups = HEAD_ITEMS;
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
        for (size_t w = 0; w < HEAD; w++)
            reached += (size_t)__builtin_popcountll(
                kernels->above(lower + w * SCAN_WORD, SCAN_WORD, middle, true));
        low = reached >= k ? middle : low;
        high = reached >= k ? high : middle;
    }
    return low;
}

/* The first words: they are bounded all before the bar is set, and then looked at. */
static void scan_head(struct pass *pass, size_t words) {
    float upper[HEAD_ITEMS], lower[HEAD_ITEMS];
    for (size_t i = 0; i < HEAD_ITEMS; i++)
        lower[i] = -INFINITY;
    for (size_t w = 0; w < words; w++)
        bound_word(pass, w, open_items(pass, w), upper + w * SCAN_WORD, lower + w * SCAN_WORD);
    if (pass->top->count < pass->top->k)
        pass->bar = first_bar(lower, pass->top->k);
    for (size_t w = 0; w < words; w++)
        take_word(pass, w, upper + w * SCAN_WORD);
    score_waiting(pass);
}

/* The others, until they are too short. */
static void scan_rest(struct pass *pass, size_t first, size_t words) {
    float upper[SCAN_WORD], lower[SCAN_WORD] = {0};
    for (size_t w = first; w < words; w++) {
        float longest = pass->scan->parts[(w * 3 + 2) * SCAN_WORD];
        if (pass->length * longest + TINY < pass->bar)
            break;
        bound_word(pass, w, UINT64_MAX, upper, lower);
        take_word(pass, w, upper);
    }
    score_waiting(pass);
}

/* Whether at most one item in FEW may enter. */
static bool few_open(const struct pass *pass) {
    size_t open = 0;
    if (pass->mask == NULL)
        return false;
    for (size_t word = 0; word < pass->items / 64 && open <= pass->items / FEW; word++)
        open += (size_t)__builtin_popcountll(pass->mask[word]);
    return open <= pass->items / FEW;
}

/* The items of the mask, and no others. */
static void scan_open(struct pass *pass) {
    for (uint32_t word = 0; word < (pass->items + 63) / 64; word++)
        for (uint64_t open = pass->mask[word]; open != 0; open &= open - 1) {
            uint32_t item = word * 64 + (uint32_t)__builtin_ctzll(open);
            if (item < pass->items)
                wait_for_score(pass, item);
        }
    score_waiting(pass);
}

static void scan_exactly(struct pass *pass) {
    enum { BLOCK = 512 };
    const struct rec_scan *scan = pass->scan;
    float scores[BLOCK];
    for (uint32_t first = 0; first < pass->items; first += BLOCK) {
        uint32_t left = pass->items - first, count = left < BLOCK ? left : BLOCK;
        rec_kernels_rows_dot(scan->rows + first * scan->n, count, scan->n, pass->query, scores);
        rec_topk_scan(pass->top, scores, first, count, pass->mask);
    }
}

void rec_scan_topk(const struct rec_scan *scan, const float *query, uint32_t items,
                   const uint64_t *mask, struct rec_topk *top) {
    int8_t codes[N_MAX];
    struct pass pass = {.scan = scan, .query = query, .mask = mask, .top = top, .bar = -INFINITY};
    pass.items = items < scan->items ? items : scan->items;
    if (top->k == 0)
        return;
    if (few_open(&pass)) {
        scan_open(&pass);
        return;
    }
    if (scan->codes == NULL || !can_be_coded(query, 1, scan->n)) {
        scan_exactly(&pass);
        return;
    }
    encode_query(&pass, codes);
    raise_bar(&pass);
    size_t words = ((size_t)scan->items + SCAN_WORD - 1) / SCAN_WORD;
    size_t head = words < HEAD ? words : HEAD;
    scan_head(&pass, head);
    scan_rest(&pass, head, words);
}
